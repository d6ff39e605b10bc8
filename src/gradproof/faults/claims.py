"""The claim of a Problem, whatever its form: how it is asked at the point, and how another is put in its place."""

__all__ = ["Gradient", "Moment", "Scene", "moment_of", "on_host", "scene_of", "wrapped"]

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, dtype_name, is_array, norm
from gradproof.backend import Backend, backend_for
from gradproof.numeric.probe import every_entry
from gradproof.numeric.sampling import to_outputs
from gradproof.point import UNIT_ROUNDOFF, Placement, Point, take_point
from gradproof.problems import Problem
from gradproof.sources import Function, implementation
from gradproof.trees import flatten, leaves_by_path

Gradient = Callable[[Any, tuple[Any, ...]], Any]
"""From params and args to the tree of the claimed gradient."""

Wrap = Callable[[Gradient, Any, tuple[Any, ...]], Any]
"""From the right gradient, params and args to the tree that is claimed instead."""

LEAST_SHARE = 1e-10
"""Of a leaf's norm: what changes it by less is no mistake but rounding. Right gradients are confirmed to about this."""

ROUNDOFFS = 1e3
"""The same in units of rounding, for leaves of lower precision and for a leaf that is itself no more than rounding."""


@dataclass(frozen=True)
class Moment:
    """One call of the claim, on the host: its gradient and params leaf by leaf, the arrays among its args."""

    gradient: list[HostArray]
    params: list[HostArray]
    """In the order of the gradient's leaves."""
    constants: list[HostArray]
    roundoff: float
    """Of the coarsest dtype in the gradient."""
    paths: tuple[str, ...] = ()
    """Of the gradient's leaves."""

    def clearly_changed(self, leaf: int, new: HostArray) -> bool:
        """Whether `new` differs from leaf number `leaf` of the gradient by clearly more than rounding."""
        old = self.gradient[leaf]
        if new.shape != old.shape or not np.isfinite(new).all():
            return True
        gap, share = norm(new - old), max(LEAST_SHARE, ROUNDOFFS * self.roundoff)
        # A leaf weighs as much as it moves the function when its parameters move by their own size.
        total = sum(map(self._weight, range(len(self.gradient))))
        return gap > share * norm(old) and self._size(leaf) * gap > ROUNDOFFS * self.roundoff * total

    def _weight(self, leaf: int) -> float:
        return self._size(leaf) * norm(self.gradient[leaf])

    def _size(self, leaf: int) -> float:
        entries = self.params[leaf]
        return norm(entries) / entries.size**0.5 or 1.0


def moment_of(gradient: Any, params: Any, args: tuple[Any, ...]) -> Moment:
    """The call that had `params` and `args` and returned `gradient`; leaves are paired by their paths.

    Raises KeyError for a gradient with a leaf that params lacks.
    """
    leaves, structure = flatten(gradient)
    by_path = leaves_by_path(params)
    entries = [by_path[path] for path in structure.paths]
    constants = [leaf for leaf in flatten(list(args))[0] if is_array(leaf)]
    roundoff = max(UNIT_ROUNDOFF.get(_dtype(leaf), 0.0) for leaf in leaves)
    return Moment(
        _all_on_host(leaves), _all_on_host(entries), _all_on_host(constants), roundoff, structure.paths
    )


@dataclass(frozen=True)
class Scene:
    """The point of a Problem, and the claim there."""

    placement: Placement
    gradient: Gradient
    moment: Moment

    @property
    def point(self) -> Point:
        """The params and args, as copies on the host."""
        return self.placement.point

    @property
    def home(self) -> Backend:
        """The backend that owns the params."""
        return self.placement.backend

    @property
    def args(self) -> tuple[Any, ...]:
        """The constants, as the claim is given them."""
        return self.placement.args

    def again(self, share: float = 0.0, args: tuple[Any, ...] | None = None) -> list[HostArray]:
        """Leaves of the claim where every parameter is moved by `share` of its size, with other `args`."""
        leaves = every_entry(self.point).moved(self.point.leaves, share) if share else self.point.leaves
        return _asked(self.placement, self.gradient, leaves, args).gradient

    def differs(self, leaves: list[HostArray]) -> bool:
        """Whether any of `leaves` is clearly another than the claim's at the point."""
        return any(self.moment.clearly_changed(i, leaf) for i, leaf in enumerate(leaves))


def scene_of(problem: Problem) -> Scene | None:
    """Where `problem` stands, on copies; None if it states no gradient, or a vjp of a function of another framework."""
    if not (problem.grad or problem.value_and_grad or problem.vjp):
        return None
    point = take_point(problem.params, problem.args)
    placement = Placement(point, point.home, double=False)
    gradient = _pulled(problem, placement) if problem.vjp else _gradient(problem)
    if gradient is None:
        return None
    return Scene(placement, gradient, _asked(placement, gradient, point.leaves))


def wrapped(problem: Problem, wrap: Wrap) -> Problem:
    """`problem` with `wrap` around its claimed gradient, in the form in which it was claimed."""
    name = f"{problem.name}, faulty"
    if problem.grad is not None:
        grad = problem.grad
        return replace(
            problem, name=name, grad=lambda params, *args: wrap(lambda p, a: grad(p, *a), params, args)
        )
    if problem.value_and_grad is not None:
        return replace(problem, name=name, value_and_grad=_wrapped_pair(problem.value_and_grad, wrap))
    vjp: Any = problem.vjp
    return replace(
        problem,
        name=name,
        vjp=lambda cotangent, params, *args: wrap(lambda p, a: vjp(cotangent, p, *a), params, args),
    )


def on_host(leaf: Any) -> HostArray:
    """A copy of `leaf`, an array or a float, in the host's memory, its entries in the order of its axes."""
    return np.array(leaf if isinstance(leaf, float) else backend_for(leaf).to_numpy(leaf), order="C")


def _asked(
    placement: Placement, gradient: Gradient, leaves: Iterable[HostArray], args: tuple[Any, ...] | None = None
) -> Moment:
    with placement.context():
        params = placement.point.structure.unflatten(placement.arrays(leaves))
        given = placement.args if args is None else args
        return moment_of(gradient(params, given), params, given)


def _all_on_host(leaves: list[Any]) -> list[HostArray]:
    return [on_host(leaf) for leaf in leaves]


def _dtype(leaf: Any) -> str:
    return dtype_name(leaf) if is_array(leaf) else "float64"


def _wrapped_pair(right: Function, wrap: Wrap) -> Function:
    def wrong(params: Any, *args: Any) -> tuple[Any, Any]:
        value = right(params, *args)[0]
        return value, wrap(lambda p, a: right(p, *a)[1], params, args)

    return wrong


def _gradient(problem: Problem) -> Gradient:
    if problem.grad is not None:
        grad = problem.grad
        return lambda params, args: grad(params, *args)
    pair: Any = problem.value_and_grad
    return lambda params, args: pair(params, *args)[1]


def _pulled(problem: Problem, placement: Placement) -> Gradient | None:
    """The vjp of one cotangent, drawn at random."""
    vjp: Any = problem.vjp
    fun, home = implementation(problem.fun, placement.backend.name), placement.backend
    if fun is None:
        return None
    with placement.context():
        value = to_outputs(placement.bind(fun)(*placement.arrays(placement.point.leaves)))[0]
        drawn = np.random.default_rng(0).normal(size=value.shape)
        cotangent = home.from_numpy(drawn, dtype=placement.dtypes[0], device=placement.point.devices[0])
    return lambda params, args: vjp(cotangent, params, *args)
