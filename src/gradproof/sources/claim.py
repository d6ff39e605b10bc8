"""What the caller brings: a function, or one per framework, and the hand-written derivative in one of its forms."""

__all__ = ["Claim", "Function", "admit_function", "implementation"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradproof.backend import names, unknown

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """The caller's hand-written derivative, in the form it was given."""

    grad: Function | None = None
    value_and_grad: Function | None = None
    vjp: Function | None = None
    jvp: Function | None = None

    def __post_init__(self) -> None:
        reverse = [name for name in ("grad", "value_and_grad", "vjp") if getattr(self, name) is not None]
        if len(reverse) > 1:
            raise ValueError(f"{' and '.join(reverse)} state the same gradient twice; pass one of them")
        for name in ("grad", "value_and_grad", "vjp", "jvp"):
            given = getattr(self, name)
            if given is not None and not callable(given):
                raise TypeError(f"{name} is a {type(given).__name__}; due: a function of the parameters")

    @property
    def reverse(self) -> bool:
        """Whether a gradient or a pull-back is claimed."""
        return any(given is not None for given in (self.grad, self.value_and_grad, self.vjp))

    def __bool__(self) -> bool:
        return self.reverse or self.jvp is not None


def implementation(fun: Function | Mapping[str, Function], name: str) -> Function | None:
    """What backend `name` is to run: `fun` itself, or its entry for that backend."""
    return fun.get(name) if isinstance(fun, Mapping) else fun


def admit_function(fun: Function | Mapping[str, Function]) -> None:
    """Raise TypeError or ValueError unless `fun` is a function, or one per known backend."""
    if not isinstance(fun, Mapping):
        if not callable(fun):
            raise TypeError(
                f"fun is a {type(fun).__name__}; due: a function of the parameters, or one per backend"
            )
        return
    if not fun:
        raise ValueError("fun is an empty mapping; due: one function per backend, {'numpy': f, 'torch': g}")
    for name, function in fun.items():
        if not isinstance(name, str):
            raise TypeError(f"fun has the key {name!r}; due: names of backends, {', '.join(names())}")
        if name not in names():
            raise ValueError(unknown("backend", name, names()))
        if not callable(function):
            raise TypeError(
                f"fun is a {type(function).__name__}; due: a function of the parameters, for {name!r}"
            )
