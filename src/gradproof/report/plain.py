"""A Report as plain data: dicts, lists, strings, numbers. All that is written to a file is a view of these."""

__all__ = ["as_json", "as_plain"]

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from gradproof.report.schema import FORMAT, VERSION
from gradproof.report.schema_arrays import as_entries
from gradproof.report.schema_probes import summaries

if TYPE_CHECKING:
    from gradproof.report.record import Report


def as_plain(report: "Report") -> dict[str, Any]:
    """`report` in types that JSON has, as `schema.SCHEMA` describes it."""
    complete, entries = as_entries(report)
    return {
        "format": FORMAT,
        "schema": VERSION,
        "verdict": _plain(report.verdict),
        "reason": _plain(report.reason),
        "detail": report.detail,
        "claim": report.claim,
        "odd_one_out": report.odd_one_out,
        "sources": _plain(report.sources),
        "leaves": [
            {"path": path, "shape": _plain(shape), "dtype": dtype}
            for path, (shape, dtype) in report.leaves.items()
        ],
        "findings": _plain(report.findings),
        "locations": _plain(report.locations),
        "diagnoses": _plain(report.diagnoses),
        "undiagnosed": _plain(report.undiagnosed),
        "certificate": _plain(report.certificate),
        "resolution": _plain(report.resolution),
        "seed": _plain(report.seed),
        "nearest_kink": _plain(report.nearest_kink),
        "gradients": {"complete": complete, "sources": _plain(entries)},
        "probes": _plain(summaries(report)),
    }


def as_json(report: "Report") -> str:
    """`report` as JSON, a line for each of its parts; in ASCII, so that no reader can mistake its encoding."""
    parts = [f"{json.dumps(name)}: {json.dumps(part)}" for name, part in as_plain(report).items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _plain(x: Any) -> Any:
    if isinstance(x, float | np.generic):
        return _number(x)
    if isinstance(x, Enum):
        return x.name
    if isinstance(x, Mapping):
        return {str(key): _plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [_plain(value) for value in x]
    if is_dataclass(x):
        return {f.name: _plain(getattr(x, f.name)) for f in fields(x)}
    return x


def _number(x: Any) -> Any:
    """A number as Python has it; in words where JSON has none."""
    x = x.item() if isinstance(x, np.generic) else x
    if not isinstance(x, float) or math.isfinite(x):
        return x
    if math.isnan(x):
        return "NaN"
    return "Infinity" if x > 0 else "-Infinity"
