"""Whole gradients by one step: batched or not, they are those of the course's loop; what cannot be batched is not."""

import logging
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import gradproof
from gradproof import Estimate, numeric
from gradproof.engine import Workers
from gradproof.network import Layer, Network
from gradproof.numeric import batched, trial
from gradproof.numeric.batched import central_differences
from gradproof.numeric.entrywise import Ladders, whole
from gradproof.numeric.rows import OneRow
from gradproof.numeric.sampling import sampler_for
from gradproof.point import take_point
from gradproof.progress import Meter
from gradproof.structured import structured_gradient

DOCS = Path(__file__).parent.parent / "docs"
NETWORK = Network((3, 5, 3))
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 3)), np.eye(3)[RNG.integers(0, 3, 5)]
THETA = NETWORK.flatten(NETWORK.init(seed=1))
FRAMEWORKS = ["torch", "jax"]


def module(framework):
    return pytest.importorskip({"torch": "torch", "jax": "jax.numpy"}[framework])


def course_loss(theta, x, y):
    """The course's network 3-5-3 with a leading axis: theta (rows, 38)."""
    first, second = theta[:, :20].reshape(-1, 4, 5), theta[:, 20:].reshape(-1, 6, 3)
    a = 1 / (1 + np.exp(-(x @ first[:, 1:] + first[:, :1])))
    z = a @ second[:, 1:] + second[:, :1]
    return np.sum(np.logaddexp(0, z) - y * z, axis=(1, 2)) / len(x)


def cubes(params, scale=1.0):
    """Of a tree with leaves w and b, at one point."""
    return (params["w"] ** 3).sum() * scale + (params["b"] * params["w"][0]).sum()


def rows_of_cubes(params, scale=1.0):
    """The same of rows of points."""
    return (params["w"] ** 3).sum(axis=(1, 2)) * scale + (params["b"] * params["w"][:, 0]).sum(axis=1)


def tree(make=np.asarray):
    return {"w": make([[0.5, -1.0], [2.0, 1.5]]), "b": make([0.25, -0.75])}


def method_at(fun, params, *args, vectorized=False, step=1e-4):
    sampler = sampler_for(OneRow(fun) if vectorized else fun, take_point(params, args))
    return central_differences(sampler, step, vectorized=vectorized)


@pytest.fixture
def compiles_at_once(monkeypatch):
    """A batch is compiled however soon the loop would be done."""
    monkeypatch.setattr(batched, "COMPILING_SECONDS", 0.0)


# The values are those of the loop


def test_a_leading_axis_gives_what_the_loop_gives():
    loop = numeric.central_difference(lambda t: NETWORK.loss(t, X, Y), THETA)
    estimate = numeric.gradient(course_loss, THETA, args=(X, Y), method="central", vectorized=True)
    assert isinstance(estimate, Estimate)
    np.testing.assert_allclose(estimate.value, loop, rtol=0, atol=1e-9)
    assert np.all(estimate.bar == np.inf)


def test_without_a_leading_axis_numpy_is_looped_over():
    loop = numeric.central_difference(lambda t: NETWORK.loss(t, X, Y), THETA)
    estimate = numeric.gradient(NETWORK.loss, THETA, args=(X, Y), method="central")
    np.testing.assert_allclose(estimate.value, loop, rtol=0, atol=1e-9)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_frameworks_give_what_the_loop_gives(framework, dtype, compiles_at_once):
    make = module(framework)
    theta = make.asarray(THETA.astype(dtype))
    x, y = (make.asarray(a.astype(dtype)) for a in (X, Y))
    assert method_at(NETWORK.loss, theta, x, y).batched
    host = [np.asarray(a, dtype=np.float64) for a in (theta, x, y)]
    loop = numeric.central_difference(lambda t: NETWORK.loss(t, *host[1:]), host[0])
    estimate = numeric.gradient(NETWORK.loss, theta, args=(x, y), method="central")
    np.testing.assert_allclose(estimate.value, loop, rtol=0, atol=1e-9)


@pytest.mark.parametrize("framework", ["numpy", *FRAMEWORKS])
def test_a_tree_comes_back_as_a_tree(framework, compiles_at_once):
    params = tree(np.asarray if framework == "numpy" else module(framework).asarray)
    fun = rows_of_cubes if framework == "numpy" else cubes
    vectorized = framework == "numpy"
    found = numeric.gradient(fun, params, args=(2.0,), method="central", vectorized=vectorized)
    assert list(found) == ["w", "b"]
    w, b = (np.asarray(params[name]) for name in "wb")
    np.testing.assert_allclose(found["w"].value, 6 * w**2 + [b, [0, 0]], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["b"].value, w[0], rtol=0, atol=1e-5)


def test_float32_is_divided_by_what_was_moved():
    """The function insists on float32, in which 1000 + 1e-4 is 1000.0001221."""
    found = numeric.gradient(
        lambda t: np.sum(t.astype(np.float32) - np.float32(1000)),
        np.array([1000.0, 1001.0], dtype=np.float32), method="central",
    )  # fmt: skip
    np.testing.assert_array_equal(found.value, 1.0)


def test_a_step_that_moves_nothing_is_no_slope_of_zero():
    found = numeric.gradient(lambda t: t.sum(), np.array([1.0, 1e20]), method="central")
    assert found.value[1] != 0
    assert np.isnan(found.value[1])


@pytest.mark.parametrize("vectorized", [False, True])
def test_the_jacobian_has_the_shape_of_output_and_leaf(vectorized):
    x = np.array([0.5, -1.5, 2.0])
    fun = lambda v: np.stack([np.sin(v), v**2], axis=-2)  # noqa: E731 -- works for a point and for rows of points
    estimate = numeric.jacobian(fun, x, method="central", vectorized=vectorized)
    truth = np.stack([np.diag(np.cos(x)), np.diag(2 * x)])
    np.testing.assert_allclose(estimate.value, truth, rtol=0, atol=1e-8)
    assert estimate.bar.shape == (2, 3, 3)


def test_a_leaf_without_axes():
    assert method_at(lambda t: t**2, module("torch").asarray(3.0)).batched
    found = numeric.gradient(lambda t: t**2, np.array(3.0), method="central", vectorized=True)
    assert found.shape == ()
    assert found.value == pytest.approx(6.0)


# Blocks


@pytest.mark.parametrize("length", [1, 3, 4, 6])
@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
def test_blocks_change_nothing_and_need_not_divide(framework, length, compiles_at_once, caplog):
    caplog.set_level(logging.INFO, logger=batched.__name__)
    make = np.asarray if framework == "numpy" else module(framework).asarray
    fun = rows_of_cubes if framework == "numpy" else cubes
    central = method_at(fun, tree(make), 1.0, vectorized=framework == "numpy")
    assert central.batched
    due = central.slopes_of(range(6))
    parts = [
        replace(central, block=length).slopes_of(range(start, min(start + length, 6)))
        for start in range(0, 6, length)
    ]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), due, rtol=0, atol=1e-10)
    assert held(caplog) == []
    alone = replace(central, batched=False).slopes_of(range(6))
    np.testing.assert_allclose(alone, due, rtol=0, atol=1e-10)


def test_the_ladder_goes_through_the_same_blocks(monkeypatch):
    point = take_point(tree(), (1.0,))
    sampler = sampler_for(cubes, point)
    ladders = Ladders.along_every_entry(sampler)
    whole_at_once, in_parts = (
        whole(replace(ladders, block=b), sampler, Workers(), Meter("", 0)) for b in (6, 4)
    )
    for name in "wb":
        np.testing.assert_array_equal(whole_at_once[name].value, in_parts[name].value)
        np.testing.assert_array_equal(whole_at_once[name].bar, in_parts[name].bar)
    assert ladders.sampler.lines == []


@pytest.mark.parametrize("size", [2, 38, 785, 10_285, 101_770, 5_000_000])
@pytest.mark.parametrize("seconds", [None, lambda length: 1.0])
def test_a_call_stays_within_memory(size, seconds):
    length = trial.block_size(size, 8 * size, seconds)
    assert 2 * length * 8 * size <= trial.CALL_BYTES
    assert length >= (2 if 4 * 8 * size <= trial.CALL_BYTES else 0)


@pytest.mark.parametrize(("best", "due"), [(8, 8), (32, 32), (512, 512)])
def test_a_trial_finds_the_fastest(best, due):
    def seconds(length):
        return 1e-3 * length * (1 + abs(np.log2(length / best)))

    assert trial.block_size(2**14, 8, seconds) == due


def test_a_trial_costs_little():
    tried = []

    def seconds(length):
        tried.append(length)
        return 1.0 + 1e-3 * length

    trial.block_size(200, 8, seconds)
    assert sum(tried) < 64
    assert trial.block_size(trial.UNTRIED, 8, None) == trial.UNTRIED


def test_constants_count_too():
    many = np.zeros((1000, 1000))
    assert not method_at(
        lambda t, _c: t.sum(axis=1), np.ones(3), many * np.ones((3, 1, 1)), vectorized=True
    ).batched
    assert method_at(lambda t, _c: t.sum(axis=1), np.ones(3), many[0], vectorized=True).batched


def test_a_method_is_sent_without_what_was_compiled(compiles_at_once):
    cloudpickle = pytest.importorskip("cloudpickle")
    torch = module("torch")
    central = method_at(lambda t: (t**3).sum(), torch.asarray([1.0, 2.0]))
    due = central.slopes_of(range(2))
    sent = cloudpickle.loads(cloudpickle.dumps(central))
    assert "_mapped" in vars(central.rows)
    assert "_mapped" not in vars(sent.rows)
    np.testing.assert_array_equal(sent.slopes_of(range(2)), due)


# JAX compiles once


@pytest.mark.parametrize("size", [5, 101])
def test_a_batch_is_compiled_once(size, compiles_at_once):
    jax = module("jax")
    traces = []

    def fun(t):
        traces.append(type(t).__name__)
        return (t**3).sum()

    found = numeric.gradient(fun, jax.linspace(0.5, 1.0, size), method="central")
    assert len([name for name in traces if name != "ArrayImpl"]) == 1
    np.testing.assert_allclose(found.value, 3 * np.linspace(0.5, 1.0, size) ** 2, atol=1e-6)


def test_what_is_done_sooner_is_not_compiled():
    jax = module("jax")
    assert not method_at(lambda t: (t**3).sum(), jax.asarray([1.0, 2.0])).batched


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("compiled", [True, False])
def test_check_traces_a_compiled_function_once_per_use(compiled, right):
    """In float32 and float64, for its value and its derivative; one that is not compiled runs in every evaluation."""
    jax = pytest.importorskip("jax")
    traces = []

    def fun(t):
        traces.append(t)
        return (t**3).sum()

    report = gradproof.check(
        jax.jit(fun) if compiled else fun, jax.numpy.linspace(0.5, 1.0, 10),
        grad=lambda t: (3 if right else 2) * t**2, sources=("numeric", "hand", "jax"),
    )  # fmt: skip
    assert report.verdict is (gradproof.Verdict.AGREES if right else gradproof.Verdict.DISAGREES)
    assert len(traces) <= 4 if compiled else len(traces) > 40


# What cannot be batched is not


def held(caplog):
    return [record.getMessage() for record in caplog.records if record.name == batched.__name__]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_function_that_cannot_be_mapped_is_looped_over(framework, compiles_at_once, caplog):
    make = module(framework)

    def fun(t):
        return (t**3).sum() if float(t[0]) > 0 else t.sum()

    with caplog.at_level(logging.INFO, logger=batched.__name__):
        found = numeric.gradient(fun, make.asarray([1.0, -2.0]), method="central")
    np.testing.assert_allclose(found.value, [3.0, 12.0], atol=1e-6)
    assert any("raised" in line for line in held(caplog))


def test_a_function_with_other_values_in_a_batch_is_looped_over(compiles_at_once, caplog):
    torch = module("torch")

    def fun(t):  # inside vmap the levels of functorch are active
        return (t**3).sum() * (2.0 if torch._C._functorch.maybe_get_level(t) != -1 else 1.0)

    with caplog.at_level(logging.INFO, logger=batched.__name__):
        found = numeric.gradient(fun, torch.asarray([1.0, -2.0]), method="central")
    np.testing.assert_allclose(found.value, [3.0, 12.0], atol=1e-6)
    assert any("for that row alone" in line for line in held(caplog))


@pytest.mark.parametrize(
    ("fun", "message"),
    [
        (lambda t: (t**2).sum(), r"for 1 row of params fun returned shape \(\); due: \(1, ...\)"),
        (lambda t: (t**2).sum(axis=1)[:1], r"for 3 rows of params fun returned shape \(1,\); due: \(3,\)"),
        (lambda t: (t**2).sum(axis=1) + t.mean(), r"for 3 rows of params fun gave .* in row \d, and .* alone"),
        (lambda t: (t**2).sum(axis=1)[::-1], r"for 3 rows of params fun gave .* in row \d, and .* alone"),
        (lambda t: t.reshape(4) ** 2 @ np.ones((4, 1)), "for 3 rows of params fun raised ValueError: "),
    ],
    ids=["ignores the axis", "one row only", "mixes rows", "another order", "raises"],
)  # fmt: skip
def test_a_function_said_to_be_vectorized_that_is_not_is_refused(fun, message):
    with pytest.raises(ValueError, match=f"vectorized=True, and {message}") as caught:
        numeric.gradient(fun, np.array([1.0, -2.0, 0.5, 3.0]), method="central", vectorized=True)
    assert "an extra leading axis, one value per row; or leave vectorized out" in str(caught.value)


@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize("mode", ["batched", "alone"])
def test_nothing_of_the_callers_or_the_points_is_changed(vectorized, mode):
    params, scale = tree(), np.array(2.0)

    def spoiling(params, scale):
        value = (rows_of_cubes if vectorized else cubes)(params, scale)
        for leaf in params.values():
            leaf[...] = 0.0
        return value

    central = method_at(spoiling, params, scale, vectorized=vectorized)
    assert central.batched is vectorized
    central = replace(central, batched=mode == "batched" and vectorized)
    due = method_at(cubes, params, scale).slopes_of(range(6))
    for _ in range(2):
        np.testing.assert_allclose(central.slopes_of(range(6)), due, rtol=0, atol=1e-10)
    assert all(np.array_equal(params[name], tree()[name]) for name in "wb")


# Outside the domain


def root(t):
    if np.any(t < 0):
        raise ValueError("outside")
    return np.sqrt(t).sum(axis=-1)


@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize(
    "fun", [root, lambda t: np.where(t < 0, np.inf, np.sqrt(np.abs(t))).sum(axis=-1)], ids=["raises", "inf"]
)
def test_a_point_outside_the_domain_is_nan_and_harms_no_other(fun, vectorized):
    found = numeric.gradient(fun, np.array([1.0, 0.0, 4.0]), method="central", vectorized=vectorized)
    np.testing.assert_allclose(found.value, [0.5, np.nan, 0.25], atol=1e-8)
    assert np.all(found.bar == np.inf)


def test_a_block_that_raises_is_computed_one_by_one(caplog):
    """Only the last entry is at the edge; the points near the one given are inside the domain."""
    central = method_at(lambda t: root(t + 1e-4), np.full(3, 1.0), vectorized=True)
    assert central.batched
    edge = replace(central, below=np.array([1 - 1e-4, 1 - 1e-4, -1.0]))
    with caplog.at_level(logging.INFO, logger=batched.__name__):
        slopes = edge.slopes_of(range(3))[0, :, 0]
    np.testing.assert_array_equal(np.isnan(slopes), [False, False, True])
    assert held(caplog) == ["entries 0 to 2 are computed one by one: outside"]


# The network's own


@pytest.mark.parametrize("form", ["theta", "layers", "torch", "float32"])
def test_structured_is_the_loop(form):
    theta = module("torch").asarray(THETA) if form == "torch" else THETA
    params = NETWORK.unflatten(theta) if form == "layers" else theta
    params = THETA.astype(np.float32) if form == "float32" else params
    host = np.asarray(THETA, dtype=np.float32).astype(float) if form == "float32" else THETA
    loop = numeric.central_difference(lambda t: NETWORK.loss(t, X, Y, 0.7), host)
    data = tuple(map(module("torch").asarray, (X, Y))) if form == "torch" else (X, Y)
    found = numeric.gradient(NETWORK.loss, params, args=(*data, 0.7), method="structured")
    leaves = [e for layer in found for e in layer] if form == "layers" else [found]
    slopes = (
        NETWORK.flatten([Layer(*(e.value for e in layer)) for layer in found])
        if form == "layers"
        else found.value
    )
    assert np.linalg.norm(slopes - loop) < 1e-9 * np.linalg.norm(loop)
    assert all(np.all(e.bar == np.inf) for e in leaves)


def test_structured_takes_the_step():
    found = numeric.gradient(NETWORK.loss, THETA, args=(X, Y), method="structured", step=1e-2)
    np.testing.assert_array_equal(found.value, structured_gradient(NETWORK, THETA, X, Y, step=1e-2))


@pytest.mark.parametrize(
    ("fun", "args", "message"),
    [
        (partial(NETWORK.loss, lam=0.5), (X, Y), "got partial. Pass network.loss itself"),
        (NETWORK.gradient, (X, Y), "got Network.gradient. Pass network.loss itself"),
        (NETWORK.loss, (X,), r"takes args=\(x, y\) or \(x, y, lam\); got 1 of them"),
        (NETWORK.loss, (X[:, :2], Y), "x has one row per example"),
    ],
)  # fmt: skip
def test_structured_is_for_the_networks_loss(fun, args, message):
    with pytest.raises(ValueError, match=message):
        numeric.gradient(fun, THETA, args=args, method="structured")


# Bad input


@pytest.mark.parametrize("derivative", [numeric.gradient, numeric.jacobian])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "centrl"}, "unknown method 'centrl'; did you mean 'central'"),
        ({"method": None}, "unknown method 'None'"),
        ({"method": "central", "step": 0.0}, "step is a positive number; got 0.0"),
        ({"method": "central", "step": float("nan")}, "step is a positive number; got nan"),
        ({"method": "central", "step": float("inf")}, "step is a positive number; got inf"),
        ({"vectorized": True}, "vectorized=True is for method='central'; got method='ladder'"),
    ],
)
def test_bad_options_are_refused(derivative, options, message):
    with pytest.raises(ValueError, match=message):
        derivative(lambda t: t.sum(), np.ones(2), **options)


def test_a_gradient_of_an_array_is_refused():
    for vectorized in (False, True):
        with pytest.raises(ValueError, match=r"fun returned shape \(2,\), a gradient needs a scalar"):
            numeric.gradient(lambda v: v, np.ones(2), method="central", vectorized=vectorized)


def test_the_page_runs():
    blocks = re.findall(
        r"^```python\n(.*?)^```", (DOCS / "numeric.md").read_text(encoding="utf-8"), re.M | re.S
    )
    assert blocks
    for code in blocks:
        exec(compile(code, "numeric.md", "exec"), {})
