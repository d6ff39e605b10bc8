"""Values on their way through a run of PyTorch: seen, forced, and the gradients with respect to them."""

__all__ = ["TorchTape", "mapped"]

import copy
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from gradproof.arrays import Array, HostArray, dtype_name
from gradproof.porting.port import Forced, Seen
from gradproof.porting.tap import Keys
from gradproof_torch import backend


@dataclasses.dataclass
class _Node:
    """A value that was seen; `slot` is its place among the arrays that came together."""

    name: str
    role: str
    kind: str
    slot: int
    key: str
    value: HostArray
    dtype: str
    edge: GradientEdge | None = None
    """Where the gradient with respect to what was handed on arrives: taken before anyone could overwrite it."""
    cotangent: HostArray | None = None
    by_hand: bool = False

    def seen(self) -> Seen:
        return Seen(self.name, self.role, self.kind, self.key, self.value, self.dtype, self.cotangent)


class TorchTape:
    """Watches one run, through hooks of modules and through taps.

    Every input of a module is handed on as a copy, so that its cotangent is that of this path alone: a residual
    connection's other path does not count. A module that overwrites its input overwrites the caller's too, as it
    would without the tape.
    """

    def __init__(self, forced: Mapping[str, Forced], *, graded: bool) -> None:
        self._forced = forced
        self._graded = graded
        self._keys = Keys()
        self._nodes: list[_Node] = []
        self._calls: list[tuple[nn.Module, list[tuple[Tensor, Tensor, int]]]] = []
        self._backward = False
        self._apart: list[tuple[str, Tensor, int]] = []
        self.roots: list[tuple[Tensor, Tensor]] = []
        """What was computed for forced nodes, with the cotangents it gets."""

    @property
    def nodes(self) -> tuple[Seen, ...]:
        """What was seen, in order."""
        return tuple(node.seen() for node in self._nodes)

    def see(self, name: str, x: Array, /, *, role: str = "tap", kind: str = "", slot: int = 0) -> Array:
        """Record `x`; what is handed on is `x`, a copy of it, or what it is forced to."""
        if not _shown(x):
            return x
        value = backend.to_numpy(x)
        if self._backward:
            # A checkpoint computes its values again: the same is handed on, nothing is recorded.
            forced = self._forced_before(name, role, slot, value)
            return self._handed(x) if forced is None else self._leaf(x, forced)
        key = self._keys.new(name, role, slot)
        node = _Node(name, role, kind, slot, key, value, dtype_name(x))
        self._nodes.append(node)
        handed = self._replaced(key, x) if key in self._forced else self._handed(x)
        if self._graded and handed.requires_grad:
            node.edge = get_gradient_edge(handed)
        return handed

    def see_cotangent(self, name: str, x: Array, /) -> Array:
        """Record `x` for the latest tap of this name that has none: backward passes run in the opposite order."""
        found = [
            node for node in self._nodes if node.name == name and node.role == "tap" and not node.by_hand
        ]
        if not found or not isinstance(x, Tensor):
            return x
        node = found[-1]
        node.by_hand, node.cotangent = True, backend.to_numpy(x)
        forced = self._forced.get(node.key)
        if forced is None:
            return x
        return torch.zeros_like(x) if forced.cotangent is None else _like(x, forced.cotangent, node.key)

    def attach(self, modules: Iterable[tuple[str, nn.Module]]) -> None:
        """See inputs and outputs of `modules`, which are this run's own."""
        for name, module in modules:
            module.register_forward_pre_hook(self._entering(name), with_kwargs=True)
            module.register_forward_hook(self._leaving(name), with_kwargs=True)

    def see_all(self, name: str, tree: Any, /, *, role: str, kind: str) -> Any:
        """See every tensor in `tree`, one that is in it twice once."""
        return self._seen_all(name, tree, role, kind)[0]

    def forward_is_over(self) -> None:
        """From here on modules only run because a checkpoint computes its values again. Raises if a forced node never came."""
        self._backward = True
        if missing := sorted(set(self._forced) - {node.key for node in self._nodes}):
            raise ValueError(f"{missing[0]!r} was to be forced, but never came in this run")

    @property
    def overwritten(self) -> list[str]:
        """Modules that return their input's memory, and whose output was overwritten later: without the tape, the input too."""
        return [name for name, handed, version in self._apart if handed._version != version]

    @property
    def edges(self) -> list[GradientEdge]:
        """Where cotangents arrive, of every node that can have one."""
        return [node.edge for node in self._nodes if node.edge is not None]

    def take_cotangents(self, gradients: Iterable[HostArray | None]) -> None:
        """Gradients of `edges`, in their order."""
        nodes = [node for node in self._nodes if node.edge is not None]
        for node, gradient in zip(nodes, gradients, strict=True):
            if not node.by_hand:
                node.cotangent = gradient

    def _entering(self, name: str) -> Callable[..., Any]:
        def pre(module: nn.Module, args: Any, kwargs: Any) -> Any:
            (args, kwargs), pairs = self._seen_all(name, (args, kwargs), "input", type(module).__name__)
            self._calls.append((module, pairs))
            return args, kwargs

        return pre

    def _leaving(self, name: str) -> Callable[..., Any]:
        def post(module: nn.Module, _args: Any, _kwargs: Any, output: Any) -> Any:
            pairs = self._call_of(module)
            for x, handed, version in pairs:
                if handed is not x and handed._version != version:  # the module works in place
                    x.copy_(handed)
            made, outputs = self._seen_all(name, output, "output", type(module).__name__)
            memory = {_memory(handed) for _, handed, _ in pairs}
            self._apart += [
                (name, new, version) for x, new, version in outputs if new is not x and _memory(x) in memory
            ]
            return made

        return post

    def _call_of(self, module: nn.Module) -> list[tuple[Tensor, Tensor, int]]:
        while self._calls:  # a call that raised, and was caught inside the port, never left
            called, pairs = self._calls.pop()
            if called is module:
                return pairs
        return []

    def _seen_all(
        self, name: str, tree: Any, role: str, kind: str
    ) -> tuple[Any, list[tuple[Tensor, Tensor, int]]]:
        """`tree` as it is handed on, and what came, what was handed on for it, and the latter's version."""
        done: dict[int, tuple[Tensor, Tensor, int]] = {}

        def swap(x: Tensor) -> Tensor:
            if id(x) not in done:
                handed = self.see(name, x, role=role, kind=kind, slot=len(done))
                done[id(x)] = (x, handed, handed._version)
            return done[id(x)][1]

        return mapped(tree, swap), list(done.values())

    def _handed(self, x: Tensor) -> Tensor:
        """`x`, apart from its uses before (a residual's other path, inside the module) and from what is written over it later."""
        if not self._graded or not torch.is_grad_enabled():
            return x
        return (x if x.requires_grad else x.detach().requires_grad_()).clone()

    def _replaced(self, key: str, x: Tensor) -> Tensor:
        forced = self._forced[key]
        if self._graded and x.requires_grad and forced.cotangent is not None:
            self.roots.append((x.clone(), _like(x, forced.cotangent, key)))
        return self._leaf(x, dataclasses.replace(forced, value=_checked(x, forced.value, key)))

    def _leaf(self, x: Tensor, forced: Forced) -> Tensor:
        leaf = _like(x, forced.value, "")
        if not self._graded or not torch.is_grad_enabled():
            return leaf
        return leaf.requires_grad_().clone()  # a leaf itself could not be overwritten

    def _forced_before(self, name: str, role: str, slot: int, value: HostArray) -> Forced | None:
        """What the node that had this very value was forced to."""
        nodes = [node for node in self._nodes if (node.name, node.role, node.slot) == (name, role, slot)]
        same = [node for node in nodes if np.array_equal(node.value, value, equal_nan=True)]
        return self._forced.get((same or nodes)[0].key) if nodes else None


def mapped(tree: Any, swap: Callable[[Tensor], Tensor]) -> Any:
    """`tree` (of tuples, lists, mappings, dataclasses) with `swap(x)` for every tensor; `tree` itself where nothing changes."""
    if isinstance(tree, Tensor):
        return swap(tree)
    if isinstance(tree, (list, tuple)):
        return _sequence(tree, swap)
    if isinstance(tree, Mapping):
        new = {key: mapped(value, swap) for key, value in tree.items()}
        return _updated(tree, {key: x for key, x in new.items() if x is not tree[key]}, _set_item)
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        old = {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}
        new = {name: mapped(value, swap) for name, value in old.items()}
        return _updated(tree, {name: x for name, x in new.items() if x is not old[name]}, object.__setattr__)
    return tree


def _sequence(tree: Any, swap: Callable[[Tensor], Tensor]) -> Any:
    items = [mapped(item, swap) for item in tree]
    if all(new is old for new, old in zip(items, tree, strict=True)):
        return tree
    return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)


def _updated(tree: Any, changes: Mapping[Any, Any], assign: Callable[[Any, Any, Any], None]) -> Any:
    if not changes:
        return tree
    new = copy.copy(tree)  # of its own type, past its constructor
    for key, value in changes.items():
        assign(new, key, value)
    return new


def _set_item(mapping: Any, key: Any, value: Any) -> None:
    mapping[key] = value


def _shown(x: object) -> bool:
    """Whether `x` is an array of numbers: inside `torch.func.vmap`, and of nested or sparse tensors, it is none."""
    return (
        isinstance(x, Tensor)
        and x.is_floating_point()
        and x.layout == torch.strided
        and not x.is_nested
        and not torch._C._functorch.is_functorch_wrapped_tensor(x)
    )


def _memory(x: Tensor) -> int:
    return x.untyped_storage().data_ptr() if _shown(x) else 0


def _checked(x: Tensor, value: HostArray, key: str) -> HostArray:
    if tuple(np.shape(value)) != tuple(x.shape):
        raise ValueError(
            f"{key!r} has shape {tuple(x.shape)}, and was to be forced to an array of shape {np.shape(value)}"
        )
    return value


def _like(x: Tensor, value: HostArray, key: str) -> Tensor:
    """`value` as a tensor like `x`, down to the order in memory: it decides which random numbers a dropout draws where."""
    checked = backend.from_numpy(_checked(x, value, key), dtype=dtype_name(x), device=x.device)
    return torch.empty_like(x, requires_grad=False).copy_(checked)
