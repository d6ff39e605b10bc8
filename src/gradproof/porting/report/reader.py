"""A PortReport read back from JSON. What is not one is refused, with where and why."""

__all__ = ["from_plain", "read", "record"]

import math
import os
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from gradproof.porting.record import PortReport
from gradproof.porting.report.schema import FORMAT, SCHEMA, VERSION
from gradproof.report.json_text import admit, parsed, text_of

_Record = TypeVar("_Record")


def read(source: str | os.PathLike[str]) -> PortReport:
    """The report in a text that begins with a brace, or in the file of that name."""
    return from_plain(parsed(*text_of(source)))


def from_plain(data: Any) -> PortReport:
    """The report of which `data` is the `to_dict`. Raises ValueError for data of another form."""
    admit(data, "report of a comparison of ports", (FORMAT, VERSION), SCHEMA)
    report = record(PortReport, data)
    _admit(report)
    return report


def record(cls: type[_Record], data: Mapping[str, Any]) -> _Record:
    """A record from its fields as plain data, each read by its annotation."""
    hints = get_type_hints(cls)
    names = [field.name for field in fields(cast("Any", cls))]  # every one is a dataclass
    return cls(**{name: _value(hints[name], data[name]) for name in names})


def _value(hint: Any, x: Any) -> Any:
    """`x` as the type `hint`: a record, an Enum, a number that may be spelled, a mapping, a tuple, or as it is."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if x is None else _value(next(one for one in inner if one is not types.NoneType), x)
    if origin is tuple:
        return tuple(_value(inner[0], item) for item in x)
    if origin in (dict, Mapping):
        return {key: _value(inner[1], value) for key, value in x.items()}
    if hint is float:
        return _number(x)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _member(hint, x)
    return record(cast("type[Any]", hint), x) if is_dataclass(hint) else x


def _number(x: Any) -> float:
    """A float; the same object for every NaN, as in a report that was never written."""
    return math.nan if x == "NaN" else float(x) if isinstance(x, str) else x


def _member(cls: type[Enum], name: str) -> Enum:
    if name not in cls.__members__:
        raise ValueError(
            f"the report has the {cls.__name__.lower()} {name!r}, which this gradproof does not know"
        )
    return cls[name]


def _admit(report: PortReport) -> None:
    """Refuse names that no view could follow."""
    if report.ports and report.reference not in report.ports:
        raise ValueError(f"the report has no port {report.reference[:200]!r}, which is its reference")
    for name, compared in report.compared.items():
        if name != compared.port:
            raise ValueError(f"the report calls the port {compared.port[:200]!r} {name[:200]!r} too")
