"""What a project has chosen for its checks: [tool.gradproof] in its pyproject.toml."""

__all__ = ["Config", "load_config", "nearest"]

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from pathlib import Path
from typing import Any

from gradproof.backend import unknown
from gradproof.options import Options

FILE = "pyproject.toml"
TABLE = "[tool.gradproof]"


@dataclass(frozen=True, slots=True)
class Config:
    """The choices of one file; None where it makes none."""

    origin: Path | None = None
    """The file, if there is one."""
    sources: tuple[str, ...] | None = None
    resolution: float | None = None
    seed: int | None = None
    confidence: float | None = None
    leaf: tuple[str, ...] | None = None
    """Globs of the leaves that are checked."""
    verbosity: int | None = None


def nearest(*folders: Path) -> Path | None:
    """The first pyproject.toml in one of `folders` or above it, the first of them that has one."""
    for folder in map(Path.resolve, folders):
        for place in (folder, *folder.parents):
            if (place / FILE).is_file():
                return place / FILE
    return None


def load_config(file: Path | None) -> Config:
    """The choices in `file`; none, if there is no file or it has no such table.

    Raises ValueError for a file that is not TOML, an unknown key, and a value of the wrong type or out of range.
    """
    if file is None:
        return Config()
    try:
        read = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise ValueError(f"{file} cannot be read: {error}") from None
    table = read.get("tool", {}).get("gradproof")
    if table is None:
        return Config()
    try:
        return _admitted(table, file)
    except ValueError as error:
        raise ValueError(f"{file}, {TABLE}: {error}") from None


def _admitted(table: Any, file: Path) -> Config:
    if not isinstance(table, Mapping):
        raise ValueError(f"due: a table of {', '.join(_KEYS)}; got {table!r}")
    given: dict[str, Any] = {}
    for name, value in table.items():
        if name not in _KEYS:
            raise ValueError(unknown("key", name, _KEYS))
        fits, due = _KINDS[name]
        if not fits(value):
            raise ValueError(f"{name} is {due}; got {value!r}")
        given[name] = value
    _admit_ranges(given)
    if isinstance(given.get("leaf"), str):
        given["leaf"] = [given["leaf"]]
    frozen: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    return Config(file, **frozen)


def _admit_ranges(given: Mapping[str, Any]) -> None:
    """What the engine would refuse is refused here, where the file can be named."""
    Options((), given.get("resolution"), given.get("confidence", 0.5), given.get("seed", 0))


def _is_number(x: Any) -> bool:
    return isinstance(x, Real) and not isinstance(x, bool)


def _is_whole(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)


def _are_names(x: Any) -> bool:
    return isinstance(x, list) and bool(x) and all(isinstance(name, str) and name for name in x)


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "sources": (_are_names, 'a list of names, like ["numeric", "hand"]'),
    "resolution": (_is_number, "a number between 0 and 1"),
    "seed": (_is_whole, "a whole number from 0"),
    "confidence": (_is_number, "a number between 0 and 1"),
    "leaf": (lambda x: _are_names(x) or (isinstance(x, str) and bool(x)), 'a glob or a list of them, like "*.bias"'),
    "verbosity": (
        lambda x: _is_whole(x) and x in (0, 1, 2),
        "0 (the answer), 1 (at most 40 lines) or 2 (everything)",
    ),
}  # fmt: skip

_KEYS = tuple(field.name for field in fields(Config) if field.name != "origin")
