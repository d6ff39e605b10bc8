"""Which entries share a mean and a variance: one row of a matrix for each group of them."""

__all__ = ["Grouping", "groupings"]

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from gradproof.arrays import HostArray

MOST_GROUPS = 16
"""Numbers of groups of GroupNorm that are tried, of all divisors of the number of channels."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """An array, one axis of it maybe split in two, reduced over some axes."""

    words: str
    split: tuple[int, ...]
    axes: tuple[int, ...]
    """Of the split shape."""
    groups: int = 0
    """Of GroupNorm (InstanceNorm has as many as channels); 0 for all others."""
    channel: int = -1
    """Axis of the channels, of a grouping with groups."""
    is_split: bool = False
    """Whether that axis is split."""

    @property
    def kept(self) -> tuple[int, ...]:
        """Axes of the split shape that are not reduced over."""
        return tuple(axis for axis in range(len(self.split)) if axis not in self.axes)

    @property
    def length(self) -> int:
        """Entries of a group."""
        return prod(self.split[axis] for axis in self.axes)

    def of(self, x: HostArray) -> HostArray:
        """`x` as a matrix, one row per group."""
        order = self.kept + self.axes
        return np.transpose(x.reshape(self.split), order).reshape(-1, self.length)

    def regroups(self, other: "Grouping") -> bool:
        """Whether both are group normalisations of the same channels, at least one of them with an axis split."""
        known = self.groups and other.groups and (self.is_split or other.is_split)
        return bool(known and (self.channel == other.channel or 1 in (self.groups, other.groups)))

    def same(self, other: "Grouping") -> bool:
        """Whether the two put the same entries together."""
        return self.split == other.split and self.axes == other.axes


def groupings(shape: tuple[int, ...], settings_groups: tuple[int, ...] = ()) -> Iterator[Grouping]:
    """Every grouping that a normalisation uses on arrays of `shape`, the usual first, none twice."""
    seen: set[frozenset[int]] = set()
    rank = len(shape)
    for words, axes in _plain(rank):
        real = frozenset(axis for axis in axes if shape[axis] != 1)
        if real and real not in seen:
            seen.add(real)
            yield Grouping(words, shape, axes, *_as_groups(shape, axes))
    if rank >= 2:
        for channel in dict.fromkeys((1, rank - 1)):
            yield from _grouped(shape, channel, settings_groups)


def _as_groups(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, int]:
    """Number of groups as a GroupNorm, and the axis of the channels: every channel by itself, or all of them together."""
    rank = len(shape)
    if rank < 3 or 0 in axes:
        return 0, -1
    if len(axes) == rank - 1:
        return 1, -1
    left = [axis for axis in range(1, rank) if axis not in axes]
    return (shape[left[0]], left[0]) if len(left) == 1 and left[0] in (1, rank - 1) else (0, -1)


def _plain(rank: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    everything = tuple(range(rank))
    yield "the last axis", everything[-1:]
    if rank >= 2:
        yield "all axes but the first", everything[1:]
        for channel in dict.fromkeys((1, rank - 1)):
            others = tuple(axis for axis in everything if axis != channel)
            yield f"all axes but axis {channel}", others
            if others[1:]:
                yield f"all axes but the first and axis {channel}", others[1:]
    for last in range(2, rank):
        yield f"the last {last} axes", everything[-last:]
    for axis in everything[:-1]:
        yield f"axis {axis}", (axis,)
    yield "all axes", everything


def _grouped(shape: tuple[int, ...], channel: int, first: tuple[int, ...]) -> Iterator[Grouping]:
    channels = shape[channel]
    divisors = [n for n in range(2, channels) if channels % n == 0]
    wanted = [n for n in first if n in divisors]
    for n in list(dict.fromkeys([*wanted, *divisors]))[:MOST_GROUPS]:
        split = (*shape[:channel], n, channels // n, *shape[channel + 1 :])
        axes = tuple(axis for axis in range(len(split)) if axis not in (0, channel))
        yield Grouping(f"{n} groups of axis {channel}", split, axes, n, channel, is_split=True)
