"""Guesses with one number to fit: a factor, a multiple of the parameters, a constant."""

__all__ = ["fits"]

from collections.abc import Iterator

import numpy as np

from gradproof.arrays import norm
from gradproof.diagnosing.case import Case
from gradproof.diagnosing.guesses import Guess
from gradproof.diagnosing.names import Name, shown
from gradproof.verdict import Diagnosis, Estimate

ROUND_NORM = 1e-9
"""Share by which the norm of a normalised gradient may miss a round number."""


def fits(case: Case) -> Iterator[tuple[Diagnosis, Estimate]]:
    """Every one that agrees, with the corrected claim."""
    for family in (_factor, _multiple_of_parameters, _constant):
        yield from family(case)


def _factor(case: Case) -> Iterator[tuple[Diagnosis, Estimate]]:
    zero = Estimate(np.zeros(case.claim.shape), np.zeros(case.claim.shape))
    fit = case.fitted(zero, case.claim.value)
    if fit is None or fit[0] == 0:
        return
    number, bar, corrected = fit
    inverse, inverse_bar = 1.0 / number, bar / number**2
    name = case.constants.name(inverse, inverse_bar) or _inverse(case.constants.name(number, bar))
    if name is None and np.count_nonzero(case.claim.value) < 2:
        return  # one number is a multiple of any other
    if name is not None and name.words == "-1":
        return  # that has its own name: a wrong sign
    code = "GP104" if name is not None and name.kind == "size" else "GP101"
    by = shown(inverse, inverse_bar, name)
    says = f"is {by} × the right gradient"
    if name is None and (norm := _round_norm(case)) is not None:
        code, says = "GP128", f"was scaled to norm {norm:g}: it is {by} × the right gradient"
    correction = _divided(name.words if name else by)
    yield _diagnosis(case, code, says, correction, inverse, inverse_bar, name), corrected


def _divided(words: str) -> str:
    """g over what it was multiplied by."""
    rest = words.removeprefix("1/")
    if rest != words and (rest.isalnum() or rest.endswith(")")):
        return f"g * {rest}"
    return f"g / ({words})" if any(sign in words for sign in "/*-+") else f"g / {words}"


def _inverse(name: Name | None) -> Name | None:
    return None if name is None else Name(f"1/({name.words})", 1 / name.value, name.kind, name.effort)


def _round_norm(case: Case) -> float | None:
    """The 2-norm of the claim, of this leaf or of all, where it is a round number."""
    own = norm(case.claim.value)
    whole = float(np.hypot.reduce([norm(estimate.value) for estimate in case.gradient]))
    for size in (own, whole):
        short = float(f"{size:.1g}")
        if short and abs(size - short) <= ROUND_NORM * size and case.claim.value.size > 1:
            return short
    return None


def _multiple_of_parameters(case: Case) -> Iterator[tuple[Diagnosis, Estimate]]:
    theta = case.theta
    fit = case.fitted(case.claim, theta)
    if fit is None:
        return
    number, bar, corrected = fit
    name = case.constants.name(abs(number), bar, prefer="constant")
    if np.count_nonzero(theta) < 2 and (name is None or name.kind != "constant"):
        return  # one number is a multiple of any other
    by = shown(abs(number), bar, name)
    words = name.words if name else by
    what, term = ("the parameters", "θ") if words == "1" else (f"{by} × the parameters", f"{words} * θ")
    if number > 0:
        says, correction = f"lacks {what}", f"g + {term}"
    else:
        says, correction = f"has {what} too much", f"g - {term}"
    yield _diagnosis(case, "GP121", says, correction, number, bar, name), corrected


def _constant(case: Case) -> Iterator[tuple[Diagnosis, Estimate]]:
    fit = case.fitted(case.claim, np.ones(case.claim.shape)) if case.claim.value.size > 1 else None
    if fit is None:
        return
    number, bar, corrected = fit
    name = case.constants.name(abs(number), bar)
    words = name.words if name else shown(abs(number), bar, name)
    says = f"is {words} too {'small' if number > 0 else 'large'} in every entry"
    correction = f"g {'+' if number > 0 else '-'} {words}"
    yield _diagnosis(case, "GP127", says, correction, number, bar, name), corrected


def _diagnosis(
    case: Case, code: str, says: str, correction: str, value: float, bar: float, name: Name | None
) -> Diagnosis:
    return Diagnosis(
        code, case.source, (case.path,), says, correction, value, bar, "" if name is None else name.words
    )


def settled(case: Case, guess: Guess) -> tuple[Diagnosis, Estimate]:
    """Diagnosis of a guess that agrees."""
    return Diagnosis(guess.code, case.source, (case.path,), guess.says, guess.correction), guess.corrected
