"""The door: every kind of tree, every form of claim, one function per framework, and what a Report tells."""

import json
import re
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field

import numpy as np
import pytest

from gradproof import GradientMismatch, Reason, Report, Verdict, assert_gradients, check
from gradproof.trees import ROOT

ASKED = ("numeric", "hand")
W = np.linspace(0.3, 2.0, 5)
B = np.array([[1.0, 2.0], [3.0, 4.0]])


def loss(x):
    return (x * x * x).sum()


def slope(x):
    return 3 * x * x


def judged(fun, params, grad=None, **options):
    return check(fun, params, grad=grad, **{"sources": ASKED} | options)


def refuted(report):
    """Paths of the leaves where a source was found wrong."""
    return {f.leaf for f in report.findings if f.verdict is Verdict.DISAGREES}


# Trees

Pair = namedtuple("Pair", "w b")


@dataclass
class Mutable:
    w: object
    b: object
    name: str = field(default="layer", metadata={"static": True})


@dataclass(frozen=True, slots=True)
class Frozen:
    w: object
    b: object


@dataclass
class Strict:
    w: object
    b: object

    def __post_init__(self):
        if isinstance(self.w, str) or self.w is None:
            raise TypeError(self.w)


TREES = {
    "dict": (lambda w, b: {"w": w, "b": b}, lambda p: (p["w"], p["b"]), ("w", "b")),
    "dict in another order": (lambda w, b: {"b": b, "w": w}, lambda p: (p["w"], p["b"]), ("b", "w")),
    "OrderedDict": (lambda w, b: OrderedDict(w=w, b=b), lambda p: (p["w"], p["b"]), ("w", "b")),
    "defaultdict": (lambda w, b: defaultdict(list, w=w, b=b), lambda p: (p["w"], p["b"]), ("w", "b")),
    "dict of strange keys": (lambda w, b: {0: w, "1 b": b}, lambda p: (p[0], p["1 b"]), ("[0]", "['1 b']")),
    "list": (lambda w, b: [w, b], tuple, ("[0]", "[1]")),
    "tuple": (lambda w, b: (w, b), tuple, ("[0]", "[1]")),
    "namedtuple": (Pair, tuple, ("w", "b")),
    "dataclass": (Mutable, lambda p: (p.w, p.b), ("w", "b")),
    "frozen dataclass": (Frozen, lambda p: (p.w, p.b), ("w", "b")),
    "validating dataclass": (Strict, lambda p: (p.w, p.b), ("w", "b")),
    "nested": (
        lambda w, b: {"layers": [Frozen(w, None), (Mutable(b, ()),)]},
        lambda p: (p["layers"][0].w, p["layers"][1][0].w),
        ("layers[0].w", "layers[1][0].w"),
    ),
}


def product(w, b):
    return (w * w).sum() * b.sum()


def product_slope(w, b):
    return 2 * w * b.sum(), (w * w).sum() * np.ones_like(b)


@pytest.mark.parametrize("tree", TREES)
def test_a_tree_of_any_kind_is_judged_leaf_by_leaf(tree):
    make, parts, paths = TREES[tree]
    report = judged(lambda p: product(*parts(p)), make(W, B), lambda p: make(*product_slope(*parts(p))))
    assert report.verdict is Verdict.AGREES
    assert tuple(report.leaves) == paths
    assert sorted(report.leaves.values()) == [((2, 2), "float64"), ((5,), "float64")]
    assert {f.leaf for f in report.findings} == set(paths)


@pytest.mark.parametrize("tree", TREES)
def test_in_a_tree_of_any_kind_the_wrong_leaf_is_named(tree):
    make, parts, _ = TREES[tree]

    def half_right(p):
        right, other = product_slope(*parts(p))
        return make(right, 1.01 * other)

    report = judged(lambda p: product(*parts(p)), make(W, B), half_right)
    assert report.verdict is Verdict.DISAGREES
    (path,) = refuted(report)
    assert report.leaves[path][0] == (2, 2)


@pytest.mark.parametrize("tree", TREES)
def test_the_gradients_of_a_report_are_trees_like_params(tree):
    make, parts, _ = TREES[tree]
    report = judged(lambda p: product(*parts(p)), make(W, B), lambda p: make(*product_slope(*parts(p))))
    gradient = report.gradients["hand"]
    assert type(gradient) is type(make(W, B))
    for found, due in zip(parts(gradient), product_slope(W, B), strict=True):
        assert found.dtype == np.float64
        assert np.array_equal(found, due)


def test_a_claim_in_another_order_of_keys_is_paired_by_name():
    report = judged(
        lambda p: (p["a"] * W).sum() + (p["b"] ** 2).sum(),
        {"a": W, "b": W},
        lambda p: {"b": 2 * p["b"], "a": W},
    )
    assert report.verdict is Verdict.AGREES


def test_what_is_static_in_a_dataclass_reaches_the_function():
    names = []
    judged(lambda p: names.append(p.name) or product(p.w, p.b), Mutable(W, B, "first"), lambda p: p)
    assert set(names) == {"first"}


def test_a_bare_array_is_a_leaf_called_params():
    assert "params" in ROOT
    assert list(judged(loss, W, slope).leaves) == [ROOT]


# Forms of a claim


FORMS = {
    "grad": lambda factor: {"grad": lambda x: factor * slope(x)},
    "value_and_grad": lambda factor: {"value_and_grad": lambda x: (loss(x), factor * slope(x))},
    "vjp": lambda factor: {"vjp": lambda u, x: factor * u * slope(x)},
    "jvp": lambda factor: {"jvp": lambda v, x: factor * (v * slope(x)).sum()},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("factor", "verdict"), [(1, Verdict.AGREES), (1.001, Verdict.DISAGREES)])
def test_a_claim_may_come_in_any_form(form, factor, verdict):
    report = judged(loss, W, **FORMS[form](factor))
    assert report.claim == "hand"
    assert report.verdict is report.sources["hand"].verdict is verdict


def test_value_and_grad_may_be_a_list_of_two():
    assert judged(loss, W, value_and_grad=lambda x: [loss(x), slope(x)]).verdict is Verdict.AGREES


def test_constants_reach_fun_and_claim_in_their_order():
    def fun(x, scale, options, text):
        return scale * (x * x).sum() if (options["k"][0] == 2).all() and text == "mean" else np.nan

    args = (3.0, {"k": [np.full(2, 2.0)]}, "mean")
    report = judged(fun, W, lambda x, scale, *_: scale * 2 * x, args=args)
    assert report.verdict is Verdict.AGREES


def test_an_array_may_be_a_list_of_constants():
    assert (
        judged(lambda x, s: s * loss(x), W, lambda x, s: s * slope(x), args=[2.0]).verdict is Verdict.AGREES
    )


def test_the_seed_draws_other_probes_and_the_same_seed_the_same():
    first, again, other = (judged(loss, W, slope, seed=seed) for seed in (0, 0, 1))
    assert first.findings == again.findings
    assert first.findings != other.findings


def test_a_finer_resolution_than_float32_has_is_undecided():
    params = W.astype(np.float32)
    assert judged(loss, params, slope).verdict is Verdict.AGREES
    report = judged(loss, params, slope, resolution=1e-9)
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, Reason.RESOLUTION)


def test_more_confidence_is_a_wider_certificate():
    low, high = (judged(loss, W, slope, confidence=c).certificate for c in (0.9, 0.9999))
    assert (low.confidence, high.confidence) == (0.9, 0.9999)
    assert low.bound < high.bound


# Arrays of NumPy


ARRAYS = {
    "strided": np.linspace(0.3, 3, 20)[::-3],
    "transposed": np.linspace(0.3, 3, 20).reshape(4, 5).T,
    "Fortran": np.asfortranarray(np.linspace(0.3, 3, 20).reshape(4, 5)),
    "broadcast": np.broadcast_to(np.array([1.0, 2.0]), (3, 2)),
    "a NumPy scalar": np.float64(0.7),
    "a NumPy scalar of float32": np.float32(0.7),
    "a 0-d array": np.asarray(0.7),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_an_array_of_any_layout(kind):
    params = ARRAYS[kind]
    assert judged(loss, params, slope).verdict is Verdict.AGREES
    assert judged(loss, params, lambda x: -slope(x)).verdict is Verdict.DISAGREES


def test_an_array_that_cannot_be_written_to_is_read():
    params = W.copy()
    params.flags.writeable = False
    assert judged(loss, params, slope).verdict is Verdict.AGREES


# One function in several frameworks


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def jax():
    return pytest.importorskip("jax")


def everywhere(report, verdict):
    return all(result.verdict is verdict for result in report.sources.values())


@pytest.mark.usefixtures("torch", "jax")
def test_code_that_runs_everywhere_is_judged_by_everyone():
    report = check(loss, W, grad=slope)
    assert list(report.sources) == ["numeric", "hand", "jax", "torch"]
    assert everywhere(report, Verdict.AGREES)
    assert set(report.gradients) == {"hand", "jax", "torch"}
    for gradient in report.gradients.values():
        assert isinstance(gradient, np.ndarray)
        assert np.allclose(gradient, slope(W), rtol=1e-14)


@pytest.mark.usefixtures("torch", "jax")
def test_a_wrong_claim_is_the_odd_one_out_and_its_worst_entry_is_named():
    def wrong_at_3(x):
        return slope(x) * np.where(np.arange(5) == 3, 1.01, 1.0)

    report = check(loss, W, grad=wrong_at_3)
    assert report.verdict is Verdict.DISAGREES
    assert report.odd_one_out == "hand"
    assert {name for name, r in report.sources.items() if r.verdict is Verdict.AGREES} == {
        "numeric",
        "jax",
        "torch",
    }
    assert {f.worst for f in report.findings if f.what == "gradient" and "hand" in f.sources} == {(3,)}
    assert "[3]" in str(report)


def sines(torch, jax):
    return {
        "numpy": lambda x: np.sum(np.sin(x)),
        "torch": lambda x: torch.sum(torch.sin(x)),
        "jax": lambda x: jax.numpy.sum(jax.numpy.sin(x)),
    }


def test_one_function_per_framework_and_all_agree(torch, jax):
    report = check(sines(torch, jax), W, grad=np.cos)
    assert everywhere(report, Verdict.AGREES)
    assert report.odd_one_out is None
    assert {f.what for f in report.findings} == {"value", "gradient", "slope"}


@pytest.mark.parametrize(("claim", "verdict"), [(np.cos, Verdict.AGREES), (np.sin, Verdict.DISAGREES)])
def test_a_framework_that_computes_another_function_is_said_to_and_the_claim_is_judged(
    torch, jax, claim, verdict
):
    report = check(sines(torch, jax) | {"jax": lambda x: (x * x).sum()}, W, grad=claim)
    assert report.verdict is verdict
    assert report.sources["torch"].verdict is Verdict.AGREES
    stranger = report.sources["jax"]
    assert (stranger.verdict, stranger.reason) == (Verdict.DISAGREES, Reason.DIFFERENT_FUNCTION)
    assert re.fullmatch(r"jax computes \S+, fun \S+", stranger.detail)
    assert not any(f.what != "value" and "jax" in f.sources for f in report.findings)
    assert "jax" not in report.gradients


def test_a_function_off_by_a_billionth_is_another_function(torch, jax):
    functions = sines(torch, jax)
    report = check(functions | {"torch": lambda x: functions["torch"](x) * (1 + 1e-9)}, W, grad=np.cos)
    assert report.sources["torch"].reason is Reason.DIFFERENT_FUNCTION
    assert report.verdict is Verdict.AGREES


def test_a_framework_that_computes_another_shape_computes_another_function(torch, jax):
    report = check(sines(torch, jax) | {"torch": torch.sin}, W, grad=np.cos)
    assert report.sources["torch"].reason is Reason.DIFFERENT_FUNCTION


def test_a_mapping_without_the_callers_framework_runs_elsewhere(torch, jax):
    functions = sines(torch, jax)
    report = check({"torch": functions["torch"]}, W, grad=np.cos)
    assert report.verdict is report.sources["numeric"].verdict is Verdict.AGREES
    assert report.sources["jax"].verdict is Verdict.UNSUPPORTED
    assert report.sources["jax"].detail == "fun has no entry 'jax'"


def test_a_mapping_serves_parameters_of_any_of_its_frameworks(torch, jax):
    params = torch.from_numpy(W)
    assert everywhere(check(sines(torch, jax), params, grad=torch.cos), Verdict.AGREES)


def test_without_a_claim_all_frameworks_of_a_mapping_are_judged(torch, jax):
    functions = sines(torch, jax)
    assert check(functions, W).verdict is Verdict.AGREES
    report = check(functions | {"torch": lambda x: functions["torch"](x) + (x - x.detach()).sum()}, W)
    assert (report.claim, report.odd_one_out) == (None, "torch")
    assert report.verdict is Verdict.DISAGREES


def test_a_source_that_cannot_run_fun_is_unsupported_with_the_frameworks_own_words(torch, jax):
    report = check(lambda x: np.sum(np.sin(x)), W, grad=np.cos)
    assert report.verdict is Verdict.AGREES
    for name in ("jax", "torch"):
        source = report.sources[name]
        assert (source.verdict, source.reason) == (Verdict.UNSUPPORTED, Reason.CANNOT_RUN)
        assert "fun={...}" in source.reason.value
        assert source.detail.partition(":")[0].endswith("Error")
        assert name not in report.gradients
    assert jax.config.jax_enable_x64 is False
    assert torch.get_default_dtype() is torch.float32


def test_numpy_as_a_source_is_told_that_it_does_not_differentiate():
    report = judged(loss, W, slope, sources=["numeric", "hand", "numpy"])
    assert report.verdict is Verdict.AGREES
    assert report.sources["numpy"].reason is Reason.NO_DERIVATIVE


@pytest.mark.usefixtures("torch", "jax")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_frameworks_are_asked_in_float64_and_the_claim_in_the_callers_precision(dtype):
    report = check(loss, W.astype(dtype), grad=slope)
    assert report.verdict is Verdict.AGREES
    assert {name: source.dtype for name, source in report.sources.items()} == {
        "numeric": "float64", "hand": dtype, "jax": "float64", "torch": "float64"
    }  # fmt: skip


# The framework's own derivative as the claim: custom rules


CUSTOM = {
    "right": (lambda u, d: u * d, Verdict.AGREES),
    "wrong by sign": (lambda u, d: -u * d, Verdict.DISAGREES),
    "wrong by 1 %": (lambda u, d: 1.01 * u * d, Verdict.DISAGREES),
    "nothing for its input": (lambda _u, _d: None, Verdict.DISAGREES),
    "blind to what comes from above": (lambda u, d: d + 0 * u, Verdict.DISAGREES),
    "not finite": (lambda u, d: u * d * float("nan"), Verdict.DISAGREES),
}


def custom_cube(torch, rule):
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, above):
            return rule(above, slope(ctx.saved_tensors[0]))

    return Cube.apply


def custom_vjp_cube(jax, rule):
    @jax.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, above: (rule(above, slope(x)),))
    return cube


@pytest.mark.parametrize("rule", CUSTOM)
def test_a_torch_function_is_what_is_judged(torch, rule):
    cube, weights = custom_cube(torch, CUSTOM[rule][0]), torch.arange(1, 6)
    params = torch.from_numpy(W)
    report = check(lambda x: (weights * cube(x)).sum(), params, sources=["numeric", "torch"])
    assert report.claim == "torch"
    assert report.verdict is CUSTOM[rule][1]
    assert report.odd_one_out == (None if rule == "right" else "torch")


@pytest.mark.parametrize("rule", CUSTOM)
def test_a_custom_vjp_is_what_is_judged(jax, rule):
    cube, weights = custom_vjp_cube(jax, CUSTOM[rule][0]), np.arange(1, 6)
    params = jax.numpy.asarray(W)
    report = check(lambda x: (weights * cube(x)).sum(), params, sources=["numeric", "jax"])
    assert report.claim == "jax"
    assert report.verdict is CUSTOM[rule][1]
    assert report.odd_one_out == (None if rule == "right" else "jax")


@pytest.mark.parametrize("rule", ["right", "blind to what comes from above"])
def test_an_array_valued_torch_function_is_pulled_back_along_a_random_cotangent(torch, rule):
    cube = custom_cube(torch, CUSTOM[rule][0])
    assert check(cube, torch.from_numpy(W), sources=["numeric", "torch"]).verdict is CUSTOM[rule][1]


@pytest.mark.parametrize("rule", ["right", "blind to what comes from above"])
def test_an_array_valued_custom_vjp_is_pulled_back_along_a_random_cotangent(jax, rule):
    cube = custom_vjp_cube(jax, CUSTOM[rule][0])
    assert check(cube, jax.numpy.asarray(W), sources=["numeric", "jax"]).verdict is CUSTOM[rule][1]


def test_a_scalar_torch_function_that_ignores_grad_output_is_refused(torch):
    class SumOfCubes(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x**3).sum()

        @staticmethod
        def backward(ctx, _above):
            return slope(ctx.saved_tensors[0])

    report = check(SumOfCubes.apply, torch.from_numpy(W), sources=["numeric", "torch"])
    assert report.verdict is Verdict.DISAGREES


def test_none_for_one_of_two_inputs_names_that_input(torch):
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx, above):
            return above * ctx.saved_tensors[1], None

    params = {"x": torch.from_numpy(W), "y": torch.from_numpy(W + 1)}
    report = check(lambda p: Product.apply(p["x"], p["y"]).sum(), params, sources=["numeric", "torch"])
    assert report.verdict is Verdict.DISAGREES
    assert refuted(report) == {"y"}


def test_what_a_custom_backward_raises_comes_through(torch):
    def broken(_above, _slope):
        raise LookupError("saved nothing")

    with pytest.raises(LookupError, match="saved nothing") as caught:
        check(custom_cube(torch, broken), torch.from_numpy(W), sources=["numeric", "torch"])
    assert "source torch" in " ".join(caught.value.__notes__)


def test_a_random_backward_is_said_to_be_random(torch):
    generator = torch.Generator().manual_seed(0)
    noisy = custom_cube(torch, lambda u, d: u * d * torch.randn(5, generator=generator))
    report = check(lambda x: noisy(x).sum(), torch.from_numpy(W), sources=["numeric", "torch"])
    assert (report.verdict, report.reason) == (Verdict.DISAGREES, Reason.RANDOM_CLAIM)


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_custom_rule_without_forward_mode_does_not_stop_the_judging_of_a_jvp(framework, torch, jax):
    cube = {"torch": custom_cube(torch, lambda u, d: u * d), "jax": custom_vjp_cube(jax, lambda u, d: u * d)}[
        framework
    ]
    params = {"torch": torch.from_numpy, "jax": jax.numpy.asarray}[framework](W)
    report = check(cube, params, jvp=lambda v, x: v * slope(x), sources=["numeric", "hand", framework])
    assert report.sources["hand"].verdict is Verdict.AGREES


# Automatic derivatives that are wrong on purpose


def test_a_detach_is_found_by_numeric(torch):
    report = check(lambda x: (x.detach() * x).sum(), torch.from_numpy(W), sources=["numeric", "torch"])
    assert report.verdict is Verdict.DISAGREES
    assert report.odd_one_out == "torch"


def test_a_stop_gradient_is_found_by_numeric(jax):
    stopped = jax.lax.stop_gradient
    report = check(lambda x: (stopped(x) * x).sum(), jax.numpy.asarray(W), sources=["numeric", "jax"])
    assert report.verdict is Verdict.DISAGREES
    assert report.odd_one_out == "jax"


def test_a_right_claim_beside_a_detach_agrees_and_torch_is_the_odd_one_out(torch):
    report = check(
        lambda x: (x.detach() * x).sum(),
        torch.from_numpy(W),
        grad=lambda x: 2 * x,
        sources=["numeric", "hand", "torch"],
    )
    assert report.verdict is Verdict.AGREES
    assert report.odd_one_out == "torch"


def test_a_claim_that_agrees_with_a_detach_only_is_refused(torch):
    report = check(
        lambda x: (x.detach() * x).sum(),
        torch.from_numpy(W),
        grad=lambda x: x,
        sources=["numeric", "hand", "torch"],
    )
    assert report.verdict is Verdict.DISAGREES
    assert {f.verdict for f in report.findings if f.sources == ("hand", "torch")} == {Verdict.AGREES}
    assert report.sources["torch"].verdict is Verdict.DISAGREES


def test_two_frameworks_that_stop_alike_do_not_outvote_numeric(torch, jax):
    functions = {
        "numpy": lambda x: (x * x).sum(),
        "torch": lambda x: (x.detach() * x).sum(),
        "jax": lambda x: (jax.lax.stop_gradient(x) * x).sum(),
    }
    report = check(functions, W, grad=lambda x: 2 * x)
    assert report.verdict is Verdict.AGREES
    assert report.sources["torch"].verdict is report.sources["jax"].verdict is Verdict.DISAGREES


def test_sources_that_cancel_alike_do_not_make_a_claim_right(torch, jax):
    functions = {
        "numpy": lambda x: np.sum((np.exp(x) - 1) / x),
        "torch": lambda x: torch.sum((torch.exp(x) - 1) / x),
        "jax": lambda x: jax.numpy.sum((jax.numpy.exp(x) - 1) / x),
    }
    params = np.array([1e-8, 2e-8])  # the derivative is 0.5 here; the formula that cancels gives 1.6 and 0.7
    report = check(functions, params, grad=lambda x: np.exp(x) / x - (np.exp(x) - 1) / x**2)
    assert report.verdict is not Verdict.AGREES


# Tensors


def test_an_nn_parameter_is_a_leaf_and_stays_as_it_was(torch):
    params = {
        "w": torch.nn.Parameter(torch.from_numpy(W.copy())),
        "b": torch.nn.Parameter(torch.ones(2).double()),
    }
    report = check(lambda p: loss(p["w"]) * p["b"].sum(), params, sources=["numeric", "torch"])
    assert report.verdict is Verdict.AGREES
    assert params["w"].detach().numpy().tobytes() == W.tobytes()
    assert all(leaf.grad is None and leaf.requires_grad for leaf in params.values())


def test_a_tensor_that_requires_grad_may_be_claimed_for(torch):
    params = torch.from_numpy(W.copy()).requires_grad_()
    sources = ["numeric", "hand", "torch"]
    assert check(loss, params, grad=slope, sources=sources).verdict is Verdict.AGREES
    assert check(loss, params, grad=lambda x: -slope(x), sources=sources).odd_one_out == "hand"
    assert params.grad is None


def test_a_claim_is_given_tensors_of_no_graph(torch):
    seen = []
    params, weights = (torch.ones(5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    check(loss, params, grad=lambda x: seen.append(x) or slope(x), sources=ASKED)
    check(
        lambda x, w: loss(w * x),
        params,
        args=(weights,),
        grad=lambda x, w: seen.append(w) or slope(x),
        sources=ASKED,
    )
    assert not any(tensor.requires_grad for tensor in seen)


def test_a_claim_may_use_autograd_itself(torch):
    def grad(x):
        x = x.clone().requires_grad_()
        return torch.autograd.grad(loss(x), x)[0]

    assert check(loss, torch.from_numpy(W), grad=grad, sources=ASKED).verdict is Verdict.AGREES


def test_a_claim_that_is_part_of_a_graph_is_read(torch):
    params = torch.from_numpy(W)
    report = check(loss, params, grad=lambda x: slope(x.clone().requires_grad_()), sources=ASKED)
    assert report.verdict is Verdict.AGREES


TENSORS = {
    "transposed": lambda torch: torch.linspace(0.3, 2, 12).double().reshape(3, 4).T,
    "strided": lambda torch: torch.linspace(0.3, 2, 12).double()[::3],
    "expanded": lambda torch: torch.linspace(0.3, 2, 3).double().expand(4, 3),
    "scalar": lambda torch: torch.tensor(0.7, dtype=torch.float64),
    "float32": lambda torch: torch.linspace(0.3, 2, 5),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_a_tensor_of_any_layout(torch, kind):
    params = TENSORS[kind](torch)
    sources = ["numeric", "hand", "torch"]
    assert everywhere(check(loss, params, grad=slope, sources=sources), Verdict.AGREES)
    assert check(loss, params, grad=lambda x: -slope(x), sources=sources).odd_one_out == "hand"


def test_bfloat16_tensors_are_never_falsely_refused_and_a_flip_never_accepted(torch):
    params = torch.linspace(0.3, 2, 5).bfloat16()
    assert check(loss, params, grad=slope, sources=ASKED).verdict is not Verdict.DISAGREES
    assert check(loss, params, grad=lambda x: -slope(x), sources=ASKED).verdict is Verdict.DISAGREES


def test_tensors_among_the_constants_stay_as_they_were(torch):
    weights = torch.ones(5, dtype=torch.float64, requires_grad=True)
    params = torch.from_numpy(W)
    report = check(lambda x, w: loss(w * x), params, args=(weights,), sources=["numeric", "torch"])
    assert report.verdict is Verdict.AGREES
    assert weights.requires_grad
    assert weights.grad is None


def test_grad_mode_of_the_caller_does_not_matter(torch):
    with torch.no_grad():
        report = check(loss, torch.from_numpy(W), sources=["numeric", "torch"])
        assert report.verdict is Verdict.AGREES
        assert not torch.is_grad_enabled()


# Arrays of JAX


def test_float32_arrays_of_jax_are_judged_in_float64_by_numeric(jax):
    report = check(loss, jax.numpy.asarray(W), sources=["numeric", "jax"])
    assert report.verdict is Verdict.AGREES
    assert (report.sources["numeric"].dtype, report.sources["jax"].dtype) == ("float64", "float32")


def test_float64_arrays_of_jax_are_judged_where_they_were_made(jax):
    with jax.enable_x64(True):
        report = check(loss, jax.numpy.asarray(W), sources=["numeric", "jax"])
    assert report.verdict is Verdict.AGREES
    assert report.leaves[ROOT] == ((5,), "float64")


@pytest.mark.parametrize("claim", [{}, {"grad": slope}])
def test_float64_arrays_of_jax_are_judged_outside_the_context_they_were_made_in(jax, claim):
    with jax.enable_x64(True):
        params = jax.numpy.asarray(W)
    report = check(
        lambda x: jax.numpy.sum(x**3),
        params,
        sources=["numeric", "jax", *(["hand"] if claim else [])],
        **claim,
    )
    assert report.verdict is not Verdict.DISAGREES


def test_compiled_functions_of_jax_are_judged(jax):
    params = {"w": jax.numpy.asarray(W)}
    report = check(jax.jit(lambda p: loss(p["w"])), params, grad=jax.jit(lambda p: {"w": -slope(p["w"])}))
    assert report.verdict is Verdict.DISAGREES
    assert report.odd_one_out == "hand"


# Sums over many rows, in float32


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_the_frameworks_own_float32_gradient_of_a_mean_over_many_rows_is_not_refused(framework, torch, jax):
    array = {"torch": torch.from_numpy, "jax": jax.numpy.asarray}[framework]
    rng = np.random.default_rng(0)
    rows, due, start = (rng.normal(size=s).astype(np.float32) for s in ((30_000, 5), 30_000, 5))
    report = check(
        lambda w, a, y: ((a @ w - y) ** 2).mean(),
        array(0 * start),
        args=(array(rows), array(due)),
        sources=["numeric", framework],
    )
    assert report.verdict is not Verdict.DISAGREES


# The report


def test_calls_and_seconds_of_every_source_are_counted():
    calls = {"fun": 0, "grad": 0}

    def fun(x):
        calls["fun"] += 1
        return loss(x)

    def grad(x):
        calls["grad"] += 1
        return slope(x)

    report = judged(fun, W, grad)
    assert report.sources["hand"].calls == calls["grad"]
    assert 20 < report.sources["numeric"].calls <= calls["fun"]
    assert all(result.seconds > 0 for result in report.sources.values())


def test_a_source_that_gave_no_gradient_is_named_with_those_that_did():
    report = judged(loss, W, slope)
    with pytest.raises(KeyError, match="'torch' gave no gradient; there is one of hand"):
        report.gradients["torch"]


def test_numeric_has_no_entries_and_says_how_to_get_them():
    with pytest.raises(KeyError, match=re.escape("numeric.gradient(fun, params)")):
        judged(loss, W, slope).gradients["numeric"]


REPORTS = {
    "right": lambda: judged(loss, W, slope),
    "wrong": lambda: judged(loss, W, lambda x: -slope(x)),
    "wrong shape": lambda: judged(loss, W, lambda x: slope(x)[None]),
    "not finite": lambda: judged(lambda _x: float("inf"), W, slope),
    "nothing compared": lambda: check(loss, W, sources=["numeric"]),
    "tree": lambda: judged(lambda p: product(p[0], p[1]), [W, B], lambda p: [p[0], p[1]]),
    "a zero gradient": lambda: judged(lambda _x: 3.0, W, np.zeros_like),
    "unsupported": lambda: check(lambda x: np.sum(np.sin(x)), W, grad=np.cos),
}


@pytest.mark.parametrize("kind", REPORTS)
def test_every_report_is_json_without_nan(kind):
    report = REPORTS[kind]()
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["verdict"] == report.verdict.value
    assert plain["reason"] == (report.reason.name if report.reason else None)
    assert plain["sources"].keys() == report.sources.keys()
    assert [leaf["path"] for leaf in plain["leaves"]] == list(report.leaves)
    assert len(plain["findings"]) == len(report.findings)


@pytest.mark.parametrize("kind", REPORTS)
def test_every_report_prints_its_verdict_in_its_last_paragraph(kind):
    report = REPORTS[kind]()
    assert report.verdict.value in str(report).rpartition("\n\n")[2]


@pytest.mark.parametrize("kind", REPORTS)
def test_no_report_is_true_or_false(kind):
    with pytest.raises(TypeError, match=r"use report\.verdict, or assert_gradients"):
        bool(REPORTS[kind]())


def test_assert_gradients_returns_the_report_of_what_agrees():
    report = assert_gradients(loss, W, grad=slope, sources=ASKED)
    assert isinstance(report, Report)
    assert report.verdict is Verdict.AGREES


@pytest.mark.parametrize("claim", [lambda x: -slope(x), lambda x: slope(x)[None], None])
def test_assert_gradients_raises_whatever_is_not_shown_to_agree(claim):
    sources = ASKED if claim else ("numeric",)
    with pytest.raises(GradientMismatch) as caught:
        assert_gradients(loss, W, grad=claim, sources=sources)
    report = caught.value.report
    assert isinstance(caught.value, AssertionError)
    assert report.verdict is not Verdict.AGREES
    assert report.verdict.value in str(caught.value)
    without_times = re.compile(r"\s+\d+\.\d{3}\s+")
    assert without_times.sub(" ", str(report)) in without_times.sub(" ", str(caught.value))
