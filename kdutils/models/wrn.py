"""Wide residual networks, wrn-<depth>-<widen> (Zagoruyko & Komodakis 2016, arXiv:1605.07146)."""

import torch
import torch.nn.functional as F
from torch import nn

from .resnet import he_normal_


class WideBlock(nn.Module):
    """Twice [batch norm, ReLU, conv 3x3], dropout between the two, beside a shortcut.

    Where the number of channels changes, the shortcut is a 1x1 convolution of the first ReLU.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, dropout: float):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(n_in)
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.shortcut = None
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Conv2d(n_in, n_out, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = F.relu(self.bn1(x))
        out = self.conv2(self.dropout(F.relu(self.bn2(self.conv1(active)))))
        return out + (x if self.shortcut is None else self.shortcut(active))


class WideResNet(nn.Module):
    """Stem of `width` channels, three stages of n blocks, batch norm, ReLU, global average, fc.

    depth = 6 n + 4, which counts the stem and three shortcut convolutions, but not fc; at width 16
    the stages have 16, 32 and 64 channels times `widen`. wrn-28-10 has 36,479,194 parameters. He
    initialisation, as in the paper.
    """

    channels_last = True

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        depth: int,
        widen: int,
        width: int,
        classes: int,
        dropout: float = 0.0,
    ):
        super().__init__()
        blocks: list[nn.Module] = []
        n_in = width
        for stage in range(3):
            n_out = width * widen * 2**stage
            for i in range((depth - 4) // 6):
                blocks.append(WideBlock(n_in, n_out, 2 if stage and not i else 1, dropout))
                n_in = n_out
        self.stem = nn.Conv2d(in_shape[0], width, 3, padding=1, bias=False)
        self.stages = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(n_in)
        self.fc = nn.Linear(n_in, classes)
        he_normal_(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn(self.stages(self.stem(images))))  # [B, 64 widen, H / 4, W / 4]
        return self.fc(x.mean(dim=(2, 3)))  # [B, classes]
