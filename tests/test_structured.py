"""The numeric gradient of the reference network by structured perturbation: the course's loop, to rounding, and far sooner."""

import numpy as np
import pytest

from gradproof import structured
from gradproof.losses import Loss
from gradproof.network import Layer, Network
from gradproof.numeric import central_difference
from gradproof.structured import structured_gradient

LOSSES = ["sigmoid_cross_entropy", "softmax_cross_entropy", "squared_error"]
SIZES = [(3, 5, 3), (4, 3), (4, 6, 5, 3), (2, 3, 3, 4, 20)]


def setting(sizes, objective, activation="sigmoid", m=7, seed=0):
    network = Network(sizes, activation, objective)
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(m, sizes[0])), np.eye(sizes[-1])[rng.integers(0, sizes[-1], m)]
    return network, network.flatten(network.init(seed=seed)), x, y


@pytest.mark.parametrize("objective", LOSSES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_it_equals_the_loop(sizes, objective):
    network, theta, x, y = setting(sizes, objective)
    loop = central_difference(lambda t: network.loss(t, x, y, 0.7), theta)
    fast = structured_gradient(network, theta, x, y, 0.7)
    assert np.linalg.norm(fast - loop) < 1e-9 * np.linalg.norm(loop)


@pytest.mark.parametrize("activation", ["tanh", "softplus", "gelu", "identity"])
def test_every_smooth_activation(activation):
    network, theta, x, y = setting((4, 6, 5, 3), "softmax_cross_entropy", activation)
    right = network.gradient(theta, x, y, 0.3)
    assert np.linalg.norm(structured_gradient(network, theta, x, y, 0.3) - right) < 1e-7 * np.linalg.norm(
        right
    )


def test_it_comes_in_the_form_of_the_params_and_changes_nothing():
    network, theta, x, y = setting((3, 5, 3), LOSSES[0])
    params = network.unflatten(theta)
    before = theta.copy(), x.copy(), y.copy()
    layers = structured_gradient(network, params, x, y)
    assert [layer.weight.shape for layer in layers] == [(5, 3), (3, 5)]
    np.testing.assert_array_equal(network.flatten(layers), structured_gradient(network, theta, x, y))
    for now, then in zip((theta, x, y), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.fixture
def one_by_one(monkeypatch):
    """Units of which every step was evaluated."""
    units = []
    column = structured._Column
    inner = column._one_by_one

    def noted(self, unit):
        units.append(unit)
        return inner(self, unit)

    monkeypatch.setattr(column, "_one_by_one", noted)
    return units


def test_a_kink_among_the_steps_is_not_interpolated(one_by_one):
    """relu, with a unit whose sum is so near 0 that some weights push it over and others do not."""
    network, theta, x, y = setting((3, 5, 3), LOSSES[0], "relu")
    (weight, bias), last = network.unflatten(theta)
    bias = bias.copy()
    bias[2] -= weight[2] @ x[4] + bias[2] - 4e-5
    theta = network.flatten([Layer(weight, bias), last])
    loop = central_difference(lambda t: network.loss(t, x, y), theta)
    fast = structured_gradient(network, theta, x, y)
    assert one_by_one == [2]
    assert np.linalg.norm(fast - loop) < 1e-9 * np.linalg.norm(loop)


def test_long_steps_are_not_interpolated(one_by_one):
    network, theta, x, y = setting((3, 5, 3), LOSSES[0])
    x = 1e4 * x
    loop = central_difference(lambda t: network.loss(t, x, y), theta)
    fast = structured_gradient(network, theta, x, y)
    assert one_by_one == [0, 1, 2, 3, 4]  # of the first layer: what goes into the second is no longer than 1
    assert np.linalg.norm(fast - loop) < 1e-9 * np.linalg.norm(loop)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus", "gelu", "identity", "relu"])
@pytest.mark.parametrize("objective", LOSSES)
def test_losses_without_kinks_are_interpolated(one_by_one, activation, objective):
    network, theta, x, y = setting((6, 7, 5, 4), objective, activation)
    theta, x = 8.0 * theta, 30.0 * x
    loop = central_difference(lambda t: network.loss(t, x, y), theta)
    fast = structured_gradient(network, theta, x, y)
    assert one_by_one == []
    assert np.linalg.norm(fast - loop) < 1e-9 * np.linalg.norm(loop)


def test_many_blocks_give_the_same_as_one(monkeypatch):
    network, theta, x, y = setting((9, 8, 3), LOSSES[1])
    monkeypatch.setattr("gradproof.structured.LONGEST", 0.0)
    whole = structured_gradient(network, theta, x, y)
    monkeypatch.setattr("gradproof.structured.BLOCK", 64)
    np.testing.assert_allclose(structured_gradient(network, theta, x, y), whole, rtol=0, atol=1e-11)


@pytest.mark.parametrize("objective", LOSSES)
def test_saturated_logits_do_not_overflow(objective):
    network, theta, x, y = setting((3, 4, 3), objective)
    theta = 400.0 * theta
    with np.errstate(all="raise", under="ignore"):
        fast = structured_gradient(network, theta, x, y)
    loop = central_difference(lambda t: network.loss(t, x, y), theta)
    assert np.linalg.norm(fast - loop) < 1e-6 * max(np.linalg.norm(loop), 1.0)


def test_what_cannot_be_done_is_refused():
    network, theta, x, y = setting((3, 5, 3), LOSSES[0])
    with pytest.raises(ValueError, match="step is a positive number; got 0"):
        structured_gradient(network, theta, x, y, step=0)
    own = Loss("hinge", lambda z, y, xp: xp.sum(z), lambda z, y, xp: z, lambda z, xp: z)
    with pytest.raises(ValueError, match="unknown loss 'hinge'"):
        structured_gradient(Network((3, 5, 3), objective=own), theta, x, y)
