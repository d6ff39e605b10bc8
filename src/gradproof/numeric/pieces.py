"""What samples at the point look like, and are: flat pieces, staircases, jumps, domain edges, pieces between jumps.

Code that rounds inside (a sum whose terms cancel, a table, lower precision) is smooth only between its own roundings.
Close enough to the point its slope is that of one piece; what a derivative means is the slope over many of them.
"""

__all__ = ["explained", "judged_over_pieces"]

from dataclasses import dataclass, replace

import numpy as np

from gradproof.arrays import HostArray
from gradproof.numeric.ladder import FIRST_STEP, Ladder, Slope, one_side, read_again, rounding
from gradproof.numeric.line import Line

EDGE_BISECTIONS = 24
"""After which the edge of a piece is known to 2⁻²⁴ of its distance."""

NOTICED = 2.0**-12
"""Share of the departure at twice the distance at which φ has left its tangent: beyond a kink it takes 2¹² times the
last bisection to get there, beyond a jump nothing."""

STEEP = 128.0
"""Factor by which φ's departure from its tangent may grow from one distance to the next, twice as far, without a jump:
twice what the sixth power does."""

ISOLATED = 2.0**-7
"""Distance from which on a jump is one of the function's own: the steps of bfloat16, the coarsest rounding, begin at
half of that."""

BEYOND = (4.0, 32.0, 256.0)
"""Multiples of a jump's distance at which φ runs on at the same distance from its tangent if the jump stands alone. Of
the steps of a staircase there is another by then, unless the point lies within 1/256 of an edge."""

CONTINUOUS = 2.0**-8
"""Share of its rise a little further that a continuous function may have just outside its flat piece."""

A_LITTLE = 2.0**-12
"""How much further, as a share of the distance: many times the last bisection, and less than a step of a staircase."""

FEWEST_SCOUTS, JUMP_SCOUTS = 3, 5
"""Scouts that have to show the same jump, at least, and those that are looked at."""

MOST_EDGES = 4
"""Of several outputs that are flat near the point, those whose edges are looked for: code that rounds rounds alike."""

MOST_PIECES = 16
"""Outputs whose pieces are followed to their ends, 30 evaluations each; of more than so many, the others keep a bar that
covers both scales."""


def explained(line: Line, slope: Slope, first: Slope, scouts: Ladder, suspicious: HostArray) -> Slope:
    """`slope` where no finer scale was found for the `suspicious` outputs: flat, a staircase, one-sided, a real jump."""
    slope = _flat(line, slope, first, scouts, suspicious)
    slope = slope.where(slope.broken, broken=_stays(scouts, line, slope.broken))
    slope = slope.where(suspicious & _grows_like_a_jump(scouts, line), broken=True)
    slope = _covering_scouts(slope, scouts, suspicious)
    return one_side(line, slope) if slope.outside.any() else slope


# Flat near the point


def _flat(line: Line, slope: Slope, first: Slope, scouts: Ladder, suspicious: HostArray) -> Slope:
    """Outputs that do not move near the point, although they do further away: constant there, or a staircase.

    A staircase has the slope that the `first` ladder saw over many steps.
    """
    levels = _joined(first.ladder, scouts)
    moving = levels.moving
    flat = suspicious & moving.any(axis=0) & ~moving[-1] & np.isfinite(levels.odd[-1])
    if not flat.any():
        return slope
    first_flat = len(moving) - np.argmax(moving[::-1], axis=0)
    levels_above = np.maximum(first_flat - 1, 0)[None]
    riser = np.take_along_axis(np.fmax(np.abs(levels.odd), np.abs(levels.even)), levels_above, 0)[0]
    bar = slope.floor * slope.ladder.steps[0] / levels.steps[np.minimum(first_flat, len(moving) - 1)]
    sloping, riser = _jumping(line, levels, flat, first_flat, riser)
    constant = flat & ~sloping
    slope = slope.where(constant, value=0.0, bar=bar, jump=0.0, jump_bar=bar, constant=True, broken=False)
    slope = slope.where(sloping, stairs=True, piece=0.0, piece_bar=bar)
    return _over_steps(line, slope, first, sloping, riser)


def _jumping(
    line: Line, levels: Ladder, flat: HostArray, first_flat: HostArray, riser: HostArray
) -> tuple[HostArray, HostArray]:
    """Which of the `flat` outputs leave their flat pieces by a jump, and how high it is.

    Of many, the first are looked at; the others are taken for staircases if one of those is.
    """
    sloping, riser = np.zeros(flat.shape, dtype=bool), riser.copy()
    outputs = np.flatnonzero(flat)
    for output in outputs[:MOST_EDGES]:
        alone = _alone(line, int(output))
        own = Ladder(
            levels.steps, levels.plus[:, [output]], levels.minus[:, [output]], levels.centre[[output]]
        )
        continuous, height = _rises_continuously(alone, own, int(first_flat[output]))
        sloping[output], riser[output] = not continuous, height.item()
    sloping[outputs[MOST_EDGES:]] = sloping.any()
    return sloping, riser


def _alone(line: Line, output: int) -> Line:
    """One output of `line`."""
    if len(line.centre) == 1:
        return line
    return line.weighted((np.arange(len(line.centre)) == output).astype(np.float64))


def _over_steps(line: Line, slope: Slope, first: Slope, here: HostArray, riser: HostArray) -> Slope:
    """The slope over many steps, whose height `riser` is noise to whoever looks over many."""
    over = read_again(first, line, np.where(here, riser, 0.0))
    return slope.where(here, value=over.value, bar=over.bar, riser=riser)


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
    rise, further = (abs(line(side * t)[0] - levels.centre[0]) for t in (outside, (1 + A_LITTLE) * outside))
    underflow = rise <= np.finfo(float).tiny
    return bool(underflow or rise <= CONTINUOUS * further), np.asarray([rise])


def _joined(ladder: Ladder, scouts: Ladder) -> Ladder:
    """All levels of both, coarsest first."""
    steps = np.concatenate([ladder.steps, scouts.steps])
    steps, first = np.unique(-steps, return_index=True)
    plus, minus = (
        np.concatenate([a, b])[first] for a, b in ((ladder.plus, scouts.plus), (ladder.minus, scouts.minus))
    )
    return Ladder(-steps, plus, minus, ladder.centre)


# Jumps at the point, and scales that no ladder reached


def _stays(scouts: Ladder, line: Line, here: HostArray) -> HostArray:
    """Whether φ(±h) − φ(0) is the same at the finest scout as at the ladder's end, to a fifth."""
    floor = 64 * rounding(scouts, line)[-1]
    rises = [np.abs(side - scouts.centre) for side in (scouts.plus, scouts.minus)]
    same = [(rise[-1] > floor) & (np.abs(rise[-1] - rise[0]) < rise[0] / 5) for rise in rises]
    return here & (same[0] | same[1])


def _grows_like_a_jump(scouts: Ladder, line: Line) -> HostArray:
    """Whether φ(±h) − φ(0) stays the same, to a fifth, over the finest three scouts or more, far above rounding."""
    finest = slice(max(1, len(scouts.steps) - JUMP_SCOUTS), None)
    found = np.zeros(scouts.centre.shape, dtype=bool)
    if len(scouts.steps[finest]) < FEWEST_SCOUTS:
        return found
    for side in (scouts.plus, scouts.minus):
        rise = np.abs(side[finest] - scouts.centre)
        least, most = rise.min(axis=0), rise.max(axis=0)
        found |= (least > 64 * rounding(scouts, line)[-1]) & (most < 1.2 * least)
    return found


def _covering_scouts(slope: Slope, scouts: Ladder, suspicious: HostArray) -> Slope:
    """`slope` with a bar that reaches to where the two finest scouts agree on another one. Noise would grow as 1/h."""
    if len(scouts.steps) < 3:  # the ladder's last level and two scouts
        return slope
    off = np.abs((scouts.odd / scouts.steps[:, None])[-2:] - slope.value)
    agree = np.abs(off[0] - off[1]) < off[1] / 4
    return slope.where(suspicious & agree & (off[1] > slope.bar), bar=2 * off[1])


# Smooth between jumps


def judged_over_pieces(line: Line, slope: Slope, first: Slope, restarted: HostArray) -> Slope:
    """`slope`, but where it was found on a finer scale and φ jumps beyond, what the `first` ladder saw over the jumps.

    `restarted` (m,) has the finest step of the ladder on the finer scale, 0 where there was none.
    """
    candidates = (restarted > 0) & ~slope.constant & ~slope.stairs & np.isfinite(slope.bar)
    pieces = [
        piece
        for output in np.flatnonzero(candidates)
        if (piece := _Piece.around(line, int(output), float(slope.value[output]), float(restarted[output])))
    ]
    for piece in pieces[:MOST_PIECES]:
        if riser := piece.riser():
            here = np.arange(len(slope.value)) == piece.output
            slope = slope.where(here, stairs=True, piece=slope.value, piece_bar=slope.bar)
            slope = _over_steps(line, slope, first, here, np.asarray(riser))
    unknown = np.isin(np.arange(len(slope.value)), [piece.output for piece in pieces[MOST_PIECES:]])
    return slope.where(unknown, bar=slope.bar + np.abs(slope.value - first.value) + first.bar)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Where one output may leave, by a jump, the tangent on which it lies near the point."""

    line: Line
    """The output alone."""
    output: int
    slope: float
    inside: float
    """A step that still lies on the piece; twice that is beyond its end."""
    growth: float
    """How much farther from the tangent φ is there."""

    @classmethod
    def around(cls, line: Line, output: int, slope: float, near: float) -> "_Piece | None":
        """The piece around the point, on which `near` lies; None if nothing close by looks like its end."""
        alone = _alone(line, output)
        whole = cls(alone, output, slope, near, 1.0)
        distances = [near]
        while distances[-1] < FIRST_STEP / 2:
            distances.append(2 * distances[-1])
        least = line.unit_roundoff * abs(alone.centre.item())
        away = [max(whole.departure(t), least) for t in distances]
        growth, inside = max(((b / a, t) for a, b, t in zip(away, away[1:], distances, strict=False)))
        return replace(whole, inside=inside, growth=growth) if growth > STEEP and inside < ISOLATED else None

    def departure(self, t: float) -> float:
        """Distance of φ from its tangent."""
        return float(np.abs(self.line(t) - self.line.centre - self.slope * t).max())

    def riser(self) -> float:
        """Height of the jump at the end; 0 if φ leaves gradually, or jumps once and goes on as before."""
        inside, outside = self.inside, 2 * self.inside
        between = self.departure(outside) * max(self.growth**-0.5, NOTICED)
        for _ in range(EDGE_BISECTIONS):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if self.departure(middle) > between else (middle, outside)
        height = self.departure(outside) - self.departure(inside)
        further = [min(times * outside, FIRST_STEP) for times in BEYOND]
        alone = all(abs(self.departure(t) - height) < height / 4 for t in further)
        alone = alone and all(self.departure(-t) < 1.25 * height for t in further)
        return height if height > between / 4 and not alone else 0.0
