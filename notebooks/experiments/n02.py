"""Chapter 02: teachers on MNIST that differ in views and smoothing, and what two of them teach."""

from dataclasses import replace
from functools import partial

from kdutils.experiments import Arm, Profile
from kdutils.recipes import Recipe

from . import n05
from .mnist import mnist_student, mnist_teacher, poster_student

TITLE = "Training teachers"

HINTON = "Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 3 (jitter of 2 pixels, dropout)"
LIKELIHOOD = {"test_nll": None, "test_ece": None}
PRECISIONS = ("bfloat16", "float32")
MLP, CNN = "student 800, lr 0.01", "resnet8, hard labels"  # of chapters 03 and 12


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
        *_arithmetic(p),
    ]


def _arithmetic(p: Profile) -> list[Arm]:
    """The same two networks in both kinds of numbers, where a chapter has the first already."""
    b = n05.BUDGET[p.name]
    networks = {
        MLP: poster_student(p, 0.01, train_on="train"),
        CNN: n05.network(p, b["student"], n_views=b["views"]["n_views"]),
    }
    return [
        Arm("Arithmetic", f"{name}, {precision}", replace(recipe, precision=precision))
        for name, recipe in networks.items()
        for precision in PRECISIONS
    ]
