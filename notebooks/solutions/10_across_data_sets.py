# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 10
#
# Each exercise is a function; the tests run them.

# %%
import math

import torch
from sklearn.linear_model import LogisticRegression

from kdutils.knowledge import translation

# %% [markdown]
# ## Exercise 1
#
# If $p_j(x)$ is the same for all images, so is the mass of $j$ on each of our classes. Every share is
# $1 / C$, and so is every answer.


# %%
def answer_of_a_bore(theirs: int, ours: int, images: int = 100) -> torch.Tensor:
    """What the masses make of a stranger with one answer to everything: [images, ours]."""
    logits = torch.arange(theirs).float().repeat(images, 1)
    return translation("masses", logits, torch.arange(images) % ours, ours)(logits).exp()


# %% [markdown]
# ## Exercise 2
#
# A logit that hardly varies between images tells nothing about them. Each image's mean over *all* classes is
# taken off first: a single logit less its own mean would be 0. Then the classes are ranked by the variance of
# their logits, and the probe sees the first $m$.


# %%
def accuracy_by_classes(answers, labels, test, test_labels, counts) -> dict[int, float]:
    """Test accuracy in percent of a probe that sees only the m most varied logits, by m."""
    centred, new = (z.float() - z.float().mean(dim=1, keepdim=True) for z in (answers, test))
    order, found = centred.var(dim=0).argsort(descending=True), {}
    for m in counts:
        few = order[:m]
        probe = LogisticRegression(max_iter=1000).fit(centred[:, few].numpy(), labels.numpy())
        found[m] = 100 * probe.score(new[:, few].numpy(), test_labels.numpy())
    return found


# %% [markdown]
# ## Exercise 3
#
# $I = \sum_{jk} p_{jk} \log_2 \frac{p_{jk}}{p_j p_k}$, with the shares of the images in a table of its top
# class and our label. With few images it comes out too large: even random answers seem to tell something.


# %%
def mutual_information(top: torch.Tensor, labels: torch.Tensor) -> float:
    """Bits that one answer tells about the label; both int64 [N]."""
    table = torch.zeros(int(top.max()) + 1, int(labels.max()) + 1, dtype=torch.float64)
    table.index_put_((top, labels), torch.ones(len(top), dtype=torch.float64), accumulate=True)
    joint = table / table.sum()
    apart = joint.sum(dim=1, keepdim=True) * joint.sum(dim=0, keepdim=True)
    some = joint > 0
    return float((joint[some] * (joint[some] / apart[some]).log2()).sum())


# %% [markdown]
# ## Exercise 4
#
# The cross-entropy of $q$ against a target $t$ is smallest at $q = t$. So the right class has the
# probability $1 - s + s / C$ and each wrong one $s / C$. All wrong logits are equal, and the right one lies
# above them by the logarithm of the ratio.


# %%
def ideal_distance(smoothing: float, classes: int) -> float:
    """The right logit less any wrong one, of a network that fits smoothed labels exactly."""
    wrong = smoothing / classes
    return math.log((1 - smoothing + wrong) / wrong)
