"""Functions of an array: outputs that cannot be judged are masked, and no error hides in one that can."""

import math

import numpy as np
import pytest

from gradproof import Reason, Verdict, check

RNG = np.random.default_rng(5)
COUNT = 40
X = RNG.normal(size=COUNT)
MIXING = RNG.normal(size=(COUNT, COUNT)) / COUNT**0.5


def judged(fun, vjp, x=X, **options):
    return check(fun, x, vjp=vjp, sources=("numeric", "hand"), **options)


def outputs_finding(report):
    (finding,) = [f for f in report.findings if f.what == "outputs"]
    return finding


def spoilt(kind):
    """sin(Mx), every tenth output spoilt in a way that leaves it without a derivative at X."""
    bad = np.arange(COUNT) % 10 == 3
    noise = np.random.default_rng(0)
    spoil = {
        "nan": lambda y: np.full_like(y, math.nan),
        "infinite": lambda y: np.full_like(y, -math.inf),
        "jump": lambda y: np.where(y >= np.sin(MIXING @ X), y + 1, y),
        "edge": lambda y: np.sqrt(np.minimum(y - np.sin(MIXING @ X), 0.0) * np.where(y > 2, 1, math.nan)),
        "random": lambda y: y * noise.integers(0, 2, y.shape),
    }[kind]

    def fun(x):
        y = np.sin(MIXING @ x)
        with np.errstate(all="ignore"):
            return np.where(bad, spoil(y), y)

    return fun, bad


def pull(u, x, good=True):
    return MIXING.T @ (np.where(good, u, 0.0) * np.cos(MIXING @ x))


@pytest.mark.parametrize("kind", ["nan", "infinite", "jump", "edge", "random"])
def test_outputs_without_a_derivative_are_masked_and_the_others_judged(kind):
    fun, bad = spoilt(kind)
    report = judged(fun, lambda u, x: pull(u, x, ~bad))
    assert (report.verdict, report.reason) == (Verdict.AGREES, Reason.MASKED)
    assert outputs_finding(report).detail.startswith("4 of 40 outputs left out: ")


@pytest.mark.parametrize("kind", ["nan", "infinite", "jump", "edge", "random"])
def test_what_the_claim_says_of_a_masked_output_does_not_count(kind):
    fun, bad = spoilt(kind)
    report = judged(fun, lambda u, x: pull(u, x) + MIXING.T @ np.where(bad, 7 * u, 0.0))
    assert (report.verdict, report.reason) == (Verdict.AGREES, Reason.MASKED)


@pytest.mark.parametrize("kind", ["nan", "jump", "random"])
@pytest.mark.parametrize("error", [1.0, 1e-3, 1e-6])
def test_an_error_in_one_good_output_is_found_beside_masked_ones(kind, error):
    fun, bad = spoilt(kind)
    wrong = np.where(np.arange(COUNT) == 17, 1 + error, 1.0)
    report = judged(fun, lambda u, x: pull(u * wrong, x, ~bad))
    assert (report.verdict, report.reason) == (Verdict.DISAGREES, Reason.DIFFERS)


def test_a_claim_of_nan_under_masked_outputs_is_undecided():
    fun, bad = spoilt("nan")
    report = judged(fun, lambda u, x: pull(u, x) + MIXING.T @ np.where(bad, u * math.nan, 0.0))
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, Reason.NAN_UNDER_MASK)


def test_most_outputs_masked_leave_the_function_undecided():
    report = judged(
        lambda x: np.where(np.arange(COUNT) < 30, math.nan, np.sin(x)), lambda u, x: u * np.cos(x)
    )
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, Reason.MASKED)


@pytest.mark.parametrize("seed", range(20))
def test_no_good_output_is_masked(seed):
    scales = 10.0 ** np.random.default_rng(seed).uniform(-12, 12, COUNT)
    report = judged(
        lambda x: scales * np.tanh(MIXING @ x),
        lambda u, x: MIXING.T @ (u * scales * (1 - np.tanh(MIXING @ x) ** 2)),
        seed=seed,
    )
    assert (report.verdict, report.reason) == (Verdict.AGREES, None)


@pytest.mark.parametrize("output", range(0, COUNT, 5))
def test_an_error_in_the_smallest_of_badly_scaled_outputs_is_found(output):
    """Weighed alike, an output of 1e-12 beside one of 1e12 could be anything."""
    scales = 10.0 ** np.linspace(-12, 12, COUNT)
    wrong = np.where(np.arange(COUNT) == output, 1 + 1e-6, 1.0)

    def vjp(u, x):
        return MIXING.T @ (u * wrong * scales * (1 - np.tanh(MIXING @ x) ** 2))

    report = judged(lambda x: scales * np.tanh(MIXING @ x), vjp)
    assert (report.verdict, report.reason) == (Verdict.DISAGREES, Reason.DIFFERS)


KINKED = np.where(np.arange(COUNT) % 4 == 0, 0.0, X)


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_outputs_that_kink_are_judged_as_subgradients(at_zero):
    def vjp(u, x):
        return u * np.where(x == 0, at_zero, x > 0)

    report = judged(lambda x: np.maximum(x, 0.0), vjp, KINKED)
    assert report.verdict is Verdict.AGREES
    assert any(f.reason is Reason.SUBGRADIENT and "outputs kink" in f.detail for f in report.findings)


@pytest.mark.parametrize("at_zero", [-3.0, 40.0])
def test_what_is_no_subgradient_is_not_called_right(at_zero):
    def vjp(u, x):
        return u * np.where(x == 0, at_zero, x > 0)

    report = judged(lambda x: np.maximum(x, 0.0), vjp, KINKED)
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, Reason.KINK)


def test_an_error_beside_kinked_outputs_is_found():
    report = judged(
        lambda x: np.maximum(x, 0.0),
        lambda u, x: u * (x > 0) * np.where(np.arange(COUNT) == 1, 1.001, 1),
        np.where(KINKED == 0, 0, np.abs(X)),
    )
    assert (report.verdict, report.reason) == (Verdict.DISAGREES, Reason.DIFFERS)


def test_more_outputs_than_ladders_are_judged_in_bundles():
    x = RNG.normal(size=3 * 4096 + 5)
    wrong = np.where(np.arange(x.size) == 9999, 1 + 1e-3, 1.0)
    assert judged(np.sin, lambda u, x: u * np.cos(x), x).verdict is Verdict.AGREES
    assert judged(np.sin, lambda u, x: u * wrong * np.cos(x), x).verdict is Verdict.DISAGREES


def test_a_report_on_outputs_reads_well():
    fun, bad = spoilt("nan")
    report = judged(fun, lambda u, x: pull(u, x, ~bad))
    assert "4 of 40 outputs left out: 4 not finite" in str(report)
    assert "along probes" not in str(report)
    kinked = judged(lambda x: np.maximum(x, 0.0), lambda u, x: u * (x > 0), KINKED)
    assert kinked.nearest_kink == 0.0
    assert kinked.sources["numeric"].calls <= 500
