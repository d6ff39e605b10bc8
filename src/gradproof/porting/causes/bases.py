"""What a stretch starts from: its inputs as floating arrays, and its parameters by what they are for."""

__all__ = ["along", "bases", "every_like", "floating", "leaf_name", "like", "named_parameter", "rearranged"]

from collections.abc import Iterator, Mapping
from itertools import permutations
from math import prod

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.evidence import float64
from gradproof.porting.stretch import Stretch
from gradproof.porting.views import View, views

MOST_INPUTS = 6
"""Inputs that are tried as what a value was computed from; the nearest come first."""

MOST_AXES = 4
"""Of an input that is flattened with its axes in every order."""


def floating(stretch: Stretch) -> dict[str, HostArray]:
    """The nearest inputs that are not integers, in float64."""
    kept = {key: x for key, x in stretch.inputs.items() if np.asarray(x).dtype.kind == "f"}
    return {key: float64(kept[key]) for key in list(kept)[:MOST_INPUTS]}


def like(stretch: Stretch, due: HostArray) -> dict[str, HostArray]:
    """Those of the shape of `due`."""
    return {key: x for key, x in floating(stretch).items() if x.shape == due.shape}


def every_like(stretch: Stretch, due: HostArray) -> dict[str, HostArray]:
    """All inputs of the shape of `due` that are not integers, the nearest first: for what is tried in one pass."""
    arrays = ((key, np.asarray(x)) for key, x in stretch.inputs.items())
    return {key: float64(x) for key, x in arrays if x.shape == due.shape and x.dtype.kind == "f"}


def leaf_name(path: str) -> str:
    """Last word of a path: "scale" of "params.ln.scale", "weight" of "ln/weight"."""
    words = path.replace("/", ".").replace("[", ".").replace("]", "").replace("'", "").replace('"', "")
    named = [word for word in words.split(".") if word and word not in ("value", "raw_value")]
    return named[-1].lower() if named else ""


def named_parameter(parameters: Mapping[str, HostArray], names: tuple[str, ...]) -> HostArray | None:
    """The first parameter whose last word is one of `names`."""
    for path, value in parameters.items():
        if leaf_name(path) in names:
            return float64(value)
    return None


def along(vector: HostArray, shape: tuple[int, ...]) -> Iterator[HostArray]:
    """`vector` laid along an axis of an array of `shape`, in every way that fits: the last axis first, then the second."""
    if vector.ndim != 1:
        if vector.ndim and vector.shape == shape[-vector.ndim :]:
            yield vector
        return
    order = [len(shape) - 1, 1, *range(len(shape))]
    for axis in dict.fromkeys(axis for axis in order if 0 <= axis < len(shape)):
        if shape[axis] == vector.size:
            yield vector.reshape(-1, *[1] * (len(shape) - 1 - axis))


def bases(stretch: Stretch) -> Iterator[tuple[str, HostArray]]:
    """What a function entry by entry may have been taken of: an input, or a linear map of one by the stretch's own weight."""
    due = np.shape(stretch.expected)
    yield from like(stretch, stretch.expected).items()
    for weight in (float64(w) for w in stretch.parameters.values() if np.ndim(w) == 2):
        for key, x in floating(stretch).items():
            for matrix, name in ((weight, "W"), (weight.T, "Wᵀ")):
                if x.ndim and x.shape[-1] == matrix.shape[0] and (*x.shape[:-1], matrix.shape[1]) == due:
                    yield f"{key} · {name}", x @ matrix
                    bias = named_parameter(stretch.parameters, ("bias", "b"))
                    if bias is not None and bias.shape == due[-1:]:
                        yield f"{key} · {name} + b", x @ matrix + bias


def rearranged(stretch: Stretch) -> Iterator[tuple[str, HostArray]]:
    """The nearest inputs of as many entries as the value has, in its shape: with their axes in another order, or flattened."""
    due = np.shape(stretch.expected)
    for key, x in floating(stretch).items():
        if x.size != prod(due) or x.ndim > MOST_AXES:
            continue
        for view in (*views(x.shape, due), *_flattened(x.shape, due)):
            if not view.is_identity:
                yield key, view.of(x)


def _flattened(given: tuple[int, ...], due: tuple[int, ...]) -> Iterator[View]:
    """The axes behind the first in every order, and reshaped."""
    if sorted(given) != sorted(due):
        for axes in list(permutations(range(1, len(given))))[1:]:
            yield View(given, (0, *axes), due)
