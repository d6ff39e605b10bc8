"""What every HTML page is made with: its template, its style and script, and how it is kept from growing too large."""

__all__ = ["MOST_BYTES", "assets", "fitted", "template"]

from base64 import b64encode
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from jinja2 import Template

MOST_BYTES = 2_000_000
"""Of a page: what does not fit is left out, and counted."""


class Halving(Protocol):
    """How much a page holds."""

    def halved(self) -> Self:
        """The same with half of everything; a little of each stays."""


_Room = TypeVar("_Room", bound=Halving)


def fitted(render: Callable[[_Room], str], room: _Room) -> str:
    """A page that is small enough: rendered with less and less room until it is."""
    text = render(room)
    while len(text.encode("utf-8", "replace")) >= MOST_BYTES:
        room = room.halved()
        text = render(room)
    return text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be written


def template(package: str, name: str, spelled: Callable[[str], str], **names: Any) -> "Template":
    """A template of a package, all of whose texts are `spelled`. Raises ImportError where Jinja2 is missing."""
    try:
        from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 -- an extra, wanted for this only
    except ImportError as error:
        raise ImportError('a report in HTML needs Jinja2: pip install "gradproof[report]"') from error
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda x: spelled(x) if type(x) is str else x,
    )
    environment.globals.update(names)
    return environment.from_string(_asset(package, name))


def _asset(package: str, name: str) -> str:
    return files(package).joinpath("assets", name).read_text(encoding="utf-8")


@cache
def assets(*more: tuple[str, str]) -> dict[str, Any]:
    """Style and script of a Report's page, and `more` style (package, name); the hash by which a browser runs this script and
    no other.
    """
    from markupsafe import Markup  # noqa: PLC0415 -- comes with Jinja2

    script = _asset("gradproof.report", "report.js")
    style = "".join(_asset(*one) for one in (("gradproof.report", "report.css"), *more))
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return {"style": Markup(style), "script": Markup(script), "digest": f"sha256-{digest}"}
