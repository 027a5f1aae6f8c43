"""bayes10: an embedded colour data set whose exact posterior p(class | image) is known.

In: a count and a seed. Out: uint8 images with labels (`sample`) and, for any image, the
probabilities that a perfect teacher would give (`posterior`). No files, no downloads.

The ten classes are five look-alike pairs. How one image comes about:

1. the class y is uniform over `CLASSES`; its pair is y // 2
2. the level k on the pair's morph continuum, from 0 (its first class at its purest) to LEVELS - 1
   (its second), is drawn from `LEVEL_GIVEN_CLASS[y]`: mostly the class's own half, and across
   the middle now and then, so that near the middle no label can be certain
3. the look (noon or dusk, narrow or wide), the shift and the mirroring are uniform over
   `LOOKS`, `SHIFTS` and (no, yes), and say nothing about the class
4. the 32x32 window of `canvases()[pair, k, look]` at that shift, mirrored or not, is the mean
5. every value gets noise from the discrete Gaussian: p(n) proportional to exp(-n^2 / 2 SIGMA^2)

The noise lives on the integers and the canvases stay `MARGIN` clear of 0 and 255, so no noisy
value is ever rounded or clipped, every mean has the same normaliser, and Bayes' rule gives
p(y | x) exactly.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import torch
from torch import Tensor

CLASSES = (
    "apple", "pear", "cup", "bowl", "pine", "oak", "house", "church", "star", "flower",
)  # fmt: skip
SIGMA = 6.0
MARGIN = 48  # 8 SIGMA: the noise is cut there, a mass of 1e-15, as little as float64 resolves
SHIFTS = tuple(itertools.product((-1, 0, 1), repeat=2))  # (dy, dx) in pixels
_NOON, _DUSK = (1.0, 1.0, 1.0), (0.86, 0.62, 0.78)  # factors for red, green, blue
_NARROW, _WIDE = (0.90, 1.0), (1.10, 0.92)  # stretch in width and height
LOOKS = tuple(itertools.product((_NOON, _DUSK), (_NARROW, _WIDE)))

# Seen over both classes of a pair, every level is equally likely, and the log-odds of the second
# class rise linearly with the level: -9.45, -6.75, -4.05, -1.35, 1.35, ... That makes Bayes'
# error 5.6 %, nearly all of it in the two middle levels.
LEVELS = 8
_SECOND = 1 / (1 + np.exp(-2.7 * (np.arange(LEVELS) - (LEVELS - 1) / 2)))
LEVEL_GIVEN_CLASS = np.stack([_SECOND[::-1], _SECOND] * 5) * 2 / LEVELS  # [10, LEVELS]

_SIZE = 32
_BLOCK = 250  # images per random stream; fixed, so that a longer sample begins like a shorter one


def sample(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw `n` independent images with their labels; the same (n, seed) gives the same ones.

    A longer sample of the same seed begins with the shorter one.

    Returns: images uint8 [n, 3, 32, 32] and labels int64 [n], indices into `CLASSES`.
    Raises: TypeError or ValueError if `n` is no positive integer or `seed` no integer >= 0.
    """
    n = _check_integer("n", n, least=1)
    seed = _check_integer("seed", seed, least=0)
    images = np.empty((n, 3, _SIZE, _SIZE), np.uint8)
    labels = np.empty(n, np.int64)
    for start in range(0, n, _BLOCK):
        here = slice(start, min(start + _BLOCK, n))
        size = here.stop - here.start
        stream = np.random.SeedSequence(seed, spawn_key=(start // _BLOCK,))
        block_images, block_labels = _draw_block(np.random.default_rng(stream))
        images[here], labels[here] = block_images[:size], block_labels[:size]
    return torch.from_numpy(images), torch.from_numpy(labels)


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
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, _SIZE, _SIZE):
        raise ValueError(
            f"images has shape {tuple(images.shape)}; allowed is [n, 3, {_SIZE}, {_SIZE}]: "
            "give a single image its batch axis with images[None]"
        )
    means, half_squares = _means()
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
        score = score.div_(SIGMA**2).unflatten(1, (5, LEVELS, means.shape[2] // (5 * LEVELS)))
        level = score.logsumexp(3)  # [b, pairs, levels]; the other latents are uniform
        rows.append((level[:, :, None] + prior).logsumexp(3).flatten(1).softmax(1))
    return torch.cat(rows)


def templates() -> Tensor:
    """The noise-free morph continua, centred, in the first look: uint8 [5, LEVELS, 3, 32, 32]."""
    return torch.from_numpy(_window(canvases()[:, :, 0], 0, 0).copy())


@cache
def canvases() -> np.ndarray:
    """Every scene with a pixel of room to shift, read-only: uint8 [5, LEVELS, looks, 3, 34, 34]."""
    scenes = np.empty((5, LEVELS, len(LOOKS), 3, _SIZE + 2, _SIZE + 2), np.uint8)
    for pair, level, look in np.ndindex(scenes.shape[:3]):
        light, (width, height) = LOOKS[look]
        easel = _Easel(width, height)
        _PAINTERS[pair](easel, level / (LEVELS - 1))
        values = MARGIN + (255 - 2 * MARGIN) * np.clip(easel.picture * light, 0, 1)
        scenes[pair, level, look] = np.rint(values).transpose(2, 0, 1)
    scenes.setflags(write=False)
    return scenes


def _window(canvas: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """The 32x32 window of [..., 34, 34] in which the object stands (dy, dx) off the centre."""
    return canvas[..., 1 - dy : 1 - dy + _SIZE, 1 - dx : 1 - dx + _SIZE]


@cache
def _all_means() -> np.ndarray:
    """The mean image of every latent: uint8 [pair, level, look, shift, mirrored, 3, 32, 32]."""
    shifted = np.stack([_window(canvases(), dy, dx) for dy, dx in SHIFTS], axis=3)
    return np.stack([shifted, shifted[..., ::-1]], axis=4)


@cache
def _means() -> tuple[Tensor, Tensor]:
    """The means less 128, as float32 [3 channels, 1024, latents], and |mu|^2 / 2 [latents]."""
    flat = torch.from_numpy(_all_means().reshape(-1, 3, _SIZE * _SIZE)).float() - 128
    return flat.permute(1, 2, 0).contiguous(), flat.double().square().sum((1, 2)) / 2


def _draw_block(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One block of _BLOCK images [_BLOCK, 3, 32, 32] and labels from its own random stream."""
    labels = rng.integers(len(CLASSES), size=_BLOCK)
    level = (rng.random((_BLOCK, 1)) > LEVEL_GIVEN_CLASS.cumsum(1)[labels, :-1]).sum(1)
    look = rng.integers(len(LOOKS), size=_BLOCK)
    shift = rng.integers(len(SHIFTS), size=_BLOCK)
    mirrored = rng.integers(2, size=_BLOCK)
    means = _all_means()[labels // 2, level, look, shift, mirrored]
    steps = np.arange(-MARGIN, MARGIN + 1)
    weights = np.exp(-(steps**2) / (2 * SIGMA**2))
    cumulative = (weights.cumsum() / weights.sum())[:-1]
    noise = np.searchsorted(cumulative, rng.random(means.shape)) - MARGIN
    return (means + noise).astype(np.uint8), labels


def _check_integer(name: str, value: int, least: int) -> int:
    advice = f"allowed are integers >= {least}: pass for example {name}={max(least, 1000)}"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}); {advice}")
    if value < least:
        raise ValueError(f"{name} is {value}; {advice}")
    return int(value)


class _Easel:
    """A 34x34 picture in 0..1 with its coordinates: x to the right, y upwards, in pixels.

    A shape is a field, positive inside, that changes by about 1 a pixel: its edges come out soft.
    """

    def __init__(self, width: float, height: float) -> None:
        line = np.arange(_SIZE + 2) - (_SIZE + 1) / 2
        self.x = line[None, :] / width
        self.y = (-line[:, None] + 10) / height - 10  # things keep standing on the ground
        self.picture = np.zeros((_SIZE + 2, _SIZE + 2, 3))

    def paint(self, field: np.ndarray, colour: tuple | np.ndarray) -> None:
        cover = np.clip(field + 0.5, 0, 1)[..., None]
        self.picture += cover * (np.asarray(colour) - self.picture)

    def backdrop(self, far: tuple, near: tuple, horizon: float) -> None:
        """Sky or wall above the horizon, ground or table below, both brightest along it."""
        glow = 1.12 - 0.014 * np.abs(self.y - horizon)[..., None]
        self.picture += np.asarray(far) * glow
        self.paint(horizon - self.y, np.asarray(near) * glow)

    def ellipse(self, x: float, y: float, rx: float, ry: float) -> np.ndarray:
        return (1 - np.hypot((self.x - x) / rx, (self.y - y) / ry)) * min(rx, ry)

    def box(self, x: float, y: float, rx: float, ry: float) -> np.ndarray:
        return np.minimum(rx - np.abs(self.x - x), ry - np.abs(self.y - y))

    def turned(self, heights: tuple, widths: np.ndarray) -> np.ndarray:
        """A body as if turned on a lathe, with these half-widths at these heights."""
        return np.interp(self.y, heights, widths, left=-3, right=-3) - np.abs(self.x)

    def shade(self, colour: tuple, x: float, y: float, radius: float) -> np.ndarray:
        """A colour that is brightest at (x, y) and darkens away from there."""
        distance = np.hypot(self.x - x, self.y - y)[..., None] / radius
        return np.asarray(colour) * (1.3 - 0.45 * distance) + 0.12 * np.exp(-4 * distance**2)


# The five painters: t runs from 0, the pair's first class, to 1, its second.


def _apple_pear(e: _Easel, t: float) -> None:
    e.backdrop((0.55, 0.80, 0.86), (0.66, 0.50, 0.34), -7)
    e.paint(e.ellipse(2, -10.5, 10, 2), (0.42, 0.30, 0.22))
    e.paint(e.box(0, 8 + t, 0.7, 3.2), (0.35, 0.22, 0.12))
    lower = e.ellipse(0, -3, 9 - 0.8 * t, 8 - 0.5 * t)
    upper = e.ellipse(0, 2 + 2.5 * t, 8.4 - 4.2 * t, 5 - 0.4 * t)
    e.paint(np.logaddexp(lower, upper) - 0.15, e.shade((0.88, 0.26, 0.16), -4, 2, 11))
    e.paint(e.ellipse(3.6, 9.6 + t, 3.2, 1.5), (0.28, 0.62, 0.22))


def _cup_bowl(e: _Easel, t: float) -> None:
    e.backdrop((0.96, 0.80, 0.52), (0.52, 0.33, 0.30), -6)
    e.paint(e.ellipse(2, -10, 9 + 3 * t, 2), (0.33, 0.20, 0.20))
    rim, height = 6.5 + 5 * t, 6 - 4 * t
    ring = np.abs(np.hypot(e.x - rim + 1.5 * t, e.y + 1 + t) - 4 + 2 * t)
    e.paint(1.4 - 0.4 * t - ring, (0.16, 0.38, 0.74))
    cup, bowl = np.array([[5, 5.8, 6.2, 6.4, 6.6], [4, 7, 10, 11.5, 12]])
    body = e.turned((-10, -8, -4, 0, height), cup + t * (bowl - cup))
    e.paint(body, e.shade((0.20, 0.48, 0.90), -4, 0, 12))
    e.paint(e.ellipse(0, height, rim + 0.3, 1.6), (0.90, 0.96, 1.0))


def _pine_oak(e: _Easel, t: float) -> None:
    e.backdrop((0.66, 0.80, 0.95), (0.62, 0.72, 0.34), -10)
    e.paint(e.ellipse(4, -12, 8, 1.5), (0.42, 0.50, 0.24))
    e.paint(e.box(0, -9, 1.3 + 0.7 * t, 4), (0.40, 0.26, 0.16))
    pine, oak = np.array([[9.5, 8.4, 6.6, 4.8, 3, 1.6, 0], [3, 7, 9.5, 10, 9, 6, 0]])
    crown = e.turned((-8, -6, -2, 2, 6, 9, 12), pine + t * (oak - pine))
    e.paint(0.8 * crown, e.shade((0.16, 0.50, 0.26), -4, 5, 13))


def _house_church(e: _Easel, t: float) -> None:
    e.backdrop((0.62, 0.78, 0.98), (0.42, 0.66, 0.32), -9)
    e.paint(e.ellipse(3, -11, 12, 1.5), (0.28, 0.46, 0.24))
    width, top = 1.4 + 2 * t, 6.5 + t  # a chimney that grows into a steeple
    e.paint(e.box(-5.5, (top - 11) / 2, width, (top + 11) / 2), (0.94, 0.86, 0.72))
    spire = (1 - (e.y - top) / (0.5 + 6 * t)) * (width + 0.6) - np.abs(e.x + 5.5)
    e.paint(np.minimum(spire, e.y - top + 0.5), (0.46, 0.24, 0.26))
    e.paint(e.box(1.5, -6, 8.5, 5), (0.98, 0.90, 0.76))
    roof = (7 - 1.5 * t - e.y) * 1.15 - np.abs(e.x - 1.5)
    e.paint(np.minimum(roof, e.y + 2), e.shade((0.80, 0.30, 0.20), -4, 6, 16))
    e.paint(e.box(1.5, -8, 1.6, 3), (0.42, 0.26, 0.20))
    for x in (-3, 6.5):
        e.paint(e.box(x, -5.5, 1.2, 1.7), (0.30, 0.46, 0.66))


def _star_flower(e: _Easel, t: float) -> None:
    e.backdrop((0.36, 0.24, 0.62), (0.30, 0.24, 0.46), -40)
    angle = 2.5 * (np.arctan2(e.x, e.y) + 0.1)  # half of five times the angle
    tips = 1 - 2 * np.arccos(np.abs(np.cos(angle))) / np.pi  # 1 at a tip, 0 between two
    star, flower = 5 + 8 * tips**1.2, 12 - 5 * (1 - tips) ** 2
    edge = star + t * (flower - star)
    e.paint(0.7 * (edge - np.hypot(e.x, e.y)), e.shade((1.0, 0.78, 0.22), -3, 4, 14))
    e.paint(e.ellipse(0, 0, 3.2, 3.2), (0.80, 0.44, 0.16))


_PAINTERS = (_apple_pear, _cup_bowl, _pine_oak, _house_church, _star_flower)
