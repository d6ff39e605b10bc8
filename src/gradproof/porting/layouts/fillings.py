"""What trials of layouts need: random parameters, pairs that can be trusted, and how far two values are apart."""

__all__ = ["AGREES", "NEARLY", "consistent", "filled", "nearest", "unaliased", "wide"]

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.alignment.align import Pair
from gradproof.porting.layouts.layout import Move
from gradproof.porting.layouts.names import role
from gradproof.porting.port import Run
from gradproof.porting.views import View, views

AGREES = 1e-5
"""Relative error of a module whose layout is right, at most. It is 1e-15 to 1e-12 in float64, 1e-7 where a layer casts to
float32 whatever it is given (Flax's Embed), and up to 1e-5 of another eps; a wrong order of axes makes 0.03 or more."""

NEARLY = 5e-3
"""The same of a module with a small mistake of its own, if all other layouts are much farther off: LayerNorm of random values
with eps 1e-6 for 1e-5 makes 3e-5, BatchNorm with 1e-3 for 1e-5 up to 4e-3."""


def nearest(due: HostArray, found: HostArray, first: View | None = None) -> tuple[float, View | None]:
    """Relative difference of two values, and the view under which it is least; `first` is tried first."""
    best: tuple[float, View | None] = (inf, first)
    for view in ((first,) if first else ()) + tuple(views(due.shape, found.shape)):
        error = distance(view.of(due), found)
        if error < best[0]:
            best = (error, view)
        if error <= AGREES:
            break
    return best


def consistent(reference: Run, port: Run, pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Pairs without those of a module's further outputs and something inside its counterpart: states of a cell, say."""
    ours, theirs = reference.by_key, port.by_key
    partner: dict[str, str] = {}
    for pair in pairs:
        mine, other = ours[pair.reference].name, theirs[pair.port].name
        plain = "[" not in _slot(pair.reference, mine) + _slot(pair.port, other)
        if plain and mine not in partner and other not in partner.values():
            partner[mine] = other
    return tuple(p for p in pairs if partner.get(ours[p.reference].name) == theirs[p.port].name)


def _slot(key: str, name: str) -> str:
    """What a key says beside the name: "[1]" of a module's second output."""
    return key.removeprefix(name or "(whole)")


def distance(due: HostArray, found: HostArray) -> float:
    if due.shape != found.shape:
        return inf
    due, found = np.asarray(due, np.float64), np.asarray(found, np.float64)
    scale = float(np.sqrt(np.mean(np.square(due)))) if due.size else 0.0
    gap = float(np.abs(due - found).max()) if due.size else 0.0
    if np.isnan(gap):
        return inf
    return gap / scale if scale else gap


def wide(leaf: HostArray) -> HostArray:
    """In float64; integers as they are."""
    return np.asarray(leaf, np.float64) if leaf.dtype.kind == "f" else np.asarray(leaf)


def unaliased(move: Move, aliases: Mapping[str, str]) -> Move:
    """The move with the leaves' own paths."""
    pieces = tuple(replace(piece, source=aliases.get(piece.source, piece.source)) for piece in move.pieces)
    return replace(move, pieces=pieces)


def filled(
    leaves: Mapping[str, HostArray], buffers: Mapping[str, HostArray], seed: int
) -> dict[str, HostArray]:
    """Random values, all different: scales and variances near 1 and positive, matrices that keep the size of what comes in.

    Running means are small and of both signs: with those of [0.5, 1.5] all that a later ReLU hands on may be zero.
    """
    rng = np.random.default_rng(seed)
    made: dict[str, HostArray] = {}
    for path, leaf in leaves.items():
        if leaf.dtype.kind != "f":
            made[path] = leaf
        elif path in buffers and role(path) == "mean":
            made[path] = rng.normal(size=leaf.shape) * 0.1
        elif path in buffers or (leaf.ndim < 2 and role(path) != "bias"):
            made[path] = rng.uniform(0.5, 1.5, leaf.shape)
        elif leaf.ndim < 2:
            made[path] = rng.normal(size=leaf.shape) * 0.5
        else:
            made[path] = rng.normal(size=leaf.shape) * (max(leaf.shape) / max(leaf.size, 1)) ** 0.5
    return made
