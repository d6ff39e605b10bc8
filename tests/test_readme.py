"""The README is a test: its Python runs from top to bottom, and prints what it says it prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def words(line):
    """A printed line without its layout and without measured seconds."""
    return [word for word in line.split() if not re.fullmatch(r"\d+\.\d{3}", word)]


@pytest.fixture(scope="module")
def output():
    """What each Python block printed; the blocks share one namespace, as a reader would type them."""
    namespace, printed = {}, []
    with pytest.MonkeyPatch.context() as terminal:
        terminal.setenv("COLUMNS", "100")
        for language, code in BLOCKS:
            if language == "python":
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(compile(code, "README.md", "exec"), namespace)
                printed.append(out.getvalue())
    return printed


def test_every_python_block_runs(output):
    assert len(output) == sum(language == "python" for language, _ in BLOCKS)


def test_the_first_example_prints_what_the_readme_shows(output):
    shown = next(code for language, code in BLOCKS if language == "text")
    printed = [words(line) for line in output[0].splitlines()]
    for line in filter(None, map(words, shown.splitlines())):
        assert line in printed


def test_the_first_twenty_lines_catch_a_wrong_gradient():
    first = "\n".join(README.splitlines()[:20])
    assert "check(loss, w, args=(x, y), grad=gradient)" in first
    assert "pip install" in first


def test_the_make_targets_exist():
    makefile = (Path(__file__).parent.parent / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make (\w+)", "\n".join(code for language, code in BLOCKS if language == "sh")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
