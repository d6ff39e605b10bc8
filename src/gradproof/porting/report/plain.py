"""A PortReport as plain data: dicts, lists, strings, numbers. All that is written to a file is a view of these."""

__all__ = ["as_json", "as_plain", "plain"]

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from gradproof.porting.report.schema import FORMAT, VERSION

if TYPE_CHECKING:
    from gradproof.porting.record import PortReport


def as_plain(report: "PortReport") -> dict[str, Any]:
    """`report` in types that JSON has, as `schema.SCHEMA` describes it."""
    return {"format": FORMAT, "schema": VERSION, **plain(report)}


def as_json(report: "PortReport") -> str:
    """`report` as JSON, a line for each of its parts; in ASCII, so that no reader can mistake its encoding."""
    parts = [f"{json.dumps(name)}: {json.dumps(part)}" for name, part in as_plain(report).items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def plain(x: Any) -> Any:
    """A record, or what is in one: members of an Enum by name, numbers that JSON has none for as words."""
    if isinstance(x, float | np.generic):
        return _number(x)
    if isinstance(x, Enum):
        return x.name
    if isinstance(x, Mapping):
        return {str(key): plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [plain(value) for value in x]
    if is_dataclass(x):
        return {f.name: plain(getattr(x, f.name)) for f in fields(x)}
    return x


def _number(x: Any) -> Any:
    x = x.item() if isinstance(x, np.generic) else x
    if not isinstance(x, float) or math.isfinite(x):
        return x
    if math.isnan(x):
        return "NaN"
    return "Infinity" if x > 0 else "-Infinity"
