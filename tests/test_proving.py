"""What a check is worth: planted mistakes are caught, blind spots are found, and no number is shown that was not seen."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from conftest import double_precision
from gradproof.backend import load
from gradproof.check import check, check_problem
from gradproof.course import course_problem
from gradproof.faults import FAULTS
from gradproof.network import Layer, Network
from gradproof.problems import PROBLEMS
from gradproof.proving import Outcome, Proof, Trial, prove, prove_problem, trials
from gradproof.proving.terminal import render
from gradproof.trees import flatten
from gradproof.verdict import Reason, Verdict

BY_NAME = {problem.name: problem for problem in PROBLEMS}
RIDGE = BY_NAME["ridge regression"]
FEW = ["sign", "transposed", "entry-flipped"]


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def spots(proof):
    """What the blind spots say, by place."""
    return {spot.where: spot.says for spot in proof.blind_spots}


# Planted mistakes


@pytest.mark.parametrize("problem", [course_problem(lam=1.0), RIDGE], ids=["course", "ridge"])
def test_every_planted_mistake_is_caught(problem):
    proof = prove_problem(problem)
    assert proof.verdict is Verdict.AGREES
    assert proof.kill_rate == 1.0
    assert {trial.fault for trial in proof.trials} == {
        name for name, fault in FAULTS.items() if fault.plant(problem)
    }
    assert {trial.outcome for trial in proof.trials} == {Outcome.CAUGHT}
    assert all(FAULTS[trial.fault].due(trial.reason) for trial in proof.trials)
    assert max(trial.evaluations for trial in proof.trials) > 10
    assert proof.blind_spots == ()
    assert proof.better_point is None


def test_a_claim_that_is_wrong_is_not_proven_and_nothing_is_planted():
    proof = prove(lambda x: (x**3).sum(), random(4), grad=lambda x: 3.1 * x * x)
    assert proof.verdict is Verdict.DISAGREES
    assert proof.trials == ()
    assert dict(proof.smallest) == {}
    assert isnan(proof.kill_rate)
    assert str(proof).startswith("the claim itself is not proven: the two values differ")
    assert str(proof).splitlines()[-1] == "✗ DISAGREES  nothing was planted; 0 blind spots"


def test_faults_can_be_chosen_and_one_that_cannot_be_made_is_left_out():
    proof = prove_problem(RIDGE, faults=["sign", "transposed", "no-derivative"])
    assert [trial.fault for trial in proof.trials] == ["sign"]
    assert [trial.fault for trial in prove_problem(RIDGE, faults="sign").trials] == ["sign"]


def test_what_is_not_caught_is_said_and_counted(monkeypatch):
    sign = FAULTS["sign"]
    for_another = replace(sign, name="odd", reason=Reason.SHAPE)
    unseen = replace(sign, name="unseen", plant=lambda problem: problem)
    unclear = replace(
        sign, name="unclear", plant=lambda problem: replace(problem, fun=lambda x: np.sqrt(-1 - x[0] ** 2))
    )
    for fault in (for_another, unseen, unclear):
        monkeypatch.setitem(FAULTS, fault.name, fault)
    problem = BY_NAME["rosenbrock"]
    with np.errstate(invalid="ignore"):
        proof = prove_problem(problem, faults=["sign", "odd", "unseen", "unclear"])
    assert [trial.outcome for trial in proof.trials] == [
        Outcome.CAUGHT,
        Outcome.ELSEWISE,
        Outcome.MISSED,
        Outcome.UNDECIDED,
    ]
    assert proof.kill_rate == 1 / 4
    text = str(proof)
    assert "odd  refused for another reason: the two values differ" in text
    assert "unseen  missed" in text
    assert text.splitlines()[-1] == "? AGREES  1 of 4 planted mistakes were caught; 0 blind spots"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"faults": ["sing"]}, "unknown fault 'sing'; did you mean 'sign'"),
        ({"faults": []}, "faults is empty: nothing would be planted"),
        ({"sources": ["numeric"]}, "leaves 'hand' out"),
        ({"seed": -1}, "seed is a whole number"),
    ],
)
def test_a_choice_that_would_prove_nothing_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        prove_problem(RIDGE, **options)


def test_without_a_claim_there_is_nothing_to_plant_in():
    with pytest.raises(ValueError, match="pass grad=, value_and_grad= or vjp="):
        prove(lambda x: x.sum(), np.ones(3))
    with pytest.raises(ValueError, match="pass grad=, value_and_grad= or vjp="):
        prove_problem(replace(RIDGE, grad=None, jvp=lambda v, *_: 0.0))


def test_a_proof_is_not_a_truth_value():
    with pytest.raises(TypeError, match="four verdicts"):
        bool(prove_problem(RIDGE, faults=["sign"]))


# The smallest errors


def off_by(problem, path, error):
    """`problem` with one leaf of its gradient too large by a relative error."""

    def wrong(params, *args):
        leaves, structure = flatten(problem.grad(params, *args))
        return structure.unflatten(
            [(1 + error) * g if p == path else g for p, g in zip(structure.paths, leaves, strict=True)]
        )

    return replace(problem, grad=wrong)


@pytest.mark.parametrize("problem", [course_problem(lam=1.0), BY_NAME["layer norm"]], ids=["course", "norm"])
def test_the_smallest_errors_shown_are_refused_when_they_are_made(problem):
    proof = prove_problem(problem, faults=["sign"])
    assert set(proof.smallest) == set(flatten(problem.params)[1].paths)
    for path, error in proof.smallest.items():
        assert 0 < error < 1e-7
        report = check_problem(off_by(problem, path, error), sources=["numeric", "hand"])
        assert report.verdict is Verdict.DISAGREES


def test_a_figure_that_is_too_hopeful_is_doubled_until_it_is_seen(monkeypatch):
    monkeypatch.setattr(trials, "_resolution", lambda _report, _path: 1e-17)
    (error,) = prove_problem(BY_NAME["rosenbrock"], faults=["sign"]).smallest.values()
    assert error > 1e-13
    assert np.log2(error / 2e-17) == pytest.approx(round(np.log2(error / 2e-17)))
    wrong = off_by(BY_NAME["rosenbrock"], "(params)", error)
    assert check_problem(wrong, sources=["numeric", "hand"]).verdict is Verdict.DISAGREES


def test_a_figure_that_is_never_seen_is_not_shown(monkeypatch):
    monkeypatch.setattr(trials, "_resolution", lambda _report, _path: 1e-30)
    proof = prove_problem(BY_NAME["rosenbrock"], faults=["sign"])
    assert dict(proof.smallest) == {}
    assert [line.split()[-1] for line in str(proof).splitlines() if line.startswith("(params)")] == ["none"]


# Blind spots of the constants


@pytest.mark.parametrize("lam", [0, 0.0, np.float64(0.0), np.zeros(()), 1.0])
def test_a_penalty_of_zero_hides_its_gradient(lam):
    network = Network((3, 4, 2), "tanh")
    args = (random(5, 3), np.eye(2)[[0, 1, 0, 1, 1]], lam)
    proof = prove(network.loss, network.init(seed=1), args=args, grad=network.gradient, faults=FEW)
    hidden = [spot for spot in proof.blind_spots if spot.where == "args[2] (lam)"]
    assert len(hidden) == (lam == 0)
    if hidden:
        assert "it is 0" in hidden[0].says
        assert hidden[0].suggestion == "try 1"
        assert "args[2] (lam)" in str(proof)


def test_a_number_that_is_an_axis_hides_nothing():
    proof = prove(
        lambda x, axis: (x.sum(axis=axis) ** 2).sum(),
        random(3, 3),
        args=(0,),
        grad=lambda x, axis: 2 * np.ones_like(x) * x.sum(axis=axis, keepdims=True),
        faults=["sign"],
    )
    assert proof.verdict is Verdict.AGREES
    assert not any("args" in where for where in spots(proof))


def test_a_constant_that_nothing_depends_on_hides_nothing():
    proof = prove(
        lambda x, _c: (x**2).sum(), random(3), args=(0.0,), grad=lambda x, _c: 2 * x, faults=["sign"]
    )
    assert proof.blind_spots == ()


def masked(x, mask):
    return (mask * x**2).sum()


@pytest.mark.parametrize("dtype", [float, int, bool])
@pytest.mark.parametrize("value", [1, 0])
def test_a_mask_that_is_the_same_everywhere_hides_how_it_is_used(value, dtype):
    mask = np.full(4, value, dtype=dtype)
    proof = prove(
        lambda x, mask: masked(x, mask) + x.sum(),
        random(4),
        args=(mask,),
        grad=lambda x, mask: 2 * mask * x + 1,
        faults=["sign"],
    )
    assert f"all of its entries are {value}" in spots(proof)["args[0] (mask)"]


def test_a_mask_of_zeros_and_ones_hides_nothing_nor_do_constants_that_vary():
    x, y = random(4), np.array([1.0, 0.0, 1.0, 1.0])
    assert prove(masked, x, args=(y,), grad=lambda x, mask: 2 * mask * x, faults=["sign"]).blind_spots == ()


def test_constants_in_trees_and_claims_of_every_form_are_named():
    def loss(x, options):
        return (x**2).sum() + options["lam"] * (x**3).sum()

    def slope(x, options):
        return 2 * x + 3 * options["lam"] * x * x

    args = ({"lam": 0.0},)
    forms = (
        {"grad": slope},
        {"value_and_grad": lambda x, options: (loss(x, options), slope(x, options))},
        {"vjp": lambda cotangent, x, options: cotangent * slope(x, options)},
    )
    for claim in forms:
        assert set(spots(prove(loss, random(3), args=args, **claim, faults=["sign"]))) == {
            "args[0] (options).lam"
        }


def test_a_constant_without_a_name_has_its_number():
    proof = prove(
        lambda x, *rest: (x**2).sum() + rest[0] * x.sum(),
        random(3),
        args=(0.0,),
        grad=lambda x, *rest: 2 * x + rest[0],
        faults=["sign"],
    )
    assert set(spots(proof)) == {"args[0]"}


@pytest.mark.parametrize("rows", [1, 4])
def test_a_batch_of_one_hides_means_and_sums(rows):
    network = Network((3, 2))
    args = (random(rows, 3), np.eye(2)[np.arange(rows) % 2], 0.5)
    proof = prove(network.loss, network.init(seed=1), args=args, grad=network.gradient, faults=["sign"])
    says = [words for where, words in spots(proof).items() if where == "args[0] (x)"]
    assert [words.startswith("it holds one example") for words in says] == [True] * (rows == 1)


def test_an_axis_of_one_that_is_no_batch_is_not_taken_for_one():
    proof = prove(
        lambda x, y: ((x - y[0]) ** 2).sum() if y.shape == (1, 3) else np.nan,
        random(3),
        args=(random(1, 3, seed=1),),
        grad=lambda x, y: 2 * (x - y.reshape(3)),
        faults=["sign"],
    )
    assert proof.blind_spots == ()


# Blind spots of the point


def test_a_gradient_of_zero_hides_what_would_leave_it_zero():
    params = {"w": random(3), "b": np.zeros(2)}
    proof = prove(
        lambda p: (p["w"] ** 2).sum() + (p["b"] ** 2).sum(),
        params,
        grad=lambda p: {"w": 2 * p["w"], "b": 2 * p["b"]},
        faults=FEW,
    )
    (spot,) = proof.blind_spots
    assert spot.where == "b"
    assert spot.elsewhere
    assert "zero here" in spot.says
    assert list(proof.better_point) == ["w", "b"]
    assert proof.better_point["b"].all()
    assert 0.05 < np.abs(proof.better_point["w"] / params["w"] - 1).max() < 0.5
    assert "b" not in proof.smallest
    again = prove(
        lambda p: (p["w"] ** 2).sum() + (p["b"] ** 2).sum(),
        proof.better_point,
        grad=lambda p: {"w": 2 * p["w"], "b": 2 * p["b"]},
        faults=FEW,
    )
    assert again.blind_spots == ()
    assert again.verdict is Verdict.AGREES
    assert again.better_point is None


def test_a_parameter_that_nothing_depends_on_is_told_from_a_zero_at_this_point():
    params = {"w": random(3), "unused": np.ones(2)}
    proof = prove(
        lambda p: (p["w"] ** 2).sum(),
        params,
        grad=lambda p: {"w": 2 * p["w"], "unused": np.zeros(2)},
        faults=["sign"],
    )
    (spot,) = proof.blind_spots
    assert spot.where == "unused"
    assert not spot.elsewhere
    assert "leave it out" in spot.suggestion
    assert proof.better_point is None


def test_units_that_are_switched_off_hide_what_leads_to_them():
    network = Network((2, 3, 1), "relu", "squared_error")
    first = Layer(np.array([[1.0, 0.5], [0.8, -0.2], [1.0, 1.0]]), np.array([0.1, 0.2, -3.02]))
    params = (first, Layer(random(1, 3), np.array([0.3])))
    args = (np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([[0.5], [1.0]]), 0.0)
    proof = prove(network.loss, params, args=args, grad=network.gradient, faults=["sign"], seed=1)
    assert "1 of its 3 entries has gradient zero here" in spots(proof)["[0].bias"]


def test_a_symmetric_gradient_hides_a_transposition():
    a = random(3, 3)
    symmetric = a + a.T
    cube = lambda a: np.trace(a @ a @ a)  # noqa: E731
    slope = lambda a: 3 * (a @ a).T  # noqa: E731
    proof = prove(cube, symmetric, grad=slope, faults=["sign"])
    assert "symmetric here" in spots(proof)["(params)"]
    assert isinstance(proof.better_point, np.ndarray)
    assert "transposed" in [t.fault for t in prove(cube, proof.better_point, grad=slope, faults=FEW).trials]
    assert prove(cube, a, grad=slope, faults=["sign"]).blind_spots == ()


def test_what_is_symmetric_everywhere_is_no_blind_spot():
    proof = prove(lambda a: (a + a.T).sum() ** 2, random(3, 3), grad=lambda a: 8 * a.sum() * np.ones_like(a), faults=["sign"])  # fmt: skip
    assert proof.blind_spots == ()


def test_units_that_start_out_alike_hide_their_order():
    network = Network((2, 3, 2), "tanh")
    unit = np.array([0.3, -0.5])
    weight = np.stack([unit, np.array([0.7, 0.2]), unit])
    params = (
        Layer(weight, np.array([0.1, 0.4, 0.1])),
        Layer(np.array([[0.5, 0.1, 0.5], [-0.2, 0.3, -0.2]]), np.array([0.1, 0.2])),
    )
    args = (random(4, 2), np.eye(2)[[0, 1, 1, 0]], 0.1)
    proof = prove(network.loss, params, args=args, grad=network.gradient, faults=["sign"])
    assert spots(proof)["[0].weight"].startswith("rows 0 and 2")
    assert spots(proof)["[1].weight"].startswith("columns 0 and 2")
    assert all(spot.elsewhere for spot in proof.blind_spots)


def test_equal_leaves_hide_that_they_are_exchanged():
    params = {"q": np.array([1.0, 2.0]), "k": np.array([1.0, 2.0])}
    proof = prove(
        lambda p: (p["q"] * p["k"]).sum() ** 2,
        params,
        grad=lambda p: {"q": 2 * (p["q"] * p["k"]).sum() * p["k"], "k": 2 * (p["q"] * p["k"]).sum() * p["q"]},
        faults=["sign", "leaves-exchanged"],
    )
    assert "the same as that of k" in spots(proof)["q"]
    assert [trial.fault for trial in proof.trials] == ["sign"]


def test_an_axis_of_length_one_is_named():
    proof = prove(lambda x: (x**2).sum(), random(3, 1), grad=lambda x: 2 * x, faults=["sign"])
    assert "axis of length 1" in spots(proof)["(params)"]


def test_a_kink_at_the_point_lets_every_subgradient_pass():
    x = np.array([0.0, 1.0, -2.0])
    proof = prove(lambda x: np.abs(x).sum(), x, grad=np.sign, faults=["sign"])
    (spot,) = (spot for spot in proof.blind_spots if spot.where == "params")
    assert "kink" in spot.says
    assert spot.elsewhere
    assert proof.better_point.all()


def test_where_the_claim_is_undecided_blind_spots_may_say_why():
    proof = prove(lambda x: (x**4).sum(), np.zeros(2), grad=lambda x: 4 * x**3, faults=["sign"])
    assert proof.verdict is not Verdict.DISAGREES
    assert spots(proof).keys() == {"(params)"}
    assert proof.better_point.all()
    assert not any(trial.outcome is Outcome.CAUGHT for trial in proof.trials)


def test_a_point_at_the_edge_of_the_domain_is_moved_less():
    """An eighth of it, taken from every entry, leaves the domain of the logarithm."""
    x = np.array([1.0, 1.1, 0.9])

    def slope(x):
        if (x < 0.95 * np.array([1.0, 1.1, 0.9])).any():
            raise ValueError("outside")
        return 2 * (x - np.array([1.0, 2.0, 3.0]))

    proof = prove(lambda x: ((x - np.array([1.0, 2.0, 3.0])) ** 2).sum(), x, grad=slope, faults=["sign"])
    assert "1 of its 3 entries" in spots(proof)["(params)"]
    assert np.abs(proof.better_point / x - 1).max() < 1 / 16


# Manners


def test_nothing_of_the_callers_is_changed():
    problem = course_problem(lam=0.0)
    before = [leaf.copy() for leaf in flatten([problem.params, list(problem.args)])[0][:-1]]
    np.random.seed(3)
    state = np.random.get_state()[1].copy()
    prove_problem(problem, faults=["writes-params", "accumulates", "noisy", "stale"])
    after = flatten([problem.params, list(problem.args)])[0][:-1]
    assert all(np.array_equal(a, b) for a, b in zip(after, before, strict=True))
    assert np.array_equal(np.random.get_state()[1], state)


def test_the_same_seed_gives_the_same_proof():
    first, again = (prove_problem(RIDGE, faults=FEW, seed=5) for _ in range(2))
    assert first.smallest == again.smallest
    assert first.trials == again.trials


@pytest.mark.parametrize("framework", ["torch", "jax.numpy"])
def test_a_proof_in_the_arrays_of_a_framework(framework):
    with double_precision(framework) as xp:
        backend = load(framework.split(".")[0])
        params = {"w": xp.asarray([0.5, -1.0, 2.0], dtype=xp.float64), "b": xp.zeros(2, dtype=xp.float64)}
        options = {
            "args": (0.0,),
            "grad": lambda p, lam: {"w": 2 * p["w"] + lam, "b": 2 * p["b"]},
            "faults": [*FEW, "writes-params"],
        }

        def fun(p, lam):
            return (p["w"] ** 2).sum() + (p["b"] ** 2).sum() + lam * p["w"].sum()

        proof = prove(fun, params, **options)
        assert set(spots(proof)) == {"b", "args[0] (lam)"}
        assert all(backend.owns(leaf) for leaf in proof.better_point.values())
        again = prove(fun, proof.better_point, **options)
        assert set(spots(again)) == {"args[0] (lam)"}
        assert again.kill_rate == 1.0
        assert ("writes-params" in [trial.fault for trial in again.trials]) == (framework == "torch")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_proof_is_shown_in_forty_lines(width):
    params = {f"leaf {i}": np.zeros((1, 3)) if i % 2 else random(3, 1, seed=i) for i in range(24)}
    proof = prove(
        lambda p: sum((leaf**2).sum() for leaf in p.values()),
        params,
        grad=lambda p: {path: 2 * leaf for path, leaf in p.items()},
        faults=["sign"],
    )
    assert len(proof.blind_spots) >= 24
    crowd = tuple(Trial(f"fault {i}", Outcome.MISSED, Reason.DIFFERS, 1) for i in range(60))
    lines = render(replace(proof, trials=crowd), width=width).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= width
    assert any("54 more planted mistakes" in line for line in lines)


def test_the_answer_stands_in_the_last_line():
    proof = prove_problem(RIDGE, faults=FEW)
    assert (
        str(proof).splitlines()[-1]
        == f"✓ AGREES  {len(proof.trials)} of {len(proof.trials)} planted mistakes were caught; 0 blind spots"
    )
    assert str(proof) == render(proof)


def test_a_proof_holds_the_report_of_the_claim():
    proof = prove_problem(RIDGE, faults=["sign"])
    assert isinstance(proof, Proof)
    assert proof.report.verdict is Verdict.AGREES
    assert check(
        RIDGE.fun, RIDGE.params, args=RIDGE.args, grad=RIDGE.grad, sources=["numeric", "hand"]
    ).verdict is (proof.verdict)
