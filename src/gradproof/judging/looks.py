"""What one probe says of a gradient: at first sight, and once a refutation is confirmed."""

__all__ = ["LEAST_GAP", "Looks"]

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from operator import is_

from gradproof.judging.compare import Directional, along, compare_slope, slight_reading
from gradproof.judging.confirm import SPLITS, unconfirmed
from gradproof.judging.probed import Probed
from gradproof.judging.probes import GAUSSIAN_PROBES, Probes
from gradproof.numeric.probe import Probe
from gradproof.verdict import Estimate, Finding, Reason, Verdict

LEAST_GAP = 2.0**-40
"""Share of the scale below which a gap refutes nothing. Claims are moved by one ulp of the parameters to see what
rounding does to them; of ill-conditioned constants inside (a matrix of condition 10⁴ that is solved with) that shows
nothing. No mistake in a formula is so small."""


class Looks:
    """Compares gradients with slopes along the probes of one function."""

    def __init__(self, probes: Probes, resolution: float) -> None:
        self.probes = probes
        self.resolution = resolution
        self._claims: deque[tuple[Sequence[Estimate], Probe, Directional]] = deque(maxlen=1 + GAUSSIAN_PROBES)
        """Slopes by the last gradients along the last probes: they are looked at more than once."""
        self._refuted: set[str] = set()
        """Sources whose refutation was confirmed in full: what refutes them further is confirmed by a second ladder only."""

    def doubt(self, name: str) -> None:
        """Take back that the refutation of this source was confirmed."""
        self._refuted.discard(name)

    def agrees(self, name: str, gradient: Sequence[Estimate], probed: Probed) -> bool:
        """Whether a gradient agrees along one probe, to the resolution."""
        return self.look(name, gradient, probed).verdict is Verdict.AGREES

    def within(self, name: str, gradient: Sequence[Estimate], probed: Probed) -> bool:
        """Whether a gradient differs along one probe by no more than both bars, however wide they are."""
        finding = self.look(name, gradient, probed)
        return finding.verdict is not Verdict.DISAGREES and finding.gap <= finding.bar

    def finding(self, name: str, gradient: Sequence[Estimate], probed: Probed) -> Finding:
        """What one probe says of a gradient; a refutation only once it is confirmed."""
        finding = self.look(name, gradient, probed)
        if finding.verdict is not Verdict.DISAGREES:
            return finding
        if doubt := self._unconfirmed(finding, probed):
            return replace(finding, verdict=Verdict.UNDECIDED, reason=doubt)
        return replace(finding, detail=slight_reading(finding.gap / finding.scale))

    def look(self, name: str, gradient: Sequence[Estimate], probed: Probed) -> Finding:
        """The same, at first sight."""
        claim = self.along(gradient, probed.probe)
        finding = self._compared(name, claim, probed)
        if probed.doubt:
            return replace(finding, verdict=Verdict.UNDECIDED, reason=probed.doubt)
        if claim.scale == 0 and probed.slope.constant.all():
            return replace(
                finding, verdict=Verdict.AGREES, reason=None, detail="zero: nothing here moves the function"
            )
        if probed.on_its_piece(claim) or (probed.slope.stairs.any() and finding.verdict is Verdict.UNDECIDED):
            return self._on_stairs(finding, claim.scale == 0)
        if probed.kink:
            # at a tie one ulp may move the claim from side to side: that is not its rounding
            rounding = min(claim.bar, self.resolution * finding.scale)
            between = finding.gap <= finding.bar - claim.bar + rounding + probed.half_jump
            verdict, reason = (
                (Verdict.AGREES, Reason.SUBGRADIENT) if between else (Verdict.UNDECIDED, Reason.KINK)
            )
            return replace(finding, verdict=verdict, reason=reason, bar=finding.bar + probed.half_jump)
        if finding.reason in (Reason.RESOLUTION, Reason.VANISHING):
            return replace(
                finding, reason=probed.noise(finding.bar - claim.bar > claim.bar) or finding.reason
            )
        return finding

    def along(self, gradient: Sequence[Estimate], probe: Probe) -> Directional:
        """Slope that the gradient states along a probe."""
        for known, direction, claim in self._claims:
            if direction is probe and all(map(is_, known, gradient)):
                return claim
        self._claims.append((tuple(gradient), probe, along(gradient, probe)))
        return self._claims[-1][2]

    def _compared(self, name: str, claim: Directional, probed: Probed) -> Finding:
        """The complex step narrows what agrees; it refutes nothing that real values do not refute."""
        pair, grain = (name, "numeric"), self.probes.grain
        finding = compare_slope(pair, probed.leaf, claim, probed.over(grain), self.resolution)
        if finding.verdict is Verdict.DISAGREES and finding.gap <= LEAST_GAP * finding.scale:
            return replace(finding, verdict=Verdict.AGREES, reason=None, bar=finding.gap)
        if finding.verdict is Verdict.DISAGREES and probed.complex_step is not None:
            return compare_slope(pair, probed.leaf, claim, probed.over(grain, real=True), self.resolution)
        return finding

    def _on_stairs(self, finding: Finding, zero: bool) -> Finding:
        """A staircase is flat at the point: zero is right there, unless its slope over many steps is plain to see."""
        sloping = abs(finding.values["numeric"]) > finding.bar
        if zero and not sloping:
            return replace(
                finding, verdict=Verdict.AGREES, reason=None, detail="zero: flat, with steps at a distance"
            )
        return replace(finding, verdict=Verdict.UNDECIDED, reason=Reason.STAIRS)

    def _unconfirmed(self, finding: Finding, probed: Probed) -> Reason | None:
        """Why the gap that a probe shows may have another cause than the gradient, if so. In the order of their cost."""
        if finding.gap <= finding.bar + probed.hidden_kink:
            return Reason.KINK_NOT_EXCLUDED
        on_a_step = finding.values[finding.sources[0]] == 0 and probed.still
        if on_a_step or (self.probes.grain > 0 and probed.on_finer_scale):
            return Reason.STAIRS
        splits = 0 if finding.sources[0] in self._refuted else SPLITS
        doubt = unconfirmed(probed, finding.gap, self.probes.rng, self.probes.line, splits)
        if doubt is None:
            self._refuted.add(finding.sources[0])
        return doubt
