"""Slope of a function along a line, with a bar computed from the very samples.

φ is sampled at t = ±h_k, h_k = h₀·2⁻ᵏ, and fitted window by window (`windows`): the odd part gives the slope, the
even part the slope's jump at 0, a kink. Levels are added while a finer one could halve the bar. This is one ladder
from a given first step; `climb` looks whether that was the right scale.
"""

__all__ = [
    "FEWEST_LEVELS",
    "FINEST_LEVEL",
    "FIRST_STEP",
    "JUMP_SAFETY",
    "SAFETY",
    "Ladder",
    "Slope",
    "ascend",
    "first_steps",
    "hidden_kinks",
    "one_side",
    "read_again",
    "rounding",
]

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from gradproof.arrays import HostArray
from gradproof.numeric.line import Line
from gradproof.numeric.windows import EVEN, ODD, ONE_SIDED, best_window, misfit, residual_noise
from gradproof.verdict import Estimate

FIRST_STEP = 11 / 16
"""h₀: below 1, so that x ± h·v keeps the sign of most entries; four bits, so that it is formed exactly."""

FEWEST_LEVELS = 7
"""Smallest ladder: order 6 with four finer levels."""

FINEST_LEVEL = {2.0**-53: 41, 2.0**-24: 16}
"""Finest level at which x + t·v is still formed without rounding, by unit roundoff."""

SAFETY = 3.0
"""Factor on the noise. With 1, 2 and 3 the bar held on all of 2,000 smooth functions in float64; with 0.5 on 99.6 %."""

JUMP_SAFETY = 2.0
"""The same for half the slope's jump, whose fit shares the noise of φ(0)."""

ONE_SIDED_LEVELS = 14
"""Levels at the edge of the domain: an extrapolation of order 6 from one side needs finer steps than one from two."""

STEEPENS = 2.0**-8
"""Growth of the finest secant above which it has to have slowed down: that of a smooth function halves every level."""

NEARLY_A_HALF = 0.48
"""Fall of the secant from level to level below which it is no smooth function's whose slope is 0."""

NEAR = 2.0**-10
"""Step, in units of the ladder's finest, at which a side lies in the domain if any of it does."""

SHARP = 64.0
"""A bar of so many roundoffs of the slope itself is as narrow as any that is compared with it."""


class Ladder(NamedTuple):
    """The samples: kept, so that a view can draw error against step."""

    steps: HostArray
    """h_k, shape (levels,), falling."""
    plus: HostArray
    """φ(h_k), shape (levels, m)."""
    minus: HostArray
    """φ(−h_k), shape (levels, m)."""
    centre: HostArray
    """φ(0), shape (m,)."""

    @property
    def odd(self) -> HostArray:
        """(φ(h) − φ(−h))/2 at every level."""
        return (self.plus - self.minus) / 2

    @property
    def even(self) -> HostArray:
        """(φ(h) + φ(−h))/2 − φ(0) at every level."""
        return (self.plus + self.minus) / 2 - self.centre

    @property
    def moving(self) -> HostArray:
        """Whether φ differs from φ(0) at a level, shape (levels, m)."""
        return (self.odd != 0) | (self.even != 0)


@dataclass(frozen=True, slots=True)
class Slope:
    """φ′(0) for each of m outputs, with its bar and what else the samples tell. All arrays have shape (m,)."""

    value: HostArray
    bar: HostArray
    """|value − φ′(0)| ≤ bar; infinite where nothing could be fitted."""
    jump: HostArray
    """Slope on the right minus slope on the left."""
    jump_bar: HostArray
    floor: HostArray
    """The bar's floor from rounding alone, at the steps that were used."""
    constant: HostArray
    """Whether φ was the same at the point and at all samples, or at all near ones where it is continuous beyond."""
    broken: HostArray
    """Whether φ jumps at the point itself."""
    stairs: HostArray
    """Whether φ is a staircase: flat where it is finest, and moving over several steps."""
    piece: HostArray
    """Of a staircase: the slope of the piece on which the point lies."""
    piece_bar: HostArray
    riser: HostArray
    """Of a staircase: the height of a step, 0 elsewhere."""
    one_sided: HostArray
    """Whether only one side lies in the domain, and the slope is that side's."""
    ladder: Ladder

    def where(self, here: HostArray, **values: Any) -> "Slope":
        """This, with other values for the outputs `here` (m,)."""
        changed = {name: np.where(here, value, getattr(self, name)) for name, value in values.items()}
        return replace(self, **changed)

    @property
    def estimate(self) -> Estimate:
        """Value and bar."""
        return Estimate(self.value, self.bar)

    @property
    def kink(self) -> HostArray:
        """Whether the two one-sided slopes differ by more than the samples can be off."""
        return (np.abs(self.jump) > 3 * self.jump_bar) & (np.abs(self.jump) / 2 > self.bar)

    @property
    def outside(self) -> HostArray:
        """Whether no window of finite values was found: the point is at the edge of the domain, or outside it."""
        return ~np.isfinite(self.bar)


def finest_step(line: Line, first_step: float) -> float:
    """Smallest step at which `line` can still be sampled without rounding its argument."""
    return first_step * 2.0 ** -FINEST_LEVEL.get(line.unit_roundoff, FEWEST_LEVELS)


def ascend(line: Line, first_step: float, finest: float, *, to_the_floor: bool, enough: float = 0.0) -> Slope:
    """A ladder from `first_step` down, until a finer level could not halve the bar, or the bar is narrow `enough`.

    The noise to expect there is what the finest levels show, or only rounding if it goes `to_the_floor`.
    """

    def done(slope: Slope, noise: HostArray, step: float) -> bool:
        expected = rounding(slope.ladder, line)[-1] if to_the_floor else noise
        gain = (2 * SAFETY * 1.5 * expected / step < slope.bar / 2) & ~(
            slope.bar <= np.maximum(_sharp(slope, line), enough)
        )
        return not np.any(gain)

    return _ladder(line, first_step, finest, done)


def sharpen(line: Line, slope: Slope, finest: float) -> Slope:
    """The same ladder, continued until a finer level could not halve the bar of the slope's jump."""

    def done(longer: Slope, noise: HostArray, step: float) -> bool:
        gain = (2 * JUMP_SAFETY * 4 * noise / step < longer.jump_bar / 2) & (
            longer.jump_bar > _sharp(longer, line)
        )
        return len(longer.ladder.steps) >= len(slope.ladder.steps) and not np.any(gain)

    return _ladder(line, float(slope.ladder.steps[0]), finest, done)


def hidden_kinks(line: Line, slope: Slope) -> HostArray:
    """By how much a kink too close to be seen can have shifted each slope, (m,); a one-sided slope has none to mind."""
    sharp = sharpen(line, slope, finest_step(line, FIRST_STEP))
    jumps = np.fmin(np.abs(slope.jump) + slope.jump_bar, np.abs(sharp.jump) + sharp.jump_bar)
    return np.where(slope.one_sided, 0.0, jumps / 2)


def _sharp(slope: Slope, line: Line) -> HostArray:
    return SHARP * line.unit_roundoff * np.abs(slope.value)


def first_steps(first_step: float = FIRST_STEP) -> list[float]:
    """Where every ladder is sampled, however short."""
    return [sign * first_step * 2.0**-level for level in range(FEWEST_LEVELS) for sign in (1.0, -1.0)]


def _ladder(
    line: Line, first_step: float, finest: float, done: Callable[[Slope, HostArray, float], bool]
) -> Slope:
    steps: list[float] = []
    plus: list[HostArray] = []
    minus: list[HostArray] = []
    line.ahead(first_steps(first_step))
    while True:
        steps.append(first_step * 2.0 ** -len(steps))
        line.ahead((steps[-1], -steps[-1]))
        plus.append(line(steps[-1]))
        minus.append(line(-steps[-1]))
        if len(steps) < FEWEST_LEVELS:
            continue
        ladder = Ladder(np.array(steps), np.array(plus), np.array(minus), line.centre)
        slope, noise = _read(ladder, line)
        if steps[-1] / 2 < finest or done(slope, noise, steps[-1]):
            return slope


def read_again(slope: Slope, line: Line, noise: HostArray) -> Slope:
    """`slope` from the same samples, whose noise is known to be no less than `noise` (m,)."""
    return _read(slope.ladder, line, noise)[0]


def _read(ladder: Ladder, line: Line, least_noise: HostArray | float = 0.0) -> tuple[Slope, HostArray]:
    """Slope from the samples, and the noise (m,) at the finest levels."""
    odd, even, floor = ladder.odd, ladder.even, np.maximum(rounding(ladder, line), least_noise)
    noise = _apart(_noise([misfit(ODD, odd, floor[-1]), misfit(EVEN, even, floor[-1])], floor), ladder)
    value, bar = best_window(ODD, odd, ladder.steps, noise, SAFETY)
    half_jump, half_jump_bar = best_window(EVEN, even, ladder.steps, noise, JUMP_SAFETY)
    slope = Slope(
        value=value,
        bar=bar,
        jump=2 * half_jump,
        jump_bar=2 * half_jump_bar,
        floor=SAFETY * 1.5 * np.nanmin(_allowed(ladder, line), axis=0),
        constant=~(ladder.moving.any(axis=0)) & np.isfinite(odd[-1]),
        broken=_broken(ladder, floor),
        stairs=np.zeros(value.shape, dtype=bool),
        piece=np.zeros(value.shape),
        piece_bar=np.zeros(value.shape),
        riser=np.zeros(value.shape),
        one_sided=np.zeros(value.shape, dtype=bool),
        ladder=ladder,
    )
    return slope, np.maximum(residual_noise(ODD, odd), floor[-1])


def one_side(line: Line, slope: Slope) -> Slope:
    """`slope` with that of the only side in the domain, for outputs that have just one."""
    near = float(slope.ladder.steps[-1]) * NEAR
    for sign in (1.0, -1.0):
        here = slope.outside & np.isfinite(line(sign * near)) & ~np.isfinite(line(-sign * near))
        if here.any():
            slope = _one_sided(line, slope, here, sign, near)
    return slope


def _one_sided(line: Line, slope: Slope, here: HostArray, sign: float, near: float) -> Slope:
    start = float(slope.ladder.steps[0])
    while start > near and not np.isfinite(line(sign * start)[here]).all():
        start /= 2
    steps = start * 2.0 ** -np.arange(ONE_SIDED_LEVELS)
    samples = np.array([line(sign * t) for t in steps])
    floor = rounding(Ladder(steps, samples, samples, line.centre), line)
    rise = sign * (samples - line.centre)
    noise = _noise([misfit(ONE_SIDED, rise, floor[-1])], floor)
    value, bar = best_window(ONE_SIDED, rise, steps, noise, SAFETY)
    bar = np.where(_steepens(rise / steps[:, None]), np.inf, bar)
    return slope.where(here, value=value, bar=bar, jump=0.0, jump_bar=0.0, one_sided=np.isfinite(bar))


def _steepens(secants: HostArray) -> HostArray:
    """Whether secants (levels, m) go on changing by the same share, level after level: √x and log x at 0 have no slope,
    and x^1.3 one that no power series in h finds. Where a slope is 0, they fall by a half or faster."""
    size = np.abs(secants)
    with np.errstate(all="ignore"):
        growth = size[1:] / size[:-1] - 1
    rises = (growth[-1] > STEEPENS) & (growth[-1] > growth[-5] / 2)
    falls = (growth[-1] < -STEEPENS) & (growth[-1] < growth[-5] / 2) & (growth[-1] > -NEARLY_A_HALF)
    return rises | falls


def _noise(misfits: list[list[HostArray]], floor: HostArray) -> list[HostArray]:
    """Noise of every window, by order: the largest misfit of all models, at least the floor at its coarsest level."""
    return [
        np.maximum(np.max(of_order, axis=0), floor[: len(of_order[0])])
        for of_order in zip(*misfits, strict=True)
    ]


def _apart(noise: list[HostArray], ladder: Ladder) -> list[HostArray]:
    """Infinite noise for windows below the last level that moved: that φ is flat there is evidence of another kind."""
    moves_below = np.logical_or.accumulate(ladder.moving[::-1], axis=0)[::-1]
    flat = ~moves_below & ladder.moving.any(axis=0)
    return [np.where(flat[: len(of_order)], np.inf, of_order) for of_order in noise]


def rounding(ladder: Ladder, line: Line) -> HostArray:
    """u·max|φ| over level k and all finer ones, or 1.5 × what repeated calls differed by: shape (levels, m)."""
    largest = np.fmax(np.fmax(np.abs(ladder.plus), np.abs(ladder.minus)), np.abs(ladder.centre))
    from_finest = np.fmax.accumulate(largest[::-1], axis=0)[::-1]
    return np.fmax(line.unit_roundoff * from_finest, 1.5 * line.spread)


def _allowed(ladder: Ladder, line: Line) -> HostArray:
    """Error of the slope at every level from rounding alone, (levels, m)."""
    allowed = rounding(ladder, line) / ladder.steps[:, None]
    return np.where(np.isfinite(allowed), allowed, np.inf)


def _broken(ladder: Ladder, floor: HostArray) -> HostArray:
    """Whether φ(±h) − φ(0) stays the same, to a fifth, over the last five levels: a jump, or a step, at the point."""

    def stays(side: HostArray) -> HostArray:
        rise = np.abs(side[-5:] - ladder.centre)
        return (rise.min(axis=0) > 64 * floor[-1]) & (rise.max(axis=0) < 1.2 * rise.min(axis=0))

    return stays(ladder.plus) | stays(ladder.minus)
