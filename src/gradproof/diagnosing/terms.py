"""Terms of the function that the claim leaves out, counts twice, or has with another factor.

A term is known by the constant that multiplies it: with half of the constant, the function has half of it. What the
claim is off by is then a multiple of the term's own slope, which more slopes along the same probes give.
"""

__all__ = ["misweighted_term"]

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gradproof.diagnosing.case import Case
from gradproof.diagnosing.judges import ByProbes
from gradproof.diagnosing.names import shown
from gradproof.judging import Probed, Referee
from gradproof.judging.compare import along
from gradproof.numeric.climb import climb
from gradproof.numeric.ladder import Slope
from gradproof.numeric.sampling import Sampler, sampler_for
from gradproof.verdict import Diagnosis

MOST_TERMS = 3
"""Constants that are changed, one after the other."""

KNOWN = 2.0**-7
"""Part of the term's slope to which its share has to be known."""

CLOSELY = 2.0**-20
"""The same to which slopes are looked for."""

FEWEST = 3
"""Probes along which the share has to be the same."""

ROUGHLY = 2.0**-4
"""Part by which shares read at a single step may differ along two probes, and still be looked at more closely. One wrong
entry misses by far more, along one probe or another."""

HALF, TWICE = 0.5, 2.0
"""Factors on the constant. What multiplies a term changes the function in proportion; zero might be no valid value."""


class _Slopes(NamedTuple):
    """Along one probe: what the claim lacks, the term, and the bar of either."""

    lacking: float
    term: float
    bar: float


def misweighted_term(case: Case, referee: Referee, judge: ByProbes) -> Iterator[Diagnosis]:
    """Every constant whose term the claim has with another weight than 1, by the probes of the leaf and maybe a fresh one."""
    floats = [
        n for n, arg in zip(case.constants.names, case.point.args, strict=True) if isinstance(arg, float)
    ]
    for name in [name for name in floats if name in case.constants.scalars][:MOST_TERMS]:
        share = _share_of(case, referee, judge, name)
        if share is not None and abs(share[0]) > share[1]:
            yield _diagnosis(case, name, *share)


def _share_of(case: Case, referee: Referee, judge: ByProbes, name: str) -> tuple[float, float] | None:
    """Which share of the term with constant `name` the claim lacks, and its bar; None if that is not what it lacks."""
    try:
        half = _changed(case, referee.sampler, name, HALF)
        if half is None or not _alike([_glance(case, half, probed) for probed in judge.probed]):
            return None
        probes = [*judge.probed, judge.fresh][:FEWEST]
        halves = [_half(case, half, probed) for probed in probes]
        share = _share([_slopes(case, slope, probed) for slope, probed in zip(halves, probes, strict=True)])
        twice = _changed(case, referee.sampler, name, TWICE) if share else None
        return share if twice and _proportional(case, halves[0], twice, probes[0]) else None
    except Exception:  # the user's function does not take that constant
        return None


def _half(case: Case, half: Sampler, probed: Probed) -> Slope:
    return climb(half.line(probed.probe), enough=_enough(case, probed))


def _enough(case: Case, probed: Probed) -> float:
    return CLOSELY * abs(float(probed.slope.value[0]) - along(case.gradient, probed.probe).value)


def _glance(case: Case, half: Sampler, probed: Probed) -> _Slopes:
    """What the claim lacks, and the term at a single step: that at which the secant is closest to those of finer ones."""
    ladder, line = probed.slope.ladder, half.line(probed.probe)
    whole = probed.line
    secants = ladder.odd[:, 0] / ladder.steps
    step = float(ladder.steps[np.nanargmin(np.abs(secants - secants[-1])[:-1])])
    change = (whole(step) - whole(-step) - line(step) + line(-step)).item() / (2 * step)
    lacking = float(probed.slope.value[0]) - along(case.gradient, probed.probe).value
    return _Slopes(lacking, change / (1 - HALF), 0.0)


def _alike(glances: Sequence[_Slopes]) -> bool:
    """Whether the claim lacks about the same share of the term along all probes."""
    first, *others = glances
    products = [(first.lacking * other.term, other.lacking * first.term) for other in others]
    return first.term != 0 and all(abs(a - b) <= ROUGHLY * (abs(a) + abs(b)) for a, b in products)


def _changed(case: Case, sampler: Sampler, name: str, factor: float) -> Sampler | None:
    """The function with one constant multiplied by `factor`; None where it is not finite."""
    args = tuple(
        factor * arg if known == name else arg
        for known, arg in zip(case.constants.names, case.point.args, strict=True)
    )
    other = sampler_for(sampler.fun, replace(case.point, args=args), sampler.placement.backend)
    return other if other.output_shape == () and np.isfinite(other.value) else None


def _slopes(case: Case, half: Slope, probed: Probed) -> _Slopes:
    claim = along(case.gradient, probed.probe)
    value, bar = float(probed.slope.value[0]), float(probed.slope.bar[0])
    term = (value - float(half.value[0])) / (1 - HALF)
    return _Slopes(value - claim.value, term, (bar + float(half.bar[0])) / (1 - HALF) + claim.bar)


def _proportional(case: Case, below: Slope, twice: Sampler, probed: Probed) -> bool:
    """Whether the slope grows in proportion to the constant, so that there is one term which it multiplies."""
    above = climb(twice.line(probed.probe), enough=_enough(case, probed))
    per_unit = [
        (float(above.value[0]) - float(probed.slope.value[0])) / (TWICE - 1),
        (float(probed.slope.value[0]) - float(below.value[0])) / (1 - HALF),
    ]
    bars = float(above.bar[0]) + 3 * float(probed.slope.bar[0]) + 2 * float(below.bar[0])
    return abs(per_unit[0] - per_unit[1]) <= bars


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
