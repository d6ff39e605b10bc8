"""`gradproof diff`."""

__all__ = ["run"]

import argparse
import json
from pathlib import Path

from rich.console import Console

from gradproof.cli.exits import AGREES, DISAGREES
from gradproof.report import Report
from gradproof.report.difference import diff
from gradproof.report.words import Pen


def run(options: argparse.Namespace) -> int:
    """Print what changed between two files of reports. Raises ValueError for a file that holds none."""
    console = Console(highlight=False)
    before, after = _read(options.before), _read(options.after)
    pen, worse = Pen(console.encoding), False
    for label in dict.fromkeys([*before, *after]):
        if label not in before or label not in after:
            there = options.before if label in before else options.after
            console.print(pen.text(f"{label}: only in {there}"), soft_wrap=True)
            continue
        found = diff(before[label], after[label])
        worse |= found.worse
        for line in ([f"{label}:"] if len(before) > 1 else []) + str(found).splitlines():
            console.print(pen.text(line), soft_wrap=True)
    return DISAGREES if worse else AGREES


def _read(path: str) -> dict[str, Report]:
    """The reports in a file that `check --json` or `Report.to_json` wrote, by target."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    checks = content.get("checks") if isinstance(content, dict) else None
    listed = [{"target": "the report", "report": content}] if checks is None else checks
    try:
        reports = {
            str(check["target"]): Report.from_json(json.dumps(check["report"]))
            for check in listed if check["report"] is not None
        }  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not reports:
        raise ValueError(f"{path} holds no report: nothing was checked when it was written")
    return reports
