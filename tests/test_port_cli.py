"""`gradproof port`: targets in, what differs out, and exit codes that a script can use."""

import json
import sys
from types import ModuleType
from unittest.mock import Mock

import pytest

import port_reports as made
from gradproof.cli import main
from gradproof.porting.layouts.layout import Layout
from gradproof.porting.port import NotRunnableError
from gradproof.porting.record import PortReport

FILE = """
import numpy as np
from gradproof.porting.problem import PortProblem

class Own:
    def __init__(self, framework):
        self.framework, self.parameters, self.buffers, self.shared, self.modules = framework, {}, {}, {}, {}
        self.has_loss, self.differentiates = False, False
    def run(self, call):
        raise ValueError("the network is broken")
    def step(self, optimizer, parameters, gradients):
        return {}

ports = {"torch": Own("torch"), "flax": Own("flax")}
others = {"numpy": Own("numpy"), "flax": Own("flax")}
inputs = (np.ones(3),)
targets = (np.zeros(3),)
gpt = PortProblem(ports, inputs, reference="flax", layout={"a": "b"}, optimizers={"torch": 1, "flax": 2}, ignore=("buffer",))
both = [gpt, PortProblem(others, inputs)]
_private = PortProblem(ports, inputs)
seven = 7

def make():
    print("made")
    return PortProblem(ports, inputs, name="made")

def make_ports():
    return ports

def needs(x):
    return x

def broken():
    raise ArithmeticError("in the user's code")
"""


@pytest.fixture
def asked(monkeypatch):
    """What `compare` was asked; it answers with `answers`, the last of them again and again."""
    calls = []
    module = ModuleType("gradproof.porting.compare")
    module.answers = [made.agreeing()]

    def compare(ports, inputs, **more):
        calls.append((ports, inputs, more))
        return module.answers.pop(0) if len(module.answers) > 1 else module.answers[0]

    module.compare, module.calls = compare, calls
    monkeypatch.setitem(sys.modules, "gradproof.porting.compare", module)
    return module


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "net.py").write_text(FILE)
    return tmp_path / "net.py"


# Targets


def test_a_problem_is_compared_as_it_says(file, asked, capsys):
    assert main(["port", "net.py::gpt", "--seed", "3", "--no-numeric"]) == 0
    ((ports, inputs, more),) = asked.calls
    assert list(ports) == ["torch", "flax"]
    assert len(inputs) == 1
    assert more == {
        "targets": (), "reference": "flax", "layout": {"a": "b"}, "optimizers": {"torch": 1, "flax": 2}, "ignore": ("buffer",), "numeric": False,
        "seed": 3, "progress": True,
    }  # fmt: skip
    assert "✓ AGREES  torch ~ flax ~ numpy" in capsys.readouterr().out


def test_a_dict_of_ports_takes_the_inputs_beside_it(file, asked):
    assert main(["port", "net.py::others", "--reference", "flax"]) == 0
    ((ports, inputs, more),) = asked.calls
    assert list(ports) == ["numpy", "flax"]
    assert inputs[0].tolist() == [1, 1, 1]
    assert more["targets"][0].tolist() == [0, 0, 0]
    assert more["reference"] == "flax"
    assert more["numeric"]


def test_a_function_is_called(file, asked, capsys):
    assert main(["port", "net.py::make"]) == 0
    assert main(["port", "net.py::make_ports"]) == 0
    assert len(asked.calls) == 2
    assert "made" in capsys.readouterr().out


def test_without_a_name_everything_is_compared_once(file, asked, capsys):
    assert main(["port", "net.py"]) == 0
    assert len(asked.calls) == 3  # gpt, the other of `both`, and ports beside inputs


def test_a_module_is_a_target(file, asked, monkeypatch):
    monkeypatch.syspath_prepend(file.parent)
    assert main(["port", "net:gpt"]) == 0


def test_a_file_without_ports_is_undecided(file, asked, capsys):
    (file.parent / "empty.py").write_text("x = 1\n")
    assert main(["port", "empty.py"]) == 3
    assert "nothing to compare. Looked for: a gradproof.PortProblem" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("net.py::gtp", "did you mean net.py::gpt?"),
        ("net.py::seven", "is a int without ports; looked for"),
        ("net.py::needs", "is a function of x; due: a function without arguments that returns a PortProblem"),
        ("nothing.py", "is not there"),
        ("net.txt", "is no Python file"),
    ],
)
def test_a_target_that_cannot_be_used_is_said(file, asked, capsys, target, message):
    (file.parent / "net.txt").write_text("")
    assert main(["port", target]) == 2
    assert message in capsys.readouterr().err
    assert asked.calls == []


def test_ports_without_inputs_are_said(file, asked, capsys):
    (file.parent / "half.py").write_text(
        FILE.replace("inputs = (np.ones(3),)", "xs = (np.ones(3),)").replace("inputs", "xs")
    )
    assert main(["port", "half.py::ports"]) == 2
    assert "has ports, and its module no inputs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "port needs a TARGET"),
        (["a.npz"], "recorded ports are compared with each other"),
        (["a.npz", "net.py"], "recorded ports are compared with each other"),
        (["--json", "net.py"], "put --json last"),
        (["net.py", "--html", "b.npz"], "put --html last"),
        (["net.py", "--html", "none/x.html"], "there is no folder none"),
    ],
)
def test_options_that_do_not_fit_are_refused(file, asked, capsys, arguments, message):
    assert main(["port", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert asked.calls == []


def test_recorded_files_are_compared(file, monkeypatch, capsys):
    module, calls = ModuleType("gradproof.porting.recording.files"), []
    module.compare_files = lambda *paths, **more: calls.append((paths, more)) or made.forward()
    monkeypatch.setitem(sys.modules, "gradproof.porting.recording.files", module)
    assert main(["port", "a.npz", "b.npz", "--no-numeric"]) == 1
    assert calls == [(("a.npz", "b.npz"), {"reference": None, "numeric": False, "seed": 0, "progress": True})]
    assert "◄ here" in capsys.readouterr().out


# Answers


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (made.agreeing(), 0), (made.forward(), 1), (ValueError("compare needs two ports"), 2), (made.undecided(), 3),
        (NotRunnableError("the file holds no run of this"), 3), (ModuleNotFoundError("no", name="flax.nnx"), 4),
    ],
)  # fmt: skip
def test_exit_codes(file, asked, capsys, answer, code):
    asked.compare = Mock(side_effect=[answer])  # which raises an exception outside of any code of the user's
    assert main(["port", "net.py::gpt"]) == code
    if isinstance(answer, Exception):
        assert "Traceback" not in capsys.readouterr().err


def test_of_several_the_worst_counts_and_each_is_named(file, asked, capsys):
    asked.answers = [made.agreeing(), made.forward(), made.undecided()]
    assert main(["port", "net.py"]) == 1
    assert main(["port", "net.py::gpt", "net.py::others"]) == 3
    assert "net.py::others" in capsys.readouterr().out


def test_a_framework_that_is_missing_is_named(file, asked, capsys):
    (file.parent / "jaxless.py").write_text(
        'raise ModuleNotFoundError("No module named \'equinox\'", name="equinox")\n'
    )
    assert main(["port", "jaxless.py"]) == 4
    assert "equinox is not installed: pip install equinox" in capsys.readouterr().err
    (file.parent / "door.py").write_text(
        'try:\n    raise ModuleNotFoundError("x", name="flax")\nexcept ImportError as error:\n'
        '    raise ImportError("a port of flax needs it installed: pip install") from error\n'
    )
    assert main(["port", "door.py"]) == 4
    assert "a port of flax needs it installed: pip install" in capsys.readouterr().err


def test_a_module_of_the_users_that_is_missing_is_an_error_of_the_file(file, asked, capsys):
    (file.parent / "own.py").write_text("import no_such_helper\n")
    assert main(["port", "own.py"]) == 2
    assert "No module named 'no_such_helper'" in capsys.readouterr().err


def test_what_the_users_code_raises_is_shown_from_there_on(file, asked, capsys):
    assert main(["port", "net.py::broken"]) == 2
    error = capsys.readouterr().err
    assert "ArithmeticError: in the user's code" in error
    assert "net.py" in error
    assert "port_targets.py" not in error


# What is written


def test_json_alone_on_standard_output(file, asked, capsys):
    asked.answers = [made.forward()]
    assert main(["port", "net.py::make", "--json"]) == 1
    told = capsys.readouterr()
    content = json.loads(told.out)
    assert (content["schema"], content["exit"]) == (1, 1)
    (one,) = content["ports"]
    assert (one["target"], one["exit"], one["error"]) == ("net.py::make()", 1, None)
    assert PortReport.from_json(json.dumps(one["report"])).to_json() == made.forward().to_json()
    assert "made" in told.err


def test_json_in_a_file_keeps_errors_too(file, asked, capsys):
    asked.compare = Mock(side_effect=[ValueError("compare needs two ports"), made.agreeing()])
    assert main(["port", "net.py::gpt", "net.py::others", "--json", "out.json"]) == 2
    first, second = json.loads((file.parent / "out.json").read_text())["ports"]
    assert first["report"] is None
    assert first["error"] == "compare needs two ports"
    assert second["exit"] == 0


def test_a_page_and_the_layouts(file, asked):
    assert main(["port", "net.py::gpt", "--html", "out.html", "--layout", "map.json"]) == 0
    assert (file.parent / "out.html").read_text(encoding="utf-8") == made.agreeing().to_html()
    maps = [(file.parent / f"map-{number}.json").read_text(encoding="utf-8") for number in (1, 2)]
    assert maps == [compared.layout.to_json() for compared in made.agreeing().compared.values()]
    asked.answers = [made.report(made.compared("flax"))]
    assert main(["port", "net.py::gpt", "--layout", "map.json"]) == 0
    assert Layout.from_json((file.parent / "map.json").read_text(encoding="utf-8")) == made.layout()


@pytest.mark.parametrize(
    ("flag", "lines"),
    [("-q", range(1, 5)), ("--quiet", range(1, 5)), ("-v", range(60, 200)), ("--no-color", range(10, 41))],
)
def test_how_much_is_shown(file, asked, capsys, flag, lines):
    asked.answers = [made.forward()]
    assert main(["port", "net.py::gpt", flag]) == 1
    assert len(capsys.readouterr().out.splitlines()) in lines


def test_settings_come_from_the_nearest_file(file, asked, capsys):
    (file.parent / "pyproject.toml").write_text("[tool.gradproof]\nseed = 11\n")
    assert main(["port", "net.py::gpt"]) == 0
    assert asked.calls[0][2]["seed"] == 11
