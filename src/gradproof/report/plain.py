"""A Report as plain data: dicts, lists, strings, numbers."""

__all__ = ["as_plain"]

import math
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradproof.report.record import Report

SCHEMA = 1
"""Version of the layout; a reader that knows another one must not guess."""


def as_plain(report: "Report") -> dict[str, Any]:
    """`report` without its arrays and probes, in types that JSON has."""
    return {
        "schema": SCHEMA,
        "verdict": report.verdict.value,
        "reason": _plain(report.reason),
        "detail": report.detail,
        "claim": report.claim,
        "odd_one_out": report.odd_one_out,
        "sources": _plain(report.sources),
        "leaves": [
            {"path": path, "shape": list(shape), "dtype": dtype}
            for path, (shape, dtype) in report.leaves.items()
        ],
        "findings": _plain(report.findings),
        "locations": _plain(report.locations),
        "diagnoses": _plain(report.diagnoses),
        "undiagnosed": _plain(report.undiagnosed),
        "certificate": _plain(report.certificate),
        "resolution": report.resolution,
        "seed": report.seed,
        "nearest_kink": report.nearest_kink,
    }


def _plain(x: Any) -> Any:
    if isinstance(x, Enum):
        return x.name
    if isinstance(x, float):
        return x if math.isfinite(x) else None
    if isinstance(x, dict):
        return {str(key): _plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [_plain(value) for value in x]
    if is_dataclass(x):
        return {f.name: _plain(getattr(x, f.name)) for f in fields(x)}
    return x
