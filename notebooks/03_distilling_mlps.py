# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Can a network learn to read digits without ever seeing a label?
#
# In 2015 Hinton, Vinyals and Dean trained a small network on handwritten digits. With labels it made
# 146 errors on 10,000 test digits. Then it was also asked to match the answers of a larger
# network, and it made 74. (The labels were still there, and the larger network had seen all of them.)
# In a further experiment they hid every 3 from the student, and it still learned to read most 3s.
#
# In 2018 a poster by Haitong Li repeated this with other settings. Without labels, its student
# improves markedly at a higher learning rate. That looks like a fact about distillation. It comes
# from one missing argument in one line of code. The same line is found in libraries that people use
# today. In this chapter we write the distillation step by hand, take the line apart, find out where
# else it occurs, and then do Hinton's experiment.
#
# **You will be able to**
#
# - write a student's training step that uses no label, and check it bit by bit;
# - tell a gain from distillation from a gain from the learning rate;
# - read any library's distillation loss and say what its $\alpha$ really is;
# - say what the teacher, the views and the labels each contribute.
#
# You need [chapter 01](01_soft_and_hard_targets.ipynb) (soft targets, the loss);
# [chapter 02](02_training_teachers.ipynb) trains the teacher. **Time:** under a minute on `smoke`,
# which trains everything, and on `laptop`, which reads recorded runs.

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from kdutils.experiments import Lab

lab = Lab("03", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write down a guess for each. The section *What we saw* answers them by number.
#
# 1. A student without labels reaches 97.69 % on the poster at learning rate .01, and 98.16 % at .1.
#    Its loss is ten times weaker than the formula says. You correct the loss and keep the rate .01.
#    Which accuracy do you expect?
# 2. Hinton's student made 146 errors on still images with labels alone. Ours, of the same shape,
#    learns from a good teacher on the same still images. How many errors?
# 3. Now the student sees distorted digits. The teacher's term has the weight .9, the labels' term .1.
#    Take the labels away: how many more errors?
# 4. The student never sees a 3, nor any label. How many of the 1,010 test threes does it read
#    correctly?
# 5. Another student sees **no digit at all**. It sees grey photographs of ships, cats and lorries, and
#    hears which digit the teacher takes each for. How many of the test digits does it read? (Guessing
#    gives one in ten.)

# %% [markdown]
# ## 1. A step without labels, by hand
#
# The teacher answers with logits $t$, the student with $z$. At temperature $T$ they become
# probabilities $p = \mathrm{softmax}(t / T)$ and $q = \mathrm{softmax}(z / T)$. The soft term of the
# distillation loss is, as a mean over the $B$ images of a batch,
#
# $$ S = \frac{T^2}{B} \sum_{\text{images}} \; \sum_{j=1}^{C} p_j \,\log \frac{p_j}{q_j},
# \qquad \frac{\partial S}{\partial z_j} = \frac{T}{B}\,(q_j - p_j) . $$
#
# Note the two sums. Over the classes it is a *sum*: that is what makes it a Kullback-Leibler
# divergence. Over the images it is a *mean*. Nowhere does a label appear.
#
# **Your turn.** Write $S$.

# %% tags=["your-turn"]
import torch
import torch.nn.functional as F


def soft_term(z, t, T):
    """z, t: logits of student and teacher [B, C]. A scalar."""
    # your turn: log-probabilities at temperature T, then the two sums and T squared
    log_q, log_p = F.log_softmax(z / T, dim=1), F.log_softmax(t / T, dim=1)  # [B, C] each
    return T**2 * (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()
    # end


# %% tags=["check"]
from kdutils import losses

generator = torch.Generator().manual_seed(0)
z, t = 3 * torch.randn(2, 128, 10, generator=generator, dtype=torch.float64)  # [128, 10] each
z.requires_grad_()
for T in (1.0, 4.0, 20.0):
    ours, theirs = soft_term(z, t, T), losses.kd_loss(z, t, None, temperature=T, alpha=1.0)
    assert torch.allclose(ours, theirs), f"T = {T}: {ours.item()} instead of {theirs.item()}"
    (gradient,) = torch.autograd.grad(ours, z)
    assert torch.allclose(gradient, T / 128 * ((z / T).softmax(1) - (t / T).softmax(1)))
print("Your soft term agrees with kdutils, and its gradient with the formula.")

# %% [markdown]
# Now the loop. Small digits, a teacher of 128 + 128 units, a student of 64 + 64. The teacher answers
# once about all 1,100 still images, and the student learns from these answers. Look for a label in
# `train_student`: there is none.

# %%
from torch import nn

from kdutils import data, training
from kdutils.recipes import Recipe

small, T = data.load("digits"), 4.0
teacher = Recipe(dataset="digits", model="mlp-128-128", epochs=8, batch_size=64, lr=2e-3,
                 precision="float32")  # fmt: skip
teacher_net = training.fit(teacher, small, device=torch.device("cpu")).net
answers = training.predict(teacher_net, small.train.images, small)  # logits [1100, 10]


def train_student(loss, optimizer=torch.optim.SGD, epochs=6, **options):
    """loss(z, t): a scalar from logits [B, 10] of student and teacher."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
                        nn.Linear(64, 10))  # fmt: skip
    optimizer = optimizer(net.parameters(), **options, fused=True)
    x = data.normalise(small.train.images, small)  # [1100, 1, 28, 28]
    for epoch in range(epochs):
        for part in training.epoch_order(0, epoch, len(x)).split(64):
            value = loss(net(x[part]), answers[part])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return net


# %% tags=["nbval-check-output"]
def right_loss(z, t):
    log_q, log_p = F.log_softmax(z / T, dim=1), F.log_softmax(t / T, dim=1)
    return T**2 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


student = Recipe(
    dataset="digits", model="mlp-64-64", epochs=6, batch_size=64, lr=0.01, optimizer="sgd",
    momentum=0.9, schedule="constant", teacher=teacher, temperature=T, alpha=1.0, precision="float32",
)  # fmt: skip
fitted = training.fit(student, small, lambda epoch: answers, device=torch.device("cpu"))
by_hand = train_student(right_loss, lr=0.01, momentum=0.9)
same = zip(by_hand.parameters(), fitted.net.parameters(), strict=True)
assert all(torch.equal(ours, theirs) for ours, theirs in same)
right = by_hand(data.normalise(small.test.images, small)).argmax(1) == small.test.labels
assert right.float().mean() > 0.8
print("By hand and by recipe: equal in every bit. It reads digits, and it has seen no label.")

# %% [markdown]
# ## 2. One missing argument
#
# The poster ([code](https://github.com/haitongli/knowledge-distillation-pytorch)) trains a student
# of 800 + 800 units in four ways, at two learning rates. In percent of 10,000 test digits it reports:
#
# | | lr .01 | lr .1 |
# |---|---|---|
# | teacher, 1200 + 1200 units, dropout .8 | 98.30 | "learning rate too high" |
# | student, hard labels | 98.10 | 97.75 |
# | student + KD | 98.18 | 98.50 |
# | student + KD, unlabelled | 97.69 | 98.16 |
#
# Read the last two rows. Distillation seems to *want* the higher rate. Why should it?
#
# The unlabelled loss in the code is `nn.KLDivLoss()(log_q, p) * T * T`. Without an argument,
# `KLDivLoss` averages over the batch **and over the classes**. The formula sums over the classes:
# that is `reduction="batchmean"`.

# %%
import warnings

z, t = torch.randn(2, 128, 10, generator=generator)  # logits [128, 10] each
log_q, p = F.log_softmax(z / T, dim=1), F.softmax(t / T, dim=1)
with warnings.catch_warnings(record=True) as said:
    weak, right = (F.kl_div(log_q, p, reduction=how) for how in ("mean", "batchmean"))
assert abs(right / weak - 10) < 1e-4  # the number of classes
print(f"The right loss is {right / weak:.3f} times the weak one.")
print("PyTorch warns:", *(w.message for w in said))

# %% [markdown]
# ### A weaker loss is a lower learning rate
#
# Stochastic gradient descent with momentum $\mu$ and rate $\eta$ moves the weights $w$ by
#
# $$ v \leftarrow \mu v + \nabla L(w), \qquad w \leftarrow w - \eta \, v . $$
#
# Multiply the loss by a constant $c$. Every gradient is multiplied by $c$, and so is $v$. The step
# becomes $\eta c\, v$: only the product $\eta c$ counts. **A loss ten times too weak at rate .1 is
# the right loss at rate .01.** It is not a better setting. It is the same run.
#
# We can see that exactly. A computer multiplies by powers of two without rounding. So an eighth of
# the loss at eight times the rate must give the same weights *in every bit*, and a tenth at ten times
# the rate the same up to rounding. Adam divides each gradient by its running size. It hardly notices
# the constant.


# %%
def distance(first, second):
    """How far apart two networks are, over all their weights."""
    vectors = (nn.utils.parameters_to_vector(net.parameters()).detach() for net in (first, second))
    return float(torch.dist(*vectors))


def weak_by(c, **options):
    return train_student(lambda z, t: right_loss(z, t) / c, **options)


eighth, tenth = (weak_by(c, lr=c * 0.01, momentum=0.9) for c in (8, 10))
assert distance(eighth, by_hand) == 0 and distance(tenth, by_hand) < 1e-3
print(f"SGD, an eighth of the loss at 8 times the rate: {distance(eighth, by_hand)} away")
print(f"SGD, a tenth at the same rate: {distance(weak_by(10, lr=0.01, momentum=0.9), by_hand):.2f}")
adam, weak_adam = (weak_by(c, optimizer=torch.optim.Adam, lr=1e-3) for c in (1, 10))
print(f"Adam, a tenth at the same rate: {distance(weak_adam, adam):.2f}")

# %% [markdown]
# ### With labels, the constant changes $\alpha$ as well
#
# The full loss has a soft and a hard term, $L = \alpha f\, S + (1 - \alpha)\, H$, where $f = 1$ is
# right and the weak loss has $f = 1 / C$. Here only one of the two terms is scaled. So two things
# change at once. Write the loss as $r \,[\alpha' S + (1 - \alpha') H]$: then $\alpha'$ is the weight
# that the code *really* uses, and $r$ is what it does to the learning rate.
#
# **Your turn.** Compute both.


# %% tags=["your-turn"]
def effective(alpha, factor):
    """What `alpha` amounts to when the soft term is multiplied by `factor`: (alpha', r)."""
    # your turn: compare the weights of the two terms
    soft, hard = alpha * factor, 1 - alpha
    return soft / (soft + hard), soft + hard
    # end


# %% tags=["check"]
labels = torch.arange(128) % 10
for alpha, factor in ((0.7, 0.2), (0.9, 0.1), (0.5, 0.001), (1.0, 0.1), (0.3, 1.0)):
    real, rate = effective(alpha, factor)
    coded = losses.kd_loss(z, t, labels, 4.0, alpha, soft_scale=factor)
    ours = rate * losses.kd_loss(z, t, labels, 4.0, real)
    assert torch.allclose(coded, ours), f"alpha = {alpha}, factor {factor}: {ours} for {coded}"
print("Your alpha' and r give the loss that the code computes.")
poster = effective(0.7, 2 / 10)  # the poster: KLDivLoss() * T * T * 2 * alpha, ten classes
print(f"The poster writes alpha = .7. It uses {poster[0]:.2f}, at {poster[1]:.2f} times the rate.")

# %% [markdown]
# So the unlabelled row of the poster compares learning rates: its entry at ".1" is the right loss at
# .01, and its entry at ".01" is the right loss at .001. The labelled row is another matter. There the
# hard term keeps its size, and the code trains with a smaller $\alpha$ than it says.
#
# ### Every cell twice
#
# *As published*: the poster's loss and rates, its teacher with dropout .8, all 60,000 images, no
# validation split. *Done right*: the loss of the formula, 5,000 images held out for validation, and
# the teacher of [chapter 02](02_training_teachers.ipynb) on elastic views. Rates, batch size, epochs,
# $T$ and $\alpha$ stay as they were. (The teacher's own row is done right with dropout .2 and one
# cycle.) "Did not train" means that the loss became infinite: for the unlabelled row, the right loss
# at .1 is what the poster's code would do at a rate of 1.

# %% tags=["hide-input"]
import pandas as pd

rows = []
for row in ("teacher 1200", "student 800", "student 800 + KD", "student 800 + KD, unlabelled"):
    for lr in ("0.01", "0.1"):
        wrong, mended = (f"{row}, lr {lr} ({how})" for how in ("as published", "done right"))
        rows.append([row, lr, lab.arms[wrong].metrics["test_accuracy"] or "–",
                     *(lab.cell(name, "test_accuracy") for name in (wrong, mended))])  # fmt: skip
twice = pd.DataFrame(rows, columns=["", "lr", "poster", "as published", "done right"])
twice.set_index(["", "lr"])

# %% [markdown]
# "Done right" changes three things at once: the loss, the split and the teacher. To tell them apart,
# take the unlabelled student and change one after the other. Here are the rungs of this ladder, and
# the fields in which they differ. `soft_scale` is the factor $f$. A dash stands for the default: no
# teacher, $f = 1$, the training split.

# %%
free = "student 800 + KD, unlabelled, lr"
ladder = {
    "weak loss, lr .01": f"{free} 0.01 (as published)",
    "weak loss, lr .1": f"{free} 0.1 (as published)",
    "right loss, lr .01": lab.experiments.SCALED,
    "right loss, good teacher": f"{free} 0.01 (done right)",
    "hard labels, lr .01": "student 800, lr 0.01 (as published)",
}
lab.recipes(*ladder.values()).set_axis(list(ladder), axis=1)

# %% tags=["hide-input"]
from kdutils import figures, metrics


def show_arms(ax, rows, metric, published, label):
    rows = {row: arm for row, arm in rows.items() if lab.values(arm, metric)}
    names = [f"{k}: {lab.mean(a, metric):.4g} (n = {len(lab.records(a))})" for k, a in rows.items()]
    for k, (row, name) in enumerate(rows.items()):
        mean, half = metrics.shown_ci(found := lab.values(name, metric))
        figures.dot(ax, mean, k, style="views" in row, xerr=half)
        ax.plot(found, [k] * len(found), "|", color="0.45", ms=12, markevery=1)
        if row in published and lab.profile.name != "smoke":  # toy data has no published value
            figures.reference(ax, published[row], k + 0.28, label=None if k else label)
    ax.set(yticks=range(len(rows)), yticklabels=names, ylim=(len(rows) - 0.4, -0.6))
    return "; ".join(names)


# %% tags=["hide-input"]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(8, 3.4))
poster = {"weak loss, lr .01": 97.69, "weak loss, lr .1": 98.16, "hard labels, lr .01": 98.10}
words = show_arms(ax, ladder, "test_accuracy", poster, "poster (1 run)")
ax.set(xlabel="test accuracy (%)")
ax.legend(*ax.get_legend_handles_labels(), loc="lower right")
lab.show(fig, "03_poster_table", f"Mean test accuracy in percent. {words}.", list(ladder.values()))

# %%
weak01, weak1, right01, good01, hard01 = ladder.values()
lab.differences("test_accuracy", {
    "Rung 1 to 2, ten times the rate: the poster's gain, re-created": (weak1, weak01),
    "Rung 2 to 3, right loss at a tenth of the rate: should be the same run": (right01, weak1),
    "Rung 3 to 4, a good teacher (and 5,000 images fewer)": (good01, right01),
    "Hard labels, rate .1 instead of .01": ("student 800, lr 0.1 (as published)", hard01),
    "A good teacher against hard labels, both at lr .01, with the split":
        (good01, "student 800, lr 0.01 (done right)"),
})  # fmt: skip

# %% [markdown]
# In the figure, a grey tick is one seed and a dot the mean. Compare our dots with the poster's
# diamonds first: is its table re-created? Then read the lines in this order. The second asks whether
# the explanation holds. A run and its twin begin alike; then rounding parts them, a little more with each of
# thousands of steps. So single seeds may differ, and the means should not. If they agree, the first line is
# no gain of distillation: it is ten times the learning rate. Correcting the loss alone then leaves
# you where the poster's better cell already was. The third line keeps loss and rate and changes
# **who teaches**. Compare its size with the other two.
#
# Two cautions about the third line:
#
# - Rungs 1 to 3 rest on **one run** of the poster's teacher. So the interval is for students of this one
#   poster teacher. (The good teacher is a new run at each seed, although the table of recipes prints
#   `s0` for both.)
# - At one $T$ the two teachers are not equally soft. So the size of the gradient may differ with the
#   teacher. Under SGD that acts like another rate. We did not separate the two.
#
# The published codes have a second fault, in the CIFAR-10 part: the teacher's answers were stored in
# one shuffled order and read in another, so each student was told about other images. Users noticed
# in June 2018 ([issue 4](https://github.com/haitongli/knowledge-distillation-pytorch/issues/4)), and
# the code was corrected later
# ([pull request 17](https://github.com/haitongli/knowledge-distillation-pytorch/pull/17)).
# [Chapter 04](04_cnn5_from_a_larger_network.ipynb) shows what that does.
#
# ## 3. How far the weak loss has spread
#
# The line is easy to write and hard to see: nothing fails, a student still learns, and a search over
# $\alpha$ and the rate makes up for part of it. Below are libraries and repositories whose loss has
# been discussed in public. The page computes what their reduction makes of $\alpha = .9$, for 10, 100
# and 1,000 classes. Change `alpha` to your own.

# %%
github, alpha = "https://github.com", 0.9
mean, total = (lambda C: 1 / C), (lambda C: 1.0)  # factor on the soft term, from C classes
LIBRARIES = [  # repository, factor, public threads or the file, what to know
    ("haitongli/knowledge-distillation-pytorch", mean, ["issues/2", "issues/48"],
     "CIFAR-10 part; the MNIST part has a further factor of 2"),
    ("yuanli2333/Teacher-free-Knowledge-Distillation", mean, ["issues/5", "issues/41"],
     "its author: not a bug, but another loss needs another search"),
    ("facebookresearch/deit", mean, ["issues/61", "issues/116"],
     "type `soft` only; divides by `numel()`, kept to reproduce results"),
    ("open-mmlab/mmdetection", mean, ["blob/main/mmdet/models/losses/kd_loss.py"],
     "the default; `class_reduction='sum'` is right"),
    ("HikariTJU/LD", mean, ["issues/74"], "17 bins for each edge of a box: a 17th"),
    ("szagoruyko/attention-transfer", total, ["issues/18", "pull/30"],
     "was `mean`, times 2; corrected in July 2018"),
    ("neuralmagic/sparseml", total, ["pull/592", "pull/675"],
     "592 proposes to divide by all elements; 675 divides by the number of distributions"),
    ("pytorch/tutorials", total, ["pull/2785"], "corrected in March 2024"),
    ("HobbitLong/RepDistiller", total, ["blob/master/distiller_zoo/KD.py"], ""),
    ("megvii-research/mdistiller", total, ["blob/master/mdistiller/distillers/KD.py"], ""),
    ("keras-team/keras-io", total, ["blob/master/examples/vision/knowledge_distillation.py"],
     "see that your version has T²: an early one had not"),
]  # fmt: skip

# %%
from IPython.display import Markdown

rows = [
    ("repository", "factor", f"α = {alpha:g} becomes", "rate ×", "where", ""),
    ("---",) * 6,
]
for name, factor, links, note in LIBRARIES:
    found = [effective(alpha, factor(C)) for C in (10, 100, 1000)][: 3 if factor is mean else 1]
    where = ", ".join(f"[{x.split('/')[-1]}]({github}/{name}/{x})" for x in links)
    numbers = (", ".join(f"{x[k]:.2g}" for x in found) for k in (0, 1))
    kind = "1 / C" if factor is mean else "**1**"
    rows.append((f"[{name}]({github}/{name})", kind, *numbers, where, note))
Markdown("\n".join("| " + " | ".join(row) + " |" for row in rows))

# %% [markdown]
# The three numbers in a cell are for 10, 100 and 1,000 classes. The more classes, the more the teacher
# is turned down. The rate is exact for SGD without weight decay; decay is not scaled with the loss
# (exercise 4). Adam hardly notices a constant factor on the loss. There, the column "rate ×" does not
# apply, and $\alpha'$ is what matters. How much of the *gradient* a given $\alpha$ amounts to is another
# question, and depends on $T$: see [chapter 06](06_temperature.ipynb).
#
# **To check your own library**: find the reduction. `batchmean`, or a sum over classes and a mean over
# images, is right. `mean`, no argument at all, or a division by `numel()` is not. For logits of shape
# [batch, length, classes], divide by batch × length; there `batchmean` divides by too *little*
# ([sparseml, issue 674](https://github.com/neuralmagic/sparseml/issues/674)). A result from a weak loss
# is not therefore wrong. It belongs to another $\alpha$ and another rate than it states, and it cannot
# be compared with one from the lower half of the table.
#
# ## 4. Hinton's experiment
#
# Now the original. Three things differ from the poster.
#
# - **The teacher is good.** It sees every digit shifted, turned and bent anew in each epoch
#   ([chapter 02](02_training_teachers.ipynb)). Hinton's saw jitter of two pixels, with strong dropout.
# - **All students have one budget**: 800 + 800 units, the same epochs, batch size, optimiser and
#   schedule. They differ in what they learn from, in $T$, and in nothing else.
# - **The test set is read once**, after the last epoch.
#
# *Still images* are the 55,000 training digits as they are. *Views* are elastic, new in each epoch,
# and the teacher answers about exactly the view that the student sees. A student with a teacher has
# $\alpha = .9$ unless its row says "no labels": the teacher's term has the weight .9, the labels' term
# .1. (The two terms differ in size, so the weights are not the shares of the loss.) *Five
# teachers*, where that row is recorded, are five runs of the teacher's recipe; the student learns from
# the mean of their logits (exercise 3 counts the errors of that mean). (In the
# table below, a dash means no teacher, still images, or $\alpha = 1$.) Hinton's 74 errors belong
# beside still images at $T = 20$: his transfer set had no jitter.

# %%
hinton = {
    "teacher": "teacher 784-1200-1200-10",
    "still images, labels": "student, hard labels, still images",
    "still images, teacher, T = 4": "student, distilled, still images, T = 4",
    "still images, teacher, T = 20": "student, distilled, still images, T = 20",
    "views, labels": "student, hard labels, views",
    "views, teacher, T = 4": "student, distilled, views, T = 4",
    "views, teacher, T = 20": "student, distilled, views, T = 20",
    "views, teacher, no labels": "student, distilled, views, no labels at all",
}
if lab.records(five := "student, distilled, views, five teachers"):
    hinton["views, five teachers, T = 4"] = five
lab.recipes(*list(hinton.values())[1:]).set_axis(list(hinton)[1:], axis=1)

# %%
weak_teacher = "student of the poster's teacher, still images"
lab.table([*hinton.values(), weak_teacher], "test_errors")

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8.5, 4.6))
published = {"teacher": 67, "still images, labels": 146, "still images, teacher, T = 20": 74}
words = show_arms(ax, hinton, "test_errors", published, "Hinton et al. 2015")
ax.set(xlabel=f"test errors of {len(lab.dataset('mnist').test):,}")
ax.legend(*ax.get_legend_handles_labels(), loc="center right")
theirs = "; ".join(f"{row} {errors}" for row, errors in published.items())
alt = f"Mean test errors: {words}. Hinton et al. 2015 on MNIST: {theirs}."
lab.show(fig, "03_hinton", alt, list(hinton.values()))

# %%
_, labels_still, still, still20, labels_views, moving, moving20, no_labels, *more = hinton.values()
of_five = {"Five teachers instead of one (views, T = 4)": (five, moving)} if more else {}
lab.differences("test_errors", of_five | {
    "A teacher added to the labels, still images": (still, labels_still),
    "A teacher added to the labels, views": (moving, labels_views),
    "Views instead of still images, labels alone": (labels_views, labels_still),
    "Views instead of still images, with a teacher (T = 4)": (moving, still),
    "No labels at all instead of a weight of .1 (views, T = 4)": (no_labels, moving),
    "T = 20 instead of 4, still images": (still20, still),
    "T = 20 instead of 4, views": (moving20, moving),
    "The poster's teacher (no labels) instead of labels, still images": (weak_teacher, labels_still),
})  # fmt: skip

# %% [markdown]
# Start with the two students that learn from labels alone. What separates them is views alone, no teacher. Only then
# ask what the teacher adds *on the same images*. We do not choose a temperature here: where the two
# are not told apart, "the better one" would be a coin toss. [Chapter 06](06_temperature.ipynb) has
# the full sweep.
#
# ## 5. A digit it never saw
#
# Remove every 3 from the transfer set, and give no labels. Whatever the student learns of a 3, it
# learns from what the teacher says about other digits: this 8 looks somewhat like a 3, that 5 more so.
# How much 3 does it hear?

# %%
digits, parts = lab.dataset("mnist"), []
for record in lab.records(hinton["teacher"]):
    z = lab.logits(hinton["teacher"], "val", record.recipe.seed)  # [N, 10]
    three = 100 * (z / 4).softmax(1)[:, 3]  # [N], percent
    parts.append(pd.DataFrame({"digit": digits.val.labels, "soft target of 3 (%)": three}))
heard = pd.concat(parts).query("digit != 3").groupby("digit").mean()

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6.5, 3))
heard.plot.bar(ax=ax, rot=0, legend=False, color=figures.COLORS[0])
ax.set(xlabel="validation digit", ylabel="soft target of 3, T = 4 (%)")
words = "; ".join(f"{digit} {value:.2f}" for digit, value in heard.iloc[:, 0].items())
lab.show(fig, "03_unseen_digit", f"Mean soft target of class 3, in percent, by digit: {words}.",
         [hinton["teacher"]], bars=False)  # fmt: skip

# %% [markdown]
# These bars are means over *still validation* digits. The student hears about *bent training* digits,
# fresh in each epoch. So the figure is a hint, not all that it hears.
#
# Hinton's student found 3s too unlikely. Its errors fell from 206 to 109 when a
# number was added to the logit of 3, chosen so that the test errors were fewest. We choose that number
# on the *validation* images and use it on the test images unchanged.
#
# One warning before the table. Our student is not in Hinton's position. It sees **elastic views**,
# its teacher does too, and both are trained on a different budget. We did not test which of these
# explains the difference. Hinton's numbers stand beside ours for orientation, not as a contest.

# %%
from kdutils import tables

unseen = "student, distilled, no 3 in the transfer set"
rows = {metric: lab.table([unseen], metric).loc[unseen] for metric in lab.arm(unseen).metrics}
pd.DataFrame(rows).T.rename(tables.METRICS).rename_axis(columns="metric")

# %%
rows = []
for record in lab.records(unseen):
    test, m = lab.logits(unseen, "test", record.recipe.seed), record.metrics  # [N, 10]
    called, true = ((a == 3).float().mean().item() for a in (test.argmax(1), digits.test.labels))
    rows.append([record.recipe.seed, 100 * true, 100 * called, m["class_bias"],
                 m["test_errors"], m["test_errors_corrected"]])  # fmt: skip
biases = pd.DataFrame(rows, columns=["seed", "are a 3 (%)", "called a 3 (%)", "added to its logit",
                                     "errors", "errors, corrected"]).set_index("seed")  # fmt: skip
biases.round(2)

# %% [markdown]
# Compare the first two columns. If the student calls about as many images a 3 as there are, its bias
# was not too low, and a correction has nothing to mend. Then compare the last two: a number chosen on
# validation images need not help on test images.
#
# And what did the missing digit cost? The control has the same recipe and all ten digits. The count is
# over all test digits, without any correction.

# %%
lab.differences("test_errors", {"What hiding every 3 costs": (unseen, no_labels)})

# %% [markdown]
# ## 6. No digit at all
#
# A teacher can often be shared where its images cannot: think of patients. Others have rebuilt images
# from statistics that were stored with the teacher ([Lopes, Fenu and Starner
# 2017](https://arxiv.org/abs/1710.07535)). We do less. We show the student images of *something else*, and let
# the teacher answer about them. Three transfer sets, still images, no labels, $T = 4$, the same epochs, and one teacher
# for all, that of seed 0:
#
# - **digits**, as the standard of comparison;
# - **photographs**: CIFAR-10's 45,000 training images, grey and cut to 28 × 28 pixels. The teacher knows digits
#   alone. It must call every cat a digit;
# - **digits with shuffled pixels**: all pixels of a digit in a random order. As much ink, and no form.
#
# The student then agrees with its teacher about strangers. Does it agree about digits, of which it never saw one?

# %%
ex = lab.experiments
shown_what = {name: f"{ex.OTHERS}, {name}" for name in ex.TRANSFER_SETS}
pd.DataFrame(
    {
        tables.METRICS[m]: {name: lab.cell(arm, m) for name, arm in shown_what.items()}
        for m in ("test_accuracy", "test_agreement")
    }
)

# %% [markdown]
# ## What we saw

# %% tags=["hide-input"]
acc, err = (lambda arm, m=m: lab.cell(arm, m) for m in ("test_accuracy", "test_errors"))
n3 = int((digits.test.labels == 3).sum())
permuted = "student, distilled, still images, permuted teacher"
Markdown(f"""
1. **The loss corrected, the rate kept.** Accuracy in percent: {acc(right01)}. The weak loss gave
   {acc(weak01)} at .01 and {acc(weak1)} at .1. By the argument of section 2 the corrected run should agree with the latter.
2. **Still images.** Labels alone: {err(labels_still)} errors. With the teacher, T = 4: {err(still)}.
3. **Labels taken away, on views.** Errors without labels: {err(no_labels)}. With a weight of .1:
   {err(moving)}. Their teacher: {err(hinton["teacher"])}. Section 4 has the difference, paired by seed.
4. **The unseen digit.** Read, of the {n3:,} test threes, in percent: {acc(unseen, "test_unseen_accuracy")}.
5. **No digit at all.** Test digits read, in percent: {"; ".join(f"{name}: {acc(arm)}" for name, arm in shown_what.items())}.
6. **A control, not among the guesses.** Errors, still images, a permuted teacher: {err(permuted)}.
""")

# %% [markdown]
# Two conclusions stand whatever the numbers. Under SGD without labels, a weaker loss and a lower rate
# are the same thing: by algebra, and bit for bit where the factor is a power of two. And a comparison of
# distillation is fair when students differ in one thing: section 2 is a ladder for that reason. A third question is for the numbers: how
# much depends on who teaches, and how much on the loss? Compare the steps of section 2's ladder.
#
# ## Where it can mislead
#
# - **Views can explain a gain by themselves.** Credit the teacher with what it adds on the same views.
# - **Targets must belong to their images.** A permuted teacher gives every image the soft targets of
#   another, and there are no labels beside them. Number 6 above says what its student makes of them. That
#   control shows that wrong targets hurt. It does not show which part of the right ones helps, and it is
#   no test of softness. [Chapter 01](01_soft_and_hard_targets.ipynb) has that test: label smoothing of
#   the same entropy.
# - **A few seeds.** Two seeds give no useful interval: where $n = 2$, read the values and go no
#   further. One seed differs from the next by several errors, so a difference of two pairs is an
#   example.
# - **The last line of section 4 mixes two things**: the poster's teacher *and* the lack of labels. And it
#   rests on one run of the poster's teacher. The ladder of section 2 is the cleaner comparison of
#   teachers, with the two cautions that stand there.
# - **Rung 4 differs in its split too.** It learns from 5,000 images fewer. If that matters, it
#   should hurt.
# - **Strangers were not chosen with care.** Photographs differ from digits in ink, edges and number. Which
#   of these counts, two sets cannot say. And the student's last epoch is the same for all: none was given more time.
# - **The correction needs threes.** 5,000 validation images with labels contain some 500 of them. The
#   student never saw one, but whoever set the bias did.
# - **The map of section 3 is a snapshot** of public threads and of code as we read it. Look at the
#   version that you have installed.
#
# ## Exercises
#
# 1. *(5 minutes, easy)* DeiT's code has $\alpha = .5$ and 1,000 classes by default. Which $\alpha'$ is
#    that? And which $\alpha$ would you have to write to get $\alpha' = .5$? *Check: put the second
#    answer into `effective`.*
#    [Solution](solutions/03_distilling_mlps.py#exercise-1).
# 2. *(10 minutes, medium)* Choose the bias of the 3 without any label, from the knowledge that one digit
#    in ten is a 3. How many threes does the student read then? *Check: 10 % of the validation images
#    are called a 3.*
#    [Solution](solutions/03_distilling_mlps.py#exercise-2).
# 3. *(15 minutes, medium)* Average the logits of the teacher's seeds. How many errors does the ensemble
#    make? *Check: with two equal members, the errors of one.*
#    [Solution](solutions/03_distilling_mlps.py#exercise-3).
# 4. *(15 minutes, medium)* Weight decay breaks the equality of section 2. Show it with `train_student`
#    and `weight_decay=0.01`, and find the decay at which an eighth of the loss is the same run again.
#    *Check: bit for bit.*
#    [Solution](solutions/03_distilling_mlps.py#exercise-4).
# 5. *(30 minutes, hard)* Remove two digits at once. Predict from section 5's figure whether hiding 3 and
#    8 or hiding 3 and 0 hurts more. Then train both with `lab.train`, at the seeds of `lab`. *Check:
#    the pair with the larger bars loses more; if yours does not, say what the bars leave out.*
#    [Solution](solutions/03_distilling_mlps.py#exercise-5).
#
# Solutions: [solutions/03_distilling_mlps.py](solutions/03_distilling_mlps.py). The tests run them.
#
# ## Summary
#
# - A network learns to read from a teacher's answers alone. The step has no label in it.
# - `KLDivLoss()` without an argument divides by the number of classes. Without labels that is a lower
#   learning rate. With labels it is also a smaller $\alpha$.
# - The poster's gain without labels is a learning rate: the corrected loss at .01 and the weak loss at
#   .1 are one run, up to rounding.
# - A teacher teaches with images of other things, too. How much, section 6 has measured.
# - The more classes, the more the weak loss hides the teacher. Check the reduction of your library.
# - Compare on the same images: section 4 has a student of labels on views for that reason.
#
# Next: [chapter 04](04_cnn5_from_a_larger_network.ipynb), where the poster's other faults meet.
#
# ## Sources
#
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*,
#   [arXiv:1503.02531](https://arxiv.org/abs/1503.02531), section 3.
# - R. G. Lopes, S. Fenu, T. Starner (2017), *Data-free knowledge distillation for deep neural networks*,
#   [arXiv:1710.07535](https://arxiv.org/abs/1710.07535).
# - L. Beyer et al. (2022), *Knowledge distillation: a good teacher is patient and consistent*,
#   [arXiv:2106.05237](https://arxiv.org/abs/2106.05237).
# - The poster's tables and code:
#   [haitongli/knowledge-distillation-pytorch](https://github.com/haitongli/knowledge-distillation-pytorch).
# - PyTorch, [KLDivLoss](https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html): its
#   note on `batchmean`. The threads of section 3 are linked there.
