"""The checker is tested by what it must refuse: every fault, for the right reason, from every source; the truth accepted."""

from dataclasses import replace

import pytest

from gradproof.check import check_problem
from gradproof.course import course_problem
from gradproof.faults import FAULTS, plant
from gradproof.problems import PROBLEMS
from gradproof.verdict import Reason, Verdict

COURSE = course_problem(lam=1.0)
ALL = (*PROBLEMS, COURSE)
NAMES = [problem.name for problem in ALL]
NUMERIC = ["numeric", "hand"]
FRAMEWORKS = ["numeric", "hand", "jax", "torch"]

SHOWN = {
    name: [problem for problem in ALL if fault.plant(problem) is not None] for name, fault in FAULTS.items()
}
"""The problems in which each fault can be planted."""

PROBLEMS_PER_FAULT = 2
"""The whole grid of some 900 takes a minute and has no exception; these are spread over all problems."""


def sample():
    """(fault, problem) for a few problems of each fault, other ones from fault to fault."""
    for number, (fault, problems) in enumerate(SHOWN.items()):
        turned = problems[number % len(problems) :] + problems[: number % len(problems)]
        step = -(-len(problems) // PROBLEMS_PER_FAULT)
        yield from ((fault, problem) for problem in turned[::step])


SAMPLE = tuple(sample())


def reasons(report):
    return {finding.reason for finding in report.findings if finding.verdict is Verdict.DISAGREES}


@pytest.mark.parametrize("problem", ALL, ids=NAMES)
@pytest.mark.parametrize("sources", [NUMERIC, FRAMEWORKS], ids=["numeric", "frameworks"])
def test_the_truth_is_accepted_by_every_source(problem, sources):
    report = check_problem(problem, sources=sources)
    assert {result.verdict for result in report.sources.values()} == {Verdict.AGREES}
    assert report.verdict is Verdict.AGREES
    assert report.odd_one_out is None


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("problem", ALL, ids=NAMES)
def test_the_truth_is_accepted_whatever_the_seed(problem, seed):
    assert check_problem(problem, sources=NUMERIC, seed=seed).verdict is Verdict.AGREES


@pytest.mark.parametrize(("fault", "problem"), SAMPLE, ids=[f"{f}-{p.name}" for f, p in SAMPLE])
def test_every_fault_is_refused_by_function_values_alone(fault, problem):
    report = check_problem(plant(fault, problem), sources=NUMERIC)
    assert report.verdict is Verdict.DISAGREES
    assert report.reason is FAULTS[fault].reason
    assert report.odd_one_out == "hand"


def test_every_fault_is_refused_in_two_problems_at_least_where_it_shows_in_two():
    refused = {fault: [p.name for f, p in SAMPLE if f == fault] for fault in FAULTS}
    assert all(
        len(set(names)) >= min(2, len(SHOWN[fault])) and len(names) >= 1 for fault, names in refused.items()
    )
    assert {problem.name for _, problem in SAMPLE} == set(NAMES)


IN_THE_COURSE = [fault for fault, problems in SHOWN.items() if COURSE in problems]


@pytest.mark.parametrize("fault", IN_THE_COURSE[::6])
def test_every_fault_is_refused_against_frameworks_and_only_hand_is_blamed(fault):
    report = check_problem(plant(fault, COURSE), sources=FRAMEWORKS)
    assert report.odd_one_out == "hand"
    assert {name for name, result in report.sources.items() if result.verdict is Verdict.AGREES} == {
        "numeric", "jax", "torch",
    }  # fmt: skip
    assert FAULTS[fault].reason in reasons(report)


@pytest.mark.parametrize("fault", ["sign", "two-percent", "one-entry", "a-billionth"])
def test_without_numeric_two_frameworks_outvote_a_wrong_hand(fault):
    report = check_problem(plant(fault, COURSE), sources=["hand", "jax", "torch"])
    assert report.verdict is Verdict.DISAGREES
    assert report.reason is Reason.OUTVOTED
    assert report.odd_one_out == "hand"


def test_without_numeric_one_against_one_is_a_dispute():
    report = check_problem(plant("sign", COURSE), sources=["hand", "jax"])
    assert report.verdict is Verdict.UNDECIDED
    assert report.reason is Reason.DISPUTED
    assert report.odd_one_out is None


def test_the_wrong_leaf_is_named_and_no_other():
    report = check_problem(plant("bias-forgotten", COURSE), sources=NUMERIC)
    wrong = {finding.leaf for finding in report.findings if finding.verdict is Verdict.DISAGREES}
    assert wrong == {"[0].bias"}


def test_the_wrong_entry_is_named():
    report = check_problem(plant("entry-flipped", COURSE), sources=FRAMEWORKS)
    worst = {
        (f.leaf, f.worst) for f in report.findings if f.what == "gradient" and f.verdict is Verdict.DISAGREES
    }
    assert len(worst) == 1
    ((leaf, index),) = worst
    hand, truth = report.gradients["hand"], report.gradients["jax"]
    layer, name = int(leaf[1]), leaf[4:]
    assert getattr(hand[layer], name)[index] == pytest.approx(-getattr(truth[layer], name)[index])


@pytest.mark.parametrize("factor", [1e-30, 1e-8, 1e8, 1e30])
@pytest.mark.parametrize(("fault", "verdict"), [(None, Verdict.AGREES), ("two-percent", Verdict.DISAGREES)])
def test_the_scale_of_the_function_changes_no_verdict(factor, fault, verdict):
    right = PROBLEMS[0]
    problem = right if fault is None else plant(fault, right)
    scaled = replace(
        problem,
        fun=lambda x: factor * right.fun(x),
        grad=lambda x: factor * problem.grad(x),
    )
    assert check_problem(scaled, sources=NUMERIC).verdict is verdict


def test_planting_says_what_it_cannot_do():
    with pytest.raises(ValueError, match="unknown fault 'sing'; did you mean 'sign'"):
        plant("sing", COURSE)
    with pytest.raises(ValueError, match="cannot show in rosenbrock; choose another"):
        plant("bias-forgotten", PROBLEMS[0])
