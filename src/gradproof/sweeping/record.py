"""What a sweep found: a Report, or an error, for every case."""

__all__ = ["Case", "Sweep", "Swept"]

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gradproof.report import Report
from gradproof.verdict import Verdict

FORMAT, VERSION = "gradproof-sweep", 1
"""Of the journal, and of `to_json`, which is the same file."""


class Case(NamedTuple):
    """One check of a sweep. None where the sweep left that to the problem."""

    problem: str
    """Its name."""
    backend: str | None = None
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    seed: int = 0

    def __str__(self) -> str:
        shape = self.shape and "×".join(map(str, self.shape))
        said = [self.problem, self.backend, self.dtype, shape, f"seed {self.seed}" if self.seed else None]
        return " ".join(word for word in said if word)


@dataclass(frozen=True, slots=True)
class Swept:
    """What became of a case: a Report, or what was raised."""

    case: Case
    report: Report | None
    """Of one that AGREES, without its gradients."""
    error: str | None
    seconds: float
    fingerprint: str = ""
    """Of the problem and the options: a journal's entry is taken for the same case only while these stay as they are."""

    @property
    def verdict(self) -> Verdict:
        """That of the report; UNDECIDED where there is none."""
        return Verdict.UNDECIDED if self.report is None else self.report.verdict

    def to_dict(self) -> dict[str, Any]:
        """In types that JSON has."""
        report = None if self.report is None else self.report.to_dict()
        if report is not None and self.verdict is Verdict.AGREES:
            report["gradients"] = {"complete": False, "sources": {}}
        return {
            "case": list(self.case), "fingerprint": self.fingerprint, "seconds": self.seconds, "error": self.error,
            "report": report,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Swept":
        """What `to_dict` gave. Raises ValueError, TypeError or KeyError for anything else."""
        from gradproof.report.schema_reader import from_plain  # noqa: PLC0415 -- loaded when it is asked for

        problem, backend, dtype, shape, seed = data["case"]
        case = Case(problem, backend, dtype, None if shape is None else tuple(shape), seed)
        report = from_plain(data["report"]) if data["report"] is not None else None
        return cls(case, report, data["error"], float(data["seconds"]), data["fingerprint"])


@dataclass(frozen=True)
class Sweep:
    """Every case of a sweep, in the order of the product."""

    cases: tuple[Swept, ...]

    @property
    def verdict(self) -> Verdict:
        """AGREES if every case does; else DISAGREES if one does; else UNDECIDED if one is, or none was checked."""
        found = set(self.counts)
        order = (Verdict.DISAGREES, Verdict.UNDECIDED, Verdict.UNSUPPORTED, Verdict.AGREES)
        return next((verdict for verdict in order if verdict in found), Verdict.UNDECIDED)

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """Number of cases, by verdict."""
        return Counter(swept.verdict for swept in self.cases)

    def of(self, **named: Any) -> "Sweep":
        """The cases in which every named one of problem, backend, dtype, shape and seed is as given.

        Raises ValueError for another name.
        """
        for name in named:
            if name not in Case._fields:
                raise ValueError(f"a case has {', '.join(Case._fields)}; got {name!r}")
        return Sweep(tuple(s for s in self if all(getattr(s.case, n) == value for n, value in named.items())))

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """JSON lines, one per case after a first that says what they are; also written to the file `path`, if given."""
        text = "".join(f"{line}\n" for line in [header(), *(as_line(swept) for swept in self)])
        if path is not None:
            Path(path).write_text(text, encoding="utf-8", newline="\n")
        return text

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "Sweep":
        """The sweep in a file that `to_json` wrote, or in a journal, as far as that has come.

        Raises ValueError for another file.
        """
        from gradproof.sweeping.journal import entries  # noqa: PLC0415 -- it writes and reads these records

        return cls(tuple(entries(Path(path))))

    def __iter__(self) -> Iterator[Swept]:
        return iter(self.cases)

    def __len__(self) -> int:
        return len(self.cases)

    def __bool__(self) -> bool:
        raise TypeError("a Sweep has four verdicts, not two: use sweep.verdict")

    def __str__(self) -> str:
        from gradproof.sweeping.terminal import render  # noqa: PLC0415 -- rich is imported when something is shown

        return render(self)


def header() -> str:
    """First line of a journal."""
    return json.dumps({"format": FORMAT, "version": VERSION})


def as_line(swept: Swept) -> str:
    """A line of a journal."""
    return json.dumps(swept.to_dict())


def in_order(found: Mapping[Case, Swept], cases: Iterable[Case]) -> Sequence[Swept]:
    """What was found, in the order of the `cases`."""
    return [found[case] for case in cases if case in found]
