"""Which mistake it is: the right one named from function values alone and from another source, and none invented."""

from dataclasses import replace

import numpy as np
import pytest

from gradproof.activations import ACTIVATIONS, Activation
from gradproof.check import check, check_problem
from gradproof.codes import CODES, explain
from gradproof.course import course_problem
from gradproof.diagnosing import Constants, first_wrong_node
from gradproof.diagnosing.diagnose import SIMPLEST
from gradproof.faults import FAULTS
from gradproof.network import Network
from gradproof.nodes import Node
from gradproof.point import take_point
from gradproof.problems import PROBLEMS
from gradproof.verdict import Verdict

VALUES = ["numeric", "hand"]
REFERENCE = ["numeric", "hand", "jax"]
COURSE = course_problem(1.0)

RNG = np.random.default_rng(11)
X, Y, THETA = RNG.normal(size=(9, 4)), RNG.normal(size=9), RNG.normal(size=4)
WEIGHTS = np.array([0.5, 1.0, 2.0, 4.0])


def ridge(theta, x, y, lam, weights):
    xp = np if isinstance(theta, np.ndarray) else __import__("jax.numpy").numpy
    return (
        xp.mean((x @ (weights * theta) - y) ** 2)
        + lam / len(y) * xp.sum(theta**2)
        + 0.0 * xp.sum(xp.sin(theta))
    )


def ridge_gradient(theta, x, y, lam, weights):
    return 2 * weights * (x.T @ (x @ (weights * theta) - y)) / len(y) + 2 * lam / len(y) * theta


def judged(wrong, *, lam=0.7, sources=VALUES, **options):
    """Report of the ridge regression with a gradient that `wrong` makes of the right one and its arguments."""
    return check(
        ridge, THETA, args=(X, Y, lam, WEIGHTS), sources=sources, **options,
        grad=lambda *args: wrong(ridge_gradient(*args), *args),
    )  # fmt: skip


def first(report):
    return report.diagnoses[0] if report.diagnoses else None


MISTAKES = {
    "sign": (lambda g, *_: -g, "GP102", "is the negative"),
    "double": (lambda g, *_: 2 * g, "GP101", "is 2 × the right"),
    "a decimal": (lambda g, *_: 1.02 * g, "GP101", "is 1.02 × the right"),
    "pi": (lambda g, *_: np.pi * g, "GP101", "is pi × the right"),
    "any factor": (lambda g, *_: 1.2345678 * g, "GP101", "is 1.2345678 × the right"),
    "size": (lambda g, *_: 9 * g, "GP104", "is len(x) = 9 × the right"),
    "size less one": (lambda g, *_: g * 8 / 9, "GP104", "is (len(x) - 1)/len(x)"),
    "constant": (lambda g, *_: 0.7 * g, "GP101", "is lam = 0.7 × the right"),
    "shifted": (lambda g, *_: np.roll(g, 1), "GP120", "is shifted by 1"),
    "reversed": (lambda g, *_: g[::-1].copy(), "GP120", "is reversed"),
    "not regularised": (lambda g, t, *_: g - 1.4 / 9 * t, "GP121", "lacks 2*lam/len(x)"),
    "regularised twice": (lambda g, t, *_: g + 1.4 / 9 * t, "GP121", "has 2*lam/len(x)"),
    "times parameter": (lambda g, t, *_: g * t, "GP122", "was multiplied by θ"),
    "over parameter": (lambda g, t, *_: g / t, "GP122", "lacks the factor θ"),
    "log parameter": (lambda g, t, *_: g * np.exp(t), "GP122", "was multiplied by exp(θ)"),
    "weights forgotten": (lambda g, *_: g / WEIGHTS, "GP124", "lacks the factor weights"),
    "weights twice": (lambda g, *_: g * WEIGHTS, "GP124", "was multiplied by weights"),
    "offset": (lambda g, *_: g + 0.25, "GP127", "is 1/4 too large in every entry"),
    "normalised": (lambda g, *_: g / np.linalg.norm(g), "GP128", "was scaled to norm 1"),
    "zero": (lambda g, *_: 0 * g, "GP106", "is zero everywhere"),
    "float32": (lambda g, *_: g.astype(np.float32).astype(float), "GP111", "has the digits of float32"),
    "float16": (lambda g, *_: g.astype(np.float16).astype(float), "GP111", "has the digits of float16"),
    "mean": (lambda g, *_: np.full(4, g.mean()), "GP126", "holds the mean"),
    "sum": (lambda g, *_: np.full(4, g.sum()), "GP126", "holds the sum"),
    "one entry": (lambda g, *_: g + np.eye(4)[2] * 0.3, "GP123", "is wrong in one entry"),
    "one entry zero": (lambda g, *_: g * (1 - np.eye(4)[1]), "GP106", "is zero in"),
    "two exchanged": (lambda g, *_: g[[0, 2, 1, 3]], "GP120", "has the right values exchanged"),
}


@pytest.mark.parametrize("sources", [VALUES, REFERENCE], ids=["values", "reference"])
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_first(name, sources):
    wrong, code, says = MISTAKES[name]
    report = judged(wrong, sources=sources)
    assert report.verdict is Verdict.DISAGREES
    assert (first(report).code, first(report).source) == (code, "hand")
    assert says in first(report).says
    assert report.undiagnosed == ()


@pytest.mark.parametrize("sources", [VALUES, REFERENCE], ids=["values", "reference"])
def test_what_is_no_known_mistake_is_not_given_a_name(sources):
    noise = np.random.default_rng(3).normal(size=4)
    report = judged(lambda g, *_: g + noise, sources=sources)
    assert report.verdict is Verdict.DISAGREES
    assert report.diagnoses == ()
    assert report.undiagnosed == ("hand",)


@pytest.mark.parametrize("seed", range(25))
def test_a_random_linear_map_of_the_gradient_is_not_given_a_name(seed):
    mix = np.random.default_rng(seed).normal(size=(4, 4))
    assert judged(lambda g, *_: mix @ g).diagnoses == ()


def test_a_right_gradient_has_neither_location_nor_diagnosis():
    report = judged(lambda g, *_: g)
    assert report.verdict is Verdict.AGREES
    assert (report.locations, report.diagnoses, report.undiagnosed) == ((), (), ())


def test_the_fitted_number_comes_with_its_bar_and_a_correction_that_works():
    diagnosis = first(judged(lambda g, *_: 1.5 * g))
    assert abs(diagnosis.value - 1.5) <= diagnosis.bar < 1e-6
    assert (diagnosis.named, diagnosis.correction) == ("3/2", "g / (3/2)")
    g = 1.5 * ridge_gradient(THETA, X, Y, 0.7, WEIGHTS)
    np.testing.assert_allclose(eval(diagnosis.correction, {"g": g}), g / 1.5)


def test_several_explanations_are_all_listed_the_simplest_first():
    report = check(lambda t: np.sum(t**2) / 2, np.array([1.0, -2.0]), grad=lambda t: 2 * t, sources=VALUES)
    codes = [diagnosis.code for diagnosis in report.diagnoses]
    assert codes[0] == "GP101"
    assert "GP121" in codes
    assert [SIMPLEST.index(code) for code in codes] == sorted(SIMPLEST.index(code) for code in codes)


def test_one_number_is_not_explained_by_a_fitted_factor():
    report = check(
        lambda t: np.sin(t["a"]) + t["b"] ** 2, {"a": np.asarray(0.3), "b": np.asarray(0.7)}, sources=VALUES,
        grad=lambda t: {"a": 1.2345678 * np.cos(t["a"]), "b": 2 * t["b"]},
    )  # fmt: skip
    assert report.verdict is Verdict.DISAGREES
    assert report.diagnoses == ()


def test_the_same_mistake_in_all_leaves_is_told_once():
    report = check_problem(FAULTS["double"].plant(COURSE), sources=VALUES)
    assert len(report.diagnoses) == 1
    assert set(first(report).leaves) == set(report.leaves)


def test_two_mistakes_in_two_leaves_are_both_named():
    def fun(p):
        return np.sum(np.sin(p["a"])) + np.sum(np.exp(p["b"]))

    params = {"a": RNG.normal(size=(3, 4)), "b": RNG.normal(size=5)}
    report = check(
        fun, params, grad=lambda p: {"a": -np.cos(p["a"]), "b": 3 * np.exp(p["b"])}, sources=VALUES
    )
    assert {(d.code, *d.leaves) for d in report.diagnoses} == {("GP102", "a"), ("GP101", "b")}


# Axes and leaves


def matrices(p, x):
    return np.sum(np.tanh(x @ p["u"] @ p["v"]))


def matrices_gradient(p, x):
    outer = 1 / np.cosh(x @ p["u"] @ p["v"]) ** 2
    return {"u": x.T @ outer @ p["v"].T, "v": (x @ p["u"]).T @ outer}


NOISE = RNG.random((4, 1))
SQUARE = {"u": RNG.normal(size=(4, 4)) / 2, "v": RNG.normal(size=(4, 4)) / 2}


@pytest.mark.parametrize(
    ("code", "says", "wrong"),
    [
        ("GP103", "transposed", lambda g: {"u": g["u"].T.copy(), "v": g["v"]}),
        ("GP119", "what was given for", lambda g: {"u": g["v"], "v": g["u"]}),
        ("GP119", "holds a copy", lambda g: {"u": g["v"], "v": g["v"]}),
        ("GP106", "is zero in row 0", lambda g: {"u": g["u"] * (np.arange(4) > 0)[:, None], "v": g["v"]}),
        ("GP108", "is wrong in column 2 only", lambda g: {"u": g["u"] + np.eye(4)[2] * NOISE, "v": g["v"]}),
        ("GP102", "has the wrong sign in column 1", lambda g: {"u": g["u"] * (1 - 2 * np.eye(4)[1]), "v": g["v"]}),
        ("GP101", "is 3 × the right gradient in row 2", lambda g: {"u": g["u"] * (1 + 2 * np.eye(4)[:, 2:3]), "v": g["v"]}),
    ],
)  # fmt: skip
def test_axes_leaves_and_slices(code, says, wrong):
    report = check(
        matrices, SQUARE, args=(RNG.normal(size=(6, 4)),), sources=VALUES,
        grad=lambda p, x: wrong(matrices_gradient(p, x)),
    )  # fmt: skip
    assert first(report).code == code
    assert says in first(report).says or (says == "what was given for" and says in first(report).correction)


def test_a_vector_unrolled_by_columns_is_told():
    a = RNG.normal(size=(6, 4))

    def fun(theta):
        return np.sum(np.sin(a * theta.reshape(6, 4)) + theta.reshape(6, 4) ** 2)

    def grad(theta):
        t = theta.reshape(6, 4)
        return (a * np.cos(a * t) + 2 * t).ravel(order="F")

    diagnosis = first(check(fun, RNG.normal(size=24), grad=grad, sources=VALUES))
    assert diagnosis.code == "GP103"
    assert "unrolled" in diagnosis.says


# Contracts


CONTRACTS = {
    "GP105": lambda t, *a: (2 * WEIGHTS * a[0] * (a[0] @ (WEIGHTS * t) - a[1])[:, None] + 1.4 * t / 9) / 9 + 1.4 * 8 / 81 * t,
    "GP117": lambda t, *a: ridge_gradient(t, *a)[:3],
    "GP118": lambda t, *a: ridge_gradient(t, *a) + np.array([0, np.nan, 0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("code", CONTRACTS)
def test_a_broken_contract_has_a_code(code):
    claim = (lambda t, *a: np.stack([ridge_gradient(t, *a) / 3] * 3)) if code == "GP105" else CONTRACTS[code]
    report = check(ridge, THETA, args=(X, Y, 0.7, WEIGHTS), grad=claim, sources=VALUES)
    assert report.verdict is Verdict.DISAGREES
    assert first(report).code == code


def test_a_claim_that_would_not_agree_when_summed_is_not_said_to_lack_the_sum():
    report = judged(lambda g, *_: np.stack([g, g, g]))
    assert "GP105" in {d.code for d in report.diagnoses}  # averaged over the new axis it agrees
    report = judged(lambda g, *_: np.stack([g, 2 * g, g**2]))
    assert [d.code for d in report.diagnoses] == ["GP117"]


# Terms


def test_a_term_that_is_left_out_is_known_by_its_constant():
    def fun(t, x, beta):
        return np.sum(np.sin(t)) + beta * np.log(np.sum(np.cosh(x * t)))

    report = check(
        fun, THETA, args=(RNG.normal(size=4), 0.3), grad=lambda t, x, beta: np.cos(t), sources=VALUES
    )
    assert first(report).code == "GP130"
    assert "leaves out the term with beta" in first(report).says


def test_a_term_with_another_weight_is_told_with_the_weight():
    def fun(t, x, beta):
        return np.sum(np.sin(t)) + beta * np.log(np.sum(np.cosh(x * t)))

    def grad(t, x, beta):
        return np.cos(t) + 3 * beta * x * np.sinh(x * t) / np.sum(np.cosh(x * t))

    diagnosis = first(check(fun, THETA, args=(RNG.normal(size=4), 0.3), grad=grad, sources=VALUES))
    assert (diagnosis.code, diagnosis.named) == ("GP130", "3")


# Layers


def deep(activation="tanh"):
    network = Network((4, 6, 5, 3), activation)
    rng = np.random.default_rng(0)
    return network, network.init(seed=3), rng.normal(size=(7, 4)), np.eye(3)[rng.integers(0, 3, 7)]


def test_every_delta_of_the_reference_network_is_right():
    network, params, x, y = deep()
    nodes = network.nodes(params, x, y)
    assert [node.name for node in nodes] == ["layer 0", "layer 1", "layer 2"]
    assert first_wrong_node(nodes) is None
    cost = network.loss(params, x, y)
    for node in nodes:
        assert node.rest(node.value) == pytest.approx(cost, rel=1e-12)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_faulty_step_is_the_last_wrong_delta(layer):
    network, params, x, y = deep()
    nodes = list(network.nodes(params, x, y))
    for i in range(layer + 1):
        nodes[i] = replace(nodes[i], delta=1.01 * nodes[i].delta)
    assert first_wrong_node(nodes) is nodes[layer]


def test_a_wrong_activation_derivative_is_found_in_the_layer_before_the_last():
    network, params, x, y = deep()
    tanh = ACTIVATIONS["tanh"]
    careless = Network(network.sizes, Activation("tanh", tanh.function, lambda z, a, xp: 1 - a))
    report = check(network.loss, params, args=(x, y), grad=careless.gradient, sources=VALUES)
    assert first(report).code == "GP125"
    assert "layer 1" in first(report).says


def test_nodes_are_checked_before_anything_is_computed():
    with pytest.raises(ValueError, match="no nodes"):
        first_wrong_node([])
    node = Node("z", np.ones(3), np.ones(2), lambda z: z.sum())
    with pytest.raises(ValueError, match=r"z: the delta has shape \(2,\), the value \(3,\)"):
        first_wrong_node([node])


# Names


def constants(*args):
    def fun(theta, x, lam=0.0, momentum=0.9):
        return 0.0

    return Constants(take_point(np.ones((2, 3)), args), fun)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2.0, "2"), (0.5, "1/2"), (-1.0, "-1"), (7.0, "len(x)"), (1 / 7, "1/len(x)"), (6 / 7, "(len(x) - 1)/len(x)"),
        (0.3, "lam"), (0.3 / 7, "lam/len(x)"), (0.1, "(1 - momentum)"), (10.0, "1/(1 - momentum)"), (1.37, "1.37"),
        (1.2345678, None),
    ],
)  # fmt: skip
def test_a_number_is_named_by_the_constants_at_hand(value, words):
    name = constants(np.ones((7, 11)), 0.3, 0.9).name(value, 1e-9 * abs(value))
    assert (name.words if name else None) == words


def test_a_number_that_is_hardly_known_is_not_named():
    assert constants(np.ones((7, 11)), 0.3).name(2.0, 0.1) is None


def test_a_function_without_a_signature_has_numbered_arguments():
    names = Constants(take_point(np.ones(2), (np.ones(5), 0.25)), max).names
    assert names == ["args[0]", "args[1]"]


# Codes


def test_every_code_is_explained():
    for code, entry in CODES.items():
        assert entry.code == code
        assert str(explain(code)).startswith(code)
        assert all(text.endswith(".") for text in (entry.means, entry.causes, entry.remedy))
    assert set(SIMPLEST) <= set(CODES)


def test_an_unknown_code_is_refused_with_the_nearest():
    assert explain(" gp101 ").title == "constant factor"
    with pytest.raises(ValueError, match="unknown code 'GP1O1'; did you mean GP1"):
        explain("GP1O1")


# The planted mistakes


@pytest.mark.parametrize("fault", FAULTS)
def test_every_planted_mistake_is_diagnosed_right_from_values_alone(fault):
    """On the course network, or the first other function in which it shows."""
    planted = next(p for problem in (COURSE, *PROBLEMS) if (p := FAULTS[fault].plant(problem)) is not None)
    report = check_problem(planted, sources=VALUES)
    assert report.verdict is Verdict.DISAGREES
    assert first(report) is not None
    assert first(report).code in FAULTS[fault].codes
