# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 00 · What can a small network learn from a large one?
#
# Large networks are accurate and slow. Small ones are fast and make more mistakes. *Knowledge
# distillation* trains the small one with the help of the large one. The large network, the
# *teacher*, looks at each training image and says how likely it finds each class. The small
# network, the *student*, learns to say the same. Nothing else changes: same images, same small
# network, same number of steps. That is the whole idea, and you will have it running in section 4.
#
# This chapter is the front door of the course. It assumes that you know what a softmax, a
# cross-entropy and a gradient are. It assumes nothing about distillation.
#
# **You will be able to**
#
# - write a training loop in plain PyTorch and turn it into distillation by changing one line;
# - write the distillation loss, and tell a right implementation from a wrong one;
# - say whether a gain was luck, with several seeds and an interval;
# - run the same experiment as a *recipe*, with your own network, loss and data.
#
# **Time.** About 35 minutes to read, an hour with the code that you write. The code runs in about half a minute on `smoke`. On `laptop` it takes
# about as long: the small networks are trained before your eyes, the large ones are read from records.
#
# **How to use the page.** Run a cell with Shift+Enter. Cells that only draw are folded: in
# JupyterLab, click the bar on their left to unfold them, and again to fold them. On the HTML page,
# choose in the list *Code:* at the top. The book has a glossary. Cells marked *your turn* hold a piece of
# code that you can write yourself. Here they are folded over a solution. `make student` writes copies
# of all chapters with those pieces left blank.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from kdutils.experiments import Lab

lab = Lab("00", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write your guesses down before you read on. You learn more from a wrong guess on paper than from a
# right one that you only remember.
#
# 1. Two students see the same 100 images of digits, and no others. One learns from the 100 labels.
#    The other also hears what a teacher thinks of those 100 images. How far apart are they on new
#    images: no difference, about 2 percentage points, or more than 5?
# 2. Train the student that has only labels ten times, and change nothing but the seed. By how many
#    points do the best and the worst of the ten differ?
# 3. Shuffle the teacher's answers, so that each image gets the answer for another one. Does the
#    student do as well as with labels alone, a little worse, or far worse?
# 4. PyTorch's official tutorial distils one network once, and reports a gain of 0.94 points. Run it
#    with five seeds. Will the 95 % interval of the gain exclude zero?
#
# ## 1. A teacher, and the training loop
#
# We use the 1,797 handwritten digits that come with scikit-learn, enlarged to 28 × 28 pixels. Nothing
# is downloaded. The teacher learns from 1,100 of them. The students will see only the first 100 of
# these. All networks are judged on 500 images that none of them has seen. (Another 197 are kept for
# choosing settings, which this chapter does not do.)

# %%
import torch
import torch.nn.functional as F
from torch import nn

from kdutils import data

digits = data.load("digits")


def prepare(images):
    """Pixels from 0 to 255 become numbers around 0, by MNIST's mean and standard deviation."""
    return (images.float() / 255 - 0.1307) / 0.3081


x, y = prepare(digits.train.images), digits.train.labels  # [1100, 1, 28, 28], [1100]
x_new, y_new = prepare(digits.test.images), digits.test.labels  # [500, 1, 28, 28], [500]


def new_net(hidden, seed):
    """A network with one hidden layer: images [B, 1, 28, 28] -> logits [B, 10]."""
    torch.manual_seed(seed)  # decides the first weights
    layers = nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10)
    return nn.Sequential(*layers)


# %% [markdown]
# Below is all there is to training a network. Read it line by line: every run in this course, up to
# the largest, is this loop with more options. It does not know what it is training for. That is the
# business of `loss_of`, which compares the network's logits with whatever they should be.

# %%
from kdutils.training import epoch_order


def train(net, x, loss_of, seed, epochs, batch_size, lr):
    """Train a network on the images x [N, 1, 28, 28] and return it.

    loss_of(z, batch) takes logits z [B, 10] and the positions [B] of their images in x.
    It returns one number: how wrong the logits are.
    """
    # Adam gives each weight a step size of its own. "fused" only makes it faster.
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, fused=True)
    net.train()  # training mode: switches dropout on, if the network has any
    for epoch in range(epochs):  # in an epoch, each image is shown once
        # A shuffle that depends on the seed and the epoch, and on nothing else.
        order = epoch_order(seed, epoch, len(x))  # [N]
        for batch in order.split(batch_size):  # [B] positions
            # Forward: what does the network say about these images?
            z = net(x[batch])  # [B, 10]
            # How wrong is that? Only this changes when we distil.
            loss = loss_of(z, batch)  # []
            # Forget the gradients of the previous step; PyTorch would add to them.
            optimizer.zero_grad()
            # Backward: the gradient of the loss for every weight p goes into p.grad.
            loss.backward()
            # Move every weight a little against its gradient.
            optimizer.step()
    return net.eval()  # evaluation mode: dropout off


# %%
def from_labels(z, batch):
    """Learn from labels: the cross-entropy, the mean of -log q(label)."""
    return F.cross_entropy(z, y[batch])


def accuracy(net):
    """The share of the new images that the network names correctly, in percent."""
    with torch.no_grad():  # we only look: no gradients needed
        return 100 * (net(x_new).argmax(dim=1) == y_new).double().mean().item()


budget = {"epochs": 10, "batch_size": 50, "lr": 1e-3}
teacher = train(new_net(256, seed=0), x, from_labels, seed=0, **budget)
print(f"teacher: {accuracy(teacher):.1f} % of {len(y_new)} new images right")

# %% [markdown]
# **Your turn (5 minutes).** An optimiser is not magic. Plain gradient descent moves every weight $w$
# to $w - \eta\, \partial L / \partial w$, where $\eta$ is the learning rate. Write that step without
# `torch.optim`.


# %% tags=["your-turn"]
def descend(net, loss, lr):
    """One step of gradient descent on a loss that was computed from `net`."""
    # your turn: clear old gradients, run backward, move each weight under no_grad
    net.zero_grad()
    loss.backward()
    with torch.no_grad():
        for w in net.parameters():
            w -= lr * w.grad
    # end


# %% tags=["check"]
mine, theirs = new_net(32, seed=0), new_net(32, seed=0)
optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
for batch in torch.arange(100).split(25):  # four steps: stale gradients would show
    descend(mine, from_labels(mine(x[batch]), batch), lr=0.1)
    optimizer.zero_grad()
    from_labels(theirs(x[batch]), batch).backward()
    optimizer.step()
for ours, sgd in zip(mine.parameters(), theirs.parameters(), strict=True):
    torch.testing.assert_close(ours, sgd, msg="a weight is not where SGD puts it")
print("Four steps by hand end where torch.optim.SGD ends.")

# %% [markdown]
# ## 2. What a teacher says
#
# A label says "4". The teacher says more: "most likely a 4, perhaps a 9, certainly not a 0". That
# is useful to a student. It tells which classes look alike, and which images are hard.
#
# A well-trained teacher is nearly certain about most images, and leaves the other classes only tiny
# probabilities. A *temperature* $T$ brings them out. It divides the logits $z_i$ before the softmax:
#
# $$ q_i = \frac{\exp(z_i / T)}{\sum_j \exp(z_j / T)} . $$
#
# At $T = 1$ this is the ordinary softmax. The larger $T$, the more alike the probabilities become.
# Their order never changes.
#
# **Your turn (2 minutes).** Write it.


# %% tags=["your-turn"]
def soften(z, T):
    """Softmax at temperature T: logits [..., classes] -> probabilities."""
    # your turn: divide the logits by T, then take the softmax over the last dimension
    return torch.softmax(z / T, dim=-1)
    # end


# %% tags=["check"]
z = torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])  # [2, 3]
by_hand = torch.tensor([2.718282, 1.0, 0.606531]) / 4.324813  # (e, 1, e^-.5) / their sum
torch.testing.assert_close(soften(z, 2.0)[0], by_hand, atol=1e-5, rtol=0)
torch.testing.assert_close(soften(z, 7.0)[1], torch.full((3,), 1 / 3))
assert soften(z, 20.0)[0].max() < soften(z, 1.0)[0].max(), "a higher T must flatten"
print("soften is right.")

# %%
# Ask the teacher about the students' 100 images. Once is enough: it has finished learning, and will
# always say the same. We round its logits to 16 bits, in which `kdutils` stores them.
with torch.no_grad():
    t = teacher(x[:100]).half().float()  # [100, 10]

picked = soften(t, 1.0).max(dim=1).values.argsort()[[0, 1, -1]].tolist()  # two unsure, one sure
said = [f"labelled {y[i]}: class {t[i].argmax()}, {soften(t[i], 1.0).max():.2f} at T = 1 and "
        f"{soften(t[i], 4.0).max():.2f} at T = 4" for i in picked]  # fmt: skip
print("What the teacher finds most likely:", *said, sep="\n- ")

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(2, 3, figsize=(9, 4.2), height_ratios=(1, 1.3), sharey="row")
for (picture, bars), i in zip(axes.T, picked, strict=True):
    picture.imshow(digits.train.images[i, 0], cmap="gray_r")
    picture.set(title=f"label: {y[i]}", xticks=[], yticks=[], frame_on=False)
    bars.bar(range(10), soften(t[i], 1.0), width=0.8, color="C0", label="T = 1")
    bars.bar(range(10), soften(t[i], 4.0), width=0.4, color="C1", hatch="//", label="T = 4")
    bars.set(xticks=range(10), xlabel="class", ylim=(0, 1))
axes[1, 0].set(ylabel="probability")
axes[1, 2].legend()
alt = f"Three digits with the teacher's ten probabilities. The largest: {'; '.join(said)}."
lab.show(fig, "00_answers", alt)

# %% [markdown]
# On the left and in the middle are the two images that the teacher is least sure of, on the right the
# one that it is most sure of. Look at the classes that rise at $T = 4$. Would you have hesitated
# between the same ones? None of this is in a label. Is the highest bar always at the label? Where it
# is not, the teacher is wrong, and the student will hear that too.
#
# ## 3. The distillation loss
#
# Let $p$ be the teacher's softened probabilities and $q$ the student's, both at temperature $T$. The
# Kullback–Leibler divergence measures how far $q$ is from $p$. It is 0 when they agree. The loss mixes
# it with the ordinary cross-entropy on the label $y$:
#
# $$ L = \alpha\, T^2 \underbrace{\sum_i p_i \log \frac{p_i}{q_i}}_{\text{soft term}}
#      + (1 - \alpha) \underbrace{\bigl(-\log q^{T=1}_y\bigr)}_{\text{hard term}} . $$
#
# The sum runs over the *classes*. The mean of $L$ over the *images* of a batch is what we minimise. The
# weight $\alpha$ says how much the teacher's word counts. At $\alpha = 1$ no label is used at all. This is
# the loss of [Hinton, Vinyals and Dean (2015)](https://arxiv.org/abs/1503.02531).
#
# **Your turn (10 minutes).** Write it. `F.log_softmax` is safer than the logarithm of a softmax:
# a probability of 0 would give $-\infty$. The check works one case out on paper. Two classes, $T = 2$:
# the teacher's logits $(2 \log 3, 0)$ soften to $(\frac34, \frac14)$, the student's $(0, 0)$ to
# $(\frac12, \frac12)$. So the soft term is $\frac34 \log \frac32 + \frac14 \log \frac12 \approx 0.1308$,
# and the hard term is $\log 2$.


# %% tags=["your-turn"]
def kd_loss(z, t, y, T, alpha):
    """Logits z, t [B, classes] of student and teacher, labels y [B] -> a scalar."""
    # your turn: the soft term times alpha T², plus the cross-entropy times 1 - alpha
    log_p = F.log_softmax(t / T, dim=1)  # teacher [B, classes]
    log_q = F.log_softmax(z / T, dim=1)  # student [B, classes]
    # sum over the classes, mean over the images
    soft = (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()
    hard = F.cross_entropy(z, y)
    return alpha * T**2 * soft + (1 - alpha) * hard
    # end


# %% tags=["check"]
from kdutils import losses

z2, t2 = torch.zeros(3, 2), torch.tensor([[2 * 1.0986123, 0.0]]).repeat(3, 1)  # [3, 2]
y2 = torch.tensor([0, 1, 0])
for alpha, by_hand in ((1.0, 4 * 0.1308120), (0.0, 0.6931472), (0.5, 0.6081977)):
    found = kd_loss(z2, t2, y2, T=2.0, alpha=alpha).item()
    assert abs(found - by_hand) < 1e-5, f"alpha {alpha}: {found:.5f}, not {by_hand:.5f}"
g = torch.Generator().manual_seed(0)
z3, t3 = torch.randn(2, 50, 10, generator=g)  # [50, 10] each
z3.requires_grad_()
course = losses.kd_loss(z3, t3, y[:50], temperature=4.0, alpha=0.9)
torch.testing.assert_close(kd_loss(z3, t3, y[:50], 4.0, 0.9), course)
far = kd_loss(torch.tensor([[500.0, 0.0]]), torch.tensor([[0.0, 500.0]]), y2[:1], 1.0, 0.9)
assert far.isfinite(), "the logarithm of a softmax is -inf here: use F.log_softmax"
for T in (1.0, 4.0, 20.0):  # the gradient, by autograd and by its formula
    (gradient,) = torch.autograd.grad(kd_loss(z3, t3, y[:50], T, alpha=1.0), z3)
    formula = T**2 * (soften(z3, T) - soften(t3, T)) / T / 50
    torch.testing.assert_close(gradient, formula, atol=1e-6, rtol=1e-3)
print("kd_loss is right: by hand, beside the course's own, and in its gradient.")

# %% [markdown]
# **Why $T^2$?** The gradient of one image's soft term for the logit $z_i$ is $(q_i - p_i) / T$, which the
# check has just tested. At a high temperature $q_i - p_i$ shrinks as well, like $1 / T$. So without
# the factor, the pull of the teacher would fade like $1 / T^2$, while the pull of the label stayed as
# it was. [Chapter 06](06_temperature.ipynb) returns to this.
#
# ## 4. Your first distillation
#
# Two students, much smaller than the teacher, start from the same weights. They see the same 100
# images in the same order. The only difference is `loss_of`.


# %%
def from_teacher(z, batch):
    """The distillation loss: the teacher's answers count for .9, the labels for .1."""
    return kd_loss(z, t[batch], y[batch], T=4.0, alpha=0.9)


def student(loss_of, seed, epochs=40):
    """A small network, trained on the first 100 images."""
    net = new_net(32, seed)
    return train(net, x[:100], loss_of, seed, epochs, batch_size=25, lr=3e-3)


alone, taught = student(from_labels, seed=0), student(from_teacher, seed=0)
print(f"100 labels alone:          {accuracy(alone):.1f} % of the new images right")
print(f"100 labels and answers:    {accuracy(taught):.1f} %")
print(f"teacher, 1,100 labels:     {accuracy(teacher):.1f} %")

# %% [markdown]
# That is distillation. The taught student never saw more than 100 images. If what the teacher learned
# from its other 1,000 reached the student, it came through ten numbers per image. The controls of the
# next section test that.
#
# ## 5. Was it luck?
#
# One pair of runs is one observation. Another seed gives other first weights and another order of the
# images, and with them another accuracy. So we repeat the pair at ten seeds, and look at the
# *differences*. The two students of a pair share their seed, so whatever a lucky start gives to both
# cancels out.
#
# From $n$ gains with mean $\bar d$ and standard deviation $s$, the 95 % interval of the true mean is
#
# $$ \bar d \pm t_{n-1}\, \frac{s}{\sqrt{n}} , $$
#
# where $t_{n-1}$ is the 97.5 % quantile of Student's $t$ distribution: 2.26 for ten pairs, 12.7 for two.
# If the interval excludes zero, luck with seeds is a poor explanation of the gain. Tables of this course
# also print $p$: how often chance alone would bring a mean at least this far from zero, if the true gain were zero.
# Ask many questions, and some $p$ are small by luck. *Holm* is $p$ made larger for that
# ([chapter 07](07_confusion_matrices.ipynb) shows how).

# %%
import pandas as pd
from scipy import stats

from kdutils import metrics

scores = pd.DataFrame(
    {
        name: [accuracy(student(loss, seed)) for seed in range(10)]
        for name, loss in (("labels alone", from_labels), ("distilled", from_teacher))
    }
).rename_axis("seed")
scores["gain"] = scores["distilled"] - scores["labels alone"]
n = len(scores)
half = stats.t.ppf(0.975, n - 1) * scores["gain"].std() / n**0.5
test = metrics.paired_test(scores["distilled"], scores["labels alone"])
assert abs(test["ci95"] - half) < 1e-9  # the course's own test says the same
print(f"gain: {scores['gain'].mean():+.2f} ± {half:.2f} points (95 %, {n} pairs)")
scores.T.round(1)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7, 3.2))
ax.plot([0, 1], scores[["labels alone", "distilled"]].T, "o-", color="C0", lw=1, alpha=0.7)
ax.axhline(accuracy(teacher), color="k", ls="--", lw=1, marker="", label="teacher")
ax.set(xticks=[0, 1], xticklabels=["labels alone", "distilled"], xlim=(-0.3, 1.3),
       ylabel="test accuracy (%)", title=f"{n} pairs of students, one line per seed")  # fmt: skip
ax.legend(loc="lower right")
means = ", ".join(f"{name} {value:.1f}" for name, value in scores.mean().items())
alt = "Ten lines, one per seed, from a student with labels alone to its distilled twin. "
lab.show(fig, "00_seeds", f"{alt}Means: {means}; the teacher: {accuracy(teacher):.1f} %.")

# %% [markdown]
# Did pairing help? If the lines ran parallel, a good seed would be good for both students, and taking
# differences would narrow the interval. Where lines cross, there is little to cancel.
# You cannot know this before you run, and pairing costs next to nothing.
#
# Mind what this interval covers: the luck of the *student's* seed. All ten pairs share one teacher,
# the same 100 training images and the same 500 test images. A claim about other images would need
# other images.
#
# Luck is not the only other explanation. Would the student with labels alone catch up if it trained
# for longer? Would *any* soft answers help, even those for other images, or a label that is merely
# softened (*label smoothing*: .9 for the label, .1 spread over all ten classes)? Would a teacher help
# that had seen only its student's images? Each is compared with the distilled student, seed by seed. If all of
# them stay below it, by more than their intervals, the teacher's other 1,000 images are the likeliest source of
# the gain. They are not the only one: the last control also knows its 100 images better by heart.
# [Chapter 01](01_soft_and_hard_targets.ipynb) takes such controls further.

# %%
g = torch.Generator().manual_seed(0)
shuffled = t[torch.randperm(100, generator=g)]  # [100, 10]


def from_shuffled(z, batch):
    """The distillation loss with answers for other images."""
    return kd_loss(z, shuffled[batch], y[batch], T=4.0, alpha=0.9)


def from_smoothed(z, batch):
    """Softness alone: no teacher, the same doubt about every image."""
    return F.cross_entropy(z, y[batch], label_smoothing=0.1)


same = train(new_net(256, seed=0), x[:100], from_labels, 0, epochs=40, batch_size=25, lr=1e-3)
with torch.no_grad():
    t_same = same(x[:100])  # [100, 10], a teacher of the students' own images


def from_same(z, batch):
    """The distillation loss with the answers of a teacher that knows nothing more."""
    return kd_loss(z, t_same[batch], y[batch], T=4.0, alpha=0.9)


tried = {
    "labels alone": (from_labels, 40),
    "labels alone, 120 epochs": (from_labels, 120),
    "shuffled answers": (from_shuffled, 40),
    "label smoothing .1": (from_smoothed, 40),
    "teacher of the same 100 images": (from_same, 40),
    "distilled": (from_teacher, 40),
}
by_seed = {
    name: [accuracy(student(loss, seed, epochs)) for seed in range(3)]  # seeds 0 to 2
    for name, (loss, epochs) in tried.items()
}


def less(first, second):
    """Points between two of them, paired by seed, with the 95 % interval of three pairs."""
    d = metrics.paired_test(by_seed[first], by_seed[second])
    return f"{d['difference']:+.1f} ± {d['ci95']:.1f}"


controls = pd.DataFrame(by_seed).mean().to_frame("mean accuracy (%)").round(1)
controls["less distilled (points, n = 3)"] = [
    "–" if name == "distilled" else less(name, "distilled") for name in by_seed
]
tested = [
    metrics.paired_test(by_seed[n], by_seed["distilled"]) for n in by_seed if n != "distilled"
]
below = sum(d["difference"] + d["ci95"] < 0 for d in tested)
print(f"Below the distilled student by more than their interval: {below} of {len(tested)}.")
controls

# %% [markdown]
# ## 6. The same run as a recipe
#
# The rest of the course does not write the loop out each time. It writes a *recipe*: everything that
# decides a run, as one value. `kdutils` trains it, keeps a *record*, and never trains it twice. One recipe at
# several seeds is called an *arm* of an experiment.

# %%
from dataclasses import replace

from kdutils.recipes import Recipe

plain = {"optimizer": "adam", "schedule": "constant", "precision": "float32"}
base = plain | {"dataset": "digits"}
teacher_recipe = Recipe(model="mlp-256", epochs=10, batch_size=50, lr=1e-3, **base)
base |= {"n_train": 100}  # the students' images: the first 100
alone_recipe = Recipe(model="mlp-32", epochs=40, batch_size=25, lr=3e-3, **base)
distilled = {"teacher": teacher_recipe, "temperature": 4.0, "alpha": 0.9}
taught_recipe = replace(alone_recipe, **distilled)
taught_recipe.id

# %% [markdown]
# Is it really the same run? Two runs agree to the last bit only if they agree in everything:
#
# - the **first weights**: both call `torch.manual_seed(0)` and then create the same layers in the
#   same order;
# - the **order of the images**: both take it from `epoch_order(seed, epoch, n)`;
# - the **arithmetic**: the same loss, Adam, learning rate and batch size, all in 32-bit numbers;
# - the **teacher's answers**: the same teacher, asked once, rounded to 16 bits.
#
# `fit` is the training loop of `kdutils`. We run it on the CPU, where our own loop ran.

# %%
from kdutils.training import fit

cpu = torch.device("cpu")
fitted_teacher = fit(teacher_recipe, digits, device=cpu).net
fitted_student = fit(taught_recipe, digits, lambda epoch: t, device=cpu).net
apart = 0.0
for by_hand, theirs in ((teacher, fitted_teacher), (taught, fitted_student)):
    for a, b in zip(by_hand.parameters(), theirs.parameters(), strict=True):
        apart = max(apart, float((a - b).detach().abs().max()))
assert apart < 1e-2, f"weights differ by up to {apart:.3f}: this is another run"
print("All weights of both networks are equal, bit for bit." if apart == 0 else
      f"The weights agree to {apart:.0e}: your kd_loss adds up in another order, and rounds otherwise.")  # fmt: skip

# %% [markdown]
# So there is nothing in a recipe that you have not just written yourself.
#
# ## 7. Your own network, loss and data
#
# Whatever you write on this page can enter a recipe. Give it a name, in one line:
#
# | what | how | called as |
# |---|---|---|
# | a network | `models.register("my-net", MyNet)` | `MyNet(in_shape=…, classes=…)`; an argument that it does not name is left out |
# | a loss | `losses.register("my-loss", my_loss)` | `my_loss(z, t, y, recipe)`; returns one number |
# | a data set | `data.register("my-data", load)` | `load()`; returns a `data.Dataset` |
#
# A recipe's id contains a hash of the source text of what you registered. Change your network, and it
# is a new recipe: no old record is mistaken for it. The hash does not see the code that your class
# *calls*, so keep what matters inside the class.
#
# Here is one of each. The loss is older than the one above: it compares the logits themselves
# ([Ba and Caruana 2014](https://arxiv.org/abs/1312.6184)), apart from a constant that no softmax sees.
# Once registered, they are names like any other. `lab.train` trains recipes at the seeds of this page
# and keeps their records.

# %%
from sklearn.datasets import load_digits

from kdutils import models


class MyNet(nn.Module):
    def __init__(self, in_shape, classes):
        super().__init__()
        channels, height, width = in_shape
        self.conv = nn.Conv2d(channels, 16, 3, padding=1)
        self.out = nn.Linear(16 * (height // 2) * (width // 2), classes)

    def forward(self, x):  # [B, 1, 8, 8]
        h = F.max_pool2d(F.relu(self.conv(x)), 2)  # [B, 16, 4, 4]
        return self.out(h.flatten(1))  # [B, classes]


def match_logits(z, t, y, recipe):  # student and teacher [B, classes], labels [B]
    z, t = z - z.mean(dim=1, keepdim=True), t - t.mean(dim=1, keepdim=True)
    return (z - t).square().sum(dim=1).mean()


def small_digits():
    raw = load_digits()  # images [1797, 8, 8], from 0 to 16
    images = (raw.images * 255 / 16).astype("uint8")
    old, new = slice(0, 1297), slice(1297, None)  # to learn from, to be judged on
    return data.from_arrays(
        "my-digits", images[old], raw.target[old], images[new], raw.target[new], n_val=197
    )


# %%
models.register("my-net", MyNet)
losses.register("my-loss", match_logits)
data.register("my-digits", small_digits)

mine = plain | {"dataset": "my-digits", "model": "my-net", "lr": 3e-3}
expert = Recipe(epochs=10, batch_size=50, **mine)
pupil = Recipe(epochs=40, batch_size=25, n_train=100, **mine)
own = {
    "my net, 1,100 labels": expert,
    "my net, 100 labels": pupil,
    "my net, distilled": replace(pupil, teacher=expert, temperature=4.0, alpha=0.9),
    "my net, my loss": replace(pupil, teacher=expert, loss="my-loss"),
}
found = lab.train(own).groupby("arm", sort=False)
found["test_accuracy"].agg(["mean", "min", "max", "count"]).round(1)

# %% [markdown]
# ## 8. A published experiment: PyTorch's own tutorial
#
# Can you bring a whole experiment of somebody else's? Take PyTorch's official
# [Knowledge Distillation Tutorial](https://docs.pytorch.org/tutorials/beginner/knowledge_distillation_tutorial.html).
# It distils a network of 1.19 million parameters into one of 0.27 million on CIFAR-10: Adam at .001,
# 10 epochs, batches of 128, no augmentation, $T = 2$. It reports the test accuracy of one run each.
# Here is the whole of it, both networks included:

# %% tags=["tutorial"]
from dataclasses import replace

from torch import nn

from kdutils import models
from kdutils.recipes import Recipe


class TutorialTeacher(nn.Sequential):
    channels_last = True  # a layout in memory, faster for convolutions on a CPU

    def __init__(self, in_shape, classes):  # at the right: shapes on CIFAR-10
        channels, height, width = in_shape
        super().__init__(
            *(nn.Conv2d(channels, 128, 3, padding=1), nn.ReLU()),  # 128×32²
            *(nn.Conv2d(128, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),  # 64×16²
            *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()),  # 64×16²
            *(nn.Conv2d(64, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),  # 32×8²
            *(nn.Flatten(), nn.Linear(32 * (height // 4) * (width // 4), 512)),  # 512
            *(nn.ReLU(), nn.Dropout(0.1), nn.Linear(512, classes)),
        )


class TutorialStudent(nn.Sequential):
    channels_last = True

    def __init__(self, in_shape, classes):
        channels, height, width = in_shape
        super().__init__(
            *(nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),  # 16×8²
            *(nn.Flatten(), nn.Linear(16 * (height // 4) * (width // 4), 256)),  # 256
            *(nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, classes)),
        )


models.register("tutorial-teacher", TutorialTeacher)
models.register("tutorial-student", TutorialStudent)


def recipes(**budget):
    adam = {"optimizer": "adam", "lr": 1e-3, "schedule": "constant", "batch_size": 128}
    teacher = Recipe(model="tutorial-teacher", **adam, **budget)
    alone = Recipe(model="tutorial-student", **adam, **budget)
    taught = replace(alone, teacher=(teacher,), temperature=2.0, alpha=0.25)
    return teacher, alone, taught


# %% [markdown]
# The parentheses in `teacher=(teacher,)` mean: one teacher for the students of all seeds, as in the
# tutorial. Without them, each student would have a teacher of its own seed.
#
# The recipes differ from the tutorial in three points. We hold 5,000 training images out, as in every
# honest run of this course, so that the networks see 45,000 and not 50,000. The pixels are normalised
# with CIFAR-10's own mean and deviation. And on `laptop` most of the arithmetic is in 16-bit
# numbers (bfloat16), which is faster.
#
# **Look at the loss first.** Whenever you meet an implementation, ask four questions. What does the
# soft term sum over? What is that divided by? Is there a $T^2$? What are the weights? The tutorial
# sums $p_i (\log p_i - \log q_i)$ over *everything*, images and classes, and divides by the number of
# images. It multiplies by $T^2$, and adds .25 of that to .75 of the cross-entropy. Is this our loss
# at $T = 2$, $\alpha = .25$?


# %%
def tutorial_loss(z, t, y):
    """The tutorial's loss, in its own order of operations."""
    p = F.softmax(t / 2, dim=-1)  # [B, classes]
    log_q = F.log_softmax(z / 2, dim=-1)  # [B, classes]
    soft = torch.sum(p * (p.log() - log_q)) / len(z) * 2**2
    return 0.25 * soft + 0.75 * F.cross_entropy(z, y)


g = torch.Generator().manual_seed(1)
z4, t4 = 3 * torch.randn(2, 128, 10, generator=g)  # [128, 10] each
theirs = tutorial_loss(z4, t4, y[:128])
ours = kd_loss(z4, t4, y[:128], T=2.0, alpha=0.25)
torch.testing.assert_close(theirs, ours)
terms = soften(t4, 2.0) * (soften(t4, 2.0).log() - soften(z4, 2.0).log())  # [128, 10]
print(f"the tutorial's loss {theirs:.4f}, kd_loss {ours:.4f}: the same")
print(f"soft term: sum over classes, mean over images   {terms.sum(dim=1).mean():.4f}")
print(f"           mean over images and classes         {terms.mean():.4f}")

# %% [markdown]
# The tutorial's loss is right. Many others are not. `F.kl_div` and `nn.KLDivLoss` average over images
# *and* classes, unless they are told `reduction="batchmean"`. With ten classes this is the last line
# above: a soft term ten times too weak. [Chapter 03](03_distilling_mlps.ipynb) shows what that did to
# published results.
#
# Now the recipes, as far as they differ, and what came of them. Two rows go beyond the tutorial. In
# *permuted teacher* each image gets the answer for another one: a control that must not help. In
# *α = .9* the teacher's word counts for more. On `smoke` these are eight epochs on 300 toy images, and
# the teacher is no better than its student: nothing there can be compared with the column *published*.

# %%
ex = lab.experiments
lab.recipes(ex.TEACHER, ex.ALONE, ex.TAUGHT, ex.PERMUTED, ex.HEAVY)

# %%
lab.table("The official PyTorch tutorial")

# %% tags=["hide-input"]
shown = [ex.TEACHER, ex.ALONE, ex.TAUGHT, ex.HEAVY]
if lab.records(ex.ALONE) and lab.records(ex.TAUGHT):
    fig, ax = plt.subplots(figsize=(7.5, 2.8))
    alt = lab.dots(ax, shown, "test_accuracy", label="mean of our seeds")
    ax.set(xlabel="test accuracy (%)")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    lab.show(fig, "00_tutorial", "Test accuracy in percent: " + alt + ".", shown)
else:
    print("No figure: the two students are not recorded.")

# %%
verdict = "Fewer than three pairs: no interval to hold the published 0.94 against."
if min(len(lab.records(arm)) for arm in (ex.TAUGHT, ex.ALONE)) >= 3:
    d = lab.difference(ex.TAUGHT, ex.ALONE)
    low, high = d["difference"] - d["ci95"], d["difference"] + d["ci95"]
    inside = "inside" if low <= 0.94 <= high else "outside"
    verdict = f"The published 0.94 lies {inside} our interval, {low:+.2f} to {high:+.2f} points."
print(verdict)
arms = [lab.values(arm, "test_accuracy") for arm in (ex.TAUGHT, ex.ALONE)]
if min(map(len, arms)) >= 3:  # the scatter of single runs, from both arms
    spread = pd.DataFrame(arms).var(axis=1).mean() ** 0.5
    single = stats.t.ppf(0.975, sum(len(a) - 1 for a in arms)) * 2**0.5 * spread
    more = "less" if single > 0.94 else "more"
    print(
        f"Two single runs that learn alike and share nothing differ by up to {single:.2f} points, 19 times in 20."
    )
    print(f"The published 0.94 is {more} than that.")
lab.differences("test_accuracy", {
    "its own setting, α = .25": (ex.TAUGHT, ex.ALONE),
    "α = .9": (ex.HEAVY, ex.ALONE),
    "permuted teacher": (ex.PERMUTED, ex.ALONE),
})  # fmt: skip

# %% [markdown]
# ## What we saw: your predictions, answered

# %% tags=["hide-input"]
from IPython.display import Markdown

gain, labels = scores["gain"].mean(), scores["labels alone"]
zero = "excludes" if abs(gain) > half else "includes"
toy = lab.profile.datasets["cifar10"] != "cifar10"
Markdown(f"""
1. **The teacher's answers**: {gain:+.1f} ± {half:.1f} points ({n} pairs). The interval {zero} zero.
2. **The seed alone** moved the student with labels alone from {labels.min():.1f} to
   {labels.max():.1f} %, a range of {labels.max() - labels.min():.1f} points.
3. **Shuffled answers** over labels alone: {less("shuffled answers", "labels alone")} points (3 pairs).
4. **PyTorch's tutorial** gained 0.94 points in its one run. {verdict}
   Section 8 ends with our gains{", on toy images, where they mean nothing" * toy}.""")

# %% [markdown]
# Read the first two answers together. If the gain is much larger than the range of seeds, one pair of
# runs would have shown it. If it is smaller, one pair could easily have misled you.
#
# The fourth question is the one you meet in papers. A gain published from one pair of runs is the
# difference of two numbers that each carry the luck of a seed. Our interval is one for the *mean* of
# several pairs. A single pair scatters much more: section 8 prints by how much. A published gain below that
# range shows nothing by itself. The
# tutorial did give both students the same first weights, but not the same order of images. The row
# with the permuted teacher tells how much of a change comes without any knowledge of the image. If it
# gained as much as the real teacher, nothing would have been distilled.
#
# ## Where it can mislead
#
# - **Few labels flatter the teacher.** Our digits student has 100 labels, and its teacher had 1,100.
#   In the tutorial the student has as many labels as its teacher. Expect less there.
# - **Length of training.** Soft targets ask for more than labels do, so a taught student may be
#   *behind* after a few epochs and ahead later. A comparison at one length is one point of two curves
#   (exercise 2).
# - **Adam hides a wrong factor.** Adam divides each step by the size of the gradient. Multiply the
#   whole loss by 16, and almost nothing changes. A forgotten $T^2$ is therefore invisible at $\alpha = 1$, and
#   shifts the balance of the two terms at any other $\alpha$.
# - **Settings.** $T = 4$, $\alpha = .9$ and 40 epochs were set by hand, so that this page runs fast, by
#   somebody who saw the test accuracy. For an effect of a point that would be a fault. A study chooses
#   its settings on the validation images.
# - **What the interval leaves out.** Other training images, another test set, and, on the digits as in
#   the tutorial, the luck of the one teacher that all students share.
#
# The tutorial goes on to match the *inner features* of student and teacher, and reports 71.50 % for
# one run of that. [Chapter 12](12_inside_the_teacher.ipynb) is about it.
#
# ## Exercises
#
# Solutions are in [solutions/00_your_first_distillation.py](solutions/00_your_first_distillation.py),
# which runs as it is.
#
# 1. **No labels** (5 minutes, easy). Train the student at $\alpha = 1$, at three seeds. *Check:* put zeros
#    in place of all labels; the accuracies must not change at all.
#    [Solution](solutions/00_your_first_distillation.py#exercise-1).
# 2. **Patience** (15 minutes, easy). Train both students for 5, 10, 40 and 200 epochs, at three seeds.
#    *Check:* your numbers at 40 epochs are those of section 5. When does the taught student overtake?
#    [Solution](solutions/00_your_first_distillation.py#exercise-2).
# 3. **An older tutorial** (10 minutes, medium). Earlier versions of PyTorch's tutorial used
#    $-\sum_i p_i \log q_i$ in place of $\sum_i p_i (\log p_i - \log q_i)$. What did that change for the
#    student? *Check:* the gradients for the student's logits agree, and the losses differ by $T^2$ times
#    the entropy of $p$.
#    [Solution](solutions/00_your_first_distillation.py#exercise-3).
# 4. **A wrong loss, registered** (20 minutes, medium). Register a loss that uses `F.kl_div` with
#    `reduction="mean"` and run it as a recipe. *Check:* its accuracies are those of the built-in loss with
#    `soft_scale=0.1`. Then set $\alpha = 1$ in both, and explain why the fault no longer shows.
#    [Solution](solutions/00_your_first_distillation.py#exercise-4).
# 5. **Your own data** (30 minutes, open). Bring images of your own to `data.from_arrays` and distil
#    on them. *Check:* a data set whose labels or pixels are out of range is refused, with the reason.
#    [Solution](solutions/00_your_first_distillation.py#exercise-5).
#
# ## Summary
#
# - A student learns from a teacher's probabilities. In the training loop, one line changes: the loss.
# - The loss is $\alpha T^2$ times a KL divergence plus $1 - \alpha$ times a cross-entropy, summed over
#   classes and averaged over images.
# - One pair of runs is one observation. Pair by seed, repeat, and print an interval.
# - A recipe is your loop as a value. Your network, loss and data enter it by name.
#
# ## Where to go next
#
# | chapter | its question |
# |---|---|
# | [01](01_soft_and_hard_targets.ipynb) | What does a teacher know that a label does not say? |
# | [02](02_training_teachers.ipynb) | How do you train a teacher, and how do you judge one? |
# | [03](03_distilling_mlps.ipynb) | Can a network learn to read digits without ever seeing a label? |
# | [04](04_cnn5_from_a_larger_network.ipynb) | Was it the teacher? How a gain can appear that is none. |
# | [05](05_deeper_distillation.ipynb) | Is a better teacher a better teacher? |
# | [06](06_temperature.ipynb) | How much does the temperature matter, and how would you know? |
# | [07](07_confusion_matrices.ipynb) | Which errors does distillation repair? |
# | [08](08_small_students.ipynb) | A small student lost to its twin. Was it the teacher? |
# | [09](09_big_teachers.ipynb) | Which teacher should I take? |
# | [10](10_across_data_sets.ipynb) | Can a teacher of a hundred other classes teach ten? |
# | [11](11_on_the_device.ipynb) | Does the student survive the trip to a phone? |
# | [12](12_inside_the_teacher.ipynb) | Is there more to learn from a teacher than its answers? |
# | [90](90_four_architectures.ipynb) | Appendix: what is inside the four teachers? |
#
# Go on with 01 if you want to understand why this works, with 04 if you want to learn to doubt it.
#
# ## Sources
#
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the Knowledge in a Neural Network*,
#   [arXiv:1503.02531](https://arxiv.org/abs/1503.02531)
# - A. Chariton, *Knowledge Distillation Tutorial*,
#   [docs.pytorch.org](https://docs.pytorch.org/tutorials/beginner/knowledge_distillation_tutorial.html),
#   source in [pytorch/tutorials](https://github.com/pytorch/tutorials/blob/main/beginner_source/knowledge_distillation_tutorial.py)
# - J. Ba, R. Caruana (2014), *Do Deep Nets Really Need to be Deep?*,
#   [arXiv:1312.6184](https://arxiv.org/abs/1312.6184)
# - L. Beyer et al. (2022), *Knowledge distillation: A good teacher is patient and consistent*,
#   [arXiv:2106.05237](https://arxiv.org/abs/2106.05237)
