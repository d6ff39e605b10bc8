"""`gradproof bench`."""

__all__ = ["run"]

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

from gradproof.bench import Bench, bench
from gradproof.cli.exits import of_report, worst
from gradproof.cli.running import Asked, Outcome, console_for, each
from gradproof.report.words import Pen


def run(options: argparse.Namespace) -> int:
    """Time every Problem in the targets and return the exit code. Raises ValueError without a target."""
    if not options.targets:
        raise ValueError("bench needs a TARGET: FILE.py, FILE.py::NAME, module or module:NAME")
    console, codes = console_for(options), []
    found: list[Bench] = []
    for outcome in each(options, partial(_bench, dtypes=options.dtypes, found=found)):
        codes.append(outcome.code)
        if found and options.json != "-":
            for line in [*str(found[-1]).splitlines(), ""]:
                console.print(Pen(console.encoding).text(line), soft_wrap=True)
    if options.json:
        _write(options.json, found)
    return worst(codes)


def _bench(asked: Asked, dtypes: list[str], found: list[Bench]) -> Outcome:
    sources = asked.settings.sources(asked.problem)
    result = bench(asked.problem, sources=sources, dtypes=dtypes, seed=asked.settings["seed"], progress=True)
    found.append(result)
    return Outcome(asked.label, of_report(result.report, sources or ()), asked)


def _write(file: str, found: list[Bench]) -> None:
    plain: list[dict[str, Any]] = [result.to_dict() for result in found]
    text = json.dumps(plain, indent=2, ensure_ascii=False)
    if file == "-":
        print(text)
    else:
        Path(file).write_text(text + "\n", encoding="utf-8")
