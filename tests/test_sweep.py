"""Sweeps: the whole product, kept line by line in a journal, the same for any number of workers."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from textwrap import dedent

import numpy as np
import pytest

from clusters import cluster, wait_until
from gradproof import Case, Problem, Sweep, Verdict, sweep
from gradproof.engine import WorkersLostError
from gradproof.engine import workers as workers_module
from gradproof.problems import PROBLEMS
from gradproof.sweeping import walk
from gradproof.sweeping.fingerprints import fingerprint
from gradproof.sweeping.terminal import render

HERE = {"sources": ("numeric", "hand")}


def cubes(shape=(3,), dtype="float64", seed=0):
    """A Problem of any shape, dtype and seed."""
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return Problem("cubes", lambda x: (x**3).sum(), x, grad=lambda x: 3 * x**2)


def doubled(shape=(2,)):
    return replace(cubes(shape), name="doubled", grad=lambda x: 6 * x**2)


def failing(seed=0):
    raise RuntimeError("no such kernel")


def said(swept_all):
    """All that must be the same, whoever checked."""
    return [
        (s.case, s.error, s.report and None if s.report is None else s.report.findings) for s in swept_all
    ]


# The product


def test_every_problem_in_every_shape_dtype_and_seed():
    found = sweep({"a": cubes, "b": doubled}, (None,), ("float64", "float32"), [(2,), (2, 3)], (0, 1), **HERE)
    assert [s.case for s in found] == [
        Case(name, None, dtype, shape, seed)
        for name in "ab"
        for dtype in ("float64", "float32")
        for shape in ((2,), (2, 3))
        for seed in (0, 1)
    ]
    assert {s.verdict for s in found.of(problem="a")} == {Verdict.AGREES}
    assert {s.verdict for s in found.of(problem="b")} == {Verdict.DISAGREES}
    assert found.verdict is Verdict.DISAGREES
    for s in found:
        ((shape, dtype),) = s.report.leaves.values()
        assert shape == s.case.shape
        assert dtype == s.case.dtype  # also of a recipe that does not take one
        assert s.report.seed == s.case.seed


def test_a_recipe_draws_with_the_seed():
    first, second = sweep({"cubes": cubes, "none": doubled}, seeds=np.arange(2), **HERE).of(problem="cubes")
    assert [s.case.seed for s in (first, second)] == [0, 1]
    assert first.report.findings[0].values != second.report.findings[0].values


def test_a_problem_is_moved_to_every_framework_and_dtype():
    problem = next(p for p in PROBLEMS if p.name == "layer norm")
    found = sweep(problem, ("numpy", "torch", "jax"), ("float64", "float32"), sources=("numeric", "hand"))
    assert [s.verdict for s in found] == [Verdict.AGREES] * 6
    for s in found:
        assert {dtype for _, dtype in s.report.leaves.values()} == {s.case.dtype}


def test_the_packages_own_problems_agree():
    assert sweep(PROBLEMS, **HERE).counts == {Verdict.AGREES: len(PROBLEMS)}


def test_one_that_raises_harms_no_other():
    found = sweep([failing, cubes], **HERE)
    assert [s.verdict for s in found] == [Verdict.UNDECIDED, Verdict.AGREES]
    assert found.cases[0].error == "RuntimeError: no such kernel"
    assert found.verdict is Verdict.UNDECIDED


def test_what_agrees_keeps_no_gradient_and_what_does_not_does():
    right, wrong = sweep([cubes, doubled], **HERE)
    assert not right.report.gradients
    assert list(wrong.report.gradients) == ["hand"]
    assert wrong.report.diagnoses[0].code == "GP101"


@pytest.mark.parametrize(
    ("axes", "says"),
    [
        ({"problems": []}, "problems is empty"),
        ({"problems": [cubes, cubes]}, "two problems are called 'cubes'"),
        ({"problems": [cubes], "dtypes": "float64"}, "dtypes is a list of values; got 'float64'"),
        ({"problems": [cubes], "seeds": 3}, "seeds is a list of values; got 3"),
        ({"problems": [cubes], "seeds": []}, "seeds is empty"),
        ({"problems": [cubes], "backends": ["toch"]}, "unknown backend 'toch'; did you mean 'torch'"),
        ({"problems": [cubes], "dtypes": ["float65"]}, "unknown dtype 'float65'; did you mean 'float64'"),
        ({"problems": PROBLEMS[:1], "shapes": [(2,)]}, "shapes were given, and rosenbrock does not take one"),
        ({"problems": [failing], "shapes": [(2,)]}, "shapes were given, and failing does not take one"),
        (
            {"problems": [cubes], "sorces": ["hand"]},
            "unknown option of sweep 'sorces'; did you mean 'sources'",
        ),
        ({"problems": [cubes], "args": (1,)}, "unknown option of sweep 'args'"),
        ({"problems": [cubes], "resolution": 7}, "resolution lies between 0 and 1; got 7"),
    ],
)
def test_axes_that_make_no_sense_are_refused(axes, says):
    with pytest.raises(ValueError, match=says):
        sweep(**{**HERE, **axes})


def test_what_is_no_problem_is_refused():
    with pytest.raises(TypeError, match="x is a int; due: a Problem, or a function"):
        sweep({"x": 3})
    found = sweep({"x": lambda: 3}, **HERE)
    assert found.cases[0].error == "TypeError: x made a int; due: a gradproof.Problem"


def test_a_sweep_has_no_truth_value():
    with pytest.raises(TypeError, match="four verdicts"):
        bool(sweep([cubes], **HERE))
    with pytest.raises(ValueError, match="a case has problem, backend, dtype, shape, seed; got 'dype'"):
        sweep([cubes], **HERE).of(dype="float64")


def test_it_is_shown_in_a_screenful():
    found = sweep({f"p{i}": doubled if i % 2 else cubes for i in range(40)}, **HERE)
    lines = render(found, 100).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert lines[-1].startswith("✗ DISAGREES  40 checks: 20 ")
    assert any(line.startswith("p1  DISAGREES") and "GP101" in line for line in lines)


# The journal


@pytest.fixture
def checked(monkeypatch):
    """Names of the cases that were checked, not read."""
    seen = []
    inner = walk.Checks.checked

    def noted(self, number):
        seen.append(self._cases[number].problem)
        return inner(self, number)

    monkeypatch.setattr(walk.Checks, "checked", noted)
    return seen


def test_a_journal_is_gone_on_with(tmp_path, checked):
    file = tmp_path / "journal.jsonl"
    first = sweep({"a": cubes, "b": doubled}, journal=file, **HERE)
    second = sweep({"a": cubes, "b": doubled, "c": failing}, journal=file, **HERE)
    assert checked == ["a", "b", "c"]
    assert said(second)[:2] == said(first)
    assert len(file.read_text().splitlines()) == 4
    assert said(Sweep.from_json(file)) == said(second)


def test_a_torn_last_line_is_checked_again(tmp_path, checked):
    file = tmp_path / "journal.jsonl"
    sweep({"a": cubes, "b": doubled}, journal=file, **HERE)
    whole = file.read_bytes()
    for length in range(len(whole) - 1, whole.index(b'"b"'), -977):
        file.write_bytes(whole[:length])
        checked.clear()
        assert len(sweep({"a": cubes, "b": doubled}, journal=file, **HERE)) == 2
        assert checked == ["b"]
        assert len(file.read_text().splitlines()) == 3
        for line in file.read_text().splitlines():
            json.loads(line)


def test_a_problem_that_was_changed_is_checked_again(tmp_path, checked):
    file = tmp_path / "journal.jsonl"
    wrong = sweep({"k": doubled}, journal=file, **HERE)
    mended = sweep({"k": lambda: cubes((2,))}, journal=file, **HERE)
    assert (wrong.verdict, mended.verdict) == (Verdict.DISAGREES, Verdict.AGREES)
    sweep({"k": lambda: cubes((2,))}, journal=file, resolution=1e-4, **HERE)
    assert checked == ["k", "k", "k"]
    assert sweep({"k": lambda: cubes((2,))}, journal=file, **HERE).verdict is Verdict.AGREES
    assert len(checked) == 3


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"hello\n", "is no journal of a sweep: line 1 is no JSON"),
        (b'{"format": "other"}\n', "is no journal of a sweep: its first line is"),
        (b"[1]\n", "is no journal of a sweep: its first line is"),
        (b"no line", "it has no whole line"),
        (b"\xff\xfe\x00\n", "is no journal"),
        (b'{"format": "gradproof-sweep", "version": 9}\n', "is a journal of version 9"),
        (b'{"format": "gradproof-sweep", "version": 1}\n{"case": 1}\n', "line 2: no entry of a sweep"),
        (b'{"format": "gradproof-sweep", "version": 1}\n{"ca\n', "line 2 is no JSON"),
    ],
)
def test_another_file_is_refused_and_left_as_it_is(tmp_path, content, says):
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=says):
        sweep([cubes], journal=file, **HERE)
    assert file.read_bytes() == content


def test_an_empty_file_becomes_a_journal(tmp_path):
    file = tmp_path / "journal.jsonl"
    file.touch()
    sweep([cubes], journal=file, **HERE)
    assert len(Sweep.from_json(file)) == 1


def test_to_json_is_a_journal(tmp_path):
    found = sweep([cubes, doubled], **HERE)
    found.to_json(tmp_path / "sweep.jsonl")
    assert said(Sweep.from_json(tmp_path / "sweep.jsonl")) == said(found)


SCRIPT = """
    import signal, sys, time
    import numpy as np
    from gradproof import Problem, sweep

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored

    def slow(seed):
        def fun(x):
            time.sleep(0.005)
            return (x * x).sum()
        return Problem("slow", fun, np.ones(3) + seed, grad=lambda x: 2 * x)

    if __name__ == "__main__":
        found = sweep([slow], seeds=range(12), journal=sys.argv[1], workers=eval(sys.argv[2]), sources=("numeric", "hand"))
        print(len(found), found.verdict.name)
"""


@pytest.mark.parametrize("workers", ["None", "2"])
def test_after_ctrl_c_the_same_call_goes_on(tmp_path, workers):
    script, journal = tmp_path / "script.py", tmp_path / "journal.jsonl"
    script.write_text(dedent(SCRIPT))
    call = [sys.executable, str(script), str(journal), workers]
    running = subprocess.Popen(call, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: journal.exists() and journal.read_text().count("\n") >= 4, 60)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode != 0
    assert err.rstrip().splitlines()[-2].startswith("KeyboardInterrupt")
    assert "of 12 cases are finished, and kept in" in err.rstrip().splitlines()[-1]
    kept = len(Sweep.from_json(journal))
    assert 3 <= kept < 12
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert done.stdout == "12 AGREES\n"
    assert journal.read_text().count("\n") == 13


# Workers


@pytest.fixture
def eager(monkeypatch):
    """An engine is worth starting at once, and every case is a block."""
    monkeypatch.setattr(workers_module, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(workers_module, "BLOCK_SECONDS", 0.0)


@pytest.mark.parametrize("workers", [2, map])
@pytest.mark.usefixtures("eager")
def test_a_sweep_is_the_same_for_any_workers(workers):
    chosen = {"a": cubes, "b": doubled, "c": failing}
    serial = sweep(chosen, seeds=range(4), **HERE)
    assert said(sweep(chosen, seeds=range(4), workers=workers, **HERE)) == said(serial)


@pytest.mark.usefixtures("eager")
def test_workers_check_elsewhere():
    """All but the first two cases, which tell how long one takes."""

    def who(seed):
        raise RuntimeError(os.getpid())

    found = [int(s.error.split()[-1]) == os.getpid() for s in sweep([who], seeds=range(6), workers=2, **HERE)]
    assert found == [True, True, False, False, False, False]


@pytest.mark.usefixtures("eager")
def test_a_cluster_that_is_lost_is_told_with_the_checks_that_are_known(tmp_path):
    with cluster(1) as dask:

        def dying(seed):
            import os
            import signal

            if seed == 5:
                os.kill(dask_pid, signal.SIGKILL)
            return cubes(seed=seed)

        dask_pid = dask.scheduler.pid
        with pytest.raises(WorkersLostError, match="went away") as caught:
            sweep([dying], seeds=range(8), workers=dask.address, journal=tmp_path / "j.jsonl", **HERE)
        known = caught.value.known
        assert 2 <= len(known) < 8
        assert (
            said(known) == said(sweep([cubes], seeds=range(8), **HERE).cases[: len(known)]) or len(known) < 6
        )
        assert len(Sweep.from_json(tmp_path / "j.jsonl")) == len(known)
    assert any("kept in" in note for note in caught.value.__notes__)


# Progress


def test_a_listener_hears_of_every_check(tmp_path):
    heard = []
    sweep([cubes], seeds=range(3), progress=heard.append, **HERE)
    assert heard[-1].done == heard[-1].expected == 3
    assert heard[-1].unit == "checks"
    assert heard[-1].remaining == 0


# What goes wrong on the way


@pytest.mark.usefixtures("eager")
def test_a_kernel_that_kills_its_process_is_an_error_of_its_case():
    here = os.getpid()

    def kernel(seed):
        if seed == 5 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return cubes(seed=seed)

    found = sweep([kernel], seeds=range(9), workers=2, **HERE)
    assert [s.case.seed for s in found if s.verdict is not Verdict.AGREES] == [5]
    assert found.cases[5].error.startswith("the process that checked it was lost: ")


def test_a_kernel_among_others_of_its_block_is_found(monkeypatch):
    """Many small cases are one block: after it was lost they are checked one by one."""
    monkeypatch.setattr(workers_module, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(workers_module, "BLOCK_SECONDS", 0.05)
    here = os.getpid()

    def kernel(seed):
        if seed == 20 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return cubes(seed=seed)

    found = sweep([kernel], seeds=range(30), workers=2, **HERE)
    assert [s.case.seed for s in found if s.verdict is not Verdict.AGREES] == [20]


def test_a_kernel_that_exits_ends_no_sweep():
    def kernel(seed):
        if seed == 1:
            raise SystemExit(3)
        return cubes(seed=seed)

    assert [s.error for s in sweep([kernel], seeds=range(3), **HERE)] == [None, "SystemExit: 3", None]


def test_a_sweep_inside_a_sweep_does_not_wait_for_itself():
    def kernel(seed):
        assert sweep([cubes], **HERE).verdict is Verdict.AGREES
        return cubes(seed=seed)

    assert sweep([kernel], seeds=range(2), **HERE).verdict is Verdict.AGREES


def test_going_on_makes_no_problem_again(tmp_path):
    made = tmp_path / "made"

    def kernel(seed):
        with made.open("a") as file:
            file.write(f"{seed} ")
        return cubes(seed=seed)

    sweep([kernel], seeds=range(3), journal=tmp_path / "j.jsonl", **HERE)
    sweep([kernel], seeds=range(4), journal=tmp_path / "j.jsonl", sources=["numeric", "hand"])
    assert made.read_text() == "0 1 2 3 "


def test_a_change_in_what_a_kernel_calls_is_seen(tmp_path):
    """In the same file: the slope's helper is mended between two runs."""
    script = tmp_path / "kernels.py"
    text = (
        "import sys\nimport numpy as np\nfrom gradproof import Problem, sweep\n"
        "def helper(x):\n    return FACTOR * x\n"
        "def slope(x):\n    return helper(x)\n"
        "def kernel(seed):\n    return Problem('k', lambda x: (x * x).sum(), np.ones(3) + seed, grad=slope)\n"
        "print(sweep([kernel], journal=sys.argv[1], sources=('numeric', 'hand')).verdict.name)\n"
    )
    verdicts = []
    for factor in ("3", "2"):
        script.write_text(text.replace("FACTOR", factor))
        call = [sys.executable, str(script), str(tmp_path / "j.jsonl")]
        verdicts.append(subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip())
    assert verdicts == ["DISAGREES", "AGREES"]


def test_what_was_kept_does_not_count_as_work_of_this_call(tmp_path):
    heard = []
    sweep([cubes], seeds=range(3), journal=tmp_path / "j.jsonl", **HERE)
    sweep([cubes], seeds=range(6), journal=tmp_path / "j.jsonl", progress=heard.append, **HERE)
    assert (heard[0].done, heard[0].before, heard[0].remaining) == (3, 3, None)
    assert heard[-1].done == 6


KERNELS = """
import numpy as np
from functools import partial
from gradproof import Problem

SCALE = {scale}

def helper(x):
    return {body}

class Slope:
    def __call__(self, x):
        return {body}

def made(c):
    return lambda: Problem("k", lambda x: c * x.sum(), np.ones(3), grad=lambda x: x)

def nested():
    return Problem("k", lambda x: sum(helper(v) for v in x), np.ones(3), grad=lambda x: x)

def scaled():
    return Problem("k", lambda x: SCALE * x.sum(), np.ones(3), grad=lambda x: x)

def by_name(*, n={scale}):
    return Problem("k", lambda x: n * x.sum(), np.ones(3), grad=lambda x: x)

recipes = {{
    "what a function inside calls": nested,
    "a constant of the file": scaled,
    "a default": by_name,
    "what is closed over": made({scale}),
    "an argument": partial(made, {scale}),
    "the function given": Problem("k", helper, np.ones(3), grad=lambda x: x),
    "an object": Problem("k", np.sum, np.ones(3), grad=Slope()),
    "an array": Problem("k", np.sum, {scale} * np.ones(3)),
    "a constant": Problem("k", np.sum, np.ones(3), args=({scale},)),
}}
"""


def kernels(scale, body):
    made = {"__name__": "kernels"}
    exec(compile(KERNELS.format(scale=scale, body=body), "kernels.py", "exec"), made)
    return made["recipes"]


@pytest.mark.parametrize("name", kernels(2.0, "x.sum()"))
def test_a_fingerprint_is_of_all_that_can_be_reached(name):
    first, same, other = (kernels(*given)[name] for given in [(2.0, "x.sum()")] * 2 + [(3.0, "2 * x.sum()")])
    assert fingerprint("k", first, {}) == fingerprint("k", same, {})
    assert fingerprint("k", first, {}) != fingerprint("k", other, {})
    assert fingerprint("k", first, {}) != fingerprint("other", first, {})
    assert fingerprint("k", first, {}) != fingerprint("k", first, {"resolution": 1e-4})
