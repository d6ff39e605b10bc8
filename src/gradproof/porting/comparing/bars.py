"""How far apart two ports may be: a bar for every entry, from what rounding did to each of them, and nothing configured.

A port runs in float64 and in its own dtype. What its own run is off by, times the ratio of the two unit roundoffs, is
what its float64 run can be off by: both take the same operations in the same order. (The idea is the three-tensor rule
of compilers' accuracy gates, with the bound computed for each array and not a factor between two.)
"""

__all__ = ["DOUBLE", "Gap", "Rounded", "gap"]

from dataclasses import dataclass
from math import inf

import numpy as np

from gradproof.arrays import HostArray, in_double
from gradproof.point import UNIT_ROUNDOFF
from gradproof.verdict import Verdict

DOUBLE = UNIT_ROUNDOFF["float64"]

SAFETY = 16.0
"""On the error that is scaled down from the own run."""

COARSE, COARSEST = 1e-11, 2.0**-6
"""Between the two, second differences are roundings to a coarser dtype inside: below is float64's own, above no dtype's."""

MOST = 0.75
"""Share of the entries whose second differences have to be so coarse."""

FLOOR = 64.0
"""Units in the last place of an entry that two frameworks may differ by where the own run happened to be exact."""


@dataclass(frozen=True, slots=True)
class Rounded:
    """An array of a port's float64 run, and the largest relative error that rounding can have brought into it."""

    value: HostArray
    relative: float

    @classmethod
    def of(
        cls,
        double: HostArray,
        own: HostArray | None,
        roundoff: float,
        moved: tuple[HostArray | None, ...] | None = None,
    ) -> "Rounded":
        """From the run in float64; that in the own dtype, of this unit roundoff; and two to either side of the point."""
        double = in_double(double)
        relative = 0.0
        if own is not None and own.shape == double.shape:
            relative = _largest(in_double(own) - double, double) * DOUBLE / roundoff
        if moved is not None:
            forth, back = moved
            if forth is not None and back is not None:
                with np.errstate(invalid="ignore", over="ignore"):
                    second = in_double(forth) - 2 * double + in_double(back)
                relative = max(relative, _coarse(_shares(second, double)))
        return cls(double, relative)


def _coarse(second: HostArray) -> float:
    """How coarse most second differences are. A few large ones are kinks, which one side of the point meets and the other not."""
    usual = float(np.quantile(second, MOST)) if second.size else 0.0
    return usual if COARSE < usual < COARSEST else 0.0


def _largest(errors: HostArray, values: HostArray) -> float:
    return float(np.max(_shares(errors, values), initial=0.0))


def _shares(errors: HostArray, values: HostArray) -> HostArray:
    """Errors that are finite, relative to the sizes of the values."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        shares = np.abs(errors) / _sizes(values)
    return shares[np.isfinite(shares)]


@dataclass(frozen=True, slots=True)
class Gap:
    """Two arrays compared entry by entry; the numbers are those of the worst entry."""

    verdict: Verdict
    gap: float
    bar: float
    scale: float
    """Typical size of an entry."""
    worst: tuple[int, ...] | None
    expected: float
    found: float
    share: float
    """Of the entries that differ by more than their bars."""

    @property
    def excess(self) -> float:
        """Gap in multiples of the bar."""
        if self.gap == 0:
            return 0.0
        return self.gap / self.bar if self.bar > 0 else inf


def _sizes(x: HostArray) -> HostArray:
    """What the rounding of each entry is measured in: its size, and at least the typical one, for it is a sum of others."""
    return np.abs(x) + typical(x)


def typical(x: HostArray) -> float:
    """Median size of the entries that are finite and not zero; 0 if all are zero."""
    sizes = np.abs(x)[np.isfinite(x)]
    sizes = sizes[sizes > 0]
    return float(np.median(sizes)) if sizes.size else 0.0


def gap(expected: Rounded, found: Rounded) -> Gap:
    """The reference's array and the port's, of one shape. NaN and infinities have to be the same ones."""
    a, b = expected.value, found.value
    scale = max(typical(a), typical(b))
    if a.size == 0:
        return Gap(Verdict.AGREES, 0.0, 0.0, 0.0, None, 0.0, 0.0, 0.0)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        differences = np.abs(a - b)
        sizes = np.maximum(np.abs(a), np.abs(b)) + scale
        bars = (SAFETY * (expected.relative + found.relative) + FLOOR * DOUBLE) * sizes
        differences = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, differences)
        differences = np.where(np.isnan(differences), np.inf, differences)
        excess = np.where(differences == 0, 0.0, differences / np.where(np.isfinite(bars), bars, 0.0))
    worst = np.unravel_index(int(np.argmax(excess)), a.shape)
    above = excess > 1
    return Gap(
        verdict=Verdict.DISAGREES if above.any() else Verdict.AGREES,
        gap=float(differences[worst]),
        bar=float(bars[worst]),
        scale=scale,
        worst=tuple(map(int, worst)),
        expected=float(a[worst]),
        found=float(b[worst]),
        share=float(np.mean(above)),
    )
