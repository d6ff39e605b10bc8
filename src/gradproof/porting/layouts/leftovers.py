"""What no trial told: leaves of the port without an origin, from what is unused in the reference, by names and shapes."""

__all__ = ["with_leftovers"]

from dataclasses import replace

from gradproof.porting.layouts.groups import proposals
from gradproof.porting.layouts.guesses import guesses
from gradproof.porting.layouts.layout import Layout
from gradproof.porting.layouts.origins import Shapes


def with_leftovers(layout: Layout, targets: Shapes) -> Layout:
    """The layout in which nothing is left out that what is unused in the reference can make; `targets` in the port's order.

    A leaf that is said to have no counterpart is said to be missing: that takes more than a trial that failed.
    """
    free = {path: layout.shapes[path] for path in layout.unused}
    open_ = {path: targets[path] for path in layout.unmatched if path in targets}
    ways = proposals(guesses(free, open_), free) if free and open_ else []
    if not ways:
        return layout
    found = {move.target: replace(move, confirmed="shape") for move in ways[0] if move.pieces}
    moves = {**{move.target: move for move in layout.moves}, **found}
    used = {piece.source for move in found.values() for piece in move.pieces}
    order = {path: at for at, path in enumerate(targets)}
    return Layout(
        tuple(moves[path] for path in sorted(moves, key=lambda path: order.get(path, -1))),
        tuple(path for path in layout.unmatched if path not in found),
        tuple(path for path in layout.unused if path not in used),
        layout.shapes,
    )
