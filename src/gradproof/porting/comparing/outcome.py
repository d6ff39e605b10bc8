"""From what was measured to the record: one port against the reference."""

__all__ = ["Asked", "compared_of"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, in_double
from gradproof.porting.comparing.against import Against
from gradproof.porting.comparing.bars import Rounded, gap
from gradproof.porting.comparing.blame import Blame, blame
from gradproof.porting.comparing.findings import label
from gradproof.porting.comparing.stages import findings_of, inputs
from gradproof.porting.record import Compared
from gradproof.verdict import Diagnosis, Finding, Reason, Verdict

KINK = "GP109"
"""The one diagnosis that excuses: two conventions at a kink are both right."""

Diagnosed = tuple[tuple[Diagnosis, ...], tuple[str, ...], tuple[str, ...]]
"""Diagnoses, what stays without one, and notes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a comparison was asked for beside the runs."""

    optimizers: Mapping[str, Any] | None = None
    ignore: frozenset[str] = frozenset()


def compared_of(
    against: Against,
    asked: Asked,
    *,
    diagnose: Callable[[Against, Blame, Sequence[Finding], Mapping[str, Any] | None], Diagnosed] | None,
) -> Compared:
    """One port against the reference."""
    given = tuple(inputs(against))
    if others := tuple(f for f in given if f.verdict is Verdict.DISAGREES):
        return _of_other_inputs(against, others)
    stages = (f for f in findings_of(against, asked.optimizers) if f.what not in asked.ignore)
    findings = (*given, *stages)
    blamed = blame(against)
    differs = any(finding.verdict is Verdict.DISAGREES for finding in findings)
    diagnoses, undiagnosed, notes = (
        diagnose(against, blamed, findings, asked.optimizers) if diagnose and differs else ((), (), ())
    )
    verdict, reason, detail = _judged(against, blamed, findings, diagnoses)
    return Compared(
        port=against.port.name,
        verdict=verdict,
        reason=reason,
        detail=detail,
        layout=against.layout,
        transferred=against.transferred,
        findings=findings,
        rows=blamed.rows,
        first_forward=blamed.forward[0].reference if blamed.forward else None,
        first_backward=blamed.backward[0].reference if blamed.backward else None,
        diagnoses=diagnoses,
        undiagnosed=undiagnosed,
        notes=(*notes, *_notes(against, asked)),
    )


def _notes(against: Against, asked: Asked) -> Iterator[str]:
    """What a reader of AGREES has to know."""
    sides = (against.reference, against.port)
    for side in sides:
        if side.double.gradients is None:
            yield f"gradients were not compared: {side.name} gives none"
    ours, theirs = (set(side.port.parameters) for side in sides)
    for move in against.layout.moves:
        trained = bool(ours & {piece.source for piece in move.pieces}), move.target in theirs
        if trained in ((True, False), (False, True)) and asked.optimizers is None:
            who, not_who = (side.name for side in (sides if trained[0] else reversed(sides)))
            yield f"{label(move)} is trained in {who}, and not in {not_who}"
    for pair in against.outputs:
        if pair.view is not None and pair.view.axes != tuple(range(len(pair.view.axes))):
            axes = ", ".join(map(str, pair.view.axes))
            yield f"{against.port.name}'s output {pair.port} has the reference's axes in the order ({axes})"
    guessed = [label(move) for move in against.layout.moves if move.confirmed == "shape"]
    if guessed and against.transferred:
        more = f" and {len(guessed) - 1} more" if len(guessed) > 1 else ""
        yield f"where {guessed[0]}{more} goes is a guess by name and shape: if it is wrong, give layout="
    yield from (f"not judged, as asked: {stage}" for stage in sorted(asked.ignore))


def _of_other_inputs(against: Against, given: tuple[Finding, ...]) -> Compared:
    """Ports that are given different inputs: what they make of them tells nothing."""
    first = given[0]
    why = first.detail or f"they differ by {first.gap:.2g} at {list(first.worst or ())}"
    return Compared(
        port=against.port.name,
        verdict=Verdict.DISAGREES,
        reason=Reason.DIFFERS,
        detail=f"the ports are given different inputs: inputs{first.leaf or ''}: {why}",
        layout=against.layout,
        transferred=against.transferred,
        findings=given,
        rows=(),
        first_forward=None,
        first_backward=None,
        notes=("nothing else was compared",),
    )


def _judged(
    against: Against, blamed: Blame, findings: Sequence[Finding], diagnoses: Sequence[Diagnosis]
) -> tuple[Verdict, Reason | None, str]:
    wrong = [finding for finding in findings if finding.verdict is Verdict.DISAGREES]
    if not any(finding.what in ("output", "forward", "gradient", "backward") for finding in findings):
        return Verdict.UNDECIDED, Reason.NOTHING_COMPARED, ""
    if nothing := _nothing_said(against):
        return Verdict.UNDECIDED, Reason.NOTHING_COMPARED, nothing
    if _random(against):
        return Verdict.UNDECIDED, Reason.NON_DETERMINISTIC, ""
    if not wrong:
        return Verdict.AGREES, None, ""
    kinked = {leaf for d in diagnoses if d.code == KINK for leaf in d.leaves}
    backward = {"backward", "gradient", "step"}
    if (
        kinked
        and all(finding.what in backward for finding in wrong)
        and {pair.reference for pair in blamed.backward} <= kinked
        and not set(blamed.gradients) - kinked
    ):
        return (
            Verdict.AGREES,
            Reason.SUBGRADIENT,
            f"another convention at a kink: {', '.join(sorted(kinked))}",
        )
    return Verdict.DISAGREES, Reason.DIFFERS, _first(blamed, wrong)


def _first(blamed: Blame, wrong: Sequence[Finding]) -> str:
    for finding in wrong:
        if finding.what == "output" and finding.detail:
            return f"outputs: {finding.detail}"
    for pairs, direction in ((blamed.forward, "forward"), (blamed.backward, "backward")):
        if pairs:
            return f"first at {pairs[0].reference}, {direction}"
    return f"first in {wrong[0].what} {wrong[0].leaf or ''}".rstrip()


def _nothing_said(against: Against) -> str:
    """Why the outputs tell nothing: two functions may both be NaN, or zero, everywhere."""
    outputs = [x.value for x in against.reference.outputs.values()]
    gradients = [x.value for x in against.gradients.values()]
    if any(map(_tells, outputs)):
        silent = gradients and against.gradient_gaps and not any(map(_tells, gradients))
        return "all gradients are zero or not finite: nothing was compared backward" if silent else ""
    if not any(x.size for x in outputs):
        return "the outputs are empty: give inputs that are not"
    kind = "zero" if all(np.isfinite(x).all() for x in outputs) else "not finite"
    return f"the outputs are all {kind}: give inputs, or parameters, at which they tell something"


def _tells(x: HostArray) -> bool:
    return bool(np.any(np.isfinite(x) & (x != 0)))


def _random(against: Against) -> bool:
    """Whether a port gave two answers to one question. A compiler may order sums anew for a run with gradients."""
    return any(
        gap(_by_own_run(x, side.first.outputs[path]), _by_own_run(x, x.value)).verdict is not Verdict.AGREES
        for side in (against.reference, against.port)
        for path, x in side.outputs.items()
    )


def _by_own_run(x: Rounded, value: HostArray) -> Rounded:
    """Without what runs at other points say: in a random port that is the noise itself."""
    return Rounded(in_double(value), x.errors[:1] if x.own else ())
