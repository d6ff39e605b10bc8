"""The two trees side by side in a terminal."""

__all__ = ["tree_sheet"]

from collections.abc import Iterator, Sequence

from rich.text import Text

from gradproof.porting.record import Compared
from gradproof.porting.report.sheets import Cell, Sheet, sheet
from gradproof.porting.report.tree import Line, tree_lines
from gradproof.porting.report.words import HERE, MARKS, Ink, multiple, shape_of

INDENT = 2


def tree_sheet(
    compared: Compared, reference: str, ink: Ink, width: int, *, most: int, neighbours: bool, fold: bool
) -> Iterator[Text]:
    """A line for every node, the reference's name left and the port's right; folded runs have one line."""
    lines = tree_lines(compared, most, neighbours, fold)
    words = ("fwd", "bwd", reference, compared.port, "shape", "", *(("" if fold else "× bar"),) * 2)
    heads = [Cell(word, "dim") for word in words]

    def table(columns: Sequence[int], *, both: bool = True, kinds: bool = True) -> Sheet:
        rows = [heads, *(_row(line, both=both, kinds=kinds, numbers=not fold) for line in lines)]
        return [[row[at] for at in columns] for row in rows]

    small = (0, 1, 2, 3, 5)
    choices = [
        table(range(8)), table(range(6)), table(small), table(small, kinds=False), table(small, both=False, kinds=False),
    ]  # fmt: skip
    yield from sheet(ink, width, choices, elastic=(2, 3))


def _row(line: Line, *, both: bool, kinds: bool, numbers: bool) -> list[Cell]:
    bold = "bold red" if line.note.startswith(HERE) else "dim" if line.folded else ""
    there = line.other if both or line.other != line.label else ""
    shape = line.shape if line.shape is not None else line.other_shape
    return [
        Cell(f" {MARKS[line.forward][0]}", MARKS[line.forward][1]),
        Cell(f" {MARKS[line.backward][0]}", MARKS[line.backward][1]),
        Cell(_name(line.depth, line.label, line.kind if kinds else ""), bold),
        Cell(_name(line.depth, there, line.other_kind if kinds else ""), bold),
        Cell("" if shape is None else shape_of(shape)),
        Cell(line.note, bold),
        *(Cell(multiple(times) if numbers else "") for times in line.excess),
    ]


def _name(depth: int, label: str, kind: str) -> str:
    return f"{' ' * INDENT * depth}{label}{f'  {kind}' if kind else ''}" if label else ""
