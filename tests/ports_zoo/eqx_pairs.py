"""Pairs of a torch module and its port in Equinox, or in Flax linen, which hold their weights elsewhere."""

__all__ = ["EQUINOX", "LINEN"]

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen
from torch import nn

import ports_zoo.torch_models as theirs
from ports_zoo.pairs import Pair, attention, first, module, normal, sequence, words


def randomised(model, seed=1):
    """Every array at random, small numbers added."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda x: x + jnp.asarray(0.3 * rng.normal(size=x.shape), x.dtype) if eqx.is_inexact_array(x) else x,
        model,
    )


def equinox(kind, *args, **options):
    """An Equinox module, everything at random."""
    return randomised(kind(*args, **options, key=jax.random.key(1)))


def each(model, x):
    """One example after the other."""
    return jax.vmap(model)(x)


def each_row(model, x):
    """Of a sequence of each example."""
    return jax.vmap(jax.vmap(model))(x)


def scanned(hidden_of):
    """A cell over a sequence."""

    def run(cell, x):
        def step(state, now):
            state = cell(now, state)
            return state, hidden_of(state)

        def one(x):
            zeros = jnp.zeros(cell.hidden_size, x.dtype)
            start = (zeros, zeros) if isinstance(cell, eqx.nn.LSTMCell) else zeros
            return jax.lax.scan(step, start, x)[1]

        return jax.vmap(one)(x)

    return run


def same(t):
    """The names of torch, and its layouts."""
    return dict(t)


def column_bias(t):
    """The bias of a convolution has its axes of length 1."""
    return {"weight": t["weight"], "bias": t["bias"][:, None, None]}


def split_attention(t):
    """Three matrices of one."""
    names = ("query_proj", "key_proj", "value_proj")
    found = {f"{name}.weight": w for name, w in zip(names, np.split(t["in_proj_weight"], 3), strict=True)}
    found |= {f"{name}.bias": b for name, b in zip(names, np.split(t["in_proj_bias"], 3), strict=True)}
    return found | {"output_proj.weight": t["out_proj.weight"], "output_proj.bias": t["out_proj.bias"]}


def lstm(t):
    """The biases become their sum."""
    return {
        "weight_ih": t["weight_ih_l0"],
        "weight_hh": t["weight_hh_l0"],
        "bias": t["bias_ih_l0"] + t["bias_hh_l0"],
    }


def gru(t):
    """The candidate's hidden bias stays by itself."""
    inside, outside, hidden = t["bias_hh_l0"].copy(), t["bias_ih_l0"], t["weight_hh_l0"].shape[1]
    inside[2 * hidden :] = 0
    return {
        "weight_ih": t["weight_ih_l0"], "weight_hh": t["weight_hh_l0"], "bias": outside + inside,
        "bias_n": t["bias_hh_l0"][2 * hidden :],
    }  # fmt: skip


def mlp(t):
    """Layers of a Sequential, with activations between."""
    return {
        key.replace(str(2 * n), f"layers.{n}", 1): x
        for n in range(3)
        for key, x in t.items()
        if key.startswith(f"{2 * n}.")
    }


def linen_gru(t):
    """A layer for each gate; the candidate has both biases."""
    found = {}
    for n, gate in enumerate("rzn"):
        one = {key: np.split(x, 3)[n] for key, x in t.items()}
        last = gate == "n"
        found |= {
            f"i{gate}.kernel": one["weight_ih_l0"].T, f"h{gate}.kernel": one["weight_hh_l0"].T,
            f"i{gate}.bias": one["bias_ih_l0"] + (0 if last else one["bias_hh_l0"]),
        }  # fmt: skip
        if last:
            found["hn.bias"] = one["bias_hh_l0"]
    return {f"cell.{key}": x for key, x in found.items()}


def image(*shape):
    """NCHW in both."""
    return sequence(*shape)


def _mlp():
    torch.manual_seed(0)
    return theirs.randomised(
        nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3))
    )


def _pair(name, reference, port, inputs, by_hand, port_call=each, **calls):
    return Pair(
        f"{name}, Equinox",
        reference,
        port,
        inputs,
        by_hand,
        port_call=port_call,
        framework="equinox",
        **calls,
    )


EQUINOX = {pair.name: pair for pair in (
    _pair("linear", partial(module, nn.Linear, 5, 7), partial(equinox, eqx.nn.Linear, 5, 7), partial(sequence, 3, 5), same),
    _pair("square linear", partial(module, nn.Linear, 6, 6), partial(equinox, eqx.nn.Linear, 6, 6), partial(sequence, 3, 6), same),
    _pair("conv", partial(module, nn.Conv2d, 3, 4, 3, 2, 1), partial(equinox, eqx.nn.Conv2d, 3, 4, 3, 2, 1), partial(image, 2, 3, 6, 5), column_bias),
    _pair("layer norm", partial(module, nn.LayerNorm, 6), lambda: randomised(eqx.nn.LayerNorm(6)), partial(sequence, 2, 3, 6), same, each_row),
    _pair("group norm", partial(module, nn.GroupNorm, 2, 6), lambda: randomised(eqx.nn.GroupNorm(2, 6)), partial(image, 2, 6, 3, 2), same),
    _pair("embedding", partial(module, nn.Embedding, 11, 4), partial(equinox, eqx.nn.Embedding, 11, 4), words, same, each_row),
    _pair("attention", partial(module, nn.MultiheadAttention, 8, 2, batch_first=True),
          partial(equinox, eqx.nn.MultiheadAttention, 2, 8, use_query_bias=True, use_key_bias=True, use_value_bias=True, use_output_bias=True),
          partial(sequence, 2, 5, 8), split_attention, lambda model, x: jax.vmap(lambda a: model(a, a, a))(x), reference_call=attention),
    _pair("LSTM", partial(module, nn.LSTM, 3, 4, batch_first=True), partial(equinox, eqx.nn.LSTMCell, 3, 4), partial(sequence, 2, 5, 3), lstm,
          scanned(lambda state: state[0]), reference_call=first),
    _pair("GRU", partial(module, nn.GRU, 3, 4, batch_first=True), partial(equinox, eqx.nn.GRUCell, 3, 4), partial(sequence, 2, 5, 3), gru,
          scanned(lambda state: state), reference_call=first),
    _pair("MLP", _mlp, partial(equinox, eqx.nn.MLP, 4, 3, 6, 2, activation=jnp.tanh), partial(sequence, 3, 4), mlp),
)}  # fmt: skip


def _linen_gru():
    model = linen.RNN(linen.GRUCell(4))
    variables = model.init(jax.random.key(1), jnp.asarray(normal(2, 5, 3)))
    return model, randomised(variables)


LINEN = {pair.name: pair for pair in (
    Pair("GRU, linen", partial(module, nn.GRU, 3, 4, batch_first=True), _linen_gru, partial(sequence, 2, 5, 3), linen_gru, reference_call=first),
)}  # fmt: skip
