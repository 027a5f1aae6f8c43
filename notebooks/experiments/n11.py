"""Chapter 11: the small student of chapter 08 leaves PyTorch, in float32 and in 8 bits."""

from dataclasses import replace

from kdutils.experiments import Arm, Profile

from . import n08

TITLE = "On the device"

# images that calibrate the 8 bits, of the training set; test images that are classified
BUDGET = {
    "smoke": {"calibration": 100, "test": 500, "rounds": 20},
    "laptop": {"calibration": 500, "test": 10_000, "rounds": 200},
    "paper": {"calibration": 500, "test": 10_000, "rounds": 200},
}

TEACHER = n08.STRONG
HARD, DISTILLED = (f"{learns}, no dropout" for learns in (n08.HARD, n08.FROM_STRONG))


def arms(p: Profile) -> list[Arm]:
    """Three arms of chapter 08, the same recipes; the students' weights are committed."""
    found = {arm.name: arm for arm in n08.arms(p)}
    students = {name: {"keep_weights": True} for name in (HARD, DISTILLED)}
    return [
        replace(found[name], table="Three networks", source="", **changes)
        for name, changes in ({TEACHER: {}} | students).items()
    ]
