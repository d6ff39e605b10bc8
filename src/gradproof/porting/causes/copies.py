"""A parameter that was copied from one port to the other and holds other numbers."""

__all__ = ["causes_of_parameter"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, permutations

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.cells import GATES
from gradproof.porting.causes.evidence import float64, residual
from gradproof.porting.causes.numbers import name_factor
from gradproof.porting.causes.orders import permutation, permutation_cause
from gradproof.porting.causes.precision import format_of
from gradproof.porting.stretch import Cause

SHARE = 0.01
"""Of the difference that may remain: copies may have been rounded to a short format on the way."""

FEWEST = 4
"""Entries that a fitted factor has to explain."""


class _Copy:
    """Both values, and what is near."""

    def __init__(self, expected: HostArray, found: HostArray, roundoff: float) -> None:
        self.expected, self.found = float64(expected), float64(found)
        gap = residual(self.expected, self.found)
        scale = float(np.max(np.abs(self.expected), initial=0.0))
        self.allowance = min(4.0 * roundoff * scale, SHARE * gap)
        self.differs = self.expected.shape == self.found.shape and gap > 2.0 * roundoff * scale

    def is_found(self, x: HostArray) -> bool:
        return residual(x, self.found) <= self.allowance


def causes_of_parameter(
    expected: HostArray,
    found: HostArray,
    parts: Sequence[HostArray] = (),
    others: Mapping[str, HostArray] | None = None,
    roundoff: float = 2.0**-24,
) -> tuple[Cause, ...]:
    """Which mistake of copying makes a parameter differ, the simplest first; empty if none is known.

    `expected` and `found` are the reference's value and the port's, both in the reference's order of axes; `parts` what
    `expected` is the sum of (the two biases of a recurrent layer); `others` more parameters of the reference, by path;
    `roundoff` the unit roundoff of the shorter dtype of the two.
    """
    copy = _Copy(expected, found, roundoff)
    if not copy.differs:
        return ()
    families: tuple[Callable[[], Iterator[Cause]], ...] = (
        lambda: _constant(copy),
        lambda: _parts(copy, parts),
        lambda: _scaled(copy),
        lambda: _turned(copy),
        lambda: _gates(copy),
        lambda: _moved(copy),
        lambda: _another(copy, others or {}),
        lambda: _rounded(copy, roundoff),
    )
    for family in families:
        causes = tuple(family())
        if causes:
            return causes
    return ()


def _constant(copy: _Copy) -> Iterator[Cause]:
    found = copy.found
    if (
        found.size > 1
        and np.all(found == found.ravel()[0])
        and not np.all(copy.expected == copy.expected.ravel()[0])
    ):
        value = float(found.ravel()[0])
        what = {0.0: "zeros", 1.0: "ones"}.get(value, f"{value:g} everywhere")
        yield Cause("GP244", f"{{port}} holds {what}: it was not copied", "copy it", value)
    elif found.size == 1 and copy.expected.size == 1 and float(found.ravel()[0]) in (0.0, 1.0):
        yield Cause("GP244", f"{{port}} holds {float(found.ravel()[0]):g}: it was not copied", "copy it")


def _parts(copy: _Copy, parts: Sequence[HostArray]) -> Iterator[Cause]:
    """Some of the summands are missing."""
    summed = [float64(part) for part in parts]
    for count in range(1, len(summed)):
        for chosen in combinations(range(len(summed)), count):
            if copy.is_found(np.sum([summed[i] for i in chosen], axis=0)):
                missing = ", ".join(str(i + 1) for i in range(len(summed)) if i not in chosen)
                says = f"{{port}} lacks summand {missing} of the {len(summed)} that {{reference}} adds up (two biases for one)"
                yield Cause("GP226", says, "add them up")
                return


def _scaled(copy: _Copy) -> Iterator[Cause]:
    expected, found = copy.expected, copy.found
    if copy.is_found(-expected):
        yield Cause("GP231", "{port} holds the negative", "-w", -1.0)
        return
    for by, words in (
        (1.0, "1 + the value (the scale counted from zero)"),
        (-1.0, "the value − 1 (the scale counted from one)"),
    ):
        if expected.size >= FEWEST and copy.is_found(expected + by):
            yield Cause(
                "GP208", f"{{port}} holds {words} of {{reference}}", "w − 1" if by > 0 else "1 + w", by
            )
            return
    if np.count_nonzero(expected) >= FEWEST:
        factor = float(np.vdot(expected, found).real / np.vdot(expected, expected).real)
        if factor and copy.is_found(factor * expected):
            named = name_factor(factor, expected.shape)
            by_words = name_factor(1.0 / factor, expected.shape).words
            yield Cause(
                "GP229",
                f"{{port}} holds {named.words} × the value of {{reference}}",
                f"multiply by {by_words}",
                factor,
            )


def _turned(copy: _Copy) -> Iterator[Cause]:
    """Axes of one length exchanged, or reversed."""
    shape = copy.expected.shape
    for axes in list(permutations(range(len(shape))))[1:] if len(shape) <= 5 else []:
        if tuple(shape[axis] for axis in axes) == shape and copy.is_found(np.transpose(copy.expected, axes)):
            yield Cause(
                "GP227", f"{{port}} holds it with its axes in the order {axes}: transposed", "transpose it"
            )
            return
    yield from _flipped(copy)


def _flipped(copy: _Copy) -> Iterator[Cause]:
    """A kernel reversed in space, or axes moved by a reshape."""
    shape = copy.expected.shape
    if len(shape) >= 3:
        for space in (tuple(range(2, len(shape))), tuple(range(len(shape) - 2))):
            if copy.is_found(np.flip(copy.expected, space)):
                yield Cause(
                    "GP219", "{port} holds the kernel flipped along its axes in space", "flip it back"
                )
                return
    if len(shape) >= 2:
        for axes in permutations(range(len(shape))):
            if axes != tuple(range(len(shape))) and copy.is_found(
                np.transpose(copy.expected, axes).reshape(shape)
            ):
                says = (
                    f"{{port}} holds it with its axes in the order {axes} and reshaped, not transposed back"
                )
                yield Cause("GP234", says, "transpose instead of reshaping")
                return


def _gates(copy: _Copy) -> Iterator[Cause]:
    """Blocks of one axis in another order: four gates or three, or the parts of a packed projection."""
    for axis, length in enumerate(copy.expected.shape):
        for count in (2, 3, 4):
            if length % count or length // count < 2:
                continue
            blocks = np.split(copy.expected, count, axis)
            for order in list(permutations(range(count)))[1:]:
                if copy.is_found(np.concatenate([blocks[i] for i in order], axis)):
                    yield _blocks_named(order, axis)
                    return


def _blocks_named(order: tuple[int, ...], axis: int) -> Cause:
    listed = ", ".join(str(i + 1) for i in order)
    says = f"of {len(order)} blocks along axis {axis} {{port}} holds {listed} where {{reference}} holds {', '.join(str(i + 1) for i in range(len(order)))}"
    names = GATES.get(len(order))
    if names:
        kind = "an LSTM" if len(order) == 4 else "a GRU"
        says += f" (gates of {kind}: {', '.join(names[i] for i in order)} for {', '.join(names)})"
    back = ", ".join(str(int(i) + 1) for i in np.argsort(order, kind="stable"))
    return Cause("GP224", says, f"take the blocks {back}")


def _moved(copy: _Copy) -> Iterator[Cause]:
    rank = copy.expected.ndim
    for axis in range(rank):
        order = permutation(copy.expected, copy.found, axis, copy.allowance)
        if order is not None:
            yield permutation_cause(order, axis, rank)
            return


def _another(copy: _Copy, others: Mapping[str, HostArray]) -> Iterator[Cause]:
    for path, value in others.items():
        if np.shape(value) == copy.found.shape and copy.is_found(float64(value)):
            yield Cause("GP244", f"{{port}} holds the value of {path} of {{reference}}", "copy the right one")
            return


def _rounded(copy: _Copy, roundoff: float) -> Iterator[Cause]:
    name = format_of(copy.found)
    units = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24}
    if name is None or units[name] <= 2 * roundoff or format_of(copy.expected) == name:
        return
    # What is truncated is off by twice as much as what is rounded.
    allowed = 2 * units[name] * np.maximum(np.abs(copy.expected), 2.0**-14)
    if np.all(np.abs(copy.found - copy.expected) <= allowed):
        yield Cause("GP237", f"{{port}} holds it rounded to {name}", f"copy it without a cast to {name}")
