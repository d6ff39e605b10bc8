"""What a port is of, with other parameters: run by hand in its framework it is the reference."""

import copy
import re

import numpy as np
import pytest

from gradproof import compare, record, transfer
from gradproof.porting.doors import equinox_port, flax_port, function_port, torch_port
from gradproof.porting.layouts.layout import Layout, Move, Piece
from gradproof.porting.port import Call, NotRunnableError
from gradproof.porting.recording.files import read_port

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
nnx = pytest.importorskip("flax.nnx")
linen = pytest.importorskip("flax.linen")
eqx = pytest.importorskip("equinox")
jnp = jax.numpy

RNG = np.random.default_rng(5)
X = RNG.normal(size=(6, 4)).astype(np.float32)
TOKENS = np.array([[0, 3, 6, 2]])
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # one forward pass in float32; other weights differ by about 1


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.norm, self.down = torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3)
        for x in (self.norm.running_mean, self.norm.bias, self.norm.running_var, self.norm.weight):
            x.data = torch.rand(8) + 0.5

    def forward(self, x):
        return self.down(torch.relu(self.norm(self.up(x))))


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)])
        self.norm = nnx.BatchNorm(8, use_running_average=True, rngs=rngs)

    def __call__(self, x):
        return self.layers[1](nnx.relu(self.norm(self.layers[0](x))))


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.BatchNorm(use_running_average=True, epsilon=1e-5)(linen.Dense(8)(x))
        return linen.Dense(3)(linen.relu(x))


class Eqx(eqx.Module):
    layers: list
    norm: eqx.nn.BatchNorm

    def __init__(self, key):
        self.layers = [eqx.nn.Linear(4, 8, key=key), eqx.nn.Linear(8, 3, key=key)]
        self.norm = eqx.nn.BatchNorm(8, "batch", mode="batch", inference=True)

    def __call__(self, x, state):
        x, state = self.norm(self.layers[0](x), state)
        return self.layers[1](jax.nn.relu(x)), state


def batched(model, state, x):
    return jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)


def fun(params, x):
    one, norm, two = params["one"], params["norm"], params["two"]
    h = (x @ one["w"] + one["b"] - norm["mean"]) / (norm["var"] + 1e-5) ** 0.5 * norm["scale"] + norm["bias"]
    return (h * (h > 0)) @ two["w"] + two["b"]


def tree(of):
    shapes = {"one": {"w": (4, 8), "b": 8}, "norm": dict.fromkeys(("scale", "bias", "mean", "var"), 8)}
    shapes["two"] = {"w": (8, 3), "b": 3}
    made = np.random.default_rng(6)
    return {
        name: {leaf: of(made.uniform(0.5, 1.5, shape).astype(np.float32)) for leaf, shape in leaves.items()}
        for name, leaves in shapes.items()
    }


BUFFERS = ["norm.mean", "norm.var"]


def made(kind):
    """What the port is of, the port, and how it is run by hand."""
    if kind == "torch":
        thing = Net().eval()
        return thing, torch_port(thing), lambda net: net(torch.from_numpy(X))
    if kind == "nnx":
        thing = Nnx(nnx.Rngs(0))
        return thing, flax_port(thing), lambda net: net(jnp.asarray(X))
    if kind == "linen":
        thing = Linen().init(jax.random.key(0), X)
        return thing, flax_port(Linen(), thing), lambda variables: Linen().apply(variables, X)
    if kind == "equinox":
        thing = eqx.nn.make_with_state(Eqx)(jax.random.key(0))
        return thing, equinox_port(thing, call=batched), lambda pair: batched(*pair, jnp.asarray(X))[0]
    of = {"jax function": jnp.asarray, "numpy function": np.asarray, "torch function": torch.from_numpy}[kind]
    thing = tree(of)
    return thing, function_port(fun, thing, buffers=BUFFERS), lambda params: fun(params, of(X))


KINDS = ("torch", "nnx", "linen", "equinox", "jax function", "numpy function", "torch function")


def host(x):
    return x.detach().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


@pytest.fixture(scope="module")
def reference():
    """A net, and the layouts of all kinds of ports of it."""
    torch.manual_seed(0)
    net = Net().eval()
    report = compare({"the net": torch_port(net), **{kind: made(kind)[1] for kind in KINDS}}, (X,))
    return net, {kind: report.compared[kind].layout for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_filled_by_a_transfer_it_is_the_reference(kind, reference):
    net, layouts = reference
    thing, port, by_hand = made(kind)
    before = host(by_hand(thing))
    model = port.filled(transfer(torch_port(net), layouts[kind]))
    due = host(net(torch.from_numpy(X)))
    assert np.allclose(host(by_hand(model)), due, **CLOSE)
    assert not np.allclose(before, due, **CLOSE)
    assert np.array_equal(host(by_hand(thing)), before)
    assert np.array_equal(host(by_hand(port.filled({}))), before)
    assert np.allclose(port.run(Call((X,))).outputs["(output)"], before, **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_leaves_that_are_not_given_stay_and_the_dtype_is_the_ports(kind):
    _, port, _ = made(kind)
    path, x = next(iter(port.parameters.items()))
    again = {
        "torch": torch_port,
        "nnx": flax_port,
        "linen": lambda variables: flax_port(Linen(), variables),
        "equinox": equinox_port,
    }.get(kind, lambda params: function_port(fun, params, buffers=BUFFERS))
    new = again(port.filled({path: np.full(x.shape, 0.25)}))  # float64
    assert new.parameters[path].dtype == x.dtype == np.float32
    assert (new.parameters[path] == 0.25).all()
    assert new.modules.keys() == port.modules.keys()
    assert list(new.buffers) == list(port.buffers)
    for other, x in {**port.parameters, **port.buffers}.items():
        assert other == path or np.array_equal({**new.parameters, **new.buffers}[other], x)


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_filled_in(kind):
    _, port, _ = made(kind)
    path, x = next(iter(port.parameters.items()))
    with pytest.raises(ValueError, match=rf"(?s)unknown parameter or buffer .*did you mean '{path[0]}"):
        port.filled({path + "x": x})
    with pytest.raises(
        ValueError, match=re.escape(f"{path!r} came with shape (2, 9), due {x.shape}: transfer()")
    ):
        port.filled({path: np.ones((2, 9))})
    with pytest.raises(ValueError, match="came as complex64: real numbers are due"):
        port.filled({path: x + 0j})
    with pytest.raises(TypeError, match="came as a list: an array of shape"):
        port.filled({path: [1.0]})
    with pytest.raises(TypeError, match=r"arrays by path, as transfer\(\) returns them; a Net came"):
        port.filled(Net())


def test_paths_in_lists_are_those_of_the_framework():
    _, port, _ = made("nnx")
    model = port.filled({"layers[1].bias": np.array([1, 2, 3])})
    assert np.array_equal(model.layers[1].bias[...], [1, 2, 3])
    assert type(model) is Nnx
    _, port, _ = made("equinox")
    model, _ = port.filled({"layers[1].bias": np.array([1, 2, 3])})
    assert np.array_equal(model.layers[1].bias, [1, 2, 3])
    assert type(model) is Eqx


def test_what_is_done_to_it_reaches_nothing_else():
    thing, port, by_hand = made("nnx")
    before, first, second = host(by_hand(thing)), port.filled({}), port.filled({})
    first.norm.mean[...] = jnp.ones(8)
    first.layers[0].kernel[...] = jnp.ones((4, 8))
    assert np.array_equal(by_hand(second), before)
    assert np.array_equal(by_hand(thing), before)
    for kind, change in (
        ("torch", lambda net: net.up.weight.data.zero_()),
        ("torch function", lambda params: params["one"]["w"].zero_()),
        ("numpy function", lambda params: params["one"]["w"].fill(0)),
    ):
        thing, port, by_hand = made(kind)
        before, first = host(by_hand(thing)), port.filled({})
        change(first)
        assert not np.array_equal(host(by_hand(first)), before)
        assert np.array_equal(host(by_hand(port.filled({}))), before)
        assert np.array_equal(host(by_hand(thing)), before)


@pytest.mark.parametrize("kind", ["nnx", "linen", "equinox", "jax function"])
def test_it_can_be_donated(kind):
    thing, port, by_hand = made(kind)
    before, model = host(by_hand(thing)), port.filled({})
    for x in jax.tree.leaves(nnx.state(model) if kind == "nnx" else model):
        if isinstance(x, jax.Array):
            x.delete()
    assert np.array_equal(host(by_hand(thing)), before)
    assert np.array_equal(host(by_hand(port.filled({}))), before)


def test_a_weakly_typed_number_stays_one():
    new = function_port(lambda p, x: p["a"] * x, {"a": jnp.asarray(1.0)}).filled({"a": np.array(2.5)})["a"]
    assert (float(new), new.weak_type) == (2.5, True)


def test_a_model_keeps_its_mode_its_dtype_and_what_is_trained():
    net = Net().bfloat16().train()
    net.up.weight.requires_grad_(False)
    model = torch_port(net).filled({"down.bias": np.array([1.0, 2.0, 3.001])})
    assert model.training
    assert model.down.bias.dtype == torch.bfloat16
    assert model.down.bias.tolist() == [1.0, 2.0, 3.0]
    assert [x.requires_grad for x in model.parameters()] == [x.requires_grad for x in net.parameters()]
    assert all(x.grad_fn is None and x.is_leaf for x in model.parameters())
    params = {"w": torch.ones(2, requires_grad=True), "v": torch.ones(2), "n": 3}
    new = function_port(lambda p, x: p["w"] * x + p["v"], params).filled({"w": np.zeros(2)})
    assert (new["w"].requires_grad, new["v"].requires_grad, new["n"]) == (True, False, 3)


def test_a_module_made_in_inference_mode_is_filled_too():
    with torch.inference_mode():
        model = torch_port(torch.nn.Linear(2, 2)).filled({"bias": np.array([1.0, 2.0])})
    assert model.bias.tolist() == [1.0, 2.0]


def test_arrays_of_any_framework_are_taken():
    _, port, _ = made("linen")
    model = port.filled({"Dense_1.bias": torch.tensor([1.0, 2.0, 3.0], requires_grad=True)})
    assert np.array_equal(model["params"]["Dense_1"]["bias"], [1, 2, 3])


def test_float64_stays_float64_although_it_is_switched_off():
    params = {"w": jnp.ones(2), "v": np.ones(2)}
    new = function_port(lambda p, x: p["w"] * p["v"] * x, params).filled({"v": np.full(2, 1 / 3)})
    assert isinstance(new["v"], np.ndarray)
    assert new["v"].tolist() == [1 / 3, 1 / 3]
    assert new["w"].dtype == np.float32


def test_boxes_of_linen_stay():
    boxed = {"params": {"w": linen.Partitioned(jnp.ones((2, 3)), names=("in", "out"))}}
    port = flax_port(linen.Dense(3), boxed, call=lambda module, variables, x: x @ variables["params"]["w"])
    new = port.filled({"w": np.zeros((2, 3))})["params"]["w"]
    assert (new.names, float(new.value.sum())) == (("in", "out"), 0.0)
    assert float(boxed["params"]["w"].value.sum()) == 6.0


def test_a_state_that_was_used_by_hand_is_still_the_ports():
    (model, state), port, _ = made("equinox")
    before = port.run(Call((X,)))
    state.set(model.norm.batch_state_index, state.get(model.norm.batch_state_index))  # not to be used again
    assert np.array_equal(port.run(Call((X,))).outputs["(output)"], before.outputs["(output)"])
    assert port.filled({})[1].get(model.norm.batch_state_index)[0].shape == (8,)


# Shared parameters


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = torch.nn.Embedding(7, 4), torch.nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(self.embed(x))


class NnxTied(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(7, 4, rngs=rngs)
        self.head = self.embed

    def __call__(self, x):
        return self.head.attend(self.embed(x))


def tied(params, x):
    return params["embed"][x] @ params["head"].T


def tied_ports():
    module, model = Tied(), NnxTied(nnx.Rngs(0))
    yield torch_port(module), lambda net: (net(torch.from_numpy(TOKENS)), net.embed.weight, net.head.weight)
    yield flax_port(model), lambda net: (net(TOKENS), net.embed.embedding, net.head.embedding)
    for x in (torch.randn(7, 4), jnp.ones((7, 4)), np.ones((7, 4), np.float32)):
        port = function_port(tied, {"embed": x, "head": x})
        yield port, lambda params: (tied(params, TOKENS), params["embed"], params["head"])


def test_what_is_shared_stays_shared_under_whichever_path_it_is_given():
    table = RNG.normal(size=(7, 4)).astype(np.float32)
    due = table[TOKENS] @ table.T
    for port, by_hand in tied_ports():
        (alias, own), *_ = port.shared.items()
        for path in (alias, own):
            output, one, other = by_hand(port.filled({path: table}))
            assert one is other
            assert np.allclose(host(output), due, **CLOSE)
        port.filled({alias: table, own: table.copy()})
        with pytest.raises(ValueError, match=r"is shared with .*, and two different arrays came"):
            port.filled({alias: table, own: table + 1})


# What holds no model, and what is not a layout


def test_a_recorded_port_says_where_it_can_be_filled(tmp_path):
    record(torch_port(Net().eval()), (X,), tmp_path / "a.npz")
    with pytest.raises(
        NotRunnableError, match="no torch model that could be filled with 0 arrays: call filled"
    ):
        read_port(tmp_path / "a.npz").filled({})


LAYOUT = Layout((Move("a", (2,), (Piece("b", (0,)),)),), shapes={"b": (2,)})


@pytest.mark.parametrize(
    ("params", "due"),
    [
        (Net(), r"a Net came: torch_port\(module\)"),
        (Nnx(nnx.Rngs(0)), r"a Nnx came: flax_port\(model\)"),
        (Linen(), r"a Linen came: flax_port\(model, variables\)"),
        (eqx.nn.Linear(2, 2, key=jax.random.key(0)), r"a Linear came: equinox_port\(model\)"),
        (copy, "a module came$"),
        ({"params": {"b": np.ones(2)}}, "'params' is a dict: give the port"),
    ],
)
def test_what_transfer_takes(params, due):
    with pytest.raises(TypeError, match=rf"^transfer takes .*{due}"):
        transfer(params, LAYOUT)


def test_what_is_no_layout(reference):
    net, _ = reference
    report = compare({"one": torch_port(net), "other": torch_port(net)}, (X,))
    port = torch_port(net)
    for came, due in (
        (report.compared["other"], r"a Compared came: report.compared\[…\].layout is one"),
        (report, r"a PortReport came: report.compared\[…\].layout is one"),
        (LAYOUT.to_json(), r"a str came: Layout.from_json\(…\) reads one"),
        (None, "a NoneType came$"),
    ):
        with pytest.raises(TypeError, match=rf"takes a Layout; {due}"):
            transfer(port, came)
