"""Blind spots of the constants: found by asking the claim again with another constant in one place."""

__all__ = ["constant_spots"]

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, dtype_name, is_array
from gradproof.backend import Backend
from gradproof.faults.claims import Scene, on_host
from gradproof.problems import Problem
from gradproof.proving.record import BlindSpot
from gradproof.trees import ROOT, flatten


def constant_spots(problem: Problem, scene: Scene) -> Iterator[BlindSpot]:
    """What the constants hide: numbers that are zero, arrays of nothing but ones or zeros, a batch of one."""
    for number, arg in enumerate(scene.args):
        leaves, structure = flatten(arg)
        for at, (path, leaf) in enumerate(zip(structure.paths, leaves, strict=True)):
            where = _where(problem, number) + _step(path)
            for other, says, suggestion in _alternatives(leaf, scene.home):
                changed = structure.unflatten([*leaves[:at], other, *leaves[at + 1 :]])
                if _matters(scene, (*scene.args[:number], changed, *scene.args[number + 1 :])):
                    yield BlindSpot(where, says, suggestion)
    yield from _single_row(problem, scene)


def _alternatives(constant: Any, home: Backend) -> Iterator[tuple[Any, str, str]]:
    """What may stand in place of a constant that hides something, what it hides, and what to try."""
    number = isinstance(constant, int | float) and not isinstance(constant, bool)
    host = np.asarray(constant) if number else on_host(constant) if is_array(constant) else np.empty(0)
    if not host.size or host.dtype.kind not in "biuf" or host.flat[0] not in (0, 1) or np.ptp(host * 1):
        return
    if host.ndim:
        other = home.from_numpy(_half_flipped(host), dtype=dtype_name(constant))
        says = f"all of its entries are {int(host.flat[0])}, so that a mistake in how it is used cannot show"
        yield other, says, "try one of zeros and ones"
    elif host == 0:
        # 1.0 and not 1: where 0 is an axis or an index, a float raises, and nothing is hidden.
        other = 1.0 if number else home.from_numpy(np.ones(()), dtype=dtype_name(constant))
        yield other, "it is 0, so that a wrong or missing term that it multiplies cannot show", "try 1"


def _half_flipped(host: HostArray) -> HostArray:
    """Zeros for ones and ones for zeros, in every second entry."""
    new = host.copy()
    flat = new.reshape(-1)
    flat[::2] = 1 - flat[::2].astype(np.int8)
    return new


def _matters(scene: Scene, args: tuple[Any, ...]) -> bool:
    """Whether the claim has another gradient with these `args`."""
    leaves = _asked(scene, args)
    return leaves is not None and scene.differs(leaves)


def _asked(scene: Scene, args: tuple[Any, ...]) -> list[HostArray] | None:
    """Leaves of the claim with these `args`; None where it has no finite ones of the right shapes."""
    try:
        with np.errstate(all="ignore"):
            leaves = scene.again(args=args)
    except Exception:  # the claim need not be defined for constants of our choice
        return None
    shapes = [leaf.shape for leaf in leaves]
    fits = shapes == [leaf.shape for leaf in scene.moment.gradient]
    return leaves if fits and all(np.isfinite(leaf).all() for leaf in leaves) else None


def _single_row(problem: Problem, scene: Scene) -> Iterator[BlindSpot]:
    """A batch of one example: arrays whose first axis can be made twice as long."""
    arrays = {i: x for i, x in enumerate(scene.args) if is_array(x) and x.ndim}
    first = next(iter(arrays), None)
    if first is None or arrays[first].shape[0] != 1:
        return
    twice = {i: _repeated(x, scene.home) for i, x in arrays.items() if x.shape[0] == 1}
    if _asked(scene, tuple(twice.get(i, x) for i, x in enumerate(scene.args))) is not None:
        yield BlindSpot(
            _where(problem, first),
            "it holds one example, so that a mean in place of a sum cannot show",
            "try several",
        )


def _repeated(constant: Any, home: Backend) -> Any:
    return home.from_numpy(np.repeat(on_host(constant), 2, axis=0), dtype=dtype_name(constant))


def _where(problem: Problem, number: int) -> str:
    """ "args[2] (lam)"; without the name where the claim and the function do not give one."""
    claim: Any = problem.grad or problem.value_and_grad or problem.vjp
    fun = None if isinstance(problem.fun, Mapping) else problem.fun
    name = _name(claim, number + (2 if problem.vjp else 1)) or (fun and _name(fun, number + 1))
    return f"args[{number}] ({name})" if name else f"args[{number}]"


def _step(path: str) -> str:
    """`path` as it follows the name of the tree it is in."""
    return "" if path == ROOT else path if path.startswith("[") else f".{path}"


def _name(function: Callable[..., Any], position: int) -> str:
    """Name of the parameter of `function` at `position`."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # written in another language
        return ""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [p.name for p in parameters if p.kind in kinds]
    return positional[position] if position < len(positional) else ""
