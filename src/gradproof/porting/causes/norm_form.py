"""One way to normalise, and the differences of two."""

__all__ = ["Form", "norm_cause"]

from dataclasses import dataclass
from math import nan

from gradproof.porting.causes.groupings import Grouping
from gradproof.porting.causes.numbers import plain
from gradproof.porting.stretch import Cause


@dataclass(frozen=True, slots=True)
class Form:
    """What a side computed: (x − mean) · scale / √(variance + eps) + bias, in one of its variants."""

    grouping: Grouping
    running: bool
    """Running statistics instead of those of the input."""
    centered: bool
    unbiased: bool
    inside: bool
    """Whether eps is added under the root."""
    eps: float
    scale: str
    """ "scale", "1 + scale" or "no scale"."""
    bias: str
    """ "bias" or "no bias"."""


def norm_cause(reference: Form, port: Form) -> tuple[int, Cause] | None:
    """In how many respects the two differ, and what that is called; None if they are the same."""
    told = [difference for difference in _differences(reference, port) if difference]
    if not told:
        return None
    code, _, correction, value = told[0]
    says = "; ".join(words for _, words, _, _ in told)
    return len(told), Cause(code, says, correction, value)


_Told = tuple[str, str, str, float]


def _differences(reference: Form, port: Form) -> tuple[_Told | None, ...]:
    return (
        _statistics(reference, port),
        _groups(reference, port),
        _centered(reference, port),
        _unbiased(reference, port),
        _inside(reference, port),
        _eps(reference, port),
        _affine(reference, port),
    )


def _statistics(reference: Form, port: Form) -> _Told | None:
    if reference.running == port.running:
        return None
    kinds = {True: "the running statistics", False: "those of the batch"}
    says = f"{{reference}} normalises with {kinds[reference.running]}, {{port}} with {kinds[port.running]}"
    return "GP205", says, "put both into one mode", nan


def _groups(reference: Form, port: Form) -> _Told | None:
    if reference.running or port.running or reference.grouping.same(port.grouping):
        return None
    if reference.grouping.regroups(port.grouping):
        says = f"the number of groups is {reference.grouping.groups} in {{reference}} and {port.grouping.groups} in {{port}}"
        return "GP206", says, f"groups={reference.grouping.groups}", float(port.grouping.groups)
    says = f"statistics are over {reference.grouping.words} in {{reference}} and over {port.grouping.words} in {{port}}"
    return "GP207", says, f"reduce over {reference.grouping.words}", nan


def _centered(reference: Form, port: Form) -> _Told | None:
    if reference.centered == port.centered:
        return None
    lacking, other = ("{port}", "{reference}") if reference.centered else ("{reference}", "{port}")
    says = f"{lacking} does not subtract the mean (a root mean square norm), {other} does"
    return "GP204", says, "LayerNorm" if reference.centered else "RMSNorm", nan


def _unbiased(reference: Form, port: Form) -> _Told | None:
    if reference.unbiased == port.unbiased or reference.running or port.running:
        return None
    n = (port if port.unbiased else reference).grouping.length
    kinds = {True: f"unbiased (over {n - 1})", False: f"biased (over {n})"}
    says = (
        f"the variance is {kinds[reference.unbiased]} in {{reference}} and {kinds[port.unbiased]} in {{port}}"
    )
    return "GP203", says, f"ddof={int(reference.unbiased)}", nan


def _inside(reference: Form, port: Form) -> _Told | None:
    if reference.inside == port.inside or 0.0 in (reference.eps, port.eps):
        return None
    places = {True: "√(variance + eps)", False: "√variance + eps"}
    says = f"{{reference}} divides by {places[reference.inside]}, {{port}} by {places[port.inside]}"
    return "GP202", says, places[reference.inside], nan


def _eps(reference: Form, port: Form) -> _Told | None:
    if reference.eps == port.eps:
        return None
    says = f"eps is {plain(reference.eps)} in {{reference}} and {plain(port.eps)} in {{port}}"
    return "GP201", says, f"eps={plain(reference.eps)}", port.eps


def _affine(reference: Form, port: Form) -> _Told | None:
    theirs, ours = (reference.scale, reference.bias), (port.scale, port.bias)
    if theirs == ours:
        return None
    words = [(one, other) for one, other in zip(theirs, ours, strict=True) if one != other]
    says = "; ".join(f"{{reference}} applies {one}, {{port}} {other}" for one, other in words)
    return "GP208", says, f"apply {words[0][0]}", nan
