"""Where blocks are run: here, in processes of this machine, over a map, in an executor, or on a dask cluster.

Every pool takes a function and blocks, and yields (number of the block, its result) as they are finished. Results are put
in order by that number, so they are the same for any number of workers.
"""

__all__ = ["Dask", "Executor", "Mapped", "Pool", "Processes", "Serial", "WorkersLostError"]

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from gradproof.engine.shipping import Shipped, received

RESTARTS = 2
"""Of a pool of processes, one of which was killed, before it is given up."""

CONNECT_SECONDS = 15.0
"""Within which a dask scheduler has to answer."""

ONE_THREAD = {
    f"{library}_NUM_THREADS": "1"
    for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMEXPR")
}
"""Environment of every process started here: as many BLAS threads as cores in as many processes fight one another."""

Done = tuple[int, Any]


class WorkersLostError(RuntimeError):
    """Workers, or what leads them, went away before all was done. `known` holds what was known by then."""

    known: Any = None


class Pool(Protocol):
    """Somewhere to run blocks."""

    def run(self, work: Shipped, blocks: Sequence[Any]) -> Iterator[Done]:
        """(number of the block, its result), as they are finished."""

    def close(self) -> None:
        """Stop what was started here."""


class Serial:
    """In this process, one after the other."""

    def run(self, work: Shipped, blocks: Sequence[Any]) -> Iterator[Done]:
        """(number of the block, its result)."""
        for number, block in enumerate(blocks):
            yield number, work(block)

    def close(self) -> None:
        """Nothing was started."""


class Mapped:
    """Over a map-like callable, as in SciPy: `mapped(function, iterable)` gives the results in order."""

    def __init__(self, mapped: Callable[..., Any]) -> None:
        self._mapped = mapped

    def run(self, work: Shipped, blocks: Sequence[Any]) -> Iterator[Done]:
        """(number of the block, its result)."""
        yield from enumerate(self._mapped(work, blocks))

    def close(self) -> None:
        """It is the caller's."""


class Executor:
    """In an object with `submit(function, *args)` that returns futures: concurrent.futures, dask's `get_executor()`."""

    def __init__(self, executor: Any) -> None:
        self._executor = executor

    def run(self, work: Shipped, blocks: Sequence[Any]) -> Iterator[Done]:
        """(number of the block, its result)."""
        futures = {self._executor.submit(work, block): i for i, block in enumerate(blocks)}
        try:
            yield from _gathered(futures)
        finally:
            if isinstance(self._executor, ThreadPoolExecutor):
                wait(futures)  # what has begun may hold a switch of this process

    def close(self) -> None:
        """It is the caller's."""


class Processes:
    """In `count` processes of this machine, by loky: never forked, so what JAX and torch started here does no harm.

    A process that is killed takes its pool along; a new one goes on with the blocks that are left.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._executor: Any = None
        self._folder = ExitStack()
        self._path: Path | None = None

    def run(self, work: Shipped, blocks: Sequence[Any]) -> Iterator[Done]:
        """(number of the block, its result). Raises WorkersLostError if processes are killed again and again."""
        spooled = partial(_spooled, work.digest, self._spool(work))
        left = dict(enumerate(blocks))
        for _ in range(RESTARTS + 1):
            try:
                futures = {self._started().submit(spooled, block): i for i, block in left.items()}
                for future in as_completed(futures):
                    yield futures[future], future.result()
                    del left[futures[future]]
                return
            except BrokenProcessPool:
                self._stop()
            except BaseException:
                self._stop()  # nobody waits for the rest
                raise
        raise WorkersLostError(
            f"worker processes were killed {RESTARTS + 1} times, with {len(left)} of {len(blocks)} blocks left: they "
            "may need more memory than there is. Pass fewer workers"
        )

    def close(self) -> None:
        """Stop the processes."""
        self._stop()
        self._folder.close()

    def _started(self) -> Any:
        if self._executor is None:
            from loky import ProcessPoolExecutor  # noqa: PLC0415 -- of an extra

            self._executor = ProcessPoolExecutor(self._count, env={**ONE_THREAD, **_threads_chosen()})
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


class Dask:
    """On a dask cluster: "dask://host:port" is its scheduler. The function goes to every worker once.

    A worker that is killed is made up for by the others; without a scheduler nothing can go on.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Any = None
        self._sent: tuple[str, Any] = ("", None)

    def run(self, work: Shipped, blocks: Sequence[Any]) -> Iterator[Done]:
        """(number of the block, its result). Raises WorkersLostError if the scheduler goes away."""
        client = self._connected()
        executor = client.get_executor(pure=False)
        try:
            sent = self._scattered(client, work)
            futures = {executor.submit(_called, sent, block): i for i, block in enumerate(blocks)}
            yield from _gathered(futures)
        except (CancelledError, OSError) as error:
            raise WorkersLostError(
                f"the dask scheduler at {self._address} went away, or cancelled the work: {error!r}"
            ) from error

    def close(self) -> None:
        """Leave the cluster; it goes on."""
        if self._client is not None:
            with suppress(Exception):
                self._client.close(timeout=2)
            self._client = None

    def _connected(self) -> Any:
        if self._client is None:
            import distributed  # noqa: PLC0415 -- of an extra

            client: Any = distributed.Client
            try:
                self._client = client(f"tcp://{self._address}", timeout=CONNECT_SECONDS, set_as_default=False)
            except OSError as error:
                raise ConnectionError(
                    f"no dask scheduler answers at {self._address} within {CONNECT_SECONDS:g} s ({error}): start one "
                    "with `dask scheduler`, or pass another address"
                ) from error
        return self._client

    def _scattered(self, client: Any, work: Shipped) -> Any:
        if self._sent[0] != work.digest:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            self._sent = (work.digest, client.scatter(work, broadcast=True, hash=False))
        return self._sent[1]


def _gathered(futures: dict[Any, int]) -> Iterator[Done]:
    """Results as they come; what has not begun is cancelled if one of them raises, or nobody waits any longer."""
    ours = all(isinstance(future, Future) for future in futures)
    try:
        for future in as_completed(futures) if ours else futures:
            yield futures[future], future.result()
    finally:
        for future in futures:
            if hasattr(future, "cancel"):
                future.cancel()


def _spooled(digest: str, path: str, block: Any) -> Any:
    return received(digest, Path(path).read_bytes)(block)


def _called(work: Shipped, block: Any) -> Any:
    return work(block)


def _threads_chosen() -> dict[str, str]:
    """What the caller's environment says of threads stays as it is."""
    return {name: os.environ[name] for name in ONE_THREAD if name in os.environ}
