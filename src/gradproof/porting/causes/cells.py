"""Recurrent cells, step by step: LSTM and GRU in the conventions that frameworks have."""

__all__ = ["GATES", "Convention", "Weights", "scan"]

from dataclasses import dataclass

import numpy as np

from gradproof.arrays import HostArray

GATES = {4: "ifgo", 3: "rzn"}
"""Input, forget, cell, output; reset, update, new."""


@dataclass(frozen=True, slots=True)
class Convention:
    """How the blocks of packed weights are read."""

    order: str
    """Of the gates: "ifgo"."""
    reset_after: bool = True
    """GRU: the reset gate multiplies the product with the hidden weights, not the hidden state before it."""
    update_keeps: bool = True
    """GRU: the update gate multiplies the old state; else the new one."""
    input_bias: bool = True
    hidden_bias: str = "all"
    """ "all", "new" (that of the new gate alone), "but new" or "none"."""
    forget: float = 0.0
    """Added to the forget gate."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Packed gate after gate along the last axis, in the reference's order."""

    inner: HostArray
    """(input, gates · hidden)."""
    hidden: HostArray
    """(hidden, gates · hidden)."""
    inner_bias: HostArray
    hidden_bias: HostArray

    @property
    def size(self) -> int:
        """Length of the hidden state."""
        return int(self.hidden.shape[0])

    @property
    def gates(self) -> int:
        """3 or 4."""
        return int(self.hidden.shape[1]) // self.size


def _sigmoid(x: HostArray) -> HostArray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def scan(
    weights: Weights, x: HostArray, state: tuple[HostArray, HostArray], how: Convention
) -> tuple[HostArray, HostArray]:
    """All states (time, batch, hidden), and all cells (the same again for a GRU), of x (time, batch, input)."""
    h, c = state
    states, cells = [], []
    bias = weights.inner_bias if how.input_bias else np.zeros_like(weights.inner_bias)
    inputs = x @ weights.inner + bias
    plus = _hidden_bias(weights, how)
    for step in inputs:
        if weights.gates == 4:
            h, c = _lstm(weights, step, h, c, plus, how)
        else:
            h = c = _gru(weights, step, h, plus, how)
        states.append(h)
        cells.append(c)
    return np.stack(states), np.stack(cells)


def _hidden_bias(weights: Weights, how: Convention) -> HostArray:
    blocks = np.split(weights.hidden_bias.copy(), weights.gates)
    for gate, block in zip(how.order, blocks, strict=True):
        kept = {"all": True, "none": False, "new": gate == "n", "but new": gate != "n"}[how.hidden_bias]
        if not kept:
            block[:] = 0.0
    return np.concatenate(blocks)


def _blocks(how: Convention, packed: HostArray) -> dict[str, HostArray]:
    return dict(zip(how.order, np.split(packed, len(how.order), axis=-1), strict=True))


def _lstm(
    weights: Weights, step: HostArray, h: HostArray, c: HostArray, plus: HostArray, how: Convention
) -> tuple[HostArray, HostArray]:
    z = _blocks(how, step + h @ weights.hidden + plus)
    kept = _sigmoid(z["f"] + how.forget) * c
    c = kept + _sigmoid(z["i"]) * np.tanh(z["g"])
    return _sigmoid(z["o"]) * np.tanh(c), c


def _gru(weights: Weights, step: HostArray, h: HostArray, plus: HostArray, how: Convention) -> HostArray:
    given, own, bias = _blocks(how, step), _blocks(how, h @ weights.hidden), _blocks(how, plus)
    reset = _sigmoid(given["r"] + own["r"] + bias["r"])
    update = _sigmoid(given["z"] + own["z"] + bias["z"])
    if how.reset_after:
        inner = reset * (own["n"] + bias["n"])
    else:
        inner = (reset * h) @ _blocks(how, weights.hidden)["n"] + bias["n"]
    new = np.tanh(given["n"] + inner)
    return update * h + (1 - update) * new if how.update_keeps else update * new + (1 - update) * h
