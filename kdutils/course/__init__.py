"""The runs of the course by name: what each notebook trains, beside what was published.

In: a notebook's number and a profile. Out: its `Arm`s. Nothing here is measured; published figures
carry their source.
"""

from .. import profiles
from . import nb01, nb02, nb03, nb04, nb05, nb06, nb07
from .arm import Arm

__all__ = ["NOTEBOOKS", "PUBLISHED_SELECTED", "Arm", "arms", "check_notebook"]

NOTEBOOKS = {
    1: "Soft and hard targets",
    2: "Training teachers",
    3: "Distilling MLPs on MNIST, with and without labels",
    4: "CNN5 from a larger network on CIFAR-10",
    5: "Deeper distillation",
    6: "Temperature",
    7: "Confusion matrices and test analysis",
}

# what a row that validation selects is held against
PUBLISHED_SELECTED = {
    "student, distilled, still images": 74,
    "student, distilled, views": 74,
}


def check_notebook(number: int | str) -> int:
    """A notebook's number, from 3, "3" or "03"; ValueError with those that exist otherwise."""
    try:
        found = int(number)
    except (TypeError, ValueError):
        found = None
    if found not in NOTEBOOKS:
        allowed = ", ".join(f"{n:02} ({title})" for n, title in NOTEBOOKS.items())
        raise ValueError(f"notebook {number!r} does not exist. There are: {allowed}.")
    return found


def arms(notebook: int | str, profile: str) -> list[Arm]:
    """All arms of a notebook at a profile. ValueError for an unknown notebook or profile."""
    chosen = profiles.get(profile)
    module = {1: nb01, 2: nb02, 3: nb03, 4: nb04, 5: nb05, 6: nb06, 7: nb07}[
        check_notebook(notebook)
    ]
    return module.arms(chosen)
