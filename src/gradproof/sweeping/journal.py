"""A file to which a sweep adds a line for every case it has finished, and from which it goes on."""

__all__ = ["Journal", "entries"]

import json
import os
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from gradproof.sweeping.record import FORMAT, VERSION, Swept, as_line, header

SYNC_SECONDS = 0.2
"""Between two waits for the disk, which take 4 ms: only a crash of the whole machine loses lines that were not waited for."""


class Journal:
    """A journal, open for more lines. Each is handed to the system before the next case is waited for, and on the disk soon after.

    A last line that was torn by a crash is dropped. Raises ValueError for a file that is something else: nothing is
    written into it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self.entries = entries(self._path) if self._path.exists() else []
        """What it held when it was opened."""
        whole = _whole_lines(self._path) if self._path.exists() else b""
        self._synced = 0.0
        self._file = self._path.open("ab")
        self._file.truncate(len(whole))
        if not whole:
            self._write(header())

    def add(self, swept: Swept) -> None:
        """One more line."""
        self._write(as_line(swept))

    def _write(self, line: str) -> None:
        self._file.write(f"{line}\n".encode())
        self._file.flush()
        if perf_counter() - self._synced > SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sync()
        self._file.close()


def entries(path: Path) -> list[Swept]:
    """What a journal holds. A last line without its end is left out.

    Raises ValueError, with the number of the line, for what is not one.
    """
    lines = _whole_lines(path).decode("utf-8", errors="replace").splitlines()
    if not lines and path.stat().st_size:
        raise ValueError(f"{path} is no journal of a sweep: it has no whole line")
    for number, line in enumerate(lines[:1], start=1):
        _admit_header(path, number, line)
    return [_entry(path, number, line) for number, line in enumerate(lines[1:], start=2)]


def _whole_lines(path: Path) -> bytes:
    data = path.read_bytes()
    return data[: data.rfind(b"\n") + 1]


def _admit_header(path: Path, number: int, line: str) -> None:
    read = _json(path, number, line)
    if not isinstance(read, dict) or read.get("format") != FORMAT:
        raise ValueError(
            f"{path} is no journal of a sweep: its first line is {line[:60]!r}. Name another file"
        )
    if read.get("version") != VERSION:
        raise ValueError(
            f"{path} is a journal of version {read.get('version')!r}, this gradproof reads {VERSION}"
        )


def _entry(path: Path, number: int, line: str) -> Swept:
    try:
        return Swept.from_dict(_json(path, number, line))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}, line {number}: no entry of a sweep ({error})") from None


def _json(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no journal of a sweep: line {number} is no JSON ({error})") from None
