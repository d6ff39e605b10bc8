"""Pooling: which kind, over which windows, and whether padding is counted."""

__all__ = ["pooling_causes"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import floating
from gradproof.porting.causes.evidence import Evidence, residual
from gradproof.porting.causes.geometry import geometries, padding_words
from gradproof.porting.causes.windows import MOST, Windows, channels_last, positions, read
from gradproof.porting.stretch import Cause, Stretch

WINDOWS = (2, 3, 4, 5, 7)
"""Lengths that are tried beside those of the settings."""

_WINDOW_KEYS = ("kernel_size", "window_shape", "window", "pool_size")

_KINDS = ("maximum", "mean, padding counted", "mean, padding not counted", "sum")


@dataclass(frozen=True, slots=True)
class _Form:
    windows: Windows
    kind: str


def pooling_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """The first respect in which two poolings of one input differ, if each side is one."""
    for x in floating(stretch).values():
        rank = x.ndim - 2
        if rank < 1 or evidence.expected.ndim != x.ndim:
            continue
        pairs = zip(
            channels_last(x, evidence.expected, rank), channels_last(x, evidence.found, rank), strict=True
        )
        for (image, expected, _), (_, found, _) in pairs:
            if image.shape[-1] != expected.shape[-1] or image.shape[0] != expected.shape[0]:
                continue
            reference = _form(image, expected, evidence.allowance, stretch.settings, None)
            port = (
                _form(image, found, evidence.allowance, stretch.other_settings, reference)
                if reference
                else None
            )
            if reference and port and reference != port:
                yield _named(reference, port, stretch, (image.shape[1:-1], expected.shape[1:-1]))
                return


def _form(
    x: HostArray, y: HostArray, allowance: float, settings: Mapping[str, Any], like: _Form | None
) -> _Form | None:
    where = positions(y.shape[:-1])
    due = y[tuple(where.T)]
    for windows in _windows(settings, x, y, like):
        taken = read(x, where, windows)
        for kind in _KINDS:
            if residual(_pooled(kind, *taken), due) <= allowance and _everywhere(
                x, y, windows, kind, allowance
            ):
                return _Form(windows, kind)
    return None


def _windows(
    settings: Mapping[str, Any], x: HostArray, y: HostArray, like: _Form | None
) -> Iterator[Windows]:
    given, made = x.shape[1:-1], y.shape[1:-1]
    rank = len(given)
    if like is not None:
        yield like.windows
    told = [settings[key] for key in _WINDOW_KEYS if key in settings]
    sizes = [
        (value,) * rank if isinstance(value, int) else tuple(value) for value in told if value is not None
    ]
    sizes += [given] if made == (1,) * rank else [(n,) * rank for n in WINDOWS]
    for size in dict.fromkeys(size for size in sizes if len(size) == rank):
        if size != (1,) * rank:
            strides = {**settings, "stride": settings.get("stride") or size}
            yield from geometries(strides, size, given, made, dilated=False)


def _pooled(kind: str, values: HostArray, inside: HostArray) -> HostArray:
    if kind == "maximum":
        return np.max(np.where(inside[..., None], values, -np.inf), axis=1)
    total = np.sum(values, axis=1)
    if kind == "sum":
        return total
    if kind == "mean, padding counted":
        return total / values.shape[1]
    return total / np.maximum(np.sum(inside, axis=1), 1)[:, None]


def _everywhere(x: HostArray, y: HostArray, windows: Windows, kind: str, allowance: float) -> bool:
    where = np.indices(y.shape[:-1]).reshape(y.ndim - 1, -1).T
    step = max(MOST // (int(np.prod(windows.size)) * x.shape[-1]), 1)
    parts = (where[start : start + step] for start in range(0, len(where), step))
    return all(residual(_pooled(kind, *read(x, p, windows)), y[tuple(p.T)]) <= allowance for p in parts)


def _named(
    reference: _Form, port: _Form, stretch: Stretch, lengths: tuple[tuple[int, ...], tuple[int, ...]]
) -> Cause:
    if reference.kind != port.kind and reference.windows == port.windows:
        counted = {"mean, padding counted": "counted", "mean, padding not counted": "not counted"}
        if reference.kind in counted and port.kind in counted:
            says = f"the padding is {counted[reference.kind]} in the mean of {{reference}} and {counted[port.kind]} in that of {{port}}"
            return Cause("GP222", says, f"count_include_pad={reference.kind == _KINDS[1]}")
        says = f"{{reference}} takes the {reference.kind} of each window, {{port}} the {port.kind}"
        return Cause("GP223", says, f"the {reference.kind.split(',', maxsplit=1)[0]}")
    one, other = reference.windows, port.windows
    if replace(one, low=other.low) == other:
        due, came = (
            padding_words(one, *lengths, stretch.settings),
            padding_words(other, *lengths, stretch.other_settings),
        )
        says = f"the padding (before, after) is {due} in {{reference}} and {came} in {{port}}"
        return Cause("GP217", says, f"padding {due}", float(other.low[0]))
    says = f"windows of {one.size} at stride {one.stride} in {{reference}}, of {other.size} at stride {other.stride} in {{port}}"
    return Cause("GP218", says, f"window {one.size}, stride {one.stride}")
