"""Small networks for small images, and the parts that other networks are made of.

In: the numbers in a name, the image shape (C, H, W), the number of classes, the shares dropped of
inputs and of hidden units. Out: a `Chain`.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

import torch
from torch import nn

Shape = tuple[int, int, int]
Shares = tuple[float, float]
Block = Callable[[int, int, int], nn.Module]  # called with channels in, channels out, stride


class Chain(nn.Sequential):
    """Parts one after the other, each by its name: images [B, C, H, W] to logits [B, classes]."""

    channels_last = True

    def __init__(self, **parts: nn.Module):
        super().__init__(OrderedDict(parts))


class GlobalAverage(nn.Module):
    """The mean over height and width: [B, n, H, W] to [B, n]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


def mlp(*hidden: int, in_shape: Shape, classes: int, dropout: Shares) -> Chain:
    """Linear layers of these widths with ReLU between them, each after its dropout."""
    layers: list[nn.Module] = [nn.Flatten()]
    for i, (n_in, n_out) in enumerate(pairwise([prod(in_shape), *hidden, classes])):
        if i:
            layers.append(nn.ReLU())
        if share := dropout[i > 0]:
            layers.append(nn.Dropout(share))
        layers.append(nn.Linear(n_in, n_out))
    net = Chain(layers=nn.Sequential(*layers))
    net.channels_last = False  # there is no image left to lay out
    return net


def cnn5(width: int = 32, *, in_shape: Shape, classes: int, dropout: Shares) -> Chain:
    """Three times [conv 3x3, batch norm, max-pool 2, ReLU], then fc, batch norm, ReLU, dropout, fc.

    The small student of the "dark knowledge" poster: 357,514 parameters at width 32 on 3 x 32 x 32.
    """
    channels, height, length = in_shape
    blocks: list[nn.Module] = []
    for n_in, n_out in pairwise([channels, width, 2 * width, 4 * width]):
        first = nn.Conv2d(n_in, n_out, 3, padding=1)
        blocks += [first, nn.BatchNorm2d(n_out), nn.MaxPool2d(2), nn.ReLU()]
    return Chain(
        features=nn.Sequential(*blocks),
        classifier=nn.Sequential(
            nn.Flatten(),
            nn.Linear(4 * width * (height // 8) * (length // 8), 4 * width),
            nn.BatchNorm1d(4 * width),
            nn.ReLU(),
            nn.Dropout(dropout[1]),
            nn.Linear(4 * width, classes),
        ),
    )


def he_normal_(net: Chain) -> Chain:
    """He et al. 2015 (arXiv:1502.01852): convolutions from N(0, 2 / (n_out * kernel's area))."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


def conv(n_in: int, n_out: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps height and width (over the stride)."""
    return nn.Conv2d(n_in, n_out, size, stride, size // 2, groups=groups, bias=False)


def conv_norm(n_in: int, n_out: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(conv(n_in, n_out, size, stride, groups), nn.BatchNorm2d(n_out))


class Residual(nn.Module):
    """relu(f(x) + x). Where shapes change, a 1x1 convolution with batch norm is applied to x."""

    def __init__(self, n_in: int, n_out: int, stride: int, *f: nn.Module):
        super().__init__()
        self.f = nn.Sequential(*f)
        same = stride == 1 and n_in == n_out
        self.shortcut = nn.Identity() if same else conv_norm(n_in, n_out, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.f(x) + self.shortcut(x))


class BasicBlock(Residual):
    """f: two 3x3 convolutions, each with batch norm."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        first, second = conv_norm(n_in, n_out, 3, stride), conv_norm(n_out, n_out, 3)
        super().__init__(n_in, n_out, stride, first, nn.ReLU(), second)


def stages(block: Block, n_in: int, n_out: int, counts: Sequence[int]) -> tuple[nn.Sequential, int]:
    """Stages of so many blocks, and the channels that leave them: n_out, doubled in each stage.

    Every stage but the first halves height and width.
    """
    blocks = []
    for stage, count in enumerate(counts):
        for i in range(count):
            blocks.append(block(n_in, n_out * 2**stage, 2 if stage and not i else 1))
            n_in = n_out * 2**stage
    return nn.Sequential(*blocks), n_in


def post_activated(
    shape: Shape, classes: int, width: int, block: Block, n_out: int, counts: Sequence[int]
) -> Chain:
    """A stem with batch norm and ReLU, stages whose first has n_out channels, average, fc."""
    stem = nn.Sequential(*conv_norm(shape[0], width, 3), nn.ReLU())
    blocks, n = stages(block, width, n_out, counts)
    return Chain(stem=stem, stages=blocks, average=GlobalAverage(), fc=nn.Linear(n, classes))


def resnet18(width: int = 64, *, in_shape: Shape, classes: int) -> Chain:
    """The ImageNet layout in its CIFAR form: a 3x3 stem, no max-pool (arXiv:1512.03385).

    11,173,962 parameters at width 64. torch's initialisation.
    """
    return post_activated(in_shape, classes, width, BasicBlock, width, [2, 2, 2, 2])


def resnet(depth: int, width: int = 16, *, in_shape: Shape, classes: int) -> Chain:
    """That paper's CIFAR layout: three stages of n blocks, depth = 6 n + 2; He initialisation.

    resnet20 has 272,474 parameters at width 16. The paper's shortcuts pad with zeros where shapes
    change (269,722); these are 1x1 convolutions.
    """
    counts = [depth // 6] * 3
    return he_normal_(post_activated(in_shape, classes, width, BasicBlock, width, counts))
