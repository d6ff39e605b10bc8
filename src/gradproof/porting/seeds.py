"""Cotangents of outputs where a port has no loss: a rule of the values alone, so that no two environments have to agree on one."""

__all__ = ["seed_for"]

from math import sqrt

import numpy as np

from gradproof.arrays import HostArray, norm


def seed_for(y: HostArray) -> HostArray:
    """cos(2·y/rms(y) + 1) in float64, entry by entry: equal outputs in any order of axes get equal cotangents.

    The rms is that of all finite entries (1 where it is zero); entries that are not finite get zero.
    """
    flat = np.array(y, dtype=np.float64).reshape(-1)
    finite = np.isfinite(flat)
    # Sorted: a sum of squares in another order has another last digit.
    sizes = np.sort(np.abs(flat[finite]))
    unit = norm(sizes) / sqrt(max(sizes.size, 1)) or 1.0
    seeds = np.cos(2 * (np.where(finite, flat, 0.0) / unit) + 1)
    return np.where(finite, seeds, 0.0).reshape(np.shape(y))
