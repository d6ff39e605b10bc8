"""How alike two arrays are, and how one is read to be the other."""

__all__ = ["EQUAL", "best_view", "likeness_of", "long_axes"]

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.views import View, views

EQUAL = 1e-6
"""Relative difference below which values are the same for certain: no two nodes of a random network come that close."""

FEW = 16
"""Indices of an axis that are looked at; the same ones of every axis of a length."""


def long_axes(x: HostArray) -> list[int]:
    """Lengths of the axes that are longer than 1."""
    return [length for length in x.shape if length > 1]


def best_view(given: HostArray, due: HostArray) -> tuple[float, View | None]:
    """How `given` is best read as `due`, and how alike the two are then: 1 where they are equal, 0 where unrelated."""
    best, likeness = None, -1.0
    for view in views(given.shape, due.shape):
        alike = likeness_of(given, due, view)
        if alike > likeness + EQUAL:
            best, likeness = view, alike
        if likeness > 1 - EQUAL:
            break
    return max(likeness, 0.0), best


def likeness_of(given: HostArray, due: HostArray, view: View) -> float:
    """How alike `given`, read this way, is to `due`."""
    x, y = _sample(given, due, view)
    norms = float(np.linalg.norm(x)), float(np.linalg.norm(y))
    if norms == (0.0, 0.0):
        return 1.0
    if not all(0 < norm < np.inf for norm in norms):
        return 0.0
    if np.linalg.norm(x - y) <= EQUAL * max(norms):
        return 1.0
    x, y = x - x.mean(), y - y.mean()
    spread = float(np.linalg.norm(x)) * float(np.linalg.norm(y))
    return min(float(x @ y) / spread, 1 - 2 * EQUAL) if spread > 0 else 0.0


def _sample(given: HostArray, due: HostArray, view: View) -> tuple[HostArray, HostArray]:
    """Corresponding entries of both, finite ones, flat."""
    straight = sorted(long_axes(given)) == sorted(long_axes(due))
    if straight and given.size > FEW**2:
        given, due = given[_spread(given.shape)], due[_spread(due.shape)]
        view = View(given.shape, view.axes, due.shape)
    x, y = np.float64(view.of(given)).ravel(), np.float64(due).ravel()
    sound = np.isfinite(x) & np.isfinite(y)
    return x[sound], y[sound]


def _spread(shape: tuple[int, ...]) -> tuple[HostArray, ...]:
    """A few indices of every axis; the same ones for the same length."""
    return np.ix_(*(np.unique(np.linspace(0, length - 1, FEW).astype(int)) for length in shape))
