"""A Proof in the terminal: what shows in which leaf, the mistakes that were not caught, the blind spots, the answer."""

__all__ = ["render", "show"]

import shutil
import sys
from collections.abc import Iterator
from io import StringIO
from math import inf
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from gradproof.proving.record import Outcome
from gradproof.report.words import Pen
from gradproof.verdict import Verdict

if TYPE_CHECKING:
    from gradproof.proving.record import Proof

MOST_LEAVES, MOST_TRIALS, MOST_SPOTS = 8, 6, 6
"""Shown of each; with three lines for a blind spot, all of it stays within 40 lines of 80 columns."""


def render(proof: "Proof", width: int | None = None) -> str:
    """`proof` as plain text, `width` columns wide (default: the terminal's), for the encoding of standard output."""
    columns = width or shutil.get_terminal_size((100, 24)).columns
    file = StringIO()
    console = Console(
        file=file, width=columns, no_color=True, force_terminal=False, force_jupyter=False, highlight=False
    )
    _print(proof, console, Pen(getattr(sys.stdout, "encoding", None) or "utf-8"))
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().splitlines())


def show(proof: "Proof", console: Console) -> None:
    """Print `proof` on a rich console, with its colours."""
    _print(proof, console, Pen(console.encoding))


def _print(proof: "Proof", console: Console, pen: Pen) -> None:
    for part in _parts(proof, pen, console.width):
        console.print(part)
    console.print(_answer(proof, pen))


def _parts(proof: "Proof", pen: Pen, width: int) -> Iterator[RenderableType]:
    if proof.verdict is Verdict.AGREES:
        yield _leaf_table(proof, pen)
        yield Text()
    elif proof.report.reason:
        yield pen.text(f"the claim itself is not proven: {proof.report.reason.value}")
    uncaught = [trial for trial in proof.trials if trial.outcome is not Outcome.CAUGHT]
    for trial in uncaught[:MOST_TRIALS]:
        why = f": {trial.reason.value}" if trial.reason else ""
        yield pen.one_line(f"{trial.fault}  {trial.outcome.value}{why}", "yellow", width)
    yield from _rest(len(uncaught) - MOST_TRIALS, "planted mistakes that were not caught", pen)
    for spot in proof.blind_spots[:MOST_SPOTS]:
        yield pen.text(f"blind spot: {spot}", "yellow")
    yield from _rest(len(proof.blind_spots) - MOST_SPOTS, "blind spots", pen)
    if proof.better_point is not None:
        yield pen.text(
            "more can show at Proof.better_point, where every parameter is moved by a share of its size"
        )


def _rest(count: int, of_what: str, pen: Pen) -> Iterator[Text]:
    if count > 0:
        yield pen.text(f"{count} more {of_what}", "dim")


def _leaf_table(proof: "Proof", pen: Pen) -> Table:
    """The leaves in which errors show least, the worst last."""
    leaves = sorted(proof.report.leaves, key=lambda path: proof.smallest.get(path, inf))
    hidden = len(leaves) - MOST_LEAVES
    seen = "smallest error seen" + (f" ({hidden} more leaves show smaller ones)" if hidden > 0 else "")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header in ("leaf", "shape", seen):
        table.add_column(pen.spelled(header), no_wrap=True, overflow="ellipsis")
    for path in leaves[-MOST_LEAVES:]:
        error = f"{proof.smallest[path]:.1e} of itself" if path in proof.smallest else "none"
        table.add_row(pen.text(path), str(proof.report.leaves[path][0]), error)
    return table


def _answer(proof: "Proof", pen: Pen) -> Text:
    count = len(proof.blind_spots)
    spots = f"{count} blind spot{'' if count == 1 else 's'}"
    if proof.verdict is not Verdict.AGREES:
        return pen.mark(proof.verdict, f"{proof.verdict.value}  nothing was planted; {spots}")
    sound = proof.trials and proof.caught == len(proof.trials)
    words = (
        f"{proof.verdict.value}  {proof.caught} of {len(proof.trials)} planted mistakes were caught; {spots}"
    )
    return pen.mark(Verdict.AGREES if sound else Verdict.UNDECIDED, words)
