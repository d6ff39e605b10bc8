"""What a framework has to offer to be a source, and how one is found.

Adapters register in the entry-point group `gradproof.backends`. The entry point's *name* is the package that has
to be imported before anyone can hold one of its arrays, so ownership is decided without importing a framework:
if "torch" is not in `sys.modules`, nobody holds a torch tensor.
"""

__all__ = ["Backend", "BackendError", "backend_for", "installed", "load", "names"]

import difflib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, runtime_checkable

import numpy as np

from gradproof.arrays import Array, HostArray, Namespace, is_array, namespace, resolve_dtype

GROUP = "gradproof.backends"


class BackendError(TypeError):
    """An array no backend owns, two backends that claim one array, or an adapter that is not a Backend."""


@runtime_checkable
class Backend(Protocol):
    """A framework: a few facts, copies in and out, and two products. Everything else is derived in the core.

    `fun` takes arrays as positional arguments and returns one array of the framework.

    A backend may also have `take(x, *, dtype, device=None)`: like `from_numpy`, but free to keep the memory of `x`,
    which nobody else will touch. It saves a copy of the parameters at every evaluation.
    """

    @property
    def name(self) -> str:
        """Name as a source: "torch"."""

    @property
    def package(self) -> str:
        """Package that has to be importable, and the name of the entry point."""

    @property
    def differentiates(self) -> bool:
        """Whether `vjp` and `jvp` are the framework's own (numpy: False)."""

    def owns(self, x: object, /) -> bool:
        """Whether `x` is an array of this framework, and of no other.

        A framework that computes on numpy's arrays (HIPS autograd) takes and returns them, but leaves their ownership
        to numpy: it owns only types of its own.
        """

    def from_numpy(self, x: HostArray, /, *, dtype: str, device: Any = None) -> Array:
        """Copy of `x` with the named dtype; shares no memory with `x`."""

    def to_numpy(self, x: Array, /) -> HostArray:
        """Exact copy of `x` on the host; a dtype numpy lacks comes in the next wider one."""

    def vjp(
        self, fun: Callable[..., Array], primals: Sequence[Array], /
    ) -> tuple[Array, Callable[[Array], Sequence[Array]]]:
        """Value of `fun(*primals)` and the function that pulls a cotangent back to all primals."""

    def jvp(
        self, fun: Callable[..., Array], primals: Sequence[Array], tangents: Sequence[Array], /
    ) -> tuple[Array, Array]:
        """Value of `fun(*primals)` and its derivative along `tangents`."""

    def vectorize(self, fun: Callable[..., Array], /) -> Callable[..., Array] | None:
        """`fun` over a leading axis of every argument, in one call; None if the framework cannot."""

    def double_precision(self) -> AbstractContextManager[object]:
        """Context in which float64 is available and the default; leaves no switch flipped."""


_MEMBERS = tuple(sorted(name for name in vars(Backend) if not name.startswith("_")))


def names() -> tuple[str, ...]:
    """Names of all registered backends, sorted, whether their frameworks are installed or not."""
    return tuple(sorted(_entry_points()))


def installed(name: str) -> bool:
    """Whether the framework of backend `name` could be imported. Imports nothing."""
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


@cache
def load(name: str) -> Backend:
    """Backend `name`, importing its framework.

    Raises ValueError for an unknown name, BackendError for an adapter that is not a Backend, and whatever the
    framework raises when it is imported.
    """
    try:
        entry_point = _entry_points()[name]
    except KeyError:
        raise ValueError(unknown("backend", name, names())) from None
    return _validated(entry_point.load(), name)


def backend_for(x: object) -> Backend:
    """The one backend that owns array `x`.

    Raises BackendError if none or more than one does.
    """
    owners = [backend for backend in _loaded() if _claims(backend, x)]
    if len(owners) > 1:
        both = " and ".join(backend.name for backend in owners)
        raise BackendError(f"{both} both claim a {_type_name(x)}; uninstall one of the two adapters")
    if owners:
        return owners[0]
    if is_array(x):
        return StandardBackend(namespace(x))
    raise BackendError(
        f"no backend owns a {_type_name(x)}; due: an array of {', '.join(names())}, or of the array API standard"
    )


@dataclass(frozen=True, slots=True)
class StandardBackend:
    """Any namespace of the array API standard that has no adapter of its own: it computes, it does not differentiate."""

    xp: Namespace

    @property
    def name(self) -> str:
        """Name of the namespace's package."""
        return str(self.xp.__name__).removeprefix("array_api_compat.")

    @property
    def package(self) -> str:
        """Package that holds the namespace."""
        return self.name

    @property
    def differentiates(self) -> bool:
        """False."""
        return False

    def owns(self, x: object, /) -> bool:
        """Whether `x` belongs to this namespace."""
        return is_array(x) and namespace(x) is self.xp

    def from_numpy(self, x: HostArray, /, *, dtype: str, device: Any = None) -> Array:
        """Copy of `x` in this namespace."""
        return self.xp.asarray(np.asarray(x), dtype=resolve_dtype(self.xp, dtype), device=device, copy=True)

    def take(self, x: HostArray, /, *, dtype: str, device: Any = None) -> Array:
        """`x` in this namespace, in the same memory where that can be."""
        return self.xp.asarray(x, dtype=resolve_dtype(self.xp, dtype), device=device)

    def to_numpy(self, x: Array, /) -> HostArray:
        """Copy of `x` on the host, through DLPack where `x` is no numpy-like object."""
        return np.array(x) if isinstance(x, np.ndarray | np.generic) else np.from_dlpack(x).copy()

    def vjp(
        self, fun: Callable[..., Array], primals: Sequence[Array], /
    ) -> tuple[Array, Callable[[Array], Sequence[Array]]]:
        """Raise NotImplementedError."""
        raise NotImplementedError(f"{self.name} does not differentiate")

    def jvp(
        self, fun: Callable[..., Array], primals: Sequence[Array], tangents: Sequence[Array], /
    ) -> tuple[Array, Array]:
        """Raise NotImplementedError."""
        raise NotImplementedError(f"{self.name} does not differentiate")

    def vectorize(self, fun: Callable[..., Array], /) -> Callable[..., Array] | None:
        """None."""
        return None

    def double_precision(self) -> AbstractContextManager[object]:
        """Nothing to switch."""
        return nullcontext()


def unknown(what: str, given: str, known: Sequence[str]) -> str:
    """Message for a `given` name that is not among the `known` ones."""
    close = difflib.get_close_matches(given, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"unknown {what} {given!r}{hint} Known: {', '.join(sorted(known))}"


def _claims(backend: Backend, x: object) -> bool:
    with suppress(Exception):  # an adapter that cannot even say so owns nothing
        return backend.owns(x)
    return False


def _loaded() -> list[Backend]:
    """Backends whose frameworks are imported. A broken adapter harms nobody else; `load` says what is wrong with it."""
    found = []
    for name in names():
        if name in sys.modules:
            with suppress(Exception):
                found.append(load(name))
    return found


@cache
def _entry_points() -> dict[str, Any]:
    from importlib.metadata import entry_points  # noqa: PLC0415 -- 27 ms that only those pay who look a backend up

    return {entry_point.name: entry_point for entry_point in entry_points(group=GROUP)}


def _validated(candidate: object, name: str) -> Backend:
    lacks = [member for member in _MEMBERS if not hasattr(candidate, member)]
    if lacks:
        raise BackendError(f"entry point {name!r} of {GROUP} is not a Backend: it lacks {', '.join(lacks)}")
    backend: Backend = candidate  # type: ignore[assignment]  # its members were just counted
    if backend.package != name:
        raise BackendError(
            f"entry point {name!r} of {GROUP} serves the package {backend.package!r}: name it after the package"
        )
    return backend


def _type_name(x: object) -> str:
    return f"{type(x).__module__}.{type(x).__qualname__}"
