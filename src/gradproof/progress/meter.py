"""What is counted while a call runs, and who is told.

Listeners are told in the thread that made the call. The bar is one of them: it is drawn on standard error, if that is a
terminal, once two seconds have passed.
"""

__all__ = ["CHECK", "PROOF", "Listener", "Meter", "Progress", "meter_for"]

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from time import perf_counter
from types import TracebackType
from typing import Any, NamedTuple, Self

from gradproof.problems import Problem

CHECK, PROOF = 60, 15_000
"""Evaluations that are expected. A right gradient of the package's own problems takes 42 to 60, and a proof of six
of them 8,800 to 18,800, whatever the number of parameters; a wrong one takes more, and then nothing is estimated."""

BETWEEN = 0.1
"""Seconds between two reports to a listener; the first and the last are always made."""


class Progress(NamedTuple):
    """What a listener is told."""

    label: str
    done: int
    expected: int | None
    """None once more was done than had been expected."""
    unit: str
    """ "evaluations", "parameters", "checks" or "rounds"."""
    elapsed: float
    """Seconds."""
    before: int = 0
    """Of what is done, so much was done before the clock started."""

    @property
    def remaining(self) -> float | None:
        """Seconds that are left, if the rest goes on like this; None where that is not known."""
        now = self.done - self.before
        if self.expected is None or not now:
            return None if self.expected != self.done else 0.0
        return self.elapsed / now * (self.expected - self.done)


Listener = Callable[[Progress], Any]


class Meter:
    """Counts, and tells its listener while it is open: `with Meter(...) as meter: meter.add()`.

    What the listener raises ends the call that is counted.
    """

    def __init__(
        self, label: str, expected: int, listener: Listener | None = None, *, unit: str = "evaluations"
    ) -> None:
        self.count = 0
        self.expected = expected
        self.label = label
        self.unit = unit
        self._listener = listener
        self._before = 0
        self._start = perf_counter()
        self._told = -1.0

    def add(self, number: int = 1) -> None:
        """So much more is done."""
        self.count += number
        if perf_counter() - self._told >= BETWEEN:
            self._tell()

    def skip(self, number: int) -> None:
        """So much was done already, in no time of this call."""
        self._before += number
        self.add(number)

    def watched(self, problem: Problem) -> Problem:
        """`problem`, each of whose evaluations counts."""
        fun = problem.fun
        if isinstance(fun, Mapping):
            return replace(problem, fun={name: self._counted(f) for name, f in fun.items()})
        return replace(problem, fun=self._counted(fun))

    def __enter__(self) -> Self:
        self._start = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._tell()

    @property
    def progress(self) -> Progress:
        """As of now."""
        known = self.expected if self.count <= self.expected else None
        return Progress(self.label, self.count, known, self.unit, perf_counter() - self._start, self._before)

    def _tell(self) -> None:
        self._told = perf_counter()
        if self._listener is not None:
            self._listener(self.progress)

    def _counted(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(fun):
            return fun  # the check says what is wrong with it

        @wraps(fun)
        def counted(*args: Any) -> Any:
            self.add()
            return fun(*args)

        return counted


@contextmanager
def meter_for(
    progress: bool | Listener | Meter | None, label: str, expected: int, unit: str = "evaluations"
) -> Iterator[Meter]:
    """A meter, open inside: for a bar (True), a listener, none (None, False), or one that is open already.

    Raises TypeError for anything else.
    """
    if isinstance(progress, Meter):
        yield progress
        return
    if progress is True:
        from gradproof.progress.bar import Bar  # noqa: PLC0415 -- loads rich

        with Bar() as bar, Meter(label, expected, bar, unit=unit) as meter:
            yield meter
        return
    if progress not in (None, False) and not callable(progress):
        raise TypeError(
            f"progress is a {type(progress).__name__}; due: True for a bar, or a callable that is given a Progress"
        )
    with Meter(label, expected, progress or None, unit=unit) as meter:
        yield meter
