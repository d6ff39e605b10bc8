"""One run of a port in PyTorch, whether it is a module or a function: inputs in, gradients out, nothing left behind."""

__all__ = ["Working", "checked_parameters", "host", "hosts", "run", "stepped"]

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradproof.arrays import HostArray, dtype_name
from gradproof.porting.port import Call, Run
from gradproof.porting.tap import taping
from gradproof.trees import ROOT, flatten
from gradproof_torch import backend
from gradproof_torch_double import InDouble
from gradproof_torch_tape import TorchTape

OUTPUT = "(output)"
"""Path of an output that is one tensor."""


@dataclass(frozen=True)
class Working:
    """What one run works on, its own."""

    forward: Callable[..., Any]
    """`forward(*inputs)` with the tensors below."""
    trained: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    dtype: torch.dtype
    device: torch.device
    watch: Callable[[TorchTape], None]
    """Attaches a tape."""
    loss: Callable[..., Any] | None


def run(make: Callable[[Call], Working], call: Call) -> Run:
    """Forward, and backward where the call asks for it."""
    working = make(call)
    graded = not call.forward_only and (working.loss is not None or call.seeds is not None)
    tape = TorchTape(call.forced, graded=graded)
    with surroundings(working.device, double=call.double), ExitStack() as stack:
        inputs = tensors(call.inputs, working, "input")
        targets = tensors(call.targets, working, "target")
        if call.watched or call.forced:
            working.watch(tape)
            stack.enter_context(taping(tape))
        output = working.forward(*inputs)
        outputs = _outputs(output)
        loss = None if working.loss is None else _loss(working.loss(output, *targets))
        tape.forward_is_over()
        gradients = None
        if graded:
            gradients = _gradients(working, tape, _roots(loss, outputs, call.seeds))
        if tape.overwritten and call.double and not call.forced:
            _confirm(tape.overwritten[0], hosts(outputs), make, call)
        return Run(
            outputs=hosts(outputs),
            dtypes={path: dtype_name(x) for path, x in outputs.items()},
            loss=None if loss is None else float(loss.detach()),
            nodes=tape.nodes if call.watched else (),
            gradients=gradients,
            buffers=hosts(working.buffers),
        )


def _confirm(
    name: str, outputs: Mapping[str, HostArray], make: Callable[[Call], Working], call: Call
) -> None:
    """Raise ValueError if the port computes something else when nobody looks."""
    unwatched = run(make, replace(call, watched=False, forward_only=True)).outputs
    if not all(np.array_equal(x, unwatched[path], equal_nan=True) for path, x in outputs.items()):
        raise ValueError(
            f"{name!r} returns its input (or a view of it), which is overwritten through its output and used again:"
            " values on the way cannot be told apart. Write out of place there: y = y + x, not y += x"
        )


@contextmanager
def surroundings(device: torch.device, *, double: bool) -> Iterator[None]:
    """Everything that is one for the whole process, as a run needs it; afterwards as it was."""
    cuda = [] if device.type != "cuda" else [device.index]
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(cuda))
        torch.default_generator.manual_seed(0)  # the same dropout in every run
        for index in cuda:
            torch.cuda.default_generators[index].manual_seed(0)
        if double:
            stack.enter_context(backend.double_precision())
            stack.enter_context(InDouble())
        stack.enter_context(_eager())
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)  # it skips modules, and is not what is trained
        yield


def tensors(tree: Any, working: Working, what: str) -> Any:
    """`tree` with a tensor for every array: floats in the run's dtype, integers as they are."""
    leaves, structure = flatten(tree)
    return structure.unflatten([_tensor(leaf, working, what) for leaf in leaves])


def host(x: Tensor) -> HostArray:
    """Copy of `x` on the host; bfloat16 as float32, sparse as dense."""
    copy: HostArray = backend.to_numpy(x if x.layout == torch.strided else x.to_dense())
    return copy


def hosts(named: Mapping[str, Tensor]) -> dict[str, HostArray]:
    """Copies on the host."""
    return {path: host(x) for path, x in named.items()}


def checked_parameters(
    given: Mapping[str, HostArray], due: Mapping[str, Tensor], shared: Mapping[str, str]
) -> dict[str, Tensor]:
    """`given` as tensors like those `due`. Raises ValueError for a path or shape that is not theirs."""
    paths = set(given) - set(shared)
    if unknown := sorted(paths - set(due)):
        raise ValueError(f"there is no parameter or buffer {unknown[0]!r}; there are {', '.join(due)}")
    if missing := sorted(set(due) - paths):
        raise ValueError(f"{missing[0]!r} is missing: every parameter and buffer is due")
    for path, x in due.items():
        if tuple(np.shape(given[path])) != tuple(x.shape):
            raise ValueError(f"{path!r} has shape {tuple(x.shape)}, and one of {np.shape(given[path])} came")
    return {
        path: backend.from_numpy(given[path], dtype=dtype_name(x), device=x.device) for path, x in due.items()
    }


def stepped(
    optimizer: Callable[[list[Tensor]], Any],
    parameters: Mapping[str, HostArray],
    gradients: Mapping[str, HostArray],
) -> dict[str, HostArray]:
    """Parameters after one step of `optimizer(tensors)` in float64; a parameter without a gradient has none in torch either."""
    with surroundings(torch.device("cpu"), double=True):
        leaves = {
            path: backend.from_numpy(x, dtype="float64").requires_grad_() for path, x in parameters.items()
        }
        for path, gradient in gradients.items():
            leaves[path].grad = backend.from_numpy(gradient, dtype="float64")
        optimizer(list(leaves.values())).step()
        return hosts(leaves)


@contextmanager
def _eager() -> Iterator[None]:
    """Functions that were given to `torch.compile` run as they are written."""
    set_stance = getattr(torch.compiler, "set_stance", None)  # torch 2.6
    if set_stance is None or "torch._dynamo" not in sys.modules:
        yield
        return
    with set_stance("force_eager"):
        yield


def _tensor(leaf: Any, working: Working, what: str) -> Any:
    if not isinstance(leaf, (np.ndarray, np.generic, Tensor)):
        return leaf
    x = leaf.detach().clone() if isinstance(leaf, Tensor) else torch.from_numpy(np.array(leaf, order="C"))
    if x.is_complex():
        raise TypeError(f"an {what} is complex: complex numbers are not compared, split it into real parts")
    return x.to(device=working.device, dtype=working.dtype if x.is_floating_point() else None)


def _outputs(output: Any) -> dict[str, Tensor]:
    leaves, structure = flatten(output)
    pairs = zip(structure.paths, leaves, strict=True)
    found = {OUTPUT if path == ROOT else path: x for path, x in pairs if isinstance(x, Tensor)}
    if not found:
        raise TypeError(f"the port returned a {type(output).__name__} without a torch.Tensor in it")
    for path, x in found.items():
        if x.is_complex():
            raise TypeError(
                f"output {path!r} is complex: complex numbers are not compared, return its real parts"
            )
    return found


def _loss(loss: object) -> Tensor:
    if not isinstance(loss, Tensor):
        raise TypeError(f"loss returned a {type(loss).__name__}, not a torch.Tensor: its graph is lost")
    if not loss.is_floating_point():
        raise TypeError(f"loss returned a tensor of {dtype_name(loss)}: a real floating-point number is due")
    if loss.shape:
        raise ValueError(
            f"loss returned a tensor of shape {tuple(loss.shape)}: a scalar is due, its mean or sum"
        )
    return loss


def _roots(
    loss: Tensor | None, outputs: Mapping[str, Tensor], seeds: Sequence[HostArray | None] | None
) -> list[tuple[Tensor, Tensor]]:
    """What is differentiated, with its cotangents."""
    if loss is not None or seeds is None:
        return [] if loss is None else [(loss, torch.ones_like(loss))]
    if len(seeds) != len(outputs):
        raise ValueError(f"{len(seeds)} seeds came for {len(outputs)} outputs: {', '.join(outputs)}")
    roots = []
    for (path, x), seed in zip(outputs.items(), seeds, strict=True):
        if seed is None:
            continue
        if tuple(np.shape(seed)) != tuple(x.shape):
            raise ValueError(f"output {path!r} has shape {tuple(x.shape)}, its seed {np.shape(seed)}")
        roots.append((x, backend.from_numpy(seed, dtype=dtype_name(x), device=x.device)))
    return roots


def _gradients(
    working: Working, tape: TorchTape, roots: Sequence[tuple[Tensor, Tensor]]
) -> dict[str, HostArray]:
    reached = [(x, seed) for x, seed in (*roots, *tape.roots) if x.requires_grad]
    parameters, edges = list(working.trained.values()), tape.edges
    wanted: list[Any] = [*parameters, *edges]
    found: Sequence[Tensor | None] = [None] * len(wanted)
    if reached and wanted:
        values, seeds = zip(*reached, strict=True)
        found = torch.autograd.grad(values, wanted, seeds, allow_unused=True)
    tape.take_cotangents(None if x is None else host(x) for x in found[len(parameters) :])
    return {
        path: host(torch.zeros_like(x) if gradient is None else gradient)
        for (path, x), gradient in zip(working.trained.items(), found, strict=False)
    }
