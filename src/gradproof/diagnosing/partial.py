"""Guesses for a leaf that is wrong in part: what the wrong entries have in common besides their place."""

__all__ = ["partial", "zeros"]

from collections.abc import Iterator

import numpy as np

from gradproof.arrays import HostArray
from gradproof.diagnosing.case import Case
from gradproof.diagnosing.names import shown
from gradproof.locating import pattern_of
from gradproof.verdict import Diagnosis, Estimate

FEW = 10
"""Wrong entries that are named one by one."""


def zeros(case: Case) -> Diagnosis | None:
    """The claim is zero where the function moves, and right elsewhere."""
    zero = case.claim.value == 0
    if not zero.any():
        return None
    if zero.all():
        return _said(case, "GP106", "is zero everywhere", "")
    if not case.judge.clean_except(zero):
        return None
    return _said(case, "GP106", f"is zero in {pattern_of(zero).where}, which moves the function", "")


def partial(case: Case, wrong: HostArray, *, complete: bool) -> Iterator[tuple[Diagnosis, Estimate | None]]:
    """Every guess that agrees, with the corrected claim where there is one.

    `wrong` marks all wrong entries (boolean, of the leaf's shape); `complete` if the location names every one of them
    with its right value.
    """
    claim = case.claim.value
    location = case.location
    if location is None or not wrong.any():
        return
    where = location.where
    right = np.array([claim[index] - e for index, e in zip(location.entries, location.errors, strict=True)])
    given = np.array([claim[index] for index in location.entries])
    bars = np.array(location.bars)
    if complete and len(right) > 1 and _exchanged(given, right, bars):
        yield _said(case, "GP120", f"has the right values exchanged in {where}", ""), None
    yield from _fitted(case, wrong, where)
    if case.clean_except(wrong):
        yield from (
            (_said(case, *words, ""), None) for words in _of_values(claim, wrong, given, right, bars, where)
        )


def _fitted(case: Case, wrong: HostArray, where: str) -> Iterator[tuple[Diagnosis, Estimate]]:
    claim = case.claim
    inside = np.where(wrong, claim.value, 0.0)
    outside = Estimate(np.where(wrong, 0.0, claim.value), np.where(wrong, 0.0, claim.bar))
    factor = case.fitted(outside, inside) if np.count_nonzero(inside) else None
    if factor is not None:
        yield from _factor_inside(case, factor, where)
    multiple = case.fitted(claim, np.where(wrong, case.theta, 0.0))
    if multiple is not None and np.count_nonzero(wrong) > 1:
        number, bar, corrected = multiple
        name = case.constants.name(abs(number), bar, prefer="constant")
        words = shown(abs(number), bar, name)
        says = f"{'lacks' if number > 0 else 'has'} {words} × the parameters{'' if number > 0 else ' too much'} in {where}"
        yield (
            Diagnosis(
                "GP121", case.source, (case.path,), says, "", number, bar, "" if name is None else name.words
            ),
            corrected,
        )


def _factor_inside(
    case: Case, fit: tuple[float, float, Estimate], where: str
) -> Iterator[tuple[Diagnosis, Estimate]]:
    number, bar, corrected = fit
    if number == 0:
        return
    inverse, inverse_bar = 1 / number, bar / number**2
    name = case.constants.name(inverse, inverse_bar)
    alone = case.location is not None and case.location.count == 1
    if alone and name is None:
        return  # one number is a multiple of any other
    code = "GP102" if name and name.words == "-1" else "GP104" if name and name.kind == "size" else "GP101"
    words = shown(inverse, inverse_bar, name)
    says = (
        f"has the wrong sign in {where}" if code == "GP102" else f"is {words} × the right gradient in {where}"
    )
    yield (
        Diagnosis(
            code,
            case.source,
            (case.path,),
            says,
            "",
            inverse,
            inverse_bar,
            "" if name is None else name.words,
        ),
        corrected,
    )


def _exchanged(given: HostArray, right: HostArray, bars: HostArray) -> bool:
    order, due = np.argsort(given), np.argsort(right)
    return bool(np.all(np.abs(given[order] - right[due]) <= bars[due]))


def _of_values(
    claim: HostArray, wrong: HostArray, given: HostArray, right: HostArray, bars: HostArray, where: str
) -> Iterator[tuple[str, str]]:
    """Code and words for what the values of the wrong entries have in common."""
    largest = np.abs(claim).max()
    inside = claim[wrong]
    if not inside.any():
        yield "GP106", f"is zero in {where}, which moves the function"
        return
    if len(right) and np.all(np.abs(right) <= bars):
        yield "GP107", f"is not zero in {where}, which does not move the function"
    both_ends = inside.max() > 0 > inside.min() or not wrong.all()
    at_bound = np.all(np.abs(inside) == largest) and both_ends
    if len(given) > 1 and at_bound and np.all(given * (right - given) > np.abs(given) * bars):
        yield "GP128", f"is cut to ±{largest:.6g} in {where}"
    if len(given) > 1 and _truncated(given, right, bars):
        yield "GP111", "holds whole numbers: it was cast to integers"


def _truncated(given: HostArray, right: HostArray, bars: HostArray) -> bool:
    """Whether every value is what a cast to integers makes of the right one, and not all of those are whole."""
    cast = (np.trunc(right - bars) == given) | (np.trunc(right + bars) == given)
    return bool(np.all(cast) and np.any(np.abs(right - np.round(right)) > bars))


def _said(case: Case, code: str, says: str, correction: str) -> Diagnosis:
    return Diagnosis(code, case.source, (case.path,), says, correction)


def by_place(case: Case, wrong: HostArray) -> Diagnosis | None:
    """What is left to say where nothing else explains it: the place alone, if everything else agrees."""
    location = case.location
    if location is None or location.pattern in ("whole", "scattered") or not case.clean_except(wrong):
        return None
    if location.pattern in ("slice", "block"):
        return _said(case, "GP108", f"is wrong in {location.where} only", "")
    if location.count is not None and location.count <= FEW:
        return _said(case, "GP123", f"is wrong in {location.where} only", "")
    return None
