"""Does the first diagnosis name the mistake? Every planted fault, on the project's problems and on fresh functions.

    python benchmarks/diagnose.py                    # everything: writes the JSON and the Markdown page
    python benchmarks/diagnose.py --only "gates" --sources numeric,hand   # the problems of such names: prints, writes nothing

The faults name their right codes. Whether what is said is so is judged apart from that, by the right gradient
(mistakes_truth.py). Mistakes that are in no catalogue are planted as well: there, every answer that is not so is wrong.
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
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from pkgutil import iter_modules

import gradproof.faults
from gradproof.check import check_problem
from gradproof.course import course_problem
from gradproof.faults import FAULTS, Fault
from gradproof.problems import PROBLEMS, Problem
from gradproof.verdict import Diagnosis, Reason, Verdict
from mistakes_ground import FRESH
from mistakes_page import AMONG, FAILED, FALSE, FIRST, NONE, PASSED, TRUE, Trial, line, page, record
from mistakes_truth import Truth
from mistakes_unknown import UNKNOWN

ROOT = Path(__file__).parents[1]
JSON, PAGE = ROOT / "benchmarks/results/diagnose.json", ROOT / "docs/benchmarks/diagnose.md"
SETS = (("numeric", "hand"), ("numeric", "hand", "jax"))
OWN = (course_problem(1.0), *PROBLEMS)
PLACES = ("GP108", "GP123")


def kinds() -> dict[str, str]:
    """From a fault's name to the module that holds it."""
    found: dict[str, str] = {}
    for module in iter_modules(gradproof.faults.__path__):
        for value in vars(import_module(f"gradproof.faults.{module.name}")).values():
            if isinstance(value, tuple) and value and all(isinstance(item, Fault) for item in value):
                found |= {fault.name: module.name for fault in value}
    return found


def trial(ground: str, kind: str, fault: Fault, problem: Problem, sources: Sequence[str]) -> Trial | None:
    """One fault in one problem; None where it cannot be planted."""
    planted, beside = fault.plant(problem), fault.plant(problem)  # some keep a memory: one to look at
    if planted is None or beside is None:
        return None
    at = (ground, " + ".join(sources), kind, fault.name, problem.name)
    truth = Truth.of(problem, beside)
    try:
        report = check_problem(planted, sources=sources)
    except Exception as error:
        return Trial(*at, FAILED, (repr(error)[:200],), (), 0, only_place=False, evaluations=0)
    told = [d for d in report.diagnoses if d.source == "hand"]
    places = [place for place in report.locations if place.source == "hand"]
    holds = [None if truth is None else truth.holds(d, places) for d in told]
    codes = fault.codes
    if problem.vjp and fault.of_vjp is Reason.NOT_LINEAR:
        codes = (*codes, "GP129")
    outcome = _outcome(told, holds, codes) if report.verdict is Verdict.DISAGREES else PASSED
    return Trial(
        *at, outcome,
        tuple(f"{d.code} {d.says} [{_word(h)}]" for d, h in zip(told, holds, strict=True)),
        tuple(f"{place.leaf}: {place.where}" for place in places),
        sum(h is False for h in holds),
        only_place=bool(told) and all(d.code in PLACES for d in told),
        evaluations=report.sources["numeric"].calls,
    )  # fmt: skip


def _outcome(told: Sequence[Diagnosis], holds: Sequence[bool | None], codes: Sequence[str]) -> str:
    if not told:
        return NONE
    if told[0].code in codes:
        return FIRST if holds[0] is not False else FALSE
    if holds[0] is False:
        return FALSE
    if any(d.code in codes for d in told):
        return AMONG
    return TRUE if holds[0] else FALSE


def _word(holds: bool | None) -> str:
    return {None: "not judged", True: "holds", False: "DOES NOT HOLD"}[holds]


def trials(sets: Iterable[Sequence[str]], only: str, named: str) -> Iterator[Trial]:
    """Every fault in every problem, then the mistakes without a name."""
    of_kind = kinds()
    for sources in sets:
        for ground, problems in (("own", OWN), ("fresh", FRESH)):
            for problem in (p for p in problems if only in p.name):
                _must_agree(problem, sources)
                for fault in (f for f in FAULTS.values() if named in f.name):
                    yield from _told(trial(ground, of_kind[fault.name], fault, problem, sources))
        for problem in (p for p in (*OWN, *FRESH) if only in p.name and p.vjp is None):
            for fault in (f for f in UNKNOWN if named in f.name):
                yield from _told(trial("unknown", "unknown", fault, problem, sources))


def _must_agree(problem: Problem, sources: Sequence[str]) -> None:
    report = check_problem(problem, sources=sources)
    if report.verdict is not Verdict.AGREES:
        raise RuntimeError(f"{problem.name}: its right gradient has to agree, and got\n{report}")


def _told(one: Trial | None) -> Iterator[Trial]:
    if one is None:
        return
    if one.outcome != FIRST and one.ground != "unknown":
        print(f"# {one.sources}: {line(one)}", file=sys.stderr, flush=True)
    yield one


def main() -> None:
    """Run, print the page, and keep the results unless only a part was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="problems whose names contain it; nothing is written")
    parser.add_argument("--fault", default="", help="faults whose names contain it; nothing is written")
    parser.add_argument("--sources", default="", help="one set, with commas; nothing is written")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = (tuple(options.sources.split(",")),) if options.sources else SETS
    start = time.perf_counter()
    done = list(trials(sets, options.only, options.fault))
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "jax"))
    environment = f"Python {platform.python_version()}, {packages}, {platform.machine()}"
    text = page(done, environment, time.perf_counter() - start)
    print(text)
    if not (options.only or options.fault or options.sources):
        kept = record(done, environment)
        for path, content in ((JSON, json.dumps(kept, indent=0, ensure_ascii=False) + "\n"), (PAGE, text)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)


if __name__ == "__main__":
    main()
