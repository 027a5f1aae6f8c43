# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · How do you train a teacher, and how do you judge one?
#
# A student learns what its teacher says, so the teacher comes first. An accurate teacher is a good
# start. But a student does not copy a list of right answers. It copies *probabilities*: on every
# image that it sees, and about every class. A teacher whose probabilities are 0 and 1 is no more
# than an expensive label.
#
# In this chapter we train teachers for handwritten digits. We write the training step out by hand,
# with dropout, weight decay and a learning rate that rises and falls. Then we ask of each teacher:
# how often is it right, is it as sure as it should be, what does it say about the wrong classes, and
# what does a student make of it?
#
# **You will be able to**
#
# - write a complete training loop for a teacher, and check it against `kdutils` bit by bit;
# - make augmented views that a teacher and a student can share;
# - say what choosing an epoch on validation images promises, and what it delivers;
# - measure calibration, and correct it with a single number;
# - say what label smoothing asks of the logits, and what is still disputed about it.
#
# You need [chapter 01](01_soft_and_hard_targets.ipynb) (softmax with a temperature, soft targets).
# **Time:** under a minute on `smoke`, which trains everything, and on `laptop`, which reads recorded runs.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from kdutils.experiments import Lab

lab = Lab("02", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write down a guess for each before you read on. The section *What we saw* takes them up by number.
#
# 1. Our teacher for MNIST has two hidden layers of 1200 units. One copy sees the 55,000 training
#    digits as they are. Another sees each of them shifted, turned and bent a little, differently in
#    every epoch. Both train equally long. How many of the 10,000 test digits does each misread?
# 2. Divide a teacher's logits by a number $T$ that makes its probabilities honest. $T > 1$ means that
#    it was too sure of itself, $T < 1$ that it was too modest. Which $T$ do you expect for a teacher
#    of still images, for one of bent images, and for one trained with label smoothing?
# 3. You watch the validation errors and keep the network of the best epoch. Compared with the last
#    epoch, the validation errors drop by some amount. How much of that drop do you find again on
#    test images: all of it, half, nothing?
# 4. A student of 800 + 800 units learns from the teacher's answers alone, without any label. How many
#    more errors than its teacher does it make?

# %% [markdown]
# ## 1. Views: the same digit, never the same pixels twice
#
# A network of 2.4 million parameters can learn 55,000 still digits by heart. So we move them. A
# *view* is one draw of the augmentation over the whole training set, and each epoch shows a new one.
# The pixel at $x$, counted from the centre of the image, is read from the place
#
# $$ x' = x + t + A x + \sum_k w_k B_k(x) . $$
#
# *Jitter* draws only the shift $t$, in whole pixels, as Hinton's teacher had it. *Affine* views add a
# small matrix $A$: rotation, scale and shear. *Elastic* views bend the image as well, by cubic
# B-splines $B_k$ with random weights $w_k$.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

from kdutils import views

digits = lab.dataset("mnist")
which = (digits.train.labels == 3).nonzero()[:1, 0]  # the first 3
fig, axes = plt.subplots(3, 7, figsize=(8.5, 3.9), subplot_kw={"xticks": [], "yticks": []})
for (row, epoch), ax in np.ndenumerate(axes):
    kind = ("jitter", "affine", "elastic")[row]
    ax.imshow(views.apply(digits.train.images[which], kind, 0, epoch, which)[0, 0], cmap="gray_r")
    ax.set(title="" if row else f"epoch {epoch}", ylabel="" if epoch else kind)
lab.show(fig, "02_views", "A 3 in seven epochs of jitter, of affine and of elastic views.")

# %% [markdown]
# ### Augmentation that can be repeated
#
# Ordinary augmentation takes its numbers from a random generator, one after the other. What image 3
# gets then depends on how many images came before it. Shuffle the images and everything changes. A
# teacher and its student must see the *same* view, perhaps weeks apart and in another order. So we
# compute the random numbers from what identifies the view: seed, epoch and the number of the image.
# A *hash* does that. It multiplies and shifts the bits of its input until no pattern is left, and it
# remembers nothing.


# %%
import torch

from kdutils import views


def shift_by_generator(order):
    """Image -> its shift, when the images draw one after the other."""
    g = torch.Generator().manual_seed(0)
    return {i: torch.randint(-2, 3, (2,), generator=g).tolist() for i in order}


def shift_by_hash(order, seed=0, epoch=0):
    """Image -> its shift, from seed, epoch and the number of the image alone."""
    bits = views.hash32(seed, epoch, torch.tensor(order)[:, None], torch.tensor([[0, 1]]))
    return dict(zip(order, ((bits * 5 >> 32) - 2).tolist(), strict=True))  # 32 bits -> -2 .. 2


for rule in (shift_by_generator, shift_by_hash):
    print(f"{rule.__name__}: image 3 moves by {rule([0, 1, 2, 3])[3]} or {rule([3, 2, 1, 0])[3]}")

shifts = torch.tensor(list(shift_by_hash(list(range(50_000))).values()))  # [50000, 2]
counts = torch.bincount(shifts[:, 0] + 2)  # how often -2, -1, 0, 1, 2
assert (counts - 10_000).abs().max() < 400, counts  # 400 is 4.5 standard deviations
digits = lab.dataset("mnist")  # on smoke: scikit-learn's digits
images, index = digits.train.images[:200], torch.arange(200)  # [200, 1, 28, 28], [200]
order = torch.randperm(200, generator=torch.Generator().manual_seed(5))
whole = views.apply(images, "elastic", 3, 8, index)  # seed 3, epoch 8
assert torch.equal(whole[order], views.apply(images[order], "elastic", 3, 8, order))
print("Each shift comes a fifth of the time, and the order of the images changes no pixel.")

# %% [markdown]
# ## 2. A teacher's training step, by hand
#
# ### Dropout
#
# In training, dropout ([Srivastava et al. 2014](https://jmlr.org/papers/v15/srivastava14a.html))
# sets each unit to 0 with probability $p$, anew for every image and every step. What is left is
# divided by $1 - p$, so that the mean of a unit does not change. No unit can rely on any particular
# other. When the trained network is used, nothing is dropped: `net.eval()` switches dropout off.
#
# **Your turn.** Write dropout. Draw one uniform number for each unit with
# `torch.rand(h.shape, generator=generator)`, and keep a unit where its number is at least $p$.


# %% tags=["your-turn"]
def dropout(h, p, generator):
    """h: activations [batch, units]; p: the share that is dropped. Same shape as h."""
    # your turn: zero each unit with probability p, and scale what is left by 1 / (1 - p)
    kept = torch.rand(h.shape, generator=generator) >= p  # bool [batch, units]
    return h * kept / (1 - p)
    # end


# %% tags=["check"]
h, g = torch.full((10_000, 50), 3.0), torch.Generator().manual_seed(0)
for p in (0.0, 0.2, 0.8):
    out = dropout(h, p, g)
    assert abs(float((out == 0).float().mean()) - p) < 0.01, f"p = {p}: wrong share of zeros"
    assert abs(float(out.mean()) - 3) < 0.05, f"p = {p}: the mean should stay 3, not {out.mean()}"
assert not torch.equal(dropout(h[:1], 0.5, g), dropout(h[:1], 0.5, g)), "draw anew in each call"
h = 1 + torch.rand(10_000, 50, generator=g)
first, again = (dropout(h, 0.5, torch.Generator().manual_seed(1)) for _ in range(2))
assert torch.equal(first, again), "draw from the generator that is given"
assert torch.allclose(first, (first != 0) * 2 * h), "scale what is left by 1 / (1 - p)"
share = (first == 0).float().mean(1)  # of each image; its deviation is sqrt(.5 * .5 / 50) = .071
assert share.std() < 0.085, "draw for each unit, not for each image"
assert share.std() > 0.055, "draw for each image, not once for the batch"
print("Dropout drops its share and keeps the mean.")

# %% [markdown]
# ### Weight decay
#
# AdamW ([Loshchilov and Hutter 2019](https://arxiv.org/abs/1711.05101)) makes every weight a little
# smaller in each step, besides the step that the gradient asks for. With learning rate $\eta$ and
# decay $\lambda$,
#
# $$ w \leftarrow (1 - \eta \lambda)\, w - \eta \cdot \text{Adam's step} . $$
#
# Where the gradient is zero, only the first part is left.
#
# ### One cycle
#
# A constant learning rate keeps the weights jumping about the minimum, and the last epoch is wherever
# they happen to be. In the *one-cycle* schedule of [Smith 2018](https://arxiv.org/abs/1803.09820) the
# rate rises once and falls again, along straight lines. PyTorch's version rises for the first three
# tenths of the steps and then falls to almost nothing, both along half a cosine. We use that one. From a
# rate $a$ to a rate $b$, with $u$ running from 0 to 1,
#
# $$ \eta(u) = b + (a - b)\, \frac{1 + \cos \pi u}{2} . $$
#
# PyTorch starts at a 25th of the highest rate, reaches the top at step $0.3\,N - 1$ of $N$, and ends
# at a ten-thousandth of the rate at which it began, in step $N - 1$.
#
# **Your turn.** Write the schedule.

# %% tags=["your-turn"]
from math import cos, pi


def one_cycle(step, total, top):
    """The learning rate of step 0 .. total - 1, with its maximum `top`."""
    first, peak, last = top / 25, 0.3 * total - 1, total - 1
    # your turn: rise from `first` to `top` until step `peak`, then fall to `first / 10_000`
    if step <= peak:
        a, b, u = first, top, step / peak
    else:
        a, b, u = top, first / 10_000, (step - peak) / (last - peak)
    return b + (a - b) * (1 + cos(pi * u)) / 2
    # end


# %% tags=["check"]
sgd = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
theirs = torch.optim.lr_scheduler.OneCycleLR(sgd, 0.02, total_steps=200, cycle_momentum=False)
for step in range(200):
    ours, wanted = one_cycle(step, 200, 0.02), sgd.param_groups[0]["lr"]
    assert abs(ours - wanted) < 1e-9, f"step {step}: {ours} instead of {wanted}"
    sgd.step()
    if step < 199:
        theirs.step()
w = torch.nn.Parameter(torch.tensor([2.0]))  # and weight decay alone:
w.grad = torch.zeros(1)
torch.optim.AdamW([w], lr=0.1, weight_decay=0.5).step()
assert torch.allclose(w, torch.tensor([(1 - 0.1 * 0.5) * 2.0]))
print(f"Your one cycle is PyTorch's in all 200 steps. Decay alone: 2.00 became {w.item():.2f}.")

# %% [markdown]
# ### The loop
#
# Now the whole loop, in plain PyTorch, on the small digits of scikit-learn: 1,100 images to learn
# from, 197 to validate on, 500 to test on. Read it from the inside: one batch, one epoch, one run.
#
# - `train()` switches dropout on, `eval()` switches it off. A teacher that answers with dropout on
#   teaches noise.
# - Order and dropout of an epoch are functions of (seed, epoch). A run that is interrupted and
#   resumed ends where it would have ended.
# - The validation images are looked at after each epoch and never learned from. The test images are
#   counted here too, for one reason: section 3 asks what would have happened. **In every other run
#   of this course they are read once, at the end.**

# %%
import torch.nn.functional as F
from torch import nn

from kdutils import data, training

small = data.load("digits")


def make_teacher(seed, p=0.2):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(),  # [B, 1, 28, 28] -> [B, 784]
        nn.Linear(784, 64), nn.ReLU(), nn.Dropout(p),
        nn.Linear(64, 64), nn.ReLU(), nn.Dropout(p),
        nn.Linear(64, 10),  # logits [B, 10]
    )  # fmt: skip


def count_errors(net, split):
    net.eval()  # dropout off
    with torch.no_grad():
        z = net(data.normalise(split.images, small))  # [N, 10]
    return int((z.argmax(1) != split.labels).sum())


# %%
def train_teacher(seed, schedule, epochs=12, batch=64, lr=0.02):
    """A trained network, and (validation errors, test errors) after each epoch."""
    net, n = make_teacher(seed), len(small.train)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=0.01, fused=True)
    steps = epochs * -(-n // batch)  # rounded up: the last batch is smaller
    kind = torch.optim.lr_scheduler
    if schedule == "one-cycle":
        scheduler = kind.OneCycleLR(optimizer, lr, total_steps=steps, cycle_momentum=False)
    else:
        scheduler = kind.ConstantLR(optimizer, factor=1.0)
    curve = []
    for epoch in range(epochs):
        # a new view in every epoch; 10,000 keeps a teacher's views apart from its student's
        images = views.apply(small.train.images, "jitter", seed + 10_000, epoch)
        x, y = data.normalise(images, small), small.train.labels  # [1100, 1, 28, 28], [1100]
        order = training.epoch_order(seed, epoch, n)  # [1100]
        net.train()  # dropout on
        torch.manual_seed(training.epoch_seed(seed, epoch, 2))  # for dropout
        for part in order.split(batch):
            loss = F.cross_entropy(net(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        curve.append((count_errors(net, small.val), count_errors(net, small.test)))
    return net, curve


# %% [markdown]
# `kdutils` has one training loop, `training.fit`. It takes a *recipe*, a frozen list of everything
# that decides a run. If we have understood it, the same run gives the same weights. Not similar: the
# same, to the last bit.

# %% tags=["nbval-check-output"]
from kdutils.recipes import Recipe

recipe = Recipe(
    dataset="digits", model="mlp-64-64", dropout=(0.0, 0.2), views="jitter", view_stream=1,
    epochs=12, batch_size=64, lr=0.02, weight_decay=0.01, schedule="one-cycle", seed=3,
    precision="float32",
)  # fmt: skip
fitted = training.fit(recipe, small, device=torch.device("cpu"))
by_hand, curve = train_teacher(seed=3, schedule="one-cycle")
for ours, theirs in zip(by_hand.parameters(), fitted.net.parameters(), strict=True):
    assert torch.equal(ours, theirs)
assert [val for val, _ in curve] == [entry["val_errors"] for entry in fitted.curve]
print("By hand and by recipe: every weight and every count is equal.")

# %% [markdown]
# ## 3. Who chooses the epoch?
#
# MNIST has 60,000 training digits. We hold 5,000 of them back. These *validation* images decide
# everything that has to be decided: how many epochs, which views, which temperature.
#
# Here is why the test images must not. The CIFAR-10 poster of
# [Haitong Li's repository](https://github.com/haitongli/knowledge-distillation-pytorch) (more of it in
# [chapter 04](04_cnn5_from_a_larger_network.ipynb)) tested each network after every epoch. Its table
# holds the best of these test results.
#
# | row of the poster | best test epoch (%) | last epoch (%) |
# |---|---|---|
# | CNN5, no dropout | 84.74 | 83.73 |
# | ResNet-18 | 94.175 | 92.10 |
# | ResNet-18 taught by DenseNet-100 | 94.729 | 92.61 |
# | ResNet-18 taught by ResNeXt-29 | 94.788 | 94.54 |
#
# Teaching moves the first column by about half a point. The choice of the epoch moves two of the
# rows by two points.
#
# Choosing on *validation* images is fair, but its promise is not. The epoch was chosen because its
# errors on these images were few, and part of that is luck. Luck does not carry over to other images.
# Our loop kept both counts, so we can see how much does.

# %%
import pandas as pd

from kdutils import metrics

rows = []
for schedule in ("constant", "one-cycle"):
    for seed in range(5):
        curve = torch.tensor(train_teacher(seed, schedule)[1])  # [12, 2]: validation, test
        percent = 100 * curve / torch.tensor([len(small.val), len(small.test)])
        best = int(percent[:, 0].argmin())  # the first of the best epochs on validation
        drop = (percent[-1] - percent[best]).tolist()
        rows.append(
            [schedule, seed, *percent[-1].tolist(), best + 1, *drop, percent[:, 0].tolist()]
        )
chosen = pd.DataFrame(rows, columns=[
    "schedule", "seed", "last epoch: validation (%)", "last epoch: test (%)", "best epoch",
    "promised: drop on validation", "delivered: drop on test", "curve"])  # fmt: skip
kept = []  # in words: what the choice did, mean over the five seeds and 95 % interval
for schedule, part in chosen.groupby("schedule"):
    drops = (part["promised: drop on validation"], part["delivered: drop on test"])
    promised, delivered = ("{:.1f} ± {:.1f}".format(*metrics.shown_ci(drop)) for drop in drops)
    kept.append(f"{schedule}, promised {promised}, delivered {delivered} points")
print("\n".join(kept))
means = chosen.groupby("schedule").mean(numeric_only=True).drop(columns="seed")
means.round(1)

# %% tags=["hide-input"]
import seaborn as sns

from kdutils import figures

tidy = chosen.explode("curve").astype({"curve": float})
tidy["epoch"] = tidy.groupby(["schedule", "seed"]).cumcount() + 1
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
for ax, (name, part) in zip(axes, tidy.groupby("schedule"), strict=True):
    sns.lineplot(part, x="epoch", y="curve", units="seed", estimator=None, marker="", ax=ax)
    ax.set(title=f"{name} learning rate", ylabel="validation errors (%)", ylim=(0, None))
figures.count(fig, [5], "digits", unit="seeds a schedule, one line each", bars=False)
lab.show(fig, "02_schedules", "Validation errors by epoch, five seeds a schedule. Mean of the last "
         f"epoch: {means.iloc[:, 0].round(1).to_dict()} percent.")  # fmt: skip

# %% [markdown]
# Read the two panels from their right ends. Where the rate stays high, the errors keep jumping, and
# a lucky epoch is tempting. Where the rate has gone to zero, the last epochs lie closer together. A
# choice can still pick an earlier epoch, and *delivered* says what that did. Compare *promised* with
# *delivered* in the two lines above the table: the first is what you would report if you counted on the
# images that chose. (A promise is never negative. The formula of the interval does not know that.) The
# intervals are over seeds alone. All five seeds share the same few images, on validation and on test.
#
# The course's own recipes therefore use one cycle, and every record stands for the **last** epoch.
#
# ## 4. The teachers on MNIST
#
# Now the real thing: the network of
# [Hinton, Vinyals and Dean (2015)](https://arxiv.org/abs/1503.02531), with 784-1200-1200-10 units. A
# linear layer from $a$ to $b$ units has $(a + 1)\,b$ parameters, which makes
# $785 \cdot 1200 + 1201 \cdot 1200 + 1201 \cdot 10 = 2{,}395{,}210$.
#
# All teachers have the same budget: AdamW, one cycle, dropout .2 in the hidden layers, no weight
# decay. These are the fields in which their recipes differ; a dash means none:

# %%
teachers = lab.of("Teachers on MNIST")  # those that have a record
lab.recipes(*teachers)

# %%
lab.table(teachers, "test_errors")

# %% [markdown]
# Look at $n$ first. A teacher with one seed is an example, not a mean.
# Hinton's 67 errors stand beside our row for orientation. His teacher was another one: its digits
# were jittered by up to two pixels, and it was regularised by strong dropout and by a limit on the
# size of the weights.
#
# ### Numbers with fewer digits
#
# The recipes say `bfloat16`. In matrix products and convolutions, a number then has 8 significant bits,
# where `float32` has 24; weights and their steps stay in `float32`. GPUs and some processors compute
# such products much faster. A processor without instructions for them must imitate them, and is then
# far slower than in `float32`. There `kdutils` computes in `float32`, and the record says so in its
# note. So a row of this course may hold runs of both kinds. Does it matter? Two students of later
# chapters, the same seeds, both ways, in points of accuracy:

# %%
lab.differences("test_accuracy", {
    f"{name}, float32 less bfloat16": tuple(f"{name}, {kind}" for kind in ("float32", "bfloat16"))
    for name in (lab.experiments.MLP, lab.experiments.CNN)
})  # fmt: skip

# %% [markdown]
# An interval that contains zero does not prove that there is no difference. Its ends say how large one
# could be and still be missed. Compare them with the gains of the chapters to come.
#
# ## 5. Does 90 % mean 90 %?
#
# A network is *calibrated* if it is right in 90 % of the cases in which it says "90 %". To measure
# that, sort the images into bins by their confidence, the highest probability. In each bin, compare
# the mean confidence with the share that is right. The *expected calibration error* is the mean of
# these distances, weighted by the number $n_b$ of images in bin $b$. This is how
# [Guo et al. 2017](https://arxiv.org/abs/1706.04599) use it; the measure is older
# (Naeini et al. 2015):
#
# $$ \mathrm{ECE} = \sum_b \frac{n_b}{N} \,\bigl| \mathrm{accuracy}_b - \mathrm{confidence}_b \bigr| . $$
#
# **Your turn.** Write it, in percent, with bins of equal width. Image $i$ belongs to bin
# $\lceil 15\, c_i \rceil$, where $c_i$ is its confidence.


# %% tags=["your-turn"]
def calibration_error(logits, labels, bins=15):
    """logits: [N, classes]; labels: [N]. ECE in percent."""
    # your turn: confidence and right or wrong of each image, then the sum over the bins
    confidence, guess = logits.double().softmax(1).max(1)  # [N], [N]
    right = (guess == labels).double()  # [N]
    bin_of = (bins * confidence).ceil()  # [N], 1 .. bins
    total = 0.0
    for b in bin_of.unique():
        inside = bin_of == b
        total += float(inside.sum() * (right[inside].mean() - confidence[inside].mean()).abs())
    return 100 * total / len(labels)
    # end


# %% tags=["check"]
sure = torch.tensor([[9.0, 0, 0], [9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0]])  # [4, 3], p = .9998
assert abs(calibration_error(sure, torch.tensor([0, 0, 1, 1])) - 24.975) < 0.01  # 75 % are right
z, y = lab.logits("elastic views", "test"), digits.test.labels  # [N, 10], [N]
ours, theirs = calibration_error(z, y), metrics.calibration_error(z, y)
assert abs(ours - theirs) < 1e-6, f"on the test images {ours} instead of {theirs}"
print("Your calibration error agrees with kdutils.")

# %% [markdown]
# ### Corrected by one number
#
# *Temperature scaling* divides all logits by one number $T$, the one that makes the labels of the
# validation images most likely. Dividing does not change which logit is largest. So **no answer
# changes, only how sure it is**.


# %%
from scipy.optimize import minimize_scalar


def fit_temperature(logits, labels):
    """The T at which the labels are most likely. logits: [N, classes]; labels: [N]."""
    found = minimize_scalar(
        lambda log_t: float(F.cross_entropy(logits.double() / 2.0**log_t, labels)),
        bounds=(-4, 4), method="bounded",
    )  # fmt: skip
    return 2.0**found.x


rows = []
for name in teachers:
    for record in lab.records(name):
        val, test = (lab.logits(name, split, record.recipe.seed) for split in ("val", "test"))
        T = fit_temperature(val, digits.val.labels)
        assert abs(T / metrics.fit_temperature(val, digits.val.labels) - 1) < 1e-3  # as kdutils
        assert torch.equal(test.argmax(1), (test / T).argmax(1))  # no answer changes
        before, after = (calibration_error(logits, y) for logits in (test, test / T))
        rows.append([name, T, before, after, metrics.nll(test, y), metrics.nll(test / T, y)])
columns = ["teacher", "T", "ECE (%)", "ECE (%), divided by T", "NLL", "NLL, divided by T"]
calibration = pd.DataFrame(rows, columns=columns)
means = calibration.groupby("teacher", sort=False).mean()
means.round(3).assign(n=calibration.groupby("teacher").size())

# %% tags=["hide-input"]
grid, (fig, ax) = 2.0 ** torch.arange(-2, 3.01, 0.125), plt.subplots(figsize=(7, 3.8))
for name in teachers:
    nets = [lab.logits(name, "val", r.recipe.seed) for r in lab.records(name)]
    nll = [sum(metrics.nll(z / T, digits.val.labels) for z in nets) / len(nets) for T in grid]
    ax.plot(grid, nll, label=name, markevery=[min(range(len(nll)), key=nll.__getitem__)], ms=9)
ax.axvline(1, color="0.6", lw=1, ls="-", marker="")
ax.set(xscale="log", yscale="log", xlabel="T", ylabel="validation loss at logits / T (nats)")
ax.set_xticks([0.25, 0.5, 1, 2, 4, 8], ["1/4", "1/2", "1", "2", "4", "8"])
ax.set_xticks([], minor=True)
ax.legend()
lab.show(fig, "02_calibration", "Validation loss of each teacher against T. Lowest at T = "
         f"{means['T'].round(2).to_dict()}.", teachers, bars=False)  # fmt: skip

# %% [markdown]
# The marker on each curve is the teacher's own $T$. To its right the answers are too modest, to its
# left too sure. A teacher whose marker lies on the grey line needs no correction.
#
# In distillation the logits are divided by a temperature anyhow, so a wrong overall scale does
# limited harm: it amounts to another $T$. But note what it means for comparisons: **the same $T = 4$
# is not equally soft for two teachers.** And no temperature brings back a difference between two
# wrong classes that the teacher never learned. That is the next section.
#
# ## 6. What label smoothing asks for
#
# Label smoothing ([Szegedy et al. 2016](https://arxiv.org/abs/1512.00567)) replaces the label by
# $1 - s$ on the right class plus $s / C$ on each of the $C$ classes. The cross-entropy is smallest
# where the softmax *equals* this target:
#
# $$ p_y = 1 - s + \frac{s}{C}, \qquad p_j = \frac{s}{C} \;\text{ for every } j \ne y,
# \qquad z_y - z_j = \log \frac{1 - s + s/C}{s/C} . $$
#
# On the training images, then, every wrong class should get the same logit: a 4 is to look as much
# like a 9 as like a 0. How far do our teachers follow, on test images? We measure the gap between the
# right logit and the mean of the wrong ones, and the spread (standard deviation) among the wrong ones.
# A temperature divides both by the same number. So it is their *ratio* that no temperature can change.
#
# The figure below the table shows one test digit. Of those that both teachers in the figure read
# correctly, it is the one about whose second class the teacher without smoothing has most to say: an
# extreme case, chosen for the contrast. Part of the contrast is scale: at one $T$, the teacher with
# the smaller gap is the softer.

# %%
s, C = 0.1, 10
asked = torch.tensor((1 - s + s / C) / (s / C)).log().item()
z = torch.zeros(1, C, dtype=torch.float64)  # [1, 10]; the right class is 4
z[0, 4] = asked
z.requires_grad_()
F.cross_entropy(z, torch.tensor([4]), label_smoothing=s).backward()
assert z.grad.abs().max() < 1e-7  # nothing is left to gain

right, rows, answers = F.one_hot(y, C).bool(), [], {}  # [N, 10]
for name in teachers:
    found = [lab.logits(name, "test", r.recipe.seed) for r in lab.records(name)]
    answers[name] = torch.stack(found)  # [seeds, N, 10]
    for z in found:
        wrong = z[~right].view(-1, C - 1)  # [N, 9]
        rows.append([name, float((z[right] - wrong.mean(1)).mean()), float(wrong.std(1).mean())])
gaps = pd.DataFrame(rows, columns=["teacher", "gap", "spread among the wrong"])
print(f"With s = {s} the loss asks for a gap of {asked:.2f}. Without smoothing there is no limit.")

pair = [n for n in ("elastic views", "elastic views, label smoothing") if n in teachers]
q = {n: (answers[n][0] / 4).softmax(1) for n in pair}  # [N, 10]: one seed each, T = 4
agreed = torch.stack([answers[n][0].argmax(1) == y for n in pair]).all(0)  # bool [N]
pick = int((q[pair[0]].masked_fill(right, 0).max(1).values * agreed).argmax())  # for the figure
gaps["spread / gap"] = gaps["spread among the wrong"] / gaps["gap"]
gaps.groupby("teacher", sort=False).mean().round(2).assign(n=gaps.groupby("teacher").size())

# %% tags=["hide-input"]
fig, (left, ax) = plt.subplots(1, 2, figsize=(8.5, 2.9), width_ratios=[1, 2.8])
left.imshow(digits.test.images[pick, 0], cmap="gray_r")
left.set(xticks=[], yticks=[], title=f"test digit, label {int(y[pick])}")
targets = pd.DataFrame({n: q[n][pick].tolist() for n in pair})
targets.plot.bar(ax=ax, rot=0, width=0.8, color=("C0", "C5"))
ax.set(xlabel="class", ylabel="soft target at T = 4")
ax.grid(visible=False, axis="x")
words = (f"{n} {' and '.join(f'{v:.2f}' for v in q[n][pick].topk(2).values)}" for n in pair)
figures.count(fig, [1], f"{digits.name}, profile {PROFILE}", unit="seed each", bars=False)
alt = f"A test digit, label {int(y[pick])}. Its two largest soft targets: {'; '.join(words)}."
lab.show(fig, "02_one_digit", alt)

# %% [markdown]
# ### Does that harm the student?
#
# [Müller et al. (2019)](https://arxiv.org/abs/1906.02629) say yes, [Shen et al.
# (2021)](https://arxiv.org/abs/2104.00676) dispute it, [Chandrasegaran et al.
# (2022)](https://arxiv.org/abs/2206.14532) find the cause in the temperature.
# [Chapter 10](10_across_data_sets.ipynb) measures it on CIFAR-10, at two temperatures.
#
# Here we ask it of digits. The recipe of the student is ready
# (`student of the smoothing teacher`); its row below says whether it has been run. If it has, mind
# the temperature: both students use $T = 4$, which is softer for the smoothing teacher.
#
# ## 7. What a student makes of it
#
# The student has 784-800-800-10 units. It sees elastic views, hears what the teacher says about
# exactly these views at $T = 4$, and never sees a label.

# %%
lab.table("What they teach", "test_errors")

# %%
lab.differences("test_errors", {
    "What bending the digits does to the teacher's errors": ("elastic views", "still images"),
    "What label smoothing does to them": ("elastic views, label smoothing", "elastic views"),
    "The student's errors less those of its own teacher":
        ("student of the teacher on elastic views", "elastic views"),
    "What the teacher's label smoothing does to its student":
        ("student of the smoothing teacher", "student of the teacher on elastic views"),
})  # fmt: skip

# %% [markdown]
# ## What we saw
#
# Compare your guesses with the numbers.

# %% tags=["hide-input"]
from IPython.display import Markdown

honest = "; ".join(f"*{name}* {T:.2f}" for name, T in means["T"].items())
Markdown(f"""
1. **Errors.** Still images: {lab.cell("still images", "test_errors")}. Elastic views:
   {lab.cell("elastic views", "test_errors")}, of {len(y):,} test images. Same network, same epochs.
2. **Honesty.** $T$, fitted on validation images: {honest}.
3. **The chosen epoch** against the last, as a drop in errors (negative: a rise): {"; ".join(kept)}.
4. **The student.** {lab.cell("student of the teacher on elastic views", "test_errors")} errors; its teacher
   {lab.cell("elastic views", "test_errors")}. Section 7 has the difference, paired by seed, with its interval.
""")  # fmt: skip

# %% [markdown]
# Three things to take from the second answer, whichever values you see. A network that has learned
# its training images by heart is right on all of them, and is rewarded for being ever more sure:
# expect $T$ above 1. (The networks of `smoke` train too briefly for that.) Label smoothing asks for
# modesty: expect $T$ below 1. For views there is no such rule: hard practice images could make a
# network modest about easy test images, long training could make it too sure. Measure it.
#
# ## Where it can mislead
#
# - **One seed is an anecdote.** Where a table says $n = 1$, a few errors more or less mean nothing.
#   The interval of *elastic views* is one for the *mean* of its $n$ seeds. The range for one further
#   seed is $\sqrt{n + 1}$ times as wide.
# - **Views need time.** A network that never sees an image twice learns more slowly. With few epochs
#   still images can win. See which teacher wins on `smoke`.
# - **Saying more is not knowing more.** The spread in section 6 is no measure of knowledge. See
#   which teacher has the largest, and how many errors that teacher makes in section 4: larger logits
#   spread more. The ratio is free of the scale, but a large ratio may still be noise. Only a student
#   can tell what is worth knowing, or a data set whose true probabilities are known ([chapter
#   01](01_soft_and_hard_targets.ipynb)).
# - **ECE depends on its bins**, and a good MNIST teacher has almost all its images in the last one.
#   The negative log-likelihood has no bins.
# - **The drop in section 3 comes from tiny networks on tiny data.** 197 validation images are few, so
#   luck plays a large part there. With 5,000 it plays a smaller one.
# - **The smoothing teacher was not tuned.** $s = .1$ and the budget are those of the others.
#
# ## Exercises
#
# 1. *(5 minutes, easy)* Ten networks are equally good: each errs on every image with probability
#    .7 %, independently. Somebody reports the best of the ten on 10,000 test images. Which accuracy
#    will be reported, on average? *Check: between 99.41 and 99.44 %.*
#    [Solution](solutions/02_training_teachers.py#exercise-1).
# 2. *(10 minutes, easy)* Flip one of the lowest 16 bits of the numbers 0 to 65,535. How many of the 32
#    bits of `views.hash32(0, 0, number)` change, on average over all these numbers? *Check: 16, within
#    .1, whichever of the 16 bits you flip.*
#    [Solution](solutions/02_training_teachers.py#exercise-2).
# 3. *(10 minutes, medium)* Choose the $T$ that makes the *calibration error* of the validation images
#    smallest, instead of their likelihood loss. Is the calibration error of the test images smaller?
#    *Check: on validation, each $T$ wins by its own measure.*
#    [Solution](solutions/02_training_teachers.py#exercise-3).
# 4. *(20 minutes, medium)* Leave dropout on while the teacher answers, and average $k$ answers. How
#    many errors for $k = 1, 4, 16, 64$? Compare with one answer without dropout. *Check: with
#    dropout off, all answers are equal.*
#    [Solution](solutions/02_training_teachers.py#exercise-4).
# 5. *(hours of training, hard)* Settle the smoothing question for these networks:
#    `SEEDS = [0, 1, 2]`, `TRAIN = True`, then repeat both students at $T = 1$ with `lab.train`.
#
# Solutions of 1 to 4: [solutions/02_training_teachers.py](solutions/02_training_teachers.py). The
# tests run them.
#
# ## Summary
#
# - A teacher's loop is an ordinary training loop. Ours is equal, bit for bit, to a recipe.
# - Views that are computed from (seed, epoch, image) can be shared by teacher and student.
# - Validation may choose. What it promises for its own choice is too good on average; a single run may
#   deliver more. Our records take the last epoch of a schedule that settles, and choose none.
# - Accuracy, calibration and what is said about wrong classes are three different things. One number
#   mends the second. No temperature mends the third.
# - Whether label smoothing in the teacher harms its student is disputed. [Chapter 10](10_across_data_sets.ipynb) measures it.
#
# Next: [chapter 03](03_distilling_mlps.ipynb) lets these teachers teach.
#
# ## Sources
#
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*,
#   [arXiv:1503.02531](https://arxiv.org/abs/1503.02531).
# - C. Guo et al. (2017), *On calibration of modern neural networks*,
#   [arXiv:1706.04599](https://arxiv.org/abs/1706.04599).
# - M. Naeini, G. Cooper, M. Hauskrecht (2015), *Obtaining well calibrated probabilities using Bayesian
#   binning*, Proceedings of AAAI 2015, 2901–2907: the calibration error.
# - R. Müller, S. Kornblith, G. Hinton (2019), *When does label smoothing help?*,
#   [arXiv:1906.02629](https://arxiv.org/abs/1906.02629).
# - Z. Shen et al. (2021), *Is label smoothing truly incompatible with knowledge distillation: an
#   empirical study*, [arXiv:2104.00676](https://arxiv.org/abs/2104.00676).
# - K. Chandrasegaran et al. (2022), *Revisiting label smoothing and knowledge distillation
#   compatibility: what was missing?*, [arXiv:2206.14532](https://arxiv.org/abs/2206.14532).
# - L. Smith (2018), *A disciplined approach to neural network hyper-parameters*,
#   [arXiv:1803.09820](https://arxiv.org/abs/1803.09820).
# - I. Loshchilov, F. Hutter (2019), *Decoupled weight decay regularization*,
#   [arXiv:1711.05101](https://arxiv.org/abs/1711.05101).
# - N. Srivastava et al. (2014), *Dropout*, [JMLR 15](https://jmlr.org/papers/v15/srivastava14a.html);
#   C. Szegedy et al. (2016), [arXiv:1512.00567](https://arxiv.org/abs/1512.00567).
# - The poster's tables and code:
#   [haitongli/knowledge-distillation-pytorch](https://github.com/haitongli/knowledge-distillation-pytorch).
