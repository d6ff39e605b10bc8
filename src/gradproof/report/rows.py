"""Tables that fit, however narrow the terminal is."""

__all__ = ["Layout", "Row", "fitting", "grid", "marked"]

from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from gradproof.report.view import View
from gradproof.report.words import Pen
from gradproof.verdict import Verdict

GAP = 2
"""Between columns."""

NARROWEST = 6
"""Columns left for the one that is broken."""

SPACE = 3
"""Between values."""

Layout = tuple[Sequence[str], Sequence[Sequence[Text]]]
"""Headers and rows."""


def fitting(view: View, layouts: Sequence[Layout], folding: int, least: int | None = None) -> Table:
    """The first of `layouts` that fits, as a table without lines; the last if none does.

    Only column `folding` is broken, and where `least` is given for a layout to fit, no narrower than that; where the
    terminal is too narrow for that too every column is.
    """
    fits = (layout for layout in layouts if _width(layout, folding, least) <= view.width)
    header, rows = chosen = next(fits, layouts[-1])
    rigid = _width(chosen, folding, NARROWEST) <= view.width
    out = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for at, name in enumerate(header):
        number = name in ("evaluations", "seconds")
        out.add_column(
            view.pen.text(name),
            overflow="fold",
            no_wrap=rigid and at != folding % len(header),
            justify="right" if number else "left",
        )
    for row in rows:
        out.add_row(*row)
    return out


def _width(layout: Layout, folding: int, least: int | None) -> int:
    """Of the table in which nothing is broken, or column `folding` down to `least`."""
    header, rows = layout
    widths = [max([len(name), *(row[at].cell_len for row in rows)]) for at, name in enumerate(header)]
    if least is not None:
        widths[folding] = min(widths[folding], least)
    return sum(widths) + GAP * (len(widths) - 1)


class Row(NamedTuple):
    """One line of a block, under a label; pieces are not broken where one of them fits the width."""

    label: str
    pieces: Sequence[str]
    style: str = ""


def marked(pen: Pen, verdict: Verdict, text: Text) -> Table:
    """`text` beside the symbol of a verdict, never below it."""
    out = Table.grid(padding=(0, 1, 0, 0))
    out.add_column(no_wrap=True)
    out.add_column(overflow="fold")
    out.add_row(pen.mark(verdict), text)
    return out


def grid(view: View, rows: Sequence[Row]) -> Table:
    """Rows with their labels in a column of their own."""
    pen = view.pen
    labels = [pen.text(f"  {row.label}") for row in rows]
    widest = min(max((label.cell_len for label in labels), default=0), max(view.width // 2, 4))
    out = Table.grid(padding=(0, 2, 0, 0))
    out.add_column(width=widest, overflow="fold")
    out.add_column(overflow="fold")
    for label, row in zip(labels, rows, strict=True):
        lines = _packed([pen.spelled(piece) for piece in row.pieces], view.width - widest - 2)
        out.add_row(label, Text("\n".join(lines), row.style))
    return out


def _packed(pieces: Sequence[str], width: int) -> list[str]:
    """Pieces side by side, in columns where they need more lines than one."""
    line = (" " * SPACE).join(pieces)
    if len(pieces) == 1 or Text(line).cell_len <= width:
        return [line]
    widest = max(map(len, pieces))
    each = max((width + SPACE) // (widest + SPACE), 1)
    padded = [piece.ljust(widest) for piece in pieces]
    return [(" " * SPACE).join(padded[i : i + each]).rstrip() for i in range(0, len(padded), each)]
