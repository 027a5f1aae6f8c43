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
# # 06 · How much does the temperature matter, and how would you know?
#
# Every recipe for distillation has two knobs: the temperature $T$ and the weight $\alpha$. A poster
# that many courses copy tried 29, 40 and 45 settings for its three rows of CNN5 and printed the best of
# each, chosen on the test set. It ended at $T = 2$, $1.5$ and $20$: three answers, for three rows of one
# network. For its ResNet-18 it used $T = 6$.
#
# Here we turn both knobs in one sweep. All settings learn from one file of stored answers, so a
# setting costs a student and no teacher. We choose on validation images, over seeds, and look at the
# test set once.
#
# **You will be able to**
#
# - say what the temperature does to the targets, and what it does to the gradient;
# - run a sweep that costs little, choose from it honestly, and state how sure the choice is;
# - compare a student's accuracy with its calibration;
# - decide how many views, and how many bits, a teacher's stored answers need.
#
# You need notebook 01 (soft targets, the loss) and the stored knowledge of notebook 04.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": embedded images. "laptop": CIFAR-10, records. "paper": full budgets
SEEDS = None  # None: the profile's own seeds. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks (hours on a laptop). Smoke runs always do

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from scipy import stats

from kdutils import course, data, figures, losses, metrics, profiles, tables
from kdutils.course import nb06
from kdutils.runs import knowledge_of, run_arms
from kdutils.store import Store

profile, seeds = profiles.setup(PROFILE, SEEDS)
profiles.check_flag("TRAIN", TRAIN)
figures.theme()
store = Store()
dataset_name = profile.datasets["cifar10"]
arms = course.arms(6, PROFILE)
if TRAIN or PROFILE == "smoke":
    run_arms(arms, seeds, store)
results = tables.collect(6, PROFILE, seeds, store)
by_name = {r.name: r for r in results if any(record.metrics for record in r.records)}
Markdown(tables.cost(results))

# %% [markdown]
# ## Predict first
#
# Write down a guess before you read on.
#
# 1. At $T = 1$, how many of the ten classes share the teacher's answer, on an average image? At
#    $T = 20$?
# 2. $\alpha = .5$: half the weight on the teacher, half on the label. Which share of the gradient
#    comes from the teacher?
# 3. Between the best and the worst temperature at $\alpha = .9$, how many points of accuracy lie?
#    More or less than between two seeds of one setting?
# 4. The teacher's logits are rounded to 8 bits. What changes for the student?

# %% [markdown]
# ## 1. What the temperature does to the targets
#
# $$ p_i^{(T)} = \frac{e^{v_i / T}}{\sum_j e^{v_j / T}}, \qquad
#    H(p) = -\sum_i p_i \ln p_i . $$
#
# $e^{H}$ counts the classes that share the answer: 1 for a certain one, 10 for a uniform one. It is
# called the perplexity. We read the stored answers of the teacher and look at it.

# %%
anchor = next(arm.recipe for arm in arms if arm.name == nb06.sweep_name(4.0, arms[1].recipe.alpha))
known = knowledge_of(replace(anchor, n_views=2, bits=8), store)  # two views are enough here
v = known.logits(0).float()[: anchor.n_train]  # [N, 10]: the teacher about view 0 of each image
labels = data.load(dataset_name).train.labels[: anchor.n_train]  # [N]


def perplexity(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """exp(entropy) of the soft targets, [N]."""
    p = losses.soft_targets(logits, temperature)
    return torch.special.entr(p).sum(dim=1).exp()


# %% tags=["hide-input"]
grid = np.geomspace(0.5, 40, 40)
quartiles = torch.tensor([0.25, 0.5, 0.75])
spread = torch.stack([perplexity(v, t).quantile(quartiles) for t in grid])  # [40, 3]
mean = [float(perplexity(v, t).mean()) for t in grid]
fig, ax = plt.subplots(figsize=(8.5, 3.8))
ax.fill_between(grid, spread[:, 0], spread[:, 2], color=figures.COLORS[0], alpha=0.2, lw=0,
                label="middle half of the images")  # fmt: skip
ax.plot(grid, spread[:, 1], color=figures.COLORS[0], marker="", label="median image")
ax.plot(grid, mean, color=figures.COLORS[1], ls="--", marker="", label="mean")
for (name, (t, _)), dash in zip(nb06.POSTER.items(), figures.DASHES, strict=False):
    ax.axvline(t, color="0.4", lw=1, ls=dash, marker="", label=f"poster, {name}")
ax.set(xscale="log", xlabel="temperature T", ylabel="classes that share the answer, exp(H)",
       ylim=(0.8, 10.2))  # fmt: skip
ax.set_xticks([0.5, 1, 2, 4, 10, 20, 40], ["0.5", "1", "2", "4", "10", "20", "40"])
ax.minorticks_off()
fig.legend(loc="outside right upper", fontsize=9)
figures.count(fig, {len(v)}, PROFILE, dataset_name, unit="training images, view 0", bars=False)
at = {t: float(perplexity(v, t).mean()) for t in (1.0, 4.0, 20.0)}
figures.show(fig, name="06_entropy", alt="Perplexity of the teacher's soft targets against the "
             "temperature; it rises from near one to near ten. Means: "
             + ", ".join(f"{x:.2f} at T = {t:g}" for t, x in at.items()) + ".")  # fmt: skip

# %% tags=["hide-input"]
right = (v.argmax(1) == labels).float().mean()
Markdown(
    f"At T = 1 the teacher's answers on these training images hold {at[1.0]:.2f} classes on average; "
    f"at T = 4, {at[4.0]:.2f}; at T = 20, {at[20.0]:.2f}. It names the label on {right:.1%} of them: it "
    "was trained on these images. The closer the first number is to one, the nearer these targets "
    "are to plain labels."
)

# %% [markdown]
# ## 2. What it does to the gradient
#
# The loss is $L = \alpha T^2\,\mathrm{KL}(p^{(T)} \| q^{(T)}) + (1-\alpha)\,\mathrm{CE}(y, q)$. With
# student logits $z$ its gradient has two terms:
#
# $$ \frac{\partial L}{\partial z_i}
#    = \underbrace{\alpha\,T\,\bigl(q_i^{(T)} - p_i^{(T)}\bigr)}_{\text{teacher}}
#    + \underbrace{(1-\alpha)\,(q_i - y_i)}_{\text{label}} . $$
#
# The factor $T^2$ is there so that the teacher's term keeps its size as $T$ grows: for large $T$ it
# tends to $\alpha (z_i - v_i) / 10$ for logits whose mean is zero. *Nearly* its size: we measure it,
# for a student at the beginning (all logits zero) and for a student as good as the teacher (the
# teacher's own answers about another view of the same image stand for it). A real student is
# neither. The two show how the share moves as a student learns.


# %%
def shares(student: torch.Tensor, temperature: float, alpha: float) -> float:
    """The teacher's part of the two gradients' mean lengths."""
    q_soft, p_soft = (F.softmax(x / temperature, dim=1) for x in (student, v))
    teacher = alpha * temperature * (q_soft - p_soft)  # [N, 10]
    label = (1 - alpha) * (F.softmax(student, dim=1) - F.one_hot(labels, v.shape[1]))
    a, b = teacher.norm(dim=1).mean(), label.norm(dim=1).mean()
    return float(a / (a + b))


# %% tags=["nbval-check-output"]
start = torch.zeros(64, v.shape[1], requires_grad=True)
loss = 64 * losses.kd_loss(start, v[:64], labels[:64], temperature=4.0, alpha=0.9)
(by_torch,) = torch.autograd.grad(loss, start)
q = F.softmax(start.detach(), dim=1)  # at logits zero the same at every temperature
by_formula = 0.9 * 4 * (q - F.softmax(v[:64] / 4, dim=1)) + 0.1 * (q - F.one_hot(labels[:64], 10))
assert torch.allclose(by_torch, by_formula, atol=1e-5)
print("The formula and PyTorch's own gradient agree.")

# %% tags=["hide-input"]
later = known.logits(1).float()[: anchor.n_train]
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True)
words = []
for ax, (title, z) in zip(
    axes, {"at the beginning": torch.zeros_like(v), "a student as good as the teacher": later}.items(),
    strict=True,
):  # fmt: skip
    for style, alpha in enumerate((0.01, 0.5, 0.9)):
        line = [shares(z, t, alpha) for t in grid]
        ax.plot(grid, line, color=figures.COLORS[style], ls=figures.DASHES[style], marker="",
                label=f"α = {alpha:g}")  # fmt: skip
        words.append(f"{title}, alpha {alpha:g}: {shares(z, 1.0, alpha):.2f} at T = 1, "
                     f"{shares(z, 20.0, alpha):.2f} at T = 20")  # fmt: skip
    ax.set(xscale="log", xlabel="temperature T", title=title, ylim=(0, 1))
    ax.set_xticks([0.5, 1, 2, 4, 10, 20, 40], ["0.5", "1", "2", "4", "10", "20", "40"])
    ax.minorticks_off()
axes[0].set_ylabel("teacher's share of the gradient")
axes[1].legend()
figures.count(fig, {len(v)}, PROFILE, dataset_name, unit="training images", bars=False)
figures.show(fig, name="06_gradient_shares", alt="The teacher's share of the gradient against the "
             "temperature for three weights alpha. " + "; ".join(words) + ".")  # fmt: skip

# %% [markdown]
# So $\alpha$ is not the share of the teacher. The share depends on $T$, and on how far the student
# has come. Two settings that differ in both knobs differ in more than softness. That is one reason to
# sweep both together.
#
# The poster's setting for 5 % of the data was $\alpha = .01$ at $T = 20$. Look at its curve. And its
# soft term was ten times weaker still (notebook 04).
#
# ## 3. The sweep
#
# A network is *calibrated* if it is right in 80 % of the cases in which it says 80 %. The *calibration
# error* is the mean distance between what it says and how often it is right, in points; 0 is best.
# (Notebook 02 measures it step by step.) We look at it beside the accuracy.
#
# A fifth of the training images, one budget for all, students of one file of stored answers. Each
# cell of the map is a mean over the seeds that all recorded settings share. Everything in this section
# is measured on *validation* images. The test set has to wait for section 4.

# %% tags=["hide-input"]
sweep = [r for r in by_name.values() if r.arm.table == "Temperature and alpha"]
tried = [r for r in sweep if r.arm.select]
hard = by_name.get("hard labels")
settings = {(a.recipe.temperature, a.recipe.alpha): a.name
            for a in arms if a.table == "Temperature and alpha" and a.select}  # fmt: skip
ts, alphas = (sorted({k[i] for k in settings}) for i in (0, 1))
shared = sorted(set.intersection(
    *({record.recipe.seed for record in r.records if record.metrics} for r in tried)
)) if tried else []  # fmt: skip


def on_shared(result, metric: str) -> list[float]:
    """One value a shared seed: the same seeds for every setting that is compared."""
    return [r.metrics[metric] for r in result.records if r.recipe.seed in shared]


chosen = tables.best_by_validation(tried) if shared else None


def cells(metric: str) -> np.ndarray:
    """Mean over the shared seeds of each setting: [alphas, temperatures]; nan where none."""
    mean = np.full((len(alphas), len(ts)), np.nan)
    for (t, a), name in settings.items():
        if name in by_name and shared:
            mean[alphas.index(a), ts.index(t)] = np.mean(on_shared(by_name[name], metric))
    return mean


fig, axes = plt.subplots(1, 2, figsize=(11, 3.9))
words = []
for ax, (metric, title, map_) in zip(
    axes,
    [("val_accuracy", "validation accuracy (%)", "cividis"),
     ("val_ece", "calibration error on validation (%)", "cividis_r")],
    strict=True,
):  # fmt: skip
    mean = cells(metric)
    drawn = ax.imshow(mean, origin="lower", aspect="auto", cmap=map_)
    middle = np.nanmean([np.nanmin(mean), np.nanmax(mean)]) if np.isfinite(mean).any() else 0
    for i, j in np.ndindex(mean.shape):
        if np.isfinite(mean[i, j]):
            dark = (mean[i, j] < middle) != (map_ == "cividis_r")
            ax.text(j, i, f"{mean[i, j]:.1f}", ha="center", va="center", fontsize=9,
                    color="white" if dark else "black")  # fmt: skip
    ax.set(title=title, xlabel="temperature T", ylabel="weight α of the teacher")
    ax.set_xticks(range(len(ts)), [f"{t:g}" for t in ts])
    ax.set_yticks(range(len(alphas)), [f"{a:g}" for a in alphas])
    ax.grid(False)
    if chosen:
        i, j = alphas.index(chosen.arm.recipe.alpha), ts.index(chosen.arm.recipe.temperature)
        ax.add_patch(plt.Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, fill=False, ec="k", lw=2.5))
        words.append(f"{title}: from {np.nanmin(mean):.2f} to {np.nanmax(mean):.2f}; the setting that "
                     f"validation chooses, T = {ts[j]:g}, alpha = {alphas[i]:g}, {mean[i, j]:.2f}")  # fmt: skip
    else:
        ax.text(0.5, 0.5, "not recorded yet", ha="center", transform=ax.transAxes)
figures.count(fig, {len(shared)}, PROFILE, dataset_name,
              unit="seeds a cell; framed: chosen by accuracy", bars=False)  # fmt: skip
figures.show(
    fig,
    name="06_sweep",
    alt="Two maps over temperature and alpha. "
    + ("; ".join(words) or "nothing recorded yet")
    + ".",
)

# %% [markdown]
# ### One line through the map
#
# The same settings along the temperature, at the largest weights, with intervals over all their seeds,
# beside the student of hard labels. The marks at the top are the poster's four temperatures.

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(10, 4))
lines = [a for a in alphas if a in (0.9, 1.0)] or alphas[-1:]
words, counts = [], set()
for ax, (metric, label) in zip(
    axes,
    {"val_accuracy": "validation accuracy (%)", "val_ece": "calibration error, validation (%)"}.items(),
    strict=True,
):  # fmt: skip
    for style, alpha in enumerate(lines):
        found = [(t, by_name[settings[t, alpha]]) for t in ts if settings[t, alpha] in by_name]
        shift = 1.03 ** (style - 0.5)
        for k, (t, r) in enumerate(found):
            mean, half = r.mean_ci(metric)
            counts.add(len(r.records))
            figures.dot(ax, t * shift, mean, half, style=style, vertical=True,
                        label=f"distilled, α = {alpha:g}" if k == 0 else None)  # fmt: skip
            words.append(f"{label} at T = {t:g}, alpha = {alpha:g}: {mean:.2f}")
        ax.plot([t * shift for t, _ in found], [r.mean_ci(metric)[0] for _, r in found],
                color=figures.COLORS[style], ls=figures.DASHES[style], lw=1, marker="")  # fmt: skip
    if hard:
        mean, half = hard.mean_ci(metric)
        ax.axhline(mean, color="k", ls=":", lw=1.2, marker="", label="hard labels")
        if half is not None:
            ax.axhspan(mean - half, mean + half, color="0.5", alpha=0.15, lw=0)
        words.append(f"{label} of hard labels: {mean:.2f}")
    seen = [x for r in sweep for x in r.values(metric)
            if not r.arm.select or r.arm.recipe.alpha in lines]  # fmt: skip
    ax.set(xscale="log", xlabel="temperature T", ylabel=label)
    if seen:
        ax.set_ylim(figures.span(seen, at_least=0.3))
    for t, _ in nb06.POSTER.values():
        ax.plot(
            t,
            1,
            marker="v",
            color="k",
            ls="",
            clip_on=False,
            transform=ax.get_xaxis_transform(),
            ms=7,
            markevery=1,
        )
    ax.set_xticks(ts, [f"{t:g}" for t in ts])
    ax.minorticks_off()
axes[1].legend(fontsize=9)
figures.count(fig, counts or {0}, PROFILE, dataset_name)
figures.show(fig, name="06_temperature", alt="Validation accuracy and calibration error against the "
             "temperature. " + ("; ".join(words) or "nothing recorded yet") + ".")  # fmt: skip

# %% [markdown]
# ## 4. Choose, then look once
#
# Validation chooses the setting. The table shows those that it likes best, at most ten.

# %%
ranking = pd.DataFrame(
    {
        "setting": [r.arm.setting for r in tried],
        "validation accuracy (%)": [
            tables.interval(*metrics.mean_ci(on_shared(r, "val_accuracy")), 2) for r in tried
        ],
        "calibration error (%)": [
            tables.interval(*metrics.mean_ci(on_shared(r, "val_ece")), 2) for r in tried
        ],
        "chosen": ["yes" if r is chosen else "" for r in tried],
        "key": [-np.mean(on_shared(r, "val_accuracy")) for r in tried],
    }
) if shared else pd.DataFrame({"setting": [], "key": []})  # fmt: skip
ranking.sort_values("key").drop(columns="key").head(10).set_index("setting").rename_axis(None)

# %% tags=["hide-input"]
said = "No setting is recorded yet."
if chosen:
    missing = len(settings) - len(tried)
    said = (
        f"Chosen from {len(tried)} of {len(settings)} settings, on the seeds that all of them have (n = "
        f"{len(shared)}): **{chosen.arm.setting}**."
        + (f" {missing} settings are not recorded." if missing else "")
        + "\n\nNow the one look at the test set: accuracy "
        f"**{tables.interval(*chosen.mean_ci('test_accuracy'), 2)} %**, calibration error "
        f"{tables.interval(*chosen.mean_ci('test_ece'), 2)} % (n = {len(chosen.records)})."
    )
Markdown(said)

# %% [markdown]
# The choice is made. What follows looks at the test scores of *all* settings. It studies the choice. It
# cannot change it any more.
#
# ### How sure is the choice?
#
# Many settings are nearly as good as the best. Two questions say how nearly.
#
# *How far apart would equally good settings look?* The means of $k$ settings over $n$ seeds scatter by
# chance alone. We estimate the scatter after the effect of each seed is taken off (all settings share
# the seeds), and simulate the range.
#
# *Does one seed's validation order the settings as the **other** seeds' tests do?* Kendall's $\tau$ counts
# the pairs of settings in the same order minus those in the opposite order, over all pairs: 1 is full
# agreement, 0 is chance. The same networks would agree too well: a lucky run shines on both sets.

# %% tags=["hide-input"]
lines = []
line_alpha = 0.9 if 0.9 in alphas else alphas[-1]
row = [r for r in tried if r.arm.recipe.alpha == line_alpha]
common = sorted(set.intersection(
    *({x.recipe.seed for x in r.records if x.metrics} for r in row)
)) if row else []  # fmt: skip
if len(row) > 1 and len(common) > 1:
    y = np.array([[x.metrics["test_accuracy"] for x in r.records if x.recipe.seed in common]
                  for r in row])  # fmt: skip  # [temperatures, seeds]
    noise = y - y.mean(1, keepdims=True) - y.mean(0) + y.mean()
    s = np.sqrt((noise**2).sum() / ((y.shape[0] - 1) * (y.shape[1] - 1)))
    luck = np.ptp(np.random.default_rng(0).standard_normal((4000, len(row))), axis=1).mean()
    lines.append(
        f"- At α = {line_alpha:g} the mean test accuracies of {len(row)} temperatures lie within "
        f"**{np.ptp(y.mean(1)):.2f} points** (n = {len(common)}). Were all equally good, chance alone "
        f"would spread them over about {s / np.sqrt(len(common)) * luck:.2f} points."
    )
if len(tried) > 2 and len(shared) > 1:
    val, test = (np.array([on_shared(r, m) for r in tried])  # [settings, seeds]
                 for m in ("val_accuracy", "test_accuracy"))  # fmt: skip
    taus = [stats.kendalltau(val[:, k], np.delete(test, k, axis=1).mean(1)).statistic
            for k in range(val.shape[1])]  # fmt: skip
    lines.append(
        f"- Over {len(tried)} settings, Kendall's τ between one seed's validation and the other seeds' "
        f"tests is **{np.mean(taus):.2f}** in the mean (n = {len(shared)})."
    )
Markdown("\n".join(lines) or "Fewer than two seeds are recorded for these settings: no answer yet.")

# %% tags=["hide-input"]
at = [nb06.sweep_name(t, alphas[-2] if len(alphas) > 2 else alphas[-1]) for t in ts]
questions = {}
if chosen:
    questions["The chosen setting against hard labels"] = (chosen.name, "hard labels")
for name in (at[0], at[-1]):
    questions[f"{name} against hard labels"] = (name, "hard labels")
questions[f"{at[-1]} against {at[0]}"] = (at[-1], at[0])
Markdown(tables.differences(results, "test_accuracy", questions))

# %% [markdown]
# The chosen setting won with these very seeds. Its networks are a little lucky, and its interval does
# not know that. New seeds for this one setting would settle it.
#
# ## 5. Views and bits: what must be stored?
#
# The file of answers has a size: views × images × classes × bytes. What are more views worth, and
# what does rounding to 8 bits cost? The hard-label student on the *same few views* is the control:
# with one view only, both students see the same pixels in every epoch. All distilled students here have
# $T = 4$ and $\alpha = .9$, fixed beforehand, and not the setting chosen above.

# %% tags=["hide-input"]
stored = {arm.name: arm for arm in arms if arm.table == "Views and bits"}
counts_of = sorted({arm.recipe.n_views for arm in stored.values() if arm.recipe.n_views})
series = {
    "distilled, 16 bits": [(n, f"{n} views, 16 bits") for n in counts_of],
    "distilled, 8 bits": [(n, f"{n} views, 8 bits") for n in counts_of],
    "hard labels": [(n, f"hard labels, {n} views") for n in counts_of],
}
limits = {"distilled, 16 bits": "a new view in every epoch", "hard labels": "hard labels"}
last = counts_of[-1] * 2  # where "new in every epoch" is drawn
fig, ax = plt.subplots(figsize=(7, 4))
words, seen, counts = [], [], set()
for style, (label, points) in enumerate(series.items()):
    points = [*points, (last, limits[label])] if label in limits else points
    named = False
    for n, name in points:
        if name in by_name:
            r = by_name[name]
            mean, half = r.mean_ci("test_accuracy")
            figures.dot(ax, n * 1.05 ** (style - 1), mean, half, style=style, vertical=True,
                        label=None if named else label)  # fmt: skip
            named = True
            seen += r.values("test_accuracy")
            counts.add(len(r.records))
            words.append(f"{label}, {'new' if n == last else n} views {mean:.2f}")
ax.set(xscale="log", xlabel="stored views", ylabel="test accuracy (%)")
ax.set_xticks([*counts_of, last], [*map(str, counts_of), "new in\nevery epoch"])
ax.minorticks_off()
if seen:
    ax.set_ylim(figures.span(seen, at_least=0.3))
    ax.legend(loc="lower right")
figures.count(fig, counts or {0}, PROFILE, dataset_name)
figures.show(fig, name="06_views_bits", alt="Test accuracy against the number of stored views, in 16 "
             "and 8 bits, and for hard labels on as many views: " + "; ".join(words or ["none yet"])
             + ".")  # fmt: skip

# %% tags=["hide-input"]
many, one = counts_of[-1], counts_of[0]
full = len(data.load(dataset_name).train)
said = tables.differences(results, "test_accuracy", {
    f"8 bits against 16, {many} views": (f"{many} views, 8 bits", f"{many} views, 16 bits"),
    f"{many} views against {one}, 16 bits": (f"{many} views, 16 bits", f"{one} views, 16 bits"),
    f"New views against {many} stored ones": ("a new view in every epoch", f"{many} views, 16 bits"),
    f"{many} views against {one}, hard labels":
        (f"hard labels, {many} views", f"hard labels, {one} views"),
    f"The teacher against hard labels, the same {many} views":
        (f"{many} views, 16 bits", f"hard labels, {many} views"),
    f"The teacher against hard labels, the same {one} view":
        (f"{one} views, 16 bits", f"hard labels, {one} views"),
})  # fmt: skip
turns = f"In {anchor.epochs} epochs each of {many} stored views comes {anchor.epochs // many} times or once more."
if many >= anchor.epochs:
    turns = f"With {anchor.epochs} epochs no view of {many} stored ones comes twice."
Markdown(
    said
    + f"\n\n{many} views of {full:,} images take {many * full * 10 * 2 / 1e6:.1f} MB in 16 bits "
    f"and {many * full * 10 / 1e6:.1f} MB in 8. {turns}"
)

# %% [markdown]
# ## 6. Checks
#
# What must hold at any profile, on any data set.

# %% tags=["nbval-check-output"]
entropies = [float(perplexity(v, t).mean()) for t in (1.0, 2.0, 4.0, 10.0, 20.0)]
assert entropies == sorted(entropies)
print("A higher temperature never makes a target harder.")
step = float(known.file.reduced(1, 8).tensors["step"])  # of the rounding to 8 bits
noise = step * (torch.rand(v.shape, generator=torch.Generator().manual_seed(0)) - 0.5)
p, q = (F.log_softmax(x, dim=1) for x in (v, v + noise))
assert float((p.exp() * (p - q)).sum(1).mean()) < 0.01
print("Errors as large as the rounding to eight bits move the answers by less than 0.01 nats.")
budgets = {(r.arm.recipe.epochs, r.arm.recipe.n_train, r.arm.recipe.lr) for r in results}
assert len(budgets) <= 1
print("Every student of this notebook has the same budget.")

# %% [markdown]
# ## Where it can mislead
#
# - **A map invites to see patterns.** Hold the step between neighbouring cells against what chance
#   alone would do (section 4). Read the intervals before the colours.
# - **The optimum belongs to its budget**: this student, this teacher, this share of the images, this
#   schedule. A longer budget or a student that never sees the images twice may like another T.
# - **New views or stored views.** In sections 3 and 4 the hard-label student draws a new view in every
#   epoch; the distilled ones share stored views. Section 5 has the pairs with equal views.
# - **Learning rate and T are not independent.** The length of the gradient changes with both knobs,
#   and the learning rate was tuned for neither. Notebook 03 shows how such a change can pass for an
#   effect of distillation.
# - **Calibration** is measured at T = 1, for students that were trained at other temperatures. Guo et
#   al. found that one parameter fitted on validation repairs much of it; notebook 07 tries it.
# - **One draw.** All seeds learn from the same fifth of the images, and from the same stored views of one
#   teacher. No interval speaks of others.
# - **The teacher was trained on these images.** Its answers about them are more certain than about
#   new ones, so a higher T has more to undo.

# %% [markdown]
# ## Exercises
#
# 1. *(5 minutes, easy)* Show that for $T \to \infty$ and centred logits $T\,(q^{(T)}_i - p^{(T)}_i)
#    \to (z_i - v_i)/10$. How large is the error at $T = 20$, relative to the limit, with
#    `v` for the teacher and `later` (the answers about view 1) for the student?
# 2. *(10 minutes, medium)* For each $T$, find the $\alpha$ at which teacher and label have gradients
#    of equal length at the beginning of training. Draw it. Where do the poster's settings lie?
# 3. *(15 minutes, medium)* Simulate as many equally good settings as the map has, each with the map's
#    number of seeds (it stands under the figure). Take the scatter between seeds from single settings.
#    How wide is the range of their means? Compare it with the map.
# 4. *(20 minutes, hard)* Store fewer bits: 6, 4, 3. From how many on does the rounding change more than
#    1 % of the teacher's top answers? Use `File.reduced` as a model.
#
# Solutions are in `notebooks/solutions/06_*.py`, and the tests run them.
#
# ## Summary
#
# - The temperature sets how many classes a target shares; together with $\alpha$ it sets how loud the
#   teacher is.
# - A sweep from stored answers costs one student a setting. It must still be chosen on validation, and
#   its winner reported with the others beside it.
# - Say how sure the choice is: by intervals, and by whether validation and test agree.
# - Answers in few bits are small enough for an e-mail. Whether a few views of them teach as well as new
#   ones is a question to measure.
#
# ## Sources
#
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*,
#   arXiv:1503.02531, section 2.
# - L. Beyer et al. (2022), *Knowledge distillation: a good teacher is patient and consistent*,
#   arXiv:2106.05237.
# - Z. Shen, E. Xing (2022), *A fast knowledge distillation framework for visual recognition*,
#   arXiv:2112.01528.
# - C. Guo et al. (2017), *On calibration of modern neural networks*, arXiv:1706.04599.
# - The poster's settings: github.com/peterliht/knowledge-distillation-pytorch.
