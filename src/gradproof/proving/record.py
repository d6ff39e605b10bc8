"""What a proof came to: the trials, the smallest errors that show, the blind spots of the point."""

__all__ = ["BlindSpot", "Outcome", "Proof", "Trial"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import nan
from types import MappingProxyType
from typing import Any

from gradproof.report import Report
from gradproof.verdict import Reason, Verdict


class Outcome(Enum):
    """What became of a planted mistake. The value is what is shown."""

    CAUGHT = "caught"
    """DISAGREES, for the reason that is due."""
    ELSEWISE = "refused for another reason"
    UNDECIDED = "undecided"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Trial:
    """One planted mistake, and what the check made of it."""

    fault: str
    outcome: Outcome
    reason: Reason | None
    """Of the verdict."""
    evaluations: int
    """Of the function, for the numeric source."""


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """What no check at this point can show, because of the point or the constants."""

    where: str
    """A leaf's path, "args[2] (lam)", or "params" for all of them."""
    says: str
    """One sentence: what is so, and which mistakes it hides."""
    suggestion: str
    """What to try."""
    elsewhere: bool = False
    """Whether it was seen to be gone at `Proof.better_point`."""

    def __str__(self) -> str:
        return f"{self.where}: {self.says}; {self.suggestion}"


@dataclass(frozen=True)
class Proof:
    """Whether a claimed gradient is right at a point, and what the check would have noticed if it were not."""

    verdict: Verdict
    """Of the claim as it is. Unless it is AGREES, nothing was planted."""
    report: Report
    """Of the claim as it is."""
    trials: tuple[Trial, ...] = ()
    """One for every fault that can be planted here."""
    smallest: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """By leaf, the smallest relative error that was planted in it alone, as a factor, and refused.

    A leaf in which no such error shows is left out.
    """
    blind_spots: tuple[BlindSpot, ...] = ()
    better_point: Any = None
    """Params like the caller's, each entry moved by a share of its size, where more mistakes can show; None if none do."""

    @property
    def caught(self) -> int:
        """Number of planted mistakes that were refused for the reason that is due."""
        return sum(trial.outcome is Outcome.CAUGHT for trial in self.trials)

    @property
    def kill_rate(self) -> float:
        """Share of the planted mistakes that were caught; NaN if none was planted."""
        return self.caught / len(self.trials) if self.trials else nan

    def __bool__(self) -> bool:
        raise TypeError("a Proof has four verdicts, not two: use proof.verdict and proof.kill_rate")

    def __str__(self) -> str:
        from gradproof.proving.terminal import render  # noqa: PLC0415 -- rich is imported when something is shown

        return render(self)
