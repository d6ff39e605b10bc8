"""Values of a function at points of its lines, evaluated by workers."""

__all__ = ["Evaluation", "Remote"]

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from gradproof.arrays import HostArray
from gradproof.engine import Crashed, Shipped, Workers, WorkersLostError
from gradproof.numeric.line import Line
from gradproof.numeric.probe import Probe
from gradproof.numeric.sampling import Sampler, evaluated
from gradproof.point import Placement

SECONDS_PER_BYTE = 5e-9
"""To send a probe, of two bytes a parameter: 1.5 to 3 ns for a process of this machine, 4 to 5 for a dask cluster."""


class Step(NamedTuple):
    """A probe without what every probe of the point shares, and a step along it."""

    probe: Probe
    shared: bool
    """Whether its sizes are those of the point, and were left out."""
    t: float


class Evaluation:
    """The function of one placement, at points of its lines."""

    def __init__(self, fun: Callable[..., Any], placement: Placement) -> None:
        self._fun = fun
        self._placement = placement

    def __call__(self, step: Step) -> HostArray | str:
        """The outputs, or what was raised."""
        leaves = self._placement.point.leaves
        probe = replace(step.probe, sizes=self._placement.point.sizes) if step.shared else step.probe
        try:
            with np.errstate(all="ignore"):
                return evaluated(self._fun, self._placement, probe.moved(leaves, step.t))
        except Exception as error:
            return f"{type(error).__name__}: {error}"


class Remote:
    """Samples the lines of one Sampler by workers, every step a block: an evaluation for which they are worth it takes 20 ms."""

    def __init__(self, sampler: Sampler, workers: Workers, expected: int) -> None:
        """About so many evaluations are `expected`."""
        self._sampler = sampler
        self._workers = workers
        self._expected = expected

    def __call__(self, wanted: Sequence[tuple[Line, Sequence[float]]]) -> None:
        """Teach every line the values at its steps, unless sending a probe takes longer than evaluating the function."""
        if 2 * self._sampler.point.size * SECONDS_PER_BYTE > self._sampler.each:
            return
        blocks = [(line, t) for line, steps in wanted for t in steps]
        start = perf_counter()
        work, seconds = self._shipped, self._sampler.each * self._expected
        found = dict(self._workers.run(work, [self._step(line, t) for line, t in blocks], seconds))
        self._sampler.seconds += perf_counter() - start
        for number, (line, t) in enumerate(blocks):
            value = found[number]
            if isinstance(value, Crashed):
                raise WorkersLostError(
                    f"a worker did not survive fun at {t:g} times a probe from params: {value.why}"
                )
            line.learn(t, value if isinstance(value, str) else line.keep(value))

    @cached_property
    def _shipped(self) -> Shipped:
        sampler = self._sampler
        parts = {"fun": sampler.fun, "params": sampler.point.leaves, "args": sampler.point.args}
        return Shipped(Evaluation(sampler.fun, sampler.placement), parts)

    def _step(self, line: Line, t: float) -> Step:
        shared = line.probe.sizes is self._sampler.point.sizes
        return Step(replace(line.probe, sizes=()) if shared else line.probe, shared, t)
