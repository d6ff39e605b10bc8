"""What wrong entries have in common, in words: a row, a block, every second one."""

__all__ = ["Pattern", "axis_words", "box_pattern", "pattern_of"]

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray

MOST_NAMED = 10
"""Wrong entries that are called "a few"."""

FULL = 0.75
"""Share of a box that is wrong above which the box is what is wrong: some entries are right by chance, 0 for 0."""

MOST_OF_LEAF = 0.75
"""Share of the leaf above which a box of wrong entries tells nothing: its complement is what is special."""

MOST_LISTED = 3
"""Rows or columns that are listed."""


class Pattern(NamedTuple):
    """Kind and words of a Location."""

    kind: str
    where: str


def pattern_of(wrong: HostArray) -> Pattern:
    """Pattern of the entries that are `wrong`, a boolean array of a leaf's shape with at least one."""
    count = int(wrong.sum())
    if wrong.all():
        return Pattern("whole", "every entry" if wrong.size > 1 else "its only entry")
    along = [np.flatnonzero(_any_but(wrong, axis)) for axis in range(wrong.ndim)]
    box = int(np.prod([len(indices) for indices in along]))
    regular = _regular(wrong, count)
    if regular and wrong.ndim == 1 and count > MOST_NAMED:
        return regular
    if 1 < count >= FULL * box and box <= MOST_OF_LEAF * wrong.size:
        pattern = _box(along, wrong.shape)
        if pattern.kind == "slice" or count > 2:
            return pattern
    if regular:
        return regular
    if count <= MOST_NAMED:
        return Pattern("entries", "one entry" if count == 1 else f"{count} entries")
    return Pattern("scattered", f"{count} of {wrong.size} entries")


def box_pattern(box: Sequence[tuple[int, int]], shape: Sequence[int]) -> Pattern:
    """Pattern of all entries in `box`, one range [low, high) per axis."""
    if all(low == 0 and high == length for (low, high), length in zip(box, shape, strict=True)):
        return Pattern("whole", "every entry")
    return _box([np.arange(low, high) for low, high in box], shape)


def axis_words(axis: int, ndim: int, indices: HostArray) -> str:
    """ "row 3", "columns 0 and 2", "indices 1:4 of axis 0"."""
    names = {(0, 2): "row", (1, 2): "column", (0, 1): "entry"}
    name = names.get((axis, ndim), "index")
    plural = {"entry": "entries", "index": "indices"}.get(name, f"{name}s")
    tail = f" of axis {axis}" if name == "index" else ""
    if len(indices) == 1:
        return f"{name} {indices[0]}{tail}"
    return f"{plural} {_range(indices)}{tail}"


def _any_but(wrong: HostArray, axis: int) -> HostArray:
    return np.asarray(wrong.any(axis=tuple(a for a in range(wrong.ndim) if a != axis)))


def _box(along: Sequence[HostArray], shape: Sequence[int]) -> Pattern:
    partial = [axis for axis, indices in enumerate(along) if len(indices) < shape[axis]]
    words = " × ".join(axis_words(axis, len(shape), along[axis]) for axis in partial)
    return Pattern("slice" if len(partial) == 1 and len(shape) > 1 else "block", words)


def _regular(wrong: HostArray, count: int) -> Pattern | None:
    """A diagonal, or every second entry."""
    if wrong.ndim == 2 and wrong.shape[0] == wrong.shape[1] > 1 and count == np.trace(wrong) == len(wrong):
        return Pattern("slice", "the diagonal")
    flat = wrong.reshape(-1)
    regular = any(flat[i::2].all() and not flat[1 - i :: 2].any() for i in (0, 1))
    if count > 2 and regular:
        return Pattern("scattered", "every second entry")
    return None


def _range(indices: HostArray) -> str:
    low, high = int(indices[0]), int(indices[-1]) + 1
    if high - low == len(indices) and len(indices) > 2:
        return f"{low}:{high}"
    listed = [str(int(i)) for i in indices[:MOST_LISTED]]
    if len(indices) > MOST_LISTED:
        return f"{', '.join(listed)}, … ({len(indices)} of them)"
    return f"{', '.join(listed[:-1])} and {listed[-1]}"
