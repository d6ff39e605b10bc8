"""How a check spreads over workers, and what a sweep adds to its checks."""

import json
import os
import pickle
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gradproof import Problem, Sweep, check, check_problem, sweep
from gradproof.problems import PROBLEMS
from gradproof.sweeping.journal import Journal
from gradproof.sweeping.record import Swept
from scaling_checks import copied, half_square
from scaling_model import in_series, middle, sequential_share

Row = dict[str, Any]
SOURCES = ("numeric", "hand")

PARAMETERS = np.random.default_rng(0).normal(size=100)
WORTH = 0.02
"""Seconds of sleep in an evaluation from which on `check` hands evaluations over."""

LARGE = 10**6

CRASH_CASES, CRASH_SECONDS = 40, 2e-3
"""Of a sweep in which one process dies: cases, and seconds of a call, so that a case is a block."""


def sleeping(seconds: float, x: np.ndarray) -> float:
    """Σ sin x, after a nap: it costs no core, so what is left is what of a check waits for something else."""
    time.sleep(seconds)
    return float(np.sum(np.sin(x)))


def one_off(x: np.ndarray) -> np.ndarray:
    """A wrong claim."""
    return np.cos(x) * np.where(np.arange(x.size) == 7, 1.01, 1.0)


class Recorded:
    """A map that notes how many blocks it is given at once, and how many bytes it would send."""

    def __init__(self) -> None:
        self.rounds: list[int] = []
        self.work = self.block = 0

    def __call__(self, work: Callable[..., Any], blocks: Iterable[Any]) -> Iterator[Any]:
        """As `map`."""
        taken = list(blocks)
        if not self.rounds:
            self.work, self.block = len(pickle.dumps(work)), len(pickle.dumps(taken[0]))
        self.rounds.append(len(taken))
        return map(work, taken)


def structure(size: int, claim: Callable[..., Any]) -> Row:
    """Rounds of a check: evaluations that could be made at once, those that could not, bytes that would be sent."""
    x = np.resize(PARAMETERS, size)
    recorded, calls = Recorded(), [0]

    def fun(x: np.ndarray) -> float:
        calls[0] += 1
        return sleeping(WORTH, x)

    report = check(fun, x, grad=claim, sources=SOURCES, workers=recorded)
    alone = calls[0] - sum(recorded.rounds)
    return {
        "parameters": size, "verdict": report.verdict.name, "calls": calls[0], "alone": alone,
        "rounds": recorded.rounds, "work": recorded.work / size, "block": recorded.block / size,
    }  # fmt: skip


def spread(seconds: float, crews: Sequence[int], known: Row) -> Row:
    """Speed-up of a check whose function sleeps, by number of workers, in processes and in threads."""
    alone = _wall(seconds, None)
    times = {kind: {1: alone} for kind in ("processes", "threads")}
    for count in crews:
        times["processes"][count] = _wall(seconds, count)
        with ThreadPoolExecutor(count) as threads:
            times["threads"][count] = _wall(seconds, threads)
    series = {count: in_series(known["rounds"], known["alone"], count) for count in (1, *crews)}
    return {
        "sleep": seconds,
        "structure": {str(count): series[1] / n for count, n in series.items()},
        "share": {kind: sequential_share(of) for kind, of in times.items()},
        **{kind: {str(n): alone / t for n, t in of.items()} for kind, of in times.items()},
    }


def _wall(seconds: float, workers: Any) -> float:
    start = time.perf_counter()
    check(partial(sleeping, seconds), PARAMETERS, grad=np.cos, sources=SOURCES, workers=workers)
    return time.perf_counter() - start


# Sweeps


def swept(seeds: int, rounds: int) -> Row:
    """Checks of the package's own problems: rates, bytes, what their reader does, two workers over none."""
    options: dict[str, Any] = {"seeds": range(seeds), "sources": SOURCES}
    count = seeds * len(PROBLEMS)
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.jsonl"
        start = time.perf_counter()
        found = sweep(PROBLEMS, journal=journal, **options)
        seconds = time.perf_counter() - start
        lines = journal.read_text().splitlines()[1:]
        resumed = _cpu(partial(sweep, PROBLEMS, journal=journal, **options)) / count
        read = _cpu(partial(Sweep.from_json, journal)) / count
    calls = [s.report.sources["numeric"].calls for s in found]
    return {
        "checks": count, "wall": seconds / count, "calls": middle(calls), "line": _mean(lines),
        "resumed": resumed, "read": read, "kept": _memory(lines),
        **_beside_checks(options, count, rounds), **_taken(lines), **_two({**options, "seeds": range(3 * seeds)}, rounds),
    }  # fmt: skip


def _two(options: dict[str, Any], rounds: int) -> Row:
    """Two processes, their start included, over none, in turn: speed-up by the wall, and processor time of all processes."""
    speed, work = [], []
    for _ in range(rounds):
        (alone, own), (both, all_) = (
            _spent(partial(sweep, PROBLEMS, workers=workers, **options)) for workers in (None, 2)
        )
        speed.append(alone / both)
        work.append(all_ / own)
    return {"speed-up": middle(speed), "work": middle(work)}


def _spent(run: Callable[[], Any]) -> tuple[float, float]:
    """Wall time, and processor time of this process and of those that it started and that have ended."""
    start, before = time.perf_counter(), os.times()
    run()
    wall, after = time.perf_counter() - start, os.times()
    return wall, sum(after[:4]) - sum(before[:4])


def _beside_checks(options: dict[str, Any], count: int, rounds: int) -> Row:
    """Processor seconds of a check in a sweep without a journal, and of the same checks by themselves, in turn."""
    within, alone = [], []
    for _ in range(rounds):
        within.append(_cpu(partial(sweep, PROBLEMS, **options)) / count)
        alone.append(_cpu(partial(_checked, options["seeds"])) / count)
    return {"seconds": middle(within), "checking": middle(alone)}


def _checked(seeds: Iterable[int]) -> None:
    for problem in PROBLEMS:
        for seed in seeds:
            check_problem(problem, seed=seed, sources=SOURCES)


def _taken(lines: Sequence[str]) -> Row:
    """Wall seconds in which the one reader unpacks a check that a worker has done, and puts it on the disk."""
    found: list[Swept] = []
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.jsonl") as journal:
        unpacked = [_lap(lambda d: found.append(Swept.from_dict(d)), json.loads(line)) for line in lines]
        written = [_lap(journal.add, one) for one in found]
        with (Path(folder) / "bare").open("ab") as file:
            bare = [_lap(partial(_flushed, file), line.encode()) for line in lines]
    return {"unpacked": middle(unpacked), "written": middle(written), "flush": middle(bare)}


def _flushed(file: Any, line: bytes) -> None:
    file.write(line)
    file.flush()
    os.fsync(file.fileno())


def _lap(run: Callable[[Any], Any], given: Any) -> float:
    start = time.perf_counter()
    run(given)
    return time.perf_counter() - start


def _memory(lines: Sequence[str]) -> float:
    """Bytes that a check which is done takes in memory."""
    plain = [json.loads(line) for line in lines]
    tracemalloc.start()
    kept = [Swept.from_dict(data) for data in plain]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / len(kept)


def large(rounds: int) -> Row:
    """Journals of a million parameters: to go on where they are given, and where a function draws them; lines of both verdicts."""
    given = Problem("large", half_square, np.ones(LARGE), grad=copied)
    line, resumed = _gone_on(given, rounds)
    drawn = _gone_on({"large": partial(ones, LARGE)}, rounds)[1]
    wrong = Problem("wrong", half_square, np.ones(LARGE), grad=lambda x: 1.5 * x)
    refuted = sweep(wrong, sources=SOURCES).to_json()
    return {
        "parameters": LARGE, "resumed": resumed / LARGE, "drawn": drawn, "line": line, "refuted": len(refuted),
    }  # fmt: skip


def ones(size: int) -> Problem:
    """A problem that is made where it is checked."""
    return Problem("large", half_square, np.ones(size), grad=copied)


def _gone_on(problems: Any, rounds: int) -> tuple[int, float]:
    """Bytes of the journal of one case, and processor seconds to go on when it is finished."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.jsonl"
        again = partial(sweep, problems, journal=journal, sources=SOURCES)
        again()
        return journal.stat().st_size, middle([_cpu(again) for _ in range(rounds)])


def crash(rounds: int) -> Row:
    """A sweep in two processes, of which a case ends its own: what it adds to the wall time, and how many cases it harms."""
    added, errors = [], 0
    for _ in range(rounds):
        times = []
        for deadly in (False, True):
            start = time.perf_counter()
            found = sweep(partial(napping, deadly), seeds=range(CRASH_CASES), workers=2, sources=SOURCES)
            times.append(time.perf_counter() - start)
        errors = sum(one.error is not None for one in found)
        added.append(times[1] - times[0])
    return {"cases": CRASH_CASES, "added": middle(added), "errors": errors, "alone": times[0]}


def napping(deadly: bool, seed: int = 0) -> Problem:
    """A check of a block; halfway a deadly one ends its process."""
    if deadly and seed == CRASH_CASES // 2:
        os._exit(1)
    return Problem("napping", partial(sleeping, CRASH_SECONDS), PARAMETERS, grad=np.cos)


def _cpu(run: Callable[[], Any]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _mean(lines: Sequence[str]) -> float:
    return sum(len(line.encode()) + 1 for line in lines) / len(lines)
