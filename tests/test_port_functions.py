"""The port of a plain function with a backward pass written by hand: what it shows, what is forced, what it refuses."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from gradproof.porting.functions import NumpyFunctionPort
from gradproof.porting.port import Call, Forced, Module
from gradproof.porting.tap import tap, tap_cotangent

RNG = np.random.default_rng(3)
X = RNG.standard_normal((4, 3))
PARAMS = {
    "first": {"w": RNG.standard_normal((3, 5)), "b": RNG.standard_normal(5)},
    "second": {"w": RNG.standard_normal((5, 2)), "b": RNG.standard_normal(2)},
}
SEED = RNG.standard_normal((4, 2))


def net(params, x):
    a = tap("a", x @ params["first"]["w"] + params["first"]["b"])
    h = tap("h", np.tanh(a))
    return h @ params["second"]["w"] + params["second"]["b"]


def net_vjp(params, x, cotangent):
    a = tap("a", x @ params["first"]["w"] + params["first"]["b"])
    h = tap("h", np.tanh(a))
    dh = tap_cotangent("h", cotangent @ params["second"]["w"].T)
    da = tap_cotangent("a", dh * (1 - h**2))
    return {
        "first": {"w": x.T @ da, "b": da.sum(0)},
        "second": {"w": h.T @ cotangent, "b": cotangent.sum(0)},
    }


def port(fun=net, params=PARAMS, vjp=net_vjp, **options):
    return NumpyFunctionPort(fun, params, vjp=vjp, **options)


def call(**changed):
    return dataclasses.replace(Call((X,), seeds=(SEED,)), **changed)


def close(x, y, rtol=1e-13):
    return np.shape(x) == np.shape(y) and np.allclose(x, y, rtol=rtol, atol=rtol)


# What a run shows


def test_what_is_known_of_a_port():
    ours = port(params={**PARAMS, "rate": 0.5, "table": np.arange(3), "mean": np.zeros(2)}, buffers=["mean"])
    assert (ours.framework, ours.has_loss, ours.differentiates) == ("numpy", False, True)
    assert list(ours.parameters) == ["first.w", "first.b", "second.w", "second.b"]
    assert list(ours.buffers) == ["mean"]
    assert ours.modules == {"": Module("net")}
    assert ours.shared == {}


def test_a_run_shows_values_and_cotangents_on_the_way():
    run = port().run(call())
    a = X @ PARAMS["first"]["w"] + PARAMS["first"]["b"]
    h = np.tanh(a)
    dh = SEED @ PARAMS["second"]["w"].T
    assert [(node.key, node.role, node.kind) for node in run.nodes] == [
        ("(whole) input", "input", "net"),
        ("a", "tap", ""),
        ("h", "tap", ""),
        ("(whole)", "output", "net"),
    ]
    nodes = run.by_key
    assert close(nodes["a"].value, a)
    assert close(nodes["h"].value, h)
    assert close(nodes["h"].cotangent, dh)
    assert close(nodes["a"].cotangent, dh * (1 - h**2))
    assert np.array_equal(nodes["(whole)"].cotangent, SEED)
    assert nodes["(whole) input"].cotangent is None
    assert close(run.outputs["(output)"], net(PARAMS, X))
    assert close(run.gradients["first.w"], X.T @ (dh * (1 - h**2)))
    assert list(run.gradients) == ["first.w", "first.b", "second.w", "second.b"]


@pytest.mark.parametrize("changed", [{"forward_only": True}, {"seeds": None}])
def test_a_run_that_is_forward_only_has_no_cotangents(changed):
    run = port(vjp=lambda *_: pytest.fail("it ran backward")).run(call(**changed))
    assert run.gradients is None
    assert [node.cotangent for node in run.nodes] == [None] * 4


def test_without_a_vjp_it_gives_no_gradients():
    ours = port(vjp=None)
    assert not ours.differentiates
    assert ours.run(call()).gradients is None


def test_a_run_that_is_not_watched_shows_nothing_and_gives_the_same():
    unwatched, watched = (port().run(call(watched=watched)) for watched in (False, True))
    assert unwatched.nodes == ()
    forced = port().run(call(watched=False, forced={"h": Forced(np.zeros((4, 5)))}))
    assert forced.nodes == ()
    assert close(forced.outputs["(output)"], np.broadcast_to(PARAMS["second"]["b"], (4, 2)))
    assert all(np.array_equal(unwatched.gradients[path], x) for path, x in watched.gradients.items())


def test_other_parameters_replace_its_own():
    ours = port()
    doubled = {path: 2 * x for path, x in ours.parameters.items()}
    twice = {name: {key: 2 * x for key, x in layer.items()} for name, layer in PARAMS.items()}
    run = ours.run(call(parameters=doubled))
    assert np.array_equal(run.outputs["(output)"], net(twice, X))
    assert np.array_equal(run.gradients["first.b"], net_vjp(twice, X, SEED)["first"]["b"])
    assert np.array_equal(ours.run(call()).outputs["(output)"], net(PARAMS, X))


def test_in_double_or_in_its_own_dtype():
    seen = []

    def fun(params, x, n):
        seen.append((params["w"].dtype, params["n"].dtype, x.dtype, n.dtype))
        return x * params["w"]

    ours = port(fun, {"w": np.float32(1.5) * np.ones(3, np.float32), "n": np.arange(3)}, None)
    for double, dtype in ((True, "float64"), (False, "float32")):
        run = ours.run(Call((X, np.int8(3)), double=double))
        assert seen[-1] == (dtype, "int64", dtype, "int8")
        assert run.dtypes == {"(output)": dtype}
        assert run.by_key["(whole) input"].dtype == dtype
        assert run.by_key["(whole)[1] input"].dtype == "int8"
    assert ours.parameters["w"].dtype == np.float32


@pytest.mark.parametrize("namespace", ["array_api_strict", "torch", "jax.numpy"])
def test_any_namespace_is_welcome(namespace):
    xp = pytest.importorskip(namespace)

    def fun(params, x):
        return xp.sum(tap("h", x @ params), axis=-1)

    def vjp(params, x, cotangent):
        dh = tap_cotangent("h", cotangent[:, None] * xp.ones((1, 2), dtype=x.dtype))
        return x.T @ dh

    w = xp.asarray(PARAMS["second"]["w"][:3].astype(np.float32))
    ours = port(fun, w, vjp)
    for double in (True, False):
        run = ours.run(Call((X,), seeds=(SEED[:, 0],), double=double))
        dh = SEED[:, :1] * np.ones((1, 2))
        dtype = "float64" if double else "float32"
        assert close(run.gradients["(params)"], X.T @ dh, 1e-13 if double else 1e-5)
        assert (run.gradients["(params)"].dtype, run.by_key["h"].dtype) == (dtype, dtype)
        assert close(run.by_key["h"].cotangent, dh, 1e-13 if double else 1e-6)
    thirds = {"(params)": np.full((3, 2), 1 / 3)}
    after = ours.step(lambda p, g: {"(params)": p["(params)"] - 2 * g["(params)"]}, thirds, thirds)
    assert np.array_equal(after["(params)"], -thirds["(params)"])


def test_trees_go_in_and_out():
    def fun(params, batch):
        return {"sum": batch["x"].sum(0) * params[0], "count": np.int64([3]), "mean": (batch["x"].mean(),)}

    def vjp(params, batch, cotangent):
        assert not cotangent["count"].any()
        assert cotangent["mean"][0].shape == ()
        return [(cotangent["sum"] * batch["x"].sum(0)).sum()]

    batch = {"x": X, "note": "text", "none": None}
    run = port(fun, [np.array(2.0)], vjp).run(Call((batch,), seeds=(np.ones(3), np.ones(1), None)))
    assert list(run.outputs) == ["sum", "count", "mean[0]"]
    assert [node.key for node in run.nodes] == ["(whole) input", "(whole)", "(whole)[1]", "(whole)[2]"]
    assert close(run.gradients["[0]"], X.sum())


def test_the_gradient_of_a_shared_parameter_is_the_sum_over_its_uses():
    w = RNG.standard_normal((3, 3))
    ours = port(
        lambda p, x: x @ p["encoder"] @ p["decoder"],
        {"encoder": w, "decoder": w},
        lambda p, x, c: {"encoder": x.T @ (c @ p["decoder"].T), "decoder": (x @ p["encoder"]).T @ c},
    )
    assert ours.shared == {"decoder": "encoder"}
    run = ours.run(Call((X,), seeds=(np.ones((4, 3)),), parameters={"encoder": 2 * w}))
    c = np.ones((4, 3))
    assert list(run.gradients) == ["encoder"]
    assert close(run.gradients["encoder"], X.T @ (c @ (2 * w).T) + (X @ (2 * w)).T @ c)


def test_nothing_of_the_callers_is_changed():
    params, x = {"w": np.full(3, 2.0), "seen": np.zeros(1)}, X.copy()

    def fun(params, x):
        x *= params["w"]
        params["w"] += 1
        params["seen"] += 1
        return tap("y", x)

    def vjp(params, x, cotangent):
        assert np.array_equal(x, X)
        assert np.array_equal(params["w"], np.full(3, 2.0))
        params["w"] *= 0
        cotangent *= x
        return {"w": cotangent.sum(0)}

    seed = np.ones((4, 3))
    ours = port(fun, params, vjp, buffers=["seen"])
    runs = [ours.run(Call((x,), seeds=(seed,))) for _ in range(2)]
    assert np.array_equal(x, X)
    assert np.array_equal(params["w"], np.full(3, 2.0))
    assert np.array_equal(seed, np.ones((4, 3)))
    assert [run.buffers["seen"].tolist() for run in runs] == [[1], [1]]
    assert ours.buffers["seen"].tolist() == [0]
    assert np.array_equal(runs[0].gradients["w"], runs[1].gradients["w"])
    params["w"] += 1
    assert np.array_equal(ours.run(call(seeds=None)).outputs["(output)"], 2 * X)


# Losses


def half_square(output, target):
    return 0.5 * np.sum((output - target) ** 2)


def test_a_loss_starts_the_backward_pass():
    ours = port(loss=half_square, loss_grad=lambda output, target: output - target)
    run = ours.run(Call((X,), (SEED,)))
    y = net(PARAMS, X)
    assert ours.has_loss
    assert close(run.loss, half_square(y, SEED))
    assert close(run.by_key["(whole)"].cotangent, y - SEED)
    assert close(run.gradients["second.b"], (y - SEED).sum(0))
    assert ours.run(Call((X,), (SEED,), forward_only=True)).gradients is None


def test_a_loss_without_a_backward_pass_is_still_a_loss():
    ours = port(vjp=None, loss=half_square)
    run = ours.run(Call((X,), (SEED,)))
    assert run.gradients is None
    assert close(run.loss, half_square(net(PARAMS, X), SEED))


def test_a_backward_pass_of_a_loss_needs_its_gradient():
    with pytest.raises(ValueError, match="give loss_grad="):
        port(loss=half_square)
    with pytest.raises(ValueError, match="give loss= too"):
        port(loss_grad=half_square)


@pytest.mark.parametrize(
    ("loss", "message"), [(lambda y: y, r"shape \(4, 2\)"), (lambda _: None, "a NoneType")]
)
def test_a_loss_is_a_scalar(loss, message):
    with pytest.raises(ValueError, match=f"loss returned .*{message}.*: a scalar is due"):
        port(vjp=None, loss=loss).run(call())


# Forced runs


def forced_to(run, by=1.0):
    return {
        node.key: Forced(by * node.value, None if node.cotangent is None else by * node.cotangent)
        for node in run.nodes
    }


def test_forced_to_its_own_values_it_gives_the_same():
    ours = port()
    run = ours.run(call())
    again = ours.run(call(forced=forced_to(run)))
    for mine, due in zip(again.nodes, run.nodes, strict=True):
        assert np.array_equal(mine.value, due.value)
        assert (mine.cotangent is None) == (due.cotangent is None)
        assert due.cotangent is None or np.array_equal(mine.cotangent, due.cotangent)
    assert all(np.array_equal(again.gradients[path], x) for path, x in run.gradients.items())


def test_every_stretch_works_on_what_it_is_forced_to():
    ours, other = (
        port(),
        {k: Forced(*RNG.standard_normal((2, *n.value.shape))) for k, n in port().run(call()).by_key.items()},
    )
    run = ours.run(call(forced=other))
    nodes, (x, a, h, y) = run.by_key, (other[key] for key in ("(whole) input", "a", "h", "(whole)"))
    first, second = PARAMS["first"], PARAMS["second"]
    assert np.array_equal(nodes["(whole) input"].value, X)
    assert close(nodes["a"].value, x.value @ first["w"] + first["b"])
    assert close(nodes["h"].value, np.tanh(a.value))
    assert close(nodes["(whole)"].value, h.value @ second["w"] + second["b"])
    assert np.array_equal(run.outputs["(output)"], y.value)
    assert np.array_equal(nodes["(whole)"].cotangent, SEED)
    assert close(nodes["h"].cotangent, y.cotangent @ second["w"].T)
    assert close(nodes["a"].cotangent, h.cotangent * (1 - h.value**2))
    assert close(run.gradients["first.w"], x.value.T @ a.cotangent)
    assert close(run.gradients["second.w"], h.value.T @ y.cotangent)


def test_a_forced_cotangent_that_is_none_is_zero():
    run = port().run(call(forced={"h": Forced(np.zeros((4, 5)))}))
    assert close(run.by_key["h"].cotangent, SEED @ PARAMS["second"]["w"].T)
    assert not run.gradients["first.w"].any()


def test_it_agrees_with_automatic_differentiation_of_forced_runs():
    """The meaning of a forced run is that of a framework's own: `torch_port` runs the same function the same way."""
    torch = pytest.importorskip("torch")
    from gradproof.porting.doors import function_port

    def theirs(params, x):
        a = tap("a", x @ params["first"]["w"] + params["first"]["b"])
        return tap("h", torch.tanh(a)) @ params["second"]["w"] + params["second"]["b"]

    tensors = {k: {n: torch.from_numpy(x) for n, x in layer.items()} for k, layer in PARAMS.items()}
    ours, reference = port(), function_port(theirs, tensors)
    # Of another port: what a derivative is computed from, x or tanh(x), is the same there.
    others = ours.run(call(parameters={path: 1.1 * x for path, x in ours.parameters.items()})).nodes
    forced = {node.key: Forced(node.value, RNG.standard_normal(node.value.shape)) for node in others}
    for asked in (call(), call(forced=forced)):
        mine, due = ours.run(asked), reference.run(asked)
        assert [n.key for n in mine.nodes] == [n.key for n in due.nodes]
        for node in mine.nodes:
            assert close(node.value, due.by_key[node.key].value, 1e-12)
            if node.role != "input":
                assert close(node.cotangent, due.by_key[node.key].cotangent, 1e-12), node.key
        assert all(close(mine.gradients[path], x, 1e-12) for path, x in due.gradients.items())
        assert close(mine.outputs["(output)"], due.outputs["(output)"], 1e-12)


def test_the_forward_inside_a_vjp_is_not_counted_and_is_forced_as_before():
    calls = Counter()

    def fun(params, x):
        for _ in range(2):
            calls["tap"] += 1
            x = tap("step", x * params)
        return x

    def vjp(params, x, cotangent):
        for _ in range(2):
            middle = tap("step", x * params)
            tap("step", middle * params)
            calls["middle", float(middle[0])] += 1
        cotangent = tap_cotangent("step", cotangent)
        gradient = (cotangent * middle).sum()
        cotangent = tap_cotangent("step", cotangent * params)
        return gradient + (cotangent * x).sum()

    ours = port(fun, np.array(2.0), vjp)
    forced = {
        "step": Forced(np.array([7.0]), np.array([5.0])),
        "step#2": Forced(np.array([9.0]), np.array([3.0])),
    }
    run = ours.run(Call((np.ones(1),), seeds=(np.ones(1),), forced=forced))
    assert [node.key for node in run.nodes] == ["(whole) input", "step", "step#2", "(whole)"]
    assert [node.value.tolist() for node in run.nodes[1:3]] == [[2.0], [14.0]]
    assert [node.cotangent.tolist() for node in run.nodes[1:3]] == [[6.0], [1.0]]
    assert calls["middle", 7.0] == 2
    assert run.gradients["(params)"] == 3 * 7 + 5 * 1


def test_a_backward_pass_may_rest_on_what_the_forward_kept():
    kept = {}

    def fun(params, x):
        kept["h"] = tap("h", x * params)
        return kept["h"] ** 2

    ours = port(fun, np.array(3.0), lambda p, x, c: (tap_cotangent("h", 2 * c * kept["h"]) * x).sum())
    run = ours.run(Call((X,), seeds=(X,), forced={"h": Forced(np.ones((4, 3)), np.zeros((4, 3)))}))
    assert close(run.by_key["h"].cotangent, 2 * X)
    assert run.gradients["(params)"] == 0


# What is refused


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (lambda g: {"first": g["first"]}, "nothing for 'second.w': it has first.w, first.b, due first.w, first.b, second.w"),
        (lambda g: {**g, "third": X}, "something for 'third'"),
        (lambda g: [g], "nothing for 'first.w'"),
        (lambda _: None, "nothing for 'first.w': it has no leaves"),
        (lambda g: {**g, "second": {"w": g["second"]["w"].T, "b": g["second"]["b"]}}, r"shape \(2, 5\) for 'second.w', due \(5, 2\)"),
        (lambda g: {**g, "second": {"w": g["second"]["w"], "b": "b"}}, "a str for 'second.b': an array is due"),
    ],
)  # fmt: skip
def test_a_gradient_that_is_not_like_the_parameters_is_refused(claim, message):
    with pytest.raises(ValueError, match=f"vjp returned .*{message}"):
        port(vjp=lambda *given: claim(net_vjp(*given))).run(call())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seeds": (SEED, SEED)}, "2 seeds came for 1 outputs"),
        ({"seeds": (SEED.T,)}, r"has shape \(4, 2\), its cotangent \(2, 4\)"),
        ({"forced": {"x": Forced(X)}}, "'x' was to be forced, but never came"),
        ({"forced": {"h": Forced(X)}}, r"'h' has shape \(4, 5\), and is forced to one of \(4, 3\)"),
        ({"parameters": {"first.w": X}}, r"'first.w' has shape \(3, 5\), and one of \(4, 3\) came"),
        ({"parameters": {}}, "'first.w' is missing"),
        ({"parameters": {"v": X}}, "no parameter or buffer 'v'; there are first.w"),
    ],
)
def test_a_call_that_does_not_fit_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        port().run(call(**changed))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["hh"], r"tap_cotangent\('hh', …\) was called 1 times, tap\('hh', …\) 0 times.*Taps are: 'a', 'h'$"),
        (["h", "h"], r"tap_cotangent\('h', …\) was called 2 times, tap\('h', …\) 1 times"),
    ],
)
def test_a_cotangent_belongs_to_a_tap(names, message):
    def vjp(params, x, cotangent):
        for name in names:
            tap_cotangent(name, np.zeros((4, 5)))
        return net_vjp(params, x, cotangent)

    with pytest.raises(ValueError, match=message):
        port(vjp=vjp).run(call())


def test_a_cotangent_has_the_shape_of_its_value():
    with pytest.raises(ValueError, match=r"cotangent of 'h' has shape \(5,\), due \(4, 5\)"):
        port(vjp=lambda *_: tap_cotangent("h", np.zeros(5))).run(call())


def test_taps_outside_of_a_run_and_of_what_is_no_array_do_nothing():
    assert tap("h", 3) == tap_cotangent("h", 3) == 3
    run = port(lambda p, x: x * p * tap("two", 2) + tap_cotangent("early", x), np.ones(3), None).run(call())
    assert [node.key for node in run.nodes] == ["(whole) input", "(whole)"]
    assert close(run.outputs["(output)"], 3 * X)


def test_what_a_port_cannot_be_made_of_is_refused():
    with pytest.raises(ValueError, match="there is no 'mean' in params; there are first"):
        port(buffers=["mean"])
    with pytest.raises(TypeError, match="'w' is complex128: complex numbers are not compared"):
        port(params={"w": 1j * X})
    with pytest.raises(TypeError, match=r"returned a float at '\(output\)'"):
        port(lambda p, x: 1.0, vjp=None).run(call())
    with pytest.raises(ValueError, match="loss_grad returned nothing for"):
        port(loss=half_square, loss_grad=lambda *_: None).run(Call((X,), (SEED,)))


# A step


def test_a_step_is_a_function_of_two_dicts():
    ours = port(
        params={k: {n: x.astype(np.float32) for n, x in layer.items()} for k, layer in PARAMS.items()}
    )
    gradients = ours.run(call()).gradients
    after = ours.step(lambda p, g: {k: p[k] - 0.1 * g[k] for k in p}, ours.parameters, gradients)
    assert list(after) == list(ours.parameters)
    assert all(
        np.array_equal(x, np.float64(ours.parameters[k]) - 0.1 * gradients[k]) for k, x in after.items()
    )
    assert all(x.dtype == np.float64 for x in after.values())
    with pytest.raises(TypeError, match="the optimizer is a float: give a function"):
        ours.step(0.1, ours.parameters, gradients)
    with pytest.raises(ValueError, match="the optimizer returned a NoneType; due parameters: first"):
        ours.step(lambda p, g: None, ours.parameters, gradients)
    with pytest.raises(ValueError, match=r"the optimizer returned first\.w; due"):
        ours.step(lambda p, g: {"first.w": X}, ours.parameters, gradients)
