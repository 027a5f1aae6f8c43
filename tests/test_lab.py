"""The course in JupyterLab, in a real browser: what a reader sees, and what the keys do."""

import json
import os
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
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import sync_playwright

from kdutils.site import pairs, series

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

TRAINING = """from kdutils.recipes import Recipe
from kdutils.runs import run_all
print("said before the training")
run_all([Recipe(dataset="digits", model="mlp-400-400", n_train=1_000, epochs=5_000,
                batch_size=100, lr=1e-3, precision="float32")])"""


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
    kernel = {"kernelspec": pairs.KERNELSPEC}
    nb = new_notebook(cells=[new_code_cell(TRAINING)], metadata=kernel)
    nbformat.write(nb, root / "notebooks" / "training.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://localhost:{port}"
    options = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token="]
    options += ["--LabApp.expose_app_in_browser=True"]
    code = f"from pathlib import Path; from kdutils.site import series; series.lab({options}, "
    environment = os.environ | {
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


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


def _open(browser, address):
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(address)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    return page


def _do(page, command):
    page.evaluate("command => { window.jupyterapp.commands.execute(command); }", command)


def _active(page):
    """Which cell is selected."""
    return page.evaluate(
        "[...document.querySelectorAll('.jp-Notebook .jp-Cell')]"
        ".findIndex(cell => cell.classList.contains('jp-mod-active'))"
    )


def test_the_course_opens_without_a_question_and_chapter_01_is_alive(lab, browser):
    address, root = lab
    page = _open(browser, address)
    first = series.find(root / "notebooks")[0].path
    assert first.name in page.url
    assert first.name in page.locator(".jp-DirListing-itemText").all_inner_texts()
    page.wait_for_timeout(2000)
    assert page.locator(".jp-Dialog").count() == page.locator(".Toastify__toast").count() == 0

    page.close()

    chapter = next(root.glob("notebooks/01_*.py"))
    page = _open(browser, f"{address}/lab/workspaces/01/tree/notebooks/{chapter.stem}.ipynb")
    page.locator(".kdt").first.wait_for(state="attached")
    tags = [set(cell.metadata.get("tags", ())) for cell in jupytext.read(chapter).cells]
    folded = sum(bool(one & pairs.FOLDED) for one in tags)
    assert folded and page.locator(".jp-InputPlaceholder").count() == folded

    # nobody trusts a notebook from elsewhere: its scripts have not run, so no control may show
    slider = page.locator(".kdt input[type=range]")
    assert not slider.count() or not slider.first.is_visible()

    page.wait_for_function("document.querySelector('[data-status=idle]')")
    _do(page, "notebook:run-all-cells")
    slider.first.wait_for()
    page.wait_for_function("!document.querySelector('[data-status=busy]')")
    slider.first.focus()
    before, cell = page.locator(".kdt-t").first.inner_text(), _active(page)
    for key in ("ArrowRight", "ArrowUp", "ArrowRight"):
        page.keyboard.press(key)
    assert float(page.locator(".kdt-t").first.inner_text()) > float(before)
    assert _active(page) == cell
    page.close()


def test_training_keeps_what_the_cell_said_and_stops_with_one_line(lab, browser):
    address, _ = lab
    page = _open(browser, f"{address}/lab/workspaces/t/tree/notebooks/training.ipynb")
    page.wait_for_function("document.querySelector('[data-status=idle]')")
    _do(page, "notebook:run-all-cells")
    output = page.locator(".jp-Cell-outputArea")
    page.wait_for_function(
        "document.querySelector('.jp-Cell-outputArea').innerText.includes('epoch')"
    )
    page.wait_for_timeout(1500)
    _do(page, "notebook:interrupt-kernel")
    page.wait_for_function(
        "document.querySelector('.jp-Cell-outputArea').innerText.includes('topped')"
    )
    lines = [line for line in output.inner_text().splitlines() if line.strip()]
    print(lines)
    assert lines[0] == "said before the training"
    assert "Traceback" not in "".join(lines)
    assert lines[-1].startswith("Stopped after epoch") and "run the cell again" in lines[-1]
    page.close()
