"""Layouts inferred by exact values."""

import numpy as np
import pytest

from gradproof.porting.layouts.values import infer_by_value

RNG = np.random.default_rng(0)
E, H, D = 12, 3, 4


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def inferred(ours, theirs):
    """The layout, which has to make the port's values."""
    layout = infer_by_value(ours, theirs)
    made = layout.apply(ours)
    for path, leaf in made.items():
        assert leaf.shape == theirs[path].shape
        assert np.allclose(leaf, theirs[path], rtol=1e-6, atol=0)
    return layout


def said(ours, theirs):
    return {row.leaf: row.comes for row in inferred(ours, theirs).table()}


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (2, 3, 1, 0), (3, 2, 0, 1), (1, 0, 3, 2)])
def test_any_order_of_axes(axes):
    w = normal(6, 3, 2, 2)
    move = inferred({"w": w}, {"k": w.transpose(axes).copy()}).moves[0]
    assert move.pieces[0].axes == axes
    assert move.confirmed == "value"
    assert move.alternatives == 0


def test_axes_of_length_one_stay_with_their_meaning():
    w = normal(6, 3, 1, 1)
    assert said({"w": w}, {"k": w.transpose(2, 3, 1, 0)}) == {"k": "= w axes (2, 3, 1, 0) (OIHW → HWIO)"}


def test_fused_attention_is_cut():
    w, b, o = normal(3 * E, E), normal(3 * E), normal(E, E)
    port = {
        "query": w[:E].T.reshape(E, H, D),
        "value": w[2 * E :].T.reshape(E, H, D),
        "key_bias": b[E : 2 * E].reshape(H, D),
        "out": o.T.reshape(H, D, E),
    }
    found = said({"in_proj": w, "in_bias": b, "out": o}, port)
    assert found["query"] == "= in_proj[0:12] transposed (block 1 of 3 along axis 0), reshaped"
    assert found["value"] == "= in_proj[24:36] transposed (block 3 of 3 along axis 0), reshaped"
    assert found["key_bias"] == "= in_bias[12:24] (block 2 of 3 along axis 0), reshaped"
    assert found["out"] == "= out transposed, reshaped"


def test_split_attention_is_joined():
    parts = {name: normal(E, H, D) for name in ("q", "k", "v")}
    fused = np.concatenate([parts[name].reshape(E, E).T for name in ("k", "q", "v")])
    move = inferred(parts, {"qkv": fused}).moves[0]
    assert [piece.source for piece in move.pieces] == ["k", "q", "v"]


def test_gates_in_another_order():
    w = normal(16, 5)
    fused = w.reshape(4, 4, 5)[[0, 1, 3, 2]].reshape(16, 5).T
    found = said({"w": w}, {"k": fused.copy()})["k"]
    assert found == "= w[0:8] transposed, w[12:16] transposed, w[8:12] transposed joined along axis 1"


def test_a_sum_of_two_biases_whole_in_blocks_and_in_part():
    b, c = normal(9), normal(9)
    total = b + c
    found = said({"b": b, "c": c}, {"all": total, "block": total[3:6].copy(), "gru": np.r_[total[:6], b[6:]]})
    assert found["all"] == "= sum of b and c"
    assert found["block"] == "= sum of b[3:6] and c[3:6]"
    assert found["gru"] == "= b[0:6] + c[0:6], b[6:9] joined along axis 0"


def test_a_sum_that_was_rounded_otherwise():
    b, c = normal(9), normal(9)
    total = np.nextafter(b + c, np.float32(np.inf))
    assert said({"b": b, "c": c}, {"all": total}) == {"all": "= sum of b and c"}
    assert infer_by_value({"b": b, "c": c}, {"all": (b + c) * np.float32(1.00001)}).unmatched == ("all",)


def test_a_kernel_that_runs_backwards():
    w = normal(3, 4, 2, 2)
    assert "flipped along axes 2, 3" in said({"w": w}, {"k": w.transpose(2, 3, 0, 1)[::-1, ::-1].copy()})["k"]


def test_features_that_were_flattened_in_another_order():
    w = normal(10, 24)
    port = w.reshape(10, 2, 3, 4).transpose(2, 3, 1, 0).reshape(24, 10)
    assert said({"w": w}, {"k": port})["k"] == "= w read as (10, 2, 12) axes (2, 1, 0), reshaped"


def test_heads_that_are_interleaved():
    w = normal(3 * E, E)
    port = w.reshape(H, 3, D, E)[:, 1].reshape(E, E).T
    assert "block 2 of 3" in said({"w": w}, {"k": port.copy()})["k"]


def test_the_port_in_another_dtype():
    w, v = normal(8, 8), normal(16, 4)
    for dtype in (np.float64, np.float16):
        assert inferred_loosely({"w": w, "v": v}, {"k": w.T.astype(dtype), "u": v[8:].astype(dtype)}) == 2


def inferred_loosely(ours, theirs):
    return len(infer_by_value(ours, theirs).moves)


def test_bfloat16_comes_as_float32():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    w = normal(90, 30)
    rounded = w.astype(ml_dtypes.bfloat16).astype(np.float32)
    port = {"q": rounded[:30].T.reshape(30, 5, 6), "k": rounded[30:60].T.copy(), "all": rounded.T.copy()}
    layout = infer_by_value({"w": w}, port)
    assert [move.target for move in layout.moves] == ["q", "k", "all"]
    assert layout.moves[1].pieces[0].start == 30


def test_zeros_and_ones_are_told_apart_by_their_paths():
    ours = {
        "fc1.weight": normal(4, 5), "fc1.bias": np.zeros(4, np.float32),
        "fc2.weight": normal(4, 4), "fc2.bias": np.zeros(4, np.float32), "norm.weight": np.ones(4, np.float32),
    }  # fmt: skip
    port = {
        "layers[1].bias": np.zeros(4, np.float32), "layers[1].kernel": ours["fc2.weight"].T.copy(),
        "layers[0].bias": np.zeros(4, np.float32), "layers[0].kernel": ours["fc1.weight"].T.copy(),
        "norm.scale": np.ones(4, np.float32), "norm.bias": np.full(4, 2.0, np.float32),
    }  # fmt: skip
    layout = infer_by_value(ours, port)
    comes = {move.target: move.pieces[0].source for move in layout.moves}
    assert comes["layers[1].bias"] == "fc2.bias"
    assert comes["layers[0].bias"] == "fc1.bias"
    assert comes["norm.scale"] == "norm.weight"
    assert layout.unmatched == ("norm.bias",)


def test_a_symmetric_matrix_is_ambiguous_and_read_as_usual():
    w = normal(5, 5)
    move = infer_by_value({"fc.weight": w + w.T}, {"fc.kernel": w + w.T}).moves[0]
    assert move.pieces[0].axes == (1, 0)
    assert move.alternatives == 1


def test_values_that_are_of_nobody_are_not_matched():
    ours = {"w": normal(8, 8), "b": normal(8), "c": normal(8)}
    port = {"k": normal(8, 8), "b": normal(8), "half": np.r_[ours["b"][:4], normal(4)]}
    layout = infer_by_value(ours, port)
    assert layout.moves == ()
    assert layout.unmatched == ("k", "b", "half")
    assert layout.unused == ("w", "b", "c")


def test_a_mistake_in_a_square_matrix_is_reported_as_it_is():
    """It was copied without being transposed: by value that is what it is."""
    w = normal(6, 6)
    assert said({"fc.weight": w}, {"fc.kernel": w.copy()}) == {"fc.kernel": "= fc.weight"}


def test_one_changed_number_is_another_leaf():
    w = normal(6, 6)
    other = w.T.copy()
    other[2, 3] *= 1.001
    assert infer_by_value({"w": w}, {"k": other}).unmatched == ("k",)


def test_ties_go_to_two_leaves():
    w = normal(7, 4)
    layout = inferred({"emb": w}, {"emb": w.copy(), "head": w.T.copy()})
    assert [move.pieces[0].source for move in layout.moves] == ["emb", "emb"]
    pulled = layout.pull({"emb": np.ones((7, 4)), "head": np.ones((4, 7))})
    assert np.array_equal(pulled["emb"], np.full((7, 4), 2.0))
