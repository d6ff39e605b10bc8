"""Do the numeric source's bars hold? Slopes from function values alone against the true ones, over many functions.

    python benchmarks/accuracy.py                              # everything: writes the JSON and the Markdown table
    python benchmarks/accuracy.py --quick                      # 10 points of every family: writes nothing
    python benchmarks/accuracy.py --only "name" --index 17     # one point of one family, in detail

At every point the function's own constants, the point and the probe are drawn anew. The truth is a one-sided difference
of the same function in 110 digits, from both sides, at the very numbers that the function was given.
"""

import os

# One thread for everything, before NumPy loads its BLAS.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import json
import platform
import time
import warnings
import zlib
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from mpmath import mp

from accuracy_report import Reading, Result, document, plain, row
from families import Family, families
from families.arithmetic import placed, programme, rounded, true_slopes
from gradproof.numeric import climb
from gradproof.numeric.probe import sign_probe
from gradproof.numeric.sampling import sampler_for
from gradproof.point import take_point

ROOT = Path(__file__).parents[1]
JSON, TABLE = ROOT / "benchmarks/results/accuracy.json", ROOT / "docs/benchmarks/accuracy.md"
RESOLUTION = {"float64": 1e-3, "float32": 1e-3, "float16": 0.5, "bfloat16": 0.5}
"""A bar wider than this share of the slope decides nothing."""


def measured(fun: Callable[[Any], Any], x: Any, rng: np.random.Generator) -> tuple[dict[str, Any], list[Any]]:
    """The numeric source's slope of `fun` at `x` along a random probe, and the probe. All that touches gradproof."""
    sampler = sampler_for(fun, take_point(x, ()))
    line = sampler.line(sign_probe(sampler.point, rng, sampler.placement.unit_roundoff))
    slope = climb(line)
    flags = {
        "non-deterministic": bool(np.isinf(line.spread)),
        "jump": bool(slope.broken[0]),
        "domain": bool(slope.outside[0]),
        "stairs": bool(slope.stairs[0]),
        "kink": bool(slope.kink[0]),
    }
    found = {
        "value": float(slope.value[0]),
        "bar": float(slope.bar[0]),
        "flat": bool(slope.constant[0]),
        "reason": next((name for name, raised in flags.items() if raised), ""),
        "evaluations": line.evaluations,
    }
    return found, [np.asarray(line.probe[i]) for i in range(len(sampler.point.leaves))]


def reading(item: Family, index: int, seed: int) -> Reading:
    """Point number `index` of a family: the slope, its bar, and how far it is off."""
    rng = np.random.default_rng([seed, zlib.crc32(item.name.encode()), index])
    x, *drawn = (rounded(value, item.precision) for value in item.draw(rng))
    fun = programme(item.fun, tuple(drawn), item.precision)
    with np.errstate(all="ignore"):
        found, probe = measured(fun, placed(x, item.precision), rng)
    truths = true_slopes(item.fun, x, probe if isinstance(x, list) else probe[0], tuple(drawn))
    reason = found["reason"]
    enough = RESOLUTION[item.precision] * abs(found["value"])
    if not reason and not found["flat"] and not found["bar"] <= enough:
        reason = "resolution"
    finite = np.isfinite([found["value"], found["bar"]]).all()
    return Reading(
        index=index,
        reason=reason,
        value=found["value"],
        bar=found["bar"],
        error=max((float(abs(found["value"] - t)) for t in truths), default=np.inf) if finite else np.inf,
        truth=float(truths[-1]) if truths else np.nan,
        evaluations=found["evaluations"],
    )


def detail(item: Family, index: int, seed: int) -> str:
    """One point, in full."""
    rng = np.random.default_rng([seed, zlib.crc32(item.name.encode()), index])
    drawn = [rounded(value, item.precision) for value in item.draw(rng)]
    found = reading(item, index, seed)
    lines = [f"{item.name}: {item.formula}", f"x = {drawn[0]!r}", *(f"constant {c!r}" for c in drawn[1:])]
    return "\n".join([*lines, *(f"{key} = {value!r}" for key, value in asdict(found).items())])


def environment() -> str:
    """Versions of what was measured with."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "mpmath", "torch"))
    return f"Python {platform.python_version()}, {packages}, {platform.machine()}"


def main() -> None:
    """Run, print the table, and keep the results unless told otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--points", type=int, default=200, help="of every family; fewer than 200: nothing written"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="the family of this name, or those whose names contain it")
    parser.add_argument("--index", type=int, help="this point alone, in detail; nothing written")
    parser.add_argument("--quick", action="store_true", help="10 points of every family, nothing written")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # overflow and invalid values are part of the ground
    exactly = [item for item in families() if item.name == options.only]
    chosen = exactly or [item for item in families() if options.only in item.name]
    if options.index is not None:
        print("\n\n".join(detail(item, options.index, options.seed) for item in chosen))
        return
    count = 10 if options.quick else options.points
    start, results = time.process_time(), []
    for item in chosen:
        results.append((item, [reading(item, i, options.seed) for i in range(count)]))
        print(plain(*results[-1]), flush=True)
    heading = f"{count} points of each of {len(chosen)} families, seed {options.seed}. {environment()}."
    page = document(results, heading, str(JSON.relative_to(ROOT)))
    print(f"\n{page}\nprocessor time: {time.process_time() - start:.0f} s, digits of the truth: {mp.dps}")
    if count >= parser.get_default("points") and not options.only:
        _keep(results, heading, page)


def _keep(results: list[Result], heading: str, page: str) -> None:
    record = {"heading": heading, "families": [row(*result) for result in results]}
    for path, text in ((JSON, json.dumps(record, indent=1) + "\n"), (TABLE, page)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
