"""The MNIST recipes that notebooks 02 and 03 share."""

from dataclasses import replace

from ..profiles import Profile
from ..recipes import Recipe


def mnist_teacher(profile: Profile, views: str = "elastic", **changes) -> Recipe:
    """The teacher 784-1200-1200-10 of notebooks 02 and 03."""
    b = profile.budget
    width = b["mnist_teacher_width"]
    base = Recipe(
        dataset=profile.datasets["mnist"],
        model=f"mlp-{width}-{width}",
        dropout=(0.0, 0.2),
        views=views,
        view_stream=1,
        epochs=b["mnist_teacher_epochs"],
        batch_size=b["mnist_batch"],
        precision=profile.precision,
        lr=2e-3,
    )
    return replace(base, **changes)


def mnist_student(profile: Profile, **changes) -> Recipe:
    """The student 784-800-800-10: the same budget and schedule whatever it learns from."""
    b = profile.budget
    width = b["mnist_student_width"]
    base = Recipe(
        dataset=profile.datasets["mnist"],
        model=f"mlp-{width}-{width}",
        epochs=b["mnist_student_epochs"],
        batch_size=b["mnist_batch"],
        precision=profile.precision,
        lr=5e-3,
    )
    return replace(base, **changes)


def poster_teacher(profile: Profile, lr: float) -> Recipe:
    """The published MNIST teacher: dropout .8, weight decay, constant rate, 60,000 images."""
    width = profile.budget["mnist_teacher_width"]
    epochs = profile.budget["published_teacher_epochs"]
    return replace(
        poster_student(profile, lr),
        model=f"mlp-{width}-{width}",
        dropout=(0.0, 0.8),
        weight_decay=5e-4,
        epochs=epochs,
    )


def poster_student(profile: Profile, lr: float, **changes) -> Recipe:
    """The published MNIST student: SGD at a constant rate, 10 epochs, no augmentation."""
    width = profile.budget["mnist_student_width"]
    base = Recipe(
        dataset=profile.datasets["mnist"],
        model=f"mlp-{width}-{width}",
        epochs=profile.budget["published_student_epochs"],
        batch_size=128,
        lr=lr,
        optimizer="sgd",
        momentum=0.9,
        schedule="constant",
        train_on="all",
        precision=profile.precision,
    )
    return replace(base, **changes)
