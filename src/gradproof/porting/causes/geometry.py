"""Geometries that a convolution or a pooling may have: windows, strides, dilations, paddings."""

__all__ = ["geometries", "padding_words"]

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from gradproof.porting.causes.windows import Windows

STRIDES = (1, 2, 3, 4)
"""Tried beside those of the settings."""

DILATIONS = (1, 2, 3, 4)

_STRIDE_KEYS = ("stride", "strides", "window_strides")
_DILATION_KEYS = ("dilation", "kernel_dilation", "rhs_dilation")


def _told(settings: Mapping[str, Any], keys: tuple[str, ...], rank: int) -> Iterator[tuple[int, ...]]:
    for key in keys:
        value = settings.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            yield (value,) * rank
        elif (
            isinstance(value, tuple | list) and len(value) == rank and all(isinstance(n, int) for n in value)
        ):
            yield tuple(value)


def geometries(
    settings: Mapping[str, Any],
    size: tuple[int, ...],
    given: tuple[int, ...],
    made: tuple[int, ...],
    dilated: bool = True,
) -> Iterator[Windows]:
    """Every one by which windows of `size` on `given` may give `made`; that of the settings first."""
    rank = len(size)
    strides = [*_told(settings, _STRIDE_KEYS, rank), *((n,) * rank for n in STRIDES)]
    dilations = [
        *_told(settings, _DILATION_KEYS, rank),
        *((n,) * rank for n in DILATIONS if dilated or n == 1),
    ]
    for stride, dilation in product(dict.fromkeys(strides), dict.fromkeys(dilations)):
        total = [
            (m - 1) * s + d * (k - 1) + 1 - n
            for n, m, k, s, d in zip(given, made, size, stride, dilation, strict=True)
        ]
        reach = max(d * (k - 1) if dilated else k // 2 for d, k in zip(dilation, size, strict=True))
        if any(
            t > 2 * d * (k - 1) + s or t <= -s - d * (k - 1)
            for t, s, d, k in zip(total, stride, dilation, size, strict=True)
        ):
            continue
        lows = [tuple(max(t, 0) // 2 for t in total), tuple((max(t, 0) + 1) // 2 for t in total)]
        lows += [(low,) * rank for low in range(reach + 1)]
        lows += [tuple(d * (k - 1) // 2 for d, k in zip(dilation, size, strict=True))]
        for low in dict.fromkeys(lows):
            yield Windows(size, stride, dilation, low)


def padding_words(
    windows: Windows, given: tuple[int, ...], made: tuple[int, ...], settings: Mapping[str, Any]
) -> str:
    """ "(0, 1)", or one pair per axis where they are not the same. What the settings say of the upper end, if they say it."""
    high = windows.high(given, made)
    if windows.low in _told(settings, ("padding",), len(given)):
        high = windows.low
    pairs = list(dict.fromkeys(zip(windows.low, high, strict=True)))
    return ", ".join(f"({low}, {up})" for low, up in pairs)
