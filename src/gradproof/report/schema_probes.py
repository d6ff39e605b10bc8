"""Probes as their summaries: error against step, without the function."""

__all__ = ["summaries"]

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradproof.arrays import HostArray
from gradproof.judging.probed import Probed
from gradproof.numeric.probe import Probe
from gradproof.report.record import ProbeSummary
from gradproof.trees import leaves_by_path

if TYPE_CHECKING:
    from gradproof.report.record import Report


def summaries(report: "Report") -> tuple[ProbeSummary, ...]:
    """All probes of `report`, summarised; nothing is evaluated."""
    gradients = {
        name: [np.asarray(leaf, dtype=np.float64) for leaf in leaves_by_path(tree).values()]
        for name, tree in report.gradients.items()
        if any(isinstance(probed, Probed) for probed in report.probes)
    }
    seen: Counter[str | None] = Counter()
    found = []
    for probed in report.probes:
        seen[probed.leaf] += 1
        found.append(
            _summary(probed, f"{probed.leaf or 'all leaves'} #{seen[probed.leaf]}", gradients)
            if isinstance(probed, Probed)
            else probed
        )
    return tuple(found)


def _summary(probed: Probed, name: str, gradients: Mapping[str, Sequence[HostArray]]) -> ProbeSummary:
    slope = probed.slope
    with np.errstate(all="ignore"):
        secants = slope.ladder.odd[:, 0] / slope.ladder.steps
        claims = {source: _along(leaves, probed.probe) for source, leaves in gradients.items()}
    return ProbeSummary(
        name, probed.leaf,
        steps=tuple(map(float, slope.ladder.steps)), slopes=tuple(map(float, secants)),
        value=float(slope.value[0]), bar=float(slope.bar[0]),
        claims=claims, kink=probed.kink, doubt=probed.doubt,
    )  # fmt: skip


def _along(leaves: Sequence[HostArray], probe: Probe) -> float:
    return float(
        sum(
            float(leaf.reshape(-1)[part] @ v)
            for at, leaf in enumerate(leaves)
            for part, v in probe.blocks(at)
        )
    )
