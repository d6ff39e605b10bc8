"""Are ports that are equal proven equal, and is a mistake found where it begins and called by its name?

    python benchmarks/ports.py                      # everything: writes the JSON and the Markdown page
    python benchmarks/ports.py --only attention     # pairs and mistakes of such names: prints, writes nothing

The modules are those of the tests (tests/ports_zoo), written as their users write them. Equal pairs have weights of their
own on each side. Every mistake is planted twice: into a port that holds the reference's weights, copied by hand, and into
one that has its own, where the layout has to be found despite the mistake.
"""

import os

# One thread for everything, before NumPy loads its BLAS.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import json
import platform
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from gradproof.verdict import Verdict
from ports_page import Equal, page, record
from ports_zoo.eqx_pairs import EQUINOX, LINEN
from ports_zoo.pairs import PAIRS, Pair
from ports_zoo.plants import CONVENTIONS, PLANTS
from ports_zoo.trial import Trial, proven, same_layout, trial

ROOT = Path(__file__).parents[1]
JSON, PAGE = ROOT / "benchmarks/results/ports.json", ROOT / "docs/benchmarks/ports.md"
PACKAGES = ("numpy", "torch", "jax", "flax", "equinox")


def equals(only: str) -> Iterator[Equal]:
    """Every equal pair."""
    for pair in (*PAIRS.values(), *EQUINOX.values(), *LINEN.values()):
        if only in pair.name:
            one = _equal(pair)
            _tell(f"{one.pair}: {one.verdict}, {one.detail}", bad=one.verdict != Verdict.AGREES.value)
            yield one


def _equal(pair: Pair) -> Equal:
    started = time.perf_counter()
    ports, report = proven(pair)
    seconds = time.perf_counter() - started
    one = report.compared["jax"]
    return Equal(
        pair=pair.name,
        verdict=report.verdict.value,
        detail=one.detail,
        parameters=report.ports["torch"].parameters,
        nodes=sum(bool(row.key and row.other) for row in one.rows),
        by_hand=same_layout(pair, ports, one.layout),
        runs=sum(result.runs for result in report.ports.values()),
        seconds=seconds,
    )


def trials(only: str) -> Iterator[Trial]:
    """Every mistake, in both kinds of weights where it is not one of the weights."""
    for plant in (*PLANTS.values(), *CONVENTIONS.values()):
        for copied in (True, False) if plant.spoil is None else (True,):
            if only in plant.name:
                one = trial(plant, copied=copied)
                _tell(
                    f"{one.plant}, {one.weights}: {one.verdict}, {one.first}, {one.said}",
                    bad=not (one.placed and one.named),
                )
                yield one


def _tell(text: str, *, bad: bool) -> None:
    if bad:
        print(f"# {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Run, print the page, and keep the results unless only a part was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", default="", help="pairs and mistakes whose names contain it; nothing is written"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    pairs, planted = list(equals(options.only)), list(trials(options.only))
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    environment = f"Python {platform.python_version()}, {packages}, {platform.machine()}"
    text = page(pairs, planted, environment, time.perf_counter() - start)
    print(text)
    if not options.only:
        kept = record(pairs, planted, environment)
        for path, content in ((JSON, json.dumps(kept, indent=0, ensure_ascii=False) + "\n"), (PAGE, text)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)


if __name__ == "__main__":
    main()
