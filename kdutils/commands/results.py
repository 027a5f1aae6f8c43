"""The results in print: every recorded one, and the few that the first page shows.

In: records. Out: rows, as dicts, data frames or text, with the published value beside ours.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from operator import itemgetter

import pandas as pd

from kdutils import experiments, metrics, tables
from kdutils.experiments import Arm, Lab
from kdutils.store import Store


def rows(number: str | None = None, store: Store | None = None) -> list[dict]:
    """Every recorded result as a plain dict (keys: `row`), best recorded profile first.

    number: only this chapter. A published value that has no record beside it yet is listed with
    n = 0. Raises ValueError for a chapter that does not exist.
    """
    store, out = store or Store(), []
    for chosen in experiments.chapters() if number is None else [str(number).zfill(2)]:
        paper, laptop = (Lab(chosen, profile, store=store) for profile in ("paper", "laptop"))
        n = {
            lab: Counter({arm.recipe: len(lab.records(name)) for name, arm in lab.arms.items()})
            for lab in (paper, laptop)
        }
        # an arm that costs the same at both is one run: listed where more of its seeds are
        shown = {
            paper: [a for a in paper.arms.values() if n[paper][a.recipe] > n[laptop][a.recipe]],
            laptop: [
                arm
                for arm in laptop.arms.values()
                if n[laptop][arm.recipe] >= max(n[paper][arm.recipe], 1)
            ],
        }
        for lab, arms in shown.items():
            out += [row(lab, arm, metric) for arm in arms for metric in arm.metrics]
            for select in dict.fromkeys(arm.select for arm in arms if arm.select):
                with suppress(LookupError):
                    arm = lab.best(select)
                    title = f"{select}, best by validation ({arm.setting})"
                    best = row(lab, arm, next(iter(arm.metrics)))
                    out.append(best | {"arm": title, "published": arm.published_if_selected})
        listed = {arm.name for arms in shown.values() for arm in arms}
        out += [
            row(paper, arm, metric)
            for arm in paper.arms.values()
            for metric, published in arm.metrics.items()
            if published is not None and arm.name not in listed
        ]
    return out


def row(lab: Lab, arm: Arm, metric: str) -> dict:
    """One arm and metric: what is published, the mean, its interval, n, device; and in words."""
    values, records = lab.values(arm.name, metric), lab.records(arm.name)
    mean, half = metrics.mean_ci(values) if values else (None, None)
    return {
        "notebook": lab.number,
        "dataset": arm.recipe.dataset,
        "arm": arm.name,
        "metric": metric,
        "published": arm.metrics.get(metric),
        "mean": mean,  # not rounded here: every place that shows it then rounds the same number
        "ci95": half,
        "n": len(values),
        "profile": lab.profile.name,
        "device": ", ".join(sorted({record.device for record in records})),
        "recorded": max((record.recorded for record in records), default=""),
        "said": lab.interval(arm.name, metric),
    }


def frame(rows: Iterable[Mapping]) -> pd.DataFrame:
    """Each `row` as a table shows it: published, recorded mean ± 95 % interval, n."""
    shown = [
        {
            "arm": row["arm"],
            "metric": tables.METRICS.get(row["metric"], row["metric"]),
            "published": tables.number(row["published"]),
            "recorded": row["said"],
            "n": row["n"],
            "data set": row["dataset"],
            "profile": row["profile"],
        }
        for row in rows
    ]
    return pd.DataFrame(shown)


def frames(number: str | None = None) -> dict[str, pd.DataFrame]:
    """The results as one data frame a chapter, under its number and title."""
    by_chapter = itertools.groupby(rows(number), itemgetter("notebook"))
    return {f"{n} {experiments.chapter(n).TITLE}": frame(part) for n, part in by_chapter}


def results(number: str | None, as_json: bool) -> list[str]:
    """Every result, or a chapter's, as lines to read or as JSON."""
    if as_json:
        kept = [{key: v for key, v in row.items() if key != "said"} for row in rows(number)]
        return [json.dumps(kept, indent=2)]
    shown = [f"\n{title}\n\n{f.to_string(index=False)}" for title, f in frames(number).items()]
    return shown or ["No result is recorded yet."]


def headlines() -> list[dict[str, object]]:
    """The results that matter, as each chapter's `HEADLINES` names them: beside each published
    value, if there is one, ours, the number of seeds, and whether the two agree. A gain that is one
    of a chapter's questions, `ASKED`, is corrected for them. Only committed records count."""
    committed, rows = Store().published, []
    for number, chapter in experiments.chapters().items():
        lab = experiments.Lab(number, "laptop", store=Store(committed, committed))
        asked = getattr(chapter, "ASKED", {})
        family = lab.paired("test_accuracy", asked)
        corrected = {asked[q]: d["holm"] for q, d in family.items() if "holm" in d}
        for what, (first, second, metric) in getattr(chapter, "HEADLINES", {}).items():
            chosen = first not in lab.arms  # a setting that validation chooses
            arm = lab.best(first) if chosen else lab.arm(first)
            published = arm.published_if_selected if chosen else arm.metrics[metric]
            mean, half, n = None, None, len(lab.values(arm.name, metric))
            if second and n and lab.values(second, metric):
                found = lab.difference(first, second, metric)
                mean, half, n = found["difference"], found["ci95"], found["n"]
            elif n:
                mean, half = metrics.shown_ci(lab.values(arm.name, metric))
            if second and published is not None:
                published = round(published - lab.arm(second).metrics[metric], 4)
            row = {"chapter": number, "what": what, "arm": arm.name, "n": n}
            unit, digits = tables.UNITS[metric], tables.digits_of(metric)
            sign = "+" if second else ""
            there = "–" if published is None else f"{published:{sign}g} {unit}"
            row["published"] = there.replace("-", "−")
            ours = "not recorded" if mean is None else f"{mean:{sign}.{digits}f}"
            ours = ours.replace("-", "−") + ("" if half is None else f" ± {half:.{digits}f}")
            row["ours"] = f"{ours} {unit}" if published is None and n else ours
            verdict = _verdict(published, mean, half, "gain" if second else unit)
            if verdict == "distinguishable from zero" and corrected.get((first, second), 0) >= 0.05:
                verdict += f" alone, not as one of {len(corrected)} questions"
            rows.append(row | {"verdict": verdict})
    return rows


def _verdict(published: float | None, mean: float | None, half: float | None, kind: str) -> str:
    """What our interval says about a published value, which is one run without an interval.

    published: None for a gain that nobody has published. kind: "gain", or the unit of what is
    counted or measured.
    """
    if mean is None or half is None:
        return "not recorded" if mean is None else "too few seeds to judge"
    if published is None:
        return "not distinguishable from zero" if abs(mean) <= half else "distinguishable from zero"
    if abs(mean - published) <= half:
        said = "agrees"
    elif kind == "errors":
        said = "we count fewer" if mean < published else "we count more"
    else:
        said = "ours is lower" if mean < published else "ours is higher"
    return said + ", and not distinguishable from zero" * (kind == "gain" and abs(mean) <= half)
