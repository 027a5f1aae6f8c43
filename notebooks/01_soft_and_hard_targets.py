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
# # 01 · What do probabilities know that a label does not?
#
# A label says "pear". It does not say that this pear might pass for an apple, and could never pass
# for a church. A trained network says both: it gives every class a probability. Hinton, Vinyals and
# Dean (2015) called what stands in the small ones *dark knowledge*, and trained small networks on it.
#
# In this notebook you meet the idea on images whose true probabilities are known. So we can ask a
# question that real photographs never answer: how close does a teacher come to the truth, and what
# is that worth to its student?
#
# **You will be able to**
#
# - soften logits with a temperature, and say what that does to their entropy;
# - derive the distillation loss, write it in four lines and check it;
# - explain the factor $T^2$, and what is left of the loss at a very high temperature;
# - tell apart three reasons why soft targets may help: what they *know*, how *soft* they are, and how
#   many images they stand for.
#
# You need the softmax, the cross-entropy and the idea of a gradient.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, for a first look. "laptop": the recorded runs
SEEDS = None  # None: the profile's own seeds. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import HTML, Markdown

from kdutils import bayes10, course, data, figures, losses, metrics, profiles, tables
from kdutils.knowledge import log_posterior
from kdutils.runs import run_all
from kdutils.slider import temperature_slider
from kdutils.store import Store

profile, seeds = profiles.setup(PROFILE, SEEDS)
profiles.check_flag("TRAIN", TRAIN)
figures.theme()
arms = course.arms(1, PROFILE)
if TRAIN or PROFILE == "smoke":
    run_all([arm.recipe for arm in arms], seeds)
results = tables.collect(1, PROFILE, seeds)
by_name = {result.name: result for result in results}
Markdown(tables.cost(results))

# %% [markdown]
# ## Predict first
#
# Write down a guess before you read on.
#
# 1. You divide all logits of an image by 20 before the softmax. Does the order of the classes change?
#    Does the sum of the probabilities?
# 2. A student learns from 1,000 images with hard labels. Its twin learns from the same images with
#    their *true* probabilities. How many points of accuracy lie between them?
# 3. A third student gets labels that were softened by the same amount, but without any knowledge:
#    every wrong class gets the same share. Where does it land?
# 4. A fourth one gets true probabilities, but of *other* images. And that one?

# %% [markdown]
# ## 1. Images whose probabilities are known
#
# `bayes10` is a data set that we draw ourselves. It has ten classes in five pairs that look alike. A
# picture is drawn in four steps: choose a class; choose how far it has turned into its twin (its
# *level*); choose light, width, place and mirror image; add noise. Each step has known probabilities.
# So Bayes' rule gives the exact probability of each class for each picture,
#
# $$ p(y \mid x) = \frac{p(x \mid y)\, p(y)}{\sum_{c} p(x \mid c)\, p(c)} . $$
#
# There are 2,880 ways to draw a picture, and `bayes10.posterior` sums over all of them.

# %% tags=["hide-input"]
templates = bayes10.templates()  # uint8 [5 pairs, 8 levels, 3, 32, 32]
fig, axes = plt.subplots(5, 8, figsize=(8.5, 5.6))
for pair, row in enumerate(axes):
    for level, ax in enumerate(row):
        ax.imshow(templates[pair, level].permute(1, 2, 0))
        ax.set(xticks=[], yticks=[])
        p = bayes10.LEVEL_GIVEN_CLASS[2 * pair + 1, level]
        q = bayes10.LEVEL_GIVEN_CLASS[2 * pair, level]
        ax.set_xlabel(f"{100 * p / (p + q):.3g} %", fontsize=8, labelpad=2)
    row[0].set_ylabel(bayes10.CLASSES[2 * pair], fontsize=10)
    row[-1].yaxis.set_label_position("right")
    row[-1].set_ylabel(bayes10.CLASSES[2 * pair + 1], fontsize=10, rotation=270, labelpad=12)
fig.supxlabel(
    "below each: probability of the class on the right, in percent; without noise", fontsize=9
)
figures.show(
    fig,
    name="01_bayes10",
    alt="Five rows of eight small pictures without noise. In each row one class turns into its twin: "
    + ", ".join(
        f"{a} into {b}" for a, b in zip(bayes10.CLASSES[::2], bayes10.CLASSES[1::2], strict=True)
    )
    + ". Below each stands the probability of the second class.",
)

# %% [markdown]
# Only the two middle pictures of a row are in real doubt. A classifier that knows everything, the
# *Bayes classifier*, still errs there. Nobody can do better.

# %%
test = data.load("bayes10").test
exact = log_posterior("test")  # log p(y | x), [5000, 10]: the logits of a perfect teacher
bayes_accuracy, bayes_nll = metrics.accuracy(exact, test.labels), metrics.nll(exact, test.labels)
print(f"Bayes classifier: {bayes_accuracy:.2f} % of {len(test):,} test images right")
print(f"its negative log-likelihood: {bayes_nll:.4f} nats an image")

# %% [markdown]
# ## 2. Temperature
#
# A network ends in *logits* $z_i$. The softmax turns them into probabilities. A *temperature* $T$
# divides the logits first:
#
# $$ q_i = \frac{\exp(z_i / T)}{\sum_j \exp(z_j / T)} . $$
#
# At $T = 1$ this is the ordinary softmax. A high temperature makes all classes alike. A low one leaves
# only the largest.


# %%
def soften(z, T):
    """Softmax at temperature T: logits [..., classes] -> probabilities of the same shape."""
    e = torch.exp((z - z.max(dim=-1, keepdim=True).values) / T)  # the largest term is 1
    return e / e.sum(dim=-1, keepdim=True)


z = torch.tensor([6.0, 4.0, 0.0, -1.0])  # [classes]
for T in (0.5, 1.0, 4.0, 20.0):
    print(f"T = {T:4}:", soften(z, T).numpy().round(3))

# %% [markdown]
# Here are the logits that a perfect teacher gives to one doubtful picture. Move the slider. Watch the
# small bars: at $T = 1$ they can hardly be seen, and yet they are ordered.

# %% tags=["hide-input"]
middle = exact.softmax(1).max(1).values
doubtful = int((middle - 0.8).abs().argmin())
HTML(
    temperature_slider(
        exact[doubtful].tolist(),
        bayes10.CLASSES,
        f"Soft targets of test image {doubtful}, a picture labelled {bayes10.CLASSES[test.labels[doubtful]]}",
    )
)

# %% [markdown]
# The *entropy* $H(q) = -\sum_i q_i \log q_i$ measures how much is left open, in nats. It is 0 for a hard
# label and $\log 10 = 2.30$ for ten equal classes.

# %% tags=["hide-input"]
temperatures = np.geomspace(0.1, 100, 61)
examples = {"sure picture": int(middle.argmax()), "doubtful picture": doubtful}
fig, ax = plt.subplots(figsize=(6.5, 3.4))
ends = []
for k, (name, i) in enumerate(examples.items()):
    q = torch.stack([soften(exact[i].double(), T) for T in temperatures])  # [61, 10]
    entropy = -(q * q.clamp(min=1e-300).log()).sum(1)
    ax.plot(
        temperatures, entropy, color=figures.COLORS[k], ls=figures.DASHES[k], marker="", label=name
    )
    ends.append(f"{name}: {entropy[20]:.2f} at T = 1, {entropy[40]:.2f} at T = 10")
ax.axhline(np.log(10), color="0.4", ls=":", lw=1, marker="", label="ten equal classes")
ax.set(xscale="log", xlabel="temperature T", ylabel="entropy (nats)", ylim=(-0.05, 2.5))
ax.legend(loc="upper left")
figures.count(fig, {2}, "", "bayes10, exact posterior", unit="pictures", bars=False)
figures.show(
    fig,
    name="01_entropy",
    alt="Entropy of the soft targets of two pictures against the temperature; both rise from 0 to the "
    "logarithm of 10. " + "; ".join(ends) + ".",
)

# %% tags=["nbval-check-output"]
z = torch.randn(100, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
for T in (0.5, 1.0, 4.0, 20.0):
    assert torch.allclose(soften(z, T), losses.soft_targets(z, T), atol=1e-12)
    assert torch.allclose(soften(z, T).sum(1), torch.ones(100, dtype=torch.float64))
    assert torch.equal(soften(z, T).argsort(1), z.argsort(1))
assert (soften(z, 1e6) - 0.1).abs().max() < 1e-5
print(
    "A temperature changes neither the sum nor the order. At T = 1,000,000 all classes are equal."
)

# %% [markdown]
# ## 3. The similarity that hides in soft targets
#
# Average the probabilities over all test images of a class. The row of "pear" then says what a pear
# looks like, in the eyes of the teacher. We compare three teachers: the truth, a network that learned
# from hard labels alone, and label smoothing.

# %% tags=["hide-input"]
store = Store()
learned = by_name.get("teacher of ten times the images")
z_learned = store.logits(learned.records[0].recipe)["test"]  # [5000, 10]
smoothing = course.nb01.SMOOTHING
rows = {
    "the truth": exact.softmax(1),
    "a learned teacher": z_learned.softmax(1),
    "label smoothing": losses.smoothed_targets(test.labels, 10, smoothing),
}
means = {
    name: torch.stack([q[test.labels == c].mean(0) for c in range(10)]).double().numpy()
    for name, q in rows.items()
}
fig, axes = plt.subplots(1, 3, figsize=(9.5, 3.9), sharey=True)
for ax, (name, mean) in zip(axes, means.items(), strict=True):
    image = ax.imshow(np.log10(np.clip(mean, 1e-4, 1)), vmin=-4, vmax=0, cmap="cividis")
    ax.set(xticks=range(10), yticks=range(10), yticklabels=bayes10.CLASSES, title=name)
    ax.set_xticklabels(bayes10.CLASSES, rotation=90)
    ax.grid(False)
axes[0].set_ylabel("class of the image")
axes[1].set_xlabel("class that gets the probability")
bar = fig.colorbar(image, ax=axes, shrink=0.8, label="mean probability")
bar.set_ticks([-4, -3, -2, -1, 0], labels=["≤ .0001", ".001", ".01", ".1", "1"])
twin = [(2 * k, 2 * k + 1) for k in range(5)]
share = {
    n: 100 * np.mean([m[a, b] for a, b in twin] + [m[b, a] for a, b in twin])
    for n, m in means.items()
}
figures.count(fig, {len(test)}, "", "bayes10", unit="test images; one network", bars=False)
figures.show(
    fig,
    name="01_similarity",
    alt="Three heat maps of ten by ten classes: the mean probability that images of each class get for each "
    "class. Mean probability of the look-alike twin: "
    + "; ".join(f"{n} {v:.1f} percent" for n, v in share.items()) + ".",
)  # fmt: skip

# %% tags=["hide-input"]
Markdown(
    "Mean probability given to the look-alike twin: "
    + ", ".join(f"**{v:.1f} %** ({n})" for n, v in share.items())
    + f". The learned teacher saw {learned.arm.recipe.n_train:,} labels, each of them hard. Nobody told it "
    "which classes are alike."
)

# %% [markdown]
# Look for the blocks of two along the diagonal. The learned teacher found all five pairs from hard
# labels alone. Label smoothing has the same softness everywhere and no blocks: it is **a teacher that
# knows nothing**.
#
# ## 4. The distillation loss
#
# The student shall match the teacher's probabilities $p$ with its own $q$, both at temperature $T$. The
# natural measure is the Kullback-Leibler divergence,
#
# $$ \mathrm{KL}(p \,\|\, q) = \sum_i p_i \log \frac{p_i}{q_i}
#    = \underbrace{-\sum_i p_i \log q_i}_{\text{soft cross-entropy}} - \; H(p) . $$
#
# The entropy $H(p)$ of the teacher does not depend on the student. So the KL divergence and the soft
# cross-entropy have the same gradient. Where there are labels, the ordinary cross-entropy at $T = 1$
# joins in, with weights $\alpha$ and $1 - \alpha$:
#
# $$ L = \alpha \, T^2 \, \mathrm{KL}(p \,\|\, q) + (1 - \alpha) \, \mathrm{CE}(y, q_{T = 1}) . $$


# %%
def distillation_loss(student, teacher, labels, T, alpha):
    """student, teacher: logits [batch, classes]; labels: [batch]. Mean over the batch, in nats."""
    p, log_q = soften(teacher, T), torch.log(soften(student, T))
    kl = (p * (torch.log(p) - log_q)).sum(dim=1).mean()  # sum over classes, mean over batch
    hard = -torch.log(soften(student, 1))[torch.arange(len(labels)), labels].mean()
    return alpha * T**2 * kl + (1 - alpha) * hard


# %% tags=["nbval-check-output"]
g = torch.Generator().manual_seed(1)
s, t = 2 * torch.randn(2, 64, 10, dtype=torch.float64, generator=g)  # student, teacher: [64, 10]
y = torch.randint(10, (64,), generator=g)
for T, alpha in ((1.0, 0.5), (4.0, 0.9), (20.0, 1.0)):
    ours = distillation_loss(s, t, y, T, alpha)
    torch_kl = F.kl_div(
        F.log_softmax(s / T, 1), F.log_softmax(t / T, 1), reduction="batchmean", log_target=True
    )
    theirs = alpha * T**2 * torch_kl + (1 - alpha) * F.cross_entropy(s, y)
    assert torch.allclose(ours, theirs, rtol=1e-10)
    assert torch.allclose(ours, losses.kd_loss(s, t, y, T, alpha), rtol=1e-10)
print("Our loss, PyTorch's functions and kdutils agree.")

# %% [markdown]
# **A trap.** `torch.nn.KLDivLoss()` without arguments averages over the batch *and* over the classes. With
# ten classes the soft term is then ten times too weak. `reduction="batchmean"` is the formula. Notebook
# 03 shows a published table that fell into this trap.
#
# ### Why $T^2$?
#
# The gradient of the soft cross-entropy with respect to a logit of the student is
#
# $$ \frac{\partial}{\partial z_i} \Bigl( -\sum_j p_j \log q_j \Bigr) = \frac{1}{T} \, (q_i - p_i) . $$
#
# One $1/T$ stands in front. A second one hides in $q_i - p_i$: at a high temperature all
# probabilities are near $1/N$, for $N$ classes, and $e^x \approx 1 + x$ gives
#
# $$ q_i - p_i \approx \frac{1}{N T} \, (z_i - v_i) $$
#
# for logits $z$ of the student and $v$ of the teacher whose means are zero. So the gradient shrinks like
# $1/T^2$. The factor $T^2$ brings it back. Without it, a change of $T$ would also change how much the
# teacher counts against the labels.
#
# The same line says what is left at the limit: **the student matches the teacher's logits**, each with the
# error $z_i - v_i$, as in a regression.


# %%
def gradient(T, factor):
    """Gradient of factor * KL at temperature T, one row an image: [64, 10]."""
    z = s.clone().requires_grad_()
    (factor * losses.kd_loss(z, t, None, 1.0, 1.0) if T == 1 else
     factor * losses.kd_loss(z, t, None, T, 1.0) / T**2).backward()  # fmt: skip
    return len(s) * z.grad  # undo the batch mean


Ts = np.geomspace(1, 300, 16)
with_factor = [float(gradient(T, T**2).norm(dim=1).mean()) for T in Ts]
without = [float(gradient(T, 1.0).norm(dim=1).mean()) for T in Ts]
limit = ((s - s.mean(1, keepdim=True)) - (t - t.mean(1, keepdim=True))) / 10  # (z - v) / N
apart = [float((gradient(T, T**2) - limit).norm() / limit.norm()) for T in Ts]

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.5))
for k, (name, values) in enumerate({"with T²": with_factor, "without": without}.items()):
    axes[0].plot(Ts, values, color=figures.COLORS[k], ls=figures.DASHES[k], marker=figures.MARKERS[k],
                 markevery=3, label=name)  # fmt: skip
axes[0].set(xscale="log", yscale="log", xlabel="temperature T", ylabel="length of the gradient",
            title="how much the teacher counts")  # fmt: skip
axes[0].legend()
axes[1].plot(Ts, apart, color=figures.COLORS[0], ls="-", marker="o", markevery=3, label="measured")
axes[1].plot(Ts, apart[-1] * Ts[-1] / Ts, color="0.4", ls=":", marker="", label="a line like 1/T")
axes[1].set(xscale="log", yscale="log", xlabel="temperature T", ylabel="relative distance",
            title="from the limit: matching logits")  # fmt: skip
axes[1].legend()
figures.count(fig, {64}, "", "random logits of ten classes", unit="images", bars=False)
figures.show(
    fig,
    name="01_temperature_squared",
    alt=f"Left: mean length of the soft gradient against T. With the factor it is {with_factor[0]:.2f} at T = 1 "
    f"and {with_factor[-1]:.2f} at T = 300; without it falls to {without[-1]:.1e}. Right: its relative distance "
    f"from plain matching of logits falls from {apart[0]:.2f} to {apart[-1]:.4f}, like one over T.",
)

# %% tags=["nbval-check-output"]
high, higher = gradient(100.0, 100.0**2), gradient(1000.0, 1000.0**2)
assert (high - higher).norm() / higher.norm() < 0.05
assert (higher - limit).norm() / limit.norm() < 0.01
same = t.clone().requires_grad_()
losses.kd_loss(same, t, None, 4.0, 1.0).backward()
assert same.grad.abs().max() < 1e-12
print("At high T the gradient does not depend on T, and is that of matching logits.")
print("Where the student's logits are the teacher's, the gradient is zero.")

# %% [markdown]
# ## 5. A first distillation
#
# Now a real student: one hidden layer of 32 units, and few images of bayes10. All students have the same
# budget: network, images, steps, schedule. They differ in their targets alone.
#
# | arm | what it learns from |
# |---|---|
# | hard labels | one class an image |
# | label smoothing | the label, softened to the mean entropy of the truth: soft, but ignorant |
# | perfect teacher | the exact $p(y \mid x)$ |
# | learned teacher | a wider network that saw ten times as many labelled images |
# | learned teacher of the same images | the same network, but it saw no more than the student |
# | permuted teacher | the exact $p(y \mid x)$ of *another* image |
#
# The last two are controls. If only softness counted, the permuted teacher would do. If a teacher were
# magic, it would not have to know more than its student.

# %%
first = [r for r in results if r.arm.table == "A first distillation"]
tables.compare(first, "test_accuracy")

# %% tags=["hide-input"]
names = ["hard labels", "label smoothing", "learned teacher of the same images", "learned teacher",
         "perfect teacher"]  # fmt: skip
shown = [by_name[name] for name in names if name in by_name]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.3), sharey=True)
references = {"test_accuracy": bayes_accuracy, "test_nll": bayes_nll}
for ax, metric in zip(axes, references, strict=True):
    for k, result in enumerate(shown):
        mean, half = result.mean_ci(metric)
        figures.dot(ax, mean, k, half)
        ax.scatter(
            result.values(metric), [k] * len(result.records), marker="|", color="0.5", zorder=0
        )
    ax.axvline(references[metric], color="k", ls=":", lw=1.2, marker="", label="exact posterior")
    every = [v for r in shown for v in r.values(metric)] + [references[metric]]
    ax.set_xlim(figures.span(every, at_least=0.01))
axes[0].set(yticks=range(len(shown)), yticklabels=[r.name for r in shown], ylim=(len(shown) - 0.5, -0.5),
            xlabel=f"accuracy on {len(test):,} test images (%)")  # fmt: skip
axes[1].set(xlabel="negative log-likelihood (nats an image)")
axes[1].legend(loc="lower right")
figures.count(fig, {len(r.records) for r in shown}, PROFILE, "bayes10")
figures.show(
    fig,
    name="01_first_distillation",
    alt="Test accuracy and negative log-likelihood of the students, each a dot with its 95 % interval and a "
    f"tick for each seed; the exact posterior has {bayes_accuracy:.1f} percent. "
    + "; ".join(f"{r.name} {r.mean_ci('test_accuracy')[0]:.1f} percent" for r in shown) + ".",
)  # fmt: skip

# %% tags=["hide-input"]
Markdown(tables.differences(results, "test_accuracy", {
    "What the truth adds to labels": ("perfect teacher", "hard labels"),
    "What softness alone adds": ("label smoothing", "hard labels"),
    "What a teacher adds that saw more images": ("learned teacher", "hard labels"),
    "What a teacher adds that saw the same images":
        ("learned teacher of the same images", "hard labels"),
    "What a teacher costs that speaks of other images": ("permuted teacher", "hard labels"),
}))  # fmt: skip

# %% [markdown]
# ### How many labels is a teacher worth?
#
# A soft target says more about one image than a label does. So it should matter most where images are
# few. The same students with a quarter of the images and with four times as many, each time with the
# same number of steps:

# %% tags=["hide-input"]
base = arms[2].recipe.n_train
sizes = {", a quarter of the images": base // 4, "": base, ", four times the images": 4 * base}
fig, ax = plt.subplots(figsize=(6.5, 3.6))
words, every = [], [bayes_accuracy]
for k, kind in enumerate(("hard labels", "perfect teacher")):
    found = [(n, by_name[kind + suffix]) for suffix, n in sizes.items() if kind + suffix in by_name]
    for n, result in found:
        mean, half = result.mean_ci("test_accuracy")
        figures.dot(ax, n * (0.97, 1.03)[k], mean, half, style=k, vertical=True,
                    label=kind if n == found[0][0] else None)  # fmt: skip
        every += result.values("test_accuracy")
        words.append(f"{kind}, {n} images: {mean:.1f}")
    ax.plot([n * (0.97, 1.03)[k] for n, _ in found], [r.mean_ci("test_accuracy")[0] for _, r in found],
            color=figures.COLORS[k], ls=figures.DASHES[k], lw=1, marker="")  # fmt: skip
ax.axhline(bayes_accuracy, color="k", ls=":", lw=1.2, marker="", label="exact posterior")
ax.set(
    xscale="log",
    xlabel="images to learn from",
    ylabel="test accuracy (%)",
    ylim=figures.span(every),
)
ax.set_xticks(list(sizes.values()), [f"{n:,}" for n in sizes.values()])
ax.minorticks_off()
ax.legend(loc="lower right")
figures.count(fig, {len(r.records) for r in first}, PROFILE, "bayes10")
figures.show(
    fig,
    name="01_images",
    alt="Test accuracy in percent against the number of images, for hard labels and for the perfect teacher: "
    + "; ".join(words) + f". The exact posterior has {bayes_accuracy:.1f}.",
)  # fmt: skip

# %% tags=["hide-input"]
Markdown(tables.differences(results, "test_accuracy", {
    f"What the truth adds to labels on {n:,} images": (f"perfect teacher{suffix}", f"hard labels{suffix}")
    for suffix, n in sizes.items()
}))  # fmt: skip

# %% [markdown]
# ## 6. Checks
#
# What must hold at any profile.

# %% tags=["nbval-check-output"]
assert by_name["permuted teacher"].mean_ci("test_accuracy")[0] < 40
assert by_name["perfect teacher"].mean_ci("test_accuracy")[0] > 50
print("Soft targets of other images teach nothing.")
assert (
    by_name["perfect teacher"].mean_ci("test_nll")[0]
    < by_name["hard labels"].mean_ci("test_nll")[0]
)
print("The student of the truth has the better probabilities.")
assert all(v <= bayes_accuracy + 1 for r in results for v in r.values("test_accuracy"))
print("Nobody beats the Bayes classifier, chance aside.")

# %% [markdown]
# ## What we saw


# %% tags=["hide-input"]
def said(name, metric="test_accuracy"):
    result = by_name[name]
    return f"{tables.interval(*result.mean_ci(metric), tables.digits_of(metric))}, n = {len(result.records)}"


Markdown(
    f"- The truth itself: {bayes_accuracy:.2f} %. Its student: {said('perfect teacher')}. Hard labels: "
    f"{said('hard labels')}.\n"
    f"- The learned teacher reaches {said('teacher of ten times the images')}; its student "
    f"{said('learned teacher')}.\n"
    f"- Label smoothing of the same softness: {said('label smoothing')}. The permuted teacher: "
    f"{said('permuted teacher')}.\n"
    f"- Calibration error (%) with hard labels {said('hard labels', 'test_ece')}, with the perfect teacher "
    f"{said('perfect teacher', 'test_ece')}."
)

# %% [markdown]
# ## Where it can mislead
#
# - **A teacher that saw more images passes those images on.** The learned teacher had ten times the
#   labels. Part of its student's gain is theirs. The row *of the same images* is the fair one.
# - **Softness regularises.** Compare every distilled student with label smoothing of the same entropy
#   before you speak of dark knowledge.
# - **bayes10 is kind to distillation.** Its doubt sits between two classes and is the same for all
#   images of a level. Photographs are not like that, and there nobody knows the truth.
# - **The perfect teacher is not accurate about labels.** It disagrees with some of them. It is right to.
# - **$T = 1$ here.** The student sees exact probabilities, so there is nothing to soften. Notebook 03
#   turns the temperature.
#
# ## Exercises
#
# 1. *(5 minutes, easy)* At which temperature does the picture of the slider have an entropy of 1 nat? Use
#    `scipy.optimize.brentq`.
# 2. *(10 minutes, medium)* Show that the gradient of the soft cross-entropy is $(q - p) / T$ by comparing
#    it with `torch.autograd` for random logits.
# 3. *(15 minutes, medium)* Mix the permuted teacher with the labels, $\alpha = .5$. Does the student
#    recover? Train it on the smoke profile.
# 4. *(20 minutes, hard)* The posterior of a doubtful picture has about the same entropy as label
#    smoothing with some $s$. Find that $s$ for a picture with top probability .8, and say what the two
#    targets still do not have in common.
#
# Solutions are in `notebooks/solutions/01_*.py`, and the tests run them.
#
# ## Summary
#
# - A temperature softens probabilities. It changes neither their order nor their sum.
# - The distillation loss is a KL divergence, summed over classes. $T^2$ keeps its weight; at high $T$ it
#   matches logits.
# - Soft targets help by what they know about *this* image. Softness alone does not replace that.
#
# ## Sources
#
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*,
#   arXiv:1503.02531.
# - A. K. Menon et al. (2021), *A statistical perspective on distillation*: a teacher helps as far as it
#   estimates the true probabilities.
# - C. Szegedy et al. (2016), *Rethinking the Inception architecture*: label smoothing, section 7.
