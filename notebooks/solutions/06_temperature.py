# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 06
#
# Each exercise is a function; the tests run them.

# %%
import pandas as pd
import torch
import torch.nn.functional as F

from kdutils.losses import soft_targets

# %% [markdown]
# ## Exercise 1
#
# $e^{z/T} = 1 + z/T + \ldots$, and centred logits sum to zero, so
# $q = (1 + z/T)/C + O(1/T^2)$. The same holds for $p$. So $T(q - p) = (z - t)/C + O(1/T)$: ten times the
# temperature leaves a tenth of the distance.


# %%
def limit_error(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> float:
    """How far T (q - p) is from (z - t) / C, relative to the limit's mean length; logits [N, C]."""
    z, t = (x - x.mean(dim=1, keepdim=True) for x in (student, teacher))
    exact = temperature * (soft_targets(z, temperature) - soft_targets(t, temperature))
    limit = (z - t) / z.shape[1]
    # a ratio of means: two views of an image may be one, and then both lengths are zero
    return float((exact - limit).norm(dim=1).mean() / limit.norm(dim=1).mean())


# %% [markdown]
# ## Exercise 2
#
# The lengths $\alpha\, s$ and $(1-\alpha)\, h$ are equal at $\alpha = h / (s + h)$, where $s$
# and $h$ are the mean lengths without their weights.


# %%
def balanced_alpha(teacher: torch.Tensor, labels: torch.Tensor, temperature: float) -> float:
    """The alpha at which both gradients are equally long for zero student logits."""
    classes = teacher.shape[1]
    q = torch.full_like(teacher, 1 / classes)
    soft = (temperature * (q - soft_targets(teacher, temperature))).norm(dim=1).mean()
    hard = (q - F.one_hot(labels, classes)).norm(dim=1).mean()
    return float(hard / (soft + hard))


# %% [markdown]
# ## Exercise 3
#
# `train`, `accuracy` and the data are the chapter's. The row of $\alpha = 0$ is the same at
# every $T$, because the teacher has no weight. Read the other rows for a shift of the best $T$, and hold
# it against the scatter between seeds before you believe it.


# %%
def both_knobs(
    train, accuracy, answers, x, y, temperatures=(1, 4, 20), alphas=(0, 0.5, 0.9), seeds=range(3)
) -> pd.DataFrame:
    """Mean accuracies: a row an alpha, a column a temperature.

    train: as in the chapter; accuracy: of a network; answers: the teacher's logits about x.
    """

    def cell(t: float, a: float) -> float:
        nets = [train(x, y, 32, answers, t, a, seed=seed) for seed in seeds]
        return sum(map(accuracy, nets)) / len(nets)

    rows = {a: {t: cell(t, a) for t in temperatures} for a in alphas}
    return pd.DataFrame.from_dict(rows, orient="index")


# %% [markdown]
# ## Exercise 4
#
# Symmetric steps, as the stored files have them: the largest centred logit is the last level. The chapter's
# `t` was stored in 8 bits, so 8 bits change next to nothing here. That fewer bits never change fewer answers
# is no theorem: it holds on these answers.


# %%
def changed_answers(logits: torch.Tensor, bits: int) -> float:
    """The share of top answers that change when logits are rounded to so many bits."""
    z = logits.float()
    z = z - z.mean(dim=1, keepdim=True)
    step = z.abs().max() / (2 ** (bits - 1) - 1)
    rounded = (z / step).round()
    # where several classes share the top level, the answer is kept only if it is the first of them
    return float((rounded.argmax(1) != z.argmax(1)).float().mean())
