"""A Report as plain data: dicts, lists, strings, numbers. All that is written to a file is a view of these."""

__all__ = ["as_json", "as_plain"]

from typing import TYPE_CHECKING, Any

from gradproof.report.json_text import plain, written
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
        "verdict": plain(report.verdict),
        "reason": plain(report.reason),
        "detail": report.detail,
        "claim": report.claim,
        "odd_one_out": report.odd_one_out,
        "sources": plain(report.sources),
        "leaves": [
            {"path": path, "shape": plain(shape), "dtype": dtype}
            for path, (shape, dtype) in report.leaves.items()
        ],
        "findings": plain(report.findings),
        "locations": plain(report.locations),
        "diagnoses": plain(report.diagnoses),
        "undiagnosed": plain(report.undiagnosed),
        "certificate": plain(report.certificate),
        "resolution": plain(report.resolution),
        "seed": plain(report.seed),
        "nearest_kink": plain(report.nearest_kink),
        "gradients": {"complete": complete, "sources": plain(entries)},
        "probes": plain(summaries(report)),
    }


def as_json(report: "Report") -> str:
    """`report` as JSON."""
    return written(as_plain(report))
