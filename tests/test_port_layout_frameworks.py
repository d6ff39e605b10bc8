"""Layouts between PyTorch and Flax NNX, with parameters that are random on both sides."""

import numpy as np
import pytest

from gradproof.porting.doors import flax_port, torch_port
from gradproof.porting.layouts.inference import infer_layout
from gradproof.porting.layouts.transferring import transfer
from gradproof.porting.layouts.trials import infer_by_behaviour
from gradproof.porting.port import Call

torch = pytest.importorskip("torch")
nnx = pytest.importorskip("flax.nnx")
RNG = np.random.default_rng(0)
SEQUENCE = RNG.normal(size=(3, 5, 4)).astype(np.float32)
IMAGE = RNG.normal(size=(2, 3, 6, 6)).astype(np.float32)


class Tokens(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = torch.nn.Embedding(7, 4)
        self.attn = torch.nn.MultiheadAttention(4, 2, batch_first=True)
        self.fc = torch.nn.Linear(4, 4)
        self.rnn = torch.nn.LSTM(4, 4, batch_first=True)

    def forward(self, x):
        x = self.emb(x)
        return self.rnn(self.fc(self.attn(x, x, x, need_weights=False)[0]))[0]


class FlaxTokens(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(7, 4, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 4, rngs=rngs, decode=False)
        self.dense = nnx.Linear(4, 4, rngs=rngs)
        self.lstm = nnx.RNN(nnx.OptimizedLSTMCell(4, 4, rngs=rngs))

    def __call__(self, x):
        return self.lstm(self.dense(self.attention(self.embed(x))))


class Images(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.up = torch.nn.ConvTranspose2d(4, 4, 3)

    def forward(self, x):
        return self.up(torch.relu(self.norm(self.conv(x))))


class FlaxImages(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.bn = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)
        self.up = nnx.ConvTranspose(4, 4, (3, 3), padding="VALID", rngs=rngs)

    def __call__(self, x):
        return self.up(nnx.relu(self.bn(self.conv(x))))


def ports(ours, theirs):
    torch.manual_seed(0)
    return torch_port(ours().eval()), flax_port(theirs(nnx.Rngs(0)))


def outputs(port, x, leaves=None):
    return next(iter(port.run(Call((x,), parameters=leaves, forward_only=True)).outputs.values()))


def agrees(ours, theirs, x, y, layout):
    due = outputs(ours, x)
    found = outputs(theirs, y, {**theirs.parameters, **theirs.buffers, **transfer(ours, layout)})
    if due.ndim == 4:
        found = np.moveaxis(found, -1, 1) if due.shape != found.shape or y.shape[-1] == 3 else found
    return np.allclose(due, found, rtol=1e-5, atol=1e-6)


def test_embedding_attention_linear_lstm():
    ours, theirs = ports(Tokens, FlaxTokens)
    x = np.arange(12).reshape(3, 4) % 7
    layout, needed = infer_layout(ours, theirs, (x,), (x,))
    assert needed
    assert {move.confirmed for move in layout.moves} == {"behaviour"}
    assert not layout.unmatched
    assert not layout.unused
    comes = {row.leaf: row.comes for row in layout.table()}
    assert comes["lstm.cell.dense_h.bias"] == "= sum of rnn.bias_ih_l0 and rnn.bias_hh_l0"
    assert comes["attention.query.kernel"].startswith("= attn.in_proj_weight[0:4] transposed (block 1 of 3")
    assert comes["dense.kernel"] == "= fc.weight transposed"
    assert agrees(ours, theirs, x, x, layout)
    back = infer_by_behaviour(theirs, ours, (x,), (x,))
    assert {move.confirmed for move in back.moves} == {"behaviour"}


def test_convolutions_and_running_statistics():
    ours, theirs = ports(Images, FlaxImages)
    last = IMAGE.transpose(0, 2, 3, 1).copy()
    layout, _ = infer_layout(ours, theirs, (IMAGE,), (last,))
    assert {move.confirmed for move in layout.moves} == {"behaviour"}
    comes = {row.leaf: row.comes for row in layout.table()}
    assert comes["conv.kernel"] == "= conv.weight axes (2, 3, 1, 0) (OIHW → HWIO)"
    assert comes["up.kernel"] == "= up.weight flipped along axes 2, 3 axes (2, 3, 0, 1)"
    assert comes["bn.var"] == "= norm.running_var"
    assert agrees(ours, theirs, IMAGE, last, layout)


def test_gates_that_are_leaves_of_their_own():
    ours = torch_port(torch.nn.LSTM(4, 4, batch_first=True), call=lambda module, x: module(x)[0])
    theirs = flax_port(nnx.RNN(nnx.LSTMCell(4, 4, rngs=nnx.Rngs(0))))
    layout = infer_by_behaviour(ours, theirs, (SEQUENCE,), (SEQUENCE,))
    assert {move.confirmed for move in layout.moves} == {"behaviour"}
    assert agrees(ours, theirs, SEQUENCE, SEQUENCE, layout)


def test_a_gru_without_the_last_gates_bias_is_as_near_as_can_be():
    """Flax's GRUCell has no bias on the hidden state's part of the new gate: nothing agrees, and the usual is kept."""
    ours = torch_port(torch.nn.GRU(4, 4, batch_first=True), call=lambda module, x: module(x)[0])
    theirs = flax_port(nnx.RNN(nnx.GRUCell(4, 4, rngs=nnx.Rngs(0))))
    layout = infer_by_behaviour(ours, theirs, (SEQUENCE,), (SEQUENCE,))
    comes = {row.leaf: (row.comes, row.known) for row in layout.table()}
    assert comes["cell.dense_i.bias"] == (
        "= bias_ih_l0[0:8] + bias_hh_l0[0:8], bias_ih_l0[8:12] joined along axis 0", "by name and shape only",
    )  # fmt: skip
    leaves = {path: x.copy() for path, x in ours.parameters.items()}
    leaves["bias_hh_l0"][8:] = 0
    made = {**theirs.parameters, **layout.apply(leaves)}
    assert np.allclose(outputs(ours, SEQUENCE, leaves), outputs(theirs, SEQUENCE, made), rtol=1e-5, atol=1e-6)
