"""How a PortReport is written: the mark of a node, multiples of a bar, and the characters that trees are drawn with."""

__all__ = ["HERE", "MARKS", "Ink", "excess", "multiple", "number", "shape_of", "times", "worst_mark"]

from collections.abc import Iterable, Sequence
from math import inf, isfinite, isnan, nan

from rich.text import Text

from gradproof.porting.record import Mark
from gradproof.report.words import Pen
from gradproof.verdict import Finding

HERE = "◄ here"

MARKS = {
    Mark.AGREES: ("✓", "green"),
    Mark.WRONG: ("✗", "bold red"),
    Mark.CARRIED: ("»", "yellow"),
    Mark.UNDECIDED: ("?", "yellow"),
    Mark.UNMATCHED: ("+", "dim"),
    Mark.UNSEEN: ("–", "dim"),
}
"""Symbol and style."""

_WORST_FIRST = (Mark.WRONG, Mark.UNDECIDED, Mark.CARRIED, Mark.AGREES, Mark.UNMATCHED, Mark.UNSEEN)

_SPELLED = {"◄": "<-", "»": ">", "→": "->", "∞": "inf"}


class Ink(Pen):
    """A Pen that can draw trees too."""

    __slots__ = ()

    def node(self, mark: Mark) -> Text:
        """The symbol of what became of a node."""
        symbol, style = MARKS[mark]
        return self.text(symbol, style)

    def _spelled(self, character: str) -> str:
        written = super()._spelled(character)
        return written if written == character else _SPELLED.get(character, written)


def worst_mark(marks: Iterable[Mark]) -> Mark:
    """The one of `marks` that counts."""
    return min(marks, key=_WORST_FIRST.index, default=Mark.UNSEEN)


def excess(finding: Finding) -> float:
    """Multiples of the bar; NaN where nothing was measured."""
    return times(finding.gap, finding.bar)


def times(gap: float, bar: float) -> float:
    """The gap in multiples of the bar; NaN where one of them is not known."""
    if isnan(gap) or isnan(bar):
        return nan
    return 0.0 if gap == 0 else gap / bar if bar > 0 else inf


def multiple(factor: float) -> str:
    """ "0.3 ×", "4.1e+05 ×"; nothing for NaN."""
    if isnan(factor):
        return ""
    if factor == inf:
        return "∞ ×"
    return f"{factor:.2g} ×" if factor == 0 or 0.01 <= factor < 99.5 else f"{factor:.1e} ×"


def number(x: float) -> str:
    """In short; "?" for what is not known."""
    return f"{x:.1e}" if isfinite(x) else "?" if isnan(x) else "∞"


def shape_of(shape: Sequence[int]) -> str:
    """As numpy writes it."""
    return str(tuple(shape))
