"""The networks of the course: `build(name, ...)` gives one by its name.

In: a name, the image shape, the number of classes, dropout. Out: a `torch.nn.Module` that maps
normalised float images [B, C, H, W] to logits [B, classes].
"""

import re

from torch import nn

from .cnn import CNN5
from .mlp import MLP
from .resnet import ResNet18

NAMES = "'mlp-800-800' (any hidden widths), 'cnn5', 'cnn5-w8', 'resnet18', 'resnet18-w16'"


def check(name: str, dropout: tuple[float, float] = (0.0, 0.0)) -> tuple[str, list[int]]:
    """The family and the widths in a network's name.

    Raises ValueError for a name that no network has, or dropout that it cannot take.
    """
    if len(dropout) != 2 or not all(0 <= share < 1 for share in dropout):
        raise ValueError(f"dropout = {dropout!r} must hold two shares in [0, 1): inputs, hidden.")
    if match := re.fullmatch(r"mlp((?:-[1-9]\d*)+)", str(name)):
        return "mlp", [int(width) for width in match[1].split("-")[1:]]
    if match := re.fullmatch(r"(cnn5|resnet18)(?:-w([1-9]\d*))?", str(name)):
        if dropout[0] or (dropout[1] and match[1] == "resnet18"):
            raise ValueError(f"{name} has no dropout there; dropout = {dropout!r} must be 0.")
        return match[1], [int(match[2] or {"cnn5": 32, "resnet18": 64}[match[1]])]
    raise ValueError(f"model = {name!r} is not a network of the course. There are: {NAMES}.")


def build(
    name: str,
    in_shape: tuple[int, int, int] = (3, 32, 32),
    classes: int = 10,
    dropout: tuple[float, float] = (0.0, 0.0),
) -> nn.Module:
    """A fresh network, initialised from torch's global random state.

    name: a family and its widths, such as 'mlp-1200-1200', 'cnn5' (width 32 in its first
    layer), 'resnet18-w16' (first width 16 instead of 64). in_shape: (channels, height, width).
    dropout: the share dropped of the inputs and of the hidden units (where the family has it).
    Raises ValueError as `check` does.
    """
    family, widths = check(name, dropout)
    if family == "mlp":
        return MLP(in_shape, widths, classes, dropout)
    if family == "cnn5":
        return CNN5(in_shape, widths[0], classes, dropout[1])
    return ResNet18(in_shape, widths[0], classes)


def count_parameters(net: nn.Module) -> int:
    """How many numbers training sets (running statistics are not counted)."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
