"""Whole numeric gradients, entry by entry, of one step: the course's loop against those that share work."""

import statistics
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch

from gradproof import numeric
from gradproof.network import Layer
from speed_ground import Budget, Ground, layers_of, leaves_of
from speed_measure import PART, WHOLE, Row, seconds, seconds_of
from speed_names import BY_HAND, LOOP, STRUCTURED
from speed_peers import PEERS

BATCHED_UP_TO = 3_000
"""Parameters up to which batches are timed: beyond, they gain little, and take minutes."""

COMPARED = 300
"""Entries compared with the loop's where the whole loop would take minutes."""

STEP = 1e-4
ROWS = 32
"""Entries in a batch of the one by hand."""


def stacked_loss(params: Any, x: np.ndarray, y: np.ndarray, lam: float) -> np.ndarray:
    """The loss of many networks at once: every leaf has a leading axis, which the result keeps."""
    a = x
    for depth, (weight, bias) in enumerate(params):
        z = a @ np.swapaxes(weight, -1, -2) + bias[:, None, :]
        a = 1 / (1 + np.exp(-z)) if depth < len(params) - 1 else z
    cost = np.sum(np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a))) - y * a, axis=(1, 2))
    decay = sum(np.sum(weight * weight, axis=(1, 2)) for weight, _ in params)
    return (cost + lam / 2 * decay) / len(x)


def by_hand(ground: Ground) -> tuple[Layer, ...]:
    """The same differences written out for this network: what batching can gain at most."""
    leaves = leaves_of(ground.params)
    slopes = []
    for at, leaf in enumerate(leaves):
        for start in range(0, leaf.size, ROWS):
            moved = np.arange(start, min(start + ROWS, leaf.size))
            rows = [np.repeat(other[None], 2 * len(moved), axis=0) for other in leaves]
            flat = rows[at].reshape(2 * len(moved), -1)
            flat[np.arange(len(moved)), moved] += STEP
            flat[len(moved) + np.arange(len(moved)), moved] -= STEP
            above, below = stacked_loss(layers_of(rows), *ground.args).reshape(2, -1)
            slopes.append((above - below) / (2 * STEP))
    parts = np.split(np.concatenate(slopes), np.cumsum([leaf.size for leaf in leaves])[:-1])
    return layers_of([part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)])


def ways(ground: Ground) -> dict[str, Callable[[], Any]]:
    """Those that can be run: each returns a tree like params."""
    network, args = ground.network, ground.args
    found: dict[str, Callable[[], Any]] = {
        STRUCTURED: lambda: numeric.gradient(
            network.loss, ground.params, args=args, method="structured", step=STEP
        )
    }
    if ground.size > BATCHED_UP_TO:
        return found
    found[BY_HAND] = lambda: by_hand(ground)
    options: dict[str, Any] = {"method": "central", "step": STEP}
    found["NumPy, batched"] = lambda: numeric.gradient(
        stacked_loss, ground.params, args=args, vectorized=True, **options
    )
    for name, asarray in (("JAX", jax.numpy.asarray), ("PyTorch", torch.asarray)):
        params = tuple(Layer(*map(asarray, layer)) for layer in ground.params)
        moved = (*map(asarray, args[:2]), args[2])
        found[f"{name}, batched"] = lambda params=params, moved=moved: numeric.gradient(
            network.loss, params, args=moved, **options
        )
    return found


def whole(ground: Ground, rounds: int) -> Row:
    """Seconds of each way, the loop's time over it, and the largest difference from the loop's gradient."""
    total = 2 * ground.size
    loop, entries = _loop(ground)
    runs = ways(ground)
    differences = {name: _difference(run(), loop, entries) for name, run in runs.items()}
    loops: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        loops.append(seconds_of(PEERS[LOOP], ground, evaluations=total))
        for name, run in runs.items():
            times[name].append(seconds(run))
    ratios = {name: statistics.median(np.divide(loops, own).tolist()) for name, own in times.items()}
    return {
        "parameters": ground.size,
        "rounds": rounds,
        "loop": statistics.median(loops),
        "part": PART if total > WHOLE else total,
        "compared": len(entries),
        "seconds": {name: statistics.median(own) for name, own in times.items()},
        "ratio": ratios,
        "difference": differences,
    }


def _loop(ground: Ground) -> tuple[np.ndarray, np.ndarray]:
    """The loop's gradient in the order of the leaves, whole or of some entries, and which ones these are."""
    start = np.concatenate([leaf.ravel() for leaf in leaves_of(ground.params)])
    rng = np.random.default_rng(0)
    whole = 2 * ground.size <= WHOLE
    entries = np.arange(ground.size) if whole else np.sort(rng.choice(ground.size, COMPARED, replace=False))
    value = ground.leafwise_value(Budget(np.inf))

    def fun(chosen: np.ndarray) -> float:
        moved = start.copy()
        moved[entries] = chosen
        return value(moved)

    return numeric.central_difference(fun, start[entries], STEP), entries


def _difference(tree: Any, loop: np.ndarray, entries: np.ndarray) -> float:
    """Largest, in parts of the largest entry."""
    leaves = [np.asarray(getattr(leaf, "value", leaf)).ravel() for leaf in leaves_of(tree)]
    return float(np.abs(np.concatenate(leaves)[entries] - loop).max() / np.abs(loop).max())
