"""The reference network: a perceptron of any depth whose gradient is written by hand, in pure array-API code.

It is the course's (Ng, Machine Learning, exercise 4), generalised. A batch lies in rows: x is (m, in), y is (m, out).
A layer computes z = a·Wᵀ + b, hidden ones then a = f(z); the last z, the logits, go to the loss as they are. The code
runs unchanged on NumPy, PyTorch, JAX (also under `jax.jit`) and array_api_strict, in the dtype it is given.

Automatic differentiation of `Network.loss` is right everywhere too, as it is not for careless forms: at z = 0 exactly
(zero initialisation), where abs() and ties of max() have a wrong slope, and far out, where exp() overflows.
"""

__all__ = ["Layer", "Network"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from inspect import signature
from itertools import pairwise
from operator import index
from typing import Any, NamedTuple, TypeVar

from gradproof.activations import ACTIVATIONS, Activation
from gradproof.arrays import Array, Namespace, namespace
from gradproof.initializers import random_uniform, zeros
from gradproof.losses import LOSSES, Loss
from gradproof.nodes import Node


class Layer(NamedTuple):
    """Parameters of one layer: weight (out, in) and bias (out,)."""

    weight: Array
    bias: Array


Params = Sequence[Layer] | Array
"""A tuple or list of layers, or all of them in one flat vector theta."""


_Record = TypeVar("_Record", Activation, Loss)


class _Forward(NamedTuple):
    """What the forward pass leaves to the backward pass: of every layer the parameters, its input a, its z."""

    layers: Sequence[Layer]
    inputs: Sequence[Array]
    sums: Sequence[Array]
    xp: Namespace


@dataclass(frozen=True, init=False)
class Network:
    """Fully connected layers of `sizes` units, input to output; hidden `activation`; the loss is `objective`.

    `params` is a tuple of `Layer`s, or one flat vector theta in the course's order: layer by layer the matrix
    [bias | weight] (out, in + 1), column after column. A gradient comes back in the form of the params.
    Raises ValueError where params, x or y do not fit the sizes.
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
        """Take records, or names from ACTIVATIONS and LOSSES. Raises ValueError for a bad size or an unknown name."""
        object.__setattr__(self, "sizes", _checked(sizes))
        object.__setattr__(self, "activation", _record("activation", ACTIVATIONS, activation))
        object.__setattr__(self, "objective", _record("loss", LOSSES, objective))

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
        """Fresh layers, layer l drawn with the seed (seed, l); keywords as in `gradproof.initializers`.

        An `initializer` with an argument `shape` is given a weight's, (out, in), and the bias is zero; any other is given
        (in, out) and returns the course's matrix [bias | weight].
        """
        place = {"xp": xp, "dtype": dtype, "device": device}
        drawn = [_drawn(initializer, fans, (seed, i), place) for i, fans in enumerate(pairwise(self.sizes))]
        return self.unflatten(_flat(drawn))

    def flatten(self, params: Params) -> Array:
        """Vector theta (size,) of `params`, in the course's order."""
        return _flat(self._layers(params))

    def unflatten(self, theta: Array) -> tuple[Layer, ...]:
        """Layers in theta (size,), whose memory they may share."""
        if _shape(theta) != (self.size,):
            raise ValueError(
                f"parameters for sizes {self.sizes} are a tuple of Layers or a vector theta ({self.size},); got "
                f"{_shape(theta)}. `init` makes layers, `flatten` turns them into theta."
            )
        return tuple(_unflat(theta, self.sizes))

    def predict(self, params: Params, x: Array) -> Array:
        """Outputs (m, out) for inputs x (m, in): probabilities for the cross-entropies, else the logits."""
        forward = self._forward(params, x)
        return self.objective.predict(forward.sums[-1], forward.xp)

    def loss(self, params: Params, x: Array, y: Array, lam: float = 0.0) -> Array:
        """Cost J, a scalar: the mean loss of the m examples, plus lam/(2m)·sum(weight²), biases left out."""
        return self._cost(self._forward(params, x, y), y, lam)

    def gradient(self, params: Params, x: Array, y: Array, lam: float = 0.0) -> Any:
        """Gradient of `loss` in the parameters, in the form of `params`, by backpropagation.

        Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors".
        """
        return self._gradient(self._forward(params, x, y), params, y, lam)

    def value_and_gradient(self, params: Params, x: Array, y: Array, lam: float = 0.0) -> tuple[Array, Any]:
        """`loss` and `gradient`, from one forward pass."""
        forward = self._forward(params, x, y)
        return self._cost(forward, y, lam), self._gradient(forward, params, y, lam)

    def deltas(self, params: Params, x: Array, y: Array) -> tuple[Array, ...]:
        """dJ/dz (m, out) of every layer, first to last, the factor 1/m included."""
        return self._deltas(self._forward(params, x, y), y)

    def nodes(self, params: Params, x: Array, y: Array) -> tuple[Node, ...]:
        """Every layer's sums z with the delta that backpropagation gives them, first to last: see `first_wrong_node`."""
        forward, deltas = self._forward(params, x, y), self.deltas(params, x, y)
        return tuple(
            Node(f"layer {i}", z, delta, partial(self._loss_from, i, forward, y))
            for i, (z, delta) in enumerate(zip(forward.sums, deltas, strict=True))
        )

    def _loss_from(self, layer: int, forward: _Forward, y: Array, z: Array) -> Array:
        """The mean loss, computed from the sums `z` of one layer on."""
        for weight, bias in forward.layers[layer + 1 :]:
            z = self.activation.function(z, forward.xp) @ weight.T + bias
        return self.objective.value(z, y, forward.xp) / y.shape[0]

    def _layers(self, params: Params) -> Sequence[Layer]:
        if not isinstance(params, (tuple, list)):
            return self.unflatten(params)
        due = [((fan_out, fan_in), (fan_out,)) for fan_in, fan_out in pairwise(self.sizes)]
        if (came := [_shape(layer) for layer in params]) != due:
            raise ValueError(
                f"parameters for sizes {self.sizes} are Layers of weight (out, in) and bias (out,) of shapes {due}; "
                f"got {came}. Pass a tuple of Layer(weight, bias), or one flat theta."
            )
        return params

    def _forward(self, params: Params, x: Array, y: Array | None = None) -> _Forward:
        layers = self._layers(params)
        _check_rows("x", x, None, self.sizes[0])
        if y is not None:
            _check_rows("y", y, x.shape[0], self.sizes[-1])
        xp = namespace(x, y, layers[0].weight)
        inputs, sums = [x], [x @ layers[0].weight.T + layers[0].bias]
        for weight, bias in layers[1:]:
            inputs.append(self.activation.function(sums[-1], xp))
            sums.append(inputs[-1] @ weight.T + bias)
        return _Forward(layers, inputs, sums, xp)

    def _cost(self, forward: _Forward, y: Array, lam: float) -> Array:
        mean = self.objective.value(forward.sums[-1], y, forward.xp) / y.shape[0]
        if (decay := _decay(lam, y)) is None:
            return mean
        return mean + sum(forward.xp.sum(w * w) for w, _ in forward.layers) * (decay / 2)

    def _deltas(self, forward: _Forward, y: Array) -> tuple[Array, ...]:
        layers, inputs, sums, xp = forward
        deltas = [self.objective.residual(sums[-1], y, xp) / y.shape[0]]
        for layer, z, a in zip(layers[:0:-1], sums[-2::-1], inputs[:0:-1], strict=True):
            deltas.append((deltas[-1] @ layer.weight) * self.activation.derivative(z, a, xp))
        return tuple(reversed(deltas))

    def _gradient(self, forward: _Forward, params: Params, y: Array, lam: float) -> Any:
        deltas = self._deltas(forward, y)
        # Summing by a product: NumPy's sum(axis=0) over many short rows takes three to five times as long.
        ones = forward.xp.ones_like(deltas[-1][:, 0])
        slopes = [Layer(_outer(d, a), ones @ d) for d, a in zip(deltas, forward.inputs, strict=True)]
        if (decay := _decay(lam, y)) is not None:
            slopes = [_decayed(g, p, decay) for g, p in zip(slopes, forward.layers, strict=True)]
        return type(params)(slopes) if isinstance(params, (tuple, list)) else _flat(slopes)


def _outer(delta: Array, a: Array) -> Array:
    """Sum of the examples' outer products, deltaᵀ·a (out, in)."""
    if a.shape[0] == 1:
        return delta.T * a  # NumPy's matmul takes three times as long where the inner axis is 1
    return (a.T @ delta).T  # up to 1.3 times as fast as deltaᵀ·a; in memory it has the order of theta


def _decay(lam: Any, y: Array) -> Any:
    """lam/m; None if there is none. A traced lam (jax.jit) cannot tell that it is zero: it is applied."""
    if not isinstance(lam, (int, float)):
        return lam / y.shape[0]
    return float(lam) / y.shape[0] if lam else None  # float(): NumPy's own float64 would widen float32


def _decayed(slope: Layer, layer: Layer, decay: Any) -> Layer:
    return Layer(slope.weight + decay * layer.weight, slope.bias)


def _flat(layers: Sequence[Layer]) -> Array:
    # Unrolling transposed matrices by rows unrolls the matrices by columns.
    xp = namespace(layers[0].weight)
    return xp.concat([xp.reshape(xp.concat([bias[None, :], weight.T]), (-1,)) for weight, bias in layers])


def _unflat(theta: Array, sizes: Sequence[int]) -> Iterator[Layer]:
    xp, start = namespace(theta), 0
    for fan_in, fan_out in pairwise(sizes):
        stop = start + fan_out * (fan_in + 1)
        columns = xp.reshape(theta[start:stop], (fan_in + 1, fan_out))
        yield Layer(columns[1:, :].T, columns[0, :])
        start = stop


def _shape(x: Any) -> Any:
    """Shape of `x` as a plain tuple, of a Layer those of its leaves; of what has none, the name of its type."""
    if isinstance(x, Layer):
        return tuple(map(_shape, x))
    shape = getattr(x, "shape", None)
    return type(x).__name__ if shape is None else tuple(shape)


def _check_rows(name: str, batch: Array, rows: int | None, width: int) -> None:
    got = _shape(batch)
    if got[1:] != (width,) or (got[0] < 1 if rows is None else got[0] != rows):
        raise ValueError(
            f"{name} has one row per example, shape ({rows or 'm >= 1'}, {width}); got {got}. "
            "Pass an array of that shape; one example is a batch of one row."
        )


def _checked(sizes: Sequence[int]) -> tuple[int, ...]:
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"sizes are two or more positive numbers of units, input to output; got {tuple(sizes)}. "
            "Pass (3, 5, 3), or (3, 3) for no hidden layer."
        )
    return tuple(map(index, sizes))


def _record(kind: str, known: Mapping[str, _Record], choice: _Record | str) -> _Record:
    if not isinstance(choice, str):
        return choice
    if choice in known:
        return known[choice]
    hint = "".join(f"Did you mean {name!r}? " for name in get_close_matches(choice, known, n=1))
    raise ValueError(
        f"unknown {kind} {choice!r}. {hint}Known: {', '.join(known)}; or pass a record of your own."
    )


def _drawn(
    initializer: Callable[..., Array], fans: tuple[int, int], seed: Any, place: dict[str, Any]
) -> Layer:
    takes = signature(initializer).parameters
    options = place | {"seed": seed} if "seed" in takes else place
    if "shape" in takes:
        return Layer(initializer(fans[::-1], **options), zeros(fans[1:], **place))
    matrix = initializer(*fans, **options)
    return Layer(matrix[:, 1:], matrix[:, 0])
