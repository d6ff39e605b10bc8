"""What gradproof says of a claim and of the same claim with mistakes. The only contact with its internals."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from corruptions import Mistake
from gradproof.backend import load
from gradproof.judging import Judgement, Referee, worst_of
from gradproof.numeric.sampling import sampler_for
from gradproof.point import Placement, take_point
from gradproof.sources.contracts import ContractBroken
from gradproof.sources.exact import Autodiff
from gradproof.sources.testimony import testify
from gradproof.verdict import Estimate, Finding, Verdict
from operators import Case

RESOLUTION = 1e-3
"""The default of `gradproof.check`."""


@dataclass(frozen=True)
class Ruling:
    """What the numeric source says of one claim, and what that took."""

    verdict: Verdict
    reason: str
    figures: str
    excess: float
    """Gap in multiples of the stated bar at first sight: the largest along the probes over all leaves."""
    evaluations: int
    """Of the function, by the whole check so far."""
    per_probe: tuple[int, ...]
    """The same along each of those probes."""


def verdicts(
    case: Case, made: Iterable[Mistake], rng: np.random.Generator
) -> Iterator[tuple[Mistake | None, Ruling]]:
    """Rulings on PyTorch's gradient, then on the same with each mistake; slopes are shared as `check` shares them.

    One at a time, the right claim as None. A gradient that breaks a contract is refused once, and nothing follows; a
    mistake that changes nothing under the cotangent at hand is passed over.
    """
    backend = load("torch")
    point = take_point(case.params, ())
    sampler = sampler_for(case.fun, point, backend)
    referee = Referee(sampler, rng, RESOLUTION)
    source = Autodiff("torch", case.fun, Placement(point, backend, double=False))
    try:
        gradient = testify(source, referee.probes.cotangent, rng, RESOLUTION, twice=True).gradient
    except ContractBroken as broken:
        yield None, Ruling(Verdict.DISAGREES, "CONTRACT", str(broken), np.inf, sampler.calls, ())
        return
    flat = np.concatenate([leaf.value.reshape(-1) for leaf in gradient])
    yield None, _ruling(referee, gradient)
    for mistake in made:
        if mistake.changes(flat):
            yield mistake, _ruling(referee, _as_claim(mistake.made_in(flat), gradient))


def _ruling(referee: Referee, claim: Sequence[Estimate]) -> Ruling:
    findings = referee.judge("torch", claim)
    verdict, reason, _ = worst_of([Judgement(f.verdict, f.reason, f.detail) for f in findings])
    worst = max(findings, key=lambda f: (f.verdict is verdict, f.excess))
    at_first_sight = [referee.looks.look("torch", claim, probed).excess for probed in referee.probes.joint]
    return Ruling(
        verdict,
        reason.name if reason else "",
        _figures(worst),
        max(at_first_sight),
        referee.sampler.calls,
        tuple(probed.line.evaluations for probed in referee.probes.joint),
    )


def _figures(finding: Finding) -> str:
    relative = finding.gap / finding.scale if finding.scale else np.inf
    return f"gap/scale {relative:.1e}, bar/scale {finding.resolution:.1e}"


def _as_claim(flat: np.ndarray, like: Sequence[Estimate]) -> list[Estimate]:
    """A flat gradient as one Estimate per leaf, with the bars of the right one."""
    parts = np.split(flat, np.cumsum([leaf.value.size for leaf in like])[:-1])
    return [Estimate(part.reshape(leaf.shape), leaf.bar) for part, leaf in zip(parts, like, strict=True)]
