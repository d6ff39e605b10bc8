"""Where a port begins to differ: of every node, whether it is wrong by itself or only carries what came before."""

__all__ = ["Blame", "blame"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

from gradproof.porting.alignment.align import Pair
from gradproof.porting.comparing.against import Against
from gradproof.porting.comparing.bars import Gap
from gradproof.porting.port import Run, Seen
from gradproof.porting.record import Mark, Row
from gradproof.verdict import Verdict


@dataclass(frozen=True)
class Blame:
    """Marks of all nodes, and the pairs that are wrong by themselves."""

    rows: tuple[Row, ...]
    forward: tuple[Pair, ...]
    """In the order of the computation."""
    backward: tuple[Pair, ...]
    """From the loss backwards."""
    gradients: tuple[str, ...]
    """Parameters whose gradient is wrong though all that it is computed from agrees; the reference's paths."""
    alone: tuple[Run, Run] | None
    """The runs by which cotangents were judged; None if none were, or a port was recorded."""


def blame(against: Against) -> Blame:
    """Marks by the forced run where there is one; else a node is wrong whose module's inputs agree."""
    forward = _forward_marks(against)
    wrong = tuple(pair for pair in against.pairs if forward[pair][0] is Mark.WRONG)
    alone = against.backward_alone(wrong) if wrong or against.differs_backward else None
    backward = _backward_marks(against, wrong, alone)
    return Blame(
        rows=_rows(against, forward, backward),
        forward=wrong,
        backward=tuple(
            pair for pair in reversed(against.pairs) if pair in backward and backward[pair][0] is Mark.WRONG
        ),
        gradients=_wrong_gradients(against, alone),
        alone=alone,
    )


def _forward_marks(against: Against) -> dict[Pair, tuple[Mark, float]]:
    """Mark and local gap of every pair."""
    differ = [pair for pair, found in against.forward.items() if found.verdict is Verdict.DISAGREES]
    if not differ:
        return dict.fromkeys(against.pairs, (Mark.AGREES, nan))
    local = {pair: against.value_gap(pair, against.local) for pair in against.pairs} if against.local else {}
    marks = {pair: _mark(found, local.get(pair)) for pair, found in against.forward.items()}
    return marks if local else _by_inputs(against, marks)


def _backward_marks(
    against: Against, wrong: Sequence[Pair], alone: tuple[Run, Run] | None
) -> dict[Pair, tuple[Mark, float]]:
    """Mark and local gap of every pair that has cotangents."""
    differ = any(found.verdict is Verdict.DISAGREES for found in against.backward.values())
    if not differ and not wrong:
        return dict.fromkeys(against.backward, (Mark.AGREES, nan))
    local = against.cotangent_gaps(*alone) if alone else {}
    marks = {pair: _mark(found, local.get(pair)) for pair, found in against.backward.items()}
    return marks if local or wrong else _first_backwards(against, marks)


def _mark(plain: Gap, local: Gap | None) -> tuple[Mark, float]:
    if local is None:
        return (Mark.CARRIED if plain.verdict is Verdict.DISAGREES else Mark.AGREES), nan
    if local.verdict is Verdict.DISAGREES:
        return Mark.WRONG, local.gap
    return (Mark.CARRIED if plain.verdict is Verdict.DISAGREES else Mark.AGREES), local.gap


def _by_inputs(against: Against, marks: dict[Pair, tuple[Mark, float]]) -> dict[Pair, tuple[Mark, float]]:
    """Without a forced run: the first that differs is wrong, and every module whose inputs all agree."""
    nodes = against.reference.double.by_key
    agrees = {pair.reference: marks[pair][0] is Mark.AGREES for pair in marks}
    first = next(pair for pair in against.pairs if marks[pair][0] is not Mark.AGREES)
    judged = {}
    for pair, (mark, _) in marks.items():
        node = nodes[pair.reference]
        inputs = [key for key in _inputs_of(node, nodes) if key in agrees]
        alone = bool(inputs) and all(agrees[key] for key in inputs)
        wrong = mark is Mark.CARRIED and (pair == first or alone)
        judged[pair] = (Mark.WRONG if wrong else mark), nan
    return judged


def _inputs_of(node: Seen, nodes: Mapping[str, Seen]) -> list[str]:
    if node.role != "output":
        return []
    return [key for key, other in nodes.items() if other.role == "input" and other.name == node.name]


def _first_backwards(
    against: Against, marks: dict[Pair, tuple[Mark, float]]
) -> dict[Pair, tuple[Mark, float]]:
    """Without a forced run: the first that differs from the loss backwards."""
    for pair in reversed(against.pairs):
        if pair in marks and marks[pair][0] is Mark.CARRIED:
            return {**marks, pair: (Mark.WRONG, nan)}
    return marks


def _wrong_gradients(against: Against, alone: tuple[Run, Run] | None) -> tuple[str, ...]:
    judged = against.gradient_gaps_of(*alone) if alone else {}
    return tuple(path for path, found in judged.items() if found.verdict is Verdict.DISAGREES)


def _rows(
    against: Against,
    forward: Mapping[Pair, tuple[Mark, float]],
    backward: Mapping[Pair, tuple[Mark, float]],
) -> tuple[Row, ...]:
    """In the order of the reference; what only the port has follows the node before it."""
    ours, theirs = against.reference.double.by_key, against.port.double.nodes
    paired = {pair.reference: pair for pair in against.pairs}
    partner = {pair.port: pair.reference for pair in against.pairs}
    alone: dict[str, list[Seen]] = {}
    last = ""
    for node in theirs:
        if node.key in partner:
            last = partner[node.key]
        else:
            alone.setdefault(last, []).append(node)
    rows = [_alone(None, node) for node in alone.get("", ())]
    for key, node in ours.items():
        pair = paired.get(key)
        rows.append(
            _alone(node, None) if pair is None else _row(against, pair, forward[pair], backward.get(pair))
        )
        rows += [_alone(None, other) for other in alone.get(key, ())]
    return tuple(rows)


def _alone(ours: Seen | None, theirs: Seen | None) -> Row:
    node = ours or theirs
    assert node is not None  # noqa: S101 -- one of the two is given
    return Row(
        key=ours.key if ours else "",
        other=theirs.key if theirs else "",
        role=node.role,
        kind=ours.kind if ours else "",
        other_kind=theirs.kind if theirs else "",
        shape=ours.value.shape if ours else (),
        other_shape=theirs.value.shape if theirs else (),
        forward=Mark.UNMATCHED,
        backward=Mark.UNMATCHED,
    )


def _row(
    against: Against, pair: Pair, forward: tuple[Mark, float], backward: tuple[Mark, float] | None
) -> Row:
    ours, theirs = against.reference.double.by_key[pair.reference], against.port.double.by_key[pair.port]
    value, cotangent = against.forward[pair], against.backward.get(pair)
    return Row(
        key=pair.reference,
        other=pair.port,
        role=ours.role,
        kind=ours.kind,
        other_kind=theirs.kind,
        shape=ours.value.shape,
        other_shape=theirs.value.shape,
        forward=forward[0],
        backward=backward[0] if backward else Mark.UNSEEN,
        gap=value.gap,
        bar=value.bar,
        scale=value.scale,
        local_gap=forward[1],
        backward_gap=cotangent.gap if cotangent else nan,
        backward_bar=cotangent.bar if cotangent else nan,
        backward_scale=cotangent.scale if cotangent else nan,
        backward_local_gap=backward[1] if backward else nan,
    )
