"""Notebook 01: the first distillation, on bayes10."""

from ..profiles import Profile
from .arm import Arm


def arms(p: Profile) -> list[Arm]:
    """The arms of this notebook."""
    return []
