"""Chapter 07: where teacher, hard-label student and distilled student err."""

from dataclasses import replace

from kdutils.experiments import Arm, Profile

from . import n04

TITLE = "Confusion matrices and test analysis"

TEACHER, HARD, DISTILLED = "teacher", "CNN5, no dropout", "CNN5 distilled, no dropout"
PATIENT = "CNN5, patient"  # hard labels for longer: about as accurate as the distilled student


def arms(p: Profile) -> list[Arm]:
    """Four arms of chapter 04: the same recipes, so the same records, with their logits."""
    found = {arm.name: arm for arm in n04.arms(p)}
    three = [
        replace(found[name], table="Three networks", keep_logits=True)
        for name in (TEACHER, HARD, DISTILLED)
    ]
    return [*three, replace(found[PATIENT], table="Control of equal accuracy", keep_logits=True)]
