"""The product of a sweep: its cases, and how one is checked."""

__all__ = ["Checks", "Recipe", "admitted", "product_of", "recipes_of"]

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from inspect import signature
from itertools import product
from operator import index
from threading import RLock
from time import perf_counter
from typing import Any

from gradproof.backend import load, names, unknown
from gradproof.check import check_problem
from gradproof.options import Options
from gradproof.point import UNIT_ROUNDOFF
from gradproof.problems import Problem
from gradproof.recast import recast
from gradproof.sweeping.record import Case, Swept

OPTIONS = ("confidence", "diagnose", "resolution", "sources")
"""Of `check`, that a sweep passes on."""

Recipe = Problem | Callable[..., Problem]
"""A Problem, or what makes one: a function of any of `shape`, `dtype` and `seed`."""

AXES = ("shape", "dtype", "seed")
"""What a recipe may ask for."""


_ONE_AT_A_TIME = RLock()
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
        except (Exception, SystemExit) as error:
            said = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
            return Swept(case, None, said, perf_counter() - start)
        return Swept(case, report, None, perf_counter() - start)

    def crashed(self, number: int, why: str) -> Swept:
        """A case of which the process that checked it did not survive."""
        return Swept(self._cases[number], None, f"the process that checked it was lost: {why}", 0.0)

    def _problem(self, case: Case) -> Problem:
        recipe = self._recipes[case.problem]
        problem = recipe if isinstance(recipe, Problem) else recipe(**_asked(recipe, case))
        if not isinstance(problem, Problem):
            raise TypeError(f"{case.problem} made a {type(problem).__name__}; due: a gradproof.Problem")
        dtype = None if "dtype" in _taken(recipe) else case.dtype
        if case.backend is None and dtype is None:
            return problem
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
    chosen["seeds"] = [index(seed) for seed in chosen["seeds"]]
    return [Case(*values) for values in product(recipes, *chosen.values())]


def admitted(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `check` that all cases share. Raises ValueError for another name, or a value that would be refused."""
    for name in options:
        if name not in OPTIONS:
            raise ValueError(unknown("option of sweep", name, OPTIONS))
    Options((), options.get("resolution"), options.get("confidence", 0.5), 0)
    sources = options.get("sources")
    return {**options, "sources": sources if sources is None or isinstance(sources, str) else tuple(sources)}


def _asked(recipe: Callable[..., Problem], case: Case) -> dict[str, Any]:
    given = {name: getattr(case, name) for name in AXES if name in _taken(recipe)}
    return {name: value for name, value in given.items() if value is not None}


def _taken(recipe: Recipe) -> Collection[str]:
    return () if isinstance(recipe, Problem) else signature(recipe).parameters


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
        if "shape" not in _taken(recipe):
            raise ValueError(
                f"shapes were given, and {name} does not take one: pass a function of `shape` that makes a Problem"
            )
