"""The pairs of notebook files: one text, outputs that belong to it, a form that a save keeps."""

import json
import os
import shutil

import jupytext
import nbformat
import pytest
from nbformat.v4 import new_output

from book import pairs, series

SOURCE = """# %% [markdown]
# # A question
#
# Some text.

# %% tags=["parameters"]
PROFILE = "laptop"

# %%
print("one")

# %%
print("two")
"""


def _pair(folder):
    (folder / "01_a.py").write_text(SOURCE)
    pairs.sync(folder)
    nb = nbformat.read(folder / "01_a.ipynb", as_version=4)
    for count, cell in enumerate((c for c in nb.cells if c.cell_type == "code"), 1):
        cell.execution_count = count
        cell.outputs = [new_output("stream", text=f"output {count}\n")] if count > 1 else []
    nbformat.write(nb, folder / "01_a.ipynb")
    return nb


def _outputs(folder):
    nb = nbformat.read(folder / "01_a.ipynb", as_version=4)
    nbformat.validate(nb)
    return {c.source: [o.text for o in c.outputs] for c in nb.cells if c.cell_type == "code"}


def test_sync_keeps_outputs_of_unchanged_cells_and_drops_those_of_changed_ones(tmp_path):
    before = _pair(tmp_path)
    changed = SOURCE.replace('print("one")', 'print("uno")').replace("Some text", "More text")
    (tmp_path / "01_a.py").write_text(changed + '\n# %%\nprint("three")\n')
    notes = pairs.sync(tmp_path, source="py")
    assert [note for note in notes if "cell" in note] == [
        f"01_a.ipynb: cell {k} is not as in the .py" for k in (1, 3, 5)
    ]
    assert _outputs(tmp_path) == {
        'PROFILE = "laptop"': [],
        'print("uno")': [],
        'print("two")': ["output 3\n"],
        'print("three")': [],
    }
    after = nbformat.read(tmp_path / "01_a.ipynb", as_version=4)
    assert after.cells[3].id == before.cells[3].id
    assert after.cells[1].metadata.tags == ["parameters"]


def test_a_second_sync_changes_nothing(tmp_path):
    _pair(tmp_path)
    pairs.sync(tmp_path, source="py")
    first = (tmp_path / "01_a.ipynb").read_bytes()
    assert pairs.sync(tmp_path) == [] == pairs.sync(tmp_path, check=True)
    assert (tmp_path / "01_a.ipynb").read_bytes() == first


def test_sync_does_not_overwrite_newer_edits_in_the_notebook_unasked(tmp_path):
    nb = _pair(tmp_path)
    nb.cells[2].source = 'print("edited in Jupyter")'
    nbformat.write(nb, tmp_path / "01_a.ipynb")
    os.utime(tmp_path / "01_a.py", (1, 1))
    with pytest.raises(ValueError, match="--from ipynb"):
        pairs.sync(tmp_path)
    pairs.sync(tmp_path, source="ipynb")
    assert 'print("edited in Jupyter")' in (tmp_path / "01_a.py").read_text()
    assert jupytext.read(tmp_path / "01_a.py").cells[1].metadata["tags"] == ["parameters"]
    assert not [n for n in pairs.sync(tmp_path, check=True) if "cell" in n]


def test_sync_takes_over_the_outputs_of_a_report(tmp_path):
    _pair(tmp_path)
    out = tmp_path / "out"
    values = {"PROFILE": "smoke"}
    with series.this_interpreter():
        run = series.execute(series.find(tmp_path)[0], out / "notebooks" / "01_a.ipynb", values)
    assert run["status"] == "done"
    pairs.sync(tmp_path, outputs=out)
    outputs = _outputs(tmp_path)
    assert outputs['print("one")'] == ["one\n"] and outputs['print("two")'] == ["two\n"]
    assert 'PROFILE = "smoke"' not in "".join(outputs)
    text = (tmp_path / "01_a.ipynb").read_text()
    assert "papermill" not in text and str(tmp_path) not in text


def _save_as_jupyterlab_does(root):
    """Open every notebook under a folder with JupyterLab's own contents manager, and save it."""
    manager = jupytext.TextFileContentsManager(root_dir=str(root))
    for path in sorted(root.rglob("[0-9]*_*.ipynb")):
        name = path.relative_to(root).as_posix()
        content = manager.get(name, type="notebook")["content"]
        sent = json.loads(json.dumps(content))  # as over the network
        manager.save({"type": "notebook", "format": "json", "content": sent}, name)


@pytest.mark.parametrize("started_in", [".", "notebooks"])
def test_saving_every_chapter_in_jupyterlab_changes_nothing(tmp_path, started_in):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for path in [series.FOLDER / "jupytext.toml", *series.FOLDER.glob("[0-9]*_*.*")]:
        shutil.copy(path, folder)
    pairs.sync(folder, source="py")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    _save_as_jupyterlab_does(tmp_path / started_in)
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert len(before) >= 15 and after == before
    assert pairs.sync(folder, check=True) == []


def test_an_edit_in_jupyterlab_reaches_the_py(tmp_path):
    _pair(tmp_path)
    shutil.copy(series.FOLDER / "jupytext.toml", tmp_path)
    manager = jupytext.TextFileContentsManager(root_dir=str(tmp_path))
    content = manager.get("01_a.ipynb", type="notebook")["content"]
    content.cells[2].source = 'print("edited")'
    manager.save({"type": "notebook", "format": "json", "content": content}, "01_a.ipynb")
    assert 'print("edited")' in (tmp_path / "01_a.py").read_text()
    assert pairs.sync(tmp_path, check=True) == []


def test_the_check_names_a_parameter_that_autosave_wrote_into_the_files(tmp_path):
    _pair(tmp_path)
    (tmp_path / "01_a.py").write_text(SOURCE.replace('"laptop"', '"smoke"'))
    pairs.sync(tmp_path, source="py")
    (note,) = pairs.sync(tmp_path, check=True)
    assert "01_a.ipynb" in note and "PROFILE = 'smoke'" in note and "PROFILE = 'laptop'" in note


def test_cells_that_draw_and_cells_with_a_solution_are_folded_and_no_others(tmp_path):
    tags = {"hide-input": True, "your-turn": True, "check": False, "parameters": False}
    cells = "".join(f'\n# %% tags=["{tag}"]\n"{tag}"\n' for tag in tags)
    (tmp_path / "01_a.py").write_text("# %%\n1\n" + cells)
    pairs.sync(tmp_path)
    nb = nbformat.read(tmp_path / "01_a.ipynb", as_version=4)
    nb.cells[0].metadata["jupyter"] = {"source_hidden": True}  # a reader folded it by hand
    nbformat.write(nb, tmp_path / "01_a.ipynb")
    pairs.sync(tmp_path, source="py")
    nb = nbformat.read(tmp_path / "01_a.ipynb", as_version=4)
    folded = [c.metadata.get("jupyter", {}).get("source_hidden", False) for c in nb.cells]
    assert folded == [False, *tags.values()]
    assert "source_hidden" not in (tmp_path / "01_a.py").read_text()


def test_the_committed_pairs_hold_the_same_text():
    assert pairs.sync(check=True) == [], "run `make sync`"
