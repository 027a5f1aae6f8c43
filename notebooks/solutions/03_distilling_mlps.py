# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 03
#
# Run it cell by cell, or as a script. It trains what it needs on toy data, in seconds.

# %%
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from kdutils import metrics
from kdutils.experiments import Lab

lab = Lab("03", "smoke", [0])
digits = lab.dataset("mnist")

# %% [markdown]
# ## Exercise 1
#
# **What DeiT's alpha is.**
#
# With 1,000 classes the soft term weighs a thousandth of what is written. To get one half, the two
# weights must be equal: alpha / 1000 = 1 - alpha, so alpha = 1000 / 1001.


# %%
def effective(alpha, factor):
    soft, hard = alpha * factor, 1 - alpha
    return soft / (soft + hard), soft + hard


real, rate = effective(0.5, 1 / 1000)
needed = 1000 / 1001
assert abs(effective(needed, 1 / 1000)[0] - 0.5) < 1e-9
print(f"alpha = .5 is really {real:.6f}, at {rate:.4f} times the rate; write {needed:.6f} for .5")

# %% [markdown]
# ## Exercise 2
#
# **A bias without labels.**
#
# Raise the logit of 3 until one validation image in ten is called a 3.

# %%
unseen = "student, distilled, no 3 in the transfer set"
val, test = (lab.logits(unseen, split) for split in ("val", "test"))  # [N, 10] each
others = val.clone()
others[:, 3] = -torch.inf
behind = others.max(dim=1).values - val[:, 3]  # [N] what the 3 lacks to win
bias = float(behind.quantile(0.1))
called = float((val + bias * F.one_hot(torch.tensor(3), 10)).argmax(1).eq(3).float().mean())
assert abs(called - 0.1) < 0.01
moved, threes = test + bias * F.one_hot(torch.tensor(3), 10), digits.test.labels == 3
read = metrics.accuracy(moved[threes], digits.test.labels[threes])
print(
    f"bias {bias:+.2f}: {100 * called:.1f} % of validation are called a 3; {read:.1f} % of threes read"
)

# %% [markdown]
# ## Exercise 3
#
# **An ensemble of the teacher's seeds.**

# %%
name = "teacher 784-1200-1200-10"
two = Lab("03", "smoke", [0, 1])
members = [two.logits(name, "test", seed) for seed in two.seeds]  # [N, 10] each
alone = [metrics.errors(z, digits.test.labels) for z in members]
together = metrics.errors(torch.stack(members).mean(0), digits.test.labels)
twins = torch.stack([members[0], members[0]]).mean(0)
assert metrics.errors(twins, digits.test.labels) == alone[0]
print("alone:", alone, "together:", together)

# %% [markdown]
# ## Exercise 4
#
# **Weight decay breaks the equality.**
#
# PyTorch's SGD adds decay times w to the gradient. With loss / c at rate c eta, a step is
# c eta (g / c + decay w) = eta (g + c decay w). So the decay must be divided by c as well.


# %%
def train(c, decay, steps=50):
    """A student of 50 steps: loss / c at c times the rate."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01 * c, momentum=0.9, weight_decay=decay)
    x, t = torch.randn(64, 20), torch.randn(64, 10)
    for _ in range(steps):
        log_q, log_p = F.log_softmax(net(x) / 4, dim=1), F.log_softmax(t / 4, dim=1)
        loss = 16 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True) / c
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return nn.utils.parameters_to_vector(net.parameters()).detach()


right, broken, mended = train(1, 0.01), train(8, 0.01), train(8, 0.01 / 8)
assert not torch.allclose(right, broken) and torch.equal(right, mended)
print(f"same decay: {torch.dist(right, broken):.3f} away; an eighth of the decay: the same run")

# %% [markdown]
# ## Exercise 5
#
# **Two digits at once.**
#
# The digit with the higher bar says more about the 3. Hide it as well, and the student loses this
# source. So whichever of 8 and 0 has the higher bar should be the one that hurts more. But the figure
# is silent on half of the matter: it does not show who tells the student of the 8, or of the 0. Here
# is one seed of toy data, which decides nothing. Use the seeds of your own `lab`.

# %%
recipe = lab.arm(unseen).recipe
hidden = {"no 3, no 8": (3, 8), "no 0, no 3": (0, 3)}
both = lab.train({name: replace(recipe, without_classes=pair) for name, pair in hidden.items()})
for name, pair in hidden.items():
    record = lab.records(name)[0]
    assert record.recipe.without_classes == pair
    assert "class_bias" not in record.metrics  # defined for one class
    print(f"{name}: {lab.cell(name, 'test_errors')} errors")
