"""What was measured: for the record, and as a Markdown page."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from corruptions import ALL, LEAF, ONE, PLAIN, SIZED, SIZES, named
from known import KNOWN
from operators import PRECISIONS
from peers import LARGEST
from tally import AGREES, BANDS, DISAGREES, ERROR, EVALUATIONS, UNDECIDED, Costs, Tally, Target, targets

RIGHT = (
    "checker",
    "samples",
    "accepted",
    "false alarms",
    "undecided",
    "errors",
    "PyTorch's wrong ones found",
)
OURS, SHARED = "gradproof", "gradproof, peers' samples"


@dataclass
class Result:
    """One precision: everything counted, and every sample worth looking at."""

    precision: str
    samples: int
    seed: int
    tallies: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    costs: Costs = field(default_factory=Costs)
    reasons: Counter[str] = field(default_factory=Counter)
    """Of right claims that were not accepted."""
    left_out: Counter[str] = field(default_factory=Counter)
    listed: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    """By sample and kind of mistake, the largest that was not refused."""
    discrepancies: dict[str, str] = field(default_factory=dict)
    """PyTorch's own wrong gradients: evidence by sample."""
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For the record: counts, not samples."""
        return {
            "samples": self.samples,
            "seed": self.seed,
            "seconds": round(self.seconds),
            "tallies": {name: vars(tally) for name, tally in self.tallies.items()},
            "evaluations": self.costs.summary(),
            "by_excess": self.costs.by_excess,
            "targets": [target._asdict() for target in self.targets],
            "reasons": self.reasons,
            "left_out": self.left_out,
            "listed": self.listed,
            "missed": self.missed,
            "discrepancies": self.discrepancies,
        }

    @property
    def targets(self) -> list[Target]:
        """Reached or not."""
        return targets(self.precision, self.tallies[OURS], self.costs)


def section(result: Result) -> str:
    """One precision as Markdown."""
    lines = [
        f"## {result.precision}",
        "",
        f"{PRECISIONS[result.precision].capitalize()}. Up to {result.samples} samples per operator, seed {result.seed}.",
        "",
        *(f"- {target}" for target in result.targets),
        "",
        "### Right claims",
        "",
        *_right_claims(result),
        "",
        "### Mistakes found, % of the samples whose right claim the same checker accepted",
        "",
        *_plain_mistakes(result),
        "",
        *(line for kind in (ONE, ALL, LEAF) for line in _sized_mistakes(result, kind)),
        *_costs(result.costs),
        "",
        "### Samples worth looking at",
        "",
        *(f"- {line}" for line in result.listed),
        "",
        f"Reasons: {_counted(result.reasons)}. Not judged: {_counted(result.left_out)}.",
        "",
    ]
    if result.discrepancies:
        lines += ["PyTorch's own wrong gradients:", ""]
        lines += [f"- {name}: {_why(name)}. {seen}" for name, seen in result.discrepancies.items()] + [""]
    return "\n".join(lines)


def opening(environment: str) -> str:
    """What is measured, and how to read it."""
    return "\n".join([
        "# Faults found and false alarms",
        "",
        "Every differentiable operator of PyTorch's own test database that runs on a CPU, at samples drawn from it, with",
        "PyTorch's gradient as the claim: right as it is, and with one mistake made in it.",
        "",
        f"Peers run at their defaults on one sample of every fourth operator, of at most {LARGEST} parameters and {LARGEST} outputs; the",
        f"row “{SHARED}” is gradproof on exactly these. A false alarm is a refused gradient that is right,",
        "samples with a kink, jump or staircase included: a checker without a third answer cannot say so. “Found” is",
        "refused; once a peer misses a mistake, the smaller ones of its kind count as missed.",
        "",
        "Mistakes: " + "; ".join(f"**{kind}** {text}" for kind, text in (PLAIN | SIZED).items()) + ".",
        "",
        f"Written by `benchmarks/power.py`. {environment}.",
        "",
    ])  # fmt: skip


def _right_claims(result: Result) -> Iterator[str]:
    yield from _head(RIGHT)
    for name, tally in result.tallies.items():
        n, wrong = tally.judged, sum(tally.wrong.values())
        alarms = tally.right[DISAGREES]
        yield _line([
            name, f"{n:,}", f"{tally.right[AGREES]:,}", f"{alarms} ({alarms / max(n, 1):.1%})",
            tally.right[UNDECIDED], tally.right[ERROR] + tally.wrong[ERROR],
            f"{tally.wrong[DISAGREES]} of {wrong}",
        ])  # fmt: skip


def _plain_mistakes(result: Result) -> Iterator[str]:
    yield from _head(["checker", *PLAIN])
    for name, tally in result.tallies.items():
        yield _line([name, *(_percent(tally.share(kind)) for kind in PLAIN)])


def _sized_mistakes(result: Result, kind: str) -> Iterator[str]:
    yield f"**{kind}**: {SIZED[kind]}"
    yield ""
    yield from _head(["checker", *(f"{size:.0e}" for size in SIZES)])
    for name, tally in result.tallies.items():
        yield _line([name, *(_percent(tally.share(named(kind, size))) for size in SIZES)])
    yield ""


def _costs(costs: Costs) -> Iterator[str]:
    yield "### Bars and evaluations of gradproof"
    yield ""
    yield from _head(["gap in multiples of the bar", "claims", "refused", "undecided", "accepted"])
    for _, name in BANDS:
        counts = costs.by_excess[name]
        shares = [f"{counts[v] / max(counts.total(), 1):.2%}" for v in (DISAGREES, UNDECIDED, AGREES)]
        yield _line([name, f"{counts.total():,}", *shares])
    yield ""
    yield from _head(["evaluations", "mean", "median", "95 %", "max"])
    for kind, figures in costs.summary().items():
        yield _line([EVALUATIONS[kind], *(f"{figure:,.0f}" for figure in figures.values())])


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {n}" for what, n in counts.most_common()) or "none"


def _head(cells: Sequence[str]) -> Iterator[str]:
    yield _line(cells)
    yield "|---" + "|--:" * (len(cells) - 1) + "|"


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.1f}"


def _why(name: str) -> str:
    return KNOWN[name.partition("[")[0]]
