"""Stencils are exact: their weights are rationals that solve Taylor's conditions."""

from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradproof.numeric.stencils import central, stencil


def moment(rule, power):
    return sum(weight * offset**power for weight, offset in zip(rule.weights, rule.offsets, strict=True))


def test_the_course_stencil_is_half_the_difference():
    assert central().offsets == (-1, 0, 1)
    assert central().weights == (Fraction(-1, 2), 0, Fraction(1, 2))


@pytest.mark.parametrize(
    ("accuracy", "weights"),
    [
        (4, ["1/12", "-2/3", "0", "2/3", "-1/12"]),
        (6, ["-1/60", "3/20", "-3/4", "0", "3/4", "-3/20", "1/60"]),
    ],
)
def test_known_central_weights(accuracy, weights):
    assert central(1, accuracy).weights == tuple(map(Fraction, weights))


def test_the_second_derivative():
    assert central(2).weights == (1, -2, 1)


@given(st.sets(st.integers(-9, 9), min_size=2, max_size=9), st.data())
def test_taylors_conditions_hold_exactly_and_the_accuracy_is_the_true_one(offsets, data):
    derivative = data.draw(st.integers(1, len(offsets) - 1))
    rule = stencil(sorted(offsets), derivative)
    for power in range(derivative + rule.accuracy):
        assert moment(rule, power) == (factorial(derivative) if power == derivative else 0)
    assert moment(rule, derivative + rule.accuracy) != 0


def test_a_stencil_is_exact_on_polynomials_below_its_order():
    rule = central(1, 6)
    assert rule(lambda x: x**6 - 3 * x, 0.5, 0.25) == pytest.approx(6 * 0.5**5 - 3, rel=1e-13)


def test_applying_keeps_the_precision_of_float32():
    assert central()(lambda x: x * x, np.float32(3), np.float32(0.5)).dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: stencil((0, 1, 1), 1), "offsets repeat"),
        (lambda: stencil((0, 1), 2), "needs 1 ≤ derivative < number of offsets; got 2 offsets"),
        (lambda: central(1, 3), "even accuracy ≥ 2; got 3"),
        (lambda: central(1, 0), "even accuracy ≥ 2; got 0"),
    ],
)
def test_impossible_stencils_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
