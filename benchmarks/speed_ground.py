"""The function whose gradient is checked, as every peer takes it, and one wrong entry in its gradient."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import autograd.numpy as anp
import jax
import numpy as np
import torch

from gradproof import check
from gradproof.network import Layer, Network
from gradproof.report import Report

CASES = (((3, 5, 3), 5), ((20, 25, 10), 64), ((64, 32, 10), 256), ((400, 25, 10), 512), ((784, 128, 10), 256))
"""Units by layer, and examples in the batch: 38, 785, 2,410, 10,285 and 101,770 parameters."""

LAM = 1.0

Leaves = list[np.ndarray]
Change = Callable[[Leaves], Leaves]
"""A mistake in the leaves of a gradient."""


class Enough(Exception):
    """Raised by a Budget."""


class Budget:
    """Stops a peer after so many evaluations, and knows the processor time of one.

    The first evaluation starts the clock: what the peer prepares beforehand does not count.
    """

    def __init__(self, most: float) -> None:
        self.most = most
        self.count = 0
        self.start = self.end = 0.0

    def spend(self) -> None:
        """One evaluation begins."""
        self.count += 1
        if self.count == 1:
            self.start = time.process_time()
        if self.count > self.most:
            self.end = time.process_time()
            raise Enough

    @property
    def seconds_of_one(self) -> float:
        """Mean over the evaluations that were allowed."""
        return (self.end - self.start) / (self.count - 1)


def same(leaves: Leaves) -> Leaves:
    """No mistake."""
    return leaves


@dataclass(frozen=True)
class Ground:
    """The course's network of sigmoid units with two layers, sigmoid cross-entropy and an L2 penalty."""

    sizes: tuple[int, ...]
    batch: int

    @cached_property
    def network(self) -> Network:
        """Function and gradient by hand."""
        return Network(self.sizes)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.network.size

    @property
    def name(self) -> str:
        """Such as 784-128-10."""
        return "-".join(map(str, self.sizes))

    @cached_property
    def params(self) -> tuple[Layer, ...]:
        """Laid out row by row, as a user would have them."""
        return tuple(Layer(*map(np.ascontiguousarray, layer)) for layer in self.network.init())

    @cached_property
    def args(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Inputs, one-hot targets, λ."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=(self.batch, self.sizes[0]))
        return x, np.eye(self.sizes[-1])[rng.integers(0, self.sizes[-1], self.batch)], LAM

    @cached_property
    def theta(self) -> np.ndarray:
        """All parameters in one vector."""
        return np.asarray(self.network.flatten(self.params))

    @cached_property
    def gradient(self) -> Leaves:
        """The right gradient at the point, (w1, b1, w2, b2)."""
        return leaves_of(self.network.gradient(self.params, *self.args))

    def claim(self, change: Change) -> Callable[..., tuple[Layer, ...]]:
        """The gradient of a tree of params with a mistake in it."""
        network = self.network
        if change is same:
            return network.gradient
        return lambda *given: layers_of(change(leaves_of(network.gradient(*given))))

    def check(self, change: Change = same, **options: Any) -> Report:
        """What this project says of the claim: function values against the gradient by hand."""
        return check(
            self.network.loss, self.params, args=self.args, grad=self.claim(change),
            sources=("numeric", "hand"), **options,
        )  # fmt: skip

    def one_off(self, entry: int, size: float, of_largest: bool = False) -> Change:
        """One entry, numbered through all leaves, off by `size` times itself, or times the largest of all."""
        ends = np.cumsum([leaf.size for leaf in self.gradient])
        at = int(np.searchsorted(ends, entry, side="right"))
        index = entry - int(ends[at]) + self.gradient[at].size
        own = float(self.gradient[at].flat[index])
        error = size * (max(float(np.abs(leaf).max()) for leaf in self.gradient) if of_largest else own)

        def change(leaves: Leaves) -> Leaves:
            leaves = [leaf.copy() for leaf in leaves]
            leaves[at].flat[index] += error
            return leaves

        return change

    def flat_value(self, budget: Budget) -> Callable[[np.ndarray], float]:
        """The function of one vector."""
        network, args = self.network, self.args

        def value(theta: np.ndarray) -> float:
            budget.spend()
            return network.loss(theta, *args)

        return value

    def leafwise_value(self, budget: Budget) -> Callable[[np.ndarray], float]:
        """The function of one vector that holds leaf after leaf."""
        network, args = self.network, self.args
        shapes = [leaf.shape for leaf in self.gradient]
        ends = np.cumsum([leaf.size for leaf in self.gradient])[:-1]

        def value(vector: np.ndarray) -> float:
            budget.spend()
            parts = np.split(vector, ends)
            return network.loss(layers_of([p.reshape(s) for p, s in zip(parts, shapes, strict=True)]), *args)

        return value

    def flat_claim(self, change: Change = same) -> Callable[[np.ndarray], np.ndarray]:
        """The gradient of one vector."""
        network, args = self.network, self.args
        if change is same:
            return lambda theta: network.gradient(theta, *args)
        claim = self.claim(change)
        return lambda theta: np.asarray(network.flatten(claim(network.unflatten(theta), *args)))


def leaves_of(layers: Sequence[Layer]) -> Leaves:
    """The arrays of all layers."""
    return [leaf for layer in layers for leaf in layer]


def layers_of(leaves: Sequence[Any]) -> tuple[Layer, ...]:
    """Layers of these arrays."""
    return tuple(Layer(*leaves[i : i + 2]) for i in range(0, len(leaves), 2))


def torch_loss(ground: Ground) -> Callable[..., torch.Tensor]:
    """The function of four tensors, with PyTorch's fused operations."""
    x, y = map(torch.asarray, ground.args[:2])

    def loss(w1: Any, b1: Any, w2: Any, b2: Any) -> torch.Tensor:
        z = torch.nn.functional.linear(torch.sigmoid(torch.nn.functional.linear(x, w1, b1)), w2, b2)
        cost = torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="sum")
        return (cost + LAM / 2 * ((w1 * w1).sum() + (w2 * w2).sum())) / len(x)

    return loss


@cache
def jax_loss(ground: Ground) -> Callable[..., Any]:
    """The function of a tree, compiled."""
    x, y = map(jax.numpy.asarray, ground.args[:2])
    return jax.jit(lambda params: ground.network.loss(params, x, y, LAM))


def autograd_loss(ground: Ground) -> Callable[..., Any]:
    """The function of four arrays, for a tracer of NumPy calls."""
    x, y, lam = ground.args

    def loss(w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
        z = anp.dot(1 / (1 + anp.exp(-(anp.dot(x, w1.T) + b1))), w2.T) + b2
        cost = anp.sum(anp.logaddexp(0.0, z) - y * z)
        return (cost + lam / 2 * (anp.sum(w1 * w1) + anp.sum(w2 * w2))) / len(x)

    return loss
