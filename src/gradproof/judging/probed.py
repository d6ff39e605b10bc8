"""A probe, the slope along it, and what has to be looked at once more before that slope refutes anything."""

__all__ = ["SHIFTED_STEP", "Probed"]

from functools import cached_property

import numpy as np

from gradproof.judging.compare import Directional
from gradproof.judging.parts import Parts
from gradproof.numeric.climb import climb
from gradproof.numeric.kinks import nearest_kink
from gradproof.numeric.ladder import FEWEST_LEVELS, FIRST_STEP, SAFETY, Slope, finest_step, sharpen
from gradproof.numeric.line import Line
from gradproof.numeric.probe import Probe
from gradproof.verdict import Estimate, Reason

SHIFTED_STEP = 13 / 16
"""First step of the ladder that has to confirm a refutation: no step of the first ladder is met again."""

ROUGH = 2.0**10
"""A bar wider than this multiple of what rounding of the values allows is more than the noise of a long sum."""

MOST_MOVE = 0.9
"""Share of the outputs that moves at the finest step where the function is no staircase."""

VISIBLE = 8.0
"""Roundoffs by which a value has to be expected to move before its standing still shows a step."""


class Probed:
    """A probe and the slope along it."""

    def __init__(
        self, line: Line, leaf: str | None, parts: Parts | None = None, known: Slope | None = None
    ) -> None:
        self.line = line
        self.leaf = leaf
        """Path of the only leaf that moves; None if all do."""
        self._outputs = line if parts is None else parts.line
        self._parts = parts if parts is not None and parts.fit else None
        self.slope: Slope = known or climb(line, to_the_end=self._parts is None)
        if self._parts is not None:
            self._take_sum(self._parts)
        self.complex_step: Estimate | None = None
        """The slope by the complex step, where the code is analytic."""
        self.ladder_slope: Slope | None = None
        """The slope before the complex step narrowed its bar."""
        self.short = parts is None and known is not None and len(known.ladder.steps) < FEWEST_LEVELS
        """Whether the slope is known from a short ladder only."""
        self.climbed = self
        """The probe to which the samples of the slope's ladder belong: one of which this is a part, if its slope was read."""
        self.doubt_of_gap: tuple[float, Reason | None] | None = None
        """How closely a gap that this probe shows was confirmed, and why it was not, if so."""

    def lengthened(self) -> "Probed":
        """The same with a whole ladder."""
        return Probed(self.line, self.leaf)

    def part(self, line: Line, leaf: str, value: float, bar: float) -> "Probed":
        """A part of this probe, along `line`, whose slope was read: with no kink, and the steps of this one."""
        here = np.ones(1, dtype=bool)
        part = Probed(line, leaf, known=self.slope.where(here, value=value, bar=bar, jump=0.0, jump_bar=bar))
        part.climbed = self
        return part

    def narrow(self, by_complex_step: Estimate | None) -> None:
        """Take the slope by the complex step where there is one."""
        self.complex_step = by_complex_step
        if by_complex_step is not None:
            self.ladder_slope = self.slope
            value, bar = by_complex_step.value, by_complex_step.bar
            self.slope = self.slope.where(bar < self.slope.bar, value=value, bar=bar)

    def _take_sum(self, parts: Parts) -> None:
        """The slope from the parts, where its bar is narrower, or the sum looks as if it had none."""
        total, jump = parts.sum, parts.jump
        spoilt = self.slope.kink | self.slope.broken | self.slope.outside
        self.slope = self.slope.where(
            (total.bar < self.slope.bar) | spoilt, broken=False,
            value=total.value, bar=total.bar, jump=jump.value, jump_bar=jump.bar,
        )  # fmt: skip

    @property
    def probe(self) -> Probe:
        """The direction."""
        return self.line.probe

    @property
    def doubt(self) -> Reason | None:
        """Why no slope along this probe can judge anything, if so."""
        if np.isinf(self.line.spread).any():
            return Reason.NON_DETERMINISTIC
        if self.slope.broken.any():
            return Reason.JUMP
        return Reason.DOMAIN if self.slope.outside.any() else None

    @property
    def kink(self) -> bool:
        """Whether the function has a kink along this probe."""
        return bool(self.slope.kink.any())

    @property
    def half_jump(self) -> float:
        """How far either one-sided slope lies from the mean of the two, at most."""
        return float(np.max(np.abs(self.slope.jump) + self.slope.jump_bar)) / 2

    @cached_property
    def hidden_kink(self) -> float:
        """By how much a kink too close to be seen can have shifted the slope."""
        if self.slope.one_sided.any():
            return 0.0
        if self._parts is not None:
            return self._parts.hidden_kink()
        sharp = sharpen(self.line, self.slope, finest_step(self.line, FIRST_STEP))
        return float(np.max(np.abs(sharp.jump) + sharp.jump_bar)) / 2

    @property
    def still(self) -> bool:
        """Whether many of the outputs do not move at all at the finest step, where the slope would move them visibly.

        A claim of zero holds on that scale.
        """
        line = self._outputs
        t = finest_step(line, FIRST_STEP)
        if line is self.line and np.all(
            np.abs(self.slope.value) * t < VISIBLE * line.unit_roundoff * np.abs(line.centre)
        ):
            return False
        return float(np.mean((line(t) != line.centre) | (line(-t) != line.centre))) < MOST_MOVE

    def consistent(self, enough: float) -> bool:
        """Whether a ladder of other steps, known to `enough`, has the same slope, and no kink."""
        second = climb(self.line, first_step=SHIFTED_STEP, enough=enough)
        gap = np.abs(second.value - self.slope.value)
        return bool(np.all(gap <= second.bar + self.slope.bar)) and not second.kink.any()

    def on_its_piece(self, claim: Directional) -> bool:
        """Whether the function is a staircase, and `claim` the slope of the piece on which the point lies."""
        off = np.abs(claim.value - self.slope.piece)
        return bool((self.slope.stairs & (off <= self.slope.piece_bar + claim.bar)).any())

    @property
    def on_finer_scale(self) -> bool:
        """Whether the slope was found closer to the point than where ladders begin."""
        return bool(self.slope.ladder.steps[0] < FIRST_STEP / 4) and not self.slope.stairs.any()

    @cached_property
    def nearest_kink(self) -> float | None:
        """How far the nearest kink is along the probe, in sizes of the parameters; None if none was seen."""
        return nearest_kink(self.line, self.slope)

    @property
    def grain(self) -> float:
        """Height of the steps of which the function is made, as far as this probe saw any."""
        return float(self.slope.riser.max())

    def over(self, grain: float, *, real: bool = False) -> Estimate:
        """The slope, if the function is known to be made of steps of this height; `real`: from real values alone."""
        slope = self.ladder_slope if real and self.ladder_slope is not None else self.slope
        least = SAFETY * 1.5 * grain / FIRST_STEP
        return Estimate(slope.value, np.maximum(slope.bar, least))

    def noise(self, numeric_is_to_blame: bool) -> Reason | None:
        """What made the bar so wide, if it is the function's noise: randomness, or code that cancels."""
        if np.any(self.line.spread > 0):
            return Reason.NON_DETERMINISTIC
        rough = bool(np.any((self.slope.bar > ROUGH * self.slope.floor) & ~self.slope.one_sided))
        return Reason.ROUGH if rough and numeric_is_to_blame else None
