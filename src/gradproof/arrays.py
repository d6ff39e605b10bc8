"""What the core asks of an array, whatever its framework: its namespace and its dtype.

Everything here goes through the array API standard (https://data-apis.org/array-api) and array-api-compat;
nothing imports a framework. Modules that compute with the caller's own arrays (`network`, `initializers`,
`numeric.central_difference`) take the namespace from here; those that compute on host copies go through a Backend.
"""

from collections.abc import Iterator
from typing import Any

__all__ = [
    "BLOCK",
    "Array",
    "HostArray",
    "Namespace",
    "blocks",
    "difference_norm",
    "dtype_name",
    "in_double",
    "is_array",
    "is_floating",
    "namespace",
    "norm",
    "resolve_dtype",
]

import numpy as np
import numpy.typing as npt

Array = Any
"""An array of some framework. The standard has no static type for it yet."""

HostArray = npt.NDArray[Any]
"""A numpy array in the host's memory."""

Namespace = Any
"""A module that implements the array API standard."""


BLOCK = 2**16
"""Entries of a host array worked on at a time: it may be too large for temporaries of its size."""


def blocks(size: int) -> Iterator[slice]:
    """Slices that cover `size` entries."""
    return (slice(start, start + BLOCK) for start in range(0, size, BLOCK))


def namespace(*arrays: Array) -> Namespace:
    """Array API namespace that all `arrays` share. Raises TypeError if they share none."""
    from array_api_compat import array_namespace  # noqa: PLC0415 -- it imports the array's own compat module

    return array_namespace(*arrays)


def is_array(x: object) -> bool:
    """Whether `x` is an array of a framework that is already imported, or a NumPy scalar."""
    from array_api_compat import is_array_api_obj  # noqa: PLC0415 -- keeps `import gradproof` light

    return isinstance(x, np.generic) or bool(is_array_api_obj(x))


def dtype_name(x: Array) -> str:
    """Name of the dtype of `x` in the standard's spelling: "float32", "bfloat16", "int64"."""
    return str(x.dtype).rpartition(".")[2]


def is_floating(x: Array) -> bool:
    """Whether `x` holds real floating-point numbers (float16, bfloat16, float32, float64, …)."""
    return "float" in dtype_name(x)


def in_double(x: HostArray) -> HostArray:
    """A host array in float64; itself if it is."""
    return np.asarray(x, dtype=np.float64)


def norm(x: HostArray) -> float:
    """Root of the sum of squares of a host array, without overflow of the squares."""
    return difference_norm(x, None)


def difference_norm(x: HostArray, y: HostArray | None) -> float:
    """`norm(x - y)` of host arrays of one shape; a block at a time, for they may be large."""
    flat, other = np.reshape(x, -1), None if y is None else np.reshape(y, -1)
    parts = (flat[part] if other is None else flat[part] - other[part] for part in blocks(flat.size))
    return float(np.hypot.reduce([_block_norm(part) for part in parts], initial=0.0))


def _block_norm(x: HostArray) -> float:
    largest = float(np.max(np.abs(x), initial=0.0))
    return largest * float(np.linalg.norm(x / largest)) if 0 < largest < np.inf else largest


def resolve_dtype(xp: Namespace, dtype: Any) -> Any:
    """Dtype object of namespace `xp` for a name ("float32"); None and dtype objects pass through."""
    return getattr(xp, dtype) if isinstance(dtype, str) else dtype
