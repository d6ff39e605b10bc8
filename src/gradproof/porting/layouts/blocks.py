"""Equal blocks found by all their numbers at once: in bfloat16 a single number is in a leaf a thousand times."""

__all__ = ["EqualBlocks", "fingerprint"]

from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.layouts.layout import Move, Piece
from gradproof.porting.views import views

MOST_BLOCKS = 12
"""In which a leaf is cut: heads and gates."""

Print = tuple[int, bytes]


def fingerprint(x: HostArray) -> Print:
    """The same for the same numbers in any order; of others hardly ever, and the order is looked at afterwards."""
    return x.size, blake2b(np.sort(x, axis=None).tobytes(), digest_size=16).digest()


class _Block(NamedTuple):
    path: str
    axis: int | None
    start: int
    stop: int


class EqualBlocks:
    """Leaves of the reference, cut into equal blocks of the sizes that are asked for."""

    def __init__(self, leaves: Mapping[str, HostArray]) -> None:
        self.leaves = leaves
        self._known: dict[int, dict[Print, _Block]] = {}

    def move(self, target: str, leaf: HostArray) -> Move | None:
        """All of `leaf` as one block, or joined of equal blocks."""
        piece = self._piece(leaf)
        if piece is not None:
            return Move(target, leaf.shape, (piece,), confirmed="value")
        for axis, blocks in _cuts(leaf):
            pieces = [self._piece(block) for block in blocks]
            found = [piece for piece in pieces if piece is not None]
            if len(found) == len(pieces) and len({len(piece.axes) for piece in found}) == 1:
                move = Move(target, leaf.shape, tuple(found), axis, "value")
                shapes = {path: x.shape for path, x in self.leaves.items()}
                if move.flaw(shapes) is None and np.array_equal(move.of(self.leaves), leaf):
                    return move
        return None

    def _piece(self, leaf: HostArray) -> Piece | None:
        block = self._of_size(leaf.size).get(fingerprint(leaf))
        if block is None:
            return None
        path, axis, start, stop = block
        straight = tuple(range(self.leaves[path].ndim))
        source = Piece(path, straight, axis, start, stop)
        given = source.of(self.leaves[path])
        for view in views(given.shape, leaf.shape):
            if np.array_equal(view.of(given), leaf):
                return replace(source, axes=view.axes)
        return self._split(source, given, leaf)

    def _split(self, source: Piece, given: HostArray, leaf: HostArray) -> Piece | None:
        """The block in another order and another shape: (E, E) is (E, H, D) transposed and split."""
        for rank in range(1, given.ndim):
            axes = (*range(rank, given.ndim), *range(rank))
            if np.array_equal(np.transpose(given, axes).reshape(leaf.shape), leaf):
                return replace(source, axes=axes)
        return None

    def _of_size(self, size: int) -> dict[Print, _Block]:
        if size not in self._known:
            self._known[size] = {
                fingerprint(block): at
                for path, leaf in self.leaves.items()
                for at, block in _sized(path, leaf, size)
            }
        return self._known[size]


def _sized(path: str, leaf: HostArray, size: int) -> Iterator[tuple[_Block, HostArray]]:
    if leaf.size == size:
        yield _Block(path, None, 0, 0), leaf
        return
    for axis, blocks in _cuts(leaf):
        if blocks[0].size == size:
            length = blocks[0].shape[axis]
            yield from ((_Block(path, axis, i * length, (i + 1) * length), b) for i, b in enumerate(blocks))


def _cuts(leaf: HostArray) -> Iterator[tuple[int, list[HostArray]]]:
    for axis, length in enumerate(leaf.shape):
        for count in range(2, min(MOST_BLOCKS, length) + 1):
            if length % count == 0:
                yield axis, np.split(leaf, count, axis)
