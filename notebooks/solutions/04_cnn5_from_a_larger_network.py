# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 04
#
# Each exercise is a function; the tests run them.

# %%
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from kdutils.experiments import arms as experiments_of
from kdutils.recipes import Recipe

# %% [markdown]
# ## Exercise 1
#
# The share of a gradient's length that the teacher has. With zero logits for the student
# it stays far below one percent: at $\alpha = .01$ and a tenth of the soft term, nobody is taught.


# %%
def teachers_share(
    student: torch.Tensor,
    teacher: torch.Tensor,
    labels: torch.Tensor,
    temperature: float = 20.0,
    alpha: float = 0.01,
    scale: float = 0.1,
) -> float:
    """The soft term's part of the two gradients' mean lengths; logits [N, C], labels [N]."""
    q, p = (F.softmax(x / temperature, dim=1) for x in (student, teacher))
    soft = scale * alpha * temperature * (q - p)
    hard = (1 - alpha) * (F.softmax(student, dim=1) - F.one_hot(labels, student.shape[1]))
    a, b = soft.norm(dim=1).mean(), hard.norm(dim=1).mean()
    return float(a / (a + b))


# %% [markdown]
# ## Exercise 2
#
# A teacher is right about most of its training images, so its answers must agree with the
# labels far more often than chance. Answers about other images agree in about one case of ten. One such
# assertion before the first step would have found the mistake. It works as soon as the batch has labels.


# %%
def assert_answers_fit(answers: torch.Tensor, labels: torch.Tensor) -> None:
    """AssertionError unless the looked-up answers [B, C] name the labels [B] well above chance."""
    agree = float((answers.argmax(dim=1) == labels).float().mean())
    chance = 1 / answers.shape[1]
    assert agree > 3 * chance, f"only {agree:.0%} of the answers name the label: whose are they?"


# %% [markdown]
# ## Exercise 3
#
# The student of section 8 becomes the teacher. Its recipe is all that is needed: `lab.train({"second generation": student})`
# in the chapter trains what is missing, teachers first. Both generations keep the same few labels, and no
# recipe of the chain has seen another.


# %%
def second_generation(profile: str) -> Recipe:
    """CNN5 with 5 % of the labels, taught by a CNN5 that a teacher of the same 5 % has taught."""
    arms = {arm.name: arm.recipe for arm in experiments_of("04", profile)}
    first = arms["5 % of the labels, a teacher of the same 5 % answers for all images"]
    return replace(first, teacher=first)


# %% [markdown]
# ## Exercise 4
#
# At $\tau = 0$ all settings are equal and the whole lead is luck. The more the settings
# differ, the more of the lead is earned.


# %%
def winners_excess(ratio: float, k: int = 40, runs: int = 20_000, seed: int = 0) -> float:
    """How far the best of k results exceeds its own true mean, in units of the noise.

    ratio: spread of the true means over the noise of one result.
    """
    dice = np.random.default_rng(seed)
    true = ratio * dice.standard_normal((runs, k))
    seen = true + dice.standard_normal((runs, k))
    best = seen.argmax(axis=1)[:, None]
    excess = np.take_along_axis(seen, best, 1) - np.take_along_axis(true, best, 1)
    return float(excess.mean())


# %% [markdown]
# ## Exercise 5
#
# Half of the sixteen combinations have the fault, half have not. Without interactions a
# fault adds the same in every company, so every average of what it adds is the same.


# %%
def main_effect(worth: Mapping[frozenset, float], fault: str) -> float:
    """The mean worth of the combinations with this fault, minus that of those without."""
    on = [x for faults, x in worth.items() if fault in faults]
    off = [x for faults, x in worth.items() if fault not in faults]
    return float(np.mean(on) - np.mean(off))
