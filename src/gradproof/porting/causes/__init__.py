"""Which mistake makes a stretch of a port differ: formulas in NumPy for what each side may have computed."""

__all__ = [
    "causes_of_backward",
    "causes_of_buffers",
    "causes_of_loss",
    "causes_of_outputs",
    "causes_of_parameter",
    "causes_of_precision",
    "causes_of_stretch",
]

from gradproof.porting.causes.backward import causes_of_backward
from gradproof.porting.causes.copies import causes_of_parameter
from gradproof.porting.causes.forward import causes_of_stretch
from gradproof.porting.causes.losses import causes_of_loss
from gradproof.porting.causes.outputs import causes_of_outputs
from gradproof.porting.causes.precision import causes_of_precision
from gradproof.porting.causes.state import causes_of_buffers
