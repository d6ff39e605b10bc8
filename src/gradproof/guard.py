"""A gradient that is checked at chosen calls of a training loop, and left alone at all others."""

__all__ = ["GradientWarning", "Guarded", "guard"]

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import update_wrapper
from heapq import merge
from itertools import groupby
from math import inf
from typing import Any, Literal, NamedTuple

import numpy as np

from gradproof.check import GradientMismatch, check
from gradproof.report import Report
from gradproof.sources import Function
from gradproof.verdict import Verdict

Answer = Literal["raise", "warn"] | Callable[[Report, int], Any]

FORMS = ("value_and_grad", "grad")


class GradientWarning(UserWarning):
    """A guarded gradient was found to disagree."""


def guard(
    claim: Function,
    fun: Function,
    *,
    at: Collection[int] = (0, 100),
    probability: float = 0.0,
    returns: str = "value_and_grad",
    on_disagreement: Answer = "raise",
    seed: int = 0,
    **options: Any,
) -> "Guarded":
    """`claim`, to be called in its place: checked against `fun` at the calls numbered `at`, from 0, and then left alone.

    `claim(params, *args)` `returns` "value_and_grad", a pair (what `scipy.optimize.minimize(jac=True)` takes), or
    "grad". `fun(params, *args)` is the function that it is the derivative of. With a `probability`, every other call is checked
    with that chance as well, drawn from `seed`. `options` are those of `check`; by default the sources are numeric
    and hand.

    `on_disagreement` is "raise" (GradientMismatch), "warn" (GradientWarning), or a function of the Report and the
    call's number. A check that cannot decide says nothing; it stands in `reports`.

    A call that is not checked costs less than a microsecond more. Guard what is outside of `jax.jit`, not inside.
    Raises ValueError or TypeError for choices that would check nothing or cannot be met.
    """
    _admit(at, probability, returns, on_disagreement)
    watch = _Watch(fun, returns, on_disagreement, {"sources": ("numeric", "hand")} | options)
    return Guarded(claim, _schedule(at, probability, seed), watch)


class _Watch(NamedTuple):
    """What is checked against, and what is done about it."""

    fun: Function
    returns: str
    on_disagreement: Answer
    options: Mapping[str, Any]


class Guarded:
    """A gradient under guard. Call it like the claim; `reports` holds `(call, Report)` of every check."""

    def __init__(self, claim: Function, schedule: Iterator[int], watch: _Watch) -> None:
        update_wrapper(self, claim, updated=())
        self.calls = 0
        self.reports: list[tuple[int, Report]] = []
        self._claim = claim
        self._schedule = schedule
        self._watch = watch
        self._next = next(schedule, inf)

    def __call__(self, params: Any, *args: Any) -> Any:
        """What the claim returns. Raises GradientMismatch where it was checked, disagreed, and should raise."""
        call = self.calls
        self.calls = call + 1
        if call == self._next:
            self._check(call, params, args)
        return self._claim(params, *args)

    def _check(self, call: int, params: Any, args: tuple[Any, ...]) -> None:
        self._next = next(self._schedule, inf)
        claim: dict[str, Any] = {self._watch.returns: self._claim}
        report = check(
            self._watch.fun, params, args=args, **{"seed": call} | claim | dict(self._watch.options)
        )
        self.reports.append((call, report))
        if report.verdict is Verdict.DISAGREES:
            self._tell(report, call)

    def _tell(self, report: Report, call: int) -> None:
        answer = self._watch.on_disagreement
        if callable(answer):
            answer(report, call)
        elif answer == "warn":
            warnings.warn(f"the gradient disagrees at call {call}\n{report}", GradientWarning, stacklevel=4)
        else:
            mismatch = GradientMismatch(report)
            mismatch.add_note(f"gradproof: found by the guard at call {call}")
            raise mismatch


def _schedule(at: Collection[int], probability: float, seed: int) -> Iterator[int]:
    """Numbers of the calls that are checked, rising."""
    both = merge(sorted(at), _drawn(probability, np.random.default_rng(seed)))
    return (call for call, _ in groupby(both))


def _drawn(probability: float, rng: np.random.Generator) -> Iterator[int]:
    """Calls that are checked with this chance each: the gaps between them are geometric."""
    call = -1
    while probability:
        call += int(rng.geometric(probability))
        yield call


def _admit(at: Collection[int], probability: float, returns: str, on_disagreement: Answer) -> None:
    if returns not in FORMS:
        raise ValueError(f"returns is one of {', '.join(FORMS)}; got {returns!r}")
    if not 0 <= probability <= 1:
        raise ValueError(f"probability lies between 0 and 1; got {probability!r}")
    if not at and not probability:
        raise ValueError("at is empty and probability 0: nothing would ever be checked")
    given: Collection[Any] = at
    for call in given:
        if isinstance(call, bool) or not isinstance(call, int | np.integer) or call < 0:
            raise ValueError(f"at holds numbers of calls, from 0; got {call!r}")
    if not callable(on_disagreement) and on_disagreement not in ("raise", "warn"):
        raise ValueError(f'on_disagreement is "raise", "warn" or a function; got {on_disagreement!r}')
