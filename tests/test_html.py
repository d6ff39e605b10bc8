"""A Report as a page: in a real browser, opened from disk, with everything in one file."""

import re
import shutil
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from gradproof import Report, check
from gradproof.check import check_problem
from gradproof.course import course_problem
from gradproof.faults import plant
from gradproof.report.html_page import MOST_BYTES
from gradproof.report.html_png import NOT_FINITE, png, shades
from gradproof.report.plots_scale import scale_of
from gradproof.trees import leaves_by_path
from test_json import NASTY, large, nasty, raw, strange

SOURCES = ["numeric", "hand"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
VOID = {"meta", "link", "br", "img", "input", "hr"}


def every_leaf():
    return check_problem(plant("sign", course_problem(1.0)), sources=[*SOURCES, "torch"])


MADE = {
    "every leaf": every_leaf,
    "one entry": lambda: check_problem(
        plant("entry-flipped", course_problem(1.0)), sources=[*SOURCES, "torch"]
    ),
    "right": lambda: check_problem(course_problem(1.0), sources=SOURCES),
    "not finite": lambda: check_problem(plant("nan", course_problem(1.0)), sources=SOURCES),
    "nasty names": nasty,
    "raw names": raw,
    "ten million": large,
    "strange numbers": strange,
    "undecided": lambda: check(
        lambda x: np.abs(x).sum(), np.zeros(3), grad=lambda x: x + 3.0, sources=SOURCES
    ),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Kind → (report, text, path)."""
    folder, made = tmp_path_factory.mktemp("pages"), {}

    def page(kind):
        if kind not in made:
            report, path = MADE[kind](), folder / f"{kind.replace(' ', '-')}.html"
            made[kind] = report, report.to_html(path), path
        return made[kind]

    return page


# Without a browser


@pytest.mark.parametrize("kind", MADE)
def test_a_page_of_what_was_read_back_is_the_same(kind, pages):
    report, text, path = pages(kind)
    assert Report.from_json(report.to_json()).to_html() == text
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("kind", MADE)
def test_a_page_is_small(kind, pages):
    assert len(pages(kind)[1].encode()) < MOST_BYTES


def test_ten_million_parameters_have_their_maps(pages):
    text = pages("ten million")[1]
    assert text.count('class="map"') >= 6
    assert "every cell shows the worst of 16 × 16 entries" in text


def test_a_page_of_very_many_long_names_is_small_too():
    report = large(leaves=600, side=4)
    names = {name: f"{name} {'x' * 2000}" for name in report.leaves}
    long = replace(
        report,
        leaves={names[name]: kind for name, kind in report.leaves.items()},
        findings=tuple(replace(f, leaf=names[f.leaf], detail="y" * 9000) for f in report.findings),
        locations=tuple(replace(place, leaf=names[place.leaf]) for place in report.locations),
    )
    assert len(long.to_html().encode()) < MOST_BYTES


class Tags(HTMLParser):
    """Checks that tags are closed in the order in which they were opened, and collects what is asked of them."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(text):
    tags = Tags()
    tags.feed(text)
    tags.close()
    assert tags.open == []
    return tags


@pytest.mark.parametrize("kind", MADE)
def test_tags_are_closed_identifiers_unique_and_nothing_is_linked(kind, pages):
    tags = parsed(pages(kind)[1])
    assert len(tags.ids) == len(set(tags.ids))
    links = [attrs[name] for _, attrs in tags.seen for name in ("src", "href") if name in attrs]
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert all(link[1:] in tags.ids for link in links if link.startswith("#"))
    assert [tag for tag, _ in tags.seen if tag in ("script", "link", "iframe", "object", "base")] == [
        "script"
    ] * 2


@pytest.mark.parametrize("kind", ["nasty names", "raw names"])
def test_what_a_user_named_is_escaped(kind, pages):
    text = pages(kind)[1]
    assert "alert(1)</script" not in text
    assert "<script>alert" not in text
    assert "\u2028" not in text
    assert "\u202e" not in text
    assert "{{7*7}}" in text
    assert text.count("</style>") == 1


def test_the_answer_comes_first_and_the_worst_leaf_first(pages):
    report, text, _ = pages("every leaf")
    assert text.index("<h1") < text.index("<table") < text.index("<article")
    worst = max((f for f in report.findings if f.leaf), key=lambda f: f.excess).leaf
    first = text.index('<article class="leaf" id="wrong-0"')
    assert worst in text[first : first + 400]


def test_a_leaf_that_nothing_looked_at_does_not_agree(pages):
    text = pages("not finite")[1]
    table = text[text.index("<table") : text.index("</table>")]
    assert table.count("not compared") == 3
    assert "AGREES</span>" not in table.replace("DISAGREES</span>", "")


def test_without_the_extra_it_is_said_what_to_install(monkeypatch):
    from gradproof.report import html

    html._template.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r'pip install "gradproof\[report\]"'):
        large(1, 2).to_html()


def test_a_picture_is_a_png_of_its_shades():
    from io import BytesIO

    from PIL import Image  # comes with matplotlib

    places = np.array([[-1.0, 0.0, 1.0], [np.nan, 0.5, -0.5]])
    picture = Image.open(BytesIO(png(shades(places)))).convert("RGBA")
    pixels = np.array(picture)
    assert pixels.shape == (2, 3, 4)
    assert pixels[..., 3].tolist() == [[255, 0, 255], [255, pixels[1, 1, 3], pixels[1, 1, 3]]]
    assert pixels[0, 0, 2] > pixels[0, 0, 0]  # blue
    assert pixels[0, 2, 0] > pixels[0, 2, 2]  # red
    assert shades(places)[1, 0] == NOT_FINITE


def test_the_scale_is_symmetric_and_rising():
    scale = scale_of(np.array([1.0, -100.0, np.nan]), np.array([1e-5, np.inf]))
    values = np.array([-100.0, -1.0, -1e-5, 0.0, 1e-9, 1e-5, 1.0, 100.0])
    places = scale.place(values)
    assert np.all(np.diff(places) > 0)
    assert places[[0, 3, 7]].tolist() == [-1, 0, 1]
    assert np.allclose(places[[1, 2]], -places[[6, 5]])
    assert np.isnan(scale.place(np.array([np.nan]))).all()
    assert scale_of(np.zeros(3), np.zeros(3)).place(np.zeros(3)).tolist() == [0, 0, 0]


# In a notebook


@pytest.mark.parametrize("kind", ["nasty names", "raw names"])
def test_a_notebook_gets_a_fragment_with_everything_escaped(kind, pages):
    text = pages(kind)[0]._repr_html_()
    tags = parsed(text)
    assert "script" not in [tag for tag, _ in tags.seen]
    assert "<b>✗ DISAGREES</b>hand disagrees with " in text
    assert "\u2028" not in text
    assert "&lt;/style&gt;" in text
    assert text.count("</style>") == 1
    assert "\u202e" not in text


def test_a_fragment_styles_nothing_but_itself(pages):
    style = re.search(r"<style>(.*?)</style>", pages("one entry")[0]._repr_html_(), re.DOTALL).group(1)
    selectors = [s.strip() for rule in re.findall(r"([^{}]+)\{", style) for s in rule.split(",")]
    assert len(selectors) > 10
    assert all(s.startswith(".gradproof-report") for s in selectors)


def test_a_fragment_names_the_mistake_and_stays_short(pages):
    assert "GP102 wrong sign" in pages("one entry")[0]._repr_html_()
    assert len(large(200, 2)._repr_html_()) < 10_000


# In a browser


def executable():
    """Where a browser is; None if there is none."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found:
        return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = executable()
    if path is None:
        pytest.skip(f"no browser is installed: looked for {', '.join(BROWSERS)} and Playwright's own")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, pages):
    """Opens a page; when the test is over, there must have been no error and no request but for the file."""
    said, asked, contexts = [], [], []

    def opened(kind, width=1200, scheme="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.route("**/*", lambda route: (asked.append(route.request.url), route.continue_()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(pages(kind)[2].as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []
    assert {url for url in asked if not url.startswith(("file:", "data:image/png"))} == set()
    assert len({url for url in asked if url.startswith("file:")}) == len(contexts)


def test_a_page_opens_and_says_the_answer(opened):
    page = opened("one entry")
    assert page.title() == "✗ DISAGREES – gradproof"
    assert page.inner_text("h1") == "hand is the odd one out; numeric and torch agree"
    assert "[1].bias" in page.inner_text("article h2")
    assert "GP102" in page.inner_text("article")
    assert page.locator(".map").count() == 3


@pytest.mark.parametrize(
    "kind", ["right", "undecided", "strange numbers", "ten million", "not finite", "raw names"]
)
def test_every_kind_of_page_opens_without_an_error(kind, opened, pages):
    page = opened(kind)
    assert page.inner_text(".badge").endswith(pages(kind)[0].verdict.name)
    assert page.evaluate("document.scripts.length") == 2


def test_n_and_p_go_from_wrong_leaf_to_wrong_leaf(opened):
    page = opened("every leaf")
    seen = []
    for key in "nnppnnnnn":
        page.keyboard.press(key)
        seen.append(page.evaluate("document.activeElement.id"))
    assert seen == [f"wrong-{i}" for i in (0, 1, 0, 3, 0, 1, 2, 3, 0)]
    assert comes(page, "Math.abs(document.activeElement.getBoundingClientRect().top) < 140")
    assert page.inner_text("#place") == "1 of 4"
    page.click("#next")
    assert page.evaluate("document.activeElement.id") == "wrong-1"


def comes(page, expression):
    """Whether `expression` becomes true within a few seconds. (The page's policy forbids Playwright's own way to wait.)"""
    for _ in range(100):
        if page.evaluate(expression):
            return True
        page.wait_for_timeout(50)
    return False


def first_column(page, column=0):
    table = page.locator("table").first
    return [row.locator("th, td").nth(column).inner_text() for row in table.locator("tbody tr").all()]


def test_leaves_are_sorted_by_click_and_by_key(opened, pages):
    page = opened("one entry")
    assert first_column(page)[0] == "[1].bias"
    head = page.locator("table").first.locator("thead th").first
    head.locator("button").click()
    assert first_column(page) == sorted(pages("one entry")[0].leaves)
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert first_column(page) == sorted(pages("one entry")[0].leaves, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    page.locator("table").first.locator("thead th").nth(2).locator(
        "button"
    ).click()  # shape: by number of entries
    assert first_column(page, 2)[:2] == ["(3,)", "(5,)"]
    assert head.get_attribute("aria-sort") == "none"


def test_a_pointer_over_a_map_shows_index_and_every_value(opened, pages):
    page, report = opened("every leaf"), pages("every leaf")[0]
    article = page.locator("article", has=page.locator("h2", has_text="[1].weight"))
    box = article.locator(".map").nth(1)
    box.scroll_into_view_if_needed()
    area = box.bounding_box()
    page.mouse.move(
        area["x"] + area["width"] * 3.5 / 5, area["y"] + area["height"] * 1.5 / 3
    )  # of (3, 5): [1, 3]
    lines = page.inner_text("#tip").splitlines()
    assert lines[0] == "[1, 3]"
    shown = {line.split()[0]: float(line.split()[1].replace("−", "-")) for line in lines[1:]}
    for name in ("hand", "torch"):
        assert shown[name] == pytest.approx(
            leaves_by_path(report.gradients[name])["[1].weight"][1, 3], rel=1e-8
        )
    assert shown["difference"] == pytest.approx(shown["hand"] - shown["torch"], rel=1e-8)
    page.mouse.move(2, 2)
    assert page.locator("#tip").is_hidden()


def test_arrow_keys_read_a_map_cell_by_cell(opened):
    page = opened("every leaf")
    article = page.locator("article", has=page.locator("h2", has_text="[1].weight"))
    article.locator(".map").nth(2).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert article.locator(".reading").inner_text().startswith("[1, 1]")


def test_of_a_large_leaf_the_worst_entry_of_a_block_is_shown(opened):
    page = opened("ten million")
    box = page.locator(".map").first
    box.scroll_into_view_if_needed()
    area = box.bounding_box()
    page.mouse.move(area["x"] + area["width"] * 4.5 / 63, area["y"] + area["height"] * 2.5 / 63)
    lines = page.inner_text("#tip").splitlines()
    assert re.fullmatch(r"\[(3[2-9]|4[0-7]), 77\]", lines[0])
    assert lines[-1] == "worst of 16 × 16"


def test_wrong_entries_are_outlined(opened):
    page = opened("one entry")
    assert page.locator(".halo").first.get_attribute("d") == "M0 0H1M0 1H1M0 0V1M1 0V1"  # the first of three


def test_wrong_entries_are_outlined_whether_they_were_named_or_not(opened):
    outline = opened("ten million").locator(".halo").first.get_attribute("d")
    assert (
        outline == "M4 0H5M4 63H5M4 0V63M5 0V63"
    )  # all blocks with column 77, of which two entries were named


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_it_is_switched(scheme, opened):
    page = opened("one entry", scheme=scheme)

    def brightness():
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return "light" if int(re.search(r"\d+", colour).group()) > 128 else "dark"

    assert brightness() == scheme
    page.click("#theme")
    assert brightness() != scheme
    page.reload()
    assert brightness() != scheme  # it is remembered
    page.click("#theme")
    assert brightness() == scheme


def test_copy_buttons_copy(opened):
    page = opened("every leaf", permissions=["clipboard-read", "clipboard-write"])
    page.locator(".again .copy").click()
    assert comes(page, "document.querySelector('.again .copy').textContent === 'Copied'")
    assert (
        page.evaluate("navigator.clipboard.readText()")
        == 'check(..., seed=0, sources=["numeric", "hand", "torch"])'
    )


@pytest.mark.parametrize("kind", ["nasty names", "raw names"])
def test_what_a_user_named_is_text(kind, opened):
    page = opened(kind)
    assert page.evaluate("document.querySelectorAll('script').length") == 2
    names = first_column(page)
    assert any("<script>alert(1)</script>" in name for name in names)
    assert any("{{7*7}}" in name for name in names)
    assert not any("49" in name for name in names)
    assert any("\\u202e" in name for name in names)
    assert len(names) == len(NASTY)


def test_a_script_that_is_not_the_pages_own_is_not_run(browser, pages, tmp_path):
    text = pages("one entry")[1].replace("</main>", "<script>document.title = 'changed'</script></main>")
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    assert page.title() == "✗ DISAGREES – gradproof"
    page.close()


def test_without_scripts_all_of_it_can_be_read(opened):
    page = opened("one entry", java_script_enabled=False)
    assert page.inner_text("h1") == "hand is the odd one out; numeric and torch agree"
    assert page.locator("table").first.is_visible()
    assert page.locator(".map image").first.is_visible()
    assert page.locator(".chart svg").first.is_visible()
    assert page.locator(".copy").first.is_hidden()
    page.locator("summary").first.click()
    assert page.locator("article dl").first.is_visible()


@pytest.mark.parametrize("kind", ["every leaf", "nasty names", "ten million"])
def test_a_narrow_window_scrolls_in_one_direction(kind, opened):
    page = opened(kind, width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


CONTRAST = """() => {
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]);
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
    return layers;
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !node.checkVisibility() || node.closest("script, style, .out, .skip")) continue;
    const style = getComputedStyle(node), layers = behind(node);
    const ink = light(paint([...layers, node.namespaceURI.endsWith("svg") ? style.fill : style.color])), ground = light(paint(layers));
    const ratio = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    if (ratio < 4.5) poor.push([walker.currentNode.textContent.trim().slice(0, 40), ratio.toFixed(2)]);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["every leaf", "right", "undecided"])
def test_every_text_stands_out_from_its_ground(kind, scheme, opened):
    page = opened(kind, scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate(CONTRAST) == []


def test_the_probe_notices_poor_contrast(opened):
    page = opened("right")
    page.evaluate("document.querySelector('h1').style.color = 'rgb(170, 170, 170)'")
    assert page.evaluate(CONTRAST) != []


def test_headings_tables_and_buttons_mean_what_they_show(opened):
    page = opened("every leaf")
    levels = page.eval_on_selector_all("h1, h2, h3", "hs => hs.map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert page.evaluate("[...document.querySelectorAll('th')].every(th => th.scope)")
    assert page.evaluate(
        "[...document.querySelectorAll('tbody tr')].every(tr => tr.querySelector('th[scope=row]'))"
    )
    named = "[...document.querySelectorAll('button')].every(b => (b.ariaLabel || b.textContent).trim())"
    assert page.evaluate(named)
    assert page.evaluate("document.documentElement.lang") == "en"


def test_focus_can_be_seen(opened):
    page = opened("every leaf")
    for _ in range(6):
        page.keyboard.press("Tab")
    style = page.evaluate("(s => [s.outlineStyle, s.outlineWidth])(getComputedStyle(document.activeElement))")
    assert style == ["solid", "3px"]
