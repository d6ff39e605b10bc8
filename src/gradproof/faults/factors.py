"""Mistakes that scale a gradient: by a constant, or by the length of an axis."""

__all__ = ["FACTORS"]

from collections.abc import Callable
from math import pi

from gradproof.faults.claims import Moment
from gradproof.faults.fault import (
    Change,
    Fault,
    LeafMistake,
    Mistake,
    all_leaves,
    always,
    in_gradient,
    one_leaf,
)


def _times(factor: float) -> LeafMistake:
    return always(lambda g: factor * g)


def _everywhere(factor: float) -> Mistake:
    return all_leaves(_times(factor))


def _by_size(factor: Callable[[int], float]) -> Mistake:
    """Everything times a function of m, the first axis of the first array among the args."""

    def settled(moment: Moment) -> Change | None:
        batch = next((x.shape[0] for x in moment.constants if x.ndim), 1)
        return _everywhere(factor(batch))(moment) if batch > 1 else None

    return settled


FACTORS = (
    Fault("sign", "the sign is wrong everywhere", ("GP102",), in_gradient(_everywhere(-1.0))),
    # A factor of 2 or 3 may as well be the length of an axis.
    Fault("double", "everything is twice too large", ("GP101", "GP104"), in_gradient(_everywhere(2.0))),
    Fault("half", "everything is half as large as it should be", ("GP101", "GP104"), in_gradient(_everywhere(0.5))),
    Fault("minus-half", "everything is halved, with the wrong sign", ("GP101", "GP102"), in_gradient(_everywhere(-0.5))),
    Fault("triple", "everything is three times too large", ("GP101", "GP104"), in_gradient(_everywhere(3.0))),
    Fault("pi", "everything is too large by a factor π", ("GP101",), in_gradient(_everywhere(pi))),
    Fault("two-percent", "everything is 2 % too large", ("GP101",), in_gradient(_everywhere(1.02))),
    Fault("a-billionth", "everything is too large by 1e-9 of itself", ("GP101",), in_gradient(_everywhere(1.0 + 1e-9))),
    Fault("all-zero", "the gradient is zero everywhere", ("GP106",), in_gradient(_everywhere(0.0))),
    Fault("leaf-doubled", "one leaf is twice too large", ("GP101", "GP104"), in_gradient(one_leaf(_times(2.0)))),
    Fault("leaf-flipped", "one leaf has the wrong sign", ("GP102",), in_gradient(one_leaf(_times(-1.0)))),
    Fault("times-m", "everything is multiplied by m, the number of examples",
          ("GP104", "GP101"), in_gradient(_by_size(lambda m: m))),
    Fault("over-m", "everything is divided by m once too often", ("GP104", "GP101"), in_gradient(_by_size(lambda m: 1 / m))),
    Fault("over-m-twice", "everything is divided by m twice too often",
          ("GP104", "GP101"), in_gradient(_by_size(lambda m: 1 / m**2))),
    Fault("times-m-minus-1", "everything is too small by (m − 1)/m",
          ("GP104", "GP101"), in_gradient(_by_size(lambda m: (m - 1) / m))),
    Fault("over-m-minus-1", "a mean divides by m − 1 in place of m",
          ("GP104", "GP101"), in_gradient(_by_size(lambda m: m / (m - 1)))),
)  # fmt: skip
"""m is the first axis of the first array among the args."""
