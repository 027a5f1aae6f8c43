# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 · A small student lost to its twin. Was it the teacher?
#
# A public project distils a network of 4.7 million parameters into one of 107,000. The result surprised
# its author: the distilled student was 1.84 points *worse* than the same student without a teacher.
# Three explanations were offered: the student is too small, the temperature is wrong, the teacher has
# too much weight. Each sounds plausible. None of them was tested.
#
# This chapter first asks a question that comes before any explanation: is the loss there at all? Then it
# varies what the explanations name, and two things that nobody named: the dropout of the student and the
# quality of the teacher. Finally it measures what such a student is made for. Small networks are trained for phones and
# cheap chips, so their price matters as much as their accuracy. You will see why the project's own
# "efficiency score" rewarded the worse of two identical networks.
#
# **You will be able to**
#
# - say how large a difference two single runs show by chance alone;
# - separate the effects of a student's dropout, of its teacher and of its schedule;
# - measure size, arithmetic and latency, and say what a timing cannot resolve;
# - draw the front of the students that are worth having.
#
# You need [chapter 01](01_soft_and_hard_targets.ipynb) (the loss). Stored answers come from
# [chapter 04](04_cnn5_from_a_larger_network.ipynb).
#
# *Time:* under a minute on `smoke` and on `laptop`, which reads recorded runs (the second
# cell says how long they trained); a GPU and a few hours on `paper`.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from kdutils.experiments import Lab

lab = Lab("08", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write down five guesses. They are answered by number in section 8.
#
# 1. Train the distilled student and its twin again, with several seeds. How many points lie between
#    their means, and in whose favour?
# 2. Two runs of the *same* student differ in their seed alone. How many points lie between them, on
#    average?
# 3. Two changes: a much better teacher, or a student without its dropout. Which one helps the distilled
#    student more?
# 4. The student has a forty-fourth of its teacher's parameters. How many times faster does it answer?
# 5. One network is timed twice, under two names. By how many percent do the two results differ?
#
# ## 1. The published table

# %%
import pandas as pd

ex = lab.experiments
columns = ["accuracy (%)", "MB", "parameters", "ms a batch", "efficiency score"]
printed = pd.DataFrame.from_dict(ex.PRINTED, orient="index", columns=columns)
printed

# %% [markdown]
# All three networks were trained for 15 epochs on CIFAR-10, once. The last column is explained as
# *accuracy / (size × inference time)*. By that score the distilled student is the best of the three.
#
# **Your turn.** Compute the score as it is explained, and the same without the size.


# %% tags=["your-turn"]
def efficiency(accuracy: float, megabytes: float, milliseconds: float) -> tuple[float, float]:
    """Accuracy / (size x time), as explained; and accuracy / time."""
    # your turn: the two quotients
    return accuracy / (megabytes * milliseconds), accuracy / milliseconds
    # end


# %% tags=["check", "nbval-check-output"]
assert efficiency(80.0, 2.0, 10.0) == (4.0, 8.0), "80 / (2 * 10) and 80 / 10"
scores = {name: efficiency(row[0], row[1], row[3]) for name, row in ex.PRINTED.items()}
frame = pd.DataFrame(scores, index=["as explained", "without the size"]).T
frame["printed"] = printed["efficiency score"]
assert (frame["without the size"] - frame["printed"]).abs().max() < 0.01
print(frame.round(2))

# %% [markdown]
# The printed score leaves the size out. That is a slip, and the ranking would be the same with it. Look
# at the last two rows instead. Both are **the same network**: same layers, same size, same
# multiplications for an image. The distilled one scores higher because its timing took 7 % less. So the
# score has put the *less* accurate of two twins first, on the strength of a timing error.
#
# Any score of the form "accuracy over cost" has a second weakness. Guessing costs nothing, so a network
# that answers at random has an infinite score. Section 7 compares networks without dividing.
#
# ## 2. Two networks
#
# The student is small enough to count by hand; the program counts the others.
# [Chapter 90](90_four_architectures.ipynb) derives the two
# rules: a $k \times k$ convolution from $n$ to $m$ channels has $k^2 n m$ weights and $m$ biases, and on
# $H \times W$ positions it multiplies $H W k^2 n m$ times. Each product is added to a sum, so one speaks of
# *multiply-accumulates*, MACs. FastNet, the strong teacher of section 4, is counted beside the project's two. (It
# answers for an image and for its mirror image and takes the mean. Half of its multiplications are that.)

# %%
import torch
from experiments.networks import count_macs, largest_maps

from kdutils import models


def by_hand(widths=(3, 16, 32, 64, 128), size: int = 32) -> tuple[int, int]:
    """Parameters and multiplications of the student: four convolutions, two linear layers."""
    parameters, macs = 0, 0
    for n, m in zip(widths, widths[1:], strict=False):
        parameters += 9 * n * m + m + 2 * m  # weights, biases, batch norm's scale and shift
        macs += size * size * 9 * n * m
        size //= 2  # a max-pool; the last one is left out, but nothing follows it
    for n, m in ((widths[-1], widths[-1] // 2), (widths[-1] // 2, 10)):
        parameters += n * m + m
        macs += n * m
    return parameters, macs


nets = {name: models.build(name).eval() for name in ("seed003-teacher", "seed003-student")}
everyone = nets | {"fastnet": models.build("fastnet").eval()}
counted = {name: (models.count_parameters(net), count_macs(net)) for name, net in everyone.items()}
assert by_hand() == counted["seed003-student"]
for name, (parameters, macs) in counted.items():
    print(f"{name}: {parameters:,} parameters, {macs / 1e6:.1f} million MACs")

# %% [markdown]
# The teacher is called ResNet-18 in the project. It has no residual connection, seven convolutions, and
# a stem that was made for large photographs: after two layers, an image of 32 × 32 is down to 8 × 8. So
# it has many weights, but uses each at few positions. The student works on large images with few
# channels. Compare FastNet with the project's teacher: fewer parameters, and more arithmetic, even for
# one of its two answers. Parameters say little about what an answer costs.
#
# ## 3. Is the loss of 1.84 points there?
#
# We repeat the comparison with the project's recipe: Adam at .001, halved after every third of the
# epochs, $T = 4$, $\alpha = .7$. Ours are: 5,000 training images kept for validation, CIFAR-10's own mean and
# deviation (the project has ImageNet's), bfloat16 arithmetic, and stored answers in 8 bits about a few
# views of each image, which the student sees in turn.

# %%
from IPython.display import display

display(lab.recipes("hard labels", "from its own teacher"))
lab.table(["teacher", ex.STRONG, "hard labels", "from its own teacher"])

# %%
lab.differences("test_accuracy", {
    "Distilled minus hard labels, its own recipe": ("from its own teacher", "hard labels"),
})  # fmt: skip

# %% [markdown]
# Compare this with the published −1.84. Whatever the difference of the means is, a table of single runs
# shows something else: one draw for each row. How far can two draws lie apart?
#
# Let one run of a method scatter around the method's mean with standard deviation $\sigma$. The
# difference of two single runs of equally good methods then scatters with $\sqrt 2\,\sigma$. If $\sigma$
# is estimated from runs with $f$ degrees of freedom, the ratio of the difference to
# $\sqrt 2\, s$ has a $t$-distribution.
#
# **Your turn.** With which probability do two equally good methods, one run each, lie at least `gap`
# points apart?

# %% tags=["your-turn"]
from scipy import stats


def by_chance(gap: float, sigma: float, freedom: int) -> float:
    """P(|difference of two single runs| >= gap) for equal methods; sigma estimated."""
    # your turn: both tails of the t-distribution (stats.t.sf is one)
    return float(2 * stats.t.sf(gap / (2**0.5 * sigma), freedom))
    # end


# %% tags=["check", "nbval-check-output"]
import numpy as np

dice = np.random.default_rng(0)
runs = dice.normal(70, 0.9, (200_000, 2))  # two runs of one method
assert abs(by_chance(1.84, 0.9, 10**6) - (abs(runs[:, 0] - runs[:, 1]) >= 1.84).mean()) < 0.004
assert by_chance(0.0, 1.0, 4) == 1.0, "any two runs are at least 0 apart"
assert by_chance(1.84, 0.9, 4) > by_chance(1.84, 0.9, 40), "a badly known sigma allows for more"
print(f"If sigma were .9, a gap of 1.84 would come by chance in {by_chance(1.84, 0.9, 10**6):.0%}.")

# %% [markdown]
# Now with our own scatter. There is a second one in the records: the accuracy also moves from one epoch
# to the next, within a run. A run that stopped an epoch earlier would have printed another number.
# (The project's own log shows 72.07 after epoch 14 and 70.86 after epoch 15.) The curves show both, and the first
# two rows of the table measure both in the same way, on the same validation images.
#
# The last two rows ask about the published pair. By chance alone, do two equally good methods lie so far
# apart? And is the published gap compatible with *our* difference? The second question is answered like the
# first. But our own difference is also an estimate, which makes $\sqrt 2\,s$ a little larger.


# %%
import matplotlib.pyplot as plt
import seaborn

from kdutils import figures, metrics


def curves(name: str) -> np.ndarray:
    """Validation accuracy in percent after each epoch, one row a recorded seed: [seeds, epochs]."""
    n, epochs = len(lab.dataset("cifar10").val), lab.arm(name).recipe.epochs
    found = [[epoch["val_errors"] for epoch in record.curve] for record in lab.records(name)]
    return 100 * (1 - np.array(found).reshape(-1, epochs) / n)


def pooled(groups: list[np.ndarray]) -> tuple[float, int]:
    """The standard deviation around each group's own mean; its degrees of freedom."""
    freedom = sum(len(x) - 1 for x in groups if len(x))  # none with one seed: then all is "nan"
    squares = sum(((x - x.mean()) ** 2).sum() for x in groups if len(x))
    return (float(squares / freedom) ** 0.5 if freedom else np.nan), freedom


pair = ["hard labels", "from its own teacher"]
gap = ex.PRINTED["hard labels"][0] - ex.PRINTED["from its own teacher"][0]  # 1.84
last = [np.array(lab.values(name, "test_accuracy")) for name in pair]
sigma, freedom = pooled(last)
apart = 2 * sigma / np.pi**0.5  # the mean distance of two normal numbers
on_val = 2 * pooled([curves(name)[:, -1] for name in pair])[0] / np.pi**0.5
swing = np.concatenate([np.diff(curves(name)[:, -5:]).ravel() for name in pair])  # late steps
step = abs(swing).mean() if freedom else np.nan
chance = by_chance(gap, sigma, freedom)
ours = last[1].mean() - last[0].mean() if freedom else np.nan
wider = (1 + sum(1 / len(x) for x in last) / 2) ** 0.5 if freedom else np.nan
fits = by_chance(abs(-gap - ours), sigma * wider, freedom)
pd.Series({
    "validation: two single runs lie apart by, on average (points)": f"{on_val:.2f}",
    "validation: a run lies apart from itself one late epoch before (points)": f"{step:.2f}",
    "test: two single runs lie apart by, on average (points)": f"{apart:.2f}",
    f"equal methods, one run each: {gap:.2f} or more apart": f"{chance:.1%}",
    f"methods {ours:+.2f} apart, as ours, one run each: as far from that as −{gap:.2f}": f"{fits:.1%}",
}, name="").to_frame()  # fmt: skip

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 3.8))
drawn = list(filter(lab.records, pair))
for style, name in enumerate(drawn):
    y, look = curves(name), {"color": figures.COLORS[style], "ls": figures.DASHES[style]}
    epochs = range(1, y.shape[1] + 1)
    ax.plot(epochs, y.T, marker="", lw=0.7, alpha=0.6, **look)
    ax.plot(epochs, y.mean(axis=0), marker=figures.MARKERS[style], markevery=1, label=f"{name} (thick: mean)", **look)  # fmt: skip
ax.set(xlabel="epoch", ylabel="validation accuracy (%)")
ax.legend(loc="lower right")
words = "; ".join(f"{name}: {curves(name)[:, -1].mean():.1f} at the end" for name in drawn)
alt = f"Validation accuracy by epoch, one line a seed. {words}."
lab.show(fig, "08_curves", alt, drawn, bars=False)

# %% [markdown]
# Thin lines are single runs. Choose one line of each kind and read off the last point: that is what a
# table of single runs prints. Then try the same one epoch earlier.
#
# ## 4. Teacher or dropout?
#
# The project's student has two dropout layers behind its convolutions: it drops half of 128 features,
# and then 30 % of 64. Dropout is a cure for networks that fit their training images too well. This
# one has 107,000 parameters and sees each image once in every epoch, cropped and mirrored (with a teacher, in a
# few stored ways). So does it need the cure? And its teacher is weak. A better one is available: FastNet of
# [chapter 04](04_cnn5_from_a_larger_network.ipynb), whose answers are stored.
#
# Two questions, so a table of two factors: the dropout on or off, and three ways to learn. Everything
# else stays as it was.

# %%
said = {"": "as published", ", no dropout": "no dropout"}
rows = {said[without]: {learns: lab.cell(f"{learns}{without}", "test_accuracy") for learns in ex.LEARNS}
        for without in ex.DROPOUT.values()}  # fmt: skip
pd.DataFrame(rows).T

# %%
from experiments import pieces
from experiments.pieces import points


def over(first: str, second: str = ex.HARD) -> pd.Series:
    """First arm minus second, in points of test accuracy, for the seeds that both have."""
    return pieces.over(lab, first, second)


plain = {learns: f"{learns}, no dropout" for learns in ex.LEARNS}
weak, strong = ex.FROM_WEAK, ex.FROM_STRONG
asked = {
    "its own teacher, with dropout": over(weak),
    "its own teacher, without dropout": over(plain[weak], plain[ex.HARD]),
    "a strong teacher, with dropout": over(strong),
    "a strong teacher, without dropout": over(plain[strong], plain[ex.HARD]),
    "a strong teacher for its own one, with dropout": over(strong, weak),
    "a strong teacher for its own one, without dropout": over(plain[strong], plain[weak]),
    "no dropout, hard labels": over(plain[ex.HARD]),
    "no dropout, its own teacher": over(plain[weak], weak),
    "no dropout rather than a strong teacher": over(plain[weak], strong),
}
asked["strong teacher: its gain without dropout, less that with it"] = (
    asked["a strong teacher, without dropout"] - asked["a strong teacher, with dropout"]
).dropna()
corrected = pieces.family(asked)
corrected

# %% tags=["hide-input"]
names = [f"{learns}{without}" for without in ex.DROPOUT.values() for learns in ex.LEARNS]
names += [ex.best_name(learns) for learns in (ex.HARD, ex.FROM_STRONG)]
if sum(map(bool, map(lab.records, names))) > 3:
    fig, ax = plt.subplots(figsize=(8, 3.6))
    words = lab.dots(ax, names)
    ax.set(xlabel="test accuracy (%); diamonds: published, ticks: seeds")
    lab.show(fig, "08_students", f"Test accuracy (%): {words}.", names)

# %% [markdown]
# A teacher's gain is the distance within a block of three; the dropout's is the distance between the
# blocks. (The last two rows have another recipe and belong to the next table.) The table above says in points what
# is added by each change. Its questions were asked together, so their $p$-values are corrected together (Holm's
# method, [chapter 07](07_confusion_matrices.ipynb)). The intervals are *not* corrected: where one excludes zero and
# its $p$ is above .05, take the $p$. Rows with different $n$ rest on different seeds and need not add up. The
# first row was asked alone in section 3; here it counts as one of ten. The last row is an *interaction*:
# whether the teacher's gain depends on the dropout.
#
# Is the project's recipe the best for these students? The next table keeps the network, without dropout.
# Its first row has the project's recipe. The others have one-cycle SGD, with its own rate and weight decay:
# first for the same epochs, then for more.

# %%
from itertools import pairwise

base = lab.arms[plain[ex.HARD]].recipe.epochs
variants = {f"the project's recipe, {base} epochs": lambda learns: plain[learns]}
for k in (1, *ex.BUDGET[PROFILE]["longer"]):
    variants[f"one-cycle SGD, {k * base} epochs"] = lambda learns, k=k: ex.best_name(learns, k)

table = {}
for said, named in variants.items():
    hard, taught = named(ex.HARD), named(ex.FROM_STRONG)
    cells = [lab.cell(name, "test_accuracy") for name in (hard, taught)]
    table[said] = [*cells, points(over(taught, hard))]
columns = ["hard labels", "strong teacher", "gain"]
display(pd.DataFrame.from_dict(table, orient="index", columns=columns))
changed = {}
for (before, a), (after, b) in pairwise(variants.items()):
    gains = [over(named(ex.FROM_STRONG), named(ex.HARD)) for named in (a, b)]
    changed[f"gain: {after}, less {before}"] = (gains[1] - gains[0]).dropna()
    changed[f"hard labels: {after}, less {before}"] = over(b(ex.HARD), a(ex.HARD))
pieces.family(changed)

# %% [markdown]
# Compare the first two rows: the network and the epochs are the same. What the recipe adds to *both*
# students has nothing to do with a teacher. Then ask whether the gain changes at all; the second table has its
# interval. A gain that falls as the epochs grow can have three reasons. The teacher gave speed, which more
# epochs give as well. Or its stored views are used up: the distilled student sees the same few again and again,
# the hard-label student gets new ones. Or both come near what this network can do. More stored views would test
# the second reason, a wider network the third.
#
# ## 5. The grid that the project proposed
#
# The project ends with a list of what to try next. Features, attention, a critic and other orders of teaching are in
# [chapter 12](12_inside_the_teacher.ipynb), several teachers in [chapter 09](09_big_teachers.ipynb). The first
# item is a search: $T$ from 1 to 5, five weights $\alpha$, for its own
# student and its own teacher. It would test two of the three explanations.

# %%
grid = lab.runs[lab.runs["table"] == "Temperature and alpha"].copy()
grid["T"] = [record.recipe.temperature for record in grid["record"]]
grid["α"] = [record.recipe.alpha for record in grid["record"]]
cells = [name for name, arm in lab.arms.items() if arm.select]
wide = grid.pivot_table(["val_accuracy", "test_accuracy"], ["α", "T"], "seed").dropna(axis=1)
complete = len(wide) == len(cells) and len(wide.columns) > 0  # all cells, at seeds that they share


def spread(metric: str) -> tuple[float, int]:
    """The standard deviation of one run of a cell, less each seed's luck; its degrees of freedom.

    With one seed there is nothing to estimate it from, so the two rows of section 3 lend theirs.
    """
    if wide[metric].shape[1] > 1:
        return pieces.common_scatter(wide[metric])
    return pooled([np.array(lab.values(name, metric)) for name in pair])


title, known = "one seed: no limits", complete and spread("val_accuracy")[1] > 0
if known:
    (scatter, free), n = spread("val_accuracy"), wide["val_accuracy"].shape[1]
    lsd = stats.t.ppf(0.975, free) * scatter * (2 / n) ** 0.5
    title = f"two cells named beforehand differ if more than {lsd:.2f} apart"
print(f"{grid['arm'].nunique()} of {len(cells)} settings are recorded, {len(grid)} runs in all.")

# %% tags=["hide-input"]
if complete:
    mean = wide["val_accuracy"].mean(axis=1).unstack("T")
    fig, ax = plt.subplots(figsize=(7.5, 4.2))
    seaborn.heatmap(mean, annot=True, fmt=".2f", ax=ax, cbar_kws={"label": "validation accuracy (%)"})  # fmt: skip
    ax.set(xlabel="temperature T", ylabel="weight α", title=title)
    ax.invert_yaxis()
    words = "; ".join(f"α {a:g}, T {t:g}: {x:.1f}" for (a, t), x in mean.stack().items())
    where = f"{lab.arm(cells[0]).recipe.dataset}, profile {PROFILE}"
    figures.count(fig, [wide["val_accuracy"].shape[1]], where, bars=False)
    figures.show(fig, name="08_grid", alt=f"Validation accuracy, {title}. {words}.")

# %% [markdown]
# With few seeds, each cell's own scatter is badly known. So we *assume* that all cells scatter alike, and let them
# share one $\sigma$, estimated from all of them together; what a seed does to all cells alike is taken off first.
# (Where there is one seed, nothing can be taken off. Then $\sigma$ is borrowed from the two rows of section 3, which
# have the same network, budget and schedule and several seeds. It holds the luck of seeds, too, so it
# is too large on average; a few runs know it badly, and we assume that the grid scatters as these rows do.)
# The title says how far apart two cells must be that you named before you looked. For the best and the worst of
# all cells the limit is larger. It comes next, as in [chapter 06](06_temperature.ipynb): how far apart would they
# look, if all were equally good?
#
# Validation chooses the best cell. But a cell is chosen partly because its runs were lucky, and those very runs are
# lucky on the test images, too. So each seed's cell is chosen by the *other* seeds; with one
# seed, none is chosen.
#
# And each explanation names one knob. So we look at one at a time, with all runs: its two ends, averaged over the
# other knob. (Their ± uses the same $\sigma$, and takes the runs of one seed as independent but for what all cells share.
# Neighbouring cells are nearly the same run, so these limits may be too narrow; one seed cannot tell.)

# %%
crossed = "not recorded at two seeds"
if known:
    val, y = wide["val_accuracy"], wide["test_accuracy"]
    (scatter, free), n = spread("test_accuracy"), y.shape[1]
    if n > 1:
        picked = {s: val.drop(columns=s).mean(axis=1).idxmax() for s in val}  # by the other seeds
        found = pd.Series({s: y.loc[cell, s] for s, cell in picked.items()})
        found = (found - pieces.by_seed(lab, ex.HARD)).dropna()
        crossed = f"chosen by validation, for each seed by the others: {points(found)}"
        print(f"All seeds choose {lab.best('T and alpha').name}. Over hard labels, in points, {crossed}.")  # fmt: skip
    limit = stats.studentized_range.ppf(0.95, len(y), free) * scatter / n**0.5
    print(f"Best minus worst cell, test: {np.ptp(y.mean(axis=1)):.2f} points; equal settings stay")
    print(f"below {limit:.2f} in 95 of 100 searches (Tukey; a cell has {n} run{'s' * (n > 1)}).")
    knobs = {}
    for knob in ("T", "α"):
        mean = y.groupby(level=knob).mean().mean(axis=1)  # over the other knob and the seeds
        low, high = mean.index.min(), mean.index.max()
        error = scatter * (2 * len(mean) / y.size) ** 0.5  # of a difference of two such means
        change = mean[low] - mean[high]
        half, p = stats.t.ppf(0.975, free) * error, 2 * stats.t.sf(abs(change) / error, free)
        knobs[f"{knob} = {low:g} rather than {high:g}"] = (f"{change:+.2f} ± {half:.2f}", p)
    knobs = pd.DataFrame(knobs, index=["points", "p (Holm)"]).T
    knobs["p (Holm)"] = [f"{p:.2g}" for p in metrics.holm(knobs["p (Holm)"])]
    display(knobs)
else:
    print("The grid is not recorded as a whole, or nothing says how far its runs scatter.")

# %% [markdown]
# ## 6. What does an answer cost?
#
# Parameters and multiplications can be counted. **Latency**, the time from an image to its answer, has
# to be measured, and the same code takes a different time on every call. Four rules make a timing worth
# reporting:
#
# 1. *Warm up.* The first calls allocate memory and choose kernels. They are not timed.
# 2. *Take turns, in a new random order in each round.* A machine that slows down half-way must not hit one
#    network alone. And a network that always follows a large one would always find the caches emptied.
# 3. *Report the median and a high percentile.* A mean is pulled by the few calls during which the
#    machine did something else. The 95th percentile says how bad the slow calls are; it takes a hundred
#    calls or so to know it.
# 4. *Time the same thing several times.* Two or more names for one network, an **A/A control**, show what
#    the timing cannot resolve.
#
# **Your turn.** Write the loop.

# %% tags=["your-turn"]
import time


def latencies(calls: dict, warm_up: int, rounds: int, clock=time.perf_counter) -> pd.DataFrame:
    """Milliseconds of each call, a row a round. calls: by name, functions without arguments."""
    names, taken, dice = list(calls), {name: [] for name in calls}, np.random.default_rng(0)
    # your turn: warm_up rounds that are not kept, then rounds; dice.permutation(names) gives an order
    for k in range(warm_up + rounds):
        for name in dice.permutation(names):
            start = clock()
            calls[name]()
            if k >= warm_up:
                taken[name].append(1000 * (clock() - start))
    # end
    return pd.DataFrame(taken)


# %% tags=["check", "nbval-check-output"]
now, order, first = [0.0], [], {"a", "b", "c"}  # a clock that only the calls move


def call(name: str, seconds: float) -> None:
    order.append(name)
    now[0] += 9 if name in first else seconds  # the first call is slow
    first.discard(name)


three = {name: (lambda name=name, s=s: call(name, s)) for name, s in (("a", 0.002), ("b", 0.005), ("c", 0.003))}  # fmt: skip
found = latencies(three, 1, 30, clock=lambda: now[0])
kept = ["".join(order[k : k + 3]) for k in range(3, 93, 3)]  # the rounds after the warm-up
assert all(sorted(one) == list("abc") for one in kept), "each once in every round"
assert len(set(kept)) == 6, "in changing order: thirty rounds show all six"
assert np.allclose(found["a"], 2) and np.allclose(found["b"], 5), "the slow first call is not kept"
print("Thirty rounds of three calls:", found.median().round(1).to_dict())

# %% [markdown]
# Now the real ones: the teacher, the student, the *same* student twice more, and students of other
# widths. (They are untrained: what an answer costs does not depend on the weights. The student of width 16 without
# dropout is a further twin, since dropout does nothing in evaluation mode.) One image at a time on one thread is
# close to the case of a phone, batches of 128 on all threads to that of a server.

# %%
import copy

twins = ["seed003-student", "the same student, 2nd", "the same student, 3rd"]
timed = nets | {name: copy.deepcopy(nets[twins[0]]) for name in twins[1:]}
for width in ex.BUDGET[PROFILE]["widths"]:
    timed[f"width {width}"] = models.build(f"seed003-plain-w{width}").eval()


def measure(batch: int, threads: int, rounds: int) -> pd.DataFrame:
    """Latency of all networks for a batch, on so many threads; [rounds, networks], ms."""
    x, before = torch.randn(batch, 3, 32, 32), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            calls = {name: (lambda net=net: net(x)) for name, net in timed.items()}
            return latencies(calls, warm_up=3, rounds=rounds)
    finally:
        torch.set_num_threads(before)


cores = torch.get_num_threads()
one, many = ex.BUDGET[PROFILE]["rounds"]
cases = {"1 image, 1 thread": (1, 1, one), "1 image, all threads": (1, cores, one),
         "128 images, 1 thread": (128, 1, many), "128 images, all threads": (128, cores, many)}  # fmt: skip
times = {case: measure(*how) for case, how in cases.items()}
shown = pd.DataFrame({case: found.median() for case, found in times.items()})
shown.insert(1, "its 95th percentile", times["1 image, 1 thread"].quantile(0.95))
print(f"Milliseconds, medians. All threads: {cores}.")
shown.map("{:.3g}".format)

# %%
mib = lambda net: sum(v.numel() * v.element_size() for v in net.state_dict().values()) / 2**20  # noqa: E731
cost = pd.DataFrame({
    "parameters": {name: models.count_parameters(net) for name, net in timed.items()},
    "million MACs": {name: count_macs(net) / 1e6 for name, net in timed.items()},
    "MiB": {name: mib(net) for name, net in timed.items()},
    "KiB between layers": {name: largest_maps(net) / 1024 for name, net in timed.items()},
    "ms, 1 image": times["1 image, 1 thread"].median(),
    "ms, 1 of 128": times["128 images, 1 thread"].median() / 128,
})  # fmt: skip
ratio = cost.loc["seed003-teacher"] / cost.loc["seed003-student"]
cost = pd.concat([cost, ratio.to_frame("teacher over student").T])
alike = [name for name in timed if name in (*twins, "width 16")]
same = {case: found[alike].median() for case, found in times.items()}
aa = {case: f"{x.max() / x.min() - 1:.1%}" for case, x in same.items()}
print(f"A/A, one network under {len(alike)} names, largest over smallest:", aa)
cost.map(lambda x: f"{x:,.0f}" if x > 1000 else f"{x:.3g}")

# %% tags=["hide-input"]
a_batch = times["128 images, all threads"].median()
ours = {name: (lab.mean(name, "test_accuracy"), cost.at[net, "MiB"], a_batch[net]) for name, net in zip(ex.PRINTED, ["seed003-teacher", *twins[:2]], strict=True)}  # fmt: skip
charts = {"measured here": ours} | ({} if lab.profile.name == "smoke" else {"printed": {name: (a, mb, ms) for name, (a, mb, _, ms, _) in ex.PRINTED.items()}})  # fmt: skip
fig, axes = plt.subplots(1, 5, figsize=(11, 2.7), sharey=True)
for style, (how, found) in enumerate(charts.items()):
    for k, (a, mb, ms) in enumerate(found.values()):
        for ax, x in zip(axes, (a, mb, ms, *efficiency(a, mb, ms)), strict=True):
            figures.dot(ax, x, k + style / 4, style, label=how if not k else None)
for ax, label in zip(axes, ("test accuracy (%)", "MiB", "ms, 128 images", "accuracy / (MiB · ms)", "accuracy / ms"), strict=True):  # fmt: skip
    ax.set(xlabel=label, yticks=range(3), yticklabels=ours, ylim=(2.6, -0.5))
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
words = "; ".join(f"{name}, {how}: {a:.2f}, {mb:.2f}, {ms:.3g}" for how, found in charts.items() for name, (a, mb, ms) in found.items())  # fmt: skip
lab.show(fig, "08_charts", f"Accuracy in percent, MiB, ms for 128 images. {words}.", list(ours), bars=False)  # fmt: skip

# %% [markdown]
# The figure has the project's charts at once: accuracy, size, time and both readings of its score. (Its
# batch was timed on another machine, so compare rows, not markers.) The two students are one network. Their sizes
# cannot differ, and their times differ by chance. So between them the score repeats the accuracy, and adds noise.
#
# A difference that is not clearly larger than what several A/A pairs show is not resolved. The project's
# 7 % between two identical students was such a pair, unrecognised.
#
# The last row of the table answers the fourth prediction. Each of its ratios is the right one for somebody: the
# file for a download, the latency for whoever waits. The arithmetic is a first guess at the energy; moving numbers
# often costs more. A small chip has a further price: the memory for the values between the layers (what the
# largest convolution takes in and gives out, for one image in float32). Compare also one image alone with one of
# 128. The arithmetic is the same. What a single image pays on top goes into calling each layer, into fetching all
# weights for one image, and into a poorer use of the processor. [Chapter 11](11_on_the_device.ipynb) times a
# student without PyTorch. (The published
# sizes in "MB" are MiB, $2^{20}$ bytes: 427 kB of weights are .41 MiB.) These timings are of this machine,
# today, in float32; another one will show others. [Chapter 90](90_four_architectures.ipynb) has more
# on why multiplications are not seconds.
#
# ## 7. Which students are worth having?
#
# A network is **dominated** if another one is at least as accurate and at most as expensive, and better
# in one of the two. What is left when the dominated ones are gone is the *Pareto front*. No score is
# needed, and no weight between accuracy and cost. We compare students of several widths, all without
# dropout and by one-cycle SGD, for the project's epochs.
#
# **Your turn.** Which points are on the front?


# %% tags=["your-turn"]
def front(cost, accuracy) -> np.ndarray:
    """True where no other point is at least as good in both, and better in one: bool [N]."""
    cost, accuracy = np.asarray(cost), np.asarray(accuracy)
    # your turn: compare every point (rows) with every other (columns)
    as_good = (cost[None] <= cost[:, None]) & (accuracy[None] >= accuracy[:, None])
    better = (cost[None] < cost[:, None]) | (accuracy[None] > accuracy[:, None])
    return ~(as_good & better).any(axis=1)
    # end


# %% tags=["check", "nbval-check-output"]
assert front([1, 2, 3], [70, 60, 80]).tolist() == [True, False, True], (
    "the second costs more for less"
)
assert front([1, 1], [70, 70]).tolist() == [True, True], "equal points do not dominate each other"
some = dice.integers(0, 6, (2, 40))
for k, on in enumerate(front(*some)):
    beaten = [
        (c <= some[0][k]) and (a >= some[1][k]) and (c, a) != tuple(some[:, k]) for c, a in some.T
    ]
    assert on != any(beaten)
print("front holds: by hand, and point by point over forty points.")

# %%
rows = []
for width in ex.BUDGET[PROFILE]["widths"]:
    for learns in (ex.HARD, ex.FROM_STRONG):
        for accuracy in lab.values(ex.width_name(learns, width), "test_accuracy"):
            rows.append((width, learns, accuracy, *cost.loc[f"width {width}"]))
pareto = pd.DataFrame(rows, columns=["width", "learns", "accuracy", *cost.columns])
means = pareto.groupby(["width", "learns"], sort=False).mean()
table = means[["parameters", "million MACs"]].round(2).astype({"parameters": int})
table["accuracy (%)"] = [lab.cell(ex.width_name(n, w), "test_accuracy") for w, n in means.index]
table["over hard labels"] = [points(over(ex.width_name(n, w), ex.width_name(ex.HARD, w))) if n != ex.HARD else "–" for w, n in means.index]  # fmt: skip
for column in ("million MACs", "ms, 1 image"):
    table[f"front: {column}"] = front(means[column], means["accuracy"])
table

# %% tags=["hide-input"]
if len(means) > 2:
    fig, axes = plt.subplots(2, 2, figsize=(9, 6.4), sharey=True)
    for ax, kind in zip(axes.flat, ["parameters", "million MACs", "MiB", "ms, 1 image"], strict=True):  # fmt: skip
        for style, (learns, part) in enumerate(pareto.groupby("learns", sort=False)):
            for x, found in (at := part.groupby(kind)["accuracy"].apply(list)).items():
                figures.dot(ax, x, np.mean(found), style, yerr=metrics.shown_ci(found)[1])
            ax.plot(at.index, at.map(np.mean), color=figures.COLORS[style], ls=figures.DASHES[style], marker="", label=learns)  # fmt: skip
        ax.set(xlabel=kind)
        figures.log_x(ax)
    [ax.set(ylabel="test accuracy (%)") for ax in axes[:, 0]], axes[0, 0].legend(loc="lower right")
    words = "; ".join(f"width {w}, {n}: {x:.2f}" for (w, n), x in means["accuracy"].items())
    lab.show(fig, "08_pareto", f"Accuracy against four costs. {words}.", lab.of("Width"))

# %% [markdown]
# A teacher moves a point straight up or down: same network, same cost. Width moves it to the right. To
# compare the two, draw a horizontal line from a distilled student to the curve of the hard labels. *Where the line
# meets the curve*, read off how much larger a network reaches it without a teacher; where it does not, these widths
# do not say. Parameters, MACs and bytes give the same front here, because all three grow with the width; latency
# need not. Who is on the front is decided by means: a point within its interval of another may change sides.
#
# All these costs are paid at each answer. A further one is paid once, and is on no axis: the teacher has to be trained
# and asked.
#
# ## 8. What we saw
#
# Your predictions, one by one.

# %% tags=["hide-input"]
from IPython.display import Markdown

Markdown(f"""
1. Distilled minus hard labels, by the project's recipe, in points: {points(over(weak))}. Published: −1.84, one run each. If our difference were the true one, single runs would lie as far from it as the published pair with a probability of {fits:.1%}.
2. Two runs of one student lie {apart:.2f} points apart, on average. A gap of 1.84 or more between equally good methods, one run each, has a probability of {chance:.1%}.
3. In points: a strong teacher instead of its own {points(over(strong, weak))}, p (Holm) {corrected["p (Holm)"].get("a strong teacher for its own one, with dropout", "–")}; no dropout instead of dropout, with its own teacher {points(over(plain[weak], weak))}, p {corrected["p (Holm)"].get("no dropout, its own teacher", "–")}; the second change rather than the first {points(asked["no dropout rather than a strong teacher"])}, p {corrected["p (Holm)"].get("no dropout rather than a strong teacher", "–")}.
4. {ratio["parameters"]:.0f} times the parameters, {ratio["million MACs"]:.1f} times the multiplications, {ratio["ms, 1 image"]:.1f} times the latency for one image, on this machine.
5. {aa["1 image, 1 thread"]} for one image, {aa["128 images, 1 thread"]} for 128, on one thread, in this run (largest over smallest of {len(alike)}).

Without dropout and with one-cycle SGD, a strong teacher adds {points(over(ex.best_name(strong), ex.best_name(ex.HARD)))} points. The student then has {lab.cell(ex.best_name(strong), "test_accuracy")} % of the test images right, after as many epochs. The published students had 72.70 and 70.86, their teacher 83.13. The project's own search, of T and α, over hard labels: {crossed}.
""")

# %% [markdown]
# How to read these answers, whatever the numbers are:
#
# - **Ask first whether there is anything to explain.** If answer 2 calls a gap of 1.84 common, the
#   published table alone is no evidence of a loss. If it calls it rare, there are four readings: the distilled
#   student *is* worse there; the table saw a rare draw; the project's runs scatter more than ours; or the pair was
#   looked at because it was surprising. Whether the published gap is compatible with *our* difference is another
#   question. Answer 1 says that, too.
# - **An explanation is tested by changing what it names.** "The temperature is wrong" and "the teacher has
#   too much weight" name a knob each, and section 5 turns each. Does the accuracy rise as $\alpha$ falls? Does it
#   change with $T$? Only then ask whether any cell reaches the hard labels. "The student is too
#   small" would take wider students of the *project's* teacher, with dropout; section 7 has wider students
#   of the strong teacher, without it and by one-cycle SGD. So this explanation is left open for the project's own recipe.
# - **A cure for overfitting can be a handicap.** Whether a network needs dropout is quickly checked on
#   validation images.
# - **One number for efficiency hides the choice.** Parameters, multiplications and latency need not give the
#   same ratio: answer 4 has all three, and the A/A control says which of their differences count. For FastNet and
#   the project's teacher, parameters and multiplications even give different orders. Say which your user pays for.
#
# ## 9. Where it can mislead
#
# - **One teacher each.** All students of a teacher learn from one run of it. No interval speaks of other
#   runs of the teacher.
# - **Our student sees stored views.** The distilled ones see a few views in turn, the same at every seed; the
#   hard-label ones see a new view in every epoch. This works against the teacher in every row *minus hard labels*.
#   Contrasts between two teachers, and between dropout and none with the same teacher, are free of it.
# - **Two factors at once.** FastNet is not only more accurate than the project's teacher. It has another
#   architecture, other views in training, and a mean over mirror images in its answers.
# - **The swing is measured on validation images.** A step on 5,000 images is noisier than one on the
#   10,000 of the test set. So compare the first two rows of that table with each other, not with the third.
# - **Widths share one schedule.** A wide network may want other settings than a narrow one.
# - **Latency is of PyTorch in float32, layer by layer.** A runtime made for inference gives other numbers and
#   perhaps another order.
# - **Many questions, one set of runs.** If nothing had any effect, about one interval in twenty would still
#   exclude zero.
#
# ## Exercises
#
# Solutions: [solutions/08_small_students.py](solutions/08_small_students.py).
#
# 1. *(5 minutes, easy)* The project says "97.7 % smaller" and "43.7 times fewer parameters". Compute both
#    from the parameters. Then compute the share of the teacher's *accuracy* that its student keeps, and
#    explain why 10 % would be a fairer zero. *Check:* from 83.13 and 70.86 the plain share is 85.2 %.
#    [Solution](solutions/08_small_students.py#exercise-1).
# 2. *(20 minutes, medium)* How many seeds would the project have needed to find a true loss of 1.84
#    points with probability .8, at the sigma of section 3? Draw $n$ values for each arm from two
#    normal distributions that lie 1.84 apart, 4,000 times; count how often `stats.ttest_ind` gives $p < .05$; raise
#    $n$ until it is 80 %. (The solution has a formula as well.) *Check:* for sigma = 1 point it is 6 an arm.
#    [Solution](solutions/08_small_students.py#exercise-2).
# 3. *(15 minutes, medium)* Turn rule 2 of section 6 off: time all calls of A, then all calls of B, while
#    the machine slows down by 1 % a call. What does an A/A control show, with turns and without? *Check:*
#    with a simulated clock, turns keep it below 3 %.
#    [Solution](solutions/08_small_students.py#exercise-3).
# 4. *(20 minutes, hard)* The parameters of a student grow with the square of its width. From the hard
#    labels of section 7, estimate by interpolation how many parameters a student *without* a teacher
#    needs to be as accurate as the distilled one of width 16. Do it seed by seed: a factor needs an interval, too. *Check:* for made-up accuracies that rise by
#    2 points for each doubling of the parameters, a gain of 2 points is worth a factor of 2.
#    [Solution](solutions/08_small_students.py#exercise-4).
#
# ## Summary
#
# - The difference of two single runs scatters with $\sqrt 2\,\sigma$. Know $\sigma$ before you explain one.
# - Change one thing at a time: the teacher, the dropout, the recipe, the width. A recipe can matter more than a
#   teacher. Whether it also changes what a teacher gives is a question of its own: an interaction, with its own
#   interval.
# - Warm up, take turns in random order, report median and 95th percentile, and time one thing several times.
# - Compare networks by a front, not by a quotient.
#
# ## Sources
#
# - The project with the published table:
#   [ajitashwath/model-distillation](https://github.com/ajitashwath/model-distillation).
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*,
#   [arXiv:1503.02531](https://arxiv.org/abs/1503.02531).
# - N. Srivastava et al. (2014), *Dropout: a simple way to prevent neural networks from overfitting*,
#   [JMLR 15](https://jmlr.org/papers/v15/srivastava14a.html).
# - J. W. Tukey (1949), *Comparing individual means in the analysis of variance*, Biometrics 5, 99–114.
