"""Claims that lost information: the same value along an axis, fewer digits. There is nothing to correct them to."""

__all__ = ["flattened"]

from collections.abc import Iterator

import numpy as np

from gradproof.arrays import HostArray
from gradproof.diagnosing.case import Case
from gradproof.point import UNIT_ROUNDOFF
from gradproof.verdict import Diagnosis, Estimate

ALIKE = 1e-12
"""Share of the largest by which entries that hold the same number may differ."""

DIGITS = (("float32", np.float32, 2.0**-23, 2.0**-149), ("float16", np.float16, 2.0**-10, 2.0**-24))
"""Name, dtype, two roundoffs of a number, and the smallest number: how far a value that was rounded to it is off."""

MOSTLY = 0.25
"""Share of the entries that are off where all were rounded: some are numbers of the coarser dtype by chance."""


def flattened(case: Case) -> Iterator[Diagnosis]:
    """Every such claim that agrees with what is left of the right gradient."""
    yield from _copied(case)
    yield from _alike(case)
    yield from _few_digits(case)


def _copied(case: Case) -> Iterator[Diagnosis]:
    """Bit for bit what was given for another leaf, which is not zero."""
    claim = case.claim.value
    for other, estimate in enumerate(case.gradient):
        alike = other != case.leaf and np.array_equal(estimate.value.reshape(-1), claim.reshape(-1))
        if alike and other not in case.wrong and claim.size > 1 and np.ptp(claim) > 0:
            says = f"holds a copy of what was given for {case.point.paths[other]}"
            yield Diagnosis("GP119", case.source, (case.path,), says)


def _alike(case: Case) -> Iterator[Diagnosis]:
    claim = case.claim.value
    axes: list[int | None] = [None] if claim.ndim < 2 else [None, *range(claim.ndim)]
    for axis in axes:
        length = claim.size if axis is None else claim.shape[axis]
        if length < 2 or not claim.any() or not _constant_along(claim, axis):
            continue
        where = "every entry" if axis is None else f"every entry along axis {axis}"
        for words, factor in (("mean", 1.0), ("sum", 1.0 / length)):
            if case.judge.same_mean(axis, factor):
                yield Diagnosis(
                    "GP126", case.source, (case.path,), f"holds the {words} of the right values in {where}"
                )
                return


def _constant_along(claim: HostArray, axis: int | None) -> bool:
    return bool(np.all(np.ptp(claim, axis=axis) <= ALIKE * np.abs(claim).max()))


def _located_within(case: Case, allowed: HostArray) -> bool:
    """Whether many entries are off, and none that was read by more than it may be."""
    location = case.location
    if location is None or location.share < MOSTLY:
        return False
    off = zip(location.entries, location.errors, location.bars, strict=True)
    return all(abs(error) <= allowed[index] + bar for index, error, bar in off)


def _few_digits(case: Case) -> Iterator[Diagnosis]:
    claim = case.claim
    whole_numbers = np.array_equal(claim.value, np.round(claim.value))
    if whole_numbers:
        return
    coarser = [
        entry for entry in DIGITS if UNIT_ROUNDOFF[entry[0]] > UNIT_ROUNDOFF[case.point.dtypes[case.leaf]]
    ]
    for name, dtype, ulps, smallest in reversed(coarser):
        with np.errstate(over="ignore"):
            rounded = claim.value.astype(dtype).astype(np.float64)
        if not np.array_equal(rounded, claim.value):
            continue
        allowed = ulps * np.abs(claim.value) + smallest
        if _located_within(case, allowed) and case.judge.within(Estimate(claim.value, claim.bar + allowed)):
            says = f"has the digits of {name} only: every entry is a {name} number, and right to its rounding"
            yield Diagnosis("GP111", case.source, (case.path,), says)
            return
