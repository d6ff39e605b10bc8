"""Planted mistakes: how many kinds there are, that they change what they say, and that they keep silent where they cannot."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import double_precision
from gradproof.backend import load
from gradproof.check import check_problem
from gradproof.codes import CODES
from gradproof.codes.gradients import GRADIENTS
from gradproof.course import course_problem
from gradproof.faults import FAULTS, plant
from gradproof.faults.claims import scene_of
from gradproof.network import Layer, Network
from gradproof.problems import PROBLEMS, Problem
from gradproof.trees import flatten, leaves_by_path
from gradproof.verdict import Reason, Verdict

COURSE = course_problem(lam=1.0)
ALL = (*PROBLEMS, COURSE)
NAMES = [problem.name for problem in ALL]
BY_NAME = {problem.name: problem for problem in ALL}
NUMERIC = ["numeric", "hand"]

IN_VALUES = [name for name, fault in FAULTS.items() if fault.reason is Reason.DIFFERS]
"""Those that return another gradient at the first call already."""

FIRST = (
    "sign", "double", "two-percent", "a-billionth", "all-zero", "one-entry", "entry-flipped", "entry-dropped", "entries-swapped",
    "shifted", "transposed", "mean", "leaf-forgotten", "nan", "batch-axis", "no-derivative", "bias-regularised",
    "not-regularised", "not-averaged", "bias-forgotten",
)  # fmt: skip
"""Names that others use."""

STEPS = (
    "no-derivative", "one-layer-linear", "slope-at-output", "residual-flipped", "residual-doubled",
    "weight-turned", "delta-doubled",
)  # fmt: skip
"""Those that are made in one layer's step backwards."""


def linear(x, y=1.0):
    return (x * y).sum()


def slopes(x, y=1.0):
    return y * np.ones_like(x)


def of_gradient(right, params=None, args=()):
    """A problem whose gradient at `params` is `right`, a list of arrays."""
    params = params or [np.full(np.shape(g), 0.5 + i) for i, g in enumerate(right)]
    grad = lambda p, *_: [np.array(g, dtype=float) for g in right]  # noqa: E731
    return Problem(
        "linear",
        lambda p, *_: sum((a * g).sum() for a, g in zip(p, right, strict=True)),
        params,
        args,
        grad=grad,
    )


def gradient(problem):
    return flatten(problem.grad(problem.params, *problem.args))[0]


# The listing


def test_there_are_many_kinds_of_mistakes():
    assert len(FAULTS) >= 66
    assert set(FIRST) < set(FAULTS)
    assert len({fault.says for fault in FAULTS.values()}) == len(FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_its_codes_and_shows_somewhere(name):
    fault = FAULTS[name]
    assert fault.name == name
    assert fault.codes
    assert set(fault.codes) <= set(CODES)
    assert len(set(fault.codes)) == len(fault.codes)
    assert any(fault.plant(problem) for problem in ALL)


def test_the_faults_speak_of_most_codes():
    named = {fault.codes[0] for fault in FAULTS.values()}
    # A kink and another function are no mistakes in a gradient; a cotangent is none of the claims here.
    of_gradients = {code.code for code in GRADIENTS}
    assert of_gradients - named <= {"GP109", "GP116", "GP129"}


@pytest.mark.parametrize("problem", ALL, ids=NAMES)
def test_what_is_planted_differs_by_more_than_rounding(problem):
    right = scene_of(problem)
    for name in IN_VALUES:
        faulty = FAULTS[name].plant(problem)
        if faulty is not None:
            wrong = scene_of(faulty).moment.gradient
            assert right.differs(wrong), name
            gaps = [np.linalg.norm(a - b) for a, b in zip(wrong, right.moment.gradient, strict=True)]
            assert max(gaps) > 1e-13, name


def test_planting_leaves_the_problem_as_it_was():
    before = [leaf.copy() for leaf in flatten(COURSE.params)[0]]
    right = gradient(COURSE)
    for fault in FAULTS.values():
        fault.plant(COURSE)
    assert all(np.array_equal(a, b) for a, b in zip(flatten(COURSE.params)[0], before, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(gradient(COURSE), right, strict=True))


# None where nothing changes


@pytest.mark.parametrize("name", IN_VALUES)
def test_a_gradient_of_zero_hides_what_would_leave_it_zero(name):
    zero = of_gradient([np.zeros(3), np.zeros((2, 2))], [np.zeros(3), np.zeros((2, 2))], (np.ones(2), 0.0))
    assert FAULTS[name].plant(zero) is None


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("transposed", [np.array([[1.0, 2.0], [2.0, 3.0]])]),
        ("transposed", [np.array([[1.0, 2.0], [2.0 + 1e-15, 3.0]])]),
        ("leaves-exchanged", [np.array([1.0, 2.0]), np.array([1.0, 2.0])]),
        ("leaf-copied", [np.array([1.0, 2.0]), np.array([3.0])]),
        ("shifted", [np.full(4, 2.0)]),
        ("reversed", [np.array([1.0, 2.0, 1.0])]),
        ("mean", [np.array([3.0])]),
        ("absolute", [np.array([1.0, 2.0])]),
        ("truncated", [np.array([1.0, -2.0])]),
        ("float32-inside", [np.array([0.5, 3.0])]),
        ("float16-inside", [np.array([1e9, 0.1])]),
        ("normalised", [np.array([0.6, 0.8])]),
        ("times-theta", [np.array([2.0])]),
        ("times-m", [np.array([2.0])]),
        ("times-constant", [np.array([2.0])]),
        ("term-left-out", [np.array([2.0])]),
        ("padding-filled", [np.array([2.0, 1.0])]),
        ("squeezed", [np.array([2.0, 1.0])]),
        ("leaf-forgotten", [np.array([2.0, 1.0])]),
        ("stale", [np.array([2.0, 1.0])]),
        ("no-derivative", [np.array([2.0, 1.0])]),
    ],
)
def test_a_fault_that_changes_nothing_is_not_planted(name, right):
    params = [np.ones(np.shape(g)) for g in right]
    assert FAULTS[name].plant(of_gradient(right, params)) is None


def test_what_an_axis_of_length_one_cannot_show_is_not_planted():
    one = of_gradient([np.array([1.0, 2.0])], args=(np.ones((1, 4)),))
    assert FAULTS["times-m"].plant(one) is None
    assert FAULTS["times-m"].plant(of_gradient([np.array([1.0, 2.0])], args=(np.ones((3, 4)),)))


def test_a_parameter_of_zero_cannot_be_divided_by():
    right = [np.array([1.0, 2.0])]
    assert FAULTS["over-theta"].plant(of_gradient(right, [np.array([0.0, 2.0])])) is None
    assert FAULTS["over-theta"].plant(of_gradient(right, [np.array([1.0, 2.0])]))


def test_an_overflow_is_not_planted_as_a_difference():
    assert FAULTS["times-exp"].plant(of_gradient([np.ones(1)], [np.array([1e4])])) is None


@pytest.mark.parametrize("name", ["not-regularised", "penalty-doubled", "bias-regularised", "term-left-out"])
def test_without_a_penalty_its_mistakes_are_not_planted(name):
    assert FAULTS[name].plant(course_problem(lam=0.0)) is None
    assert FAULTS[name].plant(COURSE)


def test_a_problem_without_a_gradient_takes_no_fault():
    bare = Problem("bare", linear, np.ones(3))
    forward = Problem("forward", linear, np.ones(3), jvp=lambda v, x: v.sum())
    assert not any(fault.plant(problem) for fault in FAULTS.values() for problem in (bare, forward))


def test_a_leaf_of_rounding_is_left_alone():
    tiny = of_gradient([np.array([1.0, 2.0]), np.array([3e-17, 1e-17])])
    assert FAULTS["leaf-forgotten"].plant(tiny) is None


# What they do


def test_the_leaves_are_paired_with_the_parameters_by_their_names():
    params = {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])}
    problem = Problem(
        "turned",
        lambda p: (p["a"] ** 2).sum() + (p["b"] ** 3).sum(),
        params,
        grad=lambda p: {"b": 3 * p["b"] ** 2, "a": 2 * p["a"]},
    )
    wrong = plant("decay-surplus", problem)
    new = wrong.grad(params)
    assert new["a"] == pytest.approx(2.1 * params["a"])
    assert new["b"] == pytest.approx(3 * params["b"] ** 2 + 0.1 * params["b"])


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("column-major", [[1, 2, 3], [4, 5, 6]], [[1, 3, 5], [2, 4, 6]]),
        ("transposed", [[1, 2, 3], [4, 5, 6]], [[1, 4, 2], [5, 3, 6]]),
        ("rows-rolled", [[1, 2], [3, 4], [5, 6]], [[5, 6], [1, 2], [3, 4]]),
        ("columns-rolled", [[1, 2, 3], [4, 5, 6]], [[2, 3, 1], [5, 6, 4]]),
        ("quarter-dropped", [[1, 2], [3, 4]], [[0, 2], [3, 4]]),
        ("diagonal-dropped", [[1, 2], [3, 4]], [[0, 2], [3, 0]]),
        ("alternate-zero", [1, 2, 3, 4], [1, 0, 3, 0]),
        ("column-flipped", [[1, 2], [3, 4]], [[-1, 2], [-3, 4]]),
        ("rows-averaged", [[1, 2], [3, 6]], [[2, 4], [2, 4]]),
        ("clipped", [1, 4, -4], [1, 2, -2]),
        ("normalised", [3, 4], [0.6, 0.8]),
        ("padding-filled", [3, 0, 0, 4], [3, 2.5, 2.5, 4]),
        ("constant-added", [3, -4, 3, 4], [3 + 0.01 * 12.5**0.5, -4 + 0.01 * 12.5**0.5, 3 + 0.01 * 12.5**0.5, 4 + 0.01 * 12.5**0.5]),
        ("three-off", [1, 2, 3, 4], [1, 2.02, 3.03, 4.04]),
    ],
)  # fmt: skip
def test_the_wrong_gradient_is_the_one_that_is_meant(name, right, wrong):
    (leaf,) = gradient(plant(name, of_gradient([np.array(right, dtype=float)])))
    assert leaf == pytest.approx(np.array(wrong, dtype=float))


def test_a_size_is_the_first_axis_of_the_first_array_among_the_args():
    problem = of_gradient([np.array([1.0, 2.0])], args=(0.5, np.ones((4, 3))))
    scales = {"times-m": 4, "over-m": 1 / 4, "over-m-twice": 1 / 16, "times-m-minus-1": 3 / 4}
    for name, factor in scales.items():
        assert gradient(plant(name, problem))[0] == pytest.approx(factor * np.array([1.0, 2.0]))


def test_the_mistake_stays_where_it_was_planted():
    """Two entries that are equal but for rounding: which of them is the larger must not decide call by call."""
    problem = Problem("equal", lambda x: (x * x).sum(), np.array([1.0, 1.0, 0.5]), grad=lambda x: 2 * x)
    faulty = plant("entry-flipped", problem)
    assert faulty.grad(np.array([1.0, 1.0 + 1e-15, 0.5])) == pytest.approx([-2.0, 2.0, 1.0])


# Every form of a claim, every framework


def as_value_and_grad(problem):
    return replace(
        problem,
        grad=None,
        value_and_grad=lambda p, *args: (problem.fun(p, *args), problem.grad(p, *args)),
    )


def as_vjp(problem):
    def vjp(cotangent, params, *args):
        leaves, structure = flatten(problem.grad(params, *args))
        return structure.unflatten([cotangent * leaf for leaf in leaves])

    return replace(problem, grad=None, vjp=vjp)


FORMS = {"value_and_grad": as_value_and_grad, "vjp": as_vjp}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", list(FAULTS)[::3])
def test_a_fault_is_planted_in_every_form_of_a_claim(name, form):
    right = [FORMS[form](problem) for problem in ALL if problem is not COURSE]
    faulty = next((wrong for problem in right if (wrong := FAULTS[name].plant(problem))), None)
    if faulty is None:
        assert name in (
            *STEPS,
            "stale",
            *(n for n in FAULTS if n.startswith(("bias", "penalty", "not-"))),
            "not-averaged",
        )
        return
    assert list(faulty.claims()) == [form]
    report = check_problem(faulty, sources=NUMERIC)
    assert report.verdict is Verdict.DISAGREES
    assert FAULTS[name].due(report.reason)


def test_a_mistake_that_ignores_the_cotangent_may_be_refused_for_that():
    report = check_problem(plant("normalised", as_vjp(PROBLEMS[0])), sources=NUMERIC)
    assert report.reason is Reason.NOT_LINEAR
    assert not FAULTS["double"].due(Reason.NOT_LINEAR)
    assert not FAULTS["double"].due(None)


def test_a_function_of_arrays_takes_faults_as_well():
    problem = Problem(
        "squares", lambda x: x * x, np.array([0.5, 1.5, -2.0]), vjp=lambda cotangent, x: 2 * x * cotangent
    )
    report = check_problem(plant("entry-flipped", problem), sources=NUMERIC)
    assert (report.verdict, report.reason) == (Verdict.DISAGREES, Reason.DIFFERS)


def placed(problem, name, dtype="float64"):
    """`problem` with parameters and constants of a framework."""
    backend = load(name)

    def moved(x):
        return backend.from_numpy(np.asarray(x), dtype=dtype)

    leaves, structure = flatten(problem.params)
    args = tuple(arg if isinstance(arg, float) else moved(arg) for arg in problem.args)
    return replace(problem, params=structure.unflatten([moved(leaf) for leaf in leaves]), args=args)


@pytest.mark.parametrize("name", list(FAULTS)[1::6])
@pytest.mark.parametrize("framework", ["torch", "jax.numpy"])
def test_a_fault_is_planted_in_the_arrays_of_a_framework(name, framework):
    with double_precision(framework):
        for problem in (BY_NAME["attention"], BY_NAME["ridge regression"], COURSE):
            right = placed(problem, framework.split(".")[0])
            if (faulty := FAULTS[name].plant(right)) is not None:
                break
        else:
            return  # it shows in other problems, on numpy
        report = check_problem(faulty, sources=NUMERIC)
        assert report.verdict is Verdict.DISAGREES
        assert report.reason is FAULTS[name].reason


def test_arrays_that_cannot_be_written_into_are_not():
    with double_precision("jax.numpy"):
        assert FAULTS["writes-params"].plant(placed(PROBLEMS[0], "jax")) is None
    assert FAULTS["writes-params"].plant(placed(PROBLEMS[0], "torch"))


def test_what_single_precision_cannot_show_is_not_planted_in_it():
    single = placed(PROBLEMS[0], "torch", "float32")
    assert FAULTS["a-billionth"].plant(single) is None
    assert FAULTS["float32-inside"].plant(single) is None
    assert FAULTS["two-percent"].plant(single)


def test_one_function_per_framework_keeps_its_claim():
    problem = replace(PROBLEMS[0], fun={"numpy": PROBLEMS[0].fun, "torch": PROBLEMS[0].fun})
    for name in ("double", "stale"):
        faulty = plant(name, problem)
        assert set(faulty.fun) == {"numpy", "torch"}
        assert check_problem(faulty, sources=NUMERIC).reason is FAULTS[name].reason


# What they keep


def test_what_a_fault_keeps_is_kept_by_one_planting_alone():
    first, second = plant("accumulates", PROBLEMS[0]), plant("accumulates", PROBLEMS[0])
    first.grad(PROBLEMS[0].params)
    (right,), (once,) = gradient(PROBLEMS[0]), gradient(second)
    assert np.array_equal(once, right)
    (twice,) = gradient(second)
    assert twice == pytest.approx(2 * right)
    assert np.array_equal(once, right)


def test_what_is_stale_is_the_point_of_the_last_forward_pass():
    faulty, x = plant("stale", PROBLEMS[0]), PROBLEMS[0].params
    assert faulty.grad(x) == pytest.approx(PROBLEMS[0].grad(x))
    faulty.fun(2 * x)
    assert faulty.grad(x) == pytest.approx(PROBLEMS[0].grad(2 * x))


# Faulty networks


@pytest.mark.parametrize("name", STEPS)
def test_the_deltas_of_a_faulty_network_show_the_mistake(name):
    problem = COURSE if FAULTS[name].plant(COURSE) else BY_NAME["network 4-4-4-3"]
    right, wrong = problem.grad.__self__, plant(name, problem).grad.__self__
    assert isinstance(wrong, Network)
    x, y, _ = problem.args
    assert wrong.loss(problem.params, x, y) == right.loss(problem.params, x, y)
    pairs = zip(right.deltas(problem.params, x, y), wrong.deltas(problem.params, x, y), strict=True)
    same = [np.allclose(a, b, rtol=1e-9) for a, b in pairs]
    # From the loss backwards: right up to the layer of the mistake, and wrong from there on.
    assert same == sorted(same)
    assert same[-1] != name.startswith("residual")


def test_the_derivative_may_be_missing_in_one_layer_only():
    problem = BY_NAME["network 4-4-4-3"]
    x, y, _ = problem.args
    once, everywhere = (plant(name, problem).grad.__self__ for name in ("one-layer-linear", "no-derivative"))
    ours, theirs = once.deltas(problem.params, x, y), everywhere.deltas(problem.params, x, y)
    assert np.allclose(ours[1], theirs[1])
    assert not np.allclose(ours[0], theirs[0])


@pytest.mark.parametrize("name", ["bias-averaged", "bias-forgotten", "no-derivative"])
def test_a_faulty_networks_gradient_has_the_form_of_the_parameters(name):
    network, (x, y, lam) = COURSE.grad.__self__, COURSE.args
    forms = {"tuple": COURSE.params, "list": list(COURSE.params), "theta": network.flatten(COURSE.params)}
    wrong = {form: plant(name, replace(COURSE, params=params)) for form, params in forms.items()}
    answers = {form: wrong[form].grad(params, x, y, lam) for form, params in forms.items()}
    assert isinstance(answers["tuple"], tuple)
    assert isinstance(answers["list"], list)
    assert isinstance(answers["tuple"][0], Layer)
    assert np.array_equal(answers["theta"], network.flatten(answers["list"]))


def test_a_network_may_state_value_and_gradient_together():
    network = COURSE.grad.__self__
    faulty = plant("bias-forgotten", replace(COURSE, grad=None, value_and_grad=network.value_and_gradient))
    value, slope = faulty.value_and_grad(COURSE.params, *COURSE.args)
    assert value == network.loss(COURSE.params, *COURSE.args)
    assert not slope[0].bias.any()
    assert check_problem(faulty, sources=NUMERIC).verdict is Verdict.DISAGREES


def test_bias_faults_change_the_biases_and_nothing_else():
    right = leaves_by_path(COURSE.grad(COURSE.params, *COURSE.args))
    for name in ("bias-regularised", "bias-averaged", "bias-forgotten"):
        wrong = leaves_by_path(plant(name, COURSE).grad(COURSE.params, *COURSE.args))
        changed = {path for path, leaf in right.items() if not np.array_equal(leaf, wrong[path])}
        assert changed <= {"[0].bias", "[1].bias"}
