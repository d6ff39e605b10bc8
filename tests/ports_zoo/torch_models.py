"""The references: PyTorch modules."""

__all__ = ["GPT", "BasicBlock", "Block", "Classifier", "RMSNorm", "TinyNet", "randomised"]

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Every bias, scale and running statistic at random, so that none of them hides; the weights as they are initialised."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, x in module.state_dict().items():
            if x.dtype.is_floating_point:
                noise = torch.randn(x.shape, generator=generator)
                if name.endswith("running_var"):
                    x.copy_(0.5 + torch.rand(x.shape, generator=generator))
                else:
                    x.add_(0.3 * noise)
    return module


class RMSNorm(nn.Module):
    """Written by hand, as in Llama."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps))


class BasicBlock(nn.Module):
    """Of ResNet-18, with a shortcut of its own where the shape changes."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.downsample(x)
        return self.relu(out)


class TinyNet(nn.Module):
    """Convolution, normalisation, pooling, flattened in the order of NCHW, a linear layer."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.wide = nn.Conv2d(6, 5, 3, padding=2, dilation=2)
        self.fc = nn.Linear(5 * 4 * 4, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.bn(self.conv(x))))
        return self.fc(torch.flatten(F.silu(self.wide(x)), 1))


class Attention(nn.Module):
    """Causal self-attention; query, key and value are one matrix."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Transformer block, normalised before each of its two parts."""

    def __init__(self, width: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.down(self.act(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Two blocks; the embedding of the tokens is the head as well."""

    def __init__(
        self, vocabulary: int = 11, length: int = 6, width: int = 8, heads: int = 2, layers: int = 2
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(length + 1, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) * self.tokens.embedding_dim**0.5
        x = x + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Classifier(nn.Module):
    """A recurrent layer over a sequence, a linear layer on its last state."""

    def __init__(self, cell: str = "LSTM", width: int = 5, hidden: int = 4) -> None:
        super().__init__()
        self.rnn = getattr(nn, cell)(width, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x)[0][:, -1])
