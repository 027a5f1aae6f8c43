# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10 · Can a teacher of a hundred other classes teach ten?
#
# So far teacher and student knew the same classes. In practice the teacher at hand was trained for
# something else. CIFAR-100 has a hundred classes and none of CIFAR-10's images. It has maple trees and
# tractors, but no bird and no ship. A project proposal asks for exactly this: take a strong network of
# CIFAR-100 and let it teach a small student of CIFAR-10. Its answers about a frog are a hundred
# probabilities, none of which is called *frog*. Is there anything in them for the student?
#
# The same proposal makes a claim about the teacher: it should be trained **without label smoothing**,
# which "might diminish the mutual information within class labels". Müller et al. (2019) found something
# like it. The second half of this chapter looks at the cause and measures the effect.
#
# **You will be able to**
#
# - read what a network thinks of images that belong to none of its classes;
# - use a teacher of other classes in four ways, and compare them under one budget;
# - explain with a picture what label smoothing does to a network's features;
# - say whether a smoothed teacher is a worse teacher, here.
#
# You need [chapter 01](01_soft_and_hard_targets.ipynb) (the loss, label smoothing) and the stored answers
# of [chapter 04](04_cnn5_from_a_larger_network.ipynb).
#
# *Time:* half a minute on `smoke` and on `laptop`, which reads recorded runs (the second
# cell says how long they trained); a GPU and some hours on `paper`.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from kdutils.experiments import Lab

lab = Lab("10", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write down five guesses. They are answered by number in section 6.
#
# 1. The teacher of CIFAR-100 looks at ships. Which of its classes gets the most probability, on average?
# 2. A linear classifier reads the teacher's hundred logits and names one of CIFAR-10's ten classes. How
#    accurate is it on test images?
# 3. Four routes from this teacher to the student: which of them beats hard labels, and by how much?
# 4. A teacher of CIFAR-10 itself, trained on many more labels, is the yardstick. What share of
#    its gain does the best route reach?
# 5. A teacher is trained with label smoothing .2 instead of none. Is it more accurate? Are its students more
#    accurate than those of the plain teacher, at $T = 4$ and at $T = 1$?
#
# ## 1. What a stranger sees
#
# The student learns from a few images of CIFAR-10. We ask the teacher of CIFAR-100 about them, once, and
# keep its hundred logits. For each of our classes we average the probabilities that it gives to its own.
# (On `smoke`, toy data stand for both: twenty fine classes, and ten coarse ones of other images.)

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import Markdown, display

from kdutils import figures
from kdutils.knowledge import Knowledge

ex = lab.experiments
recipe, ours = lab.arms[ex.PROBE].recipe, lab.dataset("cifar10")
known = Knowledge(recipe, ours, lab.store)
asked_stranger = known.complete  # stored here? nobody trains a teacher in passing
labels = ours.train.labels[: recipe.n_train]  # [N]
classes = len(ours.classes)
if asked_stranger:
    answers = known.file.view(0)[: len(labels)].float()  # [N, 100]: about view 0 of our images
    theirs = lab.dataset("cifar100")
    seen = ex.seen_as(answers, labels, classes)  # [10, 100]
    top = seen.topk(4)
    said_of = [", ".join(f"{theirs.classes[k].replace('_', ' ')} {p:.0%}" for p, k in zip(*row, strict=True))
               for row in zip(*top, strict=True)]  # fmt: skip
    frame = pd.Series(said_of, ours.classes, name="the stranger's mean answer").to_frame()
    pd.set_option("display.max_colwidth", None)  # nothing is cut off
else:
    frame = Markdown(
        "*The answers of the teacher of CIFAR-100 are not stored: `TRAIN = True` makes them.*"
    )
frame

# %% tags=["hide-input"]
if asked_stranger:
    fig, axes = plt.subplots(2, 10, figsize=(10, 2.9))
    for k, pair in enumerate(axes.T):
        for ax, split, which, names in zip(pair, (ours.test, theirs.train), (k, int(top.indices[k, 0])), (ours.classes, theirs.classes), strict=True):  # fmt: skip
            ax.imshow(split.images[(split.labels == which).nonzero()[0, 0]].permute(1, 2, 0))
            ax.set_title(names[which].replace("_", "\n"), fontsize=9)
            ax.set(xticks=[], yticks=[])
    said = "; ".join(f"{own}: {words.split(', ')[0]}" for own, words in zip(ours.classes, said_of, strict=True))  # fmt: skip
    alt = f"An image of each of our classes, above one of the class that gets most of the stranger's probability. {said}."  # fmt: skip
    lab.show(fig, "10_strangers", alt, [ex.FOREIGN], bars=False)

# %% [markdown]
# The lower row shows, for each of our classes, the class of the other data set that gets the most
# probability. Look for answers that make sense to you, and for answers that share a colour or a
# background. Both can help a student: a network that says *plate* about one of our classes and about no
# other has told that class apart. (Some of the hundred classes are near relatives of ours, such as bus,
# pickup truck or wolf. So "other classes" is weaker than it sounds.)
#
# ## 2. Four routes
#
# How can a hundred probabilities reach a student of ten classes?
#
# - **Auxiliary head.** The student gets a hundred more outputs. They learn the teacher's softened answers,
#   while the ten own outputs learn the labels. All layers below serve both. After training, the auxiliary
#   head is thrown away.
# - **Matched logits.** The same head, but it has to meet the teacher's *logits* as numbers, by half the mean
#   squared error, each image's mean taken off. This is what the first route comes to as $T$ grows
#   ([chapter 06](06_temperature.ipynb) shows why), so the two are not quite different ideas. Ba and Caruana
#   (2014) trained students on logits alone. It is close to a **hint** (Romero et al. 2015), where a student has
#   to predict a *middle* layer of its teacher through a layer that is learned with it
#   ([chapter 12](12_inside_the_teacher.ipynb)). A network that ends in a
#   linear layer has weighted sums of its last features for logits: fewer numbers to store, and not all that
#   the features hold. (The table below has this route twice. In a first version of this chapter the logits were
#   divided by $T$, and the loss was not multiplied by $T^2 / 2$. At $T = 4$ that leaves an eighth of its weight: the
#   kind of slip that [chapter 04](04_cnn5_from_a_larger_network.ipynb) is about. Both stand here.)
# - **Linear probe** (Alain and Bengio 2016). First turn the stranger into a teacher of our classes: fit a
#   linear classifier to its logits and our labels. Then distil as usual.
# - **Masses.** Each of its classes hands its probability on to our classes, in fixed shares.
#
# The shares come from the labelled images. Let $p_j(x)$ be the teacher's probability for its class $j$.
# The mass of $j$ on our class $k$ is the mean of $p_j$ over the images of $k$. Its share is that mass over
# the mass of $j$ on all our classes:
#
# $$ m_{jk} = \frac{1}{N_k} \sum_{x \in k} p_j(x), \qquad
#    s_{jk} = \frac{m_{jk}}{\sum_l m_{jl}}, \qquad
#    p_k(x) = \sum_j p_j(x)\, s_{jk} . $$
#
# These answers are probabilities already, and soft ones. So this route has $T = 1$; the first and the third have $T = 4$.
#
# **Your turn.** Write the shares. (The answer about new images is then one product, `p @ shares`: the check
# forms it.)


# %% tags=["your-turn"]
import torch.nn.functional as F


def shares(p: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """How each of the teacher's classes is shared out among ours: [theirs, ours], rows sum to 1."""
    # your turn: p [N, theirs]; the mean over the images of each of our classes, then the rows' shares
    one_hot = F.one_hot(labels, classes).float()  # [N, ours]
    mass = p.T @ one_hot / one_hot.sum(dim=0)  # [theirs, ours]
    return mass / mass.sum(dim=1, keepdim=True)
    # end


# %% tags=["check", "nbval-check-output"]
from kdutils.knowledge import translation

p = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])  # about 4 images
found = shares(p, torch.tensor([0, 0, 0, 1]), 2)  # three of our class 0, one of class 1
assert torch.allclose(found.sum(dim=1), torch.ones(2)), "each *row* sums to 1"
# masses of its class 0: 2/3 and 1/2; of its class 1: 1/3 and 1/2
assert torch.allclose(found, torch.tensor([[4 / 7, 3 / 7], [2 / 5, 3 / 5]])), "mean over the images"
dice = torch.Generator().manual_seed(0)
z, y = 3 * torch.randn(300, 20, generator=dice), torch.randint(5, (300,), generator=dice)
mapped = (z.softmax(1) @ shares(z.softmax(1), y, 5)).log()
assert torch.allclose(translation("masses", z, y, 5)(z), mapped, atol=1e-5), (
    "kdutils says otherwise"
)
assert torch.allclose(mapped.exp().sum(dim=1), torch.ones(300)), "probabilities of our classes"
print("shares holds: by hand, and as kdutils maps the answers.")

# %% [markdown]
# The probe and the masses make a teacher of ten classes, whose accuracy can be measured before any student
# is trained. Both are fitted to the images that the student learns from, and to no others.

# %%
from kdutils import metrics

if asked_stranger:
    test = known.file.tensors["test"].float()  # [10000, 100]: its answers about our test images
    left_out = torch.arange(len(labels)) % 10 == 0  # a tenth of the student's images
    rows = {}
    for name, kind in ((ex.PROBE, "probe"), (ex.MASSES, "masses")):
        turned = translation(kind, answers, labels, classes)  # fitted here as in the recorded runs
        part = translation(kind, answers[~left_out], labels[~left_out], classes)
        rows[name] = {
            "images it was fitted to (%)": metrics.accuracy(turned(answers), labels),
            "a tenth left out (%)": metrics.accuracy(part(answers[left_out]), labels[left_out]),
            "test images (%)": metrics.accuracy(turned(test), ours.test.labels),
        }
probed = pd.DataFrame(rows).T.round(1) if asked_stranger else frame
probed

# %% [markdown]
# A probe can fit its images too well. Compare the first column with the images left out: they are cropped and
# mirrored in the same way, but another fit, to the other nine tenths, answers for them. What then still separates
# them from the test images is the crop, since test images are whole, or chance, since a tenth is few. The
# student is told what this teacher says about its own images. [Chapter 01](01_soft_and_hard_targets.ipynb)
# shows what a teacher is worth that is too sure of them.
#
# The two heads are simple. This is the whole of the first one; the network has $10 + 100$ outputs. The
# labels keep their full weight, and the auxiliary loss comes on top.

# %%
from kdutils.losses import kd_loss


def auxiliary(z, t, y, temperature, alpha):
    """z [B, 110], the teacher's logits t [B, 100], labels y [B]: one number."""
    own, aux = z[:, :-100], z[:, -100:]
    return F.cross_entropy(own, y) + alpha * kd_loss(aux, t, None, temperature, alpha=1.0)


z, t = torch.randn(8, 110, generator=dice), torch.randn(8, 100, generator=dice)
y = torch.randint(10, (8,), generator=dice)
assert torch.equal(
    auxiliary(z, t, y, recipe.temperature, recipe.alpha), ex.auxiliary(z, t, y, recipe)
)
print("The same number as the loss of the recorded runs.")

# %% [markdown]
# ## 3. Which route is worth taking?
#
# All students are CNN5, see the same few images of CIFAR-10 in the same stored views, and have the same
# epochs, schedule and batches. None of them ever sees an image of CIFAR-100.
#
# Three more arms help to read the routes. One is a control: an auxiliary head that learns the stranger's answers
# about *other* images, the same ones in every epoch. A second head and soft targets may help by themselves, as a
# regulariser does; what the control gains needs no knowledge. It may also do harm, since answers that do not fit
# must be learned by heart. Then the distance to it is larger than what the stranger taught. So look first at the
# control over hard labels. The second control hears answers about other images of the *same class*, others in
# every epoch. It separates what the stranger says about *this* image from what it says about its class.
#
# The last arm is a yardstick: its teacher knows our classes and was trained on many more labels, the student's own
# images among them.

# %%
display(lab.recipes(ex.HARD, *ex.ROUTES))
display(lab.table("Teachers"))
lab.table("Routes")

# %%
from experiments import pieces

lab.differences("test_accuracy", ex.ASKED)

# %% tags=["hide-input"]
names = [
    n for n in (ex.HARD, *ex.ROUTES, ex.TOO_WEAK, ex.OTHERS, ex.SAME, ex.AT_HOME) if lab.records(n)
]
if len(names) > 3:
    fig, ax = plt.subplots(figsize=(8, 3.8))
    words = lab.dots(ax, names)
    ax.set(xlabel="test accuracy (%); ticks: seeds")
    lab.show(fig, "10_routes", f"Test accuracy (%): {words}.", names)

# %% [markdown]
# Which routes are distinguishable from hard labels, when all questions are counted? And what share of the
# yardstick's gain do these reach? A share of two uncertain gains has an interval of its own (Fieller 1954): it holds all ratios $r$
# for which the mean of *route* $-\ r\,\cdot$ *yardstick* is not distinguishable from zero.

# %%
family = lab.paired("test_accuracy", ex.ASKED)  # the questions above
holm = {n: family.get(f"{n}, over hard labels", {}).get("holm", 1.0) for n in ex.ROUTES}
gains = {n: pieces.over(lab, n, ex.HARD) for n in (*ex.ROUTES, ex.AT_HOME)}
told = [n for n in ex.ROUTES if holm[n] < 0.05 and gains[n].mean() > 0]
verdict = f"Above hard labels, after correction: {', '.join(told) or 'none of them'}."
shares = {n: pieces.share(gains[n], gains[ex.AT_HOME]) for n in told}
shares = "; ".join(f"{n} {share}" for n, share in shares.items() if share)
reached = f"What they have of the yardstick's gain: {shares or 'no share can be given'}."
recorded = {n: gains[n].mean() for n in ex.ROUTES if len(gains[n])}
best = max(recorded, key=recorded.get, default=None)
print(verdict, reached, f"The largest mean gain has {best or 'no route'}.", sep="\n")

# %% [markdown]
# The yardstick is no limit: its teacher was trained on the student's own images, and is surer of them than
# it should be. A route may do better. Read it as what an ordinary teacher of our own classes gives, and the
# routes as what can be had from a teacher that happens to lie around.
#
# ## 4. What label smoothing does to a teacher
#
# Label smoothing replaces the one-hot label by $1 - s$ on the class plus $s / C$ on all. To be rewarded, a
# network has to push its logit for the true class above the others by a *finite* amount, and the others
# should be **equally low**. But the differences among the others, and how sure a network is of the right one,
# are what a student learns from a teacher and not from a label. Müller et al. saw this in a picture: take
# the features before the last layer, and project the images of three classes to a plane. They took the
# plane through the three rows of the last layer's weights; we take the class means.
#
# **Your turn.** Project features to that plane. Two directions span it; make them orthonormal
# (`torch.linalg.qr` does it), so that distances in the plane are distances in the feature space.


# %% tags=["your-turn"]
def plane(features: torch.Tensor, labels: torch.Tensor, three) -> torch.Tensor:
    """Coordinates [N, 2] in the plane through the means of three classes; the first is the origin."""
    a, b, c = (features[labels == k].mean(dim=0) for k in three)
    # your turn: an orthonormal basis [D, 2] of the directions b - a and c - a; then project
    basis, _ = torch.linalg.qr(torch.stack([b - a, c - a], dim=1))
    return (features - a) @ basis
    # end


# %% tags=["check", "nbval-check-output"]
points = torch.randn(90, 7, generator=dice) + 5 * F.one_hot(torch.arange(90) % 3, 7)
flat = plane(points, torch.arange(90) % 3, (0, 1, 2))
middles = [points[k::3].mean(dim=0) for k in range(3)], [flat[k::3].mean(dim=0) for k in range(3)]
for i, j in ((0, 1), (0, 2), (1, 2)):
    in_space, in_plane = ((m[i] - m[j]).norm() for m in middles)
    assert torch.isclose(in_space, in_plane), "the means lie in the plane: distances stay"
assert (flat.norm(dim=1) <= (points - middles[0][0]).norm(dim=1) + 1e-4).all()
print("plane holds: distances of the means stay, and no other distance grows.")

# %% [markdown]
# Now train three small networks on this page, on scikit-learn's digits: one with hard labels, two with label
# smoothing. We look at digits that none of them has seen.

# %%
from torch import nn

from kdutils import data

digits = data.load("digits")
x, y = digits.train.images.flatten(1).float() / 255, digits.train.labels  # [1100, 784], [1100]
x_new, y_new = digits.test.images.flatten(1).float() / 255, digits.test.labels


def network(smoothing: float, seed: int = 0) -> nn.Sequential:
    """A small network: two hidden layers, the second one's 64 values are its features."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))  # fmt: skip
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(60):  # epochs
        for batch in torch.randperm(len(x)).split(100):
            loss = F.cross_entropy(net(x[batch]), y[batch], label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


def unevenness(z: torch.Tensor, y: torch.Tensor) -> float:
    """How far an image's wrong logits lie apart, over the right one's lead. No T changes it."""
    z = z.float()  # [N, classes]
    wrong = z[F.one_hot(y, z.shape[1]) == 0].view(len(z), -1)  # [N, classes - 1]
    lead = z.gather(1, y[:, None])[:, 0] - wrong.mean(dim=1)
    return float(wrong.std(dim=1).mean() / lead.mean())


def scatter(features: torch.Tensor, y: torch.Tensor) -> float:
    """The variance of features [N, D] within the ten classes, over that between their means."""
    classes = [features[y == k] for k in range(10)]
    within = torch.stack([of.var(dim=0).sum() for of in classes]).mean()
    return float(within / torch.stack([of.mean(dim=0) for of in classes]).var(dim=0).sum())


three, RATIO = (1, 8, 3), "scatter within classes / between"
nets = {s: network(s) for s in ex.SMOOTHINGS}
flat, table = {}, {}
with torch.no_grad():
    for s, net in nets.items():
        features = net[:-1](x_new)  # [N, 64]
        flat[s] = plane(features, y_new, three)
        rest = net(x_new).softmax(1).scatter(1, y_new[:, None], 0)  # the wrong classes' share
        rest = rest / rest.sum(dim=1, keepdim=True)
        doubt = -(rest * rest.clamp(min=1e-12).log()).sum(dim=1)  # [N], in nats
        table[f"smoothing {s:g}"] = {
            "accuracy (%)": metrics.accuracy(net(x_new), y_new),
            RATIO: scatter(features, y_new),
            "wrong classes that share the rest": float(doubt.exp().mean()),
            "unevenness": unevenness(net(x_new), y_new),
        }
pd.DataFrame(table).T.round(3)

# %% tags=["hide-input"]
fig = ex.clouds({f"smoothing {s:g}": [points[y_new == k] for k in three] for s, points in flat.items()}, [f"digit {k}" for k in three])  # fmt: skip
figures.count(fig, [int(torch.isin(y_new, torch.tensor(three)).sum())], "digits", "test images", bars=False)  # fmt: skip
words = "; ".join(f"{name}: {row[RATIO]:.3f}" for name, row in table.items())
alt = f"Test digits {three} in the plane of their class means, one panel for each smoothing. {RATIO}, all ten classes in all 64 features: {words}."  # fmt: skip
figures.show(fig, name="10_smoothing", alt=alt)

# %% [markdown]
# Each panel has its own scale: judge a cloud by its distance to the next. The second column of the table does that
# for all ten classes in all 64 dimensions. If smoothing pulls the images of a class together, it falls.
#
# The third column is the perplexity of the answer without the true class: over how many *wrong* classes is the rest
# spread? A student can learn from that rest only where it is uneven, and most where it differs from image to image.
# But smaller logits alone would spread it, too, and a temperature undoes that. So the last column has no scale.
# Dividing all logits by one number leaves it as it is. It falls only if the differences among the wrong classes
# shrink more than the lead of the right one. (One network each: try `network(s, seed=1)`.)
#
# ## 5. Is a smoothed teacher a worse teacher?
#
# Now on CIFAR-10, with the teacher WideResNet and the student of [chapter 05](05_deeper_distillation.ipynb).
# Müller et al. found that a smoothed teacher may be more accurate and still have worse students. Shen et al. (2021)
# disagreed: in most of their experiments its students lost nothing, and they list cases where they do.
# Chandrasegaran et al. (2022) found that it depends on the temperature. At a high one, they say, the student's
# features of a class drift towards similar classes (*systematic diffusion*); they advise a low one. There is a
# plainer reason to look at two temperatures, too: a smoothed teacher has smaller logits, so the same $T$ softens
# its answers more.
#
# One teacher was trained for each smoothing. So the intervals below speak of *these networks*. They say how surely
# their students differ, not whether smoothing did it: two teachers that were trained alike differ, too. One row
# of the table shows by how much. It is the teacher without smoothing once more, from another seed.
#
# Two questions were fixed before the runs. Is the student of smoothing .2 worse at $T = 4$? And is that *more* so than
# at $T = 1$? In the second, whatever luck of a teacher shows at both temperatures alike cancels.


# %%
from scipy import stats


def over(first: str, second: str = ex.HARD) -> pd.Series:
    """First arm minus second in points of test accuracy, for the seeds that both have."""
    return pieces.over(lab, first, second)


def apart(first: str, second: str) -> str:
    """Two teachers' accuracies, image by image: the test images are the sample."""
    if not (lab.records(first) and lab.records(second)):
        return "not recorded"
    won = [(lab.logits(name).argmax(1) == ours.test.labels).double() for name in (first, second)]
    d = 100 * (won[0] - won[1])
    return f"{d.mean():+.2f} ± {1.96 * d.std() / len(d) ** 0.5:.2f}"


hot, cold = ex.TEMPERATURES
rows = {}
for s in (*ex.SMOOTHINGS, ex.AGAIN):
    heard = Knowledge(lab.arms[ex.student_name(s)].recipe, ours, lab.store)
    of = ours.train.labels[: heard.recipe.n_train]
    rows[s if s == ex.AGAIN else f"smoothing {s:g}"] = {
        "teacher (%)": lab.cell(ex.teacher_name(s), "test_accuracy"),
        "over the first": apart(ex.teacher_name(s), ex.teacher_name(0)) if s else "–",
        "unevenness": f"{unevenness(heard.logits(0), of):.3f}" if heard.complete else "not stored",
        **{f"student, T = {t:g} (%)": lab.cell(ex.student_name(s, t), "test_accuracy") for t in ex.TEMPERATURES},
    }  # fmt: skip
print(f"Without a teacher, new views in every epoch (%): {lab.cell(ex.ALONE, 'test_accuracy')}.")
pd.DataFrame(rows).T

# %% [markdown]
# Does the picture hold for these teachers? Their features are not stored, but their logits are: a linear map of the
# features, plus a constant. It takes class means to class means, but not distances to distances, and what the last
# layer does not look at is gone. So we make the same construction in another space, that of what a student hears (less
# each image's mean, which no softmax sees). Two of the classes are alike, cat and dog. If the ratio above a panel does
# not fall as the digits' did, smoothing need not do to logits what it does to features. Look at the shape as well. If
# wrong logits were *equally low*, the three means would form a triangle of equal sides. Is cat nearer to dog than to
# airplane? (A panel may be mirrored; it shows the first 150 images of each class. The ratio is of all ten classes.)

# %% tags=["hide-input"]
kinds, labels_new = (0, 3, 5), ours.test.labels  # of CIFAR-10: airplane, cat, dog
seen = {
    s: lab.logits(ex.teacher_name(s))
    for s in (*ex.SMOOTHINGS, ex.AGAIN)
    if lab.records(ex.teacher_name(s))
}
seen = {s: z - z.mean(dim=1, keepdim=True) for s, z in seen.items()}  # [N, 10] each
panels = {
    f"{s if s == ex.AGAIN else f'smoothing {s:g}'}\nwithin / between {scatter(z, labels_new):.2f}": z
    for s, z in seen.items()
}
fig = ex.clouds({title: [plane(z, labels_new, kinds)[labels_new == k][:150] for k in kinds] for title, z in panels.items()}, [ours.classes[k] for k in kinds])  # fmt: skip
figures.count(fig, [sum(min(150, int((labels_new == k).sum())) for k in kinds)], f"{ours.name}, profile {PROFILE}", "test images", bars=False)  # fmt: skip
figures.show(fig, name="10_smoothed_teachers", alt=f"Logits of three classes in the plane of their means, one panel for each teacher. {RATIO}: {'; '.join(panels).replace(chr(10), ': ')}.")  # fmt: skip

# %% [markdown]
# One teacher each: the numbers describe these networks, and the first and the last panel show one example
# of what a seed can do. Did smoothing change their students?


# %%
def change(s, t: float) -> pd.Series:
    """By seed: the student of this smoothing, minus the one of the first teacher, at T = t."""
    return over(ex.student_name(s, t), ex.student_name(0, t))


more = (change(0.2, hot) - change(0.2, cold)).dropna()
display(pieces.family({
    f"{ex.student_name(0.2, hot)}: over the one of smoothing 0": change(0.2, hot),
    f"the same, minus what it is at T = {cold:g}": more,
}))  # fmt: skip
taught = {(s, t): pieces.by_seed(lab, ex.student_name(s, t)) for s in (*ex.SMOOTHINGS, ex.AGAIN) for t in ex.TEMPERATURES}  # fmt: skip
y = pd.DataFrame(taught).T.dropna(axis=1)  # [settings, seeds that all have]
if y.shape[1] > 1:
    sigma, free = pieces.common_scatter(y)
    half = stats.t.ppf(0.975, free) * sigma * (2 / y.shape[1]) ** 0.5
    print(
        f"One scatter for all {len(y)} settings: two means lie up to {half:.2f} points apart by the"
    )
    print(f"luck of seeds (95 %), and two differences up to {2**0.5 * half:.2f}.")
luck = change(ex.AGAIN, hot), (change(ex.AGAIN, hot) - change(ex.AGAIN, cold)).dropna()
print(
    f"Two teachers trained alike, in points: their students at T = {hot:g} {pieces.points(luck[0])};"
)
print(f"the same, minus what it is at T = {cold:g}: {pieces.points(luck[1])}.")

# %% tags=["hide-input"]
drawn = {(s, t): lab.values(ex.student_name(s, t), "test_accuracy") for s, t in taught}
drawn = {key: metrics.shown_ci(found) for key, found in drawn.items() if found}
fig, ax = plt.subplots(figsize=(7.5, 3.6))
for (s, t), (mean, half) in drawn.items():
    style = ex.TEMPERATURES.index(t) + 2 * (s == ex.AGAIN)
    x = (0 if s == ex.AGAIN else s) + 0.005 * style  # beside each other
    said = f"T = {t:g}, second teacher" if s == ex.AGAIN else f"T = {t:g}" if s == 0 else None
    figures.dot(ax, x, mean, style, yerr=half, label=said)
ax.set(xlabel="label smoothing of the teacher", ylabel="student's test accuracy (%)", xticks=ex.SMOOTHINGS)  # fmt: skip
fig.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=4)
words = "; ".join(f"{s if s == ex.AGAIN else f'smoothing {s:g}'}, T = {t:g}: {mean:.2f}" for (s, t), (mean, _) in drawn.items())  # fmt: skip
lab.show(fig, "10_temperatures", f"Student's accuracy by its teacher's smoothing. {words}.", [ex.student_name(*key) for key in drawn])  # fmt: skip

# %% [markdown]
# Few seeds know their own scatter badly. So the line below the table lets all settings share one, as in
# [chapter 08](08_small_students.ipynb). A difference that is no larger than the one between two teachers trained
# alike is no evidence about smoothing, however surely the students differ.
#
# *Over the first* compares the teachers on the same test images; its ± is the luck of those images alone, not of
# training. The student without a teacher sees new views in every epoch, the others a few stored ones in turn. So
# read the gaps between the students; their gain over it is not a clean one.
#
# ## 6. What we saw
#
# Your predictions, one by one.

# %% tags=["hide-input"]
k = len(ours.classes) - 2  # CIFAR-10's ship
Markdown(f"""
1. {ours.classes[k]}: {said_of[k] if asked_stranger else "not stored"}.
2. {f"{probed.loc[ex.PROBE].iloc[-1]} % on test images, fitted to {len(labels):,} images" if asked_stranger else "Not stored"}.
3. Over hard labels, in points: {"; ".join(f"{name} {pieces.points(over(name))}" for name in ex.ROUTES)}. {verdict}
4. The teacher of CIFAR-10: {pieces.points(over(ex.AT_HOME))} points. {reached}
5. The teacher of smoothing .2, over the one of none, in points of accuracy: {apart(ex.teacher_name(0.2), ex.teacher_name(0))}. Its student over the other's: {"; ".join(f"T = {t:g} {pieces.points(change(0.2, t))}" for t in ex.TEMPERATURES)}. The first less the second: {pieces.points(more)}.
""")

# %% [markdown]
# How to read these answers, whatever the numbers are:
#
# - **A stranger's answer need not be right to be useful.** It has to be alike within a class of ours and
#   different between classes. The probe measures how well a straight line can tell our classes apart from it.
# - **A route is judged against hard labels under the same budget**, not against the stranger's own score.
# - **Four routes are four tries.** The best of them looks better than it is. The verdict in answer 3 is corrected
#   for that; the intervals, and the share in answer 4, are not.
# - **A control can take a gain away.** What a head gains from answers about other images is no knowledge of
#   the stranger's.
# - **Three things change with smoothing**: the teacher's score, the size of its logits, and what its answers
#   tell. Compare the two temperatures. Worse students at both is what Müller et al. expect. Worse at $T = 4$ alone fits
#   Chandrasegaran et al., and the plainer reason of section 5, and the difference of the two differences has to
#   show it. No loss at either fits Shen
#   et al. An interval that holds zero *and* a point or so on either side fits all three.
#
# ## 7. Where it can mislead
#
# - **One route was mended after its first result.** Its too weak version came first; the table has both. The reason was
#   found by algebra and not by trying, but nobody would have looked had it gained. It counts as one more question.
# - **One stranger, one draw of images.** Another network of CIFAR-100 may see other things. All seeds learn
#   from the same few images.
# - **The data sets are relatives.** Both were collected from the same larger collection, in the same size,
#   by the same people. A stranger from medicine would have less to say.
# - **$T$ and $\alpha$ are fixed beforehand.** Each route may have a better setting, and the same $\alpha$ means
#   something else for a second head than for the same outputs.
# - **An obvious rival is missing**: train the student itself on CIFAR-100 first, then on CIFAR-10. It would
#   need the other data set, which our student never sees.
# - **The probe sees the labels twice**: it is fitted to them, and the student learns from them again.
# - **One teacher for each smoothing.** Differences of the students contain the luck of the teachers; one second
#   teacher shows it, and does not measure it.
# - **The picture shows three classes of digits**, of one network for each smoothing. Choose others in section 4
#   and look again.
#
# ## Exercises
#
# Solutions: [solutions/10_across_data_sets.py](solutions/10_across_data_sets.py).
#
# 1. *(5 minutes, easy)* A stranger gives every image the same answer. What do the masses make of it?
#    *Check:* the uniform distribution over our classes.
#    [Solution](solutions/10_across_data_sets.py#exercise-1).
# 2. *(15 minutes, medium)* How many of the stranger's classes does a probe need? Keep only the $m$ classes
#    with the largest variance of their logits and fit a probe to them. (First take each image's mean over *all*
#    classes off: a single logit less its own mean would be 0.) *Check:* with all classes it has the
#    accuracy of section 2, to a tenth of a point.
#    [Solution](solutions/10_across_data_sets.py#exercise-2).
# 3. *(15 minutes, medium)* Measure how much an answer tells: the mutual information between the
#    stranger's top class and our label, in bits. *Check:* it is at most $\log_2 10$, and 0 for a stranger
#    that always says the same.
#    [Solution](solutions/10_across_data_sets.py#exercise-3).
# 4. *(20 minutes, hard)* Show that a network which minimises the smoothed cross-entropy exactly has equal
#    logits on all wrong classes, and compute the distance to the right one. *Check:* for $C = 10$ and
#    $s = .1$ it is $\ln(.91 / .01) \approx 4.51$.
#    [Solution](solutions/10_across_data_sets.py#exercise-4).
#
# ## Summary
#
# - A teacher of other classes can be asked, too. Its answers are features with names.
# - Four routes bring them to a student: an auxiliary head, matched logits, a probe, masses. A route is judged
#   against hard labels, and a second head against a control, because it may help without any knowledge.
# - Label smoothing asks for equal logits on all wrong classes, and so to give up differences that a student
#   could learn from. Whether that harms depends on the temperature, and one teacher each cannot say.
#
# ## Sources
#
# - R. Müller, S. Kornblith, G. Hinton (2019), *When does label smoothing help?*,
#   [arXiv:1906.02629](https://arxiv.org/abs/1906.02629).
# - Z. Shen et al. (2021), *Is label smoothing truly incompatible with knowledge distillation?*,
#   [arXiv:2104.00676](https://arxiv.org/abs/2104.00676).
# - K. Chandrasegaran et al. (2022), *Revisiting label smoothing and knowledge distillation compatibility:
#   what was missing?*, [arXiv:2206.14532](https://arxiv.org/abs/2206.14532).
# - A. Romero et al. (2015), *FitNets: hints for thin deep nets*,
#   [arXiv:1412.6550](https://arxiv.org/abs/1412.6550).
# - J. Ba, R. Caruana (2014), *Do deep nets really need to be deep?*,
#   [arXiv:1312.6184](https://arxiv.org/abs/1312.6184).
# - G. Alain, Y. Bengio (2016), *Understanding intermediate layers using linear classifier probes*,
#   [arXiv:1610.01644](https://arxiv.org/abs/1610.01644).
# - A. Krizhevsky (2009), *Learning multiple layers of features from tiny images* (CIFAR-10, CIFAR-100).
