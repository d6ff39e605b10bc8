"""Some leaves of a Problem alone: the others become constants."""

__all__ = ["only"]

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

from gradproof.arrays import is_array, namespace
from gradproof.problems import Problem
from gradproof.trees import flatten, leaves_by_path

MOST_LEAVES = 20


def only(problem: Problem, globs: Sequence[str]) -> Problem:
    """`problem` in the leaves that match one of `globs` (* and ? are wild); the others are its first constant.

    Raises ValueError for a glob that matches no leaf.
    """
    leaves = leaves_by_path(problem.params)
    matched = [_matching(glob, list(leaves)) for glob in globs]
    chosen = {path for paths in matched for path in paths}
    held = {path: leaf for path, leaf in leaves.items() if path not in chosen}
    if not held:
        return problem
    whole = _Whole(problem.params)
    claims: dict[str, Any] = {name: whole.claim(name, claim) for name, claim in problem.claims().items()}
    fun = problem.fun
    return replace(
        problem,
        fun={name: whole.function(f) for name, f in fun.items()}
        if isinstance(fun, Mapping)
        else whole.function(fun),
        params=_without(problem.params, held),
        args=(held, *problem.args),
        **claims,
    )


def _matching(glob: str, paths: Sequence[str]) -> list[str]:
    wild = re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in glob), re.DOTALL)
    if matched := [path for path in paths if wild.fullmatch(path)]:
        return matched
    more = f" and {len(paths) - MOST_LEAVES} more" if len(paths) > MOST_LEAVES else ""
    raise ValueError(f"no leaf matches {glob!r}; there are: {', '.join(paths[:MOST_LEAVES])}{more}")


def _without(tree: Any, held: Collection[str]) -> Any:
    """`tree` with None, which holds no leaf, in place of the leaves `held`: the paths of the others stay."""
    leaves, structure = flatten(tree)
    return structure.unflatten(
        None if path in held else leaf for path, leaf in zip(structure.paths, leaves, strict=True)
    )


class _Whole:
    """Functions of the whole parameters, as functions of some of them and the rest: f(some, held, *args)."""

    def __init__(self, params: Any) -> None:
        self._structure = flatten(params)[1]

    def _tree(self, some: Any, held: Mapping[str, Any]) -> Any:
        leaves = {**leaves_by_path(some), **held}
        return self._structure.unflatten(leaves[path] for path in self._structure.paths)

    def function(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        """`fun` itself."""

        @wraps(fun)
        def of_some(some: Any, held: Mapping[str, Any], *args: Any) -> Any:
            return fun(self._tree(some, held), *args)

        return of_some

    def claim(self, name: str, claim: Callable[..., Any]) -> Callable[..., Any]:
        """A claim in the form `name`, as one in the same form."""

        def grad(some: Any, held: Mapping[str, Any], *args: Any) -> Any:
            return _without(claim(self._tree(some, held), *args), held)

        def value_and_grad(some: Any, held: Mapping[str, Any], *args: Any) -> Any:
            answer = claim(self._tree(some, held), *args)
            if not (isinstance(answer, tuple | list) and len(answer) == 2):
                return answer  # the check says what is wrong with it
            return answer[0], _without(answer[1], held)

        def vjp(cotangent: Any, some: Any, held: Mapping[str, Any], *args: Any) -> Any:
            return _without(claim(cotangent, self._tree(some, held), *args), held)

        def jvp(tangents: Any, some: Any, held: Mapping[str, Any], *args: Any) -> Any:
            still = {
                path: namespace(leaf).zeros_like(leaf) if is_array(leaf) else leaf
                for path, leaf in held.items()
            }
            return claim(self._tree(tangents, still), self._tree(some, held), *args)

        forms: dict[str, Callable[..., Any]] = {
            "grad": grad,
            "value_and_grad": value_and_grad,
            "vjp": vjp,
            "jvp": jvp,
        }
        return wraps(claim)(forms[name])
