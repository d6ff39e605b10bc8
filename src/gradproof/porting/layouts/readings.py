"""Orientations in which a leaf, or leaves that are joined, make another shape: the usual one first."""

__all__ = ["joins", "readings"]

from collections.abc import Sequence
from math import prod

from gradproof.porting.layouts.plain import kernel_style, orders

Axes = tuple[int, ...]

MOST = 8
"""Orientations of one leaf."""


def readings(source: str, block: Axes, target: str, due: Axes) -> list[tuple[Axes, Axes]]:
    """(order of the axes, flipped axes) that make `due` of `block`, in rising distance from what is usual.

    Kernels of convolutions may run backwards, as those of transposed convolutions do in some frameworks.
    """
    if sorted(n for n in block if n > 1) == sorted(n for n in due if n > 1):
        turned = [piece.axes for piece in orders(source, block, target, due)][:MOST]
    else:
        turned = _rotations(len(block), turned=kernel_style(source) != kernel_style(target))
    straight: list[tuple[Axes, Axes]] = [(axes, ()) for axes in turned]
    spatial = _spatial(source, block)
    return straight + [(axes, spatial) for axes in turned if spatial]


def joins(source: str, blocks: Sequence[Axes], target: str, due: Axes) -> list[tuple[Axes, int]]:
    """(order of the axes, axis of the join) under which leaves of the shapes `blocks` make `due`."""
    turned = kernel_style(source) != kernel_style(target)
    fits: list[tuple[int, Axes, int]] = []
    for cost, axes in enumerate(_rotations(len(blocks[0]), turned=turned)):
        forms = [tuple(block[axis] for axis in axes) for block in blocks]
        for joined in range(len(axes)):
            at = _axis_of(forms, joined, due)
            if at is not None:
                outputs = len(due) - 1 if kernel_style(target) else 0
                fits.append((2 * (at != outputs) + cost, axes, joined))
    return [(axes, joined) for _, axes, joined in sorted(fits, key=lambda fit: fit[0])][:MOST]


def _axis_of(forms: Sequence[Axes], joined: int, due: Axes) -> int | None:
    """Axis of `due` along which the forms are joined; None if they do not fit there."""
    if len({(*form[:joined], *form[joined + 1 :]) for form in forms}) > 1:
        return None
    before, after = prod(forms[0][:joined]), prod(forms[0][joined + 1 :])
    length = sum(form[joined] for form in forms)
    if before * after * length != prod(due):
        return None
    for at in range(len(due)):
        behind = prod(due[at + 1 :])
        if prod(due[:at]) == before and after % behind == 0:
            return at
    return None


def _rotations(rank: int, *, turned: bool) -> list[Axes]:
    straight = tuple(range(rank))
    rotated = [(*straight[at:], *straight[:at]) for at in range(1, rank)]
    return [*rotated, straight] if turned else [straight, *rotated]


def _spatial(source: str, block: Axes) -> Axes:
    """Axes along which a kernel is moved over the image."""
    long = [axis for axis, n in enumerate(block) if n > 1]
    if len(block) < 3 or len(long) < 3:
        return ()
    if kernel_style(source):
        return tuple(axis for axis in range(len(block) - 2) if block[axis] > 1)
    return tuple(axis for axis in range(2, len(block)) if block[axis] > 1)
