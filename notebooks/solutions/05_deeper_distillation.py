"""Solutions of notebook 05. Each is a function; the tests run them on the smoke profile."""

from math import ceil

import torch
from scipy import stats

from kdutils import data, metrics, profiles
from kdutils.course import nb05
from kdutils.store import Store


def true_depth(named: int) -> int:
    """Exercise 1: the layers of a "PreResNet-<named>" of the poster's code.

    It takes (named - 2) / 6 blocks a stage, in three stages. From 44 on they are bottlenecks, of 3
    layers; below, of 2, as the name supposes. Stem and last layer make two more.
    """
    layers = 3 if named >= 44 else 2
    return 3 * layers * ((named - 2) // 6) + 2


def paired_seeds(
    difference: float, sigma: float, correlation: float, power: float = 0.8, level: float = 0.05
) -> int:
    """Exercise 2: pairs of runs that a difference needs.

    The difference of a pair has variance 2 sigma^2 (1 - r); its mean over n pairs, that over n. So
    n = 2 (1 - r) ((z + z') sigma / difference)^2: at r = .5 half of the unpaired number.
    """
    z = stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)
    return ceil(2 * (1 - correlation) * (z * sigma / difference) ** 2)


def teachers_logits(profile: str) -> dict[str, dict[str, torch.Tensor]]:
    """Logits on validation and test images of every teacher that this machine has them of."""
    p = profiles.get(profile)
    found = {family: Store().logits(nb05.teacher(p, family)) for family in nb05.FAMILIES}
    return {family: logits for family, logits in found.items() if logits is not None}


def ensemble(profile: str) -> dict[str, dict[str, float]]:
    """Exercise 3: test accuracy, NLL and calibration error of each teacher and of their mean.

    NLL of the mean logits is at most the mean of the members' NLL: log-sum-exp is convex. So by the
    measure of section 4 an ensemble is a better teacher than its average member.
    """
    dataset = data.load(profiles.get(profile).datasets["cifar10"])
    logits = {family: z["test"] for family, z in teachers_logits(profile).items()}
    logits["ensemble"] = torch.stack(list(logits.values())).mean(dim=0)
    labels = dataset.test.labels
    return {
        name: {
            "accuracy": metrics.accuracy(z, labels),
            "nll": metrics.nll(z, labels),
            "ece": metrics.calibration_error(z, labels),
        }
        for name, z in logits.items()
    }


def tempered(profile: str) -> dict[str, dict[str, float]]:
    """Exercise 4: each teacher's temperature by validation, and its test NLL before and after.

    A student is taught at a temperature of its own, so a teacher that is too sharp by one factor on
    all images does less harm than its NLL says: compare teachers after, too.
    """
    dataset = data.load(profiles.get(profile).datasets["cifar10"])
    out = {}
    for family, z in teachers_logits(profile).items():
        val, y = z["val"], dataset.val.labels
        t = metrics.fit_temperature(val, y)
        out[family] = {
            "T": t,
            "validation NLL before": metrics.nll(val, y),
            "validation NLL after": metrics.nll(val / t, y),
            "test NLL before": metrics.nll(z["test"], dataset.test.labels),
            "test NLL after": metrics.nll(z["test"] / t, dataset.test.labels),
        }
    return out
