"""The CIFAR-10 recipes that notebooks 04 to 07 share."""

from dataclasses import replace

from ..profiles import Profile
from ..recipes import Recipe

SCORES = {"test_nll": None, "test_ece": None}
TAUGHT = SCORES | {"test_agreement": None}


def scores(published: float | None = None, taught: bool = False) -> dict[str, float | None]:
    """Accuracy beside its published value, likelihood, calibration, agreement with a teacher."""
    return {"test_accuracy": published} | (TAUGHT if taught else SCORES)


def teacher(p: Profile, **changes) -> Recipe:
    """The teacher of CNN5: FastNet where a CPU has to train it, ResNet-18 on `paper`."""
    b = p.budget
    common = {
        "dataset": p.datasets["cifar10"],
        "model": b["cifar_teacher"],
        "n_train": b["cifar_images"] or None,
        "view_stream": 1,
        "epochs": b["cifar_teacher_epochs"],
        "optimizer": "nesterov",
        "weight_decay": 5e-4,
        "precision": p.precision,
    }
    if b["cifar_teacher"].startswith("fastnet"):
        common |= {"views": "shift-flip", "batch_size": b["cifar_teacher_batch"], "lr": 0.25}
    else:
        common |= {"views": "crop-flip", "batch_size": b["cifar_teacher_batch"], "lr": 0.1}
    return Recipe(**(common | changes))


def student(p: Profile, share: float = 1, **changes) -> Recipe:
    """CNN5, the student of the poster: one schedule and budget, whatever it learns from.

    share: of the training images; a small share is shown for more epochs.
    """
    b = p.budget
    images = b["cifar_images"] or 45_000
    base = Recipe(
        dataset=p.datasets["cifar10"],
        model=b["cifar_student"],
        n_train=round(images * share) if share < 1 else b["cifar_images"] or None,
        views="crop-flip",
        epochs=b["cifar_few_epochs"] if share <= 0.05 else b["cifar_student_epochs"],
        batch_size=b["cifar_student_batch"],
        lr=0.1,
        optimizer="sgd",
        weight_decay=5e-4,
        precision=p.precision,
    )
    return replace(base, **changes)


def taught(p: Profile, share: float = 1, **changes) -> Recipe:
    """The same student, of one teacher's stored knowledge: T = 4, alpha = .9 unless told."""
    b = p.budget
    defaults = {
        "teacher": (teacher(p),),
        "temperature": 4.0,
        "alpha": 0.9,
        "n_views": b["cifar_views"],
        "bits": b["cifar_bits"],
    }
    return student(p, share, **(defaults | changes))


def as_published(p: Profile, share: float, **changes) -> Recipe:
    """The poster's way to train CNN5: Adam at a constant rate, no weight decay."""
    return student(
        p, share, optimizer="adam", lr=1e-3, weight_decay=0.0, schedule="constant", **changes
    )
