"""Residual networks and DenseNet for small images: blocks, and two skeletons that they hang in.

In: the numbers in a name, the image shape (C, H, W), the number of classes. Out: a `Chain` of
stem, stages, global average, fc. The first block of each stage but the first halves the image.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from .plain import Chain, GlobalAverage, Shape, Shares

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


def conv_norm(n_in: int, n_out: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(conv(n_in, n_out, size, stride, groups), nn.BatchNorm2d(n_out))


def norm_relu(n: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(n), nn.ReLU())


class Residual(nn.Module):
    """relu(f(x) + x), or, pre-activated, f(a) + x, where a = relu(batch norm(x)).

    Where shapes change, a 1x1 convolution stands for x: of x, with batch norm, or of a, bare.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, *f: nn.Module, pre: bool = False):
        super().__init__()
        self.before, self.f = norm_relu(n_in) if pre else nn.Identity(), nn.Sequential(*f)
        same = stride == 1 and n_in == n_out
        self.shortcut = None if same else (conv if pre else conv_norm)(n_in, n_out, 1, stride)
        self.after = nn.Identity() if pre else nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.before(x)
        return self.after(self.f(a) + (x if self.shortcut is None else self.shortcut(a)))


class BasicBlock(Residual):
    """f: two 3x3 convolutions, each with batch norm."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        first, second = conv_norm(n_in, n_out, 3, stride), conv_norm(n_out, n_out, 3)
        super().__init__(n_in, n_out, stride, first, nn.ReLU(), second)


class GroupedBottleneck(Residual):
    """f: conv 1x1 to `inner` channels, conv 3x3 in groups, conv 1x1, each with batch norm."""

    def __init__(self, n_in: int, inner: int, n_out: int, groups: int, stride: int):
        down, grouped = conv_norm(n_in, inner, 1), conv_norm(inner, inner, 3, stride, groups)
        up = conv_norm(inner, n_out, 1)
        super().__init__(n_in, n_out, stride, down, nn.ReLU(), grouped, nn.ReLU(), up)


class WideBlock(Residual):
    """Pre-activated, f: conv 3x3, batch norm, ReLU, dropout, conv 3x3."""

    def __init__(self, n_in: int, n_out: int, stride: int, dropout: float):
        first, second = conv(n_in, n_out, 3, stride), conv(n_out, n_out, 3)
        f = first, norm_relu(n_out), nn.Dropout(dropout), second
        super().__init__(n_in, n_out, stride, *f, pre=True)


class PreActBottleneck(Residual):
    """Pre-activated, f: conv 1x1 to a quarter of n_out channels, conv 3x3, conv 1x1.

    Batch norm and ReLU stand between them.
    """

    def __init__(self, n_in: int, n_out: int, stride: int):
        n = n_out // 4
        down, middle, up = conv(n_in, n, 1), conv(n, n, 3, stride), conv(n, n_out, 1)
        f = down, norm_relu(n), middle, norm_relu(n), up
        super().__init__(n_in, n_out, stride, *f, pre=True)


class DenseLayer(nn.Module):
    """[batch norm, ReLU, conv 1x1 to 4 k], [batch norm, ReLU, conv 3x3 to k], joined to the input.

    In: n channels. Out: n + k, k being the growth.
    """

    def __init__(self, n: int, growth: int):
        super().__init__()
        down, new = conv(n, 4 * growth, 1), conv(4 * growth, growth, 3)
        self.f = nn.Sequential(norm_relu(n), down, norm_relu(4 * growth), new)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.f(x)], dim=1)


def stages(block: Block, n_in: int, n_out: int, counts: Sequence[int]) -> tuple[nn.Sequential, int]:
    """Stages of so many blocks, and the channels that leave them: n_out, doubled in each stage."""
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


def pre_activated(shape: Shape, classes: int, width: int, blocks: nn.Sequential, n: int) -> Chain:
    """A bare stem, blocks that begin with batch norm and ReLU, both once more, average, fc.

    n: the channels that leave the blocks. He initialisation, as in the papers.
    """
    stem, end = conv(shape[0], width, 3), {"bn": nn.BatchNorm2d(n), "relu": nn.ReLU()}
    head = {"average": GlobalAverage(), "fc": nn.Linear(n, classes)}
    return he_normal_(Chain(stem=stem, stages=blocks, **end, **head))


def resnet18(width: int = 64, *, in_shape: Shape, classes: int) -> Chain:
    """The ImageNet layout in its CIFAR form: a 3x3 stem, no max-pool, stages of basic blocks.

    11,173,962 parameters at width 64. torch's initialisation. Source: He et al. 2016,
    arXiv:1512.03385.
    """
    return post_activated(in_shape, classes, width, BasicBlock, width, [2, 2, 2, 2])


def resnet(depth: int, width: int = 16, *, in_shape: Shape, classes: int) -> Chain:
    """The paper's CIFAR layout: three stages of n blocks, depth = 6 n + 2; He initialisation.

    resnet20 has 272,474 parameters at width 16. The paper's shortcuts pad with zeros where shapes
    change (269,722); these are 1x1 convolutions.
    """
    counts = [depth // 6] * 3
    return he_normal_(post_activated(in_shape, classes, width, BasicBlock, width, counts))


def resnext(
    depth: int, groups: int, base: int, width: int = 64, *, in_shape: Shape, classes: int
) -> Chain:
    """Three stages of n grouped bottlenecks, depth = 9 n + 2 (Xie et al. 2017, arXiv:1611.05431).

    The stem has `width` channels, the stages 4, 8 and 16 times as many. Inside a block of the first
    stage each group has `base` channels; that doubles from stage to stage. resnext-29-8x64 (width
    64) has 34,426,698 parameters. He initialisation, as in the authors' code.
    """

    def block(n_in: int, n_out: int, stride: int) -> GroupedBottleneck:
        return GroupedBottleneck(n_in, groups * base * n_out // (4 * width), n_out, groups, stride)

    counts = [depth // 9] * 3
    return he_normal_(post_activated(in_shape, classes, width, block, 4 * width, counts))


def wide_resnet(
    depth: int, widen: int, width: int = 16, *, in_shape: Shape, classes: int, dropout: Shares
) -> Chain:
    """Three stages of n wide blocks (Zagoruyko & Komodakis 2016, arXiv:1605.07146).

    depth = 6 n + 4, which counts the stem and three shortcut convolutions, but not fc; at width 16
    the stages have 16, 32 and 64 channels times `widen`. wrn-28-10 has 36,479,194 parameters.
    """
    block = partial(WideBlock, dropout=dropout[1])
    blocks = stages(block, width, width * widen, [depth // 6] * 3)
    return pre_activated(in_shape, classes, width, *blocks)


def preresnet(depth: int, width: int = 16, *, in_shape: Shape, classes: int) -> Chain:
    """Three stages of n pre-activated bottlenecks (He et al. 2016b, arXiv:1603.05027).

    depth = 9 n + 2; at width 16 the stages have 64, 128 and 256 channels, a quarter of that inside
    a block. preresnet-164 has 1,703,258 parameters. bearpaw/pytorch-classification counts two
    layers for a bottleneck of three, so what it and seed 002 call PreResNet-110 is this one of 164
    layers; its shortcut convolutions take a block's raw input, these follow He's code.
    """
    blocks = stages(PreActBottleneck, width, 4 * width, [depth // 9] * 3)
    return pre_activated(in_shape, classes, width, *blocks)


def densenet(depth: int, growth: int, *, in_shape: Shape, classes: int) -> Chain:
    """DenseNet-BC: three blocks of n dense layers (Huang et al. 2017, arXiv:1608.06993).

    depth = 6 n + 4, the stem has 2 k channels, k being the growth. Between two blocks a 1x1
    convolution halves the channels (compression .5), and an average pool the height and width.
    densenet-100-12 has 769,162 parameters.
    """
    layers: list[nn.Module] = []
    n = 2 * growth
    for block in range(3):
        if block:
            layers.append(nn.Sequential(norm_relu(n), conv(n, n // 2, 1), nn.AvgPool2d(2)))
            n //= 2
        for _ in range(depth // 6):
            layers.append(DenseLayer(n, growth))
            n += growth
    return pre_activated(in_shape, classes, 2 * growth, nn.Sequential(*layers), n)
