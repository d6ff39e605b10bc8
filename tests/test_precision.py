"""Code in less than double precision: what its rounding excuses, and what it does not."""

import numpy as np
import pytest

from gradproof import Reason, Verdict, check


def verdict(fun, x, grad, **options):
    report = check(fun, x, grad=grad, sources=("numeric", "hand"), **options)
    return report.verdict, report.reason


def sum_of_squares(x):
    return 0.5 * (x**2).sum()


def cumulative(x):
    """x, as the naive float32 gradient of a loss whose terms are added one after another."""
    running = np.cumsum(x, dtype=x.dtype)
    return np.concatenate([running[:1], np.diff(running)])


@pytest.mark.parametrize("size", [100, 10_000, 300_000])
def test_a_claim_that_lost_digits_in_float32_is_no_wrong_formula(size):
    x = np.random.default_rng(size).uniform(0.5, 1.5, size).astype(np.float32)
    found = verdict(sum_of_squares, x, cumulative)
    assert found[0] is not Verdict.DISAGREES


@pytest.mark.parametrize("size", [100, 10_000])
@pytest.mark.parametrize("error", [1e-2, 1e-3])
def test_a_wrong_formula_is_refused_in_float32(size, error):
    x = np.random.default_rng(size).uniform(0.5, 1.5, size).astype(np.float32)
    assert verdict(sum_of_squares, x, lambda x: x * np.float32(1 + error))[0] is Verdict.DISAGREES


def test_a_claim_that_loses_all_digits_in_float32_is_not_called_right():
    """(1 + x) − 1 of x = 1e-8: nothing is left."""

    def grad(x):
        return (x + np.float32(1e8)) - np.float32(1e8)

    x = np.full(5, 0.3, dtype=np.float32)
    assert verdict(sum_of_squares, x, grad) == (Verdict.UNDECIDED, Reason.RESOLUTION)


def test_a_float32_claim_is_asked_once_in_float64():
    seen = []

    def grad(x):
        seen.append(x.dtype)
        return x

    check(sum_of_squares, np.ones(3, dtype=np.float32), grad=grad, sources=("numeric", "hand"))
    assert seen.count(np.dtype("float64")) == 1
