"""Whole numeric derivatives: the course's loop in every namespace, and Estimates whose bars hold."""

import numpy as np
import pytest

from gradproof import Estimate
from gradproof.numeric import central_difference, gradient, jacobian
from gradproof.problems import PROBLEMS
from gradproof.trees import ROOT, leaves_by_path


def host(x):
    return np.asarray(x) if not hasattr(x, "__dlpack__") else np.from_dlpack(x)


def test_the_course_loop_works_in_every_namespace(xp):
    theta = xp.asarray([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], dtype=xp.float64)
    slopes = central_difference(lambda t: xp.sum(t * t * t), theta)
    assert slopes.shape == theta.shape
    assert slopes.dtype == theta.dtype
    assert np.allclose(host(slopes), 3 * host(theta) ** 2, atol=2e-8)


def test_the_course_loop_uses_the_step_it_is_given():
    theta = np.array([1.0])
    error = central_difference(lambda t: (t**3).sum(), theta, step=0.1) - 3.0
    assert error == pytest.approx(0.01)


def test_the_course_loop_leaves_theta_alone():
    theta = np.array([1.0, 2.0])
    central_difference(lambda t: t.sum(), theta)
    assert theta.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("fun", "theta", "step", "message"),
    [
        (lambda t: t.sum(), np.array([1, 2]), 1e-4, "has dtype int64"),
        (lambda t: t.sum(), np.ones(2), 0.0, "step is a positive number; got 0.0"),
        (lambda t: t.sum(), np.ones(2), float("nan"), "step is a positive number; got nan"),
        (lambda t: t, np.ones(2), 1e-4, r"fun returned shape \(2,\), a gradient needs a scalar"),
    ],
)
def test_the_course_loop_refuses_bad_input(fun, theta, step, message):
    with pytest.raises(ValueError, match=message):
        central_difference(fun, theta, step)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_the_gradients_bars_hold_and_are_narrow(problem):
    estimates = gradient(problem.fun, problem.params, args=problem.args)
    estimates = {ROOT: estimates} if isinstance(estimates, Estimate) else estimates
    truth = leaves_by_path(problem.grad(problem.params, *problem.args))
    assert estimates.keys() == truth.keys()
    for path, estimate in estimates.items():
        assert isinstance(estimate, Estimate)
        assert estimate.shape == truth[path].shape
        assert np.all(np.abs(estimate.value - truth[path]) <= estimate.bar + 1e-15 * np.abs(truth[path]))
        assert np.max(estimate.bar) <= 1e-8 * max(1.0, np.max(np.abs(truth[path])))


def test_the_jacobian_has_the_shape_of_output_and_leaf():
    x = np.array([0.5, -1.5, 2.0])
    estimate = jacobian(lambda v: np.stack([np.sin(v), v**2]), x)
    assert estimate.shape == (2, 3, 3)
    truth = np.stack([np.diag(np.cos(x)), np.diag(2 * x)])
    assert np.all(np.abs(estimate.value - truth) <= estimate.bar + 1e-15)
    assert np.max(estimate.bar) < 1e-10


def test_an_output_without_derivative_has_an_infinite_or_honest_bar():
    estimate = jacobian(
        lambda v: np.array([v[0], np.sqrt(v[1]) if v[1] >= 0 else np.nan]), np.array([1.0, 0.0])
    )
    assert abs(estimate.value[0, 0] - 1.0) <= estimate.bar[0, 0] < 1e-12
    assert not estimate.bar[1, 1] < 1e-3 * abs(estimate.value[1, 1])


def test_a_gradient_of_an_array_is_refused():
    with pytest.raises(
        ValueError, match=r"fun returned shape \(2,\), a gradient needs a scalar; use numeric.jacobian"
    ):
        gradient(lambda v: v, np.ones(2))


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_the_gradient_of_float32_parameters_is_computed_in_float64(framework):
    make = pytest.importorskip({"torch": "torch", "jax": "jax.numpy"}[framework])
    x = make.asarray([0.5, -1.5, 2.0], dtype=make.float32)
    estimate = gradient(lambda v: (v * v * v).sum(), x)
    assert np.max(np.abs(estimate.value - 3 * np.array([0.5, -1.5, 2.0]) ** 2)) < 1e-12
