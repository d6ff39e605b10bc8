"""The choices of one check, admitted or refused before anything is computed."""

__all__ = ["DEFAULT_RESOLUTION", "Options", "choose_sources", "default_resolution"]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from numbers import Integral, Real
from typing import Any

from gradproof.backend import installed, load, names, unknown
from gradproof.sources import Claim

DEFAULT_RESOLUTION = 1e-3
"""Smallest relative error that has to be visible for an AGREES. Mistakes in formulas are far larger, and float32
code reaches it; what was achieved, mostly 1e-10 or better, stands in every report."""


ROUNDOFFS = 128.0
"""Twice six standard deviations of a gradient whose entries are off by eight roundoffs each."""


@dataclass(frozen=True, slots=True)
class Options:
    """Who is asked, and how closely. Raises ValueError for a choice that would check nothing or cannot be met."""

    sources: tuple[str, ...]
    resolution: float | None
    """None: `default_resolution` of the parameters."""
    confidence: float
    seed: int
    diagnose: bool = True
    """Whether places and mistakes are looked for after a refutation."""

    def __post_init__(self) -> None:
        if self.resolution is not None:
            _admit_between("resolution", self.resolution, 0.0, 1.0)
        _admit_between("confidence", self.confidence, 0.0, 1.0)
        _admit_seed(self.seed)


def default_resolution(unit_roundoff: float) -> float:
    """1e-3, or what a right gradient in float16 (0.06) or bfloat16 (0.5) can be told from a wrong one by."""
    return max(DEFAULT_RESOLUTION, ROUNDOFFS * unit_roundoff)


def choose_sources(sources: str | Sequence[str] | None, claim: Claim) -> tuple[str, ...]:
    """Names of the sources to ask; by default numeric, hand if there is a claim, and every installed framework.

    Raises ValueError for an empty choice, an unknown name, and a choice of "hand" that does not fit the claim.
    """
    if sources is None:
        return ("numeric", *(["hand"] if claim else []), *filter(_worth_asking, names()))
    chosen = (sources,) if isinstance(sources, str) else _distinct(sources)
    if not chosen:
        raise ValueError("sources is empty: nothing would be checked")
    known = ["numeric", "hand", *names()]
    for name in chosen:
        if name not in known:
            raise ValueError(unknown("source", name, known))
    if claim and "hand" not in chosen:
        raise ValueError("a claim was given, but sources leaves 'hand' out: it would not be judged")
    if not claim and "hand" in chosen:
        raise ValueError(
            "sources names 'hand', but no claim was given: pass grad=, value_and_grad=, vjp= or jvp="
        )
    return chosen


def _distinct(sources: Any) -> tuple[str, ...]:
    names = tuple(sources) if isinstance(sources, Iterable) else (sources,)
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"sources holds names; got {name!r}. Pass for example ['numeric', 'hand']")
    return tuple(dict.fromkeys(names))


def _worth_asking(name: str) -> bool:
    """Whether a framework is installed and differentiates; one that cannot be loaded is asked, to say so."""
    try:
        return installed(name) and load(name).differentiates
    except Exception:
        return True


def _admit_seed(seed: Any) -> None:
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed is a whole number from 0; got {seed!r}")


def _admit_between(name: str, value: Any, low: float, high: float) -> None:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not (number and isfinite(value) and low < float(value) < high):
        raise ValueError(f"{name} lies between {low:g} and {high:g}; got {value!r}")
