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


def values(runs: pd.DataFrame, arm: str, metric: str) -> list[float]:
    """One value a seed; an arm without records, and runs that did not train, have none."""
    if metric not in runs:
        return []
    return runs.loc[runs["arm"] == arm, metric].dropna().tolist()


def row(notebook: str, profile: str, runs: pd.DataFrame, arm: Arm, metric: str) -> dict:
    """One arm and metric for programs: what is published, the mean, its interval, n, device."""
    found = values(runs, arm.name, metric)
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


def best_by_validation(runs: pd.DataFrame, arms: Sequence[Arm]) -> Arm:
    """The arm whose mean count of validation errors is lowest; the lower likelihood loss on a tie.

    Only seeds that all arms share are counted. Raises ValueError where there are none.
    """
    names = [arm.name for arm in arms]
    family = runs[runs["arm"].isin(names)]
    counts = family.groupby("seed")["arm"].nunique()
    shared = family[family["seed"].isin(counts.index[counts == len(names)])]
    if not names or shared.empty:
        raise ValueError(
            "best_by_validation needs at least one arm, and a seed that all arms share."
        )
    means = shared.groupby("arm", sort=False)[["val_errors", "val_nll"]].mean()
    chosen = means.sort_values(["val_errors", "val_nll"]).index[0]
    return arms[names.index(chosen)]


def families(arms: Iterable[Arm], runs: pd.DataFrame) -> dict[str, list[Arm]]:
    """Recorded arms that differ in one setting, by what validation selects among them."""
    out: dict[str, list[Arm]] = {}
    recorded = set(runs["arm"])
    for arm in arms:
        if arm.select and arm.name in recorded:
            out.setdefault(arm.select, []).append(arm)
    return out


def difference(runs: pd.DataFrame, first: str, second: str, metric: str) -> dict:
    """First arm minus second, paired by seed: keys difference, ci95, p, n.

    Seeds that only one arm has are left out. Below three pairs ci95 and p are None. Raises
    ValueError where no seed is common.
    """
    pair = runs[runs["arm"].isin([first, second])].pivot(index="seed", columns="arm", values=metric)
    pair = pair.reindex(columns=[first, second]).dropna()
    if pair.empty:
        raise ValueError(f"{first} and {second} have no seed in common.")
    if len(pair) < metrics.ENOUGH:
        mean = float((pair[first] - pair[second]).mean())
        return {"difference": mean, "ci95": None, "p": None, "n": len(pair)}
    return metrics.paired_test(pair[first].tolist(), pair[second].tolist())


def difference_in_words(runs: pd.DataFrame, question: str, pair: Sequence[str], metric: str) -> str:
    """A line of Markdown: the question, and the difference of two arms with its interval and p."""
    unit, digits = UNITS.get(metric, METRICS[metric]), digits_of(metric)
    for name in pair:
        if name not in set(runs["arm"]):
            return f"- {question}: not recorded yet (*{name}*)."
        if not values(runs, name, metric):
            return f"- {question}: no answer, *{name}* did not train (loss not finite)."
    try:
        d = difference(runs, *pair, metric)
    except ValueError:
        return f"- {question}: no seed that both have."
    if d["ci95"] is None:
        many = "1 pair" if d["n"] == 1 else f"{d['n']} pairs"
        return (
            f"- {question}: **{d['difference']:+.{digits}f} {unit}** ({many} of seeds: too few "
            "for an interval)."
        )
    p = "p < .001" if d["p"] < 0.001 else f"p = {d['p']:.3f}".replace("0.", ".")
    clear = abs(d["difference"]) > d["ci95"]
    verdict = "" if clear else " These seeds do not tell it from zero."
    return (
        f"- {question}: **{d['difference']:+.{digits}f} ± {d['ci95']:.{digits}f} {unit}** "
        f"({d['n']} pairs, {p}).{verdict}"
    )


def interval(mean: float | None, half: float | None, digits: int = 1) -> str:
    """`mean ± half`, or what is there of it."""
    if mean is None:
        return "did not train"
    mean = round(mean, digits) + 0.0  # no minus before a zero
    return f"{mean:.{digits}f}" + ("" if half is None else f" ± {half:.{digits}f}")


def digits_of(metric: str) -> int:
    """Decimal places that a metric is shown with."""
    if "errors" in metric:
        return 1
    return 2 if any(word in metric for word in ("accuracy", "ece", "agreement")) else 4


def cell(runs: pd.DataFrame, arm: str, metric: str) -> str:
    """`mean ± half-width (n = …)` of an arm, which no narrow page breaks, or why there is none."""
    if arm not in set(runs["arm"]):
        return "not recorded"
    found = values(runs, arm, metric)
    if not found:
        return "did not train"
    text = f"{interval(*metrics.shown_ci(found), digits_of(metric))} (n = {len(found)})"
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def frame(rows: Sequence[dict]) -> pd.DataFrame:
    """Rows of results as a table to show: published, recorded mean ± 95 % interval, n."""
    return pd.DataFrame(
        {
            "arm": [row["arm"] for row in rows],
            "metric": [METRICS.get(row["metric"], row["metric"]) for row in rows],
            "published": [number(row["published"]) for row in rows],
            "recorded": [_recorded(row) for row in rows],
            "n": [row["n"] for row in rows],
            "data set": [row["dataset"] for row in rows],
            "profile": [row["profile"] for row in rows],
        }
    )


def _recorded(row: dict) -> str:
    if not row["recorded"]:
        return "not recorded"
    half = row["ci95"] if row["n"] >= metrics.ENOUGH else None
    return interval(row["mean"], half, digits_of(row["metric"]))


def number(published: float | None) -> str:
    """A published value as it is shown; a dash where there is none."""
    return "–" if published is None else f"{published:g}"
