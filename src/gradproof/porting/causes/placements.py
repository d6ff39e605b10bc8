"""Plain code between modules: which values are added or multiplied, and in which order."""

__all__ = ["placement_causes"]

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.activations import ACTIVATIONS
from gradproof.porting.causes.bases import floating, like
from gradproof.porting.causes.evidence import Evidence
from gradproof.porting.stretch import Cause, Stretch


def placement_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """Another of the values at hand is used, or the other half of a gated product is the gate."""
    values = like(stretch, stretch.expected)
    for family in (_exchanged, _gated):
        causes = list(family(stretch, evidence, values))
        if causes:
            yield causes[0]
            return


def _exchanged(_: Stretch, evidence: Evidence, values: dict[str, HostArray]) -> Iterator[Cause]:
    for (one, x), (other, y) in permutations(values.items(), 2):
        if evidence.is_expected(x) and evidence.is_found(y):
            yield Cause(
                "GP236", f"{{reference}} goes on with {one} here, {{port}} with {other}", f"use {one}"
            )
        elif evidence.is_found(evidence.expected + y - x):
            says = f"{{port}} adds {other} where {{reference}} adds {one} (before the normalisation for after it, or the like)"
            yield Cause("GP236", says, f"add {one}")


def _halves(stretch: Stretch, due: tuple[int, ...]) -> Iterator[tuple[HostArray, HostArray]]:
    """Two values whose product may be what is made: two inputs, or the halves of one."""
    for x, y in permutations(like(stretch, stretch.expected).values(), 2):
        yield x, y
    for x in floating(stretch).values():
        if x.ndim and x.shape[:-1] == due[:-1] and due and x.shape[-1] == 2 * due[-1]:
            first, second = np.split(x, 2, axis=-1)
            yield first, second
            yield second, first


def _gated(stretch: Stretch, evidence: Evidence, _: dict[str, HostArray]) -> Iterator[Cause]:
    pairs = list(_halves(stretch, evidence.expected.shape))
    reference = _gate(pairs, evidence.expected, evidence.allowance)
    port = _gate(pairs, evidence.found, evidence.allowance) if reference else None
    if reference is None or port is None or reference == port:
        return
    if reference[0] != port[0]:
        yield Cause("GP236", "the two halves of the gated product are exchanged in {port}", "exchange them")
    else:
        says = f"the gate goes through {reference[1]} in {{reference}} and through {port[1]} in {{port}}"
        yield Cause("GP210", says, reference[1])


def _gate(pairs: list[tuple[HostArray, HostArray]], y: HostArray, allowance: float) -> tuple[int, str] | None:
    """Which pair (a, b), and which activation, for which y = activation(a) · b."""
    for place, (a, b) in enumerate(pairs):
        few = (slice(None, 1),) * (y.ndim - 1)
        for name, function in ACTIVATIONS.items():
            with np.errstate(over="ignore", invalid="ignore"):
                quick = np.max(np.abs(function(a[few]) * b[few] - y[few]), initial=0.0) <= allowance
                if quick and np.max(np.abs(function(a) * b - y), initial=0.0) <= allowance:
                    return place, name
    return None
