"""Windows on an array: what a convolution or a pooling reads at some of its output positions."""

__all__ = ["Windows", "channels_last", "positions", "read"]

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from gradproof.arrays import HostArray

SAMPLE = 24
"""Output positions on which a geometry is tried before it is on all, the corners among them."""

MOST = 2**22
"""Numbers that are gathered at a time."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Where each output position reads: at `position · stride + tap · dilation − low`, zero outside."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    low: tuple[int, ...]

    def high(self, given: tuple[int, ...], made: tuple[int, ...]) -> tuple[int, ...]:
        """Padding at the upper end that the output's length asks for."""
        rows = zip(given, made, self.size, self.stride, self.dilation, self.low, strict=True)
        return tuple(max((m - 1) * s + d * (k - 1) + 1 - n - low, 0) for n, m, k, s, d, low in rows)


def channels_last(x: HostArray, y: HostArray, rank: int) -> Iterator[tuple[HostArray, HostArray, bool]]:
    """Input and output as (batch, …, channel), and whether the channels were the last axis: both ways, batch or none."""
    if x.ndim == y.ndim == rank + 1:
        x, y = x[None], y[None]
    if x.ndim == y.ndim == rank + 2:
        yield np.moveaxis(x, 1, -1), np.moveaxis(y, 1, -1), False
        yield x, y, True


def positions(shape: tuple[int, ...]) -> HostArray:
    """A sample of the output positions (batch and space), as rows of indices."""
    ends = [sorted({0, n - 1}) for n in shape]
    corners = np.array(list(product(*ends))[:SAMPLE], dtype=np.intp)
    draws = np.random.default_rng(0).integers(0, shape, size=(SAMPLE, len(shape)))
    return np.concatenate([corners, draws])


def read(x: HostArray, where: HostArray, windows: Windows) -> tuple[HostArray, HostArray]:
    """(positions, taps, channels) of what is read, and (positions, taps) of whether it lies inside."""
    taps = np.array(list(product(*(range(k) for k in windows.size))), dtype=np.intp)
    at = (
        where[:, None, 1:] * np.array(windows.stride)
        + taps * np.array(windows.dilation)
        - np.array(windows.low)
    )
    space = np.array(x.shape[1:-1])
    inside = np.all((at >= 0) & (at < space), axis=-1)
    index = tuple(np.moveaxis(np.clip(at, 0, space - 1), -1, 0))
    values = x[(where[:, :1], *index)]
    return np.where(inside[..., None], values, 0.0), inside
