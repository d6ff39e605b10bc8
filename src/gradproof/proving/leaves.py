"""Blind spots of the parameters: found in the claim here, and looked at again where the parameters are moved a little."""

__all__ = ["leaf_spots", "moved"]

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np

from gradproof.arrays import HostArray
from gradproof.faults.claims import Moment, Scene, scene_of
from gradproof.numeric.probe import sign_probe
from gradproof.problems import Problem
from gradproof.proving.record import BlindSpot

SHARES = (1 / 8, 1 / 64)
"""Shares of their sizes by which parameters are moved; the second where the first leaves the domain."""

SAME = 1e-10
"""Relative difference below which two rows are taken for the same."""

_CHECK_THERE = "check at Proof.better_point, where it is not"


def moved(problem: Problem, scene: Scene, seed: int) -> tuple[Problem, Scene] | None:
    """`problem` where every parameter is moved, up or down, by about an eighth of its size; None outside the domain."""
    probe = sign_probe(scene.point, np.random.default_rng(seed), scene.point.unit_roundoff)
    for share in SHARES:
        with scene.placement.context():
            arrays = scene.placement.arrays(probe.moved(scene.point.leaves, share))
        there = replace(problem, params=scene.point.structure.unflatten(arrays))
        try:
            found = scene_of(there)
        except Exception:  # the claim need not be defined there
            continue
        if found and all(np.isfinite(leaf).all() for leaf in found.moment.gradient):
            return there, found
    return None


def leaf_spots(here: Moment, there: Moment | None) -> Iterator[BlindSpot]:
    """What the gradient `here` cannot show; `there` is the claim where the parameters are moved, None if unknown."""
    for leaf, path in enumerate(here.paths):
        if _vanishes(here, leaf):
            yield _zero(
                path,
                exactly=not here.gradient[leaf].any(),
                gone=there is not None and not _vanishes(there, leaf),
                known=there is not None,
            )
            continue
        for look in (_zeros, _symmetric, _rows):
            if there is not None and (says := look(here, there, leaf)):
                yield BlindSpot(path, says, _CHECK_THERE, elsewhere=True)
        if 1 in here.gradient[leaf].shape and here.gradient[leaf].ndim > 1:
            yield _short_axis(path, here.gradient[leaf].shape)
    yield from _equal_leaves(here, there)


def _zero(path: str, *, exactly: bool, gone: bool, known: bool) -> BlindSpot:
    is_so = "zero here" if exactly else "too small beside the others to show"
    says = f"its gradient is {is_so}, so that one that is missing or wrongly scaled cannot show"
    if gone:
        return BlindSpot(path, says, _CHECK_THERE, elsewhere=True)
    where = "so it is with the parameters moved, too" if known else "there is no gradient nearby"
    return BlindSpot(path, says, f"{where}: choose a point where it moves the function, or leave it out")


def _short_axis(path: str, shape: tuple[int, ...]) -> BlindSpot:
    return BlindSpot(
        path,
        f"its shape {shape} has an axis of length 1, along which a sum, a mean and a transposition are the same",
        "try a length of 2 or more",
    )


def _vanishes(moment: Moment, leaf: int) -> bool:
    return not moment.clearly_changed(leaf, np.zeros_like(moment.gradient[leaf]))


def _zeros(here: Moment, there: Moment, leaf: int) -> str:
    """Entries that are zero here alone: of units that are switched off, or beyond a bound."""
    hidden = (here.gradient[leaf] == 0) & (there.gradient[leaf] != 0)
    count = int(np.count_nonzero(hidden))
    size = here.gradient[leaf].size
    return (
        f"{count} of its {size} entries {'has' if count == 1 else 'have'} gradient zero here, and a mistake there cannot show"
        if count
        else ""
    )


def _symmetric(here: Moment, there: Moment, leaf: int) -> str:
    g = here.gradient[leaf]
    square = g.ndim == 2 and g.shape[0] == g.shape[1] > 1
    if (
        not square
        or here.clearly_changed(leaf, g.T)
        or not there.clearly_changed(leaf, there.gradient[leaf].T)
    ):
        return ""
    return "its gradient is symmetric here, so that a transposed one cannot show"


def _rows(here: Moment, there: Moment, leaf: int) -> str:
    g, elsewhere = here.gradient[leaf], there.gradient[leaf]
    if g.ndim < 2:
        return ""
    for axis, word in ((0, "rows"), (1, "columns")):
        rows, others = (_as_rows(x, axis) for x in (g, elsewhere))
        if (pair := _equal_pair(rows)) and not _close(others[pair[0]], others[pair[1]]):
            return (
                f"{word} {pair[0]} and {pair[1]} of its gradient are the same here, as of units that start out alike, "
                "so that a mistake in their order cannot show"
            )
    return ""


def _as_rows(g: HostArray, axis: int) -> HostArray:
    return np.moveaxis(g, axis, 0).reshape(g.shape[axis], -1)


def _equal_pair(rows: HostArray) -> tuple[int, int] | None:
    """Two rows, not zero, that are the same; neighbours along a random direction are compared."""
    along = rows @ np.random.default_rng(0).normal(size=rows.shape[1])
    order = np.argsort(along, kind="stable")
    for i, j in pairwise(order):
        if rows[i].any() and _close(rows[i], rows[j]):
            return min(int(i), int(j)), max(int(i), int(j))
    return None


def _close(one: HostArray, other: HostArray) -> bool:
    return bool(np.linalg.norm(one - other) <= SAME * np.linalg.norm(one))


def _equal_leaves(here: Moment, there: Moment | None) -> Iterator[BlindSpot]:
    g = here.gradient
    for i, j in combinations(range(len(g)), 2):
        if there is None or g[i].shape != g[j].shape or _vanishes(here, i):
            continue
        if not here.clearly_changed(i, g[j]) and there.clearly_changed(i, there.gradient[j]):
            says = f"its gradient is the same as that of {here.paths[j]} here, so that the two exchanged cannot show"
            yield BlindSpot(here.paths[i], says, _CHECK_THERE, elsewhere=True)
