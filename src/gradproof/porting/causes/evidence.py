"""What a hypothesis has to reproduce: both sides of a stretch, and how exactly."""

__all__ = ["Evidence", "float64", "residual"]

from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.stretch import Stretch

_ULP = float(np.finfo(np.float64).eps)

ROUNDING = 128
"""Units of roundoff, of the largest value, that a formula written here may miss a framework's by. Measured against float64 of torch:
1 to 5 over every formula of this package; sums of 4096 products: 14."""

SHARE = 1e-3
"""Of the difference that may remain unexplained, even where rounding would allow more. Where float64 rounds to 1e-13 of the value
and the difference is 1e-7 of it or more, rounding alone leaves no more than 1e-6; a variance that is computed as a difference of
squares loses 2e-12 of itself where the mean is 100 deviations, 2e-10 where it is 1,000."""


def float64(x: HostArray) -> HostArray:
    """`x` in float64 (complex128 if it is complex)."""
    x = np.asarray(x)
    return x if np.iscomplexobj(x) else x.astype(np.float64, copy=False)


def residual(x: HostArray, y: HostArray) -> float:
    """Largest |x − y|; infinite where one is not finite and the other is something else."""
    if x.shape != y.shape:
        return inf
    if x.size == 0:
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        gap = float(np.max(np.abs(x - y)))
    if np.isfinite(gap):
        return gap
    finite = np.isfinite(x) & np.isfinite(y)
    if not np.array_equal(x[~finite], y[~finite], equal_nan=True):
        return inf
    return float(np.max(np.abs(x[finite] - y[finite]), initial=0.0))


@dataclass(frozen=True)
class Evidence:
    """Two values that differ. A hypothesis has to be right to rounding, and to leave nothing of the difference."""

    expected: HostArray
    found: HostArray
    bar: float
    """The two differ only by rounding where they differ by no more than this."""

    @classmethod
    def of(cls, stretch: Stretch) -> "Evidence":
        """Of a stretch, forward."""
        return cls(float64(stretch.expected), float64(stretch.found), stretch.bar)

    @cached_property
    def gap(self) -> float:
        """Largest difference of the two."""
        return residual(self.expected, self.found)

    @cached_property
    def scale(self) -> float:
        """Largest finite value of either."""
        both = (np.abs(side[np.isfinite(side)]) for side in (self.expected, self.found))
        return max((float(np.max(side, initial=0.0)) for side in both), default=0.0)

    @cached_property
    def allowance(self) -> float:
        """How far a hypothesis may be off."""
        rounding = max(self.bar if np.isfinite(self.bar) else 0.0, ROUNDING * _ULP * self.scale)
        return min(rounding, SHARE * self.gap)

    @property
    def differs(self) -> bool:
        """Whether there is anything to explain, in arrays that can be compared."""
        same = self.expected.shape == self.found.shape and self.expected.size > 0
        return same and not self.gap <= max(self.bar if np.isfinite(self.bar) else 0.0, 0.0)

    def is_expected(self, x: HostArray) -> bool:
        """Whether `x` is what the reference computed."""
        return residual(x, self.expected) <= self.allowance

    def is_found(self, x: HostArray) -> bool:
        """Whether `x` is what the port computed."""
        return residual(x, self.found) <= self.allowance

    @property
    def sides(self) -> tuple[HostArray, HostArray]:
        """The reference's and the port's."""
        return self.expected, self.found
