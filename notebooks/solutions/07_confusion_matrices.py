"""Solutions of notebook 07. Each is a function; the tests run them on the smoke profile."""

import numpy as np
import torch

from kdutils import data, metrics
from kdutils.course import arms, nb07
from kdutils.store import Store


def _logits(profile: str, name: str, seed: int) -> dict[str, torch.Tensor]:
    """Stored logits of an arm of the notebook: {"val", "test"}, [N, classes] each."""
    recipe = next(a for a in arms(7, profile) if a.name == name).recipe.with_seed(seed)
    found = Store().logits(recipe)
    if not found:
        raise LookupError(f"no logits of {recipe.id} are stored: run the notebook first.")
    return found


def _dataset(profile: str) -> data.Dataset:
    return data.load(arms(7, profile)[0].recipe.dataset)


def precision_at(rows: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Exercise 1: precision of each class, from the rows of a confusion matrix and class shares.

    rows: [C, C], each sums to 1: P(answer j | class i). prior: [C], sums to 1. Bayes' rule gives
    P(class j | answer j) = prior_j rows_jj / sum_i prior_i rows_ij. Recall is rows_jj: it stays.
    The precision of the common class rises. That of each class it is mistaken for falls.
    """
    joint = prior[:, None] * rows  # [C, C], P(class i, answer j)
    return joint.diagonal() / np.maximum(joint.sum(axis=0), 1e-12)


def ensembles_of_two(profile: str, seeds: tuple[int, int] = (0, 1)) -> dict[str, int]:
    """Exercise 2: test errors of averaged probabilities, hard + distilled and hard + hard.

    Averaging helps where the two err on different images. A large exchange is good for an ensemble,
    as long as neither of the two is much worse than the other.
    """
    labels = _dataset(profile).test.labels
    p = {
        (name, seed): _logits(profile, name, seed)["test"].double().softmax(1)
        for name in (nb07.HARD, nb07.DISTILLED)
        for seed in seeds
    }
    first, second = seeds
    mixed = p[nb07.HARD, first] + p[nb07.DISTILLED, first]
    alike = p[nb07.HARD, first] + p[nb07.HARD, second]
    return {
        "hard + distilled": metrics.errors(mixed, labels),
        "hard + hard": metrics.errors(alike, labels),
        "hard alone": metrics.errors(p[nb07.HARD, first], labels),
        "distilled alone": metrics.errors(p[nb07.DISTILLED, first], labels),
    }


def accuracy_when_refusing(profile: str, name: str, seed: int = 0, refuse: float = 0.1) -> dict:
    """Exercise 3: accuracy (%) on all images, and on those of which the network is surest.

    Dividing by one number keeps the order of the classes of an image. The order of the *images* by
    confidence can change, for the highest probability depends on all ten logits. In practice a few
    images swap places, and the accuracy hardly moves.
    """
    dataset, z = _dataset(profile), _logits(profile, name, seed)
    y = dataset.test.labels
    t = metrics.fit_temperature(z["val"], dataset.val.labels)
    out = {"all": metrics.accuracy(z["test"], y)}
    for state, logits in (("as trained", z["test"]), ("scaled", z["test"] / t)):
        confidence = logits.double().softmax(1).max(1).values  # [N]
        kept = confidence.argsort(descending=True)[: round(len(y) * (1 - refuse))]
        out[state] = metrics.accuracy(logits[kept], y[kept])
    return out


def scatter(profile: str, seeds: tuple[int, ...] = (0, 1)) -> tuple[float, float]:
    """Exercise 4: the standard deviation of repaired minus broken, over images and over seeds.

    Over resampled images of one pair: an image counts +1, -1 or 0, so that of the sum is
    sqrt(b + c - (b - c)^2 / N). Over pairs of seeds: that of the counted differences. The second
    holds the luck of training, and on one and the same test set nothing of the first.
    """
    labels = _dataset(profile).test.labels
    n, differences, over_images = len(labels), [], []
    for seed in seeds:
        was, now = (
            _logits(profile, name, seed)["test"].argmax(1) == labels
            for name in (nb07.HARD, nb07.DISTILLED)
        )
        b, c = int((~was & now).sum()), int((was & ~now).sum())
        differences.append(b - c)
        over_images.append((b + c - (b - c) ** 2 / n) ** 0.5)
    return over_images[0], float(np.std(differences, ddof=1))


def bootstrap(
    profile: str, seed: int = 0, repetitions: int = 2_000
) -> tuple[int, tuple[float, float]]:
    """Exercise 4: repaired minus broken of one pair, and its 95 % interval over resampled images.

    Each image counts +1 (repaired), -1 (broken) or 0; a resample of N images is a multinomial draw
    of how many of each there are. The interval covers the luck of the test images for *these two
    networks*. The luck of the training is covered by the seeds, and only by them.
    """
    labels = _dataset(profile).test.labels
    was, now = (
        _logits(profile, name, seed)["test"].argmax(1) == labels
        for name in (nb07.HARD, nb07.DISTILLED)
    )
    b, c = int((~was & now).sum()), int((was & ~now).sum())
    n = len(labels)
    draws = np.random.default_rng(0).multinomial(n, [b / n, c / n, (n - b - c) / n], repetitions)
    low, high = np.percentile(draws[:, 0] - draws[:, 1], [2.5, 97.5])
    return b - c, (float(low), float(high))
