"""Chapter 06: temperature and alpha in one sweep, and what views and precision are worth."""

from functools import partial

import pandas as pd
from scipy import stats

from kdutils.experiments import Arm, Profile

from . import cifar
from .cifar import scores, student, taught
from .pieces import unexplained

TITLE = "Temperature"

# step: of the temperatures and alphas, every so many
BUDGET = {
    "smoke": {"epochs": 6, "step": 3},
    "laptop": {"epochs": 15, "step": 1},
    "paper": {"epochs": 30, "step": 1},
}

SHARE = 0.2
TEMPERATURES = (1.0, 1.5, 2.0, 4.0, 6.0, 10.0, 20.0)
ALPHAS = (0.25, 0.5, 0.75, 0.9, 1.0)
# (T, alpha) of the poster
POSTER = {
    "CNN5, no dropout": (1.5, 0.5),
    "CNN5, dropout .5": (2.0, 0.95),
    "CNN5, 5 % of the data": (20.0, 0.01),
    "ResNet-18": (6.0, 0.95),
}


def sweep_name(temperature: float, alpha: float) -> str:
    """The name of a setting of the sweep."""
    return f"T = {temperature:g}, alpha = {alpha:g}"


def arms(p: Profile) -> list[Arm]:
    """The arms of this chapter; all of one budget, on a fifth of the images."""
    b, stored_views = BUDGET[p.name], cifar.BUDGET[p.name]["views"]["n_views"]
    epochs = {"epochs": b["epochs"]}
    sweep = partial(Arm, "Temperature and alpha")
    out = [sweep("hard labels", student(p, SHARE, **epochs), scores())]
    step = b["step"]
    for alpha in ALPHAS[::step]:
        for temperature in TEMPERATURES[::step]:
            out.append(
                sweep(
                    sweep_name(temperature, alpha),
                    taught(p, SHARE, temperature=temperature, alpha=alpha, **epochs),
                    scores(taught=True),
                    select="T and alpha",
                    setting=sweep_name(temperature, alpha),
                )
            )
    stored = partial(Arm, "Views and bits")
    for count in sorted({1, stored_views} | ({2, 4} if step == 1 else set())):
        for bits in (16, 8):
            out.append(
                stored(
                    f"{count} views, {bits} bits",
                    taught(p, SHARE, n_views=count, bits=bits, **epochs),
                    scores(taught=True),
                )
            )
        out.append(
            stored(
                f"hard labels, {count} views", student(p, SHARE, n_views=count, **epochs), scores()
            )
        )
    live = taught(p, SHARE, n_views=0, bits=16, **epochs)
    out.append(stored("a new view in every epoch", live, scores(taught=True)))
    return out


def interaction(y: pd.DataFrame) -> tuple[float, float]:
    """The largest interaction of any cell of a grid, in points, and the F-test's p.

    y: one row a cell, [(alpha, T), seeds], complete. Two factors, and seeds as blocks: a seed's own
    luck is common to all cells and is taken off first. ValueError for a grid with holes.
    """
    a, b, n = *map(len, y.index.levels), y.shape[1]
    if len(y) != a * b or min(a, b, n) < 2 or y.isna().any(axis=None):
        raise ValueError(f"a grid of {a} x {b} cells needs {a * b} rows and two seeds: {y.shape}.")
    cells = y.sort_index().mean(axis=1).to_numpy().reshape(a, b)
    both = cells - cells.mean(axis=0) - cells.mean(axis=1, keepdims=True) + cells.mean()
    noise, free = unexplained(y)
    of_grid = (a - 1) * (b - 1)
    f = n * (both**2).sum() / of_grid / ((noise**2).to_numpy().sum() / free)
    return float(abs(both).max()), float(stats.f.sf(f, of_grid, free))


def plainly(found: float, limit: float, small: float = 1.0) -> str:
    """What a range of means, in points, says about them, beside Tukey's limit for equal settings.

    No two differ by more than both together (95 %, simultaneous); below `small` that hardly matters.
    """
    if not found < limit:
        return (
            "These runs tell the best from the worst."
            if found >= limit
            else "One setting has no range."
        )
    most = f"no two of them differ by more than {found + limit:.2f} points (95 % confidence)."
    if found + limit < small:
        return f"**The temperature hardly matters here**: {most}"
    return f"These runs do not tell them apart, and {most}"
