"""The slope of a function along a line, on whatever scale the function lives.

One ladder (`ladder`) covers steps down to a hundredth of the parameters' size. Where its bar is wider than rounding
alone would make it, or the samples look like a kink, a jump or the edge of the domain, single *scouts* far below
look again: the function may live on a finer scale (then the ladder starts there), be flat near the point, or really be
what it looked like.
"""

__all__ = ["climb"]

from dataclasses import replace

import numpy as np

from gradproof.arrays import HostArray
from gradproof.numeric.ladder import (
    FEWEST_LEVELS,
    FIRST_STEP,
    Ladder,
    Slope,
    ascend,
    finest_step,
    one_side,
    read_again,
    rounding,
)
from gradproof.numeric.line import Line
from gradproof.numeric.pieces import explained, judged_over_pieces
from gradproof.numeric.windows import ODD, interpolation, residual_noise

SUSPICIOUS = 16.0
"""A bar wider than this multiple of what rounding allows may have another cause: scouts are sent."""

EDGE = 2.0**-10
"""Share of the slope below which the bar of a one-sided ladder is believed before finer scales are looked at: the edge
may be close to the point, and not at it."""

SCOUT_RATIO = {2.0**-53: 2.0**-4}
"""From scout to scout, by unit roundoff. With 2⁻⁵ a scale can fall between two of them, 2⁻³ costs a third more."""

NARROW_RATIO = 2.0**-2
"""The same in single and half precision, which has fewer scales."""

MOST_RESTARTS = 4
"""On finer scales. One output never used more than 2; several outputs may live on as many scales (100 sines of phases
1e7 to 2e8 on three)."""

CONTRADICTED = 4.0
"""Bars by which two scouts that agree may lie away from the ladder's slope: noise would not let them agree."""

CALMER = 32.0
"""Factor by which the misfit must fall from ladder to scouts: noise keeps its size, structure does not."""

OFF_LADDER = (0.6180339887498949, 0.7861513777574233)
"""Where between two levels the ladder is put to the test. Steps that are powers of two apart can all fall on whole
periods of an oscillation (1 of 500 random directions for sin(10⁴·x)), and on them a product that was rounded to a fixed
grid can be off in exact proportion to the step, level after level (1 of 100 of sin(7000·x)): noise that looks like a
slope. The golden ratio and its root do neither."""

TESTED_LEVELS = 5
"""Finest levels that predict what is found there."""

ALIASED = 2.0**-16
"""Share by which such a sample may miss what was predicted: the error of interpolation."""

ANOTHER_STEP = 0.8541019662496846
"""First step, in units of the usual one, of the ladder that replaces an aliased one."""


def climb(
    line: Line, *, first_step: float = FIRST_STEP, enough: float | None = None, to_the_end: bool = True
) -> Slope:
    """Slope of `line` at 0, and what else its samples tell.

    One that only has to confirm another needs a bar no narrower than `enough`, and no samples between the levels. Where
    another is known already, no finer scales are looked at, if it does not go `to_the_end`.
    """
    finest = finest_step(line, first_step)
    slope, aliased = ascend(line, first_step, finest, to_the_floor=False, enough=enough or 0.0), False
    if slope.outside.all():
        sided = one_side(line, slope)
        if np.all(sided.one_sided & (sided.bar < np.abs(sided.value) * EDGE)):
            return sided
    if enough is not None and np.all((slope.bar <= enough) & ~slope.kink & ~slope.broken):
        return slope
    if enough is None:
        slope, aliased = _tested(line, slope)
    if aliased:
        slope, _ = _tested(line, ascend(line, ANOTHER_STEP * first_step, finest, to_the_floor=False))
    return _on_its_scale(line, slope, finest) if to_the_end else slope


def _on_its_scale(line: Line, slope: Slope, finest: float) -> Slope:
    """`slope`, or that from a ladder on the finer scale on which the function lives."""
    first, restarted = slope, np.zeros(slope.value.shape)
    for _ in range(MOST_RESTARTS):
        if not _suspicious(slope).any():
            break
        scouts = _scouts(line, slope, finest)
        start, better = _finer_scale(line, slope, scouts, restarted > 0, finest)
        if start is None:
            slope = explained(line, slope, first, scouts, _suspicious(slope))
            break
        fine, _ = _tested(line, ascend(line, start, finest, to_the_floor=True))
        merged = _merged(slope, fine, better)
        if np.array_equal(merged.bar, slope.bar):
            slope = explained(line, slope, first, scouts, _suspicious(slope))
            break
        slope = merged
        restarted = np.where(better, fine.ladder.steps[-1], restarted)
    return judged_over_pieces(line, slope, first, restarted)


def _suspicious(slope: Slope) -> HostArray:
    moving = slope.ladder.moving
    flat_below = moving.any(axis=0) & ~moving[-1] & ~slope.constant & ~slope.stairs
    return (slope.bar > SUSPICIOUS * slope.floor) | slope.kink | slope.broken | flat_below


def _tested(line: Line, slope: Slope) -> tuple[Slope, bool]:
    """`slope` with what samples between two levels show of its noise; and whether they belie the ladder altogether."""
    ladder, odd = slope.ladder, slope.ladder.odd
    size = float(ladder.steps[-TESTED_LEVELS])
    noise = np.maximum(residual_noise(ODD, odd), rounding(ladder, line)[-1])
    more, aliased = np.zeros(noise.shape), False
    line.ahead([sign * size * position / 4 for position in OFF_LADDER for sign in (1.0, -1.0)])
    for position in OFF_LADDER:
        weights = interpolation(ODD, TESTED_LEVELS, position / 4)
        step = size * position / 4
        found, due = (line(step) - line(-step)) / 2, weights @ odd[-TESTED_LEVELS:]
        missed, exact = np.abs(found - due), ALIASED * (np.abs(found) + np.abs(due))
        belied = missed > 32 * noise + 4 * slope.bar * step + exact
        aliased |= bool(np.any(belied & ~slope.kink & ~slope.broken))
        more = np.fmax(more, missed / (ODD.scale * np.sqrt(1 + weights @ weights)))
    return read_again(slope, line, more), aliased


def _scouts(line: Line, slope: Slope, finest: float) -> Ladder:
    """Single levels far apart, as long as rounding would let one of them narrow the bar. The first is the ladder's last."""
    steps = [float(slope.ladder.steps[-1])]
    plus, minus = [slope.ladder.plus[-1]], [slope.ladder.minus[-1]]
    size = np.fmax(np.abs(line.centre), np.fmax(np.abs(plus[0]), np.abs(minus[0])))
    to_the_end = bool(np.any(slope.kink | slope.broken))
    ratio = SCOUT_RATIO.get(line.unit_roundoff, NARROW_RATIO)
    while (step := steps[-1] * ratio) >= finest:
        if not (to_the_end or np.any(4 * line.unit_roundoff * size / step < slope.bar / 4)):
            break
        steps.append(step)
        plus.append(line(step))
        minus.append(line(-step))
    return Ladder(np.array(steps), np.array(plus), np.array(minus), line.centre)


def _finer_scale(
    line: Line, slope: Slope, scouts: Ladder, restarted: HostArray, finest: float
) -> tuple[float | None, HostArray]:
    """First step of a ladder on the scale on which the function lives, and for which outputs it is better.

    Of several scales that of the most outputs, those first that were not `restarted` yet.
    """
    needy = _suspicious(slope)
    if len(scouts.steps) < 2:
        return None, needy
    steps = scouts.steps[:, None]
    odd, even = scouts.odd / steps, scouts.even / steps
    floor = rounding(scouts, line)[1:] / steps[1:]
    differ = np.abs(odd[:-1] - odd[1:]) + 2 * np.abs(even[1:])
    noise = np.maximum(residual_noise(ODD, slope.ladder.odd), rounding(slope.ladder, line)[-1])
    calmer = CALMER * np.abs(odd[:-1] - odd[1:]) * steps[1:] < noise
    agreed = differ < np.abs(odd[1:]) / 4
    smooth = agreed & (calmer | slope.kink | slope.broken | slope.outside)
    contradicted = agreed & (np.abs(odd[1:] - slope.value) > CONTRADICTED * slope.bar)
    better = needy & scouts.moving[1:] & (smooth | contradicted | (differ + 4 * floor < slope.bar / 4))
    counts = (better & ~restarted).sum(axis=1) * better.shape[1] + better.sum(axis=1)
    if not counts.any():
        return None, needy
    coarsest = int(np.argmax(counts))
    start = min(4 * float(scouts.steps[coarsest]), float(scouts.steps[0]))
    lowest = finest * 2.0 ** (FEWEST_LEVELS - 1)
    return (max(start, lowest), better[coarsest]) if lowest <= scouts.steps[0] else (None, needy)


def _merged(coarse: Slope, fine: Slope, better: HostArray) -> Slope:
    """`fine` for the outputs where it is better; where both tell the same, whichever has the narrower bar."""
    same = np.abs(coarse.value - fine.value) <= coarse.bar + fine.bar
    take = better & np.isfinite(fine.bar) & ~(same & (coarse.bar <= fine.bar) & ~coarse.kink)
    names = ("value", "bar", "jump", "jump_bar", "floor", "constant", "broken")
    merged = coarse.where(take, **{name: getattr(fine, name) for name in names})
    return replace(merged, ladder=fine.ladder if take.all() else coarse.ladder)
