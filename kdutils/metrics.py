"""How good, how honest, how faithful: numbers from logits and labels.

In: logits [N, classes], labels int64 [N]. Out: plain floats. Raises ValueError for other shapes, no
images, or logits that are not finite.
"""

from collections.abc import Sequence
from operator import itemgetter

import numpy as np
import torch
import torch.nn.functional as F
from scipy import optimize, stats

ENOUGH = 3  # seeds: with fewer, an interval and a p-value are accidents, and are not shown


def _check(logits: torch.Tensor, labels: torch.Tensor) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or len(labels) == 0:
        raise ValueError(
            f"logits {list(logits.shape)} must be [N, classes] and labels {list(labels.shape)} "
            "[N], with N > 0."
        )
    if not torch.isfinite(logits).all():
        raise ValueError("logits hold values that are not finite; there is nothing to measure.")


def errors_by_class(logits: torch.Tensor, labels: torch.Tensor) -> list[int]:
    """How many images of each true class are classified wrongly."""
    _check(logits, labels)
    wrong = labels[logits.argmax(1) != labels]
    return torch.bincount(wrong, minlength=logits.shape[1]).tolist()


def errors(logits: torch.Tensor, labels: torch.Tensor) -> int:
    """How many images are classified wrongly."""
    return sum(errors_by_class(logits, labels))


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The share classified rightly, in percent."""
    return 100 * (1 - errors(logits, labels) / len(labels))


def nll(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Negative log-likelihood of the labels, nats per image."""
    _check(logits, labels)
    return float(F.cross_entropy(logits.double(), labels))


def calibration_error(logits: torch.Tensor, labels: torch.Tensor, bins: int = 15) -> float:
    """Expected calibration error in percent: |confidence - accuracy| over bins of equal width.

    Source: Guo et al. 2017, equation 3 (15 bins).
    """
    _check(logits, labels)
    confidence, guess = F.softmax(logits.double(), dim=1).max(1)
    bin_of = (confidence * bins).ceil().long()
    gaps = torch.bincount(bin_of, confidence - (guess == labels).double())
    return float(100 * gaps.abs().sum() / len(labels))


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature from .05 to 20 at which the labels are most likely (Guo et al. 2017, 4.2).

    Fit it on validation images, never on those that it is judged on.
    """
    found = optimize.minimize_scalar(
        lambda log_t: nll(logits.double() / np.exp(log_t), labels), bounds=np.log([0.05, 20])
    )
    return float(np.exp(found.x))


def agreement(student_logits: torch.Tensor, teacher_logits: torch.Tensor) -> float:
    """The share of images on which both name the same class, in percent (Stanton et al. 2021)."""
    return accuracy(student_logits, teacher_logits.argmax(1))


def kl_to_teacher(student_logits: torch.Tensor, teacher_logits: torch.Tensor) -> float:
    """KL(teacher || student) at T = 1, mean over images, in nats (Stanton et al. 2021)."""
    _check(student_logits, teacher_logits.argmax(1))
    log_p, log_q = (z.double().log_softmax(1) for z in (teacher_logits, student_logits))
    return float(F.kl_div(log_q, log_p, reduction="batchmean", log_target=True))


def class_bias(logits: torch.Tensor, labels: torch.Tensor, target: int) -> float:
    """What to add to one class's logit so that the fewest of these validation images go wrong.

    For a student that never saw the class (Hinton et al. 2015, section 3). Searched from 0 to 20 in
    steps of 0.05; of equally good values the middle one.
    """
    grid = torch.arange(0, 20.0001, 0.05)
    column = F.one_hot(torch.tensor(target), logits.shape[1])
    wrong = np.array([errors(logits.float() + bias * column, labels) for bias in grid])
    best = np.flatnonzero(wrong == wrong.min())
    return round(float(grid[best[len(best) // 2]]), 2)


def measure(
    logits: dict[str, torch.Tensor],
    labels: dict[str, torch.Tensor],
    teacher: torch.Tensor | None = None,
    without_classes: Sequence[int] = (),
) -> dict[str, float | list[int]]:
    """All that a record keeps of a trained network, from its logits on "val" and "test" images.

    teacher: its teacher's logits for the test images, [N, classes]. Where one class was left out of
    training, that class is also counted with its logit corrected (`class_bias`).
    """
    out: dict[str, float | list[int]] = {}
    for name in ("val", "test"):
        z, y = logits[name], labels[name]
        out |= {
            f"{name}_errors": errors(z, y),
            f"{name}_accuracy": round(accuracy(z, y), 4),
            f"{name}_nll": round(nll(z, y), 6),
            f"{name}_ece": round(calibration_error(z, y), 4),
            f"{name}_errors_by_class": errors_by_class(z, y),
        }
    if teacher is not None:
        out["test_agreement"] = round(agreement(z, teacher), 4)
        out["test_kl_to_teacher"] = round(kl_to_teacher(z, teacher), 6)
    if len(without_classes) == 1:
        (unseen,) = without_classes
        bias = class_bias(logits["val"], labels["val"], unseen)
        moved = z.clone()
        moved[:, unseen] += bias
        own = y == unseen
        for suffix, answers in (("", z[own]), ("_corrected", moved[own])):
            out[f"test_unseen_errors{suffix}"] = errors(answers, y[own])
            out[f"test_unseen_accuracy{suffix}"] = round(accuracy(answers, y[own]), 4)
        out |= {"test_errors_corrected": errors(moved, y), "class_bias": bias}
    return out


def by_epoch(curve: list[dict[str, float]], n_test: int) -> dict[str, float]:
    """Test accuracy in percent, had the (first) best epoch by test images or validation been taken.

    Empty for a run that did not watch the test images.
    """
    if "test_errors" not in curve[0]:
        return {}
    best, chosen = (min(curve, key=itemgetter(key)) for key in ("test_errors", "val_errors"))
    return {
        f"test_accuracy_{name}_epoch": round(100 * (1 - epoch["test_errors"] / n_test), 4)
        for name, epoch in (("best", best), ("chosen", chosen))
    }


def mean_ci(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean over seeds and the half-width of its 95 % t-interval (None for a single value)."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(f"mean_ci takes one or more finite numbers, not {values!r}.")
    if len(values) == 1:
        return float(values[0]), None
    return float(values.mean()), float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def shown_ci(values: Sequence[float]) -> tuple[float, float | None]:
    """`mean_ci` as tables and figures show it: no interval below `ENOUGH` seeds."""
    mean, half = mean_ci(values)
    return mean, half if len(values) >= ENOUGH else None


def paired_test(first: Sequence[float], second: Sequence[float]) -> dict[str, float | None]:
    """Paired t-test of two arms, seed by seed: keys difference (mean), ci95 (half-width), p, n.

    Below `ENOUGH` pairs ci95 and p are None.
    """
    if len(first) != len(second):
        sizes = f"{len(first)} and {len(second)}"
        raise ValueError(f"paired_test needs two lists of the same length, by seed; not {sizes}.")
    difference = np.subtract(first, second)
    mean, half = shown_ci(difference)
    found = {"difference": mean, "ci95": half, "p": None, "n": len(first)}
    if half is not None:  # where all differences are 0, t is 0 / 0
        found["p"] = float(stats.ttest_rel(first, second).pvalue) if difference.any() else 1.0
    return found


def holm(p: Sequence[float]) -> list[float]:
    """p-values adjusted for being several, in the order given: valid however dependent they are.

    Source: S. Holm 1979. Raises ValueError for what is no probability.
    """
    p = np.asarray(p, dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"holm takes a list of p-values from 0 to 1, not {p.tolist()}.")
    order = p.argsort()
    steps = p[order] * np.arange(len(p), 0, -1)
    return np.maximum.accumulate(steps).clip(max=1)[order.argsort()].tolist()
