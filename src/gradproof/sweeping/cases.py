"""The product of a sweep: its cases, and how one is checked."""

__all__ = ["Checks", "Recipe", "product_of", "recipes_of"]

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from inspect import signature
from itertools import product
from threading import Lock
from time import perf_counter
from typing import Any

from gradproof.backend import load, names, unknown
from gradproof.check import check_problem
from gradproof.point import UNIT_ROUNDOFF, take_point
from gradproof.problems import Problem
from gradproof.recast import recast
from gradproof.sources import implementation
from gradproof.sweeping.record import Case, Swept

Recipe = Problem | Callable[..., Problem]
"""A Problem, or what makes one: a function of any of `shape`, `dtype` and `seed`."""

AXES = ("shape", "dtype", "seed")
"""What a recipe may ask for."""


_ONE_AT_A_TIME = Lock()
"""Checks in one process: some of what they ask in float32, torch's default dtype is one for all threads."""


class Checks:
    """Checks cases, by number: what is sent to the workers."""

    def __init__(
        self, recipes: Mapping[str, Recipe], cases: Sequence[Case], options: Mapping[str, Any]
    ) -> None:
        self._recipes = dict(recipes)
        self._cases = list(cases)
        self._options = dict(options)

    def __call__(self, block: Sequence[int]) -> list[dict[str, Any]]:
        """What became of each, as plain data: the same whether it comes from here or from elsewhere."""
        with _ONE_AT_A_TIME:
            return [self.checked(number).to_dict() for number in block]

    def checked(self, number: int) -> Swept:
        """One case; what it raises is kept, and harms no other."""
        case, start = self._cases[number], perf_counter()
        try:
            problem = self._problem(case)
            report = check_problem(problem, seed=case.seed, **self._options)
        except Exception as error:
            said = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
            return Swept(case, None, said, perf_counter() - start, self._fingerprint(case))
        return Swept(case, report, None, perf_counter() - start, fingerprint(problem, self._options))

    def fingerprint(self, number: int) -> str:
        """Of the problem and the options of a case."""
        return self._fingerprint(self._cases[number])

    def _fingerprint(self, case: Case) -> str:
        try:
            return fingerprint(self._problem(case), self._options)
        except Exception as error:
            return f"{type(error).__name__}"

    def _problem(self, case: Case) -> Problem:
        recipe = self._recipes[case.problem]
        problem = recipe if isinstance(recipe, Problem) else recipe(**_asked(recipe, case))
        if not isinstance(problem, Problem):
            raise TypeError(f"{case.problem} made a {type(problem).__name__}; due: a gradproof.Problem")
        if case.backend is None and (case.dtype is None or not isinstance(recipe, Problem)):
            return problem
        dtype = case.dtype if isinstance(recipe, Problem) else None
        home = None if case.backend is None else load(case.backend)
        with home.double_precision() if home else nullcontext():
            params, args = recast(problem.params, problem.args, dtype, home)
        return Problem(problem.name, problem.fun, params, args, **problem.claims())


def recipes_of(problems: Any) -> dict[str, Recipe]:
    """Recipes by name. Raises ValueError for none, or two of one name, TypeError for what is no recipe."""
    if isinstance(problems, Problem) or callable(problems):
        problems = [problems]
    pairs: Iterable[tuple[Any, Any]] = (
        problems.items() if isinstance(problems, Mapping) else ((_name(p), p) for p in problems)
    )
    found: dict[str, Recipe] = {}
    for name, recipe in pairs:
        if not (isinstance(recipe, Problem) or callable(recipe)):
            raise TypeError(
                f"{name} is a {type(recipe).__name__}; due: a Problem, or a function of shape, dtype or seed that makes one"
            )
        if name in found:
            raise ValueError(f"two problems are called {name!r}: give them different names, as in a dict")
        found[str(name)] = recipe
    if not found:
        raise ValueError("problems is empty: nothing would be checked")
    return found


def product_of(
    recipes: Mapping[str, Recipe], backends: Any, dtypes: Any, shapes: Any, seeds: Any
) -> list[Case]:
    """Every case, problem by problem. Raises ValueError for an empty axis, an unknown name, or shapes nobody asks for."""
    axes = {"backends": backends, "dtypes": dtypes, "shapes": shapes, "seeds": seeds}
    chosen = {name: _axis(name, values) for name, values in axes.items()}
    for name in filter(None, chosen["backends"]):
        if name not in names():
            raise ValueError(unknown("backend", name, names()))
    for dtype in filter(None, chosen["dtypes"]):
        if dtype not in UNIT_ROUNDOFF:
            raise ValueError(unknown("dtype", str(dtype), tuple(UNIT_ROUNDOFF)))
    if chosen["shapes"] != [None]:
        _admit_shapes(recipes)
        chosen["shapes"] = [tuple(map(int, shape)) for shape in chosen["shapes"]]
    return [Case(*values) for values in product(recipes, *chosen.values())]


def fingerprint(problem: Problem, options: Mapping[str, Any]) -> str:
    """Of the parameters' numbers, the functions' code and the options. What the functions call is not looked into."""
    digest = hashlib.sha256(repr(sorted(options.items())).encode())
    point = take_point(problem.params, problem.args)
    for path, dtype, leaf in zip(point.paths, point.dtypes, point.leaves, strict=True):
        digest.update(f"{path} {dtype} {leaf.shape}".encode())
        digest.update(leaf.tobytes())
    claims = problem.claims().values()
    for function in (implementation(problem.fun, point.home.name), *claims):
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        digest.update(
            code.co_code + repr([c for c in code.co_consts if not hasattr(c, "co_code")]).encode()
            if code
            else b"?"
        )
    return digest.hexdigest()[:16]


def _asked(recipe: Callable[..., Problem], case: Case) -> dict[str, Any]:
    taken = signature(recipe).parameters
    given = {name: getattr(case, name) for name in AXES if name in taken}
    return {name: value for name, value in given.items() if value is not None}


def _name(recipe: Any) -> str:
    return recipe.name if isinstance(recipe, Problem) else getattr(recipe, "__name__", type(recipe).__name__)


def _axis(name: str, values: Any) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"{name} is a list of values; got {values!r}")
    chosen = list(values)
    if not chosen:
        raise ValueError(f"{name} is empty: nothing would be checked")
    return chosen


def _admit_shapes(recipes: Mapping[str, Recipe]) -> None:
    for name, recipe in recipes.items():
        if isinstance(recipe, Problem) or "shape" not in signature(recipe).parameters:
            raise ValueError(
                f"shapes were given, and {name} does not take one: pass a function of `shape` that makes a Problem"
            )
