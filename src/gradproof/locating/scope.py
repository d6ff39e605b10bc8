"""The entries among which wrong ones are looked for: one leaf, or several, numbered through."""

__all__ = ["Scope"]

from collections.abc import Iterator, Sequence

import numpy as np

from gradproof.arrays import HostArray, blocks, norm
from gradproof.judging.compare import DEVIATIONS
from gradproof.numeric.probe import Probe
from gradproof.point import Point
from gradproof.verdict import Estimate


class Scope:
    """Entries of the leaves with the numbers `leaves`, counted from 0 over all of them."""

    def __init__(self, point: Point, leaves: Sequence[int]) -> None:
        self.point = point
        self.leaves = tuple(leaves)
        self._starts = np.cumsum([0, *(point.leaves[leaf].size for leaf in leaves)])

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(self._starts[-1])

    def everything(self) -> HostArray:
        """All numbers."""
        return np.arange(self.size, dtype=np.uint32 if self.size < 2**32 else np.int64)

    def place(self, entry: int) -> tuple[int, tuple[int, ...]]:
        """Leaf number and index of one entry."""
        which = int(np.searchsorted(self._starts, entry, side="right")) - 1
        leaf = self.leaves[which]
        index = np.unravel_index(int(entry) - int(self._starts[which]), self.point.leaves[leaf].shape)
        return leaf, tuple(int(i) for i in index)

    def only(self, probe: Probe, entries: HostArray) -> Probe:
        """`probe` where these entries move, standing still elsewhere."""
        masks = [np.zeros(leaf.size, dtype=bool) for leaf in self.point.leaves]
        for leaf, chosen, local in self._split(entries):
            masks[leaf][local[chosen]] = True
        shaped = [mask.reshape(leaf.shape) for mask, leaf in zip(masks, self.point.leaves, strict=True)]
        return probe.only(shaped)

    def along(self, probe: Probe, entries: HostArray) -> HostArray:
        """The probe's direction at these entries."""
        out = np.zeros(len(entries))
        for leaf, chosen, local in self._split(entries):
            out[chosen] = probe.at(leaf, local[chosen])
        return out

    def claimed(self, gradient: Sequence[Estimate], probe: Probe, entries: HostArray) -> tuple[float, float]:
        """Σ g_i v_i over these entries, and how far that can be off."""
        value, bar, size = 0.0, 0.0, 0.0
        for part in blocks(len(entries)):
            chosen_entries = entries[part]
            for leaf, chosen, local in self._split(chosen_entries):
                v, at = probe.at(leaf, local[chosen]), local[chosen]
                value += float(gradient[leaf].value.reshape(-1)[at] @ v)
                bars = gradient[leaf].bar.reshape(-1)[at] * np.abs(v)
                bar, size = bar + float(bars.sum()), float(np.hypot(size, norm(bars)))
        return value, min(bar, DEVIATIONS * size)

    def _split(self, entries: HostArray) -> Iterator[tuple[int, HostArray | slice, HostArray]]:
        """(leaf number, which of the entries lie in it, numbers within the leaf of all entries)."""
        if len(self.leaves) == 1:
            yield self.leaves[0], slice(None), entries
            return
        for which, leaf in enumerate(self.leaves):
            low, high = self._starts[which], self._starts[which + 1]
            inside = np.flatnonzero((entries >= low) & (entries < high))
            if inside.size:
                yield leaf, inside, entries.astype(np.int64) - int(low)
