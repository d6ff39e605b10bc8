"""The ladder's bar holds, is narrow on smooth functions, and says so when it cannot know."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gradproof.numeric import Line, climb
from gradproof.numeric.probe import Probe
from gradproof.numeric.short import again
from gradproof.sizes import sizes

UPWARD = Probe((np.ones((), dtype=np.int16),), (sizes(np.zeros(())),), bits=0)


def line(fun, *, centre=None, **kwargs):
    """φ(t) = fun(t), one output."""
    value = np.atleast_1d(np.asarray(fun(0.0) if centre is None else centre, dtype=np.float64))

    def evaluate(leaves):
        return np.atleast_1d(np.asarray(fun(float(next(leaves))), dtype=np.float64))

    return Line(evaluate, [np.asarray(0.0)], UPWARD, value, **kwargs)


def holds(slope, truth):
    return abs(slope.value[0] - truth) <= slope.bar[0]


SMOOTH = {
    "sin": (lambda t: np.sin(1.3 + t), np.cos(1.3)),
    "exp": (np.exp, 1.0),
    "polynomial": (lambda t: (t - 2) ** 3, 12.0),
    "logistic": (lambda t: 1 / (1 + np.exp(-t)), 0.25),
    "square root": (lambda t: np.sqrt(2 + t), 0.5 / np.sqrt(2)),
    "large offset": (lambda t: 1e8 + np.sin(1.3 + t), np.cos(1.3)),
    "tiny": (lambda t: 1e-30 * np.sin(1.3 + t), 1e-30 * np.cos(1.3)),
    "huge": (lambda t: 1e30 * np.sin(1.3 + t), 1e30 * np.cos(1.3)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_the_bar_holds_on_smooth_functions(name):
    fun, truth = SMOOTH[name]
    assert holds(climb(line(fun)), truth)


@pytest.mark.parametrize("name", [name for name in SMOOTH if name != "large offset"])
def test_the_bar_is_narrow_on_smooth_functions(name):
    fun, truth = SMOOTH[name]
    assert climb(line(fun)).bar[0] <= 1e-11 * abs(truth)


@given(st.lists(st.floats(-4, 4), min_size=2, max_size=6), st.floats(0.1, 3), st.floats(-3, 3))
def test_the_bar_holds_on_random_smooth_functions(coefficients, frequency, phase):
    def fun(t):
        return np.polyval(coefficients, t) + np.sin(frequency * t + phase)

    truth = coefficients[-2] + frequency * np.cos(phase)
    assert holds(climb(line(fun)), truth)


def test_noise_widens_the_bar_and_the_bar_still_holds():
    rng = np.random.default_rng(1)
    slopes = [
        climb(line(lambda t: np.sin(1.3 + t) + 1e-6 * rng.normal(), centre=np.sin(1.3))) for _ in range(50)
    ]
    assert all(holds(slope, np.cos(1.3)) for slope in slopes)
    assert all(1e-7 < slope.bar[0] < 1e-2 for slope in slopes)


def test_repeated_values_that_differ_enter_the_bar():
    assert climb(line(np.sin, spread=1e-3)).bar[0] > 1e-3


def test_a_kink_is_seen_with_its_size():
    slope = climb(line(lambda t: np.abs(t) + np.sin(t)))
    assert slope.kink[0]
    assert slope.jump[0] == pytest.approx(2.0, abs=slope.jump_bar[0])


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_function_has_no_kink(name):
    assert not climb(line(SMOOTH[name][0])).kink[0]


def test_a_kink_at_a_distance_does_not_harm():
    slope = climb(line(lambda t: np.maximum(t - 0.05, 0) + np.sin(t)))
    assert holds(slope, 1.0)
    assert not slope.kink[0]
    assert slope.bar[0] < 1e-9


def test_a_domain_edge_costs_levels_only():
    slope = climb(line(lambda t: np.log(0.1 + t) if t > -0.1 else np.nan))
    assert holds(slope, 10.0)
    assert slope.bar[0] < 1e-7


def test_an_exception_is_a_point_outside_the_domain():
    def fun(t):
        if t < -0.1:
            raise ArithmeticError("negative")
        return np.sqrt(0.1 + t)

    sampled = line(fun)
    assert holds(climb(sampled), 0.5 / np.sqrt(0.1))
    assert "ArithmeticError: negative" in sampled.failures


@pytest.mark.parametrize("sign", [1, -1])
def test_at_the_edge_of_the_domain_the_slope_is_that_of_the_inside(sign):
    slope = climb(line(lambda t: np.exp(t) if sign * t >= 0 else np.nan))
    assert slope.one_sided[0]
    assert holds(slope, 1.0)
    assert slope.bar[0] < 1e-8


def test_an_infinite_slope_at_the_edge_is_not_resolved():
    slope = climb(line(lambda t: np.sqrt(t) if t >= 0 else np.nan))
    assert not slope.bar[0] < slope.value[0] / 100


def test_an_edge_too_close_for_the_ladder_is_found_by_scouts():
    slope = climb(line(lambda t: np.log(1e-7 + t) if t > -1e-7 else np.nan))
    assert holds(slope, 1e7)
    assert slope.bar[0] < 1e-2
    assert not slope.one_sided[0]


def test_a_point_outside_the_domain_has_no_slope():
    slope = climb(line(lambda t: 1.0 if t == 0 else np.nan))
    assert slope.outside[0]
    assert np.isinf(slope.bar[0])


def test_a_jump_at_the_point_is_seen():
    assert climb(line(lambda t: np.sin(t) + (t > 0))).broken[0]
    assert not climb(line(lambda t: 1 / (t + 1e-6))).broken[0]


def test_a_fast_oscillation_is_followed_to_its_own_scale():
    slope = climb(line(lambda t: t + 1e-3 * np.sin(1e5 * (t + 1))))
    assert holds(slope, 1 + 100 * np.cos(1e5))
    assert slope.bar[0] < 1e-6


def test_an_oscillation_that_all_steps_meet_in_the_same_phase_is_not_taken_for_a_slope():
    period = 11 / 16 / 2**9
    slope = climb(line(lambda t: t + 1e-3 * np.sin(2 * np.pi * t / period)))
    assert holds(slope, 1 + 1e-3 * 2 * np.pi / period)


@pytest.mark.parametrize("edge", [0.3, 1e-3, 1e-6])
def test_a_dead_unit_has_slope_zero(edge):
    slope = climb(line(lambda t: np.maximum(t - edge, 0.0) + 2))
    assert slope.constant[0]
    assert holds(slope, 0.0)
    assert slope.bar[0] < 1e-7


def test_a_staircase_is_not_called_constant():
    slope = climb(line(lambda t: np.round((t + 0.3) * 1000) / 1000))
    assert slope.stairs[0]
    assert not slope.constant[0]


def test_a_constant_function_is_said_to_be_constant():
    slope = climb(line(lambda _: 3.0))
    assert slope.constant[0]
    assert slope.value[0] == 0
    assert not climb(line(np.sin)).constant[0]


def test_outputs_are_independent():
    def evaluate(leaves):
        t = float(next(iter(leaves)))
        return np.array([np.sin(t), abs(t), np.nan if t else 1.0, 5.0])

    slope = climb(Line(evaluate, [np.asarray(0.0)], UPWARD, evaluate([np.asarray(0.0)])))
    assert slope.kink.tolist() == [False, True, False, False]
    assert slope.outside.tolist() == [False, False, True, False]
    assert slope.constant.tolist() == [False, False, False, True]
    assert abs(slope.value[0] - 1) <= slope.bar[0] < 1e-11


@pytest.mark.parametrize("name", [name for name in SMOOTH if name != "large offset"])
def test_a_smooth_function_costs_few_evaluations(name):
    sampled = line(SMOOTH[name][0])
    climb(sampled)
    assert sampled.evaluations <= 26


def test_the_samples_are_kept():
    ladder = climb(line(np.sin)).ladder
    assert len(ladder.steps) >= 7
    assert np.array_equal(ladder.plus[:, 0], np.sin(ladder.steps))
    assert np.array_equal(ladder.minus[:, 0], np.sin(-ladder.steps))


# Short ladders


@given(
    st.lists(st.floats(-4, 4), min_size=2, max_size=6), st.floats(0.1, 3), st.floats(-3, 3), st.floats(0.1, 2)
)
@example([0.0, 0.0], 1.0, 3.0, 0.1)
def test_the_bar_of_a_short_ladder_holds(coefficients, frequency, phase, turn):
    """Along another direction: the same function, stretched."""

    def fun(t):
        return np.polyval(coefficients, t) + np.sin(frequency * t + phase)

    like = climb(line(fun))
    other = line(lambda t: fun(turn * t))
    truth = turn * (coefficients[-2] + frequency * np.cos(phase))
    assert holds(again([other], like)[0], truth)


@pytest.mark.parametrize("name", SMOOTH)
def test_a_short_ladder_is_short_and_nearly_as_sharp(name):
    fun, truth = SMOOTH[name]
    like, other = climb(line(fun)), line(lambda t: fun(0.9 * t))
    (short,) = again([other], like)
    assert holds(short, 0.9 * truth)
    assert other.evaluations <= 12
    assert short.bar[0] <= 32 * like.bar[0]


@pytest.mark.parametrize(
    "rough",
    [
        lambda t: abs(t) + np.sin(t),
        lambda t: np.sign(t) + np.sin(t),
        lambda t: np.sin(t) + 1e-6 * np.sin(1e5 * t),
        lambda t: np.sin(t) if t <= 0 else np.nan,
    ],
    ids=["kink", "jump", "finer scale", "edge"],
)
def test_where_another_direction_is_not_smooth_a_whole_ladder_is_climbed(rough):
    """What a short ladder cannot know is found as it would have been without it."""
    (short,), whole = again([line(rough)], climb(line(np.sin))), climb(line(rough))
    assert len(short.ladder.steps) == len(whole.ladder.steps)
    assert np.array_equal(short.bar, whole.bar)
    assert (short.kink, short.broken) == (whole.kink, whole.broken)


@pytest.mark.parametrize("like", [abs, np.sign, lambda t: 1.0, lambda t: np.floor(1e3 * t)])
def test_what_was_no_plain_slope_says_nothing_of_another_direction(like):
    other = line(np.sin)
    assert np.array_equal(again([other], climb(line(like)))[0].value, climb(line(np.sin)).value)
    assert other.evaluations >= 14
