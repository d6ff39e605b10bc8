"""Where a function is checked, and how the point is handed to a framework.

A `Point` holds exact host copies of the parameters; the caller's own arrays are read once and never passed on.
A `Placement` is the same point in one backend and one precision: it builds fresh arrays for every call, so that a
function which changes its input in place changes a copy.
"""

__all__ = ["UNIT_ROUNDOFF", "Placement", "Point", "take_point"]

import pickle
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from gradproof.arrays import Array, HostArray, dtype_name, is_array, is_floating
from gradproof.backend import Backend, backend_for
from gradproof.sizes import Sizes, sizes
from gradproof.trees import Structure, flatten

UNIT_ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Half the distance from 1 to the next number, by dtype."""

_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_MOVABLE = {*UNIT_ROUNDOFF, *_INTEGERS, "bool", "complex64", "complex128"}


@dataclass(frozen=True)
class Point:
    """Parameters and constants of one check."""

    home: Backend
    """The backend that owns the caller's parameters."""
    structure: Structure
    leaves: tuple[HostArray, ...]
    """Exact copies on the host (a bfloat16 leaf as float32)."""
    dtypes: tuple[str, ...]
    """The caller's dtype of each leaf."""
    devices: tuple[Any, ...]
    args: tuple[Any, ...]
    """The caller's own constants, untouched."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Path of each leaf."""
        return self.structure.paths

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each leaf."""
        return tuple(leaf.shape for leaf in self.leaves)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(leaf.size for leaf in self.leaves)

    @cached_property
    def sizes(self) -> tuple[Sizes, ...]:
        """How far each entry moves in a probe, per leaf."""
        return tuple(sizes(leaf) for leaf in self.leaves)

    @property
    def longest_axis(self) -> int:
        """Of all parameters and constants: as long a sum as the function is likely to form."""
        constants = [x for x in flatten(list(self.args))[0] if is_array(x)]
        return max((length for x in (*self.leaves, *constants) for length in x.shape), default=1)

    @property
    def unit_roundoff(self) -> float:
        """Of the coarsest dtype among the leaves."""
        return max(UNIT_ROUNDOFF[dtype] for dtype in self.dtypes)

    def __reduce__(self) -> tuple[Any, ...]:
        """As a tree: optree's own record of a dataclass does not travel, nor does every device."""
        tree = self.structure.unflatten(self.leaves)
        devices = tuple(map(_portable, self.devices))
        return _unpickled, (self.home, tree, self.dtypes, devices, self.args)


def _unpickled(home: Backend, tree: Any, dtypes: Any, devices: Any, args: Any) -> Point:
    leaves, structure = flatten(tree)
    return Point(home, structure, tuple(leaves), dtypes, devices, args)


def _portable(device: Any) -> Any:
    """A device, where it can be named in another process; else the default there."""
    try:
        pickle.dumps(device)
    except Exception:
        return None
    return device


def take_point(params: Any, args: Any) -> Point:
    """Point at `params` with constants `args`.

    Raises ValueError for a tree without leaves, an empty leaf, or a leaf that is not a floating array; TypeError
    for args that are no tuple; BackendError for an array nobody owns or leaves of two backends.
    """
    if not isinstance(args, tuple | list):
        raise TypeError(
            f"args is a tuple of constants; got a {type(args).__name__}. For one constant pass args=(x,)"
        )
    leaves, structure = flatten(params)
    if not leaves:
        raise ValueError(f"params holds no arrays: got {params!r}; pass an array or a tree of arrays")
    for path, leaf in zip(structure.paths, leaves, strict=True):
        _admit(path, leaf)
    home = _only_owner(structure.paths, leaves)
    on_host = tuple(home.to_numpy(leaf) for leaf in leaves)
    for path, leaf in zip(structure.paths, on_host, strict=True):
        _admit_values(path, leaf)
    return Point(
        home=home,
        structure=structure,
        leaves=on_host,
        dtypes=tuple(dtype_name(leaf) for leaf in leaves),
        devices=tuple(_device(leaf) for leaf in leaves),
        args=tuple(args),
    )


class Placement:
    """A point in one backend, in the caller's precision or in float64."""

    def __init__(self, point: Point, backend: Backend, *, double: bool) -> None:
        self.point = point
        self.backend = backend
        self.double = double

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Placement, double=self.double), (self.point, self.backend)

    def context(self) -> AbstractContextManager[object]:
        """In which everything of this placement has to happen."""
        return (
            self.backend.double_precision() if self.double or self._double_is_switched_off else nullcontext()
        )

    @cached_property
    def _double_is_switched_off(self) -> bool:
        """Whether the caller's parameters are float64 and the framework makes no float64 array just now."""
        made = self.backend.from_numpy(np.zeros(1), dtype="float64")
        return "float64" in self.point.dtypes and dtype_name(made) != "float64"

    @property
    def unit_roundoff(self) -> float:
        """Of the arithmetic in which the function is evaluated here."""
        return UNIT_ROUNDOFF["float64"] if self.double else self.point.unit_roundoff

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Of the arrays made here, per leaf."""
        return ("float64",) * len(self.point.dtypes) if self.double else self.point.dtypes

    def arrays(self, leaves: Iterable[HostArray]) -> list[Array]:
        """Fresh arrays of the backend that hold `leaves`."""
        devices = self.point.devices if self.backend is self.point.home else [None] * len(self.dtypes)
        return [
            self._made(leaf)(leaf, dtype=dtype, device=device)
            for leaf, dtype, device in zip(leaves, self.dtypes, devices, strict=True)
        ]

    def _made(self, leaf: HostArray) -> Callable[..., Array]:
        """How an array is made of `leaf`: one of the point's own is copied, one made for this call may be taken over."""
        kept = any(leaf is own for own in self.point.leaves)
        return self.backend.from_numpy if kept else getattr(self.backend, "take", self.backend.from_numpy)

    @cached_property
    def args(self) -> tuple[Any, ...]:
        """The constants in this backend: arrays are copied over, everything else is the caller's own object."""
        return tuple(self._moved(arg) for arg in self.point.args)

    def bind(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        """`fun` of this placement's arrays: `bind(fun)(*arrays) == fun(params, *args)`."""
        return lambda *arrays: fun(self.point.structure.unflatten(arrays), *self.args)

    def _moved(self, arg: Any) -> Any:
        leaves, structure = flatten(arg)
        if not any(is_array(leaf) for leaf in leaves):
            return arg
        return structure.unflatten([self._moved_leaf(leaf) for leaf in leaves])

    def _moved_leaf(self, leaf: Any) -> Any:
        if not (is_array(leaf) and dtype_name(leaf) in _MOVABLE):
            return leaf  # strings, dates, random keys: only their own framework understands them
        owner = backend_for(leaf)
        dtype = "float64" if self.double and is_floating(leaf) else dtype_name(leaf)
        device = _device(leaf) if owner is self.backend else None
        return self.backend.from_numpy(owner.to_numpy(leaf), dtype=dtype, device=device)


def _admit(path: str, leaf: Any) -> None:
    if callable(leaf) and not is_array(leaf):
        raise ValueError(
            f"{path} is a function ({type(leaf).__name__}); params hold arrays: keep functions out of the tree, as with "
            "equinox.partition(model, equinox.is_array), or mark a dataclass field with metadata={'static': True}"
        )
    if not is_array(leaf):
        raise ValueError(
            f"{path} is a {type(leaf).__name__}, params hold arrays: pass numpy.asarray({leaf!r}, dtype=float), "
            "put constants into args, or mark a dataclass field with metadata={'static': True}"
        )
    if not is_floating(leaf):
        raise ValueError(
            f"{path} has dtype {dtype_name(leaf)}; a derivative needs real floating-point parameters: convert it with "
            "astype(float), or put it into args"
        )
    if 0 in leaf.shape:
        raise ValueError(
            f"{path} has shape {tuple(leaf.shape)} and no entries: there is nothing to differentiate"
        )
    if dtype_name(leaf) not in UNIT_ROUNDOFF:
        raise ValueError(f"{path} has dtype {dtype_name(leaf)}; due: one of {', '.join(UNIT_ROUNDOFF)}")


def _admit_values(path: str, leaf: HostArray) -> None:
    if not np.isfinite(leaf).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(leaf))[0])
        raise ValueError(
            f"{path} is {leaf[first]} at {list(first)}; a gradient is checked at finite parameters: move the point"
        )


def _only_owner(paths: Sequence[str], leaves: Sequence[Array]) -> Backend:
    owners = [backend_for(leaf) for leaf in leaves]
    for path, owner in zip(paths, owners, strict=True):
        if owner != owners[0]:
            raise ValueError(
                f"params mix backends: {paths[0]} belongs to {owners[0].name}, {path} to {owner.name}; convert one"
            )
    return owners[0]


def _device(x: Array) -> Any:
    from array_api_compat import device  # noqa: PLC0415 -- keeps `import gradproof` light

    return None if isinstance(x, np.ndarray | np.generic) else device(x)
