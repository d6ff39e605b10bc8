"""Fresh functions of statistics, with gradients by hand: regressions, likelihoods, a Gaussian process."""

__all__ = [
    "counts",
    "counts_gradient",
    "normal",
    "normal_gradient",
    "process",
    "process_gradient",
    "pseudo_huber",
    "pseudo_huber_gradient",
    "sequence",
    "sequence_gradient",
    "softmax_regression",
    "softmax_regression_gradient",
]

from typing import Any

from gradproof.arrays import Array, Namespace, namespace


def _xp(params: Any) -> Namespace:
    return namespace(*params.values())


def _log_softmax(z: Array) -> Array:
    xp = namespace(z)
    z = z - xp.max(z, axis=1, keepdims=True)
    return z - xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True))


def softmax_regression(params: Any, x: Array, labels: Array, lam: float) -> Array:
    """Mean cross-entropy and ½λ·‖weight‖²; the bias is not regularised."""
    xp = _xp(params)
    scores = _log_softmax(x @ params["weight"] + params["bias"])
    return -xp.sum(labels * scores) / x.shape[0] + 0.5 * lam * xp.sum(params["weight"] ** 2)


def softmax_regression_gradient(params: Any, x: Array, labels: Array, lam: float) -> Any:
    """Of `softmax_regression`."""
    xp = _xp(params)
    delta = (xp.exp(_log_softmax(x @ params["weight"] + params["bias"])) - labels) / x.shape[0]
    return {"weight": x.T @ delta + lam * params["weight"], "bias": xp.sum(delta, axis=0)}


def pseudo_huber(w: Array, x: Array, y: Array, delta: float) -> Array:
    """Mean pseudo-Huber loss of a linear model."""
    xp = namespace(w)
    return delta**2 * xp.mean(xp.sqrt(1 + ((x @ w - y) / delta) ** 2) - 1)


def pseudo_huber_gradient(w: Array, x: Array, y: Array, delta: float) -> Array:
    """Of `pseudo_huber`."""
    xp, error = namespace(w), x @ w - y
    return x.T @ (error / xp.sqrt(1 + (error / delta) ** 2)) / y.shape[0]


def sequence(logits: Array, labels: Array, mask: Array) -> Array:
    """The rows of padding do not move it."""
    xp = namespace(logits)
    return -xp.sum(mask * labels * _log_softmax(logits)) / xp.sum(mask)


def sequence_gradient(logits: Array, labels: Array, mask: Array) -> Array:
    """Of `sequence`."""
    xp = namespace(logits)
    return mask * (xp.exp(_log_softmax(logits)) - labels) / xp.sum(mask)


def normal(params: Any, x: Array) -> Array:
    """Mean negative log-likelihood of independent normals, less a constant."""
    xp = _xp(params)
    unit = (x - params["mean"]) * xp.exp(-params["log_sigma"])
    return xp.mean(0.5 * xp.sum(unit * unit, axis=1)) + xp.sum(params["log_sigma"])


def normal_gradient(params: Any, x: Array) -> tuple[Array, Any]:
    """Value and gradient."""
    xp = _xp(params)
    unit = (x - params["mean"]) * xp.exp(-params["log_sigma"])
    slopes = {
        "mean": -xp.mean(unit, axis=0) * xp.exp(-params["log_sigma"]),
        "log_sigma": 1 - xp.mean(unit * unit, axis=0),
    }
    return normal(params, x), slopes


def _covariance(log_scales: Array, squares: Array) -> tuple[Array, Array]:
    xp = namespace(log_scales)
    power, length, noise = (xp.exp(2 * log_scales[i]) for i in range(3))
    smooth = power * xp.exp(-0.5 * squares / length)
    return smooth, smooth + noise * xp.eye(squares.shape[0])


def process(log_scales: Array, squares: Array, y: Array) -> Array:
    """A Gaussian process: three logarithms decide everything."""
    xp, (_, k) = namespace(log_scales), _covariance(log_scales, squares)
    return 0.5 * y @ xp.linalg.solve(k, y[:, None])[:, 0] + 0.5 * xp.linalg.slogdet(k)[1]


def process_gradient(log_scales: Array, squares: Array, y: Array) -> Array:
    """Of `process`."""
    # Rasmussen & Williams 2006, "Gaussian processes for machine learning", equation 5.9.
    xp, (smooth, k) = namespace(log_scales), _covariance(log_scales, squares)
    inverse = xp.linalg.inv(k)
    alpha = inverse @ y
    core = inverse - alpha[:, None] * alpha[None, :]
    noise = xp.exp(2 * log_scales[2]) * xp.eye(squares.shape[0])
    changes = (2 * smooth, smooth * squares / xp.exp(2 * log_scales[1]), 2 * noise)
    return xp.stack([0.5 * xp.sum(core * change) for change in changes])


def counts(params: Any, x: Array, counts: Array, exposure: Array) -> Array:
    """Poisson regression; the intercept is a leaf of shape (1,)."""
    xp, eta = _xp(params), x @ params["slope"] + params["intercept"]
    return xp.sum(exposure * xp.exp(eta) - counts * eta)


def counts_gradient(params: Any, x: Array, counts: Array, exposure: Array) -> Any:
    """Of `counts`."""
    xp, eta = _xp(params), x @ params["slope"] + params["intercept"]
    residual = exposure * xp.exp(eta) - counts
    return {"slope": x.T @ residual, "intercept": xp.reshape(xp.sum(residual), (1,))}
