"""What `speed.py` is measured against: bounds that were set beforehand, and whether a record reaches them."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from speed_names import BY_HAND, CHECK_GRAD, FAST, OF_ENTRY, OF_LARGEST, OURS, SLOW, STRUCTURED

Row = dict[str, Any]
Record = Mapping[str, Any]
Cases = dict[str, float]


@dataclass(frozen=True)
class Target:
    """A bound on the figures of some cases."""

    text: str
    limit: float
    least: bool
    """Whether the limit is the least that is due; else it is the most."""
    cases: Callable[[Record], Cases] = lambda _: {}

    def holds(self, value: float) -> bool:
        """Whether a case reaches it; NaN does not."""
        return value >= self.limit if self.least else value <= self.limit

    def verdict(self, cases: Cases) -> str:
        """In how many cases it is reached, their median, and the case farthest from it."""
        if not cases:
            return f"{self.text}: not measured"
        reached = sum(self.holds(value) for value in cases.values())
        worst = (min if self.least else max)(cases, key=lambda name: cases[name])
        middle = statistics.median(cases.values())
        return (
            f"{self.text}: reached in {reached} of {len(cases)}; "
            f"median {number(middle)}, worst {number(cases[worst])} ({worst})"
        )


def number(value: float) -> str:
    """Three digits."""
    if value != 0 and not 1e-3 <= abs(value) < 1e7:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def beyond(row: Row, factor: float) -> float:
    """Seconds that a check takes beyond so many times the cheapest peer's whole call; nothing below it."""
    return max(0.0, row[OURS] - factor * min(row["seconds"].values()))


def targets(record: Record) -> Iterator[str]:
    """All of them, judged."""
    return (target.verdict(target.cases(record)) for target in TARGETS)


def _at(record: Record, section: str, size: int | None = None) -> Iterable[Row]:
    rows: Iterable[Row] = record.get(section, ())
    return (row for row in rows if size in (None, row["parameters"]))


def _named(row: Row) -> str:
    return f"{row['parameters']:,}"


def _ratio(record: Record, section: str, size: int | None, other: str) -> Cases:
    return {_named(row): row["ratio"][other] for row in _at(record, section, size)}


def _beyond(record: Record) -> Cases:
    return {_named(row): beyond(row, 2) for row in _at(record, "right", 38)}


def _found(record: Record, kind: str) -> Cases:
    return {
        f"{row['trials']} entries": row["shares"][OURS][kind]["1e-05"] for row in _at(record, "found", 10_285)
    }


def _of_faults(record: Record, what: str) -> Cases:
    return {f"{row['fault']}, {_named(row)}": row[what] for row in _at(record, "diagnosed")}


def _batched(record: Record, size: int) -> Cases:
    return {
        name: ratio
        for row in _at(record, "whole", size)
        for name, ratio in row["ratio"].items()
        if name not in (STRUCTURED, BY_HAND)
    }


def _differences(record: Record) -> Cases:
    return {
        f"{name}, {_named(row)}": difference
        for row in _at(record, "whole")
        for name, difference in row["difference"].items()
    }


def _peaks(record: Record) -> Cases:
    return {_named(row): row["peak"] for row in _at(record, "memory")}


def _faster(size: int, section: str, limit: float, other: str, text: str) -> Target:
    return Target(
        text, limit, least=True, cases=partial(_ratio, section=section, size=size or None, other=other)
    )


_RIGHT, _WHOLE = "right gradient accepted at", "whole gradient at"
TARGETS = (
    _faster(10_285, "right", 250, SLOW, f"{_RIGHT} 10,285 parameters: ≥ 250 × as fast as {SLOW}"),
    _faster(10_285, "right", 90, CHECK_GRAD, f"{_RIGHT} 10,285: ≥ 90 × as fast as {CHECK_GRAD}"),
    _faster(101_770, "right", 2_500, SLOW, f"{_RIGHT} 101,770: ≥ 2,500 × as fast as {SLOW}"),
    Target(
        f"{_RIGHT} 38: ≤ 20 ms beyond 2 × the cheapest peer's call; seconds beyond", 0.02, False, _beyond
    ),
    *(
        Target(
            f"any entry off by 1e-5 {kind} found at 10,285: the share", 1.0, True, partial(_found, kind=kind)
        )
        for kind in (OF_ENTRY, OF_LARGEST)
    ),
    _faster(0, "named", 200, FAST, f"an entry 1e-3 off named: ≥ 200 × as fast as {FAST} with its fallback"),
    *(
        Target(
            f"verdict, place, diagnosis of a wrong gradient: ≤ 3 × the plain check, {what}",
            3.0, False, partial(_of_faults, what=what),
        )
        for what in ("time", "evaluations")
    ),
    Target(f"{_WHOLE} 38, batched: ≥ 10 × as fast as the loop", 10.0, True, partial(_batched, size=38)),
    Target(f"{_WHOLE} 785, batched: ≥ 2 × as fast as the loop", 2.0, True, partial(_batched, size=785)),
    _faster(10_285, "whole", 25, STRUCTURED, f"{_WHOLE} 10,285, structured: ≥ 25 × as fast as the loop"),
    _faster(101_770, "whole", 150, STRUCTURED, f"{_WHOLE} 101,770, structured: ≥ 150 × as fast as the loop"),
    Target("whole gradients equal the loop's to 1e-9 of the largest entry", 1e-9, False, _differences),
    Target("peak memory of a check: ≤ 6 copies of the parameters and one block", 6.0, False, _peaks),
)  # fmt: skip
