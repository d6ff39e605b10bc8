"""Why one step of two optimizers differs though the gradients agree."""

__all__ = ["causes_of_step"]

import numpy as np

from gradproof.arrays import HostArray, norm
from gradproof.porting.stretch import Cause

EXPLAINED = 1e-6
"""Share of the difference that may be left: of a step of 1e-3 of a parameter, float64 leaves 1e-12."""

ANOTHER_STEP = "GP252"


def causes_of_step(before: HostArray, expected: HostArray, found: HostArray) -> tuple[Cause, ...]:
    """From a parameter and what the reference's and the port's step make of it: weight decay, or another learning rate."""
    ours, theirs = expected - before, found - before
    difference = theirs - ours
    if not (np.isfinite(difference).all() and np.any(difference)):
        return ()
    causes = []
    decay = _multiple(before, difference)
    if decay is not None:
        says = f"the step of {{port}} moves each parameter by {decay:+.3g} × itself more than that of {{reference}}: another weight decay"
        causes.append(Cause(ANOTHER_STEP, says, "give both optimizers the same weight decay", decay))
    factor = _multiple(ours, theirs)
    if factor is not None:
        says = f"the step of {{port}} is {factor:.6g} × that of {{reference}}: another learning rate"
        causes.append(Cause(ANOTHER_STEP, says, "give both optimizers the same learning rate", factor))
    return tuple(causes)


def _multiple(of: HostArray, given: HostArray) -> float | None:
    """The factor that makes `given` of another array; None if none does."""
    if of.size < 2 or not np.any(of):
        return None
    factor = float(np.vdot(of, given) / np.vdot(of, of))
    left = norm(np.asarray(given - factor * of))
    return factor if left <= EXPLAINED * norm(given) else None
