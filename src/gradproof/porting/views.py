"""One array read as another: its axes in another order (NCHW, NHWC), split or merged (features, heads)."""

__all__ = ["View", "views"]

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from math import prod

import numpy as np

from gradproof.arrays import HostArray

MOST_AXES = 6
"""Of which every order is tried (720 of them)."""


@dataclass(frozen=True, slots=True)
class View:
    """How an array of shape `given` is read to become another: `x.transpose(axes).reshape(due)`."""

    given: tuple[int, ...]
    axes: tuple[int, ...]
    due: tuple[int, ...]

    @property
    def is_identity(self) -> bool:
        """Whether nothing is moved and the shape stays."""
        return self.given == self.due and self.axes == tuple(range(len(self.axes)))

    def of(self, x: HostArray) -> HostArray:
        """`x` read this way."""
        return np.transpose(x, self.axes).reshape(self.due)

    def back(self, y: HostArray) -> HostArray:
        """The array that is `y` when it is read this way."""
        transposed = tuple(self.given[axis] for axis in self.axes)
        return np.transpose(np.reshape(y, transposed), np.argsort(self.axes, kind="stable"))


def views(given: tuple[int, ...], due: tuple[int, ...]) -> Iterator[View]:
    """Every way to read an array of shape `given` as one of shape `due`, the plainest first.

    Axes are permuted where the lengths allow it; where they do not, but the sizes agree, the array is reshaped.
    """
    if prod(given) != prod(due):
        return
    lengths, wanted = [n for n in given if n != 1], [n for n in due if n != 1]
    straight = tuple(range(len(given)))
    if sorted(lengths) != sorted(wanted) or len(given) > MOST_AXES:
        yield View(given, straight, due)
        return
    seen = set()
    for axes in permutations(straight):  # in lexicographic order: the plainest first
        real = tuple(axis for axis in axes if given[axis] != 1)
        if [given[axis] for axis in real] == wanted and real not in seen:
            seen.add(real)
            yield View(given, axes, due)
