"""From what differs to the mistake behind it: every wrong place is put to the causes that fit its kind."""

__all__ = ["diagnosed"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, in_double
from gradproof.porting.alignment.align import Pair
from gradproof.porting.causes import (
    causes_of_backward,
    causes_of_buffers,
    causes_of_loss,
    causes_of_outputs,
    causes_of_parameter,
    causes_of_precision,
    causes_of_stretch,
)
from gradproof.porting.causes.steps import causes_of_step
from gradproof.porting.comparing.against import Against
from gradproof.porting.comparing.blame import Blame
from gradproof.porting.comparing.findings import label
from gradproof.porting.comparing.lasting import stepped_sides
from gradproof.porting.comparing.stretches import gradient_stretch, stretch_of
from gradproof.porting.layouts.layout import Move
from gradproof.porting.stretch import Cause
from gradproof.verdict import Diagnosis, Finding, Reason, Verdict

MOST = 24
"""Places of a kind that are looked into: where more are wrong by themselves, they are wrong in one way."""

NO_COUNTERPART, SHARED_IN_ONE = "GP250", "GP251"


@dataclass(frozen=True, slots=True)
class _Told:
    """A place, and what explains it, the simplest first."""

    place: str
    causes: tuple[Cause, ...]
    note: str = ""


def _asked(place: str, ask: Callable[..., tuple[Cause, ...]], *known: Any) -> _Told:
    """What a cause says of a place. One that fails loses no verdict: the place stays unexplained, and the report says why."""
    try:
        return _Told(place, ask(*known))
    except Exception as error:
        return _Told(place, (), f"{place} could not be diagnosed: {type(error).__name__}: {error}")


@dataclass(frozen=True)
class _Ground:
    """All that is known of one port against the reference."""

    against: Against
    blamed: Blame
    findings: Sequence[Finding]
    optimizers: Mapping[str, object] | None

    def wrong(self, what: str) -> list[Finding]:
        """What differs in a stage."""
        return [f for f in self.findings if f.what == what and f.verdict is Verdict.DISAGREES]


def diagnosed(
    against: Against,
    blamed: Blame,
    findings: Sequence[Finding],
    optimizers: Mapping[str, object] | None = None,
) -> tuple[tuple[Diagnosis, ...], tuple[str, ...], tuple[str, ...]]:
    """Diagnoses, the places of one mistake together; the places that none explains; and notes."""
    ground = _Ground(against, blamed, findings, optimizers)
    told = [one for stage in _STAGES for one in stage(ground)]
    known = [one for one in told if one.causes]
    explained = {one.place for one in known}
    unknown = dict.fromkeys(one.place for one in told if one.place not in explained)
    return _together(against, known), tuple(unknown), tuple(one.note for one in told if one.note)


def _together(against: Against, told: Sequence[_Told]) -> tuple[Diagnosis, ...]:
    places: dict[Cause, list[str]] = {}
    for one in told:
        places.setdefault(one.causes[0], []).append(one.place)
    names = {"{reference}": against.reference.name, "{port}": against.port.name}
    return tuple(
        Diagnosis(
            code=cause.code,
            source=against.port.name,
            leaves=tuple(dict.fromkeys(leaves)),
            says=_filled(cause.says, names),
            correction=_filled(cause.correction, names),
            value=cause.value,
        )
        for cause, leaves in places.items()
    )


def _filled(text: str, names: Mapping[str, str]) -> str:
    for word, name in names.items():
        text = text.replace(word, name)
    return text


def _parameters(ground: _Ground) -> Iterator[_Told]:
    """Parameters that are there already and have other values, or no counterpart."""
    against = ground.against
    moves = {label(move): move for move in against.layout.moves}
    leaves = against.reference.all_leaves
    expected = against.layout.apply(leaves)
    for finding in ground.wrong("parameter"):
        path = finding.leaf or ""
        if finding.reason is Reason.MISSING and against.layout.unmatched and against.layout.unused:
            yield _Told(
                path,
                (),
                f"{path}: no layout was found for it; give one: layout={{port's path: reference's path}}",
            )
        elif finding.reason is Reason.MISSING:
            says = f"{finding.detail}: one side has a parameter that the other has not"
            yield _Told(path, (Cause(NO_COUNTERPART, says, "add it, or leave it out, in {port}"),))
        elif path not in moves or finding.detail:
            says = f"{finding.detail}: they are equal now, and move apart with the first step"
            yield _Told(path, (Cause(SHARED_IN_ONE, says, "use one parameter in both places"),))
        else:
            target = moves[path].target
            others = {other: x for other, x in expected.items() if other != target}
            yield _asked(
                path,
                causes_of_parameter,
                expected[target],
                against.port.given_leaves[target],
                _terms(moves[path], leaves),
                others,
                max(against.reference.roundoff, against.port.roundoff),
            )


def _terms(move: Move, leaves: Mapping[str, HostArray]) -> list[HostArray]:
    """What a leaf of the port is the sum of, each as it has it."""
    if move.joined is not None or len(move.pieces) < 2:
        return []
    return [piece.of(leaves[piece.source]).reshape(move.shape) for piece in move.pieces]


def _forward(ground: _Ground) -> Iterator[_Told]:
    """Nodes that are wrong by themselves; where a parameter of theirs is, that is the reason."""
    wrong = {finding.leaf for finding in ground.wrong("parameter")}
    moves = ground.against.layout.moves
    modules = {move.target.rpartition(".")[0] for move in moves if label(move) in wrong}
    nodes = ground.against.port.double.by_key
    for pair in ground.blamed.forward[:MOST]:
        if nodes[pair.port].role == "output" and nodes[pair.port].name in modules - {""}:
            continue
        yield _asked(pair.reference, causes_of_stretch, stretch_of(ground.against, pair))


def _outputs(ground: _Ground) -> Iterator[_Told]:
    """Outputs that differ where no node does."""
    if ground.blamed.forward:
        return
    for pair in ground.against.outputs:
        found = ground.against.output_gap(pair)
        if pair.view is None:
            expected = ground.against.reference.outputs[pair.reference].value
            theirs = ground.against.port.outputs[pair.port].value
            yield _asked(pair.reference, causes_of_outputs, expected, theirs)
        elif found is not None and found.verdict is Verdict.DISAGREES:
            expected = ground.against.reference.outputs[pair.reference].value
            theirs = pair.view.back(ground.against.port.outputs[pair.port].value)
            yield _asked(pair.reference, causes_of_outputs, expected, theirs, found.bar)


def _loss(ground: _Ground) -> Iterator[_Told]:
    """Losses that differ where the outputs do not."""
    against = ground.against
    ours, theirs = against.reference.double, against.port.double
    if ground.wrong("output") or ours.loss is None or theirs.loss is None:
        return
    for _ in ground.wrong("loss"):
        outputs, targets = list(ours.outputs.values()), list(against.reference.targets)
        yield _asked(
            "(loss)",
            causes_of_loss,
            ours.loss,
            theirs.loss,
            outputs[0] if len(outputs) == 1 else None,
            np.asarray(targets[0]) if len(targets) == 1 else None,
            [np.shape(x) for x in (*outputs, *against.reference.inputs)],
        )


def _backward(ground: _Ground) -> Iterator[_Told]:
    """Nodes whose cotangent is wrong by itself. A loss that differs hands other ones back from the start."""
    if ground.wrong("loss"):
        return
    for pair in ground.blamed.backward[:MOST]:
        stretch = stretch_of(ground.against, pair, backward=ground.blamed.alone)
        yield _asked(pair.reference, causes_of_backward, stretch)
    for path in ground.blamed.gradients[:MOST]:
        stretch = gradient_stretch(ground.against, path, ground.blamed.alone)
        yield _asked(path, causes_of_backward, stretch)


def _buffers(ground: _Ground) -> Iterator[_Told]:
    """Running statistics, by module of the reference; where the port was run on the reference's inputs, as they are then."""
    against = ground.against
    before, after = against.reference.all_leaves, against.reference.double.buffers
    found = (against.local or against.port.double).buffers
    held = against.layout.inverse_apply(
        {**against.port.all_leaves, **{k: in_double(x) for k, x in found.items()}}
    )
    by_module: dict[str, list[str]] = {}
    for move in _wrong_statistics(ground):
        by_module.setdefault(move.pieces[0].source.rpartition(".")[0], []).extend(
            piece.source for piece in move.pieces
        )
    for module, paths in by_module.items():
        yield _asked(
            module or "(whole)",
            causes_of_buffers,
            {path: before[path] for path in paths},
            {path: in_double(after[path]) for path in paths},
            {path: held[path] for path in paths if path in held},
            _input_of(against, module),
            *_settings(against, module),
        )


def _wrong_statistics(ground: _Ground) -> list[Move]:
    """Those that differ on the reference's inputs too."""
    against = ground.against
    wrong = {finding.leaf for finding in ground.wrong("buffer") if finding.reason is not Reason.MISSING}
    wrong -= {finding.leaf for finding in ground.wrong("parameter")}  # they began with other values
    moves = [move for move in against.layout.moves if label(move) in wrong and move.pieces]
    if against.local is None or not moves:
        return moves
    after = {k: in_double(x) for k, x in against.reference.double.buffers.items()}
    expected = against.layout.apply({**against.reference.all_leaves, **after})
    gaps = {
        move: against.buffer_gap(move, expected[move.target], against.local.buffers[move.target])
        for move in moves
        if move.target in against.local.buffers
    }
    return [move for move, one in gaps.items() if one.verdict is Verdict.DISAGREES]


def _input_of(against: Against, module: str) -> HostArray | None:
    nodes = against.reference.double.nodes
    return next((node.value for node in nodes if node.role == "input" and node.name == module), None)


def _settings(against: Against, module: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Of a module in the reference, and of the module whose output is the same node in the port."""
    ours, theirs = against.reference.double.by_key, against.port.double.by_key
    twins = (pair.port for pair in against.pairs if ours[pair.reference].name == module)
    twin = next(twins, None)
    mine = against.reference.port.modules.get(module)
    other = None if twin is None else against.port.port.modules.get(theirs[twin].name)
    return (mine.settings if mine else {}), (other.settings if other else {})


def _precision(ground: _Ground) -> Iterator[_Told]:
    """The first node that loses far more than the reference; what follows carries it."""
    against = ground.against
    wrong = {finding.leaf for finding in ground.wrong("precision")}
    pair = next((pair for pair in against.pairs if pair.reference in wrong), None)
    if pair is None or ground.blamed.forward:
        return
    yield _asked(pair.reference, _lost_at, against, pair)


def _lost_at(against: Against, pair: Pair) -> tuple[Cause, ...]:
    ours, theirs = against.reference.own, against.port.own
    if ours is None or theirs is None:
        return ()
    ideal = against.reference.values[pair.reference].value
    return causes_of_precision(
        pair.view.back(in_double(theirs.by_key[pair.port].value)),
        ideal,
        in_double(ours.by_key[pair.reference].value),
        ideal,
        (against.port.roundoff, against.reference.roundoff),
    )


def _step(ground: _Ground) -> Iterator[_Told]:
    """Steps that differ where the gradients do not."""
    wrong = {finding.leaf or "" for finding in ground.wrong("step")}
    if not wrong or ground.wrong("gradient") or ground.optimizers is None:
        return
    expected, found, before = stepped_sides(ground.against, ground.optimizers)
    for move in ground.against.layout.moves:
        if label(move) in wrong:
            path = move.target
            yield _asked(label(move), causes_of_step, before[path], expected[path], found[path])


_STAGES: tuple[Callable[[_Ground], Iterator[_Told]], ...] = (
    _parameters,
    _forward,
    _outputs,
    _loss,
    _backward,
    _buffers,
    _step,
    _precision,
)
