"""Short ladders: the slope along one more direction at a point where a whole ladder was climbed along another.

That one has shown the noise, which is the function's own, and on which scale it is smooth. So a few of its levels suffice
elsewhere, as long as what they say themselves of the truncation does not contradict that.
"""

__all__ = ["again", "few_levels"]

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradproof.arrays import HostArray
from gradproof.numeric.climb import climb
from gradproof.numeric.ladder import JUMP_SAFETY, SAFETY, Ladder, Slope, rounding
from gradproof.numeric.line import Line, ahead
from gradproof.numeric.windows import EVEN, ODD, Model, extrapolated, gain, residual_noise

FEWEST_AGAIN, MOST_AGAIN = 3, 6
"""Levels of a short ladder: two orders of extrapolation to compare, and as many as the highest order has."""

NEARLY, WIDER = 4.0, 32.0
"""By how much the bar of a short ladder may be wider: where its levels are chosen, and along another direction."""


def again(lines: Sequence[Line], like: Slope) -> list[Slope]:
    """Slopes of `lines`, other directions at the point of `like`: from the few levels that sufficed there.

    The noise is taken over, and what the levels say of the truncation is theirs. Where they do not suffice here, or `like`
    is no plain slope, a whole ladder is climbed.
    """
    if np.any(like.kink | like.broken | like.stairs | like.outside | like.constant | like.one_sided):
        return [climb(line) for line in lines]
    floor = np.max([rounding(like.ladder, line)[-1] for line in lines], axis=0)
    noise = np.maximum(residual_noise(ODD, like.ladder.odd) / ODD.scale, floor)
    steps = _sufficient(like, noise)
    if steps is None:
        return [climb(line) for line in lines]
    both = [sign * float(h) for h in steps for sign in (1.0, -1.0)]
    ahead([(line, both) for line in lines])
    return [_short(line, steps, noise, like) for line in lines]


def _short(line: Line, steps: HostArray, noise: HostArray, like: Slope) -> Slope:
    plus, minus = (np.array([line(sign * float(h)) for h in steps]) for sign in (1.0, -1.0))
    short = few_levels(Ladder(steps, plus, minus, line.centre), noise)
    # It borrows the noise of the whole ladder, and knows it no better.
    short = replace(short, bar=np.maximum(short.bar, like.bar))
    enough = np.all((short.bar <= WIDER * like.bar) & ~short.kink & ~short.constant)
    return short if enough else climb(line)


def _sufficient(like: Slope, noise: HostArray) -> HostArray | None:
    """The fewest neighbouring levels of the ladder from which its slope would have been known nearly as well."""
    ladder = like.ladder
    for count in range(FEWEST_AGAIN, MOST_AGAIN + 1):
        for first in range(len(ladder.steps) - count + 1):
            part = slice(first, first + count)
            short = few_levels(
                Ladder(ladder.steps[part], ladder.plus[part], ladder.minus[part], ladder.centre), noise
            )
            off = np.abs(short.value - like.value)
            if np.all((short.bar <= NEARLY * like.bar) & (off <= short.bar + like.bar)):
                return ladder.steps[part]
    return None


def few_levels(ladder: Ladder, noise: HostArray) -> Slope:
    """Slope from so few levels that their noise (m,) has to be known: all of them, beside one fewer, at either end."""
    value, bar = _all_levels(ODD, ladder.odd, ladder.steps, noise, SAFETY)
    half_jump, half_jump_bar = _all_levels(EVEN, ladder.even, ladder.steps, noise, JUMP_SAFETY)
    nothing = np.zeros(value.shape, dtype=bool)
    return Slope(
        value=value, bar=bar, jump=2 * half_jump, jump_bar=2 * half_jump_bar,
        floor=SAFETY * 1.5 * noise / ladder.steps[0],
        constant=np.asarray(~ladder.moving.any(axis=0)), broken=nothing, stairs=nothing,
        piece=np.zeros(value.shape), piece_bar=np.zeros(value.shape), riser=np.zeros(value.shape),
        one_sided=nothing, ladder=ladder,
    )  # fmt: skip


def _all_levels(
    model: Model, samples: HostArray, steps: HostArray, noise: HostArray, safety: float
) -> tuple[HostArray, HostArray]:
    """Coefficient of h from all levels and its bar, each (m,)."""
    finest, order = float(steps[-1]), len(steps) - 1
    value = extrapolated(model, samples, finest)
    lower = extrapolated(model, samples[1:], finest)
    coarser = extrapolated(model, samples[:-1], float(steps[-2]))
    truncation = np.maximum(np.abs(value - lower), np.abs(lower - coarser) * 4.0**-order)
    bar = safety * gain(model, len(steps)) * noise / finest + truncation
    return value, np.where(np.isfinite(bar), bar, np.inf)
