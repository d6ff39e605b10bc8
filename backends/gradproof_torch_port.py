"""Ports in PyTorch: a module, or a plain function of its parameters."""

__all__ = ["TorchFunctionPort", "TorchPort"]

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradproof.arrays import HostArray, dtype_name
from gradproof.porting.port import Call, Module, Run, checked_leaves
from gradproof.trees import flatten, leaves_by_path
from gradproof_torch import backend
from gradproof_torch_modules import buffers_of, described, doubled, own_copy, shared_of, trained_of
from gradproof_torch_run import Working, checked_parameters, hosts, run, stepped
from gradproof_torch_tape import TorchTape


class _Port:
    """What ports in PyTorch have in common."""

    framework = "torch"
    differentiates = True
    parameters: Mapping[str, HostArray]
    buffers: Mapping[str, HostArray]
    shared: Mapping[str, str]
    modules: Mapping[str, Module]

    def __init__(self, loss: Callable[..., Any] | None) -> None:
        if isinstance(loss, type) or not (loss is None or callable(loss)):
            raise TypeError(f"loss is called as loss(output, *targets), and {loss!r} came")
        self._loss = own_copy(loss) if isinstance(loss, nn.Module) else loss
        self.has_loss = loss is not None

    def run(self, call: Call, /) -> Run:
        """Run it, on a copy. Raises what the port raises."""
        with torch.inference_mode(False):  # nor no_grad: it switches gradients on
            return run(self._working, call)

    def step(
        self, optimizer: Any, parameters: Mapping[str, HostArray], gradients: Mapping[str, HostArray], /
    ) -> dict[str, HostArray]:
        """Parameters after one step of `optimizer(tensors)`, `lambda p: torch.optim.AdamW(p, lr=1e-3)`, in float64."""
        return stepped(optimizer, parameters, gradients)

    def filled(self, leaves: Mapping[str, HostArray], /) -> Any:
        """A module (of a function: the tree of params) with these parameters and buffers, on the device it was on."""
        new = checked_leaves(leaves, {**self.parameters, **self.buffers}, self.shared)
        with torch.inference_mode(False), torch.no_grad():
            return self._filled(new)

    def _filled(self, new: Mapping[str, HostArray]) -> Any:
        raise NotImplementedError

    def _working(self, call: Call) -> Working:
        raise NotImplementedError

    def _loss_in(self, double: bool) -> Callable[..., Any] | None:
        if not isinstance(self._loss, nn.Module):
            return self._loss
        return doubled(self._loss) if double else copy.deepcopy(self._loss)


class TorchPort(_Port):
    """A module as it is now: what is done to it later does not reach the port, and no run reaches the module."""

    def __init__(
        self,
        module: nn.Module,
        *,
        call: Callable[..., Any] | None = None,
        loss: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(loss)
        self._own = own_copy(module)
        self._doubled: nn.Module | None = None
        self._call = call
        self.parameters = hosts(trained_of(self._own))
        self.buffers = hosts(buffers_of(self._own))
        self.shared = shared_of(self._own)
        self.modules = described(self._own)

    def _working(self, call: Call) -> Working:
        module = self._copy(call.double)
        trained, buffers = trained_of(module), buffers_of(module)
        if call.parameters is not None:
            new = checked_parameters(call.parameters, {**trained, **buffers}, self.shared)
            with torch.no_grad():
                for path, x in (*trained.items(), *buffers.items()):
                    x.copy_(new[path])
        way = self._call

        def forward(*inputs: Any) -> Any:
            return module(*inputs) if way is None else way(module, *inputs)

        def watch(tape: TorchTape) -> None:
            tape.attach(list(module.named_modules()))

        first = next((x for x in (*trained.values(), *buffers.values()) if x.is_floating_point()), None)
        dtype, device = _kind_of(first, call.double)
        return Working(forward, trained, buffers, dtype, device, watch, self._loss_in(call.double))

    def _filled(self, new: Mapping[str, HostArray]) -> nn.Module:
        module = self._copy(double=False)
        own = {**trained_of(module), **buffers_of(module)}
        for path, x in new.items():
            own[path].copy_(_tensor_like(own[path], x))
        return module

    def _copy(self, double: bool) -> nn.Module:
        if double and self._doubled is None:
            self._doubled = doubled(self._own)
        return copy.deepcopy(self._doubled if double and self._doubled is not None else self._own)


class TorchFunctionPort(_Port):
    """`fun(params, *inputs)` over a tree of tensors. `buffers` are the paths of those that are not trained."""

    def __init__(
        self,
        fun: Callable[..., Any],
        params: Any,
        *,
        loss: Callable[..., Any] | None = None,
        buffers: Collection[str] | None = None,
    ) -> None:
        super().__init__(loss)
        leaves, self._structure = flatten(params)
        self._fun = fun
        self._leaves: dict[str, Any] = {}
        self._graded: dict[str, bool] = {}
        """Of the caller's leaves, which `filled` gives back as they were."""
        first: dict[int, str] = {}
        for path, leaf in zip(self._structure.paths, leaves, strict=True):
            if not isinstance(leaf, Tensor) or first.setdefault(id(leaf), path) == path:
                self._leaves[path] = _kept(path, leaf)
                self._graded[path] = isinstance(leaf, Tensor) and leaf.requires_grad
        self.shared = {
            path: first[id(leaf)]
            for path, leaf in zip(self._structure.paths, leaves, strict=True)
            if isinstance(leaf, Tensor) and first[id(leaf)] != path
        }
        untrained = set(buffers or ())
        if unknown := sorted(untrained - set(self._structure.paths)):
            raise ValueError(
                f"there is no {unknown[0]!r} in params; there are {', '.join(self._structure.paths)}"
            )
        self._trained = [path for path, x in self._leaves.items() if _is_number(x) and path not in untrained]
        self._untrained = [path for path, x in self._leaves.items() if _is_number(x) and path in untrained]
        self.parameters = hosts({path: self._leaves[path] for path in self._trained})
        self.buffers = hosts({path: self._leaves[path] for path in self._untrained})
        self.modules = {"": Module(self._name)}

    @property
    def _name(self) -> str:
        return getattr(self._fun, "__name__", type(self._fun).__name__)

    def _filled(self, new: Mapping[str, HostArray]) -> Any:
        leaves = {path: _fresh(x, double=False) for path, x in self._leaves.items()}
        leaves.update({path: _tensor_like(leaves[path], x) for path, x in new.items()})
        for path in (path for path, graded in self._graded.items() if graded):
            leaves[path].requires_grad_()
        return self._structure.unflatten(
            leaves[self.shared.get(path, path)] for path in self._structure.paths
        )

    def _working(self, call: Call) -> Working:
        leaves = {path: _fresh(x, call.double) for path, x in self._leaves.items()}
        if call.parameters is not None:
            due = {path: leaves[path] for path in (*self._trained, *self._untrained)}
            leaves.update(checked_parameters(call.parameters, due, self.shared))
        trained = {path: leaves[path].requires_grad_() for path in self._trained}
        buffers = {path: leaves[path] for path in self._untrained}
        params = self._structure.unflatten(
            leaves[self.shared.get(path, path)] for path in self._structure.paths
        )
        tapes: list[TorchTape] = []

        def forward(*inputs: Any) -> Any:
            for tape in tapes:
                inputs = tape.see_all("", inputs, role="input", kind=self._name)
            output = self._fun(params, *inputs)
            after = leaves_by_path(params)  # it may have put others in their place
            buffers.update({path: after[path].detach() for path in buffers})
            for tape in tapes:
                output = tape.see_all("", output, role="output", kind=self._name)
            return output

        dtype, device = _kind_of(next(iter((*trained.values(), *buffers.values())), None), call.double)
        return Working(forward, trained, buffers, dtype, device, tapes.append, self._loss_in(call.double))


def _kind_of(x: Tensor | None, double: bool) -> tuple[torch.dtype, torch.device]:
    """Dtype and device of a run whose first parameter is `x`."""
    own = torch.get_default_dtype() if x is None else x.dtype
    return torch.float64 if double else own, torch.device("cpu") if x is None else x.device


def _tensor_like(own: Tensor, x: HostArray) -> Tensor:
    """`x` as a tensor of the dtype and on the device of `own`."""
    made: Tensor = backend.from_numpy(x, dtype=dtype_name(own), device=own.device)
    return made


def _is_number(x: object) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _kept(path: str, leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    if leaf.is_complex():
        raise TypeError(
            f"{path!r} is {dtype_name(leaf)}: complex numbers are not compared, split it into real parts"
        )
    return leaf.detach().clone()


def _fresh(x: Any, double: bool) -> Any:
    if not isinstance(x, Tensor):
        return x
    return x.double() if double and x.dtype != torch.float64 and x.is_floating_point() else x.clone()
