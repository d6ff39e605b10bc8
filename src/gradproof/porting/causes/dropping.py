"""Dropout that is on: entries set to zero at random, the others scaled."""

__all__ = ["dropout_causes"]

from collections.abc import Iterator
from math import sqrt

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.evidence import Evidence, float64, residual
from gradproof.porting.causes.numbers import plain, round_number
from gradproof.porting.stretch import Cause, Stretch

LEAST = 8
"""Entries that have to be zero by themselves, and that have to be left."""

DEVIATIONS = 6.0
"""Standard deviations by which the share of zeros may miss the rate that the scale tells."""


def dropout_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """One side is the other with some entries zero and the rest times 1/(1 − p)."""
    expected, found = evidence.sides
    for full, thinned, who in ((expected, found, "{port}"), (found, expected, "{reference}")):
        rate = _rate(full, thinned, evidence.allowance)
        if rate is not None:
            off = f"put {who} into evaluation mode"
            share, scale = rate
            words = f"{who} drops {share:.0%} of the entries"
            scaled = (
                f" and scales the others by 1/(1 − {plain(scale)})"
                if scale
                else " and does not scale the others"
            )
            yield Cause("GP228", words + scaled + ": dropout is on", off, scale or share)
            return
    yield from _on_the_way(stretch, evidence)


def _on_the_way(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """A module of the reference inside this stretch that drops entries of what is added to the rest: a residual's branch."""
    for key, given in stretch.inputs.items():
        name, _, call = key.partition(" input")
        thinned = stretch.inputs.get(name + call) if " input" in key else None
        if thinned is None or thinned.shape != given.shape or given.shape != evidence.found.shape:
            continue
        rate = _rate(float64(given), float64(thinned), evidence.allowance)
        if rate is not None and evidence.is_found(evidence.expected - thinned + given):
            words = f"{{reference}} drops {rate[0]:.0%} of the entries of {key}: dropout is on in {name}, and not in {{port}}"
            yield Cause("GP228", words, "put {reference} into evaluation mode", rate[1] or rate[0])
            return


def _rate(full: HostArray, thinned: HostArray, allowance: float) -> tuple[float, float] | None:
    """(share of zeros, the rate p that the scale of the rest tells); None if this is no dropout."""
    zero = (thinned == 0) & (full != 0)
    kept = (thinned != 0) & (full != 0)
    zeros, left = np.count_nonzero(zero), np.count_nonzero(kept)
    if min(zeros, left) < LEAST:
        return None
    one, other = full[kept], thinned[kept]
    factor = float(np.vdot(one, other).real / np.vdot(one, one).real)
    if factor < 1 - 1e-9 or residual(one * factor, other) > allowance:
        return None
    share, rate = zeros / (zeros + left), 1.0 - 1.0 / factor
    if factor < 1 + 1e-9:
        return (
            (share, 0.0)
            if residual(one, other) <= allowance and _scattered(zero) and not _is_cut(full, zero)
            else None
        )
    far = abs(share - rate) > DEVIATIONS * sqrt(rate * (1 - rate) / zero.size) * _clusters(zero)
    return None if far or round_number(rate) is None else (share, rate)


def _clusters(zero: HostArray) -> float:
    """By how much fewer the independent draws are: whole channels may be dropped together."""
    for axis in range(zero.ndim):
        lines = np.moveaxis(zero, axis, 0)
        if zero.shape[axis] > 1 and np.all(lines == lines[:1]):
            return sqrt(zero.shape[axis]) * _clusters(lines[0])
    return 1.0


def _is_cut(full: HostArray, zero: HostArray) -> bool:
    """Whether the zeros are the entries on one side of 0: a ReLU."""
    dropped, kept = full[zero], full[~zero]
    return bool((np.all(dropped < 0) and np.all(kept >= 0)) or (np.all(dropped > 0) and np.all(kept <= 0)))


def _scattered(zero: HostArray) -> bool:
    """Whether the zeros follow no axis: they are neither whole slices nor triangles nor the negative half."""
    if zero.ndim == 0:
        return False
    flat = zero.ravel()
    runs = np.count_nonzero(flat[1:] != flat[:-1])
    share = float(np.mean(flat))
    due = 2 * share * (1 - share) * (flat.size - 1)
    return bool(abs(runs - due) <= DEVIATIONS * sqrt(max(due, 1.0)))
