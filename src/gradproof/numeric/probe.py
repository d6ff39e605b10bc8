"""Directions in parameter space, of few bits, so that x + t·v is formed without rounding and takes little memory."""

__all__ = ["Probe", "coordinate_probe", "every_entry", "gaussian_probe", "sign_probe", "uniform_probe"]

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradproof.arrays import BLOCK, HostArray, blocks
from gradproof.point import Point
from gradproof.sizes import Sizes

MANTISSA_BITS = {2.0**-53: 8, 2.0**-24: 3}
"""Bits after the point of a probe's entries, by unit roundoff. Few, so that x + t·v is formed without rounding;
not fewer than 3, for with 2 a swap of two entries of equal size often went unseen (measured on 940 operators)."""

FEWEST_BITS = 1
"""The same for float16 and bfloat16."""

KEPT_SIZE = 2**18
"""Entries of a leaf up to which its direction is kept in float64 (2 MB): making it again at every step takes 0.37 ms for
100,000 entries, x + t·v from what is kept 0.1."""

BIAS = 1023
"""Of the exponent in a float64: 2^e has the bits (e + 1023) << 52."""

Draw = Callable[[int], HostArray]
"""From a number of entries to their codes, whole numbers."""


@dataclass(frozen=True, eq=False)
class Probe:
    """v = code·2^−bits·size, entry by entry. A sequence: `probe[i]` is the direction of leaf i, float64.

    Kept as codes of two bytes an entry; the sizes are shared by all probes at one point.
    """

    codes: tuple[HostArray | None, ...]
    """Per leaf; None where nothing moves."""
    sizes: tuple[Sizes, ...]
    bits: int

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, leaf: int) -> HostArray:
        out = np.zeros(self.sizes[leaf].above.size)
        for part, v in self.blocks(leaf):
            out[part] = v
        return out.reshape(self.sizes[leaf].above.shape)

    def __iter__(self) -> Iterator[HostArray]:
        return (self[leaf] for leaf in range(len(self)))

    @property
    def count(self) -> int:
        """Number of entries that move."""
        return sum(int(np.count_nonzero(code)) for code in self.codes if code is not None)

    def blocks(self, leaf: int) -> Iterator[tuple[slice, HostArray]]:
        """The direction of one leaf, a block of its entries at a time; nothing for blocks that do not move."""
        code, (smallest, above) = self.codes[leaf], self.sizes[leaf]
        if code is not None:
            flat = code.reshape(-1)
            for part in blocks(above.size):
                if above.size > BLOCK and not flat[part].any():
                    continue  # most blocks of a probe that moves a few entries of millions
                yield part, _scaled(flat[part], above.reshape(-1)[part], smallest - self.bits)

    def moved(self, leaves: Sequence[HostArray], t: float) -> Iterator[HostArray]:
        """x + t·v, leaf by leaf; a leaf that does not move is handed on as it is."""
        return (self._moved(i, x, t) if self.codes[i] is not None else x for i, x in enumerate(leaves))

    def _moved(self, leaf: int, x: HostArray, t: float) -> HostArray:
        if x.size <= KEPT_SIZE:
            moved = np.multiply(self._kept[leaf], t, out=np.empty(x.shape))
            return np.add(moved, x, out=moved)
        flat, out = x.reshape(-1), x.astype(np.float64).reshape(-1)
        for part, v in self.blocks(leaf):
            np.add(flat[part], t * v, out=out[part])
        return out.reshape(x.shape)

    @cached_property
    def _kept(self) -> "_Kept":
        return _Kept(self)

    def at(self, leaf: int, indices: HostArray) -> HostArray:
        """The direction at flat `indices` of one leaf."""
        code, (smallest, above) = self.codes[leaf], self.sizes[leaf]
        if code is None:
            return np.zeros(indices.shape)
        return _scaled(code.reshape(-1)[indices], above.reshape(-1)[indices], smallest - self.bits)

    def only(self, masks: Sequence[HostArray]) -> "Probe":
        """The same where the masks (one per leaf, of its shape) hold, standing still elsewhere."""
        kept = [
            None if code is None else code * mask.astype(np.int16)
            for code, mask in zip(self.codes, masks, strict=True)
        ]
        codes = tuple(code if code is not None and code.any() else None for code in kept)
        return Probe(codes, self.sizes, self.bits)

    def of_leaf(self, leaf: int) -> "Probe":
        """The same where only one leaf moves."""
        return self.of_leaves([leaf])

    def of_leaves(self, leaves: Collection[int]) -> "Probe":
        """The same where only these leaves move."""
        codes = tuple(code if i in leaves else None for i, code in enumerate(self.codes))
        return Probe(codes, self.sizes, self.bits)

    def turned(self, signs: Sequence[HostArray]) -> "Probe":
        """The same with every entry moving the way of its sign (one array per leaf), not at all where that is 0."""
        turned = [
            None if code is None else (np.abs(code) * sign).astype(np.int16)
            for code, sign in zip(self.codes, signs, strict=True)
        ]
        codes = tuple(code if code is not None and code.any() else None for code in turned)
        return Probe(codes, self.sizes, self.bits)

    def halves(self) -> "tuple[Probe, Probe]":
        """The first and the second half of the entries that move, leaf by leaf."""
        masks = [self._first_half(code, shape) for code, shape in zip(self.codes, self._shapes, strict=True)]
        return self.only(masks), self.only([~mask for mask in masks])

    @property
    def _shapes(self) -> list[tuple[int, ...]]:
        return [sizes.above.shape for sizes in self.sizes]

    def _first_half(self, code: HostArray | None, shape: tuple[int, ...]) -> HostArray:
        mask = np.zeros(shape, dtype=bool)
        moving = np.flatnonzero(code) if code is not None else np.empty(0, dtype=int)
        mask.reshape(-1)[moving[: len(moving) // 2]] = True
        return mask


def _scaled(code: HostArray, above: HostArray, smallest: int) -> HostArray:
    """code·2^(smallest + above), for an int8 `above`. Powers of two are made of their bits: ten times as fast as ldexp."""
    lowest = smallest + BIAS
    if 128 < lowest < 2 * BIAS - 128:
        powers = above.astype(np.int64)
        powers += lowest
        powers <<= 52
        return np.asarray(code * powers.view(np.float64))
    return np.ldexp(code.astype(np.float64), above.astype(np.int32) + smallest)


class _Kept(dict[int, HostArray]):
    """Directions of leaves, made when they are first asked for."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def __missing__(self, leaf: int) -> HostArray:
        self[leaf] = self._probe[leaf]
        return self[leaf]


def sign_probe(
    point: Point, rng: np.random.Generator, unit_roundoff: float, only: int | None = None
) -> Probe:
    """±size·(1 + r/2^b), r uniform: no entry is invisible, and no two are alike. `only` keeps one leaf moving."""
    steps = 2 ** _bits(unit_roundoff)

    def draw(size: int) -> HostArray:
        return rng.integers(steps, 2 * steps, size) * (2 * rng.integers(0, 2, size) - 1)

    return _probe(point, draw, unit_roundoff, only)


def gaussian_probe(
    point: Point, rng: np.random.Generator, unit_roundoff: float, only: int | None = None
) -> Probe:
    """size·N(0, 1), rounded to a few bits: what a Certificate needs. `only` keeps one leaf moving."""
    steps = 2 ** _bits(unit_roundoff)
    return _probe(point, lambda size: np.round(rng.standard_normal(size) * steps), unit_roundoff, only)


def coordinate_probe(point: Point, leaf: int, index: tuple[int, ...]) -> Probe:
    """Only entry `index` of leaf number `leaf` moves, by its own size."""
    code = np.zeros(point.leaves[leaf].shape, dtype=np.int16)
    code[index] = 1
    codes = tuple(code if i == leaf else None for i in range(len(point.leaves)))
    return Probe(codes, point.sizes, bits=0)


def every_entry(point: Point) -> Probe:
    """Every entry moves up by its own size."""
    codes = tuple(np.broadcast_to(np.int16(1), leaf.shape) for leaf in point.leaves)
    return Probe(codes, point.sizes, bits=0)


def uniform_probe(point: Point, leaf: int, axis: int | None, rng: np.random.Generator) -> Probe:
    """Only one leaf moves, all entries along `axis` by the same (None: all entries), whatever their own sizes."""
    shape, (smallest, above) = point.leaves[leaf].shape, point.sizes[leaf]
    code = np.ones(shape, dtype=np.int16)
    if axis is not None:
        others = tuple(1 if a == axis else length for a, length in enumerate(shape))
        code = code * (rng.integers(8, 16, others) * (2 * rng.integers(0, 2, others) - 1)).astype(np.int16)
    typical = np.full(shape, int(np.median(above)), dtype=np.int8)
    sizes = tuple(Sizes(smallest, typical) if i == leaf else other for i, other in enumerate(point.sizes))
    codes = tuple(code if i == leaf else None for i in range(len(point.leaves)))
    return Probe(codes, sizes, bits=0 if axis is None else 3)


def _bits(unit_roundoff: float) -> int:
    return MANTISSA_BITS.get(unit_roundoff, FEWEST_BITS)


def _probe(point: Point, draw: Draw, unit_roundoff: float, only: int | None) -> Probe:
    codes = tuple(_drawn(leaf, draw) if only in (None, i) else None for i, leaf in enumerate(point.leaves))
    return Probe(codes, point.sizes, _bits(unit_roundoff))


def _drawn(leaf: HostArray, draw: Draw) -> HostArray:
    out = np.empty(leaf.size, dtype=np.int16)
    for part in blocks(leaf.size):
        out[part] = draw(len(out[part]))
    return out.reshape(leaf.shape)
