"""PyTorch as a backend."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Any

import numpy as np
import torch

from gradproof.backend import Backend


class TorchBackend:
    """Tensors of PyTorch."""

    name = "torch"
    package = "torch"
    differentiates = True

    def owns(self, x: object, /) -> bool:
        """Whether `x` is a torch.Tensor (an nn.Parameter is one)."""
        return isinstance(x, torch.Tensor)

    def from_numpy(self, x: Any, /, *, dtype: str, device: Any = None) -> Any:
        """Copy of `x`, contiguous, part of no graph."""
        host = np.array(x, copy=True, order="C")
        return torch.from_numpy(host).to(dtype=getattr(torch, dtype), device=device)

    def take(self, x: Any, /, *, dtype: str, device: Any = None) -> Any:
        """`x`, whose memory is torch's from now on."""
        return torch.from_numpy(x).to(dtype=getattr(torch, dtype), device=device)

    def to_numpy(self, x: Any, /) -> Any:
        """Copy of `x`, detached; bfloat16 comes as float32."""
        host = x.detach().cpu().resolve_conj().resolve_neg()
        widened = (
            host.float() if host.dtype == torch.bfloat16 else host.clone()
        )  # also of a lazy tensor of zeros
        return widened.numpy()

    def vjp(
        self, fun: Callable[..., Any], primals: Sequence[Any], /
    ) -> tuple[Any, Callable[[Any], Sequence[Any]]]:
        """`torch.autograd.grad`. What the graph does not reach has gradient zero, as an optimiser would see it."""
        leaves = [primal.detach().clone().requires_grad_(True) for primal in primals]
        with torch.enable_grad():
            value = _tensor(fun(*leaves))

        def pull(cotangent: Any) -> Sequence[Any]:
            if not value.requires_grad:
                return [torch.zeros_like(leaf) for leaf in leaves]
            grads = torch.autograd.grad(value, leaves, cotangent, retain_graph=True, materialize_grads=True)
            return [grad.detach() for grad in grads]

        return value.detach(), pull

    def jvp(
        self, fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], /
    ) -> tuple[Any, Any]:
        """`torch.func.jvp`, forward mode."""
        detached = tuple(primal.detach() for primal in primals)
        with warnings.catch_warnings():
            # PyTorch's own forward mode still scripts its decompositions with a deprecated call.
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.")
            value, tangent = torch.func.jvp(lambda *xs: _tensor(fun(*xs)), detached, tuple(tangents))[:2]
        return value.detach(), tangent.detach()

    def vectorize(self, fun: Callable[..., Any], /) -> Callable[..., Any] | None:
        """`torch.func.vmap`."""
        mapped: Callable[..., Any] = torch.func.vmap(fun)
        return mapped

    def double_precision(self) -> AbstractContextManager[object]:
        """Default dtype float64 inside, the caller's again afterwards."""
        return _double()


def _tensor(value: object) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"fun returned a {type(value).__name__}, not a torch.Tensor: its graph is lost")
    return value


class _Double:
    """Default dtype float64. It is one for the whole process: the first thread that comes sets it, the last that goes resets it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._before = torch.float32

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Inside."""
        with self._lock:
            if not self._inside:
                self._before = torch.get_default_dtype()
                torch.set_default_dtype(torch.float64)
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    torch.set_default_dtype(self._before)


_double = _Double()

backend: Backend = TorchBackend()
