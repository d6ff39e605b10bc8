"""Smooth functions: elementary, composed, badly scaled, polynomial."""

from typing import Any

import numpy as np

from families.registry import either_sign, family, log_uniform, normal, uniform

# elementary


@family("elementary", lambda r: (uniform(r, -5, 5), uniform(r, 0.5, 2), normal(r)), seen=True)
def sine(m: Any, x: Any, a: Any, b: Any) -> Any:
    """sin(a·x + b)."""
    return m.sin(a * x + b)


@family("elementary", lambda r: (uniform(r, -3, 3), uniform(r, 0.5, 2)), seen=True)
def exponential(m: Any, x: Any, a: Any) -> Any:
    """exp(a·x)."""
    return m.exp(a * x)


@family("elementary", lambda r: (uniform(r, -6, 6), uniform(r, 0.5, 1)), seen=True)
def bell(m: Any, x: Any, a: Any) -> Any:
    """exp(−a·x²)."""
    return m.exp(-a * x * x)


@family("elementary", lambda r: (uniform(r, -5, 5), log_uniform(r, 0.2, 5)))
def arctangent(m: Any, x: Any, a: Any) -> Any:
    """atan(a·x)."""
    return m.arctan(a * x)


@family("elementary", lambda r: (uniform(r, -5, 5), uniform(r, 0.5, 2)))
def softplus(m: Any, x: Any, a: Any) -> Any:
    """log(1 + exp(a·x))."""
    return m.log1p(m.exp(a * x))


@family("elementary", lambda r: (uniform(r, -2, 2), log_uniform(r, 1, 30)))
def runge(m: Any, x: Any, a: Any) -> Any:
    """1/(1 + a·x²)."""
    return 1 / (1 + a * x * x)


@family("elementary", lambda r: (uniform(r, -4, 4), log_uniform(r, 0.1, 3)))
def logarithm_of_quadratic(m: Any, x: Any, a: Any) -> Any:
    """log(a + x²)."""
    return m.log(a + x * x)


@family("elementary", lambda r: (uniform(r, -3, 3), uniform(r, 0.5, 2), uniform(r, 0.5, 2)))
def hyperbolic_quotient(m: Any, x: Any, a: Any, b: Any) -> Any:
    """sinh(a·x)/cosh(b·x)."""
    return m.sinh(a * x) / m.cosh(b * x)


# composed


@family("composed", lambda r: (log_uniform(r, 1e-4, 4), uniform(r, 0.5, 2)), seen=True)
def x_to_the_x(m: Any, x: Any, a: Any) -> Any:
    """x^(a·x)."""
    return x ** (a * x)


@family("composed", lambda r: (uniform(r, -2, 2), uniform(r, 0.5, 2)))
def sine_of_exponential(m: Any, x: Any, a: Any) -> Any:
    """sin(a·exp(x))."""
    return m.sin(a * m.exp(x))


@family("composed", lambda r: (uniform(r, -3, 3), uniform(r, 0.5, 3), uniform(r, 0.5, 3)))
def exponential_of_sine(m: Any, x: Any, a: Any, b: Any) -> Any:
    """exp(sin(a·x))·log(2 + cos(b·x))."""
    return m.exp(m.sin(a * x)) * m.log(2 + m.cos(b * x))


@family("composed", lambda r: (uniform(r, -2, 2), normal(r, 3), uniform(r, 0.5, 2, 3)))
def nested_sines(m: Any, x: Any, a: Any, b: Any) -> Any:
    """sin(a₁ + b₁·sin(a₂ + b₂·sin(a₃ + b₃·x)))."""
    return m.sin(a[0] + b[0] * m.sin(a[1] + b[1] * m.sin(a[2] + b[2] * x)))


@family("composed", lambda r: (uniform(r, -3, 3), uniform(r, 0.5, 2)))
def root_of_sum(m: Any, x: Any, a: Any) -> Any:
    """√(1 + tanh²(a·x) + exp(−x))."""
    return m.sqrt(1 + m.tanh(a * x) ** 2 + m.exp(-x))


@family("composed", lambda r: (uniform(r, -3, 3), uniform(r, 0.5, 2), uniform(r, 0.5, 2)))
def quotient(m: Any, x: Any, a: Any, b: Any) -> Any:
    """(2 + sin(a·x))/(3 + cos(b·x))."""
    return (2 + m.sin(a * x)) / (3 + m.cos(b * x))


@family("composed", lambda r: (uniform(r, -2, 2), normal(r, 6), uniform(r, 0.5, 1.5, 6)))
def chain_of_tanh(m: Any, x: Any, a: Any, b: Any) -> Any:
    """Six layers x ← x + tanh(a·x + b)."""
    for weight, bias in zip(a, b, strict=True):
        x = x + m.tanh(weight * x + bias)
    return x


# badly scaled


def _scaled(rng: np.random.Generator) -> tuple[float, float]:
    scale = float(log_uniform(rng, 1e-12, 1e12))
    return scale * uniform(rng, -3, 3), 1 / scale


@family("scaled", _scaled)
def scale_of_x(m: Any, x: Any, c: Any) -> Any:
    """sin(c·x) + exp(c·x), c·x ~ 1, x from 1e−12 to 1e12."""
    return m.sin(c * x) + m.exp(c * x)


@family("scaled", lambda r: (uniform(r, -3, 3), log_uniform(r, 1e-30, 1e30), uniform(r, 0.5, 2)))
def scale_of_f(m: Any, x: Any, c: Any, a: Any) -> Any:
    """c·(sin(a·x) + x²), c from 1e−30 to 1e30."""
    return c * (m.sin(a * x) + x * x)


def _two_leaves(rng: np.random.Generator) -> tuple[Any, ...]:
    large, small = log_uniform(rng, 1e3, 1e12), log_uniform(rng, 1e-12, 1e-3)
    x = [large * uniform(rng, 0.2, 2, 2), small * uniform(rng, 0.2, 2, 3)]
    return x, normal(rng, 2) / large, normal(rng, 3) / small


@family("scaled", _two_leaves)
def two_scales(m: Any, x: Any, a: Any, b: Any) -> Any:
    """sin(a·x₁)·exp(b·x₂), x₁ up to 1e12 and x₂ down to 1e−12."""
    return m.sin(a @ x[0]) * m.exp(b @ x[1])


def _spread(rng: np.random.Generator) -> tuple[Any, ...]:
    sizes = log_uniform(rng, 1e-6, 1e6, 8)
    return sizes * normal(rng, 8), 1 / sizes, normal(rng, 8)


@family("scaled", _spread)
def spread_entries(m: Any, x: Any, c: Any, w: Any) -> Any:
    """Σ w·sin(c·x), entries of one vector from 1e−6 to 1e6."""
    return m.sum(w * m.sin(c * x))


def _far(rng: np.random.Generator) -> tuple[float, ...]:
    offset = either_sign(rng, 1e2, 1e8)
    return offset + uniform(rng, -2, 2), offset, uniform(rng, 0.5, 1)


@family("scaled", _far)
def far_from_origin(m: Any, x: Any, c: Any, a: Any) -> Any:
    """exp(−a·(x − c)²), x − c ~ 1, c up to 1e8."""
    return m.exp(-a * (x - c) * (x - c))


@family("scaled", lambda r: (uniform(r, 0.2, 3), log_uniform(r, 1e-12, 1e-2), log_uniform(r, 1e-12, 1e12)))
def nearly_linear(m: Any, x: Any, a: Any, c: Any) -> Any:
    """c·(exp(a·x) − 1) by expm1, a from 1e−12 to 1e−2."""
    return c * m.expm1(a * x)


# polynomials, quotients and products of many terms


@family("polynomial", lambda r: (uniform(r, -3, 3), normal(r), normal(r)), seen=True)
def quintic(m: Any, x: Any, a: Any, b: Any) -> Any:
    """a·x⁵ + b·x²."""
    return a * x**5 + b * x**2


@family("polynomial", lambda r: (uniform(r, -1.2, 1.2), normal(r, 31)))
def degree_30(m: Any, x: Any, c: Any) -> Any:
    """Σ c_k·x^k up to degree 30, by Horner's rule."""
    value = c[0]
    for coefficient in c[1:]:
        value = value * x + coefficient
    return value


@family("polynomial", lambda r: (uniform(r, 0, 21), np.arange(1.0, 21.0) + 0.1 * normal(r, 20)))
def twenty_roots(m: Any, x: Any, c: Any) -> Any:
    """Π (x − c_k), 20 roots near 1 … 20."""
    value = x - c[0]
    for root in c[1:]:
        value = value * (x - root)
    return value


@family("polynomial", lambda r: (uniform(r, -3, 3), normal(r, 6), normal(r, 3)))
def rational(m: Any, x: Any, a: Any, b: Any) -> Any:
    """Quintic over quartic without real roots."""
    above = ((((a[0] * x + a[1]) * x + a[2]) * x + a[3]) * x + a[4]) * x + a[5]
    return above / (1 + (b[0] * x * x + b[1] * x) ** 2 + (b[2] * x) ** 2)


@family("polynomial", lambda r: (uniform(r, -3, 3), uniform(r, -0.5, 0.5, 50)))
def product_of_50(m: Any, x: Any, c: Any) -> Any:
    """Π (1 + c_k·sin(x + k)), k = 1 … 50."""
    value = 1 + c[0] * m.sin(x + 1)
    for k in range(1, 50):
        value = value * (1 + c[k] * m.sin(x + (k + 1)))
    return value


@family("polynomial", lambda r: (uniform(r, -1.1, 1.1), int(r.integers(10, 41))))
def chebyshev(m: Any, x: Any, n: int) -> Any:
    """T_n(x) by its recurrence, n = 10 … 40."""
    before, value = 1, x
    for _ in range(n - 1):
        before, value = value, 2 * x * value - before
    return value


def _ill_conditioned(rng: np.random.Generator) -> tuple[Any, ...]:
    basis = np.linalg.qr(normal(rng, 6, 6))[0]
    return normal(rng, 6), basis * 10.0 ** np.linspace(0, -uniform(rng, 2, 12), 6) @ basis.T


@family("polynomial", _ill_conditioned)
def quadratic_form(m: Any, x: Any, h: Any) -> Any:
    """½·xᵀ·H·x, condition number of H from 1e2 to 1e12."""
    return (x @ h @ x) / 2


@family("polynomial", lambda r: (normal(r, 5),))
def rosenbrock(m: Any, x: Any) -> Any:
    """Σ 100·(x_{i+1} − x_i²)² + (1 − x_i)²."""
    return m.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@family("polynomial", lambda r: (uniform(r, 5.3, 5.45),), seen=True)
def adversary(m: Any, x: Any) -> Any:
    """exp(x)/(cos³x + sin³x), near its pole."""
    return m.exp(x) / (m.cos(x) ** 3 + m.sin(x) ** 3)
