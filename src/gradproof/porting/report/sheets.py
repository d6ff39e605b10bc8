"""Columns for a terminal: cells side by side on one line, cut where it is too narrow, never broken."""

__all__ = ["Cell", "Sheet", "beside", "labelled", "sheet"]

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gradproof.report.words import Pen

GAP = 2
LEAST = 8
"""Columns below which no cell is cut."""


class Cell(NamedTuple):
    """Words in a style."""

    words: str
    style: str = ""


Sheet = Sequence[Sequence[Cell]]


def sheet(pen: Pen, width: int, choices: Sequence[Sheet], elastic: Sequence[int]) -> Iterator[Text]:
    """The first of `choices` that fits, else the last, with its `elastic` columns cut down to what there is."""
    rows = next((rows for rows in choices if sum(_widths(pen, rows)) <= width), choices[-1])
    widths = _cut(_widths(pen, rows), elastic, width)
    for row in rows:
        line = Text()
        for cell, size in zip(row, widths, strict=True):
            part = pen.one_line(cell.words, cell.style, max(size - GAP, 0))
            line.append_text(part).append(" " * (size - part.cell_len))
        line.rstrip()
        line.truncate(width, overflow="crop")
        yield line


def _widths(pen: Pen, rows: Sheet) -> list[int]:
    """Of every column, with the gap after it; a column with nothing in it takes none."""
    sizes = [max(cell_len(pen.spelled(row[at].words)) for row in rows) for at in range(len(rows[0]))]
    return [size + GAP if size else 0 for size in sizes]


def _cut(widths: list[int], elastic: Sequence[int], width: int) -> list[int]:
    """Widths, the widest elastic one made smaller until all fit."""
    widths = list(widths)
    while sum(widths) - GAP > width:
        widest = max(elastic, key=widths.__getitem__)
        if widths[widest] <= LEAST:
            break
        widths[widest] -= 1
    return widths


def beside(label: Text, words: Text) -> RenderableType:
    """Words that are broken beside their label, never below it."""
    out = Table.grid(padding=(0, 1, 0, 0))
    out.add_column(no_wrap=True)
    out.add_column(overflow="fold")
    out.add_row(label, words)
    return out


def labelled(pen: Pen, rows: Sequence[tuple[str, str]]) -> RenderableType:
    """Words beside their labels, broken where they have to be."""
    out = Table.grid(padding=(0, GAP, 0, 0))
    out.add_column(no_wrap=True)
    out.add_column(overflow="fold")
    for label, words in rows:
        out.add_row(pen.text(f"    {label}", "dim"), pen.text(words))
    return out
