"""Blocks on a dask cluster."""

__all__ = ["Dask", "WorkersLostError"]

import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from typing import Any

from gradproof.engine.gathering import AHEAD, Crashed, Done, enduring, tracked
from gradproof.engine.shipping import Shipped

CONNECT_SECONDS = 15.0
"""Within which a dask scheduler has to answer."""


class WorkersLostError(RuntimeError):
    """Workers, or what leads them, went away before all was done. `known` holds what was known by then."""

    known: Any = None


class Dask:
    """On a dask cluster: "dask://host:port" is its scheduler, or a Client of it. The function goes to every worker once.

    A worker that is killed is made up for by the others; without a scheduler nothing can go on.
    """

    def __init__(self, address: str, client: Any = None) -> None:
        self._address = address
        self._client = client
        self._owned = client is None
        self._sent: tuple[str, Any] = ("", None)

    def run(self, work: Shipped, blocks: Sequence[Any], seconds: float) -> Iterator[Done]:
        """(number of the block, its result or Crashed). Raises WorkersLostError if the scheduler goes away."""
        self._connected()
        yield from enduring(blocks, partial(self._together, work), partial(self._alone, work), self._broken)

    def _together(self, work: Shipped, left: Mapping[int, Any], under_way: set[int]) -> Iterator[Done]:
        client = self._connected()
        submit = partial(client.get_executor(pure=False).submit, _called, self._scattered(client, work))
        ahead = AHEAD * max(1, sum(client.nthreads().values()))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            yield from tracked(submit, left, under_way, ahead)

    def _broken(self, error: BaseException) -> bool:
        """Whether workers broke; raises WorkersLostError if it was the scheduler."""
        if not isinstance(error, (CancelledError, OSError)):
            return False
        self._admit_alive(error)
        return True

    def _alone(self, work: Shipped, block: Any) -> Any:
        """Its result, with no other on the way: the workers that held the function may be gone, so it is sent anew."""
        self._sent = ("", None)
        try:
            return dict(self._together(work, {0: block}, set()))[0]
        except (CancelledError, OSError) as error:
            self._admit_alive(error)
            self._sent = ("", None)
            return Crashed(f"it took every worker along that tried it ({error!r})")

    def _admit_alive(self, error: BaseException) -> None:
        """Raise WorkersLostError unless the scheduler still answers."""
        try:
            self._client.scheduler_info()
            self._client.run_on_scheduler(_nothing)
        except Exception:
            raise WorkersLostError(
                f"the dask scheduler at {self._address} went away, or cancelled the work: {error!r}"
            ) from error

    def close(self) -> None:
        """Leave the cluster; it goes on."""
        if self._client is not None and self._owned:
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
        if self._sent[0] == work.digest:
            return self._sent[1]
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise WorkersLostError(
                f"the dask scheduler at {self._address} has no workers: start some with `dask worker {self._address}`"
            ) from error
        try:
            self._sent = (work.digest, client.scatter(work, broadcast=True, hash=False))
        except (CancelledError, OSError):
            raise
        except Exception as error:
            raise RuntimeError(
                f"dask's workers cannot read the function: {error}. They need the same packages as this process"
            ) from error
        return self._sent[1]


def _nothing() -> None:
    """What a scheduler that is alive can do."""


def _called(work: Shipped, block: Any) -> Any:
    return work(block)
