"""What changed from one report to another: of the same function, before and after an edit."""

__all__ = ["Change", "Difference", "diff"]

from collections.abc import Iterator
from dataclasses import dataclass

from gradproof.report.causes import title
from gradproof.report.record import Report
from gradproof.report.view import Order
from gradproof.report.words import SEVERITY, Pen
from gradproof.verdict import Verdict

MOST_LISTED = 20
"""Lines of one kind; the others are counted."""


@dataclass(frozen=True, slots=True)
class Change:
    """A verdict, then and now; None where it was not asked for."""

    what: str
    """Name of a source, "the claim", or path of a leaf."""
    before: Verdict | None
    after: Verdict | None

    @property
    def worse(self) -> bool:
        """Whether it went from good to bad."""
        return _rank(self.after) > _rank(self.before)


@dataclass(frozen=True, slots=True)
class Difference:
    """Two reports side by side. `str()` says what changed; `worse` is what an exit code asks for."""

    verdict: Change
    sources: tuple[Change, ...]
    """Sources whose verdict changed, or that only one of the two asked."""
    new_wrong: tuple[str, ...]
    """Paths of leaves that are wrong now and were not, the worst first."""
    no_longer_wrong: tuple[str, ...]
    """Paths of leaves that were wrong and are not now, or are not there."""
    added: tuple[str, ...]
    """Paths of leaves that only the second report has."""
    removed: tuple[str, ...]
    new_diagnoses: tuple[str, ...]
    """Source, code and what it stands for."""
    gone_diagnoses: tuple[str, ...]
    evaluations: dict[str, tuple[int, int]]
    """By source: how many it took then and now, where that changed."""

    @property
    def worse(self) -> bool:
        """Whether the second report is worse: its verdict, one of its sources', or a leaf that was not wrong before."""
        known = [change for change in self.sources if None not in (change.before, change.after)]
        return bool(self.verdict.worse or self.new_wrong or any(change.worse for change in known))

    @property
    def changed(self) -> bool:
        """Whether anything but the number of evaluations changed."""
        return self.verdict.before is not self.verdict.after or any(
            (self.sources, self.new_wrong, self.no_longer_wrong, self.added, self.removed,
             self.new_diagnoses, self.gone_diagnoses)
        )  # fmt: skip

    def __str__(self) -> str:
        return "\n".join(Pen().spelled(line) for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield _changed(self.verdict)
        yield from map(_changed, self.sources)
        for sign, what, names in (
            ("+", "wrong now", self.new_wrong), ("-", "no longer wrong", self.no_longer_wrong),
            ("+", "new leaf", self.added), ("-", "leaf removed", self.removed),
            ("+", "diagnosed", self.new_diagnoses), ("-", "no longer diagnosed", self.gone_diagnoses),
        ):  # fmt: skip
            yield from (f"{sign} {what}: {name}" for name in names[:MOST_LISTED])
            if len(names) > MOST_LISTED:
                yield f"{sign} {what}: {len(names) - MOST_LISTED} more"
        for name, (before, after) in self.evaluations.items():
            yield f"  {name}: {before} → {after} evaluations"
        if not self.changed:
            yield "nothing else changed" if self.evaluations else "nothing changed"


def diff(a: Report, b: Report) -> Difference:
    """What changed from report `a` to report `b`."""
    before, after = Order(a), Order(b)
    names = dict.fromkeys([*a.sources, *b.sources])
    sources = (Change(name, _verdict(a, name), _verdict(b, name)) for name in names)
    costs = {name: (a.sources[name].calls, b.sources[name].calls) for name in a.sources if name in b.sources}
    return Difference(
        verdict=Change("the claim", a.verdict, b.verdict),
        sources=tuple(change for change in sources if change.before is not change.after),
        new_wrong=_only(after.wrong[::-1], before.wrong),
        no_longer_wrong=_only(before.wrong[::-1], after.wrong),
        added=_only(list(b.leaves), list(a.leaves)),
        removed=_only(list(a.leaves), list(b.leaves)),
        new_diagnoses=_only(_diagnoses(after), _diagnoses(before)),
        gone_diagnoses=_only(_diagnoses(before), _diagnoses(after)),
        evaluations={name: pair for name, pair in costs.items() if pair[0] != pair[1]},
    )


def _only(names: list[str], others: list[str]) -> tuple[str, ...]:
    known = set(others)
    return tuple(name for name in names if name not in known)


def _diagnoses(order: Order) -> list[str]:
    """The simplest of each leaf, in words without numbers: those change with the last digit."""
    return list(
        dict.fromkeys(
            f"{d.source}, {', '.join(d.leaves) or 'all leaves'}: {title(d)}" for d in order.simplest
        )
    )


def _verdict(report: Report, name: str) -> Verdict | None:
    result = report.sources.get(name)
    return result.verdict if result else None


def _rank(verdict: Verdict | None) -> int:
    return SEVERITY.index(verdict) if verdict else 0


def _changed(change: Change) -> str:
    if change.before is change.after:
        return f"= {change.what}: {_named(change.after)}"
    sign = "!" if change.worse else "~"
    return f"{sign} {change.what}: {_named(change.before)} → {_named(change.after)}"


def _named(verdict: Verdict | None) -> str:
    return verdict.value if verdict else "not asked"
