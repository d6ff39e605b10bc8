"""Every Python block in the docs runs, each page from top to bottom; every code of the catalogue is on a page."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from gradproof.codes import CODES

DOCS = Path(__file__).parent.parent / "docs"
HOWTO = sorted(page for page in (DOCS / "howto").glob("*.md") if page.stem != "shell")
PAGES = [DOCS / "index.md", DOCS / "tutorial.md", *HOWTO]
NEEDS = {
    "port": ["flax", "torch"],
    "torch": ["torch"],
    "jax": ["jax", "torch"],
    "scipy": ["scipy"],
    "reports": ["matplotlib", "jinja2"],
}


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_page_runs_from_top_to_bottom(page):
    for module in NEEDS.get(page.stem, []):
        pytest.importorskip(module)
    namespace = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for code in blocks(page):
            exec(compile(code, str(page), "exec"), namespace)
    assert blocks(page)


def test_every_code_is_in_the_table_of_diagnoses():
    table = (DOCS / "diagnosis.md").read_text(encoding="utf-8")
    assert set(re.findall(r"GP\d+", table)) >= set(CODES)


def test_every_page_is_in_the_table_of_contents():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    written = {"codes", "limits"}  # by conf.py
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md")} - {"index"}
    listed = set(re.findall(r"^([\w/]+)$", index, re.MULTILINE))
    assert pages | written == listed
