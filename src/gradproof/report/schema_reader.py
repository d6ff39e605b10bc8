"""A Report read back from JSON. What is not one is refused, with where and why."""

__all__ = ["from_plain", "read"]

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar, cast

from gradproof.report.json_text import admit, parsed, text_of
from gradproof.report.record import ProbeSummary, Report, SourceResult
from gradproof.report.schema import FORMAT, SCHEMA, VERSION
from gradproof.report.schema_arrays import gradients_from
from gradproof.verdict import Certificate, Diagnosis, Finding, Location, Reason, Verdict

_Record = TypeVar("_Record")

_FLOATS = {
    "bar", "bound", "confidence", "gap", "nearest_kink", "numeric", "numeric_bar", "relative", "resolution", "scale",
    "seconds", "share", "value",
}  # fmt: skip
"""Fields that hold a number which may be spelled."""


def read(source: str | os.PathLike[str]) -> Report:
    """The report in a text that begins with a brace, or in the file of that name."""
    return from_plain(parsed(*text_of(source)))


def from_plain(data: Any) -> Report:
    """The report of which `data` is the `to_dict`. Raises ValueError for data of another form."""
    admit(data, "gradproof report", (FORMAT, VERSION), SCHEMA)
    report = _report(data)
    for what, path, index in _indices(report):
        _admit_index(what, path, index, report)
    return report


def _report(data: Mapping[str, Any]) -> Report:
    return Report(
        verdict=Verdict[data["verdict"]],
        reason=_reason(data["reason"]),
        detail=data["detail"],
        claim=data["claim"],
        sources={name: _record(SourceResult, source) for name, source in data["sources"].items()},
        odd_one_out=data["odd_one_out"],
        findings=_records(Finding, data["findings"]),
        gradients=gradients_from(data["gradients"]["sources"]),
        certificate=_record(Certificate, data["certificate"]) if data["certificate"] else None,
        leaves={leaf["path"]: (tuple(leaf["shape"]), leaf["dtype"]) for leaf in data["leaves"]},
        resolution=_number(data["resolution"]),
        seed=data["seed"],
        nearest_kink=None if data["nearest_kink"] is None else _number(data["nearest_kink"]),
        locations=_records(Location, data["locations"]),
        diagnoses=_records(Diagnosis, data["diagnoses"]),
        undiagnosed=tuple(data["undiagnosed"]),
        probes=_records(ProbeSummary, data["probes"]),
    )


def _records(cls: type[_Record], data: Iterable[Mapping[str, Any]]) -> tuple[_Record, ...]:
    return tuple(_record(cls, item) for item in data)


def _record(cls: type[_Record], data: Mapping[str, Any]) -> _Record:
    names = [field.name for field in fields(cast("Any", cls))]  # every one is a dataclass
    return cls(**{name: _value(name, data[name]) for name in names})


def _value(name: str, x: Any) -> Any:
    """A field of any of the records, by its name: they mean the same in all of them."""
    if name == "verdict":
        return Verdict[x]
    if name in ("reason", "doubt"):
        return _reason(x)
    if name in _FLOATS:
        return _number(x)
    if name in ("values", "claims"):
        return {key: _number(value) for key, value in x.items()}
    if isinstance(x, list):
        return tuple(tuple(item) if isinstance(item, list) else _number_or_text(name, item) for item in x)
    return x


def _number_or_text(name: str, x: Any) -> Any:
    return _number(x) if name in ("errors", "bars", "steps", "slopes") else x


def _number(x: Any) -> Any:
    return float(x) if isinstance(x, str) else x


def _reason(name: str | None) -> Reason | None:
    if name is None:
        return None
    if name not in Reason.__members__:
        raise ValueError(f"the report has the reason {name!r}, which this gradproof does not know")
    return Reason[name]


def _indices(report: Report) -> Iterable[tuple[str, str, tuple[int, ...]]]:
    """(what names it, leaf, index) of every entry that a view will ask for."""
    yield from (("a finding", f.leaf, f.worst) for f in report.findings if f.leaf and f.worst is not None)
    yield from (("a location", place.leaf, entry) for place in report.locations for entry in place.entries)


def _admit_index(what: str, path: str, index: tuple[int, ...], report: Report) -> None:
    if path not in report.leaves:
        return
    shape = report.leaves[path][0]
    if len(index) != len(shape) or any(i >= n for i, n in zip(index, shape, strict=True)):
        raise ValueError(f"{what} names entry {list(index)} of {path[:200]}, whose shape is {list(shape)}")
