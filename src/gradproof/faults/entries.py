"""Mistakes in some entries of one leaf: a few of them, a row or column, a block."""

__all__ = ["ENTRIES"]

from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.faults.claims import Moment
from gradproof.faults.fault import Change, Fault, LeafChange, LeafMistake, in_gradient, one_leaf
from gradproof.verdict import Reason


def _largest(count: int, factor: float) -> LeafMistake:
    """The `count` largest entries are off by a factor; None where there are no others."""

    def settled(g: HostArray, _theta: HostArray) -> LeafChange | None:
        where = np.argsort(-np.abs(g.reshape(-1)), kind="stable")[:count]
        return _factored(where, factor) if g.size > count or count == 1 else None

    return settled


def _numbered(index: int, factor: float) -> LeafMistake:
    """Entry number `index`, row by row, is off by a factor."""
    return lambda g, _theta: _factored(np.asarray([index]), factor) if g.size > 1 else None


def _factored(where: HostArray, factor: float) -> LeafChange:
    def changed(g: HostArray, _theta: HostArray) -> HostArray:
        g.reshape(-1)[where] *= factor
        return g

    return changed


def _set_first(value: float) -> LeafMistake:
    def changed(g: HostArray, _theta: HostArray) -> HostArray:
        g.reshape(-1)[0] = value
        return g

    return lambda _g, _theta: changed


def _slice(where: Callable[[tuple[int, ...]], Any], factor: float) -> LeafMistake:
    """What `where` picks of a shape is off by a factor; None where it picks nothing, or everything."""

    def settled(g: HostArray, _theta: HostArray) -> LeafChange | None:
        picked = where(g.shape)
        if picked is None or g[picked].size in (0, g.size):
            return None

        def changed(g: HostArray, _theta: HostArray) -> HostArray:
            g[picked] *= factor
            return g

        return changed

    return settled


def _row(number: int) -> Callable[[tuple[int, ...]], Any]:
    return lambda shape: (number,) if len(shape) > 1 else None


def _column(number: int) -> Callable[[tuple[int, ...]], Any]:
    return lambda shape: (..., number) if len(shape) > 1 else None


def _middle(shape: tuple[int, ...]) -> Any:
    return (slice(None), shape[1] // 2) if len(shape) == 3 else None


def _quarter(shape: tuple[int, ...]) -> Any:
    """The first half of the first half: of the rows, and of the columns."""
    if len(shape) < 2 or min(shape[0], shape[1]) < 2:
        return None
    return (slice(shape[0] // 2), slice(shape[1] // 2))


def _diagonal(shape: tuple[int, ...]) -> Any:
    return np.diag_indices(shape[0]) if len(shape) == 2 and shape[0] == shape[1] else None


def _smallest_leaf_zero(moment: Moment) -> Change | None:
    at = int(np.argmin([np.abs(leaf).max() for leaf in moment.gradient]))
    if len(moment.gradient) < 2:
        return None
    return lambda now: [0.0 * leaf if i == at else leaf for i, leaf in enumerate(now.gradient)]


def _planted(mistake: LeafMistake) -> Any:
    return in_gradient(one_leaf(mistake))


# In a leaf of one entry a wrong entry is a factor; in one of two or three, a wrong row is an entry or two.
_ENTRY, _ZERO, _ROW = ("GP123", "GP101"), ("GP123", "GP106"), ("GP108", "GP123")

ENTRIES = (
    Fault("one-entry", "one entry is 0.1 % too large", _ENTRY, _planted(_largest(1, 1.001))),
    Fault("entry-off", "one entry is too large by 1e-4 of itself", _ENTRY, _planted(_largest(1, 1.0001))),
    Fault("entry-flipped", "one entry has the wrong sign", ("GP123", "GP102", "GP101"), _planted(_largest(1, -1.0))),
    Fault("entry-dropped", "one entry is zero", _ZERO, _planted(_largest(1, 0.0))),
    Fault("two-dropped", "two entries are zero", _ZERO, _planted(_largest(2, 0.0))),
    Fault("three-off", "three entries are 1 % too large", _ENTRY, _planted(_largest(3, 1.01))),
    Fault("first-doubled", "the first entry is twice too large", _ENTRY, _planted(_numbered(0, 2.0))),
    Fault("last-dropped", "the last entry is zero, as by a loop that ends too early", _ZERO, _planted(_numbered(-1, 0.0))),
    Fault("first-row-zero", "the first row is zero", ("GP108", "GP106", "GP123"), _planted(_slice(_row(0), 0.0))),
    Fault("last-row-zero", "the last row is zero", ("GP108", "GP106", "GP123"), _planted(_slice(_row(-1), 0.0))),
    Fault("column-doubled", "the last column is twice too large", (*_ROW, "GP101"), _planted(_slice(_column(-1), 2.0))),
    Fault("column-flipped", "the first column has the wrong sign", (*_ROW, "GP102"), _planted(_slice(_column(0), -1.0))),
    Fault("middle-dropped", "one slice along the middle one of three axes is zero",
          ("GP108", "GP106", "GP123"), _planted(_slice(_middle, 0.0))),
    Fault("quarter-dropped", "a block of a quarter of the entries is zero",
          ("GP108", "GP106", "GP123"), _planted(_slice(_quarter, 0.0))),
    Fault("alternate-zero", "every second entry along the last axis is zero",
          ("GP106", "GP108", "GP123"), _planted(_slice(lambda shape: (..., slice(1, None, 2)) if shape else None, 0.0))),
    Fault("diagonal-dropped", "the diagonal of a square leaf is zero", ("GP106", "GP123"), _planted(_slice(_diagonal, 0.0))),
    Fault("leaf-forgotten", "one leaf has gradient zero", ("GP106",), in_gradient(_smallest_leaf_zero)),
    Fault("nan", "one entry is not a number",
          ("GP118",), in_gradient(one_leaf(_set_first(np.nan)), finite=False), Reason.NOT_FINITE),
    Fault("infinite", "one entry is infinite",
          ("GP118",), in_gradient(one_leaf(_set_first(np.inf)), finite=False), Reason.NOT_FINITE),
)  # fmt: skip
