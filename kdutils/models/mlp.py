"""Fully connected networks: 784-1200-1200-10 and its smaller students (Hinton et al. 2015)."""

from collections.abc import Sequence
from math import prod

import torch
from torch import nn


class MLP(nn.Module):
    """Linear layers with ReLU between them, dropout on the inputs and on every hidden layer."""

    channels_last = False  # there is no image left to lay out

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        hidden: Sequence[int],
        classes: int,
        dropout: tuple[float, float],
    ):
        super().__init__()
        widths = [prod(in_shape), *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        if dropout[0]:
            layers.append(nn.Dropout(dropout[0]))
        for n_in, n_out in zip(widths, widths[1:], strict=False):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
            if dropout[1]:
                layers.append(nn.Dropout(dropout[1]))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)  # [B, C, H, W] -> [B, classes]
