"""What one check costs: calls, time beyond them, memory; and what a refutation adds."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof import check
from gradproof.bench import _peak as peak
from scaling_model import middle

Row = dict[str, Any]
SOURCES = ("numeric", "hand")

REFUTED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "one entry 1 % off": lambda g: g * np.where(np.arange(g.size) == g.size // 3, 1.01, 1.0),
    "every sign": lambda g: -g,
    "twice": lambda g: 2 * g,
    "noise in every entry": lambda g: g + np.random.default_rng(1).normal(size=g.shape),
}
"""Claims that are wrong, from the right one."""


class Timed:
    """A function that counts its calls and the processor time in them."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.calls = 0
        self.seconds = 0.0

    def __call__(self, *args: Any) -> Any:
        """What the function returns."""
        start = time.process_time()
        value = self._function(*args)
        self.calls += 1
        self.seconds += time.process_time() - start
        return value


def half_square(x: Any) -> Any:
    """½‖x‖², whose gradient is x: as little work as a function of every parameter can be."""
    return 0.5 * (x @ x)


def point(framework: str, size: int, dtype: str) -> Any:
    """Parameters in a framework."""
    x = np.random.default_rng(0).normal(size=size).astype(dtype)
    if framework == "torch":
        import torch

        return torch.asarray(x)
    if framework == "jax":
        import jax.numpy as jnp

        return jnp.asarray(x)
    return x


def copied(x: Any) -> Any:
    """The right claim."""
    return x + 0


def one(framework: str, size: int, dtype: str, rounds: int) -> Row:
    """A right claim: medians of several checks, then the rise of this process's memory during one more."""
    x = point(framework, size, dtype)
    runs = [timed(x, copied) for _ in range(rounds + 1)][1:]
    row = {"framework": framework, "dtype": dtype, "parameters": size} | {
        name: middle([run[name] for run in runs]) for name in runs[0]
    }
    if size >= 10**6:
        row["peak"] = peak(lambda: check(half_square, x, grad=copied, sources=SOURCES)) / size
    return row


def timed(x: Any, claim: Callable[[Any], Any], **options: Any) -> Row:
    """One check: calls, and processor time in the function, in the claim and in all."""
    fun, grad = Timed(half_square), Timed(claim)
    start = time.process_time()
    report = check(fun, x, grad=grad, sources=SOURCES, **options)
    seconds = time.process_time() - start
    return {
        "evaluations": report.sources["numeric"].calls, "calls": fun.calls, "claims": grad.calls,
        "seconds": seconds, "function": fun.seconds / fun.calls, "claim": grad.seconds / grad.calls,
    }  # fmt: skip


def refuted(size: int, rounds: int) -> list[Row]:
    """Wrong claims over the right one, in turn: calls and processor time, with a diagnosis and without."""
    x = point("numpy", size, "float64")
    return [_refuted(x, name, diagnose, rounds) for name in REFUTED for diagnose in (False, True)]


def _refuted(x: Any, name: str, diagnose: bool, rounds: int) -> Row:
    found = []
    for _ in range(rounds):
        right, wrong = timed(x, copied), timed(x, REFUTED[name], diagnose=diagnose)
        found.append({kind: wrong[kind] / right[kind] for kind in ("calls", "claims", "seconds")})
    return {"parameters": x.size, "fault": name, "diagnosed": diagnose} | {
        kind: middle([ratio[kind] for ratio in found]) for kind in found[0]
    }
