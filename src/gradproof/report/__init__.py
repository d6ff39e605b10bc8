"""One Report and its views."""

from gradproof.report.record import Gradients, Report, SourceResult

__all__ = ["Gradients", "Report", "SourceResult"]
