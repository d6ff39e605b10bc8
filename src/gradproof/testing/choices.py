"""What one test asks of its checks: marker, then command line, then ini, then nothing."""

__all__ = ["CLAIMS", "Choices", "choose"]

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradproof.backend import unknown

CLAIMS = ("grad", "value_and_grad", "vjp", "jvp")
"""Keywords of `check` that state a derivative."""

_KEYWORDS = ("sources", "resolution", "confidence", "seed", "undecided")
_MARKER = "@pytest.mark.gradproof"


@dataclass(frozen=True, slots=True)
class Choices:
    """Keywords of `check` that a test did not give itself, and what it may leave open."""

    defaults: Mapping[str, Any]
    """Keywords of `check`; a call's own come before them."""
    undecided: str | None = None
    """Why UNDECIDED is no failure; None where it is one."""
    marked: bool = False
    """Whether the seed is a marker's: then nothing has to be said to see it again."""

    def keywords(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Keywords for `check`: those `given`, and the defaults for the others.

        Sources by default are for all kinds of tests: "hand" is among them exactly where there is a claim.
        """
        keywords = {**self.defaults, **given}
        if "sources" in given or "sources" not in keywords:
            return keywords
        claimed = any(given.get(name) is not None for name in CLAIMS)
        others = [name for name in keywords["sources"] if name != "hand"]
        return {**keywords, "sources": [*others, "hand"] if claimed else others}


def choose(
    markers: Iterable[tuple[Sequence[Any], Mapping[str, Any]]],
    command_line: Mapping[str, Any],
    ini: Mapping[str, Any],
) -> Choices:
    """Choices of a test: `markers` are (arguments, keywords) of each, the closest to the test first.

    Raises ValueError for an argument of a marker without a keyword, an unknown keyword, and an `undecided` that gives
    no reason.
    """
    marked: dict[str, Any] = {}
    for arguments, keywords in markers:
        _admit(arguments, keywords)
        marked = {**keywords, **marked}
    undecided = marked.pop("undecided", None)
    if isinstance(marked.get("sources"), str):
        marked["sources"] = [marked["sources"]]
    return Choices({**ini, **command_line, **marked}, undecided, "seed" in marked)


def _admit(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> None:
    if arguments:
        raise ValueError(f"{_MARKER} takes keywords only ({', '.join(_KEYWORDS)}); got {arguments[0]!r}")
    for name in keywords:
        if name not in _KEYWORDS:
            raise ValueError(unknown(f"keyword of {_MARKER}", name, _KEYWORDS))
    reason = keywords.get("undecided", "a reason")
    if not (isinstance(reason, str) and reason.strip()):
        raise ValueError(
            f"{_MARKER}: undecided is the reason why UNDECIDED is no failure; got {reason!r}. Write for example "
            'undecided="the point is on a kink"'
        )
