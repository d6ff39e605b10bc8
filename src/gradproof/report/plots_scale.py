"""One symmetric log scale for a leaf's entries and their differences: linear near 0, logarithmic beyond."""

__all__ = ["Scale", "scale_of"]

import math
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray

FEWEST_DECADES, MOST_DECADES = 2, 14
"""Below the largest value that are told apart: as many as the values and their differences need."""

SMALL = 0.1
"""Share of the values that may lie where the scale is linear."""


class Scale(NamedTuple):
    """From a value to its place in [−1, 1]."""

    most: float
    """Largest size that is shown: place ±1."""
    linear: float
    """Size below which the scale is linear."""

    def place(self, values: HostArray) -> HostArray:
        """Where each value is, NaN for one that is not finite."""
        with np.errstate(all="ignore"):
            size = np.abs(values) / self.linear
            log = 1 + np.log10(np.maximum(size, 1.0))
            place = np.where(size < 1, size, log) / (1 + math.log10(self.most / self.linear))
            return np.where(np.isfinite(values), np.sign(values) * np.minimum(place, 1.0), np.nan)

    def ticks(self) -> list[float]:
        """Values to name: −most, −linear, 0, linear, most."""
        return [-self.most, -self.linear, 0.0, self.linear, self.most]


def scale_of(values: HostArray, differences: HostArray) -> Scale:
    """The scale for `values` on which the `differences` that matter show too. NaN and infinities are left out."""
    size, gaps = (np.abs(x[np.isfinite(x)]) for x in (values, differences))
    most = max(float(np.max(size, initial=0.0)), float(np.max(gaps, initial=0.0)))
    if most == 0:
        return Scale(1.0, 0.1)
    top = math.ceil(math.log10(most))
    small = [float(np.quantile(x[x > 0], SMALL)) for x in (size, gaps) if (x > 0).any()]
    low = min(top - FEWEST_DECADES, *(math.floor(math.log10(x)) for x in small))
    low = max(low, top - MOST_DECADES, -307)
    return Scale(most, min(10.0**low, most / 10))
