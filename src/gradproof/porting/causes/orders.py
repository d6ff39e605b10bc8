"""The right numbers in other places: permuted, shifted, flattened in another order."""

__all__ = ["order_causes", "permutation", "permutation_cause"]

from collections.abc import Iterator
from itertools import permutations
from math import prod

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import floating, named_parameter
from gradproof.porting.causes.evidence import Evidence, float64, residual
from gradproof.porting.stretch import Cause, Stretch

SHOWN = 12
"""Indices of a permutation that are shown."""

MOST_AXES = 5
"""Of an input whose every order of axes is tried."""

MOST_SHIFT = 2
"""Places by which positions are held to be off."""


def order_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """What is found if entries are moved and nothing else."""
    for family in (_flattened, _flattened_weight, _moved):
        causes = list(family(stretch, evidence))
        if causes:
            yield from causes
            return


def _moved(_: Stretch, evidence: Evidence) -> Iterator[Cause]:
    expected, found = evidence.sides
    rank = expected.ndim
    for axis in range(rank - 1, -1, -1):
        order = permutation(expected, found, axis, evidence.allowance)
        if order is not None:
            yield permutation_cause(order, axis, rank)
            return
        shift = _shift(expected, found, axis, evidence.allowance)
        if shift is not None:
            yield _shift_cause(shift, axis)
            return
    for axes in permutations(range(min(rank, MOST_AXES))):
        turned = np.transpose(expected, axes) if len(axes) == rank else expected
        if turned.shape == found.shape and evidence.is_found(turned):
            yield Cause(
                "GP232", f"the axes of {{reference}} stand in the order {axes} in {{port}}", "transpose"
            )
            return
        if turned.size and axes != tuple(range(rank)) and evidence.is_found(turned.reshape(found.shape)):
            says = f"{{port}} is {{reference}} with its axes in the order {axes}, and reshaped without moving them back"
            yield Cause("GP234", says, "transpose instead of reshaping")
            return


def permutation(expected: HostArray, found: HostArray, axis: int, allowance: float) -> HostArray | None:
    """The order for which `found` is `expected.take(order, axis)`, None if there is none (or nothing is moved)."""
    length = expected.shape[axis]
    if length < 2 or not (np.isfinite(expected).all() and np.isfinite(found).all()):
        return None
    rows, others = (np.moveaxis(x, axis, 0).reshape(length, -1) for x in (expected, found))
    weights = np.random.default_rng(0).uniform(0.5, 1.0, rows.shape[1])
    one, other = rows @ weights, others @ weights
    order = np.empty(length, dtype=np.intp)
    order[np.argsort(other, kind="stable")] = np.argsort(one, kind="stable")
    if np.array_equal(order, np.arange(length)) or residual(rows[order], others) > allowance:
        return None
    return order


def permutation_cause(order: HostArray, axis: int, rank: int) -> Cause:
    """What a permutation of an axis is called."""
    length, place = len(order), "the last axis" if axis == rank - 1 else f"axis {axis}"
    step = int(order[0])
    if np.array_equal(order, np.roll(np.arange(length), -step)):
        by = step if step <= length // 2 else step - length
        says = f"entry i of {place} in {{port}} is entry i {'+' if by > 0 else '−'} {abs(by)} of {{reference}}, around the end (a roll)"
        return Cause("GP233", says, f"roll by {by}", float(by))
    rows = _interleaved(order)
    if rows:
        columns = length // rows
        says = (
            f"{place} is flattened from {rows} × {columns} in {{reference}} and from {columns} × {rows} in {{port}}: "
            "channels before positions in one, after them in the other (CHW against HWC)"
        )
        return Cause("GP234", says, f"reshape to ({rows}, {columns}) and transpose before flattening")
    back = np.argsort(order, kind="stable")
    listed = ", ".join(str(int(i)) for i in order[:SHOWN]) + (", …" if length > SHOWN else "")
    if np.array_equal(order, np.arange(length)[::-1]):
        return Cause("GP232", f"{place} is reversed in {{port}}", "reverse it")
    put = ", ".join(str(int(i)) for i in back[:SHOWN]) + (", …" if length > SHOWN else "")
    return Cause("GP232", f"{place} of {{port}} holds the entries {listed} of {{reference}}", f"take [{put}]")


def _interleaved(order: HostArray) -> int:
    """Rows of the table that was transposed before it was flattened; 0 if the order is not of that kind."""
    length = len(order)
    for rows in range(2, length // 2 + 1):
        if length % rows == 0 and np.array_equal(order, np.arange(length).reshape(rows, -1).T.ravel()):
            return rows
    return 0


def _shift(expected: HostArray, found: HostArray, axis: int, allowance: float) -> int | None:
    """By how many places `found` is moved up the axis, what falls off the end being lost; None if it is not."""
    length = expected.shape[axis]
    one, other = np.moveaxis(expected, axis, 0), np.moveaxis(found, axis, 0)
    for by in range(1, MOST_SHIFT + 1):
        if length < by + 3 or prod(one.shape[1:]) * (length - by) < 8:
            continue
        for late, early, sign in ((other, one, 1), (one, other, -1)):
            ends = (late[:by] if sign > 0 else other[-by:], early[:1] if sign > 0 else other[-by - 1 : -by])
            edge, repeated = ends
            plain = not np.any(edge) or residual(edge, np.broadcast_to(repeated, edge.shape)) <= allowance
            if plain and residual(late[by:], early[:-by]) <= allowance:
                return sign * by
    return None


def _shift_cause(by: int, axis: int) -> Cause:
    places = f"{abs(by)} place{'s' if abs(by) > 1 else ''}"
    way = "later" if by > 0 else "earlier"
    return Cause(
        "GP233", f"positions along axis {axis} are {places} {way} in {{port}}", f"shift by {-by}", float(by)
    )


def _orders(x: HostArray) -> Iterator[tuple[tuple[int, ...], HostArray]]:
    """Every order of the axes of `x`; the batch may stay or move."""
    if 2 <= x.ndim <= MOST_AXES:
        for axes in permutations(range(x.ndim)):
            yield axes, np.transpose(x, axes)


def _flattened(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """Both sides hold the entries of one input, moved about in different ways."""
    due = evidence.expected.shape
    for key, x in floating(stretch).items():
        if x.size != prod(due) or x.size < 4:
            continue
        reference = next((axes for axes, y in _orders(x) if evidence.is_expected(y.reshape(due))), None)
        port = next((axes for axes, y in _orders(x) if evidence.is_found(y.reshape(due))), None)
        if reference is not None and port is not None and reference != port:
            says = (
                f"{{reference}} reads the axes of {key} in the order {reference} and {{port}} in the order {port} "
                f"before the reshape to {due}"
            )
            yield Cause("GP234", says, f"transpose to {reference} before the reshape")
            return


def _flattened_weight(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """The same, and a linear map after it."""
    bias = named_parameter(stretch.parameters, ("bias", "b"))
    for weight in (float64(w) for w in stretch.parameters.values() if np.ndim(w) == 2):
        for x in (x for x in floating(stretch).values() if x.ndim >= 3 and weight.size):
            features = prod(x.shape[1:])
            for matrix in (weight.T, weight):
                if matrix.shape[0] == features and evidence.expected.shape == (x.shape[0], matrix.shape[1]):
                    plus = np.zeros(()) if bias is None or bias.shape != matrix.shape[1:] else bias
                    yield from _flat_linear(x, matrix, plus, evidence)


def _flat_linear(x: HostArray, matrix: HostArray, plus: HostArray, evidence: Evidence) -> Iterator[Cause]:
    rest = list(permutations(range(1, x.ndim)))
    made = [np.transpose(x, (0, *axes)).reshape(x.shape[0], -1) @ matrix + plus for axes in rest]
    reference = next((axes for axes, y in zip(rest, made, strict=True) if evidence.is_expected(y)), None)
    port = next((axes for axes, y in zip(rest, made, strict=True) if evidence.is_found(y)), None)
    if reference and port and reference != port:
        says = f"the axes are flattened in the order {reference} in {{reference}} and {port} in {{port}} (CHW against HWC)"
        yield Cause("GP234", says, "transpose before flattening, or permute the weight's inputs")
