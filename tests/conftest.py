"""One thread a worker: two torch processes on two cores would wait for each other. On the CPU."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import experiments  # noqa: F401  (bayes10 and the deep networks join)
import pytest
import torch
from filelock import FileLock
from playwright.sync_api import sync_playwright

from kdutils import ROOT, data, losses, models
from kdutils.recipes import Recipe
from kdutils.store import Record, Store

torch.set_num_threads(1)
os.environ["KDUTILS_DEVICE"] = "cpu"


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser():
    """The Chromium that this machine has, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


def make_book(out: Path) -> Path:
    """The book, made where there are neither data sets nor a network."""
    empty, nowhere = out.parent / "no_data", "http://127.0.0.1:9"
    environment = os.environ | {"KDUTILS_DATA": str(empty), "KDUTILS_RUNS": str(empty / "runs")}
    environment |= {"http_proxy": nowhere, "https_proxy": nowhere}
    command = [sys.executable, "-m", "kdutils", "book", "--out", str(out)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return out


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> Path:
    """The recorded edition, made once for all workers of pytest-xdist."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with FileLock(folder / "book.lock"):
        made = folder / "book"
        return made if made.exists() else make_book(made)


@pytest.fixture
def store(tmp_path) -> Store:
    """An empty store of two layers."""
    return Store(tmp_path / "runs", tmp_path / "records")


@pytest.fixture
def tiny() -> Recipe:
    """A run of well under a second: a small MLP on the first digits."""
    return Recipe(
        dataset="digits",
        model="mlp-32-32",
        n_train=300,
        epochs=4,
        batch_size=50,
        lr=3e-3,
        precision="float32",
    )


def differ(a: Recipe, b: Recipe) -> set[str]:
    """The fields in which two recipes differ."""
    a, b = a.as_dict(), b.as_dict()
    return {k for k in a.keys() | b.keys() if a.get(k) != b.get(k)}


def load_solutions(name: str) -> ModuleType:
    """A file of solutions as a module; its name begins with a digit, so `import` cannot."""
    path = data.ROOT / "notebooks" / "solutions" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"solutions_{name[:2]}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def have_mnist() -> bool:
    return (data.folder() / "MNIST" / "raw" / "train-images-idx3-ubyte").exists()


needs_mnist = pytest.mark.skipif(
    not have_mnist(), reason="MNIST is not in the data folder; see data/README.md"
)


def have_cifar10() -> bool:
    return (data.folder() / "cifar-10-batches-py" / "data_batch_1").exists()


needs_cifar10 = pytest.mark.skipif(
    not have_cifar10(), reason="CIFAR-10 is not in the data folder; see data/README.md"
)


def put(store: Store, recipe: Recipe, errors: int, val_errors: int, failure: str | None = None):
    """Keep a record with these counts, as if the recipe had been trained."""
    counts = {"test_errors": errors, "val_errors": val_errors, "val_nll": 0.1}
    store.put(
        Record(
            recipe=recipe,
            curve=[],
            metrics={} if failure else counts,
            seconds=1.0,
            device="CPU (any)",
            threads=1,
            parameters=1,
            recorded="2026-01-31",
            failure=failure,
        )
    )


@pytest.fixture
def clean_registries():
    """What a test registers is gone after it."""
    registries = (models.REGISTERED, losses.REGISTERED, data.REGISTERED)
    before = [dict(registry.things) for registry in registries]
    yield
    for registry, things in zip(registries, before, strict=True):
        registry.things.clear()
        registry.things.update(things)
