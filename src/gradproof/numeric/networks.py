"""The numeric gradient of the reference network's loss, through its structure."""

__all__ = ["network_gradient"]

from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.arrays import is_array
from gradproof.backend import backend_for
from gradproof.network import Network
from gradproof.point import Point
from gradproof.structured import structured_gradient
from gradproof.trees import flatten
from gradproof.verdict import Estimate


def network_gradient(fun: Callable[..., Any], point: Point, step: float, done: Callable[[int], None]) -> Any:
    """Central differences of `fun`, the `loss` of a Network, at `point`: a tree like params of Estimates with infinite bars.

    `done` is told of every parameter. Raises ValueError for another function and other constants than (x, y) or (x, y, lam), and what the loss raises.
    """
    network, args = _network(fun, len(point.args)), [_on_host(arg) for arg in point.args]
    params = point.structure.unflatten(point.leaves)
    network.loss(params, *args)
    slopes = flatten(structured_gradient(network, params, *args, step=step, done=done))[0]
    return point.structure.unflatten([Estimate(slope, np.full(slope.shape, np.inf)) for slope in slopes])


def _network(fun: Callable[..., Any], constants: int) -> Network:
    owner = getattr(fun, "__self__", None)
    if not isinstance(owner, Network) or getattr(fun, "__func__", None) is not Network.loss:
        name = getattr(fun, "__qualname__", type(fun).__name__)
        raise ValueError(
            f"method='structured' knows the loss of a gradproof.Network; got {name}. Pass network.loss itself, with "
            "params and args=(x, y, lam), or choose method='central'"
        )
    if constants not in (2, 3):
        raise ValueError(f"method='structured' takes args=(x, y) or (x, y, lam); got {constants} of them")
    return owner


def _on_host(arg: Any) -> Any:
    return backend_for(arg).to_numpy(arg) if is_array(arg) else arg
