"""The numeric gradient of the reference network by structured perturbation: the course's loop, to rounding, and far sooner."""

import numpy as np
import pytest

from gradproof.losses import Loss
from gradproof.network import Network
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


def test_many_blocks_give_the_same_as_one(monkeypatch):
    network, theta, x, y = setting((9, 8, 3), LOSSES[1])
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
