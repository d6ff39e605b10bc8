"""Finite-difference stencils as exact values: rational weights, floating point only when applied."""

__all__ = ["Stencil", "central", "stencil"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial, prod
from typing import Any


@dataclass(frozen=True, slots=True)
class Stencil:
    """Weights w at offsets s with  Σ w_j f(x + s_j h) / h^derivative = f^(derivative)(x) + O(h^accuracy)."""

    offsets: tuple[int, ...]
    weights: tuple[Fraction, ...]
    derivative: int
    accuracy: int

    def __call__(self, fun: Callable[[Any], Any], x: Any, step: float) -> Any:
        """Approximate derivative of `fun` at `x`; `fun` is evaluated once per offset of non-zero weight."""
        terms = [
            float(weight) * fun(x + offset * step)
            for offset, weight in zip(self.offsets, self.weights, strict=True)
            if weight
        ]
        return sum(terms[1:], start=terms[0]) / step**self.derivative


def stencil(offsets: Sequence[int], derivative: int) -> Stencil:
    """Stencil of highest accuracy on `offsets`.

    Taylor's theorem asks for  Σ w_j s_j^k = k!·[k = derivative]  for k < number of offsets, a Vandermonde system
    that is solved exactly (B. Fornberg, Math. Comp. 51, 1988, gives the same weights by recursion).

    Raises ValueError for repeated offsets or too few of them.
    """
    if len(set(offsets)) != len(offsets):
        raise ValueError(f"offsets repeat: got {tuple(offsets)}")
    if not 0 < derivative < len(offsets):
        raise ValueError(
            f"derivative {derivative} needs 1 ≤ derivative < number of offsets; got {len(offsets)} offsets"
        )
    weights = tuple(_weight(offsets, j, derivative) for j in range(len(offsets)))
    return Stencil(tuple(offsets), weights, derivative, _accuracy(offsets, weights, derivative))


def central(derivative: int = 1, accuracy: int = 2) -> Stencil:
    """Central stencil of even `accuracy`: `central()` is the course's (f(x+h) − f(x−h)) / 2h.

    Raises ValueError unless accuracy is even and positive.
    """
    if accuracy < 2 or accuracy % 2:
        raise ValueError(f"a central stencil has an even accuracy ≥ 2; got {accuracy}")
    half = (derivative - 1) // 2 + accuracy // 2
    return stencil(range(-half, half + 1), derivative)


def _weight(offsets: Sequence[int], j: int, derivative: int) -> Fraction:
    """derivative! × coefficient of x^derivative in the Lagrange polynomial that is 1 at offset j, 0 at the others."""
    others = [offset for i, offset in enumerate(offsets) if i != j]
    coefficients = [Fraction(1)]
    for root in others:
        coefficients = _times_linear(coefficients, root)
    return factorial(derivative) * coefficients[derivative] / prod(offsets[j] - root for root in others)


def _times_linear(coefficients: list[Fraction], root: int) -> list[Fraction]:
    """Coefficients (lowest first) of the polynomial times (x − root)."""
    shifted = [Fraction(0), *coefficients]
    return [high - root * low for high, low in zip(shifted, [*coefficients, Fraction(0)], strict=True)]


def _accuracy(offsets: Sequence[int], weights: Sequence[Fraction], derivative: int) -> int:
    """Order of the first Taylor term that does not vanish, less the derivative's."""
    order = derivative + 1
    while sum(weight * offset**order for weight, offset in zip(weights, offsets, strict=True)) == 0:
        order += 1
    return order - derivative
