"""A value that is added on one side only: at the end, or inside of an activation."""

__all__ = ["residual_causes"]

from collections.abc import Iterator

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.activations import form_of, gives
from gradproof.porting.causes.bases import every_like, like
from gradproof.porting.causes.evidence import Evidence
from gradproof.porting.causes.numbers import plain
from gradproof.porting.stretch import Cause, Stretch

FEWEST = 4
"""Entries that a fitted number has to explain, and in which an activation has to give something."""

WHOLE = 1e-6
"""Distance at which a fitted weight is 1 or −1, before the value itself is tried."""


def residual_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """An input added on one side only, or with another weight, at the end or before an activation."""
    if not (np.isfinite(evidence.expected).all() and np.isfinite(evidence.found).all()):
        return
    causes = list(_added(stretch, evidence)) or list(_activated(stretch, evidence))
    yield from causes[:1]


def _added(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """Of far inputs the whole alone: a weight is fitted to the nearest."""
    difference = evidence.found - evidence.expected
    near = like(stretch, stretch.expected)
    for key, x in every_like(stretch, stretch.expected).items():
        weight = _weight(x, difference)
        if weight is None or x.size < FEWEST:
            continue
        whole = abs(abs(weight) - 1.0) < WHOLE
        if (whole or key in near) and evidence.is_found(evidence.expected + weight * x):
            yield _named(key, weight)
            return


def _weight(x: HostArray, difference: HostArray) -> float | None:
    squares = float(np.vdot(x, x).real)
    return float(np.vdot(x, difference).real) / squares if 0 < squares < np.inf else None


def _named(key: str, weight: float) -> Cause:
    if abs(weight + 1.0) < WHOLE:
        says = f"{{port}} does not add {key} (a missing residual connection)"
        return Cause("GP235", says, f"add {key}", 0.0)
    if abs(weight - 1.0) < WHOLE:
        return Cause("GP235", f"{{port}} adds {key} once more than {{reference}}", f"leave {key} out", 1.0)
    return Cause("GP235", f"{{port}} has {plain(weight)} × {key} more than {{reference}}", "", weight)


def _activated(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """f(a + b) on one side, f(a) on the other, f an activation and a and b inputs."""
    values = every_like(stretch, stretch.expected)
    expected, found = evidence.sides
    for lone, summed, missing in ((found, expected, True), (expected, found, False)):
        if np.count_nonzero(lone) < FEWEST:
            continue
        for one, x in values.items():
            form = form_of(x, lone, evidence.allowance)
            if form is None or form.name == "identity":
                continue
            for other, y in values.items():
                if other != one and gives(form.function, x + y, summed, evidence.allowance):
                    yield _inside(one, other, form.name, missing)
                    return


def _inside(one: str, other: str, name: str, missing: bool) -> Cause:
    both, alone = ("{reference}", "{port}") if missing else ("{port}", "{reference}")
    says = f"{both} takes {name} of {one} + {other}, {alone} of {one} alone"
    if missing:
        return Cause("GP235", f"{says} (a missing residual connection)", f"add {other} before {name}", 0.0)
    return Cause("GP235", f"{says} (a residual connection too many)", f"leave {other} out", 1.0)
