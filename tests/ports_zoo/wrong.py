"""What ports get wrong, as it is written by mistake; each in place of the right one of nnx_models."""

__all__ = [
    "BiasedNorm",
    "ClippedGain",
    "Gain",
    "GrowingGain",
    "OutsideNorm",
    "ResetFirst",
    "UnbiasedNorm",
    "all_seen",
    "avg_pool",
    "detached_attention",
    "forgets_factor",
    "later",
    "no_second_residual",
    "one_later",
    "post_norm",
    "rounded",
    "row_major_heads",
    "same_pool",
]  # fmt: skip

import jax
import jax.numpy as jnp
from flax import nnx

from ports_zoo.nnx_models import exact_gelu


class OwnNorm(nnx.Module):
    """LayerNorm written by hand."""

    def __init__(self, width, *, epsilon=1e-5, rngs):
        self.scale = nnx.Param(jnp.ones(width))
        self.bias = nnx.Param(jnp.zeros(width))
        self.epsilon = epsilon

    def normalised(self, x):
        """Of the last axis."""
        raise NotImplementedError

    def __call__(self, x):
        return self.normalised(x) * self.scale[...] + self.bias[...]


class OutsideNorm(OwnNorm):
    """Epsilon is added to the standard deviation."""

    def normalised(self, x):
        """Of the last axis."""
        return (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + self.epsilon)


class UnbiasedNorm(OwnNorm):
    """The variance is that of a sample, as torch.var gives it."""

    def normalised(self, x):
        """Of the last axis."""
        return (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, ddof=1, keepdims=True) + self.epsilon)


class BiasedNorm(OwnNorm):
    """The mean is not subtracted: RMSNorm with a bias."""

    def normalised(self, x):
        """Of the last axis."""
        return x / jnp.sqrt(jnp.square(x).mean(-1, keepdims=True) + self.epsilon)


# Attention


def all_seen(scores):
    """No mask."""
    return scores


def later(scores):
    """The mask turned round."""
    length = scores.shape[-1]
    return jnp.where(jnp.triu(jnp.ones((length, length), bool)), scores, -jnp.inf)


def one_later(scores):
    """The mask lets one token of what comes later through."""
    length = scores.shape[-1]
    return jnp.where(jnp.tril(jnp.ones((length, length), bool), 1), scores, -jnp.inf)


def row_major_heads(x, heads):
    """Reshaped to where a transposition was due."""
    batch, length, width = x.shape
    return x.reshape(batch, heads, length, width // heads)


# The block


def post_norm(block, x):
    """Normalised after each part."""
    x = block.norm1(x + block.attention(x))
    return block.norm2(x + block.mlp(x))


def no_second_residual(block, x):
    """The input of the second part is not added."""
    x = x + block.attention(block.norm1(x))
    return block.mlp(block.norm2(x))


def detached_attention(block, x):
    """Right values, and no gradient through the attention."""
    x = x + jax.lax.stop_gradient(block.attention(block.norm1(x)))
    return x + block.mlp(block.norm2(x))


@jax.custom_vjp
def forgets_factor(x):
    """GELU, whose derivative by hand lacks a term."""
    return exact_gelu(x)


def _forward(x):
    return exact_gelu(x), x


def _backward(x, g):
    return (g * 0.5 * (1 + jax.lax.erf(x / jnp.sqrt(2.0).astype(x.dtype))),)


forgets_factor.defvjp(_forward, _backward)


def rounded(x):
    """GELU after a detour through bfloat16."""
    return exact_gelu(x.astype(jnp.bfloat16).astype(x.dtype))


# Convolutions


def avg_pool(x):
    """The mean in place of the maximum."""
    return nnx.avg_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))


def same_pool(x):
    """Padded behind only."""
    return nnx.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")


# Recurrent


class ResetFirst(nnx.GRUCell):
    """The reset gate meets the state before its matrix, not after."""

    def __call__(self, carry, inputs):
        xr, xz, xn = jnp.split(self.dense_i(inputs), 3, axis=-1)
        hr, hz, _ = jnp.split(self.dense_h(carry), 3, axis=-1)
        r, z = nnx.sigmoid(xr + hr), nnx.sigmoid(xz + hz)
        hn = jnp.split(self.dense_h(r * carry), 3, axis=-1)[2]
        h = (1 - z) * jnp.tanh(xn + hn) + z * carry
        return h, h


# Kinks


class Gain(nnx.Module):
    """|x| times a gain."""

    def __init__(self, width, *, rngs):
        self.weight = nnx.Param(jnp.ones(width))

    def __call__(self, x):
        return self.weight[...] * jnp.abs(x)


class ClippedGain(Gain):
    """Clipped to [−1, 1]."""

    def __call__(self, x):
        return self.weight[...] * jnp.clip(x, -1, 1)


class GrowingGain(Gain):
    """The right values; the derivative of |x| is one everywhere."""

    def __call__(self, x):
        return self.weight[...] * (x + jax.lax.stop_gradient(jnp.abs(x) - x))
