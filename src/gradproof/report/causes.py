"""What would explain it: diagnoses with their codes, and contracts that are broken."""

__all__ = ["causes", "diagnoses", "explained", "notes", "title"]

import math
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from gradproof.codes import CODES
from gradproof.report.rows import Row, grid
from gradproof.report.view import View
from gradproof.report.words import clipped, digits, in_words, listed, more, named, relative, with_bar
from gradproof.verdict import Diagnosis, Finding, Verdict


def causes(view: View, path: str) -> Iterator[Row]:
    """Diagnoses of this leaf alone."""
    order = view.order
    yield from (_diagnosis(view, d) for d in order.simplest if order.alone(d) == path)
    yield from _alternatives(view, [d for d in order.others if order.alone(d) == path])


def diagnoses(view: View) -> Iterator[RenderableType]:
    """Diagnoses that no block of a leaf shows, and sources for which there is none."""
    order, most = view.order, view.limits.notes
    shared = [d for d in order.simplest if order.alone(d) is None]
    others = [d for d in order.others if order.alone(d) is None]
    rows = [_diagnosis(view, d) for d in shared[:most]]
    rows += _alternatives(view, others)
    if len(shared) > most:
        rows.append(
            Row("", [f"{more(len(shared) - most, 'diagnosis', 'diagnoses')}; verbosity=2 shows all"], "dim")
        )
    if rows:
        yield grid(view, rows)
    if unknown := view.report.undiagnosed:
        yield view.pen.mark(Verdict.UNDECIDED, f"{listed(unknown)}: no known mistake explains it")


def notes(view: View) -> Iterator[RenderableType]:
    """Contracts that are broken, those of one kind together."""
    kinds: dict[object, list[Finding]] = {}
    for at, finding in enumerate(view.order.broken):
        if explained(view, finding):
            continue
        kind = (finding.what, finding.sources, finding.reason)
        kinds.setdefault(at if view.limits.full else kind, []).append(finding)
    chosen = sorted(kinds.values(), key=lambda alike: alike[0].verdict is Verdict.DISAGREES)
    hidden = max(len(chosen) - view.limits.notes, 0)
    for alike in chosen[hidden:]:
        others = f" (and {len(alike) - 1} more like it)" if len(alike) > 1 else ""
        yield _note(view, alike[0], others)
    if hidden:
        yield view.pen.text(f"{more(hidden, 'note', 'notes')}; verbosity=2 shows all", "dim")


def explained(view: View, finding: Finding) -> bool:
    """Whether a diagnosis tells all of it; where everything is shown both are."""
    order, reason = view.order, in_words(finding.reason)
    own = (
        d for d in order.simplest if d.source == finding.sources[0] and order.alone(d) in (None, finding.leaf)
    )
    return not view.limits.full and any(reason in d.says and finding.detail in d.says for d in own)


def _diagnosis(view: View, diagnosis: Diagnosis) -> Row:
    says = clipped(_sentence(diagnosis), view.limits.characters)
    name = "" if diagnosis.named == f"{diagnosis.value:g}" else diagnosis.named
    number = " = ".join(x for x in (_fitted(diagnosis), name) if x and x not in diagnosis.says)
    words = ": ".join(filter(None, [_stands_for(diagnosis), says]))
    number = f" ({number})" if number else ""
    attempt = f"; try {diagnosis.correction}" if diagnosis.correction else ""
    return Row(diagnosis.code, [words + number + attempt + _where(view, diagnosis)])


def _sentence(diagnosis: Diagnosis) -> str:
    """What it says, with the source as its subject."""
    named = diagnosis.says.startswith(diagnosis.source)
    return diagnosis.says if named else f"{diagnosis.source} {diagnosis.says}"


def _fitted(diagnosis: Diagnosis) -> str:
    """The fitted number with its bar; what the sentence has of them is left out."""
    if not math.isfinite(diagnosis.value) or "±" in diagnosis.says:
        return ""
    if f"{abs(diagnosis.value):.6g}" in diagnosis.says:
        return f"±{diagnosis.bar:.1e}" if math.isfinite(diagnosis.bar) else ""
    significant = max(digits(diagnosis.bar, abs(diagnosis.value)) - 3, 6)
    return with_bar(diagnosis.value, diagnosis.bar, significant, sign="")


def _where(view: View, diagnosis: Diagnosis) -> str:
    """Which leaves it concerns, if there are others and no block says so."""
    count = len(view.report.leaves)
    if not diagnosis.leaves or count == 1 or view.order.alone(diagnosis) is not None:
        return ""
    if len(diagnosis.leaves) == count:
        return f" (in all {count} leaves)"
    return f" (in {len(diagnosis.leaves)} of {count} leaves: {named(diagnosis.leaves, view.limits.names)})"


def _alternatives(view: View, found: Sequence[Diagnosis]) -> list[Row]:
    """Others that would do as well: in full where everything is shown, else their codes."""
    if view.limits.full:
        return [_diagnosis(view, d)._replace(label=f"or {d.code}") for d in found]
    titles = list(dict.fromkeys(title(d) for d in found))
    return [Row("or", [named(titles, view.limits.names)], "dim")] if titles else []


def title(diagnosis: Diagnosis) -> str:
    """Its code with what that stands for."""
    return f"{diagnosis.code} {_stands_for(diagnosis)}".rstrip()


def _stands_for(diagnosis: Diagnosis) -> str:
    return CODES[diagnosis.code].title if diagnosis.code in CODES else ""


def _note(view: View, finding: Finding, others: str) -> Text:
    what = f"{' ~ '.join(finding.sources)}{f', {finding.leaf}' if finding.leaf else ''}"
    gap = f" (off by {relative(finding.gap, finding.scale)})" if math.isfinite(finding.gap) else ""
    return view.pen.mark(finding.verdict, f"{what}: {_why(view, finding)}{gap}{others}")


def _why(view: View, finding: Finding) -> str:
    detail = clipped(finding.detail, view.limits.characters)
    return ": ".join(filter(None, [in_words(finding.reason), detail]))
