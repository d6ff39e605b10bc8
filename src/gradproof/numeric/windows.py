"""Fits over windows of neighbouring levels: what a ladder's samples say, and how far that can be off.

`samples` has one row per level, coarsest first, steps halving from row to row. A model is a set of powers of h; a window of as many levels as the model
has powers determines the fit exactly. What the fit then fails to predict on all finer levels is noise, or a sign that
the window is too coarse. Either way the bar grows by it:

    value      R(k,q) = coefficient of h in the fit of order q to levels k−q … k
    noise      ε(k,q) = largest misfit on the levels below k, at least the rounding floor
    bar        E(k,q) = safety·A_q·ε/h_k + max(|R(k,q) − R(k,q−1)|, |R(k,q) − R(k−1,q)|)

with A_q the growth of noise from the samples to the coefficient (Σ of its |weights|). The window of least E wins.
Why this is safe: for the odd model, a window whose slope is off by d misses the next finer level by at least
0.69·|d|·h_k/2, which enters E with a factor above 4, so the bar checks itself as long as the function has no structure below the last
level.
"""

__all__ = [
    "EVEN",
    "FINER_LEVELS",
    "ODD",
    "ONE_SIDED",
    "Model",
    "best_window",
    "extrapolated",
    "gain",
    "interpolation",
    "misfit",
    "residual_noise",
]

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray

HIGHEST_ORDER = 5
"""q ≤ 5: order 12 for the odd model. Higher ones gained nothing on smooth functions in float64."""

FINER_LEVELS = 4
"""Levels below a window on which its noise is read. With 3 a check costs 23 instead of 28 evaluations and the bars
still held on smooth functions; 4 also sees noise that happens to vanish on a level."""


MOST_LEVELS = 64
"""Longer than any ladder: in float64 level 41 is the last at which x + t·v is formed without rounding."""

LOUD = 32.0
"""Multiple of the finest levels' misfit above which a misfit is structure: noise keeps its size from level to level,
structure does not."""


@dataclass(frozen=True, slots=True)
class Model:
    """Powers of the step that the samples are made of; the wanted coefficient is that of the first."""

    powers: tuple[int, ...]
    offset: bool
    """Whether every sample has φ(0) subtracted, whose noise they share."""
    scale: float
    """A misfit over this is the noise of one evaluation of φ."""


ODD = Model((1, 3, 5, 7, 9, 11), offset=False, scale=1 / np.sqrt(2.0))
"""(φ(h) − φ(−h))/2: slope·h + odd powers (Richardson's extrapolation)."""

EVEN = Model((1, 2, 4, 6, 8, 10), offset=True, scale=1.25)
"""(φ(h) + φ(−h))/2 − φ(0): half the slope's jump·|h| + even powers."""

ONE_SIDED = Model((1, 2, 3, 4, 5, 6), offset=True, scale=1.5)
"""φ(h) − φ(0), where the other side is outside the domain: slope·h + all powers."""


def misfit(model: Model, samples: HostArray, floor: HostArray) -> list[HostArray]:
    """For each order q the largest misfit of window k on all finer levels, in units of one evaluation's noise.

    `floor` (m,) is the noise that has to be expected at the finest level. A misfit that is far above what the finest
    levels show is no noise but structure on the scale h_l where it is met: it counts h_k/h_l times, as an error of
    the slope there. Entry q has shape (windows, m); its rows are the windows whose finest level is q, q + 1, …
    """
    quiet = LOUD * np.fmax(residual_noise(model, samples, FINER_LEVELS), floor) / model.scale
    if not np.isfinite(samples).all():  # what is missing at one level must not spoil windows without it
        return [_misfit(model, samples, order, quiet) for order in range(HIGHEST_ORDER + 1)]
    table = _table(model, len(samples))
    missed = np.abs(table.missed @ samples) / model.scale
    missed = np.where(missed > quiet, table.closer * missed, missed)
    largest = np.maximum.reduceat(missed, table.starts, axis=0)
    return [largest[part] for part in table.orders]


def best_window(
    model: Model, samples: HostArray, steps: HostArray, noise: list[HostArray], safety: float
) -> tuple[HostArray, HostArray]:
    """Coefficient of h and its bar, each (m,), from the window of least bar; an infinite bar where none is finite."""
    fits = _fits(model, samples, steps)
    values, bars = [], []
    for order, (lower, value) in enumerate(pairwise(fits), start=1):
        if not len(value):
            break
        truncation = np.abs(value - lower[1:])
        truncation[1:] = np.maximum(truncation[1:], np.abs(value[1:] - value[:-1]))
        step = steps[order : order + len(value), None]
        bars.append(safety * _weights(model, order).gain * noise[order] / step + truncation)
        values.append(value)
    all_values, all_bars = np.concatenate(values), np.concatenate(bars)
    all_bars = np.where(np.isfinite(all_bars) & np.isfinite(all_values), all_bars, np.inf)
    best = np.argmin(all_bars, axis=0)[None]
    return np.take_along_axis(all_values, best, 0)[0], np.take_along_axis(all_bars, best, 0)[0]


def residual_noise(model: Model, samples: HostArray, levels: int = 2) -> HostArray:
    """What the finest `levels` miss of the smoothest extrapolation from the levels above them, shape (m,)."""
    above = len(samples) - levels - 1
    missed = []
    for order in range(1, min(HIGHEST_ORDER, above) + 1):
        prediction = _weights(model, order).prediction[:levels, ::-1]
        missed.append(np.abs(samples[-levels:] - prediction @ samples[above - order : above + 1]).max(axis=0))
    return np.fmin.reduce(missed)


def extrapolated(model: Model, samples: HostArray, step: float) -> HostArray:
    """Coefficient of h, (m,), from all of a few `samples` (levels, m), coarsest first; the last one at `step`."""
    return _weights(model, len(samples) - 1).coefficient @ samples[::-1] / step


def gain(model: Model, levels: int) -> float:
    """By how much the noise of an evaluation grows in what is extrapolated from that many levels, over the step."""
    return _weights(model, levels - 1).gain


def interpolation(model: Model, levels: int, step: float) -> HostArray:
    """Weights (levels,) that take samples to the fit through all of them at `step`, in units of the coarsest one's."""
    nodes = 2.0 ** -np.arange(levels)
    powers = np.array(model.powers[:levels])
    return np.linalg.solve((nodes[:, None] ** powers).T, step**powers)


def _windows(order: int, levels: int) -> tuple[HostArray, HostArray]:
    """Finest level of each window of an order, and the levels in it, newest first."""
    finest = np.arange(order, levels - FINER_LEVELS)
    return finest, finest[:, None] - np.arange(order + 1)


def _misfit(model: Model, samples: HostArray, order: int, quiet: HostArray) -> HostArray:
    levels = len(samples)
    finest, window = _windows(order, levels)
    finer = finest[:, None] + 1 + np.arange(levels - 1)
    inside = (finer < levels)[..., None]
    predicted = _weights(model, order).prediction[: levels - 1] @ samples[window]
    missed = np.abs(samples[np.minimum(finer, levels - 1)] - predicted) / model.scale
    closer = 2.0 ** np.arange(1, levels)[:, None]
    return np.where(inside, np.where(missed > quiet, closer * missed, missed), 0.0).max(axis=1, initial=0.0)


def _fits(model: Model, samples: HostArray, steps: HostArray) -> list[HostArray]:
    """Coefficients of h by all windows of each order, (windows, m)."""
    if not np.isfinite(samples).all():
        return [_coefficients(model, samples, steps, order) for order in range(HIGHEST_ORDER + 1)]
    table = _table(model, len(samples))
    found = table.coefficients @ samples / steps[table.finest][:, None]
    return [found[part] for part in table.orders]


def _coefficients(model: Model, samples: HostArray, steps: HostArray, order: int) -> HostArray:
    finest, window = _windows(order, len(samples))
    weights = _weights(model, order).coefficient
    return np.tensordot(samples[window], weights, (1, 0)) / steps[finest][:, None]


class _Table(NamedTuple):
    """The misfits of all windows of a ladder, order by order and window by window, as one linear map of the samples."""

    missed: HostArray
    """(rows, levels): a sample at a finer level less what the window predicts."""
    closer: HostArray
    """(rows, 1): 2 to the number of levels by which it is finer."""
    starts: HostArray
    """First row of each window."""
    coefficients: HostArray
    """(windows, levels): the coefficient of h, times the finest step of the window."""
    finest: HostArray
    """Finest level of each window."""
    orders: list[slice]
    """Windows of each order."""


@cache
def _table(model: Model, levels: int) -> _Table:
    rows: list[HostArray] = []
    finest: list[int] = []
    closer, starts, coefficients, orders = [], [], [], []
    for order in range(HIGHEST_ORDER + 1):
        weights = _weights(model, order)
        first = len(finest)
        for k, window in zip(*_windows(order, levels), strict=True):
            finest.append(k)
            coefficients.append(_placed(weights.coefficient, window, levels))
            starts.append(len(rows))
            for finer in range(1, levels - k):
                row = -_placed(weights.prediction[finer - 1], window, levels)
                row[k + finer] += 1.0
                rows.append(row)
                closer.append(2.0**finer)
        orders.append(slice(first, len(finest)))
    return _Table(
        np.array(rows), np.array(closer)[:, None], np.array(starts), np.array(coefficients),
        np.array(finest), orders,
    )  # fmt: skip


def _placed(weights: HostArray, window: HostArray, levels: int) -> HostArray:
    """`weights` at the levels of the window, 0 elsewhere."""
    row = np.zeros(levels)
    row[window] = weights
    return row


class _Weights(NamedTuple):
    """A window's fit as linear maps of its samples, newest level first, in units of its finest step."""

    coefficient: HostArray
    """(q+1,): coefficient of h."""
    prediction: HostArray
    """(MOST_LEVELS−1, q+1): the fit at the 1st, 2nd, … finer level."""
    gain: float
    """A_q: how much the noise of evaluations grows in the coefficient."""


@cache
def _weights(model: Model, order: int) -> _Weights:
    nodes = [Fraction(2**j) for j in range(order + 1)]
    finer = [Fraction(1, 2**f) for f in range(1, MOST_LEVELS)]
    powers = model.powers[: order + 1]
    fit = _inverse_vandermonde(nodes, powers)
    coefficient = np.array([float(weight) for weight in fit[0]])
    prediction = np.array([[float(x) for x in _row(fit, powers, h)] for h in finer])
    gain = np.abs(coefficient).sum() + model.offset * abs(coefficient.sum())
    return _Weights(coefficient, prediction, float(gain))


_Matrix = list[list[Fraction]]


def _inverse_vandermonde(nodes: list[Fraction], powers: tuple[int, ...]) -> _Matrix:
    """Inverse of V[j, i] = nodes[j]**powers[i], exactly, by Gauss and Jordan."""
    n = len(nodes)
    rows = [
        [_power(node, p) for p in powers] + [Fraction(i == j) for j in range(n)]
        for i, node in enumerate(nodes)
    ]
    for column in range(n):
        pivot = [x / rows[column][column] for x in rows[column]]
        rows = [
            pivot if i == column else [x - row[column] * p for x, p in zip(row, pivot, strict=True)]
            for i, row in enumerate(rows)
        ]
    return [row[n:] for row in rows]


def _row(fit: _Matrix, powers: tuple[int, ...], h: Fraction) -> list[Fraction]:
    """Weights that take the samples at the nodes to the fitted function at h."""
    nodes = range(len(fit))
    return [sum((_power(h, powers[i]) * fit[i][j] for i in nodes), Fraction(0)) for j in nodes]


def _power(base: Fraction, exponent: int) -> Fraction:
    return Fraction(base.numerator**exponent, base.denominator**exponent)
