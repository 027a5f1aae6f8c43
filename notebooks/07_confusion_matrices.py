# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · What does distillation change: which errors does it repair?
#
# Two students score the same. Are they the same? One may take cats for dogs, the other ships for
# planes. Accuracy counts errors. It does not say which ones.
#
# A student that learned from a teacher could differ in more than its score. It may err where its
# teacher errs. It may be less sure of itself. It may win on one class and lose on another. This
# notebook puts three networks on the same test images and looks at every error: the teacher, a
# CNN5 that learned from labels, and the same CNN5 that learned from the teacher.
#
# **You will be able to**
#
# - read a confusion matrix, and get precision, recall and F1 out of it;
# - make ten comparisons at once without fooling yourself;
# - test two networks on the same images, and say what such a test does not tell;
# - tell a copied mistake from a mistake that anyone would make;
# - compare how honest two networks are about their own doubt.
#
# You need notebook 01 (soft targets). Notebook 02 explains calibration. Notebook 04 trains the
# three networks and says how.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": embedded pictures. "laptop": CIFAR-10. "paper": full budgets
SEEDS = None  # None: the profile's own seeds. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from itertools import combinations
from math import comb

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from kdutils import course, data, figures, metrics, profiles, tables
from kdutils.course import nb07
from kdutils.runs import run_all
from kdutils.store import Store

profile, seeds = profiles.setup(PROFILE, SEEDS)
profiles.check_flag("TRAIN", TRAIN)
figures.theme()
if TRAIN or PROFILE == "smoke":
    run_all([arm.recipe for arm in course.arms(7, PROFILE)], seeds)
results, store = tables.collect(7, PROFILE, seeds), Store()

roles = {"teacher": nb07.TEACHER, "hard labels": nb07.HARD, "distilled": nb07.DISTILLED}
answers, without = {}, []  # answers: role -> seed -> {"val", "test"}, logits [N, classes]
for role, name in roles.items():
    found = tables.find(results, name)
    if found is None:
        raise LookupError(f"{name!r} has no record at profile {PROFILE!r}: set TRAIN = True.")
    logits = {record.recipe.seed: store.logits(record.recipe) for record in found.records}
    answers[role] = {seed: z for seed, z in logits.items() if z}
    without += [f"{name}, seed {seed}" for seed, z in logits.items() if not z]
taught_by = tables.find(results, nb07.DISTILLED).arm.recipe.teachers[0]  # one for all students
taught = store.logits(taught_by)
pairs = sorted(answers["hard labels"].keys() & answers["distilled"].keys())
if not taught or not pairs:
    raise LookupError("The logits of the teacher or of a pair of students lack: set TRAIN = True.")
dataset = data.load(profile.datasets["cifar10"])
test, classes, labels = dataset.test, dataset.classes, dataset.test.labels
Markdown(tables.cost(results) + (f" No logits are stored for: {'; '.join(without)}. These runs "
         "are left out below." if without else ""))  # fmt: skip

# %% [markdown]
# ## Predict first
#
# Write down a guess before you read on.
#
# 1. Take 100 test images that the hard-label student gets wrong. How many of them does the
#    distilled student get right? And how many would a second hard-label student get right, which
#    differs from the first in nothing but its seed?
# 2. Which two classes does the teacher mix up most? Does its student mix them up more or less
#    often than the student that never met it?
# 3. Take the images that the teacher gets wrong. How often does the *hard-label* student give the
#    very same wrong answer?
# 4. Which student is too sure of itself? And after each has been corrected by one number?

# %% [markdown]
# ## 1. A matrix instead of a number
#
# Let $y_n$ be the true class of image $n$, and $\hat y_n$ the class with the highest logit. The
# *confusion matrix* counts the images of class $i$ that were called $j$:
#
# $$ C_{ij} = \#\{\, n : y_n = i,\ \hat y_n = j \,\} . $$
#
# Its diagonal holds what is right. Each error has a place off the diagonal, and the place says
# what was taken for what. Number the cells row by row, and a single count fills them all.

# %%
C = len(classes)


def confusion(logits, labels):
    """Row: true class. Column: answer. Shape [C, C], whole numbers."""
    cell = C * labels + logits.argmax(1)  # [N], which cell each image falls into
    return torch.bincount(cell, minlength=C * C).view(C, C)


z = answers["distilled"][pairs[0]]["test"]
assert (confusion(z, labels).numpy() == confusion_matrix(labels, z.argmax(1))).all()  # scikit-learn
accuracy = 100 * float(confusion(z, labels).diagonal().sum() / len(labels))
assert abs(accuracy - metrics.accuracy(z, labels)) < 1e-4

# %%
tables.compare(results, "test_accuracy")

# %% [markdown]
# A published value is that of the poster of notebook 04. Its epoch was chosen on the test set.
#
# Now the matrices. Each row is divided by its sum, so it reads: *of 100 images of this class, so
# many get that answer*. All cells are means over seeds.
#
# The last picture is the distilled student minus the hard-label student. On its diagonal, a plus is
# good. Off the diagonal, a minus is good: fewer images take that wrong way. A number in **bold**
# lies further from zero than its 95 % interval over the pairs of seeds reaches. Where nothing has
# changed, about one cell in twenty is bold all the same.


# %%
def shares(logits):
    """The confusion matrix in percent of each row: float64 [C, C]."""
    counts = confusion(logits, labels).double()
    return (100 * counts / counts.sum(1, keepdim=True)).numpy()


def paired(measure):
    """measure(distilled) - measure(hard labels) on the test logits: one value a pair of seeds."""
    return [measure(answers["distilled"][seed]["test"]) - measure(answers["hard labels"][seed]["test"])
            for seed in pairs]  # fmt: skip


matrices = {role: np.mean([shares(z["test"]) for z in found.values()], axis=0)
            for role, found in answers.items()}  # fmt: skip
change = np.stack(paired(shares))  # [pairs, C, C], in points

# %% tags=["hide-input"]
# White is no change. Blue is much darker than orange, so that grey prints tell them apart too.
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#00385c", "#4a90bf", "#ffffff", "#f6c766", "#e08a00"]
)
by_cell = [[metrics.mean_ci(change[:, i, j]) for j in range(C)] for i in range(C)]
clear = np.array([[h is not None and abs(m) > h for m, h in row] for row in by_cell])
limit = max(np.abs(change.mean(0)).max(), 0.1)
fig, axes = plt.subplots(2, 2, figsize=(10.5, 10.8))
panels = [*matrices.items(), ("distilled minus hard labels, in points", change.mean(0))]
for ax, (name, matrix) in zip(axes.flat, panels, strict=True):
    signed = name not in matrices
    look = {"cmap": SIGNED, "vmin": -limit, "vmax": limit} if signed else {
        "cmap": "Blues", "norm": PowerNorm(0.5, 0, 100)}  # fmt: skip
    image = ax.imshow(matrix, **look)
    ink = image.cmap(image.norm(matrix))[..., :3] @ [0.299, 0.587, 0.114]  # lightness, [C, C]
    for i, j in np.ndindex(C, C):
        text = f"{matrix[i, j]:+.1f}" if signed else f"{matrix[i, j]:.1f}"
        text = "0" if float(text) == 0 else text.replace("-", "−")
        ax.text(j, i, text, ha="center", va="center", fontsize=7.5,
                color="0.65" if text == "0" else "white" if ink[i, j] < 0.5 else "black",
                weight="bold" if signed and clear[i, j] else "normal")  # fmt: skip
    ax.set_xticks(range(C), classes, rotation=45, ha="right", rotation_mode="anchor", fontsize=9)
    ax.set_yticks(range(C), classes, fontsize=9)
    ax.set(xlabel="answer", ylabel="true class")
    ax.set_title(name if signed else f"{name}, n = {len(answers[name])}", fontsize=11)
    ax.grid(False)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)


def largest(matrix, k=3):
    """The k largest cells off the diagonal, in words."""
    off = np.where(np.eye(C, dtype=bool), -np.inf, matrix)
    cells = [np.unravel_index(at, off.shape) for at in off.argsort(axis=None)[::-1][:k]]
    return ", ".join(f"{classes[i]} as {classes[j]} {matrix[i, j]:.1f}" for i, j in cells)


figures.count(fig, {len(pairs)}, PROFILE, f"{len(labels):,} test images of {dataset.name}",
              unit="pairs of seeds in the last picture", bars=False)  # fmt: skip
figures.show(
    fig,
    name="07_confusion",
    alt="Confusion matrices in percent of each true class. "
    + " ".join(f"{role}: mean of the diagonal {m.diagonal().mean():.1f}; largest confusions "
               f"{largest(m)}." for role, m in matrices.items())
    + " Distilled minus hard labels: the diagonal changes by "
    + ", ".join(f"{name} {d:+.1f}" for name, d in zip(classes, change.mean(0).diagonal(), strict=True))
    + " points.",
)  # fmt: skip

# %% [markdown]
# Look first for symmetry. If $i$ is often taken for $j$, is $j$ as often taken for $i$? Where it is
# not, the network prefers one of the two answers. Then compare the three: are the dark cells off
# the diagonal in the same places?

# %% [markdown]
# ## 2. Precision, recall, F1
#
# A row and a column of the matrix ask two different questions about one class $k$.
#
# $$ \text{recall}_k = \frac{C_{kk}}{\sum_j C_{kj}}, \qquad
# \text{precision}_k = \frac{C_{kk}}{\sum_i C_{ik}}, \qquad
# F_{1,k} = \frac{2\, \text{precision}_k\, \text{recall}_k}{\text{precision}_k + \text{recall}_k} . $$
#
# Recall: of all cats, how many were called cat? Precision: of all that was called cat, how much is
# one? A network that calls everything a cat has full recall and a poor precision. $F_1$ is high
# only if both are.

# %%
counts = confusion(z, labels).double()
recall = counts.diagonal() / counts.sum(1)  # [C], along the rows
precision = counts.diagonal() / counts.sum(0).clamp(min=1)  # [C], along the columns
f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-12)

report = metrics.classification_report(z, labels, classes)  # scikit-learn
for k, name in enumerate(classes):
    theirs = [report[name][key] for key in ("precision", "recall", "f1-score")]
    assert np.allclose([precision[k], recall[k], f1[k]], theirs, atol=1e-12)

# %% tags=["hide-input"]
KEYS = {"precision": "precision", "recall": "recall", "F1": "f1-score"}
reports = {role: [metrics.classification_report(z["test"], labels, classes) for z in found.values()]
           for role, found in answers.items()}  # fmt: skip
rows = {}
for name in (*classes, "macro avg"):
    rows["mean of the classes" if name == "macro avg" else name] = {
        (title, role): f"{100 * np.mean([r[name][key] for r in reports[role]]):.1f}"
        for title, key in KEYS.items() for role in roles
    }  # fmt: skip
pd.DataFrame.from_dict(rows, orient="index").rename_axis("in %, mean over seeds")

# %% [markdown]
# ### Ten comparisons are ten chances to be fooled
#
# Did distillation help each class? We have one difference of $F_1$ for each pair of seeds, so a
# paired $t$-test gives a $p$ for each class. Suppose that nothing had changed. Each test still
# says "$p < .05$" in one case of twenty. Ten independent tests say it at least once with
# probability
#
# $$ 1 - (1 - .05)^{10} . $$
#
# Holm (1979) repairs that. Sort the $m$ values, smallest first. Multiply the first by $m$, the
# second by $m - 1$, and so on. No value may fall below the one before it, and none may exceed 1.
# Compare the results with .05. The probability of *any* false alarm is then at most .05. It needs
# no independence.


# %%
def holm(p):
    """Holm's adjusted p-values, in the order of the given ones: float64 [m]."""
    p = np.asarray(p, dtype=float)
    order = p.argsort()  # smallest first
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = stepped.clip(max=1)
    return adjusted


# by hand: .01 * 3 = .03; .03 * 2 = .06; .04 * 1 = .04, which may not fall below .06
assert np.allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])

# %% tags=["nbval-check-output"]
print(f"Ten tests, nothing there: at least one p < .05 with probability {1 - 0.95**10:.2f}")


# %%
def f1_of(logits):
    """F1 of each class in percent: float64 [C]."""
    report = metrics.classification_report(logits, labels, classes)
    return np.array([100 * report[name]["f1-score"] for name in classes])


f1_change = np.stack(paired(f1_of))  # [pairs, C], in points
nothing = np.zeros(len(pairs))
if len(pairs) > 1:
    p = np.array([metrics.paired_test(column, nothing)["p"] for column in f1_change.T])
    p_holm = holm(p)
else:
    p = p_holm = np.full(C, np.nan)  # one pair has no spread to be held against

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 5), sharey=True, width_ratios=(1.15, 1))
reach, words = [], []
for style, (role, found) in enumerate(answers.items()):
    each = np.stack([f1_of(z["test"]) for z in found.values()])  # [seeds, C]
    reach += [*each.flat]
    for k in range(C):
        mean, half = metrics.mean_ci(each[:, k])
        figures.dot(left, mean, k + 0.24 * (style - 1), half, style=style,
                    label=role if k == 0 else None)  # fmt: skip
left.set(yticks=range(C), yticklabels=classes, ylim=(C - 0.5, -0.5), xlabel="F1 (%)")
low, high = figures.span(reach)
left.set_xlim(max(low, -2), min(high, 102))
left.set_title("three networks", fontsize=11)
fig.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=3)
for k, name in enumerate(classes):
    mean, half = metrics.mean_ci(f1_change[:, k])
    figures.dot(right, mean, k, half, style=2 if p_holm[k] < 0.05 else 3)
    words.append(f"{name} {tables.interval(mean, half)}")
right.axvline(0, color="0.4", lw=1, ls=":", marker="")
low, high = figures.span([*f1_change.flat, 0])
right.set(xlabel="F1, distilled minus hard labels (points)", xlim=(low, high))
right.set_title("paired difference (filled: clear after Holm)", fontsize=11)
figures.count(fig, {len(found) for found in answers.values()}, PROFILE,
              f"{len(labels):,} test images of {dataset.name}")  # fmt: skip
figures.show(fig, name="07_f1",
             alt="F1 of each class for the three networks, and the paired difference distilled minus "
             "hard labels in points: " + "; ".join(words) + ".")  # fmt: skip

# %% tags=["hide-input"]
rows = []
for k, name in enumerate(classes):
    mean, half = metrics.mean_ci(f1_change[:, k])
    rows.append({
        "class": name, "F1, distilled minus hard (points)": tables.interval(mean, half),
        "pairs": len(pairs),
        "p": "–" if np.isnan(p[k]) else f"{p[k]:.3f}",
        "p after Holm": "–" if np.isnan(p_holm[k]) else f"{p_holm[k]:.3f}",
    })  # fmt: skip
pd.DataFrame(rows).set_index("class")

# %% [markdown]
# Few seeds make wide intervals, and a whisker may leave the picture. The dots alone would tempt you
# to a story about every class. Read the last column first.

# %% [markdown]
# ## 3. Which confusions are repaired, which are new?
#
# Ten classes make 90 ways to err. For each of them we count how many images take it, per 10,000 test
# images, and subtract hard from distilled.
#
# There is a trap. The largest of 90 differences is large partly by luck. **Whoever picks the
# extremes and reports the same numbers exaggerates.** So each pair below is shown twice: on the
# test images that picked it, and on the validation images, which had no say. No student learned
# from either. What shrinks in the second column, on the whole, was the luck of the test images. The
# luck of the *seeds* stays: both columns show the same trained networks. To take that off as well,
# pick with some seeds and report others.


# %%
def per_10k(logits, split):
    """Images in each cell per 10,000: float64 [C, C]."""
    return confusion(logits, split.labels).double().numpy() * 10_000 / len(split)


moved = {}  # split -> [pairs, C, C], distilled minus hard
for name, split in (("test", dataset.test), ("val", dataset.val)):
    hard, distilled = (np.stack([per_10k(answers[role][seed][name], split) for seed in pairs])
                       for role in ("hard labels", "distilled"))  # fmt: skip
    moved[name] = distilled - hard

mean = np.where(np.eye(C, dtype=bool), 0, moved["test"].mean(0))  # errors alone
order = [np.unravel_index(at, mean.shape) for at in mean.argsort(axis=None, kind="stable")]
repaired = [cell for cell in order[:5] if mean[cell] < 0]
broken = [cell for cell in order[:-6:-1] if mean[cell] > 0]

# %% tags=["hide-input"]
rows = []
for kind, cells in (("repaired most", repaired), ("broken most", broken)):
    for i, j in cells:
        before, after = (np.mean([per_10k(answers[role][seed]["test"], dataset.test)[i, j]
                                  for seed in pairs]) for role in ("hard labels", "distilled"))  # fmt: skip
        m, half = metrics.mean_ci(moved["test"][:, i, j])
        inside = "no interval" if half is None else "yes" if abs(m) <= half else "no"
        rows.append({
            "": kind, "true → answer": f"{classes[i]} → {classes[j]}",
            "hard labels": f"{before:.1f}", "distilled": f"{after:.1f}",
            "difference": tables.interval(m, half),
            "interval contains 0": inside,
            "difference on validation": tables.interval(*metrics.mean_ci(moved["val"][:, i, j])),
        })  # fmt: skip
pd.DataFrame(rows).set_index("").rename_axis("images per 10,000")

# %% tags=["hide-input"]
chosen = repaired + broken
fig, ax = plt.subplots(figsize=(7.5, 4.6))
reach = [0.0]
for style, (name, title) in enumerate({"test": "test, which chose the pairs",
                                       "val": "validation, which did not"}.items()):  # fmt: skip
    for k, (i, j) in enumerate(chosen):
        m, half = metrics.mean_ci(moved[name][:, i, j])
        reach += [*moved[name][:, i, j]]
        figures.dot(
            ax, m, k + (-0.14, 0.14)[style], half, style=style, label=title if k == 0 else None
        )
ax.axvline(0, color="0.4", lw=1, ls=":", marker="")
ax.axhline(len(repaired) - 0.5, color="0.7", lw=1, ls="-", marker="")
ax.set(yticks=range(len(chosen)), yticklabels=[f"{classes[i]} → {classes[j]}" for i, j in chosen],
       ylim=(len(chosen) - 0.5, -0.5), xlim=figures.span(reach),
       xlabel="images per 10,000, distilled minus hard labels")  # fmt: skip
fig.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=2)
figures.count(fig, {len(pairs)}, PROFILE,
              f"{len(dataset.test):,} test and {len(dataset.val):,} validation images of {dataset.name}",
              unit="pairs of seeds")  # fmt: skip
figures.show(fig, name="07_pairs",
             alt="The confusions that distillation changes most, in images per 10,000, on test and on "
             "validation: " + "; ".join(
                 f"{classes[i]} as {classes[j]} {moved['test'][:, i, j].mean():+.1f} and "
                 f"{moved['val'][:, i, j].mean():+.1f}" for i, j in chosen) + ".")  # fmt: skip

# %% [markdown]
# ### Image by image: McNemar's test
#
# The two students answer about the *same* images. Where both are right or both are wrong, they do
# not differ, and the image says nothing about which is better. Two counts are left: $b$ images that
# distillation repaired, and $c$ that it broke. The difference of the errors is $b - c$.
#
# Suppose both students were equally good. Then each of the $b + c$ images is repaired or broken by
# the toss of a fair coin, and
#
# $$ p = \min\Bigl(1,\; 2 \sum_{k=0}^{\min(b, c)} \binom{b + c}{k} \, 2^{-(b + c)} \Bigr) . $$
#
# This is the exact form of McNemar's test (1947). SciPy has it as a binomial test.


# %%
def mcnemar(before, after, labels):
    """Images repaired, images broken, and p of McNemar's exact test. Logits: [N, C] each."""
    was, now = before.argmax(1) == labels, after.argmax(1) == labels  # [N], right or not
    b, c = int((~was & now).sum()), int((was & ~now).sum())
    return b, c, binomtest(b, b + c).pvalue if b + c else 1.0


by_hand = 2 * sum(comb(10, k) for k in range(3)) / 2**10  # b = 8, c = 2
assert abs(by_hand - binomtest(8, 10).pvalue) < 1e-12

seed = pairs[0]
hard, distilled = (answers[role][seed]["test"] for role in ("hard labels", "distilled"))
b, c, p_mcnemar = mcnemar(hard, distilled, labels)
print(f"seed {seed}: {b} images repaired, {c} broken, p = {p_mcnemar:.2g}")

# %% [markdown]
# ### The control: another seed
#
# What is $b$ worth? Train the hard-label student once more, from another seed. No teacher is there.
# Still it repairs some errors of the first and breaks others. That exchange is the noise floor of two
# runs of *different* seeds. The fair thing to hold against it is hard labels → distilled, of different
# seeds too. A pair of one seed starts from the same weights and sees the images in the same order; its
# own floor is lower, and nobody has measured it here.

# %% tags=["hide-input"]
taught_pairs = [mcnemar(answers["hard labels"][s]["test"], answers["distilled"][s]["test"], labels)
                for s in pairs]  # fmt: skip
hard_seeds = sorted(answers["hard labels"])
control_pairs = [mcnemar(answers["hard labels"][s]["test"], answers["hard labels"][t]["test"], labels)
                 for s, t in combinations(hard_seeds, 2)]  # fmt: skip
crossed_pairs = [mcnemar(answers["hard labels"][s]["test"], answers["distilled"][t]["test"], labels)
                 for s in pairs for t in pairs if s != t]  # fmt: skip
rows = [
    {"from → to": f"hard labels → distilled, seed {s}", "repaired": b, "broken": c,
     "repaired − broken": f"{b - c:+d}", "p (McNemar)": f"{p:.2g}"}
    for s, (b, c, p) in zip(pairs, taught_pairs, strict=True)
] + [
    {"from → to": f"hard labels, seed {s} → seed {t}", "repaired": b, "broken": c,
     "repaired − broken": f"{b - c:+d}", "p (McNemar)": f"{p:.2g}"}
    for (s, t), (b, c, p) in zip(combinations(hard_seeds, 2), control_pairs, strict=True)
    if s == hard_seeds[0]  # the figure shows them all
]  # fmt: skip
pd.DataFrame(rows).set_index("from → to")

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 5))
groups = {"hard labels → distilled, same seed": taught_pairs,
          "hard labels → hard labels, other seed": control_pairs,
          "hard labels → distilled, other seed": crossed_pairs}  # fmt: skip
for style, (title, found) in enumerate(groups.items()):
    ax.plot([c for _, c, _ in found], [b for b, _, _ in found], figures.MARKERS[style], ms=7, ls="",
            color=figures.COLORS[style], mfc="white" if style % 2 else figures.COLORS[style],
            markevery=1, label=title if found else None)  # fmt: skip
low, high = figures.span(
    [v for found in groups.values() for b, c, _ in found for v in (b, c)], at_least=5
)
ax.plot(
    [low, high],
    [low, high],
    color="0.6",
    lw=1,
    ls=":",
    marker="",
    label="as many broken as repaired",
)
ax.set(
    xlabel="images broken",
    ylabel="images repaired",
    xlim=(low, high),
    ylim=(low, high),
    aspect="equal",
)
fig.legend(*ax.get_legend_handles_labels(), loc="outside upper left")
figures.count(fig, {len(pairs)}, PROFILE, f"{len(labels):,} test images of {dataset.name}",
              unit=f"pairs of one seed; {len(control_pairs)} and {len(crossed_pairs)} of two seeds, not independent",
              bars=False)  # fmt: skip
figures.show(fig, name="07_repaired_broken",
             alt="Images repaired against images broken. " + " ".join(
                 f"{title}: " + "; ".join(f"{b} repaired, {c} broken" for b, c, _ in found) + "."
                 for title, found in groups.items() if found))  # fmt: skip

# %% [markdown]
# A point above the dotted line has fewer errors than what it came from. A point far up and to the
# right has exchanged many. Two students can exchange hundreds of images and have the same accuracy.
#
# Mind what $p$ speaks about. McNemar's test compares these *two networks* on images like these. It
# cannot tell whether the *method* is better, for it never saw a second run. A control with a small
# $p$ shows it: same method, other seed. The method is judged over pairs of seeds, as in section 2.

# %% [markdown]
# ## 4. Does the student copy its teacher's mistakes?
#
# *Agreement* is the share of images on which student and teacher give the same answer (Stanton et al.
# 2021):
#
# $$ A = \frac{1}{N} \sum_n \bigl[\, \hat y_n^{\,\text{student}} = \hat y_n^{\,\text{teacher}} \,\bigr] . $$
#
# Alone it tells little. Where the teacher is right, agreement is nothing but being right. So split the
# images. **Where the teacher is wrong, agreement is a shared mistake.**
#
# Even that is no proof of copying. Some images would fool anybody. The hard-label student never met
# the teacher, so its agreement is what comes for free. All students of all seeds were taught by one
# teacher, and here everything is compared with that one.

# %%
said = taught["test"].argmax(1)  # [N], the teacher's answers
teacher_right = said == labels


def fidelity(logits):
    """Agreement with the teacher in percent: all images, where it is right, where it is wrong."""
    same = (logits.argmax(1) == said).double()
    return np.array([100 * float(same[part].mean())
                     for part in (torch.ones_like(teacher_right), teacher_right, ~teacher_right)])  # fmt: skip


def fate(logits):
    """Of the images that the teacher gets wrong, in percent: same wrong class, another, right."""
    guess, truth = logits[~teacher_right].argmax(1), labels[~teacher_right]
    same, right = guess == said[~teacher_right], guess == truth
    return np.array([100 * float(part.double().mean()) for part in (same, ~same & ~right, right)])


assert abs(fidelity(z)[0] - metrics.agreement(z, taught["test"])) < 1e-9
assert abs(fate(z).sum() - 100) < 1e-9 and abs(fate(z)[0] - fidelity(z)[2]) < 1e-9

# %% tags=["hide-input"]
compared = {"hard labels": answers["hard labels"], "distilled": answers["distilled"]}
columns = ("all images", f"teacher right ({int(teacher_right.sum()):,} images)",
           f"teacher wrong ({int((~teacher_right).sum()):,} images)")  # fmt: skip
rows = {}
for role, found in compared.items():
    each = np.stack([fidelity(z["test"]) for z in found.values()])  # [seeds, 3]
    rows[role] = {column: tables.interval(*metrics.mean_ci(each[:, k]))
                  for k, column in enumerate(columns)} | {"n": len(found)}  # fmt: skip
fidelity_change = np.stack(paired(fidelity))  # [pairs, 3]
rows["distilled minus hard labels"] = {
    column: tables.interval(*metrics.mean_ci(fidelity_change[:, k]))
    for k, column in enumerate(columns)
} | {"n": len(pairs)}
pd.DataFrame.from_dict(rows, orient="index").rename_axis("agreement with the teacher (%)")

# %% tags=["hide-input"]
PARTS = ("the teacher's wrong class", "another wrong class", "right")
HATCHES, FILLS = ("", "///", ""), ("#D55E00", "#f3d9b1", "#56B4E9")
fig, ax = plt.subplots(figsize=(8, 1.5 + 0.62 * len(compared)))
words = []
for k, (role, found) in enumerate(compared.items()):
    part = np.mean([fate(z["test"]) for z in found.values()], axis=0)
    start = 0.0
    for share, name, hatch, fill in zip(part, PARTS, HATCHES, FILLS, strict=True):
        ax.barh(k, share, left=start, height=0.62, color=fill, hatch=hatch, edgecolor="black", lw=0.6,
                label=name if k == 0 else None)  # fmt: skip
        if share > 5:
            ax.text(start + share / 2, k, f"{share:.0f}", ha="center", va="center", fontsize=10,
                    bbox={"fc": "white", "ec": "none", "pad": 1.5})  # fmt: skip
        start += share
    words.append(
        f"{role}: " + ", ".join(f"{n} {s:.0f} %" for n, s in zip(PARTS, part, strict=True))
    )
ax.set(yticks=range(len(compared)), yticklabels=compared, ylim=(len(compared) - 0.5, -0.5),
       xlim=(0, 100), xlabel="% of the images that the teacher gets wrong")  # fmt: skip
ax.grid(False)
fig.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=3)
figures.count(fig, {len(found) for found in compared.values()}, PROFILE,
              f"{int((~teacher_right).sum()):,} of {len(labels):,} test images of {dataset.name}",
              bars=False)  # fmt: skip
figures.show(fig, name="07_copied", alt="What is answered where the teacher is wrong. "
             + "; ".join(words) + ".")  # fmt: skip

# %% [markdown]
# Compare the first part of the bars. Where the distilled student has more of it, its teacher is the
# likely source; the stored views and another accuracy are possible ones. Compare the last part as
# well: a student can be right where its teacher is wrong. One control is missing. A second teacher of
# another seed would say how much of the shared mistakes belongs to this one run.

# %% [markdown]
# ## 5. Who knows when it does not know?
#
# A network is *calibrated* if, of all answers that it gives with 80 % confidence, 80 % are right
# (notebook 02). Sort the images into bins by confidence. Plot the share of right answers in each
# bin over the mean confidence. The *expected calibration error* is the mean distance from the
# diagonal, weighted by the $n_b$ images of bin $b$:
#
# $$ \mathrm{ECE} = \sum_b \frac{n_b}{N} \,\bigl| \mathrm{accuracy}_b - \mathrm{confidence}_b \bigr| . $$


# %%
n, confidence, share_right = metrics.reliability(z, labels)  # each [bins that are not empty]
ece = 100 * np.sum(n * np.abs(share_right - confidence)) / n.sum()
assert abs(ece - metrics.calibration_error(z, labels)) < 1e-9  # the same as kdutils

# %% [markdown]
# ### A fair comparison
#
# Distillation trains on soft answers, so the student may become less sure. Is that worth a teacher?
# There is a cheaper way. *Temperature scaling* (Guo et al. 2017) divides all logits by one number
# $\tau$, the one that makes the labels of the **validation** images most likely:
#
# $$ \tau = \operatorname{argmin}_{\tau > 0}\; -\sum_n \log \operatorname{softmax}(z_n / \tau)_{y_n} . $$
#
# It takes seconds, and it changes no answer. So each network gets its own $\tau$ before we compare.


# %%
tau = {role: {s: metrics.fit_temperature(found["val"], dataset.val.labels) for s, found in each.items()}
       for role, each in answers.items()}  # fmt: skip

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(10, 4), sharey=True)
words = []
for ax, (role, found) in zip(axes, answers.items(), strict=True):
    ax.plot([0, 1], [0, 1], color="0.6", ls="-", lw=1, marker="")
    pooled = {"as trained": torch.cat([z["test"] for z in found.values()]),
              "divided by τ": torch.cat([z["test"] / tau[role][s] for s, z in found.items()])}  # fmt: skip
    for k, (state, logits) in enumerate(pooled.items()):
        n, confidence, share_right = metrics.reliability(logits, labels.repeat(len(found)))
        seen = n >= 10 * len(found)
        ax.plot(confidence[seen], share_right[seen], color=figures.COLORS[k], ls=figures.DASHES[k],
                marker=figures.MARKERS[k], mfc="white" if k else None, ms=5, lw=1.3, markevery=1,
                label=state)  # fmt: skip
    mean_tau = np.mean([*tau[role].values()])
    before = np.mean([metrics.calibration_error(z["test"], labels) for z in found.values()])
    after = np.mean(
        [metrics.calibration_error(z["test"] / tau[role][s], labels) for s, z in found.items()]
    )
    ax.set_title(
        f"{role}\nECE {before:.1f} % → {after:.1f} %, τ = {mean_tau:.2f}", fontsize=10, loc="center"
    )
    ax.set(xlabel="confidence", xlim=(0, 1.02), ylim=(0, 1.02))
    words.append(
        f"{role}: calibration error {before:.1f} %, {after:.1f} % after division by {mean_tau:.2f}"
    )
axes[0].set_ylabel("share of right answers")
axes[0].legend(loc="upper left")
figures.count(fig, {len(found) for found in answers.values()}, PROFILE,
              f"{len(labels):,} test images of {dataset.name}", unit="seeds, pooled", bars=False)  # fmt: skip
figures.show(fig, name="07_reliability",
             alt="Reliability diagrams on the test images. " + "; ".join(words) + ".")  # fmt: skip

# %% tags=["hide-input"]
rows = []
for role, found in answers.items():
    scaled = {s: z["test"] / tau[role][s] for s, z in found.items()}
    measured = {
        "τ": (2, [*tau[role].values()]),
        "ECE (%), as trained": (
            2,
            [metrics.calibration_error(z["test"], labels) for z in found.values()],
        ),
        "ECE (%), divided by τ": (
            2,
            [metrics.calibration_error(z, labels) for z in scaled.values()],
        ),
        "NLL, as trained": (4, [metrics.nll(z["test"], labels) for z in found.values()]),
        "NLL, divided by τ": (4, [metrics.nll(z, labels) for z in scaled.values()]),
    }
    rows.append({"network": role, "n": len(found)} | {
        key: tables.interval(*metrics.mean_ci(values), digits)
        for key, (digits, values) in measured.items()
    })  # fmt: skip
pd.DataFrame(rows).set_index("network")

# %% [markdown]
# A curve wholly below the diagonal: the network is too sure, and $\tau$ comes out above 1. Wholly above:
# too modest, below 1. A curve that crosses can go either way. Then read the last column. The
# likelihood loss counts both honesty and knowledge. If the two students differ there *after* scaling,
# by more than their intervals, one of them knows more, or its doubt is wrong in a way that no single
# number mends. If they differ only before, one number would have done. (Bins with fewer than ten
# images a seed are not drawn.)

# %% [markdown]
# ## 6. Look at the images
#
# Numbers hide what a picture shows at once: a wrong label, a bird that is four pixels high. But
# examples that an author picks by hand show what the author believes. So a rule picks them. Let $q_n$
# be the probability of the right class. From the first pair of seeds we take
#
# - *repaired*: hard wrong, distilled right, the two with the largest rise of $q_n$;
# - *broken*: hard right, distilled wrong, the two with the largest fall of $q_n$;
# - *all wrong*: the two on which the teacher is surest of its wrong answer.
#
# These are extremes. They are not typical.

# %%
seed = pairs[0]
p_of = {"teacher": taught["test"], "hard labels": hard, "distilled": distilled}
p_of = {role: logits.double().softmax(1) for role, logits in p_of.items()}  # [N, C] each
rise = (p_of["distilled"] - p_of["hard labels"]).gather(1, labels[:, None])[:, 0]  # [N]
ok = {role: q.argmax(1) == labels for role, q in p_of.items()}
rules = {
    "repaired": (~ok["hard labels"] & ok["distilled"], rise),
    "broken": (ok["hard labels"] & ~ok["distilled"], -rise),
    "all wrong": (
        ~ok["teacher"] & ~ok["hard labels"] & ~ok["distilled"],
        p_of["teacher"].max(1).values,
    ),
}
picked = []  # (rule, position in the test set)
for rule, (allowed, key) in rules.items():
    ranked = torch.where(allowed, key, -torch.inf).argsort(descending=True)
    picked += [(rule, int(at)) for at in ranked[: min(2, int(allowed.sum()))]]

# %% tags=["hide-input"]
fig, axes = plt.subplots(3, 4, figsize=(10.5, 8.2), width_ratios=(0.8, 1.35, 0.8, 1.35))
for ax in axes.flat:
    ax.set_visible(False)
FILL = {"teacher": ("#4d4d4d", ""), "hard labels": ("#f3d9b1", "///"), "distilled": ("#56B4E9", "")}
place, words = dict.fromkeys(rules, 0), []
for rule, at in picked:
    row, column = list(rules).index(rule), 2 * place[rule]
    place[rule] += 1
    picture, bars = axes[row, column], axes[row, column + 1]
    true, q = int(labels[at]), {role: p[at] for role, p in p_of.items()}
    picture.set_visible(True)
    picture.imshow(test.images[at].permute(1, 2, 0))
    picture.set(xticks=[], yticks=[])
    picture.grid(False)
    picture.set_title(f"{rule}: {classes[true]}\ntest image {at}", fontsize=10)
    bars.set_visible(True)
    highest = torch.stack([*q.values()]).amax(0)  # [C]
    highest[true] = torch.inf  # the right class comes first
    top = highest.argsort(descending=True)[:4].tolist()
    for k, (role, p_image) in enumerate(q.items()):
        fill, hatch = FILL[role]
        bars.barh([y + 0.26 * (k - 1) for y in range(len(top))], [float(p_image[c]) for c in top],
                  height=0.26, color=fill, hatch=hatch, edgecolor="black", lw=0.5, label=role)  # fmt: skip
    bars.set_yticks(range(len(top)), [classes[c] for c in top], fontsize=9)
    bars.get_yticklabels()[0].set_weight("bold")
    bars.set(ylim=(len(top) - 0.5, -0.5), xlim=(0, 1), xticks=[0, 0.5, 1])
    bars.grid(False, axis="y")
    if row == 2 or rule == list(place)[-1]:
        bars.set_xlabel("probability", fontsize=10)
    guesses = ", ".join(
        f"{role} says {classes[int(p.argmax())]} ({float(p.max()):.2f})" for role, p in q.items()
    )
    words.append(f"{rule}, true class {classes[true]}: {guesses}")
shown = next(ax for ax in axes[:, 1::2].flat if ax.get_visible())
fig.legend(*shown.get_legend_handles_labels(), loc="outside upper right", ncols=3)
figures.count(fig, {1}, PROFILE, f"{len(picked)} of {len(labels):,} test images of {dataset.name}",
              unit=f"pair, seed {seed}", bars=False)  # fmt: skip
figures.show(fig, name="07_images", alt="Test images with the probabilities of three networks. "
             + "; ".join(words) + ".")  # fmt: skip

# %% [markdown]
# The right class stands first, in bold. In the first row, ask what the teacher said about the image:
# was it sure, or did it hesitate between two classes? In the second row, ask the same. Did the
# student follow its teacher into the mistake? In the last row, would you have known?

# %% [markdown]
# ## 7. Checks
#
# What must hold at any profile, on any data set.

# %% tags=["nbval-check-output"]
for role, matrix in matrices.items():
    assert np.allclose(matrix.sum(1), 100), role
assert np.allclose(change.sum(2), 0)
print("Every row of a matrix sums to 100 %, and every row of their difference to 0.")
for role, name in roles.items():
    for record in tables.find(results, name).records:
        if record.recipe.seed in answers[role]:
            accuracy = metrics.accuracy(answers[role][record.recipe.seed]["test"], labels)
            assert abs(accuracy - record.metrics["test_accuracy"]) < 1e-3, record.id
print("The stored logits give the recorded accuracies again.")
for s, (b, c, _) in zip(pairs, taught_pairs, strict=True):
    before, after = (
        metrics.errors(answers[role][s]["test"], labels) for role in ("hard labels", "distilled")
    )
    assert b - c == before - after
print("Repaired minus broken is the difference of the errors.")
for record in tables.find(results, nb07.DISTILLED).records:
    assert record.recipe.teachers[0] == taught_by
    if record.recipe.seed in answers["distilled"]:
        again = metrics.agreement(answers["distilled"][record.recipe.seed]["test"], taught["test"])
        assert abs(again - record.metrics["test_agreement"]) < 0.05, record.id
print("One teacher taught all students, and its logits give the recorded agreement.")
for role, found in answers.items():
    for s, z in found.items():
        assert torch.equal(z["test"].argmax(1), (z["test"] / tau[role][s]).argmax(1))
        scaled = metrics.nll(z["val"] / tau[role][s], dataset.val.labels)
        assert scaled <= metrics.nll(z["val"], dataset.val.labels) + 1e-6
print("Temperature scaling changed no answer, and made the validation labels likelier.")

# %% [markdown]
# ## What we saw
#
# This text is made from the records. A difference is distilled minus hard labels, paired by seed.
# Hold it against your four guesses.

# %% tags=["hide-input"]


def told(values, unit, digits=2):
    """A mean difference in words: with its interval, or with the reason why there is none."""
    mean, half = metrics.mean_ci(values)
    if half is None:
        return f"{mean:+.{digits}f} {unit} (one pair of seeds, so no interval)"
    verdict = "" if abs(mean) > half else "; these seeds do not tell it from zero"
    return f"**{mean:+.{digits}f} ± {half:.{digits}f} {unit}** ({len(values)} pairs{verdict})"


def exchange(found):
    """How many images the second of two students repairs and breaks, in the mean of these pairs."""
    return f"{np.mean([b for b, _, _ in found]):.0f} repaired and {np.mean([c for _, c, _ in found]):.0f} broken"


hard_errors = np.mean([metrics.errors(answers["hard labels"][s]["test"], labels) for s in pairs])
share = 100 * np.mean([b for b, _, _ in taught_pairs]) / max(hard_errors, 1)
floor = "There is one seed, so there is no control."
if control_pairs:
    mean_errors = np.mean([metrics.errors(answers["hard labels"][s]["test"], labels)
                           for s, _ in combinations(hard_seeds, 2)])  # fmt: skip
    floor = (f"Another seed of hard labels: {exchange(control_pairs)}, which is "
             f"{100 * np.mean([b for b, _, _ in control_pairs]) / max(mean_errors, 1):.0f} % of its errors. "
             f"A distilled student of another seed: {exchange(crossed_pairs)}.")  # fmt: skip
held = [name for name, q in zip(classes, p_holm, strict=True) if q < 0.05]
if len(pairs) < 2:
    by_class = "one pair of seeds allows no test."
else:
    by_class = (f"{int((p < 0.05).sum())} of {C} have p < .05 by themselves, {len(held)} after Holm"
                + (f" ({', '.join(held)})." if held else "."))  # fmt: skip
sums = {
    name: [sum(moved[name][:, i, j].mean() for i, j in cells) for cells in (repaired, broken)]
    for name in moved
}
picked_clear = sum(bool(clear_of is not None and abs(m) > clear_of) for m, clear_of in
                   (metrics.mean_ci(moved["test"][:, i, j]) for i, j in chosen))  # fmt: skip
without_zero = f"Intervals without 0: {picked_clear} of {len(chosen)}." if len(pairs) > 1 else ""
ece_raw = paired(lambda z: metrics.calibration_error(z, labels))
nll_raw = paired(lambda z: metrics.nll(z, labels))
scaled_of = {
    role: {s: answers[role][s]["test"] / tau[role][s] for s in pairs}
    for role in compared
    if role in tau
}
ece_fair, nll_fair = ([measure(scaled_of["distilled"][s], labels) - measure(scaled_of["hard labels"][s], labels)
                       for s in pairs] for measure in (metrics.calibration_error, metrics.nll))  # fmt: skip
both_ways = {role: np.triu(m + m.T, 1) for role, m in matrices.items()}  # i for j and j for i
i, j = np.unravel_index(both_ways["teacher"].argmax(), (C, C))
mixed = ", ".join(f"{role} {both_ways[role][i, j] / 2:.1f} %" for role in roles)
shared = np.mean([fate(z["test"])[0] for z in answers["hard labels"].values()])
Markdown(f"""
- **Accuracy**: {told(paired(lambda z: metrics.accuracy(z, labels)), "points")}.
- **Exchange**: the distilled student turns {share:.0f} % of the hard-label student's errors into right
  answers; {exchange(taught_pairs)} images a pair. {floor}
- **Classes**: {by_class}
- **Confusions**: the {len(chosen)} most changed ones move by {sums["test"][0]:+.0f} (repaired) and
  {sums["test"][1]:+.0f} (broken) images per 10,000 on the test images that chose them. On the
  validation images they move by {sums["val"][0]:+.0f} and {sums["val"][1]:+.0f}. {without_zero}
- **The two classes that the teacher mixes up most** are {classes[i]} and {classes[j]}. Of their images,
  so many are taken for the other one: {mixed}.
- **Agreement where the teacher is right**: {told(fidelity_change[:, 1], "points")}.
- **Shared mistakes**: of the {int((~teacher_right).sum()):,} images that the teacher gets wrong, the
  hard-label student gives the very same wrong answer to {shared:.0f} %. The distilled student
  differs from it by {told(fidelity_change[:, 2], "points")}.
- **Confidence**: the fitted τ is in the mean {np.mean([*tau["hard labels"].values()]):.2f} for hard labels and
  {np.mean([*tau["distilled"].values()]):.2f} for the distilled student; above 1 means too sure.
- **Calibration error**: {told(ece_raw, "points")} as trained, {told(ece_fair, "points")} after each has
  its own τ.
- **Likelihood loss**: {told(nll_raw, "nats", 3)} as trained, {told(nll_fair, "nats", 3)} after scaling.
""")

# %% [markdown]
# ## Where it can mislead
#
# - **Seeds exchange errors too.** A list of repaired images looks like a gift of the teacher. Hold it
#   against the exchange between two students of hard labels, both of different seeds.
# - **Ninety cells, ten classes, several measures.** Something will always stand out. We corrected ten
#   tests for each other. We did not correct the bold cells of section 1, nor the pairs of section 3.
# - **Intervals of few seeds.** The $t$-interval assumes that differences scatter like a bell curve.
#   Two seeds that happen to agree give an interval that is much too short.
# - **The views differ.** A distilled student meets a fixed number of stored views in turn. A
#   hard-label student meets a new view in each epoch. The next cell says how many. A part of any
#   difference may come from there.
# - **The teacher of one seed.** All students learned from one teacher. The intervals cover the luck of
#   the students, and not that of the teacher.
# - **Agreement needs a control, and still is not proof.** A better student agrees more with a good
#   teacher even if they never met. Compare at equal accuracy; our split alone does not do that.
# - **The label can be wrong.** CIFAR-10 has some wrong test labels (Northcutt et al. 2021). What counts
#   as "all wrong" may be right. Bayes10 has images that no one can be sure of, by design.

# %% tags=["hide-input"]
a, b = (tables.find(results, roles[role]).arm.recipe for role in ("hard labels", "distilled"))
seen = [f"{r.n_views or r.epochs} views in {r.epochs} epochs" for r in (a, b)]
Markdown(
    f"Hard labels: {seen[0]}. Distilled: {seen[1]}, at T = {b.temperature:g} and α = {b.alpha:g}."
)

# %% [markdown]
# ## Exercises
#
# 1. *(5 minutes, easy)* In the wild, one class is nine times as common as each of the others. The
#    rows of the confusion matrix stay as they are. Which of recall and precision changes, and for
#    which classes? Compute the new precision from the rows and the shares of the classes.
# 2. *(10 minutes, medium)* Average the probabilities of a hard-label and a distilled student. Then
#    average those of two hard-label students. Which pair makes fewer errors? What has that to do
#    with the exchange of section 3?
# 3. *(15 minutes, medium)* Let each network refuse the tenth of the images of which it is least
#    sure. How accurate is it on the rest? Does dividing by $\tau$ change that?
# 4. *(30 minutes, hard)* Resample the test images with replacement (a *bootstrap*) and get an interval
#    for repaired minus broken of one pair of networks. Which luck does it cover, and which does the
#    interval over seeds cover? Which scatters more: $b - c$ over resampled images, or over pairs of
#    seeds? Compare standard deviations: one interval speaks of a single pair, the other of a mean.
#
# Solutions are in `notebooks/solutions/07_*.py`, and the tests run them.
#
# ## Summary
#
# - A confusion matrix says which errors are made. Rows give recall, columns give precision.
# - Ten comparisons need a correction. Extremes that were picked need fresh images, and fresh seeds.
# - Repaired images mean little without the exchange between two seeds beside them.
# - Agreement is worth reading where the teacher is wrong, next to a student that never met it.
# - Give each network its own temperature before you compare how honest they are.
#
# ## Sources
#
# - S. Stanton et al. (2021), *Does knowledge distillation really work?*, arXiv:2106.05945.
# - C. Guo et al. (2017), *On calibration of modern neural networks*, arXiv:1706.04599.
# - Q. McNemar (1947), *Note on the sampling error of the difference between correlated proportions or
#   percentages*, Psychometrika 12.
# - S. Holm (1979), *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of
#   Statistics 6.
# - C. Northcutt, A. Athalye, J. Mueller (2021), *Pervasive label errors in test sets destabilize
#   machine learning benchmarks*, arXiv:2103.14749.
