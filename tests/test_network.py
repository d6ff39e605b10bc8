"""The reference network: the course's table, both autodiffs, every special point, every namespace."""

import dataclasses
import itertools

import numpy as np
import pytest

from conftest import central_difference, double_precision, host
from gradproof import trees
from gradproof.activations import ACTIVATIONS
from gradproof.initializers import debug_sine, he_normal
from gradproof.losses import LOSSES
from gradproof.network import Layer, Network
from gradproof.verdict import Verdict

DEPTHS = [(4, 3), (4, 5, 3), (4, 5, 6, 3), (4, 5, 2, 6, 3)]
LAM = 0.7
# Ng, Machine Learning, exercise 4: the output of checkNNGradients with lambda = 0.
COURSE = """
-9.2783e-03  8.8991e-03 -8.3601e-03  7.6281e-03 -6.7480e-03 -3.0498e-06  1.4287e-05 -2.5938e-05  3.6988e-05
-4.6876e-05 -1.7506e-04  2.3315e-04 -2.8747e-04  3.3532e-04 -3.7622e-04 -9.6266e-05  1.1798e-04 -1.3715e-04
 1.5325e-04 -1.6656e-04  3.1454e-01  1.1106e-01  9.7401e-02  1.6409e-01  5.7574e-02  5.0458e-02
"""


def example(network, xp, m=7, scale=1.0, dtype="float64"):
    """Flat theta, inputs and (soft) targets, the same numbers in every namespace."""
    rng = np.random.default_rng(20)
    theta = rng.normal(size=network.size) * 0.7
    x, y = rng.normal(size=(m, network.sizes[0])) * scale, rng.uniform(size=(m, network.sizes[-1]))
    return tuple(xp.asarray(a, dtype=getattr(xp, dtype)) for a in (theta, x, y))


def one_hot(labels, classes):
    return np.eye(classes)[np.asarray(labels)]


def assert_close(network, got, due, rtol=1e-12, scale=None):
    """Every leaf agrees to `rtol` of its own scale, or of that of the same leaf in `scale` where it is larger."""
    leaves, expected, scales = (leaves_of(network, t) for t in (got, due, due if scale is None else scale))
    for path, leaf in expected.items():
        allowed = rtol * max(np.abs(leaf).max(), np.abs(scales[path]).max())
        assert np.all(np.isfinite(leaf)), path
        assert np.all(np.abs(leaves[path] - leaf) <= allowed), path


def leaves_of(network, theta):
    return trees.leaves_by_path(network.unflatten(host(theta)))


def careless(network):
    """The network with a planted mistake: the activation's derivative is taken to be 1."""
    wrong = dataclasses.replace(network.activation, derivative=lambda z, _a, xp: xp.ones_like(z))
    return dataclasses.replace(network, activation=wrong)


# The course's network


def course():
    network = Network((3, 5, 3))
    return network, network.init(debug_sine), debug_sine(2, 5), one_hot(np.arange(1, 6) % 3, 3)


def test_the_course_s_table():
    network, params, x, y = course()
    theta = network.flatten(params)
    published = np.array(COURSE.split(), dtype=float)
    gradient = network.gradient(theta, x, y)
    assert gradient.shape == (38,)
    np.testing.assert_allclose(gradient[: published.size], published, rtol=1e-4)
    np.testing.assert_allclose(
        central_difference(lambda t: network.loss(t, x, y), theta), gradient, atol=1e-9
    )


def test_theta_is_the_course_s_unrolling():
    network, params, _, _ = course()
    matrices = [debug_sine(3, 5), debug_sine(5, 3)]
    np.testing.assert_array_equal(
        network.flatten(params), np.concatenate([m.ravel(order="F") for m in matrices])
    )


def test_lambda_adds_the_course_s_penalty_and_leaves_biases_out():
    network, params, x, y = course()
    decay = 3.0 / 5
    penalty = decay / 2 * sum((layer.weight**2).sum() for layer in params)
    assert network.loss(params, x, y, 3.0) == pytest.approx(network.loss(params, x, y) + penalty, rel=1e-15)
    plain, decayed = network.gradient(params, x, y), network.gradient(params, x, y, 3.0)
    for layer, before, after in zip(params, plain, decayed, strict=True):
        np.testing.assert_array_equal(after.bias, before.bias)
        np.testing.assert_allclose(after.weight, before.weight + decay * layer.weight, rtol=1e-14)


# By hand against automatic


@pytest.mark.parametrize("sizes", DEPTHS, ids=lambda sizes: f"{len(sizes) - 2}-hidden")
@pytest.mark.parametrize("objective", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_by_hand_equals_autodiff(autodiff, activation, objective, sizes):
    xp, derivative = autodiff
    network = Network(sizes, activation, objective)
    theta, x, y = example(network, xp)
    assert_close(
        network, network.gradient(theta, x, y, LAM), derivative(lambda t: network.loss(t, x, y, LAM), theta)
    )


@pytest.mark.parametrize("m", [1, 64])
def test_by_hand_equals_autodiff_at_other_batches(autodiff, m):
    xp, derivative = autodiff
    network = Network((4, 5, 3))
    theta, x, y = example(network, xp, m)
    assert_close(network, network.gradient(theta, x, y), derivative(lambda t: network.loss(t, x, y), theta))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("objective", LOSSES)
def test_every_namespace_has_numpy_s_numbers(xp, activation, objective):
    network = Network((4, 5, 3), activation, objective)
    value, gradient = network.value_and_gradient(*example(network, xp), LAM)
    expected, due = network.value_and_gradient(*example(network, np), LAM)
    assert float(value) == pytest.approx(expected, rel=1e-14)
    assert_close(network, gradient, due, 1e-13)


def test_deltas_are_the_loss_s_derivatives_in_each_z():
    network = Network((4, 5, 3), "tanh")
    theta, x, y = example(network, np)
    weight, bias = network.gradient(network.unflatten(theta), x, y)[1]
    first, last = network.deltas(theta, x, y)
    layers = network.unflatten(theta)
    a = np.tanh(x @ layers[0].weight.T + layers[0].bias)
    np.testing.assert_allclose(last, (network.predict(theta, x) - y) / 7, rtol=1e-14)
    np.testing.assert_allclose(first, (last @ layers[1].weight) * (1 - a**2), rtol=1e-13)
    np.testing.assert_allclose(bias, last.sum(axis=0), rtol=1e-13)
    np.testing.assert_allclose(weight, last.T @ a, rtol=1e-13)


# Forms of the parameters


def test_flat_theta_and_tree_are_the_same(xp):
    network = Network((4, 5, 2, 3), "tanh")
    theta, x, y = example(network, xp)
    params = network.unflatten(theta)
    assert [tuple(leaf.shape) for layer in params for leaf in layer] == [
        (5, 4),
        (5,),
        (2, 5),
        (2,),
        (3, 2),
        (3,),
    ]
    np.testing.assert_array_equal(host(network.flatten(params)), host(theta))
    assert float(network.loss(params, x, y, LAM)) == float(network.loss(theta, x, y, LAM))
    flat, tree = network.gradient(theta, x, y, LAM), network.gradient(params, x, y, LAM)
    assert all(isinstance(layer, Layer) for layer in tree)
    np.testing.assert_array_equal(host(network.flatten(tree)), host(flat))


def test_a_list_of_layers_gives_a_list():
    network = Network((4, 5, 3))
    theta, x, y = example(network, np)
    assert isinstance(network.gradient(list(network.unflatten(theta)), x, y), list)


def test_value_and_gradient_are_loss_and_gradient(xp):
    network = Network((4, 5, 3))
    inputs = example(network, xp)
    value, gradient = network.value_and_gradient(*inputs, LAM)
    assert float(value) == float(network.loss(*inputs, LAM))
    np.testing.assert_array_equal(host(gradient), host(network.gradient(*inputs, LAM)))


@pytest.mark.parametrize("lam", [0.0, LAM, np.float64(LAM)])
def test_float32_stays_float32(xp, lam):
    network = Network((4, 5, 3), "gelu", "softmax_cross_entropy")
    theta, x, y = example(network, xp, dtype="float32")
    value, gradient = network.value_and_gradient(theta, x, y, lam)
    arrays = [
        value,
        gradient,
        network.predict(theta, x),
        *network.deltas(theta, x, y),
        network.init(xp=xp, dtype="float32")[0].bias,
    ]
    assert {str(a.dtype).rpartition(".")[2] for a in arrays} == {"float32"}
    due = network.gradient(*example(network, np), lam)
    assert_close(network, host(gradient).astype(float), due, 1e-5)


def test_inputs_are_not_changed(xp):
    network = Network((4, 5, 3), "identity", "squared_error")
    inputs = example(network, xp)
    before = [host(a) for a in inputs]
    network.value_and_gradient(*inputs, LAM)
    network.value_and_gradient(network.unflatten(inputs[0]), *inputs[1:], LAM)
    for array, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(host(array), copy)


def test_under_jit_with_lam_traced_too():
    with double_precision("jax.numpy") as jnp:
        jax = pytest.importorskip("jax")
        network = Network((4, 5, 3), "softplus", "softmax_cross_entropy")
        theta, x, y = example(network, jnp)
        value, gradient = jax.jit(network.value_and_gradient)(theta, x, y, LAM)
        assert float(value) == pytest.approx(float(network.loss(theta, x, y, LAM)), rel=1e-14)
        assert_close(network, gradient, network.gradient(theta, x, y, LAM), 1e-13)
        params = network.unflatten(theta)
        assert_close(
            network, network.flatten(jax.jit(network.gradient)(params, x, y)), network.gradient(theta, x, y)
        )


def test_the_gradient_by_hand_can_itself_be_differentiated():
    with double_precision("jax.numpy") as jnp:
        jax = pytest.importorskip("jax")
        network = Network((2, 3, 2))
        theta, x, y = example(network, jnp)
        by_hand = jax.jit(jax.jacfwd(lambda t: network.gradient(t, x, y)))(theta)
        automatic = jax.jit(jax.hessian(lambda t: network.loss(t, x, y)))(theta)
        np.testing.assert_allclose(by_hand, automatic, atol=1e-14)


# Special points


@pytest.mark.parametrize("zeroed", ["all", "hidden"])
@pytest.mark.parametrize("objective", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zero_initialisation(autodiff, activation, objective, dtype, zeroed):
    # All z are 0 exactly, all logits tie; or only the hidden z are 0, and their slopes show in the gradient.
    xp, derivative = autodiff
    network = Network((4, 5, 3), activation, objective)
    theta, x, y = example(network, xp, dtype=dtype)
    theta = theta * xp.asarray(np.arange(network.size) >= (network.size if zeroed == "all" else 25))
    due = network.gradient(*(host(a).astype(float) for a in (theta, x, y)))
    rtol = 1e-12 if dtype == "float64" else 1e-5
    assert_close(network, network.gradient(theta, x, y), due, rtol)
    assert_close(network, derivative(lambda t: network.loss(t, x, y), theta), due, rtol)


def test_slopes_at_zero_are_the_true_ones():
    zero = np.zeros((1, 1))
    due = {"sigmoid": 0.25, "tanh": 1.0, "relu": 0.0, "softplus": 0.5, "gelu": 0.5, "identity": 1.0}
    slopes = {name: a.derivative(zero, a.function(zero, np), np).item() for name, a in ACTIVATIONS.items()}
    assert slopes == pytest.approx(due, abs=1e-16)


@pytest.mark.parametrize("scale", [1e2, 1e4])
@pytest.mark.parametrize("objective", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out(autodiff, activation, objective, dtype, scale):
    xp, derivative = autodiff
    network = Network((4, 5, 3), activation, objective)
    theta, x, y = example(network, xp, scale=scale, dtype=dtype)
    rtol = 1e-12 if dtype == "float64" else 1e-5
    # Saturated units' slopes, 1 - a or 1 - a², are known to a rounding of 1: so the scale is that of slopes of 1.
    scale = careless(network).gradient(theta, x, y)
    assert np.isfinite(float(network.loss(theta, x, y)))
    by_hand, automatic = network.gradient(theta, x, y), derivative(lambda t: network.loss(t, x, y), theta)
    assert_close(network, by_hand, automatic, rtol, scale)


def z_grid(dtype):
    return np.concatenate([-np.geomspace(1e4, 1e-3, 200), [0.0], np.geomspace(1e-3, 1e4, 200)]).astype(dtype)[
        :, None
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_slopes_are_right_at_every_z(name, dtype):
    z = z_grid(dtype)
    a = ACTIVATIONS[name].function(z, np)
    slope = ACTIVATIONS[name].derivative(z, a, np)
    wide = z.astype(np.longdouble)
    value, derivative = TRUE[name](wide)
    u = np.finfo(dtype)
    for got, due in ((a, value), (slope, derivative)):
        assert got.dtype == dtype
        assert np.all(np.abs(got - due) <= 32 * u.eps * np.maximum(1, np.abs(due)) + u.tiny)


def true_sigmoid(z):
    return np.exp(np.minimum(z, 0)) / (1 + np.exp(-np.abs(z)))


def true_gelu(z):
    u = np.sqrt(2 / np.longdouble(np.pi)) * (z + 0.044715 * z**3)
    slope = np.sqrt(2 / np.longdouble(np.pi)) * (1 + 3 * 0.044715 * z**2)
    return z * (1 + np.tanh(u)) / 2, (1 + np.tanh(u)) / 2 + z * slope * (1 - np.tanh(u) ** 2) / 2


TRUE = {
    "sigmoid": lambda z: (true_sigmoid(z), true_sigmoid(z) * true_sigmoid(-z)),
    "tanh": lambda z: (np.tanh(z), 1 - np.tanh(z) ** 2),
    "relu": lambda z: (np.maximum(z, 0), (z > 0) * np.longdouble(1)),
    "softplus": lambda z: (np.logaddexp(z, 0), true_sigmoid(z)),
    "gelu": true_gelu,
    "identity": lambda z: (z, np.ones_like(z)),
}


@pytest.mark.parametrize(("dtype", "lowest"), [("float32", -87), ("float64", -708)])
def test_small_numbers_keep_their_relative_accuracy(dtype, lowest):
    z = np.linspace(lowest, 0, 300).astype(dtype)[:, None]
    due = np.exp(z.astype(np.longdouble)) / (1 + np.exp(z.astype(np.longdouble)))
    bound = 8 * np.finfo(dtype).eps
    sigmoid, softplus = ACTIVATIONS["sigmoid"], ACTIVATIONS["softplus"]
    a, s = sigmoid.function(z, np), softplus.function(z, np)
    assert np.all(np.abs(a / due - 1) <= bound)
    assert np.all(np.abs(sigmoid.derivative(z, a, np) / (due * (1 - due)) - 1) <= bound)
    assert np.all(np.abs(softplus.derivative(z, s, np) / due - 1) <= bound)


@pytest.mark.parametrize("objective", LOSSES)
def test_losses_are_finite_and_right_far_out(objective):
    z, y = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]]), np.array([[1.0, 0, 0], [1, 0, 0]])
    due = {
        "sigmoid_cross_entropy": 1e4 + 1e4 + 2 * np.log(2),
        "softmax_cross_entropy": 2e4,
        "squared_error": 0.5 * ((1e4 - 1) ** 2 + 1e8 + (1e4 + 1) ** 2 + 1e8),
    }
    assert LOSSES[objective].value(z, y, np) == pytest.approx(due[objective], rel=1e-15)


def test_predictions_are_probabilities():
    theta, x, _ = example(Network((4, 5, 3)), np, scale=1e4)
    sigmoid = Network((4, 5, 3)).predict(theta, x)
    softmax = Network((4, 5, 3), objective="softmax_cross_entropy").predict(theta, x)
    assert np.all((sigmoid >= 0) & (sigmoid <= 1))
    np.testing.assert_allclose(softmax.sum(axis=1), 1, rtol=1e-15)


# Initial parameters


def test_init_draws_each_layer_on_its_own(xp):
    params = Network((4, 4, 4)).init(seed=3, xp=xp)
    again = Network((4, 4, 4)).init(seed=3, xp=xp)
    np.testing.assert_array_equal(host(params[0].weight), host(again[0].weight))
    assert not np.any(host(params[0].weight) == host(params[1].weight))
    assert not np.any(host(params[0].weight) == host(Network((4, 4, 4)).init(seed=4, xp=xp)[0].weight))
    assert np.all(host(params[0].bias) != 0)


def test_init_with_an_initializer_of_shapes_has_zero_biases():
    first, second = Network((4, 5, 3)).init(he_normal, seed=2)
    np.testing.assert_array_equal(second.weight, he_normal((3, 5), seed=(2, 1)))
    assert not np.any(first.bias)


# Learning


@pytest.mark.parametrize("objective", LOSSES)
def test_plain_gradient_descent_lowers_the_cost(xp, objective):
    x, y, network = *blobs(xp), Network((2, 8, 3), "tanh", objective)
    theta = network.flatten(network.init(seed=1, xp=xp, dtype="float64"))
    first = float(network.loss(theta, x, y))
    for _ in range(60):
        theta = theta - 0.5 * network.gradient(theta, x, y)
    assert float(network.loss(theta, x, y)) < 0.3 * first
    assert (host(network.predict(theta, x)).argmax(1) == host(y).argmax(1)).mean() > 0.95


def blobs(xp):
    rng, labels = np.random.default_rng(0), np.arange(90) % 3
    centres = np.array([[2.0, 0], [-1, 2], [-1, -2]])
    return xp.asarray(centres[labels] + 0.4 * rng.normal(size=(90, 2))), xp.asarray(one_hot(labels, 3))


def test_a_planted_mistake_still_lowers_the_cost_and_is_found():
    from gradproof import check

    x, y, network = *blobs(np), Network((2, 8, 3))
    wrong = careless(network)
    theta = start = network.flatten(network.init(seed=1))
    for _ in range(60):
        theta = theta - 0.5 * wrong.gradient(theta, x, y)
    assert network.loss(theta, x, y) < 0.5 * network.loss(start, x, y)
    assert (
        check(network.loss, start, args=(x, y), grad=wrong.gradient, sources=["numeric", "hand"]).verdict
        is Verdict.DISAGREES
    )
    assert (
        check(network.loss, start, args=(x, y), grad=network.gradient, sources=["numeric", "hand"]).verdict
        is Verdict.AGREES
    )


# Messages


def test_unknown_names_are_met_with_a_suggestion():
    with pytest.raises(
        ValueError, match=r"unknown activation 'sigmod'\. Did you mean 'sigmoid'\? Known: sigmoid, tanh,"
    ):
        Network((3, 5, 3), "sigmod")
    with pytest.raises(
        ValueError, match=r"unknown loss 'hinge'\. Known: sigmoid_cross_entropy, .* a record of your own"
    ):
        Network((3, 5, 3), objective="hinge")


@pytest.mark.parametrize("sizes", [(), (3,), (3, 0, 2), (3, -1)])
def test_bad_sizes(sizes):
    with pytest.raises(
        ValueError, match=r"two or more positive numbers of units, .*; got .* Pass \(3, 5, 3\)"
    ):
        Network(sizes)


def test_sizes_are_whole_numbers():
    with pytest.raises(TypeError, match="integer"):
        Network((3, 2.5, 1))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": np.ones((5, 4))}, r"x has one row per example, shape \(m >= 1, 3\); got \(5, 4\)"),
        ({"x": np.ones(3)}, r"x has one row per example, .*got \(3,\)\. .*one example is a batch of one row"),
        ({"x": np.ones((0, 3))}, r"x has one row per example, shape \(m >= 1, 3\); got \(0, 3\)"),
        ({"y": np.ones((4, 3))}, r"y has one row per example, shape \(5, 3\); got \(4, 3\)"),
        ({"x": np.ones(())}, r"x has one row per example, .*got \(\)"),
        ({"x": [[1.0, 2.0, 3.0]]}, r"x has one row per example, .*got list\. Pass an array"),
        ({"y": np.ones(5)}, r"y has one row per example, shape \(5, 3\); got \(5,\)"),
        ({"params": np.ones(37)}, r"vector theta \(38,\); got \(37,\)\. `init` makes layers"),
        ({"params": np.ones((38, 1))}, r"got \(38, 1\)"),
        ({"params": None}, r"vector theta \(38,\); got NoneType"),
        (
            {"params": ()},
            r"shapes \[\(\(5, 3\), \(5,\)\), \(\(3, 5\), \(3,\)\)\]; got \[\]\. Pass a tuple of Layer",
        ),
        ({"params": (debug_sine(3, 5), debug_sine(5, 3))}, r"got \[\(5, 4\), \(3, 6\)\]"),
        ({"params": (Layer(np.ones((3, 5)), np.ones(5)),) * 2}, r"got \[\(\(3, 5\), \(5,\)\), "),
    ],
)
@pytest.mark.parametrize("method", ["loss", "gradient", "value_and_gradient", "deltas"])
def test_what_does_not_fit_is_refused(method, changed, message):
    network, params, x, y = course()
    inputs = {"params": params, "x": x, "y": y} | changed
    with pytest.raises(ValueError, match=message):
        getattr(network, method)(*inputs.values())


def test_predict_and_flatten_refuse_too():
    network, params, _, _ = course()
    with pytest.raises(ValueError, match=r"x has one row per example"):
        network.predict(params, np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"parameters for sizes \(3, 5, 3\)"):
        network.flatten(params[:1])


def test_a_network_is_a_value():
    assert Network([3, 5, 3]) == Network((3, 5, 3), "sigmoid", LOSSES["sigmoid_cross_entropy"])
    assert dataclasses.replace(Network((3, 5, 3)), activation="tanh") == Network((3, 5, 3), "tanh")
    assert Network((3, 5, 3)).size == 38
    with pytest.raises(dataclasses.FrozenInstanceError):
        Network((3, 5, 3)).sizes = (1, 1)


def test_registered_records_carry_their_own_names():
    for name, record in itertools.chain(ACTIVATIONS.items(), LOSSES.items()):
        assert record.name == name
