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
    spread: float = 0.0
    """Largest difference between values seen at one and the same point."""
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

    def _changed(self) -> HostArray:
        self.failures.append("the output's shape depends on the parameters")
        return np.full(self.centre.shape, np.nan)
