"""Mistakes of a formula: a term too many or too few, a factor of the parameters or of a constant."""

__all__ = ["TERMS"]

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gradproof.arrays import HostArray
from gradproof.faults.claims import Moment, Scene, scene_of, wrapped
from gradproof.faults.fault import (
    Change,
    Fault,
    LeafChange,
    LeafMistake,
    Mistake,
    all_leaves,
    in_gradient,
    one_leaf,
)
from gradproof.problems import Problem
from gradproof.verdict import Reason

DECAY = 0.1
"""Of a parameter, added to its gradient."""

SHIFT = 0.01
"""Of a leaf's root mean square, added to its entries."""


def _plus(term: LeafChange) -> LeafMistake:
    return lambda _g, _theta: lambda g, theta: g + term(g, theta)


def _decay(_g: HostArray, theta: HostArray) -> HostArray:
    return DECAY * theta


def _rms(g: HostArray) -> float:
    return float(np.sqrt(np.mean(np.square(g))))


def _by_theta(factor: Callable[[HostArray], HostArray], *, zeros: bool = True) -> Mistake:
    """One leaf times a function of its parameter, whose entries may be `zeros` or not."""

    def settled(_g: HostArray, theta: HostArray) -> LeafChange | None:
        return (lambda g, theta: g * factor(theta)) if zeros or theta.all() else None

    return one_leaf(settled)


def _sigmoid_slope(theta: HostArray) -> HostArray:
    root = np.exp(-np.abs(theta) / 2)
    return (root / (1 + root * root)) ** 2


def _by_constant(factor: Callable[[HostArray], HostArray]) -> Mistake:
    """One leaf times a function of the first array among the args whose shape fits it."""

    def settled(moment: Moment) -> Change | None:
        factors = (factor(x) for x in moment.constants if x.ndim and x.dtype.kind in "biuf")
        return next((change for x in factors if (change := one_leaf(_times(x))(moment))), None)

    return settled


def _times(constant: HostArray) -> LeafMistake:
    def settled(g: HostArray, _theta: HostArray) -> LeafChange | None:
        fits = g.shape[max(g.ndim - constant.ndim, 0) :] == constant.shape
        return (lambda g, _theta: g * constant) if fits else None

    return settled


def _padding_filled(g: HostArray, _theta: HostArray) -> LeafChange | None:
    padding = g == 0
    return (lambda g, _theta: np.where(padding, _rms(g), g)) if padding.any() and g.any() else None


def _term_left_out(problem: Problem) -> Problem | None:
    """The first number among the args that the claim depends on is zero for it."""
    scene = scene_of(problem)
    numbers = [i for i, x in enumerate(problem.args) if isinstance(x, float) and x != 0]
    at = next((i for i in numbers if scene and _zero_shows(scene, i)), None)
    if at is None:
        return None
    return wrapped(problem, lambda gradient, params, args: gradient(params, _zeroed(args, at)))


def _zero_shows(scene: Scene, at: int) -> bool:
    try:
        with np.errstate(all="ignore"):
            leaves = scene.again(args=_zeroed(scene.args, at))
    except (ArithmeticError, ValueError):  # it is divided by: there is no such term
        return False
    return all(np.isfinite(leaf).all() for leaf in leaves) and scene.differs(leaves)


def _zeroed(args: tuple[object, ...], at: int) -> tuple[object, ...]:
    return (*args[:at], 0.0, *args[at + 1 :])


_ALL = (
    Fault("decay-surplus", "a tenth of every parameter is added, as by a penalty that the function lacks",
          ("GP121",), in_gradient(all_leaves(_plus(_decay)))),
    Fault("leaf-decayed", "a tenth of the parameter is added in one leaf", ("GP121",), in_gradient(one_leaf(_plus(_decay)))),
    Fault("term-left-out", "one of the constants is zero in the gradient's code, and its term missing",
          ("GP130", "GP121"), _term_left_out),
    Fault("constant-added", "every entry of a leaf is too large by the same amount",
          ("GP127",), in_gradient(one_leaf(_plus(lambda g, _theta: np.full_like(g, SHIFT * _rms(g)))))),
    Fault("padding-filled", "entries that do not move the function have a gradient",
          ("GP107", "GP124"), in_gradient(one_leaf(_padding_filled))),
    # In a leaf of one entry, a factor of the parameter is a number.
    Fault("times-theta", "a leaf is multiplied by its parameter, as if that were a logarithm",
          ("GP122", "GP101"), in_gradient(_by_theta(lambda theta: theta))),
    Fault("over-theta", "a leaf is divided by its parameter", ("GP122", "GP101"),
          in_gradient(_by_theta(lambda theta: 1 / theta, zeros=False))),
    Fault("times-exp", "a leaf is multiplied by exp of its parameter", ("GP122", "GP101"), in_gradient(_by_theta(np.exp))),
    Fault("times-logistic", "a leaf is multiplied by θ·(1 − θ), as if θ came out of a sigmoid",
          ("GP122", "GP101"), in_gradient(_by_theta(lambda theta: theta * (1 - theta)))),
    Fault("times-tanh", "a leaf is multiplied by 1 − θ², as if θ came out of a tanh",
          ("GP122", "GP101"), in_gradient(_by_theta(lambda theta: 1 - theta * theta))),
    Fault("times-sigmoid", "a leaf is multiplied by the sigmoid's derivative at its parameter",
          ("GP122", "GP101"), in_gradient(_by_theta(_sigmoid_slope))),
    Fault("times-constant", "a leaf is multiplied by one of the arrays among the constants",
          ("GP124",), in_gradient(_by_constant(lambda x: x))),
    Fault("masked", "a leaf is zero where one of the constants is below its mean, as by a mask that the function lacks",
          ("GP106", "GP124"), in_gradient(_by_constant(lambda x: x >= x.mean()))),
)  # fmt: skip

# A term that is added, or depends on the parameters alone, does not grow with the cotangent.
_NOT_LINEAR = {"decay-surplus", "leaf-decayed", "constant-added", "padding-filled"}

TERMS = tuple(
    replace(fault, of_vjp=Reason.NOT_LINEAR) if fault.name in _NOT_LINEAR else fault for fault in _ALL
)
"""Each in one leaf, but for the first and the third."""
