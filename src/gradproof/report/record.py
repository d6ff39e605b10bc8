"""What a check found: one frozen object, of which everything shown is a view."""

__all__ = ["Gradients", "Report", "SourceResult"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from gradproof.judging.probed import Probed
from gradproof.verdict import Certificate, Diagnosis, Finding, Location, Reason, Verdict


@dataclass(frozen=True, slots=True)
class SourceResult:
    """One source: its verdict, and what it cost."""

    name: str
    verdict: Verdict
    reason: Reason | None = None
    detail: str = ""
    dtype: str = ""
    """In which it computed."""
    calls: int = 0
    """Evaluations of the function (numeric), or of the gradient."""
    seconds: float = 0.0
    """Wall time spent in those calls."""


class Gradients(dict[str, Any]):
    """`{source: tree of host arrays}`, float64, for the sources that compute a whole gradient."""

    def __missing__(self, name: str) -> Any:
        if name == "numeric":
            raise KeyError(
                "numeric was probed along directions and has no entries of its own; "
                "numeric.gradient(fun, params) computes them, one coordinate at a time"
            )
        raise KeyError(f"{name!r} gave no gradient; there is one of {', '.join(self) or 'no source'}")


@dataclass(frozen=True)
class Report:
    """What a check found.

    `verdict` judges the claim; without a claim of its own, the source named by `claim`, or all that differentiate.
    """

    verdict: Verdict
    reason: Reason | None
    detail: str
    claim: str | None
    """Name of the source that was judged: "hand", or the caller's own framework; None if all were."""
    sources: Mapping[str, SourceResult]
    odd_one_out: str | None
    findings: tuple[Finding, ...]
    gradients: Gradients
    certificate: Certificate | None
    leaves: Mapping[str, tuple[tuple[int, ...], str]]
    """Shape and dtype of every leaf, by path."""
    resolution: float
    seed: int
    nearest_kink: float | None = None
    """Distance, along the first probe and in sizes of the parameters, of the nearest kink; None if none was seen."""
    locations: tuple[Location, ...] = ()
    """Where sources that disagree are wrong, one for each of their wrong leaves."""
    diagnoses: tuple[Diagnosis, ...] = ()
    """Mistakes that would explain it, the simplest first for each leaf."""
    undiagnosed: tuple[str, ...] = ()
    """Sources that disagree and whose difference no known mistake explains."""
    probes: tuple[Probed, ...] = field(default=(), repr=False)
    """Every probe with its ladder, so that a view can draw error against step."""

    def __bool__(self) -> bool:
        raise TypeError("a Report has four verdicts, not two: use report.verdict, or assert_gradients")

    def __str__(self) -> str:
        from gradproof.report.terminal import render  # noqa: PLC0415 -- rich is imported when something is shown

        return render(self)

    def show(self, verbosity: int = 1, file: TextIO | None = None) -> None:
        """Print it to `file` (default: standard output), in colour if that is a terminal.

        `verbosity` is 0 for the answer and a line per wrong leaf, 1 for at most 40 lines, 2 for everything.
        Raises ValueError for another one.
        """
        from gradproof.report.terminal import display  # noqa: PLC0415 -- rich is imported when something is shown

        display(self, verbosity, file)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays, in types that JSON has; a number that is not finite becomes None."""
        from gradproof.report.plain import as_plain  # noqa: PLC0415 -- a view is loaded when it is asked for

        return as_plain(self)
