"""Leaves of recurrent cells: two biases that became one, gates that are apart or in another order."""

__all__ = ["halved", "reordered", "sums"]

from collections.abc import Iterator
from itertools import combinations, permutations
from math import prod

from gradproof.porting.layouts.layout import Move, Piece
from gradproof.porting.layouts.names import concepts, gate, role
from gradproof.porting.layouts.origins import (
    KINDRED,
    RECURRENT,
    Guess,
    Origin,
    Shapes,
    fit,
    straight,
    turn_of,
)
from gradproof.porting.layouts.readings import joins


def sums(sources: Shapes, targets: Shapes, target: str) -> Iterator[Origin]:
    """Two biases of a recurrent cell that became one; of a GRU the last gate's are not added up."""
    if role(target) != "bias":
        return
    biases = [path for path in sources if role(path) == "bias"]
    for one, other in combinations(biases, 2):
        shape = sources[one]
        if shape != sources[other] or not _both_sides(one, other):
            continue
        score = max(fit(path, target, sources, targets) for path in (one, other)) + 1.5 * KINDRED
        if _halved_here(target, targets):
            score -= 3 * KINDRED  # the port has two biases as well
        yield from _summed(one, other, sources, target, targets[target], score)


def _both_sides(one: str, other: str) -> bool:
    return {frozenset(concepts(path) & RECURRENT) for path in (one, other)} == {
        frozenset("i"),
        frozenset("h"),
    }


def _halved_here(target: str, targets: Shapes) -> bool:
    return any(
        role(path) == "bias"
        and targets[path] == targets[target]
        and _both_sides(path, target)
        and gate(path) == gate(target)
        for path in targets
        if path != target
    )


def _summed(
    one: str, other: str, sources: Shapes, target: str, due: tuple[int, ...], score: float
) -> Iterator[Origin]:
    shape = sources[one]
    count = _gates(sources)
    inner = one if "i" in concepts(one) else other
    length = shape[0] // count if count and shape[0] % count == 0 else 0
    if prod(due) == prod(shape):
        if count == 3:
            both = tuple(straight(path, shape, 0, 0, 2 * length) for path in (one, other))
            last = (straight(inner, shape, 0, 2 * length, shape[0]),)
            yield Origin((both, last), score + 0.5)
        yield Origin((tuple(straight(path, shape) for path in (one, other)),), score)
    elif length and prod(due) == length:
        at = gate(target)
        at = count - 1 if at is None else at
        terms = (
            (one, other)
            if count == 4 or at < 2
            else (inner if "i" in concepts(target) else _not(inner, one, other),)
        )
        block = tuple(straight(path, shape, 0, at * length, (at + 1) * length) for path in terms)
        yield Origin((block,), score + 0.5)


def _not(path: str, one: str, other: str) -> str:
    return other if path == one else one


def _gates(sources: Shapes) -> int:
    """3 or 4, as the hidden state's matrix says; 0 if none does."""
    for path, shape in sources.items():
        if role(path) == "weight" and "h" in concepts(path) and len(shape) == 2:
            count, rest = divmod(max(shape), min(shape))
            if count in (3, 4) and not rest:
                return count
    return 0


def halved(target: str, sources: Shapes, targets: Shapes) -> bool:
    """Whether it is the second of two biases, where the reference has one."""
    return (
        role(target) == "bias" and _halved_here(target, targets) and any(role(s) == "bias" for s in sources)
    )


def reordered(origin: Origin, target: str, due: tuple[int, ...], sources: Shapes) -> Iterator[Guess]:
    """A fused leaf of a recurrent cell with its gates in other orders; the same order for all leaves of the cell."""
    count = _gates(sources)
    first = origin.places[0][0]
    if not count or not concepts(first.source) & RECURRENT or prod(sources[first.source]) != prod(due):
        return
    for cost, order in enumerate(permutations(range(count))):
        places = [_gate_terms(origin, at, count, sources) for at in order]
        forms = [place[0].shape_of(sources[place[0].source]) for place in places]
        turned = joins(first.source, forms, target, due)[:2] if cost else []
        for turn, (axes, joined) in enumerate(turned):
            pieces = tuple(
                turn_of(piece, axes, (), adds=at > 0) for place in places for at, piece in enumerate(place)
            )
            yield Guess(3.0 + cost / 50 + turn, Move(target, due, pieces, joined), style=str(order))


def _gate_terms(origin: Origin, at: int, count: int, sources: Shapes) -> list[Piece]:
    """One gate's blocks; of a GRU's bias, the last gate has one term only."""
    place = origin.places[-1] if at == count - 1 else origin.places[0]
    blocks = []
    for piece in place:
        shape = sources[piece.source]
        axis = shape.index(max(shape))
        length = shape[axis] // count
        blocks.append(straight(piece.source, shape, axis, at * length, (at + 1) * length))
    return blocks
