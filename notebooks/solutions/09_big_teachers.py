# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions of chapter 09
#
# Each exercise is a function; the tests run them.

# %%
import torch

from kdutils import metrics
from kdutils.knowledge import average

# %% [markdown]
# ## Exercise 1
#
# Patches: $3p^2 D + D$. Positions: $D$ for each of $(32/p)^2$ tokens. A block: queries, keys and values
# $3(D^2 + D)$, their output $D^2 + D$, the MLP $2D^2 + 2D$ and $2D^2 + D$, two layer norms $2 \cdot 2D$.
# At the end a layer norm and the head.


# %%
def vit_parameters(patch: int, width: int, blocks: int, size: int = 32, classes: int = 10) -> int:
    """Parameters of a vision transformer with MLPs of twice its width, on images of 3 channels."""
    d, tokens = width, (size // patch) ** 2
    block = 4 * (d * d + d) + (2 * d * d + 2 * d) + (2 * d * d + d) + 4 * d
    return 3 * patch**2 * d + d + tokens * d + blocks * block + 2 * d + d * classes + classes


# %% [markdown]
# ## Exercise 2
#
# With $N$ tokens, the linear layers of a block take $8 N D^2$ multiplications: $4 N D^2$ around the attention,
# $4 N D^2$ in the MLP. The scores and the mean of the values take $N^2 D$ each. So the share is
# $2N / (2N + 8D) = N / (N + 4D)$. The amount $2 N^2 D$ grows with the fourth power of $1/p$, the linear layers with
# its square. So the share grows with the square at first, and then saturates at one.


# %%
def attention_share(patch: int, width: int = 128, size: int = 32) -> float:
    """The share of a block's multiplications that grows with the square of the tokens."""
    tokens = (size // patch) ** 2
    return tokens / (tokens + 4 * width)


# %% [markdown]
# ## Exercise 3
#
# Let the first teacher be torn between its favourite 0 and the class 1, and let the second veto 0 but be
# sure of 2, to which the first gives next to nothing. The product then favours class 1, which nobody minds.
# The mean favours class 2, on which one teacher insists.


# %%
def two_that_divide_the_means() -> torch.Tensor:
    """Logits [2 teachers, 1 image, 3 classes]: the two means name different classes."""
    probabilities = torch.tensor([[[0.55, 0.44, 0.01]], [[1e-4, 0.2, 0.8]]])
    return (probabilities / probabilities.sum(dim=2, keepdim=True)).log()


# %% [markdown]
# ## Exercise 4
#
# Probabilities: $-\log$ is convex, so by Jensen's inequality $-\log \frac1M \sum_m p_m \le \frac1M \sum_m -\log p_m$.
# Logits: the NLL is $-z_y + \log \sum_c e^{z_c}$, a linear function plus log-sum-exp, which is convex. So it is
# convex in $z$, and the same inequality holds for the mean of logits. Equality: for probabilities where all members
# give the true class the same one, for logits only where they give the same to every class.


# %%
def nll_gaps(z: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Mean NLL of the members less the NLL of their mean, for both means; z [teachers, N, classes]."""
    alone = sum(metrics.nll(member, labels) for member in z) / len(z)
    return {
        kind: alone - metrics.nll(average(z, kind), labels) for kind in ("logits", "probabilities")
    }
