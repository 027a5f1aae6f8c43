"""Differences between arms in points, paired by seed: with their intervals, alone or as a family.

In: a chapter's `Lab` and the names of two arms, or one value a seed. Out: a series, words, a table.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from kdutils import metrics
from kdutils.experiments import Lab


class Piece(NamedTuple):
    """Points: mean over n seeds, and the half-width of its 95 % interval (None below three)."""

    mean: float
    half: float | None
    n: int

    @property
    def told(self) -> bool | None:
        """Whether its interval excludes zero; None without an interval."""
        return None if self.half is None else abs(self.mean) > self.half

    def __str__(self) -> str:
        mean = round(self.mean, 2) + 0.0  # no minus before a zero
        return f"{mean:+.2f}" + ("" if self.half is None else f" ± {self.half:.2f}")


def piece(values: Sequence[float]) -> Piece:
    """The piece that one value a seed makes; ValueError without any."""
    return Piece(*metrics.shown_ci(list(values)), len(values))


def family(differences: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Questions asked together: the piece, n, and Holm's p of each; "–" from too few seeds."""
    asked = {name: piece(x) for name, x in differences.items() if len(x)}
    enough = [name for name, p in asked.items() if p.half is not None]
    p = metrics.holm([_probability(differences[name]) for name in enough])
    said = {name: f"{x:.2g}" for name, x in zip(enough, p, strict=True)}
    rows = {name: (str(p), p.n, said.get(name, "–")) for name, p in asked.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["points", "n", "p (Holm)"])


def _probability(x: Sequence[float]) -> float:
    """Of a t-test against zero; 1 where all are zero, for which t is 0 / 0."""
    return float(stats.ttest_1samp(x, 0).pvalue) if any(x) else 1.0


def by_seed(lab: Lab, name: str, metric: str = "test_accuracy") -> pd.Series:
    """One value a recorded seed of an arm, by seed."""
    found = lab.runs[lab.runs["arm"] == lab.arm(name).name].set_index("seed")
    return found.reindex(columns=[metric])[metric].dropna().astype(float)


def over(lab: Lab, first: str, second: str, metric: str = "test_accuracy") -> pd.Series:
    """First arm minus second, for the seeds that both have."""
    return (by_seed(lab, first, metric) - by_seed(lab, second, metric)).dropna()


def points(x: Sequence[float]) -> str:
    """In words: the mean of differences in points, with its interval from three seeds on, and n."""
    return f"{piece(x)} (n = {len(x)})" if len(x) else "not recorded"


def unexplained(y: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """What neither its row nor its column explains of each number, and the degrees of freedom.

    y: [settings, seeds] or the other way; two of each at least and all finite, else ValueError. The
    residual of a two-way analysis of variance: settings that share their seeds are compared by it.
    """
    y = y.astype(float)
    if min(y.shape) < 2 or not np.isfinite(y).all(axis=None):
        raise ValueError(f"{y.shape[0]} x {y.shape[1]} results: it takes two of each, all finite.")
    rest = y.sub(y.mean(axis=1), axis=0)
    return rest - rest.mean(), (y.shape[0] - 1) * (y.shape[1] - 1)


def common_scatter(y: pd.DataFrame) -> tuple[float, int]:
    """Of one run around its setting's mean, less each seed's luck: sigma, degrees of freedom.

    y: [settings, seeds], as `unexplained` takes it.
    """
    rest, free = unexplained(y)
    return float((rest**2).to_numpy().sum() / free) ** 0.5, free


def share(part: pd.Series, whole: pd.Series) -> str | None:
    """In words: which percentage of one mean another is, both by seed, with its interval.

    Of the ratios r for which the mean of part - r whole is not distinguishable from zero (Fieller 1954). None
    below three common seeds, and where the whole is not distinguishable from zero: then no r is excluded.
    """
    x, y = part.align(whole, join="inner")
    n = len(x)
    if n < 3 or not piece(y).told:
        return None
    k = stats.t.ppf(0.975, n - 1) ** 2 / n
    (xx, xy), (_, yy) = pd.concat([x, y], axis=1).cov().to_numpy()
    a, b, c = y.mean() ** 2 - k * yy, x.mean() * y.mean() - k * xy, x.mean() ** 2 - k * xx
    half = max(b * b - a * c, 0) ** 0.5
    low, high = (100 * (b + side) / a for side in (-half, half))
    return f"{100 * x.mean() / y.mean():.0f} % ({low:.0f} to {high:.0f} %, n = {n})"
