"""`tap(name, x)`: an identity that shows a value of a plain function, and its cotangent, to whoever is watching.

Adapters of frameworks see the values of modules through the same `Tape`.
"""

__all__ = ["Keys", "Tape", "tap", "tap_cotangent", "taping"]

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from gradproof.arrays import Array


class Tape(Protocol):
    """Who watches a run."""

    def see(self, name: str, x: Array, /, *, role: str = "tap", kind: str = "") -> Array:
        """Look at `x`, and return what the computation goes on with: `x`, or what it was forced to."""

    def see_cotangent(self, name: str, x: Array, /) -> Array:
        """Look at the cotangent that a backward pass written by hand has for the tap `name`; the same."""


_TAPE: ContextVar[Tape | None] = ContextVar("gradproof.tape", default=None)


def tap(name: str, x: Array, /) -> Array:
    """`x` itself. While a port is compared, its value here (and the gradient with respect to it) is compared by this name.

    Works on arrays of numpy, torch and jax, under `jax.jit`, `jax.grad` and `jax.vmap`; costs nothing where nobody
    compares. Called again in one run it counts: "name", "name#2".
    """
    tape = _TAPE.get()
    return x if tape is None else tape.see(name, x)


def tap_cotangent(name: str, x: Array, /) -> Array:
    """`x` itself: the gradient with respect to what `tap(name, …)` saw, told by a backward pass that is written by hand."""
    tape = _TAPE.get()
    return x if tape is None else tape.see_cotangent(name, x)


@contextmanager
def taping(tape: Tape) -> Iterator[None]:
    """While it runs, taps of this thread (and of what it calls) show their values to `tape`."""
    token = _TAPE.set(tape)
    try:
        yield
    finally:
        _TAPE.reset(token)


class Keys:
    """Unique keys for what is seen in a run; the same for the same order of calls."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def new(self, name: str, role: str = "tap", slot: int = 0) -> str:
        """Key of the next value of this name and role: "ln", "ln#2", "lstm[1]", "ln input", "ln[1] input#2"."""
        base = f"{name or '(whole)'}{f'[{slot}]' if slot else ''}{' input' if role == 'input' else ''}"
        self._seen[base] += 1
        count = self._seen[base]
        return base if count == 1 else f"{base}#{count}"
