"""DenseNet-BC, densenet-<depth>-<growth> (Huang et al. 2017, arXiv:1608.06993)."""

import torch
import torch.nn.functional as F
from torch import nn

from .resnet import he_normal_


class DenseLayer(nn.Module):
    """[batch norm, ReLU, conv 1x1 to 4 k], [batch norm, ReLU, conv 3x3 to k], joined to the input.

    In: n channels. Out: n + k, k being the growth.
    """

    def __init__(self, n: int, growth: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(n)
        self.conv1 = nn.Conv2d(n, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv1(F.relu(self.bn1(x)))
        return torch.cat([x, self.conv2(F.relu(self.bn2(out)))], dim=1)


class Transition(nn.Sequential):
    """Between two dense blocks: half the channels (compression .5), half the height and width."""

    def __init__(self, n: int):
        super().__init__(
            nn.BatchNorm2d(n),
            nn.ReLU(),
            nn.Conv2d(n, n // 2, 1, bias=False),
            nn.AvgPool2d(2),
        )


class DenseNet(nn.Module):
    """Stem of 2 k channels, three blocks of n layers, batch norm, ReLU, global average, fc.

    depth = 6 n + 4; k is the growth. densenet-100-12 has 769,162 parameters. He initialisation,
    as in the paper.
    """

    channels_last = True

    def __init__(self, in_shape: tuple[int, int, int], depth: int, growth: int, classes: int):
        super().__init__()
        layers: list[nn.Module] = []
        n = 2 * growth
        for block in range(3):
            if block:
                layers.append(Transition(n))
                n //= 2
            for _ in range((depth - 4) // 6):
                layers.append(DenseLayer(n, growth))
                n += growth
        self.stem = nn.Conv2d(in_shape[0], 2 * growth, 3, padding=1, bias=False)
        self.stages = nn.Sequential(*layers)
        self.bn = nn.BatchNorm2d(n)
        self.fc = nn.Linear(n, classes)
        he_normal_(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn(self.stages(self.stem(images))))  # [B, n, H / 4, W / 4]
        return self.fc(x.mean(dim=(2, 3)))  # [B, classes]
