"""The look of every figure, and how one gets into a notebook.

In: matplotlib figures. Out: an image with a description in the notebook, a file where one is asked
for, and nothing else in the outputs.
"""

import io
import os
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

import matplotlib.pyplot as plt
import seaborn
from IPython.display import Image, display
from matplotlib import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from . import ROOT, metrics

# Okabe and Ito's colours, which every kind of colour vision tells apart, in an order whose
# neighbours also differ in lightness; dashes and markers say the same once more, in print too.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#000000", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def theme() -> None:
    """Set the look for all figures that follow: clean axes, the cycle above, stable SVG."""
    cycle = cycler(color=COLORS) + cycler(linestyle=DASHES) + cycler(marker=MARKERS)
    cycle *= cycler(markevery=[0.1])  # of the axes' diagonal: a long curve stays a curve
    seaborn.set_theme(style="ticks", palette=COLORS)
    plt.rc("axes", prop_cycle=cycle, grid=True, titlelocation="left", labelsize=11)
    plt.rc("axes.spines", top=False, right=False)
    plt.rc("grid", color="#e3e3e3", linewidth=0.8)
    plt.rc(("xtick", "ytick"), labelsize=10)
    plt.rc("legend", frameon=False, fontsize=10)
    plt.rc("lines", linewidth=1.8, markersize=5)
    plt.rc("figure", figsize=(7, 4), dpi=100)
    plt.rc("figure.constrained_layout", use=True)
    plt.rc("image", cmap="cividis")
    plt.rc("font", **{"sans-serif": "DejaVu Sans"})  # ships with matplotlib: the same everywhere
    plt.rc("svg", hashsalt="kdutils", fonttype="none")


def show(fig: Figure, *, alt: str, name: str | None = None) -> None:
    """Show the figure in the notebook, close it and leave nothing else in the cell's output.

    `alt` says what the figure shows to whoever cannot see it, in at least 20 characters; ValueError
    without. With a `name` the figure is also saved, as SVG and PNG, if KDUTILS_FIGURES names a
    folder for that (from the repository on); the same figure gives the same bytes.
    """
    if len(alt.strip()) < 20:
        raise ValueError(f"alt = {alt!r} is too short: say in a sentence what the figure shows.")
    fig.draw_without_rendering()  # the layout needs two passes: images keep their aspect
    stream = io.BytesIO()
    # Twice the dots, shown at their half: sharp on a dense screen.
    fig.savefig(stream, format="png", dpi=2 * fig.dpi, metadata={"Software": None})
    if name is not None and (folder := os.environ.get("KDUTILS_FIGURES")):
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
        (ROOT / folder / f"{name}.png").write_bytes(stream.getvalue())
        fig.savefig(ROOT / folder / f"{name}.svg", metadata={"Date": None})
    plt.close(fig)
    png, size = Image(stream.getvalue(), retina=True)._repr_png_()
    metadata = {"image/png": {"alt": alt, **size}}
    display({"image/png": png, "text/plain": alt}, metadata=metadata, raw=True)


def dot(ax: Axes, x: float, y: float, style: int = 0, **options) -> None:
    """A mean with the whiskers of its interval: the dot-and-whisker of every results figure.

    style: which colour and marker. options: as `Axes.errorbar` takes them; xerr or yerr is the
    half-width, None for a single run.
    """
    look = {"color": COLORS[style], "mfc": "white" if style % 2 else COLORS[style], "ms": 7}
    look |= {"fmt": MARKERS[style], "capsize": 3, "elinewidth": 1.5, "markevery": 1, "zorder": 2}
    ax.errorbar(x, y, **look, **options)


def dots(
    ax: Axes,
    values: Mapping[str, Sequence[float]],
    published: Mapping[str, float | None] | None = None,
    *,
    label: str | None = None,
    at_least: float = 0.5,
    also: Collection[float] = (),
) -> str:
    """Arms under each other: a tick a seed, mean and interval as `dot`, published as `reference`.

    values: one list of numbers an arm, in the order of the rows from the top. label: of the means,
    for a legend. The axis holds all of these and `also`, with `at_least` so much room on both
    sides; an interval that reaches farther ends in an arrow at the edge. Returns the means in
    words, for alternative text.
    """
    known = {n: at for n, at in (published or {}).items() if n in values and at is not None}
    held = [*also, *known.values(), *chain(*values.values())]
    room = max(0.12 * (max(held) - min(held)), at_least)
    low, high = min(held) - room, max(held) + room
    ax.set(xlim=(low, high), ylim=(len(values) - 0.5, -0.5))
    ax.set_yticks(range(len(values)), list(values))
    said = []
    for k, (name, found) in enumerate(values.items()):
        mean, half = metrics.shown_ci(found)
        dot(ax, mean, k, xerr=half, label=None if k else label)
        ax.scatter(found, [k] * len(found), marker="|", color="0.5", zorder=1)
        for edge, marker in ((low, "<"), (high, ">")):
            if half and abs(edge - mean) < half:
                ax.plot(edge, k, marker, color=COLORS[0], ms=7, clip_on=False, markevery=1)
        said.append(f"{name} {mean:.2f}")
        if name in known:
            reference(ax, known[name], k, "published" if name == next(iter(known)) else None)
            said[-1] += f" (published {known[name]:g})"
    return "; ".join(said)


def reference(ax: Axes, x: float, y: float, label: str | None = None) -> None:
    """A published value, as the open diamond that stands for one in every results figure."""
    ax.plot(x, y, "D", mfc="white", mec="k", ms=7, ls="", markevery=1, zorder=3, label=label)


def log_x(ax: Axes) -> None:
    """A logarithmic axis, after all is drawn, with plain numbers: 1, 3, 10; of a decade 1, 2, 5."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 3) if high > 12 * low else (1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:,g}")
    ax.minorticks_off()


def count(
    fig: Figure, n: Collection[int], where: str, unit: str = "seeds", bars: bool = True
) -> None:
    """Write under a figure what it rests on: data set, number of runs, kind of bars if it has any.

    where: the data set, and the profile if runs depend on it.
    """
    many = " to ".join(map(str, sorted({min(n), max(n)})))
    kind = "; bars: 95 % intervals" if bars and max(n) >= metrics.ENOUGH else ""
    note = f"{where}; n = {many} {unit}{kind}"
    fig.supxlabel(note, fontsize=9, color="#444444", x=0.99, ha="right")
