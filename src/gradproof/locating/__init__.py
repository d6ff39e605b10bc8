"""Which entries of a gradient are wrong."""

from gradproof.locating.locate import Located, by_reference, by_values, refereed
from gradproof.locating.patterns import pattern_of

__all__ = ["Located", "by_reference", "by_values", "pattern_of", "refereed"]
