"""Two ports may differ by what rounding did to each of them, entry by entry, and by nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradproof.porting.comparing.bars import Rounded, Samples, gap
from gradproof.verdict import Verdict

SINGLE = 2.0**-24


def rounded(double, own=None, moved=None, further=None, redrawn=None):
    samples = Samples(own, SINGLE, redrawn, moved, lambda: further or moved)
    return Rounded.of(np.asarray(double, float), samples)


def in_single(x):
    return np.float64(np.float32(x))


@given(seed=st.integers(0, 999), scale=st.sampled_from([1e-200, 1e-6, 1.0, 1e30]))
def test_two_orders_of_one_sum_agree(seed, scale):
    rng = np.random.default_rng(seed)
    terms = rng.normal(size=(50, 8)) * scale
    ours, theirs = terms.sum(0), np.flip(terms, 0).cumsum(0)[-1]
    own = (terms / scale).astype(np.float32).cumsum(0)[-1].astype(float) * scale
    assert gap(rounded(ours, own), rounded(theirs, own)).verdict is Verdict.AGREES


@given(seed=st.integers(0, 999), share=st.floats(1e-9, 1.0))
def test_an_entry_that_is_off_is_named(seed, share):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(5, 6)) + 3
    y = x.copy()
    y[2, 3] *= 1 + share
    found = gap(rounded(x, in_single(x)), rounded(y, in_single(y)))
    assert found.verdict is Verdict.DISAGREES
    assert found.worst == (2, 3)
    assert found.excess > 1
    assert (found.expected, found.found) == (x[2, 3], y[2, 3])


def test_one_huge_entry_does_not_hide_the_others():
    x = np.array([-1e9, 1.0, 2.0, 3.0])
    y = x + np.array([0, 0, 1e-9, 0])
    assert gap(rounded(x, in_single(x)), rounded(y, in_single(y))).worst == (2,)


def test_the_bar_of_a_port_that_computes_in_a_lower_precision_inside_is_that_precision():
    x = np.random.default_rng(0).normal(size=1000)
    nudged = (in_single(x * (1 + 2.0**-26)), in_single(x * (1 - 2.0**-26)))
    theirs = rounded(in_single(x), in_single(x), nudged)
    assert gap(rounded(x, in_single(x)), theirs).verdict is Verdict.AGREES
    assert gap(rounded(x, in_single(x)), rounded(in_single(x), in_single(x))).verdict is Verdict.DISAGREES
    off = rounded(in_single(x) * (1 + 1e-4), in_single(x), tuple(one * (1 + 1e-4) for one in nudged))
    assert gap(rounded(x, in_single(x)), off).verdict is Verdict.DISAGREES


def test_a_coarser_dtype_inside_is_seen_where_most_entries_are_zero():
    """The cotangent of all tokens, of which the loss takes one."""
    x = np.zeros((17, 20))
    x[0] = np.random.default_rng(0).normal(size=20)
    nudged = in_single(x * (1 + 2.0**-24)), in_single(x * (1 - 2.0**-24))
    assert gap(rounded(x), rounded(in_single(x), in_single(x), nudged)).verdict is Verdict.AGREES


def test_another_draw_of_the_roundings_is_a_bar():
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    redrawn = tuple(x + 1e-14 * rng.normal(size=20) for _ in range(2))
    noisy = rounded(x, redrawn=redrawn)
    assert gap(rounded(x), noisy.like(x + 2e-14)).verdict is Verdict.AGREES
    assert gap(rounded(x), noisy.like(x + 1e-12)).verdict is Verdict.DISAGREES


def test_what_is_nothing_but_rounding_agrees_with_other_rounding():
    rng = np.random.default_rng(0)
    x, y, *redrawn = rng.normal(size=(4, 20)) * 1e-17
    assert gap(rounded(x), rounded(y, redrawn=tuple(redrawn))).verdict is Verdict.AGREES


@pytest.mark.parametrize("at_the_kink", [1.0, 0.5], ids=["one side", "the mean of both"])
def test_a_kink_is_no_draw_of_the_roundings(at_the_kink):
    x = np.random.default_rng(0).normal(size=20)
    x[3] = at_the_kink
    redrawn = x.copy(), x.copy()
    redrawn[0][3], redrawn[1][3] = 1.0, 0.0
    y = x.copy()
    y[3] += 0.25
    found = gap(rounded(x, redrawn=redrawn), rounded(y))
    assert (found.verdict, found.worst) == (Verdict.DISAGREES, (3,))


def test_curvature_is_no_rounding():
    """sin(1e5 x) has second differences of 1e-7 where x moves by 2⁻²⁶ of itself, and four times as large ones at twice that."""
    x = np.random.default_rng(0).normal(size=50)
    y = np.sin(1e5 * x)
    moved, further = (
        tuple(np.sin(1e5 * x * (1 + side * h)) for side in (1, -1)) for h in (2.0**-26, 2.0**-25)
    )
    found = rounded(y * (1 + 1e-6), in_single(y), moved, further)
    assert gap(rounded(y, in_single(y)), found).verdict is Verdict.DISAGREES


def test_a_kink_is_no_rounding():
    """To one side of the point the gradient of a clipped value is 1, to the other 0: a second difference of that size."""
    x = np.random.default_rng(0).normal(size=20)
    moved = x.copy(), x.copy()
    moved[0][3] += 1.0
    y = x.copy()
    y[3] += 0.5
    found = gap(rounded(x, in_single(x)), rounded(y, in_single(y), moved))
    assert (found.verdict, found.worst) == (Verdict.DISAGREES, (3,))


def test_what_cancelling_leaves_is_known_to_the_digits_of_its_terms():
    left = np.array([1e-17, 3e-17])
    stuck = rounded(left, own=np.zeros(2)).beside(1.0)
    assert gap(stuck, rounded(np.zeros(2))).verdict is Verdict.AGREES
    assert gap(stuck, rounded(np.full(2, 1e-14))).verdict is Verdict.DISAGREES


def test_a_small_number_is_known_as_well_as_a_large_one():
    """A factor of 1e-20 (a constant of physics) takes no digits away."""
    x = np.array([1.0, 3.0]) * 1e-20
    small = rounded(x, own=x * (1 + 1e-8)).beside(1.0)
    assert gap(small, rounded(x * (1 + 1e-9))).verdict is Verdict.DISAGREES


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_has_to_be_the_same(odd):
    same = np.array([1.0, odd])
    assert gap(rounded(same), rounded(same)).verdict is Verdict.AGREES
    assert gap(rounded([1.0, 2.0]), rounded(same)).verdict is Verdict.DISAGREES
    assert gap(rounded(same), rounded([1.0, 2.0])).worst == (1,)


def test_infinities_of_two_signs_differ():
    assert gap(rounded([np.inf]), rounded([-np.inf])).verdict is Verdict.DISAGREES


def test_nothing_agrees_with_nothing():
    assert gap(rounded(np.zeros((0, 3))), rounded(np.zeros((0, 3)))).verdict is Verdict.AGREES
    assert gap(rounded(np.zeros(3)), rounded(np.zeros(3))).verdict is Verdict.AGREES


def test_zero_is_not_a_small_number():
    assert gap(rounded(np.zeros(3)), rounded([0.0, 1e-300, 0.0])).verdict is Verdict.DISAGREES


def test_a_gradient_that_is_zero_but_for_rounding_agrees_with_zero():
    """A bias before a normalisation: terms of size 1 that cancel."""
    rounding = np.random.default_rng(0).normal(size=8)
    double, own = rounding * 2.0**-53, rounding * 2.0**-24
    assert gap(rounded(double, own), rounded(np.zeros(8), np.zeros(8))).verdict is Verdict.AGREES
