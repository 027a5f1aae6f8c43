# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · Was it the teacher? The anatomy of a false gain
#
# A well-known public project distils a ResNet-18 into CNN5, a network of five layers. Its table says
# that the teacher adds about one point on CIFAR-10. The code ran, and the numbers are real
# measurements. Yet the student never learned what the teacher thinks of the image in front of it: the
# answers had been stored in one order and were looked up in another.
#
# How can a gain come out of that? The question matters beyond this one table. A fault that raises no
# error is easily overlooked, and only an experiment can tell what it did to a result. This chapter
# shows how to design one. We rebuild the comparison with each of its faults switched on and off, and
# measure what each is worth. Then we do it right.
#
# **You will be able to**
#
# - store what a teacher knows once, and teach any number of students from the file;
# - find out whether a gain comes from the teacher, by switching its possible causes on and off;
# - say how much luck goes into "the best of 40 settings";
# - use a teacher where labels are few.
#
# You need [chapter 01](01_soft_and_hard_targets.ipynb) (soft targets and the loss).
# [Chapter 03](03_distilling_mlps.ipynb) tells a similar story on MNIST.
#
# *Time:* about a minute on `smoke`; half a minute on `laptop`, which reads recorded runs (the second
# cell says how long they trained); a GPU and about a day on `paper`.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from kdutils.experiments import Lab

lab = Lab("04", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write down four guesses. They are answered by number in section 8.
#
# 1. CNN5 learns from all training images for 30 epochs. A second CNN5 also learns from a better
#    network's answers about them. How many points does it gain?
# 2. Now the answers belong to other images: they were stored while a loader shuffled the images. What
#    share of the images gets its own answer back? And what does the student gain or lose?
# 3. No teacher at all, and few images. The same network, images and epochs, but another optimiser and
#    learning-rate schedule. How many points can that be worth: more or less than the published .95?
# 4. Only one label in twenty is known, but the teacher answers for all images. How close does the
#    student come to one that has all the labels?

# %% [markdown]
# ## 1. The published table
#
# | CNN5 on CIFAR-10, test accuracy in percent | best test epoch | last epoch |
# |---|---|---|
# | dropout .5 | 83.51 | 83.51 |
# | no dropout | 84.74 | 83.73 |
# | distilled from ResNet-18, dropout .5 (best of 29 settings) | 84.49 | 84.45 |
# | distilled from ResNet-18, no dropout (best of 40) | 85.69 | 85.69 |
# | 5 % of the images | 65.86 | 65.32 |
# | distilled, 5 % of the images (best of 45) | 66.71 | – |
#
# The first column is the one that was reported. The teacher seems to add .98, .95 and .85 points. Five
# things are wrong. Each is an easy mistake to make, and none of them raises an error.
#
# 1. **The teacher speaks about other images** (section 3).
# 2. **The soft term is ten times too weak.** The default of PyTorch's `KLDivLoss` averages over the
#    batch *and* over the ten classes.
# 3. **The test set chose** the epoch, the temperature and $\alpha$.
# 4. **The arms were trained differently.** Distilled and plain students had different schedules and
#    different numbers of epochs.
# 5. **One run each.** No row says how far a second run would fall from the first.
#
# ## 2. Ask once, teach often
#
# A teacher is slow, but it has to speak only once. We show it $V$ *views* of every training image:
# random crops, half of them mirrored. We keep its logits in a file. From that file a student can learn
# at any temperature, with any $\alpha$ and any loss, on a machine that never sees the teacher.
#
# This works only if the student later sees *the same pixels* as the teacher did. So in this course a
# view is a function of (seed, view number, image number) and of nothing else. No loader, batch size or
# shuffling can change it. Here is the whole method by hand, on toy images that need no download. Then two
# checks: what `kdutils` stores is the same, bit for bit; and the answer of a later epoch is an answer
# about the pixels of that epoch.

# %%
from dataclasses import replace

import torch

from kdutils import data, views
from kdutils.experiments import arms
from kdutils.runs import knowledge_of, trained

toy = {arm.name: arm.recipe for arm in arms("04", "smoke")}  # seconds to train
pupil = replace(toy["CNN5 distilled, no dropout"], bits=16)  # learns from 3 stored views
teacher = trained(toy["teacher"], lab.store).cpu()

bayes = data.load("bayes10")
photos = bayes.train.images[: pupil.n_train]  # uint8 [500, 3, 32, 32]
labels = bayes.train.labels[: pupil.n_train]  # int64 [500]


@torch.no_grad()
def ask(images: torch.Tensor) -> torch.Tensor:
    """The teacher's logits, float16 [N, 10], about images, uint8 [N, 3, 32, 32]."""
    x = data.normalise(images, bayes).contiguous(memory_format=torch.channels_last)
    return torch.cat([teacher(part) for part in x.split(250)]).half()


def view(epoch: int) -> torch.Tensor:
    """The pixels of an epoch, uint8 [500, 3, 32, 32]: the stored views in turn."""
    return views.apply(photos, "crop-flip", pupil.view_seed, epoch % pupil.n_views)


stored = torch.stack([ask(view(v)) for v in range(pupil.n_views)])  # float16 [3, 500, 10]
print(f"{tuple(stored.shape)} logits, {stored.nbytes / 1000:.0f} kB")

# %%
known = knowledge_of(pupil, lab.store)
for epoch in range(7):
    assert torch.equal(known.logits(epoch), stored[epoch % pupil.n_views])
    assert torch.equal(known.logits(epoch), ask(view(epoch)))
print("Stored by hand, stored by kdutils, asked now: the same float16 numbers in every epoch.")
r = lab.arms["CNN5 distilled, no dropout"].recipe
n = r.n_train or 45_000
print(f"Below: {r.n_views} views of {n:,} images, {r.n_views * n * 10 * r.bits / 8e6:.2f} MB.")

# %% [markdown]
# Where 8 bits are used, each image's mean logit is taken off (no softmax can see it), and the rest is
# rounded to 255 levels. The largest logit of the first view sets the range; larger values are clipped.
# [Chapter 06](06_temperature.ipynb) measures what that costs.
#
# ## 3. How to teach about other images
#
# The project stored the teacher's logits once, too. It did so in one pass over a data loader that
# *shuffles* and crops, and it kept the logits by **batch number**. In every epoch of the student, the
# loader shuffled and cropped anew. The code then looked up batch 0, batch 1, and so on. This is the
# mistake in a dozen lines.

# %%
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.arange(len(photos))), batch_size=50, shuffle=True)


def crop(number: torch.Tensor) -> torch.Tensor:
    """A new random crop of the images of these numbers, as a training loader draws it."""
    return views.apply(photos[number], "crop-flip", 0, int(torch.randint(10**6, ())), number)


answers, about = [], []
for (number,) in loader:  # one pass; number: int64 [50], the images of this batch
    answers.append(ask(crop(number)))  # kept by batch number
    about.append(number)  # the original code kept no such list: we do, to count

for epoch in (1, 2, 3):
    own, kin = [], []
    for k, (number,) in enumerate(loader):  # shuffled anew: the student would use answers[k]
        own.append(about[k] == number)
        kin.append(labels[about[k]] == labels[number])
    own, kin = (torch.cat(x).float().mean() for x in (own, kin))
    print(f"epoch {epoch}: {own:.1%} of the images get their own answer, {kin:.0%} their class's")

# %% [markdown]
# **Your turn.** What do these shares tend to, on average over many shuffles? Image $i$ gets the answer
# about an image that is drawn from all $N$ with equal probability. Write down both expectations, for
# any list of labels.


# %% tags=["your-turn"]
def expected_shares(labels: torch.Tensor) -> tuple[float, float]:
    """The expected share of images with their own answer, and with one of their own class."""
    # your turn: 1 / N, and the chance that two images share a class, from the counts of the classes
    counts = torch.bincount(labels).double()  # [classes]
    return 1 / len(labels), float(((counts / len(labels)) ** 2).sum())
    # end


# %% tags=["check", "nbval-check-output"]
assert expected_shares(torch.tensor([0, 0, 1, 1])) == (0.25, 0.5), "two classes of two images"
assert expected_shares(torch.tensor([0, 0, 0, 1]))[1] == 0.625, "three of one class, one of another"
dice = torch.Generator().manual_seed(0)
draws = [torch.randperm(len(labels), generator=dice) for _ in range(300)]
kin = torch.stack([labels[d] == labels for d in draws]).double().mean()
assert abs(expected_shares(labels)[1] - kin) < 0.005, "300 shuffles of our labels say otherwise"
print("With 500 images, one in 500 gets its own answer. With 45,000, one in 45,000.")

# %% [markdown]
# Nothing looks wrong, though. The shapes agree, and the label term alone makes the loss fall. Let us
# train three students on the page: without a teacher, with their own answers, and with answers looked
# up by batch number. The settings are the project's: $T = 1.5$, $\alpha = .5$, and a soft term that is
# ten times too weak (fault 2).

# %%
from kdutils import models
from kdutils.losses import kd_loss

T, alpha = lab.experiments.PUBLISHED_T, lab.experiments.PUBLISHED_ALPHA


def learn(looked_up, alpha: float, epochs: int = 8) -> tuple[float, float, float]:
    """First and last training loss, and accuracy on 1,000 new images."""
    torch.manual_seed(1)
    net = models.build("cnn5-w4", (3, 32, 32), 10)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    mean_losses = []
    for epoch in range(epochs):
        pixels, losses = data.normalise(view(epoch), bayes), []  # float32 [500, 3, 32, 32]
        for k, number in enumerate(torch.randperm(len(photos)).split(50)):
            teacher_logits = looked_up(epoch, k, number).float()  # [50, 10]
            z, y = net(pixels[number]), labels[number]  # [50, 10], [50]
            loss = kd_loss(z, teacher_logits, y, T, alpha, soft_scale=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        mean_losses.append(sum(losses) / len(losses))
    with torch.no_grad():
        guess = net.eval()(data.normalise(bayes.val.images[:1000], bayes)).argmax(dim=1)
    return mean_losses[0], mean_losses[-1], 100 * (guess == bayes.val.labels[:1000]).float().mean()


# %%
by_number = lambda epoch, k, number: stored[epoch % 3][number]  # noqa: E731
by_batch = lambda epoch, k, number: answers[k]  # noqa: E731
for name, looked_up, weight in (
    ("no teacher", by_number, 0.0),
    ("own answers", by_number, alpha),
    ("answers by batch number", by_batch, alpha),
):
    first, last, accuracy = learn(looked_up, weight)
    print(f"{name:24} loss {first:.2f} -> {last:.2f}, accuracy {accuracy:.0f} %")

# %% [markdown]
# These are toy images and one seed, so the accuracies say little. Look at the losses: with the wrong
# answers, too, the loss falls a good way, though less far than with the right ones. If you only have
# this one run, and no sound one beside it, its loss does not tell you that something is wrong.
#
# **Your turn.** Mend the first half of the mistake: store the answers so that *image* $i$ finds its
# own, whatever the order of the loader.


# %% tags=["your-turn"]
def store_by_number(batches, look) -> torch.Tensor:
    """The teacher's logits, float16 [500, 10], row i about image i.

    batches: gives the image numbers of each batch, int64 [B]. look: from numbers to pixels.
    """
    # your turn: make an empty tensor, and fill the rows of each batch by the images' numbers
    kept = torch.empty(len(photos), 10, dtype=torch.float16)
    for number in batches:
        kept[number] = ask(look(number))
    return kept
    # end


# %% tags=["check"]
shuffled = [number for (number,) in loader]  # some order; the photos themselves, not cropped
kept = store_by_number(shuffled, lambda number: photos[number])
assert torch.allclose(kept.float(), ask(photos).float(), atol=0.02), "a row is about another image"
kept = store_by_number(shuffled, crop)
change = (kept.argmax(1) != ask(crop(torch.arange(len(photos)))).argmax(1)).double().mean()
print(f"Each image finds its own answer. On new crops {change:.1%} of the top answers differ.")

# %% [markdown]
# The second half is the crop. An answer stored by number is about the right image, but about other
# pixels of it. That is why section 2 made the pixels a function of the number, too.
#
# ### What does a student learn from answers about other images?
#
# Let $c$ be the scale of the soft term: 1 where it is averaged over the batch, as in the paper, and
# $1/10$ where it is averaged over ten classes as well. The gradient of one image's loss with respect
# to the student's logit $z_i$ is
#
# $$ \frac{\partial L}{\partial z_i} = c\,\alpha\,T\,\left(q_i^{(T)} - p_i^{(T)}\right)
#    + (1-\alpha)\,(q_i - y_i), $$
#
# with the student's probabilities $q$, the teacher's $p$ and the one-hot label $y$. The gradient is
# linear in $p$. If $p$ is the answer about a random other image, then on average it acts like the
# *mean* answer $\bar p$, which is nearly uniform if the classes are equally frequent. At $T = 1$ that
# is **label smoothing** of strength
#
# $$ s = \frac{c\,\alpha}{c\,\alpha + 1 - \alpha}. $$
#
# For $\alpha = .5$ this gives $s = .5$ at $c = 1$, which is very strong, and $s = .09$ at $c = 1/10$, a
# common dose. So the second fault should turn a harmful pull into a mild one. (At the project's
# $T = 1.5$ this holds approximately, for small logits.) We check the claim at $T = 1$ with PyTorch's own
# gradient.

# %%
import torch.nn.functional as F

v, y = stored[0].float(), labels  # [500, 10] answers, [500] labels
z = torch.randn(10, generator=dice).requires_grad_()  # a student's logits about one image
label = torch.tensor(3)  # of that image
for mean, c in lab.experiments.SCALES.items():
    everyone = z.expand(500, 10), v, label.expand(500)  # the same image, 500 answers about others
    (found,) = torch.autograd.grad(kd_loss(*everyone, 1.0, alpha, soft_scale=c), z)
    s = c * alpha / (c * alpha + 1 - alpha)
    target = (1 - s) * F.one_hot(label, 10) + s * F.softmax(v, dim=1).mean(dim=0)  # [10]
    smoothing = (c * alpha + 1 - alpha) * (F.softmax(z, dim=0) - target)
    assert torch.allclose(found, smoothing, atol=1e-6)
    print(f"{mean}: the average of 500 answers about others is label smoothing with s = {s:.2f}")

# %% [markdown]
# On average, that is. In a single step the pull is towards one wrong answer, so it also adds noise. The
# experiment below has controls for that.
#
# ## 4. Anatomy of a false gain
#
# Four faults, each on or off, make sixteen comparisons. This is called a *factorial experiment*: it
# measures each fault in the company of all the others.
#
# | factor | off | on |
# |---|---|---|
# | whose logits | of the image itself | of other images |
# | mean of the soft term | over the batch | over batch and classes |
# | schedule | both arms: Adam at a constant .001 | the distilled arm alone: SGD, one cycle |
# | epoch that is reported | chosen by validation | the best by test, in both arms |
#
# Every number is a **gain**: the distilled student minus the hard-label student of the same seed, which
# always has the constant rate of Adam. $T$, $\alpha$, batch size and network are the project's. The
# teacher, the views and the number of epochs are ours, and all students see the same stored views.
# The project's rows differed in schedule and in epochs. Our two schedules are a choice of ours, a plain
# one and a good one, and the epochs are equal. Watching the test set in every epoch is one of the faults under
# study; nothing else in this course does it.
#
# The recipe of each arm says which of its faults are on. So we read the factors from there and put every
# gain into one table, with a row for each seed.

# %%
ex = lab.experiments
shares = [s for s in ex.SHARES if f"hard labels, {s}" in lab.arms]
wrong = ex.anatomy_name("of other images", "elementwise mean")
names = ["hard labels", ex.anatomy_name("aligned", "batch mean"), wrong, f"{wrong}, one-cycle SGD"]
lab.recipes(*(f"{name}, {shares[0]}" for name in names))

# %%
import pandas as pd

from kdutils import metrics


def by_seed(arm: str, metric: str = "test_accuracy") -> pd.Series:
    """One value a recorded seed; empty where nothing is recorded."""
    found = lab.runs[lab.runs["arm"] == arm].set_index("seed")
    return found[metric].dropna() if metric in found else pd.Series(dtype=float)


def points(x) -> str:
    """The mean of differences in points; from three seeds on, with its 95 % interval."""
    if not len(x):
        return "not recorded"
    if not any(x):
        return "0"  # an arm minus itself
    mean, half = metrics.shown_ci(list(x))  # half: None below three seeds
    return f"{mean:+.2f}" + (f" ± {half:.2f}" if half else "") + f" (n = {len(x)})"


def ends(x) -> tuple[float, float]:
    """Both ends of the 95 % interval; below three seeds the mean itself, twice."""
    mean, half = metrics.shown_ci(list(x))
    return mean - (half or 0), mean + (half or 0)


# %%
FAULTS = {"answers": "others", "mean": "elementwise",
          "schedule": "one-cycle SGD", "epoch": "best test epoch"}  # fmt: skip
rows = []
for name, arm in lab.arms.items():
    table, _, share = arm.table.removesuffix(", one-cycle SGD").partition(", ")
    if table not in ("Anatomy of a false gain", "Controls"):
        continue
    r = arm.recipe
    answers = {"matched": "own", "reshuffled": "others"}[r.teacher_order] if table[0] == "A" else ""
    mean = "elementwise" if r.soft_scale < 1 else "batch"
    student = name.removesuffix(f", {share}") if table == "Controls" else f"{answers}, {mean} mean"
    if not (r.teacher or table == "Controls"):
        student, answers = "no teacher", ""
    schedule = "constant Adam" if r.optimizer == "adam" else "one-cycle SGD"
    for epoch, metric in ex.CHOICES.items():
        factors = (share, student, answers, mean, schedule, epoch)
        gain = (by_seed(name, metric) - by_seed(f"hard labels, {share}", metric)).dropna()
        rows += [(*factors, name, seed, x) for seed, x in gain.items()]
gains = pd.DataFrame(rows, columns=["share", "student", *FAULTS, "arm", "seed", "gain"])
here = gains[gains["share"] == shares[0]]
fair = here[here["epoch"] == "epoch by validation"]  # as it should be reported
anatomy = here[(here["answers"] != "") | (here["student"] == "no teacher")]
anatomy.pivot_table("gain", "student", ["schedule", "epoch"], points, sort=False)

# %% [markdown]
# Points gained, on the smallest share of the images; *own* and *others* say whose answers the student
# learned from. The first row has no teacher at all. Under Adam it is zero by definition: hard labels
# minus hard labels. Under the other schedule it shows **what the schedule gives on its own**.
#
# ### What each fault is worth
#
# The *main effect* of a fault is the gain with it minus the gain without it, averaged over all settings
# of the other three. We compute it for each seed, then take mean and interval over seeds. An average
# can hide an interaction. The formula of section 3 predicts one: *whose* answers they are should matter
# less where the soft term is weak. So the last two rows give that effect for each mean.
#
# The best test epoch flatters both arms, so much of what it adds cancels in a gain. That does not make
# it harmless: the accuracies themselves are still too high.


# %%
def effect(share: str, fault: str, **fixed: str) -> pd.Series:
    """The main effect of a fault, one a seed; `fixed` holds other factors at one level."""
    part = gains[(gains["share"] == share) & (gains["answers"] != "")]
    for factor, level in fixed.items():
        part = part[part[factor] == level]
    cells = part.pivot(index="seed", columns=list(FAULTS), values="gain").dropna()
    if cells.shape[1] < 2 ** (4 - len(fixed)):  # not every combination is recorded
        return pd.Series(dtype=float)
    on = cells.columns.get_level_values(fault) == FAULTS[fault]
    return cells.loc[:, on].mean(axis=1) - cells.loc[:, ~on].mean(axis=1)


effects = {
    "answers of other images": {"fault": "answers"},
    "mean over classes, too": {"fault": "mean"},
    "better schedule in the distilled arm": {"fault": "schedule"},
    "best test epoch, in both arms": {"fault": "epoch"},
    "answers of other images, batch mean": {"fault": "answers", "mean": "batch"},
    "answers of other images, elementwise mean": {"fault": "answers", "mean": "elementwise"},
}
recorded = gains["share"].unique()
pd.DataFrame({s: {k: points(effect(s, **e)) for k, e in effects.items()} for s in recorded})

# %% [markdown]
# ### Controls: what else could make a gain?
#
# A loss or a gain with the wrong answers may have other causes than the images they belong to. Four
# controls take the teacher's answer apart. All of them are trained with Adam at its constant rate.
#
# | control | keeps | drops |
# |---|---|---|
# | label smoothing .5 or .09 | the softness of the *mean* answer (section 3) | all that the teacher knows, and the noise |
# | answers of the same class | what the teacher thinks of the *class*, softness, noise | what it thinks of this image |
# | the teacher's guess | its top class for this image, as a second label | all other probabilities |
#
# Compare the answers of others under the batch mean with smoothing .5, and those under the elementwise
# mean with smoothing .09. Compare the answers of the same class with the image's own. The
# dotted line is the gain of .95 that was published for all images; the points are from fewer.

# %% tags=["hide-input"]
import seaborn

bars = {"lw": 1.5, "ls": "-", "marker": "", "markevery": 1}
if fair["student"].nunique() > 4:  # at least half of the rows
    ax = seaborn.pointplot(fair, x="gain", y="student", hue="schedule", errorbar=ends, dodge=0.3,
        err_kws=bars, capsize=0.15, linestyle="none", markers=["o", "s"], markevery=1)  # fmt: skip
    ax.vlines([0, 0.95], 0, 1, "k", ["-", ":"], transform=ax.get_xaxis_transform(), zorder=0, lw=1)
    ax.set(xlabel=f"points over hard labels with Adam, {shares[0]} (dotted: published)", ylabel="")
    ax.figure.set_size_inches(8, 5.7)
    seaborn.move_legend(ax, "lower right", bbox_to_anchor=(1, 1), ncols=3, title=None)
    means = fair.groupby(["student", "schedule"], sort=False)["gain"].mean().items()
    words = "; ".join(f"{' with '.join(names)} {x:+.2f}" for names, x in means)
    lab.show(ax.figure, "04_anatomy", f"Gained: {words}; published .95.", fair["arm"].unique())

# %% tags=["hide-input"]
from IPython.display import Markdown

last = here[(here["epoch"] == "best test epoch") & (here["schedule"] == "one-cycle SGD")]
last = last.set_index("seed")
false = last[last["student"] == "others, elementwise mean"]["gain"]
alone = last[last["student"] == "no teacher"]["gain"]
Markdown(
    f"**The false gain ({shares[0]}).** Answers of other images, the weak mean, the better schedule, the best "
    f"test epoch: **{points(false)}** points over hard labels with Adam. The same comparison without any "
    f"teacher: **{points(alone)}**. The difference, which is what the wrong answers contribute: "
    f"{points((false - alone).dropna())}."
)

# %% [markdown]
# A table that changes teacher and schedule together credits their sum to the teacher. If the first two
# numbers are alike, the schedule has paid for the gain and the teacher has taught nothing. The cure is
# one sentence long: *give every arm the same budget, and add an arm that gets everything but the idea*.
#
# ## 5. The luck of a selection
#
# The second half of fault 3 is left. Each distilled row is the best of 29, 40 or 45 settings, and the
# test set chose.
# Suppose that all settings are equally good and that a test result scatters around their common mean
# with standard deviation $\sigma$. The best of $k$ then lies above that mean by $\sigma$ times the
# expected maximum of $k$ standard normal numbers.
#
# **Your turn.** Compute that expectation. The maximum of $k$ numbers has the density
# $k\,\varphi(x)\,\Phi(x)^{k-1}$.

# %% tags=["your-turn"]
import numpy as np
from scipy import stats


def expected_maximum(k: int) -> float:
    """E[max of k standard normal numbers]."""
    x = np.linspace(-8, 8, 4001)  # a grid fine enough for four digits
    # your turn: integrate x times the density over the grid, for instance with np.trapezoid
    return float(np.trapezoid(x * k * stats.norm.pdf(x) * stats.norm.cdf(x) ** (k - 1), x))
    # end


# %% tags=["check", "nbval-check-output"]
assert abs(expected_maximum(1)) < 1e-6, "one number has mean zero"
assert abs(expected_maximum(2) - np.pi**-0.5) < 1e-4, "of two numbers it is 1 / sqrt(pi)"
draws = np.random.default_rng(0).standard_normal((20_000, 40)).max(axis=1)
assert abs(expected_maximum(40) - draws.mean()) < 0.02, "20,000 simulated maxima say otherwise"
print("best of 29, 40, 45:", *(f"+{expected_maximum(k):.2f}" for k in (29, 40, 45)), "sigma")

# %%
for where, arm, metric, k, gain in (
    (shares[0], f"hard labels, {shares[0]}", ex.CHOICES["best test epoch"], 45, 0.85),
    ("all images", "CNN5, no dropout", "test_accuracy", 40, 0.95),
):
    x = by_seed(arm, metric)
    if len(x) < 3:
        print(f"{where}: fewer than three seeds are recorded, so no spread can be computed.")
        continue
    luck, free = x.std() * expected_maximum(k), len(x) - 1
    low, high = luck * (free / stats.chi2.ppf([0.975, 0.025], free)) ** 0.5
    print(f"{where}: {len(x)} seeds scatter by sigma = {x.std():.2f} points. The best of {k} equal")
    print(f"   settings gains {luck:.2f} points by luck (95 % interval {low:.1f} to {high:.1f}).")
    print(f"   Published gain: {gain}.")

# %% [markdown]
# Compare luck and published gain in each of the two cases. Where the luck is as large as the gain, the
# selection alone can explain the row, without any teacher. Compare the two $\sigma$ as well: a search
# pays most where runs scatter most, and that is usually where the images are few. Remember what this
# model assumes: equal settings, independent results, and a plain arm that was tried once. Exercise 4
# drops the first assumption.
#
# The settings of the 5 % row add a twist. At $T = 20$, $\alpha = .01$ and $c = 1/10$ the teacher hardly
# has a share in the gradient (exercise 1). In effect, that row is a hard-label student, the best of 45
# tries.
#
# ## 6. The six rows, done right
#
# Now comes the comparison that the project wanted to make. All plain and distilled students share one
# schedule, and the two arms of a pair have the same budget. There are 45,000 images to learn from and
# 5,000 to choose on. The test set is read once, after the last epoch. $T = 4$ and $\alpha = .9$ were
# fixed before any run; [chapter 06](06_temperature.ipynb) measures how much they matter. On `laptop` the
# teacher is FastNet, a small and quick network after Page (2019) and Jordan (2024); on `paper` it is a
# ResNet-18.

# %%
from IPython.display import display

display(lab.recipes("CNN5, no dropout", "CNN5 distilled, no dropout"))
lab.table("Six rows of CNN5")

# %%
questions = {
    "the teacher, no dropout": ("CNN5 distilled, no dropout", "CNN5, no dropout"),
    "the teacher, dropout .5": ("CNN5 distilled, dropout .5", "CNN5, dropout .5"),
    "the teacher, 5 % of the labels": ("CNN5 distilled, 5 % of the labels", "CNN5, 5 % of the labels"),
    "dropout, on hard labels": ("CNN5, dropout .5", "CNN5, no dropout"),
}  # fmt: skip
lab.differences("test_accuracy", {f"What is added by {q}": pair for q, pair in questions.items()})

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from kdutils import figures

found = {q: (by_seed(a) - by_seed(b)).dropna().tolist() for q, (a, b) in questions.items()}
found = {q: x for q, x in found.items() if x}
if len(found) > 1:
    fig, ax = plt.subplots(figsize=(8, 3.2))
    wide = max(metrics.shown_ci(x)[1] or 0 for x in found.values()) + 0.2
    published = dict(zip(questions, (0.95, 0.98, 0.85, -1.23), strict=True))
    words = figures.dots(ax, found, published if r.dataset == "cifar10" else {}, at_least=wide)
    ax.set(xlabel="gain in test accuracy (points); diamonds: published, ticks: seeds")
    lab.show(fig, "04_six_rows", f"Gains: {words}.", arms=[questions[q][0] for q in found])

# %% [markdown]
# ### Patience
#
# Beyer et al. (2022) found that a student of a consistent teacher keeps gaining for very long, and that
# training on labels alone profits less from a long budget. We tried one longer budget, the same for
# both arms. Two budgets do not make a curve, so here is a table; its last column pairs the runs by
# seed. Unlike theirs, our student sees its stored views again and again.

# %%
long = {"hard labels": ("CNN5, patient", "CNN5, no dropout"),
        "a distilled student": ("CNN5 distilled, patient", "CNN5 distilled, no dropout")}  # fmt: skip
epochs = [lab.arms[name].recipe.epochs for name in long["hard labels"]]
cells = {
    k: [
        lab.cell(b, "test_accuracy"),
        lab.cell(a, "test_accuracy"),
        points((by_seed(a) - by_seed(b)).dropna()),
    ]
    for k, (a, b) in long.items()
}
pd.DataFrame.from_dict(
    cells, orient="index", columns=[f"{epochs[1]} epochs", f"{epochs[0]} epochs", "gained"]
)

# %% [markdown]
# ## 7. Images without labels
#
# In the row "5 % of the images" the other 95 % are thrown away. But images are cheap, and labels are
# expensive. A teacher needs no label to answer. So let it answer for *all* images, and keep the 5 % of
# the labels that we have. An image without a label then has the soft term alone, with its weight
# $\alpha = .9$.
#
# One arm is a control: each image keeps one *other* image for the whole training and gets the answers
# about that one. Unlike in section 3, the student can learn these wrong answers by heart.

# %% tags=["hide-input"]
order = ["CNN5, 5 % of the labels", "CNN5 distilled, 5 % of the labels",
         "5 % of the labels, the teacher answers for all images", "no labels at all", "CNN5, no dropout",
         "CNN5 distilled, no dropout"]  # fmt: skip
control = "5 % of the labels, permuted teacher"  # far from the others
values = {name: lab.values(name, "test_accuracy") for name in order if lab.records(name)}
if len(values) > 2:
    fig, ax = plt.subplots(figsize=(8.5, 3.4))
    words = figures.dots(ax, values, at_least=1)
    aside = f"not drawn: {control}, {lab.cell(control, 'test_accuracy')}"
    ax.set(xlabel="test accuracy (%)")
    ax.set_title(aside, fontsize=10, loc="right")
    lab.show(fig, "04_few_labels", f"Test accuracy (%): {words}; {aside}.", [*values, control])

# %%
few, rest = "CNN5, 5 % of the labels", "5 % of the labels, the teacher answers for all images"
lab.differences("test_accuracy", {
    "What unlabelled images and a teacher add to 5 % of the labels": (rest, few),
    "The same student against one with all labels and no teacher": (rest, "CNN5, no dropout"),
    "What the other 95 % of the labels would add": ("CNN5 distilled, no dropout", rest),
    "What 5 % of the labels add to the teacher's answers": (rest, "no labels at all"),
})  # fmt: skip

# %% [markdown]
# A caution: the teacher itself has seen all the labels. So this is not learning from 5 % of the labels.
# It is what a student can get when a teacher is already there, for instance one that was bought, or
# trained on data that you may not see. Exercise 3 asks what is left with a teacher that has seen only the
# same 5 %.
#
# ## 8. What we saw
#
# Your predictions, one by one.

# %% tags=["hide-input"]
lead = lambda a, b: points((by_seed(a) - by_seed(b)).dropna())  # noqa: E731
plain = fair.set_index(["student", "schedule"])["gain"]
at = lambda *which: points(plain[plain.index == which])  # noqa: E731
Markdown(f"""
1. The right teacher added, in points: {lead("CNN5 distilled, no dropout", "CNN5, no dropout")} with all images, {lead("CNN5 distilled, 5 % of the labels", few)} with 5 % of them. Published: .95 and .85.
2. With all images, one in {n:,} gets its own answer back, on average. What such answers did to the student, in points: {at("others, batch mean", "constant Adam")} under the right mean, {at("others, elementwise mean", "constant Adam")} under the weak one ({shares[0]}, both arms with Adam).
3. The schedule alone, without a teacher, in points: {at("no teacher", "one-cycle SGD")} ({shares[0]}). Published for distillation, all images: .95.
4. Accuracy in percent, with 5 % of the labels and a teacher that answers for all images: {lab.cell(rest, "test_accuracy")}. With all labels and no teacher: {lab.cell("CNN5, no dropout", "test_accuracy")}.
""")

# %% [markdown]
# How to read these answers, whatever the numbers are:
#
# - **A teacher's gain is the difference to a student that has everything but the teacher.** Answers 1
#   and 3 measure on one scale what the teacher adds and what a schedule adds. If the second is not small
#   against the first, a table in which both change at once says nothing about the teacher.
# - **A control shows what a gain is made of.** If answers about other images do as well as an image's
#   own, the gain did not come from what the teacher knows of the image. If they do worse, they may also
#   have done harm of their own; the softness controls of section 4 tell how much.
# - **One fault may hide another.** Compare the two numbers of answer 2. Where a weak mean makes wrong answers
#   nearly harmless, nobody notices them.
# - **An interval that contains zero is an open question**, not a zero.
#
# ## 9. Where it can mislead
#
# - **The anatomy is an imitation.** It repeats the project's protocol with our code, views, teacher and
#   two schedules of our choice. It shows what each fault *can* do at this budget. It cannot prove what
#   happened in the project's own runs. Its $T$ and $\alpha$ come from the project's row of all images.
# - **One teacher.** All distilled students of a profile learn from one teacher, trained once. The
#   intervals speak of new students of this teacher, not of new teachers.
# - **New or stored views.** In sections 6 and 7 a hard-label student sees a new view in every epoch,
#   while a distilled student sees its stored views in turn. In the anatomy all see the same stored views.
# - **Number of updates.** Students of all images take many times as many steps as students of 5 %. Part
#   of their lead may come from that. We ran no control that separates the two.
# - **One draw of the images.** All seeds learn from the same 5 % or 20 % of the images. No interval
#   speaks of another draw.
# - **Many intervals stand on this page.** If nothing had any effect, about one in twenty would still
#   exclude zero.
# - **Validation is a luxury.** It has 5,000 labels, more than the 5 % that the student learns from.
#
# ## Exercises
#
# 1. *(5 minutes, easy)* The row "5 % of the images" has $T = 20$ and $\alpha = .01$. The formula
#    of section 3 has a teacher's and a label's part. Compute the mean length of each for $c = 1/10$,
#    student logits of zero, the answers `v` and the labels `y`. What share of their sum is the
#    teacher's? *Check:* less than .5 %.
# 2. *(10 minutes, medium)* Write the one assertion that would have found the mistake of section 3 on the
#    first day: a function of the looked-up answers and the labels of a batch that passes for `by_number`
#    and fails for `by_batch`. *Check:* it needs no knowledge of the loader.
# 3. *(30 minutes, medium; an hour to train on `laptop`)* Train a teacher on the same 5 % of the labels
#    and let it answer for all images. Write the two recipes and hand them to `lab.train`. *Check:* the
#    teacher's `n_train` equals the student's `n_labels`.
# 4. *(20 minutes, hard)* The forty settings are not equally good. Simulate forty true means with spread
#    $\tau$ and noise $\sigma$. By how much does the winner's result exceed its *own* true mean, as
#    $\tau / \sigma$ grows? *Check:* at $\tau = 0$ it is the expected maximum of section 5.
#
# Solutions: [solutions/04_cnn5_from_a_larger_network.py](solutions/04_cnn5_from_a_larger_network.py).
#
# ## Summary
#
# - A stored answer belongs to the pixels that it was given for. Let the image's number decide the pixels
#   and the place of the answer, not the order in which a loader runs.
# - Answers about other images act like label smoothing with noise. A falling loss does not reveal them.
# - Change one thing at a time, or all combinations. A gain over an arm with another schedule, another
#   budget or fewer tries is not the teacher's.
# - A teacher needs no labels: it can answer for images that have none.
#
# ## Sources
#
# - The project with the published table:
#   [peterliht/knowledge-distillation-pytorch](https://github.com/peterliht/knowledge-distillation-pytorch).
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*,
#   [arXiv:1503.02531](https://arxiv.org/abs/1503.02531).
# - L. Beyer et al. (2022), *Knowledge distillation: a good teacher is patient and consistent*,
#   [arXiv:2106.05237](https://arxiv.org/abs/2106.05237).
# - C. Szegedy et al. (2016), *Rethinking the Inception architecture for computer vision* (label
#   smoothing), [arXiv:1512.00567](https://arxiv.org/abs/1512.00567).
# - D. Page (2019), *How to train your ResNet*; K. Jordan (2024), *94 % on CIFAR-10 in 3.29 seconds on a
#   single GPU*, [arXiv:2404.00498](https://arxiv.org/abs/2404.00498).
