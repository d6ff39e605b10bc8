"""Layouts inferred by behaviour: the ports hold other parameters."""

from types import SimpleNamespace

import numpy as np
import pytest

from gradproof.porting.layouts.inference import as_layout, infer_layout
from gradproof.porting.layouts.layout import Layout, LayoutError
from gradproof.porting.layouts.transferring import transfer
from gradproof.porting.layouts.trials import infer_by_behaviour
from gradproof.porting.port import Run, Seen


class NumpyPort:
    """A forward pass `fun(leaves, see, x)`, where `see(name, kind, value)` shows a module's output."""

    framework, modules, has_loss, differentiates, shared = "numpy", {}, False, False, {}

    def __init__(self, fun, parameters, buffers=()):
        self.fun, self.parameters, self.buffers = fun, dict(parameters), dict(buffers)
        self.calls = 0

    def run(self, call):
        self.calls += 1
        leaves = dict(call.parameters or {**self.parameters, **self.buffers})
        nodes = []

        def see(name, kind, value):
            nodes.append(Seen(name, "output", kind, name, value, "float64"))
            return call.forced[name].value if name in call.forced else value

        out = self.fun(leaves, see, *call.inputs)
        return Run({"(output)": out}, {"(output)": "float64"}, None, tuple(nodes))


def normal(seed, **shapes):
    rng = np.random.default_rng(seed)
    return {path.replace("__", "."): rng.normal(size=shape) for path, shape in shapes.items()}


X = np.random.default_rng(9).normal(size=(6, 4))


def mlp(transposed, names):
    def fun(p, see, x):
        for name in names:
            w = p[f"{name}.kernel" if transposed else f"{name}.weight"]
            x = np.tanh(see(name, "Linear", x @ (w if transposed else w.T) + p[f"{name}.bias"]))
        return x

    kind = "kernel" if transposed else "weight"
    shapes = {
        f"{name}__{leaf}": (4, 4) if leaf == kind else (4,) for name in names for leaf in ("bias", kind)
    }
    return NumpyPort(fun, normal(len(names[0]), **shapes))


def told(layout):
    return {row.leaf: (row.comes, row.known) for row in layout.table()}


def test_square_matrices_are_transposed():
    ours, theirs = mlp(False, ("fc1", "fc2")), mlp(True, ("dense_0", "dense_1"))
    layout = infer_by_behaviour(ours, theirs, (X,), (X,))
    assert told(layout)["dense_1.kernel"] == ("= fc2.weight transposed", "by behaviour")
    assert told(layout)["dense_0.bias"] == ("= fc1.bias", "by behaviour")
    assert not layout.unmatched
    assert not layout.unused
    assert not any(move.alternatives for move in layout.moves)


def test_the_usual_is_not_believed_where_it_is_wrong():
    """A port whose `kernel` has outputs first, as no framework has."""
    ours, theirs = mlp(False, ("fc1", "fc2")), mlp(True, ("dense_0", "dense_1"))
    odd = NumpyPort(lambda p, see, x: theirs.fun({k: v.T for k, v in p.items()}, see, x), theirs.parameters)
    layout = infer_by_behaviour(ours, odd, (X,), (X,))
    assert told(layout)["dense_0.kernel"] == ("= fc1.weight", "by behaviour")


def test_a_mistake_of_the_port_leaves_the_usual_layout_unconfirmed():
    ours, theirs = mlp(False, ("fc1", "fc2")), mlp(True, ("dense_0", "dense_1"))

    def wrong(p, see, x):
        return theirs.fun(p, lambda name, kind, v: see(name, kind, v * 1.01 if name == "dense_1" else v), x)

    layout = infer_by_behaviour(ours, NumpyPort(wrong, theirs.parameters), (X,), (X,))
    assert told(layout)["dense_0.kernel"] == ("= fc1.weight transposed", "by behaviour")
    assert told(layout)["dense_1.kernel"] == ("= fc2.weight transposed", "by name and shape only")


def test_what_does_not_matter_is_ambiguous():
    """A layer that only ever sees zeros may have its matrix in any order."""

    def dead(p, see, x):
        return see("fc", "Linear", (0 * x) @ p[next(k for k in p if k != "fc.bias")] + p["fc.bias"])

    ours = NumpyPort(dead, normal(1, fc__weight=(4, 4), fc__bias=(4,)))
    theirs = NumpyPort(dead, normal(2, fc__kernel=(4, 4), fc__bias=(4,)))
    layout = infer_by_behaviour(ours, theirs, (X,), (X,))
    assert {move.target: move.alternatives > 0 for move in layout.moves} == {
        "fc.kernel": True,
        "fc.bias": False,
    }


def attention(q, k, v, out, x, heads=2):
    split = [(x @ w.T).reshape(len(x), heads, -1) for w in (q, k, v)]
    scores = np.einsum("ihd,jhd->hij", split[0], split[1])
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return np.einsum("hij,jhd->ihd", weights, split[2]).reshape(len(x), -1) @ out.T


def fused(p, see, x):
    q, k, v = np.split(p["attn.in_proj_weight"], 3)
    return see("attn", "MultiheadAttention", attention(q, k, v, p["attn.out_proj.weight"], x))


def apart(p, see, x):
    q, k, v = (p[f"attn.{name}.kernel"].reshape(4, 4).T for name in ("query", "key", "value"))
    return see("attn", "MultiHeadAttention", attention(q, k, v, p["attn.out.kernel"].reshape(4, 4).T, x))


FUSED = NumpyPort(fused, normal(3, attn__in_proj_weight=(12, 4), attn__out_proj__weight=(4, 4)))
APART = NumpyPort(
    apart,
    normal(
        4, attn__key__kernel=(4, 2, 2), attn__out__kernel=(2, 2, 4), attn__query__kernel=(4, 2, 2),
        attn__value__kernel=(4, 2, 2),
    ),
)  # fmt: skip


def test_attention_both_ways():
    there = told(infer_by_behaviour(FUSED, APART, (X,), (X,)))
    assert there["attn.key.kernel"] == (
        "= attn.in_proj_weight[4:8] transposed (block 2 of 3 along axis 0), reshaped", "by behaviour",
    )  # fmt: skip
    back = infer_by_behaviour(APART, FUSED, (X,), (X,))
    assert [move.confirmed for move in back.moves] == ["behaviour"] * 2
    assert [piece.source for piece in back.moves[0].pieces] == [
        "attn.query.kernel", "attn.key.kernel", "attn.value.kernel",
    ]  # fmt: skip


def cell(w, u, b, x, order):
    h = np.zeros((len(x), 4))
    c = np.zeros_like(h)
    for _ in range(3):
        gates = dict(zip(order, np.split(x @ w.T + h @ u.T + b, 4, axis=1), strict=True))
        i, f, o = (1 / (1 + np.exp(-gates[name])) for name in "ifo")
        c = f * c + i * np.tanh(gates["g"])
        h = o * np.tanh(c)
    return h


def test_gates_in_another_order_and_biases_that_are_added_up():
    def two(p, see, x):
        b = p["rnn.bias_ih_l0"] + p["rnn.bias_hh_l0"]
        return see("rnn", "LSTM", cell(p["rnn.weight_ih_l0"], p["rnn.weight_hh_l0"], b, x, "ifgo"))

    def one(p, see, x):
        return see("rnn", "Lstm", cell(p["rnn.w_ih"], p["rnn.w_hh"], p["rnn.bias"], x, "ifog"))

    shapes = {"weight_ih_l0": (16, 4), "weight_hh_l0": (16, 4), "bias_ih_l0": (16,), "bias_hh_l0": (16,)}
    ours = NumpyPort(two, normal(5, **{f"rnn__{name}": shape for name, shape in shapes.items()}))
    theirs = NumpyPort(one, normal(6, rnn__w_ih=(16, 4), rnn__w_hh=(16, 4), rnn__bias=(16,)))
    layout = infer_by_behaviour(ours, theirs, (X,), (X,))
    assert [move.confirmed for move in layout.moves] == ["behaviour"] * 3
    made = layout.apply(ours.parameters)
    swap = np.r_[0:8, 12:16, 8:12]
    assert np.array_equal(made["rnn.w_hh"], ours.parameters["rnn.weight_hh_l0"][swap])
    total = ours.parameters["rnn.bias_ih_l0"] + ours.parameters["rnn.bias_hh_l0"]
    assert np.array_equal(made["rnn.bias"], total[swap])


def test_a_function_without_modules():
    def plain(p, see, x):
        h = see("h", "", np.tanh(x @ p["W1"] + p["b1"]))
        return h @ p["W2"] + p["b2"]

    theirs = NumpyPort(plain, normal(7, W1=(4, 4), b1=(4,), W2=(4, 4), b2=(4,)))

    def tapped(p, see, x):
        h = see("h", "", np.tanh(x @ p["0.weight"].T + p["0.bias"]))
        return h @ p["2.weight"].T + p["2.bias"]

    shapes = {"0.weight": (4, 4), "0.bias": (4,), "2.weight": (4, 4), "2.bias": (4,)}
    ours = NumpyPort(tapped, normal(8, **shapes))
    layout = infer_by_behaviour(ours, theirs, (X,), (X,))
    assert told(layout) == {
        "W1": ("= 0.weight transposed", "by behaviour"),
        "b1": ("= 0.bias", "by behaviour"),
        "W2": ("= 2.weight transposed", "by behaviour"),
        "b2": ("= 2.bias", "by behaviour"),
    }


def test_parameters_that_are_there_already_are_not_transferred_even_with_a_mistake():
    ours, theirs = mlp(False, ("fc1", "fc2")), mlp(True, ("dense_0", "dense_1"))
    layout, needed = infer_layout(ours, theirs, (X,), (X,))
    assert needed
    held = NumpyPort(theirs.fun, transfer(ours, layout))
    again, needed = infer_layout(ours, held, (X,), (X,))
    assert not needed
    assert held.calls == 0
    assert [move.pieces for move in again.moves] == [move.pieces for move in layout.moves]
    forgotten = NumpyPort(
        theirs.fun, transfer(ours, layout) | {"dense_1.kernel": ours.parameters["fc2.weight"]}
    )
    layout, needed = infer_layout(ours, forgotten, (X,), (X,))
    assert not needed
    assert told(layout)["dense_1.kernel"] == ("= fc2.weight", "by value")


def test_biases_of_zeros_are_completed_by_behaviour():
    ours, theirs = mlp(False, ("fc1", "fc2")), mlp(True, ("dense_0", "dense_1"))
    ours.parameters |= {path: np.zeros(4) for path in ("fc1.bias", "fc2.bias")}
    held = NumpyPort(theirs.fun, transfer(ours, infer_layout(ours, theirs, (X,), (X,))[0]))
    layout, needed = infer_layout(ours, held, (X,), (X,))
    assert not needed
    assert told(layout)["dense_1.bias"][0] == "= fc2.bias"


def test_a_layout_that_is_given(tmp_path):
    ours, theirs = mlp(False, ("fc1", "fc2")), mlp(True, ("dense_0", "dense_1"))
    layout = as_layout({"dense_0.kernel": "fc1.weight"}, ours, theirs)
    assert told(layout)["dense_0.kernel"] == ("= fc1.weight transposed", "given; 1 other way fits as well")
    assert "dense_1.kernel" in layout.unmatched
    assert "fc2.bias" in layout.unused
    (tmp_path / "layout.json").write_text(layout.to_json(), encoding="utf-8")
    assert as_layout(tmp_path / "layout.json", ours, theirs) == layout
    assert as_layout(layout, ours, theirs) == layout


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"dense_0.kernle": "fc1.weight"},
            "unknown leaf of the port 'dense_0.kernle'; did you mean 'dense_0.kernel'",
        ),
        (
            {"dense_0.kernel": "fc1.wieght"},
            "unknown leaf of the reference 'fc1.wieght'; did you mean 'fc1.weight'",
        ),
        ({"dense_0.kernel": "fc1.bias"}, "has not as many numbers"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(given, says):
    with pytest.raises(LayoutError) as caught:
        as_layout(given, mlp(False, ("fc1",)), mlp(True, ("dense_0",)))
    assert says in str(caught.value)


def test_a_thing_that_is_no_layout_is_refused():
    port = SimpleNamespace(parameters={}, buffers={})
    with pytest.raises(TypeError, match="a layout is a Layout"):
        as_layout(3, port, port)
    assert as_layout(Layout(()), port, port) == Layout(())
