"""All ports of a comparison: whose gradient is its function's, and which is the odd one out."""

__all__ = ["report_of"]

from collections.abc import Mapping
from dataclasses import replace
from math import nan

from gradproof.porting.comparing.against import Against
from gradproof.porting.comparing.bars import Rounded, gap
from gradproof.porting.comparing.referee import Refereed, referee
from gradproof.porting.comparing.sides import Side
from gradproof.porting.record import Compared, PortReport, PortResult
from gradproof.verdict import Reason, Verdict


def report_of(
    reference: Side,
    against: Mapping[str, Against],
    found: Mapping[str, Compared],
    *,
    numeric: bool,
    seed: int,
) -> PortReport:
    """All ports."""
    refereed = _refereed(reference, against, found, seed) if numeric else {}
    compared = {name: _unless_refuted(one, refereed) for name, one in found.items()}
    sides = {reference.name: reference, **{name: pair.port for name, pair in against.items()}}
    worst = max(compared.values(), key=lambda one: _SEVERITY.index(one.verdict))
    return PortReport(
        verdict=worst.verdict,
        reason=worst.reason,
        detail=worst.detail,
        reference=reference.name,
        ports={name: _result(side, against, refereed.get(name)) for name, side in sides.items()},
        compared=compared,
        odd_one_out=_odd_one_out(reference.name, against, compared, refereed),
        seed=seed,
    )


def _refutes(refereed: Refereed) -> bool:
    """Whether the gradient is none of the function's: not its slope, nor between its slopes at a kink."""
    return refereed.report.verdict is Verdict.DISAGREES or refereed.report.reason is Reason.KINK


def _unless_refuted(one: Compared, refereed: Mapping[str, Refereed]) -> Compared:
    """Two conventions at a kink are both right only if each lies between the one-sided slopes."""
    refuted = [name for name, it in refereed.items() if _refutes(it)]
    if one.reason is not Reason.SUBGRADIENT or not refuted:
        return one
    detail = f"{one.detail}; that of {' and '.join(refuted)} is none of the function's slopes"
    return replace(one, verdict=Verdict.DISAGREES, reason=Reason.DIFFERS, detail=detail)


_SEVERITY = (Verdict.AGREES, Verdict.UNSUPPORTED, Verdict.UNDECIDED, Verdict.DISAGREES)


def _refereed(
    reference: Side, against: Mapping[str, Against], compared: Mapping[str, Compared], seed: int
) -> dict[str, Refereed]:
    """What numeric says of every port, where gradients differ and values agree."""
    disputed = [name for name, one in compared.items() if _only_backward(one)]
    wrong = {name: _wrong_gradients(compared[name]) for name in disputed}
    asked = {reference.name: (reference, set().union(*wrong.values()))} if disputed else {}
    for name in disputed:
        moves = against[name].layout.moves
        used = {m.target for m in moves if wrong[name] & {piece.source for piece in m.pieces}}
        asked[name] = against[name].port, used
    return {
        name: referee(side, paths, seed=seed)
        for name, (side, paths) in asked.items()
        if side.double.gradients is not None and side.port.parameters
    }


def _wrong_gradients(one: Compared) -> set[str]:
    """Paths of the reference."""
    return {
        finding.leaf
        for finding in one.findings
        if finding.what == "gradient" and finding.verdict is Verdict.DISAGREES and finding.leaf
    }


def _only_backward(one: Compared) -> bool:
    wrong = {finding.what for finding in one.findings if finding.verdict is Verdict.DISAGREES}
    return bool(wrong & {"gradient", "backward"}) and not wrong & {"output", "forward", "loss", "inputs"}


def _odd_one_out(
    reference: str,
    against: Mapping[str, Against],
    compared: Mapping[str, Compared],
    refereed: Mapping[str, Refereed],
) -> str | None:
    refuted = [name for name, one in refereed.items() if _refutes(one)]
    if len(refuted) == 1:
        return refuted[0]
    differ = [name for name, one in compared.items() if one.verdict is Verdict.DISAGREES]
    if len(compared) < 2 or not differ:
        return None
    if len(differ) == 1:
        return differ[0]
    return reference if len(differ) == len(compared) and _alike(against) else None


def _alike(against: Mapping[str, Against]) -> bool:
    """Whether all ports but the reference have the same outputs."""
    first, *rest = against.values()
    for pair in first.outputs:
        for other in rest:
            twin = next((p for p in other.outputs if p.reference == pair.reference), None)
            if twin is None or pair.view is None or twin.view is None:
                return False
            x, y = first.port.outputs[pair.port], other.port.outputs[twin.port]
            ours, theirs = (
                x.like(pair.view.back(x.value)), y.like(twin.view.back(y.value)),
            )  # fmt: skip
            if gap(ours, theirs).verdict is not Verdict.AGREES:
                return False
    return True


def _result(side: Side, against: Mapping[str, Against], refereed: Refereed | None) -> PortResult:
    own = side.own is not None
    outputs = [x.own for x in side.outputs.values()]
    gradients = [x.own for x in _gradients(side, against).values()]
    return PortResult(
        name=side.name,
        framework=side.port.framework,
        parameters=sum(leaf.size for leaf in side.port.parameters.values()),
        dtype=side.dtype,
        rounding=max(outputs, default=nan) if own else nan,
        gradient_rounding=max(gradients, default=nan) if own else nan,
        numeric=refereed.report.verdict if refereed else None,
        numeric_detail=_told(refereed) if refereed else "",
        runs=side.runs,
        seconds=side.seconds,
    )


def _gradients(side: Side, against: Mapping[str, Against]) -> Mapping[str, Rounded]:
    first = next(iter(against.values()))
    return first.gradients if first.reference is side else against[side.name].pulled


def _told(refereed: Refereed) -> str:
    report = refereed.report
    if report.verdict is not Verdict.DISAGREES:
        return report.detail
    said = [f"{d.code} {d.says} ({', '.join(d.leaves)})" for d in report.diagnoses[:1]]
    return said[0] if said else report.detail
