"""Running statistics: what one step of training did to them."""

__all__ = ["causes_of_buffers"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, nan, prod
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import leaf_name
from gradproof.porting.causes.evidence import float64, residual
from gradproof.porting.causes.numbers import plain, round_number
from gradproof.porting.stretch import Cause

CLOSE = 1e-9
"""Relative to the largest change: an update is one multiplication and one sum, right to a few units of roundoff."""


@dataclass(frozen=True, slots=True)
class _Update:
    """after = (1 − weight) · before + weight · statistic."""

    weight: float
    unbiased: bool


def causes_of_buffers(
    before: Mapping[str, HostArray],
    expected_after: Mapping[str, HostArray],
    found_after: Mapping[str, HostArray],
    batch_input: HostArray | None = None,
    settings: Mapping[str, Any] | None = None,
    other_settings: Mapping[str, Any] | None = None,
) -> tuple[Cause, ...]:
    """Why the buffers of one layer differ after a step that began with the same ones; all by the reference's paths.

    With `batch_input`, what the layer was given in that step, both sides' weights are fitted; without it their ratio is,
    and the reference's own is read from `settings` ("momentum").
    """
    told = (settings or {}, other_settings or {})
    for path in expected_after:
        if path not in before or path not in found_after:
            continue
        start, due, came = (float64(x[path]) for x in (before, expected_after, found_after))
        if (
            due.shape != came.shape
            or due.shape != start.shape
            or residual(due, came) <= CLOSE * _size(due - start)
        ):
            continue
        cause = (
            _one(start, due, came)
            or _fitted(path, start, due, came, batch_input)
            or _by_ratio(start, due, came, told)
        )
        if cause is not None:
            return (cause,)
    return ()


def _size(x: HostArray) -> float:
    return float(np.max(np.abs(x), initial=0.0))


def _one(start: HostArray, due: HostArray, came: HostArray) -> Cause | None:
    """One side leaves the buffer as it was."""
    if np.array_equal(came, start):
        return Cause(
            "GP243",
            "{port} does not update the running statistics (evaluation mode, or frozen)",
            "put both into one mode",
        )
    if np.array_equal(due, start):
        return Cause(
            "GP243", "{port} updates the running statistics, {reference} does not", "put both into one mode"
        )
    return None


def _fitted(
    path: str, start: HostArray, due: HostArray, came: HostArray, x: HostArray | None
) -> Cause | None:
    if x is None or start.ndim != 1:
        return None
    x = float64(x)
    for channel in dict.fromkeys((1 if x.ndim > 1 else 0, x.ndim - 1)):
        if x.shape[channel] != start.size:
            continue
        n = prod(x.shape) // start.size
        one, other = (list(_updates(path, start, after, x, channel)) for after in (due, came))
        pairs = [(a, b) for a in one for b in other]
        if pairs:
            return _named(*min(pairs, key=lambda pair: _unlike(*pair)), n)
    return None


def _unlike(one: _Update, other: _Update) -> int:
    return (one.unbiased != other.unbiased) + (abs(one.weight - other.weight) > CLOSE)


def _updates(path: str, start: HostArray, after: HostArray, x: HostArray, channel: int) -> Iterator[_Update]:
    """Every update that explains a buffer."""
    axes = tuple(axis for axis in range(x.ndim) if axis != channel)
    n = x.size // start.size
    word = leaf_name(path)
    if "var" not in word:
        statistics = [(np.mean(x, axis=axes), False)]
    else:
        statistics = [(np.var(x, axis=axes), False)]
        statistics += [(np.var(x, axis=axes, ddof=1), True)] if n > 1 else []
    for statistic, unbiased in statistics:
        way = statistic - start
        weight = float(way @ (after - start) / (way @ way)) if np.any(way) else 0.0
        if residual(start + weight * way, after) <= CLOSE * _size(after - start):
            rounded = round_number(weight)
            yield _Update(weight if rounded is None else rounded, unbiased)


def _named(reference: _Update, port: _Update, n: int) -> Cause | None:
    if abs(reference.weight - port.weight) > CLOSE:
        return _momentum(reference.weight, port.weight)
    if reference.unbiased != port.unbiased:
        kinds = {True: f"unbiased (over {n - 1})", False: f"biased (over {n})"}
        says = f"the running variance takes the {kinds[reference.unbiased]} one of the batch in {{reference}} and the {kinds[port.unbiased]} one in {{port}}"
        return Cause(
            "GP242",
            says,
            f"ddof={int(reference.unbiased)} where the layer has such an option; else a layer of your own, or ignore=('buffer',)",
            (n - 1) / n if reference.unbiased else n / (n - 1),
        )
    return None


def _momentum(reference: float, port: float) -> Cause:
    """Weights of the new statistic: the same number kept the wrong way round, or another one."""
    if abs(reference + port - 1.0) <= 1e-6:
        says = (
            f"the batch's statistic counts {plain(reference)} in {{reference}} and {plain(port)} in {{port}}: momentum is the weight of "
            "the new one in the one framework, of the old one in the other"
        )
        return Cause(
            "GP241", says, f"momentum = 1 − momentum (the new statistic counts {plain(reference)})", port
        )
    says = f"the batch's statistic counts {plain(reference)} in {{reference}} and {plain(port)} in {{port}}: another momentum"
    return Cause("GP241", says, f"the new statistic counts {plain(reference)}", port)


def _by_ratio(
    start: HostArray, due: HostArray, came: HostArray, settings: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> Cause | None:
    """Without the batch: the two changes are multiples of each other."""
    one, other = due - start, came - start
    if not np.any(one):
        return None
    ratio = float(np.vdot(one, other) / np.vdot(one, one))
    if residual(one * ratio, other) > CLOSE * _size(other) or start.size < 2:
        return None
    told = settings[0].get("momentum", nan)
    weights = [w for w in (told, 1.0 - told, 1.0 / (1.0 + ratio)) if isinstance(w, float) and isfinite(w)]
    for weight in weights:
        port = round_number(weight * ratio)
        if port is not None and 0 < port <= 1 and round_number(weight, 1e-6) is not None:
            return _momentum(weight, port)
    return None
