"""Every script in examples/ runs, proves a right gradient, and finds the mistake that its README promises."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py"))
PROMISED = dict(
    re.findall(r"^\| \[(\w+\.py)\].*\| (GP\d+) \|$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.M)
)


def run(script):
    """What `script` printed, and its exit code; without asserts where this process runs without them."""
    return subprocess.run(
        [sys.executable, *["-O"] * sys.flags.optimize, FOLDER / script],
        capture_output=True, encoding="utf-8", check=False, env={**os.environ, "COLUMNS": "100", "PYTHONUTF8": "1"},
    )  # fmt: skip


def test_the_readme_lists_every_script():
    assert sorted(PROMISED) == SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_example_proves_the_right_gradient_and_finds_the_mistake(script):
    ran = run(script)
    assert ran.returncode == 0, ran.stderr
    if ran.stdout.startswith("skipped: "):
        pytest.skip(ran.stdout.strip())
    verdicts = re.findall(r"^[✓✗?] ([A-Z]+)  ", ran.stdout, re.M)
    assert verdicts[0] == "AGREES"
    assert verdicts[-1] == "DISAGREES"
    assert PROMISED[script] in re.findall(r"^(?: +|help: )(GP\d+) ", ran.stdout, re.M)
