"""The callable that a test gets: `check`, recorded, and a failure unless the gradient is proven."""

__all__ = ["FULL", "SHORT", "Checker", "NotProven"]

import json
from collections.abc import Callable, Iterator, Mapping
from shlex import quote
from time import perf_counter
from typing import Any

from gradproof.check import GradientMismatch, check
from gradproof.problems import Problem
from gradproof.report import Report
from gradproof.report.words import in_words
from gradproof.sources import Function
from gradproof.testing.choices import Choices
from gradproof.verdict import Verdict

SHORT, FULL = "gradproof", "gradproof-report"
"""Names of the properties of a test in which a check travels: one line for people and JUnit, and all of it."""

INDENT = 12
"""Columns that pytest puts before the lines of a message, in a method."""

LEAST_COLUMNS = 40


class NotProven(GradientMismatch):
    """A test's gradient was not shown to agree. The message is the answer, then the whole report."""

    __module__ = (
        "gradproof.testing"  # what pytest prints before the answer; its last lines are cut at the right
    )

    def __init__(self, report: Report, lines: Iterator[str], columns: int) -> None:
        from gradproof.report.terminal import render  # noqa: PLC0415 -- rich is imported when something is shown

        remarks = list(lines)
        answer = render(report, 10_000, verbosity=0).splitlines()[-1]
        text = render(report, max(columns - INDENT, LEAST_COLUMNS))
        failed = report.verdict is not Verdict.AGREES
        head = answer if failed else remarks[0]
        AssertionError.__init__(self, "\n".join([head, "", text, "", *remarks]))
        self.report = report


class Checker:
    """`check` for one test: with the test's defaults, recorded, and a failed assertion unless the verdict is AGREES.

    UNDECIDED is let through where the test's marker says why it may be. A source that was asked for by name and could
    not be asked is a failure too.
    """

    def __init__(
        self,
        test: str,
        choices: Choices,
        record: Callable[[str, str], None],
        *,
        columns: int = 100,
        full: bool = False,
    ) -> None:
        """`test` is its node id; `record(name, value)` keeps a property of it, with the `full` report if asked for."""
        self._test = test
        self._choices = choices
        self._record = record
        self._columns = columns
        self._full = full

    def __call__(self, fun: Function | Mapping[str, Function], params: Any, /, **keywords: Any) -> Report:
        """Check `fun` at `params`; the keywords are those of `gradproof.check`.

        Raises NotProven, an AssertionError that prints the report, and whatever `check` raises.
        """
        __tracebackhide__ = True
        return self._checked(getattr(fun, "__name__", type(fun).__name__), fun, params, keywords)

    def problem(self, problem: Problem, /, **keywords: Any) -> Report:
        """The same for a Problem; takes the other keywords of `gradproof.check`. Raises what a call raises."""
        __tracebackhide__ = True
        given = {"args": problem.args, **problem.claims(), **keywords}
        return self._checked(problem.name, problem.fun, problem.params, given)

    def _checked(self, name: str, fun: Any, params: Any, given: Mapping[str, Any]) -> Report:
        __tracebackhide__ = True
        keywords = self._choices.keywords(given)
        start = perf_counter()
        report = check(fun, params, **keywords)
        seconds = perf_counter() - start
        refused = _not_asked(report, keywords.get("sources"))
        allowed = self._choices.undecided if report.verdict is Verdict.UNDECIDED else None
        passed = not refused and (report.verdict is Verdict.AGREES or allowed is not None)
        self._keep(name, report, {"seconds": round(seconds, 6), "allowed": allowed, "passed": passed})
        if not passed:
            raise NotProven(report, self._remarks(report, refused, "seed" in given), self._columns)
        return report

    def _keep(self, name: str, report: Report, more: Mapping[str, Any]) -> None:
        row = {
            "check": name,
            "verdict": report.verdict.value,
            "reason": report.reason.name if report.reason else None,
            "sources": {source: result.verdict.value for source, result in report.sources.items()},
            "evaluations": sum(result.calls for result in report.sources.values()),
            "seed": report.seed,
            **more,
        }
        self._record(SHORT, json.dumps(row))
        if self._full:
            self._record(FULL, json.dumps(report.to_dict()))

    def _remarks(self, report: Report, refused: list[str], called_with_seed: bool) -> Iterator[str]:
        yield from refused
        fixed = called_with_seed or self._choices.marked
        yield f"again: pytest {quote(self._test)}{'' if fixed else f' --gradproof-seed={report.seed}'}"


def _not_asked(report: Report, sources: Any) -> list[str]:
    """A line for each source that was asked for by name and could not be asked."""
    names = [] if sources is None else [sources] if isinstance(sources, str) else sources
    refused = [name for name in names if report.sources[name].verdict is Verdict.UNSUPPORTED]
    return [
        f"source {name!r} was asked for, and could not be asked: {_why(report, name)}" for name in refused
    ]


def _why(report: Report, name: str) -> str:
    result = report.sources[name]
    return ": ".join(filter(None, [in_words(result.reason), result.detail]))
