"""From findings to verdicts: which sources agree, and which one is the odd one out.

The truth is the largest group of mutually agreeing sources that includes numeric. So a source is judged by numeric
first, leaf by leaf; where numeric cannot see enough, by the other exact sources: two or more that agree with each
other outvote one that nobody agrees with. Where numeric has seen that there is no derivative, nobody is outvoted.
"""

__all__ = ["Judgement", "judge_source", "odd_one_out", "worst_of"]

from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

from gradproof.verdict import Finding, Reason, Verdict

CLEAR = 1e-3
"""Share of a leaf's norm above which sources contradict each other although numeric could not settle it. Bars of
exact sources are rounding as far as it was seen; what is rounded unseen is far smaller, a mistake in a formula larger."""

_SEVERITY = (Verdict.AGREES, Verdict.UNSUPPORTED, Verdict.UNDECIDED, Verdict.DISAGREES)

_TANGENT = ("tangent",)

_BINDING = {Reason.STAIRS, Reason.ROUGH, Reason.KINK, Reason.JUMP}
"""Doubts of numeric that no agreement of other sources lifts: what rounds or jumps inside the function does so in every
framework alike, and a claim outside the one-sided slopes is no derivative, whoever shares it."""

_BLIND = {Reason.RESOLUTION, Reason.VANISHING, Reason.NON_DETERMINISTIC}
"""Doubts that leave the judging to the exact sources. With any other one (kinks, edges of the domain) sources may
differ and none be wrong."""


class Judgement(NamedTuple):
    """A verdict with its reason."""

    verdict: Verdict
    reason: Reason | None = None
    detail: str = ""


def worst_of(judgements: Collection[Judgement]) -> Judgement:
    """The worst: DISAGREES before UNDECIDED before AGREES, and that with a word to it before one without.

    Nothing compared is UNDECIDED.
    """
    if not judgements:
        return Judgement(Verdict.UNDECIDED, Reason.NOTHING_COMPARED)
    return max(judgements, key=lambda judged: (_SEVERITY.index(judged.verdict), judged.reason is not None))


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
    """The one source that DISAGREES, if there is exactly one, and others were asked."""
    outside = [name for name, verdict in verdicts.items() if verdict is Verdict.DISAGREES]
    return outside[0] if len(outside) == 1 and len(verdicts) > 1 else None


def _against(finding: Finding, name: str) -> bool:
    """Whether a contract or value finding speaks against `name`: in a pair it is the first that is judged."""
    return finding.verdict is not Verdict.AGREES and finding.sources[0] == name


def _judge_part(name: str, findings: Sequence[Finding]) -> Judgement:
    """Verdict on one leaf (or the tangent) of one source; `findings` are all that concern this part."""
    by_numeric = [finding for finding in findings if name in finding.sources and "numeric" in finding.sources]
    numeric = worst_of([_judgement(finding) for finding in by_numeric])
    if by_numeric and numeric.verdict is Verdict.DISAGREES:
        return _with_company(numeric, _allies(name, findings))
    if by_numeric and numeric.verdict is not Verdict.UNDECIDED:
        return numeric
    doubts = [finding for finding in by_numeric if finding.verdict is Verdict.UNDECIDED]
    if bound := [finding for finding in doubts if finding.reason in _BINDING]:
        return _judgement(bound[0])
    blind = all(doubt.reason in _BLIND and isfinite(doubt.bar) for doubt in doubts)
    return _by_the_others(name, _not_refuted(findings), numeric, may_outvote=blind)


def _by_the_others(
    name: str, findings: Sequence[Finding], numeric: Judgement, *, may_outvote: bool
) -> Judgement:
    """Verdict by the other exact sources, which all `findings` are of, where `numeric` is undecided."""
    allies, rivals = _allies(name, findings), _rivals(name, findings)
    if not (rivals and may_outvote):
        return Judgement(Verdict.AGREES) if allies else numeric
    if _outvoted(name, findings):
        return Judgement(Verdict.DISAGREES, Reason.OUTVOTED)
    if all(_outvoted(rival, findings) for rival in rivals):
        return Judgement(Verdict.AGREES)
    unasked = numeric.reason is Reason.NOTHING_COMPARED
    return Judgement(Verdict.UNDECIDED, Reason.DISPUTED) if unasked else numeric


def _not_refuted(findings: Sequence[Finding]) -> list[Finding]:
    """Comparisons among exact sources that numeric does not refute: those that it does have no vote."""
    refuted = {
        name
        for f in findings
        if "numeric" in f.sources and f.verdict is Verdict.DISAGREES
        for name in f.sources
    }
    return [finding for finding in findings if not {"numeric", *refuted} & set(finding.sources)]


def _allies(name: str, findings: Sequence[Finding]) -> list[str]:
    """Exact sources that agree with `name`."""
    return _others(name, [f for f in findings if "numeric" not in f.sources and f.verdict is Verdict.AGREES])


def _rivals(name: str, findings: Sequence[Finding]) -> list[str]:
    """Exact sources that contradict `name`."""
    return _others(name, [f for f in findings if "numeric" not in f.sources and _contradiction(f)])


def _others(name: str, findings: Sequence[Finding]) -> list[str]:
    pairs = [finding.sources for finding in findings if name in finding.sources]
    return list(dict.fromkeys(other for pair in pairs for other in pair if other != name))


def _contradiction(finding: Finding) -> bool:
    disputed = finding.reason is Reason.DISPUTED and not finding.gap <= CLEAR * finding.scale
    return finding.verdict is Verdict.DISAGREES or disputed


def _outvoted(name: str, findings: Sequence[Finding]) -> bool:
    """Whether all others contradict `name`, are two or more, and agree with each other. `findings` are of exact sources."""
    rivals = _rivals(name, findings)
    others = _others(name, findings)
    among = [finding for finding in findings if set(finding.sources) <= set(rivals)]
    return len(rivals) >= 2 and rivals == others and all(f.verdict is Verdict.AGREES for f in among)


def _with_company(judgement: Judgement, allies: Sequence[str]) -> Judgement:
    """`judgement` against a source, with the exact sources that say the same: it is not its mistake alone."""
    if not allies or judgement.reason is not Reason.DIFFERS:
        return judgement
    same = f"{' and '.join(allies)} {'gives' if len(allies) == 1 else 'give'} the same"
    return Judgement(
        judgement.verdict, Reason.AGAINST_VALUES, "; ".join(filter(None, [judgement.detail, same]))
    )


def _judgement(finding: Finding) -> Judgement:
    return Judgement(finding.verdict, finding.reason, finding.detail)
