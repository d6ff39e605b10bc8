"""Leaves on the HTML page: the table of all, and a section for every wrong one."""

__all__ = ["Room", "leaf_table", "sections"]

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradproof.codes import CODES
from gradproof.report.causes import title
from gradproof.report.html_charts import chart
from gradproof.report.html_maps import map_of
from gradproof.report.leaves import cell
from gradproof.report.plots_contrast import contrast
from gradproof.report.record import ProbeSummary
from gradproof.report.view import CONTRACTS, Order
from gradproof.report.words import (
    SEVERITY,
    Pen,
    clipped,
    digits,
    finite,
    in_words,
    relative,
    with_bar,
)
from gradproof.verdict import Diagnosis, Finding, Location, Verdict

PEN = Pen()

MOST_PAIRS = 6
"""Pairs of sources that have a column of their own."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much a page holds."""

    leaves: int = 1000
    """Rows of the table."""
    sections: int = 24
    numbers: int = 40_000
    """In maps, as doubles."""
    entries: int = 8
    """Of a wrong leaf, with their values."""
    charts: int = 3
    """Of one leaf."""
    findings: int = 400
    characters: int = 1200
    """Of one text."""

    def halved(self) -> "Room":
        """The same with half of everything; a little of each stays."""
        return Room(
            self.leaves // 2 + 1, self.sections // 2 + 1, self.numbers // 2, self.entries // 2 + 1,
            self.charts // 2 + 1, self.findings // 2, self.characters // 2 + 60,
        )  # fmt: skip


def leaf_table(order: Order, room: Room) -> dict[str, Any]:
    """Heads and rows, the worst first, and how many are left out."""
    pairs = _pairs(order)
    shown = order.leaves[::-1][: room.leaves]
    wrong = {path: at for at, path in enumerate(order.wrong[::-1])}
    return {
        "heads": [" ~ ".join(pair) for pair in pairs],
        "rows": [{**_row(order, path, pairs), **_state(order, path, wrong, room)} for path in shown],
        "hidden": len(order.leaves) - len(shown),
        "total": len(order.leaves),
    }


def _row(order: Order, path: str, pairs: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    shape, dtype = order.report.leaves[path]
    found = order.findings.get(path, [])
    return {
        "shape": str(shape), "dtype": dtype, "size": math.prod(shape),
        "excess": max((finite(f.excess) for f in found if math.isfinite(f.gap)), default=math.nan),
        "cells": [_cell([f for f in found if set(f.sources) == set(pair)]) for pair in pairs],
    }  # fmt: skip


def _state(order: Order, path: str, wrong: Mapping[str, int], room: Room) -> dict[str, Any]:
    """The verdict on a leaf, None if nothing looked at it, and the number of its section if it has one."""
    found = [f.verdict for f in order.findings.get(path, [])]
    at = wrong.get(path)
    return {
        "path": clipped(path, room.characters),
        "verdict": max(found, key=SEVERITY.index, default=None) if at is None else Verdict.DISAGREES,
        "section": at if at is not None and at < room.sections else None,
    }


def _cell(found: list[Finding]) -> dict[str, Any] | None:
    if not found:
        return None
    worst = max(found, key=lambda f: (SEVERITY.index(f.verdict), finite(f.excess)))
    rank = SEVERITY.index(worst.verdict)
    size = worst.gap if worst.verdict is Verdict.DISAGREES else worst.bar
    share = size / worst.scale if worst.scale > 0 and math.isfinite(size) else 0.0
    return {
        "verdict": worst.verdict, "text": cell(PEN, found).plain.partition(" ")[2],
        "sort": 1000 * rank + (400 + math.log10(share) if share > 0 else 0),
    }  # fmt: skip


def _pairs(order: Order) -> list[tuple[str, ...]]:
    """Pairs that are compared leaf by leaf, those with the claim if there are any."""
    report = order.report
    found = {frozenset(f.sources): f.sources for f in report.findings if f.leaf in report.leaves}
    every = [pair for pair in found.values() if len(pair) == 2]
    claimed = [
        (report.claim, *(n for n in pair if n != report.claim)) for pair in every if report.claim in pair
    ]
    return [tuple(map(str, pair)) for pair in claimed or every][:MOST_PAIRS]


# Wrong leaves


def sections(order: Order, room: Room) -> Iterator[dict[str, Any]]:
    """What is told of every wrong leaf, the worst first."""
    numbers = room.numbers
    for at, path in enumerate(order.wrong[::-1][: room.sections]):
        drawn = _map(order, path, numbers)
        numbers -= drawn.numbers if drawn else 0
        shape, dtype = order.report.leaves[path]
        yield {
            "number": at, "path": clipped(path, room.characters), "shape": str(shape), "dtype": dtype,
            "facts": _facts(order, path),
            "diagnoses": [told(d, room) for d in order.simplest if order.alone(d) == path],
            "others": [told(d, room) for d in order.others if order.alone(d) == path][:3],
            "shared": [title(d) for d in order.simplest if order.alone(d) is None and path in order.covered(d)],
            "values": _values(order, path, room),
            "contracts": _contracts(order, path, room),
            "map": drawn,
            "charts": [
                drawing
                for probe in order.report.probes
                if isinstance(probe, ProbeSummary) and probe.leaf == path and (drawing := chart(probe))
            ][: room.charts],
        }  # fmt: skip


def told(diagnosis: Diagnosis, room: Room) -> dict[str, Any]:
    """A diagnosis with all that its code stands for."""
    code = CODES.get(diagnosis.code)
    says = diagnosis.says
    sentence = says if says.startswith(diagnosis.source) else f"{diagnosis.source} {says}"
    fitted = with_bar(diagnosis.value, diagnosis.bar, 8, "") if math.isfinite(diagnosis.value) else ""
    return {
        "code": diagnosis.code, "title": code.title if code else "", "says": clipped(sentence, room.characters),
        "correction": diagnosis.correction, "fitted": "" if "±" in says else fitted,
        "named": "" if diagnosis.named == f"{diagnosis.value:g}" else diagnosis.named,
        "explained": [("What it looks like", code.means), ("Usual cause", code.causes), ("What to do", code.remedy)]
        if code else [],
        "leaves": len(diagnosis.leaves),
    }  # fmt: skip


def _map(order: Order, path: str, numbers: int) -> Any:
    drawn = contrast(order, path)
    if drawn is None or not len(drawn.indices):
        return None
    made = map_of(drawn, order.gradients(path))
    return made if made.numbers <= numbers else None


def _facts(order: Order, path: str) -> list[str]:
    """Who is wrong where, and by how much."""
    size = math.prod(order.report.leaves[path][0])
    places = order.locations.get(path, [])
    facts = [f"{place.source}: {_where(place, size)}" for place in places]
    refuted = [
        f for f in order.findings.get(path, []) if f.verdict is Verdict.DISAGREES and math.isfinite(f.gap)
    ]
    if refuted:
        worst = max(refuted, key=lambda f: finite(f.excess))
        facts.append(f"{' ~ '.join(worst.sources)} differ by {worst.excess:.1e} × the bar")
        facts.append(f"off by {relative(worst.gap, worst.scale)} of its scale")
    return facts


def _where(place: Location, size: int) -> str:
    if place.count is not None:
        return f"{place.where or place.pattern} ({place.count} of {size})"
    share = "" if "%" in place.where else f"about {100 * place.share:.2g} % "
    return f"{place.where or place.pattern} ({share}of {size})"


def _contracts(order: Order, path: str, room: Room) -> list[str]:
    """Contracts that are broken; not those of which a diagnosis tells."""
    told_already = [d.says for d in order.simplest if path in order.covered(d)]
    return [
        f"{' ~ '.join(f.sources)}: "
        + clipped(": ".join(filter(None, [in_words(f.reason), f.detail])), room.characters)
        for f in order.findings.get(path, [])
        if f.what in CONTRACTS
        and f.verdict is Verdict.DISAGREES
        and not any(in_words(f.reason) in says for says in told_already)
    ][:3]


def _values(order: Order, path: str, room: Room) -> dict[str, Any] | None:
    """Every source's value at the worst entries; along a random direction where no entry was found."""
    rows = _entries(order, path, room)
    if not rows:
        rows = [
            ("along a random direction", f.values, dict.fromkeys(f.values, f.bar))
            for f in order.findings.get(path, [])
            if f.verdict is Verdict.DISAGREES and f.values
        ][:1]
    names = [
        n for n in (order.report.claim, *order.report.sources, "right") if any(n in row[1] for row in rows)
    ]
    if not rows:
        return None
    return {
        "heads": [name for name in dict.fromkeys(names) if name],
        "rows": [_shown(label, values, bars) for label, values, bars in rows],
    }


def _shown(label: str, values: Mapping[str, float], bars: Mapping[str, float]) -> dict[str, Any]:
    known = [v for v in values.values() if math.isfinite(v)]
    gap = max(known) - min(known) if known else math.nan
    significant = digits(gap, max(map(abs, known), default=1.0))
    bar = {name: f"±{bars[name]:.1e}" for name in values if math.isfinite(bars.get(name, math.nan))}
    return {
        "label": label, "bars": bar, "gap": f"{gap:.2e}",
        "values": {name: f"{value:+#.{significant}g}" for name, value in values.items()},
    }  # fmt: skip


_Row = tuple[str, dict[str, float], dict[str, float]]
"""Label, value of every source, and bars."""


def _entries(order: Order, path: str, room: Room) -> list[_Row]:
    found = [f for f in order.findings.get(path, []) if f.worst is not None]
    rows: dict[tuple[int, ...], _Row] = {}
    for place in order.locations.get(path, []):
        for index, error, bar in zip(place.entries, place.errors, place.bars, strict=False):
            if len(rows) < room.entries and index not in rows:
                rows[index] = _at(order, path, index, found)
                _add_right(rows[index], place, index, error, bar)
    worst = [f for f in found if f.verdict is Verdict.DISAGREES]
    if not rows and worst:
        index = max(worst, key=lambda f: finite(f.excess)).worst or ()
        rows[index] = _at(order, path, index, found)
    return list(rows.values())


def _at(order: Order, path: str, index: tuple[int, ...], found: list[Finding]) -> _Row:
    values: dict[str, float] = {}
    for name, leaf in order.gradients(path).items():
        values[name] = float(leaf[index])
    bars: dict[str, float] = {}
    for finding in found:
        if finding.worst == index:
            for name, value in finding.values.items():
                values.setdefault(name, value)
                bars[name] = min(bars.get(name, math.inf), finding.bar)
    return str(list(index)) if index else "value", values, bars


def _add_right(row: _Row, place: Location, index: tuple[int, ...], error: float, bar: float) -> None:
    """What function values found there, or else the claim less its error, where nothing else tells what is right."""
    _, values, bars = row
    if index == place.entries[0] and math.isfinite(place.numeric):
        values["numeric"], bars["numeric"] = place.numeric, place.numeric_bar
    elif set(values) == {place.source} and math.isfinite(error):
        values["numeric" if place.evaluations else "right"] = values[place.source] - error
        bars["numeric" if place.evaluations else "right"] = bar
