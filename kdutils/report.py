"""The series as a site: every notebook run by papermill, shown as a page, listed on a first page.

In: notebooks, a profile, parameter values. Out: `build/report/` with the executed notebooks, one
HTML page each and `index.html`; it opens from the disk, without a server and without a network.
"""

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path

import nbformat

from kdutils import pages, series

OUT = series.ROOT / "build" / "report"
# What a reader would have to know to get the same numbers again.
_NAMED = ("torch", "torchvision", "numpy", "scikit-learn", "papermill", "nbconvert")


def build(
    values: Mapping[str, object],
    *,
    only: Iterable[str | int] | None = None,
    folder: Path = series.FOLDER,
    out: Path = OUT,
    results: Callable[[], Mapping] = dict,
    say: Callable[[str], None] = lambda line: print(line, flush=True),
) -> int:
    """Run the notebooks (`only`: those numbers) and write the site; the number that failed.

    `values` are set in every one of them and are checked for all of them before the first runs:
    ValueError if a notebook lacks a parameter or a value cannot be meant. A notebook that fails is
    shown up to its failing cell, and the next ones still run. `results` gives the data frames
    for the first page, by heading, and is asked when all have run. Pages of earlier calls stay.
    """
    chosen = series.choose(only, folder)
    series.check(chosen, values)
    out.mkdir(parents=True, exist_ok=True)
    failed: dict[str, str] = {}
    try:
        with series.this_interpreter():
            for notebook in chosen:
                target = out / notebook.path.name
                failure = series.execute(notebook, target, values)
                nb = nbformat.read(target, as_version=4)
                seconds = nb.metadata["kdutils"]["seconds"]
                # With this page on the disk, stopping the report later loses nothing that ran.
                problem = str(failure) if failure else _write_page(notebook, folder, out)
                if problem is None:
                    say(f"{notebook.path.stem}: {seconds:.1f} s")
                else:
                    failed[notebook.number] = problem
                    say(f"{notebook.path.stem}: FAILED after {seconds:.1f} s in {problem}")
    finally:
        _write_site(folder, out, results)
    say(f"{(out / 'index.html').resolve()}")
    if failed:
        names = ", ".join(failed)
        say(f"{len(chosen) - len(failed)} of {len(chosen)} notebooks ran; failed: {names}.")
    return len(failed)


def _made(folder: Path, out: Path) -> list[series.Notebook]:
    return [notebook for notebook in series.find(folder) if (out / notebook.path.name).exists()]


def _write_page(notebook: series.Notebook, folder: Path, out: Path) -> str | None:
    """Write one notebook's page; the reason where it cannot be shown."""
    made = _made(folder, out)
    nb = nbformat.read(out / notebook.path.name, as_version=4)
    heading = series.title(nb) or notebook.path.stem
    problem = None
    try:
        page = pages.notebook_page(
            nb,
            source=folder,
            out=out,
            heading=heading,
            series=[(other.path.stem, other.title) for other in made],
            here=made.index(notebook),
        )
    except pages.FormulaError as error:
        problem = str(error)
        page = pages.failed_page(problem, heading=heading)
    _replace(out / f"{notebook.path.stem}.html", page)
    return problem


def _write_site(folder: Path, out: Path, results: Callable[[], Mapping]) -> None:
    """All pages again, now that each can link to its neighbours, and the first page."""
    rows = []
    for notebook in series.find(folder):
        row = {"number": notebook.number, "title": notebook.title, "status": "not run yet"}
        row |= {"profile": None, "seconds": None, "page": None, "error": None}
        if (out / notebook.path.name).exists():
            problem = _write_page(notebook, folder, out)
            run = nbformat.read(out / notebook.path.name, as_version=4).metadata["kdutils"]
            row |= {
                "page": f"{notebook.path.stem}.html",
                "status": "failed" if problem else run["status"],
                "profile": run["parameters"].get("PROFILE"),
                "seconds": run["seconds"],
                "error": problem or run["error"],
            }
        rows.append(row)
    _replace(out / "index.html", pages.index_page(rows, results(), _versions()))


def _versions() -> dict[str, str]:
    versions = {"Python": platform.python_version()}
    return versions | {name: metadata.version(name) for name in _NAMED}


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
