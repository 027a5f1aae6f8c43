"""Chapter 05: ResNet-18 from four deeper families, from itself, and from a permuted teacher."""

from functools import partial

from kdutils.experiments import Arm, Profile
from kdutils.recipes import Recipe

from .cifar import scores

TITLE = "Deeper distillation"

# images: None for all 45,000. The poster's own networks are those of `paper`.
BUDGET = {
    "smoke": {
        "student": "resnet8-w2",
        "WideResNet": "wrn-10-1-w2",
        "PreActResNet": "preresnet-11-w2",
        "DenseNet-BC": "densenet-10-2",
        "ResNeXt": "resnext-11-2x2-w2",
        "images": 500,
        "batch_size": 25,
        "epochs": 1,
        "teacher epochs": 1,
        "views": {"n_views": 1, "bits": 8},
    },
    "laptop": {
        "student": "resnet8",
        "WideResNet": "wrn-10-2",
        "PreActResNet": "preresnet-20",
        "DenseNet-BC": "densenet-22-12",
        "ResNeXt": "resnext-11-4x8-w16",
        "images": 9_000,
        "batch_size": 64,
        "epochs": 15,
        "teacher epochs": 30,
        "views": {"n_views": 8, "bits": 8},
    },
    "paper": {
        "student": "resnet18",
        "WideResNet": "wrn-28-10",
        "PreActResNet": "preresnet-164",
        "DenseNet-BC": "densenet-100-12",
        "ResNeXt": "resnext-29-8x64",
        "images": None,
        "batch_size": 128,
        "epochs": 100,
        "teacher epochs": 100,
        "views": {"n_views": 32, "bits": 16},
    },
}

POSTER = "peterliht/knowledge-distillation-pytorch: one run, best epoch by the test set"
BEARPAW = "bearpaw/pytorch-classification: one run"

# family: (published teacher, published student). The poster's
# "PreResNet-110" has 164 layers: it counts three convolutions of a bottleneck as two.
FAMILIES = {
    "WideResNet": (96.21, 94.333),
    "PreActResNet": (95.06, 94.531),
    "DenseNet-BC": (95.46, 94.729),
    "ResNeXt": (96.31, 94.788),
}
ITSELF = "itself"
HARD = "hard labels"
TEACHER_SEED = 100  # of no student: none starts from the first weights of its own teacher


def network(p: Profile, model: str, **changes) -> Recipe:
    """One recipe for all networks of this chapter: SGD with Nesterov momentum, one cycle."""
    b = BUDGET[p.name]
    return Recipe(
        **{
            "dataset": p.datasets["cifar10"],
            "model": model,
            "n_train": b["images"],
            "views": "crop-flip",
            "epochs": b["epochs"],
            "batch_size": b["batch_size"],
            "lr": 0.1,
            "optimizer": "nesterov",
            "weight_decay": 5e-4,
            "precision": p.precision,
            **changes,
        }
    )


def teacher(p: Profile, family: str) -> Recipe:
    """A teacher by its family, or the student's own network; it sees other views than students."""
    b = BUDGET[p.name]
    model = b[family if family in FAMILIES else "student"]
    changes = {"view_stream": 1, "epochs": b["teacher epochs"]}
    if model == "wrn-28-10":
        changes["dropout"] = (0.0, 0.3)
    if family == ITSELF:
        changes["seed"] = TEACHER_SEED
    return network(p, model, **changes)


def arms(p: Profile) -> list[Arm]:
    """The arms of this chapter. Published values stand only beside the poster's own networks."""
    b = BUDGET[p.name]
    model = b["student"]
    poster = model == "resnet18"
    teachers = partial(Arm, "Teachers", source=BEARPAW, keep_logits=True, once=True)
    students = partial(Arm, "Deeper distillation", source=POSTER)
    out = []
    for family, (published, _) in FAMILIES.items():
        beside = scores(published if poster else None)
        out.append(teachers(f"teacher {b[family]}", teacher(p, family), beside))
    out.append(teachers(f"teacher {model}, as the student", teacher(p, ITSELF), scores()))
    out.append(students(f"{model}, {HARD}", network(p, model), scores(94.175 if poster else None)))

    def learn(family: str, **changes) -> Recipe:
        return network(
            p,
            model,
            teacher=(teacher(p, family),),
            temperature=4.0,
            alpha=0.9,
            **b["views"],
            **changes,
        )

    for family, (_, published) in FAMILIES.items():
        beside = scores(published if poster else None, taught=True)
        out.append(students(f"{model} from {b[family]}", learn(family), beside))
    out.append(students(f"{model} from {ITSELF}", learn(ITSELF), scores(taught=True)))
    out.append(
        students(
            f"{model} from a permuted {b['WideResNet']}",
            learn("WideResNet", teacher_order="permuted"),
            scores(taught=True),
        )
    )
    return out
