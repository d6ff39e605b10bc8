"""Whole derivatives, coordinate by coordinate, from function values alone.

`central_difference` is the course's loop: one fixed step, no bar, any namespace. `gradient` and `jacobian` return Estimates.
By default they climb a ladder along every coordinate, 15 to 25 evaluations per parameter; with one fixed step it is two,
many in one call, and for the reference network less than one. `check` does not call them: it probes along random
directions, at a cost that does not depend on the number of parameters.
"""

__all__ = ["central_difference", "gradient", "jacobian"]

from collections.abc import Callable
from math import inf
from typing import Any

from gradproof.arrays import Array, is_floating, namespace
from gradproof.backend import unknown
from gradproof.engine import Workers
from gradproof.numeric.batched import central_differences
from gradproof.numeric.entrywise import Ladders, Slopes, whole
from gradproof.numeric.networks import network_gradient
from gradproof.numeric.rows import OneRow
from gradproof.numeric.sampling import Sampler, sampler_for
from gradproof.numeric.stencils import central
from gradproof.point import Point, take_point
from gradproof.progress import Listener, meter_for


def central_difference(fun: Callable[[Array], Any], theta: Array, step: float = 1e-4) -> Array:
    """Gradient of scalar `fun` at `theta`, shape of theta, by (f(θ + step·e_i) − f(θ − step·e_i)) / (2·step).

    The loop of Ng's Machine Learning course, exercise 4 (computeNumericalGradient), in the namespace, dtype and
    device of `theta`. 2·size evaluations; the error is about step²·|f‴|/6 + u·|f|/step, and nothing says how large.

    Raises ValueError for integer theta, a step that is not positive, or a function that is not scalar.
    """
    xp = namespace(theta)
    if not is_floating(theta):
        raise ValueError(
            f"theta has dtype {theta.dtype}; a step of {step} needs floating point: convert it first"
        )
    if not step > 0:
        raise ValueError(f"step is a positive number; got {step}")
    flat = xp.reshape(theta, (-1,))
    positions = xp.arange(flat.shape[0], device=theta.device)
    rule = central(derivative=1, accuracy=2)

    def along(i: int) -> float:
        def value(x: Array) -> Any:
            return _scalar(fun(xp.reshape(xp.where(positions == i, x, flat), theta.shape)))

        return float(rule(value, flat[i], step))

    slopes = [along(i) for i in range(flat.shape[0])]
    return xp.reshape(xp.asarray(slopes, dtype=theta.dtype, device=theta.device), theta.shape)


def gradient(  # noqa: PLR0913 -- an array, then choices by keyword, each with a default
    fun: Callable[..., Any], params: Any, /, *, args: tuple[Any, ...] = (), method: str = "ladder",
    step: float = 1e-4, vectorized: bool = False, workers: Any = None, progress: bool | Listener = False,
) -> Any:  # fmt: skip
    """Gradient of scalar `fun(params, *args)`: a tree like params, an Estimate of the leaf's shape at each leaf.

    `method` "ladder" finds its own steps and gives bars. The others take the course's one `step`, which does not tell how
    far it is off: their bars are infinite, and NaN stands where the function is not finite. "central" moves many entries
    in one call where the framework can (`torch.func.vmap`; `jax.vmap`, compiled once), or where `fun` is `vectorized`: it
    takes params whose every leaf has an extra leading axis, and returns one value per row. A function that cannot be
    batched, or has other values in a batch, is evaluated entry by entry; the logger gradproof.numeric.batched says why.
    "structured" is for `fun=network.loss` of a gradproof.Network, with args (x, y) or (x, y, lam).

    `workers` share the entries where all of them take over 2 s: a number of processes (-1: one per core), a map-like callable, an
    object with `submit`, a dask Client, or "dask://host:port". The bits are the same for any of them; where many entries are
    moved in one call, to rounding. `progress` draws a bar on standard error once 2 s have passed, or is called with a Progress.

    Raises ValueError if `fun` is not scalar, for an unknown method, a step that is not positive, a function that is said to
    be vectorized and is not, workers for "structured", and for params as `check` does; WorkersLostError if they went away,
    with the tree so far as `known`: NaN with an infinite bar where nothing is known.
    """
    point = _admitted(method, ("ladder", "central", "structured"), step, vectorized, take_point(params, args))
    if method == "structured":
        if workers is not None:
            raise ValueError("method='structured' is computed here, in a few passes: leave workers out")
        with meter_for(progress, "gradient", point.size, "parameters") as meter:
            return network_gradient(fun, point, step, meter.add)
    sampler = _sampler(fun, point, vectorized)
    if sampler.output_shape != ():
        raise ValueError(
            f"fun returned shape {sampler.output_shape}, a gradient needs a scalar; use numeric.jacobian"
        )
    with Workers(workers) as crew, meter_for(progress, "gradient", point.size, "parameters") as meter:
        return whole(_slopes(sampler, method, step, vectorized), sampler, crew, meter)


def jacobian(  # noqa: PLR0913 -- an array, then choices by keyword, each with a default
    fun: Callable[..., Any], params: Any, /, *, args: tuple[Any, ...] = (), method: str = "ladder",
    step: float = 1e-4, vectorized: bool = False, workers: Any = None, progress: bool | Listener = False,
) -> Any:  # fmt: skip
    """Jacobian of `fun(params, *args)`: a tree like params, at each leaf an Estimate of shape output + leaf.

    `method` is "ladder" or "central", `workers` and `progress` are as in `gradient`; a `vectorized` function returns one
    output per row.

    Raises ValueError as `gradient` does.
    """
    point = _admitted(method, ("ladder", "central"), step, vectorized, take_point(params, args))
    sampler = _sampler(fun, point, vectorized)
    with Workers(workers) as crew, meter_for(progress, "jacobian", point.size, "parameters") as meter:
        return whole(_slopes(sampler, method, step, vectorized), sampler, crew, meter)


def _admitted(method: str, known: tuple[str, ...], step: float, vectorized: bool, point: Point) -> Point:
    if method not in known:
        raise ValueError(unknown("method", str(method), known))
    if not 0 < step < inf:
        raise ValueError(f"step is a positive number; got {step}")
    if vectorized and method != "central":
        raise ValueError(
            f"vectorized=True is for method='central'; got method={method!r}: leave one of them out"
        )
    return point


def _sampler(fun: Callable[..., Any], point: Point, vectorized: bool) -> Sampler:
    return sampler_for(OneRow(fun) if vectorized else fun, point)


def _slopes(sampler: Sampler, method: str, step: float, vectorized: bool) -> Slopes:
    if method == "central":
        return central_differences(sampler, step, vectorized=vectorized)
    return Ladders.along_every_entry(sampler)


def _scalar(value: Any) -> Any:
    shape = getattr(value, "shape", ())
    if tuple(shape) != ():
        raise ValueError(
            f"fun returned shape {tuple(shape)}, a gradient needs a scalar; reduce it, or use numeric.jacobian"
        )
    return value
