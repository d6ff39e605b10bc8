"""Progress: counted wherever evaluations happen, told on request, out of the way of what captures output."""

import subprocess
import sys
import time

import numpy as np
import pytest

from gradproof import Network, check, check_problem, prove, sweep
from gradproof.bench import bench
from gradproof.engine import workers as workers_module
from gradproof.problems import PROBLEMS
from gradproof.progress import Meter, Progress
from gradproof.progress import meter as meter_module

NETWORK = Network((3, 5, 3))
X = np.random.default_rng(0).standard_normal((5, 3))
Y = np.eye(3)[[0, 1, 2, 0, 1]]
ASKED = {"args": (X, Y, 1.0), "grad": NETWORK.gradient, "sources": ("numeric", "hand")}


@pytest.fixture(autouse=True)
def every_one(monkeypatch):
    """Listeners are told of every single evaluation."""
    monkeypatch.setattr(meter_module, "BETWEEN", 0.0)


@pytest.mark.parametrize("workers", [None, 2, map])
def test_a_listener_hears_of_every_evaluation_along_a_line(monkeypatch, workers):
    monkeypatch.setattr(workers_module, "WORTH_SECONDS", 0.0)
    heard = []
    report = check(NETWORK.loss, NETWORK.init(seed=1), progress=heard.append, workers=workers, **ASKED)
    done = [p.done for p in heard]
    assert done[:-1] == list(range(1, len(done)))
    assert done[-1] == done[-2]  # once more at the end
    assert report.sources["numeric"].calls - 8 <= done[-1] <= report.sources["numeric"].calls
    assert {(p.label, p.unit) for p in heard} == {("check", "evaluations")}


def test_what_a_listener_raises_ends_the_check():
    class StopItError(Exception):
        pass

    def stop(progress):
        if progress.done == 20:
            raise StopItError

    calls = []

    def fun(params, x, y, lam):
        calls.append(0)
        return NETWORK.loss(params, x, y, lam)

    with pytest.raises(StopItError):
        check(fun, NETWORK.init(seed=1), progress=stop, **ASKED)
    assert len(calls) < 30


def test_what_remains_is_told_while_it_is_known():
    assert Progress("x", 20, 100, "evaluations", 2.0).remaining == pytest.approx(8.0)
    assert Progress("x", 0, 100, "evaluations", 2.0).remaining is None
    meter = Meter("x", 2)
    meter.add(3)
    assert (meter.progress.done, meter.progress.expected, meter.progress.remaining) == (3, None, None)


def test_a_listener_is_not_told_more_often_than_it_can_show(monkeypatch):
    monkeypatch.setattr(meter_module, "BETWEEN", 60.0)
    heard = []
    with Meter("x", 100, heard.append) as meter:
        for _ in range(100):
            meter.add()
    assert [p.done for p in heard] == [1, 100]


def test_a_proof_a_bench_and_a_sweep_are_counted_too():
    heard = []
    problem = PROBLEMS[0]
    prove(
        problem.fun,
        problem.params,
        args=problem.args,
        faults=["sign"],
        progress=heard.append,
        **problem.claims(),
    )
    assert heard[-1].done > 50
    bench(problem, sources=["hand"], dtypes=["float64"], progress=heard.append)
    assert (heard[-1].done, heard[-1].expected, heard[-1].unit) == (9, 9, "rounds")
    sweep(PROBLEMS[:3], progress=heard.append, sources=("numeric", "hand"))
    assert heard[-1].done == 3


@pytest.mark.parametrize("progress", ["yes", 1.5, [1]])
def test_what_cannot_be_told_is_refused(progress):
    with pytest.raises(TypeError, match=r"progress is a .*; due: True for a bar, or a callable"):
        check_problem(PROBLEMS[0], progress=progress)


def test_no_bar_where_nobody_watches(capfd):
    """Standard error is captured by pytest here, and no terminal: nothing is written to it."""
    check(lambda x: time.sleep(0.03) or (x * x).sum(), np.ones(3), grad=lambda x: 2 * x,
          sources=("numeric", "hand"), progress=True)  # fmt: skip
    assert capfd.readouterr() == ("", "")


def test_a_bar_where_somebody_does():
    """On a terminal of its own, and standard output stays clean."""
    pytest.importorskip("pty")
    import os
    import pty

    code = (
        "import time, numpy as np; from gradproof import check\n"
        "r = check(lambda x: time.sleep(0.05) or (x * x).sum(), np.ones(3), grad=lambda x: 2 * x,\n"
        "          sources=('numeric', 'hand'), progress=True)\n"
        "print(r.verdict.value)"
    )
    here, there = pty.openpty()
    done = subprocess.run([sys.executable, "-c", code], stderr=there, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "TERM": "xterm", "COLUMNS": "80"}, check=True)  # fmt: skip
    os.close(there)
    shown = b""
    while True:
        try:
            part = os.read(here, 4096)
        except OSError:
            break
        shown += part
        if not part:
            break
    assert done.stdout == "AGREES\n"
    assert b"evaluations" in shown
    assert b"left" in shown
