"""What was measured of ports: the record, and the Markdown page."""

__all__ = ["Equal", "page", "record"]

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ports_zoo.plants import CONVENTIONS, PLANTS
from ports_zoo.trial import Trial

KINDS = {"copied": "the reference's weights, copied", "own": "weights of its own, the layout to be found"}


@dataclass(frozen=True)
class Equal:
    """What became of an equal pair."""

    pair: str
    verdict: str
    detail: str
    parameters: int
    """Numbers that are trained."""
    nodes: int
    """Values on the way that were compared."""
    by_hand: bool
    """Whether the layout found is the one that a person wrote."""
    runs: int
    seconds: float


def page(pairs: Sequence[Equal], trials: Sequence[Trial], environment: str, seconds: float) -> str:
    """The Markdown page."""
    planted = [one for one in trials if one.plant in PLANTS]
    conventions = [one for one in trials if one.plant in CONVENTIONS]
    lines = [
        "# Are two implementations the same function?",
        "",
        f"{len(pairs)} pairs of modules that are equal, PyTorch beside Flax or Equinox, each side with weights of its own: which",
        "parameter is which has to be found out. And mistakes planted into ports, as people make them. The modules and the mistakes",
        "are those of `tests/ports_zoo`; the layout that is found is compared with one written by hand.",
        "",
        f"Written by `benchmarks/ports.py` in {seconds / 60:.0f} minutes; the figures are in `benchmarks/results/ports.json`.",
        f"{environment}.",
        "",
        "**refused**: the verdict is DISAGREES. **placed**: the first layer (loss, statistic, step) that is named is the one with the",
        "mistake. **named**: the first diagnosis is a right one; where the mistake is in no catalogue, that nothing is said. **false**:",
        "layers called wrong that are computed before the mistake. **runs**: of both ports together, forward and backward.",
        "",
        *_counts(planted),
        "",
        *_sentences(pairs, planted, conventions),
        "",
        "## Planted mistakes",
        "",
        *_planted(planted),
        "",
        "## Equal pairs",
        "",
        *_equal(pairs),
        "",
        "## Conventions at a kink",
        "",
        "Both sides are right: they take another subgradient at the point itself. The verdict has to be AGREES, with a word to it.",
        "",
        *_planted(conventions),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _counts(planted: Sequence[Trial]) -> Iterator[str]:
    yield "| the port has | planted | refused | placed | named | named, not first | false | runs, median |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for kind, words in KINDS.items():
        group = [one for one in planted if one.weights == kind]
        if group:
            n = len(group)
            counts = (
                sum(one.verdict == "DISAGREES" for one in group), sum(one.placed for one in group),
                sum(one.named for one in group), sum(one.among and not one.named for one in group),
            )  # fmt: skip
            cells = [f"{count} ({count / n:.0%})" for count in counts]
            false = sum(len(one.false) for one in group)
            yield f"| {words} | {n} | {' | '.join(cells)} | {false} | {_median([one.runs for one in group])} |"


def _sentences(
    pairs: Sequence[Equal], planted: Sequence[Trial], conventions: Sequence[Trial]
) -> Iterator[str]:
    proven = sum(one.verdict == "AGREES" for one in pairs)
    same = sum(one.by_hand for one in pairs)
    agreed = sum(one.verdict == "AGREES" for one in conventions)
    yield f"- equal pairs proven equal: {proven} of {len(pairs)}, with {_median([one.runs for one in pairs])} runs (median)"
    yield f"- layouts found that are those written by hand: {same} of {len(pairs)}"
    own = [one for one in planted if one.weights == "own"]
    found = sum(one.by_hand for one in own)
    yield f"- the same in ports with a mistake and weights of their own: {found} of {len(own)}"
    yield f"- conventions at a kink that were not taken for mistakes: {agreed} of {len(conventions)}"


def _median(numbers: Sequence[int]) -> int:
    return sorted(numbers)[len(numbers) // 2] if numbers else 0


def _planted(trials: Sequence[Trial]) -> Iterator[str]:
    yield "| mistake | weights | verdict | first | placed | said | named | runs | seconds |"
    yield "|---|---|---|---|---|---|---|--:|--:|"
    for one in trials:
        first = one.first[0] if one.first else ""
        said = one.said[0] if one.said else "nothing"
        yield (
            f"| {one.plant} | {one.weights} | {one.verdict} | {_code(first)} | {_yes(one.placed)} | {said} | {_yes(one.named)} "
            f"| {one.runs} | {one.seconds:.1f} |"
        ).replace("|x|", r"\|x\|")


def _equal(pairs: Sequence[Equal]) -> Iterator[str]:
    yield "| pair | verdict | layout as by hand | parameters | values compared | runs | seconds |"
    yield "|---|---|---|--:|--:|--:|--:|"
    for one in pairs:
        yield (
            f"| {one.pair} | {one.verdict} | {_yes(one.by_hand)} | {one.parameters} | {one.nodes} | {one.runs} "
            f"| {one.seconds:.1f} |"
        )


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "**no**"


def record(pairs: Sequence[Equal], trials: Sequence[Trial], environment: str) -> dict[str, Any]:
    """For the JSON."""
    return {
        "environment": environment,
        "pairs": [asdict(one) for one in pairs],
        "planted": [asdict(one) for one in trials],
    }
