"""Networks without shortcuts: fully connected ones and CNN5.

In: the numbers in a name, the image shape (C, H, W), the number of classes. Out: a `Chain`.
"""

from collections import OrderedDict
from itertools import pairwise
from math import prod

import torch
from torch import nn

Shape = tuple[int, int, int]
Shares = tuple[float, float]  # dropped of the inputs and of the hidden units


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
    """Linear layers with ReLU between them, dropout on the inputs and on every hidden layer.

    hidden: their widths, such as 1200, 1200 (Hinton et al. 2015).
    """
    widths = [prod(in_shape), *hidden, classes]
    layers: list[nn.Module] = [nn.Flatten()]
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
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
        conv = nn.Conv2d(n_in, n_out, 3, padding=1)
        blocks += [conv, nn.BatchNorm2d(n_out), nn.MaxPool2d(2), nn.ReLU()]
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
