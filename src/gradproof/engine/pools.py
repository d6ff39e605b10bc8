"""Where blocks are run: here, in processes of this machine, over a map, or in an executor.

Every pool takes a function and blocks, and yields (number of the block, its result) as they are finished. Results are put
in order by that number, so they are the same for any number of workers. A few blocks are on their way at a time: what is
killed costs no more than those.
"""

__all__ = ["Executor", "Mapped", "Pool", "Processes", "Serial"]

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from gradproof.engine.gathering import AHEAD, Crashed, Done, enduring, gathered, tracked
from gradproof.engine.shipping import Shipped, Work, received

ONE_THREAD = {
    f"{library}_NUM_THREADS": "1"
    for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMEXPR")
}
"""Environment of every process started here: as many BLAS threads as cores in as many processes fight one another."""

IDLE_SECONDS = 10
"""After which a process that has nothing to do ends, also when whoever started it is gone."""

PROCESS_SECONDS = 1.0
"""Of work for every process that is started: starting one takes about half of that."""

MANY = 64
"""Workers that an executor is taken to have if it does not tell."""


class Pool(Protocol):
    """Somewhere to run blocks."""

    def run(self, work: Shipped, blocks: Sequence[Any], seconds: float) -> Iterator[Done]:
        """(number of the block, its result or Crashed), as they are finished; all take about so many `seconds`."""

    def close(self) -> None:
        """Stop what was started here."""


class Serial:
    """In this process, one after the other."""

    def run(self, work: Shipped, blocks: Sequence[Any], seconds: float) -> Iterator[Done]:
        """(number of the block, its result)."""
        for number, block in enumerate(blocks):
            yield number, work(block)

    def close(self) -> None:
        """Nothing was started."""


class Mapped:
    """Over a map-like callable, as in SciPy: `mapped(function, iterable)` gives the results in order."""

    def __init__(self, mapped: Callable[..., Any]) -> None:
        self._mapped = mapped

    def run(self, work: Shipped, blocks: Sequence[Any], seconds: float) -> Iterator[Done]:
        """(number of the block, its result)."""
        yield from enumerate(self._mapped(work, blocks))

    def close(self) -> None:
        """It is the caller's."""


class Executor:
    """In an object with `submit(function, *args)` that returns futures: concurrent.futures, dask's `get_executor()`."""

    def __init__(self, executor: Any) -> None:
        self._executor = executor

    def run(self, work: Shipped, blocks: Sequence[Any], seconds: float) -> Iterator[Done]:
        """(number of the block, its result)."""
        count = getattr(self._executor, "_max_workers", MANY)
        threads = isinstance(self._executor, ThreadPoolExecutor)
        return gathered(partial(self._executor.submit, work), blocks, AHEAD * count, to_the_end=threads)

    def close(self) -> None:
        """It is the caller's."""


class Processes:
    """In `count` processes of this machine, by loky: never forked, so what JAX and torch started here does no harm.

    A process that is killed takes its pool along. The blocks that were on their way are then run one at a time, so that it
    is known which of them it was; the rest goes on in a new pool.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._executor: Any = None
        self._folder = ExitStack()
        self._path: Path | None = None

    def run(self, work: Shipped, blocks: Sequence[Any], seconds: float) -> Iterator[Done]:
        """(number of the block, its result or Crashed)."""
        spooled = partial(_spooled, work.digest, self._spool(work))
        count = max(2, round(min(seconds / PROCESS_SECONDS, self._count)))

        def together(left: dict[int, Any], under_way: set[int]) -> Iterator[Done]:
            submit = partial(self._started(count).submit, spooled)
            return tracked(submit, left, under_way, AHEAD * count, cancel=False)

        try:
            yield from enduring(
                blocks, together, partial(self._alone, spooled), lambda e: isinstance(e, BrokenProcessPool)
            )
        except BaseException:
            self._stop()  # nobody waits for the rest
            raise

    def _alone(self, spooled: Work, block: Any) -> Any:
        """Its result, with no other on the way."""
        self._stop()
        try:
            return self._started(1).submit(spooled, block).result()
        except BrokenProcessPool as error:
            return Crashed(f"it took its process along ({str(error).splitlines()[0]})")
        finally:
            self._stop()  # the others go on in as many as before

    def close(self) -> None:
        """Stop the processes."""
        self._stop()
        self._folder.close()

    def _started(self, count: int) -> Any:
        if self._executor is None:
            from loky import ProcessPoolExecutor  # noqa: PLC0415 -- of an extra

            environment = {**ONE_THREAD, **_threads_chosen()}
            self._executor = ProcessPoolExecutor(count, timeout=IDLE_SECONDS, env=environment)
        return self._executor

    def _stop(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = None

    def _spool(self, work: Shipped) -> str:
        """File that holds the function: its parameters go to every process once, not with every block."""
        if self._path is None:
            folder = self._folder.enter_context(tempfile.TemporaryDirectory(prefix="gradproof-"))
            self._path = Path(folder)
        file = self._path / work.digest
        if not file.exists():
            file.write_bytes(work.data)
        return str(file)


def _spooled(digest: str, path: str, block: Any) -> Any:
    return received(digest, Path(path).read_bytes)(block)


def _threads_chosen() -> dict[str, str]:
    """What the caller's environment says of threads stays as it is."""
    return {name: os.environ[name] for name in ONE_THREAD if name in os.environ}
