"""Error against step, for one probe: where the points and lines of the chart on the page lie."""

__all__ = ["Chart", "Claimed", "Line", "chart"]

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gradproof.report.record import ProbeSummary
from gradproof.report.words import in_words

WIDTH, HEIGHT = 420, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 40
"""Margins, with room for the labels of the ticks."""

LEAST = 1e-320
"""No error is drawn smaller: a logarithm needs one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A tick or a horizontal line."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """How far the slope by one source lies from the slope of the values."""

    name: str
    slope: float
    error: float
    beyond: bool
    """Whether it is off by more than the bar."""
    at: float


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart, in units of its view box."""

    title: str
    says: str
    """What it shows, in words."""
    points: tuple[tuple[float, float], ...]
    labels: tuple[str, ...]
    """Step and error of each point."""
    bar: float
    """Height of the bar."""
    claims: tuple[Claimed, ...]
    across: tuple[Line, ...]
    """Ticks of the steps."""
    up: tuple[Line, ...]
    """Ticks of the errors."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True)
class _Axis:
    """Decades, from `low` to `high`, on the way from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, size: float) -> float:
        share = (math.log10(max(size, LEAST)) - self.low) / (self.high - self.low)
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)

    def ticks(self, most: int) -> tuple[Line, ...]:
        every = max(1, math.ceil((self.high - self.low) / most))
        first = math.ceil(self.low / every) * every
        return tuple(
            Line(self.at(10.0**power), f"1e{power}")
            for power in range(first, math.floor(self.high) + 1, every)
        )


def chart(probe: ProbeSummary) -> Chart | None:
    """The chart of `probe`; None where no slope was found along it."""
    errors = [
        (step, abs(slope - probe.value)) for step, slope in zip(probe.steps, probe.slopes, strict=False)
    ]
    errors = [(step, error) for step, error in errors if math.isfinite(error)]
    if len(errors) < 2 or not math.isfinite(probe.bar):
        return None
    off = {name: abs(slope - probe.value) for name, slope in probe.claims.items()}
    down = _axis([e for _, e in errors] + [probe.bar, *off.values()], HEIGHT - BOTTOM, TOP)
    across = _axis([step for step, _ in errors], LEFT, WIDTH - RIGHT)
    return Chart(
        title=probe.name,
        says=_says(probe, errors),
        points=tuple((across.at(step), down.at(error)) for step, error in errors),
        labels=tuple(f"step {step:.2g}: off by {error:.2g}" for step, error in errors),
        bar=down.at(probe.bar),
        claims=tuple(
            Claimed(name, probe.claims[name], error, not error <= probe.bar, down.at(error))
            for name, error in off.items()
        ),
        across=across.ticks(6),
        up=down.ticks(6),
    )


def _axis(sizes: Sequence[float], start: float, end: float) -> _Axis:
    logs = [math.log10(size) for size in sizes if LEAST < size < math.inf] or [0.0]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    return _Axis(low, max(high, low + 1), start, end)


def _says(probe: ProbeSummary, errors: Sequence[tuple[float, float]]) -> str:
    step, least = min(errors, key=lambda pair: pair[1])
    nearest = (
        f"comes nearest to it with a step of {step:.1e}: {least:.1e} off"
        if least > 0
        else "can be exact here"
    )
    words = f"The slope is {probe.value:.6g} ± {probe.bar:.1e}. A single central difference {nearest}."
    words += f" {in_words(probe.doubt)}." if probe.doubt else ""
    return words + (" The function has a kink along this direction." if probe.kink else "")
