"""The stages of a comparison, as findings: inputs, parameters, outputs, loss, nodes, gradients, buffers, one step, precision."""

__all__ = ["findings_of", "held", "inputs"]

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.point import UNIT_ROUNDOFF
from gradproof.porting.alignment.likeness import best_view
from gradproof.porting.comparing.against import Against
from gradproof.porting.comparing.bars import Gap, Rounded, exactly, gap
from gradproof.porting.comparing.findings import label, names_of, of_gap, said
from gradproof.porting.comparing.lasting import buffers, step
from gradproof.porting.comparing.precision import precision
from gradproof.porting.comparing.sides import Side
from gradproof.trees import flatten
from gradproof.verdict import Finding, Reason, Verdict


def findings_of(against: Against, optimizers: Mapping[str, Any] | None) -> Iterator[Finding]:
    """All findings but those of the inputs, in the order of the stages."""
    yield from _parameters(against)
    yield from _outputs(against)
    yield from _loss(against)
    yield from _nodes(against)
    yield from _gradients(against)
    yield from buffers(against)
    if optimizers is not None:
        yield from step(against, optimizers)
    yield from precision(against)


def inputs(against: Against) -> Iterator[Finding]:
    """What both are given: the same, in any order of axes."""
    names = names_of(against)
    ours, theirs = (_arrays(side) for side in (against.reference, against.port))
    if len(ours) != len(theirs):
        detail = f"{names[0]} takes {len(ours)} arrays, {names[1]} {len(theirs)}"
        yield said(names, "inputs", None, Verdict.DISAGREES, Reason.DIFFERS, detail)
    for (path, x), (_, y) in zip(ours, theirs, strict=False):
        view = best_view(x, y)[1]
        if view is None:
            detail = f"{x.shape} in {names[0]}, {y.shape} in {names[1]}"
            yield said(names, "inputs", path, Verdict.DISAGREES, Reason.DIFFERS, detail)
            continue
        coarse = max(_roundoff(x), _roundoff(y))
        yield of_gap(names, "inputs", path, gap(exactly(x, coarse), exactly(view.back(y), 0.0)))


def _arrays(side: Side) -> list[tuple[str, HostArray]]:
    leaves, structure = flatten(list(side.inputs))
    return [(path, np.asarray(leaf)) for path, leaf in zip(structure.paths, leaves, strict=True)]


def _roundoff(x: HostArray) -> float:
    return UNIT_ROUNDOFF.get(str(x.dtype), 0.0)


def held(due: HostArray, found: HostArray, roundoff: float) -> Gap:
    """A parameter that was copied, against what is due, to the digits of the shorter of the two dtypes."""
    return gap(exactly(due, roundoff), exactly(found, 0.0))


def _parameters(against: Against) -> Iterator[Finding]:
    names, layout = names_of(against), against.layout
    if not against.transferred:
        expected, own = layout.apply(against.reference.all_leaves), against.port.given_leaves
        coarse = max(against.reference.roundoff, against.port.roundoff)
        for move in layout.moves:
            path = move.target
            found = held(expected[path], own[path], coarse)
            yield of_gap(names, "parameter", label(move), found)
    for path in layout.unmatched:
        detail = f"nothing in {names[0]} corresponds to it"
        trained = path in against.port.port.parameters
        verdict = Verdict.DISAGREES if trained else Verdict.UNSUPPORTED
        yield said(names, "parameter", path, verdict, Reason.MISSING if trained else None, detail)
    for path in layout.unused:
        yield _unused(against, path)
    yield from _ties(against)


def _unused(against: Against, path: str) -> Finding:
    """A parameter of the reference that the port has not: it matters unless it is zero, and stays so."""
    names = names_of(against)
    trained = path in against.reference.port.parameters
    gradient = against.gradients.get(path)
    moves = gradient is not None and gap(gradient, Rounded(np.zeros_like(gradient.value))).gap > 0
    zero = not np.any(against.reference.all_leaves[path])
    if not trained or (zero and not moves):
        why = "; it is zero, and so is its gradient" if trained else "; it is not trained"
        detail = f"nothing in {names[1]} corresponds to it{why}"
        return said(names, "parameter", path, Verdict.UNSUPPORTED, None, detail)
    detail = f"nothing in {names[1]} corresponds to it"
    return said(names, "parameter", path, Verdict.DISAGREES, Reason.MISSING, detail)


def _ties(against: Against) -> Iterator[Finding]:
    """A parameter that is shared in the reference and separate in the port: equal now, not after a step."""
    names = names_of(against)
    targets: dict[str, list[str]] = {}
    for move in against.layout.moves:
        if len(move.pieces) == 1 and move.pieces[0].axis is None:
            targets.setdefault(move.pieces[0].source, []).append(move.target)
    for source, made in targets.items():
        trained = [path for path in made if path in against.port.port.parameters]
        if len(trained) > 1:
            detail = f"one parameter in {names[0]}, separate ones in {names[1]}: {' and '.join(trained)}"
            yield said(names, "parameter", source, Verdict.DISAGREES, Reason.DIFFERS, detail)


def _outputs(against: Against) -> Iterator[Finding]:
    names = names_of(against)
    ours, theirs = (side.double.outputs for side in (against.reference, against.port))
    if len(ours) != len(theirs):
        detail = f"{names[0]} returns {len(ours)} arrays, {names[1]} {len(theirs)}"
        yield said(names, "output", None, Verdict.DISAGREES, Reason.DIFFERS, detail)
    for pair in against.outputs:
        found = against.output_gap(pair)
        if found is None:
            detail = (
                f"shape {ours[pair.reference].shape} in {names[0]}, {theirs[pair.port].shape} in {names[1]}"
            )
            yield said(names, "output", pair.reference, Verdict.DISAGREES, Reason.DIFFERS, detail)
        else:
            yield of_gap(names, "output", pair.reference, found)


def _loss(against: Against) -> Iterator[Finding]:
    found = against.loss_gap()
    if found is not None:
        yield of_gap(names_of(against), "loss", None, found)


def _nodes(against: Against) -> Iterator[Finding]:
    names = names_of(against)
    for pair, found in against.forward.items():
        yield of_gap(names, "forward", pair.reference, found)
    for pair in reversed(against.pairs):
        if pair in against.backward:
            yield of_gap(names, "backward", pair.reference, against.backward[pair])


def _gradients(against: Against) -> Iterator[Finding]:
    names = names_of(against)
    for side in (against.reference, against.port):
        if side.double.gradients is None:
            detail = f"{side.name} gives no gradients"
            yield said(names, "gradient", None, Verdict.UNSUPPORTED, Reason.NO_DERIVATIVE, detail)
            return
    for path, found in against.gradient_gaps.items():
        yield of_gap(names, "gradient", path, found)
