"""A PortReport as a page and in a notebook: everything in one file, escaped, readable without scripts."""

import re
import shutil
from html.parser import HTMLParser

import pytest

import port_reports as made
from gradproof.porting.report.html import Room
from gradproof.report import html_page
from gradproof.report.html_page import MOST_BYTES

VOID = {"meta", "link", "br", "img", "input", "hr", "col"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def pages():
    """Kind → text."""
    return {kind: make().to_html() for kind, make in made.MADE.items()}


class Reader(HTMLParser):
    """Checks that tags nest, and keeps what is asked for."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.words, self.attributes = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.parametrize("kind", made.MADE)
def test_tags_nest_ids_are_unique_and_nothing_is_fetched(kind, pages):
    reader = read(pages[kind])
    ids = [value for name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value for name, value in reader.attributes if name == "aria-labelledby"}
    assert targets <= set(ids)
    assert not [
        value for name, value in reader.attributes if name in ("src", "href") and not value.startswith("#")
    ]
    assert "default-src 'none'" in pages[kind]
    assert len(pages[kind].encode()) < MOST_BYTES


@pytest.mark.parametrize("kind", made.MADE)
def test_only_our_script_is_there(kind, pages):
    assert read(pages[kind]).tags.count("script") == 2  # ours, and its (empty) data
    assert "<script>alert" not in pages[kind]
    assert "{{7*7}}" in pages[kind] or kind != "nasty"
    assert "49" not in re.findall(r"<h1[^>]*>(.*?)</h1>", pages[kind])[0] or kind != "nasty"


def test_names_do_not_print_what_does_not_print(pages):
    assert not re.search("[\u202e\u2028\x1b]", pages["nasty"])


def test_the_page_tells_what_the_terminal_tells(pages):
    words = " ".join(" ".join(read(pages["forward"]).words).split())
    for told in (
        "flax, the odd one out, differs from torch: first at h.0.ln_1 (LayerNorm), forward",
        "h.0.ln_1 ~ blocks[0].norm1",
        "torch +0.12345679",
        "it differs by 4.2e-06: the difference is made here",
        "eps is 1e-05 in torch and 1e-06 in flax",
        "epsilon=1e-05",
        "◄ here",
        "11 layers carried",
        "28 of 28 matched",
        "= h.0.attn.c_attn.weight[0:64] transposed",
        "optimizer step" if "optimizer step" in words else "own precision",
        "finite differences confirm the gradients of torch, flax, numpy",
    ):
        assert told in words, told


def test_what_is_folded_is_there_behind_details(pages):
    words = read(pages["forward"]).words
    assert words.count("gelu") == 2 * 2 * 2  # both blocks, both sides, both ports
    assert pages["forward"].count("<details>") >= 3


def test_a_page_that_would_be_too_large_is_cut_and_says_so(monkeypatch):
    whole = made.many().to_html()
    monkeypatch.setattr(html_page, "MOST_BYTES", len(whole) // 3)
    text = made.many().to_html()
    assert len(text.encode()) < len(whole) // 3
    assert "the JSON has them all" in text
    assert "◄ here" in text
    read(text)


def test_half_of_everything_leaves_a_little():
    room = Room()
    for _ in range(40):
        room = room.halved()
    assert room.lines > 0
    assert room.wrong > 0
    assert room.characters > 60


def test_it_is_written_where_it_is_asked_to_be(tmp_path, pages):
    assert made.forward().to_html(tmp_path / "port.html") == pages["forward"]
    assert (tmp_path / "port.html").read_text(encoding="utf-8") == pages["forward"]


@pytest.mark.parametrize("kind", made.MADE)
def test_a_notebook_shows_a_fragment(kind):
    text = made.MADE[kind]()._repr_html_()
    reader = read(text)
    assert "script" not in reader.tags
    assert made.MADE[kind]().verdict.value in text
    assert len(text) < 20_000


def test_the_fragment_has_the_first_node_and_the_mistake():
    text = made.forward()._repr_html_()
    assert "first wrong forward at <code>h.0.ln_1 ~ blocks[0].norm1</code>" in text
    assert "<b>GP201</b> eps is 1e-05" in text


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no browser")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("kind", ["both", "nasty"])
@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1200, "dark")])
def test_in_a_browser(browser, tmp_path, kind, width, scheme):
    made.MADE[kind]().to_html(tmp_path / "port.html")
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on(
        "request", lambda request: None if request.url.startswith("file:") else errors.append(request.url)
    )
    page.goto((tmp_path / "port.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("n")
    assert page.evaluate("document.activeElement.classList.contains('first')")
    if kind == "both":
        folds = page.locator("td.fold > details")
        assert not folds.first.evaluate("d => d.open")
        folds.first.locator("summary").first.click()
        outer, inner = (
            page.locator(".tree tr.here th").first.bounding_box(),
            folds.first.locator("tbody th").first.bounding_box(),
        )
        assert abs(outer["x"] - inner["x"]) <= 4  # the columns behind a fold stand below those outside
        page.keyboard.press("n")
        assert page.locator("#place").text_content() == "2 of 2"
    assert errors == []
    page.context.close()
