"""The Problems in a module: fun and params, Problems under names, in collections, or returned by problems()."""

__all__ = ["LOOKED_FOR", "find"]

import inspect
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from gradproof.backend import names
from gradproof.cli.targets import Found, Target
from gradproof.problems import Problem

LOOKED_FOR = (
    "fun and params, with args and one of grad, value_and_grad, vjp or jvp; a gradproof.Problem, or a list, tuple or dict of "
    "them, under a name that does not begin with an underscore; a function problems() that returns them"
)

_CLAIMS = ("grad", "value_and_grad", "vjp", "jvp")
MOST_NAMES = 8


def find(module: ModuleType, target: Target) -> list[Found]:
    """What `target` names in its imported module: one thing by name, or all of it; may be empty.

    Raises ValueError for a name that is not there or holds no Problem, and what a function of the module raises.
    """
    if target.name is None:
        return _once(_everything(module, target))
    return _once(_named(module, target, target.name))


def _everything(module: ModuleType, target: Target) -> Iterator[Found]:
    stated = [
        found
        for name, value in vars(module).items()
        if not name.startswith("_")
        for found in _collected(value, target.label(name))
    ]
    if inspect.isfunction(getattr(module, "problems", None)):
        stated += _returned(module.problems, target.label("problems"))
    own = _own(module)
    if own is not None and not any(found.problem.fun is own.fun for found in stated):
        yield Found(target.label("fun"), own)
    yield from stated


def _named(module: ModuleType, target: Target, name: str) -> list[Found]:
    label = target.label(name)
    if name == "fun" and (own := _own(module)) is not None:
        return [Found(label, own)]
    if not hasattr(module, name):
        everything = _once(_everything(module, target))
        chosen = [
            found
            for found in everything
            if name in (found.problem.name, found.label.removeprefix(target.label("")))
        ]
        if chosen:
            return chosen
        raise ValueError(_not_there(name, target, everything))
    value = getattr(module, name)
    found = list(_returned(value, label) if inspect.isfunction(value) else _collected(value, label))
    if not found:
        raise ValueError(f"{label} is a {type(value).__name__} without a Problem; looked for: {LOOKED_FOR}")
    return found


def _once(found: Iterable[Found]) -> list[Found]:
    """Without those that are there under an earlier name too."""
    by_identity = {id(each.problem): each for each in reversed(list(found))}
    return list(reversed(by_identity.values()))


def _own(module: ModuleType) -> Problem | None:
    """The Problem of a module that defines fun and params. Raises ValueError for a fun or args that cannot be one's."""
    there = vars(module)
    if "fun" not in there or "params" not in there:
        return None
    fun = there["fun"]
    if not (callable(fun) or isinstance(fun, Mapping)):
        raise ValueError(
            f"fun is a {type(fun).__name__}; due: a function of the parameters, or one per backend"
        )
    args = there.get("args", ())
    if not isinstance(args, tuple | list):
        raise ValueError(
            f"args is a tuple of constants; got a {type(args).__name__}. For one constant write args = (x,)"
        )
    claims = {name: there[name] for name in _CLAIMS if name in there and not _is_a_frameworks(there[name])}
    return Problem("fun", fun, there["params"], tuple(args), **claims)


def _is_a_frameworks(value: Any) -> bool:
    """Whether it is what `from jax import grad` brings: no claim of this file's."""
    return str(getattr(value, "__module__", "")).split(".")[0] in names()


def _returned(function: Any, label: str) -> list[Found]:
    required = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if required:
        raise ValueError(
            f"{label} is a function of {', '.join(required)}; due: a function without arguments that returns Problems"
        )
    value = function()
    found = list(_collected(value if isinstance(value, Problem | Mapping) else _listed(value), label))
    if not found:
        raise ValueError(f"{label}() returned a {type(value).__name__} without a Problem")
    return found


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, Iterable) else value


def _collected(value: Any, label: str) -> Iterator[Found]:
    if isinstance(value, Problem):
        yield Found(label, value)
        return
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, list | tuple):
        pairs = enumerate(value)
    elif isinstance(value, dict):
        pairs = value.items()
    for key, item in pairs:
        if isinstance(item, Problem):
            yield Found(f"{label}[{key!r}]", item)


def _not_there(name: str, target: Target, found: list[Found]) -> str:
    short = [each.label.removeprefix(target.label("")) for each in found]
    close = get_close_matches(name, [*short, *(each.problem.name for each in found)], n=1)
    hint = f"; did you mean {target.label(close[0])}?" if close else "."
    there = f" There: {', '.join(short[:MOST_NAMES])}" if short else f" Looked for: {LOOKED_FOR}"
    return f"no {name!r} in {target.where}{hint}{there}"
