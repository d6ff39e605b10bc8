"""An array found inside another by its values: as a strided view, and then in the words of a Piece."""

__all__ = ["Strided", "piece_of", "strided"]

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.layouts.layout import Piece

MOST_STEPS = 4000
"""Of a search: without repeated values one takes as many steps as the array has axes."""

Find = Callable[[float], HostArray]
"""Positions of a value in the flat source, ascending."""

Same = Callable[[HostArray, HostArray], bool]
"""Whether two flat arrays have the same values."""


class Strided(NamedTuple):
    """Read from `offset` on: axes of (length, stride), the slowest first."""

    offset: int
    axes: tuple[tuple[int, int], ...]

    def fits(self, size: int) -> bool:
        """Whether it stays within a source of this size."""
        reach = [stride * (length - 1) for length, stride in self.axes]
        return (
            self.offset + sum(min(r, 0) for r in reach) >= 0
            and self.offset + sum(max(r, 0) for r in reach) < size
        )

    def merged(self) -> "Strided":
        """The same positions with as few axes as can be."""
        axes: list[tuple[int, int]] = []
        for length, stride in self.axes:
            if axes and axes[-1][1] == length * stride:
                axes[-1] = (axes[-1][0] * length, stride)
            else:
                axes.append((length, stride))
        return Strided(self.offset, tuple(axes))

    def indices(self) -> HostArray:
        """Flat positions in the source."""
        at = np.array([self.offset])
        for length, stride in self.axes:
            at = (at[:, None] + stride * np.arange(length)).ravel()
        return at


class _Search:
    """One target in one source."""

    def __init__(self, target: HostArray, source: HostArray, find: Find, same: Same) -> None:
        self.target, self.source, self.find, self.same = target, source, find, same
        self.steps = 0

    def run(self) -> Iterator[Strided]:
        for start in self.find(self.target[0]):
            yield from self._extend(int(start), (), 1)

    def _extend(self, start: int, axes: tuple[tuple[int, int], ...], done: int) -> Iterator[Strided]:
        """Views that agree on the first `done` entries, made larger by one axis at a time, the fastest first."""
        size = self.target.size
        if done == size:
            view = Strided(start, tuple(reversed(axes)))
            if view.fits(self.source.size) and self.same(self.source[view.indices()], self.target):
                yield view.merged()
            return
        for there in self.find(self.target[done]):
            self.steps += 1
            stride = int(there) - start
            if stride == 0 or self.steps > MOST_STEPS:
                continue
            for length in self._lengths(start, stride, done):
                yield from self._extend(start, (*axes, (length, stride)), done * length)

    def _lengths(self, start: int, stride: int, done: int) -> list[int]:
        """Lengths this axis can have, the two largest: how far the values agree, in divisors of what is left."""
        left = self.target.size // done
        room = (self.source.size - 1 - start) // stride if stride > 0 else start // -stride
        most = min(left, room + 1)
        span = abs(stride) * (most - 1)
        if stride > 0:
            there = self.source[start : start + span + 1 : stride]
        else:
            there = self.source[start - span : start + 1 : -stride][::-1]
        here = self.target[: done * (most - 1) + 1 : done]
        run = _agreeing(here, there, self.same)
        return [n for n in range(run, 1, -1) if left % n == 0][:2]


def _agreeing(here: HostArray, there: HostArray, same: Same) -> int:
    """How many entries agree from the beginning."""
    known, step = 0, 1
    while known < here.size and same(here[known : known + step], there[known : known + step]):
        known, step = min(known + step, here.size), 2 * step
    while step > 1:
        step //= 2
        if known + step <= here.size and same(here[known : known + step], there[known : known + step]):
            known += step
    return known


def strided(target: HostArray, source: HostArray, find: Find, same: Same, most: int = 3) -> list[Strided]:
    """Up to `most` different views of the flat `source` that have the values of the flat `target`."""
    found: list[Strided] = []
    for view in _Search(target, source, find, same).run():
        if view not in found:
            found.append(view)
        if len(found) == most:
            break
    return found


class _Part(NamedTuple):
    """An axis of the source, or a factor of one, as it is read."""

    length: int
    start: int
    stop: int
    order: int
    """Which axis of the view it is; -1 for a single entry."""
    flipped: bool


def piece_of(path: str, shape: tuple[int, ...], view: Strided, due: tuple[int, ...]) -> Piece | None:
    """The view of a leaf of this shape as a Piece; None if it is none (blocks along two axes)."""
    low = view.offset + sum(stride * (length - 1) for length, stride in view.axes if stride < 0)
    fine = _refined(view.axes, shape)
    parts: list[_Part] = []
    own = True
    for axis, length in enumerate(shape):
        unit = prod(shape[axis + 1 :])
        mine = [(n, abs(s) // unit, o, s < 0) for o, (at, n, s) in enumerate(fine) if at == axis]
        factors = _factors(length, low // unit % length, mine)
        if factors is None:
            return None
        own &= len(factors) == 1
        parts += factors
    blocks = [at for at, part in enumerate(parts) if part.stop - part.start < part.length]
    if len(blocks) > 1:
        return None
    axes = _ordered(parts, due)
    read = () if own else tuple(part.length for part in parts)
    flips = tuple(at for at, part in enumerate(parts) if part.flipped)
    if not blocks:
        return Piece(path, axes, shape=read, flipped=flips)
    block = parts[blocks[0]]
    return Piece(path, axes, blocks[0], block.start, block.stop, read, flips)


def _refined(axes: Sequence[tuple[int, int]], shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Axes of a view, cut where those of the source end: (axis of the source, length, stride), the slowest first."""
    fine: list[tuple[int, int, int]] = []
    units = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    for length, stride in axes:
        cut: list[tuple[int, int, int]] = []
        left, step = length, stride
        while left > 1:
            axis = min(a for a in range(len(shape)) if shape[a] > 1 and units[a] <= abs(step))
            room = max(shape[axis] * units[axis] // abs(step), 1)
            here = left if room >= left or left % room or room == 1 else room
            cut.append((axis, here, step))
            left, step = left // here, step * here
        fine += reversed(cut)
    return fine


def _factors(length: int, start: int, mine: Sequence[tuple[int, int, int, bool]]) -> list[_Part] | None:
    """One axis of the source as factors, the slowest first, for the axes of the view that lie in it."""
    parts: list[_Part] = []
    done = 1
    steps = sorted(mine, key=lambda axis: axis[1])
    for at, (n, step, order, flipped) in enumerate(steps):
        until = steps[at + 1][1] if at + 1 < len(steps) else length
        if step % done or until % step or until // step < n:
            return None
        if step > done:
            parts.append(_single(step // done, start // done))
        whole = until // step
        first = start // step % whole
        if first + n > whole:
            return None
        parts.append(_Part(whole, first, first + n, order, flipped))
        done = until
    if done < length or not parts:
        parts.append(_single(length // done, start // done))
    return parts[::-1]


def _single(length: int, start: int) -> _Part:
    first = start % length
    return _Part(length, first, first + 1, -1, False)


def _ordered(parts: Sequence[_Part], due: tuple[int, ...]) -> tuple[int, ...]:
    """Order of the parts in the view; axes of a single entry where `due` has some."""
    real = sorted((at for at, part in enumerate(parts) if part.order >= 0), key=lambda at: parts[at].order)
    single = [at for at, part in enumerate(parts) if part.order < 0]
    if real == sorted(real) and len(due) != len(parts):
        return tuple(range(len(parts)))
    lengths = [parts[at].stop - parts[at].start for at in real]
    if [n for n in due if n != 1] != lengths or len(due) != len(parts):
        return (*real, *single)
    takes = {True: iter(single), False: iter(real)}
    return tuple(next(takes[n == 1]) for n in due)
