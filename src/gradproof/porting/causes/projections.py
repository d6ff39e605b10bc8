"""Queries, keys and values of a stretch: handed in, seen inside the port, or projected by the layer's own weights."""

__all__ = ["Output", "Sources", "sources"]

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import floating
from gradproof.porting.causes.evidence import float64
from gradproof.porting.stretch import Stretch

_ROLES = tuple(
    re.compile(rf"(^|[^a-z])(w_?)?({name})([^a-z]|$)")
    for name in ("q|query|queries", "k|key|keys", "v|value|values")
)
_OUT = re.compile(r"(^|[^a-z])(o|wo|out|output|proj|c_proj|dense)([^a-z]|$)")


@dataclass(frozen=True, slots=True)
class Output:
    """The linear map after the heads were merged."""

    weight: HostArray | None = None
    """(features of all heads, out)."""
    bias: HostArray | None = None

    def of(self, x: HostArray) -> HostArray:
        """Of (…, features of all heads)."""
        y = x if self.weight is None else x @ self.weight
        return y if self.bias is None else y + self.bias


@dataclass(frozen=True, slots=True)
class Sources:
    """Query, key, value in one layout, and what comes after."""

    q: HostArray
    k: HostArray
    v: HostArray
    output: Output
    heads: tuple[int, ...] = ()
    """Numbers of heads that the weights tell."""


def sources(stretch: Stretch) -> Iterator[Sources]:
    """Every reading, the most explicit first."""
    yield from _projected(stretch)
    inside = {key: float64(x) for key, x in stretch.other_inputs.items() if np.asarray(x).dtype.kind == "f"}
    for arrays in (floating(stretch), inside):
        for q, k, v in _triples(arrays):
            yield Sources(q, k, v, Output())


def _triples(arrays: Mapping[str, HostArray]) -> Iterator[tuple[HostArray, HostArray, HostArray]]:
    named = [next((x for key, x in arrays.items() if role.search(key.lower())), None) for role in _ROLES]
    q, k, v = named
    if q is not None and k is not None and v is not None:
        if _fit(q, k, v):
            yield q, k, v
        return
    several = [x for x in arrays.values() if x.ndim >= 2][:3]
    if len(several) == 3:
        for one, two, three in permutations(several):
            if _fit(one, two, three):
                yield one, two, three


def _fit(q: HostArray, k: HostArray, v: HostArray) -> bool:
    return (
        q.ndim == k.ndim == v.ndim
        and q.ndim in (2, 3, 4)
        and q.shape[-1] % k.shape[-1] == 0
        and k.shape[:-1] == v.shape[:-1]
    )


def _projected(stretch: Stretch) -> Iterator[Sources]:
    inputs = [x for x in floating(stretch).values() if 2 <= x.ndim <= 3]
    if not inputs or not stretch.parameters:
        return
    three = tuple(inputs[:3]) if len(inputs) >= 3 else ()
    for weights, biases, output, heads in _weights(stretch.parameters):
        for given in dict.fromkeys(
            [(0, 0, 0), *([(0, 1, 2)] if three else []), *([(0, 1, 1)] if inputs[1:] else [])]
        ):
            arrays = [inputs[place] for place in given]
            if all(x.shape[-1] == w.shape[0] for x, w in zip(arrays, weights, strict=True)):
                made = [
                    x @ w + (0.0 if b is None else b) for x, w, b in zip(arrays, weights, biases, strict=True)
                ]
                yield Sources(made[0], made[1], made[2], output, heads)


_Weights = tuple[list[HostArray], list[HostArray | None], Output, tuple[int, ...]]


def _weights(parameters: Mapping[str, HostArray]) -> Iterator[_Weights]:
    arrays = {path.lower(): float64(value) for path, value in parameters.items()}
    packed = next((w for path, w in arrays.items() if "in_proj" in path and w.ndim == 2), None)
    if packed is not None:
        plus = next((w for path, w in arrays.items() if "in_proj" in path and w.ndim == 1), None)
        biases: list[HostArray | None] = list(np.split(plus, 3)) if plus is not None else [None] * 3
        yield [part.T for part in np.split(packed, 3)], biases, _output(arrays, turned=True), ()
        return
    pairs = [_pair(arrays, role) for role in _ROLES]
    weights = [weight for weight, _ in pairs if weight is not None]
    if len(weights) != 3:
        return
    heads = tuple({weight.shape[1] for weight in weights if weight.ndim == 3})
    flat = [bias if bias is None else bias.reshape(-1) for _, bias in pairs]
    for turned in (True, False):
        yield [_matrix(weight, turned) for weight in weights], flat, _output(arrays, turned), heads


def _matrix(weight: HostArray, turned: bool) -> HostArray:
    if weight.ndim == 3:
        return weight.reshape(weight.shape[0], -1)
    return weight.T if turned else weight


def _pair(
    arrays: Mapping[str, HostArray], role: re.Pattern[str]
) -> tuple[HostArray | None, HostArray | None]:
    mine = [(path, value) for path, value in arrays.items() if role.search(path)]
    weight = next((value for path, value in mine if value.ndim >= 2 and "bias" not in path), None)
    return weight, next((value for path, value in mine if "bias" in path), None)


def _output(arrays: Mapping[str, HostArray], turned: bool) -> Output:
    mine = {path: value for path, value in arrays.items() if _OUT.search(path) and "in_proj" not in path}
    weight = next((value for path, value in mine.items() if value.ndim >= 2), None)
    bias = next((value for path, value in mine.items() if value.ndim == 1), None)
    if weight is not None:
        weight = weight.reshape(-1, weight.shape[-1]) if weight.ndim == 3 else weight.T if turned else weight
    return Output(weight, bias)
