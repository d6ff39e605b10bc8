"""The numeric gradient of the reference network, entry by entry, with what one entry does not change computed once.

Changing weight (j, k) of a layer by h adds t = h·a_k to the sum of one unit j; the other units of the layer keep their
values, and the next layer's sums change by a multiple of one column of its weights. So the loss of one example is a function of t
alone, whichever weight of the unit is changed. Its odd part, which is what a central difference takes, is evaluated at a few t and
interpolated; that gives the differences in all weights of the unit as products with powers of the a_k. Where further
evaluations contradict the interpolation (a kink in between, a step too long), every t is evaluated. The result is that
of the course's loop (`numeric.central_difference`), to rounding.
"""

__all__ = ["structured_gradient"]

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.backend import unknown
from gradproof.network import Layer, Network

BLOCK = 2**16
"""Numbers worked on at a time: half a megabyte stays in the cache. With 2¹⁴ the digits network took 1.2 times as long,
with 2¹⁹ 1.5 times."""

SATURATED = 40.0
"""Logits are cut here inside exp: log(1 + exp(40)) is 40 in float64, and sixteen factors of exp(40) do not overflow."""

FACTORS = 16
"""Outputs whose factors 1 + exp(z) are multiplied before one logarithm is taken."""

POWERS = (1, 3, 5, 7)
"""Of t, in the odd part of a loss: for |t| ≤ 1/4 the next is below 1e-9 of the first for every activation but those with kinks."""

LONGEST = 0.25
"""Largest t up to which the odd part is interpolated; with steps of 1e-4 that is an input of 2,500."""

ROUNDINGS = 32.0
"""Roundings of the largest loss of an example by which an interpolation may miss further evaluations. Those of 6 activations, 3
losses and depths to 3, with inputs to 300, missed by up to 3.1."""

_NODES = np.array([1.0, 0.8, 0.55, 0.25, 0.9, 0.4])
"""Where the odd part is evaluated, in units of the largest t: four values determine it, two more test it."""

_POWERS = _NODES[:, None] ** np.array(POWERS)
_FIT = np.concatenate([np.linalg.inv(_POWERS[:4]), np.zeros((4, 2))], axis=1)

Forward = tuple[list[HostArray], list[HostArray]]


def structured_gradient(
    network: Network, params: Any, x: HostArray, y: HostArray, lam: float = 0.0, *, step: float = 1e-4,
    done: Callable[[int], None] | None = None,
) -> Any:  # fmt: skip
    """Central differences of `network.loss` in every parameter, in the form of `params`, float64 on NumPy.

    `done`, if given, is told unit by unit how many more parameters are done.
    Raises ValueError for a step that is not positive, and a loss that is none of the network's own.
    """
    if not step > 0:
        raise ValueError(f"step is a positive number; got {step}")
    if network.objective.name not in _CURVED:
        raise ValueError(unknown("loss", network.objective.name, tuple(_CURVED)))
    plain = network.unflatten(np.asarray(network.flatten(params), dtype=np.float64))
    layers = [Layer(np.ascontiguousarray(weight), bias) for weight, bias in plain]
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    inputs, sums = _forward(network, layers, x)
    gradients = []
    for depth, (weight, _) in enumerate(layers):
        slopes = _Column(network, layers, depth, inputs, sums, y, step).slopes(done) / len(x)
        gradients.append(Layer(slopes[:, :-1] + lam / len(x) * weight, slopes[:, -1].copy()))
    return tuple(gradients) if isinstance(params, tuple | list) else network.flatten(gradients)


def _forward(network: Network, layers: Sequence[Layer], x: HostArray) -> Forward:
    """Inputs and sums of every layer, units by rows: (units, m)."""
    inputs, sums = [np.ascontiguousarray(x.T)], []
    for depth, (weight, bias) in enumerate(layers):
        sums.append(weight @ inputs[-1] + bias[:, None])
        if depth < len(layers) - 1:
            inputs.append(network.activation.function(sums[-1], np))
    return inputs, sums


class _Column:
    """Slopes in the weights and the bias of one layer."""

    def __init__(
        self, network: Network, layers: Sequence[Layer], depth: int, inputs: Sequence[HostArray],
        sums: Sequence[HostArray], y: HostArray, step: float,
    ) -> None:  # fmt: skip
        self.activation: Callable[[HostArray, Any], HostArray] = network.activation.function
        self.curved = _CURVED[network.objective.name]
        self.after = layers[depth + 1 :]
        self.source = np.vstack([inputs[depth], np.ones(len(y))])
        """What multiplies each weight and the bias, (in + 1, m)."""
        self.sums = sums[depth:]
        self.y = np.ascontiguousarray(y.T)
        self.top = float(self.sums[-1].max())
        self.step = step

    def slopes(self, done: Callable[[int], None] | None) -> HostArray:
        """(out, in + 1)."""
        reach = self.step * np.abs(self.source).max(axis=0)
        shares = self.step * self.source / reach
        powers = [shares**power for power in POWERS] if reach.max() <= LONGEST else []
        found = []
        for unit in range(len(self.sums[0])):
            weights = self._interpolation(unit, reach) if powers else None
            if weights is None:
                found.append(self._one_by_one(unit))
            else:
                found.append(sum(p @ w for p, w in zip(powers, weights, strict=True)) / self.step)
            if done is not None:
                done(len(self.source))
        return np.array(found)

    def _interpolation(self, unit: int, reach: HostArray) -> HostArray | None:
        """Coefficients (powers, m) of the odd part of every example's loss, of t in units of `reach` (m,).

        None where it has another form.
        """
        shift = _NODES[:, None] * reach
        above, below = self._value(unit, shift), self._value(unit, -shift)
        odd = (above - below) / 2
        weights = _FIT @ odd
        missed = np.abs(odd - _POWERS @ weights)
        size = max(np.abs(above).max(), np.abs(below).max())
        return weights if np.all(missed <= ROUNDINGS * np.finfo(np.float64).eps * size) else None

    def _one_by_one(self, unit: int) -> HostArray:
        """(in + 1,)."""
        widest = max(len(z) for z in self.sums)
        size = max(1, BLOCK // (widest * self.source.shape[1]))
        starts = range(0, len(self.source), size)
        return np.concatenate([self._block(unit, slice(start, start + size)) for start in starts])

    def _block(self, unit: int, rows: slice) -> HostArray:
        shift = self.step * self.source[rows]
        return (self._value(unit, shift) - self._value(unit, -shift)).sum(axis=1) / (2 * self.step)

    def _value(self, unit: int, shift: HostArray) -> HostArray:
        """Loss of every example, with the sum of one unit moved by each row of `shift` (block, m); up to a constant."""
        moved = self.sums[0][unit] + shift
        if not self.after:
            z = np.repeat(self.sums[0][:, None, :], len(moved), axis=1)
            z[unit] = moved
            return self.curved(z, self.y, float(z.max())) - shift * self.y[unit]
        change = self.activation(moved, np) - self.activation(self.sums[0][unit], np)
        column = self.after[0].weight[:, unit]
        z = column[:, None, None] * change
        z += self.sums[1][:, None, :]
        if len(self.after) == 1:
            top = self.top + float(np.abs(column).max() * np.abs(change).max())
            return self.curved(z, self.y, top) - change * (column @ self.y)
        for weight, bias in self.after[1:]:
            z = np.tensordot(weight, self.activation(z, np), 1) + bias[:, None, None]
        linear = np.einsum("okm,om->km", z, self.y)
        return self.curved(z, self.y, float(z.max())) - linear


# Every loss is a function of the logits, less their product with the targets.


def _sigmoid_cross_entropy(z: HostArray, _y: HostArray, top: float) -> HostArray:
    """Σ log(1 + exp(z)): one logarithm for sixteen outputs. `z` is overwritten."""
    above: HostArray | float = 0.0
    if top > SATURATED:
        above = np.maximum(z - SATURATED, 0.0).sum(axis=0)
        np.minimum(z, SATURATED, out=z)
    np.exp(z, out=z)
    z += 1.0
    groups = [z[start : start + FACTORS].prod(axis=0) for start in range(0, len(z), FACTORS)]
    return np.asarray(sum(np.log(group) for group in groups) + above)


def _softmax_cross_entropy(z: HostArray, y: HostArray, _top: float) -> HostArray:
    """Σ log Σ exp(z), each example weighed by the sum of its targets. `z` is overwritten."""
    largest = z.max(axis=0)
    z -= largest
    return np.asarray((np.log(np.exp(z, out=z).sum(axis=0)) + largest) * y.sum(axis=0))


def _squared_error(z: HostArray, _y: HostArray, _top: float) -> HostArray:
    return np.asarray(0.5 * np.einsum("okm,okm->km", z, z))


_CURVED: Mapping[str, Callable[[HostArray, HostArray, float], HostArray]] = {
    "sigmoid_cross_entropy": _sigmoid_cross_entropy,
    "softmax_cross_entropy": _softmax_cross_entropy,
    "squared_error": _squared_error,
}
"""Loss of logits (out, block, m) plus their product with the targets (out, m), summed over outputs: (block, m).

The last argument is no less than the largest logit."""
