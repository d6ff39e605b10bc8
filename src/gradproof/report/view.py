"""What the parts of a terminal view share: the report in the order in which it is shown, and how much of it is."""

__all__ = ["EVERYTHING", "Limits", "Order", "View"]

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from gradproof.arrays import HostArray
from gradproof.report.words import SEVERITY, Pen, finite
from gradproof.trees import leaves_by_path
from gradproof.verdict import Diagnosis, Finding, Location, Verdict

if TYPE_CHECKING:
    from gradproof.report.record import Report

CONTRACTS = ("contract", "value", "tangent")
"""Findings that are told in words rather than in the table of leaves."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is shown."""

    leaves: int
    """Rows of the table of leaves."""
    blocks: int
    """Wrong leaves that are shown in full."""
    notes: int
    """Of each kind: contracts, diagnoses of several leaves, reasons."""
    sources: int
    entries: int
    """Wrong entries of a leaf with their values."""
    names: int
    """Names in a list."""
    characters: int
    """Of a sentence that came with the finding."""
    full: bool = False
    """Whether what can be told in short is told in full."""


_ALL = 10**9
EVERYTHING = Limits(_ALL, _ALL, _ALL, _ALL, entries=50, names=_ALL, characters=_ALL, full=True)


@dataclass(frozen=True)
class Order:
    """A report, sorted: what belongs to which leaf, and the worst last."""

    report: "Report"

    @cached_property
    def findings(self) -> dict[str | None, list[Finding]]:
        """By leaf."""
        found: dict[str | None, list[Finding]] = {}
        for finding in self.report.findings:
            found.setdefault(finding.leaf, []).append(finding)
        return found

    @cached_property
    def locations(self) -> dict[str, list[Location]]:
        """By leaf, those of the claim first."""
        found: dict[str, list[Location]] = {}
        for location in sorted(self.report.locations, key=lambda place: place.source != self.report.claim):
            found.setdefault(location.leaf, []).append(location)
        return found

    def gradients(self, path: str) -> dict[str, HostArray]:
        """One leaf of every source's gradient."""
        return {name: leaves[path] for name, leaves in self._gradients.items() if path in leaves}

    @cached_property
    def leaves(self) -> list[str]:
        """The worst last: that is where the eye is when the output has scrolled by."""
        return sorted(self.report.leaves, key=self._severity)

    @cached_property
    def wrong(self) -> list[str]:
        """Leaves that some source has wrong, the worst last."""
        return [path for path in self.leaves if self._severity(path)[0] == SEVERITY.index(Verdict.DISAGREES)]

    @cached_property
    def joint(self) -> list[Finding]:
        """What only all leaves together refute."""
        found = self.findings.get(None, [])
        return [f for f in found if f.verdict is Verdict.DISAGREES and f.what not in CONTRACTS]

    @cached_property
    def broken(self) -> list[Finding]:
        """Contracts that are broken and that no leaf shows."""
        return [
            f
            for f in self.report.findings
            if f.what in CONTRACTS
            and f.verdict is not Verdict.AGREES
            and not (f.verdict is Verdict.DISAGREES and f.leaf in self._wrong)
        ]

    @cached_property
    def simplest(self) -> list[Diagnosis]:
        """The first diagnosis of every leaf and source."""
        first: dict[tuple[str, str], Diagnosis] = {}
        for diagnosis in self.report.diagnoses:
            for leaf in self.covered(diagnosis):
                first.setdefault((diagnosis.source, leaf), diagnosis)
        chosen = {id(diagnosis) for diagnosis in first.values()}
        return [diagnosis for diagnosis in self.report.diagnoses if id(diagnosis) in chosen]

    @cached_property
    def others(self) -> list[Diagnosis]:
        """Diagnoses that would do as well, and are less simple."""
        chosen = {id(diagnosis) for diagnosis in self.simplest}
        return [diagnosis for diagnosis in self.report.diagnoses if id(diagnosis) not in chosen]

    def covered(self, diagnosis: Diagnosis) -> tuple[str, ...]:
        """Leaves of a diagnosis; one that names none concerns all."""
        return diagnosis.leaves or tuple(self.report.leaves)

    def alone(self, diagnosis: Diagnosis) -> str | None:
        """The wrong leaf to whose block a diagnosis belongs; None if it concerns several, or none that is wrong."""
        covered = self.covered(diagnosis)
        return covered[0] if len(covered) == 1 and covered[0] in self._wrong else None

    @cached_property
    def _gradients(self) -> dict[str, dict[str, HostArray]]:
        return {name: leaves_by_path(tree) for name, tree in self.report.gradients.items()}

    @cached_property
    def _wrong(self) -> frozenset[str]:
        return frozenset(self.wrong)

    def _severity(self, path: str) -> tuple[int, float]:
        found = [f for f in self.findings.get(path, []) if f.verdict is not Verdict.AGREES]
        excess = [(SEVERITY.index(f.verdict), finite(f.excess)) for f in found]
        return max(excess + [(3, _excess(place)) for place in self.locations.get(path, [])], default=(0, 0.0))


@dataclass(frozen=True, slots=True)
class View:
    """One way to show a report."""

    order: Order
    pen: Pen
    width: int
    limits: Limits

    @property
    def report(self) -> "Report":
        """What is shown."""
        return self.order.report


def _excess(place: Location) -> float:
    pairs = zip(place.errors, place.bars, strict=False)
    return max((abs(error) / bar for error, bar in pairs if bar > 0), default=0.0)
