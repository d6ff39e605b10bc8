"""What must hold before values are compared, and what code that breaks it is told. Nothing broadcasts."""

import math

import numpy as np
import pytest

from gradproof import Reason, Verdict, check
from gradproof.trees import ROOT

ASKED = ("numeric", "hand")
X = np.linspace(0.3, 2.0, 5)
X.flags.writeable = False
TREE = {"w": X, "b": X[:3] + 1}


def loss(x):
    return np.sum(np.sin(x) * x)


def slope(x):
    return np.sin(x) + x * np.cos(x)


def tree_loss(p):
    return loss(p["w"]) + 2 * loss(p["b"])


def tree_slope(p):
    return {"w": slope(p["w"]), "b": 2 * slope(p["b"])}


def judged(fun, params, grad=None, **options):
    return check(fun, params, grad=grad, **{"sources": ASKED} | options)


def only_breach(report):
    """The one broken contract of a report."""
    (finding,) = [f for f in report.findings if f.what == "contract"]
    return finding


def breach_of(claim, fun=loss, params=X, *, tried=False, **options):
    """The contract that `claim` breaks; all that every such report has in common is asserted here.

    `tried`: whether the claim may be tried in another form, after the verdict.
    """
    report = judged(fun, params, claim, **options)
    assert report.verdict is report.sources["hand"].verdict is Verdict.DISAGREES
    assert report.odd_one_out == "hand"
    looked_at_outputs = 60 if np.ndim(fun(params, *options.get("args", ()))) else 0
    assert tried or report.sources["numeric"].calls <= 2 + looked_at_outputs, (
        "the contract comes before any arithmetic"
    )
    assert "hand" not in report.gradients
    finding = only_breach(report)
    assert report.reason is finding.reason
    return finding


# Structure


def test_a_leaf_that_is_missing_is_named_with_the_shape_that_was_due():
    finding = breach_of(lambda p: {"w": slope(p["w"])}, tree_loss, TREE)
    assert (finding.reason, finding.leaf) == (Reason.MISSING, "b")
    assert finding.detail == "nothing there; due: an array of shape (3,)"


def test_a_leaf_that_is_none_is_missing():
    finding = breach_of(lambda p: tree_slope(p) | {"b": None}, tree_loss, TREE)
    assert (finding.reason, finding.leaf) == (Reason.MISSING, "b")


def test_a_claim_that_returns_nothing_is_missing():
    assert breach_of(lambda _x: None).reason is Reason.MISSING


def test_a_surplus_leaf_is_named_beside_those_that_were_due():
    finding = breach_of(lambda p: tree_slope(p) | {"c": p["w"]}, tree_loss, TREE)
    assert (finding.reason, finding.leaf) == (Reason.STRUCTURE, "c")
    assert finding.detail == "the claim has a leaf 'c' that params lacks; due: w, b"


@pytest.mark.parametrize(
    "claim",
    [
        pytest.param(lambda p: [slope(p["w"]), 2 * slope(p["b"])], id="list for dict"),
        pytest.param(lambda p: slope(p["w"]), id="array for dict"),
        pytest.param(lambda p: {"w": [slope(p["w"])], "b": {"b": 2 * slope(p["b"])}}, id="nested deeper"),
    ],
)
def test_a_claim_of_another_structure_is_told_every_leaf(claim):
    report = judged(tree_loss, TREE, claim)
    assert report.verdict is Verdict.DISAGREES
    assert report.reason is Reason.STRUCTURE
    assert {f.leaf for f in report.findings if f.reason is Reason.MISSING} == {"w", "b"}


def test_a_list_of_numbers_is_no_array():
    report = judged(loss, X, lambda x: slope(x).tolist())
    assert report.verdict is Verdict.DISAGREES
    assert {f.reason for f in report.findings} == {Reason.STRUCTURE, Reason.MISSING}


def test_a_gradient_in_a_tuple_of_one_is_no_array():
    assert judged(loss, X, lambda x: (slope(x),)).verdict is Verdict.DISAGREES


@pytest.mark.parametrize("thing", [3.0, 3, "gradient", slope, {1.0}])
def test_a_leaf_that_is_no_array_is_named_by_its_type(thing):
    finding = breach_of(lambda _x: thing)
    assert finding.reason is Reason.STRUCTURE
    assert finding.detail == f"the claim has a {type(thing).__name__} there; due: an array of shape (5,)"


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_gradient_in_another_framework_names_both(framework):
    convert = {"torch": "torch.from_numpy", "jax": "jax.numpy.asarray"}[framework]
    module, _, function = convert.rpartition(".")
    to = getattr(pytest.importorskip(module), function)
    finding = breach_of(lambda x: to(slope(x)))
    assert finding.reason is Reason.STRUCTURE
    assert finding.detail == f"the claim is an array of {framework}; due: numpy, like the parameter"


# Shape and dtype


SHAPES = {
    (1, 5): lambda x: slope(x)[None],
    (5, 1): lambda x: slope(x)[:, None],
    (): lambda x: np.mean(slope(x)),
    (4, 5): lambda x: np.stack([slope(x) / 4] * 4),
    (4,): lambda x: slope(x)[:-1],
    (6,): lambda x: np.append(slope(x), 0.0),
    (0,): lambda x: slope(x)[:0],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_gradient_of_another_shape_is_not_broadcast(shape):
    finding = breach_of(SHAPES[shape], tried=True)
    assert (finding.reason, finding.leaf) == (Reason.SHAPE, ROOT)
    assert finding.detail == f"the claim has shape {shape}; due: (5,). Nothing is broadcast"


def test_a_transposed_matrix_gradient_has_another_shape():
    finding = breach_of(lambda p: {"w": slope(p["w"]).T}, lambda p: loss(p["w"]), {"w": X.reshape(1, 5)})
    assert (finding.reason, finding.leaf) == (Reason.SHAPE, "w")


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "complex128", "bool", "object"])
def test_a_gradient_of_another_dtype_names_both(dtype):
    finding = breach_of(lambda x: slope(x).astype(dtype))
    assert finding.reason is Reason.DTYPE
    assert finding.detail == f"the claim has dtype {dtype}; due: float64, like the parameter"


def test_a_float64_gradient_of_float32_parameters_has_another_dtype():
    finding = breach_of(lambda x: slope(x.astype(np.float64)), params=X.astype(np.float32))
    assert finding.detail == "the claim has dtype float64; due: float32, like the parameter"


# Finiteness


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_claim_that_is_not_finite_is_told_where_and_how_often(value):
    finding = breach_of(lambda x: np.where(np.arange(5) > 2, value, slope(x)))
    assert (finding.reason, finding.leaf) == (Reason.NOT_FINITE, ROOT)
    assert finding.detail == f"2 of 5 entries are not finite, the first at [3]: {value}"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("claim", [slope, np.zeros_like, lambda x: np.full_like(x, math.nan)])
def test_where_the_function_is_not_finite_no_claim_is_judged(value, claim):
    report = judged(lambda _x: value, X, claim)
    assert report.verdict is Verdict.UNDECIDED
    assert report.reason is Reason.DOMAIN
    assert report.detail == f"fun returned {value} at params"


def test_outputs_that_are_all_not_finite_leave_the_point_undecided():
    report = judged(lambda x: np.full_like(x, math.nan), X, vjp=lambda u, x: u * np.cos(x))
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, Reason.DOMAIN)


# A gradient with a memory


def test_a_gradient_that_is_never_cleared_accumulates():
    total = np.zeros(5)

    def grad(x):
        total[...] += slope(x)
        return total.copy()

    finding = breach_of(grad)
    assert finding.reason is Reason.ACCUMULATES
    assert finding.detail == "the second answer was 2 × the first"


def test_a_gradient_that_accumulates_in_the_buffer_it_returns_is_found_too():
    total = np.zeros(5)
    assert breach_of(lambda x: np.add(total, slope(x), out=total)).reason is Reason.ACCUMULATES


@pytest.mark.parametrize(
    "size",
    [
        1e-30,
        1e30,
        pytest.param(1e-200),
        pytest.param(1e200),
    ],
)
def test_accumulation_is_found_at_any_scale_of_the_loss(size):
    total = np.zeros(5)
    finding = breach_of(lambda x: np.add(total, size * slope(x), out=total), lambda x: size * loss(x))
    assert finding.reason is Reason.ACCUMULATES


def test_one_buffer_for_all_answers_is_fine():
    buffer = np.empty(5)

    def grad(x):
        buffer[...] = slope(x)
        return buffer

    assert judged(loss, X, grad).verdict is Verdict.AGREES


def test_returning_the_parameters_themselves_is_fine():
    assert judged(lambda x: np.sum(x * x) / 2, X, lambda x: x).verdict is Verdict.AGREES


class Layer:
    """Remembers its input from forward to backward, as most hand-written layers do."""

    def forward(self, x):
        self.x = x.copy()
        return loss(x)

    def backward(self, _x):
        return slope(self.x)

    def both(self, x):
        return self.forward(x), self.backward(x)


def test_a_backward_pass_of_the_last_forward_is_stale_and_told_the_way_out():
    layer = Layer()
    finding = breach_of(layer.backward, layer.forward)
    assert finding.reason is Reason.STALE
    assert "pass value_and_grad=" in finding.reason.value
    assert "after fun was evaluated at another point" in finding.detail


def test_the_same_layer_through_value_and_grad_is_fine():
    layer = Layer()
    assert judged(layer.forward, X, value_and_grad=layer.both).verdict is Verdict.AGREES


def test_a_gradient_that_lags_by_one_call_is_refused():
    answers = [np.zeros(5)]

    def grad(x):
        answers.append(slope(x))
        return answers[-2]

    assert breach_of(grad).reason is Reason.RANDOM_CLAIM


@pytest.mark.parametrize("size", [1.0, 1e-2])
def test_a_random_gradient_is_told_to_fix_its_seed(size):
    rng = np.random.default_rng(0)
    finding = breach_of(lambda x: slope(x) * (1 + size * rng.normal(size=5)))
    assert finding.reason is Reason.RANDOM_CLAIM
    assert "fix the seed" in finding.reason.value


def test_a_gradient_random_below_the_resolution_is_judged_with_wider_bars():
    def report_of(noise):
        rng = np.random.default_rng(0)
        return judged(loss, X, lambda x: slope(x) * (1 + noise * rng.normal(size=5)))

    noisy, exact = report_of(1e-8), report_of(0.0)
    assert noisy.verdict is exact.verdict is Verdict.AGREES
    assert noisy.certificate.relative > 100 * exact.certificate.relative


# In-place changes


def test_fun_that_changes_its_input_is_named_and_the_gradient_is_judged_all_the_same():
    def fun(x):
        value = loss(x)
        x *= 0.5
        return value

    params = X.copy()
    right, wrong = judged(fun, params, slope), judged(fun, params, lambda x: -slope(x))
    for report in (right, wrong):
        finding = only_breach(report)
        assert (finding.sources, finding.reason, finding.leaf) == (("fun",), Reason.MUTATES, ROOT)
        assert (report.verdict, report.reason) == (Verdict.DISAGREES, Reason.MUTATES)
    assert right.sources["hand"].verdict is Verdict.AGREES
    assert right.odd_one_out is None
    assert wrong.sources["hand"].verdict is Verdict.DISAGREES
    assert params.tobytes() == X.tobytes()


def test_a_gradient_that_changes_one_leaf_of_its_input_names_it():
    def grad(p):
        answer = tree_slope(p)
        p["b"][0] = 7.0
        return answer

    params = {path: leaf.copy() for path, leaf in TREE.items()}
    finding = breach_of(grad, tree_loss, params)
    assert (finding.sources, finding.reason, finding.leaf) == (("hand",), Reason.MUTATES, "b")
    assert "work on a copy" in finding.reason.value
    assert all(params[path].tobytes() == leaf.tobytes() for path, leaf in TREE.items())


def test_a_gradient_that_destroys_its_input_and_keeps_a_nan_is_found():
    def grad(x):
        answer = slope(x)
        x[1] = math.nan
        return answer

    assert breach_of(grad).reason is Reason.MUTATES


def changes_scale(answer):
    def code(x, scale):
        value = answer(x, scale)
        scale *= 0.5
        return value

    return code


def scaled_loss(x, scale):
    return loss(scale * x)


def scaled_slope(x, scale):
    return scale * slope(scale * x)


@pytest.mark.parametrize("who", ["fun", "grad"])
def test_the_callers_constants_survive_code_that_changes_them(who):
    scale = np.ones(5)
    fun, grad = scaled_loss, scaled_slope
    if who == "fun":
        fun = changes_scale(fun)
    else:
        grad = changes_scale(grad)
    report = judged(fun, X, grad, args=(scale,))
    assert report.verdict is not Verdict.AGREES
    assert scale.tolist() == [1.0] * 5


def test_fun_that_changes_its_constants_is_named():
    report = judged(changes_scale(scaled_loss), X, scaled_slope, args=(np.ones(5),))
    assert {(f.sources, f.reason) for f in report.findings if f.what == "contract"} == {
        (("fun",), Reason.MUTATES)
    }


def test_a_gradient_that_changes_its_constants_is_named():
    assert breach_of(changes_scale(scaled_slope), scaled_loss, args=(np.ones(5),)).reason is Reason.MUTATES


def test_parameters_that_share_their_memory_are_two_leaves():
    report = judged(lambda p: np.sum(p[0] * p[1]), [X, X], lambda p: [p[1], p[0]])
    assert report.verdict is Verdict.AGREES


# A function with a mind of its own


def dropout_loss(seed=0):
    rng = np.random.default_rng(seed)
    return lambda x: loss(x * (rng.random(x.shape) > 0.5))


@pytest.mark.parametrize("claim", [slope, np.zeros_like, lambda x: slope(x) / 2])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_function_with_dropout_is_said_to_be_random_and_decides_nothing(claim, seed):
    report = judged(dropout_loss(seed), X, claim)
    assert report.verdict is Verdict.UNDECIDED
    finding = only_breach(report)
    assert (finding.sources, finding.reason) == (("fun",), Reason.NON_DETERMINISTIC)
    assert "calls at params differ by" in finding.detail


def test_the_verdict_on_a_function_with_dropout_gives_its_randomness_as_the_reason():
    report = judged(dropout_loss(), X, slope)
    assert report.reason is Reason.NON_DETERMINISTIC
    assert (
        "fix the seed inside, or switch dropout off"
        in str(report).replace("\n", " ").rpartition("UNDECIDED")[2]
    )


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, Verdict.AGREES), (1.01, Verdict.DISAGREES)])
def test_a_function_that_wavers_in_its_last_digits_is_decided_all_the_same(factor, verdict):
    rng = np.random.default_rng(0)
    report = judged(lambda x: loss(x) * (1 + 1e-13 * rng.normal()), X, lambda x: factor * slope(x))
    assert report.verdict is verdict
    assert only_breach(report).reason is Reason.NON_DETERMINISTIC


def test_a_function_whose_output_shape_depends_on_the_parameters_decides_nothing():
    report = judged(lambda x: x[x >= X], X, vjp=lambda u, _x: u)
    assert report.verdict is Verdict.UNDECIDED
    assert report.reason is Reason.DOMAIN


# value_and_grad, vjp, jvp


@pytest.mark.parametrize("error", [1.0, 1e-9])
def test_value_and_grad_of_another_value_is_another_function(error):
    report = judged(loss, X, value_and_grad=lambda x: (loss(x) * (1 + error), slope(x)))
    assert (report.verdict, report.reason) == (Verdict.DISAGREES, Reason.DIFFERENT_FUNCTION)
    assert report.odd_one_out == "hand"
    assert "hand computes" in report.detail
    assert "fun" in report.detail


def test_value_and_grad_with_a_value_that_is_not_a_number_is_another_function():
    report = judged(loss, X, value_and_grad=lambda x: (math.nan, slope(x)))
    assert (report.verdict, report.reason) == (Verdict.DISAGREES, Reason.DIFFERENT_FUNCTION)


def test_value_and_grad_with_a_value_of_another_shape_is_told_both_shapes():
    report = judged(loss, X, value_and_grad=lambda x: (loss(x)[None], slope(x)))
    assert report.verdict is Verdict.DISAGREES
    assert report.detail == "hand gave shape (1,), fun ()"


def test_value_and_grad_in_the_wrong_order_is_refused_by_shape():
    report = judged(loss, X, value_and_grad=lambda x: (slope(x), loss(x)))
    assert (report.verdict, report.reason) == (Verdict.DISAGREES, Reason.SHAPE)


PULLS = {
    "right": (lambda u, x: u * np.cos(x), Verdict.AGREES),
    "overwrites its cotangent": (lambda u, x: np.multiply(u, np.cos(x), out=u), Verdict.AGREES),
    "ignores its cotangent": (lambda _u, x: np.cos(x), Verdict.DISAGREES),
    "sums its cotangent": (lambda u, x: np.sum(u) * np.cos(x), Verdict.DISAGREES),
    "conjugates nothing, but flips": (lambda u, x: u[::-1] * np.cos(x), Verdict.DISAGREES),
    "is 1 % too large": (lambda u, x: 1.01 * u * np.cos(x), Verdict.DISAGREES),
}


@pytest.mark.parametrize("pull", PULLS)
def test_a_vjp_of_an_array_valued_function(pull):
    vjp, verdict = PULLS[pull]
    assert judged(np.sin, X, vjp=vjp).verdict is verdict


def test_a_vjp_gets_a_cotangent_of_the_outputs_shape_and_dtype():
    seen = []

    def vjp(u, x):
        seen.append((u.shape, u.dtype, float(np.abs(u).min())))
        return u @ (np.ones((3, 5)) * np.cos(x))

    params = X.astype(np.float32)
    judged(lambda x: np.ones((3, 5), x.dtype) @ np.sin(x), params, vjp=vjp)
    shapes, dtypes, smallest = zip(*seen, strict=True)
    assert set(shapes) == {(3,)}
    assert set(dtypes) == {np.dtype(np.float32)}
    assert min(smallest) > 0, "no output escapes"


NOT_LINEAR = {
    "ignores it": lambda _u, x: slope(x),
    "squares it": lambda u, x: u * u * slope(x),
    "ignores its sign": lambda u, x: abs(u) * slope(x),
}


@pytest.mark.parametrize("pull", NOT_LINEAR)
def test_a_vjp_of_a_scalar_that_is_right_for_the_cotangent_1_only_is_refused(pull):
    report = judged(loss, X, vjp=NOT_LINEAR[pull])
    assert (report.verdict, report.reason) == (Verdict.DISAGREES, Reason.NOT_LINEAR)
    assert "the cotangent times" in report.detail


def test_a_vjp_that_takes_its_cotangent_for_contiguous_memory_is_refused():
    def vjp(u, x):
        return np.lib.stride_tricks.as_strided(u, u.shape, (u.itemsize,)) * np.cos(x)

    assert breach_of(None, np.sin, vjp=vjp).reason is Reason.LAYOUT


PUSHES = {
    "right": (lambda v, x: v * np.cos(x), Verdict.AGREES),
    "overwrites its tangent": (lambda v, x: np.multiply(v, np.cos(x), out=v), Verdict.AGREES),
    "is 1 % too large": (lambda v, x: 1.01 * v * np.cos(x), Verdict.DISAGREES),
    "is wrong in one output": (
        lambda v, x: v * np.cos(x) * np.where(np.arange(5) == 3, -1, 1),
        Verdict.DISAGREES,
    ),
    "ignores its tangent": (lambda _v, x: np.cos(x), Verdict.DISAGREES),
    "is zero": (lambda v, _x: 0 * v, Verdict.DISAGREES),
    "has a leading axis": (lambda v, x: (v * np.cos(x))[None], Verdict.DISAGREES),
    "is summed": (lambda v, x: np.sum(v * np.cos(x)), Verdict.DISAGREES),
    "has a nan": (lambda v, x: np.where(np.arange(5) == 1, math.nan, v * np.cos(x)), Verdict.DISAGREES),
}


@pytest.mark.parametrize("push", PUSHES)
def test_a_jvp_of_an_array_valued_function(push):
    jvp, verdict = PUSHES[push]
    report = judged(np.sin, X, jvp=jvp)
    assert report.verdict is verdict
    assert {f.what for f in report.findings} == {"tangent"}


def test_a_jvp_of_a_tree_gets_tangents_like_params():
    report = judged(tree_loss, TREE, jvp=lambda v, p: sum(np.sum(g * v[k]) for k, g in tree_slope(p).items()))
    assert report.verdict is Verdict.AGREES


@pytest.mark.parametrize("wrong", ["vjp", "jvp"])
def test_of_two_claims_the_wrong_one_decides(wrong):
    claims = {"vjp": lambda u, x: u * np.cos(x), "jvp": lambda v, x: v * np.cos(x)}
    assert judged(np.sin, X, **claims).verdict is Verdict.AGREES
    assert judged(np.sin, X, **claims | {wrong: lambda a, x: -a * np.cos(x)}).verdict is Verdict.DISAGREES


def test_a_random_jvp_is_said_to_be_random():
    rng = np.random.default_rng(0)
    assert judged(np.sin, X, jvp=lambda v, x: v * np.cos(x) * rng.normal()).reason is Reason.RANDOM_CLAIM


def test_a_jvp_that_changes_its_input_is_said_to_do_so():
    def jvp(v, x):
        answer = v * np.cos(x)
        x[...] = 0
        return answer

    assert judged(np.sin, X, jvp=jvp).reason is Reason.MUTATES


# Zero


def test_zero_agrees_where_nothing_moves_the_function():
    assert judged(lambda _x: 3.0, X, np.zeros_like).verdict is Verdict.AGREES


def test_zero_agrees_for_a_leaf_that_the_function_does_not_use():
    report = judged(lambda p: loss(p["w"]), TREE, lambda p: {"w": slope(p["w"]), "b": np.zeros(3)})
    assert report.verdict is Verdict.AGREES


def test_something_disagrees_for_a_leaf_that_the_function_does_not_use():
    report = judged(lambda p: loss(p["w"]), TREE, lambda p: {"w": slope(p["w"]), "b": 1e-9 * np.ones(3)})
    assert report.verdict is Verdict.DISAGREES
    assert {f.leaf for f in report.findings if f.verdict is Verdict.DISAGREES} == {"b"}


def test_something_disagrees_where_nothing_moves_the_function():
    assert judged(lambda _x: 3.0, X, np.ones_like).verdict is Verdict.DISAGREES


def test_zero_disagrees_where_the_function_moves():
    assert judged(loss, X, np.zeros_like).verdict is Verdict.DISAGREES


def test_zero_disagrees_for_one_leaf_that_moves_the_function():
    report = judged(tree_loss, TREE, lambda p: tree_slope(p) | {"b": np.zeros(3)})
    assert report.verdict is Verdict.DISAGREES
    assert {f.leaf for f in report.findings if f.verdict is Verdict.DISAGREES} == {"b"}


@pytest.mark.parametrize("center", [0.0, 1.0])
def test_at_a_minimum_the_right_zero_is_not_refuted_and_another_value_is(center):
    params = np.full(4, center)

    def bowl(x):
        return np.sum((x - center) ** 2)

    assert judged(bowl, params, lambda x: 2 * (x - center)).verdict is not Verdict.DISAGREES
    assert judged(bowl, params, np.ones_like).verdict is Verdict.DISAGREES


# Scale


SCALES = [1e-30, 1e-6, 1.0, 1e30]


@pytest.mark.parametrize("scale", SCALES)
def test_the_size_of_the_loss_changes_nothing_for_a_right_gradient(scale):
    report = judged(lambda x: scale * loss(x), X, lambda x: scale * slope(x))
    assert report.verdict is Verdict.AGREES
    assert report.certificate.relative < 1e-9


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.001])
def test_the_size_of_the_loss_changes_nothing_for_a_wrong_gradient(scale, factor):
    report = judged(lambda x: scale * loss(x), X, lambda x: factor * scale * slope(x))
    assert report.verdict is Verdict.DISAGREES


@pytest.mark.parametrize("factor", [1.0, -1.0])
def test_a_loss_whose_square_overflows_is_judged(factor):
    report = judged(lambda x: 1e200 * loss(x), X, lambda x: factor * 1e200 * slope(x))
    assert (report.verdict is Verdict.AGREES) == (factor == 1.0)


def test_a_small_leaf_beside_a_large_one_is_held_to_its_own_scale():
    def fun(p):
        return loss(p["w"]) + 1e-8 * loss(p["b"])

    def grad(p, factor):
        return {"w": slope(p["w"]), "b": factor * 1e-8 * slope(p["b"])}

    assert judged(fun, TREE, lambda p: grad(p, 1.0)).verdict is Verdict.AGREES
    refused = judged(fun, TREE, lambda p: grad(p, -1.0))
    assert refused.verdict is Verdict.DISAGREES
    assert {f.leaf for f in refused.findings if f.verdict is Verdict.DISAGREES} == {"b"}


# Kinks and edges


WEIGHTS = np.array([1.0, 2.0, 3.0, 4.0])
AT_A_KINK = np.array([1.0, 0.0, -1.0, 2.0])


def hinge(x):
    return np.maximum(x, 0) @ WEIGHTS


@pytest.mark.parametrize("subgradient", [0.0, 0.5, 1.0])
def test_every_subgradient_at_a_kink_is_accepted_or_left_open(subgradient):
    report = judged(hinge, AT_A_KINK, lambda x: np.where(x == 0, subgradient, x > 0) * WEIGHTS)
    assert report.verdict is not Verdict.DISAGREES
    assert report.reason in (Reason.SUBGRADIENT, Reason.KINK)


@pytest.mark.parametrize("outside", [-1.0, 50.0])
def test_no_claim_outside_the_one_sided_slopes_is_accepted(outside):
    report = judged(hinge, AT_A_KINK, lambda x: np.where(x == 0, outside, x > 0) * WEIGHTS)
    assert report.verdict is not Verdict.AGREES


@pytest.mark.parametrize("wrong", ["sign", "zero", "one percent"])
def test_a_kink_in_one_entry_does_not_cover_for_the_others(wrong):
    factor = {"sign": -1.0, "zero": 0.0, "one percent": 1.01}[wrong]
    report = judged(
        lambda x: 10 * abs(x[0]) + loss(x[1:]),
        np.concatenate([[0.0], X]),
        lambda x: np.concatenate([[0.0], factor * slope(x[1:])]),
    )
    assert report.verdict is not Verdict.AGREES


@pytest.mark.parametrize("distance", [1e-3, 0.1])
def test_a_kink_at_a_distance_is_no_kink(distance):
    params = np.array([1.0, distance, -1.0, 2.0])
    right = judged(hinge, params, lambda x: (x > 0) * WEIGHTS)
    wrong = judged(hinge, params, lambda x: (x > 0.5) * WEIGHTS)
    assert (right.verdict, wrong.verdict) == (Verdict.AGREES, Verdict.DISAGREES)


@pytest.mark.parametrize("claim", [np.zeros_like, np.ones_like])
def test_a_jump_at_the_point_has_no_derivative(claim):
    report = judged(lambda x: np.sum(np.where(x > 0, 1.0, -1.0)), np.zeros(3), claim)
    assert report.verdict is Verdict.UNDECIDED
    assert report.reason is Reason.JUMP


def test_at_the_edge_of_the_domain_nothing_wrong_is_accepted():
    def edge(x):
        return np.sum(np.where(x >= 0, np.abs(x) ** 1.5, math.nan))

    assert judged(edge, np.zeros(3), np.zeros_like).verdict is not Verdict.DISAGREES
    assert judged(edge, np.zeros(3), np.ones_like).verdict is not Verdict.AGREES


# Sizes and precisions


@pytest.mark.parametrize("params", [np.array([0.7]), np.asarray(0.7), np.float64(0.7), np.array([[[0.7]]])])
def test_a_single_parameter_of_any_shape(params):
    assert judged(loss, params, slope).verdict is Verdict.AGREES
    assert judged(loss, params, lambda x: 1.001 * slope(x)).verdict is Verdict.DISAGREES


def test_a_scalar_parameter_may_have_its_gradient_as_a_python_float():
    assert judged(loss, np.asarray(0.7), lambda x: float(slope(x))).verdict is Verdict.AGREES


def test_a_scalar_leaf_beside_a_vector():
    params = {"scale": np.asarray(2.0), "w": X}

    def grad(p):
        return {"scale": np.sum(p["w"] ** 2), "w": 2 * p["scale"] * p["w"]}

    def fun(p):
        return p["scale"] * np.sum(p["w"] ** 2)

    assert judged(fun, params, grad).verdict is Verdict.AGREES
    assert judged(fun, params, lambda p: grad(p) | {"scale": np.asarray(1.0)}).verdict is Verdict.DISAGREES


def test_one_flipped_entry_of_a_hundred_thousand_is_found():
    params = np.random.default_rng(0).normal(size=100_000)
    largest = int(np.argmax(np.abs(slope(params))))

    def flipped(x):
        answer = slope(x)
        answer[largest] *= -1
        return answer

    right, wrong = judged(loss, params, slope), judged(loss, params, flipped)
    assert (right.verdict, wrong.verdict) == (Verdict.AGREES, Verdict.DISAGREES)
    assert wrong.sources["numeric"].calls < 1000


def in_single_precision(x):
    return loss(x.astype(np.float32))


@pytest.mark.parametrize("fun", [loss, in_single_precision])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, Verdict.AGREES), (1.01, Verdict.DISAGREES)])
def test_float32_parameters(fun, factor, verdict):
    report = judged(fun, X.astype(np.float32), lambda x: np.float32(factor) * slope(x))
    assert report.verdict is verdict


def test_float32_parameters_are_sampled_in_float64_where_the_code_can():
    params = X.astype(np.float32)
    assert judged(loss, params, slope).sources["numeric"].dtype == "float64"
    assert judged(in_single_precision, params, slope).sources["numeric"].dtype == "float32"


def test_float16_parameters_are_never_falsely_refused_and_a_flip_never_accepted():
    params = X.astype(np.float16)
    assert judged(loss, params, slope).verdict is not Verdict.DISAGREES
    assert judged(loss, params, lambda x: -slope(x)).verdict is Verdict.DISAGREES


def least_squares(n, dtype):
    """Mean squared error over n rows at w = 0, its gradient, and the rows."""
    rng = np.random.default_rng(1)
    rows, due = rng.normal(size=(n, 5)).astype(dtype), rng.normal(size=n).astype(dtype)
    return (
        lambda w, a, y: ((a @ w - y) ** 2).mean(),
        lambda w, a, y: 2 * (a @ w - y) @ a / len(y),
        np.zeros(5, dtype),
        (rows, due),
    )


@pytest.mark.parametrize(
    ("n", "dtype"),
    [
        (100, "float32"),
        (30_000, "float64"),
        pytest.param(30_000, "float32"),
    ],
)
def test_a_right_sum_over_many_rows_is_held_to_the_rounding_of_such_a_sum(n, dtype):
    fun, grad, params, args = least_squares(n, dtype)
    assert judged(fun, params, grad, args=args).verdict is Verdict.AGREES


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_percent_in_a_sum_over_many_rows_is_no_rounding(dtype):
    fun, grad, params, args = least_squares(30_000, dtype)
    wrong = np.asarray(1.01, dtype)
    assert judged(fun, params, lambda *given: wrong * grad(*given), args=args).verdict is Verdict.DISAGREES


@pytest.mark.parametrize(("remembers", "forwards"), [(False, 3), (True, 6)])
def test_a_claim_that_keeps_nothing_is_spared_the_forward_pass(remembers, forwards):
    """Once its answer was the same to the last bit after the function had been evaluated elsewhere."""
    calls = []

    def fun(x):
        calls.append(np.array(x))
        return (x**3).sum()

    def grad(x):
        return 3 * x**2 * (1 + 1e-9 * calls[-1][0] * remembers)

    check(fun, np.array([1.0, 2.0]), grad=grad, sources=["hand"])
    assert len(calls) == 3 + forwards
