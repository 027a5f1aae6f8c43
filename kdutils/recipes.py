"""The recipe: everything that decides one training run, as a frozen value.

In: fields. Out: a checked `Recipe` with an id. The recipes of the course stand in `course`.
"""

import hashlib
import json
import math
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Literal, Union

from . import losses, models, views

STORED_VIEWS_SEED = 990_000  # no seed reaches it: they end at 9,999, streams count by 10,000
Teacher = Union["Recipe", tuple["Recipe", ...], Literal["posterior"], None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run.

    dataset: a name that `data.load` knows. model, dropout: as `models.build` takes them. train_on:
    "train" (validation images held out) or "all". n_train: only the first so many images.
    without_classes: classes whose images are left out. views: a kind from `views.KINDS`, drawn anew
    every epoch. view_stream: students of one seed share a stream; teachers have another, so that a
    teacher speaks about views it was not fitted to. schedule: "constant", "one-cycle", "cosine".
    teacher: a recipe, a tuple of them (fixed at every seed; logits averaged), "posterior" (the
    exact p(y|x) of bayes10), or None for hard labels. temperature, alpha, soft_scale: as
    `losses.kd_loss` takes them; alpha = 1 uses no label. teacher_order: "matched", or "permuted"
    (the control: every image gets the logits of another), or "reshuffled" (of yet another in every
    epoch: what a batch number finds in answers that were stored in another order). n_views: 0 for a
    new view every epoch; V for V views used in turn, the same ones at every seed, so that what a
    teacher says about them is stored once, in `bits` bits (16 or 8). n_labels: only the first so
    many images have a label, the others the teacher's answer alone. watch_test: look at the test
    images after every epoch, which an honest run never does. Raises ValueError, naming the field,
    its value and what is allowed.
    """

    dataset: str
    model: str
    epochs: int
    batch_size: int
    lr: float
    seed: int = 0
    dropout: tuple[float, float] = (0.0, 0.0)
    train_on: str = "train"
    n_train: int | None = None
    without_classes: tuple[int, ...] = ()
    views: str = "none"
    view_stream: int = 0
    optimizer: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "one-cycle"
    label_smoothing: float = 0.0
    teacher: Teacher = None
    teacher_order: str = "matched"
    temperature: float = 1.0
    alpha: float = 1.0
    soft_scale: float = 1.0
    precision: str = "bfloat16"
    n_views: int = 0
    bits: int = 16
    n_labels: int | None = None
    watch_test: bool = False

    def __post_init__(self) -> None:
        choices = {
            "dataset": ("mnist", "cifar10", "cifar100", "digits", "bayes10"),
            "train_on": ("train", "all"),
            "views": tuple(views.KINDS),
            "optimizer": ("sgd", "nesterov", "adam", "adamw"),
            "schedule": ("constant", "one-cycle", "cosine"),
            "teacher_order": ("matched", "permuted", "reshuffled"),
            "bits": (16, 8),
            "watch_test": (False, True),
            "precision": ("float32", "bfloat16"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise self._wrong(name, f"one of {list(allowed)}")
        least_of = {"epochs": 1, "batch_size": 1, "seed": 0, "view_stream": 0, "n_views": 0}
        for name, least in least_of.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise self._wrong(name, f"a whole number, at least {least}")
        for name in ("n_train", "n_labels"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and value > 0):
                raise self._wrong(name, "None or a whole number, at least 1")
        bounds = {
            "lr": (0, math.inf), "weight_decay": (-1e-30, math.inf), "soft_scale": (0, math.inf),
            "momentum": (-1e-30, 1), "label_smoothing": (-1e-30, 1),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not isinstance(value, Real) or not low < value < high:
                raise self._wrong(name, f"a number above {max(low, 0)} (0 where it makes sense)")
        losses.check_temperature(self.temperature)
        losses.check_alpha(self.alpha)
        models.check(self.model, self.dropout)
        if self.teacher == "posterior" and self.dataset != "bayes10":
            raise self._wrong("teacher", "a recipe: only bayes10 has a known posterior")
        if isinstance(self.teacher, str) and self.teacher != "posterior":
            raise self._wrong("teacher", "None, a Recipe, a tuple of them, or 'posterior'")
        if self.n_labels is not None and self.teacher is None:
            raise self._wrong("n_labels", "None where there is no teacher: use n_train")
        if self.n_views and self.teacher == "posterior":
            raise self._wrong("n_views", "0 where the posterior teaches: it is not stored")
        if self.teacher is not None and self.label_smoothing:
            raise self._wrong("label_smoothing", "0 where there is a teacher")

    def _wrong(self, name: str, allowed: str) -> ValueError:
        return ValueError(f"{name} = {getattr(self, name)!r} must be {allowed}.")

    @property
    def needs_teacher(self) -> bool:
        return self.teacher is not None

    @property
    def teachers(self) -> tuple["Recipe", ...]:
        """The recipes of the teachers: none, one or several."""
        if isinstance(self.teacher, Recipe):
            return (self.teacher,)
        return self.teacher if isinstance(self.teacher, tuple) else ()

    @property
    def view_seed(self) -> int:
        """The seed of this run's views: one stream a seed and role, one for all stored views."""
        return STORED_VIEWS_SEED if self.n_views else self.seed + 10_000 * self.view_stream

    def view(self, epoch: int) -> int:
        """The number of the view that an epoch shows: with `n_views` they come in turn."""
        return epoch % self.n_views if self.n_views else epoch

    def as_dict(self) -> dict:
        """Fields that differ from their defaults, teachers nested: what the id is a hash of.

        A field that is added later, with a default, leaves all older ids as they are.
        """
        out = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if value == f.default and f.name != "seed":
                continue
            if isinstance(value, Recipe):
                value = value.as_dict()
            elif f.name == "teacher" and isinstance(value, tuple):
                value = [teacher.as_dict() for teacher in value]
            out[f.name] = list(value) if isinstance(value, tuple) else value
        return out

    @classmethod
    def from_dict(cls, saved: dict) -> "Recipe":
        """The recipe that `as_dict` wrote."""
        saved = dict(saved)
        for name in ("dropout", "without_classes"):
            if name in saved:
                saved[name] = tuple(saved[name])
        if isinstance(saved.get("teacher"), list):
            saved["teacher"] = tuple(cls.from_dict(teacher) for teacher in saved["teacher"])
        elif isinstance(saved.get("teacher"), dict):
            saved["teacher"] = cls.from_dict(saved["teacher"])
        return cls(**saved)

    @property
    def label(self) -> str:
        """A short readable name: data set, model and what it learns from."""
        if self.teacher is None:
            learns = "hard" if not self.label_smoothing else f"smooth{self.label_smoothing:g}"
        elif self.teacher == "posterior":
            learns = f"posterior-T{self.temperature:g}"
        else:
            learns = f"kd-T{self.temperature:g}-a{self.alpha:g}"
        return f"{self.dataset}-{self.model}-{self.views}-{learns}-s{self.seed}"

    @property
    def id(self) -> str:
        """The label and the first 10 hex digits of the SHA-256 of the recipe."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        return f"{self.label}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    def with_seed(self, seed: int) -> "Recipe":
        """The same recipe at another seed; a single teacher takes the seed too, an ensemble not."""
        teacher = self.teacher
        if isinstance(teacher, Recipe):
            teacher = teacher.with_seed(seed)
        return replace(self, seed=seed, teacher=teacher)
