"""A teacher's logits over views, stored once: students of any loss or temperature learn from them.

In: a student's recipe, its data set, a store and, where something is not stored yet, its teachers'
networks. Out: for each epoch, the logits that each image learns from.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from . import bayes10, data, views
from .recipes import Recipe
from .store import Store, atomic, damaged
from .training import base_split, predict, transfer_index

PUBLISHED_BYTES = 4_000_000  # a teacher's share of the repository
PUBLISHED_VIEWS = 8  # 45,000 images x 10 classes x 8 views, a byte each: 3.6 MB


class WrongKnowledge(ValueError):
    """A file of knowledge speaks of other images than the student's."""


@lru_cache(maxsize=8)
def log_posterior(split: str, n: int | None = None) -> torch.Tensor:
    """The perfect teacher's logits on a split of bayes10: log p(y given x), at least -50.

    split: "train", "val", "test" or "all"; n: only the first so many images. Returns float32
    [N, 10]. Computed once a process: 5,000 images take a second or two.
    """
    images = getattr(data.load("bayes10"), split).images[:n]
    return bayes10.posterior(images).log().clamp(min=-50).float()


class Lessons:
    """What a student asks of whoever teaches it; `logits` and `on_test` are the teacher's own."""

    def __init__(self, recipe: Recipe, dataset: data.Dataset):
        self.recipe, self.dataset = recipe, dataset

    def lesson(self, epoch: int) -> torch.Tensor:
        """What each image of the transfer set learns from in this epoch: [N, classes]."""
        return self.logits(epoch)[self.givers(epoch)]

    @cached_property
    def split(self) -> data.Split:
        """The images that knowledge is counted over."""
        return base_split(self.recipe, self.dataset)

    @cached_property
    def _index(self) -> torch.Tensor:
        return transfer_index(self.recipe, self.dataset)

    def givers(self, epoch: int) -> torch.Tensor:
        """Whose logits each image of the transfer set gets: positions [N] in `split`."""
        order, index = self.recipe.teacher_order, self._index
        if order == "matched":
            return index
        stream = self.recipe.seed + (0 if order == "permuted" else 10_000 * (1 + epoch))
        shuffled = torch.randperm(len(index), generator=torch.Generator().manual_seed(stream))
        if order != "within-class":
            return index[shuffled]
        # the shuffled images of a class take the places of that class, in order
        labels, giver = self.split.labels[index], torch.empty_like(shuffled)
        giver[labels.argsort(stable=True)] = shuffled[labels[shuffled].argsort(stable=True)]
        return index[giver]


class Posterior(Lessons):
    """The perfect teacher of bayes10, whose answers need no network."""

    def logits(self, epoch: int) -> torch.Tensor:
        """Its logits for each image of the recipe: float32 [N, 10]."""
        return log_posterior(self.recipe.train_on, self.recipe.n_train)

    def on_test(self) -> torch.Tensor:
        """Its logits for the test images: float32 [N, 10]."""
        return log_posterior("test")


class Knowledge(Lessons):
    """The logits that a recipe's teachers give on each view of its images.

    nets: the teachers' networks, needed unless all is stored (`complete`). Where there are several,
    their logits are averaged (the geometric mean of their probabilities; Hinton et al. 2015,
    section 5.1). A recipe with `n_views` has one `File` for all its views; else each view is new in
    its epoch and has a file of its own.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: data.Dataset,
        store: Store,
        nets: Sequence[nn.Module] = (),
        device: torch.device | str = "cpu",
    ):
        super().__init__(recipe, dataset)
        self.store, self.device = store, device
        self.nets = [net.to(device) for net in nets]
        self._last: tuple[int, torch.Tensor] | None = None

    @property
    def complete(self) -> bool:
        """Whether nobody need be asked: all views, and the test images, are stored."""
        return bool(self.recipe.n_views) and self.found is not None

    @cached_property
    def found(self) -> "File | None":
        """The stored views, from the first file that holds enough views, images and bits."""
        recipe = self.recipe
        whole, part = (name(recipe, "*", "*", n) for n in ("", "*"))
        for folder in (self.store.local / "knowledge", self.store.published_knowledge):
            for path in sorted({*folder.glob(whole), *folder.glob(part)}):
                file = read(path, recipe, self.dataset)
                enough = file.n_views >= recipe.n_views and file.images >= len(self.split)
                if enough and file.bits >= recipe.bits:
                    return file.reduced(recipe.n_views, recipe.bits)
        return None

    @cached_property
    def file(self) -> "File":
        """The stored views: read where they lie, asked for and kept where they do not."""
        recipe = self.recipe
        if self.found is None:
            file_name = name(recipe, recipe.n_views, 16, recipe.n_train or "")
            with self.store.lock(file_name):
                del self.found  # another process may have made it meanwhile: look again
                if self.found is None:
                    asked = self._asked()
                    write(self.store.local / "knowledge" / file_name, asked)
                    self.found = asked.reduced(recipe.n_views, recipe.bits)
        return self.found

    def logits(self, epoch: int) -> torch.Tensor:
        """The teachers' logits for this epoch's view: float16 [N, classes].

        N: the images of the recipe.
        """
        view = self.recipe.view(epoch) if self.recipe.views != "none" else 0
        if self._last is None or self._last[0] != view:
            stored = self.recipe.n_views
            self._last = (
                view,
                self.file.view(view)[: len(self.split)] if stored else self._new(view),
            )
        return self._last[1]

    def path(self, view: int) -> Path:
        """Where a view that is new in its epoch is kept."""
        file_name = name(self.recipe, f"{view:04}", 16, self.recipe.n_train or "")
        return self.store.local / "knowledge" / "views" / file_name

    def _new(self, view: int) -> torch.Tensor:
        path = self.path(view)
        with self.store.lock(path.name):
            if not path.exists():
                tensors = {"train": self.live(view).half().cpu()[None]}
                about = {"view": str(view), "bits": "16"}
                write(path, File(describe(self.recipe, self.dataset) | about, tensors))
            return read(path, self.recipe, self.dataset, view).view(0)

    def live(self, view: int) -> torch.Tensor:
        """What the teachers say now about a view: float32 [N, classes]."""
        images = self.split.images.to(self.device)
        return self.answers(
            views.epoch_view(images, self.recipe.views, self.recipe.view_seed, view)
        )

    def answers(self, images: torch.Tensor) -> torch.Tensor:
        """What the teachers say about any images, uint8 [N, C, H, W]: float32 [N, classes].

        Raises ValueError where their networks are not at hand.
        """
        if len(self.nets) != len(self.recipe.teachers):
            raise ValueError(
                f"{self.recipe.id} has {len(self.recipe.teachers)} teachers to be asked, but "
                f"{len(self.nets)} networks were given. `runs.knowledge_of` loads or trains them."
            )
        pairs = zip(self.nets, self.recipe.teachers, strict=True)
        images = images.to(self.device)
        return torch.stack([predict(n, images, self.dataset, t.precision) for n, t in pairs]).mean(
            0
        )

    def on_test(self) -> torch.Tensor:
        """What the teachers say about the test images: float32 [N, classes] on the CPU."""
        if self.recipe.n_views:
            return self.file.tensors["test"].float()
        return self.answers(self.dataset.test.images).cpu()

    def _asked(self) -> "File":
        """What the teachers say now about all views of a recipe, in 16 bits."""
        n_views, dataset = self.recipe.n_views, self.dataset
        tensors = {"train": torch.stack([self.live(view).half().cpu() for view in range(n_views)])}
        for split in ("val", "test"):
            tensors[split] = self.answers(getattr(dataset, split).images).half().cpu()
        about = {"n_views": str(n_views), "bits": "16"}
        return File(describe(self.recipe, dataset) | about, tensors)


@dataclass(frozen=True)
class File:
    """A teacher's stored knowledge.

    about: what it speaks of (keys of `describe`, "bits", and "n_views" or "view"). tensors: "train"
    [V, N, classes] as float16, or as int8 steps with the size of one in "step"; "val" and "test",
    the still images of those splits, float16 [N, classes].
    """

    about: dict[str, str]
    tensors: dict[str, torch.Tensor]

    @property
    def n_views(self) -> int:
        return self.tensors["train"].shape[0]

    @property
    def images(self) -> int:
        return self.tensors["train"].shape[1]

    @property
    def bits(self) -> int:
        return 8 * self.tensors["train"].element_size()

    def view(self, number: int) -> torch.Tensor:
        """Logits of a stored view: float16 [N, classes], each image's mean taken off at 8 bits."""
        values = self.tensors["train"][number]
        return (values * self.tensors["step"]).half() if values.dtype == torch.int8 else values

    def reduced(self, n_views: int, bits: int) -> "File":
        """The same knowledge of fewer views, and in fewer bits.

        8 bits: logits less their mean (which no softmax sees), in steps of 1/127 of the largest in
        view 0; larger values in other views are clipped.
        """
        tensors = dict(self.tensors)
        train = tensors["train"][:n_views]
        if bits == 8 and train.dtype != torch.int8:
            step = _centred(train[0]).abs().max() / 127
            levels = [(_centred(part) / step).round().clamp(-127, 127) for part in train]
            train, tensors["step"] = torch.stack(levels).to(torch.int8), step.reshape(1)
        tensors["train"] = train.contiguous()
        return File(self.about | {"bits": str(bits), "n_views": str(n_views)}, tensors)


def _centred(logits: torch.Tensor) -> torch.Tensor:
    values = logits.float()
    return values - values.mean(dim=1, keepdim=True)


@lru_cache(maxsize=4)
def _images_sha256(dataset: str, split: str) -> str:
    part = getattr(data.load(dataset), split)
    digest = hashlib.sha256(part.images.contiguous().numpy())
    digest.update(part.labels.numpy())
    return digest.hexdigest()


def describe(recipe: Recipe, dataset: data.Dataset) -> dict[str, str]:
    """What knowledge for a student must speak of: teachers, data, split, classes, views."""
    return {
        "teachers": " ".join(teacher.id for teacher in recipe.teachers),
        "dataset": recipe.dataset,
        "split": recipe.train_on,
        "images sha256": _images_sha256(recipe.dataset, recipe.train_on),
        "classes": str(len(dataset.classes)),
        "views": recipe.views,
        "view seed": _view_seed(recipe),
    }


def _view_seed(recipe: Recipe) -> str:
    """Still images are the same for students of all seeds."""
    return "" if recipe.views == "none" else str(recipe.view_seed)


def name(recipe: Recipe, n_views: int | str, bits: int | str, images: int | str = "") -> str:
    """The name of the file of a recipe's stored knowledge; images: "" for the whole split."""
    about = f"{recipe.train_on} {recipe.views} {_view_seed(recipe)} " + " ".join(
        teacher.id for teacher in recipe.teachers
    )
    key = hashlib.sha256(about.encode()).hexdigest()[:10]
    part = f"-n{images}" if images else ""
    return f"{recipe.teachers[0].label}-{key}{part}-v{n_views}-{bits}bit.safetensors"


def write(path: Path, file: File) -> None:
    """Write a file of knowledge, whole or not at all, with a checksum of its tensors.

    Raises ValueError for logits that float16 does not hold.
    """
    for key, values in file.tensors.items():
        if not torch.isfinite(values).all():
            raise ValueError(
                f"the teacher's logits for {path.name} ({key}) do not fit into float16 or are not "
                "finite; there is nothing to learn from it."
            )
    about = file.about | {"sha256": _sha256(file.tensors)}
    with atomic(path) as part:
        part.write_bytes(save(file.tensors, about))


def read(path: Path, recipe: Recipe, dataset: data.Dataset, view: int | None = None) -> File:
    """The knowledge in a file, for a student; view: the one that a file of a single view holds.

    Raises store.Damaged where the file is not what was written; WrongKnowledge, with both sides,
    where it speaks of another teacher, data set, split, class count or other views.
    """
    content, wanted = path.read_bytes(), describe(recipe, dataset)
    try:
        about = _about(content)
        file = File({k: v for k, v in about.items() if k != "sha256"}, load(content))
        own = {"sha256": _sha256(file.tensors), "bits": str(file.bits)}
        own |= {"n_views": str(file.n_views)} if view is None else {"view": str(view)}
        if {key: value for key, value in about.items() if key not in wanted} != own:
            raise ValueError("its checksum or its counts do not fit its content")
    except (SafetensorError, ValueError, KeyError) as problem:
        raise damaged(path, problem) from problem
    for key, value in wanted.items():
        if file.about.get(key) != value:
            raise WrongKnowledge(
                f"{path.name} does not fit {recipe.id}: its {key} is {file.about.get(key)!r}, the "
                f"student's is {value!r}. Use knowledge of the same teacher, images and views."
            )
    return file


def _about(content: bytes) -> dict[str, str]:
    """The metadata in a file of safetensors. Raises ValueError unless the header is as written."""
    size = int.from_bytes(content[:8], "little")
    text = content[8 : 8 + size].decode().rstrip(" ")
    header = json.loads(text)
    if text != json.dumps(header, separators=(",", ":"), ensure_ascii=False):
        raise ValueError("its header is not as written")
    return header["__metadata__"]


def _sha256(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(tensors):
        values = tensors[key].contiguous()
        digest.update(f"{key} {values.dtype} {list(values.shape)}".encode())
        digest.update(values.view(torch.uint8).numpy())
    return digest.hexdigest()


def publish(recipe: Recipe, store: Store) -> list[Path]:
    """Copy a recipe's stored knowledge to the committed layer: the files written, one or none.

    It speaks of the images that the teacher learned from. Knowledge that is too large is reduced to
    eight views in eight bits. What does not fit even then is refused with a ValueError.
    """
    if not recipe.n_views or not recipe.teachers:
        return []
    recipe = replace(recipe, n_train=recipe.teachers[0].n_train)
    if recipe.n_views * (recipe.bits // 8) > PUBLISHED_VIEWS:
        recipe = replace(recipe, n_views=min(recipe.n_views, PUBLISHED_VIEWS), bits=8)
    part = recipe.n_train or ""
    if next(store.published_knowledge.glob(name(recipe, "*", "*", part)), None):
        return []  # one file a teacher: students of fewer views read their part of it
    file = Knowledge(recipe, data.load(recipe.dataset), store).found
    if file is None:
        return []
    target = store.published_knowledge / name(recipe, recipe.n_views, recipe.bits, part)
    size = sum(values.nbytes for values in file.tensors.values())
    if size > PUBLISHED_BYTES:
        raise ValueError(
            f"{target.name} would hold {size / 1e6:.1f} MB; at most {PUBLISHED_BYTES / 1e6:.0f} MB "
            "a teacher are committed. Store fewer views."
        )
    write(target, file)
    return [target]
