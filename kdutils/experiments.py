"""What a chapter asks of the engine: profiles, the chapters' arms, and `Lab`, the bench of a page.

In: a chapter's number, a profile's name, seeds. Out: its arms, which stand in
`notebooks/experiments/nNN.py`; a `Lab` that trains what is missing and shows what is recorded.
"""

import functools
import html
import importlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import index
from types import ModuleType

import pandas as pd
import torch
from IPython import get_ipython
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import data, figures, metrics, runs, tables
from .recipes import MAX_SEED, Recipe
from .store import Record, Store
from .tables import Arm


@dataclass(frozen=True)
class Profile:
    """How much is spent; what a run costs stands in the chapter's experiments, beside its arms.

    datasets: the data set that the text speaks of → the one that is loaded.
    """

    name: str
    summary: str
    seeds: tuple[int, ...]
    datasets: Mapping[str, str]
    precision: str = "bfloat16"


OWN = "your own"  # the table of arms that a reader makes
_REAL = {name: name for name in ("mnist", "cifar10", "cifar100", "bayes10", "digits")}
_TOY = {"mnist": "digits", "cifar10": "bayes10-toy", "cifar100": "bayes10-fine"}
_TOY |= {name: name for name in ("bayes10", "digits")}
PROFILES = {
    # float32: for networks this small, casting costs more than it saves
    "smoke": Profile("smoke", "embedded data, seconds a notebook", (0, 1), _TOY, "float32"),
    "laptop": Profile("laptop", "real data, minutes on two CPU cores", (0, 1, 2, 3, 4), _REAL),
    "paper": Profile("paper", "the full budgets; a GPU", tuple(range(10)), _REAL),
}


def get_profile(name: str) -> Profile:
    """The profile of that name; ValueError with those that exist for any other."""
    if str(name) not in PROFILES:
        allowed = ", ".join(f"{key!r} ({p.summary})" for key, p in PROFILES.items())
        raise ValueError(f"PROFILE = {name!r} is not a profile. Choose one of: {allowed}.")
    return PROFILES[name]


def parse_seeds(text: str) -> list[int]:
    """Seeds written as `0,1,2`; ValueError for anything else."""
    parts = (part.strip() for part in text.split(","))
    return list(check_seeds([int(part) if part.isdecimal() else part for part in parts]))


def check_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """Seeds as a tuple of distinct integers from 0 to 9999; ValueError for anything else."""
    try:
        found = tuple(map(index, seeds))
    except TypeError:  # no list, or not of whole numbers
        found = ()
    if not found or len(set(found)) < len(found) or min(found) < 0 or max(found) > MAX_SEED:
        raise ValueError(
            f"SEEDS = {seeds!r}: give a list of distinct whole numbers from 0 to {MAX_SEED}, such "
            "as SEEDS = [0, 1, 2]."
        )
    return found


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


class Lab:
    """The bench of one chapter: `lab = Lab("04", PROFILE, SEEDS, TRAIN)`, then `lab` to see it.

    Checks what the parameters cell holds, sets the look of figures, trains the runs that the store
    lacks (where `train` is True, and always on `smoke`) and reads the others. seeds = None: the
    profile's own. Raises ValueError for parameters that cannot be meant, or that papermill was
    given and the chapter does not have.

    arms: by name. runs: the recorded ones (`tables.tidy`). experiments: the chapter's module in
    `notebooks/experiments/`.
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
            self._train(arm for arm in self.arms.values() if not arm.optional)
            for arm in (arm for arm in self.arms.values() if arm.optional):
                try:
                    self._train([arm])
                except data.MissingData as problem:  # no file, and no way to fetch it
                    print(f"{arm.name}: {problem}")
        self.runs = tables.tidy(self.arms.values(), self.seeds, self.store)

    def _train(self, arms: Iterable[Arm]) -> None:
        wanted = [recipe for arm in arms for recipe in arm.recipes(self.seeds)]
        runs.run_all(dict.fromkeys(wanted), store=self.store)

    def _repr_markdown_(self) -> str:
        """What the page rests on: how many runs, what they took, where; and what is missing."""
        toy = "**Toy data.** The numbers below show that the code runs. They are not results."
        lines = [toy] if self.profile.name == "smoke" else []
        if records := {record.id: record for record in self.runs["record"]}.values():
            minutes = sum(record.seconds for record in records) / 60
            devices = ", ".join(sorted({f"{r.device} (threads: {r.threads})" for r in records}))
            lines.append(
                f"This page rests on {len(records)} run{'s' * (len(records) > 1)} of the profile "
                f"`{self.profile.name}`: {minutes:.1f} minutes of training, on {devices}."
            )
        if lacking := self.missing():
            n = sum(map(len, lacking.values()))
            todo = {
                recipe
                for name, seeds in lacking.items()
                for recipe in self.arms[name].recipes(self.seeds)
                if recipe.seed in seeds
            }
            hours = sum(runs.costs(todo, self.store).values()) / 3600
            said = [
                f"<li>{html.escape(name)}: seed {str(s)[1:-1]}</li>" for name, s in lacking.items()
            ]
            lines.append(
                f"<details><summary>{n} of {n + len(self.runs)} runs are not recorded at these "
                "seeds; tables show the n they rest on. <code>TRAIN = True</code> trains what is "
                f"missing, in about {hours:.1f} hours by the times in the records.</summary>"
                f"<ul>{''.join(said)}</ul></details>"
            )
        return "\n\n".join(lines)

    def missing(self) -> dict[str, list[int]]:
        """Arms that lack records, each with the seeds it lacks."""
        have = set(zip(self.runs["arm"], self.runs["seed"], strict=True))
        lacking = {
            name: [r.seed for r in arm.recipes(self.seeds) if (name, r.seed) not in have]
            for name, arm in self.arms.items()
        }
        return {name: seeds for name, seeds in lacking.items() if seeds}

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
        return [n for n, arm in self.arms.items() if arm.table == table and self.records(n)]

    def records(self, name: str) -> list[Record]:
        """An arm's records, in the order of the seeds."""
        return self.runs.loc[self.runs["arm"] == self.arm(name).name, "record"].tolist()

    def values(self, name: str, metric: str) -> list[float]:
        """One number a recorded seed; runs that did not train have none."""
        found = self.runs.reindex(columns=["arm", metric])
        return found.loc[found["arm"] == self.arm(name).name, metric].dropna().tolist()

    def mean(self, name: str, metric: str) -> float:
        """The mean over seeds; NaN where nothing is recorded."""
        return float(pd.Series(self.values(name, metric), dtype=float).mean())

    def interval(self, name: str, metric: str) -> str:
        """`mean ± half-width` over seeds, the mean alone below three, or why there is none."""
        if found := self.values(name, metric):
            return tables.interval(found, metric)
        return "did not train" if self.records(name) else "not recorded"

    def cell(self, name: str, metric: str) -> str:
        """`interval` with ` (n = …)` behind a number, which no narrow page breaks."""
        said, n = self.interval(name, metric), len(self.values(name, metric))
        return f"{said} (n = {n})".replace(" ", "\N{NO-BREAK SPACE}") if n else said

    def logits(self, name: str, split: str = "test", seed: int | None = None) -> torch.Tensor:
        """Logits of an arm's run on "test" or "val" images: float32 [N, classes]. seed = None: the
        first recorded. Where only the record is kept, the network is trained again."""
        found = [r.recipe for r in self.records(name) if seed in (None, r.recipe.seed)]
        if not found:
            seeds = list(self.seeds) if seed is None else seed
            raise LookupError(f"{name!r} has no record at seed {seeds}. TRAIN = True trains it.")
        if (kept := self.store.logits(found[0])) is None:
            runs.trained(found[0], self.store)
            kept = self.store.logits(found[0])
        return kept[split]

    def recipes(self, *names: str) -> pd.DataFrame:
        """The fields in which the recipes of these arms differ: one row a field, one column an arm.

        With one arm: all that differs from the defaults.
        """
        saved = {name: pd.Series(self.arm(name).recipe.as_dict()).map(_short) for name in names}
        frame = pd.concat(saved, axis=1).rename_axis(columns="field")
        frame = frame.drop(index=["seed", "registered"], errors="ignore").fillna("–")
        return frame[frame.nunique(axis=1) > 1] if len(names) > 1 else frame

    def table(self, names: str | Sequence[str], metric: str = "test_accuracy") -> pd.DataFrame:
        """Published, recorded and, where it is another, this run: mean ± 95 % interval (n).

        names: a table's title, or arms. One row an arm. Recorded is at the profile's own seeds; on
        `smoke` it is what laptop recorded.
        """
        if isinstance(names, str):
            names = [n for n, arm in self.arms.items() if arm.table == names]
        at = "laptop" if self.profile.name == "smoke" else self.profile.name
        recorded_here = at == self.profile.name and self.seeds == self.profile.seeds
        real = self if recorded_here else Lab(self.number, at, store=self.store)
        rows = [
            (
                tables.number(self.arm(name).metrics.get(metric)),
                real.cell(name, metric) if name in real.arms else "not recorded",
                self.cell(name, metric),
            )
            for name in names
        ]
        loaded = ", ".join({self.arms[name].recipe.dataset: None for name in names})
        columns = ["published", "recorded", f"this run ({loaded}, {self.profile.name})"]
        # the name of the columns fills the corner, which would be a heading without words
        frame = pd.DataFrame(rows, list(names), columns).rename_axis(columns="arm")
        published, recorded, now = (frame[column] for column in frame)
        # where this run is the recorded one, a column of it would say the same again
        return frame.loc[:, [(published != "–").any(), True, (now != recorded).any()]]

    def difference(self, first: str, second: str, metric: str = "test_accuracy") -> dict:
        """First arm minus second, paired by seed: keys difference, ci95, p, n.

        Seeds that only one arm has are left out. Raises LookupError, which says why, without any.
        """
        for name in (first, second):
            if not self.values(name, metric):
                raise LookupError(f"{self.interval(name, metric)} (*{name}*)")
        pairs = self.runs.pivot(index="seed", columns="arm", values=metric)
        pairs = pairs[[first, second]].dropna()
        if pairs.empty:
            raise LookupError("no seed that both have")
        return metrics.paired_test(pairs[first], pairs[second])

    def paired(self, metric: str, questions: Mapping[str, tuple[str, str]]) -> dict[str, dict]:
        """The `difference` of each question that has one; "holm": its p, corrected for all of them.

        Of a single question there is none.
        """
        found = {}
        for question, pair in questions.items():
            with suppress(LookupError):
                found[question] = self.difference(*pair, metric)
        tested = [d for d in found.values() if d["p"] is not None]
        if len(tested) > 1:
            for d, holm in zip(tested, metrics.holm([d["p"] for d in tested]), strict=True):
                d["holm"] = holm
        return found

    def differences(self, metric: str, questions: Mapping[str, tuple[str, str]]) -> Markdown:
        """For each question, first arm minus second, paired by seed, with its interval (`paired`).

        Questions about arms that have no record share one last line.
        """
        found, lacking, lines = self.paired(metric, questions), [], []
        for question, pair in questions.items():
            if question in found:
                lines.append(f"- {question}: {tables.difference_in_words(found[question], metric)}")
            elif all(map(self.records, pair)):
                lines.append(f"- {question}: no seed that both have.")
            else:
                lacking.append(question)
        if lacking:
            lines.append(f"- *Not recorded at these seeds:* {'; '.join(lacking)}.")
        if tested := sum("holm" in d for d in found.values()):
            lines.append(f"\n*Holm:* $p$ corrected for {tested} questions asked at once.")
        return Markdown("\n".join(lines))

    def best(self, select: str) -> Arm:
        """Of the recorded arms that differ in this setting, the one that validation chooses.

        It has the lowest mean of validation errors, then of their NLL, over the seeds that all
        share. Raises LookupError if they share none.
        """
        family = [name for name, arm in self.arms.items() if arm.select == select]
        found = self.runs[self.runs["arm"].isin(family)]
        found = found.dropna(subset=found.columns.intersection(["val_errors"]))  # runs that failed
        found = found.groupby("seed").filter(lambda seed: len(seed) == found["arm"].nunique())
        if found.empty:
            raise LookupError(
                f"no arms that {select!r} selects among are recorded at a seed that all share. "
                f"There are: {sorted({arm.select for arm in self.arms.values()} - {''})}. TRAIN = "
                "True trains what is missing."
            )
        scores = found.groupby("arm", sort=False)[["val_errors", "val_nll"]].mean()
        return self.arms[scores.sort_values(["val_errors", "val_nll"]).index[0]]

    def dots(self, ax: Axes, names: Sequence[str], metric: str = "test_accuracy", **options) -> str:
        """Arms under each other: seeds, mean, interval, published value (`figures.dots`).

        Arms without a record are left out. Returns the means in words, for alternative text.
        """
        shown = {name: found for name in names if (found := self.values(name, metric))}
        published = {name: self.arms[name].metrics.get(metric) for name in shown}
        if self.profile.name == "smoke":  # toy results have nothing to stand beside
            published = {}
        return figures.dots(ax, shown, published, **options)

    def show(self, fig: Figure, name: str, alt: str, arms: Sequence[str] = (), **note) -> None:
        """Show a figure; `arms`: those it rests on, whose data and n are written under it.

        note: as `figures.count` takes it.
        """
        trained = [sum(not r.failure for r in self.records(arm)) for arm in arms]
        if counts := [n for n in trained if n]:
            where = f"{self.arm(arms[0]).recipe.dataset}, profile {self.profile.name}"
            figures.count(fig, counts, where, **note)
        figures.show(fig, name=name, alt=alt)

    def train(self, recipes: Mapping[str, Recipe]) -> pd.DataFrame:
        """Your own recipes by name, at this lab's seeds: trained where missing, as `runs` has them.

        They join the arms and the runs, so that every other method takes them. Raises ValueError
        for a name that an arm of the chapter has.
        """
        if taken := [n for n in recipes if n in self.arms and self.arms[n].table != OWN]:
            raise ValueError(f"the chapter has arms named {taken}: give yours other names.")
        own = {n: Arm(OWN, n, r, {"test_accuracy": None}) for n, r in recipes.items()}
        runs.run_all([r for arm in own.values() for r in arm.recipes(self.seeds)], self.store)
        new = tables.tidy(own.values(), self.seeds, self.store)
        self.arms |= own
        self.runs = pd.concat([self.runs[~self.runs["arm"].isin(own)], new], ignore_index=True)
        return new


def _short(value: object) -> str:
    """A recipe's field in a few words: a teacher by its label."""
    if isinstance(value, dict):
        return Recipe.from_dict(value).label
    return ", ".join(map(_short, value)) if isinstance(value, list) else str(value)


def _refuse_unknown_parameters() -> None:
    """ValueError if papermill, which only warns, set a name that the parameters cell lacks: the
    chapter would run with its defaults, and the reader would take the result for another."""
    shell, seen = get_ipython(), set()
    for source in shell.user_ns.get("In", []) if shell else []:
        names = set(re.findall(r"^(\w+) *=(?!=)", source, re.MULTILINE))
        if source.startswith("# Parameters\n") and not names <= seen:  # the cell is papermill's
            wrong, known = (", ".join(sorted(some)) for some in (names - seen, seen))
            raise ValueError(f"this chapter has no parameter {wrong}. It has: {known}.")
        seen |= names
