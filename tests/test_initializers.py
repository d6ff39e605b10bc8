"""Initializers: the course's numbers, the papers' variances, one seed in every framework, and broken symmetry."""

import math

import numpy as np
import pytest

from conftest import host
from gradproof import initializers
from gradproof.initializers import (
    SymmetricUnits,
    constant,
    debug_sine,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    orthogonal,
    random_uniform,
    symmetric_units,
    zeros,
)
from gradproof.network import Layer, Network

BY_SHAPE = (
    glorot_uniform,
    glorot_normal,
    he_uniform,
    he_normal,
    lecun_uniform,
    lecun_normal,
    orthogonal,
)
SHAPE = (60, 40, 3, 3)
FAN_IN, FAN_OUT = 40 * 9, 60 * 9
VARIANCE = {
    glorot_uniform: 2 / (FAN_IN + FAN_OUT),
    glorot_normal: 2 / (FAN_IN + FAN_OUT),
    he_uniform: 2 / FAN_IN,
    he_normal: 2 / FAN_IN,
    lecun_uniform: 1 / FAN_IN,
    lecun_normal: 1 / FAN_IN,
}


def named(initializer):
    return initializer.__name__


# The course's


def test_debug_sine_is_the_course_s_column_by_column(xp):
    weights = debug_sine(3, 5, xp=xp)
    assert weights.shape == (5, 4)
    # Octave: reshape(sin(1:20), 5, 4) / 10
    np.testing.assert_allclose(
        host(weights)[:2],
        [[0.0841, -0.0279, -0.1000, -0.0288], [0.0909, 0.0657, -0.0537, -0.0961]],
        atol=6e-5,
    )
    assert host(weights)[4, 3] == np.sin(20) / 10


def test_random_uniform_fills_the_course_s_interval():
    weights = random_uniform(400, 25)
    assert weights.shape == (25, 401)
    assert 0.119 < weights.max() <= 0.12
    assert -0.12 <= weights.min() < -0.119
    assert abs(weights.mean()) < 0.005
    assert weights.std() == pytest.approx(0.12 / math.sqrt(3), rel=0.03)


def test_random_uniform_takes_its_epsilon():
    np.testing.assert_allclose(random_uniform(4, 3, 0.24), 2 * random_uniform(4, 3), rtol=1e-15)


# One seed, one set of numbers


def drawn(initializer, **options):
    return initializer(3, 4, **options) if initializer is random_uniform else initializer((4, 3), **options)


@pytest.mark.parametrize("initializer", [random_uniform, *BY_SHAPE], ids=named)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_seed_is_one_set_of_numbers_in_every_framework(xp, initializer, dtype):
    here, expected = drawn(initializer, seed=7, xp=xp, dtype=dtype), drawn(initializer, seed=7).astype(dtype)
    assert host(here).dtype == dtype
    np.testing.assert_array_equal(host(here), expected)


def test_a_dtype_may_be_the_namespace_s_own(xp):
    assert he_normal((4, 3), xp=xp, dtype=xp.float32).dtype == xp.float32


def test_the_device_is_handed_over():
    torch = pytest.importorskip("torch")
    assert he_normal((4, 3), xp=torch, device="meta").device.type == "meta"


@pytest.mark.parametrize("initializer", [random_uniform, *BY_SHAPE], ids=named)
def test_another_seed_is_another_set(initializer):
    assert not np.any(drawn(initializer, seed=1) == drawn(initializer, seed=2))


def test_the_global_generator_is_neither_read_nor_moved():
    np.random.seed(5)
    first, before = he_normal((4, 3)), np.random.get_state()[1].copy()
    np.random.seed(6)
    np.testing.assert_array_equal(he_normal((4, 3)), first)
    np.random.seed(5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


# The papers'


@pytest.mark.parametrize("initializer", VARIANCE, ids=named)
def test_variance(initializer):
    weights = initializer(SHAPE)
    # The standard error of the variance of n normal numbers is sqrt(2/n) = 1 % here.
    assert weights.shape == SHAPE
    assert weights.var() == pytest.approx(VARIANCE[initializer], rel=0.04)
    assert abs(weights.mean()) < 4 * math.sqrt(VARIANCE[initializer] / weights.size)


@pytest.mark.parametrize("initializer", [glorot_uniform, he_uniform, lecun_uniform], ids=named)
def test_uniform_ones_end_at_their_limit(initializer):
    limit = math.sqrt(3 * VARIANCE[initializer])
    assert 0.99 * limit < abs(initializer(SHAPE)).max() <= limit


@pytest.mark.parametrize("initializer", [glorot_normal, he_normal, lecun_normal], ids=named)
def test_normal_ones_have_tails(initializer):
    assert abs(initializer(SHAPE)).max() > 3 * math.sqrt(VARIANCE[initializer])


@pytest.mark.parametrize("initializer", [glorot_uniform, glorot_normal, orthogonal], ids=named)
def test_gain_multiplies(initializer):
    np.testing.assert_allclose(initializer((4, 3), gain=2.0), 2 * initializer((4, 3)), rtol=1e-14)


@pytest.mark.parametrize("initializer", [he_uniform, he_normal], ids=named)
def test_the_default_gain_of_he_is_that_of_relu(initializer):
    np.testing.assert_allclose(initializer((4, 3), gain=math.sqrt(2)), initializer((4, 3)), rtol=1e-15)


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5), (6, 2, 2), (3, 2, 2, 2)])
def test_orthogonal_is(shape):
    matrix = orthogonal(shape, gain=3.0).reshape(shape[0], -1)
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(gram, 9 * np.eye(len(gram)), atol=1e-13)


def test_orthogonal_prefers_no_sign():
    # A QR factor as it comes has a diagonal of one sign; a uniform one has none.
    signs = [np.sign(orthogonal((3, 3), seed=seed)[0, 0]) for seed in range(60)]
    assert 15 < signs.count(1.0) < 45


def test_zeros_and_constant(xp):
    np.testing.assert_array_equal(host(zeros((3,), xp=xp, dtype="float32")), np.zeros(3, "float32"))
    np.testing.assert_array_equal(host(constant((2, 3), value=2, xp=xp)), np.full((2, 3), 2.0))


# Messages


@pytest.mark.parametrize("initializer", BY_SHAPE, ids=named)
def test_a_weight_has_two_axes(initializer):
    with pytest.raises(
        ValueError, match=r"two axes \(out, in\); got shape \(3,\)\. For a bias use zeros\(\(3,\)\)\."
    ):
        initializer((3,))


def test_a_weight_has_no_empty_axis():
    with pytest.raises(ValueError, match=r"no empty axis; got shape \(3, 0\)\. Pass positive integers"):
        he_normal((3, 0))


@pytest.mark.parametrize("initializer", [random_uniform, debug_sine], ids=named)
def test_a_layer_has_inputs_and_units(initializer):
    with pytest.raises(ValueError, match=r"at least one input and one unit; got fan_in=0, fan_out=3"):
        initializer(0, 3)


# Symmetry


def constant_03(shape, **options):
    return constant(shape, value=0.3, **options)


def test_zero_and_constant_weights_make_all_hidden_units_symmetric(xp):
    whole = (SymmetricUnits(0, (0, 1, 2, 3)), SymmetricUnits(1, (0, 1, 2)))
    network = Network((2, 4, 3, 2))
    assert symmetric_units(network.init(zeros, xp=xp)) == whole
    assert symmetric_units(network.init(constant_03, xp=xp)) == whole
    assert symmetric_units(network.init(random_uniform, xp=xp)) == ()


def test_groups_are_told_apart_and_matrices_of_the_course_will_do(xp):
    hidden = xp.asarray([[0.1, 1.0, 2.0], [0.2, 1.0, 2.0], [0.1, 1.0, 2.0], [0.2, 1.0, 2.0], [0.1, 9.0, 2.0]])
    output = xp.asarray([[0.5, 3.0, 4.0, 3.0, 4.0, 3.0]])
    assert symmetric_units([hidden, output]) == (SymmetricUnits(0, (0, 2)), SymmetricUnits(0, (1, 3)))


@pytest.mark.parametrize("spoiled", ["weight", "bias", "outgoing"])
def test_one_different_number_breaks_the_symmetry(spoiled):
    leaves = {"weight": np.ones((2, 3)), "bias": np.ones(2), "outgoing": np.ones((1, 2))}
    leaves[spoiled][-1] = leaves[spoiled][-1] + ([0.0, 1e-12] if spoiled == "outgoing" else 1e-12)
    layers = (Layer(leaves["weight"], leaves["bias"]), Layer(leaves["outgoing"], np.ones(1)))
    assert symmetric_units(layers) == ()


def trained(initializer, steps=200):
    """A 2-4-2 network after gradient descent: the first output learns "and", the second "exclusive or"."""
    network = Network((2, 4, 2))
    x, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0, 0], [0, 1], [0, 1], [1, 0]])
    theta = start = network.flatten(network.init(initializer, seed=3))
    for _ in range(steps):
        theta = theta - 2.0 * network.gradient(theta, x, y)
    assert network.loss(theta, x, y) <= network.loss(start, x, y)
    assert np.any(theta != start)
    return network.unflatten(theta)


@pytest.mark.parametrize("initializer", [zeros, constant_03], ids=named)
def test_symmetric_units_stay_identical_in_training(initializer):
    params = trained(initializer)
    assert symmetric_units(params) == (SymmetricUnits(0, (0, 1, 2, 3)),)


def test_random_units_go_their_own_ways():
    params = trained(lambda fan_in, fan_out, **options: random_uniform(fan_in, fan_out, 1.0, **options))
    rows = np.column_stack([params[0].bias, params[0].weight])
    gaps = [abs(rows[i] - rows[j]).max() for i in range(4) for j in range(i)]
    assert symmetric_units(params) == ()
    assert min(gaps) > 0.1


def test_every_public_initializer_is_listed():
    public = {
        name
        for name, thing in vars(initializers).items()
        if getattr(thing, "__module__", "") == initializers.__name__
    }
    assert {name for name in public if not name.startswith("_")} == set(initializers.__all__)
