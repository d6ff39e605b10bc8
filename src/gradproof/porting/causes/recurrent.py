"""Recurrent layers: order of the gates, where the reset gate acts, which biases there are."""

__all__ = ["recurrent_causes"]

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations, product

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import floating
from gradproof.porting.causes.cell_weights import cell_weights
from gradproof.porting.causes.cells import GATES, Convention, Weights, scan
from gradproof.porting.causes.evidence import Evidence, float64, residual
from gradproof.porting.stretch import Cause, Stretch

STEPS = 4
"""Steps of these: the second is the first in which the hidden weights act."""

FEW = 2
"""Sequences of the batch on which a convention is tried before it is on all."""


def recurrent_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """By formula, of the reference's weights; else by asking the port again with its gates in another order."""
    for weights in cell_weights(stretch.parameters):
        for case in _cases(stretch, weights):
            reference = _convention(case, weights, evidence.expected, evidence.allowance)
            if reference is None:
                continue
            port = _convention(case, weights, evidence.found, evidence.allowance, reference)
            if port is not None and port != reference:
                yield _named(reference, port)
                return
    yield from _again(stretch, evidence)


_Case = tuple[HostArray, tuple[HostArray, HostArray], int]
"""Input (time, batch, features), first states, and the axis of time in the input as given (−1: it has none)."""


def _cases(stretch: Stretch, weights: Weights) -> Iterator[_Case]:
    inputs = list(floating(stretch).values())
    states = [s.reshape(-1, weights.size) for s in inputs if s.ndim <= 3 and s.shape[-1:] == (weights.size,)]
    for x in inputs:
        if x.ndim == 0 or x.ndim > 3 or x.shape[-1] != weights.inner.shape[0]:
            continue
        for laid, time in _laid(x):
            batch = laid.shape[1]
            zero = np.zeros((batch, weights.size))
            own = [s for s in states if s.shape == zero.shape and not (s.size == x.size and s is x)]
            pairs = [(one, other) for one, other in permutations(own, 2)] if weights.gates == 4 else []
            for h, c in [(zero, zero), *pairs, *((one, one) for one in own)]:
                yield laid, (h, c), time


def _laid(x: HostArray) -> Iterator[tuple[HostArray, int]]:
    if x.ndim == 3:
        yield np.swapaxes(x, 0, 1), 1
        yield x, 0
    elif x.ndim == 2:
        yield x[None], -1
        yield x[:, None], 0
    else:
        yield x[None, None], -1


def _convention(
    case: _Case, weights: Weights, y: HostArray, allowance: float, like: Convention | None = None
) -> Convention | None:
    x, (h, c), time = case
    if y.size not in (x.shape[0] * x.shape[1] * weights.size, x.shape[1] * weights.size):
        return None
    few, start = _trial(x, y, time)
    for how in _conventions(weights, like):
        tried = scan(weights, few, (h[:FEW], c[:FEW]), how)
        if _is(tried, start, time, allowance, FEW) and _is(
            scan(weights, x, (h, c), how), y, time, allowance, x.shape[1]
        ):
            return how
    return None


def _trial(x: HostArray, y: HostArray, time: int) -> tuple[HostArray, HostArray]:
    """The first sequences and, where y has every state, the first steps."""
    few = x[:, :FEW]
    if y.ndim != 3 or time < 0 or y.shape[1 if time == 1 else 0] != len(x):
        return few, y
    return few[:STEPS], y[:, :STEPS] if time == 1 else y[:STEPS]


def _is(made: tuple[HostArray, HostArray], y: HostArray, time: int, allowance: float, batches: int) -> bool:
    """Whether y is every state, or the last state or cell, of the first sequences."""
    states, cells = made
    length, _, size = states.shape
    if y.size % (length * size) == 0 and y.ndim == 3 and time >= 0:
        due = y[:batches] if time == 1 else y[:, :batches]
        if residual(np.swapaxes(states, 0, 1) if time == 1 else states, due) <= allowance:
            return True
    if y.ndim == 2 and time == 0 and y.shape == (length, size):
        return residual(states[:, 0], y) <= allowance
    due = y.reshape(-1, size)[:batches]
    return residual(states[-1], due) <= allowance or residual(cells[-1], due) <= allowance


def _conventions(weights: Weights, like: Convention | None) -> Iterator[Convention]:
    """The usual first, then one change at a time, then all orders of the gates with each."""
    usual = like or Convention(GATES[weights.gates])
    changed = [*_changes(usual, weights)]
    yield usual
    yield from changed
    for order in permutations(GATES[weights.gates]):
        for how in (usual, *changed):
            yield replace(how, order="".join(order))


def _changes(usual: Convention, weights: Weights) -> Iterator[Convention]:
    hidden = ("all", "none", "new", "but new") if np.any(weights.hidden_bias) else ("all",)
    inner = (True, False) if np.any(weights.inner_bias) else (True,)
    turns = (True, False) if weights.gates == 3 else (True,)
    forgets = (0.0, 1.0) if weights.gates == 4 else (0.0,)
    every = product(turns, turns, inner, hidden, forgets)
    made = [Convention(usual.order, *one) for one in every]
    yield from sorted(
        (how for how in made if how != usual),
        key=lambda how: sum(getattr(how, n) != getattr(usual, n) for n in Convention.__dataclass_fields__),
    )


def _named(reference: Convention, port: Convention) -> Cause:
    if reference.order != port.order:
        one, other = ", ".join(reference.order), ", ".join(port.order)
        return Cause(
            "GP224",
            f"the gates are in the order {one} in {{reference}} and {other} in {{port}}",
            f"order {one}",
        )
    if reference.reset_after != port.reset_after:
        places = {True: "after the product with the hidden weights", False: "before it, on the hidden state"}
        says = f"the reset gate acts {places[reference.reset_after]} in {{reference}}, {places[port.reset_after]} in {{port}}"
        return Cause("GP225", says, f"reset_after={reference.reset_after}")
    if reference.update_keeps != port.update_keeps:
        keeps = {True: "the old state", False: "the new one"}
        says = f"the update gate multiplies {keeps[reference.update_keeps]} in {{reference}} and {keeps[port.update_keeps]} in {{port}}"
        return Cause("GP225", says, "exchange z and 1 − z")
    if reference.forget != port.forget:
        says = f"{reference.forget:g} is added to the forget gate in {{reference}} and {port.forget:g} in {{port}}"
        return Cause("GP226", says, f"forget bias {reference.forget:g}", port.forget)
    if reference.input_bias != port.input_bias:
        lacking = "{port}" if reference.input_bias else "{reference}"
        return Cause(
            "GP226",
            f"{lacking} does not add the first of the two biases (that of the input)",
            "add both biases",
        )
    words = {
        "all": "in every gate",
        "none": "in none",
        "new": "in the new gate alone",
        "but new": "in all gates but the new",
    }
    says = (
        f"the hidden bias (the second of two) is added {words[reference.hidden_bias]} in {{reference}} and "
        f"{words[port.hidden_bias]} in {{port}}"
    )
    return Cause("GP226", says, "add both biases")


def _again(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """The port's gate blocks in every other order, all its packed parameters together."""
    if stretch.again is None:
        return
    for gates in (4, 3):
        packed = _packed(stretch, gates)
        if len(packed) < 2:
            continue
        for order in list(permutations(range(gates)))[1:]:
            parts = {path: (np.split(value, gates, axis), axis) for path, (value, axis) in packed.items()}
            turned = {
                path: np.concatenate([blocks[i] for i in order], axis)
                for path, (blocks, axis) in parts.items()
            }
            if evidence.is_expected(float64(stretch.again(turned))):
                names = GATES[gates]
                other = "".join(names[order.index(i)] for i in range(gates))
                listed = ", ".join(other)
                says = (
                    f"the blocks of the gates have to stand in the order {tuple(i + 1 for i in order)}: where {{reference}} "
                    f"has {', '.join(names)}, {{port}} reads {listed}"
                )
                yield Cause("GP224", says, f"reorder the blocks to {tuple(i + 1 for i in order)}")
                return


def _packed(stretch: Stretch, gates: int) -> dict[str, tuple[HostArray, int]]:
    """Parameters of the port whose first or last axis holds blocks, one per gate, and that axis."""
    arrays = {path: value for path, value in stretch.other_parameters.items() if np.ndim(value) in (1, 2)}
    squares = [
        value.shape
        for value in arrays.values()
        if value.ndim == 2 and max(value.shape) == gates * min(value.shape)
    ]
    sizes = {max(shape) for shape in squares}
    found = {}
    for path, value in arrays.items():
        axis = next((axis for axis, length in enumerate(value.shape) if length in sizes), None)
        if axis is not None:
            found[path] = (value, axis)
    return found
