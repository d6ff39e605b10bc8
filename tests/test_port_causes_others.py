"""Planted mistakes in the backward pass, in losses, outputs, buffers, parameters and precision."""

from dataclasses import replace

import numpy as np
import pytest

from gradproof.codes import CODES
from gradproof.porting.causes import (
    causes_of_backward,
    causes_of_buffers,
    causes_of_loss,
    causes_of_outputs,
    causes_of_parameter,
    causes_of_precision,
)
from gradproof.porting.causes.forward import causes_of_stretch
from gradproof.porting.stretch import Stretch

SEEDS = (0, 1, 2)


def one(causes, code, *words):
    assert [cause.code for cause in causes] == [code], causes
    assert code in CODES
    said = causes[0].says
    assert all(word in said for word in words), said
    assert "{" not in said.format(reference="torch", port="flax")


def backward(value, expected, found, bar=1e-14):
    return Stretch(
        "node", "node", "output", "", "", {}, {}, {}, {}, value, value, 1e-13,
        expected_cotangent=expected, found_cotangent=found, cotangent_bar=bar,
    )  # fmt: skip


# Backward


def _values(rng):
    x = rng.normal(size=(5, 12))
    return x, rng.normal(size=x.shape)


BACKWARD = {
    "stopped": (lambda x, g: 0 * g, "GP238", ["exactly zero", "{port}"]),
    "sign": (lambda x, g: -g, "GP102", ["sign"]),
    "factor": (lambda x, g: 0.5 * g, "GP101", ["1/2"]),
    "size": (lambda x, g: g * 12, "GP104", ["12"]),
    "clipped": (lambda x, g: np.clip(g, -0.5, 0.5), "GP128", ["0.5"]),
    "partly stopped": (lambda x, g: np.where(np.arange(12) % 3 == 0, 0.0, g), "GP238", ["33%"]),
    "permuted": (lambda x, g: g[:, np.r_[1:12, 0][::-1]], "GP120", ["axis 1"]),
    "float32": (lambda x, g: g.astype(np.float32).astype(float), "GP237", ["float32"]),
    "not finite": (lambda x, g: np.where(x > 1.5, np.nan, g), "GP118", ["not finite"]),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", BACKWARD)
def test_a_mistake_of_the_backward_pass(name, seed):
    change, code, words = BACKWARD[name]
    x, g = _values(np.random.default_rng(seed))
    x[0, 0] = 2.0
    one(causes_of_backward(backward(x, g, change(x, g))), code, *words)


def test_the_reference_may_be_the_one_that_is_stopped():
    x, g = _values(np.random.default_rng(0))
    one(causes_of_backward(backward(x, 0 * g, g)), "GP238", "{reference}")


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("words", ["lacks what comes through head", "through head alone"])
def test_one_of_the_uses_of_a_shared_parameter_has_no_gradient(words, turned):
    rng = np.random.default_rng(4)
    w, rest, share = (rng.normal(size=(7, 7)) for _ in range(3))
    found = rest if "lacks" in words else share
    made = replace(backward(w, rest + share, found), uses={"head": share.T if turned else share})
    one(causes_of_backward(made), "GP238", words)
    assert causes_of_backward(replace(made, found_cotangent=found + 1e-6 * w)) == ()
    assert causes_of_backward(replace(made, uses={"head": share[:, :6]})) == ()


KINKS = {
    "zero": (lambda x: x.__setitem__((1, slice(3, 6)), 0.0), lambda x: x == 0, "exactly 0"),
    "bound": (lambda x: np.clip(x, -1, 1, out=x), lambda x: np.abs(x) == 1, "bound -1 or 1"),
    "tie": (
        lambda x: x.__setitem__((slice(None), 3), x[:, 4]),
        lambda x: np.isin(np.arange(12), (3, 4)) & (x < 9),
        "tied",
    ),
    "norm": (
        lambda x: x.__setitem__(2, 0.0),
        lambda x: ~x.any(axis=1, keepdims=True) & (x == 0),
        "norm at 0",
    ),
}


@pytest.mark.parametrize("other", [0.5, np.nan])
@pytest.mark.parametrize("name", KINKS)
def test_a_convention_at_a_kink(name, other):
    change, at, words = KINKS[name]
    x, g = _values(np.random.default_rng(1))
    change(x)
    one(causes_of_backward(backward(x, g, np.where(at(x), other * g, g))), "GP109", words)


def test_entries_at_no_kink_are_no_convention():
    x, g = _values(np.random.default_rng(2))
    found = g.copy()
    found[1, 2] = found[3, 4] = 0.1
    x[1, 2] = 0.0
    assert causes_of_backward(backward(x, g, found)) == ()


def test_a_bound_at_which_most_entries_agree_is_no_convention():
    x, g = _values(np.random.default_rng(6))
    np.clip(x, -0.5, 0.5, out=x)
    found = g.copy()
    found[tuple(np.argwhere(x == 0.5)[0])] *= 0.5
    found[tuple(np.argwhere(x == -0.5)[0])] *= 0.5
    assert [cause.says for cause in causes_of_backward(backward(x, g, found)) if "bound" in cause.says] == []


def test_unrelated_cotangents_have_no_cause():
    rng = np.random.default_rng(3)
    x, g = _values(rng)
    assert causes_of_backward(backward(x, g, rng.normal(size=g.shape))) == ()
    assert causes_of_backward(backward(x, g, g + 1e-8 * rng.normal(size=g.shape))) == ()
    assert causes_of_backward(backward(x, g, g)) == ()
    assert causes_of_backward(backward(x, None, g)) == ()


# Losses


def log_softmax(y):
    return y - np.log(np.sum(np.exp(y), -1, keepdims=True))


def picked(log, t):
    return -np.take_along_axis(log, t[..., None], -1)[..., 0]


def _loss_case(name, rng):
    y, z = rng.normal(size=(6, 5)), rng.normal(size=(6, 5))
    t = rng.integers(0, 5, size=6)
    e = (y - z) ** 2
    nll = picked(log_softmax(y), t)
    return {
        "mean, sum": (e.mean(), e.sum(), y, z, "GP239", ["mean", "sum"]),
        "mean, batch": (e.mean(), e.sum() / 6, y, z, "GP239", ["batch"]),
        "half": (e.mean(), 0.5 * e.mean(), y, z, "GP240", ["0.5"]),
        "absolute": (e.mean(), np.abs(y - z).mean(), y, z, "GP240", ["squared", "absolute"]),
        "classes": (nll.mean(), nll.sum(), y, t, "GP239", ["sum"]),
        "no log-softmax": (nll.mean(), picked(y, t).mean(), y, t, "GP240", ["no log-softmax"]),
        "softmax twice": (
            nll.mean(),
            picked(log_softmax(np.exp(log_softmax(y))), t).mean(),
            y,
            t,
            "GP240",
            ["twice"],
        ),
        "unknown, sum": (nll.mean() * 1.7, nll.sum() * 1.7, y, t, "GP239", ["6"]),
        "unknown, half": (e.mean() ** 0.3, 0.5 * e.mean() ** 0.3, None, None, "GP240", ["1/2"]),
        "sign": (nll.mean(), -nll.mean(), None, None, "GP231", ["opposite"]),
    }[name]


LOSSES = (
    "mean, sum", "mean, batch", "half", "absolute", "classes", "no log-softmax", "softmax twice", "unknown, sum",
    "unknown, half", "sign",
)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", LOSSES)
def test_a_mistake_of_the_loss(name, seed):
    expected, found, outputs, targets, code, words = _loss_case(name, np.random.default_rng(seed))
    one(causes_of_loss(expected, found, outputs, targets, [(6, 5)]), code, *words)


def test_targets_that_are_ignored_are_counted_or_not():
    rng = np.random.default_rng(0)
    y, t = rng.normal(size=(4, 7, 5)), rng.integers(0, 5, size=(4, 7))
    t[:, 4:] = -100
    terms = np.where(t >= 0, picked(log_softmax(y), np.maximum(t, 0)), 0.0)
    one(causes_of_loss(terms.sum() / 16, terms.mean(), y, t), "GP239", "not ignored")


@pytest.mark.parametrize("classes", [1, 2])
def test_the_softmax_of_a_loss_is_over_another_axis(classes):
    rng = np.random.default_rng(classes)
    y, t = rng.normal(size=(3, 7, 7)), rng.integers(0, 7, size=(3, 7))

    def loss(axis):
        log = y - np.log(np.sum(np.exp(y), axis, keepdims=True))
        return picked(np.moveaxis(log, classes, -1), t).mean()

    for axis in {0, 1, 2} - {classes}:
        one(causes_of_loss(loss(classes), loss(axis), y, t), "GP240", f"axis {axis}", f"(axis {classes})")


def test_unrelated_losses_have_no_cause():
    y = np.random.default_rng(1).normal(size=(6, 5))
    assert causes_of_loss(0.731, 0.412, y, y[::-1], [(6, 5)]) == ()
    assert causes_of_loss(0.5, 0.5) == ()
    assert causes_of_loss(0.0, 0.5) == ()
    assert causes_of_loss(np.nan, 0.5) == ()


# Outputs


@pytest.mark.parametrize("seed", SEEDS)
def test_mistakes_of_a_whole_output(seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(9, 6))
    noise = 1e-13 * rng.normal(size=y.shape)
    order = np.array([3, 0, 5, 1, 4, 2])
    one(causes_of_outputs(y, y[:, order] + noise, 1e-12), "GP232", "3, 0, 5, 1, 4, 2")
    one(causes_of_outputs(y, y / 0.7 + noise, 1e-12), "GP229", "1.42857")
    one(causes_of_outputs(y, y - 3 + noise, 1e-12), "GP230", "-3")
    one(causes_of_outputs(y, -y + noise, 1e-12), "GP231", "opposite")
    one(causes_of_outputs(y, np.exp(log_softmax(y)) + noise, 1e-12), "GP213", "logits")
    assert causes_of_outputs(y, y + noise, 1e-12) == ()
    assert causes_of_outputs(y, rng.normal(size=y.shape)) == ()


# Buffers


def _buffers(rng):
    x = rng.normal(size=(4, 3, 5, 5)) * 2 + 1
    before = {"bn.running_mean": rng.normal(size=3), "bn.running_var": rng.uniform(0.5, 2, 3)}
    return x, before


def updated(x, before, weight=0.1, ddof=1, last=False):
    axes = (0, 1, 2) if last else (0, 2, 3)
    mean, var = before.values()
    return {
        "bn.running_mean": (1 - weight) * mean + weight * x.mean(axes),
        "bn.running_var": (1 - weight) * var + weight * x.var(axes, ddof=ddof),
    }


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("last", [False, True])
def test_mistakes_of_running_statistics(seed, last):
    x, before = _buffers(np.random.default_rng(seed))
    if last:
        x = np.moveaxis(x, 1, -1)
    due = updated(x, before, last=last)
    for given, settings in ((x, {}), (None, {"momentum": 0.1})):
        one(
            causes_of_buffers(before, due, updated(x, before, 0.9, last=last), given, settings),
            "GP241",
            "0.1",
            "0.9",
            "old one",
        )
        one(
            causes_of_buffers(before, due, updated(x, before, 0.01, last=last), given, settings),
            "GP241",
            "0.01",
            "another",
        )
        one(causes_of_buffers(before, due, before, given, settings), "GP243", "{port} does not")
    one(causes_of_buffers(before, due, updated(x, before, ddof=0, last=last), x), "GP242", "99", "100")
    both = updated(x, before, 0.9, 0, last=last)
    one(causes_of_buffers(before, due, both, x), "GP241", "0.9")
    assert causes_of_buffers(before, due, due, x) == ()
    other = {path: value + np.arange(3) for path, value in due.items()}
    assert causes_of_buffers(before, due, other, x) == ()


# Parameters


def _kernel(rng):
    return rng.normal(size=(8, 8))


PARAMETERS = {
    "transposed": (_kernel, np.transpose, "GP227", ["(1, 0)"]),
    "zeros": (_kernel, np.zeros_like, "GP244", ["zeros"]),
    "ones": (_kernel, np.ones_like, "GP244", ["ones"]),
    "sign": (_kernel, np.negative, "GP231", ["negative"]),
    "scaled": (_kernel, lambda w: w / np.sqrt(8), "GP229", ["1/√8"]),
    "scale from zero": (lambda r: r.normal(size=9), lambda w: w - 1, "GP208", ["− 1"]),
    "flipped": (lambda r: r.normal(size=(4, 3, 3, 3)), lambda w: w[:, :, ::-1, ::-1], "GP219", ["flipped"]),
    "lstm gates": (lambda r: r.normal(size=(16, 5)), lambda w: np.concatenate([np.split(w, 4)[i] for i in (0, 2, 1, 3)]), "GP224", ["i, g, f, o"]),
    "gru gates": (lambda r: r.normal(size=(15,)), lambda w: np.concatenate([np.split(w, 3)[i] for i in (1, 0, 2)]), "GP224", ["z, r, n"]),
    "rows permuted": (lambda r: r.normal(size=(7, 4)), lambda w: w[np.array([2, 0, 1, 6, 4, 5, 3])], "GP232", ["2, 0, 1"]),
    "flattened": (lambda r: r.normal(size=(3, 30)), lambda w: w.reshape(3, 5, 6).swapaxes(1, 2).reshape(3, 30), "GP234", ["5 × 6"]),
    "bfloat16": (_kernel, lambda w: (w.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32), "GP237", ["bfloat16"]),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_mistake_of_copying(name, seed):
    make, change, code, words = PARAMETERS[name]
    value = make(np.random.default_rng(seed)).astype(np.float32)
    one(causes_of_parameter(value, change(value)), code, *words)


def test_a_summand_is_missing_or_another_parameter_was_copied():
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=12) for _ in range(3))
    one(causes_of_parameter(a + b, a, parts=[a, b]), "GP226", "summand 2 of the 2")
    one(causes_of_parameter(a, c, others={"head.bias": b, "tail.bias": c}), "GP244", "tail.bias")


def test_unrelated_parameters_have_no_cause():
    rng = np.random.default_rng(1)
    for shape in ((8, 8), (12,), (4, 3, 3, 3), (1,)):
        value = rng.normal(size=shape)
        assert causes_of_parameter(value, rng.normal(size=shape)) == ()
        assert causes_of_parameter(value, value + 1e-3 * rng.normal(size=shape)) == ()
        assert causes_of_parameter(value, value.astype(np.float32)) == ()


# Precision


def test_a_shorter_format_inside_is_named():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(9, 6))
    single = y.astype(np.float32)
    short = (single.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    unit = 2.0**-24
    one(causes_of_precision(short, y, single, y, (unit, unit)), "GP237", "bfloat16 numbers")
    one(
        causes_of_precision(single + 1e-3 * rng.normal(size=y.shape), y, single, y, (unit, unit)),
        "GP237",
        "float16's",
    )
    assert causes_of_precision(single, y, single, y, (unit, unit)) == ()
    assert causes_of_precision(single * (1 + 4 * unit), y, single, y, (unit, unit)) == ()
    assert causes_of_precision(short, y, single, y, (2.0**-8, unit)) == ()


def test_a_relu_is_no_dropout():
    """A leaky ReLU of the other side is not zero where the ReLU is: below 0, and nowhere else."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 6, 8))
    stretch = Stretch(
        "a", "b", "input", "", "", {}, {}, {}, {}, np.maximum(x, 0.0), np.where(x > 0, x, 0.1 * x), 1e-14
    )
    assert "GP228" not in {cause.code for cause in causes_of_stretch(stretch)}
