"""The notebooks as one series: which there are, what may be set in them, how one is run.

In: `notebooks/NN_name.ipynb` and parameter values. Out: checked values; executed or prepared
notebooks.
"""

import ast
import contextlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat

from kdutils import profiles

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"

KERNEL = "python3"


@dataclass(frozen=True)
class Notebook:
    """One notebook of the series; `number` is its two digits, as in `03`."""

    number: str
    path: Path

    @property
    def title(self) -> str:
        """The first heading, or the file's name where there is none."""
        return title(nbformat.read(self.path, as_version=4)) or self.path.stem


@dataclass(frozen=True)
class Failure:
    """Where and why a notebook stopped. `cell` counts all cells of the notebook from 1."""

    cell: int
    line: str
    error: str

    def __str__(self) -> str:
        return f"cell {self.cell} (`{self.line}`): {self.error}"


def title(nb: nbformat.NotebookNode) -> str | None:
    """The first `# heading` among the markdown cells, without its markup."""
    texts = (cell.source for cell in nb.cells if cell.cell_type == "markdown")
    headings = (re.search(r"^# +(.+?) *$", text, re.M) for text in texts)
    return next((re.sub(r"[*`$]", "", found[1]) for found in headings if found), None)


def find(folder: Path = FOLDER) -> list[Notebook]:
    """All notebooks `NN_name.ipynb` of a folder, by number; ValueError if there is none."""
    found = [
        Notebook(path.name[:2], path)
        for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))
        if not path.name.endswith(".part.ipynb")
    ]
    if not found:
        raise ValueError(f"{folder} holds no notebook named like 01_name.ipynb.")
    return found


def choose(numbers: Iterable[str | int] | None, folder: Path = FOLDER) -> list[Notebook]:
    """The notebooks with these numbers, in the order of the series; None or none given: all.

    Raises ValueError for a number that no notebook has, with those that exist.
    """
    series = find(folder)
    wanted = [str(number).zfill(2) for number in numbers or ()]
    for number in wanted:
        if number not in {notebook.number for notebook in series}:
            allowed = "; ".join(f"{notebook.number} {notebook.title}" for notebook in series)
            raise ValueError(f"There is no notebook {number!r}. Choose from: {allowed}.")
    return [notebook for notebook in series if not wanted or notebook.number in wanted]


def parameters(path: Path) -> dict[str, object]:
    """Names and default values in the cell tagged `parameters`; empty where there is no such cell.

    A default that is no plain literal comes as the text that stands there.
    """
    import papermill

    found = papermill.inspect_notebook(str(path))
    return {name: _literal(entry["default"]) for name, entry in found.items()}


def parse(settings: Iterable[str]) -> dict[str, object]:
    """`NAME=VALUE` texts as a dict; a value is read as a Python literal, else taken as text."""
    values: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"{setting!r} sets nothing. Write NAME=VALUE, such as SEEDS=[0,1].")
        values[name.strip()] = _literal(value.strip())
    return values


def parse_seeds(text: str) -> list[int]:
    """Seeds written as `0,1,2`; ValueError for anything else."""
    value = _literal(text.strip().strip("[]") + ",")
    return list(profiles.check_seeds(value if isinstance(value, tuple) else text))


def check(notebooks: Iterable[Notebook], values: Mapping[str, object]) -> None:
    """See that every notebook has every parameter and that the values can be meant.

    Raises ValueError that names parameter, value and what is allowed, before anything runs.
    """
    if "PROFILE" in values:
        profiles.get(values["PROFILE"])  # type: ignore[arg-type]
    if values.get("SEEDS") is not None:
        profiles.check_seeds(values["SEEDS"])  # type: ignore[arg-type]
    for notebook in notebooks:
        allowed = parameters(notebook.path)
        for name, value in values.items():
            if name not in allowed:
                raise ValueError(
                    f"Notebook {notebook.number} has no parameter {name!r} (given: {value!r}). "
                    f"It has: {', '.join(allowed) or 'none'}."
                )
            if not _fits(value, allowed[name]):
                raise ValueError(
                    f"Notebook {notebook.number}: {name} = {value!r} does not fit; its default is "
                    f"{allowed[name]!r}, a {type(allowed[name]).__name__}."
                )


@contextlib.contextmanager
def this_interpreter() -> Iterator[None]:
    """While open, the kernel `python3` is the running interpreter, whatever else is installed.

    Jupyter prefers a user's kernels to an environment's in some set-ups; the search path given
    here goes before both. The reader's IPython profile stays out, for it may change outputs, and
    progress bars stay off, for nobody watches them.
    """
    from ipykernel.kernelspec import write_kernel_spec

    with tempfile.TemporaryDirectory(prefix="kdutils-") as folder:
        # What a kernel logs says nothing here: debugpy on frozen modules, ipykernel on unencrypted
        # TCP (it stays on this machine's loopback) and on being interrupted at its end.
        (Path(folder) / "kernels").mkdir()
        write_kernel_spec(
            Path(folder) / "kernels" / KERNEL,
            overrides={"env": {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}},
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        )
        changed = {
            "JUPYTER_PATH": _in_front(folder, "JUPYTER_PATH"),
            "IPYTHONDIR": str(Path(folder) / "ipython"),
            "PYTHONPATH": _in_front(str(ROOT), "PYTHONPATH"),
            "TQDM_DISABLE": "1",
        }
        before = {name: os.environ.get(name) for name in changed}
        os.environ.update(changed)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def prepare(notebook: Notebook, target: Path, values: Mapping[str, object]) -> None:
    """Write the notebook with its parameters set, not run."""
    _papermill(notebook.path, target, values, prepare_only=True)


def execute(notebook: Notebook, target: Path, values: Mapping[str, object]) -> Failure | None:
    """Run the notebook and write it, with what it printed, to `target`.

    The file appears whole or not at all; where a cell failed it holds what came before. Its
    metadata entry `kdutils` says status, seconds, parameters and, if so, where it failed. Call it
    inside `this_interpreter()`.
    """
    from papermill.exceptions import PapermillExecutionError

    part = target.with_name(f"{target.stem}.part.ipynb")
    part.unlink(missing_ok=True)
    start = time.perf_counter()
    caught: Exception | None = None
    try:
        _papermill(notebook.path, part, values)
    except Exception as error:
        # Whatever stops one notebook is reported with its cell; the others go on.
        caught = error
    seconds = time.perf_counter() - start

    if not part.exists():
        # Nothing ran at all (no kernel, say): show the notebook without outputs.
        nbformat.write(_without_outputs(nbformat.read(notebook.path, as_version=4)), part)
    nb = nbformat.read(part, as_version=4)
    nb.cells = [c for c in nb.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", [])]
    failure = None
    if isinstance(caught, PapermillExecutionError):
        # papermill also raises for a cell tagged raises-exception, whose error is part of the text.
        found = _first_error(nb)
        if found is not None:
            index, output = found
            reason = (output.evalue.strip().splitlines() or [""])[0]
            failure = _failure(nb, index, f"{output.ename}: {reason}".rstrip(": "))
    elif caught is not None:
        reason = " ".join(str(caught).split()) or "no reason given"
        failure = _failure(nb, _last_started(nb), f"{type(caught).__name__}: {reason}")
    for cell in nb.cells:
        drop_progress(cell)
    nb.metadata["kdutils"] = {
        "status": "failed" if failure else "done",
        "seconds": round(seconds, 1),
        "parameters": dict(values),
        "error": str(failure) if failure else None,
        "failed_cell": failure.cell if failure else None,
        "finished": time.strftime("%Y-%m-%d %H:%M"),
    }
    nbformat.write(nb, part)
    os.replace(part, target)
    return failure


def _papermill(
    path: Path, target: Path, values: Mapping[str, object], prepare_only: bool = False
) -> None:
    import papermill

    target.parent.mkdir(parents=True, exist_ok=True)
    papermill.execute_notebook(
        str(path.resolve()),
        str(target.resolve()),
        parameters=dict(values),
        kernel_name=KERNEL,
        language="python",
        prepare_only=prepare_only,
        progress_bar=False,
        cwd=str(path.resolve().parent),
    )


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _fits(value: object, default: object) -> bool:
    """Whether a value is of the kind of the default; a default of None says nothing."""
    if default is None or value is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, list | tuple):
        return isinstance(value, list | tuple)
    return isinstance(value, type(default))


def _in_front(folder: str, variable: str) -> str:
    return os.pathsep.join([folder, *filter(None, [os.environ.get(variable)])])


def _first_error(nb: nbformat.NotebookNode) -> tuple[int, nbformat.NotebookNode] | None:
    """Index and error output of the first cell that should not have raised."""
    for index, cell in enumerate(nb.cells):
        if "raises-exception" in cell.metadata.get("tags", []):
            continue
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return index, output
    return None


def _last_started(nb: nbformat.NotebookNode) -> int:
    """The last code cell that papermill began: the one a kernel died in.

    Its other notes are no witness: after a dead kernel it calls every cell completed, and the
    execution count of the fatal cell may never have arrived.
    """
    begun = [
        index
        for index, cell in enumerate(nb.cells)
        if cell.cell_type == "code" and cell.metadata.get("papermill", {}).get("start_time")
    ]
    return begun[-1] if begun else 0


def _failure(nb: nbformat.NotebookNode, index: int, error: str) -> Failure:
    lines = [line for line in nb.cells[index].source.splitlines() if line.strip()] or [""]
    added = sum("injected-parameters" in c.metadata.get("tags", []) for c in nb.cells[:index])
    return Failure(index + 1 - added, lines[0].strip(), error)


_PROGRESS = re.compile(r"\d+%\||\d+(it)? \[\d\d:\d\d")


def drop_progress(cell: nbformat.NotebookNode) -> None:
    """Take progress bars out of a cell's stderr; what else stands there (warnings) stays."""
    kept = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and output.name == "stderr":
            lines = [line.rsplit("\r", 1)[-1] for line in output.text.split("\n")]
            lines = [line for line in lines if line.strip() and not _PROGRESS.search(line)]
            if not lines:
                continue
            output.text = "\n".join(lines) + "\n"
        kept.append(output)
    if cell.cell_type == "code":
        cell.outputs = kept


def _without_outputs(nb: nbformat.NotebookNode) -> nbformat.NotebookNode:
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nb
