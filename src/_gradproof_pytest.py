"""Door of the pytest plugin. pytest loads it in every run: it imports nothing of the package before a test uses it."""

__all__ = ["gradproof", "pytest_addoption", "pytest_configure", "pytest_runtest_setup"]

import argparse
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradproof.testing import Checker, Choices, Summary

RANDOM = "random"
MARKER = (
    "gradproof(sources=None, resolution=None, confidence=None, seed=None, undecided=None): defaults for the checks of the "
    'test; undecided="reason" lets UNDECIDED through.'
)


@dataclass(frozen=True)
class _Run:
    """What was chosen for the whole run."""

    command_line: dict[str, Any]
    ini: dict[str, Any]
    drawn: int | None
    """The seed, where it was drawn for this run."""
    columns: int


_RUN = pytest.StashKey[_Run]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options and ini keys."""
    group = parser.getgroup("gradproof", "checks of gradients")
    sources = (
        "who is asked in every check: names with commas, like numeric,jax; hand is, wherever there is a claim"
    )
    seed = "of the probes: a whole number, or 'random' to draw one for the run"
    group.addoption("--gradproof-sources", metavar="NAMES", type=_names, help=sources)
    group.addoption("--gradproof-report", metavar="DIR", help="write a JSON file for each check into DIR")
    group.addoption("--gradproof-seed", metavar="N", type=_seed, help=seed)
    parser.addini("gradproof_sources", sources, type="args", default=[])
    parser.addini("gradproof_seed", seed, type="string", default="")
    parser.addini(
        "gradproof_resolution", "smallest relative error that has to show", type="string", default=""
    )


@pytest.hookimpl(trylast=True)  # the terminal's own comes first: its width is read
def pytest_configure(config: pytest.Config) -> None:
    """Read what was chosen. Raises UsageError for an ini value that cannot be read, and a DIR that cannot be made."""
    config.addinivalue_line("markers", MARKER)
    given = {name: config.getoption(f"--gradproof-{name}") for name in ("sources", "seed")}
    command_line = {name: value for name, value in given.items() if value is not None}
    ini = _ini(config)
    sent = getattr(config, "workerinput", {})  # of pytest-xdist: what the controller tells a worker
    drawn = None
    if command_line.get("seed", ini.get("seed")) == RANDOM:
        drawn = command_line["seed"] = sent.get("gradproof_seed") or secrets.randbelow(10**9) + 1
    writer: Any = config.pluginmanager.get_plugin("terminalreporter")
    columns = sent.get("gradproof_columns") or (writer and config.get_terminal_writer().fullwidth) or 100
    config.stash[_RUN] = _Run(command_line, ini, drawn, columns)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Controller(config), "gradproof-controller")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a marker that cannot be understood, whether the test uses the fixture or not."""
    if item.get_closest_marker("gradproof"):
        _choices(item)


@pytest.fixture
def gradproof(request: pytest.FixtureRequest) -> "Checker":
    """`gradproof(fun, params, grad=…)` takes what `gradproof.check` takes and fails the test unless the gradient agrees.

    `gradproof.problem(p)` does the same for a `gradproof.Problem`. Both return the Report.
    """
    from gradproof.testing import Checker  # noqa: PLC0415 -- nothing is loaded before a test asks for it

    def record(name: str, value: str) -> None:
        request.node.user_properties.append((name, value))

    choices, run = _choices(request.node), request.config.stash[_RUN]
    full = request.config.getoption("--gradproof-report") is not None
    return Checker(request.node.nodeid, choices, record, columns=run.columns, full=full)


class _Controller:
    """Gathers the checks of all tests; under pytest-xdist in the controlling process only."""

    def __init__(self, config: pytest.Config) -> None:
        self.run = config.stash[_RUN]
        self.folder = _folder(config)
        self.summary: Summary | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """A worker of pytest-xdist gets the seed that was drawn, and the width of the terminal."""
        node.workerinput["gradproof_seed"] = self.run.drawn
        node.workerinput["gradproof_columns"] = self.run.columns

    def pytest_report_header(self) -> str | None:
        """The seed, where it was drawn."""
        return None if self.run.drawn is None else _seed_line(self.run.drawn)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the checks of a test that is over. Before others see them, whole reports are taken out."""
        if not any(name == "gradproof" for name, _ in report.user_properties):
            return
        from gradproof.testing.summary import Summary, without_reports  # noqa: PLC0415 -- as above

        if report.when == "teardown":
            self.summary = self.summary or Summary(self.folder)
            self.summary.add(report.nodeid, report.user_properties)
        report.user_properties = without_reports(report.user_properties)

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        """What was checked, if anything was; nothing under -q -q."""
        verbosity = config.get_verbosity()
        if self.summary is None or verbosity < -1:
            return
        terminalreporter.section("gradproof")
        for line in self.summary.lines(brief=verbosity < 0):
            terminalreporter.write_line(line)
        if self.run.drawn is not None:
            terminalreporter.write_line(_seed_line(self.run.drawn))
        if self.folder is not None and verbosity >= 0:
            terminalreporter.write_line(f"reports: {self.folder}")


def _choices(item: Any) -> "Choices":
    from gradproof.testing import choose  # noqa: PLC0415 -- as above

    run = item.config.stash[_RUN]
    markers = ((marker.args, marker.kwargs) for marker in item.iter_markers("gradproof"))
    try:
        return choose(markers, run.command_line, run.ini)
    except ValueError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _folder(config: pytest.Config) -> Path | None:
    given = config.getoption("--gradproof-report")
    if given is None:
        return None
    folder = Path(config.invocation_params.dir, given)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pytest.UsageError(f"--gradproof-report={given}: no folder can be made there: {error}") from None
    return folder


def _ini(config: pytest.Config) -> dict[str, Any]:
    found = {}
    for name, read in (("sources", _names), ("seed", _seed), ("resolution", _number)):
        if value := config.getini(f"gradproof_{name}"):
            try:
                found[name] = read(",".join(value) if name == "sources" else value)
            except argparse.ArgumentTypeError as error:
                raise pytest.UsageError(f"gradproof_{name}: {error}") from None
    return found


def _names(text: str) -> list[str]:
    if names := [name.strip() for name in text.split(",") if name.strip()]:
        return names
    raise argparse.ArgumentTypeError(f"due: names with commas, like numeric,jax; got {text!r}")


def _seed(text: str) -> int | str:
    if text == RANDOM:
        return text
    if text.isascii() and text.isdigit():
        return int(text)
    raise argparse.ArgumentTypeError(f"due: a whole number from 0, or {RANDOM!r}; got {text!r}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"due: a number between 0 and 1; got {text!r}") from None


def _seed_line(seed: int) -> str:
    return f"gradproof: seed {seed} was drawn; again with --gradproof-seed={seed}"
