"""The command line as a user meets it."""

import os
import subprocess
import sys

import pytest

from gradproof.cli import main


@pytest.fixture(scope="module")
def demo():
    """Exit code and output of `gradproof demo`, in a terminal of 100 columns."""
    return subprocess.run(
        [sys.executable, "-m", "gradproof", "demo"],
        capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip


def test_the_demo_proves_the_right_gradient_and_refuses_the_wrong_one(demo):
    assert demo.returncode == 0
    right, wrong = demo.stdout.split("planted mistake")
    assert "AGREES  hand agrees with numeric, jax and torch" in right
    assert "confidence" in right
    assert "the bias is regularised too" in wrong
    assert "DISAGREES  hand is the odd one out; numeric, jax and torch agree" in wrong


@pytest.mark.parametrize("source", ["numeric", "hand", "jax", "torch"])
def test_the_demo_prints_what_every_source_cost(demo, source):
    rows = [line.split() for line in demo.stdout.splitlines() if line.startswith(source + " ")]
    assert len(rows) == 2
    for row in rows:
        evaluations, seconds = row[row.index("float64") + 1 :][:2]
        assert int(evaluations) > 0
        assert float(seconds) >= 0


def test_the_courses_table(capsys):
    assert main(["demo", "--course", "--lambda", "3"]) == 0
    out = capsys.readouterr().out
    assert "lambda = 3" in out
    assert "backprop        numeric            jax          torch     difference" in out
    assert "relative difference of backprop and numeric" in out


def test_a_chosen_fault_is_planted_and_refused(capsys):
    assert main(["demo", "--course", "--fault", "sign"]) == 0
    out = capsys.readouterr().out
    assert "the sign is wrong everywhere" in out
    assert "DISAGREES" in out


def test_a_fault_that_cannot_show_is_a_usage_error(capsys):
    assert main(["demo", "--course", "--fault", "not-regularised", "--lambda", "0"]) == 2
    assert "cannot show" in capsys.readouterr().err


def test_an_unknown_fault_is_a_usage_error_with_a_suggestion(capsys):
    assert main(["demo", "--fault", "sing"]) == 2
    assert "did you mean 'sign'" in capsys.readouterr().err


def test_all_faults_can_be_listed(capsys):
    assert main(["demo", "--fault", "list"]) == 0
    assert "bias-regularised  the bias is regularised too" in capsys.readouterr().out


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 2
    assert "demo" in capsys.readouterr().out


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from gradproof.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'jax', 'rich', 'scipy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("[]\n")


def test_the_module_can_be_run():
    result = subprocess.run(
        [sys.executable, "-m", "gradproof", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("gradproof ")
