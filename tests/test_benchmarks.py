"""The benchmarks run, and their figures hold on the few points that a test has time for."""

import os
import subprocess
import sys
from pathlib import Path

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
