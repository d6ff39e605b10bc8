"""What was read of some entries along probes over them."""

__all__ = ["Part", "Reading"]

from dataclasses import dataclass, field

from gradproof.arrays import HostArray
from gradproof.locating.entries import Found
from gradproof.numeric.probe import Probe


@dataclass
class Reading:
    """What was read along one probe over a part: claim minus slope."""

    probe: Probe
    residual: float
    bar: float

    @property
    def clean(self) -> bool:
        """Whether nothing was seen to be wrong."""
        return abs(self.residual) <= self.bar


@dataclass
class Part:
    """Entries, and what was read of them, corrected for those that were found."""

    entries: HostArray
    readings: list[Reading]
    depth: int = 0
    found: dict[int, Found] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """The same, by the first reading."""
        return self.readings[0].clean
