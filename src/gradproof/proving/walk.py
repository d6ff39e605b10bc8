"""The walk of one proof: the claim itself, the mistakes planted in it, the smallest that show, and what cannot."""

__all__ = ["prove", "prove_problem"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from gradproof.backend import unknown
from gradproof.check import check_problem
from gradproof.faults import FAULTS
from gradproof.faults.claims import Scene, scene_of
from gradproof.problems import Problem
from gradproof.progress import PROOF, Listener, Meter, meter_for
from gradproof.proving.constants import constant_spots
from gradproof.proving.leaves import leaf_spots, moved
from gradproof.proving.record import BlindSpot, Proof
from gradproof.proving.trials import applicable, smallest_errors, trials
from gradproof.report import Report
from gradproof.sources import Function
from gradproof.verdict import Reason, Verdict


def prove(  # noqa: PLR0913 -- two arrays, then choices by keyword, each with a default
    fun: Function | Mapping[str, Function],
    params: Any,
    /,
    *,
    args: tuple[Any, ...] = (),
    grad: Function | None = None,
    value_and_grad: Function | None = None,
    vjp: Function | None = None,
    sources: Sequence[str] = ("numeric", "hand"),
    faults: Sequence[str] | None = None,
    seed: int = 0,
    progress: bool | Listener = False,
) -> Proof:
    """Check the claim, then plant mistakes in it and see which of them the same check would have refused.

    `fun`, `params`, `args`, the claim, `sources` and `seed` are those of `check`. `faults` names the mistakes to plant
    (default: all of `gradproof.faults.FAULTS`); one that cannot be made here is left out. A claim that does not come
    out as AGREES is not proven: the verdict says so, and nothing is planted; if it is UNDECIDED, blind spots may say why.

    Also found: by leaf the smallest relative error that shows, and blind spots: what a zero gradient, a symmetric one,
    λ = 0, a mask of ones, a batch of one or a kink hides, and whether a point nearby shows more. `progress` is as for `check`.

    Raises ValueError without a claim, for an unknown fault or none, and whatever `check` raises. Nothing of the caller's
    is changed.
    """
    problem = Problem("the claim", fun, params, tuple(args), grad, value_and_grad, vjp)
    return prove_problem(problem, sources=sources, faults=faults, seed=seed, progress=progress)


def prove_problem(
    problem: Problem,
    *,
    sources: Sequence[str] = ("numeric", "hand"),
    faults: Sequence[str] | None = None,
    seed: int = 0,
    progress: bool | Listener | Meter = False,
) -> Proof:
    """`prove` of a Problem; a jvp that it states is left out."""
    names = _chosen(faults)
    problem = replace(problem, jvp=None)
    if not problem.claims():
        raise ValueError(
            "prove plants mistakes in a hand-written gradient: pass grad=, value_and_grad= or vjp="
        )
    with meter_for(progress, problem.name, PROOF) as meter:
        return _proof(meter.watched(problem), names, {"sources": sources, "seed": seed})


def _proof(problem: Problem, names: Sequence[str], options: Mapping[str, Any]) -> Proof:
    report = check_problem(problem, **options)
    scene = None if report.verdict is Verdict.DISAGREES else scene_of(problem)
    if scene is None:
        return Proof(report.verdict, report)
    found = moved(problem, scene, options["seed"])
    spots = tuple(_spots(problem, scene, report, found, options))
    gone = any(spot.elsewhere for spot in spots)
    if report.verdict is not Verdict.AGREES:
        return Proof(
            report.verdict,
            report,
            blind_spots=spots,
            better_point=found[0].params if found and gone else None,
        )
    planted = applicable(problem, names)
    better = found and (gone or len(applicable(found[0], names)) > len(planted))
    return Proof(
        report.verdict,
        report,
        trials=tuple(trials(planted, options)),
        smallest=MappingProxyType(smallest_errors(problem, scene, report, options)),
        blind_spots=spots,
        better_point=found[0].params if found and better else None,
    )


def _chosen(faults: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the faults to plant. Raises ValueError for an unknown one, or none."""
    if faults is None:
        return tuple(FAULTS)
    names = (faults,) if isinstance(faults, str) else tuple(dict.fromkeys(faults))
    if not names:
        raise ValueError("faults is empty: nothing would be planted")
    for name in names:
        if name not in FAULTS:
            raise ValueError(unknown("fault", name, tuple(FAULTS)))
    return names


def _spots(
    problem: Problem,
    scene: Scene,
    report: Report,
    found: tuple[Problem, Scene] | None,
    options: Mapping[str, Any],
) -> Iterator[BlindSpot]:
    yield from leaf_spots(scene.moment, found[1].moment if found else None)
    yield from constant_spots(problem, scene)
    if _at_a_kink(report):
        smooth = found is not None and not _at_a_kink(check_problem(found[0], **options))
        yield BlindSpot(
            "params",
            "the function has a kink at this point, where any slope between its one-sided ones passes",
            "check at Proof.better_point, where it has none" if smooth else "move the point a little",
            elsewhere=smooth,
        )


def _at_a_kink(report: Report) -> bool:
    reasons = {finding.reason for finding in report.findings}
    return report.nearest_kink == 0 or bool(reasons & {Reason.SUBGRADIENT, Reason.KINK, Reason.KINKS})
