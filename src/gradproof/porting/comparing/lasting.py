"""What a run and a step leave behind: running statistics, and parameters that moved."""

__all__ = ["buffers", "step", "stepped_sides"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, in_double
from gradproof.porting.comparing.against import Against
from gradproof.porting.comparing.bars import DOUBLE, FLOOR, gap_within, typical
from gradproof.porting.comparing.findings import label, names_of, of_gap, said
from gradproof.porting.comparing.sides import Side
from gradproof.verdict import Finding, Reason, Verdict


def buffers(against: Against) -> Iterator[Finding]:
    """What is not trained, after the run: running statistics. One that changes and has no counterpart is missing."""
    ours, theirs = against.reference, against.port
    names, layout = names_of(against), against.layout
    for side, paths, other in ((ours, layout.unused, names[1]), (theirs, layout.unmatched, names[0])):
        for path in paths:
            if path in side.port.buffers and _changes(side, path):
                detail = f"it changes in the run, and nothing in {other} corresponds to it"
                yield said(names, "buffer", path, Verdict.DISAGREES, Reason.MISSING, detail)
    if not ours.double.buffers:
        return
    expected = layout.apply({**ours.all_leaves, **{k: in_double(x) for k, x in ours.double.buffers.items()}})
    for move in layout.moves:
        if move.target in theirs.port.buffers and move.target in theirs.double.buffers:
            yield of_gap(names, "buffer", label(move), against.buffer_gap(move, expected[move.target]))


def _changes(side: Side, path: str) -> bool:
    after = side.double.buffers.get(path)
    return after is not None and not np.array_equal(in_double(after), side.all_leaves[path], equal_nan=True)


@dataclass(frozen=True, slots=True)
class _Stepped:
    """All leaves of a port after one step, and how far rounding of the gradients can have moved them."""

    leaves: dict[str, HostArray]
    bars: dict[str, HostArray]


def stepped_sides(
    against: Against, optimizers: Mapping[str, Any]
) -> tuple[dict[str, HostArray], dict[str, HostArray], dict[str, HostArray]]:
    """After one step: what the reference's gives in the port's layout, what the port's gives; and what was before."""
    ours, theirs = (_stepped(side, optimizers[side.name]) for side in (against.reference, against.port))
    return against.layout.apply(ours.leaves), theirs.leaves, against.port.all_leaves


def _stepped(side: Side, optimizer: Any) -> _Stepped:
    """One step; and one with each gradient moved by its bar to either side, for optimizers may divide by it."""
    trained = {path: side.all_leaves[path] for path in side.port.parameters}
    gradients = {path: in_double(x) for path, x in (side.double.gradients or {}).items()}
    errors = {path: side.gradient(path).all_bars for path in gradients}
    after = side.port.step(optimizer, trained, gradients)
    sides = [
        side.port.step(optimizer, trained, {path: g + sign * errors[path] for path, g in gradients.items()})
        for sign in (1.0, -1.0)
    ]
    bars = {path: np.maximum(*(np.abs(one[path] - after[path]) for one in sides)) for path in trained}
    return _Stepped({**side.all_leaves, **after}, bars)


def step(against: Against, optimizers: Mapping[str, Any]) -> Iterator[Finding]:
    """Parameters after one step of each port's optimizer."""
    names = names_of(against)
    without = [side.name for side in (against.reference, against.port) if side.double.gradients is None]
    if without:
        detail = f"{' and '.join(without)} gives no gradients"
        yield said(names, "step", None, Verdict.UNSUPPORTED, Reason.NO_DERIVATIVE, detail)
        return
    ours, theirs = (_stepped(side, optimizers[side.name]) for side in (against.reference, against.port))
    trained = set(against.port.port.parameters), set(against.reference.port.parameters)
    moves = [  # trained on either side: a parameter that one of them freezes stays behind
        move
        for move in against.layout.moves
        if move.target in trained[0] or trained[1] & {piece.source for piece in move.pieces}
    ]
    still = {path: np.zeros_like(x) for path, x in against.reference.all_leaves.items()}
    expected = against.layout.apply(ours.leaves)
    bars = against.layout.apply({**still, **ours.bars})
    for move in moves:
        target = move.target
        if any(len(term) > 1 for term in move.terms):
            detail = f"a sum of parameters of {names[0]} moves as often as it has terms"
            yield said(names, "step", label(move), Verdict.UNSUPPORTED, None, detail)
            continue
        a, b = expected[target], theirs.leaves[target]
        rounding = FLOOR * DOUBLE * (np.maximum(np.abs(a), np.abs(b)) + typical(a))
        yield of_gap(
            names,
            "step",
            label(move),
            gap_within(a, b, bars[target] + theirs.bars.get(target, 0.0) + rounding),
        )
