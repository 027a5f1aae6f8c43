# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Is a more accurate teacher a better teacher?
#
# You want to distil a small network and can choose among several teachers. It seems obvious to take
# the most accurate one. A public poster tried four teachers for one ResNet-18. All four students
# came out ahead of hard labels, by .16 to .61 points, in one run each. Two runs of *one and the same*
# recipe easily differ by the smaller of these gains.
#
# So the obvious answer needs evidence, and evidence of this kind is easy to get wrong. This chapter
# asks the question twice: first where we control everything, then with trained networks. The second
# time we look for a pattern, and then work out how little a pattern of five teachers can prove.
#
# **You will be able to**
#
# - write the distillation loop for any teacher, and merge the answers of two teachers in two ways;
# - say what a student takes from its teacher besides the first choice;
# - compute how many runs a difference needs, and how many teachers a correlation needs;
# - find the limits of an experiment before you believe its result, your own included.
#
# You need [chapter 01](01_soft_and_hard_targets.ipynb) (soft targets) and section 5 of
# [chapter 02](02_training_teachers.ipynb) (NLL, calibration). The four families of networks behind the
# teachers are taken apart in the
# [appendix](90_four_architectures.ipynb).
#
# *Time: about a minute on `smoke` and on `laptop`, where the runs are recorded.*

# %% tags=["parameters"]
PROFILE = "laptop"  # "smoke": seconds, toy data. "laptop": real data, recorded runs
SEEDS = None  # None: the profile's own. Or a list, such as [0, 1, 2]
TRAIN = False  # True: train what the store lacks. Smoke runs always do

# %%
from kdutils.experiments import Lab

lab = Lab("05", PROFILE, SEEDS, TRAIN)
lab

# %% [markdown]
# ## Predict first
#
# Write down a guess for each question. The results section answers them by number.
#
# 1. Three networks learn from the same labels. Only their seeds differ. By how many points does the
#    best of them beat the worst?
# 2. Rank five teachers by accuracy, then rank their students. Is it the same order? If so, is that
#    evidence?
# 3. Four teachers have *exactly* the same accuracy. They differ only in how sure they are. Do their
#    students reach the same accuracy?
# 4. A student learns from a trained copy of its own network. Does it gain?
#
# ## 1. The question at a glance
#
# One student network, one budget. It learns from hard labels, or from one of five teachers: a member
# of each of the poster's four families, and a trained network of the student's own kind. Here is how
# the recipes of a student, of another student and of a teacher differ:

# %%
students = [arm for arm in lab.arms.values() if arm.table == "Deeper distillation"]
HARD = students[0].name
itself = next(arm.name for arm in students if arm.name.endswith(lab.experiments.ITSELF))
taught = [arm for arm in students if arm.recipe.teachers and arm.recipe.teacher_order == "matched"]
teacher_of = {arm.name: next(t.name for t in lab.arms.values() if t.recipe == arm.recipe.teachers[0])
              for arm in taught}  # student -> its teacher  # fmt: skip
lab.recipes(HARD, taught[0].name, teacher_of[taught[0].name])

# %%
import pandas as pd

from kdutils import metrics

rows = {
    teacher.removeprefix("teacher "): {
        "teacher's accuracy": lab.mean(teacher, "test_accuracy"),
        "student's accuracy": lab.mean(student, "test_accuracy"),
        "student": student,
        "teacher": teacher,
    }
    for student, teacher in teacher_of.items()
}
found = pd.DataFrame(rows).T.dropna().sort_values("teacher's accuracy", ascending=False)
accuracy = found["teacher's accuracy"].astype(float)
luck = 1.96 * (accuracy * (100 - accuracy) / len(lab.dataset("cifar10").test)) ** 0.5
reached = {name: lab.values(arm, "test_accuracy") for name, arm in found["student"].items()}
ends = [m + e * (h or 0) for m, h in map(metrics.shown_ci, reached.values()) for e in (-1, 1)]
alone = lab.mean(HARD, "test_accuracy")
again = {t: f"second {t}" for t in found["teacher"]}  # the same recipe, another seed
second = [lab.mean(t, "test_accuracy") if t in lab.arms else float("nan") for t in again.values()]
shown = pd.DataFrame({"teacher's accuracy": accuracy, "± luck of the test images": luck})
shown["second run of the teacher"] = second
shown = shown.join(found["student's accuracy"].astype(float)).dropna(axis=1, how="all")
shown.map("{:.2f}".format).replace("nan", "–")

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from kdutils import figures

fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), sharey=True)
left.errorbar(accuracy, range(len(found)), xerr=luck, fmt="sk", capsize=3, markevery=1)
left.plot(second, range(len(found)), "sk", mfc="w", markevery=1)
left.set(xlabel="teacher's accuracy (%)\nbar: luck of the test images")
said = figures.dots(right, reached, also=[alone, *ends])
right.axvline(alone, color="k", ls=":", lw=1.4, marker="", label="student on hard labels")
fig.legend(loc="outside upper right")
right.set(xlabel="student's accuracy (%)\nbar: luck of the seeds")
alt = f"Accuracies (%). Teachers: {accuracy.round(2).to_dict()}. Students: {said}. Labels: {alone:.2f}."
lab.show(fig, "05_gain", alt, [HARD, *found["student"]], unit="seeds a student", bars=False)

# %% [markdown]
# Read the two panels together. If the students fall from top to bottom as the teachers do, the more
# accurate teacher has the better student. It is tempting to stop here. Before you do, look at the bars
# on the left: which teachers are really apart? The bar covers the luck of the test images alone. And
# all teachers answered the same images. So the difference of two is known better than overlapping bars
# suggest. Section 6 prints two such differences, image by image.
#
# A training run has luck of its own. Where a second run of the same recipe is recorded, from another
# seed, it is drawn as a hollow square. Its distance from the first is a single draw of that luck, for
# one family, and no interval.
#
# The rest of this chapter first asks *why* accuracy might not be what matters (sections 2 to 4), then
# how much this figure proves (sections 5 and 6), and whether the students were trained for long enough
# to ask (section 7).
#
# ## 2. A student, by hand
#
# To separate accuracy from everything else, we need teachers that we control. `bayes10`, the embedded
# data set of the course, gives us one: its images are drawn from a known distribution, so the true
# probabilities $p^*(y \mid x)$ can be computed. We take $\ln p^*$ of 1,000 images as the answers of a
# perfect teacher, and make others from it:
#
# - *too sure*: the logits times 4. *Too modest*: the logits divided by 4.
# - *first choice*: only the most likely class, without any doubt.
#
# None of these changes which class comes first, so all four have the same accuracy. A fifth teacher,
# *noisy*, is the truth plus random noise on each logit. It makes real mistakes.

# %%
import torch
import torch.nn.functional as F

from kdutils import data
from kdutils.knowledge import log_posterior

dataset = data.load("bayes10")
truth = log_posterior(dataset, "train", 1_000)  # [1000, 10]: ln p*(y | x)


def disturbed(seed):
    return truth + 3 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))


answers = {
    "truth": truth,
    "too sure": 4 * truth,
    "too modest": truth / 4,
    "first choice": 20.0 * F.one_hot(truth.argmax(1), 10),  # 20: our choice, see section 4
    "noisy": disturbed(0),
}  # each [1000, 10]
assert all(torch.equal(answers[k].argmax(1), truth.argmax(1)) for k in list(answers)[:4])

# %% [markdown]
# Now the student: one hidden layer of 64 units, ten epochs, soft targets at $T = 1$ and no labels at
# all. This is the whole of distillation. Nothing is hidden in a library:

# %%
from torch import nn

from kdutils.training import epoch_order

x = data.normalise(dataset.train.images[:1_000], dataset)  # [1000, 3, 32, 32]


def learn(answers, seed, epochs=10):
    """A student of these answers, logits [1000, 10]: KL divergence to the teacher, plain SGD."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, fused=True)
    for epoch in range(epochs):
        for batch in epoch_order(seed, epoch, len(x)).split(50):  # a new order in each epoch
            log_p = F.log_softmax(answers[batch], dim=1)  # [50, 10]: the teacher
            log_q = F.log_softmax(net(x[batch]), dim=1)  # [50, 10]: the student
            loss = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


# %% [markdown]
# The same run as a recipe of the course must lead to the same weights, to the last bit:

# %%
from kdutils.recipes import Recipe
from kdutils.training import fit

recipe = Recipe(
    dataset="bayes10", model="mlp-64", n_train=1_000, epochs=2, batch_size=50, lr=0.01,
    optimizer="sgd", schedule="constant", precision="float32", teacher="posterior",
)  # fmt: skip
theirs = fit(recipe, dataset, lambda epoch: truth, device=torch.device("cpu")).net
mine = learn(truth, seed=0, epochs=2)
pairs = zip(mine.parameters(), theirs.parameters(), strict=True)
assert all(torch.equal(a, b) for a, b in pairs)
print("the loop on this page and kdutils.training.fit: equal weights, bit for bit")

# %% [markdown]
# ## 3. Two teachers: what does it mean to average them?
#
# If you have two teachers, you can let both answer. But averaging can be done at two places:
#
# $$ p_{\text{logits}} = \operatorname{softmax}\Bigl(\frac{t_1 + t_2}{2}\Bigr)
#    \;\propto\; \sqrt{p_1\, p_2} , \qquad
#    p_{\text{probabilities}} = \frac{p_1 + p_2}{2} . $$
#
# The first is a geometric mean: a class survives only if *both* teachers find it possible. The second
# is an arithmetic mean: a class survives if *one* of them does. Where the teachers agree, the two are
# nearly the same. Where they contradict each other firmly, the first may favour a third class that
# neither excludes, while the second names both. `kdutils` averages logits, as
# [Hinton et al. (2015)](https://arxiv.org/abs/1503.02531) did for matching.
#
# ### Your turn: both averages


# %% tags=["your-turn"]
def together(t1, t2):
    """Log-probabilities of two teachers together. t1, t2: logits [N, C]. Two tensors [N, C]:
    from averaged logits, and from averaged probabilities."""
    # your turn: log_softmax for the first; for the second never leave the log scale (logaddexp)
    of_logits = F.log_softmax((t1 + t2) / 2, dim=1)
    log_p1, log_p2 = F.log_softmax(t1, dim=1), F.log_softmax(t2, dim=1)
    of_probabilities = torch.logaddexp(log_p1, log_p2) - torch.tensor(2.0).log()
    return of_logits, of_probabilities
    # end


# %% tags=["check"]
import numpy as np

t1 = torch.tensor([[2.0, 0.0, 1.0], [0.0, 600.0, 800.0]])  # in the second row they contradict
t2 = torch.tensor([[1.0, 0.5, 0.0], [800.0, 600.0, 0.0]])
logs = [log_p.double().numpy() for log_p in together(t1, t2)]
geometric, arithmetic = (np.exp(log_p) for log_p in logs)
p1, p2 = (np.exp(t[0].numpy()) / np.exp(t[0].numpy()).sum() for t in (t1, t2))
root = np.sqrt(p1 * p2)
assert np.allclose(geometric[0], root / root.sum(), atol=1e-6), "not the normalised geometric mean"
assert np.allclose(arithmetic[0], (p1 + p2) / 2, atol=1e-6), "not the arithmetic mean"
assert all(np.isfinite(log_p).all() for log_p in logs), "large logits must not overflow or vanish"
assert np.allclose(arithmetic[1], [0.5, 0, 0.5]), "each teacher's class should keep one half"
assert np.allclose(geometric[1], [0, 1, 0]), "the class that neither excludes should win"
assert np.allclose(logs[0][1], [-200, 0, -200]), "the logits average to 400, 600, 400"
assert np.isclose(logs[1][1, 1], -200), "both give class 1 the log-probability -200"
print("together holds.")

# %% [markdown]
# Two noisy teachers whose mistakes are independent. Together they are more accurate than each alone,
# because their noise partly cancels. We train students of the two averages as well:

# %%
geometric, arithmetic = together(answers["noisy"], disturbed(1))  # log-probabilities are logits too
answers |= {"two, averaged logits": geometric, "two, averaged probabilities": arithmetic}
nets = {name: [learn(z, seed) for seed in (0, 1, 2)] for name, z in answers.items()}

# %% [markdown]
# ## 4. Same accuracy, different teaching
#
# Beside accuracy we report two more numbers. The *NLL* is $-\ln$ of the probability given to the
# label, averaged over images. *Fidelity* is the share of images on which the student names its
# teacher's class ([Stanton et al. 2021](https://arxiv.org/abs/2106.05945)). Teachers, and fidelity,
# are measured on the 1,000 training images; accuracy and NLL of the students on the test images. To set
# a student against its teacher, use the column *student: same images*. It is the student's accuracy on
# the 1,000 images. The student has seen them, but not their labels.

# %%
from scipy import stats

y, test = dataset.train.labels[:1_000], dataset.test  # y: [1000]
x_test = data.normalise(test.images, dataset)
table = {}
with torch.no_grad():
    for name, z in answers.items():
        seen = [net(x_test) for net in nets[name]]  # [N, 10] a seed
        known = [net(x) for net in nets[name]]  # [1000, 10] a seed
        same = [(q.argmax(1) == z.argmax(1)).double().mean() for q in known]
        assert np.isclose(100 * float(same[0]), metrics.agreement(known[0], z))
        table[name] = {
            "teacher: accuracy": metrics.accuracy(z, y),
            "teacher: NLL": metrics.nll(z, y),
            "student: same images": np.mean([metrics.accuracy(q, y) for q in known]),
            "student: accuracy": np.mean([metrics.accuracy(q, test.labels) for q in seen]),
            "student: NLL": np.mean([metrics.nll(q, test.labels) for q in seen]),
            "fidelity (%)": 100 * float(torch.stack(same).mean()),
        }
controlled = pd.DataFrame(table).T
four = controlled.iloc[:4]  # equally accurate teachers
nll, pupils_of = four["teacher: NLL"], four["student: accuracy"]
exact = stats.permutation_test(
    (nll,), lambda a: stats.spearmanr(a, pupils_of).statistic, permutation_type="pairings"
)
order, p_order = exact.statistic, exact.pvalue
controlled.round({column: 3 if "NLL" in column else 1 for column in controlled})

# %% tags=["hide-input"]
from IPython.display import Markdown

best, sure = four["student: accuracy"].idxmax(), four["student: NLL"].idxmin()
Markdown(
    f"Four teachers, one accuracy: {four['teacher: accuracy'].iloc[0]:.1f} %. Their students reach "
    f"{four['student: accuracy'].min():.1f} to {four['student: accuracy'].max():.1f} % (means of 3 seeds). "
    f"The most accurate student has the teacher *{best}*; the student with the lowest NLL has *{sure}*. "
    f"Rank correlation of the teacher's NLL with the student's accuracy, over these four: {order:+.1f} "
    f"(exact two-sided p = {p_order:.2f})."
)

# %% [markdown]
# So accuracy cannot be all that matters: here it is held equal, and the students still differ. Look
# at *first choice* and *too sure*. They tell the student which class comes first and hardly anything
# about the others. Also look at *noisy*. Its student does not copy all of its mistakes (see fidelity).
# On the same images it may even be better than its teacher. Noise has no pattern that carries over from
# one image to the next. (This is one draw of the noise.)
#
# What should a teacher be good at, then? [Menon et al. (2021)](https://arxiv.org/abs/2005.10419) see a
# teacher $p^t$ as an estimate of $p^*$. One distance between the two is $\mathrm{KL}(p^* \,\|\, p^t)$. The
# teacher's NLL measures it up to a constant:
#
# $$ \mathbb{E}[-\ln p^t(y \mid x)]
#    = \underbrace{\mathbb{E}_x H(p^*)}_{\text{same for every teacher}}
#    + \; \mathbb{E}_x\, \mathrm{KL}(p^* \,\|\, p^t) . $$

# %%
p_star = truth.softmax(1)
noise = -(p_star * truth.log_softmax(1)).sum(1).mean()  # E H(p*): the doubt in the images
for z in answers.values():
    log_t = F.log_softmax(z, dim=1)
    nll = -(p_star * log_t).sum(1).mean()
    kl = (p_star * (truth.log_softmax(1) - log_t)).sum(1).mean()
    assert torch.isclose(nll, noise + kl, atol=1e-4)
print(f"NLL = {noise:.3f} + KL for each of {len(answers)} teachers\n")


def score(answers, seed, epochs=10):
    return metrics.accuracy(learn(answers, seed, epochs)(x_test).detach(), test.labels)


for scale in (5, 10, 20):  # the same first choice, with more and more certainty
    z = scale * F.one_hot(truth.argmax(1), 10).float()
    mean = np.mean([score(z, seed) for seed in lab.seeds[:3]])
    print(f"first choice, scale {scale:2}: NLL {metrics.nll(z, y):.3f}, its students {mean:.1f} %")
print(f"noisy: NLL {metrics.nll(answers['noisy'], y):.3f}")

# %% [markdown]
# This identity is exact, but it speaks of the teacher alone. Menon et al. bound how well a student's
# training loss estimates its true loss. Their bound grows with the distance of $p^t$ from $p^*$. A bound
# does not order two teachers, and accuracy is another measure.
#
# The NLL of *first choice* depends on the 20 that we chose. Half of it, or a quarter, tells the student
# nearly the same and has another NLL. So an NLL can change where the lesson hardly does. Remember this
# before you rank *first choice* and *noisy* by NLL. The rank correlation above used the 20, too.
#
# Now compare *too modest* with *truth*. By the identity no teacher has a lower expected NLL than *truth*.
# Is the student of *too modest* less accurate, too? Three seeds and ten epochs cannot say. We take five (two on `smoke`)
# seeds, pair them, and train four times as long as well:

# %%
few = 5 if lab.profile.name != "smoke" else 2  # seeds
runs = {
    (name, epochs): np.array([score(answers[name], seed, epochs) for seed in range(few)])
    for name in ("truth", "too modest", "first choice")
    for epochs in (10, 40)
}
minus = {
    f"{name} minus truth, {epochs} epochs": runs[name, epochs] - runs["truth", epochs]
    for name in ("too modest", "first choice")
    for epochs in (10, 40)
}  # each [5]: one difference a seed
holm = metrics.holm([stats.ttest_1samp(gain, 0).pvalue for gain in minus.values()])
for (question, gain), p in zip(minus.items(), holm, strict=True):
    mean, half = metrics.mean_ci(gain)
    print(f"{question}: {mean:+.2f} ± {half:.2f} points, Holm's p = {p:.2g}")

# %% [markdown]
# Each $p$ is corrected for the four questions, by Holm's method
# ([chapter 07](07_confusion_matrices.ipynb) derives it). Read the two lengths of a teacher together. A
# lead after 10 epochs that is gone after 40 says that a lesson is *learned quickly*. It does not say
# that the lesson is better. This could happen to *too modest*: logits of a quarter the size are within
# reach of small weights. Remember this in section 5, where training is short, too.
#
# *Too modest* resembles distillation at $T = 4$, but it is not the same. At $T = 4$ the student's own
# logits are divided by 4, too, so it has to learn logits of full size. So a lead of *too modest* says
# nothing about $T = 4$. Here the student keeps the small logits. That explains its poor NLL.
#
# There is another limit. The identity measures $p^t$ at $T = 1$. The recorded students below learn
# at $T = 4$, where the softened teacher is not an estimate of $p^*$ at all. So the theory does not
# predict their ranking.
#
# ## 5. How many runs does a difference need?
#
# Back to real images. Here is the poster's table:
#
# | ResNet-18 on CIFAR-10, test accuracy (%) | best test epoch | last epoch |
# |---|---|---|
# | hard labels | 94.175 | 92.10 |
# | from WRN-28-10 | 94.333 | 93.97 |
# | from PreResNet-110 | 94.531 | 94.15 |
# | from DenseNet-BC-100-12 | 94.729 | 92.61 |
# | from ResNeXt-29, 8 × 64 | 94.788 | 94.54 |
#
# Five things are wrong with it: the teachers' answers belonged to other images, the soft term was ten
# times too weak, the test set chose the epoch, the schedules differed between rows, and there is one
# run a row. (Schedules, in the version of its code that we read: the plain ResNet-18 has its rate divided
# by ten after epoch 100, the distilled ones after epoch 150.)
# [Chapter 04](04_cnn5_from_a_larger_network.ipynb) takes these faults apart. The last one
# concerns us here. A careful public study
# ([kd-capacity-gap](https://github.com/umutonuryasar/kd-capacity-gap), five seeds a row, budget fixed
# beforehand) reports hard labels at 94.86 ± .14 (standard deviation), a ResNet-34's student at
# 94.78 ± .09, a ResNet-50's at 94.91 ± .08. Its hard-label row beats every row of the poster.
#
# Suppose two arms of $n$ runs each, with standard deviation $\sigma$ between seeds. To detect a true
# difference $\delta$ with 80 % probability (the *power*), and to raise a false alarm at most 5 % of
# the time, a two-sided test needs
#
# $$ n \ge 2 \left( \frac{(z_{.975} + z_{.8})\, \sigma}{\delta} \right)^2 . $$

# %%
from math import ceil


def seeds_needed(difference, sigma, power=0.8, level=0.05):
    """Runs an arm, for two arms with standard deviation sigma between seeds."""
    z = stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)  # 1.96 + 0.84
    return ceil(2 * (z * sigma / difference) ** 2)


for difference in (0.05, 0.1, 0.2, 0.4):
    print(f"to find {difference:4} points: {seeds_needed(difference, sigma=0.14):3} seeds an arm")

# %% [markdown]
# The poster's smallest gain, .16 points, would need more than ten runs an arm. It has one. And the
# formula takes $\sigma$ as known. Five seeds tell us little about it: the 95 % interval runs from .6
# to 2.9 times the estimate, and the number of runs goes with its square.
#
# Two things help. Runs can be *paired by seed*, so that what a pair shares drops out (exercise 2).
# And one can look for larger effects: fewer images, smaller students. Our `laptop` experiment does
# both. A ResNet-8 learns from a fifth of the images.
#
# ### What each teacher adds

# %%
from IPython.display import display

display(lab.table("Deeper distillation"))
questions = {f"*{arm.name}* minus hard labels": (arm.name, HARD) for arm in students[1:]}
lab.differences("test_accuracy", questions)

# %% [markdown]
# Six questions are asked at once, so look at the second $p$ of each line, which is corrected for that by
# Holm's method. All six gains subtract the same hard-label runs. If these came out low by luck, all six
# gains are too high. So they are not six independent findings. (Holm's method allows for that.) The last
# row is a control: the answers of a real teacher, but about other images.
#
# ## 6. Five teachers are few
#
# Section 1 showed five teachers and five students. A rank correlation puts the pattern into one
# number. With ranks $a_i$ and $b_i$ of $n$ teachers and students, Spearman's is
#
# $$ \rho = 1 - \frac{6 \sum_i (a_i - b_i)^2}{n\,(n^2 - 1)} . $$
#
# How often does luck alone produce such a number? If the students had nothing to do with their
# teachers, every order of the students would be equally likely. So we count: how many of the $n!$
# orders give a correlation at least as far from zero, *in either direction*? Both directions count,
# because we would have reported a strong negative correlation, too.
#
# ### Your turn: count the orders


# %% tags=["your-turn"]
from itertools import permutations


def orders_as_good(a, b):
    """Spearman's correlation of two lists; its exact two-sided p, from all orders of `a`."""
    a, b = stats.rankdata(a), stats.rankdata(b)
    # your turn: the correlation of the ranks; the share of orders of a with |correlation| as large
    rho = np.corrcoef(a, b)[0, 1]
    others = np.array([np.corrcoef(order, b)[0, 1] for order in permutations(a)])  # [n!]
    return rho, np.mean(np.abs(others) >= abs(rho) - 1e-9)
    # end


# %% tags=["check"]
rho, p = orders_as_good([1, 2, 3, 5, 4], [10, 20, 30, 40, 50])
by_formula = 1 - 6 * (1**2 + 1**2) / (5 * 24)  # only the last two ranks are exchanged
assert np.isclose(rho, by_formula), f"{by_formula} by Spearman's formula; yours: {rho}"
assert np.isclose(p, 10 / 120), f"5 orders reach .9, and 5 reach -.9, of 120; yours: p = {p:.4f}"
rho, p = orders_as_good([5, 4, 3, 2], [1, 2, 3, 4])
assert np.isclose(rho, -1) and np.isclose(p, 2 / 24), "one order in each direction, of 24"
print("orders_as_good holds.")

# %% [markdown]
# We try four properties of the teachers: accuracy, NLL, calibration error, size.

# %%
ranked = pd.DataFrame({
    "accuracy": found["teacher's accuracy"],
    "NLL": [lab.mean(t, "test_nll") for t in found["teacher"]],
    "calibration error": [lab.mean(t, "test_ece") for t in found["teacher"]],
    "parameters": [lab.records(t)[0].parameters for t in found["teacher"]],
}, index=found.index)  # fmt: skip
pupils = found["student's accuracy"]
results = {name: orders_as_good(pupils, column) for name, column in ranked.items()}
pd.DataFrame(results, ["rank correlation", "p"]).T.round(3).join(
    ranked.T.astype(float).map("{:.4g}".format))  # fmt: skip

# %%
tries, smallest = len(results), min(p for _, p in results.values())
for n in (4, 5, 6, 7):
    least = 2 / np.prod(np.arange(1, n + 1))  # the perfect order, and its reverse
    verdict = "can show something" if tries * least < 0.05 else "can show nothing"
    print(f"{n} teachers: smallest possible p = {least:.4f}; times {tries} properties: "
          f"{tries * least:.3f}. This design {verdict}.")  # fmt: skip
print(f"Ours, {len(found)} teachers: smallest p found {smallest:.4f}, times {tries}: "
      f"{min(1, tries * smallest):.3f}")  # fmt: skip

# %% [markdown]
# This is the most important line of the chapter. With five teachers and four properties, **even a
# perfect order of ranks cannot reach significance.** Whatever came out, counting orders by their ranks
# could not have given evidence. (Counted with the accuracies themselves, an order can; but that statistic
# would have been chosen after the ranks had failed.) That was computable before the first run. Six teachers would have been enough for a
# perfect order. An earlier version of this page used a one-sided test, found the smallest possible
# $p$, and called it evidence.
#
# Are there ways out? Two are often tried. You may drop the factor of four, but only if accuracy was
# *the* question, fixed before anyone saw the numbers. Or you may correlate the accuracies themselves
# instead of their ranks (Pearson):

# %%
for name in ("accuracy", "NLL"):
    r, p = stats.pearsonr(ranked[name].astype(float), pupils.astype(float))
    print(f"Pearson, {name}: r = {r:+.3f}, p = {p:.1g}, if normal draws are assumed")

# %% [markdown]
# Even a tiny $p$ has a price. It assumes that without any connection the students' means would be
# independent draws from *one normal distribution*. Five teachers picked by hand, one from each family,
# give us no way to check that. Where $|r|$ is near 1, a straight line is a good *description* of these
# five. It does not say which of the two properties is at work, or where a sixth would lie.
#
# It gets worse. Ranks pretend that the order of the teachers is known. How firm is it? Two kinds of
# luck move it: which test images were drawn, and how each single training run turned out. We
# imitate both, taking the recorded numbers as the truth. Images: each teacher is right or wrong on
# each image, which gives $2^5$ patterns. Drawing new test images means drawing new counts of these
# patterns. (The students' answers are not stored, so only the teachers are tested anew.) Runs: each
# teacher, one run with hard labels, gets the scatter that hard-label students show between seeds. Each
# student, a mean of $n$ runs, gets the mean scatter of the taught students, where two or more runs of one
# are recorded. The worlds show how fragile the order is. Their share is not the probability that the order is true.

# %%
labels = lab.dataset("cifar10").test.labels
right = torch.stack([lab.logits(t).argmax(1) == labels for t in found["teacher"]])  # [teachers, N]
patterns, counts = right.T.double().unique(dim=0, return_counts=True)  # [P, teachers], [P]
rng = np.random.default_rng(0)
drawn = rng.multinomial(len(labels), (counts / counts.sum()).numpy(), 2_000)  # [2000, P]
by_images = 100 * drawn @ patterns.numpy() / len(labels)  # [2000, teachers]: accuracies
hard = lab.values(HARD, "test_accuracy")
sigma = np.std(hard, ddof=1) if len(hard) > 1 else np.nan
variances = [np.var(v, ddof=1) for v in reached.values() if len(v) > 1]
sigma_taught = np.mean(variances) ** 0.5 if variances else sigma
of_teachers, of_students = rng.normal(size=(2, *by_images.shape))  # [2000, teachers] each
of_teachers *= np.nan_to_num(sigma)
of_students *= np.nan_to_num(sigma_taught) / np.sqrt([len(v) for v in reached.values()])
same = by_images * 0 + pupils.to_numpy(float)  # [2000, teachers]: the students' means as they are
worlds = {
    "other test images": (by_images, same),
    "other images and runs": (by_images + of_teachers, same + of_students),
}
kept = {}
for name, pair in worlds.items():
    rhos = np.array([stats.spearmanr(t, s).statistic for t, s in zip(*pair, strict=True)])
    kept[name] = np.mean(np.isclose(rhos, results["accuracy"][0]))
    low, high = np.percentile(rhos, [5, 95])
    print(f"{name}: the same correlation in {kept[name]:.0%} of 2,000 worlds; 90 % of them give "
          f"{low:.2f} to {high:.2f}")  # fmt: skip
k = int(accuracy.diff().abs().argmin())  # the closest pair: rows k - 1 and k
for name, (i, j) in {"best minus last teacher": (0, -1), "closest pair": (k - 1, k)}.items():
    gap = 100 * (right[i].double() - right[j].double())  # [N]: the same images for both
    half = 1.96 * float(gap.std()) / len(gap) ** 0.5
    print(f"{name}: {gap.mean():+.2f} ± {half:.2f} points, {gap.sum() / 100:.0f} test images")
again_taught = {one: f"{lab.arms[HARD].recipe.model} from a second {one}" for one in found.index}
pairs = {one: (arm, found["student"][one]) for one, arm in again_taught.items() if arm in lab.arms}
for one, change in lab.paired("test_accuracy", pairs).items():
    other = second[found.index.get_loc(one)] - accuracy[one]
    half = f" ± {change['ci95']:.2f}" if change["ci95"] else ""  # over students, not over teachers
    print(f"{one}: a second run of the teacher differs by {other:+.2f} points, its students by "
          f"{change['difference']:+.2f}{half} (pairs: {change['n']})")  # fmt: skip

# %% [markdown]
# ## 7. Were the students trained for long enough?
#
# A gain at a short budget may be gone at a longer one. It may also stay
# ([chapter 04](04_cnn5_from_a_larger_network.ipynb)). Our students had few epochs. So we gave two of
# them more, with everything else as before: the student on hard labels, and the student of the teacher
# that we had called WideResNet in advance. Each point below is a training of its own, with a schedule
# that fits its epochs.

# %%
longer, epochs = lab.experiments.longer, lab.arms[HARD].recipe.epochs
wide, times = taught[0].name, (1, *lab.experiments.LONGER)
equal = next(arm for arm in lab.arms if arm.endswith(lab.experiments.EQUAL))
asked = {
    f"The teacher adds, {k * epochs} epochs": (longer(wide, k), longer(HARD, k)) for k in times
}
rows = [(name, k * epochs, longer(name, k)) for name in (HARD, wide) for k in times]
curve = pd.DataFrame(rows, columns=["student", "epochs", "arm"])
curve = curve[[bool(lab.records(arm)) for arm in curve["arm"]]]
found_for = [lab.values(arm, "test_accuracy") for arm in curve["arm"]]
curve["mean"], curve["half"] = (
    [np.mean(x) for x in found_for],
    [metrics.shown_ci(x)[1] or 0 for x in found_for],
)
asked["A copy of the student adds, with the students' own epochs"] = (equal, HARD)
asked["The longer training of that copy adds"] = (itself, equal)
lab.differences("test_accuracy", asked)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 3.4))
for (name, part), style in zip(curve.groupby("student", sort=False), ("o", "s"), strict=True):
    ax.errorbar(part["epochs"], part["mean"], part["half"], fmt=style, capsize=4, label=name)
ax.axhline(accuracy.max(), color="k", ls=":", marker="", label="the best teacher, one run")
ax.set(xlabel="epochs of training", ylabel="test accuracy (%)", xticks=curve["epochs"].unique())
fig.legend(loc="outside upper center", ncols=3)
said = [f"{r.student}, {r.epochs} epochs: {r.mean:.2f}" for r in curve.itertuples()]
lab.show(fig, "05_longer", f"Test accuracy (%): {'; '.join(said)}.", [*curve["arm"]])

# %% [markdown]
# ## 8. What we saw

# %% tags=["hide-input"]
rho, p = results["accuracy"]
gains = [lab.differences("test_accuracy", {"it": (arm, HARD)}).data[6:] for arm in (itself, equal)]
longest, short = (lab.arms[arm].recipe.epochs for arm in (teacher_of[itself], HARD))
Markdown(f"""
1. {np.ptp(hard):.2f} points between the best and the worst of {len(hard)} hard-label runs. Two single runs may differ by {stats.t.ppf(0.975, max(1, len(hard) - 1)) * 2**0.5 * sigma:.1f} (95 %, scatter estimated from these runs).
2. Rank correlation {rho:+.2f}, two-sided p = {p:.3f}, times {tries} properties {min(1, tries * p):.3f}.
   Under other images and runs the same number came back in {kept["other images and runs"]:.0%} of the worlds.
3. {four["student: accuracy"].min():.1f} to {four["student: accuracy"].max():.1f} %, at a teacher accuracy of {four["teacher: accuracy"].iloc[0]:.1f} % each.
4. Gained over hard labels: {gains[0]} In the control with equal epochs, whose teacher had the student's own: {gains[1]}
   And the teacher of the first, the same network on hard labels (epochs: {longest}), scores
   {lab.mean(teacher_of[itself], "test_accuracy"):.2f} in one run; {lab.interval(longer(HARD, 2), "test_accuracy")} in runs of twice the students' epochs. The best mean of the distilled students (epochs: {short}) is {pupils.max():.2f}.
""")  # fmt: skip

# %% [markdown]
# How to read these numbers:
#
# - **Prediction 1** is a first yardstick, and a short one: the range of few runs is smaller than what
#   two single runs may differ by. That is $t \cdot \sqrt 2\, s$, which answer 1 gives, too. A smaller
#   difference between two single runs says nothing.
# - **Prediction 2.** Even a perfect rank correlation leaves the corrected $p$ above .05, and the order
#   of the closest teachers may hang on a handful of images. What five teachers can support is weaker, and
#   still useful. Compare the two *ends* of the ranking in section 1: where teachers and students both
#   differ by far more than their bars, that is no accident of the students' seeds. But also compare accuracy and
#   NLL in section 6: where they rank the teachers alike, or up to one exchange, these records cannot
#   say which of the two matters.
# - **Prediction 3** shows that accuracy is not sufficient, in a case where everything else is known.
#   It does not show that accuracy is unimportant for real teachers, which are never equal in it.
# - **Prediction 4.** Compare the first two numbers of the answer. The teachers differ in their epochs
#   alone. What the control with equal epochs does not gain goes with the longer training of the teacher,
#   or with the luck of two single teachers. What it does gain need not come from learning from a copy (see
#   *unequal budgets* below). Then compare the last two. If the same network reaches as much with hard
#   labels and more epochs as a distilled student with fewer, then the students are *undertrained*, and a
#   teacher is one way to make up for it. More epochs are another. One run can be a lucky one, so look at
#   the mean of several runs beside it. Section 7 shows how much of the teacher's gain is left when both have
#   more epochs.
#
# ## Where it can mislead
#
# Each of these limits was built into the experiment before it ran. Finding them is the lesson.
#
# - **Unequal budgets.** The teachers had more epochs than the students (section 1 shows both on
#   `laptop`). So what *itself* adds may come from the longer training of its teacher. Section 7 has the
#   control with equal epochs. It removes one confound and keeps another: its student sees stored views,
#   and the hard-label student sees new ones. A hard-label student on the stored views separates
#   them: [chapter 12](12_inside_the_teacher.ipynb) has one, in the row *hard labels*.
# - **One short budget.** A gain at a short budget may be gone at a longer one. It may also stay. Section 7
#   shows longer budgets, for one teacher; the comparison of the teachers in section 1 stands at the
#   shortest of them.
# - **One teacher a family.** What looks like the effect of a family contains the luck of a run. Where a
#   second run is recorded, section 6 shows it. Two runs measure that luck badly, and say nothing of the
#   other families. The intervals are over students alone.
# - **Nothing here is "deeper".** The poster's teachers have 26 to 164 layers. On `laptop` they are
#   small members of the same families, of 8 to 22 layers, for a student of 8. The wide `wrn-10-2` is
#   no deeper than its student ([appendix](90_four_architectures.ipynb)). The file keeps the poster's
#   word; the chapter does not test it.
# - **$T$ and $\alpha$ are fixed** at 4 and .9 for every teacher. A sharper teacher may want a higher
#   temperature ([chapter 06](06_temperature.ipynb)). Then part of a teacher's "quality" is how well it
#   suits $T = 4$.
# - **The teacher answers about its own training images**, where it is more certain than on new ones.
#   The test NLL does not measure that.
# - **New views or stored views.** Hard-label students see a new view in each epoch, distilled students
#   a few stored views in turn, with rounded answers. Comparisons between two teachers are free of this; gains are not.
#
# ## Exercises
#
# Solutions: [solutions/05_deeper_distillation.py](solutions/05_deeper_distillation.py).
#
# 1. *(10 minutes, easy)* How many teachers would you need so that a correlation with *one* exchanged
#    neighbouring pair is still significant after correction for four properties? *Check:* with 5
#    teachers the uncorrected two-sided p of this pattern is 10/120.
#    [Solution](solutions/05_deeper_distillation.py#exercise-1).
# 2. *(10 minutes, medium)* Two arms are paired by seed, and their results have correlation $r$. How
#    many pairs does a difference of .1 point need at $\sigma = .14$ and $r = .5$? *Check:* at $r = 0$
#    you must get the number of section 5.
#    [Solution](solutions/05_deeper_distillation.py#exercise-2).
# 3. *(15 minutes, medium)* Average the logits, and then the probabilities, of the four teachers of
#    other families. Compare accuracy and NLL with the members'. *Check:* both NLLs must be below the
#    mean NLL of the members. Why?
#    [Solution](solutions/05_deeper_distillation.py#exercise-3).
# 4. *(15 minutes, hard)* Divide each teacher's logits by one temperature, chosen on validation so that
#    the NLL is lowest. Does the order of the teachers by test NLL change? *Check:* no answer may
#    change its class.
#    [Solution](solutions/05_deeper_distillation.py#exercise-4).
# 5. *(20 minutes and some minutes of computing, hard)* [Cho and Hariharan
#    (2019)](https://arxiv.org/abs/1910.01348) found that large teachers teach better when they are
#    stopped early. Give the WideResNet the student's epochs, and train its student with `lab.train`.
#    *Check:* `lab.recipes` must show that the new student differs from the old one in its teacher alone.
#    [Solution](solutions/05_deeper_distillation.py#exercise-5).
#
# ## Summary
#
# - Teachers of equal accuracy can teach differently: what they say about the other classes matters.
#   Accuracy leaves that out. An NLL counts it, but it can also change where the lesson hardly does. And a
#   lead after short training need not last.
# - Two teachers can be merged by their logits (geometric mean) or by their probabilities (arithmetic
#   mean). They differ where the teachers contradict each other.
# - Compute the smallest $p$ that a design can give *before* you run it. By ranks, five teachers
#   and four properties cannot give evidence.
# - Test both directions, correct for the number of tries, and ask whether the order itself would
#   survive other test images and other runs.
# - Our records can tell the two ends of a ranking apart at best. They cannot say why the ends differ.
#   [Chapter 09](09_big_teachers.ipynb) asks five other teachers. Compare its figure with ours before you
#   believe any order.
#
# ## Sources
#
# - A. K. Menon et al. (2021), *A statistical perspective on distillation*, ICML,
#   [arXiv:2005.10419](https://arxiv.org/abs/2005.10419).
# - G. Hinton, O. Vinyals, J. Dean (2015), *Distilling the knowledge in a neural network*,
#   [arXiv:1503.02531](https://arxiv.org/abs/1503.02531).
# - S. Stanton et al. (2021), *Does knowledge distillation really work?*,
#   [arXiv:2106.05945](https://arxiv.org/abs/2106.05945).
# - T. Furlanello et al. (2018), *Born-again neural networks*,
#   [arXiv:1805.04770](https://arxiv.org/abs/1805.04770) (self-distillation).
# - [umutonuryasar/kd-capacity-gap](https://github.com/umutonuryasar/kd-capacity-gap), version 2: five
#   seeds, protocol written before the results.
# - The poster's table and code:
#   [peterliht/knowledge-distillation-pytorch](https://github.com/peterliht/knowledge-distillation-pytorch);
#   its teachers:
#   [bearpaw/pytorch-classification](https://github.com/bearpaw/pytorch-classification).
