"""The layout between two ports: by value where the port holds the reference's parameters already, else by behaviour; or as given."""

__all__ = ["as_layout", "infer_layout"]

from collections.abc import Mapping, Sequence
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.backend import unknown
from gradproof.porting.layouts.layout import Layout, LayoutError, Move
from gradproof.porting.layouts.plain import orders
from gradproof.porting.layouts.trials import infer_by_behaviour
from gradproof.porting.layouts.values import infer_by_value
from gradproof.porting.port import NotRunnableError, Port
from gradproof.porting.views import views

HELD = 0.5
"""Share of the port's numbers, or leaves, that are the reference's, from which on it holds the reference's parameters."""

MOST_VIEWS = 24
"""Orders of axes in which a leaf is looked for that was copied in part: all of four axes."""


def infer_layout(
    reference: Port, port: Port, inputs_ref: Sequence[Any], inputs_port: Sequence[Any], *, seed: int = 0
) -> tuple[Layout, bool]:
    """The layout, and whether the reference's parameters have to be transferred (else the port holds them already).

    What values leave open is completed by behaviour. What they say is not doubted: a mistake of a transfer by hand
    (a square matrix that was not transposed) is part of the layout, and of what the port computes.
    """
    by_value = infer_by_value(leaves_of(reference), leaves_of(port), shared=reference.shared)
    held = _held(by_value, leaves_of(reference), leaves_of(port)) >= HELD
    known = {move.target: move for move in by_value.moves if not move.alternatives} if held else {}
    if held and len(known) == len(leaves_of(port)):
        return by_value, False
    try:
        found = infer_by_behaviour(reference, port, inputs_ref, inputs_port, known=known, seed=seed)
    except NotRunnableError:  # a record: what is known by value is all that can be known
        return by_value, not held
    return (_completed(by_value, found, leaves_of(reference), leaves_of(port)) if held else found), not held


def leaves_of(port: Port) -> dict[str, HostArray]:
    """Parameters and buffers."""
    return {**port.parameters, **port.buffers}


def _held(layout: Layout, ours: Mapping[str, HostArray], theirs: Mapping[str, HostArray]) -> float:
    """Share of the numbers, or of the leaves if that is more, that come from the reference.

    A leaf most of whose entries do counts as well: one row of it was copied wrongly. Constants tell nothing.
    """
    telling = {path: leaf for path, leaf in theirs.items() if leaf.size and np.ptp(leaf) > 0}
    matched = {move.target for move in layout.moves} & set(telling)
    matched |= {path for path in telling if path not in matched and _mostly(telling[path], ours)}
    if not telling:
        return 0.0
    numbers = sum(leaf.size for leaf in telling.values())
    shares = (sum(telling[path].size for path in matched) / numbers, len(matched) / len(telling))
    return max(shares)


def _mostly(leaf: HostArray, ours: Mapping[str, HostArray]) -> bool:
    """Whether half of the entries are those of one leaf of the reference, in some order of its axes."""
    single = np.asarray(leaf, dtype=np.float32)
    return any(
        np.mean(np.asarray(view.of(other), dtype=np.float32) == single) >= HELD
        for other in ours.values()
        if other.size == leaf.size
        for view in islice(views(other.shape, leaf.shape), MOST_VIEWS)
    )


def _completed(
    by_value: Layout, found: Layout, ours: Mapping[str, HostArray], theirs: Mapping[str, HostArray]
) -> Layout:
    """What behaviour says of leaves that values left ambiguous counts only where it makes the port's values too."""
    behaved = {move.target: move for move in found.moves}
    settled = {move.target: move for move in by_value.moves}
    for target, move in behaved.items():
        before = settled.get(target)
        keeps = before is None or np.allclose(move.of(ours), theirs[target], rtol=1e-6, atol=0)
        if keeps and (before is None or move.confirmed == "behaviour"):
            settled[target] = move
    return _layout(settled, ours, theirs)


def as_layout(given: Layout | Mapping[str, str] | str | Path, reference: Port, port: Port) -> Layout:
    """A layout that the user gives: a Layout, the path of its JSON, or {path in the port: path in the reference}.

    A pair of paths is read in the usual order of axes. Raises LayoutError for paths that do not exist and shapes that
    do not fit.
    """
    ours, theirs = leaves_of(reference), leaves_of(port)
    if isinstance(given, str | Path):
        given = Layout.from_json(Path(given).read_text(encoding="utf-8"))
    if isinstance(given, Layout):
        moves = {move.target: move for move in given.moves}
    elif isinstance(given, Mapping):
        moves = {target: _paired(target, source, ours, theirs) for target, source in given.items()}
    else:
        raise TypeError(f"a layout is a Layout, a mapping of paths or a file; a {type(given).__name__} came")
    for move in moves.values():
        _fits(move, ours, theirs)
    return _layout(moves, ours, theirs)


def _paired(target: str, source: str, ours: Mapping[str, HostArray], theirs: Mapping[str, HostArray]) -> Move:
    _known_path(target, theirs, "leaf of the port")
    _known_path(source, ours, "leaf of the reference")
    given, due = ours[source].shape, theirs[target].shape
    if prod(given) != prod(due):
        raise LayoutError(f"{target} has shape {due}; {source} of shape {given} has not as many numbers")
    fits = orders(source, given, target, due)
    return Move(target, due, tuple(fits[:1]), confirmed="given", alternatives=len(fits) - 1)


def _fits(move: Move, ours: Mapping[str, HostArray], theirs: Mapping[str, HostArray]) -> None:
    _known_path(move.target, theirs, "leaf of the port")
    for piece in move.pieces:
        _known_path(piece.source, ours, "leaf of the reference")
    if move.shape != theirs[move.target].shape:
        raise LayoutError(
            f"{move.target} has shape {theirs[move.target].shape}; the layout makes {move.shape}"
        )
    if flaw := move.flaw({path: leaf.shape for path, leaf in ours.items()}):
        raise LayoutError(flaw)


def _known_path(path: Any, leaves: Mapping[str, HostArray], what: str) -> None:
    if path not in leaves:
        raise LayoutError(unknown(what, str(path), tuple(leaves)))


def _layout(
    moves: Mapping[str, Move], ours: Mapping[str, HostArray], theirs: Mapping[str, HostArray]
) -> Layout:
    used = {piece.source for move in moves.values() for piece in move.pieces}
    return Layout(
        tuple(moves[path] for path in theirs if path in moves),
        tuple(path for path in theirs if path not in moves),
        tuple(path for path in ours if path not in used),
        {path: leaf.shape for path, leaf in ours.items()},
    )
