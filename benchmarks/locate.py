"""How many evaluations name the wrong entries of a gradient, and whether they are the right ones.

    python benchmarks/locate.py                     # everything, an hour: writes the JSON and the Markdown page
    python benchmarks/locate.py --largest 10000 --trials 4      # smaller and fewer: prints, writes nothing

Every trial draws the function's constants, the point, the wrong entries and the probes anew from its number.
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from gradproof.arrays import HostArray
from gradproof.judging.probed import Probed
from gradproof.judging.probes import Probes
from gradproof.locating import by_values
from gradproof.locating.scope import Scope
from gradproof.locating.search import Search
from gradproof.numeric.climb import climb
from gradproof.numeric.probe import coordinate_probe, sign_probe
from gradproof.numeric.sampling import sampler_for
from gradproof.point import take_point
from gradproof.verdict import Estimate
from located_ground import GROUNDS, NETWORKS, Drawn, central_evaluations, gradcheck, leaf
from located_page import WAYS, Dense, Peer, Row, Trial, document

ROOT = Path(__file__).parents[1]
JSON, PAGE = ROOT / "benchmarks/results/locate.json", ROOT / "docs/benchmarks/locate.md"
MOST = 400
"""Evaluations after which a search is given up."""

ROUNDOFF = 2.0**-51
"""Of the claims' entries, relative: the bar that they come with."""


@dataclass(frozen=True)
class Plan:
    """One row of the table."""

    ground: str
    entries: int
    wrong: int
    size: float
    """Relative error of a wrong entry."""
    trials: int


SMALL = tuple(
    Plan(ground, 10_000, wrong, size, 50)
    for wrong, size in ((1, 1e-3), (1, 1e-4), (3, 1e-3), (10, 1e-3))
    for ground in GROUNDS
    if ground != "network"
)
OF_NETWORK = tuple(Plan("network", n, wrong, 1e-3, 50) for n in NETWORKS for wrong in (1, 10))
SEPARABLE, COUPLED = list(GROUNDS)[:2]
# A trial with 10⁷ entries takes one to three minutes.
LARGE = tuple(
    Plan(ground, n, wrong, 1e-3, trials)
    for n, of_ground in ((10**6, {SEPARABLE: 13, COUPLED: 12}), (10**7, {SEPARABLE: 3, COUPLED: 2}))
    for wrong in (1, 10)
    for ground, trials in of_ground.items()
)


def mistaken(plan: Plan, number: int) -> tuple[Drawn, HostArray, HostArray]:
    """A function, its gradient with some entries off, and the numbers of these."""
    rng = np.random.default_rng([number, plan.entries, plan.wrong])
    drawn = GROUNDS[plan.ground](rng, plan.entries)
    bad = rng.choice(np.flatnonzero(drawn.gradient), plan.wrong, replace=False)
    claim = drawn.gradient.copy()
    claim[bad] *= 1 + plan.size
    return drawn, claim, bad


def probes_of(drawn: Drawn, number: int) -> Probes:
    """Fresh probes of the function."""
    sampler = sampler_for(drawn.fun, take_point(drawn.x, drawn.args))
    return Probes(sampler, np.random.default_rng(10_000 + number))


def trial(plan: Plan, number: int) -> Trial:
    """One gradient with mistakes: searched after a check, and again on its own."""
    drawn, claim, bad = mistaken(plan, number)
    estimate, planted = Estimate(claim, ROUNDOFF * np.abs(claim)), set(map(int, bad))
    probes, beside = probes_of(drawn, number), probes_of(drawn, 5_000 + number)
    joint, first = probes.joint, beside.along(beside.draw(sign_probe))
    found, seconds = _reported(probes, estimate)
    answers = (found, _searched(probes, estimate, joint[:2]), _searched(beside, estimate, [first]))
    missed = [
        [
            (e, abs(float(claim[e] - drawn.gradient[e])), _bar(probes, estimate, e))
            for e in sorted(planted - answer.entries)
        ]
        for answer in answers
    ]
    return Trial(
        evaluations=tuple(answer.evaluations for answer in answers),
        exact=tuple(answer.complete and answer.entries == planted for answer in answers),
        seen=tuple(all(error > bar for _, error, bar in misses) for misses in missed),
        innocent=sum(len(answer.entries - planted) for answer in answers),
        relative_seconds=seconds / _time_of_one(drawn),
        missed=tuple(
            f"trial {number}, {way}: entry {e} off by {error:.1e}, its own bar {bar:.1e}; {answer.says}"
            for way, answer, misses in zip(WAYS, answers, missed, strict=True) for e, error, bar in misses
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class _Answer:
    """What was found."""

    entries: set[int]
    complete: bool
    """Whether these are said to be all."""
    evaluations: int
    says: str


def _reported(probes: Probes, estimate: Estimate) -> tuple[_Answer, float]:
    """What a report says after a check."""
    start = time.perf_counter()
    located = by_values("hand", 0, [estimate], probes)
    seconds = time.perf_counter() - start
    if located is None:
        return _Answer(set(), complete=False, evaluations=0, says="nothing"), seconds
    place = located.location
    entries = {int(index[0]) for index in place.entries}
    return _Answer(entries, place.count == len(entries), place.evaluations, place.where), seconds


def _searched(probes: Probes, estimate: Estimate, whole: Sequence[Probed]) -> _Answer:
    """What the search alone finds, its ladders counted."""
    search = Search(probes, [estimate], Scope(probes.sampler.point, [0]), whole, MOST)
    complete = search.run()
    says = "taken for dense" if search.dense else "complete" if complete else "given up"
    evaluations = search.reader.evaluations + sum(p.line.evaluations for p in whole)
    return _Answer(set(search.found), complete, evaluations, says)


def _bar(probes: Probes, estimate: Estimate, entry: int) -> float:
    """How far the error of one entry can be off that its own ladder tells."""
    slope = climb(probes.line(coordinate_probe(probes.sampler.point, 0, (entry,))))
    return float(slope.bar[0]) / float(probes.sampler.point.sizes[0][entry]) + float(estimate.bar[entry])


def _time_of_one(drawn: Drawn) -> float:
    """Seconds of one evaluation: the least of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        drawn.fun(drawn.x, *drawn.args)
        times.append(time.perf_counter() - start)
    return min(times)


SHAPE = (60, 80)


def patterns(rng: np.random.Generator) -> dict[str, tuple[HostArray, str]]:
    """Dense mistakes in a leaf of 60 × 80: the entries, and the words that are due, as a regular expression."""
    rows, columns = np.indices(SHAPE)
    return {
        "a row": (rows == 7, "^row 7$"),
        "a column": (columns == 11, "^column 11$"),
        "a block": ((rows >= 10) & (rows < 30) & (columns >= 20) & (columns < 45), "^rows 10:30 × columns 20:45$"),
        "every second entry": (columns % 2 == 1, "^every second entry$"),
        "every entry": (rows >= 0, "^every entry$"),
        "half of them, at random": (rng.random(SHAPE) < 0.5, r"^about \d\d% of the entries$"),
        "a hundredth, at random": (rng.random(SHAPE) < 0.01, r"entries"),
    }  # fmt: skip


def dense(trials: int) -> list[Dense]:
    """What is said where many entries are wrong, by 1e-3 of themselves or so."""
    results = {name: Dense(name, words) for name, (_, words) in patterns(np.random.default_rng(0)).items()}
    for number in range(trials):
        rng = np.random.default_rng([77, number])
        drawn = leaf(rng, SHAPE)
        for name, (wrong, _) in patterns(rng).items():
            claim = np.where(wrong, drawn.gradient * (1 + 1e-3 * rng.normal(size=SHAPE)), drawn.gradient)
            estimate = Estimate(claim, ROUNDOFF * np.abs(claim))
            located = by_values("hand", 0, [estimate], probes_of(drawn, number))
            results[name].add(located.location if located else None, wrong)
    return list(results.values())


def peers() -> Iterator[Peer]:
    """What others need for one wrong entry."""
    for ground, n in (("network", 785), (SEPARABLE, 10_000)):
        for size in (1e-3, 1e-1):
            drawn, claim, bad = mistaken(Plan(ground, n, 1, size, 1), 0)
            calls, says = gradcheck(drawn, claim)
            yield Peer(ground, n, size, calls, central_evaluations(n), says, int(bad[0]))


def rows(plans: Sequence[Plan], trials: int | None) -> Iterator[Row]:
    """Every row of the table, in turn."""
    for plan in plans:
        count = plan.trials if trials is None else min(trials, plan.trials)
        row = Row(plan.ground, plan.entries, plan.wrong, plan.size, [])
        for number in range(count):
            row.trials.append(trial(plan, number))
        print(
            f"# {row}", *(m for t in row.trials for m in t.missed), sep="\n#   ", file=sys.stderr, flush=True
        )
        yield row


def main() -> None:
    """Run, print the page, and keep the results unless only a part was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, help="most parameters; nothing is written")
    parser.add_argument("--trials", type=int, help="most trials of a row; nothing is written")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    chosen = [p for p in (*SMALL, *OF_NETWORK, *LARGE) if p.entries <= (options.largest or np.inf)]
    measured = list(rows(chosen, options.trials))
    of_leaf = dense(min(options.trials or 20, 20))
    others = list(peers()) if options.trials is None else []
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch"))
    environment = f"Python {platform.python_version()}, {packages}, {platform.machine()}"
    text = document(measured, of_leaf, others, environment, time.perf_counter() - start)
    print(text)
    if options.largest is None and options.trials is None:
        record = {
            "environment": environment,
            "rows": [row.as_json() for row in measured],
            "dense": [vars(one) for one in of_leaf],
            "peers": [vars(one) | {"says": one.says[:200]} for one in others],
        }
        for path, content in ((JSON, json.dumps(record, indent=1, ensure_ascii=False) + "\n"), (PAGE, text)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)


if __name__ == "__main__":
    main()
