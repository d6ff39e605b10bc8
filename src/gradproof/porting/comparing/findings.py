"""How a finding of a comparison is made."""

__all__ = ["Names", "label", "names_of", "of_gap", "said"]

from gradproof.porting.comparing.against import Against
from gradproof.porting.comparing.bars import Gap
from gradproof.porting.layouts.layout import Move
from gradproof.verdict import Finding, Reason, Verdict

Names = tuple[str, str]
"""The reference and the port."""


def label(move: Move) -> str:
    """A parameter of the port in the reference's names: "in_proj_weight[0:64]", "bias_ih + bias_hh"."""
    blocks = (
        piece.source if piece.axis is None else f"{piece.source}[{piece.start}:{piece.stop}]"
        for piece in move.pieces
    )
    return " + ".join(dict.fromkeys(blocks)) or move.target


def names_of(against: Against) -> Names:
    """Of the two ports."""
    return against.reference.name, against.port.name


def of_gap(names: Names, what: str, leaf: str | None, found: Gap, detail: str = "") -> Finding:
    """Of two arrays that were compared."""
    disagrees = found.verdict is Verdict.DISAGREES
    return Finding(
        what=what,
        sources=names,
        leaf=leaf,
        verdict=found.verdict,
        reason=Reason.DIFFERS if disagrees else None,
        detail=detail,
        gap=found.gap,
        bar=found.bar,
        scale=found.scale,
        worst=found.worst,
        values={names[0]: found.expected, names[1]: found.found},
    )


def said(
    names: Names, what: str, leaf: str | None, verdict: Verdict, reason: Reason | None, detail: str
) -> Finding:
    """Without numbers."""
    return Finding(what, names, leaf, verdict, reason, detail)
