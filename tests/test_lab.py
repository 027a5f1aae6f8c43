"""The course in JupyterLab, in a real browser: what a reader sees, and what the keys do."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import jupytext
import nbformat
import pytest
from conftest import CHROMIUM
from experiments.slider import TemperatureSlider
from nbformat.v4 import new_code_cell, new_notebook, new_output

from book import pairs, series

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

TRAINING = """from kdutils.recipes import Recipe
from kdutils.runs import run_all
from kdutils.store import Store
print("said before the training")
run_all([Recipe(dataset="digits", model="mlp-400-400", n_train=1_000, epochs=5_000,
                batch_size=100, lr=1e-3, precision="float32")], Store())"""

SLIDER = """from experiments.slider import TemperatureSlider
TemperatureSlider((5.0, 3.0, 0.0), ("apple", "pear", "bowl"))"""


def _notebook(path, source, *outputs):
    """One cell before and one after, for keys that would go astray."""
    cells = [new_code_cell("1"), new_code_cell(source, outputs=list(outputs)), new_code_cell("2")]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": pairs.KERNELSPEC}), path)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of JupyterLab over a copy of the course, for a reader who never opened it."""
    root = tmp_path_factory.mktemp("course")
    ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "solutions")
    shutil.copytree(series.FOLDER, root / "notebooks", ignore=ignored)
    pairs.sync(root / "notebooks", source="py")
    # Every cell is in the page, also those that a window of this size would leave out.
    tracker = root / "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text(json.dumps({"windowingMode": "none"}))
    html = TemperatureSlider((5.0, 3.0, 0.0), ("apple", "pear", "bowl"))._repr_html_()
    saved = new_output("display_data", data={"text/html": html, "text/plain": "a slider"})
    _notebook(root / "notebooks" / "slider.ipynb", SLIDER, saved)
    _notebook(root / "notebooks" / "training.ipynb", TRAINING)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://localhost:{port}"
    options = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token="]
    options += ["--LabApp.expose_app_in_browser=True"]
    code = f"from pathlib import Path; from book import series; series.lab({options}, "
    environment = os.environ | {
        "TQDM_DISABLE": "0",  # `make test` runs headless; a reader watches a bar
        "HOME": str(root / "home"),
        "JUPYTER_CONFIG_DIR": str(root / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(root / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(root / "workspaces"),
        "KDUTILS_RUNS": str(root / "runs"),
        "OMP_NUM_THREADS": "1",
    }
    server = subprocess.Popen(
        [sys.executable, "-c", f"{code}Path({str(root)!r}))"],
        env=environment,
        cwd=series.ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(120):
            time.sleep(0.5)
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5)
                break
            except OSError:
                assert server.poll() is None, "JupyterLab did not start"
        yield address, root
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def _open(browser, address):
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(address)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    return page


def _do(page, command):
    page.get_by_text("Python 3 (ipykernel) | Idle").or_(
        page.get_by_text("Python 3 (ipykernel) | Busy")
    ).wait_for()
    page.evaluate("command => { window.jupyterapp.commands.execute(command); }", command)


def _active(page):
    """Which cell is selected."""
    return page.evaluate(
        "[...document.querySelectorAll('.jp-Notebook .jp-Cell')]"
        ".findIndex(cell => cell.classList.contains('jp-mod-active'))"
    )


def test_the_course_opens_without_a_question_and_with_drawing_cells_folded(lab, browser):
    address, root = lab
    page = _open(browser, address)
    first = series.find(root / "notebooks")[0].path
    assert first.name in page.url
    assert first.name in page.locator(".jp-DirListing-itemText").all_inner_texts()
    tags = [set(cell.metadata.get("tags", ())) for cell in jupytext.read(first).cells]
    folded = sum(bool(one & pairs.FOLDED) for one in tags)
    assert folded
    page.locator(".jp-InputPlaceholder").nth(folded - 1).wait_for(state="attached")
    page.wait_for_timeout(2000)  # a question about news would come late
    assert page.locator(".jp-InputPlaceholder").count() == folded
    assert page.locator(".jp-Dialog").count() == page.locator(".Toastify__toast").count() == 0
    page.close()


def test_the_slider_shows_no_dead_control_and_keeps_its_keys(lab, browser):
    address, _ = lab
    page = _open(browser, f"{address}/lab/workspaces/s/tree/notebooks/slider.ipynb")
    page.locator(".kdt").wait_for()
    # nobody trusts a notebook from elsewhere: its script has not run
    control = page.locator(".kdt input[type=range]")
    assert not any(one.is_visible() for one in control.all())
    assert "apple" in page.locator(".kdt").inner_text()

    _do(page, "notebook:run-all-cells")
    control.wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    control.click()
    shown = page.locator(".kdt .kdt-t").first
    before, cell = float(shown.inner_text()), _active(page)
    for key in ("ArrowRight", "ArrowUp", "ArrowRight"):
        page.keyboard.press(key)
    assert float(shown.inner_text()) > before
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert cell == _active(page) == 1
    page.close()


def test_training_keeps_what_the_cell_said_and_stops_with_one_line(lab, browser):
    address, _ = lab
    page = _open(browser, f"{address}/lab/workspaces/t/tree/notebooks/training.ipynb")
    _do(page, "notebook:run-all-cells")
    output = page.locator(".jp-Cell").nth(1).locator(".jp-Cell-outputArea")
    output.get_by_text(re.compile(r"epoch \d+/5000")).wait_for()
    _do(page, "notebook:interrupt-kernel")
    output.get_by_text("Stopped after epoch").wait_for()
    lines = [line for line in output.inner_text().splitlines() if line.strip()]
    assert lines[0] == "said before the training" and "1 of 1 runs" in lines[1]
    assert lines[-1].startswith("Stopped after epoch") and "run the cell again" in lines[-1]
    # an interrupt in the middle of the bar's own writing may leave that one line standing
    assert len(lines) <= 4 and "Traceback" not in output.inner_text(), lines

    # run again, it goes on where the checkpoint was
    kept = int(re.search(r"(\d+) of them are kept", lines[-1])[1])
    assert kept > 0
    _do(page, "notebook:run-all-cells")
    shown = output.get_by_text(re.compile(r"epoch \d+/5000"))
    shown.wait_for()
    assert int(re.search(r"epoch (\d+)/5000", shown.inner_text())[1]) > kept
    _do(page, "notebook:interrupt-kernel")
    page.close()


def test_run_all_runs_the_first_chapter_without_an_error(lab, browser):
    address, root = lab
    first = series.find(root / "notebooks")[0].path
    nb = nbformat.read(first, as_version=4)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    code[0].source = code[0].source.replace('PROFILE = "laptop"', 'PROFILE = "smoke"')
    for cell in code:
        cell.outputs, cell.execution_count = [], None
    nbformat.write(nb, root / "notebooks" / "first.ipynb")
    page = _open(browser, f"{address}/lab/workspaces/r/tree/notebooks/first.ipynb")
    page.set_default_timeout(240_000)
    _do(page, "notebook:run-all-cells")
    last = page.locator(".jp-CodeCell").nth(len(code) - 1)
    last.get_by_text(f"[{len(code)}]:").wait_for()
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert page.locator(".jp-OutputArea-output img").count() >= 3
    page.close()
