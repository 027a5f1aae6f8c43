"""The notebooks as one series: which there are, what may be set in them, how one is run.

In: `notebooks/NN_name.ipynb` and parameter values. Out: checked values; executed or prepared
notebooks.
"""

import ast
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from kdutils import ROOT, experiments, runs, training

FOLDER = ROOT / "notebooks"
BUILD = ROOT / "build"


@dataclass(frozen=True)
class Notebook:
    """One notebook of the series; `number` is its two digits, as in `03`."""

    number: str
    path: Path

    @property
    def title(self) -> str:
        """The first heading, or the file's name where there is none."""
        return title(nbformat.read(self.path, as_version=4)) or self.path.stem

    @property
    def minutes(self) -> int:
        """To read it, at 150 words or 30 lines of code a minute; in steps of five."""
        kinds = {"markdown": [], "code": []}
        for cell in nbformat.read(self.path, as_version=4).cells:
            kinds.setdefault(cell.cell_type, []).append(cell.source)
        words, lines = " ".join(kinds["markdown"]).split(), "\n".join(kinds["code"]).splitlines()
        return max(5, 5 * round((len(words) / 150 + len(lines) / 30) / 5))


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


def check(notebooks: Iterable[Notebook], values: Mapping[str, object]) -> None:
    """See that every notebook has every parameter and that the values can be meant.

    Raises ValueError that names parameter, value and what is allowed, before anything runs.
    """
    if "PROFILE" in values:
        experiments.get_profile(values["PROFILE"])  # type: ignore[arg-type]
    if values.get("SEEDS") is not None:
        experiments.check_seeds(values["SEEDS"])  # type: ignore[arg-type]
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

    The reader's kernels and IPython profile stay out, for they may change outputs, and progress
    bars stay off, for nobody watches them.
    """
    before, profile = dict(os.environ), BUILD / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    # A kernel would warn of its transport, which stays on this machine's loopback.
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 50\n")
    os.environ.pop("JUPYTER_PATH", None)  # it would go before the environment's own kernel
    os.environ |= {
        "JUPYTER_PREFER_ENV_PATH": "1",
        "IPYTHONDIR": str(profile.parent),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # debugpy's warning about frozen modules
        "TQDM_DISABLE": "1",
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def lab(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Open JupyterLab on the first chapter, with these arguments of its own; its exit status.

    The root is the repository, so that data/ and figures/ can be seen. `labconfig/` beside this
    file answers JupyterLab's question about news.
    """
    first = find(root / "notebooks")[0].path.relative_to(root).as_posix()
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    environment = os.environ | {
        "JUPYTER_CONFIG_PATH": os.pathsep.join(paths),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}"]
    command += [f"--LabApp.default_url=/lab/tree/{first}", *arguments]
    try:
        return subprocess.run(command, env=environment).returncode
    except KeyboardInterrupt:
        return 0


def execute(
    notebook: Notebook, target: Path, values: Mapping[str, object], prepare_only: bool = False
) -> dict:
    """Run the notebook and write it, with what it printed, to `target`.

    The file appears whole or not at all; where a cell failed it holds what came before. Returns its
    metadata entry `kdutils`: status, seconds, device, parameters and, if so, the error and its cell
    (counted from 1). With `prepare_only` the parameters are set and nothing is run. Call it inside
    `this_interpreter()`.
    """
    part = target.with_name(f"{target.stem}.part.ipynb")
    part.parent.mkdir(parents=True, exist_ok=True)
    blank = nbformat.read(notebook.path, as_version=4)  # shown if not even a kernel starts
    for cell in (cell for cell in blank.cells if cell.cell_type == "code"):
        cell.outputs, cell.execution_count = [], None
    nbformat.write(blank, part)
    start, caught = time.perf_counter(), None
    try:
        papermill.execute_notebook(
            str(notebook.path.resolve()),
            str(part.resolve()),
            parameters=dict(values),
            kernel_name="python3",
            language="python",
            prepare_only=prepare_only,
            progress_bar=False,
            cwd=str(notebook.path.resolve().parent),
        )
    except Exception as error:
        # Whatever stops one notebook is reported with its cell; the others go on.
        caught = error
    nb = nbformat.read(part, as_version=4)
    nb.cells = [c for c in nb.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", [])]
    cell, problem = _failure(nb, caught)
    nb.metadata["kdutils"] = {
        "status": "failed" if problem else "done",
        "seconds": round(time.perf_counter() - start, 1),
        "device": runs.device_name(training.pick_device()),
        "parameters": dict(values),
        "error": problem,
        "failed_cell": cell,
        "finished": time.strftime("%Y-%m-%d %H:%M"),
    }
    nbformat.write(nb, part)
    os.replace(part, target)
    return nb.metadata["kdutils"]


def _failure(nb: nbformat.NotebookNode, error: Exception | None) -> tuple[int | None, str | None]:
    """The cell that failed, from 1, and the reason in one line; None where none did.

    The reason counts as the reader does: without the cell that papermill adds.
    """
    if isinstance(error, PapermillExecutionError):
        # Of several errors papermill names the last: one that the text wants, if all went well.
        index, name, text = error.cell_index, error.ename, error.evalue.strip()
        if "raises-exception" in nb.cells[index].metadata.get("tags", []):
            return None, None
        text = text.partition("\n")[0]
    elif error is not None:
        # A dead kernel, say. The last cell that began is the one; papermill calls all completed.
        begun = [c.metadata.get("papermill", {}).get("start_time") is not None for c in nb.cells]
        index = max((k for k, yes in enumerate(begun) if yes), default=0)
        name, text = type(error).__name__, " ".join(str(error).split())
    else:
        return None, None
    line = next((line for line in nb.cells[index].source.splitlines() if line.strip()), "")
    added = sum("injected-parameters" in c.metadata.get("tags", []) for c in nb.cells[:index])
    reason = f"{name}: {text}".rstrip(": ")
    return index + 1, f"cell {index + 1 - added} (`{line.strip()}`): {reason}"


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _fits(value: object, default: object) -> bool:
    """Whether a value is of the kind of the default; a default of None says nothing."""
    wider = {float: (int, float), list: (list, tuple), tuple: (list, tuple)}
    fits = isinstance(value, wider.get(type(default), type(default)))
    fits = fits and isinstance(value, bool) == isinstance(default, bool)  # a bool is an int, too
    return fits or None in (value, default)
