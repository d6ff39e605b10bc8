"""How many entries are moved in one call: of what memory allows, what a trial finds fastest."""

__all__ = ["block_size", "most_entries"]

from collections.abc import Callable
from math import ceil, inf

CALL_BYTES = 2**25
"""Of the rows of one call, each with its parameters and, for the function's own temporaries, the size of the constants.
With 101,770 parameters and 64 examples NumPy takes 0.71 to 0.82 ms an entry from 1 to 256 of them in a call, JAX 0.9 up
to 16 (26 MB of parameters) and 2.3 from 32 on."""

COMPILED_BLOCK = 64
"""Entries in a call whose size is not tried, for every size would be compiled anew. In JAX 16, 64 and 256 of them take
15, 12 and 10 µs each with 785 parameters, 87, 119 and 274 with 10,285."""

UNTRIED = 64
"""As many entries, or fewer, are one call: two calls are slower than one, up to 32 entries by 1.6 to 2 times."""

FIRST_TRIAL = 8
"""Entries in the first call of a trial. NumPy is fastest with 16 of 785 (7.7 µs an entry, 11 with 8, 21 with 32: its
temporaries leave the heap), PyTorch with 128 (10 µs, 39 with 8)."""

TRIAL_SHARE = 8
"""A trial ends when it has taken one part of so many of what the rest will take."""

PATIENCE = 2
"""Calls in a row, no faster per entry than the fastest, after which a trial ends: one may have been interrupted."""


def most_entries(row_bytes: int) -> int:
    """Entries that memory allows to be moved in one call, of two rows each; may be 0."""
    return CALL_BYTES // (2 * row_bytes)


def block_size(size: int, row_bytes: int, seconds: Callable[[int], float] | None) -> int:
    """Entries in a block, for `size` of them, spread evenly over the calls; 0 if memory allows not even two in a call.

    `seconds` tells how long a call takes that moves so many entries; None where that must not be tried.
    """
    most = min(size, most_entries(row_bytes))
    if most < min(2, size):
        return 0
    if seconds is None:
        chosen = min(most, COMPILED_BLOCK)
    else:
        chosen = most if size <= UNTRIED else _fastest(size, most, seconds)
    return ceil(size / ceil(size / chosen))


def _fastest(size: int, most: int, seconds: Callable[[int], float]) -> int:
    """Of FIRST_TRIAL and its doubles the one with the least time per entry."""
    length, fastest, least, misses, spent = min(FIRST_TRIAL, most), 1, inf, 0, 0.0
    while length <= most and misses < PATIENCE and spent <= size * least / TRIAL_SHARE:
        taken = seconds(length)
        misses = 0 if taken / length < least else misses + 1
        if misses == 0:
            fastest, least = length, taken / length
        spent += taken
        length *= 2
    return fastest
