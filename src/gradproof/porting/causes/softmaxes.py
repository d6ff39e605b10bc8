"""Softmax and its logarithm: over which axis, of logits at which temperature."""

__all__ = ["softmax", "softmax_causes"]

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import bases
from gradproof.porting.causes.evidence import Evidence, residual
from gradproof.porting.causes.numbers import name_factor
from gradproof.porting.stretch import Cause, Stretch


def softmax(x: HostArray, axis: int = -1) -> HostArray:
    """Along an axis; all −inf gives NaN."""
    with np.errstate(invalid="ignore"):
        powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
        return powers / np.sum(powers, axis=axis, keepdims=True)


def log_softmax(x: HostArray, axis: int = -1) -> HostArray:
    """Its logarithm, without loss of digits."""
    with np.errstate(invalid="ignore"):
        low = x - np.max(x, axis=axis, keepdims=True)
        return low - np.log(np.sum(np.exp(low), axis=axis, keepdims=True))


@dataclass(frozen=True, slots=True)
class _Form:
    kind: str
    """ "softmax", "log-softmax" or "the logits"."""
    axis: int
    factor: float


def softmax_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """Another axis, with or without the logarithm, another temperature, or no softmax at all."""
    for _, x in bases(stretch):
        if x.ndim and x.size > 1:
            reference = _form(x, evidence.expected, evidence.allowance)
            port = _form(x, evidence.found, evidence.allowance) if reference else None
            if reference and port and reference != port:
                yield _named(reference, port, x.shape)
                return


def _form(x: HostArray, y: HostArray, allowance: float) -> _Form | None:
    if residual(x, y) <= allowance:
        return _Form("the logits", -1, 1.0)
    for axis in range(x.ndim - 1, -1, -1):
        for kind, function in (("softmax", softmax), ("log-softmax", log_softmax)):
            for factor in (1.0, _factor(x, y, axis, kind)):
                if factor is not None and residual(function(x * factor, axis), y) <= allowance:
                    return _Form(kind, axis, factor)
    return None


def _factor(x: HostArray, y: HostArray, axis: int, kind: str) -> float | None:
    """By what the logits were multiplied: from the two of one vector that are furthest apart."""
    if x.shape[axis] < 2:
        return None
    logits = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])[0]
    value = np.moveaxis(y, axis, -1).reshape(-1, x.shape[axis])[0]
    high, low = int(np.argmax(logits)), int(np.argmin(logits))
    distance = float(logits[high] - logits[low])
    if kind == "softmax":
        if not (value > 0).all():
            return None
        value = np.log(value)
    return float(value[high] - value[low]) / distance if np.isfinite(distance) and distance > 0 else None


def _named(reference: _Form, port: _Form, shape: tuple[int, ...]) -> Cause:
    if reference.kind != port.kind:
        kinds = {
            "softmax": "the softmax",
            "log-softmax": "its logarithm",
            "the logits": "the logits themselves",
        }
        says = f"{{reference}} gives {kinds[reference.kind]}, {{port}} {kinds[port.kind]}"
        if reference.kind == "log-softmax":
            says = f"{{reference}} gives the log-softmax, {{port}} {kinds[port.kind]}"
        return Cause("GP213", says, reference.kind)
    if reference.axis != port.axis:
        says = f"the {port.kind} is over axis {reference.axis} in {{reference}} and over axis {port.axis} in {{port}}"
        return Cause("GP212", says, f"axis={reference.axis - len(shape)}", float(port.axis))
    ratio = name_factor(port.factor / reference.factor, shape)
    says = f"the logits are multiplied by {ratio.words} in {{port}} before the {port.kind} (a temperature)"
    return Cause(
        "GP229", says, f"multiply the logits by {name_factor(1 / ratio.value, shape).words}", ratio.value
    )
