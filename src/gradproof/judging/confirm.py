"""What confirms a slope that refutes a gradient: other steps, and other directions.

A function that has a derivative has the same slope on any ladder, and slopes that add up: f′(v) = f′(v′) + f′(v″). One that
has slopes along every direction and yet no derivative (a median of values that tie) fails the second; one that aliases, or whose noise
happened to look like a slope, either.
"""

__all__ = ["SPLITS", "unconfirmed"]

from collections.abc import Callable

import numpy as np

from gradproof.judging.probed import Probed
from gradproof.judging.reader import Reader
from gradproof.numeric.climb import climb
from gradproof.numeric.line import Line
from gradproof.numeric.probe import Probe
from gradproof.verdict import Reason

ENOUGH = 16.0
"""Part of the gap to which the slopes that confirm it have to be known."""

SPLITS = 3
"""Random ways in which a probe is cut in two."""

SHARPER = 2.0**12
"""Part of that to which halves are read. Of 101 random trees with a median of tied values, or another function of degree one without
a derivative, three splits believed 27 with 1, and 3 with this."""

Lines = Callable[[Probe], Line]


def unconfirmed(
    probed: Probed, gap: float, rng: np.random.Generator, make_line: Lines, splits: int
) -> Reason | None:
    """Why slopes from other steps, or along parts of the probe, do not confirm one that refutes by `gap`, if so.

    They need not be known better than to a part of the gap. The probe is cut in two in so many ways: `splits`.
    """
    enough = gap / ENOUGH
    if probed.doubt_of_gap is None or enough < probed.doubt_of_gap[0]:
        probed.doubt_of_gap = enough, _doubt(probed, enough, rng, make_line, splits)
    return probed.doubt_of_gap[1]


def _doubt(
    probed: Probed, enough: float, rng: np.random.Generator, make_line: Lines, splits: int
) -> Reason | None:
    if not probed.consistent(enough):
        return Reason.UNSTABLE
    parted = splits if probed.probe.count > 1 else 0
    if not all(_adds_up(probed, enough, rng, make_line) for _ in range(parted)):
        return Reason.NOT_ADDITIVE
    return None


def _adds_up(probed: Probed, enough: float, rng: np.random.Generator, make_line: Lines) -> bool:
    """Whether slopes along two random parts of the probe add up to the slope along all of it."""
    masks = [rng.integers(0, 2, v.shape, dtype=np.int8) for v in probed.line.leaves]
    part, rest = probed.probe.only(masks), probed.probe.only([1 - mask for mask in masks])
    if not (part.count and rest.count):
        return True
    lines = make_line(part), make_line(rest)
    if _plainly(probed, lines, enough / SHARPER):
        return True
    one, other = (climb(line, enough=enough / SHARPER) for line in lines)
    gap = np.abs(one.value + other.value - probed.slope.value)
    return bool(np.all(gap <= one.bar + other.bar + probed.slope.bar)) and not (one.kink | other.kink).any()


def _plainly(probed: Probed, lines: tuple[Line, Line], enough: float) -> bool:
    """Whether a few steps show as much already: six or eight evaluations for a half, where a ladder takes fourteen.

    Nothing but a plain yes is taken from them.
    """
    if probed.kink:
        return False
    reader = Reader(make_line=lambda _: lines[0], whole=[probed])
    read = [found for line in lines if (found := reader.smooth(line, 0.5, enough))]
    off = abs(sum(value for value, _ in read) - float(probed.slope.value[0]))
    return len(read) == len(lines) and bool(off <= sum(bar for _, bar in read) + float(probed.slope.bar[0]))
