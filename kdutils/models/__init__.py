"""Networks by name: `build(name, ...)`; the course's own, and a reader's that join by `register`.

In: a name, the image shape, the number of classes, dropout. Out: a `torch.nn.Module` that maps
normalised float images [B, C, H, W] to logits [B, classes].
"""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import nn

from ..registry import Registry
from . import networks


class Family(NamedTuple):
    """Networks that differ in the numbers of their names.

    make: called with those numbers, and with what it names of in_shape, classes and dropout.
    pattern: what follows the family in a name ('N': a number). example: names for an error.
    depths: what the first number may be. dropout: whether (inputs, hidden units) can have it.
    """

    make: Callable[..., nn.Module]
    pattern: str
    example: str
    depths: Sequence[int] = ()
    dropout: tuple[bool, bool] = (False, False)

    def __repr__(self) -> str:
        return self.example


_SMALL = (8, 14, 20, 26, 32, 44, 56, 110)  # not 50: that is another network's name
FAMILIES = {  # the course's chapters add theirs
    "mlp": Family(networks.mlp, "(-N)+", "'mlp-800-800' (hidden widths)", dropout=(True, True)),
    "cnn5": Family(networks.cnn5, "(-wN)?", "'cnn5', 'cnn5-w8'", dropout=(False, True)),
    "resnet18": Family(networks.resnet18, "(-wN)?", "'resnet18', 'resnet18-w16'"),
    "resnet": Family(networks.resnet, "N(-wN)?", "'resnet8', 'resnet20-w32'", _SMALL),
}


def _find(name: object) -> tuple[Family, list[int]] | None:
    """The family of a name and the numbers in it."""
    for key in sorted(FAMILIES, key=len, reverse=True):  # 'resnet50' before 'resnet' and 50
        family = FAMILIES[key]
        if re.fullmatch(key + family.pattern.replace("N", r"[1-9]\d*"), str(name)):
            return family, [int(n) for n in re.findall(r"\d+", name.removeprefix(key))]
    return None


REGISTERED = Registry("model", _find, FAMILIES.values(), "models.register(name, Net)")


def register(name: str, make: Callable[..., nn.Module], replace: bool = False) -> Callable:
    """Let recipes name a reader's own network; returns it.

    make: a class or function, called with those of `build`'s in_shape, classes and dropout that it
    names. Raises ValueError as `Registry.register` does, or where it needs more.
    """
    try:
        inspect.signature(make).bind(**dict.fromkeys(_asks(make)))
    except TypeError as wrong:
        raise ValueError(
            f"model = {name!r}: {wrong}. A network is called with those of in_shape, classes and "
            "dropout that it names: give every other argument a default."
        ) from None
    return REGISTERED.register(name, make, replace)


def _asks(make: Callable[..., nn.Module]) -> set[str]:
    """Which of the three things that `build` can give a network is called with."""
    return {"in_shape", "classes", "dropout"} & inspect.signature(make).parameters.keys()


def check(name: str, dropout: tuple[float, float] = (0.0, 0.0)) -> tuple[Family, list[int]]:
    """The family of a network and the numbers in its name; a reader's is a family of one.

    Raises ValueError for a name that no network has, or dropout that it cannot take.
    """
    if len(dropout) != 2 or not all(0 <= share < 1 for share in dropout):
        raise ValueError(f"dropout = {dropout!r} must hold two shares in [0, 1): inputs, hidden.")
    found = REGISTERED.get(name)
    if REGISTERED.source(name):
        found = Family(found, "", name, dropout=("dropout" in _asks(found),) * 2), []
    family, numbers = found
    if family.depths and numbers[0] not in family.depths:
        some = ", ".join(map(str, family.depths[:8]))
        more = f", ... to {family.depths[-1]}" if len(family.depths) > 8 else ""
        raise ValueError(f"model = {name!r}: its depth {numbers[0]} must be one of {some}{more}.")
    if any(share and not has for share, has in zip(dropout, family.dropout, strict=True)):
        raise ValueError(f"{name} has no dropout there; dropout = {dropout!r} must be 0.")
    return family, numbers


def build(
    name: str,
    in_shape: tuple[int, int, int] = (3, 32, 32),
    classes: int = 10,
    dropout: tuple[float, float] = (0.0, 0.0),
) -> nn.Module:
    """A fresh network, initialised from torch's global random state.

    name: a family and its numbers, such as 'mlp-1200-1200' or 'resnet18-w16' (first width 16
    instead of 64). in_shape: (channels, height, width). dropout: the share dropped of the inputs
    and of the hidden units, where the family has it. Raises ValueError as `check` does.
    """
    family, numbers = check(name, dropout)
    given = {"in_shape": in_shape, "classes": classes, "dropout": dropout}
    net = family.make(*numbers, **{key: given[key] for key in _asks(family.make)})
    if not isinstance(net, nn.Module):
        raise ValueError(f"model = {name!r} makes {type(net)}; it must be a torch.nn.Module.")
    laid_out = getattr(net, "channels_last", False)
    net.channels_last = laid_out and not any(map(_crashes, net.modules()))
    return net


def _crashes(module: nn.Module) -> bool:
    """Whether PyTorch 2.14 crashes here, training on a CPU in channels-last on several threads.

    Measured: a segmentation fault in the backward pass of strided 1 x 1 convolutions that read
    fewer than 16 channels, in float32 and bfloat16; none in the contiguous layout.
    """
    narrow = isinstance(module, nn.Conv2d) and module.in_channels < 16
    return narrow and module.kernel_size == (1, 1) and module.stride != (1, 1)


def count_parameters(net: nn.Module) -> int:
    """How many numbers training sets (running statistics are not counted)."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
