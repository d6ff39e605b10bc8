"""HIPS autograd as a backend of gradproof. It computes on numpy's arrays; its own are the boxes that trace them."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import autograd
import autograd.numpy  # teaches autograd numpy's arrays and operators
import numpy as np
from autograd.extend import Box

from gradproof.backend import Backend


class AutogradBackend:
    """Functions of numpy arrays, traced by autograd: written in plain operators, methods, or `autograd.numpy`."""

    name = "autograd"
    package = "autograd"
    differentiates = True

    def owns(self, x: object, /) -> bool:
        """Whether `x` is a box, as a function sees it while it is traced; the arrays inside are numpy's."""
        return isinstance(x, Box)

    def from_numpy(self, x: Any, /, *, dtype: str, device: Any = None) -> Any:
        """Copy of `x`."""
        return np.array(x, dtype=dtype)

    def to_numpy(self, x: Any, /) -> Any:
        """Copy of `x`."""
        return np.array(x)

    def vjp(
        self, fun: Callable[..., Any], primals: Sequence[Any], /
    ) -> tuple[Any, Callable[[Any], Sequence[Any]]]:
        """`autograd.make_vjp` for all arguments at once."""
        with _without_warning():
            pull, value = autograd.make_vjp(fun, tuple(range(len(primals))))(*primals)
        return np.asarray(value), pull

    def jvp(
        self, fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], /
    ) -> tuple[Any, Any]:
        """`autograd.make_jvp` for all arguments at once."""
        with _without_warning():
            push = autograd.make_jvp(fun, tuple(range(len(primals))))(*primals)
            value, tangent = push(tuple(tangents))
        return np.asarray(value), np.asarray(tangent)

    def vectorize(self, fun: Callable[..., Any], /) -> Callable[..., Any] | None:
        """None: autograd has no such transformation."""
        return None

    def double_precision(self) -> AbstractContextManager[object]:
        """Nothing to switch."""
        return nullcontext()


def _without_warning() -> AbstractContextManager[object]:
    """A constant function has gradient zero; autograd says so in a warning."""
    return warnings.catch_warnings(action="ignore")


backend: Backend = AutogradBackend()
