"""Targets one after the other: each is loaded, its Problems found, and every one handed to a command."""

__all__ = ["Asked", "Command", "Outcome", "console_for", "each", "heading", "say_refused"]

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from gradproof.cli.exits import UNDECIDED, USAGE, refused
from gradproof.cli.failures import told
from gradproof.cli.finding import LOOKED_FOR, find
from gradproof.cli.leaves import only
from gradproof.cli.settings import Settings, choose
from gradproof.cli.targets import Found, Loader, Target, parse
from gradproof.problems import Problem
from gradproof.proving import Proof
from gradproof.report import Report
from gradproof.report.words import Pen, in_words


@dataclass(frozen=True, slots=True)
class Asked:
    """A Problem that was found, in the leaves that were asked for."""

    label: str
    problem: Problem
    settings: Settings
    position: str
    """ "2 of 5", or nothing where there is one."""

    @property
    def title(self) -> str:
        """Label and position."""
        return f"{self.label} ({self.position})" if self.position else self.label

    @property
    def name(self) -> str:
        """Label and, where that says more, the name of the Problem."""
        said = self.problem.name in self.label
        return self.label if said else f"{self.label}: {self.problem.name}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one Problem, or of a target in which none could be had."""

    label: str
    code: int
    asked: Asked | None = None
    report: Report | None = None
    proof: Proof | None = None
    error: str | None = None


Command = Callable[[Asked], Outcome]


def each(options: argparse.Namespace, command: Command) -> Iterator[Outcome]:
    """What `command` makes of every Problem in the targets; what cannot be used is said on standard error."""
    loader = Loader()
    for text in options.targets:
        yield from _of_target(text, loader, options, command)


def _of_target(text: str, loader: Loader, options: argparse.Namespace, command: Command) -> Iterator[Outcome]:
    target: Target | None = None
    try:
        target = parse(text)
        settings = choose(options, target)
        with _aside(options):
            found = _found(target, loader)
    except Exception as error:
        yield _failed(text, error, target)
        return
    if not found:
        message = f"nothing to check. Looked for: {LOOKED_FOR}"
        yield _said(Outcome(text, UNDECIDED, error=message))
    for number, one in enumerate(found, start=1):
        position = f"{number} of {len(found)}" if len(found) > 1 else ""
        yield _of_problem(Asked(one.label, one.problem, settings, position), target, options, command)


def _found(target: Target, loader: Loader) -> list[Found]:
    module = loader.load(target)
    with loader.beside(target):
        return find(module, target)


def _of_problem(asked: Asked, target: Target, options: argparse.Namespace, command: Command) -> Outcome:
    try:
        with _aside(options):
            if globs := asked.settings["leaf"]:
                asked = replace(asked, problem=only(asked.problem, globs))
            return command(asked)
    except Exception as error:  # the one door: whatever a user's function raises is the user's
        return _failed(asked.label, error, target)


def _failed(label: str, error: Exception, target: Target | None) -> Outcome:
    return _said(Outcome(label, USAGE, error=told(error, target.file if target else None)))


def _said(outcome: Outcome) -> Outcome:
    error = str(outcome.error)
    between = ":\n" if "\n" in error else ": "
    named = error if error.startswith(outcome.label) else f"{outcome.label}{between}{error}"
    print(f"gradproof: {named}", file=sys.stderr)
    return outcome


def _aside(options: argparse.Namespace) -> AbstractContextManager[Any]:
    """What user's code prints goes to standard error where standard output is JSON alone."""
    return redirect_stdout(sys.stderr) if getattr(options, "json", None) == "-" else nullcontext()


def say_refused(label: str, report: Report, asked: Sequence[str]) -> None:
    """Name the sources that were asked for and could not be asked, on standard error."""
    for name in refused(report, asked):
        result = report.sources[name]
        why = ": ".join(filter(None, [in_words(result.reason), result.detail]))
        print(
            f"gradproof: {label}: source {name!r} was asked for, and could not be asked: {why}",
            file=sys.stderr,
        )


def console_for(options: argparse.Namespace) -> Console:
    """Of standard output, with the colours that were asked for."""
    if options.no_color:
        return Console(highlight=False, color_system=None)
    return Console(highlight=False)


def heading(words: str, console: Console) -> None:
    """Print what comes next, or what came of all."""
    console.print(Pen(console.encoding).text(words, "bold"), soft_wrap=True)
