"""What a command writes into files."""

__all__ = ["STDOUT", "write_json", "write_pages"]

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STDOUT = "-"


def write_json(place: str, content: dict[str, Any]) -> None:
    """JSON into a file, or to standard output. Raises ValueError for a file that cannot be written."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    if place == STDOUT:
        sys.stdout.write(text)
        return
    try:
        Path(place).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"--json={place}: {error}") from None


def write_pages(file: Path, reports: Sequence[Any]) -> None:
    """One page into `file`; several beside each other, numbered."""
    for number, report in enumerate(reports, start=1):
        place = file if len(reports) == 1 else file.with_stem(f"{file.stem}-{number}")
        try:
            report.to_html(place)
        except (OSError, ImportError) as error:
            raise ValueError(f"--html={file}: {error}") from None
