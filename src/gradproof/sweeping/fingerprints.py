"""Whether a case is still the one that a journal knows: a digest of its functions, its numbers and the options."""

__all__ = ["fingerprint"]

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import getclosurevars, isfunction, ismethod
from types import CodeType
from typing import Any

import numpy as np

from gradproof.arrays import is_array
from gradproof.backend import backend_for
from gradproof.problems import Problem
from gradproof.trees import leaves_by_path


def fingerprint(name: str, recipe: Problem | Callable[..., Problem], options: Mapping[str, Any]) -> str:
    """Of a Problem its arrays and the code of its functions, of a function that makes one its code; of both what is called from there
    in the same file. Nothing is made, so it costs no more for large problems that are yet to be made.
    """
    digest = hashlib.sha256(repr((name, sorted(options.items()))).encode())
    digest.update(_of_problem(recipe) if isinstance(recipe, Problem) else _of_functions([recipe]))
    return digest.hexdigest()[:16]


def _of_problem(problem: Problem) -> bytes:
    functions = problem.fun.values() if isinstance(problem.fun, Mapping) else [problem.fun]
    digest = hashlib.sha256(_of_functions([*functions, *problem.claims().values()]))
    for tree in (problem.params, list(problem.args)):
        for path, leaf in leaves_by_path(tree).items():
            digest.update(path.encode())
            digest.update(_numbers(leaf) if is_array(leaf) else _constant(leaf))
    return digest.digest()


def _numbers(leaf: Any) -> bytes:
    on_host = np.ascontiguousarray(backend_for(leaf).to_numpy(leaf))
    digest = hashlib.sha256(f"{leaf.dtype} {on_host.shape}".encode())
    digest.update(on_host.reshape(-1).view(np.uint8).data)
    return digest.digest()


def _constant(x: Any) -> bytes:
    """As it reads in every process: not with an address, and sets in order."""
    if isinstance(x, tuple | frozenset):
        parts = [_constant(part) for part in x]
        return b",".join(sorted(parts) if isinstance(x, frozenset) else parts)
    plain = x is None or isinstance(x, int | float | complex | str | bytes | type(...))
    return (repr(x) if plain else type(x).__qualname__).encode()


def _of_functions(functions: list[Any]) -> bytes:
    """Of their code, and that of functions in the same files that they call."""
    digest, left, seen = hashlib.sha256(), list(functions), set[int]()
    while left:
        function = _plain(left.pop())
        if id(function) in seen:
            continue
        seen.add(id(function))
        if isfunction(function):
            digest.update(_of_code(function.__code__) + _constant(function.__defaults__))
            left += [called for called in _called(function) if called.__module__ == function.__module__]
        else:
            digest.update(type(function).__qualname__.encode())
    return digest.digest()


def _plain(function: Any) -> Any:
    while isinstance(function, partial) or ismethod(function):
        function = function.func if isinstance(function, partial) else function.__func__
    return function


def _called(function: Any) -> Iterator[Any]:
    variables = getclosurevars(function)
    for x in (*variables.nonlocals.values(), *variables.globals.values()):
        if isfunction(_plain(x)):
            yield _plain(x)


def _of_code(code: CodeType) -> bytes:
    """Of what it does: its instructions, names and constants, and those of functions inside."""
    constants = [_of_code(c) if isinstance(c, CodeType) else _constant(c) for c in code.co_consts]
    return b"|".join([code.co_code, repr(code.co_names).encode(), *constants])
