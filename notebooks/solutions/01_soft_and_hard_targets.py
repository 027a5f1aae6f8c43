"""Solutions of notebook 01. Each is a function; the tests run them on the smoke profile."""

from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import brentq

from kdutils import losses
from kdutils.course import arms
from kdutils.knowledge import log_posterior
from kdutils.runs import run


def entropy(q: torch.Tensor) -> float:
    """Entropy of one distribution, in nats."""
    return float(-(q * q.clamp(min=1e-300).log()).sum())


def temperature_of_one_nat(logits: torch.Tensor) -> float:
    """Exercise 1: the temperature at which the soft targets have an entropy of 1 nat."""
    return brentq(lambda t: entropy(losses.soft_targets(logits, t)) - 1, 0.05, 1000)


def gradient_by_formula_and_autograd(n: int = 8, temperature: float = 3.0):
    """Exercise 2: (q - p) / T beside what autograd says; both [n, 10], one row an image."""
    generator = torch.Generator().manual_seed(0)
    z, v = torch.randn(2, n, 10, dtype=torch.float64, generator=generator)
    p = losses.soft_targets(v, temperature)
    z.requires_grad_()
    losses.soft_cross_entropy(z / temperature, p).backward()
    formula = (losses.soft_targets(z.detach(), temperature) - p) / temperature
    return formula, n * z.grad  # the loss is a mean over images


def permuted_with_labels(profile: str, alpha: float = 0.5, seed: int = 0):
    """Exercise 3: the records of labels alone, and of labels with a permuted teacher."""
    found = {arm.name: arm.recipe.with_seed(seed) for arm in arms(1, profile)}
    mixed = replace(found["permuted teacher"], alpha=alpha)
    return run(found["hard labels"]), run(mixed)


def smoothing_of_equal_entropy(top: float = 0.8) -> tuple[float, int]:
    """Exercise 4: the smoothing as soft as the doubtful picture nearest to this top probability.

    What the two still do not share: the picture gives nearly all of the rest to one class, its twin;
    smoothing gives it to all nine alike. Also returned: the number of that picture.
    """
    q = log_posterior("test").double().softmax(1)
    picture = int((q.max(1).values - top).abs().argmin())
    target = entropy(q[picture])

    def excess(s: float) -> float:
        smooth = np.full(10, s / 10)
        smooth[0] += 1 - s
        return float(-(smooth * np.log(smooth)).sum()) - target

    return brentq(excess, 1e-6, 0.9), picture
