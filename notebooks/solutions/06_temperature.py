"""Solutions of notebook 06. Each is a function; the tests run them on the smoke profile."""

import numpy as np
import torch
import torch.nn.functional as F

from kdutils.losses import soft_targets


def limit_error(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> float:
    """Exercise 1: how far T (q - p) is from (z - v) / C, relative to the latter's mean length.

    exp(z / T) = 1 + z / T + ..., and centred logits sum to zero, so q = (1 + z / T) / C + O(1/T^2).
    The same holds for p; T (q - p) is then (z - v) / C + O(1 / T). Logits [N, C].
    """
    z, v = (x - x.mean(dim=1, keepdim=True) for x in (student, teacher))
    exact = temperature * (soft_targets(z, temperature) - soft_targets(v, temperature))
    limit = (z - v) / z.shape[1]
    # a ratio of means: two views of an image may be one, and then both lengths are zero
    return float((exact - limit).norm(dim=1).mean() / limit.norm(dim=1).mean())


def balanced_alpha(teacher: torch.Tensor, labels: torch.Tensor, temperature: float) -> float:
    """Exercise 2: the alpha at which both gradients are equally long, for a student of zero logits.

    Lengths alpha T |q - p| and (1 - alpha) |q - y| are equal at alpha = h / (s + h), with s and h
    the mean lengths without their weights. teacher: logits [N, C]; labels: [N].
    """
    classes = teacher.shape[1]
    q = torch.full_like(teacher, 1 / classes)
    soft = (temperature * (q - soft_targets(teacher, temperature))).norm(dim=1).mean()
    hard = (q - F.one_hot(labels, classes)).norm(dim=1).mean()
    return float(hard / (soft + hard))


def range_by_chance(sigma: float, settings: int = 35, seeds: int = 3, runs: int = 4_000) -> float:
    """Exercise 3: mean range of the settings' means where all settings are equally good."""
    rng = np.random.default_rng(0)
    means = sigma * rng.standard_normal((runs, settings, seeds)).mean(axis=2)
    return float(np.ptp(means, axis=1).mean())


def changed_answers(logits: torch.Tensor, bits: int) -> float:
    """Exercise 4: the share of top answers that change when logits are rounded to so many bits.

    Symmetric steps, as the stored files have them: the largest centred logit is the last level.
    """
    z = logits.float()
    z = z - z.mean(dim=1, keepdim=True)
    levels = 2 ** (bits - 1) - 1
    step = z.abs().max() / levels
    rounded = (z / step).round()
    # where several classes share the top level, the answer is kept only if it is the first of them
    return float((rounded.argmax(1) != z.argmax(1)).float().mean())
