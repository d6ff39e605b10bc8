"""How far a whole gradient can be off, from a few Gaussian probes."""

__all__ = ["certified"]

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from gradproof.judging.compare import along
from gradproof.judging.probes import GAUSSIAN_PROBES
from gradproof.numeric.probe import every_entry
from gradproof.point import Point
from gradproof.verdict import Certificate, Estimate, Finding


def certified(
    findings: Sequence[Finding], gradient: Sequence[Estimate], point: Point, confidence: float
) -> Certificate:
    """Bound on the error of `gradient` from its findings along the Gaussian probes.

    With K probes v ~ N(0, S²), S the sizes of the entries, and τ the largest |gap| + bar,
    P(all |⟨e, v⟩| ≤ τ) = erf(τ / (√2·‖S·e‖))^K, so ‖S·e‖₂ ≤ τ / (√2·erfinv(α^(1/K))) with confidence 1 − α.
    """
    largest = max(finding.gap + finding.bar for finding in findings)
    quantile = (1.0 - confidence) ** (1.0 / GAUSSIAN_PROBES)
    bound = largest / NormalDist().inv_cdf((1.0 + quantile) / 2.0)
    scale = along(gradient, every_entry(point)).scale
    return Certificate(bound, bound / scale if scale > 0 else np.inf, confidence, GAUSSIAN_PROBES)
