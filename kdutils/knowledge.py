"""A teacher's logits over views, stored once: students of any loss or temperature learn from them.

In: teachers, a data set, a kind of view. Out: `Knowledge`, which gives the logits of the view of an
epoch: read where stored, asked of the live teacher where not.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from . import bayes10, data, views
from .recipes import Recipe
from .store import Store
from .training import base_split, predict

PUBLISHED_BYTES = 4_000_000  # a teacher's share of the repository
PUBLISHED_VIEWS = 8  # 45,000 images x 10 classes x 8 views, a byte each: 3.6 MB


class DamagedKnowledge(RuntimeError):
    """A file of knowledge does not hold what was written."""


class WrongKnowledge(ValueError):
    """A file of knowledge speaks of other images than the student's."""


class Knowledge:
    """The logits that a recipe's teachers give on each view of its images.

    `nets` is called when a view is not stored yet and returns the teachers' networks. Where there
    are several, their logits are averaged (the geometric mean of their probabilities; Hinton et al.
    2015, section 5.1). A recipe with `n_views` has one `File` for all its views; else each view is
    new in its epoch and has a file of its own.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: data.Dataset,
        nets: Callable[[], list[nn.Module]],
        store: Store,
        device: torch.device,
    ):
        self.recipe, self.dataset, self.nets, self.device = recipe, dataset, nets, device
        self.store = store
        self._last: tuple[int, torch.Tensor] | None = None
        self._loaded: list[nn.Module] | None = None

    @cached_property
    def file(self) -> "File":
        """The stored views: read where they lie, made and kept where they do not."""
        return stored(self)

    def logits(self, epoch: int) -> torch.Tensor:
        """The teachers' logits for this epoch's view: float16 [N, classes].

        N: the images of the recipe.
        """
        view = self.recipe.view(epoch) if self.recipe.views != "none" else 0
        if self._last is None or self._last[0] != view:
            self._last = view, self._view(view)
        return self._last[1]

    def path(self, view: int) -> Path:
        """Where a view that is new in its epoch is kept."""
        file_name = name(self.recipe, f"{view:04}", 16, self.recipe.n_train or "")
        return self.store.local / "knowledge" / "views" / file_name

    def _view(self, view: int) -> torch.Tensor:
        if self.recipe.n_views:
            return self.file.view(view)[: len(self.split)]
        path = self.path(view)
        with self.store.lock(path.name):
            if path.exists():
                return read(path, self.recipe, self.dataset).view(0)
            values = self.live(view).half().cpu()
            _check_finite(values, f"view {view}")
            about = describe(self.recipe, self.dataset) | {"view": str(view), "bits": "16"}
            write(path, File(about, {"train": values[None]}))
            return values

    @property
    def split(self) -> data.Split:
        """The images that knowledge is counted over."""
        return base_split(self.recipe, self.dataset)

    def live(self, view: int) -> torch.Tensor:
        """What the teachers say now about a view: float32 [N, classes]."""
        images = self.split.images.to(self.device)
        return self.answers(
            views.epoch_view(images, self.recipe.views, self.recipe.view_seed, view)
        )

    def answers(self, images: torch.Tensor) -> torch.Tensor:
        """What the teachers say about any images, uint8 [N, C, H, W]: float32 [N, classes]."""
        if self._loaded is None:
            self._loaded = [net.to(self.device) for net in self.nets()]
        images = images.to(self.device)
        pairs = zip(self._loaded, self.recipe.teachers, strict=True)
        answers = [predict(net, images, self.dataset, t.precision) for net, t in pairs]
        return torch.stack(answers).mean(dim=0)

    def on_test(self) -> torch.Tensor:
        """What the teachers say about the test images: float32 [N, classes] on the CPU."""
        if self.recipe.n_views:
            return self.file.tensors["test"].float()
        return self.answers(self.dataset.test.images).cpu()


@dataclass(frozen=True)
class File:
    """A teacher's stored knowledge.

    about: what it speaks of (keys of `describe`, and "bits"). tensors: "train" [V, N, classes] as
    float16, or as int8 steps with the size of one in "step"; "val" and "test", the still images of
    those splits, float16 [N, classes].
    """

    about: dict[str, str]
    tensors: dict[str, torch.Tensor]

    @property
    def n_views(self) -> int:
        return self.tensors["train"].shape[0]

    @property
    def images(self) -> int:
        return self.tensors["train"].shape[1]

    def view(self, number: int) -> torch.Tensor:
        """Logits of a stored view: float16 [N, classes], each image's mean taken off at 8 bits."""
        values = self.tensors["train"][number]
        return (values * self.tensors["step"]).half() if values.dtype == torch.int8 else values

    def reduced(self, n_views: int, bits: int) -> "File":
        """The same knowledge of fewer views, and in fewer bits.

        8 bits: logits less their mean (which no softmax sees), in steps of 1/127 of the largest in
        view 0; what lies beyond in other views is cut off there.
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


def _check_finite(values: torch.Tensor, what: str) -> None:
    if not torch.isfinite(values).all():
        raise ValueError(
            f"the teacher's logits for {what} do not fit into float16 or are not finite; there is "
            "nothing to learn from it."
        )


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


def stored(knowledge: Knowledge) -> File:
    """A recipe's stored knowledge, read from a file that holds it or more, or made now and kept."""
    recipe = knowledge.recipe
    if (found := _found(knowledge)) is None:
        file_name = name(recipe, recipe.n_views, 16, recipe.n_train or "")
        with knowledge.store.lock(file_name):
            found = _found(knowledge)  # another process may have made it meanwhile
            if found is None:
                found = _asked(knowledge)
                write(knowledge.store.local / "knowledge" / file_name, found)
    return found.reduced(recipe.n_views, recipe.bits)


def _found(knowledge: Knowledge) -> File | None:
    """The first file that holds enough views, images and bits for a recipe."""
    recipe, images = knowledge.recipe, len(knowledge.split)
    for folder in knowledge.store.knowledge_folders():
        whole, part = (name(recipe, "*", "*", n) for n in ("", "*"))
        for path in sorted({*folder.glob(whole), *folder.glob(part)}):
            file = read(path, recipe, knowledge.dataset)
            enough = file.n_views >= recipe.n_views and file.images >= images
            if enough and int(file.about["bits"]) >= recipe.bits:
                return file
    return None


def _asked(knowledge: Knowledge) -> File:
    """What the teachers say now about all views of a recipe, in 16 bits."""
    recipe = knowledge.recipe
    parts = [knowledge.live(view).half().cpu() for view in range(recipe.n_views)]
    tensors = {"train": torch.stack(parts)}
    for split in ("val", "test"):
        still = getattr(knowledge.dataset, split).images
        tensors[split] = knowledge.answers(still).half().cpu()
    for split, values in tensors.items():
        _check_finite(values, split)
    about = describe(recipe, knowledge.dataset) | {"n_views": str(recipe.n_views), "bits": "16"}
    return File(about, tensors)


def write(path: Path, file: File) -> None:
    """Write a file of knowledge, whole or not at all, with a checksum of its tensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    save_file(file.tensors, part, metadata=file.about | {"sha256": _sha256(file.tensors)})
    os.replace(part, path)


def read(path: Path, recipe: Recipe, dataset: data.Dataset) -> File:
    """The knowledge in a file, for a student.

    Raises DamagedKnowledge where the file is not what was written; WrongKnowledge, with both sides,
    where it speaks of another teacher, data set, split, class count or other views.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            about = dict(opened.metadata() or {})
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        if about.pop("sha256", None) != _sha256(tensors):
            raise ValueError("the checksum does not fit the content")
    except (SafetensorError, ValueError) as problem:
        raise DamagedKnowledge(
            f"{path.name} in {path.parent} is damaged ({problem}). Restore it from the repository, "
            "or delete it: the teacher is then asked again."
        ) from problem
    wanted = describe(recipe, dataset)
    for key, value in wanted.items():
        if about.get(key) != value:
            raise WrongKnowledge(
                f"{path.name} does not fit {recipe.id}: its {key} is {about.get(key)!r}, the "
                f"student's is {value!r}. Use knowledge of the same teacher, images and views."
            )
    return File(about, tensors)


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

    def nets() -> list[nn.Module]:
        raise FileNotFoundError("nothing is stored yet")

    knowledge = Knowledge(recipe, data.load(recipe.dataset), nets, store, torch.device("cpu"))
    try:
        file = stored(knowledge)
    except FileNotFoundError:
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


@lru_cache(maxsize=8)
def log_posterior(split: str, n: int | None = None) -> torch.Tensor:
    """The perfect teacher's logits on a split of bayes10: log p(y given x), at least -50.

    split: "train", "val", "test" or "all"; n: only the first so many images. Returns float32
    [N, 10]. Computed once a process: 5,000 images take a second or two.
    """
    images = getattr(data.load("bayes10"), split).images[:n]
    return bayes10.posterior(images).log().clamp(min=-50).float()
