"""The slope of a function along a line, on whatever scale the function lives.

One ladder (`ladder`) covers steps down to a hundredth of the parameters' size. Where its bar is wider than rounding
alone would make it, or the samples look like a kink, a jump or the edge of the domain, single *scouts* far below
look again: the function may live on a finer scale (then the ladder starts there), be flat near the point, or really be
what it looked like.
"""

__all__ = ["climb", "piecewise"]

from dataclasses import replace

import numpy as np

from gradproof.arrays import HostArray
from gradproof.numeric.ladder import (
    FEWEST_LEVELS,
    FIRST_STEP,
    SAFETY,
    Ladder,
    Slope,
    ascend,
    finest_step,
    one_side,
    rounding,
)
from gradproof.numeric.line import Line
from gradproof.numeric.windows import ODD, interpolated, residual_noise

SUSPICIOUS = 16.0
"""A bar wider than this multiple of what rounding allows may have another cause: scouts are sent."""

SCOUT_RATIO = 2.0**-4
"""From scout to scout. With 2⁻⁵ a scale can fall between two of them, 2⁻³ costs a third more."""

MOST_RESTARTS = 4
"""On finer scales. One output never used more than 2; several outputs may live on as many scales (100 sines of phases
1e7 to 2e8 on three)."""

CALMER = 32.0
"""Factor by which the misfit must fall from ladder to scouts: noise keeps its size, structure does not."""

OFF_LADDER = 0.6180339887498949
"""Where between two levels the ladder is put to the test: steps that are powers of two apart can all fall on whole
periods of an oscillation (1 of 500 random directions for sin(10⁴·x)); this step then does not."""

ALIASED = 2.0**-16
"""Share by which that sample may miss what the five finest levels predict: their own error of interpolation."""

ANOTHER_STEP = 0.8541019662496846
"""First step, in units of the usual one, of the ladder that replaces an aliased one."""

EDGE_BISECTIONS = 24
"""After which the edge of a flat piece is known to 2⁻²⁰ of its distance."""

BEYOND = 64.0
"""How far beyond a finer ladder's first step the end of its piece is looked for."""

RESOLVED = 64.0
"""One of several outputs that is flat near the point and has a slope of so many bars further away is taken for a
staircase; with less of a slope it is flat, with steps at a distance. A single output is looked at more closely."""

CONTINUOUS = 2.0**-8
"""Share of the rise at twice the distance that a continuous function may have just outside its flat piece."""


def climb(line: Line, *, first_step: float = FIRST_STEP) -> Slope:
    """Slope of `line` at 0, and what else its samples tell."""
    finest = finest_step(line, first_step)
    slope = ascend(line, first_step, finest, to_the_floor=False)
    if _aliased(line, slope):
        slope = ascend(line, ANOTHER_STEP * first_step, finest, to_the_floor=False)
    first, restarted = slope, np.zeros(slope.value.shape, dtype=bool)
    for _ in range(MOST_RESTARTS):
        if not _suspicious(slope).any():
            return slope
        scouts = _scouts(line, slope, finest)
        start, better = _finer_scale(line, slope, scouts, restarted)
        if start is None:
            return _explained(line, slope, first, scouts, finest)
        slope = _merged(slope, ascend(line, start, finest, to_the_floor=True), better)
        restarted |= better
    return slope


def _suspicious(slope: Slope) -> HostArray:
    moving = slope.ladder.moving
    flat_below = moving.any(axis=0) & ~moving[-1] & ~slope.constant & ~slope.stairs
    return (slope.bar > SUSPICIOUS * slope.floor) | slope.kink | slope.broken | flat_below


def _aliased(line: Line, slope: Slope) -> bool:
    """Whether a sample between two levels lies far from what all levels together predict there."""
    ladder = slope.ladder
    step = float(ladder.steps[-3]) * OFF_LADDER
    found = (line(step) - line(-step)) / 2
    due = interpolated(ODD, ladder.odd[-5:], OFF_LADDER * 2.0**-2)
    noise = np.maximum(residual_noise(ODD, ladder.odd), rounding(ladder, line)[-1])
    allowed = 32 * noise + 4 * slope.bar * step + ALIASED * (np.abs(found) + np.abs(due))
    return bool(np.any((np.abs(found - due) > allowed) & ~slope.kink & ~slope.broken))


def _scouts(line: Line, slope: Slope, finest: float) -> Ladder:
    """Single levels far apart, as long as rounding would let one of them narrow the bar. The first is the ladder's last."""
    steps = [float(slope.ladder.steps[-1])]
    plus, minus = [slope.ladder.plus[-1]], [slope.ladder.minus[-1]]
    size = np.fmax(np.abs(line.centre), np.fmax(np.abs(plus[0]), np.abs(minus[0])))
    to_the_end = bool(np.any(slope.kink | slope.broken))
    while (step := steps[-1] * SCOUT_RATIO) >= finest * 2.0**FEWEST_LEVELS / 4:
        if not (to_the_end or np.any(4 * line.unit_roundoff * size / step < slope.bar / 4)):
            break
        steps.append(step)
        plus.append(line(step))
        minus.append(line(-step))
    return Ladder(np.array(steps), np.array(plus), np.array(minus), line.centre)


def _finer_scale(
    line: Line, slope: Slope, scouts: Ladder, restarted: HostArray
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
    smooth = (differ < np.abs(odd[1:]) / 4) & (calmer | slope.kink | slope.broken | slope.outside)
    better = needy & scouts.moving[1:] & (smooth | (differ + 4 * floor < slope.bar / 4))
    counts = (better & ~restarted).sum(axis=1) * better.shape[1] + better.sum(axis=1)
    if not counts.any():
        return None, needy
    coarsest = int(np.argmax(counts))
    return min(4 * float(scouts.steps[coarsest]), float(scouts.steps[0])), better[coarsest]


def _merged(coarse: Slope, fine: Slope, better: HostArray) -> Slope:
    """`fine` for the outputs where it is better; where both tell the same, whichever has the narrower bar."""
    same = np.abs(coarse.value - fine.value) <= coarse.bar + fine.bar
    take = better & np.isfinite(fine.bar) & ~(same & (coarse.bar <= fine.bar) & ~coarse.kink)
    names = ("value", "bar", "jump", "jump_bar", "floor", "constant", "broken")
    merged = coarse.where(take, **{name: getattr(fine, name) for name in names})
    return replace(merged, ladder=fine.ladder if take.all() else coarse.ladder)


# What the samples looked like, and are


def _explained(line: Line, slope: Slope, first: Slope, scouts: Ladder, finest: float) -> Slope:
    """`slope` where no finer scale was found: flat, a staircase, one-sided, or a real jump."""
    slope = _flat(line, slope, first, scouts)
    slope = slope.where(slope.broken, broken=_still_broken(slope, scouts, line))
    return one_side(line, slope, finest) if slope.outside.any() else slope


def _flat(line: Line, slope: Slope, first: Slope, scouts: Ladder) -> Slope:
    """Outputs that do not move near the point, although they do further away: constant there, or a staircase.

    A staircase has the slope that the `first` ladder saw over many steps.
    """
    levels = _joined(first.ladder, scouts)
    moving = levels.moving
    flat = _suspicious(slope) & moving.any(axis=0) & ~moving[-1] & np.isfinite(levels.odd[-1])
    if not flat.any():
        return slope
    first_flat = len(moving) - int(np.argmax(moving[::-1, flat].any(axis=1)))
    sloping = flat & (first.bar < np.abs(first.value) / RESOLVED)
    riser = np.zeros(1)
    if flat.size == 1:
        continuous, riser = _rises_continuously(line, levels, first_flat)
        sloping = flat & ~continuous
    bar = slope.floor * slope.ladder.steps[0] / levels.steps[first_flat]
    constant = flat & ~sloping
    slope = slope.where(constant, value=0.0, bar=bar, jump=0.0, jump_bar=bar, constant=True, broken=False)
    of_riser = (
        SAFETY * 1.5 * riser / first.ladder.steps[0]
    )  # a step's height is noise to whoever looks over many
    return slope.where(sloping, stairs=True, value=first.value, bar=np.maximum(first.bar, of_riser))


def _rises_continuously(line: Line, levels: Ladder, first_flat: int) -> tuple[bool, HostArray]:
    """Whether the only output leaves its flat piece without a jump, found by bisecting for the edge; and its rise there."""
    inside, outside = float(levels.steps[first_flat]), float(levels.steps[first_flat - 1])
    side = 1.0 if levels.plus[first_flat - 1, 0] != levels.centre[0] else -1.0
    for _ in range(EDGE_BISECTIONS):
        middle = (inside + outside) / 2
        if line(side * middle)[0] == levels.centre[0]:
            inside = middle
        else:
            outside = middle
    rise, further = (abs(line(side * t)[0] - levels.centre[0]) for t in (outside, 2 * outside))
    return bool(rise <= CONTINUOUS * further), np.asarray([rise])


def _joined(ladder: Ladder, scouts: Ladder) -> Ladder:
    """All levels of both, coarsest first."""
    steps = np.concatenate([ladder.steps, scouts.steps])
    steps, first = np.unique(-steps, return_index=True)
    plus, minus = (
        np.concatenate([a, b])[first] for a, b in ((ladder.plus, scouts.plus), (ladder.minus, scouts.minus))
    )
    return Ladder(-steps, plus, minus, ladder.centre)


def _still_broken(slope: Slope, scouts: Ladder, line: Line) -> HostArray:
    """Whether φ(±h) − φ(0) is the same at the finest scout as at the ladder's end."""
    floor = 64 * rounding(scouts, line)[-1]

    def stays(side: HostArray) -> HostArray:
        rise = np.abs(side - scouts.centre)
        return (rise[-1] > floor) & (np.abs(rise[-1] - rise[0]) < rise[0] / 5)

    return stays(scouts.plus) | stays(scouts.minus)


def piecewise(line: Line, slope: Slope) -> bool:
    """Whether a slope found on a finer scale holds on one piece only, with a jump at its end: rounding, not structure.

    φ is followed along its tangent until it has left it by half of what it has far away; a continuous function
    leaves it gradually.
    """
    inside, outside = float(slope.ladder.steps[-1]), min(FIRST_STEP, BEYOND * float(slope.ladder.steps[0]))

    def departure(t: float) -> float:
        return float(np.abs(line(t) - line.centre - slope.value * t).max())

    enough = departure(outside) / 2
    for _ in range(EDGE_BISECTIONS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if departure(middle) > enough else (middle, outside)
    return departure(outside) - departure(inside) > enough / 4
