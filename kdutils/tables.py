"""Records beside published values, as one tidy data frame.

In: arms, seeds and a store. Out: a frame with one row a run; from it, for the chapters and the
README: mean, 95 % interval and n of an arm, differences of two, the choice among several.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from . import metrics
from .recipes import Recipe
from .store import Store

METRICS = {
    "test_errors": "test errors",
    "test_accuracy": "test accuracy (%)",
    "test_errors_corrected": "test errors, bias corrected",
    "test_unseen_accuracy": "accuracy on the unseen class (%)",
    "test_unseen_accuracy_corrected": "accuracy on the unseen class, bias corrected (%)",
    "test_accuracy_best_epoch": "test accuracy of the best test epoch (%)",
    "test_accuracy_chosen_epoch": "test accuracy of the best validation epoch (%)",
    "test_nll": "test negative log-likelihood (nats)",
    "test_ece": "test calibration error (%)",
    "test_agreement": "agreement with the teacher (%)",
    "test_kl_to_teacher": "KL to the teacher (nats)",
    "val_errors": "validation errors",
}
UNITS = {"test_errors": "errors", "test_accuracy": "points"}


@dataclass(frozen=True)
class Arm:
    """One row of a results table: a recipe and the figures that it is held against.

    name: one arm of a chapter. table: where it is shown. metrics: which of a record's metrics are
    shown, each with its published value or None. source: where those are published. select: arms
    with the same `select` differ in a `setting`, which validation chooses; `published_if_selected`
    stands beside the chosen one. once: a run that others build on and that is too dear for every
    seed, such as a teacher. keep_logits: its logits are committed with its record.
    """

    table: str
    name: str
    recipe: Recipe
    metrics: Mapping[str, float | None] = field(default_factory=lambda: {"test_errors": None})
    source: str = ""
    select: str = ""
    setting: str = ""
    published_if_selected: float | None = None
    keep_logits: bool = False
    once: bool = False

    def recipes(self, seeds: Iterable[int]) -> list[Recipe]:
        """Its recipe at each of these seeds, or at its own alone where it runs `once`."""
        return [self.recipe] if self.once else [self.recipe.with_seed(seed) for seed in seeds]


def tidy(arms: Iterable[Arm], seeds: Sequence[int], store: Store) -> pd.DataFrame:
    """One row a recorded run, in the order of arms and seeds; runs that the store lacks are not in.

    Columns: table, arm, seed, record, and every metric that some record has (NaN where a run did
    not train).
    """
    rows = [
        {"table": arm.table, "arm": arm.name, "seed": recipe.seed, "record": record}
        | {key: value for key, value in record.metrics.items() if not isinstance(value, list)}
        for arm in arms
        for recipe in arm.recipes(seeds)
        if (record := store.get(recipe)) is not None
    ]
    return pd.DataFrame(rows, columns=None if rows else ["table", "arm", "seed", "record"])


def values(runs: pd.DataFrame, arm: Arm, metric: str) -> list[float]:
    """One value a seed; an arm without records, and runs that did not train, have none."""
    found = runs.reindex(columns=["arm", metric])
    return found.loc[found["arm"] == arm.name, metric].dropna().tolist()


def best_by_validation(arms: Iterable[Arm], runs: pd.DataFrame) -> Arm | None:
    """Of the recorded arms the one with the lowest mean of validation errors, then of their NLL.

    Only seeds that all of them share are counted; None if they share none.
    """
    by_name = {arm.name: arm for arm in arms}
    found = runs[runs["arm"].isin(by_name)]
    found = found.groupby("seed").filter(lambda seed: len(seed) == found["arm"].nunique())
    if found.empty:
        return None
    scores = found.groupby("arm", sort=False)[["val_errors", "val_nll"]].mean()
    return by_name[scores.sort_values(["val_errors", "val_nll"]).index[0]]


def difference(runs: pd.DataFrame, first: Arm, second: Arm, metric: str) -> dict:
    """First arm minus second, paired by seed: keys difference, ci95, p, n (`metrics.paired_test`).

    Seeds that only one arm has are left out. Raises ValueError, which says why, without any pair.
    """
    for arm in (first, second):
        if not values(runs, arm, metric):
            raise ValueError(f"{interval(runs, arm, metric)} (*{arm.name}*)")
    pairs = runs.pivot(index="seed", columns="arm", values=metric)
    pairs = pairs[[first.name, second.name]].dropna()
    if pairs.empty:
        raise ValueError("no seed that both have")
    return metrics.paired_test(*pairs.to_numpy().T)


def difference_in_words(
    runs: pd.DataFrame, metric: str, question: str, first: Arm, second: Arm
) -> str:
    """A line of Markdown: the question, and the difference of two arms with its interval and p."""
    try:
        d = difference(runs, first, second, metric)
    except ValueError as why:
        return f"- {question}: {why}."
    unit, digits = UNITS.get(metric, METRICS[metric]), digits_of(metric)
    said, n = f"- {question}: **{d['difference']:+.{digits}f}", f"{d['n']} pair{'s' * (d['n'] > 1)}"
    if d["ci95"] is None:
        return f"{said} {unit}** ({n} of seeds: too few for an interval)."
    p = "p < .001" if d["p"] < 0.001 else f"p = {d['p']:.3f}".replace("0.", ".")
    unclear = " These seeds do not tell it from zero." * (abs(d["difference"]) <= d["ci95"])
    return f"{said} ± {d['ci95']:.{digits}f} {unit}** ({n}, {p}).{unclear}"


def digits_of(metric: str) -> int:
    """Decimal places that a metric is shown with."""
    return 1 if "errors" in metric else 4 if "nll" in metric or "kl_" in metric else 2


def interval(runs: pd.DataFrame, arm: Arm, metric: str) -> str:
    """`mean ± half-width` over seeds, the mean alone below three, or why there is none."""
    if not (found := values(runs, arm, metric)):
        return "did not train" if arm.name in set(runs["arm"]) else "not recorded"
    (mean, half), digits = metrics.shown_ci(found), digits_of(metric)
    mean = round(mean, digits) + 0.0  # no minus before a zero
    return f"{mean:.{digits}f}" + ("" if half is None else f" ± {half:.{digits}f}")


def cell(runs: pd.DataFrame, arm: Arm, metric: str) -> str:
    """`interval` with ` (n = …)` behind a number, which no narrow page breaks."""
    said, n = interval(runs, arm, metric), len(values(runs, arm, metric))
    return f"{said} (n = {n})".replace(" ", "\N{NO-BREAK SPACE}") if n else said


def number(published: float | None) -> str:
    """A published value as it is shown; a dash where there is none."""
    return "–" if published is None else f"{published:g}"
