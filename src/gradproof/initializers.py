"""Starting values for weights, the same numbers in every framework, and the symmetry that random ones break.

Numbers are drawn on the host, in float64, by a private NumPy PCG64 generator; only then are they handed to the
namespace `xp` (NumPy if None). So one seed means one set of numbers everywhere, and float32 ones are the float64
ones rounded. No global generator is read or moved.

Common keywords: `seed` (an int, or several), `xp` (a namespace module: numpy, torch, jax.numpy, …), `dtype` (a name or
a dtype of `xp`; None: float64, or the widest that `xp` is set to hold), `device` (handed to `xp` as it is).
"""

__all__ = [
    "SymmetricUnits",
    "constant",
    "debug_sine",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "random_uniform",
    "symmetric_units",
    "zeros",
]

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gradproof.arrays import Array, HostArray, Namespace, namespace, resolve_dtype

Seed = int | Sequence[int]
Shape = Sequence[int]


@dataclass(frozen=True, slots=True)
class SymmetricUnits:
    """Hidden units that are identical and remain so: `units` are rows of the weight of layer `layer`, from 0."""

    layer: int
    units: tuple[int, ...]


# The course's: one matrix (out, in + 1) per layer, the bias in column 0


def random_uniform(
    l_in: int,
    l_out: int,
    epsilon: float = 0.12,
    *,
    seed: Seed = 0,
    xp: Namespace | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Array:
    """Matrix (l_out, l_in + 1), bias column first, uniform in [-epsilon, epsilon].

    `randInitializeWeights` of Ng, Machine Learning, exercise 4, section 2.2.
    """
    host = _generator(seed).uniform(-epsilon, epsilon, _matrix_shape(l_in, l_out))
    return _place(host, xp, dtype, device)


def debug_sine(
    fan_in: int, fan_out: int, *, xp: Namespace | None = None, dtype: Any = None, device: Any = None
) -> Array:
    """Matrix (fan_out, fan_in + 1), bias column first: sin(1), sin(2), … over 10, column after column.

    `debugInitializeWeights` of Ng, Machine Learning, exercise 4: numbers that look random and never change.
    """
    shape = _matrix_shape(fan_in, fan_out)
    host = np.sin(np.arange(1, math.prod(shape) + 1)) / 10
    return _place(host.reshape(shape, order="F"), xp, dtype, device)


# Over a weight's shape (out, in, *kernel): fan_in = in·prod(kernel), fan_out = out·prod(kernel)


def glorot_uniform(
    shape: Shape,
    *,
    gain: float = 1.0,
    seed: Seed = 0,
    xp: Namespace | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Array:
    """Weight `shape`, uniform, of variance gain²·2/(fan_in + fan_out).

    Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", equation 16.
    Raises ValueError if `shape` has fewer than two axes.
    """
    host = _uniform(shape, gain * math.sqrt(2 / sum(_fans(shape))), seed)
    return _place(host, xp, dtype, device)


def glorot_normal(
    shape: Shape,
    *,
    gain: float = 1.0,
    seed: Seed = 0,
    xp: Namespace | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Array:
    """Weight `shape`, normal, of variance gain²·2/(fan_in + fan_out).

    Glorot & Bengio 2010, equation 12. Raises ValueError if `shape` has fewer than two axes.
    """
    host = _normal(shape, gain * math.sqrt(2 / sum(_fans(shape))), seed)
    return _place(host, xp, dtype, device)


def he_uniform(
    shape: Shape,
    *,
    gain: float = math.sqrt(2),
    seed: Seed = 0,
    xp: Namespace | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Array:
    """Weight `shape`, uniform, of variance gain²/fan_in; the default gain √2 suits relu.

    He, Zhang, Ren & Sun 2015, "Delving deep into rectifiers", equation 10 (a leaky slope s: gain √(2/(1 + s²)),
    equation 15). Raises ValueError if `shape` has fewer than two axes.
    """
    host = _uniform(shape, gain / math.sqrt(_fans(shape)[0]), seed)
    return _place(host, xp, dtype, device)


def he_normal(
    shape: Shape,
    *,
    gain: float = math.sqrt(2),
    seed: Seed = 0,
    xp: Namespace | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Array:
    """Weight `shape`, normal, of variance gain²/fan_in; the default gain √2 suits relu.

    He, Zhang, Ren & Sun 2015, equation 10. Raises ValueError if `shape` has fewer than two axes.
    """
    host = _normal(shape, gain / math.sqrt(_fans(shape)[0]), seed)
    return _place(host, xp, dtype, device)


def lecun_uniform(
    shape: Shape, *, seed: Seed = 0, xp: Namespace | None = None, dtype: Any = None, device: Any = None
) -> Array:
    """Weight `shape`, uniform, of variance 1/fan_in.

    LeCun, Bottou, Orr & Müller 1998, "Efficient BackProp", equation 16.
    Raises ValueError if `shape` has fewer than two axes.
    """
    return _place(_uniform(shape, 1 / math.sqrt(_fans(shape)[0]), seed), xp, dtype, device)


def lecun_normal(
    shape: Shape, *, seed: Seed = 0, xp: Namespace | None = None, dtype: Any = None, device: Any = None
) -> Array:
    """Weight `shape`, normal, of variance 1/fan_in.

    LeCun, Bottou, Orr & Müller 1998, equation 16. Raises ValueError if `shape` has fewer than two axes.
    """
    return _place(_normal(shape, 1 / math.sqrt(_fans(shape)[0]), seed), xp, dtype, device)


def orthogonal(
    shape: Shape,
    *,
    gain: float = 1.0,
    seed: Seed = 0,
    xp: Namespace | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Array:
    """Weight `shape` whose matrix (out, fan_in) has orthogonal rows or columns, whichever are fewer, of norm `gain`.

    Saxe, McClelland & Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks"; uniform over them (Mezzadri 2007, section 5). Raises ValueError if `shape` has fewer than two axes.
    """
    fan_in, _ = _fans(shape)
    longer, shorter = max(shape[0], fan_in), min(shape[0], fan_in)
    q, r = np.linalg.qr(_generator(seed).standard_normal((longer, shorter)))
    q = q * np.copysign(gain, np.diagonal(r))
    return _place((q if shape[0] >= fan_in else q.T).reshape(shape), xp, dtype, device)


def zeros(shape: Shape, *, xp: Namespace | None = None, dtype: Any = None, device: Any = None) -> Array:
    """Zeros of `shape`: for a bias. As a weight it makes all hidden units equal; see `symmetric_units`."""
    return _place(np.zeros(shape), xp, dtype, device)


def constant(
    shape: Shape, *, value: float, xp: Namespace | None = None, dtype: Any = None, device: Any = None
) -> Array:
    """`value` everywhere in `shape`. As a weight it makes all hidden units equal; see `symmetric_units`."""
    return _place(np.full(shape, float(value)), xp, dtype, device)


def symmetric_units(params: Sequence[Any]) -> tuple[SymmetricUnits, ...]:
    """Groups of hidden units that no gradient step can ever tell apart; `()` if there are none.

    `params` holds, layer by layer, pairs (weight (out, in), bias (out,)) or course matrices (out, in + 1). Units with
    equal incoming weights, equal biases and equal outgoing weights may be swapped without changing the network; so
    their gradients are equal, and gradient descent keeps them equal (Goodfellow, Bengio & Courville 2016, "Deep
    Learning", section 8.4). Zeros and constants make such units, random numbers do not.
    """
    matrices = [_matrix(layer) for layer in params]
    profiles = [_concat_columns(here, after[:, 1:].T) for here, after in pairwise(matrices)]
    return tuple(
        SymmetricUnits(layer, units) for layer, rows in enumerate(profiles) for units in _equal_rows(rows)
    )


def _generator(seed: Seed) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _uniform(shape: Shape, std: float, seed: Seed) -> HostArray:
    limit = math.sqrt(3) * std
    return _generator(seed).uniform(-limit, limit, shape)


def _normal(shape: Shape, std: float, seed: Seed) -> HostArray:
    return std * _generator(seed).standard_normal(shape)


def _place(host: HostArray, xp: Namespace | None, dtype: Any, device: Any) -> Array:
    xp = np if xp is None else xp
    return xp.asarray(np.ascontiguousarray(host), dtype=resolve_dtype(xp, dtype), device=device)


def _matrix_shape(fan_in: int, fan_out: int) -> tuple[int, int]:
    if min(fan_in, fan_out) < 1:
        raise ValueError(
            f"a layer has at least one input and one unit; got fan_in={fan_in}, fan_out={fan_out}. "
            "Both count units without the bias: pass positive integers."
        )
    return fan_out, fan_in + 1


def _fans(shape: Shape) -> tuple[int, int]:
    if len(shape) < 2:
        raise ValueError(
            f"a weight has two axes (out, in); got shape {tuple(shape)}. For a bias use zeros({tuple(shape)})."
        )
    if min(shape) < 1:
        raise ValueError(f"a weight has no empty axis; got shape {tuple(shape)}. Pass positive integers.")
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def _matrix(layer: Any) -> Array:
    if not isinstance(layer, tuple):
        return layer
    weight, bias = layer
    return _concat_columns(bias[:, None], weight)


def _concat_columns(left: Array, right: Array) -> Array:
    return namespace(left, right).concat([left, right], axis=1)


def _equal_rows(rows: Array) -> Iterator[tuple[int, ...]]:
    """Indices of equal rows, group by group, groups of one left out."""
    xp, seen = namespace(rows), set[int]()
    for i in range(rows.shape[0]):
        if i in seen:
            continue
        (same,) = xp.nonzero(xp.all(rows == rows[i, :], axis=1))
        group = tuple(int(j) for j in same)
        seen.update(group)
        if len(group) > 1:
            yield group
