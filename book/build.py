"""The course as a book that Sphinx makes of executed notebooks: HTML for a disk, or one PDF.

In: notebooks with their outputs, the committed ones or those of a report. Out: a folder of pages.
"""

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import jinja2
import nbformat
import pypdf
from nbformat import NotebookNode
from playwright.sync_api import sync_playwright

from book import readme, series
from kdutils import ROOT, __version__, experiments
from kdutils.commands import results

PARTS = Path(__file__).parent
_PAPER = {"format": "A4", "scale": 0.85, "outline": True, "tagged": True}
_PAPER |= {"margin": dict.fromkeys(("top", "bottom", "left", "right"), "17mm")}
_PAPER |= {"display_header_footer": True, "header_template": "<span></span>"}
_PAPER["footer_template"] = '<p style="font-size: 8px; margin: auto" class="pageNumber"></p>'


def book(out: Path | None = None) -> list[str]:
    """The recorded edition, from the committed notebooks and records alone: where it is."""
    render(series.FOLDER, None, out := out or series.BUILD / "book")
    return [f"The recorded results as a book: {(out / 'index.html').resolve()}"]


def render(folder: Path, ran: Path | None, out: Path, builder: str = "html") -> None:
    """Write the book of the series in `folder`: its notebooks as they are in `ran`, else as saved.

    Raises ValueError, naming the place, for a formula that cannot be shown, a link that leads
    nowhere, a figure without alternative text, a saved notebook without outputs.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source, made = Path(temporary) / "source", Path(temporary) / "made"
        shutil.copytree(PARTS, source, ignore=shutil.ignore_patterns("*.j2", "*config", "__*__*"))
        _write_sources(folder, ran, source)
        # a process of its own: Sphinx registers what it loads once for all
        command = [sys.executable, "-m", "sphinx", "-qW", "--keep-going", "--no-color"]
        command += ["-b", builder, "-D", f"release={version()}", "-d", f"{temporary}/doctrees"]
        done = subprocess.run([*command, source, made], capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr + done.stdout).replace(f"{source}/", "").strip()
            raise ValueError(f"The book cannot be made: {said}")
        shutil.copytree(made, out, ignore=shutil.ignore_patterns(".buildinfo"), dirs_exist_ok=True)


def _write_sources(folder: Path, ran: Path | None, source: Path) -> None:
    """What Sphinx reads: chapters, their solutions, and the pages beside them."""
    (source / "_extra" / "ipynb").mkdir(parents=True)
    shutil.copytree(folder / "solutions", source / "solutions")
    code, chapters = {}, series.find(folder)
    for chapter in chapters:
        name = chapter.path.name
        path = ran / name if ran and (ran / name).exists() else chapter.path
        shutil.copy(path, source / "_extra" / "ipynb")
        nb = nbformat.read(path, as_version=4)
        run = nb.metadata.get("kdutils")
        code[chapter.number] = _prepare(nb, run, name, may_be_empty=ran is not None)
        title, _, rest = nb.cells[0].source.partition("\n")
        nb.cells[0].source = f"{title}\n\n{_banner(chapter.number, run)}\n{rest}"
        nbformat.write(nb, source / name)
    headlines = results.headlines() if set(experiments.chapters()) <= set(code) else []
    for row in headlines:  # the first cell with the arm's name; `lab`, the second, lists what lacks
        cells = [*enumerate(code[row["chapter"]], 1)][2:]
        names = row["arm"], row["arm"].rpartition(", ")[0] or row["arm"]
        row["cell"] = next((k for name in names for k, text in cells if name in text), 0)
    values = {"chapters": [_card(chapter) for chapter in chapters], "headlines": headlines}
    values["results"] = {k: f.to_html(index=False, border=0) for k, f in results.frames().items()}
    values["there"] = {chapter.number: chapter.path.name for chapter in chapters}
    shutil.copy(ROOT / "figures" / "03_hinton.png", source / "_static")
    for name in ("index.md", "results.md", "made.md", "glossary.md"):
        (source / name).write_text(_page(name, **values), encoding="utf-8")


def _prepare(nb: NotebookNode, run: Mapping | None, name: str, may_be_empty: bool) -> list[str]:
    """Make an executed notebook ready for myst-nb, in place; its code cells and outputs as text."""
    if run and run["failed_cell"]:
        del nb.cells[run["failed_cell"] :]
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    if not (run or may_be_empty or any(cell.outputs for cell in code)):
        raise ValueError(f"{name} has no outputs: run it, then `sync --outputs` its report.")
    for number, cell in enumerate(code, 1):
        myst = cell.metadata.setdefault("mystnb", {})
        cell.source = re.sub(r"  # (fmt|noqa):.*", "", cell.source)  # words for our formatter
        cell.source = cell.source.replace("# Parameters\n", "# Set for this report\n")
        if "your-turn" in (tags := cell.metadata.get("tags", [])):
            tags.append("hide-input")
            myst["code_prompt_show"] = "Your turn: show a solution"
        for output in cell.outputs:
            data = output.get("data", {})
            # what runs a script that is not the course's own is shown as text
            if "<script" in (text := data.get("text/html", "")) and 'class="kdt' not in text:
                data.setdefault("text/plain", data.pop("text/html"))
            data.pop("application/javascript", None)
            for kind in (kind for kind in data if kind.startswith("image/")):
                unfinished = "An unfinished figure." if run and run["error"] else ""
                myst["image"] = {"alt": output.metadata.get(kind, {}).get("alt", unfinished)}
                if not myst["image"]["alt"]:
                    raise ValueError(f"{name}, code cell {number}: a figure without alt text.")
    return [cell.source + html.unescape(json.dumps(cell.outputs)) for cell in code]


def _card(chapter: series.Notebook) -> dict:
    """What the first page says of a chapter."""
    cells = nbformat.read(chapter.path, as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    able = re.search(r"\*\*You will be able to\*\*\n\n((?:[-* ] .*\n)+)", text)
    about = {"file": chapter.path.name, "title": chapter.title, "minutes": chapter.minutes}
    times = readme.times().get(chapter.number, {})
    return about | {"able": able[1] if able else "", "times": times}


def _banner(number: str, run: Mapping | None) -> str:
    """What a chapter rests on: profile, device, date, commit; loud on toy data and failures.

    run: what `series.execute` says of it, None for a notebook as saved.
    """
    given, records = run["parameters"] if run else {}, {}
    profile = given.get("PROFILE", "laptop")
    if profile != "smoke" and number in experiments.chapters():
        lab = experiments.Lab(number, profile, given.get("SEEDS"))
        records = {r.id: r for r in lab.runs["record"]}
    return _page("banner.html", run=run, profile=profile, records=list(records.values()))


def version() -> str:
    """The course's version and, in a checkout, the commit with its day."""
    asked = ["git", "log", "-1", "--format=, commit %h of %cs"]
    git = {"cwd": ROOT, "capture_output": True, "text": True}
    commit = subprocess.run(asked, **git).stdout.strip() if shutil.which("git") else ""
    return f"version {__version__}{commit}"


def _page(template: str, **values) -> str:
    """A template beside this file with these values."""
    parts = jinja2.FileSystemLoader(PARTS)
    pages = jinja2.Environment(loader=parts, trim_blocks=True, lstrip_blocks=True, autoescape=True)
    return pages.get_template(f"{template}.j2").render(values, version=version())


def pdf(out: Path | None = None) -> list[str]:
    """The recorded edition as one PDF, with page numbers and a table of contents: where it is.

    Chromium prints twice: the first time tells on which page each heading stands.
    """
    if not (chromium := shutil.which("chromium") or shutil.which("chromium-browser")):
        raise ValueError("The PDF is printed by Chromium, and there is none here: install it.")
    out, script = out or series.BUILD / "book.pdf", (PARTS / "_static" / "print.js").read_text()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        render(series.FOLDER, None, Path(folder), builder="singlehtml")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page, numbers = browser.new_page(color_scheme="light"), []
        page.goto((Path(folder) / "index.html").as_uri())
        for _ in range(2):
            page.evaluate(script, numbers)
            page.pdf(path=out, **_PAPER)
            read = pypdf.PdfReader(out)
            numbers = [read.get_destination_page_number(one) + 1 for one in _flat(read.outline)]
        browser.close()
    return [f"{out.resolve()}: {len(read.pages)} pages"]


def _flat(outline: list) -> list:
    """A PDF's outline without its nesting: one destination a heading, in their order."""
    return sum((_flat(one) if isinstance(one, list) else [one] for one in outline), [])
