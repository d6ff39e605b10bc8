"""Programmes: matrix functions, special functions, iterations, and losses as they are trained."""

from typing import Any

import numpy as np

from families.registry import either_sign, family, log_uniform, normal, uniform

# matrix functions


def _square(rng: np.random.Generator, n: int = 4) -> tuple[Any, ...]:
    return (normal(rng, n, n),)


def _symmetric(m: Any, x: Any) -> Any:
    return (x + x.T) / 2


@family("matrix", _square)
def determinant(m: Any, x: Any) -> Any:
    """det X, 4 × 4."""
    return m.det(x)


@family("matrix", _square)
def log_determinant(m: Any, x: Any) -> Any:
    """log|det X|, 4 × 4."""
    return m.logdet(x)


@family("matrix", _square)
def trace_of_inverse(m: Any, x: Any) -> Any:
    """tr X⁻¹, 4 × 4."""
    return m.sum(m.diag(m.inv(x)))


@family("matrix", lambda r: (normal(r, 4, 4), log_uniform(r, 1e-8, 1) * np.eye(4)))
def cholesky_log_determinant(m: Any, x: Any, ridge: Any) -> Any:
    """Σ log diag chol(X·Xᵀ + r·1), r from 1e−8."""
    return m.sum(m.log(m.diag(m.cholesky(x @ x.T + ridge))))


@family("matrix", lambda r: (uniform(r, 0.3, 2) * normal(r, 3, 3),))
def trace_of_exponential(m: Any, x: Any) -> Any:
    """tr exp(X), 3 × 3, by SciPy, whose own values are off by up to 6e−13 as a smooth function."""
    return m.sum(m.diag(m.expm(x)))


@family("matrix", lambda r: (normal(r, 3, 3),))
def function_of_eigenvalues(m: Any, x: Any) -> Any:
    """Σ exp(λ_i) of the symmetric part, 3 × 3."""
    return m.sum(m.exp(m.eigenvalues(_symmetric(m, x))))


@family("matrix", lambda r: (normal(r, 3, 3),))
def largest_eigenvalue(m: Any, x: Any) -> Any:
    """λ_max of the symmetric part, 3 × 3."""
    return m.max(m.eigenvalues(_symmetric(m, x)))


@family("matrix", lambda r: ([normal(r, 4, 4), normal(r, 4)], normal(r, 4)))
def linear_solve(m: Any, x: Any, c: Any) -> Any:
    """c·X₁⁻¹·x₂, 4 × 4."""
    return c @ m.solve(x[0], x[1])


@family("matrix", lambda r: (normal(r, 3, 3),))
def nuclear_norm(m: Any, x: Any) -> Any:
    """Sum of the singular values, 3 × 3."""
    return m.sum(m.singular_values(x))


def _hilbert(rng: np.random.Generator) -> tuple[Any, ...]:
    index = np.arange(5)
    return 1 / (index[:, None] + index + 1) * (1 + 0.01 * normal(rng, 5, 5)), normal(rng, 5), normal(rng, 5)


@family("matrix", _hilbert)
def ill_conditioned_solve(m: Any, x: Any, b: Any, c: Any) -> Any:
    """c·X⁻¹·b, X near Hilbert's 5 × 5 matrix."""
    return c @ m.solve(x, b)


# special functions, by SciPy


@family("special", lambda r: (uniform(r, 0.1, 12),))
def gamma(m: Any, x: Any) -> Any:
    """Γ(x)."""
    return m.gamma(x)


@family("special", lambda r: (log_uniform(r, 1e-3, 1e3),))
def log_gamma(m: Any, x: Any) -> Any:
    """log Γ(x)."""
    return m.gammaln(x)


@family("special", lambda r: (uniform(r, -4, 4),))
def error_function(m: Any, x: Any) -> Any:
    """erf(x)."""
    return m.erf(x)


@family("special", lambda r: (uniform(r, 0.1, 40),))
def bessel(m: Any, x: Any) -> Any:
    """J₀(x) + J₁(x)."""
    return m.j0(x) + m.j1(x)


@family("special", lambda r: (uniform(r, 0.1, 20),))
def modified_bessel(m: Any, x: Any) -> Any:
    """log I₀(x) + K₁(x)."""
    return m.log(m.i0(x)) + m.k1(x)


@family("special", lambda r: (uniform(r, -12, 6),))
def airy(m: Any, x: Any) -> Any:
    """Ai(x)."""
    return m.airy(x)


@family("special", lambda r: (uniform(r, 0.1, 20),))
def digamma(m: Any, x: Any) -> Any:
    """ψ(x)."""
    return m.digamma(x)


@family("special", lambda r: (log_uniform(r, 1e-2, 1e3),))
def lambert(m: Any, x: Any) -> Any:
    """Lambert's W(x)."""
    return m.lambertw(x)


@family("special", lambda r: (1 - log_uniform(r, 1e-4, 0.9),))
def elliptic(m: Any, x: Any) -> Any:
    """Complete elliptic integral K(x), from 1e−4 below 1."""
    return m.ellipk(x)


@family("special", lambda r: (uniform(r, 0.05, 0.95), log_uniform(r, 0.5, 20), log_uniform(r, 0.5, 20)))
def incomplete_beta(m: Any, x: Any, a: Any, b: Any) -> Any:
    """I_x(a, b)."""
    return m.betainc(a, b, x)


@family("special", lambda r: (either_sign(r, 0.05, 20),))
def exponential_integral(m: Any, x: Any) -> Any:
    """Ei(x)."""
    return m.expi(x)


@family("special", lambda r: (uniform(r, -8, 8),))
def dawson(m: Any, x: Any) -> Any:
    """Dawson's integral."""
    return m.dawsn(x)


# iterations


@family("iterated", lambda r: (uniform(r, 0.1, 0.9), uniform(r, 3.6, 4), int(r.integers(3, 13))))
def logistic_map(m: Any, x: Any, a: Any, steps: int) -> Any:
    """x ← a·x·(1 − x), 3 to 12 steps, as a function of the start."""
    for _ in range(steps):
        x = a * x * (1 - x)
    return x


@family("iterated", lambda r: (uniform(r, -0.5, 0.5, 2), 1.4, 0.3, int(r.integers(3, 16))))
def henon_map(m: Any, x: Any, a: Any, b: Any, steps: int) -> Any:
    """Hénon's map, 3 to 15 steps."""
    p, q = x[0], x[1]
    for _ in range(steps):
        p, q = 1 - a * p * p + q, b * p
    return p + q


def _lorenz(p: Any, a: float, b: float, c: Any) -> Any:
    return np.stack([a * (p[1] - p[0]), p[0] * (b - p[2]) - p[1], p[0] * p[1] - c * p[2]])


@family("iterated", lambda r: (10 * normal(r, 3), 8 / 3, 2.0**-6))
def lorenz(m: Any, x: Any, c: Any, h: Any) -> Any:
    """Lorenz' equations, 20 steps of Runge and Kutta."""
    for _ in range(20):
        k1 = _lorenz(x, 10, 28, c)
        k2 = _lorenz(x + h / 2 * k1, 10, 28, c)
        k3 = _lorenz(x + h / 2 * k2, 10, 28, c)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + _lorenz(x + h * k3, 10, 28, c))
    return x[0]


@family("iterated", lambda r: (uniform(r, -2, 2, 2), uniform(r, 0.5, 2), 2.0**-4))
def pendulum(m: Any, x: Any, g: Any, h: Any) -> Any:
    """Pendulum's energy after 40 leapfrog steps with damping."""
    angle, speed = x[0], x[1]
    for _ in range(40):
        speed = speed * (1 - h / 16) - h * g * m.sin(angle)
        angle = angle + h * speed
    return speed * speed / 2 - g * m.cos(angle)


@family("iterated", lambda r: (uniform(r, 0.2, 6), np.linspace(0, 1, 33), uniform(r, 0.5, 2)))
def integral(m: Any, x: Any, t: Any, a: Any) -> Any:
    """∫₀¹ exp(−a·t)·sin(x·t²) dt by the trapezoidal rule."""
    values = m.exp(-a * t) * m.sin(x * t * t)
    return (m.sum(values) - (values[0] + values[-1]) / 2) / 32


@family("iterated", lambda r: (log_uniform(r, 1e-3, 1e3),))
def arithmetic_geometric_mean(m: Any, x: Any) -> Any:
    """Arithmetic-geometric mean of x and 1."""
    y = 1 + 0 * x
    while abs(x - y) > 4 * m.tolerance * x:
        x, y = (x + y) / 2, m.sqrt(x * y)
    return x


@family("iterated", lambda r: (uniform(r, -1, 1, 3), normal(r, 40)))
def linear_recurrence(m: Any, x: Any, drive: Any) -> Any:
    """s ← x₀·s + x₁·tanh(s) + x₂ + drive, 40 steps."""
    state = 0 * x[0]
    for entry in drive:
        state = x[0] * state / 2 + x[1] * m.tanh(state) + x[2] + entry
    return state


@family("iterated", lambda r: (uniform(r, 0.1, 6), uniform(r, 0.05, 0.9)))
def kepler(m: Any, x: Any, e: Any) -> Any:
    """E with E − e·sin E = x, by Newton's method."""
    value, step = x + e * m.sin(x), 1
    for _ in range(60):
        step = (value - e * m.sin(value) - x) / (1 - e * m.cos(value))
        value = value - step
        if abs(step) < m.tolerance:
            break
    return value


@family("iterated", lambda r: (uniform(r, 0.1, 3), uniform(r, 0.2, 0.9)))
def fixed_point(m: Any, x: Any, a: Any) -> Any:
    """y = cos(a·y) + x/2 by iteration to 4e−16."""
    y, before = x, x + 1
    for _ in range(3000):
        before, y = y, (m.cos(a * y) + x) / 2
        if abs(y - before) <= m.tolerance:
            break
    return y


@family("iterated", lambda r: (uniform(r, 0.1, 10), uniform(r, 0.5, 2)))
def bisected_root(m: Any, x: Any, a: Any) -> Any:
    """y with y³ + a·y = x, by bisecting [0, 4]."""
    low, high = 0 * x, 4 + 0 * x
    while high - low > 4 * m.tolerance:
        middle = (low + high) / 2
        if middle**3 + a * middle < x:
            low = middle
        else:
            high = middle
    return (low + high) / 2
