"""FastNet: a strong CIFAR teacher for little arithmetic, after Page 2019 and Jordan 2024.

Sources: D. Page, "How to train your ResNet" (2019); K. Jordan, arXiv:2404.00498. The layout is
theirs: frozen whitening of 2 x 2 patches, three blocks of two convolutions, a scaled linear head,
an answer averaged over the image and its mirror image.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .residual import conv


def block(n_in: int, n_out: int) -> nn.Sequential:
    """conv 3x3, max-pool 2, batch norm, GELU; conv 3x3, batch norm, GELU. [H, W] is halved."""
    first, second = conv(n_in, n_out, 3), conv(n_out, n_out, 3)
    for each in (first, second):  # what comes in goes on unchanged at first
        nn.init.dirac_(each.weight[: each.in_channels])
    return nn.Sequential(
        *(first, nn.MaxPool2d(2), nn.BatchNorm2d(n_out), nn.GELU()),
        *(second, nn.BatchNorm2d(n_out), nn.GELU()),
    )


class FastNet(nn.Module):
    """Whitening, blocks of width, 4 width and 4 width channels, max-pool, linear head.

    1,972,504 parameters are trained at width 64 (the whitening filters, 288 numbers, are not). In
    evaluation mode the logits are the mean over the image and its mirror image.
    """

    channels_last = True

    def __init__(self, width: int = 64, *, in_shape: tuple[int, int, int], classes: int):
        super().__init__()
        patch = in_shape[0] * 4  # 2 x 2 pixels
        self.whiten = nn.Conv2d(in_shape[0], 2 * patch, 2)
        self.whiten.weight.requires_grad_(False)
        self.blocks = nn.Sequential(
            block(2 * patch, width), block(width, 4 * width), block(4 * width, 4 * width)
        )
        self.head = nn.Linear(4 * width, classes, bias=False)

    @torch.no_grad()
    def prepare(self, images: torch.Tensor) -> None:
        """Set the whitening filters from normalised training images, float32 [N, C, H, W].

        Each filter is an eigenvector of the 2 x 2 patches' covariance over the root of its
        eigenvalue, once with either sign: its answers have variance one and do not correlate.
        """
        patches = F.unfold(images, 2).transpose(1, 2).flatten(0, 1).double()  # [N', 4 C]
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / (values + 5e-4).sqrt()).T.flip(0)  # largest variance first
        filters = filters.view(-1, *self.whiten.weight.shape[1:])
        self.whiten.weight.copy_(torch.cat([filters, -filters]))
        self.whiten.bias.zero_()

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        x = self.blocks(F.gelu(self.whiten(images)))  # [B, 4 width, 3, 3]
        return self.head(x.amax(dim=(2, 3))) / 9

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            return self.logits(images)  # [B, C, H, W] -> [B, classes]
        return (self.logits(images) + self.logits(images.flip(3))) / 2
