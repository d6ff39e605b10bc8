"""Planted mistakes: ways for a gradient to be wrong on purpose.

A fault takes a Problem and returns one whose gradient is wrong, or None where it cannot show (a transposed vector,
a bias in a problem that has none). The checker is tested by what it must refuse.
"""

__all__ = ["FAULTS", "Fault", "plant"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradproof.activations import Activation
from gradproof.arrays import HostArray, dtype_name
from gradproof.backend import backend_for, unknown
from gradproof.network import Layer, Network
from gradproof.problems import Problem
from gradproof.trees import flatten
from gradproof.verdict import Reason


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake that can be planted."""

    name: str
    says: str
    plant: Callable[[Problem], Problem | None]
    """The problem with the mistake in its gradient; None where the mistake changes nothing."""
    reason: Reason = Reason.DIFFERS
    """With which it has to be refused."""


def plant(name: str, problem: Problem) -> Problem:
    """`problem` with fault `name` in its gradient.

    Raises ValueError for an unknown name, or a fault that cannot show in this problem.
    """
    if name not in FAULTS:
        raise ValueError(unknown("fault", name, tuple(FAULTS)))
    planted = FAULTS[name].plant(problem)
    if planted is None:
        raise ValueError(
            f"the fault {name!r} ({FAULTS[name].says}) cannot show in {problem.name}; choose another"
        )
    return planted


# In the gradient's arrays

Change = Callable[[list[HostArray]], list[HostArray] | None]


def _in_leaves(change: Change) -> Callable[[Problem], Problem | None]:
    """A fault that changes the leaves of the right gradient, whatever the framework."""

    def planted(problem: Problem) -> Problem | None:
        if problem.grad is None:
            return None
        right = problem.grad
        if change(_on_host(right(problem.params, *problem.args))) is None:
            return None

        def wrong(params: Any, *args: Any) -> Any:
            tree = right(params, *args)
            leaves, structure = flatten(tree)
            changed = change(_on_host(tree)) or []
            return structure.unflatten(
                [
                    backend_for(old).from_numpy(new, dtype=dtype_name(old))
                    for new, old in zip(changed, leaves, strict=True)
                ]
            )

        return replace(problem, name=f"{problem.name}, faulty", grad=wrong)

    return planted


def _on_host(tree: Any) -> list[HostArray]:
    return [backend_for(leaf).to_numpy(leaf) for leaf in flatten(tree)[0]]


def _scaled(factor: float) -> Change:
    return lambda leaves: [factor * leaf for leaf in leaves]


def _in_largest(change: Callable[[HostArray], HostArray | None]) -> Change:
    """`change` applied to a copy of the leaf with the largest entry among those that it changes; None if to none."""

    def changed(leaves: list[HostArray]) -> list[HostArray] | None:
        for at in sorted(range(len(leaves)), key=lambda i: -np.abs(leaves[i]).max()):
            new = change(leaves[at].copy())
            if new is not None and not np.array_equal(new, leaves[at]):
                return [*leaves[:at], new, *leaves[at + 1 :]]
        return None

    return changed


def _at_largest_entry(factor: float) -> Callable[[HostArray], HostArray]:
    def changed(leaf: HostArray) -> HostArray:
        leaf.reshape(-1)[np.argmax(np.abs(leaf))] *= factor
        return leaf

    return changed


def _entries_swapped(leaf: HostArray) -> HostArray | None:
    if leaf.size < 2:
        return None
    flat = leaf.reshape(-1)
    ends = [int(np.argmin(flat)), int(np.argmax(flat))]
    flat[ends] = flat[ends[::-1]]
    return leaf


def _transposed(leaf: HostArray) -> HostArray | None:
    return (
        np.ascontiguousarray(leaf.T).reshape(leaf.shape) if leaf.ndim == 2 and min(leaf.shape) > 1 else None
    )


def _broadcast_mean(leaf: HostArray) -> HostArray | None:
    return np.full_like(leaf, leaf.mean()) if leaf.size > 1 else None


def _smallest_leaf_zero(leaves: list[HostArray]) -> list[HostArray] | None:
    at = int(np.argmin([np.abs(leaf).max() for leaf in leaves]))
    if len(leaves) < 2 or not leaves[at].any():
        return None
    return [*leaves[:at], np.zeros_like(leaves[at]), *leaves[at + 1 :]]


def _not_a_number(leaf: HostArray) -> HostArray:
    leaf.reshape(-1)[0] = np.nan
    return leaf


def _leading_axis(leaves: list[HostArray]) -> list[HostArray]:
    return [leaf[None] for leaf in leaves]


# In the reference network's backward pass

Backward = Callable[..., Sequence[Layer]]


def _in_network(mistake: Callable[[Network], Backward]) -> Callable[[Problem], Problem | None]:
    """A fault in the backward pass of a Problem whose gradient is a Network's."""

    def planted(problem: Problem) -> Problem | None:
        network = getattr(problem.grad, "__self__", None)
        if problem.grad is None or not isinstance(network, Network) or not isinstance(problem.params, tuple):
            return None
        wrong = mistake(network)
        if _equal(wrong(problem.params, *problem.args), problem.grad(problem.params, *problem.args)):
            return None
        return replace(problem, name=f"{problem.name}, faulty", grad=lambda p, *args: tuple(wrong(p, *args)))

    return planted


def _equal(one: Sequence[Layer], other: Sequence[Layer]) -> bool:
    return all(
        np.array_equal(a, b) for a, b in zip(_on_host(tuple(one)), _on_host(tuple(other)), strict=True)
    )


def _no_activation_derivative(network: Network) -> Backward:
    known = network.activation
    careless = Activation(known.name, known.function, lambda z, _a, xp: xp.ones_like(z))
    return Network(network.sizes, careless, network.objective).gradient


def _bias_regularised(network: Network) -> Backward:
    def wrong(params: Sequence[Layer], x: Any, y: Any, lam: float = 0.0) -> list[Layer]:
        right = network.gradient(params, x, y, lam)
        return [
            Layer(g.weight, g.bias + lam / x.shape[0] * p.bias) for g, p in zip(right, params, strict=True)
        ]

    return wrong


def _not_regularised(network: Network) -> Backward:
    return lambda params, x, y, _lam=0.0: network.gradient(params, x, y, 0.0)


def _not_averaged(network: Network) -> Backward:
    def wrong(params: Sequence[Layer], x: Any, y: Any, lam: float = 0.0) -> list[Layer]:
        return [
            Layer(x.shape[0] * g.weight, x.shape[0] * g.bias) for g in network.gradient(params, x, y, lam)
        ]

    return wrong


def _bias_forgotten(network: Network) -> Backward:
    def wrong(params: Sequence[Layer], *args: Any) -> list[Layer]:
        first, *rest = network.gradient(params, *args)
        return [Layer(first.weight, 0.0 * first.bias), *rest]

    return wrong


_ALL = (
    Fault("sign", "the sign is wrong everywhere", _in_leaves(_scaled(-1.0))),
    Fault("double", "everything is twice too large", _in_leaves(_scaled(2.0))),
    Fault("two-percent", "everything is 2 % too large", _in_leaves(_scaled(1.02))),
    Fault("a-billionth", "everything is too large by 1e-9 of itself", _in_leaves(_scaled(1.0 + 1e-9))),
    Fault("all-zero", "the gradient is zero everywhere", _in_leaves(_scaled(0.0))),
    Fault("one-entry", "one entry is 0.1 % too large", _in_leaves(_in_largest(_at_largest_entry(1.001)))),
    Fault("entry-flipped", "one entry has the wrong sign", _in_leaves(_in_largest(_at_largest_entry(-1.0)))),
    Fault("entry-dropped", "one entry is zero", _in_leaves(_in_largest(_at_largest_entry(0.0)))),
    Fault("entries-swapped", "two entries are exchanged", _in_leaves(_in_largest(_entries_swapped))),
    Fault("shifted", "a leaf is shifted by one entry",
          _in_leaves(_in_largest(lambda leaf: np.roll(leaf.reshape(-1), 1).reshape(leaf.shape)))),
    Fault("transposed", "a matrix is transposed, in the shape of the right one", _in_leaves(_in_largest(_transposed))),
    Fault("mean", "a leaf holds its own mean everywhere", _in_leaves(_in_largest(_broadcast_mean))),
    Fault("leaf-forgotten", "one leaf has gradient zero", _in_leaves(_smallest_leaf_zero)),
    Fault("nan", "one entry is not a number", _in_leaves(_in_largest(_not_a_number)), Reason.NOT_FINITE),
    Fault("batch-axis", "a leading axis was not summed over", _in_leaves(_leading_axis), Reason.SHAPE),
    Fault("no-derivative", "the activation's derivative is left out", _in_network(_no_activation_derivative)),
    Fault("bias-regularised", "the bias is regularised too", _in_network(_bias_regularised)),
    Fault("not-regularised", "the regularisation is left out of the gradient", _in_network(_not_regularised)),
    Fault("not-averaged", "the factor 1/m is left out", _in_network(_not_averaged)),
    Fault("bias-forgotten", "the first layer's bias has gradient zero", _in_network(_bias_forgotten)),
)  # fmt: skip

FAULTS: dict[str, Fault] = {fault.name: fault for fault in _ALL}
"""All faults by name."""
