"""What came of each stage of a comparison: how many were compared, how many differ, and by how much at worst."""

__all__ = ["STAGES", "Stage", "cell", "differing", "every_stage", "stages"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan

from gradproof.porting.record import Compared
from gradproof.porting.report.words import excess, multiple
from gradproof.report.words import SEVERITY
from gradproof.verdict import Finding, Verdict

STAGES = {
    "inputs": "inputs", "parameter": "parameters", "output": "outputs", "loss": "loss", "forward": "layers forward",
    "backward": "layers backward", "gradient": "gradients", "buffer": "buffers", "step": "optimizer step",
    "precision": "own precision",
}  # fmt: skip
"""`Finding.what` and what it is called, in the order of the work."""


@dataclass(frozen=True, slots=True)
class Stage:
    """All findings of one kind."""

    what: str
    verdict: Verdict
    count: int
    """How many were compared."""
    differ: int
    undecided: int
    worst: float
    """Multiple of the bar; NaN where nothing was measured."""
    where: str
    """Leaf of the worst."""

    @property
    def called(self) -> str:
        """In words."""
        return STAGES.get(self.what, self.what)


def stages(compared: Compared) -> dict[str, Stage]:
    """By `Finding.what`, those that have findings."""
    by_kind: dict[str, list[Finding]] = {}
    for finding in compared.findings:
        by_kind.setdefault(finding.what, []).append(finding)
    return {what: _stage(what, found) for what, found in by_kind.items()}


def every_stage(of: Sequence[Mapping[str, Stage]]) -> list[str]:
    """Every stage of several comparisons, in the order of the work."""
    there = dict.fromkeys(what for each in of for what in each)
    return [*(what for what in STAGES if what in there), *(what for what in there if what not in STAGES)]


def differing(compared: Compared) -> Finding | None:
    """The first finding that disagrees, in the order of the stages; else the first that is undecided."""
    for verdict in (Verdict.DISAGREES, Verdict.UNDECIDED):
        found = [finding for finding in compared.findings if finding.verdict is verdict]
        if found:
            order = every_stage([stages(compared)])
            return min(found, key=lambda finding: order.index(finding.what))
    return None


def cell(stage: Stage) -> tuple[str, str]:
    """(how many, how far) of a stage, in a few characters."""
    far = "exact" if stage.worst == 0 else multiple(stage.worst)
    if stage.verdict is Verdict.DISAGREES:
        return f"{stage.differ} of {stage.count}", far
    if stage.verdict is Verdict.UNDECIDED:
        return f"{stage.undecided} of {stage.count}", far
    return str(stage.count), far


def _stage(what: str, found: Sequence[Finding]) -> Stage:
    verdict = max((finding.verdict for finding in found), key=SEVERITY.index)
    alike = [finding for finding in found if finding.verdict is verdict]
    worst = max(alike, key=_rank)
    counts = [sum(finding.verdict is v for finding in found) for v in (Verdict.DISAGREES, Verdict.UNDECIDED)]
    size = max((excess(finding) for finding in alike if not isnan(excess(finding))), default=nan)
    return Stage(what, verdict, len(found), counts[0], counts[1], size, worst.leaf or "")


def _rank(finding: Finding) -> float:
    times = excess(finding)
    return -1.0 if isnan(times) else times
