"""Arrays by name in a `.npz` file of numpy's, without pickle."""

__all__ = ["load", "save"]

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gradproof.arrays import HostArray


def save(path: Path, arrays: Mapping[str, HostArray]) -> None:
    """Write `arrays`, which numpy stores without pickle."""
    with path.open("wb") as file:  # by its name numpy would add a suffix
        np.savez(file, **arrays)  # type: ignore[arg-type]  # a name could be that of a keyword; ours are not


def load(path: Path) -> dict[str, HostArray]:
    """The arrays of such a file, each checked against its checksum before it is made sense of. Raises whatever comes."""
    with zipfile.ZipFile(path) as archive:
        return {info.filename.removesuffix(".npy"): _member(archive, info) for info in archive.infolist()}


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> HostArray:
    if info.compress_type != zipfile.ZIP_STORED:  # a small file could unpack to more than the memory holds
        raise ValueError(f"{info.filename} in it is compressed, which numpy.savez does not do")
    array: HostArray = np.load(io.BytesIO(archive.read(info)), allow_pickle=False)
    return array
