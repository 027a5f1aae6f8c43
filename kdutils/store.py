"""Recipes to records, in two layers: `runs/` (local) over `data/records/` (committed).

In: a `Record` to keep, or a recipe to look up. Out: the record, or None. Files appear whole or not
at all, and a record's checksums let damage be found on reading. A run under way holds a lock.
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


def damaged(path: Path, problem: object) -> Damaged:
    """The error for a damaged file, whatever it holds."""
    return Damaged(
        f"{path.name} in {path.parent} is damaged ({problem}). Restore it from the repository, or "
        "delete it: it is then made again."
    )


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

    curve: one dict an epoch. metrics: keys begin with `test_` or `val_`; a run whose loss was not
    finite has none and says so in `failure`. seconds: training alone. note: what a reader of the
    numbers has to know. files: the SHA-256 of its "logits" and "weights", where they are kept.
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
    files: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def id(self) -> str:
        return self.recipe.id


class Store:
    """The two layers. `local` is written, `published` only by `publish`.

    local: a folder, by default KDUTILS_RUNS, or `runs/` beside the package.
    """

    def __init__(self, local: Path | None = None, published: Path | None = None):
        self.local = Path(local or os.environ.get("KDUTILS_RUNS") or ROOT / "runs")
        self.published = Path(published or ROOT / "data" / "records")
        self.published_knowledge = self.published.parent / "knowledge"

    def _paths(self, recipe: Recipe) -> list[Path]:
        """The files of this recipe's records, the local one first."""
        paths = (folder / f"{recipe.id}.json" for folder in (self.local, self.published))
        return [path for path in paths if path.exists()]

    def get(self, recipe: Recipe) -> Record | None:
        """The record of this very recipe, or None; Damaged where its file is broken."""
        paths = self._paths(recipe)
        return read(paths[0]) if paths else None

    def put(
        self,
        record: Record,
        logits: dict[str, torch.Tensor] | None = None,
        weights: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Keep a record in the local layer, with its logits (as float16) and the net's weights."""
        path, files = self.local / f"{record.id}.json", {}
        path.unlink(missing_ok=True)  # an older record does not vouch for the new files
        half = {name: values.half() for name, values in (logits or {}).items()}
        for kind, tensors in (("logits", half), ("weights", weights)):
            if tensors:
                whole = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
                files[kind] = _write(_beside(path, kind), save(whole))
        _save(path, record, files)

    def weights(self, recipe: Recipe) -> dict[str, torch.Tensor] | None:
        """The trained weights, where this machine has them; Damaged where they are broken."""
        return self._tensors(recipe, "weights")

    def logits(self, recipe: Recipe) -> dict[str, torch.Tensor] | None:
        """Stored logits by split ("val", "test"): float32 [N, classes], or None."""
        found = self._tensors(recipe, "logits")
        return found and {name: values.float() for name, values in found.items()}

    def _tensors(self, recipe: Recipe, kind: str) -> dict[str, torch.Tensor] | None:
        for path in self._paths(recipe):  # tensors without a record have nobody to vouch for them
            if _beside(path, kind).exists():
                return load(_checked(_beside(path, kind), read(path).files.get(kind)))
        return None

    @contextmanager
    def lock(self, what: Recipe | str, timeout: float = -1) -> Iterator[None]:
        """Held while a recipe is trained or a file is made, so that no two processes do it.

        timeout: seconds to wait for another process (-1: as long as it takes), then
        filelock.Timeout. No lock file stays behind, not even that of a process that was killed.
        """
        self.local.mkdir(parents=True, exist_ok=True)
        try:
            name = what if isinstance(what, str) else what.id
            with FileLock(self.local / f".{name}.lock", timeout=timeout):
                yield
        finally:
            self.sweep()

    def sweep(self) -> None:
        """Delete lock files that nobody holds; who is waiting for one sees that it is gone."""
        for free in self.local.glob(".*.lock"):
            with suppress(Timeout, OSError), FileLock(free, timeout=0):
                free.unlink()

    def all(self) -> list[Record]:
        """Every record of both layers, each once, by id."""
        paths = {}
        for folder in (self.published, self.local):
            paths |= {path.name: path for path in sorted(folder.glob("*-*.json"))}
        return [read(path) for path in paths.values()]

    def publish(self, recipes: Iterable[Recipe], keep_logits: bool = False) -> list[Path]:
        """Copy these recipes' records, once checked, to the committed layer: the files written.

        A record that is committed already is replaced only by itself, with logits that it lacked.
        """
        written = []
        for recipe in dict.fromkeys(recipes):
            source, target = (f / f"{recipe.id}.json" for f in (self.local, self.published))
            if not source.exists():
                continue
            record, files = read(source), {}
            ours, theirs = _beside(source, "logits"), _beside(target, "logits")
            new = keep_logits and ours.exists() and not theirs.exists()
            if target.exists() and not (new and read(target) == record):
                continue
            if new:
                files["logits"] = _write(theirs, _checked(ours, record.files.get("logits")))
                written.append(theirs)
            _save(target, record, files)
            written.append(target)
        return written


def _beside(record: Path, kind: str) -> Path:
    """The file of a record's "logits" or "weights"."""
    return record.with_name(f"{record.stem}.{kind}.safetensors")


def _write(path: Path, content: bytes) -> str:
    """Write a file, whole or not at all: the SHA-256 of its content."""
    with atomic(path) as part:
        part.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _save(path: Path, record: Record, files: dict[str, str]) -> None:
    body = asdict(record) | {"recipe": record.recipe.as_dict()}
    del body["files"]
    _write(path, _text(body, files))


def _text(body: dict, files: dict[str, str]) -> bytes:
    """The content of a record's file; records without files were written before there were any."""
    content = {"files": files, "record": body} if files else {"record": body}
    covered = json.dumps(content if files else body, sort_keys=True).encode()
    whole = {"sha256": hashlib.sha256(covered).hexdigest()} | content
    return json.dumps(whole, indent=1).encode() + b"\n"


def read(path: Path) -> Record:
    """One record from its file. Raises Damaged unless every byte is as it was written."""
    try:
        content = path.read_bytes().replace(b"\r\n", b"\n")  # git on Windows may add the \r
        saved = json.loads(content)
        body, files = saved["record"], saved.get("files", {})
        if content != _text(body, files):
            raise ValueError("its checksum does not fit its content")
        return Record(**(body | {"recipe": Recipe.from_dict(body["recipe"])}), files=files)
    except (ValueError, KeyError, TypeError) as problem:
        raise damaged(path, problem) from problem


def _checked(path: Path, expected: str | None) -> bytes:
    """The bytes of a file of tensors. Raises Damaged where they are not those of the record."""
    content = path.read_bytes()
    try:
        if expected and hashlib.sha256(content).hexdigest() != expected:
            raise ValueError("its checksum is not the one in its record")
        load(content)
    except (ValueError, SafetensorError) as problem:
        raise damaged(path, problem) from problem
    return content
