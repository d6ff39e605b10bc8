"""From findings to verdicts: which sources agree, and which one is the odd one out.

The truth is the largest group of mutually agreeing sources that includes numeric. So a source is judged by numeric
first, leaf by leaf; where numeric could not decide, by the other exact sources; and where those differ from it, by
whether they at least agree with each other.
"""

__all__ = ["Judgement", "judge_source", "odd_one_out", "worst_of"]

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from gradproof.verdict import Finding, Reason, Verdict


class Judgement(NamedTuple):
    """A verdict with its reason."""

    verdict: Verdict
    reason: Reason | None = None
    detail: str = ""


_SEVERITY = (Verdict.AGREES, Verdict.UNSUPPORTED, Verdict.UNDECIDED, Verdict.DISAGREES)


def worst_of(judgements: Collection[Judgement]) -> Judgement:
    """The worst: DISAGREES before UNDECIDED before AGREES. Nothing compared is UNDECIDED."""
    if not judgements:
        return Judgement(Verdict.UNDECIDED, Reason.NOTHING_COMPARED)
    return max(judgements, key=lambda judgement: _SEVERITY.index(judgement.verdict))


def judge_source(name: str, findings: Sequence[Finding]) -> Judgement:
    """Verdict on source `name`: the worst over its contracts and its leaves."""
    own = [finding for finding in findings if name in finding.sources]
    contracts = [_judgement(f) for f in own if f.what in ("contract", "value") and _against(f, name)]
    if contracts:
        return worst_of(contracts)
    compared = [finding for finding in own if finding.what not in ("contract", "value")]
    parts = dict.fromkeys((finding.what in _TANGENT, finding.leaf) for finding in compared)
    return worst_of([
        _judge_part(name, [f for f in findings if (f.what in _TANGENT, f.leaf) == part]) for part in parts
    ])  # fmt: skip


def odd_one_out(verdicts: Mapping[str, Verdict]) -> str | None:
    """The one source that DISAGREES, if there is exactly one and something else could tell."""
    outside = [name for name, verdict in verdicts.items() if verdict is Verdict.DISAGREES]
    return outside[0] if len(outside) == 1 else None


_TANGENT = ("tangent",)


def _against(finding: Finding, name: str) -> bool:
    """Whether a contract or value finding speaks against `name`: in a pair it is the first that is judged."""
    return finding.verdict is not Verdict.AGREES and finding.sources[0] == name


def _judge_part(name: str, findings: Sequence[Finding]) -> Judgement:
    """Verdict on one leaf (or the tangent) of one source; `findings` are all that concern this part."""
    own = [finding for finding in findings if name in finding.sources]
    by_numeric = [finding for finding in own if "numeric" in finding.sources]
    numeric = worst_of([_judgement(finding) for finding in by_numeric])
    if by_numeric and numeric.verdict is not Verdict.UNDECIDED:
        return numeric
    if numeric.reason in (Reason.STAIRS, Reason.ROUGH):
        return numeric  # what rounds inside the function rounds in every framework alike: they prove nothing together
    exact = [finding for finding in own if "numeric" not in finding.sources]
    against = [finding for finding in exact if finding.verdict is Verdict.DISAGREES]
    if not against:
        agreeing = [finding for finding in exact if finding.verdict is Verdict.AGREES]
        return Judgement(Verdict.AGREES) if agreeing else numeric
    if len(against) == len(exact) and _agree_among_themselves(name, against, findings):
        return Judgement(Verdict.DISAGREES, Reason.OUTVOTED, against[0].detail)
    return Judgement(Verdict.UNDECIDED, Reason.DISPUTED)


def _agree_among_themselves(name: str, against: Sequence[Finding], findings: Sequence[Finding]) -> bool:
    """Whether the sources that contradict `name` are two or more, and none of them contradicts another."""
    others = {other for finding in against for other in finding.sources} - {name}
    among = [f for f in findings if set(f.sources) <= others]
    return len(others) >= 2 and all(finding.verdict is Verdict.AGREES for finding in among)


def _judgement(finding: Finding) -> Judgement:
    return Judgement(finding.verdict, finding.reason, finding.detail)
