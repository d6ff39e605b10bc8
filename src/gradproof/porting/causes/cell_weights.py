"""Weights of a recurrent cell, out of what a framework calls them."""

__all__ = ["cell_weights"]

import re
from collections.abc import Iterator, Mapping

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.cells import GATES, Weights
from gradproof.porting.causes.evidence import float64

_GATE = re.compile(r"(?:^|[./\[\]'])([ih])([ifgorzn])_?(?=[./\[\]'])")
"""One matrix per gate: "hf.kernel", "in.bias"."""

_HIDDEN = re.compile(r"hh|recurrent|dense_h|hidden|_h(?![a-z])|w_?h(?![a-z])|(^|[./])u(?![a-z])")


def cell_weights(parameters: Mapping[str, HostArray]) -> Iterator[Weights]:
    """Every reading: one matrix per gate, or packed ones."""
    arrays = {path: float64(value) for path, value in parameters.items()}
    single = _single(arrays)
    if single is not None:
        yield single
        return
    for gates in (4, 3):
        yield from _packed(arrays, gates)


def _single(arrays: Mapping[str, HostArray]) -> Weights | None:
    found: dict[tuple[str, str, int], HostArray] = {}
    for path, value in arrays.items():
        match = _GATE.search(path)
        if match and value.ndim in (1, 2):
            found[(match[1], match[2], value.ndim)] = value
    for order in GATES.values():
        if all((side, gate, 2) in found for side in "ih" for gate in order):
            hidden = found[("h", order[0], 2)].shape[1]
            packed = [np.concatenate([found[(side, gate, 2)] for gate in order], 1) for side in "ih"]
            plus = [
                np.concatenate([found.get((side, gate, 1), np.zeros(hidden)) for gate in order])
                for side in "ih"
            ]
            return Weights(packed[0], packed[1], plus[0], plus[1])
    return None


def _packed(arrays: Mapping[str, HostArray], gates: int) -> Iterator[Weights]:
    matrices = {path: value for path, value in arrays.items() if value.ndim == 2}
    hidden = [path for path, value in matrices.items() if max(value.shape) == gates * min(value.shape)]
    hidden.sort(key=lambda path: _HIDDEN.search(path.lower()) is None)
    for path in hidden:
        recurrent = _upright(matrices[path], gates)
        size = len(recurrent)
        for other, value in matrices.items():
            if other != path and gates * size in value.shape:
                inner = value.T if value.shape[0] == gates * size else value
                yield Weights(inner, recurrent, *_biases(arrays, gates, size))


def _upright(value: HostArray, gates: int) -> HostArray:
    return value.T if value.shape[0] == gates * value.shape[1] else value


def _biases(arrays: Mapping[str, HostArray], gates: int, size: int) -> tuple[HostArray, HostArray]:
    """Those of the input and of the hidden state: two packed ones, one, or one and that of the new gate alone."""
    flat = {path: value for path, value in arrays.items() if value.ndim == 1}
    packed = [(path, value) for path, value in flat.items() if value.size == gates * size]
    none = np.zeros(gates * size)
    if len(packed) >= 2:
        packed.sort(key=lambda item: _HIDDEN.search(item[0].lower()) is not None)
        return packed[0][1], packed[1][1]
    short = [value for value in flat.values() if value.size == size]
    second = np.concatenate([none[: (gates - 1) * size], short[0]]) if short and gates == 3 else none
    if packed and _HIDDEN.search(packed[0][0].lower()):
        return none, packed[0][1]
    return (packed[0][1] if packed else none), second
