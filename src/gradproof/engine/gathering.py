"""Futures of blocks: so many on the way at a time, their results as they come."""

__all__ = ["AHEAD", "Crashed", "Done", "enduring", "gathered", "tracked"]

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


def enduring(
    blocks: Sequence[Any], together: Callable[[dict[int, Any], set[int]], Iterator[Done]],
    alone: Callable[[Any], Any], broken: Callable[[BaseException], bool],
) -> Iterator[Done]:  # fmt: skip
    """Results of all blocks, whatever a crash takes along: those on the way then are run `alone`, the rest goes on `together`.

    `together` gives results of the blocks that are left, by number, and keeps in a set which are on the way (`tracked`).
    What is not `broken` is raised, and so is what breaks with nothing on the way: going on would not help.
    """
    left = dict(enumerate(blocks))
    while left:
        under_way: set[int] = set()
        try:
            for number, result in together(left, under_way):
                del left[number]
                yield number, result
        except Exception as error:
            if not broken(error) or not under_way:
                raise
            for number in sorted(under_way):
                yield number, alone(left.pop(number))


def tracked(
    submit: Callable[[Any], Any],
    left: Mapping[int, Any],
    under_way: set[int],
    ahead: int,
    *,
    cancel: bool = True,
) -> Iterator[Done]:
    """Results of those that are left, by number; the numbers of those on the way are in `under_way`."""
    numbers = list(left)

    def submitted(number: int) -> Any:
        under_way.add(number)
        return submit(left[number])

    for position, result in gathered(submitted, numbers, ahead, cancel=cancel):
        under_way.remove(numbers[position])
        yield numbers[position], result


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
