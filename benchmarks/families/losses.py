"""Losses as they are trained: several variables, several leaves."""

from typing import Any

import numpy as np

from families.registry import family, log_uniform, normal, uniform


def _labels(rng: np.random.Generator, count: int, classes: int) -> Any:
    return np.eye(classes)[rng.integers(0, classes, count)]


def log_sum_exp(m: Any, z: Any) -> Any:
    """log Σ exp(z) over the last axis, without overflow."""
    top = m.max(z, axis=-1)
    return top + m.log(m.sum(m.exp(z - top[..., None]), axis=-1))


@family("loss", lambda r: (uniform(r, 1, 30) * normal(r, 10),))
def log_of_sum_of_exponentials(m: Any, x: Any) -> Any:
    """log Σ exp(x), ten variables of deviation to 30."""
    top = m.max(x)
    return top + m.log(m.sum(m.exp(x - top)))


@family("loss", lambda r: (normal(r, 5), normal(r, 12, 5), 2.0 * r.integers(0, 2, 12) - 1))
def logistic_regression(m: Any, x: Any, inputs: Any, signs: Any) -> Any:
    """Mean log(1 + exp(−y·w·x)), 12 examples, five weights."""
    return m.sum(m.log1p(m.exp(-signs * (inputs @ x)))) / 12


def classifier_draw(rng: np.random.Generator) -> tuple[Any, ...]:
    """Weights and biases of a 3-5-3 network, six inputs and their one-hot labels."""
    x = [normal(rng, 5, 3), normal(rng, 5), normal(rng, 3, 5), normal(rng, 3)]
    return x, normal(rng, 6, 3), _labels(rng, 6, 3)


@family("loss", classifier_draw)
def classifier(m: Any, x: Any, inputs: Any, labels: Any) -> Any:
    """Softmax cross-entropy of a 3-5-3 tanh network, its weights and biases."""
    hidden = m.tanh(inputs @ x[0].T + x[1])
    logits = hidden @ x[2].T + x[3]
    return m.sum(log_sum_exp(m, logits) - m.sum(logits * labels, axis=-1)) / 6


@family("loss", lambda r: (np.array([normal(r), normal(r)]), 3 + normal(r, 20)))
def gaussian_likelihood(m: Any, x: Any, data: Any) -> Any:
    """−log likelihood of 20 numbers, mean and log deviation."""
    return m.sum(((data - x[0]) / m.exp(x[1])) ** 2) / 2 + 20 * x[1]


def _process(rng: np.random.Generator) -> tuple[Any, ...]:
    return np.array([normal(rng), normal(rng), uniform(rng, -6, 0)]), normal(rng, 5), normal(rng, 5)


@family("loss", _process)
def gaussian_process(m: Any, x: Any, inputs: Any, targets: Any) -> Any:
    """−log marginal likelihood, squared-exponential kernel, five points."""
    distance = (inputs[:, None] - inputs) / m.exp(x[0])
    kernel = m.exp(x[1]) * m.exp(-distance * distance / 2) + m.exp(x[2]) * np.eye(5, dtype=inputs.dtype)
    return (targets @ m.solve(kernel, targets) + m.logdet(kernel)) / 2


@family("loss", lambda r: (normal(r, 4) / 2, normal(r, 15, 4), r.poisson(2, 15).astype(float)))
def poisson_regression(m: Any, x: Any, inputs: Any, counts: Any) -> Any:
    """Σ exp(w·x) − y·w·x, 15 examples."""
    rates = inputs @ x
    return m.sum(m.exp(rates) - counts * rates)


@family("loss", lambda r: ([normal(r, 4, 3), normal(r, 4, 3), normal(r, 4, 3)], normal(r, 4, 3)))
def attention(m: Any, x: Any, weights: Any) -> Any:
    """softmax(Q·Kᵀ/√3)·V, weighted and summed, 4 × 3."""
    scores = x[0] @ x[1].T / 1.7320508075688772
    raised = m.exp(scores - m.max(scores, axis=-1)[:, None])
    return m.sum(weights * ((raised / m.sum(raised, axis=-1)[:, None]) @ x[2]))


@family("loss", lambda r: (normal(r, 8) * log_uniform(r, 1e-2, 1e2), normal(r, 8), 1e-5))
def layer_normalisation(m: Any, x: Any, w: Any, epsilon: Any) -> Any:
    """w·(x − mean)/√(variance + 1e−5), eight variables."""
    centred = x - m.sum(x) / 8
    return m.sum(w * centred) / m.sqrt(m.sum(centred * centred) / 8 + epsilon)


@family("loss", lambda r: (np.array([normal(r), normal(r), uniform(r, 0, 3)]), 3 * normal(r, 20)))
def student_likelihood(m: Any, x: Any, data: Any) -> Any:
    """−log likelihood of 20 numbers under Student's t: location, log scale, log freedom."""
    freedom = m.exp(x[2])
    squares = ((data - x[0]) / m.exp(x[1])) ** 2
    normaliser = m.gammaln(freedom / 2) - m.gammaln((freedom + 1) / 2) + m.log(freedom) / 2
    return 20 * (normaliser + x[1]) + (freedom + 1) / 2 * m.sum(m.log1p(squares / freedom))


@family("loss", lambda r: ([normal(r, 5, 2), normal(r, 2, 4)], normal(r, 5, 4), log_uniform(r, 1e-3, 1)))
def factorisation(m: Any, x: Any, data: Any, weight: Any) -> Any:
    """|U·V − M|² + w·(|U|² + |V|²), 5 × 2 × 4."""
    return m.sum((x[0] @ x[1] - data) ** 2) + weight * (m.sum(x[0] ** 2) + m.sum(x[1] ** 2))
