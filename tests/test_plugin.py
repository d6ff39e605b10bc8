"""The pytest plugin, in test runs of its own."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from gradproof import GradientMismatch, Problem, check
from gradproof.testing import Checker, NotProven, Summary, choose
from gradproof.testing.summary import file_name

pytest_plugins = "pytester"

HEAD = """
import numpy as np
import pytest
from gradproof import Problem

X = np.arange(1.0, 4.0)
BOTH = ["numeric", "hand"]

def loss(x):
    return (x * x).sum()

def right(x):
    return 2 * x

def wrong(x):
    return 3 * x

def kinked(x):
    return abs(x).sum()
"""

AT_A_KINK = "gradproof(kinked, np.zeros(3), grad=lambda x: 3 + 0 * x, sources=BOTH)"

SOME = """
def test_right(gradproof):
    gradproof(loss, X, grad=right, sources=BOTH)

def test_wrong(gradproof):
    gradproof(loss, X, grad=wrong, sources=BOTH)

@pytest.mark.gradproof(undecided="the point is on a kink")
def test_kink(gradproof):
    gradproof(kinked, np.zeros(3), grad=lambda x: 3 + 0 * x, sources=BOTH)

def test_nothing():
    pass
"""


@pytest.fixture(scope="module")
def everything_loaded():
    """pytester forgets the modules that an inner run loads first; numpy's cannot be loaded twice in one process."""
    for claim in (lambda x: 2 * x, lambda x: 3 * x):
        str(
            check(
                lambda x: (x * x).sum(), np.arange(1.0, 4.0), grad=claim, sources=["numeric", "hand", "numpy"]
            )
        )
    str(check(lambda x: abs(x).sum(), np.zeros(3), grad=lambda x: 3 + 0 * x, sources=["numeric", "hand"]))


@pytest.fixture
def suite(pytester, monkeypatch, everything_loaded):
    """`suite(tests, *arguments)` runs pytest on a file of tests, in this process or outside of it."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(tests, *arguments, ini="", inside=True):
        pytester.makepyfile(test_it=HEAD + tests)
        pytester.makeini(f"[pytest]\n{ini}")
        runner = pytester.runpytest_inprocess if inside else pytester.runpytest_subprocess
        return runner("-p", "no:cacheprovider", *arguments)

    return run


def test_the_verdicts_are_outcomes(suite):
    result = suite(SOME)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*NotProven: * DISAGREES  hand disagrees with numeric", "*again: pytest *"])


def test_the_message_is_an_assertions_and_holds_the_whole_report(suite):
    result = suite(
        """
def test_wrong(gradproof):
    with pytest.raises(AssertionError, match="GP101") as caught:
        gradproof(loss, X, grad=wrong, sources=BOTH)
    words = str(caught.value).splitlines()
    assert "DISAGREES  hand disagrees with numeric" in words[0]
    assert any("leaf      shape  dtype" in line for line in words)
    assert words[-1] == "again: pytest test_it.py::test_wrong --gradproof-seed=0"
    assert caught.value.report.odd_one_out == "hand"
"""
    )
    result.assert_outcomes(passed=1)


def test_the_traceback_ends_in_the_test(suite):
    result = suite(SOME, "-k", "wrong")
    result.stdout.fnmatch_lines(
        [">       gradproof(loss, X, grad=wrong, sources=BOTH)", "test_it.py:*: NotProven"]
    )
    result.stdout.no_fnmatch_line("*checker.py*")


def test_the_report_is_returned(suite):
    result = suite(
        """
def test_it(gradproof):
    report = gradproof(lambda x, c: c * loss(x), X, args=(2.0,), value_and_grad=lambda x, c: (c * loss(x), 2 * c * x),
                       sources=BOTH, resolution=1e-2, confidence=0.9, seed=5)
    assert (report.verdict.name, report.resolution, report.seed) == ("AGREES", 1e-2, 5)
    assert report.certificate.confidence == 0.9
"""
    )
    result.assert_outcomes(passed=1)


def test_a_problem_is_checked(suite):
    result = suite(
        """
P = Problem("squares", lambda x, c: c * loss(x), X, (2.0,), vjp=lambda w, x, c: w * 2 * c * x)

def test_right(gradproof):
    assert gradproof.problem(P, sources=BOTH).claim == "hand"

def test_another_claim(gradproof):
    gradproof.problem(P, vjp=lambda w, x, c: w * x, sources=BOTH)
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["DISAGREES  test_it.py::test_another_claim  squares  differs"])


@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
def test_the_message_fits_the_terminal(suite, pytester, monkeypatch, workers):
    monkeypatch.setenv("COLUMNS", "60")
    pytester.makeconftest(
        """
import os

def pytest_configure(config):
    if hasattr(config, "workerinput"):
        os.environ["COLUMNS"] = "200"
"""
    )
    lines = suite(SOME, "-k", "wrong", *workers, inside=not workers).stdout.str().splitlines()
    shown = [line for line in lines if line.startswith("E  ") and "NotProven" not in line]
    report = [line for line in shown if "again: pytest" not in line]
    assert len(report) > 10
    assert max(len(line) for line in report) <= 60


# Choices


def test_precedence_is_call_marker_command_line_ini_default(suite):
    result = suite(
        """
def seed(gradproof, **keywords):
    return gradproof(loss, X, grad=right, sources=BOTH, **keywords).seed

@pytest.mark.gradproof(seed=2)
class TestMarked:
    def test_call(self, gradproof):
        assert seed(gradproof, seed=1) == 1

    def test_marker(self, gradproof):
        assert seed(gradproof) == 2

    @pytest.mark.gradproof(seed=3)
    def test_closest_marker(self, gradproof):
        assert seed(gradproof) == 3

def test_command_line(gradproof):
    assert seed(gradproof) == 4
""",
        "--gradproof-seed=4",
        ini="gradproof_seed = 5",
    )
    result.assert_outcomes(passed=4)


def test_ini_keys_are_defaults(suite):
    result = suite(
        """
def test_it(gradproof):
    report = gradproof(loss, X, grad=right)
    assert (sorted(report.sources), report.resolution, report.seed) == (["hand", "numeric"], 0.02, 7)
""",
        ini="gradproof_sources = numeric\ngradproof_resolution = 0.02\ngradproof_seed = 7",
    )
    result.assert_outcomes(passed=1)


def test_the_command_lines_sources_come_before_those_of_the_ini(suite):
    tests = "def test_it(gradproof):\n    assert set(gradproof(loss, X, grad=right).sources) == {'numeric', 'hand'}"
    suite(tests, "--gradproof-sources=numeric,hand", ini="gradproof_sources = torch").assert_outcomes(
        passed=1
    )


def test_hand_is_asked_where_there_is_a_claim_and_only_there(suite):
    tests = "def test_it(gradproof):\n    gradproof(loss, X)"
    result = suite(tests, "--gradproof-sources=hand")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*sources is empty: nothing would be checked*"])


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        (
            "sorces=['numeric']",
            "unknown keyword of @pytest.mark.gradproof 'sorces'; did you mean 'sources'?*",
        ),
        ("['numeric']", "@pytest.mark.gradproof takes keywords only (sources, *); got ?'numeric'?"),
        (
            "undecided=True",
            "@pytest.mark.gradproof: undecided is the reason why *; got True. Write for example*",
        ),
        (
            "undecided=' '",
            "@pytest.mark.gradproof: undecided is the reason why *; got ' '. Write for example*",
        ),
    ],
)
def test_a_marker_that_cannot_be_understood_is_an_error(suite, marker, message):
    result = suite(f"@pytest.mark.gradproof({marker})\ndef test_without_the_fixture():\n    pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*During handling*")


def test_the_marker_is_registered(suite):
    suite(SOME, "--strict-markers", "--markers").stdout.fnmatch_lines(
        ["@pytest.mark.gradproof(sources=None, *"]
    )


@pytest.mark.parametrize(
    ("arguments", "ini", "message"),
    [
        (["--gradproof-seed=x"], "", "*due: a whole number from 0, or 'random'; got 'x'*"),
        (["--gradproof-sources=,"], "", "*due: names with commas, like numeric,jax; got ','*"),
        ([], "gradproof_seed = -1", "*gradproof_seed: due: a whole number from 0, or 'random'; got '-1'*"),
        (
            [],
            "gradproof_resolution = fine",
            "*gradproof_resolution: due: a number between 0 and 1; got 'fine'*",
        ),
        (
            ["--gradproof-report=test_it.py"],
            "",
            "*--gradproof-report=test_it.py: no folder can be made there*",
        ),
    ],
)
def test_a_choice_that_cannot_be_read_is_a_usage_error(suite, arguments, ini, message):
    result = suite(SOME, *arguments, ini=ini)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


# Verdicts between yes and no


def test_undecided_fails(suite):
    suite(f"def test_it(gradproof):\n    {AT_A_KINK}").assert_outcomes(failed=1)


def test_undecided_is_let_through_for_a_reason_that_is_told(suite):
    result = suite(
        f'@pytest.mark.gradproof(undecided="known kink")\ndef test_it(gradproof):\n    {AT_A_KINK}'
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["UNDECIDED  test_it.py::test_it  kinked  kink; let through: known kink"])


def test_a_reason_lets_nothing_else_through(suite):
    result = suite(
        "@pytest.mark.gradproof(undecided='known')\ndef test_it(gradproof):\n"
        "    gradproof(loss, X, grad=wrong, sources=BOTH)"
    )
    result.assert_outcomes(failed=1)


@pytest.mark.parametrize("how", ["call", "marker", "command line", "ini"])
def test_a_source_that_was_asked_for_and_could_not_be_asked_fails(suite, how):
    marker = '@pytest.mark.gradproof(sources="numpy,numeric".split(","))\n' if how == "marker" else ""
    keyword = ', sources=["numeric", "hand", "numpy"]' if how == "call" else ""
    result = suite(
        f"{marker}def test_it(gradproof):\n    gradproof(loss, X, grad=right{keyword})",
        *(["--gradproof-sources=numeric,numpy"] if how == "command line" else []),
        ini="gradproof_sources = numeric numpy" if how == "ini" else "",
    )
    result.assert_outcomes(failed=1)
    due = "source 'numpy' was asked for, and could not be asked: the backend does not differentiate"
    result.stdout.fnmatch_lines(
        [f"*NotProven: {due}", "AGREES  test_it.py::test_it  loss  could not be asked: numpy"]
    )


# What is told at the end


def test_the_summary_counts_names_and_times(suite):
    result = suite(SOME)
    result.stdout.fnmatch_lines(
        [
            "=*= gradproof =*=",
            "3 checks: 1 AGREES, 1 DISAGREES, 1 UNDECIDED; * evaluations in *.?? s",
            "DISAGREES  test_it.py::test_wrong  loss  differs",
            "UNDECIDED  test_it.py::test_kink  kinked  kink; let through: the point is on a kink",
            "slowest:",
            "*.?? s * evaluations  test_it.py::test_*",
        ]
    )


def test_the_evaluations_are_those_of_the_reports(suite):
    report = check(
        lambda x: (x * x).sum(), np.arange(1.0, 4.0), grad=lambda x: 2 * x, sources=["numeric", "hand"]
    )
    due = sum(result.calls for result in report.sources.values())
    suite(SOME, "-k", "right").stdout.fnmatch_lines([f"1 check: 1 AGREES; {due} evaluations in *"])


def test_it_is_one_line_when_quiet_and_nothing_when_very_quiet(suite):
    quiet = suite(SOME, "-q").stdout
    quiet.fnmatch_lines(["3 checks: *"])
    quiet.no_fnmatch_line("slowest:")
    very = suite(SOME, "-q", "-q").stdout
    very.no_fnmatch_line("*= gradproof =*")
    very.no_fnmatch_line("3 checks: *")


def test_without_a_check_nothing_is_said(suite):
    suite(SOME, "-k", "nothing").stdout.no_fnmatch_line("*= gradproof =*")


def test_a_random_seed_is_drawn_told_and_can_be_replayed(suite):
    tests = "def test_it(gradproof):\n    print('used', gradproof(loss, X, grad=right, sources=BOTH).seed)\n"
    lines = suite(tests, "--gradproof-seed=random", "-s").stdout.str().splitlines()
    (used,) = (line.split()[-1] for line in lines if "used " in line)
    told = [
        line
        for line in lines
        if line == f"gradproof: seed {used} was drawn; again with --gradproof-seed={used}"
    ]
    assert len(told) == 2  # before and after
    again = suite(tests, f"--gradproof-seed={used}", "-s").stdout
    again.fnmatch_lines([f"*used {used}"])
    again.no_fnmatch_line("*was drawn*")


def test_two_runs_draw_two_seeds(suite):
    tests = "def test_it(gradproof):\n    gradproof(loss, X, grad=right, sources=BOTH)\n"
    runs = [suite(tests, ini="gradproof_seed = random").stdout.str() for _ in range(2)]
    assert len({next(line for line in run.splitlines() if "was drawn" in line) for run in runs}) == 2


# Files and properties


def test_a_file_for_each_check(suite, pytester):
    suite(SOME + "    \ndef test_two(gradproof):\n" + 2 * "    gradproof(loss, X, grad=right, sources=BOTH)\n",
          "--gradproof-report=out/reports")  # fmt: skip
    files = sorted((pytester.path / "out/reports").iterdir())
    assert len(files) == 5
    read = {file.name: json.loads(file.read_text()) for file in files}
    (wrong,) = (content for name, content in read.items() if name.startswith("test_it.py-test_wrong-"))
    assert (wrong["test"], wrong["check"], wrong["passed"]) == ("test_it.py::test_wrong", "loss", False)
    assert wrong["report"]["verdict"] == "DISAGREES"
    assert sorted(name[-7:] for name in read if "test_two" in name) == ["-1.json", "-2.json"]


@pytest.mark.parametrize(
    "test",
    ["../a/t.py::test[x/y]", "t.py::test[a\\b:*?<>|]", "t.py::test[é\x00]", "t.py::test" + "[long]" * 100],
)
def test_names_of_files_are_safe(test):
    name = file_name(test, 1)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    assert len(name) < 160
    assert name[0] not in ".-"
    assert name == Path(name).name


def test_names_of_files_tell_tests_apart_that_look_alike():
    alike = ("t.py::test[a-b]", "t.py::test[a/b]", "t.py::test[A-b]")
    assert len({file_name(test, 1).lower() for test in alike}) == 3


@pytest.mark.parametrize("full", [False, True])
def test_junit_has_a_line_for_each_check(suite, pytester, full):
    suite(SOME, "--junitxml=out.xml", *(["--gradproof-report=out"] if full else []))
    properties = {
        case.get("name"): [(p.get("name"), json.loads(p.get("value"))) for p in case.iter("property")]
        for case in ET.parse(pytester.path / "out.xml").iter("testcase")
    }
    assert properties["test_nothing"] == []
    ((name, wrong),) = properties["test_wrong"]
    assert name == "gradproof"
    assert (wrong["verdict"], wrong["reason"], wrong["seed"]) == ("DISAGREES", "DIFFERS", 0)
    assert wrong["sources"] == {"numeric": "AGREES", "hand": "DISAGREES"}
    assert "report" not in wrong


# In processes of their own: entry points, workers, absence


def test_workers_send_what_they_found(suite, pytester):
    result = suite(SOME, "-n", "2", "--gradproof-report=out", "--gradproof-seed=random", inside=False)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        ["3 checks: *", "DISAGREES  test_it.py::test_wrong  loss  differs", "slowest:"]
    )
    seeds = {json.loads(file.read_text())["report"]["seed"] for file in (pytester.path / "out").iterdir()}
    assert len(list((pytester.path / "out").iterdir())) == 3
    (seed,) = seeds
    result.stdout.fnmatch_lines([f"gradproof: seed {seed} was drawn; again with --gradproof-seed={seed}"])


def test_it_is_found_by_its_entry_point_and_can_be_left_out(suite):
    suite(SOME, "-k", "right", inside=False).assert_outcomes(passed=1)
    result = suite(SOME, "-k", "right", "-p", "no:gradproof", inside=False)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'gradproof' not found"])


def test_it_works_where_no_framework_is_installed(suite, pytester):
    pytester.makeconftest(
        """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("jax", "jaxlib", "torch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
    )
    result = suite(
        """
def test_all(gradproof):
    assert set(gradproof(loss, X, grad=right).sources) == {"numeric", "hand"}

def test_asked_for(gradproof):
    gradproof(loss, X, grad=right, sources=["numeric", "hand", "jax"])
""",
        inside=False,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*'jax' was asked for, and could not be asked: its framework is not installed*"]
    )


LOADED = """
import sys

def pytest_unconfigure():
    print("loaded", sorted({name.split(".")[0] for name in sys.modules} & {"gradproof", "numpy", "rich"}))
"""


@pytest.mark.parametrize(
    ("test", "loaded"), [("pass", "loaded []"), ("import gradproof", "loaded ['gradproof', 'numpy']")]
)
def test_a_run_that_checks_nothing_loads_nothing_of_the_package(pytester, monkeypatch, test, loaded):
    pytester.makeconftest(LOADED)
    pytester.makepyfile(f"def test_it():\n    {test}")
    # Other plugins, which load what they like, are left out; ours goes by its module's name.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.runpytest_subprocess("-p", "_gradproof_pytest").stdout.fnmatch_lines([loaded])


def test_the_door_alone_loads_nothing_of_the_package():
    code = "import _gradproof_pytest, sys; print([m for m in sys.modules if m.split('.')[0] in ('gradproof', 'numpy')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# Without pytest


def checker(rows, **keywords):
    return Checker("t.py::t", choose([], {}, {}), lambda *row: rows.append(row), **keywords)


def test_a_failure_is_a_gradient_mismatch():
    with pytest.raises(NotProven) as caught:
        checker([])(np.sum, np.arange(1.0, 4.0), grad=lambda x: 2 * x, sources=["numeric", "hand"])
    assert isinstance(caught.value, GradientMismatch)


@pytest.mark.parametrize("columns", [60, 100])
def test_a_message_fits_the_terminal(columns):
    problem = Problem("sum", lambda x: (x * x).sum(), np.arange(1.0, 4.0), grad=lambda x: 3 * x)
    with pytest.raises(NotProven) as caught:
        checker([], columns=columns).problem(problem, sources=["numeric", "hand"])
    report = str(caught.value).splitlines()[2:]
    assert max(len(line) for line in report) <= columns - 12


def test_whole_reports_are_sent_only_if_they_are_asked_for():
    for full, names in ((False, ["gradproof"]), (True, ["gradproof", "gradproof-report"])):
        rows = []
        checker(rows, full=full)(np.sum, np.ones(3), grad=np.ones_like, sources=["numeric", "hand"])
        assert [name for name, _ in rows] == names


def test_a_test_that_is_run_again_counts_once():
    rows, summary = [], Summary()
    checker(rows)(np.sum, np.ones(3), grad=np.ones_like, sources=["numeric", "hand"])
    summary.add("t.py::t", rows)
    summary.add("t.py::t", rows)
    assert next(summary.lines()).startswith("1 check: ")
