"""Pre-activation residual networks, preresnet-<depth> (He et al. 2016b, arXiv:1603.05027)."""

import torch
import torch.nn.functional as F
from torch import nn

from .resnet import he_normal_


class PreActBottleneck(nn.Module):
    """Three times [batch norm, ReLU, conv]: 1x1 to n channels, 3x3, 1x1 to 4 n; plus a shortcut.

    Where shapes change, the shortcut is a bare 1x1 convolution of the first ReLU.
    """

    def __init__(self, n_in: int, n: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(n_in)
        self.conv1 = nn.Conv2d(n_in, n, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n)
        self.conv2 = nn.Conv2d(n, n, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(n)
        self.conv3 = nn.Conv2d(n, 4 * n, 1, bias=False)
        self.shortcut = None
        if stride != 1 or n_in != 4 * n:
            self.shortcut = nn.Conv2d(n_in, 4 * n, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(active))))
        out = self.conv3(F.relu(self.bn3(out)))
        return out + (x if self.shortcut is None else self.shortcut(active))


class PreResNet(nn.Module):
    """Stem of `width` channels, three stages of n bottlenecks, batch norm, ReLU, average, fc.

    depth = 9 n + 2; at width 16 the stages have 64, 128 and 256 channels, a quarter of that inside
    a block. preresnet-164 has 1,703,258 parameters. He initialisation, as in the paper.

    github.com/bearpaw/pytorch-classification counts two layers for a bottleneck of three, so the
    network that seed 002 and its source call PreResNet-110 is this one of 164 layers. Their
    shortcut convolutions take a block's raw input; here they follow He's code.
    """

    channels_last = True

    def __init__(self, in_shape: tuple[int, int, int], depth: int, width: int, classes: int):
        super().__init__()
        blocks: list[nn.Module] = []
        n_in = width
        for stage in range(3):
            n = width * 2**stage
            for i in range((depth - 2) // 9):
                blocks.append(PreActBottleneck(n_in, n, 2 if stage and not i else 1))
                n_in = 4 * n
        self.stem = nn.Conv2d(in_shape[0], width, 3, padding=1, bias=False)
        self.stages = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(n_in)
        self.fc = nn.Linear(n_in, classes)
        he_normal_(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn(self.stages(self.stem(images))))  # [B, 256, H / 4, W / 4]
        return self.fc(x.mean(dim=(2, 3)))  # [B, classes]
