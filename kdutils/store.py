"""Recipes to records, in two layers: `runs/` (local) over `data/records/` (committed).

In: a `Record` to keep, or a recipe to look up. Out: the record, or None. Files appear whole or not
at all, and a record's checksums let damage be found on reading. A run under way holds a lock.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from . import ROOT
from .recipes import Recipe


class Damaged(RuntimeError):
    """A file does not hold what was written: Damaged(path, problem). The text says what to do."""

    def __str__(self) -> str:
        path, problem = self.args
        return (
            f"{path.name} in {path.parent} is damaged ({problem}). Restore it from the repository, "
            "or delete it: it is then made again."
        )


def write(path: Path, content: bytes) -> str:
    """Write a file, whole or not at all: the SHA-256 of its content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


@contextmanager
def reading(path: Path) -> Iterator[bytes]:
    """A file's content, to be decoded and checked: what fails meanwhile is raised as Damaged."""
    content = path.read_bytes()
    try:
        yield content
    except (ValueError, KeyError, TypeError, SafetensorError) as problem:
        raise Damaged(path, str(problem)) from problem


@dataclass(frozen=True)
class Record:
    """What came out of one run.

    curve: one dict an epoch. metrics: keys begin with `test_` or `val_`; a run whose loss was not
    finite has none and says so in `failure`. seconds: of its epochs. parameters: of the network as
    it is trained, with parts that only training needs. note: what a reader of the numbers has to
    know. files: the SHA-256 of its "logits" and "weights", where they are kept.
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
    """The two layers. Only `local` is written: by default KDUTILS_RUNS, or `runs/` beside us."""

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
        logits: dict[str, Tensor] | None = None,
        weights: dict[str, Tensor] | None = None,
    ) -> None:
        """Keep a record in the local layer, with its logits (as float16) and the net's weights."""
        path, files = self.local / f"{record.id}.json", {}
        path.unlink(missing_ok=True)  # an older record does not vouch for the new files
        half = {name: values.half() for name, values in (logits or {}).items()}
        for kind, tensors in (("logits", half), ("weights", weights)):
            if tensors:
                whole = {name: values.cpu().contiguous() for name, values in tensors.items()}
                files[kind] = write(path.with_suffix(f".{kind}.safetensors"), save(whole))
        body = vars(record) | {"recipe": record.recipe.as_dict()}
        del body["files"]
        write(path, _text({"files": files, "record": body} if files else {"record": body}))

    def weights(self, recipe: Recipe) -> dict[str, Tensor] | None:
        """The trained weights, where this machine has them; Damaged where they are broken."""
        return self._tensors(recipe, "weights")

    def logits(self, recipe: Recipe) -> dict[str, Tensor] | None:
        """Stored logits by split ("val", "test"): float32 [N, classes], or None."""
        found = self._tensors(recipe, "logits")
        return found and {name: values.float() for name, values in found.items()}

    def _tensors(self, recipe: Recipe, kind: str) -> dict[str, Tensor] | None:
        for record in self._paths(recipe):  # without one, nobody vouches for the tensors
            if (path := record.with_suffix(f".{kind}.safetensors")).exists():
                expected = read(record).files.get(kind)
                with reading(path) as content:
                    if expected not in (None, hashlib.sha256(content).hexdigest()):
                        raise ValueError("its checksum is not the one in its record")
                    return load(content)
        return None

    @contextmanager
    def lock(self, name: str, timeout: float = -1) -> Iterator[None]:
        """Held while a recipe is trained or a file is made, so that no two processes do it.

        timeout: seconds to wait for another process (-1: as long as it takes), then
        filelock.Timeout. No lock file stays behind, not even that of a process that was killed.
        """
        self.local.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.local / f".{name}.lock", timeout=timeout):
                yield
        finally:
            for free in self.local.glob(".*.lock"):  # who waits for one sees that it is gone
                with suppress(Timeout, OSError), FileLock(free, timeout=0):
                    free.unlink()

    def all(self) -> list[Record]:
        """Every record of both layers, each once, by id."""
        paths = {}
        for folder in (self.published, self.local):
            paths |= {path.name: path for path in sorted(folder.glob("*-*.json"))}
        return [read(path) for path in paths.values()]


def _text(content: dict) -> bytes:
    """A record's file: its content, under a checksum of it (without "files": of the "record")."""
    covered = json.dumps(content if "files" in content else content["record"], sort_keys=True)
    whole = {"sha256": hashlib.sha256(covered.encode()).hexdigest()} | content
    return json.dumps(whole, indent=1).encode() + b"\n"


def read(path: Path) -> Record:
    """One record from its file. Raises Damaged unless every byte is as it was written."""
    with reading(path) as written:
        content = json.loads(written)
        del content["sha256"]  # made anew by _text
        if written.replace(b"\r\n", b"\n") != _text(content):  # git on Windows may add the \r
            raise ValueError("its checksum does not fit its content")
        recipe = Recipe.from_dict(content["record"].pop("recipe"))
        return Record(recipe, **content["record"], files=content.get("files", {}))
