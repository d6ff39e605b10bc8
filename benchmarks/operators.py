"""PyTorch's own operator database as cases: operators at sampled points, as functions of their parameters."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils import _pytree as pytree

LARGEST = 4000
"""Parameters or outputs beyond which a sample is left out: the point is operators, not size."""

PRECISIONS = {
    "float64": "float64 throughout",
    "float32": "float32 code that cannot run in any other precision",
    "lifted": "float32 code that also runs in float64: its float32 gradient, judged by its float64 values",
}

Function = Callable[[Sequence[torch.Tensor]], torch.Tensor]


class LeftOut(NamedTuple):
    """A sample that makes no case."""

    name: str
    reason: str


class NoCase(Exception):
    """Why a sample makes no case."""


@dataclass(frozen=True, eq=False)
class Call:
    """One operator at one sample, as a function of the sample's differentiable tensors."""

    operator: Any
    sample: Any
    seed: int

    def __call__(self, params: Sequence[torch.Tensor]) -> torch.Tensor:
        """All real differentiable outputs as one vector; a single number as a scalar."""
        outputs = self._outputs(params)
        kept = [outputs[k].reshape(-1) for k in self.kept]
        return torch.cat(kept) if len(kept) != 1 or kept[0].numel() != 1 else kept[0].reshape(())

    @cached_property
    def params(self) -> list[torch.Tensor]:
        """The differentiable tensors, detached."""
        return [self._arguments[0][i].detach().clone() for i in self._places]

    @cached_property
    def _arguments(self) -> tuple[list[Any], Any]:
        """The sample's arguments, flat, and how they nest."""
        return pytree.tree_flatten((self.sample.input, self.sample.args, self.sample.kwargs))

    @cached_property
    def _places(self) -> list[int]:
        """Where the differentiable tensors stand among the arguments."""
        return [i for i, x in enumerate(self._arguments[0]) if _is_dense(x) and x.requires_grad]

    @cached_property
    def kept(self) -> list[int]:
        """Which outputs are real, floating and differentiable at the sample itself."""
        outputs = self._outputs([p.clone().requires_grad_() for p in self.params])
        return [
            k
            for k, x in enumerate(outputs)
            if isinstance(x, torch.Tensor) and x.is_floating_point() and x.requires_grad and x.numel()
        ]

    def _outputs(self, params: Sequence[torch.Tensor]) -> list[Any]:
        """Everything that the operator returns. Constants are copied, and follow the parameters' precision."""
        torch.manual_seed(self.seed)
        arguments, nesting = self._arguments
        filled = [x.detach().clone() if _is_dense(x) else x for x in arguments]
        for i, tensor in zip(self._places, params, strict=True):
            filled[i] = tensor
        own, asked = self.params[0].dtype, params[0].dtype
        filled = [x.to(asked) if isinstance(x, torch.Tensor) and x.dtype == own else x for x in filled]
        first, args, kwargs = pytree.tree_unflatten(filled, nesting)
        out = self.operator.gradcheck_wrapper(self.operator.get_op(), first, *args, **kwargs)
        if self.sample.output_process_fn_grad is not None:
            out = self.sample.output_process_fn_grad(out)
        return pytree.tree_leaves(out)


@dataclass(frozen=True, eq=False)
class Case:
    """A function at a point. PyTorch's gradient of it is the claim."""

    name: str
    operator: str
    params: list[torch.Tensor]
    fun: Function
    call: Call
    """The same in whatever precision its parameters have: `fun` may be bound to its own."""
    outputs: int

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.params)

    @property
    def leaves(self) -> list[np.ndarray]:
        """The parameters on the host."""
        return [p.numpy().astype(np.float64) for p in self.params]

    def cotangent(self, rng: np.random.Generator) -> torch.Tensor:
        """Weights for the outputs, of both signs and none of them small; 1 for a scalar."""
        shape = self.fun(self.params).shape
        if not shape:
            return torch.tensor(1.0, dtype=torch.float64)
        weights = rng.choice([-1.0, 1.0], shape) * (1.25 + rng.integers(0, 4, shape) / 4)
        return torch.as_tensor(weights, dtype=torch.float64)

    def pull(self, params: Sequence[torch.Tensor], cotangent: torch.Tensor) -> np.ndarray:
        """PyTorch's gradient at `params`, all leaves in one flat float64 array."""
        traced = [p.detach().clone().requires_grad_() for p in params]
        with torch.enable_grad():
            value = self.fun(traced)
        grads = torch.autograd.grad(value, traced, cotangent.to(value.dtype), allow_unused=True)
        return np.concatenate([
            np.zeros(p.numel()) if g is None else g.detach().reshape(-1).double().numpy(force=True)
            for p, g in zip(traced, grads, strict=True)
        ])  # fmt: skip


def cases(
    precision: str, samples: int, seed: int, *, only: str = "", every: int = 1
) -> Iterator[Case | LeftOut]:
    """Up to `samples` samples, drawn with `seed`, of every differentiable operator whose name contains `only`.

    `every` leaves out all operators but each `every`-th.
    """
    dtype = torch.float64 if precision == "float64" else torch.float32
    differentiable = [
        op for op in op_db if op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")
    ]
    for op in differentiable[::every]:
        operator = f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name
        if only not in operator:
            continue
        for global_generator in (
            torch.manual_seed,
            random.seed,
            np.random.seed,
        ):  # what samples are drawn from
            global_generator(seed)
        try:
            drawn = list(op.sample_inputs("cpu", dtype, requires_grad=True))
        except Exception as error:
            yield LeftOut(operator, f"no samples: {type(error).__name__}")
            continue
        chosen = np.random.default_rng([seed, *operator.encode()]).permutation(len(drawn))[:samples]
        for i in sorted(chosen):
            name = f"{operator}[{i}]"
            try:
                yield _case(name, operator, Call(op, drawn[i], seed), precision)
            except NoCase as reason:
                yield LeftOut(name, str(reason))


def _case(name: str, operator: str, call: Call, precision: str) -> Case:
    """Raises NoCase for a sample without real parameters and outputs, or not finite there."""
    params = call.params
    if not params or any(p.is_complex() or not p.numel() for p in params):
        raise NoCase("no real parameters")
    if sum(p.numel() for p in params) > LARGEST:
        raise NoCase("too large")
    if not all(p.isfinite().all() for p in params):
        raise NoCase("parameters not finite")
    if not _of_sample(lambda: call.kept):
        raise NoCase("no real differentiable output")
    value = _of_sample(lambda: call(params))
    if value.numel() > LARGEST:
        raise NoCase("too large")
    if not value.isfinite().all():
        raise NoCase("value not finite")
    if (
        precision == "lifted"
        and _of_sample(lambda: call([p.double() for p in params])).dtype != torch.float64
    ):
        raise NoCase("does not run in float64")
    fun = _bound_to_float32(call) if precision == "float32" else call
    case = Case(name, operator, params, fun, call, value.numel())
    _of_sample(lambda: case.pull(params, torch.ones(value.shape)))
    return case


def _of_sample(compute: Callable[[], Any]) -> Any:
    """Raises NoCase for what the operator raises."""
    try:
        return compute()
    except Exception as error:
        raise NoCase(f"raises at the sample: {type(error).__name__}") from error


def _bound_to_float32(call: Call) -> Function:
    """The same, which computes and returns float32 whatever it is given."""
    return lambda params: call([p.float() for p in params]).float()


def _is_dense(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and x.layout == torch.strided
