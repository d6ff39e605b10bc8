"""Operators whose PyTorch gradient is not the derivative, and how anyone can see it: plain central differences."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from operators import Case

_UNPOOLED = "PyTorch skips its own gradcheck where indices repeat"
_TRIGAMMA = "PyTorch's trigamma cuts its asymptotic series short: off by up to 5e-10 of the derivative"

KNOWN = {
    "as_strided_scatter": "PyTorch marks its own gradcheck as an expected failure where strides overlap",
    "digamma": _TRIGAMMA,
    "nn.functional.hardsigmoid": "the slope 1/6 is rounded to float32 in the float64 kernel too: off by 3e-8",
    "nn.functional.max_unpool1d": _UNPOOLED,
    "nn.functional.max_unpool2d": _UNPOOLED,
    "nn.functional.max_unpool3d": _UNPOOLED,
    "normal": "backward returns zeros by design, while a fixed seed makes the sample move with mean and deviation",
    "normal.number_mean": "backward returns zeros by design, while a fixed seed makes the sample move with mean and deviation",
    "special.polygamma.special_polygamma_n_0": _TRIGAMMA,
} | {f"polygamma.polygamma_n_{n}": _TRIGAMMA for n in range(5)}  # each variant has a sample with n = 0

STEPS = tuple(10.0**-k for k in range(2, 8))
FIRST_LOOK = (1e-3, 1e-4)
CLEAR = 10.0
"""How many times the differences' own disagreement a gap has to be."""
ROUNDING = 100.0
"""How many roundings of the claim it has to be: float32 claims are not blamed for float32."""


@dataclass(frozen=True)
class Evidence:
    """The claim and central differences at the entry where they contradict each other most."""

    entry: int
    claimed: float
    numeric: float
    uncertain: float
    """The larger change from a step to its two neighbours; the steps are those where it is the smallest."""
    rounding: float
    """Of the claim, and more."""
    quotients: tuple[float, ...]
    """By step."""

    @property
    def against(self) -> bool:
        """Whether the differences refute the claim."""
        gap = abs(self.claimed - self.numeric)
        return gap > CLEAR * self.uncertain and gap > self.rounding

    def __str__(self) -> str:
        quotients = ", ".join(f"{value:.11g}" for value in self.quotients)
        return (
            f"entry {self.entry}: claimed {self.claimed:.11g}; central differences {self.numeric:.11g} "
            f"± {self.uncertain:.1g} (steps {STEPS[0]:.0e} to {STEPS[-1]:.0e}: {quotients})"
        )


def evidence(case: Case) -> Evidence:
    """Central differences of a weighted sum of the outputs, in float64 where the operator runs in it."""
    cotangent = case.cotangent(np.random.default_rng(0))
    claimed = case.pull(case.params, cotangent)
    quotient = _quotients(case, cotangent.reshape(-1).numpy())
    worst = _most_contradicted(claimed, quotient)
    values = np.array([quotient(worst, step) for step in STEPS])
    changes = np.nan_to_num(np.abs(np.diff(values)), nan=np.inf)
    around = np.maximum(changes[:-1], changes[1:])
    best = int(np.argmin(around))
    return Evidence(
        worst,
        float(claimed[worst]),
        float(values[best + 1]),
        float(around[best]),
        ROUNDING * torch.finfo(case.params[0].dtype).eps * abs(float(claimed[worst])),
        tuple(map(float, values)),
    )


def really_wrong(case: Case) -> Evidence | None:
    """The evidence against PyTorch's gradient, if the operator is a known one and this sample shows it."""
    if case.operator not in KNOWN:
        return None
    seen = evidence(case)
    return seen if seen.against else None


def _most_contradicted(claimed: np.ndarray, quotient: Callable[[int, float], float]) -> int:
    """The entry whose gap is the largest multiple of what two steps differ by."""
    first, second = np.array([[quotient(i, step) for i in range(claimed.size)] for step in FIRST_LOOK])
    uncertain = np.abs(first - second) + 1e-12 * (np.abs(second) + np.abs(claimed)) + 1e-300
    excess = np.abs(second - claimed) / uncertain
    return int(np.argmax(np.nan_to_num(excess, nan=-1.0, posinf=-1.0)))


def _quotients(case: Case, weights: np.ndarray) -> Callable[[int, float], float]:
    """By entry and step, the central difference of fourth order: (8(f₁ − f₋₁) − (f₂ − f₋₂)) / 12h, h a power of two."""
    point = np.concatenate([leaf.reshape(-1) for leaf in case.leaves])

    def quotient(entry: int, relative: float) -> float:
        step = float(2.0 ** np.round(np.log2(relative * max(1.0, abs(point[entry])))))
        near, far = (_outputs_apart(case, point, entry, k * step) for k in (1, 2))
        return float(weights @ (8 * near - far)) / (12 * step)

    return quotient


def _outputs_apart(case: Case, point: np.ndarray, entry: int, step: float) -> np.ndarray:
    up, down = point.copy(), point.copy()
    up[entry] += step
    down[entry] -= step
    return _outputs(case, up) - _outputs(case, down)


def _outputs(case: Case, flat: np.ndarray) -> np.ndarray:
    """At parameters given as one vector; NaN where the operator raises."""
    parts = torch.as_tensor(flat).split([p.numel() for p in case.params])
    tensors = [part.reshape(p.shape) for part, p in zip(parts, case.params, strict=True)]
    own = [t.to(p.dtype) for t, p in zip(tensors, case.params, strict=True)]
    for asked in (tensors, own):  # some operators insist on the precision of their sample
        try:
            return case.call(asked).detach().double().numpy().reshape(-1)
        except Exception:  # outside the domain, too, there is no value
            continue
    return np.full(case.outputs, np.nan)
