"""Nodes of two ports are paired by role, shape, name and value; arrays are read in another order of axes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradproof.porting.alignment.align import align
from gradproof.porting.alignment.likeness import best_view
from gradproof.porting.port import Run, Seen
from gradproof.porting.views import View, views

SHAPES = st.lists(st.integers(1, 4), min_size=0, max_size=4).map(tuple)


def seen(name, value, role="output", kind="Linear"):
    key = f"{name} input" if role == "input" else name
    return Seen(name, role, kind, key, np.asarray(value), "float64")


def run(*nodes):
    return Run({}, {}, None, nodes)


def paired(ours, theirs):
    return [(pair.reference, pair.port) for pair in align(run(*ours), run(*theirs))]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@given(shape=SHAPES, seed=st.integers(0, 99))
def test_a_view_and_back_is_nothing(shape, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    due = tuple(rng.permutation(shape)) if shape else ()
    for view in views(shape, tuple(int(n) for n in due)):
        assert view.of(x).shape == view.due
        np.testing.assert_array_equal(view.back(view.of(x)), x)


def test_the_plainest_view_comes_first():
    first, *_ = views((3, 3, 2), (3, 3, 2))
    assert first.is_identity


def test_lengths_that_do_not_fit_are_reshaped_and_sizes_that_do_not_give_none():
    assert list(views((2, 6), (2, 3, 2))) == [View((2, 6), (0, 1), (2, 3, 2))]
    assert list(views((2, 6), (2, 5))) == []


def test_the_view_is_found_by_value_where_all_axes_are_as_long(rng):
    x = rng.normal(size=(4, 4, 4, 4))
    likeness, view = best_view(x, x.transpose(0, 2, 3, 1))
    assert likeness == 1
    assert view.axes == (0, 2, 3, 1)


def test_the_view_of_a_large_array_is_found_in_a_sample(rng):
    x = rng.normal(size=(32, 32, 32))
    assert best_view(x, x.transpose(2, 0, 1))[1].axes == (2, 0, 1)


def test_nodes_of_one_value_are_paired_whatever_they_are_called(rng):
    x, y, z = rng.normal(size=(3, 2, 5))
    ours = [seen("a", x), seen("b", y), seen("c", z)]
    theirs = [
        seen("p", x),
        seen("extra", rng.normal(size=(2, 5)), kind="Dropout"),
        seen("q", y),
        seen("r", z),
    ]
    assert paired(ours, theirs) == [("a", "p"), ("b", "q"), ("c", "r")]


def test_nodes_of_other_values_are_paired_by_name_kind_and_shape(rng):
    ours = [seen(f"layers.{i}", rng.normal(size=(2, 5))) for i in range(3)]
    theirs = [seen(f"layers[{i}]", rng.normal(size=(2, 5)), kind="Dense") for i in range(3)]
    assert paired(ours, theirs) == [(f"layers.{i}", f"layers[{i}]") for i in range(3)]


def test_what_has_nothing_in_common_stays_alone(rng):
    ours = [seen("head", rng.normal(size=(2, 5)))]
    theirs = [seen("norm", rng.normal(size=(5, 2)), kind="LayerNorm")]
    assert paired(ours, theirs) == []


def test_an_input_is_never_paired_with_an_output(rng):
    x = rng.normal(size=(2, 5))
    assert paired([seen("fc", x, role="input")], [seen("fc", x)]) == []


def test_inputs_are_paired_with_their_modules_only(rng):
    """What goes back through the input of a fused projection is the sum of what goes back through separate ones."""
    x, q, k = rng.normal(size=(3, 2, 5))
    ours = [seen("qk", x, role="input"), seen("qk", np.concatenate([q, k]))]
    theirs = [seen("q", x, role="input"), seen("q", q), seen("k", x, role="input"), seen("k", k)]
    assert paired(ours, theirs) == []
    assert paired(ours, ours) == [("qk input", "qk input"), ("qk", "qk")]


def test_the_input_of_a_layer_is_paired_even_if_it_equals_another_value(rng):
    """A residual that is missing makes the input of the normalisation after it equal to the branch alone."""
    x, branch = rng.normal(size=(2, 4, 5))
    norm = (x + branch) / 2
    ours = [
        seen("tok2", branch),
        seen("norm2", x + branch, role="input", kind="LayerNorm"),
        seen("norm2", norm, kind="LayerNorm"),
    ]
    theirs = [
        seen("t_out", branch),
        seen("ln_b", branch, role="input", kind="LayerNorm"),
        seen("ln_b", norm + 0.1, kind="LayerNorm"),
    ]
    assert ("norm2 input", "ln_b input") in paired(ours, theirs)


def test_inputs_are_not_paired_where_one_module_takes_more_of_them(rng):
    """`attention(x, x, x)` and `attention(x)`."""
    x, y = rng.normal(size=(2, 2, 5))
    ours = [seen("a", x, role="input"), seen("a", x, role="input"), seen("a", y)]
    assert paired(ours, [seen("a", x, role="input"), seen("a", y)]) == [("a", "a")]


def test_nodes_of_one_value_are_paired_in_another_order(rng):
    q, k, v = rng.normal(size=(3, 2, 5))
    ours = [seen("q", q), seen("k", k), seen("v", v)]
    theirs = [seen("value", v), seen("query", q), seen("key", k)]
    assert sorted(paired(ours, theirs)) == [("k", "key"), ("q", "query"), ("v", "value")]


def test_the_last_state_of_a_recurrence_is_not_its_last_output(rng):
    y, last = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 5))
    ours = [seen("rnn", y, kind="GRU"), seen("(whole)", last, kind="Net")]
    theirs = [seen("cell", last, kind="GRUCell"), seen("rnn", y, kind="RNN")]
    assert paired(ours, theirs) == [("rnn", "rnn")]


def test_axes_of_values_that_differ_are_read_as_those_of_values_that_do_not(rng):
    x, y = rng.normal(size=(2, 2, 2, 2, 2))
    moved = (0, 2, 3, 1)
    ours = [seen("a", x), seen("b", y)]
    theirs = [seen("a", x.transpose(moved)), seen("b", y.transpose(3, 1, 0, 2) + 0.1)]
    assert [pair.view.axes for pair in align(run(*ours), run(*theirs))] == [moved, moved]


def test_a_node_that_equals_a_third_is_not_paired_by_likeness(rng):
    """GELU is like its input: what a dropout after it is given is not what the GELU is given."""
    up = rng.normal(size=(4, 5))
    act = up * (up > 0)
    ours = [seen("up", up), seen("act", up, role="input", kind="GELU"), seen("act", act, kind="GELU")]
    theirs = [
        seen("up", up),
        seen("drop", act, role="input", kind="Dropout"),
        seen("drop", act, kind="Dropout"),
    ]
    assert paired(ours, theirs) == [("up", "up"), ("act", "drop")]


def test_after_the_first_difference_nodes_are_still_paired_by_what_they_are_like(rng):
    x, y = rng.normal(size=(2, 6, 7))
    ours = [seen("a", x), seen("b", y)]
    theirs = [seen("first", x + 0.1 * rng.normal(size=x.shape)), seen("second", y * 1.2)]
    assert paired(ours, theirs) == [("a", "first"), ("b", "second")]


def test_many_nodes_of_one_value_keep_their_order(rng):
    x = rng.normal(size=(2, 5))
    names = ["block", "block.conv", "block.relu"]
    assert paired([seen(n, x) for n in names], [seen(n, x) for n in names]) == [(n, n) for n in names]


def test_inputs_of_a_dropout_that_is_off_and_of_the_layer_before_it_are_no_pair(rng):
    """Both hand on one value: what the projection is given is not what the dropout is given."""
    y, before = rng.normal(size=(2, 3, 8))
    near = y * (1 + 1e-4 * rng.normal(size=y.shape))
    ours = [seen("drop", y, role="input", kind="Dropout"), seen("drop", y, kind="Dropout")]
    for due in (before.reshape(3, 2, 4), y.reshape(3, 2, 4) + 0.1 * before.reshape(3, 2, 4)):
        theirs = [seen("o", due, role="input", kind="DenseGeneral"), seen("o", near, kind="DenseGeneral")]
        assert paired(ours, theirs) == [("drop", "o")]
        assert paired(theirs, ours) == [("o", "drop")]


def test_inputs_of_an_attention_and_of_its_output_projection_are_no_pair(rng):
    x, y, before = rng.normal(size=(3, 3, 8))
    near = y * (1 + 1e-4 * rng.normal(size=y.shape))
    ours = [
        seen("attn", x, role="input", kind="MultiheadAttention"),
        seen("attn", y, kind="MultiheadAttention"),
    ]
    theirs = [seen("o", before, role="input", kind="Dense"), seen("o", near, kind="Dense")]
    assert paired(ours, theirs) == [("attn", "o")]


def test_a_state_of_the_whole_is_none_of_a_cell_that_is_called_for_every_step(rng):
    def cell(key, value):
        return Seen("", "output", "LSTMCell", key, value, "float64")

    h, c = rng.normal(size=(2, 1, 4))
    ours = [Seen("", "output", "LSTM", "(whole)[1]", h, "float64")]
    theirs = [cell("(whole)[1]", c[0]), cell("(whole)[1]#2", rng.normal(size=4))]
    assert paired(ours, theirs) == []
