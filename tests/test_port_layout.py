"""Layouts: applied, pulled back, inverted, told, saved."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradproof.porting.layouts.layout import Layout, LayoutError, Move, Piece
from gradproof.porting.layouts.transferring import transfer

SHAPES = {
    "w": (6, 4),
    "q": (4, 2, 3),
    "k": (4, 2, 3),
    "conv": (3, 2, 2, 5),
    "b1": (6,),
    "b2": (6,),
    "flat": (5, 12),
}

MOVES = (
    Move("kernel", (4, 6), (Piece("w", (1, 0)),), confirmed="value"),
    Move("again", (6, 4), (Piece("w", (0, 1)),), confirmed="behaviour"),
    Move("third", (2, 4), (Piece("w", (0, 1), 0, 2, 4),), confirmed="value"),
    Move("fused", (12, 4), (Piece("q", (1, 2, 0)), Piece("k", (1, 2, 0))), joined=0, confirmed="value"),
    Move("hwio", (2, 5, 2, 3), (Piece("conv", (2, 3, 1, 0), flipped=(2, 3)),), confirmed="value"),
    Move("sum", (6,), (Piece("b1", (0,)), Piece("b2", (0,))), alternatives=2, confirmed="value"),
    Move(
        "gru",
        (6,),
        (Piece("b1", (0,), 0, 0, 4), Piece("b2", (0,), 0, 0, 4, adds=True), Piece("b1", (0,), 0, 4, 6)),
        joined=0,
        confirmed="shape",
    ),
    Move("flat", (12, 5), (Piece("flat", (2, 1, 0), shape=(5, 3, 4)),), confirmed="given"),
    Move("none", (3,), ()),
)
LAYOUT = Layout(MOVES, ("lost",), (), SHAPES)


def filled(shapes, seed):
    rng = np.random.default_rng(seed)
    return {path: rng.normal(size=shape) for path, shape in shapes.items()}


def test_what_each_move_makes():
    ours = filled(SHAPES, 0)
    made = LAYOUT.apply(ours)
    w, conv = ours["w"], ours["conv"]
    assert np.array_equal(made["kernel"], w.T)
    assert np.array_equal(made["third"], w[2:4])
    assert np.array_equal(made["fused"], np.concatenate([ours[p].reshape(4, 6).T for p in "qk"]))
    assert np.array_equal(made["hwio"], conv[:, :, ::-1, ::-1].transpose(2, 3, 1, 0))
    assert np.array_equal(made["sum"], ours["b1"] + ours["b2"])
    assert np.array_equal(made["gru"], np.r_[(ours["b1"] + ours["b2"])[:4], ours["b1"][4:]])
    assert np.array_equal(made["flat"], ours["flat"].reshape(5, 3, 4).transpose(2, 1, 0).reshape(12, 5))
    assert np.array_equal(made["none"], np.zeros(3))
    assert "lost" not in made
    assert all(made[move.target].shape == move.shape for move in MOVES)


def test_what_is_made_shares_no_memory_with_the_reference():
    ours = filled(SHAPES, 0)
    before = ours["w"].copy()
    LAYOUT.apply(ours)["again"][:] = 0
    assert np.array_equal(ours["w"], before)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.sets(st.sampled_from([move.target for move in MOVES]), min_size=1))
def test_pull_is_the_adjoint_of_apply(seed, kept):
    """<apply(x), y> = <x, pull(y)>, whichever leaves have a gradient."""
    ours = filled(SHAPES, seed)
    made = LAYOUT.apply(ours)
    theirs = filled({path: made[path].shape for path in kept}, seed + 1)
    pulled = LAYOUT.pull(theirs)
    there = sum(np.vdot(made[path], y) for path, y in theirs.items())
    back = sum(np.vdot(ours[path], g) for path, g in pulled.items())
    size = sum(np.linalg.norm(made[path]) * np.linalg.norm(y) for path, y in theirs.items())
    assert abs(there - back) <= 1e-13 * (size + 1)


def test_both_terms_of_a_sum_get_the_gradient_and_all_uses_are_added_up():
    g = np.arange(6.0)
    pulled = LAYOUT.pull({"sum": g, "kernel": np.ones((4, 6)), "again": np.full((6, 4), 2.0)})
    assert np.array_equal(pulled["b1"], g)
    assert np.array_equal(pulled["b2"], g)
    assert np.array_equal(pulled["w"], np.full((6, 4), 3.0))
    assert "q" not in pulled


def test_the_way_back_makes_the_same_port():
    layout = Layout(tuple(move for move in MOVES if move.target not in ("gru", "again")), shapes=SHAPES)
    made = layout.apply(filled(SHAPES, 3))
    back = layout.inverse_apply(made)
    assert np.array_equal(back["b2"], np.zeros(6))
    again = layout.apply({**filled(SHAPES, 4), **back})
    assert all(np.allclose(again[path], x, rtol=1e-14, atol=0) for path, x in made.items())


def test_a_leaf_of_which_only_a_block_is_known_is_not_made():
    layout = Layout((MOVES[2],), shapes=SHAPES)
    assert layout.inverse_apply({"third": np.ones((2, 4))}) == {}


def test_json_is_read_as_it_was_written():
    assert Layout.from_json(LAYOUT.to_json()) == LAYOUT


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(moved=[]), "unknown key 'moved'; did you mean 'moves'"),
        (lambda d: d.update(gradproof_layout=2), "version 2"),
        (lambda d: d.pop("reference"), "has no 'reference'"),
        (lambda d: d["moves"][0]["from"][0].update(axis=0, start=2, stop=9), "has no block 2:9"),
        (lambda d: d["moves"][0]["from"][0].update(axes=[0, 0]), "no order"),
        (lambda d: d["moves"][0]["from"][0].update(leaf="conf"), "did you mean 'conv'"),
        (lambda d: d["moves"][0].update(shape=[4, 7]), "kernel has shape (4, 7); its pieces have 24 numbers"),
        (lambda d: d["moves"][0].update(confirmed="seen"), "unknown confirmation"),
        (lambda d: d["moves"][3]["from"][1].update(axes=[0, 1, 2]), "its pieces have shapes"),
        (lambda d: d["moves"].append(d["moves"][0]), "kernel is there twice"),
        (lambda d: d["moves"][0].update(alternatives=-1), "whole number"),
        (lambda d: d["reference"].update(w=[6, 5]), "kernel has shape"),
    ],
)
def test_what_does_not_fit_is_refused(change, says):
    data = json.loads(LAYOUT.to_json())
    change(data)
    with pytest.raises(LayoutError) as caught:
        Layout.from_json(json.dumps(data))
    assert says in str(caught.value)


def test_text_that_is_no_json_is_refused():
    with pytest.raises(LayoutError, match="not JSON"):
        Layout.from_json("{")


def test_words():
    said = {row.leaf: (row.comes, row.known) for row in LAYOUT.table()}
    assert said["kernel"] == ("= w transposed", "by value")
    assert said["again"] == ("= w", "by behaviour")
    assert said["third"] == ("= w[2:4] (block 2 of 3 along axis 0)", "by value")
    assert said["fused"][0] == "= q axes (1, 2, 0), k axes (1, 2, 0) joined along axis 0, reshaped"
    assert said["hwio"][0] == "= conv flipped along axes 2, 3 axes (2, 3, 1, 0) (OIHW → HWIO)"
    assert said["sum"] == ("= sum of b1 and b2", "by value; 2 other ways fit as well")
    assert said["gru"] == ("= b1[0:4] + b2[0:4], b1[4:6] joined along axis 0", "by name and shape only")
    assert said["flat"] == ("= flat read as (5, 3, 4) axes (2, 1, 0), reshaped", "given")
    assert said["none"] == ("= zeros", "")
    assert said["lost"] == ("comes from nothing in the reference", "")
    assert "kernel  (4, 6)" in str(LAYOUT)


def test_transfer_takes_arrays_of_a_framework():
    torch = pytest.importorskip("torch")
    ours = {path: torch.randn(shape) for path, shape in SHAPES.items()}
    made = transfer(ours, LAYOUT)
    assert np.array_equal(made["kernel"], ours["w"].numpy().T)


def test_transfer_says_what_is_missing():
    ours = filled(SHAPES, 0)
    with pytest.raises(LayoutError, match="needs conv, which is not among the 6"):
        transfer({path: x for path, x in ours.items() if path != "conv"}, LAYOUT)
    with pytest.raises(LayoutError, match=r"w has shape \(4, 6\); the layout is of \(6, 4\)"):
        transfer(ours | {"w": ours["w"].T}, LAYOUT)
    with pytest.raises(TypeError, match="a port, or arrays by path"):
        transfer([1.0], LAYOUT)
