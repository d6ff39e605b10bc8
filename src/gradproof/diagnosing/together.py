"""One mistake in several leaves: the whole gradient corrected for it has to agree along the probes that refuted it.

That costs no evaluation of the function, and what agrees is known entry by entry.
"""

__all__ = ["corrected_alike"]

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray, norm
from gradproof.diagnosing.case import HIDDEN, Case
from gradproof.diagnosing.guesses import Guess, guesses
from gradproof.judging import Referee
from gradproof.judging.compare import along
from gradproof.verdict import Estimate

NEAR = 2.0**-30
"""Share of a guess's scale by which it may miss the first probe, beside the bars, and still be looked at."""

VISIBLE = 16.0
"""Bars by which the correction has to change every leaf: else it tells nothing of that leaf."""

Corrected = dict[int, Estimate]
"""By the number of the leaf."""


def corrected_alike(cases: Mapping[int, Case], referee: Referee, source: str) -> list[Estimate] | None:
    """The gradient with the same mistake corrected in the leaves of all `cases`, if it agrees then."""
    gradient = next(iter(cases.values())).gradient
    search = _Search(cases, list(gradient), referee)
    for corrected in search.candidates():
        whole = [corrected.get(leaf, estimate) for leaf, estimate in enumerate(gradient)]
        if search.visible(corrected) and referee.settles(source, whole, range(len(whole))):
            return whole
    return None


class _Term(NamedTuple):
    """A corrected leaf along the first probe: its value, its bar, and its scale."""

    value: float
    bar: float
    scale: float


class _Search:
    def __init__(self, cases: Mapping[int, Case], gradient: Sequence[Estimate], referee: Referee) -> None:
        self.cases = cases
        self.gradient = gradient
        self.joint = referee.probes.sketched

    def candidates(self) -> Iterator[Corrected]:
        """Corrections that fit the first probe, or that are fitted."""
        yield from self._guessed()
        for base, direction in (
            (_nothing, lambda case: case.claim.value),
            (_claim, lambda case: case.theta),
            (_claim, lambda case: np.ones(case.claim.shape)),
        ):
            bases = {leaf: base(case) for leaf, case in self.cases.items()}
            values = {leaf: direction(case) for leaf, case in self.cases.items()}
            directions = {leaf: Estimate(d, self.cases[leaf].bar_of(d)) for leaf, d in values.items()}
            yield from self._fitted(bases, directions)

    def visible(self, corrected: Corrected) -> bool:
        """Whether every leaf is changed by far more than the slopes can be off."""
        bar = max(float(probed.slope.bar[0]) for probed in self.joint)
        first = self.joint[0].probe
        return all(
            norm((new.value - self.gradient[leaf].value) * first[leaf]) >= VISIBLE * bar
            for leaf, new in corrected.items()
        )

    def _guessed(self) -> Iterator[Corrected]:
        """Only sums are kept of every guess: a tree of many large leaves has many."""
        first = self.joint[0]
        others = along(self._with({leaf: _nothing(case) for leaf, case in self.cases.items()}), first.probe)
        due, bar = float(first.slope.value[0]) - others.value, float(first.slope.bar[0]) + others.bar
        terms = [
            {_key(guess): _term(guess.corrected, first.probe[leaf]) for guess in guesses(case)}
            for leaf, case in self.cases.items()
        ]
        for key in terms[0]:
            if all(key in of_leaf for of_leaf in terms):
                summed = [of_leaf[key] for of_leaf in terms]
                off = abs(sum(term.value for term in summed) - due)
                allowed = bar + sum(term.bar + NEAR * term.scale for term in summed)
                if off <= allowed:
                    yield {leaf: self._again(case, key) for leaf, case in self.cases.items()}

    def _again(self, case: Case, key: str) -> Estimate:
        return next(guess.corrected for guess in guesses(case) if _key(guess) == key)

    def _fitted(self, bases: Corrected, directions: Corrected) -> Iterator[Corrected]:
        """base + c·direction for the c that fits best."""
        if not all(np.isfinite(d.value).all() and d.value.any() for d in directions.values()):
            return
        best = min((self._fit(bases, directions, i) for i in range(len(self.joint))), key=lambda fit: fit[1])
        c, bar = best
        if c == 0 or not bar <= HIDDEN * abs(c):
            return
        yield {
            leaf: Estimate(
                bases[leaf].value + c * d.value,
                bases[leaf].bar + abs(c) * d.bar + bar * np.abs(d.value),
            )
            for leaf, d in directions.items()
        }

    def _fit(self, bases: Corrected, directions: Corrected, number: int) -> tuple[float, float]:
        probed = self.joint[number]
        base = along(self._with(bases), probed.probe)
        moved = along(self._with(directions, only=True), probed.probe)
        if moved.value == 0:
            return 0.0, np.inf
        c = (float(probed.slope.value[0]) - base.value) / moved.value
        bar = float(probed.slope.bar[0]) + base.bar + abs(c) * moved.bar
        return c, bar / abs(moved.value)

    def _with(self, leaves: Corrected, *, only: bool = False) -> list[Estimate]:
        return [
            leaves.get(i, Estimate(0.0 * e.value, 0.0 * e.bar) if only else e)
            for i, e in enumerate(self.gradient)
        ]


def _key(guess: Guess) -> str:
    """By which the same guess is known in another leaf. Two leaves that were exchanged are named in each other's."""
    return guess.code if guess.code == "GP119" else guess.says


def _term(estimate: Estimate, v: HostArray) -> _Term:
    terms = estimate.value * v
    return _Term(float(terms.sum()), float((estimate.bar * np.abs(v)).sum()), norm(terms))


def _nothing(case: Case) -> Estimate:
    return Estimate(np.zeros(case.claim.shape), np.zeros(case.claim.shape))


def _claim(case: Case) -> Estimate:
    return case.claim
