"""Masks of attention: which of them, which way round."""

__all__ = ["Mask", "masks"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gradproof.arrays import HostArray


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """What is added to the scores: 0 where a key is seen, −inf where it is not, or any number."""

    words: str
    added: HostArray
    """Broadcasts against (batch, head, query, key)."""
    dead: str = ""
    """What a query that sees no key gets: "nan", "uniform" or "zero"; "" where there is none."""


def masks(inputs: Mapping[str, HostArray], shape: tuple[int, ...], standard: bool) -> Iterator[Mask]:
    """Those that scores of `shape` may have: none, those among the inputs, causal ones; the mistaken ones unless `standard`."""
    plain = [Mask("no mask", np.zeros((1, 1, 1, 1)))]
    queries, keys = shape[-2:]
    i, j = np.arange(queries)[:, None], np.arange(keys)
    causal = [_kept("a causal mask", j <= i)]
    if keys != queries:
        causal.append(_kept("a causal mask aligned to the last position", j <= i + keys - queries))
    odd = [
        _kept("a causal mask without its diagonal (off by one)", j < i),
        _kept("a causal mask that lets one position of the future through (off by one)", j <= i + 1),
        _kept("a causal mask that is transposed (it hides the past)", j >= i),
        _kept("a causal mask that is inverted (only the future is seen)", j > i),
    ]
    given, inverted = _given(inputs, shape)
    both = [
        Mask(f"{one.words} and {other.words}", one.added + other.added) for one in given for other in causal
    ]
    mistaken = () if standard else (*inverted, *odd)
    for mask in (*plain, *given, *causal, *both, *mistaken):
        yield from _with_dead(mask, shape)


def _kept(words: str, keep: HostArray) -> Mask:
    return Mask(words, np.where(keep, 0.0, -np.inf)[None, None])


def _given(inputs: Mapping[str, HostArray], shape: tuple[int, ...]) -> tuple[list[Mask], list[Mask]]:
    straight, inverted = [], []
    for key, value in inputs.items():
        for laid in _laid(np.asarray(value), shape):
            if laid.dtype.kind == "b" or np.isin(laid, (0, 1)).all():
                straight.append(Mask(f"{key} (true is seen)", np.where(laid != 0, 0.0, -np.inf)))
                inverted.append(Mask(f"{key} (true is hidden)", np.where(laid != 0, -np.inf, 0.0)))
                if laid.shape[-1] == laid.shape[-2]:
                    turned = np.swapaxes(laid, -1, -2)
                    inverted.append(
                        Mask(f"{key} transposed (true is seen)", np.where(turned != 0, 0.0, -np.inf))
                    )
            elif laid.dtype.kind == "f":
                straight.append(Mask(f"{key} added", laid.astype(np.float64)))
                inverted.append(Mask(f"{key} subtracted", -laid.astype(np.float64)))
    return straight, inverted


def _laid(value: HostArray, shape: tuple[int, ...]) -> Iterator[HostArray]:
    batch, _, queries, keys = shape
    if value.ndim < 2 or value.shape[-1] != keys:
        return
    if value.ndim <= 4 and value.shape[-2] in (1, queries):
        lead = (1,) * (4 - value.ndim)
        whole = value.reshape(*lead, *value.shape) if value.ndim != 3 else value[:, None]
        if all(one in (1, due) for one, due in zip(whole.shape, shape, strict=True)):
            yield whole
    if value.shape == (batch, keys):
        yield value[:, None, None, :]


def _with_dead(mask: Mask, shape: tuple[int, ...]) -> Iterator[Mask]:
    seen = np.isfinite(mask.added).any(axis=-1)
    if seen.all():
        yield mask
        return
    for dead in ("nan", "uniform", "zero"):
        yield Mask(mask.words, mask.added, dead)
