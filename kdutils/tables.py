"""Records beside published values, as one tidy data frame; and numbers as they are shown.

In: arms, seeds and a store. Out: a frame with one row a run. In: a mean or a difference over seeds.
Out: the words for it, with its 95 % interval.
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
    seed, such as a teacher. keep_logits, keep_weights: these are committed with its record.
    optional: it needs a download that may not be had; a `Lab` says so and goes on.
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
    keep_weights: bool = False
    once: bool = False
    optional: bool = False

    def recipes(self, seeds: Iterable[int]) -> list[Recipe]:
        """Its recipe at each of these seeds, or at its own alone where it runs `once`."""
        return [self.recipe] if self.once else [self.recipe.with_seed(seed) for seed in seeds]


def tidy(arms: Iterable[Arm], seeds: Sequence[int], store: Store) -> pd.DataFrame:
    """One row a recorded run, in the order of arms and seeds; runs that the store lacks are not in.

    Columns: table, arm, seed, record, and each metric of any record (NaN: the run did not train).
    """
    rows = [
        {"table": arm.table, "arm": arm.name, "seed": recipe.seed, "record": record}
        | {key: value for key, value in record.metrics.items() if not isinstance(value, list)}
        for arm in arms
        for recipe in arm.recipes(seeds)
        if (record := store.get(recipe)) is not None
    ]
    return pd.DataFrame(rows, columns=None if rows else ["table", "arm", "seed", "record"])


def digits_of(metric: str) -> int:
    """Decimal places that a metric is shown with."""
    return 1 if "errors" in metric else 4 if "nll" in metric or "kl_" in metric else 2


def interval(values: Sequence[float], metric: str) -> str:
    """`mean ± half-width` of one value a seed; the mean alone below three."""
    (mean, half), digits = metrics.shown_ci(values), digits_of(metric)
    mean = round(mean, digits) + 0.0  # no minus before a zero
    return f"{mean:.{digits}f}" + ("" if half is None else f" ± {half:.{digits}f}")


def difference_in_words(d: Mapping, metric: str) -> str:
    """Markdown: what `metrics.paired_test` says of two arms; `holm`, if given, beside its p."""
    unit, digits = UNITS.get(metric, METRICS[metric]), digits_of(metric)
    said, n = f"**{d['difference']:+.{digits}f}", f"{d['n']} pair{'s' * (d['n'] > 1)}"
    if d["ci95"] is None:
        return f"{said} {unit}** ({n} of seeds: too few for an interval)."
    p = f"p {_probability(d['p'])}"
    if "holm" in d:
        p += f" (Holm {_probability(d['holm'])})"
    unclear = ""
    if abs(d["difference"]) <= d["ci95"]:
        unclear = " These seeds do not distinguish it from zero."
    elif d.get("holm", 0) >= 0.05:
        unclear = " After the correction it is not distinguishable from zero."
    return f"{said} ± {d['ci95']:.{digits}f} {unit}** ({n}, {p}).{unclear}"


def _probability(p: float) -> str:
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".")


def number(published: float | None) -> str:
    """A published value as it is shown; a dash where there is none."""
    return "–" if published is None else f"{published:g}"
