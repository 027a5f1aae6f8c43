# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · Which teacher should I take?
#
# So far the teacher was given. In practice you choose it. There are networks for download that were
# trained on a million photographs, and transformers that were trained on captions. There are small ones
# that you can train yourself, and there is the advice to take all of them. Is the most accurate teacher the
# best one? Do several teach better than one? And does the shape of the student matter more than any
# of that?
#
# This chapter gives one student to several teachers, among them a vision transformer and a ResNet-50. It
# then lets several of them teach together. Finally it puts teachers and students side by side, with the
# numbers that decide what to ship: accuracy, precision, recall, F1 and speed.
#
# **You will be able to**
#
# - write self-attention, and say what a transformer does not know about images;
# - turn a network that was trained on ImageNet into a teacher of small images;
# - average teachers in two ways, and say when the two disagree;
# - compare students of several shapes under one budget;
# - compute precision, recall and F1, and read them beside a speed.
#
# You need [chapter 01](01_soft_and_hard_targets.ipynb) (the loss). Two teachers come from
# [chapter 04](04_cnn5_from_a_larger_network.ipynb), one from [chapter 08](08_small_students.ipynb).
#
# *Time:* about a minute on `smoke` and on `laptop`, which reads recorded runs (the second cell says how
# long they trained); a GPU and some hours on `paper`, which also downloads weights.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do
DOWNLOAD = False  # True: fetch ResNet-50's ImageNet weights, 100 MB, for section 2

# %%
from kdutils.experiments import Lab

lab = Lab("09", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write down five guesses. They are answered by number in section 7.
#
# 1. A small transformer and a small ResNet-50 are trained on CIFAR-10 from scratch. Which is more
#    accurate, and by how many points?
# 2. One student learns from each of several teachers. Which teacher is best for it? Is it the most accurate one?
# 3. All teachers answer together. Is the mean of their answers more accurate than the best of them? And
#    its student than the best one's?
# 4. Students of several shapes need about as many multiplications for an image. How many points lie
#    between the best and the worst of them? Which one gains most from a teacher?
# 5. Which class gains most from the teacher, measured by F1?
#
# ## 1. A transformer, by hand
#
# A **vision transformer** cuts the image into patches. Each patch becomes a vector of $D$ numbers, a
# *token*, by one linear map. Then the tokens talk to each other. In **self-attention** each token $i$
# sends out a query $q_i$, and shows a key $k_i$ and a value $v_i$. It receives a mean of all values, with more
# weight on those whose key fits its query:
#
# $$ \mathrm{out}_i = \sum_j w_{ij}\, v_j, \qquad
#    w_{ij} = \mathrm{softmax}_j\!\left(\frac{q_i \cdot k_j}{\sqrt{d}}\right) , $$
#
# where $d$ is the length of a query. Queries, keys and values are linear maps of the tokens. Several such
# means are taken side by side (*heads*) and joined.
#
# **Your turn.** Write attention for one head.

# %% tags=["your-turn"]
import torch
import torch.nn.functional as F


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Every query's mean of the values: q, k, v [..., tokens, d] -> [..., tokens, d]."""
    # your turn: the weights [..., tokens, tokens], whose rows sum to one; then the mean
    weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1)
    return weights @ v
    # end


# %% tags=["check", "nbval-check-output"]
dice = torch.Generator().manual_seed(0)
q, k, v = torch.randn(3, 2, 5, 8, generator=dice)  # 2 images, 5 tokens, d = 8
assert torch.allclose(attention(q, k, v), F.scaled_dot_product_attention(q, k, v), atol=1e-6)
assert torch.allclose(attention(0 * q, k, v)[:, :1], v.mean(1, keepdim=True), atol=1e-6), "no query"
from experiments.shapes import Attention

module = Attention(dim=64, heads=2)
x = torch.randn(3, 7, 64, generator=dice)
with torch.no_grad():
    parts = module.qkv(x).view(3, 7, 3, 2, 32).permute(2, 0, 3, 1, 4)  # q, k, v: [3, heads, 7, 32]
    by_hand = module.out(attention(*parts).transpose(1, 2).reshape(3, 7, 64))
    assert torch.allclose(by_hand, module(x), atol=1e-6)
print("attention holds: as PyTorch's, and as in the teacher of this chapter.")

# %% [markdown]
# Look at the formula again: nothing in it knows *where* a token stands. If the tokens change places, the
# outputs change places with them. So a cat in the corner is a cat in the middle; but so is a cat that was cut up
# and shuffled. To tell them apart, each place gets a vector of its own, which is learned and added to the token.
# Then the network knows the places, but not which ones are neighbours: that must be learned from images. A
# convolution has neighbourhood built in, and it treats all places alike.
#
# The next cell takes the vectors of the places away and shuffles the patches of an image.

# %%
from kdutils import models

torch.manual_seed(0)
net = models.build("vit-4-64-2").eval()  # patches of 4 x 4 pixels, 64 numbers a token, 2 blocks
image = torch.randn(1, 3, 32, 32, generator=dice)
tiles = image.unfold(2, 4, 4).unfold(3, 4, 4).reshape(1, 3, 64, 4, 4)  # 64 patches
mixed = tiles[:, :, torch.randperm(64, generator=dice)].reshape(1, 3, 8, 8, 4, 4)
mixed = mixed.permute(0, 1, 2, 4, 3, 5).reshape(1, 3, 32, 32)
with torch.no_grad():
    known = (net(image) - net(mixed)).abs().max()
    net.positions.zero_()
    unknown = (net(image) - net(mixed)).abs().max()
print(f"Largest change of a logit: {known:.4f} with positions, {unknown:.0e} without.")

# %% [markdown]
# So a transformer of any depth sees a bag of patches, unless it learns its places. Dosovitskiy et al. (2021) name the
# lack of these two, locality and translation equivariance, as a reason why vision transformers did well only after
# training on very many images.
#
# ## 2. A teacher from ImageNet
#
# `torchvision` offers networks with weights that were trained on 1.3 million photographs of 1,000
# classes. Three things stand between such a network and CIFAR-10:
#
# - **Size.** It expects 224 or 299 pixels, ours are 32. The images are enlarged. That adds no detail, but the
#   filters meet structures of the size that they know.
# - **Pixels.** It expects ImageNet's mean and deviation. A wrong normalisation raises no error.
# - **Head.** It names 1,000 other classes. The last layer is replaced. Either that layer alone is
#   trained, a **linear probe** of features that stay as they are. Or all layers are trained further, at a low
#   rate: **fine-tuning**.
#
# A probe has an advantage on a slow machine. The features of an image do not change, so they are
# computed once and remembered.
#
# **Your turn.** Write the first two steps for ImageNet.

# %% tags=["your-turn"]
from experiments import pretrained

MEAN, STD = (torch.tensor(x).view(1, 3, 1, 1) for x in pretrained.IMAGENET)  # [1, 3, 1, 1]


def as_imagenet(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """Pixels from 0 to 1, float32 [B, 3, 32, 32], as a network of ImageNet expects them."""
    # your turn: enlarge (F.interpolate, mode="bilinear"), then normalise
    return (F.interpolate(pixels, size=size, mode="bilinear") - MEAN) / STD
    # end


# %% tags=["check", "nbval-check-output"]
pixels = torch.rand(2, 3, 32, 32, generator=dice)
mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in pretrained.CIFAR10)
ours = pretrained.Enlarged(224)((pixels - mean) / std)  # of images normalised as CIFAR-10's are
assert torch.allclose(as_imagenet(pixels, 224), ours, atol=1e-5)
grey = as_imagenet(MEAN.expand(1, 3, 32, 32), 299)
assert grey.shape == (1, 3, 299, 299) and grey.abs().max() < 1e-6, "the mean pixel becomes zero"
print("as_imagenet holds: as in the adaptor of the downloaded teachers.")

# %% [markdown]
# These are the networks, with the number of CNN5s that one of their answers costs.

# %%
import pandas as pd
from experiments.networks import count_macs
from sklearn.linear_model import LogisticRegression

from kdutils.data import normalise

small, rows = count_macs(models.build("cnn5")), {}
for name, source in pretrained.SOURCES.items():
    meta = source.weights.meta
    top1 = meta["_metrics"]["ImageNet-1K"]["acc@1"]
    rows[name] = [source.size, meta["num_params"] / 1e6, meta["_file_size"], meta["_ops"], meta["_ops"] * 1e9 / small, top1]  # fmt: skip
columns = ["pixels", "million parameters", "MB", "billion MACs", "answers of CNN5", "ImageNet top-1 (%), published"]  # fmt: skip
frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
frame.map(lambda x: f"{x:,.0f}" if x > 100 else f"{x:g}" if x == int(x) else f"{x:.1f}")

# %% [markdown]
# The next cell fits a probe of ResNet-50 to a few images of CIFAR-10, if its weights are here or may be fetched. In
# the profile `paper` all three networks teach, as probes and fine-tuned.

# %%
dataset, n = lab.dataset("cifar10"), 500
file = pretrained.path("resnet50")
if dataset.name != "cifar10":
    print(f"{dataset.name} is no data set of photographs: nothing is probed here.")
elif not (DOWNLOAD or file.exists()):
    print(f"{file.name} is not on this machine, and DOWNLOAD is False: nothing is probed here.")
else:
    try:
        probe = models.build("imagenet-resnet50").eval()
        few = dataset.train.take(slice(n)), dataset.test.take(slice(n))
        x = [torch.cat([probe.features(normalise(b, dataset)) for b in part.images.split(50)]) for part in few]  # fmt: skip
        fitted = LogisticRegression(max_iter=1000).fit(x[0], few[0].labels)
        print(f"Right on {fitted.score(x[1], few[1].labels):.1%} of {n} test images; fitted to {n}.")  # fmt: skip
    except pretrained.MissingWeights as problem:
        print(problem)

# %% [markdown]
# Without a connection, not all is lost. A teacher is an architecture, and what it was trained on. The architecture
# can be had in the size of CIFAR images: a transformer with patches of a few pixels, and a ResNet-50 with a
# $3 \times 3$ stem and, on `laptop`, few channels. We train both from scratch. They stand in for the
# *architectures*, not for what a million photographs teach.
#
# **CLIP** was trained on pairs of pictures and captions, and knows no classes at all. You name them: the text
# "a photo of a cat." becomes a direction in its feature space, and an image gets the class whose direction is
# nearest. It needs no label to *name* a class (*zero-shot*). In our recipe labels set a single number, how sure its
# answers are. CLIP joins on `paper` where `open_clip` is installed: `%pip install -e '..[clip]'` in a cell.
#
# ## 3. One student, several teachers
#
# Teachers were trained on all training images of CIFAR-10, each by a recipe of its own, once. All students are
# the CNN5 of [chapter 04](04_cnn5_from_a_larger_network.ipynb). They see the same *few* images in the same stored
# views, with the same $T$ and $\alpha$. So the teachers know much that the student cannot learn from its own
# labels.

# %%
from IPython.display import display

ex = lab.experiments
teachers = list(ex.teachers(lab.profile))  # names: the two of this chapter, then borrowed ones
fetched = [name for name in ex.imagenet(lab.profile) if lab.records(name)]
kept = [name for name in teachers if lab.records(name)] + fetched
if not kept:
    raise LookupError(f"No teacher of {PROFILE} is recorded here: TRAIN = True trains them.")
best = max(kept, key=lambda name: lab.mean(name, "val_accuracy"))  # on validation images
pupil = ex.from_teacher(best)
few = lab.arm(ex.HARD).recipe.n_train
print(f"The students' images: {few:,}. The most accurate teacher on validation images: {best}.")
display(lab.recipes(*teachers))
lab.recipes(ex.HARD, pupil)

# %% [markdown]
# The next table has a column that no test accuracy shows. The students' images were among the teachers' own.
# A teacher that knows images by heart is surer of them. We show how sure it is at the students' temperature, because
# that is what they see.

# %%
from kdutils.knowledge import Knowledge


def built(name: str) -> torch.nn.Module:
    """An arm's network with fresh weights, for its size and speed alone."""
    return models.build(lab.arm(name).recipe.model).eval()


rows = {}
for name in kept:
    net, recipe = built(name), lab.arm(ex.from_teacher(name)).recipe
    told = Knowledge(recipe, dataset, lab.store)  # its answers about the students' images
    sure = "not stored"
    if told.complete:
        seen = (told.logits(0).float() / recipe.temperature).softmax(1)  # what the student sees
        sure = f"{100 * seen.amax(1).mean():.1f}"
    rows[name] = {
        "test accuracy (%)": lab.interval(name, "test_accuracy"),
        "its student (%)": lab.cell(ex.from_teacher(name), "test_accuracy"),
        "how sure at the students' T, on their images (%)": sure,
        "the two agree on (%)": lab.cell(ex.from_teacher(name), "test_agreement"),
        "network": lab.arm(name).recipe.model,
        "parameters": f"{models.count_parameters(net):,}",
        "million MACs": round(count_macs(net) / 1e6, 1),
    }
print(f"The student alone, with hard labels: {lab.cell(ex.HARD, 'test_accuracy')} %.")
pd.DataFrame(rows).T

# %% [markdown]
# *How sure* is the mean of the largest probability, in the first of the stored views. The logits are divided by the
# students' $T$ first. Now the questions, corrected together: does a teacher help at all, and is another one better
# than the most accurate? (The ensembles of the last rows are the subject of section 4. They are also compared with the
# single teacher whose student is best on validation images, where that is another one.)

# %%
import matplotlib.pyplot as plt
from experiments import pieces
from experiments.pieces import points

from kdutils import figures, metrics


def over(first: str, second: str = ex.HARD) -> pd.Series:
    """First arm minus second, in points of test accuracy, for the seeds that both have."""
    return pieces.over(lab, first, second)


everyone = [*kept, *ex.ENSEMBLES]
asked = {f"{ex.from_teacher(n)}, over hard labels": over(ex.from_teacher(n)) for n in everyone}
versus = {n: over(ex.from_teacher(n), pupil) for n in everyone if n != best}
asked |= {f"{ex.from_teacher(n)}, over the student of {best}": x for n, x in versus.items()}
taught = [n for n in kept if lab.values(ex.from_teacher(n), "val_accuracy")]
tutor = max(taught, key=lambda n: lab.mean(ex.from_teacher(n), "val_accuracy"), default=best)
tutored = {n: over(ex.from_teacher(n), ex.from_teacher(tutor)) for n in ex.ENSEMBLES}
if tutor != best:
    asked |= {f"{ex.from_teacher(n)}, over the student of {tutor}": x for n, x in tutored.items()}
print(f"The single teacher whose student is best on validation images: {tutor if taught else '–'}.")
pieces.family(asked)

# %% tags=["hide-input"]
if len(taught) > 2:
    fig, ax = plt.subplots(figsize=(8, 4.2))
    for style, name in enumerate(taught):
        mean, half = metrics.shown_ci(lab.values(ex.from_teacher(name), "test_accuracy"))
        figures.dot(ax, lab.mean(name, "test_accuracy"), mean, style % 7, yerr=half, label=name)
    ax.axhline(lab.mean(ex.HARD, "test_accuracy"), color="0.4", ls="--", marker="", label=ex.HARD)
    ax.set(xlabel="teacher's test accuracy (%), one run", ylabel="student's test accuracy (%)")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    words = "; ".join(f"{n}: {lab.mean(n, 'test_accuracy'):.1f}, its student {lab.mean(ex.from_teacher(n), 'test_accuracy'):.2f}" for n in taught)  # fmt: skip
    lab.show(fig, "09_teachers", f"Student against teacher. {words}.", [ex.from_teacher(n) for n in taught])  # fmt: skip

# %% [markdown]
# Read the figure from left to right. If accuracy were all that matters in a teacher, the students would rise
# with it. (Compare the figure of [chapter 05](05_deeper_distillation.ipynb), with other teachers.) Where two neighbours are in the wrong order, this page cannot say why: the teachers differ in several ways
# at once. Two columns of the table are worth a look. How sure is each teacher on the students' images, at their
# temperature? And how often does its student agree with it? (Agreement depends on the accuracies of both. It
# describes, it does not explain.)
#
# ## 4. Several together
#
# There are two ways to make one answer of several. One is the mean of the probabilities. The other is the mean
# of the logits, which is the *geometric* mean of the probabilities, brought back to a sum of one.
#
# **Your turn.** [Chapter 05](05_deeper_distillation.ipynb) averaged two teachers. Write both means for any number
# of them, as logits of the joint answer.


# %% tags=["your-turn"]
import math


def mean_of_logits(z: torch.Tensor) -> torch.Tensor:
    """z [teachers, N, classes] -> [N, classes]."""
    # your turn: one line
    return z.mean(dim=0)
    # end


def mean_of_probabilities(z: torch.Tensor) -> torch.Tensor:
    """z [teachers, N, classes] -> [N, classes]: logits whose softmax is the mean probability."""
    # your turn: the logarithm of the mean probability
    return z.log_softmax(dim=2).logsumexp(dim=0) - math.log(len(z))  # no logarithm of zero
    # end


# %% tags=["check", "nbval-check-output"]
from kdutils.knowledge import average

z = 3 * torch.randn(4, 50, 10, generator=dice)
for ours, kind in ((mean_of_logits, "logits"), (mean_of_probabilities, "probabilities")):
    assert torch.allclose(ours(z).softmax(1), average(z, kind).softmax(1), atol=1e-5), kind
veto = torch.tensor([[[4.0, 0.0, 0.0]], [[-9.0, 1.0, 0.0]]])  # one is sure of 0; one excludes it
answers = [mean(veto).softmax(1)[0].numpy().round(2) for mean in (mean_of_logits, mean_of_probabilities)]  # fmt: skip
print("mean of logits:", answers[0], " mean of probabilities:", answers[1])

# %% [markdown]
# Two teachers, three classes. The first is sure of class 0, the second is sure that it is *not* class 0. The two
# means name different classes. In a geometric mean, each teacher can veto: a probability near zero pulls the
# product to zero. In an arithmetic mean, each can insist. Where the teachers' probabilities are nearly the same,
# so are the two means. (For students, both means are taken at $T = 1$, and the joint logits are divided by $T$.)
#
# Now the real ones: all that were trained here, by either mean, and a pair of them. The pair was fixed
# beforehand; the next cell names it. Their answers about the test images are stored.

# %%
import numpy as np

labels = dataset.test.labels
joint = {name: lab.logits(name) for name in kept}  # [10000, 10] each
for name in ex.ENSEMBLES:
    own = [joint[t] for t in ex.members(lab.profile, name) if t in joint]
    if len(own) == len(ex.members(lab.profile, name)):  # else a teacher is not recorded
        mean = mean_of_probabilities if name == ex.PROBABILITIES else mean_of_logits
        joint[name] = mean(torch.stack(own))
right = {name: (answer.argmax(1) == labels).double() for name, answer in joint.items()}
rows = {}
for name, answer in joint.items():
    won = 100 * (right[name] - right[best]).numpy()  # by image: -100, 0 or 100
    half = 1.96 * won.std() / len(won) ** 0.5  # the test images as a sample
    rows[name] = {
        "accuracy (%)": f"{metrics.accuracy(answer, labels):.2f}",
        f"over {best}": "–" if name == best else f"{won.mean():+.2f} ± {half:.2f}",
        "NLL (nats)": f"{metrics.nll(answer, labels):.4f}",
        "calibration error (%)": f"{metrics.calibration_error(answer, labels):.2f}",
        "its student (%)": lab.cell(ex.from_teacher(name), "test_accuracy"),
    }
    for other in dict.fromkeys((best, tutor)):  # one column where they are the same
        ahead = "–" if name == other else points(over(ex.from_teacher(name), ex.from_teacher(other)))  # fmt: skip
        rows[name][f"its student, over that of {other}"] = ahead
print(f"The pair: {' and '.join(ex.members(lab.profile, ex.PAIR))}.")
gained = {name: row[f"over {best}"] for name, row in rows.items()}
pd.DataFrame(rows).T

# %% [markdown]
# The intervals of the third column treat the test images as a sample, for these very networks. They say nothing
# about other runs of a teacher; those *over that of* another speak of seeds of the student. Exercise 4 shows that the
# NLL of a mean is never worse than the mean NLL of its members.
#
# An ensemble may beat the most accurate teacher because it contains a better teacher. So compare it with the best
# single one, too. Averaging is worth its price only if it beats that one.
#
# Neither mean asks who is right more often. The mean of logits listens to whoever has the largest logits, the mean of
# probabilities to whoever is surest. So members that are much weaker than the rest can pull a mean down. Compare
# *all of them* with *a pair*.
#
# ## 5. The shape of the student
#
# How should a small network spend its multiplications? On many thin layers or few wide ones, in
# convolutions or in linear layers? All shapes here need about as many for an image. On `laptop` they are:
#
# - *CNN5*: three convolutions and a hidden linear layer;
# - `convs-2x40-400`: two wide convolutions, then a large linear layer;
# - `convs-6x16`: six thin convolutions, no hidden linear layer;
# - `mlp-2000-2000`: linear layers alone.
#
# Each learns from hard labels, and from the teacher of [chapter 04](04_cnn5_from_a_larger_network.ipynb).

# %%
strong = ex.from_teacher(ex.STRONG)
shapes = {"cnn5": (ex.HARD, strong)}
shapes |= {m: (ex.of_shape(m), ex.of_shape(m, True)) for m in ex.BUDGET[PROFILE]["shapes"]}
rows, gains = {}, {}
for name, (hard, learned) in shapes.items():
    own = built(hard)
    gains[f"{name}: what the teacher adds"] = over(learned, hard)
    rows[lab.arm(hard).recipe.model] = {
        "parameters": f"{models.count_parameters(own):,}",
        "million MACs": round(count_macs(own) / 1e6, 1),
        "hard labels (%)": lab.cell(hard, "test_accuracy"),
        "distilled (%)": lab.cell(learned, "test_accuracy"),
        "agrees with the teacher (%)": lab.cell(learned, "test_agreement"),
    }
adds = {lab.arm(h).recipe.model: points(over(learned, h)) for h, learned in shapes.values()}
first, *others = gains
gains |= {
    f"{name.split(':')[0]}: its gain, less that of cnn5": (gains[name] - gains[first]).dropna()
    for name in others
}
display(pd.DataFrame(rows).T)
pieces.family(gains)

# %% tags=["hide-input"]
names = [name for pair in shapes.values() for name in pair if lab.records(name)]
if len(names) > 3:
    said = {n: f"{lab.arm(n).recipe.model}, {'distilled' if lab.arm(n).recipe.teacher else ex.HARD}" for n in names}  # fmt: skip
    fig, ax = plt.subplots(figsize=(8, 3.6))
    words = figures.dots(ax, {said[n]: lab.values(n, "test_accuracy") for n in names})
    ax.set(xlabel="test accuracy (%); ticks: seeds")
    lab.show(fig, "09_shapes", f"Test accuracy by shape (%): {words}.", names)

# %% [markdown]
# Equal multiplications need not mean equal accuracy: the table says how far apart these are. The MLP has by far the
# most parameters and no idea of neighbourhood. The distance between the best and the worst shape depends on which
# shapes are listed. Leave the MLP out and look again. Then compare with the teacher's gain. Only the rows *less that of
# cnn5* use the same seeds.
#
# ## 6. Teacher and students side by side
#
# Accuracy counts all images alike. Three other numbers look at one class $c$. Of the images that were *called* $c$,
# which share is $c$? (**Precision.**) Of the images that *are* $c$, which share was called so? (**Recall.**)
# **F1** is their harmonic mean, which is small if one of the two is:
#
# $$ P_c = \frac{n_{cc}}{\sum_j n_{jc}}, \qquad R_c = \frac{n_{cc}}{\sum_j n_{cj}}, \qquad
#    F_c = \frac{2 P_c R_c}{P_c + R_c}, $$
#
# with $n_{jc}$ the number of images of class $j$ that were called $c$. Their plain mean over classes is called
# *macro*.
#
# **Your turn.** Compute all three for every class.


# %% tags=["your-turn"]
def per_class(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Precision, recall and F1 of each class, 0 where it is undefined: [3, classes]."""
    classes = logits.shape[1]
    table = torch.zeros(classes, classes).index_put_((labels, logits.argmax(1)), torch.tensor(1.0), accumulate=True)  # fmt: skip
    # your turn: from table[j, c], how many images of class j were called c
    hits = table.diagonal()
    precision, recall = (hits / table.sum(dim=d).clamp(min=1) for d in (0, 1))
    return torch.stack([precision, recall, 2 * precision * recall / (precision + recall).clamp(min=1e-12)])  # fmt: skip
    # end


# %% tags=["check", "nbval-check-output"]
from sklearn.metrics import precision_recall_fscore_support

some, truth = torch.randn(300, 4, generator=dice), torch.randint(4, (300,), generator=dice)
some[:, 3] -= 9  # a class that is never called
known = precision_recall_fscore_support(truth, some.argmax(1), zero_division=0)[:3]
assert np.allclose(per_class(some, truth), np.array(known), atol=1e-6)
print("per_class holds, also for a class that is never called.")

# %%
from experiments import device

from kdutils import tables
from kdutils.training import forward


def ready(name: str) -> torch.nn.Module:
    """An arm's network in the layout in which it is trained and asked."""
    net = built(name)
    return net.to(memory_format=torch.channels_last) if getattr(net, "channels_last", False) else net  # fmt: skip


timed = {name: ready(name) for name in teachers}
timed |= {"the student": ready(ex.HARD), "the student, again": ready(ex.HARD)}
speed = {}
with torch.inference_mode():
    for batch, rounds in ((1, 60), (128, 8)):
        x = torch.randn(batch, 3, 32, 32)
        calls = {said: (lambda net=net, x=x: forward(net, x, "float32")) for said, net in timed.items()}  # fmt: skip
        speed[batch] = device.in_turns(calls, rounds).median()  # ms
        for name in ex.ENSEMBLES:  # all members are asked
            speed[batch][name] = sum(
                speed[batch].get(t, np.nan) for t in ex.members(lab.profile, name)
            )
again = abs(speed[128]["the student, again"] / speed[128]["the student"] - 1)
print(
    f"Medians, {torch.get_num_threads()} threads. One network under two names: {again:.1%} apart."
)

# %%
columns = {name: (name, [joint[name]]) for name in (ex.STRONG, ex.LOGITS) if name in joint}
for said, name in {"student, hard labels": ex.HARD, "student, distilled": strong}.items():
    if found := lab.records(name):
        columns[said] = "the student", [lab.logits(name, seed=r.recipe.seed) for r in found]
numbers, rows = {}, {}  # numbers: [seeds, 3, classes]
for said, (runs_as, answers) in columns.items():
    numbers[said] = 100 * torch.stack([per_class(one, labels) for one in answers])
    correct = tables.interval([metrics.accuracy(z, labels) for z in answers], "test_accuracy")
    rows[said] = {"n": len(answers), "accuracy (%)": correct}
    for kind, found in zip(("precision", "recall", "F1"), numbers[said].mean(dim=2).T, strict=True):
        rows[said][f"macro {kind} (%)"] = tables.interval(found.tolist(), "test_accuracy")
    rows[said]["ms, one image"] = f"{speed[1][runs_as]:.3g}"
    rows[said]["images a second, 128 at once"] = f"{128_000 / speed[128][runs_as]:,.0f}"
pd.DataFrame(rows)

# %% [markdown]
# All networks were timed in turns and in random order ([chapter 08](08_small_students.ipynb) says why). The two
# students are one architecture, so they have one speed.
#
# The classes of CIFAR-10's test set are equally large, so accuracy and macro recall are the same number, and macro
# precision and F1 are close to it. The three become interesting class by class, or where classes differ in size.

# %%
f1 = {said: found[:, 2] for said, found in numbers.items() if said != ex.LOGITS}  # [seeds, classes]
pd.concat({
    said: pd.DataFrame(found.mean(dim=0).T.numpy(), dataset.classes, ["P", "R", "F1"])
    for said, found in numbers.items() if said != ex.LOGITS
}, axis=1).map("{:.1f}".format)  # fmt: skip

# %% tags=["hide-input"]
if len(f1) > 2:
    fig, ax = plt.subplots(figsize=(8, 3.8))
    for style, (said, found) in enumerate(f1.items()):
        for c, of_class in enumerate(found.T.tolist()):
            mean, half = metrics.shown_ci(of_class)
            at, label = c + 0.2 * (style - 1), None if c else said
            figures.dot(ax, at, mean, style, yerr=half, label=label)
    ax.set_xticks(range(len(dataset.classes)), dataset.classes, rotation=30)
    ax.set(ylabel="F1 on test images (%)")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    words = "; ".join(f"{said}: {', '.join(f'{k} {x:.0f}' for k, x in zip(dataset.classes, found.mean(0).tolist(), strict=True))}" for said, found in f1.items())  # fmt: skip
    lab.show(fig, "09_f1", f"F1 by class (%). {words}.", [ex.HARD, strong])

# %%
by_class = {}
if len(f1) > 2:
    hard, learned = (
        pd.DataFrame(f1[said], [r.recipe.seed for r in lab.records(name)], dataset.classes)
        for said, name in (("student, hard labels", ex.HARD), ("student, distilled", strong))
    )
    by_class = {k: (learned[k] - hard[k]).dropna().tolist() for k in dataset.classes}
pieces.family(by_class)

# %% [markdown]
# The last table shows F1 of the distilled student minus F1 of the student of hard labels, class by class, corrected
# for all classes.
#
# ### So which teacher should I take?
#
# On validation images, by the student that each one makes. The next cell chooses that way and lists what the choice
# costs: the minutes that the teachers were trained, and the multiplications of one of their answers.

# %%
scored = {n: lab.mean(ex.from_teacher(n), "val_accuracy") for n in everyone if lab.records(ex.from_teacher(n))}  # fmt: skip
pick = max(scored, key=scored.get, default=None)
rows = {}
for name in scored:
    own = ex.members(lab.profile, name) if name in ex.ENSEMBLES else [name]
    trained = [record for t in own for record in lab.records(t)]
    rows[name] = {
        "its student, validation (%)": f"{scored[name]:.2f}",
        "over hard labels, test": points(over(ex.from_teacher(name))),
        f"behind {pick}": "–" if name == pick else points(over(ex.from_teacher(pick), ex.from_teacher(name))),
        "minutes of training": f"{sum(r.seconds for r in trained) / 60:.0f} ({', '.join(sorted({f'{r.threads} thr.' for r in trained}))})",
        "million MACs": f"{sum(count_macs(built(t)) for t in own) / 1e6:.0f}",
    }  # fmt: skip
pd.DataFrame.from_dict(rows, orient="index")

# %% [markdown]
# A student may be *not told* from that of the picked teacher: its interval contains zero. That does not make the two
# equal. The pick was made on the same runs, and these intervals are not corrected for their number. Mean plus
# half-width says how much you may lose. If you can afford that loss, take the cheapest. (Minutes are of different
# processors and threads. They tell apart what is ten times dearer, not what is a third dearer.)
#
# ## 7. What we saw
#
# Your predictions, one by one.

# %% tags=["hide-input"]
from IPython.display import Markdown

own = {name: lab.interval(name, "test_accuracy") for name in (ex.VIT, ex.RESNET50)}
ahead = lab.mean(ex.VIT, "test_accuracy") - lab.mean(ex.RESNET50, "test_accuracy")
rival = "It is the same one" if tutor == best else f"Over its student, in points: {points(over(ex.from_teacher(tutor), pupil))}"  # fmt: skip
top = max(by_class, key=lambda k: np.mean(by_class[k]), default=None)
Markdown(f"""
1. Accuracy in percent: {"; ".join(f"{name} {x}" for name, x in own.items())}. The transformer less the ResNet-50, one run each: {ahead:+.2f} points.
2. Of single teachers, {tutor} makes the best student by validation: {points(over(ex.from_teacher(tutor)))} points over hard labels. The most accurate teacher is {best}. {rival}. With ensembles, validation picks {pick or "no one: nothing is recorded"}.
3. Over {best}, in points: {"; ".join(f"{n} {gained.get(n, 'not recorded')}" for n in ex.ENSEMBLES)}. Their students over its student: {"; ".join(points(versus[n]) for n in ex.ENSEMBLES)}. Over the student of {tutor}, which validation names best of the single ones: {"; ".join(map(points, tutored.values()))}.
4. With hard labels, in percent: {"; ".join(f"{lab.arm(h).recipe.model} {lab.cell(h, 'test_accuracy')}" for h, _ in shapes.values())}. The teacher adds, in points: {"; ".join(f"{m} {x}" for m, x in adds.items())}.
5. {f"{top}: {points(by_class[top])} points of F1, the largest of {len(by_class)} classes" if top else "Not recorded"}. The student is {speed[128][ex.STRONG] / speed[128]["the student"]:.1f} times as fast as its teacher, 128 images at once.
""")

# %% [markdown]
# How to read these answers, whatever the numbers are:
#
# - **A teacher's accuracy is not the goal.** What its student learns is. Section 3 shows both.
# - **A small transformer, trained on CIFAR-10 alone, is a special case.** Answer 1 says nothing about one that
#   has seen a million photographs.
# - **The largest of several differences looks larger than it is.** The best teacher, the shape that gains most and the
#   class that gains most are chosen after looking. Their $p$-values are corrected in the tables, their sizes are
#   not.
# - **An ensemble costs its members.** Their answers are stored, so the student pays nothing for them. Whoever
#   trains them pays for all.
# - **A range grows with its list.** The best and the worst of many shapes lie further apart than those of few. So
#   compare a shape that you would really take with the one you have, and then with the teacher's gain.
#
# ## 8. Where it can mislead
#
# - **Each teacher was trained once.** A difference between two students' means contains the luck of two teachers.
#   The intervals are about seeds of the student.
# - **The teachers had different budgets.** They differ in architecture, recipe, epochs and views. This is a choice
#   between teachers as one finds them, not an experiment on architectures.
# - **The students' images were the teachers' own**, with labels that the teachers saw. With more images of their
#   own, the students' gains may be smaller.
# - **Unequal teachers are one choice of an ensemble.** Several runs of one strong teacher would be another.
# - **Stand-ins.** The ResNet-50 of `laptop` is narrow, the transformer small. Nothing recorded on `laptop` is about
#   pre-training.
# - **$T$ and $\alpha$ are the same for all.** Teachers differ in how sure they are at this $T$. A temperature of its
#   own might help one more than another.
# - **The learning rate was tuned for no shape and no loss.** A teacher changes the length of the gradient
#   ([chapter 06](06_temperature.ipynb)). A network without normalisation may need another rate. So a gain or a loss
#   here belongs to this rate.
# - **The student alone is held to the stored views.** Without a teacher it could see new views in every epoch. This
#   page does not show what that is worth. So its gains say what a teacher adds at equal views.
# - **One budget of multiplications is not one budget of time**, and all shapes share one schedule.
# - **FastNet answers for the image and for its mirror image.** It is the teacher of
#   [chapter 04](04_cnn5_from_a_larger_network.ipynb) on `laptop`. The mirror image changes what it teaches, and
#   doubles its time. It was trained on lighter views than the students see.
#
# ## Exercises
#
# Solutions: [solutions/09_big_teachers.py](solutions/09_big_teachers.py).
#
# 1. *(5 minutes, easy)* How many parameters has a vision transformer of patch $p$, width $D$ and $L$ blocks,
#    with MLPs of width $2D$? Write the formula. All linear maps have biases. A block has two layer norms, and one
#    more stands before the head. There is no class token. *Check:* `vit-4-128-6` has 810,890 on CIFAR-10.
#    [Solution](solutions/09_big_teachers.py#exercise-1).
# 2. *(10 minutes, medium)* Attention compares every token with every other. Which share of a block's
#    multiplications is that, for patches of 8, 4, 2 and 1 pixels and $D = 128$? *Check:* for one pixel a patch it is
#    more than half.
#    [Solution](solutions/09_big_teachers.py#exercise-2).
# 3. *(15 minutes, medium)* Find the answers of two teachers about three classes for which the two means name
#    *different* classes, neither of them the first teacher's favourite. *Check:* your function returns logits
#    $[2, 1, 3]$, and the test takes both means.
#    [Solution](solutions/09_big_teachers.py#exercise-3).
# 4. *(20 minutes, hard)* Show that the NLL of a mean, of probabilities or of logits, is never larger than the
#    mean NLL of the members. (Which function is convex?) When are they equal? *Check:* for members
#    $(.5, .3, .2)$ and $(.5, .2, .3)$ and class 0, one of the two gaps is zero.
#    [Solution](solutions/09_big_teachers.py#exercise-4).
#
# ## Summary
#
# - Self-attention is a weighted mean of all tokens. It knows no neighbourhood and no order but the one it learns.
# - A network from ImageNet needs its size, its normalisation and a new head. A probe trains the head alone.
# - The mean of logits lets each teacher veto, the mean of probabilities lets each insist.
# - Compare an ensemble with the best single teacher, and a shape with the one you have, before you pay for either.
# - Report a class's precision and recall beside accuracy, and speed beside both.
#
# ## Sources
#
# - A. Vaswani et al. (2017), *Attention is all you need*, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762).
# - A. Dosovitskiy et al. (2021), *An image is worth 16x16 words*,
#   [arXiv:2010.11929](https://arxiv.org/abs/2010.11929).
# - K. He et al. (2016), *Deep residual learning for image recognition*,
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385).
# - C. Szegedy et al. (2016), *Rethinking the Inception architecture for computer vision*,
#   [arXiv:1512.00567](https://arxiv.org/abs/1512.00567).
# - A. Radford et al. (2021), *Learning transferable visual models from natural language supervision* (CLIP),
#   [arXiv:2103.00020](https://arxiv.org/abs/2103.00020).
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*,
#   [arXiv:1503.02531](https://arxiv.org/abs/1503.02531).
# - The networks and their weights: [pytorch.org/vision](https://docs.pytorch.org/vision/stable/models.html);
#   [github.com/mlfoundations/open_clip](https://github.com/mlfoundations/open_clip).
