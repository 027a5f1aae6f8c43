"""The course as a book: HTML that opens from a disk, made by Sphinx from executed notebooks.

In: notebooks with their outputs, committed (`book`, `pdf`) or run now (`report`). Out: a folder
with a first page, a page a chapter, their solutions, all results, a glossary; or one PDF.
"""

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

import jinja2
import jupytext
import nbformat
import pypdf
from nbformat.v4 import new_markdown_cell
from playwright.sync_api import sync_playwright

from kdutils import ROOT, __version__, experiments, runs, tables, training
from kdutils.site import readme, series
from kdutils.site.pairs import KERNELSPEC
from kdutils.store import Store

PARTS = Path(__file__).parent / "book"
BOOK, REPORT = series.BUILD / "book", series.BUILD / "report"
METADATA = {
    "kernelspec": KERNELSPEC,
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
_CHAPTER = re.compile(r"(\[[^\]]*\]\([^)]*\)|`[^`]*`|^#.*$)|\b[Cc]hapter (\d\d)\b", re.MULTILINE)
_SOLVED = re.compile(r"^(?:## |\*\*)(?:Exercise )?(\d+)(?: and (\d+))?\.", re.MULTILINE)
_EXERCISE = re.compile(r"^(\d+)\. .*?(?=\n\d+\. |\n\n|\Z)", re.MULTILINE | re.DOTALL)


def report(more, only, profile, settings, seeds, out) -> int:
    """Run the notebooks and make their book; 1 if a notebook failed, else 0."""
    values = {"PROFILE": profile} | series.parse(settings)
    if seeds is not None:
        values["SEEDS"] = series.parse_seeds(seeds)
    return min(1, run(values, only=[*only, *more], out=out or REPORT))


def book(out: Path | None = None) -> list[str]:
    """The recorded edition, from the committed notebooks and records alone: where it is."""
    render(series.FOLDER, series.FOLDER, out := out or BOOK)
    return [f"The recorded results as a book: {(out / 'index.html').resolve()}"]


def run(
    values: Mapping[str, object],
    *,
    only: Iterable[str | int] | None = None,
    folder: Path = series.FOLDER,
    out: Path = REPORT,
    say: Callable[[str], None] = lambda line: print(line, flush=True),
) -> int:
    """Run the notebooks (`only`: those numbers) and render all that ran; the number that failed.

    `values` are set in every one of them and are checked for all of them before the first runs:
    ValueError if a notebook lacks a parameter or a value cannot be meant. The next ones still run
    after one that fails; its page ends with the failing cell. Notebooks of earlier calls stay.
    """
    chosen = series.choose(only, folder)
    series.check(chosen, values)
    _make(out)
    failed = []
    try:
        with series.this_interpreter():
            for notebook in chosen:
                ran = series.execute(notebook, out / "notebooks" / notebook.path.name, values)
                took = f"{ran['seconds']:.1f} s"
                if ran["error"]:
                    failed.append(notebook.number)
                    took = f"FAILED after {took} in {ran['error']}"
                say(f"{notebook.path.stem}: {took}")
    finally:
        render(folder, out / "notebooks", out)
    say(f"What ran now, profile {values.get('PROFILE')}: {(out / 'index.html').resolve()}")
    say("The recorded results on real data, from this repository alone: make book")
    if failed:
        ran = len(chosen) - len(failed)
        say(f"{ran} of {len(chosen)} notebooks ran; failed: {', '.join(failed)}.")
    return len(failed)


def render(folder: Path, ran: Path, out: Path, builder: str = "html") -> None:
    """Write the book of the notebooks in `ran`; `folder` holds the whole series and its solutions.

    Raises ValueError, naming the place, for a formula that cannot be shown, a link that leads
    nowhere, a figure without alternative text, a notebook without outputs.
    """
    _make(out)
    with tempfile.TemporaryDirectory() as temporary:
        source, made = Path(temporary) / "source", Path(temporary) / "made"
        _write_sources(folder, ran, source)
        # a process of its own: Sphinx registers what it loads once for all
        command = [sys.executable, "-m", "sphinx", "-qW", "--keep-going", "--no-color"]
        command += ["-b", builder, "-d", f"{temporary}/doctrees", str(source), str(made)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr + done.stdout).replace(f"{source}/", "").strip()
            raise ValueError(f"The book cannot be made: {said}")
        (made / ".buildinfo").unlink(missing_ok=True)
        shutil.copytree(made, out, dirs_exist_ok=True)


def _make(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file. Name a folder to write to, new or old.")
    out.mkdir(parents=True, exist_ok=True)


def _write_sources(folder: Path, ran: Path, source: Path) -> None:
    """What Sphinx reads: chapters, their solutions, and the pages beside them."""
    shutil.copytree(PARTS, source, ignore=shutil.ignore_patterns("*.j2", "__pycache__"))
    for part in ("_extra/notebooks", "solutions", "figures"):
        (source / part).mkdir(parents=True)
    shutil.copy(ROOT / "figures" / "03_hinton.png", source / "figures")
    chapters = series.find(folder)
    there = {c.number: c.path.name for c in chapters if (ran / c.path.name).exists()}
    shown = {}
    for number, name in there.items():
        shutil.copy(ran / name, source / "_extra" / "notebooks")
        nb = nbformat.read(ran / name, as_version=4)
        banner = _rests_on(number, nb.metadata.get("kdutils"))
        shown[number] = _chapter(nb, name)
        solutions = folder / "solutions" / f"{name[:-6]}.py"
        solved = _solutions(solutions, source) if solutions.exists() else None
        for cell in nb.cells:
            if cell.cell_type == "markdown":
                cell.source = _linked(cell.source, name, there, solved)
        title, _, rest = nb.cells[0].source.partition("\n")
        nb.cells[0].source = f"{title}\n\n{banner}\n{rest}"
        nb.cells.append(new_markdown_cell(_page("colophon.html", notebook=name)))
        nbformat.write(nb, source / name)
    headlines = readme.headlines()
    for row in headlines:  # the first cell with the arm's name; `lab`, the second, lists what lacks
        cells = [*enumerate(shown.get(row["chapter"], ()), 1)][2:]
        names = row["arm"], row["arm"].rpartition(", ")[0] or row["arm"]
        row["cell"] = next((k for name in names for k, text in cells if name in text), 0)
    results = {k: f.to_html(index=False, border=0) for k, f in readme.frames().items()}
    cards = [_card(chapter, chapter.number in there) for chapter in chapters]
    for name in ("index.md", "results.md", "made.md", "glossary.md"):
        page = _page(name, chapters=cards, headlines=headlines, there=there, results=results)
        page = page if "<table" in page else _linked(page, "", there, None)
        (source / name).write_text(page + _page("colophon.html"), encoding="utf-8")


def _chapter(nb: nbformat.NotebookNode, name: str) -> list[str]:
    """Make an executed notebook ready for myst-nb, in place; its code cells as text."""
    failed, count = nb.metadata.get("kdutils", {}).get("failed_cell"), 0
    for k, cell in enumerate(nb.cells):
        count += "injected-parameters" not in cell.metadata.get("tags", [])
        if count == failed:
            del nb.cells[k + 1 :]
            break
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    if not failed and not any(cell.outputs for cell in code):
        raise ValueError(f"{name} has no outputs: run it, then `sync --outputs` its report.")
    nb.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(code, 1):
        tags, myst = cell.metadata.get("tags", []), cell.metadata.setdefault("mystnb", {})
        cell.source = re.sub(r"  # (fmt|noqa):.*", "", cell.source)  # words for our formatter
        if "injected-parameters" in tags:
            cell.source = cell.source.replace("# Parameters", "# Set for this report", 1)
        if "your-turn" in tags:
            cell.metadata["tags"] = [*tags, "hide-input"]
            myst["code_prompt_show"] = "Your turn: show a solution"
        for output in cell.outputs:
            data = output.get("data", {})
            # what runs a script that is not the course's own is shown as text
            if "<script" in (text := data.get("text/html", "")) and 'class="kdt' not in text:
                del data["text/html"]
                data.setdefault("text/plain", text)
            data.pop("application/javascript", None)
            for kind in (kind for kind in data if kind.startswith("image/")):
                if not (alt := output.metadata.get(kind, {}).get("alt")):
                    raise ValueError(f"{name}, code cell {number}: a figure without alt text.")
                myst["image"] = {"alt": alt}
    return [cell.source + html.unescape(json.dumps(cell.outputs)) for cell in code]


def _solutions(path: Path, source: Path) -> set[str]:
    """Write solutions as a page, with a target at each and a way back; the exercises solved."""
    nb, done = jupytext.read(path, fmt="py:percent"), set()

    def target(found: re.Match) -> str:
        new = [number for number in found.groups() if number and number not in done]
        done.update(new)
        return "".join(f"(solution-{path.stem[:2]}-{n})=\n" for n in new) + found[0]

    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = _SOLVED.sub(target, cell.source)
    nb.cells[0].source += f"\n\nBack to [the chapter](../{path.stem}.ipynb)."
    nb.cells.append(new_markdown_cell(_page("colophon.html")))
    nb.metadata = nbformat.from_dict(METADATA)
    nbformat.write(nb, source / "solutions" / f"{path.stem}.ipynb")
    return done


def _linked(text: str, name: str, there: Mapping[str, str], solved: set[str] | None) -> str:
    """Markdown whose chapters can be clicked, and each exercise's solution."""

    def chapter(found: re.Match) -> str:
        page = there.get(found[2] or "", name)
        return found[0] if found[1] or page == name else f"[{found[0]}]({page})"

    def lost(found: re.Match) -> str:  # what was not run has no page to lead to
        return found[0] if found[2] in there else found[1]

    def solution(found: re.Match) -> str:
        known = found[1] in solved
        return found[0] + f" [Solution](#solution-{name[:2]}-{found[1]})" * known

    text = re.sub(r"\[([^\]]*)\]\((\d\d)_\w+\.ipynb[^)]*\)", lost, _CHAPTER.sub(chapter, text))
    if solved is None:
        return text
    page = f"[on a page of their own](solutions/{name})"
    text = re.sub(r"\[[^\]]*\]\(solutions/\w+\.py\)", page, text)
    before, heading, rest = text.partition("## Exercises")
    exercises, next_heading, after = rest.partition("\n## ")
    return before + heading + _EXERCISE.sub(solution, exercises) + next_heading + after


def _card(chapter: series.Notebook, there: bool) -> dict:
    """What the first page says of a chapter."""
    cells = nbformat.read(chapter.path, as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    lines = sum(len(c.source.splitlines()) for c in cells if c.cell_type == "code")
    able = re.search(r"\*\*You will be able to\*\*\n\n((?:[-* ] .*\n)+)", text + "\n")
    taken = {
        f"`{profile}`" + " (from records)" * (profile != "smoke"): one
        for profile, one in readme.times().get(chapter.number, {}).items()
    }
    return {
        "file": chapter.path.name if there else "",
        "title": chapter.title,
        "able": able[1] if able else "",
        # 150 words or 30 lines of code a minute
        "minutes": max(5, 5 * round((len(text.split()) / 150 + lines / 30) / 5)),
        "times": [f"{one['seconds']} s on {name}" for name, one in sorted(taken.items())],
    }


def _rests_on(number: str, run: Mapping | None) -> str:
    """The banner of a chapter: profile, device, date, commit; loud on toy data and failures.

    run: what `series.execute` says of it, None for the committed notebook.
    """
    profile, records = (run or {"parameters": {}})["parameters"].get("PROFILE", "laptop"), []
    if profile != "smoke" and number in experiments.chapters():
        arms, seeds = experiments.arms(number, profile), experiments.get_profile(profile).seeds
        records = {r.id: r for r in tables.tidy(arms, seeds, Store())["record"]}.values()
    return _page(
        "banner.html",
        run=run,
        profile=profile,
        here=runs.device_name(training.pick_device()),
        days=sorted(record.recorded for record in records),
        devices=sorted({record.device for record in records}),
    )


@cache
def _version() -> str:
    """The course's version and, in a checkout, the commit with its day."""
    if not (git := shutil.which("git")):
        return f"version {__version__}"
    asked = [git, "log", "-1", "--format=, commit %h of %cs"]
    found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    return f"version {__version__}{found.stdout.strip()}"


def _page(template: str, **values) -> str:
    """A template of `book/` with these values."""
    text = (PARTS / f"{template}.j2").read_text(encoding="utf-8")
    made = jinja2.Template(text, trim_blocks=True, lstrip_blocks=True, autoescape=True)
    return made.render(values, version=_version())


def pdf(out: Path | None = None) -> list[str]:
    """The recorded edition as one PDF, with page numbers and a table of contents: where it is.

    Chromium prints twice: the first time tells on which page each heading stands.
    """
    if not (chromium := shutil.which("chromium") or shutil.which("chromium-browser")):
        raise ValueError("The PDF is printed by Chromium, and there is none here: install it.")
    out = out or series.BUILD / "book.pdf"
    _make(out.parent)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        render(series.FOLDER, series.FOLDER, Path(folder), builder="singlehtml")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(color_scheme="light")
        page.goto((Path(folder) / "index.html").as_uri())
        script, numbers = (PARTS / "_static" / "print.js").read_text(encoding="utf-8"), []
        for _ in range(2):
            page.evaluate(script, numbers)
            page.pdf(
                path=out, format="A4", scale=0.85, outline=True, tagged=True,
                display_header_footer=True,
                margin=dict.fromkeys(("top", "bottom", "left", "right"), "17mm"),
                header_template="<span></span>",
                footer_template='<div style="font-size: 8px; width: 100%; text-align: center">'
                '<span class="pageNumber"></span></div>',
            )  # fmt: skip
            read = pypdf.PdfReader(out)
            numbers = [read.get_destination_page_number(one) + 1 for one in _flat(read.outline)]
        browser.close()
    return [f"{out.resolve()}: {len(read.pages)} pages"]


def _flat(outline: list) -> list:
    """A PDF's outline without its nesting: one destination a heading, in their order."""
    return sum((_flat(one) if isinstance(one, list) else [one] for one in outline), [])
