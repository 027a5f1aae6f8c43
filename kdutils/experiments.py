"""What a chapter asks of the engine: profiles, the chapters' arms, and `Lab`, the bench of a page.

In: a chapter's number, a profile's name, seeds. Out: its arms, and a `Lab` that trains what is
missing and shows what is recorded. A chapter's arms and budgets stand in
`notebooks/experiments/nNN.py`; no chapter is named here.
"""

import functools
import html
import importlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from types import ModuleType

import pandas as pd
import torch
from IPython import get_ipython
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from . import data, figures, runs, tables
from .recipes import MAX_SEED, Recipe
from .store import Record, Store
from .tables import Arm

__all__ = ["Arm", "Lab", "PROFILES", "Profile", "arms", "chapter", "chapters", "results"]


@dataclass(frozen=True)
class Profile:
    """How much is spent.

    seeds: the profile's own. datasets: the data set that the text speaks of → the one that is
    loaded. What a run costs at each profile stands in the chapter's experiments, beside its arms.
    """

    name: str
    summary: str
    seeds: tuple[int, ...]
    datasets: Mapping[str, str]
    precision: str = "bfloat16"


_REAL = {name: name for name in ("mnist", "cifar10", "cifar100", "bayes10", "digits")}
_TOY = {"mnist": "digits", "cifar10": "bayes10-toy", "bayes10": "bayes10", "digits": "digits"}
PROFILES = {
    profile.name: profile
    for profile in (
        # float32: for networks this small, casting costs more than it saves
        Profile("smoke", "embedded data, seconds a notebook", (0, 1), _TOY, "float32"),
        Profile("laptop", "real data, minutes on two CPU cores", (0, 1, 2, 3, 4), _REAL),
        Profile("paper", "the full budgets; a GPU", tuple(range(10)), _REAL),
    )
}


def get_profile(name: str) -> Profile:
    """The profile of that name; ValueError with those that exist for any other."""
    if not isinstance(name, str) or name not in PROFILES:
        allowed = ", ".join(f"{key!r} ({p.summary})" for key, p in PROFILES.items())
        raise ValueError(f"PROFILE = {name!r} is not a profile. Choose one of: {allowed}.")
    return PROFILES[name]


def check_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """Seeds as a tuple of distinct integers from 0 to 9999; ValueError for anything else."""
    given = list(seeds) if isinstance(seeds, Iterable) and not isinstance(seeds, str) else []
    whole = [isinstance(seed, Integral) and not isinstance(seed, bool) for seed in given]
    fit = given and all(whole) and len(set(given)) == len(given)
    if not fit or min(given) < 0 or max(given) > MAX_SEED:
        raise ValueError(
            f"SEEDS = {seeds!r}: give a list of distinct whole numbers from 0 to {MAX_SEED}, such "
            "as SEEDS = [0, 1, 2]."
        )
    return tuple(map(int, given))


@functools.cache
def chapters() -> dict[str, ModuleType]:
    """Every chapter's module in `notebooks/experiments/`, by the chapter's two digits."""
    notebooks = data.ROOT / "notebooks"
    if str(notebooks) not in sys.path:
        sys.path.insert(0, str(notebooks))
    names = sorted(path.stem for path in (notebooks / "experiments").glob("n[0-9][0-9].py"))
    return {name[1:]: importlib.import_module(f"experiments.{name}") for name in names}


def chapter(number: int | str) -> ModuleType:
    """A chapter's module from 3, "3" or "03"; ValueError with those that exist otherwise."""
    if (found := chapters().get(str(number).zfill(2))) is None:
        allowed = ", ".join(f"{n} ({module.TITLE})" for n, module in chapters().items())
        raise ValueError(f"chapter {number!r} does not exist. There are: {allowed}.")
    return found


def arms(number: int | str, profile: str) -> list[Arm]:
    """All arms of a chapter at a profile. ValueError for an unknown chapter or profile."""
    found = chapter(number).arms(get_profile(profile))
    if twice := [name for name, n in Counter(arm.name for arm in found).items() if n > 1]:
        raise ValueError(f"chapter {number} has several arms named {twice}: rename all but one.")
    return found


def results(number: int | str | None = None, store: Store | None = None) -> list[dict]:
    """Every recorded result as plain dicts (keys: `tables.row`), best recorded profile first.

    number: only this chapter. A published value that has no record beside it yet is listed with
    n = 0. Raises ValueError for a chapter that does not exist.
    """
    store, rows = store or Store(), []
    for chosen in chapters() if number is None else [str(number).zfill(2)]:
        for profile, found, recorded in _recorded(chosen, store):
            row = functools.partial(tables.row, chosen, profile, recorded)
            rows += [row(arm, metric) for arm in found for metric in arm.metrics]
            for select, arm in tables.best_by_validation(found, recorded).items():
                title = f"{select}, best by validation ({arm.setting})"
                best = row(arm, next(iter(arm.metrics)))
                rows.append(best | {"arm": title, "published": arm.published_if_selected})
        listed = {(row["arm"], row["metric"]) for row in rows if row["notebook"] == chosen}
        rows += [
            tables.row(chosen, "paper", tables.tidy([], [], store), arm, metric)
            for arm in arms(chosen, "paper")
            for metric, published in arm.metrics.items()
            if published is not None and (arm.name, metric) not in listed
        ]
    return rows


def _recorded(number: str, store: Store) -> Iterator[tuple[str, list[Arm], pd.DataFrame]]:
    """Profile, recorded arms and their runs, for paper and then for laptop.

    An arm that costs the same at both is one run: it is listed where more of its seeds are, at
    laptop where they are as many.
    """
    found = {profile: arms(number, profile) for profile in ("paper", "laptop")}
    tidy = {name: tables.tidy(found[name], PROFILES[name].seeds, store) for name in found}
    n = {
        name: Counter({arm.recipe: sum(tidy[name]["arm"] == arm.name) for arm in found[name]})
        for name in found
    }
    paper = [arm for arm in found["paper"] if n["paper"][arm.recipe] > n["laptop"][arm.recipe]]
    yield "paper", paper, tidy["paper"]
    laptop = [arm for arm in found["laptop"] if n["laptop"][arm.recipe] >= n["paper"][arm.recipe]]
    yield "laptop", [arm for arm in laptop if n["laptop"][arm.recipe]], tidy["laptop"]


class Lab:
    """The bench of one chapter: `lab = Lab("04", PROFILE, SEEDS, TRAIN)`, then `lab` to see it.

    Checks what the parameters cell holds, sets the look of figures, trains the runs that the store
    lacks (where `train` is True, and always on `smoke`) and reads the others. seeds = None: the
    profile's own. Raises ValueError for parameters that cannot be meant, or that papermill was
    given and the chapter does not have.

    profile, seeds, store: as chosen. arms: by name. runs: the tidy frame of recorded runs
    (`tables.tidy`). experiments: the chapter's module in `notebooks/experiments/`.
    """

    def __init__(
        self,
        number: int | str,
        profile: str,
        seeds: Iterable[int] | None = None,
        train: bool = False,
        store: Store | None = None,
    ):
        _refuse_unknown_parameters()
        self.number, self.experiments = str(number).zfill(2), chapter(number)
        self.profile = get_profile(profile)
        self.seeds = self.profile.seeds if seeds is None else check_seeds(seeds)
        if not isinstance(train, bool):
            raise ValueError(f"TRAIN = {train!r} must be True or False.")
        self.store = store or Store()
        self.arms = {arm.name: arm for arm in arms(number, profile)}
        figures.theme()
        if train or self.profile.name == "smoke":
            wanted = [recipe for arm in self.arms.values() for recipe in arm.recipes(self.seeds)]
            runs.run_all(dict.fromkeys(wanted), store=self.store)
        self.runs = tables.tidy(self.arms.values(), self.seeds, self.store)

    def _repr_markdown_(self) -> str:
        """What the page rests on: how many runs, what they took, where; and what is missing."""
        lines = []
        if self.profile.name == "smoke":
            lines.append(
                "**Toy data.** The profile `smoke` trains tiny networks on embedded images in "
                "seconds. Its numbers show that the code runs. They are not results."
            )
        if records := {record.id: record for record in self.runs["record"]}.values():
            seconds = sum(record.seconds for record in records)
            took = f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
            devices = ", ".join(sorted({f"{r.device} (threads: {r.threads})" for r in records}))
            lines.append(
                f"This page rests on {len(records)} run{'s' * (len(records) > 1)} of the profile "
                f"`{self.profile.name}`. Training them took {took} in all, on: {devices}. Reading "
                "them takes seconds."
            )
        if lacking := self.missing():
            total = sum(len(arm.recipes(self.seeds)) for arm in self.arms.values())
            said = "".join(
                f"<li>{html.escape(name)}: seed {', '.join(map(str, seeds))}</li>"
                for name, seeds in lacking.items()
            )
            lines.append(
                f"<details><summary>{total - len(self.runs)} of {total} runs are not recorded at "
                "these seeds; tables show the n they rest on. <code>TRAIN = True</code> trains "
                f"what is missing.</summary><ul>{said}</ul></details>"
            )
        return "\n\n".join(lines)

    def missing(self) -> dict[str, list[int]]:
        """Arms that lack records, each with the seeds it lacks. Seeds without any come first."""
        have = set(zip(self.runs["arm"], self.runs["seed"], strict=True))
        lacking = {
            name: [r.seed for r in arm.recipes(self.seeds) if (name, r.seed) not in have]
            for name, arm in self.arms.items()
        }
        several = [lacking[name] for name, arm in self.arms.items() if not arm.once]
        empty = [s for s in self.seeds if several and all(s in seeds for seeds in several)]
        rest = {name: [s for s in seeds if s not in empty] for name, seeds in lacking.items()}
        found = {"every arm that runs at several seeds": empty} | rest
        return {name: seeds for name, seeds in found.items() if seeds}

    def dataset(self, name: str) -> data.Dataset:
        """The data set that stands for `name` at this profile: "mnist" is `digits` on smoke."""
        return data.load(self.profile.datasets[name])

    def arm(self, name: str) -> Arm:
        """The arm of that name; ValueError with all names for any other."""
        if name not in self.arms:
            raise ValueError(f"no arm is named {name!r}. There are: {', '.join(self.arms)}.")
        return self.arms[name]

    def of(self, table: str) -> list[str]:
        """The names of a table's arms that have a record."""
        recorded = set(self.runs["arm"])
        return [n for n, arm in self.arms.items() if arm.table == table and n in recorded]

    def records(self, name: str) -> list[Record]:
        """An arm's records, in the order of the seeds."""
        return self.runs.loc[self.runs["arm"] == self.arm(name).name, "record"].tolist()

    def values(self, name: str, metric: str) -> list[float]:
        """One number a recorded seed."""
        return tables.values(self.runs, self.arm(name), metric)

    def row(self, name: str, metric: str) -> dict:
        """Mean, interval, n and published value of an arm, as `tables.row` gives them."""
        return tables.row(self.number, self.profile.name, self.runs, self.arm(name), metric)

    def mean(self, name: str, metric: str) -> float:
        """The mean over seeds; NaN where nothing is recorded."""
        mean = self.row(name, metric)["mean"]
        return float("nan") if mean is None else mean

    def cell(self, name: str, metric: str) -> str:
        """`mean ± half-width (n = …)`, or that nothing is recorded."""
        return tables.cell(self.row(name, metric))

    def curves(self, *names: str) -> pd.DataFrame:
        """One row an epoch of these arms' runs: arm, seed, epoch, train_loss, val_errors, lr, …"""
        parts = [
            pd.DataFrame(record.curve).assign(arm=name, seed=record.recipe.seed)
            for name in names
            for record in self.records(name)
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def _recipe(self, name: str, seed: int | None) -> Recipe:
        recorded = [record.recipe for record in self.records(name)]
        found = [recipe for recipe in recorded if seed in (None, recipe.seed)]
        if not found:
            seeds = list(self.seeds) if seed is None else seed
            raise LookupError(f"{name!r} has no record at seed {seeds}. TRAIN = True trains it.")
        return found[0]

    def logits(self, name: str, split: str = "test", seed: int | None = None) -> torch.Tensor:
        """Logits of an arm's run on "test" or "val" images: float32 [N, classes]. seed = None: the
        first recorded. Where only the record is kept, the network is trained again."""
        recipe = self._recipe(name, seed)
        if (kept := self.store.logits(recipe)) is None:
            runs.trained(recipe, self.store)
            kept = self.store.logits(recipe)
        return kept[split]

    def net(self, name: str, seed: int | None = None) -> nn.Module:
        """An arm's trained network, in evaluation mode; trained again where none is kept."""
        return runs.trained(self._recipe(name, seed), self.store)

    def recipes(self, *names: str) -> pd.DataFrame:
        """The fields in which the recipes of these arms differ: one row a field, one column an arm.

        With one arm: all that differs from the defaults.
        """
        saved = {name: pd.Series(self.arm(name).recipe.as_dict()).map(_short) for name in names}
        frame = pd.concat(saved, axis=1)
        frame = frame.drop(index=["seed", "registered"], errors="ignore").fillna("–")
        if len(names) > 1:
            frame = frame[frame.nunique(axis=1) > 1]
        return frame.rename_axis(columns="field")

    def table(self, names: str | Sequence[str], metric: str = "test_accuracy") -> pd.DataFrame:
        """Published, recorded and, where it is another, this run: mean ± 95 % interval (n).

        names: a table's title, or arms. One row an arm.
        """
        if isinstance(names, str):
            names = [n for n, arm in self.arms.items() if arm.table == names]
        recorded = {  # an arm that is recorded at both profiles stands here as at paper
            arm.name: tables.cell(tables.row(self.number, profile, runs, arm, metric))
            for profile, found, runs in reversed([*_recorded(self.number, self.store)])
            for arm in found
        }
        rows = {
            name: {
                "published": tables.number(self.arm(name).metrics.get(metric)),
                "recorded": recorded.get(name, "not recorded"),
                f"this run ({self.arms[name].recipe.dataset}, {self.profile.name})": self.cell(
                    name, metric
                ),
            }
            for name in names
        }
        # the name of the columns fills the corner, which would be a heading without words
        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns="arm")
        if (frame["published"] == "–").all():
            frame = frame.drop(columns="published")
        # where this run is the recorded one, a second column would say the same again
        same = (frame.iloc[:, -1] == frame["recorded"]).all()
        return frame.iloc[:, :-1] if same else frame

    def metrics(self, name: str) -> pd.DataFrame:
        """Every metric that an arm is held against: one row a metric."""
        rows = [
            self.table([name], metric).set_axis([tables.METRICS[metric]])
            for metric in self.arm(name).metrics
        ]
        return pd.concat(rows).fillna("–").rename_axis(columns="metric")

    def difference(self, first: str, second: str, metric: str = "test_accuracy") -> dict:
        """First arm minus second, paired by seed: keys difference, ci95, p, n (`tables`)."""
        return tables.difference(self.runs, self.arm(first), self.arm(second), metric)

    def differences(self, metric: str, questions: Mapping[str, tuple[str, str]]) -> Markdown:
        """For each question, first arm minus second, paired by seed, with its interval."""
        lines = [
            tables.difference_in_words(self.runs, question, *map(self.arm, pair), metric)
            for question, pair in questions.items()
        ]
        return Markdown("\n".join(lines))

    def best(self, select: str) -> Arm:
        """Of the arms that differ in one setting, the one that validation chooses."""
        found = tables.best_by_validation(self.arms.values(), self.runs)
        if select not in found:
            raise ValueError(
                f"no arms that {select!r} selects among are recorded at a seed that all share. "
                f"There are: {list(found)}. TRAIN = True trains what is missing."
            )
        return found[select]

    def dots(self, ax: Axes, names: Sequence[str], metric: str = "test_accuracy", **options) -> str:
        """Arms under each other: seeds, mean, interval, published value (`figures.dots`).

        Arms without a record are left out. Returns the means in words, for alternative text.
        """
        shown = {name: self.values(name, metric) for name in names}
        # toy results have nothing to stand beside
        real = {} if self.profile.name == "smoke" else self.arms
        published = {name: arm.metrics.get(metric) for name, arm in real.items()}
        return figures.dots(ax, {k: v for k, v in shown.items() if v}, published, **options)

    def show(
        self, fig: Figure, name: str, alt: str, arms: Sequence[str] = (), n: int = 0, **note
    ) -> None:
        """Show a figure; `arms`: those it rests on, whose data and n are written under it.

        n: where it rests on fewer runs of each than are recorded, as one whose logits it shows.
        note: as `figures.count` takes it.
        """
        if counts := [n or len(self.records(arm)) for arm in arms if self.records(arm)]:
            dataset = self.arm(arms[0]).recipe.dataset
            figures.count(fig, counts, self.profile.name, dataset, **note)
        figures.show(fig, name=name, alt=alt)

    def train(self, *recipes: Recipe, names: Sequence[str] | None = None) -> pd.DataFrame:
        """Your own recipes at this lab's seeds: trained where missing, then as `runs` holds them.

        The rows join `self.runs` under the table "your own", so that every other method takes them.
        """
        own = [
            Arm("your own", name, recipe, {"test_accuracy": None})
            for name, recipe in zip(names or [r.label for r in recipes], recipes, strict=True)
        ]
        runs.run_all([r for arm in own for r in arm.recipes(self.seeds)], store=self.store)
        new = tables.tidy(own, self.seeds, self.store)
        self.arms |= {arm.name: arm for arm in own}
        before = self.runs[~self.runs["arm"].isin([arm.name for arm in own])]
        self.runs = pd.concat([before, new], ignore_index=True)
        return new


def _short(value: object) -> str:
    """A recipe's field in a few words: a teacher by its label."""
    if isinstance(value, dict):
        return Recipe.from_dict(value).label
    if isinstance(value, list):
        return ", ".join(map(_short, value))
    return str(value)


def _refuse_unknown_parameters() -> None:
    """ValueError if papermill set a name that the parameters cell does not have.

    papermill injects a cell that begins with "# Parameters" and only warns of unknown names; the
    chapter would then run with its defaults, and the reader would take the result for another.
    """
    shell = get_ipython()
    seen: set[str] = set()
    for source in shell.user_ns.get("In", []) if shell else []:
        names = set(re.findall(r"^(\w+) *=(?!=)", source, re.MULTILINE))
        if source.startswith("# Parameters\n") and (unknown := names - seen):
            raise ValueError(
                f"this chapter has no parameter {', '.join(sorted(unknown))}. It has: "
                f"{', '.join(sorted(seen))}."
            )
        seen |= names
