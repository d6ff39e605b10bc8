"""What a Report holds and shows."""

import json
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


def test_the_worst_leaf_stands_last_in_the_table_with_the_value_of_every_source(wrong):
    lines = render(wrong, width=100).splitlines()
    row = next(line for line in lines if "✗" in line)
    entry = next(line for line in lines if "jax +" in line or "jax -" in line)
    assert lines.index(entry) == lines.index(row) + 1
    assert row.split()[0] == entry.split("[")[0] + "[" + entry.split("[")[1] or row.startswith(entry[:3])
    values = dict(zip(entry.split()[-6::2], map(float, entry.split()[-5::2]), strict=True))
    assert values["hand"] == pytest.approx(-values["jax"])
    assert values["jax"] == pytest.approx(values["torch"])


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(wrong, width):
    assert max(map(len, render(wrong, width=width).splitlines())) <= width


def test_forty_lines_hold_a_report_of_many_leaves():
    params = [np.full(3, float(i + 1)) for i in range(60)]
    report = check(
        lambda ps: sum((p**2).sum() for p in ps),
        params,
        grad=lambda ps: [2.1 * p for p in ps],
        sources=SOURCES,
    )
    text = render(report, width=100)
    assert len(text.splitlines()) <= 40
    assert "48 more leaves" in text


def test_a_name_in_brackets_is_not_taken_for_markup():
    report = check(
        lambda p: square(p["[red]x[/red]"]), {"[red]x[/red]": np.ones(2)}, grad=lambda p: p, sources=SOURCES
    )
    assert "[red]x[/red]" in str(report)


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


def test_the_first_line_of_code_names_the_answer_when_printed_narrow(right):
    assert render(right, width=40).splitlines()[-1].endswith("torch")
