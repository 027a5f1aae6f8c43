"""Chapter 02: teachers on MNIST that differ in views and smoothing, and what two of them teach."""

from functools import partial

from kdutils.experiments import Arm, Profile
from kdutils.recipes import Recipe

from .mnist import mnist_student, mnist_teacher

TITLE = "Training teachers"

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
    ]
