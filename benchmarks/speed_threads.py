"""Wall time of a check with the threads of BLAS that the environment of this process asks for.

    OMP_NUM_THREADS=1 python benchmarks/speed_threads.py ROUNDS CASES      # prints JSON: seconds of every round, by size

`speed.py` runs it by turns with one thread and with as many as BLAS takes by itself.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

ONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def threads(rounds: int, cases: int, turns: int) -> list[dict[str, float]]:
    """Median seconds of a check with one thread and with BLAS's default, a row for each number of parameters."""
    bare = {name: value for name, value in os.environ.items() if name not in ONE}
    times: dict[str, dict[str, list[float]]] = {}
    for _ in range(turns):
        for name, environment in (("one", {**bare, **ONE}), ("default", bare)):
            done = subprocess.run(
                [sys.executable, __file__, str(rounds), str(cases)],
                env=environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
            for size, seconds in json.loads(done.stdout).items():
                times.setdefault(size, {}).setdefault(name, []).extend(seconds)
    return [
        {"parameters": int(size), **{name: statistics.median(all_) for name, all_ in own.items()}}
        for size, own in times.items()
    ]


def _timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Time every case, print JSON."""
    from speed_ground import CASES, Ground

    rounds, cases = map(int, sys.argv[1:])
    record = {}
    for case in CASES[:cases]:
        ground = Ground(*case)
        ground.check()
        record[str(ground.size)] = [_timed(ground.check) for _ in range(rounds)]
    print(json.dumps(record))


if __name__ == "__main__":
    main()
