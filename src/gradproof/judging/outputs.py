"""Outputs of a function of an array: which of them can be judged at this point, and with which weights together.

One ladder gives every output's slope at no extra evaluation. An output that has none (it jumps, leaves the domain, is
random or noise) would spoil the sum of all, so it is masked; the others are weighted by the reciprocals of their bars,
so that an error shows in whichever output it sits, large or small. Outputs that kink here are judged apart.
"""

__all__ = ["JUDGED_SHARE", "Kinked", "Outputs", "Weights", "masked_outputs", "plain_cotangent", "weigh"]

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray
from gradproof.judging.parts import Parts
from gradproof.judging.probed import Probed
from gradproof.numeric.bundles import Bundles
from gradproof.numeric.climb import climb
from gradproof.numeric.ladder import Slope
from gradproof.numeric.probe import Probe
from gradproof.numeric.sampling import Sampler
from gradproof.verdict import Estimate, Finding, Reason, Verdict

KINKED_GROUPS = 16
"""Groups in which outputs that kink are judged, one pull-back each."""

JUDGED_SHARE = 0.5
"""Of the outputs that has to be judged before anything is said of the whole."""

UNRESOLVED = 2.0**-7
"""Bar, as a share of the output's slope or of its secant over the whole probe, whichever is steeper, above
which a slope is noise."""

WEIGHT_RANGE = {2.0**-53: 100, 2.0**-24: 20}
"""Powers of two by which a weight may lie below the largest, by unit roundoff: a cotangent and its products with
derivatives have to stay clear of overflow."""

NARROWEST_RANGE = 3
"""The same for float16 and bfloat16."""


def plain_cotangent(value: HostArray, rng: np.random.Generator) -> HostArray:
    """1 for a scalar; for an array (of the shape of `value`) random numbers of both signs, none 0 and not all alike.

    An output that is not finite is left out: 0.
    """
    if value.shape == ():
        return np.asarray(1.0)
    signs = 2.0 * rng.integers(0, 2, value.shape) - 1.0
    return np.where(np.isfinite(value), signs * (1.25 + rng.integers(0, 4, value.shape) / 4), 0.0)


class Kinked(NamedTuple):
    """A few outputs with a kink at the point."""

    cotangent: HostArray
    """Of these outputs alone, shape of the output."""
    probe: Probe
    slope: Estimate
    """Mean slope of their sum; the bar reaches to both of its one-sided slopes."""
    number: int
    """Of outputs."""


class Outputs:
    """The outputs of a function of an array, looked at along one probe."""

    def __init__(self, sampler: Sampler, probe: Probe, rng: np.random.Generator) -> None:
        self.probe = probe
        self._sampler = sampler
        self._bundles = Bundles(plain_cotangent(sampler.value, rng))
        self._line = sampler.line(probe, self._bundles)
        self._slope = climb(self._line)
        self._weights = weigh(
            self._bundles, self._slope, np.broadcast_to(self._line.spread, self._slope.value.shape),
            sampler.point.unit_roundoff,
        )  # fmt: skip
        self.masked = masked_outputs(self._weights.masked, sampler.value.size)
        """What has to be said of outputs that are left out, if any are."""

    @property
    def cotangent(self) -> HostArray:
        """Weights of the outputs that are judged together, shape of the output."""
        return self._bundles.weighted(self._weights.smooth)

    @cached_property
    def kinked(self) -> list[Kinked]:
        """Outputs that kink here beside smooth ones, in groups so small that none can hide much."""
        weights = self._weights.kinked
        groups = np.array_split(np.flatnonzero(weights), KINKED_GROUPS)
        return [self._group(weights, group) for group in groups if len(group)]

    def _group(self, weights: HostArray, group: HostArray) -> Kinked:
        alone = np.zeros(weights.shape)
        alone[group] = weights[group]
        parts = Parts(self._line, self._slope, alone)
        slope = Estimate(parts.sum.value, parts.sum.bar + parts.half_jump)
        return Kinked(self._bundles.weighted(alone), self.probe, slope, int(self._bundles.sizes[group].sum()))

    def along(self, probe: Probe) -> Probed:
        """The judged outputs' sum along `probe`, and its slope from the slopes of the outputs one by one."""
        weights = self._weights.smooth
        if probe is self.probe:
            line, slope = self._line, self._slope
        else:  # outputs that are left out would only cost evaluations
            judged = Bundles(self._bundles.weighted((weights != 0).astype(np.float64)))
            line = self._sampler.line(probe, judged)
            slope = climb(line)
        return Probed(line.weighted(weights), None, Parts(line, slope, weights))


@dataclass(frozen=True, slots=True)
class Weights:
    """How the bundles are weighed, each (bundles,): 0 where one is left out."""

    smooth: HostArray
    kinked: HostArray
    """Those with a kink at the point, where there are smooth ones beside them."""
    masked: Counter[Reason]
    """Number of outputs that are left out, by reason."""


def weigh(bundles: Bundles, slope: Slope, spread: HostArray, unit_roundoff: float) -> Weights:
    """Weights from the `slope` of every bundle along a probe, and its `spread` at the point.

    Where all outputs would be masked none is: the probes say why nothing can be judged.
    """
    why = _reasons(slope, spread)
    clear = np.array([reason is None for reason in why])
    masked: Counter[Reason] = Counter()
    for reason, size in zip(why[~clear], bundles.sizes[~clear], strict=True):
        masked[reason] += int(size)
    masked[Reason.DOMAIN] += int((bundles.cotangent == 0).sum())
    if not clear.any():
        return Weights(np.ones(clear.shape), np.zeros(clear.shape), Counter())
    smooth = clear & ~slope.kink if (clear & ~slope.kink).any() else clear
    weights = _reciprocals(slope.bar, clear, WEIGHT_RANGE.get(unit_roundoff, NARROWEST_RANGE))
    return Weights(weights * smooth, weights * (clear & ~smooth), +masked)


def masked_outputs(masked: Counter[Reason], count: int) -> Finding | None:
    """What has to be said of outputs that were left out: AGREES as long as enough were judged."""
    share = sum(masked.values()) / count
    if not share:
        return None
    listed = ", ".join(f"{number} {_NAMES[reason]}" for reason, number in masked.most_common())
    verdict = Verdict.AGREES if share <= 1 - JUDGED_SHARE else Verdict.UNDECIDED
    detail = f"{sum(masked.values())} of {count} outputs left out: {listed}"
    return Finding("outputs", ("fun",), None, verdict, Reason.MASKED, detail)


_NAMES = {
    Reason.DOMAIN: "not finite at the point or near it",
    Reason.JUMP: "jump",
    Reason.STAIRS: "are staircases",
    Reason.NON_DETERMINISTIC: "are random",
    Reason.RESOLUTION: "are noise",
}


def _reasons(slope: Slope, spread: HostArray) -> HostArray:
    """Why each bundle cannot be judged: a Reason, or None. Shape (bundles,).

    Where some outputs are staircases, one that does not move at all is on a step.
    """
    ladder = slope.ladder
    reach = np.fmax(np.abs(ladder.plus - ladder.centre), np.abs(ladder.minus - ladder.centre))
    secant = np.fmax(np.abs(slope.value), np.fmax.reduce(reach) / ladder.steps[0])
    noise = ~(slope.bar <= UNRESOLVED * secant) & ~slope.constant & ~slope.kink
    why = np.full(slope.value.shape, None, dtype=object)
    why[noise] = Reason.RESOLUTION
    why[noise & (spread > 0)] = Reason.NON_DETERMINISTIC
    why[slope.stairs | (slope.constant & slope.stairs.any())] = Reason.STAIRS
    why[slope.broken] = Reason.JUMP
    why[slope.outside] = Reason.DOMAIN
    return why


def _reciprocals(bar: HostArray, here: HostArray, widest: int) -> HostArray:
    """Powers of two near 1/bar, 1 the largest; outputs that nothing moves weigh what the median does.

    None is above 1: some pull-backs (that of a matrix exponential) are rounded to the size of their cotangent.
    """
    known = here & (bar > 0)
    exponents = np.zeros(bar.shape, dtype=int)
    if known.any():
        exponents[known] = -np.frexp(bar[known])[1]
        exponents[~known] = int(np.median(exponents[known]))
        exponents -= exponents.max()
    return np.ldexp(1.0, np.maximum(exponents, -widest))
