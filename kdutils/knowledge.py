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


class Knowledge:
    """The logits that a recipe's teachers give on each view of its images.

    nets: the teachers' networks, needed unless all is stored (`complete`). Where there are several,
    their logits are averaged (the geometric mean of their probabilities; Hinton et al. 2015,
    section 5.1). With `n_views`, one `File` holds all views; else each view is new in its epoch and
    has a file of its own. The posterior of bayes10 needs neither networks nor files.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: data.Dataset,
        store: Store,
        nets: Sequence[nn.Module] = (),
        device: torch.device | str = "cpu",
    ):
        self.recipe, self.dataset, self.store = recipe, dataset, store
        self.nets, self.device = nets, device
        self.split, self.index = base_split(recipe, dataset), transfer_index(recipe, dataset)
        self.exact = recipe.teacher == "posterior"

    @property
    def complete(self) -> bool:
        """Whether no network need be asked: all views, and the test images, are known."""
        return self.exact or bool(self.recipe.n_views and self._find())

    def lesson(self, epoch: int) -> torch.Tensor:
        """What each image of the transfer set learns from in this epoch: [N, classes]."""
        return self.logits(epoch)[self.givers(epoch)]

    def givers(self, epoch: int) -> torch.Tensor:
        """Whose logits each image of the transfer set gets: positions [N] in `base_split`."""
        order, index = self.recipe.teacher_order, self.index
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

    def logits(self, epoch: int) -> torch.Tensor:
        """The teachers' logits for this epoch's view of all the recipe's images: [N, classes].

        float16, and float32 from the posterior.
        """
        recipe = self.recipe
        if self.exact:
            return log_posterior(recipe.train_on, recipe.n_train)
        view = 0 if recipe.views == "none" else recipe.view(epoch)
        if recipe.n_views:
            return self.file.view(view)[: len(self.split)]
        return self._kept(view).view(0)

    def on_test(self) -> torch.Tensor:
        """What the teachers say about the test images: float32 [N, classes] on the CPU."""
        if self.exact:
            return log_posterior("test")
        if self.recipe.n_views:
            return self.file.tensors["test"].float()
        return self.answers(self.dataset.test.images).cpu()

    def live(self, view: int) -> torch.Tensor:
        """What the teachers say now about a view: float32 [N, classes]."""
        images, recipe = self.split.images.to(self.device), self.recipe
        return self.answers(views.epoch_view(images, recipe.views, recipe.view_seed, view))

    def answers(self, images: torch.Tensor) -> torch.Tensor:
        """What the teachers say about any images, uint8 [N, C, H, W]: float32 [N, classes].

        Raises ValueError where their networks are not at hand.
        """
        teachers, images = self.recipe.teachers, images.to(self.device)
        if len(self.nets) != len(teachers):
            raise ValueError(
                f"{self.recipe.id} has {len(teachers)} teachers to be asked, but {len(self.nets)} "
                "networks were given. `runs.knowledge_of` loads or trains them."
            )
        each = [
            predict(net.to(self.device), images, self.dataset, teacher.precision)
            for net, teacher in zip(self.nets, teachers, strict=True)
        ]
        return torch.stack(each).mean(0)

    @cached_property
    def file(self) -> "File":
        """The views of a recipe with `n_views`."""
        return self._kept()

    def path(self, view: int | None = None) -> Path:
        """Where this machine keeps what was asked: one view's file, or (None) that of all."""
        folder, images = self.store.local / "knowledge", self.recipe.n_train
        if view is None:
            return folder / name(self.recipe, self.recipe.n_views, 16, images)
        return folder / "views" / name(self.recipe, f"{view:04}", 16, images)

    def _kept(self, view: int | None = None) -> "File":
        """A view, or (None) all: read where they are stored, else asked for now and kept."""
        path = self.path(view)
        with self.store.lock(path.name):
            if (file := self._find(view)) is None:
                numbers = range(self.recipe.n_views) if view is None else [view]
                answers = [self.live(number).half().cpu() for number in numbers]
                tensors = {"train": torch.stack(answers)}
                for split in ("val", "test") if view is None else ():
                    images = getattr(self.dataset, split).images
                    tensors[split] = self.answers(images).half().cpu()
                write(path, File(tensors), describe(self.recipe), view)
                file = self._find(view)
        return file

    def _find(self, view: int | None = None) -> "File | None":
        """What is stored; of all views, the first file with enough views, images and bits."""
        recipe, path = self.recipe, self.path(view)
        if view is not None:
            return read(path, recipe, view) if path.exists() else None
        patterns = name(recipe, "*", "*"), name(recipe, "*", "*", "*")
        for folder in (self.store.local / "knowledge", self.store.published_knowledge):
            for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
                file = read(path, recipe)
                n_views, images, _ = file.tensors["train"].shape
                enough = n_views >= recipe.n_views and images >= len(self.split)
                if enough and file.bits >= recipe.bits:
                    return file.reduced(recipe.n_views, recipe.bits)
        return None


@dataclass(frozen=True)
class File:
    """A teacher's stored knowledge.

    tensors: "train" [V, N, classes] as float16, or as int8 steps with the size of one in "step";
    "val" and "test", the still images of those splits, float16 [N, classes].
    """

    tensors: dict[str, torch.Tensor]

    @property
    def bits(self) -> int:
        return 8 * self.tensors["train"].element_size()

    def view(self, number: int) -> torch.Tensor:
        """Logits of a stored view: float16 [N, classes], each image's mean taken off at 8 bits."""
        values = self.tensors["train"][number]
        return (values * self.tensors["step"]).half() if self.bits == 8 else values

    def reduced(self, n_views: int, bits: int) -> "File":
        """The same knowledge of fewer views, and in fewer bits.

        8 bits: logits less their mean (which no softmax sees), in steps of 1/127 of the largest in
        view 0; larger values in other views are clipped.
        """
        train, tensors = self.tensors["train"][:n_views], dict(self.tensors)
        if bits < self.bits:
            step = _centred(train[0]).abs().max() / 127
            levels = [(_centred(part) / step).round().clamp(-127, 127) for part in train]
            train, tensors["step"] = torch.stack(levels).to(torch.int8), step.reshape(1)
        return File(tensors | {"train": train.contiguous()})

    def about(self, view: int | None) -> dict[str, str]:
        """What it says of its own content: a checksum, bits, and how many views or which."""
        digest = hashlib.sha256()
        for key in sorted(self.tensors):
            values = self.tensors[key].contiguous()
            digest.update(f"{key} {values.dtype} {list(values.shape)}".encode())
            digest.update(values.view(torch.uint8).numpy())
        which = (
            {"n_views": str(len(self.tensors["train"]))} if view is None else {"view": str(view)}
        )
        return which | {"bits": str(self.bits), "sha256": digest.hexdigest()}


def _centred(logits: torch.Tensor) -> torch.Tensor:
    return logits.float() - logits.float().mean(dim=1, keepdim=True)


@lru_cache(maxsize=4)
def _images_sha256(dataset: str, split: str) -> str:
    part = getattr(data.load(dataset), split)
    digest = hashlib.sha256(part.images.contiguous().numpy())
    digest.update(part.labels.numpy())
    return digest.hexdigest()


def describe(recipe: Recipe) -> dict[str, str]:
    """What knowledge for a student must speak of: teachers, data, split, classes, views."""
    return {
        "teachers": " ".join(teacher.id for teacher in recipe.teachers),
        "dataset": recipe.dataset,
        "split": recipe.train_on,
        "images sha256": _images_sha256(recipe.dataset, recipe.train_on),
        "classes": str(len(data.load(recipe.dataset).classes)),
        "views": recipe.views,
        # still images are the same for students of all seeds
        "view seed": "" if recipe.views == "none" else str(recipe.view_seed),
    }


def name(recipe: Recipe, n_views: object, bits: object, images: object = None) -> str:
    """The name of a file of a recipe's knowledge; images: None where it holds the whole split.

    n_views, bits, images: numbers, or "*" for any in a pattern.
    """
    about = describe(recipe)
    text = " ".join(about[key] for key in ("split", "views", "view seed", "teachers"))
    key = hashlib.sha256(text.encode()).hexdigest()[:10]
    part = f"-n{images}" if images else ""
    return f"{recipe.teachers[0].label}-{key}{part}-v{n_views}-{bits}bit.safetensors"


def write(path: Path, file: File, about: dict[str, str], view: int | None = None) -> None:
    """Write a file of knowledge; about: as `describe` gives it; view: the only one it holds.

    Raises ValueError for logits that float16 does not hold.
    """
    for key, values in file.tensors.items():
        if not torch.isfinite(values).all():
            raise ValueError(
                f"the teacher's logits for {path.name} ({key}) do not fit into float16 or are not "
                "finite; there is nothing to learn from it."
            )
    with atomic(path) as part:
        part.write_bytes(save(file.tensors, about | file.about(view)))


def read(path: Path, recipe: Recipe, view: int | None = None) -> File:
    """The knowledge in a file, for a student; view: the one that a file of a single view holds.

    Raises store.Damaged where the file is not what was written; WrongKnowledge, with both sides,
    where it speaks of another teacher, data set, split, class count or other views.
    """
    content, wanted = path.read_bytes(), describe(recipe)
    size = int.from_bytes(content[:8], "little")
    try:
        text = content[8 : 8 + size].decode().rstrip(" ")
        header = json.loads(text)
        about, file = header["__metadata__"], File(load(content))
        if text != json.dumps(header, separators=(",", ":"), ensure_ascii=False):
            raise ValueError("its header is not as written")
        if {key: value for key, value in about.items() if key not in wanted} != file.about(view):
            raise ValueError("its checksum or its counts do not fit its content")
    except (SafetensorError, ValueError, KeyError) as problem:
        raise damaged(path, problem) from problem
    for key, value in wanted.items():
        if about.get(key) != value:
            raise WrongKnowledge(
                f"{path.name} does not fit {recipe.id}: its {key} is {about.get(key)!r}, the "
                f"student's is {value!r}. Use knowledge of the same teacher, images and views."
            )
    return file


def publish(recipe: Recipe, store: Store) -> list[Path]:
    """Copy a recipe's stored knowledge to the committed layer: the files written, one or none.

    It speaks of the images that the teacher learned from. What is too large is reduced to eight
    views in eight bits; where that does not fit either, a ValueError.
    """
    if not recipe.n_views or not recipe.teachers:
        return []
    images = recipe.teachers[0].n_train
    recipe = replace(recipe, n_train=images)
    if recipe.n_views * (recipe.bits // 8) > PUBLISHED_VIEWS:
        recipe = replace(recipe, n_views=min(recipe.n_views, PUBLISHED_VIEWS), bits=8)
    if any(store.published_knowledge.glob(name(recipe, "*", "*", images))):
        return []  # one file a teacher: students of fewer views read their part of it
    file = Knowledge(recipe, data.load(recipe.dataset), store)._find()
    if file is None:
        return []
    path = store.published_knowledge / name(recipe, recipe.n_views, recipe.bits, images)
    if (size := sum(values.nbytes for values in file.tensors.values())) > PUBLISHED_BYTES:
        raise ValueError(
            f"{path.name} would hold {size:,} bytes; at most {PUBLISHED_BYTES:,} a teacher are "
            "committed. Store fewer views."
        )
    write(path, file, describe(recipe))
    return [path]
