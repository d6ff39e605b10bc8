"""How a report is written: symbols, numbers, and what an output gets that cannot show them all."""

__all__ = [
    "SEVERITY",
    "Pen",
    "clipped",
    "digits",
    "finite",
    "in_short",
    "in_words",
    "listed",
    "more",
    "named",
    "relative",
    "with_bar",
]

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from gradproof.verdict import Reason, Verdict

SEVERITY = (Verdict.AGREES, Verdict.UNSUPPORTED, Verdict.UNDECIDED, Verdict.DISAGREES)
"""From good to bad."""

_MARKS = {
    Verdict.AGREES: ("✓", "green"),
    Verdict.DISAGREES: ("✗", "bold red"),
    Verdict.UNDECIDED: ("?", "yellow"),
    Verdict.UNSUPPORTED: ("–", "dim"),
}

_SPELLED = {
    "✓": "ok", "✗": "X", "–": "-", "−": "-", "±": "+/-", "×": "x", "·": "*", "≤": "<=", "≥": ">=", "…": "...",
    "²": "^2", "√": "sqrt", "≈": "~",
}  # fmt: skip
"""For an encoding without them; a character that is not here becomes its escape."""


@dataclass(frozen=True, slots=True)
class Pen:
    """Writes for an output of this encoding. What is written is never read as markup, and stays on one line."""

    encoding: str = "utf-8"

    def text(self, words: str, style: str = "") -> Text:
        """`words` in a style."""
        return Text(self.spelled(words), style)

    def mark(self, verdict: Verdict, words: str = "") -> Text:
        """The symbol of a verdict and `words`, in its colour."""
        symbol, style = _MARKS[verdict]
        return self.text(f"{symbol} {words}".rstrip(), style)

    def one_line(self, words: str, style: str, width: int) -> Text:
        """`words`, cut at the end where they are longer than `width`."""
        text = self.text(words, style)
        if text.cell_len > width:
            dots = self.spelled("…")
            text.truncate(max(width - len(dots), 0), overflow="crop")
            text.append(dots)
        return text

    def spelled(self, words: str) -> str:
        """`words` on one line, in characters that print and that the encoding has."""
        line = re.sub(r"\s*[\t\r\n\f\v]\s*", " ", words)
        line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
        try:
            line.encode(self.encoding)
        except UnicodeEncodeError:
            return "".join(self._spelled(c) for c in line)
        return line

    def _spelled(self, character: str) -> str:
        try:
            character.encode(self.encoding)
        except UnicodeEncodeError:
            return _SPELLED.get(character, ascii(character)[1:-1])
        return character


def listed(names: Sequence[str]) -> str:
    """The names in a sentence."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "nothing"


def named(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    hidden = len(names) - most
    return ", ".join(names) if hidden <= 0 else f"{', '.join(names[:most])} and {hidden} more"


def in_short(reason: Reason | None) -> str:
    """A reason in a word or two."""
    return reason.name.lower().replace("_", " ") if reason else ""


def in_words(reason: Reason | None) -> str:
    """A reason as a sentence."""
    return reason.value if reason else ""


def more(count: int, one: str, many: str) -> str:
    """How many are not shown."""
    return f"{count} more {one if count == 1 else many}"


def clipped(words: str, most: int) -> str:
    """`words`, cut at the end where they have more than `most` characters."""
    return words if len(words) <= most else f"{words[: most - 1]}…"


def relative(size: float, scale: float) -> str:
    """`size` in units of `scale`."""
    return f"{size / scale:.1e}" if scale > 0 else f"{size:.1e} absolute"


def digits(gap: float, size: float) -> int:
    """Significant digits in which a gap of this size shows."""
    return min(max(3 - math.floor(math.log10(gap / size)), 6), 17) if 0 < gap < size else 6


def with_bar(value: float, bar: float, significant: int = 6, sign: str = "+") -> str:
    """A value with its bar, if that is known."""
    shown = f"{value:{sign}.{significant}g}"
    return f"{shown} ±{bar:.1e}" if math.isfinite(bar) else shown


def finite(x: float) -> float:
    """`x`; infinity for NaN, which is the worst of all."""
    return x if math.isfinite(x) else math.inf
