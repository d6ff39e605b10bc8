"""Points on the edge of a function's domain: probabilities of 0 and 1, roots at 0."""

import numpy as np
import pytest

from gradproof import Reason, Verdict, check
from gradproof.numeric.probe import _scaled

CORNERS = np.array([0.0, 1.0, 0.3, 1.0, 0.0, 0.6, 1.0, 0.0])
SIGNS = np.where(np.random.default_rng(0).random(40) < 0.2, -1.0, 1.0)


def within(inside, value):
    return float(value.sum()) if inside.all() else float("nan")


POINTS = {
    "probabilities": (
        lambda p: within((p >= 0) & (p <= 1), p * np.cos(p)),
        lambda p: np.cos(p) - p * np.sin(p),
        CORNERS,
    ),
    "zeros": (lambda p: within(p >= 0, np.sin(p + 1)), lambda p: np.cos(p + 1), np.zeros(7)),
    "ones": (lambda p: within(p <= 1, np.sin(p)), np.cos, np.ones(5)),
    "some up, some down": (
        lambda p: within(p * SIGNS >= 0, np.sin(p + 1)),
        lambda p: np.cos(p + 1),
        np.zeros(40),
    ),
    "one parameter": (lambda p: within(p >= 0, np.exp(p)), np.exp, np.zeros(1)),
    "a leaf of several": (
        lambda p: within(np.array([p["a"] >= 0]), np.exp(p["a"])) + np.sin(p["b"]).sum(),
        lambda p: {"a": np.exp(p["a"]), "b": np.cos(p["b"])},
        {"a": np.asarray(0.0), "b": np.array([0.5, -2.0])},
    ),
}


def judged(fun, x, grad, **options):
    return check(fun, x, grad=grad, sources=("numeric", "hand"), **options)


def times(factor):
    def scaled(tree):
        if isinstance(tree, dict):
            return {name: (factor if name == "a" else 1.0) * leaf for name, leaf in tree.items()}
        wrong = np.ones(tree.shape)
        wrong[-1] = factor
        return wrong * tree

    return scaled


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("seed", range(3))
def test_a_right_gradient_at_the_edge_agrees(name, seed):
    fun, grad, x = POINTS[name]
    report = judged(fun, x, grad, seed=seed)
    assert report.verdict is Verdict.AGREES
    assert all(finding.resolution < 1e-6 for finding in report.findings if finding.what == "slope")


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.001])
def test_a_wrong_one_is_refused(name, factor):
    fun, grad, x = POINTS[name]
    report = judged(fun, x, lambda p: times(factor)(grad(p)))
    assert (report.verdict, report.reason) == (Verdict.DISAGREES, Reason.DIFFERS)


def test_no_certificate_is_given_where_probes_were_turned():
    fun, grad, x = POINTS["probabilities"]
    assert judged(fun, x, grad).certificate is None


def test_a_root_at_zero_has_no_slope():
    report = judged(lambda p: within(p >= 0, np.sqrt(np.abs(p))), np.zeros(3), lambda p: np.full(3, 1e8))
    assert report.verdict is Verdict.UNDECIDED


def test_a_point_with_no_way_in_is_undecided():
    report = judged(lambda p: within(p == 0, p + 1), np.zeros(3), np.ones_like)
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, Reason.DOMAIN)


@pytest.mark.parametrize("smallest", [-1100, -1070, -900, -10, 0, 500, 880, 960])
def test_directions_are_code_times_a_power_of_two_of_any_size(smallest):
    """Made of bits where that can be, by ldexp where it cannot: the same numbers."""
    rng = np.random.default_rng(0)
    code = rng.integers(-511, 512, 1000).astype(np.int16)
    above = rng.integers(-3, 40, 1000).astype(np.int8)
    due = np.ldexp(code.astype(np.float64), above.astype(np.int32) + smallest)
    np.testing.assert_array_equal(_scaled(code, above, smallest), due)
