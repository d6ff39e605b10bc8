"""Values of a header: arrays by number, trees of them, settings of modules."""

__all__ = ["Arrays", "Shelf", "due", "plain", "tree", "untree"]

import json
from collections.abc import Mapping
from hashlib import blake2b
from math import isfinite
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, is_array

DTYPES = {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
DTYPES |= {"float16", "float32", "float64", "complex64", "complex128"}
"""Those of numpy that are the same on every machine; none needs pickle."""


class Shelf:
    """Arrays on their way into a file. Equal ones are kept once: a module's output is the next one's input."""

    def __init__(self) -> None:
        self.arrays: list[HostArray] = []
        self.table: list[dict[str, Any]] = []
        self._known: dict[str, int] = {}

    def keep(self, x: HostArray) -> int:
        """Number of `x` in the file."""
        given = np.asarray(x)
        if given.dtype.name not in DTYPES:
            raise TypeError(
                f"an array of dtype {given.dtype.name} cannot be recorded: due numbers of numpy's own dtypes; "
                "give bfloat16 as float32"
            )
        array = np.asarray(given, dtype=given.dtype.newbyteorder("="), order="C")
        digest = _digest(array)
        if digest not in self._known:
            self._known[digest] = len(self.arrays)
            self.arrays.append(array)
            self.table.append({"shape": list(array.shape), "dtype": array.dtype.name, "digest": digest})
        return self._known[digest]

    def keep_any(self, x: HostArray | None) -> int | None:
        """The same; None is kept as such."""
        return None if x is None else self.keep(x)

    def keep_all(self, arrays: Mapping[str, HostArray]) -> dict[str, int]:
        """Numbers by name."""
        return {name: self.keep(x) for name, x in arrays.items()}


class Arrays:
    """Arrays that came from a file, by number."""

    def __init__(self, arrays: Mapping[str, HostArray]) -> None:
        self._arrays = arrays

    def check(self, table: list[dict[str, Any]]) -> None:
        """Raise ValueError where the arrays are not those of the `table`."""
        if extra := self._arrays.keys() - {str(number) for number in range(len(table))}:
            raise ValueError(f"it has an array {min(extra)!r} that its header does not name")
        for number, entry in enumerate(table):
            array = self.get(number)
            came = {"shape": list(array.shape), "dtype": array.dtype.name, "digest": ""}
            if array.dtype.name in DTYPES:
                came["digest"] = _digest(array)
            if came != entry:
                raise ValueError(f"array {number} in it is {json.dumps(came)}, due {json.dumps(entry)}")

    def get(self, number: Any) -> HostArray:
        """The array of that number."""
        if type(number) is not int or str(number) not in self._arrays:
            raise ValueError(f"array {number!r} is missing; it holds {len(self._arrays)}")
        return self._arrays[str(number)]

    def get_any(self, number: Any) -> HostArray | None:
        """The same; None stays."""
        return None if number is None else self.get(number)

    def get_all(self, numbers: Mapping[str, Any]) -> dict[str, HostArray]:
        """Arrays by name."""
        return {name: self.get(number) for name, number in numbers.items()}


def due(found: Any, key: str, kind: type, *, optional: bool = False) -> Any:
    """`found[key]`, which has to be of that `kind`. Raises ValueError."""
    if not isinstance(found, dict) or key not in found:
        raise ValueError(f"its header has no {key!r}")
    value = found[key]
    if type(value) is not kind and not (optional and value is None):
        raise ValueError(f"its header has a {type(value).__name__} for {key!r}, due a {kind.__name__}")
    return value


def tree(x: Any, shelf: Shelf) -> Any:
    """JSON of a tree of arrays: dicts, lists, tuples, None, numbers and strings. Raises TypeError for anything else."""
    if is_array(x):
        return {"array": shelf.keep(x)}
    if type(x) in (list, tuple):
        return {type(x).__name__: [tree(item, shelf) for item in x]}
    if isinstance(x, Mapping):
        return {"dict": [[_key(key), tree(item, shelf)] for key, item in x.items()]}
    if isinstance(x, float) and not isfinite(x):
        return {"float": repr(float(x))}
    if x is None or isinstance(x, bool | int | float | str):
        return x
    raise TypeError(
        f"a {type(x).__name__} cannot be recorded: due arrays, numbers, and dicts, lists or tuples of them"
    )


def plain(settings: Mapping[str, Any]) -> Any:
    """JSON of the settings of a module; what is no number or text is kept as the name of its type."""
    return tree({name: _setting(value) for name, value in settings.items()}, Shelf())


def untree(found: Any, shelf: Arrays) -> Any:
    """What `tree` was given. Raises ValueError."""
    if found is None or isinstance(found, bool | int | float | str):
        return found
    if not isinstance(found, dict) or len(found) != 1:
        raise ValueError("its header holds a tree that is none")
    ((kind, value),) = found.items()
    if kind == "array":
        return shelf.get(value)
    if kind == "float" and value in ("nan", "inf", "-inf"):
        return float(value)
    due(found, kind, list)
    if kind == "dict":
        return {_key(key): untree(item, shelf) for key, item in value}
    if kind not in ("list", "tuple"):
        raise ValueError(f"its header holds a tree of {kind!r}, due a dict, list or tuple")
    items = [untree(item, shelf) for item in value]
    return items if kind == "list" else tuple(items)


def _key(key: Any) -> Any:
    if not isinstance(key, str | int):
        raise TypeError(f"a dict with the key {key!r} cannot be recorded: due strings or integers")
    return key


def _setting(x: Any) -> Any:
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, list | tuple):
        return type(x)(map(_setting, x)) if type(x) in (list, tuple) else tuple(map(_setting, x))
    if isinstance(x, Mapping):
        return {str(key): _setting(value) for key, value in x.items()}
    if x is None or isinstance(x, bool | int | float | str):
        return x
    return f"<{type(x).__name__}>"


def _digest(array: HostArray) -> str:
    """Of its dtype, its shape and its bytes."""
    made = blake2b(f"{array.dtype.name} {array.shape}".encode(), digest_size=16)
    made.update(np.asarray(array, order="C").reshape(-1).view(np.uint8).data)
    return made.hexdigest()
