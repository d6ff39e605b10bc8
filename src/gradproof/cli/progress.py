"""Evaluations, counted as they happen; a bar on standard error where the work takes longer than two seconds."""

__all__ = ["CHECK", "PROOF", "Meter"]

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from threading import Lock, Timer
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from gradproof.problems import Problem

CHECK, PROOF = 110, 15_000
"""Evaluations that are expected. A right gradient of the package's own problems takes 74 to 110, and a proof of six
of them 8,800 to 18,800, whatever the number of parameters; a wrong one takes more, and then nothing is estimated."""

DELAY = 2.0
"""Seconds without a bar."""

ROOMY = 80
"""Columns from which on the time that has passed is shown as well."""


class Meter:
    """Counts evaluations of Problems, and shows them while it is open: `with Meter(...) as meter`."""

    def __init__(
        self, label: str, expected: int, *, console: Console | None = None, delay: float = DELAY
    ) -> None:
        """Counts towards `expected`. Without a console that is a terminal (default: standard error), nothing is shown."""
        self.count = 0
        self._expected = expected
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._label = label
        self._lock = Lock()
        self._progress = _bar(self._console)
        self._open = self._visible = False
        self._timer = Timer(delay, self._appear)
        self._timer.daemon = True

    def watched(self, problem: Problem) -> Problem:
        """`problem`, each of whose evaluations counts."""
        fun = problem.fun
        if isinstance(fun, Mapping):
            return replace(problem, fun={name: self._counted(f) for name, f in fun.items()})
        return replace(problem, fun=self._counted(fun))

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._open = True
            self._progress.add_task(self._label, total=self._expected)  # its clock starts here
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._open = False
            if self._visible:
                self._progress.stop()

    def _counted(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(fun):
            return fun  # the check says what is wrong with it

        @wraps(fun)
        def counted(*args: Any) -> Any:
            self.count += 1
            if self._visible:
                self._show()
            return fun(*args)

        return counted

    def _appear(self) -> None:
        with self._lock:
            if self._open:
                self._show()
                self._progress.start()
                self._visible = True

    def _show(self) -> None:
        task = self._progress.tasks[0]
        if self.count < self._expected:
            self._progress.update(task.id, completed=self.count)
        else:
            task.completed, task.total = self.count, None  # more than was expected: what remains is not known


class _Remaining(ProgressColumn):
    """What remains, in words; nothing where it is not known."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._clock = TimeRemainingColumn(compact=True)

    def render(self, task: Task) -> str:
        """The cell."""
        known = task.total is not None and task.time_remaining is not None
        return f"about {self._clock.render(task)} left" if known else ""


def _bar(console: Console) -> Progress:
    """It vanishes when it is done, and leaves what is printed alone."""
    label = TextColumn(
        "{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
    )
    count = TextColumn("{task.completed:,.0f} evaluations", table_column=Column(no_wrap=True))
    clock = [TimeElapsedColumn()] if console.width >= ROOMY else []
    return Progress(
        label, BarColumn(bar_width=12), count, *clock, _Remaining(),
        console=console, transient=True, expand=True, redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip
