"""The function along a probe: φ(t) = f(x + t·v), every output kept, float64 on the host."""

__all__ = ["Line"]

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gradproof.arrays import HostArray
from gradproof.numeric.probe import Probe


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
    _known: dict[float, HostArray] = field(default_factory=dict)

    def __call__(self, t: float) -> HostArray:
        """φ(t), shape (m,), NaN where the function is not defined. A step is evaluated once."""
        if t not in self._known:
            self._known[t] = self._sample(t)
        return self._known[t]

    def _sample(self, t: float) -> HostArray:
        self.evaluations += 1
        try:
            with np.errstate(all="ignore"):
                value = self.evaluate(self.probe.moved(self.leaves, t))
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return np.full(self.centre.shape, np.nan)
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
        self.failures.append("the output's shape depends on the parameters")
        return np.full(self.centre.shape, np.nan)


@dataclass
class _Weighted(Line):
    """A weighted sum of the outputs of another line; a step that was sampled for either is evaluated once."""

    whole: Line = field(kw_only=True)
    weights: HostArray = field(kw_only=True)

    def _sample(self, t: float) -> HostArray:
        value = _sum(self.whole(t), self.weights)
        self.evaluations = self.whole.evaluations
        return value


def _sum(outputs: HostArray, weights: HostArray) -> HostArray:
    return np.atleast_1d(weights[weights != 0] @ outputs[weights != 0])
