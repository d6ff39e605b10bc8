"""Attention: scale, mask, axis of the softmax, and how the heads are split."""

__all__ = ["attention_causes"]

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.attention_form import AttentionForm, attention_cause
from gradproof.porting.causes.evidence import SHARE, Evidence, residual
from gradproof.porting.causes.heads import Layout, layouts, shared_heads
from gradproof.porting.causes.masks import Mask, masks
from gradproof.porting.causes.numbers import plain
from gradproof.porting.causes.projections import Sources, sources
from gradproof.porting.causes.softmaxes import softmax
from gradproof.porting.stretch import Cause, Stretch

MOST_HEADS = 32

FEWEST = 64
"""Entries that a likeness of errors is read from."""

ALIKE = 0.3
"""Cosine, at least, between an error and that of scores rounded to float32; a framework whose softmax is in float32 has 0.48 to
0.86 where scores are of the size of 1 (0.09 where they are of 0.1: there the rounding of exp prevails)."""

CHANCE = 6.0
"""Standard deviations of the cosine of unrelated errors that it must exceed as well."""

SIZES = 1.5
"""Ratio of the two errors' norms, at most; measured 0.9 to 1.1."""

SINGLE = 2.0**-20
"""Relative error of an attention whose softmax is computed in float32, at most. Measured on one of a framework that does so
in a float64 run: 5e-8 to 1.6e-7 over 20 draws."""


@dataclass(frozen=True, slots=True)
class _Problem:
    """Where one side is looked for: the sources, what may vary, and the value."""

    sources: Sources
    stretch: Stretch
    y: HostArray
    allowance: float
    standard: bool
    """Whether only the usual forms are tried: no mistaken mask, axis or order of the heads."""


def attention_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """The respects in which two attentions of one query, key and value differ, if one side is a usual one."""
    if evidence.expected.ndim < 2:
        return
    single = SINGLE * evidence.scale
    allowances = [evidence.allowance] + (
        [single] if evidence.allowance < single < SHARE * evidence.gap else []
    )
    for allowance in allowances:
        for source in sources(stretch):
            cause = _compared(source, stretch, evidence, allowance)
            if cause is not None and allowance == single:
                cause = replace(
                    cause, says=f"{cause.says}; besides, one of the two computes in float32 inside"
                )
            if cause is not None:
                yield cause
                return


def _compared(source: Sources, stretch: Stretch, evidence: Evidence, allowance: float) -> Cause | None:
    """One of the sides in a usual form, the other in any."""
    expected, found = evidence.sides
    reference = _form(_Problem(source, stretch, expected, allowance, True), None)
    port = _form(_Problem(source, stretch, found, allowance, reference is None), reference)
    if reference is None and port is not None:
        reference = _form(_Problem(source, stretch, expected, allowance, False), port)
    if reference is not None and port is not None:
        return attention_cause(reference, port) if reference != port else None
    known = reference or port
    if known is None or evidence.gap > SINGLE * evidence.scale:
        return None
    exact, other = evidence.sides if reference else evidence.sides[::-1]
    single = _single(_Problem(source, stretch, exact, allowance, True), known)
    if single is None or not _alike(single - exact, other - exact):
        return None
    who = "{port}" if reference else "{reference}"
    says = f"{who} computes the softmax of its attention in float32 although it runs in float64"
    return Cause("GP237", says, "compute the scores and the softmax in the dtype of the inputs")


def _alike(emulated: HostArray, error: HostArray) -> bool:
    """Whether an error is that of rounding the scores to float32, but for the roundings that an exp and a sum add."""
    sizes = float(np.linalg.norm(emulated)), float(np.linalg.norm(error))
    if min(sizes) == 0.0 or emulated.size < FEWEST:
        return False
    if not 1.0 / SIZES <= sizes[0] / sizes[1] <= SIZES:
        return False
    return float(np.vdot(emulated, error)) / (sizes[0] * sizes[1]) >= max(ALIKE, CHANCE / sqrt(emulated.size))


def _single(problem: _Problem, form: AttentionForm) -> HostArray | None:
    """The value of a form whose softmax is computed in float32."""
    source = problem.sources
    q = form.layout.split(source.q)
    k, v = (_keys(form.layout, x, q, form.tiled) for x in (source.k, source.v))
    if k is None or v is None or form.stage != "output":
        return None
    allowed = {**problem.stretch.inputs, **problem.stretch.other_inputs}
    every = masks(allowed, (*q.shape[:3], k.shape[2]), form.axis == -1)
    mask = next((mask for mask in every if (mask.words, mask.dead) == form.mask), None)
    scale = dict(_scales(q, problem.stretch))[form.scale]
    if mask is None or mask.dead:
        return None
    scores = (q @ np.swapaxes(k, -1, -2) * scale + mask.added).astype(np.float32)
    value = softmax(scores, form.axis).astype(np.float64) @ v
    return _output(problem, form, value, problem.y)


def _form(problem: _Problem, like: AttentionForm | None) -> AttentionForm | None:
    """How y comes of the sources; of several ways that which is most like another form."""
    best: tuple[int, AttentionForm] | None = None
    for form in _forms(problem):
        if like is None:
            return form
        unlike = sum(
            getattr(form, name) != getattr(like, name) for name in AttentionForm.__dataclass_fields__
        )
        if best is None or unlike < best[0]:
            best = (unlike, form)
        if unlike <= 1:
            break
    return best[1] if best else None


def _forms(problem: _Problem) -> Iterator[AttentionForm]:
    source = problem.sources
    counts = (*source.heads, *_heads(problem.stretch, source.q.shape[-1]))
    found = list(layouts(source.q.ndim, source.q.shape[-1], counts))
    for layout in found:
        if problem.standard and layout.kind in ("dh", "raw"):
            continue
        q = layout.split(source.q)
        for tiled in (False,) if problem.standard else (False, True):
            k, v = (_keys(layout, x, q, tiled) for x in (source.k, source.v))
            if (
                k is None
                or v is None
                or q.shape[0] != k.shape[0]
                or q.shape[-1] != k.shape[-1]
                or k.shape[-2] != v.shape[-2]
                or (tiled and k.shape[1] == _heads_of(layout, source))
            ):
                continue
            yield from _in_layout(problem, layout, tiled, (q, k, v))


def _heads_of(layout: Layout, source: Sources) -> int:
    return layout.heads if layout.heads else int(layout.split(source.k).shape[1])


def _keys(layout: Layout, x: HostArray, q: HostArray, tiled: bool) -> HostArray | None:
    if layout.heads and x.shape[-1] % layout.heads:
        return None
    y = layout.split(x)
    heads = q.shape[1]
    if y.shape[1] == heads:
        return y
    return shared_heads(y, heads, tiled) if heads % y.shape[1] == 0 else None


def _heads(stretch: Stretch, features: int) -> tuple[int, ...]:
    told = [
        value
        for settings in (stretch.settings, stretch.other_settings)
        for key, value in settings.items()
        if "head" in key.lower() and isinstance(value, int) and "dim" not in key.lower() and value > 0
    ]
    return tuple(told) or tuple(n for n in range(1, min(features, MOST_HEADS) + 1) if features % n == 0)


def _in_layout(
    problem: _Problem, layout: Layout, tiled: bool, qkv: tuple[HostArray, ...]
) -> Iterator[AttentionForm]:
    q, k, v = qkv
    first = [x[:1] for x in qkv]
    logits = first[0] @ np.swapaxes(first[1], -1, -2)
    whole = (q.shape[0], q.shape[1], q.shape[2], k.shape[2])
    allowed = {**problem.stretch.inputs, **problem.stretch.other_inputs}
    ends = list(_ends(problem, layout, whole))
    for mask in masks(allowed, whole, problem.standard):
        for words, scale in _scales(q, problem.stretch):
            for axis in (-1,) if problem.standard else (-1, -2):
                some = _Computed(logits * scale, first[2], _first(mask), axis)
                for stage, merged in ends:
                    form = AttentionForm(layout, merged, tiled, axis, (mask.words, mask.dead), words, stage)
                    if _matches(problem, form, some.at(stage), 1):
                        every = _Computed(q @ np.swapaxes(k, -1, -2) * scale, v, mask, axis)
                        if _matches(problem, form, every.at(stage), q.shape[0]):
                            yield form


def _first(mask: Mask) -> Mask:
    return Mask(mask.words, mask.added[:1], mask.dead)


def _ends(problem: _Problem, layout: Layout, whole: tuple[int, ...]) -> Iterator[tuple[str, Layout]]:
    """What the value may be: the output in some layout, or the weights or scores themselves."""
    yield "output", layout
    heads = whole[1]
    if layout.kind in ("hd", "dh", "raw") or problem.y.ndim != problem.sources.q.ndim:
        for kind in ("hd",) if problem.standard else ("hd", "dh", "raw"):
            if kind != layout.kind and heads > 1:
                yield "output", Layout(_MERGED[kind].format(heads), heads, kind)
    if problem.y.shape == whole:
        yield "weights", layout
        yield "scores", layout


_MERGED = {
    "hd": "({} heads, …)",
    "dh": "(…, {} heads)",
    "raw": "({} heads, positions, …) by a reshape with no transpose",
}


class _Computed:
    """Scores, weights and output of one form."""

    def __init__(self, scores: HostArray, v: HostArray, mask: Mask, axis: int) -> None:
        weights = softmax(scores + mask.added, axis)
        if mask.dead in ("uniform", "zero") and axis == -1:
            fill = 0.0 if mask.dead == "zero" else 1.0 / weights.shape[-1]
            weights = np.where(np.isfinite(mask.added).any(axis=-1, keepdims=True), weights, fill)
        self._scores, self._weights, self._v = scores + mask.added, weights, v

    def at(self, stage: str) -> HostArray:
        """The value of a stage."""
        return {"scores": lambda: self._scores, "weights": lambda: self._weights}.get(
            stage, lambda: self._weights @ self._v
        )()


def _matches(problem: _Problem, form: AttentionForm, value: HostArray, batches: int) -> bool:
    """Whether the first batches of y are this."""
    due = problem.y
    if form.stage != "output":
        return residual(value, due[:batches]) <= problem.allowance
    batch = 1 if form.layout.kind == "thd" else 0
    part = np.take(due, range(batches), axis=batch) if due.ndim > 2 else due
    made = _output(problem, form, value, part)
    return made is not None and residual(made, part) <= problem.allowance


def _output(problem: _Problem, form: AttentionForm, value: HostArray, part: HostArray) -> HostArray | None:
    """Heads merged and projected, in the shape of `part`; None if that does not fit."""
    inner = value.shape[1] * value.shape[-1]
    output = problem.sources.output
    if output.weight is None:
        merged = form.merged.merge(value, part.shape)
    elif output.weight.shape == (inner, part.shape[-1]):
        merged = form.merged.merge(value, (*part.shape[:-1], inner))
    else:
        return None
    return None if merged is None else output.of(merged)


def _scales(q: HostArray, stretch: Stretch) -> Iterator[tuple[str, float]]:
    """Numbers that the scores may be multiplied by."""
    width, heads = q.shape[-1], q.shape[1]
    named = {f"1/√{width}": 1 / sqrt(width), "1": 1.0, f"1/{width}": 1.0 / width, f"√{width}": sqrt(width)}
    named |= {f"1/√{width * heads} (of all heads)": 1 / sqrt(width * heads), f"1/√{heads}": 1 / sqrt(heads)}
    for settings in (stretch.settings, stretch.other_settings):
        for key, value in settings.items():
            if "scale" in key.lower() and isinstance(value, float):
                named[plain(value)] = value
    seen: dict[float, str] = {}
    for words, value in named.items():
        seen.setdefault(round(value, 14), words)
        if seen[round(value, 14)] == words:
            yield words, value
