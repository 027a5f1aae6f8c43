"""Chapter 00: the experiment of PyTorch's own distillation tutorial, at several seeds.

The networks and their recipes are the reader's own code: they stand on the chapter's page, in the
cell with the tag `tutorial`, and nowhere else. That cell is run here, so that `python -m kdutils
run 00` knows them too.
"""

import linecache
import re
import sys
from dataclasses import replace
from functools import partial
from types import ModuleType

import torch.nn.functional as F

from kdutils import data
from kdutils.data import ROOT, Dataset, Split
from kdutils.experiments import Arm, Profile

TITLE = "Your first distillation"

BUDGET = {
    "smoke": {"dataset": "bayes10-small", "epochs": 8},
    "laptop": {"dataset": "cifar10", "epochs": 10},
    "paper": {"dataset": "cifar10", "epochs": 10},
}
SOURCE = (
    "official PyTorch KD tutorial, one run, test set, "
    "https://docs.pytorch.org/tutorials/beginner/knowledge_distillation_tutorial.html"
)
TEACHER = "tutorial teacher"
ALONE = "tutorial student, hard labels"
TAUGHT = "tutorial student, distilled"
PERMUTED = "tutorial student, permuted teacher"
HEAVY = "tutorial student, distilled, α = .9"

# what the first page shows: arm, or first and second arm of a gain, and the metric
HEADLINES = {
    "CIFAR-10: gain from distillation in PyTorch's own tutorial": (TAUGHT, ALONE, "test_accuracy")
}


def page_cell(tag: str, path=ROOT / "notebooks" / "00_your_first_distillation.py") -> ModuleType:
    """The cell of the page with this tag, run as a module whose source `inspect` can find."""
    cell = rf'^# %% tags=\["{tag}"\]\n(.*?)(?=^# %%|\Z)'
    found = re.findall(cell, path.read_text(encoding="utf-8"), re.M | re.S)
    if len(found) != 1:
        raise LookupError(f"{path.name} must have one cell with the tag {tag!r}: {len(found)}.")
    module = ModuleType(f"{__name__}_{tag}")
    module.__file__ = f"<{path.name}, cell {tag}>"  # no file's name: linecache keeps the lines
    lines = found[0].splitlines(keepends=True)
    linecache.cache[module.__file__] = (len(found[0]), None, lines, module.__file__)
    sys.modules[module.__name__] = module
    exec(compile(found[0], module.__file__, "exec"), vars(module))
    return module


def bayes10_small() -> Dataset:
    """Toy images for `smoke`: the first of bayes10, in its three splits, at half the size."""
    full = data.load("bayes10")

    def part(split: Split, n: int) -> Split:
        half = F.avg_pool2d(split.images[:n].float(), 2).round()  # [n, 3, 16, 16]
        return Split(half.byte(), split.labels[:n])

    splits = part(full.train, 300), part(full.val, 100), part(full.test, 200)
    return Dataset("bayes10-small", full.classes, *splits, full.mean, full.std)


data.register("bayes10-small", bayes10_small)
tutorial = page_cell("tutorial")


def arms(p: Profile) -> list[Arm]:
    """The three published rows; a control; and one in which the teacher's word counts for more."""
    table = partial(Arm, "The official PyTorch tutorial", source=SOURCE)
    teacher, alone, taught = tutorial.recipes(precision=p.precision, **BUDGET[p.name])
    return [
        table(TEACHER, teacher, {"test_accuracy": 75.10}),
        table(ALONE, alone, {"test_accuracy": 69.86}),
        table(TAUGHT, taught, {"test_accuracy": 70.80}),
        table(PERMUTED, replace(taught, teacher_order="permuted"), {"test_accuracy": None}),
        table(HEAVY, replace(taught, alpha=0.9), {"test_accuracy": None}),
    ]
