"""Layouts are found though the port has a mistake elsewhere, or one side sets values to zero at random."""

import numpy as np
import pytest

from gradproof.porting.layouts.fillings import filled
from gradproof.porting.layouts.layout import Layout
from gradproof.porting.layouts.leftovers import with_leftovers
from gradproof.porting.layouts.steady import steady_run
from gradproof.porting.layouts.trials import infer_by_behaviour
from gradproof.porting.port import Call, Run, Seen

WIDTH, HEADS = 8, 2
X = np.random.default_rng(5).normal(size=(3, 5, WIDTH))


class Port:
    """A forward pass `fun(leaves, layer, x)`, where `layer(name, kind, x, f)` is a module that makes f(x) of x."""

    framework, modules, has_loss, differentiates, shared, buffers = "numpy", {}, False, False, {}, {}

    def __init__(self, fun, **shapes):
        rng = np.random.default_rng(len(shapes))
        self.fun = fun
        self.parameters = {path.replace("__", "."): rng.normal(size=shape) for path, shape in shapes.items()}

    def run(self, call):
        nodes = []

        def seen(name, role, kind, value):
            key = name if role == "output" else f"{name} input"
            nodes.append(Seen(name, role, kind, key, value, "float64"))
            return call.forced[key].value if key in call.forced else value

        def layer(name, kind, x, f):
            return seen(name, "output", kind, f(seen(name, "input", kind, x)))

        out = self.fun(call.parameters or self.parameters, layer, *call.inputs)
        return Run({"(output)": out}, {"(output)": "float64"}, None, tuple(nodes))


def norm(p, x, eps):
    scale = p["n.weight"] if "n.weight" in p else p["n.scale"]
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * scale + p["n.bias"]


def attended(q, k, v, scale=1.0):
    scores = scale * np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(WIDTH // HEADS)
    weights = np.exp(scores)
    return np.einsum("bhqk,bkhd->bqhd", weights / weights.sum(-1, keepdims=True), v)


def fused(p, x):
    parts = np.split(x @ p["attn.in_proj_weight"].T + p["attn.in_proj_bias"], 3, -1)
    q, k, v = (part.reshape(*x.shape[:2], HEADS, -1) for part in parts)
    made = attended(q, k, v).reshape(x.shape)
    return made @ p["attn.out_proj.weight"].T + p["attn.out_proj.bias"]


def dropped(x):
    return x


def thinned(rng):
    return lambda x: x * (rng.random(x.shape) > 0.2) / 0.8


def reference(drop=dropped):
    def fun(p, layer, x):
        h = layer("n", "LayerNorm", x, lambda x: norm(p, x, 1e-5))
        a = layer("attn", "MultiheadAttention", h, lambda h: fused(p, h))
        a = layer("drop", "Dropout", a, drop) if drop else a
        return layer("head", "Linear", x + a, lambda x: x @ p["head.weight"].T + p["head.bias"])

    return Port(
        fun, n__weight=(WIDTH,), n__bias=(WIDTH,), attn__in_proj_weight=(3 * WIDTH, WIDTH),
        attn__in_proj_bias=(3 * WIDTH,), attn__out_proj__weight=(WIDTH, WIDTH), attn__out_proj__bias=(WIDTH,),
        head__weight=(3, WIDTH), head__bias=(3,),
    )  # fmt: skip


def apart(eps=1e-5, scale=1.0):
    def fun(p, layer, x):
        h = layer("n", "LayerNorm", x, lambda x: norm(p, x, eps))
        q, k, v = (
            layer(name, "DenseGeneral", h, lambda h, n=name: np.tensordot(h, p[f"{n}.kernel"], 1) + p[f"{n}.bias"])
            for name in "qkv"
        )  # fmt: skip
        a = attended(q, k, v, scale)
        a = layer("o", "DenseGeneral", a, lambda a: np.tensordot(a, p["o.kernel"], 2) + p["o.bias"])
        return layer("head", "Dense", x + a, lambda x: x @ p["head.kernel"] + p["head.bias"])

    split = (HEADS, WIDTH // HEADS)
    parts = {f"{n}__kernel": (WIDTH, *split) for n in "qkv"} | {f"{n}__bias": split for n in "qkv"}
    return Port(
        fun, n__scale=(WIDTH,), n__bias=(WIDTH,), **parts, o__kernel=(*split, WIDTH), o__bias=(WIDTH,),
        head__kernel=(WIDTH, 3), head__bias=(3,),
    )  # fmt: skip


def sources(layout):
    return {move.target: {piece.source for piece in move.pieces} for move in layout.moves}


@pytest.mark.parametrize("drop", [None, dropped])
def test_another_eps_before_an_attention_leaves_the_layout_known(drop):
    layout = infer_by_behaviour(reference(drop), apart(eps=1e-6), (X,), (X,))
    assert (layout.unmatched, layout.unused) == ((), ())
    assert {move.target for move in layout.moves if move.confirmed != "behaviour"} == set()
    assert sources(layout)["q.kernel"] == {"attn.in_proj_weight"}


@pytest.mark.parametrize("drop", [None, dropped])
def test_a_mistake_in_the_attention_leaves_it_known_by_name_and_shape(drop):
    layout = infer_by_behaviour(reference(drop), apart(scale=3.0), (X,), (X,))
    assert (layout.unmatched, layout.unused) == ((), ())
    known = {move.target: move.confirmed for move in layout.moves}
    assert (known["v.kernel"], known["n.scale"]) == ("shape", "behaviour")
    starts = {
        m.target: m.pieces[0].start for m in layout.moves if m.target in ("q.kernel", "k.kernel", "v.kernel")
    }
    assert starts == {"q.kernel": 0, "k.kernel": WIDTH, "v.kernel": 2 * WIDTH}


def test_dropout_that_is_on_does_not_hide_the_layout():
    layout = infer_by_behaviour(reference(thinned(np.random.default_rng(0))), apart(), (X,), (X,))
    assert (layout.unmatched, layout.unused) == ((), ())
    assert {move.confirmed for move in layout.moves} == {"behaviour"}


def test_dropouts_one_after_another_hand_on_what_they_are_given():
    def fun(_, layer, x):
        x = layer("one", "Dropout", x, thinned(rng)) * 2
        return layer("two", "DropPath", x, thinned(rng)) + 1

    rng = np.random.default_rng(0)
    run = steady_run(Port(fun), Call((X,), forward_only=True))
    assert np.array_equal(run.outputs["(output)"], 2 * X + 1)
    assert np.array_equal(run.by_key["two"].value, 2 * X)


def test_what_is_unused_goes_to_what_has_no_origin_where_it_fits():
    shapes = {"in.weight": (12, 4), "in.bias": (12,), "ln.weight": (4,)}
    targets = {
        "q.kernel": (4, 4),
        "k.kernel": (4, 4),
        "v.kernel": (4, 4),
        "odd.kernel": (7, 7),
        "v.bias": (4,),
    }
    layout = with_leftovers(Layout((), tuple(targets), tuple(shapes), shapes), targets)
    assert {move.target: (move.pieces[0].source, move.pieces[0].start) for move in layout.moves} == {
        "q.kernel": ("in.weight", 0),
        "k.kernel": ("in.weight", 4),
        "v.kernel": ("in.weight", 8),
        "v.bias": ("in.bias", 8),
    }
    assert (layout.unmatched, layout.unused) == (("odd.kernel",), ("ln.weight",))
    assert {move.confirmed for move in layout.moves} == {"shape"}


def test_running_means_are_of_both_signs():
    """With means near 1 of values near 0 a ReLU hands on nothing: every order of the next kernel's axes would fit."""
    leaves = {"bn.running_mean": np.zeros(64), "bn.running_var": np.ones(64)}
    made = filled(leaves, leaves, 0)
    assert made["bn.running_mean"].min() < 0 < made["bn.running_mean"].max()
    assert made["bn.running_var"].min() > 0
