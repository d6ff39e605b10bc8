"""Functions in which entries of the gradient are wrong on purpose, drawn anew for every trial; and peers that look for them."""

__all__ = ["GROUNDS", "NETWORKS", "Drawn", "central_evaluations", "gradcheck", "leaf"]

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.autograd.gradcheck import GradcheckError

from gradproof.arrays import HostArray
from gradproof.network import Network


@dataclass(frozen=True)
class Drawn:
    """A function at a point, and its right gradient."""

    fun: Callable[..., Any]
    x: HostArray
    args: tuple[Any, ...]
    gradient: HostArray


Draw = Callable[[np.random.Generator, int], Drawn]


def _sines(x: HostArray, c: HostArray) -> Any:
    return np.dot(c, np.sin(x))


def _draw_sines(rng: np.random.Generator, n: int) -> Drawn:
    x, c = rng.normal(size=n), rng.normal(size=n)
    return Drawn(_sines, x, (c,), c * np.cos(x))


def _soft_maximum(x: HostArray, c: HostArray, b: HostArray) -> Any:
    top = x.max()
    return top + np.log(np.exp(x - top).sum()) + 0.5 * np.dot(c * x, x) + 0.5 * np.dot(b, x) ** 2 / x.size


def _draw_soft_maximum(rng: np.random.Generator, n: int) -> Drawn:
    x, c, b = rng.normal(size=n), 1 + rng.random(n), rng.normal(size=n)
    shares = np.exp(x - x.max())
    return Drawn(_soft_maximum, x, (c, b), shares / shares.sum() + c * x + b * np.dot(b, x) / n)


def _length(x: HostArray, c: HostArray) -> Any:
    return np.sqrt(1 + np.sum((c * x) ** 2))


def _draw_length(rng: np.random.Generator, n: int) -> Drawn:
    x, c = rng.normal(size=n), 1 + rng.random(n)
    return Drawn(_length, x, (c,), c * c * x / _length(x, c))


def _valley(x: HostArray, c: HostArray) -> Any:
    return np.sum(c[1:] * (x[1:] - x[:-1] ** 2) ** 2) + np.sum((1 - x) ** 2)


def _draw_valley(rng: np.random.Generator, n: int) -> Drawn:
    x, c = rng.normal(size=n), 1 + 9 * rng.random(n)
    off = c[1:] * (x[1:] - x[:-1] ** 2)
    gradient = -2 * (1 - x)
    gradient[1:] += 2 * off
    gradient[:-1] -= 4 * off * x[:-1]
    return Drawn(_valley, x, (c,), gradient)


GROUNDS: dict[str, Draw] = {
    "Σ c·sin x": _draw_sines,
    "log Σ exp x + ½ Σ c·x² + (b·x)²/2n": _draw_soft_maximum,
    "√(1 + Σ c²·x²)": _draw_length,
    "valley Σ c·(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²": _draw_valley,
}
"""By formula: one whose entries do not meet, and three whose entries do."""

NETWORKS = {785: (20, 25, 10), 10_285: (400, 25, 10), 101_770: (784, 128, 10)}
"""Sizes of the network by its number of parameters."""

EXAMPLES = 32


def _draw_network(rng: np.random.Generator, n: int) -> Drawn:
    network = Network(NETWORKS[n])
    inputs, labels = network.sizes[0], network.sizes[-1]
    x = rng.normal(size=(EXAMPLES, inputs))
    y = np.eye(labels)[rng.integers(labels, size=EXAMPLES)]
    theta = 0.3 * rng.normal(size=n)
    return Drawn(network.loss, theta, (x, y, 1.0), network.gradient(theta, x, y, 1.0))


GROUNDS["network"] = _draw_network


def leaf(rng: np.random.Generator, shape: tuple[int, int]) -> Drawn:
    """A matrix whose entries meet along the columns."""
    rows = shape[0]
    x, a, b = rng.normal(size=shape), rng.normal(size=(rows, rows)) / rows**0.5, rng.normal(size=shape)
    z = a @ x + b
    return Drawn(_bounded, x, (a, b), a.T @ (2 * z / (1 + z * z)))


def _bounded(x: HostArray, a: HostArray, b: HostArray) -> Any:
    return np.sum(np.log1p((a @ x + b) ** 2))


def central_evaluations(n: int) -> int:
    """Of central differences, one coordinate after the other."""
    return 2 * n


def gradcheck(drawn: Drawn, claim: HostArray) -> tuple[int, str]:
    """Evaluations of torch.autograd.gradcheck's slow mode at its defaults, and what it says in the end."""
    calls = 0

    class Claimed(torch.autograd.Function):
        @staticmethod
        def forward(_ctx: Any, x: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += 1
            return torch.tensor(float(drawn.fun(x.detach().numpy(), *drawn.args)), dtype=torch.float64)

        @staticmethod
        def backward(_ctx: Any, cotangent: torch.Tensor) -> torch.Tensor:
            return cotangent * torch.from_numpy(claim)

    point = torch.from_numpy(drawn.x.copy()).requires_grad_()
    try:
        torch.autograd.gradcheck(Claimed.apply, (point,))
    except GradcheckError as error:
        return calls, str(error)
    return calls, ""
