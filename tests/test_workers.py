"""Workers: the same bits for any number of them, what is sent and what cannot be, and who is killed on the way."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from clusters import cluster, wait_until
from gradproof import Network, Verdict, check, numeric
from gradproof.engine import (
    WORTH_SECONDS,
    Crashed,
    Shipped,
    UnpicklableError,
    Workers,
    WorkersLostError,
    block_size,
    pools,
)
from gradproof.engine import cluster as cluster_module
from gradproof.engine import workers as workers_module

NETWORK = Network((3, 5, 3))
PARAMS = NETWORK.init(seed=1)
X = np.random.default_rng(0).standard_normal((5, 3))
Y = np.eye(3)[[0, 1, 2, 0, 1]]
ASKED = {"args": (X, Y, 1.0), "sources": ("numeric", "hand")}

LONG = 3.0
"""Seconds of work, as it is announced: enough for an engine to be started."""


def slow(params, x, y, lam, seconds=0.002):
    time.sleep(seconds)
    return NETWORK.loss(params, x, y, lam)


def wrong(params, x, y, lam):
    gradient = NETWORK.gradient(params, x, y, lam)
    gradient[0].weight[2, 1] *= 1.01
    return gradient


def said(report):
    """All that must be the same, whoever evaluated."""
    return (
        report.verdict,
        report.findings,
        report.locations,
        report.diagnoses,
        report.sources["numeric"].calls,
    )


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """An engine is worth starting for work of a tenth of a second, so that tests need not sleep for two."""
    monkeypatch.setattr(workers_module, "WORTH_SECONDS", 0.1)


@pytest.fixture(scope="module")
def serial():
    return {claim: said(check(slow, PARAMS, grad=claim, **ASKED)) for claim in (NETWORK.gradient, wrong)}


@pytest.fixture
def started(monkeypatch):
    """Pools whose `run` was called."""
    seen = []
    for name in ("Processes", "Mapped", "Executor", "Serial"):
        pool = getattr(pools, name)
        run = pool.run

        def noted(self, work, blocks, seconds, run=run, name=name):
            seen.append((name, len(blocks)))
            return run(self, work, blocks, seconds)

        monkeypatch.setattr(pool, "run", noted)
    return seen


# The same bits


@pytest.mark.parametrize("claim", [NETWORK.gradient, wrong])
@pytest.mark.parametrize("workers", [2, 3, map, "threads"])
def test_a_check_comes_to_the_same_bits_for_any_workers(serial, started, claim, workers):
    with ThreadPoolExecutor(2) as threads:
        report = check(
            slow, PARAMS, grad=claim, workers=threads if workers == "threads" else workers, **ASKED
        )
    assert said(report) == serial[claim]
    kind = {2: "Processes", 3: "Processes", map: "Mapped", "threads": "Executor"}[workers]
    assert {name for name, _ in started} - {"Serial"} == {kind}
    assert {(kind, 14), (kind, 12)} <= set(started)  # a whole ladder's first levels; two short ladders


def test_functions_of_arrays_too():
    def fun(x):
        time.sleep(0.002)
        return np.sin(x) * np.array([1.0, 2.0, 3.0])

    def vjp(cotangent, x):
        return cotangent * np.cos(x) * np.array([1.0, 2.0, 3.0])

    x = np.array([0.3, 0.4, 0.5])
    reports = [
        check(fun, x, vjp=vjp, sources=("numeric", "hand"), workers=workers) for workers in (None, map, 2)
    ]
    assert reports[0].verdict is Verdict.AGREES
    assert said(reports[0]) == said(reports[1]) == said(reports[2])


def test_a_function_that_raises_away_from_the_point_comes_to_the_same():
    def root(x):
        time.sleep(0.002)
        if x.min() < 0.5:
            raise ValueError("below a half")
        return np.sqrt(x).sum()

    x = np.array([0.7, 0.8])
    asked = {"grad": lambda x: 0.5 / np.sqrt(x), "sources": ("numeric", "hand")}
    assert said(check(root, x, **asked)) == said(check(root, x, workers=2, **asked))


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_frameworks_come_to_the_same_in_processes_of_their_own(framework):
    """JAX and torch have been used here already: a forked child of this process would hang."""
    if framework == "torch":
        x = torch.tensor([0.5, 1.5, 2.5])
        torch.sin(x.clone().requires_grad_()).sum().backward()

        def fun(x):
            time.sleep(0.002)
            return (x.sin() * x).sum()
    else:
        jnp = pytest.importorskip("jax.numpy")
        x = jnp.array([0.5, 1.5, 2.5])

        def fun(x):
            time.sleep(0.002)
            return (jnp.sin(x) * x).sum()

    asked = {"sources": ("numeric", framework)}
    report = check(fun, x, workers=2, **asked)
    assert report.verdict is Verdict.AGREES
    assert said(report) == said(check(fun, x, **asked))


def test_no_engine_is_started_for_work_of_less_than_two_seconds(started, monkeypatch):
    monkeypatch.setattr(workers_module, "WORTH_SECONDS", WORTH_SECONDS)
    assert WORTH_SECONDS == 2.0
    check(NETWORK.loss, PARAMS, grad=NETWORK.gradient, workers=2, **ASKED)
    assert {name for name, _ in started} == {"Serial"}


# What is sent


def spread(work, blocks, workers, **parts):
    with Workers(workers) as crew:
        found = dict(crew.run(Shipped(work, {"fun": work, **parts}), blocks, LONG))
    return [found[number] for number in range(len(blocks))]


@pytest.mark.parametrize("make", [
    lambda: ProcessPoolExecutor(2, mp_context=get_context("spawn")),
    lambda: ThreadPoolExecutor(2),
], ids=["processes", "threads"])  # fmt: skip
def test_closures_and_lambdas_reach_any_executor(make):
    factor = 3
    with make() as executor:
        assert spread(lambda block: [factor * x for x in block], [[1, 2], [3]], executor) == [[3, 6], [9]]


def test_a_multiprocessing_pools_map_is_a_map():
    factor = 3
    with get_context("spawn").Pool(2) as pool:
        assert spread(lambda block: factor * block, [1, 2, 3], pool.map) == [3, 6, 9]


def test_a_futures_object_of_another_kind_is_waited_for_in_order():
    class Later:
        def __init__(self, value):
            self._value = value

        def result(self):
            return self._value

    executor = SimpleNamespace(submit=lambda function, *args: Later(function(*args)))
    assert spread(lambda block: -block, [1, 2, 3], executor) == [-1, -2, -3]


def test_a_script_that_the_other_side_has_not_got_is_sent_whole(tmp_path):
    """A function from a file that only this process has imported."""
    (tmp_path / "only_here.py").write_text("FACTOR = 5\ndef scaled(block):\n    return FACTOR * block\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import only_here, pickle, subprocess\n"
        "from gradproof.engine import Shipped\n"
        "data = pickle.dumps(Shipped(only_here.scaled, {'fun': only_here.scaled}))\n"
        "there = 'import pickle, sys; print(pickle.load(sys.stdin.buffer)(7))'\n"
        "print(subprocess.run([sys.executable, '-c', there], input=data, capture_output=True).stdout.decode())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["35"]


@pytest.mark.parametrize("workers", [2, "executor"])
def test_what_cannot_be_sent_is_named(workers):
    lock = threading.Lock()

    def fun(x):
        time.sleep(0.002)
        with lock:
            return (x * x).sum()

    def fun_on(workers):
        check(fun, np.ones(3), grad=lambda x: 2 * x, sources=("numeric", "hand"), workers=workers)

    spawned = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    with spawned as executor, pytest.raises(UnpicklableError) as caught:
        fun_on({"executor": executor}.get(workers, 2))
    message = str(caught.value)
    assert "fun (" in message
    assert "test_workers.py:" in message
    assert "it holds 'lock'" in message
    assert "ThreadPoolExecutor" in message


def test_constants_that_cannot_be_sent_are_named():
    def fun(x, lock):
        time.sleep(0.002)
        return (x * x).sum()

    with pytest.raises(UnpicklableError, match=r"^args \(tuple\) cannot be sent .* it holds '\[0\]'"):
        check(
            fun, np.ones(3), args=(threading.Lock(),), grad=lambda x, lock: 2 * x, sources=("numeric", "hand"),
            workers=2,
        )  # fmt: skip


def test_threads_need_no_pickling_at_all():
    lock = threading.Lock()

    def fun(x):
        time.sleep(0.002)
        with lock:
            return (x * x).sum()

    with ThreadPoolExecutor(2) as executor:
        report = check(fun, np.ones(3), grad=lambda x: 2 * x, sources=("numeric", "hand"), workers=executor)
    assert report.verdict is Verdict.AGREES


def test_threads_leave_no_switch_flipped():
    """torch's default dtype is one for the whole process: threads that flip it on their own leave it flipped."""

    def fun(x):
        time.sleep(0.003 + 0.004 * torch.rand(()).item())
        return (x.sin() * torch.linspace(0, 1, 3)).sum()

    def failing(x):
        if x[0] != 1.0:
            time.sleep(0.002)
            raise KeyboardInterrupt
        return (x * x).sum()

    x = torch.tensor([1.0, 2.0, 3.0])
    with ThreadPoolExecutor(4) as executor:
        report = check(fun, x, sources=("numeric", "torch"), workers=executor)
        assert torch.get_default_dtype() is torch.float32
        with pytest.raises(KeyboardInterrupt):
            check(failing, x, sources=("numeric", "torch"), workers=executor)
        assert torch.get_default_dtype() is torch.float32
    assert report.sources["numeric"].dtype == "float64"
    assert report.verdict is Verdict.AGREES


def test_parameters_go_to_a_process_once(tmp_path):
    """What is sent with a block does not grow with the function."""
    data = np.arange(200_000.0)

    def work(block):
        return (os.getpid(), id(data), data[block])

    found = spread(work, list(range(12)), 2)
    assert [value for _, _, value in found] == list(range(12))
    assert len({(pid, place) for pid, place, _ in found}) <= 2


def test_what_is_raised_ends_the_work_and_reaches_the_caller(capfd):
    def work(block):
        raise KeyError(f"block {block}")

    for workers in (2, None, map):
        with pytest.raises(KeyError, match="block"):
            spread(work, [1, 2, 3], workers)
    assert "Traceback" not in capfd.readouterr().err


def test_processes_have_one_thread_each(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    found = spread(lambda name: os.environ[name], ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"], 2)
    assert found == ["1", "3"]


def test_blocks_are_sized_by_what_an_item_takes():
    assert block_size(0.05, 100) == 2
    assert block_size(10.0, 100) == 1
    assert block_size(1e-9, 100) == 100
    assert block_size(1.0, 1_000_000) == 1


# Who is killed


def test_a_killed_process_is_made_up_for(tmp_path):
    trace = tmp_path / "killed"

    def work(block):
        if block == 5 and not trace.exists():
            trace.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return block * block

    assert spread(work, list(range(10)), 2) == [n * n for n in range(10)]
    assert trace.exists()


def test_the_block_that_kills_its_process_is_named_and_no_other_is_lost():
    def work(block):
        if block in (4, 17):
            os.kill(os.getpid(), signal.SIGKILL)
        return -block

    found = spread(work, list(range(24)), 2)
    assert [n for n, result in enumerate(found) if isinstance(result, Crashed)] == [4, 17]
    assert "process" in found[4].why
    assert [result for result in found if not isinstance(result, Crashed)] == [
        -n for n in range(24) if n not in (4, 17)
    ]


def test_after_a_crash_the_rest_goes_on_in_as_many_processes():
    def work(block):
        if block == 3:
            os._exit(1)
        time.sleep(0.05)
        return os.getpid()

    found = spread(work, list(range(60)), 3)
    assert isinstance(found[3], Crashed)
    assert len(set(found[30:])) == 3


def test_a_function_that_kills_its_process_ends_the_check():
    def fatal(x):
        time.sleep(0.002)
        if x[0] != 1.0 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return (x**3).sum()

    here = os.getpid()
    with pytest.raises(
        WorkersLostError, match=r"a worker did not survive fun at \S+ times a probe from params"
    ):
        check(fatal, np.ones(3), grad=lambda x: 3 * x**2, sources=("numeric", "hand"), workers=2)


def test_no_more_blocks_are_on_their_way_than_workers_want():
    """What is killed, or interrupted, costs no more than those."""
    waiting, most = [], []

    class Later:
        def __init__(self, value):
            self._value = value

        def result(self):
            waiting.pop()
            return self._value

    class Lazy:
        _max_workers = 2

        def submit(self, function, *args):
            waiting.append(0)
            most.append(len(waiting))
            return Later(function(*args))

    assert spread(lambda block: block, list(range(50)), Lazy()) == list(range(50))
    assert max(most) == 8


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_without_workers_is_told(monkeypatch):
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 2.0)
    with (
        cluster(0) as dask,
        pytest.raises(WorkersLostError, match=r"has no workers: start some with `dask worker"),
    ):
        check(slow, PARAMS, grad=NETWORK.gradient, workers=dask.address, **ASKED)


def test_probes_that_take_longer_to_send_than_to_evaluate_stay_here(started, monkeypatch):
    monkeypatch.setattr("gradproof.numeric.elsewhere.SECONDS_PER_BYTE", 1.0)
    check(slow, PARAMS, grad=NETWORK.gradient, workers=2, **ASKED)
    assert started == []


def kill_once(path, process):
    """As soon as `path` exists."""

    def wait():
        wait_until(path.exists)
        process.kill()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def marking(path, params, x, y, lam):
    """The slow function; from its thirtieth call on any worker on, `path` exists."""
    with path.with_suffix(".calls").open("a") as calls:
        calls.write(".")
    if path.with_suffix(".calls").stat().st_size >= 30:
        path.touch()
    return slow(params, x, y, lam, 0.05)


def test_a_dask_cluster_comes_to_the_same_bits_with_a_worker_killed(tmp_path, serial):
    with cluster(2) as dask:
        quiet = check(slow, PARAMS, grad=NETWORK.gradient, workers=dask.address, **ASKED)
        killing = kill_once(tmp_path / "now", dask.workers[0])
        report = check(
            partial(marking, tmp_path / "now"), PARAMS, grad=NETWORK.gradient, workers=dask.address, **ASKED
        )
        killing.join()
        assert dask.workers[0].wait(10) == -signal.SIGKILL
        from distributed import Client

        with Client(f"tcp://127.0.0.1:{dask.port}", set_as_default=False) as client:
            through_client = check(slow, PARAMS, grad=wrong, workers=client, **ASKED)
            through_executor = check(slow, PARAMS, grad=wrong, workers=client.get_executor(), **ASKED)
    assert said(quiet) == said(report) == serial[NETWORK.gradient]
    assert said(through_client) == said(through_executor) == serial[wrong]


@pytest.mark.filterwarnings("ignore")  # what dask says of its own end
def test_a_scheduler_that_dies_is_told_with_what_was_known(tmp_path):
    def fun(x, y):
        return marking(tmp_path / "now", PARAMS, X, Y, 1.0) * 0 + (x * x).sum()

    with cluster(1) as dask:
        killing = kill_once(tmp_path / "now", dask.scheduler)
        with pytest.raises(
            WorkersLostError, match=rf"scheduler at 127.0.0.1:{dask.port} went away"
        ) as caught:
            check(
                fun, np.ones(3), args=(np.ones(2),), grad=lambda x, y: 2 * x, sources=("numeric", "hand"),
                workers=dask.address,
            )  # fmt: skip
        killing.join()
    assert isinstance(caught.value.known, tuple)


def test_no_scheduler_is_told(monkeypatch):
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 0.5)
    with pytest.raises(ConnectionError, match=r"no dask scheduler answers at 127.0.0.1:9 within 0.5 s"):
        check(slow, PARAMS, grad=NETWORK.gradient, workers="dask://127.0.0.1:9", **ASKED)


# Bad input


@pytest.mark.parametrize(
    ("workers", "error"),
    [
        (0, ValueError), (-2, ValueError), (True, ValueError), ("dask", ValueError), ("dask://host", ValueError),
        ("ray://host:1", ValueError), (2.5, TypeError), ([1], TypeError),
    ],
)  # fmt: skip
def test_workers_that_are_none_are_refused_before_anything_is_computed(workers, error):
    calls = []

    def fun(x):
        calls.append(x)
        return (x * x).sum()

    with pytest.raises(error, match=r"workers is .*; due: None, a number of processes"):
        check(fun, np.ones(3), grad=lambda x: 2 * x, workers=workers)
    assert not calls


@pytest.mark.parametrize(
    ("workers", "package", "extra"), [(2, "loky", "parallel"), ("dask://h:1", "distributed", "dask")]
)
def test_an_extra_that_is_missing_is_named(monkeypatch, workers, package, extra):
    monkeypatch.setattr("gradproof.engine.workers.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=rf"needs {package}: pip install 'gradproof\[{extra}\]'"):
        check(NETWORK.loss, PARAMS, grad=NETWORK.gradient, workers=workers, **ASKED)


def test_one_worker_is_none_and_minus_one_is_all():
    assert Workers(1).serial
    assert Workers(-1).serial is (os.cpu_count() == 1)


def test_a_sleeping_function_is_sooner_done_by_four():
    """Sleep costs no core: four threads take it in turns, or they are not four."""
    fun = partial(slow, seconds=0.05)

    def seconds(workers):
        start = time.perf_counter()
        check(fun, PARAMS, grad=NETWORK.gradient, workers=workers, **ASKED)
        return time.perf_counter() - start

    with ThreadPoolExecutor(4) as threads:
        assert seconds(threads) < 0.75 * seconds(None)


# Whole derivatives


def cosines(x, factor):
    time.sleep(0.002)
    return np.cos(x * factor).sum()


@pytest.mark.parametrize("method", ["ladder", "central"])
@pytest.mark.parametrize("workers", [2, map, "threads"])
def test_a_whole_gradient_comes_to_the_same_bits_for_any_workers(monkeypatch, started, method, workers):
    monkeypatch.setattr(workers_module, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(workers_module, "BLOCK_SECONDS", 0.01)
    x = np.linspace(0.5, 2.0, 21)
    serial = numeric.gradient(cosines, x, args=(1.5,), method=method)
    with ThreadPoolExecutor(2) as threads:
        chosen = threads if workers == "threads" else workers
        shared = numeric.gradient(cosines, x, args=(1.5,), method=method, workers=chosen)
    assert {name for name, _ in started} & {"Processes", "Mapped", "Executor"}
    assert np.array_equal(serial.value, shared.value)
    assert np.array_equal(serial.bar, shared.bar)
    assert np.allclose(serial.value, -1.5 * np.sin(1.5 * x))


def test_a_jacobian_of_torch_comes_to_the_same_in_processes(started):
    def fun(x):
        time.sleep(0.01)
        return torch.stack([x.sum().sin(), (x * x).sum()])

    x = torch.tensor([0.5, 1.0, 1.5])
    serial, shared = (numeric.jacobian(fun, x, workers=workers) for workers in (None, 2))
    assert any(name == "Processes" for name, _ in started)
    assert np.array_equal(serial.value, shared.value)
    assert serial.value.shape == (2, 3)


def test_entries_that_were_known_when_the_workers_were_lost():
    def fatal(x):
        time.sleep(0.02)
        if x[3] != 1.0:
            os.kill(os.getpid(), signal.SIGKILL)
        return (x**3).sum()

    with pytest.raises(WorkersLostError) as caught:
        numeric.gradient(fatal, np.ones(4), workers=2)
    known = caught.value.known
    assert known.value[0] == pytest.approx(3.0)
    assert np.isnan(known.value[3])
    assert known.bar[3] == np.inf


def test_a_structured_gradient_takes_no_workers():
    with pytest.raises(ValueError, match="method='structured' is computed here"):
        numeric.gradient(NETWORK.loss, PARAMS, args=(X, Y), method="structured", workers=2)


@pytest.mark.parametrize("method", ["ladder", "central", "structured"])
def test_entries_are_counted(method):
    heard = []
    numeric.gradient(NETWORK.loss, PARAMS, args=(X, Y), method=method, progress=heard.append)
    assert (heard[-1].done, heard[-1].expected, heard[-1].unit) == (38, 38, "parameters")
