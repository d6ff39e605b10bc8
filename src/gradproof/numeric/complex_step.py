"""The complex step: f′(x)·v = Im f(x + i·h·v)/h for code that is analytic, without subtraction and so without its noise.

W. Squire and G. Trapp, SIAM Review 40 (1998) 110. Code that is not analytic (|x|, comparisons, conjugates, casts to
real numbers) gives nonsense, silently; so nothing is believed that the values on the real line do not confirm.
"""

__all__ = ["complex_step"]

import warnings
from collections.abc import Iterator

import numpy as np

from gradproof.arrays import HostArray, is_array
from gradproof.backend import backend_for
from gradproof.numeric.bundles import Bundles
from gradproof.numeric.ladder import Slope
from gradproof.numeric.probe import Probe
from gradproof.numeric.sampling import Sampler
from gradproof.verdict import Estimate

STEPS = (2.0**-80, 0.6180339887498949 * 2.0**-70, 0.7861513777574233 * 2.0**-90)
"""h², the error of truncation, is far below rounding on every scale that a ladder reaches. Of three mantissas, so that
each is rounded in its own way."""

ULPS = 8.0
"""Floor of the bar in unit roundoffs of the slope, and factor on what the three steps differ by."""

LARGEST = 2**18
"""Parameters: complex copies of more take more memory than all else. With 10⁶ a check peaked at 8.8 copies of the parameters,
with 3·10⁶, then without, at 5.6."""

SAME_VALUE = 64.0
"""Roundoffs by which Re f(x + i·h·v) may differ from f(x): complex functions are rounded elsewhere."""


def complex_step(sampler: Sampler, probe: Probe, bundles: Bundles, slope: Slope) -> Estimate | None:
    """Slope (1,) along `probe`, or None where the code is not analytic, or a `slope` from real values contradicts it.

    Costs three evaluations, or one where the function does not take complex numbers.
    """
    usable = sampler.placement.double and not (slope.kink | slope.broken | slope.stairs | slope.outside).any()
    if not usable or slope.constant.any() or slope.one_sided.any() or sampler.point.size > LARGEST:
        return None
    derivatives = []
    for h in STEPS:
        value = _value(sampler, probe, h)
        if value is None or not _same(sampler.value, value.real, sampler.spread):
            return None
        derivatives.append(bundles.of(value.imag) / h)
    return _confirmed(np.array(derivatives), slope)


def _confirmed(derivatives: HostArray, slope: Slope) -> Estimate | None:
    """From the steps' slopes (steps, 1) to an Estimate, if they lie where real values say."""
    value = np.median(derivatives, axis=0)
    bar = ULPS * (np.ptp(derivatives, axis=0) + 2.0**-53 * np.abs(value))
    near = np.abs(value - slope.value) <= slope.bar + bar
    return Estimate(value, bar) if bool(np.all(near & (bar < slope.bar))) else None


def _same(value: HostArray, again: HostArray, spread: HostArray) -> bool:
    finite = np.isfinite(value)
    value, again, spread = value[finite], again[finite], spread[finite]
    return bool(np.all(np.abs(again - value) <= SAME_VALUE * 2.0**-53 * np.abs(value) + spread))


def _value(sampler: Sampler, probe: Probe, h: float) -> HostArray | None:
    """f(x + i·h·v), complex, shape of the output; None if the function refuses complex numbers or drops a part."""
    sampler.complex_calls += 1
    placement, home = sampler.placement, sampler.placement.backend
    try:
        with placement.context(), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")  # of parts that are dropped
            arrays = [home.from_numpy(leaf, dtype="complex128") for leaf in _moved(sampler, probe, h)]
            out = placement.bind(sampler.fun)(*arrays)
            value = np.asarray(backend_for(out).to_numpy(out) if is_array(out) else out)
    except Exception:  # real code: no complex step, and nothing lost
        return None
    return value if np.iscomplexobj(value) and value.shape == sampler.output_shape else None


def _moved(sampler: Sampler, probe: Probe, h: float) -> Iterator[HostArray]:
    return (x + 1j * h * v for x, v in zip(sampler.point.leaves, probe, strict=True))
