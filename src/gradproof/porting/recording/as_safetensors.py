"""Arrays by name in a `.safetensors` file. A complex array lies there as pairs of real numbers."""

__all__ = ["load", "save"]

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from gradproof.arrays import HostArray

PAIRS = "complex "
"""Before the name of an array of pairs: the format has no complex128."""


def save(path: Path, arrays: Mapping[str, HostArray]) -> None:
    """Write `arrays`; any order of their axes in memory."""
    _library().save_file(dict(_stored(name, array) for name, array in arrays.items()), path)


def load(path: Path) -> dict[str, HostArray]:
    """The arrays of such a file. Raises whatever comes."""
    return dict(_loaded(name, array) for name, array in _library().load_file(path).items())


def _library() -> ModuleType:
    try:
        import safetensors.numpy  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise ImportError(
            'a .safetensors file needs safetensors: pip install "gradproof[io]", or use .npz'
        ) from error
    return safetensors.numpy


def _stored(name: str, array: HostArray) -> tuple[str, HostArray]:
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag], axis=-1)
        name = PAIRS + name
    # safetensors 0.8 writes the memory of an array that is not contiguous, and its shape: other numbers come back.
    return name, np.asarray(array, order="C")


def _loaded(name: str, array: HostArray) -> tuple[str, HostArray]:
    if not name.startswith(PAIRS):
        return name, array
    due = {"float32": np.complex64, "float64": np.complex128}[array.dtype.name]
    if array.shape[-1:] != (2,):
        raise ValueError(f"array {name!r} in it has shape {array.shape}: due pairs")
    made: HostArray = np.asarray(array, order="C").view(due)
    return name.removeprefix(PAIRS), made[..., 0]
