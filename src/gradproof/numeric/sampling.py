"""A function at a point, ready to be sampled: evaluated in float64 where it can be, at home otherwise."""

__all__ = ["Sampler", "sampler_for", "to_outputs"]

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, dtype_name, is_array, is_floating
from gradproof.backend import Backend, backend_for
from gradproof.numeric.bundles import Bundles
from gradproof.numeric.line import Ahead, Line
from gradproof.numeric.probe import Probe
from gradproof.point import Placement, Point


@dataclass
class Sampler:
    """Values of one function around one point; counts its evaluations."""

    fun: Callable[..., Any]
    placement: Placement
    value: HostArray
    """At the point itself, float64, shape of the output."""
    spread: HostArray
    """Difference between two values at the point, shape of the output."""
    dtype: str = "float64"
    """Of what it returned."""
    lines: list[Line] = field(default_factory=list)
    complex_calls: int = 0
    """Calls at complex parameters."""
    seconds: float = 0.0
    """Wall time spent in the function along the lines."""
    each: float = 0.0
    """Seconds that a call at the point took."""
    counted: Callable[[int], None] | None = None
    """Told of every evaluation along a line."""
    at_once: Ahead | None = None
    """Evaluates many points at once, where that can be done."""

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs to go on sampling: not who listens here, nor what was sampled already."""
        return {**vars(self), "lines": [], "counted": None, "at_once": None}

    @property
    def point(self) -> Point:
        """Where the function is sampled."""
        return self.placement.point

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the function's output."""
        return self.value.shape

    @property
    def calls(self) -> int:
        """Calls of the function so far, the two at the point included."""
        return 2 + self.complex_calls + sum(line.evaluations for line in self.lines)

    def line(self, probe: Probe, bundles: Bundles | None = None) -> Line:
        """φ along `probe`: every output, or the sums of them that `bundles` makes."""

        def kept(outputs: HostArray) -> HostArray:
            return outputs.reshape(-1) if bundles is None else bundles.of(outputs)

        def evaluate(leaves: Iterable[HostArray]) -> HostArray:
            start = perf_counter()
            value = evaluated(self.fun, self.placement, leaves)
            self.seconds += perf_counter() - start
            return kept(value)

        line = Line(
            evaluate=evaluate,
            leaves=self.point.leaves,
            probe=probe,
            centre=kept(self.value),
            unit_roundoff=self.placement.unit_roundoff,
            spread=self.spread.reshape(-1) if bundles is None else bundles.spread(self.spread),
            keep=kept,
            counted=self.counted,
            at_once=self.at_once,
        )
        self.lines.append(line)
        return line


def sampler_for(fun: Callable[..., Any], point: Point, backend: Backend | None = None) -> Sampler:
    """Sampler of `fun(params, *args)` at `point`, in float64 if `fun` returns float64 when given it.

    `backend` is where it runs; the caller's own if None.

    Raises what `fun` raises at the point itself.
    """
    placement, first, dtype = _precisest(fun, point, backend or point.home)
    start = perf_counter()
    second = evaluated(fun, placement, point.leaves)
    each = perf_counter() - start
    return Sampler(fun, placement, first, _spread(first, second), dtype, each=each)


def _spread(first: HostArray, second: HostArray) -> HostArray:
    """By how much two values at one point differ; infinite for values of two shapes, or if one is not finite."""
    if first.shape != second.shape:
        return np.full(first.shape, np.inf)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0.0, np.nan_to_num(np.abs(first - second), nan=np.inf, posinf=np.inf))


def evaluated(fun: Callable[..., Any], placement: Placement, leaves: Iterable[HostArray]) -> HostArray:
    """`fun` at `leaves` in this placement: a float64 host array of the output's shape."""
    return _evaluated(fun, placement, leaves)[0]


def _evaluated(
    fun: Callable[..., Any], placement: Placement, leaves: Iterable[HostArray]
) -> tuple[HostArray, str]:
    with placement.context():
        return to_outputs(placement.bind(fun)(*placement.arrays(leaves)))


def to_outputs(value: Any, what: str = "fun") -> tuple[HostArray, str]:
    """What a function, called `what` in messages, returned: a float64 host array, and the dtype in which it came.

    Raises TypeError unless it is a real number or one array of real numbers.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return np.asarray(float(value)), "float64"
    if not is_array(value):
        raise TypeError(f"{what} returned a {type(value).__name__}; due: a scalar or one array")
    dtype = dtype_name(value)
    if dtype.startswith("complex"):
        raise TypeError(
            f"{what} returned dtype {dtype}; due: real numbers. Check its real and imaginary parts apart"
        )
    if not is_floating(value) and "int" not in dtype:
        raise TypeError(f"{what} returned dtype {dtype}; due: real numbers")
    return backend_for(value).to_numpy(value).astype(np.float64), dtype


def _precisest(fun: Callable[..., Any], point: Point, backend: Backend) -> tuple[Placement, HostArray, str]:
    """float64 if `fun` runs in it and returns it; else the caller's own precision."""
    double = Placement(point, backend, double=True)
    try:
        value, dtype = _evaluated(fun, double, point.leaves)
    except Exception:
        if point.unit_roundoff == double.unit_roundoff:
            raise  # the parameters are float64 already: this is the function's own error
    else:
        if dtype == "float64":
            return double, value, dtype
    native = Placement(point, backend, double=False)
    return native, *_evaluated(fun, native, point.leaves)
