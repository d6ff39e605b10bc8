"""Functions of JAX as ports: values, cotangents and forced nodes, under every transformation."""

import numpy as np
import pytest

from gradproof.porting.port import Call, Forced
from gradproof.porting.tap import tap, tap_cotangent

jax = pytest.importorskip("jax")
jnp = jax.numpy

from gradproof_jax_port import JaxFunctionPort  # noqa: E402 -- needs JAX

RNG = np.random.default_rng(5)
PARAMS = {"A": RNG.normal(size=(3, 4)), "b": RNG.normal(size=4), "C": RNG.normal(size=(4, 2))}
X = RNG.normal(size=(5, 3))
SEED = RNG.normal(size=(5, 2))
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def float32(tree):
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), tree)


def net(params, x):
    h = tap("hidden", jnp.tanh(x @ params["A"] + params["b"]))
    return tap("out", h @ params["C"])


def by_hand(x=X, seed=SEED, hidden=None):
    """Values, cotangents and gradients of `net` in float64, on the numbers that float32 can hold."""
    params = {path: np.asarray(x, np.float32).astype(float) for path, x in PARAMS.items()}
    own = np.tanh(x @ params["A"] + params["b"])
    h = own if hidden is None else hidden
    return params, own, h @ params["C"], seed @ params["C"].T, h


def run(fun, params=PARAMS, *inputs, **kwargs):
    return JaxFunctionPort(fun, float32(params)).run(Call(inputs or (X,), seeds=(SEED,), **kwargs))


def test_values_cotangents_and_gradients_are_those_of_calculus():
    found = run(net)
    params, hidden, out, back, _ = by_hand()
    assert [node.key for node in found.nodes] == ["(whole) input", "hidden", "out", "(whole)"]
    np.testing.assert_allclose(found.by_key["hidden"].value, hidden, **CLOSE)
    np.testing.assert_allclose(found.outputs["(output)"], out, **CLOSE)
    np.testing.assert_array_equal(found.by_key["out"].cotangent, SEED)
    np.testing.assert_allclose(found.by_key["hidden"].cotangent, back, **CLOSE)
    slope = back * (1 - hidden**2)
    np.testing.assert_allclose(found.gradients["A"], X.T @ slope, **CLOSE)
    np.testing.assert_allclose(found.by_key["(whole) input"].cotangent, slope @ params["A"].T, **CLOSE)
    assert found.by_key["hidden"].role == "tap"
    assert found.by_key["hidden"].dtype == "float64"


def test_a_forced_node_cuts_the_network_in_two():
    value, cotangent = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 4))
    found = run(net, forced={"hidden": Forced(value, cotangent)})
    _, hidden, out, back, _ = by_hand(hidden=value)
    np.testing.assert_allclose(found.by_key["hidden"].value, hidden, **CLOSE)  # its own
    np.testing.assert_allclose(found.outputs["(output)"], out, **CLOSE)
    np.testing.assert_allclose(found.by_key["hidden"].cotangent, back, **CLOSE)  # of what was handed on
    np.testing.assert_allclose(found.gradients["A"], X.T @ (cotangent * (1 - hidden**2)), **CLOSE)
    np.testing.assert_allclose(found.gradients["C"], value.T @ SEED, **CLOSE)


def test_without_a_cotangent_nothing_flows_back_through_a_forced_node():
    found = run(net, forced={"hidden": Forced(RNG.normal(size=(5, 4)))})
    assert not found.gradients["A"].any()
    assert found.gradients["C"].any()


@pytest.mark.parametrize(
    ("forced", "says"),
    [
        ({"hidden": Forced(np.zeros(4))}, r"forced value of 'hidden' has shape \(4,\), due is \(5, 4\)"),
        ({"hidden": Forced(np.zeros((5, 4)), np.zeros(4))}, "forced cotangent of 'hidden'"),
        ({"nowhere": Forced(np.zeros(4))}, r"\['nowhere'\] cannot be forced"),
    ],
)
def test_what_cannot_be_forced_is_refused_by_name(forced, says):
    with pytest.raises(ValueError, match=says):
        run(net, forced=forced)


def transformed(name):
    def plain(x):
        return tap("inner", jnp.sin(x))

    def scanned(x):
        return jax.lax.scan(lambda carry, row: (carry, tap("inner", jnp.sin(row))), 0.0, x)[1]

    jitted = jax.jit(plain)
    jitted(jnp.ones((5, 3)))  # JAX would reuse this trace, which has no taps
    return {
        "jit": jitted,
        "vmap": jax.vmap(plain),
        "vmap of jit": jax.vmap(jitted),
        "vmap of vmap": jax.vmap(jax.vmap(plain)),
        "vmap, batch last": jax.vmap(plain, in_axes=1, out_axes=1),
        "jit of vmap": jax.jit(jax.vmap(plain)),
        "checkpoint": jax.checkpoint(plain),
        "jit of checkpoint": jax.jit(jax.checkpoint(plain)),
        "scan": scanned,
    }[name]


TRANSFORMATIONS = ["jit", "vmap", "vmap of jit", "vmap of vmap", "vmap, batch last", "jit of vmap"]
TRANSFORMATIONS += ["checkpoint", "jit of checkpoint", "scan"]


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_taps_are_seen_inside_transformations(name):
    inner = transformed(name)
    due = jax.grad(lambda x: jnp.sum(jnp.sin(x) ** 2))(jnp.asarray(X, jnp.float32))
    port = JaxFunctionPort(lambda p, x: inner(x * p["one"]) ** 2, {"one": jnp.ones((1, 3))})
    found = port.run(Call((X,), seeds=(np.ones((5, 3)),)))
    nodes = [node for node in found.nodes if node.name == "inner"]
    values = np.stack([node.value for node in nodes]) if name == "scan" else nodes[0].value
    values = values.T if name == "vmap, batch last" else values
    assert len(nodes) == (5 if name == "scan" else 1)
    np.testing.assert_allclose(values, np.sin(X), **CLOSE)
    np.testing.assert_allclose(found.gradients["one"][0], (due * X).sum(0), rtol=1e-5)
    cotangents = np.stack([node.cotangent for node in nodes]).reshape(-1)
    np.testing.assert_allclose(np.sort(cotangents), np.sort((2 * np.sin(X)).reshape(-1)), **CLOSE)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_nodes_inside_transformations_can_be_forced(name):
    inner = transformed(name)
    port = JaxFunctionPort(lambda p, x: inner(x * p["one"]) ** 2, {"one": jnp.ones((1, 3))})
    first = port.run(Call((X,), seeds=(np.ones((5, 3)),)))
    forced = {n.key: Forced(n.value + 1, np.ones(n.value.shape)) for n in first.nodes if n.name == "inner"}
    found = port.run(Call((X,), seeds=(np.ones((5, 3)),), forced=forced))
    np.testing.assert_allclose(found.outputs["(output)"], (np.sin(X) + 1) ** 2, **CLOSE)
    np.testing.assert_allclose(found.gradients["one"][0], (np.cos(X) * X).sum(0), **CLOSE)
    total = sum(found.by_key[key].cotangent.sum() for key in forced)
    np.testing.assert_allclose(total, 2 * (np.sin(X) + 1).sum(), **CLOSE)


def test_branches_and_loops_of_unknown_length_work_and_stay_closed():
    def fun(p, x):
        y = jax.lax.cond(
            x.sum() > 0, lambda z: tap("then", z * 2), lambda z: tap("else", z * 3), x * p["one"]
        )
        return jax.lax.fori_loop(0, 3, lambda _, z: tap("loop", z * 2), y)

    port = JaxFunctionPort(fun, {"one": jnp.ones(3)})
    found = port.run(Call((np.ones((5, 3)),), seeds=(np.ones((5, 3)),)))
    np.testing.assert_allclose(found.outputs["(output)"], 16.0, **CLOSE)
    np.testing.assert_allclose(found.gradients["one"], 80.0, **CLOSE)


def square(x):
    return tap("squared", x) ** 2


def hand_written(factor):
    """A square with a derivative of its own, which is `factor` times the right one and tells the right one."""
    fun = jax.custom_vjp(square)

    def back(x, g):
        return (factor * tap_cotangent("squared", 2 * x * g),)

    fun.defvjp(lambda x: (tap("squared", x) ** 2, x), back)
    return fun


@pytest.mark.parametrize(
    "wrap", [lambda f: f, jax.jit, jax.vmap, jax.checkpoint], ids=["plain", "jit", "vmap", "remat"]
)
def test_a_hand_written_backward_pass_tells_its_cotangents(wrap):
    fun = wrap(hand_written(3.0))
    fun(jnp.ones((5, 3)))
    port = JaxFunctionPort(lambda p, x: fun(x * p["one"]), {"one": jnp.ones((1, 3))})
    found = port.run(Call((X,), seeds=(np.ones((5, 3)),)))
    np.testing.assert_allclose(found.by_key["squared"].cotangent, 2 * X, **CLOSE)
    np.testing.assert_allclose(found.gradients["one"][0], 3 * (2 * X * X).sum(0), **CLOSE)
    forced = {"squared": Forced(X + 1, np.ones((5, 3)))}
    local = port.run(Call((X,), seeds=(np.ones((5, 3)),), forced=forced))
    np.testing.assert_allclose(local.outputs["(output)"], (X + 1) ** 2, **CLOSE)
    np.testing.assert_allclose(local.by_key["squared"].value, X, **CLOSE)
    np.testing.assert_allclose(local.gradients["one"][0], 3 * X.sum(0), **CLOSE)


def test_a_hand_written_derivative_without_taps_is_kept():
    fun = jax.custom_vjp(lambda x: x**2)
    fun.defvjp(lambda x: (x**2, x), lambda x, g: (7.0 * g,))
    found = run(lambda p, x: tap("t", fun(x @ p["A"])) @ p["C"])
    params, *_ = by_hand()
    np.testing.assert_allclose(found.gradients["A"], X.T @ (7 * SEED @ params["C"].T), **CLOSE)


def test_a_loss_is_differentiated_and_integers_are_not():
    def fun(p, tokens):
        return p["table"][tokens]

    def loss(output, labels):
        return jnp.mean(jax.nn.logsumexp(output, -1) - jnp.take_along_axis(output, labels[:, None], 1)[:, 0])

    table = RNG.normal(size=(7, 4)).astype(np.float32)
    tokens, labels = np.array([1, 5, 1]), np.array([0, 3, 2])
    port = JaxFunctionPort(fun, {"table": jnp.asarray(table), "count": jnp.arange(3)}, loss=loss)
    assert set(port.parameters) == {"table"}
    found = port.run(Call((tokens,), (labels,)))
    rows = table[tokens].astype(float)
    soft = np.exp(rows) / np.exp(rows).sum(1, keepdims=True)
    due = np.zeros((7, 4))
    np.add.at(due, tokens, (soft - np.eye(4)[labels]) / 3)
    np.testing.assert_allclose(found.gradients["table"], due, **CLOSE)
    assert found.loss == pytest.approx(-np.log(soft[range(3), labels]).mean(), rel=1e-12)
    assert [node.key for node in found.nodes] == ["(whole)"]
    assert port.run(Call((tokens,), (labels,), forward_only=True)).gradients is None


def test_outputs_are_named_by_path_and_none_seeds_are_zero():
    def fun(p, x):
        return {"y": x * p["a"], "index": jnp.argmax(x), "pair": (p["a"], x)}

    port = JaxFunctionPort(fun, {"a": jnp.ones(3)})
    found = port.run(Call((X[0],), seeds=(np.ones(3), None, None, None)))
    assert list(found.outputs) == ["y", "index", "pair[0]", "pair[1]"]
    np.testing.assert_allclose(found.gradients["a"], X[0], **CLOSE)
    with pytest.raises(ValueError, match="1 seeds came for 4 outputs: y, index"):
        port.run(Call((X[0],), seeds=(np.ones(3),)))


def test_runs_in_the_ports_own_dtype_are_what_jit_gives():
    params = float32(PARAMS)
    found = JaxFunctionPort(net, params).run(Call((X,), seeds=(SEED,), double=False))
    assert found.dtypes == {"(output)": "float32"}
    assert found.by_key["hidden"].value.dtype == np.float32
    x, seed = jnp.asarray(X, jnp.float32), jnp.asarray(SEED, jnp.float32)
    out, pull = jax.vjp(jax.jit(lambda p: net(p, x)), params)
    np.testing.assert_allclose(found.outputs["(output)"], out, rtol=1e-6)
    np.testing.assert_allclose(found.gradients["A"], pull(seed)[0]["A"], atol=1e-6)


def test_bfloat16_runs_as_bfloat16_and_is_held_exactly():
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), PARAMS)
    port = JaxFunctionPort(net, params)
    assert port.parameters["A"].dtype == np.float32
    np.testing.assert_array_equal(port.parameters["A"], np.asarray(params["A"], np.float32))
    found = port.run(Call((X,), seeds=(SEED,), double=False))
    assert found.by_key["hidden"].dtype == "bfloat16"
    assert found.by_key["hidden"].value.dtype == np.float32


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("user", [True, False])
def test_the_switch_for_float64_stays_where_it_was(user, double):
    with jax.enable_x64(user):
        port = JaxFunctionPort(net, float32(PARAMS))
        found = port.run(Call((X,), seeds=(SEED,), double=double))
        assert jax.config.jax_enable_x64 is user
        assert found.dtypes["(output)"] == ("float64" if double else "float32")


def test_a_port_in_float64_runs_in_it_where_the_switch_is_off():
    with jax.enable_x64(True):
        port = JaxFunctionPort(net, jax.tree.map(jnp.asarray, PARAMS))
    found = port.run(Call((X,), seeds=(SEED,), double=False))
    assert found.dtypes["(output)"] == "float64"
    assert not jax.config.jax_enable_x64


def test_other_parameters_are_run_without_another_compilation():
    traced = []

    def counted(params, x):
        traced.append(1)
        return net(params, x)

    port = JaxFunctionPort(counted, float32(PARAMS))
    port.run(Call((X,), seeds=(SEED,)))
    count = len(traced)
    other = {path: x + 1 for path, x in port.parameters.items()}
    found = port.run(Call((X,), seeds=(2 * SEED,), parameters=other))
    assert len(traced) == count
    np.testing.assert_allclose(
        found.outputs["(output)"],
        np.tanh(X @ other["A"].astype(float) + other["b"]) @ other["C"].astype(float),
        rtol=1e-6,
    )
    with pytest.raises(ValueError, match=r"parameters lack \['C', 'b'\]"):
        port.run(Call((X,), parameters={"A": other["A"]}))
    with pytest.raises(ValueError, match=r"'b' has shape \(1,\), due is \(4,\)"):
        port.run(Call((X,), parameters={**other, "b": np.ones(1)}))


def test_shared_leaves_have_one_path_and_buffers_are_not_trained():
    A = jnp.ones((3, 3))
    port = JaxFunctionPort(
        lambda p, x: x @ p["a"] @ p["b"] + p["c"], {"a": A, "b": A, "c": jnp.ones(3)}, buffers=["c"]
    )
    assert (set(port.parameters), set(port.buffers)) == ({"a"}, {"c"})
    assert port.shared == {"b": "a"}
    found = port.run(Call((np.ones((1, 3)),), seeds=(np.ones((1, 3)),)))
    np.testing.assert_allclose(found.gradients["a"], 6.0, **CLOSE)
    with pytest.raises(ValueError, match="there is no 'd' in params; there are a, b, c"):
        JaxFunctionPort(net, {"a": A, "b": A, "c": A}, buffers=["d"])


@pytest.mark.parametrize(
    ("fun", "loss", "says"),
    [
        (lambda p, x: "text", None, "returned a str"),
        (lambda p, x: None, None, "returned no array"),
        (lambda p, x: [x, 3.0], None, r"returned a float at '\[1\]'"),
        (net, lambda out: out, r"loss returned an array of shape \(5, 2\)"),
        (net, lambda out: 3, "loss returned a int"),
    ],
)
def test_what_is_no_array_is_refused(fun, loss, says):
    with pytest.raises(TypeError, match=says):
        JaxFunctionPort(fun, float32(PARAMS), loss=loss).run(Call((X,)))


def test_a_step_of_an_optimizer_is_in_float64():
    port = JaxFunctionPort(net, float32(PARAMS))
    slopes = {path: np.ones(x.shape) for path, x in PARAMS.items()}
    optax = pytest.importorskip("optax")
    after = port.step(optax.sgd(0.25), PARAMS, slopes)
    np.testing.assert_array_equal(after["A"], PARAMS["A"] - 0.25)
    after = port.step(lambda p, g: {k: p[k] - 0.5 * g[k] for k in p}, PARAMS, slopes)
    np.testing.assert_array_equal(after["A"], PARAMS["A"] - 0.5)
    with pytest.raises(TypeError, match="optax"):
        port.step(3, PARAMS, slopes)


def test_unwatched_runs_show_nothing():
    found = run(net, watched=False)
    assert found.nodes == ()
    assert found.gradients["A"].any()


def test_numbers_among_the_inputs_stay_numbers():
    def fun(p, x, train):
        return x * p["a"] if train else x

    port = JaxFunctionPort(fun, {"a": jnp.full(3, 2.0)})
    np.testing.assert_allclose(port.run(Call((X, True))).outputs["(output)"], 2 * X, **CLOSE)
    np.testing.assert_allclose(port.run(Call((X, False))).outputs["(output)"], X, **CLOSE)


@pytest.mark.parametrize(
    "wrap", [jax.jit, lambda f: jax.jit(jax.checkpoint(f)), lambda f: jax.vmap(jax.jit(f))]
)
def test_traces_of_the_caller_are_neither_used_nor_replaced(wrap):
    calls = []

    def inner(x):
        calls.append(1)
        return tap("t", x * 2)

    fun, x = wrap(inner), jnp.ones((5, 3))
    fun(x)
    count = len(calls)
    port = JaxFunctionPort(lambda p, x: fun(x * p["a"]), {"a": jnp.ones(3)})
    found = port.run(
        Call((X,), seeds=(np.ones((5, 3)),), double=False)
    )  # same shapes and dtypes as the caller's
    assert "t" in found.by_key
    assert len(calls) > count
    count = len(calls)
    fun(x)
    assert len(calls) == count  # the caller's own trace is still there
    assert "gradproof" not in str(jax.make_jaxpr(fun)(x))


def test_a_scan_of_very_many_nodes_stays_closed():
    def fun(p, x):
        return jax.lax.scan(lambda c, _: (tap("step", c * p["a"]), None), x, None, length=600)[0]

    port = JaxFunctionPort(fun, {"a": jnp.ones(3)})
    found = port.run(Call((X,), seeds=(np.ones((5, 3)),)))
    assert [node.key for node in found.nodes] == ["(whole) input", "(whole)"]
    np.testing.assert_allclose(found.gradients["a"], 600 * X.sum(0), rtol=1e-9)
