"""What a corrected claim for a wrong leaf is judged by: the gradient of a source that agrees, or probes."""

__all__ = ["ByProbes", "ByReference", "Judge"]

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from gradproof.arrays import HostArray, norm
from gradproof.judging import Probed, Referee, compare_arrays
from gradproof.numeric.probe import gaussian_probe, uniform_probe
from gradproof.verdict import Estimate, Verdict


class Judge(Protocol):
    """What decides whether a corrected claim for the leaf agrees."""

    def agrees(self, corrected: Estimate) -> bool:
        """Whether a claim corrected in this way agrees, to the resolution that was asked for."""
        ...

    def within(self, claim: Estimate) -> bool:
        """Whether a claim is right to its own bars, however wide they are."""
        ...

    def fit(self, base: Estimate, direction: Estimate) -> tuple[float, float] | None:
        """c for which base + c·direction fits best, and its bar; None if the direction does not show."""
        ...

    def clean_except(self, wrong: HostArray) -> bool:
        """Whether the claim agrees outside of the entries marked `wrong`."""
        ...

    def same_mean(self, axis: int | None, factor: float) -> bool:
        """Whether `factor` times the claim, constant along `axis` (None: altogether), is the mean of the right values."""
        ...


SLACK = 2.0
"""On the bars of two exact sources: those of rounding are estimates, and right claims were seen 1.1 of them apart."""


@dataclass(frozen=True)
class ByReference:
    """Judge: the gradient of a source that agrees, entry by entry."""

    claim: Estimate
    truth: Estimate
    resolution: float

    def agrees(self, corrected: Estimate) -> bool:
        """Whether a claim corrected in this way agrees, to the resolution that was asked for."""
        wider = Estimate(corrected.value, SLACK * corrected.bar)
        truth = Estimate(self.truth.value, SLACK * self.truth.bar)
        return (
            compare_arrays("gradient", ("", ""), None, wider, truth, self.resolution).verdict
            is Verdict.AGREES
        )

    def within(self, claim: Estimate) -> bool:
        """Whether a claim is right to its own bars, however wide they are."""
        return bool(np.all(np.abs(claim.value - self.truth.value) <= claim.bar + self.truth.bar))

    def fit(self, base: Estimate, direction: Estimate) -> tuple[float, float] | None:
        """c for which base + c·direction fits best, and its bar; None if the direction does not show."""
        largest = float(np.abs(direction.value).max())
        if not 0 < largest < np.inf:
            return None
        d, gap = direction.value.reshape(-1) / largest, (self.truth.value - base.value).reshape(-1)
        squares = float(d @ d)
        c = float(d @ gap) / squares / largest
        bars = (self.truth.bar + base.bar + abs(c) * direction.bar).reshape(-1)
        return c, float(np.abs(d) @ bars) / squares / largest

    def clean_except(self, wrong: HostArray) -> bool:
        """Whether the claim agrees outside of the entries marked `wrong`."""
        value = np.where(wrong, self.truth.value, self.claim.value)
        return self.agrees(Estimate(value, np.where(wrong, self.truth.bar, self.claim.bar)))

    def same_mean(self, axis: int | None, factor: float) -> bool:
        """Whether `factor` times the claim, constant along `axis` (None: altogether), is the mean of the right values."""
        mean, bar = (np.mean(x, axis=axis, keepdims=True) for x in (self.truth.value, self.truth.bar))
        size = np.mean(np.abs(self.truth.value), axis=axis, keepdims=True)
        off = np.abs(factor * self.claim.value - mean)
        return bool(np.all(off <= bar + self.claim.bar + 2.0**-44 * size))


SHARP = 2.0**-20
"""Bar of a probe's slope, as a share of the slope, below which no guess agrees by chance along two."""


class ByProbes:
    """Judge: slopes along the probes of the leaf that refuted it, and along a fresh one for what survives those."""

    def __init__(self, referee: Referee, source: str, gradient: Sequence[Estimate], leaf: int) -> None:
        self._referee = referee
        self._source = source
        self._gradient = list(gradient)
        self._leaf = leaf
        self._point = referee.sampler.point
        self.probed = referee.probes.of_leaf(leaf)

    @cached_property
    def _directions(self) -> list[HostArray]:
        return [probed.probe[self._leaf].reshape(-1) for probed in self.probed]

    @cached_property
    def fresh(self) -> Probed:
        """A probe that refuted nothing yet."""
        return self._referee.probes.along(self._referee.probes.draw(gaussian_probe, self._leaf), self._leaf)

    def agrees(self, corrected: Estimate) -> bool:
        """Whether a claim corrected in this way agrees, to the resolution that was asked for."""
        if not self._near(corrected):
            return False
        gradient = self._with(corrected)
        probes = self.probed if self._sharp else (*self.probed, self.fresh)
        return all(self._referee.agrees(self._source, gradient, probed) for probed in probes)

    def within(self, claim: Estimate) -> bool:
        """Whether a claim is right to its own bars, however wide they are."""
        gradient = self._with(claim)
        return all(self._referee.within(self._source, gradient, p) for p in (*self.probed, self.fresh))

    def fit(self, base: Estimate, direction: Estimate) -> tuple[float, float] | None:
        """c for which base + c·direction fits best, and its bar; None if the direction does not show."""
        best: tuple[float, float] | None = None
        for v, probed in zip(self._directions, self.probed, strict=True):
            along = float(direction.value.reshape(-1) @ v)
            gap = float(probed.slope.value[0]) - float(base.value.reshape(-1) @ v)
            bar = float(probed.slope.bar[0]) + float(base.bar.reshape(-1) @ np.abs(v))
            if along == 0 or not np.isfinite(along):
                continue
            c = gap / along
            bar += abs(c) * float(direction.bar.reshape(-1) @ np.abs(v))
            if best is None or bar / abs(along) < best[1]:
                best = c, bar / abs(along)
        return best

    def clean_except(self, wrong: HostArray) -> bool:
        """Whether the claim agrees outside of the entries marked `wrong`."""
        masks = [np.ones(leaf.shape, dtype=bool) for leaf in self._point.leaves]
        masks[self._leaf] = ~wrong
        if not masks[self._leaf].any():
            return True  # nothing is left that could be wrong
        rest = self._referee.probes.along(self.probed[0].probe.only(masks), self._leaf)
        return self._referee.agrees(self._source, self._gradient, rest)

    def same_mean(self, axis: int | None, factor: float) -> bool:
        """Whether `factor` times the claim, constant along `axis` (None: altogether), is the mean of the right values."""
        claim = self._gradient[self._leaf]
        probe = uniform_probe(self._point, self._leaf, axis, self._referee.probes.rng)
        probed = self._referee.probes.along(probe, self._leaf)
        scaled = Estimate(factor * claim.value, abs(factor) * claim.bar)
        return self._referee.agrees(self._source, self._with(scaled), probed)

    @cached_property
    def _sharp(self) -> bool:
        slopes = [probed.slope for probed in self.probed]
        return all(float(slope.bar[0]) <= SHARP * abs(float(slope.value[0])) for slope in slopes)

    def _near(self, corrected: Estimate) -> bool:
        """A look at the first probe, which costs next to nothing and turns most guesses away."""
        v, probed = self._directions[0], self.probed[0]
        gap = abs(float(corrected.value.reshape(-1) @ v) - float(probed.slope.value[0]))
        allowed = float(probed.slope.bar[0]) + float(corrected.bar.reshape(-1) @ np.abs(v))
        scale = norm(corrected.value.reshape(-1) * v)
        return gap <= allowed + 2.0**-30 * scale

    def _with(self, corrected: Estimate) -> list[Estimate]:
        return [corrected if i == self._leaf else e for i, e in enumerate(self._gradient)]
