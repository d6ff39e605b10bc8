"""Every source gets its own verdict, the odd one out is named, and the leaf: who is wrong with whom, case by case.

The function is Σw³·Σb². `stopped` computes the same values, but a part of its automatic derivative is cut off, so that
the gradient of one leaf comes out as half of what it is.
"""

from itertools import combinations

import numpy as np
import pytest

from gradproof import Reason, Verdict, check
from gradproof.judging import judge_source, odd_one_out
from gradproof.verdict import Finding

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
jnp = jax.numpy

PARAMS = {"w": np.linspace(0.3, 2.0, 5), "b": np.array([[1.1, 2.1], [3.1, 4.1]])}
EXACT = ["hand", "jax", "torch"]
ALL = ["numeric", *EXACT]
AGREES, UNDECIDED, DISAGREES = ("AGREES", None), "UNDECIDED", "DISAGREES"
DIFFERS = (DISAGREES, "DIFFERS")
AGAINST = (DISAGREES, "AGAINST_VALUES")
DETACH, STOP = (lambda x: x.detach()), jax.lax.stop_gradient


def loss(p):
    return (p["w"] ** 3).sum() * (p["b"] ** 2).sum()


def right(p):
    return {"w": 3 * p["w"] ** 2 * (p["b"] ** 2).sum(), "b": (p["w"] ** 3).sum() * 2 * p["b"]}


def off(**factors):
    """A claim with some leaves multiplied."""
    return lambda p: {path: factors.get(path, 1) * leaf for path, leaf in right(p).items()}


def stopped(stop, leaf="b"):
    """The loss, with an automatic derivative that is half of the right one in this leaf."""

    def fun(p):
        w, b = p["w"], p["b"]
        cube = (w * w * w).sum() if leaf == "b" else (w**1.5 * stop(w**1.5)).sum()
        return cube * ((b * stop(b)) if leaf == "b" else b * b).sum()

    return fun


def each(numpy=loss, jax=loss, torch=loss):
    return {"numpy": numpy, "jax": jax, "torch": torch}


def told(report):
    """Verdict and reason of every source."""
    return {name: _named(source) for name, source in report.sources.items()}


def answer(report):
    return _named(report)


def _named(judged):
    return judged.verdict.name, judged.reason and judged.reason.name


def refuted(report):
    """The leaves in which numeric refutes a source."""
    return {
        (f.sources[0], f.leaf)
        for f in report.findings
        if f.verdict is Verdict.DISAGREES and "numeric" in f.sources
    }


def apart(report):
    """Pairs of exact sources that differ, and the leaf."""
    return {
        (*f.sources, f.leaf)
        for f in report.findings
        if f.what == "gradient" and f.verdict is not Verdict.AGREES
    }


# Hand alone is wrong


@pytest.mark.parametrize("leaves", [("w",), ("b",), ("w", "b")], ids=" ".join)
@pytest.mark.parametrize("form", ["grad", "value_and_grad", "vjp"])
def test_a_wrong_hand_is_the_odd_one_out_and_its_leaves_are_blamed(form, leaves):
    wrong = off(**dict.fromkeys(leaves, 1.01))
    claim = {
        "grad": wrong,
        "value_and_grad": lambda p: (loss(p), wrong(p)),
        "vjp": lambda u, p: {path: u * leaf for path, leaf in wrong(p).items()},
    }[form]
    report = check(each(), PARAMS, **{form: claim})
    assert told(report) == {"numeric": AGREES, "hand": DIFFERS, "jax": AGREES, "torch": AGREES}
    assert (answer(report), report.odd_one_out) == (DIFFERS, "hand")
    assert refuted(report) == {("hand", leaf) for leaf in leaves}
    assert apart(report) == {("hand", other, leaf) for leaf in leaves for other in ("jax", "torch")}


def test_one_wrong_entry_of_one_leaf_is_blamed():
    def wrong(p):
        gradient = right(p)
        gradient["b"][1, 0] *= -1
        return gradient

    report = check(each(), PARAMS, grad=wrong)
    assert told(report) == {"numeric": AGREES, "hand": DIFFERS, "jax": AGREES, "torch": AGREES}
    assert (answer(report), report.odd_one_out) == (DIFFERS, "hand")
    assert refuted(report) == {("hand", "b")}
    assert apart(report) == {("hand", "jax", "b"), ("hand", "torch", "b")}
    assert {f.worst for f in report.findings if f.what == "gradient" and f.leaf == "b" and f.excess > 1} == {
        (1, 0)
    }


def outputs(p):
    return p["w"] ** 3 * (p["b"] ** 2).sum()


@pytest.mark.parametrize("wrong", [None, "w", "b"])
@pytest.mark.parametrize("form", ["vjp", "jvp"])
def test_a_wrong_hand_is_the_odd_one_out_for_a_function_of_an_array(form, wrong):
    of_w, of_b = (1.01 if wrong == leaf else 1.0 for leaf in ("w", "b"))

    def vjp(u, p):
        w, b = p["w"], p["b"]
        return {"w": of_w * 3 * u * w**2 * (b**2).sum(), "b": of_b * 2 * (u * w**3).sum() * b}

    def jvp(v, p):
        w, b = p["w"], p["b"]
        return of_w * 3 * w**2 * v["w"] * (b**2).sum() + of_b * 2 * w**3 * (b * v["b"]).sum()

    report = check(each(outputs, outputs, outputs), PARAMS, **{form: {"vjp": vjp, "jvp": jvp}[form]})
    due = DIFFERS if wrong else AGREES
    assert told(report) == {"numeric": AGREES, "hand": due, "jax": AGREES, "torch": AGREES}
    assert (answer(report), report.odd_one_out) == (due, "hand" if wrong else None)
    # a tangent is one number per output: no leaf of its own can be blamed
    assert refuted(report) == ({("hand", wrong if form == "vjp" else None)} if wrong else set())


def test_a_broken_contract_is_the_hands_alone():
    report = check(each(), PARAMS, grad=lambda p: {"w": right(p)["w"]})
    assert told(report) == {
        "numeric": AGREES, "hand": (DISAGREES, "MISSING"), "jax": AGREES, "torch": AGREES
    }  # fmt: skip
    assert (answer(report), report.odd_one_out) == ((DISAGREES, "MISSING"), "hand")
    assert {f.leaf for f in report.findings if f.reason is Reason.MISSING} == {"b"}


# Kinks, where each framework has a convention of its own


def clipped(module, floor):
    return lambda p: floor(p["k"]).sum() + (p["w"] ** 2).sum()


FLOORS = {
    "numpy": clipped(np, lambda x: np.maximum(x, 0)),
    "jax": clipped(jnp, lambda x: jnp.maximum(x, 0)),  # ½ at the tie
    "torch": clipped(torch, lambda x: torch.clamp(x, min=0)),  # 1 at the tie
}
KINK = np.array([-1.0, 0.0, 2.0])
SUBGRADIENT = ("AGREES", "SUBGRADIENT")


def clipped_slope(at_tie):
    return lambda p: {
        path: 2 * leaf if path == "w" else (leaf > 0) + at_tie * (leaf == 0.0) for path, leaf in p.items()
    }


@pytest.mark.parametrize("order", ["kw", "wk"])
@pytest.mark.parametrize("at_tie", [0.0, 0.5, 1.0])
def test_conventions_at_a_tie_differ_and_nobody_is_wrong(at_tie, order):
    params = {path: {"k": KINK, "w": PARAMS["w"]}[path] for path in order}
    report = check(FLOORS, params, grad=clipped_slope(at_tie))
    assert [report.gradients[name]["k"][1] for name in EXACT] == [at_tie, 0.5, 1.0]
    assert told(report) == {"numeric": AGREES, **dict.fromkeys(EXACT, SUBGRADIENT)}
    assert (answer(report), report.odd_one_out) == (SUBGRADIENT, None)
    assert {(d.code, *d.leaves) for d in report.diagnoses} == {("GP109", "k")}
    assert not any(f.verdict is Verdict.DISAGREES for f in report.findings)


@pytest.mark.parametrize("at_tie", [-0.5, 1.5])
def test_outside_the_one_sided_slopes_is_undecided_and_the_frameworks_are_not_to_blame(at_tie):
    report = check(FLOORS, {"k": KINK, "w": PARAMS["w"]}, grad=clipped_slope(at_tie))
    assert told(report) == {
        "numeric": AGREES, "hand": (UNDECIDED, "KINK"), "jax": SUBGRADIENT, "torch": SUBGRADIENT
    }  # fmt: skip
    assert (answer(report), report.odd_one_out) == ((UNDECIDED, "KINK"), None)


def test_beside_a_kink_a_wrong_leaf_is_still_blamed():
    def wrong(p):
        return clipped_slope(0.0)(p) | {"w": 2.02 * p["w"]}

    report = check(FLOORS, {"k": KINK, "w": PARAMS["w"]}, grad=wrong)
    assert told(report) == {
        "numeric": AGREES, "hand": DIFFERS, "jax": SUBGRADIENT, "torch": SUBGRADIENT
    }  # fmt: skip
    assert (answer(report), report.odd_one_out) == (DIFFERS, "hand")
    assert refuted(report) == {("hand", "w")}


def steep(module, relu):
    """|x| + 3x, with slopes 2 and 4 at 0; frameworks that give relu slope 0 there say 0."""
    return lambda p: (module.abs(p["k"]) + 3 * (relu(p["k"]) - relu(-p["k"]))).sum() + (p["w"] ** 2).sum()


def test_what_lies_outside_the_one_sided_slopes_becomes_no_derivative_because_others_say_the_same():
    functions = each(steep(np, lambda x: np.maximum(x, 0)), steep(jnp, jax.nn.relu), steep(torch, torch.relu))

    def like_torch(p):
        return {"k": np.sign(p["k"]) + 3 * np.abs(np.sign(p["k"])), "w": 2 * p["w"]}

    report = check(functions, {"k": KINK, "w": PARAMS["w"]}, grad=like_torch)
    assert np.array_equal(report.gradients["hand"]["k"], report.gradients["torch"]["k"])
    assert told(report) == {"numeric": AGREES, **dict.fromkeys(EXACT, (UNDECIDED, "KINK"))}
    assert (answer(report), report.odd_one_out) == ((UNDECIDED, "KINK"), None)


def through_zero(relu):
    """x, written so that frameworks find slope 0 at 0."""
    return lambda p: (relu(p["k"]) - relu(-p["k"])).sum() + (p["w"] ** 2).sum()


def test_where_no_kink_is_seen_a_convention_of_both_frameworks_is_wrong():
    functions = each(
        through_zero(lambda x: np.maximum(x, 0)), through_zero(jax.nn.relu), through_zero(torch.relu)
    )
    report = check(
        functions, {"k": KINK, "w": PARAMS["w"]}, grad=lambda p: {"k": np.ones(3), "w": 2 * p["w"]}
    )
    assert told(report) == {"numeric": AGREES, "hand": AGREES, "jax": AGAINST, "torch": AGAINST}
    assert (answer(report), report.odd_one_out) == (AGREES, None)
    assert refuted(report) == {("jax", "k"), ("torch", "k")}


def test_at_a_jump_all_sources_alike_make_no_derivative():
    def stepped(module):
        return lambda p: module.where(p["k"] > 0, p["k"] ** 2 + 1, p["k"] ** 2).sum() + (p["w"] ** 2).sum()

    report = check(
        each(stepped(np), stepped(jnp), stepped(torch)),
        {"k": KINK, "w": PARAMS["w"]},
        grad=lambda p: {path: 2 * leaf for path, leaf in p.items()},
    )
    assert told(report) == {"numeric": AGREES, **dict.fromkeys(EXACT, (UNDECIDED, "JUMP"))}
    assert (answer(report), report.odd_one_out) == ((UNDECIDED, "JUMP"), None)
    assert not apart(report)


def test_a_nan_is_no_convention():
    def length(module):
        return lambda p: module.linalg.norm(p["k"]) + (p["w"] ** 2).sum()

    report = check(
        each(length(np), length(jnp), length(torch)),
        {"k": np.zeros(3), "w": PARAMS["w"]},
        grad=lambda p: {"k": np.zeros(3), "w": 2 * p["w"]},
    )
    assert told(report) == {
        "numeric": AGREES, "hand": SUBGRADIENT, "jax": (DISAGREES, "NOT_FINITE"), "torch": SUBGRADIENT
    }  # fmt: skip
    assert (answer(report), report.odd_one_out) == (SUBGRADIENT, "jax")
    assert {f.leaf for f in report.findings if f.reason is Reason.NOT_FINITE} == {"k"}


@pytest.mark.parametrize(("at_tie", "verdict"), [(0.0, Verdict.AGREES), (1.0, Verdict.UNDECIDED)])
def test_where_numeric_sees_no_slope_along_a_tangent_a_convention_is_not_outvoted(at_tie, verdict):
    report = check(
        each(lambda x: np.maximum(x, 0).sum(), lambda x: jax.nn.relu(x).sum(), lambda x: torch.relu(x).sum()),
        KINK,
        jvp=lambda v, x: ((x > 0) * v + at_tie * (x == 0) * v).sum(),
    )
    assert report.verdict is report.sources["hand"].verdict is verdict
    assert report.sources["jax"].verdict is report.sources["torch"].verdict is Verdict.AGREES
    assert report.odd_one_out is None


# JAX alone, in another precision


def in_float32(p):
    return loss({path: leaf.astype(jnp.float32) for path, leaf in p.items()})


def test_a_framework_that_returns_float32_is_judged_with_the_bars_of_float32():
    report = check(each(jax=in_float32), PARAMS, grad=right)
    assert report.sources["jax"].dtype == "float32"
    assert told(report) == {"numeric": AGREES, **dict.fromkeys(EXACT, AGREES)}
    assert (answer(report), report.odd_one_out) == (AGREES, None)


@pytest.mark.parametrize("back", [jnp.float32, jnp.float64])
def test_a_value_off_by_a_roundoff_of_float32_is_said_to_look_like_lower_precision(back):
    report = check(each(jax=lambda p: in_float32(p).astype(back)), PARAMS, grad=right)
    source = report.sources["jax"]
    assert source.verdict is Verdict.AGREES or "precision" in source.detail


def test_a_backward_pass_in_float32_is_refuted_and_said_to_look_like_lower_precision():
    @jax.custom_vjp
    def cube(x):
        return x**3

    def backward(x, above):
        return ((3 * x.astype(jnp.float32) ** 2 * above.astype(jnp.float32)).astype(x.dtype),)

    cube.defvjp(lambda x: (x**3, x), backward)
    report = check(each(jax=lambda p: cube(p["w"]).sum() * (p["b"] ** 2).sum()), PARAMS, grad=right)
    assert told(report) == {"numeric": AGREES, "hand": AGREES, "jax": DIFFERS, "torch": AGREES}
    assert (answer(report), report.odd_one_out) == (AGREES, "jax")
    assert "lower precision inside" in report.sources["jax"].detail
    assert refuted(report) == {("jax", "w")}


def test_a_function_that_computes_in_float32_does_not_make_others_of_the_frameworks():
    def rounded(p):
        return loss({path: leaf.astype(np.float32) for path, leaf in p.items()})

    params = {path: leaf.astype(np.float32) for path, leaf in PARAMS.items()}

    def claim(p):
        return {path: leaf.astype(np.float32) for path, leaf in right(p).items()}

    report = check(each(numpy=rounded), params, grad=claim)
    assert told(report) == {"numeric": AGREES, **dict.fromkeys(EXACT, AGREES)}


# One framework alone is wrong


@pytest.mark.parametrize("leaf", ["w", "b"])
@pytest.mark.parametrize("claim", [right, None], ids=["beside a claim", "without a claim"])
@pytest.mark.parametrize(("wrong", "stop"), [("torch", DETACH), ("jax", STOP)], ids=["torch", "jax"])
def test_a_framework_with_a_cut_path_is_the_odd_one_out(wrong, stop, claim, leaf):
    report = check(each(**{wrong: stopped(stop, leaf)}), PARAMS, **({"grad": claim} if claim else {}))
    asked = ALL if claim else ["numeric", "jax", "torch"]
    assert told(report) == {name: DIFFERS if name == wrong else AGREES for name in asked}
    assert answer(report) == (AGREES if claim else DIFFERS)
    assert report.odd_one_out == wrong
    assert refuted(report) == {(wrong, leaf)}
    assert apart(report) == {(*pair, leaf) for pair in combinations(asked[1:], 2) if wrong in pair}


# Both frameworks against the function's values


def halved(x):
    """x, with a rule that gives half of its derivative."""
    return TorchHalf.apply(x) if isinstance(x, torch.Tensor) else jax_half(x)


class TorchHalf(torch.autograd.Function):
    @staticmethod
    def forward(_ctx, x):
        return x.clone()

    @staticmethod
    def backward(_ctx, above):
        return above / 2


jax_half = jax.custom_vjp(lambda x: x)
jax_half.defvjp(lambda x: (x, None), lambda _, above: (above / 2,))


def by_wrong_rule(p):
    return (p["w"] ** 3).sum() * (halved(p["b"]) ** 2).sum()


ALIKE = {
    "stopped": each(jax=stopped(STOP), torch=stopped(DETACH)),
    "custom rules": each(jax=by_wrong_rule, torch=by_wrong_rule),
}
BY_VALUES = "the same"


@pytest.mark.parametrize("kind", ALIKE)
def test_two_frameworks_wrong_alike_do_not_outvote_the_values(kind):
    report = check(ALIKE[kind], PARAMS, grad=right)
    assert told(report) == {"numeric": AGREES, "hand": AGREES, "jax": AGAINST, "torch": AGAINST}
    assert (answer(report), report.odd_one_out) == (AGREES, None)
    assert refuted(report) == {("jax", "b"), ("torch", "b")}
    assert apart(report) == {("hand", "jax", "b"), ("hand", "torch", "b")}
    assert report.sources["jax"].detail == f"torch gives {BY_VALUES}"
    assert report.sources["torch"].detail == f"jax gives {BY_VALUES}"


@pytest.mark.parametrize("kind", ALIKE)
def test_a_claim_that_shares_the_mistake_of_both_frameworks_is_refuted_and_nobody_is_odd(kind):
    report = check(ALIKE[kind], PARAMS, grad=off(b=0.5))
    assert told(report) == {"numeric": AGREES, **dict.fromkeys(EXACT, AGAINST)}
    assert (answer(report), report.odd_one_out) == (AGAINST, None)
    assert refuted(report) == {(name, "b") for name in EXACT}
    assert not apart(report)
    assert report.detail.startswith(f"jax and torch give {BY_VALUES}")
    assert "a stopped gradient, a custom rule" in report.reason.value
    assert "give the same" in str(report)


@pytest.mark.parametrize("kind", ALIKE)
def test_without_a_claim_both_are_refuted(kind):
    report = check(ALIKE[kind], PARAMS)
    assert told(report) == {"numeric": AGREES, "jax": AGAINST, "torch": AGAINST}
    assert (report.claim, answer(report), report.odd_one_out) == (None, AGAINST, None)
    assert refuted(report) == {("jax", "b"), ("torch", "b")}
    assert report.detail.startswith(f"torch gives {BY_VALUES}")


def test_two_frameworks_wrong_in_different_leaves_have_no_mistake_in_common():
    report = check(each(jax=stopped(STOP, "w"), torch=stopped(DETACH, "b")), PARAMS, grad=right)
    assert told(report) == {"numeric": AGREES, "hand": AGREES, "jax": DIFFERS, "torch": DIFFERS}
    assert (answer(report), report.odd_one_out) == (AGREES, None)
    assert refuted(report) == {("jax", "w"), ("torch", "b")}
    assert not any(BY_VALUES in source.detail for source in report.sources.values())


# Another function


def other(p):
    return (p["w"] ** 2).sum() * (p["b"] ** 2).sum()


STRANGER = (DISAGREES, "DIFFERENT_FUNCTION")


@pytest.mark.parametrize(("claim", "due"), [(right, AGREES), (off(b=1.01), DIFFERS)], ids=["right", "wrong"])
@pytest.mark.parametrize("strangers", [("jax",), ("torch",), ("jax", "torch")], ids=" ".join)
def test_a_framework_that_computes_another_function_is_said_to_and_hand_is_judged(strangers, claim, due):
    report = check(each(**dict.fromkeys(strangers, other)), PARAMS, grad=claim)
    others = {name: STRANGER if name in strangers else AGREES for name in ("jax", "torch")}
    assert told(report) == {"numeric": AGREES, "hand": due, **others}
    assert answer(report) == due
    out = [*strangers, *(["hand"] if due is DIFFERS else [])]
    assert report.odd_one_out == (out[0] if len(out) == 1 else None)
    assert refuted(report) == ({("hand", "b")} if due is DIFFERS else set())
    assert {f.what for f in report.findings if set(strangers) & set(f.sources)} == {"value"}
    assert report.sources[strangers[0]].detail.startswith(f"{strangers[0]} computes ")


def test_a_claimed_value_of_another_function_is_the_hands_fault():
    report = check(each(), PARAMS, value_and_grad=lambda p: (other(p), right(p)))
    assert told(report) == {"numeric": AGREES, "hand": STRANGER, "jax": AGREES, "torch": AGREES}
    assert (answer(report), report.odd_one_out) == (STRANGER, "hand")


# Hand and one framework share a mistake


@pytest.mark.parametrize(("ally", "stop"), [("jax", STOP), ("torch", DETACH)], ids=["jax", "torch"])
def test_a_mistake_shared_by_hand_and_one_framework_is_nobodys_alone(ally, stop):
    report = check(each(**{ally: stopped(stop)}), PARAMS, grad=off(b=0.5))
    (honest,) = {"jax", "torch"} - {ally}
    assert told(report) == {"numeric": AGREES, "hand": AGAINST, ally: AGAINST, honest: AGREES}
    assert (answer(report), report.odd_one_out) == (AGAINST, None)
    assert refuted(report) == {("hand", "b"), (ally, "b")}
    assert {frozenset(pair) for *pair, _ in apart(report)} == {
        frozenset({"hand", honest}),
        frozenset({"jax", "torch"}),
    }
    assert report.detail.startswith(f"{ally} gives {BY_VALUES}")


def test_hand_and_one_framework_wrong_in_different_leaves_are_blamed_each_for_its_own():
    report = check(each(jax=stopped(STOP, "w")), PARAMS, grad=off(b=0.5))
    assert told(report) == {"numeric": AGREES, "hand": DIFFERS, "jax": DIFFERS, "torch": AGREES}
    assert (answer(report), report.odd_one_out) == (DIFFERS, None)
    assert refuted(report) == {("hand", "b"), ("jax", "w")}
    assert not any(BY_VALUES in source.detail for source in report.sources.values())


# Numeric is not asked


OUTVOTED, DISPUTED = (DISAGREES, "OUTVOTED"), (UNDECIDED, "DISPUTED")
ODD = {
    "hand": (each(), off(b=0.5)),
    "jax": (each(jax=stopped(STOP)), right),
    "torch": (each(torch=stopped(DETACH)), right),
}


@pytest.mark.parametrize("odd", ODD)
def test_without_numeric_two_outvote_one_and_are_right_by_the_same_vote(odd):
    functions, claim = ODD[odd]
    report = check(functions, PARAMS, grad=claim, sources=EXACT)
    assert told(report) == {name: OUTVOTED if name == odd else AGREES for name in EXACT}
    assert (answer(report), report.odd_one_out) == (OUTVOTED if odd == "hand" else AGREES, odd)
    assert apart(report) == {(*pair, "b") for pair in combinations(EXACT, 2) if odd in pair}


def test_without_numeric_two_sources_may_be_outvoted_in_a_leaf_each():
    report = check(each(torch=stopped(DETACH, "w")), PARAMS, grad=off(b=0.5), sources=EXACT)
    assert told(report) == {"hand": OUTVOTED, "jax": AGREES, "torch": OUTVOTED}
    assert (answer(report), report.odd_one_out) == (OUTVOTED, None)


@pytest.mark.parametrize("pair", [("hand", "jax"), ("hand", "torch")], ids=" ".join)
def test_without_numeric_one_against_one_is_a_dispute(pair):
    report = check(each(), PARAMS, grad=off(b=0.5), sources=pair)
    assert told(report) == dict.fromkeys(pair, DISPUTED)
    assert (answer(report), report.odd_one_out) == (DISPUTED, None)
    assert apart(report) == {(*pair, "b")}


def test_without_numeric_and_claim_one_framework_against_the_other_is_a_dispute():
    report = check(each(jax=stopped(STOP)), PARAMS, sources=["jax", "torch"])
    assert told(report) == {"jax": DISPUTED, "torch": DISPUTED}
    assert (report.claim, answer(report), report.odd_one_out) == (None, DISPUTED, None)


def test_without_numeric_three_that_differ_are_a_dispute():
    report = check(each(jax=stopped(STOP)), PARAMS, grad=off(b=2.0), sources=EXACT)
    assert told(report) == dict.fromkeys(EXACT, DISPUTED)
    assert (answer(report), report.odd_one_out) == (DISPUTED, None)
    assert apart(report) == {(*pair, "b") for pair in combinations(EXACT, 2)}


def test_without_numeric_a_mistake_that_all_share_passes():
    """What cannot be seen without function values; with them it is refuted above."""
    report = check(ALIKE["stopped"], PARAMS, grad=off(b=0.5), sources=EXACT)
    assert told(report) == dict.fromkeys(EXACT, AGREES)


@pytest.mark.parametrize("wrong", [False, True])
def test_without_numeric_a_wrong_tangent_is_outvoted(wrong):
    def jvp(v, p):
        w, b = p["w"], p["b"]
        push = 3 * w**2 * v["w"] * (b**2).sum() + 2 * w**3 * (b * v["b"]).sum()
        return 1.5 * push if wrong else push

    report = check(each(outputs, outputs, outputs), PARAMS, jvp=jvp, sources=EXACT)
    assert told(report) == {"hand": OUTVOTED if wrong else AGREES, "jax": AGREES, "torch": AGREES}
    assert (answer(report), report.odd_one_out) == ((OUTVOTED, "hand") if wrong else (AGREES, None))


# Numeric is asked, and cannot decide


def noisy(share):
    rng = np.random.default_rng(0)
    return lambda p: loss(p) * (1 + share * rng.normal())


NOISE = (UNDECIDED, "NON_DETERMINISTIC")


def test_where_numeric_sees_noise_alone_exact_sources_confirm_each_other():
    report = check(each(numpy=noisy(0.1)), PARAMS, grad=right)
    assert told(report) == {"numeric": NOISE, **dict.fromkeys(EXACT, AGREES)}
    assert (answer(report), report.odd_one_out) == (AGREES, None)


@pytest.mark.parametrize("odd", ODD)
def test_where_numeric_sees_noise_alone_two_outvote_one(odd):
    functions, claim = ODD[odd]
    report = check(functions | {"numpy": noisy(0.3)}, PARAMS, grad=claim)
    assert told(report) == {"numeric": NOISE, **{name: OUTVOTED if name == odd else AGREES for name in EXACT}}
    assert (answer(report), report.odd_one_out) == (OUTVOTED if odd == "hand" else AGREES, odd)
    assert {leaf for *_, leaf in apart(report)} == {"b"}


def test_where_numeric_sees_noise_alone_one_against_one_stays_open():
    report = check(each(numpy=noisy(0.3)), PARAMS, grad=off(b=0.5), sources=["numeric", "hand", "jax"])
    assert told(report) == dict.fromkeys(["numeric", "hand", "jax"], NOISE)
    assert (answer(report), report.odd_one_out) == (NOISE, None)


def test_where_numeric_sees_noise_alone_three_that_differ_stay_open():
    report = check(each(numpy=noisy(0.3), jax=stopped(STOP)), PARAMS, grad=off(b=0.7))
    assert told(report) == dict.fromkeys(ALL, NOISE)
    assert (answer(report), report.odd_one_out) == (NOISE, None)


def test_what_may_be_rounding_is_not_outvoted_where_numeric_cannot_tell():
    report = check(each(numpy=noisy(0.3)), PARAMS, grad=off(b=1 + 1e-9))
    assert told(report) == {"numeric": NOISE, "hand": NOISE, "jax": AGREES, "torch": AGREES}
    assert (answer(report), report.odd_one_out) == (NOISE, None)


def flipped(p):
    """The loss, with an automatic derivative that is −5 times the right one in b."""
    return (p["w"] ** 3).sum() * (6 * p["b"].detach() ** 2 - 5 * p["b"] ** 2).sum()


def test_sources_that_numeric_refutes_have_no_vote_against_one_that_it_cannot_confirm():
    report = check(each(numpy=noisy(0.01), torch=flipped), PARAMS, grad=off(b=-5))
    assert told(report) == {"numeric": AGREES, "hand": AGAINST, "jax": NOISE, "torch": AGAINST}
    assert (answer(report), report.odd_one_out) == (AGAINST, None)
    assert refuted(report) == {("hand", "b"), ("torch", "b")}


def test_a_source_is_confirmed_by_another_when_numeric_refutes_the_third():
    report = check(each(numpy=noisy(0.01)), PARAMS, grad=off(b=-5))
    assert told(report) == {"numeric": AGREES, "hand": DIFFERS, "jax": AGREES, "torch": AGREES}
    assert (answer(report), report.odd_one_out) == (DIFFERS, "hand")
    assert refuted(report) == {("hand", "b")}


WHOLE = {"w": np.array([1.0, 2.0, 3.0], np.float32), "b": np.array([[1.0, 2.0]], np.float32)}
LIFT = 2.0**21
COARSE = (UNDECIDED, "RESOLUTION")


def lifted(p):
    return loss(p) + LIFT


def coarse(p):
    """The same, in float32 whatever comes. It is exact at `WHOLE`; to numeric 4 in 10³ of a leaf are noise."""
    return np.float32(loss({path: leaf.astype(np.float32) for path, leaf in p.items()}) + np.float32(LIFT))


def single(claim):
    return lambda p: {path: leaf.astype(np.float32) for path, leaf in claim(p).items()}


@pytest.mark.parametrize(
    ("factor", "due"), [(1, AGREES), (1.0005, COARSE), (1.002, OUTVOTED), (1.1, DIFFERS)]
)
def test_what_float32_is_too_coarse_for_the_others_decide_and_numeric_what_it_can(factor, due):
    report = check(each(coarse, lifted, lifted), WHOLE, grad=single(off(b=factor)), resolution=1e-4)
    assert report.sources["numeric"].dtype == "float32"
    numeric = AGREES if due is DIFFERS else COARSE
    assert told(report) == {"numeric": numeric, "hand": due, "jax": AGREES, "torch": AGREES}
    assert (answer(report), report.odd_one_out) == (due, "hand" if due[0] == DISAGREES else None)
    assert refuted(report) == ({("hand", "b")} if due is DIFFERS else set())
    assert {leaf for *_, leaf in apart(report)} == (set() if due is AGREES else {"b"})


def test_what_float32_is_too_coarse_for_stays_open_between_two():
    asked = ["numeric", "hand", "jax"]
    report = check(each(coarse, lifted), WHOLE, grad=single(off(b=1.002)), resolution=1e-4, sources=asked)
    assert told(report) == dict.fromkeys(asked, COARSE)
    assert (answer(report), report.odd_one_out) == (COARSE, None)
    assert apart(report) == {("hand", "jax", "b")}


# Numeric and hand alone


@pytest.mark.parametrize("wrong", ["", "w", "b"])
def test_numeric_alone_confirms_or_refutes_hand(wrong):
    report = check(loss, PARAMS, grad=off(**dict.fromkeys(wrong, 1.01)), sources=["numeric", "hand"])
    due = DIFFERS if wrong else AGREES
    assert told(report) == {"numeric": AGREES, "hand": due}
    assert (answer(report), report.odd_one_out) == (due, "hand" if wrong else None)
    assert refuted(report) == ({("hand", wrong)} if wrong else set())


@pytest.mark.parametrize("claim", [right, off(b=0.5)], ids=["right", "wrong"])
def test_numeric_alone_in_noise_blames_nobody(claim):
    report = check(noisy(0.3), PARAMS, grad=claim, sources=["numeric", "hand"])
    assert told(report) == {"numeric": NOISE, "hand": NOISE}
    assert (answer(report), report.odd_one_out) == (NOISE, None)


def test_frameworks_that_cannot_run_the_function_leave_the_verdict_to_numeric():
    report = check({"numpy": loss}, PARAMS, grad=off(b=0.5))
    cannot = ("UNSUPPORTED", "CANNOT_RUN")
    assert told(report) == {"numeric": AGREES, "hand": DIFFERS, "jax": cannot, "torch": cannot}
    assert (answer(report), report.odd_one_out) == (DIFFERS, "hand")
    assert refuted(report) == {("hand", "b")}


@pytest.mark.parametrize(
    ("claim", "due"),
    [(right, (UNDECIDED, "NOTHING_COMPARED")), (lambda p: {"w": p["w"]}, (DISAGREES, "MISSING"))],
    ids=["whole", "broken"],
)
def test_a_source_that_is_asked_alone_is_no_odd_one_out(claim, due):
    report = check(loss, PARAMS, grad=claim, sources=["hand"])
    assert told(report) == {"hand": due}
    assert (answer(report), report.odd_one_out) == (due, None)


# More sources than there are adapters: the rule itself


def votes(*groups, undecided=()):
    """Findings of sources named by letters: those of one group agree, all others differ."""
    names = sorted("".join(groups))
    return [
        Finding(
            "gradient", pair, "w",
            Verdict.UNDECIDED if set(pair) in map(set, undecided)
            else Verdict.AGREES if any(set(pair) <= set(group) for group in groups)
            else Verdict.DISAGREES,
        )
        for pair in combinations(names, 2)
    ]  # fmt: skip


VOTES = {
    "3 : 1": (votes("abc", "d"), {"a": AGREES, "b": AGREES, "c": AGREES, "d": OUTVOTED}),
    "2 : 2": (votes("ab", "cd"), dict.fromkeys("abcd", DISPUTED)),
    "2 : 1 : 1": (votes("ab", "c", "d"), dict.fromkeys("abcd", DISPUTED)),
    "4 : 2": (votes("abcd", "ef"), dict.fromkeys("abcdef", DISPUTED)),
    "2 : 1, and those two cannot be told to agree": (
        votes("ab", "c", undecided=["ab"]),
        {"a": DISPUTED, "b": DISPUTED, "c": DISPUTED},
    ),
    "2 : 1, one of them too coarse to contradict": (
        votes("ab", "c", undecided=["bc"]),
        {"a": DISPUTED, "b": AGREES, "c": DISPUTED},
    ),
}


@pytest.mark.parametrize("kind", VOTES)
@pytest.mark.parametrize("backwards", [False, True])
def test_who_is_outvoted(kind, backwards):
    findings, due = VOTES[kind]
    findings = findings[::-1] if backwards else findings
    assert {name: _named(judge_source(name, findings)) for name in due} == due


def by_numeric(name, verdict, reason=None, bar=0.1):
    return Finding("slope", (name, "numeric"), "w", verdict, reason, bar=bar, gap=0.0, scale=1.0)


@pytest.mark.parametrize("reason", [Reason.STAIRS, Reason.ROUGH, Reason.KINK, Reason.JUMP])
@pytest.mark.parametrize("groups", [("ab",), ("ab", "c")], ids=" ".join)
def test_doubts_of_numeric_that_no_vote_lifts(reason, groups):
    names = sorted("".join(groups))
    findings = [*votes(*groups), *(by_numeric(name, Verdict.UNDECIDED, reason) for name in names)]
    assert {_named(judge_source(name, findings)) for name in names} == {(UNDECIDED, reason.name)}


@pytest.mark.parametrize("reason", [Reason.KINKS, Reason.DOMAIN, Reason.UNSTABLE, Reason.NOT_ADDITIVE])
def test_doubts_of_numeric_with_which_nobody_is_outvoted(reason):
    findings = [*votes("ab", "c"), *(by_numeric(name, Verdict.UNDECIDED, reason) for name in "abc")]
    due = {"a": AGREES, "b": AGREES, "c": (UNDECIDED, reason.name)}
    assert {name: _named(judge_source(name, findings)) for name in due} == due


@pytest.mark.parametrize("reason", [Reason.RESOLUTION, Reason.VANISHING, Reason.NON_DETERMINISTIC])
@pytest.mark.parametrize(("bar", "due"), [(0.1, OUTVOTED), (np.inf, None)])
def test_doubts_of_numeric_that_leave_it_to_the_vote(reason, bar, due):
    findings = [*votes("ab", "c"), *(by_numeric(name, Verdict.UNDECIDED, reason, bar) for name in "abc")]
    assert _named(judge_source("c", findings)) == (due or (UNDECIDED, reason.name))
    assert _named(judge_source("a", findings)) == AGREES


def test_what_numeric_confirms_is_not_outvoted():
    findings = [*votes("ab", "c"), *(by_numeric(name, Verdict.AGREES) for name in "abc")]
    assert {_named(judge_source(name, findings)) for name in "abc"} == {AGREES}


@pytest.mark.parametrize(
    ("verdicts", "odd"),
    [
        ("ADA", "b"), ("DDA", None), ("DDD", None), ("AAA", None), ("D", None), ("UD", "b"), ("", None),
    ],
)  # fmt: skip
def test_the_odd_one_out_is_the_only_one_that_disagrees(verdicts, odd):
    words = {"A": Verdict.AGREES, "D": Verdict.DISAGREES, "U": Verdict.UNDECIDED}
    assert odd_one_out({name: words[letter] for name, letter in zip("abc", verdicts, strict=False)}) == odd
