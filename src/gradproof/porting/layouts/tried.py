"""The proposals of a group of leaves, and what they came to."""

__all__ = ["FURTHER", "Tried"]

from dataclasses import dataclass, field

from gradproof.porting.layouts.fillings import AGREES, NEARLY
from gradproof.porting.layouts.groups import Group
from gradproof.porting.layouts.layout import Move

CLEARLY = 10.0
"""So many times smaller is the error of the best proposals, where none agrees, than that of all others: something else is wrong."""

EVEN = 1.5
"""Ratio up to which two errors are of one and the same mistake: proposals that differ in nothing that matters."""

FURTHER = 8
"""Proposals that are tried after one that agrees, to see whether it is the only one."""


@dataclass
class Tried:
    """A group, and what its proposals came to."""

    group: Group
    ways: list[tuple[Move, ...]]
    errors: list[float] = field(default_factory=list)

    @property
    def current(self) -> tuple[Move, ...]:
        """What is to be tried next, or has turned out best."""
        return self.ways[len(self.errors)] if not self.done else self.ways[self.best]

    @property
    def done(self) -> bool:
        """Whether nothing is left to try."""
        tried = len(self.errors)
        first = next((at for at, error in enumerate(self.errors) if error <= AGREES), None)
        return tried == len(self.ways) or (first is not None and tried > first + FURTHER)

    @property
    def agreeing(self) -> list[int]:
        """Those that agree; where none does, those that clearly would, but for a small mistake of the port: another eps."""
        exact = [at for at, error in enumerate(self.errors) if error <= AGREES]
        near = self._ahead
        return exact or [at for at in near if self.errors[near[0]] <= NEARLY]

    @property
    def best(self) -> int:
        """The first that agrees; else the first of what is clearly nearest; else what is usual."""
        return next(iter(self.agreeing or self._ahead), 0)

    @property
    def _ahead(self) -> list[int]:
        """Proposals of the least error, where that of all others is much larger."""
        least = min(self.errors, default=0.0)
        near = [at for at, error in enumerate(self.errors) if error <= EVEN * least]
        rest = [error for error in self.errors if error > EVEN * least]
        return near if not rest or min(rest) > CLEARLY * least else []
