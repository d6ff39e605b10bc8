"""A PortReport in the terminal: the trees of what differs, the first wrong node, the mistake, the stages, the answer last."""

__all__ = ["MOST_LINES", "display", "render", "show"]

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, RenderableType
from rich.segment import Segment, SegmentLines
from rich.text import Text

from gradproof.porting.report.saying import (
    answer,
    described,
    divergences,
    help_for,
    matched,
    numeric_remarks,
    of_port,
    ordered,
)
from gradproof.porting.report.sheets import Cell, beside, labelled, sheet
from gradproof.porting.report.stage_sheet import stage_sheet
from gradproof.porting.report.tree_sheet import tree_sheet
from gradproof.porting.report.words import Ink, shape_of
from gradproof.report.words import clipped, in_words, listed, more, named
from gradproof.verdict import Reason, Verdict

if TYPE_CHECKING:
    from gradproof.porting.layouts.layout import LayoutRow
    from gradproof.porting.record import Compared, PortReport

MOST_LINES = 40
"""Of a report, unless everything is asked for: what a terminal shows without scrolling."""

ROOMY = 80
"""Columns from which on that is kept to."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is shown."""

    wrong: int
    """Nodes beside the first that are unfolded."""
    neighbours: bool
    blocks: int
    """Directions in which the first wrong node is told in full."""
    helps: int
    names: int
    characters: int
    ports: bool = True
    """Whether every port has a line of its own."""
    agreeing: bool = True
    """Whether each stage that agrees has a line of its own."""
    trees: int = 10**9
    """Ports that are told in full."""
    full: bool = False


QUIET = Limits(0, False, 0, 3, 1, 160)
EVERYTHING = Limits(10**9, True, 2, 10**9, 10**9, 10**9, full=True)
_TIGHTER = (
    Limits(12, True, 2, 8, 4, 400),
    Limits(6, True, 2, 4, 4, 320),
    Limits(6, True, 2, 4, 3, 240, agreeing=False),
    Limits(3, True, 2, 3, 2, 240, ports=False, agreeing=False),
    Limits(1, True, 1, 2, 2, 160, ports=False, agreeing=False),
    Limits(0, False, 1, 1, 1, 120, ports=False, agreeing=False, trees=3),
    Limits(0, False, 1, 1, 1, 80, ports=False, agreeing=False, trees=1),
)
"""Tried one after the other until the report fits."""

Lines = list[list[Segment]]


@dataclass(frozen=True, slots=True)
class View:
    """One way to show a report."""

    report: "PortReport"
    ink: Ink
    width: int
    limits: Limits


def render(report: "PortReport", width: int | None = None, verbosity: int = 1) -> str:
    """`report` as plain text, `width` columns wide (default: the terminal's), for the encoding of standard output.

    `verbosity` is 0 for the answer and a line per wrong port, 1 for at most 40 lines, 2 for everything.
    Raises ValueError for another one.
    """
    columns = width or shutil.get_terminal_size((100, 24)).columns
    file = StringIO()
    console = Console(
        file=file, width=columns, no_color=True, force_terminal=False, force_jupyter=False, highlight=False
    )
    _print(report, console, verbosity, Ink(getattr(sys.stdout, "encoding", None) or "utf-8"))
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().splitlines())


def show(report: "PortReport", console: Console, verbosity: int = 1) -> None:
    """Print `report` on a rich console, with its colours. `verbosity` as in `render`."""
    _print(report, console, verbosity, Ink(console.encoding))


def display(report: "PortReport", verbosity: int = 1, file: TextIO | None = None) -> None:
    """Print `report` to `file` (default: standard output), in colour if that is a terminal. `verbosity` as in `render`."""
    show(report, Console(file=file, highlight=False), verbosity)


def _print(report: "PortReport", console: Console, verbosity: int, ink: Ink) -> None:
    if verbosity not in (0, 1, 2):
        raise ValueError(
            f"verbosity is 0 (the answer), 1 (at most {MOST_LINES} lines) or 2 (everything); got {verbosity!r}"
        )
    if verbosity == 0:
        view = View(report, ink, console.width, QUIET)
        page = _lines(console, [*_one_liners(view), _answer(view)])
    elif verbosity == 1:
        page = _short(console, report, ink)
    else:
        page = _page(console, View(report, ink, console.width, EVERYTHING))
    console.print(SegmentLines(page, new_lines=True), end="")


def _short(console: Console, report: "PortReport", ink: Ink) -> Lines:
    """As much as fits. Where even the least does not, what comes first is cut; in a narrow terminal nothing is."""
    page: Lines = []
    for limits in _TIGHTER:
        page = _page(console, View(report, ink, console.width, limits))
        if len(page) <= MOST_LINES:
            return page
    if console.width < ROOMY:
        return page
    cut = _lines(console, [ink.text("… (verbosity=2 shows all)", "dim")])
    return cut + page[len(page) - MOST_LINES + len(cut) :]


def _page(console: Console, view: View) -> Lines:
    every = ordered(view.report)
    told = [compared for compared in every if view.limits.full or compared.verdict is not Verdict.AGREES]
    whole = told[max(len(told) - view.limits.trees, 0) :]
    brief = [compared for compared in every if compared not in whole]
    parts: list[Iterable[RenderableType]] = [_in_brief(view, brief)]
    for compared in whole:
        parts += [
            _tree(view, compared),
            _blocks(view, compared),
            [*_causes(view, compared), *_parameters(view, compared)],
        ]
    parts += [stage_sheet(view.report, view.ink, view.width, view.limits.agreeing), _ports(view)]
    parts += [[*_remarks(view), _answer(view)]]
    return _joined([_lines(console, part) for part in parts])


# One port against the reference


def _one_liners(view: View) -> Iterable[RenderableType]:
    for compared in ordered(view.report):
        if compared.verdict is not Verdict.AGREES:
            yield view.ink.mark(compared.verdict, f"{compared.port} against {view.report.reference}")
            yield from _causes(view, compared)


def _in_brief(view: View, compared: Sequence["Compared"]) -> Iterable[RenderableType]:
    """Ports that need no tree: those that agree, with what their parameters come from."""
    for each in compared:
        if each.verdict is Verdict.AGREES:
            word = f"; {clipped(each.detail, view.limits.characters)}" if each.detail else ""
            yield view.ink.mark(each.verdict, f"{each.port} agrees with {view.report.reference}{word}")
        else:
            yield view.ink.mark(each.verdict, of_port(view.report, each))
            yield from _causes(view, each)
        yield from _parameters(view, each)


def _tree(view: View, compared: "Compared") -> Iterable[RenderableType]:
    ink, limits = view.ink, view.limits
    yield ink.mark(compared.verdict, "").append(
        ink.text(f" {compared.port} against {view.report.reference}", "bold")
    )
    why = ": ".join(filter(None, [in_words(compared.reason), compared.detail]))
    if why and compared.reason is not Reason.DIFFERS:
        yield ink.text(f"  {clipped(why, limits.characters)}")
    if compared.rows:
        yield from tree_sheet(
            compared, view.report.reference, ink, view.width,
            most=limits.wrong, neighbours=limits.neighbours, fold=not limits.full,
        )  # fmt: skip


def _blocks(view: View, compared: "Compared") -> Iterable[RenderableType]:
    """The first wrong node, forward and backward."""
    ink = view.ink
    for found in divergences(compared)[: view.limits.blocks]:
        kind = f"  {found.kind}" if found.kind else ""
        heading = ink.mark(Verdict.DISAGREES, "").append(ink.text(f" {found.name}", "bold"))
        yield heading.append_text(ink.text(f"{kind}   first wrong {found.direction}"))
        yield labelled(
            ink,
            [
                (a, clipped(b, view.limits.characters))
                for a, b in found.facts(view.report.reference, compared.port)
            ],
        )


def _causes(view: View, compared: "Compared") -> Iterable[RenderableType]:
    """Mistakes that explain it, what none explains, and what else is to be said."""
    ink, limits = view.ink, view.limits
    for diagnosis in compared.diagnoses[: limits.helps]:
        says, correction = help_for(diagnosis, limits.names)
        line = ink.text(diagnosis.code, "bold").append_text(ink.text(f" {clipped(says, limits.characters)}"))
        if correction:
            line.append_text(ink.text(f"  →  {clipped(correction, limits.characters)}", "bold"))
        yield beside(ink.text("help:", "cyan"), line)
    if (hidden := len(compared.diagnoses) - limits.helps) > 0:
        yield ink.text(f"{more(hidden, 'diagnosis', 'diagnoses')}; verbosity=2 shows all", "dim")
    if compared.undiagnosed:
        yield ink.mark(
            Verdict.UNDECIDED, f"{named(compared.undiagnosed, limits.names)}: no known mistake explains it"
        )
    for note in compared.notes[: limits.helps]:
        yield ink.text(f"note: {clipped(note, limits.characters)}", "dim")


def _parameters(view: View, compared: "Compared") -> Iterable[RenderableType]:
    """How parameters were matched; every one where everything is shown."""
    ink, full = view.ink, view.limits.full
    for verdict, words in matched(view.report, compared, view.limits.names):
        said = clipped(words, view.limits.characters)
        yield ink.text(said) if verdict is Verdict.AGREES else ink.mark(verdict, said)
    if full and compared.layout.moves:
        yield labelled(
            ink, [(row.leaf, "  ".join(filter(None, _moved(row)))) for row in compared.layout.table()]
        )


def _moved(row: "LayoutRow") -> tuple[str, str, str]:
    return row.comes, shape_of(row.shape) if row.comes[:1] == "=" else "", row.known


# All of them


def _ports(view: View) -> Iterable[RenderableType]:
    if not view.limits.ports:
        return
    heads = ("port", "framework", "parameters", "dtype", "error", "of gradients", "runs", "seconds")
    rows = [tuple(described(result)) for result in view.report.ports.values()]
    dim = ("dim",) * len(heads)
    table = [list(map(_cell, heads, dim)), *(list(map(_cell, row)) for row in rows)]
    kept = (range(8), range(6), (0, 1, 2, 3, 4), (0, 3, 4))
    yield from sheet(
        view.ink, view.width, [[[row[at] for at in at_all] for row in table] for at_all in kept], (0,)
    )


def _remarks(view: View) -> Iterable[RenderableType]:
    for verdict, words in numeric_remarks(view.report):
        yield view.ink.mark(verdict, clipped(words, view.limits.characters))
    asked = [result.name for result in view.report.ports.values() if result.numeric is Verdict.AGREES]
    if asked:
        yield view.ink.mark(
            Verdict.AGREES,
            f"finite differences confirm the gradient{'s' * (len(asked) > 1)} of {listed(asked)}",
        )


def _answer(view: View) -> Text:
    report = view.report
    return view.ink.mark(
        report.verdict, f"{report.verdict.value}  {clipped(answer(report), 8 * view.limits.characters)}"
    )


def _cell(words: str, style: str = "") -> Cell:
    return Cell(words, style)


def _lines(console: Console, parts: Iterable[RenderableType]) -> Lines:
    return [line for part in parts for line in console.render_lines(part, pad=False)]


def _joined(parts: Sequence[Lines]) -> Lines:
    """Those that are not empty, with an empty line between them."""
    page: Lines = []
    for part in filter(None, parts):
        page += [[], *part] if page else part
    return page
