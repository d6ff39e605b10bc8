"""Whole derivatives entry by entry, a block of entries at a time."""

__all__ = ["SINGLE_BLOCK", "Ladders", "Slopes", "whole"]

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from gradproof.arrays import HostArray
from gradproof.engine import Crashed, Shipped, Workers, WorkersLostError, block_size
from gradproof.numeric.climb import climb
from gradproof.numeric.probe import coordinate_probe
from gradproof.numeric.sampling import Sampler
from gradproof.point import Point
from gradproof.progress import Meter
from gradproof.verdict import Estimate

SINGLE_BLOCK = 16
"""Most entries in a block where every entry is computed by itself."""

LADDER = 20
"""Evaluations along one entry, about."""


class Slopes(Protocol):
    """A method at a point. A block does not depend on those before it, so they can be computed in any order, anywhere."""

    @property
    def block(self) -> int:
        """Entries in a block; the last may have fewer."""

    def slopes_of(self, block: range) -> HostArray:
        """Derivatives in the entries `block`, counted through all leaves, and their bars: (2, len(block), outputs)."""


@dataclass(frozen=True)
class Blocks:
    """What workers are sent: a method, to be asked for several blocks at a time."""

    slopes: Slopes

    def __call__(self, blocks: Sequence[range]) -> list[HostArray]:
        """Slopes and bars of each."""
        return [self.slopes.slopes_of(block) for block in blocks]


def whole(slopes: Slopes, sampler: Sampler, crew: Workers, meter: Meter) -> Any:
    """Derivative in every entry: a tree like params, at each leaf an Estimate of shape output + leaf.

    Raises WorkersLostError, with what is known as `known`: NaN and infinite bars stand for the rest.
    """
    point = sampler.point
    blocks = [
        range(start, min(start + slopes.block, point.size)) for start in range(0, point.size, slopes.block)
    ]
    parts: dict[int, HostArray] = {}
    try:
        for number, part in _parts(slopes, sampler, blocks, crew):
            parts[number] = part
            meter.add(len(blocks[number]))
    except WorkersLostError as error:
        error.known = _tree(_joined(parts, blocks, sampler.value.size), point, sampler.output_shape)
        raise
    return _tree(_joined(parts, blocks, sampler.value.size), point, sampler.output_shape)


def _parts(
    slopes: Slopes, sampler: Sampler, blocks: Sequence[range], crew: Workers
) -> Iterator[tuple[int, HostArray]]:
    """The first block is computed here, and tells how long the others take; they may come in any order."""
    start = perf_counter()
    yield 0, slopes.slopes_of(blocks[0])
    each = perf_counter() - start
    if crew.serial:
        yield from ((number, slopes.slopes_of(blocks[number])) for number in range(1, len(blocks)))
        return
    size = block_size(each, len(blocks))
    groups = [range(first, min(first + size, len(blocks))) for first in range(1, len(blocks), size)]
    parts = {"fun": sampler.fun, "params": sampler.point.leaves, "args": sampler.point.args}
    work = Shipped(Blocks(slopes), parts)
    for number, found in crew.run(work, [[blocks[i] for i in g] for g in groups], each * len(blocks)):
        if isinstance(found, Crashed):
            first = blocks[groups[number].start].start
            raise WorkersLostError(
                f"a worker did not survive fun with entry {first} moved, or one of the next: {found.why}"
            )
        yield from zip(groups[number], found, strict=True)


def _joined(parts: Mapping[int, HostArray], blocks: Sequence[range], outputs: int) -> HostArray:
    """Of all entries, (2, entries, outputs); NaN with an infinite bar for those that are missing."""

    def unknown(block: range) -> HostArray:
        nothing = np.full((2, len(block), outputs), np.nan)
        nothing[1] = np.inf
        return nothing

    return np.concatenate([parts.get(i, unknown(block)) for i, block in enumerate(blocks)], axis=1)


def _tree(slopes: HostArray, point: Point, output_shape: tuple[int, ...]) -> Any:
    by_leaf = np.split(slopes, list(accumulate(leaf.size for leaf in point.leaves))[:-1], axis=1)

    def estimate(part: HostArray, shape: tuple[int, ...]) -> Estimate:
        value, bar = np.ascontiguousarray(np.moveaxis(part, 1, 2)).reshape((2, *output_shape, *shape))
        return Estimate(np.asarray(value), np.asarray(bar))

    return point.structure.unflatten(map(estimate, by_leaf, point.shapes))


@dataclass(frozen=True)
class Ladders:
    """A ladder along every entry; the bars are those of the ladders."""

    sampler: Sampler

    block: int

    @classmethod
    def along_every_entry(cls, sampler: Sampler) -> "Ladders":
        """In blocks of one entry where that takes long."""
        return cls(sampler, min(SINGLE_BLOCK, block_size(LADDER * sampler.each, sampler.point.size)))

    def slopes_of(self, block: range) -> HostArray:
        """Slopes and bars, (2, len(block), outputs)."""
        return np.stack([self._slope(entry) for entry in block], axis=1)

    def _slope(self, entry: int) -> HostArray:
        point = self.sampler.point
        ends = list(accumulate(leaf.size for leaf in point.leaves))
        leaf = bisect_right(ends, entry)
        within = entry - ends[leaf] + point.leaves[leaf].size
        index = tuple(int(i) for i in np.unravel_index(within, point.shapes[leaf]))
        probe = coordinate_probe(point, leaf, index)
        slope = climb(replace(self.sampler, lines=[]).line(probe))
        return np.stack([slope.value, slope.bar]) / float(point.sizes[leaf][index])
