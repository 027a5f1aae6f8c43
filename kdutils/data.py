"""The data sets of the course as uint8 tensors, with one fixed validation split.

In: a name. Out: a `Dataset`. MNIST, CIFAR-10 and CIFAR-100 come through torchvision's own classes
from `data/` (or the folder in KDUTILS_DATA) and are downloaded when absent; the digits of
scikit-learn and bayes10 need neither file nor network.
"""

import os
import socket
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from sklearn.datasets import load_digits

from . import bayes10, views
from .registry import Registry

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("mnist", "cifar10", "cifar100", "digits", "bayes10")
PROBE_SECONDS = 8
BAYES10_IMAGES = {"train": 10_000, "val": 2_000, "test": 5_000}


class MissingData(RuntimeError):
    """A data set is neither in its folder nor to be downloaded."""


@dataclass(frozen=True)
class Split:
    """images: uint8 [N, C, H, W]; labels: int64 [N]."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: torch.Tensor) -> "Split":
        """The images at these positions."""
        return Split(self.images[index], self.labels[index])

    def to(self, device: torch.device | str) -> "Split":
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """Three splits; mean and std per channel belong to the pixels' range 0 to 1."""

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def in_shape(self) -> tuple[int, int, int]:
        return tuple(self.train.images.shape[1:])

    @property
    def all(self) -> Split:
        """Training and validation images together, as the published recipes used them."""
        return Split(
            torch.cat([self.train.images, self.val.images]),
            torch.cat([self.train.labels, self.val.labels]),
        )


def folder() -> Path:
    """Where the real data sets lie: KDUTILS_DATA, or `data/` beside the package."""
    return Path(os.environ.get("KDUTILS_DATA") or ROOT / "data")


def normalise(images: torch.Tensor, dataset: Dataset) -> torch.Tensor:
    """uint8 [B, C, H, W] to float32 with the data set's mean 0 and deviation 1 per channel."""
    mean = torch.tensor(dataset.mean, device=images.device).view(1, -1, 1, 1)
    std = torch.tensor(dataset.std, device=images.device).view(1, -1, 1, 1)
    return images.float().div_(255).sub_(mean).div_(std)  # float() has copied: in place is safe


def _reachable(url: str) -> bool:
    """Whether a server answers there within a few seconds, name look-up included."""
    answered = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(url, timeout=PROBE_SECONDS - 2):
                answered.append(True)
        except OSError:
            pass

    thread = threading.Thread(target=ask, daemon=True)  # a name look-up has no time limit itself
    thread.start()
    thread.join(PROBE_SECONDS)
    return bool(answered)


_TORCHVISION = {
    "mnist": (torchvision.datasets.MNIST, "MNIST/raw", "the four files *-ubyte"),
    "cifar10": (torchvision.datasets.CIFAR10, "cifar-10-batches-py", "its six batch files"),
    "cifar100": (torchvision.datasets.CIFAR100, "cifar-100-python", "train, test and meta"),
}


def _torchvision_splits(name: str) -> list[tuple[np.ndarray, np.ndarray, list[str]]]:
    """Training and test arrays of a torchvision data set: uint8 [N, H, W(, C)], labels, names."""
    kind, inner, files = _TORCHVISION[name]
    root = folder()

    def read(train: bool, download: bool = False):
        return kind(str(root), train=train, download=download)

    try:
        parts = [read(True), read(False)]
    except (RuntimeError, OSError) as missing:
        if name == "mnist":
            urls = [mirror + kind.resources[3][0] for mirror in kind.mirrors]
        else:
            urls = [kind.url]
        problem = "no network reaches its home"
        if any(_reachable(url) for url in urls[:1]):
            before = socket.getdefaulttimeout()
            socket.setdefaulttimeout(PROBE_SECONDS)  # a stalled download must end
            try:
                parts = [read(True, download=True), read(False, download=True)]
                problem = ""
            except (RuntimeError, OSError) as failed:
                problem = f"the download failed ({failed})"
            finally:
                socket.setdefaulttimeout(before)
        if problem:
            raise MissingData(
                f"{kind.__name__} is not in {root / inner}, and {problem}. Two ways out: "
                f"(1) put {files} there, or set KDUTILS_DATA to the folder that holds {inner}; "
                'with a network they are downloaded by themselves. (2) Choose PROFILE = "smoke", '
                "which uses embedded data and needs neither."
            ) from missing
    return [(np.asarray(p.data), np.asarray(p.targets), list(p.classes)) for p in parts]


def _split(images: torch.Tensor, labels: torch.Tensor, n_val: int) -> tuple[Split, Split]:
    """A fixed draw of validation images: those whose hashed index is smallest."""
    order = views.hash32(torch.arange(len(labels)), 20_151).argsort(stable=True)
    val, train = order[:n_val].sort().values, order[n_val:].sort().values
    both = Split(images, labels)
    return both.take(train), both.take(val)


def _load_digits() -> Dataset:
    digits = load_digits()
    small = torch.tensor(digits.images, dtype=torch.float32)[:, None]  # [1797, 1, 8, 8], 0 to 16
    large = F.interpolate(small * 255 / 16, size=24, mode="bilinear", align_corners=False)
    images = F.pad(large.round().to(torch.uint8), [2, 2, 2, 2])  # 28 x 28, as MNIST has it
    labels = torch.tensor(digits.target)
    rest, test = _split(images, labels, 500)
    train, val = _split(rest.images, rest.labels, 197)
    names = tuple(str(digit) for digit in range(10))
    return Dataset("digits", names, train, val, test, (0.1307,), (0.3081,))


def _load_bayes10() -> Dataset:
    parts = [
        Split(*bayes10.sample(n, seed)) for seed, n in enumerate(BAYES10_IMAGES.values(), start=1)
    ]
    # of 4,000 images, written down so that no run depends on a sum
    mean, std = (0.515, 0.476, 0.490), (0.152, 0.144, 0.158)
    return Dataset("bayes10", tuple(bayes10.CLASSES), *parts, mean, std)


REGISTERED = Registry("dataset", NAMES.__contains__)


def register(name: str, load: Callable[[], Dataset], replace: bool = False) -> Callable:
    return REGISTERED.register(name, load, replace)


def check(name: str) -> None:
    """ValueError for a name that is no data set's."""
    if name not in NAMES and name not in REGISTERED:
        raise ValueError(
            f"dataset = {name!r} is not a data set of the course, {list(NAMES)}, and none that is "
            f"registered, {list(REGISTERED.things)}. Your own: data.register(name, load)."
        )


@lru_cache(maxsize=4)
def load(name: str) -> Dataset:
    """The data set of that name, downloaded if it has to be.

    MNIST is split 55,000 / 5,000 / 10,000, CIFAR 45,000 / 5,000 / 10,000, digits 1,100 / 197 / 500.
    Raises ValueError for an unknown name; MissingData, within 10 s, where there is neither file nor
    network. No other data set ever takes its place.
    """
    if name not in NAMES:
        raise ValueError(f"dataset = {name!r} is not a data set of the course: {list(NAMES)}.")
    if name == "digits":
        return _load_digits()
    if name == "bayes10":
        return _load_bayes10()
    tensors, parts = [], _torchvision_splits(name)
    labels = parts[0][2]
    for pixels, targets, _ in parts:
        images = torch.tensor(pixels)
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        tensors.append((images.contiguous(), torch.tensor(targets, dtype=torch.int64)))
    train, val = _split(*tensors[0], 5_000)
    if name == "mnist":
        mean, std = (0.1307,), (0.3081,)
        labels = [label.split(" ")[0] for label in labels]
    elif name == "cifar10":
        mean, std = (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)
    else:
        mean, std = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    return Dataset(name, tuple(labels), train, val, Split(*tensors[1]), mean, std)
