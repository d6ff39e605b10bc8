"""A dask cluster of separate processes, for as long as a test takes."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager


class Cluster:
    """A scheduler and workers, each a process that can be killed."""

    def __init__(self, workers):
        self.port = _free_port()
        self.address = f"dask://127.0.0.1:{self.port}"
        self.scheduler = _started("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-show")
        at = f"tcp://127.0.0.1:{self.port}"
        self.workers = [_started("worker", at, "--nthreads", "1", "--no-nanny") for _ in range(workers)]

    def wait(self):
        """Until all workers are there."""
        from distributed import Client

        with Client(f"tcp://127.0.0.1:{self.port}", timeout=60, set_as_default=False) as client:
            if self.workers:
                client.wait_for_workers(len(self.workers), timeout=60)

    def close(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@contextmanager
def cluster(workers=2):
    made = Cluster(workers)
    try:
        made.wait()
        yield made
    finally:
        made.close()


def wait_until(true, seconds=30.0):
    """Until `true()` is."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def _started(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *words, "--no-dashboard"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
