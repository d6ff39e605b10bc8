"""A Sweep in the terminal: a row per problem and axis, every case that does not agree, the counts."""

__all__ = ["render"]

import shutil
import sys
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from gradproof.report.words import Pen, in_words
from gradproof.verdict import Verdict

if TYPE_CHECKING:
    from gradproof.sweeping.record import Sweep, Swept

MOST_ROWS, MOST_CASES = 12, 12
"""With the answer, all of it stays within 40 lines of 80 columns."""


def render(sweep: "Sweep", width: int | None = None) -> str:
    """`sweep` as plain text, `width` columns wide (default: the terminal's), for the encoding of standard output."""
    columns = width or shutil.get_terminal_size((100, 24)).columns
    file = StringIO()
    console = Console(
        file=file, width=columns, no_color=True, force_terminal=False, force_jupyter=False, highlight=False
    )
    pen = Pen(getattr(sys.stdout, "encoding", None) or "utf-8")
    _print(sweep, console, pen)
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().splitlines())


def _print(sweep: "Sweep", console: Console, pen: Pen) -> None:
    console.print(_table(sweep, pen))
    rest = [swept for swept in sweep if swept.verdict is not Verdict.AGREES]
    for swept in rest[:MOST_CASES]:
        console.print(pen.one_line(_line(swept), "yellow", console.width))
    if len(rest) > MOST_CASES:
        console.print(pen.text(f"{len(rest) - MOST_CASES} more that do not agree", "dim"))
    counted = ", ".join(f"{count} {verdict.value}" for verdict, count in sorted(
        sweep.counts.items(), key=lambda item: -item[1]))  # fmt: skip
    seconds = sum(swept.seconds for swept in sweep)
    console.print(
        pen.mark(sweep.verdict, f"{sweep.verdict.value}  {len(sweep)} checks: {counted}; {seconds:.3g} s")
    )


def _table(sweep: "Sweep", pen: Pen) -> Table:
    """Problems with most trouble first."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    met = [verdict for verdict in Verdict if verdict in sweep.counts]
    for header in ("problem", "checks", *(verdict.value for verdict in met)):
        least = None if header == "problem" else len(header)
        table.add_column(pen.spelled(header), no_wrap=True, overflow="ellipsis", min_width=least)
    names = list(dict.fromkeys(swept.case.problem for swept in sweep))
    of = {name: sweep.of(problem=name) for name in names}
    names.sort(key=lambda name: of[name].counts.get(Verdict.AGREES, 0) - len(of[name]))
    for name in names[:MOST_ROWS]:
        counts = [str(of[name].counts.get(verdict, 0) or "") for verdict in met]
        table.add_row(pen.text(name), str(len(of[name])), *counts)
    if len(names) > MOST_ROWS:
        table.add_row(pen.text(f"{len(names) - MOST_ROWS} more", "dim"))
    return table


def _line(swept: "Swept") -> str:
    report = swept.report
    if report is None:
        return f"{swept.case}  {(swept.error or '').splitlines()[0]}"
    said = [report.verdict.value, in_words(report.reason), report.detail]
    if report.odd_one_out:
        said.append(f"odd one out: {report.odd_one_out}")
    if report.diagnoses:
        said.append(f"{report.diagnoses[0].code} {', '.join(report.diagnoses[0].leaves)}")
    return f"{swept.case}  {'; '.join(word for word in said if word)}"
