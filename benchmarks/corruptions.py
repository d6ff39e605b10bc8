"""Mistakes in a gradient: maps from the right gradient, all leaves in one flat array, to a wrong one.

Every mistake is homogeneous, so that it can be made in a vector-Jacobian product with any cotangent.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

SIZES = tuple(10.0**-k for k in range(1, 12))

DIFFERENT = 0.01
"""Share by which entries differ that are exchanged: what differs by rounding alone is no mistake to exchange."""

ONE, ALL, LEAF = "one", "all", "leaf"
PLAIN = {
    "drop": "one non-zero entry set to zero",
    "flip": "one non-zero entry with the opposite sign",
    "swap": "two non-zero entries exchanged that differ by more than 1 %",
}
SIZED = {
    ONE: "one non-zero entry × (1 + s)",
    ALL: "all entries × (1 + s)",
    LEAF: "any one entry off by s × the scale of its leaf",
}
"""A leaf's scale is gradproof's: √Σ(w_i g_i)², w_i the size of parameter i (the power of two nearest |x_i|, at least
2⁻¹⁰ of the leaf's RMS, 1 in a leaf of zeros). Entry k is off by s·√Σ(w_i g_i)²/w_k, so that the value of the function
changes, when parameter k moves by its size, by s times what it changes when all of the leaf moves at random."""


@dataclass(frozen=True)
class Mistake:
    """One way to be wrong."""

    kind: str
    size: float | None
    made_in: Callable[[np.ndarray], np.ndarray]
    """The wrong gradient of the right one; returns a new array."""

    @property
    def name(self) -> str:
        """For tables: the kind, and the size if it has one."""
        return self.kind if self.size is None else named(self.kind, self.size)

    def changes(self, gradient: np.ndarray) -> bool:
        """Whether it makes this gradient wrong by more than its rounding: entries that are exchanged may be equal."""
        return bool(np.any(np.abs(self.made_in(gradient) - gradient) > 1e-12 * np.abs(gradient)))


def named(kind: str, size: float) -> str:
    """Name of a mistake that has a size."""
    return f"{kind} {size:.0e}"


def none_made(gradient: np.ndarray) -> np.ndarray:
    """The right gradient itself."""
    return gradient.copy()


def mistakes(
    gradient: np.ndarray, leaves: Sequence[np.ndarray], rng: np.random.Generator
) -> Iterator[Mistake]:
    """All mistakes at entries drawn at random; none if the gradient is zero. Sizes of one kind come in falling order."""
    nonzero = np.flatnonzero(gradient)
    if not len(nonzero):
        return
    i = int(rng.choice(nonzero))
    yield Mistake("drop", None, partial(_scaled_at, i=i, factor=0.0))
    yield Mistake("flip", None, partial(_scaled_at, i=i, factor=-1.0))
    others = nonzero[np.abs(gradient[nonzero] - gradient[i]) > DIFFERENT * np.abs(gradient[nonzero])]
    if len(others):
        yield Mistake("swap", None, partial(_exchanged, i=i, j=int(rng.choice(others))))
    for size in SIZES:
        yield Mistake(ONE, size, partial(_scaled_at, i=i, factor=1 + size))
    for size in SIZES:
        yield Mistake(ALL, size, partial(np.multiply, 1 + size))
    off_by = _off_by_share_of_leaf(gradient, leaves, rng)
    for size in SIZES:
        yield Mistake(LEAF, size, partial(off_by, size=size))


def _scaled_at(gradient: np.ndarray, i: int, factor: float) -> np.ndarray:
    new = gradient.copy()
    new[i] *= factor
    return new


def _exchanged(gradient: np.ndarray, i: int, j: int) -> np.ndarray:
    new = gradient.copy()
    new[[i, j]] = new[[j, i]]
    return new


def _off_by_share_of_leaf(
    gradient: np.ndarray, leaves: Sequence[np.ndarray], rng: np.random.Generator
) -> Callable[..., np.ndarray]:
    """Adds a share of the leaf's scale to an entry drawn among all those of leaves that have one."""
    ends = np.cumsum([leaf.size for leaf in leaves])
    of_leaf = [slice(end - leaf.size, end) for end, leaf in zip(ends, leaves, strict=True)]
    weights = np.concatenate([_sizes(leaf) for leaf in leaves])
    entries = np.concatenate([np.arange(part.start, part.stop) for part in of_leaf if gradient[part].any()])
    k = int(rng.choice(entries))
    part = of_leaf[int(np.searchsorted(ends, k, side="right"))]

    def made_in(gradient: np.ndarray, size: float) -> np.ndarray:
        new = gradient.copy()
        new[k] += size * float(np.linalg.norm(weights[part] * gradient[part])) / weights[k]
        return new

    return made_in


def _sizes(leaf: np.ndarray) -> np.ndarray:
    x = np.abs(leaf.reshape(-1).astype(np.float64))
    rms = float(np.sqrt(np.mean(x**2)))
    moved = np.where(x == 0, rms or 1.0, np.maximum(x, 2.0**-10 * rms))
    return np.exp2(np.round(np.log2(moved)))
