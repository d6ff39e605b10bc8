"""A bar on standard error, where the work takes longer than two seconds and somebody watches."""

__all__ = ["Bar"]

import sys
from threading import Lock, Timer
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Display
from rich.table import Column

from gradproof.progress.meter import Progress

DELAY = 2.0
"""Seconds without a bar."""

ROOMY = 80
"""Columns from which on the time that has passed is shown as well."""


class Bar:
    """A listener that draws, while it is open, on a console that is a terminal (default: standard error).

    It vanishes when it is done, and leaves what is printed alone.
    """

    def __init__(self, console: Console | None = None, delay: float = DELAY) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._display = _display(self._console)
        self._lock = Lock()
        self._open = self._visible = False
        self._timer = Timer(delay, self._appear)
        self._timer.daemon = True

    def __call__(self, progress: Progress) -> None:
        """Draw it."""
        with self._lock:
            if not self._open:
                return
            task = self._display.tasks[0]
            self._display.update(task.id, description=progress.label, unit=progress.unit)
            if progress.expected is None:
                task.completed, task.total = progress.done, None  # what remains is not known
            else:
                self._display.update(task.id, completed=progress.done, total=progress.expected)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._open = True
            self._display.add_task("", total=None, unit="")  # its clock starts here
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._open = False
            if self._visible:
                self._display.stop()

    def _appear(self) -> None:
        with self._lock:
            if self._open:
                self._display.start()
                self._visible = True


class _Remaining(ProgressColumn):
    """What remains, in words; nothing where it is not known."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._clock = TimeRemainingColumn(compact=True)

    def render(self, task: Task) -> str:
        """The cell."""
        known = task.total is not None and task.time_remaining is not None
        return f"about {self._clock.render(task)} left" if known else ""


def _display(console: Console) -> Any:
    label = TextColumn(
        "{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
    )
    count = TextColumn("{task.completed:,.0f} {task.fields[unit]}", table_column=Column(no_wrap=True))
    clock = [TimeElapsedColumn()] if console.width >= ROOMY else []
    return Display(
        label, BarColumn(bar_width=12), count, *clock, _Remaining(),
        console=console, transient=True, expand=True, redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip
