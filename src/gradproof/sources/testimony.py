"""What an exact source says, with bars: its answer at the point, asked again, and asked one ulp away."""

__all__ = ["Testimony", "testify", "testify_tangent"]

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from gradproof.arrays import HostArray
from gradproof.numeric.probe import Probe, every_entry
from gradproof.sources.contracts import (
    ContractBroken,
    changed_args,
    not_finite,
    not_linear,
    repeated,
    stale,
    strided,
)
from gradproof.sources.exact import Answer, Hand, Source
from gradproof.sources.rounding import MOVES, Jiggled, Movement
from gradproof.verdict import Estimate

ELSEWHERE = 1 / 16
"""Share of its size by which every entry moves to see whether a claim remembers another point."""


SCALED = -2.0
"""A cotangent that is neither 1 nor positive: 1 hides a gradient that ignores it. A power of two scales every rounding
error of linear code as well, so that an answer of nothing but rounding scales too."""


class Testimony(NamedTuple):
    """A source's value and gradient."""

    value: Estimate | None
    gradient: list[Estimate]


def testify(
    source: Source, cotangent: HostArray, rng: np.random.Generator, resolution: float, *, twice: bool
) -> Testimony:
    """Answer of `source` at its point, with rounding bars; `twice` also looks for state kept between calls.

    Raises what the source raises, and ContractBroken for an answer that cannot be compared.
    """
    point = source.placement.point
    first = source.ask(point.leaves, cotangent)
    if twice and (findings := changed_args(source.name, source.placement)):
        raise ContractBroken(findings)
    if first.value is not None and first.value.shape != cotangent.shape:
        return Testimony(Estimate(first.value, np.zeros(first.value.shape)), [])
    judged = cotangent != 0
    if findings := not_finite(source.name, point, first.gradient, masked=not judged.all()):
        raise ContractBroken(findings)
    movements = [Movement(leaf) for leaf in first.gradient]
    of_value = None if first.value is None else Movement(np.where(judged, first.value, 0.0))
    if twice:
        _seen(_asked_again(source, first, cotangent, resolution), movements, of_value)
        if isinstance(source, Hand) and source.uses_forward:
            _refuse_memory(source, first, cotangent, resolution)
    others = _others(source, movements, of_value, cotangent, rng)
    while _seen(next(others, None), movements, of_value):
        pass
    longest = source.placement.point.longest_axis
    gradient = [movement.estimate(_ulp(source), longest) for movement in movements]
    if twice and source.takes_cotangent:
        _refuse_wrong_cotangents(source, gradient, cotangent)
    return Testimony(of_value.estimate(_ulp(source), longest) if of_value else None, gradient)


def _seen(other: Answer | None, movements: list[Movement], of_value: Movement | None) -> bool:
    """Whether there was one more answer. It may be large: nothing holds it when the next is asked for."""
    if other is None:
        return False
    for movement, leaf in zip(movements, other.gradient, strict=True):
        movement.see(leaf)
    if of_value and other.value is not None:
        of_value.see(other.value)
    return True


def once(source: Source, cotangent: HostArray) -> list[Estimate]:
    """Gradient of `source` for another cotangent, with bars of rounding as it has to be expected at least."""
    answer = source.ask(source.placement.point.leaves, cotangent)
    longest = source.placement.point.longest_axis
    return [Movement(leaf).estimate(_ulp(source), longest) for leaf in answer.gradient]


def testify_tangent(source: Source, tangents: Probe, rng: np.random.Generator, resolution: float) -> Estimate:
    """Derivative of the output along `tangents` as `source` computes it, with a rounding bar.

    Raises what the source raises, and ContractBroken for a derivative that is not the same twice.
    """
    point = source.placement.point
    first = source.push(point.leaves, tangents)
    movement = Movement(first)
    again = source.push(point.leaves, tangents)
    comparable = first.shape == again.shape and np.isfinite(first).all()
    if comparable and (finding := repeated(source.name, [first], [again], resolution)):
        raise ContractBroken([finding])
    for _ in range(MOVES):
        with suppress(Exception):  # one ulp away may lie outside the domain
            movement.see(source.push(_one_ulp_away(source, rng), tangents))
    return movement.estimate(_ulp(source), point.longest_axis)


def _others(
    source: Source,
    movements: list[Movement],
    of_value: Movement | None,
    cotangent: HostArray,
    rng: np.random.Generator,
) -> Iterator[Answer]:
    """Answers that show rounding, one at a time: the same code's in float64, or else those one ulp away."""
    if source.placement.dtypes != ("float64",) * len(movements):
        with suppress(Exception):  # code that runs in its own precision only
            yield source.ask_in_double(cotangent)
            if any(movement.largest.any() for movement in movements):
                for movement in filter(None, [*movements, of_value]):
                    movement.error_known = True
                return
    for _ in range(MOVES):
        try:
            yield source.ask(_one_ulp_away(source, rng), _jiggled_cotangent(source, cotangent, rng))
        except ContractBroken:
            raise
        except Exception:  # one ulp away lies outside the domain: nothing is learned of rounding there
            continue


def _one_ulp_away(source: Source, rng: np.random.Generator) -> Jiggled:
    return Jiggled(source.placement.point.leaves, _ulp(source), int(rng.integers(2**63)))


def _jiggled_cotangent(source: Source, cotangent: HostArray, rng: np.random.Generator) -> HostArray:
    """Outputs weigh differently: what rounds among the heavy ones shows only if they move as well. 1.0 stays."""
    return (
        cotangent
        if cotangent.ndim == 0
        else next(iter(Jiggled([cotangent], _ulp(source), int(rng.integers(2**63)))))
    )


def _ulp(source: Source) -> float:
    return source.unit_roundoff


def _asked_again(source: Source, first: Answer, cotangent: HostArray, resolution: float) -> Answer:
    """The same question a second time. What differs by less than the resolution widens the bars."""
    again = source.ask(source.placement.point.leaves, cotangent)
    if finding := repeated(source.name, first.gradient, again.gradient, resolution):
        raise ContractBroken([finding])
    return again


def _refuse_wrong_cotangents(source: Source, gradient: list[Estimate], cotangent: HostArray) -> None:
    """A pull-back is linear in its cotangent, and does not depend on how that lies in memory."""
    leaves = source.placement.point.leaves
    found = [
        not_linear(source.name, gradient, source.ask(leaves, factor * cotangent).gradient, factor)
        for factor in (SCALED, 0.0)
    ]
    if cotangent.ndim:
        found.append(strided(source.name, gradient, source.ask(leaves, cotangent, strided=True).gradient))
    if broken := [finding for finding in found if finding]:
        raise ContractBroken(broken)


def _refuse_memory(source: Hand, first: Answer, cotangent: HostArray, resolution: float) -> None:
    point = source.placement.point
    elsewhere = every_entry(point).moved(point.leaves, ELSEWHERE)
    try:
        late = source.ask_late(point.leaves, elsewhere, cotangent)
    except ContractBroken:
        raise
    except Exception:  # the function may not be defined elsewhere: then there is nothing to remember
        return
    if finding := stale(source.name, first.gradient, late.gradient, resolution):
        raise ContractBroken([finding])
    source.keeps_nothing = all(map(np.array_equal, first.gradient, late.gradient))
