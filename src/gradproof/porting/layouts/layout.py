"""Where each parameter of a port comes from in the reference: a linear map, leaf by leaf."""

__all__ = ["Layout", "LayoutError", "LayoutRow", "Move", "Piece"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import prod
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray


class LayoutError(ValueError):
    """A layout that does not fit its parameters, or that cannot be read."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A block of one leaf of the reference, read in another shape: take the block, flip, transpose."""

    source: str
    """Path in the reference."""
    axes: tuple[int, ...]
    """Order of the axes, after the block was taken."""
    axis: int | None = None
    """The block is `start:stop` of this axis; None for all of it."""
    start: int = 0
    stop: int = 0
    shape: tuple[int, ...] = ()
    """The leaf is read in this shape before anything else; () for its own."""
    flipped: tuple[int, ...] = ()
    """Axes that run backwards, before they are transposed."""
    adds: bool = False
    """In a join: added to the piece before it instead of following it."""

    def of(self, leaf: HostArray) -> HostArray:
        """The piece of `leaf`."""
        return np.transpose(np.flip(self._block(leaf), self.flipped), self.axes)

    def put(self, leaf: HostArray, piece: HostArray) -> None:
        """Add `piece` to the block of `leaf` that it came from: the adjoint of `of`. `leaf` is contiguous."""
        back = np.transpose(piece, np.argsort(self.axes, kind="stable"))
        self._block(leaf)[...] += np.flip(back, self.flipped)

    def shape_of(self, leaf: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the piece of a leaf of this shape."""
        block = self._block_shape(leaf)
        return tuple(block[axis] for axis in self.axes)

    def flaw(self, leaf: tuple[int, ...]) -> str | None:
        """Why there is no such piece of a leaf of this shape; None if there is one."""
        read = self.shape or leaf
        if prod(read) != prod(leaf):
            return f"{self.source} has shape {leaf}, which cannot be read as {read}"
        if sorted(self.axes) != list(range(len(read))):
            return f"axes {self.axes} of {self.source} are no order of the {len(read)} axes of {read}"
        if self.axis is None:
            return None
        if not 0 <= self.axis < len(read) or not 0 <= self.start < self.stop <= read[self.axis]:
            return (
                f"{self.source} of shape {read} has no block {self.start}:{self.stop} along axis {self.axis}"
            )
        return None

    def _block(self, leaf: HostArray) -> HostArray:
        read = leaf.reshape(self.shape) if self.shape else leaf
        if self.axis is None:
            return read
        return read[(slice(None),) * self.axis + (slice(self.start, self.stop),)]

    def _block_shape(self, leaf: tuple[int, ...]) -> tuple[int, ...]:
        read = self.shape or leaf
        return tuple(self.stop - self.start if axis == self.axis else n for axis, n in enumerate(read))


@dataclass(frozen=True, slots=True)
class Move:
    """How one leaf of the port is made: its pieces joined along an axis, or added up, then reshaped. No pieces: zeros."""

    target: str
    """Path in the port."""
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]
    joined: int | None = None
    """Axis along which the pieces are concatenated; None: they are added up (one piece: itself)."""
    confirmed: str = ""
    """How it is known: "value", "behaviour"; "shape" if nothing but the shape fits; "given" by the user."""
    alternatives: int = 0
    """Other ways that fit as well: the layout is ambiguous here."""

    @property
    def terms(self) -> tuple[tuple[Piece, ...], ...]:
        """Pieces that are added up, by place in the join (one place without a join)."""
        if self.joined is None:
            return (self.pieces,)
        places: list[list[Piece]] = []
        for piece in self.pieces:
            if piece.adds and places:
                places[-1].append(piece)
            else:
                places.append([piece])
        return tuple(tuple(place) for place in places)

    def of(self, leaves: Mapping[str, HostArray]) -> HostArray:
        """The leaf of the port."""
        sums = [
            reduce(np.add, (piece.of(leaves[piece.source]) for piece in term)) for term in self.terms if term
        ]
        if not sums:
            like = next(iter(leaves.values()), np.zeros(()))
            return np.zeros(self.shape, like.dtype if like.dtype.kind == "f" else np.float64)
        whole = sums[0] if self.joined is None else np.concatenate(sums, axis=self.joined)
        return np.array(whole.reshape(self.shape))  # of its own: nothing aliases the reference

    def split(
        self, leaf: HostArray, shapes: Mapping[str, tuple[int, ...]]
    ) -> Iterator[tuple[tuple[Piece, ...], HostArray]]:
        """Each place of the join, with its part of a leaf of the port."""
        terms = [term for term in self.terms if term]
        parts = [term[0].shape_of(shapes[term[0].source]) for term in terms]
        if self.joined is None or not terms:
            yield from ((term, leaf.reshape(part)) for term, part in zip(terms, parts, strict=True))
            return
        lengths = [part[self.joined] for part in parts]
        whole = (*parts[0][: self.joined], sum(lengths), *parts[0][self.joined + 1 :])
        blocks = np.split(leaf.reshape(whole), np.cumsum(lengths)[:-1], axis=self.joined)
        yield from zip(terms, blocks, strict=True)

    def flaw(self, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
        """Why it cannot be made of leaves of these shapes; None if it can."""
        missing = [piece.source for piece in self.pieces if piece.source not in shapes]
        if missing:
            return f"{self.target} comes from {missing[0]}, which the reference does not have"
        flaws = [flaw for piece in self.pieces if (flaw := piece.flaw(shapes[piece.source]))]
        if flaws:
            return f"{self.target}: {flaws[0]}"
        return self._flaw_of_joining([piece.shape_of(shapes[piece.source]) for piece in self.pieces])

    def _flaw_of_joining(self, parts: list[tuple[int, ...]]) -> str | None:
        if not parts:
            return None
        joined, at = self.joined is not None, self.joined or 0
        if joined and not 0 <= at < len(parts[0]):
            return f"{self.target}: pieces of shape {parts[0]} cannot be joined along axis {at}"
        placed = [i for i, piece in enumerate(self.pieces) if i == 0 or (joined and not piece.adds)]
        for i, part in enumerate(parts):
            like = parts[max(j for j in placed if j <= i)]
            same = (
                part == like
                if i not in placed
                else _without(part, at, joined) == _without(parts[0], at, joined)
            )
            if not same:
                return f"{self.target}: its pieces have shapes {parts[0]} and {part}"
        whole = prod(_without(parts[0], at, joined)) * (sum(parts[i][at] for i in placed) if joined else 1)
        return (
            None
            if whole == prod(self.shape)
            else f"{self.target} has shape {self.shape}; its pieces have {whole} numbers"
        )


class LayoutRow(NamedTuple):
    """A leaf of the port in words."""

    leaf: str
    shape: tuple[int, ...]
    comes: str
    """ "= in_proj_weight[0:64] transposed, reshaped"."""
    known: str
    """ "by value"; "by value; 2 other ways fit as well"."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Of a whole port. `unmatched` are leaves of the port that come from nowhere, `unused` those of the reference that go nowhere."""

    moves: tuple[Move, ...]
    unmatched: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Of every leaf of the reference."""

    def apply(self, leaves: Mapping[str, HostArray]) -> dict[str, HostArray]:
        """The port's leaves, of the reference's. Leaves that come from nowhere are absent."""
        missing = [p.source for move in self.moves for p in move.pieces if p.source not in leaves]
        if missing:
            raise LayoutError(
                f"the layout needs {missing[0]}, which is not among the {len(leaves)} parameters given"
            )
        self._check(leaves)
        return {move.target: move.of(leaves) for move in self.moves}

    def pull(self, gradients: Mapping[str, HostArray]) -> dict[str, HostArray]:
        """Gradient with respect to the reference's leaves, of that with respect to the port's: the transpose of `apply`.

        All uses of a leaf are added up, and a sum hands the same gradient to each of its terms. Leaves of the reference
        that reach no leaf in `gradients` are absent.
        """
        pulled: dict[str, HostArray] = {}
        for move in self.moves:
            if move.target in gradients:
                for term, part in move.split(np.asarray(gradients[move.target]), self.shapes):
                    for piece in term:
                        piece.put(_slot(pulled, piece.source, self.shapes, part), part)
        return pulled

    def inverse_apply(self, leaves: Mapping[str, HostArray]) -> dict[str, HostArray]:
        """The reference's leaves, of the port's, where all of a leaf is known. Of a sum, the first term gets all."""
        made: dict[str, HostArray] = {}
        known: dict[str, HostArray] = {}
        for move in self.moves:
            if move.target in leaves:
                for term, part in move.split(np.asarray(leaves[move.target]), self.shapes):
                    for place, piece in enumerate(term):
                        _fill(piece, part if place == 0 else np.zeros_like(part), made, known, self.shapes)
        return {path: made[path] for path in made if known[path].all()}

    def table(self) -> tuple[LayoutRow, ...]:
        """A row for every leaf of the port, in words."""
        from gradproof.porting.layouts.words import rows  # noqa: PLC0415 -- a view of itself

        return rows(self)

    def __str__(self) -> str:
        from gradproof.porting.layouts.words import text  # noqa: PLC0415 -- a view of itself

        return text(self)

    def to_json(self) -> str:
        """As text that can be edited by hand and read again."""
        from gradproof.porting.layouts.as_json import written  # noqa: PLC0415 -- a view of itself

        return written(self)

    @classmethod
    def from_json(cls, text: str) -> "Layout":
        """What `to_json` wrote. Raises LayoutError for unknown keys, and for shapes that do not fit."""
        from gradproof.porting.layouts.as_json import read  # noqa: PLC0415 -- a view of itself

        return read(text)

    def _check(self, leaves: Mapping[str, HostArray]) -> None:
        for path, shape in self.shapes.items():
            if path in leaves and np.shape(leaves[path]) != shape:
                raise LayoutError(f"{path} has shape {np.shape(leaves[path])}; the layout is of {shape}")


def _without(shape: tuple[int, ...], axis: int, joined: bool) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :]) if joined else shape


def _slot(
    made: dict[str, HostArray], source: str, shapes: Mapping[str, tuple[int, ...]], like: HostArray
) -> HostArray:
    if source not in made:
        made[source] = np.zeros(shapes[source], like.dtype)
    return made[source]


def _fill(
    piece: Piece,
    part: HostArray,
    made: dict[str, HostArray],
    known: dict[str, HostArray],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Write `part` where nothing was written before: of two uses, the first counts."""
    seen = _slot(known, piece.source, shapes, np.zeros((), dtype=np.int64))
    fresh = piece.of(seen) == 0
    piece.put(_slot(made, piece.source, shapes, part), np.where(fresh, part, 0))
    piece.put(seen, np.ones(part.shape, np.int64))
