"""Networks of chapter 09: a small vision transformer, ResNet-50, and students of several shapes.

In: the numbers in a name, the image shape (C, H, W), the number of classes. Out: a network. Each
joins the families that recipes may name.
"""

import torch
from torch import nn

from kdutils.models import FAMILIES, Family
from kdutils.models.networks import Chain, GlobalAverage, Shape, conv_norm, post_activated

from .networks import GroupedBottleneck


class Attention(nn.Module):
    """Multi-head self-attention: every token becomes a mean of all, weighted by what it asks for.

    In and out: tokens [B, N, D]. Source: Vaswani et al. 2017 (arXiv:1706.03762), equation 1.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, n, d = x.shape
        qkv = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)  # [B, heads, N, D / heads] each
        weights = (q @ k.transpose(2, 3) * (d // self.heads) ** -0.5).softmax(dim=3)  # [.., N, N]
        return self.out((weights @ v).transpose(1, 2).reshape(b, n, d))


class TransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)) with GELU and twice the width inside."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(dim), Attention(dim, heads))
        inner = nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)
        self.think = nn.Sequential(nn.LayerNorm(dim), *inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attend(x)
        return x + self.think(x)


class VisionTransformer(nn.Module):
    """Patches of p x p pixels as tokens, learned positions, `depth` blocks, mean, linear head.

    Heads have 32 values each. Source: Dosovitskiy et al. 2021 (arXiv:2010.11929), with the mean of
    the tokens in place of a class token (Beyer et al. 2022, arXiv:2205.01580).
    """

    channels_last = False

    def __init__(self, patch: int, dim: int, depth: int, *, in_shape: Shape, classes: int):
        super().__init__()
        channels, height, width = in_shape
        if height % patch or width % patch or dim % 32:
            raise ValueError(
                f"vit-{patch}-{dim}-{depth} does not fit images of {list(in_shape)}: the patch must "
                f"divide {height} and {width}, and 32 must divide the width {dim}."
            )
        self.patches = nn.Conv2d(channels, dim, patch, patch)  # one linear map for each patch
        tokens = height * width // patch**2
        self.positions = nn.Parameter(0.02 * torch.randn(1, tokens, dim))
        self.blocks = nn.Sequential(*(TransformerBlock(dim, dim // 32) for _ in range(depth)))
        self.norm, self.fc = nn.LayerNorm(dim), nn.Linear(dim, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2) + self.positions  # [B, N, D]
        return self.fc(self.norm(self.blocks(x)).mean(dim=1))


def resnet50(width: int = 64, *, in_shape: Shape, classes: int) -> Chain:
    """The ImageNet layout in its CIFAR form: a 3x3 stem, no max-pool (arXiv:1512.03385).

    23,520,842 parameters at width 64. torch's initialisation.
    """

    def block(n_in: int, n_out: int, stride: int) -> GroupedBottleneck:
        return GroupedBottleneck(n_in, n_out // 4, n_out, 1, stride)

    return post_activated(in_shape, classes, width, block, 4 * width, [3, 4, 6, 3])


def convs(count: int, width: int, *hidden: int, in_shape: Shape, classes: int) -> Chain:
    """So many 3x3 convolutions with batch norm and ReLU, then linear layers of these widths.

    Channels double with each max-pool; there are three, after every third of the convolutions
    (fewer where there are fewer). Without a hidden layer, a global average stands before the head.
    """
    channels, size, _ = in_shape
    parts: list[nn.Module] = []
    pools = min(3, count)
    ends = {round(count * (k + 1) / pools) for k in range(pools)}
    for k in range(1, count + 1):
        parts += [conv_norm(channels, width, 3), nn.ReLU()]
        channels = width
        if k in ends:
            parts.append(nn.MaxPool2d(2))
            width, size = 2 * width, size // 2
    head: list[nn.Module] = [nn.Flatten()] if hidden else [GlobalAverage()]
    n = channels * size**2 if hidden else channels
    for each in hidden:
        head += [nn.Linear(n, each), nn.BatchNorm1d(each), nn.ReLU()]
        n = each
    return Chain(
        features=nn.Sequential(*parts), classifier=nn.Sequential(*head, nn.Linear(n, classes))
    )


FAMILIES |= {
    "vit": Family(VisionTransformer, "-N-N-N", "'vit-4-128-6' (patch, width, blocks)"),
    "resnet50": Family(resnet50, "(-wN)?", "'resnet50', 'resnet50-w16'"),
    "convs": Family(convs, "-NxN(-N)*", "'convs-3x32-128' (convolutions x width, linear layers)"),
}
