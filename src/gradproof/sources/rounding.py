"""How far an exact source can be off: what rounding does to it, measured.

A gradient that is computed, and not estimated, is off by its rounding errors only, amplified by the conditioning of
the code. Both show when the parameters are moved by one unit in the last place: the answer moves by what rounding
of that size does to it. A few such moves, pooled over entries of like magnitude (a small entry that came from
cancellation moves as much as its neighbours), give the bar.
"""

__all__ = ["MOVES", "Jiggled", "Movement", "array_bar"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gradproof.arrays import HostArray, blocks, norm
from gradproof.verdict import Estimate

MOVES = 3
"""Perturbed answers per source."""

MOVEMENT_FACTOR = 8.0
"""Bar in multiples of the largest movement seen. On the reference network (6 activations, 3 losses, depths 0, 1 and 3)
the largest gap between hand, JAX and PyTorch came to 0.10 of the sum of the two bars in float64, 0.23 in float32."""

FLOOR_ULPS = 8.0
"""Floor of the bar, in unit roundoffs of an entry or of the leaf's RMS: sums of constants do not move when the
parameters do, but are rounded in another order by every framework."""

KNOWN_FACTOR = 2.0
"""Bar in multiples of the error, where the same code in float64 shows it."""

KNOWN_ULPS = 2.0
"""Floor of the bar then, in unit roundoffs: of the answer's last rounding, and of entries that happened to be exact."""

SUM_ULPS = 0.5
"""The same times the root of the longest sum's length: one ulp of the parameters does not move a sum by what its own
roundings do. PyTorch's float32 gradients of a mean over 30,000 and 300,000 rows were off by 65 and 77 roundoffs, of
87 and 274 allowed."""

BAND_BITS = 8
"""Entries whose magnitudes lie within a factor 2⁸ are pooled."""

LOWEST_EXPONENT = -1088
"""By a band below that of the smallest number, 2⁻¹⁰⁷⁴."""

BANDS = (1025 - LOWEST_EXPONENT) // BAND_BITS + 1
"""From there to the largest number, below 2¹⁰²⁴."""


@dataclass(frozen=True, slots=True)
class Jiggled:
    """Leaves with every entry moved by one unit in the last place, up or down; zeros stay zero.

    Made anew, one by one, whenever they are iterated over: they may be large.
    """

    leaves: Sequence[HostArray]
    unit_roundoff: float
    seed: int

    def __iter__(self) -> Iterator[HostArray]:
        rng = np.random.default_rng(self.seed)
        return (self._moved(leaf, rng) for leaf in self.leaves)

    def _moved(self, leaf: HostArray, rng: np.random.Generator) -> HostArray:
        flat, out = leaf.reshape(-1), np.empty(leaf.size)
        for part in blocks(leaf.size):
            ulps = 2.0 * rng.integers(0, 2, len(out[part])) - 1.0
            np.multiply(flat[part], 1.0 + 2 * self.unit_roundoff * ulps, out=out[part])
        return out.reshape(leaf.shape)


class Movement:
    """The largest movement of one array over several answers, kept entry by entry."""

    def __init__(self, value: HostArray) -> None:
        self.value = value
        self.largest = np.zeros(value.shape)
        self.error_known = False
        """Whether what was seen is the error itself, from the same code in higher precision."""

    def see(self, other: HostArray) -> None:
        """One more answer; one of another shape, or an entry that is not finite, tells nothing of rounding."""
        if other.shape == self.value.shape:
            flat, before, largest = other.reshape(-1), self.value.reshape(-1), self.largest.reshape(-1)
            for part in blocks(flat.size):
                np.fmax(largest[part], np.abs(flat[part] - before[part]), out=largest[part])

    def estimate(self, unit_roundoff: float, longest_sum: int) -> Estimate:
        """The value with its bar."""
        if self.error_known:
            return Estimate(
                self.value, array_bar(self.value, self.largest, KNOWN_FACTOR, KNOWN_ULPS * unit_roundoff)
            )
        floor = unit_roundoff * (FLOOR_ULPS + SUM_ULPS * longest_sum**0.5)
        return Estimate(self.value, array_bar(self.value, self.largest, MOVEMENT_FACTOR, floor))


def array_bar(value: HostArray, movement: HostArray, factor: float, floor: float) -> HostArray:
    """Bar of `value`, shape of value: `factor` times how far it moved, and a relative `floor`."""
    flat, moved = value.reshape(-1), movement.reshape(-1)
    rms = norm(flat) / max(flat.size, 1) ** 0.5
    pooled, bar = _pooled(flat, moved), np.empty(flat.size)
    for part in blocks(flat.size):
        magnitude = np.abs(flat[part])
        spread = np.maximum(moved[part], pooled[_bands(magnitude)])
        bar[part] = factor * spread + floor * np.maximum(magnitude, rms)
    return bar.reshape(value.shape)


def _pooled(value: HostArray, movement: HostArray) -> HostArray:
    """RMS of the movement over all entries in one band of magnitudes, for each band."""
    largest = np.max(movement, initial=0.0) or 1.0
    squares, counts = np.zeros(BANDS), np.zeros(BANDS)
    for part in blocks(value.size):
        bands = _bands(np.abs(value[part]))
        squares += np.bincount(bands, weights=np.square(movement[part] / largest), minlength=BANDS)
        counts += np.bincount(bands, minlength=BANDS)
    return np.asarray(np.sqrt(squares / np.maximum(counts, 1)) * largest)


def _bands(magnitude: HostArray) -> HostArray:
    """Number of the band in which each magnitude lies; zeros have one of their own."""
    return np.where(magnitude == 0, 0, (np.frexp(magnitude)[1] - LOWEST_EXPONENT) // BAND_BITS)
