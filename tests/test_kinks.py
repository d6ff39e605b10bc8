"""The distance to the nearest kink, and the reading of slight differences."""

import numpy as np
import pytest

from gradproof import Reason, Verdict, check


def judged(fun, grad, x, **options):
    return check(fun, x, grad=grad, sources=("numeric", "hand"), **options)


def hinge(distance):
    return (
        lambda x: float(np.exp(x).sum() + np.maximum(x - 1 - distance, 0).sum()),
        lambda x: np.exp(x) + (x > 1 + distance),
    )


@pytest.mark.parametrize("distance", [1e-9, 1e-6, 1e-4, 3e-3])
def test_the_distance_of_a_kink_nearby_is_reported(distance):
    fun, grad = hinge(distance)
    report = judged(fun, grad, np.array([1.0]))
    assert report.verdict is Verdict.AGREES
    step = abs(report.probes[0].probe[0][0])
    assert report.nearest_kink * step == pytest.approx(distance, rel=1e-3)
    assert "nearest kink" in str(report)
    assert report.to_dict()["nearest_kink"] == report.nearest_kink


def test_a_kink_at_the_point_is_at_distance_zero():
    report = judged(lambda x: float(np.abs(x).sum() + x.sum()), lambda x: np.ones(1), np.array([0.0]))
    assert (report.verdict, report.nearest_kink) == (Verdict.AGREES, 0.0)
    assert "at the point itself" in str(report)


@pytest.mark.parametrize("w", [1.0, 30.0, 1e3])
def test_a_smooth_function_has_none(w):
    report = judged(lambda x: float(np.sin(w * x).sum()), lambda x: w * np.cos(w * x), np.array([1.2]))
    assert (report.verdict, report.nearest_kink) == (Verdict.AGREES, None)
    assert "nearest kink" not in str(report)


def solved(tolerance):
    """Root of y + tanh(y)/2 = Σx by fixed-point iteration, and its implicit derivative."""

    def root(x):
        y, last = 0.0, np.inf
        while abs(y - last) > tolerance:
            y, last = x.sum() - np.tanh(y) / 2, y
        return float(y)

    return root, lambda x: np.full(x.shape, 1 / (1 + (1 - np.tanh(root(x)) ** 2) / 2))


@pytest.mark.parametrize("tolerance", [1e-3, 1e-4, 1e-6, 1e-8, 1e-10])
def test_a_loose_solver_is_reported_with_its_size_and_that_reading(tolerance):
    report = judged(*solved(tolerance), np.array([0.3, 0.5]))
    assert (report.verdict, report.reason) == (Verdict.DISAGREES, Reason.DIFFERS)
    (finding,) = [f for f in report.findings if f.verdict is Verdict.DISAGREES]
    assert tolerance / 10 < finding.gap / finding.scale < 10 * tolerance
    assert "iterative solver" in report.detail
    assert "iterative solver" in str(report)


def test_the_reading_is_not_given_for_a_gross_difference():
    report = judged(lambda x: float((x**2).sum()), lambda x: 3 * x, np.array([0.3, 0.5]))
    assert report.verdict is Verdict.DISAGREES
    assert "iterative" not in str(report)
