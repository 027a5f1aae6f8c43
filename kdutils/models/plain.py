"""Networks without shortcuts: fully connected ones, CNN5, the pair of the "lightweight student".

In: the image shape (C, H, W), the number of classes, the numbers in the name. Out: a `Chain`.
"""

from collections import OrderedDict
from collections.abc import Iterator
from math import prod

import torch
from torch import nn

Shape = tuple[int, int, int]


class Chain(nn.Sequential):
    """Parts one after the other, each by its name: images [B, C, H, W] to logits [B, classes]."""

    channels_last = True

    def __init__(self, **parts: nn.Module):
        super().__init__(OrderedDict(parts))


class GlobalAverage(nn.Module):
    """The mean over height and width: [B, n, H, W] to [B, n]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


def mlp(shape: Shape, classes: int, *hidden: int, dropout: tuple[float, float]) -> Chain:
    """Linear layers with ReLU between them, dropout on the inputs and on every hidden layer.

    hidden: their widths, such as 1200, 1200 (Hinton et al. 2015).
    """
    widths = [prod(shape), *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    if dropout[0]:
        layers.append(nn.Dropout(dropout[0]))
    for n_in, n_out in zip(widths, hidden, strict=False):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        if dropout[1]:
            layers.append(nn.Dropout(dropout[1]))
    net = Chain(layers=nn.Sequential(*layers, nn.Linear(widths[-1], classes)))
    net.channels_last = False  # there is no image left to lay out
    return net


def cnn5(shape: Shape, classes: int, width: int, dropout: tuple[float, float]) -> Chain:
    """Three times [conv 3x3, batch norm, max-pool 2, ReLU], then fc, batch norm, ReLU, dropout, fc.

    The small student of the "dark knowledge" poster: 357,514 parameters at width 32 on 3 x 32 x 32.
    """
    channels = [shape[0], width, 2 * width, 4 * width]
    blocks: list[nn.Module] = []
    for n_in, n_out in zip(channels, channels[1:], strict=False):
        conv = nn.Conv2d(n_in, n_out, 3, padding=1)
        blocks += [conv, nn.BatchNorm2d(n_out), nn.MaxPool2d(2), nn.ReLU()]
    return Chain(
        features=nn.Sequential(*blocks),
        classifier=nn.Sequential(
            nn.Flatten(),
            nn.Linear(4 * width * (shape[1] // 8) * (shape[2] // 8), 4 * width),
            nn.BatchNorm1d(4 * width),
            nn.ReLU(),
            nn.Dropout(dropout[1]),
            nn.Linear(4 * width, classes),
        ),
    )


def conv_bn_relu(n_in: int, n_out: int, size: int = 3, stride: int = 1) -> Iterator[nn.Module]:
    """A convolution with bias that keeps height and width (over the stride), batch norm, ReLU."""
    yield nn.Conv2d(n_in, n_out, size, stride, padding=size // 2)
    yield nn.BatchNorm2d(n_out)
    yield nn.ReLU()


def seed003_teacher(shape: Shape, classes: int) -> Chain:
    """The teacher of github.com/ajitashwath/model-distillation: 4,664,970 parameters.

    ResNet-18 by name there, but without a shortcut: seven convolutions, global average, fc. The
    stem divides height and width by 4 before the first 3x3 convolution.
    """
    features = nn.Sequential(
        *conv_bn_relu(shape[0], 64, size=7, stride=2),
        nn.MaxPool2d(3, 2, padding=1),
        *conv_bn_relu(64, 128),
        *conv_bn_relu(128, 128),
        *conv_bn_relu(128, 256, stride=2),
        *conv_bn_relu(256, 256),
        *conv_bn_relu(256, 512, stride=2),
        *conv_bn_relu(512, 512),
    )
    return Chain(features=features, average=GlobalAverage(), fc=nn.Linear(512, classes))


def seed003_student(shape: Shape, classes: int) -> Chain:
    """Its student: four convolutions of 16 to 128 channels, global average, two linear layers.

    106,826 parameters. Dropout of .5 before and .3 between the linear layers is part of it.
    """
    blocks: list[nn.Module] = []
    for n_in, n_out in ((shape[0], 16), (16, 32), (32, 64), (64, 128)):
        blocks += [*conv_bn_relu(n_in, n_out), nn.MaxPool2d(2)]
    features = nn.Sequential(*blocks[:-1])  # no pooling before the average
    classifier = nn.Sequential(
        nn.Dropout(0.5), nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, classes)
    )
    return Chain(features=features, average=GlobalAverage(), classifier=classifier)
