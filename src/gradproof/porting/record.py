"""What a comparison of ports found: one frozen object, of which everything shown is a view."""

__all__ = ["Compared", "Mark", "PortReport", "PortResult", "Row"]

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import nan
from typing import Any, TextIO

from gradproof.porting.layouts.layout import Layout
from gradproof.verdict import Diagnosis, Finding, Reason, Verdict


class Mark(Enum):
    """What became of a node in one direction."""

    AGREES = "agrees"
    WRONG = "wrong here"
    """It differs although all that it is computed from agrees."""
    CARRIED = "carried"
    """It differs, and would not on the reference's inputs."""
    UNDECIDED = "undecided"
    UNMATCHED = "no counterpart"
    UNSEEN = "not seen"
    """Integers, nothing was differentiated, or the loss does not depend on it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A node of the layer tree, in the order of the computation. Numbers are in units of the value (of the cotangent)."""

    key: str
    """The reference's name of it; "" if only the port has it."""
    other: str
    """The port's; "" if only the reference has it."""
    role: str
    kind: str
    other_kind: str
    shape: tuple[int, ...]
    other_shape: tuple[int, ...]
    forward: Mark
    backward: Mark
    gap: float = nan
    """Largest difference, as the ports ran by themselves."""
    bar: float = nan
    """Largest difference that rounding explains."""
    scale: float = nan
    """Root mean square of the reference's values."""
    local_gap: float = nan
    """Largest difference on the reference's own inputs; NaN where it was not run."""
    backward_gap: float = nan
    backward_bar: float = nan
    backward_scale: float = nan
    backward_local_gap: float = nan


@dataclass(frozen=True, slots=True)
class Compared:
    """One port against the reference."""

    port: str
    verdict: Verdict
    reason: Reason | None
    detail: str
    layout: Layout
    transferred: bool
    """Whether the reference's parameters were transferred into the port's layout before the runs, for its own were others."""
    findings: tuple[Finding, ...]
    """In the order of the stages. `what` is "inputs", "parameter", "output", "loss", "forward", "backward", "gradient", "buffer", "step" or "precision"; `leaf` the
    node or parameter, in the reference's name; `sources` the reference and the port."""
    rows: tuple[Row, ...]
    first_forward: str | None
    """Key (of the reference, else of the port) of the first node that is wrong by itself; None if there is none."""
    first_backward: str | None
    """The same for cotangents: the first from the loss backwards."""
    diagnoses: tuple[Diagnosis, ...] = ()
    """`source` is the port, `leaves` the nodes or parameters concerned."""
    undiagnosed: tuple[str, ...] = ()
    """Nodes and parameters that are wrong by themselves and whose difference no known mistake explains."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortResult:
    """What is known of one port by itself."""

    name: str
    framework: str
    parameters: int
    """Number of numbers that are trained."""
    dtype: str
    """In which it runs on its own: "float32"."""
    rounding: float = nan
    """Largest error of its own run against its run in float64, in the outputs, relative to their root mean square."""
    gradient_rounding: float = nan
    """The same of its gradients."""
    numeric: Verdict | None = None
    """Whether its gradient is that of its own function, by finite differences; None if that was not asked."""
    numeric_detail: str = ""
    runs: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class PortReport:
    """What `compare` found. `verdict` is AGREES only if every port agrees with the reference in every stage."""

    verdict: Verdict
    reason: Reason | None
    detail: str
    reference: str
    ports: Mapping[str, PortResult]
    compared: Mapping[str, Compared]
    """Every other port, by name."""
    odd_one_out: str | None
    """The port that alone differs from others which agree, or whose gradient alone is not that of the function."""
    seed: int

    def __bool__(self) -> bool:
        raise TypeError("a PortReport has three verdicts, not two: use report.verdict")

    def __str__(self) -> str:
        from gradproof.porting.report.terminal import render  # noqa: PLC0415 -- loaded when something is shown

        return render(self)

    def show(self, verbosity: int = 1, file: TextIO | None = None) -> None:
        """Print it to `file` (default: standard output), in colour if that is a terminal.

        `verbosity` is 0 for the answer and a line per wrong port, 1 for at most 40 lines, 2 for everything.
        Raises ValueError for another one.
        """
        from gradproof.porting.report.terminal import display  # noqa: PLC0415 -- loaded when something is shown

        display(self, verbosity, file)

    def to_dict(self) -> dict[str, Any]:
        """What `to_json` writes, as dicts, lists, strings and numbers; one that is not finite is the string "NaN",
        "Infinity" or "-Infinity". `gradproof.porting.report.schema.SCHEMA` describes it.
        """
        from gradproof.porting.report.plain import as_plain  # noqa: PLC0415 -- a view is loaded when it is asked for

        return as_plain(self)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as JSON, all of it, also written to the file `path` if one is given. `from_json` reads it."""
        from gradproof.porting.report.plain import as_json  # noqa: PLC0415 -- a view is loaded when it is asked for

        text = as_json(self)
        _write(text, path)
        return text

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> "PortReport":
        """The report that `to_json` wrote: from its text (which begins with a brace), or from the file of that name.

        Raises ValueError for what is not such a report, is cut off, or was written in another version of the layout.
        """
        from gradproof.porting.report.reader import read  # noqa: PLC0415 -- loaded when it is asked for

        return read(source)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as one HTML page without anything from elsewhere, also written to the file `path` if one is given.

        Raises ImportError where Jinja2 is missing: `pip install "gradproof[report]"`.
        """
        from gradproof.porting.report.html import page  # noqa: PLC0415 -- a view is loaded when it is asked for

        text = page(self)
        _write(text, path)
        return text

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from gradproof.porting.report.html_fragment import fragment  # noqa: PLC0415 -- loaded when it is shown

        return fragment(self)


def _write(text: str, path: str | os.PathLike[str] | None) -> None:
    if path is not None:
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
