"""The MNIST networks of chapters 02 and 03: Hinton's teacher and student, and the poster's."""

from dataclasses import replace

from kdutils.experiments import Profile
from kdutils.recipes import Recipe

# epochs and hidden widths; "published": the poster's own epochs
BUDGET = {
    "smoke": {
        "batch_size": 64,
        "teacher": {"model": "mlp-128-128", "epochs": 8},
        "student": {"model": "mlp-48-48", "epochs": 6},
        "published": {"teacher": 4, "student": 3},
    },
    "laptop": {
        "batch_size": 512,
        "teacher": {"model": "mlp-1200-1200", "epochs": 60},
        "student": {"model": "mlp-800-800", "epochs": 40},
        "published": {"teacher": 50, "student": 10},
    },
    "paper": {
        "batch_size": 512,
        "teacher": {"model": "mlp-1200-1200", "epochs": 200},
        "student": {"model": "mlp-800-800", "epochs": 200},
        "published": {"teacher": 50, "student": 10},
    },
}


def mnist_teacher(p: Profile, views: str = "elastic", **changes) -> Recipe:
    """The teacher 784-1200-1200-10."""
    b = BUDGET[p.name]
    base = Recipe(
        dataset=p.datasets["mnist"],
        dropout=(0.0, 0.2),
        views=views,
        view_stream=1,
        batch_size=b["batch_size"],
        precision=p.precision,
        lr=2e-3,
        **b["teacher"],
    )
    return replace(base, **changes)


def mnist_student(p: Profile, **changes) -> Recipe:
    """The student 784-800-800-10: the same budget and schedule whatever it learns from."""
    b = BUDGET[p.name]
    base = Recipe(
        dataset=p.datasets["mnist"],
        batch_size=b["batch_size"],
        precision=p.precision,
        lr=5e-3,
        **b["student"],
    )
    return replace(base, **changes)


def poster_teacher(p: Profile, lr: float) -> Recipe:
    """The published MNIST teacher: dropout .8, weight decay, constant rate, 60,000 images."""
    b = BUDGET[p.name]
    return replace(
        poster_student(p, lr),
        model=b["teacher"]["model"],
        dropout=(0.0, 0.8),
        weight_decay=5e-4,
        epochs=b["published"]["teacher"],
    )


def poster_student(p: Profile, lr: float, **changes) -> Recipe:
    """The published MNIST student: SGD at a constant rate, 10 epochs, no augmentation."""
    b = BUDGET[p.name]
    base = Recipe(
        dataset=p.datasets["mnist"],
        model=b["student"]["model"],
        epochs=b["published"]["student"],
        batch_size=128,
        lr=lr,
        optimizer="sgd",
        momentum=0.9,
        schedule="constant",
        train_on="all",
        precision=p.precision,
    )
    return replace(base, **changes)
