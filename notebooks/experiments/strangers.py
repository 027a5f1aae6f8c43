"""Transfer sets without a digit: what is left when nobody has an image of the right kind.

In: the names of a data set of digits and of one of scenes. Out: a `Dataset` whose training images
are strangers, and whose validation and test images are the digits' own.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from kdutils import data

SIZE = 28  # pixels a side, as MNIST has them
SHUFFLE_SEED = 2_017


def photographs(scenes: str, _: Tensor) -> Tensor:
    """The training images of a coloured data set, grey and cut to size: uint8 [N, 1, 28, 28]."""
    images = data.load(scenes).train.images
    cut = (images.shape[-1] - SIZE) // 2
    grey = images[:, :, cut : cut + SIZE, cut : cut + SIZE].float().mean(dim=1, keepdim=True)
    return grey.round().to(torch.uint8)


def shuffled(digits: Tensor) -> Tensor:
    """The digits' own pixels, those of each image in a random order: the ink without the form."""
    flat = digits.flatten(1)
    keys = torch.rand(flat.shape, generator=torch.Generator().manual_seed(SHUFFLE_SEED))
    return flat.gather(1, keys.argsort(dim=1)).view_as(digits)


def load(digits: str, draw: Callable[[Tensor], Tensor]) -> data.Dataset:
    """Strangers to learn from and digits to be judged by.

    Every label of a stranger is 0 and means nothing: a student of them needs alpha = 1. Pixels are
    normalised as the digits' are, so that the student can be asked about digits later.
    """
    home = data.load(digits)
    images = draw(home.train.images)
    strangers = data.Split(images, torch.zeros(len(images), dtype=torch.int64))
    rest = home.classes, strangers, home.val, home.test, home.mean, home.std
    return data.Dataset(digits, *rest)


for _digits, _scenes in {"mnist": "cifar10", "digits": "bayes10-toy"}.items():
    data.OWN[f"{_digits}-photographs"] = partial(load, _digits, partial(photographs, _scenes))
    data.OWN[f"{_digits}-shuffled"] = partial(load, _digits, shuffled)
