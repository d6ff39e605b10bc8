"""What a corrected claim for a wrong leaf is judged by: the gradient of a source that agrees, or probes."""

__all__ = ["ByProbes", "ByReference", "Judge"]

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from gradproof.arrays import HostArray, norm
from gradproof.judging import Probed, Referee, compare_arrays
from gradproof.judging.compare import along
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

    def settled_by(self, corrected: Estimate) -> bool:
        """Whether what is known shows at no cost that a claim corrected in a few entries agrees; their bars hide nothing."""
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

    def settled_by(self, corrected: Estimate) -> bool:
        """Whether what is known shows at no cost that a claim corrected in a few entries agrees; their bars hide nothing."""
        return False  # `clean_except` costs nothing

    def same_mean(self, axis: int | None, factor: float) -> bool:
        """Whether `factor` times the claim, constant along `axis` (None: altogether), is the mean of the right values."""
        mean, bar = (np.mean(x, axis=axis, keepdims=True) for x in (self.truth.value, self.truth.bar))
        size = np.mean(np.abs(self.truth.value), axis=axis, keepdims=True)
        off = np.abs(factor * self.claim.value - mean)
        return bool(np.all(off <= bar + self.claim.bar + 2.0**-44 * size))


SHARP = 2.0**-20
"""Bar of a probe's slope, as a share of the slope, below which no guess agrees by chance along two."""


HIDING = 64.0
"""Bars of a probe that those of a few entries may amount to along it, where they stand for a probe over all others."""


class ByProbes:
    """Judge: slopes along the probes that refuted the leaf, and along a fresh one for what survives those.

    Along some of them other leaves move too; what `gradient` has for these is right.
    """

    def __init__(
        self, referee: Referee, source: str, gradient: Sequence[Estimate], leaf: int, probed: Sequence[Probed]
    ) -> None:
        self._referee = referee
        self._source = source
        self._gradient = list(gradient)
        self._leaf = leaf
        self._point = referee.sampler.point
        self.probed = list(probed)
        self._clean: dict[bytes, bool] = {}

    @cached_property
    def _directions(self) -> list[HostArray]:
        return [probed.probe[self._leaf].reshape(-1) for probed in self.probed]

    @cached_property
    def _due(self) -> list[tuple[float, float]]:
        """What the leaf has to add along every probe, and its bar: the slope less what the other leaves add."""
        shape = self._gradient[self._leaf].shape
        others = self._with(Estimate(np.zeros(shape), np.zeros(shape)))
        added = [along(others, probed.probe) for probed in self.probed]
        return [
            (float(p.slope.value[0]) - other.value, float(p.slope.bar[0]) + other.bar)
            for p, other in zip(self.probed, added, strict=True)
        ]

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
        return all(self._referee.looks.agrees(self._source, gradient, probed) for probed in probes)

    def within(self, claim: Estimate) -> bool:
        """Whether a claim is right to its own bars, however wide they are."""
        gradient = self._with(claim)
        return all(self._referee.looks.within(self._source, gradient, p) for p in (*self.probed, self.fresh))

    def fit(self, base: Estimate, direction: Estimate) -> tuple[float, float] | None:
        """c for which base + c·direction fits best, and its bar; None if the direction does not show."""
        best: tuple[float, float] | None = None
        for v, (due, due_bar) in zip(self._directions, self._due, strict=True):
            moved = float(direction.value.reshape(-1) @ v)
            gap = due - float(base.value.reshape(-1) @ v)
            bar = due_bar + float(base.bar.reshape(-1) @ np.abs(v))
            if moved == 0 or not np.isfinite(moved):
                continue
            c = gap / moved
            bar += abs(c) * float(direction.bar.reshape(-1) @ np.abs(v))
            if best is None or bar / abs(moved) < best[1]:
                best = c, bar / abs(moved)
        return best

    def clean_except(self, wrong: HostArray) -> bool:
        """Whether the claim agrees outside of the entries marked `wrong`."""
        key = np.packbits(wrong).tobytes()
        if key not in self._clean:
            self._clean[key] = self._agrees_outside(wrong)
        return self._clean[key]

    def settled_by(self, corrected: Estimate) -> bool:
        """Whether what is known shows at no cost that a claim corrected in a few entries agrees; their bars hide nothing."""
        wider = corrected.bar - self._gradient[self._leaf].bar
        hidden = [float(np.abs(v) @ wider.reshape(-1)) for v in self._directions]
        sharp = all(h <= HIDING * bar for h, (_, bar) in zip(hidden, self._due, strict=True))
        return sharp and self._sharp and self.agrees(corrected)

    def _agrees_outside(self, wrong: HostArray) -> bool:
        masks = [np.zeros(leaf.shape, dtype=bool) for leaf in self._point.leaves]
        masks[self._leaf] = ~wrong
        if not masks[self._leaf].any():
            return True  # nothing is left that could be wrong
        rest = self._referee.probes.along(self.probed[0].probe.only(masks), self._leaf)
        return self._referee.looks.agrees(self._source, self._gradient, rest)

    def same_mean(self, axis: int | None, factor: float) -> bool:
        """Whether `factor` times the claim, constant along `axis` (None: altogether), is the mean of the right values."""
        claim = self._gradient[self._leaf]
        probe = uniform_probe(self._point, self._leaf, axis, self._referee.probes.rng)
        probed = self._referee.probes.along(probe, self._leaf)
        scaled = Estimate(factor * claim.value, abs(factor) * claim.bar)
        return self._referee.looks.agrees(self._source, self._with(scaled), probed)

    @cached_property
    def _sharp(self) -> bool:
        return all(bar <= SHARP * abs(due) for due, bar in self._due)

    def _near(self, corrected: Estimate) -> bool:
        """A look at the first probe, which costs next to nothing and turns most guesses away."""
        v, (due, bar) = self._directions[0], self._due[0]
        gap = abs(float(corrected.value.reshape(-1) @ v) - due)
        allowed = bar + float(corrected.bar.reshape(-1) @ np.abs(v))
        scale = norm(corrected.value.reshape(-1) * v)
        return gap <= allowed + 2.0**-30 * scale

    def _with(self, corrected: Estimate) -> list[Estimate]:
        return [corrected if i == self._leaf else e for i, e in enumerate(self._gradient)]
