"""A kind of mistake: its code, what it looks like, what usually causes it, and what to look at."""

__all__ = ["Code"]

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of mistake."""

    code: str
    title: str
    means: str
    """What the difference looks like."""
    causes: str
    """What usually makes it so."""
    remedy: str
    """What to look at, or to do."""

    def __str__(self) -> str:
        return f"{self.code}  {self.title}\n\n{self.means}\nUsual cause: {self.causes}\nWhat to do: {self.remedy}"
