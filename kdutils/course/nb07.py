"""Notebook 07: where teacher, hard-label student and distilled student err."""

from dataclasses import replace

from ..profiles import Profile
from . import nb04
from .arm import Arm

TEACHER, HARD, DISTILLED = "teacher", "CNN5, no dropout", "CNN5 distilled, no dropout"


def arms(p: Profile) -> list[Arm]:
    """Three arms of notebook 04: the same recipes, so the same records, with their logits."""
    found = {arm.name: arm for arm in nb04.arms(p)}
    return [
        replace(found[name], notebook=7, table="Three networks", keep_logits=True)
        for name in (TEACHER, HARD, DISTILLED)
    ]
