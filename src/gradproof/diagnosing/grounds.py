"""What numeric knows of a wrong leaf when its mistake is looked for: the probes that tell it, in the fewest evaluations."""

__all__ = ["Grounds"]

from collections.abc import Sequence

from gradproof.diagnosing.suspect import Suspect
from gradproof.judging import Probed, Referee
from gradproof.judging.compare import Directional, along
from gradproof.verdict import Finding, Verdict

SLIGHT = 2.0**-32
"""Gap, as a share of the scale, below which function values cannot tell one mistake from another: 2⁻⁴⁰ is forgiven."""

SHARP = 2.0**-22
"""Share of a leaf's scale to which slopes are known that tell mistakes apart: no guess agrees along two by chance."""

CLOSE = 2.0**-12
"""The same of what the leaf is off by, which may be far less."""


class Grounds:
    """The referee's probes, and its findings."""

    def __init__(self, referee: Referee, findings: Sequence[Finding]) -> None:
        self.referee = referee
        self._findings = findings
        self._paths = referee.sampler.point.paths

    @property
    def joint_is_plain(self) -> bool:
        """Whether probes over all leaves met neither kink nor doubt."""
        return not any(probed.kink or probed.doubt for probed in self.referee.probes.sketched)

    def probed(self, suspect: Suspect, leaf: int) -> Sequence[Probed]:
        """The probes that tell what is wrong in one leaf: those over all, where everything else is right or known."""
        probes = self.referee.probes
        if not self.joint_is_plain:
            return probes.of_leaf(leaf)
        if suspect.alone(leaf) and self._others_agree(suspect):
            around = suspect.around(leaf)
            if all(_sharp(along(around, probed.probe), leaf, probed) for probed in probes.sketched):
                return probes.sketched
        needs = [_need(f.scale, f.gap) for f in self._slopes(suspect.name, leaf)]
        return probes.parts_of_leaf(leaf, min(needs)) if needs else probes.of_leaf(leaf)

    def plain(self, suspect: Suspect, leaf: int) -> bool:
        """Whether the probes of the leaf met neither kink nor doubt."""
        return not any(probed.kink or probed.doubt for probed in self.probed(suspect, leaf))

    def slight(self, name: str, leaf: int) -> bool:
        """Whether all that refutes the leaf is too small for function values to tell mistakes apart."""
        return all(f.gap < SLIGHT * f.scale for f in self._slopes(name, leaf))

    def refuted(self, name: str, leaf: int) -> bool:
        """Whether function values refuted the leaf."""
        return any(f.verdict is Verdict.DISAGREES for f in self._slopes(name, leaf))

    def _slopes(self, name: str, leaf: int) -> list[Finding]:
        path = self._paths[leaf]
        return [f for f in self._findings if f.what == "slope" and f.leaf == path and f.sources[0] == name]

    def _others_agree(self, suspect: Suspect) -> bool:
        """Whether function values found all other leaves right."""
        wrong = {self._paths[leaf] for leaf in suspect.leaves}
        return all(
            f.verdict is Verdict.AGREES
            for f in self._findings
            if f.what == "slope" and f.sources[0] == suspect.name and f.leaf not in wrong
        )


def _need(scale: float, gap: float) -> float:
    """How closely slopes have to be known that tell mistakes apart."""
    return min(SHARP * scale, CLOSE * gap)


def _sharp(claim: Directional, leaf: int, probed: Probed) -> bool:
    off = abs(claim.value - float(probed.slope.value[0]))
    return claim.bar + float(probed.slope.bar[0]) <= _need(max(claim.scales[leaf], off), off)
