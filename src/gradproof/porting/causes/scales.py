"""The port's value as a simple function of the reference's: a factor, a constant, a parameter that one side adds."""

__all__ = ["bias_causes", "scale_causes", "sizes_of"]

from collections.abc import Iterator
from itertools import chain
from math import prod

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import along
from gradproof.porting.causes.evidence import Evidence, float64
from gradproof.porting.causes.numbers import name_factor, plain
from gradproof.porting.stretch import Cause, Stretch

FEWEST = 4
"""Entries that a fitted number has to explain."""


def sizes_of(stretch: Stretch) -> tuple[int, ...]:
    """Lengths of axes that a factor may be made of: of the value, of its inputs, of the parameters."""
    arrays = chain([stretch.expected], stretch.inputs.values(), stretch.parameters.values())
    shapes = [np.shape(x) for x in arrays]
    return tuple(dict.fromkeys(chain.from_iterable((*shape[::-1], prod(shape)) for shape in shapes)))


def scale_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """A sign, a factor, a constant."""
    expected, found = evidence.sides
    if expected.size < FEWEST or not (np.isfinite(expected).all() and np.isfinite(found).all()):
        return
    if evidence.is_found(-expected):
        yield Cause("GP231", "{port} has the opposite sign", "-(…)", -1.0)
        return
    factor = _factor(expected, found)
    if (
        factor not in (None, 0.0)
        and np.count_nonzero(expected) >= FEWEST
        and evidence.is_found(expected * factor)
    ):
        yield _factor_cause(float(factor or 0.0), sizes_of(stretch))
        return
    constant = float(np.mean(found - expected))
    if evidence.is_found(expected + constant):
        words = plain(constant)
        yield Cause(
            "GP230", f"{{port}} is {{reference}} + {words}, in every entry", f"subtract {words}", constant
        )


def _factor(expected: HostArray, found: HostArray) -> float | None:
    squares = float(np.vdot(expected, expected).real)
    return float(np.vdot(expected, found).real) / squares if squares > 0 else None


def _factor_cause(factor: float, sizes: tuple[int, ...]) -> Cause:
    named, inverse = name_factor(factor, sizes), name_factor(1.0 / factor, sizes)
    says = f"{{port}} is {named.words} × {{reference}}, in every entry"
    return Cause("GP229", says, f"multiply by {inverse.words}", factor)


def bias_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """A parameter that only one side adds."""
    shape = evidence.expected.shape
    for path, value in stretch.parameters.items():
        vector = float64(value)
        if vector.ndim == 0 or not np.any(vector):
            continue
        for laid in along(vector, shape):
            if evidence.is_found(evidence.expected - laid):
                yield Cause("GP221", f"{{port}} does not add {path}, {{reference}} does", f"add {path}")
                return
            if evidence.is_found(evidence.expected + laid):
                yield Cause("GP221", f"{{port}} adds {path}, {{reference}} does not", f"leave {path} out")
                return
