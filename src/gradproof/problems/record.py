"""A Problem: one function at one point, with its claim and, where it is known, its derivative.

It is the one record that `check_problem`, faults, the course, benchmarks and the command line take.
"""

__all__ = ["Function", "Problem"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """What `check` takes, under a name. Exactly the keywords of `check`; a claim is optional."""

    name: str
    fun: Function | Mapping[str, Function]
    params: Any
    args: tuple[Any, ...] = ()
    grad: Function | None = None
    value_and_grad: Function | None = None
    vjp: Function | None = None
    jvp: Function | None = None

    def claims(self) -> dict[str, Function]:
        """The claim as keywords of `check`."""
        given = {name: getattr(self, name) for name in ("grad", "value_and_grad", "vjp", "jvp")}
        return {name: function for name, function in given.items() if function is not None}
