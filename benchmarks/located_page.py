"""What was measured of locating: rows, and the Markdown page."""

__all__ = ["WAYS", "Dense", "Peer", "Row", "Trial", "document"]

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.verdict import Location

WAYS = ("after a check", "two ladders", "one ladder")
"""With the probes of the check for nothing; with two ladders along probes of its own; with one."""


LIMITS = (
    "What these figures do not show: functions in float32, with kinks or noise; leaves whose entries are of very different sizes; wrong",
    "entries of which one is off by far more than another. With more than about ten wrong entries a part of them is named, or the",
    "block that holds them. The ladders along the first probes take half of the evaluations of a search without a check.",
)


@dataclass(frozen=True)
class Trial:
    """One gradient with mistakes, searched in the three ways."""

    evaluations: tuple[int, ...]
    """Of the search, and of its own ladders."""
    exact: tuple[bool, ...]
    """Whether the entries found are those that were planted."""
    seen: tuple[bool, ...]
    """Whether every entry that was missed is off by more than its own ladder's bar."""
    innocent: int
    """Entries blamed that are right, in all searches."""
    relative_seconds: float
    """Of the search after a check, in evaluations of the function."""
    missed: tuple[str, ...] = ()
    """What is known of the entries that were missed."""


@dataclass
class Row:
    """Trials of one kind."""

    ground: str
    entries: int
    wrong: int
    size: float
    trials: list[Trial]

    def quantiles(self, way: int) -> tuple[float, float, float]:
        """Median, 90 % and largest."""
        values = [one.evaluations[way] for one in self.trials]
        return float(np.median(values)), float(np.quantile(values, 0.9)), float(max(values))

    def exact(self, way: int) -> int:
        """Trials with the exact set."""
        return sum(one.exact[way] for one in self.trials)

    def seen(self, way: int) -> tuple[int, int]:
        """Exact sets, and trials, of those in which every error exceeds the bar of a single entry."""
        visible = [one for one in self.trials if one.seen[way]]
        return sum(one.exact[way] for one in visible), len(visible)

    @property
    def innocent(self) -> int:
        """Entries blamed that are right."""
        return sum(one.innocent for one in self.trials)

    def as_json(self) -> dict[str, Any]:
        """For the record."""
        ways = range(len(WAYS))
        return {
            "function": self.ground, "entries": self.entries, "wrong": self.wrong, "size": self.size,
            "trials": len(self.trials), "innocent": self.innocent,
            "relative_seconds": float(np.median([one.relative_seconds for one in self.trials])),
            "evaluations": {WAYS[way]: self.quantiles(way) for way in ways},
            "exact": {WAYS[way]: self.exact(way) for way in ways},
            "exact_of_seen": {WAYS[way]: self.seen(way) for way in ways},
            "missed": [miss for one in self.trials for miss in one.missed],
        }  # fmt: skip

    def __str__(self) -> str:
        cells = [f"{_power(self.entries)}", str(self.wrong), f"{self.size:.0e}", str(len(self.trials))]
        for way in range(len(WAYS)):
            found, visible = self.seen(way)
            cells.append(" / ".join(f"{value:.0f}" for value in self.quantiles(way)))
            cells.append(f"{self.exact(way) / len(self.trials):.0%}, {found} of {visible}")
        seconds = np.median([one.relative_seconds for one in self.trials])
        return f"| {self.ground} | {' | '.join(cells)} | {self.innocent} | {seconds:.0f} |"


@dataclass
class Dense:
    """Many wrong entries of one leaf."""

    name: str
    due: str
    """What is said has to match it."""
    said: Counter[str] = field(default_factory=Counter)
    evaluations: list[int] = field(default_factory=list)
    right: int = 0
    innocent: int = 0

    def add(self, location: Location | None, wrong: HostArray) -> None:
        """One more trial."""
        where = location.where if location else "(nothing)"
        self.said[where] += 1
        self.evaluations.append(location.evaluations if location else 0)
        self.right += bool(re.search(self.due, where))
        self.innocent += sum(not wrong[index] for index in location.entries) if location else 0


@dataclass
class Peer:
    """torch's gradcheck on one wrong entry."""

    ground: str
    entries: int
    size: float
    calls: int
    central: int
    says: str
    entry: int


def document(
    rows: Sequence[Row], dense: Sequence[Dense], peers: Sequence[Peer], environment: str, seconds: float
) -> str:
    """The page."""
    innocent, trials = sum(row.innocent for row in rows), sum(len(row.trials) for row in rows)
    lines = [
        "# Evaluations to name the wrong entries",
        "",
        "Entries of a right gradient are multiplied by 1 + s. The function's constants, the point, the entries and the probes are",
        "drawn anew for every trial. Evaluations: median / 90 % / largest. **After a check**: of the search alone, which uses the",
        "probes of the check that refuted the gradient. **Two ladders**, **one ladder**: in all, for a search without a check, with so many",
        "ladders of steps along random probes to begin with. *Exact*: share of the trials with exactly the planted entries; then the",
        "number of exact ones among the trials in which every entry that was missed is off by more than the bar of its own ladder.",
        "Innocent: entries blamed that are right, in all searches. Seconds: of the search after a check, in evaluations of the function.",
        "",
        f"Written by `benchmarks/locate.py` in {seconds / 60:.0f} minutes. {environment}.",
        "",
        *(f"- {target}" for target in _targets(rows)),
        f"- {'PASS' if not innocent else 'FELL SHORT'}: no innocent entry blamed: {innocent} in {trials:,} trials of {len(WAYS)} searches each (target: 1,000)",
        "",
        *LIMITS,
        "",
        "| function | n | wrong | s | trials | "
        + " | ".join(f"{way} | exact" for way in WAYS)
        + " | innocent | seconds |",
        "|---|" + "--:|" * (6 + 2 * len(WAYS)),
        *(str(row) for row in rows),
        "",
        "## Many wrong entries",
        "",
        "A leaf of 60 × 80, whose entries are off by about 1e-3 of themselves: what is said of the place. The evaluations are those",
        "of the search after a check.",
        "",
        *_dense(dense),
    ]
    if peers:
        lines += ["", "## Beside it", "", *_peers(peers)]
    return "\n".join([*lines, ""])


def _targets(rows: Sequence[Row]) -> Iterator[str]:
    for n, wrong, most in ((10**4, 1, 45), (10**7, 1, 50), (10**7, 10, 250)):
        group = [t for row in rows if (row.entries, row.wrong) == (n, wrong) for t in row.trials]
        for way in (1, 2) if group else ():
            counts = [one.evaluations[way] for one in group]
            middle, largest = float(np.median(counts)), max(counts)
            word = "PASS" if middle <= most else "FELL SHORT"
            within = np.mean(np.asarray(counts) <= most)
            yield (
                f"{word}: {wrong} wrong of {_power(n)}, in all, {WAYS[way]}, ≤ {most}: median {middle:.0f}, largest {largest}, "
                f"{within:.1%} of {len(group)} trials within"
            )
    for way, name in enumerate(WAYS):
        found, visible = (sum(x) for x in zip(*(row.seen(way) for row in rows), strict=True))
        share = found / max(visible, 1)
        word = "PASS" if share >= 0.99 else "FELL SHORT"
        yield f"{word}: the exact set where every error exceeds the bar of a single entry, {name}, ≥ 99 %: {share:.2%} of {visible:,}"


def _dense(dense: Sequence[Dense]) -> Iterator[str]:
    yield "| wrong | trials | said most often | said rightly | innocent | evaluations, median | largest |"
    yield "|---|--:|---|--:|--:|--:|--:|"
    for one in dense:
        often, times = one.said.most_common(1)[0]
        trials = len(one.evaluations)
        yield (
            f"| {one.name} | {trials} | {often} ({times} ×) | {one.right / trials:.0%} | {one.innocent} | "
            f"{np.median(one.evaluations):.0f} | {max(one.evaluations)} |"
        )


def _peers(peers: Sequence[Peer]) -> Iterator[str]:
    yield "torch.autograd.gradcheck, slow mode at its defaults, on one wrong entry: evaluations counted. Central differences take"
    yield "2n evaluations (computed, not run); they have no bar, so that a tolerance has to be guessed to name an entry by them."
    yield ""
    yield "| function | n | s | gradcheck: evaluations | refused | names the entry | central differences: evaluations |"
    yield "|---|--:|--:|--:|---|---|--:|"
    for one in peers:
        refused = "yes" if one.says else "no"
        named = "yes" if f"[{one.entry}]" in one.says or f"index {one.entry}" in one.says else "no"
        named = f"{named}: prints both Jacobians" if one.says and named == "no" else named
        yield f"| {one.ground} | {_power(one.entries)} | {one.size:.0e} | {one.calls:,} | {refused} | {named} | {one.central:,} |"


def _power(n: int) -> str:
    exponent = len(str(n)) - 1
    return f"10{'⁰¹²³⁴⁵⁶⁷⁸⁹'[exponent]}" if n == 10**exponent else f"{n:,}"
