"""The two forms of a notebook: `NN_name.py` (text, for review), `NN_name.ipynb` (with outputs).

In: the pairs under `notebooks/`, perhaps a folder of executed notebooks. Out: pairs that hold the
same text, each `.ipynb` with the outputs that belong to it. Both are written as JupyterLab writes
them (`notebooks/jupytext.toml` holds for both), so that saving there changes nothing.
"""

import difflib
from pathlib import Path

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs
from jupytext.config import load_jupytext_configuration_file

from book.series import FOLDER, parameters
from kdutils.store import write

FORMAT = "py:percent"
CONFIG = load_jupytext_configuration_file(str(FOLDER / "jupytext.toml"))
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
FOLDED = {"hide-input", "your-turn"}  # tags of cells that JupyterLab shows folded
# As committed: JupyterLab saves a parameter that a reader turned, without being asked.
DEFAULTS = {"PROFILE": "laptop", "SEEDS": None, "TRAIN": False}


def sync(
    notebooks: Path = FOLDER,
    *,
    check: bool = False,
    source: str | None = None,
    outputs: Path | None = None,
) -> list[str]:
    """Bring each `.ipynb` and its paired `.py` to the same text; say what differed.

    The `.py` is the text. Outputs stay with every code cell whose source is unchanged; a changed
    cell loses its outputs, which would no longer be its own. `source="ipynb"` goes the other way.
    `outputs` names a folder of executed notebooks whose outputs are taken over. With `check`
    nothing is written, and parameters that are not as committed are named. Raises ValueError where
    an `.ipynb` is newer than its differing `.py` and `source` does not say which of them counts.
    """
    notes = []
    found = [*notebooks.glob("[0-9][0-9]_*.py"), *notebooks.glob("[0-9][0-9]_*.ipynb")]
    for name in sorted({path.with_suffix("") for path in found}):
        text, saved = name.with_suffix(".py"), name.with_suffix(".ipynb")
        old = nbformat.read(saved, as_version=4) if saved.exists() else None
        if source == "ipynb" or not text.exists():
            new = nbformat.read(saved, as_version=4)
            CONFIG.set_default_format_options(new.metadata.setdefault("jupytext", {}))
        else:
            new = jupytext.read(text, fmt=FORMAT, config=CONFIG)
            new = combine_inputs_with_outputs(new, old, FORMAT) if old else new
        new.metadata.setdefault("kernelspec", KERNELSPEC)
        differs = [f"{saved.name}: {difference}" for difference in _differences(new, old)]
        newer = old is not None and saved.stat().st_mtime > text.stat().st_mtime + 1
        if differs and newer and source is None and not check:
            raise ValueError(
                f"{saved.name} differs from {text.name} ({differs[0]}) and is the newer file. Say "
                "which counts: `sync --from py` (the edits in the .ipynb are lost) or "
                "`sync --from ipynb`."
            )
        ran = old
        if outputs and (report := outputs / "notebooks" / saved.name).exists():
            ran = nbformat.read(report, as_version=4)
            if ran.metadata.get("kdutils", {}).get("status") == "failed":
                raise ValueError(f"{report} failed when it ran; run it again first.")
        _tidy(new, ran)
        notes += differs
        notes += _write(text, jupytext.writes(new, FORMAT, config=CONFIG), check)
        if check:
            notes += [
                f"{saved.name}: {name} = {value!r} in the parameters cell; committed is "
                f"{name} = {DEFAULTS[name]!r}"
                for name, value in (parameters(saved) if old else {}).items()
                if value != DEFAULTS.get(name, value)
            ]
        elif wrote := _write(saved, jupytext.writes(new, "ipynb") + "\n", check):
            notes += [] if differs else wrote
    return notes


def _write(path: Path, text: str, check: bool) -> list[str]:
    """Replace a file that does not hold this text, and say so."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return []
    if not check:
        write(path, text.encode())
    return [f"{path.name}: not as JupyterLab saves it"]


def _differences(new: nbformat.NotebookNode, old: nbformat.NotebookNode | None) -> list[str]:
    """One line for each cell that is not the same in the two, in words."""
    if old is None:
        return ["is missing"]
    keys = [[f"{c.cell_type} {c.metadata.get('tags')} {c.source}" for c in nb.cells]
            for nb in (old, new)]  # fmt: skip
    notes = []
    for what, i0, i1, j0, j1 in difflib.SequenceMatcher(None, *keys, False).get_opcodes():
        if what in {"replace", "insert"}:
            notes += [f"cell {j + 1} is not as in the .py" for j in range(j0, j1)]
        elif what == "delete":
            notes += [f"cell {i + 1} is not in the .py" for i in range(i0, i1)]
    return notes


def _tidy(nb: nbformat.NotebookNode, ran: nbformat.NotebookNode | None) -> None:
    """Outputs of `ran` for the same code alone, counted from 1; cells folded by their tags."""
    cells = ran.cells if ran else ()
    of = {cell.source: cell for cell in cells} | {(c.get("id"), c.source): c for c in cells}
    count = 0
    for cell in nb.cells:
        fold(cell, FOLDED)
        if cell.cell_type != "code":
            continue
        donor = of.get((cell.get("id"), cell.source)) or of.get(cell.source)
        cell.outputs, cell.execution_count = [], None
        if donor and donor.get("execution_count"):
            count += 1
            cell.outputs, cell.execution_count = donor.outputs, count
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count
    # The patch version of whoever ran it last is noise in a diff.
    nb.metadata.get("language_info", {}).pop("version", None)
    nb.nbformat_minor = 5


def fold(cell: nbformat.NotebookNode, tags: set[str]) -> None:
    """Fold a cell with one of these tags in JupyterLab; unfold any other, drop other metadata."""
    kept = {k: v for k, v in cell.metadata.items() if k in ("tags", "lines_to_next_cell")}
    if tags & set(kept.get("tags", ())):
        kept["jupyter"] = {"source_hidden": True}
    cell.metadata = nbformat.from_dict(kept)
