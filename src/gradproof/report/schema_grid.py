"""A leaf of any shape as a grid of at most 64 × 64 cells: what a map draws, and by which entries are chosen."""

__all__ = ["MOST_CELLS", "Grid", "grid_of"]

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray

MOST_CELLS = 64
"""Along a side: more cells than that are no wider than a hair on a page."""


class Grid(NamedTuple):
    """Entries in rows, the last axis along a row, and cells that hold a block of them each."""

    rows: int
    """Of entries."""
    columns: int
    high: int
    """Rows of entries in a cell."""
    wide: int
    """Columns of entries in a cell."""
    wrapped: bool
    """Whether a row continues the one before: a leaf of one long axis."""

    @property
    def cells(self) -> tuple[int, int]:
        """Number of cells, down and across."""
        return -(-self.rows // self.high), -(-self.columns // self.wide)

    def cell_of(self, flat: HostArray) -> HostArray:
        """Number of the cell of each entry, both counted row by row."""
        row, column = flat // self.columns, flat % self.columns
        return np.asarray(row // self.high * self.cells[1] + column // self.wide)

    def worst(self, size: HostArray) -> HostArray:
        """Positions of the entry of the largest `size` in every cell, rising; NaN counts as the largest."""
        padded = np.full(self.rows * self.columns, -1.0)
        padded[: size.size] = np.nan_to_num(size.reshape(-1), nan=np.inf)
        matrix = padded.reshape(self.rows, self.columns)
        found = [self._largest(matrix, top, left) for top, left in self._corners()]
        return np.sort(np.array([at for at in found if at < size.size], dtype=np.int64))

    def _corners(self) -> Iterator[tuple[int, int]]:
        return (
            (top, left)
            for top in range(0, self.rows, self.high)
            for left in range(0, self.columns, self.wide)
        )

    def _largest(self, matrix: HostArray, top: int, left: int) -> int:
        block = matrix[top : top + self.high, left : left + self.wide]
        row, column = np.unravel_index(int(np.argmax(block)), block.shape)
        return int((top + row) * self.columns + left + column)


def grid_of(shape: tuple[int, ...]) -> Grid:
    """The grid of a leaf of this shape: axes but the last follow each other down, a long single axis is wrapped."""
    size = math.prod(shape)
    wrapped = len(shape) == 1 and size > MOST_CELLS
    columns = max(MOST_CELLS, math.isqrt(size - 1) + 1) if wrapped else (shape[-1] if shape else 1)
    rows = -(-size // columns)
    return Grid(rows, columns, -(-rows // MOST_CELLS), -(-columns // MOST_CELLS), wrapped)
