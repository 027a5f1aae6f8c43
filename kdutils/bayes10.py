"""bayes10: an embedded colour data set whose exact posterior p(class | image) is known.

In: a count and a seed. Out: uint8 images with labels (`sample`) and, for any image, the
probabilities that a perfect teacher would give (`posterior`). No files, no downloads.

The ten classes are five look-alike pairs. How one image comes about:

1. the class y is uniform over `CLASSES`; its pair is y // 2
2. the morph level k, from 0 (the pair's first class at its purest) to 6 (its second), is drawn
   from `LEVEL_GIVEN_CLASS[y]`: mostly the class's own end, seldom the other one
3. light (noon or dusk), shift (dx, dy) and mirroring are uniform and say nothing about the class
4. the 32x32 window of `canvases()[pair, k, light]` at that shift, mirrored or not, is the mean
5. every value gets noise from the discrete Gaussian: p(n) proportional to exp(-n^2 / 2 SIGMA^2)

The noise lives on the integers and the canvases stay `MARGIN` clear of 0 and 255, so nothing is
rounded or clipped, every mean has the same normaliser, and Bayes' rule gives p(y | x) exactly.
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
LEVELS = 7
SIGMA = 6.0
MARGIN = 48  # 8 SIGMA: the noise is cut there, a mass of 1e-15, less than float64 resolves
SHIFTS = tuple(itertools.product((-1, 0, 1), (-2, -1, 0, 1, 2)))  # (dy, dx) in pixels
LIGHTS = np.array([[1.0, 1.0, 1.0], [0.86, 0.62, 0.78]])  # noon, dusk: factors for R, G, B

# Each level is .42 times as likely as the one before it, seen from the class's own end. The
# log-odds of the two classes are then linear in the level: 5.2, 3.5, 1.7, 0, -1.7, -3.5, -5.2.
_DECAY = 0.42 ** np.arange(LEVELS) / (0.42 ** np.arange(LEVELS)).sum()
LEVEL_GIVEN_CLASS = np.stack([_DECAY, _DECAY[::-1]] * 5)  # [10, LEVELS], rows sum to 1

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
        block_images, block_labels = _draw_block(np.random.default_rng([seed, start // _BLOCK]))
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
    rows = []
    for chunk in images.cpu().split(512):
        x = chunk.flatten(2).float() - 128  # [b, 3, 1024]
        # -|x - mu|^2 / 2 = x.mu - |mu|^2 / 2 - |x|^2 / 2, and the last term cancels. All values
        # are integers, at most 128 in x and 128 - MARGIN in mu, so that the sum over one channel
        # stays below 1024 * 128 * 80 < 2^24: exact in float32, in any order of summation.
        inner = -half_squares.expand(len(x), -1)
        for channel in range(3):
            inner = inner + (x[:, channel] @ means[channel]).double()
        inner = (inner / SIGMA**2).view(len(x), 5, LEVELS, -1)
        level = inner.logsumexp(3)  # [b, pairs, levels]; the other latents are uniform
        prior = torch.from_numpy(LEVEL_GIVEN_CLASS).log().view(5, 2, LEVELS)
        rows.append((level[:, :, None] + prior).logsumexp(3).flatten(1).softmax(1))
    return torch.cat(rows) if rows else torch.empty(0, 10, dtype=torch.float64)


def templates() -> Tensor:
    """The noise-free morph continua at noon, centred: uint8 [5 pairs, LEVELS, 3, 32, 32]."""
    return torch.from_numpy(_window(canvases()[:, :, 0], 0, 0).copy())


@cache
def canvases() -> np.ndarray:
    """Every scene, with room to shift: uint8 [5 pairs, LEVELS, 2 lights, 3, 34, 36], read-only."""
    scenes = np.empty((5, LEVELS, len(LIGHTS), 3, _SIZE + 2, _SIZE + 4), np.uint8)
    for pair, level in np.ndindex(5, LEVELS):
        picture = _PAINTERS[pair](level / (LEVELS - 1))  # [34, 36, 3] in 0..1
        for light, factors in enumerate(LIGHTS):
            values = MARGIN + (255 - 2 * MARGIN) * np.clip(picture * factors, 0, 1)
            scenes[pair, level, light] = np.rint(values).transpose(2, 0, 1)
    scenes.setflags(write=False)
    return scenes


def _window(canvas: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """The 32x32 window of [..., 34, 36] in which the object stands (dy, dx) off the centre."""
    return canvas[..., 1 - dy : 1 - dy + _SIZE, 2 - dx : 2 - dx + _SIZE]


@cache
def _all_means() -> np.ndarray:
    """The mean image of every latent: uint8 [pair, level, light, shift, mirrored, 3, 32, 32]."""
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
    cumulative = LEVEL_GIVEN_CLASS.cumsum(1)[labels, :-1]
    level = (rng.random((_BLOCK, 1)) > cumulative).sum(1)
    light = rng.integers(len(LIGHTS), size=_BLOCK)
    shift = rng.integers(len(SHIFTS), size=_BLOCK)
    mirrored = rng.integers(2, size=_BLOCK)
    means = _all_means()[labels // 2, level, light, shift, mirrored]
    steps = np.arange(-MARGIN, MARGIN + 1)
    weights = np.exp(-(steps**2) / (2 * SIGMA**2))
    noise = np.searchsorted(weights.cumsum() / weights.sum(), rng.random(means.shape))
    return (means + noise - MARGIN).astype(np.uint8), labels


def _check_integer(name: str, value: int, least: int) -> int:
    advice = f"allowed are integers >= {least}: pass for example {name}={max(least, 1000)}"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}); {advice}")
    if value < least:
        raise ValueError(f"{name} is {value}; {advice}")
    return int(value)


# --- The ten things, painted with signed distances ------------------------------------------
# A painter takes t, 0 for the pair's first class and 1 for its second, and returns [34, 36, 3]
# in 0..1. X grows to the right and Y upwards, in pixels from the middle. A field is positive
# inside its shape and changes by about 1 a pixel, which makes the edges soft.

Y, X = np.meshgrid(16.5 - np.arange(34), np.arange(36) - 17.5, indexing="ij")


def _paint(picture: np.ndarray, field: np.ndarray, colour: tuple[float, ...] | np.ndarray) -> None:
    cover = np.clip(field + 0.5, 0, 1)[..., None]
    picture[:] = picture * (1 - cover) + cover * np.asarray(colour)


def _scene(far: tuple, near: tuple, horizon: float) -> np.ndarray:
    """A backdrop that brightens towards the horizon, and the ground below it."""
    glow = 1.12 - 0.014 * np.abs(Y - horizon)[..., None]
    picture = np.asarray(far) * glow
    _paint(picture, horizon - Y, np.asarray(near) * glow)
    return picture


def _ellipse(x: float, y: float, rx: float, ry: float) -> np.ndarray:
    return (1 - np.hypot((X - x) / rx, (Y - y) / ry)) * min(rx, ry)


def _box(x: float, y: float, rx: float, ry: float) -> np.ndarray:
    return np.minimum(rx - np.abs(X - x), ry - np.abs(Y - y))


def _turned(heights: tuple, first: tuple, second: tuple, t: float) -> np.ndarray:
    """A body as if turned on a lathe: half-widths at given heights, morphed from first to second."""
    widths = (1 - t) * np.asarray(first) + t * np.asarray(second)
    return np.interp(Y, heights, widths, left=-3, right=-3) - np.abs(X)


def _shade(colour: tuple, x: float, y: float, radius: float) -> np.ndarray:
    """A colour under light that falls in from (x, y)."""
    distance = np.hypot(X - x, Y - y)[..., None] / radius
    return np.asarray(colour) * (1.3 - 0.45 * distance) + 0.12 * np.exp(-4 * distance**2)


def _apple_pear(t: float) -> np.ndarray:
    picture = _scene((0.55, 0.80, 0.86), (0.66, 0.50, 0.34), -7)
    _paint(picture, _ellipse(2, -10.5, 10, 2), (0.42, 0.30, 0.22))
    _paint(picture, _box(0.3 * np.cbrt(Y - 6), 8 + t, 0.7, 3.2), (0.35, 0.22, 0.12))
    lower = _ellipse(0, -3, 9 - 0.8 * t, 8 - 0.5 * t)
    upper = _ellipse(0, 2 + 2.5 * t, 8.4 - 4.2 * t, 5 - 0.4 * t)
    body = np.logaddexp(lower, upper) - 0.15
    _paint(picture, body, _shade((0.88, 0.26, 0.16), -4, 2, 11))
    _paint(picture, _ellipse(3.6, 9.6 + t, 3.2, 1.5), (0.28, 0.62, 0.22))
    return picture


def _cup_bowl(t: float) -> np.ndarray:
    picture = _scene((0.96, 0.80, 0.52), (0.52, 0.33, 0.30), -6)
    _paint(picture, _ellipse(2, -10, 9 + 3 * t, 2), (0.33, 0.20, 0.20))
    width, height = 6.5 + 5 * t, 6 - 4 * t
    handle = 1.4 - 0.4 * t - np.abs(np.hypot(X - width + 1.5 * t, Y + 1 + t) - 4 + 2 * t)
    _paint(picture, handle, (0.16, 0.38, 0.74))
    body = _turned((-10, -8, -4, 0, height), (5, 5.8, 6.2, 6.4, 6.6), (4, 7, 10, 11.5, 12), t)
    _paint(picture, body, _shade((0.20, 0.48, 0.90), -4, 0, 12))
    _paint(picture, _ellipse(0, height, width + 0.3, 1.6), (0.90, 0.96, 1.0))
    return picture


def _pine_oak(t: float) -> np.ndarray:
    picture = _scene((0.66, 0.80, 0.95), (0.62, 0.72, 0.34), -10)
    _paint(picture, _ellipse(4, -12, 8, 1.5), (0.42, 0.50, 0.24))
    _paint(picture, _box(0, -9, 1.3 + 0.7 * t, 4), (0.40, 0.26, 0.16))
    crown = _turned(
        (-8, -6, -2, 2, 6, 9, 12), (9.5, 8.4, 6.6, 4.8, 3, 1.6, 0), (3, 7, 9.5, 10, 9, 6, 0), t
    )
    _paint(picture, 0.8 * crown, _shade((0.16, 0.50, 0.26), -4, 5, 13))
    return picture


def _house_church(t: float) -> np.ndarray:
    picture = _scene((0.62, 0.78, 0.98), (0.42, 0.66, 0.32), -9)
    _paint(picture, _ellipse(3, -11, 12, 1.5), (0.28, 0.46, 0.24))
    width, top = 1.4 + 2.0 * t, 6.5 + 1.0 * t  # a chimney that grows into a steeple
    _paint(picture, _box(-5.5, (top - 11) / 2, width, (top + 11) / 2), (0.94, 0.86, 0.72))
    spire = (1 - (Y - top) / (0.5 + 6 * t)) * (width + 0.6) - np.abs(X + 5.5)
    _paint(picture, np.minimum(spire, Y - top + 0.5), (0.46, 0.24, 0.26))
    _paint(picture, _box(1.5, -6, 8.5, 5), (0.98, 0.90, 0.76))
    roof = (7 - 1.5 * t - Y) * 1.15 - np.abs(X - 1.5)
    _paint(picture, np.minimum(roof, Y + 2), _shade((0.80, 0.30, 0.20), -4, 6, 16))
    _paint(picture, _box(1.5, -8, 1.6, 3), (0.42, 0.26, 0.20))
    for x in (-3.0, 6.5):
        _paint(picture, _box(x, -5.5, 1.2, 1.7), (0.30, 0.46, 0.66))
    return picture


def _star_flower(t: float) -> np.ndarray:
    picture = _scene((0.36, 0.24, 0.62), (0.30, 0.24, 0.46), -40)
    radius, angle = np.hypot(X, Y), 2.5 * (np.arctan2(X, Y) + 0.1)  # half the angle of five tips
    tips = 1 - 2 * np.arccos(np.abs(np.cos(angle))) / np.pi  # 1 at a tip, 0 between two
    petals = 1 - (1 - tips) ** 2
    edge = (1 - t) * (5 + 8 * tips**1.2) + t * (7 + 5 * petals)
    _paint(picture, 0.7 * (edge - radius), _shade((1.0, 0.78, 0.22), -3, 4, 14))
    _paint(picture, _ellipse(0, 0, 3.2, 3.2), (0.80, 0.44, 0.16))
    return picture


_PAINTERS = (_apple_pear, _cup_bowl, _pine_oak, _house_church, _star_flower)
