"""Sources that compute a whole gradient: asked, held to their contracts, and given rounding bars."""

from gradproof.sources.claim import Claim, Function, admit_function, implementation
from gradproof.sources.hearing import Hearing
from gradproof.sources.testimony import Testimony, once, testify_tangent

__all__ = [
    "Claim",
    "Function",
    "Hearing",
    "Testimony",
    "admit_function",
    "implementation",
    "once",
    "testify_tangent",
]
