"""A parameter that a network uses twice, and whose gradient in the port comes of one of the uses alone."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.nn import functional as F

from gradproof.porting.compare import compare
from gradproof.porting.doors import torch_port

TOKENS = torch.tensor([[1, 2, 3, 2], [7, 1, 0, 4]])


class Tied(nn.Module):
    """The table of the tokens is the head's matrix; what is stopped in it is told by name."""

    def __init__(self, stopped="", rows=11):
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Embedding(rows, 6)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, rows, bias=False)
        self.head.weight = self.tokens.weight
        self.stopped = stopped

    def forward(self, tokens):
        table = self.tokens.weight
        x = F.embedding(tokens, table.detach()) if self.stopped == "tokens" else self.tokens(tokens)
        x = self.norm(x)
        return F.linear(x, table.detach()) if self.stopped == "head" else self.head(x)


@pytest.mark.parametrize("rows", [11, 6, 8])
@pytest.mark.parametrize(
    ("stopped", "words"),
    [("head", "lacks what comes through head"), ("tokens", "is what comes through head alone")],
)
def test_the_use_that_has_no_gradient_is_named(stopped, words, rows):
    ports = {"right": torch_port(Tied(rows=rows)), "port": torch_port(Tied(stopped, rows=rows))}
    (diagnosis,) = compare(ports, (TOKENS % rows,)).compared["port"].diagnoses
    assert (diagnosis.code, diagnosis.leaves) == ("GP238", ("tokens.weight",))
    assert words in diagnosis.says
