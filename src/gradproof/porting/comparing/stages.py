"""The stages of a comparison, as findings: inputs, parameters, outputs, loss, nodes, gradients, buffers, one step, precision."""

__all__ = ["findings_of", "held", "label", "stepped_sides"]

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, in_double
from gradproof.point import UNIT_ROUNDOFF
from gradproof.porting.comparing.against import Against
from gradproof.porting.comparing.bars import DOUBLE, SAFETY, Gap, Rounded, gap
from gradproof.porting.comparing.likeness import best_view
from gradproof.porting.comparing.sides import Side
from gradproof.porting.layouts.layout import Move
from gradproof.trees import flatten
from gradproof.verdict import Finding, Reason, Verdict

WORSE = 64.0
"""How many times the reference's own rounding a port's may be. Two orders of the same sums differ by less."""

Names = tuple[str, str]
"""The reference and the port."""


def findings_of(against: Against, optimizers: Mapping[str, Any] | None) -> Iterator[Finding]:
    """All findings, in the order of the stages."""
    yield from _inputs(against)
    yield from _parameters(against)
    yield from _outputs(against)
    yield from _loss(against)
    yield from _nodes(against)
    yield from _gradients(against)
    yield from _buffers(against)
    if optimizers is not None:
        yield from _step(against, optimizers)
    yield from _precision(against)


def label(move: Move) -> str:
    """A parameter of the port in the reference's names: "in_proj_weight[0:64]", "bias_ih + bias_hh"."""
    blocks = (
        piece.source if piece.axis is None else f"{piece.source}[{piece.start}:{piece.stop}]"
        for piece in move.pieces
    )
    return " + ".join(dict.fromkeys(blocks)) or move.target


def _names(against: Against) -> Names:
    return against.reference.name, against.port.name


def _of_gap(names: Names, what: str, leaf: str | None, found: Gap, detail: str = "") -> Finding:
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


def _said(
    names: Names, what: str, leaf: str | None, verdict: Verdict, reason: Reason | None, detail: str
) -> Finding:
    return Finding(what, names, leaf, verdict, reason, detail)


def _inputs(against: Against) -> Iterator[Finding]:
    names = _names(against)
    ours, theirs = (_arrays(side) for side in (against.reference, against.port))
    if len(ours) != len(theirs):
        detail = f"{names[0]} takes {len(ours)} arrays, {names[1]} {len(theirs)}"
        yield _said(names, "inputs", None, Verdict.DISAGREES, Reason.DIFFERS, detail)
    for (path, x), (_, y) in zip(ours, theirs, strict=False):
        view = best_view(x, y)[1]
        if view is None:
            detail = f"shapes {x.shape} and {y.shape}: the ports are given different inputs"
            yield _said(names, "inputs", path, Verdict.DISAGREES, Reason.DIFFERS, detail)
            continue
        coarse = max(_roundoff(x), _roundoff(y))
        yield _of_gap(names, "inputs", path, gap(_exactly(x, coarse), _exactly(view.back(y), 0.0)))


def _arrays(side: Side) -> list[tuple[str, HostArray]]:
    leaves, structure = flatten(list(side.inputs))
    return [(path, np.asarray(leaf)) for path, leaf in zip(structure.paths, leaves, strict=True)]


def _roundoff(x: HostArray) -> float:
    return UNIT_ROUNDOFF.get(str(x.dtype), 0.0)


def _exactly(x: HostArray, roundoff: float) -> Rounded:
    """An array that was not computed: right to its last digit."""
    return Rounded(in_double(x), roundoff / SAFETY if roundoff > DOUBLE else 0.0)


def held(due: HostArray, found: HostArray, roundoff: float) -> Gap:
    """A parameter that was copied, against what is due, to the digits of the shorter of the two dtypes."""
    return gap(_exactly(due, roundoff), _exactly(found, 0.0))


def _parameters(against: Against) -> Iterator[Finding]:
    names, layout = _names(against), against.layout
    if not against.transferred:
        expected, own = layout.apply(against.reference.all_leaves), against.port.given_leaves
        coarse = max(against.reference.roundoff, against.port.roundoff)
        for move in layout.moves:
            path = move.target
            found = held(expected[path], own[path], coarse)
            yield _of_gap(names, "parameter", label(move), found)
    for path in layout.unmatched:
        detail = f"nothing in {names[0]} corresponds to it"
        trained = path in against.port.port.parameters
        verdict = Verdict.DISAGREES if trained else Verdict.UNSUPPORTED
        yield _said(names, "parameter", path, verdict, Reason.MISSING if trained else None, detail)
    for path in layout.unused:
        yield _unused(against, path)
    yield from _ties(against)


def _unused(against: Against, path: str) -> Finding:
    names = _names(against)
    without_effect = not np.any(against.reference.all_leaves[path])
    if path not in against.reference.port.parameters or without_effect:
        why = "; it is zero" if without_effect else "; it is not trained"
        detail = f"nothing in {names[1]} corresponds to it{why}"
        return _said(names, "parameter", path, Verdict.UNSUPPORTED, None, detail)
    detail = f"nothing in {names[1]} corresponds to it"
    return _said(names, "parameter", path, Verdict.DISAGREES, Reason.MISSING, detail)


def _ties(against: Against) -> Iterator[Finding]:
    """A parameter that is shared in the reference and separate in the port: equal now, not after a step."""
    names = _names(against)
    targets: dict[str, list[str]] = {}
    for move in against.layout.moves:
        if len(move.pieces) == 1 and move.pieces[0].axis is None:
            targets.setdefault(move.pieces[0].source, []).append(move.target)
    for source, made in targets.items():
        trained = [path for path in made if path in against.port.port.parameters]
        if len(trained) > 1:
            detail = f"one parameter in {names[0]}, separate ones in {names[1]}: {' and '.join(trained)}"
            yield _said(names, "parameter", source, Verdict.DISAGREES, Reason.DIFFERS, detail)


def _outputs(against: Against) -> Iterator[Finding]:
    names = _names(against)
    ours, theirs = (side.double.outputs for side in (against.reference, against.port))
    if len(ours) != len(theirs):
        detail = f"{names[0]} returns {len(ours)} arrays, {names[1]} {len(theirs)}"
        yield _said(names, "output", None, Verdict.DISAGREES, Reason.DIFFERS, detail)
    for pair in against.outputs:
        found = against.output_gap(pair)
        if found is None:
            detail = (
                f"shape {ours[pair.reference].shape} in {names[0]}, {theirs[pair.port].shape} in {names[1]}"
            )
            yield _said(names, "output", pair.reference, Verdict.DISAGREES, Reason.DIFFERS, detail)
        else:
            yield _of_gap(names, "output", pair.reference, found)


def _loss(against: Against) -> Iterator[Finding]:
    found = against.loss_gap()
    if found is not None:
        yield _of_gap(_names(against), "loss", None, found)


def _nodes(against: Against) -> Iterator[Finding]:
    names = _names(against)
    for pair, found in against.forward.items():
        yield _of_gap(names, "forward", pair.reference, found)
    for pair in reversed(against.pairs):
        if pair in against.backward:
            yield _of_gap(names, "backward", pair.reference, against.backward[pair])


def _gradients(against: Against) -> Iterator[Finding]:
    names = _names(against)
    for side in (against.reference, against.port):
        if side.double.gradients is None:
            detail = f"{side.name} gives no gradients"
            yield _said(names, "gradient", None, Verdict.UNSUPPORTED, Reason.NO_DERIVATIVE, detail)
            return
    for path, found in against.gradient_gaps.items():
        yield _of_gap(names, "gradient", path, found)


def _buffers(against: Against) -> Iterator[Finding]:
    reference, port = against.reference, against.port
    changed = {**reference.all_leaves, **{k: in_double(x) for k, x in reference.double.buffers.items()}}
    if not reference.double.buffers:
        return
    expected = against.layout.apply(changed)
    labels = {move.target: label(move) for move in against.layout.moves}
    gaps = against.buffer_gaps({path: x for path, x in expected.items() if path in port.port.buffers})
    for path, found in gaps.items():
        yield _of_gap(_names(against), "buffer", labels[path], found)


def stepped_sides(
    against: Against, optimizers: Mapping[str, Any]
) -> tuple[dict[str, HostArray], dict[str, HostArray], dict[str, HostArray]]:
    """After one step: what the reference's gives in the port's layout, what the port's gives; and what was before."""
    expected = against.layout.apply(_stepped(against.reference, optimizers[against.reference.name]))
    return expected, _stepped(against.port, optimizers[against.port.name]), against.port.all_leaves


def _stepped(side: Side, optimizer: Any) -> dict[str, HostArray]:
    """All leaves of a port after one step."""
    trained = {path: side.all_leaves[path] for path in side.port.parameters}
    gradients = {path: in_double(x) for path, x in (side.double.gradients or {}).items()}
    return {**side.all_leaves, **side.port.step(optimizer, trained, gradients)}


def _step(against: Against, optimizers: Mapping[str, Any]) -> Iterator[Finding]:
    names = _names(against)
    without = [side.name for side in (against.reference, against.port) if side.double.gradients is None]
    if without:
        detail = f"{' and '.join(without)} gives no gradients"
        yield _said(names, "step", None, Verdict.UNSUPPORTED, Reason.NO_DERIVATIVE, detail)
        return
    expected, found, _ = stepped_sides(against, optimizers)
    for move in against.layout.moves:
        if move.target in against.port.port.parameters:
            yield _step_of(against, move, expected, found)


def _step_of(
    against: Against, move: Move, expected: Mapping[str, HostArray], found: Mapping[str, HostArray]
) -> Finding:
    names = _names(against)
    if move.joined is None and len(move.pieces) > 1:
        detail = f"a sum of {len(move.pieces)} parameters of {names[0]} moves that many times as far"
        return _said(names, "step", label(move), Verdict.UNSUPPORTED, None, detail)
    sources = [piece.source for piece in move.pieces]
    relative = max((against.gradients[source].relative for source in sources if source in against.gradients), default=0.0)  # fmt: skip
    theirs = max((x.relative for x in against.pulled.values()), default=0.0)
    return _of_gap(
        names,
        "step",
        label(move),
        gap(Rounded(expected[move.target], relative), Rounded(found[move.target], theirs)),
    )


def _precision(against: Against) -> Iterator[Finding]:
    """The own runs, both against the reference's run in float64: which of them lost how much.

    The three-tensor rule of compilers' accuracy gates, for every node: a port that lost far more than the reference
    computes in a lower precision there, or before.
    """
    ours, theirs = against.reference.own, against.port.own
    if ours is None or theirs is None or against.reference.dtype != against.port.dtype:
        return
    for pair in (pair for pair, found in against.forward.items() if found.verdict is Verdict.AGREES):
        key = pair.reference
        ideal = against.reference.values[key].value
        mine, other = ours.by_key.get(key), theirs.by_key.get(pair.port)
        if mine is not None and other is not None:
            yield _lost(against, key, ideal, (mine.value, pair.view.back(other.value)))
    pulled = against.pull(theirs)
    for path, gradient in against.gradients.items():
        given = (ours.gradients or {}).get(path)
        agrees = path in pulled and against.gradient_gaps[path].verdict is Verdict.AGREES
        if given is not None and agrees:
            yield _lost(against, path, gradient.value, (given, pulled[path]))


def _lost(against: Against, leaf: str, ideal: HostArray, runs: tuple[HostArray, HostArray]) -> Finding:
    """Root mean squares of what both runs lost."""
    names, unit = _names(against), against.reference.error_roundoff
    mine, other = (_rms(in_double(run) - ideal) for run in runs)
    bar = WORSE * (mine + unit * _rms(ideal))
    worse = other > bar
    return Finding(
        what="precision",
        sources=names,
        leaf=leaf,
        verdict=Verdict.DISAGREES if worse else Verdict.AGREES,
        reason=Reason.DIFFERS if worse else None,
        detail=f"it loses {other / max(mine, unit * _rms(ideal)):.0f} times as much to rounding"
        if worse
        else "",
        gap=other,
        bar=bar,
        scale=_rms(ideal),
    )


def _rms(x: HostArray) -> float:
    sound = x[np.isfinite(x)]
    return float(np.sqrt(np.mean(np.square(sound)))) if sound.size else 0.0
