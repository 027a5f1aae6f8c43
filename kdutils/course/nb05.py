"""Notebook 05: ResNet-18 from four deeper families, from itself, and from a permuted teacher."""

from functools import partial

from ..profiles import Profile
from ..recipes import Recipe
from .arm import Arm
from .cifar import scores

POSTER = "peterliht/knowledge-distillation-pytorch: one run, best epoch by the test set"
BEARPAW = "bearpaw/pytorch-classification: one run"

# family: (key of its network in the profile, published teacher, published student). The poster's
# "PreResNet-110" has 164 layers: it counts three convolutions of a bottleneck as two.
FAMILIES = {
    "WideResNet": ("deep_wrn", 96.21, 94.333),
    "PreActResNet": ("deep_preresnet", 95.06, 94.531),
    "DenseNet-BC": ("deep_densenet", 95.46, 94.729),
    "ResNeXt": ("deep_resnext", 96.31, 94.788),
}
ITSELF = "itself"
HARD = "hard labels"
TEACHER_SEED = 100  # of no student: none starts from the first weights of its own teacher


def network(p: Profile, model: str, **changes) -> Recipe:
    """One recipe for all networks of this notebook: SGD with Nesterov momentum, one cycle."""
    b = p.budget
    return Recipe(
        **{
            "dataset": p.datasets["cifar10"],
            "model": model,
            "n_train": b["deep_images"] or None,
            "views": "crop-flip",
            "epochs": b["deep_epochs"],
            "batch_size": b["deep_batch"],
            "lr": 0.1,
            "optimizer": "nesterov",
            "weight_decay": 5e-4,
            "precision": p.precision,
            **changes,
        }
    )


def teacher(p: Profile, family: str) -> Recipe:
    """A teacher by its family, or the student's own network; it sees other views than students."""
    model = p.budget[FAMILIES[family][0] if family in FAMILIES else "deep_student"]
    changes = {"view_stream": 1, "epochs": p.budget["deep_teacher_epochs"]}
    if model == "wrn-28-10":
        changes["dropout"] = (0.0, 0.3)
    if family == ITSELF:
        changes["seed"] = TEACHER_SEED
    return network(p, model, **changes)


def arms(p: Profile) -> list[Arm]:
    """The arms of this notebook. Published values stand only beside the poster's own networks."""
    b = p.budget
    model = b["deep_student"]
    poster = model == "resnet18"
    teachers = partial(Arm, 5, "Teachers", source=BEARPAW, keep_logits=True, once=True)
    students = partial(Arm, 5, "Deeper distillation", source=POSTER)
    out = []
    for family, (key, published, _) in FAMILIES.items():
        beside = scores(published if poster else None)
        out.append(teachers(f"teacher {b[key]}", teacher(p, family), beside))
    out.append(teachers(f"teacher {model}, as the student", teacher(p, ITSELF), scores()))
    out.append(students(f"{model}, {HARD}", network(p, model), scores(94.175 if poster else None)))

    def learn(family: str, **changes) -> Recipe:
        return network(
            p,
            model,
            teacher=(teacher(p, family),),
            temperature=4.0,
            alpha=0.9,
            n_views=b["deep_views"],
            bits=b["cifar_bits"],
            **changes,
        )

    for family, (key, _, published) in FAMILIES.items():
        beside = scores(published if poster else None, taught=True)
        out.append(students(f"{model} from {b[key]}", learn(family), beside))
    out.append(students(f"{model} from {ITSELF}", learn(ITSELF), scores(taught=True)))
    out.append(
        students(
            f"{model} from a permuted {b['deep_wrn']}",
            learn("WideResNet", teacher_order="permuted"),
            scores(taught=True),
        )
    )
    return out
