"""Slopes along parts of a probe, in as few evaluations as the whole probe's ladder shows to be enough.

A ladder of the whole probe takes twenty evaluations; it also tells, for every step and every order of
extrapolation, by how much that one alone would have been off. A part of the probe, of a share s of its entries with
random signs, has √s of that error. So a part is read at the one to four steps that are just good enough. What is found
in this way is believed only when it is read once more with a bar from its own samples (`sure`).
"""

__all__ = ["Reader"]

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gradproof.judging.probed import Probed
from gradproof.numeric.climb import climb
from gradproof.numeric.ladder import SAFETY, rounding
from gradproof.numeric.line import Line
from gradproof.numeric.probe import Probe
from gradproof.numeric.windows import EVEN, ODD, extrapolated, gain, residual_noise

MOST_LEVELS = 4
"""Of one reading. The bar of the whole probe comes from up to six."""

MOST_SURE_LEVELS = 6
"""Of one that its own samples have to vouch for."""

SPREAD = 4.0
"""Factor on the error expected of a part. A part that is off by more looks wrong for a while: that costs evaluations,
and blames no entry."""


class _Plan(NamedTuple):
    """Which levels are read, and how far the slope from them can be off."""

    levels: int
    finest: int
    truncation: float
    """Of the whole probe."""
    noise: float

    def bar(self, share: float) -> float:
        return SPREAD * self.truncation * float(np.sqrt(share)) + self.noise


class Reader:
    """Reads slopes along parts of probes whose ladders are `whole`."""

    def __init__(self, make_line: Callable[[Probe], Line], whole: Sequence[Probed]) -> None:
        whole = [probed for probed in whole if not probed.short]
        self._make_line = make_line
        self._lines: list[Line] = []
        self._steps = whole[0].slope.ladder.steps
        self._noise = max(_noise(probed) for probed in whole)
        self._plans = list(self._tabulated(whole))

    @property
    def evaluations(self) -> int:
        """Of the function, so far."""
        return sum(line.evaluations for line in self._lines)

    def read(self, probe: Probe, share: float, need: float) -> tuple[float, float]:
        """Slope along `probe`, a part with `share` of the entries, and its bar: `need` or narrower if it can be."""
        plan = self._plan(share, need)
        value = self._extrapolated(self.line(probe), plan.finest, plan.levels)
        return value, plan.bar(share)

    def sure(
        self, line: Line, share: float, need: float, *, at_any_price: bool = True
    ) -> tuple[float, float]:
        """The same of a `line` with a bar that its own samples vouch for; with a whole ladder, if it has to be."""
        finest = self._finest(share, need)
        value, bar = np.nan, np.inf
        for value, bar, _ in self._refined(line, finest):
            if bar <= need:
                return value, bar
        if not at_any_price and np.isfinite(bar):
            return value, bar
        slope = climb(line)
        judged = not (slope.kink | slope.broken).any()
        return float(slope.value[0]), float(slope.bar[0]) if judged else np.inf

    def smooth(self, line: Line, share: float, need: float) -> tuple[float, float] | None:
        """The same with a bar of `need` at most; None where that takes a whole ladder, or a kink may have shifted it by more."""
        finest = self._finest(share, need)
        for value, bar, levels in self._refined(line, finest):
            if bar <= need:
                steps = self._steps[finest - levels + 1 : finest + 1]
                even = np.array([(line(float(h)) + line(-float(h))) / 2 - line.centre for h in steps])
                half_jump = float(extrapolated(EVEN, even, float(steps[-1]))[0])
                return (value, bar) if abs(half_jump) <= need else None
        return None

    def line(self, probe: Probe) -> Line:
        """The function along `probe`; its evaluations count."""
        self._lines.append(self._make_line(probe))
        return self._lines[-1]

    def _refined(self, line: Line, finest: int) -> Iterator[tuple[float, float, int]]:
        """Slope and bar from two levels on, and their number; the bar is what the last one changed."""
        lower = self._extrapolated(line, finest, 1)
        for levels in range(2, min(MOST_SURE_LEVELS, finest + 1) + 1):
            value = self._extrapolated(line, finest, levels)
            yield value, abs(value - lower) + self._noise_of(levels, finest), levels
            lower = value

    def _finest(self, share: float, need: float) -> int:
        return max(self._plan(share, need).finest, 1)

    def _extrapolated(self, line: Line, finest: int, levels: int) -> float:
        steps = self._steps[finest - levels + 1 : finest + 1]
        odd = np.array([(line(float(h)) - line(-float(h))) / 2 for h in steps])
        return float(extrapolated(ODD, odd, float(steps[-1]))[0])

    def _plan(self, share: float, need: float) -> _Plan:
        enough = [plan for plan in self._plans if plan.bar(share) <= need]
        if enough:
            return min(enough, key=lambda plan: (plan.levels, plan.bar(share)))
        return min(self._plans, key=lambda plan: plan.bar(share))

    def _tabulated(self, whole: Sequence[Probed]) -> Iterator[_Plan]:
        alike = [p for p in whole if p.slope.ladder.steps[0] == self._steps[0]]
        last = min(len(p.slope.ladder.steps) for p in alike)
        for levels in range(1, MOST_LEVELS + 1):
            for finest in range(levels - 1, last):
                off = max(_truncation(p, levels, finest) for p in alike)
                yield _Plan(levels, finest, off, self._noise_of(levels, finest))

    def _noise_of(self, levels: int, finest: int) -> float:
        return float(SAFETY * gain(ODD, levels) * self._noise / self._steps[finest])


def _noise(probed: Probed) -> float:
    ladder = probed.slope.ladder
    seen = residual_noise(ODD, ladder.odd) / ODD.scale
    return float(np.maximum(seen, rounding(ladder, probed.line)[-1]).max())


def _truncation(probed: Probed, levels: int, finest: int) -> float:
    """By how much that reading of a whole probe was off; no less than what the next finer one was off by, scaled."""
    ladder = probed.slope.ladder

    def off(last: int) -> float:
        samples = ladder.odd[last - levels + 1 : last + 1]
        value = extrapolated(ODD, samples, float(ladder.steps[last]))
        return float(np.abs(value - probed.slope.value).max())

    finer = [off(last) for last in range(finest + 1, min(finest + 3, len(ladder.steps)))]
    return max(
        [off(finest), *(2.0 * growth * error for growth, error in zip((1.0, 4.0), finer, strict=False))]
    )
