"""Data sets as uint8 tensors, with one fixed validation split.

In: a name. Out: a `Dataset`. MNIST, CIFAR-10 and CIFAR-100 come through torchvision's own classes
from `data/` (or the folder in KDUTILS_DATA) and are downloaded when absent; scikit-learn's digits
need neither file nor network. A reader's own enters by `register`.
"""

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision.datasets import CIFAR10, CIFAR100, MNIST

from . import ROOT, views
from .registry import Registry

PATIENCE = 8  # seconds without an answer after which a download is given up


class MissingData(RuntimeError):
    """A data set is neither in its folder nor to be downloaded."""


@dataclass(frozen=True)
class Split:
    """images: uint8 [N, C, H, W]; labels: int64 [N]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor | slice) -> "Split":
        return Split(self.images[index], self.labels[index])

    def to(self, device: torch.device | str) -> "Split":
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits; mean and std per channel belong to the pixels' range 0 to 1.

    posterior: where it is known, gives p(class | image) [N, classes] for a split's images. Raises
    ValueError, with what came and what is expected, where the parts do not fit together.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    posterior: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        last = len(self.classes) - 1
        for part in ("train", "val", "test"):
            split = getattr(self, part)
            _check(f"{self.name}, {part}", split)
            shape, y = tuple(split.images.shape[1:]), split.labels
            if shape != self.in_shape or y.min() < 0 or y.max() > last:
                raise ValueError(
                    f"{self.name}, {part}: images of {list(shape)}, labels from {y.min()} to "
                    f"{y.max()}; expected {list(self.in_shape)}, as in train, and 0 to {last}."
                )
        if not len(self.mean) == len(self.std) == self.in_shape[0] or min(self.std) <= 0:
            raise ValueError(
                f"{self.name}: mean = {self.mean} and std = {self.std}; expected a number for "
                f"each of {self.in_shape[0]} channels, and std above 0."
            )

    @property
    def in_shape(self) -> tuple[int, int, int]:
        return tuple(self.train.images.shape[1:])

    @property
    def all(self) -> Split:
        """Training and validation images together, as the published recipes used them."""
        parts = (self.train.images, self.val.images), (self.train.labels, self.val.labels)
        return Split(*map(torch.cat, parts))


def _check(where: str, split: Split) -> None:
    """ValueError where images or labels are not what a `Dataset` holds."""
    x, y = split.images, split.labels
    if x.dtype != torch.uint8 or x.ndim != 4 or not len(x):
        expected = "at least one image, torch.uint8 [N, C, H, W], values 0 to 255"
    elif x.shape[2] != x.shape[3] or x.shape[3] > views.CANVAS or x.shape[3] % 2:
        expected = f"square images of an even size up to {views.CANVAS}: pad or resize them"
    elif y.dtype != torch.int64 or y.shape != x.shape[:1]:
        expected = "torch.int64 labels [N], a whole number for each image"
    else:
        return
    came = f"images {x.dtype} {list(x.shape)}, labels {y.dtype} {list(y.shape)}"
    raise ValueError(f"{where}: {came}; expected {expected}.")


def folder() -> Path:
    """Where the real data sets lie: KDUTILS_DATA, or `data/` beside the package."""
    return Path(os.environ.get("KDUTILS_DATA") or ROOT / "data")


def normalise(images: Tensor, dataset: Dataset) -> Tensor:
    """uint8 [B, C, H, W] to float32 with the data set's mean 0 and deviation 1 per channel."""
    both = torch.tensor([dataset.mean, dataset.std], device=images.device)
    mean, std = both[:, None, :, None, None]  # [1, C, 1, 1] each
    return images.float().div_(255).sub_(mean).div_(std)  # float() has copied: in place is safe


# mean and deviation of the pixels, written down so that no run depends on the order of a sum
_GREY = (0.1307,), (0.3081,)  # MNIST's, and those of `digits`, which take its place
_TEN = (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)
_HUNDRED = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)


def _torchvision(kind: type, inner: str, files: str, mean_std: tuple) -> Dataset:
    name, patience = kind.__name__.lower(), socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)  # torchvision itself would wait for ever
    try:  # it downloads what is not there, and compares checksums
        parts = [kind(str(folder()), train=train, download=train) for train in (True, False)]
    except (RuntimeError, OSError) as failed:
        raise MissingData(
            f"{kind.__name__} is not in {folder() / inner}, and its download failed ({failed}). "
            f"Two ways out: (1) put {files} there, or set KDUTILS_DATA to the folder that holds "
            f'{inner}. (2) Choose PROFILE = "smoke", which needs neither files nor a network.'
        ) from failed
    finally:
        socket.setdefaulttimeout(patience)
    classes = tuple(label.split(" - ")[0] for label in parts[0].classes)  # MNIST: "0 - zero"
    rest, test = (_as_split(part.data, part.targets) for part in parts)
    return Dataset(name, classes, *_split(rest, 5_000), test, *mean_std)


def _as_split(images: ArrayLike, labels: ArrayLike) -> Split:
    """Images [N, H, W], [N, H, W, C] or [N, C, H, W]; H = W tells the last two apart."""
    x, y = torch.as_tensor(images), torch.as_tensor(labels)
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] == x.shape[2] != x.shape[3]:
        x = x.permute(0, 3, 1, 2).contiguous()
    return Split(x, y if y.is_floating_point() else y.long())


def _split(split: Split, n_val: int) -> tuple[Split, Split]:
    """A fixed draw of validation images: those whose hashed index is smallest."""
    order = views.hash32(torch.arange(len(split)), 20_151).argsort(stable=True)
    return split.take(order[n_val:].sort().values), split.take(order[:n_val].sort().values)


def _digits() -> Dataset:
    digits = load_digits()
    small = torch.tensor(digits.images, dtype=torch.float32)[:, None]  # [1797, 1, 8, 8], 0 to 16
    large = F.interpolate(small * 255 / 16, size=24, mode="bilinear", align_corners=False)
    images = F.pad(large.round().to(torch.uint8), [2, 2, 2, 2])  # 28 x 28, as MNIST has it
    rest, test = _split(Split(images, torch.tensor(digits.target)), 500)
    return Dataset("digits", tuple("0123456789"), *_split(rest, 197), test, *_GREY)


OWN: dict[str, Callable[[], Dataset]] = {  # the course's chapters add theirs
    "mnist": partial(_torchvision, MNIST, "MNIST/raw", "the four files *-ubyte", _GREY),
    "cifar10": partial(_torchvision, CIFAR10, "cifar-10-batches-py", "its six batch files", _TEN),
    "cifar100": partial(_torchvision, CIFAR100, "cifar-100-python", "train, test, meta", _HUNDRED),
    "digits": _digits,
}
REGISTERED = Registry("dataset", OWN.get, OWN, "data.register(name, load)")
# Let recipes name a reader's own data set. It is called without arguments when the data set is
# needed and returns a `Dataset`; its source goes into a recipe's id, the images it reads do not.
register = REGISTERED.register


def from_arrays(
    name: str,
    images: ArrayLike,
    labels: ArrayLike,
    test_images: ArrayLike,
    test_labels: ArrayLike,
    classes: Sequence[str] | None = None,
    n_val: int | None = None,
) -> Dataset:
    """A data set of one's own, for `register`.

    images, test_images: uint8 [N, H, W], [N, H, W, C] or [N, C, H, W]. labels, test_labels: whole
    numbers from 0, [N]. classes: their names, else the numbers. n_val: how many images are held out
    for validation (a tenth), always the same ones. Raises ValueError as `Dataset` does.
    """
    rest, test = _as_split(images, labels), _as_split(test_images, test_labels)
    _check(f"{name}, train", rest)
    _check(f"{name}, test", test)
    n_val = max(1, len(rest) // 10) if n_val is None else n_val
    if not 0 < n_val < len(rest):
        raise ValueError(f"{name}: n_val = {n_val}; expected 1 to {len(rest) - 1} of the images.")
    train, val = _split(rest, n_val)
    classes = classes or range(1 + int(torch.cat([rest.labels, test.labels]).max()))
    pixels = train.images.transpose(0, 1).flatten(1).double() / 255
    # rounded, so that no run depends on the order of a sum
    mean, std = ([round(v, 4) for v in row.tolist()] for row in (pixels.mean(1), pixels.std(1)))
    return Dataset(name, tuple(map(str, classes)), train, val, test, tuple(mean), tuple(std))


def load(name: str) -> Dataset:
    """The data set of that name, downloaded if it has to be.

    MNIST is split 55,000 / 5,000 / 10,000, CIFAR 45,000 / 5,000 / 10,000, digits 1,100 / 197 / 500.
    Raises ValueError for an unknown name; MissingData where there is neither file nor network.
    """
    return _loaded(name, REGISTERED.get(name))


@lru_cache(maxsize=4)
def _loaded(name: str, load: Callable[[], Dataset]) -> Dataset:
    dataset = load()
    if not isinstance(dataset, Dataset):
        came = f"dataset = {name!r}: its function returned a {type(dataset).__name__}"
        raise ValueError(f"{came}, not a data.Dataset, which data.from_arrays makes.")
    return replace(dataset, name=name)
