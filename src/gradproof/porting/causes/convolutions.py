"""Convolutions: stride, dilation, padding, and which way round the kernel lies."""

__all__ = ["convolution_causes"]

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import floating, named_parameter
from gradproof.porting.causes.evidence import Evidence, float64, residual
from gradproof.porting.causes.geometry import geometries, padding_words
from gradproof.porting.causes.windows import MOST, Windows, channels_last, positions, read
from gradproof.porting.stretch import Cause, Stretch


@dataclass(frozen=True, slots=True)
class _Form:
    windows: Windows
    flipped: bool
    """A true convolution: the kernel reversed along its axes in space."""
    swapped: bool
    """The kernel's axes in space exchanged."""
    with_bias: bool


@dataclass(frozen=True, slots=True)
class _Layer:
    """Input, kernel (…, in, out) and bias, everything with its channels last."""

    x: HostArray
    kernel: HostArray
    bias: HostArray | None

    def at(self, where: HostArray, form: _Form) -> HostArray:
        """Output at some positions: (positions, channels)."""
        kernel = self.oriented(form)
        taken, _ = read(self.x, where, form.windows)
        inner, outer = kernel.shape[-2:]
        groups = self.x.shape[-1] // inner
        parts = taken.reshape(*taken.shape[:2], groups, inner)
        weights = kernel.reshape(-1, inner, groups, outer // groups)
        y = np.einsum("ptgi,tigo->pgo", parts, weights, optimize=True).reshape(len(where), outer)
        return y + self.bias if self.bias is not None and form.with_bias else y

    def oriented(self, form: _Form) -> HostArray:
        """The kernel as a form takes it."""
        rank = self.kernel.ndim - 2
        kernel = self.kernel
        if form.flipped:
            kernel = np.flip(kernel, tuple(range(rank)))
        return np.swapaxes(kernel, 0, 1) if form.swapped else kernel


def convolution_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """The fewest respects in which two convolutions of one input with one kernel differ, if each side is one."""
    for layer, expected, found in _layers(stretch, evidence):
        reference = _form(layer, expected, evidence.allowance, stretch.settings, None)
        if reference is None:
            continue
        port = _form(layer, found, evidence.allowance, stretch.other_settings, reference)
        if port is not None:
            cause = _named(reference, port, partial(_padding, stretch, layer.x, expected))
            if cause is not None:
                yield cause
            return


def _layers(stretch: Stretch, evidence: Evidence) -> Iterator[tuple[_Layer, HostArray, HostArray]]:
    bias = named_parameter(stretch.parameters, ("bias", "b"))
    for weight in (float64(w) for w in stretch.parameters.values() if np.ndim(w) >= 3):
        rank = weight.ndim - 2
        for x in floating(stretch).values():
            views = zip(
                channels_last(x, evidence.expected, rank), channels_last(x, evidence.found, rank), strict=True
            )
            for (image, expected, _), (_, found, _) in views:
                for kernel in _kernels(weight, image.shape[-1], expected.shape[-1]):
                    plus = None if bias is None or bias.size != kernel.shape[-1] else bias.reshape(-1)
                    yield _Layer(image, kernel, plus), expected, found


def _kernels(weight: HostArray, inner: int, outer: int) -> Iterator[HostArray]:
    """The weight as (…, in / groups, out): from (out, in, …), (…, in, out), (in, out, …)."""
    for kernel in (np.moveaxis(weight, (0, 1), (-1, -2)), weight, np.moveaxis(weight, (0, 1), (-2, -1))):
        given, made = kernel.shape[-2:]
        if made == outer and given and inner % given == 0 and outer % (inner // given) == 0:
            yield kernel


def _form(layer: _Layer, y: HostArray, allowance: float, settings: Any, like: _Form | None) -> _Form | None:
    """How y comes of the layer; first as in `like`, but for one thing."""
    size = layer.kernel.shape[:-2]
    where = positions(y.shape[:-1])
    due = y[tuple(where.T)]
    kinds = [(False, False, True), (True, False, True), (False, False, False)]
    if len(size) == 2:
        kinds.append((False, True, True))
    shapes = {False: size, True: (*size[1::-1], *size[2:])}
    for flipped, swapped, with_bias in kinds:
        if not with_bias and layer.bias is None:
            continue
        for windows in _ordered(settings, shapes[swapped], layer, y, like):
            form = _Form(windows, flipped, swapped, with_bias)
            if residual(layer.at(where, form), due) <= allowance and _everywhere(layer, y, form, allowance):
                return form
    return None


def _ordered(
    settings: Any, size: tuple[int, ...], layer: _Layer, y: HostArray, like: _Form | None
) -> Iterator[Windows]:
    if like is not None:
        yield replace(like.windows, size=size)
    yield from geometries(settings, size, layer.x.shape[1:-1], y.shape[1:-1])


def _everywhere(layer: _Layer, y: HostArray, form: _Form, allowance: float) -> bool:
    where = np.indices(y.shape[:-1]).reshape(y.ndim - 1, -1).T
    step = max(MOST // (int(np.prod(form.windows.size)) * layer.x.shape[-1]), 1)
    parts = (where[start : start + step] for start in range(0, len(where), step))
    return all(residual(layer.at(part, form), y[tuple(part.T)]) <= allowance for part in parts)


def _padding(stretch: Stretch, x: HostArray, y: HostArray, form: _Form, is_port: bool) -> str:
    settings = stretch.other_settings if is_port else stretch.settings
    return padding_words(form.windows, x.shape[1:-1], y.shape[1:-1], settings)


def _named(reference: _Form, port: _Form, padding: Callable[[_Form, bool], str]) -> Cause | None:
    one, other = reference.windows, port.windows
    if reference.flipped != port.flipped:
        flipping, other_side = ("{port}", "{reference}") if port.flipped else ("{reference}", "{port}")
        says = f"the kernel is flipped in {flipping} (a true convolution) and not in {other_side} (a cross-correlation)"
        return Cause("GP219", says, "flip the kernel along its axes in space")
    if reference.swapped != port.swapped:
        return Cause(
            "GP227",
            "the kernel's two axes in space are exchanged in {port}",
            "exchange them: HWIO against WHIO",
        )
    if one.stride != other.stride or one.dilation != other.dilation:
        name = "stride" if one.stride != other.stride else "dilation"
        says = f"the {name} is {getattr(one, name)} in {{reference}} and {getattr(other, name)} in {{port}}"
        return Cause("GP218", says, f"{name}={getattr(one, name)}", float(getattr(other, name)[0]))
    if one.low != other.low:
        due, came = padding(reference, False), padding(port, True)
        says = f"the padding (before, after) is {due} in {{reference}} and {came} in {{port}}"
        return Cause("GP217", says, f"padding {due}", float(other.low[0]))
    if reference.with_bias != port.with_bias:
        lacking = "{port}" if reference.with_bias else "{reference}"
        return Cause("GP221", f"{lacking} does not add the bias of the convolution", "add the bias")
    return None
