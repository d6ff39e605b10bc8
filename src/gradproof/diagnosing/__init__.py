"""Which mistake explains a wrong gradient."""

from gradproof.diagnosing.case import Case
from gradproof.diagnosing.contracts import by_reason, summed
from gradproof.diagnosing.diagnose import Explained, convincing, diagnose, merged
from gradproof.diagnosing.judges import ByProbes, ByReference, Judge
from gradproof.diagnosing.layers import first_wrong_node
from gradproof.diagnosing.names import Constants
from gradproof.diagnosing.terms import misweighted_term

__all__ = [
    "ByProbes",
    "ByReference",
    "Case",
    "Constants",
    "Explained",
    "Judge",
    "by_reason",
    "convincing",
    "diagnose",
    "first_wrong_node",
    "merged",
    "misweighted_term",
    "summed",
]
