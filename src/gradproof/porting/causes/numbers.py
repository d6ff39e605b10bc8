"""Numbers that were fitted, told in words: 1e-05, √64, 1/len."""

__all__ = ["Named", "name_factor", "plain", "round_number"]

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite, pi, sqrt

NEAR = 1e-9
"""Relative distance at which a fitted factor is the named number. A fit over two entries is right to 1e-15."""

SHORTEST = 6
"""Digits up to which a fitted number is held for one that somebody wrote down."""


@dataclass(frozen=True, slots=True)
class Named:
    """A number and what it is."""

    value: float
    words: str
    is_size: bool = False
    """Whether it is made of the length of an axis."""


def round_number(value: float, near: float = NEAR) -> float | None:
    """The number of fewest digits within `near` (relative) of `value`, None if it needs more than six."""
    if not isfinite(value) or value == 0.0:
        return value if value == 0.0 else None
    for digits in range(SHORTEST):
        short = float(f"{value:.{digits}e}")
        if abs(short - value) <= near * abs(value):
            return short
    return None


def plain(value: float) -> str:
    """`value` as somebody would write it: "1e-05", "0.125", "12"."""
    short = round_number(value)
    return f"{value:.6g}" if short is None else f"{short:.10g}"


def name_factor(value: float, sizes: Iterable[int] = ()) -> Named:
    """What a factor is: a small whole number, one over it, a size, its root; else its digits."""
    sign = "−" if value < 0 else ""
    for number, words, is_size in _candidates(sizes):
        if abs(abs(value) - number) <= NEAR * number:
            return Named(value, sign + words, is_size)
    return Named(value, plain(value))


def _candidates(sizes: Iterable[int]) -> Iterator[tuple[float, str, bool]]:
    yield 1.0, "1", False
    for n in range(2, 5):
        yield float(n), str(n), False
        yield 1.0 / n, f"1/{n}", False
    for n in dict.fromkeys(size for size in sizes if size > 1):
        yield float(n), f"{n}", True
        yield 1.0 / n, f"1/{n}", True
        yield sqrt(n), f"√{n}", True
        yield 1.0 / sqrt(n), f"1/√{n}", True
        yield (n - 1) / n, f"{n - 1}/{n}", True
        yield n / (n - 1), f"{n}/{n - 1}", True
    for n in (2, 3):
        yield sqrt(n), f"√{n}", False
        yield 1.0 / sqrt(n), f"1/√{n}", False
    yield pi, "π", False
