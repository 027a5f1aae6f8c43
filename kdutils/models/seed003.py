"""The two networks of the "lightweight student" (github.com/ajitashwath/model-distillation)."""

from collections.abc import Iterator

import torch
from torch import nn


def conv_bn_relu(n_in: int, n_out: int, size: int = 3, stride: int = 1) -> Iterator[nn.Module]:
    """A convolution with bias that keeps height and width (over the stride), batch norm, ReLU."""
    yield nn.Conv2d(n_in, n_out, size, stride, padding=size // 2)
    yield nn.BatchNorm2d(n_out)
    yield nn.ReLU()


class Seed003Teacher(nn.Module):
    """ResNet-18 by name there, but without a shortcut: seven convolutions, global average, fc.

    4,664,970 parameters. The stem divides height and width by 4 before the first 3x3 convolution.
    """

    channels_last = True

    def __init__(self, in_shape: tuple[int, int, int], classes: int):
        super().__init__()
        self.features = nn.Sequential(
            *conv_bn_relu(in_shape[0], 64, size=7, stride=2),
            nn.MaxPool2d(3, 2, padding=1),
            *conv_bn_relu(64, 128),
            *conv_bn_relu(128, 128),
            *conv_bn_relu(128, 256, stride=2),
            *conv_bn_relu(256, 256),
            *conv_bn_relu(256, 512, stride=2),
            *conv_bn_relu(512, 512),
        )
        self.fc = nn.Linear(512, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.features(images)  # [B, 512, H / 16, W / 16]
        return self.fc(x.mean(dim=(2, 3)))  # [B, classes]


class Seed003Student(nn.Module):
    """Four convolutions of 16 to 128 channels, global average, two linear layers.

    106,826 parameters. Dropout of .5 before and .3 between the linear layers is part of it.
    """

    channels_last = True

    def __init__(self, in_shape: tuple[int, int, int], classes: int):
        super().__init__()
        self.features = nn.Sequential(
            *conv_bn_relu(in_shape[0], 16),
            nn.MaxPool2d(2),
            *conv_bn_relu(16, 32),
            nn.MaxPool2d(2),
            *conv_bn_relu(32, 64),
            nn.MaxPool2d(2),
            *conv_bn_relu(64, 128),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, classes)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.features(images)  # [B, 128, H / 8, W / 8]
        return self.classifier(x.mean(dim=(2, 3)))  # [B, classes]
