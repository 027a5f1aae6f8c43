"""The scenes of bayes10, painted: `python -m experiments.bayes10_scenes` writes them anew.

Out: bayes10.npz beside it, which is what `bayes10` reads. On another platform, sines and logarithms
that differ in their last bit may move a value by 1; so the file decides, not this code.
"""

from itertools import product

import numpy as np

from .bayes10 import LEVELS, MARGIN, SCENES

SIZE = 34  # 32 pixels, and one to shift on each side
NOON, DUSK = (1.0, 1.0, 1.0), (0.86, 0.62, 0.78)  # factors for red, green, blue
NARROW, WIDE = (0.90, 1.0), (1.10, 0.92)  # stretch in width and height
LOOKS = tuple(product((NOON, DUSK), (NARROW, WIDE)))


class Easel:
    """A 34x34 picture in 0..1 with its coordinates: x to the right, y upwards, in pixels.

    A shape is a field, positive inside, that changes by about 1 a pixel: its edges come out soft.
    """

    def __init__(self, width: float, height: float) -> None:
        line = np.arange(SIZE) - (SIZE - 1) / 2
        self.x = line[None, :] / width
        self.y = (-line[:, None] + 10) / height - 10  # things keep standing on the ground
        self.picture = np.zeros((SIZE, SIZE, 3))

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


def apple_pear(e: Easel, t: float) -> None:
    e.backdrop((0.55, 0.80, 0.86), (0.66, 0.50, 0.34), -7)
    e.paint(e.ellipse(2, -10.5, 10, 2), (0.42, 0.30, 0.22))
    e.paint(e.box(0, 8 + t, 0.7, 3.2), (0.35, 0.22, 0.12))
    lower = e.ellipse(0, -3, 9 - 0.8 * t, 8 - 0.5 * t)
    upper = e.ellipse(0, 2 + 2.5 * t, 8.4 - 4.2 * t, 5 - 0.4 * t)
    e.paint(np.logaddexp(lower, upper) - 0.15, e.shade((0.88, 0.26, 0.16), -4, 2, 11))
    e.paint(e.ellipse(3.6, 9.6 + t, 3.2, 1.5), (0.28, 0.62, 0.22))


def cup_bowl(e: Easel, t: float) -> None:
    e.backdrop((0.96, 0.80, 0.52), (0.52, 0.33, 0.30), -6)
    e.paint(e.ellipse(2, -10, 9 + 3 * t, 2), (0.33, 0.20, 0.20))
    rim, height = 6.5 + 5 * t, 6 - 4 * t
    ring = np.abs(np.hypot(e.x - rim + 1.5 * t, e.y + 1 + t) - 4 + 2 * t)
    e.paint(1.4 - 0.4 * t - ring, (0.16, 0.38, 0.74))
    cup, bowl = np.array([[5, 5.8, 6.2, 6.4, 6.6], [4, 7, 10, 11.5, 12]])
    body = e.turned((-10, -8, -4, 0, height), cup + t * (bowl - cup))
    e.paint(body, e.shade((0.20, 0.48, 0.90), -4, 0, 12))
    e.paint(e.ellipse(0, height, rim + 0.3, 1.6), (0.90, 0.96, 1.0))


def pine_oak(e: Easel, t: float) -> None:
    e.backdrop((0.66, 0.80, 0.95), (0.62, 0.72, 0.34), -10)
    e.paint(e.ellipse(4, -12, 8, 1.5), (0.42, 0.50, 0.24))
    e.paint(e.box(0, -9, 1.3 + 0.7 * t, 4), (0.40, 0.26, 0.16))
    pine, oak = np.array([[9.5, 8.4, 6.6, 4.8, 3, 1.6, 0], [3, 7, 9.5, 10, 9, 6, 0]])
    crown = e.turned((-8, -6, -2, 2, 6, 9, 12), pine + t * (oak - pine))
    e.paint(0.8 * crown, e.shade((0.16, 0.50, 0.26), -4, 5, 13))


def house_church(e: Easel, t: float) -> None:
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


def star_flower(e: Easel, t: float) -> None:
    e.backdrop((0.36, 0.24, 0.62), (0.30, 0.24, 0.46), -40)
    angle = 2.5 * (np.arctan2(e.x, e.y) + 0.1)  # half of five times the angle
    tips = 1 - 2 * np.arccos(np.abs(np.cos(angle))) / np.pi  # 1 at a tip, 0 between two
    star, flower = 5 + 8 * tips**1.2, 12 - 5 * (1 - tips) ** 2
    edge = star + t * (flower - star)
    e.paint(0.7 * (edge - np.hypot(e.x, e.y)), e.shade((1.0, 0.78, 0.22), -3, 4, 14))
    e.paint(e.ellipse(0, 0, 3.2, 3.2), (0.80, 0.44, 0.16))


PAINTERS = (apple_pear, cup_bowl, pine_oak, house_church, star_flower)


def scenes() -> np.ndarray:
    """Every scene: uint8 [5 pairs, LEVELS, looks, 3, 34, 34], MARGIN clear of 0 and 255."""
    painted = np.empty((5, LEVELS, len(LOOKS), 3, SIZE, SIZE), np.uint8)
    for pair, level, look in np.ndindex(painted.shape[:3]):
        light, (width, height) = LOOKS[look]
        easel = Easel(width, height)
        PAINTERS[pair](easel, level / (LEVELS - 1))
        values = MARGIN + (255 - 2 * MARGIN) * np.clip(easel.picture * light, 0, 1)
        painted[pair, level, look] = np.rint(values).transpose(2, 0, 1)
    return painted


if __name__ == "__main__":
    np.savez_compressed(SCENES, scenes=scenes())
