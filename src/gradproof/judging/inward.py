"""Directions that lead into the domain of a function whose point lies on its edge: probabilities of 0 and 1."""

__all__ = ["inward_signs"]

from collections.abc import Sequence

import numpy as np

from gradproof.arrays import HostArray
from gradproof.numeric.ladder import FIRST_STEP
from gradproof.numeric.probe import every_entry
from gradproof.numeric.sampling import Sampler

PACES = (FIRST_STEP, FIRST_STEP * 2.0**-8)
"""Steps, in sizes of the entries, at which a direction has to be inside."""

MOST_QUESTIONS = 200
"""Evaluations spent on telling entries that must go down from those that must go up."""


def inward_signs(sampler: Sampler) -> tuple[HostArray, ...] | None:
    """+1 or −1 for every entry, per leaf, so that moving all of them so stays inside; None if none was found.

    All up, all down, and all towards the middle of their leaf are tried first; then entries that cannot go up are
    looked for by halving.
    """
    search = _Search(sampler)
    leaves = sampler.point.leaves
    for signs in (
        tuple(np.ones(leaf.shape) for leaf in leaves),
        tuple(-np.ones(leaf.shape) for leaf in leaves),
        tuple(np.where(leaf <= (leaf.min() + leaf.max()) / 2, 1.0, -1.0) for leaf in leaves),
    ):
        if search.inside(signs):
            return signs
    return search.by_halves()


class _Search:
    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.upward = every_entry(sampler.point)
        self.asked = 0

    def inside(self, signs: Sequence[HostArray]) -> bool:
        """Whether f is finite on the way; entries of sign 0 stand still."""
        self.asked += 1
        line = self.sampler.line(self.upward.turned(signs))
        return all(bool(np.isfinite(line(t)).all()) for t in PACES)

    def by_halves(self) -> tuple[HostArray, ...] | None:
        """Signs found entry by entry: −1 for those that alone lead outside when they go up."""
        shapes = [leaf.shape for leaf in self.sampler.point.leaves]
        sizes = [leaf.size for leaf in self.sampler.point.leaves]
        signs = np.ones(sum(sizes))

        def as_leaves(flat: HostArray) -> tuple[HostArray, ...]:
            parts = np.split(flat, np.cumsum(sizes)[:-1])
            return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))

        groups = [np.arange(signs.size)]
        while groups and self.asked < MOST_QUESTIONS:
            group = groups.pop()
            alone = np.zeros(signs.size)
            alone[group] = 1.0
            if self.inside(as_leaves(alone)):
                continue
            if len(group) == 1:
                signs[group] = -1.0
            else:
                groups += [group[: len(group) // 2], group[len(group) // 2 :]]
        found = as_leaves(signs)
        return found if not groups and self.inside(found) else None
