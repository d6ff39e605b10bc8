"""How far the nearest kink is along a probe, in sizes of the parameters."""

__all__ = ["nearest_kink"]

from collections.abc import Callable

from gradproof.numeric.ladder import FIRST_STEP, Slope
from gradproof.numeric.line import Line

BENT = 8.0
"""Factor by which the second difference grows from one interval to the next, twice as wide, before a kink is looked for
there: twice the 4 of a smooth function."""

MOST_SEARCHES = 3
"""On either side, where a smooth function stood out."""

CLOSEST = 2.0**-12
"""Share of the first step from which a search begins: ladders notice kinks that are closer by themselves."""

HALVINGS = 20
"""After which a kink is known to 2⁻²⁰ of its distance, and a smooth function's second difference is 2⁻²⁰ of a kink's."""

PERSISTS = 0.25
"""Share of the slope's jump over the first interval that is left of a kink's over the last."""


def nearest_kink(line: Line, slope: Slope) -> float | None:
    """Distance of the kink nearest to the point on either side of the only output of `line`; None if none was seen.

    Overlapping intervals from the finest level outwards, each twice as wide, are searched for a second difference that stands out;
    the first that holds one is halved towards it. A jump counts as a kink.
    """
    if slope.kink.any():
        return 0.0
    noise = 64 * line.unit_roundoff * float(abs(line.centre.item()))
    near = min(float(slope.ladder.steps[-1]), CLOSEST * FIRST_STEP)
    found = [_on_side(line, sign, near, noise) for sign in (1.0, -1.0)]
    return min((distance for distance in found if distance is not None), default=None)


def _on_side(line: Line, sign: float, near: float, noise: float) -> float | None:
    def bend(a: float, b: float) -> float:
        """Second difference over [a, b]; NaN, which is never the larger, outside the domain."""
        middle = (a + b) / 2
        return abs(float((line(sign * a) - 2 * line(sign * middle) + line(sign * b)).item()))

    before, searches = max(bend(near / 4, near), noise), 0
    while near < FIRST_STEP and searches < MOST_SEARCHES:
        here = bend(near / 2, 2 * near)
        if here > BENT * before:
            searches += 1
            if kink := _halved(bend, near / 2, 2 * near):
                return kink
        before, near = max(here, noise), 2 * near
    return None


def _halved(bend: Callable[[float, float], float], a: float, b: float) -> float | None:
    first = bend(a, b) / (b - a)
    for _ in range(HALVINGS):
        middle, quarter = (a + b) / 2, (b - a) / 4
        # three overlapping halves: a kink in the very middle bends only the one around it
        a, b = max(((a, middle), (a + quarter, b - quarter), (middle, b)), key=lambda part: bend(*part))
    return (a + b) / 2 if bend(a, b) / (b - a) > PERSISTS * first else None
