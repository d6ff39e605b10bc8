"""The numeric source as judge: slopes along probes, shared by all sources that are judged by them.

Probes over all leaves come first: three ladders judge a tree of any size. Once they refute, what every leaf adds to
the gap is read in a few evaluations, and the leaves that add nothing share one more probe. A leaf that is in doubt, or whose own
scale probes over all cannot resolve, gets probes of its own. A refutation is said only once it is confirmed.
"""

__all__ = ["Referee"]

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradproof.judging.bands import MOST_BANDS, invisible
from gradproof.judging.certify import certified
from gradproof.judging.compare import along, compare_slope, slight_reading
from gradproof.judging.looks import LEAST_GAP, Looks
from gradproof.judging.outputs import Kinked
from gradproof.judging.probed import Probed
from gradproof.judging.probes import GAUSSIAN_PROBES, Probes
from gradproof.judging.screen import Share, shares
from gradproof.numeric.probe import coordinate_probe, sign_probe
from gradproof.numeric.sampling import Sampler
from gradproof.verdict import Certificate, Estimate, Finding, Reason, Verdict

WORTHWHILE = 4.0
"""Factor by which a band's bar has to be narrower for yet smaller entries to be tried."""

PLAIN = 2.0**-10
"""Part of a gap over several leaves that the bar may be for single leaves to be told from it: with wider ones, slopes of one
leaf that fail to add up go unseen beside another leaf that is large and rough."""

MOST_PARTS = 64
"""Parts into which a leaf is cut to tell entries that kink from those that do not: enough for two of 10⁷."""


_TOO_WIDE = {Reason.RESOLUTION, Reason.VANISHING, Reason.NON_DETERMINISTIC, Reason.ROUGH}
"""Why a probe agrees with a claim, but not closely enough for the sum of all leaves."""


class Referee:
    """Judges gradients by slopes of one function at one point."""

    def __init__(self, sampler: Sampler, rng: np.random.Generator, resolution: float) -> None:
        self.sampler = sampler
        self.probes = Probes(sampler, rng)
        self.resolution = resolution
        self.looks = Looks(self.probes, resolution)

    def judge(self, name: str, gradient: Sequence[Estimate]) -> list[Finding]:
        """One finding per leaf for the gradient of source `name`, and one over all if only that refutes it."""
        joint = [self.looks.look(name, gradient, probed) for probed in self.probes.sketched]
        if joint[0].verdict is not Verdict.DISAGREES and any(f.verdict is not Verdict.AGREES for f in joint):
            joint = [self.looks.look(name, gradient, probed) for probed in self.probes.joint]
        settled, shared = self._shared(name, gradient, joint)
        findings = [
            shared.get(leaf) or self._from_leaf(name, gradient, leaf) for leaf in range(len(gradient))
        ]
        if any(f.verdict is not Verdict.AGREES for f in findings):
            return findings
        return findings + (
            self._tiny_entries(name, gradient, joint[0].bar)
            if settled
            else self._only_jointly(name, gradient, joint, sum(f.bar for f in findings))
        )

    def _shared(
        self, name: str, gradient: Sequence[Estimate], joint: list[Finding]
    ) -> tuple[bool, dict[int, Finding]]:
        """Whether probes over all leaves settle the gradient; findings of leaves that probes over several settle.

        Of a gradient that they refute, the leaves that look right are probed together.
        """
        if any(probed.doubt or probed.kink for probed in self.probes.sketched):
            return False, {}
        everything = range(len(gradient))
        if all(f.verdict is Verdict.AGREES or f.reason in _TOO_WIDE for f in joint):
            return True, self._together(name, gradient, everything, self.probes.sketched)
        return False, self._leaf_by_leaf(name, gradient, everything, self.probes.sketched)

    def _leaf_by_leaf(
        self, name: str, gradient: Sequence[Estimate], leaves: Sequence[int], probes: Sequence[Probed]
    ) -> dict[int, Finding]:
        """Findings of leaves from what each adds to a probe over all of them that refutes the gradient.

        Those that add nothing are probed together, which may refute some of them again. What is in doubt is left out.
        """
        looks = [self.looks.look(name, gradient, probed) for probed in probes]
        agreed = all(look.verdict is Verdict.AGREES or look.reason in _TOO_WIDE for look in looks)
        if agreed or len(leaves) < 2 or self.probes.grain > 0:
            return self._together(name, gradient, leaves, probes) if agreed else {}
        whole = [pair for pair in zip(looks, probes, strict=True) if not pair[1].short]
        look, worst = max(whole, key=lambda pair: pair[0].excess)
        sharp = look.bar <= PLAIN * look.gap
        if not sharp or self.looks.finding(name, gradient, worst).verdict is not Verdict.DISAGREES:
            return {}
        found = shares(gradient, leaves, worst, self.probes)
        findings = {
            leaf: finding
            for leaf, share in found.items()
            if share.wrong and share.confirmed(worst) and (finding := self._wrong(name, leaf, share))
        }
        if not findings:
            self.looks.doubt(name)
        clean = [leaf for leaf, share in found.items() if share.clean]
        if findings and clean:
            probe = self.probes.along(worst.probe.of_leaves(clean))
            findings |= self._leaf_by_leaf(name, gradient, clean, [probe])
        return findings

    def _wrong(self, name: str, leaf: int, share: Share) -> Finding | None:
        """A leaf's refutation; None where what it is off by refutes nothing."""
        path = self.sampler.point.paths[leaf]
        finding = compare_slope((name, "numeric"), path, share.claim, share.slope, self.resolution)
        if finding.gap <= LEAST_GAP * finding.scale:
            return None
        return replace(finding, detail=slight_reading(finding.gap / finding.scale))

    def _together(
        self, name: str, gradient: Sequence[Estimate], leaves: Sequence[int], probes: Sequence[Probed]
    ) -> dict[int, Finding]:
        """Findings of the leaves that probes over all of them settle."""
        findings = [self.looks.look(name, gradient, probed) for probed in probes]
        agreed = all(f.verdict is Verdict.AGREES or f.reason in _TOO_WIDE for f in findings)
        if not agreed or any(probed.doubt or probed.kink for probed in probes):
            return {}
        scales = np.min([self.looks.along(gradient, probed.probe).scales for probed in probes], axis=0)
        found = {leaf: self._from_joint(name, leaf, float(scales[leaf]), findings) for leaf in leaves}
        return {leaf: finding for leaf, finding in found.items() if finding is not None}

    def _tiny_entries(self, name: str, gradient: Sequence[Estimate], bar: float) -> list[Finding]:
        """Entries that drown in the bar of the probe over all get probes of their own, over ever smaller ones.

        Their probes may refute; what even they cannot see is said.
        """
        findings: list[Finding] = []
        probe = self.probes.sketched[0].probe
        band = invisible(gradient, probe, bar)
        for _ in range(MOST_BANDS):
            if not band.entries:
                return findings
            probed = self.probes.along(self.probes.draw(sign_probe).only(band.masks))
            finding = self.looks.finding(name, gradient, probed)
            if finding.verdict is Verdict.DISAGREES:
                return [finding]
            if probed.doubt or probed.kink or not finding.bar < bar / WORTHWHILE:
                break
            findings, bar = [finding] if finding.verdict is Verdict.AGREES else findings, finding.bar
            band = invisible(gradient, probed.probe, bar)
        return [*findings, self._unseen(name, band.entries)]

    def _unseen(self, name: str, count: int) -> Finding:
        detail = (
            f"{count} of {self.sampler.point.size} entries are too small to show in the function's values"
        )
        return Finding("entries", (name, "numeric"), None, Verdict.AGREES, Reason.UNSEEN, detail)

    def _only_jointly(
        self, name: str, gradient: Sequence[Estimate], joint: list[Finding], bar: float
    ) -> list[Finding]:
        """What refutes the gradient over all leaves although every leaf alone agrees, to a `bar` that they add up to."""
        suspects = [
            p for f, p in zip(joint, self.probes.joint, strict=True) if f.verdict is Verdict.DISAGREES
        ]
        confirmed = [self.looks.finding(name, gradient, probed) for probed in suspects]
        refuted = [finding for finding in confirmed if finding.verdict is Verdict.DISAGREES]
        return (refuted or [finding for finding in confirmed if finding.gap > bar])[:1]

    def settles(self, name: str, gradient: Sequence[Estimate], leaves: Sequence[int]) -> bool:
        """Whether probes over all leaves show a gradient to agree in these, each on its own scale."""
        return len(self._together(name, gradient, leaves, self.probes.sketched)) == len(leaves)

    def judge_entry(
        self, name: str, gradient: Sequence[Estimate], leaf: int, index: tuple[int, ...]
    ) -> Finding:
        """Finding for one entry of one leaf."""
        probed = self.probes.along(coordinate_probe(self.sampler.point, leaf, index), leaf)
        finding = self.looks.finding(name, gradient, probed)
        size = float(self.sampler.point.sizes[leaf][index])
        values = {source: value / size for source, value in finding.values.items()}
        return replace(
            finding, gap=finding.gap / size, bar=finding.bar / size, scale=finding.scale / size,
            worst=index, values=values,
        )  # fmt: skip

    def judge_kinked(self, name: str, gradient: Sequence[Estimate], group: Kinked) -> Finding:
        """Finding for a `group` of outputs that kink beside smooth ones, with `gradient` pulled back from them alone."""
        claim = along(gradient, group.probe)
        finding = compare_slope((name, "numeric"), None, claim, group.slope, self.resolution)
        between = finding.gap <= finding.bar
        return replace(
            finding, detail=f"where outputs kink, {group.number} of them",
            verdict=Verdict.AGREES if between else Verdict.UNDECIDED,
            reason=Reason.SUBGRADIENT if between else Reason.KINK,
        )  # fmt: skip

    def certificate(self, gradient: Sequence[Estimate], confidence: float) -> Certificate | None:
        """Bound on the error of `gradient` from the Gaussian probes; None if one of them could not judge."""
        gaussian = self.probes.sketched[-GAUSSIAN_PROBES:]
        outputs = self.probes.outputs
        if outputs is not None and (outputs.masked is not None or outputs.kinked):
            return None  # it would hold for a part of the outputs
        if self.probes.signs is not None or any(probed.doubt or probed.kink for probed in gaussian):
            return None
        findings = [self.looks.look("", gradient, probed) for probed in gaussian]
        return certified(findings, gradient, self.sampler.point, confidence)

    def _from_joint(self, name: str, leaf: int, scale: float, joint: list[Finding]) -> Finding | None:
        """What the joint probes say of one leaf: AGREES if their bars resolve its own scale, else nothing."""
        worst = max(joint, key=lambda finding: finding.gap)
        bar = max(finding.bar for finding in joint)
        if not bar <= self.resolution * scale:
            return None
        path = self.sampler.point.paths[leaf]
        return Finding(
            "slope", (name, "numeric"), path, Verdict.AGREES, None, "along probes over all leaves",
            gap=worst.gap, bar=bar, scale=scale, values=worst.values,
        )  # fmt: skip

    def _from_leaf(self, name: str, gradient: Sequence[Estimate], leaf: int) -> Finding:
        """The worst of what the probes of one leaf say; the first confirmed refutation ends the search."""
        findings: list[Finding] = []
        for probed in self.probes.one_by_one(leaf):
            look = self._past_kinks if probed.kink else self.looks.finding
            findings.append(replace(look(name, gradient, probed), leaf=self.sampler.point.paths[leaf]))
            if findings[-1].verdict is Verdict.DISAGREES:
                return findings[-1]
        order = (Verdict.UNDECIDED, Verdict.AGREES)
        return min(findings, key=lambda f: (order.index(f.verdict), f.reason is None, -f.excess))

    def _past_kinks(self, name: str, gradient: Sequence[Estimate], probed: Probed) -> Finding:
        """What a probe with a kink says: entries that kink are told from those that do not, by halving, and judged apart.

        A kink alone would cover every other entry: half its jump is more than any mistake of theirs.
        """
        findings = []
        parts = [probed]
        for _ in range(MOST_PARTS):
            if not parts:
                break
            part = parts.pop()
            if part.kink and part.probe.count > 1:
                parts += [self.probes.along(half) for half in part.probe.halves()]
                continue
            findings.append(self.looks.finding(name, gradient, part))
            if findings[-1].verdict is Verdict.DISAGREES:
                return findings[-1]
        if parts or not findings:
            return replace(
                self.looks.look(name, gradient, probed), verdict=Verdict.UNDECIDED, reason=Reason.KINKS
            )
        order = (Verdict.UNDECIDED, Verdict.AGREES)
        return min(findings, key=lambda f: (order.index(f.verdict), f.reason is None, -f.excess))
