"""The course's numbers, its table, its warning."""

import numpy as np
import pytest

from gradproof import check, numeric
from gradproof.check import check_problem
from gradproof.course import DIGITS_NETWORK, check_gradients, course_problem, digits, digits_problem
from gradproof.faults import plant
from gradproof.verdict import Verdict

# Printed by the course's checkNNGradients with lambda = 0; the first ten and six later entries.
COURSE_GRADIENT = [
    -9.2783e-03, 8.8991e-03, -8.3601e-03, 7.6281e-03, -6.7480e-03,
    -3.0498e-06, 1.4287e-05, -2.5938e-05, 3.6988e-05, -4.6876e-05,
]  # fmt: skip
COURSE_OUTPUT_GRADIENT = [3.1454e-01, 1.1106e-01, 9.7401e-02, 1.6409e-01, 5.7574e-02, 5.0458e-02]


@pytest.fixture(scope="module")
def table():
    return check_gradients()


def test_the_table_reproduces_the_courses_numbers(table):
    backprop = table.columns["backprop"]
    assert backprop[:10] == pytest.approx(COURSE_GRADIENT, rel=1e-4)
    assert backprop[20:26] == pytest.approx(COURSE_OUTPUT_GRADIENT, rel=1e-4)


def test_the_table_has_a_column_per_source_and_a_row_per_parameter(table):
    assert list(table.columns) == ["backprop", "numeric", "jax", "torch"]
    assert {column.shape for column in table.columns.values()} == {(38,)}


def test_the_relative_difference_is_below_the_courses_bound(table):
    assert table.relative_difference < 1e-9


def test_the_frameworks_equal_backprop_to_rounding(table):
    for name in ("jax", "torch"):
        assert np.max(np.abs(table.columns[name] - table.columns["backprop"])) < 1e-16


def test_the_table_prints_every_parameter(table):
    lines = str(table).splitlines()
    assert lines[1].split() == ["backprop", "numeric", "jax", "torch", "difference"]
    assert len(lines) == 2 + 38 + 1


@pytest.mark.parametrize("lam", [0.0, 1.0, 3.0])
def test_the_course_check_agrees_for_any_lambda(lam):
    assert check_gradients(lam).report.verdict is Verdict.AGREES


def test_a_planted_mistake_shows_in_the_table_and_in_the_verdict():
    table = check_gradients(lam=1.0, fault="bias-regularised")
    assert table.relative_difference > 1e-3
    assert table.report.verdict is Verdict.DISAGREES


def test_the_digits_are_the_uci_test_set():
    x, y = digits()
    assert x.shape == (1797, 64)
    assert y.sum(axis=0).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (x.min(), x.max()) == (0.0, 1.0)


def test_the_digits_network_agrees_with_function_values_in_few_evaluations():
    report = check_problem(digits_problem(), sources=["numeric", "hand"])
    assert report.verdict is Verdict.AGREES
    assert report.sources["numeric"].calls <= 100
    assert report.certificate.relative < 1e-9


def train(gradient, steps=60, rate=2.0):
    """Plain gradient descent on the digits: costs before and after, and the parameters."""
    problem = digits_problem(lam=1.0)
    x, y, lam = problem.args
    params = problem.params
    before = DIGITS_NETWORK.loss(params, x, y, lam)
    for _ in range(steps):
        slopes = gradient(params, x, y, lam)
        params = tuple(
            type(p)(p.weight - rate * g.weight, p.bias - rate * g.bias)
            for p, g in zip(params, slopes, strict=True)
        )
    return before, DIGITS_NETWORK.loss(params, x, y, lam), params


def test_a_few_lines_train_the_network_on_the_digits():
    _, _, params = train(DIGITS_NETWORK.gradient, steps=200)
    x, y = digits()
    right = np.argmax(DIGITS_NETWORK.predict(params, x), axis=1) == np.argmax(y, axis=1)
    assert right.mean() > 0.9


def test_with_a_planted_mistake_the_cost_still_falls_and_only_the_check_finds_it():
    """The course's warning: a buggy gradient may still train."""
    faulty = plant("bias-regularised", digits_problem(lam=1.0))
    before, after, _ = train(faulty.grad)
    assert after < before / 2
    assert check_problem(faulty, sources=["numeric", "hand"]).verdict is Verdict.DISAGREES


def test_theta_may_be_flat_as_in_the_course():
    problem = course_problem(lam=1.0)
    network = problem.grad.__self__
    theta = network.flatten(problem.params)
    report = check(network.loss, theta, args=problem.args, grad=network.gradient, sources=["numeric", "hand"])
    assert report.verdict is Verdict.AGREES
    x, y, lam = problem.args
    loop = numeric.central_difference(lambda t: network.loss(t, x, y, lam), theta)
    assert np.allclose(loop, report.gradients["hand"], rtol=0, atol=1e-9)
