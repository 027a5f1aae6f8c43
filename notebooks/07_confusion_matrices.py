# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Which errors does distillation repair?
#
# Two networks with the same accuracy can make entirely different mistakes. One confuses cats with
# dogs, the other ships with airplanes. If you only compare accuracies, you cannot see this, nor what
# a teacher has changed.
#
# This chapter puts three networks on the same test images and looks at every error: a teacher, a
# CNN5 that learned from labels, and the same CNN5 that learned from the teacher. Looking at many
# errors means asking many questions at once, and chance will answer some of them. Half of this
# chapter is about not being fooled by that. (The project that the course starts from looked at a ResNet-18 that
# learned from a ResNeXt-29. That pair wants a GPU. Ours can be trained on two CPU cores.)
#
# **You will be able to**
#
# - build a confusion matrix in two lines, and read precision, recall and F1 from it;
# - test ten classes at once without counting luck as a finding (Holm's correction);
# - compare two networks image by image (McNemar's test), and say what that test cannot tell you;
# - separate a copied mistake from a mistake that any network would make.
#
# You need [chapter 01](01_soft_and_hard_targets.ipynb) for soft targets.
# [Chapter 04](04_cnn5_from_a_larger_network.ipynb) trains the three networks.
#
# *Time: about ten seconds on `smoke`, about as long on `laptop`, where the runs are recorded.*

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from kdutils.experiments import Lab

lab = Lab("07", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write down a guess for each question. The results section answers them by number.
#
# 1. Take 100 test images that the hard-label student gets wrong. How many of them does the distilled
#    student get right? And how many would a second hard-label student get right, one that differs
#    from the first only in its seed?
# 2. Ten classes, one test each, and nothing has changed: what is the probability that at least one
#    test reports $p < .05$?
# 3. Take the images that the teacher gets wrong. On what share of them does the *hard-label* student
#    give exactly the same wrong answer? And the distilled student?
# 4. Which of the two students is more overconfident?
#
# ## 1. Three networks, the same images
#
# The two students differ in what they learn from, and in their views (stored ones, or a new one in every
# epoch). The published values are
# those of the poster that [chapter 04](04_cnn5_from_a_larger_network.ipynb) takes apart: one run each, with the epoch chosen on the test set.

# %%
from IPython.display import Markdown, display

TEACHER, HARD, DISTILLED, PATIENT = lab.arms
display(lab.recipes(HARD, DISTILLED))
lab.table("Three networks")

# %% [markdown]
# From here on we need more than the score. We need what each network said about each image. The
# store keeps the logits of these runs. Students of the same seed form a *pair*: they start from the
# same weights and see the images in the same order.

# %%
recorded = [set(lab.runs.loc[lab.runs["arm"] == arm, "seed"]) for arm in (HARD, DISTILLED)]
seeds = sorted(recorded[0] & recorded[1])
if not seeds:
    raise LookupError("no pair of students is recorded at these seeds. TRAIN = True trains them.")
dataset = lab.dataset("cifar10")
classes, labels, C = dataset.classes, dataset.test.labels, len(dataset.classes)  # labels: [N]
teacher = lab.logits(TEACHER)  # [N, C]
hard = {s: lab.logits(HARD, seed=s) for s in seeds}  # seed -> [N, C]
distilled = {s: lab.logits(DISTILLED, seed=s) for s in seeds}
print(f"{len(seeds)} pairs of students, {len(labels):,} test images, {C} classes")

# %% [markdown]
# ## 2. A matrix instead of a number
#
# Let $y_n$ be the true class of image $n$ and $\hat y_n$ the class with the highest logit. The
# *confusion matrix* counts the images of class $i$ that were called $j$:
#
# $$ C_{ij} = \#\{\, n : y_n = i,\ \hat y_n = j \,\} . $$
#
# The diagonal holds the right answers. Everything off the diagonal is an error, and its place says
# what was mistaken for what. If you number the cells row by row, counting them takes one call:

# %%
import torch
from sklearn.metrics import confusion_matrix


def confusion(z, y):
    """Row: true class. Column: answer. z: logits [N, C]; y: labels [N]. int64 [C, C]."""
    cell = C * y + z.argmax(1)  # [N]: the cell that each image falls into
    return torch.bincount(cell, minlength=C * C).view(C, C)


matrix = confusion(distilled[seeds[0]], labels)
assert (matrix.numpy() == confusion_matrix(labels, distilled[seeds[0]].argmax(1))).all()
print(f"{int(matrix.trace()):,} of {len(labels):,} on the diagonal; scikit-learn agrees")

# %% [markdown]
# Two matrices of a hundred numbers are hard to compare by eye. Their difference is easier: distilled
# minus hard labels, averaged over the pairs of seeds. On the diagonal a plus is good. Off the
# diagonal a minus is good, because fewer images take that wrong way.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd


def paired(measure):
    """measure(distilled) - measure(hard labels), one row a pair of seeds: float64 [pairs, ...]."""
    return np.stack([np.asarray(measure(distilled[s]), float) - np.asarray(measure(hard[s]), float)
                     for s in seeds])  # fmt: skip


def per_thousand(z):
    counts = confusion(z, labels).double()
    return 1000 * counts / counts.sum(1, keepdim=True)  # every row sums to 1,000


moved = paired(per_thousand)  # [pairs, C, C]
assert np.allclose(moved.sum(2), 0)  # an image that leaves one cell of a row arrives in another

# %% tags=["hide-input"]
import seaborn

shift = pd.DataFrame(moved.mean(0), classes, classes)
words = shift.map(lambda v: f"{v:+.0f}".replace("-", "−") if round(v) else "")
fig, ax = plt.subplots(figsize=(8, 6.4))
seaborn.heatmap(shift, annot=words, fmt="", center=0, cmap="PuOr", square=True, ax=ax,
                cbar_kws={"label": "images per 1,000 of the class"})  # fmt: skip
ax.set(xlabel="answer", ylabel="true class", title="distilled minus hard labels")
alt = "Change of the confusion matrix in images per 1,000 of each true class. The diagonal: "
alt += ", ".join(f"{c} {v:+.0f}" for c, v in zip(classes, np.diag(shift), strict=True)) + ". "
far = shift.where(~np.eye(C, dtype=bool)).stack().dropna().sort_values().iloc[[0, -1]]
alt += "Off it, " + " to ".join(f"{v:+.0f} ({i} called {j})" for (i, j), v in far.items()) + "."
lab.show(fig, "07_confusion", alt, [HARD, DISTILLED], bars=False)

# %% [markdown]
# Start with the diagonal. Then look for pairs of cells: if fewer cats are called dogs, are also
# fewer dogs called cats? If not, the network has only shifted its preference from one answer to the
# other. Do not read a story into a single cell yet. Section 4 counts how many of these cells
# chance alone would make remarkable.
#
# ## 3. Precision, recall, F1
#
# A row and a column of the matrix answer two different questions about class $k$:
#
# $$ \text{recall}_k = \frac{C_{kk}}{\sum_j C_{kj}}, \qquad
# \text{precision}_k = \frac{C_{kk}}{\sum_i C_{ik}}, \qquad
# F_{1,k} = \frac{2\, \text{precision}_k\, \text{recall}_k}{\text{precision}_k + \text{recall}_k} . $$
#
# Recall: of all cats, how many were called a cat? Precision: of everything called a cat, how much is
# one? A network that calls everything a cat has perfect recall and poor precision. $F_1$ is high
# only when both are.


# %%
from sklearn.metrics import precision_recall_fscore_support


def scores(z):
    """Precision, recall and F1 of each class in percent: float64 [3, C]."""
    counts = confusion(z, labels).double()
    right = counts.diagonal()
    precision, recall = right / counts.sum(0).clamp(min=1), right / counts.sum(1)
    f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
    return 100 * torch.stack([precision, recall, f1])


theirs = precision_recall_fscore_support(
    labels, teacher.argmax(1), labels=range(C), zero_division=0
)
assert np.allclose(scores(teacher), 100 * np.array(theirs[:3]))

# %%
networks = {"teacher": {0: teacher}, "hard labels": hard, "distilled": distilled}
columns = {
    (name, role): np.mean([scores(z)[k].numpy() for z in found.values()], axis=0)
    for k, name in enumerate(("precision", "recall", "F1"))
    for role, found in networks.items()
}
frame = pd.DataFrame(columns, index=classes)
frame.loc["mean of the classes"] = frame.mean()
frame.round(1).rename_axis("in %, mean over seeds")

# %% [markdown]
# ## 4. Ten tests are ten chances to be fooled
#
# Did distillation help each class? We have one difference of $F_1$ for each pair of seeds, so a
# paired $t$-test gives a $p$ for each class. Suppose nothing had changed. Each test still reports
# $p < .05$ one time in twenty, and ten independent tests report it at least once with probability
#
# $$ 1 - (1 - .05)^{10} . $$
#
# With a handful of pairs there is a second trap. The $t$-test estimates the scatter of each class
# from as many numbers as there are pairs. From so few, that estimate is itself largely chance. A class whose
# differences happen to lie close together gets a tiny $p$, however small its gain. We simulate both traps:
# pure noise, ten classes, and as many pairs as this page has (at least three).

# %%
from scipy import stats

rng = np.random.default_rng(0)
pairs = max(3, len(seeds))
noise = rng.normal(size=(20_000, pairs, 10))  # [experiments, pairs, classes]: nothing has changed
p = stats.ttest_1samp(noise, 0, axis=1).pvalue  # [experiments, classes]
alarm = (p < 0.05).any(axis=1).mean()
assert abs(alarm - (1 - 0.95**10)) < 0.02
spread = noise.std(axis=1, ddof=1)  # [experiments, classes]
ratio = np.median(spread.max(axis=1) / spread.min(axis=1))
equal = noise + 2  # now every class gains the same: two standard deviations
p = stats.ttest_1samp(equal, 0, axis=1).pvalue
crowned = (p.argmin(axis=1) == equal.mean(axis=1).argmax(axis=1)).mean()
print(
    f"{pairs} pairs; at least one p < .05 although nothing changed: {alarm:.0%} of the experiments"
)
print(f"largest over smallest estimate of one and the same scatter: {ratio:.0f} (median)")
narrow = (p.argmin(axis=1) == spread.argmin(axis=1)).mean()
print(f"smallest p belongs to the class with the largest measured gain: {crowned:.0%}")
print(f"smallest p belongs to the class with the smallest estimate of scatter: {narrow:.0%}")

# %% [markdown]
# In the last two lines all classes gain the same. So the smallest $p$ names a class only by luck. The lines
# say of which kind: how often it is the class that seems to gain most, and how often the one whose scatter
# is underestimated most.
#
# Two remedies. For the scatter: estimate one scatter from all ten classes together (*pooling*). This
# assumes that the classes scatter about equally, and it replaces the degrees of freedom of one class by ten times
# as many.
# For the ten tests: **Holm's correction** (1979). Sort the $m$ p-values from smallest to largest,
#
# $$ \tilde p_{(i)} = \max_{j \le i}\ \min\bigl(1,\ (m - j + 1)\, p_{(j)}\bigr) . $$
#
# The smallest is multiplied by $m$, the next by $m - 1$, and so on. No value may fall below the one
# before it, and none may exceed 1. If you call significant what stays below .05, the probability of
# *any* false alarm among the $m$ tests is at most .05. The tests need not be independent.
#
# ### Your turn: Holm's correction


# %% tags=["your-turn"]
def holm(p):
    """Holm's adjusted p-values, in the order of the given ones: float64 [m]."""
    p = np.asarray(p, dtype=float)
    # your turn: sort, multiply by m, m - 1, ..., 1, take the running maximum, cut at 1, put back
    order = p.argsort()  # smallest first
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    adjusted = np.empty(len(p))
    adjusted[order] = stepped
    return adjusted
    # end


# %% tags=["check"]
from itertools import combinations

found = holm([0.01, 0.04, 0.03])
assert np.allclose(found, [0.03, 0.06, 0.06]), f"by hand .03, .06, .06; yours: {found}"
# The same by another road. Every group of tests that contains test i is itself tested by Bonferroni:
# its smallest p times its size. Test i is worth the worst of these groups (closed testing).
sample = np.random.default_rng(1).uniform(0, 0.6, size=6)  # some steps exceed 1
for i, adjusted in enumerate(holm(sample)):
    groups = [g for n in range(1, 7) for g in combinations(range(6), n) if i in g]  # 32 groups
    worst = max(min(1, len(g) * sample[list(g)].min()) for g in groups)
    assert np.isclose(adjusted, worst), f"test {i}: {worst:.4f} by closed testing, yours {adjusted}"
print("holm holds: by hand, and against closed testing over all groups of six tests.")

# %% [markdown]
# ### Ten classes

# %%
gain = paired(lambda z: scores(z)[2])  # F1, distilled minus hard labels: [pairs, C], in points
n, mean, enough = len(seeds), gain.mean(axis=0), len(seeds) >= 3
own = gain.std(axis=0, ddof=1) if enough else np.full(C, np.nan)  # scatter of each class: [C]
pooled = np.sqrt((own**2).mean())  # one scatter for all classes
p_own = 2 * stats.t.sf(np.abs(mean) / (own / n**0.5), n - 1)
p_pooled = 2 * stats.t.sf(np.abs(mean) / (pooled / n**0.5), C * (n - 1))
half = stats.t.ppf(0.975, C * (n - 1)) * pooled / n**0.5 if enough else 0.0
below = [", ".join(c for c, q in zip(classes, p, strict=True) if q < 0.05) or "no class"
         for p in (holm(p_own), holm(p_pooled))]  # fmt: skip
columns = {"p": p_own, "p after Holm": holm(p_own), "p, pooled": p_pooled,
           "p, pooled, after Holm": holm(p_pooled)}  # fmt: skip
tests = pd.DataFrame(columns, index=classes).map(lambda p: "< .001" if p < 0.001 else f"{p:.3f}")
tests.insert(0, "F1, distilled minus hard labels", [f"{gained:+.2f}" for gained in mean])
tests.insert(1, "own scatter", [f"{scatter:.2f}" for scatter in own])
tests.replace("nan", "–")  # fewer than three pairs: nothing is tested

# %% tags=["hide-input"]
from kdutils import figures

fig, ax = plt.subplots(figsize=(7.5, 4.6))
ax.barh(range(C), 2 * half, left=mean - half, height=0.5, color="0.85", label="pooled scatter")
said = figures.dots(ax, dict(zip(classes, gain.T.tolist(), strict=True)), label="own scatter")
ax.axvline(0, color="0.4", lw=1, ls=":", marker="")
ax.set(xlabel="F1, distilled minus hard labels (points)")
fig.legend(loc="outside upper right", ncols=2, title="95 % interval from")
alt = f"Difference of F1 in points, {n} pairs: {said}. Pooled interval: ± {half:.2f} (0: none)."
lab.show(fig, "07_f1", alt, [HARD, DISTILLED], unit="pairs; ticks: one pair each")

# %% [markdown]
# Compare the whiskers of the classes; an arrow marks one that leaves the picture. If one class has a
# very short whisker and its neighbour one ten times as long, you see the second trap at work: both
# estimate a similar scatter from very few numbers. The grey bars use the pooled scatter and all have
# the same length. Where the two disagree, trust the grey bar, but remember its assumption.
#
# ### A hundred cells
#
# The same caution applies to the matrix of section 2. It has a hundred cells. If nothing had changed,
# about five of them would still show $p < .05$. (Here each cell has its own scatter again: cells with
# many images and cells with almost none cannot be pooled. So this test also misses much. A cell that
# it does not name may well have changed.)

# %%
changing = moved.std(axis=0) > 0  # a cell that never changes its difference cannot be tested
cells = stats.ttest_1samp(moved, 0).pvalue[changing] if enough else np.array([])
by_chance = 0.05 * len(cells)
Markdown(
    f"Of {len(cells)} cells, {(cells < 0.05).sum()} have p < .05; chance alone would give about "
    f"{by_chance:.0f}. After Holm, {(holm(cells) < 0.05).sum()} remain. "
    + ("More cells than chance would give suggest that something changed. They do not say where. "
       "Cells of one row depend on each other, so this count has no simple p. "
       if (cells < 0.05).sum() > 2 * by_chance else "")
    + ("**No single cell may be read as a finding.**" if not (holm(cells) < 0.05).any() else "")
    if enough else "Fewer than three pairs of seeds: nothing is tested."
)  # fmt: skip

# %% [markdown]
# ### Whoever picks the extremes exaggerates
#
# The cells with the largest change were chosen *because* they are large, and part of that is luck.
# The remedy is fresh data. We pick the three most repaired and the three most broken confusions on
# the test images, and count them again on the validation images, which had no part in the choice. No
# student learned from either.

# %%
validation = dataset.val.labels


def per_ten_thousand(arm, split, y):
    """Images in each cell per 10,000, mean over the seeds: float64 [C, C]."""
    counts = [confusion(lab.logits(arm, split, seed=s), y) for s in seeds]
    return torch.stack(counts).double().mean(0) * 10_000 / len(y)


change = {split: per_ten_thousand(DISTILLED, split, y) - per_ten_thousand(HARD, split, y)
          for split, y in (("test", labels), ("val", validation))}  # fmt: skip
errors = change["test"].masked_fill(torch.eye(C, dtype=torch.bool), 0)
ranked = errors.flatten().argsort()  # most repaired first
picked = [divmod(int(cell), C) for cell in (*ranked[:3], *ranked[-3:])]
rows = {f"{classes[i]} → {classes[j]}": {split: float(m[i, j]) for split, m in change.items()}
        for i, j in picked}  # fmt: skip
display(pd.DataFrame(rows).T.round(1).rename_axis("images per 10,000, distilled minus hard labels"))
size = {split: sum(row[split] * np.sign(row["test"]) for row in rows.values()) for split in change}
same = sum(row["test"] * row["val"] > 0 for row in rows.values())
Markdown(
    f"Together the six picked confusions change by {size['test']:.0f} images per 10,000 on the images "
    f"that picked them, and in the same directions by {size['val']:.0f} on the others; {same} of 6 keep their sign. This "
    "takes away the luck of the images. The luck of the seeds stays: both columns show the same "
    "networks."
)

# %% [markdown]
# ## 5. Image by image: McNemar's test
#
# The two students answer about the *same* images. That makes a sharper comparison possible. Sort the
# images into four boxes: was the first network right, is the second? The trick of section 2 counts
# these boxes too.

# %%
was, now = (networks[seeds[0]].argmax(1) == labels for networks in (hard, distilled))  # [N]
boxes = torch.bincount(2 * was + now, minlength=4).view(2, 2)
pd.DataFrame(boxes.numpy(), ["hard labels: wrong", "hard labels: right"],
             ["distilled: wrong", "distilled: right"])  # fmt: skip

# %% [markdown]
# Images on which both are right, or both are wrong, say nothing about which network is better. Two
# boxes remain: $b$ images that the second network *repaired*, and $c$ that it *broke*. If both
# networks were equally good, each of these $b + c$ images would be a toss of a fair coin. So the
# probability of a split at least as uneven as ours is
#
# $$ p = \min\Bigl(1,\; 2 \sum_{k=0}^{\min(b, c)} \binom{b + c}{k} \, 2^{-(b + c)} \Bigr) . $$
#
# This is the exact form of McNemar's test (1947).
#
# ### Your turn: McNemar's test


# %% tags=["your-turn"]
from math import comb


def mcnemar(first, second, y):
    """Images repaired, images broken, exact two-sided p. Logits [N, C] each; labels [N]."""
    # your turn: count b and c as above, then p by the formula; math.comb gives the binomial
    was, now = first.argmax(1) == y, second.argmax(1) == y  # [N]
    b, c = int((~was & now).sum()), int((was & ~now).sum())
    ways = sum(comb(b + c, k) for k in range(min(b, c) + 1))
    return b, c, min(1.0, 2 * ways / 2 ** (b + c))
    # end


# %% tags=["check"]
from itertools import product

from kdutils import metrics

right, wrong = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])  # all labels are class 0
first = torch.cat([wrong] * 7 + [right] * 2 + [right] * 5)  # 7 repaired, 2 broken, 5 unchanged
second = torch.cat([right] * 7 + [wrong] * 2 + [right] * 5)
b, c, p = mcnemar(first, second, torch.zeros(14, dtype=torch.long))
assert (b, c) == (7, 2), f"7 repaired and 2 broken; yours: {b} and {c}"
tosses = [abs(2 * sum(coins) - 9) >= 5 for coins in product((0, 1), repeat=9)]  # all 512
assert np.isclose(p, np.mean(tosses)), f"{sum(tosses)} of 512 tosses are as uneven; yours: p = {p}"
even = torch.cat([wrong] * 3 + [right] * 3)  # against its mirror image: 3 repaired, 3 broken
assert mcnemar(even, even.flip(0), torch.zeros(6, dtype=torch.long)) == (3, 3, 1), "even: p = 1"
b, c, p = mcnemar(hard[seeds[0]], distilled[seeds[0]], labels)
assert np.isclose(p, stats.binomtest(b, b + c).pvalue), "not the p of SciPy's binomial test"
before, after = (metrics.errors(networks[seeds[0]], labels) for networks in (hard, distilled))
assert b - c == before - after, "repaired minus broken must be the difference of the errors"
print(f"mcnemar holds. Seed {seeds[0]}: {b} repaired, {c} broken.")

# %% [markdown]
# ### The control: another seed
#
# What is $b$ worth? Train the hard-label student once more from another seed. There is no teacher,
# and still the new run repairs some errors of the old one and breaks others. This exchange is the
# floor that every claim about "repaired" images must be held against. The fair comparison is between
# runs of *different* seeds, with and without a teacher. Both directions are counted. So repaired and broken
# are equal in the control. Pairs of the same seed share their first weights and the order of the images, so
# their own floor may be lower. We have not measured it.

# %%
groups = {
    "distilled, same seed": [mcnemar(hard[s], distilled[s], labels) for s in seeds],
    "distilled, other seed": [mcnemar(hard[s], distilled[t], labels)
                              for s in seeds for t in seeds if s != t],
    "hard labels, other seed": [mcnemar(hard[s], hard[t], labels)
                                for s in seeds for t in seeds if s != t],
}  # fmt: skip
wrong = np.mean([metrics.errors(z, labels) for z in hard.values()])  # errors of hard labels
exchange = pd.DataFrame(
    [(to, *found) for to, each in groups.items() for found in each],
    columns=["from hard labels to", "repaired", "broken", "p"],
)
exchange.groupby("from hard labels to", sort=False).agg(
    pairs=("p", "size"), repaired=("repaired", "mean"), broken=("broken", "mean"),
    smallest_p=("p", "min"), largest_p=("p", "max"),
).apply(lambda column: column.map(("{:.2g}" if "_p" in column.name else "{:.0f}").format))  # fmt: skip

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6.6, 5.2))
seaborn.scatterplot(exchange, x="broken", y="repaired", hue="from hard labels to", s=80, ax=ax,
                    style="from hard labels to", markers=["o", "s", "^"])  # fmt: skip
ends = exchange[["broken", "repaired"]].to_numpy()
room = 5 + np.ptp(ends) / 10
low, high = ends.min() - room, ends.max() + room
ax.plot([low, high], [low, high], color="0.6", lw=1, ls=":", marker="")
ax.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel="images broken",
       ylabel="images repaired")  # fmt: skip
alt = "Images repaired against images broken. " + "; ".join(
    f"{r[1]}: {r.repaired} repaired, {r.broken} broken" for r in exchange.itertuples()) + "."  # fmt: skip
lab.show(fig, "07_repaired_broken", alt, [HARD, DISTILLED], unit="seeds a student", bars=False)

# %% [markdown]
# A point above the dotted line has fewer errors than the network it is compared with. A point far
# up and to the right has exchanged many images. Two networks can exchange hundreds of images and
# have the same accuracy. The control lies evenly on both sides of the line, because each of its pairs is
# shown in both directions.
#
# Be careful about what $p$ says here. McNemar's test compares these *two networks* on images like
# these. It cannot say whether the *method* is better, because it never saw a second run. Two runs of
# one method can differ with a small $p$. A method is judged over pairs of seeds, as the results
# section does.
#
# ## 6. Does the student copy its teacher's mistakes?
#
# *Agreement* is the share of images on which student and teacher give the same answer
# ([Stanton et al. 2021](https://arxiv.org/abs/2106.05945)). By itself it tells us little: where the
# teacher is right, to agree is just to be right. Where the teacher is wrong, to agree is to share a
# mistake. So we keep only those images, and ask what becomes of them.
#
# A shared mistake is still no proof of copying. Some images would fool any network. The hard-label
# student never met the teacher, so whatever it shares comes for free.
#
# Where the distilled student is more accurate, there is a second difficulty: the better of two networks
# makes other mistakes. A closer control is the hard-label student trained for longer, if that brings it
# closer to the distilled one's accuracy without a teacher. It differs in epochs, too. It is shown where its
# logits are kept.

# %%
answer = teacher.argmax(1)  # [N]
astray = answer != labels  # [N]: the teacher is wrong


def fate(z):
    """Where the teacher is wrong, in percent: its wrong class, another wrong class, right."""
    guess, truth, wrong_class = z.argmax(1)[astray], labels[astray], answer[astray]
    same, right = guess == wrong_class, guess == truth
    return [100 * float(part.double().mean()) for part in (same, ~same & ~right, right)]


def interval(values, digits=1):
    """Mean ± half-width over pairs of seeds; with fewer than three pairs, the mean alone."""
    mean, half = metrics.mean_ci(values)
    return f"{mean:.{digits}f}" + (f" ± {half:.{digits}f}" if len(values) >= 3 else "")


patient = [record.recipe for record in lab.records(PATIENT)]
patient = {r.seed: z["test"] for r in patient if (z := lab.store.logits(r))}  # none is trained anew
students = {"hard labels": hard, "distilled": distilled, "hard labels, longer": patient}
fates = {
    who: np.array([fate(z) for z in found.values()]) for who, found in students.items() if found
}
fates["difference"] = fates["distilled"] - fates["hard labels"]
if both := [s for s in seeds if s in patient]:
    told = [np.subtract(fate(distilled[s]), fate(patient[s])) for s in both]
    fates["distilled, less the longer trained"] = np.array(told)
kinds = ("the teacher's wrong class", "another wrong class", "right")
table = pd.DataFrame({kind: {who: interval(found[:, k]) for who, found in fates.items()}
              for k, kind in enumerate(kinds)})  # fmt: skip
accuracies = {
    who: [metrics.accuracy(z, labels) for z in found.values()] for who, found in students.items()
}
table["accuracy"] = pd.Series({who: interval(x, 2) for who, x in accuracies.items() if x})
if lab.records(PATIENT) and not patient:
    print(f"Hard labels, longer: {lab.cell(PATIENT, 'test_accuracy')} %. Its logits are not kept.")
display(table.fillna("–").rename_axis(f"% of {int(astray.sum()):,} images"))


def mended(first, second, where):
    """Of the first network's errors on these images: how many percent the second has right."""
    wrong = (first.argmax(1) != labels) & where
    return 100 * float((second.argmax(1)[wrong] == labels[wrong]).double().mean())


rows = {}
for where, images in (("right", ~astray), ("wrong", astray)):
    here = [100 * float(images[z.argmax(1) != labels].double().mean()) for z in hard.values()]
    rows[f"the teacher is {where}"] = {"share of the errors": interval(here)} | {
        f"repaired by {who}, other seed": f"{np.mean(found):.1f}" if found else "–"
        for who, second in (("distilled", distilled), ("hard labels", hard))
        for found in [[mended(hard[a], second[b], images) for a in seeds for b in seeds if a != b]]
    }
mends = pd.DataFrame(rows).T.rename_axis("%")
mends

# %% [markdown]
# Read the row of the difference. If its first entry is above zero by more than its half-width, the distilled
# student shares more of the teacher's mistakes than a student that never met the teacher. If the
# interval contains zero, these seeds do not show it, however large the mean looks. Also look at the
# last column: a student can be right where its teacher is wrong.
#
# The second table splits the errors of the hard-label student by what the teacher does with these images, and says
# how many of them other networks repair. It answers the question in this chapter's title. Compare within a row:
# where the teacher is right, the images are easier for every network. What a second hard-label student repairs is
# any new run's exchange; what the distilled one repairs beyond it comes with the teacher. (Pairs share their runs, so
# there is no interval.)
#
# ## 7. How sure are they?
#
# A network is *calibrated* if, of all the answers it gives with 80 % confidence, 80 % are right
# ([chapter 02](02_training_teachers.ipynb)). Divide all logits by one number $\tau$, chosen so that
# the labels of the **validation** images become most likely
# ([Guo et al. 2017](https://arxiv.org/abs/1706.04599)). If $\tau > 1$, the network was overconfident.
# No answer changes. So a fair comparison gives each network its own $\tau$ first.


# %%
def sureness(arm, s):
    """τ from validation; test NLL (nats) and calibration error (%) before and after division."""
    z = lab.logits(arm, seed=s)
    tau = metrics.fit_temperature(lab.logits(arm, "val", s), validation)
    assert torch.equal(z.argmax(1), (z / tau).argmax(1))
    both = [measure(y, labels) for measure in (metrics.nll, metrics.calibration_error)
            for y in (z, z / tau)]  # fmt: skip
    return [tau, *both]


measured = ["τ", "NLL", "NLL, divided by τ", "calibration error", "calibration error, divided by τ"]
sure = {who: np.array([sureness(arm, s) for s in seeds])
        for who, arm in (("hard labels", HARD), ("distilled", DISTILLED))}  # [pairs, 5]  # fmt: skip
sure["difference"] = sure["distilled"] - sure["hard labels"]
pd.DataFrame({m: {who: interval(found[:, k], 3 if k < 3 else 2) for who, found in sure.items()}
              for k, m in enumerate(measured)})  # fmt: skip

# %% [markdown]
# NLL counts two things: how honest a network is about its doubt, and how much it knows. If the
# students still differ in NLL *after* division, one of them knows more, or it is miscalibrated in a
# way that temperature scaling cannot fix. If they differed only before, one number would have been
# enough, and no teacher was needed for it.
#
# ## 8. Look at the images
#
# A picture shows at once what numbers hide: a wrong label, a bird four pixels high. But examples that
# an author picks by hand show what the author believes. So a rule picks them. Let $q_n$ be the
# probability of the right class. From the first pair of seeds we take the two largest of each:
#
# - *repaired*: hard labels wrong, distilled right, by the rise of $q_n$;
# - *broken*: hard labels right, distilled wrong, by the fall of $q_n$;
# - *all wrong*: all three wrong, by the teacher's confidence.
#
# These are extremes. They are not typical.

# %%
first = seeds[0]
p_of = {"teacher": teacher, "hard labels": hard[first], "distilled": distilled[first]}
p_of = {who: z.double().softmax(1) for who, z in p_of.items()}  # [N, C] each
rise = (p_of["distilled"] - p_of["hard labels"]).gather(1, labels[:, None])[:, 0]  # [N]
sees = {who: q.argmax(1) == labels for who, q in p_of.items()}  # [N] each: right or not
rules = {
    "repaired": (~sees["hard labels"] & sees["distilled"], rise),
    "broken": (sees["hard labels"] & ~sees["distilled"], -rise),
    "all wrong": (~torch.stack([*sees.values()]).any(0), p_of["teacher"].max(1).values),
}
shown = [(rule, int(at)) for rule, (allowed, key) in rules.items()
         for at in key.where(allowed, -torch.inf).topk(min(2, int(allowed.sum()))).indices]  # fmt: skip

# %% tags=["hide-input"]
fig, axes = plt.subplots(3, 4, figsize=(10.5, 8), width_ratios=(0.8, 1.3) * 2)
for (rule, at), (left, right) in zip(shown, axes.reshape(-1, 2), strict=False):
    left.imshow(dataset.test.images[at].permute(1, 2, 0))
    left.set(xticks=[], yticks=[], title=f"{rule}: {classes[labels[at]]}\ntest image {at}")
    q = pd.DataFrame({who: p_of[who][at].numpy() for who in reversed(p_of)}, index=classes)
    q.loc[q.max(axis=1).nlargest(4).index[::-1]].plot.barh(ax=right, xlim=(0, 1), legend=False, width=0.8,
        color=["#56B4E9", "#f3d9b1", "0.3"], edgecolor="k", xlabel="probability")  # fmt: skip
handles, names = axes[0, 1].get_legend_handles_labels()
fig.legend(handles[::-1], names[::-1], loc="outside upper right", ncols=3)
alt = "; ".join(f"{rule}, true class {classes[labels[at]]}: " + ", ".join(
    f"{who} says {classes[p[at].argmax()]}" for who, p in p_of.items()) for rule, at in shown)  # fmt: skip
lab.show(fig, "07_images", alt, [HARD, DISTILLED], unit="seeds; first shown", bars=False)

# %% [markdown]
# In the first row, ask what the teacher said: was it sure, or torn between two classes? Ask the same
# in the second row: did the student follow its teacher into the mistake? In the last row: would you
# have known?
#
# ## What we saw
#
# Your four predictions, answered from the records.

# %% tags=["hide-input"]
share = exchange.groupby("from hard labels to")["repaired"].mean().reindex(groups) * 100 / wrong
total = lab.differences("test_errors", {"Errors, distilled minus hard labels": (DISTILLED, HARD)})
where, words = mends.to_dict("index"), "a distilled student of another seed repairs {repaired by distilled, other seed} %, a second hard-label student {repaired by hard labels, other seed} %"  # fmt: skip
right, wrong_too = (words.format_map(where[f"the teacher is {how}"]) for how in ("right", "wrong"))
Markdown(f"""{total.data}

**Which errors does it repair?** The teacher is right about {where["the teacher is right"]["share of the errors"]} %
of the hard-label student's errors. Of those, {right}. Of the rest, {wrong_too}.

1. Of 100 errors of the hard-label student, the distilled student of the same seed repairs {share.iloc[0]:.0f},
one of another seed {share.iloc[1]:.0f}. A *hard-label* student of another seed repairs {share.iloc[2]:.0f}.
2. {alarm:.0%} in the simulation. In our data, p < .05 after Holm: by each class's own scatter
{below[0]}; by the pooled scatter {below[1]}.
3. The hard-label student {interval(fates["hard labels"][:, 0])} %, the distilled student
{interval(fates["distilled"][:, 0])} %; difference {interval(fates["difference"][:, 0])} points.
4. τ is {interval(sure["hard labels"][:, 0], 2)} for hard labels and {interval(sure["distilled"][:, 0], 2)} for the
distilled student. The larger one belongs to the more overconfident network.""")  # fmt: skip

# %% [markdown]
# How to read these numbers:
#
# - **Prediction 1.** Subtract the last number from the second. That is how far the teacher raises
#   their number; which images are repaired may be changed more. The rest is what any new run exchanges. The pairs behind these means share
#   their runs, so we give no interval. Look at how far the groups lie apart in section 5.
# - **Prediction 2.** Compare the two lists of classes. A class that is only on the first probably owes
#   its place to a scatter that was narrow by luck. A class that is only on the second had a wide one.
#   The change of all errors together is better supported than a story about any single class.
# - **Prediction 3.** What the hard-label student shares needs no teacher. Only the difference can come
#   from the teacher. If its interval contains zero, a copied mistake has not been shown.
# - **Prediction 4.** Soft targets do not guarantee a modest network. One possible reason: the teacher's
#   answers are about its own training images, where it is surer than it should be, and the student
#   learns that, too. This page does not test it.
#
# ## Where it can mislead
#
# - **Accuracies may differ.** Where the distilled student is more accurate, it shares more *right* answers
#   with a good teacher, even if they never met. A closer control is the hard-label student of section 6 that
#   was trained for longer. It differs in epochs, too. Compare its accuracy with the distilled one's. Where its
#   logits are not kept, or it is less accurate, section 6 compares students of different quality.
# - **One teacher.** All students learned from one run of one network. The intervals cover the luck of
#   the students, not that of the teacher. A second teacher would say how many of the shared mistakes
#   belong to this run.
# - **Few pairs.** A $t$-interval has one degree of freedom less than there are pairs. With a handful of pairs,
#   its length is largely luck. Section 4 has a remedy for ten classes. For a single number, only more seeds
#   help.
# - **Pooling assumes equal scatter**, and the table of section 4 puts that in doubt where its scatters lie
#   far apart. A finding by both tests is the safer one. A class with few errors scatters less than one with many, and
#   the classes of one network are not independent: an image lost by one class is gained by another.
#   So ten times the degrees of freedom is generous.
# - **Views differ.** The distilled student sees its stored views in turn, the hard-label student a
#   new view in each epoch (`n_views` in the table of section 1). Part of any difference may come from
#   that.
# - **The label can be wrong.** CIFAR-10 contains wrong test labels
#   ([Northcutt et al. 2021](https://arxiv.org/abs/2103.14749)). An image on which all three networks
#   are "wrong" may be right.
#
# ## Exercises
#
# Solutions: [solutions/07_confusion_matrices.py](solutions/07_confusion_matrices.py).
#
# 1. *(5 minutes, easy)* In practice one class may be nine times as common as each of the others. The
#    rows of the confusion matrix stay as they are. Which of recall and precision changes? Write
#    `precision_at(rows, prior)`. *Check:* for rows (.9, .1) and (.2, .8) and shares .9 and .1 it gives
#    81/83 and 8/17.
#    [Solution](solutions/07_confusion_matrices.py#exercise-1).
# 2. *(10 minutes, medium)* Average the probabilities of a hard-label and a distilled student of another
#    seed. Then average those of two hard-label students. Which pair makes fewer errors, and what has that
#    to do with the exchange of section 5? What else could explain it? *Check:* a network averaged with itself must make its own
#    recorded number of errors.
#    [Solution](solutions/07_confusion_matrices.py#exercise-2).
# 3. *(15 minutes, medium)* Let each network refuse the tenth of the images on which it is least sure.
#    How accurate is it on the rest? Does dividing by $\tau$ change that? *Check:* with a share of 0 you
#    must get the recorded accuracy.
#    [Solution](solutions/07_confusion_matrices.py#exercise-3).
# 4. *(30 minutes, hard)* Resample the test images with replacement (a *bootstrap*) and compute an
#    interval for repaired minus broken of one pair. Which luck does it cover, and which does an
#    interval over seeds cover? *Check:* the standard deviation must be close to
#    $\sqrt{b + c - (b - c)^2 / N}$.
#    [Solution](solutions/07_confusion_matrices.py#exercise-4).
#
# ## Summary
#
# - A confusion matrix is one `bincount`. Its rows give recall, its columns precision.
# - Ten tests need a correction, and a handful of seeds is too few to estimate ten scatters. The smallest
#   $p$ often marks the luckiest class, not the most improved one.
# - What was picked because it is extreme must be measured again on fresh data.
# - McNemar's test compares two networks, not two methods. "Repaired" images mean little without the
#   exchange between two seeds beside them.
# - Agreement is informative where the teacher is wrong, next to a student that never met it.
# - Split the errors by whether the teacher is right. Look for a teacher's help where it is right, and
#   for its harm where it is wrong.
#
# ## Sources
#
# - S. Stanton et al. (2021), *Does knowledge distillation really work?*,
#   [arXiv:2106.05945](https://arxiv.org/abs/2106.05945).
# - C. Guo et al. (2017), *On calibration of modern neural networks*,
#   [arXiv:1706.04599](https://arxiv.org/abs/1706.04599).
# - Q. McNemar (1947), *Note on the sampling error of the difference between correlated proportions or
#   percentages*, [Psychometrika 12](https://doi.org/10.1007/BF02295996).
# - S. Holm (1979), *A simple sequentially rejective multiple test procedure*,
#   [Scandinavian Journal of Statistics 6](https://www.jstor.org/stable/4615733).
# - C. Northcutt, A. Athalye, J. Mueller (2021), *Pervasive label errors in test sets destabilize
#   machine learning benchmarks*, [arXiv:2103.14749](https://arxiv.org/abs/2103.14749).
# - The poster's table and code:
#   [peterliht/knowledge-distillation-pytorch](https://github.com/peterliht/knowledge-distillation-pytorch).
