"""How far an exact source can be off: what rounding does to it, measured.

A gradient that is computed, and not estimated, is off by its rounding errors only, amplified by the conditioning of
the code. Both show when the parameters are moved by one unit in the last place: the answer moves by what rounding
of that size does to it. A few such moves, pooled over entries of like magnitude (a small entry that came from
cancellation moves as much as its neighbours), give the bar.
"""

__all__ = ["MOVES", "Movement", "array_bar", "jiggled"]

from collections.abc import Sequence

import numpy as np

from gradproof.arrays import HostArray
from gradproof.verdict import Estimate

MOVES = 3
"""Perturbed answers per source."""

MOVEMENT_FACTOR = 8.0
"""Bar in multiples of the largest movement seen. On the reference network (6 activations, 3 losses, depths 0, 1 and 3)
the largest gap between hand, JAX and PyTorch came to 0.10 of the sum of the two bars in float64, 0.23 in float32."""

FLOOR_ULPS = 8.0
"""Floor of the bar, in unit roundoffs of an entry or of the leaf's RMS: sums of constants do not move when the
parameters do, but are rounded in another order by every framework."""

SUM_ULPS = 0.5
"""The same times the root of the longest sum's length: one ulp of the parameters does not move a sum by what its own
roundings do. PyTorch's float32 gradients of a mean over 30,000 and 300,000 rows were off by 65 and 77 roundoffs, of
87 and 274 allowed."""

BAND_BITS = 8
"""Entries whose magnitudes lie within a factor 2⁸ are pooled."""


def jiggled(leaves: Sequence[HostArray], unit_roundoff: float, rng: np.random.Generator) -> list[HostArray]:
    """Leaves with every entry moved by one unit in the last place, up or down; zeros stay zero."""

    def move(leaf: HostArray) -> HostArray:
        up = rng.integers(0, 2, leaf.shape, dtype=np.int8).astype(bool)
        return np.where(up, 1.0 + 2 * unit_roundoff, 1.0 - 2 * unit_roundoff) * leaf

    return [move(leaf) for leaf in leaves]


class Movement:
    """The largest movement of one array over several answers, kept entry by entry."""

    def __init__(self, value: HostArray) -> None:
        self.value = value
        self.largest = np.zeros(value.shape)

    def see(self, other: HostArray) -> None:
        """One more answer; one of another shape, or an entry that is not finite, tells nothing of rounding."""
        if other.shape == self.value.shape:
            np.fmax(self.largest, np.abs(other - self.value), out=self.largest)

    def estimate(self, unit_roundoff: float, longest_sum: int) -> Estimate:
        """The value with its bar."""
        floor = unit_roundoff * (FLOOR_ULPS + SUM_ULPS * longest_sum**0.5)
        return Estimate(self.value, array_bar(self.value, self.largest, floor))


def array_bar(value: HostArray, movement: HostArray, floor: float) -> HostArray:
    """Bar of `value`, shape of value, from how far it moved under `jiggled` parameters; `floor` is relative."""
    magnitude = np.abs(value)
    largest = magnitude.max(initial=0.0)
    rms = np.sqrt(np.mean(np.square(magnitude / (largest or 1.0)))) * largest
    bar = np.maximum(movement, _pooled(magnitude, movement))
    bar *= MOVEMENT_FACTOR
    bar += floor * np.maximum(magnitude, rms)
    return bar


def _pooled(magnitude: HostArray, movement: HostArray) -> HostArray:
    """RMS of the movement over all entries in the same band of magnitudes, for each entry."""
    bands = np.frexp(magnitude)[1].astype(np.int16).ravel() // BAND_BITS
    bands -= bands.min()
    largest = movement.max() or 1.0
    squares = np.bincount(bands, weights=np.square(movement / largest).ravel())
    means = np.sqrt(squares / np.maximum(np.bincount(bands), 1)) * largest
    return np.asarray(means[bands].reshape(magnitude.shape))
