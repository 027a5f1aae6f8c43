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
# then lets all of them teach together. In the end it puts teacher and students side by side, as an engineer would
# want them: accuracy, precision, recall, F1 and speed.
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
# *Time:* half a minute on `smoke` and on `laptop`, which reads recorded runs (the second cell says how
# long they trained); a GPU and some hours on `paper`, which also downloads 600 MB of weights.

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
# 1. A small transformer and a small ResNet-50 are trained on CIFAR-10 from scratch, for about the same
#    time. Which is more accurate, and by how many points?
# 2. One student learns from each of several teachers. Is its best teacher the most accurate one?
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
# outputs change places with them. A convolution is different. It knows that neighbours belong together,
# and that a cat in the corner is a cat in the middle. A transformer must learn both from images. All it
# gets is a learned vector for each place, which is added to the token.
#
# The next cell takes these vectors away and shuffles the patches of an image.

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
# So a transformer of any depth sees a bag of patches, unless it learns its places. That is why it wants much
# data: large vision transformers were first trained on hundreds of millions of images
# (Dosovitskiy et al. 2021).
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

# %%
import pandas as pd
from experiments import pretrained
from sklearn.linear_model import LogisticRegression

rows = {}
for name, source in pretrained.SOURCES.items():
    meta = source.weights.meta
    accuracy = meta["_metrics"]["ImageNet-1K"]["acc@1"]
    rows[name] = [source.size, meta["num_params"] / 1e6, meta["_ops"], accuracy]
columns = ["pixels", "million parameters", "billion MACs", "ImageNet top-1 (%), published"]
pd.DataFrame.from_dict(rows, orient="index", columns=columns).round(1)

# %% [markdown]
# One image costs such a network hundreds of times what it costs our student. The next cell tries a probe of
# ResNet-50 on a few images, if you ask for it with `DOWNLOAD = True`. In the profile `paper` all three
# networks teach, as probes and fine-tuned.

# %%
dataset, n = lab.dataset("cifar10"), 500
try:
    if not DOWNLOAD:
        raise pretrained.MissingWeights("Nothing was fetched: DOWNLOAD is False.")
    from kdutils.data import normalise

    probe = models.build("imagenet-resnet50").eval()
    few = dataset.train.take(slice(n)), dataset.test.take(slice(n))
    with torch.no_grad():
        features = [torch.cat([probe.features(normalise(x, dataset)) for x in part.images.split(50)]) for part in few]  # fmt: skip
    fitted = LogisticRegression(max_iter=1000).fit(features[0], few[0].labels)
    print(f"Fitted to {n} images, right on {fitted.score(features[1], few[1].labels):.1%} of {n} others.")  # fmt: skip
except pretrained.MissingWeights as problem:
    print(problem)

# %% [markdown]
# Without a network, all is not lost. What such a teacher teaches with is its architecture and its training. The
# architectures can be had in the size of CIFAR images: a transformer with patches of a few
# pixels, and a ResNet-50 with a $3 \times 3$ stem and, on `laptop`, few channels. We train both from scratch.
# They stand in for the *architectures*, not for what a million photographs teach.
#
# **CLIP** goes one step further. It was trained on pairs of pictures and captions, and knows no classes at all.
# You name them: the text "a photo of a cat." becomes a direction in its feature space, and an image gets
# the class whose direction is nearest. So it answers about CIFAR-10 without a single label
# (*zero-shot*). It joins on `paper` where `open_clip` is installed: `pip install -e '.[clip]'`.
#
# ## 3. One student, several teachers
#
# All teachers were trained on all training images of CIFAR-10, each by the recipe that suits it, once. All
# students are the CNN5 of [chapter 04](04_cnn5_from_a_larger_network.ipynb) and see the same *few* images in the
# same stored views, with the same $T$ and $\alpha$. So the teachers know much that the student cannot learn from
# its own labels.

# %%
from experiments.networks import count_macs
from IPython.display import display

ex = lab.experiments
teachers = list(ex.teachers(lab.profile))  # names: the two of this chapter, then borrowed ones


def built(name: str) -> torch.nn.Module:
    """An arm's network with fresh weights, for its size alone."""
    return models.build(lab.arm(name).recipe.model).eval()


rows = {}
for name in teachers:
    own = built(name)
    rows[name] = {
        "network": lab.arm(name).recipe.model,
        "parameters": f"{models.count_parameters(own):,}",
        "million MACs": round(count_macs(own) / 1e6, 1),
        "accuracy (%)": lab.interval(name, "test_accuracy"),
        "NLL (nats)": lab.interval(name, "test_nll"),
        "its student (%)": lab.cell(ex.from_teacher(name), "test_accuracy"),
        "the two agree on (%)": lab.cell(ex.from_teacher(name), "test_agreement"),
    }
print(f"The student alone, with hard labels: {lab.cell(ex.HARD, 'test_accuracy')} %.")
pd.DataFrame(rows).T

# %%
from experiments import pieces
from experiments.pieces import points


def over(first: str, second: str = ex.HARD) -> pd.Series:
    """First arm minus second, in points of test accuracy, for the seeds that both have."""
    return pieces.over(lab, first, second)


taught = [ex.from_teacher(name) for name in (*teachers, *ex.ENSEMBLES)]
asked = {f"{name}, over hard labels": over(name) for name in taught}
every = ex.from_teacher(ex.LOGITS)
strong = ex.from_teacher(ex.STRONG)
asked["all of them (logits) over the strong one"] = over(every, strong)
asked["mean of probabilities over mean of logits"] = over(taught[-1], every)
for name in (ex.VIT, ex.RESNET50):
    asked[f"{ex.from_teacher(name)} over the strong one"] = over(ex.from_teacher(name), strong)
pieces.family(asked)

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from kdutils import figures, metrics

drawn = [n for n in teachers if lab.records(n) and lab.records(ex.from_teacher(n))]
if len(drawn) > 2:
    fig, ax = plt.subplots(figsize=(8, 4.2))
    for style, name in enumerate(drawn):
        mean, half = metrics.shown_ci(lab.values(ex.from_teacher(name), "test_accuracy"))
        figures.dot(ax, lab.mean(name, "test_accuracy"), mean, style, yerr=half, label=name)
    ax.axhline(lab.mean(ex.HARD, "test_accuracy"), color="0.4", ls="--", marker="", label=ex.HARD)
    ax.set(xlabel="teacher's test accuracy (%), one run", ylabel="student's test accuracy (%)")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    words = "; ".join(f"{n}: {lab.mean(n, 'test_accuracy'):.1f}, its student {lab.mean(ex.from_teacher(n), 'test_accuracy'):.2f}" for n in drawn)  # fmt: skip
    lab.show(fig, "09_teachers", f"Student against teacher. {words}.", [ex.from_teacher(n) for n in drawn])  # fmt: skip

# %% [markdown]
# Read the figure from left to right. If accuracy were all that matters in a teacher, the students would
# rise with it. Where two neighbours are in the wrong order, look at the last column of the table: how often do teacher
# and student agree? A student can follow one teacher better than another.
#
# ## 4. All of them together
#
# There are two ways to make one answer of several. One is the mean of the probabilities. The other is the mean
# of the logits, which is the *geometric* mean of the probabilities, brought back to a sum of one.
#
# **Your turn.** Write both, as logits of the joint answer.


# %% tags=["your-turn"]
def mean_of_logits(z: torch.Tensor) -> torch.Tensor:
    """z [teachers, N, classes] -> [N, classes]."""
    # your turn: one line
    return z.mean(dim=0)
    # end


def mean_of_probabilities(z: torch.Tensor) -> torch.Tensor:
    """z [teachers, N, classes] -> [N, classes]: logits whose softmax is the mean probability."""
    # your turn: the logarithm of the mean probability
    return z.softmax(dim=2).mean(dim=0).log()
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
# product to zero. In an arithmetic mean, each can insist. Where all teachers agree about what is possible, the two
# hardly differ.
#
# Now the real ones. Their answers about the test images are stored.

# %%
import numpy as np

labels = dataset.test.labels
kept = [name for name in teachers if lab.records(name)]
z = torch.stack([lab.logits(name) for name in kept])  # [teachers, 10000, 10]
joint = dict(zip(kept, z, strict=True)) | {ex.LOGITS: mean_of_logits(z), ex.PROBABILITIES: mean_of_probabilities(z)}  # fmt: skip
best = max(kept, key=lambda name: metrics.accuracy(joint[name], labels))
right = {name: (answer.argmax(1) == labels).double() for name, answer in joint.items()}
rows = {}
for name, answer in joint.items():
    won = (right[name] - right[best]).numpy()  # by image: -1, 0 or 1
    half = 1.96 * won.std() / len(won) ** 0.5  # the test images as a sample
    rows[name] = {
        "accuracy (%)": round(metrics.accuracy(answer, labels), 2),
        "over the best single one": "–"
        if name == best
        else f"{100 * won.mean():+.2f} ± {100 * half:.2f}",  # fmt: skip
        "NLL (nats)": round(metrics.nll(answer, labels), 4),
        "calibration error (%)": round(metrics.calibration_error(answer, labels), 2),
        "its student (%)": lab.cell(ex.from_teacher(name), "test_accuracy"),
    }
rows_joint = {name: row["over the best single one"] for name, row in rows.items()}
pd.DataFrame(rows).T

# %% [markdown]
# The intervals in this table treat the test images as a sample, for these very networks. They say nothing about
# other runs of a teacher. Compare the column NLL with the accuracies: a mean of several answers is less sure than its
# members, which is often good for the likelihood even where it adds little to the accuracy. Exercise 4 shows
# that the NLL of a mean is never worse than the mean NLL of its members.
#
# A mean treats a weak teacher like a strong one. If the joint answer is no better than the best single one, that
# is the first suspect.
#
# ## 5. The shape of the student
#
# How should a small network spend its multiplications? On many thin layers or few wide ones, in
# convolutions or in linear layers? All shapes here need about as many for an image:
#
# - *CNN5*: three convolutions and a hidden linear layer;
# - `convs-2x40-400` (laptop): two wide convolutions, then a large linear layer;
# - `convs-6x16`: six thin convolutions, no hidden linear layer;
# - `mlp-2000-2000`: linear layers alone.
#
# Each learns from hard labels, and from the teacher of chapter 04. (On `smoke` they are smaller, and there is
# no MLP.)

# %%
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
# Multiplications do not fix what a network can learn. Where it spends them does. The MLP has by far the most
# parameters and no idea of neighbourhood. Compare the distance between two shapes with the distance between
# hard labels and a teacher: which choice moves more?
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
from kdutils import tables

columns = {"the teacher": ex.STRONG, "hard labels": ex.HARD, "distilled": strong}
numbers, rows = {}, {}  # numbers: [seeds, 3, classes]
for said, name in columns.items():
    if not lab.records(name):
        continue
    each = [lab.logits(name, seed=record.recipe.seed) for record in lab.records(name)]
    numbers[said] = 100 * torch.stack([per_class(one, labels) for one in each])
    rows[said] = {"accuracy (%)": lab.cell(name, "test_accuracy")}
    for kind, found in zip(("precision", "recall", "F1"), numbers[said].mean(dim=2).T, strict=True):
        rows[said][f"macro {kind} (%)"] = tables.interval(found.tolist(), "test_accuracy")
pd.DataFrame(rows)

# %% [markdown]
# The classes of CIFAR-10's test set are equally large, so accuracy and macro recall are the same number. Macro
# precision and F1 are close to it. They become interesting class by class, or where classes differ in size.
#
# Now the speed, of all in turns and in random order ([chapter 08](08_small_students.ipynb) says why), with one
# network under two names. The two students are one architecture, so they share a row.

# %%
from experiments import device

timed = {said: built(name) for said, name in {"the teacher": ex.STRONG, "the student": ex.HARD}.items()}  # fmt: skip
timed["the student, again"] = built(ex.HARD)  # what this timing cannot resolve
timed |= {name: built(name) for name in (ex.VIT, ex.RESNET50)}
speed = {}
with torch.inference_mode():
    for batch, rounds in ((1, 60), (128, 8)):
        x = torch.randn(batch, 3, 32, 32)
        calls = {said: (lambda net=net, x=x: net(x)) for said, net in timed.items()}
        speed[batch] = device.in_turns(calls, rounds).median()
speed = pd.DataFrame({"ms, one image": speed[1], "images a second, 128 at once": 128_000 / speed[128]})  # fmt: skip
faster = speed.iloc[:, 1] / speed.iloc[0, 1]
again = abs(faster["the student, again"] / faster["the student"] - 1)
speed["times as fast, 128 at once"] = faster
print(f"Medians, {torch.get_num_threads()} threads.")
speed.map(lambda x: f"{x:,.0f}" if x > 100 else f"{x:.3g}")

# %% tags=["hide-input"]
f1 = {said: found[:, 2] for said, found in numbers.items()}  # [seeds, classes]
fig, ax = plt.subplots(figsize=(8, 3.8))
for style, (said, found) in enumerate(f1.items()):
    for c, of_class in enumerate(found.T.tolist()):
        mean, half = metrics.shown_ci(of_class)
        figures.dot(ax, c + 0.2 * (style - 1), mean, style, yerr=half, label=None if c else said)
ax.set_xticks(range(len(dataset.classes)), dataset.classes, rotation=30)
ax.set(ylabel="F1 on test images (%)")
fig.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=3)
words = "; ".join(f"{said}: lowest {dataset.classes[int(x.mean(0).argmin())]} {float(x.mean(0).min()):.0f}, highest {dataset.classes[int(x.mean(0).argmax())]} {float(x.mean(0).max()):.0f}" for said, x in f1.items())  # fmt: skip
lab.show(fig, "09_f1", f"F1 by class. {words}.", [ex.HARD, strong])

# %%
gained = {}
if {"hard labels", "distilled"} <= f1.keys():
    pairs = [sorted({r.recipe.seed for r in lab.records(name)}) for name in (ex.HARD, strong)]
    if pairs[0] == pairs[1]:
        by_class = (f1["distilled"] - f1["hard labels"]).T.tolist()  # [classes, seeds]
        gained = dict(zip(dataset.classes, by_class, strict=True))
pieces.family(gained)

# %% [markdown]
# The table shows F1 of the distilled student minus F1 of the student of hard labels, class by class, corrected
# for ten questions.
#
# ## 7. What we saw
#
# Your predictions, one by one.

# %% tags=["hide-input"]
from IPython.display import Markdown

accuracies = {lab.arm(h).recipe.model: lab.mean(h, "test_accuracy") for h, _ in shapes.values() if lab.records(h)}  # fmt: skip
top, low = max(accuracies, key=accuracies.get), min(accuracies, key=accuracies.get)
adds = {lab.arm(h).recipe.model: over(learned, h) for h, learned in shapes.values()}
adds = {name: x for name, x in adds.items() if len(x)}
pupils = {name: lab.mean(ex.from_teacher(name), "test_accuracy") for name in kept}
Markdown(f"""
1. The transformer has {lab.interval(ex.VIT, "test_accuracy")} %, the ResNet-50 {lab.interval(ex.RESNET50, "test_accuracy")} % (one run each).
2. Of {len(pupils)} teachers, {best} is the most accurate; {max(pupils, key=pupils.get)} has the best student.
3. The mean of logits: {rows_joint[ex.LOGITS]} points over the best single teacher; of probabilities: {rows_joint[ex.PROBABILITIES]}. Their students over the student of {ex.STRONG}: {points(over(every, strong))} and {points(over(taught[-1], strong))}.
4. With hard labels, {top} has {accuracies[top]:.2f} % and {low} {accuracies[low]:.2f} %. Most gains {max(adds, key=lambda m: adds[m].mean(), default="none")}; each in points: {"; ".join(f"{m} {points(x)}" for m, x in adds.items())}.
5. {max(gained, key=lambda c: np.mean(gained[c]), default="Not recorded")}; see the table above. The student is {faster["the student"]:.1f} times as fast as its teacher, 128 images at once (one network under two names: {again:.1%} apart).
""")

# %% [markdown]
# How to read these answers, whatever the numbers are:
#
# - **A teacher's accuracy is a means.** What counts is what its student learns. The table of section 3 has both.
# - **A transformer from scratch on few images is a transformer out of its element.** Answer 1 says nothing about one
#   that has seen a million photographs.
# - **The largest of several differences looks larger than it is.** "The best of five teachers", "the shape that
#   gains most" and "the class that gains most" are all chosen after looking. Their $p$-values are corrected
#   in the tables, their sizes are not.
# - **An ensemble costs its members.** Here their answers were stored, so the student pays nothing for them.
#   Whoever has to train them pays for all.
# - **Compare choices by their size.** A teacher, a shape, an ensemble: whichever moves the student most
#   deserves your time first.
#
# So which teacher should you take? One that your student can follow, of those that you can have. Try two that
# differ in kind, on validation images, with more than one seed, before you train a third.
#
# ## 8. Where it can mislead
#
# - **Each teacher was trained once.** A difference between two students' means contains the luck of two
#   teachers. The intervals are about seeds of the student.
# - **The teachers had different budgets.** They differ in architecture, recipe, epochs and views. This is a
#   choice between teachers as one finds them, not an experiment on architectures.
# - **The teachers saw labels that the students did not.** With all labels, the students' gains would be smaller.
# - **Stand-ins.** The ResNet-50 here is narrow, the transformer small. Without downloaded weights, nothing on
#   this page is about pre-training.
# - **$T$ and $\alpha$ are the same for all.** Teachers differ in how sure they are. A temperature of its own might help
#   one more than another.
# - **One budget of multiplications is not one budget of time.** Thin layers use a processor badly. The
#   shapes share one schedule, too.
# - **FastNet, the strong teacher on `laptop`, answers twice for each image**, once for its mirror image. That is
#   half of its time.
#
# ## Exercises
#
# Solutions: [solutions/09_big_teachers.py](solutions/09_big_teachers.py).
#
# 1. *(5 minutes, easy)* How many parameters has a vision transformer of patch $p$, width $D$ and $L$ blocks,
#    with MLPs of width $2D$? Write the formula. *Check:* `vit-4-128-6` has 810,890 on CIFAR-10.
#    [Solution](solutions/09_big_teachers.py#exercise-1).
# 2. *(10 minutes, medium)* Attention compares every token with every other. Which share of a block's
#    multiplications is that, for patches of 8, 4, 2 and 1 pixels and $D = 128$? *Check:* for one pixel a patch it is
#    more than half.
#    [Solution](solutions/09_big_teachers.py#exercise-2).
# 3. *(15 minutes, medium)* Find the answers of two teachers about three classes for which the two means name
#    *different* classes, neither of them the first teacher's favourite. *Check:* your function returns logits
#    $[2, 1, 3]$; the test takes both means.
#    [Solution](solutions/09_big_teachers.py#exercise-3).
# 4. *(20 minutes, hard)* Show that the NLL of a mean, of probabilities or of logits, is never larger than the
#    mean NLL of the members. (Which function is convex?) *Check:* try it on random logits; the gap is
#    zero only where all members agree.
#    [Solution](solutions/09_big_teachers.py#exercise-4).
#
# ## Summary
#
# - Self-attention is a weighted mean of all tokens. It knows no neighbourhood and no order but the one it learns.
# - A network from ImageNet needs its size, its normalisation and a new head. A probe trains the head alone.
# - The mean of logits lets each teacher veto, the mean of probabilities lets each insist.
# - Students of equal arithmetic can differ by more than any teacher gives.
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
