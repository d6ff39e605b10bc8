"""Values on their way through a function and through its backward pass, both written by hand."""

__all__ = ["HandTape"]

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from gradproof.arrays import Array, HostArray, dtype_name, is_array
from gradproof.backend import Backend, backend_for
from gradproof.porting.port import Forced, Seen
from gradproof.porting.tap import Keys
from gradproof.trees import flatten


class HandTape:
    """Watches one run. The function runs first, then its backward pass, which may run the function again.

    Values that are computed again are not counted again, but handed on as the first time: what is forced stays forced.
    """

    def __init__(self, forced: Mapping[str, Forced], backend: Backend) -> None:
        self._forced = forced
        self._backend = backend
        self._keys = Keys()
        self._nodes: dict[str, Seen] = {}
        self._taps: dict[str, list[str]] = {}
        """Keys by name of the tap, in order."""
        self._waiting: dict[str, list[str]] = {}
        """Of them those without a cotangent."""
        self._again: Counter[str] | None = None
        """Calls of each tap since the backward pass began."""

    @property
    def nodes(self) -> tuple[Seen, ...]:
        """What was seen, in order."""
        return tuple(self._nodes.values())

    def see(self, name: str, x: Array, /, *, role: str = "tap", kind: str = "", slot: int = 0) -> Array:
        """Record `x`; what is handed on is `x`, or what it is forced to."""
        if not is_array(x):
            return x
        if self._again is not None:
            return self._handed(self._key_again(name), x)
        key = self._keys.new(name, role, slot)
        self._nodes[key] = Seen(name, role, kind, key, backend_for(x).to_numpy(x), dtype_name(x))
        if role == "tap":
            self._taps.setdefault(name, []).append(key)
        return self._handed(key, x)

    def see_all(self, tree: Any, /, *, role: str, kind: str) -> Any:
        """See every array of `tree`, inputs or outputs of the whole."""
        leaves, structure = flatten(tree)
        slots = count()
        return structure.unflatten(
            self.see("", leaf, role=role, kind=kind, slot=next(slots)) if is_array(leaf) else leaf
            for leaf in leaves
        )

    def forward_is_over(self) -> None:
        """From here on it is the backward pass that runs. Raises ValueError if a forced node never came."""
        if missing := [key for key in self._forced if key not in self._nodes]:
            raise ValueError(f"{missing[0]!r} was to be forced, but never came in this run")
        self._again = Counter()
        self._waiting = {name: list(keys) for name, keys in self._taps.items()}

    def see_cotangent(self, name: str, x: Array, /) -> Array:
        """Record `x` for the latest tap of this name that has none: a backward pass runs in the opposite order."""
        if self._again is None or not is_array(x):
            return x
        if not self._waiting.get(name):
            calls, known = len(self._taps.get(name, ())), ", ".join(map(repr, self._taps)) or "none"
            raise ValueError(
                f"tap_cotangent({name!r}, …) was called {calls + 1} times, tap({name!r}, …) {calls} times; due one for "
                f"one. Taps are: {known}"
            )
        return self.arrive(self._waiting[name].pop(), x)

    def arrive(self, key: str, cotangent: Array) -> Array:
        """Record the cotangent of a node; what is handed on is itself, or what it is forced to."""
        node = self._nodes[key]
        host = backend_for(cotangent).to_numpy(cotangent)
        if host.shape != node.value.shape:
            raise ValueError(
                f"the cotangent of {key!r} has shape {host.shape}, due {node.value.shape}, as its value has"
            )
        self._nodes[key] = replace(node, cotangent=host)
        if key not in self._forced:
            return cotangent
        forced = self._forced[key].cotangent
        return self._like(cotangent, np.zeros(host.shape) if forced is None else forced, key)

    def arrive_all(self, cotangents: Any) -> Any:
        """The same for outputs of the whole."""
        keys = iter([node.key for node in self.nodes if node.role == "output"])
        leaves, structure = flatten(cotangents)
        return structure.unflatten(self.arrive(next(keys), leaf) for leaf in leaves)

    def _key_again(self, name: str) -> str:
        """Key of the tap that this is, computed again; however often the function runs."""
        keys = self._taps.get(name, [])
        if not keys or self._again is None:
            return ""
        self._again[name] += 1
        return keys[(self._again[name] - 1) % len(keys)]

    def _handed(self, key: str, x: Array) -> Array:
        return self._like(x, self._forced[key].value, key) if key in self._forced else x

    def _like(self, x: Array, forced: HostArray, key: str) -> Array:
        if np.shape(forced) != tuple(x.shape):
            raise ValueError(
                f"{key!r} has shape {tuple(x.shape)}, and is forced to one of {np.shape(forced)}"
            )
        return self._backend.from_numpy(forced, dtype=dtype_name(x))
