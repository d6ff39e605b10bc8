"""All checks of one test run: what is said of them at the end, and a file for each."""

__all__ = ["Summary", "without_reports"]

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from gradproof.testing.checker import FULL, SHORT

Properties = Iterable[tuple[str, Any]]

MOST_NAMED, MOST_SLOW = 10, 3
"""Checks that did not agree, and slow ones, that are named at the end of a run."""

MOST_CHARACTERS = 120
"""Of a test's name in the name of a file: no file system takes more than 255 bytes."""


class Summary:
    """What was checked in one run; `folder` is where a file for each check goes, if one was asked for."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def add(self, test: str, properties: Properties) -> None:
        """Keep the checks of a test, by its node id, in place of those of an earlier run of it."""
        pairs = list(properties)
        self._rows[test] = [json.loads(value) for name, value in pairs if name == SHORT]
        if self._folder is not None:
            reports = [json.loads(value) for name, value in pairs if name == FULL]
            self._write(self._folder, test, reports)

    def _write(self, folder: Path, test: str, reports: Sequence[Any]) -> None:
        for number, (row, report) in enumerate(zip(self._rows[test], reports, strict=True), start=1):
            content = {"test": test, **row, "report": report}
            text = json.dumps(content, indent=2, allow_nan=False)
            (folder / file_name(test, number)).write_text(text + "\n", encoding="utf-8")

    def lines(self, *, brief: bool = False) -> Iterator[str]:
        """What is said at the end: `brief` is the first line only."""
        rows = [(test, row) for test, rows in self._rows.items() for row in rows]
        counted = Counter(row["verdict"] for _, row in rows)
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counted.most_common())
        evaluations = sum(row["evaluations"] for _, row in rows)
        seconds = sum(row["seconds"] for _, row in rows)
        many = "check" if len(rows) == 1 else "checks"
        yield f"{len(rows)} {many}: {verdicts}; {evaluations:,} evaluations in {seconds:.2f} s"
        if not brief:
            yield from _worth_naming(rows)
            yield from _slowest(rows)


def without_reports(properties: Properties) -> list[tuple[str, Any]]:
    """`properties` without whole reports: they are for files, and too long for JUnit and other plugins."""
    return [(name, value) for name, value in properties if name != FULL]


def file_name(test: str, number: int) -> str:
    """Name of the file for a test's check: letters, digits, dots and dashes, and another one for every node id."""
    safe = re.sub(r"[^A-Za-z0-9_.]+", "-", test).strip(".-")[-MOST_CHARACTERS:].lstrip(".-")
    digest = blake2b(test.encode("utf-8", "backslashreplace"), digest_size=4).hexdigest()
    return f"{safe}-{digest}-{number}.json"


def _worth_naming(rows: Sequence[tuple[str, Any]]) -> Iterator[str]:
    """Checks that do not agree, or that a source was missing from."""
    named = [(test, row) for test, row in rows if row["verdict"] != "AGREES" or not row["passed"]]
    for test, row in named[:MOST_NAMED]:
        reason = (row["reason"] or "").lower().replace("_", " ")
        allowed = f"let through: {row['allowed']}" if row["allowed"] else ""
        missing = ", ".join(n for n, v in row["sources"].items() if v == "UNSUPPORTED" and not row["passed"])
        why = [reason, allowed, f"could not be asked: {missing}" if missing else ""]
        yield "  ".join(filter(None, [row["verdict"], test, row["check"], "; ".join(filter(None, why))]))
    if len(named) > MOST_NAMED:
        yield f"and {len(named) - MOST_NAMED} more that do not agree"


def _slowest(rows: Sequence[tuple[str, Any]]) -> Iterator[str]:
    slow = sorted(rows, key=lambda row: -row[1]["seconds"])[:MOST_SLOW]
    yield "slowest:"
    for test, row in slow:
        yield f"{row['seconds']:8.2f} s {row['evaluations']:8,} evaluations  {test}  {row['check']}"
