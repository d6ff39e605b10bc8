"""Which mistake makes the backward pass of a stretch differ though its forward pass agrees."""

__all__ = ["causes_of_backward"]

from collections.abc import Callable, Iterator

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.evidence import Evidence, float64, residual
from gradproof.porting.causes.kinks import kink_causes
from gradproof.porting.causes.numbers import name_factor, plain
from gradproof.porting.causes.orders import permutation
from gradproof.porting.causes.precision import precision_causes
from gradproof.porting.causes.scales import sizes_of
from gradproof.porting.stretch import Cause, Stretch

FEWEST = 4
"""Entries that a fitted number, or a pattern of zeros, has to explain."""


def causes_of_backward(stretch: Stretch) -> tuple[Cause, ...]:
    """Mistakes that each explain the whole difference of the two cotangents, the simplest first; empty if none is known."""
    if stretch.expected_cotangent is None or stretch.found_cotangent is None:
        return ()
    expected, found = float64(stretch.expected_cotangent), float64(stretch.found_cotangent)
    evidence = Evidence(expected, found, stretch.cotangent_bar)
    if not evidence.differs:
        return ()
    for family in _FAMILIES:
        causes = tuple(dict.fromkeys(family(stretch, evidence)))
        if causes:
            return causes
    return ()


def _stopped(_: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """Zero everywhere on one side."""
    for side, other, who in (
        (evidence.found, evidence.expected, "{port}"),
        (evidence.expected, evidence.found, "{reference}"),
    ):
        if not np.any(side) and np.any(other):
            says = f"the gradient of {who} is exactly zero here: it is stopped on the way (detach, stop_gradient, a cast to integers)"
            yield Cause("GP238", says, "let the gradient through" if who == "{port}" else "", 0.0)


def _partly_stopped(_: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """Zero in some entries of one side, and the rest agrees."""
    for side, other, who in (
        (evidence.found, evidence.expected, "{port}"),
        (evidence.expected, evidence.found, "{reference}"),
    ):
        zero = (side == 0) & (other != 0)
        if (
            np.count_nonzero(zero) >= FEWEST
            and residual(np.where(zero, 0.0, other), side) <= evidence.allowance
        ):
            share = f"{np.mean(zero):.0%}"
            says = f"the gradient of {who} is exactly zero in {share} of the entries, in which the other's is not; the rest agrees"
            other_one = "{reference}" if who == "{port}" else "{port}"
            remedy = (
                f"let it through in {who}, or mask it in {other_one}: finite differences say which is right"
            )
            yield Cause("GP238", says, remedy)
            return


def _scaled(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """A sign or a factor."""
    expected, found = evidence.sides
    if np.count_nonzero(expected) < FEWEST or not (np.isfinite(expected).all() and np.isfinite(found).all()):
        return
    if evidence.is_found(-expected):
        yield Cause("GP102", "the gradient of {port} has the opposite sign", "-g", -1.0)
        return
    factor = float(np.vdot(expected, found).real / np.vdot(expected, expected).real)
    if factor and evidence.is_found(expected * factor):
        named = name_factor(factor, sizes_of(stretch))
        inverse = name_factor(1.0 / factor, sizes_of(stretch))
        says = f"the gradient of {{port}} is {named.words} × that of {{reference}}"
        yield Cause("GP104" if named.is_size else "GP101", says, f"multiply by {inverse.words}", factor)


def _used(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """Of a parameter that is used in several places, some are missing in the sum."""
    places = ((key, laid) for key, share in stretch.uses.items() for laid in (share, share.T))
    for key, share in places:
        words = ""
        if share.shape != evidence.expected.shape:
            continue
        if evidence.is_found(evidence.expected - share):
            words = f"lacks what comes through {key}"
        elif evidence.is_found(share):
            words = f"is what comes through {key} alone"
        if words:
            says = (
                f"the gradient of {{port}} {words}, of a parameter that {{reference}} uses in several places"
            )
            yield Cause("GP238", says, "use one parameter in all of them, and let the gradient through")
            return


def _clipped(_: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """Cut to a bound."""
    bound = float(np.max(np.abs(evidence.found), initial=0.0))
    beyond = np.count_nonzero(np.abs(evidence.expected) > bound)
    cut = np.clip(evidence.expected, -bound, bound)
    if bound > 0 and beyond >= 2 and evidence.is_found(cut):
        yield Cause(
            "GP128", f"the gradient of {{port}} is cut to ±{plain(bound)}", "clip in the optimiser", bound
        )


def _moved(_: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """The right numbers in other places."""
    for axis in range(evidence.expected.ndim - 1, -1, -1):
        order = permutation(evidence.expected, evidence.found, axis, evidence.allowance)
        if order is not None:
            listed = ", ".join(str(int(i)) for i in order[:8]) + (", …" if len(order) > 8 else "")
            says = f"the gradient of {{port}} has the entries of {{reference}}'s in the order {listed} along axis {axis}"
            yield Cause("GP120", says, "index the gradient as the value is indexed")
            return


def _not_finite(_: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """NaN or infinite on one side alone."""
    for side, other, who in (
        (evidence.found, evidence.expected, "{port}"),
        (evidence.expected, evidence.found, "{reference}"),
    ):
        bad = ~np.isfinite(side)
        if bad.any() and np.isfinite(other[bad]).all() and _agree(side[~bad], other[~bad], evidence):
            says = f"the gradient of {who} is not finite in {np.count_nonzero(bad)} entries, in which the other's is; the rest agrees"
            yield Cause("GP118", says, "make the branch that is not taken safe too")
            return


def _agree(one: HostArray, other: HostArray, evidence: Evidence) -> bool:
    return residual(one, other) <= max(evidence.bar, evidence.allowance)


_FAMILIES: tuple[Callable[[Stretch, Evidence], Iterator[Cause]], ...] = (
    kink_causes,
    _stopped,
    _scaled,
    _used,
    _clipped,
    _partly_stopped,
    _moved,
    _not_finite,
    precision_causes,
)
