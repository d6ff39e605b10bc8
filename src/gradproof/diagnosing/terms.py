"""Terms of the function that the claim leaves out, counts twice, or has with another factor.

A term is known by the constant that multiplies it: the function with that constant set to zero lacks it. What the
claim is off by is then a multiple of the term's own slope, which more slopes along the same probes give.
"""

__all__ = ["misweighted_term"]

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gradproof.diagnosing.case import Case
from gradproof.diagnosing.names import shown
from gradproof.judging import Probed, Referee
from gradproof.judging.compare import along
from gradproof.numeric.climb import climb
from gradproof.numeric.sampling import Sampler, sampler_for
from gradproof.verdict import Diagnosis

MOST_TERMS = 3
"""Constants that are set to zero, one after the other."""

KNOWN = 2.0**-7
"""Part of the term's slope to which its share has to be known."""


class _Slopes(NamedTuple):
    """Along one probe: what the claim lacks, the term, and the bar of either."""

    lacking: float
    term: float
    bar: float


def misweighted_term(case: Case, referee: Referee, probes: list[Probed]) -> Iterator[Diagnosis]:
    """Every constant whose term the claim has with another weight than 1. `probes` are three or more of the leaf."""
    for name in list(case.constants.scalars)[:MOST_TERMS]:
        without = _without(case, referee.sampler, name)
        if without is None:
            continue
        slopes = [_slopes(case, without, probed) for probed in probes]
        share = _share(slopes)
        if share is None or abs(share[0]) <= share[1]:
            continue
        yield _diagnosis(case, name, *share)


def _without(case: Case, sampler: Sampler, name: str) -> Sampler | None:
    """The function with one constant set to zero; None where it cannot be evaluated."""
    args = tuple(
        type(arg)(0) if known == name else arg
        for known, arg in zip(case.constants.names, case.point.args, strict=True)
    )
    fun: Callable[..., Any] = sampler.fun
    try:
        other = sampler_for(fun, replace(case.point, args=args), sampler.placement.backend)
    except Exception:  # a constant that divides
        return None
    return other if other.output_shape == () and np.isfinite(other.value) else None


def _slopes(case: Case, without: Sampler, probed: Probed) -> _Slopes:
    claim = along(case.gradient, probed.probe)
    slope = climb(without.line(probed.probe))
    value, bar = float(probed.slope.value[0]), float(probed.slope.bar[0]) + claim.bar
    return _Slopes(value - claim.value, value - float(slope.value[0]), bar + float(slope.bar[0]))


def _share(slopes: list[_Slopes]) -> tuple[float, float] | None:
    """c with lacking = c·term along every probe, and its bar."""
    best = max(slopes, key=lambda s: abs(s.term) / s.bar if s.bar else np.inf)
    if not best.bar <= KNOWN * abs(best.term):
        return None
    c = best.lacking / best.term
    bar = best.bar * (1 + abs(c)) / abs(best.term)
    fits = (abs(s.lacking - c * s.term) <= s.bar * (1 + abs(c)) + bar * abs(s.term) for s in slopes)
    return (c, bar) if all(fits) else None


def _diagnosis(case: Case, constant: str, c: float, bar: float) -> Diagnosis:
    has = 1.0 - c
    name = case.constants.name(has, bar)
    if abs(has) <= bar:
        says, named = f"leaves out the term with {constant}: it is the gradient for {constant} = 0", "0"
    else:
        named = name.words if name else ""
        says = f"has {shown(has, bar, name)} × the term with {constant}"
    return Diagnosis("GP130", case.source, (case.path,), says, "", has, bar, named)
