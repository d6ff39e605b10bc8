"""Parameters and constants in another dtype, or parameters in another framework."""

__all__ = ["recast"]

from typing import Any

from gradproof.arrays import is_array, is_floating
from gradproof.backend import Backend, backend_for
from gradproof.point import take_point
from gradproof.trees import flatten


def recast(
    params: Any, args: tuple[Any, ...], dtype: str | None = None, home: Backend | None = None
) -> tuple[Any, tuple[Any, ...]]:
    """Fresh `params` in `home` (None: their own framework), they and floating constants in `dtype` (None: their own).

    Where the framework makes arrays of `dtype` only when it is asked to, that is to be asked for around this.
    """
    point = take_point(params, args)
    backend = home or point.home
    moved = [
        backend.from_numpy(leaf, dtype=dtype or own)
        for leaf, own in zip(point.leaves, point.dtypes, strict=True)
    ]
    return point.structure.unflatten(moved), tuple(_moved(arg, dtype) if dtype else arg for arg in args)


def _moved(tree: Any, dtype: str) -> Any:
    leaves, structure = flatten(tree)
    return structure.unflatten([_cast(leaf, dtype) for leaf in leaves])


def _cast(x: Any, dtype: str) -> Any:
    if not (is_array(x) and is_floating(x)):
        return x
    owner = backend_for(x)
    return owner.from_numpy(owner.to_numpy(x), dtype=dtype)
