"""The ports: the same networks in Flax NNX. What a port may get wrong is an argument, whose default is right."""

__all__ = [
    "GPT", "Attention", "BasicBlock", "BatchNorm", "Block", "Classifier", "TinyNet", "attend", "causal", "exact_gelu",
    "flat", "fusing", "max_pool", "placed", "randomised", "split_heads",
]  # fmt: skip

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

exact_gelu = partial(jax.nn.gelu, approximate=False)


def flat(model):
    """Variables by path, "bn.scale"; a shared one once."""
    return {".".join(map(str, path)): variable for path, variable in nnx.to_flat_state(nnx.state(model))}


def _is_array(variable):
    return not isinstance(variable, nnx.RngState)


def randomised(model, seed=1):
    """Every bias, scale and running statistic at random; the weights as they are initialised, and something added."""
    rng = np.random.default_rng(seed)
    placed(model, {
        path: 0.5 + rng.random(x.shape) if path.endswith("var") else x[...] + 0.3 * rng.normal(size=x.shape)
        for path, x in flat(model).items() if _is_array(x)
    })  # fmt: skip
    return model


def placed(model, arrays):
    """With these arrays by path in place of its own; what is not named stays."""
    for path, x in flat(model).items():
        if path in arrays:
            x[...] = jnp.asarray(arrays[path], x.dtype)
    nnx.update(model, nnx.from_flat_state([(_keys(path), x) for path, x in flat(model).items()]))
    return model


def _keys(path):
    return tuple(int(part) if part.isdigit() else part for part in path.split("."))


# Attention


def split_heads(x, heads):
    """(batch, length, width) to (batch, heads, length, depth)."""
    batch, length, width = x.shape
    return x.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)


def causal(scores):
    """Nothing is seen of what comes later."""
    length = scores.shape[-1]
    return jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -jnp.inf)


def attend(q, k, v, mask=causal, scale=lambda depth: depth**-0.5, axis=-1):
    """Scaled dot-product attention."""
    scores = mask(q @ k.swapaxes(-1, -2) * scale(q.shape[-1]))
    return jax.nn.softmax(scores, axis=axis) @ v


class Attention(nnx.Module):
    """Query, key and value are matrices of their own."""

    def __init__(self, width, heads, *, attend=attend, split=split_heads, order="qkv", rngs):
        self.heads, self.attend, self.split, self.order = heads, attend, split, order
        self.query = nnx.Linear(width, width, rngs=rngs)
        self.key = nnx.Linear(width, width, rngs=rngs)
        self.value = nnx.Linear(width, width, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs)

    def __call__(self, x):
        q, k, v = (self.split(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        y = self.attend(q, k, v)
        return self.out(y.transpose(0, 2, 1, 3).reshape(x.shape))


class Block(nnx.Module):
    """Transformer block, normalised before each of its two parts."""

    def __init__(
        self, width=8, heads=2, *, eps=1e-5, norm=nnx.LayerNorm, act=exact_gelu, way=None, dropout=0.0, attention=Attention,
        dtype=None, rngs,
    ):  # fmt: skip
        self.norm1 = norm(width, epsilon=eps, rngs=rngs)
        self.attention = attention(width, heads, rngs=rngs)
        self.norm2 = norm(width, epsilon=eps, rngs=rngs)
        self.up = nnx.Linear(width, 4 * width, dtype=dtype, rngs=rngs)
        self.down = nnx.Linear(4 * width, width, rngs=rngs)
        self.act, self.way = act, way or pre_norm
        self.dropout = nnx.Dropout(dropout, rngs=rngs) if dropout else None

    def mlp(self, x):
        """Wide and back."""
        x = self.act(self.up(x))
        return self.down(self.dropout(x) if self.dropout else x)

    def __call__(self, x):
        return self.way(self, x)


def pre_norm(block, x):
    """What it does when it is right."""
    x = x + block.attention(block.norm1(x))
    return x + block.mlp(block.norm2(x))


class GPT(nnx.Module):
    """Two blocks; the embedding of the tokens is the head as well."""

    def __init__(
        self, vocabulary=11, length=6, width=8, heads=2, layers=2, *, scale=8**0.5, start=0, tied=True, rngs
    ):
        self.tokens = nnx.Embed(vocabulary, width, rngs=rngs)
        self.positions = nnx.Embed(length + 1, width, rngs=rngs)
        self.blocks = nnx.List([Block(width, heads, rngs=rngs) for _ in range(layers)])
        self.norm = nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs)
        self.scale, self.start = scale, start
        self.head = None if tied else nnx.Linear(width, vocabulary, use_bias=False, rngs=rngs)

    def __call__(self, tokens):
        x = self.tokens(tokens) * self.scale
        x = x + self.positions(jnp.arange(tokens.shape[1]) + self.start)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.tokens.attend(x) if self.head is None else self.head(x)


# Convolutions


class BatchNorm(nnx.BatchNorm):
    """Its running variance is the unbiased one, as in PyTorch."""

    def __call__(self, x, **options):
        before = self.var[...]
        y = super().__call__(x, **options)
        if not self.use_running_average:
            n = x.size // x.shape[-1]
            self.var[...] = (self.var[...] - self.momentum * before) * n / (n - 1) + self.momentum * before
        return y


class BasicBlock(nnx.Module):
    """Of ResNet-18, channels last."""

    def __init__(self, channels, out, stride, *, padding=1, norm=BatchNorm, shortcut=True, train=False, rngs):
        conv = partial(nnx.Conv, use_bias=False, rngs=rngs)
        norm = partial(norm, momentum=0.9, use_running_average=not train, rngs=rngs)
        self.conv1 = conv(channels, out, (3, 3), strides=stride, padding=padding)
        self.bn1 = norm(out)
        self.conv2 = conv(out, out, (3, 3), padding=1)
        self.bn2 = norm(out)
        self.short_conv = conv(channels, out, (1, 1), strides=stride, padding=0)
        self.short_bn = norm(out)
        self.shortcut = shortcut

    def __call__(self, x):
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        short = self.short_bn(self.short_conv(x))
        return nnx.relu(y + short) if self.shortcut else nnx.relu(y)


def max_pool(x):
    """Of 3×3, every second, one row of padding on each side."""
    return nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))


class TinyNet(nnx.Module):
    """Flattened in the order of NCHW, for the linear layer's weights come from there."""

    def __init__(
        self, classes=4, *, pool=max_pool, dilation=2, padding=2, same=False, act=nnx.silu, channels_first=True, train=False,
        norm=BatchNorm, eps=1e-5, momentum=0.9, rngs,
    ):  # fmt: skip
        self.conv = nnx.Conv(3, 6, (3, 3), strides=2, padding="SAME" if same else 1, rngs=rngs)
        self.bn = norm(6, use_running_average=not train, momentum=momentum, epsilon=eps, rngs=rngs)
        self.wide = nnx.Conv(6, 5, (3, 3), kernel_dilation=dilation, padding=padding, rngs=rngs)
        self.fc = nnx.Linear(5 * 4 * 4, classes, rngs=rngs)
        self.pool, self.act, self.channels_first = pool, act, channels_first

    def __call__(self, x):
        x = self.pool(nnx.relu(self.bn(self.conv(x))))
        x = self.act(self.wide(x))
        if self.channels_first:
            x = x.transpose(0, 3, 1, 2)
        return self.fc(x.reshape(x.shape[0], -1))


class Classifier(nnx.Module):
    """A recurrent layer over a sequence, a linear layer on its last state."""

    def __init__(self, cell=nnx.OptimizedLSTMCell, width=5, hidden=4, *, rngs):
        self.rnn = nnx.RNN(cell(width, hidden, rngs=rngs))
        self.fc = nnx.Linear(hidden, 3, rngs=rngs)

    def __call__(self, x):
        return self.fc(self.rnn(x)[:, -1])


def fusing(weights):
    """Matrices of query, key and value of one that holds them as rows."""
    return dict(zip(("query", "key", "value"), np.split(weights, 3), strict=True))
