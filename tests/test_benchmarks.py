"""The benchmarks run, and their figures hold on the few points that a test has time for."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def output(script, *options):
    """What a benchmark prints; it may not write."""
    before = {path: path.stat().st_mtime_ns for path in BENCHMARKS.rglob("*.json")}
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, *options],
        capture_output=True, text=True, check=False, timeout=300, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert before == {path: path.stat().st_mtime_ns for path in BENCHMARKS.rglob("*.json")}
    return done.stdout


@pytest.mark.parametrize("family", ["sine", "logistic map", "float32 pole"])
def test_accuracy(family):
    pytest.importorskip("mpmath")
    printed = output("accuracy.py", "--only", family, "--points", "5")
    assert "held" in printed
    assert "VIOLATED" not in printed


def test_power():
    pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    printed = output(
        "power.py", "--dtype", "float64", "--samples", "1", "--only", "tanh", "--no-peers", "--quick"
    )
    assert "PASS: false alarms" in printed


def test_ports():
    pytest.importorskip("torch")
    pytest.importorskip("flax")
    printed = output("ports.py", "--only", "LayerNorm eps")
    assert "GP201" in printed


def test_port_bars():
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    printed = output("port_bars.py", "--pairs", "1")
    assert "all" in printed
    assert "100 %" in printed


def test_locate():
    pytest.importorskip("torch")
    printed = output("locate.py", "--largest", "785", "--trials", "1")
    assert "PASS: no innocent entry blamed" in printed


def test_diagnose():
    printed = output("diagnose.py", "--only", "softmax", "--fault", "leaf", "--sources", "numeric,hand")
    row = next(line for line in printed.splitlines() if line.startswith("| fresh functions"))
    planted, right = (int(cell.split()[0]) for cell in row.split("|")[2:4])
    assert 0 < planted <= right + 1
    assert "DOES NOT HOLD" not in printed


def test_speed():
    for package in ("autograd", "jax", "numdifftools", "scipy", "torch"):
        pytest.importorskip(package)
    printed = output("speed.py", "--quick", "--only", "named")
    rows = [
        line.split("|")[4].strip() for line in printed.splitlines() if line.startswith(("| 38 |", "| 785 |"))
    ]
    assert rows == ["3 of 3", "3 of 3"]
    assert "right gradient accepted at 101,770: ≥ 2,500 × as fast as torch slow: not measured" in printed


@pytest.fixture
def speed(monkeypatch):
    """The modules of the speed benchmark that judge and write: they import no checker."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return SimpleNamespace(targets=import_module("speed_targets"), page=import_module("speed_page"))


def test_a_target_of_speed_counts_its_cases_and_names_the_worst(speed):
    least, most = (speed.targets.Target("as fast", 10.0, least) for least in (True, False))
    cases = {"small": 4.0, "large": 2500.0, "middle": 10.0}
    assert least.verdict(cases) == "as fast: reached in 2 of 3; median 10, worst 4 (small)"
    assert most.verdict(cases) == "as fast: reached in 2 of 3; median 10, worst 2,500 (large)"
    assert least.verdict({}) == "as fast: not measured"
    assert not least.holds(float("nan"))
    assert not most.holds(float("nan"))


def row_of_right(parameters, ours, **seconds):
    ratio = {name: time / ours for name, time in seconds.items()}
    return {
        "parameters": parameters, "batch": 5, "evaluation": 2e-5, "gradproof": ours, "evaluations": 73, "rounds": 7,
        "scaled": ["torch slow"], "seconds": seconds, "ratio": ratio,
    }  # fmt: skip


def test_only_what_is_beyond_the_cheapest_peer_counts(speed):
    row = row_of_right(38, 0.021, **{"torch fast": 0.002, "autograd check_grads": 0.001})
    assert speed.targets.beyond(row, 2) == pytest.approx(0.019)
    assert speed.targets.beyond(row_of_right(38, 0.001, **{"torch fast": 0.002}), 2) == 0


def test_the_page_of_speed_holds_what_was_measured_and_marks_what_was_scaled(speed):
    right = [
        row_of_right(38, 0.018, **{"torch slow": 0.006}),
        row_of_right(101770, 0.2, **{"torch slow": 440.0}),
    ]
    record = {"environment": "Python 3", "minutes": 3.2, "right": right}
    page = speed.page.document(json.loads(json.dumps(record)))
    assert "| 38 | 5 | 0.02 ms | 18 ms | 73 | 7 |  |  |  |  | 0.333* |  |  |  |" in page
    assert "≥ 2,500 × as fast as torch slow: reached in 0 of 1; median 2,200, worst 2,200 (101,770)" in page
    assert "seconds beyond: reached in 1 of 1" in page
    assert "≥ 250 × as fast as torch slow: not measured" in page
    assert "## Memory" not in page


def test_figures_have_three_digits(speed):
    assert [speed.targets.number(v) for v in (0, 0.0123456, 3.14159, 99.96, 2534.4, 1e-9, 2.5e8)] == [
        "0", "0.0123", "3.14", "100", "2,534", "1.0e-09", "2.5e+08",
    ]  # fmt: skip


@pytest.fixture
def scaling(monkeypatch):
    """The modules of the cost model that compute and write."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return SimpleNamespace(**{
        name: import_module(f"scaling_{name}") for name in ("model", "words", "worked", "page")
    })  # fmt: skip


def test_the_cost_of_a_check_is_the_sum_of_its_parts(scaling):
    cost = scaling.model.Cost(calls=100, fixed=0.5, each=2e-9, memory=40, claims=6)
    assert cost.seconds(10**9, function=1.0, claim=3.0) == pytest.approx(0.5 + 100 * 3 + 18)
    farm = scaling.model.Farm(machines=10, cores=16, memory=100e9)
    assert [farm.at_once(cost, size, own=8) for size in (10**4, 10**9, 10**10)] == [160, 20, 0]
    assert farm.seconds(41, cost, 10**9, 8, each=10.0) == 30.0
    assert farm.seconds(1, cost, 10**10, 8, each=10.0) == float("inf")


def test_the_share_that_is_sequential_is_found_again(scaling):
    times = {workers: 7.0 * (0.2 + 0.8 / workers) for workers in (1, 2, 4, 16)}
    assert scaling.model.sequential_share(times) == pytest.approx(0.2)
    assert scaling.model.in_series([42, 4, 2], alone=3, workers=4) == 3 + 11 + 1 + 1
    assert scaling.model.bottleneck({"workers": 5.0, "reader": 2.0}) == "reader"
    assert scaling.model.middle([3.0, 1.0, 2.0]) == 2.0


def test_quantities_come_in_their_largest_unit(scaling):
    durations = [scaling.words.duration(s) for s in (3e-9, 2e-6, 0.5, 90, 7200, 172800)]
    assert durations == ["3 ns", "2 µs", "500 ms", "1.5 min", "2 h", "2 days"]
    assert [scaling.words.memory(b) for b in (12, 3300, 1.28e11)] == ["12 bytes", "3.3 kB", "128 GB"]


def test_the_page_of_scaling_is_that_of_its_record(scaling):
    record = json.loads((BENCHMARKS / "results/scaling.json").read_text(encoding="utf-8"))
    page = (BENCHMARKS.parent / "docs/scaling.md").read_text(encoding="utf-8")
    assert scaling.page.document(record) == page
    assert scaling.worked.work_out(record, 10**9).block == 1
    record["sweep"]["written"] = 1.0
    slow = scaling.worked.work_out(record, 10**4)
    assert scaling.model.bottleneck(slow.rates) == "reader of the journal"
    assert slow.rates["reader of the journal"] < 1.0
