"""Normalisation: which statistics, over what, with which epsilon, each side divided by."""

__all__ = ["norm_causes"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import along, like, named_parameter
from gradproof.porting.causes.evidence import Evidence, residual
from gradproof.porting.causes.groupings import Grouping, groupings
from gradproof.porting.causes.norm_form import Form, norm_cause
from gradproof.porting.stretch import Cause, Stretch

LARGEST_EPS = 0.1
"""Beyond it one group is explained by anything. The largest default of a framework is 1e-3."""

FEW = 8
"""Groups on which a form is tried before it is on all."""

GROUPS_FOR_ANY_NUMBER = 3
"""Groups of different variance that an epsilon which nobody would write down must explain."""

_SCALES = ("scale", "weight", "gamma", "g", "kernel")
_BIASES = ("bias", "beta", "b", "offset")
_MEANS = ("running_mean", "mean", "moving_mean", "state_mean")
_VARIANCES = ("running_var", "var", "moving_variance", "moving_var", "state_var", "variance")


@dataclass(frozen=True, slots=True)
class _Affine:
    scale: str
    times: HostArray
    bias: str
    plus: HostArray


@dataclass(frozen=True, slots=True)
class _Hints:
    """Numbers that stand in the settings of either side."""

    eps: tuple[float, ...]
    groups: tuple[int, ...]

    @classmethod
    def of(cls, *settings: Mapping[str, Any]) -> "_Hints":
        items = [(key.lower(), value) for one in settings for key, value in one.items()]
        eps = tuple(float(v) for k, v in items if "eps" in k and isinstance(v, float))
        groups = tuple(int(v) for k, v in items if "group" in k and isinstance(v, int))
        return cls(eps, groups)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Of one grouping: deviations, second moments, and the factor that a side must have put on them."""

    deviations: HostArray
    """Times the scale: (groups, length)."""
    variance: HostArray
    target: HostArray
    """Less the bias."""
    length: int


def norm_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """The fewest respects in which two normalisations of one input differ, if each side is one."""
    hints = _Hints.of(stretch.settings, stretch.other_settings)
    for x in like(stretch, stretch.expected).values():
        if x.ndim == 0 or not np.isfinite(x).all():
            continue
        sides = [list(_forms(stretch, x, y, evidence.allowance, hints)) for y in _lazily(evidence)]
        if len(sides) < 2 or not all(sides):
            continue
        pairs = [norm_cause(reference, port) for reference, port in product(*sides)]
        found = [pair for pair in pairs if pair is not None]
        if found:
            yield min(found, key=lambda pair: pair[0])[1]
            return


def _lazily(evidence: Evidence) -> Iterator[HostArray]:
    if all(np.isfinite(side).all() for side in evidence.sides):
        yield from evidence.sides


def _forms(stretch: Stretch, x: HostArray, y: HostArray, allowance: float, hints: _Hints) -> Iterator[Form]:
    """Every form that y is of x."""
    affines = list(_affines(stretch.parameters, x.shape))
    for affine in affines:
        plain = y - affine.plus
        for grouping in groupings(x.shape, hints.groups):
            parts = (grouping.of(x), _grouped(affine.times, grouping, x.shape), grouping.of(plain))
            for centered in (True, False):
                if (
                    grouping.length < 2
                    or _factors(_rows(centered, *(p[:FEW] for p in parts)), allowance) is None
                ):
                    continue
                for unbiased, inside, eps in _solved(_rows(centered, *parts), allowance, hints, centered):
                    yield Form(grouping, False, centered, unbiased, inside, eps, affine.scale, affine.bias)
    for affine in affines:
        yield from _running_forms(stretch.parameters, x, y, affine, allowance, hints)


def _grouped(times: HostArray, grouping: Grouping, shape: tuple[int, ...]) -> HostArray:
    return np.ones((1, 1)) if times.ndim == 0 else grouping.of(np.broadcast_to(times, shape))


def _rows(centered: bool, x: HostArray, times: HostArray, target: HostArray) -> _Rows:
    deviations = x - x.mean(axis=1, keepdims=True) if centered else x
    return _Rows(deviations * times, np.mean(deviations**2, axis=1), target, x.shape[1])


def _affines(parameters: Mapping[str, HostArray], shape: tuple[int, ...]) -> Iterator[_Affine]:
    """Scale and bias as they are due, then in other conventions."""
    scale, bias = named_parameter(parameters, _SCALES), named_parameter(parameters, _BIASES)
    none = np.zeros(())
    scales = [("scale", laid) for laid in along(scale, shape)] if scale is not None else []
    scales += [("1 + scale", 1.0 + laid) for _, laid in scales] + [("no scale", none + 1.0)]
    biases = [("bias", laid) for laid in along(bias, shape)] if bias is not None else []
    biases += [("no bias", none)]
    for (scale_words, times), (bias_words, plus) in product(scales, biases):
        if times.ndim == plus.ndim or 0 in (times.ndim, plus.ndim):
            yield _Affine(scale_words, times, bias_words, plus)


def _running_forms(
    parameters: Mapping[str, HostArray],
    x: HostArray,
    y: HostArray,
    affine: _Affine,
    allowance: float,
    hints: _Hints,
) -> Iterator[Form]:
    mean, variance = named_parameter(parameters, _MEANS), named_parameter(parameters, _VARIANCES)
    if mean is None or variance is None or mean.shape != variance.shape or mean.ndim != 1:
        return
    for laid in along(mean, x.shape):
        channel = x.ndim - laid.ndim
        grouping = Grouping("running", x.shape, tuple(axis for axis in range(x.ndim) if axis != channel))
        times = _grouped(affine.times, grouping, x.shape)
        rows = _Rows(grouping.of(x - laid) * times, variance, grouping.of(y - affine.plus), grouping.length)
        for unbiased, inside, eps in _solved(rows, allowance, hints, centered=False):
            yield Form(grouping, True, True, unbiased, inside, eps, affine.scale, affine.bias)


def _solved(
    rows: _Rows, allowance: float, hints: _Hints, centered: bool
) -> Iterator[tuple[bool, bool, float]]:
    """(unbiased, eps under the root, eps) for which the rows become the target."""
    factors = _factors(rows, allowance)
    if factors is None:
        return
    usable = np.flatnonzero((rows.variance > 0) & (factors > 0))
    if usable.size == 0:
        return
    low = int(usable[np.argmin(rows.variance[usable])])
    any_number = np.unique(rows.variance[usable]).size >= GROUPS_FOR_ANY_NUMBER
    for unbiased, inside in product((False, True) if centered else (False,), (True, False)):
        variance = rows.variance * (rows.length / (rows.length - 1) if unbiased else 1.0)
        raw = _raw_eps(float(variance[low]), float(factors[low]), inside)
        for eps in _candidates(raw, hints.eps, any_number):
            root = np.sqrt(variance + eps) if inside else np.sqrt(variance) + eps
            if residual(rows.deviations / np.maximum(root, 1e-300)[:, None], rows.target) <= allowance:
                yield unbiased, inside, eps
                break


def _factors(rows: _Rows, allowance: float) -> HostArray | None:
    """What every row was multiplied by, None if that is not one number per row."""
    squares = np.sum(rows.deviations**2, axis=1)
    products = np.sum(rows.deviations * rows.target, axis=1)
    factors = np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)
    if residual(rows.deviations * factors[:, None], rows.target) > allowance:
        return None
    return factors


def _raw_eps(variance: float, factor: float, inside: bool) -> float:
    return float(1.0 / factor**2 - variance) if inside else float(1.0 / factor - np.sqrt(variance))


def _candidates(raw: float, hinted: tuple[float, ...], any_number: bool) -> Iterator[float]:
    """Epsilons near the solved one: those of the settings, none at all, those of few digits, itself."""
    yield from dict.fromkeys(hinted)
    yield 0.0
    if 0 < raw <= LARGEST_EPS:
        for digits in range(3):
            yield float(f"{raw:.{digits}e}")
        if any_number:
            yield raw
