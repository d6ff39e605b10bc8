"""A PortProblem: the same function in several frameworks, at one point; what `gradproof port` looks for in a file."""

__all__ = ["PortProblem"]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradproof.porting.port import Port


@dataclass(frozen=True)
class PortProblem:
    """What `compare` takes, under a name. Exactly its arguments."""

    ports: Mapping[str, Port]
    inputs: tuple[Any, ...] | Mapping[str, tuple[Any, ...]]
    """For all ports, or by name of the port where each takes its own."""
    targets: tuple[Any, ...] | Mapping[str, tuple[Any, ...]] = ()
    """What the ports' losses take beside the output; the same."""
    reference: str | None = None
    """Name of the port that the others are compared with; None: the first."""
    layout: Any = None
    """Where the parameters of a port come from, where it is not to be found out."""
    optimizers: Mapping[str, Any] | None = None
    """By name of the port, in its framework: one step of each is compared too."""
    ignore: tuple[str, ...] = ()
    """Stages that are not judged: "buffer", "parameter", "precision", "step"."""
    name: str = ""
