"""Rounding that looks like a slope, scales that a ladder misses, jumps nearby: the bar holds, or the answer says why not."""

from math import erf

import numpy as np
import pytest

from gradproof import Reason, Verdict, check
from gradproof.numeric import Line, climb
from gradproof.numeric.probe import Probe
from gradproof.sizes import Sizes


def line_through(fun, x, code, bits, **kwargs):
    """φ(t) = fun(x + t·code/2^bits)."""
    probe = Probe((np.asarray(code, dtype=np.int16),), (Sizes(0, np.zeros((), dtype=np.int8)),), bits)

    def evaluate(leaves):
        return np.atleast_1d(np.float64(fun(float(next(iter(leaves))))))

    return Line(evaluate, [np.asarray(x)], probe, np.atleast_1d(np.float64(fun(x))), **kwargs)


def judged(fun, x, grad, **options):
    return check(fun, np.asarray(x), grad=grad, sources=("numeric", "hand"), **options)


@pytest.mark.parametrize(
    ("w", "x", "code"),
    [(6736.284200858309, -1.9830636466188487, 103)],
)
def test_a_product_rounded_to_a_fixed_grid_does_not_pass_for_a_slope(w, x, code):
    """On seven levels running its rounding error halves with the step, bit for bit; between the levels it does not."""
    slope = climb(line_through(lambda x: np.sin(w * x), x, code, 5))
    assert abs(slope.value[0] - w * np.cos(w * x) * code / 32) <= slope.bar[0]


def test_values_of_a_fixed_grid_whose_steps_are_halved_exactly():
    """exp rounded to a millionth: on a finer scale every level falls on the grid, and seems free of noise."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        x, n, code = rng.uniform(-3, 3), 10.0 ** rng.uniform(5, 8), int(rng.integers(256, 512))
        slope = climb(line_through(lambda x, n=n: np.round(np.exp(x) * n) / n, x, code, 8))
        off = abs(slope.value[0] - np.exp(x) * code / 256)
        assert slope.stairs[0] or off <= slope.bar[0] + 1e-13


def test_a_factor_that_is_constant_between_roundings():
    """x·Φ(x) far to the left: 1 + erf is one of few multiples of 2⁻⁵³, so on a piece the slope is Φ's alone."""

    def unit(x):
        return x * (1 + erf(x / 2**0.5)) / 2

    def slope(x):
        return (1 + erf(x / 2**0.5)) / 2 + x * np.exp(-x * x / 2) / (2 * np.pi) ** 0.5

    for x in np.linspace(-8.2, -6.0, 23):
        for seed in range(2):
            right = judged(lambda x: unit(float(x)), x, slope, seed=seed)
            assert right.verdict is not Verdict.DISAGREES
            of_piece = judged(
                lambda x: unit(float(x)), x, lambda x: np.asarray((1 + erf(float(x) / 2**0.5)) / 2), seed=seed
            )
            assert of_piece.verdict is not Verdict.AGREES


def test_naive_logarithms_are_never_refused():
    for x in 10.0 ** np.linspace(-10, -6, 9):
        report = judged(lambda x: np.log(1 + x) / x, x, lambda x: np.asarray(-0.5 + 2 * x / 3))
        assert report.verdict is not Verdict.DISAGREES


def test_huge_values_at_coarse_steps_do_not_hide_the_scale():
    def logistic(x):
        for _ in range(10):
            x = 3.9 * x * (1 - x)
        return x

    def slope(x):
        d = 1.0
        for _ in range(10):
            x, d = 3.9 * x * (1 - x), 3.9 * (1 - 2 * x) * d
        return np.asarray(d)

    for x in np.linspace(0.1, 0.9, 16):
        assert judged(logistic, x, slope).verdict is Verdict.AGREES


@pytest.mark.parametrize("distance", [1e-2, 3e-3, 1e-3])
def test_a_pole_that_single_precision_only_just_resolves(distance):
    one = np.float32(1)

    def grad(x):
        return np.asarray(-1 / (np.float64(x) - 1) ** 2, dtype=np.float32)

    for sign in (-1, 1):
        x = np.float32(1 + sign * distance)
        report = judged(lambda x: one / (np.float32(x) - one), x, grad)
        assert report.verdict is not Verdict.DISAGREES


def test_a_fast_sine_in_single_precision():
    for x in np.linspace(0.5, 2, 20).astype(np.float32):
        report = judged(
            lambda x: np.sin(np.float32(400) * np.float32(x)), x,
            lambda x: np.asarray(400 * np.cos(400 * np.float64(x)), dtype=np.float32),
        )  # fmt: skip
        assert report.verdict is not Verdict.DISAGREES


@pytest.mark.parametrize("height", [1e-3, 1.0, 1e6])
def test_a_jump_at_the_point_is_called_one(height):
    report = judged(lambda x: np.sin(x) + height * (x > 1.2), 1.2, np.cos)
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, Reason.JUMP)


@pytest.mark.parametrize("distance", [1e-5, 1e-4, 3e-3, 2e-2, 0.2])
@pytest.mark.parametrize(("factor", "due"), [(1.0, Verdict.AGREES), (1.001, Verdict.DISAGREES)])
def test_a_jump_that_stands_alone_is_no_staircase(distance, factor, due):
    report = judged(
        lambda x: 3 * x + (x > 1.2 + distance), np.float64(1.2), lambda x: np.asarray(factor * 3.0)
    )
    assert report.verdict is due


def test_many_outputs_with_jumps_at_many_distances():
    x = np.random.default_rng(0).uniform(-2, 2, 50)
    right = check(lambda x: x - np.trunc(x), x, vjp=lambda u, x: u, sources=("numeric", "hand"))
    assert right.verdict is Verdict.AGREES
    wrong = np.where(np.arange(50) == 7, -1.0, 1.0)
    flipped = check(lambda x: x - np.trunc(x), x, vjp=lambda u, x: u * wrong, sources=("numeric", "hand"))
    assert flipped.verdict is Verdict.DISAGREES


@pytest.mark.parametrize("draw", range(6))
def test_a_staircase_in_single_precision_is_not_called_a_slope(draw):
    """Its steps of 1/1000 look like the noise of a slope at all but the finest levels."""
    x = np.random.default_rng(draw).uniform(-9, 9, 30).astype(np.float32)
    report = check(
        lambda x: np.round(x.astype(np.float32), 3), x,
        vjp=lambda u, x: np.zeros_like(x), sources=("numeric", "hand"),
    )  # fmt: skip
    assert report.verdict is not Verdict.DISAGREES
