"""A Report in the terminal: leaves, the wrong ones in full, the sources, and the answer as the last line."""

__all__ = ["MOST_LINES", "display", "render", "show"]

import shutil
import sys
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, RenderableType
from rich.segment import Segment, SegmentLines

from gradproof.report.blocks import blocks, one_liners
from gradproof.report.causes import diagnoses, notes
from gradproof.report.ending import again, answer, every_finding, remarks, source_table
from gradproof.report.leaves import leaf_table
from gradproof.report.view import EVERYTHING, Limits, Order, View
from gradproof.report.words import Pen

if TYPE_CHECKING:
    from gradproof.report.record import Report

MOST_LINES = 40
"""Of a report, unless everything is asked for: what a terminal shows without scrolling."""

ROOMY = 80
"""Columns from which on that is kept to."""

_TIGHTER = (
    Limits(leaves=12, blocks=12, notes=6, sources=8, entries=1, names=6, characters=320),
    Limits(leaves=12, blocks=6, notes=4, sources=8, entries=1, names=4, characters=240),
    Limits(leaves=8, blocks=4, notes=3, sources=8, entries=1, names=3, characters=240),
    Limits(leaves=5, blocks=3, notes=2, sources=6, entries=1, names=3, characters=160),
    Limits(leaves=3, blocks=2, notes=1, sources=6, entries=1, names=2, characters=160),
    Limits(leaves=1, blocks=1, notes=1, sources=4, entries=1, names=1, characters=80),
)
"""Tried one after the other until the report fits."""

Lines = list[list[Segment]]


def render(report: "Report", width: int | None = None, verbosity: int = 1) -> str:
    """`report` as plain text, `width` columns wide (default: the terminal's), for the encoding of standard output.

    `verbosity` is 0 for the answer and a line per wrong leaf, 1 for at most 40 lines, 2 for everything.
    Raises ValueError for another one.
    """
    columns = width or shutil.get_terminal_size((100, 24)).columns
    file = StringIO()
    console = Console(
        file=file, width=columns, no_color=True, force_terminal=False, force_jupyter=False, highlight=False
    )
    _print(report, console, verbosity, Pen(getattr(sys.stdout, "encoding", None) or "utf-8"))
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().splitlines())


def show(report: "Report", console: Console, verbosity: int = 1) -> None:
    """Print `report` on a rich console, with its colours. `verbosity` as in `render`."""
    _print(report, console, verbosity, Pen(console.encoding))


def display(report: "Report", verbosity: int = 1, file: TextIO | None = None) -> None:
    """Print `report` to `file` (default: standard output), in colour if that is a terminal. `verbosity` as in `render`."""
    show(report, Console(file=file, highlight=False), verbosity)


def _print(report: "Report", console: Console, verbosity: int, pen: Pen) -> None:
    if verbosity not in (0, 1, 2):
        raise ValueError(
            f"verbosity is 0 (the answer), 1 (at most {MOST_LINES} lines) or 2 (everything); got {verbosity!r}"
        )
    order = Order(report)
    if verbosity == 0:
        view = View(order, pen, console.width, _TIGHTER[0])
        page = _lines(console, [*one_liners(view), answer(view)])
    elif verbosity == 1:
        page = _short(console, order, pen)
    else:
        view = View(order, pen, console.width, EVERYTHING)
        page = _joined([*_head(console, view), _lines(console, every_finding(view)), *_tail(console, view)])
    console.print(SegmentLines(page, new_lines=True), end="")


def _short(console: Console, order: Order, pen: Pen) -> Lines:
    """As much as fits. Where even the least does not, what comes first is cut; in a narrow terminal nothing is."""
    page: Lines = []
    for limits in _TIGHTER:
        view = View(order, pen, console.width, limits)
        head, tail = _joined(_head(console, view)), _joined(_tail(console, view))
        page = _joined([head, tail])
        if len(page) <= MOST_LINES:
            return page
    if console.width < ROOMY:
        return page
    cut = _lines(console, [pen.text("… (verbosity=2 shows all)", "dim")])
    return cut + page[len(page) - MOST_LINES + len(cut) :]


def _head(console: Console, view: View) -> list[Lines]:
    """What concerns leaves."""
    told = [_lines(console, [block]) for block in blocks(view)]
    return [
        _lines(console, leaf_table(view)),
        *told,
        _lines(console, diagnoses(view)),
        _lines(console, notes(view)),
    ]


def _tail(console: Console, view: View) -> list[Lines]:
    """What concerns all."""
    return [
        _lines(console, source_table(view)),
        _lines(console, [*remarks(view), *again(view), answer(view)]),
    ]


def _lines(console: Console, parts: Iterable[RenderableType]) -> Lines:
    return [line for part in parts for line in console.render_lines(part, pad=False)]


def _joined(parts: Sequence[Lines]) -> Lines:
    """Those that are not empty, with an empty line between them."""
    page: Lines = []
    for part in filter(None, parts):
        page += [[], *part] if page else part
    return page
