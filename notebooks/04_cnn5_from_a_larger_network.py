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
# A public project, Haitong Li's, distils a ResNet-18 into CNN5, a network of five layers. Its table says
# that the teacher adds about one point on CIFAR-10. The code ran, and the numbers are real
# measurements. Yet the student never learned what the teacher thinks of the image in front of it: the
# answers had been stored in one order and were looked up in another.
#
# How can a gain come out of that? The question matters beyond this one table. A fault that raises no
# error is easily overlooked, and only an experiment can tell what it did to a result. This chapter
# shows how to design one. We rebuild the comparison with each of its faults switched on and off, and
# measure what each is worth. The sum is a ledger: it says what each fault can be worth, in our imitation
# of the comparison. Then we do it right.
#
# **You will be able to**
#
# - store what a teacher knows once, and teach any number of students from the file;
# - find out whether a gain comes from the teacher, by switching its possible causes on and off;
# - measure how much luck goes into "the best of 40 settings";
# - split a gain into pieces, and say how far the pieces depend on the order of the split;
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
# Write down five guesses. They are answered by number in section 9.
#
# 1. CNN5 learns from all training images for 30 epochs. A second CNN5 also learns from a better
#    network's answers about them. How many points does it gain?
# 2. Now the answers belong to other images: they were stored while a loader shuffled the images. What
#    share of the images gets its own answer back? And what does the student gain or lose?
# 3. Section 1 lists five faults of the published table. Which of them is worth most, in our imitation of it?
# 4. Only one label in twenty is known, but the teacher answers for all images. How close does the
#    student come to one that has all the labels?
# 5. The same, but the teacher itself has seen no other labels than these few. What is left of it?

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
# 4. **The arms had different numbers of tries.** A plain row is one setting. A distilled row is the best
#    of 29, 40 or 45.
# 5. **One run each.** No row says how far a second run would fall from the first.
#
# One fault that many tables have is *not* here. By the project's code and its files of settings, the two rows
# of a pair have the same schedule (Adam at a constant .001) and the same number of epochs. Section 4 shows how
# much another schedule would have been worth.
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
# To store the answers by *image number* mends one half of the mistake. The other half is the crop: an
# answer stored by number is about the right image, but about other pixels of it. That is why section 2
# made the pixels a function of the number, too.
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
# *mean* answer $\bar p$, which is nearly uniform if the classes are equally frequent. Collect the terms at
# $T = 1$. On average the gradient is
#
# $$ (c\,\alpha + 1 - \alpha)\,\bigl[\,q_i - \bigl((1 - s)\,y_i + s\,\bar p_i\bigr)\bigr],
#    \qquad s = \frac{c\,\alpha}{c\,\alpha + 1 - \alpha}. $$
#
# The bracket is the gradient for a label that was moved towards $\bar p$: **label smoothing** of strength $s$.
#
# For $\alpha = .5$ this gives $s = .5$ at $c = 1$, which is very strong, and $s = .09$ at $c = 1/10$, a
# common dose. So the second fault should soften the pull. (At the project's
# $T = 1.5$ this holds approximately, for small logits.) We check the claim at $T = 1$ with PyTorch's own
# gradient.

# %%
import torch.nn.functional as F

t, y = stored[0].float(), labels  # [500, 10] answers, [500] labels
z = torch.randn(10, generator=dice).requires_grad_()  # a student's logits about one image
label = torch.tensor(3)  # of that image
for mean, c in lab.experiments.SCALES.items():
    everyone = z.expand(500, 10), t, label.expand(500)  # the same image, 500 answers about others
    (found,) = torch.autograd.grad(kd_loss(*everyone, 1.0, alpha, soft_scale=c), z)
    s = c * alpha / (c * alpha + 1 - alpha)
    target = (1 - s) * F.one_hot(label, 10) + s * F.softmax(t, dim=1).mean(dim=0)  # [10]
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
# The third factor is no fault of these rows: the project had Adam in both arms. Many tables change the recipe
# together with the teacher, so we measure what that can do. Watching the test set in every epoch is one of the faults under
# study; nothing else in this course does it.
#
# The recipe of each arm says which of its faults are on. So we read the factors from there and put every
# gain into one table, with a row for each seed.

# %%
from functools import partial

import pandas as pd
from experiments import ledger, pieces
from experiments.pieces import points
from IPython.display import Markdown, display
from scipy import stats

from kdutils import metrics

by_seed = partial(pieces.by_seed, lab)  # one value a recorded seed


def ends(x) -> tuple[float, float]:
    """Both ends of the 95 % interval; below three seeds the mean itself, twice."""
    mean, half = metrics.shown_ci(list(x))
    return mean - (half or 0), mean + (half or 0)


ex = lab.experiments
shares = [s for s in ex.SHARES if f"hard labels, {s}" in lab.arms]
real = lab.profile.datasets["cifar10"] == "cifar10"  # nothing published stands beside toy data
wrong = ex.anatomy_name("of other images", "elementwise mean")
names = ["hard labels", ex.anatomy_name("aligned", "batch mean"), wrong, f"{wrong}, one-cycle SGD"]
lab.recipes(*(f"{name}, {shares[0]}" for name in names))

# %%
ADAM, SGD = ex.SCHEDULES  # "constant Adam", the project's, and "one-cycle SGD"
SOUND, BEST = ex.CHOICES  # "epoch by validation" and "best test epoch"
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
    schedule = ADAM if r.optimizer == "adam" else SGD
    for epoch, metric in ex.CHOICES.items():
        gain = (by_seed(name, metric) - by_seed(f"hard labels, {share}", metric)).dropna()
        rows += [(share, student, schedule, epoch, name, seed, x) for seed, x in gain.items()]
gains = pd.DataFrame(rows, columns=["share", "student", "schedule", "epoch", "arm", "seed", "gain"])
here = gains[gains["share"] == shares[0]]
fair = here[here["epoch"] == SOUND]  # as it should be reported
factorial = here[~here["arm"].isin(lab.of(f"Controls, {shares[0]}"))]
factorial.pivot_table("gain", "student", ["schedule", "epoch"], points, sort=False)

# %% [markdown]
# Points gained, on the smallest share of the images; *own* and *others* say whose answers the student
# learned from. The first row has no teacher at all. Under Adam it is zero by definition: hard labels
# minus hard labels. Under the other schedule it shows **what the schedule gives on its own**.
#
# The best test epoch flatters both arms, and what it adds to both may cancel in a gain; the ledger of
# section 6 has the interval of what is left. That does not make it harmless: the accuracies themselves are
# too high. And it need not cancel. In the published rows
# without dropout it helped the plain arm alone (section 1): by the last epoch, the gain would be 1.96.
#
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
# Each row below is a difference of two arms, paired by seed, with the epoch chosen by validation. The
# first two ask what a student learns of *this image* that it would not learn from its class or from a
# second label. The next two ask what that class, or that label, gives by itself, and the two after
# them what softness gives by itself. Then come wrong answers against smoothing of the strength that
# section 3 predicts: what is left is their noise, and what a formula for $T = 1$ and small logits misses.
#
# The last two rows come closest to a verdict. One student learns from the project's answers, other images and weak
# mean included. The other has no teacher. Both have the same schedule: the project's in the first of these rows, a
# better one in the second. It is the comparison that decides: *give every arm the same, and add the one thing*.
# Look at the upper end of each interval. If it lies below the published gain, these answers leave no room
# for it; if not, the row does not decide. (The loss is smaller there, too: its weights sum to
# $c\,\alpha + 1 - \alpha$ and not to 1. Adam hardly notices the scale of a loss. SGD does.)
#
# The questions of a column are asked at once, so its $p$-values are corrected for that (Holm's method;
# [chapter 07](07_confusion_matrices.ipynb) writes it out). A control can be nearly empty: the line below says
# how often the teacher's guess is the label. Where it is, that student simply hears the label twice.


# %%
def level(share: str, student: str, schedule: str = ADAM, epoch: str = SOUND) -> pd.Series:
    """A student's gain over hard labels with Adam, one value a seed."""
    wanted = {"share": share, "student": student, "schedule": schedule, "epoch": epoch}
    found = gains[(gains[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    return found.set_index("seed")["gain"]


CONTROLS = {
    "own answers, over those of the same class": ("own, batch mean", "answers of the same class"),
    "own answers, over the teacher's guess": ("own, batch mean", "the teacher's guess"),
    "answers of the same class, over none": ("answers of the same class", "no teacher"),
    "the teacher's guess, over none": ("the teacher's guess", "no teacher"),
    "smoothing .5, over none": ("label smoothing 0.5", "no teacher"),
    "smoothing .09, over none": ("label smoothing 0.09", "no teacher"),
    "others, right mean, over smoothing .5": ("others, batch mean", "label smoothing 0.5"),
    "others, weak mean, over smoothing .09": ("others, elementwise mean", "label smoothing 0.09"),
    "others, weak mean, over none": ("others, elementwise mean", "no teacher"),
    "others, weak mean, over none; one-cycle SGD": ("others, elementwise mean", "no teacher", SGD),
}  # fmt: skip


def control(share: str, a: str, b: str, schedule: str = ADAM) -> pd.Series:
    """What one student has over another with the same schedule, one value a seed."""
    return (level(share, a, schedule) - level(share, b, schedule)).dropna()


asked = {s: {k: control(s, *v) for k, v in CONTROLS.items()} for s in gains["share"].unique()}
known = knowledge_of(lab.arms[f"{names[1]}, {shares[0]}"].recipe, lab.store)
guess, label = known.lesson(0).argmax(1), lab.dataset("cifar10").train.labels[known.index]
print(f"The teacher's guess is the label for {(guess == label).double().mean():.1%} of the images.")
pd.concat({share: ledger.family(found) for share, found in asked.items()}, axis=1)

# %% tags=["hide-input"]
import seaborn

if fair["student"].nunique() > 4:  # at least half of the rows
    ax = seaborn.pointplot(fair, x="gain", y="student", hue="schedule", errorbar=ends, dodge=0.3,
        capsize=0.15, err_kws={"lw": 1.5, "ls": "-", "marker": ""}, ls="", markers=["o", "s"], markevery=1)  # fmt: skip
    at, dotted = [0, ex.CLAIMED[shares[0]][0]][: 1 + real], " (dotted: published)" * real
    ax.vlines(at, 0, 1, "k", ["-", ":"], transform=ax.get_xaxis_transform(), zorder=0, lw=1)
    ax.set(xlabel=f"points over hard labels with Adam, {shares[0]}{dotted}", ylabel="")
    ax.figure.set_size_inches(8, 5.7)
    seaborn.move_legend(ax, "lower right", bbox_to_anchor=(1, 1), ncols=3, title=None)
    means = fair.groupby(["student", "schedule"], sort=False)["gain"].mean().items()
    words = "; ".join(f"{' with '.join(names)} {x:+.2f}" for names, x in means)
    lab.show(ax.figure, "04_anatomy", f"Points gained: {words}.", fair["arm"].unique())

# %% [markdown]
# In the picture, compare the two markers of a row. A table that changes teacher and schedule together
# credits their sum to the teacher. The cure is one sentence long: *give every arm the same budget, and
# add an arm that gets everything but the idea*.
#
# ## 5. The luck of a selection
#
# The second half of fault 3 is left. Each distilled row is the best of 29, 40 or 45 settings, and the
# test set chose. Suppose that all settings are equally good. Their results still scatter, and the best
# of $k$ lies above their mean.
#
# By how much? We need not assume any distribution: the recorded runs show how far results scatter. Take
# from the run of arm $a$ at seed $s$ what its arm and its seed explain, on average:
# $e_{as} = x_{as} - \bar x_a - \bar x_s + \bar x$. What is left over is noise, $N$ numbers
# around zero, scaled up a little because the means were fitted to the same runs. (All of the project's rows rest on one seed, so what a seed does to *every* arm is no luck
# of a setting.) Now draw $k$ of these numbers with replacement, keep the largest, and repeat.
#
# **Your turn.** No drawing is needed: the mean of that maximum can be computed exactly. Sort the numbers,
# $x_1 \le \ldots \le x_N$. The maximum of $k$ draws is at most $x_i$ with probability $(i/N)^k$. So with
# which probability is it equal to $x_i$?

# %% tags=["your-turn"]
import numpy as np


def best_of(deviations, k: int) -> float:
    """The expected maximum of k draws, with replacement, from these numbers."""
    x = np.sort(deviations)  # [N]
    # your turn: weigh each number with the probability that it is the maximum
    i = np.arange(1, len(x) + 1)
    return float(x @ ((i / len(x)) ** k - ((i - 1) / len(x)) ** k))
    # end


# %% tags=["check", "nbval-check-output"]
grid = np.linspace(-8, 8, 4001)  # the maximum of k standard normal numbers has this density
density = lambda k: k * stats.norm.pdf(grid) * stats.norm.cdf(grid) ** (k - 1)  # noqa: E731
expected_maximum = {k: np.trapezoid(grid * density(k), grid) for k in (2, 29, 40, 45)}
assert abs(best_of([0, 1, 5], 1) - 2) < 1e-12, "the maximum of one draw is that draw: the mean"
assert abs(best_of([1, 0], 2) - 0.75) < 1e-12, "of two draws from 0 and 1, three in four hold a 1"
normal = stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000)  # 10,000 numbers, spread as normal ones
assert abs(best_of(normal, 40) - expected_maximum[40]) < 0.01, (
    "normal numbers: theory says otherwise"
)
print("Normal numbers, best of 29, 40, 45:", *(f"+{best_of(normal, k):.2f}" for k in (29, 40, 45)))


# %%
def results(share: str) -> pd.DataFrame:
    """Test accuracy in percent, [seeds, arms], of the seeds that all of a share's arms have."""
    metric, small = ex.CHOICES[BEST], share in ex.SHARES
    arms = [a for a in lab.arms.values() if a.table.startswith(f"Anatomy of a false gain, {share}")]
    if not small:  # all images: nobody looked at the test images before the last epoch
        metric = "test_accuracy"
        arms = [lab.arms[name] for name in ("CNN5, no dropout", "CNN5 distilled, no dropout")]
    wide = pd.DataFrame({a.name: by_seed(a.name, metric) for a in arms})
    return wide.dropna(axis=1, how="all").dropna()


lines = {}
for share, (claim, k, what) in (ex.CLAIMED | {"all images": (0.95, 40, "all images")}).items():
    found = results(share) if share in (*shares, "all images") else pd.DataFrame()
    if min(found.shape) < 2:
        continue
    left = ledger.left_over(found)
    lucky = ledger.luck(found, k)  # best_of, with an interval from leaving out each seed
    assert abs(lucky.mean - best_of(left, k)) < 1e-9
    sigma = left.std()
    lines[share] = [f"{found.shape[1]} × {len(found)}", f"{sigma:.2f}", f"best of {k}: {lucky}",
                    f"+{sigma * expected_maximum[k]:.2f}", claim if real and what.endswith(share) else "–"]  # fmt: skip
display(pd.DataFrame.from_dict(lines, orient="index", columns=[
    "arms × seeds", "left over: sigma", "luck, resampled", "if it were normal", "published gain"]))  # fmt: skip
search = pd.DataFrame(ex.THEIR_SEARCH, index=ex.THEIR_TEMPERATURES).T.rename_axis("α", axis=1)
print("The project's own search with 5 % of the images: test accuracy (%), a run each, by α and T.")
search.assign(mean=search.mean(axis=1), best=search.max(axis=1)).round(2)

# %% [markdown]
# All columns but the first are in points. Compare luck and published gain where both are about the same
# images. Where the luck is as large as the gain, the selection alone can explain the row, without any
# teacher. Compare the sigmas as well: a search pays most where runs scatter most.
#
# **What the numbers cannot say.** The largest of the $N$ numbers bounds every resampled maximum, which
# lowers the luck where $N$ is small beside $k$ (multiply the two numbers of the first column). The
# column that assumes a normal distribution has no such bound. If the two agree, neither the bound nor
# the assumption matters much. Both take the settings to be equally good. That raises the luck, and exercise 4
# drops it. The interval comes from a *jackknife*: leave out one seed at a time, and see how much the
# result moves. On normal numbers it covers about nine times in ten. It says how badly the luck is known, not whether
# there is any: the best of several noisy results is above their mean, always.
#
# **The project kept all 45 results of its search**, and they are the second table. Two of its rows tell a story.
#
# - $\alpha = .01$: the teacher has next to no weight. Compare the row's mean with the plain student, 65.86, and its
#   best with the published winner, 66.71. They are one and the same: of nine runs of nearly one setting, the best was
#   printed.
# - $\alpha = .999$: the student hears hardly anything but its teacher. If the teacher spoke about the student's images,
#   this row should be among the best. At $T = 1$ this student has learned almost nothing. That is the first fault,
#   visible in the table that it made.
#
# At $T = 20$, $\alpha = .01$ and $c = 1/10$ the teacher hardly has a share in the gradient at the start of training
# (exercise 1).
#
# ## 6. The ledger: where did the gain come from?
#
# Now we add up. We start at hard labels with Adam and switch on what the published comparison had, one
# thing at a time, until we reach our imitation of its distilled student. Then we mend what is wrong. What is left is
# the teacher's own gain, by the project's schedule. In the end comes the fault that these rows do not have: the
# distilled arm alone gets a better schedule. Then the rival gets it, too, and what is left is again the teacher's
# own. ($T = 1.5$ and $\alpha = .5$ stay the project's all the way; section 7 has a better setting.)
#
# Each line is a *step*: the difference of two neighbouring levels, paired by seed. So the steps add up to
# the total. Two kinds of line are not paired, and are joined as if they were independent of the others: the
# luck, and what contains it. *The better schedule* stands for the whole training recipe: optimiser, rate,
# schedule and weight decay. Every level is a lead over hard labels with Adam, one run, whose epoch is reported in
# the same way; the published baseline was its best test epoch, too. The luck is the resampled one of
# section 5.
#
# Where the published gain is about the same share of the images, one more line shows what it has more or
# less than our sum. Its interval is wider than that of the sum, because the published gain is one winner
# minus one plain run: it carries the chance of two runs, which section 5 has measured.
#
# In the figure, plain bars add, hatched bars take away, and grey bars are totals, counted from zero.

# %%
PATH = {  # each level is an arm of section 4, as its lead over hard labels with Adam
    "others": ("others, batch mean", ADAM),
    "weak": ("others, elementwise mean", ADAM),
    "test epoch": ("others, elementwise mean", ADAM, BEST),  # in both arms
    "own, weak": ("own, elementwise mean", ADAM),
    "right": ("own, batch mean", ADAM),
    "unequal": ("own, batch mean", SGD),
    "schedule": ("no teacher", SGD),
}
BETTER = "the better schedule, distilled arm alone"


def account(share: str) -> list[ledger.Row]:
    """The ledger of a share of the images; empty where an arm has no record."""
    x = pd.DataFrame({name: level(share, *arm) for name, arm in PATH.items()}).dropna()
    found, piece, row = results(share), ledger.piece, ledger.Row
    claim, k, what = ex.CLAIMED[share]
    if x.empty or min(found.shape) < 2:
        return []
    lucky = ledger.luck(found, k)
    imitated = ledger.joined(piece(x["test epoch"]), lucky)
    back = ledger.joined(piece(x["weak"] - x["test epoch"]), lucky._replace(mean=-lucky.mean))
    claimed = ledger.Piece(claim, ledger.published_once(found, k), imitated.n)
    rest = ledger.joined(claimed, imitated._replace(mean=-imitated.mean))
    rest = rest if what.endswith(share) else None  # published for other data: nothing to compare
    return [
        row("answers of other images", piece(x["others"])),
        row("the weak mean", piece(x["weak"] - x["others"])),
        row("the best test epoch", piece(x["test epoch"] - x["weak"])),
        row("the luck of the selection", lucky),
        row("= our imitation of the published gain", imitated, "total"),
        *([row("published, less this sum", rest, "rest")] if real else []),
        row("one setting, epoch by validation", back),
        row("own answers", piece(x["own, weak"] - x["weak"])),
        row("the right mean", piece(x["right"] - x["own, weak"])),
        row("= the teacher's own gain, with Adam", piece(x["right"]), "total"),
        row(BETTER, piece(x["unequal"] - x["right"])),
        row("hard labels get it, too", piece(-x["schedule"])),
        row(f"= the teacher's own gain, with {SGD}", piece(x["unequal"] - x["schedule"]), "total"),
    ]


where = f"{r.dataset}, profile {lab.profile.name}"
accounts = {share: rows for share in shares if (rows := account(share))}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from kdutils import figures

if accounts:
    fig, _ = plt.subplots(1, len(accounts), figsize=(4 + 3.5 * len(accounts), 5.4), sharey=True)
    words = ledger.waterfalls(fig, accounts, {s: ex.CLAIMED[s] for s in accounts if real})
    figures.count(
        fig, [row.piece.n for rows in accounts.values() for row in rows if row.piece], where
    )
    figures.show(fig, name="04_ledger", alt=f"Waterfalls of gains in points. {words}.")

# %% [markdown]
# Nothing above the first total is knowledge about the images: the epoch and the luck need
# no teacher, and the answers speak of other images. The mean is called weak where it is taken over the
# classes, too, and right where it is taken over the batch alone.
#
# What must the answer be, whatever the numbers are? **A teacher that speaks about other images can tell the
# student nothing about the image in front of it. So a gain over the plain student comes from something
# else that differs between the two: how they were trained, how their results were picked, softer targets, or
# chance. To see it, give the plain student the same, and subtract.** The first and second line together
# are that subtraction for the answers: what a student gains from them, under the weak mean.
#
# The panel of 20 % shows the gain that was published for *all* images, as a mark only: it is about other
# data, so no remainder is drawn. For the row of 5 % we know more: at the project's own settings the answers
# had hardly any weight at the start of training (section 5), so the first and second line can hardly have
# counted there.
#
# ### Does the order matter?
#
# The total does not depend on the order of the steps, but the steps do. Take two faults, $a$ and $b$.
# Alone, $a$ is worth 3 points and $b$ is worth $-2$. Together they are worth 5, which is 4 more than
# $3 - 2$: they *interact*. In the order $a, b$ the steps are $+3$ and $+2$; in the order $b, a$ they are
# $-2$ and $+7$. Who owns the 4 points? Neither alone. The average over both orders gives each of them half:
# $a$ gets $(3 + 7) / 2 = 5$ and $b$ gets $(2 - 2) / 2 = 0$. This average over all orders is called
# the **Shapley value** (1953). It needs the worth of *every* combination, which is what a factorial
# experiment measures. (Here "off" means no teacher at all, for the answers. So the combinations of a weak mean
# with no answers repeat others.)
#
# **Your turn.** Walk through every order, and write down what each fault adds where it comes in.

# %% tags=["your-turn"]
from itertools import permutations


def over_orders(worth, faults) -> dict[str, list]:
    """What each fault adds in every order of switching them on: one entry an order.

    worth: takes a frozenset of faults that are on.
    """
    added = {fault: [] for fault in faults}
    for order in permutations(faults):
        on = frozenset()
        # your turn: for each fault of the order, what it adds to those before it; then switch it on
        for fault in order:
            added[fault].append(worth(on | {fault}) - worth(on))
            on |= {fault}
        # end
    return added


# %% tags=["check", "nbval-check-output"]
two = {frozenset(): 0, frozenset("a"): 3, frozenset("b"): -2, frozenset("ab"): 5}
assert over_orders(two.get, "ab") == {"a": [3, 7], "b": [2, -2]}, "the example of the text"
game = lambda on: (1 + sum(map(ord, on))) ** 2 % 97  # some worth for each combination  # noqa: E731
average = {fault: sum(x) / len(x) for fault, x in over_orders(game, "abcd").items()}
assert abs(sum(average.values()) - game("abcd") + game("")) < 1e-9, "the averages add up to all"
for fault, x in ledger.shapley(game, "abcd").items():  # computed from subsets, not from orders
    assert abs(average[fault] - x) < 1e-9, fault
print("Four faults have", len(over_orders(game, "abcd")["a"]), "orders. All add up to one total.")

# %%
FAULTS = {"answers of other images": "answers", "the weak mean": "mean",
          "the best test epoch": "epoch", BETTER: "schedule"}  # fmt: skip


def worth(on: frozenset, share: str) -> pd.Series:
    """The gain with these faults, one value a seed. Without a teacher no mean can be weak."""
    mean = "elementwise" if "mean" in on else "batch"
    student = f"others, {mean} mean" if "answers" in on else "no teacher"
    return level(
        share, student, SGD if "schedule" in on else ADAM, BEST if "epoch" in on else SOUND
    )


tables = {}
for share, rows in accounts.items():
    added = over_orders(lambda on, s=share: worth(on, s), FAULTS.values())
    drawn = {row.label: row.piece for row in rows}
    for label, fault in FAULTS.items():
        x = pd.concat([step.rename(k) for k, step in enumerate(added[fault])], axis=1)
        x = x.dropna()  # [seeds, 24 orders]
        tables[f"{label}, {share}"] = [
            str(drawn[label]), f"{x.mean().min():+.2f} to {x.mean().max():+.2f}", points(x.mean(axis=1))
        ]  # fmt: skip
pd.DataFrame.from_dict(
    tables, orient="index", columns=["as drawn", "over 24 orders", "their average"]
)

# %% [markdown]
# If the middle column is wide, the piece depends on what else was on. Without answers a weak mean can do
# nothing, by definition. Section 3 predicts that wrong answers matter less under a weak mean: compare the two
# in section 4. (The schedule is drawn late, with the student's own answers; the orders have the answers of others.)
# Luck is not in this table: it was measured at one place, and added.
#
# Here is the answer to the question of this chapter, written by the records. The pieces are those of the
# figure, in its order.

# %% tags=["hide-input"]
said = [
    ledger.sentence(share, rows, *((ex.CLAIMED[share][0], ex.CLAIMED[share][2]) if real else ()))
    for share, rows in accounts.items()
] or ["The anatomy is not recorded, so there is no ledger yet."]
answer = "\n\n".join(said)
Markdown(answer)

# %% [markdown]
# Read the steps in order: each starts where the last one ended. So a step that raises need not be worth
# anything by itself. Where the weak mean follows wrong answers, it takes back what these had cost, because it
# turns them down. Section 3 said so before any run.
#
# ## 7. The six rows, done right
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
display(lab.table("Six rows of CNN5"))

questions = {
    "the teacher, no dropout": ("CNN5 distilled, no dropout", "CNN5, no dropout"),
    "the teacher, dropout .5": ("CNN5 distilled, dropout .5", "CNN5, dropout .5"),
    "the teacher, 5 % of the labels": ("CNN5 distilled, 5 % of the labels", "CNN5, 5 % of the labels"),
    "dropout, on hard labels": ("CNN5, dropout .5", "CNN5, no dropout"),
}  # fmt: skip
lab.differences("test_accuracy", {f"What is added by {q}": pair for q, pair in questions.items()})

# %% tags=["hide-input"]
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
# ### A longer budget, and a larger teacher
#
# **Patience.** Beyer et al. (2022) found that a student of a consistent teacher keeps gaining for very
# long, and that training on labels alone profits less from a long budget. We tried one longer budget,
# the same for both arms. Two budgets do not make a curve, so here is a table; its last column pairs the
# runs by seed. Unlike theirs, our student sees its stored views again and again.
#
# **A larger network, less trained.** On `laptop` there is a second teacher, a ResNet-18 that was
# trained for a few epochs only. It has more parameters than FastNet, and is less accurate. The table shows
# what CNN5 learns from it. On `paper` the teacher is a ResNet-18 anyway.

# %%
long = {"hard labels": ("CNN5, patient", "CNN5, no dropout"),
        "a distilled student": ("CNN5 distilled, patient", "CNN5 distilled, no dropout")}  # fmt: skip
epochs = [lab.arms[name].recipe.epochs for name in long["hard labels"]]
lead = lambda a, b: points((by_seed(a) - by_seed(b)).dropna())  # noqa: E731
rows = {k: [lab.cell(b, "test_accuracy"), lab.cell(a, "test_accuracy"), lead(a, b)]
        for k, (a, b) in long.items()}  # fmt: skip
budgets = [f"{epochs[1]} epochs", f"{epochs[0]} epochs", "gained"]
display(pd.DataFrame.from_dict(rows, orient="index", columns=budgets))

first, rows = "CNN5 distilled, no dropout", {}
for name, its in (
    ("teacher", first),
    ("teacher ResNet-18, few epochs", "CNN5 from that ResNet-18"),
):
    if name in lab.arms:
        own, seen = lab.arms[name].recipe, lab.records(name)
        rows[f"{own.model}, {own.epochs} epochs"] = [
            f"{seen[0].parameters:,}" if seen else "not recorded", lab.cell(name, "test_accuracy"),
            lab.cell(its, "test_accuracy"), lead(its, "CNN5, no dropout"),
            "–" if its == first else lead(its, first)]  # fmt: skip
pd.DataFrame.from_dict(rows, orient="index", columns=[
    "parameters", "its accuracy", "CNN5 from it", "over hard labels", "over CNN5 from the first"])  # fmt: skip

# %% [markdown]
# ## 8. Images without labels
#
# In the row "5 % of the images" the other 95 % are thrown away. But images are cheap, and labels are
# expensive. A teacher needs no label to answer. So let it answer for *all* images, and keep the 5 % of
# the labels that we have. An image without a label then has the soft term alone, with its weight
# $\alpha = .9$.
#
# There are two such teachers. One has seen the labels of all images. The other is the same network,
# trained on the student's few labels alone: one for each seed, for as many epochs as a student of few
# images. All that it knows comes from these labels.
#
# One arm is a control: each image keeps one *other* image for the whole training and gets the answers
# about that one. Unlike in section 3, the wrong answers stay the same, so the student can learn them by
# heart. With nine tenths of the weight on them, it may then answer new images wrongly, too. (It has the 5 % of the
# images only, so it is compared with the distilled student of these. From section 3 it differs in three things:
# the answers stay, $T$ and $\alpha$.)

# %%
few, rest = "CNN5, 5 % of the labels", "5 % of the labels, the teacher answers for all images"
novice = "a teacher of the same 5 % of the labels"
taught = "5 % of the labels, a teacher of the same 5 % answers for all images"
lab.differences("test_accuracy", {
    "What unlabelled images and a teacher add to 5 % of the labels": (rest, few),
    "The same student against one with all labels and no teacher": (rest, "CNN5, no dropout"),
    "What the other 95 % of the labels would add": ("CNN5 distilled, no dropout", rest),
    "What 5 % of the labels add to the teacher's answers": (rest, "no labels at all"),
    "What unlabelled images add with a teacher of the same 5 %": (taught, few),
    "The student of that teacher against the teacher itself": (taught, novice),
    "What the teacher's other labels are worth": (rest, taught),
    "5 % of the images alone: answers of one other image, kept, instead of one's own":
        ("5 % of the labels, permuted teacher", "CNN5 distilled, 5 % of the labels"),
})  # fmt: skip

# %% tags=["hide-input"]
from textwrap import fill

order = [few, "CNN5 distilled, 5 % of the labels", novice, taught, rest, "no labels at all",
         "CNN5, no dropout", "CNN5 distilled, no dropout"]  # fmt: skip
drawn, permuted = [n for n in order if lab.records(n)], "5 % of the labels, permuted teacher"
if len(drawn) > 3:
    fig, ax = plt.subplots(figsize=(8.5, 4.2))
    words = figures.dots(ax, {n: lab.values(n, "test_accuracy") for n in drawn}, at_least=1)
    ax.set_yticks(range(len(drawn)), [fill(name, 45) for name in drawn])
    aside = f"not drawn: {permuted}, {lab.cell(permuted, 'test_accuracy')}"
    ax.set_title(aside, fontsize=10, loc="right")
    ax.set(xlabel="test accuracy (%)")
    lab.show(fig, "04_few_labels", f"Test accuracy (%): {words}; {aside}.", [*drawn, permuted])

# %% [markdown]
# A caution: the first teacher has seen all the labels. So its student does not learn from 5 % of the
# labels. It shows what a student can get when a teacher is already there, for instance one that was
# bought, or trained on data that you may not see. Only the lines about a teacher of the same 5 %
# speak of a world in which nobody has more than these few labels.
#
# ## 9. What we saw
#
# Your predictions, one by one.

# %% tags=["hide-input"]
at = lambda s, *which: points(level(s, *which))  # noqa: E731
said = [points(x) for x in asked[shares[0]].values()]
Markdown(f"""
1. The right teacher added, in points: {lead("CNN5 distilled, no dropout", "CNN5, no dropout")} with all images, {lead("CNN5 distilled, 5 % of the labels", few)} with 5 % of them. Published: .95 and .85.
2. With all images, one in {n:,} gets its own answer back, on average. What such answers did to the student, in points: {at(shares[0], "others, batch mean")} under the right mean, {at(shares[0], "others, elementwise mean")} under the weak one ({shares[0]}, both arms with Adam).
3. {answer.replace(chr(10), chr(10) + "   ")}

   A better schedule alone, in one arm and without any teacher, in points: {at(shares[0], "no teacher", SGD)} ({shares[0]}).
4. Accuracy in percent, with 5 % of the labels and a teacher that answers for all images: {lab.cell(rest, "test_accuracy")}. With all labels and no teacher: {lab.cell("CNN5, no dropout", "test_accuracy")}.
5. The same with a teacher that has seen only these labels: {lab.cell(taught, "test_accuracy")}. Against no teacher and no other images, in points: {lead(taught, few)}.

The controls of section 4, in points ({shares[0]}, all with Adam). An image's own answers, over those of its class: {said[0]}; over the teacher's guess alone: {said[1]}. Answers of the same class, over none: {said[2]}. Answers of others, beyond their softness: {said[6]} under the right mean, {said[7]} under the weak one. And the two rows that come closest to a verdict, answers of others under the weak mean, over none: {said[8]} with Adam in both arms, {said[9]} with {SGD} in both.
""")

# %% [markdown]
# How to read these answers, whatever the numbers are:
#
# - **A teacher's gain is the difference to a student that has everything but the teacher.** Answer 1 and
#   the schedule at the end of answer 3 are on one scale. If the second is not small against the first, a table in
#   which both change at once says nothing about the teacher.
# - **A ledger needs a remainder.** What the pieces leave unexplained is a finding, too. If its interval
#   contains zero, the chance of two published runs could be all of it.
# - **A control shows what a gain is made of.** If answers about other images do as well as an image's
#   own, within an interval too narrow to hide what matters, the gain did not come from what the teacher knows of the image. If they do worse, they may also
#   have done harm of their own; the softness controls of section 4 tell how much.
# - **One fault may hide another.** Compare the two numbers of answer 2. Where a weak mean makes wrong answers
#   nearly harmless, nobody notices them.
# - **An interval that contains zero is an open question**, not a zero.
#
# ## 10. Where it can mislead
#
# - **The anatomy is an imitation.** It repeats the project's protocol with our code, views and
#   teacher, and for our number of epochs. It shows what each fault *can* do at this budget. It cannot prove what
#   happened in the project's own runs. Its $T$ and $\alpha$ come from the project's row of all images.
#   The larger share of section 4 stands beside what was published for all images, which is not the same.
# - **The ledger has an order.** Its total has none. Section 6 shows how far each piece moves.
# - **Luck is a model.** It takes the settings to be equally good, and a maximum of resampled runs cannot
#   exceed the largest run that was recorded. Its interval comes from few seeds.
# - **One teacher.** Nearly all distilled students of a profile learn from one teacher, trained once. The
#   intervals speak of new students of this teacher, not of new teachers. Only the teachers of the same
#   5 %, where they are recorded, are several, one for each seed. The two networks of section 7 differ in more than their size.
# - **New or stored views.** In sections 7 and 8 a hard-label student sees a new view in every epoch,
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
#    student logits of zero, the answers `t` and the labels `y`. What share of their sum is the
#    teacher's? *Check:* less than .5 %.
#    [Solution](solutions/04_cnn5_from_a_larger_network.py#exercise-1).
# 2. *(10 minutes, medium)* Write the one assertion that would have found the mistake of section 3 on the
#    first day: a function of the looked-up answers and the labels of a batch that passes for `by_number`
#    and fails for `by_batch`. *Check:* it needs no knowledge of the loader, only the
#    answers and the labels.
#    [Solution](solutions/04_cnn5_from_a_larger_network.py#exercise-2).
# 3. *(30 minutes, medium; an hour to train on `laptop`)* In section 8 a student learns from a teacher of
#    the same few labels. Let this student be the teacher of a second generation, which again answers for
#    all images. Does the second generation gain, too? Write down a guess. Then write the recipe and hand
#    it to `lab.train`. *Check:* the teacher of its teacher has seen `n_labels` images.
#    [Solution](solutions/04_cnn5_from_a_larger_network.py#exercise-3).
# 4. *(20 minutes, hard)* The forty settings are not equally good. Simulate forty true means with spread
#    $\tau$ and noise $\sigma$. By how much does the winner's result exceed its *own* true mean, as
#    $\tau / \sigma$ grows? *Check:* at $\tau = 0$ it is the expected maximum of section 5.
#    [Solution](solutions/04_cnn5_from_a_larger_network.py#exercise-4).
# 5. *(20 minutes, medium)* The *main effect* of a fault in a factorial is the mean gain with it minus the
#    mean gain without it, over all settings of the others. Compute it for a worth of all sixteen
#    combinations. *Check:* in a game without interactions it equals the Shapley value.
#    [Solution](solutions/04_cnn5_from_a_larger_network.py#exercise-5).
#
# Solutions: [solutions/04_cnn5_from_a_larger_network.py](solutions/04_cnn5_from_a_larger_network.py).
#
# ## Summary
#
# - A stored answer belongs to the pixels that it was given for. Let the image's number decide the pixels
#   and the place of the answer, not the order in which a loader runs.
# - On average, answers about other images pull as label smoothing does. Single answers do not. A falling loss does
#   not reveal them.
# - Change one thing at a time, or all combinations. A gain over an arm with another schedule, another
#   budget or fewer tries is not the teacher's.
# - A gain can be split into steps that add up. Where faults interact, the order decides what each step is
#   called; the average over all orders favours none. What is left over belongs in the ledger.
# - The best of many equal settings is above their mean. The runs at hand show by how much.
# - A teacher needs no labels: it can answer for images that have none.
#
# ## Sources
#
# - The project with the published table, by H. Li:
#   [peterliht/knowledge-distillation-pytorch](https://github.com/peterliht/knowledge-distillation-pytorch)
#   (later haitongli). Users reported that its stored answers belong to other images, and a correction of
#   the code followed; the table was not run again.
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*,
#   [arXiv:1503.02531](https://arxiv.org/abs/1503.02531).
# - L. Beyer et al. (2022), *Knowledge distillation: a good teacher is patient and consistent*,
#   [arXiv:2106.05237](https://arxiv.org/abs/2106.05237).
# - L. S. Shapley (1953), *A value for n-person games*, Contributions to the Theory of Games II, 307–317.
# - C. Szegedy et al. (2016), *Rethinking the Inception architecture for computer vision* (label
#   smoothing), [arXiv:1512.00567](https://arxiv.org/abs/1512.00567).
# - D. Page (2019), *How to train your ResNet*; K. Jordan (2024), *94 % on CIFAR-10 in 3.29 seconds on a
#   single GPU*, [arXiv:2404.00498](https://arxiv.org/abs/2404.00498).
