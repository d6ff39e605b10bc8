"""Heads: how (batch, position, features) becomes (batch, head, position, features of it), and back."""

__all__ = ["Layout", "layouts", "shared_heads"]

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradproof.arrays import HostArray


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to read heads out of an array, and one to put them back."""

    words: str
    heads: int
    kind: str
    """ "bhtd", "bthd", "hd" and "dh" (features split), "raw" (reshaped with no axis moved), "thd" (position first), "none"."""

    def split(self, x: HostArray) -> HostArray:
        """As (batch, head, position, features)."""
        if self.kind == "bhtd":
            return x
        if self.kind == "bthd":
            return np.swapaxes(x, 1, 2)
        if self.kind == "thd":
            x = np.swapaxes(x, 0, 1)
        x = x[None] if x.ndim == 2 else x
        batch, length, features = x.shape
        if self.kind == "raw":
            return x.reshape(batch, self.heads, length, features // self.heads)
        if self.kind == "dh":
            return np.transpose(x.reshape(batch, length, features // self.heads, self.heads), (0, 3, 1, 2))
        return np.transpose(x.reshape(batch, length, self.heads, features // self.heads), (0, 2, 1, 3))

    def merge(self, x: HostArray, due: tuple[int, ...]) -> HostArray | None:
        """(batch, head, position, features) in this layout, in a shape that is due; None if that does not fit."""
        moved = {"bhtd": (0, 1, 2, 3), "raw": (0, 1, 2, 3), "dh": (0, 2, 3, 1), "thd": (2, 0, 1, 3)}
        y = np.transpose(x, moved.get(self.kind, (0, 2, 1, 3)))
        return y.reshape(due) if y.size == np.prod(due) else None


def layouts(rank: int, features: int, heads: tuple[int, ...]) -> Iterator[Layout]:
    """Those of an array of a rank, whose last axis has so many features."""
    if rank == 4:
        yield Layout("(batch, head, position, …)", 0, "bhtd")
        yield Layout("(batch, position, head, …)", 0, "bthd")
        return
    for count in dict.fromkeys(n for n in heads if n > 0 and features % n == 0):
        width = features // count
        yield Layout(f"({count} heads, {width})", count, "hd")
        if rank == 3:
            yield Layout(f"({count} heads, {width}), positions before the batch", count, "thd")
        if count > 1 and width > 1:
            yield Layout(f"({width}, {count} heads)", count, "dh")
        if count > 1:
            yield Layout(f"({count} heads, positions, {width}) by a reshape with no transpose", count, "raw")


def shared_heads(x: HostArray, heads: int, tiled: bool) -> HostArray:
    """Fewer heads of keys or values, for more of queries: each repeated, or all of them tiled."""
    times = heads // x.shape[1]
    return np.tile(x, (1, times, 1, 1)) if tiled else np.repeat(x, times, axis=1)
