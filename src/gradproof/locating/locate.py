"""Where a gradient is wrong: by another source's entries where there is one, else by function values."""

__all__ = ["Located", "by_reference", "by_values", "refereed"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray
from gradproof.judging.probed import Probed
from gradproof.judging.probes import Probes
from gradproof.locating.entries import Found
from gradproof.locating.patterns import FULL, Pattern, box_pattern, pattern_of
from gradproof.locating.scope import Scope
from gradproof.locating.search import SHARP, Search
from gradproof.verdict import Estimate, Location

MOST_EVALUATIONS = 400
"""For one leaf. Ten wrong entries of 10⁷ mostly take fewer."""

MOST_KEPT = 50
"""Wrong entries that a Location holds."""

SMALL = 16
"""Leaves of so many entries are read entry by entry, once no single one explains it."""

MEDIUM = 64
"""The same once many are known to be wrong."""

MARGINAL = 16.0
"""Bars within which a part that looks wrong is read again, more closely: the bars of readings are expected ones."""

SAMPLED = 8
"""Random entries that are read where many are wrong."""


OF_ZEROS = 4
"""The same of entries that are zero in the claim: which these are is known, and only that they move the function is not."""


class Located(NamedTuple):
    """A Location, and the entries that it means."""

    location: Location
    wrong: HostArray
    """Boolean, of the leaf's shape; of a leaf that was sampled all entries of the slice or block."""
    complete: bool
    """Whether the location names every wrong entry."""


def by_reference(source: str, path: str, claim: Estimate, truth: Estimate) -> Located | None:
    """Location of entries that differ from another source's by more than both bars; None if none does."""
    errors, bars = claim.value - truth.value, claim.bar + truth.bar
    wrong = ~(np.abs(errors) <= bars)
    if not wrong.any():
        return None
    return _of_mask(source, path, wrong, errors, bars, 0)


def by_values(
    source: str,
    leaf: int,
    gradient: Sequence[Estimate],
    probes: Probes,
    most: int = MOST_EVALUATIONS,
    whole: Sequence[Probed] | None = None,
    within: HostArray | None = None,
) -> Located | None:
    """Location of the wrong entries of one leaf, from function values; None where they cannot be told.

    The search is given up after about `most` evaluations. It goes by the probes that refuted the leaf, `whole`, by default its own; they
    have to be free of kinks and doubts. Where other leaves move too, `gradient` is right. It is known to be right where the mask
    `within` is False, if there is one.
    """
    whole = probes.of_leaf(leaf) if whole is None else whole
    if any(probed.kink or probed.doubt for probed in whole):
        return None
    path = probes.sampler.point.paths[leaf]
    climbed = probes.joint if any(probed.short for probed in whole) else whole
    search = Search(
        probes, gradient, Scope(probes.sampler.point, [leaf]), climbed, min(most, MOST_EVALUATIONS)
    )
    leaf_search = _Leaf(source, path, search)
    return leaf_search.located() if within is None else leaf_search.located_within(within)


def refereed(located: Located, leaf: int, gradient: Sequence[Estimate], probes: Probes) -> Located:
    """`located`, by another source, with what function values say of its worst entry.

    Where probes over all leaves are free of kinks and doubts.
    """
    location = located.location
    if not location.entries:
        return located
    worst = location.entries[0]
    if location.evaluations:
        value, bar = float(gradient[leaf].value[worst]) - location.errors[0], location.bars[0]
        return located._replace(location=replace(location, numeric=value, numeric_bar=bar))
    search = Search(probes, gradient, Scope(probes.sampler.point, [leaf]), probes.sketched, MOST_EVALUATIONS)
    need = abs(location.errors[0]) * float(probes.sampler.point.sizes[leaf][worst]) / SHARP
    shape = probes.sampler.point.leaves[leaf].shape
    value, bar = search.derivative(int(np.ravel_multi_index(worst, shape)) if shape else 0, need)
    numbered = replace(location, numeric=value, numeric_bar=bar, evaluations=search.reader.evaluations)
    return located._replace(location=numbered)


class _Leaf:
    """One leaf that is wrong."""

    def __init__(self, source: str, path: str, search: Search) -> None:
        self.source, self.path, self.search = source, path, search
        self.scope = search.scope
        self.shape = self.scope.point.leaves[self.scope.leaves[0]].shape

    def located(self) -> Located | None:
        if self.scope.size <= SMALL:
            if not self.search.single():
                self.search.take(self.search.one_by_one(self.scope.everything()))
            return self._named()
        if self.search.run():
            return self._named()
        return self._many()

    def located_within(self, mask: HostArray) -> Located | None:
        """The same if all wrong entries are in the mask: a sample of them, if every one of it is wrong, tells all."""
        inside = self.scope.everything()[mask.reshape(-1)]
        if len(inside) <= SAMPLED:
            self.search.take(self.search.one_by_one(inside))
            return self._named()
        wrong = self.search.one_by_one(self.search.rng.choice(inside, OF_ZEROS, replace=False))
        if len(wrong) < OF_ZEROS:
            return self.located()
        return self._sampled(pattern_of(mask), float(mask.mean()), wrong, mask)

    def _named(self, *, at_least: bool = False) -> Located | None:
        if not self.search.found:
            return None
        wrong, errors, bars = np.zeros(self.shape, dtype=bool), np.zeros(self.shape), np.zeros(self.shape)
        for entry, found in self.search.found.items():
            _, index = self.scope.place(entry)
            wrong[index], errors[index], bars[index] = True, found.error, found.bar
        located = _of_mask(self.source, self.path, wrong, errors, bars, self._evaluations)
        if not at_least:
            return located
        partly = replace(located.location, where=f"{located.location.where}, and others", count=None)
        return Located(partly, located.wrong, complete=False)

    def _many(self) -> Located | None:
        """A leaf of which many entries are wrong: the box that holds them, and a sample of it."""
        if self.search.exhausted:
            return self._named(at_least=True)
        if self.scope.size <= MEDIUM and not self.search.looked_at:
            self.search.take(self.search.one_by_one(self.scope.everything()))
            return self._named()
        box = [self._range(axis) for axis in range(len(self.shape))]
        inside = self._entries(box)
        known = self.search.looked_at
        fresh = np.setdiff1d(inside, np.array(list(known), dtype=inside.dtype))
        sample = self.search.rng.choice(fresh, min(SAMPLED - len(known), len(fresh)), replace=False)
        wrong = known | self.search.one_by_one(sample)
        share = len(wrong) / (len(sample) + len(known))
        if self.scope.size <= MEDIUM and share < 1:
            self.search.take(known | self.search.one_by_one(self.scope.everything()))
            return self._named()
        if not wrong:
            return self._searched_on() if self.search.dense else self._named(at_least=True)
        marked = np.zeros(self.shape, dtype=bool)
        marked[tuple(slice(low, high) for low, high in box)] = True
        return self._sampled(self._pattern(box, share), share * len(inside) / self.scope.size, wrong, marked)

    def _sampled(
        self, pattern: Pattern, share: float, wrong: Mapping[int, Found], marked: HostArray
    ) -> Located:
        at = sorted(wrong, key=lambda entry: -abs(wrong[entry].error))
        location = Location(
            self.source, self.path, pattern.kind, pattern.where, share, None,
            entries=tuple(self.scope.place(entry)[1] for entry in at),
            errors=tuple(wrong[entry].error for entry in at), bars=tuple(wrong[entry].bar for entry in at),
            evaluations=self._evaluations,
        )  # fmt: skip
        return Located(location, marked, complete=False)

    def _searched_on(self) -> Located | None:
        """More wrong entries than a few, and yet too few for a sample."""
        self.search.exhaustive, self.search.dense = True, False
        done = self.search.run()
        return self._named(at_least=not done)

    def _pattern(self, box: Sequence[tuple[int, int]], share: float) -> Pattern:
        within = box_pattern(box, self.shape)
        if share == 1 or (share >= FULL and within.kind != "whole"):
            return within
        entries = self.scope.everything()
        if any(self._clean(entries[start::2]) for start in (0, 1)):
            return Pattern("scattered", "every second entry")
        inside = "the entries" if within.kind == "whole" else within.where
        return Pattern("scattered", f"about {share:.0%} of {inside}")

    def _range(self, axis: int) -> tuple[int, int]:
        """The smallest range along an axis outside of which everything is clean."""
        length = self.shape[axis]

        def clean(low: int, high: int) -> bool:
            box = [(low, high) if a == axis else (0, n) for a, n in enumerate(self.shape)]
            return self._clean(self._entries(box))

        low, high = 0, length
        if length > 1 and clean(0, 1):
            low = _last(lambda m: clean(0, m), 1, length - 1)
        if length - low > 1 and clean(length - 1, length):
            high = length - _last(lambda m: clean(length - m, length), 1, length - low - 1)
        return low, high

    def _clean(self, entries: HostArray) -> bool:
        residual, bar = self.search.reading_of(entries)
        if bar < abs(residual) < MARGINAL * bar:
            residual, bar = self.search.reading_of(entries, abs(residual) / MARGINAL)
        return abs(residual) <= bar

    def _entries(self, box: Sequence[tuple[int, int]]) -> HostArray:
        numbers = self.scope.everything().reshape(self.shape)
        return numbers[tuple(slice(low, high) for low, high in box)].reshape(-1)

    @property
    def _evaluations(self) -> int:
        return self.search.reader.evaluations


def _last(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The largest number in [low, high] for which `holds`, which holds for `low`, by bisection."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _of_mask(
    source: str, path: str, wrong: HostArray, errors: HostArray, bars: HostArray, evaluations: int
) -> Located:
    pattern = pattern_of(wrong)
    flat = np.flatnonzero(wrong)
    with np.errstate(invalid="ignore"):
        size = np.nan_to_num(np.abs(errors.reshape(-1)[flat]), nan=np.inf)
    worst = flat[np.argsort(-size, kind="stable")[:MOST_KEPT]]
    indices = [np.unravel_index(entry, wrong.shape) for entry in worst]
    location = Location(
        source, path, pattern.kind, pattern.where, float(flat.size / wrong.size), int(flat.size),
        entries=tuple(tuple(int(i) for i in index) for index in indices),
        errors=tuple(float(errors.reshape(-1)[entry]) for entry in worst),
        bars=tuple(float(bars.reshape(-1)[entry]) for entry in worst),
        evaluations=evaluations,
    )  # fmt: skip
    return Located(location, wrong, complete=flat.size <= MOST_KEPT)
