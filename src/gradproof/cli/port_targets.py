"""The PortProblems in a module: PortProblems under names or returned by a function, or a dict of ports beside `inputs`."""

__all__ = ["LOOKED_FOR", "FoundPorts", "find_ports"]

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from gradproof.cli.targets import Target
from gradproof.porting.problem import PortProblem

LOOKED_FOR = (
    "a gradproof.PortProblem (or a list, tuple or dict of them) under a name that does not begin with an underscore, or "
    "ports = {'torch': torch_port(…), …} beside inputs = (…,), and targets where there are any"
)

MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class FoundPorts:
    """A PortProblem, and the target that names it alone: "net.py::gpt"."""

    label: str
    problem: PortProblem


def find_ports(module: ModuleType, target: Target) -> list[FoundPorts]:
    """What `target` names in its imported module: one thing by name, or all of it; may be empty.

    Raises ValueError for a name that is not there or holds no ports, and what a function of the module raises.
    """
    if target.name is None:
        return _once(_everything(module, target))
    return _once(_named(module, target, target.name))


def _everything(module: ModuleType, target: Target) -> Iterator[FoundPorts]:
    public = [(name, value) for name, value in vars(module).items() if not name.startswith("_")]
    yield from (found for name, value in public for found in _collected(value, target.label(name)))
    if _are_ports(vars(module).get("ports")) and "inputs" in vars(module):
        yield _beside(module, "ports", target.label("ports"))


def _named(module: ModuleType, target: Target, name: str) -> list[FoundPorts]:
    label, value = target.label(name), getattr(module, name, None)
    if value is None:
        raise ValueError(_not_there(name, target, _once(_everything(module, target))))
    if inspect.isfunction(value):
        value = _called(value, label)
        label = f"{label}()"
    if _are_ports(value):
        return [_beside(module, name, label, value)]
    if found := list(_collected(value, label)):
        return found
    raise ValueError(f"{label} is a {type(value).__name__} without ports; looked for: {LOOKED_FOR}")


def _called(function: Any, label: str) -> Any:
    required = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if required:
        raise ValueError(
            f"{label} is a function of {', '.join(required)}; due: a function without arguments that returns a PortProblem"
        )
    return function()


def _beside(module: ModuleType, name: str, label: str, ports: Any = None) -> FoundPorts:
    """Ports, with the inputs and targets that stand in the same module."""
    there = vars(module)
    if "inputs" not in there:
        raise ValueError(f"{label} has ports, and its module no inputs: write inputs = (…,) beside it")
    chosen = there[name] if ports is None else ports
    return FoundPorts(label, PortProblem(chosen, there["inputs"], there.get("targets", ()), name=name))


def _collected(value: Any, label: str) -> Iterator[FoundPorts]:
    if isinstance(value, PortProblem):
        yield FoundPorts(label, value)
        return
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, list | tuple):
        pairs = enumerate(value)
    elif isinstance(value, dict):
        pairs = value.items()
    for key, item in pairs:
        if isinstance(item, PortProblem):
            yield FoundPorts(f"{label}[{key!r}]", item)


def _are_ports(value: Any) -> bool:
    """Whether it is a mapping of ports; of one it is told by what it can be asked for."""
    asked = ("framework", "parameters", "run", "step")
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(
            not isinstance(port, type) and all(hasattr(port, name) for name in asked)
            for port in value.values()
        )
    )


def _once(found: Iterable[FoundPorts]) -> list[FoundPorts]:
    """Without those that are there under an earlier name too."""
    by_identity = {id(each.problem): each for each in reversed(list(found))}
    return list(reversed(by_identity.values()))


def _not_there(name: str, target: Target, found: list[FoundPorts]) -> str:
    short = [each.label.removeprefix(target.label("")) for each in found]
    close = get_close_matches(name, short, n=1)
    hint = f"; did you mean {target.label(close[0])}?" if close else "."
    there = f" There: {', '.join(short[:MOST_NAMES])}" if short else f" Looked for: {LOOKED_FOR}"
    return f"no {name!r} in {target.where}{hint}{there}"
