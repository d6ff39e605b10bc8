"""Sums of weighted outputs: from a function of an array to the few numbers whose slopes are looked at."""

__all__ = ["MOST_BUNDLES", "Bundles"]

import numpy as np

from gradproof.arrays import HostArray

MOST_BUNDLES = 4096
"""Ladders kept side by side. More outputs than that are bundled: neighbours are summed, each with a weight of its own."""


class Bundles:
    """Sums of neighbouring outputs, each output multiplied by its `cotangent`, in `most` bundles at most."""

    def __init__(self, cotangent: HostArray, most: int = MOST_BUNDLES) -> None:
        self.cotangent = cotangent
        self._starts = np.arange(0, cotangent.size, -(-cotangent.size // most))
        self.sizes = np.diff(self._starts, append=cotangent.size)
        """Number of outputs in each."""

    def of(self, outputs: HostArray) -> HostArray:
        """From all outputs to the bundles, shape (bundles,); an output of cotangent 0 does not count, whatever it is."""
        weights = self.cotangent.reshape(-1)
        terms = np.multiply(weights, outputs.reshape(-1), out=np.zeros(weights.shape), where=weights != 0)
        return np.add.reduceat(terms, self._starts)

    def spread(self, outputs: HostArray) -> HostArray:
        """From what every output differed by at one point to what the bundles can have differed by."""
        return np.add.reduceat(np.abs(self.cotangent).reshape(-1) * outputs.reshape(-1), self._starts)

    def weighted(self, weights: HostArray) -> HostArray:
        """The cotangent, shape of the output, that weighs the bundles by `weights` (bundles,)."""
        return self.cotangent * np.repeat(weights, self.sizes).reshape(self.cotangent.shape)
