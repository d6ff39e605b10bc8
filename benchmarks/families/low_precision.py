"""Functions evaluated natively in float32, float16 and bfloat16."""

from typing import Any

import numpy as np

from families import composite, hard, losses, rough, smooth
from families.registry import Draw, Fun, either_sign, family, log_uniform, normal, uniform


def _single(fun: Fun, draw: Draw, *, seen: bool = False, name: str = "") -> None:
    label = "float32 " + (name or fun.__name__.strip("_").replace("_", " "))
    family("float32", draw, precision="float32", seen=seen, name=label)(fun)


def _near_pole(rng: np.random.Generator) -> tuple[float, float]:
    return 1 + either_sign(rng, 1e-3, 0.5), 1.0


_single(smooth.sine, lambda r: (uniform(r, -3, 3), uniform(r, 0.5, 2), normal(r)), seen=True)
_single(smooth.exponential_of_sine, lambda r: (uniform(r, -3, 3), uniform(r, 0.5, 3), uniform(r, 0.5, 3)))
_single(smooth.runge, lambda r: (uniform(r, -2, 2), log_uniform(r, 1, 30)))
_single(smooth.scale_of_f, lambda r: (uniform(r, -3, 3), log_uniform(r, 1e-12, 1e12), uniform(r, 0.5, 2)))
_single(smooth.degree_30, lambda r: (uniform(r, -1, 1), normal(r, 31)))
_single(smooth.quadratic_form, lambda r: (normal(r, 6), (a := normal(r, 6, 6)) @ a.T))
_single(smooth.rosenbrock, lambda r: (normal(r, 5),))
_single(smooth.product_of_50, lambda r: (uniform(r, -3, 3), uniform(r, -0.3, 0.3, 50)))
_single(hard.fast_sine, lambda r: (uniform(r, -3, 3), log_uniform(r, 10, 1e3)))
_single(hard.any_offset, lambda r: (uniform(r, -3, 3), log_uniform(r, 1, 1e4), uniform(r, 0.5, 2)))
_single(hard.pole, _near_pole)
_single(hard.logarithm, lambda r: (log_uniform(r, 1e-5, 10), uniform(r, 0.5, 2)))
_single(hard.saturated_tanh, lambda r: (uniform(r, -8, 8), uniform(r, 0.5, 1)))
_single(hard.softmax_probability, lambda r: (3 * normal(r, 5),))
_single(rough.rectified, lambda r: (either_sign(r, 1e-5, 1), uniform(r, 0.5, 2)))
_single(rough.lasso, lambda r: (normal(r, 8), normal(r, 12, 8), normal(r, 12), log_uniform(r, 0.1, 10)))
_single(rough.relu_network, rough.network(4, 16, 16, 1), name="ReLU network 4-16-16-1")
_single(rough.relu_network, rough.network(10, 64, 1), name="ReLU network 10-64-1")
_single(composite.determinant, lambda r: (normal(r, 4, 4),))
_single(composite.bessel, lambda r: (uniform(r, 0.1, 20),))
_single(composite.logistic_map, lambda r: (uniform(r, 0.1, 0.9), uniform(r, 3.6, 4), int(r.integers(2, 7))))
_single(
    losses.logistic_regression, lambda r: (normal(r, 5), normal(r, 12, 5), 2.0 * r.integers(0, 2, 12) - 1)
)
_single(losses.classifier, losses.classifier_draw)
_single(losses.attention, lambda r: ([normal(r, 4, 3) for _ in range(3)], normal(r, 4, 3)))
_single(losses.log_of_sum_of_exponentials, lambda r: (uniform(r, 1, 10) * normal(r, 10),))
_single(losses.gaussian_likelihood, lambda r: (np.array([normal(r), normal(r)]), 3 + normal(r, 20)))


def _half(precision: str, fun: Fun, draw: Draw) -> None:
    label = f"{precision} {fun.__name__.replace('_', ' ')}"
    family("half precision", draw, precision=precision, name=label)(fun)


def waves(m: Any, x: Any, a: Any, b: Any) -> Any:
    """Σ a·sin(b + x) + x²/4, four variables."""
    return m.sum(a * m.sin(b + x) + x * x / 4)


def units(m: Any, x: Any, a: Any, b: Any) -> Any:
    """Σ a·tanh(b·x) + exp(x/2), four variables."""
    return m.sum(a * m.tanh(b * x) + m.exp(x / 2))


for _precision in ("float16", "bfloat16"):
    for _fun in (waves, units):
        _half(_precision, _fun, lambda r: (uniform(r, -2, 2, 4), normal(r, 4), normal(r, 4)))
