"""Many checks: every problem in every framework, dtype, shape and seed."""

from gradproof.sweeping.record import Case, Sweep, Swept
from gradproof.sweeping.walk import sweep

__all__ = ["Case", "Sweep", "Swept", "sweep"]
