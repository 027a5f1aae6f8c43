"""The series as a site: every notebook run by papermill, shown as a page, listed on a first page.

In: notebooks, a profile, parameter values. Out: `build/report/` with the executed notebooks, one
HTML page each and `index.html`; it opens from the disk, without a server and without a network.
"""

import platform
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path

import nbformat

from kdutils.site import pages, readme, series
from kdutils.store import write

OUT = series.BUILD / "report"
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
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file. Name a folder to write the report to, new or old.")
    out.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []
    try:
        with series.this_interpreter():
            for notebook in chosen:
                run = series.execute(notebook, out / notebook.path.name, values)
                # With this page on the disk, stopping the report later loses nothing that ran.
                problem = _write_page(notebook, folder, out) or run["error"]
                if problem is None:
                    say(f"{notebook.path.stem}: {run['seconds']:.1f} s")
                else:
                    failed.append(notebook.number)
                    say(f"{notebook.path.stem}: FAILED after {run['seconds']:.1f} s in {problem}")
    finally:
        _write_site(folder, out, results)
    say(f"{(out / 'index.html').resolve()}")
    if failed:
        ran = len(chosen) - len(failed)
        say(f"{ran} of {len(chosen)} notebooks ran; failed: {', '.join(failed)}.")
    return len(failed)


def report(more, only, profile, settings, seeds, out) -> int:
    """The command: its options as given; 1 if a notebook failed, else 0."""
    values = {"PROFILE": profile} | series.parse(settings)
    if seeds is not None:
        values["SEEDS"] = series.parse_seeds(seeds)
    return min(1, build(values, only=[*only, *more], out=out or OUT, results=readme.frames))


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
    write(out / f"{notebook.path.stem}.html", page.encode())
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
    write(out / "index.html", pages.index_page(rows, results(), _versions()).encode())


def _versions() -> dict[str, str]:
    versions = {"Python": platform.python_version()}
    return versions | {name: metadata.version(name) for name in _NAMED}
