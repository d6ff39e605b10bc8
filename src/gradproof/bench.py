"""How long the function and every source's gradient take, once they are known to be the same gradient."""

__all__ = ["Bench", "Timing", "bench"]

import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ctypes import CDLL
from dataclasses import dataclass
from math import nan
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from gradproof.arrays import is_array
from gradproof.backend import load
from gradproof.check import check_problem
from gradproof.numeric.sampling import to_outputs
from gradproof.point import Placement, take_point
from gradproof.problems import Problem
from gradproof.progress import Listener, Meter, meter_for
from gradproof.recast import recast
from gradproof.report import Report
from gradproof.sources import Claim, implementation
from gradproof.trees import flatten
from gradproof.verdict import Verdict

ROUNDS = 9
"""In which every contestant takes its turn; a figure is the median, a ratio the median of the rounds' own ratios."""

ROUND_SECONDS = 0.02
"""A faster call is repeated until it takes so long."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One source in one dtype."""

    source: str
    dtype: str
    function: float
    """Seconds of one call of the function, in the framework of the source."""
    gradient: float
    """Seconds of one call of the gradient."""
    ratio: float
    """Gradient over function, in the same round; the cheap gradient principle promises less than 5."""
    relative: float
    """Gradient over that of the first source, in the same round."""
    calls: int
    """Of the gradient, that were timed."""
    peak: float
    """Bytes that the process grew by at most during one call of the gradient; NaN where the system does not tell."""


@dataclass(frozen=True)
class Bench:
    """What `bench` found: the Report that came first, and the timings if its verdict is AGREES."""

    problem: str
    report: Report
    timings: tuple[Timing, ...]
    unsupported: Mapping[str, str]
    """Why a source was not timed, by source."""

    def __str__(self) -> str:
        if self.report.verdict is not Verdict.AGREES:
            return f"{self.problem}: nothing was timed, for the gradients are not shown to be equal\n\n{self.report}"
        rows = [("source", "dtype", "function", "gradient", "ratio", "relative", "calls", "peak memory")]
        rows += [
            (t.source, t.dtype, _seconds(t.function), _seconds(t.gradient), f"{t.ratio:.2f}", f"{t.relative:.2f}",
             str(t.calls), _bytes(t.peak))
            for t in self.timings
        ]  # fmt: skip
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        missing = [f"{name}: {why}" for name, why in self.unsupported.items()]
        return "\n".join([self.problem, "", *lines, *([""] if missing else []), *missing])

    def to_dict(self) -> dict[str, Any]:
        """Everything in types that JSON has; an unknown peak is None."""
        return {
            "problem": self.problem,
            "verdict": self.report.verdict.name,
            "timings": [
                {name: getattr(t, name) for name in Timing.__slots__ if name != "peak"}
                | {"peak": None if np.isnan(t.peak) else t.peak}
                for t in self.timings
            ],
            "unsupported": dict(self.unsupported),
        }


def bench(
    problem: Problem, *, sources: Sequence[str] | None = None, dtypes: Sequence[str] = ("float64", "float32"),
    seed: int = 0, progress: bool | Listener = False,
) -> Bench:  # fmt: skip
    """Time the function and every source's gradient of a Problem, in turn, in every dtype.

    The gradients are checked first, at the Problem's own dtype; unless they agree, nothing is timed. Figures are for one call
    from arrays of the framework to arrays of the framework, the function's value included where the source computes it.
    `progress` is as for `check`. Raises what `check` raises, and ValueError for a dtype that is not floating.
    """
    for dtype in dtypes:
        if dtype not in ("float64", "float32"):
            raise ValueError(f"dtypes are float64 and float32; got {dtype!r}")
    keywords = {} if sources is None else {"sources": ("numeric", *(s for s in sources if s != "numeric"))}
    report = check_problem(problem, seed=seed, **keywords)
    if report.verdict is not Verdict.AGREES:
        return Bench(problem.name, report, (), {})
    names = [name for name in report.sources if name != "numeric"]
    timed = {name for name in names if report.sources[name].verdict is Verdict.AGREES}
    unsupported = {
        name: report.sources[name].detail or str(report.sources[name].reason)
        for name in names
        if name not in timed
    }
    with meter_for(progress, problem.name, ROUNDS * len(dtypes), "rounds") as meter:
        timings = [
            timing for dtype in dtypes
            for timing in _timed(_contestants(problem, [n for n in names if n in timed], dtype), dtype, meter)
        ]  # fmt: skip
    return Bench(problem.name, report, tuple(timings), unsupported)


@dataclass(frozen=True)
class _Contestant:
    """A source at a point, with its arrays made: what is timed makes none, and waits until its results are there."""

    function: Callable[[], Any]
    gradient: Callable[[], Any]


def _contestants(problem: Problem, names: Sequence[str], dtype: str) -> dict[str, _Contestant]:
    """By name; a framework that compiles is there twice."""
    found: dict[str, _Contestant] = {}
    for name in names:
        point = take_point(*recast(problem.params, problem.args, dtype))
        backend = point.home if name == "hand" else load(name)
        placement = Placement(point, backend, double=dtype == "float64")
        fun: Any = implementation(problem.fun, backend.name)
        found[name] = _plain(placement, fun, Claim(**problem.claims()) if name == "hand" else None)
        if name != "hand" and hasattr(backend, "compiled"):
            found[f"{name}, compiled"] = _plain(placement, fun, None, backend.compiled)
    return found


def _plain(
    placement: Placement, fun: Any, claim: Claim | None, compiled: Callable[..., Any] = lambda run: run
) -> _Contestant:
    backend, structure = placement.backend, placement.point.structure
    with placement.context():
        arrays = placement.arrays(placement.point.leaves)
        params, args = structure.unflatten(arrays), placement.args
        cotangent = placement.backend.from_numpy(
            np.ones(to_outputs(fun(params, *args))[0].shape), dtype=placement.dtypes[0]
        )

    def autodiff(*arrays: Any) -> Any:
        value, pull = backend.vjp(placement.bind(fun), arrays)
        return value, *pull(cotangent)

    def stated() -> Any:
        given = claim.value_and_grad or claim.grad if claim else None
        return given(params, *args) if given else claim.vjp(cotangent, params, *args)  # type: ignore[union-attr,misc]

    function, derivative = compiled(placement.bind(fun)), compiled(autodiff)
    return _Contestant(
        _awaited(placement, lambda: function(*arrays)),
        _awaited(placement, stated if claim else lambda: derivative(*arrays)),
    )


def _awaited(placement: Placement, run: Callable[[], Any]) -> Callable[[], Any]:
    """`run` in its context, and one number of every result fetched: a framework may return before it has computed."""

    def waited() -> None:
        with placement.context():
            for result in flatten(run())[0]:
                if is_array(result):
                    placement.backend.to_numpy(result.reshape(-1)[:1])

    return waited


def _timed(contestants: Mapping[str, _Contestant], dtype: str, meter: Meter) -> list[Timing]:
    runs = {
        (name, kind): getattr(c, kind) for name, c in contestants.items() for kind in ("function", "gradient")
    }
    repeats = {key: _repeats(run) for key, run in runs.items()}
    rounds = []
    for _ in range(ROUNDS):
        rounds.append({key: _once(run, repeats[key]) for key, run in runs.items()})
        meter.add()
    first = next(iter(contestants), "")
    return [
        Timing(
            name, dtype,
            function=median(r[name, "function"] for r in rounds),
            gradient=median(r[name, "gradient"] for r in rounds),
            ratio=median(r[name, "gradient"] / r[name, "function"] for r in rounds),
            relative=median(r[name, "gradient"] / r[first, "gradient"] for r in rounds),
            calls=repeats[name, "gradient"] * ROUNDS,
            peak=_peak(runs[name, "gradient"]),
        )
        for name in contestants
    ]  # fmt: skip


def _repeats(run: Callable[[], Any]) -> int:
    """How often a call fits into a round; the first call, which compiles and fills caches, does not count."""
    run()
    return max(1, int(ROUND_SECONDS / max(_once(run, 1), 1e-9)))


def _once(run: Callable[[], Any], repeats: int) -> float:
    start = perf_counter()
    for _ in range(repeats):
        run()
    return (perf_counter() - start) / repeats


def _peak(run: Callable[[], Any]) -> float:
    """By how many bytes the resident memory of this process rose at most during one call (Linux; NaN elsewhere)."""
    gc.collect()
    with suppress(OSError, AttributeError):
        CDLL(None).malloc_trim(0)  # what was freed goes back to the system, and counts when it is taken again
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the high-water mark
        before = _status("VmRSS")
        run()
        return max(0.0, _status("VmHWM") - before)
    except (OSError, KeyError):
        return nan


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return 1024.0 * float(fields[name].split()[0])


def _seconds(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _bytes(count: float) -> str:
    if np.isnan(count):
        return "–"
    for unit, size in (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"
