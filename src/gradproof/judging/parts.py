"""A weighted sum of outputs, known through its parts: each on its own scale."""

__all__ = ["Parts"]

from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray
from gradproof.numeric.ladder import Slope, hidden_kinks
from gradproof.numeric.line import Line
from gradproof.verdict import Estimate


class Parts(NamedTuple):
    """Outputs along one probe, their slopes, and what each weighs, 0 if it is left out."""

    line: Line
    slope: Slope
    weights: HostArray

    @property
    def fit(self) -> bool:
        """Whether every one has a slope.

        One that is flat near the point only has not: whether it is so or a staircase, its sum with the others tells.
        """
        flat = self.slope.constant & self.slope.ladder.moving.any(axis=0)
        unfit = flat | self.slope.kink | self.slope.broken | self.slope.outside | self.slope.stairs
        return not (unfit & (self.weights != 0)).any()

    @property
    def sum(self) -> Estimate:
        """Slope of the sum, shape (1,)."""
        return self._weighted(self.slope.value, self.slope.bar)

    @property
    def jump(self) -> Estimate:
        """Jump of the sum's slope, shape (1,)."""
        return self._weighted(self.slope.jump, self.slope.jump_bar)

    @property
    def half_jump(self) -> float:
        """How far the sum's one-sided slopes can lie from their mean."""
        return self._reach(np.abs(self.slope.jump) + self.slope.jump_bar) / 2

    def hidden_kink(self) -> float:
        """By how much kinks too close to be seen can have shifted the slope of the sum."""
        return self._reach(hidden_kinks(self.line, self.slope))

    def _reach(self, sizes: HostArray) -> float:
        here = self.weights != 0
        return float(np.abs(self.weights[here]) @ sizes[here])

    def _weighted(self, value: HostArray, bar: HostArray) -> Estimate:
        here = self.weights != 0
        return Estimate(np.atleast_1d(self.weights[here] @ value[here]), np.atleast_1d(self._reach(bar)))
