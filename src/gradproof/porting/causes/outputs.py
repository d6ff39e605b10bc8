"""Two outputs as a whole: labels in another order, a factor, a constant."""

__all__ = ["causes_of_outputs"]

from gradproof.arrays import HostArray
from gradproof.porting.causes.dropping import dropout_causes
from gradproof.porting.causes.evidence import Evidence
from gradproof.porting.causes.orders import order_causes
from gradproof.porting.causes.scales import scale_causes
from gradproof.porting.causes.softmaxes import softmax_causes
from gradproof.porting.stretch import Cause, Stretch


def causes_of_outputs(expected: HostArray, found: HostArray, bar: float = 0.0) -> tuple[Cause, ...]:
    """How the port's whole output comes of the reference's, if in a simple way; `bar` is the rounding of the two.

    A factor, a constant, a sign, a permutation of the labels (of the last axis, else of another), a softmax on one side
    alone, dropout.
    """
    stretch = Stretch(
        "(output)", "(output)", "output", "", "", {}, {}, {"the output": expected}, {}, expected, found, bar
    )
    evidence = Evidence.of(stretch)
    if not evidence.differs:
        return ()
    for family in (scale_causes, order_causes, softmax_causes, dropout_causes):
        causes = tuple(dict.fromkeys(family(stretch, evidence)))
        if causes:
            return causes
    return ()
