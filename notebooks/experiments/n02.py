"""Chapter 02: four teachers on MNIST, and what two of them teach."""

from functools import partial

from kdutils.experiments import Arm, Profile
from kdutils.recipes import Recipe

from .mnist import mnist_student, mnist_teacher

TITLE = "Training teachers"

# a look at ResNet-18, no teacher: narrow, on the first images of bayes10
BUDGET = {
    "smoke": {"model": "resnet18-w4", "n_train": 500, "epochs": 2},
    "laptop": {"model": "resnet18-w16", "n_train": 2_000, "epochs": 8},
    "paper": {"model": "resnet18-w64", "n_train": 10_000, "epochs": 30},
}

HINTON = "Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 3 (jitter of 2 pixels, dropout)"
LIKELIHOOD = {"test_nll": None, "test_ece": None}


def arms(p: Profile) -> list[Arm]:
    """The teachers on elastic views and on jitter, and the student of the former, are chapter 03's:
    the same recipes, so the same records."""
    teacher = partial(Arm, "Teachers on MNIST", keep_logits=True)
    taught = partial(Arm, "What they teach")
    good, smooth = mnist_teacher(p), mnist_teacher(p, label_smoothing=0.1)
    ours = {"test_errors": None} | LIKELIHOOD
    hinton = {"metrics": {"test_errors": 67} | LIKELIHOOD, "source": HINTON}

    def learn(source: Recipe) -> Recipe:
        return mnist_student(p, teacher=source, alpha=1.0, views="elastic", temperature=4.0)

    return [
        teacher("still images", mnist_teacher(p, "none"), ours),
        teacher("jitter", mnist_teacher(p, "jitter"), **hinton),
        teacher("elastic views", good, **hinton),
        teacher("elastic views, label smoothing", smooth, ours),
        taught("student of the teacher on elastic views", learn(good), ours),
        taught("student of the smoothing teacher", learn(smooth), ours),
        Arm(
            "A short run of ResNet-18",
            "ResNet-18, narrow",
            resnet18(p),
            {"test_accuracy": None} | LIKELIHOOD,
            keep_logits=True,
        ),
    ]


def resnet18(p: Profile) -> Recipe:
    """ResNet-18 at the profile's width: a look, not a teacher."""
    return Recipe(
        dataset="bayes10",
        batch_size=50,
        lr=0.05,
        optimizer="sgd",
        weight_decay=5e-4,
        **BUDGET[p.name],
    )
