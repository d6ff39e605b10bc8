"""What a Report holds and shows."""

import json
import re
from dataclasses import dataclass

import numpy as np
import pytest

from gradproof import GradientMismatch, Reason, Verdict, assert_gradients, check
from gradproof.check import check_problem
from gradproof.course import course_problem
from gradproof.faults import plant
from gradproof.report.terminal import render

SOURCES = ["numeric", "hand"]


def square(x):
    return (x * x).sum()


@pytest.fixture(scope="module")
def right():
    return check_problem(course_problem(1.0))


@pytest.fixture(scope="module")
def wrong():
    return check_problem(plant("entry-flipped", course_problem(1.0)))


def test_the_answer_stands_in_the_last_line(right, wrong):
    assert str(right).splitlines()[-1] == "✓ AGREES  hand agrees with numeric, jax and torch"
    assert str(wrong).splitlines()[-1] == "✗ DISAGREES  hand is the odd one out; numeric, jax and torch agree"


def test_every_source_has_its_value_at_the_worst_entry(wrong):
    (entry,) = (line for line in render(wrong, width=140).splitlines() if "jax +" in line or "jax -" in line)
    assert entry.split()[0] == "[0]"
    values = {name: float(value) for name, value in re.findall(r"(\w+) ([+-][\d.e-]+) ±", entry)}
    assert next(iter(values)) == "hand"
    assert values["hand"] == pytest.approx(-values["jax"])
    assert values["jax"] == pytest.approx(values["torch"])


def test_the_certificate_is_shown_with_its_confidence_and_seed():
    report = check(
        square, np.array([1.0, 2.0]), grad=lambda x: 2 * x, sources=SOURCES, confidence=0.99, seed=7
    )
    assert "(0.99 confidence, seed 7)" in str(report)


def test_the_certificate_bounds_the_true_error():
    """At a confidence of one half the bound is often close: it has to hold in about half of the draws, or more."""
    x = np.random.default_rng(0).normal(size=20)
    error = 1e-3 * np.random.default_rng(1).normal(size=20)
    held = 0
    for seed in range(40):
        report = check(square, x, grad=lambda x: 2 * x + error, sources=SOURCES, confidence=0.5, seed=seed)
        sizes = np.exp2(np.round(np.log2(np.maximum(np.abs(x), 2.0**-10))))
        held += np.linalg.norm(sizes * error) <= report.certificate.bound
    assert held >= 15


def test_a_report_is_neither_true_nor_false(right):
    with pytest.raises(TypeError, match="four verdicts, not two"):
        bool(right)


def test_plain_data_is_json_without_nan(wrong):
    plain = json.loads(json.dumps(wrong.to_dict(), allow_nan=False))
    assert plain["verdict"] == "DISAGREES"
    assert plain["sources"]["hand"]["reason"] == "DIFFERS"
    assert plain["odd_one_out"] == "hand"
    assert {leaf["path"] for leaf in plain["leaves"]} == {"[0].weight", "[0].bias", "[1].weight", "[1].bias"}


def test_gradients_are_trees_of_host_arrays_like_params():
    @dataclass
    class Params:
        w: np.ndarray
        b: list

    params = Params(np.ones((2, 3)), [np.ones(2)])
    report = check(
        lambda p: (p.w**2).sum() + p.b[0].sum(),
        params,
        grad=lambda p: Params(2 * p.w, [np.ones(2)]),
        sources=SOURCES,
    )
    assert isinstance(report.gradients["hand"], Params)
    assert np.array_equal(report.gradients["hand"].w, 2 * np.ones((2, 3)))


def test_numeric_has_no_entries_and_says_who_does(right):
    with pytest.raises(KeyError, match=r"numeric\.gradient\(fun, params\) computes them"):
        right.gradients["numeric"]
    with pytest.raises(KeyError, match="'flax' gave no gradient; there is one of hand, jax, torch"):
        right.gradients["flax"]


def test_every_probe_keeps_its_ladder(right):
    for probed in right.probes:
        assert probed.slope.ladder.plus.shape == (len(probed.slope.ladder.steps), 1)


def test_assert_gradients_returns_the_report_or_raises_it():
    assert (
        assert_gradients(square, np.ones(3), grad=lambda x: 2 * x, sources=SOURCES).verdict is Verdict.AGREES
    )
    with pytest.raises(GradientMismatch, match="DISAGREES  hand disagrees with numeric") as caught:
        assert_gradients(square, np.ones(3), grad=lambda x: 3 * x, sources=SOURCES)
    assert isinstance(caught.value, AssertionError)
    assert caught.value.report.odd_one_out == "hand"


def test_undecided_is_raised_with_its_reason():
    with pytest.raises(GradientMismatch, match="UNDECIDED") as caught:
        assert_gradients(
            lambda x: (x / x.sum()).sum() * np.inf, np.ones(2), grad=lambda x: x, sources=SOURCES
        )
    assert caught.value.report.reason is Reason.DOMAIN
