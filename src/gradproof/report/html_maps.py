"""Maps of a wrong leaf for the HTML page: claimed, right and difference as pictures, and the numbers behind them."""

__all__ = ["Map", "map_of"]

import math
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.report.html_png import UNKNOWN, png, shades
from gradproof.report.plots_contrast import Contrast, Part
from gradproof.report.plots_scale import Scale, scale_of
from gradproof.report.schema_grid import Grid, grid_of

WIDEST = 300.0
"""Width of a picture on the page, in CSS pixels."""

CELL, THIN = 44.0, 18.0
"""Side of a cell where there are few, and where the other axis has many."""


@dataclass(frozen=True)
class Map:
    """What the page needs to draw one leaf, and to answer a pointer over it."""

    rows: int
    columns: int
    panels: tuple[tuple[str, str], ...]
    """Caption and data: URI of each picture."""
    outline: str
    """SVG path around the cells that hold a wrong entry."""
    wrong_cells: int
    layout: str
    """How the picture is to be read, in words."""
    scale: Scale
    partly: bool
    """Whether some of the right values are not known."""
    numbers: int
    """In `data`."""
    data: Mapping[str, Any]
    """For the script: shape, entry of every cell, and every source's value there."""

    @property
    def width(self) -> int:
        """Of a picture on the page, in CSS pixels."""
        return round(self.columns * _side(self.columns, self.rows))

    @property
    def height(self) -> int:
        """Of a picture on the page."""
        return round(self.rows * _side(self.rows, self.columns))


def map_of(contrast: Contrast, gradients: Mapping[str, HostArray | Part]) -> Map:
    """The map of `contrast`, every cell showing its worst entry; `gradients` are that leaf's, by source."""
    grid = grid_of(contrast.shape)
    chosen, cells = _worst_of_each(grid, contrast)
    down, across = grid.cells
    columns = [x[chosen] for x in (contrast.claimed, contrast.right, contrast.difference)]
    bad = contrast.bad[chosen]
    scale = scale_of(np.concatenate(columns[:2]), columns[2][bad] if bad.any() else columns[2])
    absent = [np.zeros(len(chosen), dtype=bool), *[np.isnan(columns[1]) & ~np.isnan(columns[0])] * 2]
    marked = np.zeros(down * across, dtype=bool)
    marked[cells[bad]] = True
    names = (contrast.source, contrast.reference, f"{contrast.source} − {contrast.reference}")
    pictures = (
        _picture((down, across), cells, scale.place(x), hidden)
        for x, hidden in zip(columns, absent, strict=True)
    )
    entries = contrast.indices[chosen]
    return Map(
        down, across, tuple(zip(names, pictures, strict=True)), _outline(marked.reshape(down, across)),
        int(marked.sum()), _layout(grid, contrast.shape), scale, bool(absent[1].any()),
        numbers=len(chosen) * (len(gradients) + 2),
        data={
            "shape": list(contrast.shape), "rows": down, "columns": across,
            "block": [grid.high, grid.wide], "names": [contrast.source, contrast.reference],
            "cells": _packed(cells), "entries": _packed(entries), "right": _packed(columns[1]),
            "values": {name: _packed(_at(leaf, entries)) for name, leaf in gradients.items()},
        },
    )  # fmt: skip


def _side(along: int, across: int) -> float:
    """Of a cell, so that pictures are no wider than a third of the page: square, unless the leaf is long and thin."""
    own, other = (min(max(WIDEST / cells, 2.0), CELL) for cells in (along, across))
    return max(min(own, other), min(own, THIN))


def _worst_of_each(grid: Grid, contrast: Contrast) -> tuple[HostArray, HostArray]:
    """(position among the known entries, cell) of the worst entry of every cell that has a known one."""
    cells = grid.cell_of(contrast.indices)
    size = np.nan_to_num(contrast.size, nan=np.inf)
    order = np.lexsort((size, contrast.bad, cells))
    last = np.append(cells[order][1:] != cells[order][:-1], True) if len(order) else np.zeros(0, dtype=bool)
    return order[last], cells[order[last]]


def _picture(shape: tuple[int, int], cells: HostArray, places: HostArray, hidden: HostArray) -> str:
    pixels = np.full(shape[0] * shape[1], UNKNOWN, dtype=np.uint8)
    pixels[cells[~hidden]] = shades(places[~hidden])
    return "data:image/png;base64," + b64encode(png(pixels.reshape(shape))).decode()


def _outline(marked: HostArray) -> str:
    """The border between cells that are marked and those that are not, straight runs in one stroke."""
    padded = np.pad(marked, 1).astype(np.int8)
    across = np.diff(padded, axis=0)[:, 1:-1] != 0
    down = np.diff(padded, axis=1)[1:-1, :] != 0
    strokes = [f"M{start} {row}H{end}" for row, start, end in _runs(across)]
    strokes += [f"M{column} {start}V{end}" for column, start, end in _runs(down.T)]
    return "".join(strokes)


def _runs(lines: HostArray) -> list[tuple[int, int, int]]:
    """(line, start, end) of every unbroken run in each of the lines."""
    steps = np.diff(np.pad(lines, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
    return [(int(line), int(start), int(end)) for (line, start), (_, end) in zip(starts, ends, strict=True)]


def _layout(grid: Grid, shape: tuple[int, ...]) -> str:
    if not shape:
        return "the only entry"
    if len(shape) == 1:
        words = "entries in reading order, row after row" if grid.wrapped else "entries from left to right"
    elif len(shape) == 2:
        words = f"axis 0 ({shape[0]}) downwards, axis 1 ({shape[1]}) to the right"
    else:
        words = f"axes 0 to {len(shape) - 2} ({math.prod(shape[:-1])} together) downwards, the last axis ({shape[-1]}) to the right"
    if grid.high * grid.wide > 1:
        words += f"; every cell shows the worst of {grid.high} × {grid.wide} entries"
    return words


def _at(leaf: HostArray | Part, entries: HostArray) -> HostArray:
    """Values at flat positions; NaN where they are not known."""
    if not isinstance(leaf, Part):
        return np.asarray(leaf, dtype=np.float64).reshape(-1)[entries]
    if not len(leaf.indices):
        return np.full(entries.shape, np.nan)
    at = np.minimum(np.searchsorted(leaf.indices, entries), len(leaf.indices) - 1)
    return np.where(leaf.indices[at] == entries, leaf.values[at], np.nan)


def _packed(numbers: HostArray) -> str:
    """Doubles, little-endian, in base64: exact, and half the length of decimals."""
    return b64encode(numbers.astype("<f8").tobytes()).decode()
