# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · What does a teacher know that a label does not say?
#
# A label says "pear". It does not say that this particular pear could pass for an apple, or that
# nobody would ever take it for a church. A teacher network says both, because it gives every class
# a probability. In 2014 Geoffrey Hinton gave a talk about the information in those small
# probabilities and called it *dark knowledge*; the paper on distillation followed a year later.
#
# With photographs, nobody knows the right probabilities, so we can never say how much of a
# teacher's answer is knowledge and how much is error. In this chapter we can. We use pictures that
# we draw ourselves, whose true probabilities follow from Bayes' rule. You will train the same
# student on four kinds of target, later on two more, and change nothing but the target.
#
# **You will be able to**
#
# - write a training loop whose target is any probability distribution, and check it bit for bit;
# - tell apart three reasons why soft targets may help: what they *know*, how *soft* they are, and
#   how many labels stand behind them;
# - say whether a student gained from knowing which *classes* are alike, or from knowing this *image*;
# - show that label smoothing is distillation, and explain what the factor $T^2$ does and when.
#
# You need the softmax, the cross-entropy and the idea of a gradient.
# [Chapter 00](00_your_first_distillation.ipynb) builds a first distillation step by step.
#
# *Time to run: under a minute on `smoke` and on `laptop`, where the
# results come from records and the loop on this page trains for real.*

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do
DRAWS = 3  # how many sets of training images "Where it can mislead" compares: 2 to 10

# %%
from kdutils.experiments import Lab

lab = Lab("01", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write down a guess for each question before you read on. A wrong guess on paper teaches more than
# a right one that you never committed to.
#
# 1. A student learns from few images with hard labels and falls short of the best possible
#    accuracy. Its twin learns from the same images but is told their *true* probabilities. How much
#    of the gap does it close: none, a third, nearly all?
# 2. A third student gets labels that are just as soft on average, but made without any knowledge:
#    every wrong class gets the same share. How much of the gap does that close?
# 3. A fourth student gets true probabilities that belong to *other* images. How well does it do? And
#    a fifth, whose other image always has the same label? And a sixth, who hears for every image the
#    mean answer of its class?
# 4. Now give everyone four times as many images. Does the twin's lead grow or shrink? And the share
#    of the gap that it closes?
#
# ## 1. Images whose probabilities are known
#
# `bayes10` has ten classes in five pairs that look alike. A picture is made in four steps: choose a
# class; choose how far the picture has turned into its look-alike; choose light, width, position and
# mirroring; add noise. We know the probability of every step, so Bayes' rule gives the exact
# probability of each class $y$ for each picture $x$:
#
# $$ p(y \mid x) = \frac{p(x \mid y)\, p(y)}{\sum_{c} p(x \mid c)\, p(c)} . $$
#
# `bayes10.posterior` computes it by summing over all 2,880 ways to make a picture. It is the perfect
# teacher.

# %%
import pandas as pd
import torch.nn.functional as F
from experiments import bayes10

from kdutils import metrics
from kdutils.knowledge import log_posterior

test = lab.dataset("bayes10").test  # images uint8 [5000, 3, 32, 32], labels [5000]
log_truth = log_posterior(lab.dataset("bayes10"), "test")  # log p(y | x): [5000, 10]
bayes_accuracy = metrics.accuracy(log_truth, test.labels)
bayes_nll = metrics.nll(log_truth, test.labels)
print(f"Guessing by the true probabilities gets {bayes_accuracy:.2f} % of the test images right.")
print(f"Their negative log-likelihood (NLL) is {bayes_nll:.4f} nats per image.")

z_teacher = lab.logits("teacher of ten times the images")  # of one run: [5000, 10]
truth, learned = F.softmax(log_truth, dim=1), F.softmax(z_teacher, dim=1)  # [5000, 10]
second = bayes10.LEVEL_GIVEN_CLASS[1] / bayes10.LEVEL_GIVEN_CLASS[:2].sum(0)  # of the 8 levels
percent = [f"{100 * p:.{2 if p < 0.99 else 4}g}" for p in second]

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

sheet = F.pad(bayes10.templates(), (1, 1, 1, 1), value=255)  # [5 pairs, 8 levels, 3, 34, 34]
pairs = [" → ".join(bayes10.CLASSES[k : k + 2]) for k in range(0, 10, 2)]
fig, ax = plt.subplots(figsize=(7.5, 4.5))
ax.imshow(sheet.permute(0, 3, 1, 4, 2).reshape(5 * 34, 8 * 34, 3))
ax.set(yticks=range(17, 170, 34), yticklabels=pairs, xticks=range(17, 272, 34), xticklabels=percent)
ax.set_xlabel("probability of the second class (%)")
ax.grid(False)
alt = f"Pictures without noise. In each row one class turns into another: {', '.join(pairs)}."
lab.show(fig, "01_bayes10", f"{alt} Percent of the second class: {', '.join(percent)}.")

# %% [markdown]
# Only the two columns in the middle are really in doubt. There even the *Bayes classifier*, which
# always picks the class with the highest true probability, is often wrong. No classifier can expect
# to do better.
#
# Below are four test pictures as a student sees them, with two sets of probabilities: the truth, and
# the answer of a *learned teacher*, a network that was trained on hard labels. The two pictures in
# the middle have nearly the same true probabilities and **different labels**: the labels were drawn
# at random. A student that trusts hard labels will try to learn a difference that does not exist.

# %% tags=["hide-input"]
fig, axes = plt.subplots(2, 4, figsize=(9, 4.6), height_ratios=(1, 1.35), sharey="row")
for (y, p), (top, ax) in zip(((0, 0.0), (0, 0.2), (1, 0.2), (1, 1.0)), axes.T, strict=True):
    i = int(((truth[:, 1] - p).abs() + (test.labels != y)).argmin())  # label y, true p of pear
    top.imshow(test.images[i].permute(1, 2, 0))
    top.set(title=f"label: {bayes10.CLASSES[y]}")
    top.axis("off")
    frame = pd.DataFrame({"truth": truth[i], "learned (one run)": learned[i]}, bayes10.CLASSES)
    frame.plot.barh(ax=ax, width=0.8, color=("C0", "C5"), legend=p == 1, xticks=[0, 0.5, 1])
    words = f"probability\n(pear: {truth[i, 1]:.2f}, {learned[i, 1]:.2f})"
    ax.set(xlabel=words, xlim=(0, 1), ylim=(9.5, -0.5))
alt = [f"{a.get_title('left')}, {b.get_xlabel()}".replace("\n", " ") for a, b in axes.T]
lab.show(fig, "01_pictures", f"Four pictures, true and learned probability. {'; '.join(alt)}.")

# %% [markdown]
# ## 2. One loss for every kind of target
#
# The usual loss for a label $y$ is $-\log q_y$, where $q$ are the student's probabilities. Write the
# label as a distribution $p$ with all its mass on $y$. The same loss is then the cross-entropy
#
# $$ \mathrm{CE}(p, q) = -\sum_i p_i \log q_i . $$
#
# Nothing in this formula requires $p$ to be hard. Put in a teacher's probabilities and you have
# distillation in its simplest form. One loss, any target. **Your turn**: write it.


# %% tags=["your-turn"]
def soft_cross_entropy(z, p):
    """Mean over the batch of CE(p, softmax(z)) in nats; z: logits, p: probabilities, [B, 10]."""
    # your turn: two or three operations on z and p; F.log_softmax is numerically safe
    log_q = F.log_softmax(z, dim=1)  # [B, 10]
    return -(p * log_q).sum(dim=1).mean()  # sum over classes, mean over the batch
    # end


# %% tags=["check"]
import torch

g = torch.Generator().manual_seed(0)
z, t = 2 * torch.randn(2, 64, 10, dtype=torch.float64, generator=g)  # two sets of logits [64, 10]
y = torch.randint(10, (64,), generator=g)  # [64]
undecided = soft_cross_entropy(torch.zeros(1, 2), torch.tensor([[0.3, 0.7]]))
assert abs(float(undecided) - 0.6931) < 1e-4, "q = (1/2, 1/2) must cost log 2 for any p"
hard = F.one_hot(y, 10).double()
assert torch.allclose(soft_cross_entropy(z, hard), F.cross_entropy(z, y)), "wrong for a hard label"
p = t.softmax(1)
assert torch.allclose(soft_cross_entropy(z, p), F.cross_entropy(z, p)), "wrong for a soft target"
print("Right for hard labels and for soft targets.")

# %% [markdown]
# For a soft target the smallest possible loss is not 0. It is the *entropy* of the target,
# $H(p) = -\sum_i p_i \log p_i$, and it is reached where $q = p$. Subtract it, and what remains is
# the Kullback-Leibler divergence:
#
# $$ \mathrm{KL}(p \,\|\, q) = \sum_i p_i \log \frac{p_i}{q_i} = \mathrm{CE}(p, q) - H(p) . $$
#
# $H(p)$ does not depend on the student, so both losses have the same gradient and train the same
# student. Papers write the KL divergence; our loop uses the cross-entropy.
#
# ## 3. Four targets for the same images
#
# | arm | the target of an image | what it tests |
# |---|---|---|
# | hard labels | its label | the baseline |
# | label smoothing | its label, with a share $s$ spread evenly over all classes | softness without knowledge |
# | perfect teacher | the exact $p(y \mid x)$ | all there is to know |
# | permuted teacher | the exact $p(y \mid x)$ of *another* image | soft targets that do not belong |
#
# The two controls matter most. We choose $s$ so that a smoothed label has the same entropy as the
# truth has on average. If softness were all that counts, label smoothing would do as well as the
# perfect teacher. **Your turn**: make the two controls.


# %% tags=["your-turn"]
def make_targets(labels, log_p, s, order):
    """Four targets, probabilities [n, 10]; labels: [n], log_p: exact [n, 10], order: a permutation."""
    hard = F.one_hot(labels, 10).float()
    exact = log_p.log_softmax(1).exp()  # rows that sum to 1 in float32 too
    # your turn: `smooth`, a share s of each label spread over all 10 classes, and `permuted`
    smooth = hard * (1 - s) + s / 10
    permuted = exact[order]
    # end
    return {
        "hard labels": hard,
        "label smoothing": smooth,
        "perfect teacher": exact,
        "permuted teacher": permuted,
    }


# %% tags=["check"]
from kdutils import data


def entropy(p):
    """H(p) in nats: probabilities [..., classes] -> [...]; 0 log 0 counts as 0."""
    return -(p * p.clamp(min=1e-30).log()).sum(dim=-1)


recipe = lab.arm("hard labels").recipe  # the budget that all students share
n, seed, s = recipe.n_train, lab.seeds[0], lab.experiments.SMOOTHING
dataset = lab.dataset("bayes10")
x = data.normalise(dataset.train.images[:n], dataset)  # float32 [n, 3, 32, 32]
labels, log_p = dataset.train.labels[:n], log_posterior(dataset, "train", n)  # [n], [n, 10]
order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))  # whose answer each gets
targets = make_targets(labels, log_p, s, order)
smooth, exact = targets["label smoothing"], targets["perfect teacher"]
for name, p in targets.items():
    assert torch.allclose(p.sum(1), torch.ones(n), atol=1e-5), f"{name}: rows must sum to 1"
assert abs(float(smooth.max()) - (1 - 0.9 * s)) < 1e-5, "the label keeps 1 - s and gets s / 10 back"
assert torch.equal(smooth.argmax(1), labels), "smooth the image's own label"
assert torch.equal(targets["permuted teacher"][3], exact[order[3]]), "image i gets answer order[i]"
assert abs(float(entropy(smooth).mean() / entropy(exact).mean()) - 1) < 0.2, "not equally soft"
print("Four targets for every image. One that gets the answer of another class:")
k = int((labels[order] != labels).nonzero()[0])  # an image that gets the answer of another class
pd.DataFrame({name: p[k].tolist() for name, p in targets.items()}, bayes10.CLASSES).round(3)

# %% [markdown]
# ## 4. A loop in which only the target changes
#
# The student has one hidden layer of 32 units. The loop below is the whole of its training: a
# shuffled order each epoch, batches of 25, the loss, `backward()`, `step()`, and a learning rate that
# first rises and then falls. Look for the line that is marked.

# %%
from torch import nn

from kdutils.training import epoch_order


class Student(nn.Module):
    """One hidden layer: 98,666 parameters."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(3 * 32 * 32, 32), nn.Linear(32, 10)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x.flatten(1))))  # [B, 3, 32, 32] -> [B, 10]


def train(x, target, epochs=recipe.epochs):
    """A student of images x [n, 3, 32, 32] and targets [n, 10], from this page's seed."""
    torch.manual_seed(seed)  # the same first weights for every target
    net = Student()
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.lr, weight_decay=0.0, fused=True)
    steps = epochs * -(-len(x) // recipe.batch_size)  # the last batch may be smaller
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, total_steps=steps, cycle_momentum=False
    )
    for epoch in range(epochs):
        for batch in epoch_order(seed, epoch, len(x)).split(recipe.batch_size):
            z = net(x[batch])  # the student's logits [25, 10]
            p = target[batch]  # <- THE TARGET [25, 10]: the only thing in which arms differ
            loss = soft_cross_entropy(z, p)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net


# %% [markdown]
# Is this the loop that made the records? `kdutils.training.fit` takes a recipe. For a teacher's answer
# it computes the KL divergence and not the cross-entropy. We train two epochs both ways and compare
# every weight. (A formula of your own that adds up in another order may differ in the last digits.
# That is no error.) Then we train in full, live, once for each target. Beside each student stands the
# recorded run of the same recipe and seed, trained by `kdutils` and stored. On another processor than
# the record's, a few images may differ.

# %%
from dataclasses import replace

from kdutils.training import fit

answers = {"perfect teacher": log_p, "permuted teacher": log_p[order]}  # logits [n, 10]
for name, target in targets.items():
    short = replace(lab.arm(name).recipe.with_seed(seed), epochs=2)
    theirs = fit(short, dataset, lambda epoch, name=name: answers[name], device=torch.device("cpu"))
    weights = zip(train(x, target, 2).parameters(), theirs.net.parameters(), strict=True)
    apart = max(float((a - b).detach().abs().max()) for a, b in weights)
    assert apart < 1e-4, f"{name}: the two loops differ by {apart:.1e}"
    print(f"{name}: " + ("every weight equal, bit for bit" if apart == 0 else f"{apart:.0e} apart"))

# %%
x_test = data.normalise(test.images, dataset)  # [5000, 3, 32, 32]
students, live, rows = {}, {}, {}  # live: what each student says about the test images
for name, target in targets.items():
    students[name] = train(x, target)
    with torch.no_grad():
        live[name] = students[name](x_test).half().float()  # [5000, 10]; records keep 16 bits
    stored = [r.metrics["test_accuracy"] for r in lab.records(name) if r.recipe.seed == seed]
    stored = stored[0] if stored else float("nan")
    rows[name] = {"on this page": metrics.accuracy(live[name], test.labels), "record": stored}
pd.DataFrame.from_dict(rows, orient="index").round(2)

# %% [markdown]
# One line in the loop, and nothing else, separates these students. Is it more than the luck of one
# seed? Section 8 asks several. First we replace the perfect teacher, who does not exist in practice, by
# a learned one.
#
# ## 5. The similarity hidden in soft targets
#
# Take all test images of a class and average the probabilities that a teacher gives them. The row
# "pear" then says what pears look like to this teacher. Compare three of them:

# %%
smooth_test = F.one_hot(test.labels, 10) * (1 - s) + s / 10  # [5000, 10]
teachers = {
    "the truth": truth,
    "a learned teacher (one run)": learned,
    "label smoothing": smooth_test,
}
by_class = {
    name: torch.stack([p[test.labels == c].mean(0) for c in range(10)])  # [class, class]
    for name, p in teachers.items()
}
twin = torch.arange(10) ^ 1  # the other class of the pair: 1, 0, 3, 2, ...
own = torch.arange(10)
rows = {
    name: {
        "to the twin (%)": 100 * m[own, twin].mean().item(),
        "to the other eight classes (%)": 100 * (1 - m[own, twin] - m[own, own]).mean().item(),
        "entropy (nats per image)": entropy(teachers[name].double()).mean().item(),
    }
    for name, m in by_class.items()
}
runner_up = by_class["a learned teacher (one run)"].clone().fill_diagonal_(0).argmax(1)  # [10]
agree = int((runner_up == twin).sum())
print(f"For {agree} of the ten classes, the learned teacher's second class is the twin.")
pd.DataFrame.from_dict(rows, orient="index").abs().round(3)

# %% tags=["hide-input"]
import seaborn
from matplotlib.colors import LogNorm

fig, axes = plt.subplots(1, 3, figsize=(9.5, 3.9), sharey=True)
for ax, (name, mean) in zip(axes, by_class.items(), strict=True):
    seaborn.heatmap(mean.clamp(min=1e-4), norm=LogNorm(1e-4, 1), cmap="cividis", ax=ax,
                    cbar=ax is axes[-1], cbar_kws={"label": "mean probability (≤ .0001: darkest)"},
                    xticklabels=bayes10.CLASSES, yticklabels=bayes10.CLASSES)  # fmt: skip
    ax.set(title=name, xlabel="class that gets it", ylabel="class of the image" * (ax is axes[0]))
given = "; ".join(f"{name} {row['to the twin (%)']:.1f} %" for name, row in rows.items())
lab.show(fig, "01_similarity", f"Mean probability by class, blocks of two. To the twin: {given}.")

# %% [markdown]
# Look for the blocks of two along the diagonal. Nobody told the learned teacher which classes look
# alike. It heard hard labels alone. The line above the table counts for how many classes it names the
# twin second all the same. This is dark knowledge, and here we can check it against the truth.
#
# Now look outside the blocks. The truth gives nothing to the other eight classes. The learned
# teacher gives them a little, and that little is error. **Not everything in a teacher's small numbers
# is knowledge.**
#
# Label smoothing has the same entropy as the truth and no blocks. It acts like **a teacher that knows
# nothing but the label**, which makes it a good control: what softness alone can do for a student,
# label smoothing should do too.
#
# ### Similar classes, or this image?
#
# The usual explanation of distillation points at those blocks: the student learns *which classes are
# alike*. But the truth also says how doubtful *this* image is. Two more targets tell the two apart.
# In both, the mean answer of every class, and so the heat map of the training images, stays as it was.
# What was known about the single image is gone.
#
# - **Answers of the class.** Each training image gets the exact probabilities of another image *with
#   the same label*. So it gets one drawn answer. That is noise which even hard labels lack.
# - **Mean answer of the class.** Each training image gets the mean of the exact probabilities of all
#   images with its label. This is the clean control: it says which classes are alike, and adds no noise.
#
# The loop needs no change, only other tensors.

# %%
from IPython.display import Markdown, display

g = torch.Generator().manual_seed(seed)
donor = torch.arange(n)  # whose answer each image gets: [n]
for c in range(10):
    members = torch.nonzero(labels == c)[:, 0]  # the images of one class
    members = members[torch.randperm(len(members), generator=g)]  # in a random order
    donor[members] = members.roll(1)  # each gets its neighbour's answer, none its own
of_class = exact[donor]  # [n, 10]
mean_of = torch.zeros(10, 10)  # the row of a class without an image stays empty: no target needs it
for c in labels.unique():
    mean_of[c] = exact[labels == c].mean(0)
    assert torch.allclose(of_class[labels == c].mean(0), mean_of[c], atol=1e-5)

more = {"answers of the class": of_class, "mean answer of the class": mean_of[labels]}
for name, target in more.items():
    students[name] = train(x, target)
    with torch.no_grad():
        live[name] = students[name](x_test).half().float()
scored = {name: metrics.accuracy(z, test.labels) for name, z in live.items()}
costs = {name: metrics.nll(z, test.labels) for name, z in live.items()}
display(pd.DataFrame({"accuracy (%)": scored, "NLL (nats per image)": costs}).round(3))
whole, mean, other = (scored[k] - scored["hard labels"] for k in (
    "perfect teacher", "mean answer of the class", "answers of the class"))  # fmt: skip
if whole > 0:
    kept = f"The mean answer brings {100 * mean / whole:.0f} % of the truth's lead."
else:
    kept = "The truth has no lead here."
Markdown(
    f"Beside hard labels, the truth about this image changes the accuracy by **{whole:+.1f} points**, "
    f"the mean answer of its class by **{mean:+.1f}**, the truth about another image of the class "
    f"by **{other:+.1f}**. {kept}"
)

# %% [markdown]
# Judge the likeness of classes by the *mean* answer. A share near 100 % would mean that likeness is all
# that this student took from the truth. A share near zero means that knowing the image was what
# counted, and a negative one that the mean answer served this student worse than its labels. The
# shuffled answers say the same on average. What lies between the two is what their noise did.
#
# These are live students of one seed: the share of a small lead is a rough number. Compare the NLL as
# well. It judges the probabilities, and these can be better than those of hard labels even where the
# accuracy is not.
#
# ## 6. Temperature, and a teacher that knows only the label
#
# [Chapter 00](00_your_first_distillation.ipynb) builds the temperature $T$ and the loss below piece
# by piece, and shows the trap in PyTorch's `KLDivLoss`. Here they are again in a few lines. The
# softened answers are $p_i \propto \exp(t_i / T)$ from the teacher's logits $t$ and
# $q_i \propto \exp(z_i / T)$ from the student's $z$. The weight of the teacher is $\alpha$:
#
# $$ L = \alpha \, T^2 \, \mathrm{KL}(p \,\|\, q) + (1 - \alpha) \, \mathrm{CE}(y, q_{T = 1}) . $$
#
# With $\alpha = 1$ and $T = 1$ this is the loss of our loop, up to $H(p)$.


# %%
from kdutils import losses


def soften(z, T):
    """Softmax at temperature T: logits [..., classes] -> probabilities of the same shape."""
    return torch.softmax(z / T, dim=-1)


def distillation_loss(z, t, y, T, alpha):
    """Mean over the batch in nats; student z and teacher t: logits [B, classes], y: labels [B]."""
    log_p, log_q = F.log_softmax(t / T, dim=1), F.log_softmax(z / T, dim=1)  # [B, classes] each
    kl = (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()  # sum over classes, mean over the batch
    return alpha * T**2 * kl + (1 - alpha) * F.cross_entropy(z, y)


z, t = 2 * torch.randn(2, 64, 10, dtype=torch.float64, generator=g)  # student and teacher [64, 10]
for T in (1.0, 4.0, 20.0):
    assert torch.allclose(distillation_loss(z, t, y, T, 0.9), losses.kd_loss(z, t, y, T, 0.9))
    nats = entropy(soften(z_teacher.double(), T)).mean()
    print(f"T = {T:4g}: mean entropy of the teacher's answers {nats:.3f} nats per image")

# %% [markdown]
# Below are the learned teacher's logits for a picture that it is unsure about. Move the slider. The
# entropy measures how soft an answer is: 0 nats for a hard label, $\log 10 \approx 2.30$ for ten equal
# classes.

# %% tags=["hide-input"]
from experiments.slider import TemperatureSlider

unsure = int((learned.max(1).values - 0.8).abs().argmin())
label = bayes10.CLASSES[test.labels[unsure]]
about = {"picture": test.images[unsure], "alt": f"test picture {unsure}, labelled {label}"}
TemperatureSlider(tuple(z_teacher[unsure].tolist()), bayes10.CLASSES, label=label, **about)

# %% [markdown]
# **Label smoothing is distillation too**, with $T = 1$, $\alpha = 1$ and a teacher that knows only the
# label. PyTorch's own label smoothing differs from our loss by the entropy of the target, which no
# gradient sees.

# %%
ignorant = F.one_hot(y, 10) * 0.9 + 0.1 / 10  # a share of 0.1 is spread: [64, 10]
as_teacher = distillation_loss(z, torch.log(ignorant), y, T=1.0, alpha=1.0)
as_label = F.cross_entropy(z, y, label_smoothing=0.1)
assert torch.allclose(as_teacher, as_label - entropy(ignorant).mean())
print("Label smoothing is the distillation loss with an ignorant teacher.")

# %% [markdown]
# ## 7. Why the square of the temperature?
#
# Differentiate the soft cross-entropy by a logit of the student. With
# $\log q_j = z_j / T - \log \sum_k \exp(z_k / T)$,
#
# $$ \frac{\partial}{\partial z_i} \Bigl( -\sum_j p_j \log q_j \Bigr)
#    = \frac{1}{T} \Bigl( -p_i + q_i \sum_j p_j \Bigr) = \frac{1}{T} \, (q_i - p_i) . $$
#
# The gradient is what the student says minus what the teacher says. One factor $1/T$ stands in front.
# A second one hides in $q_i - p_i$, because a high temperature brings all probabilities together. To
# see how fast, use $e^x \approx 1 + x$ for small $x$. Let the logits of each image have mean zero,
# which changes no probability. With $K$ classes,
#
# $$ q_i \approx \frac{1 + z_i / T}{\sum_j (1 + z_j / T)} = \frac{1}{K} \Bigl( 1 + \frac{z_i}{T} \Bigr) ,
#    \qquad T^2 \cdot \frac{1}{T} \, (q_i - p_i) \approx \frac{1}{K} \, (z_i - t_i) . $$
#
# The approximation holds where $T$ is large compared with the logits. There, two things follow:
#
# 1. **With $T^2$, the teacher's weight no longer depends on $T$.** Without $T^2$, doubling $T$ also
#    quarters the teacher's term, so two things change at once.
# 2. **The student matches logits.** $\frac{1}{K}(z_i - t_i)$ is the gradient of
#    $\frac{1}{2K} \sum_i (z_i - t_i)^2$, a plain regression on the teacher's logits, including the very
#    negative ones.
#
# How high is high? We measure it on real logits: our hard-label student and the learned teacher, on
# 1,000 test images.

# %%
with torch.no_grad():
    z = students["hard labels"](x_test[:1000]).double()  # the student's logits [1000, 10]
t = z_teacher[:1000].double()  # the teacher's [1000, 10]


def soft_gradient(T):
    """T² times the gradient of KL by the student's logits, one row per image: [1000, 10]."""
    at = z.clone().requires_grad_()
    loss = distillation_loss(at, t, test.labels[:1000], T, alpha=1.0)
    return torch.autograd.grad(loss, at)[0] * len(z)  # the loss is a batch mean: undo it


assert torch.allclose(soft_gradient(4.0), 4.0 * (soften(z, 4.0) - soften(t, 4.0)), atol=1e-12)
matching = ((z - z.mean(1, keepdim=True)) - (t - t.mean(1, keepdim=True))) / 10  # (z - t) / K
gradients = {T: soft_gradient(T) for T in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)}
size = {T: g.norm(dim=1).mean().item() for T, g in gradients.items()}
apart = {T: ((g - matching).norm() / matching.norm()).item() for T, g in gradients.items()}
near = {T: abs(length / size[256.0] - 1) < 0.1 for T, length in size.items()}
within = min(T for T in size if all(near[higher] for higher in size if higher >= T))
print(f"With T², the gradient at T = 1 has {size[1.0] / size[256.0]:.0%} of its length at T = 256.")
print(f"It is within a tenth of its final length from T = {within:g} on.")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6))
left.loglog(list(size), list(size.values()), label="with T²", markevery=1)
left.loglog(list(size), [g / T**2 for T, g in size.items()], label="without T²", markevery=1)
left.set(title="Soft gradient (1,000 images)", xlabel="temperature T", ylabel="mean length")
left.legend()
right.loglog(list(apart), list(apart.values()), markevery=1)
right.set(title="Distance from logit matching", xlabel="temperature T", ylabel="relative distance")
lab.show(fig, "01_temperature_squared", f"From T = 1 to 256, with T² the gradient goes from {size[1.0]:.3f} to "
         f"{size[256.0]:.3f}, without to {size[256.0] / 256**2:.1e}; the distance from {apart[1.0]:.2f} to {apart[256.0]:.3f}.")  # fmt: skip

# %% [markdown]
# Look at the left panel. With $T^2$ the curve becomes flat on the right, as the formula says, and is
# not flat on the left. Where both networks are sure of the same class, their answers at $T = 1$ are
# nearly equal, and the soft gradient is small. So "$T^2$ makes the weight independent of $T$" is a
# statement about high temperatures. The second line printed above says what "high" means for these two
# networks: from which $T$ on the length is within a tenth of its final value. Below that $T$, the weight
# of the teacher still moves with $T$. [Chapter 06](06_temperature.ipynb) takes that up.
#
# ## 8. The experiment: six arms, several seeds
#
# We now ask whether the first four live results were luck, and add learned teachers. There are two. One saw
# ten times as many labelled images as the student. The other is a control: it saw only the
# student's own images. All students have the same network, images, steps and schedule, and at each
# seed the same first weights and order of images. They learn with $\alpha = 1$ and $T = 1$, so there
# is no weight and no temperature to tune.
#
# The results are mean ± 95 % interval and number of seeds, on the test images. There is no published
# value for this data set. The last column is the *expected calibration error*: sort the images into
# 15 bins by the student's confidence, take in each bin the distance between mean confidence and the
# share that is right, and average over the images. [Chapter 02](02_training_teachers.ipynb) works
# with it. The lines under the figure compare the arms in pairs of the same seed.

# %%
arms = ["hard labels", "label smoothing", "learned teacher of the same images", "learned teacher",
        "perfect teacher", "permuted teacher"]  # fmt: skip
display(lab.recipes(*arms))  # all that differs
# both learned teachers are `mlp-256`, and differ in this:
learned = ("teacher of the same images", "teacher of ten times the images")
display(lab.recipes(*learned))
titles = {
    "test_accuracy": "accuracy (%)",
    "test_nll": "NLL (nats per image)",
    "test_ece": "calibration error (%)",
}
table = pd.DataFrame({t: {arm: lab.cell(arm, m) for arm in arms} for m, t in titles.items()})
calibration = metrics.calibration_error(log_truth, test.labels)
table.loc["Bayes classifier"] = [f"{bayes_accuracy:.2f}", f"{bayes_nll:.4f}", f"{calibration:.2f}"]
table

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), sharey=True)
words = lab.dots(left, arms[:-1], "test_accuracy", also=[bayes_accuracy])
lab.dots(right, arms[:-1], "test_nll", also=[bayes_nll], at_least=0.01)
for ax, best, label in ((left, bayes_accuracy, "Bayes classifier"), (right, bayes_nll, None)):
    ax.axvline(best, color="k", ls=":", marker="", label=label)
control = f"not drawn: {arms[-1]}, {lab.cell(arms[-1], 'test_accuracy')}"
left.set(xlabel=f"accuracy on {len(test):,} test images (%)")
left.set_title(control, fontsize=10, loc="right")
right.set(xlabel="negative log-likelihood (nats per image)")
fig.legend(loc="outside upper right")
alt = f"Test accuracy in percent: {words}; Bayes classifier {bayes_accuracy:.2f}; {control}."
lab.show(fig, "01_first_distillation", alt, arms)

# %%
lab.differences("test_accuracy", {
    "What the truth adds to labels": ("perfect teacher", "hard labels"),
    "What softness alone adds": ("label smoothing", "hard labels"),
    "What a teacher adds that saw ten times the labels": ("learned teacher", "hard labels"),
    "What a teacher adds that saw the same labels":
        ("learned teacher of the same images", "hard labels"),
    "What targets of other images cost": ("permuted teacher", "hard labels"),
})  # fmt: skip

# %% [markdown]
# ### Fewer and more images
#
# With many images, a student meets many randomly drawn labels in every region and can average them
# itself. A soft target hands it the average at once. So one expects the truth to be worth most where
# images are few. Here are the same students with a quarter and with four times as many images, always
# with the same number of steps. There are two ways to measure what the truth is worth: its *lead* in
# points, and the *share of the gap* between hard labels and the Bayes classifier that it closes. We take
# the share at each seed, and then its mean with a 95 % interval.
#
# **One thing changes besides the number of images.** With equal steps, each image of the smallest set
# is shown 16 times as often as each image of the largest (on `laptop`: 250 and 4,000 images). A hard
# label that is repeated so often can be learned by heart, luck of the draw included. A true
# probability that is learned by heart holds no such luck. So part of the truth's lead at few images
# may come from the overfitting of the hard-label student, which stopping early might cure. This
# design cannot tell the two apart.


# %%
from kdutils import figures

wide = lab.runs.pivot(index="seed", columns="arm", values="test_accuracy")


def gap_closed(arm, baseline="hard labels"):
    """How much of the baseline's distance to the Bayes classifier an arm closes, in percent:
    mean over seeds and half-width of its interval (NaN where there is none)."""
    pairs = wide.reindex(columns=[arm, baseline]).dropna()
    share = 100 * (pairs[arm] - pairs[baseline]) / (bayes_accuracy - pairs[baseline])
    mean, half = metrics.shown_ci(share) if len(share) else (float("nan"), None)
    return mean, float("nan") if half is None else half


def said(value, unit=" %", digits=0, half=float("nan")):
    """A number in bold, with its interval if it has one."""
    interval = "" if half != half else f" ± {half:.{digits}f}"
    return "*(not recorded)*" if value != value else f"**{value:.{digits}f}{interval}{unit}**"


sizes = {", a quarter of the images": n // 4, "": n, ", four times the images": 4 * n}
rows = {}
for suffix, images in sizes.items():
    hard = lab.mean(f"hard labels{suffix}", "test_accuracy")
    exact = lab.mean(f"perfect teacher{suffix}", "test_accuracy")
    closed, half = gap_closed(f"perfect teacher{suffix}", f"hard labels{suffix}")
    rows[f"{images:,} images"] = bayes_accuracy - hard, exact - hard, closed, half
columns = ["gap of hard labels (points)", "lead of the truth (points)", "gap closed (%)", "± (%)"]
by_size = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
lead, share = by_size["lead of the truth (points)"], by_size["gap closed (%)"]
by_size.round(1)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6.5, 3.7))
for k, kind in enumerate(("hard labels", "perfect teacher")):
    for at, suffix in enumerate(sizes):
        if found := lab.values(kind + suffix, "test_accuracy"):
            mean, half = metrics.shown_ci(found)
            label = None if suffix else kind
            figures.dot(ax, at + (-0.04, 0.04)[k], mean, style=k, yerr=half, label=label)
ax.axhline(bayes_accuracy, color="k", ls=":", marker="", label="Bayes classifier")
ax.set(xticks=range(3), xticklabels=by_size.index, xlim=(-0.4, 2.4), ylabel="test accuracy (%)")
ax.legend(loc="lower right")
alt = [f"{row}: gap {v.iloc[0]:.1f}, lead {v.iloc[1]:.1f}" for row, v in by_size.iterrows()]
lab.show(fig, "01_images", f"Test accuracy against images. {'; '.join(alt)}.", ["hard labels"])

# %% [markdown]
# ## What we saw
#
# Take out your guesses.


# %% tags=["hide-input"]
closed = {name: said(share, half=half) for name in arms[1:] for share, half in [gap_closed(name)]}
ece = [said(lab.mean(name, "test_ece"), digits=1) for name in ("hard labels", "label smoothing")]
once = [said(scored[name], digits=1) for name in (*more, "hard labels")]
shares = [said(v, half=h) for v, h in zip(share, by_size["± (%)"], strict=True)]
Markdown(f"""1. The truth closes {closed["perfect teacher"]} of the gap that hard labels leave.
2. Label smoothing closes {closed["label smoothing"]}. Calibration error: hard labels {ece[0]}, smoothed {ece[1]}.
3. The student of permuted targets gets {said(lab.mean("permuted teacher", "test_accuracy"), digits=1)} of the test images right.
   Live at one seed, the one whose other image has the same label: {once[0]}; the one of mean answers: {once[1]}; hard labels beside them: {once[2]}.
4. From few images to many, the lead {"shrinks" if lead.is_monotonic_decreasing else "does not shrink at every step"}: {", ".join(said(v, "", 1) for v in lead)} points.
   The share of the gap {"grows" if share.is_monotonic_increasing else "does not grow at every step"}: {", ".join(shares)}.
5. *Not among the guesses.* The learned teacher, itself right on {said(lab.mean("teacher of ten times the images", "test_accuracy"), digits=1)}, closes {closed["learned teacher"]}. That of the same images,
   itself right on {said(lab.mean("teacher of the same images", "test_accuracy"), digits=1)}, closes {closed["learned teacher of the same images"]}.""")  # fmt: skip

# %% [markdown]
# How to read the lines:
#
# 1. *The truth against labels.* Both students saw the same images. The share of the gap that closes is
#    what probabilities are worth here, when they are right.
# 2. *Softness without knowledge.* Look at label smoothing twice: at its accuracy, and at the last two
#    columns of the table, which judge its probabilities. The two need not move together. A negative
#    share means that the arm's *mean* lies below that of hard labels. The lines under the figure of
#    section 8 say whether that is more than luck.
# 3. *Targets of other images.* A permuted target says nothing about its picture. The student can only
#    learn it by heart, which helps with no new picture. Guessing among ten classes is right 10 % of
#    the time. Where the other image has the same label, the target still names the class or its twin.
#    The sentence under the table in section 5 says how much of the lead the mean answer of the class
#    brings, without the noise of a shuffle.
# 4. *More images.* Two measures, two answers. The *lead* asks how many more test images are right. The
#    *share* asks how much of what labels miss the truth brings back; where the gap is small, a few test
#    images move it far. "The fewer images, the more a teacher is worth" is a claim about the lead; check
#    the other column before you repeat it. Neither column separates few images from images repeated
#    often.
# 5. *The two learned teachers.* They differ in three things: the images that they saw, the labels, and
#    the overfitting. The teacher of the same images had no more to go on than its student. It also saw
#    each image ten times as often. Where it knows them nearly by heart, its answers about them are
#    nearly labels again. This design does not separate the three.
#
# ## Where it can mislead
#
# **The intervals leave out the draw of the images.** Every seed learns from the same first images of
# the data set. The intervals above say how much first weights and order matter. They do not say what
# would happen with other images. The loop is on this page, so we can ask: the same seed, other sets of
# training images, none in common.

# %%
assert 2 <= DRAWS <= 10, "DRAWS must be 2 to 10"
every = log_posterior(dataset, "train", DRAWS * n)  # [DRAWS * n, 10]
leads = []
for k in range(DRAWS):
    here = slice(k * n, (k + 1) * n)
    x_k = data.normalise(dataset.train.images[here], dataset)
    targets_k = make_targets(dataset.train.labels[here], every[here], s, order)
    right = {}
    for name in ("hard labels", "perfect teacher"):
        net = students[name] if k == 0 else train(x_k, targets_k[name])  # the first set is done
        with torch.no_grad():
            right[name] = metrics.accuracy(net(x_test), test.labels)
    leads.append(right["perfect teacher"] - right["hard labels"])
by_seed = (wide["perfect teacher"] - wide["hard labels"]).dropna()
print("lead of the truth in points")
print(f"- one seed, {DRAWS} sets of images:", ", ".join(f"{v:+.1f}" for v in leads))
print(f"- one set of images, {len(by_seed)} seeds:", ", ".join(f"{v:+.1f}" for v in by_seed))

# %% [markdown]
# The two lines vary different things: the first the images, the second first weights and order. For
# other images, both kinds of luck count. So the intervals of section 8, which hold the second kind
# alone, are too narrow for a statement about images in general, unless the first line hardly varies.
# A few sets are too few to say how much.
#
# - **The ceiling is measured on a sample.** The Bayes classifier is best for images in general. On these
#   5,000, a student may beat it by luck. The interval of a share of the gap leaves this luck out.
# - **A teacher that saw more labels passes them on.** The learned teacher had ten times the student's
#   labels. That is usually the point of having a teacher, but it is no magic. A control is the teacher
#   *of the same images*. A stricter one would answer each image by a teacher that did not train on it.
# - **Softness is not knowledge.** Compare every distilled student with label smoothing of the same
#   entropy before you speak of dark knowledge.
# - **Shuffled answers are noisy.** The answers of the class in section 5 keep the heat map, but each image
#   gets *one* drawn answer, which can be learned by heart like a lucky label. The student of the class
#   *means* is spared that, though not the luck of the labels. And all of it is one seed and one shuffle.
# - **Few images are repeated often.** The lead at a quarter of the images mixes what the truth knows
#   with what hard labels lose to overfitting. A fair test would stop each student where its validation
#   accuracy is best.
# - **A permuted teacher has two faults.** Its targets do not belong to the image, and their average
#   says nothing. It shows that soft targets must belong to their images, and no more than that.
# - **A perfect teacher is exactly as sure as it should be.** A trained one tends to be too sure of the
#   images that it was trained on; its answers there are nearly hard labels again.
# - **bayes10 is kind.** All its doubt lies between twins, and its truth is simple. Nothing here says
#   how large the gain is on photographs.
# - **One setting for all.** The learning rate was chosen with hard labels, on validation images. The
#   other arms might do better with one of their own, so tuning does not explain their lead.
#
# ## Exercises
#
# Solutions: [solutions/01_soft_and_hard_targets.py](solutions/01_soft_and_hard_targets.py).
#
# 1. *(5 minutes, easy)* At which temperature do the soft targets of the slider's picture have an
#    entropy of 2 nats? Use `scipy.optimize.brentq`. *Check:* `entropy(soften(z_teacher[unsure], T))`
#    is 2 to six digits.
#    [Solution](solutions/01_soft_and_hard_targets.py#exercise-1).
# 2. *(10 minutes, medium)* Let $T = 1$. Show that the loss $\alpha\,\mathrm{KL} + (1 - \alpha)\,
#    \mathrm{CE}$ of an image has the gradient $q - \bigl(\alpha p + (1 - \alpha) e_y\bigr)$, where $e_y$
#    is the hard label as a distribution. So at $T = 1$ a mixture of losses is one loss with mixed
#    targets. Why does this fail at $T = 4$? *Check:* take $\alpha = .7$ and logits of 16 images,
#    `2 * torch.randn(2, 16, 10, dtype=torch.float64)`. `distillation_loss` is a batch mean, so its
#    gradient is the formula divided by the number of images. Multiplied by 16, `torch.autograd.grad`
#    agrees with the formula to 1e-12 at $T = 1$, and is off by more than .05 somewhere at $T = 4$. In
#    both cases $p$ and $q$ of the formula are the answers at $T = 1$.
#    [Solution](solutions/01_soft_and_hard_targets.py#exercise-2).
# 3. *(10 minutes, medium)* Change the target: train on
#    `0.5 * targets["hard labels"] + 0.5 * targets["permuted teacher"]`. By exercise 2 that is a loss
#    with labels and a permuted teacher. Does the student recover? What happens to its probabilities?
#    *Check:* its accuracy comes back to more than 40 %, and its negative log-likelihood is higher than
#    that of hard labels.
#    [Solution](solutions/01_soft_and_hard_targets.py#exercises-3-and-4).
# 4. *(20 minutes, hard)* Which images are doubtful? Smooth each label by a share of its *own*, so that
#    every target has the entropy of its image's true answer, spread without knowledge. The student then
#    hears which images are doubtful, but not between which classes. How much of the perfect teacher's
#    gain is left? *Check:* `entropy` of your targets equals that of `targets["perfect teacher"]` to
#    .001 for every image, and less than half of the gain is left.
#    [Solution](solutions/01_soft_and_hard_targets.py#exercises-3-and-4).
#
# ## Summary
#
# - One loss takes any target: the cross-entropy of a distribution. For a hard label it is the usual
#   one; for a teacher's answer it has the gradient of the KL divergence.
# - The closer a teacher's answers come to $p(y \mid x)$, the more they can help. Two controls belong
#   beside every claim that they did: label smoothing of the same entropy, and targets of other images.
# - A temperature softens probabilities and never changes their order.
# - To know which classes are alike is one thing, to know this image another. Give every image the mean
#   answer of its class to see what likeness of classes is worth. Shuffling the answers within the
#   classes adds noise of its own.
# - At high temperatures $T^2$ keeps the teacher's weight constant and the student matches logits; at
#   low ones neither holds.
#
# Next: [chapter 02](02_training_teachers.ipynb), on what makes a good teacher.
#
# ## Sources
#
# - G. Hinton (2014), [*Dark knowledge*](https://www.ttic.edu/dls-2014-2015/), a talk given at TTIC,
#   joint work with O. Vinyals and J. Dean: the name.
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*,
#   [arXiv:1503.02531](https://arxiv.org/abs/1503.02531): temperature, $T^2$ and its limit, section 2.
# - A. K. Menon et al. (2021), *A statistical perspective on distillation*,
#   [arXiv:2005.10419](https://arxiv.org/abs/2005.10419): a teacher helps as far as it estimates the
#   true probabilities.
# - C. Szegedy et al. (2016), *Rethinking the Inception architecture for computer vision*,
#   [arXiv:1512.00567](https://arxiv.org/abs/1512.00567), section 7: label smoothing.
# - C. Guo et al. (2017), *On calibration of modern neural networks*,
#   [arXiv:1706.04599](https://arxiv.org/abs/1706.04599): the calibration error as we use it.
