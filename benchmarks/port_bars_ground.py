"""Networks drawn at random, every layer in several forms: what torch and JAX bring along, and the formula by hand."""

__all__ = ["Drawn", "draw", "port_of"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn import functional

from gradproof import function_port, tap
from gradproof.arrays import HostArray
from gradproof.porting.port import Port

Leaves = Mapping[str, HostArray]

EPS = 1e-5


@dataclass(frozen=True)
class Layer:
    """A layer of width `c`: its parameters, in torch, in JAX, and by hand in the names that both have (`xp`)."""

    init: Callable[[np.random.Generator, int], dict[str, HostArray]]
    torch: Callable[[Any, Any], Any]
    jax: Callable[[Any, Any], Any]
    hand: Callable[[Any, Any, Any], Any]


def _none(_rng: np.random.Generator, _c: int) -> dict[str, HostArray]:
    return {}


def _matrix(rng: np.random.Generator, c: int) -> dict[str, HostArray]:
    return {"w": rng.normal(size=(c, c)) / np.sqrt(c), "b": 0.1 * rng.normal(size=c)}


def _affine(rng: np.random.Generator, c: int) -> dict[str, HostArray]:
    return {"g": 1 + 0.2 * rng.normal(size=c), "b": 0.1 * rng.normal(size=c)}


def _kernel(rng: np.random.Generator, c: int) -> dict[str, HostArray]:
    return {"w": rng.normal(size=(3, c, c)) / np.sqrt(3 * c)}


def _heads(rng: np.random.Generator, c: int) -> dict[str, HostArray]:
    """The bias of the keys has no effect on the output: its gradient is nothing but rounding."""
    matrices = {f"w{n}": rng.normal(size=(c, c)) / np.sqrt(c) for n in "qkv"}
    return matrices | {f"b{n}": 0.1 * rng.normal(size=c) for n in "qkv"}


def _decades(rng: np.random.Generator, c: int) -> dict[str, HostArray]:
    return {"s": 10.0 ** rng.uniform(-4, 4, 1) * (1 + 0.1 * rng.normal(size=c))}


def _centred(xp: Any, x: Any, axis: Any) -> Any:
    return x - xp.mean(x, axis=axis, keepdims=True)


def _normed(xp: Any, x: Any, axis: Any) -> Any:
    d = _centred(xp, x, axis)
    return d / xp.sqrt(xp.mean(d * d, axis=axis, keepdims=True) + EPS)


def _one_pass(xp: Any, p: Any, x: Any) -> Any:
    """LayerNorm as E[x²] − E[x]²."""
    m = xp.mean(x, axis=-1, keepdims=True)
    v = xp.mean(x * x, axis=-1, keepdims=True) - m * m
    return (x - m) / xp.sqrt(v + EPS) * p["g"] + p["b"]


def _batch_norm(p: Any, x: Any) -> Any:
    flat = functional.batch_norm(
        x.reshape(-1, x.shape[-1]), None, None, p["g"], p["b"], training=True, eps=EPS
    )
    return flat.reshape(x.shape)


def _projected(p: Any, x: Any) -> tuple[Any, ...]:
    return tuple(x @ p[f"w{n}"] + p[f"b{n}"] for n in "qkv")


def _attention_torch(p: Any, x: Any) -> Any:
    return functional.scaled_dot_product_attention(*_projected(p, x), is_causal=True)


def _lower(xp: Any, x: Any) -> Any:
    """Ones in a lower triangle of times, in the dtype of `x`."""
    return xp.tril(xp.ones_like(x[0, :, :1] + x[0, :, 0]))


def _attention_jax(p: Any, x: Any) -> Any:
    q, k, v = _projected(p, x)
    scores = jnp.einsum("bqc,bkc->bqk", q, k) / np.sqrt(x.shape[-1])
    return jax.nn.softmax(jnp.where(_lower(jnp, x) > 0, scores, -jnp.inf), axis=-1) @ v


def _largest(xp: Any, x: Any) -> Any:
    """Of the last axis, as a constant."""
    constant = x.detach() if xp is torch else jax.lax.stop_gradient(x)
    return xp.amax(constant, axis=-1, keepdims=True)


def _attention_hand(xp: Any, p: Any, x: Any) -> Any:
    q, k, v = _projected(p, x)
    scores = (q * x.shape[-1] ** -0.5) @ xp.swapaxes(k, 1, 2)
    scores = xp.where(_lower(xp, x) > 0, scores, -xp.inf)
    e = xp.exp(scores - _largest(xp, scores))
    return (e @ v) / xp.sum(e, axis=-1, keepdims=True)


def _conv_torch(p: Any, x: Any) -> Any:
    kernel = p["w"].permute(2, 1, 0)
    return functional.conv1d(x.transpose(1, 2), kernel, padding=1).transpose(1, 2)


def _conv_jax(p: Any, x: Any) -> Any:
    return jax.lax.conv_general_dilated(x, p["w"], (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))


def _conv_hand(xp: Any, p: Any, x: Any) -> Any:
    zero = xp.zeros_like(x[:, :1])
    padded = xp.concatenate([zero, x, zero], axis=1)
    return sum(padded[:, n : n + x.shape[1]] @ p["w"][n] for n in range(3))


def _log_softmax(xp: Any, _p: Any, x: Any) -> Any:
    """Shifted by the largest."""
    d = x - _largest(xp, x)
    return d - xp.log(xp.sum(xp.exp(d), axis=-1, keepdims=True))


def _mean_so_far(xp: Any, _p: Any, x: Any) -> Any:
    return xp.cumsum(x, axis=1) / (1 + xp.cumsum(xp.ones_like(x), axis=1))


def _mean_by_matrix(xp: Any, x: Any) -> Any:
    rows = xp.cumsum(xp.ones_like(x[0, :, :1]), axis=0)
    return (_lower(xp, x) / (1 + rows)) @ x


def _tanh(xp: Any, _p: Any, x: Any) -> Any:
    t = xp.tanh(0.5 * x)
    return 2 * t / (1 + t * t)


def _gelu(xp: Any, _p: Any, x: Any) -> Any:
    erf = torch.erf if xp is torch else jax.lax.erf
    return 0.5 * x * (1 + erf(x / 2**0.5))


LAYERS: dict[str, Layer] = {
    "dense": Layer(
        _matrix,
        lambda p, x: functional.linear(x, p["w"].T, p["b"]),
        lambda p, x: jnp.dot(x, p["w"]) + p["b"],
        lambda xp, p, x: xp.einsum("bti,io->bto", x, p["w"]) + p["b"],
    ),
    "relu": Layer(_none, lambda p, x: torch.relu(x), lambda p, x: jax.nn.relu(x), lambda xp, p, x: xp.where(x > 0, x, 0.0 * x)),
    "gelu": Layer(_none, lambda p, x: functional.gelu(x), lambda p, x: jax.nn.gelu(x, approximate=False), _gelu),
    "silu": Layer(_none, lambda p, x: functional.silu(x), lambda p, x: jax.nn.silu(x), lambda xp, p, x: 0.5 * x * (1 + xp.tanh(0.5 * x))),
    "tanh": Layer(
        _none, lambda p, x: torch.tanh(x), lambda p, x: jnp.tanh(x), _tanh
    ),
    "softplus": Layer(
        _none, lambda p, x: -functional.logsigmoid(-x), lambda p, x: jax.nn.softplus(x), lambda xp, p, x: xp.logaddexp(x, 0 * x)
    ),
    "layer norm": Layer(
        _affine,
        lambda p, x: functional.layer_norm(x, x.shape[-1:], p["g"], p["b"], EPS),
        lambda p, x: jax.nn.standardize(x, epsilon=EPS) * p["g"] + p["b"],
        _one_pass,
    ),
    "batch norm": Layer(
        _affine,
        _batch_norm,
        lambda p, x: jax.nn.standardize(x, axis=(0, 1), epsilon=EPS) * p["g"] + p["b"],
        lambda xp, p, x: _normed(xp, x, (0, 1)) * p["g"] + p["b"],
    ),
    "rms norm": Layer(
        _affine,
        lambda p, x: functional.rms_norm(x, x.shape[-1:], p["g"], EPS) + p["b"],
        lambda p, x: x * jax.lax.rsqrt(jnp.mean(jnp.square(x), -1, keepdims=True) + EPS) * p["g"] + p["b"],
        lambda xp, p, x: x / xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True) / x.shape[-1] + EPS) * p["g"] + p["b"],
    ),
    "attention": Layer(_heads, _attention_torch, _attention_jax, _attention_hand),
    "convolution": Layer(_kernel, _conv_torch, _conv_jax, _conv_hand),
    "log softmax": Layer(
        _none, lambda p, x: torch.log_softmax(x, -1), lambda p, x: jax.nn.log_softmax(x), _log_softmax
    ),
    "mean so far": Layer(
        _none, partial(_mean_so_far, torch), partial(_mean_so_far, jnp), lambda xp, p, x: _mean_by_matrix(xp, x)
    ),
    "scale": Layer(_decades, lambda p, x: x * p["s"], lambda p, x: x * p["s"], lambda xp, p, x: xp.einsum("btc,c->btc", x, p["s"])),
}  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """A network: names of its layers, which of them are residual, its parameters and an input."""

    layers: tuple[str, ...]
    residual: tuple[bool, ...]
    parameters: Leaves
    x: HostArray
    dtype: str

    def __str__(self) -> str:
        chain = " → ".join(
            f"+{name}" if res else name for name, res in zip(self.layers, self.residual, strict=True)
        )
        return f"{self.dtype}: {chain}"


def draw(rng: np.random.Generator, dtypes: Sequence[str], *, scaled: bool = False) -> Drawn:
    """One to thirty layers, the first of them dense: without a parameter nothing could be wrong.

    Where it is not `scaled` there is no layer that multiplies by a power of ten.
    """
    depth = int(rng.choice([1, 2, 4, 8, 16, 30]))
    known = [name for name in LAYERS if scaled or name != "scale"]
    layers = ("dense", *map(str, rng.choice(known, depth - 1)))
    c, dtype = int(rng.integers(4, 12)), str(rng.choice(dtypes))
    drawn = {
        f"{n}.{key}": _rounded(leaf, dtype)
        for n, name in enumerate(layers)
        for key, leaf in LAYERS[name].init(rng, c).items()
    }
    residual = tuple(bool(one) for one in rng.random(depth) < 0.4)
    return Drawn(layers, residual, drawn, rng.normal(size=(3, int(rng.integers(2, 9)), c)), dtype)


def _rounded(x: HostArray, dtype: str) -> HostArray:
    """To numbers that the dtype has."""
    return torch.tensor(x).to(getattr(torch, dtype)).double().numpy()


def port_of(drawn: Drawn, form: str, *, wrong: tuple[str, float] | None = None, dtype: str = "") -> Port:
    """The network in a form: "torch", "jax", "torch by hand" or "jax by hand"; one parameter's first entry may be wrong by a share."""
    framework, _, by_hand = form.partition(" ")
    xp = torch if framework == "torch" else jnp
    dtype = dtype or drawn.dtype

    def fun(p: Any, x: Any) -> Any:
        for n, (name, residual) in enumerate(zip(drawn.layers, drawn.residual, strict=True)):
            own = {
                key.partition(".")[2]: _off(xp, leaf, key, wrong)
                for key, leaf in p.items()
                if key.startswith(f"{n}.")
            }
            layer = LAYERS[name]
            y = layer.hand(xp, own, x) if by_hand else getattr(layer, framework)(own, x)
            x = tap(f"{n} {name}", x + y if residual else y)
        return x

    make = (
        (lambda x: torch.tensor(x).to(getattr(torch, dtype)))
        if xp is torch
        else partial(jnp.asarray, dtype=dtype)
    )
    with jax.enable_x64(dtype == "float64"):
        return function_port(fun, {key: make(leaf) for key, leaf in drawn.parameters.items()})


def _off(xp: Any, leaf: Any, key: str, wrong: tuple[str, float] | None) -> Any:
    if wrong is None or key != wrong[0]:
        return leaf
    first = np.zeros(tuple(leaf.shape))
    first.flat[0] = wrong[1]
    shares = torch.tensor(first, dtype=leaf.dtype) if xp is torch else jnp.asarray(first, dtype=leaf.dtype)
    return leaf * (1 + shares)
