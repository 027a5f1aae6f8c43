"""Chapter 11: the small student of chapter 08 leaves PyTorch, in float32 and in 8 bits."""

from dataclasses import replace

from torch import Tensor, nn

from kdutils.experiments import Arm, Profile

from . import n08

TITLE = "On the device"
MEASURES_TIME = True  # a report runs this chapter alone

# images that calibrate the 8 bits, of the training set; test images that are classified
BUDGET = {
    "smoke": {"calibration": 100, "test": 500, "rounds": 20},
    "laptop": {"calibration": 500, "test": 10_000, "rounds": 200},
    "paper": {"calibration": 500, "test": 10_000, "rounds": 200},
}

TEACHER = n08.STRONG
HARD, DISTILLED = (n08.best_name(learns) for learns in (n08.HARD, n08.FROM_STRONG))


def arms(p: Profile) -> list[Arm]:
    """Three arms of chapter 08, the same recipes; the students' weights are committed."""
    found = {arm.name: arm for arm in n08.arms(p)}
    students = {name: {"keep_weights": True} for name in (HARD, DISTILLED)}
    return [
        replace(found[name], table="Three networks", source="", **changes)
        for name, changes in ({TEACHER: {}} | students).items()
    ]


class Nothing(nn.Module):
    """The mean of an image, once for each class: what a call costs before the first layer."""

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))[:, None].expand(-1, self.classes)
