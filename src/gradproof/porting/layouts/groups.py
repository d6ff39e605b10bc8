"""Leaves of both ports that belong together: those of one module, and where modules say nothing, those that act on one value."""

__all__ = ["Group", "components", "module_groups", "proposals"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from math import prod

from gradproof.porting.alignment.align import Pair
from gradproof.porting.layouts.layout import Move
from gradproof.porting.layouts.origins import Guess, Shapes
from gradproof.porting.port import Run

MOST_PRODUCT = 512
"""Combinations that are all listed; of more, those with at most two leaves out of the ordinary."""

MOST_PROPOSALS = 160
"""Of a module. An LSTM with its gates in an order of its own, and square matrices, has 24 · 2 · 2."""

TWICE, LEFT = 3.0, 0.5
"""Cost of a leaf of the reference that is used twice, and of one that is not used."""


@dataclass
class Group:
    """Leaves that are tried out together."""

    sources: Shapes
    targets: Shapes
    judged: frozenset[str]
    """Keys of the reference's nodes that show whether they are right."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other paths of leaves of the reference that are shared."""


def module_groups(
    reference: Run, port: Run, pairs: Sequence[Pair], ours: Shapes, theirs: Shapes, shared: Mapping[str, str]
) -> tuple[list[Group], Group]:
    """Groups by modules that are matched, the innermost first; and what is left over."""
    free, wanted = dict(ours), dict(theirs)
    groups: list[Group] = []
    for mine, other in _modules(reference, port, pairs):
        aliased = {path: ours[own] for path, own in shared.items() if own in ours and _under(path, mine)}
        sources = {path: shape for path, shape in free.items() if _under(path, mine)} | aliased
        targets = {path: shape for path, shape in wanted.items() if _under(path, other)}
        if sources and targets:
            judged = _judged(reference, port, pairs, mine, other)
            groups.append(Group(sources, targets, judged, shared))
            free = {path: shape for path, shape in free.items() if path not in sources}
            wanted = {path: shape for path, shape in wanted.items() if path not in targets}
    return groups, Group(free, wanted, frozenset(pair.reference for pair in pairs))


def _modules(reference: Run, port: Run, pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    """Paths of matched modules, the deepest first; the whole is none."""
    ours, theirs = reference.by_key, port.by_key
    found = {
        (ours[pair.reference].name, theirs[pair.port].name)
        for pair in pairs
        if ours[pair.reference].role == "output" and theirs[pair.port].role == "output"
    }
    inner = [(mine, other) for mine, other in found if mine and other]
    return sorted(inner, key=lambda both: (-_depth(both[1]), -_depth(both[0]), both))


def _depth(path: str) -> int:
    return path.count(".") + path.count("[") + path.count("/")


def _under(path: str, module: str) -> bool:
    return path.startswith(module) and path[len(module) : len(module) + 1] in ("", ".", "[", "/")


def _judged(reference: Run, port: Run, pairs: Sequence[Pair], mine: str, other: str) -> frozenset[str]:
    ours, theirs = reference.by_key, port.by_key
    return frozenset(
        pair.reference
        for pair in pairs
        if (_under(ours[pair.reference].name, mine) or _under(theirs[pair.port].name, other))
        and not (ours[pair.reference].role == "input" and ours[pair.reference].name == mine)
    )


def components(acts: Mapping[str, frozenset[str]]) -> list[tuple[tuple[str, ...], frozenset[str]]]:
    """Leaves that act on common nodes, and those nodes."""
    parts: list[tuple[tuple[str, ...], frozenset[str]]] = []
    for leaf, nodes in acts.items():
        near = [part for part in parts if part[1] & nodes]
        parts = [part for part in parts if part not in near]
        leaves = tuple(path for part in near for path in part[0])
        parts.append(((*leaves, leaf), nodes.union(*(part[1] for part in near))))
    return parts


def proposals(options: Mapping[str, Sequence[Guess]], sources: Shapes) -> list[tuple[Move, ...]]:
    """Ways to make all leaves of a group, the most plausible first."""
    told = {target: guesses for target, guesses in options.items() if guesses}
    ranked = sorted(
        ((_cost(choice, sources), at, choice) for at, choice in enumerate(_choices(told))),
        key=lambda c: c[:2],
    )
    return [tuple(guess.move for guess in choice) for _, _, choice in ranked[:MOST_PROPOSALS]]


def _cost(choice: Sequence[Guess], sources: Shapes) -> float:
    pieces = [piece for guess in choice for piece in guess.move.pieces]
    blocks = [(piece.source, piece.axis, piece.start) for piece in pieces]
    unused = set(sources) - {piece.source for piece in pieces}
    return sum(guess.cost for guess in choice) + TWICE * (len(blocks) - len(set(blocks))) + LEFT * len(unused)


def _choices(options: Mapping[str, Sequence[Guess]]) -> Iterator[tuple[Guess, ...]]:
    plain = [[guess for guess in guesses if not guess.style] for guesses in options.values()]
    yield from _varied(plain)
    styles = dict.fromkeys(guess.style for guesses in options.values() for guess in guesses if guess.style)
    for style in styles:
        styled = [
            [g for g in guesses if g.style == style] or [g for g in guesses if not g.style]
            for guesses in options.values()
        ]
        yield from _varied(styled, most=1)


def _varied(lists: Sequence[Sequence[Guess]], most: int = 2) -> Iterator[tuple[Guess, ...]]:
    """All combinations; of very many, those with at most `most` leaves out of the ordinary."""
    if prod(len(guesses) for guesses in lists) <= MOST_PRODUCT:
        yield from product(*lists)
        return
    for count in range(most + 1):
        for places in combinations(range(len(lists)), count):
            ways = [guesses[1:] if at in places else guesses[:1] for at, guesses in enumerate(lists)]
            yield from product(*ways)
