"""A Problem: one function at one point, with its claim and, where it is known, its derivative.

It is the one record that `check_problem`, faults, the course, benchmarks and the command line take.
"""

__all__ = ["PROBLEMS", "Problem"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradproof.arrays import Array, Namespace, namespace

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """What `check` takes, under a name. Exactly the keywords of `check`; a claim is optional."""

    name: str
    fun: Function | Mapping[str, Function]
    params: Any
    args: tuple[Any, ...] = ()
    grad: Function | None = None
    value_and_grad: Function | None = None
    vjp: Function | None = None
    jvp: Function | None = None

    def claims(self) -> dict[str, Function]:
        """The claim as keywords of `check`."""
        given = {name: getattr(self, name) for name in ("grad", "value_and_grad", "vjp", "jvp")}
        return {name: function for name, function in given.items() if function is not None}


def _xp(params: Mapping[str, Array]) -> Namespace:
    return namespace(*params.values())


def _rosenbrock(x: Array) -> Array:
    xp = namespace(x)
    return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def _rosenbrock_gradient(x: Array) -> Array:
    xp = namespace(x)
    valley = x[1:] - x[:-1] ** 2
    left = -400.0 * x[:-1] * valley - 2.0 * (1.0 - x[:-1])
    end = xp.zeros_like(x[:1])
    return xp.concat([left, end]) + xp.concat([end, 200.0 * valley])


def _logistic(params: Mapping[str, Array], x: Array, y: Array) -> Array:
    xp = _xp(params)
    margin = y * (x @ params["w"] + params["b"])
    return xp.mean(xp.logaddexp(xp.zeros_like(margin), -margin))


def _logistic_gradient(params: Mapping[str, Array], x: Array, y: Array) -> dict[str, Array]:
    xp = _xp(params)
    margin = y * (x @ params["w"] + params["b"])
    residual = -y / (1.0 + xp.exp(margin)) / y.shape[0]
    return {"w": x.T @ residual, "b": xp.sum(residual)}


def _waves(x: Array, frequencies: Array) -> Array:
    xp = namespace(x)
    return xp.sum(xp.sin(frequencies * x) / frequencies)


def _waves_gradient(x: Array, frequencies: Array) -> Array:
    return namespace(x).cos(frequencies * x)


def _volume(params: Mapping[str, Array]) -> Array:
    xp = _xp(params)
    return xp.log(xp.sum(params["a"] @ params["a"].T)) + xp.sum(xp.exp(params["shift"]))


def _volume_gradient(params: Mapping[str, Array]) -> dict[str, Array]:
    xp = _xp(params)
    a = params["a"]
    column_sums = xp.sum(a, axis=0, keepdims=True)
    return {
        "a": 2.0 * xp.ones_like(a) * column_sums / xp.sum(column_sums * column_sums),
        "shift": xp.exp(params["shift"]),
    }


def _random(*shape: int, seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


PROBLEMS: tuple[Problem, ...] = (
    Problem("rosenbrock", _rosenbrock, _random(6, seed=1), grad=_rosenbrock_gradient),
    Problem(
        "logistic regression",
        _logistic,
        {"w": _random(4, seed=2), "b": np.asarray(0.3)},
        args=(_random(9, 4, seed=3), np.sign(_random(9, seed=4))),
        grad=_logistic_gradient,
    ),
    Problem("waves", _waves, _random(3, 4, seed=5), args=(2.0 ** np.arange(4),), grad=_waves_gradient),
    Problem(
        "volume", _volume, {"a": _random(3, 5, seed=6), "shift": _random(2, seed=7)}, grad=_volume_gradient
    ),
)
"""Small smooth functions in the array API, on numpy, with gradients written by hand: single arrays and trees."""
