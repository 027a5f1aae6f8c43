# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · How much does the temperature matter, and how would you know?
#
# Every recipe for distillation has two knobs: the temperature $T$ and the weight $\alpha$. The project of
# [chapter 04](04_cnn5_from_a_larger_network.ipynb) tried 29, 40 and 45 settings for three students of one
# kind, and printed the best of each. It ended at $T = 2$, $1.5$ and $20$. Such a list looks as if every
# case had its own best temperature. It may also be what a search finds where the temperature hardly
# matters.
#
# To tell the two apart you need to know what $T$ does, and how large a difference chance alone would
# make. This chapter looks first inside the gradient, then at a sweep. (The project drew its own curve of $T$ for a
# ResNet-18 that learned from a ResNeXt-29, which wants a GPU. We sweep CNN5, on two CPU cores.)
#
# **You will be able to**
#
# - say what the temperature does to a teacher's answers, and to the push that each class receives;
# - run a sweep, choose from it honestly, and say how sure the choice is;
# - explain why accuracy can stop depending on $T$;
# - measure what fewer views, and fewer bits, of a teacher's stored answers cost.
#
# You need [chapter 01](01_soft_and_hard_targets.ipynb) (the loss and its factor $T^2$) and the stored
# answers of [chapter 04](04_cnn5_from_a_larger_network.ipynb).
#
# *Time:* under half a minute on `smoke` and on `laptop`, which reads recorded runs (the second cell says
# how long they trained); a GPU and some hours on `paper`.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from kdutils.experiments import Lab

lab = Lab("06", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write down four guesses. They are answered by number in section 6.
#
# 1. A softmax spreads the teacher's answer over several classes. Over how many, for an average image, at
#    $T = 1$? At $T = 20$?
# 2. $\alpha = .5$: half the weight for the teacher, half for the label. What share of the gradient comes
#    from the teacher, at the start of training and at $T = 4$?
# 3. Students are trained at $T = 4, 6, 10$ and $20$, all at $\alpha = .9$. How many points lie between
#    the best and the worst? More or less than chance alone would put there?
# 4. The teacher's logits are rounded to 8 bits. How many points does the student lose?
#
# ## 1. What the temperature does to the answers
#
# $$ p_i^{(T)} = \frac{e^{t_i / T}}{\sum_j e^{t_j / T}}, \qquad H(p) = -\sum_i p_i \ln p_i . $$
#
# $e^{H}$ is called the *perplexity*. It counts the classes that share an answer: 1 for a certain one, 10
# for a uniform one. We read the teacher's stored answers about the training images.

# %%
import torch
import torch.nn.functional as F

from kdutils.runs import knowledge_of

anchor = lab.arms["T = 4, alpha = 0.9"].recipe
known = knowledge_of(anchor, lab.store)
t = known.logits(0).float()  # [N, 10]: the teacher about view 0 of each image
labels = lab.dataset("cifar10").train.labels[: len(t)]  # [N]
right = (t.argmax(dim=1) == labels).float().mean()
print(f"{len(t):,} answers; the top class is the label in {right:.1%} of them.")

# %% [markdown]
# The teacher was trained on these very images, so it is surer of them than it would be of new ones.
#
# **Your turn.** Write the perplexity of each image's answer.


# %% tags=["your-turn"]
def perplexity(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """exp(entropy) of the softened answers, [N], from logits [N, classes]."""
    # your turn: log_softmax of the logits over T, then the exponential of -sum p log p
    log_p = F.log_softmax(logits / temperature, dim=1)
    return (-(log_p.exp() * log_p).sum(dim=1)).exp()
    # end


# %% tags=["check", "nbval-check-output"]
two = torch.tensor([[50.0, 50.0, 0.0, 0.0], [50.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
assert torch.allclose(perplexity(two, 1.0), torch.tensor([2.0, 1.0, 4.0])), (
    "2, 1 and 4 classes share"
)
assert abs(float(perplexity(torch.tensor([[0.0, 3.0]]), 3.0)) - 1.7896) < 1e-3, (
    "mind the temperature"
)
means = [float(perplexity(t, T).mean()) for T in (1.0, 2.0, 4.0, 10.0, 20.0)]
assert means == sorted(means)
print("A higher temperature never makes an answer sharper.")

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn

from kdutils import figures

grid, quartiles = np.geomspace(0.5, 40, 40), torch.tensor([0.25, 0.5, 0.75])
low, middle, high = torch.stack([perplexity(t, T).quantile(quartiles) for T in grid]).T
lines = {"median image": middle, "mean": [float(perplexity(t, T).mean()) for T in grid]}

# %% tags=["hide-input"]
ticks = [0.5, 1, 2, 4, 10, 20, 40]
ax = pd.DataFrame(lines, index=grid).plot(figsize=(8.5, 3.8), logx=True, marker="", legend=False)
ax.fill_between(grid, low, high, color=figures.COLORS[0], alpha=0.2, lw=0, label="middle half")
for (name, (T, _)), dash in zip(lab.experiments.POSTER.items(), figures.DASHES, strict=False):
    ax.axvline(T, color="0.4", lw=1, ls=dash, marker="", label=f"chosen for {name}")
ax.set(xlabel="temperature T", ylabel="classes that share the answer, exp(H)", xticks=ticks, xticklabels=ticks)  # fmt: skip
ax.minorticks_off()
ax.figure.legend(loc="outside right upper", fontsize=9)
where = f"{anchor.dataset}, profile {PROFILE}"
figures.count(ax.figure, {len(t)}, where, "training images, view 0", bars=False)
words = ", ".join(f"{perplexity(t, T).mean():.2f} at T = {T:g}" for T in (1.0, 4.0, 20.0))
figures.show(ax.figure, name="06_entropy", alt=f"Perplexity of answers against T. Means: {words}.")

# %% [markdown]
# The vertical lines are the temperatures that the project's searches chose. From the lowest to the
# highest, the answers change from few classes to many. You might expect such different
# answers to teach very different things. The gradient shows why they need not.
#
# ## 2. What the temperature does to the gradient
#
# The loss is $L = \alpha T^2\,\mathrm{KL}(p^{(T)} \| q^{(T)}) + (1-\alpha)\,\mathrm{CE}(y, q)$. For a student
# with logits $z$ and probabilities $q$, the gradient of one image's loss is
#
# $$ \frac{\partial L}{\partial z_i}
#    = \underbrace{\alpha\,T\,\bigl(q_i^{(T)} - p_i^{(T)}\bigr)}_{\text{teacher}}
#    + \underbrace{(1-\alpha)\,(q_i - y_i)}_{\text{label}} . $$
#
# **Your turn.** Write the teacher's term for $\alpha = 1$. The check holds it against PyTorch's own
# gradient.


# %% tags=["your-turn"]
def soft_gradient(z: torch.Tensor, t: torch.Tensor, temperature: float) -> torch.Tensor:
    """The gradient of T^2 KL with respect to the student's logits z, one row an image: [N, 10]."""
    # your turn: T times the difference of two softened answers
    return temperature * (F.softmax(z / temperature, dim=1) - F.softmax(t / temperature, dim=1))
    # end


# %% tags=["check", "nbval-check-output"]
from kdutils.losses import kd_loss

z = torch.randn(64, 10, generator=torch.Generator().manual_seed(0)).requires_grad_()
for T in (1.0, 4.0, 20.0):
    loss = 64 * kd_loss(z, t[:64], None, T, alpha=1.0)  # 64 times the batch mean: a sum over images
    (by_torch,) = torch.autograd.grad(loss, z)
    assert torch.allclose(soft_gradient(z.detach(), t[:64], T), by_torch, atol=1e-4), (
        f"at T = {T:g}"
    )
print("The formula and PyTorch's own gradient agree.")

# %% [markdown]
# Now look at what this gradient tells a student that has just begun, with all logits zero. We sort the
# ten classes of each image by the teacher's logits and ask how much of the push each *rank* receives.
#
# A hard label pushes its class up and all other classes down by the same amount. The left panel shows
# when the teacher says more than that. The right panel asks the same in one number: the cosine between
# the teacher's gradient and the label's. It also shows the cosine with the limit of high temperatures.
# For $T \to \infty$ and logits whose mean is zero, $T(q_i^{(T)} - p_i^{(T)}) \to (z_i - t_i)/10$: the
# student is asked to match the *logits* themselves (exercise 1). The last line shows that cosine once more,
# for a student that is nearly as good as the teacher. The teacher's own answers about another view of the
# same images stand for it.

# %%
start = torch.zeros_like(t)  # a student that knows nothing: [N, 10]
by_rank = t.argsort(dim=1, descending=True)  # [N, 10]: the teacher's first choice, second, ...


def push(temperature: float) -> torch.Tensor:
    """The mean push on each rank, [10], as a share of the push on all ten: up is positive."""
    sorted_ = -soft_gradient(start, t, temperature).gather(1, by_rank)
    return (sorted_ / sorted_.abs().sum(dim=1, keepdim=True)).mean(dim=0)


late = known.logits(1).float()  # for a student nearly as good as the teacher: [N, 10]
to_label = 0.1 - F.one_hot(labels, 10)  # the label's gradient at the start: q - y


def to_logits(z: torch.Tensor) -> torch.Tensor:
    """The gradient in the limit of high T, but for its length: [N, 10]."""
    return (z - t) - (z - t).mean(dim=1, keepdim=True)


def cosine(z: torch.Tensor, temperature: float, other: torch.Tensor) -> float:
    """Between the teacher's gradient at z and another one: the mean over images."""
    moves = (z != t).any(dim=1)  # two views of an image may be one: then there is no gradient
    return F.cosine_similarity(soft_gradient(z, t, temperature), other)[moves].mean().item()


at = (0.5, 1, 2, 4, 6, 10, 20, 40)
angles = {"with the label's": [cosine(start, T, to_label) for T in at],
          "with the limit of high T": [cosine(start, T, to_logits(start)) for T in at],
          "the same, late": [cosine(late, T, to_logits(late)) for T in at]}  # fmt: skip
angles = pd.DataFrame(angles, index=pd.Index(at, name="T"))
angles.round(3).T

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.8))
pushes = pd.DataFrame({f"T = {T}": push(T) for T in (1, 4, 20)}, index=range(1, 11))
pushes.plot(ax=axes[0], markevery=1, xticks=range(1, 11))
axes[0].set(xlabel="class, by the teacher's rank", ylabel="share of the push (up: positive)")
angles.plot(ax=axes[1], markevery=1, logx=True)
axes[1].set(xlabel="temperature T", ylabel="cosine of the teacher's gradient", xticks=ticks, xticklabels=ticks)  # fmt: skip
axes[1].minorticks_off()
figures.count(fig, {len(t)}, where, unit="training images", bars=False)
words = "; ".join(f"T = {T:g}: {a:.2f}, {b:.2f}, {c:.2f}" for T, a, b, c in angles.itertuples())
figures.show(fig, name="06_push", alt="Left: the push on the teacher's ten ranks. Right: cosine of its "
             f"gradient with the label's, with the limit of high T, and the same, late. {words}.")  # fmt: skip

# %% [markdown]
# Read the left panel from rank 2 on. At a low temperature the line is nearly flat: all wrong classes are
# pushed down alike, as a label does it. At a high temperature it slopes: the teacher now says which wrong
# classes are less wrong. The right panel tells when this change is over. Once the cosine with the limit is
# near one, a still higher $T$ asks the student for almost the same thing.
#
# This is a student that begins. For one that is nearly as good as the teacher, the change may be over later:
# compare the two lines. So the start suggests a plateau. It does not prove one.
#
# The shape of a sweep would then be: little gain at low $T$, a rise, and a **plateau**. Theory does
# not say where the plateau begins; that depends on how large the teacher's logits are.
#
# ### The weight is not the teacher's share
#
# The two terms of the gradient have different lengths. Their ratio depends on $T$, and on how far the
# student has come. We measure it for the same two students: one that begins, and one nearly as good as the
# teacher. A real student starts at the first and may come close to the second.


# %%
def teachers_share(z: torch.Tensor, temperature: float, alpha: float) -> float:
    """The teacher's part of the two gradients' mean lengths."""
    soft = alpha * soft_gradient(z, t, temperature).norm(dim=1).mean()
    hard = (1 - alpha) * (F.softmax(z, dim=1) - F.one_hot(labels, 10)).norm(dim=1).mean()
    return float(soft / (soft + hard))


students = {"at the start": start, "as good as the teacher": late}
share = {
    (name, f"T = {T}"): {f"α = {a:g}": f"{teachers_share(z, T, a):.0%}" for a in (0.01, 0.5, 0.9)}
    for name, z in students.items()
    for T in (1, 4, 20)
}
pd.DataFrame(share)

# %% [markdown]
# Two settings that differ in $T$ differ in how loud the teacher is, too. And a louder teacher means a
# longer gradient, as if the learning rate had changed. Keep that in mind when you compare temperatures:
# the sweeps below hold the learning rate fixed.
#
# ## 3. A sweep on this page
#
# Here is a whole sweep, with nothing left out: real digits (scikit-learn's 8 × 8 images), a teacher that
# saw 1,100 of them, and students of one hidden layer that learn from 100. The students differ in $T$
# alone.

# %%
from kdutils import data, metrics

digits = data.load("digits")
x, y = digits.train.images.flatten(1).float() / 255, digits.train.labels  # [1100, 784], [1100]
x_val, y_val = digits.val.images.flatten(1).float() / 255, digits.val.labels


def train(x, y, width, teacher_logits=None, temperature=1.0, alpha=0.0, lr=0.03, seed=0):
    """An MLP with one hidden layer; without teacher_logits [N, 10] it learns from labels alone."""
    torch.manual_seed(seed)
    layers = torch.nn.Linear(784, width), torch.nn.ReLU(), torch.nn.Linear(width, 10)
    net = torch.nn.Sequential(*layers)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    for _ in range(60):  # epochs
        for batch in torch.randperm(len(x)).split(50):
            z = net(x[batch])  # [50, 10]
            loss = (1 - alpha) * F.cross_entropy(z, y[batch])
            if teacher_logits is not None:
                log_q = F.log_softmax(z / temperature, dim=1)
                p = F.softmax(teacher_logits[batch] / temperature, dim=1)
                loss = loss + alpha * temperature**2 * F.kl_div(log_q, p, reduction="batchmean")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


# %%
answers = train(x, y, 256)(x[:100]).detach()  # [100, 10]: the teacher about the students' images
settings = {"hard labels": {}}
for T in (1, 2, 4, 10, 20, 50):
    settings[f"T = {T}"] = {"teacher_logits": answers, "temperature": T, "alpha": 0.9}
live = {}
for name, setting in settings.items():
    nets = [train(x[:100], y[:100], 32, **setting, seed=seed) for seed in range(5)]
    live[name] = [metrics.accuracy(net(x_val).detach(), y_val) for net in nets]
live = pd.DataFrame.from_dict(live, orient="index", columns=[f"seed {s}" for s in range(5)])
live.assign(mean=live.mean(axis=1)).round(1)

# %% [markdown]
# Validation accuracy in percent. Does it have the shape that section 2 suggests? Compare $T = 1$ with the
# hard labels, then look for the temperature from which on the rows differ no more than the seeds do.
#
# ## 4. The recorded sweep
#
# Now to CIFAR-10, with a fifth of the training images. All students have the same budget, and all
# distilled ones learn from one file of stored answers. A setting therefore costs one student, and no teacher.
# The figure below uses only a *cross* of the grid: all temperatures at one $\alpha$, and all weights at
# one $T$. A cross can show what each knob does while the other one rests. It **cannot** show whether the
# best temperature depends on $\alpha$; the whole grid can, where it is recorded.

# %%
lab.recipes("hard labels", "T = 4, alpha = 0.9")

# %%
sweep = lab.runs[lab.runs["table"] == "Temperature and alpha"].copy()
sweep["T"] = [record.recipe.temperature for record in sweep["record"]]
sweep["alpha"] = [record.recipe.alpha for record in sweep["record"]]
hard, taught = sweep[sweep["arm"] == "hard labels"], sweep[sweep["arm"] != "hard labels"]
# the two arms of the cross
at_alpha, at_t = taught[taught["alpha"] == 0.9], taught[taught["T"] == 4]
possible = [name for name, arm in lab.arms.items() if arm.select]
print(f"{taught['arm'].nunique()} of {len(possible)} settings are recorded.")
if min(len(hard), len(at_alpha), len(at_t)) == 0:
    raise LookupError(f"No sweep is recorded at the seeds {lab.seeds}. TRAIN = True trains it.")

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.8), sharey=True)
for ax, knob, part in ((axes[0], "T", at_alpha), (axes[1], "alpha", at_t)):
    for at, arm in part.groupby(knob)["arm"].first().items():
        mean, half = metrics.shown_ci(lab.values(arm, "val_accuracy"))
        figures.dot(ax, at, mean, yerr=half)
    ax.axhspan(hard["val_accuracy"].min(), hard["val_accuracy"].max(), color="0.5", alpha=0.3, label="hard labels, all seeds")  # fmt: skip
    ax.set(xlabel={"T": "temperature T, at α = 0.9", "alpha": "weight α, at T = 4"}[knob])
axes[0].set(xscale="log", ylabel="validation accuracy (%)", xticks=ticks[1:-1], xticklabels=ticks[1:-1])  # fmt: skip
axes[0].minorticks_off()
axes[1].legend(loc="lower right", bbox_to_anchor=(1, 1))
words = "; ".join(f"{arm} {lab.mean(arm, 'val_accuracy'):.2f}" for arm in sweep["arm"].unique())
lab.show(fig, "06_sweep", f"Validation accuracy: {words}.", list(sweep["arm"].unique()))

# %% [markdown]
# ### Does the best temperature depend on the weight?
#
# If the two knobs act independently, every row of the grid is another one plus a constant. What is left
# when row and column means are taken off is their *interaction*. Over several seeds, an $F$-test compares
# it with the scatter between the seeds (each seed's own luck is taken off first).


# %%
from scipy import stats

grid = taught.pivot_table("val_accuracy", ["alpha", "T"], "seed").dropna(axis=1)
whole = len(grid) == len(possible) and grid.shape[1] > 1
if whole:
    largest, p = lab.experiments.interaction(grid)
    said = f"Largest interaction: {largest:.2f} points; p = {p:.3f} ({grid.shape[1]} seeds)."
else:
    said = f"The whole grid ({len(possible)} settings) is not recorded at two seeds: not tested."
print(said)

# %% tags=["hide-input"]
if whole:
    cells = grid.mean(axis=1).unstack("T")
    fig, ax = plt.subplots(figsize=(8, 3.8))
    seaborn.heatmap(cells, annot=True, fmt=".2f", ax=ax, cbar_kws={"label": "validation accuracy (%)"})  # fmt: skip
    ax.set(xlabel="temperature T", ylabel="weight α")
    ax.invert_yaxis()
    words = "; ".join(f"α {a:g}, T {T:g}: {x:.2f}" for (a, T), x in cells.stack().items())
    lab.show(fig, "06_grid", f"Validation accuracy by T and α. {words}.", possible, bars=False)

# %% [markdown]
# ### Choose, then look once
#
# Everything so far is measured on validation images. Validation chooses the setting; only then comes one
# look at the test set. The table also has the *calibration error*: the mean distance between how sure a
# network is and how often it is right, in points ([chapter 02](02_training_teachers.ipynb)).

# %%
chosen = lab.best("T and alpha").name  # most accurate on validation, over the seeds that all share
names = list(taught.groupby("arm")["val_accuracy"].mean().sort_values(ascending=False).index[:6])
table = pd.DataFrame({
    "validation accuracy (%)": {n: lab.cell(n, "val_accuracy") for n in [*names, "hard labels"]},
    "calibration error (%)": sweep.groupby("arm")["val_ece"].mean().round(2),
})  # fmt: skip
print(f"Chosen: {chosen}. Its test accuracy: {lab.cell(chosen, 'test_accuracy')} %.")
table.loc[[*names, "hard labels"]]

# %% [markdown]
# The choice is made. What follows looks at the test accuracies of *all* settings. It studies the choice and
# can no longer change it.
#
# ### How far apart would equal settings look?
#
# The best and the worst of several settings never agree exactly, even if all are equally good. Their means
# over seeds scatter by chance.
#
# **Your turn.** Simulate that: the mean range (largest minus smallest) of the means of `settings` equally
# good settings, each over `seeds` runs with standard deviation `sigma`.


# %% tags=["your-turn"]
def range_by_chance(sigma: float, settings: int, seeds: int, draws: int = 4000) -> float:
    """The mean range of the settings' means where all settings are equally good."""
    dice = np.random.default_rng(0)
    # your turn: normal numbers [draws, settings, seeds]; means over seeds; range over settings; mean
    means = sigma * dice.standard_normal((draws, settings, seeds)).mean(axis=2)
    return float(np.ptp(means, axis=1).mean())
    # end


# %% tags=["check", "nbval-check-output"]
assert abs(range_by_chance(1.0, 2, 1) - 2 / np.pi**0.5) < 0.03, "two normal numbers: 2 / sqrt(pi)"
assert abs(range_by_chance(1.0, 3, 1) - 3 / np.pi**0.5) < 0.04, "three settings"
assert abs(range_by_chance(1.0, 2, 4) - 1 / np.pi**0.5) < 0.03, "four seeds halve the scatter"
assert abs(range_by_chance(3.0, 2, 4) - 3 / np.pi**0.5) < 0.09, "sigma is a factor"
print("Two equal settings of one seed lie 1.13 standard deviations apart, on average.")


# %%
RANGES = "range (points)", "by chance, mean", "by chance, 95 % below"


def ranges(part: pd.DataFrame, over: str) -> dict[str, str]:
    """What lies between the best and the worst mean, and what chance alone would put there."""
    y = part.pivot(index=over, columns="seed", values="test_accuracy").dropna(axis=1)  # [k, seeds]
    if min(y.shape) < 2:
        return {"settings": str(len(y))} | dict.fromkeys(RANGES, "–")
    shared = y.mean() - y.values.mean()  # settings share their seeds: a seed's luck is taken off
    noise = y.sub(y.mean(axis=1), axis=0) - shared
    free = (y.shape[0] - 1) * (y.shape[1] - 1)
    sigma = ((noise**2).values.sum() / free) ** 0.5
    limit = stats.studentized_range.ppf(0.95, len(y), free) * sigma / y.shape[1] ** 0.5
    found = np.ptp(y.mean(axis=1)), range_by_chance(sigma, *y.shape), limit
    return {"settings": str(len(y))} | {k: f"{x:.2f}" for k, x in zip(RANGES, found, strict=True)}


rows = {
    "all temperatures, α = 0.9": ranges(at_alpha, "T"),
    "temperatures from 4 on, α = 0.9": ranges(at_alpha[at_alpha["T"] >= 4], "T"),
    "all weights, T = 4": ranges(at_t, "alpha"),
    "weights from .5 on, T = 4": ranges(at_t[at_t["alpha"] >= 0.5], "alpha"),
}
pd.DataFrame(rows).T

# %% [markdown]
# The last column is Tukey's limit: with equally good settings, 95 of 100 sweeps would stay below it. (It is a
# quantile of the *studentised range*: the largest minus the smallest of so many means, in standard errors.) It
# allows for $\sigma$ being known from few runs only. If a range is above its limit, this sweep tells the best
# from the worst. It need not tell the others apart. If a range is below its limit, this sweep cannot tell
# its settings apart. That does not prove them equal, but it is a good reason to stop tuning. How unequal
# could they still be? By Tukey's method, too: with 95 % confidence, no two of them differ by more than
# the range *plus* the limit.
#
# The two parts, *from 4 on* and *from .5 on*, were cut by hand. The limit in their own rows is right only
# for a part that nobody chose by its results. For a part, the safe limit is that of the whole row above it.

# %%
lab.differences("test_accuracy", {
    "T = 1 against hard labels": ("T = 1, alpha = 0.9", "hard labels"),
    "T = 4 against T = 1": ("T = 4, alpha = 0.9", "T = 1, alpha = 0.9"),
    "T = 20 against T = 4": ("T = 20, alpha = 0.9", "T = 4, alpha = 0.9"),
    "The chosen setting against hard labels": (chosen, "hard labels"),
})  # fmt: skip

# %% [markdown]
# Distilled students share stored views, the others see new ones. So the differences from hard labels are of
# two things at once.
#
# The chosen setting won with these very seeds. Its networks were probably a little lucky, and the
# interval does not allow for that. New seeds for this one setting would settle it.
#
# ## 5. Views and bits: what must be stored?
#
# A file of answers has a size: views × images × classes × bytes. What are more views worth, and what does
# rounding to 8 bits cost? Students of hard labels that see *the same few views* are the control. All
# distilled students here have $T = 4$ and $\alpha = .9$, fixed beforehand.

# %%
stored = [name for name, arm in lab.arms.items() if arm.table == "Views and bits"]
counts = sorted({lab.arms[name].recipe.n_views for name in stored} - {0})
cells = {
    n: [f"{n} views, 16 bits", f"{n} views, 8 bits", f"hard labels, {n} views"] for n in counts
} | {"new in every epoch": ["a new view in every epoch", None, "hard labels"]}
cell = lambda name: lab.cell(name, "test_accuracy") if name else "–"  # noqa: E731
table = {n: [cell(name) for name in row] for n, row in cells.items() if lab.records(row[0])}
columns = ["teacher, 16 bits", "teacher, 8 bits", "hard labels"]
pd.DataFrame.from_dict(table, orient="index", columns=columns).rename_axis("views")

# %% [markdown]
# Test accuracy in percent. Mind the n: a cell of one run has no interval, and two such cells may differ by
# luck. For the bits there is more to go on, because at every number of views there are pairs of runs
# that differ in nothing else. We pool these pairs. Then we look at the cause: how large is one rounding
# step, and how far does it move an answer?


# %%
def by_seed(name: str) -> pd.Series:
    """The test accuracies of an arm, by seed."""
    return lab.runs[lab.runs["arm"] == name].set_index("seed")["test_accuracy"]


pairs = [by_seed(f"{n} views, 8 bits") - by_seed(f"{n} views, 16 bits") for n in counts]
lost = pd.concat(pairs).dropna()  # one number a pair of runs
half = metrics.shown_ci(lost)[1] if len(lost) else None
bits = f"{lost.mean():+.2f}" + (f" ± {half:.2f}" if half else "")
over = f"over {len(lost)} pairs of runs, seeds: {lost.index.nunique()}"
if half and lost.index.nunique() == 1:
    over += "; the interval is not about other seeds"
step = known.file.tensors["step"].item()  # one rounding step, in logits
noise = step * (torch.rand(t.shape, generator=torch.Generator().manual_seed(0)) - 0.5)
before, after = F.log_softmax(t / 4, dim=1), F.log_softmax((t + noise) / 4, dim=1)
moved = F.kl_div(after, before, reduction="batchmean", log_target=True)
print(f"8 bits minus 16 bits: {bits} points, {over}.")
print(f"One step is {step:.2f} logits. Rounding errors of up to half a step move an answer")
print(f"at T = 4 by {moved:.1e} nats.")

# %% [markdown]
# ## 6. What we saw
#
# Your predictions, one by one.

# %% tags=["hide-input"]
from IPython.display import Markdown

p1, p20 = (perplexity(t, T).mean() for T in (1.0, 20.0))
every, high = rows["all temperatures, α = 0.9"], rows["temperatures from 4 on, α = 0.9"]
said = high[RANGES[0]], every[RANGES[2]]  # a part, held to the limit of the whole
plain = lab.experiments.plainly(*(float(x.replace("–", "nan")) for x in said))
Markdown(f"""
1. On average {p1:.2f} classes share an answer at T = 1, and {p20:.2f} at T = 20.
2. At α = .5 and T = 4 the teacher's share of the gradient is {teachers_share(start, 4, 0.5):.0%} at the start, and {teachers_share(students["as good as the teacher"], 4, 0.5):.0%} for a student as good as the teacher.
3. From T = 4 on, {high["settings"]} temperatures lie within {high["range (points)"]} points. Equally good ones would show {high["by chance, mean"]} on average by chance. The limit of all {every["settings"]} temperatures, which is safe for a part, is {said[1]}. {plain}
4. 8 bits instead of 16: {bits} points, {over}.
""")

# %% [markdown]
# How to read these answers, whatever the numbers are:
#
# - **Low temperatures repeat the label.** Where answer 1 is close to one class at $T = 1$, the teacher's
#   gradient points where the label's does (section 2), and the student has little to gain.
# - **High temperatures all ask for the same thing**: to match the logits. If the range in answer 3
#   stays below its limit, these runs cannot choose among them. Answer 3 says how large a difference they
#   leave open. That they ask for the same thing is one possible reason; this page does not test it.
# - **The three temperatures of the project say nothing about teachers.** Its answers belonged to other
#   images ([chapter 04](04_cnn5_from_a_larger_network.ipynb)), so no temperature could bring out what its teacher knew. Luck
#   among some forty settings is one explanation; that $T$ sets the strength of a smoothing is another. Our sweep, with the right answers, cannot be compared with that.
# - **Accuracy is not everything.** Compare the calibration errors of the distilled students with that of
#   the hard labels: a setting may be better in one and worse in the other.
#
# ## 7. Where it can mislead
#
# - **A cross is not a grid.** Where only the cross is recorded, the best temperature may depend on
#   $\alpha$; exercise 3 looks for that on the digits.
# - **A plateau belongs to its budget**: this student, this teacher, this share of the images, this
#   schedule.
# - **The learning rate was tuned for no setting**, although the gradient's length changes with both knobs.
#   Try `lr=0.1` in section 3, and see what happens to the high temperatures: whatever it is, it has nothing to
#   do with what the teacher knows. Could another rate bring the hard labels up to the distilled students? This page does
#   not show it; give them several rates, and see.
#   [Chapter 03](03_distilling_mlps.ipynb) shows how such a change can pass for an effect of
#   distillation.
# - **New or stored views.** In section 4 the hard-label student draws a new view in every epoch, while the
#   distilled ones share stored views. Section 5 has the pairs with equal views.
# - **Calibration is measured at $T = 1$**, for students that were trained at other temperatures. One
#   parameter fitted on validation repairs much of it (Guo et al. 2017);
#   [chapter 07](07_confusion_matrices.ipynb) tries it.
# - **One draw, one teacher.** All seeds learn from the same fifth of the images and from the same stored
#   views of one teacher. No interval speaks of others.
# - **Several intervals.** About one in twenty would exclude zero if nothing had any effect, and those of
#   three seeds are wide or, by luck, far too narrow.
# - **Few runs for views and bits.** A cell of one run in that table has no interval. The pooled pairs of
#   section 5 share images, and where only one seed is recorded their interval says nothing about others.
#
# ## Exercises
#
# 1. *(5 minutes, easy)* How far is $T\,(q^{(T)}_i - p^{(T)}_i)$ from its limit $(z_i - t_i)/10$ at
#    $T = 20$, relative to the limit's length, with `t` for the teacher and `known.logits(1)` for the student?
#    *Check:* at ten times the temperature the distance is about a tenth.
#    [Solution](solutions/06_temperature.py#exercise-1).
# 2. *(10 minutes, medium)* For each $T$, find the $\alpha$ at which teacher and label have gradients of equal
#    length at the start. Where do the project's settings lie? *Check:* `teachers_share` is then .5.
#    [Solution](solutions/06_temperature.py#exercise-2).
# 3. *(15 minutes, medium)* Turn both knobs: train the students of section 3 on a grid of $T$ and $\alpha$.
#    Does the best $T$ depend on $\alpha$? *Check:* at $\alpha = 0$ the temperature makes no difference.
#    [Solution](solutions/06_temperature.py#exercise-3).
# 4. *(20 minutes, hard)* Store fewer bits than the 8 that `t` already has: 6, 4, 3. Centre each row. One step
#    is the largest absolute value of all, divided by $2^{b-1} - 1$. From how many bits $b$ on does rounding
#    change more than 1 % of the teacher's top answers? *Check:* on these answers, fewer bits never change
#    fewer of them.
#    [Solution](solutions/06_temperature.py#exercise-4).
#
# Solutions: [solutions/06_temperature.py](solutions/06_temperature.py).
#
# ## Summary
#
# - The temperature sets how many classes share an answer. At low $T$ the teacher's gradient repeats the
#   label; in the limit of high $T$ it asks the student to match logits. Where that begins depends on the
#   student, too.
# - $\alpha$ is a weight, not the teacher's share of the gradient.
# - Before you explain a best setting, ask how large a range equally good settings would show.
# - Choose on validation, look at the test set once, and report the settings that came close.
#
# ## Sources
#
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*,
#   [arXiv:1503.02531](https://arxiv.org/abs/1503.02531), section 2.
# - L. Beyer et al. (2022), *Knowledge distillation: a good teacher is patient and consistent*,
#   [arXiv:2106.05237](https://arxiv.org/abs/2106.05237).
# - Z. Shen, E. Xing (2022), *A fast knowledge distillation framework for visual recognition*,
#   [arXiv:2112.01528](https://arxiv.org/abs/2112.01528).
# - C. Guo et al. (2017), *On calibration of modern neural networks*,
#   [arXiv:1706.04599](https://arxiv.org/abs/1706.04599).
# - The project's settings:
#   [peterliht/knowledge-distillation-pytorch](https://github.com/peterliht/knowledge-distillation-pytorch).
