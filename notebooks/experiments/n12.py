"""Chapter 12: what else a student can be taught by: features, attention, an opponent, an order."""

from functools import partial

from kdutils.experiments import Arm, Profile
from kdutils.recipes import Recipe

from . import n05
from .cifar import scores

TITLE = "Inside the teacher"

# channels: of the last map of the WideResNet that teaches. `laptop` shares data, networks and
# budgets with chapter 05, whose rows it reads.
BUDGET = {
    "smoke": {"student": "resnet8-w2", "assistant": "resnet8-w3", "channels": 8},
    "laptop": {"student": "resnet8", "assistant": "resnet14", "channels": 128},
    "paper": {
        "student": "resnet20",
        "assistant": "resnet56",
        "channels": 640,
        "changes": {"n_train": 45_000},
    },
}

HARD, ANSWERS = "hard labels", "its answers"
HINT, OTHERS = "labels and a hint", "labels and a hint about another image"
ATTENTION = "labels and attention"
LEVELS, BOTH, OPPONENT = "answers and hints", "answers and attention", "answers and an opponent"
FIRST, EASY, STEPS = "a hint first, then answers", "easy images first", "by an assistant"
RANDOM = "random images first"
TOO_STRONG = "answers and a stronger opponent"
LONG, LONG_LEVELS = "its answers, twice the epochs", "answers and hints, twice the epochs"
INSTEAD, BESIDE, ORDERED = (HINT, ATTENTION), (LEVELS, BOTH, OPPONENT), (FIRST, EASY, STEPS)
TEACHER, ASSISTANT = "the teacher", "the assistant"

# what section 6 asks, all at once, and corrects together
ASKED = {
    "Answers, over labels": (ANSWERS, HARD),
    "Labels and a hint, over labels": (HINT, HARD),
    "Labels and attention, over labels": (ATTENTION, HARD),
    "A hint about the image, over one about another": (HINT, OTHERS),
    "Labels and a hint, over answers": (HINT, ANSWERS),
    "Easy images first, over random ones": (EASY, RANDOM),
    "With twice the epochs: answers and hints, over answers": (LONG_LEVELS, LONG),
} | {f"{name[0].upper()}{name[1:]}, over answers": (name, ANSWERS) for name in (*BESIDE, *ORDERED)}

# what the first page shows: first and second arm of a gain, and the metric
HEADLINES = {
    "CIFAR-10, 9,000 images, 15 epochs: labels and a hint at the teacher's features, minus labels": (
        HINT,
        HARD,
        "test_accuracy",
    ),
    "CIFAR-10, 9,000 images, 15 epochs: answers and hints, minus answers": (
        LEVELS,
        ANSWERS,
        "test_accuracy",
    ),
    "CIFAR-10, 9,000 images: the same for 30 epochs": (LONG_LEVELS, LONG, "test_accuracy"),
}

# how much a term counts. Set before any run was counted, over the first steps of a student on real
# data: so that each pulls at the student's layers about as hard as the labels do
# (the critic's by the same rule was 1; that run, `TOO_STRONG`, failed, and it got a tenth)
WEIGHTS = {"hint": 10.0, "attention": 1000.0, "critic": 0.1}

# test accuracy on CIFAR-100 in percent, the README of HobbitLong/RepDistiller, teacher and student
# of one type: teacher, student alone, and by method. Tian, Krishnan and Isola 2020, table 1
PAIRS = {
    "wrn-40-2 to wrn-16-2": (75.61, 73.26),
    "wrn-40-2 to wrn-40-1": (75.61, 71.98),
    "resnet56 to resnet20": (72.34, 69.06),
    "resnet110 to resnet20": (74.31, 69.06),
    "resnet110 to resnet32": (74.31, 71.14),
    "resnet32x4 to resnet8x4": (79.42, 72.50),
    "vgg13 to vgg8": (74.64, 70.36),
}
PUBLISHED = {
    "answers (Hinton et al. 2015)": (74.92, 73.54, 70.66, 70.67, 73.08, 73.33, 72.98),
    "a hint (Romero et al. 2015)": (73.58, 72.24, 69.21, 68.99, 71.06, 73.50, 71.02),
    "attention (Zagoruyko & Komodakis 2017)": (74.08, 72.77, 70.55, 70.22, 72.31, 73.44, 71.43),
}


def network(p: Profile, model: str, **changes) -> Recipe:
    """As chapter 05 trains its networks."""
    return n05.network(p, model, **(BUDGET[p.name].get("changes", {}) | changes))


def teacher(p: Profile) -> Recipe:
    """The WideResNet of chapter 05."""
    return n05.teacher(p, "WideResNet", **BUDGET[p.name].get("changes", {}))


def taught(p: Profile, model: str, **changes) -> Recipe:
    """A network that learns from the teacher's stored answers, and from what `changes` says."""
    says = {"teacher": (teacher(p),), "temperature": 4.0, "alpha": 0.9}
    return network(p, model, **(says | n05.BUDGET[p.name]["views"] | changes))


def insider(p: Profile, kind: str, **changes) -> Recipe:
    """A student that looks inside the teacher: `inside.KINDS`."""
    b = BUDGET[p.name]
    weight = WEIGHTS[kind.partition("-")[0]]
    own = {"loss": "distances", "soft_scale": weight}
    return taught(p, f"{kind}-{b['student']}-{b['channels']}", **(own | changes))


def assistant(p: Profile) -> Recipe:
    """A network between teacher and student in size, taught by the one to teach the other.

    It sees views of its own: the teacher was not fitted to them, and the students do not see them.
    """
    own = {"view_stream": 2, "n_views": 0, "bits": 16}
    own["epochs"] = n05.BUDGET[p.name]["teacher epochs"]
    return taught(p, BUDGET[p.name]["assistant"], **own)


def arms(p: Profile) -> list[Arm]:
    """All students see the same stored views; labels or answers, and what may be beside them."""
    b, views = BUDGET[p.name], n05.BUDGET[p.name]["views"]
    people = partial(Arm, "Teachers", once=True, keep_logits=True)
    base = partial(Arm, "Labels or answers")
    instead = partial(Arm, "Instead of answers", metrics=scores(taught=True))
    beside = partial(Arm, "Beside answers", metrics=scores(taught=True))
    order = partial(Arm, "In what order", metrics=scores(taught=True))
    longer = partial(Arm, "With more time", metrics=scores(taught=True))
    twice = {"epochs": 2 * n05.BUDGET[p.name]["epochs"]}
    hard, student = {"alpha": 0.0}, b["student"]
    helper = {"teacher": (assistant(p),)}
    return [
        people(TEACHER, teacher(p), scores(), keep_weights=True),
        people(ASSISTANT, assistant(p), scores(taught=True)),
        base(HARD, network(p, student, n_views=views["n_views"]), scores()),
        base(ANSWERS, taught(p, student), scores(taught=True)),
        instead(HINT, insider(p, "hint-last", **hard)),
        instead(OTHERS, insider(p, "hint-others", **hard)),
        instead(ATTENTION, insider(p, "attention", **hard)),
        beside(LEVELS, insider(p, "hint-all")),
        beside(BOTH, insider(p, "attention")),
        beside(OPPONENT, insider(p, "critic", loss="opponent")),
        beside(TOO_STRONG, insider(p, "critic", loss="opponent", soft_scale=1.0)),
        order(FIRST, insider(p, "hint-middle", loss="hint-first")),
        order(EASY, taught(p, f"counted-{student}", loss="easy-first")),
        order(RANDOM, taught(p, f"counted-{student}", loss="some-first")),
        order(STEPS, taught(p, student, **helper)),
        longer(LONG, taught(p, student, **twice)),
        longer(LONG_LEVELS, insider(p, "hint-all", **twice)),
    ]
