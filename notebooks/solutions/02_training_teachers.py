# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 02
#
# Run it cell by cell, or as a script. It trains what it needs on toy data, in seconds.

# %%
import numpy as np
import torch

from kdutils import data, metrics, runs, training, views
from kdutils.experiments import Lab

lab = Lab("02", "smoke", [0])
digits = lab.dataset("mnist")

# %% [markdown]
# ## Exercise 1
#
# **The best of ten.**
#
# The number of errors of one network is binomial, with mean 70 and standard deviation 8.3. The
# smallest of ten such numbers lies about 1.5 deviations below the mean: at 57 or 58 errors.

# %%
errors = np.random.default_rng(0).binomial(10_000, 0.007, size=(20_000, 10))
truth, reported = (100 * (1 - e.mean() / 10_000) for e in (errors[:, 0], errors.min(axis=1)))
assert 99.41 < reported < 99.44
print(f"each is worth {truth:.2f} %, the best of ten shows {reported:.2f} %")

# %% [markdown]
# ## Exercise 2
#
# **One bit in, sixteen bits out.**
#
# In a good hash every bit of the output changes with probability one half, whichever bit of the
# input is flipped. We flip each of the lowest 16 bits of the numbers 0 to 65,535: all that 16 bits can
# say.

# %%
number = torch.arange(65_536)
changed = {}  # flipped bit -> how many of 32 bits change, in the mean
for bit in range(16):
    differing = views.hash32(0, 0, number) ^ views.hash32(0, 0, number ^ (1 << bit))
    changed[bit] = float(sum((differing >> k) & 1 for k in range(32)).double().mean())
assert all(abs(mean - 16) < 0.1 for mean in changed.values())
print(f"between {min(changed.values()):.2f} and {max(changed.values()):.2f} of 32 bits")

# %% [markdown]
# ## Exercise 3
#
# **Two ways to choose a temperature.**
#
# The calibration error jumps whenever an image changes its bin, and few validation images are wrong.
# The T that it chooses is the noisier one, and often no better on the test images.

# %%
val, test = (lab.logits("elastic views", split) for split in ("val", "test"))
grid = np.exp(np.linspace(-1.5, 1.5, 121))
measures = {"ECE": metrics.calibration_error, "NLL": metrics.nll}
on_val = {name: [f(val / t, digits.val.labels) for t in grid] for name, f in measures.items()}
best = {name: int(np.argmin(values)) for name, values in on_val.items()}
assert on_val["ECE"][best["ECE"]] <= on_val["ECE"][best["NLL"]]
assert on_val["NLL"][best["NLL"]] <= on_val["NLL"][best["ECE"]]
for name, k in best.items():
    ece = metrics.calibration_error(test / grid[k], digits.test.labels)
    print(f"T by {name}: {grid[k]:.2f}, calibration error on test images {ece:.2f} %")

# %% [markdown]
# ## Exercise 4
#
# **Averaging answers with dropout on.**
#
# A single answer is noisy. The average of many comes close to the one answer without dropout, which
# stands in for the mean of all thinned networks.

# %%
net = runs.trained(lab.arm("elastic views").recipe, lab.store)
x = data.normalise(digits.test.images, digits).to(next(net.parameters()).device)  # [500, 1, 28, 28]
calm = training.predict(net, digits.test.images.to(x.device), digits)  # [500, 10], dropout off
assert torch.equal(calm, training.predict(net, digits.test.images.to(x.device), digits))
net.train()
with torch.no_grad():
    passes = torch.stack([net(x).softmax(1) for _ in range(64)]).cpu()  # [64, 500, 10]
net.eval()
assert not torch.equal(passes[0], passes[1])
averaged = {k: metrics.errors(passes[:k].mean(0).log(), digits.test.labels) for k in (1, 4, 16, 64)}
print("errors:", averaged, "without dropout:", metrics.errors(calm.cpu(), digits.test.labels))
