"""Time of a check against other gradient checkers: a right gradient, a wrong entry, a diagnosis, a whole gradient.

    python benchmarks/speed.py            # everything, about twenty minutes: writes the JSON and the Markdown page
    python benchmarks/speed.py --quick    # two networks, three rounds: prints the page, writes nothing

Each call of a peer is timed right after calls of gradproof, and a ratio is the median of the rounds' own ratios, so that
what else the machine does falls on both sides of it.
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
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import torch

from speed_ground import CASES, Ground
from speed_measure import diagnosed, found, memory, named, right
from speed_page import SECTIONS, document
from speed_threads import threads
from speed_whole import whole

ROOT = Path(__file__).parents[1]
JSON, PAGE = ROOT / "benchmarks/results/speed.json", ROOT / "docs/benchmarks/speed.md"
ROUNDS, QUICK_ROUNDS = 7, 3
TRIALS = 40
"""Single entries that are made wrong."""
WITH_ONE_OFF = (785, 10_285, 101_770)
"""Numbers of parameters at which they are: slow gradcheck makes this the longest part."""


def sections(cases: int, rounds: int, trials: int) -> dict[str, Callable[[], list[dict[str, Any]]]]:
    """How every section of the record is measured."""
    grounds = [Ground(*case) for case in CASES[:cases]]
    sizes = (10**6, 10**7) if cases == len(CASES) else (10**6,)
    return {
        "right": lambda: [right(ground, rounds) for ground in grounds],
        "found": lambda: [found(g, trials) for g in grounds if g.size in WITH_ONE_OFF],
        "named": lambda: [named(ground, rounds) for ground in grounds],
        "diagnosed": lambda: [row for ground in grounds for row in diagnosed(ground, rounds)],
        "whole": lambda: [whole(ground, rounds) for ground in grounds],
        "memory": lambda: [memory(size) for size in sizes],
        "threads": lambda: threads(rounds, cases, 3 if cases == len(CASES) else 1),
    }


def recorded(chosen: dict[str, Callable[[], list[dict[str, Any]]]]) -> dict[str, Any]:
    """The sections, and where they were measured."""
    packages = ("numpy", "scipy", "numdifftools", "torch", "jax", "autograd")
    names = ", ".join(f"{name} {version(name)}" for name in packages)
    record: dict[str, Any] = {
        "environment": f"Python {platform.python_version()}, {names}, {platform.machine()}"
    }
    start = time.perf_counter()
    for name, measure in chosen.items():
        record[name] = measure()
        record["minutes"] = (time.perf_counter() - start) / 60
        print(f"# {name} after {record['minutes']:.1f} minutes", file=sys.stderr, flush=True)
    return record


def main() -> None:
    """Run, print the page, and keep the results unless only a part was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two networks, three rounds, nothing written")
    parser.add_argument("--only", choices=SECTIONS, help="one section, nothing written")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    jax.config.update("jax_enable_x64", val=True)
    torch.set_num_threads(1)
    plan = (2, QUICK_ROUNDS, 5) if options.quick else (len(CASES), ROUNDS, TRIALS)
    chosen = sections(*plan)
    record = recorded({options.only: chosen[options.only]} if options.only else chosen)
    # The page is made from what the file holds, so that they cannot differ.
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    page = document(json.loads(text))
    print(page)
    if not (options.quick or options.only):
        for path, content in ((JSON, text), (PAGE, page)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)


if __name__ == "__main__":
    main()
