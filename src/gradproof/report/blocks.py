"""What is told of every wrong leaf: the worst entry, how many are wrong, and the mistake that would explain it."""

__all__ = ["blocks", "one_liners"]

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from rich.console import Group, RenderableType

from gradproof.report.causes import causes, explained, title
from gradproof.report.leaves import cell
from gradproof.report.rows import Row, grid, marked
from gradproof.report.view import CONTRACTS, View
from gradproof.report.words import clipped, digits, finite, in_short, in_words, more, with_bar
from gradproof.verdict import Finding, Location, Verdict


class _Entry(NamedTuple):
    """A wrong entry that was located."""

    place: Location
    at: tuple[int, ...]
    error: float
    bar: float


def blocks(view: View) -> Iterator[RenderableType]:
    """A block for every wrong leaf, the worst last."""
    wrong = view.order.wrong
    hidden = max(len(wrong) - view.limits.blocks, 0)
    if hidden:
        yield view.pen.text(f"{more(hidden, 'wrong leaf', 'wrong leaves')}; verbosity=2 shows all", "dim")
    for path in wrong[hidden:]:
        shape, dtype = view.report.leaves[path]
        heading = view.pen.text(path, "bold").append(f"   {shape} {dtype}", "not bold")
        yield Group(marked(view.pen, Verdict.DISAGREES, heading), grid(view, list(_of_leaf(view, path))))
    joint = view.order.joint
    if joint:
        yield Group(
            marked(view.pen, Verdict.DISAGREES, view.pen.text("all leaves together", "bold")),
            grid(view, [_slope(finding) for finding in joint[: view.limits.notes]]),
        )


def one_liners(view: View) -> Iterator[RenderableType]:
    """A line for every wrong leaf: where, and the codes of what would explain it."""
    for path in view.order.wrong:
        shape, dtype = view.report.leaves[path]
        found = view.order.findings.get(path, [])
        places = [_wrong(view, place, math.prod(shape)) for place in view.order.locations.get(path, [])]
        codes = [title(d) for d in view.order.simplest if path in view.order.covered(d)]
        line = [f"{path}  {shape} {dtype}", *(places or [_worst(view, found)]), *codes]
        yield view.pen.mark(Verdict.DISAGREES, "  ".join(line))
    if view.order.joint:
        yield view.pen.mark(Verdict.DISAGREES, f"all leaves together  {_worst(view, view.order.joint)}")


def _worst(view: View, findings: Sequence[Finding]) -> str:
    worst = max(
        (f for f in findings if f.verdict is Verdict.DISAGREES), key=lambda f: finite(f.excess), default=None
    )
    if worst is None:
        return ""
    return f"{' ~ '.join(worst.sources)} {cell(view.pen, [worst]).plain.partition(' ')[2]}"


# One leaf


def _of_leaf(view: View, path: str) -> Iterator[Row]:
    found = view.order.findings.get(path, [])
    places = view.order.locations.get(path, [])
    yield from _values(view, path)
    size = math.prod(view.report.leaves[path][0])
    for place in places:
        yield Row("wrong", [_wrong(view, place, size)])
    broken = [f for f in found if f.what in CONTRACTS and f.verdict is Verdict.DISAGREES]
    for finding in [f for f in broken if not explained(view, f)][: view.limits.notes]:
        said = clipped(finding.detail, view.limits.characters) or in_words(finding.reason)
        yield Row(in_short(finding.reason) or finding.what, [f"{' ~ '.join(finding.sources)}: {said}"])
    yield from causes(view, path)


def _values(view: View, path: str) -> Iterator[Row]:
    """What every source has at the worst entry, or at more of them; along a random direction where none was found."""
    found = [f for f in view.order.findings.get(path, []) if f.values and f.verdict is Verdict.DISAGREES]
    entries = [e for place in view.order.locations.get(path, []) for e in _entries(place)]
    pointed = [f for f in found if f.worst is not None]
    if entries:
        shown = entries[: view.limits.entries]
        yield from (_at(view, path, entry.at, entry) for entry in shown)
        if view.limits.full and len(entries) > len(shown):
            yield Row("", [more(len(entries) - len(shown), "named entry", "named entries")], "dim")
    elif pointed:
        worst = max(pointed, key=lambda f: finite(f.excess))
        yield _at(view, path, worst.worst or (), None)
    elif found:
        yield _slope(max(found, key=lambda f: finite(f.excess)))


def _entries(place: Location) -> Iterator[_Entry]:
    for index, error, bar in zip_longest(place.entries, place.errors, place.bars, fillvalue=math.nan):
        if isinstance(index, tuple):
            yield _Entry(place, index, error, bar)


def _at(view: View, path: str, index: tuple[int, ...], entry: _Entry | None) -> Row:
    values = {name: float(leaf[index]) for name, leaf in view.order.gradients(path).items()}
    bars: dict[str, float] = {}
    for finding in view.order.findings.get(path, []):
        if finding.worst == index:
            for name, value in finding.values.items():
                values.setdefault(name, value)
                bars[name] = min(bars.get(name, math.inf), finding.bar)
    if entry and (right := _right(entry, values)):
        name, value, bar = right
        values[name], bars[name] = value, bar
        bars.setdefault(entry.place.source, entry.bar)
    label = str(list(index)) if index else "value"
    if not values:
        return Row(label, [f"off by {with_bar(entry.error, entry.bar)}"] if entry else [])
    first = entry.place.source if entry else view.report.claim
    names = sorted(values, key=[first, *view.report.sources, *values].index)
    return Row(label, _pieces({name: values[name] for name in names[: view.limits.sources]}, bars))


def _right(entry: _Entry, values: Mapping[str, float]) -> tuple[str, float, float] | None:
    """Name, value and bar of the right value, unless only other sources that are shown anyway know it."""
    place = entry.place
    if entry.at == place.entries[0] and math.isfinite(place.numeric):
        return "numeric", place.numeric, place.numeric_bar
    if set(values) != {place.source} or not math.isfinite(entry.error):
        return None
    return "numeric" if place.evaluations else "right", values[place.source] - entry.error, entry.bar


def _slope(finding: Finding) -> Row:
    bars = dict.fromkeys(finding.values, finding.bar)
    return Row("slope", [*_pieces(finding.values, bars), "along a random direction"])


def _pieces(values: Mapping[str, float], bars: Mapping[str, float]) -> list[str]:
    """Every value with its bar; the bar of a difference bounds that of both values."""
    gap, size = max(values.values()) - min(values.values()), max(map(abs, values.values()))
    significant = digits(gap, size)
    return [
        f"{name} {with_bar(value, bars.get(name, math.nan), significant)}" for name, value in values.items()
    ]


def _wrong(view: View, place: Location, size: int) -> str:
    """How many entries are wrong, and in which pattern."""
    who = "" if place.source == view.report.claim else f"{place.source}: "
    where = clipped(place.where, view.limits.characters) or place.pattern
    if place.count is not None:
        told = where.endswith(f"{place.count} of {size} entries")
        return f"{who}{where}" if told else f"{who}{where} ({place.count} of {size})"
    share = "" if "%" in where else f"about {place.share:.0%} "
    return f"{who}{where} ({share}of {size})"
