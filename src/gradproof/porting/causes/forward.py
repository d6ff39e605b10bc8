"""Which mistake makes a stretch of the forward pass differ: every family in turn."""

__all__ = ["causes_of_stretch"]

from collections.abc import Callable, Iterator

from gradproof.porting.causes.activations import activation_causes
from gradproof.porting.causes.attention import attention_causes
from gradproof.porting.causes.convolutions import convolution_causes
from gradproof.porting.causes.dropping import dropout_causes
from gradproof.porting.causes.evidence import Evidence
from gradproof.porting.causes.exchanges import exchange_causes
from gradproof.porting.causes.linear import linear_causes
from gradproof.porting.causes.norms import norm_causes
from gradproof.porting.causes.orders import order_causes
from gradproof.porting.causes.placements import placement_causes
from gradproof.porting.causes.pooling import pooling_causes
from gradproof.porting.causes.precision import precision_causes
from gradproof.porting.causes.recurrent import recurrent_causes
from gradproof.porting.causes.residuals import residual_causes
from gradproof.porting.causes.roundings import rounding_causes
from gradproof.porting.causes.scales import bias_causes, scale_causes
from gradproof.porting.causes.softmaxes import softmax_causes
from gradproof.porting.causes.tables import table_causes
from gradproof.porting.stretch import Cause, Stretch

_FAMILIES: tuple[Callable[[Stretch, Evidence], Iterator[Cause]], ...] = (
    norm_causes,
    activation_causes,
    softmax_causes,
    scale_causes,
    bias_causes,
    residual_causes,
    dropout_causes,
    table_causes,
    order_causes,
    linear_causes,
    convolution_causes,
    pooling_causes,
    attention_causes,
    recurrent_causes,
    placement_causes,
    exchange_causes,
    rounding_causes,
    precision_causes,
)
"""Those that identify what each side computes come before those that only relate the two; `precision_causes` is last, for a
difference of the size of a rounding may have any other reason."""


def causes_of_stretch(stretch: Stretch) -> tuple[Cause, ...]:
    """Mistakes that each explain the whole difference of the forward values, the simplest first; empty if none is known."""
    evidence = Evidence.of(stretch)
    if not evidence.differs:
        return ()
    for family in _FAMILIES:
        causes = tuple(dict.fromkeys(family(stretch, evidence)))
        if causes:
            return causes
    return ()
