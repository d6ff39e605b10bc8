"""Parameter trees: leaves with names, on optree.

A tree is an array or any nesting of dicts, lists, tuples, named tuples and dataclasses of arrays. Dicts keep the
order in which they were written. `None` holds no leaf. A dataclass field with `metadata={"static": True}` (the
convention of JAX and Equinox) belongs to the structure, not to the leaves.

Leaves are paired by their path and never by their position: frameworks order dictionaries differently.
"""

__all__ = ["ROOT", "Structure", "flatten", "leaves_by_path"]

import dataclasses
from collections.abc import Iterable
from typing import Any

import optree

ROOT = "(params)"
"""Path of the only leaf of a tree that is a bare array; no leaf of a dict can have it."""

_NAMESPACE = "gradproof"


@dataclasses.dataclass(frozen=True, slots=True)
class Structure:
    """Shape of a tree without its leaves: the path of every leaf, and how to build the tree again."""

    paths: tuple[str, ...]
    spec: optree.PyTreeSpec

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """Tree of this structure that holds `leaves`, in the order of `paths`."""
        return optree.tree_unflatten(self.spec, leaves)


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """Leaves of `tree` in the order they were written, and its structure.

    Raises ValueError if two leaves have one path (keys of a dict that print alike).
    """
    accessors, leaves, spec = _flatten(tree)
    while new := {type(leaf) for leaf in leaves if _is_dataclass_instance(leaf)}:
        for cls in new:
            _register_dataclass(cls)
        accessors, leaves, spec = _flatten(tree)
    paths = tuple(_path(accessor) for accessor in accessors)
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ValueError(f"two leaves have the path {twice!r}: give the keys of a dict different names")
    return leaves, Structure(paths, spec)


def leaves_by_path(tree: Any) -> dict[str, Any]:
    """`{path: leaf}` of `tree`, in the order of `flatten`."""
    leaves, structure = flatten(tree)
    return dict(zip(structure.paths, leaves, strict=True))


def _flatten(tree: Any) -> tuple[list[optree.PyTreeAccessor], list[Any], optree.PyTreeSpec]:
    with optree.dict_insertion_ordered(True, namespace=_NAMESPACE):
        return optree.tree_flatten_with_accessor(tree, namespace=_NAMESPACE)


def _path(accessor: optree.PyTreeAccessor) -> str:
    return "".join(_step(entry) for entry in accessor).removeprefix(".") or ROOT


def _step(entry: optree.PyTreeEntry) -> str:
    if isinstance(entry, optree.NamedTupleEntry):
        return f".{entry.field}"
    if isinstance(entry, optree.GetAttrEntry) or (
        isinstance(entry.entry, str) and entry.entry.isidentifier()
    ):
        return f".{entry.entry}"
    return f"[{entry.entry!r}]"


def _is_dataclass_instance(x: object) -> bool:
    return dataclasses.is_dataclass(x) and not isinstance(x, type)


def _register_dataclass(cls: type[Any]) -> None:
    """Teach optree `cls`, in gradproof's own namespace: what other users of optree see does not change."""
    fields = dataclasses.fields(cls)
    static = tuple(f.name for f in fields if f.metadata.get("static"))
    children = tuple(f.name for f in fields if f.name not in static)

    def take_apart(x: Any) -> tuple[list[Any], tuple[Any, ...], tuple[str, ...]]:
        return [getattr(x, name) for name in children], tuple(getattr(x, name) for name in static), children

    def rebuild(statics: Any, values: Iterable[Any]) -> Any:
        # Past __init__ and __post_init__: they may validate, convert, or not take every field.
        x = object.__new__(cls)
        for name, value in zip(static + children, (*statics, *values), strict=True):
            object.__setattr__(x, name, value)
        return x

    optree.register_pytree_node(
        cls, take_apart, rebuild, path_entry_type=optree.GetAttrEntry, namespace=_NAMESPACE
    )
