"""Every chapter as committed: its size, its outputs, its figures. Run as a script, its counts."""

import ast

import jupytext
import nbformat
import pandas as pd
import pytest

from book import pairs, series

CELLS, LINES, ASIDE = 45, 400, 0.25
# Larger for a reason that stands in the chapter: number -> cells, lines.
LARGER: dict[str, tuple[int, int]] = {}
CHAPTERS = {path.stem: path for path in sorted(series.FOLDER.glob("[0-9][0-9]_*.py"))}
every_chapter = pytest.mark.parametrize("name", CHAPTERS)


def _lines(source: str) -> int:
    """Lines that hold code: neither empty nor a comment alone."""
    lines = (line.strip() for line in source.splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


def _saved(name: str) -> nbformat.NotebookNode:
    path = CHAPTERS[name].with_suffix(".ipynb")
    assert path.exists(), f"{path.name} is missing: run `make sync`"
    return nbformat.read(path, as_version=4)


def counts(name: str) -> dict[str, float]:
    """A chapter's cells, lines of code, set-up lines and the share of code not about its subject.

    Set-up: the parameters cell and the cell that makes the `Lab`. Not about the subject: these, and
    what only draws or formats (`hide-input`).
    """
    cells = jupytext.read(CHAPTERS[name], fmt=pairs.FORMAT).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    lines = sum(_lines(cell.source) for cell in code)
    tagged = [(set(cell.metadata.get("tags", ())), cell.source) for cell in code]
    setup = sum(_lines(s) for tags, s in tagged if "parameters" in tags or "lab = Lab(" in s)
    drawn = sum(_lines(s) for tags, s in tagged if "hide-input" in tags)
    plot = max((_lines(s) for tags, s in tagged if "hide-input" in tags), default=0)
    imports = sum(
        isinstance(node, ast.Import | ast.ImportFrom)
        for tags, s in tagged
        for node in ast.walk(ast.parse(s))
        if "parameters" in tags or "lab = Lab(" in s
    )
    aside = (setup + drawn) / max(1, lines)
    return {
        "cells": len(cells),
        "lines": lines,
        "set-up": setup,
        "imports in it": imports,
        "longest drawing": plot,
        "not the subject": round(aside, 3),
    }


@every_chapter
def test_a_chapter_is_of_a_size_to_be_read_in_one_go(name):
    found, (cells, lines) = counts(name), LARGER.get(name[:2], (CELLS, LINES))
    assert found["cells"] <= cells and found["lines"] <= lines, found
    assert found["not the subject"] <= ASIDE, found


@every_chapter
def test_a_chapter_sets_up_in_two_cells(name):
    found = counts(name)
    assert found["imports in it"] <= 1 and found["set-up"] <= 12, found


@every_chapter
def test_the_committed_notebook_ran_from_top_to_bottom_as_it_stands(name):
    nb = _saved(name)
    nbformat.validate(nb)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        kinds = [output.output_type for output in cell.outputs]
        assert "error" not in kinds or "raises-exception" in cell.metadata.get("tags", [])
        noise = [o.text for o in cell.outputs if o.get("name") == "stderr"]
        assert not noise, noise
    defaults = series.parameters(CHAPTERS[name].with_suffix(".ipynb"))
    assert {k: defaults.get(k) for k in pairs.DEFAULTS} == pairs.DEFAULTS


@every_chapter
def test_drawing_cells_and_solutions_are_folded_in_jupyterlab_and_no_others(name):
    for k, cell in enumerate(_saved(name).cells, 1):
        wanted = bool(pairs.FOLDED & set(cell.metadata.get("tags", ())))
        folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        assert folded == wanted, f"cell {k}: run `make sync`"


def test_the_first_chapter_leads_to_all_others():
    text = next(path for number, path in CHAPTERS.items() if number.startswith("00")).read_text()
    assert all(
        f"]({path.stem}.ipynb)" in text for path in CHAPTERS.values() if "00_" not in path.stem
    )


@every_chapter
def test_every_figure_of_a_chapter_says_in_words_what_it_shows(name):
    nb = _saved(name)
    outputs = [output for cell in nb.cells for output in cell.get("outputs", [])]
    images = [o for o in outputs if {"image/png", "image/svg+xml"} & set(o.get("data", {}))]
    assert images or name >= "90"  # an appendix may do without
    for output in images:
        said = [about.get("alt", "") for about in output.metadata.values() if hasattr(about, "get")]
        assert max(map(len, said), default=0) >= 40, output.metadata


def test_there_are_chapters_and_each_has_its_experiments():
    from kdutils import experiments

    assert len(CHAPTERS) >= 8
    assert {name[:2] for name in CHAPTERS} == set(experiments.chapters())


if __name__ == "__main__":
    engine, book = series.ROOT / "kdutils", series.ROOT / "book"
    print(pd.DataFrame({name[:2]: counts(name) for name in CHAPTERS}).T.to_string())
    pages = ["build.py", "conf.py"]
    for what, files in {
        "kdutils without its commands": [*engine.glob("*.py"), *engine.glob("models/*.py")],
        "kdutils": engine.rglob("*.py"),
        "the book's pages": [series.ROOT / "book" / name for name in pages],
        "the book's other code": {*book.glob("*.py")} - {book / name for name in pages},
    }.items():
        print(what, sum(len(path.read_text("utf-8").splitlines()) for path in files), "lines")
