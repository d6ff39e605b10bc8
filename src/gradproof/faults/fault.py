"""A Fault, and how one is planted in the arrays of a gradient.

A mistake looks at the right gradient once, at the point, and settles there what it will change: which leaf, which
entries. Every later call is changed in the same way, so that rounding cannot move the mistake to another place.
"""

__all__ = [
    "Change",
    "Fault",
    "LeafChange",
    "LeafMistake",
    "Mistake",
    "Planter",
    "all_leaves",
    "always",
    "changed",
    "in_gradient",
    "one_leaf",
]

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, dtype_name, is_array
from gradproof.backend import Backend
from gradproof.faults.claims import Gradient, Moment, Scene, moment_of, scene_of, wrapped
from gradproof.problems import Problem
from gradproof.trees import flatten
from gradproof.verdict import Reason

Planter = Callable[[Problem], Problem | None]


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake that can be planted."""

    name: str
    says: str
    codes: tuple[str, ...]
    """Codes of the catalogue that name it rightly, the most fitting first; later ones fit small leaves, or λ = 0."""
    plant: Planter
    """The problem with the mistake in its gradient; None where it changes nothing, or cannot be made."""
    reason: Reason = Reason.DIFFERS
    """With which it has to be refused."""
    of_vjp: Reason | None = None
    """With which it may be refused as well where the claim is a vjp: it is not linear in the cotangent."""

    def due(self, reason: Reason | None) -> bool:
        """Whether it is right to refuse it with `reason`."""
        return reason is not None and reason in (self.reason, self.of_vjp)


Leaves = Sequence[HostArray | None]
Change = Callable[[Moment], Leaves]
"""From one call to the leaves of the wrong gradient; None for a leaf that is missing. It may write into its arrays."""

Mistake = Callable[[Moment], Change | None]
"""From the call at the point to what will be changed in every call; None where there is nothing to change."""

LeafChange = Callable[[HostArray, HostArray], HostArray]
"""From a leaf of the gradient, its own to write into, and the parameter of that leaf to the wrong leaf."""

LeafMistake = Callable[[HostArray, HostArray], LeafChange | None]
"""The same, settled at the point; None for a leaf in which the mistake cannot be made."""


def in_gradient(mistake: Mistake, *, finite: bool = True) -> Planter:
    """A fault in the leaves of the gradient, whatever the framework and the form of the claim.

    Where it would make a gradient that is not `finite`, it cannot be made.
    """

    def planted(problem: Problem) -> Problem | None:
        if (scene := scene_of(problem)) is None:
            return None
        with _quiet():
            change = mistake(scene.moment)
            if change is None or not _shows(change, scene, finite=finite):
                return None
        return changed(problem, scene.home, change)

    return planted


def changed(problem: Problem, home: Backend, change: Change) -> Problem:
    """`problem` with `change` made in what its claim returns: arrays of `home`, each of the dtype that it had."""

    def wrong(gradient: Gradient, params: Any, args: tuple[Any, ...]) -> Any:
        tree = gradient(params, args)
        with _quiet():
            return _rebuilt(tree, change(moment_of(tree, params, args)), home)

    return wrapped(problem, wrong)


def one_leaf(mistake: LeafMistake) -> Mistake:
    """`mistake` in the leaf with the largest entry, among those that it clearly changes."""

    def settled(moment: Moment) -> Change | None:
        gradient, params = moment.gradient, moment.params
        for at in sorted(range(len(gradient)), key=lambda i: -np.abs(gradient[i]).max()):
            change = mistake(gradient[at].copy(), params[at])
            if change and moment.clearly_changed(at, change(gradient[at].copy(), params[at])):
                return _changing({at: change})
        return None

    return settled


def all_leaves(mistake: LeafMistake) -> Mistake:
    """`mistake` in every leaf in which it can be made."""

    def settled(moment: Moment) -> Change | None:
        pairs = zip(moment.gradient, moment.params, strict=True)
        changes = {
            at: change for at, pair in enumerate(pairs) if (change := mistake(pair[0].copy(), pair[1]))
        }
        return _changing(changes) if changes else None

    return settled


def always(change: Callable[[HostArray], HostArray]) -> LeafMistake:
    """`change`, which can be made in any leaf."""
    return lambda _g, _theta: lambda g, _theta: change(g)


def _changing(changes: dict[int, LeafChange]) -> Change:
    def wrong(moment: Moment) -> Leaves:
        new: list[HostArray | None] = list(moment.gradient)
        for at, change in changes.items():
            new[at] = change(moment.gradient[at], moment.params[at])
        return new

    return wrong


def _shows(change: Change, scene: Scene, *, finite: bool) -> bool:
    moment = scene.moment
    copies = [leaf.copy() for leaf in moment.gradient]
    new = change(Moment(copies, moment.params, moment.constants, moment.roundoff))
    present = [leaf for leaf in new if leaf is not None]
    if finite and not all(np.isfinite(leaf).all() for leaf in present):
        return False
    return len(present) < len(new) or scene.differs(present)


def _quiet() -> AbstractContextManager[object]:
    """A mistake that overflows is looked at, and not planted: there is nothing to warn of."""
    return np.errstate(all="ignore")


def _rebuilt(tree: Any, new: Leaves, home: Backend) -> Any:
    leaves, structure = flatten(tree)
    return structure.unflatten([_like(old, leaf, home) for old, leaf in zip(leaves, new, strict=True)])


def _like(old: Any, new: HostArray | None, home: Backend) -> Any:
    """`new` as an array of the dtype of `old`, where `old` is."""
    if new is None:
        return None
    dtype = dtype_name(old) if is_array(old) else "float64"
    return home.from_numpy(new, dtype=dtype, device=getattr(old, "device", None))
