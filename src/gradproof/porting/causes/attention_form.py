"""One way to attend, and the differences of two."""

__all__ = ["AttentionForm", "attention_cause"]

from dataclasses import dataclass

from gradproof.porting.causes.heads import Layout
from gradproof.porting.stretch import Cause


@dataclass(frozen=True, slots=True)
class AttentionForm:
    """What a side computed: softmax(scale · q kᵀ + mask) v, in one of its variants."""

    layout: Layout
    merged: Layout
    tiled: bool
    axis: int
    mask: tuple[str, str]
    scale: str
    stage: str
    """ "output", "weights" or "scores"."""


def attention_cause(reference: AttentionForm, port: AttentionForm) -> Cause:
    """What the differences are called."""
    told: list[tuple[str, str, str]] = []
    if (reference.layout, reference.merged, reference.tiled) != (port.layout, port.merged, port.tiled):
        told.append(_heads_told(reference, port))
    if reference.axis != port.axis:
        axes = {-1: "keys", -2: "queries"}
        says = f"the softmax is over the {axes[reference.axis]} in {{reference}} and over the {axes[port.axis]} in {{port}}"
        told.append(("GP212", says, f"axis={reference.axis}"))
    if reference.mask != port.mask:
        says = f"{{reference}} attends with {_masked(reference)}, {{port}} with {_masked(port)}"
        told.append(("GP215", says, reference.mask[0]))
    if reference.scale != port.scale:
        says = (
            f"the scores are multiplied by {reference.scale} in {{reference}} and by {port.scale} in {{port}}"
        )
        told.append(("GP214", says, f"scale = {reference.scale}"))
    if reference.stage != port.stage:
        told.append(("GP213", f"{{reference}} gives the {reference.stage}, {{port}} the {port.stage}", ""))
    code, _, correction = told[0]
    return Cause(code, "; ".join(says for _, says, _ in told), correction)


def _masked(form: AttentionForm) -> str:
    words, dead = form.mask
    return f"{words} (where no key is seen: {dead})" if dead else words


def _heads_told(reference: AttentionForm, port: AttentionForm) -> tuple[str, str, str]:
    if reference.layout != port.layout:
        one, other, what = reference.layout.words, port.layout.words, "are split into"
    elif reference.merged != port.merged:
        one, other, what = reference.merged.words, port.merged.words, "of the output are merged from"
    else:
        one, other = ("tiled" if form.tiled else "each repeated" for form in (reference, port))
        what = "of keys and values are"
    return "GP216", f"the heads {what} {one} in {{reference}} and {other} in {{port}}", one
