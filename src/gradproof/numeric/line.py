"""The function along a probe: φ(t) = f(x + t·v), every output kept, float64 on the host."""

__all__ = ["Ahead", "Line", "ahead"]

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gradproof.arrays import HostArray
from gradproof.numeric.probe import Probe

Ahead = Callable[[Sequence[tuple["Line", Sequence[float]]]], None]
"""Samples lines at steps that are sure to be wanted, all of them at once, and teaches the lines what it found."""


@dataclass
class Line:
    """φ(t) = evaluate(x + t·v). A point where `evaluate` fails or is not finite is outside the domain: NaN."""

    evaluate: Callable[[Iterable[HostArray]], HostArray]
    """From leaves on the host, made one by one, to the outputs, a flat float64 array of shape (m,)."""
    leaves: Sequence[HostArray]
    probe: Probe
    centre: HostArray
    """φ(0), shape (m,)."""
    unit_roundoff: float = 2.0**-53
    """Of the arithmetic in which `evaluate` works."""
    spread: HostArray | float = 0.0
    """Difference between values seen at one and the same point, shape (m,)."""
    evaluations: int = 0
    failures: list[str] = field(default_factory=list)
    """What `evaluate` raised away from the point."""
    keep: Callable[[HostArray], HostArray] = np.ravel
    """From the function's output to what `evaluate` gives."""
    counted: Callable[[int], None] | None = None
    """Told of every evaluation."""
    at_once: Ahead | None = None
    """None where steps are evaluated one by one."""
    _known: dict[float, HostArray] = field(default_factory=dict)

    def __call__(self, t: float) -> HostArray:
        """φ(t), shape (m,), NaN where the function is not defined. A step is evaluated once."""
        if t not in self._known:
            self._known[t] = self._sample(t)
        return self._known[t]

    def ahead(self, steps: Sequence[float]) -> None:
        """Sample at these `steps` at once, if that can be done here; they are sure to be wanted."""
        ahead([(self, steps)])

    def unknown(self, steps: Sequence[float]) -> list[float]:
        """Those of `steps` that were not sampled yet."""
        return [t for t in dict.fromkeys(steps) if t not in self._known]

    def learn(self, t: float, value: HostArray | str) -> None:
        """φ(t) was sampled elsewhere: the outputs, or what was raised."""
        self._count()
        self._known[t] = self._failed(value) if isinstance(value, str) else self._admitted(value)

    def _sample(self, t: float) -> HostArray:
        self._count()
        try:
            with np.errstate(all="ignore"):
                value = self.evaluate(self.probe.moved(self.leaves, t))
        except Exception as error:
            return self._failed(f"{type(error).__name__}: {error}")
        return self._admitted(value)

    def _count(self) -> None:
        self.evaluations += 1
        if self.counted is not None:
            self.counted(1)

    def _failed(self, why: str) -> HostArray:
        self.failures.append(why)
        return np.full(self.centre.shape, np.nan)

    def _admitted(self, value: HostArray) -> HostArray:
        return (
            np.where(np.isfinite(value), value, np.nan)
            if value.shape == self.centre.shape
            else self._changed()
        )

    def weighted(self, weights: HostArray) -> "Line":
        """The sum of the outputs with these weights (m,), from the same samples; 0 leaves an output out."""
        return _Weighted(
            self.evaluate, self.leaves, self.probe, _sum(self.centre, weights), self.unit_roundoff,
            np.atleast_1d(np.abs(weights) @ np.broadcast_to(self.spread, weights.shape)),
            failures=self.failures, whole=self, weights=weights,
        )  # fmt: skip

    def _changed(self) -> HostArray:
        return self._failed("the output's shape depends on the parameters")


@dataclass
class _Weighted(Line):
    """A weighted sum of the outputs of another line; a step that was sampled for either is evaluated once."""

    whole: Line = field(kw_only=True)
    weights: HostArray = field(kw_only=True)

    def _sample(self, t: float) -> HostArray:
        value = _sum(self.whole(t), self.weights)
        self.evaluations = self.whole.evaluations
        return value


def ahead(wanted: Sequence[tuple[Line, Sequence[float]]]) -> None:
    """Sample several lines at once, where they can be; nothing is evaluated here that would not be anyway."""
    lines = [(line.whole if isinstance(line, _Weighted) else line, steps) for line, steps in wanted]
    at_once = lines[0][0].at_once
    if at_once is not None and (
        unknown := [(line, t) for line, steps in lines if (t := line.unknown(steps))]
    ):
        at_once(unknown)


def _sum(outputs: HostArray, weights: HostArray) -> HostArray:
    return np.atleast_1d(weights[weights != 0] @ outputs[weights != 0])
