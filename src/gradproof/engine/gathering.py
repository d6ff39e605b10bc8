"""Futures of blocks: so many on the way at a time, their results as they come."""

__all__ = ["AHEAD", "Crashed", "Done", "gathered"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from typing import Any, NamedTuple

AHEAD = 4
"""Blocks on their way for every worker."""

Done = tuple[int, Any]
"""Number of a block, and its result."""


class Crashed(NamedTuple):
    """In place of a block's result: it took its process along."""

    why: str


def gathered(
    submit: Callable[[Any], Any], blocks: Sequence[Any], ahead: int, *, cancel: bool = True,
    to_the_end: bool = False,
) -> Iterator[Done]:  # fmt: skip
    """Results as they come, with no more than so many blocks on the way, `ahead` of what is finished.

    If one of them raises, or nobody waits any longer, what has not begun is cancelled, if that is to be done; what has
    is waited for where it goes `to_the_end`: it may hold a switch of this process.
    """
    coming = iter(enumerate(blocks))
    futures = {submit(block): number for number, block in islice(coming, ahead)}
    try:
        while futures:
            for future in _finished(futures):
                number = futures.pop(future)
                yield number, _result(future)
                futures |= {submit(block): number for number, block in islice(coming, 1)}
    finally:
        for future in futures if cancel else ():
            if hasattr(future, "cancel"):
                future.cancel()
        if to_the_end:
            wait(futures)


def _finished(futures: Mapping[Any, int]) -> list[Any]:
    """Those that are finished, one at least; of an unknown kind, that was submitted first."""
    if all(isinstance(future, Future) for future in futures):
        return sorted(wait(futures, return_when=FIRST_COMPLETED).done, key=futures.__getitem__)
    return [next(iter(futures))]


def _result(future: Any) -> Any:
    try:
        return future.result()
    except Exception as error:
        if type(error).__name__ == "KilledWorker":  # dask's: the block killed every worker that tried it
            return Crashed(str(error).splitlines()[0])
        raise
