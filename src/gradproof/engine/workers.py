"""The argument `workers`: what may be given, and when it is worth using."""

__all__ = ["WORTH_SECONDS", "Workers", "block_size"]

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from numbers import Integral
from types import TracebackType
from typing import Any, Self

from gradproof.engine.cluster import Dask
from gradproof.engine.gathering import Done
from gradproof.engine.pools import Executor, Mapped, Pool, Processes, Serial
from gradproof.engine.shipping import Shipped

WORTH_SECONDS = 2.0
"""Work of less is done here: two processes take about half a second to start, and 2 s each to import JAX or torch."""

BLOCK_SECONDS = 0.1
"""Of work in one block. A block costs 0.3 ms to hand over to a process and 3 ms to a dask cluster (`docs/scaling.md`)."""

DASK = "dask://"


class Workers:
    """Runs blocks wherever `workers` says; a context, that stops whatever was started inside.

    `workers` is None (one after the other, here), a number of processes (-1: one per core), a map-like callable, an
    object with `submit`, a dask Client, or "dask://host:port".

    Raises ValueError or TypeError for anything else, ModuleNotFoundError where what it needs is not installed.
    """

    def __init__(self, workers: Any = None) -> None:
        self._pool = _pool(workers)
        self.serial = isinstance(self._pool, Serial)
        """Whether there is nobody else to do it."""

    def run(self, work: Shipped, blocks: Sequence[Any], seconds: float) -> Iterator[Done]:
        """(number of the block, its result), as they are finished; here if all takes few `seconds`."""
        pool = self._pool if seconds >= WORTH_SECONDS and len(blocks) > 1 else Serial()
        yield from pool.run(work, blocks, seconds)

    def close(self) -> None:
        """Stop what was started here."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def block_size(each: float, count: int) -> int:
    """How many of `count` items that take `each` seconds make a block."""
    return max(1, min(count, round(BLOCK_SECONDS / max(each, 1e-9))))


def _pool(workers: Any) -> Pool:
    if workers is None:
        return Serial()
    if isinstance(workers, str):
        return _named(workers)
    if isinstance(workers, Integral):
        return _processes(workers)
    if hasattr(
        workers, "get_executor"
    ):  # a dask Client: what its own submit returns is no future of the standard
        return Dask(str(getattr(getattr(workers, "scheduler", None), "address", "?")), workers)
    if hasattr(workers, "submit"):
        return Executor(workers)
    if callable(workers):
        return Mapped(workers)
    raise TypeError(f"workers is a {type(workers).__name__}; {_DUE}")


def _named(address: str) -> Pool:
    host = address.removeprefix(DASK)
    if not address.startswith(DASK) or not host.rpartition(":")[2].isdigit():
        raise ValueError(f"workers is {address!r}; {_DUE}")
    _needs("distributed", "dask", address)
    return Dask(host)


def _processes(count: Any) -> Pool:
    if isinstance(count, bool) or count == 0 or count < -1:
        raise ValueError(f"workers is {count!r}; {_DUE}")
    if count == 1:
        return Serial()
    _needs("loky", "parallel", count)
    return Processes(int(count) if count > 0 else _cores())


def _cores() -> int:
    """That this process may use, a container's limit included."""
    from loky import cpu_count  # noqa: PLC0415 -- of an extra

    return int(cpu_count())


def _needs(package: str, extra: str, given: Any) -> None:
    if find_spec(package) is None:
        raise ModuleNotFoundError(f"workers={given!r} needs {package}: pip install 'gradproof[{extra}]'")


_DUE = (
    "due: None, a number of processes (-1 for one per core), a map-like callable, an object with submit (an executor), "
    'a dask Client, or "dask://host:port"'
)
