"""A function at many points in one call: rows of points, and whether they are what the points alone are."""

__all__ = ["OneRow", "Rows"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradproof.arrays import Array, HostArray
from gradproof.numeric.sampling import to_outputs
from gradproof.point import Placement
from gradproof.trees import flatten

ROUNDINGS = 2.0**10
"""Unit roundoffs of the largest value by which a row of a batch may differ from the same row alone. At most 7 were seen, in
NumPy, PyTorch and JAX, with networks of up to 10,285 parameters and the problems of `gradproof.problems`."""


@dataclass(frozen=True)
class OneRow:
    """A function of rows of points, as one of a point."""

    fun: Callable[..., Any]

    def __call__(self, params: Any, *args: Any) -> Any:
        """Its only row. Raises ValueError if `fun` does not return one value per row."""
        leaves, structure = flatten(params)
        rows = self.fun(structure.unflatten([leaf[None, ...] for leaf in leaves]), *args)
        if _shape(rows)[:1] != (1,):
            raise ValueError(_unfit(1, f"returned shape {_shape(rows)}; due: (1, ...)"))
        return rows[0]


@dataclass(frozen=True)
class Rows:
    """A function near a point. Everything is called in the context of the placement."""

    fun: Callable[..., Any]
    """Of one point, or with `vectorized` of rows of points."""
    placement: Placement
    vectorized: bool
    value: HostArray
    """At the point itself, alone."""

    @property
    def fixed(self) -> bool:
        """Whether every call should have the same number of rows, for another would be compiled anew."""
        return hasattr(self.placement.backend, "compiled")

    @property
    def compiled(self) -> bool:
        """Whether `together` is compiled here; a function of rows is called as it is."""
        return self.fixed and not self.vectorized

    @cached_property
    def _mapped(self) -> Callable[..., Array] | None:
        """The function of rows, compiled where that can be; None if the framework has none."""
        bound, backend = self.placement.bind(self.fun), self.placement.backend
        if self.vectorized:
            return bound
        mapped = backend.vectorize(bound)
        return mapped if mapped is None else getattr(backend, "compiled", lambda fun: fun)(mapped)

    def __getstate__(self) -> dict[str, Any]:
        """Without the compiled function, which cannot be sent: it is made again where it is needed."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def together(self, rows: Sequence[HostArray]) -> HostArray:
        """Values at rows of points, leaf by leaf (rows, *leaf); (rows, outputs).

        Raises what the function raises, and ValueError if it does not return one value per row.
        """
        if self._mapped is None:
            raise ValueError(f"{self.placement.backend.name} has no function of rows")
        count = len(rows[0])
        values = self._mapped(*self.placement.arrays(rows))
        if _shape(values) != (due := (count, *self.value.shape)):
            raise ValueError(f"returned shape {_shape(values)}; due: {due}")
        return to_outputs(values)[0].reshape(count, -1)

    def alone(self, leaves: Sequence[HostArray]) -> HostArray:
        """Value at one point, (outputs,); NaN where the function raises or returns another shape."""
        try:
            if self.vectorized:
                return self.together([np.array(leaf[None]) for leaf in leaves])[0]
            value = to_outputs(self.placement.bind(self.fun)(*self.placement.arrays(leaves)))[0]
        except Exception:
            return self._unknown
        return value.reshape(-1) if value.shape == self.value.shape else self._unknown

    @property
    def _unknown(self) -> HostArray:
        return np.full(self.value.size, np.nan)

    def unlike(self, rows: Sequence[HostArray], compared: int) -> str:
        """Why `together` cannot be trusted; "" if its first rows, `compared` at most, are what they are alone.

        The first is the point itself. Raises ValueError if the caller said that the function is `vectorized`, and a row is
        not what it is alone.
        """
        numbers = range(1, min(compared, len(rows[0])))
        alone = [self.alone([np.array(leaf[i]) for leaf in rows]) for i in numbers]
        single = np.stack([self.value.reshape(-1), *alone])
        if not np.isfinite(single).any(axis=1).all():
            return "is not finite near the point"
        said = self._contradiction(rows, single)
        if said and self.vectorized:
            raise ValueError(_unfit(len(rows[0]), said))
        return said

    def _contradiction(self, rows: Sequence[HostArray], single: HostArray) -> str:
        try:
            batch = self.together(rows)[: len(single)]
        except Exception as error:
            own = isinstance(error, ValueError) and str(error).startswith("returned")
            return str(error) if own else f"raised {type(error).__name__}: {error}"
        scale = float(np.max(np.abs(single), initial=0.0, where=np.isfinite(single)))
        allowed = ROUNDINGS * self.placement.unit_roundoff * scale
        same = (batch == single) | (np.abs(batch - single) <= allowed) | (np.isnan(batch) & np.isnan(single))
        if same.all():
            return ""
        row, output = np.argwhere(~same)[0]
        return f"gave {batch[row, output]!r} in row {row}, and {single[row, output]!r} for that row alone"


def _shape(x: Any) -> tuple[Any, ...]:
    return tuple(getattr(x, "shape", ()))


def _unfit(rows: int, said: str) -> str:
    return (
        f"vectorized=True, and for {rows} row{'s' * (rows > 1)} of params fun {said}. Write it for params whose "
        "every leaf has an extra leading axis, one value per row; or leave vectorized out"
    )
