"""Mistakes that are in no catalogue, for which the right answer is that no known mistake explains them."""

__all__ = ["UNKNOWN"]

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.faults.claims import Moment, scene_of
from gradproof.faults.fault import Change, Fault, Planter, changed, in_gradient, one_leaf
from gradproof.problems import Problem
from gradproof.trees import flatten

LeafWise = Callable[[HostArray, HostArray, np.random.Generator], HostArray]
"""From a leaf of the gradient, its parameter and a generator to the wrong leaf."""


def _everywhere(change: LeafWise) -> Planter:
    """The same in every leaf and every call."""

    def settled(_moment: Moment) -> Change:
        def now(moment: Moment) -> list[HostArray]:
            rng = np.random.default_rng(7)
            pairs = zip(moment.gradient, moment.params, strict=True)
            return [np.reshape(change(g, theta, rng), g.shape) for g, theta in pairs]

        return now

    return in_gradient(settled)


def _in_one(change: LeafWise, least: int = 3, axes: int = 0) -> Planter:
    """In one leaf of so many entries and axes."""

    def settled(g: HostArray, _theta: HostArray) -> Any:
        if g.size < least or g.ndim < axes:
            return None
        return lambda g, theta: np.reshape(change(g, theta, np.random.default_rng(7)), g.shape)

    return in_gradient(one_leaf(settled))


def _noise(share: float) -> LeafWise:
    return lambda g, _theta, rng: g + share * np.sqrt(np.mean(g * g)) * rng.normal(size=g.shape)


def _mapped(g: HostArray, _theta: HostArray, rng: np.random.Generator) -> HostArray:
    n = g.size
    return (np.eye(n) + 0.3 * rng.normal(size=(n, n)) / n**0.5) @ g.reshape(-1)


def _elsewhere(problem: Problem) -> Problem | None:
    """The gradient at a random other point."""
    scene = scene_of(problem)
    if scene is None:
        return None
    rng = np.random.default_rng(7)
    leaves = flatten(problem.params)[0]
    off = [1 + 0.3 * rng.normal(size=leaf.shape) for leaf in leaves]
    moved = [np.asarray(leaf * o, dtype=leaf.dtype) for leaf, o in zip(leaves, off, strict=True)]
    point = scene.point.structure.unflatten(moved)
    there = scene_of(replace(problem, params=point))
    gradient = [] if there is None else there.moment.gradient
    return changed(problem, scene.home, lambda _now: gradient) if scene.differs(gradient) else None


def _other_data(problem: Problem) -> Problem | None:
    """The gradient for other data: the first array among the args is off by a tenth of its size, at random."""
    at = next((i for i, x in enumerate(problem.args) if np.ndim(x) and np.asarray(x).dtype.kind == "f"), None)
    scene = scene_of(problem)
    if scene is None or at is None:
        return None
    data, rng = np.asarray(problem.args[at]), np.random.default_rng(7)
    other = np.asarray(data + 0.1 * np.std(data) * rng.normal(size=data.shape), dtype=data.dtype)
    there = scene_of(replace(problem, args=(*problem.args[:at], other, *problem.args[at + 1 :])))
    gradient = [] if there is None else there.moment.gradient
    return changed(problem, scene.home, lambda _now: gradient) if scene.differs(gradient) else None


def _half_off(g: HostArray, _theta: HostArray, rng: np.random.Generator) -> HostArray:
    return g * np.where(rng.random(g.shape) < 0.5, 1.0, 1 + 0.1 * rng.normal(size=g.shape))


UNKNOWN = (
    Fault("noise of 5 %", "random numbers are added everywhere", (), _everywhere(_noise(0.05))),
    Fault("noise of 1e-6", "tiny random numbers are added everywhere", (), _everywhere(_noise(1e-6))),
    Fault("noise in a leaf", "random numbers are added in one leaf", (), _in_one(_noise(0.5))),
    Fault("linear map", "a leaf is multiplied by a random matrix", (), _in_one(_mapped)),
    Fault("other point", "it is the gradient at another point, 30 % away", (), _elsewhere),
    Fault("other data", "it is the gradient for data that are off by 10 %", (), _other_data),
    Fault("transposed and doubled", "a leaf is transposed in place and doubled", (), _in_one(lambda g, _t, _r: 2 * g.T, axes=2)),
    Fault("shifted and flipped", "a leaf is shifted and has the wrong sign", (), _in_one(lambda g, _t, _r: -np.roll(g, 1), 4)),
    Fault("decayed and doubled", "a leaf has a penalty too much and is doubled", (), _in_one(lambda g, t, _r: 2 * g + 0.1 * t)),
    Fault("times θ, less a tenth", "a leaf is multiplied by its parameter, and 0.1 taken away", (), _in_one(lambda g, t, _r: g * t - 0.1)),
    Fault("permuted", "a leaf's entries stand in random places", (), _in_one(lambda g, _t, r: r.permutation(g.reshape(-1)), 8)),
    Fault("cubed", "the entries are cubed", (), _everywhere(lambda g, _t, _r: g**3)),
    Fault("half of them off", "every second entry or so of a leaf is off by 10 %", (), _in_one(_half_off, 6)),
    Fault("sines", "a leaf is replaced by the sine of its gradient", (), _in_one(lambda g, _t, _r: np.sin(g), 1)),
    Fault("random", "a leaf is replaced by random numbers", (), _in_one(lambda g, _t, r: r.normal(size=g.shape) * np.std(g))),
)  # fmt: skip
"""No code names any of them; of a leaf that is small, one may yet be true."""
