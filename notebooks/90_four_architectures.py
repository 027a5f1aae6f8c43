# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 90 · Appendix: what is inside the four teachers?
#
# The poster of [chapter 05](05_deeper_distillation.ipynb) takes its teachers from four families:
# WideResNet, PreActResNet, DenseNet and ResNeXt. Each family rests on one idea, and each idea fits
# into a few lines. Knowing them tells you what a teacher costs. It also uncovers a network whose name
# is wrong.
#
# **You will be able to**
#
# - compute the weights and multiplications of any convolution;
# - write the building block of each family in plain PyTorch;
# - count the depth of a network instead of believing its name.
#
# *Time: seconds on every profile. Nothing is trained here.*

# %% tags=["parameters"]
PROFILE = "laptop"  # every profile is the same here: nothing is trained
SEEDS = None
TRAIN = False

# %%
from kdutils.experiments import Lab

lab = Lab("90", PROFILE, SEEDS, TRAIN)

# %% [markdown]
# ## Predict first
#
# 1. WRN-28-10 has 47 times the parameters of DenseNet-BC-100-12. How many times the multiplications
#    does it need for one image: fewer than 47 times, 47 times, or more?
# 2. How many layers does the poster's "PreResNet-110" have?
#
# ## 1. What a convolution costs
#
# A $k \times k$ convolution from $n$ to $m$ channels in $g$ groups has one filter for each output
# channel, and each filter reads $n / g$ channels. On an image of $H \times W$ positions (stride 1, no
# bias) each weight is used once at each position:
#
# $$ \text{weights} = \frac{k^2\, n\, m}{g}, \qquad \text{multiplications} = H\, W \cdot \text{weights} . $$
#
# ### Your turn: the cost of a convolution


# %% tags=["your-turn"]
def cost(n, m, k, size, groups=1):
    """Weights, and multiplications for one image of size x size. n, m: channels in and out."""
    # your turn: the two formulas above
    weights = k * k * n * m // groups
    return weights, size * size * weights
    # end


# %% tags=["check"]
import torch
from experiments.networks import count_macs
from torch import nn

from kdutils import models

for n, m, k, size, groups in ((16, 32, 3, 8, 1), (64, 64, 3, 16, 8), (64, 16, 1, 32, 1)):
    layer = nn.Conv2d(n, m, k, padding=k // 2, groups=groups, bias=False)
    counted = layer.weight.numel(), count_macs(layer, (n, size, size))
    assert cost(n, m, k, size, groups) == counted, f"{layer}: PyTorch counts {counted}"
print("cost holds: as PyTorch counts three layers.")

# %% [markdown]
# ## 2. Width instead of depth, and pre-activation
#
# A residual block adds what it computes to its input: $y = x + f(x)$.
# [He et al. (2016)](https://arxiv.org/abs/1603.05027) moved normalisation and ReLU *in front of* each
# convolution. Then nothing stands between $x$ and the sum, and over many blocks
# of one stage
#
# $$ x_L = x_0 + \sum_{l < L} f_l(x_l) . $$
#
# The sum passes the gradient back to every block unchanged; what the later $f_l$ pass back is added to
# it. If $f = 0$, the block is the identity.
# [Zagoruyko and Komodakis (2016)](https://arxiv.org/abs/1605.07146) then asked whether depth is needed
# at all. They took 28 layers and made them $k$ times as *wide*, at $k^2$ times the weights.

# %%
from experiments.networks import WideBlock


def norm_relu_conv(n_in, n_out, kernel):
    conv = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(n_in), nn.ReLU(), conv)


def take_weights(mine, theirs):
    """Copy all weights in their order; an error where the numbers of weights differ."""
    assert models.count_parameters(mine) == models.count_parameters(theirs)
    flat = nn.utils.parameters_to_vector(theirs.parameters())
    nn.utils.vector_to_parameters(flat, mine.parameters())


x = torch.randn(2, 32, 16, 16, generator=torch.Generator().manual_seed(0))  # [B, C, H, W]
f = nn.Sequential(norm_relu_conv(32, 32, 3), norm_relu_conv(32, 32, 3))
block = WideBlock(32, 32, stride=1, dropout=0.0)
take_weights(f, block)
assert torch.allclose(x + f(x), block(x), atol=1e-5)
nn.init.zeros_(block.f[-1].weight)  # now f = 0
assert torch.equal(block(x), x)
print(f"wide block: {models.count_parameters(f):,} parameters; with f = 0 it is the identity")

# %% [markdown]
# ## 3. The bottleneck
#
# A 3 × 3 convolution on many channels is expensive. So first reduce to a quarter of the channels with
# a 1 × 1 convolution, do the 3 × 3 there, and expand again. The block now has three convolutions and is
# still far cheaper than a single 3 × 3 at full width. That makes depth affordable.

# %%
from experiments.networks import PreActBottleneck

x = torch.randn(2, 256, 8, 8, generator=torch.Generator().manual_seed(0))  # [B, 4 n, H, W]
f = nn.Sequential(
    norm_relu_conv(256, 64, 1),  # down: [B, n, H, W]
    norm_relu_conv(64, 64, 3),  # the only 3 x 3
    norm_relu_conv(64, 256, 1),  # up: [B, 4 n, H, W]
)
block = PreActBottleneck(256, 256, stride=1)
take_weights(f, block)
assert torch.allclose(x + f(x), block(x), atol=1e-4)
print(f"bottleneck: {models.count_parameters(f):,}; one full 3 x 3: {cost(256, 256, 3, 8)[0]:,}")

# %% [markdown]
# ### How deep is "PreResNet-110"?
#
# The depth of a network is the number of layers with weights along its longest path: the stem, the
# convolutions of the blocks, and the last linear layer. Shortcuts do not count. Three stages of $n$
# bottlenecks have $3 \cdot 3n + 2 = 9n + 2$ layers. The code behind the poster computes
# $n = (110 - 2) / 6 = 18$, as if a block had two convolutions, but builds bottlenecks of three.
#
# ### Your turn: count the layers


# %% tags=["your-turn"]
def depth(net):
    """Convolutions and linear layers of a network, without those of its shortcuts."""
    # your turn: net.named_modules() gives (name, module); shortcuts have "shortcut" in their name
    return sum(
        isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name
        for name, module in net.named_modules()
    )
    # end


# %% tags=["check"]
def on_paper(name):
    """A network on the `meta` device: it has shapes and no numbers, so counting is free."""
    with torch.device("meta"):
        return models.build(name)


for name, layers in (("resnet8", 8), ("preresnet-164", 164), ("densenet-100-12", 100)):
    assert depth(on_paper(name)) == layers, f"{name}: {layers}; yours: {depth(on_paper(name))}"
net = on_paper(f"preresnet-{9 * 18 + 2}")  # 18 bottlenecks a stage, as the poster's code builds
assert models.count_parameters(net) == 1_703_258, "the parameters that its source reports"
print(f"depth holds. 18 bottlenecks a stage make {depth(net)} layers, not 110.")

# %% [markdown]
# The parameters of that network are those that the poster's source reports. So its "PreResNet-110" has
# 164 layers, and we call it `preresnet-164`. In He's paper, too, the bottleneck network has 164.
#
# ## 4. Dense concatenation
#
# [Huang et al. (2017)](https://arxiv.org/abs/1608.06993) do not add. Each layer *appends* its $k$ new
# channels to everything before it, so that every later layer can read them unchanged. After $l$ layers
# there are $n_0 + k l$ channels. The growth $k$ can be small, here 12. A 1 × 1 convolution to $4k$
# channels keeps the long input affordable.
#
# ### Your turn: the dense layer


# %% tags=["your-turn"]
def dense(x, f):
    """What a dense layer passes on. x: [B, n, H, W]; f: [B, n, H, W] -> [B, k, H, W]."""
    # your turn: everything that came in, and the new channels behind it
    return torch.cat([x, f(x)], dim=1)  # [B, n + k, H, W]
    # end


# %% tags=["check"]
from experiments.networks import DenseLayer

k, n = 12, 24  # growth, channels at the start
x = torch.randn(2, n, 16, 16, generator=torch.Generator().manual_seed(0))
for _ in range(3):
    f = nn.Sequential(norm_relu_conv(n, 4 * k, 1), norm_relu_conv(4 * k, k, 3))
    layer = DenseLayer(n, k)
    take_weights(f, layer)
    joined = dense(x, f)
    assert joined.shape == (2, n + k, 16, 16), (
        f"{list(joined.shape)} in place of {[2, n + k, 16, 16]}"
    )
    assert torch.allclose(joined, layer(x), atol=1e-5), "the channels stand in another order"
    print(f"{n} -> {joined.shape[1]} channels for {models.count_parameters(f):,} parameters")
    x, n = joined, n + k

# %% [markdown]
# ## 5. Grouped convolution
#
# [Xie et al. (2017)](https://arxiv.org/abs/1611.05431) split the middle of a bottleneck into $g$ groups.
# Each group reads only its own channels, so the 3 × 3 convolution has $1/g$ of the weights. For the
# same price the block can be wider. Normalisation and ReLU come *after* the convolution here.

# %%
from experiments.networks import GroupedBottleneck


def conv_norm(n_in, n_out, kernel, groups=1):
    conv = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(n_out)]


x = torch.randn(2, 64, 8, 8, generator=torch.Generator().manual_seed(0))
f = nn.Sequential(*conv_norm(64, 32, 1), nn.ReLU(), *conv_norm(32, 32, 3, groups=8), nn.ReLU(),
                  *conv_norm(32, 64, 1))  # fmt: skip
block = GroupedBottleneck(64, 32, 64, groups=8, stride=1)
take_weights(f, block)
assert torch.allclose(torch.relu(x + f(x)), block(x), atol=1e-5)
one, eight = (cost(512, 512, 3, 8, groups)[0] for groups in (1, 8))
print(f"3 x 3 on 512 channels: {one:,} weights in one group, {eight:,} in eight")

# %% [markdown]
# ## 6. What they cost
#
# Parameters decide the size of the file. Multiplications decide what an answer costs. The two are not
# the same, because a convolution uses each weight at every position. All numbers are counted, and the
# parameters must equal the published ones.

# %%
import pandas as pd

published = {"resnet18": 11_173_962, "wrn-28-10": 36_479_194, "preresnet-164": 1_703_258,
             "densenet-100-12": 769_162, "resnext-29-8x64": 34_426_698}  # fmt: skip
small = ["resnet8", "wrn-10-2", "preresnet-20", "densenet-22-12", "resnext-11-4x8-w16"]
nets = {name: on_paper(name) for name in [*published, *small]}
costs = pd.DataFrame({
    "layers": {name: depth(net) for name, net in nets.items()},
    "parameters": {name: models.count_parameters(net) for name, net in nets.items()},
    "million multiplications": {name: count_macs(net) / 1e6 for name, net in nets.items()},
})  # fmt: skip
assert costs["parameters"][list(published)].to_dict() == published
costs["multiplications a parameter"] = 1e6 * costs.iloc[:, 2] / costs.iloc[:, 1]
times = costs.loc["wrn-28-10"] / costs.loc["densenet-100-12"]
print(f"WRN-28-10 over DenseNet-BC-100-12: parameters {times.iloc[1]:.0f} times, "
      f"multiplications {times.iloc[2]:.0f} times")  # fmt: skip
costs.map("{:,.0f}".format)

# %% tags=["hide-input"]
points = costs[["parameters", "million multiplications"]]
ax = points[:5].plot(*points, style="o", label="the poster's networks", loglog=True,
                     figsize=(7.5, 4.4), markevery=1)  # fmt: skip
points[5:].plot(*points, style="sC1", mfc="w", label="chapter 05, laptop", markevery=1, ax=ax)
ax.set(xlim=(1e4, 4e8), ylabel="million multiplications an image")
for name, *at in points.itertuples():
    left, down = name.startswith(("densenet", "resnext-29")), -7 if "x8-" in name else -2
    ax.annotate(name, at, (-7 if left else 7, down), textcoords="offset points", fontsize=9,
                ha="right" if left else "left")  # fmt: skip
words = "; ".join(f"{name} {x:.3g}, {y:.3g}" for name, x, y in points.itertuples())
lab.show(ax.figure, "90_costs", f"Parameters and million multiplications, logarithmic: {words}")

# %% [markdown]
# Points on one rising diagonal (ten times the parameters, ten times the multiplications) use each
# weight equally often. The higher a point lies above its neighbours of the same size, the more an
# answer costs for each number that is stored. Find pairs of networks that swap places when you rank
# them by multiplications instead of by parameters.
#
# ## What we saw
#
# 1. **Fewer.** The line above the table gives the ratio. Compare the last column: DenseNet uses a
#    weight at many more positions, because a larger share of its weights works on large images.
# 2. **164.** A name is a claim. Counting is a test.
#
# The first five rows are the poster's networks and its student, the other five those of [chapter 05](05_deeper_distillation.ipynb) on
# `laptop`. Look at their layers: on `laptop` no teacher is deep, and `wrn-10-2` has exactly as many
# layers as its student. (The names of WideResNets count the three shortcut convolutions and leave out
# the last linear layer, so they say two more than we count.)
#
# ## Where it can mislead
#
# Multiplications are not seconds. A grouped convolution, or the joining of many small tensors, can
# be slow although it multiplies little, because moving numbers costs time too. Measure before you
# choose a network for speed.
#
# ## Exercise
#
# *(5 minutes, easy)* By the rule of the poster's code, how many layers do its "PreResNet-44", "-56" and
# "-110" really have? From 44 on it builds bottlenecks; below, blocks of two convolutions, and the name
# is right. *Check:* `depth(on_paper("preresnet-65"))` must give your answer for 44. Solution:
# [solutions/90_four_architectures.py](solutions/90_four_architectures.py).
#
# ## Summary and sources
#
# Four ideas carry the four families: width on an unobstructed path, the bottleneck, concatenation,
# groups.
#
# - K. He et al. (2016), *Identity mappings in deep residual networks*,
#   [arXiv:1603.05027](https://arxiv.org/abs/1603.05027).
# - S. Zagoruyko, N. Komodakis (2016), *Wide residual networks*,
#   [arXiv:1605.07146](https://arxiv.org/abs/1605.07146).
# - G. Huang et al. (2017), *Densely connected convolutional networks*,
#   [arXiv:1608.06993](https://arxiv.org/abs/1608.06993).
# - S. Xie et al. (2017), *Aggregated residual transformations for deep neural networks*,
#   [arXiv:1611.05431](https://arxiv.org/abs/1611.05431).
# - The networks as the poster uses them:
#   [bearpaw/pytorch-classification](https://github.com/bearpaw/pytorch-classification).
