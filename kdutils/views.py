"""Augmentation as a pure function of (seed, epoch, image index).

In: uint8 images [B, C, H, W] and who they are. Out: the same images, moved. Every random number
comes from an integer hash, and every step is exact: coordinates are multiples of 1/64 pixel and
bilinear weights multiples of 1/4096, so float32 holds each product and sum without rounding. Any
order, batch size, device or resumed run therefore sees the same pixels, bit for bit.
"""

from dataclasses import dataclass
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

CANVAS = 32  # every warp happens on 32 x 32: a power of two keeps normalised coordinates exact
SPLINE_STEP = 8  # pixels between two control points of the elastic field
UNIT = 4096  # displacements are integers in 1/4096 pixel


@dataclass(frozen=True)
class Kind:
    """Half-ranges of the uniform draws: pixels for shift and elastic, ratios for the others."""

    shift: float = 0
    rotate: float = 0  # radians, to first order: x += r y, y -= r x
    scale: float = 0
    shear: float = 0
    elastic: float = 0  # at the control points of a cubic B-spline, 8 pixels apart
    flip: bool = False
    alternate: bool = False  # mirrored in every second epoch, instead of by a draw an epoch

    @property
    def whole_pixels(self) -> bool:
        """Whether each pixel of a view is one pixel of the image."""
        return not (self.rotate or self.scale or self.shear or self.elastic)


KINDS: dict[str, Kind] = {
    "none": Kind(),
    "jitter": Kind(shift=2),
    "affine": Kind(shift=2, rotate=0.2, scale=0.12, shear=0.12),
    "elastic": Kind(shift=2, rotate=0.2, scale=0.12, shear=0.12, elastic=3.0),
    "crop-flip": Kind(shift=4, flip=True),
    "shift-flip": Kind(shift=2, flip=True, alternate=True),  # Jordan 2024, arXiv:2404.00498
}


def hash32(*words: Tensor | int) -> Tensor:
    """Mix integers into 32 random-looking bits each, int64 in [0, 2**32).

    One round of MurmurHash3's 32-bit finaliser (Appleby 2011, public domain) a word. int64 products
    wrap, which leaves their low 32 bits right on every device.
    """
    mask = 0xFFFFFFFF
    state: Tensor | int = 0x9E3779B9
    for word in words:
        state = (state ^ word) & mask
        state = ((state ^ (state >> 16)) * 0x85EBCA6B) & mask
        state = ((state ^ (state >> 13)) * 0xC2B2AE35) & mask
        state = (state ^ (state >> 16)) + 0x9E3779B9
    return state & mask


@lru_cache(maxsize=8)
def _basis(device: torch.device) -> Tensor:
    """Integer displacement fields [3 + 49, 32 * 32]: 1, u = 2x - 31, v = 2y - 31, the B-splines."""
    at = torch.arange(CANVAS)
    centred = 2 * at - (CANVAS - 1)
    knots = torch.arange(-1, CANVAS // SPLINE_STEP + 2)
    t = ((at[None] + 0.5) / SPLINE_STEP - knots[:, None]).abs()  # [7, 32] distance in steps
    spline = torch.where(t < 1, 2 / 3 - t**2 + t**3 / 2, (2 - t).clamp(min=0) ** 3 / 6)
    spline = (16 * spline).round()  # integers: a product of two is in 1/256
    v, u = torch.meshgrid(centred.float(), centred.float(), indexing="ij")
    splines = [torch.outer(row, column) for row in spline for column in spline]
    return torch.stack([torch.ones_like(u), u, v, *splines]).flatten(1).to(device)


@lru_cache(maxsize=8)
def _half_ranges(kind: Kind, device: torch.device) -> Tensor:
    """Integers [6 or 104], for shift (x, y), rotation, shear, scale (x, y), control points."""
    shift = kind.shift * (1 if kind.whole_pixels else UNIT)
    slopes = [kind.rotate, kind.shear, kind.scale, kind.scale]
    steps = [slope * UNIT / 2 for slope in slopes]  # u and v count half pixels
    controls = [kind.elastic * UNIT / 256] * (2 * 49 if kind.elastic else 0)
    return torch.tensor(list(map(round, [shift, shift, *steps, *controls])), device=device)


def _weights(kind: Kind, seed: int, epoch: int, index: Tensor) -> Tensor:
    """The integer weight of each basis field for x and y: float32 [B, 2, K], K = 3 or 52."""
    half = _half_ranges(kind, index.device)
    stream = hash32(seed, epoch, index)  # [B]
    bits = hash32(stream[:, None], torch.arange(len(half), device=index.device))
    drawn = ((bits * (2 * half + 1)) >> 32) - half  # integers uniform on [-half, half]
    shift_x, shift_y, rotate, shear, scale_x, scale_y = drawn[:, :6].unbind(1)
    coin = hash32(seed, index, 0x5F1F) + epoch if kind.alternate else hash32(stream, 0x5F1F)
    x_from_x = torch.where((coin & int(kind.flip)) == 1, -UNIT, scale_x)
    step = UNIT if kind.whole_pixels else 1
    x = torch.stack([shift_x * step, x_from_x, shear + rotate], dim=1)
    y = torch.stack([shift_y * step, shear - rotate, scale_y], dim=1)
    affine = torch.stack([x, y], dim=1)  # [B, 2, 3]
    controls = drawn[:, 6:].view(len(index), 2, len(half) // 2 - 3)
    return torch.cat([affine, controls], dim=2).float()


def apply(images: Tensor, kind: str, seed: int, epoch: int, index: Tensor | None = None) -> Tensor:
    """One view of each image: uint8 [B, C, H, W] in and out, H = W <= 32 and even.

    seed and epoch: integers that name the view; index: int64 [B], the images' numbers in the
    training set (0 to B - 1). What moves in from outside is 0. Raises ValueError for an unknown
    kind or a wrong shape or type.
    """
    if kind not in KINDS:
        raise ValueError(f"views = {kind!r} is not a kind of view. Choose one of: {list(KINDS)}.")
    spec = KINDS[kind]
    index = torch.arange(len(images)) if index is None else index
    square = images.ndim == 4 and images.shape[2] == images.shape[3] in range(2, CANVAS + 1, 2)
    if images.dtype != torch.uint8 or not square or index.shape != images.shape[:1]:
        raise ValueError(
            f"views.apply takes square uint8 images [B, C, H, W] of an even size up to {CANVAS}, "
            f"and an index [B], one for each image; not {images.dtype} {list(images.shape)} and "
            f"{list(index.shape)}."
        )
    if kind == "none":
        return images
    move = partial(_moved, margin=int(spec.shift)) if spec.whole_pixels else _warped
    pairs = zip(images.split(512), index.to(images.device).split(512), strict=True)
    return torch.cat([move(some, _weights(spec, seed, epoch, at)) for some, at in pairs])


def _moved(images: Tensor, weights: Tensor, margin: int) -> Tensor:
    """What `_warped` gives for shifts and mirror images, without a warp."""
    size = images.shape[3]
    shift = (weights[:, :, 0] / UNIT).long()  # [B, 2]
    at = torch.arange(size, device=images.device)
    mirrored = weights[:, 0, 1:2] < 0
    x = torch.where(mirrored, size - 1 - at, at) + shift[:, :1] + margin  # [B, W]
    y = at + shift[:, 1:] + margin  # [B, H]
    places = (y[:, :, None] * (size + 2 * margin) + x[:, None, :]).flatten(1)  # [B, H * W]
    padded = F.pad(images, [margin] * 4).flatten(2)
    return padded.gather(2, places[:, None].expand(-1, images.shape[1], -1)).view_as(images)


def _warped(images: Tensor, weights: Tensor) -> Tensor:
    """The images read at the places that the weights' displacement fields lead to."""
    margin = (CANVAS - images.shape[3]) // 2
    fields = weights @ _basis(images.device)[: weights.shape[2]]  # [B, 2, 1024], whole numbers
    moved = torch.floor((fields + 32) / 64) / 64  # pixels, multiples of 1/64
    at = torch.arange(CANVAS, device=images.device)
    x = moved[:, 0].view(-1, CANVAS, CANVAS) + at
    y = moved[:, 1].view(-1, CANVAS, CANVAS) + at[:, None]
    grid = (2 * torch.stack([x, y], dim=3) + 1) / CANVAS - 1  # exact: CANVAS is a power of two
    canvas = F.pad(images, [margin] * 4).float()
    warped = F.grid_sample(canvas, grid, mode="bilinear", align_corners=False)
    inner = slice(margin, CANVAS - margin)
    return warped[:, :, inner, inner].round().to(torch.uint8)
