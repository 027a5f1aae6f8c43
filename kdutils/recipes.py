"""The recipe: everything that decides one training run, as a frozen value.

In: fields. Out: a checked `Recipe` with an id. What a chapter runs stands in its experiments.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, Literal, Union

from . import data, losses, models, views
from .registry import UNKNOWN

MAX_SEED, MAX_STREAM = 9_999, 97
STORED_VIEWS_SEED = 990_000  # above every seed + 10,000 * stream
Teacher = Union["Recipe", tuple["Recipe", ...], Literal["posterior"], None]
Allowed = tuple[str, Callable[[Any], bool]]  # which values a field may have: in words, and a test


def _choice(*allowed: object) -> Allowed:
    return f"one of {list(allowed)}", allowed.__contains__


def _whole(least: int, most: float = math.inf) -> Allowed:
    def holds(value: object) -> bool:
        return (
            isinstance(value, Integral) and not isinstance(value, bool) and least <= value <= most
        )

    return (
        f"a whole number, {f'at least {least}' if most == math.inf else f'{least} to {most}'}",
        holds,
    )


def _or_none(allowed: Allowed) -> Allowed:
    return f"None or {allowed[0]}", lambda value: value is None or allowed[1](value)


def _number(words: str, holds: Callable[[float], bool]) -> Allowed:
    return (
        f"a finite number {words}",
        lambda v: isinstance(v, Real) and math.isfinite(v) and holds(v),
    )


_ALLOWED = {
    "train_on": _choice("train", "all"),
    "views": _choice(*views.KINDS),
    "optimizer": _choice("sgd", "nesterov", "adam", "adamw"),
    "schedule": _choice("constant", "one-cycle", "cosine"),
    "teacher_order": _choice("matched", "permuted", "reshuffled", "within-class"),
    "bits": _choice(16, 8),
    "watch_test": _choice(False, True),
    "precision": _choice("float32", "bfloat16"),
    "epochs": _whole(1),
    "batch_size": _whole(1),
    "seed": _whole(0, MAX_SEED),
    "view_stream": _whole(0, MAX_STREAM),
    "n_views": _whole(0),
    "n_train": _or_none(_whole(1)),
    "n_labels": _or_none(_whole(1)),
    "lr": _number("above 0", lambda v: v > 0),
    "soft_scale": _number("above 0", lambda v: v > 0),
    "weight_decay": _number("of at least 0", lambda v: v >= 0),
    "momentum": _number("of at least 0 and below 1", lambda v: 0 <= v < 1),
    "label_smoothing": _number("of at least 0 and below 1", lambda v: 0 <= v < 1),
}


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
    `losses.kd_loss` takes them; alpha = 1 uses no label. teacher_order: whose answers an image
    gets: its own ("matched"); another image's, the same in every epoch ("permuted") or a new one
    in each ("reshuffled"); those of another image of its class, a new one in each epoch
    ("within-class"). n_views: 0 for a new view every epoch; V for V views used in turn, the same
    ones at every seed, so that what a teacher says about them is stored once, in `bits` bits (16
    or 8). n_labels: only the first so many images have a label, the others the teacher's answer
    alone. watch_test: look at the test images after every epoch, which an honest run never does.
    loss: a name that `losses.of` knows. registered: (field, name, hash of the source) of each name
    that a reader registered, found by itself. Raises ValueError, naming the field, its value and
    what is allowed.
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
    loss: str = "kd"
    registered: tuple[tuple[str, str, str], ...] = ()

    def __post_init__(self) -> None:
        for name, (words, holds) in _ALLOWED.items():
            if not holds(getattr(self, name)):
                raise self._wrong(name, words)
        losses.check_temperature(self.temperature)
        losses.check_alpha(self.alpha)
        object.__setattr__(self, "registered", tuple(self._sources()))
        if isinstance(self.teacher, str) and self.teacher != "posterior":
            raise self._wrong("teacher", "None, a Recipe, a tuple of them, or 'posterior'")
        if self.teacher == "posterior" and self.dataset != "bayes10":
            raise self._wrong("teacher", "a recipe: only bayes10 has a known posterior")
        if self.n_labels is not None and self.teacher is None:
            raise self._wrong("n_labels", "None where there is no teacher: use n_train")
        if self.n_views and self.teacher == "posterior":
            raise self._wrong("n_views", "0 where the posterior teaches: it is not stored")
        if self.teacher is not None and self.label_smoothing:
            raise self._wrong("label_smoothing", "0 where there is a teacher")
        if self.teacher is None and self.loss == "pseudo-labels":
            raise self._wrong("loss", "another one where there is no teacher to guess the labels")

    def _wrong(self, name: str, allowed: str) -> ValueError:
        return ValueError(f"{name} = {getattr(self, name)!r} must be {allowed}.")

    def _sources(self) -> Iterator[tuple[str, str, str]]:
        """What `registered` holds. A saved hash stands for a name that this process lacks."""
        saved = {(field, name): source for field, name, source in self.registered}
        for field, known, check in (
            ("dataset", data.REGISTERED, data.check),
            ("model", models.REGISTERED, lambda name: models.check(name, self.dropout)),
            ("loss", losses.REGISTERED, losses.of),
        ):
            name = getattr(self, field)
            if name in known or (field, name) not in saved:
                check(name)
            if source := known.source(name) if name in known else saved.get((field, name)):
                yield field, name, source

    @property
    def recognisable(self) -> bool:
        """Whether its id will be the same in another process: no source of its is unknown."""
        own = not any(source.startswith(UNKNOWN) for _, _, source in self.registered)
        return own and all(teacher.recognisable for teacher in self.teachers)

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
        return {
            f.name: _as_json(getattr(self, f.name))
            for f in fields(self)
            if f.name == "seed" or getattr(self, f.name) != f.default
        }

    @classmethod
    def from_dict(cls, saved: dict) -> "Recipe":
        """The recipe that `as_dict` wrote, also where a name is not registered in this process."""
        return cls(**{name: _from_json(value) for name, value in saved.items()})

    @property
    def label(self) -> str:
        """A short readable name: data set, model and what it learns from."""
        if self.teacher is None:
            learns = "hard" if not self.label_smoothing else f"smooth{self.label_smoothing:g}"
        elif self.teacher == "posterior":
            learns = f"posterior-T{self.temperature:g}"
        else:
            loss = "kd" if self.loss in losses.NAMES else self.loss
            learns = f"{loss}-T{self.temperature:g}-a{self.alpha:g}"
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


def _as_json(value: object) -> object:
    if isinstance(value, Recipe):
        return value.as_dict()
    return [_as_json(one) for one in value] if isinstance(value, tuple) else value


def _from_json(value: object) -> object:
    if isinstance(value, dict):
        return Recipe.from_dict(value)
    return tuple(map(_from_json, value)) if isinstance(value, list) else value
