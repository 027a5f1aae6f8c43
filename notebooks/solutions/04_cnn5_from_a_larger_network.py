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
import numpy as np
import torch
import torch.nn.functional as F

from kdutils.experiments import chapter, get_profile
from kdutils.recipes import Recipe

cifar = chapter("04").cifar

# %% [markdown]
# **Exercise 1.** The share of a gradient's length that the teacher has. With zero logits for the student
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
# **Exercise 2.** A teacher is right about most of its training images, so its answers must agree with the
# labels far more often than chance. Answers about other images agree in about one case of ten. One such
# assertion before the first step would have found the mistake. It works as soon as the batch has labels.


# %%
def assert_answers_fit(answers: torch.Tensor, labels: torch.Tensor) -> None:
    """AssertionError unless the looked-up answers [B, C] name the labels [B] well above chance."""
    agree = float((answers.argmax(dim=1) == labels).float().mean())
    chance = 1 / answers.shape[1]
    assert agree > 3 * chance, f"only {agree:.0%} of the answers name the label: whose are they?"


# %% [markdown]
# **Exercise 3.** The teacher sees the student's few labels and no more. `lab.train({"teacher": teacher, "student": student})` in the
# chapter trains both. The student keeps the labels of the same images; for all others the teacher
# answers.


# %%
def teacher_of_few_labels(profile: str) -> tuple[Recipe, Recipe]:
    """A teacher that has seen 5 % of the labels, and the student of its answers."""
    p = get_profile(profile)
    few = cifar.student(p, 0.05)
    epochs = 4 * cifar.teacher(p).epochs  # of one twentieth of the images
    teacher = cifar.teacher(p, n_train=few.n_train, epochs=epochs)
    return teacher, cifar.taught(p, teacher=(teacher,), n_labels=few.n_train)


# %% [markdown]
# **Exercise 4.** At $\tau = 0$ all settings are equal and the whole lead is luck. The more the settings
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
