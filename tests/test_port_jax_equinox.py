"""Modules of Equinox as ports."""

import numpy as np
import pytest

from gradproof.porting.port import Call, Forced

jax = pytest.importorskip("jax")
eqx = pytest.importorskip("equinox")
jnp = jax.numpy

from gradproof_equinox_port import EquinoxPort  # noqa: E402 -- needs Equinox

RNG = np.random.default_rng(4)
X = RNG.normal(size=(5, 3))
SEED = RNG.normal(size=(5, 2))
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


class Net(eqx.Module):
    mlp: eqx.nn.MLP
    layers: list
    cell: eqx.nn.GRUCell
    norm: eqx.nn.LayerNorm
    width: int = eqx.field(static=True)

    def __init__(self, key):
        self.mlp = eqx.nn.MLP(3, 4, 6, 1, key=key)
        self.layers = [eqx.nn.Linear(4, 4, key=key), eqx.nn.Lambda(jnp.tanh)]
        self.cell = eqx.nn.GRUCell(4, 2, key=key)
        self.norm = eqx.nn.LayerNorm(4, eps=1e-3)
        self.width = 4

    @eqx.filter_jit
    def __call__(self, x):
        x = self.norm(self.mlp(x))
        for layer in self.layers:
            x = eqx.filter_jit(layer)(x)
        return jax.lax.scan(
            lambda h, row: (self.cell(row, h), None), jnp.zeros(2, x.dtype), jnp.stack([x, x])
        )[0]


def batched(model, x):
    return jax.vmap(model)(x)


def widened(tree):
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float64) if eqx.is_inexact_array(x) else x, tree)


def test_gradients_and_nodes_have_the_batch_in_front():
    model = Net(jax.random.key(0))
    eqx.filter_jit(batched)(model, jnp.ones((5, 3)))
    port = EquinoxPort(model, call=batched)
    found = port.run(Call((X,), seeds=(SEED,)))
    with jax.enable_x64(True):
        due = eqx.filter_jit(eqx.filter_grad(lambda m: (batched(m, jnp.asarray(X)) * SEED).sum()))(
            widened(model)
        )
    np.testing.assert_allclose(found.gradients["mlp.layers[0].weight"], due.mlp.layers[0].weight, **CLOSE)
    np.testing.assert_allclose(found.gradients["layers[0].bias"], due.layers[0].bias, **CLOSE)
    np.testing.assert_allclose(found.gradients["cell.weight_hh"], due.cell.weight_hh, **CLOSE)
    np.testing.assert_allclose(found.by_key["layers[0]"].cotangent.sum(0), due.layers[0].bias, **CLOSE)
    outputs = [node for node in found.nodes if node.role == "output"]
    keys = [
        "mlp.layers[0]",
        "mlp.layers[1]",
        "mlp",
        "norm",
        "layers[0]",
        "layers[1]",
        "cell",
        "cell#2",
        "(whole)",
    ]
    assert [node.key for node in outputs] == keys
    assert {node.value.shape[0] for node in outputs} == {5}
    assert type(model.layers[0]) is eqx.nn.Linear


def test_forcing_every_node_changes_nothing():
    port = EquinoxPort(Net(jax.random.key(0)), call=batched)
    first = port.run(Call((X,), seeds=(SEED,)))
    forced = {node.key: Forced(node.value, node.cotangent) for node in first.nodes}
    again = port.run(Call((X,), seeds=(SEED,), forced=forced))
    for path, slope in first.gradients.items():
        np.testing.assert_allclose(again.gradients[path], slope, **CLOSE)
    for node in first.nodes:
        np.testing.assert_allclose(again.by_key[node.key].cotangent, node.cotangent, **CLOSE)


def test_modules_are_described_and_gradients_of_one_example_need_no_call():
    port = EquinoxPort(Net(jax.random.key(0)))
    assert port.modules["norm"].kind == "LayerNorm"
    assert port.modules["norm"].settings["eps"] == 1e-3
    assert port.modules[""].settings == {"width": 4}
    assert port.framework == "equinox"
    found = port.run(Call((X[0],), seeds=(SEED[0],), double=False))
    assert found.by_key["mlp"].value.shape == (4,)
    assert found.dtypes == {"(output)": "float32"}


class Normed(eqx.Module):
    linear: eqx.nn.Linear
    norm: eqx.nn.BatchNorm

    def __init__(self, key):
        self.linear = eqx.nn.Linear(3, 2, key=key)
        self.norm = eqx.nn.BatchNorm(2, "batch", mode="ema", momentum=0.75)

    def __call__(self, x, state):
        return self.norm(self.linear(x), state)


def with_state(model, state, x):
    return jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)


@pytest.mark.parametrize("double", [True, False])
def test_a_state_holds_buffers(double):
    model, state = eqx.nn.make_with_state(Normed)(jax.random.key(0))
    port = EquinoxPort((model, state), call=with_state)
    assert set(port.buffers) == {"norm.ema_state_index[0]", "norm.ema_state_index[1]"}
    found = port.run(Call((X,), seeds=(SEED,), double=double))
    hidden = found.by_key["linear"].value
    np.testing.assert_allclose(found.buffers["norm.ema_state_index[0]"], hidden.mean(0), rtol=1e-5, atol=1e-6)
    shifted = port.run(Call((X,), seeds=(SEED,), double=double))
    np.testing.assert_array_equal(found.outputs["(output)"], shifted.outputs["(output)"])
    assert state.get(model.norm.ema_state_index)[0].dtype == jnp.float32


def test_a_state_may_be_held_by_the_call_in_inference():
    model, state = eqx.nn.make_with_state(Normed)(jax.random.key(0))
    _, state = with_state(model, state, jnp.asarray(X, jnp.float32))
    model = eqx.nn.inference_mode(model)
    port = EquinoxPort(model, call=lambda m, x: with_state(m, state, x)[0])
    found = port.run(Call((X,), seeds=(SEED,)))
    np.testing.assert_allclose(
        found.outputs["(output)"], with_state(model, state, jnp.asarray(X, jnp.float32))[0], atol=1e-5
    )


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match="not a int"):
        EquinoxPort(3)
    model, state = eqx.nn.make_with_state(Normed)(jax.random.key(0))
    with pytest.raises(TypeError, match=r"returns \(output, state\)"):
        EquinoxPort((model, state), call=lambda m, s, x: with_state(m, s, x)[0]).run(Call((X,)))
