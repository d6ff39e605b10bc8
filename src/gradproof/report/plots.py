"""A Report as a matplotlib Figure. pyplot is never imported: no backend is chosen, and no figure is left open."""

__all__ = ["MOST_LEAVES", "figure"]

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.report.ending import answer
from gradproof.report.plain import as_plain
from gradproof.report.plots_contrast import Contrast, contrast
from gradproof.report.plots_scale import Scale, scale_of
from gradproof.report.record import ProbeSummary, Report
from gradproof.report.schema_grid import Grid, grid_of
from gradproof.report.schema_reader import from_plain
from gradproof.report.view import EVERYTHING, Order, View
from gradproof.report.words import Pen, clipped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MOST_LEAVES = 6
"""Drawn in one figure, the worst first."""

RED, GREEN, BLUE, INK = "#c6302b", "#1a7f45", "#2f4fd0", "#20242b"
GREY = "#8a919c"

WIDTH, LEAF, STRIP, LAST = 10.0, 2.7, 1.6, 3.3
"""Inches: of the figure, and heights of a leaf's row, of one with a single row of cells, and of the last one."""


def figure(report: Report, leaf: str | None = None) -> "Figure":
    """Entries of the wrong leaves, error against step, evaluations; of one `leaf` only if that is named."""
    made = _empty_figure()
    order = Order(from_plain(as_plain(report)))
    drawn = [found for path in _paths(order, leaf) if (found := contrast(order, path)) and len(found.indices)]
    probes = _probes(order.report, leaf or (drawn[0].leaf if drawn else None))
    heights = [STRIP if grid_of(found.shape).rows == 1 else LEAF for found in drawn] + [LAST]
    made.set_size_inches(WIDTH, 0.7 + sum(heights))
    rows = made.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for row, found in zip(rows, drawn, strict=False):
        _draw_leaf(row, found, _where(order, found))
    last = rows[-1].subplots(1, 2, width_ratios=[2, 1])
    _draw_steps(last[0], probes)
    _draw_costs(last[1], order.report)
    made.suptitle(_headline(order, leaf, len(drawn)), fontweight="bold", color=INK)
    return made


def _empty_figure() -> "Figure":
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 -- an extra, wanted for this only
    except ImportError as error:
        raise ImportError('a plot of a report needs matplotlib: pip install "gradproof[report]"') from error
    return Figure(layout="constrained", facecolor="white")


def _paths(order: Order, leaf: str | None) -> list[str]:
    if leaf is None:
        return order.wrong[::-1][:MOST_LEAVES]
    if leaf not in order.report.leaves:
        raise ValueError(f"there is no leaf {leaf!r}; there are {', '.join(order.report.leaves)}")
    return [leaf]


def _probes(report: Report, leaf: str | None) -> list[ProbeSummary]:
    """Those of the leaf; where it has none, those over all leaves."""
    known = [probe for probe in report.probes if isinstance(probe, ProbeSummary)]
    return [p for p in known if p.leaf == leaf and leaf] or [p for p in known if p.leaf is None]


def _headline(order: Order, leaf: str | None, drawn: int) -> str:
    words = answer(View(order, Pen(), 10**6, EVERYTHING)).plain
    hidden = len(order.wrong) - drawn if leaf is None else 0
    more = f" ({hidden} more wrong leaves are not drawn)" if drawn and hidden > 0 else ""
    return _plain(clipped(words, 110) + more)


def _plain(words: str) -> str:
    """`words` as matplotlib shows them: a dollar begins no formula, and what does not print is spelled."""
    return Pen().spelled(words).replace("$", r"\$")


# Leaves


def _where(order: Order, found: Contrast) -> str:
    """What is drawn, and where it is wrong."""
    places = [p for p in order.locations.get(found.leaf, []) if p.source == found.source]
    words = f"{clipped(found.leaf, 60)}   {found.shape} {order.report.leaves[found.leaf][1]}"
    return f"{words}   wrong: {clipped(places[0].where, 60)}" if places and places[0].where else words


def _draw_leaf(row: "SubFigure", found: Contrast, words: str) -> None:
    grid, bad = grid_of(found.shape), found.bad
    shown = found.difference[bad] if bad.any() else found.difference
    scale = scale_of(np.concatenate([found.claimed, found.right]), shown)
    axes = row.subplots(1, 3)
    names = (found.source, found.reference, f"{found.source} − {found.reference}")
    image: Any = None
    order = np.lexsort((np.nan_to_num(found.size, nan=np.inf), bad))
    for axis, name, values in zip(axes, names, (found.claimed, found.right, found.difference), strict=True):
        image = _draw_map(axis, grid, _cells(grid, found.indices[order], values[order]), scale)
        _label(axis, grid, len(found.shape))
        axis.set_title(_plain(clipped(name, 36)), fontsize=10, color=INK)
        _outline(axis, grid, _cells(grid, found.indices[order], bad[order].astype(float)))
    row.suptitle(_plain(words), fontsize=10.5)
    ticks = scale.ticks()[::2] if grid.rows == 1 else scale.ticks()
    bar = row.colorbar(image, ax=axes, shrink=0.9, pad=0.02, ticks=ticks)
    bar.ax.set_yticklabels([f"{tick:.0e}" if tick else "0" for tick in ticks], fontsize=8)
    bar.set_label("gradient (log)" if grid.rows == 1 else "gradient (symmetric log)", fontsize=8)


def _cells(grid: Grid, indices: HostArray, values: HostArray) -> HostArray:
    """Values by cell; where a cell has several, the last one; NaN where it has none."""
    out = np.full(grid.cells[0] * grid.cells[1], np.nan)
    out[grid.cell_of(indices)] = values
    return out.reshape(grid.cells)


def _draw_map(axis: "Axes", grid: Grid, cells: HostArray, scale: Scale) -> Any:
    from matplotlib.colors import SymLogNorm  # noqa: PLC0415 -- matplotlib is imported when it is needed

    norm = SymLogNorm(scale.linear, vmin=-scale.most, vmax=scale.most, base=10)
    axis.set_facecolor("#dddfe3")
    image = axis.imshow(
        np.where(np.isposinf(cells), scale.most, cells), cmap="RdBu_r", norm=norm, interpolation="nearest", aspect="auto",
        extent=(-0.5, grid.columns - 0.5, grid.rows - 0.5, -0.5),
    )  # fmt: skip
    axis.tick_params(labelsize=8, colors=INK)
    return image


def _label(axis: "Axes", grid: Grid, ndim: int) -> None:
    """Which axes of the leaf run where."""
    axis.locator_params(integer=True, nbins=6)
    if grid.rows == 1:
        axis.set_yticks([])
        axis.set_xlabel("entry", fontsize=8.5)
        return
    axis.set_xlabel("entry in its row" if grid.wrapped else f"axis {ndim - 1}", fontsize=8.5)
    before = "axis 0" if ndim == 2 else f"axes 0 to {ndim - 2}"
    axis.set_ylabel("row of entries" if grid.wrapped else before, fontsize=8.5)


def _outline(axis: "Axes", grid: Grid, marked: HostArray) -> None:
    """A frame around every cell with a wrong entry."""
    from matplotlib.collections import LineCollection  # noqa: PLC0415 -- matplotlib is imported when it is needed

    bad = np.pad(np.nan_to_num(marked) > 0, 1)
    strokes = []
    for row, column in np.argwhere(bad[1:, 1:-1] != bad[:-1, 1:-1]):
        strokes.append([(column, row), (column + 1, row)])
    for row, column in np.argwhere(bad[1:-1, 1:] != bad[1:-1, :-1]):
        strokes.append([(column, row), (column, row + 1)])
    scaled = [
        [(min(x * grid.wide, grid.columns) - 0.5, min(y * grid.high, grid.rows) - 0.5) for x, y in stroke]
        for stroke in strokes
    ]
    axis.add_collection(
        LineCollection(scaled, colors=INK, linewidths=1.2, capstyle="projecting", clip_on=False)
    )


# Steps and costs


def _draw_steps(axis: "Axes", probes: Sequence[ProbeSummary]) -> None:
    known = [probe for probe in probes if math.isfinite(probe.value) and math.isfinite(probe.bar)]
    axis.set_title("Error of a central difference against its step", fontsize=10.5, color=INK)
    if not known:
        axis.text(0.5, 0.5, "no slope was found", ha="center", va="center", color=GREY)
        axis.set_axis_off()
        return
    low, high = _range(known)
    for at, probe in enumerate(known):
        _draw_probe(axis, probe, low, first=at == 0)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_ylim(low, high)
    axis.set_xlabel("step, in sizes of the parameters", fontsize=9)
    axis.set_ylabel("distance from the slope", fontsize=9)
    axis.grid(color="#e3e6ea", linewidth=0.7)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _range(probes: Sequence[ProbeSummary]) -> tuple[float, float]:
    """Half a decade around all that is drawn; what is exact lies at the lower end."""
    sizes = [abs(x - probe.value) for probe in probes for x in (*probe.slopes, *probe.claims.values())]
    sizes += [probe.bar for probe in probes]
    known = [size for size in sizes if 1e-300 < size < 1e300]
    return 10**-0.5 * min(known, default=1e-16), 10**0.5 * max(known, default=1.0)


def _draw_probe(axis: "Axes", probe: ProbeSummary, low: float, *, first: bool) -> None:
    """Errors of one probe, and for the first one the bar, and how far every source's slope lies off."""
    errors = np.abs(np.array(probe.slopes) - probe.value)
    shade = BLUE if first else GREY
    name = _plain(f"{clipped(probe.name, 28)}: {probe.value:.4g}")
    axis.plot(probe.steps, np.maximum(errors, low), "o-", ms=3.5, lw=1.2, color=shade, label=name)
    if not first:
        return
    axis.axhline(
        max(probe.bar, low), color=INK, linestyle="--", linewidth=1.1, label=f"the bar: {probe.bar:.1e}"
    )
    for source, slope in probe.claims.items():
        off = abs(slope - probe.value)
        beyond = not off <= probe.bar
        words = f"{source} off by {off:.1e}" if beyond else f"{source}, within the bar"
        axis.axhline(np.maximum(off, low), color=RED if beyond else GREEN, linewidth=1.6, label=_plain(words))


def _draw_costs(axis: "Axes", report: Report) -> None:
    names = list(report.sources)
    calls = [report.sources[name].calls for name in names]
    axis.set_title("Evaluations", fontsize=10.5, color=INK)
    shown = axis.barh([_plain(clipped(name, 20)) for name in names], calls, color=BLUE, height=0.55)
    axis.bar_label(shown, padding=3, fontsize=8, color=INK)
    axis.set_xlabel("numeric: of the function; others: of the gradient", fontsize=7.5)
    axis.invert_yaxis()
    axis.locator_params(axis="x", integer=True, nbins=5)
    axis.margins(x=0.18)
    axis.tick_params(labelsize=8.5)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
