"""Where the leaves of one module may come from, by names and shapes: what is usual first."""

__all__ = ["guesses"]

from collections.abc import Iterator, Sequence
from math import prod

from gradproof.porting.layouts.layout import Move, Piece
from gradproof.porting.layouts.names import concepts, gate, role
from gradproof.porting.layouts.origins import (
    CONFLICT,
    FUSED,
    KINDRED,
    RECURRENT,
    Guess,
    Origin,
    Shapes,
    fit,
    roles_differ,
    straight,
    turn_of,
)
from gradproof.porting.layouts.readings import joins, readings
from gradproof.porting.layouts.recurrent import halved, reordered, sums

MOST_BLOCKS = 16
"""In which a leaf is cut: gates, heads, query and key and value."""

MOST_ORIGINS = 4
"""Of one leaf that are tried; each in every orientation."""


def guesses(sources: Shapes, targets: Shapes) -> dict[str, list[Guess]]:
    """For every leaf of a module of the port the ways it can come from the leaves of a module of the reference."""
    origins = {target: _origins(sources, targets, target) for target in targets}
    _spread_out(origins)
    return {target: _guesses_of(target, origins[target], sources, targets) for target in targets}


def _guesses_of(target: str, origins: Sequence[Origin], sources: Shapes, targets: Shapes) -> list[Guess]:
    due = targets[target]
    if not origins and halved(target, sources, targets):
        return [Guess(0.0, Move(target, due, ()))]
    told: list[Guess] = []
    for rank, origin in enumerate(origins[:MOST_ORIGINS]):
        moves = _moves(origin, target, due, sources)
        told += [Guess(2.0 * rank + turn, move) for turn, move in enumerate(moves)]
    if origins:
        told += reordered(origins[0], target, due, sources)
    return sorted(told, key=lambda guess: guess.cost)


def _moves(origin: Origin, target: str, due: tuple[int, ...], sources: Shapes) -> list[Move]:
    """The origin in every orientation that makes the shape."""
    first = origin.places[0][0]
    block = first.shape_of(sources[first.source])
    if len(origin.places) == 1:
        turned = readings(first.source, block, target, due)
        return [
            Move(target, due, tuple(turn_of(p, axes, flips) for p in origin.places[0]))
            for axes, flips in turned
        ]
    blocks = [place[0].shape_of(sources[place[0].source]) for place in origin.places]
    return [
        Move(
            target,
            due,
            tuple(
                turn_of(piece, axes, (), adds=at > 0)
                for place in origin.places
                for at, piece in enumerate(place)
            ),
            joined,
        )
        for axes, joined in joins(first.source, blocks, target, due)
    ]


def _origins(sources: Shapes, targets: Shapes, target: str) -> list[Origin]:
    found = [
        *_whole(sources, targets, target),
        *_blocks(sources, targets, target),
        *_joined(sources, targets, target),
        *sums(sources, targets, target),
    ]
    return sorted(found, key=lambda origin: -origin.score)


def _whole(sources: Shapes, targets: Shapes, target: str) -> Iterator[Origin]:
    due = targets[target]
    for source, shape in sources.items():
        if prod(shape) == prod(due) and not roles_differ(source, target):
            same = sorted(n for n in shape if n > 1) == sorted(n for n in due if n > 1)
            score = fit(source, target, sources, targets) + 0.3 * same
            yield Origin(((straight(source, shape),),), score)


def _blocks(sources: Shapes, targets: Shapes, target: str) -> Iterator[Origin]:
    """One of several equal blocks of a fused leaf: the one its name says, else the one of its place among its like."""
    due = targets[target]
    for source, shape in sources.items():
        count = prod(shape) // max(prod(due), 1)
        if not 1 < count <= MOST_BLOCKS or count * prod(due) != prod(shape) or roles_differ(source, target):
            continue
        named = gate(target)
        place = named if named is not None and named < count else _place(target, targets, count)
        score = fit(source, target, sources, targets) + _kindred(source, target) + 0.3 * (named is not None)
        for cost, axis in enumerate(_cut_axes(shape, count)):
            length = shape[axis] // count
            piece = straight(source, shape, axis, place * length, (place + 1) * length)
            yield Origin(((piece,),), score - 0.4 * cost)


def _kindred(fused: str, part: str) -> float:
    """A query is in what is called in_proj or qkv; a gate is in a fused leaf of its own side."""
    mine, other = concepts(fused), concepts(part)
    if other & FUSED:
        return CONFLICT + KINDRED if "qkv" in mine else 0.0
    return KINDRED if other & RECURRENT & mine else -0.5


def _cut_axes(shape: tuple[int, ...], count: int) -> list[int]:
    """Axes that can be cut in so many blocks: the first and the last are those of the outputs."""
    fits = [axis for axis, length in enumerate(shape) if length % count == 0]
    return sorted(fits, key=lambda axis: (axis != 0, axis != len(shape) - 1))


def _place(target: str, targets: Shapes, count: int) -> int:
    siblings = [t for t in targets if targets[t] == targets[target] and role(t) == role(target)]
    return siblings.index(target) % count


def _joined(sources: Shapes, targets: Shapes, target: str) -> Iterator[Origin]:
    """Several leaves of one shape that follow one another: in the order of their gates, else of the leaves."""
    due = targets[target]
    likes: dict[tuple[tuple[int, ...], frozenset[str], bool], list[str]] = {}
    for source, shape in sources.items():
        if (
            shape
            and prod(shape) < prod(due)
            and prod(due) % prod(shape) == 0
            and role(source) == role(target)
        ):
            side = concepts(source) & (RECURRENT | frozenset({"reverse"}))
            likes.setdefault((shape, side, bool(concepts(source) & FUSED)), []).append(source)
    for (shape, *_), members in likes.items():
        count = prod(due) // prod(shape)
        if 1 < count <= MOST_BLOCKS and len(members) >= count:
            parts = sorted(members, key=lambda path: (gate(path) is None, gate(path) or 0))[:count]
            score = sum(fit(p, target, sources, targets) + _kindred(target, p) for p in parts) / count
            yield Origin(tuple((straight(p, sources[p]),) for p in parts), score)


def _spread_out(origins: dict[str, list[Origin]]) -> None:
    """Two leaves of the port do not take all of one leaf: the better fit keeps it, the other goes on to its next."""
    taken: set[Piece] = set()
    waiting = sorted(origins, key=lambda t: -origins[t][0].score if origins[t] else 0.0)
    for target in waiting:
        free = [
            o for o in origins[target] if not any(piece in taken for place in o.places for piece in place)
        ]
        dropped = [o for o in origins[target] if o not in free]
        origins[target] = free + (dropped if free else [])
        for place in origins[target][0].places if origins[target] else ():
            for piece in place:
                taken.add(piece)
