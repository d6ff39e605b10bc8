"""A Report in the terminal: leaves, then sources, then the answer as the last line. At most 40 lines."""

__all__ = ["render", "show"]

import math
import shutil
from collections.abc import Iterator
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from gradproof.trees import leaves_by_path
from gradproof.verdict import Finding, Reason, Verdict

if TYPE_CHECKING:
    from gradproof.report.record import Report, SourceResult

MOST_LEAVES = 12
"""Leaves shown; the worst ones. With two lines a leaf, the sources and the answer, this fits 40 lines."""

_SYMBOLS = {
    Verdict.AGREES: ("✓", "green"),
    Verdict.DISAGREES: ("✗", "bold red"),
    Verdict.UNDECIDED: ("?", "yellow"),
    Verdict.UNSUPPORTED: ("–", "dim"),
}
_SEVERITY = (Verdict.AGREES, Verdict.UNSUPPORTED, Verdict.UNDECIDED, Verdict.DISAGREES)


def render(report: "Report", width: int | None = None) -> str:
    """`report` as plain text, `width` columns wide (default: the terminal's)."""
    columns = width or shutil.get_terminal_size((100, 24)).columns
    console = Console(file=StringIO(), width=columns, no_color=True, force_terminal=False, highlight=False)
    show(report, console)
    file = console.file
    text = file.getvalue() if isinstance(file, StringIO) else ""
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())


def show(report: "Report", console: Console) -> None:
    """Print `report` on a rich console, with its colours."""
    console.print(Group(*_parts(report)))


def _parts(report: "Report") -> Iterator[RenderableType]:
    yield _leaf_table(report)
    yield from _worst_entries(report)
    for finding in report.findings:
        if finding.what in ("contract", "value", "tangent") and finding.verdict is not Verdict.AGREES:
            yield _note(finding)
    yield Text()
    yield _source_table(report)
    yield Text()
    yield from _ending(report)


def _leaf_table(report: "Report") -> Table:
    others = [name for name in report.sources if name != report.claim]
    pairs = [(report.claim, name) for name in others] if report.claim else _all_pairs(report)
    pairs = [
        pair for pair in pairs if any(set(pair) == set(f.sources) for f in report.findings)
    ] or _all_pairs(report)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header in ("leaf", "shape", "dtype", *(f"{a} ~ {b}" for a, b in pairs)):
        table.add_column(header, overflow="fold")
    for path in _worst_last(report):
        shape, dtype = report.leaves[path]
        cells = [
            _cell([f for f in report.findings if f.leaf == path and set(f.sources) == set(p)]) for p in pairs
        ]
        table.add_row(Text(path), Text(str(shape)), Text(dtype), *cells)
    return table


def _all_pairs(report: "Report") -> list[tuple[str | None, str]]:
    return list(
        dict.fromkeys((f.sources[0], f.sources[1]) for f in report.findings if f.leaf and len(f.sources) == 2)
    )


def _worst_last(report: "Report") -> list[str]:
    """Paths to show, the worst last: that is where the eye is when the output has scrolled by."""

    def severity(path: str) -> tuple[int, float]:
        of_leaf = [f for f in report.findings if f.leaf == path and f.verdict is not Verdict.AGREES]
        return max(((_SEVERITY.index(f.verdict), _finite(f.excess)) for f in of_leaf), default=(0, 0.0))

    return sorted(report.leaves, key=severity)[-MOST_LEAVES:]


def _cell(findings: list[Finding]) -> Text:
    """One pair on one leaf: the relative gap if they differ, else the relative error that would have shown."""
    if not findings:
        return Text("")
    finding = max(findings, key=lambda f: (_SEVERITY.index(f.verdict), _finite(f.excess)))
    symbol, style = _SYMBOLS[finding.verdict]
    if finding.verdict is Verdict.UNDECIDED and finding.reason:
        return Text(f"{symbol} {finding.reason.name.lower().replace('_', ' ')}", style)
    if finding.verdict is Verdict.DISAGREES:
        return Text(f"{symbol} off {_relative(finding.gap, finding.scale)}", style)
    return Text(f"{symbol} to {_relative(finding.bar, finding.scale)}", style)


def _worst_entries(report: "Report") -> Iterator[Text]:
    """For every wrong leaf shown, one line with every source's value where they differ most."""
    for path in _worst_last(report):
        wrong = [f for f in report.findings if f.leaf == path and f.values and f.verdict is Verdict.DISAGREES]
        if wrong:
            worst = max(wrong, key=lambda f: (f.worst is not None, _finite(f.excess)))
            values = _values_at(report, path, worst)
            digits = _digits(worst.gap, max(abs(value) for value in worst.values.values()))
            shown = "  ".join(f"{name} {value:+.{digits}g}" for name, value in values.items())
            where = f"{path}{list(worst.worst)}" if worst.worst else f"{path} along a random direction:"
            yield Text(f"{where}  {shown}")


def _values_at(report: "Report", path: str, finding: Finding) -> dict[str, float]:
    """What every source has at the worst entry of a finding, or what the two of it have along a probe."""
    if finding.worst is None:
        return finding.values
    leaves = {name: leaves_by_path(tree)[path] for name, tree in report.gradients.items()}
    return {name: float(leaf[finding.worst]) for name, leaf in leaves.items()} | finding.values


def _digits(gap: float, size: float) -> int:
    """Significant digits in which a gap of this size shows."""
    return min(max(3 - math.floor(math.log10(gap / size)), 6), 17) if 0 < gap < size else 6


def _source_table(report: "Report") -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("source")
    table.add_column("verdict", no_wrap=True)
    table.add_column("dtype")
    table.add_column("evaluations", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("", overflow="fold")
    for name, result in report.sources.items():
        symbol, style = _SYMBOLS[result.verdict]
        cost = (str(result.calls), f"{result.seconds:.3f}") if result.calls else ("", "")
        words = ", ".join(filter(None, ["the claim" if name == report.claim else "", _why(result)]))
        verdict = Text(f"{symbol} {result.verdict.value}", style)
        table.add_row(Text(name), verdict, result.dtype, *cost, Text(words))
    return table


def _why(result: "SourceResult") -> str:
    """A source's reason in a few words; all of it stands in the report."""
    if result.reason is None:
        return result.detail if result.name == "numeric" else ""
    if result.reason is Reason.DIFFERS:
        return ""
    if result.verdict is Verdict.UNSUPPORTED:
        return result.reason.name.lower().replace("_", " ")
    return result.reason.value


def _note(finding: Finding) -> Text:
    symbol, style = _SYMBOLS[finding.verdict]
    what = f"{' ~ '.join(finding.sources)}{f', {finding.leaf}' if finding.leaf else ''}"
    gap = f" (off by {_relative(finding.gap, finding.scale)})" if math.isfinite(finding.gap) else ""
    why = ": ".join(part for part in (finding.reason.value if finding.reason else "", finding.detail) if part)
    return Text(f"{symbol} {what}: {why}{gap}", style)


def _ending(report: "Report") -> Iterator[Text]:
    for name, result in report.sources.items():
        if result.verdict is Verdict.UNSUPPORTED and result.reason:
            yield Text(
                f"{name}: {result.reason.value} ({result.detail})", "dim", no_wrap=True, overflow="ellipsis"
            )
    hidden = len(report.leaves) - MOST_LEAVES
    if hidden > 0:
        yield Text(f"{hidden} more leaves, none worse than those shown")
    if report.verdict is Verdict.AGREES:
        yield from (Text(f.detail) for f in report.findings if f.reason in (Reason.UNSEEN, Reason.MASKED))
    if report.nearest_kink is not None:
        yield Text(_distance(report.nearest_kink))
    certificate = report.certificate
    if certificate and report.verdict is Verdict.AGREES and certificate.relative < 1:
        yield Text(
            f"the whole gradient is off by ≤ {certificate.relative:.1e} of its norm "
            f"({certificate.confidence:.4g} confidence, seed {report.seed})"
        )
    yield _answer(report)


def _distance(kink: float) -> str:
    if kink == 0:
        return "nearest kink: at the point itself"
    return f"nearest kink: {kink:.1e} of the parameters' sizes away, along a random direction"


def _answer(report: "Report") -> Text:
    symbol, style = _SYMBOLS[report.verdict]
    judged = report.claim or "all sources"
    agreeing = [n for n, r in report.sources.items() if r.verdict is Verdict.AGREES and n != report.claim]
    if report.verdict is Verdict.AGREES:
        text = f"{judged} agrees with {_listed(agreeing)}" if report.claim else f"{_listed(agreeing)} agree"
    elif report.odd_one_out and report.odd_one_out == report.claim and agreeing:
        text = f"{judged} is the odd one out; {_listed(agreeing)} agree" if len(agreeing) > 1 else (
            f"{judged} disagrees with {agreeing[0]}"
        )  # fmt: skip
    else:
        text = f"{judged}: {report.reason.value if report.reason else ''}"
    if report.detail and report.verdict is not Verdict.AGREES:
        text += f" ({report.detail})"
    return Text(f"{symbol} {report.verdict.value}  {text}", style)


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "nothing"


def _relative(size: float, scale: float) -> str:
    return f"{size / scale:.1e}" if scale > 0 else f"{size:.1e} absolute"


def _finite(x: float) -> float:
    return x if math.isfinite(x) else math.inf
