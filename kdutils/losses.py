"""What a student is asked to match: pure functions of tensors.

In: logits [B, classes], probabilities or labels. Out: a scalar, the mean over the batch. A recipe
names its loss; a reader's own enters by `register`.
"""

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from .registry import Registry

NO_LABEL = -100  # in place of a label that is withheld


def _check_temperature(temperature: float) -> None:
    if not (isinstance(temperature, int | float) and 0 < temperature < math.inf):
        raise ValueError(f"temperature = {temperature!r} must be a finite number above 0.")


def _check_shapes(student: Tensor, targets: Tensor) -> None:
    if student.ndim != 2 or student.shape != targets.shape:
        shapes = f"logits {list(student.shape)}, targets {list(targets.shape)}"
        raise ValueError(f"{shapes}: both must be [batch, classes].")


def soft_targets(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Softmax at a temperature: q_i = exp(z_i / T) / sum_j exp(z_j / T), in [..., classes].

    Raises ValueError for T <= 0. Source: Hinton, Vinyals, Dean 2015, equation 1.
    """
    _check_temperature(temperature)
    return F.softmax(logits / temperature, dim=-1)


def soft_cross_entropy(student_logits: Tensor, probabilities: Tensor) -> Tensor:
    """Cross-entropy against soft targets: the batch mean of -sum_i p_i log q_i, in nats.

    Both [batch, classes], else a ValueError; no gradient flows into the probabilities.
    """
    _check_shapes(student_logits, probabilities)
    return -(probabilities.detach() * F.log_softmax(student_logits, dim=1)).sum(dim=1).mean()


def kd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None,
    temperature: float,
    alpha: float,
    soft_scale: float = 1.0,
) -> Tensor:
    """The distillation loss: alpha T^2 KL(teacher_T || student_T) + (1 - alpha) CE(labels).

    student_logits, teacher_logits (no gradient flows into these): [batch, classes]; labels: int64
    [batch], NO_LABEL where an image has none, or None where alpha = 1 needs none; KL: summed over
    classes, averaged over the batch, in nats. soft_scale multiplies the soft term: 1 is right; 0.1
    is what averaging over batch *and* ten classes does to it. Raises ValueError for T <= 0, alpha
    outside [0, 1], shapes that differ, or labels missing where alpha < 1. Source: Hinton, Vinyals,
    Dean 2015, section 2; T^2 keeps the soft gradient's size as T changes.
    """
    _check_temperature(temperature)
    _check_shapes(student_logits, teacher_logits)
    if not (isinstance(alpha, int | float) and 0 <= alpha <= 1):
        raise ValueError(f"alpha = {alpha!r} must lie in [0, 1]: 0 is labels alone, 1 no labels.")
    if labels is None and alpha < 1:
        raise ValueError(f"alpha = {alpha} needs labels, but labels is None: pass them.")
    q = F.log_softmax(student_logits / temperature, dim=1)
    p = F.log_softmax(teacher_logits.detach() / temperature, dim=1)
    soft = F.kl_div(q, p, reduction="batchmean", log_target=True)
    return _with_labels(alpha * soft_scale * temperature**2 * soft, alpha, student_logits, labels)


def _with_labels(loss: Tensor, alpha: float, logits: Tensor, labels: Tensor | None) -> Tensor:
    """loss + (1 - alpha) CE. An unlabelled image adds 0 to the mean over the whole batch."""
    if alpha == 1:
        return loss
    each = F.cross_entropy(logits, labels, ignore_index=NO_LABEL, reduction="none")
    return loss + (1 - alpha) * each.mean()


def smoothed_targets(labels: Tensor, classes: int, smoothing: float) -> Tensor:
    """Label smoothing: (1 - s) on the label plus s / classes everywhere, float32 [batch, classes].

    Raises ValueError for smoothing outside [0, 1). Source: Szegedy et al. 2016, section 7.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"label_smoothing = {smoothing!r} must lie in [0, 1).")
    return F.one_hot(labels, classes) * (1 - smoothing) + smoothing / classes


def distil(z: Tensor, t: Tensor | None, y: Tensor, recipe: Any) -> Tensor:
    """Cross-entropy with (smoothed) labels where there is no teacher, else `kd_loss`."""
    if t is None:
        return soft_cross_entropy(z, smoothed_targets(y, z.shape[1], recipe.label_smoothing))
    return kd_loss(z, t, y, recipe.temperature, recipe.alpha, recipe.soft_scale)


def pseudo_labels(z: Tensor, t: Tensor, y: Tensor, recipe: Any) -> Tensor:
    """The teacher's first choice as a hard label in place of its soft targets (Lee 2013)."""
    guessed = recipe.alpha * recipe.soft_scale * F.cross_entropy(z, t.argmax(dim=1))
    return _with_labels(guessed, recipe.alpha, z, y)


OWN = {"kd": distil, "pseudo-labels": pseudo_labels}
REGISTERED = Registry("loss", OWN.get, OWN, "losses.register(name, function)")
# Let recipes name a reader's own loss, and find the one that a recipe names. With an attribute
# `looks_inside` = True, the student's method `meet` gets the teacher's network. It is called as
# loss(z, t, y, recipe) with the student's logits float32 [B, classes], the teacher's (None without
# one), labels int64 [B] (NO_LABEL where withheld) and the recipe, and returns a scalar tensor.
register, of = REGISTERED.register, REGISTERED.get
