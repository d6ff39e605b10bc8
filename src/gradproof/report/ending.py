"""The end of a report: the sources, what is to be said of them all, and the answer."""

__all__ = ["again", "answer", "every_finding", "remarks", "source_table"]

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from gradproof.report.rows import Row, fitting, grid
from gradproof.report.view import CONTRACTS, View
from gradproof.report.words import SEVERITY, clipped, in_short, in_words, listed, more
from gradproof.verdict import Finding, Reason, Verdict

USUAL_RESOLUTION = 1e-3
"""With which a check runs that names no other."""

LEAST = 16
"""Columns that are left for words beside a source; below that its cost is left out."""


def source_table(view: View) -> Iterator[RenderableType]:
    """Every source with its verdict, and what it cost; columns that do not fit are left out."""
    report, pen = view.report, view.pen
    by_severity = sorted(report.sources.values(), key=lambda r: SEVERITY.index(r.verdict), reverse=True)
    chosen = {result.name for result in by_severity[: view.limits.sources]}
    rows = []
    for result in (result for result in report.sources.values() if result.name in chosen):
        cost = (str(result.calls), f"{result.seconds:.3f}") if result.calls else ("", "")
        words = ", ".join(
            filter(None, ["the claim" if result.name == report.claim else "", _few(view, result.name)])
        )
        verdict = pen.mark(result.verdict, result.verdict.value)
        rows.append([pen.text(result.name), verdict, *map(pen.text, (result.dtype, *cost, words))])
    header = ("source", "verdict", "dtype", "evaluations", "seconds", "")
    kept = (range(6), (0, 1, 3, 4, 5), (0, 1, 5))
    layouts = [
        ([header[i] for i in columns], [[row[i] for i in columns] for row in rows]) for columns in kept
    ]
    yield fitting(view, layouts, folding=-1, least=LEAST)
    if hidden := len(report.sources) - len(rows):
        yield pen.text(f"{more(hidden, 'source', 'sources')}, none worse than those shown")


def _few(view: View, name: str) -> str:
    """A source's reason in a few words."""
    result = view.report.sources[name]
    if result.reason is None:
        return result.detail if name == "numeric" else ""
    return "" if result.reason is Reason.DIFFERS else in_short(result.reason)


def remarks(view: View) -> Iterator[RenderableType]:
    """Why sources could not be asked or decide, what could not be seen, and how sure it is."""
    report, pen, limits = view.report, view.pen, view.limits
    for who, reason, detail in _reasons(view)[: limits.notes]:
        words = f"{listed(who)}: {reason}{f' ({detail})' if detail else ''}"
        whole = limits.full or not detail
        yield pen.text(words, "dim") if whole else pen.one_line(words, "dim", view.width)
    if report.verdict is Verdict.AGREES:
        unseen = [f.detail for f in report.findings if f.reason in (Reason.UNSEEN, Reason.MASKED)]
        yield from (pen.text(clipped(detail, limits.characters)) for detail in unseen[: limits.notes])
    if report.nearest_kink is not None:
        yield pen.text(_distance(report.nearest_kink))
    certificate = report.certificate
    if certificate and report.verdict is Verdict.AGREES and certificate.relative < 1:
        yield pen.text(
            f"the whole gradient is off by ≤ {certificate.relative:.1e} of its norm "
            f"({certificate.confidence:.4g} confidence, seed {report.seed})"
        )


def _reasons(view: View) -> list[tuple[list[str], str, str]]:
    """(sources, reason, detail) of those whose reason is told nowhere else."""
    report, answered = view.report, answer(view).plain
    told = {(name, f.reason) for f in report.findings if f.what in CONTRACTS for name in f.sources}
    grouped: dict[tuple[str, str], list[str]] = {}
    for name, result in report.sources.items():
        reason = in_words(result.reason)
        if (
            result.reason is Reason.DIFFERS
            or (name, result.reason) in told
            or view.pen.spelled(reason) in answered
        ):
            continue
        detail = result.detail if view.limits.full or result.verdict is Verdict.UNSUPPORTED else ""
        grouped.setdefault((reason, detail), []).append(name)
    return [(who, reason, detail) for (reason, detail), who in grouped.items()]


def _distance(kink: float) -> str:
    if kink == 0:
        return "nearest kink: at the point itself"
    return f"nearest kink: {kink:.1e} of the parameters' sizes away, along a random direction"


def answer(view: View) -> Text:
    """The last line."""
    report = view.report
    judged = report.claim or "all sources"
    agreeing = [n for n, r in report.sources.items() if r.verdict is Verdict.AGREES and n != report.claim]
    if report.verdict is Verdict.AGREES:
        text = f"{judged} agrees with {listed(agreeing)}" if report.claim else f"{listed(agreeing)} agree"
    elif report.odd_one_out and report.odd_one_out == report.claim and agreeing:
        text = f"{judged} is the odd one out; {listed(agreeing)} agree" if len(agreeing) > 1 else (
            f"{judged} disagrees with {agreeing[0]}"
        )  # fmt: skip
    else:
        text = f"{judged}: {in_words(report.reason)}"
    if report.detail and report.verdict is not Verdict.AGREES:
        text += f" ({clipped(report.detail, view.limits.characters)})"
    return view.pen.mark(report.verdict, f"{report.verdict.value}  {text}")


def again(view: View) -> Iterator[RenderableType]:
    """How to see it once more; the certificate of what agrees names its seed."""
    report = view.report
    if report.verdict is Verdict.AGREES:
        return
    names = ", ".join(f'"{name}"' for name in report.sources)
    resolution = f", resolution={report.resolution:g}" if report.resolution != USUAL_RESOLUTION else ""
    yield view.pen.text(f"again: check(..., seed={report.seed}, sources=[{names}]{resolution})")


def every_finding(view: View) -> Iterator[RenderableType]:
    """All comparisons and contracts with their bars."""
    yield grid(view, [Row(view.pen.mark(f.verdict).plain, [_finding(f)]) for f in view.report.findings])


def _finding(finding: Finding) -> str:
    """Values, gap and bar of a comparison, or what is said of a contract."""
    what = f"{finding.what} {' ~ '.join(finding.sources)}, {finding.leaf or 'all leaves'}"
    where = "" if finding.worst in (None, ()) else f" at {list(finding.worst or ())}"
    size = f"gap {finding.gap:.1e}, bar {finding.bar:.1e}" if math.isfinite(finding.bar) else ""
    resolved = f"of {finding.scale:.1e}" if size and math.isfinite(finding.scale) else ""
    reason = "" if finding.reason is Reason.DIFFERS else in_words(finding.reason)
    why = ": ".join(filter(None, [reason, finding.detail]))
    return "  ".join(filter(None, [what + where, f"{size} {resolved}".strip(), why]))
