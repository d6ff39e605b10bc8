"""What there is to draw of a wrong leaf: a source's entries, the right ones, and which of them are wrong."""

__all__ = ["Contrast", "Part", "contrast", "suspects"]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradproof.arrays import HostArray
from gradproof.report.view import Order
from gradproof.verdict import Finding, Location, Verdict


class Part:
    """A leaf of which only some entries are known; `part[index]` is one of those."""

    def __init__(self, shape: tuple[int, ...], indices: HostArray, values: HostArray) -> None:
        self.shape = shape
        self.indices = indices
        """Positions of the known entries, in row-major order, rising."""
        self.values = values
        """The entries there."""

    def __getitem__(self, index: tuple[int, ...]) -> float:
        flat = int(np.ravel_multi_index(index, self.shape)) if self.shape else 0
        at = int(np.searchsorted(self.indices, flat))
        if at == len(self.indices) or self.indices[at] != flat:
            raise KeyError(
                f"entry {list(index)} was not kept: the JSON holds {len(self.indices)} of {math.prod(self.shape)} entries "
                "of this leaf, the worst ones"
            )
        return float(self.values[at])

    def __array__(self, dtype: object = None, copy: object = None) -> HostArray:
        raise ValueError(
            f"only {len(self.indices)} of {math.prod(self.shape)} entries were kept in the JSON: use `indices` and `values`"
        )

    def __repr__(self) -> str:
        return f"Part(shape={self.shape}, {len(self.indices)} of {math.prod(self.shape)} entries)"


@dataclass(frozen=True)
class Contrast:
    """One leaf of a source that is wrong there, beside the right one. All arrays have shape (known,)."""

    leaf: str
    shape: tuple[int, ...]
    source: str
    reference: str
    """Whose values are the right ones: a source with a gradient, or "numeric", known where it was asked."""
    indices: HostArray
    """Positions of the entries that are known, in row-major order, rising."""
    claimed: HostArray
    right: HostArray
    """NaN where it is not known."""
    bad: HostArray
    """Whether an entry is shown as wrong."""

    @property
    def difference(self) -> HostArray:
        """Claimed minus right."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.claimed - self.right)

    @property
    def size(self) -> HostArray:
        """By how much to look at each entry: its difference; where none is known, its own size."""
        if np.isnan(self.right).all():
            return np.abs(self.claimed)
        both = np.isfinite(self.claimed) & np.isnan(self.right)
        return np.where(both, -1.0, np.abs(self.difference))


def suspects(order: Order, path: str) -> tuple[str, str | None] | None:
    """(source that is wrong in this leaf, source with a gradient that is right there); None where no gradient is."""
    known = order.gradients(path)
    refuted = [f for f in order.findings.get(path, []) if f.verdict is Verdict.DISAGREES]
    source = _subject(order, order.locations.get(path, []), refuted, known)
    if source is None:
        return None
    differing = {name for f in refuted if source in f.sources for name in f.sources if name != source}
    right = [name for name in known if name in differing]
    trusted = [name for name in right if _verdict(order, name) is Verdict.AGREES]
    return source, next(iter(trusted or right), None)


def contrast(order: Order, path: str) -> Contrast | None:
    """What there is to draw of leaf `path`; None where the source that is wrong has no gradient there."""
    named = suspects(order, path)
    if named is None:
        return None
    source, other = named
    leaves = order.gradients(path)
    shape = tuple(np.shape(leaves[source])) if not isinstance(leaves[source], Part) else leaves[source].shape
    indices, claimed = _entries(leaves[source])
    places = [place for place in order.locations.get(path, []) if place.source == source]
    located = _located(places, shape)
    if other is None:
        right = np.full(claimed.shape, np.nan)
        for place in places:
            _fill(right, indices, claimed, place, shape)
    else:
        right = _entries(leaves[other])[1]
    bad = np.isin(indices, located)
    if any(place.pattern == "whole" for place in places):
        bad = np.ones(claimed.shape, dtype=bool)
    elif other is not None:
        bad |= _beyond(order, path, (source, other), claimed - right, _count(places))
    return Contrast(path, shape, source, other or "numeric", indices, claimed, right, bad)


def _subject(
    order: Order, places: Sequence[Location], refuted: Sequence[Finding], known: dict[str, HostArray]
) -> str | None:
    """The claim's own mistakes first."""
    report = order.report
    names = [place.source for place in places]
    accused = [name for finding in refuted for name in finding.sources]
    names += [name for name in (report.odd_one_out, report.claim) if name in accused]
    names += [name for name in accused if _verdict(order, name) is Verdict.DISAGREES]
    return next((name for name in (*names, *accused) if name in known), None)


def _verdict(order: Order, name: str) -> Verdict | None:
    result = order.report.sources.get(name)
    return result.verdict if result else None


def _entries(leaf: HostArray | Part) -> tuple[HostArray, HostArray]:
    if isinstance(leaf, Part):
        return leaf.indices, leaf.values
    flat = np.asarray(leaf, dtype=np.float64).reshape(-1)
    return np.arange(flat.size), flat


def _located(places: Sequence[Location], shape: tuple[int, ...]) -> HostArray:
    entries = [entry for place in places for entry in place.entries]
    if not shape or not entries:
        return np.zeros(min(len(entries), 1), dtype=np.int64)
    return np.ravel_multi_index(tuple(np.array(entries, dtype=np.int64).T), shape)


def _fill(
    right: HostArray, indices: HostArray, claimed: HostArray, place: Location, shape: tuple[int, ...]
) -> None:
    """What was found to be right at the entries of `place`."""
    for entry, error in zip(place.entries, place.errors, strict=False):
        at = np.searchsorted(indices, np.ravel_multi_index(entry, shape) if shape else 0)
        if at < len(indices):
            right[at] = claimed[at] - error


def _count(places: Sequence[Location]) -> int | None:
    return max((place.count for place in places if place.count is not None), default=None)


def _beyond(
    order: Order, path: str, pair: tuple[str, str], difference: HostArray, count: int | None
) -> HostArray:
    """Entries off by more than the bar of the worst one, the `count` largest ones of them if that is known."""
    with np.errstate(invalid="ignore"):
        size = np.nan_to_num(np.abs(difference), nan=np.inf)
    bars = [
        f.bar for f in order.findings.get(path, []) if set(f.sources) == set(pair) and math.isfinite(f.bar)
    ]
    bad = size > min(bars, default=math.inf)
    if count is not None and count < bad.sum():
        bad &= size >= np.partition(size, size.size - count)[size.size - count]
    return np.asarray(bad)
