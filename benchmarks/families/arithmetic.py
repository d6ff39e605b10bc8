"""The functions that families are written in, once in floating point and once in 110 digits; and the true slope.

In exact arithmetic numbers are mpmath's and arrays are NumPy's, of dtype object: indexing, +, @, sum, where, … are shared.
"""

import hashlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
import scipy.linalg
import scipy.special
import torch
from mpmath import mp

mp.dps = 110
TRUTH_STEP = mp.mpf(10) ** -40
"""A one-sided difference is then off by about 1e-40 of the second derivative, and by rounding of about 1e-70."""

ELEMENTWISE = {
    "sin": "sin", "cos": "cos", "tan": "tan", "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p",
    "sqrt": "sqrt", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "arctan": "atan", "arcsin": "asin",
    "arccos": "acos", "floor": "floor", "rint": "nint", "cbrt": "cbrt",
}  # fmt: skip
"""NumPy's name: mpmath's name."""

SPECIAL: dict[str, Callable[[Any], Any]] = {
    "erf": mp.erf, "erfc": mp.erfc, "gamma": mp.gamma, "gammaln": mp.loggamma, "digamma": mp.digamma,
    "j0": lambda x: mp.besselj(0, x), "j1": lambda x: mp.besselj(1, x), "i0": lambda x: mp.besseli(0, x),
    "k1": lambda x: mp.besselk(1, x), "ellipk": mp.ellipk, "expi": mp.ei, "ndtr": mp.ncdf, "dawsn": lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x),
}  # fmt: skip
"""SciPy's name: the same by mpmath."""

SHARED = (
    "sum",
    "maximum",
    "minimum",
    "where",
    "max",
    "sort",
    "concatenate",
    "stack",
    "outer",
    "diag",
    "clip",
)


# In floating point


def _hashed(x: Any) -> float:
    """A number in [−1, 1) that depends on every bit of x, and looks random."""
    leaves = x if isinstance(x, list) else [x]
    digest = hashlib.blake2b(b"".join(np.asarray(leaf).tobytes() for leaf in leaves), digest_size=8).digest()
    return int.from_bytes(digest) / 2.0**63 - 1.0


FLOATING = SimpleNamespace(
    **{name: getattr(np, name) for name in (*ELEMENTWISE, *SHARED)},
    **{name: getattr(scipy.special, name) for name in SPECIAL},
    lambertw=lambda x: scipy.special.lambertw(x).real,
    zeta=scipy.special.zeta,
    betainc=scipy.special.betainc,
    airy=lambda x: scipy.special.airy(x)[0],
    det=np.linalg.det,
    logdet=lambda a: np.linalg.slogdet(a)[1],
    inv=np.linalg.inv,
    solve=np.linalg.solve,
    cholesky=np.linalg.cholesky,
    expm=scipy.linalg.expm,
    eigenvalues=np.linalg.eigvalsh,
    singular_values=lambda a: np.linalg.svd(a, compute_uv=False),
    pseudo_noise=lambda y, x, amplitude: y * (1 + amplitude * _hashed(x)),
    noise=lambda y, deviation: y * (1 + deviation),
    quantised=lambda y, unit: np.rint(y / unit) * unit,
    single=np.float32,
    tolerance=4e-16,
)
"""NumPy and SciPy: in whatever precision they are given."""


# In 110 digits


def _each(function: Callable[..., Any], inputs: int = 1) -> Any:
    return np.frompyfunc(function, inputs, 1)


def _array(matrix: Any) -> Any:
    return np.array(matrix.tolist(), dtype=object)


def _matrix(a: Any) -> Any:
    return mp.matrix(a.tolist())


def _solve(a: Any, b: Any) -> Any:
    return np.array(list(mp.lu_solve(_matrix(a), mp.matrix(b.tolist()))), dtype=object)


EXACT = SimpleNamespace(
    **{name: getattr(np, name) for name in SHARED},
    **{name: _each(getattr(mp, exact)) for name, exact in ELEMENTWISE.items()},
    **{name: _each(function) for name, function in SPECIAL.items()},
    lambertw=mp.lambertw,
    zeta=mp.zeta,
    betainc=lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True),
    airy=mp.airyai,
    det=lambda a: mp.det(_matrix(a)),
    logdet=lambda a: mp.log(abs(mp.det(_matrix(a)))),
    inv=lambda a: _array(mp.inverse(_matrix(a))),
    solve=_solve,
    cholesky=lambda a: _array(mp.cholesky(_matrix(a))),
    expm=lambda a: _array(mp.expm(_matrix(a), method="taylor")),
    eigenvalues=lambda a: np.array(list(mp.eigsy(_matrix(a), eigvals_only=True)), dtype=object),
    singular_values=lambda a: np.array(list(mp.svd_r(_matrix(a), compute_uv=False)), dtype=object),
    pseudo_noise=lambda y, *_: y,
    noise=lambda y, _: y,
    quantised=lambda y, _: y,
    single=lambda x: x,
    tolerance=mp.mpf(10) ** -100,
)
"""mpmath; noise is left out, and so is rounding."""


def exact(value: Any) -> Any:
    """The very numbers in `value`, a float, an array or a list of them, in exact arithmetic; anything else as it is."""
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, np.ndarray):
        return _each(lambda x: mp.mpf(float(x)))(value)
    return mp.mpf(float(value)) if isinstance(value, float | np.floating) else value


def true_slopes(fun: Callable[..., Any], x: Any, direction: Any, constants: tuple[Any, ...]) -> list[Any]:
    """Slope on the left and on the right along `direction`; without a side that lies outside the domain."""
    fixed = tuple(map(exact, constants))
    at, v = exact(x), exact(direction)

    def value(t: Any) -> Any:
        moved = [a + t * b for a, b in zip(at, v, strict=True)] if isinstance(at, list) else at + t * v
        try:
            return mp.mpmathify(np.asarray(fun(EXACT, moved, *fixed), dtype=object)[()])
        except (ValueError, ZeroDivisionError):
            return mp.nan

    centre = value(0)
    slopes = [(value(t) - centre) / t for t in (-TRUTH_STEP, TRUTH_STEP)]
    return [slope for slope in slopes if isinstance(slope, mpmath.mpf) and mp.isfinite(slope)]


# In the precision of a family


def rounded(value: Any, precision: str) -> Any:
    """A float, an array or a list of them with every number rounded to `precision`; anything else as it is."""
    if isinstance(value, list):
        return [rounded(item, precision) for item in value]
    if not isinstance(value, float | np.floating | np.ndarray):
        return value
    if precision == "bfloat16":
        tensor = torch.asarray(np.asarray(value, dtype=np.float64)).to(torch.bfloat16)
        return tensor.to(torch.float64).numpy()[()]
    return np.asarray(value, dtype=precision)[()]


def programme(fun: Callable[..., Any], constants: tuple[Any, ...], precision: str) -> Callable[[Any], Any]:
    """`fun` with its constants as it runs in `precision`: whatever it is given, it works in that and returns that."""
    if precision == "bfloat16":
        fixed = [_tensor(c) for c in constants]
        return lambda x: fun(torch, x.to(torch.bfloat16), *fixed)
    dtype = np.dtype(precision).type

    def run(x: Any) -> Any:
        own = [leaf.astype(dtype) for leaf in x] if isinstance(x, list) else x.astype(dtype)[()]
        return dtype(fun(FLOATING, own, *constants))

    return run


def placed(x: Any, precision: str) -> Any:
    """`x` as the parameters of such a programme."""
    return _tensor(x) if precision == "bfloat16" else x if isinstance(x, list) else np.asarray(x)


def _tensor(value: Any) -> Any:
    return (
        torch.asarray(np.asarray(value)).to(torch.bfloat16)
        if isinstance(value, float | np.ndarray)
        else value
    )
