"""The two networks of github.com/ajitashwath/model-distillation, registered for recipes.

Called ResNet-18 and lightweight student there; neither has a shortcut. As code on any page may do:
a network is a class, and one line registers it.
"""

from collections.abc import Iterator

import torch
from torch import nn

from kdutils import models


def conv_bn_relu(n_in: int, n_out: int, size: int = 3, stride: int = 1) -> Iterator[nn.Module]:
    """A convolution with bias that keeps height and width (over the stride), batch norm, ReLU."""
    yield nn.Conv2d(n_in, n_out, size, stride, padding=size // 2)
    yield nn.BatchNorm2d(n_out)
    yield nn.ReLU()


class Teacher(nn.Module):
    """Seven convolutions, global average, fc: 4,664,970 parameters for 3 channels, 10 classes.

    The stem divides height and width by 4 before the first 3x3 convolution.
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
        return self.fc(self.features(images).mean(dim=(2, 3)))  # [B, C, H, W] -> [B, classes]


class Student(nn.Module):
    """Four convolutions of 16 to 128 channels, global average, two linear layers: 106,826.

    Dropout of .5 before and .3 between the linear layers is part of it.
    """

    channels_last = True

    def __init__(self, in_shape: tuple[int, int, int], classes: int):
        super().__init__()
        blocks: list[nn.Module] = []
        for n_in, n_out in ((in_shape[0], 16), (16, 32), (32, 64), (64, 128)):
            blocks += [*conv_bn_relu(n_in, n_out), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*blocks[:-1])  # no pooling before the average
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, classes)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(images).mean(dim=(2, 3)))


models.register("seed003-teacher", Teacher)
models.register("seed003-student", Student)
