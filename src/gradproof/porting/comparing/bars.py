"""How far apart two ports may be: a bar for every entry, from what rounding did to each of them, and nothing configured.

Three things are measured on each array of a port, and the bar is the largest of what they say:

- What the port's run in its own dtype is off by, times the ratio of the two unit roundoffs: float64 takes the same operations in the
  same order. (The idea is the three-tensor rule of compilers' accuracy gates, here as a bound for every array.)
- What float64 makes of a point that is moved by a few units in the last place: every rounding on the way is drawn anew.
- Whether something is rounded to a coarser dtype inside: then second differences over a small distance do not fall with it.

An error is measured relative to the size of an entry, and as it is: of the two bounds the smaller one counts.
"""

__all__ = [
    "DOUBLE",
    "FLOOR",
    "NOTHING",
    "Error",
    "Gap",
    "Rounded",
    "Samples",
    "exactly",
    "gap",
    "gap_within",
    "typical",
]

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np

from gradproof.arrays import HostArray, in_double
from gradproof.point import UNIT_ROUNDOFF
from gradproof.verdict import Verdict

DOUBLE = UNIT_ROUNDOFF["float64"]

SAFETY = 16.0
"""On the error that is scaled down from the own run, and on the coarser dtype."""

REDRAWN = 16.0
"""On the error that two other draws of float64's roundings show: of a large network's, or of few numbers, they are a small sample.
(Of 30 equal pairs in float64 3 were refused with 8, and none with 16.)"""

FLOOR = 64.0
"""Units in the last place of an entry that two frameworks may differ by where all that was measured happened to be exact."""

COARSE, COARSEST = 1e-11, 2.0**-16
"""Between the two, second differences may be roundings to float32 inside: below is float64's own, above no float32's. (Of numbers that
are rounded to bfloat16 so small a move changes one in a thousand.)"""

NOTHING = 1e-11
"""Share of what it was computed from below which a value is what cancelling left."""

LOST = 1e-2
"""Relative error of the own run from which on its value has nothing to do with float64's."""

DIGITS = 4.0
"""Units in the last place of the terms that cancelling leaves."""

ANY = 1e300
"""Relative error that is no bound."""

GROWS = 2.5
"""By how much they grow at twice the distance: curvature by 4, roundings by 1."""

MOST = 0.75
"""Share of the entries whose second differences have to be so coarse. A few large ones are kinks."""

Moved = tuple[HostArray | None, ...]
"""An array in two runs, to either side of the point."""


@dataclass(frozen=True, slots=True)
class Error:
    """Two bounds of one error: relative to the size of an entry, and as it is."""

    relative: float
    absolute: float = inf

    def of(self, sizes: HostArray) -> HostArray:
        """Bound of every entry."""
        with np.errstate(over="ignore"):
            return np.minimum(self.relative * sizes, self.absolute)


@dataclass(frozen=True, slots=True)
class Samples:
    """An array in the other runs of a port."""

    own: HostArray | None = None
    """In its own dtype."""
    roundoff: float = DOUBLE
    """Unit roundoff of that."""
    redrawn: Moved | None = None
    """In float64, at points a few units in the last place away."""
    moved: Moved | None = None
    """In float64, at a distance that changes a float32 now and then."""
    further: Callable[[], Moved | None] = lambda: None
    """Twice as far."""


@dataclass(frozen=True, slots=True)
class Rounded:
    """An array of a port's float64 run, and what rounding can have brought into it."""

    value: HostArray
    errors: tuple[Error, ...] = ()
    own: float = 0.0
    """Largest error of the own run, relative to the sizes of the entries."""

    @classmethod
    def of(cls, double: HostArray, samples: Samples) -> "Rounded":
        """From the run in float64 and the others."""
        double = in_double(double)
        errors, own = [], 0.0
        if samples.own is not None and samples.own.shape == double.shape:
            off = np.abs(_difference(samples.own, double))
            own = _largest(_shares(off, double))
            scaled = SAFETY * DOUBLE / samples.roundoff
            errors.append(Error(scaled * own, scaled * _largest(off)))
        if samples.redrawn is not None and samples.redrawn[0] is not None and samples.redrawn[1] is not None:
            # The nearer of the two: at a kink one side of the point is another piece of the function.
            off = np.fmin(*(np.abs(_difference(x, double)) for x in samples.redrawn if x is not None))
            off = _without_kinks(off, double)
            errors.append(Error(REDRAWN * _largest(_shares(off, double)), REDRAWN * _largest(off)))
        errors.append(Error(SAFETY * _coarse(double, samples.moved, samples.further)))
        return cls(double, tuple(errors), own)

    def like(self, value: HostArray) -> "Rounded":
        """Another value of the same array, or this in another order of axes."""
        return Rounded(in_double(value), self.errors, self.own)

    def beside(self, scale: float) -> "Rounded":
        """The same, computed from numbers of this size: if it is nothing beside them, and another dtype makes something else of
        it, no better known than their last digits. (What is merely multiplied by a small number is the same in every dtype.)
        """
        if typical(self.value) >= NOTHING * scale or self.own < LOST:
            return self
        return Rounded(self.value, (*self.errors, Error(ANY, DIGITS * DOUBLE * scale)), self.own)

    def bars(self, sizes: HostArray) -> HostArray:
        """How far each entry can be off, where they are of these sizes."""
        return np.maximum.reduce([error.of(sizes) for error in self.errors] or [np.zeros(sizes.shape)])

    @property
    def all_bars(self) -> HostArray:
        """How far each entry can be off."""
        sizes = np.abs(self.value) + typical(self.value)
        return self.bars(sizes) + FLOOR * DOUBLE * sizes


def _difference(one: HostArray, other: HostArray) -> HostArray:
    """Where both are finite; elsewhere NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = in_double(one) - other
    return np.where(np.isfinite(difference), difference, np.nan)


def _without_kinks(off: HostArray, double: HostArray) -> HostArray:
    """Where most entries hardly move, those that do are at kinks: a framework may give the mean of both sides there."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        shares = off / (np.abs(double) + typical(double))
    sound = shares[np.isfinite(shares)]
    if not sound.size or float(np.median(sound)) >= COARSEST:
        return off  # all of it is rounding
    return np.where(shares < COARSEST, off, 0.0)


def _coarse(double: HostArray, moved: Moved | None, further: Callable[[], Moved | None]) -> float:
    """How coarse the dtype is that something was rounded to inside; 0 if nothing was. What grows with the square of the
    distance is curvature.
    """
    near = _second(double, moved)
    usual = _usual(near)
    if not COARSE < usual < COARSEST:
        return 0.0
    if _usual(_second(double, further())) >= GROWS * usual:
        return 0.0
    return float(np.max(near[near < COARSEST]))


def _usual(shares: HostArray) -> float:
    return float(np.quantile(shares, MOST)) if shares.size else 0.0


def _second(double: HostArray, moved: Moved | None) -> HostArray:
    """Second differences relative to the sizes of the entries, where something is not zero."""
    if moved is None or moved[0] is None or moved[1] is None:
        return np.zeros(0)
    second = np.abs(_difference(moved[0], double) + _difference(moved[1], double))
    lives = (second != 0) | (double != 0)
    return _shares(second[lives], double[lives])


def _largest(errors: HostArray) -> float:
    return float(np.max(errors[np.isfinite(errors)], initial=0.0))


def _shares(errors: HostArray, values: HostArray) -> HostArray:
    """Errors that are finite, relative to the sizes of the values, or to the typical one: an entry is a sum of others."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        shares = errors / (np.abs(values) + typical(values))
    return shares[np.isfinite(shares)]


def typical(x: HostArray) -> float:
    """Median size of the entries that are finite and not zero; 0 if all are zero."""
    sizes = np.abs(x)[np.isfinite(x)]
    sizes = sizes[sizes > 0]
    return float(np.median(sizes)) if sizes.size else 0.0


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


def gap(expected: Rounded, found: Rounded) -> Gap:
    """The reference's array and the port's, of one shape. NaN and infinities have to be the same ones."""
    a, b = expected.value, found.value
    with np.errstate(invalid="ignore", over="ignore"):
        sizes = np.maximum(np.abs(a), np.abs(b)) + max(typical(a), typical(b))
        bars = expected.bars(sizes) + found.bars(sizes) + FLOOR * DOUBLE * sizes
    return gap_within(a, b, bars)


def gap_within(a: HostArray, b: HostArray, bars: HostArray) -> Gap:
    """Two arrays, and how far apart each entry of them may be."""
    if a.size == 0:
        return Gap(Verdict.AGREES, 0.0, 0.0, 0.0, None, 0.0, 0.0, 0.0)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        differences = np.where(same, 0.0, np.abs(np.where(same, 0.0, a) - np.where(same, 0.0, b)))
        differences = np.where(np.isnan(differences), np.inf, differences)
        excess = np.where(differences == 0, 0.0, differences / np.where(np.isfinite(bars), bars, 0.0))
    worst = np.unravel_index(int(np.argmax(excess)), a.shape)
    above = excess > 1
    return Gap(
        verdict=Verdict.DISAGREES if above.any() else Verdict.AGREES,
        gap=float(differences[worst]),
        bar=float(bars[worst]),
        scale=max(typical(a), typical(b)),
        worst=tuple(map(int, worst)),
        expected=float(a[worst]),
        found=float(b[worst]),
        share=float(np.mean(above)),
    )


def exactly(x: HostArray, roundoff: float) -> Rounded:
    """An array that was not computed: right to the last digit of a dtype of this unit roundoff."""
    return Rounded(in_double(x), (Error(roundoff),) if roundoff > DOUBLE else ())
