"""The two networks of github.com/ajitashwath/model-distillation, and its student at other widths.

Called ResNet-18 and lightweight student there; neither has a shortcut. Each joins the families
that recipes may name.
"""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from kdutils.models import FAMILIES, Family
from kdutils.models.networks import Shape


def conv_bn_relu(n_in: int, n_out: int, size: int = 3, stride: int = 1) -> Iterator[nn.Module]:
    """A convolution with bias that keeps height and width (over the stride), batch norm, ReLU."""
    yield nn.Conv2d(n_in, n_out, size, stride, padding=size // 2)
    yield nn.BatchNorm2d(n_out)
    yield nn.ReLU()


class Teacher(nn.Module):
    """Seven convolutions of w to 8 w channels, global average, fc: 4,664,970 parameters at w = 64.

    The stem divides height and width by 4 before the first 3x3 convolution.
    """

    channels_last = True

    def __init__(self, width: int = 64, *, in_shape: Shape, classes: int):
        super().__init__()
        w = width
        self.features = nn.Sequential(
            *conv_bn_relu(in_shape[0], w, size=7, stride=2),
            nn.MaxPool2d(3, 2, padding=1),
            *conv_bn_relu(w, 2 * w),
            *conv_bn_relu(2 * w, 2 * w),
            *conv_bn_relu(2 * w, 4 * w, stride=2),
            *conv_bn_relu(4 * w, 4 * w),
            *conv_bn_relu(4 * w, 8 * w, stride=2),
            *conv_bn_relu(8 * w, 8 * w),
        )
        self.fc = nn.Linear(8 * w, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.features(images).mean(dim=(2, 3)))  # [B, C, H, W] -> [B, classes]


class Student(nn.Module):
    """Four convolutions of w to 8 w channels, global average, two linear layers: 106,826 at w = 16.

    Dropout of .5 before and .3 between the linear layers is part of it; `plain` leaves both out.
    """

    channels_last = True

    def __init__(self, width: int = 16, *, in_shape: Shape, classes: int, plain: bool = False):
        super().__init__()
        blocks: list[nn.Module] = []
        widths = [in_shape[0], *(width * 2**k for k in range(4))]
        for n_in, n_out in pairwise(widths):
            blocks += [*conv_bn_relu(n_in, n_out), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*blocks[:-1])  # no pooling before the average
        before, between = (0.0, 0.0) if plain else (0.5, 0.3)
        self.classifier = nn.Sequential(
            *(nn.Dropout(before), nn.Linear(8 * width, 4 * width), nn.ReLU()),
            *(nn.Dropout(between), nn.Linear(4 * width, classes)),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(images).mean(dim=(2, 3)))


FAMILIES |= {
    "seed003-teacher": Family(Teacher, "(-wN)?", "'seed003-teacher', 'seed003-teacher-w8'"),
    "seed003-student": Family(Student, "(-wN)?", "'seed003-student', 'seed003-student-w8'"),
    "seed003-plain": Family(
        partial(Student, plain=True), "(-wN)?", "'seed003-plain', 'seed003-plain-w8'"
    ),
}
