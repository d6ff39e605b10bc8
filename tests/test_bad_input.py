"""What `check` refuses to start with, and in which words: what came, what was due, what to do."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from gradproof import GradientMismatch, Reason, Verdict, assert_gradients, check
from gradproof.trees import ROOT

ASKED = ("numeric", "hand")
X = np.linspace(0.3, 2.0, 5)
X.flags.writeable = False


def loss(x):
    return np.sum(np.sin(x) * x)


def slope(x):
    return np.sin(x) + x * np.cos(x)


def refused(error, fun=loss, params=X, **options):
    """The message with which `check` refuses: that of the right gradient, with `options` changed."""
    with pytest.raises(error) as caught:
        check(fun, params, **{"grad": slope, "sources": ASKED} | options)
    return str(caught.value)


def notes(error, fun=loss, params=X, **options):
    """The notes that gradproof hung on the exception of `fun` or the claim."""
    with pytest.raises(error) as caught:
        check(fun, params, **{"sources": ASKED} | options)
    return " ".join(getattr(caught.value, "__notes__", ()))


# Sources


@pytest.mark.parametrize("nobody", [[], (), {}])
def test_no_sources_at_all_check_nothing(nobody):
    assert refused(ValueError, sources=nobody) == "sources is empty: nothing would be checked"


def test_an_unknown_source_is_told_the_known_ones():
    said = refused(ValueError, sources=["numeric", "hand", "theano"])
    assert "unknown source 'theano'" in said
    assert "Known: hand, jax, numeric, numpy, torch" in said


@pytest.mark.parametrize(("typo", "meant"), [("numerc", "numeric"), ("pytorch", "torch"), ("Hand", "hand")])
def test_a_misspelt_source_is_told_the_nearest(typo, meant):
    assert f"did you mean {meant!r}" in refused(ValueError, sources=["numeric", "hand", typo])


@pytest.mark.parametrize("sources", [3, ["numeric", 3], [["numeric"]]])
def test_a_source_that_is_no_name_is_refused_by_name(sources):
    assert "source" in refused((TypeError, ValueError), sources=sources)


def test_a_source_named_twice_is_asked_once():
    calls = []
    report = check(loss, X, grad=lambda x: calls.append(x) or slope(x), sources=["hand", "numeric", "hand"])
    assert list(report.sources) == ["hand", "numeric"]
    assert report.sources["hand"].calls == len(calls)


def test_one_source_may_be_given_by_its_bare_name():
    assert list(check(loss, X, sources="numeric").sources) == ["numeric"]


def test_hand_without_a_claim_is_told_what_to_pass():
    said = refused(ValueError, grad=None)
    assert "'hand'" in said
    assert "no claim was given: pass grad=, value_and_grad=, vjp= or jvp=" in said


def test_a_claim_that_nobody_would_judge_is_refused():
    said = refused(ValueError, sources=["numeric"])
    assert said == "a claim was given, but sources leaves 'hand' out: it would not be judged"


@pytest.mark.parametrize("alone", [["numeric"], ["jax"], ["torch"]])
def test_a_source_alone_is_never_agreed_with(alone):
    report = check(lambda x: (x * x).sum(), X, sources=alone)
    assert report.verdict is Verdict.UNDECIDED
    assert report.reason is Reason.NOTHING_COMPARED


@pytest.mark.parametrize("asked", [["numpy"], ["numpy", "numeric"]])
def test_arrays_of_a_backend_that_does_not_differentiate_are_unsupported_without_a_claim(asked):
    report = check(loss, X, sources=asked)
    assert report.verdict is Verdict.UNSUPPORTED
    assert report.reason is Reason.NO_DERIVATIVE


@pytest.mark.parametrize("asked", [["hand"], ["hand", "numpy"], ["hand", "torch"]])
def test_a_claim_beside_nobody_who_can_answer_is_undecided(asked):
    report = check(loss, X, grad=slope, sources=asked)
    assert report.verdict is Verdict.UNDECIDED
    assert report.reason is Reason.NOTHING_COMPARED


# The claim


@pytest.mark.parametrize(
    ("first", "second"), [("grad", "value_and_grad"), ("grad", "vjp"), ("value_and_grad", "vjp")]
)
def test_a_gradient_claimed_twice_names_both(first, second):
    said = refused(ValueError, **{"grad": None, first: slope, second: slope})
    assert said == f"{first} and {second} state the same gradient twice; pass one of them"


@pytest.mark.parametrize("form", ["grad", "value_and_grad", "vjp", "jvp"])
def test_a_claim_that_is_no_function_is_named(form):
    said = refused(TypeError, **{"grad": None, form: slope(X)})
    assert said == f"{form} is a ndarray; due: a function of the parameters"


def test_grad_of_an_array_valued_function_is_told_of_vjp():
    said = refused(ValueError, fun=np.sin)
    assert "fun returned shape (5,)" in said
    assert (
        "reduce it inside fun, or state vjp(cotangent, params, *args) or jvp(tangents, params, *args)" in said
    )


def test_value_and_grad_that_gives_no_pair_is_told_the_pair():
    assert "value_and_grad" in refused((TypeError, ValueError), grad=None, value_and_grad=slope)


def test_value_and_grad_without_a_value_is_not_taken_for_fun():
    said = refused(TypeError, grad=None, value_and_grad=lambda x: (None, slope(x)))
    assert "fun returned" not in said


def test_a_jvp_that_returns_nothing_is_not_taken_for_fun():
    assert "fun returned" not in refused(TypeError, fun=np.sin, grad=None, jvp=lambda _v, _x: None)


# Constants and choices


@pytest.mark.parametrize("args", [X, 3, None, "ab", {"scale": 2.0}])
def test_args_that_are_no_tuple_are_shown_how_to_pass_one_constant(args):
    said = refused(TypeError, args=args)
    assert f"args is a tuple of constants; got a {type(args).__name__}" in said
    assert "For one constant pass args=(x,)" in said


@pytest.mark.parametrize("option", ["resolution", "confidence"])
@pytest.mark.parametrize("value", [0, 1, -0.1, 1.5, math.nan, math.inf, "high", True])
def test_a_share_outside_0_and_1_is_refused(option, value):
    assert refused(ValueError, **{option: value}) == f"{option} lies between 0 and 1; got {value!r}"


def test_no_confidence_is_no_choice():
    assert refused(ValueError, confidence=None) == "confidence lies between 0 and 1; got None"


def test_no_resolution_is_the_default():
    assert check(loss, X, grad=slope, sources=ASKED, resolution=None).resolution == 1e-3


@pytest.mark.parametrize("seed", [-1, 1.0, None, True, "0", np.random.default_rng(0)])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    assert refused(ValueError, seed=seed) == f"seed is a whole number from 0; got {seed!r}"


@pytest.mark.parametrize("option", [{"seed": np.int64(3)}, {"resolution": np.float32(1e-3)}])
def test_numbers_of_numpy_are_numbers(option):
    assert check(loss, X, grad=slope, sources=ASKED, **option).verdict is Verdict.AGREES


@pytest.mark.parametrize("door", [check, assert_gradients])
def test_an_unknown_option_is_named(door):
    with pytest.raises(TypeError, match="gard"):
        door(loss, X, gard=slope)


# Parameters


NOT_REAL = {
    "int64": np.arange(1, 4),
    "bool": np.array([True, False]),
    "complex128": np.array([1j, 2.0]),
    "object": np.array([1.0, None], dtype=object),
    "<U1": np.array(["a", "b"]),
}


@pytest.mark.parametrize("dtype", NOT_REAL)
def test_parameters_that_are_not_real_floating_point_name_leaf_dtype_and_way_out(dtype):
    said = refused(ValueError, params={"w": X, "codes": NOT_REAL[dtype]})
    assert f"codes has dtype {dtype}; a derivative needs real floating-point parameters" in said
    assert "convert it with astype(float), or put it into args" in said


def test_integer_tensors_are_refused_like_integer_arrays():
    torch = pytest.importorskip("torch")
    assert f"{ROOT} has dtype int64" in refused(ValueError, params=torch.arange(3))


def test_a_precision_beyond_float64_is_told_the_known_ones():
    said = refused(ValueError, params=X.astype(np.longdouble))
    assert "due: one of float64, float32, float16, bfloat16" in said


@pytest.mark.parametrize("nothing", [{}, [], (), None, {"a": None, "b": []}])
def test_a_tree_without_leaves_is_shown(nothing):
    said = refused(ValueError, params=nothing)
    assert said == f"params holds no arrays: got {nothing!r}; pass an array or a tree of arrays"


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_a_leaf_without_entries_is_named_with_its_shape(shape):
    said = refused(ValueError, params={"w": X, "b": np.zeros(shape)})
    assert said == f"b has shape {shape} and no entries: there is nothing to differentiate"


@pytest.mark.parametrize("number", [1.5, 3, True])
def test_a_leaf_that_is_a_python_number_is_shown_the_array_to_pass(number):
    said = refused(ValueError, params={"w": X, "b": number})
    assert f"b is a {type(number).__name__}, params hold arrays" in said
    assert f"pass numpy.asarray({number!r}, dtype=float)" in said


def test_a_text_in_a_dataclass_is_told_of_static_fields():
    @dataclass
    class Layer:
        w: object
        name: str

    said = refused(ValueError, params=Layer(X, "first"))
    assert "name is a str" in said
    assert "metadata={'static': True}" in said


def test_leaves_of_two_frameworks_are_named_with_their_owners():
    torch = pytest.importorskip("torch")
    said = refused(ValueError, params={"w": X, "layers": [torch.ones(2)]})
    assert said == "params mix backends: w belongs to numpy, layers[0] to torch; convert one"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_parameters_that_are_not_finite_are_refused(value):
    params = {"w": X, "b": np.array([1.0, value])}
    said = refused(
        ValueError, lambda p: loss(p["w"]), params, grad=lambda p: {"w": slope(p["w"]), "b": 0 * X[:2]}
    )
    assert "b" in said
    assert "finite" in said


# The function


@pytest.mark.parametrize("fun", [3, None, "loss", X])
def test_a_fun_that_is_no_function_is_refused(fun):
    said = refused(TypeError, fun=fun)
    assert said == f"fun is a {type(fun).__name__}; due: a function of the parameters, or one per backend"


def test_an_empty_mapping_of_functions_is_shown_a_full_one():
    said = refused(ValueError, fun={})
    assert said == "fun is an empty mapping; due: one function per backend, {'numpy': f, 'torch': g}"


def test_a_function_for_an_unknown_backend_is_told_the_known_ones():
    said = refused(ValueError, fun={"numpy": loss, "tensorflow": loss})
    assert said == "unknown backend 'tensorflow'. Known: jax, numpy, torch"


def test_a_function_for_a_misspelt_backend_is_told_the_nearest():
    assert "did you mean 'numpy'" in refused(ValueError, fun={"nunpy": loss})


def test_a_mapping_to_something_else_than_functions_is_refused():
    assert refused(TypeError, fun={"numpy": loss, "torch": 3}).startswith("fun is a int; due: a function")


@pytest.mark.parametrize("fun", [{"numpy": {"numpy": loss}}, {3: loss}])
def test_a_mapping_of_mappings_or_of_numbers_is_refused(fun):
    assert "due" in refused((TypeError, ValueError), fun=fun)


@pytest.mark.parametrize("value", [None, [1.0], (1.0, 2.0), {"loss": 1.0}, "1.0", True, 1j])
def test_a_fun_that_returns_no_real_number_is_told_what_is_due(value):
    said = refused(TypeError, fun=lambda _x: value)
    assert said == f"fun returned a {type(value).__name__}; due: a scalar or one array"


def test_a_fun_that_returns_complex_numbers_is_told_of_the_two_parts():
    said = refused(TypeError, fun=lambda x: loss(x) + 0j)
    assert (
        said == "fun returned dtype complex128; due: real numbers. Check its real and imaginary parts apart"
    )


@pytest.mark.parametrize("value", [np.True_, np.array("1.0")])
def test_a_fun_that_returns_a_truth_value_or_a_text_of_numpy_is_told_what_is_due(value):
    assert "due" in refused(TypeError, fun=lambda _x: value)


def test_a_fun_that_returns_an_array_without_entries_has_no_derivative():
    said = refused(ValueError, fun=lambda x: x[:0], grad=None, vjp=lambda _u, x: 0 * x)
    assert said == "fun returned shape (0,), which has no entries: there is nothing to differentiate"


# What the caller's own code raises


class LostError(RuntimeError):
    """Raised by nobody else."""


def lost(*_arrays):
    raise LostError("here")


def test_what_fun_raises_comes_through_with_a_note():
    assert notes(LostError, fun=lost, grad=slope) == "gradproof: raised by fun at params (in numpy)"


@pytest.mark.parametrize("form", ["grad", "value_and_grad", "vjp"])
def test_what_the_claim_raises_comes_through_with_a_note(form):
    assert notes(LostError, **{form: lost}) == "gradproof: raised by the claim at params (source hand)"


def test_what_a_jvp_raises_comes_through_with_a_note():
    assert "source hand" in notes(LostError, jvp=lost)


def test_what_a_framework_raises_as_the_claim_comes_through_with_a_note():
    torch = pytest.importorskip("torch")
    said = notes(LostError, fun=lost, params=torch.ones(2, dtype=torch.float64), sources=["numeric", "torch"])
    assert "fun at params (in torch)" in said


def test_wrong_numbers_of_arguments_come_through_with_a_note():
    assert "raised by the claim" in notes(TypeError, grad=lambda _x, _surplus: None)


def raises_at_call(number):
    calls = []

    def fun(x):
        calls.append(x)
        if len(calls) == number:
            raise LostError(number)
        return loss(x)

    return fun


@pytest.mark.parametrize("call", [1, 2])
def test_whichever_of_the_first_calls_fails_fun_is_named(call):
    assert "raised by fun" in notes(LostError, fun=raises_at_call(call), grad=slope)


@pytest.mark.parametrize("call", [3, 4])
def test_whichever_of_the_later_calls_fails_fun_is_named(call):
    assert "raised by fun" in notes(LostError, fun=raises_at_call(call), grad=slope)


def test_what_fun_raises_away_from_the_point_is_the_edge_of_its_domain():
    def fun(x):
        return loss(x) if np.all(np.abs(x - X) < 0.1) else lost()

    assert check(fun, X, grad=slope, sources=ASKED).verdict is Verdict.AGREES
    assert check(fun, X, grad=lambda x: -slope(x), sources=ASKED).verdict is Verdict.DISAGREES


def test_a_point_at_the_very_edge_of_a_raising_domain_is_not_an_error():
    report = check(
        lambda x: np.asarray(math.sqrt(1.0 - x) ** 3),
        np.asarray(1.0),
        grad=lambda x: np.asarray(-1.5 * math.sqrt(1.0 - x)),
        sources=ASKED,
    )
    assert report.verdict is not Verdict.DISAGREES


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_not_taken_for_a_failure(stop):
    def stopped(_x):
        raise stop

    with pytest.raises(stop):
        check(stopped, X, grad=slope, sources=ASKED)
    with pytest.raises(stop):
        check(loss, X, grad=stopped, sources=ASKED)


# Whatever happens, nothing of the caller's changes


def wrecks_and_raises(x, scale):
    x *= 0
    scale *= 0
    raise LostError


@pytest.mark.parametrize("wrecked", ["fun", "grad"])
def test_the_callers_arrays_survive_code_that_wrecks_its_input_and_raises(wrecked):
    params, scale = X.copy(), np.arange(1.0, 6.0)
    right = {"fun": lambda x, s: loss(s * x), "grad": lambda x, s: s * slope(s * x)}
    mixed = right | {wrecked: wrecks_and_raises}
    with pytest.raises(LostError):
        check(mixed["fun"], params, args=(scale,), grad=mixed["grad"], sources=ASKED)
    assert params.tobytes() == X.tobytes()
    assert scale.tobytes() == np.arange(1.0, 6.0).tobytes()


def test_the_callers_tensors_survive_code_that_wrecks_its_input_and_raises():
    torch = pytest.importorskip("torch")
    params, scale = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, 4.0])

    def fun(x, s):
        with torch.no_grad():
            wrecks_and_raises(x, s)

    with pytest.raises(LostError):
        check(fun, params, args=(scale,), sources=["numeric", "torch"])
    assert params.tolist() == [1.0, 2.0]
    assert scale.tolist() == [3.0, 4.0]
    assert params.requires_grad
    assert params.grad is None


def test_no_switch_of_a_framework_stays_flipped_when_fun_raises():
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    before = torch.get_default_dtype(), torch.is_grad_enabled(), jax.config.jax_enable_x64
    for params in (torch.ones(2, dtype=torch.float64), jax.numpy.ones(2)):
        with pytest.raises(LostError):
            check(lost, params)
    assert (torch.get_default_dtype(), torch.is_grad_enabled(), jax.config.jax_enable_x64) == before


def test_the_global_random_state_is_left_alone():
    np.random.random(7)  # so that the state is not that of a fresh seed, which could be set again
    before = repr(np.random.get_state())
    check(loss, X, grad=slope, sources=ASKED)
    assert repr(np.random.get_state()) == before


# The second door


def test_assert_gradients_refuses_bad_input_as_check_does():
    with pytest.raises(ValueError, match="params holds no arrays"):
        assert_gradients(loss, {}, grad=slope)


def test_assert_gradients_does_not_let_a_check_of_nothing_pass():
    with pytest.raises(GradientMismatch, match="no two sources could be compared"):
        assert_gradients(loss, X, sources=["numeric"])
