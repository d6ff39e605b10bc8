"""A small GPT in PyTorch, its port to Flax NNX, and one in NumPy whose backward pass is written by hand: the same function?

Two layers, causal attention, layer normalisation before each part, and the embedding of the tokens is the output's matrix
as well. Flax starts from weights of its own: which of its parameters is which of torch's (transposed, cut out of the fused
query-key-value matrix) is found out, and shown. Nobody gives a tolerance, and no layer is named: every value on the way is
compared, every gradient on the way, and every parameter's gradient.

Then two mistakes. In NumPy the gradient of the shared matrix forgets what that does as the head: no value differs, and one
gradient of 28 does. And the port to Flax takes LayerNorm as it comes, which adds 1e-6 where torch's adds 1e-5: nearly every
layer differs, in the sixth digit; five are wrong by themselves, and they are the normalisations.
"""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from torch import nn
from torch.nn import functional as F

from gradproof import Verdict
from gradproof.porting.compare import compare
from gradproof.porting.doors import flax_port, function_port, torch_port
from gradproof.porting.tap import tap, tap_cotangent

VOCABULARY, LENGTH, WIDTH, HEADS, LAYERS = 13, 6, 8, 2, 2


# In PyTorch


class TorchBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        x = x + self.out(self.attend(self.qkv(self.norm1(x))))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))

    def attend(self, qkv):
        q, k, v = (y.unflatten(-1, (HEADS, -1)).transpose(1, 2) for y in qkv.chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


class TorchGPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.ModuleList(TorchBlock() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def torch_loss(logits, following):
    return F.cross_entropy(logits.flatten(0, 1), following.flatten())


# In Flax


class FlaxBlock(nnx.Module):
    def __init__(self, epsilon, rngs):
        self.norm1, self.norm2 = (nnx.LayerNorm(WIDTH, epsilon=epsilon, rngs=rngs) for _ in range(2))
        self.query, self.key, self.value, self.out = (nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(4))
        self.up, self.down = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs), nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(jax.nn.gelu(self.up(self.norm2(x))))

    def attention(self, x):
        split = (*x.shape[:2], HEADS, WIDTH // HEADS)
        q, k, v = (layer(x).reshape(split) for layer in (self.query, self.key, self.value))
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / jnp.sqrt(WIDTH // HEADS).astype(x.dtype)
        seen = jnp.tril(jnp.ones(scores.shape[-2:], bool))
        weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf))
        return self.out(jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(x.shape))


class FlaxGPT(nnx.Module):
    def __init__(self, epsilon, rngs):
        self.tokens, self.positions = (nnx.Embed(n, WIDTH, rngs=rngs) for n in (VOCABULARY, LENGTH))
        self.blocks = nnx.List([FlaxBlock(epsilon, rngs) for _ in range(LAYERS)])
        self.norm = nnx.LayerNorm(WIDTH, epsilon=epsilon, rngs=rngs)

    def __call__(self, tokens):
        x = self.tokens(tokens) + self.positions(jnp.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.tokens.attend(self.norm(x))


def flax_loss(logits, following):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), following[..., None], axis=-1))


# In NumPy. Every function returns its value and what takes its cotangent back.


def linear(p, x):
    """(batch, length, in) times (out, in), and a bias."""

    def back(g):
        return g @ p["weight"], {"weight": np.einsum("blo,bli->oi", g, x), "bias": g.sum((0, 1))}

    return x @ p["weight"].T + p["bias"], back


def layer_norm(p, x):
    root = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    z = (x - x.mean(-1, keepdims=True)) / root

    def back(g):
        h = g * p["weight"]
        dx = (h - h.mean(-1, keepdims=True) - z * (h * z).mean(-1, keepdims=True)) / root
        return dx, {"weight": (g * z).sum((0, 1)), "bias": g.sum((0, 1))}

    return z * p["weight"] + p["bias"], back


def gelu(x):
    c = np.sqrt(2 / np.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))

    def back(g):
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * c * (1 + 3 * 0.044715 * x**2))

    return 0.5 * x * (1 + t), back


def attend(qkv):
    batch, length, _ = qkv.shape
    q, k, v = qkv.reshape(batch, length, 3, HEADS, -1).transpose(2, 0, 3, 1, 4)
    root = np.sqrt(WIDTH // HEADS)
    scores = np.where(np.tri(length, dtype=bool), q @ k.swapaxes(-1, -2) / root, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)

    def back(g):
        g = g.reshape(batch, length, HEADS, -1).transpose(0, 2, 1, 3)
        dw = g @ v.swapaxes(-1, -2)
        ds = weights * (dw - (dw * weights).sum(-1, keepdims=True)) / root
        parts = np.stack([ds @ k, ds.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ g])
        return parts.transpose(1, 3, 0, 2, 4).reshape(qkv.shape)

    return (weights @ v).transpose(0, 2, 1, 3).reshape(batch, length, WIDTH), back


def block(p, x, name):
    """One layer; what it makes is shown by `tap`, what it takes back by `tap_cotangent`."""

    def seen(part, y):
        return tap(f"{name}.{part}", y)

    y, back_norm1 = layer_norm(p["norm1"], x)
    y, back_qkv = linear(p["qkv"], seen("norm1", y))
    y, back_attend = attend(seen("qkv", y))
    y, back_out = linear(p["out"], y)
    middle = x + seen("out", y)
    y, back_norm2 = layer_norm(p["norm2"], middle)
    y, back_up = linear(p["up"], seen("norm2", y))
    y, back_gelu = gelu(seen("up", y))
    y, back_down = linear(p["down"], y)

    def back(g):
        def felt(part, h):
            return tap_cotangent(f"{name}.{part}", h)

        grads = {}
        h, grads["down"] = back_down(felt("down", g))
        h, grads["up"] = back_up(felt("up", back_gelu(h)))
        h, grads["norm2"] = back_norm2(felt("norm2", h))
        g = g + h
        h, grads["out"] = back_out(felt("out", g))
        h, grads["qkv"] = back_qkv(felt("qkv", back_attend(h)))
        h, grads["norm1"] = back_norm1(felt("norm1", h))
        return g + h, grads

    return middle + seen("down", y), back


def forward(p, tokens):
    x = tap("embedded", p["tokens"]["weight"][tokens] + p["positions"]["weight"][: tokens.shape[1]])
    backs = []
    for n, layer in enumerate(p["blocks"]):
        x, back = block(layer, x, f"blocks.{n}")
        x = tap(f"blocks.{n}", x)
        backs.append(back)
    y, back_norm = layer_norm(p["norm"], x)
    y = tap("norm", y)
    return y @ p["tokens"]["weight"].T, (y, backs, back_norm)


def backward(p, tokens, g, *, tied=True):
    """Gradient of the parameters, from the cotangent of the logits."""
    y, backs, back_norm = forward(p, tokens)[1]
    shared = np.einsum("blv,blw->vw", g, y) if tied else np.zeros_like(p["tokens"]["weight"])
    g, norm = back_norm(tap_cotangent("norm", g @ p["tokens"]["weight"]))
    blocks = []
    for n, back in reversed(list(enumerate(backs))):
        g, grads = back(tap_cotangent(f"blocks.{n}", g))
        blocks.insert(0, grads)
    g = tap_cotangent("embedded", g)
    np.add.at(shared, tokens, g)
    positions = np.zeros_like(p["positions"]["weight"])
    positions[: tokens.shape[1]] = g.sum(0)
    return {"tokens": {"weight": shared}, "positions": {"weight": positions}, "blocks": blocks, "norm": norm}


def numpy_loss(logits, following):
    return -np.mean(np.take_along_axis(log_softmax(logits), following[..., None], -1))


def numpy_loss_grad(logits, following):
    return (np.exp(log_softmax(logits)) - np.eye(VOCABULARY)[following]) / following.size


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def numpy_params(model):
    """Torch's parameters as a tree: "blocks.0.up.weight" becomes params["blocks"][0]["up"]["weight"]."""
    params = {"blocks": [{} for _ in range(LAYERS)]}
    for path, x in model.named_parameters():
        *parts, last = path.split(".")
        place = params
        if parts[0] == "blocks":
            place, parts = params["blocks"][int(parts[1])], parts[2:]
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = x.detach().numpy().copy()
    return params


def compared(title, *, epsilon=1e-5, vjp=backward):
    torch.manual_seed(0)
    model = TorchGPT()
    tokens = np.random.default_rng(0).integers(VOCABULARY, size=(3, LENGTH + 1))
    report = compare(
        {
            "torch": torch_port(model, loss=torch_loss),
            "flax": flax_port(FlaxGPT(epsilon, nnx.Rngs(1)), loss=flax_loss),
            "numpy": function_port(
                lambda p, x: forward(p, x)[0],
                numpy_params(model),
                vjp=vjp,
                loss=numpy_loss,
                loss_grad=numpy_loss_grad,
            ),
        },
        (tokens[:, :-1],),
        targets=(tokens[:, 1:],),
    )
    print(f"\n{title}\n{report}")
    return report


def main():
    report = compared("Three times the same")
    assert report.verdict is Verdict.AGREES
    print(report.compared["flax"].layout)

    def without_head(p, tokens, g):
        return backward(p, tokens, g, tied=False)

    report = compared("NumPy's gradient forgets that the embedding is the head too", vjp=without_head)
    assert report.verdict is Verdict.DISAGREES
    assert report.compared["flax"].verdict is Verdict.AGREES
    assert report.odd_one_out == "numpy"

    report = compared("Flax's LayerNorm as it comes", epsilon=1e-6)
    assert report.compared["numpy"].verdict is Verdict.AGREES
    assert report.compared["flax"].first_forward == "blocks.0.norm1"
    assert "GP201" in {d.code for d in report.compared["flax"].diagnoses}


if __name__ == "__main__":
    main()
