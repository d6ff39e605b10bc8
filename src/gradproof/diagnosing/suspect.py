"""A source that disagrees, and what of the right gradient is known by now."""

__all__ = ["Suspect"]

from collections.abc import Sequence

from gradproof.diagnosing.diagnose import Explained
from gradproof.verdict import Estimate


class Suspect:
    """A source that disagrees, and what is known of the right gradient by now."""

    def __init__(
        self,
        name: str,
        gradient: list[Estimate],
        leaves: Sequence[int],
        truth: list[Estimate] | None = None,
    ) -> None:
        self.name = name
        self.gradient = gradient
        self.leaves = leaves
        """Numbers of those that are wrong."""
        self.truth = truth
        """The right gradient, where it is known."""
        self._known = {leaf: truth[leaf] for leaf in leaves} if truth else {}

    def know(self, leaf: int, explained: Explained) -> None:
        """Count a leaf as known whose mistake was found."""
        if explained.corrected is not None:
            self._known[leaf] = explained.corrected

    def alone(self, leaf: int) -> bool:
        """Whether all other leaves are right or known."""
        return set(self.leaves) <= {leaf, *self._known}

    def around(self, leaf: int) -> list[Estimate]:
        """The claim, with what is known in the place of other leaves."""
        return [e if i == leaf else self._known.get(i, e) for i, e in enumerate(self.gradient)]
