"""How far an exact source can be off: what rounding does to it, measured.

A gradient that is computed, and not estimated, is off by its rounding errors only, amplified by the conditioning of
the code. Both show when the parameters are moved by one unit in the last place: the answer moves by what rounding
of that size does to it. A few such moves, pooled over entries of like magnitude (a small entry that came from
cancellation moves as much as its neighbours), give the bar.
"""

__all__ = ["array_bar", "jiggled"]

from collections.abc import Sequence

import numpy as np

from gradproof.arrays import HostArray

MOVES = 3
"""Perturbed answers per source."""

MOVEMENT_FACTOR = 8.0
"""Bar in multiples of the largest movement seen. On the reference network (6 activations, 3 losses, depths 0, 1 and 3)
the largest gap between hand, JAX and PyTorch came to 0.10 of the sum of the two bars in float64, 0.23 in float32."""

FLOOR_ULPS = 8.0
"""Floor of the bar, in unit roundoffs of an entry or of the leaf's RMS: sums of constants do not move when the
parameters do, but are rounded in another order by every framework."""

BAND_BITS = 8
"""Entries whose magnitudes lie within a factor 2⁸ are pooled."""


def jiggled(leaves: Sequence[HostArray], unit_roundoff: float, rng: np.random.Generator) -> list[HostArray]:
    """Leaves with every entry moved by one unit in the last place, up or down; zeros stay zero."""
    return [
        leaf.astype(np.float64) * (1.0 + 2 * unit_roundoff * (2.0 * rng.integers(0, 2, leaf.shape) - 1.0))
        for leaf in leaves
    ]


def array_bar(value: HostArray, moved: Sequence[HostArray], unit_roundoff: float) -> HostArray:
    """Bar of `value`, shape of value, from what the same computation gave at `jiggled` parameters."""
    if value.size == 0:
        return np.zeros(value.shape)
    magnitude = np.abs(value)
    movement = np.zeros(value.shape)
    for other in moved:
        movement = np.fmax(movement, np.abs(other - value))
    rms = np.sqrt(np.mean(np.square(magnitude / (magnitude.max() or 1.0)))) * magnitude.max()
    floor = FLOOR_ULPS * unit_roundoff * np.maximum(magnitude, rms)
    return np.asarray(MOVEMENT_FACTOR * np.maximum(movement, _pooled(magnitude, movement)) + floor)


def _pooled(magnitude: HostArray, movement: HostArray) -> HostArray:
    """RMS of the movement over all entries in the same band of magnitudes, for each entry."""
    bands = (np.frexp(magnitude)[1] // BAND_BITS).ravel()
    bands -= bands.min()
    counts = np.bincount(bands)
    largest = movement.max() or 1.0
    squares = np.bincount(bands, weights=np.square(movement / largest).ravel())
    means = np.sqrt(squares / np.maximum(counts, 1)) * largest
    return np.asarray(means[bands].reshape(magnitude.shape))
