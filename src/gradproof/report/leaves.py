"""The table of leaves: one row each, the worst last, with what every comparison came to."""

__all__ = ["cell", "leaf_table"]

import math
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gradproof.report.rows import fitting
from gradproof.report.view import View
from gradproof.report.words import SEVERITY, Pen, finite, in_short, more, relative
from gradproof.verdict import Finding, Verdict


def leaf_table(view: View) -> Iterator[RenderableType]:
    """The table, and how many leaves it leaves out."""
    paths = view.order.leaves
    hidden = max(len(paths) - view.limits.leaves, 0)
    if shown := paths[hidden:]:
        yield _fitting(view, shown)
    if hidden:
        yield view.pen.text(f"{more(hidden, 'leaf', 'leaves')}, none worse than those shown")


def cell(pen: Pen, findings: Sequence[Finding]) -> Text:
    """The worst finding: the relative gap if two differ, else the relative error that would have shown."""
    if not findings:
        return Text("")
    finding = max(findings, key=_severity)
    reason = in_short(finding.reason)
    if finding.verdict is Verdict.UNDECIDED and reason:
        return pen.mark(finding.verdict, reason)
    if finding.verdict is Verdict.DISAGREES:
        off = f"off {relative(finding.gap, finding.scale)}" if math.isfinite(finding.gap) else reason
        return pen.mark(finding.verdict, off)
    if math.isnan(finding.bar):
        return pen.mark(finding.verdict, reason)
    return pen.mark(finding.verdict, f"to {relative(finding.bar, finding.scale)}")


def _severity(finding: Finding) -> tuple[int, float, float]:
    return SEVERITY.index(finding.verdict), finite(finding.excess), finding.resolution


def _fitting(view: View, paths: Sequence[str]) -> Table:
    """With shape, dtype and a column for every pair; where that is too wide without, and then with one verdict a leaf."""
    pen, columns = view.pen, _columns(view)
    found = {path: view.order.findings.get(path, []) for path in paths}
    pairs = [[cell(pen, [f for f in found[path] if set(f.sources) == c]) for c in columns] for path in paths]
    names = [pen.text(path) for path in paths]
    kinds = [[pen.text(str(x)) for x in view.report.leaves[path]] for path in paths]
    heads = [_head(view, column) for column in columns]
    wide = [[name, *kind, *cells] for name, kind, cells in zip(names, kinds, pairs, strict=True)]
    plain = [[name, *cells] for name, cells in zip(names, pairs, strict=True)]
    single = [[name, cell(pen, found[path])] for name, path in zip(names, paths, strict=True)]
    layouts = [
        (["leaf", "shape", "dtype", *heads], wide), (["leaf", *heads], plain), (["leaf", "verdict"], single),
    ]  # fmt: skip
    return fitting(view, layouts, folding=0)


def _columns(view: View) -> list[frozenset[str]]:
    """Sources that are compared: the claim with every other one if it was, else all pairs; contracts before them."""
    report = view.report
    of_leaves = [f for f in report.findings if f.leaf in report.leaves]
    broken = [f.sources for f in of_leaves if len(f.sources) == 1 and f.verdict is not Verdict.AGREES]
    pairs = dict.fromkeys(f.sources for f in of_leaves if len(f.sources) == 2)
    own = [(report.claim, name) for name in report.sources if name != report.claim]
    compared = [pair for pair in own if any(set(pair) == set(known) for known in pairs)]
    return list(dict.fromkeys(frozenset(filter(None, names)) for names in (*broken, *(compared or pairs))))


def _head(view: View, column: frozenset[str]) -> str:
    order = [name for name in (view.report.claim, *view.report.sources) if name in column]
    return " ~ ".join(name for name in dict.fromkeys(order) if name) or " ~ ".join(sorted(column))
