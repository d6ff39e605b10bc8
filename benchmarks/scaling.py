"""The cost model of a check and of a sweep: its constants, measured, and what they come to on a hundred machines.

    python benchmarks/scaling.py            # everything, about ten minutes: writes the JSON and the Markdown page
    python benchmarks/scaling.py --only sweep crash     # these sections again, the others from the JSON
    python benchmarks/scaling.py --quick    # small sizes, a round each: prints the page, writes nothing

What one thread does is measured in processor time, what workers do in wall time; all that counts is a median or a ratio.
"""

import os

# One thread for everything, before NumPy loads its BLAS: otherwise the number of cores is measured.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from scaling_checks import one, refuted
from scaling_engines import cores, engines
from scaling_page import document
from scaling_sweeps import crash, large, one_off, spread, structure, swept

ROOT = Path(__file__).parents[1]
JSON, PAGE = ROOT / "benchmarks/results/scaling.json", ROOT / "docs/scaling.md"

CHECKS = (
    ("numpy", 100, "float64", 30), ("numpy", 10**4, "float64", 20), ("numpy", 10**6, "float64", 5),
    ("numpy", 10**7, "float64", 2), ("torch", 10**6, "float64", 5), ("torch", 10**6, "float32", 5),
    ("jax", 10**6, "float64", 5), ("jax", 10**6, "float32", 5), ("torch", 10**7, "float64", 1),
    ("torch", 10**7, "float32", 1), ("jax", 10**7, "float64", 1),
)  # fmt: skip
"""Framework, parameters, their dtype, rounds."""
QUICK_CHECKS = (("numpy", 100, "float64", 3), ("numpy", 10**6, "float64", 1))

SLEEPS = {0.05: (2, 4, 8, 16), 0.2: (2, 4, 8, 16), 1.0: (8,)}
"""Numbers of workers by the seconds of an evaluation; with 1 s one of them takes as long as all others."""

Record = dict[str, Any]


def sections(quick: bool) -> dict[str, Callable[[Record], Any]]:
    """How every section of the record is measured, given those before it."""
    rounds, crews = (1, {0.05: (2, 4)}) if quick else (3, SLEEPS)
    return {
        "checks": lambda _: [one(*row) for row in (QUICK_CHECKS if quick else CHECKS)],
        "refuted": lambda _: [row for size in (100, 10**5) for row in refuted(size, rounds)],
        "engines": lambda _: list(engines(rounds)),
        "structure": lambda _: [structure(100, np.cos), structure(100, one_off), structure(10**5, np.cos)],
        "spread": lambda so_far: [spread(s, counts, so_far["structure"][0]) for s, counts in crews.items()],
        "sweep": lambda _: swept(5 if quick else 25, rounds),
        "large": lambda _: large(rounds),
        "crash": lambda _: crash(rounds),
    }


def recorded(chosen: dict[str, Callable[[Record], Any]], known: Record) -> Record:
    """The sections, and where they were measured; what is not chosen stays as it is `known`."""
    names = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "jax", "loky", "distributed"))
    where = f"Python {platform.python_version()}, {names}, {platform.machine()}, {cores()} cores"
    record: Record = {**known, "environment": where}
    start, before = time.perf_counter(), known.get("minutes", 0.0)
    for name, measure in chosen.items():
        record[name] = measure(record)
        record["minutes"] = before + (time.perf_counter() - start) / 60
        print(f"# {name} after {record['minutes']:.1f} minutes", file=sys.stderr, flush=True)
    return record


def one_thread() -> None:
    """Of the frameworks, too."""
    import jax
    import torch

    torch.set_num_threads(1)
    jax.config.update("jax_enable_x64", val=True)
    jax.config.update("jax_cpu_enable_async_dispatch", val=False)


def main() -> None:
    """Run, print the page, and keep the results unless --quick."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, a round each, nothing written")
    parser.add_argument(
        "--only", nargs="+", default=[], choices=tuple(sections(False)), help="sections to measure again"
    )
    given = parser.parse_args()
    quick, only = given.quick, given.only
    if not quick:
        one_thread()
    # The page is made from what the file holds, so that they cannot differ.
    known = json.loads(JSON.read_text(encoding="utf-8")) if only else {}
    chosen = {name: measure for name, measure in sections(quick).items() if not only or name in only}
    text = json.dumps(recorded(chosen, known), indent=1, ensure_ascii=False) + "\n"
    page = document(json.loads(text))
    print(page)
    if not quick:
        for path, content in ((JSON, text), (PAGE, page)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
