"""Lower precision inside: a float64 run that gives numbers of a shorter format."""

__all__ = ["causes_of_precision", "format_of", "precision_causes"]

from collections.abc import Iterator
from math import nan

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.evidence import Evidence, float64
from gradproof.porting.stretch import Cause, Stretch

FEWEST = 8
"""Entries that have to be of the format: one of 2²⁹ float64 numbers is a float32 by chance."""

OPERATIONS = 1024
"""Roundings of the format, in units of the largest value, that the difference may be made of."""

FAR = 64.0
"""By how much a port's own error must exceed the reference's before a lower precision inside is held to be the reason. Of a sum of
10⁴ terms the sequential order loses 6 to 32 times what the pairwise one does (50 draws)."""

_ROUNDOFFS = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24}


def format_of(x: HostArray) -> str | None:
    """The shortest of bfloat16, float16 and float32 of which every entry of `x` is a number; None if of none."""
    x = np.asarray(x)
    values = x[np.isfinite(x) & (x != 0)] if x.dtype.kind == "f" else np.empty(0)
    if values.size < FEWEST or np.array_equal(values, np.round(values)):
        return None
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
        if not np.array_equal(single, values):
            return None
        if not np.any(single.view(np.uint32) & np.uint32(0xFFFF)):
            return "bfloat16"
        return "float16" if np.array_equal(single.astype(np.float16), values) else "float32"


def precision_causes(_: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """The value of one side is rounded to a shorter format, and right to the digits of that."""
    for side, other, who in (
        (evidence.found, evidence.expected, "{port}"),
        (evidence.expected, evidence.found, "{reference}"),
    ):
        name = format_of(side)
        if name is not None and format_of(other) != name:
            if evidence.gap <= OPERATIONS * _ROUNDOFFS[name] * evidence.scale:
                says = f"{who} gives {name} numbers although it runs in float64, right to their {_ROUNDOFFS[name]:.0e}"
                yield Cause("GP237", says, f"look for a cast to {name}, or a constant of that dtype")
            return


def causes_of_precision(
    own: HostArray,
    double: HostArray,
    other_own: HostArray,
    other_double: HostArray,
    roundoffs: tuple[float, float],
) -> tuple[Cause, ...]:
    """Why a port loses more digits in its own dtype than the reference does in its.

    `own` and `double` are the port's value in its own dtype and in float64, `other_own` and `other_double` the reference's;
    `roundoffs` the unit roundoffs of the two dtypes, the port's first. Empty where the port loses no more than is due.
    """
    error, due = (_error(a, b) for a, b in ((own, double), (other_own, other_double)))
    scale = float(np.max(np.abs(double), initial=0.0))
    share = max(due * roundoffs[0] / roundoffs[1], roundoffs[0] * scale)
    if not error > FAR * share:
        return ()
    name = format_of(own)
    lower = name is not None and _ROUNDOFFS[name] > 2 * roundoffs[0]
    inside = f"its values are {name} numbers" if lower else _guess(error, scale)
    says = f"{{port}} loses {error / share:.3g} times as many digits' worth as {{reference}} does in the same dtype: {inside}"
    return (
        Cause(
            "GP237",
            says,
            "look for a cast, a reduction or an accumulator in a shorter dtype",
            error if scale else nan,
        ),
    )


def _guess(error: float, scale: float) -> str:
    """The shortest format whose rounding is of the error's size."""
    relative = error / scale if scale else 0.0
    for name, unit in _ROUNDOFFS.items():
        if relative >= unit / 4:
            return f"its error, {relative:.1e}, is of the size of {name}'s rounding"
    return f"its error is {relative:.1e}"


def _error(own: HostArray, double: HostArray) -> float:
    return float(np.max(np.abs(float64(own) - float64(double)), initial=0.0))
