"""Recipes to records, in two layers: `runs/` (local) over `data/records/` (committed).

In: a `Record` to keep, or a recipe to look up. Out: the record, or None. Files appear whole or not
at all. A record carries a checksum of itself and of its logits and weights, so that damage is
found on reading; a run under way holds a lock.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load, save

from . import ROOT
from .recipes import Recipe


class Damaged(RuntimeError):
    """A file does not hold what was written. The text names the file and says what to do."""


def damaged(path: Path, problem: object, remedy: str) -> Damaged:
    """The error for a damaged file; remedy: what to delete, and what then happens."""
    return Damaged(f"{path.name} in {path.parent} is damaged ({problem}). {remedy}")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path to write to; at the end it becomes `path`, or on an error disappears."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


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

    def get(self, recipe: Recipe) -> Record | None:
        """The record of this very recipe, or None; Damaged where its file is broken."""
        paths = (folder / f"{recipe.id}.json" for folder in (self.local, self.published))
        path = next((path for path in paths if path.exists()), None)
        return None if path is None else read(path)

    def put(
        self,
        record: Record,
        logits: dict[str, torch.Tensor] | None = None,
        weights: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Keep a record in the local layer, with its logits (as float16) and the net's weights."""
        target = self.local / f"{record.id}.json"
        target.unlink(missing_ok=True)  # an older record does not vouch for the new files
        half = {name: values.half() for name, values in (logits or {}).items()}
        files = {}
        for kind, tensors in (("logits", half), ("weights", weights)):
            if tensors:
                whole = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
                files[kind] = _write(_beside(target, kind), save(whole))
        _write(target, _text(_body(record), files).encode())

    def weights(self, recipe: Recipe) -> dict[str, torch.Tensor] | None:
        """The trained weights, where this machine has them; Damaged where they are broken."""
        return self._tensors(recipe, "weights")

    def logits(self, recipe: Recipe) -> dict[str, torch.Tensor] | None:
        """Stored logits by split ("val", "test"): float32 [N, classes], or None."""
        found = self._tensors(recipe, "logits")
        return found and {name: values.float() for name, values in found.items()}

    def _tensors(self, recipe: Recipe, kind: str) -> dict[str, torch.Tensor] | None:
        for folder in (self.local, self.published):
            record = folder / f"{recipe.id}.json"
            path = _beside(record, kind)
            if record.exists() and path.exists():  # without its record nothing vouches for it
                return load(_checked(path, _open(record)[1].get(kind)))
        return None

    @property
    def published_knowledge(self) -> Path:
        """Where the committed knowledge of teachers lies: beside the committed records."""
        return self.published.parent / "knowledge"

    def knowledge_folders(self) -> list[Path]:
        """Where stored knowledge may lie, the local layer first."""
        return [self.local / "knowledge", self.published_knowledge]

    @contextmanager
    def lock(self, what: Recipe | str, timeout: float = -1) -> Iterator[None]:
        """Held while a recipe is trained or a file is made, so that no two processes do it.

        timeout: seconds to wait for another process (-1: as long as it takes), then
        filelock.Timeout. No lock file stays behind, not even that of a process that was killed.
        """
        self.local.mkdir(parents=True, exist_ok=True)
        path = self.local / f".{what if isinstance(what, str) else what.id}.lock"
        with FileLock(path, timeout=timeout):
            try:
                yield
            finally:
                _remove(path)
        for left in self.local.glob(".*.lock"):
            with suppress(Timeout, OSError), FileLock(left, timeout=0):
                _remove(left)

    def all(self) -> list[Record]:
        """Every record of both layers, each once, by id."""
        paths = {}
        for folder in (self.published, self.local):
            paths |= {path.name: path for path in sorted(folder.glob("*-*.json"))}
        return [read(path) for path in paths.values()]

    def publish(self, recipes: Iterable[Recipe], keep_logits: bool = False) -> list[Path]:
        """Copy these recipes' records, once checked, to the committed layer: the files written.

        Logits that are kept get their checksum, also where the local record has none yet. A record
        that is committed already is replaced only by itself, with logits that it lacked.
        """
        written = []
        for recipe in dict.fromkeys(recipes):
            source, target = (f / f"{recipe.id}.json" for f in (self.local, self.published))
            if not source.exists() or (target.exists() and read(target) != read(source)):
                continue
            record, files = _open(source)
            ours, theirs = _beside(source, "logits"), _beside(target, "logits")
            if keep_logits and ours.exists() and not theirs.exists():
                files = {"logits": _write(theirs, _checked(ours, files.get("logits")))}
                written.append(theirs)
            elif target.exists():
                continue
            else:
                files = {}
            _write(target, _text(_body(record), files).encode())
            written.append(target)
        return written


def _beside(record: Path, kind: str) -> Path:
    """The file of a record's "logits" or "weights"."""
    return record.with_name(f"{record.stem}.{kind}.safetensors")


def _remove(lock: Path) -> None:
    """Delete a lock file that we hold; filelock, waiting for it, sees so and opens a new one."""
    with suppress(OSError):  # Windows refuses while it is open; filelock deletes it there
        lock.unlink()


def _write(path: Path, content: bytes) -> str:
    """Write a file, whole or not at all: the SHA-256 of its content."""
    with atomic(path) as part:
        part.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _body(record: Record) -> dict:
    return asdict(record) | {"recipe": record.recipe.as_dict()}


def _text(body: dict, files: dict[str, str]) -> str:
    """What a record's file holds; `files` only where there are any, as older records have none."""
    content = {"files": files, "record": body} if files else {"record": body}
    covered = json.dumps(content if files else body, sort_keys=True).encode()
    return json.dumps({"sha256": hashlib.sha256(covered).hexdigest()} | content, indent=1) + "\n"


def _open(path: Path) -> tuple[Record, dict[str, str]]:
    """A record and the checksums of its files. Raises Damaged unless every byte is as written."""
    try:
        text = path.read_bytes().replace(b"\r\n", b"\n").decode()  # git on Windows may add the \r
        saved = json.loads(text)
        body, files = saved["record"], saved.get("files", {})
        if text != _text(body, files):
            raise ValueError("its checksum does not fit its content")
        return Record(**(body | {"recipe": Recipe.from_dict(body["recipe"])})), files
    except (ValueError, KeyError, TypeError) as problem:
        raise damaged(path, problem, _remedy(path)) from problem


def _checked(path: Path, expected: str | None) -> bytes:
    """The bytes of a file of tensors. Raises Damaged where they are not those of the record."""
    content = path.read_bytes()
    try:
        if expected and hashlib.sha256(content).hexdigest() != expected:
            raise ValueError("its checksum is not the one in its record")
        load(content)
    except (ValueError, SafetensorError) as problem:
        raise damaged(path, problem, _remedy(path)) from problem
    return content


def _remedy(path: Path) -> str:
    name = path.name.removesuffix(".safetensors").rsplit(".", 1)[0]
    return (
        f"Restore it from the repository, or delete all files {name}.*: the run is then trained "
        "again."
    )


def read(path: Path) -> Record:
    """One record from its file. Raises Damaged where it is not what was written."""
    return _open(path)[0]
