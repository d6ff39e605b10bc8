"""A layout in words: where each leaf of the port comes from."""

__all__ = ["comes", "rows", "text"]

from collections.abc import Mapping

from gradproof.porting.layouts.layout import Layout, LayoutRow, Move, Piece

_NAMED = {
    (4, (2, 3, 1, 0)): " (OIHW → HWIO)",
    (4, (3, 2, 0, 1)): " (HWIO → OIHW)",
    (3, (2, 1, 0)): " (OIW → WIO)",
    (5, (2, 3, 4, 1, 0)): " (OIDHW → DHWIO)",
    (5, (4, 3, 0, 1, 2)): " (DHWIO → OIDHW)",
}
"""Orders of axes that a convolution's kernel is known by."""

_KNOWN = {
    "value": "by value",
    "behaviour": "by behaviour",
    "shape": "by name and shape only",
    "given": "given",
    "": "",
}


def rows(layout: Layout) -> tuple[LayoutRow, ...]:
    """A row for every leaf of the port; those that come from nowhere last."""
    told = [LayoutRow(m.target, m.shape, comes(m, layout.shapes), _known(m)) for m in layout.moves]
    return (
        *told,
        *(LayoutRow(path, (), "comes from nothing in the reference", "") for path in layout.unmatched),
    )


def text(layout: Layout) -> str:
    """A table in plain text."""
    lines = [(r.leaf, str(r.shape) if r.comes[:1] == "=" else "", r.comes, r.known) for r in rows(layout)]
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(3)]
    table = [
        "  ".join(
            (*(cell.ljust(width) for cell, width in zip(line[:3], widths, strict=True)), line[3])
        ).rstrip()
        for line in lines
    ]
    unused = [f"unused in the reference: {', '.join(layout.unused)}"] if layout.unused else []
    return "\n".join((*table, *unused))


def comes(move: Move, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """ "= in_proj_weight[0:64] transposed, reshaped"."""
    if not move.pieces:
        return "= zeros"
    if move.joined is None:
        told = _added(move, shapes)
    else:
        terms = [" + ".join(_piece(piece, shapes) for piece in term) for term in move.terms]
        told = f"{', '.join(terms)} joined along axis {move.joined}"
    return f"= {told}{_reshaped(move, shapes)}"


def _added(move: Move, shapes: Mapping[str, tuple[int, ...]]) -> str:
    said = [_piece(piece, shapes) for piece in move.pieces]
    if len(said) > 1:
        return f"sum of {' and '.join(said)}"
    only = move.pieces[0]
    return said[0] + _share(only, only.shape or shapes.get(only.source, ()))


def _known(move: Move) -> str:
    ways = f"{move.alternatives} other way{'s fit' if move.alternatives > 1 else ' fits'} as well"
    known = _KNOWN.get(move.confirmed, move.confirmed)
    return "; ".join(part for part in (known, ways if move.alternatives else "") if part)


def _piece(piece: Piece, shapes: Mapping[str, tuple[int, ...]]) -> str:
    own = shapes.get(piece.source, ())
    words = [f"{piece.source}{_block(piece)}"]
    if piece.shape and piece.shape != own:
        words = [f"{piece.source} read as {piece.shape}{_block(piece)}"]
    words += [f"flipped along {_axes(piece.flipped)}"] if piece.flipped else []
    words += _turned(piece, piece.shape or own)
    return " ".join(words)


def _block(piece: Piece) -> str:
    if piece.axis is None:
        return ""
    return f"[{':, ' * piece.axis}{piece.start}:{piece.stop}]"


def _share(piece: Piece, read: tuple[int, ...]) -> str:
    if piece.axis is None or not read:
        return ""
    length, whole = piece.stop - piece.start, read[piece.axis]
    if whole % length or piece.start % length:
        return ""
    return f" (block {piece.start // length + 1} of {whole // length} along axis {piece.axis})"


def _turned(piece: Piece, read: tuple[int, ...]) -> list[str]:
    long = [axis for axis in piece.axes if axis >= len(read) or read[axis] != 1]
    if long == sorted(long):
        return []
    if piece.axes == (1, 0):
        return ["transposed"]
    named = "" if piece.shape else _NAMED.get((len(piece.axes), piece.axes), "")
    return [f"axes {piece.axes}{named}"]


def _axes(axes: tuple[int, ...]) -> str:
    return f"ax{'e' if len(axes) > 1 else 'i'}s {', '.join(map(str, axes))}"


def _reshaped(move: Move, shapes: Mapping[str, tuple[int, ...]]) -> str:
    parts = [term[0].shape_of(shapes[term[0].source]) for term in move.terms if term[0].source in shapes]
    if not parts:
        return ""
    made = list(parts[0])
    if move.joined is not None:
        made[move.joined] = sum(part[move.joined] for part in parts)
    return "" if tuple(made) == move.shape else ", reshaped"
