# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 00
#
# Each cell solves one exercise of [Your first distillation](../00_your_first_distillation.ipynb) and
# ends with the check that the exercise asks for. Everything runs on the embedded digits, in seconds.

# %%
from dataclasses import replace

import pandas as pd
import torch
import torch.nn.functional as F

from kdutils import data, losses, metrics
from kdutils.recipes import Recipe
from kdutils.training import fit, predict

SEEDS = (0, 1, 2)
digits = data.load("digits")
cpu = torch.device("cpu")
plain = {"dataset": "digits", "optimizer": "adam", "schedule": "constant", "precision": "float32"}
teacher = Recipe(model="mlp-256", epochs=10, batch_size=50, lr=1e-3, **plain)
alone = Recipe(model="mlp-32", n_train=100, epochs=40, batch_size=25, lr=3e-3, **plain)
taught = replace(alone, teacher=teacher, temperature=4.0, alpha=0.9)

z = predict(fit(teacher, digits, device=cpu).net, digits.train.images[:100], digits)
answers = z.half().float()  # the teacher's logits [100, 10], rounded as `kdutils` stores them


def accuracies(recipe, dataset=digits):
    """Test accuracy in percent at each seed."""
    found = []
    for seed in SEEDS:
        changed = replace(recipe, seed=seed)  # the teacher stays the same at every seed
        net = fit(changed, dataset, lambda epoch: answers, device=cpu).net
        z = predict(net, dataset.test.images, dataset)
        found.append(metrics.accuracy(z, dataset.test.labels))
    return found


# %% [markdown]
# ## Exercise 1
#
# **No labels.**
#
# At $\alpha = 1$ the hard term has the weight 0, so no label reaches the student. It learns all the same.

# %%
free = replace(taught, alpha=1.0)
nothing = torch.zeros_like(digits.train.labels)
without = replace(digits, train=data.Split(digits.train.images, nothing))
no_labels = accuracies(free)
assert no_labels == accuracies(free, without), "a label has reached the student"
pd.DataFrame({"α = .9": accuracies(taught), "α = 1": no_labels}, index=SEEDS).round(1)

# %% [markdown]
# ## Exercise 2
#
# **Patience.**
#
# Soft targets ask for more than a label: ten numbers an image have to be met. Look at which student
# leads after 5 epochs, and at what the last 160 epochs still bring to each of them.

# %%
patience = {
    epochs: {
        name: sum(accuracies(replace(recipe, epochs=epochs))) / len(SEEDS)
        for name, recipe in (("labels alone", alone), ("distilled", taught))
    }
    for epochs in (5, 10, 40, 200)
}
pd.DataFrame(patience).T.rename_axis("epochs").round(1)

# %% [markdown]
# ## Exercise 3
#
# **An older tutorial.**
#
# $\sum_i p_i \log p_i$, the entropy of the teacher's answer with its sign turned, does not depend on the
# student. So the two losses differ by a constant, and their gradients are the same.

# %%
T = 2.0
g = torch.Generator().manual_seed(0)
z, t = 3 * torch.randn(2, 64, 10, generator=g, dtype=torch.float64)  # [64, 10] each
z.requires_grad_()
log_p, log_q = F.log_softmax(t / T, dim=1), F.log_softmax(z / T, dim=1)
older = -(T**2) * torch.sum(log_p.exp() * log_q) / len(z)
newer = T**2 * torch.sum(log_p.exp() * (log_p - log_q)) / len(z)
entropy = -(log_p.exp() * log_p).sum(dim=1).mean()
torch.testing.assert_close(older - newer, T**2 * entropy)
gradients = [torch.autograd.grad(loss, z, retain_graph=True)[0] for loss in (older, newer)]
torch.testing.assert_close(*gradients)

# %% [markdown]
# ## Exercise 4
#
# **A wrong loss, registered.**
#
# The mean over ten classes is a tenth of the sum. At $\alpha = .9$ the weights .9 and .1 become .09 and
# .1: the label suddenly counts for more than the teacher. At $\alpha = 1$ there is no other term. The
# whole loss shrinks to a tenth, and Adam, which divides each step by the size of the gradient, undoes
# that.


# %%
def averaged_over_classes(z, t, y, recipe):
    log_p = F.log_softmax(t / recipe.temperature, dim=1)
    log_q = F.log_softmax(z / recipe.temperature, dim=1)
    soft = (log_p.exp() * (log_p - log_q)).mean()  # what reduction="mean" does
    hard = F.cross_entropy(z, y)
    return recipe.alpha * recipe.temperature**2 * soft + (1 - recipe.alpha) * hard


losses.register("averaged-over-classes", averaged_over_classes)
wrong = pd.DataFrame(
    {
        f"α = {alpha:g}": {
            "right": accuracies(replace(taught, alpha=alpha)),
            "registered": accuracies(replace(taught, alpha=alpha, loss="averaged-over-classes")),
            "soft_scale = 0.1": accuracies(replace(taught, alpha=alpha, soft_scale=0.1)),
        }
        for alpha in (0.9, 1.0)
    }
)
for column in wrong:  # the last bits differ, so one image of the 500 may
    pairs = zip(wrong.loc["registered", column], wrong.loc["soft_scale = 0.1", column], strict=True)
    assert all(abs(a - b) <= 0.2 for a, b in pairs)
wrong.map(lambda found: sum(found) / len(found)).round(1)

# %% [markdown]
# ## Exercise 5
#
# **Your own data.**
#
# A data set checks itself. Here a label is out of range.

# %%
images = digits.test.images
labels = digits.test.labels.clone()
labels[0] = 10
try:
    data.from_arrays("mine", images, labels, images, labels, classes=digits.classes, n_val=50)
except ValueError as refused:
    print(refused)
else:
    raise AssertionError("a label of 10 among ten classes was not noticed")
