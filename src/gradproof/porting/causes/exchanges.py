"""Two layers of the port that hold each other's parameters, found by running it again with the two exchanged."""

__all__ = ["exchange_causes"]

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import leaf_name
from gradproof.porting.causes.evidence import Evidence, float64
from gradproof.porting.stretch import Cause, Stretch

MOST_LAYERS = 6
"""The nearest, of which any two in one place and of equal shapes are exchanged: 15 runs of the port at most."""


def exchange_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """The query's weights for the key's, the gate's for the other half's."""
    if stretch.again is None:
        return
    layers = _layers(stretch.other_parameters)
    for one, other in combinations(list(layers)[:MOST_LAYERS], 2):
        first, second = layers[one], layers[other]
        if _parent(one) != _parent(other) or _shapes(first) != _shapes(second):
            continue
        crossed = {path: second[word][1] for word, (path, _) in first.items()}
        crossed |= {path: first[word][1] for word, (path, _) in second.items()}
        if evidence.is_expected(float64(stretch.again(crossed))):
            says = f"{one} and {other} of {{port}} hold each other's parameters, or are used in each other's place"
            yield Cause("GP244", says, f"exchange {one} and {other}")
            return


_Layer = dict[str, tuple[str, HostArray]]
"""Path and value by the last word of the path."""


def _layers(parameters: Mapping[str, HostArray]) -> dict[str, _Layer]:
    """Parameters by what they are under; those of a layer with a matrix."""
    layers: dict[str, _Layer] = {}
    for path, value in parameters.items():
        word = leaf_name(path)
        layers.setdefault(path[: path.lower().rfind(word)].rstrip("./['"), {})[word] = (path, value)
    return {
        name: layer
        for name, layer in layers.items()
        if name and any(np.ndim(value) >= 2 for _, value in layer.values())
    }


def _shapes(layer: _Layer) -> dict[str, tuple[int, ...]]:
    return {word: np.shape(value) for word, (_, value) in layer.items()}


def _parent(name: str) -> str:
    return name[: max(name.rfind("."), name.rfind("["), name.rfind("/"), 0)]
