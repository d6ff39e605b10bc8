"""The choices of one target: command line, then the nearest pyproject.toml, then the default."""

__all__ = ["Setting", "Settings", "choose", "show"]

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gradproof.cli.targets import Target
from gradproof.config import Config, load_config, nearest
from gradproof.problems import Problem
from gradproof.report.words import Pen

COMMAND_LINE, DEFAULT = "command line", "default"

_DEFAULTS: Mapping[str, Any] = {
    "sources": None, "resolution": None, "seed": 0, "confidence": 0.999, "leaf": None, "verbosity": 1,
}  # fmt: skip

_SAID = {"sources": "all that are installed", "resolution": "by dtype, 0.001 in float64", "leaf": "all"}
"""What a default of None stands for."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and where it comes from."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Every choice, by name."""

    by_name: Mapping[str, Setting]

    def __getitem__(self, name: str) -> Any:
        return self.by_name[name].value

    def sources(self, problem: Problem) -> list[str] | None:
        """Who is asked: "hand" wherever there is a claim. Named in a file, for many problems, it is left out elsewhere."""
        chosen: Sequence[str] | None = self["sources"]
        if chosen is None:
            return None
        claimed = bool(problem.claims())
        typed = self.by_name["sources"].origin == COMMAND_LINE
        others = [name for name in chosen if name != "hand"]
        return [*others, "hand"] if claimed or (typed and "hand" in chosen) else others


def choose(options: argparse.Namespace, target: Target | None) -> Settings:
    """Settings for a target; None for the current folder. Raises ValueError for a file that cannot be read or used."""
    folders = [Path.cwd()] if target is None else [target.folder, Path.cwd()]
    config = load_config(nearest(*folders))
    return Settings({name: _setting(name, options, config) for name in _DEFAULTS})


def _setting(name: str, options: argparse.Namespace, config: Config) -> Setting:
    given, written = getattr(options, name), getattr(config, name)
    if given is not None:
        return Setting(given, COMMAND_LINE)
    if written is not None:
        return Setting(written, str(config.origin))
    return Setting(_DEFAULTS[name], DEFAULT)


def show(settings: Settings, console: Console) -> None:
    """Print every choice with its origin."""
    pen = Pen(console.encoding)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for name, setting in settings.by_name.items():
        table.add_row(*map(pen.text, (name, _in_words(name, setting.value), setting.origin)))
    console.print(table)


def _in_words(name: str, value: Any) -> str:
    if value is None:
        return _SAID[name]
    return ", ".join(value) if isinstance(value, list | tuple) else f"{value}"
