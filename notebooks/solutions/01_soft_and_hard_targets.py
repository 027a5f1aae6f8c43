# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 01
#
# The exercises stand at the end of [chapter 01](../01_soft_and_hard_targets.ipynb). The students here
# are those of the profile `smoke`, so that everything runs in seconds.

# %%
from dataclasses import replace

import torch
from scipy.optimize import brentq

from kdutils import data, experiments, losses, metrics, training
from kdutils.knowledge import log_posterior

# %% [markdown]
# ## Exercise 1
#
# **The temperature of an entropy.**
#
# The entropy rises with $T$, so at most one temperature has the entropy that we look for.


# %%
def entropy(p: torch.Tensor) -> torch.Tensor:
    """H(p) in nats: probabilities [..., classes] -> [...]."""
    return -(p * p.clamp(min=1e-300).log()).sum(dim=-1)


def temperature_of_entropy(logits: torch.Tensor, nats: float = 2.0) -> float:
    """The temperature at which the soft targets of one image have this entropy."""
    z = logits.double()
    return brentq(lambda t: float(entropy(losses.soft_targets(z, t))) - nats, 0.05, 1e4)


example = torch.tensor([8.0, 6.0, 1.0, 0.0, 0.0, -1.0, -1.0, -2.0, -3.0, -4.0])
print(f"The example has an entropy of 2 nats at T = {temperature_of_entropy(example):.2f}.")

# %% [markdown]
# ## Exercise 2
#
# **Mixed losses are mixed targets, at T = 1 only.**
#
# The gradient of the KL divergence at $T = 1$ is $q - p$, that of the cross-entropy is $q - e_y$. Their
# weights sum to 1, so the sum is $q - (\alpha p + (1 - \alpha) e_y)$. At $T = 4$ the soft term contains
# the student's *softened* probabilities. These are not $q$, so no single target gives the sum.


# %%
def gradient_of_the_mixture(temperature: float = 1.0, alpha: float = 0.7):
    """Two gradients [16, 10]: by autograd, and q - (alpha p + (1 - alpha) e_y)."""
    g = torch.Generator().manual_seed(0)
    student, teacher = 2 * torch.randn(2, 16, 10, dtype=torch.float64, generator=g)
    labels = torch.randint(10, (16,), generator=g)
    z = student.clone().requires_grad_()
    losses.kd_loss(z, teacher, labels, temperature, alpha).backward()
    hard = torch.nn.functional.one_hot(labels, 10).double()
    target = alpha * losses.soft_targets(teacher) + (1 - alpha) * hard
    return len(z) * z.grad, losses.soft_targets(student) - target  # the loss is a batch mean


for t in (1.0, 4.0):
    by_autograd, by_formula = gradient_of_the_mixture(t)
    print(f"T = {t:g}: largest difference {float((by_autograd - by_formula).abs().max()):.1e}")

# %% [markdown]
# ## Exercises 3 and 4
#
# **Other targets for the same loop.**
#
# `fit` accepts any logits as the teacher's answer, so the logarithm of any target will do.

# %%
recipe = next(
    arm.recipe for arm in experiments.arms("01", "smoke") if arm.name == "perfect teacher"
)
dataset = data.load(recipe.dataset)
labels = dataset.train.labels[: recipe.n_train]  # [n]
hard = torch.nn.functional.one_hot(labels, 10).float()  # [n, 10]
truth = log_posterior(dataset, "train", recipe.n_train).softmax(1)  # [n, 10]


def learn(target: torch.Tensor, seed: int = 0) -> dict[str, float]:
    """Test accuracy (%) and negative log-likelihood (nats) of a student of these targets [n, 10]."""
    answers = target.clamp(min=1e-20).log()
    fitted = training.fit(replace(recipe, seed=seed), dataset, lambda epoch: answers)
    z = training.predict(fitted.net.cpu(), dataset.test.images, dataset)
    y = dataset.test.labels
    return {"accuracy": metrics.accuracy(z, y), "nll": metrics.nll(z, y)}


# %% [markdown]
# **3.** On average over the images, the target is half the label and a twentieth for each class. The
# right class still has the largest share, so most of the accuracy comes back. The probabilities are
# much too low, and the negative log-likelihood shows it.

# %%
g = torch.Generator().manual_seed(0)
permuted = truth[torch.randperm(len(truth), generator=g)]
alone, mixed = learn(hard), learn(0.5 * hard + 0.5 * permuted)
print("hard labels:", alone)
print("half hard labels, half permuted:", mixed)
assert mixed["accuracy"] > 40 and mixed["nll"] > alone["nll"]

# %% [markdown]
# **4.** The entropy of a smoothed label grows with its share $s$, from 0 at $s = 0$ to $\log 10$ at
# $s = 1$. So each image has one share with the entropy of its true answer, and halving an interval
# finds all of them at once. To know *which* images are doubtful brings back a part of the gain at most.
# For the rest, the student must also hear between which classes, and which of them is the likelier.


# %%
def as_soft_as(p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Smoothed labels [n, 10], each with a share of its own and so the entropy of its row of p."""
    wanted, one_hot = entropy(p.double()), torch.nn.functional.one_hot(labels, 10).double()
    low, high = torch.zeros(len(p), 1).double(), torch.ones(len(p), 1).double()  # [n, 1]
    for _ in range(50):
        s = (low + high) / 2
        enough = (entropy(one_hot * (1 - s) + s / 10) >= wanted)[:, None]
        low, high = torch.where(enough, low, s), torch.where(enough, s, high)
    return (one_hot * (1 - high) + high / 10).float()


doubtful = as_soft_as(truth, labels)
assert torch.allclose(entropy(doubtful), entropy(truth), atol=1e-3)
seeds = (0, 1)
scores = {"hard labels": 0.0, "the truth": 0.0, "as soft as the truth": 0.0}
for seed in seeds:
    for name, target in zip(scores, (hard, truth, doubtful), strict=True):
        scores[name] += learn(target, seed)["accuracy"] / len(seeds)
print(scores)
gain = scores["the truth"] - scores["hard labels"]
assert scores["as soft as the truth"] - scores["hard labels"] < gain / 2
