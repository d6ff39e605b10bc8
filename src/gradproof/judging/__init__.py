"""From Estimates to verdicts."""

from gradproof.judging.attribute import Judgement, judge_source, odd_one_out, worst_of
from gradproof.judging.compare import compare_arrays
from gradproof.judging.outputs import JUDGED_SHARE, plain_cotangent
from gradproof.judging.probed import Probed
from gradproof.judging.referee import Referee

__all__ = [
    "JUDGED_SHARE",
    "Judgement",
    "Probed",
    "Referee",
    "compare_arrays",
    "judge_source",
    "odd_one_out",
    "plain_cotangent",
    "worst_of",
]
