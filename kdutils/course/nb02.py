"""Notebook 02: four teachers on MNIST, what two of them teach, and a short run of ResNet-18."""

from functools import partial

from ..profiles import Profile
from ..recipes import Recipe
from .arm import Arm
from .mnist import mnist_student, mnist_teacher

HINTON = "Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 3 (jitter of 2 pixels, dropout)"


def arms(p: Profile) -> list[Arm]:
    """The arms of this notebook.

    The teachers on elastic views and on jitter, and the student of the former, are those of
    notebook 03: the same recipes, so the same records.
    """
    teacher = partial(Arm, 2, "Teachers on MNIST")
    taught = partial(Arm, 2, "What they teach")
    good, smooth = mnist_teacher(p), mnist_teacher(p, label_smoothing=0.1)

    def learn(source: Recipe) -> Recipe:
        return mnist_student(p, teacher=source, alpha=1.0, views="elastic", temperature=4.0)

    return [
        teacher("still images", mnist_teacher(p, "none"), _scores(), keep_logits=True),
        teacher("jitter", mnist_teacher(p, "jitter"), _scores(67), HINTON, keep_logits=True),
        teacher("elastic views", good, _scores(67), HINTON, keep_logits=True),
        teacher("elastic views, label smoothing", smooth, _scores(), keep_logits=True),
        taught("student of the teacher on elastic views", learn(good)),
        taught("student of the smoothing teacher", learn(smooth)),
        Arm(
            2,
            "A short run of ResNet-18",
            "ResNet-18, narrow",
            resnet18(p),
            _scores("accuracy"),
            keep_logits=True,
        ),
    ]


def resnet18(p: Profile) -> Recipe:
    """ResNet-18 at the profile's width on the first images of bayes10: a look, not a teacher."""
    b = p.budget
    return Recipe(
        dataset="bayes10",
        model=f"resnet18-w{b['resnet18_width']}",
        n_train=b["resnet18_images"],
        epochs=b["resnet18_epochs"],
        batch_size=50,
        lr=0.05,
        optimizer="sgd",
        weight_decay=5e-4,
    )


def _scores(published: int | str | None = None) -> dict[str, float | None]:
    """What an arm is held against: errors (or accuracy), likelihood, calibration."""
    if published == "accuracy":
        return {"test_accuracy": None, "test_nll": None, "test_ece": None}
    return {"test_errors": published, "test_nll": None, "test_ece": None}
