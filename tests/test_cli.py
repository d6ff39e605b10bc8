"""The command line as a user meets it."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from fresh import python
from gradproof import Outcome, Problem, Report, check_problem
from gradproof.cli import exits, main, proofs
from gradproof.cli.leaves import only
from gradproof.codes import CODES
from gradproof.progress import Meter
from gradproof.progress.bar import Bar


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
        "import sys; from _gradproof_cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'jax', 'rich', 'scipy', 'tomllib', 'importlib.metadata', 'numpy', 'gradproof'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("[]\n")


def test_the_module_can_be_run():
    result = subprocess.run(
        [sys.executable, "-m", "gradproof", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("gradproof ")


# Targets

HEAD = """
import numpy as np
from gradproof import Problem

X = np.arange(1.0, 4.0)

def loss(x):
    return (x * x).sum()

def right(x):
    return 2 * x

def wrong(x):
    return 3 * x

def kinked(x):
    return abs(x).sum()
"""

PLAIN = """
import numpy as np
params = {"w": np.array([0.3, -0.2, 0.5]), "b": np.array([0.25])}
args = (np.arange(12.0).reshape(4, 3), np.ones(4))

def fun(params, x, y):
    return ((x @ params["w"] + params["b"] - y) ** 2).sum()

def grad(params, x, y):
    residual = x @ params["w"] + params["b"] - y
    return {"w": 2 * x.T @ residual, "b": np.array([3 * residual.sum()])}
"""
"""Right in w, wrong in b."""

FAST = ("--sources", "numeric")
"""hand is asked as well, wherever there is a claim; jax and torch take a second."""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """`file(name, text)` writes a file into the current folder, which is a new one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def made(name, text):
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    return made


@pytest.fixture
def gradproof(capsys):
    """`gradproof(*arguments)` is the exit code, standard output and standard error of the command line."""

    def run(*arguments):
        code = main(list(arguments))
        return code, *capsys.readouterr()

    return run


def checked(out):
    """Labels of what was checked, from the output as JSON."""
    return [check["target"] for check in json.loads(out)["checks"]]


SUITE = (
    HEAD
    + """
one = Problem("the first", loss, X, grad=right)
_hidden = Problem("hidden", loss, X, grad=wrong)
again = one
listed = [one, Problem("the second", loss, X, grad=right)]
by_name = {"a": Problem("the third", loss, X, grad=right), "b": "no Problem"}

def problems():
    yield Problem("the fourth", loss, X, grad=right)

def others(count=2):
    return tuple(Problem(f"other {i}", loss, X, grad=right) for i in range(count))
"""
)


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        ("s.py", ["s.py::one", "s.py::listed[1]", "s.py::by_name['a']", "s.py::problems[0]"]),
        ("s.py::one", ["s.py::one"]),
        ("s.py::again", ["s.py::again"]),
        ("s.py::listed", ["s.py::listed[0]", "s.py::listed[1]"]),
        ("s.py::listed[1]", ["s.py::listed[1]"]),
        ("s.py::the third", ["s.py::by_name['a']"]),
        ("s.py::others", ["s.py::others[0]", "s.py::others[1]"]),
        ("s.py::_hidden", ["s.py::_hidden"]),
        ("./s.py::one", ["./s.py::one"]),
    ],
)
def test_a_target_names_problems(file, gradproof, target, labels):
    file("s.py", SUITE)
    code, out, _ = gradproof("check", target, "--json", *FAST)
    assert checked(out) == labels
    assert code == ("_hidden" in target)


def test_a_file_that_defines_fun_and_params_is_a_problem(file, gradproof):
    file("net.py", PLAIN)
    code, out, err = gradproof("check", "net.py", *FAST)
    assert (code, err) == (1, "")
    assert "DISAGREES  hand disagrees with numeric" in out
    assert gradproof("check", "net.py::fun", *FAST)[0] == 1


@pytest.mark.parametrize("form", ["value_and_grad", "vjp", "jvp"])
def test_every_form_of_a_claim_counts(file, gradproof, form):
    claims = {
        "value_and_grad": "def value_and_grad(x): return fun(x), 2 * x",
        "vjp": "def vjp(w, x): return 2 * w * x",
        "jvp": "def jvp(v, x): return (2 * x * v).sum()",
    }
    text = f"import numpy as np\nparams = np.arange(1.0, 4.0)\ndef fun(x): return (x * x).sum()\n{claims[form]}\n"
    file("net.py", text)
    assert gradproof("check", "net.py", *FAST)[0] == 0
    file("off.py", text.replace("2 *", "3 *").replace("fun(x), 3", "fun(x), 3"))
    assert gradproof("check", "off.py", *FAST)[0] == 1


def test_a_frameworks_grad_is_no_claim_of_the_file(file, gradproof):
    file(
        "net.py",
        "from jax import grad\nimport numpy as np\nparams = np.ones(2)\ndef fun(x): return (x * x).sum()\n",
    )
    code, out, _ = gradproof("check", "net.py", "--sources", "numeric,jax", "--json")
    assert code == 0
    assert list(json.loads(out)["checks"][0]["report"]["sources"]) == ["numeric", "jax"]


def test_a_problem_of_the_files_own_fun_is_checked_once(file, gradproof):
    file("net.py", PLAIN + "from gradproof import Problem\np = Problem('p', fun, params, args, grad)\n")
    _, out, _ = gradproof("check", "net.py", "--json", *FAST)
    assert checked(out) == ["net.py::p"]


def test_a_module_is_a_target_from_the_current_folder(file, gradproof):
    file("a_package/__init__.py", "")
    file("a_package/suite.py", SUITE)
    _, out, _ = gradproof("check", "a_package.suite:one", "--json", *FAST)
    assert checked(out) == ["a_package.suite:one"]
    assert gradproof("check", "a_package.suite", *FAST)[0] == 0
    assert gradproof("check", "a_package", *FAST)[0] == 3


def test_an_installed_module_is_a_target(gradproof):
    code, out, _ = gradproof("check", "gradproof.course:course_problem", *FAST)
    assert code == 0
    assert "AGREES  hand agrees with numeric" in out


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nt.py", "nt.py is not there; due: a Python file, FILE.py or FILE.py::NAME"),
        ("folder", "folder is a folder; due: a Python file"),
        ("notes.txt", "notes.txt is no Python file"),
        ("s.py:one", "s.py:one: a name in a file follows two colons: s.py::one"),
        ("s.py::", "s.py:: ends where a name is due"),
        ("no_such_module", "no module named 'no_such_module' (looked in "),
        ("json.no_such:x", "no module named 'json.no_such'"),
        ("not-a-name", "not-a-name is no target; due: FILE.py, FILE.py::NAME, module or module:NAME"),
        ("s.py::oen", "no 'oen' in s.py; did you mean s.py::one? There: one, listed[1], "),
        ("s.py::X", "s.py::X is a ndarray without a Problem; looked for: fun and params"),
        (
            "s.py::loss",
            "s.py::loss is a function of x; due: a function without arguments that returns Problems",
        ),
        ("s.py::nothing", "s.py::nothing() returned a NoneType without a Problem"),
        ("quits.py", "quits.py ended the program when it was imported (exit code 7)"),
        ("tuple.py", "args is a tuple of constants; got a ndarray. For one constant write args = (x,)"),
    ],
)
def test_a_target_that_cannot_be_used_is_said_without_a_traceback(file, gradproof, target, message):
    file("s.py", SUITE + "\ndef nothing():\n    pass\n")
    file("folder/x.py", "")
    file("notes.txt", "")
    file("quits.py", "raise SystemExit(7)")
    file("tuple.py", PLAIN + "args = args[0]")
    code, out, err = gradproof("check", target, *FAST)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_where_nothing_is_found_it_says_what_it_looked_for(file, gradproof):
    file("empty.py", HEAD)
    code, _, err = gradproof("check", "empty.py")
    assert code == 3
    assert "empty.py: nothing to check. Looked for: fun and params, with args and one of grad, " in err


RAISING = {
    "in the file": ("1 / 0\n", "line 1, in <module>", "ZeroDivisionError: division by zero"),
    "in what it imports": ("import no_such_helper\n", "line 1, in <module>", "ModuleNotFoundError: No module named"),
    "in problems": ("def problems():\n    raise KeyError('x')\n", "line 2, in problems", "KeyError: 'x'"),
    "in fun": (HEAD + "def f(x): raise RuntimeError('mine')\np = Problem('p', f, X)\n", "in f", "RuntimeError: mine"),
    "in the claim": (
        HEAD + "def g(x): return x @ np.ones(7)\np = Problem('p', loss, X, grad=g)\n", "in g", "ValueError: matmul"
    ),
}  # fmt: skip


@pytest.mark.parametrize("where", RAISING)
def test_an_exception_of_the_users_is_shown_from_their_file_on(file, gradproof, where):
    text, frame, last = RAISING[where]
    place = file("mine.py", text)
    code, _, err = gradproof("check", "mine.py", *FAST)
    assert code == 2
    lines = err.splitlines()
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[2].startswith(f'  File "{place}", line ')
    assert frame in lines[2]
    assert any(line.startswith(last) for line in lines)
    assert "gradproof/" not in err


def test_a_syntax_error_is_shown_with_its_line(file, gradproof):
    file("mine.py", "def f(:\n")
    code, _, err = gradproof("check", "mine.py")
    assert code == 2
    assert 'mine.py", line 1\n    def f(:\n' in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resolution", "2"], "s.py::one: resolution lies between 0 and 1; got 2.0"),
        (["--sources", "numric"], "s.py::one: unknown source 'numric'; did you mean 'numeric'?"),
        (["--leaf", "w"], "s.py::one: no leaf matches 'w'; there are: (params)"),
    ],
)
def test_a_choice_that_the_check_refuses_is_said_without_a_traceback(file, gradproof, arguments, message):
    file("s.py", SUITE)
    code, _, err = gradproof("check", "s.py::one", *arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_a_function_that_takes_something_else_is_said_with_who_called_it(file, gradproof):
    file("s.py", HEAD + "p = Problem('p', lambda x, y: 0.0, X)")
    code, _, err = gradproof("check", "s.py", *FAST)
    assert code == 2
    assert (
        "TypeError: <lambda>() missing 1 required positional argument: 'y'\ngradproof: raised by fun" in err
    )


# Imports


def test_a_file_imports_what_lies_beside_it_and_leaves_no_trace(file, gradproof):
    file("sub/beside_it.py", "FACTOR = 2")
    file(
        "sub/s.py", HEAD + "import beside_it\np = Problem('p', loss, X, grad=lambda x: beside_it.FACTOR * x)"
    )
    before = list(sys.path)
    assert gradproof("check", "sub/s.py", *FAST)[0] == 0
    assert sys.path == before
    assert "s" not in sys.modules


def test_a_file_that_changes_the_path_leaves_no_trace_either(file, gradproof):
    file("s.py", "import sys\nsys.path.append('elsewhere')\n1 / 0")
    before = list(sys.path)
    gradproof("check", "s.py")
    assert sys.path == before


def test_two_files_each_get_what_lies_beside_them(file, gradproof):
    text = HEAD + "import twin\np = Problem('p', loss, X, grad=lambda x: twin.FACTOR * x)"
    for folder, factor in (("a", 2), ("b", 3)):
        file(f"{folder}/twin.py", f"FACTOR = {factor}")
        file(f"{folder}/s.py", text)
    _, out, _ = gradproof("check", "a/s.py", "b/s.py", "--json", *FAST)
    assert [check["report"]["verdict"] for check in json.loads(out)["checks"]] == ["AGREES", "DISAGREES"]


def test_a_dataclass_in_a_file_is_a_tree(file, gradproof):
    file("s.py", HEAD + "from dataclasses import dataclass\n@dataclass\nclass P:\n    w: object\n"
         "params = P(X)\ndef fun(p): return (p.w * p.w).sum()\ndef grad(p): return P(2 * p.w)\n")  # fmt: skip
    assert gradproof("check", "s.py", *FAST)[0] == 0


# Leaves


def test_a_leaf_alone_is_checked(file, gradproof):
    file("net.py", PLAIN)
    assert gradproof("check", "net.py", "--leaf", "b", *FAST)[0] == 1
    code, out, _ = gradproof("check", "net.py", "--leaf", "w", "--json", *FAST)
    assert code == 0
    assert [leaf["path"] for leaf in json.loads(out)["checks"][0]["report"]["leaves"]] == ["w"]


def layers(rng):
    return [{"weight": rng.normal(size=(2, 2)), "bias": rng.normal(size=2)} for _ in range(2)]


def of_layers(params, x):
    for layer in params:
        x = x @ layer["weight"] + layer["bias"]
    return (x * x).sum()


def of_layers_grad(params, x):
    hidden = x @ params[0]["weight"] + params[0]["bias"]
    delta = 2 * (hidden @ params[1]["weight"] + params[1]["bias"])
    first = delta @ params[1]["weight"].T
    return [
        {"weight": x.T @ first, "bias": first.sum(0)},
        {"weight": hidden.T @ delta, "bias": 5 * delta.sum(0)},
    ]


RNG = np.random.default_rng(0)
LAYERS = Problem("layers", of_layers, layers(RNG), (RNG.normal(size=(3, 2)),), of_layers_grad)
PAIR = replace(LAYERS, grad=None, value_and_grad=lambda p, x: (of_layers(p, x), of_layers_grad(p, x)))
PULLED = replace(
    LAYERS,
    grad=None,
    vjp=lambda w, p, x: [{name: w * leaf for name, leaf in layer.items()} for layer in of_layers_grad(p, x)],
)
PUSHED = replace(
    LAYERS,
    grad=None,
    jvp=lambda v, p, x: sum(
        (tangent[name] * layer[name]).sum()
        for tangent, layer in zip(v, of_layers_grad(p, x), strict=True)
        for name in layer
    ),
)


@pytest.mark.parametrize(
    "problem", [LAYERS, PAIR, PULLED, PUSHED], ids=["grad", "value_and_grad", "vjp", "jvp"]
)
@pytest.mark.parametrize(
    ("globs", "paths", "verdict"),
    [
        (["[0]*"], ["[0].weight", "[0].bias"], "AGREES"),
        (["*.weight"], ["[0].weight", "[1].weight"], "AGREES"),
        (["[0].weight", "*bias"], ["[0].weight", "[0].bias", "[1].bias"], "DISAGREES"),
        (["[?].bias"], ["[0].bias", "[1].bias"], "DISAGREES"),
        (["*"], ["[0].weight", "[0].bias", "[1].weight", "[1].bias"], "DISAGREES"),
    ],
)
def test_leaves_are_chosen_by_globs_and_keep_their_paths(problem, globs, paths, verdict):
    report = check_problem(only(problem, globs), sources=["numeric", "hand"])
    assert list(report.leaves) == paths
    assert report.verdict.name == verdict


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_held_leaves_come_along_to_every_framework(framework):
    report = check_problem(only(LAYERS, ["[0]*"]), sources=["hand", framework])
    assert report.sources[framework].verdict.name == "AGREES"


def test_a_function_for_each_framework_is_held_too():
    one_each = replace(LAYERS, fun={"numpy": of_layers, "torch": of_layers})
    report = check_problem(only(one_each, ["[0]*"]), sources=["numeric", "hand", "torch"])
    assert [result.verdict.name for result in report.sources.values()] == 3 * ["AGREES"]


def test_a_claim_of_another_form_is_still_refused_for_it():
    lacks = replace(LAYERS, grad=lambda p, x: [{"weight": of_layers_grad(p, x)[0]["weight"]}, {}])
    report = check_problem(only(lacks, ["[0]*"]), sources=["numeric", "hand"])
    assert [f.leaf for f in report.findings if f.reason and f.reason.name == "MISSING"] == ["[0].bias"]


def test_a_glob_that_matches_nothing_lists_the_leaves():
    with pytest.raises(ValueError, match=r"no leaf matches 'x\*'; there are: \[0\]\.weight, \[0\]\.bias, "):
        only(LAYERS, ["*", "x*"])


# Output


def test_json_is_alone_on_standard_output(file, gradproof):
    file("s.py", SUITE + "print('said while it was imported')\ndef f(x):\n    print('said')\n    return loss(x)\n"
         "p = Problem('p', f, X, grad=wrong)")  # fmt: skip
    code, out, err = gradproof("check", "s.py", "s.py::nothing", "--json", *FAST)
    content = json.loads(out)
    assert (code, content["exit"], content["schema"]) == (2, 2, 1)
    assert "said while it was imported\n" in err
    assert "said\n" in err
    by_target = {check["target"]: check for check in content["checks"]}
    assert by_target["s.py::p"]["report"]["verdict"] == "DISAGREES"
    assert (by_target["s.py::p"]["problem"], by_target["s.py::p"]["exit"]) == ("p", 1)
    assert by_target["s.py::nothing"]["report"] is None
    assert "no 'nothing' in s.py" in by_target["s.py::nothing"]["error"]


def test_json_into_a_file_leaves_standard_output_as_it_is(file, gradproof, tmp_path):
    file("net.py", PLAIN)
    _, out, _ = gradproof("check", "net.py", "--json=out.json", *FAST)
    assert "DISAGREES  hand disagrees with numeric" in out
    assert checked((tmp_path / "out.json").read_text()) == ["net.py::fun"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--json", "net.py"],
            "--json took net.py for the file to write: put --json last, or write --json=FILE",
        ),
        (["--json", "net.py::fun"], "--json took net.py::fun for the file to write"),
        (["net.py", "--json=no/where.json"], "--json=no/where.json: there is no folder no"),
        (["net.py", "--html=no/where.html"], "--html=no/where.html: there is no folder no"),
        ([], "check needs a TARGET"),
    ],
)
def test_what_could_only_go_wrong_later_is_refused_at_once(file, gradproof, arguments, message):
    file("net.py", PLAIN)
    code, out, err = gradproof("check", *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_how_much_is_shown(file, gradproof):
    file("net.py", PLAIN)
    short, usual, whole = (
        gradproof("check", "net.py", *FAST, *v)[1] for v in (["--quiet"], [], ["--verbose"])
    )
    assert len(short.splitlines()) == 2
    assert len(short) < len(usual) < len(whole)
    assert "evaluations" not in short
    assert "gap" not in usual
    assert "slope hand ~ numeric" in whole


def test_several_are_told_apart_and_counted(file, gradproof):
    file(
        "s.py",
        SUITE + "bad = Problem('bad', loss, X, grad=wrong)\nraising = Problem('r', lambda x: 1 / 0, X)",
    )
    _, out, _ = gradproof("check", "s.py", "--quiet", *FAST)
    assert "s.py::listed[1]: the second\n✓ AGREES" in out
    assert out.splitlines()[-1] == "6 in all: 4 AGREES, 1 DISAGREES, 1 not checked"


@pytest.mark.parametrize("columns", ["60", "100"])
@pytest.mark.parametrize(
    "command", [["check", "net.py"], ["prove", "net.py::fun"], ["backends"], ["explain", "GP104"]]
)
def test_it_fits_the_terminal(file, gradproof, monkeypatch, columns, command):
    monkeypatch.setenv("COLUMNS", columns)
    file("net.py", PLAIN)
    _, out, _ = gradproof(*command, *(FAST if command[0] in ("check", "prove") else ()))
    assert out
    assert max(len(line) for line in out.splitlines()) <= int(columns)


@pytest.mark.parametrize("flag", [[], ["--no-color"]])
def test_no_color_means_no_escape_sequences(file, gradproof, monkeypatch, flag):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    file("net.py", PLAIN)
    _, out, _ = gradproof("check", "net.py", *FAST, *flag)
    assert ("\x1b[" in out) == (flag == [])


def test_a_page_for_each_report(file, gradproof, monkeypatch, tmp_path):
    written = []
    monkeypatch.setattr(
        Report, "to_html", lambda report, path: written.append((report.verdict.name, path.name))
    )
    file("net.py", PLAIN)
    gradproof("check", "net.py", "--html=out.html", *FAST)
    assert written == [("DISAGREES", "out.html")]
    file("s.py", SUITE)
    written.clear()
    gradproof("check", "s.py::listed", "--html=out.html", *FAST)
    assert written == [("AGREES", "out-1.html"), ("AGREES", "out-2.html")]


def test_pages_that_cannot_be_written_are_said(file, gradproof, monkeypatch):
    def lacking(report, path):
        raise ImportError("pip install jinja2")

    monkeypatch.setattr(Report, "to_html", lacking)
    file("net.py", PLAIN)
    code, _, err = gradproof("check", "net.py", "--html=out.html", *FAST)
    assert code == 2
    assert "--html=out.html: pip install jinja2" in err


# Exit codes

KINDS = (
    HEAD
    + """
agrees = Problem("agrees", loss, X, grad=right)
disagrees = Problem("disagrees", loss, X, grad=wrong)
undecided = Problem("undecided", kinked, np.zeros(3), grad=lambda x: 3 + 0 * x)
only_numpy = Problem("only numpy", lambda x: float(np.asarray(x)[0]) ** 2, X, grad=lambda x: np.array([2 * x[0], 0, 0]))
"""
)


@pytest.mark.parametrize(
    ("targets", "code"),
    [
        (["agrees"], 0),
        (["disagrees"], 1),
        (["undecided"], 3),
        (["agrees", "undecided"], 3),
        (["undecided", "disagrees", "agrees"], 1),
        (["disagrees", "no_such"], 2),
    ],
)
def test_the_worst_of_several_targets_is_the_exit_code(file, gradproof, targets, code):
    file("k.py", KINDS)
    assert gradproof("check", *(f"k.py::{name}" for name in targets), "--quiet", *FAST)[0] == code


def test_the_order_of_exit_codes():
    order = [exits.AGREES, exits.UNDECIDED, exits.MISSING, exits.DISAGREES, exits.USAGE]
    for length in range(1, 6):
        assert exits.worst(order[:length]) == exits.worst(reversed(order[:length])) == order[length - 1]
    assert exits.worst([]) == exits.UNDECIDED


def test_a_source_that_was_asked_for_and_could_not_be_asked(file, gradproof):
    file("k.py", KINDS)
    code, _, err = gradproof("check", "k.py::agrees", "--sources", "numeric,numpy")
    assert code == 4
    assert (
        "k.py::agrees: source 'numpy' was asked for, and could not be asked: the backend does not differ"
        in err
    )
    assert gradproof("check", "k.py::disagrees", "--sources", "numeric,numpy")[0] == 1


def test_a_backend_that_is_not_installed(file):
    file("k.py", KINDS)
    code = """
    import sys
    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in ("jax", "jaxlib", "torch"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.meta_path.insert(0, Absent())
    import contextlib, io, json
    from gradproof.cli import main
    def run(*arguments):
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            code = main(list(arguments))
        return code, out.getvalue(), err.getvalue()
    print(json.dumps([run("check", "k.py::agrees", "--sources", "numeric,torch"), run("check", "k.py::agrees"), run("backends")]))
    """
    asked, plain, backends = python(code)
    assert asked[0] == 4
    assert "source 'torch' was asked for, and could not be asked: its framework is not installed" in asked[2]
    assert plain[0] == 0
    assert backends[0] == 0
    assert "torch: not installed; pip install torch" in backends[1]
    assert "numpy" in backends[1]


def test_a_source_typed_that_fits_no_claim_is_refused(file, gradproof):
    file("s.py", HEAD + "p = Problem('p', loss, X)")
    code, _, err = gradproof("check", "s.py", "--sources", "numeric,hand")
    assert code == 2
    assert "sources names 'hand', but no claim was given" in err


def test_an_interruption_has_a_code_of_its_own(monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("gradproof.cli.explaining.run", interrupted)
    assert main(["explain"]) == 130
    assert capsys.readouterr().err == "gradproof: interrupted\n"


# Configuration


def test_command_line_before_file_before_default(file, gradproof):
    place = file("pyproject.toml", '[tool.gradproof]\nsources = ["numeric", "hand"]\nseed = 3\nleaf = "w"\n')
    file("sub/net.py", PLAIN)
    code, out, _ = gradproof("check", "sub/net.py", "--show-config", "--seed", "4")
    assert code == 0
    rows = {line.split()[0]: line.split(maxsplit=1)[1].rstrip() for line in out.splitlines() if line.split()}
    assert re.fullmatch(r"4\s+command line", rows["seed"])
    assert re.fullmatch(r"0\.999\s+default", rows["confidence"])
    assert rows["leaf"].startswith("w ")
    assert str(place)[:20] in rows["leaf"]
    code, out, _ = gradproof("check", "sub/net.py", "--json", "--seed", "4")
    report = json.loads(out)["checks"][0]["report"]
    assert (code, report["seed"], list(report["sources"])) == (0, 4, ["numeric", "hand"])


def test_the_configuration_of_the_current_folder_can_be_shown(file, gradproof):
    file("pyproject.toml", "[tool.gradproof]\nresolution = 0.5")
    code, out, _ = gradproof("check", "--show-config")
    assert code == 0
    assert re.search(r"resolution\s+0\.5", out)


def test_a_configuration_that_cannot_be_meant_is_a_usage_error(file, gradproof):
    file("pyproject.toml", "[tool.gradproof]\nseeds = 3")
    file("net.py", PLAIN)
    code, out, err = gradproof("check", "net.py")
    assert (code, out) == (2, "")
    assert "pyproject.toml, [tool.gradproof]: unknown key 'seeds'; did you mean 'seed'?" in err


def test_hand_in_a_file_is_for_those_that_claim_something(file, gradproof):
    file("pyproject.toml", '[tool.gradproof]\nsources = ["numeric", "jax", "hand"]')
    file("s.py", HEAD + "p = Problem('p', loss, X)")
    _, out, _ = gradproof("check", "s.py", "--json")
    assert list(json.loads(out)["checks"][0]["report"]["sources"]) == ["numeric", "jax"]


# The other commands


def test_a_proof_is_shown(file, gradproof):
    file("k.py", KINDS)
    code, out, _ = gradproof("prove", "k.py::agrees")
    assert code == 0
    assert "smallest error seen" in out
    assert re.search(r"AGREES  (\d+) of \1 planted mistakes were caught", out)


def test_a_claim_that_is_wrong_is_not_proven_and_shown(file, gradproof):
    file("k.py", KINDS)
    code, out, _ = gradproof("prove", "k.py::disagrees")
    assert code == 1
    assert "GP101" in out
    assert "nothing was planted" in out
    assert gradproof("prove", "k.py::undecided")[0] == 3


def test_one_fault_can_be_planted(file, gradproof):
    file("k.py", KINDS)
    assert "AGREES  1 of 1 planted mistakes" in gradproof("prove", "k.py::agrees", "--fault", "sign")[1]
    code, _, err = gradproof("prove", "k.py::agrees", "--fault", "sing")
    assert code == 2
    assert "did you mean 'sign'" in err


def test_a_planted_mistake_that_is_not_caught_is_undecided(file, gradproof, monkeypatch):
    prove = proofs.prove_problem

    def missing_one(*arguments, **keywords):
        proof = prove(*arguments, **keywords)
        return replace(proof, trials=(*proof.trials, replace(proof.trials[0], outcome=Outcome.MISSED)))

    monkeypatch.setattr("gradproof.cli.proofs.prove_problem", missing_one)
    file("k.py", KINDS)
    assert gradproof("prove", "k.py::agrees", "--fault", "sign")[0] == 3


def test_a_proof_needs_a_claim_and_a_target(file, gradproof):
    file("s.py", HEAD + "p = Problem('p', loss, X)")
    code, _, err = gradproof("prove", "s.py")
    assert code == 2
    assert "s.py::p: prove plants mistakes in a hand-written gradient: pass grad=" in err
    assert "prove needs a TARGET" in gradproof("prove")[2]


def test_backends_are_listed_with_what_they_can_do(gradproof, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    code, out, _ = gradproof("backends")
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0
    assert {"numpy", "jax", "torch"} <= set(rows)
    assert np.__version__ in rows["numpy"]
    assert "off; on during checks" in rows["jax"]
    assert "cpu" in rows["torch"]


def test_a_broken_backend_says_why(gradproof, monkeypatch):
    def broken(name):
        raise ImportError("libcuda.so is missing")

    monkeypatch.setattr("gradproof.cli.frameworks.load", broken)
    code, out, _ = gradproof("backends")
    assert code == 0
    assert "torch: installed, and cannot be used: ImportError: libcuda.so is missing" in out


def test_a_code_is_explained(gradproof):
    code, out, _ = gradproof("explain", "gp104")
    assert code == 0
    assert out.startswith("GP104  factor that is a size\n")
    assert "Usual cause: a mean in the function" in out


def test_all_codes_are_listed(gradproof):
    code, out, _ = gradproof("explain")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(CODES)


def test_an_unknown_code_is_a_usage_error(gradproof):
    code, _, err = gradproof("explain", "GP999")
    assert code == 2
    assert "unknown code 'GP999'" in err


# Progress


def shown(width, terminal=True, delay=0.0, calls=30, expected=100):
    """What a Meter writes to a console of `width` columns while a function is evaluated `calls` times."""
    file = StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    with Bar(console, delay) as bar, Meter("net.py::fun (2 of 5)", expected, bar) as meter:
        problem = meter.watched(LAYERS)
        for _ in range(calls):
            problem.fun(problem.params, *problem.args)
            time.sleep(0.01)
    assert meter.count == calls
    return file.getvalue()


@pytest.mark.parametrize("width", [60, 100])
def test_a_bar_counts_evaluations_and_says_what_remains(width):
    text = shown(width)
    assert re.search(r"\d+ evaluations", text)
    assert "about 00:0" in text
    assert max(len(line) for line in re.split(r"[\r\n]|\x1b\[\S*?[A-Za-z]", text)) <= width
    assert "net.py::fun (2" in text


def test_past_what_was_expected_nothing_is_estimated():
    text = shown(100, calls=60, expected=20)
    assert "about" not in text.split("evaluations")[-1]
    assert "evaluations" in text


@pytest.mark.parametrize("quiet", [{"terminal": False}, {"delay": 60.0}])
def test_what_is_quick_or_no_terminal_shows_nothing(quiet):
    assert shown(100, **quiet) == ""


def test_the_meter_counts_every_evaluation_in_every_framework():
    both = replace(LAYERS, fun={"numpy": of_layers, "torch": of_layers})
    with Meter("x", 100) as meter:
        report = check_problem(meter.watched(both), sources=["numeric", "hand", "torch"])
    assert meter.count > report.sources["numeric"].calls
