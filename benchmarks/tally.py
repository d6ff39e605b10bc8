"""Counts of what became of all claims, by contestant, and the targets they are held against."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from corruptions import LEAF, SIZES, named

AGREES, DISAGREES, UNDECIDED, ERROR = "AGREES", "DISAGREES", "UNDECIDED", "error"

BANDS = ((0.8, "< 0.8"), (1.2, "0.8 .. 1.2"), (16.0, "1.2 .. 16"), (np.inf, "> 16"))
"""Gap in multiples of the stated bar."""

EVALUATIONS = {"probe": "per probe", "agreed": "per agreed check", "refused": "per refusal"}


def _counters() -> defaultdict[str, Counter[str]]:
    return defaultdict(Counter)


@dataclass
class Tally:
    """What one contestant said."""

    right: Counter[str] = field(default_factory=Counter)
    """Of PyTorch's gradient, where nothing is known to be wrong with it."""
    wrong: Counter[str] = field(default_factory=Counter)
    """Of PyTorch's gradient, where it is not the derivative."""
    found: defaultdict[str, Counter[str]] = field(default_factory=_counters)
    """Of claims with a mistake, by mistake, where the right claim was accepted."""
    seconds: float = 0.0
    """Spent on all of these."""

    @property
    def judged(self) -> int:
        """Right claims."""
        return sum(self.right.values())

    def share(self, mistake: str, verdict: str = DISAGREES) -> float:
        """Share of the claims with this mistake on which this was said; NaN if there were none."""
        return _share(self.found.get(mistake, Counter()), verdict)


@dataclass
class Costs:
    """Evaluations that gradproof took, and whether its bars mean what they say."""

    evaluations: dict[str, list[int]] = field(default_factory=lambda: {kind: [] for kind in EVALUATIONS})
    by_excess: defaultdict[str, Counter[str]] = field(default_factory=_counters)

    def add_excess(self, excess: float, verdict: str) -> None:
        """Count a mistaken claim under its gap in multiples of the bar; NaN counts nowhere."""
        if not np.isnan(excess):
            self.by_excess[next(name for limit, name in BANDS if excess <= limit)][verdict] += 1

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean, median, 95 % quantile and maximum of every kind of evaluations."""
        return {
            kind: {
                "mean": float(np.mean(counts)),
                "median": float(np.median(counts)),
                "95 %": float(np.quantile(counts, 0.95)),
                "max": float(max(counts)),
            }
            for kind, counts in self.evaluations.items()
            if counts
        }


class Target(NamedTuple):
    """A figure, what is due, and whether it is reached."""

    text: str
    figure: str
    reached: bool

    def __str__(self) -> str:
        return f"{'PASS' if self.reached else 'FELL SHORT'}: {self.text}: {self.figure}"


class Due(NamedTuple):
    """What is due of one precision."""

    samples: int = 0
    alarms: int | None = None
    undecided: float | None = None
    """Share of the samples."""
    found: tuple[tuple[float, float], ...] = ()
    """Share of the mistakes of kind LEAF to be found, down to a size."""


DUE = {
    "float64": Due(1500, 0, 0.015, ((1e-8, 0.99), (1e-10, 0.98))),
    "float32": Due(1500, 3, 0.05, ((1e-2, 0.98),)),
    "lifted": Due(found=((1e-3, 0.99),)),
}
DUE_EVALUATIONS = (
    ("probe", "mean", 30),
    ("probe", "median", 20),
    ("agreed", "mean", 100),
    ("refused", "mean", 250),
)


def targets(precision: str, ours: Tally, costs: Costs) -> list[Target]:
    """The targets of one precision, as far as anything was measured."""
    return [
        *_of_right_claims(DUE[precision], ours),
        *(_of_mistakes(DUE[precision], ours) if ours.found else ()),
        *(_of_bars(costs) if costs.by_excess else ()),
        *_of_costs(costs.summary()),
    ]


def _of_right_claims(due: Due, ours: Tally) -> Iterator[Target]:
    n, wrong = ours.judged, sum(ours.wrong.values())
    if due.samples:
        yield Target(f"samples with a right gradient ≥ {due.samples:,}", f"{n:,}", n >= due.samples)
    if due.alarms is not None:
        alarms = ours.right[DISAGREES]
        yield Target(f"false alarms ≤ {due.alarms}", str(alarms), alarms <= due.alarms)
    if due.undecided is not None:
        share = _share(ours.right, UNDECIDED)
        figure = f"{ours.right[UNDECIDED]} of {n:,} ({share:.2%})"
        yield Target(f"UNDECIDED ≤ {due.undecided:.1%}", figure, share <= due.undecided)
    errors = ours.right[ERROR] + ours.wrong[ERROR]
    yield Target("no errors", str(errors), not errors)
    if wrong:
        refused = ours.wrong[DISAGREES]
        yield Target("PyTorch's own wrong gradients, all found", f"{refused} of {wrong}", refused == wrong)


def _of_mistakes(due: Due, ours: Tally) -> Iterator[Target]:
    for down_to, share in due.found:
        shares = {size: ours.share(named(LEAF, size)) for size in SIZES if size >= 0.99 * down_to}
        size, least = min(shares.items(), key=lambda item: item[1])
        text = f"one entry off by s × its leaf's scale, found ≥ {share:.0%} for s ≥ {down_to:.0e}"
        yield Target(text, f"{least:.2%} at {size:.0e}", least >= share)


def _of_bars(costs: Costs) -> Iterator[Target]:
    far, near = (costs.by_excess[name] for name in ("> 16", "< 0.8"))
    refused, alarms = _share(far, DISAGREES), _share(near, DISAGREES)
    figure = f"{refused:.2%} of {far.total():,}"
    yield Target("refused ≥ 99.5 % beyond 16 × the stated bar", figure, refused >= 0.995)
    figure = f"{alarms:.2%} of {near.total():,}"
    yield Target("refused ≤ 1 % below 0.8 × the stated bar", figure, not alarms > 0.01)


def _of_costs(summary: dict[str, dict[str, float]]) -> Iterator[Target]:
    for kind, which, limit in DUE_EVALUATIONS:
        if kind in summary:
            figure = summary[kind][which]
            text = f"evaluations {EVALUATIONS[kind]}, {which} ≤ {limit}"
            yield Target(text, f"{figure:.1f}", figure <= limit)


def _share(counts: Counter[str], verdict: str) -> float:
    return counts[verdict] / counts.total() if counts.total() else float("nan")
