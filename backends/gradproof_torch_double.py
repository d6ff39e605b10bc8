"""float64 throughout: what a port casts to another floating-point dtype stays float64 in a run that is to be exact."""

__all__ = ["InDouble"]

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_NARROW = {torch.float32, torch.float16, torch.bfloat16}
_CASTS: set[Any] = {Tensor.float, Tensor.half, Tensor.bfloat16}
_BITS: set[Any] = {Tensor.view}
"""Reads the bits of a tensor: its dtype is no precision."""


class InDouble(TorchFunctionMode):
    """While it is on, `x.float()`, `x.to(torch.bfloat16)` and `dtype=torch.float32` mean float64.

    Normalisations and softmaxes of language models compute in float32 whatever they are given: their rounding errors
    would be taken for mistakes.
    """

    def __torch_function__(
        self, func: Callable[..., Any], _types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """`func`, with float64 for every narrower dtype among its arguments."""
        named = kwargs or {}
        if func in _CASTS:
            return args[0].double()
        if func in _BITS:
            return func(*args, **named)
        return func(*map(_widened, args), **{name: _widened(x) for name, x in named.items()})


def _widened(x: Any) -> Any:
    return torch.float64 if isinstance(x, torch.dtype) and x in _NARROW else x
