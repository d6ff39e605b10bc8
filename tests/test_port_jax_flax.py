"""Modules of Flax as ports: NNX and linen."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gradproof.porting.port import Call, Forced
from gradproof.porting.tap import tap

jax = pytest.importorskip("jax")
pytest.importorskip("flax")
jnp = jax.numpy

import flax.linen as nn  # noqa: E402 -- needs Flax
from flax import nnx  # noqa: E402

from gradproof_flax_port import LinenPort, NnxPort, flax_port_of  # noqa: E402

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 3))
X32 = X.astype(np.float32)
SEED = RNG.normal(size=(4, 3))
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


class Scaled(nnx.Linear):
    """It calls its parent: one call, not two."""

    def __call__(self, x):
        return 2 * super().__call__(x)


class Net(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(3, 5, rngs=rngs), Scaled(5, 3, rngs=rngs)])
        self.norm = nnx.BatchNorm(3, momentum=0.75, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.act = nnx.gelu

    def __call__(self, x):
        for layer in self.layers:
            x = self.act(layer(x))
        return self.head(self.drop(self.norm(x)))

    def head(self, x):
        return tap("last", x * 1.5)


def net():
    return Net(nnx.Rngs(0))


def loss(output, target):
    return jnp.mean((output - target) ** 2)


def snapshot(model):
    """Every leaf of a model of NNX, and the classes of its modules."""
    state = nnx.state(model)
    leaves = [
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        for x in jax.tree.leaves(state)
    ]
    return [np.array(x) for x in leaves], [type(module) for _, module in nnx.iter_modules(model)]


def gradient(model, call, *args):
    """By JAX itself in float64, of the model's parameters cast to float64, by path."""
    with jax.enable_x64(True):

        def widened(x):
            return jnp.asarray(x, jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x

        graphdef, params, rest = nnx.split(model, nnx.Param, ...)
        params, rest = jax.tree.map(widened, params), jax.tree.map(widened, rest)

        def value(params):
            own = jax.tree.map(jnp.asarray, rest)  # variables of another trace cannot be written to
            return call(nnx.merge(graphdef, params, own), *map(jnp.asarray, args))

        slopes = jax.jit(jax.grad(value))(params)
        flat = jax.tree_util.tree_flatten_with_path(slopes)[0]
        return {jax.tree_util.keystr(keys): np.asarray(x) for keys, x in flat}


def test_gradients_and_nodes_of_nnx():
    model = net()
    port = flax_port_of(model, loss=loss)
    found = port.run(Call((X,), (SEED,)))
    due = gradient(model, lambda m, x, y: loss(m(x), y), X, SEED)
    for path, key in {
        "layers[0].kernel": "['layers'][0]['kernel'].value",
        "norm.scale": "['norm']['scale'].value",
    }.items():
        np.testing.assert_allclose(found.gradients[path], due[key], **CLOSE)
    keys = [
        "(whole) input",
        "layers[0] input",
        "layers[0]",
        "layers[1] input",
        "layers[1]",
        "norm input",
        "norm",
    ]
    keys += ["drop input", "drop", "last", "head", "(whole)"]
    assert [node.key for node in found.nodes] == keys
    assert [found.by_key[key].kind for key in ("layers[1]", "norm")] == ["Scaled", "BatchNorm"]
    out = found.outputs["(output)"]
    np.testing.assert_allclose(found.by_key["(whole)"].cotangent, 2 * (out - SEED) / out.size, **CLOSE)
    np.testing.assert_allclose(found.by_key["norm"].cotangent.sum(0), found.gradients["norm.bias"], **CLOSE)


def test_modules_are_described():
    modules = flax_port_of(net()).modules
    assert set(modules) == {"", "layers[0]", "layers[1]", "norm", "drop"}
    assert modules[""].settings["act"] == "gelu"
    assert modules["norm"].kind == "BatchNorm"
    assert modules["norm"].settings["momentum"] == 0.75
    assert modules["norm"].settings["param_dtype"] == "float32"
    assert modules["norm"].settings["use_running_average"] is False


def test_running_statistics_are_buffers_and_come_back_changed():
    port = flax_port_of(net())
    assert set(port.buffers) == {"norm.mean", "norm.var"}
    found = port.run(Call((X,)))
    mean = found.by_key["norm input"].value.mean(0)
    np.testing.assert_allclose(found.buffers["norm.mean"], 0.25 * mean, **CLOSE)
    assert not port.buffers["norm.mean"].any()


def test_runs_are_the_same_and_the_callers_model_never_changes():
    model = net()
    before, classes = snapshot(model)
    port = flax_port_of(model, loss=loss)
    first, second = (port.run(Call((X,), (SEED,), double=False)) for _ in range(2))
    np.testing.assert_array_equal(first.outputs["(output)"], second.outputs["(output)"])
    assert (first.outputs["(output)"] == 0).any()  # dropout was on
    after, still = snapshot(model)
    assert classes == still
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_call_that_raises_leaves_everything_as_it_was():
    model = net()
    before, classes = snapshot(model)

    def failing(model, x):
        model(x)
        raise RuntimeError("no")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"):
            flax_port_of(model, call=failing).run(Call((X,)))
    after, still = snapshot(model)
    assert classes == still
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    assert not jax.config.jax_enable_x64


def test_forcing_every_node_makes_each_stretch_local():
    port = flax_port_of(net(), loss=loss)
    first = port.run(Call((X,), (SEED,)))
    everything = {node.key: Forced(node.value, node.cotangent) for node in first.nodes}
    again = port.run(Call((X,), (SEED,), forced=everything))
    for node in first.nodes:
        np.testing.assert_allclose(again.by_key[node.key].value, node.value, **CLOSE)
        np.testing.assert_allclose(again.by_key[node.key].cotangent, node.cotangent, **CLOSE)
    for path, slope in first.gradients.items():
        np.testing.assert_allclose(again.gradients[path], slope, **CLOSE)
    doubled = {**port.parameters, **port.buffers, "layers[0].bias": port.parameters["layers[0].bias"] + 1}
    local = port.run(Call((X,), (SEED,), forced=everything, parameters=doubled))
    changed = [n.key for n in first.nodes if not np.allclose(local.by_key[n.key].value, n.value)]
    assert changed == ["layers[0]"]
    moved = [n.key for n in first.nodes if not np.allclose(local.by_key[n.key].cotangent, n.cotangent)]
    assert moved == []


class Decorated(nnx.Module):
    """Methods of every sort."""

    def __init__(self, rngs):
        self.linear = nnx.Linear(3, 3, rngs=rngs)

    @nnx.jit
    def __call__(self, x):
        return self.encode(self.twice(self.named(x)) + self.width)

    @nnx.remat
    def encode(self, x):
        return self.linear(x)

    @staticmethod
    def twice(x):
        return 2 * x

    @classmethod
    def named(cls, x):
        assert cls.__name__ == "Decorated"
        return x

    @property
    def width(self):
        return 3


def test_methods_may_be_transformed_or_belong_to_the_class():
    found = flax_port_of(Decorated(nnx.Rngs(0))).run(Call((X,), seeds=(SEED,)))
    assert [node.key for node in found.nodes] == [
        "(whole) input",
        "linear input",
        "linear",
        "encode",
        "(whole)",
    ]
    np.testing.assert_allclose(found.gradients["linear.kernel"], (2 * X + 3).T @ SEED, **CLOSE)


class Tied(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(7, 4, rngs=rngs)
        self.again = self.embed
        self.table = self.embed.embedding

    def __call__(self, tokens):
        return self.embed.attend(self.again(tokens)) + self.table.sum()


def test_shared_parameters_have_one_path_and_attend_is_seen():
    model = Tied(nnx.Rngs(0))
    port = flax_port_of(model)
    assert len(port.parameters) == 1
    (path,) = port.parameters
    others = {"embed.embedding", "again.embedding", "table"} - {path}
    assert port.shared == dict.fromkeys(others, path)
    tokens = np.array([1, 5])
    found = port.run(Call((tokens,), seeds=(np.ones((2, 7)),)))
    (key,) = [node.key for node in found.nodes if node.key.endswith(".attend")]
    assert found.by_key[key].role == "output"
    model.embed.dtype = jnp.float64  # which Embed takes from its parameters when it is made, and keeps
    due = gradient(model, lambda m, t: m(t).sum(), tokens)
    np.testing.assert_allclose(found.gradients[path], *due.values(), **CLOSE)


class Wrapped(nnx.Module):
    """Layers under the transformations of NNX."""

    def __init__(self, rngs):
        self.jitted = nnx.Linear(3, 3, rngs=rngs)
        self.remat = nnx.Linear(3, 3, rngs=rngs)
        self.mapped = nnx.Linear(3, 3, rngs=rngs)

        @nnx.vmap(in_axes=0, out_axes=0)
        def make(key):
            return nnx.Linear(3, 3, rngs=nnx.Rngs(key))

        self.stack = make(jax.random.split(jax.random.key(1), 4))

    def __call__(self, x):
        x = nnx.jit(lambda m, x: m(x))(self.jitted, jnp.sin(x))
        x = nnx.remat(lambda m, x: m(x))(self.remat, jnp.sin(x))
        x = nnx.vmap(lambda m, x: m(x), in_axes=(None, 0))(self.mapped, jnp.sin(x))
        step = nnx.scan(lambda x, m: jnp.sin(m(x)), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        return step(x, self.stack)


def test_modules_inside_transformations_of_nnx():
    model = Wrapped(nnx.Rngs(0))
    model(jnp.ones((4, 3)))  # whatever was traced before has no taps
    found = flax_port_of(model).run(Call((X,), seeds=(SEED,)))
    outputs = [node for node in found.nodes if node.role == "output"]
    keys = ["jitted", "remat", "mapped", "stack", "stack#2", "stack#3", "stack#4", "(whole)"]
    assert [node.key for node in outputs] == keys
    assert {node.value.shape for node in outputs} == {(4, 3)}
    due = gradient(model, lambda m, x, s: (m(x) * s).sum(), X, SEED)
    for name in ("jitted", "remat", "mapped", "stack"):
        np.testing.assert_allclose(
            found.gradients[f"{name}.kernel"], due[f"['{name}']['kernel'].value"], **CLOSE
        )
    np.testing.assert_allclose(
        found.by_key["mapped"].cotangent.sum(0), found.gradients["mapped.bias"], **CLOSE
    )
    np.testing.assert_allclose(
        found.by_key["stack#3"].cotangent.sum(0), found.gradients["stack.bias"][2], **CLOSE
    )


@pytest.mark.parametrize("cell", [nnx.LSTMCell, nnx.GRUCell])
def test_recurrent_cells_run_in_float64(cell):
    model = nnx.RNN(cell(3, 5, rngs=nnx.Rngs(0)))
    x = RNG.normal(size=(2, 4, 3))
    found = flax_port_of(model).run(Call((x,), seeds=(np.ones((2, 4, 5)),)))
    own = flax_port_of(model).run(Call((x,), seeds=(np.ones((2, 4, 5)),), double=False))
    assert found.dtypes == {"(output)": "float64"}
    flat = nnx.to_flat_state(
        nnx.state(nnx.jit(nnx.grad(lambda m: m(jnp.asarray(x, jnp.float32)).sum()))(model))
    )
    for keys, slope in flat:
        path = ".".join(map(str, keys))
        np.testing.assert_allclose(found.gradients[path], slope.get_value(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.gradients[path], own.gradients[path], rtol=1e-4, atol=1e-5)
    assert {node.name for node in found.nodes} >= {"", "cell"}


@pytest.mark.parametrize(("dtype", "seen"), [(jnp.float32, "float64"), (jnp.bfloat16, "bfloat16")])
def test_a_layer_computes_in_float64_unless_it_insists_on_a_shorter_dtype_than_its_own(dtype, seen):
    model = nnx.Linear(3, 3, dtype=dtype, rngs=nnx.Rngs(0))
    found = flax_port_of(model).run(Call((X,), seeds=(SEED,)))
    assert found.by_key["(whole)"].dtype == seen


def test_ports_run_in_two_threads_at_once():
    model = net()
    model.eval()  # what dropout draws depends on the precision
    port, other = flax_port_of(model, loss=loss), flax_port_of(model, loss=loss)
    due = port.run(Call((X,), (SEED,)))
    with ThreadPoolExecutor(2) as pool:
        calls = [(port, True), (other, False), (other, True), (port, False)]
        runs = list(pool.map(lambda c: c[0].run(Call((X,), (SEED,), double=c[1])), calls))
    for (_, double), found in zip(calls, runs, strict=True):
        assert found.dtypes["(output)"] == ("float64" if double else "float32")
        np.testing.assert_allclose(found.loss, due.loss, rtol=1e-12 if double else 1e-5)


class Block(nn.Module):
    act: object = nn.silu

    @nn.compact
    def __call__(self, x):
        x = self.act(nn.Dense(5)(x))
        x = nn.remat(nn.Dense)(3, name="down")(x)
        return nn.BatchNorm(use_running_average=False, momentum=0.75, name="norm")(x)


class Doubled(nn.Dense):
    @nn.compact
    def __call__(self, x):
        return 2 * super().__call__(x)


class Linen(nn.Module):
    def setup(self):
        self.embed = nn.Embed(7, 3)
        self.block = Block()
        self.head = Doubled(3)

    def __call__(self, tokens):
        return self.embed.attend(self.head(self.block(self.embed(tokens))))


def updating(module, variables, *inputs):
    return module.apply(variables, *inputs, mutable=["batch_stats"])


def test_gradients_nodes_and_buffers_of_linen():
    model, tokens = Linen(), np.array([[1, 5, 2], [0, 0, 6]])
    variables = jax.jit(model.init)(jax.random.key(0), tokens)
    port = flax_port_of(model, variables, call=updating)
    found = port.run(Call((tokens,), seeds=(np.ones((2, 3, 7)),), double=True))
    keys = ["embed", "block input", "block.Dense_0 input", "block.Dense_0", "block.down input", "block.down"]
    keys += ["block.norm input", "block.norm", "block", "head input", "head", "embed.attend", "(whole)"]
    assert [node.key for node in found.nodes] == keys
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), variables)
        due = jax.jit(jax.grad(lambda p: updating(model, {**wide, "params": p}, tokens)[0].sum()))(
            wide["params"]
        )
    for path, slope in found.gradients.items():
        at = due
        for part in path.split("."):
            at = at[part]
        np.testing.assert_allclose(slope, at, **CLOSE)
    assert set(port.buffers) == {"block.norm.mean", "block.norm.var"}
    mean = found.by_key["block.norm input"].value.mean((0, 1))
    np.testing.assert_allclose(found.buffers["block.norm.mean"], 0.25 * mean, **CLOSE)
    assert list(found.outputs) == ["(output)"]
    assert port.modules["block"].settings == {"act": "silu"}
    assert port.modules["block.norm"].settings["momentum"] == 0.75
    assert not np.any(variables["batch_stats"]["block"]["norm"]["mean"])


def test_linen_without_a_call_is_applied():
    model = nn.Dense(3)
    variables = model.init(jax.random.key(0), X32)
    found = flax_port_of(model, variables).run(Call((X,), seeds=(SEED,)))
    np.testing.assert_allclose(found.gradients["kernel"], X.T @ SEED, **CLOSE)
    assert [node.key for node in found.nodes] == ["(whole) input", "(whole)"]


class Recurrent(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.RNN(nn.LSTMCell(4))(x)


def test_recurrent_cells_of_linen_run_in_float64():
    model, x = Recurrent(), RNG.normal(size=(2, 3, 3)).astype(np.float32)
    variables = jax.jit(model.init)(jax.random.key(0), x)
    found = flax_port_of(model, variables).run(Call((x,), seeds=(np.ones((2, 3, 4)),)))
    assert found.dtypes == {"(output)": "float64"}
    due = jax.jit(jax.grad(lambda p: model.apply({"params": p}, x).sum()))(variables["params"])
    np.testing.assert_allclose(
        found.gradients["LSTMCell_0.hf.kernel"], due["LSTMCell_0"]["hf"]["kernel"], rtol=1e-4, atol=1e-5
    )


def test_doors_say_what_is_due():
    with pytest.raises(TypeError, match=r"flax_port\(model, variables\)"):
        flax_port_of(nn.Dense(3))
    with pytest.raises(TypeError, match=r"flax_port\(model\)"):
        flax_port_of(net(), {})
    with pytest.raises(TypeError, match="not a int"):
        flax_port_of(3)
    with pytest.raises(TypeError, match="collection 'params'"):
        flax_port_of(nn.Dense(3), {"kernel": X})
    assert isinstance(flax_port_of(net()), NnxPort)
    assert isinstance(flax_port_of(nn.Dense(3), nn.Dense(3).init(jax.random.key(0), X32)), LinenPort)
