"""What an engine costs: to start, to hand over a block, and how much of its workers' time items get."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gradproof.engine import Shipped, Workers, block_size
from scaling_model import middle, per_byte

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from clusters import cluster

Row = dict[str, Any]
Work = Callable[[Any], Any]

WORKERS = 2
ALWAYS = 1e9
"""Seconds of work, as they are announced: no engine is passed over."""

SHORT, LONG = (4_000, 30e-6), (200, 20e-3)
"""Number of items, and seconds that one takes: of work, and of sleep, which needs no core."""

BLOCK_BYTES = 2_000_000


def nothing(block: Any) -> int:
    """An empty block."""
    return len(block)


def worked(loops: int, block: Sequence[int]) -> int:
    """A few additions for every item."""
    for _ in block:
        sum(range(loops))
    return len(block)


def slept(seconds: float, block: Sequence[int]) -> int:
    """A nap for every item."""
    for _ in block:
        time.sleep(seconds)
    return len(block)


def loops_for(seconds: float) -> int:
    """So many additions take about so long on this machine."""
    start = time.process_time()
    worked(1000, range(2000))
    return max(1, round(1000 * seconds * 2000 / (time.process_time() - start)))


def wall(crew: Workers, work: Work, blocks: Sequence[Any]) -> float:
    """Seconds until all blocks are done."""
    start = time.perf_counter()
    done = len(list(crew.run(Shipped(work, {"work": work}), blocks, ALWAYS)))
    if done != len(blocks):
        raise RuntimeError(f"{done} of {len(blocks)} blocks came back")
    return time.perf_counter() - start


def engines(rounds: int) -> Iterator[Row]:
    """Every engine with two workers."""
    yield from (measured(name, partial(_one_of, name), rounds) for name in ("serial", "threads", "processes"))
    start = time.perf_counter()
    with cluster(WORKERS) as dask:
        seconds = time.perf_counter() - start
        for name in ("dask://", "dask executor"):
            yield measured(name, partial(_on, dask, name), rounds) | {"cluster": seconds}


@contextmanager
def _one_of(name: str) -> Iterator[Any]:
    with ExitStack() as stack:
        yield {
            "serial": lambda: None,
            "processes": lambda: WORKERS,
            "threads": lambda: stack.enter_context(ThreadPoolExecutor(WORKERS)),
        }[name]()


@contextmanager
def _on(dask: Any, name: str) -> Iterator[Any]:
    if name == "dask://":
        yield dask.address
        return
    from distributed import Client

    with Client(dask.address.replace("dask", "tcp"), set_as_default=False) as client:
        yield client.get_executor(pure=False)


def measured(name: str, opened: Callable[[], Any], rounds: int) -> Row:
    """One engine: seconds to start (median of anew), to hand over a block, a byte of one, and shares of ideal speed."""
    starts = [_start(opened) for _ in range(rounds)]
    with opened() as given, Workers(given) as crew:
        wall(crew, nothing, [()] * WORKERS)
        empty = middle([wall(crew, nothing, [()] * 300) / 300 for _ in range(rounds)])
        few, full = (
            middle([wall(crew, nothing, [block] * 20) / 20 for _ in range(rounds)])
            for block in ((), _bytes())
        )
        byte = per_byte(few, full, BLOCK_BYTES)
        row = {"engine": name, "start": middle(starts), "block": empty, "byte": byte}
        return row | _items(crew, rounds)


def _start(opened: Callable[[], Any]) -> float:
    start = time.perf_counter()
    with opened() as given, Workers(given) as crew:
        wall(crew, nothing, [()] * WORKERS)
        return time.perf_counter() - start


def _bytes() -> np.ndarray:
    """Codes of a probe, as a step of a check of a million parameters holds them."""
    return np.random.default_rng(0).integers(-512, 512, BLOCK_BYTES // 2).astype(np.int16)


def _items(crew: Workers, rounds: int) -> Row:
    """Times of the two kinds of items over those in series, item by item and in blocks."""
    (many, short), (few, long) = SHORT, LONG
    kinds = {
        "short": (partial(worked, loops_for(short)), many, short),
        "long": (partial(slept, long), few, long),
    }
    return {
        f"{kind} {way}": _over_series(crew, work, blocks, rounds)
        for kind, (work, count, each) in kinds.items()
        for way, blocks in (
            ("singly", [(i,) for i in range(count)]),
            ("in blocks", in_blocks(count, block_size(each, count))),
        )
    }


def in_blocks(count: int, size: int) -> list[range]:
    """The numbers below `count`, `size` at a time."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def _over_series(crew: Workers, work: Work, blocks: Sequence[Any], rounds: int) -> float:
    """Time over that in this process without any engine, in turn; fewer rounds where they take five seconds."""
    ratios, taken = [], 0.0
    while len(ratios) < 3 * rounds and taken < 5:
        start = time.perf_counter()
        for block in blocks:
            work(block)
        alone = time.perf_counter() - start
        ratios.append(wall(crew, work, blocks) / alone)
        taken += time.perf_counter() - start
    return middle(ratios)


def cores() -> int:
    """Of this machine."""
    return os.cpu_count() or 1
