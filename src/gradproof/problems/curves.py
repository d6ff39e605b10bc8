"""Functions of vectors and matrices: a valley, regressions, waves, determinants."""

__all__ = ["CURVES"]

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradproof.arrays import Array, Namespace, namespace
from gradproof.problems.record import Problem


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


def _ridge(params: Mapping[str, Array], x: Array, y: Array, lam: float) -> Array:
    xp = _xp(params)
    error = x @ params["w"] + params["b"] - y
    return 0.5 * xp.mean(error * error) + 0.5 * lam * xp.sum(params["w"] * params["w"])


def _ridge_gradient(params: Mapping[str, Array], x: Array, y: Array, lam: float) -> dict[str, Array]:
    xp = _xp(params)
    residual = (x @ params["w"] + params["b"] - y) / y.shape[0]
    return {"w": x.T @ residual + lam * params["w"], "b": xp.sum(residual)}


def _log_determinant(a: Array) -> Array:
    xp = namespace(a)
    return xp.linalg.slogdet(a @ a.T + xp.eye(a.shape[0], dtype=a.dtype))[1]


def _log_determinant_gradient(a: Array) -> Array:
    # d log det M = tr(M⁻¹ dM): Petersen & Pedersen 2012, "The matrix cookbook", equation 43.
    xp = namespace(a)
    return 2.0 * xp.linalg.inv(a @ a.T + xp.eye(a.shape[0], dtype=a.dtype)) @ a


def _random(*shape: int, seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


CURVES: tuple[Problem, ...] = (
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
    Problem(
        "ridge regression",
        _ridge,
        {"w": _random(5, seed=8), "b": np.asarray(-0.4)},
        args=(_random(12, 5, seed=9), _random(12, seed=10), 0.7),
        grad=_ridge_gradient,
    ),
    Problem("log determinant", _log_determinant, _random(4, 4, seed=11), grad=_log_determinant_gradient),
)
"""Of one array, or of a few in a dict."""
