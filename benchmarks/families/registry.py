"""A family of functions: how a member and a point are drawn, and the function itself, written once for any arithmetic."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

KINDS = (
    "elementary", "composed", "scaled", "polynomial", "oscillating", "cancelling", "edge", "saturated", "special",
    "matrix", "iterated", "loss", "noise", "kinked", "stepped", "float32", "half precision",
)  # fmt: skip
"""Classes of functions, in the order of the report."""

Draw = Callable[[np.random.Generator], tuple[Any, ...]]
"""Draws (x, *constants): x is a float, an array or a list of arrays."""
Fun = Callable[..., Any]
"""fun(m, x, *constants) -> scalar, where m holds the functions of one arithmetic (`arithmetic`)."""


@dataclass(frozen=True)
class Family:
    """Functions of one form with random constants."""

    name: str
    kind: str
    fun: Fun
    draw: Draw
    precision: str
    """In which the function is evaluated."""
    seen: bool
    """Whether such functions were looked at while the estimator's constants were chosen."""
    half: str = ""
    """A: the constants were chosen on it, or might have been. B: the quoted figures are these."""

    @property
    def formula(self) -> str:
        """The function in one line."""
        return (self.fun.__doc__ or "").rstrip(".")


_registered: list[Family] = []


def family(
    kind: str, draw: Draw, *, precision: str = "float64", seen: bool = False, name: str = ""
) -> Callable[[Fun], Fun]:
    """Registers the decorated function as a family of this kind."""

    def register(fun: Fun) -> Fun:
        label = name or fun.__name__.replace("_", " ")
        _registered.append(Family(label, kind, fun, draw, precision, seen))
        return fun

    return register


def families() -> list[Family]:
    """All that were registered, each with its half: inside every kind those not seen fall to B and A in turn."""
    turns: defaultdict[str, int] = defaultdict(int)
    result = []
    for item in _registered:
        turns[item.kind] += not item.seen
        result.append(replace(item, half="A" if item.seen or turns[item.kind] % 2 == 0 else "B"))
    names = [item.name for item in result]
    if len(set(names)) < len(names):
        raise ValueError("two families have one name")
    return sorted(result, key=lambda item: KINDS.index(item.kind))


# Draws


def uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Any:
    """Uniform numbers: a float, or an array of `shape`."""
    return rng.uniform(low, high, shape) if shape else float(rng.uniform(low, high))


def log_uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Any:
    """Numbers whose logarithm is uniform."""
    drawn = np.exp(rng.uniform(np.log(low), np.log(high), shape or None))
    return drawn if shape else float(drawn)


def normal(rng: np.random.Generator, *shape: int) -> Any:
    """Standard normal numbers."""
    return rng.standard_normal(shape) if shape else float(rng.standard_normal())


def either_sign(rng: np.random.Generator, low: float, high: float) -> float:
    """A number of random sign whose size is log-uniform."""
    return float(rng.choice([-1.0, 1.0])) * float(log_uniform(rng, low, high))
