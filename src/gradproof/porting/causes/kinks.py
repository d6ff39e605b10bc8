"""Entries at which two gradients differ because the function has a kink there."""

__all__ = ["kink_causes"]

from collections.abc import Iterator

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import like
from gradproof.porting.causes.evidence import Evidence
from gradproof.porting.causes.numbers import plain
from gradproof.porting.stretch import Cause, Stretch

MOST_BOUNDS = 2
"""Values that a clip has its kinks at."""

TIED = 2
"""Entries that make a tie."""


def kink_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """All entries that differ lie at a kink: of the value itself, or of an input of its shape."""
    with np.errstate(invalid="ignore"):
        same = np.abs(evidence.expected - evidence.found) <= max(evidence.bar, 0.0)
    differs = ~(same | (evidence.expected == evidence.found))
    if not differs.any() or (differs.all() and differs.size > 1):
        yield from _whole(stretch, evidence, differs)
        return
    for name, x in {"the value": stretch.expected, **like(stretch, stretch.expected)}.items():
        words = _words(np.asarray(x), differs)
        if words:
            yield _cause(f"{name} is {words}", evidence, differs)
            return


def _whole(stretch: Stretch, evidence: Evidence, differs: HostArray) -> Iterator[Cause]:
    """Every entry differs: only where everything is at the kink."""
    x = np.asarray(stretch.expected)
    if differs.all() and x.size and not np.any(x):
        yield _cause("the value is exactly 0", evidence, differs)


def _words(x: HostArray, differs: HostArray) -> str:
    """What is special about the entries of `x` that differ, and about no others; "" if nothing is."""
    at = x[differs]
    if not np.any(at):
        rows = _zero_vectors(x)
        for axis, zero in rows:
            if np.array_equal(differs, np.broadcast_to(zero, x.shape)):
                return (
                    f"a vector of zeros along axis {axis} (a norm at 0)" if x.shape[axis] > 1 else "exactly 0"
                )
        return (
            "exactly 0"
            if np.all(differs[x == 0]) or np.count_nonzero(x == 0) >= np.count_nonzero(differs)
            else ""
        )
    bounds = np.unique(at)
    if bounds.size <= MOST_BOUNDS and np.all(differs[np.isin(x, bounds)]) and _is_bound(x, bounds):
        return "exactly at the bound " + " or ".join(plain(float(b)) for b in bounds)
    for axis in range(x.ndim):
        if np.all(_tied(x, axis)[differs]):
            return f"tied with another entry along axis {axis}"
    return ""


def _zero_vectors(x: HostArray) -> list[tuple[int, HostArray]]:
    return [(axis, ~np.any(x, axis=axis, keepdims=True)) for axis in range(x.ndim)]


def _is_bound(x: HostArray, bounds: HostArray) -> bool:
    """A value that somebody wrote down (few digits), or that many entries have."""
    return all(float(f"{b:.3g}") == b or np.count_nonzero(x == b) >= TIED for b in bounds.tolist())


def _tied(x: HostArray, axis: int) -> HostArray:
    """Entries that are equal to another one along an axis."""
    moved = np.moveaxis(x, axis, -1)
    order = np.argsort(moved, axis=-1, kind="stable")
    ranked = np.take_along_axis(moved, order, axis=-1)
    equal = ranked[..., 1:] == ranked[..., :-1]
    none = np.zeros((*equal.shape[:-1], 1), dtype=bool)
    either = np.concatenate([none, equal], -1) | np.concatenate([equal, none], -1)
    tied = np.empty_like(either)
    np.put_along_axis(tied, order, either, axis=-1)
    return np.moveaxis(tied, -1, axis)


def _cause(words: str, evidence: Evidence, differs: HostArray) -> Cause:
    one, other = (float(side[differs].ravel()[0]) for side in evidence.sides)
    known = _known(words, one, other)
    says = (
        f"the gradients differ only where {words}, a kink: {plain(one)} in {{reference}} and {plain(other)} in {{port}} "
        f"at the first of them, another convention{known}"
    )
    finite = np.isfinite([one, other]).all()
    remedy = (
        "nothing is wrong; move the point off the kink"
        if finite
        else "NaN spreads: keep the point off the kink, or take the root of something that is never 0"
    )
    return Cause("GP109", says, remedy, other)


def _known(words: str, one: float, other: float) -> str:
    """The function that frameworks are known to differ in so."""
    low, high = sorted((abs(one), abs(other))) if np.isfinite([one, other]).all() else (np.nan, np.nan)
    if "bound" in words:
        return " (clip: JAX gives half, PyTorch all)" if np.isclose(low / high, 0.5, rtol=1e-9) else ""
    if np.isnan([one, other]).any() and 0.0 in (one, other):
        return " (a norm, or atan2, at 0: JAX gives NaN, PyTorch 0)"
    if np.isnan([one, other]).any():
        return " (hypot at 0: JAX gives a number, PyTorch NaN)"
    return " (abs: JAX gives 1, PyTorch 0)" if words.endswith("exactly 0") and low == 0.0 else ""
