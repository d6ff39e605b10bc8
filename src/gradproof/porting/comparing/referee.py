"""Finite differences as the referee: whether a port's gradient is that of its own function."""

__all__ = ["Refereed", "referee"]

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from gradproof.arrays import HostArray, in_double
from gradproof.check import check
from gradproof.porting.comparing.sides import Side
from gradproof.report import Report


@dataclass(frozen=True, slots=True)
class Refereed:
    """What numeric says of one port."""

    side: Side
    report: Report


def referee(side: Side, disputed: Collection[str], *, seed: int) -> Refereed:
    """`check` of the port's gradient against its own values, in float64, where it is `disputed` (paths of the port; all if none).

    The disputed parameters are one vector to it: whose gradient is wrong is asked here; where, is known already.
    """
    chosen = [path for path in side.port.parameters if path in disputed] or list(side.port.parameters)
    shapes = [side.all_leaves[path].shape for path in chosen]
    ends = np.cumsum([prod(shape) for shape in shapes])[:-1]

    def leaves(vector: HostArray) -> dict[str, HostArray]:
        parts = zip(chosen, np.split(vector, ends), shapes, strict=True)
        return {**side.all_leaves, **{path: part.reshape(shape) for path, part, shape in parts}}

    def fun(vector: HostArray) -> HostArray:
        return _value(side, leaves(vector))

    def grad(vector: HostArray) -> HostArray:
        gradients = side.run(parameters=leaves(vector), watched=False).gradients or {}
        return _joined(gradients[path] for path in chosen)

    point = _joined(side.all_leaves[path] for path in chosen)
    return Refereed(
        side, check(fun, point, grad=grad, sources=["hand", "numeric"], seed=seed, diagnose=False)
    )


def _joined(arrays: Iterable[HostArray]) -> HostArray:
    return np.concatenate([in_double(x).ravel() for x in arrays])


def _value(side: Side, leaves: Mapping[str, HostArray]) -> HostArray:
    """The loss, or the outputs' product with the seeds."""
    run = side.run(parameters=leaves, watched=False, forward_only=True)
    if run.loss is not None:
        return np.asarray(run.loss)
    seeds = side.seeds or ()
    pairs = zip(run.outputs.values(), seeds, strict=False)
    return np.asarray(sum(float(np.sum(x * seed)) for x, seed in pairs if seed is not None))
