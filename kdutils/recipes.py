"""The recipe: everything that decides one training run, as a frozen value.

In: fields. Out: a checked `Recipe` with an id. What a chapter runs stands in its experiments.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import InitVar, dataclass, fields, replace
from functools import partial
from numbers import Integral, Real
from typing import Literal, Union, get_args, get_origin

from . import data, losses, models, views
from .registry import UNKNOWN

MAX_SEED, MAX_STREAM = 9_999, 97
STORED_VIEWS_SEED = 990_000  # above every seed + 10,000 * stream
Teacher = Union["Recipe", tuple["Recipe", ...], Literal["posterior"], None]

_RANGES = (  # fields, their type, a test of the value, and the test in words
    ("epochs batch_size", Integral, lambda v: v > 0, "a whole number above 0"),
    ("n_train n_labels", Integral | None, lambda v: v is None or v > 0, "None or whole, above 0"),
    ("n_views", Integral, lambda v: v >= 0, "a whole number, at least 0"),
    ("seed", Integral, lambda v: 0 <= v <= MAX_SEED, f"a whole number, 0 to {MAX_SEED}"),
    ("view_stream", Integral, lambda v: 0 <= v <= MAX_STREAM, f"whole, 0 to {MAX_STREAM}"),
    ("lr temperature soft_scale", Real, lambda v: 0 < v < math.inf, "a finite number above 0"),
    ("weight_decay", Real, lambda v: 0 <= v < math.inf, "a finite number of at least 0"),
    ("momentum label_smoothing", Real, lambda v: 0 <= v < 1, "a number in [0, 1)"),
    ("alpha", Real, lambda v: 0 <= v <= 1, "a number in [0, 1]"),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run. Raises ValueError, naming the field, its value and what is allowed.

    dataset, model, dropout, loss: as `data.load`, `models.build` and `losses.of` take them.
    train_on: "all" trains on the validation images too. n_train: only the first so many images.
    without_classes: classes left out. views: a kind from `views.KINDS`, drawn anew every epoch.
    view_stream: students of one seed share a stream; teachers have another, so that a teacher
    speaks about views it was not fitted to. teacher: a recipe, a tuple of them (fixed at every
    seed; several are averaged), "posterior" (the data set's exact p(y|x)), or None for hard labels.
    teacher_order: whose answers an image gets: its own ("matched"); another image's, the same in
    every epoch ("permuted") or a new one in each ("reshuffled"); or a new one of its own class
    ("within-class"). temperature, alpha, soft_scale: as in `losses.kd_loss`, or what a
    loss of another name makes of them. n_views: 0 for a new
    view every epoch; V for V views in turn, the same at every seed, so that what a teacher says
    about them is stored once, in `bits` bits. n_labels: only the first so many images have a label.
    translate: how answers of a teacher of other classes speak about ours (`knowledge.translation`).
    ensemble: what of several teachers is averaged (`knowledge.average`).
    watch_test: look at the test images after every epoch, which an honest run never does.
    registered: (field, name, hash of the source) of each name of a reader's own, found by itself.
    check_names: whether the names must be known here; a record vouches for its own.
    """

    dataset: str
    model: str
    epochs: int
    batch_size: int
    lr: float
    seed: int = 0
    dropout: tuple[float, float] = (0.0, 0.0)
    train_on: Literal["train", "all"] = "train"
    n_train: int | None = None
    without_classes: tuple[int, ...] = ()
    views: str = "none"
    view_stream: int = 0
    optimizer: Literal["sgd", "nesterov", "adam", "adamw"] = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "one-cycle", "cosine", "step"] = "one-cycle"
    label_smoothing: float = 0.0
    teacher: Teacher = None
    teacher_order: Literal["matched", "permuted", "reshuffled", "within-class"] = "matched"
    temperature: float = 1.0
    alpha: float = 1.0
    soft_scale: float = 1.0
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    n_views: int = 0
    bits: Literal[16, 8] = 16
    n_labels: int | None = None
    translate: Literal["none", "probe", "masses"] = "none"
    ensemble: Literal["logits", "probabilities"] = "logits"
    watch_test: Literal[False, True] = False
    loss: str = "kd"
    registered: tuple[tuple[str, str, str], ...] = ()
    check_names: InitVar[bool] = True

    def __post_init__(self, check_names: bool) -> None:
        for name, allowed in self._problems():
            raise ValueError(f"{name} = {getattr(self, name)!r} must be {allowed}.")
        for names, kind, _, _ in _RANGES:  # 4 and 4.0, NumPy's 3 and ours, are one id
            cast = float if kind is Real else int
            for name in names.split():
                if (value := getattr(self, name)) is not None:
                    object.__setattr__(self, name, cast(value))
        object.__setattr__(self, "registered", tuple(self._sources(check_names)))
        object.__setattr__(self, "dropout", tuple(map(float, self.dropout)))

    def _problems(self) -> Iterator[tuple[str, str]]:
        """Each field whose value cannot stand, and what it must be."""
        for f in fields(self):
            if get_origin(f.type) is Literal and getattr(self, f.name) not in get_args(f.type):
                yield f.name, f"one of {list(get_args(f.type))}"
        if self.views not in views.KINDS:
            yield "views", f"one of {list(views.KINDS)}"
        for names, kind, holds, words in _RANGES:
            for name in names.split():
                value = getattr(self, name)
                if isinstance(value, bool) or not isinstance(value, kind) or not holds(value):
                    yield name, words
        exact = self.teacher == "posterior"
        if self.needs_teacher and not (exact or self.teachers):
            yield "teacher", "None, a Recipe, a tuple of them, or 'posterior'"
        if exact and self.n_views:
            yield "n_views", "0 where the posterior teaches: it is not stored"
        if self.needs_teacher and self.label_smoothing:
            yield "label_smoothing", "0 where there is a teacher"
        if not self.needs_teacher and self.n_labels is not None:
            yield "n_labels", "None where there is no teacher: use n_train"
        if self.translate != "none" and not self.teachers:
            yield "translate", "'none' where no trained teacher is asked"
        if self.ensemble != "logits" and len(self.teachers) < 2:
            yield "ensemble", "'logits' where there are not several teachers"
        if not self.needs_teacher and self.loss == "pseudo-labels":
            yield "loss", "another one where there is no teacher to guess the labels"
        if self.looks_inside and len(self.teachers) != 1:
            yield "teacher", f"one Recipe, whose network loss = {self.loss!r} looks into"

    def _sources(self, check_names: bool) -> Iterator[tuple[str, str, str]]:
        """What `registered` holds. A saved hash stands for a name that this process lacks."""
        saved = {(field, name): source for field, name, source in self.registered}
        for registry, check in (
            (data.REGISTERED, data.REGISTERED.get),
            (models.REGISTERED, partial(models.check, dropout=self.dropout)),
            (losses.REGISTERED, losses.of),
        ):
            name = getattr(self, registry.field)
            here, elsewhere = registry.source(name), saved.get((registry.field, name))
            if check_names and (here or not elsewhere):
                check(name)
            if source := here or elsewhere:
                yield registry.field, name, source

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
    def looks_inside(self) -> bool:
        """Whether its loss asks for its teacher's network at work, beside what that answers."""
        with suppress(ValueError):  # a loss that this process lacks is not asked for anything
            return getattr(losses.of(self.loss), "looks_inside", False)
        return False

    @property
    def view_seed(self) -> int:
        """The seed of its views: one stream a seed and role, one for all stored views."""
        return STORED_VIEWS_SEED if self.n_views else self.seed + 10_000 * self.view_stream

    def view(self, epoch: int) -> int:
        """The number of the view that an epoch shows: with `n_views` they come in turn."""
        return epoch % self.n_views if self.n_views else epoch

    def as_dict(self) -> dict:
        """Fields that differ from their defaults, teachers nested: what the id is a hash of.

        A field that is added later, with a default, leaves all older ids as they are.
        """
        own = ((f, getattr(self, f.name)) for f in fields(self))
        kept = {f.name: value for f, value in own if f.name == "seed" or value != f.default}
        return json.loads(json.dumps(kept, default=Recipe.as_dict))

    @classmethod
    def from_dict(cls, saved: dict) -> "Recipe":
        """The recipe that `as_dict` wrote, also where this process has no such name."""

        def frozen(value: object) -> object:
            if isinstance(value, dict):
                return cls.from_dict(value)
            return tuple(map(frozen, value)) if isinstance(value, list) else value

        return cls(**{name: frozen(value) for name, value in saved.items()}, check_names=False)

    @property
    def label(self) -> str:
        """A short readable name: data set, model and what it learns from."""
        if self.teacher is None:
            learns = "hard" if not self.label_smoothing else f"smooth{self.label_smoothing:g}"
        elif self.teacher == "posterior":
            learns = f"posterior-T{self.temperature:g}"
        else:
            loss = "kd" if self.loss in losses.OWN else self.loss
            learns = f"{loss}-T{self.temperature:g}-a{self.alpha:g}"
        return f"{self.dataset}-{self.model}-{self.views}-{learns}-s{self.seed}"

    @property
    def id(self) -> str:
        """The label and the first 10 hex digits of the SHA-256 of the recipe."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        return f"{self.label}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    def with_seed(self, seed: int) -> "Recipe":
        """The same recipe at another seed; a single teacher takes the seed too, an ensemble not."""
        single = isinstance(self.teacher, Recipe)
        teacher = self.teacher.with_seed(seed) if single else self.teacher
        return replace(self, seed=seed, teacher=teacher)
