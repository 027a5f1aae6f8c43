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
# the easy images first. Each idea has its paper, and each paper has a table in which the idea wins.
#
# This chapter writes each of them out in a few lines and then lets them all run under one budget, beside
# the plain answers, with a control for the most popular one.
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
#    an answer. Which share of the gain of a student that learns from the answers does it reach?
# 2. The same student has to predict the map of *another* image, so that there is nothing to be learned
#    about its own. How many points does that cost, compared with the map of the same image?
# 3. Hints, attention and a critic are put *beside* the answers, one at a time. How many of the three raise
#    the mean by more than half a point over the answers alone?
# 4. Hints first, easy images first, or an assistant in between: which of the three orders is the best, and
#    does it beat the answers in no order at all?
# 5. A linear map has to predict the teacher's last map from that of a student that was trained on labels
#    alone. Which share of its variance can it explain? And from a student that was never trained?
#
# ## 1. What others found
#
# A well-known comparison trained students on CIFAR-100 by a dozen methods (Tian, Krishnan and Isola 2020;
# the table stands in the README of its code). Here are three of its rows: the answers, a *hint* and
# *attention*, for seven pairs of networks of one type. A hint and attention stand *in place of* the answers.

# %%
import pandas as pd

ex = lab.experiments
students = pd.Series({pair: alone for pair, (_, alone) in ex.PAIRS.items()})
published = pd.DataFrame(ex.PUBLISHED, index=list(ex.PAIRS))  # test accuracy (%)
gains = published.sub(students, axis=0)  # over the student alone, in points
gains.loc["mean of the pairs"] = gains.mean()
gains.map("{:+.2f}".format)

# %% [markdown]
# Look at each row. The plain answers of 2015 are ahead in most pairs, though both others use much more of
# the teacher. That is worth a pause: a method can be newer, richer and dearer, and still teach less. (The
# same comparison proposes a thirteenth method, which beats the answers in all seven pairs. It is not tried
# here.)
#
# The seven rows are no seven independent witnesses. Two of them share a student, others a teacher, and every
# method got one weight for all pairs.
#
# ## 2. A hint: predict what the teacher computes
#
# A student of 64 channels cannot copy a map of 128. Romero et al. (2015) put a small map between them. At
# each place, a linear function of the student's channels has to *predict* the teacher's. This
# **adaptor**, a $1 \times 1$ convolution, is trained with the student and thrown away afterwards. The
# distance of prediction and map joins the loss.
#
# Squared distances depend on the scale of the features, which differs from layer to layer. We divide by the
# variance of the teacher's channels. Then the distance is a share, and one weight serves all layers:
#
# $$ u = \frac{\text{mean over channels and places of } (\hat F - F)^2}
#              {\text{mean over channels of the variance of } F} . $$
#
# Who predicts each channel's mean everywhere has $u = 1$; who predicts all has $u = 0$.
#
# **Your turn.** Compute $u$ for each image of a batch.


# %% tags=["your-turn"]
import torch


def unexplained(guess: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """The share of the teacher's variance that a guess misses: [B], from two of [B, C, H, W]."""
    # your turn: the mean squared distance of each image over the mean variance of the channels
    variance = theirs.var(dim=(0, 2, 3), unbiased=False).mean()
    return (guess - theirs).square().mean(dim=(1, 2, 3)) / variance
    # end


# %% tags=["check", "nbval-check-output"]
from experiments import inside

dice = torch.Generator().manual_seed(0)
theirs = (
    3 + torch.randn(6, 5, 4, 4, generator=dice) * torch.tensor([1.0, 2, 3, 4, 5])[:, None, None]
)
means = theirs.mean(dim=(0, 2, 3))[None, :, None, None].expand_as(theirs)
found = unexplained(means, theirs)
assert found.shape == (6,), "one number an image"
assert torch.isclose(found.mean(), torch.tensor(1.0)), "the channels' means miss all of it"
assert unexplained(theirs, theirs).abs().max() == 0
half = unexplained((means + theirs) / 2, theirs).mean()
assert torch.isclose(half, torch.tensor(0.25)), "half the distance is a quarter of the square"
assert torch.allclose(found, unexplained(10 * means, 10 * theirs)), "it has no unit"
assert torch.allclose(found, inside.unexplained(means, theirs)), "kdutils' recipes say otherwise"
print("unexplained holds: the means, the map itself, half-way, another unit.")

# %% [markdown]
# Where do the maps come from? Both networks have three stages. A student that looks inside its teacher runs
# it along, on the same view, without a gradient. Its stored answers no longer suffice: the teacher's weights
# are needed, and its arithmetic in every step.

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
# given at any of the three.
#
# ## 3. Attention: where does a network look?
#
# A second idea needs no adaptor. Zagoruyko and Komodakis (2017) do not compare *what* two networks compute at
# a place, but *how much* goes on there. The square of the values, averaged over the channels, gives one number
# a place. The whole map is scaled to length 1, so that only its form counts:
#
# $$ A_{hw} = \frac1C \sum_c F_{chw}^2, \qquad Q = \frac{A}{\lVert A \rVert_2} . $$
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
    alt = "Six test images and, below each, how active the teacher is at each place after its three stages: fine edges after the first, a few coarse spots after the third."  # fmt: skip
    lab.show(fig, "12_attention", alt, [ex.TEACHER], bars=False)

# %% [markdown]
# Bright places have large values. The first stage follows edges, the last has a few coarse spots. Is the last one
# on the object? Sometimes. A map of activity is not an explanation of the answer: it leaves out which channels
# are active, and the channels are what the last layer reads.
#
# ## 4. An opponent
#
# Both distances above say in advance what "alike" means. In an *adversarial* game this is learned, too. A
# small network, the **critic**, sees features and has to tell the teacher's from the student's. The student has
# to be taken for the teacher. Let $D$ be the critic's output, and $\sigma(D)$ the probability of *teacher* that it
# gives. The critic minimises $-\log \sigma(D(\text{teacher})) - \log(1 - \sigma(D(\text{student})))$. For the
# student there are two choices. It can *maximise* the same, $\log(1 - \sigma(D))$ reversed, or it can minimise
# $-\log \sigma(D)$. Both mean "be taken for the teacher". They do not pull alike:

# %%
D = torch.tensor([-6.0, -3.0, 0.0, 3.0], requires_grad=True)  # the critic is sure, ..., is fooled
pulls = {}
for name, loss in {
    "log(1 - σ(D))": torch.log1p(-torch.sigmoid(D)),
    "-log σ(D)": -torch.nn.functional.logsigmoid(D),
}.items():
    pulls[name], *_ = torch.autograd.grad(loss.sum(), D)
assert torch.allclose(pulls["log(1 - σ(D))"], -torch.sigmoid(D))
assert torch.allclose(pulls["-log σ(D)"], torch.sigmoid(D) - 1)
pd.DataFrame(pulls, index=[f"D = {d:g}" for d in D.tolist()]).rename_axis(columns="gradient of")

# %% [markdown]
# When the critic is sure that it sees the student ($D \ll 0$), the first loss hardly pulls: the gradient
# vanishes just where the student has most to learn. The second pulls with full strength. Goodfellow et al. (2014)
# recommend the second for that reason. We use it. In a first trial with the other form the critic soon won, and
# the student was left alone.
#
# The student that plays has three more outputs in training: what the critic says of its features (with the features
# held fixed), of the teacher's, and of its own again (with the *critic* held fixed). One backward pass then moves
# each player by its own loss. The cell below checks who is moved by what.

# %%
from kdutils.losses import kd_loss

player = models.build("critic-resnet8-128").train()
player.meet(models.build("wrn-10-2").eval())
z = player(images)  # [4, 10 + 3 + 1]: logits, the critic three times, the number of steps
moved = {}
for name, column in {"the critic's lesson": z[:, 10] - z[:, 11], "the student's": z[:, 12]}.items():
    player.zero_grad()
    column.sum().backward(retain_graph=True)
    moved[name] = {
        part: any(p.grad is not None and p.grad.any() for p in module.parameters())
        for part, module in (("critic", player.critic), ("student", player.net))
    }
assert moved["the critic's lesson"] == {"critic": True, "student": False}
assert moved["the student's"] == {"critic": False, "student": True}
assert player.eval()(images).shape == (4, 10), "outside training there is no game"
pd.DataFrame(moved).rename_axis(columns="moved by")

# %% [markdown]
# ## 5. In which order?
#
# The third group of ideas changes no distance. It changes *when* something is taught.
#
# - **A hint first.** In the FitNets of Romero et al. the hint comes before everything else. For the first third
#   of the training, the student only predicts the teacher's *middle* stage, without labels and answers. Then the
#   hint ends and it learns from the answers.
# - **Easy images first.** A *curriculum* (Bengio et al. 2009) begins with what is easy. The teacher can be the
#   judge: an image is easy if the teacher gives its label a high probability. Of each batch we take the easiest
#   30 % at first. The share grows until, after half of the training, the whole batch counts.
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
z, b = torch.randn(5, 3, generator=dice), lab.arms[ex.EASY].recipe
steps = lambda k: torch.full((5, 1), float(k))  # noqa: E731
kept = easiest(t, y, inside.EASY)  # at the first step
by_hand = kd_loss(z[kept], t[kept], y[kept], b.temperature, b.alpha)
assert torch.isclose(by_hand, inside.easy_first(torch.cat([z, steps(1)], 1), t, y, b))
late = b.epochs * b.n_train // b.batch_size
whole = kd_loss(z, t, y, b.temperature, b.alpha)
assert torch.isclose(whole, inside.easy_first(torch.cat([z, steps(late)], 1), t, y, b))
print("easiest holds: by hand, and as in the loss of the recorded runs, at their start and end.")

# %% [markdown]
# An assistant can pass on no more than it has learned. Whether a detour helps depends on
# whether the teacher is "too good" for its student in the first place, which
# [chapter 09](09_big_teachers.ipynb) asks with real teachers.
#
# ## 6. All of them, under one budget
#
# Networks, images and epochs are those of [chapter 05](05_deeper_distillation.ipynb). *All* students see the same
# stored views in turn, also the one with hard labels. So here no row has an advantage of new views. The weight
# of each new term was set once, before any of these runs, so that its gradient at the student's layers is of
# the size of the labels' during the first steps. None was tuned for accuracy (section 9).

# %%
from IPython.display import display

display(lab.recipes(ex.HARD, ex.ANSWERS, ex.HINT, ex.LEVELS, ex.OPPONENT, ex.EASY, ex.STEPS))
lab.table("Teachers")

# %%
tables = ("Labels or answers", "Instead of answers", "Beside answers", "In what order")
recorded = [name for table in tables for name in lab.of(table)]
lab.table(recorded)

# %% [markdown]
# Ten questions, asked together and corrected together. The first four have hard labels or a control as their
# baseline. All others ask what is added to the *answers*: whoever proposes a method that needs a teacher has to
# beat what the teacher gives anyway.

# %%
lab.differences("test_accuracy", ex.ASKED)

# %% tags=["hide-input"]
if len(recorded) > 3:
    fig, ax = plt.subplots(figsize=(8, 4.4))
    words = lab.dots(ax, recorded)
    ax.set(xlabel="test accuracy (%); ticks: seeds")
    [ax.axhline(k - 0.5, color="0.8", lw=1, ls="-", marker="") for k in (2, 5, 8) if k < len(recorded)]  # fmt: skip
    lab.show(fig, "12_methods", f"Test accuracy (%): {words}.", recorded)

# %% [markdown]
# Read it in three blocks. *In place of answers*: how near do a hint and attention come to the second row, and does
# the control stay at the first? *Beside answers* and *in another order*: does any row leave the second one, by more
# than the ticks scatter?
#
# A gain is one side. The other is the price. Stored answers cost nothing while the student learns. Whoever looks
# inside runs the teacher along, in every step. A training step takes about three times the multiplications of a
# forward pass: forward, gradient for the features, gradient for the weights. (These are the networks of `laptop`.)

# %%
from experiments.networks import count_macs

macs = {name: count_macs(net) / 1e6 for name, net in pair.items()}
own, along = 3 * macs["resnet8"], macs["wrn-10-2"]
price = {"hard labels": own, "stored answers": own, "looking inside": own + along}
frame = pd.Series(price, name="million multiplications an image").to_frame()
frame["times hard labels"] = frame.iloc[:, 0] / own
frame.round(2)

# %% [markdown]
# ## 7. What did the student take over?
#
# Accuracy does not say whether the student has *learned the features*. The share $u$ does, with new images. Take a
# student as it is, fit the best linear map from its last stage to the teacher's on one half of some test images,
# and see on the other half how much it explains ($1 - u$). Where it explains much, the two networks compute the
# same things in other coordinates. An untrained student is the zero of this scale.


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
shares = {name: f"{100 * sum(x) / len(x):.0f} %" for name, x in rows.items() if x}
pd.DataFrame({"explained": shares, "networks": {n: len(rows[n]) for n in shares}})

# %% [markdown]
# Read it as a ladder. The lowest rung is a network that was never trained: bright and dark, edges and colours
# are in both maps. On the next stands a student of labels alone, to whom nobody showed the teacher. What it explains
# beyond the first rung, the common task has led to. What a hint adds comes on top. Then compare with the
# accuracies above: to share more features with the teacher and to be more accurate are two things.
#
# ## 8. What we saw
#
# Your predictions, one by one.

# %% tags=["hide-input"]
from experiments import pieces
from experiments.pieces import points
from IPython.display import Markdown

over = lambda first, second: pieces.over(lab, first, second)  # noqa: E731
found = {name: over(name, ex.ANSWERS) for name in (*ex.BESIDE, *ex.ORDERED)}
larger = [name for name in ex.BESIDE if len(found[name]) and found[name].mean() > 0.5]
known = {name: found[name].mean() for name in ex.ORDERED if len(found[name])}
first = max(known, key=known.get, default=None)
told = lab.paired("test_accuracy", ex.ASKED)
sure = [q for q, d in told.items() if d.get("holm", 1) < 0.05]
Markdown(f"""
1. A hint over labels: {points(over(ex.HINT, ex.HARD))}; the answers over labels: {points(over(ex.ANSWERS, ex.HARD))}. Share: {pieces.share(over(ex.HINT, ex.HARD), over(ex.ANSWERS, ex.HARD)) or "cannot be given"}.
2. The hint about the same image over one about another: {points(over(ex.HINT, ex.OTHERS))}. The hint about another image over labels alone: {points(over(ex.OTHERS, ex.HARD))}.
3. Means raised by more than half a point: {len(larger)} of {sum(bool(len(found[n])) for n in ex.BESIDE)} recorded. {"; ".join(f"{n}: {points(found[n])}" for n in ex.BESIDE)}.
4. The best of the orders: {first or "not recorded"}. Over answers: {"; ".join(f"{n} {points(found[n])}" for n in ex.ORDERED)}.
5. {"; ".join(f"{n}: {x}" for n, x in shares.items()) or "The teacher's weights are not stored here."}

Told from zero after correction for {len(told)} questions: {"; ".join(sure) or "none"}.
""")

# %% [markdown]
# How to read these answers, whatever the numbers are:
#
# - **The baseline decides.** Over *labels*, almost everything that comes from a teacher looks good. Over the
#   *answers*, a method has to offer what they lack. A paper that shows only the first comparison has not shown
#   that its method is needed.
# - **A control says what a gain is made of.** A hint about another image has the same form, the same adaptor and
#   the same weight in the loss. Whatever it gains is regularisation. What the right image gains *over it* is
#   information. Where the control falls below the labels, that distance is larger than what the hint taught.
# - **Not told is not the same as no effect.** With few seeds, half a point stays hidden. The intervals say
#   which effects are excluded.
# - **More of the teacher is not more for the student.** The answers are a summary of the teacher, made for exactly
#   the task that the student has. Its features also hold what this task does not need.
#
# ## 9. Where it can mislead
#
# - **One weight for each method.** Each was set once by the size of its gradient. Each paper tunes its own.
#   A method that fails here may want another weight; exercise 4 asks how to look for one without fooling oneself.
# - **One pair of networks, of one type, on few images.** Hints were made for students *deeper* than their
#   teachers. Ours is as deep. Where the images are many and the student larger, the order of the rows can change.
# - **One teacher and one assistant.** No interval speaks of another run of either. The assistant also had
#   more epochs than its students.
# - **Weak forms.** The critic is small and sees averaged features; the curriculum has one shape; attention has
#   one power. The names of these methods cover many others.
# - **Adaptors are trained as well.** A student with a hint has more parameters in training. They are thrown away,
#   and they are linear, so they can hold no knowledge of their own. But they change the path of the training.
# - **The views are few.** All students see the same stored views in turn. A method that profits from new views has no
#   chance to show it.
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
#    set report. *Check:* the first is about .46 points, the second 0.
#    [Solution](solutions/12_inside_the_teacher.py#exercise-4).
#
# ## Summary
#
# - A hint is a linear prediction of the teacher's features; divide its error by their variance, and it is a share.
# - Attention keeps where a network is active and forgets what it computes there.
# - In a game against a critic, take the loss that pulls where the critic is sure.
# - Hints first, easy images first and assistants change the order of the lessons, not their content.
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
