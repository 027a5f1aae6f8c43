"""The two forms of a notebook: `NN_name.py` (text, for review), `NN_name.ipynb` (with outputs).

In: the pairs under `notebooks/`, perhaps a folder of executed notebooks. Out: pairs that hold the
same text, each `.ipynb` with the outputs that belong to it.
"""

import difflib
import hashlib
import os
import re
from pathlib import Path

import jupytext
import nbformat

from kdutils.series import FOLDER, KERNEL, drop_progress

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": KERNEL}


def sync(
    notebooks: Path = FOLDER,
    *,
    check_only: bool = False,
    source: str | None = None,
    outputs: Path | None = None,
) -> list[str]:
    """Bring each `.ipynb` and its paired `.py` to the same text; say what differed.

    The `.py` is the text. Outputs stay with every code cell whose source is unchanged; a changed
    cell loses its outputs, which would no longer be its own. `source="ipynb"` goes the other way.
    `outputs` names a folder of executed notebooks whose outputs are taken over. With `check_only`
    nothing is written. Raises ValueError where an `.ipynb` is newer than its differing `.py` and
    `source` does not say which of them counts.
    """
    notes = []
    names = {path.stem for path in notebooks.glob("[0-9][0-9]_*.py")}
    names |= {path.stem for path in notebooks.glob("[0-9][0-9]_*.ipynb")}
    for name in sorted(names):
        text, saved = notebooks / f"{name}.py", notebooks / f"{name}.ipynb"
        if source == "ipynb" or not text.exists():
            new = _as_text(nbformat.read(saved, as_version=4))
            if not text.exists() or text.read_text(encoding="utf-8") != new:
                notes.append(f"{text.name}: not the text of {saved.name}")
                if not check_only:
                    text.write_text(new, encoding="utf-8", newline="\n")
            continue
        new = jupytext.read(text)
        old = nbformat.read(saved, as_version=4) if saved.exists() else None
        differs = _differences(new, old)
        newer = saved.exists() and saved.stat().st_mtime > text.stat().st_mtime + 1
        if differs and newer and source is None and not check_only:
            raise ValueError(
                f"{saved.name} differs from {text.name} ({differs[0]}) and is the newer file. Say "
                "which counts: `sync --from py` (the edits in the .ipynb are lost) or "
                "`sync --from ipynb`."
            )
        notes += [f"{saved.name}: {difference}" for difference in differs]
        donor = old
        if outputs is not None and (outputs / saved.name).exists():
            donor = nbformat.read(outputs / saved.name, as_version=4)
            if donor.metadata.get("kdutils", {}).get("status") == "failed":
                raise ValueError(f"{outputs / saved.name} failed when it ran; run it again first.")
        result = _with_outputs(new, donor, old, name)
        written = nbformat.writes(result, version=4) + "\n"
        if saved.exists() and saved.read_text(encoding="utf-8") == written:
            continue
        if not differs:
            notes.append(f"{saved.name}: metadata or outputs not as sync writes them")
        if not check_only:
            part = saved.with_suffix(".part")
            part.write_text(written, encoding="utf-8", newline="\n")
            os.replace(part, saved)
    return notes


def _as_text(nb: nbformat.NotebookNode) -> str:
    nb.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "jupytext": _FILTERS})
    text = jupytext.writes(nb, fmt="py:percent")
    # The filters stand in pyproject.toml; a header of the kernel alone is enough in the file.
    return re.sub(r"# jupyter:\n(#   jupytext:\n(?:#     .*\n)*)", "# jupyter:\n", text, count=1)


_FILTERS = {"notebook_metadata_filter": "kernelspec,-all", "cell_metadata_filter": "tags,-all"}


def _key(cell: nbformat.NotebookNode) -> tuple:
    return cell.cell_type, cell.source, tuple(cell.metadata.get("tags", ()))


def _differences(new: nbformat.NotebookNode, old: nbformat.NotebookNode | None) -> list[str]:
    """One line for each cell that is not the same in the two, in words."""
    if old is None:
        return ["is missing"]
    texts = [[repr(_key(cell)) for cell in nb.cells] for nb in (old, new)]
    notes = []
    for what, i0, i1, j0, j1 in difflib.SequenceMatcher(None, *texts, False).get_opcodes():
        if what in {"replace", "insert"}:
            notes += [f"cell {j + 1} is not as in the .py" for j in range(j0, j1)]
        elif what == "delete":
            notes += [f"cell {i + 1} is not in the .py" for i in range(i0, i1)]
    return notes


def _with_outputs(
    new: nbformat.NotebookNode,
    donor: nbformat.NotebookNode | None,
    old: nbformat.NotebookNode | None,
    name: str,
) -> nbformat.NotebookNode:
    """The text of `new`; outputs from `donor`; cell ids from `old` where a cell is unchanged."""
    outputs = _unchanged(new, donor)
    ids = _unchanged(new, old)
    taken, count = set(), 0
    for index, cell in enumerate(new.cells):
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        seed = f"{name}/{cell.cell_type}/{cell.source}"
        cell.id = ids[index].get("id") if index in ids else None
        while cell.id is None or cell.id in taken:
            seed = hashlib.sha256(seed.encode()).hexdigest()
            cell.id = seed[:8]
        taken.add(cell.id)
        if cell.cell_type != "code":
            continue
        cell.outputs, cell.execution_count = [], None
        if index in outputs and outputs[index].get("execution_count"):
            count += 1
            cell.outputs, cell.execution_count = outputs[index].outputs, count
            drop_progress(cell)
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count
    language = (donor.metadata if donor else {}).get("language_info") or {"name": "python"}
    # The patch version of whoever ran it last is noise in a diff.
    language = {k: v for k, v in language.items() if k != "version"}
    new.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": language})
    new.nbformat, new.nbformat_minor = 4, 5
    return new


def _unchanged(
    new: nbformat.NotebookNode, other: nbformat.NotebookNode | None
) -> dict[int, nbformat.NotebookNode]:
    """Index in `new` → the cell of `other` with the same type and source, in order."""
    if other is None:
        return {}
    sources = [[f"{cell.cell_type}\n{cell.source}" for cell in nb.cells] for nb in (other, new)]
    blocks = difflib.SequenceMatcher(None, *sources, False).get_matching_blocks()
    return {b.b + k: other.cells[b.a + k] for b in blocks for k in range(b.size)}
