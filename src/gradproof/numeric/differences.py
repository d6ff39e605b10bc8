"""Whole derivatives, coordinate by coordinate, from function values alone.

`central_difference` is the course's loop: one fixed step, no bar, any namespace. `gradient` and `jacobian` climb a
ladder along every coordinate and return Estimates. They cost about 15 to 25 evaluations per parameter; `check`
does not call them, it probes along random directions at a cost that does not depend on the number of parameters.
"""

__all__ = ["central_difference", "gradient", "jacobian"]

from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.arrays import Array, HostArray, is_floating, namespace
from gradproof.numeric.climb import climb
from gradproof.numeric.probe import coordinate_probe
from gradproof.numeric.sampling import Sampler, sampler_for
from gradproof.numeric.stencils import central
from gradproof.point import take_point
from gradproof.verdict import Estimate


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


def gradient(fun: Callable[..., Any], params: Any, /, *, args: tuple[Any, ...] = ()) -> Any:
    """Gradient of scalar `fun(params, *args)`: a tree like params, an Estimate of the leaf's shape at each leaf.

    Raises ValueError if `fun` is not scalar, and for params as `check` does.
    """
    sampler = sampler_for(fun, take_point(params, args))
    if sampler.output_shape != ():
        raise ValueError(
            f"fun returned shape {sampler.output_shape}, a gradient needs a scalar; use numeric.jacobian"
        )
    return _derivative(sampler)


def jacobian(fun: Callable[..., Any], params: Any, /, *, args: tuple[Any, ...] = ()) -> Any:
    """Jacobian of `fun(params, *args)`: a tree like params, at each leaf an Estimate of shape output + leaf.

    Raises ValueError for params as `check` does.
    """
    return _derivative(sampler_for(fun, take_point(params, args)))


def _derivative(sampler: Sampler) -> Any:
    point = sampler.point
    return point.structure.unflatten([_leaf_derivative(sampler, i) for i in range(len(point.leaves))])


def _leaf_derivative(sampler: Sampler, leaf: int) -> Estimate:
    shape = sampler.point.leaves[leaf].shape
    columns = [_coordinate(sampler, leaf, index) for index in np.ndindex(*shape)]

    def assemble(parts: list[HostArray]) -> HostArray:
        return np.stack(parts, axis=-1).reshape(sampler.output_shape + shape)

    return Estimate(assemble([c.value for c in columns]), assemble([c.bar for c in columns]))


def _coordinate(sampler: Sampler, leaf: int, index: tuple[int, ...]) -> Estimate:
    probe = coordinate_probe(sampler.point, leaf, index)
    slope = climb(sampler.line(probe))
    size = float(sampler.point.sizes[leaf][index])
    return Estimate(slope.value / size, slope.bar / size)


def _scalar(value: Any) -> Any:
    shape = getattr(value, "shape", ())
    if tuple(shape) != ():
        raise ValueError(
            f"fun returned shape {tuple(shape)}, a gradient needs a scalar; reduce it, or use numeric.jacobian"
        )
    return value
