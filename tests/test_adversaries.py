"""From a hunt for wrong verdicts: right gradients that were refused, wrong ones that passed."""

import numpy as np
import pytest

from gradproof import Reason, Verdict, check

SEEDS = pytest.mark.parametrize("seed", range(6))


def judged(fun, x, **options):
    return check(fun, x, sources=("numeric", "hand"), **options)


@SEEDS
@pytest.mark.parametrize("power", [2.5, 3.0, 4.0])
def test_a_tangent_at_the_edge_of_the_domain(power, seed):
    def fun(x):
        with np.errstate(all="ignore"):
            return np.sum(x**power)

    report = judged(
        fun, np.array([0, 1.0, 2]), jvp=lambda t, x: np.sum(t * power * x ** (power - 1)), seed=seed
    )
    assert report.verdict is Verdict.AGREES


@SEEDS
@pytest.mark.parametrize("power", [1.05, 1.2, 1.3, 1.5])
def test_a_power_without_a_series_is_not_refused_at_zero(power, seed):
    def fun(x):
        with np.errstate(all="ignore"):
            return np.sum(x**power)

    report = judged(fun, np.array([0.0]), grad=lambda x: power * x ** (power - 1), seed=seed)
    assert report.verdict is not Verdict.DISAGREES


@SEEDS
def test_some_outputs_are_quantised(seed):
    x = np.array([0.5, 1.0, 1.5, 2.0, 2.5])

    def fun(x):
        return np.concatenate([np.sin(x), x**2, x**3, np.exp(x), np.round(np.cos(x), 3)])

    def vjp(u, x):
        u = u.reshape(5, -1)
        return u[0] * np.cos(x) + u[1] * 2 * x + u[2] * 3 * x**2 + u[3] * np.exp(x) - u[4] * np.sin(x)

    report = judged(fun, x, vjp=vjp, seed=seed)
    assert (report.verdict, report.reason) == (Verdict.AGREES, Reason.MASKED)
    assert report.certificate is None, "it would hold for a part of the outputs"


@SEEDS
@pytest.mark.parametrize("draw", range(3))
def test_all_outputs_are_quantised(draw, seed):
    x = np.random.default_rng(draw).normal(size=50)
    report = judged(lambda x: np.round(np.cos(x) * 64) / 64, x, vjp=lambda u, x: -u * np.sin(x), seed=seed)
    assert report.verdict is Verdict.UNDECIDED


@SEEDS
def test_a_linear_solve_with_an_ill_conditioned_matrix(seed):
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    a = q @ np.diag([1, 0.1, 0.01, 1e-3, 1e-4]) @ q.T
    b = np.random.default_rng(seed).normal(size=5)
    report = judged(
        lambda b: np.linalg.solve(a, b).sum(), b, grad=lambda _b: np.linalg.solve(a.T, np.ones(5)), seed=seed
    )
    assert report.verdict is not Verdict.DISAGREES


FEATURES = np.array([[1.0, 1, 2], [1, 1, 3], [2, 1, -1], [1, -1, 1]])
LABELS = np.array([1.0, -1, 1, -1])
TIES = {
    "hinge": (
        lambda w: np.maximum(0, 1 - LABELS * (FEATURES @ w)).mean(),
        np.array([1.0, -2.0, 1.0]),
        lambda w: -(FEATURES * (LABELS * (1 - LABELS * (FEATURES @ w) > 0))[:, None]).mean(0),
    ),
    "max": (lambda x: x.max(), np.array([1.0, 1.0, 0.3]), lambda x: np.eye(3)[x.argmax()]),
    "absolute value": (
        lambda x: np.abs(x - 1).sum(),
        np.array([1.0]),
        lambda x: np.where(x >= 1, 1.0, -1.0),
    ),
}


@SEEDS
@pytest.mark.parametrize("name", TIES)
@pytest.mark.parametrize("factor", [-100.0, 7.0])
def test_a_tie_does_not_hide_a_factor(name, factor, seed):
    fun, x, grad = TIES[name]
    assert judged(fun, x, grad=lambda x: factor * grad(x), seed=seed).verdict is not Verdict.AGREES
    assert judged(fun, x, grad=grad, seed=seed).verdict is not Verdict.DISAGREES


@SEEDS
def test_a_wrong_slope_of_kinked_outputs_is_not_passed(seed):
    x = np.where(np.arange(10) % 2, 0, np.random.default_rng(0).normal(size=10))
    report = judged(
        lambda x: np.maximum(x, 0), x, vjp=lambda u, x: u * np.where(x == 0, 3.0, x > 0), seed=seed
    )
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, Reason.KINK)


def test_the_complex_step_refutes_nothing_alone():
    """It takes np.linalg.norm for a constant, a term that is too small for real values to miss."""

    def fun(w):
        return 1e6 + np.sin(w).sum() + 1e-9 * np.linalg.norm(w) ** 2

    w = np.random.default_rng(0).normal(size=5)
    assert judged(fun, w, grad=lambda w: np.cos(w) + 2e-9 * w).verdict is Verdict.AGREES
