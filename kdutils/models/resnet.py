"""Residual networks of two-convolution blocks for small images (He et al. 2016, arXiv:1512.03385).

`ResNet` is the ImageNet layout in its CIFAR form: a 3x3 stem and no max-pool. `SmallResNet` is the
paper's own CIFAR layout of three narrow stages, resnet<6 n + 2>.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


def he_normal_(net: nn.Module) -> None:
    """He et al. 2015 (arXiv:1502.01852): draw each convolution from N(0, 2 / fan out).

    fan out: the output channels times the kernel's area. It suits convolutions before a ReLU.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where shapes change."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


class ResNet(nn.Module):
    """Stem, one stage of basic blocks for each of `counts`, global average, fc.

    `width` is the stem's and the first stage's; each later stage doubles it and halves the image.
    At width 64, counts 2 2 2 2 (resnet18) have 11,173,962 parameters and 3 4 6 3 (resnet34)
    21,282,122. The initialisation is torch's.
    """

    channels_last = True

    def __init__(
        self, in_shape: tuple[int, int, int], counts: Sequence[int], width: int, classes: int
    ):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_shape[0], width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        blocks: list[nn.Module] = []
        n_in = width
        for stage, count in enumerate(counts):
            n_out = width * 2**stage
            for i in range(count):
                blocks.append(BasicBlock(n_in, n_out, 2 if stage and not i else 1))
                n_in = n_out
        self.stages = nn.Sequential(*blocks)
        self.fc = nn.Linear(n_in, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.stages(self.stem(images))  # [B, 8 width, H / 8, W / 8] after four stages
        return self.fc(x.mean(dim=(2, 3)))  # [B, classes]


class SmallResNet(ResNet):
    """Three stages of n = (depth - 2) / 6 blocks: resnet20 has 272,474 parameters at width 16.

    The paper's shortcuts pad with zeros where shapes change (269,722); these are 1x1 convolutions.
    He initialisation, as in the paper.
    """

    def __init__(self, in_shape: tuple[int, int, int], depth: int, width: int, classes: int):
        super().__init__(in_shape, [(depth - 2) // 6] * 3, width, classes)
        he_normal_(self)
