"""A place inside a function where a derivative can be checked: a layer's sums, and the rest of the network from there."""

__all__ = ["Node"]

from collections.abc import Callable
from dataclasses import dataclass

from gradproof.arrays import Array


@dataclass(frozen=True, slots=True)
class Node:
    """An intermediate value of a computation, and what a hand-written backward pass says of it."""

    name: str
    value: Array
    delta: Array
    """Claimed derivative of the result in `value`, of its shape."""
    rest: Callable[[Array], Array]
    """The rest of the computation, from `value` to the scalar result."""
