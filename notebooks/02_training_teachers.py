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
# # 02 · What makes a good teacher?
#
# A student learns what its teacher says. So the teacher comes first. The obvious answer is that a
# good teacher is an accurate one. That is half of it. A student does not copy a list of right
# answers. It copies *probabilities*, on every image that it sees, for as long as it trains.
#
# This notebook trains teachers for MNIST and looks at each through five glasses. Is it accurate?
# Do its probabilities mean what they say? Do they say anything about the wrong classes? Does it
# answer about the very image that the student sees? And can it answer for long enough?
#
# **You will be able to**
#
# - count the parameters of a multilayer perceptron and of a ResNet-18;
# - say why validation images choose, and the test images never do;
# - make views of an image that are the same in any order, on any machine;
# - measure calibration, and mend it with a single number;
# - explain why label smoothing, which is good for a classifier, is bad for a teacher;
# - store a teacher's knowledge, and prove that nothing is lost.
#
# You need notebook 01 (softmax with a temperature, soft targets).

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": embedded digits, seconds. "laptop": MNIST. "paper": full budgets
SEEDS = None  # None: the profile's own seeds. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import LogFormatter
from scipy.optimize import minimize_scalar
from scipy.stats import beta

from kdutils import bayes10, course, data, figures, losses, metrics, models, profiles, tables, views
from kdutils.knowledge import Knowledge
from kdutils.recipes import Recipe
from kdutils.runs import run_all, trained
from kdutils.store import Store
from kdutils.training import pick_device, predict

profile, seeds = profiles.setup(PROFILE, SEEDS)
profiles.check_flag("TRAIN", TRAIN)
figures.theme()
if TRAIN or PROFILE == "smoke":
    run_all([arm.recipe for arm in course.arms(2, PROFILE)], seeds)
results = tables.collect(2, PROFILE, seeds)
teachers = [r for r in results if r.arm.table == "Teachers on MNIST"]
if tables.find(teachers, "elastic views") is None:
    raise LookupError(f"No teacher of the profile {PROFILE!r} is recorded: set TRAIN = True.")
Markdown(tables.cost(results))

# %% [markdown]
# ## Predict first
#
# Write down a guess before you read on.
#
# 1. The teacher for MNIST has two hidden layers of 1200 units. ResNet-18 reads small colour images.
#    Which has more parameters, and by what factor?
# 2. One teacher sees every training digit as it is. One sees it shifted by up to two pixels. One
#    sees it shifted, turned, sheared and bent. All have the same budget. Which makes the fewest
#    errors on *straight* test digits, and which the most?
# 3. A teacher that was trained on bent digits says "I am 90 % sure" about some straight ones. Is it
#    right in more than 90 % of these cases, or in fewer?
# 4. A teacher is trained with label smoothing. Does it make more errors, or fewer? And what happens
#    to what it says about the wrong classes?
# 5. A teacher's answers are stored in 16 bits each. How large is the error that a student sees?

# %% [markdown]
# ## 1. Two networks, counted
#
# ### The multilayer perceptron
#
# A digit has $28 \times 28 = 784$ pixels. Our teacher is the one of Hinton, Vinyals and Dean (2015):
# two hidden layers of 1200 units with ReLU, and ten outputs. A linear layer from $a$ to $b$ units
# has $ab$ weights and $b$ biases, so
#
# $$ \text{parameters} = \sum_{\text{layers}} (a + 1)\, b . $$

# %%
widths = [784, 1200, 1200, 10]
by_hand = [(a + 1) * b for a, b in pairwise(widths)]  # one number a layer
mlp = models.build("mlp-1200-1200", in_shape=(1, 28, 28), classes=10)
print(" + ".join(f"{n:,}" for n in by_hand), "=", f"{sum(by_hand):,}")
print("logits of two images:", list(mlp(torch.zeros(2, 1, 28, 28)).shape))  # [2, 10]

# %% [markdown]
# ### ResNet-18 for small images
#
# For colour images we use a residual network (He et al. 2016). Its block adds what it computed to
# what came in, $y = \mathrm{ReLU}(x + f(x))$. The gradient can then flow past $f$. Where the
# shape changes, the way past is a $1 \times 1$ convolution.
#
# The ResNet-18 for ImageNet begins with a $7 \times 7$ convolution of stride 2 and a max-pool. An
# image of $32 \times 32$ would be $8 \times 8$ before the first block. The *CIFAR form* begins with
# one $3 \times 3$ convolution and keeps all $32 \times 32$ positions.

# %% tags=["hide-input"]
stages = [("image", 3, 32), ("stem", 64, 32), ("stage 1", 64, 32), ("stage 2", 128, 16),
          ("stage 3", 256, 8), ("stage 4", 512, 4), ("mean", 512, 1), ("fc", 10, 1)]  # fmt: skip


def box(ax, x, y, w, h, text="", **style):
    ax.add_patch(plt.Rectangle((x - w / 2, y - h / 2), w, h, ec="k", lw=1.2, zorder=2, **style))
    ax.text(x, y, text, ha="center", va="center", fontsize=9, zorder=3)


def arrow(ax, start, end, color="k"):
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=10, lw=1.3, color=color,
                                 shrinkA=0, shrinkB=0))  # fmt: skip


fig, (ax, zoom) = plt.subplots(2, 1, figsize=(9.5, 4.6), height_ratios=[1.7, 1])
edge = None
for k, (name, channels, size) in enumerate(stages):
    blocks, high, wide = 2 if "stage" in name else 1, 0.2 + size / 17, 0.10 + channels**0.5 / 75
    for j in range(blocks):
        at = 1.3 * k + (j - 0.5) * (wide + 0.12) * (blocks - 1)
        box(ax, at, 0, wide, high, fc="#cfe0ee" if blocks == 2 else "white")
        if edge is not None:
            arrow(ax, (edge, 0), (at - wide / 2, 0))
        edge = at + wide / 2
    shape = f"{channels} × {size} × {size}" if size > 1 else f"{channels}"
    ax.text(1.3 * k, -1.3, f"{name}\n{shape}", ha="center", va="top", fontsize=9)
ax.set(xlim=(-0.6, 9.7), ylim=(-2.0, 1.1))
ops = [("conv 3×3", 1.5), ("norm, ReLU", 3.0), ("conv 3×3", 4.5), ("norm", 6.0)]
for (text, at), start in zip(ops, [0.4, 2.0, 3.55, 5.0], strict=True):
    arrow(zoom, (start, 0), (at - (0.55 if "ReLU" in text else 0.5), 0))
    box(zoom, at, 0, 1.1 if "ReLU" in text else 1.0, 0.55, text, fc="#cfe0ee")
zoom.text(0.3, 0, "x", ha="right", va="center", fontsize=11, style="italic")
zoom.plot(7.2, 0, "o", ms=15, mfc="white", mec="k", markevery=1, zorder=2)
zoom.text(7.2, 0, "+", ha="center", va="center", fontsize=13, zorder=3)
arrow(zoom, (6.5, 0), (7.05, 0))
zoom.plot([0.6, 0.6, 7.2], [0, 0.7, 0.7], color=figures.COLORS[1], ls="--", lw=1.3, marker="")
arrow(zoom, (7.2, 0.7), (7.2, 0.17), color=figures.COLORS[1])
zoom.text(3.9, 0.78, "the way past", ha="center", color=figures.COLORS[1], fontsize=9)
arrow(zoom, (7.36, 0), (7.9, 0))
box(zoom, 8.35, 0, 0.9, 0.55, "ReLU", fc="#cfe0ee")
arrow(zoom, (8.8, 0), (9.3, 0))
zoom.text(9.4, 0, "y", ha="left", va="center", fontsize=11, style="italic")
zoom.set(xlim=(-0.6, 9.7), ylim=(-0.5, 1.25), title="one shaded block")
for each in (ax, zoom):
    each.axis("off")
figures.show(
    fig,
    name="02_resnet18",
    alt="Block diagram of ResNet-18 in its CIFAR form: "
    + ", ".join(f"{n} {c} by {s} by {s}" if s > 1 else f"{n} {c}" for n, c, s in stages)
    + ". Each of the four stages holds two residual blocks. Below, one block: convolution, batch norm, "
    "ReLU, convolution, batch norm; its input is added by the way past, then ReLU.",
)

# %% [markdown]
# The picture shows channels × height × width. A box is taller where the image is larger, and wider
# where there are more channels. Now in numbers. A convolution uses each of its weights once at every
# position of its output.

# %%
resnet = models.build("resnet18").eval()
parts = {"stem": resnet.stem}
parts |= {f"stage {k + 1}: 2 blocks": resnet.stages[2 * k : 2 * k + 2] for k in range(4)}
x, rows = torch.zeros(1, 3, 32, 32), []
with torch.no_grad():
    for name, part in parts.items():
        x = part(x)  # [1, channels, height, width]
        weights = sum(p.numel() for p in part.parameters() if p.ndim == 4)
        rows.append(
            (name, list(x.shape[1:]), models.count_parameters(part), weights * x[0, 0].numel())
        )
    logits = resnet.fc(x.mean(dim=(2, 3)))  # [1, 10]
rows.append(("mean and fc", list(logits.shape[1:]), models.count_parameters(resnet.fc), 512 * 10))
table = pd.DataFrame(rows, columns=["part", "output", "parameters", "multiplications"])
table.loc[len(table)] = ["all", "", table["parameters"].sum(), table["multiplications"].sum()]
table.set_index("part").map(lambda cell: f"{cell:,}" if isinstance(cell, int) else cell)

# %% [markdown]
# Look at the last two columns. Each stage halves height and width and doubles the channels. The
# parameters grow about fourfold a stage. The work stays about the same. **Size and speed are
# different things**, and a student that must be small need not be fast.

# %% tags=["nbval-check-output"]
assert models.count_parameters(mlp) == sum(by_hand) == 2_395_210
assert models.count_parameters(resnet) == table["parameters"].iloc[-1] == 11_173_962
print("784-1200-1200-10: 2,395,210 parameters, as published")
print("ResNet-18, CIFAR form: 11,173,962 parameters, as published")

# %% [markdown]
# ## 2. Views: one digit, never twice the same pixels
#
# A teacher of 2.4 million parameters can learn 55,000 still digits by heart. So we move them.
# A *view* is one draw of the augmentation over the whole training set. A new view is drawn in
# every epoch. A pixel at $x$, counted from the centre of the image, is fetched from
#
# $$ x' = x + t + A x + \sum_k w_k B_k(x) . $$
#
# | kind | what is drawn | |
# |---|---|---|
# | jitter | $t$ | a whole number of pixels, as Hinton's teacher had it |
# | affine | $t$ and $A$ | a little rotation, scale and shear |
# | elastic | $t$, $A$ and $w_k$ | besides, a smooth bend: cubic B-splines $B_k$, eight pixels apart |

# %% tags=["hide-input"]
pd.DataFrame(
    [(name, f"± {k.shift:g} px", f"± {k.rotate:g} rad", f"± {k.scale:g}", f"± {k.shear:g}",
      f"± {k.elastic:g} px") for name, k in views.KINDS.items()
     if name in ("jitter", "affine", "elastic")],
    columns=["kind", "shift", "rotation", "scale", "shear", "control points"],
).set_index("kind")  # fmt: skip

# %% tags=["hide-input"]
digits = data.load(profile.datasets["mnist"])
which = int((digits.train.labels == 3).nonzero()[0])  # the first 3
still = digits.train.images[which : which + 1]  # uint8 [1, 1, 28, 28]
lines = torch.zeros_like(still)
lines[..., 3::7, :] = lines[..., :, 3::7] = 255
epochs, number = range(7), torch.tensor([which])
fig, axes = plt.subplots(4, len(epochs) + 1, figsize=(9.5, 5.0))
for row, (kind, image) in zip(axes, [("jitter", still), ("affine", still), ("elastic", still),
                                     ("elastic", lines)], strict=True):  # fmt: skip
    for ax, epoch in zip(row, [None, *epochs], strict=True):
        seen = image if epoch is None else views.apply(image, kind, 0, epoch, number)
        ax.imshow(seen[0, 0], cmap="gray_r", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=True, color="0.5" if epoch is not None else "k",
                         lw=0.6 if epoch is not None else 2)  # fmt: skip
        if row is axes[0]:
            ax.set_title("still" if epoch is None else f"epoch {epoch}", fontsize=10, loc="center")
    row[0].set_ylabel(kind if image is still else "elastic,\na grid", fontsize=10)
figures.show(
    fig,
    name="02_views",
    alt=f"One training digit, a {int(digits.train.labels[which])}, as it is and in {len(epochs)} "
    "epochs: jittered, with affine changes, with elastic changes, and a grid of lines under the same "
    "elastic changes.",
)

# %% [markdown]
# The last row shows a grid of lines under the same elastic views as the digit above it. That is
# what the network never sees and has to put up with.
#
# ### A hash in place of a die
#
# Ordinary augmentation takes its numbers from a random generator, one after the other. What image
# number 3 gets then depends on how many images came before it. Shuffle the images, change the batch
# size, stop and resume: other pixels. For a single network that hardly matters. For a teacher and a
# student it does. **They must see the same view, perhaps weeks apart, in another order.**


# %%
def shift_by_generator(order):
    """Image -> its shift, when the images draw one after the other."""
    g = torch.Generator().manual_seed(0)
    return {i: torch.randint(-2, 3, (2,), generator=g).tolist() for i in order}


def shift_by_hash(order, seed=0, epoch=0):
    """Image -> its shift, as a function of seed, epoch and the image's number alone."""
    bits = views.hash32(seed, epoch, torch.tensor(order)[:, None], torch.tensor([[0, 1]]))
    return dict(zip(order, ((bits * 5 >> 32) - 2).tolist(), strict=True))  # 32 bits -> -2 .. 2


for rule in (shift_by_generator, shift_by_hash):
    print(
        f"{rule.__name__:18} image 3 moves by", rule([0, 1, 2, 3])[3], "or", rule([3, 2, 1, 0])[3]
    )

# %% [markdown]
# A *hash* mixes the bits of its input until no pattern is left. It multiplies by an odd constant,
# which carries low bits upwards, and folds the upper half onto the lower one, which carries them
# back. Two rounds of that, and neighbours have nothing in common:

# %%
for image in range(4):
    print(f"image {image}, epoch 0: {int(views.hash32(0, 0, torch.tensor(image))):032b}")
print(f"image 3, epoch 1: {int(views.hash32(0, 1, torch.tensor(3))):032b}")

# %% [markdown]
# A hash has no state. There is nothing to save, nothing to get out of step, and the pixels of one
# image can be computed on their own. Is it random enough? Each of the five shifts should come to a
# fifth of the images, and neighbours should not be alike. And whatever the order and the batch
# size, the pixels must be the same to the last bit.

# %% tags=["nbval-check-output"]
shifts = torch.tensor(list(shift_by_hash(list(range(50_000))).values()))  # [50000, 2]
counts = torch.bincount(shifts[:, 0] + 2)  # how often -2, -1, 0, 1, 2
assert (counts - 10_000).abs().max() < 400, counts  # 400 is 4.5 standard deviations
neighbours = np.corrcoef(shifts[:-1, 0], shifts[1:, 0])[0, 1]
assert abs(neighbours) < 0.02 and abs(np.corrcoef(shifts.T)[0, 1]) < 0.02
print("50,000 shifts: every value a fifth of the time, neighbours unrelated")

images, index = digits.train.images[:200], torch.arange(200)  # uint8 [200, 1, 28, 28]
order = torch.randperm(200, generator=torch.Generator().manual_seed(5))
for kind in ("jitter", "affine", "elastic"):
    whole = views.apply(images, kind, 3, 8, index)  # seed 3, epoch 8
    shuffled = views.apply(images[order], kind, 3, 8, order)
    assert torch.equal(whole[order], shuffled)
    for size in (1, 7, 64):
        parts = zip(images[:70].split(size), index[:70].split(size), strict=True)
        assert torch.equal(whole[:70], torch.cat([views.apply(x, kind, 3, 8, i) for x, i in parts]))
    assert not torch.equal(whole, views.apply(images, kind, 3, 9, index))
print("jitter, affine, elastic: the same pixels in any order and any batch size")

# %% [markdown]
# ## 3. How a teacher is trained
#
# ### Validation chooses, the test set never does
#
# MNIST has 60,000 training digits. We hold 5,000 back. They play the examiner while we still make up
# our minds: how many epochs, which views, which temperature. The 10,000 test digits are read
# once, when everything has been decided.
#
# Why so strict? Here are four rows of the poster that many courses copy. Each network was tested
# after *every* epoch. The best of these test results went into the table.
#
# | poster's row, CIFAR-10 | best test epoch | last epoch |
# |---|---|---|
# | CNN5, no dropout | 84.74 | 83.73 |
# | ResNet-18 | 94.175 | 92.10 |
# | ResNet-18 taught by DenseNet-100 | 94.729 | 92.61 |
# | ResNet-18 taught by ResNeXt-29 | 94.788 | 94.54 |
#
# Compare the rows. Teaching moves the first column by about half a point. The choice of the epoch
# moves some rows by two.
#
# The best of many noisy results is too good to be true. Statisticians call it the *winner's curse*.
# You can watch it with the teachers of this notebook. Pretend that the *validation* images are all the
# digits in the world. Then every teacher's true error rate is known. Draw half as many images at
# random, with replacement: that is a test set. Choose the teacher that is best on it. Compare what
# the test set says about the chosen one with the truth. Repeat.

# %%
store = Store()
answers = {}  # arm -> for each seed {"val": logits [N, 10], "test": logits [N, 10]}
for result in teachers:
    found = [store.logits(record.recipe) for record in result.records]
    if found := [z for z in found if z is not None]:
        answers[result.name] = found

nets = [z["val"] for found in answers.values() for z in found]
wrong = np.stack([(z.argmax(1) != digits.val.labels).numpy() for z in nets])  # [nets, N]
total = wrong.shape[1]  # N, the digits of this small world
drawn = np.random.default_rng(0).multinomial(total // 2, np.full(total, 1 / total), size=500)
on_test_set = 100 * wrong @ drawn.T / (total // 2)  # [nets, 500] percent wrong on each test set
true = 100 * wrong.mean(axis=1)  # [nets]
promised = on_test_set.min(axis=0).mean()  # what the best on each test set shows there
kept = true[on_test_set.argmin(axis=0)].mean()  # what the same teachers are worth

# %% tags=["hide-input"]
Markdown(
    f"Best of {len(nets)} teachers, chosen on {total // 2:,} images, mean of {len(drawn)} repetitions. The "
    f"images that chose it say **{promised:.2f} %** errors. The truth is **{kept:.2f} %**. A teacher that "
    f"nobody chose, the mean of all, makes {true.mean():.2f} %."
)

# %% [markdown]
# The first number is what a table shows whose test set did the choosing. The second is what you
# would get. It is the same network. Choosing is fine, and sometimes helps. Counting on the images
# that chose is not.
#
# Now the epochs of one training run. The records keep the errors on validation images after each
# epoch, and no test result but the last.

# %% tags=["hide-input"]
main = tables.find(teachers, "elastic views")
curves = np.array([[p["val_errors"] for p in r.curve] for r in main.records])  # [seeds, epochs]
at = 1 + np.arange(curves.shape[1])
fig, ax = plt.subplots(figsize=(7.5, 3.8))
for k, curve in enumerate(curves):
    ax.plot(at, curve, color="0.6", ls="-", marker="", lw=1, label="one seed" if k == 0 else None)
    ax.plot(at[curve.argmin()], curve.min(), ls="", marker="v", mfc="white", color=figures.COLORS[1],
            ms=8, markevery=1, zorder=3, label="its best epoch" if k == 0 else None)  # fmt: skip
ax.plot(at, curves.mean(0), color=figures.COLORS[0], ls="-", marker="", label="mean of the seeds")
ax.set(xlabel="epoch", ylabel=f"validation errors of {len(digits.val):,}", yscale="log")
ax.yaxis.set_major_formatter("{x:g}")
ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.4)))
ax.legend()
figures.count(fig, {len(curves)}, PROFILE, profile.datasets["mnist"], bars=False)
figures.show(
    fig,
    name="02_validation",
    alt=f"Validation errors by epoch of the teacher on elastic views, {len(curves)} seeds: the mean "
    f"falls from {curves.mean(0)[0]:.0f} after the first epoch to {curves.mean(0)[-1]:.1f} after the "
    f"last. Best epochs: {', '.join(str(at[c.argmin()]) for c in curves)}.",
)

# %% tags=["hide-input"]
late = np.array([len(c) - 1 - c.argmin() for c in curves])
Markdown(
    f"The best epoch on validation makes {curves.min(1).mean():.1f} errors in the mean of the seeds, "
    f"the last one {curves[:, -1].mean():.1f}. The best stands {late.mean():.0f} epochs before the "
    f"end, in the mean. How much of the difference of {(curves[:, -1] - curves.min(1)).mean():.1f} "
    "errors is luck, this plot cannot say: the images that chose are the images that count. All "
    "records of this course therefore stand for the **last** epoch."
)

# %% [markdown]
# ### One cycle
#
# The last epoch is only a fair choice if it is a good one. A constant learning rate $\eta$ leaves
# the weights jumping about the minimum, and the last epoch is where they happen to stand. The
# *one-cycle* schedule (Smith 2018) climbs for the first three tenths of the steps and then goes
# down to almost nothing, in two halves of a cosine. The last part, with tiny steps, averages the
# jumps away.
#
# Here are both on the small digits of scikit-learn, trained as you read: the same network, seeds and
# highest rate.

# %%
small = Recipe(
    dataset="digits", model="mlp-64-64", epochs=12, batch_size=64, lr=0.02, precision="float32"
)
both = {name: replace(small, schedule=name) for name in ("constant", "one-cycle")}
runs = dict(zip(both, run_all(both.values(), [0, 1, 2], quiet=True), strict=True))

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.6))
last, swing = {}, {}
for k, (name, records) in enumerate(runs.items()):
    errors = np.array([[p["val_errors"] for p in r.curve] for r in records])  # [3, 12]
    rate = [p["lr"] for p in records[0].curve]
    at = 1 + np.arange(len(rate))
    style = {"color": figures.COLORS[k], "ls": figures.DASHES[k]}
    axes[0].plot(at, rate, marker=figures.MARKERS[k], markevery=1, label=name, **style)
    for j, line in enumerate(errors):
        axes[1].plot(at, line, marker=figures.MARKERS[k], markevery=1, ms=3.5, lw=1.2, **style,
                     label=name if j == 0 else None)  # fmt: skip
    last[name], swing[name] = errors[:, -1].mean(), np.abs(np.diff(errors[:, -4:])).mean()
axes[0].set(xlabel="epoch", ylabel="learning rate", title="schedule")
axes[1].set(xlabel="epoch", ylabel=f"validation errors of {len(data.load('digits').val)}",
            title="what it does", ylim=(0, 40))  # fmt: skip
axes[1].legend()
figures.count(fig, {3}, "", "digits", unit="seeds a schedule", bars=False)
figures.show(
    fig,
    name="02_schedules",
    alt="Left: the learning rate of both schedules by epoch. Right: validation errors of three seeds "
    "each. Over the last four epochs the errors change from one to the next by "
    + " and ".join(f"{v:.1f} ({k})" for k, v in swing.items()) + " in the mean.",
)  # fmt: skip

# %% tags=["hide-input"]
Markdown(
    "From one of the last epochs to the next, the errors change by "
    + ", ".join(f"**{v:.1f}** ({k})" for k, v in swing.items())
    + ". At the last epoch they are "
    + ", ".join(f"**{v:.1f}** ({k})" for k, v in last.items())
    + " in the mean of three seeds. Where the curve jumps, it is tempting to pick a lucky epoch. "
    "Where it does not, nothing has to be picked."
)

# %% [markdown]
# A lower constant rate jumps less, but it also learns more slowly. One cycle has both, one after the
# other.
#
# ### Dropout
#
# In training, dropout (Srivastava et al. 2014) sets each unit to 0 with probability $p$, anew for
# every image and step. What is left is divided by $1 - p$, so that the mean of a unit stays what it
# was. No unit can rely on one other unit. In use, nothing is dropped.


# %%
def dropout(h, p, generator):
    """h: activations [batch, units]; p: the share that is dropped."""
    kept = torch.rand(h.shape, generator=generator) >= p  # [batch, units] of True and False
    return h * kept / (1 - p)


g = torch.Generator().manual_seed(0)
h = torch.ones(10_000, 50)
for p in (0.2, 0.5, 0.8):
    out = dropout(h, p, g)
    assert abs(float(out.mean()) - 1) < 0.02
    print(f"p = {p}: {float((out == 0).float().mean()):.1%} dropped, mean {float(out.mean()):.3f}")

# %% [markdown]
# It can sit on the inputs (usually $p$ about .2) and on the hidden units (up to .5). The poster drops
# .8 of the hidden units, which leaves its teacher 240 of 1200. Views already keep a network from
# learning by heart, so our teachers drop only .2 of the hidden units, and no input.
#
# Dropout has a meaning that matters here. Each training step trains another thin network, and all of
# them share their weights. The network without dropout stands in for the *mean* of them all. Try it
# with a small teacher. Let it answer many times **with** dropout, average the probabilities, and
# compare with one answer without.

# %%
tiny = replace(
    small,
    model="mlp-128-128",
    dropout=(0.1, 0.3),
    views="elastic",
    view_stream=1,
    epochs=15,
    lr=5e-3,
)
run_all([tiny], [0], quiet=True)
net = trained(tiny)
small_digits = data.load("digits")
x = data.normalise(small_digits.test.images, small_digits).to(pick_device())  # [500, 1, 28, 28]
net.train()  # dropout on
with torch.no_grad(), torch.random.fork_rng():
    torch.manual_seed(0)
    passes = torch.stack([net(x).softmax(1) for _ in range(64)]).cpu()  # [64, 500, 10]
net.eval()  # dropout off
calm = predict(net, small_digits.test.images, small_digits)  # logits [500, 10]

# %% tags=["hide-input"]
sizes = [1, 2, 4, 8, 16, 32, 64]
y = small_digits.test.labels
by_size = [
    [metrics.errors(part.mean(0).log().clamp(min=-100), y) for part in passes.split(size)]
    for size in sizes
]
without = metrics.errors(calm, y)
fig, ax = plt.subplots(figsize=(6.5, 3.4))
for k, (size, found) in enumerate(zip(sizes, by_size, strict=True)):
    ax.plot([size] * len(found), found, ls="", marker=".", color="0.6", markevery=1,
            label="one average" if k == 0 else None)  # fmt: skip
ax.plot(sizes, [np.mean(found) for found in by_size], markevery=1, label="mean")
ax.axhline(without, color="k", ls=":", marker="", label="without dropout")
ax.set(xscale="log", xlabel="answers with dropout that are averaged", ylabel="test errors of 500",
       ylim=(0, None))  # fmt: skip
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.legend()
figures.count(fig, {1}, "", "digits", unit="network")
figures.show(
    fig,
    name="02_dropout",
    alt="Test errors of a small network against the number of answers with dropout that are averaged: "
    + ", ".join(f"{s}: {np.mean(f):.1f}" for s, f in zip(sizes, by_size, strict=True))
    + f". Without dropout: {without}.",
)

# %% [markdown]
# A single answer with dropout is noisy. The average of many comes close to the one calm answer. **A
# teacher answers with dropout off**: forget `net.eval()`, and the student learns the noise.

# %% [markdown]
# ## 4. Four teachers
#
# Now the real thing. Four teachers of the same shape and budget: epochs, batch size, optimiser
# (AdamW), one-cycle schedule, dropout .2. They differ in the images they see, and one of them in its
# labels. Hinton's teacher saw jitter and strong dropout.

# %%
tables.compare(teachers, "test_errors")

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 2.9), sharey=True)
for ax, metric in zip(axes, ("test_errors", "test_nll"), strict=True):
    for k, result in enumerate(teachers):
        figures.dot(ax, result.mean_ci(metric)[0], k, result.mean_ci(metric)[1],
                    label="this course" if k == 0 else None)  # fmt: skip
        ax.plot(result.values(metric), [k] * len(result.values(metric)), "|", color="0.5", zorder=0,
                markevery=1)  # fmt: skip
axes[0].set(yticks=range(len(teachers)), yticklabels=[r.name for r in teachers],
            ylim=(len(teachers) - 0.5, -0.5), xlabel=f"test errors of {len(digits.test):,}")  # fmt: skip
axes[1].set(xlabel="negative log-likelihood (nats an image)")
if profile.datasets["mnist"] == "mnist":
    axes[0].axvline(67, color="k", ls=":", marker="", lw=1.2, label="Hinton et al.: 67")
    axes[0].legend(loc="best")
figures.count(fig, {len(r.records) for r in teachers}, PROFILE, profile.datasets["mnist"])
figures.show(
    fig,
    name="02_teachers",
    alt="Test errors and negative log-likelihood of each teacher, a dot with its 95 % interval and a "
    "tick for each seed: "
    + "; ".join(f"{r.name} {r.mean_ci('test_errors')[0]:.1f} errors, "
                f"{r.mean_ci('test_nll')[0]:.4f} nats" for r in teachers) + ".",
)  # fmt: skip

# %% tags=["hide-input"]
Markdown(tables.differences(results, "test_errors", {
    "What jitter does to a teacher": ("jitter", "still images"),
    "What bending adds to jitter": ("elastic views", "jitter"),
    "What label smoothing does to the teacher's own errors":
        ("elastic views, label smoothing", "elastic views"),
}))  # fmt: skip

# %% [markdown]
# Errors are what everybody counts. A student hears more: it hears the probabilities. The right-hand
# plot begins to show that. The next two sections take it further.
#
# ## 5. Calibration: does 90 % mean 90 %?
#
# A network is *calibrated* if it is right in 90 % of the cases in which it says "90 %". A *reliability
# diagram* puts the images into bins by their confidence, the highest probability, and draws the
# share of right answers of each bin. (We leave out bins of fewer than ten images.) On the diagonal a network is honest. Below it, it is
# overconfident. Above it, it is too modest. The *expected calibration error* is the mean distance
# from the diagonal, weighted by the number $n_b$ of images in bin $b$ (Guo et al. 2017):
#
# $$ \mathrm{ECE} = \sum_b \frac{n_b}{N} \,\bigl| \mathrm{accuracy}_b - \mathrm{confidence}_b \bigr| . $$


# %%
def reliability(logits, labels, bins=15):
    """One row a bin: how many images, their mean confidence, their accuracy. Shape [bins, 3]."""
    confidence, guess = logits.double().softmax(1).max(1)  # [N], [N]
    bin_of = (confidence * bins).ceil().long().clamp(1, bins) - 1
    columns = torch.stack([torch.ones_like(confidence), confidence, (guess == labels).double()], 1)
    sums = torch.zeros(bins, 3, dtype=torch.float64).index_add_(0, bin_of, columns)
    return torch.cat([sums[:, :1], sums[:, 1:] / sums[:, :1]], dim=1)  # empty bins: nan


z, y = answers["elastic views"][0]["test"], digits.test.labels
n, confidence, share_right = reliability(z, y).nan_to_num().T
ece = 100 * float((n * (share_right - confidence).abs()).sum() / n.sum())
assert abs(ece - metrics.calibration_error(z, y)) < 1e-9  # the same as kdutils

# %% [markdown]
# ### Mended by one number
#
# *Temperature scaling* divides all logits by one number $T$, which is chosen so that the validation
# images become most likely. Dividing by $T$ does not change which logit is largest. So **no answer
# changes, only how sure it is**. If $T > 1$, the network was too sure. If $T < 1$, it was too modest.


# %%
def fit_temperature(logits, labels):
    """The T > 0 at which the labels are most likely: logits [N, classes], labels [N]."""

    def loss(log_t):
        return metrics.nll(logits / np.exp(log_t), labels)

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


z, y = answers["elastic views"][0]["val"], digits.val.labels
assert abs(fit_temperature(z, y) / metrics.fit_temperature(z, y) - 1) < 1e-3  # the same as kdutils

scaled = {}  # arm -> for each seed (T from the validation images, test logits / T)
for name, found in answers.items():
    fitted = [fit_temperature(z["val"], digits.val.labels) for z in found]
    scaled[name] = [(t, z["test"] / t) for t, z in zip(fitted, found, strict=True)]

# %% tags=["hide-input"]
fig, axes = plt.subplots(
    1, len(answers), figsize=(max(6.5, 3.1 * len(answers)), 3.7), sharey=True, squeeze=False
)
words = []
for ax, (name, found) in zip(axes[0], answers.items(), strict=True):
    pooled = {"as trained": torch.cat([z["test"] for z in found]),
              "divided by T": torch.cat([z for _, z in scaled[name]])}  # fmt: skip
    labels = digits.test.labels.repeat(len(found))
    ax.plot([0, 1], [0, 1], color="0.6", ls="-", lw=1, marker="")
    for k, (state, z) in enumerate(pooled.items()):
        table = reliability(z, labels)
        n, confidence, share_right = table[table[:, 0] >= 10].T.numpy()
        n = n / len(found)  # the seeds answer about the same images
        ends = beta.ppf([[0.025], [0.975]], n * share_right + 0.5, n - n * share_right + 0.5)
        bars = np.clip([share_right - ends[0], ends[1] - share_right], 0, None)
        ax.errorbar(confidence, share_right, bars, fmt=figures.MARKERS[k], color=figures.COLORS[k],
                    ls=figures.DASHES[k], ms=5, lw=1.2, capsize=2, label=state, markevery=1,
                    mfc=figures.COLORS[k] if k == 0 else "white")  # fmt: skip
    t = np.mean([t for t, _ in scaled[name]])
    ax.set_title(f"{name.replace(', ', ',' + chr(10))}\nT = {t:.2f}", fontsize=10, loc="center")
    ax.set(xlabel="confidence", xlim=(0.2, 1.02), ylim=(0.2, 1.02))
    words.append(f"{name}: T = {t:.2f}")
axes[0, 0].set_ylabel("share of right answers")
axes[0, 0].legend(loc="upper left")
figures.count(fig, {len(found) for found in answers.values()}, PROFILE, profile.datasets["mnist"],
              unit="seeds, pooled")  # fmt: skip
figures.show(
    fig,
    name="02_reliability",
    alt="Reliability diagrams on the test images, as trained and after temperature scaling fitted on "
    "validation images; " + "; ".join(words) + ".",
)

# %% tags=["hide-input"]
rows = []
for name, found in answers.items():
    y, after = digits.test.labels, [z for _, z in scaled[name]]
    measured = {
        "T": [t for t, _ in scaled[name]],
        "ECE (%), as trained": [metrics.calibration_error(z["test"], y) for z in found],
        "ECE (%), divided by T": [metrics.calibration_error(z, y) for z in after],
        "NLL, as trained": [metrics.nll(z["test"], y) for z in found],
        "NLL, divided by T": [metrics.nll(z, y) for z in after],
    }
    rows.append({"teacher": name, "n": len(found)} | {
        key: tables.interval(*metrics.mean_ci(values), 4 if "NLL" in key else 2)
        for key, values in measured.items()
    })  # fmt: skip
pd.DataFrame(rows).set_index("teacher")

# %% tags=["nbval-check-output"]
for name, found in answers.items():
    for z, (t, divided) in zip(found, scaled[name], strict=True):
        assert torch.equal(z["test"].argmax(1), divided.argmax(1)), name
        fitted = z["val"] / t
        before, after = (metrics.nll(logits, digits.val.labels) for logits in (z["val"], fitted))
        assert after <= before + 1e-9, name
print("Temperature scaling changed no answer, and made the validation images likelier.")

# %% [markdown]
# Read the $T$ column against your third guess. Two forces pull at it. Whoever knows the training
# digits by heart grows too sure of itself: $T$ above 1. Whoever has practised on hard views expects
# to be wrong, and is too modest on easy, straight digits: $T$ below 1. Label smoothing *asks* for
# modesty.
#
# In distillation both sets of logits are divided by a temperature anyhow. So a wrong overall scale
# does little harm: it is one number. What no temperature can bring back is a difference between two
# wrong classes that the teacher never made. That is the next section.
#
# ## 6. Why a teacher must not smooth its labels
#
# Label smoothing (Szegedy et al. 2016) replaces the label by $1 - s$ on the right class plus $s / C$
# on each of the $C$ classes. For a classifier it often helps. What does it ask of the logits? Its
# cross-entropy is smallest where the softmax *equals* the target:
#
# $$ p_y = 1 - s + \frac{s}{C}, \qquad p_j = \frac{s}{C} \;\text{ for every } j \ne y,
# \qquad z_y - z_j = \log \frac{1 - s + s/C}{s/C} . $$
#
# Every wrong class gets the same logit. A 4 shall look as much like a 9 as like a 0. The loss pays
# for forgetting just what a student would want to know (Müller et al. 2019).

# %%
s, C = 0.1, 10
gap = np.log((1 - s + s / C) / (s / C))
z = torch.zeros(1, C, dtype=torch.float64)  # [1, C], the right class is 4
z[0, 4] = gap
z.requires_grad_()
target = losses.smoothed_targets(torch.tensor([4]), C, s).double()
losses.soft_cross_entropy(z, target).backward()
assert z.grad.abs().max() < 1e-8  # nothing is left to gain
print(f"gap that s = {s} asks for: {gap:.2f}. Without smoothing the loss asks for more, for ever.")

# %% [markdown]
# ### How much does a teacher say about the wrong classes?
#
# Take the wrong classes alone and let their probabilities sum to one: $r_j = q_j / (1 - q_y)$ for
# $j \ne y$. If all nine are equal, the entropy is $\log 9$, and $r$ says nothing. What it says, in
# nats, is how far the entropy $H$ stays below that. Let $\bar r_y$ be the mean of $r$ over all
# images of class $y$. Then
#
# $$ \log 9 - \overline{H(r)} \;=\; \underbrace{\log 9 - \overline{H(\bar r_y)}}_{\text{what the class says}}
# \;+\; \underbrace{\overline{H(\bar r_y)} - \overline{H(r)}}_{\text{what this image says}} . $$
#
# The first part is "a 4 is rather like a 9". A table of ten rows would hold it. The second is "*this*
# 4 is like a 9, and that one is like a 6". No label, and no table, has it.


# %%
def information(logits, labels, T):
    """Nats about the wrong classes: (what the class says, what this image says)."""
    right = F.one_hot(labels, 10).bool()
    r = (logits[~right].view(-1, 9) / T).softmax(1).double()  # [N, 9]
    n = torch.bincount(labels, minlength=10).double()  # [10] images a class
    means = torch.zeros(10, 9, dtype=torch.float64).index_add_(0, labels, r) / n[:, None]
    entropy = torch.special.entr(r).sum(1).mean()
    entropy_of_means = torch.special.entr(means).sum(1) @ n / n.sum()
    return float(np.log(9) - entropy_of_means), float(entropy_of_means - entropy)


temperatures = [1, 2, 4, 8, 20]
said = {  # arm -> [seeds, temperatures, 2]
    name: np.array(
        [[information(z["test"], digits.test.labels, T) for T in temperatures] for z in found]
    )
    for name, found in answers.items()
}

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.8), sharey=True)
for part, (ax, title) in enumerate(
    zip(axes, ("what the class says", "what this image says"), strict=True)
):
    for k, (name, values) in enumerate(said.items()):
        ax.plot(temperatures, values[:, :, part].mean(0), color=figures.COLORS[k], label=name,
                ls=figures.DASHES[k], marker=figures.MARKERS[k], markevery=1)  # fmt: skip
        for line in values[:, :, part]:
            ax.plot(
                temperatures, line, color=figures.COLORS[k], ls="", marker=".", ms=2, markevery=1
            )
    ax.set(xscale="log", yscale="log", xlabel="temperature T", title=title)
    ax.set_xticks(temperatures, temperatures)
    ax.minorticks_off()
    ax.yaxis.set_major_formatter("{x:g}")
axes[0].set_ylabel("nats an image")
axes[1].legend()
figures.count(fig, {len(v) for v in said.values()}, PROFILE, profile.datasets["mnist"],
              unit="seeds (points; lines: their mean)", bars=False)  # fmt: skip
figures.show(
    fig,
    name="02_information",
    alt="What each teacher says about the wrong classes, in nats an image against the temperature, "
    "divided into what the class says and what this image says. At T = 4 this image says: "
    + "; ".join(f"{name} {v[:, 2, 1].mean():.3f}" for name, v in said.items()) + ".",
)  # fmt: skip

# %% [markdown]
# Read the right-hand plot upwards, at one temperature: how much more one teacher says than another.
# Read it sideways too. Smoothing made all logits smaller, and a student could answer with a lower
# temperature. A fair question is therefore one that does not depend on scale: **do two teachers of
# different seeds say the same about an image?** Remove each class's mean from the wrong logits. What
# is left is about this image alone. The correlation between two seeds is near 1 if it is knowledge, and
# near 0 if it is noise.


# %%
def about_this_image(logits, labels):
    """Wrong-class logits without their mean over classes and over the images of one class: [N, 9]."""
    z = logits[~F.one_hot(labels, 10).bool()].view(-1, 9)
    z = z - z.mean(1, keepdim=True)
    n = torch.bincount(labels, minlength=10)[:, None]
    return z - (torch.zeros(10, 9).index_add_(0, labels, z) / n)[labels]


shared = {}  # arm -> correlation of each pair of neighbouring seeds
for name, found in answers.items():
    left = [about_this_image(z["test"], digits.test.labels).flatten() for z in found]
    if len(left) > 1:
        shared[name] = [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in pairwise(left)]

# %% tags=["hide-input"]
rows = []
for name, found in answers.items():
    y = digits.test.labels
    mean_gap = []
    for z in (z["test"] for z in found):
        right = F.one_hot(y, 10).bool()
        mean_gap.append(float((z[right] - z[~right].view(-1, 9).mean(1)).mean()))
    rows.append({
        "teacher": name, "n": len(found),
        "gap between right and wrong logits": tables.interval(*metrics.mean_ci(mean_gap), 2),
        "nats about the image, T = 1": tables.interval(*metrics.mean_ci(said[name][:, 0, 1]), 3),
        "nats about the image, T = 4": tables.interval(*metrics.mean_ci(said[name][:, 2, 1]), 3),
        "correlation between seeds": f"{np.mean(shared[name]):.2f}" if name in shared else "one seed",
    })  # fmt: skip
pd.DataFrame(rows).set_index("teacher")

# %% [markdown]
# The gap of the smoothing teacher stands beside the one that the formula asks for. Its spread about
# that gap is what is left of its knowledge.
#
# One image says it best. This is the test digit about which the teacher on elastic views has most to
# say, among those that it reads rightly in every seed. The bars are the soft targets of $T = 4$.

# %% tags=["hide-input"]
two = [name for name in ("elastic views", "elastic views, label smoothing") if name in answers]
y = digits.test.labels
mean_q = {n: torch.stack([(z["test"] / 4).softmax(1) for z in answers[n]]).mean(0) for n in two}
sure = torch.stack([z["test"].argmax(1) == y for n in two for z in answers[n]]).all(0)
second = mean_q[two[0]].masked_fill(F.one_hot(y, 10).bool(), 0).max(1).values
pick = int((second * sure).argmax())
fig, axes = plt.subplots(1, 2, figsize=(8.5, 3.0), width_ratios=[1, 2.6])
axes[0].imshow(digits.test.images[pick, 0], cmap="gray_r")
axes[0].set(xticks=[], yticks=[], title=f"test digit, label {int(y[pick])}")
axes[0].spines[:].set_visible(True)
for k, name in enumerate(two):
    axes[1].bar(np.arange(10) + 0.4 * k - 0.2, mean_q[name][pick], 0.38, color=figures.COLORS[k],
                hatch=("", "//")[k], ec="white", label=name)  # fmt: skip
axes[1].set(xticks=range(10), xlabel="class", ylabel="soft target at T = 4")
axes[1].legend()
figures.count(fig, {len(answers[n]) for n in two}, PROFILE, profile.datasets["mnist"],
              unit="seeds averaged", bars=False)  # fmt: skip
figures.show(
    fig,
    name="02_one_digit",
    alt=f"A test digit with label {int(y[pick])} and the soft targets of "
    + " and of ".join(f"the teacher on {n} (label {mean_q[n][pick, y[pick]]:.2f}, next class "
                      f"{mean_q[n][pick].topk(2).values[1]:.2f})" for n in two) + ".",
)  # fmt: skip

# %% [markdown]
# ### The proof of the pudding
#
# Two students of the same shape and budget learn from these two teachers, on the same views, at
# $T = 4$, without labels.

# %% tags=["hide-input"]
students = [r for r in results if r.arm.table == "What they teach"]
pupils = ("student of the smoothing teacher", "student of the teacher on elastic views")
tables.compare(students, "test_errors") if students else Markdown("Not recorded yet: TRAIN = True.")

# %% tags=["hide-input"]
Markdown(tables.differences(results, "test_errors", {
    "What the teacher's label smoothing does to its student": pupils,
}))  # fmt: skip

# %% [markdown]
# ## 7. Stored knowledge
#
# A teacher's answer about a view never changes. So it is asked once, and its ten logits are kept. A
# student of any loss, temperature or shape learns from them without the teacher in memory.
#
# We store logits and not probabilities: a temperature can then be chosen later. We store them as
# float16, with 11 significant bits: a number $z$ has neighbours at a distance of about $|z| / 1000$,
# and rounding is off by at most half of that. Views make this possible: the student's epoch 3 of seed
# 0 *is* view 3 of seed 0, whenever it comes.
#
# Here is a small teacher, live, and what is stored of it.

# %%
student = replace(small, model="mlp-32-32", views="elastic", teacher=tiny, temperature=4.0)
folder = tempfile.TemporaryDirectory()
knowledge = Knowledge(student, small_digits, lambda: [net], Store(Path(folder.name)), pick_device())
stored = {view: knowledge.logits(view) for view in range(3)}  # float16 [1100, 10], from the file
live = {view: knowledge.live(view).cpu() for view in range(3)}  # float32 [1100, 10], from the net

difference = torch.cat([(stored[v].float() - live[v]).abs().flatten() for v in stored])
spacing = np.concatenate([np.spacing(np.abs(stored[v].numpy())).ravel() for v in stored])
spacing = torch.from_numpy(spacing).float()  # the distance to the next float16

# %% tags=["hide-input"]
size = knowledge.path(0).stat().st_size
lost = max(metrics.kl_to_teacher(stored[v].float(), live[v]) for v in stored)
Markdown(
    f"{len(difference):,} logits of {len(stored)} views. Largest difference between stored and live: "
    f"**{float(difference.max()):.5f}**, where neighbours in float16 are {float(spacing[difference.argmax()]):.5f} "
    f"apart. As a share of that distance: at most **{float((difference / spacing).max()):.3f}**. "
    f"Divergence between stored and live probabilities: {lost:.1e} nats an image. "
    f"A view of {len(stored[0]):,} images takes {size / 1000:.0f} kB; "
    f"one of MNIST's 55,000 takes {55_000 * 10 * 2 / 1e6:.1f} MB."
)

# %% tags=["nbval-check-output"]
assert (difference <= spacing / 2).all()
assert all(torch.equal(stored[v], live[v].half()) for v in stored)
print("Stored = live, rounded to float16: bit for bit.")


def nobody():
    raise AssertionError("the live teacher was asked")


again = Knowledge(student, small_digits, nobody, Store(Path(folder.name)), pick_device())
assert all(torch.equal(again.logits(v), stored[v]) for v in stored)
print("A second student reads the same knowledge, without any teacher.")

# %% [markdown]
# ### Consistent
#
# What if the answers belong to another view? Then a student looks at a digit that leans to the left
# and is told about one that leans to the right. Beyer et al. (2022) call a teacher *consistent* if it
# answers about exactly what the student sees. How far apart are two answers about two views of the
# same image?

# %% tags=["hide-input"]
still_answers = predict(net, small_digits.train.images, small_digits).cpu()  # [1100, 10]
shuffled = torch.randperm(len(still_answers), generator=torch.Generator().manual_seed(0))
told = {
    "the same view, stored": stored[0].float(),
    "another view of the same image": stored[1].float(),
    "the still image": still_answers,
    "another image": stored[0].float()[shuffled],
}
consistency = pd.DataFrame(
    [(name, f"{metrics.kl_to_teacher(z, live[0]):.4f}", f"{metrics.agreement(z, live[0]):.1f}")
     for name, z in told.items()],
    columns=["the student is told about", "KL from the right answer (nats)", "same class named (%)"],
).set_index("the student is told about")  # fmt: skip
consistency

# %% [markdown]
# The last row is what happened in the code behind the poster's CIFAR-10 tables: logits were stored in
# one shuffled order and read in another. Notebook 03 shows what a student learns from such a teacher.
#
# And *patient*: the student needs many epochs, so the teacher must have answers for many views.
# With the hash it has as many as one likes, and each costs one pass.

# %% [markdown]
# ## 8. ResNet-18 against the truth
#
# On a CPU the full ResNet-18 is too slow for a notebook. Here is a narrow one on bayes10, the colour
# images of notebook 01: a look at how it learns, no teacher yet. bayes10 has a virtue that no photograph
# has. Its exact posterior $p(y \mid x)$ is known. So a teacher's probabilities can be *marked*. Menon
# et al. (2021) say that a teacher helps as far as it comes close to this truth.

# %% tags=["hide-input"]
short = next((r for r in results if r.arm.table == "A short run of ResNet-18"), None)
colour = data.load("bayes10")
some = colour.test.take(torch.arange(1000))
truth = (
    bayes10.posterior(some.images).log().clamp(min=-50)
)  # logits of the perfect teacher [1000, 10]
bayes = 100 - metrics.accuracy(truth, some.labels)
if short is not None:
    recipe = short.arm.recipe
    curves = (
        100
        * np.array([[p["val_errors"] for p in r.curve] for r in short.records])
        / len(colour.val)
    )
    at = 1 + np.arange(curves.shape[1])
    fig, ax = plt.subplots(figsize=(6.5, 3.4))
    for k, curve in enumerate(curves):
        ax.plot(
            at, curve, color="0.6", lw=1, marker="", ls="-", label="one seed" if k == 0 else None
        )
    ax.plot(at, curves.mean(0), ls="-", marker="o", markevery=1, color=figures.COLORS[0],
            label="mean of the seeds")  # fmt: skip
    ax.axhline(bayes, color="k", ls=":", marker="", label="exact posterior, 1,000 test images")
    ax.set(
        xlabel="epoch",
        ylabel="validation errors (%)",
        ylim=(0, 100),
        xticks=at[:: 1 + len(at) // 15],
    )
    ax.legend()
    figures.count(fig, {len(curves)}, PROFILE, f"bayes10, {recipe.n_train:,} images, {recipe.model}",
                  bars=False)  # fmt: skip
    figures.show(
        fig,
        name="02_resnet18_run",
        alt=f"Validation errors in percent of {recipe.model} on {recipe.n_train:,} images of bayes10: "
        f"from {curves.mean(0)[0]:.1f} after the first epoch to {curves.mean(0)[-1]:.1f} after epoch "
        f"{len(at)}, in the mean over seeds (n = {len(curves)}). The exact posterior makes {bayes:.1f}.",
    )

# %% tags=["hide-input"]
marked = {"exact posterior": [truth]}
found = [store.logits(r.recipe) for r in short.records] if short is not None else []
if found := [z for z in found if z is not None]:
    t = [fit_temperature(z["val"], colour.val.labels) for z in found]
    marked |= {
        f"{short.arm.recipe.model}, as trained": [z["test"][:1000] for z in found],
        f"{short.arm.recipe.model}, divided by T = {np.mean(t):.2f}":
            [z["test"][:1000] / k for z, k in zip(found, t, strict=True)],
    }  # fmt: skip
measures = {
    "accuracy (%)": lambda z: metrics.accuracy(z, some.labels),
    "NLL (nats)": lambda z: metrics.nll(z, some.labels),
    "ECE (%)": lambda z: metrics.calibration_error(z, some.labels),
    "KL from the truth (nats)": lambda z: metrics.kl_to_teacher(z, truth),
}
pd.DataFrame(
    [{"network": name, "n": len(zs)} | {
        key: tables.interval(*metrics.mean_ci([f(z) for z in zs]), 2) for key, f in measures.items()
    } for name, zs in marked.items()]
).set_index("network")  # fmt: skip

# %% [markdown]
# The last column is the mark that counts for a teacher. No other data set of this course can give it.
# The perfect teacher does not have 100 % accuracy, and its likelihood loss is not 0: some images *are*
# between two classes, and it says so.

# %% [markdown]
# ## What we saw

# %% tags=["hide-input"]
by_errors = sorted(teachers, key=lambda r: r.mean_ci("test_errors")[0])
lines = [
    f"**Accurate.** On {profile.datasets['mnist']} (profile {PROFILE}) the fewest test errors come "
    f"from *{by_errors[0].name}* ({tables.interval(*by_errors[0].mean_ci('test_errors'))}, "
    f"n = {len(by_errors[0].records)})"
    + (f", the most from *{by_errors[-1].name}* "
       f"({tables.interval(*by_errors[-1].mean_ci('test_errors'))}, n = {len(by_errors[-1].records)})."
       if len(by_errors) > 1 else "."),
    "**Calibrated.** Temperatures fitted on validation: "
    + "; ".join(f"*{name}* {np.mean([t for t, _ in v]):.2f}" for name, v in scaled.items())
    + ". Above 1 the teacher was too sure, below 1 too modest.",
    "**Telling.** At T = 4 an image's own wrong classes carry "
    + "; ".join(f"{v[:, 2, 1].mean():.3f} nats (*{name}*)" for name, v in said.items()) + ".",
    f"**Consistent.** Stored logits differ from live ones by at most half a step of float16. The "
    f"small live teacher's answer about another view of the same image is {consistency.iloc[1, 0]} nats off, one about another "
    f"image {consistency.iloc[3, 0]}.",
    f"**Who chooses.** The best of {len(nets)} teachers promised {promised:.2f} % errors on the images "
    f"that chose it. The truth was {kept:.2f} %.",
]  # fmt: skip
Markdown("\n".join(f"- {line}" for line in lines))

# %% [markdown]
# ## Where it can mislead
#
# - **Views need time.** A teacher that never sees an image twice learns more slowly. With few epochs,
#   still images can win. On the `smoke` profile, a dozen epochs on small digits, look who does.
# - **More nats are not better by themselves.** Noise has low entropy too. That is why the table holds
#   the correlation between seeds beside them. A permuted teacher, in notebook 03, is the last control.
# - **A good likelihood and a good student are two things.** The section on label smoothing ends with a
#   student, and only that row decides. Its interval says how surely.
# - **Calibration is measured where there are images.** A good MNIST teacher is sure of almost every
#   test digit. All bins but the last are small, and the error bars show it.
# - **ECE depends on its bins** and is never below 0, even for a perfect network: see the row of the
#   exact posterior. The negative log-likelihood has no bins.
# - **Hinton's teacher is not ours.** It saw jitter, had dropout and weight constraints, and one figure
#   is reported. Our jitter row is the closer one to hold against it.
# - **The smoothing teacher has the same budget, not its own best one.** Its smoothing of .1 was not
#   tuned, nor was anything else for it.

# %% [markdown]
# ## Exercises
#
# 1. *(5 minutes, easy)* Ten networks are all equally good: each errs on every image with probability
#    .7 %, independently. Somebody reports the best of the ten on 10,000 test images. What accuracy will
#    be reported, in the mean? Simulate it.
# 2. *(10 minutes, easy)* Flip one bit of an image's number. How many of the 32 bits of the hash
#    change? What should it be?
# 3. *(10 minutes, medium)* Choose the temperature that makes the *calibration error* on validation
#    smallest, in place of the likelihood. Is the calibration error on the test images smaller?
# 4. *(20 minutes, medium)* Store logits in 8 bits: for each image its smallest and its largest logit, and 256
#    steps between. What is the largest error, and how many nats are lost at $T = 1$?
#
# Solutions are in `notebooks/solutions/02_training_teachers.py`, and the tests run them.
#
# ## Summary
#
# - A good teacher is accurate, calibrated up to one number, telling about the wrong classes,
#   consistent and patient.
# - Views come from a hash of seed, epoch and image. That makes stored answers as good as live ones.
# - Validation chooses; the last epoch of a one-cycle run needs no choosing.
# - Label smoothing asks for equal wrong classes. Keep it out of a teacher.
#
# ## Sources
#
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*, arXiv:1503.02531.
# - L. Beyer et al. (2022), *Knowledge distillation: a good teacher is patient and consistent*, arXiv:2106.05237.
# - R. Müller, S. Kornblith, G. Hinton (2019), *When does label smoothing help?*, arXiv:1906.02629.
# - C. Guo et al. (2017), *On calibration of modern neural networks*, arXiv:1706.04599.
# - A. K. Menon et al. (2021), *A statistical perspective on distillation*, ICML.
# - K. He et al. (2016), *Deep residual learning for image recognition*, arXiv:1512.03385.
# - L. Smith (2018), *A disciplined approach to neural network hyper-parameters*, arXiv:1803.09820.
# - N. Srivastava et al. (2014), *Dropout*, JMLR 15; C. Szegedy et al. (2016), arXiv:1512.00567.
# - The poster's tables and code: github.com/peterliht/knowledge-distillation-pytorch.
