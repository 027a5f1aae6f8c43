"""The command line, the pairs of notebook files and the Makefile in front of them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbformat.v4 import new_output

from kdutils import pairs, series
from kdutils.__main__ import main

ROOT = Path(__file__).resolve().parent.parent

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


def _kdutils(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "kdutils", *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_help_names_every_command_and_each_shows_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    commands = ("report", "test", "lab", "results", "run", "publish", "sync")
    text = capsys.readouterr().out
    for command in commands:
        assert re.search(rf"^    {command}\b", text, re.M)
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        assert f"python -m kdutils {command}" in capsys.readouterr().out.split("examples:")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "--profile", "smok"], "'smok'"),
        (["report", "--seeds", "0,a"], "SEEDS"),
        (["report", "--set", "nothing"], "NAME=VALUE"),
        (["run", "01", "--profile", "huge"], "'huge'"),
        (["run", "77"], "'77'"),
        (["run", "01", "--profile", "smoke", "--jobs", "0"], "jobs"),
        (["results", "77"], "'77'"),
    ],
)
def test_what_cannot_be_done_is_one_message_and_status_2(arguments, message, capsys):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and message in shown.err
    assert shown.err.startswith("error: ") and shown.err.count("\n") == 1


def test_an_unknown_notebook_is_answered_with_those_that_exist(capsys):
    assert main(["report", "--only", "77"]) == 2
    assert re.search(r"'77'.*01 .*02 .*03 ", capsys.readouterr().err)


def test_an_unknown_option_is_refused():
    result = _kdutils("report", "--prfile", "smoke")
    assert result.returncode == 2 and "--prfile" in result.stderr


def test_results_are_a_list_of_objects_with_the_agreed_keys(capsys):
    assert main(["results", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    keys = "notebook dataset arm metric published mean ci95 n profile device recorded".split()
    for row in rows:
        assert list(row) == keys
    assert main(["results"]) == 0
    text = capsys.readouterr().out
    assert all(row["arm"] in text for row in rows)


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
    assert len(notes) == 3 and all("01_a.ipynb: cell" in note for note in notes)
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
    assert pairs.sync(tmp_path) == [] == pairs.sync(tmp_path, check_only=True)
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
    assert not [n for n in pairs.sync(tmp_path, check_only=True) if "cell" in n]


def test_sync_takes_over_the_outputs_of_a_report(tmp_path):
    _pair(tmp_path)
    out = tmp_path / "out"
    values = {"PROFILE": "smoke"}
    with series.this_interpreter():
        assert series.execute(series.find(tmp_path)[0], out / "01_a.ipynb", values) is None
    pairs.sync(tmp_path, outputs=out)
    outputs = _outputs(tmp_path)
    assert outputs['print("one")'] == ["one\n"] and outputs['print("two")'] == ["two\n"]
    assert 'PROFILE = "smoke"' not in "".join(outputs)
    text = (tmp_path / "01_a.ipynb").read_text()
    assert "papermill" not in text and str(tmp_path) not in text


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


def _make(*arguments):
    # Without what an outer `make test` hands down to the commands it starts.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    environment.pop("MFLAGS", None)
    command = ["make", "--dry-run", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)


@needs_make
@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["report"], "report"),
        (["report", "PROFILE=laptop", "ONLY=03"], "report --profile laptop --only 03"),
        (["report", "ONLY=01 02", "SEEDS=0,1"], "report --seeds 0,1 --only 01 02"),
        (["report", "SET=TEMPERATURES=[2, 4]"], "report --set 'TEMPERATURES=[2, 4]'"),
        (["test"], "test"),
        (["lab"], "lab"),
        (["results", "NN=03"], "results 03"),
        (["run", "NN=03", "PROFILE=paper"], "run 03 --profile paper"),
        (["run", "NN=03", "JOBS=2"], "run 03 --jobs 2"),
    ],
)
def test_make_calls_the_command_of_the_same_name(arguments, command):
    shown = [" ".join(line.split()) for line in _make(*arguments).stdout.splitlines()]
    assert shown[-1] == f".venv/bin/python -m kdutils {command}"


@needs_make
def test_make_refuses_a_misspelt_variable():
    result = _make("report", "PROFLE=laptop")
    assert result.returncode != 0 and "PROFLE" in result.stderr and "PROFILE" in result.stderr
