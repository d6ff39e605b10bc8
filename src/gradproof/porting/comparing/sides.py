"""One port in a comparison: its runs, and what rounding did to each array of them."""

__all__ = ["Side"]

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, in_double
from gradproof.point import UNIT_ROUNDOFF
from gradproof.porting.comparing.bars import DOUBLE, Rounded, Samples, typical
from gradproof.porting.comparing.picks import (
    buffer_of,
    cotangent_of,
    gradient_of,
    output_of,
    picked,
    value_of,
)
from gradproof.porting.port import Call, NotRunnableError, Port, Run
from gradproof.progress import Meter
from gradproof.trees import flatten

PERTURBED = 2.0**-24
"""Relative change of parameters and inputs of a port that is in float64 by itself, so that its rounding can be known all the same."""

AUTOMATIC = ("torch", "jax", "flax", "equinox")
"""Frameworks that know every cotangent. A backward pass that is written by hand knows those it tells."""

UNITS = 2.0**-50
"""Relative change after which every rounding on the way is another one: 2 to 4 units in the last place."""

NUDGED = 2.0**-24
"""Relative change that shows a lower precision inside: a second difference over it is 2⁻⁴⁸ of a smooth value, but the last
digit of float32 wherever something is rounded to it. (At 2⁻²⁶ only every fourth number changes its rounding: what most entries
do is chance then.)"""


@dataclass
class Side:
    """A port, the inputs it is run on, the values its parameters have, and every run once."""

    name: str
    port: Port
    inputs: tuple[Any, ...]
    targets: tuple[Any, ...]
    leaves: Mapping[str, HostArray] | None = None
    """Parameters and buffers it runs with; None for its own."""
    seeds: tuple[HostArray | None, ...] | None = None
    runs: int = 0
    seconds: float = 0.0
    meter: Meter | None = None

    def run(self, **changed: Any) -> Run:
        """A run in float64, or as `changed` says. Raises what the port raises."""
        return self.ask(
            replace(Call(self.inputs, self.targets, parameters=self.leaves, seeds=self.seeds), **changed)
        )

    def ask(self, call: Call) -> Run:
        """Any run of the port; it counts."""
        started = time.perf_counter()
        try:
            return self.port.run(call)
        except NotRunnableError:
            raise
        except Exception as error:
            precision = "float64" if call.double else self.dtype
            error.add_note(f"raised by the port {self.name!r}, run in {precision}")
            raise
        finally:
            self.runs += 1
            if self.meter is not None:
                self.meter.add()
            self.seconds += time.perf_counter() - started

    @property
    def counted(self) -> Port:
        """The port, all of whose runs count here, and have the targets."""
        return _Counted(self)

    @cached_property
    def first(self) -> Run:
        """Forward only, in float64: what the outputs are."""
        return self.run(forward_only=True, seeds=None)

    @cached_property
    def double(self) -> Run:
        """In float64, with gradients where the port gives some. `seeds` have to be there before."""
        return self.run()

    @cached_property
    def own(self) -> Run | None:
        """In its own dtype; for a port in float64 with parameters that were perturbed; None if it was recorded without."""
        try:
            if self.roundoff > DOUBLE:
                return self.run(double=False)
            return self.run(**self._perturbed(PERTURBED))
        except NotRunnableError:
            return None

    def take(self, leaves: Mapping[str, HostArray]) -> None:
        """From now on it runs with these parameters and buffers."""
        self.leaves = leaves
        self.__dict__.pop("all_leaves", None)

    @property
    def dtype(self) -> str:
        """Of its parameters and buffers: the coarsest of them; where there are none, of its outputs."""
        leaves = {**self.port.parameters, **self.port.buffers}.values()
        dtypes = {str(leaf.dtype) for leaf in leaves} or self._output_dtypes
        coarsest = max(dtypes & set(UNIT_ROUNDOFF), key=lambda dtype: UNIT_ROUNDOFF[dtype], default="float64")
        return "bfloat16" if coarsest == "float32" and self._is_brain_float else coarsest

    @cached_property
    def _output_dtypes(self) -> set[str]:
        """In the framework's names, of its run in its own dtype."""
        try:
            return set(self.run(double=False, forward_only=True, watched=False).dtypes.values())
        except NotRunnableError:
            return set()

    @cached_property
    def _is_brain_float(self) -> bool:
        """Whether parameters that came as float32 are bfloat16, which NumPy has not: all are such numbers, and it returns such."""
        leaves = [np.asarray(x, dtype=np.float32) for x in self.port.parameters.values()]
        if any(np.any(leaf.view(np.uint32) & np.uint32(0xFFFF)) for leaf in leaves):
            return False
        return "bfloat16" in self._output_dtypes

    @property
    def roundoff(self) -> float:
        """Of its own arithmetic."""
        return UNIT_ROUNDOFF[self.dtype]

    @cached_property
    def in_own_dtype(self) -> Run | None:
        """In its own dtype, whichever that is."""
        if self.roundoff > DOUBLE:
            return self.own
        try:
            return self.run(double=False)
        except NotRunnableError:
            return None

    @property
    def error_roundoff(self) -> float:
        """By what the errors of `own` have to be scaled down."""
        return self.roundoff if self.roundoff > DOUBLE else PERTURBED

    @property
    def given_leaves(self) -> dict[str, HostArray]:
        """Parameters and buffers that it came with, in float64."""
        return {path: in_double(x) for path, x in {**self.port.parameters, **self.port.buffers}.items()}

    @cached_property
    def all_leaves(self) -> dict[str, HostArray]:
        """Parameters and buffers that it runs with, in float64."""
        leaves = {**self.port.parameters, **self.port.buffers} if self.leaves is None else self.leaves
        return {path: in_double(leaf) for path, leaf in leaves.items()}

    @cached_property
    def redrawn(self) -> tuple[Run, Run] | None:
        """In float64, a few units in the last place to either side of the point; None if it was recorded without."""
        return self._on_both_sides(UNITS)

    @cached_property
    def moved(self) -> tuple[Run, Run] | None:
        """In float64, a little on either side of the point; None if it was recorded without."""
        return self._on_both_sides(NUDGED)

    @cached_property
    def moved_further(self) -> tuple[Run, Run] | None:
        """Twice as far."""
        return self._on_both_sides(2 * NUDGED)

    def _on_both_sides(self, by: float) -> tuple[Run, Run] | None:
        try:
            return self.run(**self._perturbed(by)), self.run(**self._perturbed(-by))
        except NotRunnableError:
            return None

    def _perturbed(self, by: float) -> dict[str, Any]:
        """Parameters and inputs, each entry moved by this share of itself, up or down; the same ones every time."""
        rng = np.random.default_rng(0)

        def move(leaf: Any) -> Any:
            if not isinstance(leaf, np.ndarray) or leaf.dtype.kind != "f":
                return leaf
            return in_double(leaf) * (1 + by * rng.choice([-1.0, 1.0], leaf.shape))

        leaves, structure = flatten(list(self.inputs))
        parameters = {path: move(leaf) for path, leaf in self.all_leaves.items()}
        return {
            "parameters": parameters,
            "inputs": tuple(structure.unflatten([move(leaf) for leaf in leaves])) if leaves else self.inputs,
        }

    def rounded(self, pick: Callable[[Run], HostArray | None]) -> Rounded:
        """An array of the float64 run, with what the other runs say of its rounding."""
        double = pick(self.double)
        if double is None:
            raise ValueError(f"the port {self.name!r} has no such array in its run in float64")
        samples = Samples(
            own=None if self.own is None else pick(self.own),
            roundoff=self.error_roundoff,
            redrawn=picked(self.redrawn, pick),
            moved=picked(self.moved, pick),
            further=lambda: picked(self.moved_further, pick),
        )
        return Rounded.of(double, samples)

    def gradient(self, path: str) -> Rounded:
        """Of a parameter, by the port's own path."""
        found = self.rounded(partial(gradient_of, path=path))
        terms = self._terms(path, found.value.size)
        return found.beside(terms)

    def _terms(self, path: str, size: int) -> float:
        """Size of the sums that a gradient is: cotangents times values, at the parameter's module, or anywhere if it has none."""
        seen = [node for node in self.double.nodes if node.cotangent is not None]
        own = [node for node in seen if node.name and path.startswith((f"{node.name}.", f"{node.name}["))]
        deepest = max((len(node.name) for node in own), default=0)
        nodes = [node for node in own if len(node.name) == deepest] or seen
        if not nodes or not size:
            return 0.0
        back = max(
            typical(in_double(node.cotangent)) * node.value.size
            for node in nodes
            if node.cotangent is not None
        )
        return back / size * max(typical(in_double(node.value)) for node in nodes)

    def buffer(self, path: str) -> Rounded:
        """What is not trained, after the run."""
        return self.rounded(partial(buffer_of, path=path))

    @cached_property
    def outputs(self) -> dict[str, Rounded]:
        """By path."""
        return {path: self.rounded(partial(output_of, path=path)) for path in self.double.outputs}

    @cached_property
    def values(self) -> dict[str, Rounded]:
        """Of the nodes, by key."""
        found = {node.key: self.rounded(partial(value_of, key=node.key)) for node in self.double.nodes}
        return _with_cancelling(found)

    @cached_property
    def cotangents(self) -> dict[str, Rounded]:
        """Of the nodes that have one, by key. Where a framework has none the loss does not depend on the value: zero."""
        told = {
            node.key: self.rounded(partial(cotangent_of, key=node.key))
            for node in self.double.nodes
            if node.cotangent is not None
        }
        if self.double.gradients is None or self.port.framework not in AUTOMATIC:
            return dict(reversed(_with_cancelling(dict(reversed(told.items()))).items()))
        zero = {node.key: Rounded(np.zeros(node.value.shape)) for node in self.double.nodes}
        every = {**zero, **told}
        backwards = {node.key: every[node.key] for node in reversed(self.double.nodes)}
        return dict(reversed(_with_cancelling(backwards).items()))


def _with_cancelling(found: dict[str, Rounded]) -> dict[str, Rounded]:
    """Values in the order of their computation: one that is nothing beside the one before is what that leaves when it cancels.

    1 + tanh(x) far below zero is the same wrong digits in every run of one dtype: no perturbation shows it, another dtype does.
    """
    before = 0.0
    judged = {}
    for key, rounded in found.items():
        size = typical(rounded.value)
        judged[key] = rounded.beside(before)
        before = max(before, size)
    return judged


class _Counted:
    """A port that is asked through its Side."""

    def __init__(self, side: Side) -> None:
        self._side = side

    def __getattr__(self, name: str) -> Any:
        return getattr(self._side.port, name)

    def run(self, call: Call, /) -> Run:
        """As the port does."""
        return self._side.ask(replace(call, targets=self._side.targets))
