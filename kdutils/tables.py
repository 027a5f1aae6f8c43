"""Records beside published values, as one tidy data frame.

In: arms, seeds and a store. Out: a frame with one row a run; from it the results that the README,
the chapters and `python -m kdutils results` show: mean, 95 % interval, n, published value.
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


def row(notebook: str, profile: str, runs: pd.DataFrame, arm: Arm, metric: str) -> dict:
    """One arm and metric for programs: what is published, the mean, its interval, n, device."""
    found = values(runs, arm, metric)
    mean, half = metrics.mean_ci(found) if found else (None, None)
    records = runs.loc[runs["arm"] == arm.name, "record"]
    return {
        "notebook": notebook,
        "dataset": arm.recipe.dataset,
        "arm": arm.name,
        "metric": metric,
        "published": arm.metrics.get(metric),
        "mean": mean,  # not rounded here: every place that shows it then rounds the same number
        "ci95": half,
        "n": len(found),
        "profile": profile,
        "device": ", ".join(sorted({record.device for record in records})),
        "recorded": max((record.recorded for record in records), default=""),
    }


def best_by_validation(arms: Iterable[Arm], runs: pd.DataFrame) -> dict[str, Arm]:
    """By their `select`: of the recorded arms the one with the lowest mean of validation errors.

    On a tie the lower negative log-likelihood decides. Only seeds that all of them share are
    counted; arms that share none are left out.
    """
    families: dict[str, dict[str, Arm]] = {}
    for arm in arms:
        if arm.select:
            families.setdefault(arm.select, {})[arm.name] = arm
    chosen = {}
    for select, family in families.items():
        found = runs[runs["arm"].isin(family)]
        in_all = found.groupby("seed")["arm"].transform("size") == found["arm"].nunique()
        if in_all.any():
            scores = found[in_all].groupby("arm", sort=False)[["val_errors", "val_nll"]].mean()
            chosen[select] = family[scores.sort_values(["val_errors", "val_nll"]).index[0]]
    return chosen


def difference(runs: pd.DataFrame, first: Arm, second: Arm, metric: str) -> dict:
    """First arm minus second, paired by seed: keys difference, ci95, p, n.

    Seeds that only one arm has are left out. Below three pairs ci95 and p are None. Raises
    ValueError, which says why, where there is no pair.
    """
    for arm in (first, second):
        if arm.name not in set(runs["arm"]):
            raise ValueError(f"not recorded yet (*{arm.name}*)")
        if not values(runs, arm, metric):
            raise ValueError(f"no answer, *{arm.name}* did not train (loss not finite)")
    pairs = runs.pivot(index="seed", columns="arm", values=metric)
    pairs = pairs[[first.name, second.name]].dropna()
    if pairs.empty:
        raise ValueError("no seed that both have")
    one, two = pairs.to_numpy().T
    if len(pairs) < metrics.ENOUGH:
        return {"difference": float((one - two).mean()), "ci95": None, "p": None, "n": len(pairs)}
    return metrics.paired_test(one, two)


def difference_in_words(
    runs: pd.DataFrame, question: str, first: Arm, second: Arm, metric: str
) -> str:
    """A line of Markdown: the question, and the difference of two arms with its interval and p."""
    try:
        d = difference(runs, first, second, metric)
    except ValueError as why:
        return f"- {question}: {why}."
    unit, digits = UNITS.get(metric, METRICS[metric]), digits_of(metric)
    amount, n = f"{d['difference']:+.{digits}f}", f"{d['n']} pair{'s' * (d['n'] > 1)}"
    if d["ci95"] is None:
        return f"- {question}: **{amount} {unit}** ({n} of seeds: too few for an interval)."
    p = "p < .001" if d["p"] < 0.001 else f"p = {d['p']:.3f}".replace("0.", ".")
    clear = abs(d["difference"]) > d["ci95"]
    verdict = "" if clear else " These seeds do not tell it from zero."
    return f"- {question}: **{amount} ± {d['ci95']:.{digits}f} {unit}** ({n}, {p}).{verdict}"


def digits_of(metric: str) -> int:
    """Decimal places that a metric is shown with."""
    if "errors" in metric:
        return 1
    return 2 if any(word in metric for word in ("accuracy", "ece", "agreement")) else 4


def interval(row: Mapping) -> str:
    """`mean ± half-width` of a `row`, the mean alone below three seeds, or why there is none."""
    if row["mean"] is None:
        return "did not train" if row["recorded"] else "not recorded"
    digits = digits_of(row["metric"])
    mean = round(row["mean"], digits) + 0.0  # no minus before a zero
    half = f" ± {row['ci95']:.{digits}f}" if row["n"] >= metrics.ENOUGH else ""
    return f"{mean:.{digits}f}{half}"


def cell(row: Mapping) -> str:
    """`interval` with ` (n = …)` behind a number, which no narrow page breaks."""
    if row["mean"] is None:
        return interval(row)
    return f"{interval(row)} (n = {row['n']})".replace(" ", "\N{NO-BREAK SPACE}")


def number(published: float | None) -> str:
    """A published value as it is shown; a dash where there is none."""
    return "–" if published is None else f"{published:g}"


def frame(rows: Sequence[Mapping]) -> pd.DataFrame:
    """Each `row` as a table shows it: published, recorded mean ± 95 % interval, n."""
    return pd.DataFrame(
        {
            "arm": [row["arm"] for row in rows],
            "metric": [METRICS.get(row["metric"], row["metric"]) for row in rows],
            "published": [number(row["published"]) for row in rows],
            "recorded": [interval(row) for row in rows],
            "n": [row["n"] for row in rows],
            "data set": [row["dataset"] for row in rows],
            "profile": [row["profile"] for row in rows],
        }
    )
