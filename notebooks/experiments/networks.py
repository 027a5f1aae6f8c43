"""The deep networks of the course: FastNet, WideResNet, PreActResNet, DenseNet-BC and ResNeXt.

In: the numbers in a name, the image shape (C, H, W), the number of classes. Out: a network. Each
joins the families that recipes may name. `count_macs` and `largest_maps` say what an answer costs.
"""

import copy
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from kdutils.models import FAMILIES, Family
from kdutils.models.networks import (
    Chain,
    GlobalAverage,
    Residual,
    Shape,
    Shares,
    conv,
    conv_norm,
    he_normal_,
    post_activated,
    stages,
)


def fast_block(n_in: int, n_out: int) -> nn.Sequential:
    """conv 3x3, max-pool 2, batch norm, GELU; conv 3x3, batch norm, GELU. [H, W] is halved."""
    first, second = conv(n_in, n_out, 3), conv(n_out, n_out, 3)
    for each in (first, second):  # what comes in goes on unchanged at first
        nn.init.dirac_(each.weight[: each.in_channels])
    return nn.Sequential(
        *(first, nn.MaxPool2d(2), nn.BatchNorm2d(n_out), nn.GELU()),
        *(second, nn.BatchNorm2d(n_out), nn.GELU()),
    )


class FastNet(nn.Module):
    """A strong CIFAR teacher for little arithmetic, after Page 2019 and Jordan 2024.

    Whitening of 2 x 2 patches, which is not trained; blocks of width, 4 width and 4 width channels;
    max-pool; a scaled linear head. 1,972,504 parameters are trained at width 64. In evaluation mode
    the logits are the mean over the image and its mirror image. Sources: D. Page, "How to train
    your ResNet" (2019); K. Jordan, arXiv:2404.00498.
    """

    channels_last = True

    def __init__(self, width: int = 64, *, in_shape: Shape, classes: int):
        super().__init__()
        patch = in_shape[0] * 4  # 2 x 2 pixels
        self.whiten = nn.Conv2d(in_shape[0], 2 * patch, 2)
        self.whiten.weight.requires_grad_(False)
        self.blocks = nn.Sequential(
            fast_block(2 * patch, width),
            fast_block(width, 4 * width),
            fast_block(4 * width, 4 * width),
        )
        self.head = nn.Linear(4 * width, classes, bias=False)

    @torch.no_grad()
    def prepare(self, images: torch.Tensor) -> None:
        """Set the whitening filters from normalised training images, float32 [N, C, H, W].

        Each filter is an eigenvector of the 2 x 2 patches' covariance over the root of its
        eigenvalue, once with either sign: its answers have variance one and do not correlate.
        """
        patches = F.unfold(images, 2).transpose(1, 2).flatten(0, 1).double()  # [N', 4 C]
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / (values + 5e-4).sqrt()).T.flip(0)  # largest variance first
        filters = filters.view(-1, *self.whiten.weight.shape[1:])
        self.whiten.weight.copy_(torch.cat([filters, -filters]))
        self.whiten.bias.zero_()

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        x = self.blocks(F.gelu(self.whiten(images)))  # [B, 4 width, 3, 3]
        return self.head(x.amax(dim=(2, 3))) / 9

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            return self.logits(images)  # [B, C, H, W] -> [B, classes]
        return (self.logits(images) + self.logits(images.flip(3))) / 2


def norm_relu(n: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(n), nn.ReLU())


class PreActivated(nn.Module):
    """f(a) + x, where a = relu(batch norm(x)).

    Where shapes change, a bare 1x1 convolution of a stands for x.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, *f: nn.Module):
        super().__init__()
        self.before, self.f = norm_relu(n_in), nn.Sequential(*f)
        same = stride == 1 and n_in == n_out
        self.shortcut = None if same else conv(n_in, n_out, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.before(x)
        return self.f(a) + (x if self.shortcut is None else self.shortcut(a))


class WideBlock(PreActivated):
    """f: conv 3x3, batch norm, ReLU, dropout, conv 3x3."""

    def __init__(self, n_in: int, n_out: int, stride: int, dropout: float):
        first, second = conv(n_in, n_out, 3, stride), conv(n_out, n_out, 3)
        f = first, norm_relu(n_out), nn.Dropout(dropout), second
        super().__init__(n_in, n_out, stride, *f)


class PreActBottleneck(PreActivated):
    """f: conv 1x1 to a quarter of n_out channels, conv 3x3, conv 1x1.

    Batch norm and ReLU stand between them.
    """

    def __init__(self, n_in: int, n_out: int, stride: int):
        n = n_out // 4
        down, middle, up = conv(n_in, n, 1), conv(n, n, 3, stride), conv(n, n_out, 1)
        f = down, norm_relu(n), middle, norm_relu(n), up
        super().__init__(n_in, n_out, stride, *f)


class GroupedBottleneck(Residual):
    """f: conv 1x1 to `inner` channels, conv 3x3 in groups, conv 1x1, each with batch norm."""

    def __init__(self, n_in: int, inner: int, n_out: int, groups: int, stride: int):
        down, grouped = conv_norm(n_in, inner, 1), conv_norm(inner, inner, 3, stride, groups)
        up = conv_norm(inner, n_out, 1)
        super().__init__(n_in, n_out, stride, down, nn.ReLU(), grouped, nn.ReLU(), up)


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


def pre_activated(shape: Shape, classes: int, width: int, blocks: nn.Sequential, n: int) -> Chain:
    """A bare stem, blocks that begin with batch norm and ReLU, both once more, average, fc.

    n: the channels that leave the blocks. He initialisation, as in the papers.
    """
    stem, end = conv(shape[0], width, 3), {"bn": nn.BatchNorm2d(n), "relu": nn.ReLU()}
    head = {"average": GlobalAverage(), "fc": nn.Linear(n, classes)}
    return he_normal_(Chain(stem=stem, stages=blocks, **end, **head))


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


BY_SIX, BY_NINE = range(10, 1001, 6), range(11, 1002, 9)  # depths
WRN = "'wrn-28-10' (depth, widening), 'wrn-10-1-w4'"
PRERESNET = "'preresnet-164' (1,703,258 parameters: some code calls it 110), 'preresnet-11-w4'"
DENSENET = "'densenet-100-12' (depth, growth)"
RESNEXT = "'resnext-29-8x64', 'resnext-11-4x8-w16' (depth, groups x their width, stem width)"
FAMILIES |= {
    "fastnet": Family(FastNet, "(-wN)?", "'fastnet', 'fastnet-w32'"),
    "wrn": Family(wide_resnet, "-N-N(-wN)?", WRN, BY_SIX, dropout=(False, True)),
    "preresnet": Family(preresnet, "-N(-wN)?", PRERESNET, BY_NINE),
    "densenet": Family(densenet, "-N-N", DENSENET, BY_SIX),
    "resnext": Family(resnext, "-N-NxN(-wN)?", RESNEXT, BY_NINE),
}


def count_macs(net: nn.Module, in_shape: Shape = (3, 32, 32)) -> int:
    """Multiply-accumulate operations for one image in evaluation mode.

    Convolutions and matrix products count (biases, norms and activations do not). Nothing is
    computed: a copy of `net` runs on the meta device, which knows shapes alone.
    """
    twin = copy.deepcopy(net).to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        twin(torch.empty(1, *in_shape, device="meta"))
    return counter.get_total_flops() // 2  # it counts a multiplication and an addition as two


def largest_maps(net: nn.Module, in_shape: Shape = (3, 32, 32)) -> int:
    """Bytes that the hungriest convolution takes in and gives out, for one image in float32.

    A device has to hold them at once. Nothing is computed (`count_macs`).
    """
    twin, seen = copy.deepcopy(net).to("meta").eval(), [0]
    for part in filter(lambda m: isinstance(m, nn.Conv2d), twin.modules()):
        part.register_forward_hook(lambda _, x, y: seen.append(x[0].numel() + y.numel()))
    with torch.no_grad():
        twin(torch.empty(1, *in_shape, device="meta"))
    return 4 * max(seen)
