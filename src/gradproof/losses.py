"""What a network is told of its logits: losses with their residuals written by hand, from logits and never from probabilities."""

__all__ = ["LOSSES", "Loss"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gradproof.activations import sigmoid, softplus
from gradproof.arrays import Array, Namespace


@dataclass(frozen=True, slots=True)
class Loss:
    """Loss of logits z (m, k) for targets y (m, k): `value`, summed over the batch, and `residual`, its d/dz (m, k).

    `predict` turns logits into what is to resemble y. The network divides value and residual by m.
    """

    name: str
    value: Callable[[Array, Array, Namespace], Array]
    residual: Callable[[Array, Array, Namespace], Array]
    predict: Callable[[Array, Namespace], Array]


def _sigmoid_cross_entropy(z: Array, y: Array, xp: Namespace) -> Array:
    # -y·log(a) - (1 - y)·log(1 - a) with a = sigmoid(z), which may round to 0 or 1: its logarithm is not needed here.
    return xp.sum(softplus(z, xp) - y * z)


def _softmax(z: Array, xp: Namespace) -> Array:
    powers = xp.exp(z - xp.max(z, axis=1, keepdims=True))
    return powers / xp.sum(powers, axis=1, keepdims=True)


def _softmax_cross_entropy(z: Array, y: Array, xp: Namespace) -> Array:
    shifted = z - xp.max(z, axis=1, keepdims=True)
    return xp.sum(y * (xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True)) - shifted))


def _softmax_residual(z: Array, y: Array, xp: Namespace) -> Array:
    return _softmax(z, xp) * xp.sum(y, axis=1, keepdims=True) - y  # that sum is 1 where y is one-hot


def _squared_error(z: Array, y: Array, xp: Namespace) -> Array:
    return 0.5 * xp.sum((z - y) * (z - y))


LOSSES: Mapping[str, Loss] = {
    "sigmoid_cross_entropy": Loss(
        "sigmoid_cross_entropy", _sigmoid_cross_entropy, lambda z, y, xp: sigmoid(z, xp) - y, sigmoid
    ),
    "softmax_cross_entropy": Loss(
        "softmax_cross_entropy", _softmax_cross_entropy, _softmax_residual, _softmax
    ),
    "squared_error": Loss("squared_error", _squared_error, lambda z, y, _xp: z - y, lambda z, _xp: z),
}
