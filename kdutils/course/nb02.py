"""Notebook 02: teachers on MNIST, and a short run of ResNet-18."""

from ..profiles import Profile
from .arm import Arm


def arms(p: Profile) -> list[Arm]:
    """The arms of this notebook."""
    return []
