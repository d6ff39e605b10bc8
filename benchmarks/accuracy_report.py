"""What the readings of `accuracy.py` come to: one line per family, totals against the targets, the violations."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from families import Family

TARGETS = {"float64": 0.998, "float32": 0.995}
"""Share of decided points whose bar has to hold, by precision."""
EASY = ("elementary", "composed")
SHARPNESS = 1e-11
"""Median relative bar that is due on easy functions in float64."""


@dataclass(frozen=True)
class Reading:
    """The slope at one point."""

    index: int
    reason: str
    """Why it is undecided; empty if it is decided."""
    value: float
    bar: float
    error: float
    """Distance from the true slope; from the farther of the two one-sided ones."""
    truth: float
    evaluations: int

    @property
    def decided(self) -> bool:
        """Whether the slope can be used."""
        return not self.reason

    @property
    def held(self) -> bool:
        """Whether the bar covers the error."""
        return self.error <= self.bar

    @property
    def excess(self) -> float:
        """Error in multiples of the bar."""
        return 0.0 if self.error == 0 else self.error / self.bar if self.bar > 0 else np.inf

    @property
    def sharpness(self) -> float:
        """The bar relative to the true slope; NaN where that is zero."""
        return self.bar / abs(self.truth) if self.truth else np.nan


Result = tuple[Family, list[Reading]]


@dataclass(frozen=True)
class Summary:
    """What a number of readings come to."""

    points: int
    decided: int
    held: int
    worst: float
    """Largest error in multiples of the bar, among the decided."""
    reasons: dict[str, int]
    """How many are undecided, and why; the most frequent first."""
    wide: int
    """Undecided for resolution alone, and the wide bar does not hold."""
    sharpness: tuple[float, float]
    """Median and 90 % of the relative bar, among the decided."""
    evaluations: tuple[float, float, float]
    """Mean, median and 95 %."""

    @property
    def coverage(self) -> float:
        """Share of the decided whose bar held."""
        return self.held / self.decided if self.decided else np.nan


def summary(readings: Iterable[Reading]) -> Summary:
    """Counts and quantiles."""
    all_of_them = list(readings)
    decided = [r for r in all_of_them if r.decided]
    sharpness = [r.sharpness for r in decided if np.isfinite(r.sharpness)] or [np.nan]
    calls = [r.evaluations for r in all_of_them] or [0]
    return Summary(
        points=len(all_of_them),
        decided=len(decided),
        held=sum(r.held for r in decided),
        worst=max((r.excess for r in decided), default=0.0),
        reasons=dict(Counter(r.reason for r in all_of_them if r.reason).most_common()),
        wide=sum(map(_wide, all_of_them)),
        sharpness=(float(np.median(sharpness)), float(np.quantile(sharpness, 0.9))),
        evaluations=(float(np.mean(calls)), float(np.median(calls)), float(np.quantile(calls, 0.95))),
    )


def _wide(r: Reading) -> bool:
    return r.reason == "resolution" and not r.held


def row(item: Family, readings: list[Reading]) -> dict[str, Any]:
    """A family's figures, for the record."""
    found = asdict(summary(readings))
    violations = [asdict(r) for r in readings if r.decided and not r.held]
    wide = [r.index for r in readings if _wide(r)]
    about = {"name": item.name, "class": item.kind, "half": item.half, "precision": item.precision}
    return about | {"function": item.formula} | found | {"violations": violations, "wide violations": wide}


def plain(item: Family, readings: list[Reading]) -> str:
    """One line on the terminal."""
    s = summary(readings)
    violated = f"VIOLATED {s.decided - s.held} (worst {s.worst:.2g})" if s.held < s.decided else ""
    wide = f", {s.wide} wide bars do not hold" if s.wide else ""
    return (
        f"{item.kind:15s} {item.name:34s} {item.half} held {s.held:3d}/{s.decided:3d} of {s.points} "
        f"bar {s.sharpness[0]:.0e} {s.sharpness[1]:.0e} calls {s.evaluations[0]:3.0f} {s.evaluations[1]:3.0f}  "
        f"{violated} {_reasons(s)}{wide}"
    )


def document(results: list[Result], heading: str, record: str) -> str:
    """The Markdown page."""
    lines = [
        "# Accuracy of the numeric source's bars\n",
        "A slope from function values alone comes as value ± bar; here the true slope is known. *Held* counts the decided",
        "points at which |value − truth| ≤ bar. *Undecided* are those where the source itself says that it has no usable",
        f"slope, or a bar wider than 1e−3 of it (half of it in half precision). {heading}",
        f"Written by `benchmarks/accuracy.py`; the figures are in `{record}`.",
        "",
        "The figures to quote are half B's: the estimator's constants were chosen on functions such as those of half A.",
        "A *wide bar violated* is one that decides nothing, wider than the resolution, and does not even hold.",
        "",
        *("- " + line for half in "BA" for line in _verdicts(half, results)),
        "",
        *_totals(results),
        "",
    ]
    for kind in dict.fromkeys(item.kind for item, _ in results):
        lines += [f"## {kind}", "", *_table([result for result in results if result[0].kind == kind]), ""]
    return "\n".join([*lines, "## Violations", "", *_violations(results), ""])


def _verdicts(half: str, every_half: list[Result]) -> Iterator[str]:
    results = [result for result in every_half if result[0].half == half]
    for precision, target in TARGETS.items():
        s = summary(r for item, readings in results if item.precision == precision for r in readings)
        if s.points:
            word = "PASS" if s.coverage >= target else "FELL SHORT"
            yield (
                f"half {half}, {precision}: the bar held at {s.held} of {s.decided} decided points, {s.coverage:.3%} "
                f"(due: {target:.1%}): {word}"
            )
    easy = summary(r for item, readings in results if item.kind in EASY for r in readings)
    if easy.decided:
        word = "PASS" if easy.sharpness[0] <= SHARPNESS else "FELL SHORT"
        yield f"half {half}, easy functions ({', '.join(EASY)}): median relative bar {easy.sharpness[0]:.1e} (due: {SHARPNESS:.0e}): {word}"


def _totals(results: list[Result]) -> Iterator[str]:
    yield "| half | precision | points | decided | held | share | worst error/bar | undecided, why | wide bars violated | bar/slope median, 90 % | evaluations mean, median, 95 % |"
    yield "|---|---|--:|--:|--:|--:|--:|---|--:|--:|--:|"
    for half in "BA":
        for precision in dict.fromkeys(item.precision for item, _ in results):
            s = summary(
                r for i, readings in results if (i.half, i.precision) == (half, precision) for r in readings
            )
            if s.points:
                yield (
                    f"| {half} | {precision} | {s.points} | {s.decided} | {s.held} | {s.coverage:.3%} | {s.worst:.2g} | "
                    f"{_reasons(s)} | {s.wide} | {s.sharpness[0]:.1e}, {s.sharpness[1]:.1e} | "
                    f"{s.evaluations[0]:.0f}, {s.evaluations[1]:.0f}, {s.evaluations[2]:.0f} |"
                )


def _table(results: list[Result]) -> Iterator[str]:
    yield "| family | half | function | held / decided / points | worst error/bar | undecided, why | wide bars violated | bar/slope median, 90 % | evaluations mean, median |"
    yield "|---|---|---|--:|--:|---|--:|--:|--:|"
    for item, readings in results:
        s = summary(readings)
        yield (
            f"| {item.name} | {item.half} | {item.formula.replace('|', chr(92) + '|')} | "
            f"{s.held} / {s.decided} / {s.points} | {s.worst:.2g} | {_reasons(s)} | {s.wide or ''} | "
            f"{s.sharpness[0]:.0e}, {s.sharpness[1]:.0e} | {s.evaluations[0]:.0f}, {s.evaluations[1]:.0f} |"
        )


def _violations(results: list[Result]) -> Iterator[str]:
    """Those of decided points, each with what reproduces it."""
    found = [(item, r) for item, readings in results for r in readings if r.decided and not r.held]
    if not found:
        yield "None."
        return
    yield "| family | half | index | error/bar | bar/slope | slope | true slope |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for item, r in found:
        yield (
            f"| {item.name} | {item.half} | {r.index} | {r.excess:.3g} | {r.sharpness:.1e} | "
            f"{r.value:.17g} | {r.truth:.17g} |"
        )


def _reasons(s: Summary) -> str:
    return ", ".join(f"{name} {count}" for name, count in s.reasons.items())
