# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 11
#
# Each exercise is a function; the tests run them.

# %%
import copy

import numpy as np
import torch
from torch import nn

# %% [markdown]
# ## Exercise 1
#
# Weights take one byte, biases four. Batch norms are folded, so they take nothing of their own.


# %%
def bytes_in_int8(net: nn.Module) -> int:
    """Bytes of all weights in 8 bits and of all biases in 32, once the batch norms are folded."""
    layers = [m.weight for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    # a folded layer has a bias for each of its outputs
    return sum(weight.numel() + 4 * weight.shape[0] for weight in layers)


# %% [markdown]
# ## Exercise 2
#
# A wide range makes long steps, so everything is rounded coarsely. A narrow one clips what lies outside.
# The first error grows with the range, the second falls, and their sum has a minimum in between.


# %%
def error_by_range(x: torch.Tensor, to_int8, from_int8, ranges) -> dict[float, float]:
    """The mean squared error of numbers rounded in 255 steps from -r to r, by r."""
    return {r: float(((from_int8(*to_int8(x, -r, r)) - x) ** 2).mean()) for r in ranges}


# %% [markdown]
# ## Exercise 3
#
# With $b$ bits there are $2^b - 2$ steps from $-m$ to $m$ (both ends and zero included), so each bit less
# doubles the step. The accuracy holds for a while, because errors of many weights partly cancel, and
# then falls quickly.


# %%
def with_bits(net: nn.Module, bits: int) -> nn.Module:
    """A copy whose convolutions and linear layers have weights of so many bits, per channel."""
    net = copy.deepcopy(net).eval()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            w = layer.weight.data
            largest = w.flatten(1).abs().amax(dim=1).clamp(min=1e-12)
            step = (2 * largest / (2**bits - 2)).view(-1, *[1] * (w.ndim - 1))
            layer.weight.data = (w / step).round() * step
    return net


# %% [markdown]
# ## Exercise 4
#
# $\hat p_i / p_i = e^{\hat z_i - z_i} \cdot \sum_j e^{z_j} / \sum_j e^{\hat z_j}$. The first factor lies
# between $e^{-s/2}$ and $e^{s/2}$. So does the second: each term of the lower sum is within these factors
# of its partner above. Together they give $e^{-s}$ and $e^{s}$.


# %%
def largest_ratio(logits: torch.Tensor, moved: torch.Tensor) -> float:
    """The largest |ln(p' / p)| of any class of any image; both [N, classes]."""
    change = moved.double().log_softmax(1) - logits.double().log_softmax(1)
    return float(np.abs(change.numpy()).max())
