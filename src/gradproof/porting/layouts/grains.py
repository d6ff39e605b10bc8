"""Values of two ports made comparable: cast to the coarser dtype, and found by value in all leaves at once."""

__all__ = ["Index", "cast", "grain_of", "rough"]

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gradproof.arrays import HostArray

GRAINS = ("float64", "float32", "float16", "bfloat16")
"""The finest first."""

_EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}

LOOSE = 2
"""Units in the last place that two ways to round one sum may differ by: half each, and half when they are cast."""

MOST_FOUND = 600
"""Positions of one value that are looked at: an embedding has its row of zeros, and blocks in bfloat16 are not found this way."""

MOST_HOLDERS = 6
"""Leaves that hold a value and are looked at."""


def cast(x: HostArray, grain: str) -> HostArray:
    """Values rounded to `grain`, in a dtype that numpy has; contiguous. -0 is 0."""
    if grain != "bfloat16":
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(x, dtype=grain) + np.array(0, grain)
    with np.errstate(over="ignore"):
        bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    return (rounded & np.uint32(0xFFFF0000)).view(np.float32) + np.float32(0)


def rough(one: HostArray, other: HostArray, grain: str) -> HostArray:
    """The sum of two leaves, cast."""
    return cast(np.add(one, other, dtype=np.float64), grain)


def grain_of(ours: Sequence[HostArray], theirs: Sequence[HostArray]) -> tuple[str, ...]:
    """Grains to compare in, one after another: the coarser of the finest ones of both sides, and those that are coarser still."""
    sides = [{_own(x) for x in side} for side in (ours, theirs) if side]
    if not sides:
        return ("float64",)
    first = max(min(GRAINS.index(grain) for grain in side) for side in sides)
    coarse = {GRAINS.index(grain) for side in sides for grain in side if GRAINS.index(grain) > first}
    return tuple(GRAINS[at] for at in (first, *sorted(coarse)))


def _own(x: HostArray) -> str:
    """What a leaf is in: bfloat16 comes as float32, a float32 model may have been read as float64."""
    if x.dtype == np.float16:
        return "float16"
    flat = x.ravel()
    for grain in ("bfloat16", "float32"):
        if np.array_equal(cast(flat[:64], grain), flat[:64]) and np.array_equal(cast(flat, grain), flat):
            return grain
    return "float64"


class Index:
    """All values of some leaves, sorted: where a value is. `loose` finds those a few units in the last place away."""

    def __init__(self, leaves: Mapping[str, HostArray], loose: str = "") -> None:
        self.leaves = dict(leaves)
        self.paths = tuple(self.leaves)
        sizes = [leaf.size for leaf in self.leaves.values()]
        self.ends = np.cumsum([0, *sizes])
        self.flat = np.concatenate([leaf.ravel() for leaf in self.leaves.values()]) if sizes else np.zeros(0)
        self.order = np.argsort(self.flat, kind="stable")
        self.sorted = self.flat[self.order]
        self.slack = LOOSE * _EPS[loose] if loose else 0.0

    def find(self, value: float) -> HostArray:
        """Positions of `value` in all leaves, ascending."""
        room = abs(value) * self.slack
        start = np.searchsorted(self.sorted, value - room, "left")
        stop = np.searchsorted(self.sorted, value + room, "right")
        return np.sort(self.order[start:stop][:MOST_FOUND])

    def find_in(self, path: str) -> Callable[[float], HostArray]:
        """The same of one leaf, from its own beginning."""
        at = self.paths.index(path)
        start, stop = self.ends[at], self.ends[at + 1]

        def find(value: float) -> HostArray:
            there = self.find(value)
            return there[(there >= start) & (there < stop)] - start

        return find

    def holders(self, flat: HostArray) -> list[str]:
        """Leaves that hold the first, the middle and the last value of `flat`: the first of them, in order."""
        found: set[str] | None = None
        for value in (flat[0], flat[flat.size // 2], flat[-1]):
            leaves = np.unique(np.searchsorted(self.ends, self.find(value), "right") - 1)
            here = {self.paths[at] for at in leaves}
            found = here if found is None else found & here
        return [path for path in self.paths if path in (found or ())][:MOST_HOLDERS]

    def same(self, here: HostArray, there: HostArray) -> bool:
        """Whether two flat arrays have the same values."""
        if here.shape != there.shape:
            return False
        if not self.slack:
            return np.array_equal(here, there)
        return bool((np.abs(here - there) <= self.slack * np.abs(here)).all())

    def run(self, line: HostArray, start: int, stride: int) -> int:
        """How many values of `line` are at `start`, `start + stride`, … of one leaf."""
        if stride == 0:
            return 1
        at = int(np.searchsorted(self.ends, start, "right"))
        first, end = int(self.ends[at - 1]), int(self.ends[at])
        room = (end - 1 - start) // stride if stride > 0 else (start - first) // -stride
        most = min(len(line), room + 1)
        there = self.flat[start + stride * np.arange(most)]
        near = np.abs(line[:most] - there) <= self.slack * np.abs(line[:most])
        return most if near.all() else int(np.argmin(near))
