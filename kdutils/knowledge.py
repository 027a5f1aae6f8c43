"""A teacher's logits over views, stored once: students of any loss or temperature learn from them.

In: a student's recipe, its data set, a store and, where something is not stored yet, its teachers'
networks. Out: for each epoch, the logits that each image learns from.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load, save
from sklearn.linear_model import LogisticRegression
from torch import nn

from . import data, views
from .data import Dataset
from .recipes import Recipe
from .store import Store, reading, write
from .training import predict, transfer_set


@lru_cache(maxsize=8)
def log_posterior(dataset: Dataset, split: str, n: int | None = None) -> torch.Tensor:
    """A perfect teacher's logits on a split: log p(y given x), at least -50: float32 [N, classes].

    split: "train", "val", "test" or "all"; n: only the first so many images. Computed once a
    process: 5,000 images take a second or two.
    """
    images = getattr(dataset, split).images[:n]
    return dataset.posterior(images).log().clamp(min=-50).float()


def translation(
    kind: str, logits: torch.Tensor, labels: torch.Tensor, classes: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """How a teacher of other classes is made to speak about ours: logits [N, theirs] -> [N, ours].

    Fitted to its answers about labelled images, logits [N, theirs] and labels [N]. "probe": a
    linear classifier of its logits (multinomial logistic regression). "masses": each of its classes
    hands its probability to ours in the shares in which its mass falls on them, by the labels.
    ValueError where an own class has no image.
    """
    counts = torch.bincount(labels, minlength=classes)
    if len(counts) > classes or not counts.all():
        raise ValueError(f"each of {classes} classes needs a labelled image; there are {counts}.")
    logits = logits.float()
    if kind == "probe":  # of centred logits: stored ones may have lost their mean
        logits = logits - logits.mean(dim=1, keepdim=True)
        fitted = LogisticRegression(max_iter=1000).fit(logits.numpy(), labels.numpy())
        weight, bias = (torch.from_numpy(x).float() for x in (fitted.coef_, fitted.intercept_))
        if classes == 2:  # scikit-learn keeps one row for two classes
            weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        return lambda z: (z.float() - z.float().mean(dim=1, keepdim=True)) @ weight.T + bias
    mass = logits.softmax(1).T @ F.one_hot(labels, classes).float()  # [theirs, ours]
    shares = (mass / counts).clamp(min=1e-12)  # as if all our classes were equally frequent
    shares = shares / shares.sum(dim=1, keepdim=True)  # uniform for a class that is never named
    return lambda z: (z.float().softmax(1) @ shares).clamp(min=1e-12).log()


def average(logits: Sequence[torch.Tensor], ensemble: str = "logits") -> torch.Tensor:
    """One answer of several teachers: logits [N, classes] of each -> float32 [N, classes].

    "logits": their mean, which is the geometric mean of the probabilities. "probabilities": the
    logarithm of the arithmetic mean, at T = 1 whatever a student's T. ValueError for another word.
    Source: Hinton et al. 2015, section 1, names both.
    """
    if ensemble not in ("logits", "probabilities"):
        raise ValueError(f"ensemble = {ensemble!r} must be 'logits' or 'probabilities'.")
    each = torch.stack([z.float() for z in logits])
    if ensemble == "logits":
        return each.mean(0)
    return each.log_softmax(2).logsumexp(0) - math.log(len(each))


@dataclass
class Knowledge:
    """The logits that a recipe's teachers give on each view of its images.

    nets: the teachers' networks, needed unless all is stored (`complete`); the answers of several
    are averaged (`average`), each stored by itself. With `n_views`, one file holds all views, and
    val and test images too; else each view is new in its epoch and has a file of its own, whose
    number methods take as `view`. A data set's posterior needs neither networks nor files. Raises
    ValueError where a recipe asks for one that is unknown.
    """

    recipe: Recipe
    dataset: Dataset
    store: Store
    nets: Sequence[nn.Module] = ()
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        self.split, self.index = transfer_set(self.recipe, self.dataset)
        self.exact = self.recipe.teacher == "posterior"
        if self.exact and self.dataset.posterior is None:
            raise ValueError(
                f"{self.recipe.id}: teacher = 'posterior', but the posterior of {self.dataset.name}"
                " is not known. Take a recipe as the teacher, or a data set with a `posterior`."
            )

    @property
    def complete(self) -> bool:
        """Whether no network need be asked: all views, and the test images, are known."""
        if self.members:
            return all(member.complete for member in self.members)
        return self.exact or bool(self.recipe.n_views and self._find())

    @cached_property
    def members(self) -> "list[Knowledge]":
        """What each of several teachers says, alone; none where there is one teacher."""
        teachers = self.recipe.teachers
        if len(teachers) < 2:
            return []
        nets = [[net] for net in self.nets] or [()] * len(teachers)
        alone = {"ensemble": "logits"}
        return [
            Knowledge(
                replace(self.recipe, teacher=(t,), **alone),
                self.dataset,
                self.store,
                net,
                self.device,
            )
            for t, net in zip(teachers, nets, strict=True)
        ]

    def lesson(self, epoch: int) -> torch.Tensor:
        """What each image of the transfer set learns from in this epoch: [N, classes]."""
        return self.logits(epoch)[self.givers(epoch)]

    def givers(self, epoch: int) -> torch.Tensor:
        """Whose logits each image of the transfer set gets: positions [N] in `split`."""
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

        float16, and float32 from the posterior or of several teachers.
        """
        recipe = self.recipe
        if self.members:
            return average([member.logits(epoch) for member in self.members], recipe.ensemble)
        if self.exact:
            return log_posterior(self.dataset, recipe.train_on, recipe.n_train)
        view = 0 if recipe.views == "none" else recipe.view(epoch)
        file, number = (self.file, view) if recipe.n_views else (self._kept(view), 0)
        return self.translated(file.view(number)[: len(self.split)])

    @cached_property
    def translated(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Its teachers' logits in the student's classes: fitted to the first view, or unchanged."""
        recipe = self.recipe
        if recipe.translate == "none":
            return lambda logits: logits
        known = self.index[: recipe.n_labels]
        first = (self.file if recipe.n_views else self._kept(recipe.view(0))).view(0)
        return translation(
            recipe.translate, first[known], self.split.labels[known], len(self.dataset.classes)
        )

    def on_test(self) -> torch.Tensor:
        """What the teachers say about the test images: float32 [N, classes] on the CPU."""
        if self.exact:
            return log_posterior(self.dataset, "test")
        if self.members:
            return average([member.on_test() for member in self.members], self.recipe.ensemble)
        if self.recipe.n_views:
            return self.translated(self.file.tensors["test"].float())
        return self.translated(self.answers(self.dataset.test.images).cpu())

    def live(self, view: int) -> torch.Tensor:
        """What the teachers say now about a view: float32 [N, classes]."""
        images, recipe = self.split.images.to(self.device), self.recipe
        return self.answers(views.apply(images, recipe.views, recipe.view_seed, view))

    def answers(self, images: torch.Tensor) -> torch.Tensor:
        """What the teachers say about any images, uint8 [N, C, H, W]: float32 [N, classes]."""
        teachers, images = self.recipe.teachers, images.to(self.device)
        if len(self.nets) != len(teachers):
            raise ValueError(
                f"{self.recipe.id} has {len(teachers)} teachers to be asked, but {len(self.nets)} "
                "networks were given. `runs.knowledge_of` loads or trains them."
            )
        each = [
            predict(net.to(self.device), images, self._taught_on(teacher), teacher.precision)
            for net, teacher in zip(self.nets, teachers, strict=True)
        ]
        return average(each, self.recipe.ensemble)

    def _taught_on(self, teacher: Recipe) -> Dataset:
        """A teacher's own data set, whose pixels it expects to be normalised as they were there."""
        if teacher.dataset == self.recipe.dataset:
            return self.dataset
        theirs = data.load(teacher.dataset)
        if theirs.in_shape != self.dataset.in_shape:
            raise ValueError(
                f"the teacher knows images of {list(theirs.in_shape)} ({theirs.name}); those of "
                f"{self.dataset.name} are {list(self.dataset.in_shape)}. Take another teacher."
            )
        return theirs

    @cached_property
    def file(self) -> "File":
        """The views of a recipe with `n_views`."""
        return self._kept()

    @cached_property
    def about(self) -> dict[str, str]:
        """What its files must speak of."""
        recipe = self.recipe
        return {
            "teachers": " ".join(teacher.id for teacher in recipe.teachers),
            "dataset": recipe.dataset,
            "split": recipe.train_on,
            "images sha256": _images_sha256(self.dataset, recipe.train_on),
            "classes": self._classes,
            "views": recipe.views,
            # still images are the same for students of all seeds
            "view seed": "" if recipe.views == "none" else str(recipe.view_seed),
        }

    @property
    def _beside(self) -> tuple[str, ...]:
        """The splits whose still images are stored with all views: of other data's teachers, test
        alone, since a hundred classes take ten times the room."""
        return ("val", "test") if self._classes.isdecimal() else ("test",)

    @property
    def _classes(self) -> str:
        """How many classes the answers have; of teachers of other data, which data (not loaded)."""
        sets = {teacher.dataset for teacher in self.recipe.teachers} - {self.recipe.dataset}
        return " ".join(sorted(sets)) or str(len(self.dataset.classes))

    @cached_property
    def _stem(self) -> str:
        """How the names of its files begin, whatever views, images and bits they hold."""
        parts = [self.about[key] for key in ("split", "views", "view seed", "teachers")]
        if self.recipe.teachers[0].dataset != self.recipe.dataset:
            parts.append(self.recipe.dataset)  # one teacher may be asked about several
        text = " ".join(parts)
        return f"{self.recipe.teachers[0].label}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    def name(self, views: object, bits: object = 16) -> str:
        """A file's name; views: how many, or which one; here and for bits "*" is any of them."""
        images = f"-n{self.recipe.n_train}" if self.recipe.n_train else ""
        return f"{self._stem}{images}-v{views}-{bits}bit.safetensors"

    def path(self, view: int | None = None) -> Path:
        """Where this machine keeps a view, or (None) all."""
        name = (
            self.name(self.recipe.n_views) if view is None else f"views/{self.name(f'{view:04}')}"
        )
        return self.store.local / "knowledge" / name

    def _kept(self, view: int | None = None) -> "File":
        """A view, or (None) all: read where they are stored, else asked for now and kept."""
        path = self.path(view)
        with self.store.lock(path.name):
            if (file := self._find(view)) is None:
                numbers = range(self.recipe.n_views) if view is None else [view]
                answers = [self.live(number).half().cpu() for number in numbers]
                tensors = {"train": torch.stack(answers)}
                for split in self._beside if view is None else ():
                    images = getattr(self.dataset, split).images
                    tensors[split] = self.answers(images).half().cpu()
                self.write(path, File(tensors), view)
                file = self._find(view)
        return file

    def _find(self, view: int | None = None) -> "File | None":
        """What is stored; of all views, the first file with enough views, images and bits."""
        if view is not None:
            return self._read(self.path(view), view) if self.path(view).exists() else None
        recipe = self.recipe
        # what is committed first: every machine then learns from the same eight bits
        for folder in (self.store.published_knowledge, self.store.local / "knowledge"):
            for path in sorted(folder.glob(f"{self._stem}-*")):
                file = self._read(path)
                n_views, images, _ = file.tensors["train"].shape
                enough = n_views >= recipe.n_views and images >= len(self.split)
                if enough and file.bits >= recipe.bits:
                    return file.reduced(recipe.n_views, recipe.bits)
        return None

    def _read(self, path: Path, view: int | None = None) -> "File":
        """A file; Damaged, with both sides, where it is not what was written or `about` us."""
        with reading(path) as content:
            size = int.from_bytes(content[:8], "little")
            about = json.loads(content[8 : 8 + size])["__metadata__"]
            file = File(load(content))
            for key, value in (self.about | file.about(view)).items():
                if about.get(key) != value:
                    raise ValueError(f"its {key} is {about.get(key)!r}, where {value!r} is wanted")
        return file

    def write(self, path: Path, file: "File", view: int | None = None) -> None:
        """Write a file. Raises ValueError for logits that float16 does not hold."""
        for key, values in file.tensors.items():
            if not torch.isfinite(values).all():
                raise ValueError(
                    f"the teacher's logits for {path.name} ({key}) do not fit into float16 or are "
                    "not finite; there is nothing to learn from it."
                )
        write(path, save(file.tensors, self.about | file.about(view)))


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
            centred = train.float() - train.float().mean(dim=2, keepdim=True)
            step = centred[0].abs().max() / 127
            train = (centred / step).round().clamp(-127, 127).to(torch.int8)
            tensors["step"] = step.reshape(1)
        return File(tensors | {"train": train.contiguous()})

    def about(self, view: int | None) -> dict[str, str]:
        """What it says of its own content: bits, a checksum, and how many views or the only one."""
        digest = hashlib.sha256()
        for key, values in sorted(self.tensors.items()):
            digest.update(f"{key} {values.dtype} {list(values.shape)}".encode())
            digest.update(values.contiguous().view(torch.uint8).numpy())
        n_views = len(self.tensors["train"])
        which = {"n_views": str(n_views)} if view is None else {"view": str(view)}
        return which | {"bits": str(self.bits), "sha256": digest.hexdigest()}


@lru_cache(maxsize=4)
def _images_sha256(dataset: Dataset, split: str) -> str:
    part = getattr(dataset, split)
    digest = hashlib.sha256(part.images.contiguous().numpy())
    digest.update(part.labels.numpy())
    return digest.hexdigest()
