"""Two Estimates side by side: do they agree within what each can know? Comparisons are written so that NaN fails."""

__all__ = ["Directional", "along", "compare_arrays", "compare_slope", "slight_reading"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray, norm
from gradproof.numeric.probe import Probe
from gradproof.verdict import Estimate, Finding, Reason, Verdict

DEVIATIONS = 6.0
"""2·exp(−6²/2) = 3e-8."""

SLIGHT = 2e-3
"""Share of the gradient below which a difference is more likely of one of those causes than a wrong formula. The
program of a solver that stops at a tolerance has a slope that differs from the implicit one by about that tolerance."""


@dataclass(frozen=True, slots=True)
class Directional:
    """A gradient along a probe: Σ g_i v_i, how far that can be off, and how large its terms are."""

    value: float
    bar: float
    scales: tuple[float, ...]
    """Root of the sum of squares of the terms, per leaf: what a random error of relative size 1 would amount to."""

    @property
    def scale(self) -> float:
        """The same over all leaves."""
        return _hypot(self.scales)


def along(gradient: Sequence[Estimate], probe: Probe) -> Directional:
    """`gradient` along `probe`; both have one array per leaf.

    The gradient's errors do not depend on the probe's random signs, so by Hoeffding's inequality their sum exceeds
    `DEVIATIONS` times its root of the sum of squares with probability below 4e-8; the plain sum bounds it always.
    """
    terms = [list(_terms(estimate, probe, leaf)) for leaf, estimate in enumerate(gradient)]
    every = [block for of_leaf in terms for block in of_leaf]
    likely = DEVIATIONS * _hypot([block.bar_norm for block in every])
    return Directional(
        value=float(sum(block.value for block in every)),
        bar=float(min(sum(block.bar for block in every), likely)),
        scales=tuple(_hypot([block.norm for block in of_leaf]) for of_leaf in terms),
    )


class _Block(NamedTuple):
    """Sums over a block of a gradient's terms g_i·v_i, and of their bars."""

    value: float
    norm: float
    bar: float
    bar_norm: float


def _terms(estimate: Estimate, probe: Probe, leaf: int) -> Iterator[_Block]:
    value, bar = estimate.value.reshape(-1), estimate.bar.reshape(-1)
    for part, v in probe.blocks(leaf):
        terms, bars = value[part] * v, bar[part] * np.abs(v)
        yield _Block(float(terms.sum()), norm(terms), float(bars.sum()), norm(bars))


def _hypot(norms: Sequence[float]) -> float:
    return float(np.hypot.reduce(norms)) if norms else 0.0


def compare_arrays(
    what: str, names: tuple[str, str], leaf: str | None, first: Estimate, second: Estimate, resolution: float
) -> Finding:
    """Entry by entry: DISAGREES if one entry's gap exceeds both bars, AGREES if the bars were narrow enough."""
    gap = np.abs(first.value - second.value)
    bar = first.bar + second.bar
    worst = _worst(gap, bar)
    scale = max(norm(first.value), norm(second.value))
    refuted = not bool(np.all(gap <= bar))
    verdict, reason = _verdict(refuted, norm(bar), scale, resolution)
    return Finding(
        what, names, leaf, verdict, reason,
        gap=float(gap[worst]), bar=float(bar[worst]), scale=scale, worst=worst,
        values={names[0]: float(first.value[worst]), names[1]: float(second.value[worst])},
    )  # fmt: skip


def compare_slope(
    names: tuple[str, str], leaf: str | None, claim: Directional, slope: Estimate, resolution: float
) -> Finding:
    """A claim along a probe against the numeric slope, both scalars; the scale is that of the claim's terms."""
    value, numeric_bar = slope.value.item(), slope.bar.item()
    gap, bar = abs(claim.value - value), claim.bar + numeric_bar
    scale = max(claim.scale, abs(value))
    verdict, reason = _verdict(not gap <= bar, bar, scale, resolution)
    if verdict is Verdict.UNDECIDED and abs(value) <= numeric_bar and claim.scale <= bar:
        reason = Reason.VANISHING
    return Finding(
        "slope", names, leaf, verdict, reason, gap=gap, bar=bar, scale=scale,
        values={names[0]: claim.value, names[1]: value},
    )  # fmt: skip


def slight_reading(relative: float) -> str:
    """What is known to cause differences so small; nothing for a larger one."""
    if not relative < SLIGHT:
        return ""
    return (
        f"off by {relative:.1e} of the gradient: as by an iterative solver that stopped early, a rounded constant, "
        "lower precision inside, or one entry of many"
    )


def _verdict(refuted: bool, bar: float, scale: float, resolution: float) -> tuple[Verdict, Reason | None]:
    if refuted:
        return Verdict.DISAGREES, Reason.DIFFERS
    if bar <= resolution * scale or bar == 0:
        return Verdict.AGREES, None
    return Verdict.UNDECIDED, Reason.RESOLUTION


def _worst(gap: HostArray, bar: HostArray) -> tuple[int, ...]:
    """Index of the entry whose gap is the largest multiple of its bar; a NaN gap is the worst of all."""
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(gap == 0, 0.0, gap / bar)
    flat = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
    return tuple(int(i) for i in np.unravel_index(flat, gap.shape))
