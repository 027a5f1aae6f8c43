"""Every check of the repository, as `make test` runs them.

In: the working tree. Out: ruff's, pytest's and nbval's findings and one exit status.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from kdutils import pairs, series

SMOKE = series.ROOT / "build" / "smoke"


def run(say: Callable[[str], None] = lambda line: print(line, flush=True)) -> int:
    """ruff, the notebook pairs, then the tests and the notebooks in one pytest session.

    Every notebook runs on the smoke profile; where MNIST lies under the data folder, the committed
    notebooks run too, as they stand. Returns 0 if all is well, else 1. pytest's closing line comes
    last.
    """
    problems = []
    for name, arguments in (
        ("ruff check", ["check", "--quiet"]),
        ("ruff format", ["format", "--check", "--quiet"]),
    ):
        command = [sys.executable, "-m", "ruff", *arguments, "."]
        if subprocess.run(command, cwd=series.ROOT).returncode:
            problems.append(name)
    differing = pairs.sync(check_only=True)
    for line in differing:
        say(f"sync: {line}")
    problems += ["sync"] * bool(differing)

    with series.this_interpreter():
        notebooks = [str(_prepared().relative_to(series.ROOT))]
        if _has_mnist():
            notebooks.append("notebooks")
        else:
            say("MNIST is not under the data folder: the committed notebooks are not run as they "
                "stand, only on the smoke profile.")  # fmt: skip
        code = _pytest(["--nbval-lax", "--nbval-current-env", "tests", *notebooks], say, problems)
    return 1 if code or problems else 0


def _prepared() -> Path:
    """The folder with every notebook set to the smoke profile, none of them run."""
    folder = SMOKE / "notebooks"
    shutil.rmtree(folder, ignore_errors=True)
    chosen = series.find()
    values = {"PROFILE": "smoke"}
    series.check(chosen, values)
    for notebook in chosen:
        series.prepare(notebook, folder / notebook.path.name, values)
    return folder


def _has_mnist() -> bool:
    from kdutils import data

    return (data.folder() / "MNIST" / "raw" / "train-images-idx3-ubyte").exists()


def _pytest(arguments: list[str], say: Callable[[str], None], problems: list[str]) -> int:
    # One torch thread a worker: two pools of threads on two cores wait for each other. Runs of the
    # smoke profile have a store of their own, so that a test never depends on what a reader ran.
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "KDUTILS_RUNS": str(SMOKE / "runs"),
    }
    workers = min(4, os.cpu_count() or 1)
    # loadscope: the cells of a notebook share a kernel and must stay with one worker.
    parallel = ["-n", str(workers), "--dist", "loadscope"] if workers > 1 else []
    if problems:
        say(f"Already found wrong: {', '.join(problems)} (see above). The tests run all the same.")
    command = [sys.executable, "-m", "pytest", "-q", *parallel, *arguments]
    return subprocess.run(command, cwd=series.ROOT, env=environment).returncode
