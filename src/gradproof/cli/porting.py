"""`gradproof port`."""

__all__ = ["run"]

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from gradproof.cli.exits import AGREES, DISAGREES, MISSING, UNDECIDED, USAGE, worst
from gradproof.cli.failures import told
from gradproof.cli.port_targets import LOOKED_FOR, find_ports
from gradproof.cli.running import console_for, heading
from gradproof.cli.settings import choose
from gradproof.cli.targets import Loader, Target, parse
from gradproof.cli.writing import STDOUT, write_json, write_pages
from gradproof.porting.port import NotRunnableError
from gradproof.porting.problem import PortProblem
from gradproof.porting.record import PortReport
from gradproof.porting.report.terminal import show
from gradproof.verdict import Verdict

SCHEMA = 1
"""Version of the layout of --json; a reader that knows another one must not guess."""

RECORDED = (".npz", ".safetensors")
"""Endings of files that `record` writes."""

FRAMEWORKS = ("equinox", "flax", "jax", "optax", "safetensors", "torch")
"""Packages without which a port cannot be had."""

_CODES = {
    Verdict.AGREES: AGREES,
    Verdict.DISAGREES: DISAGREES,
    Verdict.UNDECIDED: UNDECIDED,
    Verdict.UNSUPPORTED: MISSING,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one comparison, or of a target in which none could be had."""

    label: str
    code: int
    report: PortReport | None = None
    error: str | None = None


def run(options: argparse.Namespace) -> int:
    """Compare the ports in every target and return the exit code. Raises ValueError for options that do not fit."""
    _admit(options)
    console = console_for(options)
    outcomes = []
    for outcome in _each(options):
        outcomes.append(outcome)
        if outcome.report is not None and options.json != STDOUT:
            _print(outcome, outcome.report, options, console)
    code = worst(outcome.code for outcome in outcomes)
    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    if options.html:
        write_pages(Path(options.html), reports)
    if options.layout:
        _write_layouts(Path(options.layout), reports)
    if options.json:
        write_json(
            options.json,
            {"schema": SCHEMA, "exit": code, "ports": [_plain(outcome) for outcome in outcomes]},
        )
    return code


def _admit(options: argparse.Namespace) -> None:
    """Refuse what could only go wrong after the comparison."""
    for name in ("json", "html", "layout"):
        given = getattr(options, name)
        if given and (given.endswith((".py", *RECORDED)) or "::" in given):
            raise ValueError(
                f"--{name} took {given} for the file to write: put --{name} last, or write --{name}=FILE"
            )
        if given and given != STDOUT and not Path(given).absolute().parent.is_dir():
            raise ValueError(f"--{name}={given}: there is no folder {Path(given).parent}")
    if not options.targets:
        raise ValueError(
            "port needs a TARGET: FILE.py, FILE.py::NAME, module, module:NAME, or two files of gradproof.record"
        )
    recorded = [target.endswith(RECORDED) for target in options.targets]
    if any(recorded) and not (all(recorded) and len(recorded) > 1):
        raise ValueError("recorded ports are compared with each other: gradproof port A.npz B.npz")


# What is compared


def _each(options: argparse.Namespace) -> Iterator[Outcome]:
    """What came of every target; what cannot be used is said on standard error."""
    if options.targets[0].endswith(RECORDED):
        yield _outcome(" ".join(options.targets), None, options, partial(_of_files, options))
        return
    loader = Loader()
    for text in options.targets:
        yield from _of_target(text, loader, options)


def _of_target(text: str, loader: Loader, options: argparse.Namespace) -> Iterator[Outcome]:
    target: Target | None = None
    try:
        target = parse(text)
        seed = choose(options, target)["seed"]
        with _aside(options):
            module = loader.load(target)
            with loader.beside(target):
                found = find_ports(module, target)
    except Exception as error:
        yield _failed(text, error, target)
        return
    if not found:
        yield _said(Outcome(text, UNDECIDED, error=f"nothing to compare. Looked for: {LOOKED_FOR}"))
    for one in found:
        yield _outcome(one.label, target, options, partial(_of_problem, one.problem, options, seed))


def _outcome(
    label: str, target: Target | None, options: argparse.Namespace, compared: Callable[[], PortReport]
) -> Outcome:
    try:
        with _aside(options):
            report = compared()
    except Exception as error:  # the one door: whatever a user's network raises is the user's
        return _failed(label, error, target)
    return Outcome(label, _CODES[report.verdict], report)


def _of_problem(problem: PortProblem, options: argparse.Namespace, seed: int) -> PortReport:
    from gradproof.porting.compare import compare  # noqa: PLC0415 -- usage errors do without

    return compare(
        problem.ports,
        problem.inputs,
        targets=problem.targets,
        reference=options.reference or problem.reference,
        layout=problem.layout,
        optimizers=problem.optimizers,
        ignore=problem.ignore,
        numeric=options.numeric,
        seed=seed,
        progress=True,
    )


def _of_files(options: argparse.Namespace) -> PortReport:
    from gradproof.porting.recording.files import compare_files  # noqa: PLC0415 -- usage errors do without

    return compare_files(
        *options.targets,
        reference=options.reference,
        numeric=options.numeric,
        seed=choose(options, None)["seed"],
        progress=True,
    )


def _failed(label: str, error: Exception, target: Target | None) -> Outcome:
    missing = _missing(error)
    if missing:
        return _said(Outcome(label, MISSING, error=missing))
    if isinstance(error, NotRunnableError):
        return _said(Outcome(label, UNDECIDED, error=str(error)))
    return _said(Outcome(label, USAGE, error=told(error, target.file if target else None)))


def _missing(error: BaseException | None) -> str:
    """Which framework is not there, if that is what went wrong."""
    said = ""
    while error is not None:
        if (
            isinstance(error, ModuleNotFoundError)
            and (name := (error.name or "").partition(".")[0]) in FRAMEWORKS
        ):
            return said or f"{name} is not installed: pip install {name}"
        said = str(error) if isinstance(error, ImportError) else said
        error = error.__cause__
    return ""


def _said(outcome: Outcome) -> Outcome:
    error = str(outcome.error)
    between = ":\n" if "\n" in error else ": "
    print(f"gradproof: {outcome.label}{between}{error}", file=sys.stderr)
    return outcome


def _aside(options: argparse.Namespace) -> AbstractContextManager[Any]:
    """What user's code prints goes to standard error where standard output is JSON alone."""
    return redirect_stdout(sys.stderr) if options.json == STDOUT else nullcontext()


# What is written


def _print(outcome: Outcome, report: PortReport, options: argparse.Namespace, console: Console) -> None:
    several = len(options.targets) > 1 and not options.targets[0].endswith(RECORDED)
    if several:
        heading(outcome.label, console)
    show(report, console, 1 if options.verbosity is None else options.verbosity)
    if several:
        console.print()


def _write_layouts(file: Path, reports: Sequence[PortReport]) -> None:
    """The layout of the only port into `file`; several beside each other, numbered, in the order of the ports."""
    layouts = [compared.layout for report in reports for compared in report.compared.values()]
    for number, layout in enumerate(layouts, start=1):
        place = file if len(layouts) == 1 else file.with_stem(f"{file.stem}-{number}")
        try:
            place.write_text(layout.to_json(), encoding="utf-8")
        except OSError as error:
            raise ValueError(f"--layout={file}: {error}") from None


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "target": outcome.label,
        "exit": outcome.code,
        "error": outcome.error,
        "report": None if outcome.report is None else outcome.report.to_dict(),
    }
