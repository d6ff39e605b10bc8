"""The stages of a comparison in a terminal: a line for each, a column for each port."""

__all__ = ["stage_sheet"]

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from gradproof.porting.record import PortReport
from gradproof.porting.report.sheets import Cell, sheet
from gradproof.porting.report.stages import STAGES, Stage, cell, every_stage, stages
from gradproof.porting.report.words import Ink
from gradproof.report.words import SEVERITY
from gradproof.verdict import Verdict

_STYLES = {Verdict.DISAGREES: "bold red", Verdict.UNDECIDED: "yellow", Verdict.UNSUPPORTED: "dim"}


def stage_sheet(report: PortReport, ink: Ink, width: int, agreeing: bool = True) -> Iterator[Text]:
    """Every stage; where `agreeing` is False, those in which all ports agree share a line."""
    found = {name: stages(compared) for name, compared in report.compared.items()}
    every = every_stage(list(found.values()))
    if not every:
        return
    good = [] if agreeing else [what for what in every if _verdict(what, found) is Verdict.AGREES]
    shown = [what for what in every if what not in good]
    if shown:
        heads = [Cell("stage", "dim"), *(Cell(name, "dim") for name in found)]
        choices = [
            [heads, *([Cell(STAGES.get(what, what)), *_cells(ink, what, found, far)] for what in shown)]
            for far in (True, False)
        ]
        yield from sheet(ink, width, choices, elastic=range(len(found) + 1))
    if good:
        yield ink.mark(Verdict.AGREES, ", ".join(STAGES.get(what, what) for what in good))


def _verdict(what: str, found: Mapping[str, Mapping[str, Stage]]) -> Verdict:
    return max((each[what].verdict for each in found.values() if what in each), key=SEVERITY.index)


def _cells(ink: Ink, what: str, found: Mapping[str, Mapping[str, Stage]], far: bool) -> Sequence[Cell]:
    return [_cell(ink, each.get(what), far) for each in found.values()]


def _cell(ink: Ink, stage: Stage | None, far: bool) -> Cell:
    if stage is None:
        return Cell("–", "dim")
    count, times = cell(stage)
    words = f"{ink.mark(stage.verdict).plain} {count}"
    bar = f"  {times}{' bar' * times.endswith('×')}" if times and far else ""
    return Cell(words + bar, _STYLES.get(stage.verdict, ""))
