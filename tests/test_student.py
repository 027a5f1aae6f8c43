"""Cells in which the student writes: every solution passes its check, and every blank fails it."""

import ast
import builtins
import os
import symtable

import jupytext
import nbformat
import pytest

from book import series, student

SOURCE = """# %% [markdown]
# # A question

# %% tags=["parameters"]
PROFILE = "laptop"

# %%
slow = 1 / 0  # nothing needs it

# %%
import math

scale = 2

# %% tags=["your-turn"]
def area(r):
    \"\"\"Of a circle.\"\"\"
    # your turn: pi times the radius squared
    squared = r * r
    return math.pi * squared
    # end

# %% tags=["check"]
assert abs(area(scale) - 4 * math.pi) < 1e-12, "area(2) must be 4 pi"
print("Your area is right.")

# %% tags=["hide-input"]
"a drawing"
"""


def _tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def _names(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell binds, and those that it reads from the cells before it."""

    def scopes(table):
        yield table
        for child in table.get_children():
            yield from scopes(child)

    bound, read = set(), set(dir(builtins))
    for statement in ast.parse(source).body:
        top = symtable.symtable(ast.unparse(statement), "cell", "exec")
        for table in scopes(top):
            names = (s for s in table.get_symbols() if s.is_referenced())
            read |= {s.get_name() for s in names if table is top or s.is_global()} - bound
        named = (s for s in top.get_symbols() if s.is_assigned() or s.is_imported())
        bound |= {symbol.get_name() for symbol in named}
    return bound, read - set(dir(builtins))


def needed(cells: list, turn: int) -> list[int]:
    """The cells before a your-turn cell that it and its check rest on, first to last."""
    wanted = _names(cells[turn].source)[1] | _names(cells[turn + 1].source)[1]
    found = []
    for k in reversed(range(turn)):
        bound, read = _names(cells[k].source)
        if bound & wanted and "hide-input" not in _tags(cells[k]):
            found.insert(0, k)
            wanted |= read
    return found


def turns(text: str) -> list[tuple[list, int]]:
    """The code cells of a notebook, with the index of each of its your-turn cells."""
    cells = [c for c in jupytext.reads(text, fmt="py:percent").cells if c.cell_type == "code"]
    return [(cells, k) for k, cell in enumerate(cells) if "your-turn" in _tags(cell)]


def before(cells: list, turn: int) -> dict:
    """The names that the cells before a turn leave, of those that it needs; on smoke."""
    names = {"__name__": "__main__"}
    for k in needed(cells, turn):
        exec(compile(cells[k].source, f"cell {k + 1}", "exec"), names)
        if "parameters" in _tags(cells[k]):
            names["PROFILE"] = "smoke"
    return names


def check(names: dict, cells: list, turn: int, solution: str) -> None:
    """This solution in place of the cell's own, then the cell's check."""
    names = dict(names)
    exec(compile(solution, "your turn", "exec"), names)
    exec(compile(cells[turn + 1].source, "check", "exec"), names)


CHAPTERS = {path.stem: path.read_text("utf-8") for path in series.FOLDER.glob("[0-9][0-9]_*.py")}
TURNS = [
    pytest.param(cells, k, id=f"{name[:2]}-{count}")
    for name, text in sorted(CHAPTERS.items())
    for count, (cells, k) in enumerate(turns(text), 1)
]


@pytest.fixture(autouse=True)
def a_store_and_no_windows(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    if "KDUTILS_RUNS" not in os.environ:  # `make test` has one, which all its smoke runs share
        monkeypatch.setenv("KDUTILS_RUNS", str(tmp_path_factory.getbasetemp() / "smoke"))


@pytest.mark.parametrize("name", sorted(CHAPTERS))
def test_every_chapter_has_two_turns_each_with_a_check(name):
    found = turns(CHAPTERS[name])
    assert len(found) >= 2
    for cells, k in found:
        assert "check" in _tags(cells[k + 1]), f"no check after {cells[k].source[:60]!r}"
        assert "assert" in cells[k + 1].source


@pytest.mark.parametrize(("cells", "turn"), TURNS)
def test_every_solution_passes_its_check_and_its_blank_fails(cells, turn, capsys):
    names = before(cells, turn)
    capsys.readouterr()
    check(names, cells, turn, cells[turn].source)
    assert capsys.readouterr().out.strip(), "a check that holds says so"
    with pytest.raises((NotImplementedError, AssertionError)):
        check(names, cells, turn, student.blank(cells[turn].source))


def test_a_student_gets_blanks_without_outputs_and_keeps_what_was_written(tmp_path):
    folder, out = tmp_path / "notebooks", tmp_path / "student"
    folder.mkdir()
    (folder / "01_a.py").write_text(SOURCE)
    said = student.write(folder, out)
    assert said == ["01_a.ipynb: 1 of your turns", str(out)]
    nb = nbformat.read(out / "01_a.ipynb", as_version=4)
    nbformat.validate(nb)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code) and len(nb.cells) == 7
    blank, drawing = code[3], code[5]
    assert blank.source.endswith(
        '"""Of a circle."""\n'
        "    # your turn: pi times the radius squared\n"
        '    raise NotImplementedError("your turn: pi times the radius squared")'
    )
    assert blank.metadata == {"tags": ["your-turn"]}  # not folded
    assert drawing.metadata.jupyter.source_hidden
    assert [path.name for path in out.iterdir()] == ["01_a.ipynb"]

    nb.cells[4].source = "my own work"
    nbformat.write(nb, out / "01_a.ipynb")
    assert "kept as it is" in student.write(folder, out)[0]
    assert nbformat.read(out / "01_a.ipynb", as_version=4).cells[4].source == "my own work"


def test_the_cells_before_a_turn_run_only_where_it_needs_them():
    ((cells, turn),) = turns(SOURCE)
    assert needed(cells, turn) == [2]
    names = before(cells, turn)
    check(names, cells, turn, cells[turn].source)
    with pytest.raises(NotImplementedError, match="pi times the radius squared"):
        check(names, cells, turn, student.blank(cells[turn].source))


@pytest.mark.parametrize(
    "source",
    ["x = 1", "# your turn: a\nx = 1", "# your turn: a\nx = 1\n  # end", "x = 1\n# end"],
)
def test_a_turn_without_its_two_marks_is_an_error(source):
    with pytest.raises(ValueError, match="# your turn: what to write"):
        student.blank(source)


def test_two_solutions_in_one_cell_become_two_blanks():
    blank = student.blank("# your turn: a\nx = 1\n# end\ny = 2\n# your turn: b\nz = 3\n# end")
    assert blank.count("NotImplementedError") == 2 and "y = 2" in blank and "z" not in blank
