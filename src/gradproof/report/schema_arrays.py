"""Gradients in JSON: all entries of a small problem, of a large one those that every view shows."""

__all__ = ["MOST_NUMBERS", "as_entries", "gradients_from"]

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import optree

from gradproof.arrays import HostArray
from gradproof.report.plots_contrast import Part, suspects
from gradproof.report.record import Gradients
from gradproof.report.schema_grid import grid_of
from gradproof.report.view import Order
from gradproof.trees import ROOT, leaves_by_path

if TYPE_CHECKING:
    from gradproof.report.record import Report

MOST_NUMBERS = 100_000
"""Of all gradients together that are written in full: two megabytes of JSON."""


class Leaves(dict[str, Any]):
    """`{path: array}`: what JSON keeps of a tree. Its leaves have the paths that they had."""


def _take_apart(leaves: Any) -> tuple[list[Any], tuple[str, ...], tuple[str, ...]]:
    return list(leaves.values()), tuple(leaves), tuple(leaves)


def _rebuild(paths: Any, values: Iterable[Any]) -> Leaves:
    return Leaves(zip(paths, values, strict=True))


# In gradproof's own namespace, as for dataclasses: what other users of optree see does not change.
optree.register_pytree_node(
    Leaves,
    _take_apart,
    _rebuild,
    path_entry_type=optree.GetAttrEntry,
    namespace="gradproof",
)


def as_entries(report: "Report") -> tuple[bool, dict[str, list[dict[str, Any]]]]:
    """(whether all entries are kept, source → its leaves) for the gradients of `report`."""
    trees = {name: leaves_by_path(tree) for name, tree in report.gradients.items()}
    whole = [leaf for leaves in trees.values() for leaf in leaves.values()]
    small = sum(math.prod(_shape(leaf)) for leaf in whole) <= MOST_NUMBERS
    complete = small and not any(isinstance(leaf, Part) for leaf in whole)
    kept = {} if complete else _kept(Order(report), trees)
    return complete, {
        name: [_entry(path, leaf, kept.get(path)) for path, leaf in leaves.items()]
        for name, leaves in trees.items()
    }


def gradients_from(sources: Mapping[str, Sequence[Mapping[str, Any]]]) -> Gradients:
    """The gradients that `as_entries` wrote. Raises ValueError where shape and entries do not go together."""
    trees = {
        name: Leaves({leaf["path"]: _array(f"{name}, {leaf['path']}", leaf) for leaf in leaves})
        for name, leaves in sources.items()
    }
    return Gradients({name: tree[ROOT] if list(tree) == [ROOT] else tree for name, tree in trees.items()})


def _shape(leaf: Any) -> tuple[int, ...]:
    return leaf.shape if isinstance(leaf, Part) else tuple(np.shape(leaf))


def _entry(path: str, leaf: Any, kept: HostArray | None) -> dict[str, Any]:
    if isinstance(leaf, Part):
        indices, values = leaf.indices, leaf.values
    else:
        flat = np.asarray(leaf, dtype=np.float64).reshape(-1)
        indices = np.arange(flat.size) if kept is None else kept[kept < flat.size]
        values = flat[indices]
    known = None if len(indices) == math.prod(_shape(leaf)) else indices.tolist()
    return {"path": path, "shape": list(_shape(leaf)), "indices": known, "values": values.tolist()}


def _kept(order: Order, trees: Mapping[str, Mapping[str, Any]]) -> dict[str, HostArray]:
    """Positions of the entries that are written, by leaf; the worst leaves first have a map each, while there is room."""
    paths = dict.fromkeys(path for leaves in trees.values() for path in leaves)
    worst = [path for path in reversed(order.wrong) if path in paths]
    room, kept = MOST_NUMBERS, {}
    for path in dict.fromkeys([*worst, *paths]):
        named, drawn = _named(order, path), np.array([], dtype=np.int64)
        if path in worst and room > 0:
            drawn = _drawn(order, path)
            room -= len(drawn) * len(trees)
        kept[path] = np.union1d(named, drawn)
    return kept


def _named(order: Order, path: str) -> HostArray:
    """Entries that a view can ask for: those of findings and of locations."""
    (shape, _), report = order.report.leaves.get(path, ((), "")), order.report
    named = [f.worst for f in order.findings.get(path, []) if f.worst is not None]
    named += [entry for place in report.locations if place.leaf == path for entry in place.entries]
    flat = [int(np.ravel_multi_index(index, shape)) if shape else 0 for index in named]
    return np.unique(np.array(flat, dtype=np.int64))


def _drawn(order: Order, path: str) -> HostArray:
    """The entry with the largest difference in each cell of the leaf's map; where no other is known, the largest entry."""
    pair, leaves = suspects(order, path), order.gradients(path)
    if pair is None or isinstance(leaves[pair[0]], Part):
        return np.array([], dtype=np.int64)
    source, other = (np.asarray(leaves[name]) if name else None for name in pair)
    claimed = np.asarray(source)
    with np.errstate(invalid="ignore"):
        size = np.abs(claimed if other is None else claimed - other)
    return grid_of(claimed.shape).worst(size)


def _array(where: str, leaf: Mapping[str, Any]) -> Any:
    shape, values = tuple(leaf["shape"]), np.array([float(x) for x in leaf["values"]])
    size, indices = math.prod(shape), leaf["indices"]
    if indices is None:
        if len(values) != size:
            raise ValueError(
                f"{where}: shape {list(shape)} has {size} entries, the JSON {len(values)} of them"
            )
        return values.reshape(shape)
    rising = all(a < b for a, b in pairwise(indices))
    if len(indices) != len(values) or not rising or (indices and indices[-1] >= size):
        raise ValueError(
            f"{where}: due one value for each of rising indices below {size}; "
            f"got {len(values)} values for {len(indices)} indices"
        )
    return Part(shape, np.array(indices, dtype=np.int64), values)
