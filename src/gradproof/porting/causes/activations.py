"""Activations: which function, entry by entry, each side took of the same value."""

__all__ = ["ACTIVATIONS", "Form", "activation_causes", "form_of", "gelu", "gives"]

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import erf, sqrt

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import bases, rearranged
from gradproof.porting.causes.evidence import Evidence, residual
from gradproof.porting.causes.numbers import plain, round_number
from gradproof.porting.stretch import Cause, Stretch

SAMPLE = 512
"""Entries on which a function is tried before it is evaluated on all: no two functions of the table agree on so many."""

_erf = np.frompyfunc(erf, 1, 1)


def _sigmoid(x: HostArray) -> HostArray:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _softplus(x: HostArray) -> HostArray:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def gelu(x: HostArray) -> HostArray:
    """Exact: x·Φ(x)."""
    return 0.5 * x * (1.0 + np.asarray(_erf(x / sqrt(2.0)), dtype=np.float64))


def _gelu_tanh(x: HostArray) -> HostArray:
    return 0.5 * x * (1.0 + np.tanh(sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)))


def _elu(x: HostArray) -> HostArray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

ACTIVATIONS: Mapping[str, Callable[[HostArray], HostArray]] = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "gelu (exact)": gelu,
    "gelu (tanh)": _gelu_tanh,
    "gelu (quick, x·sigmoid(1.702 x))": lambda x: x * _sigmoid(1.702 * x),
    "silu": lambda x: x * _sigmoid(x),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "elu": _elu,
    "selu": lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0.0))),
    "relu6": lambda x: np.clip(x, 0.0, 6.0),
    "squared relu": lambda x: np.maximum(x, 0.0) ** 2,
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "hard tanh": lambda x: np.clip(x, -1.0, 1.0),
    "hard sigmoid": lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "hard sigmoid (0.2 x + 0.5)": lambda x: np.clip(0.2 * x + 0.5, 0.0, 1.0),
    "hard swish": lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "log sigmoid": lambda x: -_softplus(-x),
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "exp": np.exp,
    "square": np.square,
    "absolute value": np.abs,
    "sin": np.sin,
    "cos": np.cos,
}
"""By name. What has a slope or a scale of its own (leaky relu, elu) is fitted beside it."""


@dataclass(frozen=True, slots=True)
class Form:
    """A function of the table, or one of a family with its number."""

    name: str
    family: str
    number: float | None
    function: Callable[[HostArray], HostArray]


def activation_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """Another function on each side, or none on one of them."""
    for _, base in chain(bases(stretch), rearranged(stretch)):
        reference = form_of(base, evidence.expected, evidence.allowance)
        port = form_of(base, evidence.found, evidence.allowance) if reference else None
        if reference and port and reference.name != port.name:
            yield _named(reference, port)
            return


def form_of(x: HostArray, y: HostArray, allowance: float) -> Form | None:
    """Which function y is of x."""
    if x.size < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    near, value = _sample(x, y)
    table = (Form(name, name.split(" (", maxsplit=1)[0], None, f) for name, f in ACTIVATIONS.items())
    for form in (*table, *_fitted(near, value)):
        if gives(form.function, x, y, allowance):
            return form
    return None


def gives(function: Callable[[HostArray], HostArray], x: HostArray, y: HostArray, allowance: float) -> bool:
    """Whether y is the function of x, entry by entry."""
    near, value = _sample(x, y)
    with np.errstate(over="ignore", invalid="ignore"):
        return residual(function(near), value) <= allowance and residual(function(x), y) <= allowance


def _sample(x: HostArray, y: HostArray) -> tuple[HostArray, HostArray]:
    flat, value = x.ravel(), y.ravel()
    if flat.size <= SAMPLE:
        return flat, value
    chosen = np.linspace(0, flat.size - 1, SAMPLE).astype(np.intp)
    return flat[chosen], value[chosen]


def _leaky(slope: float, x: HostArray) -> HostArray:
    return np.where(x > 0, x, slope * x)


def _elu_of(alpha: float, x: HostArray) -> HostArray:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _celu_of(alpha: float, x: HostArray) -> HostArray:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0) / alpha))


def _swish_of(beta: float, x: HostArray) -> HostArray:
    return x * _sigmoid(beta * x)


def _softplus_of(beta: float, x: HostArray) -> HostArray:
    return _softplus(beta * x) / beta


def _fitted(x: HostArray, y: HostArray) -> Iterator[Form]:
    """Members of the families with one number that go through the entry furthest below zero."""
    low = int(np.argmin(x))
    if x[low] >= 0 or np.count_nonzero(x < 0) < 2:
        return
    for name, number, function in _numbers(float(x[low]), float(y[low])):
        short = round_number(number)
        if short is not None and short > 0:
            yield Form(f"{name} {plain(short)}", name.split(" of ")[0], short, partial(function, short))


def _numbers(x: float, y: float) -> Iterator[tuple[str, float, Callable[[float, HostArray], HostArray]]]:
    yield "leaky relu of slope", y / x, _leaky
    yield "elu of alpha", y / np.expm1(x), _elu_of
    ratio = y / x
    if 0 < ratio < 1:
        yield "swish of beta", float(np.log(ratio / (1.0 - ratio)) / x), _swish_of
    for alpha in (0.5, 2.0):
        yield "celu of alpha", alpha, _celu_of
        yield "softplus of beta", alpha, _softplus_of


def _named(reference: Form, port: Form) -> Cause:
    says = f"the activation is {reference.name} in {{reference}} and {port.name} in {{port}}"
    number = np.nan if port.number is None else port.number
    if reference.name == "identity":
        says = f"{{port}} applies an activation, {port.name}, where {{reference}} applies none"
        return Cause("GP211", says, "leave the activation out", number)
    if port.name == "identity":
        says = f"the activation of {{reference}}, {reference.name}, is missing in {{port}}"
        return Cause("GP211", says, f"apply {reference.name}")
    if reference.family == port.family == "gelu":
        approximate = {"gelu (exact)": "approximate=False", "gelu (tanh)": "approximate=True"}
        return Cause("GP209", says, approximate.get(reference.name, "x * sigmoid(1.702 * x)"))
    return Cause("GP210", says, reference.name, number)
