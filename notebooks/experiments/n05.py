"""Chapter 05: ResNet-18 from four deeper families, from itself, and from a permuted teacher."""

from collections.abc import Callable
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
        "images": 300,
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
ITSELF, EQUAL = "itself", "itself, equal epochs"
HARD = "hard labels"
LONGER = (2, 4)  # times the epochs
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


def teacher(p: Profile, family: str, **changes) -> Recipe:
    """A teacher by its family, or the student's own network; it sees other views than students."""
    b = BUDGET[p.name]
    model = b[family if family in FAMILIES else "student"]
    own = {"view_stream": 1, "epochs": b["teacher epochs"]}
    if model == "wrn-28-10":
        own["dropout"] = (0.0, 0.3)
    if family == ITSELF:
        own["seed"] = TEACHER_SEED
    return network(p, model, **(own | changes))


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
        says = {"teacher": (teacher(p, family),), "temperature": 4.0, "alpha": 0.9}
        return network(p, model, **(says | b["views"] | changes))

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
    return out + _longer(p, learn) + _luck_of_the_teacher(p, learn)


def _longer(p: Profile, learn: Callable[..., Recipe]) -> list[Arm]:
    """The same students for twice and four times the epochs: what is left of the teacher's gain?"""
    b, out = BUDGET[p.name], []
    model, family = b["student"], "WideResNet"
    for times in LONGER:
        epochs = {"epochs": times * b["epochs"]}
        table = partial(Arm, "Longer training")
        out += [
            table(longer(f"{model}, {HARD}", times), network(p, model, **epochs), scores()),
            table(
                longer(f"{model} from {b[family]}", times),
                learn(family, **epochs),
                scores(taught=True),
            ),
        ]
    return out


def longer(student: str, times: int) -> str:
    """The name of an arm that differs from `student` in its epochs alone."""
    return f"{student}, {times} times the epochs" if times > 1 else student


def _luck_of_the_teacher(p: Profile, learn: Callable[..., Recipe]) -> list[Arm]:
    """A second run of each family's teacher; *itself* with the students' own epochs. Each with
    its students."""
    b = BUDGET[p.name]
    model, epochs = b["student"], b["epochs"]
    teachers = partial(Arm, "Luck of the teacher", keep_logits=True, once=True)
    students = partial(Arm, "Luck of the teacher")
    out = []
    for family in FAMILIES:
        again = teacher(p, family, seed=TEACHER_SEED)
        name = f"{model} from a second {b[family]}"
        out += [
            teachers(f"second teacher {b[family]}", again, scores()),
            students(name, learn(family, teacher=(again,)), scores(taught=True)),
        ]
    equal = teacher(p, ITSELF, epochs=epochs)
    return [
        *out,
        teachers(f"teacher {model}, the students' epochs", equal, scores()),
        students(f"{model} from {EQUAL}", learn(ITSELF, teacher=(equal,)), scores(taught=True)),
    ]
