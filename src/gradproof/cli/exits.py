"""Exit codes, and which of several counts."""

__all__ = [
    "AGREES",
    "DISAGREES",
    "INTERRUPTED",
    "MISSING",
    "UNDECIDED",
    "USAGE",
    "of_report",
    "refused",
    "worst",
]

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gradproof.verdict import Verdict

if TYPE_CHECKING:
    from gradproof.report import Report

AGREES, DISAGREES, USAGE, UNDECIDED, MISSING = 0, 1, 2, 3, 4
"""Everything came out as it should; it did not; the command line or a file was wrong; nothing could be shown, or there
was nothing to check; a source that was asked for could not be asked."""

INTERRUPTED = 130
"""Ctrl-C: what shells expect, 128 + SIGINT."""

_WORST_FIRST = (USAGE, DISAGREES, MISSING, UNDECIDED, AGREES)


def worst(codes: Iterable[int]) -> int:
    """The one of `codes` that counts; UNDECIDED if there are none, for then nothing was checked."""
    return min(codes, key=_WORST_FIRST.index, default=UNDECIDED)


def refused(report: "Report", asked: Sequence[str]) -> list[str]:
    """Sources that were `asked` for by name and could not be asked."""
    return [name for name in asked if report.sources[name].verdict is Verdict.UNSUPPORTED]


def of_report(report: "Report", asked: Sequence[str]) -> int:
    """Exit code of one check in which the sources `asked` were named."""
    if report.verdict is Verdict.DISAGREES:
        return DISAGREES
    if refused(report, asked):
        return MISSING
    return AGREES if report.verdict is Verdict.AGREES else UNDECIDED
