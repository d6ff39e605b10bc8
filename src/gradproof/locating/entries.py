"""Single entries, read by themselves with bars from their own samples."""

__all__ = ["Entries", "Found"]

from collections.abc import Sequence
from dataclasses import dataclass

from gradproof.judging.reader import Reader
from gradproof.locating.scope import Scope
from gradproof.numeric.line import Line
from gradproof.numeric.probe import coordinate_probe
from gradproof.verdict import Estimate

KEPT = 2**20
"""Parameters up to which the probe of a single entry is kept, with its samples."""


@dataclass(frozen=True, slots=True)
class Found:
    """A wrong entry: the claim minus the right value, and the bar of that."""

    error: float
    bar: float


class Entries:
    """The entries of `scope`."""

    def __init__(self, scope: Scope, gradient: Sequence[Estimate], reader: Reader) -> None:
        self._scope = scope
        self._gradient = gradient
        self._reader = reader
        self._lines: dict[int, Line] = {}

    def wrong(self, entry: int, need: float, *, at_any_price: bool = True) -> Found | None:
        """What is wrong with one entry; None if nothing is to within what can be known, if possible to `need`."""
        leaf, index = self._scope.place(entry)
        claim, claim_bar = (float(x[index]) for x in (self._gradient[leaf].value, self._gradient[leaf].bar))
        value, bar = self.derivative(entry, need, at_any_price=at_any_price)
        error, bar = claim - value, bar + claim_bar
        return Found(error, bar) if abs(error) > bar else None

    def derivative(self, entry: int, need: float, *, at_any_price: bool = True) -> tuple[float, float]:
        """The function's derivative in one entry, and its bar."""
        leaf, index = self._scope.place(entry)
        size = float(self._scope.point.sizes[leaf][index])
        claim_bar = float(self._gradient[leaf].bar[index]) * size
        value, bar = self._reader.sure(
            self._line_of(entry), 1 / self._scope.size, max(need, 4 * claim_bar), at_any_price=at_any_price
        )
        return value / size, bar / size

    def _line_of(self, entry: int) -> Line:
        """The function along one entry; its samples are kept, if the probe is not large."""
        if entry in self._lines:
            return self._lines[entry]
        line = self._reader.line(coordinate_probe(self._scope.point, *self._scope.place(entry)))
        if self._scope.point.size <= KEPT:
            self._lines[entry] = line
        return line
