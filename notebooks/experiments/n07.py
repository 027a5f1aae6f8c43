"""Chapter 07: where teacher, hard-label student and distilled student err."""

from dataclasses import replace

from kdutils.experiments import Arm, Profile

from . import n04

TITLE = "Confusion matrices and test analysis"

TEACHER, HARD, DISTILLED = "teacher", "CNN5, no dropout", "CNN5 distilled, no dropout"


def arms(p: Profile) -> list[Arm]:
    """Three arms of chapter 04: the same recipes, so the same records, with their logits."""
    found = {arm.name: arm for arm in n04.arms(p)}
    return [
        replace(found[name], table="Three networks", keep_logits=True)
        for name in (TEACHER, HARD, DISTILLED)
    ]
