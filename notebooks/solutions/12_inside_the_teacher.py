# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 12
#
# Each exercise is a function; the tests run them.

# %%
import numpy as np
import torch
from experiments import inside
from scipy import stats

# %% [markdown]
# ## Exercise 1
#
# A sign test: count the pairs in which one row is ahead, and ask a fair coin. It is too sure of itself, because
# the pairs share teachers and students: they are not seven independent throws.


# %%
def sign_test(first, second) -> tuple[int, float]:
    """In how many pairs the first is ahead, and the two-sided probability by fair coins."""
    ahead = sum(a > b for a, b in zip(first, second, strict=True))
    return ahead, float(stats.binomtest(ahead, len(first)).pvalue)


# %% [markdown]
# ## Exercise 2
#
# After the mixing, the student computes the very same things in other coordinates. Channel by channel they
# agree no better than two strangers: $u$ is near 2, since both vary by themselves. The best linear map is the
# mixing itself, and with it $u = 0$.


# %%
def with_and_without_adaptor(channels: int = 64, images: int = 50) -> tuple[float, float]:
    """Mean u of a map and its orthogonal mixture: with the best linear map, and without one."""
    dice = torch.Generator().manual_seed(0)
    theirs = torch.randn(images, channels, 4, 4, generator=dice)
    turn, _ = torch.linalg.qr(torch.randn(channels, channels, generator=dice))
    ours = torch.einsum("ij,bjhw->bihw", turn, theirs)
    x, y = (m.movedim(1, 3).flatten(0, 2) for m in (ours, theirs))
    best = torch.linalg.lstsq(x, y).solution
    fitted = (ours.movedim(1, 3) @ best).movedim(3, 1)
    return tuple(float(inside.unexplained(guess, theirs).mean()) for guess in (fitted, ours))


# %% [markdown]
# ## Exercise 3
#
# An orthogonal matrix keeps the length of the vector of channels at each place, and attention is that length. A multiple
# of such a matrix scales all places alike, which the division takes off. Any other matrix changes some map. So attention can pass on where a network is active. It cannot pass on in which direction of
# the feature space, and this is what the classes are read from.


# %%
def change_of_attention(mixing: torch.Tensor, places: int = 36) -> float:
    """Largest change of an attention map when channels are mixed by a matrix [C, C]."""
    dice = torch.Generator().manual_seed(0)
    side = round(places**0.5)
    features = torch.randn(8, len(mixing), side, side, generator=dice)
    mixed = torch.einsum("ij,bjhw->bihw", mixing, features)
    return float((inside.attention_map(mixed) - inside.attention_map(features)).abs().max())


# %% [markdown]
# ## Exercise 4
#
# The best of $k$ equal draws lies above their mean by the expected maximum of $k$ normal numbers: 1.163 standard
# deviations for five. If validation chooses, and its error is independent of the test set's, the reported
# number has no such bias. What is left is the honest answer: nothing is gained.


# %%
def seeming_gain(k: int = 5, scatter: float = 0.4, tries: int = 20_000) -> tuple[float, float]:
    """Mean gain of the best of k worthless weights: by the test set itself, and by validation."""
    dice = np.random.default_rng(0)
    validation, test = dice.normal(0, scatter, (2, tries, k))
    by_validation = np.take_along_axis(test, validation.argmax(axis=1)[:, None], axis=1)
    return float(test.max(axis=1).mean()), float(by_validation.mean())
