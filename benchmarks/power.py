"""Faults found and false alarms on PyTorch's own operator database, beside other gradient checkers.

    python benchmarks/power.py                  # all precisions, hours: writes the JSON and the Markdown page
    python benchmarks/power.py --dtype float64  # one precision: its part of both is renewed
    python benchmarks/power.py --quick          # a tenth of the operators, one sample each: prints, writes nothing

PyTorch's gradient is the claim: as it is it must not be refused, with a mistake made in it it must be. The slopes of one
sample are shared by all claims, as `check` shares them among sources.
"""

import os

# One thread for everything, before NumPy loads its BLAS.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import json
import platform
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from corruptions import Mistake, mistakes, none_made
from judging import Ruling, verdicts
from known import evidence, really_wrong
from operators import PRECISIONS, Case, LeftOut, cases
from page import OURS, SHARED, Result, opening, section
from peers import LARGEST, PEERS, accepts
from tally import AGREES, DISAGREES, ERROR

ROOT = Path(__file__).parents[1]
JSON, PAGE = ROOT / "benchmarks/results/power.json", ROOT / "docs/benchmarks/power.md"
SECONDS = 60
"""For one checker on one sample with all its mistakes; what takes longer counts as an error."""


PEERS_EVERY = 4
"""Operators, of which one is put before the peers as well: they take five times as long."""


class TookTooLong(BaseException):
    """Not an Exception: the checkers catch those, as points where the function is not defined."""


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Interrupts what outlasts `seconds`. An alarm is the only way to end a call of a library that hangs."""

    def ring(*_: Any) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def measure(precision: str, options: argparse.Namespace) -> Result:
    """All cases of one precision."""
    result = Result(precision, options.samples, options.seed)
    start, met = time.perf_counter(), set[str]()
    drawn = cases(precision, options.samples, options.seed, only=options.only, every=options.every)
    for count, case in enumerate(drawn, 1):
        if count % 50 == 0:
            _say(f"{count} samples, {time.perf_counter() - start:.0f} s: {dict(result.tallies[OURS].right)}")
        if isinstance(case, LeftOut):
            result.left_out[case.reason] += 1
            continue
        small = max(case.size, case.outputs) <= LARGEST and precision != "lifted"
        beside_peers = small and case.operator not in met
        met |= {case.operator} if beside_peers else set()
        beside_peers = beside_peers and options.peers and len(met) % PEERS_EVERY == 0
        judge(case, result, options, beside_peers=beside_peers)
    result.seconds = time.perf_counter() - start
    return result


def judge(case: Case, result: Result, options: argparse.Namespace, *, beside_peers: bool) -> None:
    """One case before all checkers: the right claim, and if it is accepted every mistaken one."""
    rng = np.random.default_rng([options.seed, *case.name.encode()])
    gradient = case.pull(case.params, case.cotangent(rng))
    made = [] if options.right_only else list(mistakes(gradient, case.leaves, rng))
    wrong = really_wrong(case)
    if wrong:
        result.discrepancies[case.name] = str(wrong)
    ours = [OURS, SHARED] if beside_peers else [OURS]
    with _allowed(ours, case, result):
        _by_us(case, made, result, ours, rng)
    for peer in PEERS if beside_peers else ():
        with _allowed([peer], case, result):
            _by_peer(peer, case, made, result)


@contextmanager
def _allowed(checkers: Sequence[str], case: Case, result: Result) -> Iterator[None]:
    """Times what is inside, ends it when it takes too long, and notes an error of these checkers if it raises."""
    start = time.perf_counter()
    try:
        with at_most(SECONDS):
            yield
    except (Exception, TookTooLong) as error:
        _note_error(case, checkers, error, result)
    for checker in checkers:
        result.tallies[checker].seconds += time.perf_counter() - start


def _by_us(
    case: Case, made: Sequence[Mistake], result: Result, names: Sequence[str], rng: np.random.Generator
) -> None:
    """gradproof on one case."""
    rulings = verdicts(case, made, rng)
    _, right = next(rulings)
    for name in names:
        _claims(name, case, result)[right.verdict.name] += 1
    result.costs.evaluations["probe"] += right.per_probe
    if right.verdict.name != AGREES:
        _note_ruling(case, right, result)
        return
    result.costs.evaluations["agreed"].append(right.evaluations)
    judged = {mistake.name: ruling for mistake, ruling in rulings if mistake}
    for mistake, ruling in judged.items():
        for name in names:
            result.tallies[name].found[mistake][ruling.verdict.name] += 1
        result.costs.add_excess(ruling.excess, ruling.verdict.name)
    first = next(iter(judged.values()), right)
    if first.verdict.name == DISAGREES:  # it cost what it would have as the only claim
        result.costs.evaluations["refused"].append(first.evaluations)
    result.missed += _missed(case, judged)


def _missed(case: Case, judged: dict[str, Ruling]) -> Iterator[str]:
    """Of every kind the largest mistake that was not refused."""
    kinds = set[str]()
    for mistake, ruling in judged.items():
        kind = mistake.partition(" ")[0]
        if ruling.verdict.name != DISAGREES and kind not in kinds:
            kinds.add(kind)
            what = f"{ruling.verdict.name} {ruling.reason}".strip()
            yield f"{case.name}: {mistake}: {what}, gap {ruling.excess:.2g} × bar"


def _by_peer(peer: str, case: Case, made: Sequence[Mistake], result: Result) -> None:
    """A peer on one case; of a kind of mistake in falling sizes it is not asked again after a miss."""
    tally = result.tallies[peer]
    accepted = accepts(peer, case, none_made)
    _claims(peer, case, result)[AGREES if accepted else DISAGREES] += 1
    missed = set[str]()
    for mistake in made if accepted else ():
        passes = mistake.kind in missed or accepts(peer, case, mistake.made_in)
        tally.found[mistake.name][AGREES if passes else DISAGREES] += 1
        if passes and mistake.size is not None:
            missed.add(mistake.kind)


def _claims(checker: str, case: Case, result: Result) -> Counter[str]:
    tally = result.tallies[checker]
    return tally.wrong if case.name in result.discrepancies else tally.right


def _note_ruling(case: Case, ruling: Ruling, result: Result) -> None:
    """Keep a right claim that did not agree, with what central differences say if it was refused."""
    line = f"{case.name}: {ruling.verdict.name} {ruling.reason} {ruling.figures}"
    result.reasons[f"{ruling.verdict.name} {ruling.reason}"] += 1
    if ruling.verdict.name == DISAGREES and case.name not in result.discrepancies:
        line += f"; {evidence(case)}"
    result.listed.append(line)
    _say(line)


def _note_error(case: Case, checkers: Sequence[str], error: BaseException, result: Result) -> None:
    for checker in checkers:
        _claims(checker, case, result)[ERROR] += 1
    line = (
        f"{case.name}: {checkers[0]}: {type(error).__name__} {next(iter(str(error).splitlines()), '')[:90]}"
    )
    if OURS in checkers:
        result.listed.append(line)
    _say(line)


def _say(line: str) -> None:
    print(f"# {line}", file=sys.stderr, flush=True)


def write(results: Sequence[Result]) -> None:
    """Renew these precisions in the record, and the page from all that it holds."""
    record = json.loads(JSON.read_text()) if JSON.exists() else {"precisions": {}}
    record["environment"] = _environment()
    for result in results:
        record["precisions"][result.precision] = result.as_json() | {"section": section(result)}
    held = [record["precisions"][name]["section"] for name in PRECISIONS if name in record["precisions"]]
    page = "\n".join([opening(_environment()), *held])
    for path, text in ((JSON, json.dumps(record, indent=1) + "\n"), (PAGE, page)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _environment() -> str:
    names = ("numpy", "torch", "jax", "scipy", "autograd")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return f"Python {platform.python_version()}, {packages}, {platform.machine()}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=["all", *PRECISIONS], default="all")
    parser.add_argument("--samples", type=int, default=4, help="per operator")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="operators whose name contains this; nothing written")
    parser.add_argument("--right-only", action="store_true", help="no mistakes; nothing written")
    parser.add_argument("--quick", action="store_true", help="a tenth of it; nothing written")
    parser.add_argument(
        "--no-peers", action="store_false", dest="peers", help="gradproof alone; nothing written"
    )
    options = parser.parse_args()
    options.every = 10 if options.quick else 1
    options.samples = 1 if options.quick else options.samples
    return options


def main() -> None:
    """Run, print the page, and keep the results of a complete run."""
    options = _options()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    chosen = PRECISIONS if options.dtype == "all" else [options.dtype]
    results = [measure(precision, options) for precision in chosen]
    print(opening(_environment()))
    for result in results:
        print(section(result))
    if options.peers and not (options.quick or options.only or options.right_only):
        write(results)


if __name__ == "__main__":
    main()
