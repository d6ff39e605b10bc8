"""From one wrong leaf to the mistakes that explain it, and from many leaves to one list."""

__all__ = ["Explained", "convincing", "diagnose", "merged"]

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray
from gradproof.diagnosing.case import Case
from gradproof.diagnosing.fits import fits, settled
from gradproof.diagnosing.flattened import flattened
from gradproof.diagnosing.guesses import guesses
from gradproof.diagnosing.partial import by_place, partial, zeros
from gradproof.locating import Located
from gradproof.verdict import Diagnosis, Estimate

MOST = 4
"""Diagnoses of one leaf."""

SIMPLEST = (
    "GP102", "GP106", "GP101", "GP104", "GP128", "GP103", "GP119", "GP120", "GP121", "GP124", "GP107", "GP122",
    "GP127", "GP126", "GP111", "GP109", "GP125", "GP130", "GP123", "GP108",
)  # fmt: skip
"""Codes in the order in which a reader would want to try them."""


PLACES = ("GP123", "GP108")
"""Codes that tell where, and not what: the last to be told."""


SUMMANDS = ("GP121", "GP127")
"""Codes of a multiple of something that is added: convincing only if the number has a name."""


class Explained(NamedTuple):
    """What explains one leaf, and where it is wrong."""

    diagnoses: list[Diagnosis]
    located: Located | None
    corrected: Estimate | None = None
    """The leaf with the first mistake corrected that can be."""


def diagnose(
    case: Case,
    locate: Callable[[HostArray | None], Located | None],
    relocate: Callable[[Estimate], Located | None],
) -> Explained:
    """Mistakes that explain the whole leaf, else its wrong entries.

    `locate` finds the wrong entries of the claim, within a mask if there is one; `relocate` those by which it differs from a corrected claim, at
    no cost.
    """
    found = list(_of_whole_leaf(case))
    corrected = next((estimate for _, estimate in found if estimate is not None), None)
    zeroed = case.claim.value == 0 if any(d.code == "GP106" for d, _ in found) else None
    located = relocate(corrected) if corrected is not None else locate(zeroed)
    diagnoses = [diagnosis for diagnosis, _ in found]
    if located is not None:
        diagnoses += _where_located(case.located(located.location), located, told=bool(diagnoses))
    return Explained(_sorted(diagnoses)[:MOST], located, corrected)


def convincing(diagnosis: Diagnosis) -> bool:
    """Whether a diagnosis tells what the mistake is, and not merely where, or with a number that means nothing."""
    if diagnosis.code in SUMMANDS:
        return any(letter.isalpha() for letter in diagnosis.named)
    if diagnosis.code == "GP130":
        return bool(diagnosis.named)
    return diagnosis.code not in PLACES


def merged(diagnoses: Iterable[Diagnosis]) -> list[Diagnosis]:
    """The same mistake in several leaves told once, those of the most leaves first."""
    groups: dict[tuple[str, str, str, str], list[Diagnosis]] = {}
    for diagnosis in diagnoses:
        key = (diagnosis.source, diagnosis.code, diagnosis.says, diagnosis.correction)
        groups.setdefault(key, []).append(diagnosis)
    told = [
        replace(group[0], leaves=tuple(dict.fromkeys(leaf for d in group for leaf in d.leaves)))
        for group in groups.values()
    ]
    return sorted(told, key=lambda d: (d.code in PLACES, not convincing(d), -len(d.leaves), _rank(d)))


def _of_whole_leaf(case: Case) -> Iterator[tuple[Diagnosis, Estimate | None]]:
    zero = zeros(case)
    if zero is not None:
        yield zero, None
        if not case.claim.value.any():
            return
    for guess in guesses(case):
        if np.isfinite(guess.corrected.value).all() and case.judge.agrees(guess.corrected):
            yield settled(case, guess)
    yield from fits(case)


def _where_located(case: Case, located: Located, *, told: bool) -> list[Diagnosis]:
    """What the wrong entries have in common, if the whole leaf was not told; at least their place."""
    if told and located.location.pattern == "whole":
        return []
    found = [] if told else list(flattened(case))
    found += [d for d, _ in partial(case, located.wrong, complete=located.complete)]
    place = None if found or told else by_place(case, located.wrong)
    return found + ([place] if place else [])


def _rank(diagnosis: Diagnosis) -> int:
    return SIMPLEST.index(diagnosis.code) if diagnosis.code in SIMPLEST else len(SIMPLEST)


def _sorted(diagnoses: list[Diagnosis]) -> list[Diagnosis]:
    """The simplest first: known numbers before fitted ones. Each code once, unless it says something else."""
    unique = {(d.code, d.says): d for d in diagnoses}
    return sorted(unique.values(), key=lambda d: (not np.isnan(d.value) and not d.named, _rank(d)))
