"""What a check found: one frozen object, of which everything shown is a view."""

__all__ = ["Gradients", "ProbeSummary", "Report", "SourceResult"]

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from gradproof.judging.probed import Probed
from gradproof.verdict import Certificate, Diagnosis, Finding, Location, Reason, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


@dataclass(frozen=True, slots=True)
class ProbeSummary:
    """What is kept of a probe: the slope along it from every step, extrapolated, and by every source's gradient."""

    name: str
    """ "all leaves #1", "w #2": where it leads, and which one of those it is."""
    leaf: str | None
    """Path of the only leaf that moves; None if all do."""
    steps: tuple[float, ...]
    """Falling; in sizes of the parameters."""
    slopes: tuple[float, ...]
    """Central difference with each of the `steps`."""
    value: float
    """The slope extrapolated from them."""
    bar: float
    """How far `value` can be off."""
    claims: Mapping[str, float]
    """The slope by the gradient of every source that has one."""
    kink: bool = False
    """Whether the function has a kink along it."""
    doubt: Reason | None = None
    """Why it can judge nothing, if so."""


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
    probes: tuple[Probed | ProbeSummary, ...] = field(default=(), repr=False)
    """Every probe with its ladder, so that a view can draw error against step; its summary, if read from JSON."""

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
        """What `to_json` writes, as dicts, lists, strings and numbers; one that is not finite is the string "NaN",
        "Infinity" or "-Infinity". `gradproof.report.schema.SCHEMA` describes it.
        """
        from gradproof.report.plain import as_plain  # noqa: PLC0415 -- a view is loaded when it is asked for

        return as_plain(self)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as JSON, also written to the file `path` if one is given. `from_json` reads it.

        Gradients of more than 100,000 numbers are kept in part: what every view shows of them.
        """
        from gradproof.report.plain import as_json  # noqa: PLC0415 -- a view is loaded when it is asked for

        text = as_json(self)
        _write(text, path)
        return text

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> "Report":
        """The report that `to_json` wrote: from its text (which begins with a brace), or from the file of that name.

        `gradients` are by path then, and `probes` summaries; every view is the same. Raises ValueError for what is not
        such a report, is cut off, or was written in another version of the layout.
        """
        from gradproof.report.schema_reader import read  # noqa: PLC0415 -- loaded when it is asked for

        return read(source)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as one HTML page without anything from elsewhere, also written to the file `path` if one is given.

        Raises ImportError where Jinja2 is missing: `pip install "gradproof[report]"`.
        """
        from gradproof.report.html import page  # noqa: PLC0415 -- a view is loaded when it is asked for

        text = page(self.to_dict())
        _write(text, path)
        return text

    def plot(self, leaf: str | None = None) -> "Figure":
        """A matplotlib Figure: entries of the wrong leaves, error against step, evaluations; of one `leaf` if it is named.

        Nothing of pyplot's is touched: `report.plot().savefig("report.png")`. Raises ImportError where matplotlib is
        missing (`pip install "gradproof[report]"`), and ValueError for a leaf that there is not.
        """
        from gradproof.report.plots import figure  # noqa: PLC0415 -- a view is loaded when it is asked for

        return figure(self, leaf)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from gradproof.report.html_fragment import fragment  # noqa: PLC0415 -- loaded when it is shown

        return fragment(self)


def _write(text: str, path: str | os.PathLike[str] | None) -> None:
    if path is not None:
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
