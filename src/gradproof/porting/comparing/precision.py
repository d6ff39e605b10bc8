"""What each port loses in its own dtype."""

__all__ = ["precision"]

from collections.abc import Iterator

import numpy as np

from gradproof.arrays import HostArray, in_double
from gradproof.porting.comparing.against import Against
from gradproof.porting.comparing.bars import DOUBLE, Rounded
from gradproof.porting.comparing.findings import names_of
from gradproof.porting.port import Run
from gradproof.verdict import Finding, Reason, Verdict

WORSE = 64.0
"""How many times the reference's own rounding a port's may be. Of a sum of 10⁴ terms the sequential order loses 6 to 32 times what
the pairwise one does (50 draws)."""


def precision(against: Against) -> Iterator[Finding]:
    """The own runs, both against the reference's run in float64: which of them lost how much.

    The three-tensor rule of compilers' accuracy gates, for every node: a port that lost far more than the reference
    computes in a lower precision there, or before. What the reference lost is the most that it lost on the way so far: a
    value may be exact by luck. (One that is in float64 by itself loses what parameters moved by float32's last digit make of it.)
    Values that are zero but for rounding tell nothing.
    """
    ours, theirs = against.reference.own, against.port.in_own_dtype
    if ours is None or theirs is None:
        return
    least = 0.0
    for leaf, ideal, runs in _both(against, ours, theirs):
        size = _rms(ideal.value)
        if size == 0 or np.all(np.abs(ideal.value) <= ideal.all_bars):
            continue
        mine, other = (_rms(in_double(run) - ideal.value) / size for run in runs)
        least = max(least, mine * against.port.roundoff / against.reference.error_roundoff)
        noise = _rms(ideal.all_bars) * against.port.roundoff / DOUBLE / size
        yield _lost(against, leaf, size, (least + against.port.roundoff + noise / WORSE, other))


def _both(
    against: Against, ours: Run, theirs: Run
) -> Iterator[tuple[str, Rounded, tuple[HostArray, HostArray]]]:
    """What agrees in float64: its name, the reference's float64 value, and what both made of it in their own dtypes."""
    for pair in (pair for pair, found in against.forward.items() if found.verdict is Verdict.AGREES):
        key = pair.reference
        mine, other = ours.by_key.get(key), theirs.by_key.get(pair.port)
        if mine is not None and other is not None:
            yield key, against.reference.values[key], (mine.value, pair.view.back(other.value))
    pulled = against.pull(theirs)
    for path, gradient in against.gradients.items():
        given = (ours.gradients or {}).get(path)
        if given is not None and path in pulled and against.gradient_gaps[path].verdict is Verdict.AGREES:
            yield path, gradient, (given, pulled[path])


def _lost(against: Against, leaf: str, size: float, lost: tuple[float, float]) -> Finding:
    """Shares of the root mean square that both runs lost."""
    mine, other = lost
    worse = other > WORSE * mine
    return Finding(
        what="precision",
        sources=names_of(against),
        leaf=leaf,
        verdict=Verdict.DISAGREES if worse else Verdict.AGREES,
        reason=Reason.DIFFERS if worse else None,
        detail=f"it loses {other / mine:.0f} times as much to rounding" if worse else "",
        gap=other * size,
        bar=WORSE * mine * size,
        scale=size,
    )


def _rms(x: HostArray) -> float:
    sound = x[np.isfinite(x)]
    return float(np.sqrt(np.mean(np.square(sound)))) if sound.size else 0.0
