"""The recorded edition as its readers have it: in a real browser, from the disk."""

import re
from pathlib import Path

import jupytext
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import CHROMIUM
from test_book import CHAPTERS, PAGES

from book import series

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    yield page
    page.close()


def _go(page, book, name):
    page.goto((book / f"{name}.html").as_uri())
    return page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_fetches_nothing_and_fits_a_phone(book, page, name):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    _go(page, book, name)
    views = [(390, "light"), (1280, "dark"), (390, "dark"), (1280, "light")]
    for width, scheme in views[: 2 if name.startswith("solutions/") else 4]:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        bad = [(v["id"], v["nodes"][0]["html"]) for v in found
               if v["impact"] in ("serious", "critical")]  # fmt: skip
        assert bad == [], (width, scheme)
        too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(too_wide) <= 0, (width, scheme)
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def _word_of_one_page(book: Path) -> tuple[str, str]:
    """A chapter, and a long word that stands on its page and, in whatever form, on no other."""

    def words(name: str) -> set[str]:
        text = (book / f"{name}.html").read_text(encoding="utf-8").partition("<article")[2]
        return set(re.findall(r"\b[a-z]{9,}\b", re.sub(r"<[^>]*>", " ", text.lower())))

    name = CHAPTERS[4]
    others = {word[:6] for one in PAGES if one != name for word in words(one)}
    return name, max(sorted(word for word in words(name) if word[:6] not in others), key=len)


def test_search_finds_a_word_that_stands_in_one_chapter_only(book, page):
    name, word = _word_of_one_page(book)
    _go(page, book, "index")
    page.locator("input[name=q]").first.fill(word)
    page.keyboard.press("Enter")
    first = page.locator("ul.search li a").first
    first.wait_for()
    assert name in first.get_attribute("href")


def test_light_and_dark_follow_the_system_and_the_switch(book, page):
    _go(page, book, CHAPTERS[0])
    background = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(background)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(background)
    assert light != dark
    seen = set()
    for _ in range(3):
        page.locator(".theme-toggle:visible").first.click()
        seen.add(page.evaluate(background))
    assert seen == {light, dark}


def test_one_switch_folds_and_shows_all_code(book, page):
    _go(page, book, CHAPTERS[0])
    code, folded = page.locator(".cell_input:visible"), page.locator("details.hide")
    before = code.count()
    assert folded.count() and not any(one.get_attribute("open") for one in folded.all())
    page.get_by_label("Code:").select_option("all")
    assert code.count() > before
    page.get_by_label("Code:").select_option("none")
    assert code.count() == 0


def test_code_can_be_copied(book, page):
    _go(page, book, CHAPTERS[0])
    cell = page.locator("div.cell_input").first
    cell.hover()
    cell.locator("button.copybtn").click()
    cell.locator("button.copybtn.success").wait_for()


def test_the_slider_moves_by_keyboard(book, page):
    _go(page, book, CHAPTERS[1])
    control, shown = page.locator(".kdt input[type=range]"), page.locator(".kdt .kdt-t").first
    control.focus()
    before = float(shown.inner_text())
    page.keyboard.press("ArrowRight")
    assert float(shown.inner_text()) > before


@pytest.mark.parametrize("name", CHAPTERS)
def test_without_scripts_all_is_there(book, browser, name):
    context = browser.new_context(java_script_enabled=False)
    page = _go(context.new_page(), book, name)
    cells = jupytext.read(series.FOLDER / f"{name}.ipynb").cells
    outputs = [o for cell in cells for o in cell.get("outputs", ())]
    pictures = sum("image/png" in o.get("data", {}) for o in outputs)
    pictures += sum(o.get("data", {}).get("text/html", "").count("<img") for o in outputs)
    tables = sum("<table" in o.get("data", {}).get("text/html", "") for o in outputs)
    text = " ".join(c.source for c in cells if c.cell_type == "markdown")
    assert page.locator("article img").count() == pictures
    assert page.locator("article table").count() >= tables
    assert bool(page.locator("article math").count()) == ("$" in text)
    assert len(page.locator("article").inner_text().split()) > 0.8 * len(text.split())
    assert page.locator(".code-switch").count() == 0  # no dead control
    context.close()
