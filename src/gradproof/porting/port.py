"""What a port is asked for, and what it answers: everything on the host, whatever its framework."""

__all__ = ["Call", "Forced", "Module", "NotRunnableError", "Port", "Run", "Seen", "checked_leaves"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from gradproof.arrays import HostArray, dtype_name, is_array
from gradproof.backend import backend_for, unknown


class NotRunnableError(RuntimeError):
    """A port that was recorded into a file was asked for a run that the file does not hold."""


@dataclass(frozen=True, slots=True)
class Module:
    """A layer: what it is called in its framework, and how it is set."""

    kind: str
    """Name of its class: "LayerNorm"."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Its numbers, strings and booleans: {"eps": 1e-05, "training": False}."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A value on its way through a port, and the gradient of the loss with respect to it."""

    name: str
    """Path of the module ("layers[0].attention"), or name of the tap."""
    role: str
    """ "input" (handed to the module), "output" (of the module) or "tap"."""
    kind: str
    """Class of the module; "" for a tap."""
    key: str
    """Unique in a run: "ln", "ln#2" (second call), "lstm[1]" (second array of it), "ln input"."""
    value: HostArray
    dtype: str
    """The framework's own name of it: "bfloat16", whose `value` is float32."""
    cotangent: HostArray | None = None
    """None where nothing was differentiated, or the loss does not depend on it."""


@dataclass(frozen=True, slots=True)
class Forced:
    """What a node hands on in place of its own value, and the cotangent that its own value gets in place of its own.

    With every node forced to what another port computed there, each stretch between two nodes works on the same
    inputs in both ports, forward and backward: what still differs was done wrong in this very stretch.
    """

    value: HostArray
    cotangent: HostArray | None = None


@dataclass(frozen=True)
class Call:
    """A run that a port is asked for."""

    inputs: tuple[Any, ...]
    """Arrays on the host, or trees of them."""
    targets: tuple[Any, ...] = ()
    """What the port's loss takes beside the output."""
    double: bool = True
    """In float64; else in the dtype the port has. Integers stay as they are."""
    parameters: Mapping[str, HostArray] | None = None
    """In place of the port's own, by path, all of them; parameters and buffers alike."""
    seeds: tuple[HostArray | None, ...] | None = None
    """Cotangent of every output (None: zero) where the port has no loss of its own; None runs forward only, unless it has one."""
    forward_only: bool = False
    """No gradients, even if the port has a loss."""
    forced: Mapping[str, Forced] = field(default_factory=dict)
    """By `Seen.key`. A node that is forced is seen with its own value; its `cotangent` is that of what it handed on."""
    watched: bool = True
    """Whether nodes are looked at."""


@dataclass(frozen=True)
class Run:
    """What a port did in one run."""

    outputs: Mapping[str, HostArray]
    """By path in the tree that the port returned; "(output)" if that is one array."""
    dtypes: Mapping[str, str]
    """Of the outputs, in the framework's names."""
    loss: float | None
    """Where the port has a loss of its own."""
    nodes: tuple[Seen, ...] = ()
    """In the order in which they were computed."""
    gradients: Mapping[str, HostArray] | None = None
    """Of the loss (or of the outputs' product with the seeds) with respect to every parameter that is trained."""
    buffers: Mapping[str, HostArray] = field(default_factory=dict)
    """What is not trained, after the run: running statistics."""

    @property
    def by_key(self) -> dict[str, Seen]:
        """Nodes by key."""
        return {node.key: node for node in self.nodes}


class Port(Protocol):
    """One implementation of a function in one framework. It is never changed by a run."""

    @property
    def framework(self) -> str:
        """ "torch", "flax", "equinox", "jax", "numpy"."""

    @property
    def parameters(self) -> Mapping[str, HostArray]:
        """What is trained, by path: exact copies in the port's own dtype (bfloat16 as float32). A shared array has one path."""

    @property
    def buffers(self) -> Mapping[str, HostArray]:
        """What is not trained: running statistics."""

    @property
    def shared(self) -> Mapping[str, str]:
        """Other paths of parameters that are shared: {"head.weight": "embedding.weight"}."""

    @property
    def modules(self) -> Mapping[str, Module]:
        """By path; "" is the whole."""

    @property
    def has_loss(self) -> bool:
        """Whether a run gives a loss."""

    @property
    def differentiates(self) -> bool:
        """Whether a run can give gradients."""

    def run(self, call: Call, /) -> Run:
        """Run it. Raises what the port raises; NotRunnableError if it was recorded."""

    def step(
        self, optimizer: Any, parameters: Mapping[str, HostArray], gradients: Mapping[str, HostArray], /
    ) -> dict[str, HostArray]:
        """Parameters after one step of an optimizer of the port's framework, in float64."""

    def filled(self, leaves: Mapping[str, HostArray], /) -> Any:
        """What the port is of, anew, with these parameters and buffers, by path; those not given stay.

        A module of PyTorch, a model of NNX, variables of linen, a model (or a pair of model and state) of Equinox, the
        parameters of a function: an object of its own, and the caller's never changes. Values are cast to the dtype of
        the leaf, and what is shared stays shared. Raises ValueError for a path that is not the port's, or another shape;
        NotRunnableError if it was recorded.
        """


def checked_leaves(
    given: Mapping[str, Any], due: Mapping[str, HostArray], shared: Mapping[str, str]
) -> dict[str, HostArray]:
    """Some of the leaves `due`, on the host; a shared one under any of its paths.

    Raises TypeError for what is no array, ValueError for an unknown path, another shape, complex numbers, or two values
    of one shared leaf.
    """
    if not isinstance(given, Mapping):
        raise TypeError(
            f"leaves are arrays by path, as transfer() returns them; a {type(given).__name__} came"
        )
    found: dict[str, HostArray] = {}
    for path, x in given.items():
        own = shared.get(path, path)
        if own not in due:
            raise ValueError(unknown("parameter or buffer", str(path), [*due, *shared]))
        host = _checked_leaf(path, x, due[own])
        if not np.array_equal(found.setdefault(own, host), host, equal_nan=True):
            raise ValueError(f"{path!r} is shared with {own!r}, and two different arrays came: one is due")
    return found


def _checked_leaf(path: str, x: Any, due: HostArray) -> HostArray:
    if not is_array(x):
        raise TypeError(f"{path!r} came as a {type(x).__name__}: an array of shape {due.shape} is due")
    if tuple(x.shape) != due.shape:
        raise ValueError(
            f"{path!r} came with shape {tuple(x.shape)}, due {due.shape}: transfer() gives the reference's in the"
            " port's layout"
        )
    if "complex" in dtype_name(x):
        raise ValueError(f"{path!r} came as {dtype_name(x)}: real numbers are due")
    host: HostArray = backend_for(x).to_numpy(x)
    return host
