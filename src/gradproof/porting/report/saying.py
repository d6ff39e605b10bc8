"""The sentences of a PortReport: the answer, where two ports part, how their parameters were matched."""

__all__ = [
    "Divergence",
    "answer",
    "counts",
    "described",
    "divergences",
    "help_for",
    "matched",
    "numeric_remarks",
    "of_port",
    "ordered",
    "roundings",
]

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, isnan, nan

from gradproof.porting.layouts.layout import Layout
from gradproof.porting.record import Compared, Mark, PortReport, PortResult, Row
from gradproof.porting.report.stages import STAGES, differing, stages
from gradproof.porting.report.tree import named_row
from gradproof.porting.report.words import multiple, number, shape_of, times
from gradproof.report.words import SEVERITY, digits, in_words, listed, named, with_bar
from gradproof.verdict import Diagnosis, Finding, Verdict


def ordered(report: PortReport) -> list[Compared]:
    """What was compared, the worst last: that is where the eye is when the output has scrolled by."""
    return sorted(report.compared.values(), key=lambda compared: SEVERITY.index(compared.verdict))


# The answer


def answer(report: PortReport) -> str:
    """What came out, without the verdict itself."""
    if report.verdict is Verdict.AGREES:
        return _agreement(report)
    parted = [compared for compared in ordered(report) if compared.verdict is not Verdict.AGREES]
    agreeing = [compared.port for compared in ordered(report) if compared.verdict is Verdict.AGREES]
    told = [of_port(report, compared) for compared in reversed(parted)]
    if agreeing and told:
        told.append(f"{listed(agreeing)} {'agrees' if len(agreeing) == 1 else 'agree'}")
    told += [words for verdict, words in numeric_remarks(report) if verdict is Verdict.DISAGREES]
    if not parted and report.reason:
        told.append(_why(in_words(report.reason), report.detail))
    if report.odd_one_out and [report.odd_one_out] != [compared.port for compared in parted]:
        told[:0] = [f"{report.odd_one_out} is the odd one out"]
    return "; ".join(told) or report.detail or "nothing could be compared"


def of_port(report: PortReport, compared: Compared) -> str:
    """What came of one port that does not agree: the first place, and how many."""
    odd = ", the odd one out," if compared.port == report.odd_one_out and len(report.ports) > 2 else ""
    pair = f"{compared.port}{odd} differs from {report.reference}"
    if compared.verdict is not Verdict.DISAGREES:
        return f"{compared.port} ~ {report.reference}: {_why(in_words(compared.reason), compared.detail) or 'nothing was compared'}"
    first = divergences(compared)
    if first:
        place, way = first[0].key, " and ".join(each.direction for each in first if each.key == first[0].key)
        kind = f" ({first[0].kind})" if first[0].kind else ""
        return f"{pair}: first at {place}{kind}, {way}; {counts(compared)}"
    finding = differing(compared)
    if finding is None:
        return f"{pair}: {_why(in_words(compared.reason), compared.detail)}"
    found = stages(compared)[finding.what]
    where = f" ({finding.leaf})" if finding.leaf else ""
    return f"{pair}: first in {STAGES.get(finding.what, finding.what)}{where}; {found.differ} of {found.count} differ{'s' * (found.differ == 1)}"


def counts(compared: Compared) -> str:
    """How many nodes are wrong by themselves, and how many carry what others did wrong."""
    marks = [{row.forward, row.backward} for row in compared.rows]
    wrong = sum(Mark.WRONG in each for each in marks)
    carried = sum(Mark.CARRIED in each and Mark.WRONG not in each for each in marks)
    told = f"{wrong} of {len(marks)} nodes wrong by {'itself' if wrong == 1 else 'themselves'}"
    return f"{told}, {carried} carried" if carried else told


def _agreement(report: PortReport) -> str:
    every = list(report.compared.values())
    names = " ~ ".join([report.reference, *(compared.port for compared in every)])
    found = [stages(compared) for compared in every]
    parts = [STAGES[what] for what in ("output", "loss") if any(what in each for each in found)]
    parts += _nodes(every)
    for what in ("gradient", "buffer", "step"):
        sizes = [each[what].count for each in found if what in each]
        if sizes:
            parts.append(f"{_span(sizes)} {STAGES[what]}" if what != "step" else STAGES[what])
    worst = [stage.worst for each in found for stage in each.values() if not isnan(stage.worst)]
    told = [
        ", ".join(parts) or in_words(report.reason),
        f"worst {multiple(max(worst))} bar" if worst and max(worst) <= 1 else "",
    ]
    details = dict.fromkeys(compared.detail for compared in every)
    return f"{names}: {'; '.join(filter(None, [*told, roundings(report), *details]))}"


def _nodes(every: Sequence[Compared]) -> list[str]:
    out = (Mark.UNSEEN, Mark.UNMATCHED)
    forward = [sum(row.forward not in out for row in compared.rows) for compared in every]
    backward = any(row.backward not in out for compared in every for row in compared.rows)
    if not any(forward):
        return []
    return [f"{_span(forward)} nodes forward{' and backward' if backward else ''}"]


def roundings(report: PortReport) -> str:
    """ "float32 errors 2.1e-07 (torch) and 2.4e-07 (flax)"."""
    by_dtype: dict[str, list[str]] = {}
    for result in report.ports.values():
        if isfinite(result.rounding) and result.dtype != "float64":
            by_dtype.setdefault(result.dtype, []).append(f"{number(result.rounding)} ({result.name})")
    return "; ".join(f"{dtype} errors {listed(sizes)}" for dtype, sizes in by_dtype.items())


def _span(sizes: Sequence[int]) -> str:
    return str(max(sizes)) if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"


def _why(reason: str, detail: str) -> str:
    return ": ".join(filter(None, [reason, detail]))


def numeric_remarks(report: PortReport) -> Iterator[tuple[Verdict, str]]:
    """Ports whose gradient is not, or not certainly, that of their own function."""
    for result in report.ports.values():
        if result.numeric in (None, Verdict.AGREES):
            continue
        wrong = result.numeric is Verdict.DISAGREES
        words = "is not that of its own function" if wrong else "could not be judged by finite differences"
        yield (
            result.numeric or Verdict.UNDECIDED,
            _why(f"the gradient of {result.name} {words}", result.numeric_detail),
        )


# Where two ports part


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first node that is wrong by itself, in one direction."""

    key: str
    direction: str
    """ "forward" or "backward"."""
    row: Row | None
    finding: Finding | None

    @property
    def name(self) -> str:
        """The node, as both sides call it."""
        other = self.row.other if self.row else ""
        return self.key if not other or other == self.key else f"{self.key} ~ {other}"

    @property
    def kind(self) -> str:
        """Class of the module, of both where they have other names."""
        kinds = [self.row.kind, self.row.other_kind] if self.row else []
        return " ~ ".join(dict.fromkeys(filter(None, kinds)))

    @property
    def sizes(self) -> tuple[float, float, float, float]:
        """Gap, bar, scale, and the gap on the reference's inputs."""
        row = self.row
        if row is None:
            found = self.finding
            return (found.gap, found.bar, found.scale, nan) if found else (nan, nan, nan, nan)
        if self.direction == "forward":
            return row.gap, row.bar, row.scale, row.local_gap
        return row.backward_gap, row.backward_bar, row.backward_scale, row.backward_local_gap

    def facts(self, reference: str, port: str) -> Iterator[tuple[str, str]]:
        """(label, words): shapes, values at the worst entry, the gap, and what is left of it on the reference's inputs."""
        row, found = self.row, self.finding
        gap, bar, scale, local = self.sizes
        if row and row.key and row.other:
            same = row.shape == row.other_shape
            yield (
                "shape",
                shape_of(row.shape)
                if same
                else (f"{shape_of(row.shape)} in {reference}, {shape_of(row.other_shape)} in {port}"),
            )
        if found and found.values:
            size = max(map(abs, found.values.values()))
            significant = digits(gap, size)
            values = [f"{name} {with_bar(x, nan, significant)}" for name, x in found.values.items()]
            yield f"at {list(found.worst)}" if found.worst else "value", "   ".join(values)
        if not isnan(gap):
            of = f" of {number(scale)}" if isfinite(scale) else ""
            far = (
                f"{multiple(times(gap, bar))} the bar ({number(bar)})"
                if not isnan(bar)
                else "no bar is known"
            )
            yield "gap", f"{number(gap)}{of}, {far}"
        if not isnan(local):
            what = "inputs" if self.direction == "forward" else "inputs and cotangents"
            yield f"on {reference}'s own {what}", f"it differs by {number(local)}{_made(local, bar)}"
        if found and found.detail:
            yield "", found.detail


def divergences(compared: Compared) -> list[Divergence]:
    """The first place forward and the first backward, those of them that there are."""
    found = []
    for key, direction in ((compared.first_forward, "forward"), (compared.first_backward, "backward")):
        if key is not None:
            row = next((row for row in compared.rows if named_row(row) == key), None)
            told = [f for f in compared.findings if f.what == direction and f.leaf == key]
            finding = next((f for f in told if f.verdict is Verdict.DISAGREES), told[0] if told else None)
            found.append(Divergence(key, direction, row, finding))
    return found


def _made(local: float, bar: float) -> str:
    return ": the difference is made here" if local > bar else ", within the bar" if local <= bar else ""


def help_for(diagnosis: Diagnosis, most: int = 3) -> tuple[str, str]:
    """(sentence with its place, what to write instead)."""
    where = f" ({named(diagnosis.leaves, most)})" if diagnosis.leaves else ""
    return diagnosis.says + where, diagnosis.correction


# Parameters

_CONFIRMED = {
    "value": "by value",
    "behaviour": "by behaviour",
    "shape": "by name and shape only",
    "given": "as given",
}


def matched(report: PortReport, compared: Compared, most: int = 4) -> list[tuple[Verdict, str]]:
    """How the port's parameters were matched; what is ambiguous, and what has no counterpart."""
    layout, told = compared.layout, []
    ways = Counter(move.confirmed for move in layout.moves)
    if total := len(layout.moves) + len(layout.unmatched):
        how = ", ".join(f"{count} {_CONFIRMED.get(way, way)}" for way, count in ways.most_common() if way)
        moved = (
            f"; those of {report.reference} were transferred into {compared.port}"
            if compared.transferred
            else ""
        )
        told.append(
            (Verdict.AGREES, f"parameters: {len(layout.moves)} of {total} matched{how and f': {how}'}{moved}")
        )
    unclear = _ambiguous(layout)
    if unclear:
        told.append((Verdict.UNDECIDED, f"other ways to match them fit as well: {named(unclear, most)}"))
    for name, paths in ((compared.port, layout.unmatched), (report.reference, layout.unused)):
        if paths:
            told.append((Verdict.UNDECIDED, f"without counterpart, in {name} alone: {named(paths, most)}"))
    return told


def _ambiguous(layout: Layout) -> list[str]:
    return [f"{move.target} ({move.alternatives})" for move in layout.moves if move.alternatives]


def described(result: PortResult) -> list[str]:
    """What is known of a port by itself: name, framework, size, dtype, errors, cost."""
    return [
        result.name, result.framework, f"{result.parameters:,}", result.dtype,
        number(result.rounding) if isfinite(result.rounding) else "",
        number(result.gradient_rounding) if isfinite(result.gradient_rounding) else "",
        str(result.runs or ""), f"{result.seconds:.2f}" if result.seconds else "",
    ]  # fmt: skip
