"""Guesses for a whole leaf: what the claim would have to be if a known mistake was made. Simplest first."""

__all__ = ["Guess", "guesses"]

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, is_array, is_floating
from gradproof.backend import backend_for
from gradproof.diagnosing.case import Case
from gradproof.verdict import Estimate

MOST_AXES = 4
"""Of a leaf whose axes are permuted: 24 orders."""

MOST_FACTORISATIONS = 12
"""Ways in which a vector may be an unrolled matrix."""

SMALLEST_UNROLLED = 6
"""Entries of a vector below which unrolling it in the other order only exchanges two."""

MOST_LEAVES = 24
"""Others whose gradient may have been given."""


@dataclass(frozen=True)
class Guess:
    """A corrected claim, and what was wrong if it agrees."""

    code: str
    says: str
    correction: str
    corrected: Estimate


def guesses(case: Case) -> Iterator[Guess]:
    """Every guess that has no number to fit and changes the claim."""
    for family in (_sign, _axes, _unrolled, _moved, _other_leaf, _chain_rule, _constants):
        for guess in family(case):
            if not np.array_equal(guess.corrected.value, case.claim.value):
                yield guess


def _of_both(claim: Estimate, change: Callable[..., HostArray], *how: Any) -> Estimate:
    """`change(array, *how)` made to value and bar alike."""
    value, bar = (np.array(change(x, *how), order="C") for x in (claim.value, claim.bar))
    return Estimate(value, bar)


def _reshaped_and_transposed(x: HostArray, shape: tuple[int, ...], axes: tuple[int, ...]) -> HostArray:
    return x.reshape(shape).transpose(axes)


def _rewritten_by_columns(x: HostArray, rows: int) -> HostArray:
    return x.reshape(rows, -1).T.reshape(-1)


def _mirrored(x: HostArray, axis: int) -> HostArray:
    return np.roll(np.flip(x, axis), 1, axis)


def _times(claim: Estimate, factor: HostArray) -> Estimate:
    with np.errstate(all="ignore"):
        value = claim.value * factor
        bar = claim.bar * np.abs(factor) + 2.0**-51 * np.abs(value)
    return Estimate(value, bar)


def _sign(case: Case) -> Iterator[Guess]:
    yield Guess("GP102", "is the negative of the right gradient", "-g", _times(case.claim, np.asarray(-1.0)))


def _axes(case: Case) -> Iterator[Guess]:
    """Axes permuted, or the numbers of the permuted array written in the order of the right one."""
    shape = case.claim.shape
    if not 2 <= len(shape) <= MOST_AXES:
        return
    for order in list(permutations(range(len(shape))))[1:]:
        back = tuple(int(i) for i in np.argsort(order))
        turned = tuple(shape[axis] for axis in order)
        name = "transposed" if len(shape) == 2 else f"has its axes permuted, {list(order)}"
        if turned == shape:
            words = "g.T" if len(shape) == 2 else f"g.transpose({list(back)})"
            yield Guess("GP103", _is(name), words, _of_both(case.claim, np.transpose, back))
        if turned == shape and len(shape) == 2:
            continue  # reshaped to the same shape, it is the same
        reshaped = f"g.reshape{turned}.T" if len(shape) == 2 else f"g.reshape{turned}.transpose({list(back)})"
        yield Guess(
            "GP103", f"{_is(name)} and reshaped, not transposed back", reshaped,
            _of_both(case.claim, _reshaped_and_transposed, turned, back),
        )  # fmt: skip


def _is(name: str) -> str:
    return f"is {name}" if name == "transposed" else name


def _unrolled(case: Case) -> Iterator[Guess]:
    """A vector that is a matrix unrolled by columns where by rows is due."""
    if len(case.claim.shape) != 1:
        return
    n = case.claim.value.size
    if n < SMALLEST_UNROLLED:
        return
    rows = [a for a in range(2, int(n**0.5) + 1) if n % a == 0][:MOST_FACTORISATIONS]
    for a in dict.fromkeys([*rows, *(n // a for a in rows)]):
        yield Guess(
            "GP103", f"is a {n // a} × {a} matrix unrolled in the other order (rows for columns)",
            f"g.reshape({a}, {n // a}).T.ravel()",
            _of_both(case.claim, _rewritten_by_columns, a),
        )  # fmt: skip


def _moved(case: Case) -> Iterator[Guess]:
    """Shifted, reversed, or in the order of a conjugated Fourier transform."""
    shape = case.claim.shape
    for axis, length in enumerate(shape):
        if length < 2:
            continue
        along = f", axis={axis}" if len(shape) > 1 else ""
        for step in (1, -1, 2, -2, length // 2):
            if step % length:
                yield Guess(
                    "GP120", f"is shifted by {-step}{_along(axis, shape)}", f"np.roll(g, {step}{along})",
                    _of_both(case.claim, np.roll, step, axis),
                )  # fmt: skip
        yield Guess(
            "GP120", f"is reversed{_along(axis, shape)}", f"np.flip(g{along})",
            _of_both(case.claim, np.flip, axis),
        )  # fmt: skip
        yield Guess(
            "GP120", f"has index k and −k exchanged{_along(axis, shape)}: a Fourier transform that was not conjugated",
            f"np.roll(np.flip(g{along}), 1{along})",
            _of_both(case.claim, _mirrored, axis),
        )  # fmt: skip
    if len(shape) > 1:
        yield from _moved_flat(case)


def _moved_flat(case: Case) -> Iterator[Guess]:
    for step in (1, -1):
        yield Guess(
            "GP120", f"is shifted by {-step} in memory", f"np.roll(g, {step})",
            _of_both(case.claim, np.roll, step),
        )  # fmt: skip
    yield Guess(
        "GP120", "is reversed along all axes", "np.flip(g)",
        _of_both(case.claim, np.flip),
    )  # fmt: skip


def _along(axis: int, shape: tuple[int, ...]) -> str:
    return f" along axis {axis}" if len(shape) > 1 else ""


def _other_leaf(case: Case) -> Iterator[Guess]:
    for other in sorted(case.wrong)[:MOST_LEAVES]:
        estimate = case.gradient[other]
        if other == case.leaf or estimate.value.size != case.claim.value.size:
            continue
        name = case.point.paths[other]
        yield Guess(
            "GP119", f"has the gradient of {case.path} where that of {name} is due, and the other way round",
            f"what was given for {name}", _of_both(estimate, np.reshape, case.claim.shape),
        )  # fmt: skip


def _sigmoid(x: HostArray) -> HostArray:
    return 1.0 / (1.0 + np.exp(-x))


_OF_PARAMETER: tuple[tuple[str, Callable[[HostArray], HostArray]], ...] = (
    ("θ", lambda x: x), ("θ²", lambda x: x * x), ("exp(θ)", np.exp), ("(1 − θ)", lambda x: 1 - x),
    ("θ(1 − θ)", lambda x: x * (1 - x)), ("(1 − θ²)", lambda x: 1 - x * x), ("|θ|", np.abs),
    ("sigmoid(θ)", _sigmoid), ("sigmoid′(θ)", lambda x: _sigmoid(x) * _sigmoid(-x)),
    ("(1 − tanh²θ)", lambda x: 1 - np.tanh(x) ** 2), ("cos(θ)", np.cos), ("sign(θ)", np.sign),
)  # fmt: skip


def _chain_rule(case: Case) -> Iterator[Guess]:
    """Off, entry by entry, by a function of the parameter."""
    for words, function in _OF_PARAMETER:
        with np.errstate(all="ignore"):
            factor = function(case.theta)
            inverse = 1.0 / factor
        if np.ptp(factor) == 0 or (words == "|θ|" and case.theta.min() >= 0):
            continue  # that is a constant factor, or θ itself
        for name, by, verb in (
            ("/", inverse, "was multiplied by"), ("*", factor, "lacks the factor"),
        ):  # fmt: skip
            if np.isfinite(by).all():
                expression = f"g {name} {words}"
                yield Guess("GP122", f"{verb} {words}, θ the parameter", expression, _times(case.claim, by))


def _constants(case: Case) -> Iterator[Guess]:
    """Off, entry by entry, by an array among the constants."""
    shape = case.claim.shape
    for name, arg in zip(case.constants.names, case.point.args, strict=True):
        if not (is_array(arg) and (is_floating(arg) or str(arg.dtype).endswith("bool"))):
            continue
        array = backend_for(arg).to_numpy(arg).astype(np.float64)
        try:
            factor = np.broadcast_to(array, shape)
        except ValueError:
            continue
        if factor.size < 2 or np.ptp(factor) == 0 or not np.isfinite(factor).all():
            continue
        yield Guess("GP124", f"lacks the factor {name}", f"g * {name}", _times(case.claim, factor))
        if factor.all():
            yield Guess("GP124", f"was multiplied by {name}", f"g / {name}", _times(case.claim, 1.0 / factor))
