# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12 · Is there more to learn from a teacher than its answers?
#
# So far every student saw one thing of its teacher: ten numbers an image, the last layer. A teacher
# computes tens of thousands of numbers on the way to them. The project of
# [chapter 08](08_small_students.ipynb), whose student lost, ends with a list of what to try next: teach
# features and attention, on several levels; set a second network against the student; teach in steps, or
# the easy images first. Each idea has its papers, and they report gains.
#
# This chapter writes out what is new in each of them and then lets them all run under one budget, beside
# the plain answers. Two of them have a control.
#
# **You will be able to**
#
# - make a student predict a layer of its teacher, and say how much of it is explained;
# - compute where a network looks, and let a student imitate that;
# - set up a game between a student and a critic, and explain why one form of it goes to sleep;
# - change the *order* of the lessons: hints first, easy images first, an assistant in between;
# - judge a new method: against which baseline, at which price, as one of how many that were tried.
#
# You need [chapter 01](01_soft_and_hard_targets.ipynb) (the loss) and the networks of
# [chapter 05](05_deeper_distillation.ipynb).
#
# *Time:* half a minute on `smoke`; half a minute on `laptop`, which reads recorded runs (the second cell
# says how long they trained); a GPU and a day on `paper`.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from kdutils.experiments import Lab

lab = Lab("12", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write down five guesses. They are answered by number in section 8.
#
# 1. A student gets labels and, besides, has to predict the last feature map of its teacher. It never sees
#    an answer. What share of the gain of a student that learns from the answers does it reach? None, half, all,
#    more than all?
# 2. The same student has to predict the map of *another* image, so that there is nothing to be learned
#    about its own. Does it end above or below the labels alone, and by how many points?
# 3. Hints, attention and a critic are put *beside* the answers, one at a time. How many of the three raise
#    the mean by more than half a point over the answers alone?
# 4. Hints first, easy images first, or an assistant in between: which of the three orders is the best, and
#    does it beat the answers in no order at all?
# 5. A linear map has to predict the teacher's last map from that of a student that was trained on labels
#    alone. What share of its variance can it explain? And from a student that was never trained?
#
# ## 1. What others found
#
# A well-known comparison trained students on CIFAR-100 by a dozen methods (Tian, Krishnan and Isola 2020;
# the table stands in the README of its code). Here are three of its rows: the answers, a *hint* and
# *attention*, for seven pairs of networks of one type. A hint and attention stand *in place of* the answers. (Their
# hint is one map from the middle of the network.)

# %%
import pandas as pd

ex = lab.experiments
students = pd.Series({pair: alone for pair, (_, alone) in ex.PAIRS.items()})
published = pd.DataFrame(ex.PUBLISHED, index=list(ex.PAIRS))  # test accuracy (%)
gains = published.sub(students, axis=0)  # over the student alone, in points
gains.loc["mean of the pairs"] = gains.mean()
gains.map("{:+.2f}".format)

# %% [markdown]
# Look at each row. The plain answers are ahead in most pairs, though both others use much more of the teacher.
# That is worth a pause: a method can use more, cost more, and still teach less. In a second table, with pairs of
# *different* types, both do worse: there attention falls up to six points below the student alone. (The same
# comparison proposes a thirteenth method, which beats the answers in all seven pairs. It is not tried here.)
#
# The seven rows are not seven independent witnesses. Two of them share a student, others a teacher, and every
# method got one weight for all pairs. All of them were trained for hundreds of epochs on all images. Remember the
# order of the three columns until section 6.
#
# ## 2. A hint: predict what the teacher computes
#
# A student of 64 channels cannot copy a map of 128. Romero et al. (2015) put a small convolution between them, the
# **adaptor**. Ours is the simplest: at each place, a linear function of the student's channels has to *predict* the
# teacher's. This $1 \times 1$ convolution is trained with the student and thrown away afterwards. The distance of
# prediction and map joins the loss.
#
# Squared distances depend on the scale of the features, which differs from layer to layer. We divide by the
# variance of the teacher's channels, over images and places. Then the distance has no unit, and one weight can
# serve all layers:
#
# $$ u = \frac{\text{mean over channels and places of } (\hat F - F)^2}
#              {\text{mean over channels of the variance of } F} . $$
#
# A guess of each channel's mean has $u = 1$, on average over the batch; a perfect guess has $u = 0$, and a bad one
# more than 1.
#
# **Your turn.** Compute $u$ for each image of a batch.


# %% tags=["your-turn"]
import torch


def unexplained(guess: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """The share of the teacher's variance that a guess misses: [B], from two of [B, C, H, W]."""
    # your turn: each image's mean squared distance, over the mean of the channels' variances; a
    # variance is taken over batch and places, and divided by their number (unbiased=False)
    variance = theirs.var(dim=(0, 2, 3), unbiased=False).mean()
    return (guess - theirs).square().mean(dim=(1, 2, 3)) / variance
    # end


# %% tags=["check", "nbval-check-output"]
from experiments import inside

dice = torch.Generator().manual_seed(0)
scale = torch.tensor([1.0, 2, 3, 4, 5])[:, None, None]
shift = torch.tensor([0.0, 9, 3, -7, 1])[:, None, None]  # channels differ in their mean, too
theirs = shift + scale * torch.randn(6, 5, 4, 4, generator=dice)
means = theirs.mean(dim=(0, 2, 3))[None, :, None, None].expand_as(theirs)
found = unexplained(means, theirs)
assert found.shape == (6,), "one number an image"
assert torch.isclose(found.mean(), torch.tensor(1.0)), "the channels' means miss all of it"
assert unexplained(theirs, theirs).abs().max() == 0
half = unexplained((means + theirs) / 2, theirs).mean()
assert torch.isclose(half, torch.tensor(0.25)), "half the distance is a quarter of the square"
assert torch.allclose(found, unexplained(10 * means, 10 * theirs)), "it has no unit"
assert torch.allclose(found, inside.unexplained(means, theirs)), "the recipes say otherwise"
print("unexplained holds: the means, the map itself, half-way, another unit.")

# %% [markdown]
# Where do the maps come from? Both networks have three stages. A student that looks inside has to run the teacher
# as well, on the same view, without a gradient. So stored answers no longer suffice. (With few views, one could store
# what is looked at. For the last map that is 800 times as many numbers as the answers.)

# %%
from torch import nn

from kdutils import models


def stages(net: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """What leaves the three stages of a small residual network: [B, C, H, W] each."""
    x, maps = net.stem(images), []
    for stage in net.stages:  # one block each in networks of 8 or 10 layers
        x = stage(x)
        maps.append(x)
    return maps


images = torch.randn(4, 3, 32, 32, generator=dice)
pair = {name: models.build(name).eval() for name in ("wrn-10-2", "resnet8")}
with torch.no_grad():
    looked = {name: stages(net, images) for name, net in pair.items()}
for name, net in pair.items():
    assert all(map(torch.equal, looked[name], inside.maps(net, images)[0]))
    print(f"{name}:", *(list(x.shape[1:]) for x in looked[name]))

# %% [markdown]
# Every stage doubles the channels and halves height and width. The sizes agree between the two, so a hint can be
# given at any of the three. The loss of all such students is the old one plus a distance $d$ with a weight:
#
# $$ L = (1 - \alpha)\, \text{CE} + \alpha T^2\, \text{KL} + \lambda\, d,
#    \qquad d = u_3 \ \text{(a hint)} \quad \text{or} \quad d = \tfrac13 (u_1 + u_2 + u_3) \ \text{(hints)} . $$
#
# With $\alpha = 0$ the answers are not used. In training such a student has one more output for each image, its
# distance, and the loss adds up the two parts.

# %%
from kdutils.losses import kd_loss

r = lab.arms[ex.LEVELS].recipe
z, t = torch.randn(8, 10, generator=dice), torch.randn(8, 10, generator=dice)
y, d = torch.randint(10, (8,), generator=dice), torch.rand(8, 1, generator=dice)
by_hand = kd_loss(z, t, y, r.temperature, r.alpha) + r.soft_scale * d.mean()
count = torch.ones(8, 1)  # the last output counts the steps: section 5 needs it
assert torch.isclose(by_hand, inside.distances(torch.cat([z, d, count], dim=1), t, y, r))
print(f"T = {r.temperature:g}, alpha = {r.alpha:g}, lambda = {r.soft_scale:g}: as in the recipes.")

# %% [markdown]
# ## 3. Attention: where does a network look?
#
# A second idea needs no adaptor. Zagoruyko and Komodakis (2017) do not compare *what* two networks compute at
# a place, but *how much* goes on there. The square of the values, averaged over the channels, gives one number
# a place. The whole map is scaled to length 1, so that only its shape counts. The distance adds up all three stages:
#
# $$ A_{hw} = \frac1C \sum_c F_{chw}^2, \qquad Q = \frac{A}{\lVert A \rVert_2}, \qquad
#    d = \sum_{\text{stages}} \frac{1}{HW} \lVert Q^\text{student} - Q^\text{teacher} \rVert^2 . $$
#
# **Your turn.** Compute $Q$.


# %% tags=["your-turn"]
def attention(features: torch.Tensor) -> torch.Tensor:
    """Where features [B, C, H, W] are active: [B, H W], each row of length 1."""
    # your turn: mean square over channels, flattened, divided by its length
    activity = features.square().mean(dim=1).flatten(1)
    return activity / activity.norm(dim=1, keepdim=True)
    # end


# %% tags=["check", "nbval-check-output"]
one = torch.zeros(1, 2, 2, 2)
one[0, :, 0, 1], one[0, :, 1, 0] = torch.tensor([3.0, 1.0]), torch.tensor([-2.0, 1.0])
expected = torch.tensor([[0.0, 10.0, 5.0, 0.0]]) / 125**0.5  # 9 + 1 and 4 + 1, halved; length
assert torch.allclose(attention(one), expected), "squares, then the mean; signs do not count"
some = torch.randn(5, 7, 4, 4, generator=dice)
assert torch.allclose(attention(some), attention(100 * some), atol=1e-6), "no unit"
assert torch.allclose(attention(some), attention(some.flip(1)), atol=1e-6), (
    "nor an order of channels"
)
assert torch.allclose(attention(some), inside.attention_map(some), atol=1e-6)
print("attention holds: by hand, and without a unit or an order of the channels.")

# %% [markdown]
# This is where the teacher of this chapter is active, after each of its three stages. Each picture is scaled to its
# own largest value.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from kdutils import data, runs

recipe, cifar = lab.arms[ex.TEACHER].recipe, lab.dataset("cifar10")
at_hand = bool(lab.store.weights(recipe))  # nobody trains a teacher in passing
some = torch.stack([cifar.test.images[cifar.test.labels == k][0] for k in range(6)])
if at_hand:
    teacher = runs.trained(recipe, lab.store).cpu()
    with torch.no_grad():
        seen = [attention(m) for m in inside.maps(teacher, data.normalise(some, cifar))[0]]
    fig, axes = plt.subplots(4, 6, figsize=(8, 5.6))
    for column, (image, *rows) in enumerate(zip(some, *seen, strict=True)):
        axes[0, column].imshow(image.permute(1, 2, 0))
        axes[0, column].set_title(cifar.classes[int(column)], fontsize=10)
        [ax.imshow(q.view(side := round(len(q) ** 0.5), side)) for ax, q in zip(axes[1:, column], rows, strict=True)]  # fmt: skip
    [ax.set(xticks=[], yticks=[]) for ax in axes.flat]
    [ax.set_ylabel(text) for ax, text in zip(axes[:, 0], ("image", "stage 1", "stage 2", "stage 3"), strict=True)]  # fmt: skip
    alt = "Six test images and, below each, how active the teacher is at each place after its three stages: from 32 x 32 places after the first to 8 x 8 after the third."  # fmt: skip
    lab.show(fig, "12_attention", alt, [ex.TEACHER], bars=False)

# %% [markdown]
# Bright places have large values. Compare the stages: which of them follows edges? Is the last one on the object?
# A map of activity is not an explanation of the answer. It leaves out *which* channels are active, and the classes are
# read from the channels. In this teacher, moreover, the maps are taken before the next batch norm and ReLU. So a large
# *negative* value is bright here, though the next layer may not see it. The student's maps come after a ReLU.
#
# ## 4. An opponent
#
# Both distances above say in advance what "alike" means. In an *adversarial* game this is learned, too. A
# small network, the **critic**, sees features (averaged over places) and has to tell the teacher's from the student's.
# The student has to be taken for the teacher. Beside the features the critic sees the teacher's softened answer about
# the image. Without it the game would say nothing about a single image: shuffle the teacher's features within the
# batch, and nothing would change. With it, features that do not fit the image give themselves away (a *conditional*
# game, Mirza and Osindero 2014; Xu et al. 2018 play one with logits).
#
# Let $D$ be the critic's output, and $\sigma(D)$ the probability of *teacher* that it gives. The critic minimises
# $-\log \sigma(D(\text{teacher})) - \log(1 - \sigma(D(\text{student})))$. The student has two choices. It can
# *maximise* the critic's loss, that is, minimise $\log(1 - \sigma(D))$. Or it can minimise $-\log \sigma(D)$.
# Both mean "be taken for the teacher". They do not pull equally hard:

# %%
D = torch.tensor([-6.0, -3.0, 0.0, 3.0], requires_grad=True)  # the critic is sure, ..., is fooled
choices = {
    "log(1 - σ(D))": torch.log1p(-torch.sigmoid(D)),
    "-log σ(D)": -torch.nn.functional.logsigmoid(D),
}
pulls = {name: torch.autograd.grad(loss.sum(), D)[0] for name, loss in choices.items()}
assert torch.allclose(pulls["log(1 - σ(D))"], -torch.sigmoid(D))
assert torch.allclose(pulls["-log σ(D)"], torch.sigmoid(D) - 1)
pd.DataFrame(pulls, index=[f"D = {d:g}" for d in D.tolist()]).rename_axis(columns="gradient of")

# %% [markdown]
# When the critic is sure that it sees the student ($D \ll 0$), the first loss hardly pulls: the gradient
# vanishes just where the student has most to learn. The second pulls with full strength. Goodfellow et al. (2014)
# recommend it for that reason, and we use it.
#
# Two players learn in one step, each by its own loss. So the critic is asked three times: about the student's
# features, *held fixed*, which moves the critic alone; about the teacher's; and about the student's again, with *its own
# weights* held fixed, which moves the student alone. This is the whole game:

# %%
from torch.func import functional_call
from torch.nn.functional import layer_norm, softplus


def play(critic, ours, theirs, answers):
    """Outputs of a critic: to learn from ours, to learn from theirs, to be fooled by ours."""
    beside = lambda x: torch.cat([layer_norm(x, x.shape[1:]), answers], dim=1)  # noqa: E731
    fixed = {name: p.detach() for name, p in critic.named_parameters()}
    return [
        critic(beside(ours.detach())),  # moves the critic alone
        critic(beside(theirs)),
        functional_call(critic, fixed, beside(ours)),  # moves the student alone
    ]


critic = nn.Sequential(nn.Linear(8 + 10, 64), nn.ReLU(), nn.Linear(64, 1))
ours = torch.randn(6, 8, generator=dice, requires_grad=True)
theirs, answers = torch.randn(6, 8, generator=dice), torch.rand(6, 10, generator=dice)
from_ours, from_theirs, fooled = outputs = play(critic, ours, theirs, answers)
assert all(map(torch.equal, inside.play(critic, ours, theirs, answers), outputs))
losses = {
    "the critic's": softplus(from_ours).mean() + softplus(-from_theirs).mean(),
    "the student's": softplus(-fooled).mean(),  # softplus(-D) is -log σ(D)
}
moved = {}
for name, loss in losses.items():
    player = [ours, *critic.parameters()]
    g = torch.autograd.grad(loss, player, retain_graph=True, allow_unused=True)
    moved[name] = {"the student": g[0] is not None, "the critic": g[1] is not None}
assert moved["the critic's"] == {"the student": False, "the critic": True}
assert moved["the student's"] == {"the student": True, "the critic": False}
pd.DataFrame(moved).rename_axis(columns="loss, and whom it moves")

# %% [markdown]
# ## 5. In which order?
#
# The last group of ideas adds nothing to the loss of a step. It changes what is taught *when*, or by *whom*.
#
# - **A hint first.** In the FitNets of Romero et al. the hint comes before everything else. For the first third
#   of the training, the student only predicts the teacher's *middle* stage, without labels and answers. Then the
#   hint ends and it learns from the answers.
# - **Easy images first.** A *curriculum* (Bengio et al. 2009) begins with what is easy. The teacher can be the
#   judge (Hacohen and Weinshall 2019): an image is easy if the teacher gives its label a high probability. Of each
#   batch we take the easiest 30 % at first. The share grows until, after half of the training, the whole batch counts.
#   Its control takes as many images, but *any* ones: fewer images at first may matter, easy or not.
# - **An assistant in between.** If the teacher is too far ahead, let it teach a network of middle size, and that
#   one the student (Mirzadeh et al. 2020).
#
# **Your turn.** Choose the easiest images of a batch.


# %% tags=["your-turn"]
def easiest(t: torch.Tensor, y: torch.Tensor, share: float) -> torch.Tensor:
    """Places of the images whose label is most probable to the teacher; t [B, classes], y [B]."""
    # your turn: the probability of each label, then the places of the largest round(share * B)
    probability = t.softmax(dim=1)[torch.arange(len(y)), y]
    return probability.topk(round(share * len(y))).indices
    # end


# %% tags=["check", "nbval-check-output"]
t = torch.tensor([[5.0, 0, 0], [0, 1, 0], [9, 9, 9], [0, 0, 2], [0, 8, 0]])
y = torch.tensor([0, 1, 2, 2, 0])  # the last one: sure of a wrong class
assert sorted(easiest(t, y, 0.4).tolist()) == [0, 3], "by the label's probability"
assert sorted(easiest(t, y, 0.8).tolist()) == [0, 1, 2, 3], "sure and wrong is hardest"
assert len(easiest(t, y, 1.0)) == 5
two = torch.tensor([[4.0, 3.5, 0], [0, 1, 0]])  # probabilities .615 and .576, leads .5 and 1
assert easiest(two, torch.tensor([0, 1]), 0.5).tolist() == [0], "the probability, not the lead"
z, b = torch.randn(5, 3, generator=dice), lab.arms[ex.EASY].recipe
steps = lambda k: torch.full((5, 1), float(k))  # noqa: E731
kept = easiest(t, y, inside.EASY)  # at the first step
by_hand = kd_loss(z[kept], t[kept], y[kept], b.temperature, b.alpha)
first = inside.easy_first(torch.cat([z, steps(1)], 1), t, y, b)
assert torch.isclose(by_hand, first), "30 % of five images are 1.5: round, do not cut"
late = b.epochs * b.n_train // b.batch_size
whole = kd_loss(z, t, y, b.temperature, b.alpha)
assert torch.isclose(whole, inside.easy_first(torch.cat([z, steps(late)], 1), t, y, b))
print("easiest holds: by hand, and as in the loss of the recorded runs, at their start and end.")

# %% [markdown]
# An assistant passes on what it has learned itself. Whether a detour can help depends on whether the teacher is "too
# good" for its student in the first place, which [chapter 09](09_big_teachers.ipynb) asks with other teachers.
#
# ## 6. All of them, under one budget
#
# Networks, images and epochs are those of [chapter 05](05_deeper_distillation.ipynb). *All* students see the same
# stored views in turn, including the one with hard labels. So here no row has an advantage of new views. The weight
# of each new term was set once, before any of these runs: its gradient at the student's layers is about as large as
# that of the labels alone (at weight 1), during the first steps. Beside the answers it is the same. None was tuned for
# accuracy (section 9), with one exception. The critic's weight, found by this rule, spoiled the first student that
# played against it. That run is shown (*a stronger opponent*); the row *answers and an opponent* has a tenth of the
# weight. So the opponent had one look more than the other methods, and the look was at the test accuracy.
#
# The control, *a hint about another image*, gets the teacher's map of the next image in the batch. Batches are drawn
# anew, so it is another image in every epoch.

# %%
from IPython.display import display

display(lab.recipes(ex.HARD, ex.ANSWERS, ex.HINT, ex.LEVELS, ex.OPPONENT, ex.EASY, ex.STEPS))
lab.table("Teachers")

# %%
tables = ("Labels or answers", "Instead of answers", "Beside answers", "In what order")
recorded = [name for table in tables for name in lab.of(table)]
lab.table(recorded)

# %% [markdown]
# These questions are asked together and corrected together. The first ones have hard labels or a control as their
# baseline. Most ask what is added to the *answers*: whoever proposes a method that needs a teacher has to beat what
# the teacher gives anyway. (Three questions joined the list after the first runs had been seen: a hint over answers,
# the control of the curriculum, and twice the epochs.)

# %%
lab.differences("test_accuracy", ex.ASKED)

# %% tags=["hide-input"]
if len(recorded) > 3:
    fig, ax = plt.subplots(figsize=(8, 4.4))
    words = lab.dots(ax, recorded)
    ax.set(xlabel="test accuracy (%); ticks: seeds")
    ends = pd.Series([len(lab.of(table)) for table in tables]).cumsum()[:-1]
    [ax.axhline(k - 0.5, color="0.8", lw=1, ls="-", marker="") for k in ends]
    lab.show(fig, "12_methods", f"Test accuracy (%): {words}.", recorded)

# %% [markdown]
# The lines part four blocks. *In place of answers*: how near do a hint and attention come to the second row, and where
# is the control? *Beside answers*, and *in another order*: which rows leave the second one, by an interval in the list
# above that excludes zero? Then go back to section 1. Is the order of the three methods the same here?
#
# Does what a hint adds last? A method may only have made the student *faster*. Then its lead shrinks as the time
# grows. So here are the answers, and the answers with hints, once more, for twice the epochs.

# %%
from experiments import pieces
from experiments.pieces import points

over = lambda first, second: pieces.over(lab, first, second)  # noqa: E731
once, twice = over(ex.LEVELS, ex.ANSWERS), over(ex.LONG_LEVELS, ex.LONG)
epochs = [lab.arms[name].recipe.epochs for name in (ex.ANSWERS, ex.LONG)]
lasting = f"{points(once)} at {epochs[0]} epochs, {points(twice)} at {epochs[1]}; the change: {points((twice - once).dropna())}"
print(f"Hints beside answers add, in points: {lasting}.")
lab.table("With more time")

# %% [markdown]
# A gain is one side. The other is the price. Stored answers cost nothing while the student learns; a student that
# looks inside runs the teacher, too, and trains its adaptors. A training step takes about three times the
# multiplications of a forward pass: forward, gradient for the features, gradient for the weights. (These are the
# networks of `laptop`; an assistant has to be trained first, which is not counted.)

# %%
from experiments.networks import count_macs

macs = {name: count_macs(net) / 1e6 for name, net in pair.items()}
own, along = 3 * macs["resnet8"], macs["wrn-10-2"]
sizes = [(x.shape, y.shape[1]) for x, y in zip(looked["resnet8"], looked["wrn-10-2"], strict=True)]
adaptors = [n * m * side**2 / 1e6 for (_, n, side, _), m in sizes]  # 1x1, at each place
price = {"labels, or stored answers": own, "attention, or a critic": own + along}
price |= {"a hint": own + along + 3 * adaptors[-1], "hints": own + along + 3 * sum(adaptors)}
frame = pd.Series(price, name="million multiplications an image").to_frame()
frame["times labels alone"] = frame.iloc[:, 0] / own
frame.round(2)

# %% [markdown]
# ## 7. What did the student take over?
#
# Accuracy does not say whether the student has *learned the features*. The share $u$ does, on new images. Take a
# student as it is, fit the best linear map from its last stage to the teacher's on one half of some test images,
# and see on the other half how much it explains ($1 - u$). Where that is much, the teacher's map can be read from the
# student's by a linear function. The reverse need not hold. Two rows frame the others: a student that was never trained,
# and the most that any 64 channels could explain of 128.


# %%
def explained(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Share of theirs [B, C', H, W] that a linear map of ours [B, C, H, W] explains, on new images."""
    x, y = (m.movedim(1, 3).double() for m in (ours, theirs))
    x = torch.cat([x, torch.ones_like(x[..., :1])], dim=3)  # and a constant
    fit, new = slice(None, len(x) // 2), slice(len(x) // 2, None)
    weight = torch.linalg.lstsq(x[fit].flatten(0, 2), y[fit].flatten(0, 2), driver="gelsd").solution
    guess = (x[new] @ weight).movedim(3, 1)
    return 1 - float(inside.unexplained(guess, y[new].movedim(3, 1)).mean())


rows = {}
if at_hand:
    few = data.normalise(cifar.test.images[:600], cifar)
    last = lambda net: inside.maps(getattr(net, "net", net), few)[0][-1]  # noqa: E731
    with torch.no_grad():
        target = last(teacher)
        for name in (ex.HARD, ex.ANSWERS, ex.HINT, ex.OTHERS):
            kept = [r.recipe for r in lab.records(name) if lab.store.weights(r.recipe)]
            nets = [runs.trained(recipe, lab.store).cpu() for recipe in kept]
            rows[name] = [explained(last(net), target) for net in nets]
        torch.manual_seed(0)
        untrained = [models.build(lab.arms[ex.HARD].recipe.model).eval() for _ in range(3)]
        rows["never trained"] = [explained(last(net), target) for net in untrained]
        spread = torch.linalg.eigvalsh(torch.cov(target.movedim(1, 0).flatten(1).double()))
        rows["the most of half the channels"] = [
            float(spread[len(spread) // 2 :].sum() / spread.sum())
        ]
shares = {name: f"{100 * sum(x) / len(x):.0f} %" for name, x in rows.items() if x}
absent = ", ".join(name for name, x in rows.items() if not x) if at_hand else "the teacher"
print(f"No weights are stored here of: {absent}." if absent else "All networks are stored here.")
pd.DataFrame({"explained": shares, "networks": {n: len(rows[n]) for n in shares}})

# %% [markdown]
# *Never trained* is what the images alone give: light and dark, edges and colours are in both maps. What a student of
# labels explains beyond that comes from the shared task, for nobody showed it the teacher. The hint student was trained for
# this very number, though on other images: take its row as a check that the hint was learned. The control says
# whether the *form* of the lesson does that, too. Then compare with the accuracies above. To share features with the
# teacher and to be accurate are two things.
#
# ## 8. What we saw
#
# Your predictions, one by one.

# %% tags=["hide-input"]
from IPython.display import Markdown

found = {name: over(name, ex.ANSWERS) for name in (*ex.BESIDE, *ex.ORDERED)}
larger = [name for name in ex.BESIDE if len(found[name]) and found[name].mean() > 0.5]
known = {name: found[name].mean() for name in ex.ORDERED if len(found[name])}
first = max(known, key=known.get, default=None)
told = lab.paired("test_accuracy", ex.ASKED)
tested = {q: d for q, d in told.items() if d["p"] is not None}
sure = [f"{q} ({d['difference']:+.2f})" for q, d in tested.items() if d.get("holm", d["p"]) < 0.05]
Markdown(f"""
1. A hint over labels: {points(over(ex.HINT, ex.HARD))}; the answers over labels: {points(over(ex.ANSWERS, ex.HARD))}. Share: {pieces.share(over(ex.HINT, ex.HARD), over(ex.ANSWERS, ex.HARD)) or "cannot be given"}. The hint over the answers: {points(over(ex.HINT, ex.ANSWERS))}.
2. The hint about another image over labels alone: {points(over(ex.OTHERS, ex.HARD))}. The hint about the same image over it: {points(over(ex.HINT, ex.OTHERS))}.
3. Means raised by more than half a point: {len(larger)} of {sum(bool(len(found[n])) for n in ex.BESIDE)} recorded. {"; ".join(f"{n}: {points(found[n])}" for n in ex.BESIDE)}. Hints with more time: {lasting}.
4. The best of the orders: {first or "not recorded"}. Over answers: {"; ".join(f"{n} {points(found[n])}" for n in ex.ORDERED)}.
5. {"; ".join(f"{n}: {x}" for n, x in shares.items()) + " (one network each)" if shares else "The teacher's weights are not stored here."}

Different from zero after correction for {len(tested)} questions, in points: {"; ".join(sure) or "none"}.
""")

# %% [markdown]
# How to read these answers, whatever the numbers are:
#
# - **The baseline decides.** A method can beat the labels and still add nothing to the answers. A paper that shows
#   only the first comparison has not shown that its method is needed.
# - **A control says what a gain is made of.** A hint about another image has the same form, the same adaptor and
#   the same weight in the loss. Whatever it gains has nothing to do with the image. What the right image gains over it
#   does, through its class or through more than its class. (A map of another image *of the same class* would tell
#   those two apart.) Where the control falls below the labels, that distance is larger than what the hint taught:
#   a part of it is the harm that the wrong hint does.
# - **Not told is not the same as no effect.** With few seeds an effect can stay hidden. The interval says how large it
#   may still be.
# - **An order of methods belongs to a setting.** Section 1 has one order, for long training on all images of
#   CIFAR-100; the figure of section 6 has ours, for short training on few images of CIFAR-10. Where they differ, neither
#   is wrong. A method that helps a student to learn *faster* looks best where time is short; answer 3 ends with a
#   first test of that.
# - **More of the teacher need not be more for the student.** The answers are a summary of the teacher, made for exactly
#   the task that the student has. Its features also hold what this task does not need. They also hold what ten
#   numbers cannot say.
#
# ## 9. Where it can mislead
#
# - **One weight for each method.** Each was set once by the size of its gradient. Each paper tunes its own.
#   A method that fails here may want another weight; exercise 4 asks how to look for one without fooling oneself.
# - **Three hints under one name.** Over labels it is the last stage, beside answers all three, first the middle one.
#   So *labels and a hint* and *answers and hints* differ in more than the answers.
# - **One pair of networks, on few images, for few epochs.** Hints were made for students *deeper* than their
#   teachers; ours is as deep. With more images or epochs the order of the rows can change.
# - **Two kinds of maps.** The teacher's come before batch norm and ReLU and have both signs; the student's come after a
#   ReLU. This may cost attention more than a hint, whose adaptor can shift and turn.
# - **One teacher and one assistant.** No interval speaks of another run of either. The assistant also had
#   more epochs than its students.
# - **One network a row in section 7.** Differences of a few points there may be luck.
# - **A hint first has fewer steps for the answers**: two thirds, within one cycle of the learning rate, whose peak falls
#   into the hint. FitNets train the two phases one after the other.
# - **A curriculum counts fewer images.** Its control shares that, and nothing else: the judge has seen these images in
#   its own training, and the batch norm sees the whole batch from the start.
# - **Weak forms.** The critic is small and sees averaged features; the curriculum has one shape; attention has
#   one power. The names of these methods cover many others. There is a control for the hint over labels and for the
#   curriculum, none for the others.
# - **Adaptors are trained as well.** They are thrown away, with what they learned. Being linear, they can only read
#   what stands linearly in the student's features. But they change the path of the training.
# - **The views are few.** A method that needs new views in every epoch gets none.
#
# ## Exercises
#
# Solutions: [solutions/12_inside_the_teacher.py](solutions/12_inside_the_teacher.py).
#
# 1. *(10 minutes, easy)* In how many of the seven pairs of section 1 are the answers ahead of attention? If each pair
#    were a fair coin, how probable is a result at least as one-sided? Why is even this number too sure of itself?
#    *Check:* for 7 of 7 the two-sided probability is 2/128.
#    [Solution](solutions/12_inside_the_teacher.py#exercise-1).
# 2. *(15 minutes, medium)* Show that an adaptor is needed, even where student and teacher have equally many
#    channels: mix the channels of a map by a random orthogonal matrix, and compute $u$ with the best linear map
#    and without one. *Check:* with it $u = 0$.
#    [Solution](solutions/12_inside_the_teacher.py#exercise-2).
# 3. *(15 minutes, medium)* Does the attention of a map change if its channels are mixed by an orthogonal matrix? By any
#    other invertible one? What does that say about what attention can transfer? *Check:* the first must leave it as it is.
#    [Solution](solutions/12_inside_the_teacher.py#exercise-3).
# 4. *(20 minutes, hard)* You try $k$ weights for a worthless method, each at one seed, and report the best. How many
#    points does it seem to gain, for $k$ = 5 and a scatter of .4 points? Simulate it. Then let validation choose and a fresh test
#    set report. *Check:* the first is about .47 points, the second 0.
#    [Solution](solutions/12_inside_the_teacher.py#exercise-4).
#
# ## Summary
#
# - A hint is a linear prediction of the teacher's features; divide its error by their variance, and it has no unit.
# - Attention keeps where a network is active and forgets what it computes there.
# - In a game against a critic, take the loss that pulls where the critic is sure.
# - Hints first, easy images first and assistants change what is taught when, or by whom.
# - Compare a new method with the plain answers, at its price, beside a control, and say how many were tried.
#
# ## Sources
#
# - A. Romero et al. (2015), *FitNets: hints for thin deep nets*, [arXiv:1412.6550](https://arxiv.org/abs/1412.6550).
# - S. Zagoruyko, N. Komodakis (2017), *Paying more attention to attention*,
#   [arXiv:1612.03928](https://arxiv.org/abs/1612.03928).
# - Y. Tian, D. Krishnan, P. Isola (2020), *Contrastive representation distillation*,
#   [arXiv:1910.10699](https://arxiv.org/abs/1910.10699); its comparison:
#   [HobbitLong/RepDistiller](https://github.com/HobbitLong/RepDistiller).
# - I. Goodfellow et al. (2014), *Generative adversarial networks*, [arXiv:1406.2661](https://arxiv.org/abs/1406.2661).
# - M. Mirza, S. Osindero (2014), *Conditional generative adversarial nets*,
#   [arXiv:1411.1784](https://arxiv.org/abs/1411.1784).
# - Z. Xu, Y.-C. Hsu, J. Huang (2018), *Training shallow and thin networks for acceleration via knowledge
#   distillation with conditional adversarial networks*, [arXiv:1709.00513](https://arxiv.org/abs/1709.00513).
# - Y. Bengio et al. (2009), *Curriculum learning*, ICML.
# - G. Hacohen, D. Weinshall (2019), *On the power of curriculum learning in training deep networks*,
#   [arXiv:1904.03626](https://arxiv.org/abs/1904.03626).
# - S. I. Mirzadeh et al. (2020), *Improved knowledge distillation via teacher assistant*,
#   [arXiv:1902.03393](https://arxiv.org/abs/1902.03393).
# - S. Kornblith et al. (2019), *Similarity of neural network representations revisited*,
#   [arXiv:1905.00414](https://arxiv.org/abs/1905.00414) (other ways to compare what two networks compute).
# - The list of what to try next: [ajitashwath/model-distillation](https://github.com/ajitashwath/model-distillation).
