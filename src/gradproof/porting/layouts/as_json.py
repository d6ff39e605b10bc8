"""A layout as JSON: versioned, short enough to be edited by hand, and read with its shapes checked."""

__all__ = ["read", "written"]

import json
from collections.abc import Mapping
from typing import Any

from gradproof.backend import unknown
from gradproof.porting.layouts.layout import Layout, LayoutError, Move, Piece

VERSION = 1
_TOP = {"gradproof_layout", "reference", "moves", "unmatched", "unused"}
_MOVE = {"leaf", "shape", "from", "joined", "confirmed", "alternatives"}
_PIECE = {"leaf", "axes", "axis", "start", "stop", "read_as", "flipped", "adds"}
_KNOWN = ("", "value", "behaviour", "shape", "given")


def written(layout: Layout) -> str:
    """Text of `layout`; what is as usual (no block, no join, no flip) is left out. A move is one line."""
    moves = ",\n".join("  " + json.dumps(_move(move), ensure_ascii=False) for move in layout.moves)
    shapes = json.dumps({path: list(shape) for path, shape in layout.shapes.items()}, ensure_ascii=False)
    ends = {
        name: json.dumps(list(getattr(layout, name)), ensure_ascii=False) for name in ("unmatched", "unused")
    }
    return (
        f'{{"gradproof_layout": {VERSION},\n "reference": {shapes},\n "moves": [\n{moves}\n ],\n'
        f' "unmatched": {ends["unmatched"]},\n "unused": {ends["unused"]}}}\n'
    )


def read(text: str) -> Layout:
    """The layout that `text` holds. Raises LayoutError."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise LayoutError(f"the layout is not JSON: {error}") from None
    _keys(data, _TOP, "the layout", due={"gradproof_layout", "reference", "moves"})
    if data["gradproof_layout"] != VERSION:
        raise LayoutError(
            f"the layout is of version {data['gradproof_layout']!r}; version {VERSION} is read here"
        )
    if not isinstance(data["reference"], dict) or not isinstance(data["moves"], list):
        raise LayoutError('"reference" has to be an object of shapes, and "moves" a list')
    shapes = {path: _ints(shape, f"the shape of {path}") for path, shape in data["reference"].items()}
    moves = tuple(_read_move(move, shapes) for move in data["moves"])
    unmatched, unused = (_paths(data.get(name, []), name) for name in ("unmatched", "unused"))
    _once([move.target for move in moves] + list(unmatched))
    return Layout(moves, unmatched, unused, shapes)


def _move(move: Move) -> dict[str, Any]:
    told: dict[str, Any] = {
        "leaf": move.target,
        "shape": list(move.shape),
        "from": [_piece(p) for p in move.pieces],
    }
    if move.joined is not None:
        told["joined"] = move.joined
    told["confirmed"] = move.confirmed
    if move.alternatives:
        told["alternatives"] = move.alternatives
    return told


def _piece(piece: Piece) -> dict[str, Any]:
    told: dict[str, Any] = {"leaf": piece.source}
    if piece.shape:
        told["read_as"] = list(piece.shape)
    if piece.axis is not None:
        told |= {"axis": piece.axis, "start": piece.start, "stop": piece.stop}
    if piece.flipped:
        told["flipped"] = list(piece.flipped)
    if piece.axes != tuple(range(len(piece.axes))):
        told["axes"] = list(piece.axes)
    return {**told, "adds": True} if piece.adds else told


def _read_move(data: Any, shapes: Mapping[str, tuple[int, ...]]) -> Move:
    _keys(data, _MOVE, "a move", due={"leaf", "shape", "from"})
    target = data["leaf"]
    if not isinstance(target, str) or not isinstance(data["from"], list):
        raise LayoutError(f'move {target!r}: "leaf" has to be a path, and "from" a list')
    pieces = tuple(_read_piece(piece, target, shapes) for piece in data["from"])
    joined = None if data.get("joined") is None else _int(data["joined"], f'"joined" of {target}')
    confirmed, others = (
        data.get("confirmed", "given"),
        _int(data.get("alternatives", 0), f'"alternatives" of {target}'),
    )
    if confirmed not in _KNOWN:
        raise LayoutError(f"{target}: {unknown('confirmation', str(confirmed), _KNOWN)}")
    move = Move(target, _ints(data["shape"], f"the shape of {target}"), pieces, joined, confirmed, others)
    if flaw := move.flaw(shapes):
        raise LayoutError(flaw)
    return move


def _read_piece(data: Any, target: str, shapes: Mapping[str, tuple[int, ...]]) -> Piece:
    where = f"a piece of {target}"
    _keys(data, _PIECE, where, due={"leaf"})
    source = data["leaf"]
    if source not in shapes:
        raise LayoutError(f"{where}: {unknown('leaf of the reference', str(source), tuple(shapes))}")
    shape = _ints(data.get("read_as", []), f'"read_as" of {where}')
    axes = _ints(data.get("axes", list(range(len(shape or shapes[source])))), f'"axes" of {where}')
    axis = None if data.get("axis") is None else _int(data["axis"], f'"axis" of {where}')
    start, stop = (_int(data.get(name, 0), f'"{name}" of {where}') for name in ("start", "stop"))
    flipped = _ints(data.get("flipped", []), f'"flipped" of {where}')
    return Piece(source, axes, axis, start, stop, shape, flipped, adds=bool(data.get("adds", False)))


def _keys(data: Any, known: set[str], where: str, due: set[str]) -> None:
    if not isinstance(data, dict):
        raise LayoutError(f"{where} has to be an object; a {type(data).__name__} came")
    for key in data:
        if key not in known:
            raise LayoutError(f"{where}: {unknown('key', key, sorted(known))}")
    if missing := sorted(due - set(data)):
        raise LayoutError(f"{where} has no {missing[0]!r}")


def _int(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise LayoutError(f"{where} has to be a whole number from 0; {value!r} came")
    return value


def _ints(value: Any, where: str) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise LayoutError(f"{where} has to be a list of whole numbers; {value!r} came")
    return tuple(_int(entry, where) for entry in value)


def _paths(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise LayoutError(f'"{where}" has to be a list of paths; {value!r} came')
    return tuple(value)


def _once(paths: list[str]) -> None:
    for path in paths:
        if paths.count(path) > 1:
            raise LayoutError(f"{path} is there twice")
