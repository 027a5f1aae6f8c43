# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 07
#
# Each solution is a function of a chapter's `Lab`. The last cell prints their answers.

# %%
import numpy as np
import torch

from kdutils import metrics
from kdutils.experiments import Lab

HARD, DISTILLED = "CNN5, no dropout", "CNN5 distilled, no dropout"

# %% [markdown]
# ## Exercise 1
#
# Bayes' rule: P(class j | answer j) = prior_j rows_jj / sum_i prior_i rows_ij. Recall
# is rows_jj and stays. The precision of the common class rises; that of each class which it is
# mistaken for falls.


# %%
def precision_at(rows, prior):
    """Precision of each class. rows: [C, C], P(answer j | class i). prior: [C], sums to 1."""
    joint = prior[:, None] * rows  # [C, C], P(class i and answer j)
    return joint.diagonal() / np.maximum(joint.sum(axis=0), 1e-12)


# %% [markdown]
# ## Exercise 2
#
# Averaging helps where the two networks err on different images. A large exchange is
# therefore good for an ensemble, as long as neither network is much worse than the other.
#
# Both pairs are of two seeds, so in neither do the members share their first weights. But the distilled member
# may also be more accurate by itself, which the last cell prints. Then fewer errors of its pair are not due to
# the exchange alone.


# %%
def ensemble_errors(lab, *members):
    """Test errors of the averaged probabilities. members: (arm, seed) each."""
    p = torch.stack([lab.logits(arm, seed=seed).double().softmax(1) for arm, seed in members])
    return metrics.errors(p.mean(0), lab.dataset("cifar10").test.labels)


# %% [markdown]
# ## Exercise 3
#
# Dividing by one number keeps the order of the classes of an image. The order of the
# *images* by confidence can change, because the highest probability depends on all ten logits. In
# practice a few images swap places, and the accuracy hardly moves.


# %%
def accuracy_when_refusing(lab, arm, seed, refuse=0.1, divide=False):
    """Accuracy (%) on the images that remain when a share of the least certain is refused."""
    dataset = lab.dataset("cifar10")
    z, y = lab.logits(arm, seed=seed), dataset.test.labels
    if divide:
        z = z / metrics.fit_temperature(lab.logits(arm, "val", seed), dataset.val.labels)
    confidence = z.double().softmax(1).max(1).values  # [N]
    kept = confidence.argsort(descending=True)[: round(len(y) * (1 - refuse))]
    return metrics.accuracy(z[kept], y[kept])


# %% [markdown]
# ## Exercise 4
#
# Each image counts +1 (repaired), -1 (broken) or 0, so a resample of N images is a
# multinomial draw of how many of each there are. The interval covers the luck of the test images, for
# *these two networks*. The luck of training is covered by seeds, and only by them: on one test set the
# scatter over seeds contains nothing of the scatter over images.


# %%
def bootstrap(lab, seed, repetitions=2_000):
    """Repaired, broken, and repaired minus broken over resampled images: int, int, [repetitions]."""
    labels = lab.dataset("cifar10").test.labels
    was, now = (lab.logits(arm, seed=seed).argmax(1) == labels for arm in (HARD, DISTILLED))
    b, c, n = int((~was & now).sum()), int((was & ~now).sum()), len(labels)
    draws = np.random.default_rng(0).multinomial(n, [b / n, c / n, 1 - (b + c) / n], repetitions)
    return b, c, draws[:, 0] - draws[:, 1]


# %%
if __name__ == "__main__":
    lab = Lab("07", "laptop")
    rows, prior = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0.9, 0.1])
    print("1: precision", precision_at(rows, prior).round(3))
    for arm in (HARD, DISTILLED):
        print(f"2: {arm} alone", ensemble_errors(lab, (arm, 1)), "errors")
    print("2: hard + distilled", ensemble_errors(lab, (HARD, 0), (DISTILLED, 1)), "errors")
    print("2: hard + hard", ensemble_errors(lab, (HARD, 0), (HARD, 1)), "errors")
    for divide in (False, True):
        print(f"3: {accuracy_when_refusing(lab, HARD, 0, divide=divide):.2f} %, divided: {divide}")
    b, c, draws = bootstrap(lab, 0)
    low, high = np.percentile(draws, [2.5, 97.5])
    print(f"4: {b - c} images, 95 % interval over images {low:.0f} to {high:.0f}")
