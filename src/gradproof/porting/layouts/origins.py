"""Blocks of leaves that a leaf of the port may be made of, and how well their names and places fit."""

__all__ = [
    "CONFLICT",
    "FUSED",
    "KINDRED",
    "RECURRENT",
    "Guess",
    "Origin",
    "Shapes",
    "fit",
    "roles_differ",
    "straight",
    "turn_of",
]

from collections.abc import Mapping
from dataclasses import dataclass

from gradproof.porting.layouts.layout import Move, Piece
from gradproof.porting.layouts.names import ROLES, alike, concepts, numbers, role, tokens

Shapes = Mapping[str, tuple[int, ...]]

RECURRENT = frozenset({"i", "h"})
FUSED = frozenset({"q", "k", "v"})

CONFLICT, KINDRED, ORDER = 1.5, 1.0, 0.8
"""Against words that exclude each other; for a block that is in the fused leaf by name; for the same
place in the order of the leaves."""


@dataclass(frozen=True)
class Guess:
    """One way a leaf can be made."""

    cost: float
    move: Move
    style: str = ""
    """What has to be the same for all leaves of a module: the order of the gates."""


@dataclass(frozen=True)
class Origin:
    """Blocks of leaves, not yet turned: places that are joined, each with terms that are added up."""

    places: tuple[tuple[Piece, ...], ...]
    score: float


def turn_of(piece: Piece, axes: tuple[int, ...], flips: tuple[int, ...], *, adds: bool = False) -> Piece:
    """The same block, turned."""
    return Piece(piece.source, axes, piece.axis, piece.start, piece.stop, flipped=flips, adds=adds)


def fit(source: str, target: str, sources: Shapes, targets: Shapes) -> float:
    """How well names and places in the order fit."""
    mine, other = concepts(source), concepts(target)
    apart = bool(mine and other and not mine & other)
    counted = _counted(source, sources) == _counted(target, targets)
    literal = numbers(source) == numbers(target)
    at = [_standing(source, sources), _standing(target, targets)]
    return (
        alike(source, target)
        - CONFLICT * apart
        + 0.5 * counted
        - 0.5 * literal  # which `alike` has counted: from 0 or from 1 is the same
        + ORDER * (1 - abs(at[0] - at[1]))
        + 0.1 * ("i" in other and not mine)  # of two biases the input's, where there is one
    )


def _counted(path: str, leaves: Shapes) -> tuple[int, ...]:
    """Numbers in a path, the last of them from 0."""
    first = min((numbers(other)[-1] for other in leaves if numbers(other)), default=0)
    own = numbers(path)
    return (*own[:-1], own[-1] - first) if own else ()


def _standing(path: str, leaves: Shapes) -> float:
    """Where a leaf stands among those of its role, from 0 to 1, by name and number."""
    alikes = sorted((other for other in leaves if role(other) == role(path)), key=_natural)
    return alikes.index(path) / max(len(alikes) - 1, 1)


def _natural(path: str) -> tuple[tuple[bool, int, str], ...]:
    return tuple((word.isdigit(), int(word) if word.isdigit() else 0, word) for word in tokens(path))


def roles_differ(source: str, target: str) -> bool:
    """Whether one never comes from the other: a bias from a mean."""
    return role(source) != role(target) and {role(source), role(target)} <= ROLES


def straight(
    source: str, shape: tuple[int, ...], axis: int | None = None, start: int = 0, stop: int = 0
) -> Piece:
    """A block of a leaf, not turned."""
    return Piece(source, tuple(range(len(shape))), axis, start, stop)
