"""Mistakes of behaviour: claims that keep something from call to call, draw numbers, or write into what they are given."""

__all__ = ["BEHAVIOUR"]

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, difference_norm, norm
from gradproof.faults.claims import Gradient, Moment, Scene, on_host, scene_of, wrapped
from gradproof.faults.fault import Change, Fault, changed
from gradproof.point import Placement
from gradproof.problems import Problem
from gradproof.sources import Function, implementation
from gradproof.trees import flatten
from gradproof.verdict import Reason

NOISE = 0.01
"""Relative noise, ten times what a check allows two calls to differ by."""

MOVED = 1 / 16
"""Share of its size by which every parameter is moved to see whether the gradient depends on the point."""

SEEN = 0.01
"""Relative change of a leaf by which noise, or a memory of another point, is more than rounding in any precision."""


def _accumulating(problem: Problem) -> Problem | None:
    scene = scene_of(problem)
    if scene is None or not _moves(scene):
        return None
    buffer = [np.zeros_like(leaf) for leaf in scene.moment.gradient]

    def added(now: Moment) -> list[HostArray]:
        buffer[:] = [total + leaf for total, leaf in zip(buffer, now.gradient, strict=True)]
        return buffer

    return changed(problem, scene.home, added)


def _noisy(problem: Problem) -> Problem | None:
    scene = scene_of(problem)
    if scene is None or not _moves(scene):
        return None
    if not scene.differs([(1.0 + NOISE) * leaf for leaf in scene.moment.gradient]):
        return None
    return changed(problem, scene.home, _noise(np.random.default_rng(0)))


def _noise(rng: np.random.Generator) -> Change:
    return lambda now: [leaf * (1.0 + NOISE * rng.standard_normal(leaf.shape)) for leaf in now.gradient]


def _moves(scene: Scene) -> bool:
    return any(leaf.any() for leaf in scene.moment.gradient)


def _writing(problem: Problem) -> Problem | None:
    """None where arrays cannot be written into."""
    scene = scene_of(problem)
    if scene is None or not _written(scene):
        return None

    def wrong(gradient: Gradient, params: Any, args: tuple[Any, ...]) -> Any:
        answer = gradient(params, args)
        _halve(params)
        return answer

    return wrapped(problem, wrong)


def _halve(params: Any) -> None:
    for leaf in flatten(params)[0]:
        leaf *= 0.5  # noqa: PLW2901 -- writes into an array that can be written into, and that is the mistake


def _written(scene: Scene) -> bool:
    arrays = scene.placement.arrays(scene.point.leaves)
    _halve(arrays)
    return any(
        not np.array_equal(on_host(array), leaf)
        for array, leaf in zip(arrays, scene.point.leaves, strict=True)
    )


# A backward pass that reads what a forward pass at another point has left behind


def _stale(problem: Problem) -> Problem | None:
    """None for a claim that runs its own forward pass, and where the gradient is the same elsewhere."""
    scene = None if problem.value_and_grad else scene_of(problem)
    right = None if scene is None else implementation(problem.fun, scene.home.name)
    if scene is None or right is None or not _depends(scene):
        return None
    memory = _Memory(right, scene.placement)
    fun: Any = memory.forward
    if isinstance(problem.fun, Mapping):
        fun = {**problem.fun, scene.home.name: memory.forward}

    def wrong(gradient: Gradient, params: Any, args: tuple[Any, ...]) -> Any:
        return gradient(memory.recalled(params), args)

    return wrapped(replace(problem, fun=fun), wrong)


def _depends(scene: Scene) -> bool:
    """Whether a leaf of the gradient changes visibly, in its own size, where all parameters are moved."""
    here, there = scene.moment.gradient, scene.again(MOVED)
    return any(difference_norm(b, a) > SEEN * norm(a) for a, b in zip(here, there, strict=True))


class _Memory:
    """A function that keeps a copy of the parameters at which it was called last."""

    def __init__(self, right: Function, placement: Placement) -> None:
        self.right = right
        self.placement = placement
        self.leaves: list[HostArray] | None = None

    def forward(self, params: Any, *args: Any) -> Any:
        with suppress(TypeError, RuntimeError):  # what a framework traces has no values to keep
            self.leaves = [on_host(leaf) for leaf in flatten(params)[0]]
        return self.right(params, *args)

    def recalled(self, params: Any) -> Any:
        if self.leaves is None:
            return params
        structure = self.placement.point.structure
        return structure.unflatten(
            [
                self.placement.backend.from_numpy(leaf, dtype=dtype, device=device)
                for leaf, dtype, device in zip(
                    self.leaves, self.placement.dtypes, self.placement.point.devices, strict=True
                )
            ]
        )


BEHAVIOUR = (
    Fault("accumulates", "every call adds to a buffer that is never cleared", ("GP114",), _accumulating, Reason.ACCUMULATES),
    Fault("noisy", "every call returns it with fresh noise of 1 %", ("GP112",), _noisy, Reason.RANDOM_CLAIM),
    Fault("writes-params", "the parameters are halved in place", ("GP113",), _writing, Reason.MUTATES),
    Fault("stale", "it is the gradient at the point at which the function was evaluated last", ("GP115",), _stale, Reason.STALE),
)  # fmt: skip
"""Plant one anew for every check: what it keeps stays with it."""
