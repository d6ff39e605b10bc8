"""Layouts as a person writes them: from the arrays of a torch module, by path, to those of its port in Flax NNX."""

__all__ = [
    "attention", "basic_block", "block", "classifier", "conv", "embedding", "fused_lstm", "gpt", "gru", "linear", "lstm",
    "norm", "tiny_net",
]  # fmt: skip

import numpy as np


def under(arrays, path):
    """Those under a path, without it."""
    return {key[len(path) + 1 :]: x for key, x in arrays.items() if key.startswith(path + ".")}


def at(path, arrays):
    """These, under a path."""
    return {f"{path}.{key}": x for key, x in arrays.items()}


def linear(t):
    """(out, in) becomes (in, out)."""
    return {"kernel": t["weight"].T} | ({"bias": t["bias"]} if "bias" in t else {})


def conv(t):
    """OIHW becomes HWIO."""
    return {"kernel": t["weight"].transpose(2, 3, 1, 0)} | ({"bias": t["bias"]} if "bias" in t else {})


def norm(t):
    """Scale, bias and statistics."""
    names = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
    return {new: t[old] for old, new in names.items() if old in t}


def embedding(t):
    """As it is."""
    return {"embedding": t["weight"]}


def attention(heads, t):
    """One matrix of three becomes three, split in heads."""
    width = t["out_proj.bias"].size
    found = {
        "out.kernel": t["out_proj.weight"].T.reshape(heads, -1, width),
        "out.bias": t["out_proj.bias"],
    }
    for name, weight, bias in zip(
        ("query", "key", "value"),
        np.split(t["in_proj_weight"], 3),
        np.split(t["in_proj_bias"], 3),
        strict=True,
    ):
        found |= {
            f"{name}.kernel": weight.T.reshape(width, heads, -1),
            f"{name}.bias": bias.reshape(heads, -1),
        }
    return found


def fused_lstm(t):
    """The two biases become their sum."""
    return at("cell", {
        "dense_i.kernel": t["weight_ih_l0"].T, "dense_h.kernel": t["weight_hh_l0"].T,
        "dense_h.bias": t["bias_ih_l0"] + t["bias_hh_l0"],
    })  # fmt: skip


def lstm(t):
    """A layer for each gate."""
    found = {}
    for n, gate in enumerate("ifgo"):
        one = {key: np.split(x, 4)[n] for key, x in t.items()}
        found |= {
            f"{'if_' if gate == 'f' else 'i' + gate}.kernel": one["weight_ih_l0"].T,
            f"h{gate}.kernel": one["weight_hh_l0"].T,
            f"h{gate}.bias": one["bias_ih_l0"] + one["bias_hh_l0"],
        }
    return at("cell", found)


def gru(t):
    """Where the reference's hidden bias is 0."""
    return at("cell", {
        "dense_i.kernel": t["weight_ih_l0"].T, "dense_h.kernel": t["weight_hh_l0"].T, "dense_i.bias": t["bias_ih_l0"],
    })  # fmt: skip


def classifier(t):
    """A recurrent layer and a linear one."""
    return at("rnn", fused_lstm(under(t, "rnn"))) | at("fc", linear(under(t, "fc")))


def basic_block(t):
    """Its shortcut is numbered in torch."""
    convs = {"conv1": "conv1", "conv2": "conv2", "downsample.0": "short_conv"}
    norms = {"bn1": "bn1", "bn2": "bn2", "downsample.1": "short_bn"}
    found = {}
    for rule, names in ((conv, convs), (norm, norms)):
        for old, new in names.items():
            found |= at(new, rule(under(t, old)))
    return found


def tiny_net(t):
    """The order of NCHW stays, for the port flattens so."""
    rules = {"conv": conv, "bn": norm, "wide": conv, "fc": linear}
    return {key: x for name, rule in rules.items() for key, x in at(name, rule(under(t, name))).items()}


def block(t):
    """One matrix of query, key and value becomes three."""
    found = {}
    for name in ("norm1", "norm2"):
        found |= at(name, norm(under(t, name)))
    for old, new in (("up", "up"), ("down", "down"), ("attention.proj", "attention.out")):
        found |= at(new, linear(under(t, old)))
    fused = under(t, "attention.qkv")
    for n, name in enumerate(("query", "key", "value")):
        found |= at(f"attention.{name}", linear({key: np.split(x, 3)[n] for key, x in fused.items()}))
    return found


def gpt(t):
    """The head is the embedding."""
    found = at("norm", norm(under(t, "norm")))
    for name in ("tokens", "positions"):
        found |= at(name, embedding(under(t, name)))
    for n in range(2):
        found |= at(f"blocks.{n}", block(under(t, f"blocks.{n}")))
    return found
