"""Modules that show what they take and return, for frameworks on JAX whose modules are trees of Python objects."""

__all__ = ["labelled_class", "path_of", "public_methods", "see_all", "settings", "shown"]

import copy
import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from gradproof_jax_tracing import bind_tap

Opaque = tuple[type, ...]
"""Containers whose arrays are not values on their way."""


def path_of(parts: Iterable[Any]) -> str:
    """Path as `gradproof.trees` writes it: ("layers", 0, "kernel") is "layers[0].kernel"."""
    steps = (f".{part}" if isinstance(part, str) and part.isidentifier() else f"[{part!r}]" for part in parts)
    return "".join(steps).removeprefix(".")


def labelled_class(cls: type[Any], path: str, base: type[Any], opaque: Opaque) -> type[Any]:
    """A class like `cls`, the module at `path`, whose calls and public methods (those below `base`) show arrays.

    The path is part of the class, so it survives whatever takes the object apart and builds it again: `jit`, `vmap`,
    `checkpoint`, `scan`. What a method of `cls` does by `super()` is not seen: it is the same call.
    """
    kind = cls.__name__
    namespace: dict[str, Any] = {
        name: _shown_method(getattr(cls, name), path, name, kind, opaque)
        for name in public_methods(cls, base)
    }
    namespace |= {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    meta: Any = type(cls)
    made: type[Any] = meta(kind, (cls,), namespace)
    return made


QUIET = {"setup", "init_cache", "initialize_carry", "set_attributes", "train", "eval"}
"""Public methods of modules that do not compute."""


def public_methods(cls: type[Any], base: type[Any]) -> Iterator[str]:
    """Methods that the classes below `base` define, and `__call__`."""
    own = [c for c in cls.__mro__ if issubclass(c, base) and c is not base]
    names = {name: value for c in reversed(own) for name, value in vars(c).items()}
    for name, value in names.items():
        of_class = isinstance(value, staticmethod | classmethod | property | type)
        is_method = not of_class and (inspect.isfunction(value) or hasattr(value, "__wrapped__"))
        if name == "__call__" or (is_method and not name.startswith("_") and name not in QUIET):
            yield name


def _shown_method(method: Any, path: str, name: str, kind: str, opaque: Opaque) -> Any:
    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        return shown(functools.partial(method, self), args, kwargs, path, name, kind, opaque)

    return wrapper


def shown(
    fun: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    path: str,
    name: str,
    kind: str,
    opaque: Opaque,
) -> Any:
    """What `fun` returns, seen; of a call (not of another method) its arguments are seen as well."""
    if name == "__call__":
        args, kwargs = _see((args, kwargs), _Place(path, "input", kind, opaque))
        return _see(fun(*args, **kwargs), _Place(path, "output", kind, opaque))
    return _see(fun(*args, **kwargs), _Place(f"{path}.{name}".removeprefix("."), "output", kind, opaque))


def see_all(tree: Any, name: str, role: str, kind: str) -> Any:
    """`tree` with its arrays seen."""
    return _see(tree, _Place(name, role, kind, ()))


@dataclass
class _Place:
    """Where arrays come together; one that is there twice is seen once."""

    name: str
    role: str
    kind: str
    opaque: Opaque
    done: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def see(self, x: Any) -> Any:
        if id(x) not in self.done:
            # The array stays referenced: its id is not given to another.
            self.done[id(x)] = x, bind_tap(x, self.name, role=self.role, kind=self.kind, slot=len(self.done))
        return self.done[id(x)][1]


def _see(x: Any, place: _Place) -> Any:
    """`x` with its arrays seen: an array, or tuples, lists, dicts and dataclasses of them."""
    if isinstance(x, jax.Array | np.ndarray):
        return place.see(x)
    if isinstance(x, tuple | list | dict):
        return _container(x, place)
    is_plain = not isinstance(x, (type, *place.opaque)) and not callable(x)
    return _dataclass(x, place) if is_plain and dataclasses.is_dataclass(x) else x


def _container(x: Any, place: _Place) -> Any:
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(_see(part, place) for part in x))
    if type(x) in (tuple, list):
        return type(x)(_see(part, place) for part in x)
    return {key: _see(part, place) for key, part in x.items()} if type(x) is dict else x


def _dataclass(x: Any, place: _Place) -> Any:
    new = copy.copy(x)  # of its own type, past its constructor
    for one in dataclasses.fields(x):
        object.__setattr__(new, one.name, _see(getattr(x, one.name), place))
    return new


def settings(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers, strings, booleans and tuples of them; functions and dtypes by name."""
    plain = {name: _plain(value) for name, value in attributes.items() if not name.startswith("_")}
    return {name: value for name, value in plain.items() if value is not _NOT}


_NOT = object()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        parts = [_plain(part) for part in value]
        return _NOT if any(part is _NOT for part in parts) else tuple(parts)
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return np.dtype(value).name
    if isinstance(value, type):
        return value.__name__
    if callable(value) and not isinstance(value, jax.Array):
        return _name_of(value)
    return _NOT


def _name_of(function: Any) -> Any:
    if isinstance(function, functools.partial):
        return _name_of(function.func)
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else _NOT
