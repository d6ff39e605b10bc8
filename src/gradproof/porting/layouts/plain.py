"""How a leaf is usually read as another one, where its values do not tell: what frameworks agreed on."""

__all__ = ["kernel_style", "orders", "plainest"]

from gradproof.porting.layouts.layout import Piece
from gradproof.porting.layouts.names import tokens
from gradproof.porting.views import views

_STRAIGHT = {"embedding", "embed", "emb", "embeddings", "table", "wte", "wpe"}
"""Words of leaves that no framework transposes: rows are looked up."""


def plainest(source: str, shape: tuple[int, ...], target: str, due: tuple[int, ...]) -> Piece:
    """The usual way to read all of `source` as `target`."""
    return orders(source, shape, target, due)[0]


def orders(source: str, shape: tuple[int, ...], target: str, due: tuple[int, ...]) -> list[Piece]:
    """Every order of the axes of `source` that makes the shape of `target`, the usual one first."""
    fits = [Piece(source, view.axes) for view in views(shape, due)]
    usual = _usual(source, len(shape), target)
    return sorted(fits, key=lambda piece: (piece.axes != usual, piece.axes != tuple(range(len(shape)))))


def _usual(source: str, rank: int, target: str) -> tuple[int, ...]:
    """Matrices are transposed between a `weight` and a `kernel`, kernels of convolutions go from OIHW to HWIO and back."""
    ours, theirs = kernel_style(source), kernel_style(target)
    straight = tuple(range(rank))
    if rank < 2 or ours == theirs or _STRAIGHT & ({*tokens(source)} | {*tokens(target)}):
        return straight
    if ours:
        return (rank - 1, rank - 2, *range(rank - 2))
    return (*range(2, rank), 1, 0)


def kernel_style(path: str) -> bool:
    """Whether inputs come before outputs, as in a `kernel` of Flax; in a `weight` of PyTorch outputs come first."""
    return "kernel" in tokens(path)[-2:]
