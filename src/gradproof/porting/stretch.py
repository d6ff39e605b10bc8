"""What lies between nodes: the same inputs in both ports, and what each made of them. What a diagnosis works on."""

__all__ = ["Cause", "Stretch"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

from gradproof.arrays import HostArray


@dataclass(frozen=True)
class Stretch:
    """The way to one node from those before it, in float64, everything read in the reference's order of axes.

    Both ports had the same `inputs` (they were forced to the reference's), so `found` differs from `expected` by what
    is done wrong in this stretch alone.
    """

    key: str
    """The node, as the reference calls it."""
    other: str
    """As the port calls it."""
    role: str
    """ "output" of a module, "input" of one (what plain code between modules made), or "tap"."""
    kind: str
    """Class of the reference's module: "LayerNorm"; "" for a tap, and of an input the module that it is handed to."""
    other_kind: str
    settings: Mapping[str, Any]
    """Of the reference's module."""
    other_settings: Mapping[str, Any]
    inputs: Mapping[str, HostArray]
    """Values of the nodes before, by the reference's key, the nearest first. Of an output: the module's own inputs come first."""
    parameters: Mapping[str, HostArray]
    """Parameters and buffers under the module's path, by the reference's path; empty for an input or a tap."""
    expected: HostArray
    found: HostArray
    bar: float
    """The two differ only by rounding where they differ by no more than this."""
    expected_cotangent: HostArray | None = None
    """Gradient of the loss with respect to the node's value where both had the same cotangents after it; None unless it is
    the backward pass that differs here."""
    found_cotangent: HostArray | None = None
    cotangent_bar: float = nan
    uses: Mapping[str, HostArray] = field(default_factory=dict)
    """Where a parameter's gradient differs: what single linear layers of the reference that use it add to it, as (out, in)."""
    other_inputs: Mapping[str, HostArray] = field(default_factory=dict)
    """Values of nodes inside this stretch that only the port has, by its own key, in its own layout: the query, key and value
    of an attention that is one piece in the reference."""
    other_parameters: Mapping[str, HostArray] = field(default_factory=dict)
    """Parameters and buffers of the port under its module, by its own path, in its own layout. Of an input: those of the
    modules before it that only the port has, the nearest first."""
    again: Callable[[Mapping[str, HostArray]], HostArray] | None = None
    """`found` once more, with some parameters of the port replaced (by the port's path, in its own layout)."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A mistake that explains the whole difference of a stretch, to within its bar."""

    code: str
    """ "GP201"."""
    says: str
    """One sentence with both sides' numbers, without the name of the place: "eps is 1e-05 in torch and 1e-06 in flax"; the
    two are spoken of as {reference} and {port}, which are replaced by their names."""
    correction: str = ""
    """What to change in the port, in code: "epsilon=1e-05"."""
    value: float = nan
    """The port's number, if there is one."""
