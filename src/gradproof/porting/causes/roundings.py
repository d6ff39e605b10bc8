"""A value on the way that is rounded to a shorter format: what comes out of it is not."""

__all__ = ["rounded_to", "rounding_causes"]

from collections.abc import Iterator
from itertools import chain

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.activations import form_of, gives
from gradproof.porting.causes.bases import bases, rearranged
from gradproof.porting.causes.evidence import Evidence
from gradproof.porting.stretch import Cause, Stretch

_BITS = {"bfloat16": 8, "float16": 11, "float32": 24}
"""Of the significand, the leading one among them."""


def rounding_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """f(x) on one side, f(x rounded) on the other, f an activation or nothing at all."""
    expected, found = evidence.sides
    for whole, short, who in ((expected, found, "{port}"), (found, expected, "{reference}")):
        for key, x in chain(bases(stretch), rearranged(stretch)):
            form = form_of(x, whole, evidence.allowance)
            if form is None:
                continue
            for name, rounded in _roundings(x):
                if gives(form.function, rounded, short, evidence.allowance):
                    what = "" if form.name == "identity" else f" before {form.name}"
                    other = "{reference}" if who == "{port}" else "{port}"
                    says = f"{who} rounds {key} to {name}{what} although it runs in float64; {other} does not"
                    yield Cause("GP237", says, f"leave out the cast to {name}")
                    return


def _roundings(x: HostArray) -> Iterator[tuple[str, HostArray]]:
    """Every format; by way of float32 too, for that is how some casts of float64 are made."""
    for name in _BITS:
        yield name, rounded_to(x, name)
        if name != "float32":
            yield name, rounded_to(rounded_to(x, "float32"), name)


def rounded_to(x: HostArray, name: str) -> HostArray:
    """To the nearest number of a format, ties to even."""
    with np.errstate(over="ignore"):
        if name != "bfloat16":
            return x.astype(name).astype(np.float64)
        significand, exponent = np.frexp(x)
        return np.ldexp(np.rint(np.ldexp(significand, _BITS[name])), exponent - _BITS[name])
