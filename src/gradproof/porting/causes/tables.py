"""Rows of a table (an embedding): which of them each side takes."""

__all__ = ["table_causes"]

from collections.abc import Iterator

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.evidence import Evidence, float64
from gradproof.porting.stretch import Cause, Stretch

FEWEST = 3
"""Rows that have to be the next ones."""


def table_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """Both sides take rows of one parameter, the one always so many further down."""
    expected, found = evidence.sides
    if expected.ndim < 2 or not (np.isfinite(expected).all() and np.isfinite(found).all()):
        return
    for path, value in stretch.parameters.items():
        table = float64(value)
        if table.ndim != 2 or table.shape[1] != expected.shape[-1] or len(table) < FEWEST:
            continue
        due, taken = (_rows(table, side) for side in (expected, found))
        if evidence.is_expected(table[due]) and evidence.is_found(table[taken]):
            by = _offset(due, taken, len(table))
            if by is not None:
                way = f"i {'+' if by > 0 else '−'} {abs(by)}"
                says = f"{{port}} takes row {way} of {path} where {{reference}} takes row i"
                yield Cause("GP233", says, f"shift the indices by {-by}", float(by))
                return


def _rows(table: HostArray, y: HostArray) -> HostArray:
    """The row of the table that is nearest to each of y, by one projection."""
    weights = np.random.default_rng(0).uniform(0.5, 1.0, table.shape[1])
    marks = table @ weights
    order = np.argsort(marks, kind="stable")
    ranked, due = marks[order], y @ weights
    above = np.clip(np.searchsorted(ranked, due), 1, len(table) - 1)
    nearer_below = due - ranked[above - 1] < ranked[above] - due
    return order[np.where(nearer_below, above - 1, above)]


def _offset(due: HostArray, taken: HostArray, length: int) -> int | None:
    """By how much the one index exceeds the other; beyond the ends there is the last row, or the first again."""
    steps, counts = np.unique(taken - due, return_counts=True)
    for by in sorted(set(steps.tolist()), key=lambda step: -counts[steps == step][0]):
        if by and np.unique(due).size >= FEWEST:
            moved = due + by
            if np.array_equal(taken, np.clip(moved, 0, length - 1)) or np.array_equal(taken, moved % length):
                return int(by)
    return None
