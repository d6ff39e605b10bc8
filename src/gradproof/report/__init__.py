"""One Report and its views."""

from gradproof.report.record import Report, SourceResult

__all__ = ["Report", "SourceResult"]
