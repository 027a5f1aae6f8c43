"""bayes10: an embedded colour data set whose exact posterior p(class | image) is known.

In: a count and a seed. Out: uint8 images with labels (`sample`) and, for any image, the
probabilities that a perfect teacher would give (`posterior`); the data sets `bayes10` and, smaller,
`bayes10-toy`, to be named in recipes. Nothing is downloaded.

The ten classes are five look-alike pairs. How one image comes about:

1. the class y is uniform over `CLASSES`; its pair is y // 2
2. the level k on the pair's morph continuum, from 0 (its first class at its purest) to LEVELS - 1
   (its second), is drawn from `LEVEL_GIVEN_CLASS[y]`: mostly the class's own half, and across
   the middle now and then, so that near the middle no label can be certain
3. the look (noon or dusk, narrow or wide), the shift and the mirroring are uniform over the
   `LOOKS`, `SHIFTS` and (no, yes), and say nothing about the class
4. the 32x32 window of `canvases()[pair, k, look]` at that shift, mirrored or not, is the mean
5. every value gets noise from the discrete Gaussian: p(n) proportional to exp(-n^2 / 2 SIGMA^2)

The noise lives on the integers and the canvases stay `MARGIN` clear of 0 and 255, so no noisy
value is ever rounded or clipped, every mean has the same normaliser, and Bayes' rule gives
p(y | x) exactly.
"""

import itertools
import math
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kdutils.data import OWN, Dataset, Split

CLASSES = (
    "apple", "pear", "cup", "bowl", "pine", "oak", "house", "church", "star", "flower",
)  # fmt: skip
SCENES = Path(__file__).with_name("bayes10.npz")  # painted by bayes10_scenes.py
SIGMA = 6.0
MARGIN = 48  # 8 SIGMA: the noise is cut there, a mass of 1e-15, as little as float64 resolves
SHIFTS = tuple(itertools.product((-1, 0, 1), repeat=2))  # (dy, dx) in pixels
LOOKS = 4

# Seen over both classes of a pair, every level is equally likely, and the log-odds of the second
# class rise linearly with the level: -9.45, -6.75, -4.05, -1.35, 1.35, ... That makes Bayes'
# error 5.6 %, nearly all of it in the two middle levels.
LEVELS = 8
_SECOND = 1 / (1 + np.exp(-2.7 * (np.arange(LEVELS) - (LEVELS - 1) / 2)))
LEVEL_GIVEN_CLASS = np.stack([_SECOND[::-1], _SECOND] * 5) * 2 / LEVELS  # [10, LEVELS]

_BLOCK = 250  # images per random stream; fixed, so that a longer sample begins like a shorter one


def sample(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw `n` independent images with their labels; the same (n, seed) gives the same ones.

    A longer sample of the same seed begins with the shorter one.

    Returns: images uint8 [n, 3, 32, 32] and labels int64 [n], indices into `CLASSES`.
    Raises: TypeError or ValueError if `n` is no positive integer or `seed` no integer >= 0.
    """
    _check_integer("n", n, least=1)
    _check_integer("seed", seed, least=0)
    streams = (np.random.SeedSequence(seed, spawn_key=(i,)) for i in range(math.ceil(n / _BLOCK)))
    blocks = [_draw_block(np.random.default_rng(stream)) for stream in streams]
    images, labels = map(np.concatenate, zip(*blocks, strict=True))
    return torch.from_numpy(images[:n]), torch.from_numpy(labels[:n])


def posterior(images: Tensor) -> Tensor:
    """The exact class probabilities p(y | x) of images under the mixture that `sample` draws from.

    images: uint8 [n, 3, 32, 32]. Returns: float64 [n, 10] on the CPU, rows summing to 1.
    Bayes' rule over all latents z: log p(y | x) = logsumexp_z(log p(y, z) - |x - mu_z|^2 / 2
    SIGMA^2) + constant. Raises: TypeError or ValueError for another type, dtype or shape.
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        given = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise TypeError(
            f"images is {given}; allowed is a torch.uint8 tensor: pass the pixels as `sample` "
            "returns them, neither scaled nor normalised"
        )
    if images.ndim != 4 or images.shape[1:] != (3, 32, 32):
        raise ValueError(
            f"images has shape {tuple(images.shape)}; allowed is [n, 3, 32, 32]: "
            "give a single image its batch axis with images[None]"
        )
    means, half_squares = _centred_means()
    prior = torch.from_numpy(LEVEL_GIVEN_CLASS).log().view(5, 2, LEVELS)
    rows = []
    for chunk in images.cpu().split(512):
        x = chunk.flatten(2).float() - 128  # [b, 3, 1024]
        # -|x - mu|^2 / 2 = x.mu - |mu|^2 / 2 - |x|^2 / 2, and the last term cancels. All values
        # are integers, at most 128 in x and 128 - MARGIN in mu, so that the sum over one channel
        # stays below 1024 * 128 * 80 < 2^24: exact in float32, in any order of summation (and
        # where float32 products run in TF32 or bfloat16: 8 bits hold each factor).
        score = -half_squares.repeat(len(x), 1)  # float64 [b, latents]
        for channel in range(3):
            score += x[:, channel] @ means[channel]
        by_level = score.div_(SIGMA**2).view(-1, 5, LEVELS, LOOKS * len(SHIFTS) * 2)
        level = by_level.logsumexp(3)  # [b, pairs, levels]; the other latents are uniform
        rows.append((level[:, :, None] + prior).logsumexp(3).flatten(1).softmax(1))
    return torch.cat(rows)


def templates() -> Tensor:
    """The noise-free morph continua, centred, in the first look: uint8 [5, LEVELS, 3, 32, 32]."""
    return torch.tensor(_means()[:, :, 0, SHIFTS.index((0, 0)), 0])


@cache
def canvases() -> np.ndarray:
    """Every scene with a pixel of room to shift, read-only: uint8 [5, LEVELS, LOOKS, 3, 34, 34]."""
    scenes = np.load(SCENES)["scenes"]
    scenes.setflags(write=False)
    return scenes


@cache
def _means() -> np.ndarray:
    """The mean image of every latent: uint8 [pair, level, look, shift, mirrored, 3, 32, 32]."""
    windows = [canvases()[..., 1 - dy : 33 - dy, 1 - dx : 33 - dx] for dy, dx in SHIFTS]
    shifted = np.stack(windows, axis=3)
    return np.stack([shifted, shifted[..., ::-1]], axis=4)


@cache
def _centred_means() -> tuple[Tensor, Tensor]:
    """The means less 128, as float32 [3 channels, 1024, latents], and |mu|^2 / 2 [latents]."""
    means = torch.from_numpy(_means()).view(-1, 3, 1024).permute(1, 2, 0).float() - 128
    return means, means.double().square().sum((0, 1)) / 2


def _draw_block(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One block of _BLOCK images [_BLOCK, 3, 32, 32] and labels from its own random stream."""
    labels = rng.integers(len(CLASSES), size=_BLOCK)
    level = (rng.random((_BLOCK, 1)) > LEVEL_GIVEN_CLASS.cumsum(1)[labels, :-1]).sum(1)
    look, shift, mirrored = (rng.integers(n, size=_BLOCK) for n in (LOOKS, len(SHIFTS), 2))
    means = _means()[labels // 2, level, look, shift, mirrored]
    steps = np.arange(-MARGIN, MARGIN + 1)
    weights = np.exp(-(steps**2) / (2 * SIGMA**2))
    cumulative = (weights.cumsum() / weights.sum())[:-1]
    noise = np.searchsorted(cumulative, rng.random(means.shape)) - MARGIN
    return (means + noise).astype(np.uint8), labels


def _check_integer(name: str, value: int, least: int) -> None:
    advice = f"allowed are integers >= {least}: pass for example {name}={max(least, 1000)}"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}); {advice}")
    if value < least:
        raise ValueError(f"{name} is {value}; {advice}")


def load(*images: int) -> Dataset:
    """A data set of so many images in train, val and test, whose posterior is known."""
    parts = [Split(*sample(n, seed)) for seed, n in enumerate(images, start=1)]
    mean, std = (0.515, 0.476, 0.490), (0.152, 0.144, 0.158)
    return Dataset("bayes10", CLASSES, *parts, mean, std, posterior)


def fine(*images: int) -> Dataset:
    """Other images of the same scenes, each class in two: the darker and the brighter half of its
    images. Twenty classes that stand for CIFAR-100's hundred on `smoke`."""
    coarse = load(*images)
    drawn = [Split(*sample(n, seed)) for seed, n in enumerate(images, start=101)]
    light = [part.images.float().mean(dim=(1, 2, 3)) for part in drawn]
    middle = torch.stack([light[0][drawn[0].labels == k].median() for k in range(len(CLASSES))])
    parts = [
        Split(part.images, 2 * part.labels + (x > middle[part.labels]).long())
        for part, x in zip(drawn, light, strict=True)
    ]
    names = tuple(f"{how} {name}" for name in CLASSES for how in ("dark", "bright"))
    return Dataset("bayes10-fine", names, *parts, coarse.mean, coarse.std)


OWN["bayes10"] = partial(load, 10_000, 2_000, 5_000)
OWN["bayes10-fine"] = partial(fine, 1_000, 300, 500)
OWN["bayes10-toy"] = partial(load, 1_000, 300, 1_000)  # quick to judge on, for `smoke`
