"""The ledger of chapter 04: what a gain is made of, and how much of it luck can pay.

In: differences in points, one value a seed; results by seed and arm. Out: pieces with intervals,
their sum as a sentence and as a waterfall. Numbers that are not finite raise ValueError.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import combinations
from math import comb, hypot
from textwrap import fill
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from kdutils import figures, metrics

from .pieces import Piece, unexplained
from .pieces import family as family
from .pieces import piece as piece

Worth = TypeVar("Worth", float, pd.Series)  # one number, or one a seed


class Row(NamedTuple):
    """A line of the ledger. kind: "step"; "total", counted from zero; "rest", up to the claim.

    piece: None for a rest that means nothing, because the claim is of other data.
    """

    label: str
    piece: Piece | None
    kind: str = "step"


def joined(a: Piece, b: Piece) -> Piece:
    """The sum of two pieces whose errors are independent: half-widths add as squares."""
    half = None if None in (a.half, b.half) else hypot(a.half, b.half)
    return Piece(a.mean + b.mean, half, min(a.n, b.n))


def shapley(value: Callable[[frozenset], Worth], players: Collection[str]) -> dict[str, Worth]:
    """Each player's mean contribution over all orders of joining, by the formula over subsets.

    value: what a set of players is worth. The shares sum to value(all) - value(none).
    """
    n, shares = len(players), {}
    for player in players:
        rest, parts = [p for p in players if p != player], []
        for size in range(n):
            for some in map(frozenset, combinations(rest, size)):
                gained = value(some | {player}) - value(some)
                parts.append(gained / (n * comb(n - 1, size)))
        shares[player] = sum(parts)
    return shares


def left_over(results: pd.DataFrame) -> np.ndarray:
    """What neither its arm nor its seed explains of each run, [seeds * arms].

    results: [seeds, arms], as `unexplained` takes it. Runs of one seed share their initial weights
    and views, so part of a deviation is common to a seed and cancels in a gain. Scaled up for the
    degrees of freedom that the means took.
    """
    rest, free = unexplained(results)
    return (rest * (rest.size / free) ** 0.5).to_numpy().ravel()


def best_of(deviations: Sequence[float], k: int, power: int = 1) -> float:
    """The expected maximum of k draws, with replacement, from these deviations; exact.

    The i-th smallest of N is the maximum with probability (i / N)^k - ((i - 1) / N)^k.
    power: of the maximum, so that 2 gives its second moment.
    """
    ordered = np.sort(np.asarray(deviations, dtype=float))
    if not len(ordered) or not np.isfinite(ordered).all() or k < 1:
        raise ValueError(f"best_of takes finite deviations and k >= 1, not {deviations!r}, {k!r}.")
    return float(ordered**power @ np.diff((np.arange(len(ordered) + 1) / len(ordered)) ** k))


def published_once(results: pd.DataFrame, k: int) -> float:
    """How far one published gain may lie from its mean over seeds: a half-width of 95 %, points.

    The gain is the best of k settings minus one plain run, both of one seed.
    """
    left = left_over(results)
    variance = best_of(left, k, power=2) - best_of(left, k) ** 2 + np.mean(left**2)
    return float(stats.norm.ppf(0.975) * variance**0.5)


def luck(results: pd.DataFrame, k: int) -> Piece:
    """What the best of k equal settings gains by luck: `best_of` the runs' `left_over`.

    The interval is a jackknife's over seeds: each seed is left out once. A bootstrap over runs
    would be too narrow here: it covers 7 of 10 times on normal numbers, the jackknife 9 of 10.
    """
    seeds = len(results)
    found, half = best_of(left_over(results), k), None
    if seeds >= metrics.ENOUGH:
        without = [best_of(left_over(results.drop(index=seed)), k) for seed in results.index]
        error = (seeds - 1) / seeds**0.5 * np.std(without, ddof=1)
        half = float(stats.t.ppf(0.975, seeds - 1) * error)
    return Piece(found, half, seeds)


def sentence(share: str, rows: Sequence[Row], claim: float | None = None, what: str = "") -> str:
    """What the false gain was made of, in one sentence of markdown that holds at any outcome.

    rows: steps, then the first total; each later total is the teacher's own gain, under what its
    label names after a comma. claim: the published
    gain, and `what` it was published for; without a claim the data are toys, and it says so. A row
    of kind "rest" is what the total lacks to the claim.
    """
    first = next(k for k, row in enumerate(rows) if row.kind == "total")
    total, made = rows[first].piece, []
    right = [
        (row.piece, row.label.partition(", ")[2])
        for row in rows[first + 1 :]
        if row.kind == "total"
    ]
    steps = [row for row in rows[:first] if "luck" not in row.label]
    for said, test in (
        ("raised by {}", lambda p: p.told and p.mean > 0),
        ("lowered by {}", lambda p: p.told and p.mean < 0),
        ("with {}, where the interval includes zero", lambda p: p.told is False),
        ("with {}, from too few seeds for an interval", lambda p: p.told is None),
    ):
        if some := [f"{r.label} ({r.piece})" for r in steps if test(r.piece)]:
            made.append(said.format(" and ".join(filter(None, [", ".join(some[:-1]), some[-1]]))))
    text = (
        f"our imitation of the false gain is **{total} points** (n = {total.n}{_unclear(total)}), "
    )
    for row in rows[:first]:
        if row not in steps:  # its interval does not ask whether there is any
            made.append(f"and {row.label}, above zero by construction, put at {row.piece}")
    text += "; ".join(made)
    if claim is not None:
        text += f"; published {what}: +{claim:g}"
        for rest in (row.piece for row in rows if row.kind == "rest" and row.piece):
            side = "more" if rest.mean > 0 else "less"
            size = str(rest._replace(mean=abs(rest.mean)))[1:]
            text += f", which is {size} {side} than this sum{_unclear(rest)}"
    text += "; with its faults mended, the teacher adds "
    text += " and ".join(f"**{p}**{' ' * bool(how)}{how}{_unclear(p)}" for p, how in right) + "."
    return ("" if claim is not None else "**Toy data, not a result.** ") + f"With {share}, {text}"


def _unclear(p: Piece) -> str:
    return ", not distinguishable from zero" if p.told is False else ""


def waterfalls(
    fig: Figure,
    accounts: Mapping[str, Sequence[Row]],
    claims: Mapping[str, tuple[float, int, str]],
) -> str:
    """A ledger in each of the figure's axes, by its title; in words, for alternative text.

    claims: published gain, settings tried, and what it was published for; toy data have none.
    """
    said = []
    for ax, (share, rows) in zip(fig.axes, accounts.items(), strict=True):
        claim, _, what = claims.get(share, (None, 0, ""))
        said.append(f"{share}: {_waterfall(ax, rows, claim)}")
        xlabel = "points over hard labels with Adam\nwhiskers: 95 % interval of the row's own value"
        if claim is not None:
            xlabel += "\n" + fill(f"dotted: +{claim:g}, published {what}", 36)
        ax.set(title=share, xlabel=xlabel)
        ax.use_sticky_edges = False  # room beyond the longest bar
        ax.margins(x=0.06)
    return ". ".join(said)


def _waterfall(ax: Axes, rows: Sequence[Row], claim: float | None = None) -> str:
    """Draw the rows under each other, each from where the last one ended; the totals in words.

    Whiskers are 95 % intervals of a row's own value, a dotted line and a diamond the claim.
    """
    looks = {
        "up": {"color": figures.COLORS[6]},
        "down": {"color": figures.COLORS[1], "hatch": "//"},
        "total": {"color": "0.85"},
        "rest": {"color": "white", "hatch": ".."},
    }
    end = 0.0
    for y, (_, p, kind) in enumerate(rows):
        beside = {"transform": ax.get_yaxis_transform(), "va": "center"}
        if p is None:
            ax.text(1.02, y, "other data", **beside)
            ax.plot([end, end], [y, y + 1], color="0.4", lw=0.8, ls="-", marker="", zorder=0)
            continue
        start = {"total": 0.0, "rest": (claim or 0) - p.mean}.get(kind, end)
        look = looks["up" if p.mean > 0 else "down"] if kind == "step" else looks[kind]
        ax.barh(y, p.mean, left=start, height=0.66, edgecolor="k", lw=0.8, **look)
        ax.errorbar(start + p.mean, y, xerr=p.half, color="k", capsize=3, lw=1.4, marker="")
        weight = "bold" if kind == "total" else "normal"
        ax.text(1.02, y, str(p), fontweight=weight, **beside)
        end = end if kind == "rest" else start + p.mean  # where the next row starts
        if y < len(rows) - 1:
            ax.plot([end, end], [y, y + 1], color="0.4", lw=0.8, ls="-", marker="", zorder=0)
    ax.axvline(0, color="k", lw=1, ls="-", marker="", zorder=0)
    ax.set_yticks(range(len(rows)), [row.label for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(False, axis="y")
    if claim is not None:
        ax.axvline(claim, color="k", lw=1, ls=":", marker="", zorder=0)
        figures.reference(ax, claim, next(k for k, row in enumerate(rows) if row.kind == "total"))
    return "; ".join(f"{row.label} {row.piece or 'is of other data'}" for row in rows)
