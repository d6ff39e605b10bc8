"""What stock gradient checkers get wrong, as one table.

The rows are those of a survey of torch, JAX, HIPS autograd, SciPy, PyTensor, OpenMDAO, chex, fdm and derivcheck at
their defaults; its numbers are in the ids. Each row says which outcomes are honest: a right gradient never DISAGREES,
a wrong one never AGREES, and UNDECIDED is allowed only with the reason that is true there.
"""

import numpy as np
import pytest

from gradproof import Verdict, check

SINGLE = np.float32
SEEDS = (0, 1)


def outcome(report):
    """ "AGREES", "DISAGREES", or the reason why it is undecided."""
    return report.reason.name if report.verdict is Verdict.UNDECIDED else report.verdict.name


def judged(fun, params, grad=None, **options):
    return outcome(check(fun, params, grad=grad, **{"sources": ("numeric", "hand")} | options))


def loss(x):
    return np.sum(np.sin(x) * x)


def slope(x):
    return np.sin(x) + x * np.cos(x)


def point(n=10, dtype=np.float64, size=1.0):
    return (size * np.random.default_rng(n).uniform(0.2, 2.0, n) * (-1.0) ** np.arange(n)).astype(dtype)


def natively(fun):
    """`fun` in float32 whatever it is given: such code gains nothing from float64 parameters."""
    return lambda x: fun(x.astype(SINGLE))


def times(factor, at=slice(None)):
    """The right gradient with some entries multiplied."""

    def wrong(x):
        answer = slope(x)
        answer[at] *= np.asarray(factor, answer.dtype)
        return answer

    return wrong


def swapped(x):
    answer = slope(x)
    answer[[2, 5]] = answer[[5, 2]]
    return answer


# 3.1, right gradients

NOISY_ROUNDING = {"AGREES", "RESOLUTION", "KINK_NOT_EXCLUDED"}

RIGHT = [
    pytest.param(loss, point(), slope, {"AGREES"}, id="01 plain"),
    pytest.param(loss, point(10, SINGLE, 5), slope, {"AGREES"}, id="02 float32"),
    pytest.param(natively(loss), point(10, SINGLE, 5), slope, {"AGREES"}, id="02 float32 code"),
    pytest.param(loss, point(1000, SINGLE), slope, {"AGREES"}, id="03 float32, n=1000"),
    pytest.param(natively(loss), point(1000, SINGLE), slope, NOISY_ROUNDING, id="03 float32 code, n=1000"),
    pytest.param(lambda x: 1e4 + loss(x), point(10, SINGLE), slope, {"AGREES"}, id="04 float32, offset 1e4"),
    pytest.param(
        natively(lambda x: SINGLE(1e4) + loss(x)), point(10, SINGLE), slope, NOISY_ROUNDING,
        id="04 float32 code, offset 1e4",
    ),
    pytest.param(lambda x: 1e6 + loss(x), point(), slope, {"AGREES"}, id="05 offset 1e6"),
    pytest.param(lambda x: 1e6 * loss(x), point(), lambda x: 1e6 * slope(x), {"AGREES"}, id="06 scale 1e6"),
    pytest.param(
        loss, point(size=1e8), slope, {"AGREES", "NOT_ADDITIVE", "UNSTABLE", "RESOLUTION"}, id="07 |x| near 1e8"
    ),
    pytest.param(
        lambda x: np.sum(np.sin(1e4 * x)), point(), lambda x: 1e4 * np.cos(1e4 * x),
        {"AGREES", "UNSTABLE", "RESOLUTION"}, id="08 sin(1e4 x)",
    ),
    pytest.param(lambda x: np.sum(x * x), point(size=1e-8), lambda x: 2 * x, {"AGREES"}, id="2.2 |x| near 1e-8"),
    pytest.param(
        lambda x: np.sum(np.log(np.where(x > 0, x, np.nan))), np.array([1e-6, 2e-6]), lambda x: 1 / x,
        {"AGREES", "DOMAIN"}, id="2.2 log near its edge",
    ),
    pytest.param(
        lambda x: np.sum(np.sqrt(np.where(x > 0, x, np.nan))), np.array([1e-8, 2e-8]), lambda x: 0.5 / np.sqrt(x),
        {"AGREES", "DOMAIN"}, id="2.2 sqrt near its edge",
    ),
    pytest.param(
        lambda x: np.sum(np.floor(4 * x)), point() + 0.1, np.zeros_like, {"AGREES", "STAIRS", "VANISHING"},
        id="2.2 floor(4x)",
    ),
]  # fmt: skip

# 3.1, wrong gradients

REFUTED = {"DISAGREES"}

WRONG = [
    pytest.param(loss, point(), times(1.01, 3), REFUTED, id="10 1% in one entry"),
    pytest.param(loss, point(1000), times(1.01, 3), REFUTED, id="11 1% in one entry, n=1000"),
    pytest.param(loss, point(), times(-1, 3), REFUTED, id="12 one sign"),
    pytest.param(loss, point(1000), times(-1, 3), REFUTED, id="13 one sign, n=1000"),
    pytest.param(loss, point(10, SINGLE), times(1.01, 3), REFUTED, id="14 1% in one entry, float32"),
    pytest.param(
        natively(loss), point(10, SINGLE), times(1.01, 3), REFUTED | {"KINK_NOT_EXCLUDED", "RESOLUTION"},
        id="14 1% in one entry, float32 code",
    ),
    pytest.param(loss, point(1000, SINGLE), times(0, 3), REFUTED, id="15 one zero, float32, n=1000"),
    pytest.param(
        natively(loss), point(1000, SINGLE), times(0, 3), REFUTED | {"KINK_NOT_EXCLUDED", "RESOLUTION"},
        id="15 one zero, float32 code, n=1000",
    ),
    pytest.param(loss, point(), times(1.0001), REFUTED, id="16 0.01% everywhere"),
    pytest.param(lambda x: 1e-6 * loss(x), point(), lambda x: -1e-6 * slope(x), REFUTED, id="17 scale 1e-6, sign"),
    pytest.param(
        natively(lambda x: SINGLE(1e-4) * loss(x)), point(10, SINGLE), lambda x: -SINGLE(1e-4) * slope(x), REFUTED,
        id="18 scale 1e-4, float32 code, sign",
    ),
    pytest.param(loss, point(), swapped, REFUTED, id="19 two entries swapped"),
    pytest.param(loss, point(size=1e8), times(-1), REFUTED | {"NOT_ADDITIVE", "UNSTABLE"}, id="07 |x| near 1e8, sign"),
    pytest.param(
        lambda x: np.sum(np.sin(1e4 * x)), point(), lambda x: -1e4 * np.cos(1e4 * x), REFUTED | {"UNSTABLE"},
        id="08 sin(1e4 x), sign",
    ),
    pytest.param(
        lambda x: np.sum(x[:3] * x[3:6] * x[6:]), point(9), lambda x: np.roll(x, 3) * np.roll(x, 6) * 1.0001,
        REFUTED, id="16 0.01% of a product",
    ),
    pytest.param(
        lambda x: loss(x.T @ x), point(9).reshape(3, 3), lambda x: (2 * x @ slope(x.T @ x)).T, REFUTED,
        id="66 transposed",
    ),
    pytest.param(
        lambda x: np.sum(np.floor(4 * x)), point() + 0.1, np.ones_like, REFUTED | {"STAIRS", "UNSTABLE", "KINK_NOT_EXCLUDED", "NOT_ADDITIVE"},
        id="2.2 floor(4x)",
    ),
    pytest.param(
        lambda x: 2 * np.sum(x), np.ones(5), lambda _x: np.array([-2.0016, 19.6405, 2.0, 2.0, 2.0]), REFUTED,
        id="1.5 invisible to a direction that is the same for ever",
    ),
]  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("fun", "params", "grad", "honest"), RIGHT)
def test_a_right_gradient_that_others_refuse(fun, params, grad, honest, seed):
    assert judged(fun, params, grad, seed=seed) in honest


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("fun", "params", "grad", "honest"), WRONG)
def test_a_wrong_gradient_that_others_accept(fun, params, grad, honest, seed):
    assert judged(fun, params, grad, seed=seed) in honest


# 3.1, kinks: rows 20 to 23


def relu_loss(x):
    return np.sum(np.maximum(x, 0))


def relu_slope(x):
    return (x > 0) * 1.0


AT_KINK = {"AGREES", "KINK", "KINK_NOT_EXCLUDED", "NOT_ADDITIVE", "UNSTABLE", "RESOLUTION"}

KINKS = {
    "20 no entry near the kink": (0.7, {"AGREES"}),
    "21 one entry at the kink": (0.0, AT_KINK),
    "22 one entry at 1e-9": (1e-9, AT_KINK),
    "23 one entry at 3e-5": (3e-5, AT_KINK),
}


@pytest.mark.parametrize("row", KINKS)
@pytest.mark.parametrize("seed", range(5))
def test_a_right_gradient_near_a_kink(row, seed):
    value, honest = KINKS[row]
    params = point()
    params[4] = value
    assert judged(relu_loss, params, relu_slope, seed=seed) in honest


@pytest.mark.parametrize("row", KINKS)
def test_a_flipped_gradient_near_a_kink(row):
    params = point()
    params[4] = KINKS[row][0]
    assert judged(relu_loss, params, lambda x: -relu_slope(x)) in {"DISAGREES", "KINK", "KINK_NOT_EXCLUDED"}


def test_a_wrong_entry_beside_one_at_a_kink():
    params = point()
    params[4] = 0.0

    def grad(x):
        answer = np.where(x == 0, 0.5, relu_slope(x))
        answer[6] *= 0.9
        return answer

    assert "AGREES" not in {judged(relu_loss, params, grad, seed=seed) for seed in range(4)}


# 3.1, noise: rows 30 to 32


def noisy(size, seed):
    rng = np.random.default_rng(seed)
    return lambda x: loss(x) + size * rng.random()


UNSURE = {"NON_DETERMINISTIC", "VANISHING", "UNSTABLE", "KINK_NOT_EXCLUDED", "NOT_ADDITIVE"}


@pytest.mark.parametrize("size", [1e-1, 1e-3, 1e-9])
@pytest.mark.parametrize("seed", range(4))
def test_30_31_a_right_gradient_of_a_noisy_function(size, seed):
    assert judged(noisy(size, seed), point(), slope, seed=seed) in UNSURE | {"AGREES"}


@pytest.mark.parametrize("size", [1e-1, 1e-3, 1e-9])
@pytest.mark.parametrize("seed", range(4))
def test_30_31_a_wrong_gradient_of_a_noisy_function(size, seed):
    assert judged(noisy(size, seed), point(), times(-1), seed=seed) in UNSURE | {"DISAGREES"}


def test_31_noise_of_1e_9_hides_neither_truth_nor_error():
    assert judged(noisy(1e-9, 0), point(), slope) == "AGREES"
    assert judged(noisy(1e-9, 0), point(), times(1.001)) == "DISAGREES"


def test_32_a_backward_pass_noisy_in_its_last_digits_is_right():
    rng = np.random.default_rng(0)
    assert judged(loss, point(), lambda x: slope(x) * (1 + 1e-8 * rng.normal(size=10))) == "AGREES"


# 3.1, contracts: rows 40 to 65


def halves(code):
    def mutating(x):
        value = code(x)
        x *= 0.5
        return value

    return mutating


def test_40_fun_that_changes_its_input_leaves_the_caller_and_the_verdict_on_the_gradient_alone():
    params = point()
    report = check(halves(loss), params, grad=slope, sources=("numeric", "hand"))
    assert report.sources["hand"].verdict is Verdict.AGREES
    assert params.tobytes() == point().tobytes()


def test_41_a_gradient_that_changes_its_input_leaves_the_caller_alone_and_is_refused():
    params = point()
    assert judged(loss, params, halves(slope)) == "DISAGREES"
    assert params.tobytes() == point().tobytes()


def nan_at_2(x):
    return np.where(np.arange(x.size) == 2, np.nan, slope(x))


NOT_FINITE = [
    pytest.param(loss, nan_at_2, "DISAGREES", id="50 NaN in one entry, f finite"),
    pytest.param(lambda _x: np.nan, lambda x: np.full_like(x, np.nan), "DOMAIN", id="51 both NaN"),
    pytest.param(lambda _x: np.inf, lambda x: np.full_like(x, np.inf), "DOMAIN", id="52 both inf"),
    pytest.param(lambda _x: np.inf, np.zeros_like, "DOMAIN", id="53 f inf, gradient 0"),
]


@pytest.mark.parametrize(("fun", "grad", "due"), NOT_FINITE)
def test_what_is_not_finite_never_passes(fun, grad, due):
    assert judged(fun, point(), grad) == due


MISSHAPEN = [
    pytest.param(lambda x: slope(x)[:, None], id="60 (n, 1)"),
    pytest.param(lambda x: slope(x)[None], id="61 (1, n)"),
    pytest.param(lambda x: np.mean(slope(x)), id="62 mean"),
    pytest.param(lambda x: np.stack([slope(x) / 4] * 4), id="63 batch axis"),
    pytest.param(lambda x: slope(x)[:-1], id="64 too short"),
    pytest.param(lambda x: slope(x).astype(SINGLE), id="65 float32 for float64"),
]


@pytest.mark.parametrize("grad", MISSHAPEN)
def test_right_numbers_in_a_wrong_shape_or_dtype_are_refused(grad):
    assert judged(loss, point(), grad) == "DISAGREES"


def test_70_a_backward_pass_that_ignores_the_cotangent_is_refused():
    assert judged(np.sin, point(), vjp=lambda u, x: u * np.cos(x)) == "AGREES"
    assert judged(np.sin, point(), vjp=lambda _u, x: np.cos(x)) == "DISAGREES"


# 3.2, one wrong coordinate


SIZES = pytest.mark.parametrize("n", [10, 1000, 10_000])
SIGNS = pytest.mark.parametrize("sign", [np.abs, np.asarray], ids=["one sign", "mixed signs"])


def exponentials(n, sign):
    """Σ w exp(x) and its gradient w exp(x), which has the signs of w."""
    weights = sign(point(n))
    return lambda x: np.sum(weights * np.exp(x)), lambda x: weights * np.exp(x)


@SIZES
@SIGNS
def test_a_right_gradient_of_any_size_agrees_closely_enough_to_show_one_wrong_coordinate(n, sign):
    fun, grad = exponentials(n, sign)
    assert judged(fun, point(n), grad, resolution=1e-6) == "AGREES"


@pytest.mark.parametrize("factor", [1.01, 1.1, 0.0, -1.0])
@SIZES
@SIGNS
def test_one_wrong_coordinate_is_found_whatever_the_size_and_the_signs(n, sign, factor):
    fun, grad = exponentials(n, sign)
    wrong = np.where(np.arange(n) == n // 2, factor, 1.0)
    assert judged(fun, point(n), lambda x: wrong * grad(x)) == "DISAGREES"


# Beyond the table: code that rounds its own values more coarsely than the last digit of its result

COARSE = [
    pytest.param(
        lambda x: np.sum(np.log(1 + np.exp(-x))), np.array([40.0]), lambda x: -np.exp(-x) / (1 + np.exp(-x)),
        id="softplus, saturated",
    ),
    pytest.param(
        lambda z: -np.log(np.exp(z[0]) / np.exp(z).sum()), np.array([40.0, 1.0, 2.0]),
        lambda z: np.exp(z) / np.exp(z).sum() - np.array([1.0, 0.0, 0.0]),
        id="cross-entropy, saturated",
    ),
    pytest.param(
        lambda x: np.sum(np.sqrt(x**2 + 1) - 1), np.array([1e-8, 2e-8]), lambda x: x / np.sqrt(x**2 + 1),
        id="sqrt(x^2 + 1) - 1",
    ),
    pytest.param(
        lambda x: np.sum((np.exp(x) - 1) / x), np.array([1e-8, 2e-8]), lambda x: 0.5 + x / 3,
        id="(exp(x) - 1)/x",
    ),
    pytest.param(
        lambda x: np.sum((1 - np.cos(x)) / x**2), np.array([1e-6, 2e-6]), lambda x: -x / 12,
        id="(1 - cos(x))/x^2",
    ),
    pytest.param(
        lambda x: float(loss(x.astype(np.float16))), point(), slope,
        id="float16 inside, float64 outside",
    ),
    pytest.param(lambda x: np.round(loss(x), 3), point(), slope, id="rounded to three digits"),
]  # fmt: skip


@pytest.mark.parametrize(("fun", "params", "grad"), COARSE)
def test_a_right_gradient_of_code_that_cancels_or_rounds_is_not_refused(fun, params, grad):
    assert "DISAGREES" not in {judged(fun, params, grad, seed=seed) for seed in range(8)}


# 3.3, hand-written backpropagation and its classic mistakes

ACTIVATIONS = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
}
BATCH = 32


def network(activation, dtype):
    """Loss, parameters and backward pass of a 10-25-5 network with a squared error over a batch."""
    act, derivative = ACTIVATIONS[activation]
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=shape).astype(dtype) for shape in ((BATCH, 10), (BATCH, 5)))
    shapes = {"W1": (10, 25), "b1": (25,), "W2": (25, 5), "b2": (5,)}
    params = {name: (0.5 * rng.normal(size=shape)).astype(dtype) for name, shape in shapes.items()}

    def fun(p):
        hidden = act(x @ p["W1"] + p["b1"])
        return np.sum((hidden @ p["W2"] + p["b2"] - y) ** 2) / BATCH

    def grad(p, derivative=derivative):
        z = x @ p["W1"] + p["b1"]
        delta = 2 * (act(z) @ p["W2"] + p["b2"] - y) / BATCH
        back = delta @ p["W2"].T * derivative(z)
        answer = {"W1": x.T @ back, "b1": back.sum(axis=0), "W2": act(z).T @ delta, "b2": delta.sum(axis=0)}
        return {name: leaf.astype(dtype) for name, leaf in answer.items()}

    return fun, params, grad


@pytest.mark.parametrize("dtype", [np.float64, SINGLE])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_right_backpropagation_agrees(activation, dtype):
    fun, params, grad = network(activation, dtype)
    assert judged(fun, params, grad) == "AGREES"


def one_weight_off(p, grad):
    answer = grad(p)
    largest = np.unravel_index(np.argmax(np.abs(answer["W1"])), answer["W1"].shape)
    answer["W1"][largest] *= 1.05
    return answer


BUGS = {
    "no 1/B": lambda p, grad: {name: BATCH * leaf for name, leaf in grad(p).items()},
    "no activation derivative": lambda p, grad: grad(p, np.ones_like),
    "b2 forgotten": lambda p, grad: grad(p) | {"b2": np.zeros_like(p["b2"])},
    "b1 averaged twice": lambda p, grad: grad(p) | {"b1": grad(p)["b1"] / BATCH},
    "one weight times 1.05": one_weight_off,
    "1e-9 everywhere": lambda p, grad: {name: leaf * (1 + 1e-9) for name, leaf in grad(p).items()},
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bug", BUGS)
def test_a_classic_mistake_in_backpropagation_is_refused(bug, activation):
    fun, params, grad = network(activation, np.float64)
    assert judged(fun, params, lambda p: BUGS[bug](p, grad)) == "DISAGREES"


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_loss_of_1e_6_with_the_sign_flipped_everywhere_is_refused(activation):
    fun, params, grad = network(activation, np.float64)
    flipped = judged(
        lambda p: 1e-6 * fun(p), params, lambda p: {name: -1e-6 * leaf for name, leaf in grad(p).items()}
    )
    assert flipped == "DISAGREES"


# 3.4, tolerances that grow with the size


LENGTHS = pytest.mark.parametrize("n", [1, 100, 2000])
DTYPES = pytest.mark.parametrize("dtype", [np.float64, SINGLE])


@LENGTHS
@DTYPES
def test_a_right_jvp_agrees_whatever_the_size(n, dtype):
    assert judged(lambda x: np.sin(x) * x, point(n, dtype), jvp=lambda v, x: v * slope(x)) == "AGREES"


@pytest.mark.parametrize("factor", [1.01, 1.1, 2.0, 0.0, -1.0])
@LENGTHS
@DTYPES
def test_a_wrong_jvp_is_refused_whatever_the_size(n, dtype, factor):
    wrong = judged(lambda x: np.sin(x) * x, point(n, dtype), jvp=lambda v, x: dtype(factor) * v * slope(x))
    assert wrong == "DISAGREES"


def test_a_right_jvp_far_from_the_origin_is_not_refused():
    params = np.random.default_rng(0).normal(size=100) * 1e8
    seen = {judged(np.sin, params, jvp=lambda v, x: v * np.cos(x), seed=seed) for seed in range(5)}
    assert "DISAGREES" not in seen


# 3.5, code patterns


def test_gradients_that_accumulate_between_calls_are_refused():
    total = np.zeros(10)
    assert judged(loss, point(), lambda x: np.add(total, slope(x), out=total)) == "DISAGREES"


def test_one_reused_buffer_is_right():
    buffer = np.zeros(10)

    def grad(x):
        buffer[...] = slope(x)
        return buffer

    assert judged(loss, point(), grad) == "AGREES"


def test_dropout_redrawn_in_each_forward_pass_is_left_open():
    rng = np.random.default_rng(0)
    assert judged(lambda x: loss(x * (rng.random(10) > 0.5)), point(), slope) in UNSURE


def test_a_backward_pass_that_overwrites_its_cotangent_is_right():
    assert judged(np.sin, point(), vjp=lambda u, x: np.multiply(u, np.cos(x), out=u)) == "AGREES"


def test_a_backward_pass_that_needs_the_forward_pass_first_is_run_after_it():
    saved = {}

    def forward(x):
        saved["x"] = x.copy()
        return loss(x)

    def both(x):
        return forward(x), slope(saved["x"])

    assert judged(forward, point(), value_and_grad=both) == "AGREES"


# 3.6 and section 1


def test_a_thousand_inputs_and_ten_outputs_cost_no_thousand_evaluations():
    matrix = np.random.default_rng(0).normal(size=(10, 1000)) / 30
    calls = []

    def fun(x):
        calls.append(x)
        return np.tanh(matrix @ x)

    def vjp(u, x, flip=None):
        answer = (u * (1 - np.tanh(matrix @ x) ** 2)) @ matrix
        if flip is not None:
            answer[flip] *= -1
        return answer

    assert judged(fun, point(1000), vjp=vjp) == "AGREES"
    assert len(calls) < 200
    assert judged(fun, point(1000), vjp=lambda u, x: vjp(u, x, 421)) == "DISAGREES"


def test_a_function_that_fails_away_from_the_point_leaves_the_callers_array_as_it_was():
    params = point()
    judged(
        lambda x: loss(x) if np.array_equal(x, params) else 1 / 0,
        params,
        value_and_grad=lambda x: (loss(x), slope(x)),
    )
    assert params.tobytes() == point().tobytes()


def test_the_probes_of_two_seeds_differ():
    probes = [
        check(loss, point(), grad=slope, seed=seed, sources=("numeric", "hand")).probes[0].probe
        for seed in SEEDS
    ]
    assert not np.array_equal(probes[0][0], probes[1][0])
