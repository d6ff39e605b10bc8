"""One Report and its views."""

from gradproof.report.record import Gradients, ProbeSummary, Report, SourceResult

__all__ = ["Gradients", "ProbeSummary", "Report", "SourceResult"]
