"""Chapter 90, the appendix on architectures: it builds and counts networks, and trains none."""

from kdutils.experiments import Arm, Profile

TITLE = "Appendix: four architectures"

BUDGET: dict[str, dict] = {}


def arms(p: Profile) -> list[Arm]:
    """None: everything on the page is counted or computed on the spot."""
    return []
