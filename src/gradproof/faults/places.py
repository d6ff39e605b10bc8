"""Mistakes of place: the right numbers, or sums of them, where others are due."""

__all__ = ["PLACES"]

from collections.abc import Callable
from itertools import combinations, permutations

import numpy as np

from gradproof.arrays import HostArray
from gradproof.faults.claims import Moment
from gradproof.faults.fault import Change, Fault, LeafChange, LeafMistake, Mistake, in_gradient, one_leaf


def _of(axes: Callable[[int], bool], change: Callable[[HostArray], HostArray]) -> Mistake:
    """`change` in one leaf of so many `axes`, refilled into its shape."""

    def settled(g: HostArray, _theta: HostArray) -> LeafChange | None:
        return (lambda g, _theta: np.reshape(change(g), g.shape)) if axes(g.ndim) else None

    return one_leaf(settled)


def _matrix(ndim: int) -> bool:
    return ndim == 2


def _three(ndim: int) -> bool:
    return ndim == 3


def _several(ndim: int) -> bool:
    return ndim > 1


def _any(ndim: int) -> bool:
    return ndim > 0


def _entries_swapped(g: HostArray, _theta: HostArray) -> LeafChange | None:
    ends = [int(np.argmin(g)), int(np.argmax(g))]

    def changed(g: HostArray, _theta: HostArray) -> HostArray:
        g.reshape(-1)[ends] = g.reshape(-1)[ends[::-1]]
        return g

    return changed


def _mean(axis: int | None) -> LeafMistake:
    """The mean along an axis, or of all entries, in place of every entry."""

    def settled(g: HostArray, _theta: HostArray) -> LeafChange | None:
        if g.size == 1 or (axis is not None and g.ndim < 2):
            return None
        return lambda g, _theta: np.broadcast_to(g.mean(axis=axis, keepdims=True), g.shape).copy()

    return settled


def _exchanged(moment: Moment) -> Change | None:
    """Two leaves of one shape have each other's gradient."""
    g = moment.gradient
    for i, j in combinations(range(len(g)), 2):
        if g[i].shape == g[j].shape and moment.clearly_changed(i, g[j]):
            return _placed({i: j, j: i})
    return None


def _copied(moment: Moment) -> Change | None:
    """One leaf has the gradient of another of its size."""
    g = moment.gradient
    for i, j in permutations(reversed(range(len(g))), 2):
        if g[i].size == g[j].size and moment.clearly_changed(i, g[j].reshape(g[i].shape)):
            return _placed({i: j})
    return None


def _placed(source: dict[int, int]) -> Change:
    """Leaf number i is filled with leaf number `source[i]`."""

    def changed(moment: Moment) -> list[HostArray]:
        g = moment.gradient
        return [g[source.get(i, i)].reshape(leaf.shape) for i, leaf in enumerate(g)]

    return changed


# Where a leaf has few entries, most of its permutations are a few entries in each other's places.
_PERMUTED, _TRANSPOSED = ("GP120", "GP123"), ("GP103", "GP120")

PLACES = (
    Fault("entries-swapped", "two entries are exchanged", ("GP123", "GP120"), in_gradient(one_leaf(_entries_swapped))),
    Fault("shifted", "a leaf is shifted by one entry", _PERMUTED, in_gradient(_of(_any, lambda g: np.roll(g, 1)))),
    Fault("shifted-by-two", "a leaf is shifted by two entries", _PERMUTED, in_gradient(_of(_any, lambda g: np.roll(g, 2)))),
    Fault("rows-rolled", "every row stands one row too low", _PERMUTED, in_gradient(_of(_several, lambda g: np.roll(g, 1, 0)))),
    Fault("columns-rolled", "every column stands one column too far left",
          _PERMUTED, in_gradient(_of(_several, lambda g: np.roll(g, -1, -1)))),
    Fault("columns-rolled-2", "every column stands two columns too far right",
          _PERMUTED, in_gradient(_of(_several, lambda g: np.roll(g, 2, -1)))),
    Fault("reversed", "the last axis runs backwards", _PERMUTED, in_gradient(_of(_any, lambda g: np.flip(g, -1)))),
    Fault("rows-reversed", "the first axis runs backwards", _PERMUTED, in_gradient(_of(_several, lambda g: np.flip(g, 0)))),
    Fault("transposed", "a matrix is transposed, in the shape of the right one",
          _TRANSPOSED, in_gradient(_of(_matrix, np.transpose))),
    Fault("column-major", "a matrix was unrolled by rows and is filled by columns",
          _TRANSPOSED, in_gradient(_of(_matrix, lambda g: np.reshape(g.reshape(-1), g.shape, order="F")))),
    Fault("axes-swapped", "the last two of three axes are exchanged, in the shape of the right leaf",
          _TRANSPOSED, in_gradient(_of(_three, lambda g: np.swapaxes(g, 1, 2)))),
    Fault("axes-moved", "the first of three axes is the last, in the shape of the right leaf",
          _TRANSPOSED, in_gradient(_of(_three, lambda g: np.moveaxis(g, 0, 2)))),
    Fault("leaves-exchanged", "two leaves of one shape have each other's gradient", ("GP119",), in_gradient(_exchanged)),
    Fault("leaf-copied", "a leaf has the gradient of another leaf of its size", ("GP119",), in_gradient(_copied)),
    Fault("mean", "a leaf holds its own mean everywhere", ("GP126",), in_gradient(one_leaf(_mean(None)))),
    Fault("rows-averaged", "every row of a leaf is the mean of its rows", ("GP126",), in_gradient(one_leaf(_mean(0)))),
)  # fmt: skip
