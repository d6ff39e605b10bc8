"""Which mistake explains a wrong gradient."""

from gradproof.diagnosing.case import Case
from gradproof.diagnosing.contracts import by_reason, summed
from gradproof.diagnosing.diagnose import Explained, convincing, diagnose, merged
from gradproof.diagnosing.grounds import Grounds
from gradproof.diagnosing.judges import ByProbes, ByReference, Judge
from gradproof.diagnosing.layers import first_wrong_node
from gradproof.diagnosing.names import Constants
from gradproof.diagnosing.suspect import Suspect
from gradproof.diagnosing.terms import misweighted_term
from gradproof.diagnosing.together import corrected_alike

__all__ = [
    "ByProbes",
    "ByReference",
    "Case",
    "Constants",
    "Explained",
    "Grounds",
    "Judge",
    "Suspect",
    "by_reason",
    "convincing",
    "corrected_alike",
    "diagnose",
    "first_wrong_node",
    "merged",
    "misweighted_term",
    "summed",
]
