"""How far each parameter is moved when a function is probed around a point: a power of two near its own size."""

__all__ = ["Sizes", "sizes"]

from typing import Any, NamedTuple

import numpy as np

from gradproof.arrays import HostArray, blocks

SMALLEST_SHARE = 2.0**-10
"""An entry moves by no less than this share of its leaf's RMS: a tiny entry beside large ones still has to move
the function visibly."""


class Sizes(NamedTuple):
    """Entry i moves by 2^(smallest + above_i). An eighth of the leaf's memory."""

    smallest: int
    above: HostArray
    """int8, of the leaf's shape: no entry is larger than the root of their number times the RMS."""

    def __getitem__(self, index: Any) -> Any:
        """How far entry `index` moves."""
        return np.ldexp(1.0, self.smallest + self.above[index].astype(np.int32))


def sizes(leaf: HostArray) -> Sizes:
    """Powers of two near |x_i|, at least 2⁻¹⁰ of the RMS; 1 in a leaf of zeros."""
    flat, above = leaf.reshape(-1), np.empty(leaf.size, dtype=np.int8)
    rms = _root_mean_square(flat)
    if rms == 0:
        return Sizes(0, np.zeros(leaf.shape, dtype=np.int8))
    smallest = int(np.round(np.log2(SMALLEST_SHARE * rms)))
    for part in blocks(leaf.size):
        x = np.abs(flat[part].astype(np.float64))
        x = np.where(x == 0, rms, np.maximum(x, SMALLEST_SHARE * rms))
        above[part] = np.round(np.log2(x)) - smallest
    return Sizes(smallest, above.reshape(leaf.shape))


def _root_mean_square(flat: HostArray) -> float:
    """Without overflow or underflow of the squares, a block at a time."""
    largest = max(abs(float(flat.max())), abs(float(flat.min())))
    if largest == 0:
        return 0.0
    scaled = (flat[part].astype(np.float64) / largest for part in blocks(flat.size))
    return largest * float(np.sqrt(sum(float(block @ block) for block in scaled) / flat.size))
