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
# # 05 · Is a better teacher a better teacher?
#
# You want a ResNet-18 that is as accurate as possible. Somebody offers you the answers of a network
# with three times its parameters, or of one with a fifteenth of them. Whose answers do you take?
#
# A poster that many courses copy tried four teachers for one ResNet-18. All four students came out
# ahead, by .16 to .61 points, in one run each. Two runs of one and the same recipe can differ by a
# good part of that. So the question is open. We count the networks, repeat the experiment over seeds,
# and ask what a teacher must have in order to teach.
#
# **You will be able to**
#
# - say how many runs a difference of a tenth of a point needs;
# - build the blocks of four families of deep networks, and count what they cost;
# - teach from a teacher that does not fit into memory beside its student;
# - measure a teacher by what theory says matters, and not by its accuracy alone;
# - say how little a correlation over five teachers proves.
#
# You need notebook 01 (soft targets, the loss). Notebook 02 explains calibration, 04 the stored
# knowledge.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": embedded images. "laptop": CIFAR-10, records. "paper": full budgets
SEEDS = None  # None: the profile's own seeds. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks (hours on a laptop). Smoke runs always do

# %%
from dataclasses import replace
from functools import cache
from itertools import permutations
from math import ceil

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from scipy import stats
from torch import nn

from kdutils import bayes10, course, data, figures, losses, metrics, models, profiles, tables
from kdutils.course import nb05
from kdutils.knowledge import Knowledge, stored
from kdutils.knowledge import name as file_name
from kdutils.runs import run_arms
from kdutils.store import Store

profile, seeds = profiles.setup(PROFILE, SEEDS)
profiles.check_flag("TRAIN", TRAIN)
figures.theme()
store = Store()
dataset_name = profile.datasets["cifar10"]
arms = course.arms(5, PROFILE)
if TRAIN or PROFILE == "smoke":
    run_arms(arms, seeds, store)
results = tables.collect(5, PROFILE, seeds, store)
by_name = {result.name: result for result in results}
nothing = f"No run of the profile `{PROFILE}` is recorded yet. `TRAIN = True` trains them."
Markdown(tables.cost(results) if results else nothing)

# %% [markdown]
# ## Predict first
#
# Write down a guess before you read on.
#
# 1. WRN-28-10 has 47 times the parameters of DenseNet-BC-100-12. How many times the multiplications
#    does it need for one image?
# 2. Two ResNet-18s learn from the same labels. They differ in the seed alone. By how many points does
#    their test accuracy differ?
# 3. Rank the four teachers by accuracy, then rank their four students. Is it the same order?
# 4. A fifth student learns from a trained copy of *its own* network. Does it gain, lose, or stay
#    where it was?

# %% [markdown]
# ## 1. The published table
#
# | ResNet-18 on CIFAR-10, test accuracy in percent | best test epoch | last epoch |
# |---|---|---|
# | hard labels | 94.175 | 92.10 |
# | distilled from WRN-28-10 | 94.333 | 93.97 |
# | distilled from PreResNet-110 | 94.531 | 94.15 |
# | distilled from DenseNet-BC-100-12 | 94.729 | 92.61 |
# | distilled from ResNeXt-29, 8 × 64 | 94.788 | 94.54 |
#
# Five things are wrong with it. Notebook 04 takes the first three apart by experiment, on CNN5.
#
# 1. The teachers' logits belonged to **other images**: they were stored in one order and looked up
#    in another.
# 2. The soft term was **ten times too weak**: averaged over batch *and* classes.
# 3. The **test set chose the epoch**. Compare the two columns: from one to the other the DenseNet's
#    student falls from second place among the four to the last.
# 4. **Unequal budgets**: the rows with and without a teacher had other schedules and other numbers of
#    epochs.
# 5. **One seed** a row.
#
# The teachers themselves are good: 96.21, 95.06, 95.46 and 96.31 percent in the source of their code
# (one run each).
#
# ### What an honest table looks like
#
# A public study of the same question (umutonuryasar/kd-capacity-gap, version 2) held out validation
# images, fixed its budget before the runs, and used five seeds. Mean and standard deviation:
#
# | ResNet-18 on CIFAR-10, 100 epochs | test accuracy (%) |
# |---|---|
# | hard labels | 94.86 ± .14 |
# | from ResNet-34 | 94.78 ± .09 |
# | from ResNet-50 | 94.91 ± .08 |
# | from the features of ResNet-34 | 94.98 ± .15 |
#
# Its hard-label row beats every row of the poster. How many seeds would it take to call the last row
# better than the first?
#
# ### How many runs a difference needs
#
# Two arms of $n$ runs each, with standard deviation $\sigma$ between seeds. Their means differ by
# chance with standard deviation $\sigma \sqrt{2/n}$. We want to find a true difference $\delta$ with
# 80 % probability (the *power*), and cry wolf in at most 5 % of the cases where there is none. For a
# two-sided test this asks for
#
# $$ n \ge 2 \left( \frac{(z_{.975} + z_{.8})\, \sigma}{\delta} \right)^2 . $$


# %% tags=["nbval-check-output"]
def seeds_needed(difference: float, sigma: float, power: float = 0.8, level: float = 0.05) -> int:
    """Runs an arm, for two arms with standard deviation sigma between seeds."""
    z = stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)  # 1.96 + 0.84
    return ceil(2 * (z * sigma / difference) ** 2)


for difference in (0.05, 0.1, 0.2, 0.4):
    print(f"to find {difference:4} points: {seeds_needed(difference, sigma=0.14):3} seeds an arm")
honest = stats.ttest_ind_from_stats(94.98, 0.15, 5, 94.86, 0.14, 5)
print(f"the study's last row against its first: p = {honest.pvalue:.2f}")

# %% [markdown]
# So five seeds an arm, as in the study, find differences of a quarter of a point. A tenth of a point
# needs about thirty. The poster has one run. Its smallest gain would need more than a dozen.
#
# The formula takes $\sigma$ as known. It is not: a standard deviation from five seeds may be off by a
# factor of two and more. And a $t$-test, which must estimate it, asks for a seed or two more.
#
# Two things help. Runs can be **paired by seed**: same first weights, same order of the images. Two
# distilled students also share their views; a hard-label student draws its own. What a pair shares
# drops out (exercise 2 says how much). And the study can look for **larger** effects: fewer labels, a
# smaller student (notebook 04).
#
# ## 2. Four ideas of going deeper
#
# The poster's teachers belong to four families. Each has one idea. We build the block of each idea
# from bare PyTorch, give it the weights of the block in `kdutils`, and see that both say the same.
#
# ### Pre-activation, and width instead of depth
#
# A residual block adds what it computes to what it got, $y = x + f(x)$. He et al. (2016) moved
# normalisation and ReLU *in front of* each convolution. Then nothing stands on the way of $x$, and
# over many blocks
#
# $$ x_L = x_0 + \sum_{l < L} f_l(x_l) . $$
#
# The gradient reaches every block undamped. Zagoruyko and Komodakis (2016) then asked whether depth
# is needed. They took 28 layers and made them $k$ times as *wide*. A convolution from $kn$ to $kn$
# channels has $9 k^2 n^2$ weights: WRN-28-10 has about a hundred times those of WRN-28-1.

# %% tags=["nbval-check-output"]
from kdutils.models.residual import WideBlock


def norm_relu_conv(n_in: int, n_out: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(n_in), nn.ReLU(), conv)


def take_weights(mine: nn.Module, theirs: nn.Module) -> None:
    """Copy all weights in their order; an error where the numbers of weights differ."""
    assert models.count_parameters(mine) == models.count_parameters(theirs)
    flat = nn.utils.parameters_to_vector(theirs.parameters())
    nn.utils.vector_to_parameters(flat, mine.parameters())


x = torch.randn(2, 32, 16, 16, generator=torch.Generator().manual_seed(0))  # [B, C, H, W]
f = nn.Sequential(norm_relu_conv(32, 32, 3), norm_relu_conv(32, 32, 3))
block = WideBlock(32, 32, stride=1, dropout=0.0)
take_weights(f, block)
assert torch.allclose(x + f(x), block(x), atol=1e-5)
print(f"wide block, 32 channels: {models.count_parameters(f):,} parameters, same output")

nn.init.zeros_(block.conv2.weight)  # f = 0
assert torch.equal(block(x), x)
print("With f = 0 the block lets everything pass: the way of x is free.")

# %% [markdown]
# ### The bottleneck
#
# A 3 × 3 convolution on many channels is dear. So first go down to a quarter of the channels with a
# 1 × 1 convolution, do the 3 × 3 there, and go up again. The block has three convolutions, and is
# still far cheaper than one of 3 × 3 at full width. Depth becomes affordable.

# %% tags=["nbval-check-output"]
from kdutils.models.residual import PreActBottleneck

x = torch.randn(2, 256, 8, 8, generator=torch.Generator().manual_seed(0))  # [B, 4 n, H, W]
f = nn.Sequential(
    norm_relu_conv(256, 64, 1),  # down: [B, n, H, W]
    norm_relu_conv(64, 64, 3),  # the only 3 x 3
    norm_relu_conv(64, 256, 1),  # up: [B, 4 n, H, W]
)
block = PreActBottleneck(256, 64, stride=1)
take_weights(f, block)
assert torch.allclose(x + f(x), block(x), atol=1e-4)
full = models.count_parameters(norm_relu_conv(256, 256, 3))
print(f"bottleneck: {models.count_parameters(f):,}; one full 3 x 3: {full:,} parameters")

# %% [markdown]
# ### How deep is "PreResNet-110"?
#
# A network's depth counts the layers with weights along the longest way: the stem, the convolutions
# of the blocks, and the last linear layer. Shortcuts do not count. With three stages of $n$
# bottlenecks that is $3 \cdot 3 n + 2 = 9 n + 2$. The code behind the poster computes
# $n = (110 - 2) / 6 = 18$, as if a block had two convolutions, but builds bottlenecks of three (from
# depth 44 on). Let us count what that gives. On the `meta` device a network has shapes and no numbers,
# so counting is free.


# %% tags=["nbval-check-output"]
@cache
def on_paper(name: str) -> nn.Module:
    """A network without numbers: for counting."""
    with torch.device("meta"):
        return models.build(name)


for depth in (110, 164):
    net = on_paper(f"preresnet-{depth}")
    layers = sum(
        isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name
        for name, module in net.named_modules()
    )
    print(f"preresnet-{depth}: {len(net.stages) // 3} blocks a stage, {layers} layers, "
          f"{models.count_parameters(net):,} parameters")  # fmt: skip

# %% [markdown]
# The poster's source reports 1.7 million parameters. So its "PreResNet-110" has 164 layers. In He's
# paper, too, it is the network of 164 layers that is made of bottlenecks. We call it `preresnet-164`.
# A name is a claim. Counting is a test.
#
# ### Dense concatenation
#
# Huang et al. (2017) do not add. Each layer *joins* its $k$ new channels to everything before it, so
# every later layer can read it unchanged: after $l$ layers there are $n_0 + k l$ channels. The
# growth $k$ may be small, twelve here. A 1 × 1 convolution to $4k$ channels keeps the price of the
# long input down.

# %% tags=["nbval-check-output"]
from kdutils.models.residual import DenseLayer

k, n = 12, 24  # growth, channels at the start
x = torch.randn(2, n, 16, 16, generator=torch.Generator().manual_seed(0))
for _ in range(3):
    f = nn.Sequential(norm_relu_conv(n, 4 * k, 1), norm_relu_conv(4 * k, k, 3))
    layer = DenseLayer(n, k)
    take_weights(f, layer)
    joined = torch.cat([x, f(x)], dim=1)  # [B, n + k, H, W]
    assert torch.allclose(joined, layer(x), atol=1e-5)
    print(f"{n} -> {joined.shape[1]} channels for {models.count_parameters(f):,} parameters")
    x, n = joined, n + k

# %% [markdown]
# ### Grouped convolution
#
# Xie et al. (2017) cut the middle of a bottleneck into $g$ groups. Each group reads only its own
# channels. The 3 × 3 convolution on $c$ channels then has $9 c^2 / g$ weights instead of $9 c^2$.
# For the same price the block can be wider. Normalisation and ReLU come after the convolution here.

# %% tags=["nbval-check-output"]
from kdutils.models.residual import GroupedBottleneck


def conv_norm(n_in: int, n_out: int, kernel: int, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(n_out)]


x = torch.randn(2, 64, 8, 8, generator=torch.Generator().manual_seed(0))
f = nn.Sequential(*conv_norm(64, 32, 1), nn.ReLU(), *conv_norm(32, 32, 3, groups=8), nn.ReLU(),
                  *conv_norm(32, 64, 1))  # fmt: skip
block = GroupedBottleneck(64, 32, 64, groups=8, stride=1)
take_weights(f, block)
assert torch.allclose(F.relu(x + f(x)), block(x), atol=1e-5)
weights = [conv_norm(512, 512, 3, groups=g)[0].weight.numel() for g in (1, 8)]
print(f"3 x 3 on 512 channels: {weights[0]:,} weights in one group, {weights[1]:,} in eight")

# %% [markdown]
# ### What they cost
#
# Parameters decide the size of the file. Multiplications (MACs: multiply and accumulate) decide what
# an answer costs. The two are not the same: a convolution uses each weight at every position of the
# image. All numbers below are counted, none is looked up.

# %% tags=["hide-input"]
keys = {"student": "deep_student"} | {f: key for f, (key, *_) in nb05.FAMILIES.items()}


@cache
def macs_of(name: str) -> int:
    return models.count_macs(on_paper(name))


def counted(name: str) -> dict[str, str]:
    net = on_paper(name)
    macs = macs_of(name) / 1e6
    return {"network": name, "parameters": f"{models.count_parameters(net):,}",
            "million MACs": f"{macs:,.0f}" if macs >= 100 else f"{macs:.2g}"}  # fmt: skip


columns = {"paper": "poster"} | ({} if PROFILE == "paper" else {PROFILE: f"profile {PROFILE}"})
pd.concat(
    {
        title: pd.DataFrame({f: counted(profiles.get(p).budget[key]) for f, key in keys.items()}).T
        for p, title in columns.items()
    },
    axis=1,
)

# %% tags=["nbval-check-output"]
published = {"resnet18": 11_173_962, "wrn-28-10": 36_479_194, "preresnet-164": 1_703_258,
             "densenet-100-12": 769_162, "resnext-29-8x64": 34_426_698}  # fmt: skip
for name, parameters in published.items():
    assert models.count_parameters(on_paper(name)) == parameters
wide, dense = (macs_of(n) for n in ("wrn-28-10", "densenet-100-12"))
print(f"All five networks have the published size. WRN-28-10 needs {wide / dense:.0f} times the "
      "multiplications of DenseNet-BC-100-12.")  # fmt: skip

# %% [markdown]
# ## 3. Why this is affordable: the teacher answers once
#
# A teacher that sits beside its student answers in every step of every run. Training costs about
# three times the forward pass: once forward, twice back. So with $M_t$ and $M_s$ multiplications, a
# student of a *live* teacher costs $M_t + 3 M_s$ an image instead of $3 M_s$.
#
# Here each teacher answers once about $V$ views of every image. Its logits go to a file of
#
# $$ V \times N \times \text{classes} \times \text{bits} / 8 \quad \text{bytes}, $$
#
# and every student of every seed learns from the file. The teacher is not in memory then.

# %% tags=["hide-input"]
student_macs = macs_of(profile.budget["deep_student"])
taught = [a for a in arms if a.recipe.teachers and a.recipe.teacher_order == "matched"]
n_images = taught[0].recipe.n_train or len(data.load(dataset_name).train)
n_classes = 10
rows = {}
for arm in taught:
    teacher, recipe = arm.recipe.teachers[0], arm.recipe
    net = on_paper(teacher.model)
    live = 1 + macs_of(teacher.model) / (3 * student_macs)
    rows[arm.name.split(" from ")[1]] = {
        "cost of an epoch beside a live teacher": f"× {live:.2f}",
        "teacher's weights, float32 (MB)": f"{4 * models.count_parameters(net) / 1e6:.2f}",
        "file of its answers (MB)":
            f"{recipe.n_views * n_images * n_classes * recipe.bits / 8 / 1e6:.2f}",
    }  # fmt: skip
pd.DataFrame(rows).T

# %% [markdown]
# The count, and where this machine has the files, what they really hold:


# %%
def known(recipe):
    """The stored answers behind a recipe, or None. It never trains a teacher to get them."""

    def nets():
        raise FileNotFoundError("not enough is stored here")

    patterns = [file_name(recipe, "*", "*", part) for part in ("", "*")]  # of all or some images
    if not any(any(f.glob(p)) for f in store.knowledge_folders() for p in patterns):
        return None
    about = data.load(recipe.dataset)
    try:
        return stored(Knowledge(recipe, about, nets, store, torch.device("cpu")))
    except FileNotFoundError:
        return None


# %% tags=["hide-input"]
some = taught[0].recipe
file = known(some)
by_formula = some.n_views * n_images * n_classes * some.bits // 8
said = f"{some.n_views} view{'s' if some.n_views > 1 else ''} × {n_images:,} images × {n_classes} classes × {some.bits} bits are "
said += f"**{by_formula:,} bytes** a teacher. "
if file is None:
    said += "The file itself is not on this machine."
else:
    values = file.tensors["train"]
    assert values[:, :n_images].nbytes == by_formula
    said += f"The file of `{some.teachers[0].model}` holds a tensor of shape {list(values.shape)}, "
    said += f"{values.dtype}: {values.nbytes:,} bytes."
Markdown(said)

# %% [markdown]
# What training took, from the records. A teacher is trained once. The time of a student holds no
# teacher, except that the first student of each teacher may have waited while the file was made.

# %% tags=["hide-input"]


def teacher_of(arm: course.Arm) -> course.Arm:
    """The arm of the teacher that a student's arm learns from."""
    return next(a for a in arms if a.recipe == arm.recipe.teachers[0])


def seconds(arm: course.Arm) -> str:
    found = [r.seconds for r in by_name[arm.name].records] if arm.name in by_name else []
    return f"{np.median(found):,.0f} (n = {len(found)})" if found else "not recorded"


hard_name = next(a.name for a in arms if a.name.endswith(nb05.HARD))
hard_arm = next(a for a in arms if a.name == hard_name)
rows = {"hard labels": {"teacher, seconds": "–", "student, seconds (median)": seconds(hard_arm)}}
rows |= {
    f"from {arm.name.split(' from ')[1]}": {
        "teacher, seconds": seconds(teacher_of(arm)),
        "student, seconds (median)": seconds(arm),
    }
    for arm in taught
}
pd.DataFrame(rows).T

# %% [markdown]
# ## 4. What should a teacher be good at?
#
# Call the true probabilities of the classes $p^*(y \mid x)$, and let $q$ be the student's. The loss
# that we would like to make small is
#
# $$ R(q) = \mathbb{E}_x \Bigl[ -\sum_y p^*(y \mid x) \ln q(y \mid x) \Bigr] . $$
#
# Nobody shows us $p^*$. A label is one draw from it. Menon et al. (2021) look at a teacher
# $p^t$ as a second stand-in for $p^*$. The label's estimate of $R$ is right on average, but it
# scatters. The teacher's scatters less and is off by as much as $p^t$ is off from $p^*$. So a
# teacher helps **as far as it estimates** $p^*$. Not as far as it names the right class: accuracy
# asks only which class comes first.
#
# We can watch the scatter where $p^*$ is known. `bayes10` is the small embedded data set of the
# course. Its images are drawn from a known distribution, so Bayes' rule gives $p^*$ exactly.

# %%
n = 2_000
images, _ = bayes10.sample(n, seed=3)  # uint8 [n, 3, 32, 32]: the first of its test images
log_p = bayes10.posterior(images).log().clamp(min=-50).log_softmax(dim=1)  # [n, 10]: ln p*(y | x)
p_star = log_p.exp()
log_q = F.log_softmax(0.5 * log_p, dim=1)  # some student: p* at T = 2
generator = torch.Generator().manual_seed(0)
draws = [torch.multinomial(p_star, 1, generator=generator) for _ in range(200)]  # labels [n, 1]
by_labels = torch.stack([-log_q.gather(1, y).mean() for y in draws])  # R, from labels: [200]
by_bayes = -(p_star * log_q).sum(dim=1).mean()  # R, from p*
print(f"from labels: {by_labels.mean():.4f}, scatter {by_labels.std():.4f}")
print(f"from p*:     {by_bayes:.4f}, on these images no scatter at all")

# %% [markdown]
# ### A measure that needs no $p^*$
#
# The distance that counts is $\mathrm{KL}(p^* \| p^t)$. It contains the unknown $p^*$. But write out
# the teacher's negative log-likelihood (NLL) on test images that it never saw:
#
# $$ \mathbb{E}[-\ln p^t(y \mid x)]
#    = \underbrace{\mathbb{E}_x H(p^*)}_{\text{same for every teacher}}
#    + \; \mathbb{E}_x\, \mathrm{KL}(p^* \| p^t) . $$
#
# The first term is the noise in the labels. It does not depend on the teacher. So **the test NLL
# ranks teachers as their distance to the truth does**, up to the scatter of a finite test set.
# How honest the probabilities are (calibration, notebook 02) is one part of it. How well they tell
# images apart is the other, and accuracy is a coarse view of that.

# %% tags=["nbval-check-output"]
noise = -(p_star * log_p).sum(dim=1).mean()  # E H(p*)
for T in (0.5, 1.0, 2.0, 4.0):  # four "teachers": the truth, too sharp or too soft
    log_t = F.log_softmax(log_p / T, dim=1)
    nll = -(p_star * log_t).sum(dim=1).mean()
    kl = (p_star * (log_p - log_t)).sum(dim=1).mean()
    assert torch.isclose(nll, noise + kl)
    assert torch.equal(log_t.argmax(1), log_p.argmax(1))
print("NLL = noise + KL for each of four teachers with one and the same accuracy.")

# %% [markdown]
# ## 5. The experiment
#
# One recipe for all: stochastic gradient descent with Nesterov momentum, one cycle up to rate .1,
# weight decay .0005, random crops and mirror images. All teachers have one budget, all students have
# one; the next line says which. $T = 4$ and $\alpha = .9$ were fixed before any
# run. On `paper` the networks are the poster's. On `laptop` smaller members of the same four
# families teach a ResNet-8 (three stages of one block each) on a fifth of the images; on `smoke` all
# are tiny.
#
# Two controls. **Itself**: the teacher is a trained network of the student's own shape, from a seed
# that no student has. Whatever it adds cannot come from size (where teachers learn for longer, it can
# come from that). **Permuted**: the answers are real, but
# about other images.

# %% tags=["hide-input"]
first, second = (
    next(a.recipe for a in arms if a.table == t) for t in ("Teachers", "Deeper distillation")
)
Markdown(
    f"Profile `{PROFILE}`: {n_images:,} images, batches of {second.batch_size}. Teachers learn for "
    f"{first.epochs} epochs, students for {second.epochs}."
)

# %% [markdown]
# ### The teachers

# %%
teacher_arms = [a for a in arms if a.table == "Teachers"]
student_arms = [a for a in arms if a.table == "Deeper distillation"]


def rows_of(chosen: list[course.Arm]) -> list[tables.Result]:
    """One result an arm, an empty one where nothing is recorded."""
    return [by_name.get(arm.name) or tables.Result(arm, PROFILE, ()) for arm in chosen]


tables.compare(rows_of(teacher_arms), "test_accuracy", store)

# %% tags=["hide-input"]


def cell(result: tables.Result, metric: str) -> str:
    found = result.values(metric)
    if not found:
        return "not recorded"
    return tables.interval(*metrics.mean_ci(found), tables.digits_of(metric))


def quality(chosen: list[course.Arm], *names: str) -> pd.DataFrame:
    return pd.DataFrame(
        {r.name: {tables.METRICS[m]: cell(r, m) for m in names} for r in rows_of(chosen)}
    ).T


frame = quality(teacher_arms, "test_nll", "test_ece")
frame["parameters"] = [
    f"{models.count_parameters(on_paper(a.recipe.model)):,}" for a in teacher_arms
]
frame

# %% [markdown]
# Remember the NLL when you look at the students: lower means closer to $p^*$.
#
# ### The students

# %%
tables.compare(rows_of(student_arms), "test_accuracy", store)

# %% tags=["hide-input"]
quality([a for a in student_arms if a.recipe.teachers], "test_nll", "test_ece", "test_agreement")

# %% tags=["hide-input"]


def short(arm: course.Arm) -> str:
    """What a student learns from, in few words."""
    name = arm.name.split(" from ")[-1].split(", ")[-1]
    if name == nb05.ITSELF:
        return "itself (control)"
    return f"{name} (control)" if "permuted" in name else name


values = {
    short(a): by_name[a.name].values("test_accuracy") if a.name in by_name else []
    for a in student_arms
}
real = dataset_name == "cifar10"
beside = {short(a): a.metrics["test_accuracy"] if real else None for a in student_arms}
permuted = next((name for name in values if "permuted" in name), None)
fig, ax = plt.subplots(figsize=(8, 3.8))
words = figures.rows(ax, values, beside, label="this course", control=permuted,
                     published_label="poster (1 run, best test epoch)")  # fmt: skip
ax.set(xlabel="test accuracy (%)")
if any(values.values()) or any(value is not None for value in beside.values()):
    fig.legend(loc="outside upper right", ncols=2)
figures.count(fig, {len(v) for v in values.values() if v} or {0}, PROFILE, dataset_name)
figures.show(fig, name="05_students", alt="Test accuracy in percent of one student network that learns "
             f"from labels or from one of several teachers: {words}.")  # fmt: skip

# %% tags=["hide-input"]
questions = {
    f"What {short(arm)} adds to hard labels": (arm.name, hard_name)
    for arm in student_arms
    if arm.recipe.teachers
}
Markdown(
    tables.differences(results, "test_accuracy", questions)
    + f"\n\n{len(questions)} questions are asked at once, and at p < .05 each a false alarm somewhere is "
    f"not rare. By Bonferroni's rule (divide .05 by their number) read as clear only p < "
    f"{0.05 / len(questions):.4f}."
)

# %% [markdown]
# ### Which property of the teacher goes with the gain?
#
# Now the question of the title. The gain is the student's accuracy minus that of hard labels at the
# same seed. It stands over four properties of its teacher: accuracy, NLL, calibration error and
# size. If accuracy made the teacher, the first picture would rise. If the theory of section 4 is
# right, the second would fall.

# %% tags=["hide-input"]


def gains_of(arm: course.Arm) -> list[float]:
    """Points over hard labels, one a seed that both arms have."""
    pair = [by_name.get(arm.name), by_name.get(hard_name)]
    if None in pair:
        return []
    ours, hard = ({r.recipe.seed: r.metrics.get("test_accuracy") for r in p.records} for p in pair)
    return [
        ours[s] - hard[s]
        for s in sorted(ours.keys() & hard.keys())
        if None not in (ours[s], hard[s])
    ]


properties = {
    "test_accuracy": ("accuracy (%)", +1),
    "test_nll": ("NLL (nats)", -1),
    "test_ece": ("calibration error (%)", -1),
    "parameters": ("parameters", +1),
}  # what it is called on an axis; the sign that a gain should have with it


def property_of(arm: course.Arm, name: str) -> float | None:
    if name == "parameters":
        return models.count_parameters(on_paper(arm.recipe.model))
    found = by_name[arm.name].values(name) if arm.name in by_name else []
    return found[0] if found else None


style_of = {short(arm): k for k, arm in enumerate(taught)}
points = {}  # student -> (gains, {property: value})
for arm in taught:
    found = {name: property_of(teacher_of(arm), name) for name in properties}
    if gains_of(arm) and None not in found.values():
        points[short(arm)] = (gains_of(arm), found)

# %% tags=["hide-input"]
fig, axes = plt.subplots(2, 2, figsize=(8.5, 6.4), sharey=True)
words = []
for ax, (name, (label, _)) in zip(axes.flat, properties.items(), strict=True):
    for who, (found, of) in points.items():
        mean, half = metrics.mean_ci(found)
        figures.dot(ax, of[name], mean, half, style=style_of[who], vertical=True,
                    label=who if ax is axes[0, 0] else None)  # fmt: skip
        if ax is axes[0, 0]:
            said = [f"{v:,} {k}" if k == "parameters" else f"{properties[k][0]} {v:.4g}"
                    for k, v in of.items()]  # fmt: skip
            words.append(f"{who} {mean:+.2f} at {', '.join(said)}")
    ax.axhline(0, color="0.3", lw=1, ls="-", marker="")
    ax.set(xlabel=f"teacher's {label}")
    ax.margins(x=0.12)
    ax.locator_params(axis="x", nbins=6)
if points:
    axes[1, 1].set_xscale("log")
    axes[1, 1].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[1, 1].xaxis.set_major_formatter(EngFormatter(sep=""))
    axes[1, 1].xaxis.set_minor_formatter(NullFormatter())
    # whiskers of few seeds may leave the picture
    axes[0, 0].set_ylim(figures.span([0.0] + [g for found, _ in points.values() for g in found],
                                     at_least=0.2))  # fmt: skip
else:
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.text(0.5, 0.5, "nothing recorded yet", ha="center", transform=ax.transAxes)
for ax in axes[:, 0]:
    ax.set_ylabel("gain over hard labels (points)")
handles, labels = axes[0, 0].get_legend_handles_labels()
for arm in arms:
    if arm.recipe.teacher_order == "permuted" and points and gains_of(arm):
        gain = metrics.mean_ci(gains_of(arm))[0]
        inside = gain > axes[0, 0].get_ylim()[0]
        for ax in axes.flat if inside else ():
            ax.axhline(gain, color="0.4", lw=1.2, ls=":", marker="")
        handles.append(Line2D([], [], color="0.4", lw=1.2, ls=":"))
        labels.append(f"permuted: {gain:+.2f}" + ("" if inside else ", below the picture"))
        words.append(labels[-1])
if labels:
    fig.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=9)
figures.count(fig, {len(g) for g, _ in points.values()} or {0}, PROFILE, dataset_name,
              unit="seeds a student; one teacher each")  # fmt: skip
figures.show(fig, name="05_gain", alt="The student's gain over hard labels in points against four "
             "properties of its teacher: " + "; ".join(words or ["nothing recorded yet"]) + ".")  # fmt: skip

# %% [markdown]
# ### Five points are few
#
# A rank correlation of five teachers can come out high by luck. How often? Suppose that the gains had
# nothing to do with the property. Then every order of the five gains would be equally likely. There
# are $5! = 120$ orders. We count how many of them agree with the property at least as well as the one
# that we found.


# %%
def orders_as_good(gains: list[float], prop: list[float], sign: int) -> tuple[float, int, int]:
    """Spearman's correlation; how many orders of the gains reach it; how many orders there are.

    sign: +1 where the gain should rise with the property, -1 where it should fall.
    """
    a, b = stats.rankdata(gains), stats.rankdata(prop)
    found = np.corrcoef(a, b)[0, 1]
    reached = [np.corrcoef(order, b)[0, 1] for order in permutations(a)]  # n! numbers
    return found, sum(sign * r >= sign * found - 1e-9 for r in reached), len(reached)


# %% tags=["hide-input"]
mean_gains = [float(np.mean(g)) for g, _ in points.values()]
said, best_p = [], 1.0
if len(points) < 3:
    said.append(f"{len(points)} teacher(s) and students are recorded: too few to rank.")
else:
    for name, (label, sign) in properties.items():
        column = [of[name] for _, of in points.values()]
        if len(set(column)) == 1:
            continue
        rho, as_good, total = orders_as_good(mean_gains, column, sign)
        best_p = min(best_p, as_good / total)
        way = "higher" if sign > 0 else "lower"
        said.append(f"- **{label}** ({way} should be better): rank correlation {rho:+.2f}; "
                    f"{as_good} of {total} orders are as good or better, p = {as_good / total:.3f}.")  # fmt: skip
    total = len(list(permutations(mean_gains)))
    said.append(f"\nThe best that {len(points)} teachers can show is p = 1/{total} = {1 / total:.3f}. We "
                f"looked at {len(properties)} properties, so by the same rule one of them would need "
                f"p < {0.05 / len(properties):.4f}. The smallest found is {best_p:.3f}: "
                + ("this would count as evidence." if best_p < 0.05 / len(properties)
                   else "**no property is shown to make the teacher.**"))  # fmt: skip
Markdown("\n".join(said))

# %% [markdown]
# A picture of five points convinces the eye sooner than it should. To separate accuracy from
# likelihood one needs teachers that differ in one and not in the other: the same network, stopped at
# different epochs, with label smoothing, or at another temperature (exercise 4).
#
# ### Where the truth is known
#
# On real images nobody knows $p^*$. On `bayes10` we do. There, each teacher's distance to the truth
# can be measured, and the statement of Menon et al. be tested directly.

# %% tags=["hide-input"]
distance = {}
if dataset_name == "bayes10":
    for arm in taught:
        answers = store.logits(teacher_of(arm).recipe)
        if answers is not None and short(arm) in points:
            kl = metrics.kl_to_teacher(answers["test"][:n], log_p)
            distance[short(arm)] = kl  # KL(p* || teacher), nats
if distance:
    fig, ax = plt.subplots(figsize=(6.5, 3.8))
    for who, kl in distance.items():
        mean, half = metrics.mean_ci(points[who][0])
        figures.dot(ax, kl, mean, half, style=style_of[who], vertical=True, label=who)
    ax.axhline(0, color="0.3", lw=1, ls="-", marker="")
    ax.set(
        xlabel="KL(p* || teacher) on test images (nats)", ylabel="gain over hard labels (points)"
    )
    ax.margins(x=0.12)
    ax.set_ylim(figures.span([0.0] + [g for w in distance for g in points[w][0]], at_least=0.2))
    fig.legend(loc="outside right center", fontsize=9)
    figures.count(fig, {len(g) for g, _ in points.values()}, PROFILE, dataset_name,
                  unit="seeds a student; one teacher each")  # fmt: skip
    figures.show(fig, name="05_truth", alt="Gain over hard labels against each teacher's distance to the "
                 "true probabilities: " + "; ".join(
                     f"{w} {kl:.2f} nats, gain {np.mean(points[w][0]):+.2f}"
                     for w, kl in distance.items()) + ".")  # fmt: skip
else:
    print(f"{dataset_name}: there is no known p(y | x) to measure a teacher's distance to.")

# %% tags=["hide-input"]
if len(distance) >= 3:
    rho, as_good, total = orders_as_good([np.mean(points[w][0]) for w in distance],
                                         list(distance.values()), -1)  # fmt: skip
    nlls = [points[w][1]["test_nll"] for w in distance]
    same = stats.spearmanr(nlls, list(distance.values())).statistic
    said = (
        f"The gain's rank correlation with the distance to the truth is {rho:+.2f}; {as_good} of "
        f"{total} orders are as good or better. The test NLL ranks the teachers as the distance does: "
        f"rank correlation {same:+.2f}. On this profile the networks are tiny and their budgets are "
        "seconds: read the method, not the verdict."
    )
else:
    said = (
        f"`{dataset_name}` consists of real images. Their posterior is unknown, so the direct test "
        "runs on the profile `smoke` alone; here the test NLL stands in for it."
    )
Markdown(said)

# %% [markdown]
# ## 6. Checks
#
# What must hold at any profile, on any data set.

# %% tags=["nbval-check-output"]
budgets = {
    (a.recipe.epochs, a.recipe.n_train, a.recipe.lr, a.recipe.batch_size, a.recipe.model)
    for a in student_arms
}
assert len(budgets) == 1
print("All students have one network, the same images, epochs, rate and batch size.")
assert len({(a.recipe.epochs, a.recipe.n_train, a.recipe.lr) for a in teacher_arms}) == 1
print("All teachers have one budget, and are trained once:", all(a.once for a in teacher_arms))
for r in results:
    counts = {record.parameters for record in r.records}
    assert counts == {models.count_parameters(on_paper(r.arm.recipe.model))}
print("The records' networks have the size that was counted above.")
assert orders_as_good([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], +1)[1:] == (1, 120)
print("One order of 120 agrees perfectly.")

# %% [markdown]
# ## 7. What we saw

# %% tags=["hide-input"]


def best(scores: dict[str, float]) -> str:
    return max(scores, key=scores.get)


said = []
if points:
    teach = [who for who in points if who != "itself (control)"] or list(points)
    accurate = best({w: points[w][1]["test_accuracy"] for w in teach})
    likely = best({w: -points[w][1]["test_nll"] for w in teach})
    gains = {w: float(np.mean(points[w][0])) for w in teach}
    said.append(
        f"- Of {len(teach)} teacher(s) of other families, the most accurate is **{accurate}**, the one "
        f"with the lowest NLL is **{likely}**, and the one with the best student is **{best(gains)}**."
    )
    if len(teach) > 1:
        first, second = sorted(teach, key=gains.get, reverse=True)[:2]
        name_of = {short(a): a.name for a in taught}
        said.append(tables.differences(results, "test_accuracy", {
            f"The two students that came out on top ({first}, then {second}; chosen on these very "
            "test images, so the sign is no finding)": (name_of[first], name_of[second])}))  # fmt: skip
own = next(a.name for a in taught if short(a).startswith("itself"))
other = next(a.name for a in student_arms if a.recipe.teacher_order == "permuted")
wide_name = next(
    a.name for a in taught if a.recipe.teachers == (nb05.teacher(profile, "WideResNet"),)
)
said.append(tables.differences(results, "test_accuracy", {
    "Self-distillation, where no larger network is involved": (own, hard_name),
    "The right images against other images, same teacher": (wide_name, other),
}))  # fmt: skip
hard_values = by_name[hard_name].values("test_accuracy") if hard_name in by_name else []
if len(hard_values) > 1:
    sigma = float(np.std(hard_values, ddof=1))
    said.append(
        f"- Hard-label runs scatter by {sigma:.2f} points between seeds (n = {len(hard_values)}). At "
        f"that scatter, unpaired, a tenth of a point needs {seeds_needed(0.1, sigma):,} seeds an arm; "
        f"with {len(hard_values)} seeds an arm one finds differences of about "
        f"{2.8 * sigma * (2 / len(hard_values)) ** 0.5:.2f} points."
    )
Markdown("\n".join(said))

# %% [markdown]
# ## Where it can mislead
#
# - **The teacher was trained on the images that it answers about.** It may have fitted their labels.
#   Then its answers there are more certain than they should be, in the extreme nearly the labels. What
#   counts for the student is how good $p^t$ is on *training* views, and no test NLL measures that. The
#   table below compares the entropy of the answers. Mind one thing: the views are cropped and mirrored,
#   the test images stand as they are. Crops make a teacher less certain, fitting makes it more so.
#   Where the views have the *lower* entropy, fitting has won.

# %% tags=["hide-input"]


def entropy(logits: torch.Tensor) -> float:
    """Mean entropy of the answers in nats."""
    return float(torch.special.entr(losses.soft_targets(logits.float(), 1.0)).sum(dim=1).mean())


rows = {}
for arm in taught:
    file = known(replace(arm.recipe, n_views=1, bits=8))  # one view is enough here
    if file is None:
        continue
    view = file.view(0)[:n_images]  # [N, 10]: the images that the teacher was trained on
    rows[short(arm)] = {
        "entropy, views of its training images (nats)": f"{entropy(view):.3f}",
        "entropy, test images (nats)": f"{entropy(file.tensors['test']):.3f}",
    }
pd.DataFrame(rows).T if rows else Markdown("No stored answers are on this machine.")

# %% [markdown]
# - **One teacher a family.** Another seed of the same family is another teacher. What we call the
#   effect of a family contains the luck of one run. The intervals above are over students alone.
# - **New views or stored views.** A hard-label student sees a new view in every epoch. All distilled
#   students see the same stored views in turn. Each gain contains that difference, and no interval
#   speaks of another draw of the views. Comparisons between two teachers are free of it.
# - **An equal budget is not an equal chance.** Large networks need longer to be at their best. A
#   teacher that is stopped early is less certain, and that alone may make it a better one.
# - **$T$ and $\alpha$ are fixed.** A sharper teacher may want a higher temperature (notebook 06). A
#   sweep for each teacher would be fairer, and would need validation to choose.
# - **Calibration error has two faces.** A teacher that always answers with the class frequencies is
#   perfectly calibrated and teaches nothing. NLL does not fall for that.
# - **The honest reference has another budget**: its learning rates, views and epochs are its own. It
#   says how large differences are, not what our students should reach.

# %% [markdown]
# ## Exercises
#
# 1. *(5 minutes, easy)* By the rule of the poster's code, how many layers have its "PreResNet-44",
#    "-56" and "-110" in truth? (Below 44 it takes blocks of two convolutions, and the name is right.)
# 2. *(10 minutes, medium)* Two arms are paired by seed, and their results have correlation $r$. How
#    many seeds does a difference of a tenth of a point need at $\sigma = .14$ and $r = .5$?
# 3. *(15 minutes, medium)* Average the logits of the four teachers of other families. Compare accuracy,
#    NLL and calibration of this ensemble with its members'. Would you expect it to teach better?
# 4. *(20 minutes, hard)* Divide each teacher's logits by one temperature, chosen on validation so that
#    the NLL is lowest. No answer changes its class. Does the order of the teachers by test NLL change?
#    What does that say about NLL as a measure of a teacher whose student has a temperature of its own?
#
# Solutions are in `notebooks/solutions/05_*.py`, and the tests run them.
#
# ## Summary
#
# - At a scatter of .14 points, a gain of a tenth needs some thirty seeds an arm. The number grows with
#   the square of the scatter. Ask for it first.
# - Four ideas carry the deep families: a free way for $x$, the bottleneck, joining, groups. Count a
#   network before you believe its name.
# - Stored answers cost bytes that a formula gives. The teacher is paid once, with one pass a view, and
#   not again for each student.
# - Theory asks a teacher for $p(y \mid x)$. The test NLL ranks teachers by that; accuracy need not.
# - Controls say what size has to do with it: a student's own network, and the answers to other images.
#
# ## Sources
#
# - A. K. Menon et al. (2021), *A statistical perspective on distillation*, ICML, arXiv:2005.10419.
# - K. He et al. (2016), *Identity mappings in deep residual networks*, arXiv:1603.05027.
# - S. Zagoruyko, N. Komodakis (2016), *Wide residual networks*, arXiv:1605.07146.
# - G. Huang et al. (2017), *Densely connected convolutional networks*, arXiv:1608.06993.
# - S. Xie et al. (2017), *Aggregated residual transformations for deep neural networks*,
#   arXiv:1611.05431.
# - T. Furlanello et al. (2018), *Born-again neural networks*, arXiv:1805.04770 (self-distillation).
# - umutonuryasar/kd-capacity-gap, version 2 (five seeds, protocol written before the results).
# - The poster's table and code: github.com/peterliht/knowledge-distillation-pytorch; its teachers:
#   github.com/bearpaw/pytorch-classification.
