"""Solutions of notebook 04. Each is a function; the tests run them on the smoke profile."""

import numpy as np
import torch
import torch.nn.functional as F

from kdutils import profiles
from kdutils.course import cifar
from kdutils.recipes import Recipe


def teachers_share(
    student: torch.Tensor,
    teacher: torch.Tensor,
    labels: torch.Tensor,
    temperature: float = 20.0,
    alpha: float = 0.01,
    scale: float = 0.1,
) -> float:
    """Exercise 1: the teacher's part of the gradients' lengths, by the limit of large T.

    The soft term tends to c alpha (z - v) / C for logits without their mean; the temperature has
    gone. The hard term is (1 - alpha) (q - y). Logits [N, C], labels [N].
    """
    z, v = (x - x.mean(dim=1, keepdim=True) for x in (student, teacher))
    soft = scale * alpha * (z - v) / z.shape[1]
    hard = (1 - alpha) * (F.softmax(student, 1) - F.one_hot(labels, z.shape[1]))
    a, b = soft.norm(dim=1).mean(), hard.norm(dim=1).mean()
    return float(a / (a + b))


def repaired(n: int = 1_000, batch: int = 100) -> dict[str, float]:
    """Exercise 2: the share of answers that fit their image, after either repair.

    Under the image's number is the better one: it holds for any order, any batch size and any part
    of the data. A loader that never shuffles fits only as long as nobody changes it, and it takes
    from the student a part of the noise that it learns well with. Where the loader also crops, both
    still speak of another crop; views that are a function of the image's number mend that too.
    """

    def batches(run: int, shuffle: bool):
        generator = torch.Generator().manual_seed(run)
        order = torch.randperm(n, generator=generator) if shuffle else torch.arange(n)
        return order.split(batch)

    says = torch.arange(n)
    by_image = torch.empty(n, dtype=torch.long)
    for index in batches(0, shuffle=True):
        by_image[index] = says[index]
    still = [says[index] for index in batches(0, shuffle=False)]
    return {
        "by image": float(
            torch.cat([by_image[i] == i for i in batches(1, shuffle=True)]).float().mean()
        ),
        "never shuffled": float(
            torch.cat(
                [still[k] == i for k, i in enumerate(batches(1, shuffle=False))]
            ).float().mean()
        ),
    }  # fmt: skip


def teacher_of_few_labels(profile: str) -> tuple[Recipe, Recipe]:
    """Exercise 3: a teacher that has seen 5 % of the labels, and the student of its answers.

    The student keeps the labels of the same images; for all others the teacher answers. `run` of
    the second recipe trains both.
    """
    p = profiles.get(profile)
    few = cifar.student(p, 0.05)
    teacher = cifar.teacher(p, n_train=few.n_train, epochs=4 * p.budget["cifar_teacher_epochs"])
    student = cifar.taught(p, teacher=(teacher,), n_labels=few.n_train)
    return teacher, student


def winners_excess(ratio: float, k: int = 40, runs: int = 20_000, seed: int = 0) -> float:
    """Exercise 4: how far the best of k results exceeds its own true mean, in units of the noise.

    ratio: spread of the true means over the noise of one result. At 0 all are equal, and the whole
    lead is luck. The larger the ratio, the more of the lead is earned.
    """
    rng = np.random.default_rng(seed)
    true = ratio * rng.standard_normal((runs, k))
    seen = true + rng.standard_normal((runs, k))
    best = seen.argmax(axis=1)[:, None]
    excess = np.take_along_axis(seen, best, 1) - np.take_along_axis(true, best, 1)
    return float(excess.mean())
