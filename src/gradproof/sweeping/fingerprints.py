"""Whether a case is still the one that a journal knows: a digest of its functions, its numbers and the options."""

__all__ = ["fingerprint"]

import hashlib
from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from inspect import isfunction, ismethod
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from gradproof.arrays import is_array
from gradproof.backend import backend_for
from gradproof.problems import Problem


def fingerprint(name: str, recipe: Problem | Callable[..., Problem], options: Mapping[str, Any]) -> str:
    """Of a Problem or a function that makes one: of all that can be reached from it without calling it.

    That is the code of functions and of what they call in the same files, their defaults, what they close over, the
    constants they read, arrays and plain numbers. What comes from other files counts by its name.
    """
    digest = hashlib.sha256(repr((name, sorted(options.items()))).encode())
    for part in _Reached(recipe):
        digest.update(part)
    return digest.hexdigest()[:16]


class _Reached:
    """Digests of everything that can be reached, each thing once, in an order that is the same in every process."""

    def __init__(self, root: Any) -> None:
        self._left = [root]
        self._seen: dict[int, Any] = {}
        """By id; held, so that no id is given to another thing."""
        self._files = set(map(_module, _functions(root)))
        """Whose functions are looked into."""

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            thing = self._left.pop()
            if id(thing) in self._seen:
                yield b"again"
                continue
            self._seen[id(thing)] = thing
            yield self._of(thing)

    def _of(self, thing: Any) -> bytes:
        if isinstance(thing, Problem):
            claims = thing.claims()
            return self._parts("problem", [thing.fun, thing.params, thing.args, *claims, *claims.values()])
        if isinstance(thing, partial):
            return self._parts("partial", [thing.func, thing.args, thing.keywords])
        if ismethod(thing):
            return self._parts("method", [thing.__func__, thing.__self__])
        if isfunction(thing):
            return self._of_function(thing)
        if is_array(thing):
            return _numbers(thing)
        return self._of_other(thing)

    def _of_other(self, thing: Any) -> bytes:
        if isinstance(thing, Mapping):
            return self._parts("mapping", [x for pair in thing.items() for x in pair])
        if isinstance(thing, tuple | list):
            return self._parts(type(thing).__qualname__, thing)
        if isinstance(thing, Set):
            return repr(sorted(map(repr, thing))).encode()
        if thing is None or isinstance(thing, int | float | complex | str | bytes):
            return repr(thing).encode()
        kind = thing if isinstance(thing, type) else type(thing)
        if isinstance(thing, ModuleType) or kind.__module__ not in self._files:
            return f"{kind.__module__}.{kind.__qualname__} {getattr(thing, '__name__', '')}".encode()
        inside = [x for x in vars(kind).values() if isfunction(x)]
        return self._parts(
            kind.__qualname__,
            [*inside, *getattr(thing, "__dict__", {}).values()] if kind is not thing else inside,
        )

    def _of_function(self, function: Any) -> bytes:
        """One from another file, which an import brought, counts by its name."""
        if function.__module__ not in self._files:
            return f"{function.__module__}.{function.__qualname__}".encode()
        names = sorted(_names(function.__code__) & set(function.__globals__))
        closed = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        parts = [
            function.__defaults__,
            function.__kwdefaults__,
            *closed,
            *(function.__globals__[n] for n in names),
        ]
        return self._parts("function", parts) + _of_code(function.__code__)

    def _parts(self, kind: str, parts: Any) -> bytes:
        self._left += reversed(list(parts))
        return f"{kind} {len(parts)}".encode()


def _functions(root: Any) -> list[Any]:
    if not isinstance(root, Problem):
        return [root]
    forms = list(root.fun.values()) if isinstance(root.fun, Mapping) else [root.fun]
    return [*forms, *root.claims().values()]


def _module(function: Any) -> str:
    while isinstance(function, partial) or ismethod(function):
        function = function.func if isinstance(function, partial) else function.__func__
    return str(function.__module__ if isfunction(function) else type(function).__module__)


def _names(code: CodeType) -> set[str]:
    """That the code, and that of functions inside, reads."""
    inside = (c for c in code.co_consts if isinstance(c, CodeType))
    return set(code.co_names).union(*map(_names, inside))


def _of_code(code: CodeType) -> bytes:
    """Of what it does: its instructions, names and constants, and those of functions inside."""
    constants = [
        _of_code(c)
        if isinstance(c, CodeType)
        else repr(sorted(map(repr, c)) if isinstance(c, frozenset) else c).encode()
        for c in code.co_consts
    ]
    return b"|".join([code.co_code, repr(code.co_names).encode(), *constants])


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # a variable that was not assigned yet
        return False


def _numbers(array: Any) -> bytes:
    on_host = np.ascontiguousarray(backend_for(array).to_numpy(array))
    digest = hashlib.sha256(f"{array.dtype} {on_host.shape}".encode())
    digest.update(on_host.reshape(-1).view(np.uint8).data)
    return digest.digest()
