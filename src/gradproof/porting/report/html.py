"""A PortReport as one HTML page: without anything from elsewhere, readable without scripts."""

__all__ = ["page"]

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import isnan
from typing import TYPE_CHECKING, Any

from gradproof.codes import CODES
from gradproof.porting.record import Compared, Mark, PortReport
from gradproof.porting.report.saying import (
    Divergence,
    answer,
    counts,
    described,
    divergences,
    matched,
    numeric_remarks,
    of_port,
    ordered,
)
from gradproof.porting.report.stages import STAGES, cell, every_stage, stages
from gradproof.porting.report.tree import Line, named_row, tree_lines
from gradproof.porting.report.words import HERE, MARKS, Ink, excess, multiple, number, shape_of
from gradproof.report.html_page import assets, fitted, template
from gradproof.report.words import SEVERITY, clipped, in_words, named
from gradproof.verdict import Diagnosis, Finding, Reason, Verdict

if TYPE_CHECKING:
    from jinja2 import Template

INK = Ink()

_TONES = {
    Mark.AGREES: "good", Mark.WRONG: "bad", Mark.CARRIED: "unsure", Mark.UNDECIDED: "unsure", Mark.UNMATCHED: "none",
    Mark.UNSEEN: "none",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Room:
    """How much a page holds."""

    lines: int = 3000
    """Of each tree, those behind folds included."""
    wrong: int = 40
    """Nodes that are unfolded."""
    moves: int = 1000
    findings: int = 400
    helps: int = 24
    names: int = 12
    characters: int = 1200
    """Of one text."""

    def halved(self) -> "Room":
        """The same with half of everything; a little of each stays."""
        return Room(
            self.lines // 2 + 1, self.wrong // 2 + 1, self.moves // 2, self.findings // 2, self.helps // 2 + 1,
            self.names // 2 + 1, self.characters // 2 + 60,
        )  # fmt: skip


def page(report: PortReport) -> str:
    """The page of a report. Raises ImportError where Jinja2 is missing."""
    made, shown = _template(), assets(("gradproof.porting.report", "port.css"))
    return fitted(lambda room: made.render(**_model(report, room), **shown), Room())


@cache
def _template() -> "Template":
    return template("gradproof.porting.report", "port.html", INK.spelled)


def _model(report: PortReport, room: Room) -> dict[str, Any]:
    """All that the template shows, the worst first."""
    every = ordered(report)[::-1]
    found = [(compared.port, finding) for compared in every for finding in compared.findings]
    found.sort(key=lambda pair: SEVERITY.index(pair[1].verdict), reverse=True)
    return {
        "verdict": report.verdict,
        "answer": clipped(answer(report), 4 * room.characters),
        "facts": _facts(report),
        "reference": report.reference,
        "compared": [_compared(report, compared, room, at) for at, compared in enumerate(every)],
        "stages": _stages(every),
        "ports": [described(result) for result in report.ports.values()],
        "numeric": [(verdict, clipped(words, room.characters)) for verdict, words in numeric_remarks(report)],
        "confirmed": [result.name for result in report.ports.values() if result.numeric is Verdict.AGREES],
        "findings": [_finding(finding, room) for _, finding in found[: room.findings]],
        "hidden_findings": max(len(found) - room.findings, 0),
        "seed": report.seed,
    }


def _facts(report: PortReport) -> list[tuple[str, str]]:
    """What is known at a glance: a number, and of what."""
    wrong = sum(compared.verdict is Verdict.DISAGREES for compared in report.compared.values())
    facts = [(f"{wrong} of {len(report.compared)}", f"ports differ from {report.reference}")]
    nodes = {named_row(row) for compared in report.compared.values() for row in compared.rows}
    bad = {
        named_row(row)
        for compared in report.compared.values()
        for row in compared.rows
        if Mark.WRONG in (row.forward, row.backward)
    }
    if nodes:
        facts.append((f"{len(bad)} of {len(nodes)}", "nodes wrong by themselves"))
    times = [
        excess(f) for compared in report.compared.values() for f in compared.findings if not isnan(excess(f))
    ]
    if times:
        facts.append((multiple(max(times)), "the bar, at worst"))
    return [*facts, (str(report.seed), "seed")]


# One port


def _compared(report: PortReport, compared: Compared, room: Room, at: int) -> dict[str, Any]:
    lines, hidden = _bounded([_line(line) for line in tree_lines(compared, room.wrong)], room.lines)
    table = compared.layout.table()
    agrees = compared.verdict is Verdict.AGREES
    why = "" if compared.reason is Reason.DIFFERS else in_words(compared.reason)
    return {
        "at": at,
        "port": clipped(compared.port, room.characters),
        "verdict": compared.verdict,
        "says": _agreement(report, compared) if agrees else clipped(of_port(report, compared), room.characters),
        "why": clipped(": ".join(filter(None, [why, compared.detail])) if agrees and why else "", room.characters),
        "counts": _counts(compared),
        "lines": lines,
        "hidden": hidden,
        "first": [_divergence(each, report, compared, room) for each in divergences(compared)],
        "helps": [_help(diagnosis, room) for diagnosis in compared.diagnoses[: room.helps]],
        "hidden_helps": max(len(compared.diagnoses) - room.helps, 0),
        "undiagnosed": clipped(named(compared.undiagnosed, room.names), room.characters),
        "notes": [clipped(note, room.characters) for note in compared.notes[: room.helps]],
        "matched": [(verdict, clipped(words, room.characters)) for verdict, words in matched(report, compared, room.names)],
        "moves": [[clipped(row.leaf, room.characters), shape_of(row.shape), row.comes, row.known] for row in table[: room.moves]],
        "hidden_moves": max(len(table) - room.moves, 0),
    }  # fmt: skip


def _counts(compared: Compared) -> str:
    if compared.verdict is Verdict.DISAGREES and compared.rows:
        return counts(compared)
    return f"{len(compared.rows)} nodes" if compared.rows else ""


def _agreement(report: PortReport, compared: Compared) -> str:
    return f"{compared.port} agrees with {report.reference}"


def _line(line: Line) -> dict[str, Any]:
    shape = line.shape if line.shape is not None else line.other_shape
    there = line.other_shape if line.shape is not None and line.other_shape != line.shape else None
    return {
        "depth": min(line.depth, 12),
        "label": line.label,
        "other": line.other,
        "kind": line.kind,
        "other_kind": line.other_kind,
        "shape": "" if shape is None else shape_of(shape),
        "other_shape": "" if there is None else shape_of(there),
        "marks": [(mark.value, MARKS[mark][0], _TONES[mark]) for mark in (line.forward, line.backward)],
        "times": [multiple(times) for times in line.excess],
        "note": line.note,
        "here": line.note.startswith(HERE),
        "folded": [_line(inner) for inner in line.folded],
    }


def _bounded(lines: list[dict[str, Any]], most: int) -> tuple[list[dict[str, Any]], int]:
    """The first lines, and how many are left out; what stands behind a fold counts."""
    kept, left, hidden = [], most, 0
    for line in lines:
        if left <= 0:
            hidden += 1 + len(line["folded"])
            continue
        inner, out = _bounded(line["folded"], left - 1)
        left -= 1 + len(inner)
        hidden += out
        kept.append({**line, "folded": inner})
    return kept, hidden


def _divergence(first: Divergence, report: PortReport, compared: Compared, room: Room) -> dict[str, Any]:
    facts = first.facts(report.reference, compared.port)
    return {
        "name": clipped(first.name, room.characters),
        "kind": clipped(first.kind, room.characters),
        "direction": first.direction,
        "facts": [
            (clipped(label, room.characters), clipped(words, room.characters)) for label, words in facts
        ],
    }


def _help(diagnosis: Diagnosis, room: Room) -> dict[str, Any]:
    code = CODES.get(diagnosis.code)
    told = (
        (("What it looks like", code.means), ("Usual cause", code.causes), ("What to do", code.remedy))
        if code
        else ()
    )
    return {
        "code": diagnosis.code,
        "title": code.title if code else "",
        "says": clipped(diagnosis.says, room.characters),
        "where": clipped(named(diagnosis.leaves, room.names), room.characters),
        "correction": clipped(diagnosis.correction, room.characters),
        "explained": told,
    }


# All of them


def _stages(every: Sequence[Compared]) -> dict[str, Any]:
    found = [stages(compared) for compared in every]
    rows = [
        (STAGES.get(what, what), [(each[what].verdict, *cell(each[what]), each[what].where) if what in each else None for each in found])
        for what in every_stage(found)
    ]  # fmt: skip
    return {"heads": [compared.port for compared in every], "rows": rows}


def _finding(finding: Finding, room: Room) -> dict[str, Any]:
    why = ": ".join(filter(None, [in_words(finding.reason), finding.detail]))
    numbers = ["" if isnan(x) else number(x) for x in (finding.gap, finding.bar, finding.scale)]
    return {
        "verdict": finding.verdict,
        "what": STAGES.get(finding.what, finding.what),
        "sources": " ~ ".join(finding.sources),
        "leaf": clipped(finding.leaf or "", room.characters),
        "worst": str(list(finding.worst)) if finding.worst else "",
        "numbers": numbers,
        "why": clipped(why, room.characters),
    }
