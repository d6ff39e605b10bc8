"""Sphinx: `make docs` builds with warnings as errors."""

import importlib.metadata
import re
from pathlib import Path

project = "gradproof"
author = "the gradproof developers"
copyright = "the gradproof developers"
release = importlib.metadata.version("gradproof")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx", "sphinx_copybutton"]
intersphinx_mapping = {}
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# Pages link to files of the repository too; those links are for readers on a code host.
suppress_warnings = ["myst.xref_missing"]
default_role = "code"
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "exclude-members": "__init__, __new__"}
autodoc_class_signature = "mixed"

html_theme = "furo"
html_title = "gradproof"
html_static_path: list[str] = []


def _write_codes() -> None:
    """The page of all codes is written from the catalogue, so that it cannot differ from `explain`."""
    from gradproof.codes import CODES  # noqa: PLC0415 -- conf.py is read before anything else

    lines = [
        "# Codes",
        "",
        "Every diagnosis has a stable code; `gradproof explain CODE` prints this in the terminal.",
        "",
    ]
    for code in CODES.values():
        lines += [
            f"({code.code})=", f"## {code.code}: {code.title}", "", code.means, "",
            f"**Usual cause.** {code.causes}", "", f"**What to do.** {code.remedy}", "",
        ]  # fmt: skip
    (Path(__file__).parent / "codes.md").write_text("\n".join(lines), encoding="utf-8")


def _write_limits() -> None:
    """What the README admits is the page of limits."""
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    section = readme.split("## What it cannot see\n")[1].split("\nMore:")[0]
    page = f"# What it cannot see\n{section}\n\nWhat a diagnosis cannot tell: [see there](diagnosis.md#what-it-cannot-tell).\n"
    (Path(__file__).parent / "limits.md").write_text(page, encoding="utf-8")


def _plain_docstring(_app, _what, _name, _obj, _options, lines) -> None:  # type: ignore[no-untyped-def]
    """Docstrings are plain text with `code`: |x| is a modulus, and * a product, not markup."""
    lines[:] = ["".join(_escaped(part) for part in re.split(r"(`[^`]+`)", line)) for line in lines]


def _escaped(part: str) -> str:
    if part.startswith("`"):
        return f"`{part}`\\ "
    return part.replace("|", r"\|").replace("*", r"\*")


def setup(app) -> None:  # type: ignore[no-untyped-def]
    """Called by Sphinx."""
    _write_codes()
    _write_limits()
    app.connect("autodoc-process-docstring", _plain_docstring)
