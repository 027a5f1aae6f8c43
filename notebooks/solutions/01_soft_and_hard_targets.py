"""Solutions of notebook 01. Each is a function; the tests run them on the smoke profile."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import brentq

from kdutils import data, losses, metrics
from kdutils.course import arms
from kdutils.knowledge import log_posterior
from kdutils.runs import run
from kdutils.training import fit, predict


def entropy(q: torch.Tensor) -> float:
    """Entropy of one distribution, in nats."""
    return float(-(q * q.clamp(min=1e-300).log()).sum())


def temperature_of_entropy(logits: torch.Tensor, nats: float = 2.0) -> float:
    """Exercise 1: the temperature at which the soft targets have this entropy.

    The entropy rises with T, so that there is one such temperature at most.
    """
    z = logits.double()
    return brentq(lambda t: entropy(losses.soft_targets(z, t)) - nats, 0.05, 1e4)


def gradient_of_the_mixture(
    temperature: float = 1.0, alpha: float = 0.7
) -> tuple[torch.Tensor, torch.Tensor]:
    """Exercise 2: the gradient by autograd, and q - (alpha p + (1 - alpha) e_y) at T = 1.

    Both terms have gradients of the form q - target at T = 1, and the weights sum to 1. At T = 4
    the soft term has another q, so that no single target gives the sum.
    """
    g = torch.Generator().manual_seed(0)
    student, teacher = 2 * torch.randn(2, 16, 10, dtype=torch.float64, generator=g)
    labels = torch.randint(10, (16,), generator=g)
    z = student.clone().requires_grad_()
    losses.kd_loss(z, teacher, labels, temperature, alpha).backward()
    hard = torch.nn.functional.one_hot(labels, 10).double()
    target = alpha * losses.soft_targets(teacher) + (1 - alpha) * hard
    return len(z) * z.grad, losses.soft_targets(student) - target  # the loss is a batch mean


def permuted_with_labels(profile: str, alpha: float = 0.5, seed: int = 0):
    """Exercise 3: the records of labels alone, and of labels with a permuted teacher.

    By exercise 2 the target is half the label and half the answer about another image. On average
    that is half the label and a twentieth for each class: the right class still leads, so that the
    accuracy recovers, but the probabilities are much too low.
    """
    found = {arm.name: arm.recipe.with_seed(seed) for arm in arms(1, profile)}
    return run(found["hard labels"]), run(replace(found["permuted teacher"], alpha=alpha))


def shuffled_within_classes(labels: torch.Tensor, seed: int) -> torch.Tensor:
    """Positions [N]: each image is given another image of its own class, in a random order."""
    g = torch.Generator().manual_seed(seed)
    order = torch.arange(len(labels))
    for c in labels.unique():
        members = torch.nonzero(labels == c)[:, 0]
        order[members] = members[torch.randperm(len(members), generator=g)]
    return order


def class_or_image(profile: str, seeds: Sequence[int] = (0, 1)) -> dict[str, float]:
    """Exercise 4: mean test accuracy with true probabilities of this image, or of this class.

    Nothing is left of the gain: it came from knowing how certain *this* image is. On bayes10, to
    know which classes are alike is worth nothing to a student that has labels.
    """
    arm = next(arm for arm in arms(1, profile) if arm.name == "perfect teacher")
    dataset = data.load(arm.recipe.dataset)
    labels = dataset.train.labels[: arm.recipe.n_train]
    truth = log_posterior("train", arm.recipe.n_train)
    found: dict[str, list[float]] = {}
    for seed in seeds:
        taught = arm.recipe.with_seed(seed)
        order = shuffled_within_classes(labels, seed)
        for name, recipe, logits in (
            ("hard labels", replace(taught, teacher=None), None),
            ("of this image", taught, truth),
            ("of this class", taught, truth[order]),
        ):
            net = fit(recipe, dataset, lambda epoch, logits=logits: logits).net
            z = predict(net, dataset.test.images, dataset)
            found.setdefault(name, []).append(metrics.accuracy(z, dataset.test.labels))
    return {name: float(np.mean(values)) for name, values in found.items()}
