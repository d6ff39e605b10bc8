"""What was measured of diagnoses: one trial, the record, and the Markdown page."""

__all__ = ["AMONG", "FAILED", "FALSE", "FIRST", "NONE", "PASSED", "TRUE", "Trial", "line", "page", "record"]

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gradproof.faults import FAULTS
from gradproof.problems import PROBLEMS
from mistakes_ground import FRESH
from mistakes_unknown import UNKNOWN

LIMITS = (
    "What these figures do not show: mistakes in several leaves that have nothing in common, and two mistakes at once (below,",
    "those have no name). In a leaf of one entry every mistake is a factor, and mostly nothing is said. Float32 is in one function",
    "only. Where another source's entries are at hand a diagnosis is judged by those, else by slopes along probes; the two sets of",
    "sources show both.",
)

FIRST, AMONG, TRUE, NONE, FALSE, PASSED, FAILED = (
    "right first", "right, not first", "true, another code", "nothing said", "not so", "not refused", "error",
)  # fmt: skip
OUTCOMES = (FIRST, AMONG, TRUE, NONE, FALSE, PASSED, FAILED)
"""What became of a planted mistake; "not so" is a first diagnosis that does not hold."""


@dataclass(frozen=True)
class Trial:
    """One planted mistake, and what was said of it."""

    ground: str
    """ "own", "fresh" or "unknown"."""
    sources: str
    kind: str
    fault: str
    problem: str
    outcome: str
    said: tuple[str, ...]
    """All diagnoses: code, sentence, and whether it holds."""
    located: tuple[str, ...]
    false: int
    """Diagnoses that do not hold, the first or not."""
    only_place: bool
    """Whether nothing but a place is told."""
    evaluations: int
    """Of the function, by the numeric source."""


def line(one: Trial) -> str:
    """One trial in words."""
    said = "; ".join(one.said[:3]) or "nothing"
    return f"{one.fault}, {one.problem}: {one.outcome}: {said} ({'; '.join(one.located[:2]) or 'no place'})"


def page(done: Sequence[Trial], environment: str, seconds: float) -> str:
    """The Markdown page."""
    named = [one for one in done if one.ground != "unknown"]
    unknown = [one for one in done if one.ground == "unknown"]
    grounds = {"own": "the project's problems", "fresh": "fresh functions"}
    groups = {
        f"{grounds[g]}; {s}": [o for o in named if (o.ground, o.sources) == (g, s)]
        for g in grounds for s in dict.fromkeys(o.sources for o in named)
    }  # fmt: skip
    by_kind = {
        f"{kind}, {g}": [o for o in named if (o.kind, o.ground) == (kind, g)]
        for kind in dict.fromkeys(o.kind for o in named) for g in grounds
    }  # fmt: skip
    lines = [
        "# Which mistake is it?",
        "",
        f"{len(FAULTS)} planted mistakes on {1 + len(PROBLEMS)} problems of the project, and on {len(FRESH)} fresh functions, on which",
        "nothing was tuned and whose right gradients AGREE first. Every fault names the codes that are right for it. Whether a",
        "diagnosis *holds* is judged apart from that: the right gradient has to come out of the claim, corrected in the way that",
        "the diagnosis says.",
        "",
        "**right first**: the first diagnosis has a right code, and holds. **right, not first**: a later one has. **true, another",
        "code**: the first one has none of the codes of the fault, and holds all the same (a clipped leaf of which one entry was cut",
        "to a half *is* half as large there). **not so**: the first one does not hold, or could not be shown to. **false**: diagnoses that do",
        "not hold, the first or a later one. Evaluations are those of the whole check, the diagnosis included.",
        "",
        f"Written by `benchmarks/diagnose.py` in {seconds / 60:.0f} minutes. {environment}.",
        "",
        *_table(groups),
        "",
        *LIMITS,
        "",
        "## By kind of mistake, all sources",
        "",
        *_table({name: group for name, group in by_kind.items() if group}),
        "",
        "## Mistakes without a name",
        "",
        *_unknown(unknown),
        "",
        "## First diagnoses that are not a right one",
        "",
        *_other(named),
        "",
    ]
    return "\n".join(lines)


def _table(groups: dict[str, list[Trial]]) -> Iterator[str]:
    yield "| | planted | " + " | ".join((*OUTCOMES, "false", "evaluations, median")) + " |"
    yield "|---|" + "--:|" * (len(OUTCOMES) + 3)
    for name, group in groups.items():
        counts, n = Counter(one.outcome for one in group), len(group)
        cells = [f"{counts[o]} ({counts[o] / max(n, 1):.1%})" if counts[o] else "0" for o in OUTCOMES]
        middle = sorted(one.evaluations for one in group)[n // 2] if n else 0
        yield f"| {name} | {n} | {' | '.join(cells)} | {sum(o.false for o in group)} | {middle} |"


def _other(done: Sequence[Trial]) -> Iterator[str]:
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for one in done:
        if one.outcome != FIRST:
            code = one.said[0].split(" ")[0] if one.said else ""
            failed = one.outcome == FAILED
            groups.setdefault((one.outcome, "" if failed else one.fault, "" if failed else code), []).append(
                one
            )
    yield "| outcome | planted | said first | times | an example |"
    yield "|---|---|---|--:|---|"
    for (outcome, fault, code), group in sorted(groups.items(), key=lambda item: OUTCOMES.index(item[0][0])):
        one = group[0]
        said = one.said[0] if one.said else f"located: {'; '.join(one.located[:2]) or 'nowhere'}"
        yield f"| {outcome} | {FAULTS[fault].says if fault else 'several'} | {code} | {len(group)} | {one.problem}: {said} |"


def _unknown(done: Sequence[Trial]) -> Iterator[str]:
    yield "No code is due, and “no known mistake explains it” is the right answer. What is said all the same may hold: in a leaf of"
    yield "one or two entries a random mistake is a factor or a place."
    yield ""
    yield "| mistake | planted | nothing said | a place, which holds | more, which holds | does not hold | not refused | error |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for fault in (*UNKNOWN, None):
        group = [one for one in done if fault is None or one.fault == fault.name]
        so = [one for one in group if one.said and not one.false and one.outcome != FAILED]
        cells = (
            len(group), sum(o.outcome == NONE for o in group), sum(o.only_place for o in so),
            sum(not o.only_place for o in so), sum(o.false > 0 for o in group), sum(o.outcome == PASSED for o in group), sum(o.outcome == FAILED for o in group),
        )  # fmt: skip
        yield f"| {fault.says if fault else '**all**'} | {' | '.join(map(str, cells))} |"
    yield ""
    yield from (f"- {one.sources}: {line(one)}" for one in done if one.false or one.outcome == FAILED)


def record(done: Sequence[Trial], environment: str) -> dict[str, Any]:
    """For the JSON: counts, and the trials worth looking at."""
    return {
        "environment": environment,
        "counts": _counts(done),
        "listed": [asdict(o) for o in done if _listed(o)],
    }


def _counts(done: Sequence[Trial]) -> list[dict[str, object]]:
    counts = Counter((o.ground, o.sources, o.kind, o.fault, o.outcome) for o in done)
    names = ("ground", "sources", "kind", "fault", "outcome")
    return [dict(zip(names, key, strict=True)) | {"times": n} for key, n in counts.items()]


def _listed(one: Trial) -> bool:
    """Whether a trial is worth looking at."""
    return bool(one.false or one.outcome == FAILED or (one.ground != "unknown" and one.outcome != FIRST))
