"""Problems: the record of one function at one point, and a dozen small ones with gradients written by hand."""

from gradproof.problems.blocks import BLOCKS
from gradproof.problems.curves import CURVES
from gradproof.problems.record import Problem

__all__ = ["PROBLEMS", "Problem"]

PROBLEMS: tuple[Problem, ...] = (*CURVES, *BLOCKS)
"""Small smooth functions in the array API, on numpy, with gradients written by hand: single arrays and dicts."""
