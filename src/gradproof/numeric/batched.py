"""Central differences with one step, many entries in one call of the function where that changes no value."""

__all__ = ["Central", "central_differences"]

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from time import perf_counter

import numpy as np

from gradproof import engine
from gradproof.arrays import HostArray, is_array
from gradproof.numeric.entrywise import SINGLE_BLOCK
from gradproof.numeric.rows import OneRow, Rows
from gradproof.numeric.sampling import Sampler
from gradproof.numeric.trial import block_size
from gradproof.point import Placement, Point
from gradproof.trees import flatten

LOG = logging.getLogger(__name__)

VERIFIED_ROWS = 3
"""Rows of a batch that are compared with single evaluations. Few axes have this length: rows that are taken for another
axis do not fit."""

GOLDEN = 0.6180339887498949
"""Its multiples, less whole numbers, are no two alike; powers of them have other means. A function that mixes rows by a mean
over them was let pass by rows in which as many entries moved up as down."""

COMPILING_SECONDS = 0.1
"""Least time in which JAX compiles a batch: 0.11 s for a network of 38 parameters, 0.2 for 785, 0.3 for 10,285."""


@dataclass(frozen=True)
class Central:
    """(f(x + step·eᵢ) − f(x − step·eᵢ)) / (2·step) for every entry i; the bars are infinite.

    What the entry was really moved by is what is divided by: in float32 x ± step is rounded. Where a value is not finite,
    the function raises, or the step does not move the entry, the slope is NaN.
    """

    rows: Rows
    above: HostArray
    """Every entry, moved up by the step: (entries,)."""
    below: HostArray
    block: int
    batched: bool

    def slopes_of(self, block: range) -> HostArray:
        """Slopes and their infinite bars, (2, len(block), outputs)."""
        with self.rows.placement.context(), np.errstate(all="ignore"):
            upper, lower = self._values(block)
            width = self.above[block.start : block.stop] - self.below[block.start : block.stop]
            slopes = (upper - lower) / width[:, None]
        slopes[~np.isfinite(slopes)] = np.nan
        return np.stack([slopes, np.full(slopes.shape, np.inf)])

    def _values(self, block: range) -> HostArray:
        """With every entry moved up, and moved down: (2, len(block), outputs)."""
        if self.batched:
            length = self.block if self.rows.fixed else len(block)
            try:
                values = self.rows.together(self._moved(block, length))
                return values.reshape(2, length, -1)[:, : len(block)]
            except Exception as error:  # one of the rows may be outside the domain
                LOG.info("entries %d to %d are computed one by one: %s", block.start, block.stop - 1, error)
        return np.array([[self._alone(i, to) for i in block] for to in (self.above, self.below)])

    def _moved(self, block: range, length: int) -> list[HostArray]:
        """2·length points: entry after entry moved up, then moved down; beyond the block the point itself."""
        rows, first = [], 0
        for leaf in self._leaves:
            points = np.empty((2 * length, leaf.size))
            points[:] = leaf.reshape(-1)
            entries = np.arange(max(block.start, first), min(block.stop, first + leaf.size))
            points[entries - block.start, entries - first] = self.above[entries]
            points[entries - block.start + length, entries - first] = self.below[entries]
            rows.append(points.reshape(2 * length, *leaf.shape))
            first += leaf.size
        return rows

    def _alone(self, entry: int, to: HostArray) -> HostArray:
        leaves, first = list(self.rows.placement.point.leaves), 0
        for i, leaf in enumerate(self._leaves):
            if first <= entry < first + leaf.size:
                leaves[i] = leaf.copy()
                leaves[i].reshape(-1)[entry - first] = to[entry]
            first += leaf.size
        return self.rows.alone(leaves)

    @cached_property
    def _leaves(self) -> list[HostArray]:
        return [leaf.astype(np.float64, order="C") for leaf in self.rows.placement.point.leaves]

    def unbatched(self) -> str:
        """Why every entry should be computed by itself; "" if many may be in one call."""
        if not self.block:
            return "takes too much memory for two rows"
        with self.rows.placement.context(), np.errstate(all="ignore"):
            if self.rows.compiled and self._seconds_alone() < COMPILING_SECONDS:
                return "is computed sooner than compiled"
            return self.rows.unlike(self._around(), VERIFIED_ROWS)

    def _around(self) -> list[HostArray]:
        """The point, points where every entry is moved by up to a step, and the point again up to a whole call."""
        count = 2 * self.block if self.rows.fixed else VERIFIED_ROWS
        shares = GOLDEN * np.arange(1, len(self.above) + 1) % 1
        rows, first = [], 0
        for leaf in self._leaves:
            part, first = slice(first, first + leaf.size), first + leaf.size
            points = np.tile(leaf.reshape(-1), (count, 1))
            for row in range(1, min(VERIFIED_ROWS, count)):
                points[row] = self.below[part] + shares[part] ** (row + 1) * (self.above - self.below)[part]
            rows.append(points.reshape(count, *leaf.shape))
        return rows

    def _seconds_alone(self) -> float:
        """Of all entries, computed by themselves."""
        start = perf_counter()
        self._alone(0, self.above)
        return (perf_counter() - start) * 2 * len(self.above)

    def seconds(self, length: int) -> float:
        """Of a block of `length` entries."""
        start = perf_counter()
        replace(self, block=length).slopes_of(range(length))
        return perf_counter() - start


def central_differences(sampler: Sampler, step: float, *, vectorized: bool) -> Central:
    """Central differences of the function of `sampler`, batched if a first call shows that this changes no value.

    Raises ValueError if `vectorized` and the function does not compute its rows apart from each other.
    """
    fun = sampler.fun.fun if isinstance(sampler.fun, OneRow) else sampler.fun
    placement, point = sampler.placement, sampler.point
    above, below = (_rounded(placement, sign * step) for sign in (1, -1))
    rows = Rows(fun, placement, vectorized, sampler.value)
    row_bytes = 8 * (point.size + _constants(point))
    central = Central(rows, above, below, block_size(point.size, row_bytes, None), batched=True)
    reason = central.unbatched()
    if reason:
        LOG.info("every entry is computed by itself: the function %s", reason)
        alone = min(SINGLE_BLOCK, engine.block_size(2 * sampler.each, point.size))
        return replace(central, block=alone, batched=False)
    if rows.fixed:
        return central
    return replace(central, block=block_size(point.size, row_bytes, central.seconds))


def _rounded(placement: Placement, step: float) -> HostArray:
    """Every entry plus `step`, as the arrays of this placement hold it: (entries,)."""
    with placement.context():
        moved = placement.arrays(
            [np.asarray(leaf.astype(np.float64) + step) for leaf in placement.point.leaves]
        )
        return np.concatenate(
            [np.asarray(placement.backend.to_numpy(x), dtype=np.float64).reshape(-1) for x in moved]
        )


def _constants(point: Point) -> int:
    """Numbers in the constants."""
    return sum(
        prod(x.shape)
        for arg in point.args
        for x in ([arg] if is_array(arg) else flatten(arg)[0])
        if is_array(x)
    )
