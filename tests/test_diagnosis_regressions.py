"""What adversaries found in locating and diagnosing, once: no sentence that is not so, no crash, no endless loop."""

import enum

import numpy as np
import pytest

from gradproof.check import check, check_problem
from gradproof.course import course_problem
from gradproof.diagnosing.fits import _divided
from gradproof.faults import FAULTS
from gradproof.problems import PROBLEMS
from gradproof.trees import leaves_by_path
from gradproof.verdict import Verdict

VALUES = {"sources": ["numeric", "hand"]}
X = np.array([1.0, 2.0, 3.0])


def codes(report):
    return [diagnosis.code for diagnosis in report.diagnoses]


def said(report):
    return " | ".join(diagnosis.says for diagnosis in report.diagnoses)


class Level(enum.IntEnum):
    ONE, TWO = 1, 2


@pytest.mark.parametrize(
    "constant",
    [
        np.finfo(float).tiny,
        1e200,
        1e308,
        10**400,
        np.zeros((0, 3)),
        Level.TWO,
        True,
        np.array(["a", "b"]),
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("wrong", [1.0, 1.5])
def test_no_constant_makes_a_check_fail(constant, wrong):
    report = check(
        lambda p, c: np.sum(p**3), X, args=(constant,), grad=lambda p, c: wrong * 3 * p**2, **VALUES
    )
    assert report.verdict is (Verdict.AGREES if wrong == 1 else Verdict.DISAGREES)


def test_a_tolerance_is_never_set_to_zero():
    def root(p, tol):
        y = p.copy()
        for _ in range(1000):
            z = 0.5 * (y + p / y)
            done, y = np.max(np.abs(z - y)) < tol, z
            if done:
                return np.sum(y)
        raise AssertionError("it looped for ever")

    report = check(
        root, X, args=(1e-9,), grad=lambda p, tol: 0.5 / np.sqrt(p) + np.array([0.3, 0.1, 0.2]), **VALUES
    )
    assert report.verdict is Verdict.DISAGREES


@pytest.mark.parametrize("sources", [["numeric", "hand"], ["numeric", "hand", "jax"]])
def test_exchanged_scalars_are_told_and_printed(sources):
    report = check(
        lambda p: 2 * p["a"] + 3 * p["b"], {"a": np.array(0.3), "b": np.array(2.0)},
        grad=lambda p: {"a": np.array(3.0), "b": np.array(2.0)}, sources=sources,
    )  # fmt: skip
    assert {location.entries for location in report.locations} == {((),)}
    assert "GP119" in codes(report)
    assert "the other way round" in said(report)
    assert str(report)


@pytest.mark.parametrize(("factor", "words"), [(2, "is 2 ×"), (50, "is len(x) = 50 ×")])
def test_a_factor_in_float32_is_named(factor, words):
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=30).astype("f4"), rng.normal(size=50).astype("f4")
    report = check(
        lambda p, x: np.sum(np.sin(p) * p), w, args=(x,),
        grad=lambda p, x: np.float32(factor) * (np.cos(p) * p + np.sin(p)), **VALUES,
    )  # fmt: skip
    assert words in said(report)
    assert abs(report.diagnoses[0].value - factor) <= report.diagnoses[0].bar


def test_a_claim_outside_the_one_sided_slopes_is_no_convention():
    torch = pytest.importorskip("torch")

    def fun(p):
        return torch.abs(p).sum() if isinstance(p, torch.Tensor) else np.sum(np.abs(p))

    report = check(
        fun, np.array([0.0, 1.0, -2.0]), grad=lambda p: np.sign(p) + 5 * (p == 0),
        sources=["numeric", "hand", "torch"],
    )  # fmt: skip
    assert report.verdict is Verdict.UNDECIDED
    assert "GP109" not in codes(report)


@pytest.mark.parametrize(
    ("right", "claim"),
    [
        ([27.0, 3, 108, 12, 48, 75, 5, 9], [26.0, 3, 107, 12, 48, 74, 5, 9]),
        ([0.9, 0.8, 0.7, 1.3], [1.0, 1, 1, 1]),
        (list(np.arange(30.0)), [*np.arange(23.0), 23.5, *np.arange(24.0, 30.0)]),
        ([0.501, 1.0, 2.0], [0.5, 1.0, 2.0]),
    ],
    ids=["whole already", "rounded up", "one entry off", "beyond float16"],
)
def test_numbers_that_happen_to_be_short_were_not_rounded(right, claim):
    c, w = np.array(right), np.array(claim)
    report = check(lambda p: np.sum(c * p), np.linspace(-1, 1, len(c)), grad=lambda p: w.copy(), **VALUES)
    assert report.verdict is Verdict.DISAGREES
    assert "GP111" not in codes(report)


def test_values_cast_to_integers_are_told():
    c = np.array([27.4, 3.7, -108.2, 12.9, 0.4])
    report = check(lambda p: np.sum(c * p), np.linspace(-1, 1, 5), grad=lambda p: np.trunc(c), **VALUES)
    assert codes(report)[0] == "GP111"


def test_a_right_leaf_is_not_said_to_be_exchanged():
    params = {"a": X.copy(), "b": X.copy()}

    def fun(p):
        return np.sum(p["a"] ** 2) + np.sum(p["b"] ** 2)

    report = check(fun, params, grad=lambda p: {"a": np.array([0.3, 1.7, 8.0]), "b": 2 * p["b"]}, **VALUES)
    assert "GP119" not in codes(report)
    report = check(fun, params, grad=lambda p: {k: 4 * v + 0.1 * v * v for k, v in p.items()}, **VALUES)
    assert "GP119" not in codes(report)


def test_a_named_factor_is_not_called_a_norm():
    report = check(np.sum, np.arange(4.0) + 0.5, grad=lambda p: 2 * np.ones(4), **VALUES)
    assert codes(report)[0] == "GP101"
    assert "GP128" not in codes(report)


@pytest.mark.parametrize("seed", range(8))
def test_just_above_what_is_forgiven_nothing_is_named_and_no_entry_is_off_by_more_than_its_bar(seed):
    right = 3 * X**2
    report = check(lambda p: np.sum(p**3), X, grad=lambda p: right + 1e-10, seed=seed, **VALUES)
    assert report.diagnoses == ()
    for location in report.locations:
        for error, bar in zip(location.errors, location.bars, strict=True):
            assert abs(error - 1e-10) <= bar


@pytest.mark.parametrize("n", [2, 17, 40, 200])
@pytest.mark.parametrize("sizes", [(1, 1e-4), (0.1, 1e-5)])
def test_a_second_smaller_error_is_named_too(n, sizes):
    rng = np.random.default_rng(n)
    x, error = rng.uniform(0.5, 2, n), np.zeros(n)
    first, second = rng.choice(n, 2, replace=False)
    error[[first, second]] = np.array(sizes) * 3 * x[[first, second]] ** 2
    (location,) = check(lambda p: np.sum(p**3), x, grad=lambda p: 3 * p**2 + error, **VALUES).locations
    assert set(location.entries) == {(first,), (second,)}


def test_a_surplus_axis_of_length_one_is_not_a_missing_sum():
    report = check(lambda p: np.sum(p**2), X, grad=lambda p: (2 * p)[None], **VALUES)
    assert "without them it agrees" in said(report)
    assert "GP105" not in codes(report)


def test_the_axis_to_sum_over_is_found_whichever_it_is():
    m = np.random.default_rng(0).normal(size=(4, 4))
    report = check(lambda p: np.sum(m * p[:, None]), np.ones(4), grad=lambda p: m.copy(), **VALUES)
    assert codes(report)[0] == "GP105"


def test_a_claim_without_entries_is_refused_without_a_warning():
    report = check(lambda p: np.sum(p**2), np.ones(4), grad=lambda p: np.zeros((0, 4)), **VALUES)
    assert codes(report) == ["GP117"]


def test_the_place_of_many_wrong_leaves_has_a_price_in_all():
    rng = np.random.default_rng(0)
    params = {f"p{i}": rng.normal(size=(20, 4)) for i in range(20)}
    noise = {k: rng.normal(size=(20, 4)) for k in params}
    report = check(
        lambda p: sum(np.sum(np.sin(v)) for v in p.values()), params,
        grad=lambda p: {k: np.cos(v) + noise[k] for k, v in p.items()}, **VALUES,
    )  # fmt: skip
    assert report.sources["numeric"].calls < 3500
    assert report.undiagnosed == ("hand",)


def test_what_is_unexplained_is_told_by_leaf():
    noise = np.array([0.3, -0.7, 0.2, 0.9, 1.1])
    params = {"a": np.linspace(0, 1, 5), "b": np.linspace(1, 2, 5)}
    report = check(
        lambda p: np.sum(np.sin(p["a"])) + np.sum(np.exp(p["b"])), params,
        grad=lambda p: {"a": -np.cos(p["a"]), "b": np.exp(p["b"]) + noise}, **VALUES,
    )  # fmt: skip
    assert codes(report) == ["GP102"]
    assert report.undiagnosed == ("hand, b",)


def test_two_lengths_of_one_name_are_told_apart():
    def fun(p, x):
        return np.sum(p["x"] ** 2) * np.mean(x**2)

    x = np.random.default_rng(0).normal(size=(200, 3))
    report = check(
        fun,
        {"x": np.linspace(1, 2, 7)},
        args=(x,),
        grad=lambda p, x: {"x": 2 * p["x"] * np.sum(x**2) / 3},
        **VALUES,
    )
    assert "len(x) = 200" in said(report)


@pytest.mark.parametrize(
    "sources", [["numeric", "hand"], ["numeric", "hand", "jax"]], ids=["values", "reference"]
)
@pytest.mark.parametrize("problem", [course_problem(1.0), *PROBLEMS], ids=lambda p: p.name)
def test_every_correction_that_can_be_evaluated_gives_the_right_gradient(problem, sources):
    """The claim, corrected as it is said, is the right gradient: for every fault, and every diagnosis of it."""
    right = leaves_by_path(problem.grad(problem.params, *problem.args))
    names = {
        "np": np,
        "pi": np.pi,
        "log": np.log,
        "sqrt": np.sqrt,
        "exp": np.exp,
        "cos": np.cos,
        "sign": np.sign,
        "len": len,
    }
    constants = dict(zip(_names(problem), problem.args, strict=True))
    tried = 0
    for fault in list(FAULTS.values())[::2]:
        planted = fault.plant(problem)
        if planted is None:
            continue
        report = check_problem(planted, sources=sources)
        for diagnosis in report.diagnoses:
            for leaf in diagnosis.leaves if diagnosis.code not in ("GP105", "GP117") else ():
                corrected = _evaluated(diagnosis.correction, leaf, report, problem, names | constants)
                if corrected is not None:
                    tried += 1
                    scale = np.linalg.norm(right[leaf])
                    assert np.linalg.norm(corrected - right[leaf]) <= 1e-5 * scale, (fault.name, diagnosis)
    assert tried > 5


def _names(problem):
    import inspect

    given = list(inspect.signature(problem.fun).parameters)[1:]
    return [given[i] if i < len(given) else f"args{i}" for i in range(len(problem.args))]


def _evaluated(correction, leaf, report, problem, names):
    if not correction or any(
        word in correction for word in ("what was", "θ²", "sigmoid", "tanh", "|θ|", "−", "…")
    ):
        return None
    params = leaves_by_path(problem.params)
    claim = leaves_by_path(report.gradients["hand"])[leaf]
    expression = correction.replace("θ", "theta")
    try:
        return np.asarray(eval(expression, names | {"g": claim, "theta": params[leaf]}))
    except (SyntaxError, NameError, AttributeError):
        return None  # a name like [0].weight.shape[1] is for reading


def test_what_divides_is_multiplied_with():
    assert _divided("1/len(x)") == "g * len(x)"
    assert _divided("-2") == "g / (-2)"
    assert _divided("lam/len(x)") == "g / (lam/len(x))"
