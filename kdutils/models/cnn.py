"""CNN5, the small student of the "dark knowledge" poster: three convolutions, two linear layers."""

import torch
from torch import nn


class CNN5(nn.Module):
    """Three times [conv 3x3, batch norm, max-pool 2, ReLU], then fc, batch norm, ReLU, dropout, fc.

    At width 32 on 3 x 32 x 32 images it has 357,514 parameters.
    """

    channels_last = True

    def __init__(
        self, in_shape: tuple[int, int, int], width: int, classes: int, dropout: float = 0.0
    ):
        super().__init__()
        channels = [in_shape[0], width, 2 * width, 4 * width]
        blocks: list[nn.Module] = []
        for n_in, n_out in zip(channels, channels[1:], strict=False):
            blocks += [
                nn.Conv2d(n_in, n_out, 3, padding=1),
                nn.BatchNorm2d(n_out),
                nn.MaxPool2d(2),
                nn.ReLU(),
            ]
        self.features = nn.Sequential(*blocks)
        flat = channels[-1] * (in_shape[1] // 8) * (in_shape[2] // 8)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(flat, 4 * width),
            nn.BatchNorm1d(4 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, classes),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(images))  # [B, C, H, W] -> [B, classes]
