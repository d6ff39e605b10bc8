"""A port that was run elsewhere: it gives the runs that were recorded, and no others."""

__all__ = ["RecordedPort", "RecordedRun", "fingerprint"]

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, is_array
from gradproof.porting.port import Call, Module, NotRunnableError, Run
from gradproof.trees import leaves_by_path

SAME_SEEDS = 2.0**-26
"""Seeds that differ by no more ask for the recorded run: the root of float64's unit roundoff, 1e-8. The seeds of another
port's output differ by the rounding of both (measured: 3e-13 after 50 layers of 256 units, summed in another order), those
of another function by more. No verdict depends on it."""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run, and what it was asked with; of inputs and parameters the fingerprint of their numbers is enough."""

    run: Run
    double: bool
    """In float64; else in the dtype that the port has."""
    inputs: str
    parameters: str
    """With buffers."""


@dataclass
class RecordedPort:
    """What `record` keeps of a port, and a `Port` itself: its framework need not be installed."""

    framework: str
    parameters: Mapping[str, HostArray]
    buffers: Mapping[str, HostArray]
    shared: Mapping[str, str]
    modules: Mapping[str, Module]
    has_loss: bool
    differentiates: bool
    inputs: tuple[Any, ...]
    targets: tuple[Any, ...]
    seeds: tuple[HostArray | None, ...] | None
    """Cotangents of the outputs, in every run; None where it has a loss, or gives no gradients."""
    runs: tuple[RecordedRun, ...]
    """Those that a comparison asks for by itself: in float64, and others that show the rounding."""
    watched: bool = True
    """Whether the runs hold nodes."""
    name: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of Python and of the packages that it ran with."""
    path: str = ""
    """The file."""

    def run(self, call: Call, /) -> Run:
        """The recorded run that `call` asks for. Raises NotRunnableError if that is another.

        The gradients were recorded with the cotangents that follow from its own outputs; for others, which another
        function's outputs have, it has none: the run is forward only.
        """
        run = self._found(call)
        if call.forward_only or not (self.has_loss or self._seeded(call.seeds)):
            nodes = tuple(replace(node, cotangent=None) for node in run.nodes)
            run = replace(run, nodes=nodes, gradients=None)
        return run if call.watched else replace(run, nodes=())

    def step(
        self, optimizer: Any, parameters: Mapping[str, HostArray], gradients: Mapping[str, HostArray], /
    ) -> dict[str, HostArray]:
        """Raise NotRunnableError: an optimizer needs its framework."""
        raise NotRunnableError(
            f"{self.path or 'a recorded port'} holds no step of an optimizer: that needs {self.framework} itself"
        )

    def filled(self, leaves: Mapping[str, HostArray], /) -> Any:
        """Raise NotRunnableError: what would be filled was not recorded."""
        raise NotRunnableError(
            f"{self.path or 'a recorded port'} holds arrays and runs, no {self.framework} model that could be filled with"
            f" {len(leaves)} arrays: call filled() of the port itself, where {self.framework} is installed"
        )

    def _found(self, call: Call) -> Run:
        left = [kept for kept in self.runs if kept.double == call.double]
        asked = {"inputs": fingerprint(call.inputs), "parameters": self._parameters(call)}
        other = f"double={call.double}" if not left else "forced nodes" if call.forced else ""
        for what, print_ in asked.items():
            left = [kept for kept in left if getattr(kept, what) == print_]
            other = other or (f"other {what}" if not left else "")
        targeted = bool(call.targets) or not call.forward_only
        if targeted and fingerprint(call.targets) != fingerprint(self.targets):
            other = other or "other targets"
        if not other:
            return left[0].run
        raise NotRunnableError(
            f"{self.path or 'a recorded port'} holds {len(self.runs)} runs of a {self.framework} port, with its own "
            f"parameters on its own inputs; one with {other} needs {self.framework} itself: give the port, not its file"
        )

    def _parameters(self, call: Call) -> str:
        return fingerprint(
            {**self.parameters, **self.buffers} if call.parameters is None else call.parameters
        )

    def _seeded(self, seeds: tuple[HostArray | None, ...] | None) -> bool:
        if self.seeds is None or seeds is None or len(seeds) != len(self.seeds):
            return False
        return all(_near(mine, other) for mine, other in zip(self.seeds, seeds, strict=True))


def fingerprint(tree: Any) -> str:
    """Of the numbers in a tree and of their paths: the same in every dtype that holds them, and for every order of dicts."""
    made = blake2b(digest_size=16)
    for path, leaf in sorted(leaves_by_path(tree).items()):
        made.update(f"{path} {np.shape(leaf) if is_array(leaf) else leaf!r};".encode(errors="surrogatepass"))
        if is_array(leaf):
            number = np.complex128 if np.asarray(leaf).dtype.kind == "c" else np.float64
            # Plus zero: minus zero equals zero.
            made.update(
                np.ascontiguousarray(np.asarray(leaf, dtype=number) + 0.0).reshape(-1).view(np.uint8).data
            )
    return made.hexdigest()


def _near(x: HostArray | None, y: HostArray | None) -> bool:
    if x is None or y is None:
        return x is None and y is None
    return np.shape(x) == np.shape(y) and bool(np.max(np.abs(x - y), initial=0.0) <= SAME_SEEDS)
