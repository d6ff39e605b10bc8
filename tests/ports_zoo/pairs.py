"""Pairs of modules that are one function, with weights of their own on each side: a layout has to be found, and to agree.

`by_hand` is the layout as a person writes it; the tests do not show it to anyone.
"""

__all__ = ["PAIRS", "Pair", "image", "sequence", "words"]

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from flax import nnx
from torch import nn

import ports_zoo.by_hand as hand
import ports_zoo.nnx_models as ours
import ports_zoo.torch_models as theirs

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Pair:
    """One function twice."""

    name: str
    reference: Callable[[], nn.Module]
    port: Callable[[], Any]
    """Flax NNX module."""
    inputs: Callable[[], tuple[Any, Any]]
    """Of the reference and of the port."""
    by_hand: Callable[[Arrays], Arrays]
    """From the reference's arrays by path to the port's."""
    reference_call: Callable[..., Any] | None = None
    port_call: Callable[..., Any] | None = None
    framework: str = "flax"


def normal(*shape, seed=5):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sequence(*shape):
    """The same array for both."""
    x = normal(*shape)
    return (x,), (x,)


def image(*shape):
    """NCHW for the reference, NHWC for the port."""
    x = normal(*shape)
    return (x,), (np.ascontiguousarray(np.moveaxis(x, 1, -1)),)


def words(batch=2, length=6, vocabulary=11):
    """Indices."""
    x = np.random.default_rng(5).integers(vocabulary, size=(batch, length))
    return (x,), (x,)


def module(kind, *args, train=False, **options):
    """A torch module, everything at random."""
    torch.manual_seed(0)
    return theirs.randomised(kind(*args, **options)).train(train)


def nnx_module(kind, *args, **options):
    """A Flax module, everything at random."""
    return ours.randomised(kind(*args, rngs=nnx.Rngs(1), **options))


def _pair(name, reference, port, inputs, by_hand, **calls):
    return Pair(
        name,
        partial(module, *reference[0], **reference[1]),
        partial(nnx_module, *port[0], **port[1]),
        inputs,
        by_hand,
        **calls,
    )


def of(*args, **options):
    """Arguments of a call."""
    return args, options


def _conv(name, channels, out, kernel, size=(6, 5), **options):
    stride, padding, dilation, groups = (
        options.get(key, at) for key, at in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1))
    )
    return _pair(
        name, of(nn.Conv2d, channels, out, kernel, **options),
        of(nnx.Conv, channels, out, (kernel, kernel), strides=stride, padding=padding, kernel_dilation=dilation, feature_group_count=groups),
        partial(image, 2, channels, *size), hand.conv,
    )  # fmt: skip


def _gru():
    """Without the bias inside of what the reset gate multiplies, which NNX's GRU has not: zero, and not trained."""
    rnn = module(nn.GRU, 3, 4, batch_first=True)
    with torch.no_grad():
        rnn.bias_hh_l0.requires_grad_(False).zero_()
    return rnn


def first(rnn, x):
    """What a torch RNN returns beside its states."""
    return rnn(x)[0]


def attention(mha, x):
    """Self-attention without the weights."""
    return mha(x, x, x, need_weights=False)[0]


PAIRS = {pair.name: pair for pair in (
    _pair("linear", of(nn.Linear, 5, 7), of(nnx.Linear, 5, 7), partial(sequence, 3, 5), hand.linear),
    _pair("square linear", of(nn.Linear, 6, 6), of(nnx.Linear, 6, 6), partial(sequence, 3, 6), hand.linear),
    _pair("linear without bias", of(nn.Linear, 4, 4, bias=False), of(nnx.Linear, 4, 4, use_bias=False), partial(sequence, 4, 4), hand.linear),
    _conv("conv", 3, 5, 3, padding=1),
    _conv("strided conv", 3, 4, 3, size=(8, 8), stride=2, padding=1),
    _conv("grouped conv", 4, 6, 3, groups=2),
    _conv("dilated conv", 2, 3, 3, size=(7, 7), dilation=2, padding=2),
    _conv("pointwise conv", 4, 4, 1),
    _conv("square conv", 3, 3, 3, size=(3, 3), padding=1),
    _pair("batch norm, eval", of(nn.BatchNorm2d, 4), of(nnx.BatchNorm, 4, use_running_average=True), partial(image, 3, 4, 3, 2), hand.norm),
    _pair("batch norm, train", of(nn.BatchNorm2d, 4, train=True), of(ours.BatchNorm, 4, momentum=0.9), partial(image, 3, 4, 3, 2), hand.norm),
    _pair("layer norm", of(nn.LayerNorm, 6), of(nnx.LayerNorm, 6, epsilon=1e-5), partial(sequence, 2, 3, 6), hand.norm),
    _pair("group norm", of(nn.GroupNorm, 2, 6), of(nnx.GroupNorm, 6, 2, epsilon=1e-5), partial(image, 2, 6, 3, 2), hand.norm),
    _pair("rms norm", of(nn.RMSNorm, 6, eps=1e-6), of(nnx.RMSNorm, 6), partial(sequence, 2, 3, 6), hand.norm),
    _pair("rms norm by hand", of(theirs.RMSNorm, 6), of(nnx.RMSNorm, 6), partial(sequence, 2, 3, 6), hand.norm),
    _pair("embedding", of(nn.Embedding, 11, 4), of(nnx.Embed, 11, 4), words, hand.embedding),
    _pair("attention", of(nn.MultiheadAttention, 8, 2, batch_first=True), of(nnx.MultiHeadAttention, 2, 8, decode=False),
          partial(sequence, 2, 5, 8), partial(hand.attention, 2), reference_call=attention),
    _pair("LSTM", of(nn.LSTM, 3, 4, batch_first=True), of(lambda *a, rngs: nnx.RNN(nnx.OptimizedLSTMCell(*a, rngs=rngs)), 3, 4),
          partial(sequence, 2, 5, 3), hand.fused_lstm, reference_call=first),
    _pair("LSTM, eight layers", of(nn.LSTM, 3, 4, batch_first=True), of(lambda *a, rngs: nnx.RNN(nnx.LSTMCell(*a, rngs=rngs)), 3, 4),
          partial(sequence, 2, 5, 3), hand.lstm, reference_call=first),
    Pair("GRU", _gru, partial(nnx_module, lambda *a, rngs: nnx.RNN(nnx.GRUCell(*a, rngs=rngs)), 3, 4), partial(sequence, 2, 5, 3), hand.gru,
         reference_call=first),
    _pair("classifier, LSTM", of(theirs.Classifier), of(ours.Classifier), partial(sequence, 2, 4, 5), hand.classifier),
    _pair("basic block, eval", of(theirs.BasicBlock, 3, 4, 2), of(ours.BasicBlock, 3, 4, 2), partial(image, 2, 3, 6, 6), hand.basic_block),
    _pair("basic block, train", of(theirs.BasicBlock, 3, 4, 2, train=True), of(ours.BasicBlock, 3, 4, 2, train=True),
          partial(image, 2, 3, 6, 6), hand.basic_block),
    _pair("small convolutional network", of(theirs.TinyNet), of(ours.TinyNet), partial(image, 2, 3, 16, 16), hand.tiny_net),
    _pair("transformer block", of(theirs.Block), of(ours.Block), partial(sequence, 2, 5, 8), hand.block),
    _pair("GPT", of(theirs.GPT), of(ours.GPT), words, hand.gpt),
)}  # fmt: skip
