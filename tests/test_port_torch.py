"""Ports of PyTorch: what a run sees, forces and differentiates, and that it leaves nothing behind."""

import copy
import dataclasses
from collections import OrderedDict

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from gradproof.porting.port import Call, Forced  # noqa: E402
from gradproof.porting.tap import tap, tap_cotangent  # noqa: E402
from gradproof_torch_port import TorchFunctionPort, TorchPort  # noqa: E402 -- after the skip

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3)).astype("float32")
IMAGE = RNG.normal(size=(2, 3, 4, 4)).astype("float32")
TOKENS = RNG.normal(size=(2, 5, 4)).astype("float32")


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def square(output, *_):
    return (output**2).sum()


def mse(output, target):
    return F.mse_loss(output, target)


class Residual(nn.Module):
    """A block as ResNets have them: two in-place operations, on what a module returned."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.norm(self.conv(x))
        out += x
        return self.relu(out)


class Calling(nn.Module):
    """A module that does what it is given, with the parts it is given."""

    def __init__(self, way, **parts):
        super().__init__()
        self.way = way
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs, **named):
        return self.way(self, *inputs, **named)


def seen(port, *inputs, **options):
    return port.run(Call(inputs, **options)).by_key


def every_node_forced(run, *, by=0.0):
    """To what it was, all values `by` further up."""
    return {node.key: Forced(node.value + by, node.cotangent) for node in run.nodes}


def doubled(module):
    return copy.deepcopy(module).double()


# Values, outputs and gradients are torch's own


def test_gradients_and_loss_are_those_of_torch():
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    target = RNG.normal(size=(2, 2))
    run = TorchPort(module, loss=mse).run(Call((X,), (target,)))
    own = doubled(module)
    loss = mse(own(torch.tensor(X).double()), torch.tensor(target))
    loss.backward()
    assert run.loss == loss.item()
    assert list(run.gradients) == [name for name, _ in module.named_parameters()]
    for name, parameter in own.named_parameters():
        np.testing.assert_array_equal(run.gradients[name], parameter.grad.numpy())


def test_seeds_are_the_cotangents_of_the_outputs():
    module = Calling(
        lambda m, x: {"y": m.a(x), "z": [m.b(x), x.argmax(1)]}, a=nn.Linear(3, 1), b=nn.Linear(3, 2)
    )
    port = TorchPort(module)
    seeds = (None, np.array([[1.0, 2], [3, 4]]), None)
    run = port.run(Call((X,), seeds=seeds))
    assert list(run.outputs) == ["y", "z[0]", "z[1]"]
    assert run.dtypes == {"y": "float64", "z[0]": "float64", "z[1]": "int64"}
    np.testing.assert_allclose(run.gradients["b.weight"], seeds[1].T @ X.astype(float), rtol=1e-14)
    assert not run.gradients["a.weight"].any()
    assert not port.has_loss


def test_without_seeds_or_loss_a_run_is_forward_only():
    run = TorchPort(nn.Linear(3, 2)).run(Call((X,)))
    assert run.gradients is None
    assert run.loss is None
    assert all(node.cotangent is None for node in run.nodes)


def test_forward_only_still_says_the_loss():
    run = TorchPort(nn.Linear(3, 2), loss=square).run(Call((X,), forward_only=True))
    assert run.gradients is None
    assert run.loss > 0


def test_a_parameter_that_nothing_depends_on_has_gradient_zero():
    module = Calling(lambda m, x: m.used(x), used=nn.Linear(3, 1), idle=nn.Linear(3, 1))
    gradients = TorchPort(module, loss=square).run(Call((X,))).gradients
    assert not gradients["idle.weight"].any()
    assert gradients["used.weight"].any()


def test_a_loss_that_is_a_module_runs_in_float64_too():
    weights = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))
    run = TorchPort(nn.Linear(3, 2), loss=weights).run(Call((X,), (np.array([0, 1]),)))
    assert run.gradients["weight"].dtype == np.float64
    assert weights.weight.dtype == torch.float32


def test_the_own_dtype_is_that_of_the_first_parameter():
    port = TorchPort(nn.Linear(3, 2).bfloat16(), loss=square)
    run = port.run(Call((X.astype(float),), double=False))
    assert run.dtypes == {"(output)": "bfloat16"}
    assert {node.dtype for node in run.nodes} == {"bfloat16"}
    assert run.outputs["(output)"].dtype == port.parameters["weight"].dtype == np.float32
    double = port.run(Call((X.astype(float),)))
    assert {node.dtype for node in double.nodes} == {"float64"}
    assert 0 < abs(run.loss - double.loss) < 0.1 * double.loss


def test_float64_reaches_constants_and_plain_attributes():
    def way(module, x):
        return module.linear(x) @ module.basis + torch.full((2,), 0.1)

    module = Calling(way, linear=nn.Linear(3, 2))
    module.basis = torch.eye(2)
    run = TorchPort(module, loss=square).run(Call((X,)))
    weights = module.linear.weight.detach().double().numpy(), module.linear.bias.detach().double().numpy()
    np.testing.assert_allclose(
        run.outputs["(output)"], X @ weights[0].T + weights[1] + 0.1, rtol=0, atol=1e-15
    )


def test_float64_stays_where_the_port_casts_to_float32():
    def way(module, x):
        wide = x.float() + torch.full((3,), 0.1, dtype=torch.float32)
        return F.softmax(wide.to(torch.bfloat16), -1, dtype=torch.float32).type_as(x) * wide.half()

    port = TorchPort(Calling(way, idle=nn.Linear(3, 2)), loss=square)
    x = X.astype(float) + 0.1
    due = x * np.exp(x) / np.exp(x).sum(1, keepdims=True)
    np.testing.assert_allclose(port.run(Call((X,))).outputs["(output)"], due, rtol=1e-14)
    own = port.run(Call((X,), double=False)).outputs["(output)"]
    assert 1e-4 < abs(own - due).max() < 1e-2


def test_inputs_are_trees_and_integers_stay():
    module = Calling(lambda m, batch, scale: m.table(batch["ids"]) * scale, table=nn.Embedding(5, 2))
    run = TorchPort(module, loss=square).run(Call(({"ids": np.array([1, 2], dtype=np.int32)}, 2.0)))
    np.testing.assert_array_equal(
        run.outputs["(output)"], 2 * module.table.weight[1:3].detach().double().numpy()
    )
    assert "table input" not in run.by_key


def test_sparse_gradients_come_dense():
    module = nn.Embedding(5, 2, sparse=True)
    gradient = TorchPort(module, loss=square).run(Call((np.array([3]),))).gradients["weight"]
    assert np.flatnonzero(gradient.any(1)).tolist() == [3]


def test_parameters_are_replaced_by_path():
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval()
    port = TorchPort(module, loss=square)
    new = {path: RNG.uniform(1, 2, size=x.shape) for path, x in {**port.parameters, **port.buffers}.items()}
    run = port.run(Call((X,), parameters=new))
    hidden = X @ new["0.weight"].T + new["0.bias"]
    normal = (hidden - new["1.running_mean"]) / np.sqrt(new["1.running_var"] + 1e-5)
    np.testing.assert_allclose(run.outputs["(output)"], normal * new["1.weight"] + new["1.bias"], rtol=1e-14)


def test_recurrent_parameters_are_replaced():
    port = TorchPort(nn.LSTM(4, 3), loss=lambda y: square(y[0]))
    zero = {path: np.zeros_like(x) for path, x in port.parameters.items()}
    assert not port.run(Call((TOKENS,), parameters=zero)).outputs["[0]"].any()


# What a port says of itself


def test_a_frozen_parameter_is_a_buffer():
    module = nn.Linear(3, 2)
    module.bias.requires_grad_(False)
    port = TorchPort(module, loss=square)
    assert list(port.parameters) == ["weight"]
    assert list(port.buffers) == ["bias"]
    assert list(port.run(Call((X,))).gradients) == ["weight"]


def test_shared_weights_have_one_path():
    module = Calling(
        lambda m, ids: m.head(m.table(ids)), table=nn.Embedding(5, 3), head=nn.Linear(3, 5, bias=False)
    )
    module.head.weight = module.table.weight
    port = TorchPort(module, loss=square)
    assert list(port.parameters) == ["table.weight"]
    assert port.shared == {"head.weight": "table.weight"}
    own = doubled(module)
    square(own(torch.tensor([1]))).backward()
    run = port.run(Call((np.array([1]),)))
    np.testing.assert_array_equal(run.gradients["table.weight"], own.table.weight.grad.numpy())
    new = {"table.weight": np.ones((5, 3)), "head.weight": np.ones((5, 3))}
    assert (port.run(Call((np.array([1]),), parameters=new)).outputs["(output)"] == 3).all()


def test_settings_are_public_numbers_strings_and_booleans():
    module = nn.Sequential(nn.LayerNorm(3, eps=1e-3), nn.GELU("tanh"), nn.Dropout(0.25)).eval()
    modules = TorchPort(module).modules
    assert {path: layer.kind for path, layer in modules.items()} == {
        "": "Sequential", "0": "LayerNorm", "1": "GELU", "2": "Dropout"
    }  # fmt: skip
    assert modules["0"].settings == {
        "training": False, "normalized_shape": (3,), "eps": 1e-3, "elementwise_affine": True
    }  # fmt: skip
    assert modules["1"].settings["approximate"] == "tanh"
    assert modules["2"].settings["p"] == 0.25


def test_the_port_keeps_what_the_module_was():
    module = nn.Linear(3, 2)
    before = module.weight.detach().numpy().copy()
    port = TorchPort(module, loss=square)
    with torch.no_grad():
        module.weight.zero_()
    np.testing.assert_array_equal(port.parameters["weight"], before)
    assert port.run(Call((X,))).gradients["weight"].any()


# Nodes


def test_nodes_come_in_the_order_of_calls():
    keys = list(seen(TorchPort(nn.Sequential(nn.Linear(3, 2), nn.Tanh())), X))
    assert keys == ["(whole) input", "0 input", "0", "1 input", "1", "(whole)"]


def test_cotangents_are_those_of_torch():
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    nodes = seen(TorchPort(module, loss=square), X)
    own, x = doubled(module), torch.tensor(X).double().requires_grad_()
    hidden = own[0](x)
    active = own[1](hidden)
    output = own[2](active)
    due = torch.autograd.grad(square(output), (x, hidden, active, output))
    for keys, gradient in zip(
        (("(whole) input", "0 input"), ("0", "1 input"), ("1", "2 input"), ("2", "(whole)")), due, strict=True
    ):
        for key in keys:
            np.testing.assert_allclose(nodes[key].cotangent, gradient.numpy(), rtol=1e-14)


def test_an_input_counts_along_its_own_path_only():
    """y = f(x) + x: the gradient with respect to f's input leaves out the other x."""
    module = Calling(lambda m, x: m.f(x) + x, f=nn.Linear(3, 3))
    nodes = seen(TorchPort(module), X, seeds=(np.ones((2, 3)),))
    through = np.ones((2, 3)) @ module.f.weight.detach().double().numpy()
    np.testing.assert_allclose(nodes["f input"].cotangent, through, rtol=1e-14)
    np.testing.assert_allclose(nodes["(whole) input"].cotangent, through + 1, rtol=1e-14)


def test_in_place_modules_compute_what_they_compute_without_a_port():
    module = nn.Sequential(Residual(), Residual())
    run = TorchPort(module, loss=square).run(Call((IMAGE,)))
    own = doubled(module)
    square(own(torch.tensor(IMAGE).double())).backward()
    for name, parameter in own.named_parameters():
        np.testing.assert_allclose(run.gradients[name], parameter.grad.numpy(), rtol=0, atol=1e-13)
    assert (run.by_key["1.norm"].value < 0).any(), "the value from before it was overwritten"
    np.testing.assert_array_equal(
        run.by_key["1.norm"].value + run.by_key["1 input"].value, run.by_key["1.relu input"].value
    )
    np.testing.assert_array_equal(run.by_key["1.norm"].cotangent, run.by_key["1.relu input"].cotangent)


def test_an_input_that_is_overwritten_is_overwritten_for_everyone():
    """relu(x) + x where relu works in place is 2·relu(x): a mistake, but what the module does."""
    module = Calling(lambda m, x: m.relu(x) + x, relu=nn.ReLU(inplace=True))
    nodes = seen(TorchPort(module), X, seeds=(np.ones((2, 3)),))
    np.testing.assert_array_equal(nodes["(whole)"].value, 2 * np.maximum(X, 0))
    np.testing.assert_array_equal(nodes["relu input"].value, X)
    np.testing.assert_array_equal(nodes["relu input"].cotangent, 2.0 * (X > 0))


def test_an_output_that_is_the_input_may_be_overwritten():
    def way(module, x):
        y = module.drop(module.f(x))
        y += x
        return y

    module = Calling(way, f=nn.Linear(3, 3), drop=nn.Dropout(0.5)).eval()
    run = TorchPort(module, loss=square).run(Call((X,)))
    np.testing.assert_array_equal(run.outputs["(output)"], run.by_key["f"].value + X)


def test_an_output_that_is_overwritten_where_the_input_is_used_again_is_told():
    def way(module, x):
        hidden = module.f(x)
        same = module.same(hidden)
        same += 1
        return hidden

    port = TorchPort(Calling(way, f=nn.Linear(3, 3), same=nn.Flatten(0)), loss=square)
    error_of(ValueError, r"'same' returns its input .* Write out of place", lambda: port.run(Call((X,))))


def test_a_view_that_is_overwritten_keeps_its_cotangent():
    def way(module, x):
        y = module.flat(module.linear(x))
        y *= 3
        return y

    module = Calling(way, linear=nn.Linear(4, 4), flat=nn.Flatten())
    nodes = seen(TorchPort(module), TOKENS, seeds=(np.ones((2, 20)),))
    assert (nodes["flat"].cotangent == 3).all()
    assert (nodes["linear"].cotangent == 3).all()


def test_a_module_that_returns_its_input():
    module = nn.Sequential(nn.Linear(3, 3), nn.Identity(), nn.Dropout(0.5)).eval()
    nodes = seen(TorchPort(module, loss=square), X)
    for key in ("0", "1 input", "1", "2 input", "2"):
        np.testing.assert_array_equal(nodes[key].cotangent, 2 * nodes["2"].value)


def test_a_second_call_has_a_key_of_its_own():
    module = Calling(lambda m, x: m.f(m.f(x)), f=nn.Linear(3, 3))
    nodes = seen(TorchPort(module, loss=square), X)
    assert [key for key in nodes if key.startswith("f")] == ["f input", "f", "f input#2", "f#2"]
    np.testing.assert_allclose(nodes["f#2"].cotangent, 2 * nodes["f#2"].value)
    np.testing.assert_array_equal(nodes["f"].cotangent, nodes["f input#2"].cotangent)


def test_arrays_that_come_together_are_numbered():
    module = Calling(lambda m, x: m.lstm(x)[0], lstm=nn.LSTM(4, 3))
    nodes = seen(TorchPort(module, loss=square), TOKENS)
    assert [key for key in nodes if key.startswith("lstm")] == ["lstm input", "lstm", "lstm[1]", "lstm[2]"]
    assert nodes["lstm[1]"].value.shape == (1, 5, 3)
    assert nodes["lstm[1]"].cotangent is None, "the loss does not depend on the last hidden state by itself"
    assert nodes["lstm"].cotangent is not None


def test_an_output_counts_after_it_was_returned():
    """An LSTM cell computes h from c, and returns both: the cotangent of c is not that of h once more."""
    nodes = seen(TorchPort(nn.LSTMCell(3, 2), loss=lambda y: square(y[0]) + y[1].sum()), X)
    assert (nodes["(whole)[1]"].cotangent == 1).all()


def test_attention_sees_one_tensor_given_thrice_once():
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    module = Calling(lambda m, x: m.attention(x, x, x, need_weights=False)[0], attention=attention)
    for mode in (True, False):
        nodes = seen(TorchPort(module.train(mode), loss=square), TOKENS)
        assert [key for key in nodes if "attention" in key] == ["attention input", "attention"]
        np.testing.assert_allclose(
            nodes["attention input"].cotangent, nodes["(whole) input"].cotangent, rtol=1e-13
        )


def test_named_inputs_are_inputs():
    module = Calling(lambda m, x: m.f(query=x, key=2 * x), f=Calling(lambda m, query, key: query + key))
    nodes = seen(TorchPort(module, loss=square), X)
    np.testing.assert_array_equal(nodes["f[1] input"].value, 2 * nodes["f input"].value)
    np.testing.assert_array_equal(nodes["f[1] input"].cotangent, nodes["f"].cotangent)


@dataclasses.dataclass
class Pair:
    first: object
    second: object


class Output(OrderedDict):
    """A mapping with its own constructor, as libraries of models have them."""

    def __init__(self, label="", items=()):
        super().__init__(items)
        self.label = label


@pytest.mark.parametrize(
    "make",
    [
        lambda y: Pair(y, None),
        lambda y: Output("kept", {"first": y}),
        lambda y: {"first": [y, "text"]},
        lambda y: (y, None),
    ],
)
def test_outputs_of_any_structure_are_seen_and_forced(make):
    def way(module, x):
        made = module.f(x)
        leaf = made.first if isinstance(made, Pair) else made[0] if isinstance(made, tuple) else made["first"]
        assert getattr(made, "label", "kept") == "kept"
        return (leaf[0] if isinstance(leaf, list) else leaf) * 1.0

    module = Calling(way, f=Calling(lambda m, x: make(m.g(x)), g=nn.Linear(3, 2)))
    port = TorchPort(module, loss=square)
    value = RNG.normal(size=(2, 2))
    run = port.run(Call((X,), forced={"f": Forced(value)}))
    np.testing.assert_array_equal(run.outputs["(output)"], value)
    assert (run.by_key["f"].value != value).all()


def test_encoder_layers_do_not_take_the_shortcut_of_inference():
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True).eval().requires_grad_(False)
    taken = []

    def call(module, x):
        taken.append(torch.backends.mha.get_fastpath_enabled())
        return module(x)

    nodes = seen(TorchPort(layer, call=call), TOKENS)
    assert {"self_attn", "linear1", "norm2"} <= set(nodes)
    assert taken == [False]
    assert torch.backends.mha.get_fastpath_enabled()


def test_what_ran_without_gradients_has_no_cotangent():
    def way(module, x):
        with torch.no_grad():
            y = module.f(x)
        return module.g(y)

    nodes = seen(TorchPort(Calling(way, f=nn.Linear(3, 3), g=nn.Linear(3, 2)), loss=square), X)
    assert nodes["f"].cotangent is None
    assert nodes["f input"].cotangent is None
    assert nodes["g input"].cotangent is not None


def test_frozen_layers_have_cotangents():
    module = nn.Sequential(nn.Linear(3, 3), nn.Tanh()).requires_grad_(False)
    run = TorchPort(module, loss=square).run(Call((X,)))
    assert run.gradients == {}
    assert run.by_key["0 input"].cotangent.any()


def test_a_checkpoint_is_seen_once():
    from torch.utils.checkpoint import checkpoint

    def twice(module, x):
        return module.g(torch.tanh(module.f(torch.tanh(module.f(x)))))

    parts = {"f": nn.Linear(3, 3), "g": nn.Linear(3, 2)}
    saving = Calling(lambda m, x: checkpoint(lambda x: twice(m, x), x, use_reentrant=False), **parts)
    plain, saved = (TorchPort(module, loss=square) for module in (Calling(twice, **parts), saving))
    due, run = (port.run(Call((X,))) for port in (plain, saved))
    assert list(run.by_key) == list(due.by_key)
    forced = every_node_forced(due, by=1.0)
    due_forced, run_forced = (port.run(Call((X,), forced=forced)) for port in (plain, saved))
    for one, other in ((due, run), (due_forced, run_forced)):
        np.testing.assert_array_equal(other.by_key["f"].cotangent, one.by_key["f"].cotangent)
        np.testing.assert_array_equal(other.gradients["f.weight"], one.gradients["f.weight"])


def test_mapped_code_is_passed_by():
    module = Calling(lambda m, x: torch.func.vmap(lambda row: tap("row", m.f(row)))(x), f=nn.Linear(3, 2))
    run = TorchPort(module, loss=square).run(Call((X,)))
    assert list(run.by_key) == ["(whole) input", "(whole)"]
    assert run.gradients["f.weight"].any()


def test_taps_are_nodes():
    module = Calling(lambda m, x: tap("half", x / 2) ** 2)
    node = seen(TorchPort(module, loss=torch.sum), X)["half"]
    assert (node.role, node.kind) == ("tap", "")
    np.testing.assert_array_equal(node.cotangent, 2 * node.value)


def test_a_call_of_the_users_own():
    port = TorchPort(nn.Linear(3, 2), call=lambda m, x: m(x)[:, 0], loss=square)
    assert port.run(Call((X,))).outputs["(output)"].shape == (2,)


def test_nothing_is_looked_at_where_nobody_watches():
    run = TorchPort(nn.Linear(3, 2), loss=square).run(Call((X,), watched=False))
    assert run.nodes == ()
    assert run.gradients["weight"].any()


# A backward pass written by hand


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x = tap("cube in", x)
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return tap_cotangent("cube in", 3 * x**2 * gradient)


def test_cotangents_that_are_told_by_hand():
    port = TorchPort(Calling(lambda m, x: Cube.apply(2 * Cube.apply(x))), loss=torch.sum)
    nodes = seen(port, X)
    x = X.astype(float)
    np.testing.assert_allclose(nodes["cube in#2"].cotangent, 3 * (2 * x**3) ** 2, rtol=1e-13)
    np.testing.assert_allclose(nodes["cube in"].cotangent, 3 * x**2 * 2 * 3 * (2 * x**3) ** 2, rtol=1e-13)
    np.testing.assert_array_equal(nodes["cube in"].cotangent, nodes["(whole) input"].cotangent)


def test_a_cotangent_by_hand_is_forced():
    port = TorchPort(Calling(lambda m, x: Cube.apply(x)), loss=torch.sum)
    due = np.full((2, 3), 7.0)
    nodes = seen(port, X, forced={"cube in": Forced(X, due)})
    np.testing.assert_allclose(nodes["cube in"].cotangent, 3 * X.astype(float) ** 2, rtol=1e-14)
    np.testing.assert_array_equal(nodes["(whole) input"].cotangent, due)


class Told(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        tap_cotangent("x", 2 * gradient)
        return gradient


def test_what_is_told_by_hand_counts():
    port = TorchPort(Calling(lambda m, x: Told.apply(tap("x", x))), loss=torch.sum)
    assert (seen(port, X)["x"].cotangent == 2).all()


# Forced runs


def test_a_run_forced_to_itself_is_the_same():
    port = TorchPort(nn.Sequential(Residual(), Residual(), nn.Flatten(), nn.Linear(48, 2)), loss=square)
    plain = port.run(Call((IMAGE,)))
    forced = port.run(Call((IMAGE,), forced=every_node_forced(plain)))
    assert list(forced.by_key) == list(plain.by_key)
    for key, node in plain.by_key.items():
        np.testing.assert_array_equal(forced.by_key[key].value, node.value)
        np.testing.assert_allclose(forced.by_key[key].cotangent, node.cotangent, rtol=0, atol=1e-14)
    for path, gradient in plain.gradients.items():
        np.testing.assert_allclose(forced.gradients[path], gradient, rtol=0, atol=1e-13)


def test_a_mistake_stays_in_its_stretch():
    right = nn.Sequential(
        nn.Linear(3, 4), nn.LayerNorm(4, eps=1e-5), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)
    )
    wrong = copy.deepcopy(right)
    wrong[1].eps = 0.1
    due = TorchPort(right, loss=square).run(Call((X,)))
    run = TorchPort(wrong, loss=square).run(Call((X,), forced=every_node_forced(due)))
    values = {key for key, node in due.by_key.items() if not _equal(node.value, run.by_key[key].value)}
    backwards = {
        key for key, node in due.by_key.items() if not _equal(node.cotangent, run.by_key[key].cotangent)
    }
    gradients = {path for path, g in due.gradients.items() if not _equal(g, run.gradients[path])}
    assert values == {"1"}
    assert backwards == {"1 input"}
    assert gradients == {"1.weight"}


def _equal(x, y):
    return np.allclose(x, y, rtol=0, atol=1e-13)


def test_a_forced_node_hands_its_value_on():
    port = TorchPort(nn.Sequential(nn.Linear(3, 2), nn.Tanh()), loss=square)
    value, cotangent = RNG.normal(size=(2, 2, 2))
    run = port.run(Call((X,), forced={"0": Forced(value, cotangent)}))
    own = port.run(Call((X,))).by_key["0"].value
    np.testing.assert_array_equal(run.by_key["0"].value, own)
    np.testing.assert_allclose(run.outputs["(output)"], np.tanh(value), rtol=1e-14)
    np.testing.assert_allclose(
        run.by_key["0"].cotangent, 2 * np.tanh(value) * (1 - np.tanh(value) ** 2), rtol=1e-13
    )
    np.testing.assert_allclose(run.gradients["0.bias"], cotangent.sum(0), rtol=1e-14)


def test_dropout_of_a_forced_value_draws_the_same():
    """Random numbers are drawn in the order of the memory, and a transposed tensor's is another."""
    module = nn.Sequential(Calling(lambda m, x: x.transpose(0, 1)), nn.Dropout(0.5))
    plain = TorchPort(module, loss=square).run(Call((X,)))
    run = TorchPort(module, loss=square).run(Call((X,), forced=every_node_forced(plain)))
    np.testing.assert_array_equal(run.by_key["1"].value, plain.by_key["1"].value)


def test_without_a_forced_cotangent_nothing_flows_further():
    port = TorchPort(nn.Sequential(nn.Linear(3, 2), nn.Tanh()), loss=square)
    run = port.run(Call((X,), forced={"0": Forced(np.ones((2, 2)))}))
    assert not run.gradients["0.weight"].any()
    assert run.by_key["0"].cotangent.any()


def test_part_of_a_tuple_is_forced():
    module = Calling(lambda m, x: m.lstm(x)[1][0] + m.lstm(x)[0][-1:], lstm=nn.LSTM(4, 3))
    hidden = RNG.normal(size=(1, 5, 3))
    port = TorchPort(module, loss=square)
    plain = port.run(Call((TOKENS,)))
    run = port.run(Call((TOKENS,), forced={"lstm[1]": Forced(hidden)}))
    np.testing.assert_array_equal(run.outputs["(output)"], hidden + plain.by_key["lstm#2"].value[-1:])


def test_in_the_own_dtype_forced_values_are_rounded_to_it():
    port = TorchPort(nn.Sequential(nn.Linear(3, 2), nn.Identity()).half())
    run = port.run(Call((X,), double=False, forced={"1": Forced(np.full((2, 2), 1 / 3))}))
    assert run.dtypes["(output)"] == "float16"
    assert (run.outputs["(output)"] == np.float16(1 / 3)).all()


def test_a_forced_array_has_the_shape_of_the_node():
    port = TorchPort(nn.Sequential(nn.Linear(3, 2)), loss=square)
    with pytest.raises(ValueError, match=r"'0' has shape \(2, 2\), .* of shape \(2,\)"):
        port.run(Call((X,), forced={"0": Forced(np.ones(2))}))
    with pytest.raises(ValueError, match=r"'0' has shape \(2, 2\), .* of shape \(1,\)"):
        port.run(Call((X,), forced={"0": Forced(np.ones((2, 2)), np.ones(1))}))


def test_a_forced_node_that_never_comes_is_told():
    with pytest.raises(ValueError, match=r"'7' was to be forced, but never came"):
        TorchPort(nn.Linear(3, 2)).run(Call((X,), forced={"7": Forced(X)}))


# Nothing is left behind


def test_a_run_leaves_the_module_as_it_was():
    module = nn.Sequential(Residual(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(48, 2))
    module[2].eval()
    module[3].weight.grad = torch.ones(2, 48)
    state = copy.deepcopy(module.state_dict())
    port = TorchPort(module, loss=square)
    rng, dtype = torch.get_rng_state(), torch.get_default_dtype()
    run = port.run(Call((IMAGE,)))
    port.run(Call((IMAGE,), double=False, forced=every_node_forced(run)))
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.get_default_dtype() == dtype
    for name, value in module.state_dict().items():
        assert torch.equal(value, state[name])
    assert [name for name, p in module.named_parameters() if p.grad is not None] == ["3.weight"]
    assert torch.equal(module[3].weight.grad, torch.ones(2, 48))
    assert [part.training for part in module] == [True, True, False, True]
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_running_statistics_start_anew_in_every_run():
    port = TorchPort(nn.BatchNorm2d(3), loss=square)
    first, second = (port.run(Call((IMAGE,))).buffers for _ in range(2))
    assert list(first) == list(port.buffers) == ["running_mean", "running_var"]
    np.testing.assert_allclose(first["running_mean"], 0.1 * IMAGE.astype(float).mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_array_equal(first["running_mean"], second["running_mean"])
    assert not port.buffers["running_mean"].any()


def test_dropout_is_the_same_in_every_run():
    port = TorchPort(nn.Sequential(nn.Linear(3, 50), nn.Dropout(0.5)), loss=square)
    outputs = [port.run(Call((X,))).outputs["(output)"]]
    torch.rand(7)
    outputs.append(port.run(Call((X,), watched=False)).outputs["(output)"])
    np.testing.assert_array_equal(*outputs)
    assert (outputs[0] == 0).any()


def test_a_run_inside_inference_mode_differentiates():
    module = nn.Linear(3, 2)
    with torch.inference_mode():
        port = TorchPort(module, loss=square)
        gradients = port.run(Call((X,))).gradients
        stepped = port.step(torch.optim.Adam, port.parameters, gradients)
    assert gradients["weight"].any()
    assert (stepped["weight"] != port.parameters["weight"]).all()


def test_a_run_inside_no_grad_differentiates():
    with torch.no_grad():
        gradients = TorchPort(nn.Linear(3, 2), loss=square).run(Call((X,))).gradients
    assert gradients["weight"].any()


def test_after_an_error_everything_is_as_it_was():
    def way(module, x):
        raise RuntimeError("of the port")

    rng = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="of the port"):
        TorchPort(Calling(way)).run(Call((X,)))
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.backends.mha.get_fastpath_enabled()
    assert tap("x", X) is X


def test_what_an_earlier_call_left_behind_is_no_obstacle():
    def way(module, x):
        module.last = module.f(x)
        return module.last

    module = Calling(way, f=nn.Linear(3, 2))
    module(torch.tensor(X))
    assert TorchPort(module, loss=square).run(Call((X,))).gradients["f.weight"].any()


# Wrappers


def compiled(module):
    return torch.compile(module, backend="eager")


def test_wrappers_are_taken_off():
    inner = nn.Sequential(nn.Linear(3, 2))
    for module in (nn.DataParallel(inner), compiled(inner), nn.Sequential(compiled(inner[0]))):
        port = TorchPort(module, loss=square)
        assert list(port.parameters) == ["0.weight", "0.bias"]
        assert list(seen(port, X)) == ["(whole) input", "0 input", "0", "(whole)"]


def test_compiled_functions_run_as_they_are_written():
    compilations = []

    def compiler(graph, _inputs):
        compilations.append(graph)
        return graph

    fun = torch.compile(lambda x: tap("half", x / 2), backend=compiler)
    assert "half" in seen(TorchPort(Calling(lambda m, x: fun(x))), X)
    assert not compilations


# Functions


def test_a_function_is_a_port_too():
    def mlp(params, x):
        return tap("hidden", torch.tanh(x @ params["w"][0])) @ params["w"][1]

    params = {"w": [torch.randn(3, 4), torch.randn(4, 2)]}
    port = TorchFunctionPort(mlp, params, loss=square)
    run = port.run(Call((X,)))
    leaves = [w.double().requires_grad_() for w in params["w"]]
    due = torch.autograd.grad(square(mlp({"w": leaves}, torch.tensor(X).double())), leaves)
    for path, gradient in zip(("w[0]", "w[1]"), due, strict=True):
        np.testing.assert_array_equal(run.gradients[path], gradient.numpy())
    assert list(run.by_key) == ["(whole) input", "hidden", "(whole)"]
    assert not params["w"][0].requires_grad
    assert port.modules[""].kind == "mlp"
    forced = port.run(Call((X,), forced={"hidden": Forced(np.ones((2, 4)), np.ones((2, 4)))}))
    np.testing.assert_allclose(forced.outputs["(output)"], np.ones((2, 4)) @ leaves[1].detach().numpy())


def test_a_function_with_buffers_shared_leaves_and_constants():
    table = torch.randn(4, 3)
    params = {
        "table": table,
        "head": table,
        "scale": torch.tensor(2.0),
        "n": 2,
        "m": 2,
        "ids": torch.arange(2),
    }

    def fun(params, x):
        assert params["n"] == params["m"] == 2
        return params["scale"] * params["table"][params["ids"]] @ params["head"].T + x.sum()

    port = TorchFunctionPort(fun, params, loss=square, buffers=["scale"])
    assert list(port.parameters) == ["table"]
    assert list(port.buffers) == ["scale"]
    assert port.shared == {"head": "table"}
    table.zero_()
    assert port.run(Call((X,))).gradients["table"].any()
    new = {"table": np.zeros((4, 3)), "scale": np.ones(())}
    run = port.run(Call((X,), parameters=new))
    assert list(run.gradients) == ["table"]
    np.testing.assert_allclose(run.outputs["(output)"], X.astype(float).sum())


def test_a_function_may_put_another_buffer_in_place():
    def fun(params, x):
        params["mean"] = params["mean"] + 0.5 * (x.mean() - params["mean"])
        return params["w"] * x

    params = {"w": torch.ones(3), "mean": torch.zeros(())}
    port = TorchFunctionPort(fun, params, loss=square, buffers=["mean"])
    for _ in range(2):
        np.testing.assert_allclose(port.run(Call((X,))).buffers["mean"], X.astype(float).mean() / 2)
    assert not params["mean"]


def test_a_function_of_one_array():
    port = TorchFunctionPort(lambda w, x: x @ w, torch.ones(3), loss=square)
    assert list(port.parameters) == ["(params)"]
    assert port.run(Call((X,))).gradients["(params)"].shape == (3,)


# Optimizers


def test_a_step_is_that_of_the_optimizer_in_float64():
    port = TorchPort(nn.Linear(3, 2))
    gradients = {path: RNG.normal(size=x.shape) for path, x in port.parameters.items()}
    stepped = port.step(lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.5), port.parameters, gradients)
    for path, x in port.parameters.items():
        due = x - 0.1 * (gradients[path] + 0.5 * x.astype(float))
        np.testing.assert_allclose(stepped[path], due, rtol=1e-14)


# Errors


def error_of(kind, match, make):
    with pytest.raises(kind, match=match):
        make()


def test_what_is_no_module_is_told():
    error_of(TypeError, r"a torch.nn.Module is due, and a function came", lambda: TorchPort(square))


def test_modules_that_are_not_ready_are_told():
    error_of(
        ValueError, r"'weight' has no shape yet: call the module once", lambda: TorchPort(nn.LazyLinear(2))
    )
    error_of(ValueError, r"'weight' is on the meta device", lambda: TorchPort(nn.Linear(3, 2, device="meta")))
    normed = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)))
    error_of(ValueError, r"'0' is parametrized.*remove_parametrizations", lambda: TorchPort(normed))


def test_complex_numbers_are_told():
    error_of(TypeError, r"'weight' is complex", lambda: TorchPort(nn.Linear(3, 2, dtype=torch.complex64)))
    port = TorchPort(nn.Linear(3, 2), call=lambda m, x: torch.fft.fft(m(x)))
    error_of(TypeError, r"output '\(output\)' is complex", lambda: port.run(Call((X,))))
    error_of(TypeError, r"an input is complex", lambda: port.run(Call((X.astype(complex),))))
    error_of(TypeError, r"'a' is complex64", lambda: TorchFunctionPort(square, {"a": torch.ones(2) * 1j}))


@pytest.mark.parametrize(
    ("loss", "kind", "match"),
    [
        (lambda y: y, ValueError, r"shape \(2, 2\): a scalar is due"),
        (lambda y: y.sum().item(), TypeError, r"returned a float, not a torch.Tensor"),
        (lambda y: y.argmax(), TypeError, r"a tensor of int64: a real"),
    ],
)
def test_a_loss_is_a_real_scalar_tensor(loss, kind, match):
    error_of(kind, match, lambda: TorchPort(nn.Linear(3, 2), loss=loss).run(Call((X,))))


def test_a_loss_is_called():
    error_of(
        TypeError, r"loss is called as loss\(output", lambda: TorchPort(nn.Linear(3, 2), loss=nn.MSELoss)
    )


def test_seeds_fit_the_outputs():
    port = TorchPort(nn.Linear(3, 2))
    error_of(ValueError, r"2 seeds came for 1 outputs", lambda: port.run(Call((X,), seeds=(None, None))))
    error_of(ValueError, r"'\(output\)' has shape", lambda: port.run(Call((X,), seeds=(np.ones(2),))))


def test_parameters_fit_the_module():
    port = TorchPort(nn.Linear(3, 2))
    right = port.parameters
    for new, match in (
        ({**right, "bais": right["bias"]}, r"no parameter or buffer 'bais'; there are weight, bias"),
        ({"bias": right["bias"]}, r"'weight' is missing"),
        ({**right, "weight": right["weight"].T}, r"'weight' has shape \(2, 3\), and one of \(3, 2\) came"),
    ):
        error_of(ValueError, match, lambda new=new: port.run(Call((X,), parameters=new)))


def test_a_port_returns_tensors():
    port = TorchPort(Calling(lambda m, x: x.sum().item()))
    error_of(TypeError, r"the port returned a float without a torch.Tensor", lambda: port.run(Call((X,))))


def test_buffers_of_a_function_are_paths():
    error_of(
        ValueError,
        r"no 'b' in params; there are a",
        lambda: TorchFunctionPort(square, {"a": torch.ones(2)}, buffers=["b"]),
    )
