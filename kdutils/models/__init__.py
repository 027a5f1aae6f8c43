"""The networks of the course: `build(name, ...)` gives one by its name.

In: a name, the image shape, the number of classes, dropout. Out: a `torch.nn.Module` that maps
normalised float images [B, C, H, W] to logits [B, classes].
"""

import copy
import inspect
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..registry import Registry
from .cnn import CNN5
from .densenet import DenseNet
from .fastnet import FastNet
from .mlp import MLP
from .preresnet import PreResNet
from .resnet import ResNet, SmallResNet
from .resnext import ResNeXt
from .seed003 import Seed003Student, Seed003Teacher
from .wrn import WideResNet


class Family(NamedTuple):
    """Networks that differ in the numbers of their names.

    pattern: the names, one regular-expression group a number ('N' stands for a number above 0).
    build: called with (in_shape, numbers, classes, dropout). there_are: names to show in an error.
    width: the number that an omitted '-w<width>' stands for. depths: the values that the first
    number may have, where it is a depth. dropout: where it can be had, of (inputs, hidden).
    """

    pattern: str
    build: Callable[..., nn.Module]
    there_are: str
    width: int = 0
    depths: Sequence[int] = ()
    dropout: tuple[bool, bool] = (False, False)


FAMILIES = {
    "mlp": Family(
        r"mlp((?:-N)+)",
        lambda shape, hidden, classes, dropout: MLP(shape, hidden, classes, dropout),
        "'mlp-800-800' (any hidden widths)",
        dropout=(True, True),
    ),
    "cnn5": Family(
        r"cnn5(?:-w(N))?",
        lambda shape, n, classes, dropout: CNN5(shape, n[0], classes, dropout[1]),
        "'cnn5', 'cnn5-w8'",
        width=32,
        dropout=(False, True),
    ),
    "resnet18": Family(
        r"resnet18(?:-w(N))?",
        lambda shape, n, classes, _: ResNet(shape, [2, 2, 2, 2], n[0], classes),
        "'resnet18', 'resnet18-w16'",
        width=64,
    ),
    "resnet34": Family(
        r"resnet34(?:-w(N))?",
        lambda shape, n, classes, _: ResNet(shape, [3, 4, 6, 3], n[0], classes),
        "'resnet34'",
        width=64,
    ),
    "resnet": Family(
        r"resnet(N)(?:-w(N))?",
        lambda shape, n, classes, _: SmallResNet(shape, n[0], n[1], classes),
        "'resnet8', 'resnet20-w32'",
        width=16,
        depths=(8, 14, 20, 26, 32, 44, 56, 110),  # not 50: that is another network's name
    ),
    "fastnet": Family(
        r"fastnet(?:-w(N))?",
        lambda shape, n, classes, _: FastNet(shape, n[0], classes),
        "'fastnet', 'fastnet-w32'",
        width=64,
    ),
    "wrn": Family(
        r"wrn-(N)-(N)(?:-w(N))?",
        lambda shape, n, classes, dropout: WideResNet(shape, *n, classes, dropout[1]),
        "'wrn-28-10' (depth, widening), 'wrn-10-1-w4'",
        width=16,
        depths=range(10, 1001, 6),
        dropout=(False, True),
    ),
    "preresnet": Family(
        r"preresnet-(N)(?:-w(N))?",
        lambda shape, n, classes, _: PreResNet(shape, *n, classes),
        "'preresnet-164' (1,703,258 parameters: some code calls it 110), 'preresnet-11-w4'",
        width=16,
        depths=range(11, 1002, 9),
    ),
    "densenet": Family(
        r"densenet-(N)-(N)",
        lambda shape, n, classes, _: DenseNet(shape, n[0], n[1], classes),
        "'densenet-100-12' (depth, growth)",
        depths=range(10, 1001, 6),
    ),
    "resnext": Family(
        r"resnext-(N)-(N)x(N)(?:-w(N))?",
        lambda shape, n, classes, _: ResNeXt(shape, *n, classes),
        "'resnext-29-8x64', 'resnext-11-4x8-w16' (depth, groups x their width, stem width)",
        width=64,
        depths=range(11, 1002, 9),
    ),
    "seed003-teacher": Family(
        r"seed003-teacher",
        lambda shape, _, classes, __: Seed003Teacher(shape, classes),
        "'seed003-teacher'",
    ),
    "seed003-student": Family(
        r"seed003-student",
        lambda shape, _, classes, __: Seed003Student(shape, classes),
        "'seed003-student' (its dropout is built in)",
    ),
}
NAMES = ", ".join(family.there_are for family in FAMILIES.values())


def check(name: str, dropout: tuple[float, float] = (0.0, 0.0)) -> tuple[str, list[int]]:
    """The key in FAMILIES and the numbers in a network's name, an omitted width filled in.

    Raises ValueError for a name that no network has, or dropout that it cannot take.
    """
    if len(dropout) != 2 or not all(0 <= share < 1 for share in dropout):
        raise ValueError(f"dropout = {dropout!r} must hold two shares in [0, 1): inputs, hidden.")
    key, match = _find(name)
    family = FAMILIES[key]
    numbers = [int(n) for n in re.findall(r"\d+", "-".join(match.groups(str(family.width))))]
    if family.depths and numbers[0] not in family.depths:
        raise ValueError(
            f"model = {name!r}: its depth {numbers[0]} must be {_in_words(family.depths)}. "
            f"There are: {NAMES}."
        )
    if any(share and not can for share, can in zip(dropout, family.dropout, strict=True)):
        raise ValueError(f"{name} has no dropout there; dropout = {dropout!r} must be 0.")
    return key, numbers


def _find(name: object) -> tuple[str, re.Match[str]]:
    for key, family in FAMILIES.items():
        if match := re.fullmatch(family.pattern.replace("N", r"[1-9]\d*"), str(name)):
            return key, match
    raise ValueError(f"model = {name!r} is not a network of the course. There are: {NAMES}.")


def _in_words(depths: Sequence[int]) -> str:
    """'one of 8, 14, 20', or for a range '6 n + 4 (10, 16, 22, ...; at most 1000)'."""
    if isinstance(depths, range):
        first = ", ".join(map(str, depths[:3]))
        return f"{depths.step} n + {depths[0] % depths.step} ({first}, ...; at most {depths[-1]})"
    return f"one of {', '.join(map(str, depths))}"


def build(
    name: str,
    in_shape: tuple[int, int, int] = (3, 32, 32),
    classes: int = 10,
    dropout: tuple[float, float] = (0.0, 0.0),
) -> nn.Module:
    """A fresh network, initialised from torch's global random state.

    name: a family and its numbers, such as 'mlp-1200-1200', 'cnn5' (width 32 in its first
    layer), 'resnet18-w16' (first width 16 instead of 64), 'wrn-28-10'; FAMILIES has them all.
    in_shape: (channels, height, width). dropout: the share dropped of the inputs and of the hidden
    units (where the family has it). Raises ValueError as `check` does.
    """
    family, numbers = check(name, dropout)
    net = FAMILIES[family].build(in_shape, numbers, classes, dropout)
    net.channels_last = net.channels_last and not any(map(_too_narrow, net.modules()))
    return net


REGISTERED = Registry("model", lambda name: False)


def register(name: str, make: Callable, replace: bool = False) -> Callable:
    return REGISTERED.register(name, make, replace)


def _too_narrow(module: nn.Module) -> bool:
    """Whether PyTorch 2.14 crashes here, training on a CPU in channels-last on several threads.

    Measured: a segmentation fault in the backward pass of strided 1 x 1 convolutions that read
    fewer than 16 channels, in float32 and bfloat16; none in the contiguous layout.
    """
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.stride != (1, 1)
        and module.in_channels < 16
    )


def count_parameters(net: nn.Module) -> int:
    """How many numbers training sets (running statistics are not counted)."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def count_macs(net: nn.Module, in_shape: tuple[int, int, int] = (3, 32, 32)) -> int:
    """Multiply-accumulate operations for one image in evaluation mode.

    Convolutions and matrix products count (biases, norms and activations do not). Nothing is
    computed: a copy of `net` runs on the meta device, which knows shapes alone.
    """
    twin = copy.deepcopy(net).to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        twin(torch.empty(1, *in_shape, device="meta"))
    return counter.get_total_flops() // 2  # it counts a multiplication and an addition as two
