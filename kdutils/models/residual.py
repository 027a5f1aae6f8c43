"""Residual networks and DenseNet for small images: blocks, and two skeletons that they hang in.

In: the image shape (C, H, W), the number of classes, the numbers in the name. Out: a `Chain` of
stem, stages, global average, fc. The first block of each stage but the first halves the image.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from .plain import Chain, GlobalAverage, Shape

Block = Callable[[int, int, int], nn.Module]  # called with channels in, channels out, stride


def he_normal_(net: Chain) -> Chain:
    """He et al. 2015 (arXiv:1502.01852): convolutions from N(0, 2 / (n_out * kernel's area))."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


def conv(n_in: int, n_out: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps height and width (over the stride)."""
    return nn.Conv2d(n_in, n_out, size, stride, size // 2, groups=groups, bias=False)


def normed_shortcut(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    """The identity, or a 1x1 convolution with batch norm where shapes change."""
    if stride == 1 and n_in == n_out:
        return nn.Sequential()
    return nn.Sequential(conv(n_in, n_out, 1, stride), nn.BatchNorm2d(n_out))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each with batch norm, beside a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = conv(n_in, n_out, 3, stride), nn.BatchNorm2d(n_out)
        self.conv2, self.bn2 = conv(n_out, n_out, 3), nn.BatchNorm2d(n_out)
        self.shortcut = normed_shortcut(n_in, n_out, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


class GroupedBottleneck(nn.Module):
    """conv 1x1, conv 3x3 in groups, conv 1x1, each with batch norm, beside a shortcut."""

    def __init__(self, n_in: int, inner: int, n_out: int, groups: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = conv(n_in, inner, 1), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = conv(inner, inner, 3, stride, groups), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = conv(inner, n_out, 1), nn.BatchNorm2d(n_out)
        self.shortcut = normed_shortcut(n_in, n_out, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.shortcut(x))


class WideBlock(nn.Module):
    """Twice [batch norm, ReLU, conv 3x3], dropout between the two, beside a shortcut.

    Where shapes change, the shortcut is a bare 1x1 convolution of the first ReLU.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, dropout: float):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(n_in), conv(n_in, n_out, 3, stride)
        self.bn2, self.dropout = nn.BatchNorm2d(n_out), nn.Dropout(dropout)
        self.conv2 = conv(n_out, n_out, 3)
        same = stride == 1 and n_in == n_out
        self.shortcut = None if same else conv(n_in, n_out, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = F.relu(self.bn1(x))
        out = self.conv2(self.dropout(F.relu(self.bn2(self.conv1(active)))))
        return out + (x if self.shortcut is None else self.shortcut(active))


class PreActBottleneck(nn.Module):
    """Three times [batch norm, ReLU, conv]: 1x1 to n channels, 3x3, 1x1 to 4 n; plus a shortcut.

    Where shapes change, the shortcut is a bare 1x1 convolution of the first ReLU.
    """

    def __init__(self, n_in: int, n: int, stride: int):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(n_in), conv(n_in, n, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(n), conv(n, n, 3, stride)
        self.bn3, self.conv3 = nn.BatchNorm2d(n), conv(n, 4 * n, 1)
        same = stride == 1 and n_in == 4 * n
        self.shortcut = None if same else conv(n_in, 4 * n, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(active))))
        out = self.conv3(F.relu(self.bn3(out)))
        return out + (x if self.shortcut is None else self.shortcut(active))


class DenseLayer(nn.Module):
    """[batch norm, ReLU, conv 1x1 to 4 k], [batch norm, ReLU, conv 3x3 to k], joined to the input.

    In: n channels. Out: n + k, k being the growth.
    """

    def __init__(self, n: int, growth: int):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(n), conv(n, 4 * growth, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(4 * growth), conv(4 * growth, growth, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv1(F.relu(self.bn1(x)))
        return torch.cat([x, self.conv2(F.relu(self.bn2(out)))], dim=1)


def stages(block: Block, n_in: int, n_out: int, counts: Sequence[int]) -> tuple[nn.Sequential, int]:
    """Stages of so many blocks, and the channels that leave them: n_out, doubled in each stage."""
    blocks = []
    for stage, count in enumerate(counts):
        for i in range(count):
            blocks.append(block(n_in, n_out * 2**stage, 2 if stage and not i else 1))
            n_in = n_out * 2**stage
    return nn.Sequential(*blocks), n_in


def resnet(
    shape: Shape, classes: int, width: int, counts=(2, 2, 2, 2), block: Block = BasicBlock, out=1
) -> Chain:
    """The ImageNet layout in its CIFAR form: a 3x3 stem, no max-pool, stages of basic blocks.

    counts: the blocks in each stage; the first has `width` channels (times `out`). As it stands,
    resnet18: 11,173,962 parameters at width 64. torch's initialisation. Source: He et al. 2016,
    arXiv:1512.03385.
    """
    stem = nn.Sequential(conv(shape[0], width, 3), nn.BatchNorm2d(width), nn.ReLU())
    blocks, n = stages(block, width, out * width, counts)
    return Chain(stem=stem, stages=blocks, average=GlobalAverage(), fc=nn.Linear(n, classes))


def small_resnet(shape: Shape, classes: int, depth: int, width: int) -> Chain:
    """The paper's CIFAR layout: three stages of n blocks, depth = 6 n + 2; He initialisation.

    resnet20 has 272,474 parameters at width 16. The paper's shortcuts pad with zeros where shapes
    change (269,722); these are 1x1 convolutions.
    """
    return he_normal_(resnet(shape, classes, width, [depth // 6] * 3))


def resnext(shape: Shape, classes: int, depth: int, groups: int, base: int, width: int) -> Chain:
    """Three stages of n grouped bottlenecks, depth = 9 n + 2 (Xie et al. 2017, arXiv:1611.05431).

    The stem has `width` channels, the stages 4, 8 and 16 times as many. Inside a block of the first
    stage each group has `base` channels; that doubles from stage to stage. resnext-29-8x64 (width
    64) has 34,426,698 parameters. He initialisation, as in the authors' code.
    """

    def block(n_in: int, n_out: int, stride: int) -> GroupedBottleneck:
        return GroupedBottleneck(n_in, groups * base * n_out // (4 * width), n_out, groups, stride)

    return he_normal_(resnet(shape, classes, width, [depth // 9] * 3, block, out=4))


def pre_activated(shape: Shape, classes: int, width: int, blocks: nn.Sequential, n: int) -> Chain:
    """A bare stem, blocks that begin with batch norm and ReLU, both once more, average, fc.

    n: the channels that leave the blocks. He initialisation, as in the papers.
    """
    stem, end = conv(shape[0], width, 3), {"bn": nn.BatchNorm2d(n), "relu": nn.ReLU()}
    head = {"average": GlobalAverage(), "fc": nn.Linear(n, classes)}
    return he_normal_(Chain(stem=stem, stages=blocks, **end, **head))


def wide_resnet(
    shape: Shape, classes: int, depth: int, widen: int, width: int, dropout: tuple[float, float]
) -> Chain:
    """Three stages of n wide blocks (Zagoruyko & Komodakis 2016, arXiv:1605.07146).

    depth = 6 n + 4, which counts the stem and three shortcut convolutions, but not fc; at width 16
    the stages have 16, 32 and 64 channels times `widen`. wrn-28-10 has 36,479,194 parameters.
    """
    block = partial(WideBlock, dropout=dropout[1])
    blocks = stages(block, width, width * widen, [depth // 6] * 3)
    return pre_activated(shape, classes, width, *blocks)


def preresnet(shape: Shape, classes: int, depth: int, width: int) -> Chain:
    """Three stages of n pre-activated bottlenecks (He et al. 2016b, arXiv:1603.05027).

    depth = 9 n + 2; at width 16 the stages have 64, 128 and 256 channels, a quarter of that inside
    a block. preresnet-164 has 1,703,258 parameters. bearpaw/pytorch-classification counts two
    layers for a bottleneck of three, so what it and seed 002 call PreResNet-110 is this one of 164
    layers; its shortcut convolutions take a block's raw input, these follow He's code.
    """
    counts = [depth // 9] * 3
    blocks = stages(lambda i, n, by: PreActBottleneck(i, n // 4, by), width, 4 * width, counts)
    return pre_activated(shape, classes, width, *blocks)


def densenet(shape: Shape, classes: int, depth: int, growth: int) -> Chain:
    """DenseNet-BC: three blocks of n dense layers (Huang et al. 2017, arXiv:1608.06993).

    depth = 6 n + 4, the stem has 2 k channels, k being the growth. Between two blocks a 1x1
    convolution halves the channels (compression .5), and an average pool the height and width.
    densenet-100-12 has 769,162 parameters.
    """
    layers: list[nn.Module] = []
    n = 2 * growth
    for block in range(3):
        if block:
            halved = conv(n, n // 2, 1)
            layers.append(nn.Sequential(nn.BatchNorm2d(n), nn.ReLU(), halved, nn.AvgPool2d(2)))
            n //= 2
        for _ in range(depth // 6):
            layers.append(DenseLayer(n, growth))
            n += growth
    return pre_activated(shape, classes, 2 * growth, nn.Sequential(*layers), n)
