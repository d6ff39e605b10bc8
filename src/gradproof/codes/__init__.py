"""The catalogue of mistakes: a stable code for each, what it is, what usually causes it, and what to look at."""

__all__ = ["CODES", "Code", "explain"]

from difflib import get_close_matches

from gradproof.codes.code import Code
from gradproof.codes.gradients import GRADIENTS
from gradproof.codes.ports import PORTS

CODES: dict[str, Code] = {code.code: code for code in (*GRADIENTS, *PORTS)}
"""All codes."""


def explain(code: str) -> Code:
    """What a code of a Diagnosis stands for. Raises ValueError for an unknown one."""
    name = code.strip().upper()
    if name not in CODES:
        near = get_close_matches(name, CODES, n=len(CODES))
        best = max(
            near, key=lambda known: sum(a == b for a, b in zip(name, known, strict=False)), default=None
        )
        hint = f"; did you mean {best}" if best else ""
        raise ValueError(f"unknown code {code!r}{hint}? Known: {', '.join(CODES)}")
    return CODES[name]
