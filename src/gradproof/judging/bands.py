"""Entries so small that probes over all of them cannot see them, told from the others by magnitude."""

__all__ = ["MOST_BANDS", "VISIBLE", "Band", "invisible"]

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray
from gradproof.numeric.probe import Probe
from gradproof.verdict import Estimate

VISIBLE = 16.0
"""An entry's term, in bars of the probe, from which on it is certain that its loss would be refused."""

MOST_BANDS = 3
"""Probes over ever smaller entries. Each costs a ladder, and resolves what the one before drowned."""


class Band(NamedTuple):
    """Entries whose terms lie below some size."""

    masks: list[HostArray]
    """Per leaf, of its shape."""
    entries: int
    """Number of those that are not zero."""


def invisible(gradient: Sequence[Estimate], probe: Probe, bar: float) -> Band:
    """Entries whose term along `probe` is so small against `bar` that its loss could go unseen."""
    masks, entries = [], 0
    for leaf, estimate in enumerate(gradient):
        value, mask = estimate.value.reshape(-1), np.zeros(estimate.value.size, dtype=bool)
        for part, v in probe.blocks(leaf):
            mask[part] = (v != 0) & (np.abs(value[part] * v) <= VISIBLE * bar)
            entries += int((mask[part] & (value[part] != 0)).sum())
        masks.append(mask.reshape(estimate.shape))
    return Band(masks, entries)
