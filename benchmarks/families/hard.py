"""Smooth functions that are hard for differences: oscillating, cancelling, near a pole or an edge, saturated."""

from typing import Any

import numpy as np

from families.registry import either_sign, family, log_uniform, normal, uniform

# oscillating


@family("oscillating", lambda r: (uniform(r, -5, 5), log_uniform(r, 10, 1e3)), seen=True)
def fast_sine(m: Any, x: Any, w: Any) -> Any:
    """sin(w·x), w from 10 to 1e3."""
    return m.sin(w * x)


@family("oscillating", lambda r: (uniform(r, -5, 5), uniform(r, 5e3, 1e4)), seen=True)
def very_fast_sine(m: Any, x: Any, w: Any) -> Any:
    """sin(w·x), w from 5e3 to 1e4."""
    return m.sin(w * x)


@family(
    "oscillating", lambda r: (uniform(r, -5, 5), log_uniform(r, 1e-6, 1e-2), uniform(r, 1e3, 1e4)), seen=True
)
def ripple(m: Any, x: Any, a: Any, w: Any) -> Any:
    """x + a·sin(w·x), a from 1e−6, w up to 1e4."""
    return x + a * m.sin(w * x)


@family("oscillating", lambda r: (uniform(r, -5, 5), normal(r, 5), log_uniform(r, 1, 1e4, 5)))
def five_sines(m: Any, x: Any, a: Any, w: Any) -> Any:
    """Σ a_k·sin(w_k·x), w from 1 to 1e4."""
    return m.sum(a * m.sin(w * x))


@family("oscillating", lambda r: (uniform(r, -3, 3), log_uniform(r, 10, 1e3)))
def chirp(m: Any, x: Any, a: Any) -> Any:
    """sin(a·x²), a from 10 to 1e3."""
    return m.sin(a * x * x)


@family("oscillating", lambda r: (uniform(r, 0.1, 5), log_uniform(r, 1, 1e4)))
def peaked_wave(m: Any, x: Any, w: Any) -> Any:
    """x·exp(cos(w·x)), w from 1 to 1e4."""
    return x * m.exp(m.cos(w * x))


@family("oscillating", lambda r: (uniform(r, -5, 5, 4), uniform(r, 5, 100)))
def rastrigin(m: Any, x: Any, w: Any) -> Any:
    """Σ x² − 10·cos(w·x), four variables, w from 5 to 100."""
    return m.sum(x * x - 10 * m.cos(w * x))


def _binary_period(rng: np.random.Generator) -> tuple[float, ...]:
    return uniform(rng, 0.5, 4), log_uniform(rng, 1e-3, 1), 2 * np.pi * 2.0 ** int(rng.integers(1, 13))


@family("oscillating", _binary_period)
def binary_period(m: Any, x: Any, a: Any, w: Any) -> Any:
    """x + a·sin(w·x), period a power of two."""
    return x + a * m.sin(w * x)


@family("oscillating", lambda r: (uniform(r, -2, 2, 3), 300 * normal(r, 3), 300 * normal(r, 3)))
def plane_waves(m: Any, x: Any, a: Any, b: Any) -> Any:
    """sin(a·x) + cos(b·x), wave vectors ~300, three variables."""
    return m.sin(a @ x) + m.cos(b @ x)


# cancelling


@family("cancelling", lambda r: (log_uniform(r, 1e-3, 1), uniform(r, 0.5, 2)), seen=True)
def one_minus_cosine(m: Any, x: Any, a: Any) -> Any:
    """(1 − cos(a·x))/x², x from 1e−3."""
    return (1 - m.cos(a * x)) / (x * x)


@family("cancelling", lambda r: (uniform(r, -5, 5), 1e8, uniform(r, 0.5, 2)), seen=True)
def large_offset(m: Any, x: Any, c: Any, a: Any) -> Any:
    """1e8 + sin(a·x)."""
    return c + m.sin(a * x)


@family("cancelling", lambda r: (log_uniform(r, 1, 1e12), uniform(r, 0.5, 2)))
def difference_of_roots(m: Any, x: Any, a: Any) -> Any:
    """√(x + a) − √x, x up to 1e12."""
    return m.sqrt(x + a) - m.sqrt(x)


@family("cancelling", lambda r: (either_sign(r, 1e-4, 1), uniform(r, 0.5, 2)))
def remainder_of_exponential(m: Any, x: Any, a: Any) -> Any:
    """(exp(a·x) − 1 − a·x)/x², |x| from 1e−4."""
    return (m.exp(a * x) - 1 - a * x) / (x * x)


@family("cancelling", lambda r: (1 + either_sign(r, 1e-3, 1),))
def expanded_power(m: Any, x: Any) -> Any:
    """(x − 1)⁷ multiplied out, |x − 1| from 1e−3."""
    return ((((((x - 7) * x + 21) * x - 35) * x + 35) * x - 21) * x + 7) * x - 1


@family("cancelling", lambda r: (log_uniform(r, 1e-10, 1), uniform(r, 0.5, 2)))
def naive_logarithm(m: Any, x: Any, a: Any) -> Any:
    """log(1 + a·x)/x, x from 1e−10."""
    return m.log(1 + a * x) / x


@family("cancelling", lambda r: (uniform(r, -3, 3), log_uniform(r, 1, 1e14), uniform(r, 0.5, 2)))
def any_offset(m: Any, x: Any, c: Any, a: Any) -> Any:
    """c + exp(sin(a·x)), c up to 1e14."""
    return c + m.exp(m.sin(a * x))


@family("cancelling", lambda r: (either_sign(r, 1, 1e6) + normal(r, 10),))
def naive_variance(m: Any, x: Any) -> Any:
    """Σx²/10 − (Σx/10)², mean up to 1e6 deviations."""
    return m.sum(x * x) / 10 - (m.sum(x) / 10) ** 2


@family("cancelling", lambda r: (uniform(r, 0.2, 3), log_uniform(r, 1e-10, 1e-1)))
def difference_quotient(m: Any, x: Any, h: Any) -> Any:
    """(sin(x + h) − sin(x))/h, h from 1e−10."""
    return (m.sin(x + h) - m.sin(x)) / h


# near a pole or an edge of the domain


@family("edge", lambda r: (log_uniform(r, 1e-8, 10), uniform(r, 0.5, 2)), seen=True)
def logarithm(m: Any, x: Any, a: Any) -> Any:
    """log(a·x), x from 1e−8."""
    return m.log(a * x)


@family("edge", lambda r: (log_uniform(r, 1e-8, 10), uniform(r, 0.5, 2)), seen=True)
def square_root(m: Any, x: Any, a: Any) -> Any:
    """√(a·x), x from 1e−8."""
    return m.sqrt(a * x)


def _off(rng: np.random.Generator) -> tuple[float, float]:
    edge = uniform(rng, 0.5, 2)
    return edge + log_uniform(rng, 1e-8, 1), edge


@family("edge", _off, seen=True)
def shifted_logarithm(m: Any, x: Any, a: Any) -> Any:
    """log(x − a), x − a from 1e−8."""
    return m.log(x - a)


@family("edge", _off, seen=True)
def pole(m: Any, x: Any, a: Any) -> Any:
    """1/(x − a), x − a from 1e−8."""
    return 1 / (x - a)


@family("edge", lambda r: (np.pi / 2 + either_sign(r, 1e-8, 1), uniform(r, 0.5, 2)))
def tangent(m: Any, x: Any, c: Any) -> Any:
    """c·tan(x), x from 1e−8 off π/2."""
    return c * m.tan(x)


@family("edge", lambda r: (abs(float(r.choice([0, 1])) - log_uniform(r, 1e-8, 0.5)),))
def entropy(m: Any, x: Any) -> Any:
    """x·log(x) + (1 − x)·log(1 − x), from 1e−8 off 0 and 1."""
    return x * m.log(x) + (1 - x) * m.log(1 - x)


@family("edge", lambda r: (1 - log_uniform(r, 1e-8, 1), uniform(r, 0.5, 2)))
def arccosine(m: Any, x: Any, c: Any) -> Any:
    """c·acos(x), x from 1e−8 below 1."""
    return c * m.arccos(x)


@family("edge", lambda r: (1 - log_uniform(r, 1e-8, 0.5),))
def log_odds(m: Any, x: Any) -> Any:
    """log(x/(1 − x)), x from 1e−8 below 1."""
    return m.log(x / (1 - x))


def _between_poles(rng: np.random.Generator) -> tuple[float, ...]:
    gap = log_uniform(rng, 1e-6, 1)
    return 1 + gap * uniform(rng, 0.1, 0.9), 1.0, 1 + gap


@family("edge", _between_poles)
def between_poles(m: Any, x: Any, a: Any, b: Any) -> Any:
    """1/(x − a) + 1/(b − x)², the poles from 1e−6 apart."""
    return 1 / (x - a) + 1 / (b - x) ** 2


def _barrier(rng: np.random.Generator) -> tuple[Any, ...]:
    x, rows = normal(rng, 4), normal(rng, 6, 4)
    return x, rows, rows @ x + log_uniform(rng, 1e-6, 1, 6), normal(rng, 4)


@family("edge", _barrier)
def log_barrier(m: Any, x: Any, rows: Any, limits: Any, cost: Any) -> Any:
    """c·x − Σ log(b − A·x), slack from 1e−6, four variables."""
    return cost @ x - m.sum(m.log(limits - rows @ x))


@family("edge", lambda r: (*_off(r), uniform(r, 0.2, 2.8)))
def fractional_power(m: Any, x: Any, a: Any, p: Any) -> Any:
    """(x − a)^p, p from 0.2 to 2.8, x − a from 1e−8."""
    return (x - a) ** p


@family("edge", lambda r: (0.0, uniform(r, 0.5, 2), uniform(r, 0.5, 2)))
def at_the_edge(m: Any, x: Any, a: Any, b: Any) -> Any:
    """sin(a·x) + b·x·√x at x = 0: one side lies outside the domain."""
    return m.sin(a * x) + b * x * m.sqrt(x)


@family("edge", lambda r: (0.0, uniform(r, 0.5, 2), uniform(r, 0.5, 2)))
def smooth_at_the_edge(m: Any, x: Any, a: Any, b: Any) -> Any:
    """sin(a·x) + exp(b·x) at x = 0, defined for x ≥ 0 only."""
    return m.sin(a * x) + m.exp(b * x) + 0 * m.sqrt(x)


# saturated


@family("saturated", lambda r: (uniform(r, -15, 15), uniform(r, 0.5, 1)), seen=True)
def saturated_tanh(m: Any, x: Any, a: Any) -> Any:
    """tanh(a·x), |x| to 15."""
    return m.tanh(a * x)


@family("saturated", lambda r: (uniform(r, -30, 30), uniform(r, 0.5, 1)), seen=True)
def saturated_sigmoid(m: Any, x: Any, a: Any) -> Any:
    """1/(1 + exp(−a·x)), |x| to 30."""
    return 1 / (1 + m.exp(-a * x))


@family("saturated", lambda r: (uniform(r, -4, 25),))
def tail_of_erfc(m: Any, x: Any) -> Any:
    """erfc(x), x to 25."""
    return m.erfc(x)


@family("saturated", lambda r: (15 * normal(r, 5),))
def softmax_probability(m: Any, x: Any) -> Any:
    """exp(x₀)/Σ exp(x_i), logits of deviation 15."""
    raised = m.exp(x - m.max(x))
    return raised[0] / m.sum(raised)


@family("saturated", lambda r: (log_uniform(r, 1e-2, 1e2), uniform(r, 1, 8)))
def hill(m: Any, x: Any, n: Any) -> Any:
    """xⁿ/(1 + xⁿ), x from 1e−2 to 1e2."""
    return x**n / (1 + x**n)


@family("saturated", lambda r: (uniform(r, -12, 12),))
def gaussian_unit(m: Any, x: Any) -> Any:
    """x·(1 + erf(x/√2))/2, |x| to 12."""
    return x * (1 + m.erf(x / 1.4142135623730951)) / 2


@family("saturated", lambda r: (normal(r, 6) * 4, 3 * normal(r, 6)))
def saturated_units(m: Any, x: Any, a: Any) -> Any:
    """Σ tanh(a·x)², products of deviation 12, six variables."""
    return m.sum(m.tanh(a * x) ** 2)
