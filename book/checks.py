"""Every check of the repository in one pytest session, as `make test` runs them.

In: the working tree. Out: pytest's and nbval's findings and one exit status. The tests themselves
call ruff and compare the pairs of notebook files.
"""

import os
import shutil
import subprocess
import sys

from book import series
from kdutils import data

SMOKE = series.BUILD / "smoke"


def run() -> int:
    """Run the tests, and every notebook on the smoke profile; 0 if all is well, else 1.

    Where MNIST lies under the data folder, the committed notebooks run too, as they stand.
    """
    folder, values = SMOKE / "notebooks", {"PROFILE": "smoke"}
    shutil.rmtree(folder, ignore_errors=True)
    with series.this_interpreter():
        for notebook in series.find():
            series.check([notebook], values)
            series.execute(notebook, folder / notebook.path.name, values, prepare_only=True)
        paths = ["tests", str(folder)]
        if (data.folder() / "MNIST" / "raw" / "train-images-idx3-ubyte").exists():
            paths.append("notebooks")
        else:
            print("MNIST is not under the data folder: the committed notebooks are not run as they "
                  "stand, only on the smoke profile.", flush=True)  # fmt: skip
        # One torch thread a worker: two pools of threads on two cores wait for each other. Runs of
        # the smoke profile have a store of their own: no test depends on what a reader ran.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "KDUTILS_RUNS": str(SMOKE / "runs")}
        # loadscope: the cells of a notebook share a kernel and must stay with one worker.
        command = [sys.executable, "-m", "pytest", "-q", "--nbval-lax", "--nbval-current-env"]
        command += ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadscope", *paths]
        return min(1, subprocess.run(command, cwd=series.ROOT, env=environment).returncode)
