"""Two losses of one output and one target: which formula, and how it is reduced."""

__all__ = ["causes_of_loss"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.evidence import float64
from gradproof.porting.causes.numbers import NEAR, name_factor
from gradproof.porting.causes.softmaxes import log_softmax
from gradproof.porting.stretch import Cause

IGNORED = -100
"""Target that frameworks leave out by default."""

_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class _Form:
    formula: str
    reduction: str
    factor: float


def causes_of_loss(
    expected: float,
    found: float,
    outputs: HostArray | None = None,
    targets: HostArray | None = None,
    shapes: Sequence[tuple[int, ...]] = (),
) -> tuple[Cause, ...]:
    """Why two ports' losses differ though their outputs agree, the simplest first; empty if no known mistake explains it.

    `outputs` and `targets` are what both losses were taken of (the one array of each, or None), `shapes` those of all
    outputs and inputs, whose lengths may be the ratio of a sum and a mean.
    """
    if not (np.isfinite(expected) and np.isfinite(found)) or expected == found:
        return ()
    sizes = _sizes(outputs, targets, shapes)
    if outputs is not None and targets is not None:
        named = _identified(expected, found, float64(outputs), np.asarray(targets))
        if named is not None:
            return (named,)
    return tuple(_ratio(expected, found, sizes))


def _sizes(
    outputs: HostArray | None, targets: HostArray | None, shapes: Sequence[tuple[int, ...]]
) -> dict[int, str]:
    """Numbers that a reduction may divide by, and what they are."""
    named: dict[int, str] = {}
    if targets is not None and np.asarray(targets).dtype.kind in "iu":
        counted = int(np.count_nonzero(np.asarray(targets) != IGNORED))
        named[counted] = "the number of targets that are not ignored"
    arrays = [np.shape(x) for x in (outputs, targets) if x is not None]
    for shape in chain(arrays, shapes):
        if shape:
            named.setdefault(prod(shape), "the number of entries")
            named.setdefault(shape[0], "the size of the batch")
            named.setdefault(prod(shape[:-1]), "the number of positions")
            named.setdefault(shape[-1], "the number of features (or classes)")
            for axis, length in enumerate(shape):
                named.setdefault(length, f"the length of axis {axis}")
            named.setdefault(prod(shape[1:]), "the number of entries of a sample")
    return {size: words for size, words in named.items() if size > 1}


def _ratio(expected: float, found: float, sizes: dict[int, str]) -> Iterator[Cause]:
    """The one as a multiple of the other."""
    if expected == 0.0 or found == 0.0:
        return
    ratio = found / expected
    if abs(ratio + 1.0) <= NEAR:
        yield Cause("GP231", "the loss of {port} has the opposite sign", "-loss", -1.0)
        return
    for size, words in sizes.items():
        for value, mean, total in ((ratio, "{reference}", "{port}"), (1.0 / ratio, "{port}", "{reference}")):
            if abs(value - size) <= NEAR * size:
                says = (
                    f"{mean} divides the loss by {size}, {words}, and {total} does not (a mean against a sum)"
                )
                yield Cause(
                    "GP239", says, f"divide by {size}" if total == "{port}" else f"multiply by {size}", ratio
                )
                return
    named = name_factor(ratio, sizes)
    if named.words in ("2", "1/2"):
        says = f"the loss of {{port}} is {named.words} × that of {{reference}}: a factor 1/2 is on one side alone"
        yield Cause("GP240", says, f"multiply by {name_factor(1 / ratio).words}", ratio)
    elif named.is_size:
        yield Cause("GP239", f"the loss of {{port}} is {named.words} × that of {{reference}}", "", ratio)


def _identified(expected: float, found: float, outputs: HostArray, targets: HostArray) -> Cause | None:
    """What each side computes, by formula."""
    forms = list(_forms(outputs, targets))
    reference = [form for form, value in forms if _near(value, expected)]
    port = [form for form, value in forms if _near(value, found)]
    if not reference or not port:
        return None
    one, other = min(
        ((a, b) for a in reference for b in port),
        key=lambda pair: (
            (pair[0].formula != pair[1].formula)
            + (pair[0].reduction != pair[1].reduction)
            + (pair[0].factor != pair[1].factor)
        ),
    )
    return _named(one, other, found / expected if expected else np.nan)


def _near(value: float, due: float) -> bool:
    return bool(np.isfinite(value)) and abs(value - due) <= NEAR * abs(due)


def _named(reference: _Form, port: _Form, ratio: float) -> Cause | None:
    if reference.formula != port.formula:
        says = f"the loss is the {reference.formula} in {{reference}} and the {port.formula} in {{port}}"
        return Cause("GP240", says, reference.formula, ratio)
    if reference.reduction != port.reduction:
        says = f"the {reference.formula} is reduced by {reference.reduction} in {{reference}} and by {port.reduction} in {{port}}"
        return Cause("GP239", says, reference.reduction, ratio)
    if reference.factor != port.factor:
        says = f"the {reference.formula} has the factor {reference.factor:g} in {{reference}} and {port.factor:g} in {{port}}"
        return Cause("GP240", says, f"multiply by {reference.factor / port.factor:g}", ratio)
    return None


def _forms(outputs: HostArray, targets: HostArray) -> Iterator[tuple[_Form, float]]:
    with np.errstate(all="ignore"):
        for formula, terms, counted in (*_regressions(outputs, targets), *_classifications(outputs, targets)):
            for reduction, value in _reductions(terms, counted):
                for factor in (1.0, 0.5):
                    yield _Form(formula, reduction, factor), factor * value


def _reductions(terms: HostArray, counted: int) -> Iterator[tuple[str, float]]:
    total = float(np.sum(terms))
    yield "a mean over everything", total / terms.size
    yield "a sum", total
    if counted != terms.size and counted:
        yield "a mean over the targets that are not ignored", total / counted
    if terms.ndim > 1:
        yield "a sum, divided by the size of the batch", total / terms.shape[0]
        yield "a sum, divided by the length of the last axis", total / terms.shape[-1]


_Terms = tuple[str, HostArray, int]


def _regressions(y: HostArray, t: HostArray) -> Iterator[_Terms]:
    if y.shape != t.shape or not y.size:
        return
    t = float64(t)
    error = np.abs(y - t)
    yield "squared error", error**2, y.size
    yield "absolute error", error, y.size
    yield "Huber loss", np.where(error < 1, 0.5 * error**2, error - 0.5), y.size
    yield "log-cosh error", error + np.log1p(np.exp(-2 * error)) - np.log(2.0), y.size
    if (t >= 0).all() and (t <= 1).all():
        soft = np.maximum(y, 0) - y * t + np.log1p(np.exp(-np.abs(y)))
        yield "binary cross-entropy of logits", soft, y.size
        yield "binary cross-entropy of probabilities", -(t * np.log(y) + (1 - t) * np.log1p(-y)), y.size
        if y.ndim > 1:
            yield "cross-entropy of logits", -np.sum(t * log_softmax(y), -1), prod(y.shape[:-1])
            yield "cross-entropy of probabilities", -np.sum(t * np.log(y + _TINY), -1), prod(y.shape[:-1])
            yield (
                "cross-entropy of log-probabilities (no log-softmax)",
                -np.sum(t * y, -1),
                prod(y.shape[:-1]),
            )


def _classifications(y: HostArray, t: HostArray) -> Iterator[_Terms]:
    if t.dtype.kind not in "iu":
        return
    for logits, classes in ((y, y.ndim - 1), (np.moveaxis(y, 1, -1) if y.ndim > 2 else y, 1)):
        if logits.shape[:-1] != t.shape or not t.size or t.max() >= logits.shape[-1]:
            continue
        kept = t != IGNORED
        place = np.where(kept, t, 0)[..., None]
        rows = {
            "cross-entropy of logits": log_softmax(logits),
            "cross-entropy of probabilities": np.log(np.maximum(logits, _TINY)),
            "cross-entropy of log-probabilities (no log-softmax)": logits,
            "cross-entropy of a softmax taken twice": log_softmax(np.exp(log_softmax(logits))),
            **_of_another_axis(y, classes),
        }
        for words, log in rows.items():
            picked = -np.take_along_axis(log, place, -1)[..., 0]
            yield words, np.where(kept, picked, 0.0), int(np.count_nonzero(kept))


def _of_another_axis(y: HostArray, classes: int) -> dict[str, HostArray]:
    """Log-probabilities that add up to one along an axis that is not that of the classes; the classes last."""
    return {
        f"cross-entropy with the softmax over axis {axis}, not over the classes (axis {classes})": np.moveaxis(
            log_softmax(y, axis), classes, -1
        )
        for axis in range(y.ndim)
        if axis != classes and y.shape[axis] > 1
    }
