"""A PortReport as plain data: dicts, lists, strings, numbers. All that is written to a file is a view of these."""

__all__ = ["as_json", "as_plain"]

from typing import TYPE_CHECKING, Any

from gradproof.porting.report.schema import FORMAT, VERSION
from gradproof.report.json_text import plain, written

if TYPE_CHECKING:
    from gradproof.porting.record import PortReport


def as_plain(report: "PortReport") -> dict[str, Any]:
    """`report` in types that JSON has, as `schema.SCHEMA` describes it."""
    return {"format": FORMAT, "schema": VERSION, **plain(report)}


def as_json(report: "PortReport") -> str:
    """`report` as JSON."""
    return written(as_plain(report))
