"""Which entries are wrong: named in a few evaluations, in words where there are many, and never an innocent one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradproof.check import check
from gradproof.judging.probes import Probes
from gradproof.locating import by_reference, by_values
from gradproof.locating.patterns import pattern_of
from gradproof.locating.scope import Scope
from gradproof.locating.search import Search
from gradproof.numeric.probe import sign_probe
from gradproof.numeric.sampling import sampler_for
from gradproof.point import take_point
from gradproof.verdict import Estimate, Verdict


def wells(x, c):
    """Terms of every order, coupled by the last."""
    return np.sum(c * np.sin(x) + 0.1 * x**3) + np.log(np.sum(np.cosh(x)))


def wells_gradient(x, c):
    return c * np.cos(x) + 0.3 * x**2 + np.sinh(x) / np.sum(np.cosh(x))


def claim(values):
    return Estimate(values, 2.0**-50 * np.abs(values))


def planted(shape, change, seed=0):
    """Probes of `wells`, a gradient with `change` made to it in place, and which entries that changed."""
    rng = np.random.default_rng(seed)
    x, c = rng.normal(size=shape), rng.normal(size=shape)
    right = wells_gradient(x, c)
    wrong = right.copy()
    change(wrong, rng)
    probes = Probes(sampler_for(wells, take_point(x, (c,))), rng)
    return probes, wrong, right


def located(shape, change, seed=0):
    probes, wrong, _ = planted(shape, change, seed)
    return by_values("hand", 0, [claim(wrong)], probes)


def factor_at(count, factor):
    def change(g, rng):
        g.reshape(-1)[rng.choice(g.size, count, replace=False)] *= factor

    return change


def changed(wrong, right):
    return {tuple(map(int, index)) for index in np.argwhere(wrong != right)}


# One by one


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("count", "most"), [(1, 20), (3, 80), (10, 320)])
def test_the_exact_set_is_named(count, most, seed):
    probes, wrong, right = planted((40, 50), factor_at(count, 1.001), seed)
    location = by_values("hand", 0, [claim(wrong)], probes).location
    assert set(location.entries) == changed(wrong, right)
    assert location.count == count
    assert location.evaluations <= most


def test_one_wrong_entry_of_many_costs_next_to_nothing():
    probes, wrong, _ = planted((300, 300), factor_at(1, 1.001))
    assert by_values("hand", 0, [claim(wrong)], probes).location.evaluations <= 10


def test_errors_and_bars_are_those_of_the_entries():
    probes, wrong, right = planted((40, 50), factor_at(3, 1.01))
    location = by_values("hand", 0, [claim(wrong)], probes).location
    for index, error, bar in zip(location.entries, location.errors, location.bars, strict=True):
        assert abs(error - (wrong[index] - right[index])) <= bar
        assert bar < abs(error) / 10


def test_a_small_error_beside_a_large_one_is_named_too():
    def change(g, _rng):
        g[3, 4] += 1.0
        g[20, 30] += 1e-6

    location = located((40, 50), change).location
    assert set(location.entries) == {(3, 4), (20, 30)}


def test_two_errors_that_cancel_in_a_plain_sum_are_named():
    def change(g, _rng):
        g[3, 4] += 0.1
        g[20, 30] -= 0.1

    assert set(located((40, 50), change).location.entries) == {(3, 4), (20, 30)}


@pytest.mark.parametrize("seed", range(30))
def test_a_right_gradient_has_no_wrong_entry(seed):
    probes, wrong, _ = planted((30, 30), lambda g, rng: None, seed)
    assert by_values("hand", 0, [claim(wrong)], probes) is None


def test_every_entry_of_a_small_leaf_is_read():
    location = located((6,), lambda g, rng: g.__imul__(1.1)).location
    assert (location.pattern, location.count) == ("whole", 6)


# Many


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ("row 3", lambda g, rng: g.__setitem__(3, 0.0)),
        ("column 79", lambda g, rng: g.__setitem__((slice(None), -1), 0.0)),
        ("rows 10:20 × columns 3:9", lambda g, rng: g.__setitem__((slice(10, 20), slice(3, 9)), 0.0)),
        ("every entry", lambda g, rng: g.__imul__(1.02)),
        ("every second entry", lambda g, rng: g.reshape(-1).__setitem__(slice(None, None, 2), 0.0)),
    ],
)
def test_many_wrong_entries_are_told_by_what_they_have_in_common(where, change):
    location = located((60, 80), change).location
    assert location.where == where
    assert location.evaluations <= 250


def test_half_of_the_entries_at_random_is_scattered():
    location = located((60, 80), lambda g, rng: g.__setitem__(rng.random(g.shape) < 0.5, 0.0)).location
    assert location.pattern == "scattered"
    assert location.count is None
    assert 0.1 < location.share < 0.9


def test_a_search_that_is_given_up_says_that_there_are_others():
    location = located((60, 80), factor_at(100, 1.5)).location
    assert location.count is None
    assert "others" in location.where or "about" in location.where


# By another source


def test_another_source_names_all_entries_at_no_cost():
    _, wrong, right = planted((20, 30), factor_at(4, 1.01))
    location = by_reference("hand", "w", claim(wrong), claim(right)).location
    assert set(location.entries) == changed(wrong, right)
    assert location.evaluations == 0
    assert list(np.abs(location.errors)) == sorted(np.abs(location.errors), reverse=True)


def test_what_lies_within_both_bars_is_not_wrong():
    right = np.linspace(1, 2, 6)
    assert by_reference("hand", "w", claim(right * (1 + 2.0**-52)), claim(right)) is None


def test_an_entry_that_is_not_a_number_is_wrong():
    wrong = np.linspace(1, 2, 6)
    right = wrong.copy()
    wrong[2] = np.nan
    assert by_reference("hand", "w", claim(wrong), claim(right)).location.entries == ((2,),)


# Patterns


@pytest.mark.parametrize(
    ("shape", "index", "kind", "where"),
    [
        ((4, 5), (2, slice(None)), "slice", "row 2"),
        ((4, 5), (slice(None), 0), "slice", "column 0"),
        ((6, 5), ([0, 5], slice(None)), "slice", "rows 0 and 5"),
        ((4, 5), (1, 1), "entries", "one entry"),
        ((8, 8), (slice(0, 4), slice(0, 4)), "block", "rows 0:4 × columns 0:4"),
        ((3, 4, 5), (slice(None), 1), "slice", "index 1 of axis 1"),
        ((20,), (slice(5, 9),), "block", "entries 5:9"),
        ((), (), "whole", "its only entry"),
    ],
)
def test_words_for_a_pattern(shape, index, kind, where):
    wrong = np.zeros(shape, dtype=bool)
    wrong[index] = True
    assert pattern_of(wrong) == (kind, where)


def test_a_diagonal_is_told():
    assert pattern_of(np.eye(5, dtype=bool)).where == "the diagonal"


@given(arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 5))).filter(np.any))
@settings(max_examples=200, deadline=None)
def test_every_mask_has_a_pattern_and_only_a_full_one_is_whole(wrong):
    pattern = pattern_of(wrong)
    assert pattern.where
    assert (pattern.kind == "whole") == bool(wrong.all())


# Scope


def test_a_scope_numbers_the_entries_of_several_leaves_through():
    point = take_point({"a": np.arange(1.0, 4.0), "b": np.ones((2, 2)), "c": np.ones(3)}, ())
    scope = Scope(point, [0, 2])
    assert scope.size == 6
    assert scope.place(2) == (0, (2,))
    assert scope.place(4) == (2, (1,))


@given(st.sets(st.integers(0, 10), min_size=1))
@settings(max_examples=50, deadline=None)
def test_a_restricted_probe_moves_its_entries_and_no_others(entries):
    point = take_point({"a": np.linspace(1, 2, 5), "b": np.ones((2, 3))}, ())
    scope, chosen = Scope(point, [0, 1]), np.array(sorted(entries))
    probe = sign_probe(point, np.random.default_rng(0), 2.0**-53)
    restricted = scope.only(probe, chosen)
    assert restricted.count == len(entries)
    np.testing.assert_array_equal(scope.along(restricted, chosen), scope.along(probe, chosen))


def test_a_search_over_several_leaves():
    rng = np.random.default_rng(0)
    params = {"a": rng.normal(size=30), "b": rng.normal(size=(20, 20))}

    def fun(p):
        return np.sum(np.sin(p["a"])) * np.sum(p["b"] ** 2)

    right = [np.cos(params["a"]) * np.sum(params["b"] ** 2), 2 * params["b"] * np.sum(np.sin(params["a"]))]
    right[1][3, 4] *= 1.01
    probes = Probes(sampler_for(fun, take_point(params, ())), rng)
    search = Search(
        probes, [claim(g) for g in right], Scope(take_point(params, ()), [0, 1]), probes.joint, 300
    )
    assert search.run()
    assert set(search.found) == {30 + 3 * 20 + 4}


# In a report


def test_a_report_locates_every_wrong_leaf():
    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=(30, 20)), "b": rng.normal(size=7), "s": np.asarray(0.4)}

    def fun(p):
        return np.sum(np.tanh(p["w"])) * p["s"] + np.sum(np.exp(p["b"]))

    def grad(p):
        w = p["s"] / np.cosh(p["w"]) ** 2
        w[4, 5] += 1e-3
        return {"w": w, "b": 1.5 * np.exp(p["b"]), "s": np.sum(np.tanh(p["w"]))}

    report = check(fun, params, grad=grad, sources=["numeric", "hand"])
    assert report.verdict is Verdict.DISAGREES
    by_leaf = {location.leaf: location for location in report.locations}
    assert set(by_leaf) == {"w", "b"}
    assert by_leaf["w"].entries == ((4, 5),)
    assert by_leaf["b"].pattern == "whole"


# Trees of many leaves


@pytest.mark.parametrize(("count", "wrong"), [(40, 1), (40, 3), (5, 1)])
def test_leaves_that_look_right_share_their_probes(count, wrong):
    rng = np.random.default_rng(0)
    params = {f"p{i}": rng.normal(size=(3, 4)) * 10.0 ** rng.integers(-2, 1) for i in range(count)}
    guilty = {f"p{i}" for i in rng.choice(count, wrong, replace=False)}

    def fun(p):
        return sum(np.sum(np.tanh(x) * np.cos(x)) for x in p.values())

    def grad(p):
        slopes = {k: np.cos(x) / np.cosh(x) ** 2 - np.tanh(x) * np.sin(x) for k, x in p.items()}
        return {k: 1.01 * g if k in guilty else g for k, g in slopes.items()}

    report = check(fun, params, grad=grad, sources=["numeric", "hand"])
    verdicts = {f.leaf: f.verdict for f in report.findings if f.what == "slope"}
    assert {leaf for leaf, verdict in verdicts.items() if verdict is Verdict.DISAGREES} == guilty
    assert {verdicts[leaf] for leaf in set(params) - guilty} == {Verdict.AGREES}
    assert report.sources["numeric"].calls < 300 + 4 * count + 80 * wrong


def test_a_small_mistake_beside_a_large_one_in_another_leaf_is_found():
    params = {"a": np.linspace(0.5, 1, 6), "b": np.linspace(1, 2, 6), "c": np.linspace(0.1, 0.9, 6)}

    def fun(p):
        return np.sum(np.exp(p["a"])) + np.sum(np.sin(p["b"])) + np.sum(p["c"] ** 3)

    def grad(p):
        return {"a": 2 * np.exp(p["a"]), "b": np.cos(p["b"]) * (1 + 1e-7), "c": 3 * p["c"] ** 2}

    report = check(fun, params, grad=grad, sources=["numeric", "hand"])
    wrong = {f.leaf for f in report.findings if f.verdict is Verdict.DISAGREES}
    assert wrong == {"a", "b"}


# What must not be believed


@pytest.mark.parametrize("seed", range(40))
def test_the_bar_of_a_named_error_holds_on_functions_of_any_curvature(seed):
    """The bar comes from the samples: steep, oscillating and flat entries side by side."""
    rng = np.random.default_rng(seed)
    x, k = rng.uniform(0.2, 2, 30), 10.0 ** rng.uniform(-1, 1.5, 30)
    right = np.cos(k * x) * k + 3 * x**2
    bad = rng.choice(30, 3, replace=False)
    wrong = right.copy()
    wrong[bad] += rng.normal(size=3)
    probes = Probes(sampler_for(lambda x: np.sum(np.sin(k * x) + x**3), take_point(x, ())), rng)
    located = by_values("hand", 0, [claim(wrong)], probes)
    if located is None:
        return
    for index, error, bar in zip(
        *(getattr(located.location, n) for n in ("entries", "errors", "bars")), strict=True
    ):
        assert abs(error - (wrong[index] - right[index])) <= bar


def test_the_claims_own_rounding_is_part_of_the_bar():
    probes, wrong, _ = planted((6,), lambda g, rng: None)
    coarse = [Estimate(wrong + 1e-3, np.full(6, 2e-3))]
    assert by_values("hand", 0, coarse, probes) is None


def test_a_leaf_at_a_kink_is_not_searched():
    x = np.array([0.0, 1.0, -2.0])
    probes = Probes(sampler_for(lambda x: np.sum(np.abs(x)), take_point(x, ())), np.random.default_rng(0))
    assert by_values("hand", 0, [claim(np.array([0.0, 2.0, -1.0]))], probes) is None


@pytest.mark.parametrize(
    "sources", [["numeric", "hand"], ["numeric", "hand", "torch"]], ids=["values", "reference"]
)
def test_a_zero_row_is_no_explanation_if_another_entry_is_wrong_too(sources):
    pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    x, noise = rng.normal(size=(12, 9)), rng.normal(size=(12, 9))

    def fun(x):
        return (x**3).sum()

    def grad(x):
        g = 3 * x**2 + noise
        g[4] = 0.0
        return g

    report = check(fun, x, grad=grad, sources=sources)
    assert report.verdict is Verdict.DISAGREES
    assert report.diagnoses == ()
