"""Mistakes planted into ports, and what has to be said of each: where it begins, and which it is."""

__all__ = ["CONVENTIONS", "PLANTS", "Plant", "ports_of"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import nnx
from torch import nn
from torch.nn import functional as F

import ports_zoo.by_hand as hand
import ports_zoo.nnx_models as ours
import ports_zoo.torch_models as theirs
from ports_zoo import wrong
from ports_zoo.pairs import PAIRS, Arrays, Pair, module, nnx_module


@dataclass(frozen=True)
class Plant:
    """One mistake in one port."""

    name: str
    pair: Pair
    """What is right; its `port` is the one with the mistake."""
    first: tuple[str, ...]
    """Where it begins, in the reference's names: nodes, parameters or buffers, any of which is right."""
    codes: tuple[str, ...]
    """Diagnoses that are right; none where the mistake is in no catalogue, and nothing has to be said."""
    where: str = "forward"
    """ "forward", "backward", "parameter", "gradient", "buffer", "loss" or "step"."""
    spoil: Callable[[Arrays], Arrays] | None = None
    """What went wrong when the weights were copied."""
    copied: bool = True
    """Whether the weights are the reference's, copied by hand; else the port has its own."""
    losses: tuple[Callable[..., Any], Callable[..., Any]] | None = None
    targets: Any = ()
    optimizers: Mapping[str, Any] | None = field(default=None)


def ports_of(plant: Plant, *, copied: bool | None = None):
    """The reference and the port with the mistake, and the inputs of each."""
    from gradproof.porting.doors import flax_port, torch_port

    reference, port = plant.pair.reference(), plant.pair.port()
    if plant.copied if copied is None else copied:
        arrays = plant.pair.by_hand(
            {key: x.detach().numpy().copy() for key, x in reference.state_dict().items()}
        )
        ours.placed(port, plant.spoil(arrays) if plant.spoil else arrays)
    losses = plant.losses or (None, None)
    ports = {
        "torch": torch_port(reference, call=plant.pair.reference_call, loss=losses[0]),
        "flax": flax_port(port, call=plant.pair.port_call, loss=losses[1]),
    }
    return ports, dict(zip(ports, plant.pair.inputs(), strict=True))


def planted(name, base, port, first, codes, **options):
    """A mistake in the port of a pair."""
    pair = PAIRS[base]
    made = Pair(
        pair.name, options.pop("reference", pair.reference), port or pair.port, options.pop("inputs", pair.inputs),
        options.pop("by_hand", pair.by_hand), pair.reference_call, pair.port_call,
    )  # fmt: skip
    return Plant(name, made, first, codes, **options)


def block(**options):
    """The transformer block with something wrong in it."""
    return partial(nnx_module, ours.Block, **options)


def attending(**options):
    """The same, in its attention."""
    return block(attention=partial(ours.Attention, attend=partial(ours.attend, **options)))


def net(**options):
    """The convolutional network with something wrong in it."""
    return partial(nnx_module, ours.TinyNet, **options)


def swapped(one, other):
    """Two parameters in each other's place."""

    def spoil(arrays):
        ends = ("kernel", "bias")
        return arrays | {
            f"{a}.{end}": arrays[f"{b}.{end}"] for a, b in ((one, other), (other, one)) for end in ends
        }

    return spoil


def changed(path, how):
    """One parameter copied wrongly."""
    return lambda arrays: arrays | {path: how(arrays[path])}


def gates(order):
    """The gates of an LSTM in another order."""
    return lambda arrays: {
        path: np.concatenate([np.split(x, 4, axis=-1)["ifgo".index(gate)] for gate in order], axis=-1)
        for path, x in arrays.items()
    }


def rnn(cell, *sizes):
    """A cell over a sequence."""
    return partial(nnx_module, lambda *a, rngs: nnx.RNN(cell(*a, rngs=rngs)), *sizes)


def cross_entropy(logits, labels, axis=-1, reduce=jnp.mean):
    """Of labels that are indices."""
    return reduce(-jnp.take_along_axis(jax.nn.log_softmax(logits, axis=axis), labels[..., None], axis=-1))


def token_loss(logits, labels):
    """The reference's, over (batch, length, vocabulary)."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


LABELS = np.array([2, 0, 1])
TOKENS = np.random.default_rng(7).integers(11, size=(2, 6))
NORM = ("norm1",)
SCORES = ("attention.proj input",)
HIDDEN = ("act", "down input")


class Gain(nn.Module):
    """A function with a kink, times a gain."""

    def __init__(self, function, width=5):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, width))

    def forward(self, x):
        return self.weight * self.function(x)


def _kinks():
    x = np.array([[-1.0, -0.4, 0.0, 0.7, 1.0], [0.3, 0.0, 1.0, -1.0, -2.0]], dtype=np.float32)
    return (x,), (x,)


def _eps(model, eps):
    model.norm1.eps = model.norm2.eps = eps
    return model


PLANTS = {plant.name: plant for plant in (
    # Normalisation
    planted("LayerNorm eps", "transformer block", block(eps=1e-6), NORM, ("GP201",)),
    planted("LayerNorm eps outside the root", "transformer block", block(eps=1e-2, norm=wrong.OutsideNorm),
            NORM, ("GP202",), reference=lambda: _eps(module(theirs.Block), 1e-2)),
    planted("LayerNorm with the variance of a sample", "transformer block", block(norm=wrong.UnbiasedNorm), NORM, ("GP203",)),
    planted("RMSNorm for LayerNorm", "transformer block", block(norm=wrong.BiasedNorm), NORM, ("GP204",)),
    planted("GroupNorm eps", "group norm", partial(nnx_module, nnx.GroupNorm, 6, 2), ("(whole)",), ("GP201",)),
    planted("GroupNorm groups", "group norm", partial(nnx_module, nnx.GroupNorm, 6, 3, epsilon=1e-5), ("(whole)",), ("GP206",)),
    planted("RMSNorm eps", "rms norm", partial(nnx_module, nnx.RMSNorm, 6, epsilon=1e-5), ("(whole)",), ("GP201",)),
    planted("BatchNorm eps", "small convolutional network", net(eps=1e-3), ("bn",), ("GP201",)),
    planted("BatchNorm trains", "small convolutional network", net(train=True), ("bn",), ("GP205",)),
    planted("BatchNorm momentum", "batch norm, train", partial(nnx_module, ours.BatchNorm, 4, momentum=0.1), ("running_mean", "running_var", "mean", "var"),
            ("GP241",), where="buffer"),
    planted("running variance biased", "batch norm, train", partial(nnx_module, nnx.BatchNorm, 4, momentum=0.9), ("running_var", "var"), ("GP242",),
            where="buffer"),
    # Activations
    planted("GELU by tanh", "transformer block", block(act=jax.nn.gelu), HIDDEN, ("GP209",)),
    planted("SiLU for GELU", "transformer block", block(act=jax.nn.silu), HIDDEN, ("GP210",)),
    planted("ReLU for SiLU", "small convolutional network", net(act=nnx.relu), ("fc input",), ("GP210",)),
    # Attention
    planted("scores not scaled", "transformer block", attending(scale=lambda depth: 1.0), SCORES, ("GP214",)),
    planted("scores scaled by 1/d", "transformer block", attending(scale=lambda depth: 1 / depth), SCORES, ("GP214",)),
    planted("causal mask missing", "transformer block", attending(mask=wrong.all_seen), SCORES, ("GP215",)),
    planted("causal mask inverted", "transformer block", attending(mask=wrong.later), SCORES, ("GP215",)),
    planted("causal mask off by one", "transformer block", attending(mask=wrong.one_later), SCORES, ("GP215",)),
    planted("softmax over the queries", "transformer block", attending(axis=-2), SCORES, ("GP212",)),
    planted("heads split without transposing", "transformer block",
            block(attention=partial(ours.Attention, split=wrong.row_major_heads)), SCORES, ("GP216",)),
    planted("key and value swapped", "transformer block", None, (*SCORES, "attention.qkv", "attention.qkv.weight", "attention.qkv.bias"), ("GP224", "GP244"),
            spoil=swapped("attention.key", "attention.value")),
    # The block
    planted("residual missing", "transformer block", block(way=wrong.no_second_residual), ("(whole)",), ("GP235",)),
    planted("post-norm for pre-norm", "transformer block", block(way=wrong.post_norm),
            ("attention input", "attention.qkv input", "norm1 input", "norm1"), ("GP236",)),
    planted("dropout on", "transformer block", block(dropout=0.5), ("down input",), ("GP228",)),
    planted("bfloat16 in a layer", "transformer block", block(dtype=jnp.bfloat16), ("up",), ("GP237",)),
    planted("bfloat16 on the way", "transformer block", block(act=wrong.rounded), HIDDEN, ("GP237",)),
    # Copied weights
    planted("square weight not transposed", "transformer block", None, ("attention.proj", "attention.proj.weight"), ("GP227",),
            spoil=changed("attention.out.kernel", np.transpose)),
    planted("bias not copied", "transformer block", None, ("down", "down.bias"), ("GP244",), spoil=changed("down.bias", np.zeros_like)),
    planted("kernel's height and width swapped", "small convolutional network", None, ("conv", "conv.weight"), ("GP227",),
            spoil=changed("conv.kernel", lambda x: x.transpose(1, 0, 2, 3))),
    planted("kernel's channels swapped", "square conv", None, ("(whole)", "weight"), ("GP227",),
            spoil=changed("kernel", lambda x: x.transpose(0, 1, 3, 2))),
    planted("LSTM gates in another order", "LSTM", None, ("(whole)", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0"), ("GP224",), spoil=gates("igfo")),
    planted("classes in another order", "classifier, LSTM", None, ("fc", "fc.weight", "fc.bias"), ("GP232",),
            spoil=lambda arrays: arrays | {key: arrays[key][..., [0, 2, 1]] for key in ("fc.kernel", "fc.bias")}),
    # Recurrent
    planted("GRU resets first", "GRU", rnn(wrong.ResetFirst, 3, 4), ("(whole)",), ("GP225",)),
    # Embeddings
    planted("embedding not scaled", "GPT", partial(nnx_module, ours.GPT, scale=1.0), ("blocks.0 input", "blocks.0.norm1 input"), ("GP229", "GP235")),
    planted("positions off by one", "GPT", partial(nnx_module, ours.GPT, start=1), ("positions", "positions input"), ("GP233",)),
    planted("head copied, not shared", "GPT", partial(nnx_module, ours.GPT, tied=False), ("tokens.weight", "head.weight", "tokens.embedding", "head.kernel"), ("GP251",), where="parameter",
            by_hand=lambda t: hand.gpt(t) | {"head.kernel": t["head.weight"].T}),
    # Convolutions
    planted("SAME padding with a stride", "small convolutional network", net(same=True), ("conv",), ("GP217",)),
    planted("dilation forgotten", "small convolutional network", net(dilation=1, padding=1), ("wide",), ("GP218",)),
    planted("flattened channels last", "small convolutional network", net(channels_first=False), ("fc input",), ("GP234",)),
    planted("mean for maximum in pooling", "small convolutional network", net(pool=wrong.avg_pool), ("pool", "wide input"), ("GP223",)),
    planted("pooling padded behind only", "small convolutional network", net(pool=wrong.same_pool), ("pool", "wide input"), ("GP217",)),
    planted("shortcut missing", "basic block, eval", partial(nnx_module, ours.BasicBlock, 3, 4, 2, shortcut=False), ("relu#2", "relu input#2", "(whole)"),
            ("GP235",)),
    # Backward
    planted("gradient stopped", "transformer block", block(way=wrong.detached_attention), ("attention", "attention.proj"), ("GP238",),
            where="backward"),
    planted("derivative by hand lacks a term", "transformer block", block(act=wrong.forgets_factor), ("up", "act input"), (), where="backward"),
    # Loss
    planted("sum for mean in the loss", "GPT", None, ("(loss)",), ("GP239",), where="loss", targets=(TOKENS,),
            losses=(token_loss, partial(cross_entropy, reduce=jnp.sum))),
    planted("loss over the wrong axis", "GPT", None, ("(loss)",), ("GP240",), where="loss", targets=(TOKENS,),
            losses=(token_loss, partial(cross_entropy, axis=1))),
    planted("labels off by one", "classifier, LSTM", None, ("(loss)",), (), where="loss", targets=(LABELS[:2],),
            losses=(F.cross_entropy, lambda logits, labels: cross_entropy(logits, (labels + 1) % 3))),
    # Step
    planted("AdamW's weight decay", "linear", None, ("weight", "bias", "kernel"), ("GP252",), where="step",
            optimizers={"torch": partial(torch.optim.AdamW, lr=1e-2), "flax": optax.adamw(1e-2)}),
    # At a kink, and wrong
    planted("derivative of |x| wrong beside the kink", "linear", partial(nnx_module, wrong.GrowingGain, 5), ("(whole) input", "(input)"), (),
            where="backward", reference=lambda: Gain(torch.abs), by_hand=dict, inputs=_kinks),
)}  # fmt: skip


CONVENTIONS = {plant.name: plant for plant in (
    planted("|x| at 0", "linear", partial(nnx_module, wrong.Gain, 5), (), ("GP109",), where="backward", reference=lambda: Gain(torch.abs),
            by_hand=dict, inputs=_kinks),
    planted("clip at its bounds", "linear", partial(nnx_module, wrong.ClippedGain, 5), (), ("GP109",), where="backward",
            reference=lambda: Gain(lambda x: x.clamp(-1, 1)), by_hand=dict, inputs=_kinks),
)}  # fmt: skip
