"""Which leaf comes from which, by exact values: whole, in blocks, joined, or as the sum of two."""

__all__ = ["infer_by_value"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import prod

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.layouts.blocks import EqualBlocks, Print, fingerprint
from gradproof.porting.layouts.grains import Index, cast, grain_of, rough
from gradproof.porting.layouts.layout import Layout, Move, Piece
from gradproof.porting.layouts.names import alike, place
from gradproof.porting.layouts.plain import plainest
from gradproof.porting.layouts.strides import piece_of, strided
from gradproof.porting.views import views

Shapes = Mapping[str, tuple[int, ...]]

MOST_PLACES = 64
"""Blocks that one leaf is joined of."""

MOST_SUMMED = 2**16
"""Numbers of a leaf that may be a term of a sum: biases."""

MOST_SUMS = 400
"""Pairs of leaves that are added up, the most alike first."""


def infer_by_value(
    reference: Mapping[str, HostArray],
    port: Mapping[str, HostArray],
    *,
    shared: Mapping[str, str] | None = None,
) -> Layout:
    """The layout under which the port already holds the reference's values, up to their rounding to the coarser dtype.

    `shared` are other paths of the reference's leaves. Where several leaves have one value (biases of zeros), paths
    decide; what they leave open is counted in `alternatives`.
    """
    search = _Search(reference, port, shared or {})
    for grain in search.grains:
        search.whole(grain)
        search.parts(grain)
    search.sums()
    search.constants()
    return search.layout()


class _Search:
    """What was found so far."""

    def __init__(
        self, reference: Mapping[str, HostArray], port: Mapping[str, HostArray], shared: Mapping[str, str]
    ) -> None:
        self.ours = {path: np.asarray(leaf) for path, leaf in reference.items()}
        self.theirs = {path: np.asarray(leaf) for path, leaf in port.items()}
        self.names = {path: (path, *(o for o, own in shared.items() if own == path)) for path in self.ours}
        self.shapes = {path: leaf.shape for path, leaf in self.ours.items()}
        self.moves: dict[str, Move] = {}
        self.grains = grain_of(
            *([x for x in side.values() if not _constant(x)] for side in (self.ours, self.theirs))
        )

    @property
    def open(self) -> list[str]:
        """Leaves of the port whose origin is not known, without those that hold one value only."""
        return [path for path, x in self.theirs.items() if path not in self.moves and not _constant(x)]

    @property
    def used(self) -> set[str]:
        """Leaves of the reference that go somewhere."""
        return {piece.source for move in self.moves.values() for piece in move.pieces}

    def whole(self, grain: str) -> None:
        """Leaves that have the same numbers in any order."""
        ours: dict[Print, list[str]] = {}
        for path, leaf in self.ours.items():
            if not _constant(leaf):
                ours.setdefault(fingerprint(cast(leaf, grain)), []).append(path)
        for target in self.open:
            leaf = cast(self.theirs[target], grain)
            sources = self._ranked(ours.get(fingerprint(leaf), ()), target)
            found = [
                piece for s in sources for piece in whole_pieces(s, cast(self.ours[s], grain), leaf, target)
            ]
            if found:
                self._add(target, found)

    def parts(self, grain: str) -> None:
        """Blocks of leaves, and leaves joined of blocks."""
        if grain in ("float16", "bfloat16"):
            blocks = EqualBlocks({path: cast(x, grain) for path, x in self.ours.items() if not _constant(x)})
            found = {target: blocks.move(target, cast(self.theirs[target], grain)) for target in self.open}
            self.moves |= {target: move for target, move in found.items() if move is not None}
            return
        targets = self.open
        telling = {path: cast(x, grain) for path, x in self.ours.items() if targets and not _constant(x)}
        index = Index(telling)
        for target in targets:
            if move := _joined(target, cast(self.theirs[target], grain), index, self.shapes):
                self.moves[target] = move

    def sums(self) -> None:
        """Leaves that are, or are joined of, sums of two: as blocks of sums that are made here."""
        targets = [target for target in self.open if self.theirs[target].size <= MOST_SUMMED]
        if not targets:
            return
        small = [path for path, x in self.ours.items() if x.size <= MOST_SUMMED and x.dtype.kind == "f"]
        pairs = sorted(
            (pair for pair in combinations(small, 2) if self.shapes[pair[0]] == self.shapes[pair[1]]),
            key=lambda pair: (-alike(*pair), pair),
        )[:MOST_SUMS]
        terms = {f"{one}\0{other}": (one, other) for one, other in pairs}
        grain = self.grains[-1]
        made = {key: rough(self.ours[one], self.ours[other], grain) for key, (one, other) in terms.items()}
        made |= {path: cast(self.ours[path], grain) for path in small if not _constant(self.ours[path])}
        shapes = {key: leaf.shape for key, leaf in made.items()}
        index = Index({key: leaf for key, leaf in made.items() if not _constant(leaf)}, loose=grain)
        for target in targets:
            if move := _joined(target, cast(self.theirs[target], grain), index, shapes):
                self.moves[target] = _spelled(move, terms)

    def constants(self) -> None:
        """Leaves of one value: what is most alike, each used once as long as there are others."""
        targets = [
            path for path, x in self.theirs.items() if path not in self.moves and x.size and _constant(x)
        ]
        taken: set[str] = set()
        ranks = {target: self._ranked(self._equal(target), target) for target in targets}
        for target in sorted(targets, key=lambda t: -self._score(ranks[t][0], t) if ranks[t] else 0.0):
            free = [source for source in ranks[target] if source not in taken] or ranks[target]
            if not free:
                continue
            best = self._score(free[0], target)
            ties = sum(self._score(source, target) >= best for source in free[1:])
            piece = plainest(free[0], self.shapes[free[0]], target, self.theirs[target].shape)
            taken.add(free[0])
            self.moves[target] = self._move(target, piece, ties)

    def layout(self) -> Layout:
        """In the order of the port."""
        moves = tuple(self.moves[path] for path in self.theirs if path in self.moves)
        unmatched = tuple(path for path in self.theirs if path not in self.moves)
        used = self.used
        return Layout(moves, unmatched, tuple(path for path in self.ours if path not in used), self.shapes)

    def _add(self, target: str, pieces: Sequence[Piece]) -> None:
        used = self.used
        free = [piece for piece in pieces if piece.source not in used] or list(pieces)
        best = self._score(free[0].source, target)
        ties = sum(self._score(piece.source, target) >= best for piece in free[1:])
        self.moves[target] = self._move(target, free[0], ties)

    def _move(self, target: str, piece: Piece, ties: int) -> Move:
        return Move(target, self.theirs[target].shape, (piece,), confirmed="value", alternatives=ties)

    def _equal(self, target: str) -> list[str]:
        """Leaves of the reference with the one value of `target`, and its size."""
        leaf = self.theirs[target]
        value = leaf.ravel()[0]
        return [
            path
            for path, x in self.ours.items()
            if x.size == leaf.size and _constant(x) and cast(x.ravel()[:1], self.grains[-1])[0] == value
        ]

    def _ranked(self, sources: Sequence[str], target: str) -> list[str]:
        return sorted(sources, key=lambda source: -self._score(source, target))

    def _score(self, source: str, target: str) -> float:
        """How well the paths fit; leaves of one module stay together."""
        homes = {
            place(p.source)
            for path, m in self.moves.items()
            if place(path) == place(target)
            for p in m.pieces
        }
        return max(alike(name, target) for name in self.names[source]) + 2.0 * (place(source) in homes)


def whole_pieces(path: str, source: HostArray, target: HostArray, name: str) -> list[Piece]:
    """Ways to read all of `source` as `target`, the usual one first."""
    straight = sorted(n for n in source.shape if n > 1) == sorted(n for n in target.shape if n > 1)
    found: list[Piece] = []
    if straight:
        ways = [view for view in views(source.shape, target.shape) if np.array_equal(view.of(source), target)]
        found = [Piece(path, _tidy(view.axes, source.shape, target.shape)) for view in ways]
    if not found:
        index = Index({path: source})
        hits = strided(target.ravel(), source.ravel(), index.find_in(path), np.array_equal)
        found = [
            piece for hit in hits if (piece := piece_of(path, source.shape, hit, target.shape)) is not None
        ]
    usual = plainest(path, source.shape, name, target.shape).axes
    return sorted(found, key=lambda piece: piece.axes != usual)


def _tidy(axes: tuple[int, ...], given: tuple[int, ...], due: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of length 1 where `due` has them: (O, I, 1, 1) is read as (1, 1, I, O) by (2, 3, 1, 0)."""
    if len(given) != len(due):
        return axes
    real = iter([axis for axis in axes if given[axis] != 1])
    single = iter([axis for axis in range(len(given)) if given[axis] == 1])
    return tuple(next(single if n == 1 else real) for n in due)


def _joined(target: str, leaf: HostArray, index: Index, shapes: Shapes) -> Move | None:
    """All of `leaf` as a block of one source; else joined of blocks along one of its axes."""
    for piece in _blocks(leaf, index, shapes):
        return Move(target, leaf.shape, (piece,), confirmed="value")
    for axis in range(leaf.ndim):
        pieces = _places(leaf, axis, index, shapes) if leaf.shape[axis] > 1 else None
        if pieces and (joined := _joinable(pieces, leaf, axis, shapes)) is not None:
            move = Move(target, leaf.shape, tuple(pieces), joined, "value")
            if move.flaw(shapes) is None and index.same(move.of(index.leaves).ravel(), leaf.ravel()):
                return move
    return None


def _blocks(leaf: HostArray, index: Index, shapes: Shapes) -> Iterator[Piece]:
    """Pieces that are `leaf`."""
    flat = leaf.ravel()
    for path in index.holders(flat):
        for view in strided(flat, index.leaves[path].ravel(), index.find_in(path), index.same):
            piece = piece_of(path, shapes[path], view, leaf.shape)
            if piece is not None and index.same(piece.of(index.leaves[path]).ravel(), flat):
                yield piece


def _places(leaf: HostArray, axis: int, index: Index, shapes: Shapes) -> list[Piece] | None:
    """Pieces that follow one another along `axis`, each as long as it can be; None if they do not cover it."""
    rows = np.moveaxis(leaf, axis, 0)
    pieces: list[Piece] = []
    start = 0
    while start < len(rows) and len(pieces) < MOST_PLACES:
        best = None
        for length in _lengths(rows, start, index):
            block = np.moveaxis(rows[start : start + length], 0, axis)
            best = next(_blocks(block, index, shapes), None)
            if best is not None:
                break
        if best is None:
            return None
        pieces.append(best)
        start += length
    return pieces if start == len(rows) else None


def _lengths(rows: HostArray, start: int, index: Index) -> list[int]:
    """How long the block from `start` may be: as far as the first entries of the rows go on in one source, evenly."""
    line = rows.reshape(len(rows), -1)[start:, 0]
    runs = set()
    for at in index.find(line[0])[:8]:
        if len(line) == 1:
            runs.add(1)
            break
        for there in index.find(line[1])[:8]:
            runs.add(index.run(line, int(at), int(there) - int(at)))
    left = len(rows) - start
    return sorted({n for n in runs if 1 < n <= left} | {1}, reverse=True)[:4]


def _joinable(pieces: Sequence[Piece], leaf: HostArray, axis: int, shapes: Shapes) -> int | None:
    """Axis of the pieces that is `axis` of the leaf; None if they are of different form there."""
    forms = [piece.shape_of(shapes[piece.source]) for piece in pieces]
    before = prod(leaf.shape[:axis])
    for at in range(len(forms[0])):
        if all(len(f) > at and prod(f[:at]) == before for f in forms):
            rest = {(*f[:at], *f[at + 1 :]) for f in forms}
            if len(rest) == 1 and _inner(forms[0], at, leaf, axis):
                return at
    return None


def _inner(form: tuple[int, ...], at: int, leaf: HostArray, axis: int) -> bool:
    """Whether what comes after the axis is as large in the piece as in the leaf, up to factors of the axis itself."""
    return prod(leaf.shape[axis + 1 :]) <= prod(form[at + 1 :]) or form[at] == 1


def _spelled(move: Move, terms: Mapping[str, tuple[str, str]]) -> Move:
    """The move with each sum written as its two terms."""
    pieces: list[Piece] = []
    for piece in move.pieces:
        one, *other = terms.get(piece.source, (piece.source,))
        pieces.append(replace(piece, source=one))
        pieces += [replace(piece, source=path, adds=move.joined is not None) for path in other]
    return replace(move, pieces=tuple(pieces))


def _constant(x: HostArray) -> bool:
    flat = x.ravel()
    return bool(x.size == 0 or x.dtype.kind not in "fc" or (flat[0] == flat[-1] and (flat == flat[0]).all()))
