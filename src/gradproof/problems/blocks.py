"""What networks are made of: contractions, a convolution, attention, a layer norm, a masked mean, dense layers."""

__all__ = ["BLOCKS"]

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradproof.arrays import Array, Namespace, namespace
from gradproof.network import Network
from gradproof.problems.record import Problem


def _xp(params: Mapping[str, Array]) -> Namespace:
    return namespace(*params.values())


def _pairs(left: Array, right: Array) -> Array:
    """Products of every entry of a row of `left` (m, i) with every one of `right` (m, j): (m, i·j)."""
    return namespace(left, right).reshape(left[:, :, None] * right[:, None, :], (left.shape[0], -1))


def _bilinear(params: Mapping[str, Array], left: Array, right: Array) -> Array:
    xp, core = _xp(params), params["core"]
    z = _pairs(left, right) @ xp.reshape(core, (-1, core.shape[2])) + params["offset"]
    return xp.mean(xp.log1p(z * z))


def _bilinear_gradient(params: Mapping[str, Array], left: Array, right: Array) -> dict[str, Array]:
    xp, core = _xp(params), params["core"]
    pairs = _pairs(left, right)
    z = pairs @ xp.reshape(core, (-1, core.shape[2])) + params["offset"]
    delta = 2.0 * z / (1.0 + z * z) / (z.shape[0] * z.shape[1])
    return {"core": xp.reshape(pairs.T @ delta, core.shape), "offset": xp.sum(delta, axis=0)}


def _convolved(params: Mapping[str, Array], signal: Array) -> Array:
    """Sums of the windows of `signal` (time, in) times kernel (width, in, out): (time − width + 1, out)."""
    kernel = params["kernel"]
    length = signal.shape[0] - kernel.shape[0] + 1
    windows = (signal[i : i + length, :] @ kernel[i, :, :] for i in range(kernel.shape[0]))
    return sum(windows, start=params["bias"])


def _convolution(params: Mapping[str, Array], signal: Array) -> Array:
    xp = _xp(params)
    return xp.sum(xp.tanh(_convolved(params, signal)))


def _convolution_gradient(params: Mapping[str, Array], signal: Array) -> dict[str, Array]:
    xp, width = _xp(params), params["kernel"].shape[0]
    a = xp.tanh(_convolved(params, signal))
    delta = 1.0 - a * a
    slopes = [signal[i : i + delta.shape[0], :].T @ delta for i in range(width)]
    return {"kernel": xp.stack(slopes), "bias": xp.sum(delta, axis=0)}


def _shares(params: Mapping[str, Array]) -> Array:
    """Softmax, row by row, of q·kᵀ/√d."""
    xp, q = _xp(params), params["q"]
    powers = xp.exp(q @ params["k"].T / q.shape[1] ** 0.5)
    return powers / xp.sum(powers, axis=1, keepdims=True)


def _attention(params: Mapping[str, Array], readout: Array) -> Array:
    return _xp(params).sum(readout * (_shares(params) @ params["v"]))


def _attention_gradient(params: Mapping[str, Array], readout: Array) -> dict[str, Array]:
    xp, shares = _xp(params), _shares(params)
    pulled = readout @ params["v"].T
    scores = shares * (pulled - xp.sum(shares * pulled, axis=1, keepdims=True)) / params["q"].shape[1] ** 0.5
    return {"q": scores @ params["k"], "k": scores.T @ params["q"], "v": shares.T @ readout}


def _normalised(x: Array, epsilon: float) -> tuple[Array, Array]:
    """Rows of x less their means, over their standard deviations; and these (rows, 1)."""
    xp = namespace(x)
    centred = x - xp.mean(x, axis=1, keepdims=True)
    deviation = xp.sqrt(xp.mean(centred * centred, axis=1, keepdims=True) + epsilon)
    return centred / deviation, deviation


def _layer_norm(params: Mapping[str, Array], target: Array, epsilon: float) -> Array:
    error = params["gain"] * _normalised(params["x"], epsilon)[0] + params["shift"] - target
    return 0.5 * _xp(params).sum(error * error)


def _layer_norm_gradient(params: Mapping[str, Array], target: Array, epsilon: float) -> dict[str, Array]:
    # Ba, Kiros & Hinton 2016, "Layer normalization"; the derivative of a normalised row leaves out what scales or shifts it.
    xp = _xp(params)
    unit, deviation = _normalised(params["x"], epsilon)
    error = params["gain"] * unit + params["shift"] - target
    pulled = error * params["gain"]
    along = xp.mean(pulled * unit, axis=1, keepdims=True)
    return {
        "x": (pulled - xp.mean(pulled, axis=1, keepdims=True) - unit * along) / deviation,
        "gain": xp.sum(error * unit, axis=0, keepdims=True),
        "shift": xp.sum(error, axis=0),
    }


def _masked_mean(x: Array, target: Array, mask: Array) -> Array:
    xp = namespace(x, target, mask)
    return xp.sum(mask * xp.sqrt(1.0 + (x - target) ** 2)) / xp.sum(mask)


def _masked_mean_gradient(x: Array, target: Array, mask: Array) -> Array:
    xp = namespace(x, target, mask)
    return mask * (x - target) / xp.sqrt(1.0 + (x - target) ** 2) / xp.sum(mask)


def _random(*shape: int, seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


_NETWORK = Network((4, 4, 4, 3), "tanh", "softmax_cross_entropy")

BLOCKS: tuple[Problem, ...] = (
    Problem(
        "bilinear form",
        _bilinear,
        {"core": _random(3, 4, 2, seed=21), "offset": _random(2, seed=22)},
        args=(_random(7, 3, seed=23), _random(7, 4, seed=24)),
        grad=_bilinear_gradient,
    ),
    Problem(
        "convolution",
        _convolution,
        {"kernel": 0.5 * _random(3, 2, 4, seed=25), "bias": _random(4, seed=26)},
        args=(_random(8, 2, seed=27),),
        grad=_convolution_gradient,
    ),
    Problem(
        "attention",
        _attention,
        {name: _random(3, 4, seed=seed) for name, seed in (("q", 28), ("k", 29), ("v", 30))},
        args=(_random(3, 4, seed=31),),
        grad=_attention_gradient,
    ),
    Problem(
        "layer norm",
        _layer_norm,
        {
            "x": _random(3, 5, seed=32),
            "gain": 1.0 + 0.3 * _random(1, 5, seed=33),
            "shift": _random(5, seed=34),
        },
        args=(_random(3, 5, seed=35), 0.1),
        grad=_layer_norm_gradient,
    ),
    Problem(
        "masked mean",
        _masked_mean,
        _random(4, 4, seed=36),
        args=(_random(4, 4, seed=37), np.asarray(_random(4, 4, seed=38) > -0.3, dtype=float)),
        grad=_masked_mean_gradient,
    ),
    Problem(
        "network 4-4-4-3",
        _NETWORK.loss,
        0.7 * _random(_NETWORK.size, seed=39),
        args=(_random(6, 4, seed=40), np.eye(3)[np.arange(6) % 3], 0.5),
        grad=_NETWORK.gradient,
    ),
)
"""Leaves of one, two and three axes, some of like shape; the network takes all of its parameters in one vector."""
