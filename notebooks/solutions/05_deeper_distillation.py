# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 05
#
# The last cell prints the answers from the records.

# %%
from dataclasses import replace
from itertools import permutations
from math import ceil

import numpy as np
import torch
from scipy import stats

from kdutils import metrics
from kdutils.experiments import Lab

# %% [markdown]
# ## Exercise 1
#
# Six teachers: one exchanged pair has correlation 1 - 12 / 210 = .943, which 6 orders
# reach in each direction (5 exchanges and the perfect order): p = 12 / 720, times four properties
# .067. Not enough. Seven: p = 14 / 5040, times four .011. So the answer is seven.


# %%
def p_of_one_exchange(n):
    """Exact two-sided p of Spearman's correlation when one neighbouring pair of n is exchanged."""
    ranks = np.arange(n)
    orders = np.array(list(permutations(range(n))))  # [n!, n]
    squares = ((orders - ranks) ** 2).sum(axis=1)  # 2 for one exchange, 0 for the perfect order
    most = ((ranks[::-1] - ranks) ** 2).sum()  # of the reverse
    return np.mean((squares <= 2) | (squares >= most - 2))


# %% [markdown]
# ## Exercise 2
#
# The difference of a pair has variance 2 σ² (1 - r), so its mean over n pairs has
# 2 σ² (1 - r) / n. At r = .5 half of the unpaired number suffices.


# %%
def paired_seeds(difference, sigma, correlation, power=0.8, level=0.05):
    """Pairs of runs that a difference needs."""
    z = stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)
    return ceil(2 * (1 - correlation) * (z * sigma / difference) ** 2)


# %% [markdown]
# ## Exercise 3
#
# Log-sum-exp is convex in the logits, and -log is convex in the probability. By
# Jensen's inequality both ensembles have an NLL of at most the mean NLL of their members. Accuracy
# has no such guarantee.


# %%
def families(lab):
    """The recorded teachers of other families than the student's."""
    return [name for name in lab.of("Teachers") if "as the student" not in name]


def ensembles(lab):
    """Accuracy (%) and NLL (nats) of each member and of both averages, on the test images."""
    y = lab.dataset("cifar10").test.labels
    z = {name: lab.logits(name) for name in families(lab)}
    stack = torch.stack(list(z.values())).double()  # [members, N, C]
    z["averaged logits"] = stack.mean(0)
    z["averaged probabilities"] = stack.log_softmax(2).logsumexp(0) - np.log(len(stack))
    return {name: (metrics.accuracy(q, y), metrics.nll(q, y)) for name, q in z.items()}


# %% [markdown]
# ## Exercise 4
#
# A student is taught at a temperature of its own. A teacher that is too sharp by one
# factor on all images does less harm than its NLL suggests, so compare teachers after scaling, too.


# %%
def tempered(lab):
    """Of each teacher: its temperature by validation, test NLL before and after, answers changed."""
    dataset, out = lab.dataset("cifar10"), {}
    for name in lab.of("Teachers"):
        z = lab.logits(name)
        t = metrics.fit_temperature(lab.logits(name, "val"), dataset.val.labels)
        before, after = (metrics.nll(q, dataset.test.labels) for q in (z, z / t))
        out[name] = t, before, after, int((z.argmax(1) != (z / t).argmax(1)).sum())
    return out


# %% [markdown]
# ## Exercise 5
#
# One teacher and one student a seed, some minutes on `laptop`. A shorter one-cycle schedule is not the
# same as stopping a long one early: the rate comes down in both, but sooner. Say so when you report.


# %%
def stopped_early(lab):
    """The student of the WideResNet, whose teacher is trained for no longer than the student:
    (old name, new recipe)."""
    family = lab.experiments.BUDGET[lab.profile.name]["WideResNet"]
    name = next(n for n in lab.arms if n.endswith(f" from {family}"))
    recipe = lab.arms[name].recipe
    teacher = replace(recipe.teachers[0], epochs=recipe.epochs)
    return name, replace(recipe, teacher=(teacher,))


# %%
if __name__ == "__main__":
    lab = Lab("05", "laptop")
    print("1:", {n: round(4 * p_of_one_exchange(n), 3) for n in (5, 6, 7)})
    print("2:", paired_seeds(0.1, 0.14, 0.5), "pairs")
    for name, (accuracy, nll) in ensembles(lab).items():
        print(f"3: {name}: {accuracy:.2f} %, NLL {nll:.4f}")
    for name, (t, before, after, _) in tempered(lab).items():
        print(f"4: {name}: T = {t:.2f}, NLL {before:.4f} to {after:.4f}")
    print("5: lab.train({'from a teacher stopped early': stopped_early(lab)[1]})")
