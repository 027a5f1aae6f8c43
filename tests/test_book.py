"""The recorded edition as its readers have it: every page, in a real browser, from the disk."""

import filecmp
import html
import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jupytext
import pypdf
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import CHROMIUM

from kdutils import ROOT
from kdutils.site import readme, series

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
CHAPTERS = [notebook.path.stem for notebook in series.find()]
BESIDE = ["index", "results", "made", "glossary", "search"]
PAGES = [*CHAPTERS, *BESIDE, *(f"solutions/{name}" for name in CHAPTERS)]


def _make(out: Path, empty: Path) -> Path:
    """The book, where there are neither data sets nor a network."""
    nowhere = "http://127.0.0.1:9"
    environment = os.environ | {"KDUTILS_DATA": str(empty), "KDUTILS_RUNS": str(empty / "runs")}
    environment |= {"http_proxy": nowhere, "https_proxy": nowhere}
    command = [sys.executable, "-m", "kdutils", "book", "--out", str(out)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return out


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    return _make(tmp_path_factory.mktemp("book"), tmp_path_factory.mktemp("no_data"))


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    yield page
    page.close()


def _go(page, book, name):
    page.goto((book / f"{name}.html").as_uri())
    return page


class _Parts(HTMLParser):
    """What a page links to, its anchors, its pictures."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.anchors, self.images = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs.get("id"), attrs.get("name")}
        if tag == "a" and "href" in attrs:
            self.links.append(attrs["href"])
        if tag == "img":
            self.images.append(attrs)


@cache
def _parts(path: Path) -> _Parts:
    return _Parts(path.read_text(encoding="utf-8"))


def test_the_book_is_byte_for_byte_the_same_when_made_again(book, tmp_path):
    again = _make(tmp_path / "again", tmp_path)
    files = sorted(p.relative_to(book) for p in book.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    same, different, failed = filecmp.cmpfiles(book, again, files, shallow=False)
    assert different == failed == [] and len(same) == len(files)


@pytest.mark.parametrize("name", PAGES)
def test_every_link_and_anchor_leads_somewhere(book, name):
    here = book / f"{name}.html"
    for link in _parts(here).links:
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme in ("http", "https"), link
            continue
        target = (here.parent / unquote(parts.path)).resolve() if parts.path else here
        assert target.is_file(), link
        if parts.fragment and target.suffix == ".html":
            assert unquote(parts.fragment) in _parts(target).anchors, link


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_is_described_and_a_page_weighs_less_than_a_photograph(book, name):
    here = book / f"{name}.html"
    images = _parts(here).images
    assert all(len(image.get("alt", "")) >= 20 for image in images)
    files = [here, *{(here.parent / unquote(image["src"])) for image in images
                     if not image["src"].startswith("data:")}]  # fmt: skip
    assert sum(file.stat().st_size for file in files) < 1_500_000


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_says_what_it_rests_on_and_how_to_cite_it(book, name):
    text = (book / f"{name}.html").read_text(encoding="utf-8")
    banner = re.search(r'<div class="rests" role="note">(.*?)</div>', text, re.S)[1]
    assert "Recorded results" in banner and "laptop" in banner and "commit" in banner
    assert "Cite as" in text and "CC BY 4.0" in text and f'href="notebooks/{name}.ipynb"' in text


def test_every_result_of_the_first_page_leads_to_the_cell_that_shows_it(book):
    text = (book / "index.html").read_text(encoding="utf-8")
    rows = readme.headlines()
    assert len(rows) >= 10
    for row in rows:
        assert row["what"] in text or row["what"].replace("'", "&#39;") in text
    links = [link for link in _parts(book / "index.html").links if "#code-" in link]
    assert len(links) == len(rows)
    for link, row in zip(links, rows, strict=True):
        name, _, anchor = link.partition(".html#")
        page = (book / f"{name}.html").read_text(encoding="utf-8")
        cell = page.partition(f'id="{anchor}"')[2].partition('<div id="code-')[0]
        words = re.sub(r"<[^>]*>", "", html.unescape(cell))
        assert row["arm"].rpartition(", ")[0] in words


def test_every_exercise_with_a_solution_leads_to_it(book):
    for name in CHAPTERS:
        links = set(_parts(book / f"{name}.html").links)
        there = _parts(book / "solutions" / f"{name}.html").anchors
        for target in (one for one in there if re.fullmatch(r"solution-\d\d-\d+", str(one))):
            assert f"solutions/{name}.html#{target}" in links


@in_browser
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


@in_browser
def test_search_finds_a_word_that_stands_in_one_chapter_only(book, page):
    name, word = _word_of_one_page(book)
    _go(page, book, "index")
    page.locator("input[name=q]").first.fill(word)
    page.keyboard.press("Enter")
    first = page.locator("ul.search li a").first
    first.wait_for()
    assert name in first.get_attribute("href")


@in_browser
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


@in_browser
def test_one_switch_folds_and_shows_all_code(book, page):
    _go(page, book, CHAPTERS[0])
    code, folded = page.locator(".cell_input:visible"), page.locator("details.hide")
    before = code.count()
    assert folded.count() and not any(one.get_attribute("open") for one in folded.all())
    page.get_by_label("Code:").select_option("all")
    assert code.count() > before
    page.get_by_label("Code:").select_option("none")
    assert code.count() == 0


@in_browser
def test_code_can_be_copied(book, page):
    _go(page, book, CHAPTERS[0])
    cell = page.locator("div.cell_input").first
    cell.hover()
    cell.locator("button.copybtn").click()
    cell.locator("button.copybtn.success").wait_for()


@in_browser
def test_the_slider_moves_by_keyboard(book, page):
    _go(page, book, CHAPTERS[1])
    control, shown = page.locator(".kdt input[type=range]"), page.locator(".kdt .kdt-t").first
    control.focus()
    before = float(shown.inner_text())
    page.keyboard.press("ArrowRight")
    assert float(shown.inner_text()) > before


@in_browser
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


@in_browser
def test_the_pdf_has_page_numbers_and_contents_that_lead_to_the_chapters(tmp_path):
    printed = tmp_path / "book.pdf"
    command = [sys.executable, "-m", "kdutils", "pdf", "--out", str(printed)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    pages = [page.extract_text() for page in pypdf.PdfReader(printed).pages]
    assert [text.split()[-1] for text in pages] == [str(k) for k in range(1, len(pages) + 1)]
    end = next(k for k, text in enumerate(pages) if text.startswith("The results that matter"))
    contents = "\n".join(pages[1:end])
    for number in (notebook.number for notebook in series.find()):
        title, page = re.search(rf"^({number} · .*?) (\d+)$", contents, re.M | re.S).groups()
        there = " ".join(pages[int(page) - 1].split())
        assert there.startswith(" ".join(title.split())), title
