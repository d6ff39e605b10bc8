"""A Report as one HTML page: from its JSON data alone, without anything from elsewhere, readable without scripts."""

__all__ = ["page"]

import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from gradproof.report.ending import again, answer, remarks
from gradproof.report.html_charts import chart
from gradproof.report.html_leaves import Room, leaf_table, sections, told
from gradproof.report.html_page import assets, fitted, template
from gradproof.report.record import ProbeSummary, Report
from gradproof.report.schema_reader import from_plain
from gradproof.report.view import CONTRACTS, EVERYTHING, Order, View
from gradproof.report.words import SEVERITY, Pen, clipped, in_short, in_words
from gradproof.verdict import Finding, Verdict

if TYPE_CHECKING:
    from jinja2 import Template

PEN = Pen()

_WIDE = 10**6
"""Columns of a terminal in which no line is ever broken."""


def page(data: Mapping[str, Any]) -> str:
    """The page of a report's `to_dict`. Raises ImportError where Jinja2 is missing, ValueError for other data."""
    made, report = _template(), from_plain(data)
    return fitted(lambda room: made.render(**_model(report, room), **assets()), Room())


@cache
def _template() -> "Template":
    return template("gradproof.report", "report.html", PEN.spelled, Verdict=Verdict)


def _model(report: Report, room: Room) -> dict[str, Any]:
    """All that the template shows, the worst first."""
    order = Order(report)
    view = View(order, PEN, _WIDE, EVERYTHING)
    wrong = list(sections(order, room))
    findings = sorted(report.findings, key=lambda f: SEVERITY.index(f.verdict), reverse=True)
    return {
        "verdict": report.verdict,
        "answer": answer(view).plain.partition("  ")[2],
        "facts": _facts(order),
        "again": next((text.plain.removeprefix("again: ") for text in _texts(again(view))), _call(report)),
        "remarks": _remarks(view, room),
        "wrong": wrong,
        "hidden_wrong": len(order.wrong) - len(wrong),
        "joint": [f"{' ~ '.join(f.sources)} {_gap(f)}" for f in order.joint],
        "shared": [told(d, room) for d in order.simplest if order.alone(d) is None],
        "undiagnosed": report.undiagnosed,
        "notes": [_finding(f, room) for f in order.broken[: room.findings]],
        "table": leaf_table(order, room),
        "sources": list(report.sources.values()),
        "claim": report.claim,
        "certificate": report.certificate,
        "seed": report.seed,
        "resolution": report.resolution,
        "charts": _charts(report),
        "findings": [_finding(f, room) for f in findings[: room.findings]],
        "hidden_findings": max(len(findings) - room.findings, 0),
        "maps": [section["map"].data if section["map"] else None for section in wrong],
        "in_words": in_words,
        "in_short": in_short,
    }


def _remarks(view: View, room: Room) -> list[str]:
    """What is said of all; the certificate has a sentence of its own."""
    said = [clipped(text.plain, room.characters) for text in _texts(remarks(view))]
    return [words for words in said if not words.startswith("the whole gradient is off by")]


def _texts(parts: Any) -> list[Any]:
    return [part for part in parts if hasattr(part, "plain")]


def _call(report: Report) -> str:
    """The line that repeats a check which agreed: the terminal names the seed only."""
    names = ", ".join(f'"{name}"' for name in report.sources)
    return f"check(..., seed={report.seed}, sources=[{names}])"


def _charts(report: Report) -> list[Any]:
    joint = (p for p in report.probes if isinstance(p, ProbeSummary) and p.leaf is None)
    return [drawing for probe in joint if (drawing := chart(probe))]


def _facts(order: Order) -> list[tuple[str, str]]:
    """What is known at a glance: a number, and of what."""
    report = order.report
    facts = [(f"{len(order.wrong)} of {len(report.leaves)}", "leaves wrong")]
    numeric = report.sources.get("numeric")
    if numeric and numeric.calls:
        facts.append((f"{numeric.calls:,}", "function evaluations"))
    excess = [f.excess for f in report.findings if f.verdict is Verdict.DISAGREES and not math.isnan(f.gap)]
    if excess:
        facts.append((f"{max(excess):.1e} ×", "the bar, at worst"))
    if report.certificate and report.certificate.relative < 1:
        facts.append((f"≤ {report.certificate.relative:.1e}", "of the norm, certified"))
    facts.append((f"{report.resolution:g}", "resolution asked for"))
    facts.append((str(report.seed), "seed"))
    return facts


def _gap(finding: Finding) -> str:
    return f"differ by {finding.gap:.1e}, {finding.excess:.1e} × the bar" if finding.gap > 0 else ""


def _finding(finding: Finding, room: Room) -> dict[str, Any]:
    numbers = (finding.gap, finding.bar, finding.scale)
    why = ": ".join(filter(None, [in_words(finding.reason), finding.detail]))
    return {
        "verdict": finding.verdict,
        "what": finding.what,
        "tells": finding.what in CONTRACTS,
        "sources": " ~ ".join(finding.sources),
        "leaf": clipped(finding.leaf or "all leaves", room.characters),
        "worst": "" if finding.worst in (None, ()) else str(list(finding.worst or ())),
        "numbers": ["" if math.isnan(x) else f"{x:.1e}" for x in numbers],
        "why": clipped(why, room.characters),
    }
