"""The function along a probe: φ(t) = f(x + t·v), every output kept, float64 on the host."""

__all__ = ["Line", "Probe", "coordinate_probe", "gaussian_probe", "leaf_sizes", "sign_probe"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gradproof.arrays import HostArray

MANTISSA_BITS = {2.0**-53: 8, 2.0**-24: 3}
"""Bits after the point of a probe's entries, by unit roundoff. Few, so that x + t·v is formed without rounding;
not fewer than 3, for with 2 a swap of two entries of equal size often went unseen (measured on 940 operators)."""

SMALLEST_SHARE = 2.0**-10
"""An entry moves by no less than this share of its leaf's RMS: a tiny entry beside large ones still has to move
the function visibly."""

BLOCK = 2**16
"""Entries drawn at a time."""

Probe = tuple[HostArray, ...]
"""A direction: one array per leaf, of the leaf's shape; zero where nothing moves."""


@dataclass
class Line:
    """φ(t) = evaluate(x + t·v). A point where `evaluate` fails or is not finite is outside the domain: NaN."""

    evaluate: Callable[[Sequence[HostArray]], HostArray]
    """From leaves on the host to the outputs, a flat float64 array of shape (m,)."""
    leaves: Sequence[HostArray]
    probe: Probe
    centre: HostArray
    """φ(0), shape (m,)."""
    unit_roundoff: float = 2.0**-53
    """Of the arithmetic in which `evaluate` works."""
    spread: float = 0.0
    """Largest difference between values seen at one and the same point."""
    evaluations: int = 0
    failures: list[str] = field(default_factory=list)
    """What `evaluate` raised away from the point."""
    _known: dict[float, HostArray] = field(default_factory=dict)

    def __call__(self, t: float) -> HostArray:
        """φ(t), shape (m,), NaN where the function is not defined. A step is evaluated once."""
        if t not in self._known:
            self._known[t] = self._sample(t)
        return self._known[t]

    def _sample(self, t: float) -> HostArray:
        self.evaluations += 1
        moved = [x + t * v if v.any() else x for x, v in zip(self.leaves, self.probe, strict=True)]
        try:
            with np.errstate(all="ignore"):
                value = self.evaluate(moved)
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return np.full(self.centre.shape, np.nan)
        return (
            np.where(np.isfinite(value), value, np.nan)
            if value.shape == self.centre.shape
            else self._changed()
        )

    def _changed(self) -> HostArray:
        self.failures.append("the output's shape depends on the parameters")
        return np.full(self.centre.shape, np.nan)


def leaf_sizes(leaf: HostArray) -> HostArray:
    """Power of two by which each entry of `leaf` moves: near |x_i|, at least 2⁻¹⁰ of the RMS, 1 in a leaf of zeros."""
    return _by_block(leaf, lambda sizes: sizes)


def sign_probe(
    leaves: Sequence[HostArray], rng: np.random.Generator, unit_roundoff: float, only: int | None = None
) -> Probe:
    """±size·(1 + r/2^b), r uniform: no entry is invisible, and no two are alike. `only` keeps one leaf moving."""
    steps = 2 ** MANTISSA_BITS.get(unit_roundoff, 1)

    def draw(sizes: HostArray) -> HostArray:
        signs = 2.0 * rng.integers(0, 2, sizes.shape) - 1.0
        return signs * (1.0 + rng.integers(0, steps, sizes.shape) / steps) * sizes

    return _probe(leaves, draw, only)


def gaussian_probe(
    leaves: Sequence[HostArray], rng: np.random.Generator, unit_roundoff: float, only: int | None = None
) -> Probe:
    """size·N(0, 1), rounded to a few bits: what a Certificate needs. `only` keeps one leaf moving."""
    steps = 2 ** MANTISSA_BITS.get(unit_roundoff, 1)

    def draw(sizes: HostArray) -> HostArray:
        return np.round(rng.standard_normal(sizes.shape) * steps) / steps * sizes

    return _probe(leaves, draw, only)


def coordinate_probe(leaves: Sequence[HostArray], leaf: int, index: tuple[int, ...]) -> Probe:
    """Only entry `index` of leaf number `leaf` moves, by its own size."""
    probe = tuple(np.zeros(x.shape) for x in leaves)
    probe[leaf][index] = leaf_sizes(leaves[leaf])[index]
    return probe


def _probe(leaves: Sequence[HostArray], draw: Callable[[HostArray], HostArray], only: int | None) -> Probe:
    return tuple(
        _by_block(leaf, draw) if only in (None, i) else np.zeros(leaf.shape) for i, leaf in enumerate(leaves)
    )


def _by_block(leaf: HostArray, draw: Callable[[HostArray], HostArray]) -> HostArray:
    """`draw(sizes)` over the whole leaf, a block at a time: a leaf may be too large for temporaries of its size."""
    flat, out = leaf.reshape(-1), np.empty(leaf.size)
    rms = _root_mean_square(flat)
    for start in range(0, leaf.size, BLOCK):
        part = slice(start, start + BLOCK)
        x = np.abs(flat[part].astype(np.float64))
        sizes = np.where(x == 0, rms or 1.0, np.maximum(x, SMALLEST_SHARE * rms))
        out[part] = draw(np.exp2(np.round(np.log2(sizes))))
    return out.reshape(leaf.shape)


def _root_mean_square(flat: HostArray) -> float:
    """Without overflow or underflow of the squares, a block at a time."""
    largest = max(abs(float(flat.max())), abs(float(flat.min())))
    if largest == 0:
        return 0.0
    blocks = (
        flat[start : start + BLOCK].astype(np.float64) / largest for start in range(0, flat.size, BLOCK)
    )
    return largest * float(np.sqrt(sum(float(block @ block) for block in blocks) / flat.size))
