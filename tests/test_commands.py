"""`gradproof bench` and `gradproof diff`: files in, tables out, and exit codes that a script can use."""

import json

import pytest

from gradproof.cli import main

FILE = """
import numpy as np
from gradproof import Problem

def cubes(x):
    return np.sum(x**3)

right = Problem("cubes", cubes, np.array([1.0, 2.0, 3.0]), grad=lambda x: {factor} * x**2)
"""


@pytest.fixture
def files(tmp_path, capsys):
    """Reports of a right and of a wrong gradient, as `check --json` writes them."""
    found = {}
    for name, factor in (("right", 3), ("wrong", 6)):
        (tmp_path / f"{name}_cubes.py").write_text(FILE.format(factor=factor))
        found[name] = tmp_path / f"{name}.json"
        target = str(tmp_path / "cubes.py")
        (tmp_path / "cubes.py").write_text(FILE.format(factor=factor))
        main(["check", target, "--sources", "numeric", "--quiet", "--json", str(found[name])])
    capsys.readouterr()
    return found


def test_what_became_worse_is_told_and_is_the_exit_code(files, capsys):
    assert main(["diff", str(files["right"]), str(files["wrong"])]) == 1
    told = capsys.readouterr().out.splitlines()
    assert any("AGREES" in line and "DISAGREES" in line for line in told)
    assert any("wrong now: (params)" in line for line in told)
    assert any("GP101" in line for line in told)


def test_what_became_better_is_no_failure(files, capsys):
    assert main(["diff", str(files["wrong"]), str(files["right"])]) == 0
    assert main(["diff", str(files["right"]), str(files["right"])]) == 0


def test_one_report_alone_can_be_compared(files, tmp_path, capsys):
    single = tmp_path / "single.json"
    content = json.loads(files["right"].read_text())
    single.write_text(json.dumps(content["checks"][0]["report"]))
    assert main(["diff", str(single), str(single)]) == 0


@pytest.mark.parametrize(
    ("text", "message"), [("", "cannot be read"), ("[1, 2]", ""), ('{"checks": []}', "holds no report")]
)
def test_a_file_without_a_report_is_refused(files, tmp_path, capsys, text, message):
    bad = tmp_path / "bad.json"
    bad.write_text(text)
    assert main(["diff", str(files["right"]), str(bad)]) == 2
    error = capsys.readouterr().err
    assert str(bad) in error
    assert message in error
    assert main(["diff", str(files["right"]), str(tmp_path / "none.json")]) == 2


def test_times_are_shown_and_written(files, tmp_path, capsys):
    target = str(tmp_path / "right_cubes.py")
    assert main(["bench", target, "--sources", "numeric", "--dtypes", "float64"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cubes"
    assert lines[2].split()[:2] == ["source", "dtype"]
    assert main(["bench", target, "--sources", "numeric", "--dtypes", "float64", "--json"]) == 0
    (plain,) = json.loads(capsys.readouterr().out)
    assert plain["timings"][0]["source"] == "hand"


def test_a_wrong_gradient_is_not_timed(files, tmp_path, capsys):
    assert main(["bench", str(tmp_path / "wrong_cubes.py"), "--sources", "numeric"]) == 1
    assert "nothing was timed" in capsys.readouterr().out


def test_bench_needs_a_target(capsys):
    assert main(["bench"]) == 2
    assert "bench needs a TARGET" in capsys.readouterr().err


def test_workers_that_cannot_be_are_a_usage_error(files, tmp_path, capsys):
    for given in ("x", "0", "dask://nowhere"):
        assert main(["check", str(tmp_path / "cubes.py"), "--workers", given]) == 2
        assert "due: None, a number of processes" in capsys.readouterr().err


def test_a_file_that_only_the_command_line_has_loaded_is_checked_by_workers(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("gradproof.engine.workers.WORTH_SECONDS", 0.0)
    (tmp_path / "kernel.py").write_text(FILE.format(factor=3))
    target = [str(tmp_path / "kernel.py"), "--sources", "numeric"]
    assert main(["check", *target, "--workers", "2"]) == 0
    answer = capsys.readouterr().out.splitlines()[-1]
    assert main(["check", *target]) == 0
    assert answer == capsys.readouterr().out.splitlines()[-1]
