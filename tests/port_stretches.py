"""Stretches with a planted mistake, drawn at random: what `test_port_causes` diagnoses."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from gradproof.porting.stretch import Stretch


def stretch(inputs, expected, found, parameters=None, **fields):
    """As a comparison makes it; the bar is what float64 of a framework is off by."""
    expected, found = np.asarray(expected), np.asarray(found)
    finite = np.abs(expected[np.isfinite(expected)])
    given = {
        "key": "node", "other": "node", "role": "output", "kind": "", "other_kind": "", "settings": {}, "other_settings": {},
        "inputs": inputs, "parameters": parameters or {}, "bar": 1e-13 * float(finite.max(initial=0.0)),
    }  # fmt: skip
    return Stretch(**{**given, "expected": expected, "found": found, **fields})


def t(x):
    return torch.tensor(np.asarray(x))


def n(x):
    return x.detach().numpy()


# Norms


def _rows(rng):
    x = rng.normal(size=(int(rng.integers(2, 5)), int(rng.integers(3, 7)), 12)) * rng.uniform(0.3, 3)
    return x, rng.normal(size=12), rng.normal(size=12)


def _layer_norm(x, g, b, eps=1e-5):
    return n(F.layer_norm(t(x), (x.shape[-1],), t(g), t(b), eps))


def _norm_case(make, words, code):
    def case(rng):
        x, g, b = _rows(rng)
        return (
            stretch({"ln input": x}, _layer_norm(x, g, b), make(x, g, b), {"ln.weight": g, "ln.bias": b}),
            code,
            words,
        )

    return case


def _by_hand(x, g, b, root):
    return (x - x.mean(-1, keepdims=True)) / root * g + b


def _image(rng, channels=12):
    x = rng.normal(size=(3, channels, 5, 4))
    g, b = rng.normal(size=channels), rng.normal(size=channels)
    rm, rv = rng.normal(size=channels), rng.uniform(0.5, 2, size=channels)
    named = {"bn.weight": g, "bn.bias": b, "bn.running_mean": rm, "bn.running_var": rv}
    return x, g, b, rm, rv, named


def _batch_norm(x, g, b, rm, rv, training=False, eps=1e-5):
    return n(F.batch_norm(t(x), t(rm.copy()), t(rv.copy()), t(g), t(b), training, 0.1, eps))


def _bn(found, words, code, last=False):
    def case(rng):
        x, g, b, rm, rv, named = _image(rng)
        one, other = _batch_norm(x, g, b, rm, rv), found(x, g, b, rm, rv)
        if last:
            x, one, other = (np.moveaxis(value, 1, -1) for value in (x, one, other))
        return stretch({"bn input": x}, one, other, named), code, words

    return case


def _gn(groups, other, eps=1e-5):
    def case(rng):
        x, g, b, *_ = _image(rng)
        one = n(F.group_norm(t(x), groups, t(g), t(b), 1e-5))
        two = n(F.group_norm(t(x), other, t(g), t(b), eps))
        words = [str(groups), str(other)] if groups != other else ["1e-05", f"{eps:g}"]
        return (
            stretch({"x": x}, one, two, {"w.scale": g, "w.bias": b}),
            "GP206" if groups != other else "GP201",
            words,
        )

    return case


def _rms(eps, other, one_plus=False):
    def case(rng):
        x, g, _ = _rows(rng)

        def make(e, s):
            return x / np.sqrt((x**2).mean(-1, keepdims=True) + e) * s

        found = make(other, 1 + g if one_plus else g)
        code, words = ("GP208", ["1 + scale"]) if one_plus else ("GP201", [f"{eps:g}", f"{other:g}"])
        return stretch({"x": x}, make(eps, g), found, {"norm.scale": g}), code, words

    return case


def _transposed_norm(rng):
    x = rng.normal(size=(3, 8, 8))
    one, two = (
        _layer_norm(x, np.ones(8), np.zeros(8)),
        _layer_norm(np.swapaxes(x, 1, 2), np.ones(8), np.zeros(8)),
    )
    return stretch({"x": x}, one, np.swapaxes(two, 1, 2)), "GP207", ["the last axis"]


NORMS = {
    "layer norm eps": _norm_case(lambda x, g, b: _layer_norm(x, g, b, 1e-6), ["1e-05", "1e-06"], "GP201"),
    "layer norm large eps": _norm_case(lambda x, g, b: _layer_norm(x, g, b, 1e-3), ["1e-05", "0.001"], "GP201"),
    "layer norm no eps": _norm_case(lambda x, g, b: _layer_norm(x, g, b, 1e-12), ["1e-05", "in {port}"], "GP201"),
    "ddof": _norm_case(lambda x, g, b: _by_hand(x, g, b, np.sqrt(x.var(-1, ddof=1, keepdims=True) + 1e-5)), ["12", "11"], "GP203"),
    "eps outside": _norm_case(lambda x, g, b: _by_hand(x, g, b, x.std(-1, keepdims=True) + 1e-5), ["√variance + eps"], "GP202"),
    "rms": _norm_case(lambda x, g, b: x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * g + b, ["mean"], "GP204"),
    "no bias": _norm_case(lambda x, g, b: _layer_norm(x, g, 0 * b), ["no bias"], "GP208"),
    "no scale": _norm_case(lambda x, g, b: _layer_norm(x, 0 * g + 1, b), ["no scale"], "GP208"),
    "1 + scale": _norm_case(lambda x, g, b: _layer_norm(x, 1 + g, b), ["1 + scale"], "GP208"),
    "rms eps": _rms(1e-6, 1e-5), "rms eps small": _rms(1e-5, 8.4e-4), "rms 1 + scale": _rms(1e-6, 1e-6, True),
    "batch norm in training": _bn(lambda *a: _batch_norm(*a, training=True), ["running", "batch"], "GP205"),
    "batch norm in training, channels last": _bn(lambda *a: _batch_norm(*a, training=True), ["running", "batch"], "GP205", True),
    "batch norm eps": _bn(lambda *a: _batch_norm(*a, eps=1e-3), ["1e-05", "0.001"], "GP201"),
    "batch norm eps, channels last": _bn(lambda *a: _batch_norm(*a, eps=1e-3), ["1e-05", "0.001"], "GP201", True),
    "group norm groups": _gn(4, 6), "group norm instance": _gn(3, 12), "group norm eps": _gn(4, 4, 1e-6),
    "norm over another axis": _transposed_norm,
}  # fmt: skip


# Activations


def _pointwise(one, other, code, words, dense=False):
    def case(rng):
        x = rng.normal(size=(6, int(rng.integers(8, 40)))) * 2
        parameters = {}
        z = x
        if dense:
            w, b = rng.normal(size=(9, x.shape[1])), rng.normal(size=9)
            z, parameters = x @ w.T + b, {"fc.weight": w, "fc.bias": b}
        return stretch({"x": x}, n(one(t(z))), n(other(t(z))), parameters), code, words

    return case


def _tanh_gelu(z):
    return F.gelu(z, approximate="tanh")


def _quick(z):
    return z * torch.sigmoid(1.702 * z)


ACTIVATIONS = {
    "gelu tanh": _pointwise(F.gelu, _tanh_gelu, "GP209", ["exact", "tanh"]),
    "gelu exact": _pointwise(_tanh_gelu, F.gelu, "GP209", ["exact", "tanh"]),
    "gelu quick": _pointwise(F.gelu, _quick, "GP209", ["quick"]),
    "gelu after a dense layer": _pointwise(F.gelu, _tanh_gelu, "GP209", ["exact", "tanh"], dense=True),
    "relu for silu": _pointwise(F.silu, F.relu, "GP210", ["silu", "relu"]),
    "slope": _pointwise(
        lambda z: F.leaky_relu(z, 0.01), lambda z: F.leaky_relu(z, 0.2), "GP210", ["0.01", "0.2"]
    ),
    "elu for selu": _pointwise(F.elu, F.selu, "GP210", ["elu", "selu"]),
    "elu alpha": _pointwise(F.elu, lambda z: F.elu(z, 0.5), "GP210", ["elu", "0.5"]),
    "softplus for relu": _pointwise(F.relu, F.softplus, "GP210", ["softplus"]),
    "mish for silu": _pointwise(F.silu, F.mish, "GP210", ["mish"]),
    "hard swish for silu": _pointwise(F.silu, F.hardswish, "GP210", ["hard swish"]),
    "missing": _pointwise(F.gelu, lambda z: z, "GP211", ["missing"]),
    "surplus": _pointwise(lambda z: z, torch.tanh, "GP211", ["applies none"]),
    "softmax axis": _pointwise(
        lambda z: z.softmax(-1), lambda z: z.softmax(0), "GP212", ["axis 1", "axis 0"]
    ),
    "log of the softmax": _pointwise(
        lambda z: z.log_softmax(-1), lambda z: z.softmax(-1), "GP213", ["log-softmax"]
    ),
    "no softmax": _pointwise(lambda z: z.softmax(-1), lambda z: z, "GP213", ["logits"]),
    "temperature": _pointwise(lambda z: z.softmax(-1), lambda z: (z / 2).softmax(-1), "GP229", ["1/2"]),
}


# Simple relations


def _related(change, code, words, shape=(4, 7, 16)):
    def case(rng):
        x = rng.normal(size=shape)
        y = np.tanh(x) @ rng.normal(size=(shape[-1], shape[-1]))
        return stretch({"x": x}, y, change(y, x, rng), {}), code, words

    return case


def _dropped(y, _x, rng):
    p = 0.25
    return np.where(rng.uniform(size=y.shape) < p, 0.0, y / (1 - p))


def _swapped(y, _x, _rng):
    return y[..., np.r_[3:16, 0, 2, 1]]


RELATIONS = {
    "√d": _related(lambda y, _x, _r: y * math.sqrt(16), "GP229", ["4"]),
    "1/√d": _related(lambda y, _x, _r: y / math.sqrt(7), "GP229", ["1/√7"]),
    "odd factor": _related(lambda y, _x, _r: y * 0.73, "GP229", ["0.73"]),
    "sign": _related(lambda y, _x, _r: -y, "GP231", ["opposite"]),
    "constant": _related(lambda y, _x, _r: y + 0.125, "GP230", ["0.125"]),
    "residual missing": _related(lambda y, x, _r: y - x, "GP235", ["does not add x"]),
    "residual surplus": _related(lambda y, x, _r: y + x, "GP235", ["once more"]),
    "dropout": _related(_dropped, "GP228", ["0.25"]),
    "permuted": _related(_swapped, "GP232", ["3, 4, 5"]),
    "reversed": _related(lambda y, _x, _r: y[..., ::-1], "GP232", ["reversed"]),
    "rolled": _related(lambda y, _x, _r: np.roll(y, 1, axis=1), "GP233", ["axis 1"]),
    "late": _related(lambda y, _x, _r: np.concatenate([0 * y[:, :1], y[:, :-1]], 1), "GP233", ["1 place later"]),
    "early": _related(lambda y, _x, _r: np.concatenate([y[:, 1:], y[:, -1:]], 1), "GP233", ["1 place earlier"]),
    "channels last flattened": _related(lambda y, _x, _r: y.reshape(4, 7, 4, 4).swapaxes(2, 3).reshape(4, 7, 16), "GP234", ["4 × 4"]),
    "transposed": _related(lambda y, _x, _r: np.swapaxes(y, 1, 2), "GP232", ["(0, 2, 1)"], (3, 8, 8)),
    "float32": _related(lambda y, _x, _r: y.astype(np.float32).astype(np.float64), "GP237", ["float32"]),
    "bfloat16": _related(lambda y, _x, _r: n(t(y).bfloat16().double()), "GP237", ["bfloat16"]),
    "float16": _related(lambda y, _x, _r: y.astype(np.float16).astype(np.float64), "GP237", ["float16"]),
}  # fmt: skip


# Linear maps, convolutions, pooling


def _dense_bias(rng):
    x, w, b = rng.normal(size=(5, 8)), rng.normal(size=(6, 8)), rng.normal(size=6)
    return stretch({"x": x}, x @ w.T + b, x @ w.T, {"fc.weight": w, "fc.bias": b}), "GP221", ["fc.bias"]


def _dense_turned(rng):
    x, w, b = rng.normal(size=(5, 8)), rng.normal(size=(8, 8)), rng.normal(size=8)
    return stretch({"x": x}, x @ w.T + b, x @ w + b, {"fc.weight": w, "fc.bias": b}), "GP227", ["fc.weight"]


def _dense_again(rng):
    """The port's way is only known by asking it."""
    x, w = rng.normal(size=(5, 8)), rng.normal(size=(8, 8))

    def run(p):
        return np.tanh(np.cumsum(x @ p.get("kernel", w), -1))

    fields = {"other_parameters": {"kernel": w}, "again": run}
    return stretch({"x": x}, np.tanh(np.cumsum(x @ w.T, -1)), run({}), **fields), "GP227", ["kernel"]


def _chw(rng):
    x = rng.normal(size=(3, 4, 5, 2))
    w, b = rng.normal(size=(7, 40)), rng.normal(size=7)
    one = x.reshape(3, -1) @ w.T + b
    two = x.transpose(0, 2, 3, 1).reshape(3, -1) @ w.T + b
    return stretch({"x": x}, one, two, {"fc.weight": w, "fc.bias": b}), "GP234", ["(1, 2, 3)", "(2, 3, 1)"]


def _flat(rng):
    x = rng.normal(size=(3, 4, 5, 2))
    return (
        stretch({"x": x}, x.reshape(3, -1), x.transpose(0, 2, 3, 1).reshape(3, -1)),
        "GP234",
        ["(0, 2, 3, 1)"],
    )


def _conv(one, other, code, words, flax=False, groups=1, size=9):
    def case(rng):
        x = rng.normal(size=(2, 4, size, size))
        w, b = rng.normal(size=(6, 4 // groups, 3, 3)), rng.normal(size=6)
        y = [n(one(t(x), t(w), t(b))), n(other(t(x), t(w), t(b)))]
        kernel = w
        if flax:
            x, y, kernel = np.moveaxis(x, 1, -1), [np.moveaxis(v, 1, -1) for v in y], w.transpose(2, 3, 1, 0)
        names = {"conv.kernel": kernel, "conv.bias": b} if flax else {"conv.weight": kernel, "conv.bias": b}
        settings = {"settings": {"padding": 1}} if code == "GP217" and not flax else {}
        return stretch({"conv input": x}, *y, names, **settings), code, words

    return case


def _c(**options):
    return lambda x, w, b: F.conv2d(x, w, b, **options)


def _same(x, w, b):
    return F.conv2d(F.pad(x, (0, 1, 0, 1)), w, b, stride=2)


def _flipped(x, w, b):
    return F.conv2d(x, w.flip(2, 3), b, padding=1)


def _exchanged(x, w, b):
    return F.conv2d(x, w.swapaxes(2, 3), b, padding=1)


def _causal(rng):
    x, w, b = rng.normal(size=(2, 3, 11)), rng.normal(size=(5, 3, 3)), rng.normal(size=5)
    one, two = F.conv1d(t(x), t(w), t(b), padding=1), F.conv1d(F.pad(t(x), (2, 0)), t(w), t(b))
    return stretch({"x": x}, n(one), n(two), {"weight": w, "bias": b}), "GP217", ["(1, 1)", "(2, 0)"]


def _pool(one, other, code, words, last=False):
    def case(rng):
        x = rng.normal(size=(2, 3, 8, 8))
        y = [n(one(t(x))), n(other(t(x)))]
        if last:
            x, y = np.moveaxis(x, 1, -1), [np.moveaxis(v, 1, -1) for v in y]
        return stretch({"x": x}, *y), code, words

    return case


def _excluded(x):
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


LAYERS = {
    "bias missing": _dense_bias, "weight transposed": _dense_turned, "weight transposed, again": _dense_again,
    "flattened before dense": _chw, "flattened": _flat,
    "same padding": _conv(_c(stride=2, padding=1), _same, "GP217", ["(1, 1)", "(0, 1)"], size=8),
    "same padding, flax": _conv(_same, _c(stride=2, padding=1), "GP217", ["(0, 1) in {reference}", "(1, 0) in {port}"], True, size=8),
    "flipped": _conv(_c(padding=1), _flipped, "GP219", ["flipped"]),
    "flipped, flax": _conv(_flipped, _c(padding=1), "GP219", ["flipped"], True),
    "exchanged": _conv(_c(padding=1), _exchanged, "GP227", ["exchanged"]),
    "dilation": _conv(_c(padding=1), _c(padding=2, dilation=2), "GP218", ["dilation"]),
    "stride": _conv(_c(stride=2, padding=1), _c(stride=1, padding=0, dilation=2), "GP218", ["stride"]),
    "groups, padding": _conv(_c(padding=1, groups=2, stride=2), lambda x, w, b: F.conv2d(F.pad(x, (0, 1, 0, 1)), w, b, stride=2, groups=2), "GP217", ["(1, 1)"], groups=2, size=8),
    "causal": _causal,
    "padding counted": _pool(lambda x: F.avg_pool2d(x, 3, 1, 1), _excluded, "GP222", ["counted"]),
    "padding counted, last": _pool(_excluded, lambda x: F.avg_pool2d(x, 3, 1, 1), "GP222", ["counted"], True),
    "max for mean": _pool(lambda x: F.max_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2), "GP223", ["maximum", "mean"]),
    "pooling padded": _pool(lambda x: F.max_pool2d(x, 3, 2, 1), lambda x: F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-math.inf), 3, 2), "GP217", ["(1, 0)", "(0, 1)"]),
}  # fmt: skip


# Attention


def attend(q, k, v, scale=None, mask=None, axis=-1):
    """(batch, head, position, features); the mask is true where a key is seen."""
    scores = q @ k.swapaxes(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        scores = np.where(mask, scores, -1e9)
    powers = np.exp(scores - scores.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True) @ v


def _qkv(rng, length=6):
    return [rng.normal(size=(2, 4, length, 5)) for _ in range(3)]


def _attention(one, other, code, words, mask=None, layout="bhtd"):
    def case(rng):
        q, k, v = _qkv(rng)
        m = None if mask is None else mask(rng)
        expected, found = attend(q, k, v, **one(m)), attend(q, k, v, **other(m))
        arrays = [q, k, v, expected, found]
        if layout == "bthd":
            arrays = [np.swapaxes(a, 1, 2) for a in arrays]
        if layout == "merged":
            arrays = [np.swapaxes(a, 1, 2).reshape(2, 6, 20) for a in arrays]
        q, k, v, expected, found = arrays
        inputs = {"q": q, "k": k, "v": v} if m is None else {"q": q, "k": k, "v": v, "mask": m}
        return stretch(inputs, expected, found, settings={"num_heads": 4}), code, words

    return case


CAUSAL = np.tril(np.ones((6, 6), dtype=bool))


def _any(rng):
    return (rng.uniform(size=(2, 1, 6, 6)) < 0.6) | np.eye(6, dtype=bool)


def _inverse(m):
    return {"mask": ~m | np.eye(6, dtype=bool)}


def _projected(kind, how, other, code, words):
    """A whole layer: from x and its weights."""

    def case(rng):
        x, w, b = rng.normal(size=(2, 6, 12)), rng.normal(size=(36, 12)) / 3, rng.normal(size=36) / 3
        o, c = rng.normal(size=(12, 12)) / 3, rng.normal(size=12)

        def heads(z):
            return z.reshape(2, 6, 3, 4).transpose(0, 2, 1, 3)

        def turned(z):
            return z.reshape(2, 6, 4, 3).transpose(0, 3, 1, 2)

        def layer(split=heads, merge="hd", **options):
            y = attend(
                *(split(x @ p.T + e) for p, e in zip(np.split(w, 3), np.split(b, 3), strict=True)), **options
            )
            y = y.transpose(0, 2, 3, 1) if merge == "dh" else y if merge == "raw" else y.transpose(0, 2, 1, 3)
            return y.reshape(2, 6, 12) @ o.T + c

        if kind == "torch":
            named = {"in_proj_weight": w, "in_proj_bias": b, "out_proj.weight": o, "out_proj.bias": c}
        else:
            named = {"out.kernel": o.T.reshape(3, 4, 12), "out.bias": c}
            for role, p, e in zip(("query", "key", "value"), np.split(w, 3), np.split(b, 3), strict=True):
                named |= {f"{role}.kernel": p.T.reshape(12, 3, 4), f"{role}.bias": e.reshape(3, 4)}
        splits = (
            {"split": turned, "merge": "dh"}
            if other == "turned"
            else {"merge": "raw"}
            if other == "raw"
            else other
        )
        settings = {"num_heads": 3}
        return (
            stretch({"attention input": x}, layer(**how), layer(**splits), named, settings=settings),
            code,
            words,
        )

    return case


def _packed_is_right(rng):
    """The formula of a whole layer is torch's."""
    x = rng.normal(size=(2, 6, 12))
    layer = torch.nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
    torch.nn.init.normal_(layer.in_proj_bias)
    named = {name: n(value) for name, value in layer.named_parameters()}
    one = n(layer(t(x), t(x), t(x))[0])
    two = n(layer(t(x), t(x), t(x), attn_mask=~torch.tensor(CAUSAL))[0])
    return (
        stretch({"x": x}, two, one, named, settings={"num_heads": 3}),
        "GP215",
        ["a causal mask", "no mask"],
    )


def _tiled(rng):
    q, k, v = _qkv(rng)
    k, v = k[:, :2], v[:, :2]
    one = attend(q, np.repeat(k, 2, 1), np.repeat(v, 2, 1))
    return (
        stretch({"q": q, "k": k, "v": v}, one, attend(q, np.tile(k, (1, 2, 1, 1)), np.tile(v, (1, 2, 1, 1)))),
        "GP216",
        ["tiled"],
    )


def NONE(_mask):
    return {}


ATTENTION = {
    "scale 1/d": _attention(NONE, lambda _m: {"scale": 1 / 5}, "GP214", ["1/√5", "1/5"]),
    "no scale": _attention(NONE, lambda _m: {"scale": 1.0}, "GP214", ["1/√5", "by 1 in"]),
    "scale of all heads": _attention(NONE, lambda _m: {"scale": 20**-0.5}, "GP214", ["1/√20"]),
    "scale, positions first": _attention(NONE, lambda _m: {"scale": 1 / 5}, "GP214", ["1/√5", "1/5"], layout="bthd"),
    "scale, merged": _attention(NONE, lambda _m: {"scale": 1.0}, "GP214", ["1/√5", "1"], layout="merged"),
    "mask inverted": _attention(lambda m: {"mask": m}, lambda m: {"mask": ~m}, "GP215", ["seen", "hidden"], mask=_any),
    "mask ignored": _attention(lambda m: {"mask": m}, NONE, "GP215", ["no mask"], mask=_any),
    "mask transposed": _attention(lambda m: {"mask": m}, lambda m: {"mask": np.swapaxes(m, -1, -2)}, "GP215", ["transposed"], mask=_any),
    "causal missing": _attention(lambda _m: {"mask": CAUSAL}, NONE, "GP215", ["causal", "no mask"]),
    "causal off by one": _attention(lambda _m: {"mask": CAUSAL}, lambda _m: {"mask": np.tril(CAUSAL, -1)}, "GP215", ["off by one"]),
    "causal lets one through": _attention(lambda _m: {"mask": CAUSAL}, lambda _m: {"mask": np.tri(6, k=1) > 0}, "GP215", ["off by one"]),
    "causal transposed": _attention(lambda _m: {"mask": CAUSAL}, lambda _m: {"mask": CAUSAL.T}, "GP215", ["transposed"]),
    "softmax over queries": _attention(NONE, lambda _m: {"axis": -2}, "GP212", ["keys", "queries"]),
    "layer, scale": _projected("torch", {}, {"scale": 12**-0.5}, "GP214", ["1/√4", "1/√12"]),
    "layer, causal": _projected("torch", {"mask": CAUSAL}, {}, "GP215", ["no mask"]),
    "layer, heads": _projected("torch", {}, "turned", "GP216", ["3 heads"]),
    "layer, merged raw": _projected("torch", {}, "raw", "GP216", ["reshape"]),
    "flax layer, heads": _projected("flax", {}, "turned", "GP216", ["3 heads"]),
    "flax layer, scale": _projected("flax", {}, {"scale": 1.0}, "GP214", ["1/√4"]),
    "torch layer": _packed_is_right,
    "shared keys tiled": _tiled,
}  # fmt: skip


# Recurrent layers


def _packed(rng, gates, kind):
    module = getattr(torch.nn, kind)(5, 7, batch_first=True, dtype=torch.float64)
    for name, value in module.named_parameters():
        torch.nn.init.normal_(
            value, 0.0, 0.5, generator=torch.Generator().manual_seed(int(rng.integers(1 << 30)) + len(name))
        )
    return (
        module,
        {name: n(value).copy() for name, value in module.named_parameters()},
        rng.normal(size=(3, 6, 5)),
    )


def _run(module, parameters, x):
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.copy_(t(parameters[name]))
        return n(module(t(x))[0]).copy()


def _reordered(parameters, order):
    return {
        name: np.concatenate([np.split(v, len(order))[i] for i in order]) for name, v in parameters.items()
    }


def _gates(kind, order, words, again=False, last=False):
    def case(rng):
        module, parameters, x = _packed(rng, len(order), kind)
        wrong = _reordered(parameters, order)
        expected = _run(module, parameters, x)

        def run(p):
            return _run(module, {**wrong, **p}, x)

        fields = {"other_parameters": wrong, "again": run} if again else {}
        if last:
            return stretch({"x": x}, expected[:, -1], run({})[:, -1], parameters, **fields), "GP224", words
        return stretch({"x": x}, expected, run({}), {} if again else parameters, **fields), "GP224", words

    return case


def gru(parameters, x, reset_after=True, hidden_bias=True, keeps=True):
    """By hand, as torch.nn.GRU unless told otherwise."""
    wi, wh, bi, bh = parameters.values()
    bh = bh if hidden_bias else np.r_[bh[:14], 0 * bh[14:]]

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    h, states = np.zeros((3, 7)), []
    for step in np.swapaxes(x, 0, 1):
        a, c = np.split(step @ wi.T + bi, 3, -1), np.split(h @ wh.T + bh, 3, -1)
        r, z = sigmoid(a[0] + c[0]), sigmoid(a[1] + c[1])
        inner = r * c[2] if reset_after else (r * h) @ wh[14:].T + bh[14:]
        new = np.tanh(a[2] + inner)
        h = z * h + (1 - z) * new if keeps else (1 - z) * h + z * new
        states.append(h)
    return np.stack(states, 1)


def _gru(code, words, **how):
    def case(rng):
        module, parameters, x = _packed(rng, 3, "GRU")
        return (
            stretch({"x": x}, _run(module, parameters, x), gru(parameters, x, **how), parameters),
            code,
            words,
        )

    return case


def _lstm_bias(rng):
    module, parameters, x = _packed(rng, 4, "LSTM")
    wrong = {**parameters, "bias_hh_l0": 0 * parameters["bias_hh_l0"]}
    return (
        stretch({"x": x}, _run(module, parameters, x), _run(module, wrong, x), parameters),
        "GP226",
        ["hidden bias"],
    )


def _flax_gates(rng):
    """One matrix per gate, and the port has input and cell exchanged."""
    module, parameters, x = _packed(rng, 4, "LSTM")
    parameters["bias_ih_l0"][:] = 0
    expected = _run(module, parameters, x)
    wi, wh, _, bh = parameters.values()
    named = {}
    for side, weight in (("i", wi), ("h", wh)):
        for gate, block in zip("ifgo", np.split(weight, 4), strict=True):
            named[f"cell.{side}{gate}.kernel"] = block.T
    named |= {f"cell.h{gate}.bias": block for gate, block in zip("ifgo", np.split(bh, 4), strict=True)}
    found = _run(module, _reordered(parameters, (2, 1, 0, 3)), x)
    return stretch({"x": x}, expected, found, named), "GP224", ["i, f, g, o", "g, f, i, o"]


RECURRENT = {
    "lstm gates": _gates("LSTM", (0, 2, 1, 3), ["i, f, g, o", "i, g, f, o"]),
    "lstm gates, last state": _gates("LSTM", (0, 3, 1, 2), ["i, f, g, o"], last=True),
    "lstm gates, again": _gates("LSTM", (0, 2, 1, 3), ["(1, 3, 2, 4)"], again=True),
    "gru gates": _gates("GRU", (1, 0, 2), ["r, z, n", "z, r, n"]),
    "gru gates, again": _gates("GRU", (1, 0, 2), ["(2, 1, 3)"], again=True),
    "gru reset": _gru("GP225", ["after", "before"], reset_after=False),
    "gru update": _gru("GP225", ["old state", "new one"], keeps=False),
    "gru bias": _gru("GP226", ["but the new"], hidden_bias=False),
    "lstm bias": _lstm_bias,
    "lstm, one matrix per gate": _flax_gates,
}


# Plain code between modules


def _raw_residual(rng):
    x, y, z = (rng.normal(size=(3, 4, 6)) for _ in range(3))
    return (
        stretch({"attention": z, "ln": y, "x": x}, x + z, y + z, role="input"),
        "GP236",
        ["adds ln", "adds x"],
    )


def _gated(one, other, code, words):
    def case(rng):
        x = rng.normal(size=(3, 4, 12))
        a, b = np.split(x, 2, -1)
        return stretch({"fc": x}, n(one(t(a), t(b))), n(other(t(a), t(b)))), code, words

    return case


def _far_residual(change):
    """Added at the end of a module, nine nodes after it was made."""

    def case(rng):
        x, y = rng.normal(size=(3, 4, 6)), rng.normal(size=(3, 4, 6))
        way = {f"mlp.{i}": rng.normal(size=(3, 4, 6)) for i in range(9)}
        inputs = {"(whole) input": y, **way, "norm2 input": x}
        return stretch(inputs, x + y, change(x, y)), "GP235", ["norm2 input"]

    return case


def _shortcut(function, words, surplus=False):
    """Added before an activation."""

    def case(rng):
        x, y, z = (rng.normal(size=(2, 4, 5, 5)) for _ in range(3))
        whole, alone = n(function(t(x + y))), n(function(t(x)))
        inputs = {
            "(whole) input": z,
            "relu#2": whole,
            "downsample": y,
            "bn2": x,
            "conv2": rng.normal(size=x.shape),
        }
        return stretch(inputs, *((alone, whole) if surplus else (whole, alone))), "GP235", words

    return case


def _flat_activation(one, other, code, words, axes=(0, 1, 2, 3)):
    """And flattened."""

    def case(rng):
        x = 2 * rng.normal(size=(3, 4, 5, 2))
        made = [n(f(t(x))).transpose(axes).reshape(3, -1) for f in (one, other)]
        return stretch({"wide": x, "pool": rng.normal(size=(3, 4, 5, 2))}, *made, role="input"), code, words

    return case


def _on_the_way(dtype, function, words, exchanged=False):
    """Rounded before an activation."""

    def case(rng):
        x = 2 * rng.normal(size=(4, 6, 10))
        pair = [n(function(t(x))), n(function(t(x).to(dtype).double()))]
        expected, found = pair[::-1] if exchanged else pair
        return stretch({"up": x, "norm": rng.normal(size=x.shape)}, expected, found), "GP237", words

    return case


def _layers_exchanged(rng):
    """Seen only by asking the port again."""
    x = rng.normal(size=(2, 5, 8))
    held = {f"attention.{role}.{leaf}": rng.normal(size=(8, 8) if leaf == "kernel" else 8)
            for role in ("value", "key", "query") for leaf in ("kernel", "bias")}  # fmt: skip

    def run(p):
        w = {**held, **p}
        q, k, v = (
            x @ w[f"attention.{r}.kernel"] + w[f"attention.{r}.bias"] for r in ("query", "key", "value")
        )
        return np.cumsum(np.tanh(attend(q, k, v)), axis=1)

    ends = ("kernel", "bias")
    due = {
        f"attention.{a}.{end}": held[f"attention.{b}.{end}"]
        for a, b in (("key", "value"), ("value", "key"))
        for end in ends
    }
    fields = {"other_parameters": held, "again": run, "role": "input"}
    return (
        stretch({"attention input": x}, run(due), run({}), **fields),
        "GP244",
        ["attention.value and attention.key"],
    )


def _rows_later(by, words, wraps=None):
    """Of a table of positions, or of tokens."""

    def case(rng):
        table = rng.normal(size=(9, 6))
        due = rng.permutation(7).reshape(1, 7) if wraps is None else np.arange(9)[:, None]
        moved = due + by
        taken = {None: moved, "clip": np.clip(moved, 0, 8), "wrap": moved % 9}[wraps]
        return (
            stretch({"tokens": rng.normal(size=(2, 7, 6))}, table[due], table[taken], {"wpe.weight": table}),
            "GP233",
            words,
        )

    return case


PLAIN = {
    "residual of far away missing": _far_residual(lambda x, y: y),
    "residual of far away twice": _far_residual(lambda x, y: 2 * x + y),
    "shortcut missing": _shortcut(F.relu, ["relu of bn2 + downsample", "{port} of bn2 alone"]),
    "shortcut missing before gelu": _shortcut(F.gelu, ["gelu (exact) of bn2 + downsample"]),
    "shortcut too many": _shortcut(F.relu, ["{port} takes relu of bn2 + downsample"], surplus=True),
    "activation, flattened": _flat_activation(F.silu, F.relu, "GP210", ["silu", "relu"]),
    "activation, flattened channels last": _flat_activation(
        F.gelu, F.silu, "GP210", ["gelu", "silu"], (0, 2, 3, 1)
    ),
    "activation missing, flattened": _flat_activation(F.gelu, lambda x: x, "GP211", ["missing"]),
    "bfloat16 before gelu": _on_the_way(torch.bfloat16, F.gelu, ["{port} rounds up to bfloat16 before gelu"]),
    "float16 before silu": _on_the_way(torch.float16, F.silu, ["float16 before silu"]),
    "float32 before tanh": _on_the_way(torch.float32, torch.tanh, ["float32 before tanh"]),
    "bfloat16 in the reference": _on_the_way(
        torch.bfloat16, F.gelu, ["{reference} rounds up", "{port} does not"], True
    ),
    "layers exchanged": _layers_exchanged,
    "rows one later": _rows_later(1, ["row i + 1 of wpe.weight"]),
    "rows one earlier, cut": _rows_later(-1, ["row i − 1"], "clip"),
    "rows one later, around": _rows_later(1, ["row i + 1"], "wrap"),
    "residual of another value": _raw_residual,
    "gate exchanged": _gated(lambda a, b: F.silu(a) * b, lambda a, b: a * F.silu(b), "GP236", ["exchanged"]),
    "gate's activation": _gated(
        lambda a, b: F.silu(a) * b, lambda a, b: F.gelu(a) * b, "GP210", ["silu", "gelu"]
    ),
}

PLANTED = {**NORMS, **ACTIVATIONS, **RELATIONS, **LAYERS, **ATTENTION, **RECURRENT, **PLAIN}
"""{name: function of a generator that gives (stretch, code, words that have to be said)}."""
