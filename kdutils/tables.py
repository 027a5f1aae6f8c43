"""Records beside published values: the machine-readable truth of the course.

In: the store and the arms of `course`. Out: rows (plain dicts) and data frames. The README, the
notebooks, the report and `python -m kdutils results` all draw on `results`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from . import course, metrics, profiles
from .course import Arm
from .store import Record, Store

COLUMNS = (
    "notebook", "dataset", "arm", "metric", "published", "mean", "ci95", "n", "profile", "device",
    "recorded",
)  # fmt: skip
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
}


@dataclass(frozen=True)
class Result:
    """An arm and the records of its seeds at one profile."""

    arm: Arm
    profile: str
    records: tuple[Record, ...]

    @property
    def name(self) -> str:
        if self.arm.table in ("As published", "Done right"):
            return f"{self.arm.name} ({self.arm.table.lower()})"
        return self.arm.name

    def values(self, metric: str) -> list[float]:
        """One value a seed, in the order of the seeds; runs that failed have none."""
        return [r.metrics[metric] for r in self.records if metric in r.metrics]

    def mean_ci(self, metric: str) -> tuple[float, float | None]:
        return metrics.mean_ci(self.values(metric))

    def row(self, metric: str, name: str | None = None, published: float | None = None) -> dict:
        """One object of `results`: keys as in COLUMNS."""
        values = self.values(metric)
        mean, half = metrics.mean_ci(values) if values else (None, None)
        if published is None:
            published = self.arm.metrics.get(metric)
        return {
            "notebook": f"{self.arm.notebook:02}",
            "dataset": self.arm.recipe.dataset,
            "arm": name or self.name,
            "metric": metric,
            "published": published,
            "mean": mean,  # not rounded here: every place that shows it then rounds the same number
            "ci95": half,
            "n": len(values),
            "profile": self.profile,
            "device": ", ".join(sorted({r.device for r in self.records})),
            "recorded": max((r.recorded for r in self.records), default=""),
        }


def collect(
    notebook: int | str,
    profile: str,
    seeds: Sequence[int] | None = None,
    store: Store | None = None,
    tables: Sequence[str] | None = None,
) -> list[Result]:
    """What the store holds of a notebook's arms at a profile; arms without a record are not in."""
    store = store or Store()
    seeds = profiles.get(profile).seeds if seeds is None else seeds
    out = []
    for arm in course.arms(notebook, profile):
        if tables is not None and arm.table not in tables:
            continue
        found = (store.get(arm.recipe.with_seed(seed)) for seed in arm.seeds(seeds))
        records = tuple(record for record in found if record is not None)
        if records:
            out.append(Result(arm, profile, records))
    return out


def best_by_validation(results: Sequence[Result]) -> Result:
    """The arm whose mean count of validation errors is lowest; the lower likelihood loss on a tie.

    Only seeds that all arms share are counted. Raises ValueError where there are none.
    """
    seeds = [{r.recipe.seed for r in result.records} for result in results]
    shared = set.intersection(*seeds) if seeds else set()
    if not shared:
        raise ValueError(
            "best_by_validation needs at least one arm, and a seed that all arms share."
        )

    def mean(result: Result, metric: str) -> float:
        values = [r.metrics[metric] for r in result.records if r.recipe.seed in shared]
        return metrics.mean_ci(values)[0]

    return min(results, key=lambda r: (mean(r, "val_errors"), mean(r, "val_nll")))


def selections(results: Sequence[Result]) -> dict[str, Result]:
    """For each family of arms that differ in one setting, the arm that validation chooses."""
    families: dict[str, list[Result]] = {}
    for result in results:
        if result.arm.select:
            families.setdefault(result.arm.select, []).append(result)
    return {name: best_by_validation(family) for name, family in families.items()}


def results(notebook: int | str | None = None, store: Store | None = None) -> list[dict]:
    """Every recorded result as plain dicts with the keys of COLUMNS, best recorded profile first.

    notebook: only this one. Raises ValueError for a notebook that does not exist. Smoke runs stand
    under the name of the data set that they really used and are not listed among real results. A
    published value that has no record beside it yet is listed with n = 0.
    """
    numbers = course.NOTEBOOKS if notebook is None else [course.check_notebook(notebook)]
    store = store or Store()
    rows = []
    for number in numbers:
        for found in _recorded(number, store):
            for result in found:
                rows += [result.row(metric) for metric in result.arm.metrics]
            for family, best in selections(found).items():
                name = f"{family}, best by validation ({best.arm.setting})"
                published = course.PUBLISHED_SELECTED.get(family)
                rows.append(best.row(next(iter(best.arm.metrics)), name, published))
        listed = {(row["arm"], row["metric"]) for row in rows}
        for arm in course.arms(number, "paper"):
            waiting = Result(arm, "paper", ())
            rows += [
                waiting.row(metric)
                for metric, value in arm.metrics.items()
                if value is not None and (waiting.name, metric) not in listed
            ]
    return rows


def _recorded(number: int, store: Store) -> list[list[Result]]:
    """A notebook's results at the paper and the laptop profile, in this order.

    An arm that costs the same at both is one run: it is listed where its seeds are complete.
    """
    paper, laptop = (collect(number, name, store=store) for name in ("paper", "laptop"))
    small = {result.arm.recipe: len(result.records) for result in laptop}
    paper = [r for r in paper if len(r.records) > small.get(r.arm.recipe, 0)]
    large = {result.arm.recipe for result in paper}
    return [paper, [r for r in laptop if r.arm.recipe not in large]]


def compare(this_run: Sequence[Result], metric: str, store: Store | None = None) -> pd.DataFrame:
    """Published, recorded and this run side by side, one row an arm that shows `metric`.

    this_run: what `collect` returned. Recorded: the best real profile in the store. Both are mean
    ± half-width of the 95 % interval (n). Raises ValueError where there are no results.
    """
    if not this_run:
        raise ValueError("there are no records to show: train them first with run_all.")
    number, profile = this_run[0].arm.notebook, this_run[0].profile
    paper, laptop = _recorded(number, store or Store())
    recorded = {r.name: r for r in [*laptop, *paper]}  # the later one counts
    rows = []
    for result in this_run:
        if metric not in result.arm.metrics:
            continue
        published = result.arm.metrics[metric]
        rows.append(
            {
                "arm": result.name,
                "published": "–" if published is None else f"{published:g}",
                "recorded": _cell(recorded.get(result.name), metric),
                f"this run ({result.arm.recipe.dataset}, {profile})": _cell(result, metric),
            }
        )
    frame = pd.DataFrame(rows).set_index("arm").rename_axis(None)
    # where this run is the recorded one, a second column would say the same again
    return frame.drop(columns=frame.columns[-1]) if _same(frame) else frame


def _same(frame: pd.DataFrame) -> bool:
    return bool((frame.iloc[:, -1] == frame["recorded"]).all())


def twice(this_run: Sequence[Result], metric: str, store: Store | None = None) -> pd.DataFrame:
    """The poster's table: a row a cell, re-created "As published" beside "Done right".

    this_run: what `collect` returned. Columns: the published value, then for both versions what is
    recorded and, where that is not the same run, this run. Cells without a record say so.
    """
    tables = ("As published", "Done right")
    found = {(r.arm.table, r.arm.name): r for r in this_run if r.arm.table in tables}
    if not found:
        raise ValueError("there are no records to show: train them first with run_all.")
    some = next(iter(found.values()))
    number, profile = some.arm.notebook, some.profile
    recorded = {
        (r.arm.table, r.arm.name): r
        for part in _recorded(number, store or Store())[::-1]
        for r in part
    }
    rows = {}
    for arm in course.arms(number, profile):
        if arm.table in tables:
            value, key = arm.metrics[metric], (arm.table, arm.name)
            row = rows.setdefault(arm.name, {"published": "–" if value is None else f"{value:g}"})
            row[arm.table.lower()] = _cell(recorded.get(key), metric)
            if profile not in ("laptop", "paper"):
                here = f"{arm.table.lower()}, this run ({arm.recipe.dataset}, {profile})"
                row[here] = _cell(found.get(key), metric)
    return pd.DataFrame.from_dict(rows, orient="index")


def _cell(result: Result | None, metric: str) -> str:
    if result is None or not result.records:
        return "not recorded"
    values = result.values(metric)
    if not values:
        return "did not train"
    return f"{interval(*metrics.mean_ci(values), digits_of(metric))} (n = {len(values)})"


def find(results: Sequence[Result], name: str) -> Result | None:
    """The result of the arm of that name, or None where nothing is recorded."""
    return next((result for result in results if result.name == name), None)


def difference(first: Result, second: Result, metric: str) -> dict[str, float | int | None]:
    """First minus second, paired by seed: keys difference, ci95, p, n.

    Seeds that only one arm has are left out. One common seed has neither interval nor p (None).
    Raises ValueError where there is none.
    """
    a, b = (
        {r.recipe.seed: r.metrics[metric] for r in result.records if metric in r.metrics}
        for result in (first, second)
    )
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        raise ValueError(f"{first.name} and {second.name} have no seed in common.")
    if len(seeds) == 1:
        return {"difference": a[seeds[0]] - b[seeds[0]], "ci95": None, "p": None, "n": 1}
    return metrics.paired_test([a[seed] for seed in seeds], [b[seed] for seed in seeds])


def differences(
    results: Sequence[Result], metric: str, questions: Mapping[str, tuple[str, str]]
) -> str:
    """Markdown: for each question, first arm minus second, paired by seed, with its interval."""
    unit = {"test_errors": "errors", "test_accuracy": "points"}.get(metric, METRICS[metric])
    digits = digits_of(metric)
    lines = []
    for question, names in questions.items():
        pair = [find(results, name) for name in names]
        if None in pair:
            lines.append(f"- {question}: not recorded yet.")
            continue
        failed = [result.name for result in pair if not result.values(metric)]
        if failed:
            lines.append(f"- {question}: no answer, *{failed[0]}* did not train (loss not finite).")
            continue
        try:
            d = difference(*pair, metric)
        except ValueError:
            lines.append(f"- {question}: no seed that both have.")
            continue
        if d["n"] == 1:
            lines.append(
                f"- {question}: **{d['difference']:+.{digits}f} {unit}** (1 pair, so no interval)."
            )
            continue
        p = "p < .001" if d["p"] < 0.001 else f"p = {d['p']:.3f}".replace("0.", ".")
        clear = abs(d["difference"]) > d["ci95"]
        verdict = "" if clear else " These seeds do not tell it from zero."
        lines.append(
            f"- {question}: **{d['difference']:+.{digits}f} ± {d['ci95']:.{digits}f} {unit}** "
            f"({d['n']} pairs, {p}).{verdict}"
        )
    return "\n".join(lines)


def selection_table(results: Sequence[Result]) -> pd.DataFrame:
    """What validation chose among the arms that differ in one setting, and what it then scored."""
    chosen = selections(results)
    rows = []
    for result in results:
        if result.arm.select:
            best = chosen[result.arm.select] is result
            rows.append(
                {
                    "family": result.arm.select,
                    "setting": result.arm.setting,
                    "validation errors": interval(*result.mean_ci("val_errors")),
                    "test errors": interval(*result.mean_ci("test_errors")),
                    "n": len(result.records),
                    "chosen": "yes" if best else "",
                }
            )
    return pd.DataFrame(rows).set_index("family").rename_axis(None)


def metric_table(result: Result, store: Store | None = None) -> pd.DataFrame:
    """Every metric that an arm is held against: published, recorded, this run; one row a metric."""
    rows = []
    for metric in result.arm.metrics:
        row = compare([result], metric, store)
        rows.append(row.set_axis([METRICS[metric]]))
    return pd.concat(rows)


def test_images(results: Sequence[Result]) -> int:
    """How many test images the accuracies of these results stand for."""
    m = results[0].records[0].metrics
    return round(m["test_errors"] / (1 - m["test_accuracy"] / 100))


def cost(results: Sequence[Result]) -> str:
    """A line of Markdown: how many runs a notebook rests on, what they took, and where."""
    if not results:
        return (
            "Nothing of this page is recorded yet at this profile. `TRAIN = True` trains it; the "
            'profile "smoke" needs seconds.'
        )
    records = {record.id: record for result in results for record in result.records}.values()
    seconds = sum(record.seconds for record in records)
    took = f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
    devices = ", ".join(sorted({f"{r.device}, {r.threads} thread(s)" for r in records}))
    return (
        f"This page rests on {len(records)} runs of the profile `{results[0].profile}`. "
        f"Training them took {took} in all, on: {devices}. Reading them takes seconds."
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
    return 2 if "accuracy" in metric or metric in ("test_ece", "test_agreement") else 4


def frame(rows: Sequence[dict]) -> pd.DataFrame:
    """Rows of `results` as a table to show: published, recorded mean ± 95 % interval, n."""
    return pd.DataFrame(
        {
            "arm": [row["arm"] for row in rows],
            "metric": [METRICS.get(row["metric"], row["metric"]) for row in rows],
            "published": ["–" if r["published"] is None else f"{r['published']:g}" for r in rows],
            "recorded": [
                interval(row["mean"], row["ci95"], digits_of(row["metric"]))
                if row["recorded"]
                else "not recorded"
                for row in rows
            ],
            "n": [row["n"] for row in rows],
            "data set": [row["dataset"] for row in rows],
            "profile": [row["profile"] for row in rows],
        }
    )
