"""Chapter 10: a teacher of CIFAR-100 for a student of CIFAR-10; and label smoothing in a teacher."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from kdutils import figures, losses
from kdutils.experiments import Arm, Profile
from kdutils.losses import kd_loss
from kdutils.models import FAMILIES, Family
from kdutils.models.networks import Shape, cnn5
from kdutils.recipes import Recipe

from . import cifar, n05
from .cifar import scores

TITLE = "Across data sets"

# images: of CIFAR-10, for students and for the probe; the teacher of CIFAR-100 has all of its own.
# wide: classes of the other data set.
BUDGET = {
    "smoke": {
        "images": 200,
        "epochs": 8,
        "teacher": {"model": "cnn5-w16", "epochs": 12, "n_train": 800},
        "student": "cnn5-w4",
        "aux": "aux-cnn5-w4-20",
        "views": {"n_views": 2, "bits": 8},
    },
    "laptop": {
        "images": 4_500,
        "epochs": 30,
        "teacher": {},
        "student": "cnn5",
        "aux": "aux-cnn5-100",
        "views": {"n_views": 4, "bits": 8},
    },
    "paper": {
        "images": 4_500,
        "epochs": 60,
        "teacher": {},
        "student": "cnn5",
        "aux": "aux-cnn5-100",
        "views": {"n_views": 8, "bits": 8},
    },
}

HARD = "hard labels"
FOREIGN, HOME = "a teacher of CIFAR-100", "a teacher of CIFAR-10"
SOFT, MATCHED = "its 100 answers, an auxiliary head", "its 100 logits, matched"
TOO_WEAK = "its 100 logits, matched, a loss too weak"
PROBE, MASSES = "a linear probe of it", "its masses, mapped"
ROUTES = (SOFT, MATCHED, PROBE, MASSES)
OTHERS = "its answers about other images, an auxiliary head"
SAME = "its answers about others of the class, an auxiliary head"
AT_HOME = "the teacher of CIFAR-10"
SMOOTHINGS, TEMPERATURES = (0.0, 0.1, 0.2), (4.0, 1.0)
AGAIN = "smoothing 0, another seed"


# what section 3 asks, all at once, and corrects together
ASKED = {f"{name}, over hard labels": (name, HARD) for name in (*ROUTES, TOO_WEAK, OTHERS, AT_HOME)}
ASKED["The auxiliary head: answers about the image over answers about others"] = (SOFT, OTHERS)
ASKED["The auxiliary head: answers about the image over others of its class"] = (SOFT, SAME)

# what the first page shows: first and second arm of a gain, and the metric
HEADLINES = {
    "CIFAR-10, 4,500 images: an auxiliary head for a teacher of CIFAR-100, minus hard labels": (
        SOFT,
        HARD,
        "test_accuracy",
    ),
    "CIFAR-10, 4,500 images: the same with logits matched as numbers": (
        MATCHED,
        HARD,
        "test_accuracy",
    ),
    "CIFAR-10, 4,500 images: a teacher of CIFAR-10 minus hard labels": (
        AT_HOME,
        HARD,
        "test_accuracy",
    ),
    "CIFAR-10: student of a teacher with label smoothing .2, minus one of a teacher without, T = 4": (
        "student of smoothing 0.2, T = 4",  # `student_name`, which is made below
        "student of smoothing 0, T = 4",
        "test_accuracy",
    ),
}


class Auxiliary(nn.Module):
    """A network with more outputs than its classes, which only training sees.

    In training mode [B, classes + extra]; in evaluation mode [B, classes].
    """

    channels_last = True

    def __init__(self, net: nn.Module, classes: int):
        super().__init__()
        self.net, self.classes = net, classes

    def forward(self, images: Tensor) -> Tensor:
        logits = self.net(images)
        return logits if self.training else logits[:, : self.classes]


def aux_cnn5(*numbers: int, in_shape: Shape, classes: int) -> Auxiliary:
    """CNN5 of a width, if one is named first, with an auxiliary head of so many outputs."""
    *width, extra = numbers
    return Auxiliary(
        cnn5(*width, in_shape=in_shape, classes=classes + extra, dropout=(0.0, 0.0)), classes
    )


def _split(z: Tensor, t: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The cross-entropy of the student's own classes, and the logits of its auxiliary head."""
    own = z.shape[1] - t.shape[1]
    return F.cross_entropy(z[:, :own], y), z[:, own:]


def auxiliary(z: Tensor, t: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    """All of the labels for the own head, and alpha of the softened answers for the other."""
    hard, aux = _split(z, t, y)
    return hard + recipe.alpha * kd_loss(aux, t, None, recipe.temperature, alpha=1.0)


def squared(z: Tensor, t: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    """The same with the teacher's logits as numbers to be met: half the mean squared error.

    It is what `auxiliary` comes to as T grows (chapter 06). After Ba and Caruana 2014, whose
    students have no labels.
    """
    hard, aux = _split(z, t, y)
    return hard + recipe.alpha / 2 * F.mse_loss(aux, t - t.mean(dim=1, keepdim=True))


def too_weak(z: Tensor, t: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    """`squared` as this chapter first had it: the logits divided by T, the loss not times T^2 / 2."""
    hard, aux = _split(z, t, y)
    return hard + recipe.alpha * F.mse_loss(
        aux, (t - t.mean(dim=1, keepdim=True)) / recipe.temperature
    )


FAMILIES["aux-cnn5"] = Family(aux_cnn5, "(-wN)?-N", "'aux-cnn5-100', 'aux-cnn5-w4-20'")
losses.OWN |= {"auxiliary": auxiliary, "squared": squared, "matched": too_weak}


def foreign(p: Profile) -> Recipe:
    """The teacher of the other data set."""
    own = BUDGET[p.name]["teacher"]
    return replace(cifar.teacher(p), dataset=p.datasets["cifar100"], **own)


def student(p: Profile, **changes) -> Recipe:
    """CNN5 on few images of CIFAR-10; all routes have this budget."""
    b = BUDGET[p.name]
    few = {"n_train": b["images"], "epochs": b["epochs"], "model": b["student"]}
    return cifar.student(p, **(few | changes))


def arms(p: Profile) -> list[Arm]:
    """Hard labels, four routes from the other data set, a teacher of the own; and smoothing."""
    b = BUDGET[p.name]
    table, teachers = partial(Arm, "Routes"), partial(Arm, "Teachers", once=True)
    says = {"temperature": 4.0, "alpha": 0.5} | b["views"] | {"teacher": (foreign(p),)}
    home = {"teacher": (cifar.teacher(p),)}
    head = {"model": b["aux"]}
    wide = scores()  # of other classes: there is no agreement
    return [
        teachers(FOREIGN, foreign(p), scores()),
        teachers(HOME, cifar.teacher(p), scores(), keep_logits=True),
        # all see the same stored views
        table(HARD, student(p, n_views=b["views"]["n_views"]), scores()),
        table(SOFT, student(p, **says, **head, loss="auxiliary"), wide),
        table(MATCHED, student(p, **says, **head, loss="squared"), wide),
        table(TOO_WEAK, student(p, **says, **head, loss="matched"), wide),
        table(PROBE, student(p, **says, translate="probe"), scores(taught=True)),
        # mapped masses are probabilities already, and soft ones
        table(
            MASSES,
            student(p, **(says | {"temperature": 1.0}), translate="masses"),
            scores(taught=True),
        ),
        table(OTHERS, student(p, **says, **head, loss="auxiliary", teacher_order="permuted"), wide),
        table(
            SAME, student(p, **says, **head, loss="auxiliary", teacher_order="within-class"), wide
        ),
        table(AT_HOME, student(p, **(says | home)), scores(taught=True)),
        *_smoothing(p),
    ]


def _smoothing(p: Profile) -> list[Arm]:
    """One teacher of chapter 05 with label smoothing, and its students at two temperatures.

    A smoothed teacher has smaller logits, so that one temperature softens it more than another.
    """
    b = n05.BUDGET[p.name]
    table = partial(Arm, "Label smoothing")
    out = [table(ALONE, n05.network(p, b["student"]), scores())]
    for smoothing in (*SMOOTHINGS, AGAIN):
        own = {"seed": n05.TEACHER_SEED} if smoothing == AGAIN else {"label_smoothing": smoothing}
        taught_by = n05.teacher(p, "WideResNet", **own)
        name = teacher_name(smoothing)
        out.append(table(name, taught_by, scores(), once=True, keep_logits=True))
        for t in TEMPERATURES:
            learns = {"teacher": (taught_by,), "temperature": t, "alpha": 0.9} | b["views"]
            recipe = n05.network(p, b["student"], **learns)
            out.append(table(student_name(smoothing, t), recipe, scores(taught=True)))
    return out


ALONE = "the same student, hard labels"


def _of(smoothing: float | str) -> str:
    return smoothing if smoothing == AGAIN else f"smoothing {smoothing:g}"


def teacher_name(smoothing: float | str) -> str:
    """The name of a teacher with this much label smoothing, or of the second one, `AGAIN`."""
    return f"teacher, {_of(smoothing)}"


def student_name(smoothing: float | str, temperature: float = TEMPERATURES[0]) -> str:
    """The name of its student at a temperature."""
    return f"student of {_of(smoothing)}, T = {temperature:g}"


def seen_as(logits: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Mean probability that a teacher of other classes gives each of its own, for each of ours.

    logits [N, theirs], labels [N]: float32 [classes, theirs], rows sum to 1.
    """
    one_hot = F.one_hot(labels, classes).float()  # [N, classes]
    return (one_hot.T @ logits.float().softmax(1)) / one_hot.sum(dim=0)[:, None].clamp(min=1)


def clouds(panels: Mapping[str, Sequence[Tensor]], names: Sequence[str]) -> Figure:
    """Points in a plane, [N, 2] for each of the named groups; a panel a title, its scale its own."""
    fig, axes = plt.subplots(1, max(1, len(panels)), figsize=(10, 3.4), squeeze=False)
    for ax, (title, groups) in zip(axes[0], panels.items(), strict=False):
        for style, (name, points) in enumerate(zip(names, groups, strict=True)):
            look = {"color": figures.COLORS[style], "mfc": "none", "ms": 4, "label": name}
            ax.plot(*points.T, figures.MARKERS[style], **look)
        ax.set(title=title, xlabel="in the plane", xticks=[], yticks=[])
        ax.set(aspect="equal", adjustable="datalim")
    axes[0, 0].set(ylabel="in the plane")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=len(names))
    return fig
