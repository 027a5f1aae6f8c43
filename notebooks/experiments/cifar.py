"""CNN5 and its teacher on CIFAR-10: the recipes that chapters 04, 06 and 07 share."""

from dataclasses import replace

from kdutils.experiments import Profile
from kdutils.recipes import Recipe

# images: None for all 45,000. FastNet is a teacher that a CPU can train; `paper` has ResNet-18,
# `laptop` a short run of it besides.
BUDGET = {
    "smoke": {
        "images": 500,
        "teacher": {"model": "cnn5-w16", "epochs": 12, "batch_size": 50, "lr": 0.1},
        "resnet18": {"model": "cnn5-w24", "epochs": 4, "batch_size": 50, "lr": 0.1},
        "student": {"model": "cnn5-w4", "epochs": 4, "batch_size": 50},
        "epochs of a small share": 8,
        "views": {"n_views": 3, "bits": 8},
    },
    "laptop": {
        "images": None,
        "teacher": {"model": "fastnet", "epochs": 18, "batch_size": 256, "lr": 0.25},
        "resnet18": {"model": "resnet18", "epochs": 15, "batch_size": 128, "lr": 0.1},
        "student": {"model": "cnn5", "epochs": 30, "batch_size": 128},
        "epochs of a small share": 50,
        "views": {"n_views": 8, "bits": 8},
    },
    "paper": {
        "images": None,
        "teacher": {"model": "resnet18", "epochs": 100, "batch_size": 128, "lr": 0.1},
        "student": {"model": "cnn5", "epochs": 30, "batch_size": 128},
        "epochs of a small share": 50,
        "views": {"n_views": 32, "bits": 16},
    },
}

SCORES = {"test_nll": None, "test_ece": None}
TAUGHT = SCORES | {"test_agreement": None}


def scores(published: float | None = None, taught: bool = False) -> dict[str, float | None]:
    """Accuracy beside its published value, likelihood, calibration, agreement with a teacher."""
    return {"test_accuracy": published} | (TAUGHT if taught else SCORES)


def teacher(p: Profile, **changes) -> Recipe:
    """The teacher of CNN5."""
    b = BUDGET[p.name]
    # FastNet's own light augmentation: a small shift, and a mirror image in every second epoch
    views = "shift-flip" if b["teacher"]["model"] == "fastnet" else "crop-flip"
    base = Recipe(
        dataset=p.datasets["cifar10"],
        n_train=b["images"],
        views=views,
        view_stream=1,
        optimizer="nesterov",
        weight_decay=5e-4,
        precision=p.precision,
        **b["teacher"],
    )
    return replace(base, **changes)


def short_resnet18(p: Profile) -> Recipe | None:
    """A larger teacher, trained for few epochs; None where the teacher is that network anyway."""
    short = BUDGET[p.name].get("resnet18")
    return teacher(p, views="crop-flip", **short) if short else None


def student(p: Profile, share: float = 1, **changes) -> Recipe:
    """CNN5, the poster's student: one schedule and budget, whatever it learns from.

    share: of the training images; a share of 5 % is shown for more epochs.
    """
    b = BUDGET[p.name]
    base = Recipe(
        dataset=p.datasets["cifar10"],
        n_train=round((b["images"] or 45_000) * share) if share < 1 else b["images"],
        views="crop-flip",
        lr=0.1,
        optimizer="sgd",
        weight_decay=5e-4,
        precision=p.precision,
        **b["student"],
    )
    if share <= 0.05:
        base = replace(base, epochs=b["epochs of a small share"])
    return replace(base, **changes)


def taught(p: Profile, share: float = 1, **changes) -> Recipe:
    """The same student, of one teacher's stored knowledge: T = 4, alpha = .9 unless told."""
    learns = {"teacher": (teacher(p),), "temperature": 4.0, "alpha": 0.9}
    return student(p, share, **(learns | BUDGET[p.name]["views"] | changes))


def as_published(p: Profile, share: float, **changes) -> Recipe:
    """The poster's way to train CNN5: Adam at a constant rate, no weight decay."""
    poster = {"optimizer": "adam", "lr": 1e-3, "weight_decay": 0.0, "schedule": "constant"}
    return student(p, share, **(poster | changes))
