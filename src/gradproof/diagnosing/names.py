"""Names for a fitted number: 2, len(x), lam/len(x), of the constants at hand."""

__all__ = ["Constants", "Name", "shown"]

from collections.abc import Callable, Iterator
from inspect import signature
from math import isfinite, log, log10, pi, sqrt
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from gradproof.arrays import is_array
from gradproof.point import Point

CLOSE = 1e-3
"""Bar, as a share of the number, above which naming it would be guessing."""

ULPS = 1e-12
"""Share by which a name may miss the number: that is how far its own fit is off where the bar is none."""

NEARLY_ONE = 1e-6
"""A factor closer to 1 is shown by how far it is off."""

FAR = 3
"""What the length of an axis that is not the constants' first is more far-fetched: mostly a batch is averaged over."""

SHORT = 3
"""Significant digits of a decimal that is taken for one that somebody wrote down."""


class Name(NamedTuple):
    """An expression, its value, and how far-fetched it is."""

    words: str
    value: float
    kind: str
    """ "number", "size" (of an axis) or "constant" (from args)."""
    effort: int


class Constants:
    """The numbers that a function at a point has at hand: lengths of axes and scalars in args, under their names."""

    def __init__(self, point: Point, fun: Callable[..., Any]) -> None:
        self.names = _argument_names(fun, len(point.args))
        self.scalars = {
            name: number
            for name, arg in zip(self.names, point.args, strict=True)
            if (number := _number(arg)) != 0 and isfinite(number)
        }
        self.sizes = dict(_sizes(point, self.names))
        self._rows = {f"len({name})" for name in self.names}
        self._known = sorted(self._all(), key=lambda name: name.effort)

    def name(self, value: float, bar: float, *, prefer: str = "") -> Name | None:
        """The simplest name for `value`, known to within `bar`, of the kind to `prefer` if there is one; None if none fits."""
        if not bar <= CLOSE * abs(value):
            return None
        fits = [known for known in self._known if abs(known.value - value) <= bar + ULPS * abs(value)]
        preferred = [known for known in fits if known.kind == prefer]
        return next(iter(preferred or fits), None) or _decimal(value, bar)

    def _all(self) -> Iterator[Name]:
        with np.errstate(all="ignore"):
            known = [(words, float(value), kind, effort) for words, value, kind, effort in self._positive()]
        for words, value, kind, effort in known:
            if isfinite(value) and value != 0:
                yield Name(words, value, kind, effort)
                yield Name(f"-{words}", -value, kind, effort + 1)

    def _positive(self) -> Iterator[tuple[str, Any, str, int]]:
        yield "1", 1.0, "number", 0
        yield from ((words, value, "number", effort) for words, value, effort in _NUMBERS)
        for m, size in self.sizes.items():
            far = 0 if m in self._rows else FAR
            yield from ((words, value, "size", effort + far) for words, value, effort in _of_size(m, size))
        for a, scalar in self.scalars.items():
            yield from (
                (words, value, "constant", effort) for words, value, effort in _of_constant(a, scalar)
            )
            for m, size in self.sizes.items():
                yield from _of_both(a, np.float64(scalar), m, size)


_NUMBERS: tuple[tuple[str, float, int], ...] = (
    ("2", 2.0, 1), ("1/2", 0.5, 1),
    *((str(n), float(n), 4) for n in range(3, 11)), *((f"1/{n}", 1 / n, 4) for n in range(3, 11)),
    ("3/2", 1.5, 4), ("2/3", 2 / 3, 4), ("3/4", 0.75, 5), ("4/3", 4 / 3, 5),
    ("100", 100.0, 4), ("1/100", 0.01, 4), ("1000", 1e3, 4), ("1/1000", 1e-3, 4),
    ("pi", pi, 4), ("1/pi", 1 / pi, 4), ("2*pi", 2 * pi, 4), ("1/(2*pi)", 0.5 / pi, 4),
    ("sqrt(2)", sqrt(2), 4), ("1/sqrt(2)", sqrt(0.5), 4), ("log(2)", log(2), 4), ("1/log(2)", 1 / log(2), 4),
    ("log(10)", log(10), 4), ("1/log(10)", 1 / log(10), 4), ("sqrt(2*pi)", sqrt(2 * pi), 5),
    ("pi/180", pi / 180, 4), ("180/pi", 180 / pi, 4),
)  # fmt: skip


def _of_size(m: str, size: int) -> Iterator[tuple[str, float, int]]:
    if size < 2:
        return
    yield m, float(size), 2
    yield f"1/{m}", 1 / size, 2
    yield f"({m} - 1)/{m}", (size - 1) / size, 3
    yield f"{m}/({m} - 1)", size / (size - 1), 3
    yield f"sqrt({m})", sqrt(size), 5
    yield f"1/sqrt({m})", 1 / sqrt(size), 5
    yield f"2*{m}", 2.0 * size, 5
    yield f"1/(2*{m})", 0.5 / size, 5
    yield f"2/{m}", 2 / size, 5
    yield f"{m}/2", size / 2, 5
    yield f"{m}**2", float(size) ** 2, 5
    yield f"1/{m}**2", 1 / size**2, 5


def _of_constant(a: str, plain: float) -> Iterator[tuple[str, Any, int]]:
    value = np.float64(plain)  # which overflows to infinity, and does not raise
    yield a, value, 2
    yield f"1/{a}", 1 / value, 2
    yield f"2*{a}", 2 * value, 3
    yield f"{a}/2", value / 2, 3
    yield f"{a}**2", value**2, 4
    yield f"1/{a}**2", 1 / value**2, 4
    yield f"(1 - {a})", 1 - value, 3
    yield f"(1 + {a})", 1 + value, 3
    if value not in (1.0, -1.0):
        yield f"1/(1 - {a})", 1 / (1 - value), 3
        yield f"1/(1 + {a})", 1 / (1 + value), 3
    if value > 0:
        yield f"sqrt({a})", np.sqrt(value), 5
        yield f"1/sqrt({a})", 1 / np.sqrt(value), 5


def shown(value: float, bar: float, name: Name | None) -> str:
    """The name with its value, "lam/len(x) = 0.2", or as many digits as are known."""
    if name is not None:
        return name.words if name.kind == "number" else f"{name.words} = {name.value:.6g}"
    if 0 < abs(value - 1) < NEARLY_ONE:
        return f"(1 {'+' if value > 1 else '-'} {abs(value - 1):.2g})"
    known = -log10(bar / abs(value)) if bar > 0 and value else 8
    return f"{value:.{int(min(max(known, 2), 8))}g}"


def _of_both(a: str, value: Any, m: str, size: int) -> Iterator[tuple[str, Any, str, int]]:
    yield f"{a}/{m}", value / size, "constant", 5
    yield f"{a}/(2*{m})", value / (2 * size), "constant", 6
    yield f"2*{a}/{m}", 2 * value / size, "constant", 6
    yield f"{a}*{m}", value * size, "constant", 6
    yield f"({m} - 1)*{a}/{m}", value * (size - 1) / size, "constant", 8


def _number(arg: Any) -> float:
    """A plain number as a float; 0 for anything else, and for one beyond float."""
    if not isinstance(arg, Real) or isinstance(arg, bool):
        return 0.0
    try:
        return float(arg)
    except OverflowError:
        return 0.0


def _decimal(value: float, bar: float) -> Name | None:
    """A number of few digits that somebody may have written down."""
    short = float(f"{value:.{SHORT}g}")
    known_well = bar <= 1e-2 * 10.0**-SHORT * abs(value)
    if known_well and abs(short - value) <= bar + ULPS * abs(value):
        return Name(f"{short:g}", short, "number", 9)
    return None


def _argument_names(fun: Callable[..., Any], count: int) -> list[str]:
    """Names of the arguments behind the parameters; "args[i]" where the signature does not tell."""
    fallback = [f"args[{i}]" for i in range(count)]
    try:
        parameters = list(signature(fun).parameters.values())
    except (TypeError, ValueError):
        return fallback
    named = [p.name if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) else "" for p in parameters[1:]]
    named = [*named, *[""] * count][:count]
    return [name or other for name, other in zip(named, fallback, strict=True)]


def _sizes(point: Point, names: list[str]) -> Iterator[tuple[str, int]]:
    """Lengths of axes, the constants' first: each length under the first name that it has."""
    seen: set[int] = set()
    arrays = [(name, tuple(arg.shape)) for name, arg in zip(names, point.args, strict=True) if is_array(arg)]
    leaves = [
        (f"params.{path}" if path in names else path, shape)
        for path, shape in zip(point.paths, point.shapes, strict=True)
    ]
    for path, shape in arrays + leaves:
        for axis, length in enumerate(shape):
            if length > 0 and int(length) not in seen:
                seen.add(int(length))
                yield f"len({path})" if axis == 0 else f"{path}.shape[{axis}]", int(length)
    for path, shape in arrays + leaves:
        size = int(np.prod(shape))
        if size > 0 and size not in seen and len(shape) > 1:
            seen.add(size)
            yield f"{path}.size", size
