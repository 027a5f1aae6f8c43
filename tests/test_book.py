"""The recorded edition, file by file: links, anchors, pictures, what each page says; the PDF."""

import filecmp
import html
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
from conftest import CHROMIUM, make_book

from book import series
from kdutils import ROOT
from kdutils.commands import results

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
CHAPTERS = [notebook.path.stem for notebook in series.find()]
BESIDE = ["index", "results", "made", "glossary", "search"]
PAGES = [*CHAPTERS, *BESIDE, *(f"solutions/{name}" for name in CHAPTERS)]


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
    again = make_book(tmp_path / "again")
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
    assert "Cite as" in text and "CC BY 4.0" in text and f'href="ipynb/{name}.ipynb"' in text


def test_every_result_of_the_first_page_leads_to_the_cell_that_shows_it(book):
    text = (book / "index.html").read_text(encoding="utf-8")
    rows = results.headlines()
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
        words += html.unescape(" ".join(re.findall(r'alt="([^"]*)"', cell)))  # in a figure
        assert row["arm"].rpartition(", ")[0] in words


def test_every_exercise_with_a_solution_leads_to_it(book):
    for name in CHAPTERS:
        page = (book / f"{name}.html").read_text(encoding="utf-8")
        here = re.findall(r'href="solutions/([^"]*)"[^>]*>(?:<[^>]*>)*Solution<', page)
        there = _parts(book / "solutions" / f"{name}.html").anchors
        wanted = {one for one in there if re.fullmatch(r"exercises?-\d.*", str(one))}
        assert {link.partition("#")[2] for link in here} == wanted, name
        assert all(link.startswith(f"{name}.html#") for link in here)
        assert wanted or name >= "90"


def test_a_chapter_that_the_text_names_can_be_clicked():
    for name in CHAPTERS:
        cells = jupytext.read(series.FOLDER / f"{name}.py").cells
        text = " ".join(c.source for c in cells if c.cell_type == "markdown")
        plain = re.sub(r"\[[^\]]*\]\([^)]*\)|`[^`]*`", "", text)
        assert set(re.findall(r"\b[Cc]hapter\s+(\d\d)\b", plain)) <= {name[:2]}, name


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
