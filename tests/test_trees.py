"""Trees come apart into named leaves, in the order they were written, and go together again as they were."""

from collections import OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import optree
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradproof.trees import ROOT, flatten, leaves_by_path


class Layer(NamedTuple):
    weight: Any
    bias: Any


Pair = namedtuple("Pair", ["bias", "weight"])


@dataclass
class Plain:
    weight: Any
    bias: Any = None


@dataclass(frozen=True)
class Frozen:
    weight: Any
    activation: Any = field(default="tanh", metadata={"static": True})


@dataclass(frozen=True, slots=True)
class Slotted:
    bias: Any
    name: str = field(metadata={"static": True})
    weight: Any


@dataclass
class Careful:
    """Refuses in its constructor what it may well hold: another leaf than a number."""

    weight: Any
    size: int = field(init=False, default=0, metadata={"static": True})

    def __post_init__(self):
        if not isinstance(self.weight, int):
            raise TypeError


class Inherited(Plain):
    """A dataclass by inheritance."""


def round_trip(tree):
    leaves, structure = flatten(tree)
    return structure.unflatten(leaves)


def paths(tree):
    return list(leaves_by_path(tree))


# Random trees

keys = st.one_of(
    st.text(max_size=3),
    st.integers(-3, 3),
    st.sampled_from(["weight", "class", "a.b", "[0]", "params", ""]),
    st.tuples(st.integers(0, 2), st.text(max_size=1)),
    st.binary(max_size=1),
)


@st.composite
def trees(draw, depth=3):
    """Trees of at most this depth."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.integers() | st.none())
    return draw(nodes(depth - 1))


@cache
def nodes(depth):
    """Nodes of every kind, holding trees of at most this depth."""
    below = trees(depth)
    items = st.lists(st.tuples(keys, below), max_size=4)
    row = st.lists(below, max_size=4)
    return st.one_of(
        items.map(dict),
        items.map(OrderedDict),
        items.map(lambda pairs: defaultdict(list, pairs)),
        row,
        row.map(tuple),
        row.map(deque),
        st.builds(Layer, below, below),
        st.builds(Pair, below, below),
        st.builds(Plain, below, below),
        st.builds(Inherited, below, below),
        st.builds(Frozen, below, st.sampled_from(["relu", None, abs])),
        st.builds(Slotted, below, st.text(max_size=2), below),
    )


unhurried = settings(deadline=None)


def children(node):
    """What `node` holds, in the order it was written; None for a leaf."""
    if isinstance(node, Slotted):
        return [node.bias, node.weight]
    if isinstance(node, Frozen):
        return [node.weight]
    if isinstance(node, Plain):
        return [node.weight, node.bias]
    if isinstance(node, dict):
        return list(node.values())
    return list(node) if isinstance(node, list | tuple | deque) else None


def as_written(node):
    """Leaves of `node`, depth first."""
    if node is None:
        return []
    below = children(node)
    return [node] if below is None else [leaf for child in below for leaf in as_written(child)]


def same(a, b):
    """Whether two trees are equal, and of the same types and orders all the way down."""
    if type(a) is not type(b) or a != b:
        return False
    if isinstance(a, dict) and list(a) != list(b):
        return False
    return all(map(same, children(a) or [], children(b) or []))


@unhurried
@given(trees())
def test_a_tree_goes_together_as_it_was(tree):
    assert same(round_trip(tree), tree)


@unhurried
@given(trees())
def test_leaves_come_in_the_order_they_were_written(tree):
    assert flatten(tree)[0] == as_written(tree)


@unhurried
@given(trees())
def test_every_leaf_has_a_path_of_its_own(tree):
    leaves, structure = flatten(tree)
    assert len(set(structure.paths)) == len(structure.paths) == len(leaves)


@unhurried
@given(trees())
def test_leaves_by_path_loses_nothing(tree):
    assert list(leaves_by_path(tree).values()) == as_written(tree)


@unhurried
@given(trees(), st.data())
def test_new_leaves_take_the_places_of_the_old(tree, data):
    old, structure = flatten(tree)
    new = data.draw(st.permutations(range(len(old))))
    assert as_written(structure.unflatten(new)) == new


@unhurried
@given(trees())
def test_two_trees_of_one_form_have_one_structure(tree):
    _, structure = flatten(tree)
    assert flatten(structure.unflatten(range(len(structure.paths))))[1] == structure


# Paths


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (1, [ROOT]),
        ([1, 2], ["[0]", "[1]"]),
        ((1, (2,)), ["[0]", "[1][0]"]),
        ({"w": 1, "b": 2}, ["w", "b"]),
        ({"layers": [{"weight": 1}, {"weight": 2}]}, ["layers[0].weight", "layers[1].weight"]),
        ([Layer(1, 2)], ["[0].weight", "[0].bias"]),
        (Layer({"a": 1}, 2), ["weight.a", "bias"]),
        (Plain(1, [2, 3]), ["weight", "bias[0]", "bias[1]"]),
        (Slotted(1, "name", 2), ["bias", "weight"]),
        ({"a.b": 1, "": 2, "two words": 3}, ["['a.b']", "['']", "['two words']"]),
        ({0: 1, "0": 2, (0, 1): 3, b"0": 4}, ["[0]", "['0']", "[(0, 1)]", "[b'0']"]),
        ({"a": {"b": 1}, "a.b": 2}, ["a.b", "['a.b']"]),
        ({"a": [1], "a[0]": 2}, ["a[0]", "['a[0]']"]),
        ({"b": 1, "a": 2}, ["b", "a"]),
        ({"b": 1, 0: 2}, ["b", "[0]"]),
        (deque([1, 2]), ["[0]", "[1]"]),
    ],
)
def test_a_path_reads_like_the_expression_that_takes_the_leaf(tree, expected):
    assert paths(tree) == expected


@pytest.mark.parametrize("empty", [None, [], {}, (), [None, {"a": ()}], Plain(None)])
def test_none_and_empty_containers_hold_no_leaf(empty):
    assert flatten(empty)[0] == []


def test_the_path_of_a_bare_array_is_that_of_no_leaf_in_a_tree():
    assert paths({ROOT: 1}) != paths(1)


def test_none_keeps_its_place():
    assert round_trip([1, None, {"a": None, "b": 2}]) == [1, None, {"a": None, "b": 2}]


def test_a_dict_keeps_its_order_when_it_goes_together():
    assert list(round_trip({"b": 1, "a": 2, 0: 3})) == ["b", "a", 0]


def test_an_array_is_a_leaf():
    array = np.zeros((2, 2))
    assert flatten({"a": array})[0][0] is array


# Dataclasses


def test_a_static_field_is_no_leaf():
    assert leaves_by_path(Frozen(1, activation="relu")) == {"weight": 1}


def test_a_static_field_goes_along():
    _, structure = flatten(Frozen(1, activation="relu"))
    assert structure.unflatten([2]) == Frozen(2, activation="relu")


def test_a_static_field_may_hold_anything():
    constant = np.ones(3)
    _, structure = flatten(Frozen(1, activation=constant))
    assert structure.unflatten([2]).activation is constant


def test_a_dataclass_is_rebuilt_past_its_constructor():
    _, structure = flatten(Careful(1))
    assert structure.unflatten([None]).weight is None


def test_dataclasses_may_be_nested_in_anything_and_in_each_other():
    tree = {"a": [Plain(Frozen(1), Slotted(2, "name", (Plain(3),)))]}
    assert paths(tree) == ["a[0].weight.weight", "a[0].bias.bias", "a[0].bias.weight[0].weight"]
    assert round_trip(tree) == tree


def test_dataclasses_never_seen_before_are_found_inside_each_other():
    @dataclass
    class Outer:
        inner: Any

    @dataclass
    class Inner:
        leaf: Any

    assert paths(Outer([Inner(Outer(1))])) == ["inner[0].leaf.inner"]


def test_the_class_of_a_dataclass_is_a_leaf():
    assert flatten([Plain])[0] == [Plain]


def test_other_users_of_optree_see_no_change():
    tree = {"b": Plain(1, 2), "a": 3}
    before = optree.tree_leaves(tree)
    flatten(tree)
    assert optree.tree_leaves(tree) == before == [3, Plain(1, 2)]


# Too few and too many


@pytest.mark.parametrize("leaves", [[], [1], [1, 2, 3]])
def test_a_wrong_number_of_leaves_is_refused(leaves):
    with pytest.raises(ValueError, match="leaves"):
        flatten([0, 0])[1].unflatten(leaves)
