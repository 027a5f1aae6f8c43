"""Solutions of notebook 03. Each is a function; the tests run them on the smoke profile."""

import torch

from kdutils import data, metrics
from kdutils.course import arms
from kdutils.store import Store


def matching_alpha(alpha: float = 0.7, classes: int = 10) -> tuple[float, float]:
    """Exercise 1: the alpha of the right loss, and how much weaker the published loss was.

    The poster's loss is  (2 a / C) S + (1 - a) H  with soft term S and hard term H. The right one at
    alpha b, scaled by c, is  c b S + c (1 - b) H. Equal terms give c b = 2 a / C and
    c (1 - b) = 1 - a, so c = 2 a / C + 1 - a. It is then the same run at c times the rate.
    """
    soft, hard = 2 * alpha / classes, 1 - alpha
    scale = soft + hard
    return soft / scale, scale


def bias_from_frequency(profile: str, share: float = 0.1, seed: int = 0) -> dict[str, float]:
    """Exercise 2: raise the logit of 3 until one image in ten is called a 3; no label needed."""
    arm = next(a for a in arms(3, profile) if "no 3 in the transfer set" in a.name)
    logits = Store().logits(arm.recipe.with_seed(seed))
    # the 3 wins where its logit plus the bias beats the best of the others
    others = logits["val"].clone()
    others[:, 3] = -torch.inf
    lead = others.max(dim=1).values - logits["val"][:, 3]  # [N] how much the 3 is behind
    bias = float(lead.quantile(share))
    test = data.load(arm.recipe.dataset).test
    moved = logits["test"].clone()
    moved[:, 3] += bias
    threes = test.labels == 3
    return {"bias": bias, "threes right (%)": metrics.accuracy(moved[threes], test.labels[threes])}


def ensemble_errors(profile: str, seeds: tuple[int, ...]) -> dict[str, float]:
    """Exercise 3: errors of the averaged logits of the teachers, and of the best of them."""
    store, recipe = Store(), arms(3, profile)[0].recipe
    found = [store.logits(recipe.with_seed(seed)) for seed in seeds]
    logits = [each["test"] for each in found if each is not None]
    labels = data.load(recipe.dataset).test.labels
    together = torch.stack(logits).mean(dim=0)
    return {
        "ensemble": metrics.errors(together, labels),
        "best member": min(metrics.errors(z, labels) for z in logits),
        "members": len(logits),
    }


def without_two(profile: str, pair: tuple[int, int], seed: int = 0):
    """Exercise 4: the record of a student that sees neither digit of the pair."""
    from dataclasses import replace

    from kdutils.runs import run

    arm = next(a for a in arms(3, profile) if "no 3 in the transfer set" in a.name)
    return run(replace(arm.recipe.with_seed(seed), without_classes=pair))
