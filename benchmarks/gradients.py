"""Time of a gradient: by hand (`gradproof.network`, and plain NumPy) against PyTorch's and JAX's autodiff.

    python benchmarks/gradients.py            # everything, about ten minutes: writes the JSON and the Markdown table
    python benchmarks/gradients.py --quick    # a few sizes, under a minute: prints the table, writes nothing

All contestants of one size run in turn, round after round; a ratio is the median of the rounds' own ratios, so what else
the machine does falls on both sides of it. Gradients are compared before anything is timed.
"""

import os

# One thread for everything, before NumPy loads its BLAS: otherwise the number of cores is measured.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from gradproof.network import Layer, Network

ROOT = Path(__file__).parents[1]
JSON, TABLE = ROOT / "benchmarks/results/gradients.json", ROOT / "docs/benchmarks/gradients.md"
SIZES = ((3, 5, 3), (20, 25, 10), (64, 32, 10), (400, 25, 10), (784, 128, 10))
BATCHES = (1, 16, 64, 256, 1024, 4096)
DTYPES = ("float32", "float64")
COMPILED = {
    "float32": (64, 1024)
}  # torch.compile takes over ten seconds per case, to run no faster than eager mode

ROUND_SECONDS = 0.004
FORWARD, PLAIN, TORCH = "forward", "plain NumPy", "torch autograd"
TARGETS = (
    (FORWARD, 2.0, 64, "value and gradient ≤ 2.0 × its own forward pass, batch ≥ 64"),
    (TORCH, 1.0, 1, "never slower than torch's eager autograd"),
    (PLAIN, 1.2, 256, "≤ 1.2 × plain NumPy written for the purpose, batch ≥ 256"),
)

Run = Callable[[], Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One network, batch and dtype, with its numbers on the host."""

    sizes: tuple[int, ...]
    batch: int
    dtype: str
    params: tuple[Layer, ...]
    x: np.ndarray
    y: np.ndarray

    @property
    def network(self) -> Network:
        """The course's: sigmoid units, sigmoid cross-entropy."""
        return Network(self.sizes)


def make(sizes: tuple[int, ...], batch: int, dtype: str) -> Case:
    """Random one-hot classification, and parameters laid out row by row as a user would have them."""
    rng = np.random.default_rng(0)
    drawn = Network(sizes).init(dtype=dtype)
    params = tuple(Layer(*map(np.ascontiguousarray, layer)) for layer in drawn)
    labels = rng.integers(0, sizes[-1], batch)
    return Case(
        sizes,
        batch,
        dtype,
        params,
        rng.normal(size=(batch, sizes[0])).astype(dtype),
        np.eye(sizes[-1], dtype=dtype)[labels],
    )


# The contestants: each returns a function that computes the value and the gradient, (weight, bias) per layer


def by_hand(case: Case) -> Run:
    """gradproof on NumPy."""
    network = case.network
    return lambda: network.value_and_gradient(case.params, case.x, case.y)


def plain_numpy(case: Case) -> Run:
    """The course's exercise, written out for two layers: no checks, no choice of anything."""
    (w1, b1), (w2, b2) = case.params
    x, y = case.x, case.y

    def run() -> Any:
        m = len(x)
        a = 1 / (1 + np.exp(-(x @ w1.T + b1)))
        h = 1 / (1 + np.exp(-(a @ w2.T + b2)))
        cost = -np.sum(y * np.log(h) + (1 - y) * np.log(1 - h)) / m
        delta2 = (h - y) / m
        delta1 = (delta2 @ w2) * a * (1 - a)
        return cost, ((delta1.T @ x, delta1.sum(axis=0)), (delta2.T @ a, delta2.sum(axis=0)))

    return run


def torch_by_hand(case: Case) -> Run:
    """gradproof on PyTorch."""
    network, params = case.network, _moved(case.params, torch.asarray)
    x, y = torch.asarray(case.x), torch.asarray(case.y)
    return lambda: network.value_and_gradient(params, x, y)


def torch_autograd(case: Case, wrap: Callable[[Any], Any] = lambda f: f) -> Run:
    """PyTorch as its users write it, with its fused operations."""
    params = _moved(case.params, lambda a: torch.asarray(a).clone().requires_grad_())
    leaves, x, y = jax.tree.leaves(params), torch.asarray(case.x), torch.asarray(case.y)

    def cost(layers: Any, x: Any, y: Any) -> Any:
        a = torch.sigmoid(torch.nn.functional.linear(x, *layers[0]))
        z = torch.nn.functional.linear(a, *layers[1])
        return torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="sum") / len(x)

    wrapped = wrap(cost)

    def run() -> Any:
        value = wrapped(params, x, y)
        return value.detach(), torch.autograd.grad(value, leaves)

    return run


def torch_compiled(case: Case) -> Run:
    """The same, compiled for this very case."""
    torch._dynamo.reset()
    return torch_autograd(case, lambda f: torch.compile(f, dynamic=False))


def jax_by_hand(case: Case) -> Run:
    """gradproof on JAX, compiled."""
    return _jitted(case, case.network.value_and_gradient)


def jax_autodiff(case: Case) -> Run:
    """The derivative that JAX finds for the same loss, compiled."""
    return _jitted(case, jax.value_and_grad(case.network.loss))


def _jitted(case: Case, function: Callable[..., Any]) -> Run:
    compiled, params = jax.jit(function), _moved(case.params, jnp.asarray)
    x, y = jnp.asarray(case.x), jnp.asarray(case.y)
    return lambda: jax.block_until_ready(compiled(params, x, y))


def _moved(params: tuple[Layer, ...], move: Callable[[Any], Any]) -> tuple[Layer, ...]:
    return tuple(Layer(move(weight), move(bias)) for weight, bias in params)


CONTESTANTS: dict[str, Callable[[Case], Run]] = {
    "by hand": by_hand,
    PLAIN: plain_numpy,
    TORCH: torch_autograd,
    "torch by hand": torch_by_hand,
    "jax.jit autodiff": jax_autodiff,
    "jax.jit by hand": jax_by_hand,
}


def contestants(case: Case) -> dict[str, Run]:
    """Those that take part in `case`, verified: every gradient equals the one by hand."""
    runs = {name: make_run(case) for name, make_run in CONTESTANTS.items()}
    if case.batch in COMPILED.get(case.dtype, ()):
        runs["torch.compile"] = torch_compiled(case)
    for name, run in runs.items():
        _verify(name, run(), runs["by hand"](), 1e-11 if case.dtype == "float64" else 1e-4)
    network = case.network
    return runs | {FORWARD: lambda: network.loss(case.params, case.x, case.y)}


def _verify(name: str, got: Any, due: Any, rtol: float) -> None:
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(due), strict=True)
    for a, b in ((np.asarray(a), np.asarray(b)) for a, b in pairs):
        if a.shape != b.shape or not np.abs(a - b).max() <= rtol * np.abs(b).max():
            raise SystemExit(f"{name} computes another gradient than the one by hand: nothing was timed")


# Timing


def measure(case: Case, rounds: int) -> Row:
    """Median seconds per call, and median ratio of the time by hand to every contestant's."""
    runs = contestants(case)
    counts = {name: max(1, int(ROUND_SECONDS / _seconds(run, 3))) for name, run in runs.items()}
    times = [{name: _seconds(run, counts[name]) for name, run in runs.items()} for _ in range(rounds)]
    return {
        "sizes": "-".join(map(str, case.sizes)),
        "batch": case.batch,
        "dtype": case.dtype,
        "seconds": {name: statistics.median(t[name] for t in times) for name in runs},
        "by hand / other": {name: statistics.median(t["by hand"] / t[name] for t in times) for name in runs},
    }


def _seconds(run: Run, count: int) -> float:
    """Processor time per call, after one call that warms the caches: the clock stands while others have the cores."""
    run()
    start = time.process_time()
    for _ in range(count):
        run()
    return (time.process_time() - start) / count


# Results


def document(rows: list[Row], rounds: int) -> str:
    """The Markdown page."""
    lines = [
        "# Time of a gradient\n",
        "Value and gradient of a network of sigmoid units with sigmoid cross-entropy, computed by hand",
        "(`gradproof.network.Network.value_and_gradient` on NumPy arrays), and how many times as long that takes as other",
        "ways do. Below 1 the one by hand is the faster.",
        "",
        f"One thread; processor time; medians of {rounds} interleaved rounds; every gradient compared first. {_environment()}.",
        f"Written by `benchmarks/gradients.py`; the numbers are in `{JSON.relative_to(ROOT)}`.",
        "",
        *("- " + verdict(rows, *target) for target in TARGETS),
        "",
    ]
    for dtype in DTYPES:
        chosen = [row for row in rows if row["dtype"] == dtype]
        lines += [f"## {dtype}", "", *_table(chosen), ""] if chosen else []
    return "\n".join(lines)


def verdict(rows: Iterable[Row], other: str, limit: float, batch: int, text: str) -> str:
    """In how many cases a target is reached, and the case farthest from it."""
    judged = [row for row in rows if row["batch"] >= batch]
    reached = sum(_ratio(row, other) <= limit for row in judged)
    worst = max(judged, key=lambda row: _ratio(row, other))
    where = f"{worst['sizes']}, batch {worst['batch']}, {worst['dtype']}"
    middle = statistics.median(_ratio(row, other) for row in judged)
    return f"{text}: reached in {reached} of {len(judged)}; median {middle:.2f}, worst {_ratio(worst, other):.2f} ({where})"


def _table(rows: list[Row]) -> Iterator[str]:
    others = [FORWARD, PLAIN, TORCH, "torch.compile", "torch by hand", "jax.jit autodiff", "jax.jit by hand"]
    yield "| network | batch | by hand, µs | " + " | ".join(f"÷ {name}" for name in others) + " |"
    yield "|---" + "|--:" * (2 + len(others)) + "|"
    for row in rows:
        cells = [f"{_ratio(row, name):.2f}" if name in row["seconds"] else "" for name in others]
        micro = 1e6 * row["seconds"]["by hand"]
        yield f"| {row['sizes']} | {row['batch']} | {micro:,.0f} | " + " | ".join(cells) + " |"


def _ratio(row: Row, other: str) -> float:
    return float(row["by hand / other"][other])


def _environment() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "jax"))
    return f"Python {platform.python_version()}, {packages}, {platform.machine()}"


def _cases(quick: bool) -> Iterator[Case]:
    for sizes in SIZES[:3] if quick else SIZES:
        for dtype in DTYPES:
            for batch in (1, 256) if quick else BATCHES:
                yield make(sizes, batch, dtype)


def main() -> None:
    """Run, print the page, and keep the results unless --quick."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three networks, two batches, nothing written")
    quick = parser.parse_args().quick
    rounds = 7 if quick else 15
    torch.set_num_threads(1)
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # no waiting for another thread to be scheduled
    rows = [measure(case, rounds) for case in _cases(quick)]
    page = document(rows, rounds)
    print(page)
    if not quick:
        record = {"environment": _environment(), "rounds": rounds, "rows": rows}
        for path, text in ((JSON, json.dumps(record, indent=1) + "\n"), (TABLE, page)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


if __name__ == "__main__":
    main()
