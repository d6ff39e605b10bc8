"""One wrong leaf of one source, and what is at hand to explain it."""

__all__ = ["HIDDEN", "Case"]

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradproof.arrays import HostArray
from gradproof.diagnosing.judges import Judge
from gradproof.diagnosing.names import Constants
from gradproof.point import Point
from gradproof.verdict import Estimate, Location

HIDDEN = 2.0**-10
"""Share of the gap that a fitted number's bar may amount to: a fit that leaves more shows nothing."""


@dataclass(frozen=True)
class Case:
    """One wrong leaf of one source."""

    source: str
    leaf: int
    gradient: Sequence[Estimate]
    """All leaves of the claim."""
    point: Point
    constants: Constants
    judge: Judge
    location: Location | None = None
    wrong: frozenset[int] = frozenset()
    """Numbers of all leaves of the claim that are wrong."""

    @property
    def path(self) -> str:
        """Path of the leaf."""
        return self.point.paths[self.leaf]

    @property
    def claim(self) -> Estimate:
        """What the source says of it."""
        return self.gradient[self.leaf]

    @property
    def theta(self) -> HostArray:
        """The parameter itself, float64."""
        return self.point.leaves[self.leaf].astype(np.float64, copy=False)

    def located(self, location: Location | None) -> "Case":
        """The same, with its location."""
        return replace(self, location=location)

    def clean_except(self, wrong: HostArray) -> bool:
        """Whether the claim agrees outside of the entries marked `wrong`, by what was read of them if it was all."""
        location = self.location
        if location is not None and location.count == len(location.entries) == np.count_nonzero(wrong):
            value, bar = self.claim.value.copy(), self.claim.bar.copy()
            for index, error, error_bar in zip(location.entries, location.errors, location.bars, strict=True):
                value[index] -= error
                bar[index] += error_bar
            if self.judge.settled_by(Estimate(value, bar)):
                return True
        return self.judge.clean_except(wrong)

    def fitted(self, base: Estimate, direction: HostArray) -> tuple[float, float, Estimate] | None:
        """c, its bar, and base + c·direction as a claim; None where the fit does not agree or says nothing."""
        if np.count_nonzero(direction) == 0 or not np.isfinite(direction).all():
            return None
        fit = self.judge.fit(base, Estimate(direction, self.bar_of(direction)))
        if fit is None or not fit[1] <= HIDDEN * max(abs(fit[0]), 2.0**-60):
            return None
        number, bar = fit
        value = base.value + number * direction
        claim_bar = base.bar + abs(number) * self.bar_of(direction)
        corrected = Estimate(value, claim_bar + bar * np.abs(direction))
        return (number, bar, corrected) if self.judge.agrees(corrected) else None

    def bar_of(self, direction: HostArray) -> HostArray:
        """Rounding of the direction: that of the claim where it is part of it, an ulp elsewhere."""
        claim = self.claim
        part = (direction == claim.value) | (direction == -claim.value)
        return np.where(part, claim.bar, 2.0**-52 * np.abs(direction))
