"""`gradproof check`."""

__all__ = ["run"]

import argparse
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from gradproof.check import check_problem
from gradproof.cli.exits import AGREES, of_report, worst
from gradproof.cli.running import Asked, Command, Outcome, console_for, each, heading, say_refused
from gradproof.cli.settings import choose
from gradproof.cli.settings import show as show_settings
from gradproof.cli.targets import parse
from gradproof.cli.writing import STDOUT, write_json, write_pages
from gradproof.engine import Workers
from gradproof.progress import CHECK, meter_for
from gradproof.report import Report
from gradproof.report.terminal import show

SCHEMA = 1
"""Version of the layout of --json; a reader that knows another one must not guess."""


def run(options: argparse.Namespace) -> int:
    """Check every Problem in the targets and return the exit code. Raises ValueError for options that do not fit."""
    console = console_for(options)
    if options.show_config:
        return _show_config(options, console)
    _admit(options)
    command = partial(_check, workers=options.workers)
    outcomes = list(each(options, command) if options.json == STDOUT else _shown(options, command, console))
    code = worst(outcome.code for outcome in outcomes)
    if options.html:
        write_pages(Path(options.html), [o.report for o in outcomes if o.report is not None])
    if options.json:
        write_json(
            options.json,
            {"schema": SCHEMA, "exit": code, "checks": [_plain(outcome) for outcome in outcomes]},
        )
    return code


def _show_config(options: argparse.Namespace, console: Console) -> int:
    for text in options.targets:
        if len(options.targets) > 1:
            heading(text, console)
        show_settings(choose(options, parse(text)), console)
    if not options.targets:
        show_settings(choose(options, None), console)
    return AGREES


def _admit(options: argparse.Namespace) -> None:
    """Refuse what could only go wrong after the check."""
    if options.json and (options.json.endswith(".py") or "::" in options.json):
        raise ValueError(
            f"--json took {options.json} for the file to write: put --json last, or write --json=FILE"
        )
    if not options.targets:
        raise ValueError("check needs a TARGET: FILE.py, FILE.py::NAME, module or module:NAME")
    Workers(options.workers).close()  # what nobody could be is refused now
    for name in ("json", "html"):
        given = getattr(options, name)
        if given and given != STDOUT and not Path(given).absolute().parent.is_dir():
            raise ValueError(f"--{name}={given}: there is no folder {Path(given).parent}")


def _check(asked: Asked, workers: Any) -> Outcome:
    settings = asked.settings
    sources = settings.sources(asked.problem)
    with meter_for(True, asked.title, CHECK) as meter:
        report = check_problem(
            asked.problem,
            sources=sources,
            resolution=settings["resolution"],
            confidence=settings["confidence"],
            seed=settings["seed"],
            workers=workers,
            progress=meter,
        )
    return Outcome(asked.label, of_report(report, sources or ()), asked, report)


def _shown(options: argparse.Namespace, command: Command, console: Console) -> Iterator[Outcome]:
    """Every outcome, printed when it is there."""
    verdicts: Counter[str] = Counter()
    for outcome in each(options, command):
        if outcome.asked is not None and outcome.report is not None:
            several = len(options.targets) > 1 or bool(outcome.asked.position)
            _print(outcome.asked, outcome.report, console, several=several)
            say_refused(
                outcome.label, outcome.report, outcome.asked.settings.sources(outcome.asked.problem) or ()
            )
        verdicts["not checked" if outcome.report is None else outcome.report.verdict.value] += 1
        yield outcome
    if verdicts.total() > max(verdicts["not checked"], 1):
        counted = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common() if count)
        heading(f"{verdicts.total()} in all: {counted}", console)


def _print(asked: Asked, report: Report, console: Console, *, several: bool) -> None:
    verbosity = asked.settings["verbosity"]
    if several:
        heading(asked.name, console)
    show(report, console, verbosity)
    if several and verbosity:
        console.print()


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "target": outcome.label,
        "problem": outcome.asked.problem.name if outcome.asked else None,
        "exit": outcome.code,
        "error": outcome.error,
        "report": None if outcome.report is None else outcome.report.to_dict(),
    }
