"""Derivatives from function values alone."""

from gradproof.numeric.climb import climb
from gradproof.numeric.differences import central_difference, gradient, jacobian
from gradproof.numeric.ladder import Ladder, Slope
from gradproof.numeric.line import Line
from gradproof.numeric.stencils import Stencil, central

__all__ = [
    "Ladder",
    "Line",
    "Slope",
    "Stencil",
    "central",
    "central_difference",
    "climb",
    "gradient",
    "jacobian",
]
