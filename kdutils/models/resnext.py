"""ResNeXt, resnext-<depth>-<cardinality>x<base width> (Xie et al. 2017, arXiv:1611.05431)."""

import torch
import torch.nn.functional as F
from torch import nn

from .resnet import he_normal_


class GroupedBottleneck(nn.Module):
    """conv 1x1, conv 3x3 in groups, conv 1x1, each with batch norm, beside a shortcut.

    Where shapes change, the shortcut is a 1x1 convolution with batch norm.
    """

    def __init__(self, n_in: int, inner: int, n_out: int, groups: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, n_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.shortcut(x))


class ResNeXt(nn.Module):
    """Stem, three stages of n grouped bottlenecks, global average, fc.

    depth = 9 n + 2. `width` is the stem's; the stages have 4, 8 and 16 times as many channels.
    Inside a block of the first stage there are `cardinality` groups of `base` channels; the groups
    double in width from stage to stage. resnext-29-8x64 (width 64) has 34,426,698 parameters. He
    initialisation, as in the authors' code.
    """

    channels_last = True

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        depth: int,
        cardinality: int,
        base: int,
        width: int,
        classes: int,
    ):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_shape[0], width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        blocks: list[nn.Module] = []
        n_in = width
        for stage in range(3):
            inner, n_out = cardinality * base * 2**stage, 4 * width * 2**stage
            for i in range((depth - 2) // 9):
                stride = 2 if stage and not i else 1
                blocks.append(GroupedBottleneck(n_in, inner, n_out, cardinality, stride))
                n_in = n_out
        self.stages = nn.Sequential(*blocks)
        self.fc = nn.Linear(n_in, classes)
        he_normal_(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.stages(self.stem(images))  # [B, 16 width, H / 4, W / 4]
        return self.fc(x.mean(dim=(2, 3)))  # [B, classes]
