"""Mistakes planted in the caller's own gradient, and what the check makes of each."""

__all__ = ["applicable", "smallest_errors", "trials"]

from collections.abc import Iterator, Mapping, Sequence
from math import inf, isfinite
from typing import Any

from gradproof.check import check_problem
from gradproof.faults import FAULTS
from gradproof.faults.claims import Scene
from gradproof.faults.fault import Change, changed
from gradproof.problems import Problem
from gradproof.proving.record import Outcome, Trial
from gradproof.report import Report
from gradproof.verdict import Verdict

MOST_DOUBLINGS = 20
"""Times that an error is doubled to be seen, if the check's own figure was too hopeful: up to a million times."""


def applicable(problem: Problem, names: Sequence[str]) -> dict[str, Problem]:
    """`problem` with each of the faults `names` that can be planted in it, by name."""
    planted = ((name, FAULTS[name].plant(problem)) for name in names)
    return {name: faulty for name, faulty in planted if faulty is not None}


def trials(planted: Mapping[str, Problem], options: Mapping[str, Any]) -> Iterator[Trial]:
    """One Trial per planted fault; `options` are those of `check`."""
    for name, faulty in planted.items():
        report = check_problem(faulty, diagnose=False, **options)
        yield Trial(name, _outcome(name, report), report.reason, _evaluations(report))


def smallest_errors(
    problem: Problem, scene: Scene, report: Report, options: Mapping[str, Any]
) -> dict[str, float]:
    """By leaf, an error that was planted in it and refused, near the smallest that `report` says would show."""
    due = {path: _resolution(report, path) for path in scene.moment.paths}
    found = {
        path: _refused(problem, scene, path, 2.0 * start, options)
        for path, start in due.items()
        if isfinite(start)
    }
    return {path: error for path, error in found.items() if error is not None}


def _refused(
    problem: Problem, scene: Scene, path: str, error: float, options: Mapping[str, Any]
) -> float | None:
    """The first of `error`, twice that, four times that, … that is refused as a factor 1 + error on one leaf."""
    for _ in range(MOST_DOUBLINGS + 1):
        wrong = changed(problem, scene.home, _scaled(path, 1.0 + error))
        if check_problem(wrong, diagnose=False, **options).verdict is Verdict.DISAGREES:
            return error
        error *= 2.0
    return None


def _scaled(path: str, factor: float) -> Change:
    return lambda now: [
        factor * leaf if name == path else leaf for name, leaf in zip(now.paths, now.gradient, strict=True)
    ]


def _resolution(report: Report, path: str) -> float:
    """Relative error that comparisons of the claim say they would have shown in a leaf; infinite if none does."""
    findings = [f for f in report.findings if f.leaf == path and "hand" in f.sources]
    slopes = [f.resolution for f in findings if f.what == "slope"]
    others = [f.resolution for f in findings if f.what == "gradient"]
    return next(
        (value for value in (min(group, default=inf) for group in (slopes, others)) if value > 0), inf
    )


def _outcome(name: str, report: Report) -> Outcome:
    if report.verdict is Verdict.AGREES:
        return Outcome.MISSED
    if report.verdict is not Verdict.DISAGREES:
        return Outcome.UNDECIDED
    reasons = {f.reason for f in report.findings if f.verdict is Verdict.DISAGREES} | {report.reason}
    due = any(FAULTS[name].due(reason) for reason in reasons)
    return Outcome.CAUGHT if due else Outcome.ELSEWISE


def _evaluations(report: Report) -> int:
    return report.sources["numeric"].calls if "numeric" in report.sources else 0
