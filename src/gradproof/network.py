"""The reference network: a perceptron of any depth whose gradient is written by hand, in pure array-API code.

It is the course's (Ng, Machine Learning, exercise 4), generalised. A batch lies in rows: x is (m, in), y is (m, out).
Layer l computes z = a·Wᵀ + b and a = f(z); the last layer's z, the logits, go to the loss as they are. Runs unchanged on
NumPy, PyTorch, JAX (also under `jax.jit`) and array_api_strict, in the dtype it is given.

Everything is written so that automatic differentiation of `Network.loss` is right where a careless form is not: at
z = 0 exactly (zero initialisation), where abs() and ties of max() have the wrong slope, and far out, where exp() overflows.
"""

__all__ = ["ACTIVATIONS", "LOSSES", "Activation", "Layer", "Loss", "Network"]

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from gradproof.arrays import Array, Namespace, namespace
from gradproof.initializers import random_uniform


class Layer(NamedTuple):
    """Parameters of one layer: weight (out, in) and bias (out,)."""

    weight: Array
    bias: Array


Params = Sequence[Layer] | Array
"""A sequence of layers, or all of them in one flat vector theta."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A function of z, entry by entry, and its derivative, computed from z and a = function(z)."""

    name: str
    function: Callable[[Array, Namespace], Array]
    derivative: Callable[[Array, Array, Namespace], Array]


@dataclass(frozen=True, slots=True)
class Loss:
    """Loss of logits z (m, k) against targets y (m, k): `value` is summed over the batch, `residual` is d value/dz.

    `predict` turns logits into what is to resemble y. The network divides value and residual by m.
    """

    name: str
    value: Callable[[Array, Array, Namespace], Array]
    residual: Callable[[Array, Array, Namespace], Array]
    predict: Callable[[Array, Namespace], Array]


# The derivatives of exp(-|z|) and of relu at 0 are those of the branch z <= 0. Both branches then fit together:
# sigmoid and softplus built from them have their true derivatives at 0, of every order.


def _decay(z: Array, xp: Namespace) -> Array:
    """exp(-|z|): in [0, 1], so nothing built on it overflows."""
    return xp.exp(xp.where(z > 0, -z, z))


def _relu(z: Array, xp: Namespace) -> Array:
    return xp.where(z > 0, z, 0.0)


def _sigmoid(z: Array, xp: Namespace) -> Array:
    decay = _decay(z, xp)
    return xp.where(z > 0, 1.0, decay) / (1.0 + decay)


def _sigmoid_derivative(z: Array, _a: Array, xp: Namespace) -> Array:
    # Not a·(1 - a): for z > 37 that is 0 in float64, while autodiff still sees exp(-z).
    decay = xp.exp(-xp.abs(z))
    return decay / ((1.0 + decay) * (1.0 + decay))


def _softplus(z: Array, xp: Namespace) -> Array:
    return _relu(z, xp) + xp.log1p(_decay(z, xp))


def _gelu(z: Array, xp: Namespace) -> Array:
    return z * _sigmoid(_gelu_gate(z), xp)


_GELU_SCALE, _GELU_CUBIC = 2.0 * math.sqrt(2.0 / math.pi), 0.044715


def _gelu_gate(z: Array) -> Array:
    return _GELU_SCALE * (z + _GELU_CUBIC * z * z * z)


def _gelu_derivative(z: Array, _a: Array, xp: Namespace) -> Array:
    gate = _gelu_gate(z)
    gate_slope = _GELU_SCALE * (1.0 + 3.0 * _GELU_CUBIC * z * z)
    return _sigmoid(gate, xp) + z * gate_slope * _sigmoid_derivative(gate, gate, xp)


ACTIVATIONS: Mapping[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("sigmoid", _sigmoid, _sigmoid_derivative),
        Activation("tanh", lambda z, xp: xp.tanh(z), lambda _z, a, _xp: 1.0 - a * a),
        Activation("relu", _relu, lambda z, _a, xp: xp.astype(z > 0, z.dtype)),
        Activation("softplus", _softplus, lambda _z, a, xp: -xp.expm1(-a)),
        # The tanh form of Hendrycks & Gimpel 2016, "Gaussian error linear units", section 2: the exact one needs erf,
        # which is not in the array API. Written with 1 + tanh(u) = 2·sigmoid(2u), which does not cancel for z << 0.
        Activation("gelu", _gelu, _gelu_derivative),
        Activation("identity", lambda z, _xp: z, lambda z, _a, xp: xp.ones_like(z)),
    )
}


def _sigmoid_cross_entropy(z: Array, y: Array, xp: Namespace) -> Array:
    # -y·log(a) - (1-y)·log(1-a) from logits; exact also where a rounds to 1, as the large terms cancel first.
    return xp.sum((_relu(z, xp) - y * z) + xp.log1p(_decay(z, xp)))


def _softmax_shift(z: Array, xp: Namespace) -> Array:
    return z - xp.max(z, axis=1, keepdims=True)


def _softmax(z: Array, xp: Namespace) -> Array:
    powers = xp.exp(_softmax_shift(z, xp))
    return powers / xp.sum(powers, axis=1, keepdims=True)


def _softmax_cross_entropy(z: Array, y: Array, xp: Namespace) -> Array:
    shifted = _softmax_shift(z, xp)
    return xp.sum(y * (xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True)) - shifted))


def _softmax_residual(z: Array, y: Array, xp: Namespace) -> Array:
    # The sum is 1 for one-hot targets and probabilities; with it, the derivative is right for any y.
    return _softmax(z, xp) * xp.sum(y, axis=1, keepdims=True) - y


LOSSES: Mapping[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("sigmoid_cross_entropy", _sigmoid_cross_entropy, lambda z, y, xp: _sigmoid(z, xp) - y, _sigmoid),
        Loss("softmax_cross_entropy", _softmax_cross_entropy, _softmax_residual, _softmax),
        Loss(
            "squared_error",
            lambda z, y, xp: 0.5 * xp.sum((z - y) * (z - y)),
            lambda z, y, _xp: z - y,
            lambda z, _xp: z,
        ),
    )
}


@dataclass(frozen=True, init=False)
class Network:
    """A fully connected network: `sizes` units from input to output, hidden layers of `activation`, loss `objective`.

    `params` is a tuple of `Layer`s, or one flat vector theta in the course's order: for each layer the matrix [bias | weight]
    (out, in + 1), column after column. The gradient comes back in the same form.
    """

    sizes: tuple[int, ...]
    activation: Activation
    objective: Loss

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Activation | str = "sigmoid",
        objective: Loss | str = "sigmoid_cross_entropy",
    ) -> None:
        """Take records or the names of registered ones. Raises ValueError for a bad size or an unknown name."""
        object.__setattr__(self, "sizes", _checked_sizes(sizes))
        object.__setattr__(self, "activation", _named("activation", ACTIVATIONS, activation))
        object.__setattr__(self, "objective", _named("loss", LOSSES, objective))

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(fan_out * (fan_in + 1) for fan_in, fan_out in pairwise(self.sizes))

    def init(
        self,
        initializer: Callable[..., Array] = random_uniform,
        *,
        seed: int = 0,
        xp: Namespace | None = None,
        dtype: Any = None,
        device: Any = None,
    ) -> tuple[Layer, ...]:
        """Fresh parameters; layer l draws with the seed (seed, l).

        An `initializer` of one required argument is given a weight's shape (out, in), and the bias is zero; one of two is
        given (in, out) and returns the course's matrix [bias | weight].
        """
        place = {"xp": xp, "dtype": dtype, "device": device}
        draw = _layer_initializer(initializer)
        return tuple(draw(fans, (seed, i), place) for i, fans in enumerate(pairwise(self.sizes)))

    def flatten(self, params: Params) -> Array:
        """Vector theta (size,) of `params`, in the course's order. Raises ValueError if they do not fit `sizes`."""
        return _flatten(self._layers(params))

    def unflatten(self, theta: Array) -> tuple[Layer, ...]:
        """Layers that theta (size,) holds; they may share its memory. Raises ValueError if it does not fit `sizes`."""
        if theta.shape != (self.size,):
            raise ValueError(
                f"theta for sizes {self.sizes} has shape ({self.size},); got {tuple(theta.shape)}. "
                "Pass a flat vector from `flatten`, or a tuple of layers."
            )
        return tuple(_unflatten(theta, self.sizes))

    def predict(self, params: Params, x: Array) -> Array:
        """Outputs (m, out) for inputs x (m, in): probabilities for the cross-entropies, else the logits."""
        layers, xp = self._layers(params), namespace(x)
        self._check_inputs(x)
        return self.objective.predict(self._forward(layers, x, xp)[1][-1], xp)

    def loss(self, params: Params, x: Array, y: Array, lam: float = 0.0) -> Array:
        """Cost J, a scalar: the loss averaged over the batch, plus lam/(2m)·sum(weight²), biases left out."""
        layers, xp = self._prepare(params, x, y)
        _, sums = self._forward(layers, x, xp)
        return self._cost(layers, sums[-1], y, lam, xp)

    def gradient(self, params: Params, x: Array, y: Array, lam: float = 0.0) -> Any:
        """Gradient of `loss` in the parameters, by backpropagation, in the form of `params`."""
        layers, xp = self._prepare(params, x, y)
        inputs, sums = self._forward(layers, x, xp)
        return _like(params, self._backward(layers, inputs, sums, y, lam, xp))

    def value_and_gradient(self, params: Params, x: Array, y: Array, lam: float = 0.0) -> tuple[Array, Any]:
        """`loss` and `gradient` from one forward pass."""
        layers, xp = self._prepare(params, x, y)
        inputs, sums = self._forward(layers, x, xp)
        value = self._cost(layers, sums[-1], y, lam, xp)
        return value, _like(params, self._backward(layers, inputs, sums, y, lam, xp))

    def deltas(self, params: Params, x: Array, y: Array) -> tuple[Array, ...]:
        """dJ/dz (m, out) of every layer, first to last, the factor 1/m included."""
        layers, xp = self._prepare(params, x, y)
        return self._deltas(layers, *self._forward(layers, x, xp), y, xp)

    def _layers(self, params: Params) -> Sequence[Layer]:
        if not isinstance(params, (tuple, list)):
            return self.unflatten(params)
        shapes = [(fan_out, fan_in) for fan_in, fan_out in pairwise(self.sizes)]
        got = [tuple(map(tuple, (weight.shape, bias.shape))) for weight, bias in params]
        if got != [(shape, shape[:1]) for shape in shapes]:
            raise ValueError(
                f"params for sizes {self.sizes} are layers of weight (out, in) {shapes} and bias (out,); "
                f"got (weight, bias) of shapes {got}. Pass a tuple of Layer(weight, bias), or theta ({self.size},)."
            )
        return params

    def _prepare(self, params: Params, x: Array, y: Array) -> tuple[Sequence[Layer], Namespace]:
        layers = self._layers(params)
        _check_batch("x", x, self.sizes[0])
        _check_batch("y", y, self.sizes[-1], x.shape[0])
        return layers, namespace(x, y, layers[0].weight)

    def _forward(self, layers: Sequence[Layer], x: Array, xp: Namespace) -> tuple[list[Array], list[Array]]:
        """Input a and weighted sum z of every layer."""
        inputs, sums = [x], [_affine(layers[0], x)]
        for layer in layers[1:]:
            inputs.append(self.activation.function(sums[-1], xp))
            sums.append(_affine(layer, inputs[-1]))
        return inputs, sums

    def _deltas(
        self, layers: Sequence[Layer], inputs: list[Array], sums: list[Array], y: Array, xp: Namespace
    ) -> tuple[Array, ...]:
        deltas = [self.objective.residual(sums[-1], y, xp) / y.shape[0]]
        for layer, z, a in zip(layers[:0:-1], sums[-2::-1], inputs[:0:-1], strict=True):
            deltas.append((deltas[-1] @ layer.weight) * self.activation.derivative(z, a, xp))
        return tuple(reversed(deltas))

    def _cost(self, layers: Sequence[Layer], z: Array, y: Array, lam: float, xp: Namespace) -> Array:
        value = self.objective.value(z, y, xp) / y.shape[0]
        if _is_zero(lam):
            return value
        return value + sum(xp.sum(layer.weight * layer.weight) for layer in layers) * (lam / (2 * y.shape[0]))

    def _backward(
        self,
        layers: Sequence[Layer],
        inputs: list[Array],
        sums: list[Array],
        y: Array,
        lam: float,
        xp: Namespace,
    ) -> tuple[Layer, ...]:
        deltas = self._deltas(layers, inputs, sums, y, xp)
        gradient = tuple(Layer(d.T @ a, xp.sum(d, axis=0)) for d, a in zip(deltas, inputs, strict=True))
        if _is_zero(lam):
            return gradient
        decay = lam / y.shape[0]
        return tuple(
            Layer(g.weight + decay * p.weight, g.bias) for g, p in zip(gradient, layers, strict=True)
        )


def _affine(layer: Layer, a: Array) -> Array:
    return a @ layer.weight.T + layer.bias


def _is_zero(lam: Any) -> bool:
    return isinstance(lam, (int, float)) and lam == 0


def _like(params: Params, gradient: tuple[Layer, ...]) -> Any:
    return gradient if isinstance(params, (tuple, list)) else _flatten(gradient)


def _flatten(layers: Sequence[Layer]) -> Array:
    xp = namespace(layers[0].weight)
    # Row-major unrolling of the transposed matrix is column-major unrolling of the matrix.
    columns = [xp.concat([bias[None, :], weight.T], axis=0) for weight, bias in layers]
    return xp.concat([xp.reshape(c, (-1,)) for c in columns])


def _unflatten(theta, sizes):
    xp, start = namespace(theta), 0
    for fan_in, fan_out in pairwise(sizes):
        stop = start + fan_out * (fan_in + 1)
        columns = xp.reshape(theta[start:stop], (fan_in + 1, fan_out))
        yield Layer(columns[1:, :].T, columns[0, :])
        start = stop


def _check_batch(name: str, batch: Array, width: int, rows: int | None = None) -> None:
    if batch.ndim != 2 or batch.shape[1] != width or rows not in (None, batch.shape[0]):
        raise ValueError(f"{name}")


def _checked_sizes(sizes):
    return tuple(sizes)


def _named(kind, registry, choice):
    return registry[choice] if isinstance(choice, str) else choice


def _layer_initializer(f):
    def draw(fans, seed, place):
        m = f(*fans, seed=seed, **place)
        return Layer(m[:, 1:], m[:, 0])

    return draw
