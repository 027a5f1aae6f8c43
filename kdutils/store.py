"""Recipes to records, in two layers: `runs/` (local) over `data/records/` (committed).

In: a `Record` to keep, or a recipe to look up. Out: the record, or None. Files appear whole or not
at all, carry a checksum, and are locked while their run is under way.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from filelock import FileLock
from safetensors.torch import load_file, save_file

from .recipes import Recipe

ROOT = Path(__file__).resolve().parent.parent


class DamagedRecord(RuntimeError):
    """A file of the store does not hold what was written."""


@dataclass(frozen=True)
class Record:
    """What came out of one run.

    curve: one dict an epoch. metrics: the test set once, at the last epoch, and the validation
    images, each key beginning with `test_` or `val_`; a run whose loss was not finite has none and
    says so in `failure`. seconds: training alone. device: what it ran on. note: what a reader of
    the numbers has to know, such as views that were used again.
    """

    recipe: Recipe
    curve: list[dict[str, float]]
    metrics: dict[str, float | list[int]]
    seconds: float
    device: str
    threads: int
    parameters: int
    recorded: str
    versions: dict[str, str] = field(default_factory=dict)
    failure: str | None = None
    note: str | None = None

    @property
    def id(self) -> str:
        return self.recipe.id


def runs_folder() -> Path:
    """The local layer: KDUTILS_RUNS, or `runs/` beside the package."""
    return Path(os.environ.get("KDUTILS_RUNS") or ROOT / "runs")


class Store:
    """The two layers. `local` is written, `published` only by `publish`."""

    def __init__(self, local: Path | None = None, published: Path | None = None):
        self.local = Path(local or runs_folder())
        self.published = Path(published or ROOT / "data" / "records")

    def find(self, name: str) -> Path | None:
        """The file of that name, from the local layer first."""
        paths = (folder / name for folder in (self.local, self.published))
        return next((path for path in paths if path.exists()), None)

    def get(self, recipe: Recipe) -> Record | None:
        """The record of this very recipe, or None; DamagedRecord where its file is broken."""
        path = self.find(f"{recipe.id}.json")
        return None if path is None else read(path)

    def put(
        self,
        record: Record,
        logits: dict[str, torch.Tensor] | None = None,
        weights: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Keep a record in the local layer, with its logits (as float16) and the net's weights."""
        self.local.mkdir(parents=True, exist_ok=True)
        if weights is not None:
            self._tensors(f"{record.id}.weights.safetensors", weights)
        if logits is not None:
            half = {name: values.half() for name, values in logits.items()}
            self._tensors(f"{record.id}.logits.safetensors", half)
        body = asdict(record) | {"recipe": record.recipe.as_dict()}
        text = json.dumps({"sha256": _checksum(body), "record": body}, indent=1) + "\n"
        part = self.local / f".{record.id}.{os.getpid()}.part"
        part.write_text(text)
        os.replace(part, self.local / f"{record.id}.json")  # last: a record vouches for the others

    def _tensors(self, name: str, tensors: dict[str, torch.Tensor]) -> None:
        part = self.local / f".{name}.{os.getpid()}.part"
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, part)
        os.replace(part, self.local / name)

    def weights(self, recipe: Recipe) -> dict[str, torch.Tensor] | None:
        """The trained weights, where this machine has them."""
        path = self.find(f"{recipe.id}.weights.safetensors")
        return None if path is None else load_file(path)

    def logits(self, recipe: Recipe) -> dict[str, torch.Tensor] | None:
        """Stored logits by split ("val", "test"): float32 [N, classes], or None."""
        path = self.find(f"{recipe.id}.logits.safetensors")
        if path is None:
            return None
        return {name: values.float() for name, values in load_file(path).items()}

    @property
    def published_knowledge(self) -> Path:
        """Where the committed knowledge of teachers lies: beside the committed records."""
        return self.published.parent / "knowledge"

    def knowledge_folders(self) -> list[Path]:
        """Where stored knowledge may lie, the local layer first."""
        return [self.local / "knowledge", self.published_knowledge]

    def lock(self, what: Recipe | str, timeout: float = -1) -> FileLock:
        """Held while a recipe is trained or a file is made, so that no two processes do it."""
        self.local.mkdir(parents=True, exist_ok=True)
        name = what if isinstance(what, str) else what.id
        return FileLock(self.local / f".{name}.lock", timeout=timeout)

    def all(self) -> list[Record]:
        """Every record of both layers, each once, by id."""
        paths = {}
        for folder in (self.published, self.local):
            paths |= {path.name: path for path in sorted(folder.glob("*-*.json"))}
        return [read(path) for path in paths.values()]

    def publish(self, recipes: Iterable[Recipe], keep_logits: bool = False) -> list[Path]:
        """Copy these recipes' records, once checked, to the committed layer: the files written."""
        self.published.mkdir(parents=True, exist_ok=True)
        written = []
        for recipe in recipes:
            names = [f"{recipe.id}.json"]
            if keep_logits:
                names.append(f"{recipe.id}.logits.safetensors")
            for name in names:
                source, target = self.local / name, self.published / name
                if source.exists() and not target.exists():
                    if source.suffix == ".json":
                        read(source)
                    part = target.with_name(f".{name}.part")
                    shutil.copyfile(source, part)
                    os.replace(part, target)
                    written.append(target)
        return written


def _checksum(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def read(path: Path) -> Record:
    """One record from its file. Raises DamagedRecord where it is not what was written."""
    try:
        saved = json.loads(path.read_text())
        body = saved["record"]
        if saved["sha256"] != _checksum(body):
            raise ValueError("the checksum does not fit the content")
        return Record(**(body | {"recipe": Recipe.from_dict(body["recipe"])}))
    except (ValueError, KeyError, TypeError) as problem:
        raise DamagedRecord(
            f"{path.name} in {path.parent} is damaged ({problem}). Restore it from the repository, "
            "or delete it: its run is then trained again."
        ) from problem
