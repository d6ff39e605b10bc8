"""`gradproof explain`."""

__all__ = ["run"]

import argparse

from rich.console import Console
from rich.padding import Padding

from gradproof.cli.exits import AGREES
from gradproof.codes import CODES, explain
from gradproof.report.words import Pen


def run(options: argparse.Namespace) -> int:
    """Print a code, or the titles of all. Raises ValueError for one that is not there."""
    console = Console(highlight=False)
    pen = Pen(console.encoding)
    if options.code is None:
        for code in CODES.values():
            console.print(pen.text(f"{code.code}  {code.title}"))
        return AGREES
    code = explain(options.code)
    console.print(pen.text(f"{code.code}  {code.title}", "bold"))
    for label, words in (("", code.means), ("Usual cause: ", code.causes), ("What to do: ", code.remedy)):
        console.print(Padding(pen.text(label, "dim") + pen.text(words), (1, 0, 0, 0)))
    return AGREES
