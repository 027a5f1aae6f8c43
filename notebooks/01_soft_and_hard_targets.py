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
# # 01 · What does a teacher know that a label does not say?
#
# A label says "pear". It does not say that this pear might pass for an apple, and could never pass
# for a church. A teacher can say both: it gives every class a probability. Hinton, Vinyals and Dean
# (2015) trained small networks on such answers, and called what stands in the small numbers *dark
# knowledge*.
#
# Here you meet the idea on images whose true probabilities are known. So we can ask what real
# photographs never tell: how close does a teacher come to the truth, and what is that worth to its
# student?
#
# **You will be able to**
#
# - soften logits with a temperature, and say what that does to their entropy;
# - derive the distillation loss, write it in four lines and check it;
# - explain the factor $T^2$, and what is left of the loss at a very high temperature;
# - tell apart three reasons why soft targets may help: what they *know*, how *soft* they are, and
#   how many labels stand behind them.
#
# You need the softmax, the cross-entropy and the idea of a gradient.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, a first look. "laptop": recorded runs
SEEDS = None  # None: the profile's own seeds. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import Markdown

from kdutils import bayes10, course, data, figures, losses, metrics, profiles, tables
from kdutils.knowledge import log_posterior
from kdutils.runs import run_all
from kdutils.slider import TemperatureSlider
from kdutils.store import Store

profile, seeds = profiles.setup(PROFILE, SEEDS)
profiles.check_flag("TRAIN", TRAIN)
figures.theme()
arms = course.arms(1, PROFILE)
if TRAIN or PROFILE == "smoke":
    run_all([arm.recipe for arm in arms], seeds)
results = tables.collect(1, PROFILE, seeds)
by_name = {result.name: result for result in results}
missing = [arm.name for arm in arms if arm.name not in by_name]
if missing:
    raise LookupError(f"Not recorded: {missing}. Set TRAIN = True.")
Markdown(tables.cost(results))

# %% [markdown]
# ## Predict first
#
# Write down a guess before you read on. A wrong guess that is written down teaches more than a
# right one that is not.
#
# 1. A student learns from few images with hard labels. It falls short of the best possible
#    accuracy. Its twin learns from the same images, but is told their *true* probabilities. How
#    much of the gap does it close: none, a third, nearly all?
# 2. A third student gets labels that were softened just as much, but by somebody who knows nothing:
#    every wrong class gets the same share. How much of the gap does that close?
# 3. A fourth one gets true probabilities, but of *other* images. And that one?
# 4. Now give all students four times as many images. Does the twin's lead grow or shrink?

# %% [markdown]
# ## 1. Images whose probabilities are known
#
# `bayes10` is a data set that we draw ourselves. It has ten classes in five pairs that look alike.
# A picture comes about in four steps: choose a class; choose how far the picture has turned into the
# class's twin; choose light, width, place and mirror image; add noise. Every step has known
# probabilities. So Bayes' rule gives the exact probability of each class $y$ for each picture $x$:
#
# $$ p(y \mid x) = \frac{p(x \mid y)\, p(y)}{\sum_{c} p(x \mid c)\, p(c)} . $$
#
# `bayes10.posterior` sums over all 2,880 ways to draw a picture. It is the perfect teacher.

# %% tags=["hide-input"]
morphs = bayes10.templates()  # uint8 [5 pairs, 8 levels, 3, 32, 32], without noise
sheet = F.pad(morphs, (1, 1, 1, 1), value=255).permute(0, 3, 1, 4, 2).reshape(5 * 34, 8 * 34, 3)
second = bayes10.LEVEL_GIVEN_CLASS[1] / bayes10.LEVEL_GIVEN_CLASS[:2].sum(
    0
)  # the same in each pair
fig, ax = plt.subplots(figsize=(7.5, 4.5))
ax.imshow(sheet)
ax.set_yticks(17 + 34 * np.arange(5), bayes10.CLASSES[::2])
twins = ax.secondary_yaxis("right")
twins.set_yticks(17 + 34 * np.arange(5), bayes10.CLASSES[1::2])
percent = [f"{100 * p:.2g}" if p < 0.99 else f"{100 * p:.2f}" for p in second]
ax.set_xticks(17 + 34 * np.arange(8), percent)
ax.set_xlabel("probability of the class on the right (%)")
ax.grid(False)
for axis in (ax, twins):
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
figures.show(
    fig,
    name="01_bayes10",
    alt="Five rows of eight small pictures without noise. In each row one class turns into its twin: "
    + ", ".join(f"{a} into {b}" for a, b in zip(bayes10.CLASSES[::2], bayes10.CLASSES[1::2], strict=True))
    + ". From left to right the probability of the second class rises: "
    + ", ".join(percent) + " percent.",
)  # fmt: skip

# %% [markdown]
# Only the two columns in the middle are in real doubt. A classifier that knows everything, the
# *Bayes classifier*, still errs there. Nobody can do better, except by luck.

# %%
test = data.load("bayes10").test  # images [5000, 3, 32, 32], labels [5000]
exact = log_posterior("test")  # log p(y | x), the perfect teacher: [5000, 10]
bayes_accuracy = metrics.accuracy(exact, test.labels)
bayes_nll = metrics.nll(exact, test.labels)
print(f"Bayes classifier: {bayes_accuracy:.2f} % of {len(test):,} test images right")
print(f"negative log-likelihood: {bayes_nll:.4f} nats an image")

# %% [markdown]
# Now look at single pictures, as a student sees them. The two in the middle have the same true
# probabilities and *different labels*. Their labels were drawn by lot. A student that trusts hard
# labels will try to learn a difference that is not there.

# %% tags=["hide-input"]
store = Store()
learned = by_name["teacher of ten times the images"]
z_learned = store.logits(learned.records[0].recipe)[
    "test"
]  # logits of a trained teacher [5000, 10]
truth, seen = exact.softmax(1), z_learned.softmax(1)  # [5000, 10]
a, b = 0, 1  # apple and pear
picked = [
    int(((truth[:, b] - want).abs() + (test.labels != label)).argmin())
    for want, label in ((0.0, a), (0.2, a), (0.2, b), (1.0, b))
]
fig, axes = plt.subplots(2, 4, figsize=(9, 4.4), height_ratios=(1, 1.35), sharey="row")
for i, (top, ax) in zip(picked, axes.T, strict=True):
    top.imshow(test.images[i].permute(1, 2, 0))
    top.set_title(f"label: {bayes10.CLASSES[test.labels[i]]}", loc="center")
    top.axis("off")
    for q, shift, style, name in ((truth, -0.2, 0, "truth"), (seen, 0.2, 1, "learned teacher")):
        ax.barh(np.arange(10) + shift, q[i], 0.4, color=figures.COLORS[style], label=name,
                hatch=("", "////")[style], edgecolor="white", linewidth=0)  # fmt: skip
    ax.set(xlim=(0, 1), yticks=range(10), xlabel="probability")
    ax.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    ax.set_yticklabels(bayes10.CLASSES, fontsize=8)
    ax.grid(False)
axes[1, 0].invert_yaxis()
axes[1, -1].legend(loc="lower right", fontsize=8)
figures.show(
    fig,
    name="01_pictures",
    alt="Four test pictures between apple and pear with two bars for each class, the truth and a learned "
    "teacher. " + " ".join(
        f"Labelled {bayes10.CLASSES[test.labels[i]]}: true probability of pear {truth[i, b]:.2f}, teacher "
        f"{seen[i, b]:.2f}." for i in picked
    ),
)  # fmt: skip

# %% [markdown]
# ## 2. Temperature
#
# A network ends in *logits* $z_i$. The softmax turns them into probabilities. A *temperature* $T$
# divides the logits first:
#
# $$ q_i = \frac{\exp(z_i / T)}{\sum_j \exp(z_j / T)} . $$
#
# At $T = 1$ this is the ordinary softmax. A high temperature makes all classes alike. A low one
# leaves only the largest. The order of the classes never changes.


# %%
def soften(z, T):
    """Softmax at temperature T: logits [..., classes] -> probabilities."""
    z = z - z.max(dim=-1, keepdim=True).values  # cancels below; no overflow
    e = torch.exp(z / T)
    return e / e.sum(dim=-1, keepdim=True)


z = torch.tensor([6.0, 4.0, 0.0, -1.0])  # [classes]
columns = {f"T = {T:g}": soften(z, T).tolist() for T in (0.5, 1.0, 4.0, 20.0)}
pd.DataFrame(columns, index=z.tolist()).round(3)

# %% [markdown]
# Each row is a logit, each column a temperature. The *entropy*
#
# $$ H(q) = -\sum_i q_i \log q_i $$
#
# measures in nats how much is left open. It is 0 for a hard label, and $\log 10 \approx 2.30$ where
# ten classes are equally likely.


# %%
def entropy(q):
    """Entropy in nats: probabilities [..., classes] -> [...]."""
    return -(q * torch.log(q.clamp(min=1e-30))).sum(dim=-1)  # 0 log 0 counts as 0


# %% [markdown]
# Below are the logits of a trained teacher for a picture that it was unsure about. At $T = 1$ you see
# two classes and hardly anything else. Move the slider: what stood in the small numbers comes out,
# and in the end everything drowns.

# %% tags=["hide-input"]
unsure = int((seen.max(1).values - 0.8).abs().argmin())
label = bayes10.CLASSES[test.labels[unsure]]
TemperatureSlider(
    tuple(z_learned[unsure].tolist()),
    bayes10.CLASSES,
    label=label,
    picture=test.images[unsure],
    alt=f"test picture {unsure}, labelled {label}",
)

# %% tags=["hide-input"]
Ts = np.geomspace(0.25, 64, 49)
sure = int(seen.max(1).values.argmax())
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
curves = torch.stack([soften(z_learned[unsure].double(), T) for T in Ts])  # [49, 10]
for k, c in enumerate(curves[24].argsort(descending=True)[:4].tolist()):
    left.plot(Ts, curves[:, c], label=bayes10.CLASSES[c], color=figures.COLORS[k],
              ls=figures.DASHES[k], marker="")  # fmt: skip
left.set(xscale="log", xlabel="temperature T", ylabel="probability", ylim=(0, 1),
         title="the unsure picture, four classes")  # fmt: skip
left.legend()
ends = {}
for k, (name, i) in enumerate({"unsure": unsure, "sure": sure}.items()):
    h = torch.stack([entropy(soften(z_learned[i].double(), T)) for T in Ts])
    right.plot(
        Ts, h, label=f"the {name} picture", color=figures.COLORS[k], ls=figures.DASHES[k], marker=""
    )
    ends[name] = [float(entropy(soften(z_learned[i].double(), T))) for T in (1, 4, 64)]
right.axhline(np.log(10), color="0.4", ls=":", lw=1, marker="", label="ten equal classes")
right.set(
    xscale="log",
    xlabel="temperature T",
    ylabel="entropy (nats)",
    title="two pictures",
    ylim=(-0.05, 2.5),
)
right.legend(loc="center right", bbox_to_anchor=(1, 0.35))
for ax in (left, right):
    ax.set_xticks([0.25, 1, 4, 16, 64], ["0.25", "1", "4", "16", "64"])
    ax.minorticks_off()
figures.show(
    fig,
    name="01_temperature",
    alt="Left: probabilities of the four likeliest classes of one picture against the temperature; they come "
    "together at one tenth. Right: the entropy of two pictures rises to the logarithm of ten. "
    + "; ".join(f"the {n} picture has {h[0]:.2f} nats at T = 1, {h[1]:.2f} at 4, {h[2]:.2f} at 64" for n, h in ends.items())
    + ".",
)  # fmt: skip

# %% tags=["nbval-check-output"]
g = torch.Generator().manual_seed(0)
z = torch.randn(100, 10, dtype=torch.float64, generator=g)
for T in (0.5, 1.0, 4.0, 20.0):
    assert torch.allclose(soften(z, T), F.softmax(z / T, dim=1), atol=1e-12)
    assert torch.allclose(soften(z, T), losses.soft_targets(z, T), atol=1e-12)
    assert torch.equal(soften(z, T).argsort(1), z.argsort(1))
assert (soften(z, 1e6) - 0.1).abs().max() < 1e-5
assert (entropy(soften(z, 2.0)) > entropy(soften(z, 1.0))).all()
print("Our softmax, PyTorch's and kdutils' agree.")
print("A temperature keeps the order. A higher one means more entropy.")
print("At T = 1,000,000 all classes are equal.")

# %% [markdown]
# ## 3. The similarity that hides in soft targets
#
# Take all test images of a class and average their probabilities. The row of "pear" then says what a
# pear looks like in the eyes of the teacher. Three teachers stand side by side:
#
# - **the truth**, $p(y \mid x)$;
# - **a learned teacher**, a network that was trained on hard labels and nothing else;
# - **label smoothing**, which moves a share $s$ of every label to all classes alike. We choose $s$ so
#   that its entropy is the mean entropy of the truth. It is just as soft.

# %% tags=["hide-input"]
smooth = losses.smoothed_targets(test.labels, 10, course.nb01.SMOOTHING)  # [5000, 10]
rows = {"the truth": truth, "a learned teacher": seen, "label smoothing": smooth}
means = {
    name: torch.stack([q[test.labels == c].mean(0) for c in range(10)]).double().numpy()
    for name, q in rows.items()
}  # each [class of the image, class that gets the probability]
fig, axes = plt.subplots(1, 3, figsize=(9.5, 3.9), sharey=True)
for ax, (name, mean) in zip(axes, means.items(), strict=True):
    image = ax.imshow(np.log10(np.clip(mean, 1e-4, 1)), vmin=-4, vmax=0)
    ax.set(xticks=range(10), yticks=range(10), yticklabels=bayes10.CLASSES, title=name)
    ax.set_xticklabels(bayes10.CLASSES, rotation=90)
    ax.grid(False)
axes[0].set_ylabel("class of the image")
axes[1].set_xlabel("class that gets the probability")
bar = fig.colorbar(image, ax=axes, shrink=0.8, label="mean probability")
bar.set_ticks([-4, -3, -2, -1, 0], labels=["≤ .0001", ".001", ".01", ".1", "1"])
mirror = [c ^ 1 for c in range(10)]  # the class beside it in its pair
twin = {n: 100 * m[range(10), mirror].mean() for n, m in means.items()}
other = {n: 100 * (1 - m[range(10), mirror] - m.diagonal()).mean() for n, m in means.items()}
figures.show(
    fig,
    name="01_similarity",
    alt="Three heat maps of ten by ten classes, the mean probability that images of each class get for each "
    "class. The truth and the learned teacher show five blocks of two by two along the diagonal, label "
    "smoothing only the diagonal. Mean probability of the twin: "
    + "; ".join(f"{n} {v:.1f} percent" for n, v in twin.items()) + ".",
)  # fmt: skip

# %% tags=["hide-input"]
pd.DataFrame(
    {
        "to the twin (%)": {n: f"{v:.2f}" for n, v in twin.items()},
        "to the other eight classes (%)": {n: f"{abs(v):.2f}" for n, v in other.items()},
        "entropy (nats an image)": {
            n: f"{entropy(q.double()).mean():.3f}" for n, q in rows.items()
        },
    }
)

# %% [markdown]
# Look for the blocks of two along the diagonal. The learned teacher was never told which classes are
# alike. It found all five pairs from hard labels. That is dark knowledge, and here we can see that it
# is true.
#
# Look also at what it gives to the other eight classes. The truth gives them nothing. **Not
# everything in a teacher's small numbers is knowledge.** Some of it is the teacher's own error, and a
# high temperature makes that louder too.
#
# Label smoothing has the same entropy and no blocks. It is **a teacher that knows nothing**. That
# makes it a good control: whatever softness alone can do for a student, it will do as well.
#
# ## 4. The distillation loss, step by step
#
# **Hard label.** The usual loss is the cross-entropy $-\log q_y$ of the student's probability for the
# label $y$. Write the label as a distribution $p$ with all its mass on $y$. Then the same loss reads
#
# $$ \mathrm{CE}(p, q) = -\sum_i p_i \log q_i . $$
#
# **Soft target.** Nothing in this formula needs $p$ to be hard. Let $p$ be the teacher's probabilities.
# The loss is smallest where $q = p$, but it is not 0 there: it is $H(p)$. Take that away, and what is
# left is the Kullback-Leibler divergence,
#
# $$ \mathrm{KL}(p \,\|\, q) = \sum_i p_i \log \frac{p_i}{q_i} = \mathrm{CE}(p, q) - H(p) . $$
#
# $H(p)$ does not depend on the student. So both have the same gradient.
#
# **Temperature.** Soften both sides with the same $T$, so that the small probabilities count:
# $p_i \propto \exp(v_i / T)$ from the teacher's logits $v$, $q_i \propto \exp(z_i / T)$ from the
# student's logits $z$.
#
# **Mixture.** Where there are labels, the ordinary cross-entropy at $T = 1$ joins in:
#
# $$ L = \alpha \, T^2 \, \mathrm{KL}(p \,\|\, q) + (1 - \alpha) \, \mathrm{CE}(y, q_{T = 1}) . $$
#
# The factor $T^2$ gets a section of its own. Here is the loss in code.


# %%
def distillation_loss(student, teacher, labels, T, alpha):
    """Batch mean in nats; student, teacher: [batch, classes], labels: [batch]."""
    p, q = soften(teacher, T), soften(student, T)  # [batch, classes] each
    kl = (p * torch.log(p / q)).sum(dim=1).mean()  # classes: sum, batch: mean
    chosen = soften(student, 1)[torch.arange(len(labels)), labels]  # [batch]
    return alpha * T**2 * kl - (1 - alpha) * torch.log(chosen).mean()


# %% tags=["nbval-check-output"]
g = torch.Generator().manual_seed(1)
# logits of a student and a teacher, [64, 10] each
s, t = 2 * torch.randn(2, 64, 10, dtype=torch.float64, generator=g)
y = torch.randint(10, (64,), generator=g)  # [64]
for T, alpha in ((1.0, 0.5), (4.0, 0.9), (20.0, 1.0)):
    ours = distillation_loss(s, t, y, T, alpha)
    log_q, p = F.log_softmax(s / T, dim=1), F.softmax(t / T, dim=1)
    kl = F.kl_div(log_q, p, reduction="batchmean")
    theirs = alpha * T**2 * kl + (1 - alpha) * F.cross_entropy(s, y)
    assert torch.allclose(ours, theirs)
    assert torch.allclose(ours, losses.kd_loss(s, t, y, T, alpha))
assert distillation_loss(t, t, y, 4.0, 1.0).abs() < 1e-12
print("Our loss, PyTorch's functions and kdutils agree.")
print("It is zero where the logits match.")

# %% [markdown]
# **A trap.** `torch.nn.KLDivLoss()` without arguments averages over the batch *and* over the classes.
# The formula sums over classes. With ten classes the soft term is then ten times too weak, and
# no error tells you, only a warning. `reduction="batchmean"` is the formula. Notebook 03 shows a
# published table that fell into this trap.

# %% tags=["nbval-check-output"]
log_q, p = F.log_softmax(s, dim=1), F.softmax(t, dim=1)  # [64, 10] each
each = F.kl_div(log_q, p, reduction="none")  # [64, 10]
by_default = each.mean()  # over batch and classes: what KLDivLoss() does
by_formula = each.sum(dim=1).mean()  # what reduction="batchmean" does
print(f"by the formula / by default = {by_formula / by_default:.4f}")

# %% [markdown]
# **Label smoothing is distillation** with $T = 1$ and $\alpha = 1$, from a teacher whose probabilities are
# $1 - s$ on the label plus $s / K$ on each of the $K$ classes. The loss differs by $H(p)$ alone:

# %% tags=["nbval-check-output"]
share = 0.1
ignorant = losses.smoothed_targets(y, 10, share).double()  # [64, 10]
as_teacher = distillation_loss(s, torch.log(ignorant), y, T=1.0, alpha=1.0)
as_label = F.cross_entropy(s, y, label_smoothing=share)
assert torch.allclose(as_teacher, as_label - entropy(ignorant).mean())
print("PyTorch's label smoothing is our loss with an ignorant teacher.")

# %% [markdown]
# ## 5. Why $T^2$?
#
# Differentiate the soft cross-entropy by a logit of the student. With
# $\log q_j = z_j / T - \log \sum_k \exp(z_k / T)$,
#
# $$ \frac{\partial}{\partial z_i} \Bigl( -\sum_j p_j \log q_j \Bigr)
#    = \frac{1}{T} \Bigl( -p_i + q_i \sum_j p_j \Bigr) = \frac{1}{T} \, (q_i - p_i) . $$
#
# A beautiful result: what the student says less what the teacher says. One $1/T$ stands in front.
# A second one hides in $q_i - p_i$, for a high temperature brings all probabilities together. How
# fast? Use $e^x \approx 1 + x$ for small $x$. Let the logits of each image have mean zero, which
# changes no probability. Then, with $K$ classes,
#
# $$ q_i \approx \frac{1 + z_i / T}{\sum_j (1 + z_j / T)} = \frac{1}{K} \Bigl( 1 + \frac{z_i}{T} \Bigr) ,
#    \qquad q_i - p_i \approx \frac{1}{K T} \, (z_i - v_i) . $$
#
# So the gradient shrinks like $1/T^2$. The factor $T^2$ brings it back:
#
# $$ T^2 \cdot \frac{1}{T} \, (q_i - p_i) \approx \frac{1}{K} \, (z_i - v_i) . $$
#
# Two lessons stand in this line.
#
# 1. **With $T^2$, the weight of the teacher does not depend on $T$.** Without it, whoever doubles $T$
#    also cuts the teacher's say against the labels to a quarter, and then believes to have measured
#    the temperature.
# 2. **At a high temperature, the student matches logits.** The right-hand side is the gradient of
#    $\frac{1}{2K} \sum_i (z_i - v_i)^2$: a plain regression on the teacher's logits, the very negative
#    ones included.


# %%
def soft_gradient(T):
    """Gradient of KL at temperature T by the student's logits: [64, 10]."""
    z = s.clone().requires_grad_()
    kl = distillation_loss(z, t, y, T, alpha=1.0) / T**2
    (soft,) = torch.autograd.grad(kl, z)
    return len(z) * soft  # the loss is a mean over the batch: undo it


centred = [z - z.mean(dim=1, keepdim=True) for z in (s, t)]
limit = (centred[0] - centred[1]) / 10  # (z - v) / K for logits of mean zero
careless = (s - t) / 10  # the same, but the means were left in

# %% tags=["hide-input"]
Ts = np.geomspace(1, 256, 17)
gradients = [soft_gradient(T) for T in Ts]
size = [float(g.norm(dim=1).mean()) for g in gradients]
apart = {
    name: [
        float((T**2 * g - goal).norm() / goal.norm()) for T, g in zip(Ts, gradients, strict=True)
    ]
    for name, goal in (("logits of mean zero", limit), ("means left in", careless))
}
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6))
style = [{"color": figures.COLORS[k], "ls": figures.DASHES[k], "marker": figures.MARKERS[k], "markevery": 2}
         for k in range(2)]  # fmt: skip
left.plot(Ts, T2 := [T**2 * g for T, g in zip(Ts, size, strict=True)], label="with T²", **style[0])
left.plot(Ts, size, label="without", **style[1])
left.set(ylabel="mean length of the gradient", title="how much the teacher counts")
for k, (name, values) in enumerate(apart.items()):
    right.plot(Ts, values, label=name, **style[k])
right.plot(
    Ts,
    apart["logits of mean zero"][-1] * Ts[-1] / Ts,
    color="0.4",
    ls=":",
    marker="",
    label="a line like 1/T",
)
right.set(ylabel="relative distance", title="from logit matching, with T²")
for ax in (left, right):
    ax.set(xscale="log", yscale="log", xlabel="temperature T")
    ax.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
    ax.minorticks_off()
    ax.legend()
figures.count(fig, {64}, "", "random logits, ten classes", unit="images", bars=False)
figures.show(
    fig,
    name="01_temperature_squared",
    alt=f"Left: mean length of the soft gradient against T from 1 to 256. With the factor it goes from {T2[0]:.2f} "
    f"to {T2[-1]:.2f}, without from {size[0]:.2f} to {size[-1]:.1e}. Right: its relative distance from the "
    f"matching of logits falls like one over T, from {apart['logits of mean zero'][0]:.2f} to "
    f"{apart['logits of mean zero'][-1]:.4f}; with the means left in it stays at {apart['means left in'][-1]:.2f}.",
)  # fmt: skip

# %% [markdown]
# Left: with $T^2$ the line is flat. Right: the distance from logit matching falls like $1/T$, as the
# next term of $e^x$ predicts. Leave the means of the logits in, and it never gets there: a softmax
# does not see a constant that is added to all logits, and a regression does.

# %% tags=["nbval-check-output"]
for T in (1.0, 4.0, 20.0):
    by_formula = (soften(s, T) - soften(t, T)) / T
    assert torch.allclose(soft_gradient(T), by_formula, atol=1e-12)
print("autograd gives (q - p) / T.")
high, higher = 1e3**2 * soft_gradient(1e3), 1e4**2 * soft_gradient(1e4)
assert (high - higher).norm() / higher.norm() < 0.01
assert (higher - limit).norm() / limit.norm() < 0.001
print("At high T, T² times the gradient is that of matching logits.")

# %% [markdown]
# ## 6. A first distillation
#
# Now real students. Each has one hidden layer and learns from the same few images of `bayes10`. All
# have the same budget: network, images, steps, schedule, and for each seed the same first weights
# and the same order of images. **They differ in their targets alone.** So $\alpha = 1$ and $T = 1$
# throughout: no label beside the targets, no temperature to tune.
#
# | arm | the target of an image |
# |---|---|
# | hard labels | its label |
# | label smoothing | its label, as soft as the truth is on average, but ignorant |
# | perfect teacher | the exact $p(y \mid x)$ |
# | learned teacher | the answer of a wider network, which saw ten times as many labelled images |
# | learned teacher of the same images | the same network, but it saw only the student's images |
# | permuted teacher | the exact $p(y \mid x)$ of *another* image |
#
# Three of these rows are controls. If softness were the point, label smoothing would do. If any soft
# targets did, the permuted teacher would. If a teacher were magic, it would not have to know more than
# its student.
#
# Here is the accuracy on the test images in percent: mean, 95 % interval and number of seeds. There
# is no published value to stand beside it.

# %%
first = [r for r in results if r.arm.table == "A first distillation"]
tables.compare(first, "test_accuracy").drop(columns="published")

# %% tags=["hide-input"]
names = ["hard labels", "label smoothing", "learned teacher of the same images", "learned teacher",
         "perfect teacher"]  # fmt: skip
shown = [by_name[name] for name in names]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), sharey=True)
references = {"test_accuracy": bayes_accuracy, "test_nll": bayes_nll}
for ax, metric in zip(axes, references, strict=True):
    for k, result in enumerate(shown):
        mean, half = result.mean_ci(metric)
        figures.dot(ax, mean, k, half)
        ax.scatter(
            result.values(metric), [k] * len(result.records), marker="|", color="0.5", zorder=0
        )
    ax.axvline(references[metric], color="k", ls=":", lw=1.4, marker="", label="Bayes classifier")
    every = [v for r in shown for v in r.values(metric)] + [references[metric]]
    ax.set_xlim(figures.span(every, at_least=0.01))
axes[0].set(yticks=range(len(shown)), yticklabels=names, ylim=(len(shown) - 0.5, -0.5),
            xlabel=f"accuracy on {len(test):,} test images (%)")  # fmt: skip
axes[1].set(xlabel="negative log-likelihood (nats an image)")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right")
figures.count(fig, {len(r.records) for r in shown}, PROFILE, "bayes10")
figures.show(
    fig,
    name="01_first_distillation",
    alt="Test accuracy and negative log-likelihood of the students, each a dot with its 95 % interval and a "
    f"tick for each seed; the Bayes classifier has {bayes_accuracy:.1f} percent. "
    + "; ".join(f"{r.name} {r.mean_ci('test_accuracy')[0]:.1f} percent" for r in shown) + ".",
)  # fmt: skip

# %% [markdown]
# The dotted line is the Bayes classifier on these very test images. The permuted teacher is far to the
# left of the figure, so it stands in the table alone. Pair the arms by seed, and ask one question at a
# time:

# %% tags=["hide-input"]
Markdown(tables.differences(results, "test_accuracy", {
    "What the truth adds to labels": ("perfect teacher", "hard labels"),
    "What softness alone adds": ("label smoothing", "hard labels"),
    "What a teacher adds that saw ten times the labels": ("learned teacher", "hard labels"),
    "What a teacher adds that saw the same labels":
        ("learned teacher of the same images", "hard labels"),
    "What a teacher costs that speaks of other images": ("permuted teacher", "hard labels"),
}))  # fmt: skip

# %% [markdown]
# ### The fewer images, the more a soft target is worth
#
# With many images, a student sees so many labels drawn by lot in every region that it can average
# them itself. A soft target hands it the average at once. So the gain should be largest where images
# are few. The same students, with a quarter of the images and with four times as many, always with
# the same number of steps:

# %% tags=["hide-input"]
base = by_name["hard labels"].arm.recipe.n_train
sizes = {", a quarter of the images": base // 4, "": base, ", four times the images": 4 * base}
fig, ax = plt.subplots(figsize=(6.5, 3.7))
words, every = [], [bayes_accuracy]
for k, kind in enumerate(("hard labels", "perfect teacher")):
    at = np.array(list(sizes.values())) * (0.97, 1.03)[k]  # side by side, not on top
    found = [by_name[kind + suffix] for suffix in sizes]
    for x, n, result in zip(at, sizes.values(), found, strict=True):
        mean, half = result.mean_ci("test_accuracy")
        figures.dot(ax, x, mean, half, style=k, vertical=True, label=kind if n == base else None)
        every += result.values("test_accuracy")
        words.append(f"{kind}, {n} images: {mean:.1f}")
    ax.plot(at, [r.mean_ci("test_accuracy")[0] for r in found], color=figures.COLORS[k],
            ls=figures.DASHES[k], lw=1, marker="", zorder=1)  # fmt: skip
ax.axhline(bayes_accuracy, color="k", ls=":", lw=1.4, marker="", label="Bayes classifier")
ax.set(
    xscale="log",
    xlabel="images to learn from",
    ylabel="test accuracy (%)",
    ylim=figures.span(every),
)
ax.set_xticks(list(sizes.values()), [f"{n:,}" for n in sizes.values()])
ax.minorticks_off()
ax.legend(loc="lower right")
figures.count(fig, {len(r.records) for r in results}, PROFILE, "bayes10")
figures.show(
    fig,
    name="01_images",
    alt="Test accuracy in percent against the number of images, for hard labels and for the perfect teacher: "
    + "; ".join(words) + f". The Bayes classifier has {bayes_accuracy:.1f}.",
)  # fmt: skip

# %% tags=["hide-input"]
Markdown(tables.differences(results, "test_accuracy", {
    f"What the truth adds to labels on {n:,} images": (f"perfect teacher{suffix}", f"hard labels{suffix}")
    for suffix, n in sizes.items()
}))  # fmt: skip

# %% [markdown]
# ## 7. Checks
#
# What must hold at any profile.

# %% tags=["nbval-check-output"]
mean = {name: result.mean_ci("test_accuracy")[0] for name, result in by_name.items()}
assert mean["permuted teacher"] < 50 < mean["perfect teacher"]
print("Soft targets of other images teach nothing.")
loss = {name: result.mean_ci("test_nll")[0] for name, result in by_name.items()}
assert loss["perfect teacher"] < loss["hard labels"]
print("The student of the truth has better probabilities than that of labels.")
best = max(max(result.values("test_accuracy")) for result in results)
assert best <= bayes_accuracy + 1
print("Nobody beats the Bayes classifier, luck aside.")
students = [r.arm.recipe for r in results if not r.name.startswith("teacher")]
assert len({-(-r.n_train // r.batch_size) * r.epochs for r in students}) == 1
assert len({(r.model, r.batch_size, r.lr, r.schedule) for r in students}) == 1
print("All students had the same network, steps and schedule.")

# %% [markdown]
# ## What we saw

# %% tags=["hide-input"]
columns = {"accuracy (%)": "test_accuracy", "gap closed (%)": None,
           "NLL (nats)": "test_nll", "calibration error (%)": "test_ece"}  # fmt: skip
gap = bayes_accuracy - mean["hard labels"]
summary = pd.DataFrame(
    {
        title: {
            r.name: tables.interval(*r.mean_ci(metric), tables.digits_of(metric))
            if metric
            else f"{100 * (mean[r.name] - mean['hard labels']) / gap:.0f}"
            for r in shown
        }
        for title, metric in columns.items()
    }
)
summary.loc["Bayes classifier"] = [f"{bayes_accuracy:.2f}", "100", f"{bayes_nll:.4f}",
                                   f"{metrics.calibration_error(exact, test.labels):.2f}"]  # fmt: skip
summary

# %% tags=["hide-input"]
lead = [mean["perfect teacher" + suffix] - mean["hard labels" + suffix] for suffix in sizes]
Markdown(
    f"- *Gap* is what hard labels leave open on {base:,} images: {gap:.1f} points below the Bayes classifier. The "
    f"truth closes {summary.loc['perfect teacher', 'gap closed (%)']} % of it, label smoothing "
    f"{summary.loc['label smoothing', 'gap closed (%)']} %, the learned teacher "
    f"{summary.loc['learned teacher', 'gap closed (%)']} %, the teacher of the same images "
    f"{summary.loc['learned teacher of the same images', 'gap closed (%)']} %.\n"
    f"- The learned teachers themselves reach {mean['teacher of ten times the images']:.2f} % and "
    f"{mean['teacher of the same images']:.2f} %. Hold each against its student.\n"
    "- The lead of the truth over labels on " + ", ".join(f"{n:,}" for n in sizes.values()) + " images: "
    + ", ".join(f"{v:.1f}" for v in lead) + " points."
)  # fmt: skip

# %% [markdown]
# Go back to your guesses. Which one was furthest off? Then read the last column again. Accuracy is not
# all: does softness alone do something there?
#
# ## Where it can mislead
#
# - **A teacher that saw more labels passes them on.** The learned teacher had ten times the student's
#   labels. In practice that is the point of a teacher, but it is no magic. The fair control is the
#   teacher *of the same images*.
# - **Softness is not knowledge.** Compare every distilled student with label smoothing of the same
#   entropy before you speak of dark knowledge.
# - **Similar classes, or this image?** The heat map of section 3 tempts one to think that a student
#   learns *which classes are alike*. Exercise 4 keeps that map as it is, takes the image away, and
#   looks what is left of the gain. Do it before you repeat the usual explanation.
# - **A permuted teacher has two faults.** Its targets do not belong to the image, and their mean says
#   nothing. It proves that soft targets must be aligned with their images, and no more.
# - **A perfect teacher is exactly as sure as it should be.** A trained one tends to be too sure of the
#   images it was trained on. Then its answers there are nearly hard labels again.
# - **bayes10 is kind.** All its doubt lies between twins, and its truth is simple. Nothing here says how
#   large the gain is on photographs.
# - **One setting for all.** The learning rate was looked for with hard labels alone, on validation
#   images. Other arms might do better with their own. Their lead is not owed to tuning.
#
# ## Exercises
#
# 1. *(5 minutes, easy)* At which temperature do the soft targets of the slider's picture have an entropy
#    of 2 nats? Use `scipy.optimize.brentq`.
# 2. *(10 minutes, medium)* Let $T = 1$. Show that the loss with labels, $\alpha\,\mathrm{KL} +
#    (1 - \alpha)\,\mathrm{CE}$, has the gradient $q - \bigl(\alpha p + (1 - \alpha) e_y\bigr)$, where $e_y$ is
#    the hard label as a distribution. So at $T = 1$ a mixture of losses is one loss with mixed targets.
#    Check it with `torch.autograd`. Why does it not hold at $T = 4$?
# 3. *(15 minutes, medium)* Mix the permuted teacher with the labels, $\alpha = .5$. Does the student
#    recover? What happens to its probabilities? Train it on the smoke profile.
# 4. *(20 minutes, hard)* Class or image? Give every image the true probabilities of *another image with
#    the same label*. The heat map of the targets stays exactly as it was. How much of the perfect
#    teacher's gain is left? `training.fit` takes any logits as `teacher_logits`.
#
# Solutions are in `notebooks/solutions/01_*.py`, and the tests run them.
#
# ## Summary
#
# - A temperature softens probabilities. It changes neither their order nor their sum.
# - The distillation loss is a KL divergence: summed over classes, averaged over the batch.
# - $T^2$ keeps the teacher's weight as $T$ changes. At a high temperature the student matches logits.
# - A teacher helps as far as it comes closer to $p(y \mid x)$ than the label does. Softness alone does
#   not make a student more accurate here, and soft targets of another image teach it nothing.
#
# ## Sources
#
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*,
#   arXiv:1503.02531: temperature, $T^2$ and the limit in section 2.
# - A. K. Menon et al. (2021), *A statistical perspective on distillation*: a teacher helps as far as
#   it estimates the true probabilities.
# - C. Szegedy et al. (2016), *Rethinking the Inception architecture*, section 7: label smoothing.
