"""Which leaves of a refuted gradient look right: read in a few evaluations each, along the probe that refuted them all."""

__all__ = ["clean_leaves"]

from collections.abc import Sequence

import numpy as np

from gradproof.judging.compare import along
from gradproof.judging.probes import Probes
from gradproof.judging.reader import Reader
from gradproof.verdict import Estimate

SHARP = 256.0
"""Part of the gap of all leaves to which the slope of one is read."""


def clean_leaves(gradient: Sequence[Estimate], probes: Probes) -> list[int]:
    """Numbers of the leaves whose share of the first joint probe shows no gap.

    This is a first sight only: the bars of such readings are expected, not proven.
    """
    whole, size = probes.joint[0], probes.sampler.point.size
    gap = abs(along(gradient, whole.probe).value - float(whole.slope.value[0]))
    reader, clean = Reader(probes.line, probes.joint), []
    for leaf, estimate in enumerate(gradient):
        probe = whole.probe.of_leaf(leaf)
        claim = along(gradient, probe)
        value, bar = reader.read(probe, estimate.value.size / size, gap / SHARP)
        if abs(claim.value - value) <= bar + claim.bar:
            clean.append(leaf)
    return clean if np.isfinite(gap) else []
